//! `gt install`, `gt status`, `gt log`.

use std::path::PathBuf;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::convoy::show_line;
use crate::cli::machine;
use crate::cli::out::{Cell, Out, Page, Show, Style, escape};
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::git::progress::Progress;
use crate::ledger::log::Entry;
use crate::model::agent::AgentState;
use crate::name::{Name, Prefix};
use crate::ops::install::{self, Installed};
use crate::ops::past::history::once_a_bead;
use crate::ops::status::{self, TownStatus};
use crate::time::{self, Moment};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] =
    &[Answer::of::<Installed>("install"), Answer::of::<TownStatus>("status"), Answer::of::<Events>("log")];

/// Make a town, or join one that exists on another machine
///
/// Example: gt install ~/gt --owner ann@example.org
#[derive(Args)]
pub struct Install {
    /// The town's directory
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The town's name; the directory's when not given
    #[arg(long)]
    name: Option<String>,
    /// The owner's e-mail, for the commits that agents make; git's user.email when not given
    #[arg(long, value_name = "EMAIL")]
    owner: Option<String>,
    /// This machine's name, for people
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,
    /// Join the town whose ledger is at this git remote
    #[arg(long, value_name = "URL")]
    from: Option<String>,
}

impl Install {
    /// Makes or joins the town.
    ///
    /// # Errors
    /// As [`install::install`].
    pub fn run(&self, out: Out) -> Result<Installed> {
        let plan = install::Plan {
            path: self.path.clone(),
            name: self.name.clone(),
            owner: self.owner.clone(),
            machine: self.machine.clone(),
            from: self.from.clone(),
        };
        install::install(&plan, time::now()?, &Progress::to(out.progress()))
    }
}

impl Show for Installed {
    fn show(&self, page: &mut Page) {
        match self {
            Self::Founded { path, name } => {
                page.line(format!("founded the town {} at {}", escape(name), path.display()));
                page.line("next: cd there, then gt rig add NAME URL");
            }
            Self::Joined { path, name, rigs } => {
                page.line(format!("joined the town {} at {}", escape(name), path.display()));
                for rig in rigs {
                    page.line(format!("next: gt rig add {rig} URL"));
                }
            }
            Self::AlreadyThere { path } => page.line(format!("there is a town at {} already", path.display())),
        }
    }
}

/// Show the town at a glance: rigs, agents, hooks, queue, mail
///
/// Example: gt status --json
#[derive(Args)]
pub struct StatusArgs {
    /// The other machines too: what hangs on their hooks, and when they were heard last
    #[arg(long)]
    all_machines: bool,
}

impl StatusArgs {
    /// Looks.
    ///
    /// # Errors
    /// As [`status::look`].
    pub fn run(&self, town: &Town) -> Result<TownStatus> {
        status::look(town, self.all_machines)
    }
}

/// Convoys that a person is shown.
const CONVOYS: usize = 10;

impl Show for TownStatus {
    fn show(&self, page: &mut Page) {
        page.line(format!("town {} at {}", escape(&self.town), self.root.display()));
        page.line(format!("you are {}, with {} unread", self.me, letters(self.mail_unread)));
        for stop in &self.stops {
            let (word, by) = (page.paint(Style::Bad, "stopped:"), escape(&stop.by));
            page.line(format!("{word} {} by {by} at {}: {}; {}", stop.subject(), stop.at, escape(&stop.reason), stop.way_out()));
        }
        page.line(format!("town ledger: {}", sync_line(&self.sync)));
        if let Some(machines) = &self.machines {
            page.gap();
            machine::show_machines(page, machines, self.now);
            page.gap();
        }
        for convoy in self.convoys.iter().take(CONVOYS) {
            show_line(page, "convoy ", convoy);
        }
        if self.convoys.len() > CONVOYS {
            page.line(format!("and {} convoys more: gt convoy list", self.convoys.len() - CONVOYS));
        }
        for rig in &self.rigs {
            page.gap();
            let name = page.paint(Style::Bold, rig.rig.as_str());
            let there = if rig.origin.is_pushed { "origin/" } else { "" };
            page.line(format!("rig {name} → {there}{}", escape(&rig.target)));
            if !rig.origin.is_pushed {
                page.line(format!("  target: {}", escape(&rig.origin.words(&rig.target))));
            }
            let beads = rig.beads;
            page.line(format!(
                "  beads: {} open, {} in work, {} in review, {} blocked, {} closed",
                beads.open, beads.in_work, beads.in_review, beads.blocked, beads.closed
            ));
            page.line(format!("  merge queue: {} queued, {} held", rig.queued, rig.held));
            page.line(format!("  ledger: {}", sync_line(&rig.sync)));
            for polecat in &rig.polecats {
                let bead = polecat.bead.as_ref().map(|bead| format!(" on {bead}")).unwrap_or_default();
                let state = page.paint(state_style(polecat.state), polecat.state.word());
                page.line(format!("  {} is {state}{bead}", polecat.address));
            }
            for damaged in &rig.damaged {
                let word = page.paint(Style::Bad, "damaged:");
                page.line(format!("  {word} {}: {}", damaged.path, escape(&damaged.fault)));
            }
        }
        for rig in &self.elsewhere {
            page.gap();
            page.line(format!("rig {rig} is not on this machine: gt rig add {rig} URL"));
        }
        if self.rigs.is_empty() && self.elsewhere.is_empty() {
            page.gap();
            page.line("no rigs yet: gt rig add NAME URL");
        }
    }
}

