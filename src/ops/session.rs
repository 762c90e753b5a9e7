//! Sessions: the agent program of an assignment, started with its identity and nothing it should not inherit.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config;
use crate::env::{self, Var};
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::model::agent::Backend;
use crate::model::hook::Hook;
use crate::name::base36;
use crate::ops::{install, polecat};
use crate::runtime::launch::{self, Launch};
use crate::runtime::process::{self, Session};
use crate::runtime::tmux::Pane;
use crate::town::{RigPlace, Town};

/// The command line that starts an agent of the rig, trusted here and with its program present.
///
/// # Errors
/// Refused, when none is configured or it is not trusted here; external, when its program does not exist.
pub fn command(town: &Town, place: &RigPlace) -> Result<String> {
    let command = config::command(town, Some(place), "agent.command")?.ok_or_else(|| {
        Error::refused("no agent command is configured")
            .hint("set one, for example: gt config set agent.command 'claude -p \"$(gt prime)\"', or only assign with --no-start")
    })?;
    launch::check_program(&command, &place.dir, &[("PATH".to_owned(), search_path(town)?)])?;
    Ok(command)
}

/// Starts the session of an assignment in its sandbox.
///
/// # Errors
/// External, when the program cannot be started; the assignment stands.
pub fn start(town: &Town, place: &RigPlace, hook: &Hook, command: &str) -> Result<Session> {
    let Address::Polecat(_, name) = &hook.agent else {
        return Err(Error::refused(format!("{} has no sandbox to run in", hook.agent)));
    };
    let dir = polecat::sandbox(place, name);
    if !dir.is_dir() {
        return Err(Error::not_found(format!("the sandbox {} is gone", dir.display()))
            .hint(format!("give the bead back and sling it again: gt unsling {}", hook.bead)));
    }
    let session = format!("{name}-{}", base36(u64::try_from(town.now.millis()).unwrap_or(0)));
    let launch = Launch {
        agent: hook.agent.clone(),
        session: session.clone(),
        bead: hook.bead.to_string(),
        command: command.to_owned(),
        dir,
        env: environment(town, place, hook, &session)?,
        log: process::log_path(&town.runtime_dir(), &hook.agent, &session),
        backend: Backend::of(&config::word(town, Some(place), "session.backend")?),
        now: town.now,
    };
    launch::start(&town.runtime_dir(), &launch)
}

/// Starts the session of the agent whose work hangs on its hook, or answers the one that runs.
///
/// # Errors
/// Not found, when nothing hangs on its hook here; as [`start`].
pub fn start_hooked(town: &Town, agent: &Address) -> Result<Session> {
    let nothing = || {
        Error::not_found(format!("nothing is on the hook of {agent}, so there is nothing to start it for"))
            .hint("give it work: gt sling BEAD RIG")
    };
    let place = town.rig(agent.rig().ok_or_else(nothing)?)?;
    let hook = place.ledger.state()?.hook(agent)?.filter(|hook| hook.machine == town.machine).ok_or_else(nothing)?;
    // As a sling does, so that of two that start it one waits and finds it running.
    let _turn = polecat::turn_of(&place, &hook.bead)?;
    start(town, &place, &hook, &command(town, &place)?)
}

/// Starts the mayor's session in its directory, or answers the one that runs.
///
/// # Errors
/// Refused, when no agent command is configured for the town or it is not trusted here; as [`launch::start`].
pub fn start_mayor(town: &Town) -> Result<Session> {
    let agent = Address::Mayor;
    let dir = town.root.join("mayor");
    let command = config::command(town, None, "agent.command")?.ok_or_else(|| {
        Error::refused("no agent command is configured for the town")
            .hint("set one, for example: gt config set agent.command claude; then: gt mayor start")
    })?;
    let pairs = pairs(town, &agent, "")?;
    launch::check_program(&command, &dir, &pairs[..1])?;
    let session = format!("mayor-{}", base36(u64::try_from(town.now.millis()).unwrap_or(0)));
    let launch = Launch {
        log: process::log_path(&town.runtime_dir(), &agent, &session),
        env: finished(pairs, &session, None),
        agent,
        session,
        bead: String::new(),
        command,
        dir,
        backend: Backend::of(&config::word(town, None, "session.backend")?),
        now: town.now,
    };
    launch::start(&town.runtime_dir(), &launch)
}

/// The terminal in which `agent` runs on this machine.
///
/// # Errors
/// Not found, when no session of it runs here; refused, when that has no terminal.
pub fn terminal(town: &Town, agent: &Address) -> Result<Pane> {
    let session = process::find(&town.runtime_dir(), agent)?.ok_or_else(|| {
        Error::not_found(format!("{agent} has no session on this machine")).hint("gt session list shows who runs")
    })?;
    session.pane.ok_or_else(|| {
        Error::refused(format!("the session of {agent} has no terminal")).hint(format!(
            "gt peek {agent} shows what it says; with terminals from the next start on: gt config set session.backend tmux"
        ))
    })
}

