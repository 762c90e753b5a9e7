//! Mailboxes: who has one, what lies in it, reading, and what an agent's prompt is told.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::ledger::index::Unread;
use crate::ledger::{Damaged, State, tree};
use crate::model::address::Address;
use crate::model::agent::Agent;
use crate::model::bead::IssueType;
use crate::model::mail::{Letter, Urgency};
use crate::model::word::Nudge;
use crate::name::BeadId;
use crate::ops::machine;
use crate::ops::track::lease;
use crate::runtime::nudge;
use crate::town::Town;

/// A letter with its place in the mailbox, counted from 1, oldest first; the place stays while nothing is removed.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Numbered {
    /// The place.
    pub n: usize,
    /// The letter.
    #[serde(flatten)]
    pub letter: Letter,
}

/// The mailbox of an address.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// Whose.
    pub of: Address,
    /// All letters, oldest first.
    pub letters: Vec<Numbered>,
    /// Letters that cannot be read.
    pub damaged: Vec<Damaged>,
}

/// The mailbox of `address`.
///
/// # Errors
/// Not found, when its scope is not here; corrupt, when its trees cannot be read.
pub fn mailbox(town: &Town, address: &Address) -> Result<Mailbox> {
    let (letters, damaged) = town.ledger_for(address)?.state()?.letters(address)?;
    let letters = letters.into_iter().zip(1..).map(|(letter, n)| Numbered { n, letter }).collect();
    Ok(Mailbox { of: address.clone(), letters, damaged })
}

impl Mailbox {
    /// Those nobody has read.
    pub fn unread(&self) -> impl Iterator<Item = &Numbered> {
        self.letters.iter().filter(|numbered| numbered.letter.is_unread())
    }

    /// The letter that `text` names: its place, its id, or a unique beginning of its id.
    fn find(&self, text: &str) -> Result<Option<&Letter>> {
        if let Ok(n) = text.parse::<usize>() {
            return Ok(self.letters.iter().find(|numbered| numbered.n == n).map(|numbered| &numbered.letter));
        }
        if let Some(exact) = self.letters.iter().find(|numbered| numbered.letter.id.as_str() == text) {
            return Ok(Some(&exact.letter));
        }
        let starts = |letter: &Letter| {
            letter.id.as_str().starts_with(text) || letter.id.suffix().trim_start_matches("ml-").starts_with(text)
        };
        let fits: Vec<&Letter> = self.letters.iter().map(|numbered| &numbered.letter).filter(|letter| starts(letter)).collect();
        match fits.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            many => {
                let ids: Vec<&str> = many.iter().take(8).map(|letter| letter.id.as_str()).collect();
                Err(Error::refused(format!("'{}' fits {} letters", text.escape_debug(), many.len()))
                    .hint(format!("one of: {}", ids.join(", "))))
            }
        }
    }
}

/// The letter that `text` names: one of the actor's mailbox, else by its full id one of any mailbox in its scope.
///
/// # Errors
/// Not found; refused, when it fits several; corrupt, when it cannot be read.
pub fn find(town: &Town, text: &str) -> Result<Letter> {
    let mine = mailbox(town, &town.me)?;
    if let Some(letter) = mine.find(text)? {
        return Ok(letter.clone());
    }
    let missing = || Error::not_found(format!("there is no letter {}", text.escape_debug())).hint("gt inbox shows what there is");
    let id: BeadId = text.parse().map_err(|_| missing())?;
    let ledger = town.scope_of(&id.prefix())?;
    let state = ledger.state()?;
    let name = format!("/{id}.json");
    let path = state.paths("mail")?.into_iter().map(|(path, _)| path).find(|path| path.ends_with(&name));
    path.map_or(Ok(None), |path| state.get(&path))?.ok_or_else(missing)
}

/// Marks `letter` as read, when it lies in the actor's own mailbox, and gives it as it is then.
///
/// # Errors
/// As every transaction.
pub fn mark_read(town: &Town, letter: Letter) -> Result<Letter> {
    if letter.to != town.me || !letter.is_unread() {
        return Ok(letter);
    }
    let path = tree::letter(&letter.to, letter.sent_at, &letter.id);
    let deed = town.deed("read", format!("read {}", letter.id));
    town.ledger_for(&letter.to)?.transact(&deed, |change| {
        let mut now: Letter = change.get(&path)?.unwrap_or_else(|| letter.clone());
        if now.is_unread() {
            now.read_at = Some(town.now);
            change.put(&path, &now)?;
        }
        Ok(now)
    })
}

/// The recipient that a person typed, in full or short.
///
/// # Errors
/// Usage or not found, with the nearest known addresses in the hint; refused, when a short form fits two.
pub fn recipient(town: &Town, text: &str) -> Result<Address> {
    if let Some((name, rest)) = text.split_once(':') {
        let (machine, address) = (machine::named(town, name)?, recipient(town, rest)?);
        let lives = machine::of_agent(town, &address)?;
        // Mail travels with the ledger: where its reader lives only has to be right.
        if lives.as_ref().is_some_and(|lives| *lives != machine.id) {
            let lives = machine::name_of(town, &lives.unwrap_or_default());
            return Err(Error::refused(format!("{address} lives on machine {lives}, not on {}", machine.name))
                .hint(format!("write {lives}:{address}, or just {address}")));
        }
        return Ok(address);
    }
    let typed = town.resolve_address(text);
    let error = match typed {
        Ok(address) if is_known(town, &address)? => return Ok(address),
        Ok(address) => Error::not_found(format!("nobody has the address {address}")),
        Err(error) if matches!(error.kind, Kind::NotFound | Kind::Usage) => error,
        Err(error) => return Err(error),
    };
    let near = near(text, &directory(town).unwrap_or_default());
    let hint = if near.is_empty() {
        "for example overseer, mayor or <rig>/refinery".to_owned()
    } else {
        format!("did you mean {}?", near.join(" or "))
    };
    Err(error.hint(hint))
}