/// The style of what an agent does.
pub(super) const fn state_style(state: AgentState) -> Style {
    match state {
        AgentState::Working => Style::Busy,
        AgentState::Idle | AgentState::Elsewhere => Style::Dim,
        AgentState::Stalled | AgentState::Zombie => Style::Bad,
    }
}

fn letters(count: usize) -> String {
    if count == 1 { "1 letter".to_owned() } else { format!("{count} letters") }
}

fn sync_line(urls: &[String]) -> String {
    if urls.is_empty() {
        "stays on this machine (no sync remote)".to_owned()
    } else {
        format!("exchanged with {}", escape(&urls.join(", ")))
    }
}

/// Show what happened: the ledger's history as events
///
/// Example: gt log --bead wi-x7k2m
#[derive(Args)]
pub struct LogArgs {
    /// Only this rig; else the one here, else the town
    #[arg(long)]
    rig: Option<Name>,
    /// The town's own ledger
    #[arg(long)]
    town: bool,
    /// Only events of this bead
    #[arg(long, value_name = "ID")]
    bead: Option<String>,
    /// Only events whose actor's address contains this
    #[arg(long = "by", value_name = "TEXT")]
    by: Option<String>,
    /// Only this verb, for example sling or land
    #[arg(long)]
    op: Option<String>,
    /// At most this many; 0 for all
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: usize,
}

/// Events, newest first.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Events {
    entries: Vec<Entry>,
    #[serde(skip)]
    now: Moment,
}

impl LogArgs {
    /// Reads the history.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn run(&self, town: &Town) -> Result<Events> {
        if self.town && self.rig.is_some() {
            return Err(Error::usage("--town and --rig exclude each other"));
        }
        let (ledger, bead) = match (&self.bead, &self.rig) {
            (Some(text), _) => {
                let (ledger, id) = once_a_bead(town, text)?;
                (ledger, Some(id))
            }
            (None, Some(rig)) => (town.rig(rig)?.ledger, None),
            (None, None) if self.town => (town.scope_of(&Prefix::hq())?, None),
            (None, None) => match town.find_rig_here()? {
                Some(place) => (place.ledger, None),
                None => (town.scope_of(&Prefix::hq())?, None),
            },
        };
        let fits = |entry: &Entry| {
            self.by.as_ref().is_none_or(|text| entry.actor.contains(text)) && self.op.as_ref().is_none_or(|op| entry.op == *op)
        };
        if let Some(id) = bead {
            let turns = ledger.turns(&id, self.limit, fits)?;
            return Ok(Events { entries: turns.into_iter().map(|turn| turn.entry).collect(), now: town.now });
        }
        let is_filtered = self.by.is_some() || self.op.is_some();
        let mut entries = ledger.log(if is_filtered { 0 } else { self.limit })?;
        entries.retain(fits);
        if self.limit > 0 {
            entries.truncate(self.limit);
        }
        Ok(Events { entries, now: town.now })
    }
}

impl Show for Events {
    fn show(&self, page: &mut Page) {
        let row = |entry: &Entry| {
            // On a terminal the next column tells how long ago that was.
            let length = if page.columns().is_some() { 16 } else { 19 };
            let at = entry.at.to_string().get(..length).unwrap_or_default().replace('T', " ");
            let mut cells =
                vec![Cell::from(at).dim().whole(), Cell::address(Some(&entry.actor)), Cell::from(entry.subject.as_str())];
            if page.columns().is_some() {
                cells.insert(1, Cell::from(entry.at.ago(self.now)).dim().whole());
            }
            cells
        };
        let rows: Vec<Vec<Cell>> = self.entries.iter().map(row).collect();
        match page.columns() {
            Some(_) => page.table(&["WHEN (UTC)", "AGO", "WHO", "WHAT"], &rows),
            None => page.table(&["WHEN (UTC)", "WHO", "WHAT"], &rows),
        }
    }
}
