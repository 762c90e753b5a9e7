//! Sessions: the agent program of an assignment, started with its identity and nothing it should not inherit.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config;
use crate::env::{self, Var};
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::model::hook::Hook;
use crate::name::base36;
use crate::ops::{install, polecat};
use crate::runtime::process::{self, Launch, Session};
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
    process::check_program(&command, &place.dir, &[("PATH".to_owned(), search_path(town)?)])?;
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
        now: town.now,
    };
    process::start(&town.runtime_dir(), &launch)
}

fn environment(town: &Town, place: &RigPlace, hook: &Hook, session: &str) -> Result<Vec<(String, OsString)>> {
    let agent = hook.agent.to_string();
    let name = match &hook.agent {
        Address::Polecat(_, name) => name.to_string(),
        _ => String::new(),
    };
    let mut pairs: Vec<(String, OsString)> = vec![
        ("PATH".into(), search_path(town)?),
        ("GT_ROOT".into(), town.root.clone().into()),
        ("GT_ROLE".into(), agent.clone().into()),
        ("GT_ACTOR".into(), agent.clone().into()),
        ("BD_ACTOR".into(), agent.clone().into()),
        ("GT_RIG".into(), place.rig.name.to_string().into()),
        ("GT_POLECAT".into(), name.into()),
        ("GT_SESSION".into(), session.into()),
        ("GIT_AUTHOR_NAME".into(), agent.clone().into()),
        ("GIT_AUTHOR_EMAIL".into(), town.actor.email.clone().into()),
        ("GIT_COMMITTER_NAME".into(), agent.into()),
        ("GIT_COMMITTER_EMAIL".into(), town.actor.email.clone().into()),
        // git must not find an enclosing repository when the sandbox is gone.
        ("GIT_CEILING_DIRECTORIES".into(), place.dir.join("polecats").into()),
    ];
    if let Some(model) = &hook.model {
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
    Ok(pairs)
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
