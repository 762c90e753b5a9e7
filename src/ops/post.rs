//! The post: letters into mailboxes of this scope, parcels into the outbox for every other.
//!
//! A letter is written in the transaction of the change that it announces. A recipient in another scope gets
//! a parcel in this scope's outbox, in the same transaction; [`deliver`] carries it over under its key, so that
//! a second delivery after a crash finds the letter there and only drops the parcel.

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::{Change, tree};
use crate::model::address::Address;
use crate::model::mail::Letter;
use crate::model::protocol::Protocol;
use crate::model::record::{self, Rev, SCHEMA_VERSION};
use crate::model::scope::{Parcel, Scope, ScopeKind};
use crate::name::{BeadId, Prefix};

/// Writes a protocol message in the transaction that it announces: into the recipient's mailbox when that lies
/// in this scope, else into the outbox, from where [`deliver`] brings it to the recipient's scope.
///
/// # Errors
/// Usage, when texts in the message break a limit; as [`Change::put`] otherwise.
pub fn post(change: &mut Change<'_>, message: &Protocol, from: &Address, to: &Address) -> Result<()> {
    let now = change.now();
    put(change, to, |id| message.letter(id, from.clone(), to.clone(), now))
}

/// Puts the letter that `write` makes of its id into the mailbox of `to`, or into the outbox.
///
/// # Errors
/// Those of `write` and of [`Change::put`].
pub fn put(change: &mut Change<'_>, to: &Address, write: impl Fn(BeadId) -> Result<Letter>) -> Result<()> {
    let scope = change.before().scope()?;
    let there = route(change, &scope, to)?;
    if there == scope.prefix {
        let id = change.mint_letter(&scope.prefix, to)?;
        return change.put_letter(&write(id)?);
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
    change.put(&tree::parcel(&key), &parcel)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Actor, Deed, Ledger};
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