fn is_known(town: &Town, address: &Address) -> Result<bool> {
    match address {
        Address::Overseer(_) | Address::Mayor | Address::Deacon => Ok(true),
        Address::Witness(rig) | Address::Refinery(rig) => Ok(town.hq.state()?.rig(rig)?.is_some()),
        Address::Dog(_) | Address::Polecat(..) | Address::Crew(..) | Address::Plugin(..) => {
            if town.prefix_for(address).is_err() {
                return Ok(false);
            }
            let (ledger, id) = town.agent_bead(address)?;
            Ok(ledger.state()?.find_bead(&id)?.is_some())
        }
    }
}

/// All addresses that mail can be sent to, without the names of people.
///
/// # Errors
/// Corrupt, when a registry or a rig's repository cannot be read.
pub fn directory(town: &Town) -> Result<Vec<Address>> {
    let mut known = vec![Address::Overseer(None), Address::Mayor, Address::Deacon];
    let dogs = town.hq.state()?.beads_of(&IssueType::Agent)?;
    known.extend(dogs.iter().filter_map(|bead| Agent::of(bead).ok()).map(|agent| agent.address));
    for place in town.places()? {
        known.push(Address::Witness(place.rig.name.clone()));
        known.push(Address::Refinery(place.rig.name.clone()));
        let agents = place.ledger.state()?.beads_of(&IssueType::Agent)?;
        known.extend(agents.iter().filter_map(|bead| Agent::of(bead).ok()).map(|agent| agent.address));
    }
    known.sort();
    known.dedup();
    Ok(known)
}

/// Up to three known addresses that are written much like `text`, nearest first.
fn near(text: &str, known: &[Address]) -> Vec<String> {
    let last = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
    let mut ranked: Vec<(usize, String)> = known
        .iter()
        .map(ToString::to_string)
        .map(|name| (distance(text, &name).min(distance(&last(text), &last(&name)) + 1), name))
        .filter(|(far, name)| *far <= 1 + name.len().min(text.len()) / 4)
        .collect();
    ranked.sort();
    ranked.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Levenshtein's distance, on the first 64 characters.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let swap = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = swap.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// What a prompt is told of unread mail.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize)]
pub struct Injection {
    /// Urgent letters, in full.
    pub urgent: Vec<Letter>,
    /// Letters of high priority, by subject and first lines.
    pub high: Vec<Letter>,
    /// How many others.
    pub others: usize,
    /// How many cannot be read.
    pub damaged: usize,
    /// Nudges, urgent ones first.
    pub nudges: Vec<Nudge>,
}

/// How many unread letters the actor has.
///
/// # Errors
/// As [`mailbox`].
pub fn unread(town: &Town) -> Result<usize> {
    lease::beat(town);
    Ok(town.ledger_for(&town.me)?.state()?.unread(&town.me)?.letters.len())
}

/// The nudges that wait for the actor. They wait again when they are not said to be told in a minute.
///
/// # Errors
/// Io, when their queue cannot be read.
pub fn nudges(town: &Town) -> Result<nudge::Taken> {
    nudge::take(&town.runtime_dir(), &town.me, town.now)
}

/// The actor's unread mail by tier, with `nudges`; letters that are only counted are not read.
///
/// # Errors
/// As [`mailbox`].
pub fn injection(town: &Town, nudges: &nudge::Taken) -> Result<Injection> {
    lease::beat(town);
    let ledger = town.ledger_for(&town.me)?;
    let state = ledger.state()?;
    let unread = state.unread(&town.me)?;
    let mut told = by_tier(&state, &unread);
    told.nudges = nudges.nudges.iter().map(|waiting| waiting.nudge.clone()).collect();
    Ok(told)
}

/// Unread letters by tier.
#[must_use]
pub fn by_tier(state: &State<'_>, unread: &Unread) -> Injection {
    let mut told = Injection { damaged: unread.damaged.len(), ..Injection::default() };
    for (slip, blob) in &unread.letters {
        let tier = match slip.urgency {
            Urgency::Urgent => &mut told.urgent,
            Urgency::High => &mut told.high,
            Urgency::Normal | Urgency::Low => {
                told.others += 1;
                continue;
            }
        };
        match state.letter_of(slip, *blob) {
            Ok(letter) => tier.push(letter),
            Err(_) => told.damaged += 1,
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_recipient_gets_its_near_matches() {
        let known: Vec<Address> =
            ["mayor", "overseer", "widgets/refinery", "widgets/polecats/toast"].iter().map(|a| a.parse().unwrap()).collect();
        assert_eq!(near("mayr", &known), ["mayor"]);
        assert_eq!(near("widgets/tost", &known), ["widgets/polecats/toast"]);
        assert_eq!(near("widget/refinery", &known), ["widgets/refinery"]);
        assert!(near("zebra", &known).is_empty());
        assert_eq!((distance("", "abc"), distance("kitten", "sitting")), (3, 3));
    }
}
