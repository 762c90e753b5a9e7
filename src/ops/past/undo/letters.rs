//! Letters of a deed that were carried to other scopes: found there, taken back while nobody read them.

use crate::error::{Error, Result};
use crate::ledger::{Change, Ledger, tree};
use crate::model::mail::Letter;
use crate::model::scope::Parcel;
use crate::ops::past::undo::{Fate, Reverted};
use crate::town::Town;

/// A letter in the mailbox that it was delivered to.
pub(super) struct Found {
    ledger: Ledger,
    path: String,
    letter: Letter,
}

impl Found {
    pub(super) fn told(&self) -> Reverted {
        Reverted::new(self.letter.id.as_str(), Fate::Gone, format!("{} to {}", self.letter.subject, self.letter.to))
    }

    /// Takes it out of the mailbox, if it is unread.
    fn take(&self, change: &mut Change<'_>, subject: &str) -> Result<()> {
        let now: Option<Letter> = change.get(&self.path)?;
        if !now.is_some_and(|letter| letter.is_unread()) {
            return Err(refused(subject, &format!("{} has read it", self.letter.to)));
        }
        change.remove(&self.path);
        Ok(())
    }
}

fn refused(subject: &str, why: &str) -> Error {
    Error::refused(format!("'{subject}' cannot be undone: {why}")).hint("send another letter: gt send")
}

/// The letters of `parcels`. Refused, when one of them was read, or when another machine may have it.
pub(super) fn found(town: &Town, subject: &str, parcels: &[Parcel]) -> Result<Vec<Found>> {
    let found: Vec<Found> = parcels.iter().map(|parcel| find(town, subject, parcel)).collect::<Result<_>>()?;
    for one in &found {
        one.ledger.rehearse(town.now, |change| one.take(change, subject))?;
    }
    Ok(found)
}

fn find(town: &Town, subject: &str, parcel: &Parcel) -> Result<Found> {
    let to = parcel.letter.get("to").and_then(|to| to.as_str()).unwrap_or_default().to_owned();
    let address = to.parse().map_err(|_| refused(subject, &format!("its recipient {to} is nobody")))?;
    let ledger = town.ledger_for(&address)?;
    let (letters, _) = ledger.state()?.letters(&address)?;
    let Some(letter) = letters.into_iter().find(|letter| letter.key.as_deref() == Some(&parcel.key)) else {
        return Err(refused(subject, &format!("the letter to {to} is not there any more")));
    };
    let path = tree::letter(&letter.to, letter.sent_at, &letter.id);
    for (name, tip) in ledger.store.refs_below("refs/gt-remote/")? {
        if name.ends_with("/ledger") && ledger.state_at(tip)?.blob_id(&path)?.is_some() {
            return Err(refused(subject, &format!("the letter to {to} was synced already")));
        }
    }
    Ok(Found { ledger, path, letter })
}

/// Takes `letters` back, a transaction each; when one was read meanwhile, those before it are given back. Beside other
/// records this is a part of the deed that takes those back, else a deed of its own.
pub(super) fn take_back<'f>(town: &Town, subject: &str, letters: &'f [Found], is_part: bool) -> Result<Vec<&'f Found>> {
    let op = if is_part { "recall" } else { "undo" };
    let mut taken = Vec::new();
    for one in letters {
        let deed = town.deed(op, format!("undo {subject}"));
        if let Err(error) = one.ledger.transact(&deed, |change| one.take(change, subject)) {
            give_back(town, &taken);
            return Err(error);
        }
        taken.push(one);
    }
    Ok(taken)
}

/// Puts `letters` back into their mailboxes: what they tell of was not undone after all.
pub(super) fn give_back(town: &Town, letters: &[&Found]) {
    for one in letters {
        let deed = town.deed("recall", format!("give the letter {} back", one.letter.id));
        let given =
            one.ledger.transact(&deed, |change| if change.has(&one.path)? { Ok(()) } else { change.put_letter(&one.letter) });
        if let Err(error) = given {
            tracing::warn!("the letter {} to {} was taken back and is lost: {}", one.letter.id, one.letter.to, error.line());
        }
    }
}
