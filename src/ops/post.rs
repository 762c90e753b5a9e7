//! The post: letters into mailboxes of this scope, parcels into the outbox for every other.
//!
//! A letter is written in the transaction of the change that it announces. A recipient in another scope gets
//! a parcel in this scope's outbox, in the same transaction; [`deliver`] carries it over under its key, so that
//! a second delivery after a crash finds the letter there and only drops the parcel.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::{Change, Ledger, tree};
use crate::model::address::Address;
use crate::model::mail::{self, Letter, LetterType, Urgency};
use crate::model::merge::MERGE_MACHINE;
use crate::model::protocol::Protocol;
use crate::model::record::{self, Rev, SCHEMA_VERSION};
use crate::model::scope::{Parcel, Scope, ScopeKind};
use crate::name::{BeadId, Prefix};
use crate::town::Town;

/// Writes a protocol message in the transaction that it announces: into the recipient's mailbox when that lies
/// in this scope, else into the outbox, from where [`deliver`] brings it to the recipient's scope.
///
/// # Errors
/// Usage, when texts in the message break a limit; as [`Change::put`] otherwise.
pub fn post(change: &mut Change<'_>, message: &Protocol, from: &Address, to: &Address) -> Result<()> {
    let now = change.now();
    put(change, to, |id| message.letter(id, from.clone(), to.clone(), now)).map(|_| ())
}

/// Where a letter went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// Into the mailbox, under this id.
    Laid(BeadId),
    /// Into the outbox, under this key.
    Parcelled(String),
}

/// Puts the letter that `write` makes of its id into the mailbox of `to`, or into the outbox.
///
/// # Errors
/// Those of `write` and of [`Change::put`].
pub fn put(change: &mut Change<'_>, to: &Address, write: impl Fn(BeadId) -> Result<Letter>) -> Result<Posted> {
    let scope = change.before().scope()?;
    let there = route(change, &scope, to)?;
    if there == scope.prefix {
        let id = change.mint_letter(&scope.prefix, to)?;
        change.put_letter(&write(id.clone())?)?;
        return Ok(Posted::Laid(id));
    }
    let key = free_key(change, &scope.prefix)?;
    // The id is minted where the letter will lie; until then a stand-in keeps the record typed.
    let mut letter = record::object_of(&write(stand_in(&there)?)?);
    letter.remove("id");
    let parcel = Parcel {
        v: SCHEMA_VERSION,
        key: key.clone(),
        to_scope: there,
        machine: change.rev().machine.clone(),
        letter,
        rev: Rev::default(),
        extra: record::Object::new(),
    };
    change.put(&tree::parcel(&key), &parcel)?;
    Ok(Posted::Parcelled(key))
}

/// Puts the letter named `key` into the mailbox of `to`, or into the outbox, unless it is there: whoever writes it, and
/// on whichever machine, it is one letter. It must say the same, with the same moment, wherever it is written.
///
/// # Errors
/// Those of `write` and of [`Change::put`].
pub fn once(change: &mut Change<'_>, key: &str, to: &Address, write: impl Fn(BeadId) -> Result<Letter>) -> Result<Posted> {
    let scope = change.before().scope()?;
    let there = route(change, &scope, to)?;
    let key = mail::once_key(key, to);
    let mut letter = write(mail::keyed_id(&there, &key, 0, "")?)?;
    letter.key = Some(key.clone());
    if there == scope.prefix {
        if !change.has(&tree::letter(to, letter.sent_at, &letter.id))? {
            change.put_letter(&letter)?;
        }
        return Ok(Posted::Laid(letter.id));
    }
    let parcel = Parcel::of(&letter, &key, there, &change.rev().machine);
    change.put(&tree::parcel(&key), &parcel)?;
    Ok(Posted::Parcelled(key))
}

