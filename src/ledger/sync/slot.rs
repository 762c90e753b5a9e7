//! The machine's slot in a scope: the mark of ids it mints, so that machines that have not met cannot collide.
//!
//! A slot counts when the push of the machine's record was accepted. Until then another machine may have been
//! faster; then this one takes another. Slots are never used again, since machine records are not removed.

use gix::ObjectId;

use crate::error::{Error, Result};
use crate::git::progress::Progress;
use crate::ledger::sync::{Options, sync};
use crate::ledger::{Actor, Change, Deed, Ledger, tree};
use crate::model::record::{Object, Rev, SCHEMA_VERSION};
use crate::model::scope::{LocalMachine, Machine};
use crate::name::Slot;
use crate::time::Moment;

/// The remote that a town or rig is joined from.
pub(super) const ORIGIN: &str = "origin";

/// Takes a slot for this machine in the scope and makes it count at `url`.
///
/// # Errors
/// Refused, when all slots are taken; otherwise as [`sync`].
pub fn take_slot(
    ledger: &Ledger,
    local: &LocalMachine,
    url: &str,
    actor: &Actor,
    now: Moment,
    progress: &Progress,
) -> Result<()> {
    enter(ledger, local, actor, now)?;
    sync(ledger, ORIGIN, url, &Options::default(), now, progress)?;
    Ok(())
}

/// Writes this machine with the next free slot into the scope, where it is not in it yet. With a remote the slot
/// counts from the next exchange on.
///
/// # Errors
/// Refused, when all slots are taken; otherwise as [`Ledger::transact`].
pub fn enter(ledger: &Ledger, local: &LocalMachine, actor: &Actor, now: Moment) -> Result<()> {
    let deed = Deed { actor, op: "slot", subject: format!("machine {} takes a slot", local.name), now };
    ledger.transact(&deed, |change| {
        let machines = change.before().machines()?;
        if machines.iter().any(|machine| machine.id == local.id) {
            return Ok(());
        }
        let machine = Machine {
            v: SCHEMA_VERSION,
            id: local.id.clone(),
            slot: next_free(&machines)?,
            name: local.name.clone(),
            host: local.host.clone(),
            replaced_by: None,
            rev: Rev::default(),
            extra: Object::new(),
        };
        change.put(&tree::machine(&local.id), &machine)
    })
}

/// The slot after the highest that was ever taken.
fn next_free(machines: &[Machine]) -> Result<Slot> {
    let next = machines.iter().map(|machine| machine.slot.0.saturating_add(1)).max().unwrap_or(0);
    if next > Slot::MAX {
        return Err(Error::refused("every slot for a machine in this ledger is taken"));
    }
    Ok(Slot(next))
}

/// Gives way when another machine has our slot and the ledger at `theirs` does not say that it is ours.
/// Tells the new tip when something was written.
pub(super) fn settle(ledger: &Ledger, theirs: Option<ObjectId>, now: Moment) -> Result<Option<ObjectId>> {
    let Some(mine) = clashing(&ledger.state()?.all("machines")?.0, ledger.machine()) else { return Ok(None) };
    let counts = match theirs {
        // The push will not be tried; what the remote has is not here.
        Some(theirs) if !ledger.store.repo.has_object(theirs) => true,
        Some(theirs) => {
            let there: Option<Machine> = ledger.state_at(theirs)?.get(&tree::machine(&mine.id))?;
            there.is_some_and(|there| there.slot == mine.slot)
        }
        None => true,
    };
    if counts {
        return Ok(None);
    }
    let actor = Actor { name: "gt".into(), email: "gt@localhost".into(), model: None };
    let subject = format!("machine {} gives its slot way and takes another", mine.name);
    let deed = Deed { actor: &actor, op: "slot", subject, now };
    ledger.transact(&deed, give_way)?;
    ledger.tip()
}

fn give_way(change: &mut Change<'_>) -> Result<()> {
    let machines = change.before().machines()?;
    let Some(mut mine) = clashing(&machines, &change.rev().machine.clone()) else { return Ok(()) };
    mine.slot = next_free(&machines)?;
    change.put(&tree::machine(&mine.id.clone()), &mine)
}

/// The record of machine `id`, when another has its slot too.
fn clashing(machines: &[Machine], id: &str) -> Option<Machine> {
    let mine = machines.iter().find(|machine| machine.id == id)?;
    let is_shared = machines.iter().any(|other| other.id != mine.id && other.slot == mine.slot);
    is_shared.then(|| mine.clone())
}
