//! Sessions: the agent program of an assignment, started with its identity and nothing it should not inherit.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{self, Chosen};
use crate::env::{self, Var};
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::model::agent::Backend;
use crate::model::hook::Hook;
use crate::model::wrapper;
use crate::name::base36;
use crate::ops::control::{self, halt};
use crate::ops::runtime_hooks::{self, Gift};
use crate::ops::{account, costs, install, outfit, polecat};
use crate::runtime::launch::{self, Launch, Line};
use crate::runtime::process::{self, Session};
use crate::runtime::spawns;
use crate::runtime::tmux::Pane;
use crate::town::{RigPlace, Town};

/// How long a session has to end by itself when it is told to.
pub const GRACE_MILLIS: u64 = 5_000;

/// What is to be started, and how.
#[derive(Clone, Debug)]
pub struct Run {
    line: Line,
    backend: Backend,
    /// The model, by flag when the agent has one, and as `GT_MODEL`.
    model: Option<String>,
    /// The agent by name, and the variables of its preset.
    agent: Option<(String, BTreeMap<String, String>)>,
    /// What runs it, when something does: a sandbox, before its places are filled in.
    wrapper: Vec<String>,
    /// What is typed when the terminal shows the sign.
    typed: Option<(String, String)>,
    /// The runtime hooks that it is given.
    hooks: Gift,
    /// The colours of its status line; empty: those of its role.
    style: String,
}

/// A session that runs.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Started {
    /// It.
    #[serde(flatten)]
    pub session: Session,
    /// Whether its first words were seen in its terminal, when they were typed there by this start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_prompted: Option<bool>,
}

/// The agent for a polecat of the rig: the one that is `named` by a sling or its hook, else what is configured and
/// trusted here.
///
/// # Errors
/// Refused, when none is configured or it is not trusted here, or does not run on the rig's backend or with the model.
pub fn choose(town: &Town, place: &RigPlace, named: Option<&str>, model: Option<&str>) -> Result<Run> {
    let run = choose_for(town, Some(place), "polecat", named, model)?;
    run.ok_or_else(|| {
        Error::refused("no agent command is configured").hint(format!(
            "choose an agent: gt config set agent.preset claude --rig {0}, or set a line of your own: gt config set agent.command '…' --rig {0}; or only assign with --no-start",
            place.rig.name
        ))
    })
}

fn choose_for(
    town: &Town,
    place: Option<&RigPlace>,
    role: &str,
    named: Option<&str>,
    model: Option<&str>,
) -> Result<Option<Run>> {
    let Some(chosen) = config::chosen(town, place, role, named)? else { return Ok(None) };
    let backend = Backend::of(&config::word(town, place, "session.backend")?);
    let style = config::word(town, place, &format!("session.style.{role}"))?;
    let usual = config::model(town, place, role)?;
    let model = model.map(str::to_owned).or(Some(usual).filter(|usual| !usual.is_empty()));
    let name = match &chosen {
        Chosen::Command(_) => None,
        Chosen::Agent(preset) => Some(preset.name.as_str()),
    };
    let wrapper = config::wrapper(town, place, name)?;
    Ok(Some(match chosen {
        Chosen::Command(line) => {
            Run { line: Line::Shell(line), backend, model, agent: None, wrapper, typed: None, hooks: Gift::default(), style }
        }
        Chosen::Agent(mut preset) => {
            let hooks = runtime_hooks::gift(town, place, role, &preset.name)?;
            hooks.give(&mut preset);
            let start = preset.start(backend, model.as_deref())?;
            Run {
                line: Line::Words { agent: preset.name.clone(), words: start.words, input: start.input },
                backend,
                model,
                wrapper,
                typed: start.typed.map(|text| (preset.ready.clone(), text)),
                agent: Some((preset.name, preset.env)),
                hooks,
                style,
            }
        }
    }))
}

impl Run {
    /// Its command line, as people read it.
    #[must_use]
    pub fn text(&self) -> String {
        self.line.text()
    }

    /// Refuses a program that is not there, before anything is assigned to it.
    ///
    /// # Errors
    /// External, naming the program and how to choose another.
    pub fn check_program(&self, town: &Town, dir: &Path) -> Result<()> {
        launch::check_program(&self.wrapped(town, dir, dir)?, dir, &[("PATH".to_owned(), search_path(town)?)])
    }

