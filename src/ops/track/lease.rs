//! Claims for a time: extended by signs of life of whoever claimed, ended when these stay away.
//!
//! The end needs nobody to come true: from that moment on the bead is ready and may be claimed by another. The sweep, with
//! the next claim in the scope and in maintenance, only writes down what holds already. What an agent holds for a time is
//! noted in `.runtime/leases/<agent>/<bead>`, so that a sign of life costs one look at a directory; the notes are of this
//! machine, and whoever removes them makes leases run out that claiming again would renew.

use std::path::PathBuf;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::{Change, Ledger};
use crate::model::bead::{Bead, Status};
use crate::model::brief::Facts as _;
use crate::model::hook::Hook;
use crate::name::BeadId;
use crate::town::Town;

/// The shortest lease, in milliseconds.
pub const LEASE_MILLIS_MIN: u64 = 1000;

/// Checks the length of a lease.
///
/// # Errors
/// Usage, when it is too short to be extended in time.
pub fn check_length(millis: u64) -> Result<()> {
    if millis >= LEASE_MILLIS_MIN {
        return Ok(());
    }
    Err(Error::usage("a lease of less than a second ends before it can be extended").hint("write for example --lease 30m"))
}

/// Refuses a lease on what hangs on a hook: its session is watched, and its end is not ours to write down.
pub(super) fn check_not_hooked(change: &Change<'_>, bead: &Bead) -> Result<()> {
    let (hooks, _) = change.before().all::<Hook>("hooks")?;
    match hooks.iter().find(|hook| hook.bead == bead.id) {
        None => Ok(()),
        Some(hook) => Err(Error::refused(format!("{} hangs on the hook of {}", bead.id, hook.agent))
            .hint("a lease is for what was not slung; leave --lease out")),
    }
}

/// Gives back what was claimed for a time that is over, as a part of a larger change; tells how many.
pub(super) fn sweep_in(change: &mut Change<'_>) -> Result<usize> {
    let now = change.now();
    let has_ended = |row: &crate::ledger::index::Row<'_>| row.lease_until().is_some_and(|until| until <= now);
    let catalog = change.before().catalog()?;
    let ids: Vec<BeadId> = catalog.rows().filter(has_ended).filter_map(|row| row.id().parse().ok()).collect();
    let mut count = 0;
    for id in ids {
        // One that cannot be read stays as it is; it is told wherever it is asked for.
        let Ok(mut bead) = change.bead(&id) else { continue };
        if !bead.has_lease_ended(now) {
            continue;
        }
        let holder = bead.assignee.clone().unwrap_or_default();
        bead.wake(now)?;
        bead.comment(format!("{}.lease", change.rev()), "gt", &format!("The claim of {holder} has run out."), now);
        change.put_bead(&bead)?;
        count += 1;
    }
    Ok(count)
}

/// Gives back what was claimed for a time that is over; tells how many.
///
/// # Errors
/// As every transaction.
pub fn sweep(town: &Town, ledger: &Ledger) -> Result<usize> {
    let is_over = |row: crate::ledger::index::Row<'_>| row.lease_until().is_some_and(|until| until <= town.now);
    if !ledger.state()?.catalog()?.rows().any(is_over) {
        return Ok(0);
    }
    ledger.transact(&town.deed("lease-end", "give back what was claimed for a time that is over".to_owned()), sweep_in)
}

fn notes(town: &Town) -> PathBuf {
    town.runtime_dir().join("leases").join(town.me.as_component())
}

/// Notes that the actor holds `ids` for a time.
pub(super) fn note(town: &Town, ids: &[BeadId]) -> Result<()> {
    let dir = notes(town);
    std::fs::create_dir_all(&dir).or_fail(Kind::Io, || format!("make {}", dir.display()))?;
    for id in ids {
        let file = dir.join(id.as_str());
        std::fs::write(&file, "").or_fail(Kind::Io, || format!("write {}", file.display()))?;
    }
    Ok(())
}

/// A sign of life of the actor: what it holds for a time is extended when half of that is over. What fails here is no
/// failure of the command that was asked for; the next sign of life tries again.
pub fn beat(town: &Town) {
    let Ok(entries) = std::fs::read_dir(notes(town)) else { return };
    for entry in entries.flatten() {
        let id: Option<BeadId> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        match id.map_or(Ok(false), |id| extend(town, &id)) {
            Ok(true) => {}
            Ok(false) => drop(std::fs::remove_file(entry.path())),
            Err(error) => tracing::debug!("extend a claim: {}", error.line()),
        }
    }
}

/// Whether the actor holds the bead for a time, which is extended when it is time for that.
fn extend(town: &Town, id: &BeadId) -> Result<bool> {
    let ledger = town.scope_of(&id.prefix())?;
    let is_held = |bead: &Bead| {
        let is_mine = bead.assignee.as_deref() == Some(town.actor.name.as_str());
        bead.lease_millis.filter(|_| is_mine && bead.status == Status::InProgress)
    };
    let is_due = |bead: &Bead, length: u64| bead.lease_until.is_none_or(|until| until.millis_since(town.now) <= length / 2);
    let Some(bead) = ledger.state()?.find_bead(id)? else { return Ok(false) };
    let Some(length) = is_held(&bead) else { return Ok(false) };
    if !is_due(&bead, length) {
        return Ok(true);
    }
    ledger.transact(&town.deed("lease", format!("extend the claim on {id}")), |change| {
        let mut bead = change.bead(id)?;
        let Some(length) = is_held(&bead) else { return Ok(false) };
        // The bead itself did not change, so that it goes stale all the same.
        bead.lease(length, town.now);
        change.put_bead(&bead)?;
        Ok(true)
    })
}
