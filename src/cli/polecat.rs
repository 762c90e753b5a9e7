//! `gt polecat`, `gt session`.

mod look;

use crate::cli::out::{Cell, Out, Page, Show};
use crate::cli::schema::Answer;
use crate::cli::sling::show_prompted;
use crate::cli::town::state_style;
use crate::cli::work::kept;
use crate::error::{Error, Result};
use crate::model::address::Address;
use crate::model::word::Screen;
use crate::name::Name;
use crate::ops::polecat::{self, Listed, Nuked};
use crate::ops::{peek, session};
use crate::runtime::process;
use crate::town::{RigPlace, Town};
use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Polecats>("polecat list"),
    Answer::of::<Nuked>("polecat nuke"),
    Answer::of::<polecat::look::Status>("polecat status"),
    Answer::of::<polecat::look::GitState>("polecat git-state"),
    Answer::of::<polecat::look::Recovery>("polecat check-recovery"),
    Answer::of::<look::AllCollected>("polecat gc"),
    Answer::of::<Sessions>("session list"),
    Answer::of::<Stopped>("session stop"),
    Answer::of::<Started>("session start"),
    Answer::of::<Started>("session restart"),
    Answer::of::<Captured>("session capture"),
    Answer::of::<Nothing>("session attach"),
    Answer::of::<Started>("mayor start"),
    Answer::of::<Stopped>("mayor stop"),
    Answer::of::<Nothing>("mayor attach"),
];

/// Look after polecats, the workers of a rig
#[derive(Args)]
pub struct PolecatArgs {
    #[command(subcommand)]
    verb: PolecatVerb,
}

#[derive(Subcommand)]
enum PolecatVerb {
    /// List them with what they are doing
    List {
        /// Of this rig; else of all
        #[arg(long)]
        rig: Option<Name>,
    },
    /// Show one: what it works on, its session, its slot, its sandbox
    Status {
        /// The polecat, for example widgets/toast
        agent: String,
    },
    /// Show what git says of a polecat's sandbox, and what of it nothing else keeps
    GitState {
        /// The polecat
        agent: String,
    },
    /// Tell whether a polecat's sandbox may go, and what is unsaved; ends with 1 when it may not
    CheckRecovery {
        /// The polecat
        agent: String,
    },
    /// Remove the sandboxes in which nobody works; unsaved work is salvaged first
    ///
    /// Example: gt polecat gc --rig widgets --keep 2
    Gc {
        /// Of this rig; else of all
        #[arg(long)]
        rig: Option<Name>,
        /// Leave the first so many idle ones of each rig, for the next slings
        #[arg(long, value_name = "N", default_value_t = 0)]
        keep: usize,
        /// Only tell which would go
        #[arg(long)]
        dry_run: bool,
    },
    /// End a polecat's session and remove its sandbox; unsaved work is salvaged first
    Nuke {
        /// The polecat, for example widgets/toast
        agent: String,
        /// Also when work is on its hook; the bead is given back
        #[arg(long)]
        force: bool,
    },
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Polecats(Vec<Listed>);

impl PolecatArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            PolecatVerb::List { rig } => {
                let mut listed = Vec::new();
                for place in &places(town, rig.as_ref())? {
                    listed.extend(polecat::list(town, place)?);
                }
                Ok(out.show(&Polecats(listed)))
            }
            PolecatVerb::Nuke { agent, force } => {
                let (place, address) = one(town, agent)?;
                Ok(out.show(&polecat::nuke(town, &place, &address, *force)?))
            }
            PolecatVerb::Status { agent } => {
                let (place, address) = one(town, agent)?;
                Ok(out.show(&polecat::look::status(town, &place, &address)?))
            }
            PolecatVerb::GitState { agent } => {
                let (place, address) = one(town, agent)?;
                Ok(out.show(&polecat::look::git_state(&place, &address)?))
            }
            PolecatVerb::CheckRecovery { agent } => {
                let (place, address) = one(town, agent)?;
                Ok(out.show(&polecat::look::recovery(town, &place, &address)?))
            }
            PolecatVerb::Gc { rig, keep, dry_run } => {
                let mut all = Vec::new();
                for place in &places(town, rig.as_ref())? {
                    all.extend(polecat::look::collect(town, place, *keep, *dry_run)?);
                }
                Ok(out.show(&look::AllCollected(all)))
            }
        }
    }
}

