//! The last look at the commits of a landing: each is of the form that its request asked for and changes no path that
//! its request did not change.

use gix::ObjectId;

use super::cut::{self, Cut, Cutting};
use super::look::Request;
use crate::error::Result;
use crate::git::commits;
use crate::git::merge::Stacker;
use crate::model::merge_request::Mode;
use crate::store::Store;

/// What is wrong with the commits of `request`, which may be built upon the heads `elders`, after `below` up to `commit`,
/// on a target that is at `old`.
///
/// # Errors
/// Corrupt, when history cannot be read; external, when git cannot tell what was renamed.
pub(super) fn fault(
    store: &Store,
    stacker: &mut Stacker<'_>,
    (request, elders): (&Request, &[ObjectId]),
    old: ObjectId,
    (below, commit): (ObjectId, ObjectId),
) -> Result<Option<String>> {
    let head = request.head()?;
    if request.mr.mode == Mode::Ff {
        let is_forward = commit == head && store.is_ancestor(below, commit)?;
        return Ok((!is_forward).then(|| "would not land as the commits that were handed in".to_owned()));
    }
    let cut = match cut::cut(store, stacker, old, request, elders)? {
        Cutting::Whole(cut) => cut,
        Cutting::Contained => return Ok(Some("is in the target already".to_owned())),
        Cutting::Unfit(why) => return Ok(Some(format!("cannot land: {why}"))),
    };
    // A base that had to be merged first is read from the store below.
    stacker.flush()?;
    let mut at = commit;
    for _ in 0..=cut.steps.len() {
        if at == below {
            return Ok(None);
        }
        let parents = commits::parents(store, at)?;
        let Some(first) = parents.first().copied() else { break };
        if let Some(why) = wrong(store, request, &cut, (below, first, at), &parents[1..])? {
            return Ok(Some(why));
        }
        at = first;
    }
    Ok(Some("has commits that do not stand on those below".to_owned()))
}

/// What is wrong with the commit `at` on `first`, whose other parents are `others`.
fn wrong(
    store: &Store,
    request: &Request,
    cut: &Cut,
    (below, first, at): (ObjectId, ObjectId, ObjectId),
    others: &[ObjectId],
) -> Result<Option<String>> {
    let expected: &[ObjectId] = if request.mr.mode == Mode::Merge { &[request.head()?] } else { &[] };
    if others != expected {
        return Ok(Some("would bring history that was not handed in".to_owned()));
    }
    let [below, before, after] = [below, first, at].map(|id| store.tree_of(id));
    let foreign = cut.foreign_paths(store, below?, (before?, after?))?;
    Ok((!foreign.is_empty()).then(|| format!("would change {}", foreign.join(", "))))
}
