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
use crate::time::Moment;
use std::collections::BTreeSet;

/// What becomes of a line.
pub(super) enum Verdict<'r> {
    New(&'r Bead),
    Newer { bead: Box<Bead>, is_freed: bool, was_closed: bool },
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
    let is_held = is_under_way(&old, hooked, change.now());
    if is_held {
        bead.stand_as(&old)?;
    }
    if without_clocks(object) == record_of(&bead) {
        return Ok(Verdict::Unchanged);
    }
    if old.updated_at > bead.updated_at && !options.take_older {
        return Ok(Verdict::Older);
    }
    check_settable_type(&old.issue_type)?;
    Ok(Verdict::Newer { bead: Box::new(bead), is_freed: row.was_freed && !is_held, was_closed: old.status.is_closed() })
}

/// What becomes of a bead that is not here: one that was deleted after the line was written stays deleted.
fn unknown_verdict<'r>(change: &Change<'_>, bead: &'r Bead, options: &Options) -> Result<Verdict<'r>> {
    let stays = |stone: &Tombstone| stone.moved_to.is_some() || (stone.deleted_at >= bead.updated_at && !options.take_older);
    Ok(match change.before().tombstone(&bead.id)? {
        Some(stone) if stays(&stone) => Verdict::DeletedHere,
        _ => Verdict::New(bead),
    })
}

/// Whether work on a bead is under way here. What came in as somebody's elsewhere, and was not claimed here since, is not.
fn is_under_way(old: &Bead, hooked: &BTreeSet<&BeadId>, now: Moment) -> bool {
    let is_claimed = || old.assignee.is_some() && old.assigned_rev.is_some() && !old.has_lease_ended(now);
    match old.status {
        Status::Hooked | Status::InReview => true,
        Status::InProgress if is_claimed() => true,
        _ => hooked.contains(&old.id),
    }
}