    /// Its line for `dir`, a worktree of the repository `repo`.
    fn wrapped(&self, town: &Town, dir: &Path, repo: &Path) -> Result<Line> {
        if self.wrapper.is_empty() {
            return Ok(self.line.clone());
        }
        let place = wrapper::Place { dir, build: dir, repo, town: &town.root };
        Ok(Line::Wrapped { wrapper: wrapper::words(&self.wrapper, place)?, inner: Box::new(self.line.clone()) })
    }

    /// Refuses an agent whose account may do no more for a while, before anything is assigned to it.
    ///
    /// # Errors
    /// As [`account::pick`].
    pub fn check_account(&self, town: &Town) -> Result<()> {
        self.agent.as_ref().map_or(Ok(()), |(name, _)| account::pick(town, name).map(drop))
    }

    /// Starts it, or answers the session that runs; types the first words of a new one into its terminal.
    fn start(&self, town: &Town, launch: &Launch) -> Result<Started> {
        halt::check(town, launch.agent.rig())?;
        self.hooks.lay(town)?;
        let repo = match launch.agent.rig() {
            Some(rig) => town.root.join(rig.as_str()).join(".repo.git"),
            None => town.root.join(".repo.git"),
        };
        let mut launch = Launch { line: self.wrapped(town, &launch.dir, &repo)?, ..launch.clone() };
        let mut taken = None;
        // What runs already is no start.
        if process::find(&town.runtime_dir(), &launch.agent)?.is_none() {
            if let Some((name, _)) = &self.agent {
                let own = || account::Taken { name: account::OWN.to_owned(), vars: Vec::new() };
                let account::Taken { name: account, vars } = account::pick(town, name)?.unwrap_or_else(own);
                launch.env.extend(vars);
                taken = Some((name, account));
            }
            costs::start(town, &launch.agent, &launch.session, &launch.bead)?;
        }
        let session = launch::start(&town.runtime_dir(), &launch)?;
        if let Err(error) = halt::check(town, launch.agent.rig()) {
            // A stop that came meanwhile may have looked for sessions before this one was there.
            process::stop(&town.runtime_dir(), &launch.agent, 0)?;
            return Err(error);
        }
        let is_new = session.id == launch.session;
        if let Some((agent, account)) = taken.filter(|_| is_new)
            && let Err(error) = account::note(town, &session.id, agent, &account)
        {
            tracing::warn!("the account of {} was not noted: {}", session.id, error.line());
        }
        let is_prompted = match (&session.pane, &self.typed) {
            (Some(pane), Some((ready, text))) if is_new => Some(first_words(pane, ready, text)?),
            _ => None,
        };
        Ok(Started { session, is_prompted })
    }
}

