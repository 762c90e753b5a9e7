//! Off the hook: a bead is taken back from its agent, what the agent made is saved first.

use schemars::JsonSchema;
use serde::Serialize;

use super::asked;
use super::target::Target;
use crate::error::{Error, Result};
use crate::git::salvage::Next;
use crate::ledger::{Ledger, State};
use crate::model::address::Address;
use crate::model::bead::Status;
use crate::model::hook::Hook;
use crate::name::BeadId;
use crate::ops::polecat::{self, Ground};
use crate::runtime::process;
use crate::town::Town;

/// What `gt unsling` did.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Unslung {
    /// The bead.
    pub bead: BeadId,
    /// Where it stands now: open again, unless it was handed in or closed before.
    pub status: Status,
    /// Who had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Address>,
    /// The machine that was asked to sling it, and is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// The ref that keeps what its sandbox held, when it held something unsaved.
    pub salvage: Option<String>,
}

/// Takes a bead off the hook it hangs on: session ended, work saved, bead open. An agent that works where it is keeps its
/// session, and nothing of its own is touched.
///
/// # Errors
/// Refused, when it is on no hook, or on that of another machine's agent.
pub fn unsling(town: &Town, text: &str) -> Result<Unslung> {
    let (ledger, bead) = town.resolve_bead(text)?;
    let nobody = || Error::refused(format!("{bead} is on nobody's hook")).hint(format!("see: gt show {bead}"));
    let Some(hook) = ledger.state()?.hooks()?.into_iter().find(|hook| hook.bead == bead) else {
        let taken_back = asked::take_back(town, &bead)?.ok_or_else(nobody)?;
        let status = ledger.state()?.bead(&bead)?.status;
        return Ok(Unslung { bead, status, agent: None, asked: Some(taken_back), salvage: None });
    };
    if !matches!(hook.agent, Address::Polecat(..)) {
        let status = polecat::release(town, &ledger, &hook.agent, &bead, None)?.ok_or_else(nobody)?;
        return Ok(Unslung { bead, status, agent: Some(hook.agent), asked: None, salvage: None });
    }
    take_off(town, &bead, &hook.agent, &|_| Ok(true))?.ok_or_else(nobody)
}

/// Takes `bead` off the hook of the polecat `agent`, when `may` says so with the polecat in hand; `None`, when it does not,
/// or the bead hangs there no more.
///
/// # Errors
/// Refused, when that is another machine's; conflict, when another command is busy with it.
pub(super) fn take_off(
    town: &Town,
    bead: &BeadId,
    agent: &Address,
    may: &dyn Fn(&Hook) -> Result<bool>,
) -> Result<Option<Unslung>> {
    let Address::Polecat(rig, name) = agent else { return Ok(None) };
    let place = town.rig(rig)?;
    let held = polecat::hold(&place, agent)?;
    let Some(hook) = held.hook.as_ref().filter(|hook| hook.bead == *bead) else { return Ok(None) };
    if hook.machine != town.machine {
        return Err(Error::refused(format!("{bead} is on the hook of {agent}, whose machine is {}", hook.machine))
            .hint("unsling it there"));
    }
    if !may(hook)? {
        return Ok(None);
    }
    process::stop(&town.runtime_dir(), agent, 5_000)?;
    let dir = polecat::sandbox(&place, name);
    let is_there = polecat::ground(&place, &dir)? == Ground::Worktree;
    let saved = if is_there { polecat::save(town, &place, agent, &dir, Next::Nothing)? } else { None };
    // Its own hand-in may have been faster than the end of its session.
    let released = polecat::release(town, &place.ledger, agent, bead, saved.as_ref());
    let Some(status) = released.map_err(|error| polecat::naming(error, saved.as_ref()))? else { return Ok(None) };
    let salvage = saved.map(|saved| saved.ref_name);
    Ok(Some(Unslung { bead: bead.clone(), status, agent: Some(agent.clone()), asked: None, salvage }))
}

/// Gives a bead back that hangs on a polecat of this machine whose session is dead, so that another may have it. Tells
/// what its sandbox held, when anything; nothing is done where it is not sure that nobody works.
///
/// # Errors
/// Conflict, when another command is busy with it.
pub(super) fn give_back_of_dead(town: &Town, ledger: &Ledger, bead: &BeadId, target: &Target) -> Result<Option<Unslung>> {
    let Some(hook) = dead_hook(town, &ledger.state()?, bead, target)? else { return Ok(None) };
    take_off(town, bead, &hook.agent, &|hook| is_dead(town, hook))
}

/// The hook that `bead` hangs on, when that is another polecat's than `target` means, of this machine and dead.
///
/// # Errors
/// Corrupt, when hooks cannot be read.
pub(super) fn dead_hook(town: &Town, state: &State<'_>, bead: &BeadId, target: &Target) -> Result<Option<Hook>> {
    let is_elsewhere = |agent: &Address| match target {
        // Slung to its rig again, its own session is started again.
        Target::AnyOf(place) => agent.rig() != Some(&place.rig.name),
        Target::One(_, named) | Target::Seat(named) => named != agent,
    };
    let hook = state.hooks()?.into_iter().find(|hook| hook.bead == *bead);
    let ours = hook.filter(|hook| hook.machine == town.machine && is_elsewhere(&hook.agent));
    match ours {
        Some(hook) if matches!(hook.agent, Address::Polecat(..)) && is_dead(town, &hook)? => Ok(Some(hook)),
        Some(_) | None => Ok(None),
    }
}

/// Whether the session of this assignment ran here and is dead, by two signs: the process that was recorded for it is
/// gone, and no process carries its mark. An assignment that was never started is not dead.
fn is_dead(town: &Town, hook: &Hook) -> Result<bool> {
    let last = process::last(&town.runtime_dir(), &hook.agent)?;
    Ok(last.is_some_and(|session| session.bead == hook.bead.as_str() && session.started_at >= hook.slung_at && session.is_gone()))
}
