//! What becomes of a line whose bead is here, was deleted here, or is new.

use super::{Options, Row};
use crate::error::Result;
use crate::ledger::{Change, tree};
use crate::model::bead::{Bead, Comment, Status};
use crate::model::exchange::{record_of, without_clocks};
use crate::model::record;
use crate::model::tombstone::Tombstone;
use crate::name::BeadId;
use crate::ops::track::create::check_settable_type;
use std::collections::BTreeSet;

/// What becomes of a line.
pub(super) enum Verdict<'r> {
    New(&'r Bead),
    Newer { bead: Box<Bead>, is_freed: bool },
    Unchanged,
    Older,
    DeletedHere,
}

pub(super) fn verdict<'r>(
    change: &Change<'_>,
    row: &'r Row,
    hooked: &BTreeSet<&BeadId>,
    options: &Options,
) -> Result<Verdict<'r>> {
    let path = tree::bead(&row.bead.id);
    let known = match change.before().object(&path)? {
        None => change.before().archived_copy(&path)?.map(|(_, object)| object),
        found => found,
    };
    let Some(object) = known else { return unknown_verdict(change, &row.bead, options) };
    let old: Bead = record::view(&path, &object)?;
    let mut bead = row.bead.clone();
    let known: BTreeSet<&String> = row.bead.comments.iter().map(|comment| &comment.id).collect();
    let ours: Vec<Comment> = old.comments.iter().filter(|comment| !known.contains(&comment.id)).cloned().collect();
    if !ours.is_empty() {
        bead.comments.extend(ours);
        bead.comments.sort_by_key(|comment| comment.created_at);
    }
    let is_held = matches!(old.status, Status::Hooked | Status::InReview) || hooked.contains(&old.id);
    if is_held {
        keep_work(&mut bead, &old);
    }
    if without_clocks(object) == record_of(&bead) {
        return Ok(Verdict::Unchanged);
    }
    if old.updated_at > bead.updated_at && !options.take_older {
        return Ok(Verdict::Older);
    }
    check_settable_type(&old.issue_type)?;
    Ok(Verdict::Newer { bead: Box::new(bead), is_freed: row.was_freed && !is_held })
}

/// What becomes of a bead that is not here: one that was deleted after the line was written stays deleted.
fn unknown_verdict<'r>(change: &Change<'_>, bead: &'r Bead, options: &Options) -> Result<Verdict<'r>> {
    let stays = |stone: &Tombstone| stone.moved_to.is_some() || (stone.deleted_at >= bead.updated_at && !options.take_older);
    Ok(match change.before().tombstone(&bead.id)? {
        Some(stone) if stays(&stone) => Verdict::DeletedHere,
        _ => Verdict::New(bead),
    })
}

/// Gives `bead` the status and holder of `old`, whose work is under way here.
fn keep_work(bead: &mut Bead, old: &Bead) {
    bead.status = old.status.clone();
    bead.assignee.clone_from(&old.assignee);
    bead.assigned_rev.clone_from(&old.assigned_rev);
    bead.started_at = old.started_at;
    bead.lease_until = old.lease_until;
    bead.lease_millis = old.lease_millis;
    bead.defer_until = old.defer_until;
    bead.closed_at = old.closed_at;
    bead.close_reason.clone_from(&old.close_reason);
    bead.closed_by.clone_from(&old.closed_by);
}