/// Types the first words when the terminal is ready, or looks long enough as if it were; tells whether they were seen.
fn first_words(pane: &Pane, ready: &str, text: &str) -> Result<bool> {
    match pane.settle(ready).and_then(|is_ready| pane.type_line(text).map(|is_shown| is_ready && is_shown)) {
        // It ended before it could be told anything; that it did is seen where sessions are listed.
        Err(error) if error.kind == Kind::NotFound => Ok(false),
        told => told,
    }
}

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
    let session = format!("{name}-{}", base36(u64::try_from(town.now.millis()).unwrap_or(0)));
    let launch = Launch {
        agent: hook.agent.clone(),
        session: session.clone(),
        bead: hook.bead.to_string(),
        line: run.line.clone(),
        dir,
        env: environment(town, place, hook, &session, run)?,
        log: process::log_path(&town.runtime_dir(), &hook.agent, &session),
        backend: run.backend,
        style: run.style.clone(),
        now: town.now,
    };
    run.start(town, &launch)
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
    let agent = Address::Mayor;
    let (dir, run) = mayors(town)?;
    let session = format!("mayor-{}", base36(u64::try_from(town.now.millis()).unwrap_or(0)));
    let launch = Launch {
        log: process::log_path(&town.runtime_dir(), &agent, &session),
        env: finished(pairs(town, &agent, "")?, &session, &run),
        agent,
        session,
        bead: String::new(),
        line: run.line.clone(),
        dir,
        backend: run.backend,
        style: run.style.clone(),
        now: town.now,
    };
    run.start(town, &launch)
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
pub(super) fn start_crew(town: &Town, place: &RigPlace, agent: &Address, dir: PathBuf, named: Option<&str>) -> Result<Started> {
    halt::check(town, Some(&place.rig.name))?;
    let run = choose_for(town, Some(place), "crew", named, None)?.ok_or_else(|| {
        Error::refused("no agent command is configured for crew")
            .hint(format!("choose an agent: gt config set agent.crew.preset claude --rig {}", place.rig.name))
    })?;
    run.check_program(town, &dir)?;
    let Address::Crew(_, name) = agent else { return Err(Error::usage(format!("{agent} is no crew"))) };
    let session = format!("{name}-{}", base36(u64::try_from(town.now.millis()).unwrap_or(0)));
    let mut env = pairs(town, agent, place.rig.name.as_str())?;
    env.push(("GIT_CEILING_DIRECTORIES".into(), place.dir.join("crew").into()));
    env.push(("GT_SLOT".into(), outfit::slot_of(town, agent)?.to_string().into()));
    let launch = Launch {
        log: process::log_path(&town.runtime_dir(), agent, &session),
        env: finished(env, &session, &run),
        agent: agent.clone(),
        session,
        bead: String::new(),
        line: run.line.clone(),
        dir,
        backend: run.backend,
        style: run.style.clone(),
        now: town.now,
    };
    run.start(town, &launch)
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

fn environment(town: &Town, place: &RigPlace, hook: &Hook, session: &str, run: &Run) -> Result<Vec<(String, OsString)>> {
    let mut pairs = pairs(town, &hook.agent, place.rig.name.as_str())?;
    // git must not find an enclosing repository when the sandbox is gone.
    pairs.push(("GIT_CEILING_DIRECTORIES".into(), place.dir.join("polecats").into()));
    pairs.push(("GT_SLOT".into(), outfit::slot_of(town, &hook.agent)?.to_string().into()));
    // For the git hook that names it in commits.
    pairs.push(("GT_BEAD".into(), hook.bead.to_string().into()));
    Ok(finished(pairs, session, run))
}

/// Who an agent is; where its programs are comes first.
///
/// # Errors
/// Io, when the directory of programs cannot be made.
pub(super) fn pairs(town: &Town, agent: &Address, rig: &str) -> Result<Vec<(String, OsString)>> {
    let (name, crew) = match agent {
        Address::Polecat(_, name) => (name.to_string(), String::new()),
        Address::Crew(_, name) => (String::new(), name.to_string()),
        _ => (String::new(), String::new()),
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
        ("GT_CREW".into(), crew.into()),
        ("GIT_AUTHOR_NAME".into(), agent.clone().into()),
        ("GIT_AUTHOR_EMAIL".into(), town.actor.email.clone().into()),
        ("GIT_COMMITTER_NAME".into(), agent.into()),
        ("GIT_COMMITTER_EMAIL".into(), town.actor.email.clone().into()),
    ])
}

/// `pairs` with the session, the model and what goes on from a story.
fn finished(mut pairs: Vec<(String, OsString)>, session: &str, run: &Run) -> Vec<(String, OsString)> {
    pairs.push(("GT_SESSION".into(), session.into()));
    if let Some(model) = &run.model {
        pairs.push(("GT_MODEL".into(), model.into()));
    }
    if let Some((name, env)) = &run.agent {
        // What says who the agent is stays as it is.
        let own: Vec<(String, OsString)> = env.iter().map(|(name, value)| (name.clone(), value.into())).collect();
        pairs.splice(..0, own.into_iter().filter(|(name, _)| !is_ours(name)));
        pairs.push(("GT_AGENT".into(), name.into()));
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

/// Whether a variable says who an agent is, or where its programs are.
fn is_ours(name: &str) -> bool {
    name == "PATH" || ["GT_", "BD_", "GIT_"].iter().any(|group| name.starts_with(group))
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