/// The scope that holds the mailbox of `to`, as far as this scope can tell. A rig does not know its sister rigs:
/// for those it names the town, and delivery, which knows all rigs, goes by the address.
fn route(change: &Change<'_>, scope: &Scope, to: &Address) -> Result<Prefix> {
    let Some(rig) = to.rig() else { return Ok(Prefix::hq()) };
    match scope.kind {
        ScopeKind::Rig if scope.name == rig.as_str() => Ok(scope.prefix.clone()),
        ScopeKind::Rig => Ok(Prefix::hq()),
        ScopeKind::Town => change.before().rig(rig)?.map(|rig| rig.prefix).ok_or_else(|| {
            Error::not_found(format!("{to} cannot get mail: there is no rig {rig}")).hint("gt rig list shows the rigs")
        }),
    }
}

/// A key that no other parcel has: two scopes of a machine may write at the same clock, so the scope is part of it.
fn free_key(change: &Change<'_>, here: &Prefix) -> Result<String> {
    let rev = change.rev().clone();
    let mut n = 0_u32;
    loop {
        let key = format!("{here}-{}-{}-{n}", rev.machine, rev.number);
        if !change.has(&tree::parcel(&key))? {
            return Ok(key);
        }
        n += 1;
    }
}

fn stand_in(prefix: &Prefix) -> Result<BeadId> {
    format!("{prefix}-ml-0").parse().or_fail(Kind::Bug, || "name a letter that has no id yet")
}

/// A letter to be sent to several.
#[derive(Clone, Debug)]
pub struct Mailing {
    /// Who gets it, each a mailbox of its own.
    pub to: Vec<Address>,
    /// Who gets it besides.
    pub cc: Vec<Address>,
    /// One line.
    pub subject: String,
    /// The text.
    pub body: String,
    /// What it is for.
    pub letter_type: LetterType,
    /// How soon.
    pub priority: Urgency,
    /// The letter that it answers.
    pub answers: Option<Letter>,
}

/// A letter that was sent.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Sent {
    /// Whose mailbox.
    pub to: Address,
    /// Its id there; `None` while it waits in the outbox.
    pub id: Option<BeadId>,
}

/// Sends a letter to every recipient, in one transaction of the sender's scope, and delivers what goes elsewhere.
///
/// # Errors
/// Usage, when subject or body break a limit; not found, when a recipient's rig is not there.
pub fn send(town: &Town, mailing: &Mailing) -> Result<Vec<Sent>> {
    let mut all: Vec<&Address> = Vec::new();
    for to in mailing.to.iter().chain(&mailing.cc) {
        town.prefix_for(to)?;
        if !all.contains(&to) {
            all.push(to);
        }
    }
    // Someone whose rig is not on this machine still has the town to post from.
    let ledger = match town.ledger_for(&town.me) {
        Ok(ledger) => ledger,
        Err(_) => town.scope_of(&Prefix::hq())?,
    };
    let names: Vec<String> = all.iter().map(ToString::to_string).collect();
    let deed = town.deed("mail", format!("mail {}", names.join(" ")));
    let posted = ledger.transact(&deed, |change| {
        all.iter().map(|to| put(change, to, |id| mailing.letter(town, id, to))).collect::<Result<Vec<Posted>>>()
    })?;
    let is_parcelled = posted.iter().any(|posted| matches!(posted, Posted::Parcelled(_)));
    // The parcels are safe in the outbox; that they cannot be carried now is no failure of sending.
    let delivered = if is_parcelled { carry(town).unwrap_or_default() } else { BTreeMap::new() };
    let sent = all.into_iter().zip(posted).map(|(to, posted)| {
        let id = match posted {
            Posted::Laid(id) => Some(id),
            Posted::Parcelled(key) => delivered.get(&key).cloned(),
        };
        Sent { to: to.clone(), id }
    });
    Ok(sent.collect())
}

