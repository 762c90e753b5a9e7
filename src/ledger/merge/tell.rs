//! Letters about choices that had to yield, written by the merge itself: the same on every machine that makes it.

use super::{Merger, Outcome};
use crate::error::{Error, Kind, Result};
use crate::ledger::{State, tree};
use crate::model::address::Address;
use crate::model::merge::{Conflict, MERGE_MACHINE};
use crate::model::record::{self, Object};
use crate::model::scope::{Parcel, Scope, ScopeKind};
use crate::name::Prefix;
use crate::time::Moment;

impl Merger<'_> {
    /// Writes a letter about each of `conflicts` to those whom it concerns: into their mailboxes here, or into the outbox.
    pub(super) fn tell(&mut self, conflicts: &[Conflict], ours: &State<'_>, at: Moment) -> Result<()> {
        let scope = ours.scope()?;
        for conflict in conflicts {
            let record = self.standing(&conflict.path, ours)?;
            for to in conflict.concerned(record.as_ref()) {
                let Some(there) = self.mailbox_of(&to, &scope, ours)? else { continue };
                let letter = match conflict.letter(&to, &there, at) {
                    // A record that another program wrote may break a limit of letters: its report stands alone.
                    Err(error) if error.kind == Kind::Usage => continue,
                    letter => letter?,
                };
                let (path, object) = if there == scope.prefix {
                    (tree::letter(&to, at, &letter.id), record::object_of(&letter))
                } else {
                    let key = conflict.letter_key(&to);
                    (tree::parcel(&key), record::object_of(&Parcel::of(&letter, &key, there, MERGE_MACHINE)))
                };
                self.write_new(path, object, ours)?;
            }
        }
        Ok(())
    }

    /// The prefix of the scope that holds the mailbox of `to`, as far as the scope here can tell; `None`: it has none.
    fn mailbox_of(&self, to: &Address, scope: &Scope, ours: &State<'_>) -> Result<Option<Prefix>> {
        let Some(rig) = to.rig() else { return Ok(Some(Prefix::hq())) };
        match scope.kind {
            ScopeKind::Rig if scope.name == rig.as_str() => Ok(Some(scope.prefix.clone())),
            ScopeKind::Rig => Ok(Some(Prefix::hq())),
            ScopeKind::Town => {
                let rig = self.standing(&tree::rig(rig), ours)?;
                Ok(rig.and_then(|rig| rig.get("prefix")?.as_str()?.parse().ok()))
            }
        }
    }

    /// The record at `path` after the merge, if there is one that can be read.
    fn standing(&self, path: &str, ours: &State<'_>) -> Result<Option<Object>> {
        match self.outcomes.get(path) {
            Some(Outcome::Record(object)) => Ok(Some(object.clone())),
            Some(Outcome::Text(_)) => Ok(None),
            Some(Outcome::Blob(id)) => self.record(path, *id),
            None => readable(ours.object(path)),
        }
    }

    /// Writes what is not there yet.
    pub(super) fn write_new(&mut self, path: String, object: Object, ours: &State<'_>) -> Result<bool> {
        let stands = match self.outcomes.get(&path) {
            Some(outcome) => !matches!(outcome, Outcome::Blob(None)),
            None => ours.blob_id(&path)?.is_some(),
        };
        if !stands {
            self.ours.entry(path.clone()).or_insert(None);
            self.outcomes.insert(path, Outcome::Record(object));
        }
        Ok(!stands)
    }
}

fn readable<T>(result: Result<Option<T>>) -> Result<Option<T>> {
    match result {
        Err(Error { kind: Kind::Corrupt, .. }) => Ok(None),
        other => other,
    }
}