/// The rig named, else all.
fn places(town: &Town, rig: Option<&Name>) -> Result<Vec<RigPlace>> {
    rig.map_or_else(|| town.places(), |rig| Ok(vec![town.rig(rig)?]))
}

/// A polecat with its rig.
fn one(town: &Town, text: &str) -> Result<(RigPlace, Address)> {
    let address = town.resolve_address(text)?;
    let rig = address.rig().ok_or_else(|| Error::usage(format!("{address} is no polecat")))?;
    Ok((town.rig(rig)?, address))
}

impl Show for Polecats {
    fn show(&self, page: &mut Page) {
        if self.0.is_empty() {
            return page.line("no polecats yet; gt sling BEAD RIG makes one");
        }
        let row = |one: &Listed| {
            let text = |value: Option<String>| Cell::from(value.unwrap_or_else(|| "-".into()));
            vec![
                Cell::address(Some(&one.address.to_string())),
                Cell::new(state_style(one.state), one.state.word()).whole(),
                text(one.bead.as_ref().map(ToString::to_string)).whole(),
                text(one.pid.map(|pid| pid.to_string())),
                text(one.branch.clone()),
            ]
        };
        page.table(&["POLECAT", "STATE", "BEAD", "PROCESS", "BRANCH"], &self.0.iter().map(row).collect::<Vec<_>>());
    }
}

impl Show for Nuked {
    fn show(&self, page: &mut Page) {
        if self.was_there {
            page.line(format!("the sandbox of {} is gone; its identity and mail stay", self.address));
        } else {
            page.line(format!("{} had no sandbox", self.address));
        }
        kept(page, self.salvage.as_deref());
        if let Some(bead) = &self.released {
            page.line(format!("{bead} is open again"));
        }
    }
}

/// What attaching answers: it shows a terminal and prints nothing.
#[derive(JsonSchema, Serialize)]
pub struct Nothing;

/// Start, look at and end the mayor's session, who takes wishes and hands out work
#[derive(Args)]
pub struct MayorArgs {
    #[command(subcommand)]
    verb: MayorVerb,
}

#[derive(Subcommand)]
enum MayorVerb {
    /// Start the mayor with the agent of the town, unless it runs
    Start,
    /// Show the mayor's terminal here, to look on and to type; leave it with Ctrl-B d
    Attach,
    /// End the mayor's session
    Stop,
}

impl MayorArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As [`session::start_mayor`] and [`session::terminal`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            MayorVerb::Start => Ok(out.show(&Started(session::start_mayor(town)?))),
            MayorVerb::Attach => {
                session::terminal(town, &Address::Mayor)?.attach()?;
                Ok(0)
            }
            MayorVerb::Stop => {
                let was_running = process::stop(&town.runtime_dir(), &Address::Mayor, 5_000)?;
                Ok(out.show(&Stopped { agent: Address::Mayor.to_string(), was_running }))
            }
        }
    }
}

/// Look after running agents
#[derive(Args)]
pub struct SessionArgs {
    #[command(subcommand)]
    verb: SessionVerb,
}

