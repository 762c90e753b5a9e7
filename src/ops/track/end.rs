//! Closing by hand, and opening again.
//!
//! A close goes one way, whatever verb asks for it: what a hand may not end is refused there alone.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::Change;
use crate::model::address::Address;
use crate::model::bead::{Bead, Status};
use crate::name::BeadId;
use crate::ops::convoy::{self, Settled};
use crate::ops::track::create::{check_no_convoy, check_settable_type, check_texts};
use crate::ops::track::edit::{check_not_in_review, in_each_scope, write};
use crate::town::Town;

/// A bead that was to be closed or opened again.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Closed {
    /// How it is now.
    #[serde(flatten)]
    pub bead: Bead,
    /// Convoys that track it and that landed, were fed or are complete with that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub convoys: Vec<Settled>,
    /// Whether it was so before.
    #[serde(skip)]
    pub was_so: bool,
}

/// Closes the beads `ids` by hand, one transaction a scope, pinned ones only when it `unpins`; one that is closed already
/// stays as it is.
///
/// # Errors
/// Not found; refused, when a bead is in review, pinned or kept by gt itself. Within a scope all close or none.
pub fn close(town: &Town, ids: &[BeadId], reason: &str, unpins: bool) -> Result<Vec<Closed>> {
    let mut closed = in_each_scope(town, ids, "close", |change, id| end_in(town, change, id, reason, unpins))?;
    settle_convoys(town, &mut closed);
    Ok(closed)
}

/// As [`close`] of one bead that is not pinned, as a part of a larger change.
pub(super) fn close_in(town: &Town, change: &mut Change<'_>, id: &BeadId, reason: &str) -> Result<Closed> {
    end_in(town, change, id, reason, false)
}

fn end_in(town: &Town, change: &mut Change<'_>, id: &BeadId, reason: &str, unpins: bool) -> Result<Closed> {
    check_texts(&[("reason", reason)])?;
    if let Some(bead) = change.archived_bead(id)? {
        return Ok(Closed { bead, convoys: Vec::new(), was_so: true });
    }
    let mut bead = change.bead(id)?;
    if bead.status.is_closed() {
        return Ok(Closed { bead, convoys: Vec::new(), was_so: true });
    }
    if unpins && bead.status == Status::Pinned {
        bead.become_status(Status::Open, town.now)?;
    }
    close_by_hand(town, &mut bead, reason)?;
    let convoys = write(town, change, &bead)?;
    Ok(Closed { bead: change.bead_as_written(id)?, convoys, was_so: false })
}

/// Closes a bead that is not closed, as far as a hand may: the one way, whatever verb asks for it.
pub(super) fn close_by_hand(town: &Town, bead: &mut Bead, reason: &str) -> Result<()> {
    check_settable_type(&bead.issue_type)?;
    check_no_convoy(&bead.issue_type)?;
    check_not_in_review(bead)?;
    check_not_own_work(town, bead)?;
    if bead.status == Status::Pinned {
        return Err(Error::refused(format!("{} is pinned, a standing reference", bead.id))
            .hint(format!("if it is one no longer: gt bead unpin {0}, or gt close {0} --force", bead.id)));
    }
    bead.close(&town.actor.name, reason, town.now)
}

/// A polecat's work closes when it is merged, not when its worker says so.
fn check_not_own_work(town: &Town, bead: &Bead) -> Result<()> {
    let is_own = bead.status.is_assigned_work() && bead.assignee.as_deref() == Some(town.actor.name.as_str());
    if !is_own || !matches!(town.me, Address::Polecat(..)) {
        return Ok(());
    }
    Err(Error::refused(format!("{} is on your own hook; a merge closes it", bead.id))
        .hint("hand it in: gt done; or give it back: gt done --status released --message \"why\""))
}

/// Opens closed beads again, without an assignee; `reason` becomes a remark. One that was archived comes back.
///
/// # Errors
/// Not found; refused, when a bead is neither closed nor open.
pub fn reopen(town: &Town, ids: &[BeadId], reason: Option<&str>) -> Result<Vec<Closed>> {
    in_each_scope(town, ids, "reopen", |change, id| reopen_in(town, change, id, reason))
}

/// As [`reopen`] of one bead, as a part of a larger change.
pub(super) fn reopen_in(town: &Town, change: &mut Change<'_>, id: &BeadId, reason: Option<&str>) -> Result<Closed> {
    let mut bead = match change.archived_bead(id)? {
        Some(archived) => archived,
        None => change.bead(id)?,
    };
    match bead.status {
        Status::Open => return Ok(Closed { bead, convoys: Vec::new(), was_so: true }),
        Status::Closed => {}
        _ => {
            return Err(Error::refused(format!("{id} is {}, not closed", bead.status)).hint(format!("see: gt show {id}")));
        }
    }
    check_settable_type(&bead.issue_type)?;
    bead.become_status(Status::Open, town.now)?;
    if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
        bead.comment(change.rev().to_string(), &town.actor.name, reason, town.now);
    }
    write(town, change, &bead)?;
    Ok(Closed { bead: change.bead_as_written(id)?, convoys: Vec::new(), was_so: false })
}

/// Lets the convoys that track `closed` learn that it is; what that came to is told of each bead.
pub(super) fn settle_convoys(town: &Town, closed: &mut [Closed]) {
    let new = closed.iter().filter(|one| !one.was_so && one.bead.status.is_closed());
    let settled = convoy::after_close(town, new.map(|one| &one.bead.id));
    for one in closed {
        one.convoys.extend(settled.iter().filter(|convoy| convoy.is_news_of(&one.bead.id)).cloned());
    }
}