impl Mailing {
    fn letter(&self, town: &Town, id: BeadId, to: &Address) -> Result<Letter> {
        let mut letter = Letter::new(id, town.me.clone(), to.clone(), &self.subject, &self.body, town.now)?;
        letter.letter_type = self.letter_type;
        letter.priority = self.priority;
        letter.cc.clone_from(&self.cc);
        if let Some(answered) = &self.answers {
            letter.reply_to = Some(answered.id.clone());
            letter.thread = answered.thread.clone().or_else(|| Some(answered.id.clone()));
        }
        Ok(letter)
    }
}

/// Carries this machine's parcels to their scopes and tells how many arrived. What cannot be delivered now stays
/// in its outbox for the next time.
///
/// # Errors
/// Corrupt, when the registry of rigs cannot be read; io, when a delivered parcel cannot be dropped.
pub fn deliver(town: &Town) -> Result<u32> {
    Ok(u32::try_from(carry(town)?.len()).unwrap_or(u32::MAX))
}

/// Delivers, and tells under which id each key arrived.
fn carry(town: &Town) -> Result<BTreeMap<String, BeadId>> {
    let mut arrived = BTreeMap::new();
    let mut prefixes = vec![Prefix::hq()];
    prefixes.extend(town.rigs()?.into_iter().map(|rig| rig.prefix));
    for prefix in prefixes {
        // A rig that is away or damaged keeps its own parcels back, and nobody else's.
        let Ok(source) = town.scope_of(&prefix) else { continue };
        let delivered = match carry_from(town, &source) {
            Ok(delivered) => delivered,
            Err(error) => {
                tracing::warn!("the outbox of scope {prefix} cannot be emptied: {}", error.line());
                continue;
            }
        };
        if delivered.is_empty() {
            continue;
        }
        crate::env::crash_point("post.delivered");
        let deed = town.deed("deliver", format!("drop {} delivered parcels", delivered.len()));
        source.transact(&deed, |change| {
            for key in delivered.keys() {
                change.remove(&tree::parcel(key));
            }
            Ok(())
        })?;
        arrived.extend(delivered);
    }
    Ok(arrived)
}

/// Whether this machine delivers `parcel`: it wrote it, or a merge did, whose letters are the same whoever lays them.
fn is_ours(town: &Town, parcel: &Parcel) -> bool {
    parcel.machine == town.machine || (parcel.machine == MERGE_MACHINE && mail::is_once(&parcel.key))
}

fn carry_from(town: &Town, source: &Ledger) -> Result<BTreeMap<String, BeadId>> {
    // A scope that was never written to has no outbox; one damaged parcel must not keep the others back.
    let Some(tip) = source.tip()? else { return Ok(BTreeMap::new()) };
    let (parcels, _) = source.state_at(tip)?.all::<Parcel>("outbox")?;
    let mut by_scope: BTreeMap<Prefix, Vec<Parcel>> = BTreeMap::new();
    for parcel in parcels.into_iter().filter(|parcel| is_ours(town, parcel)) {
        let to: Option<Address> = parcel.letter.get("to").and_then(|to| to.as_str()).and_then(|to| to.parse().ok());
        let there = to.and_then(|to| town.prefix_for(&to).ok()).unwrap_or_else(|| parcel.to_scope.clone());
        by_scope.entry(there).or_default().push(parcel);
    }
    let mut delivered = BTreeMap::new();
    for (prefix, parcels) in by_scope {
        match lay(town, &prefix, &parcels) {
            Ok(ids) => delivered.extend(parcels.into_iter().map(|parcel| parcel.key).zip(ids)),
            Err(error) => tracing::warn!("mail for scope {prefix} waits in the outbox: {}", error.line()),
        }
    }
    Ok(delivered)
}

/// Lays parcels into mailboxes of the scope `prefix`; one that lies there already keeps its letter.
fn lay(town: &Town, prefix: &Prefix, parcels: &[Parcel]) -> Result<Vec<BeadId>> {
    let ledger = town.scope_of(prefix)?;
    let deed = town.deed("deliver", format!("deliver {} letters", parcels.len()));
    ledger.transact(&deed, |change| parcels.iter().map(|parcel| lay_one(change, prefix, parcel)).collect())
}

