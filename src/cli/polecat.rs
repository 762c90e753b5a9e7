//! `gt polecat`, `gt session`.

use crate::cli::out::{Cell, Out, Page, Show};
use crate::cli::schema::Answer;
use crate::cli::town::state_style;
use crate::cli::work::kept;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::ops::polecat::{self, Listed, Nuked};
use crate::runtime::process;
use crate::town::Town;
use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Polecats>("polecat list"),
    Answer::of::<Nuked>("polecat nuke"),
    Answer::of::<Sessions>("session list"),
    Answer::of::<Stopped>("session stop"),
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
                let places = match rig {
                    Some(rig) => vec![town.rig(rig)?],
                    None => town.places()?,
                };
                let mut listed = Vec::new();
                for place in &places {
                    listed.extend(polecat::list(town, place)?);
                }
                Ok(out.show(&Polecats(listed)))
            }
            PolecatVerb::Nuke { agent, force } => {
                let address = town.resolve_address(agent)?;
                let rig = address.rig().cloned().ok_or_else(|| Error::usage(format!("{address} is no polecat")))?;
                Ok(out.show(&polecat::nuke(town, &town.rig(&rig)?, &address, *force)?))
            }
        }
    }
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
    /// End an agent's session; its hook keeps its work, and gt sling starts it again
    Stop {
        /// The agent
        agent: String,
    },
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Sessions(Vec<process::Session>);

#[derive(JsonSchema, Serialize)]
struct Stopped {
    agent: String,
    was_running: bool,
}

impl SessionArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// Io, when session records cannot be read.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            SessionVerb::List => Ok(out.show(&Sessions(process::all(&town.runtime_dir())?))),
            SessionVerb::Stop { agent } => {
                let address = town.resolve_address(agent)?;
                let was_running = process::stop(&town.runtime_dir(), &address, 5_000)?;
                Ok(out.show(&Stopped { agent: address.to_string(), was_running }))
            }
        }
    }
}

impl Show for Sessions {
    fn show(&self, page: &mut Page) {
        if self.0.is_empty() {
            return page.line("no sessions run");
        }
        let row = |one: &process::Session| {
            vec![one.agent.to_string(), one.pid.to_string(), one.bead.clone(), one.log.display().to_string()]
        };
        page.table(&["AGENT", "PROCESS", "BEAD", "LOG"], &self.0.iter().map(row).collect::<Vec<_>>());
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
