//! The assignment: a sandbox on a fresh branch, then bead, hook and agent in one transaction.

use gix::ObjectId;

use super::fit::check_free;
use super::{Plan, asked};
use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::{Change, tree};
use crate::model::address::Address;
use crate::model::agent::Agent;
use crate::model::bead::{Bead, Status};
use crate::model::hook::Hook;
use crate::name::{Prefix, base36};
use crate::ops::polecat::{self, Prepared, Taken};
use crate::ops::{refinery, shims};
use crate::town::{RigPlace, Town};

/// Where an assignment begins.
pub(super) struct Start {
    /// The branch that its work goes to.
    pub(super) target: String,
    /// The newest commit of that.
    pub(super) tip: ObjectId,
    /// The commit that its sandbox begins at.
    pub(super) base: ObjectId,
}

/// Where the assignment of `bead` begins: at the branch that is named, else at its target.
///
/// # Errors
/// Not found, when there is no such branch.
pub(super) fn start_of(plan: &Plan, place: &RigPlace, bead: &Bead) -> Result<Start> {
    let target = refinery::integration::target_for(place, &place.ledger.state()?, bead)?;
    let tip_of = |branch: &str| {
        refinery::integration::tip_of(place, branch)?
            .or_fail(Kind::NotFound, || format!("find the branch {} of rig {}", branch.escape_debug(), place.rig.name))
    };
    let tip = tip_of(&target)?;
    let base = plan.base.as_deref().map_or(Ok(tip), tip_of)?;
    Ok(Start { target, tip, base })
}

/// How many polecats of the rig have work on this machine.
pub(super) fn working(hooks: &[Hook], machine: &str) -> usize {
    hooks.iter().filter(|hook| hook.machine == machine && matches!(hook.agent, Address::Polecat(..))).count()
}

/// Refuses one assignment more than may be, when others were made since it was counted.
fn check_room(change: &Change<'_>, plan: &Plan, place: &RigPlace) -> Result<()> {
    let Some(at_most) = plan.at_most else { return Ok(()) };
    let working = working(&change.before().hooks()?, place.ledger.machine());
    if working < usize::try_from(at_most).unwrap_or(usize::MAX) {
        return Ok(());
    }
    Err(Error::conflict(format!("{working} polecats of {} got work meanwhile", place.rig.name))
        .hint("try again when one has ended"))
}

/// Makes the sandbox and records the assignment; takes the sandbox back when that is refused.
pub(super) fn assign(
    town: &Town,
    plan: &Plan,
    place: &RigPlace,
    taken: &Taken,
    bead: &Bead,
    start: &Start,
) -> Result<(Hook, Prepared)> {
    let Start { target, tip, base } = start;
    let Address::Polecat(_, name) = &taken.address else {
        return Err(Error::bug(format!("{} was taken as a polecat", taken.address)));
    };
    let stamp = base36(u64::try_from(town.now.millis()).unwrap_or(0));
    let branch = format!("polecat/{name}/{}@{stamp}{}", bead.id, base36(fastrand::u64(..36 * 36)));
    shims::before_work(town, place, target);
    let prepared = taken.prepare(town, place, &branch, *base, *tip)?;
    crate::env::crash_point("sling.worktree");
    let mut hook = Hook::new(taken.address.clone(), bead.id.clone(), &town.actor.name, &town.machine, town.now);
    hook.branch.clone_from(&branch);
    hook.target.clone_from(target);
    hook.args.clone_from(&plan.args);
    hook.model.clone_from(&plan.model);
    hook.preset.clone_from(&plan.preset);
    hook.merge = plan.merge;
    hook.review_only = plan.review_only;
    let deed = town.deed("sling", format!("sling {} → {}", bead.id, taken.address));
    let recorded = place.ledger.transact(&deed, |change| {
        asked::check_not_asked(town, change, &bead.id, plan.force)?;
        check_room(change, plan, place)?;
        record(change, place.rig.founded_with(), &hook)
    });
    if let Err(error) = recorded {
        // A sync that fails after the ref moved is an error too, but the assignment stands then.
        let stands = place.ledger.state().and_then(|state| state.hook(&taken.address));
        if stands.is_ok_and(|stands| stands.is_none_or(|stands| !stands.is_same(&hook))) {
            taken.undo(place, &branch, *base);
        }
        return Err(polecat::naming(error, prepared.saved.as_ref()));
    }
    Ok((hook, prepared))
}

pub(super) fn record(change: &mut Change<'_>, prefix: &Prefix, hook: &Hook) -> Result<()> {
    let mut bead = change.bead(&hook.bead)?;
    bead.wake(change.now())?;
    check_free(&bead)?;
    let slot = tree::hook(&hook.agent);
    if let Some(other) = change.get::<Hook>(&slot)? {
        return Err(Error::conflict(format!("{} got {} on its hook meanwhile", hook.agent, other.bead)).hint("try again"));
    }
    bead.become_status(Status::Hooked, change.now())?;
    bead.assignee = Some(hook.agent.to_string());
    bead.assigned_rev = Some(change.rev().clone());
    bead.give_out(hook.model.as_deref(), change.now());
    change.put_bead(&bead)?;
    change.put(&slot, hook)?;
    let request = tree::request(&hook.bead);
    if change.has(&request)? {
        change.remove(&request);
    }
    let agent_id = hook.agent.bead_id(prefix);
    if !change.has(&tree::bead(&agent_id))? {
        let agent = Agent::bead(&hook.agent, prefix, &hook.machine, &hook.slung_by, change.now())?;
        change.put(&tree::bead(&agent_id), &agent)?;
    }
    Ok(())
}
