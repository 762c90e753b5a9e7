//! Sessions: the agent program of an assignment, started with its identity and nothing it should not inherit.

mod begin;
mod environment;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{self, Chosen};
use crate::error::{Error, Kind, Result};
use crate::model::address::Address;
use crate::model::agent::Backend;
use crate::model::wrapper;
use crate::name::{Name, base36};
use crate::ops::control::halt;
use crate::ops::runtime_hooks::{self, Gift};
use crate::ops::{account, costs};
use crate::runtime::launch::{self, Launch, Line};
use crate::runtime::process::{self, Session};
use crate::runtime::tmux::Pane;
use crate::town::{RigPlace, Town};
pub(super) use begin::start_crew;
pub use begin::{check_again, has_mayor, respawn, start, start_again, start_hooked, start_mayor};
pub(super) use environment::{pairs, search_path};

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

    /// Begins the session of `agent` in `dir`, on `bead` when that is not empty, with `more` in its environment; or answers
    /// the one that runs.
    fn begin(&self, town: &Town, agent: &Address, bead: &str, dir: PathBuf, more: Vec<(String, OsString)>) -> Result<Started> {
        let name = match agent {
            Address::Polecat(_, name) | Address::Crew(_, name) => name.as_str(),
            other => other.role(),
        };
        let session = format!("{name}-{}", base36(u64::try_from(town.now.millis()).unwrap_or(0)));
        let mut env = pairs(town, agent, agent.rig().map_or("", Name::as_str))?;
        env.extend(more);
        let launch = Launch {
            log: process::log_path(&town.runtime_dir(), agent, &session),
            env: environment::finished(env, &session, self),
            agent: agent.clone(),
            session,
            bead: bead.to_owned(),
            line: self.line.clone(),
            dir,
            backend: self.backend,
            style: self.style.clone(),
            now: town.now,
        };
        self.start(town, &launch)
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
