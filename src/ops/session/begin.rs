//! Sessions begun: of an assignment, of the mayor, of crew; and begun again.

use std::path::PathBuf;

use super::{Run, Started, choose, choose_for};
use crate::error::{Error, Result};
use crate::model::address::Address;
use crate::model::hook::Hook;
use crate::ops::control::{self, halt};
use crate::ops::{costs, outfit, polecat};
use crate::runtime::{process, spawns};
use crate::town::{RigPlace, Town};

/// Starts the session of an assignment in its sandbox.
///
/// # Errors
/// External, when the program cannot be started; the assignment stands.
pub fn start(town: &Town, place: &RigPlace, hook: &Hook, run: &Run) -> Result<Started> {
    let Address::Polecat(_, name) = &hook.agent else {
        return Err(Error::refused(format!("{} has no sandbox to run in", hook.agent)));
    };
    control::check_awake(place, &hook.agent)?;
    let dir = polecat::sandbox(place, name);
    if !dir.is_dir() {
        return Err(Error::not_found(format!("the sandbox {} is gone", dir.display()))
            .hint(format!("give the bead back and sling it again: gt unsling {}", hook.bead)));
    }
    let more = vec![
        // git must not find an enclosing repository when the sandbox is gone.
        ("GIT_CEILING_DIRECTORIES".into(), place.dir.join("polecats").into()),
        ("GT_SLOT".into(), outfit::slot_of(town, &hook.agent)?.to_string().into()),
        // For the git hook that names it in commits.
        ("GT_BEAD".into(), hook.bead.to_string().into()),
    ];
    run.begin(town, &hook.agent, hook.bead.as_str(), dir, more)
}

/// Starts the session of the agent whose work hangs on its hook, or answers the one that runs.
///
/// # Errors
/// Not found, when nothing hangs on its hook here; as [`start`].
pub fn start_hooked(town: &Town, agent: &Address) -> Result<Started> {
    let (place, hook, run) = hooked(town, agent)?;
    // As a sling does, so that of two that start it one waits and finds it running.
    let _turn = polecat::turn_of(&place, &hook.bead)?;
    // Whoever had the turn before may have taken the work off the hook.
    if !place.ledger.state()?.hook(agent)?.is_some_and(|now| now.is_same(&hook)) {
        return Err(Error::conflict(format!("{} has just been taken off the hook of {agent}", hook.bead))
            .hint("gt hook shows what is there now"));
    }
    start(town, &place, &hook, &run)
}

/// What the agent's session on this machine works on, and how it is run.
fn hooked(town: &Town, agent: &Address) -> Result<(RigPlace, Hook, Run)> {
    let nothing = || {
        Error::not_found(format!("nothing is on the hook of {agent}, so there is nothing to start it for"))
            .hint("give it work: gt sling BEAD RIG")
    };
    let place = town.rig(agent.rig().ok_or_else(nothing)?)?;
    let hook = place.ledger.state()?.hook(agent)?.filter(|hook| hook.machine == town.machine).ok_or_else(nothing)?;
    let run = choose(town, &place, hook.preset.as_deref(), hook.model.as_deref())?;
    run.check_program(town, &place.dir)?;
    Ok((place, hook, run))
}

/// Refuses what [`start_again`] would: to be asked before a session is ended.
///
/// # Errors
/// As [`start_again`], but for what only the start itself can show.
pub fn check_again(town: &Town, agent: &Address) -> Result<()> {
    match agent {
        Address::Mayor => {
            mayors(town)?.1.check_account(town)?;
            costs::check(town, None, None)
        }
        _ => {
            let (place, hook, run) = hooked(town, agent)?;
            run.check_account(town)?;
            costs::check(town, Some(&place), Some(&hook.bead))
        }
    }
}

/// Starts the session of `agent` that was just ended, with its hook as it is.
///
/// # Errors
/// As [`start_mayor`] and [`start_hooked`].
pub fn start_again(town: &Town, agent: &Address) -> Result<Started> {
    match agent {
        Address::Mayor => start_mayor(town),
        _ => start_hooked(town, agent),
    }
}

/// Whether an agent is set for the mayor to be.
///
/// # Errors
/// Refused, when it is not trusted here; corrupt, when configuration cannot be read.
pub fn has_mayor(town: &Town) -> Result<bool> {
    Ok(choose_for(town, None, "mayor", None, None)?.is_some())
}

/// As [`start_hooked`], when a session ended that should not have: so often and no more.
///
/// # Errors
/// Refused, when it was started too often, or too many work here; as [`start_hooked`].
pub fn respawn(town: &Town, agent: &Address) -> Result<Started> {
    let runtime_dir = town.runtime_dir();
    let runs = process::find(&runtime_dir, agent)?.is_some();
    let place = agent.rig().filter(|_| !runs).map(|rig| town.rig(rig)).transpose()?;
    let hook = place.as_ref().map(|place| place.ledger.state()?.hook(agent)).transpose()?.flatten();
    if let (Some(place), Some(hook)) = (&place, &hook) {
        polecat::pool::check_start(town, place, &hook.bead)?;
    }
    let started = start_hooked(town, agent)?;
    if let Some(hook) = hook {
        spawns::add(&runtime_dir, &hook.bead)?;
    }
    Ok(started)
}

/// Starts the mayor's session in its directory, or answers the one that runs.
///
/// # Errors
/// Refused, when no agent is configured for the town or it is not trusted here; as [`launch::start`].
pub fn start_mayor(town: &Town) -> Result<Started> {
    let (dir, run) = mayors(town)?;
    run.begin(town, &Address::Mayor, "", dir, Vec::new())
}

/// Where the mayor's session runs, and how.
fn mayors(town: &Town) -> Result<(PathBuf, Run)> {
    halt::check(town, None)?;
    let dir = town.root.join("mayor");
    let run = choose_for(town, None, "mayor", None, None)?.ok_or_else(|| {
        Error::refused("no agent command is configured for the town").hint(
            "choose an agent: gt config set agent.preset claude, or set a line of your own: gt config set agent.command '…'; then: gt mayor start",
        )
    })?;
    run.check_program(town, &dir)?;
    Ok((dir, run))
}

/// Starts a session of crew in its clone at `dir`, or answers the one that runs; `named` is the agent asked for.
///
/// # Errors
/// Refused, when no agent is configured or it is not trusted here; as [`launch::start`].
pub(in crate::ops) fn start_crew(
    town: &Town,
    place: &RigPlace,
    agent: &Address,
    dir: PathBuf,
    named: Option<&str>,
) -> Result<Started> {
    halt::check(town, Some(&place.rig.name))?;
    let run = choose_for(town, Some(place), "crew", named, None)?.ok_or_else(|| {
        Error::refused("no agent command is configured for crew")
            .hint(format!("choose an agent: gt config set agent.crew.preset claude --rig {}", place.rig.name))
    })?;
    run.check_program(town, &dir)?;
    let more = vec![
        ("GIT_CEILING_DIRECTORIES".into(), place.dir.join("crew").into()),
        ("GT_SLOT".into(), outfit::slot_of(town, agent)?.to_string().into()),
    ];
    run.begin(town, agent, "", dir, more)
}
