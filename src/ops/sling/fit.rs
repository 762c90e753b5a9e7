//! Whether a bead may be slung: asked before anything is made for it, and again in the transaction.

use std::collections::BTreeMap;

use super::Plan;
use crate::error::{Error, Result};
use crate::ledger::{State, tree};
use crate::model::bead::{Bead, Status};
use crate::model::brief::Brief;
use crate::model::record;
use crate::ops::track::reach::Reach;
use crate::ops::track::ready;
use crate::town::Town;

/// Whether the bead may be slung at all; asked before the worktree and again in the transaction.
pub(super) fn check(town: &Town, plan: &Plan, bead: &Bead) -> Result<()> {
    check_free(bead)?;
    let blockers = ready::blockers(&mut Reach::new(town), &mut BTreeMap::new(), &Brief::of(bead));
    if blockers.is_empty() || plan.force {
        return Ok(());
    }
    let names: Vec<String> = blockers.iter().map(|blocker| format!("{} ({})", blocker.id, blocker.why)).collect();
    Err(Error::refused(format!("{} is blocked by {}", bead.id, names.join(", "))).hint("finish those first, or add --force"))
}

/// Refuses a record of a newer version before anything is made for it.
pub(super) fn check_readable_in_full(state: &State<'_>, bead: &Bead) -> Result<()> {
    let path = tree::bead(&bead.id);
    state.object(&path)?.map_or(Ok(()), |object| record::check_writable(&path, &object))
}

pub(super) fn check_free(bead: &Bead) -> Result<()> {
    if !bead.issue_type.is_work() {
        return Err(Error::refused(format!("{} is of type {}, which nobody can work on", bead.id, bead.issue_type))
            .hint("sling a task, bug, feature or chore"));
    }
    if bead.status == Status::Open {
        return Ok(());
    }
    let held = bead.assignee.as_deref().map(|who| format!(" by {who}")).unwrap_or_default();
    let hint = match bead.status {
        Status::Closed => format!("reopen it first: gt bead reopen {}", bead.id),
        Status::InReview => "it was handed in; see: gt mq list".to_owned(),
        _ => format!("see: gt show {}", bead.id),
    };
    Err(Error::refused(format!("{} is {}{held} and cannot be slung", bead.id, bead.status)).hint(hint))
}