#[derive(Subcommand)]
enum SessionVerb {
    /// List the sessions that run on this machine
    List,
    /// Start the session of an agent that has work on its hook, unless it runs
    Start {
        /// The agent
        agent: String,
    },
    /// End an agent's session and start it again
    Restart {
        /// The agent
        agent: String,
    },
    /// Show the terminal of an agent here, to look on and to type; leave it with Ctrl-B d
    Attach {
        /// The agent
        agent: String,
    },
    /// Print what the terminal of an agent shows, or the end of its log
    Capture {
        /// The agent
        agent: String,
        /// How many lines
        #[arg(short = 'n', long, value_name = "LINES", default_value_t = 50)]
        lines: usize,
    },
    /// End an agent's session; its hook keeps its work, and gt sling starts it again
    Stop {
        /// The agent
        agent: String,
    },
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Sessions(Vec<process::Session>);

/// A session that was to be ended.
#[derive(JsonSchema, Serialize)]
pub struct Stopped {
    /// Whose.
    pub agent: String,
    /// Whether there was one.
    pub was_running: bool,
}

impl SessionArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// Io, when session records cannot be read.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            SessionVerb::List => Ok(out.show(&Sessions(process::all(&town.runtime_dir())?))),
            SessionVerb::Start { agent } => {
                let address = town.resolve_address(agent)?;
                Ok(out.show(&Started(session::respawn(town, &address)?)))
            }
            SessionVerb::Restart { agent } => {
                let address = town.resolve_address(agent)?;
                no_queue(&address)?;
                // What cannot be started again is not ended.
                session::check_again(town, &address)?;
                process::stop(&town.runtime_dir(), &address, 5_000)?;
                Ok(out.show(&Started(session::start_again(town, &address)?)))
            }
            SessionVerb::Attach { agent } => {
                let address = town.resolve_address(agent)?;
                session::terminal(town, &address)?.attach()?;
                Ok(0)
            }
            SessionVerb::Capture { agent, lines } => {
                let address = town.resolve_address(agent)?;
                Ok(out.show(&Captured(peek::look(town, &address, *lines)?)))
            }
            SessionVerb::Stop { agent } => {
                let address = town.resolve_address(agent)?;
                no_queue(&address)?;
                let was_running = process::stop(&town.runtime_dir(), &address, 5_000)?;
                Ok(out.show(&Stopped { agent: address.to_string(), was_running }))
            }
        }
    }
}

/// Refuses a merge queue, which is ended with the gates that it runs, and by whom that is allowed.
fn no_queue(agent: &Address) -> Result<()> {
    match agent {
        Address::Refinery(rig) => {
            Err(Error::refused(format!("{agent} is a merge queue and no agent")).hint(format!("gt refinery stop --rig {rig}")))
        }
        _ => Ok(()),
    }
}

/// A session that runs.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub(super) struct Started(pub(super) session::Started);

impl Show for Started {
    fn show(&self, page: &mut Page) {
        let session = &self.0.session;
        let look = if session.pane.is_some() { "gt session attach" } else { "gt peek" };
        page.line(format!("{} runs as process {}: {look} {}", session.agent, session.pid, session.agent));
        show_prompted(page, self.0.is_prompted, &session.agent);
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Captured(Screen);

impl Show for Captured {
    fn show(&self, page: &mut Page) {
        if self.0.session.is_none() {
            return page.line(format!("{} had no session on this machine", self.0.agent));
        }
        page.block(0, &self.0.lines.join("\n"));
    }
}

impl Show for Sessions {
    fn show(&self, page: &mut Page) {
        if self.0.is_empty() {
            return page.line("no sessions run");
        }
        let row = |one: &process::Session| {
            let terminal = one.pane.as_ref().map_or("-", |pane| pane.name.as_str());
            let (agent, pid, log) = (one.agent.to_string(), one.pid.to_string(), one.log.display().to_string());
            vec![agent, pid, one.bead.clone(), terminal.to_owned(), log]
        };
        page.table(&["AGENT", "PROCESS", "BEAD", "TERMINAL", "LOG"], &self.0.iter().map(row).collect::<Vec<_>>());
    }
}

impl Show for Stopped {
    fn show(&self, page: &mut Page) {
        page.line(if self.was_running {
            format!("the session of {} has ended", self.agent)
        } else {
            format!("{} has no session", self.agent)
        });
    }
}
