//! Slinging to agents that work where they are: crew, the mayor, dogs. They get no sandbox and no branch of gt's making;
//! bead, hook and agent change in one transaction, and a session that runs is nudged.

use super::assign::record;
use super::{Act, Plan, Slung, asked, fit};
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::model::address::Address;
use crate::model::bead::Bead;
use crate::model::hook::Hook;
use crate::name::BeadId;
use crate::ops::{machine, nudge, refinery, session};
use crate::runtime::process;
use crate::town::Town;

/// Puts the bead on the hook of `agent`.
///
/// # Errors
/// Refused, when the bead lives in another scope than the agent, cannot be slung, or something else is on the hook.
pub(super) fn give(town: &Town, plan: &Plan, ledger: &Ledger, bead_id: &BeadId, agent: &Address) -> Result<Slung> {
    let home = town.ledger_for(agent)?;
    if home.store.dir() != ledger.store.dir() {
        return Err(Error::refused(format!("{bead_id} does not belong to the scope of {agent}"))
            .hint("work is done where its id's prefix belongs: a bead of a rig by its polecats and crew, one of the town by the mayor and dogs"));
    }
    check_options(plan, agent)?;
    let state = ledger.state()?;
    let mut bead = state.bead(bead_id)?;
    bead.wake(town.now)?;
    fit::check_readable_in_full(&state, &bead)?;
    if let Some(hook) = state.hook(agent)? {
        if hook.bead != *bead_id {
            return Err(Error::refused(format!("{agent} already has {} on its hook", hook.bead))
                .hint(format!("take that off first: gt unsling {}", hook.bead)));
        }
        if plan.dry_run {
            return Ok(would(bead_id, Act::Nothing, agent));
        }
        return Ok(told(town, plan, bead_id, agent));
    }
    fit::check(town, plan, &bead)?;
    if plan.dry_run {
        return Ok(would(bead_id, Act::Assign, agent));
    }
    let machine = machine::of_agent(town, agent)?.unwrap_or_else(|| town.machine.clone());
    let mut hook = Hook::new(agent.clone(), bead_id.clone(), &town.actor.name, &machine, town.now);
    hook.target = target(town, &bead, agent)?;
    hook.args.clone_from(&plan.args);
    hook.model.clone_from(&plan.model);
    hook.review_only = plan.review_only;
    let deed = town.deed("sling", format!("sling {bead_id} → {agent}"));
    ledger.transact(&deed, |change| {
        asked::check_not_asked(town, change, bead_id, plan.force)?;
        let prefix = match agent.rig() {
            Some(rig) => town.rig(rig)?.rig.founded_with().clone(),
            None => crate::name::Prefix::hq(),
        };
        record(change, &prefix, &hook)
    })?;
    crate::env::crash_point("sling.assigned");
    Ok(told(town, plan, bead_id, agent))
}

/// Refuses what only a sandbox or a session of its own could follow.
fn check_options(plan: &Plan, agent: &Address) -> Result<()> {
    let own = [(plan.base.is_some(), "--base"), (plan.preset.is_some(), "--agent"), (plan.merge.is_some(), "--merge")];
    match own.iter().find(|(is_said, _)| *is_said) {
        None => Ok(()),
        Some((_, option)) => Err(Error::usage(format!("{option} is for polecats; {agent} works where it is"))
            .hint(format!("leave {option} out, or sling to a rig"))),
    }
}

/// The branch that the work goes to; for what is no work on a rig's branch, none.
fn target(town: &Town, bead: &Bead, agent: &Address) -> Result<String> {
    let Some(rig) = agent.rig() else { return Ok(String::new()) };
    let place = town.rig(rig)?;
    refinery::integration::target_for(&place, &place.ledger.state()?, bead)
}

fn would(bead: &BeadId, act: Act, agent: &Address) -> Slung {
    Slung::Would { bead: bead.clone(), act, target: agent.to_string(), base: None, line: None, touches: Vec::new() }
}

/// Lets the agent know: a session that runs is nudged, the mayor's is started. The assignment stands whether or not
/// that succeeds.
fn told(town: &Town, plan: &Plan, bead: &BeadId, agent: &Address) -> Slung {
    let word = format!("{bead} is on your hook: gt hook shows it, gt prime says what to do.");
    let tell = || -> Result<Option<u32>> {
        if plan.no_start {
            return Ok(None);
        }
        match (process::find(&town.runtime_dir(), agent)?, agent) {
            (None, Address::Mayor) => Ok(Some(session::start_mayor(town)?.session.pid)),
            // Whoever slings to themselves knows.
            (session, _) if *agent == town.me => Ok(session.map(|session| session.pid)),
            (session, _) => {
                nudge::nudge(town, agent, &word, false)?;
                Ok(session.map(|session| session.pid))
            }
        }
    };
    let (pid, fault) = match tell() {
        Ok(pid) => (pid, None),
        Err(error) => (None, Some(error.line())),
    };
    Slung::Given { bead: bead.clone(), agent: agent.clone(), pid, fault }
}