fn environment(town: &Town, place: &RigPlace, hook: &Hook, session: &str) -> Result<Vec<(String, OsString)>> {
    let mut pairs = pairs(town, &hook.agent, place.rig.name.as_str())?;
    // git must not find an enclosing repository when the sandbox is gone.
    pairs.push(("GIT_CEILING_DIRECTORIES".into(), place.dir.join("polecats").into()));
    // For the git hook that names it in commits.
    pairs.push(("GT_BEAD".into(), hook.bead.to_string().into()));
    Ok(finished(pairs, session, hook.model.as_deref()))
}

/// Who an agent is; where its programs are comes first.
fn pairs(town: &Town, agent: &Address, rig: &str) -> Result<Vec<(String, OsString)>> {
    let name = match agent {
        Address::Polecat(_, name) => name.to_string(),
        _ => String::new(),
    };
    let agent = agent.to_string();
    Ok(vec![
        ("PATH".into(), search_path(town)?),
        ("GT_ROOT".into(), town.root.clone().into()),
        ("GT_ROLE".into(), agent.clone().into()),
        ("GT_ACTOR".into(), agent.clone().into()),
        ("BD_ACTOR".into(), agent.clone().into()),
        ("GT_RIG".into(), rig.into()),
        ("GT_POLECAT".into(), name.into()),
        ("GIT_AUTHOR_NAME".into(), agent.clone().into()),
        ("GIT_AUTHOR_EMAIL".into(), town.actor.email.clone().into()),
        ("GIT_COMMITTER_NAME".into(), agent.into()),
        ("GIT_COMMITTER_EMAIL".into(), town.actor.email.clone().into()),
    ])
}

/// `pairs` with the session, the model and what goes on from a story.
fn finished(mut pairs: Vec<(String, OsString)>, session: &str, model: Option<&str>) -> Vec<(String, OsString)> {
    pairs.push(("GT_SESSION".into(), session.into()));
    if let Some(model) = model {
        pairs.push(("GT_MODEL".into(), model.into()));
    }
    // The story of a demo or test goes on under its clock and plan in the agents it starts, each with a seed of its own.
    pairs.extend(
        env::inherited(|name| matches!(name, "GT_NOW" | "GT_PLAN_DIR" | "GT_UPKEEP"))
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value))),
    );
    if let Some(seed) = env::text(Var::Seed).and_then(|seed| seed.parse::<u64>().ok()) {
        pairs.push(("GT_SEED".into(), seed_for(seed, session).to_string().into()));
    }
    pairs
}

/// A seed that no other session of the same story has: agents side by side must not draw the same ids.
fn seed_for(seed: u64, session: &str) -> u64 {
    // FNV-1a; the standard library's hasher may change between releases.
    session.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Where an agent's programs are looked up: this program first, then as everywhere.
pub(super) fn search_path(town: &Town) -> Result<OsString> {
    let mut path = OsString::from(programs(town)?);
    if let Some(old) = env::os(Var::Path) {
        path.push(":");
        path.push(old);
    }
    Ok(path)
}

/// The directory with this program under the names that agents call it by: `gt`, `git-gt`, `bd`.
fn programs(town: &Town) -> Result<PathBuf> {
    let dir = town.runtime_dir().join("bin");
    install::create_dir(&dir)?;
    let own = env::executable().or_fail(Kind::Bug, || "find this program's own path")?;
    for name in ["gt", "git-gt", "bd"] {
        link(&own, &dir.join(name))?;
    }
    Ok(dir)
}

fn link(own: &Path, at: &Path) -> Result<()> {
    if std::fs::read_link(at).is_ok_and(|old| old == own) {
        return Ok(());
    }
    // By rename, so that an agent that starts at this moment finds the old or the new one.
    let temporary = at.with_extension(format!("tmp-{}", std::process::id()));
    let _ = std::fs::remove_file(&temporary);
    std::os::unix::fs::symlink(own, &temporary)
        .and_then(|()| std::fs::rename(&temporary, at))
        .or_fail(Kind::Io, || format!("link {}", at.display()))
}

/// Ends the session `id` that this very process runs in, the last thing a command in it does.
///
/// # Errors
/// Io, when the session's record cannot be read.
pub fn end_own(town: &Town, id: &str) -> Result<()> {
    let own = process::find(&town.runtime_dir(), &town.me)?.is_some_and(|session| session.id == id);
    if own {
        // The group that is ended includes this process, so nothing after this line is sure to run.
        process::stop(&town.runtime_dir(), &town.me, 2_000)?;
    }
    Ok(())
}
