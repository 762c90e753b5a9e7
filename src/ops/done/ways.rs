//! The ways of finished work other than waiting in the queue: landing at once, staying on its branch, and
//! ending with words.

use std::path::Path;

use super::{Done, Plan, Work, push_branch, tell_witness};
use crate::error::{Error, Kind, Result};
use crate::git::worktree;
use crate::ledger::{Change, tree};
use crate::model::hook::Hook;
use crate::model::merge_request::{MergeRequest, MrState};
use crate::model::protocol::{Exit, Protocol};
use crate::name::BeadId;
use crate::ops::{convoy, refinery};
use crate::town::{RigPlace, Town};

/// How long another that works the queue is waited for before it is looked at again.
const TURN_MILLIS: u64 = 1_000;

/// Works the queue until the request `mr` is decided; answers the commit that landed.
///
/// # Errors
/// Refused, when it was sent back or waits for something; as [`refinery::run`]. It stays in the queue then.
pub(super) fn land(town: &Town, place: &RigPlace, mr: &BeadId) -> Result<String> {
    loop {
        let seen = place.ledger.tip()?;
        let worked = refinery::run_for(town, place, mr, &mut |_| {});
        let is_others_turn = matches!(&worked, Err(error) if error.kind == Kind::Conflict);
        let request = MergeRequest::of(&place.ledger.state()?.bead(mr)?)?;
        match request.state {
            MrState::Landed => return Ok(request.landed_commit.unwrap_or_default()),
            MrState::Queued | MrState::Held | MrState::Landing if is_others_turn => {
                place.ledger.wait_for_change(seen, TURN_MILLIS)?;
            }
            MrState::Queued | MrState::Held | MrState::Landing => {
                worked?;
                let pull = request.waits_for_pull_request().map(|reference| format!("it waits for pull request {reference}"));
                let why = request.held_reason.or(pull).unwrap_or_else(|| "the target is red or cannot be reached".to_owned());
                return Err(Error::refused(format!("it did not land yet: {why}")).hint(format!("see: gt mq why {mr}")));
            }
            MrState::Evicted | MrState::Withdrawn | MrState::Superseded => {
                return Err(Error::refused(format!("it was {}", request.state.word())).hint(format!("see: gt mq why {mr}")));
            }
        }
    }
}

/// Closes the work and clears the hook; the commits stay on their branch.
pub(super) fn keep(town: &Town, place: &RigPlace, hook: &Hook, work: &Work) -> Result<Done> {
    let (branch, head) = (work.branch.clone(), work.head.to_string());
    let deed = town.deed("done", format!("keep {} on {branch}", hook.bead));
    place.ledger.transact(&deed, |change: &mut Change<'_>| {
        let slot = tree::hook(&hook.agent);
        super::check_hung(change, hook)?;
        change.remove(&slot);
        let mut bead = change.bead(&hook.bead)?;
        bead.close(&town.actor.name, &format!("kept on branch {branch} at {head}"), change.now())?;
        change.put_bead(&bead)?;
        convoy::closed_in(town, change, [&bead.id])?;
        let (bead, branch) = (hook.bead.clone(), branch.clone());
        tell_witness(change, town, &Protocol::PolecatDone { exit: Exit::Completed, bead, mr: None, branch })
    })?;
    crate::env::crash_point("done.kept");
    convoy::after_close(town, [&hook.bead]);
    let warning = push_branch(place, work);
    Ok(Done::Kept { bead: hook.bead.clone(), branch, head, warning })
}

/// Ends work that was only to be looked at: what was found is a comment on the bead, which is closed. Commits that were
/// made all the same stay on their branch.
pub(super) fn reviewed(town: &Town, place: &RigPlace, hook: &Hook, dir: &Path, plan: &Plan) -> Result<Done> {
    let found = plan.message.clone().filter(|text| !text.trim().is_empty()).ok_or_else(|| {
        Error::usage(format!("{} is to be looked at, so it ends with what you found", hook.bead))
            .hint("say it: gt done -m \"what you found\"")
    })?;
    let (branch, head) = worktree::head(dir)?;
    let tip = place.ledger.store.read_ref(&format!("refs/heads/{}", hook.target))?;
    let has_own = tip.is_some_and(|tip| !place.ledger.store.is_ancestor(head, tip).unwrap_or(false));
    let branch = branch.filter(|_| has_own);
    let deed = town.deed("done", format!("end the review {}", hook.bead));
    place.ledger.transact(&deed, |change: &mut Change<'_>| {
        super::check_hung(change, hook)?;
        change.remove(&tree::hook(&hook.agent));
        let mut bead = change.bead(&hook.bead)?;
        bead.comment(format!("review-{}", change.rev()), &town.actor.name, &found, change.now());
        bead.close(&town.actor.name, "reviewed", change.now())?;
        change.put_bead(&bead)?;
        convoy::closed_in(town, change, [&bead.id])?;
        let (bead, branch) = (hook.bead.clone(), branch.clone().unwrap_or_default());
        tell_witness(change, town, &Protocol::PolecatDone { exit: Exit::Completed, bead, mr: None, branch })
    })?;
    crate::env::crash_point("done.kept");
    convoy::after_close(town, [&hook.bead]);
    Ok(Done::Reviewed { bead: hook.bead.clone(), branch })
}
