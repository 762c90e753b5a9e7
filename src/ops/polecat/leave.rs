//! How work leaves a polecat, and a polecat its sandbox: nothing goes before it is saved.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Ground, ground, hold, naming, not_ours, sandbox, save};
use crate::error::{Error, Result};
use crate::git::salvage::{Next, Salvaged};
use crate::git::worktree;
use crate::ledger::{Ledger, tree};
use crate::model::address::Address;
use crate::model::bead::Status;
use crate::model::hook::Hook;
use crate::name::BeadId;
use crate::runtime::{process, slot};
use crate::town::{RigPlace, Town};

/// What `gt polecat nuke` did.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Nuked {
    /// Whose sandbox.
    pub address: Address,
    /// Whether there was one.
    pub was_there: bool,
    /// The ref that keeps what it held, when it held something unsaved.
    pub salvage: Option<String>,
    /// The bead that is open again.
    pub released: Option<BeadId>,
}

/// Ends the session, saves what the sandbox holds, and removes it. The identity stays.
///
/// # Errors
/// Refused, when work is on its hook and `force` is not set.
pub fn nuke(town: &Town, place: &RigPlace, address: &Address, force: bool) -> Result<Nuked> {
    let Address::Polecat(_, name) = address else {
        return Err(Error::usage(format!("{address} is no polecat")).hint("gt polecat list shows them"));
    };
    let held = hold(place, address)?;
    if let Some(hook) = held.hook.as_ref().filter(|hook| hook.machine != town.machine) {
        return Err(
            Error::refused(format!("{address} works on {} on another machine ({})", hook.bead, hook.machine)).hint("do it there")
        );
    }
    if let Some(hook) = held.hook.as_ref().filter(|_| !force) {
        return Err(Error::refused(format!("{address} has {} on its hook", hook.bead))
            .hint("add --force to give the bead back; what is unsaved is salvaged first"));
    }
    let dir = sandbox(place, name);
    let ground = ground(place, &dir)?;
    if ground == Ground::Foreign {
        return Err(not_ours(&dir));
    }
    process::stop(&town.runtime_dir(), address, 5_000)?;
    let was_there = ground == Ground::Worktree;
    let saved = if was_there { save(town, place, address, &dir, Next::Removal)? } else { None };
    crate::env::crash_point("nuke.salvaged");
    let mut released = None;
    if let Some(hook) = &held.hook {
        let status =
            release(town, &place.ledger, address, &hook.bead, saved.as_ref()).map_err(|error| naming(error, saved.as_ref()))?;
        released = status.filter(|status| *status == Status::Open).map(|_| hook.bead.clone());
    }
    if was_there {
        worktree::remove(&place.ledger.store, &dir).map_err(|error| naming(error, saved.as_ref()))?;
    } else {
        worktree::clear_begun(&place.ledger.store, &dir)?;
    }
    slot::free(&town.runtime_dir(), address)?;
    Ok(Nuked { address: address.clone(), was_there, salvage: saved.map(|saved| saved.ref_name), released })
}

/// Gives a bead back: open again, hook empty, in one transaction; the salvage is noted on it. Tells the bead's status
/// then; `None`, when it is no longer on that hook.
///
/// # Errors
/// Conflict or io, when nothing was written.
pub fn release(
    town: &Town,
    ledger: &Ledger,
    address: &Address,
    bead_id: &BeadId,
    saved: Option<&Salvaged>,
) -> Result<Option<Status>> {
    let deed = town.deed("release", format!("release {bead_id} from {address}"));
    ledger.transact(&deed, |change| {
        let path = tree::hook(address);
        if change.get::<Hook>(&path)?.is_none_or(|hook| hook.bead != *bead_id) {
            return Ok(None);
        }
        change.remove(&path);
        let mut bead = change.bead(bead_id)?;
        if bead.status.is_assigned_work() && bead.assignee.as_deref() == Some(&address.to_string()) {
            bead.become_status(Status::Open, change.now())?;
            if let Some(saved) = saved {
                let text = format!("Unsaved work of {address} is kept at {}.", saved.ref_name);
                bead.comment(format!("salvage-{}", change.rev()), town.actor.name.as_str(), &text, change.now());
            }
            change.put_bead(&bead)?;
        }
        Ok(Some(bead.status))
    })
}