fn lay_one(change: &mut Change<'_>, prefix: &Prefix, parcel: &Parcel) -> Result<BeadId> {
    let mut object = parcel.letter.clone();
    object.insert("id".into(), stand_in(prefix)?.as_str().into());
    let mut letter: Letter = record::view(&tree::parcel(&parcel.key), &object)?;
    letter.key = Some(parcel.key.clone());
    let mark = if mail::is_once(&parcel.key) { String::new() } else { change.slot()?.mark() };
    for salt in 0..16 {
        letter.id = mail::keyed_id(prefix, &parcel.key, salt, &mark)?;
        let there: Option<Letter> = change.get(&tree::letter(&letter.to, letter.sent_at, &letter.id))?;
        match there {
            Some(there) if there.key == letter.key => return Ok(there.id),
            Some(_) => {}
            None => {
                change.put_letter(&letter)?;
                return Ok(letter.id);
            }
        }
    }
    Err(Error::conflict("no free letter id was found").hint("try again"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Actor, Deed};
    use crate::model::scope::Machine;
    use crate::name::Slot;
    use crate::time::Moment;

    fn rig_ledger(dir: &std::path::Path) -> Ledger {
        gix::init_bare(dir).unwrap();
        let ledger = Ledger::open(dir, "m1").unwrap();
        let scope: Scope = serde_json::from_value(serde_json::json!({
            "v": 1, "merge_v": 1, "kind": "rig", "prefix": "wi", "name": "widgets", "created_at": Moment::from_millis(0),
        }))
        .unwrap();
        let machine = Machine {
            v: 1,
            id: "m1".into(),
            slot: Slot(3),
            name: "test".into(),
            host: "h".into(),
            replaced_by: None,
            rev: Rev::default(),
            extra: record::Object::new(),
        };
        write(&ledger, |change| {
            change.put(tree::SCOPE, &scope)?;
            change.put(&tree::machine("m1"), &machine)
        });
        ledger
    }

    fn write(ledger: &Ledger, edit: impl FnMut(&mut Change<'_>) -> Result<()>) {
        let actor = Actor { name: "widgets/refinery".into(), email: "a@b".into(), model: None };
        let deed = Deed { actor: &actor, op: "test", subject: "test".into(), now: Moment::from_millis(5_000) };
        ledger.transact(&deed, edit).unwrap();
    }

    fn help() -> Protocol {
        Protocol::Help { agent: "widgets/polecats/toast".into(), bead: "wi-a".parse().unwrap(), problem: "stuck".into() }
    }

    #[test]
    fn a_recipient_here_gets_the_letter_in_the_same_transaction() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = rig_ledger(dir.path());
        let (from, to) = ("widgets/refinery".parse().unwrap(), "widgets/witness".parse().unwrap());
        write(&ledger, |change| post(change, &help(), &from, &to));
        let (letters, damaged) = ledger.state().unwrap().letters(&to).unwrap();
        assert!(damaged.is_empty());
        assert_eq!(Protocol::of(&letters[0]).unwrap(), help());
        assert!(letters[0].id.as_str().starts_with("wi-ml-") && letters[0].id.as_str().ends_with('3'));
    }

    #[test]
    fn a_recipient_elsewhere_gets_a_parcel_and_two_parcels_have_two_keys() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = rig_ledger(dir.path());
        let (from, to) = ("widgets/witness".parse().unwrap(), Address::Deacon);
        write(&ledger, |change| {
            post(change, &help(), &from, &to)?;
            post(change, &help(), &from, &Address::Mayor)
        });
        let state = ledger.state().unwrap();
        let parcels = state.parcels().unwrap();
        assert_eq!(parcels.len(), 2);
        assert_ne!(parcels[0].key, parcels[1].key);
        assert!(parcels.iter().all(|parcel| parcel.to_scope == Prefix::hq() && !parcel.letter.contains_key("id")));
        assert!(state.letters(&to).unwrap().0.is_empty());
    }
}
