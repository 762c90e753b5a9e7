//! `gt sling`.

use clap::Args;

use crate::cli::out::{Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::model::address::Address;
use crate::model::merge_request::Way;
use crate::name::Name;
use crate::ops::sling::{self, Act, Slung, Thrown, Touch, Tracking, Tried};
use crate::ops::trust;
use crate::town::Town;

/// What it prints with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Thrown>("sling")];

/// Give beads to workers: hook, sandbox, session; one convoy tracks them
///
/// Example: gt sling wi-x7k2m widgets
#[derive(Args)]
pub struct SlingArgs {
    /// Beads, or unique abbreviations of their ids; then a rig (idle or new polecats), or for one bead an agent: a polecat,
    /// crew, mayor, deacon/dogs, or . for yourself; the beads' own rigs when not given; with MACHINE: before it, another
    /// machine is asked to
    #[arg(required = true, value_names = ["BEAD", "TARGET"])]
    words: Vec<String>,
    /// Further words for the agent
    #[arg(long, default_value = "", hide_default_value = true)]
    args: String,
    /// The model to run, as the agent's model flag and as GT_MODEL
    #[arg(long)]
    model: Option<String>,
    /// The agent to start, now and on every restart; see gt config agent list
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// How the work lands when it is done; as its convoy says when not given
    #[arg(long, value_enum, value_name = "WAY")]
    merge: Option<Way>,
    /// To this member of the rig's crew, who works in a workspace of their own
    #[arg(long, value_name = "NAME")]
    crew: Option<Name>,
    /// The branch that the sandbox begins at; it lands where it would anyway
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// It is to be looked at: gt done -m ends it with what was found, and nothing is merged
    #[arg(long, conflicts_with = "merge")]
    review_only: bool,
    /// Sling only while fewer than so many polecats of the rig have work here; what is left waits for another sling
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_concurrent: Option<u32>,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Sling it though something blocks it
    #[arg(long)]
    force: bool,
    /// Only assign; a second sling starts the session
    #[arg(long)]
    no_start: bool,
    /// Make no convoy
    #[arg(long)]
    no_convoy: bool,
    /// Make a convoy that you land with gt convoy land
    #[arg(long, conflicts_with = "no_convoy")]
    owned: bool,
}

impl SlingArgs {
    /// Slings.
    ///
    /// # Errors
    /// As [`sling::throw`].
    pub fn run(&self, town: &Town) -> Result<Thrown> {
        let (beads, mut target) = sling::parse(town, &self.words)?;
        if let Some(name) = &self.crew {
            target = Some(sling::crew_of(town, &beads, target.as_deref(), name)?);
        }
        let is_here = !target.as_deref().is_some_and(|target| target.contains(':'));
        if let Some(name) = self.agent.as_deref().filter(|_| is_here && !self.dry_run) {
            trust::name_agent(town, name)?;
        }
        let plan = sling::Plan {
            bead: String::new(),
            target,
            args: self.args.clone(),
            model: self.model.clone(),
            preset: self.agent.clone(),
            merge: self.merge,
            force: self.force,
            no_start: self.no_start,
            base: self.base.clone(),
            review_only: self.review_only,
            at_most: self.max_concurrent,
            dry_run: self.dry_run,
        };
        let tracking = match (self.no_convoy, self.owned) {
            (true, _) => Tracking::Nothing,
            (false, true) => Tracking::Owned,
            (false, false) => Tracking::Convoy,
        };
        sling::throw(town, &beads, &plan, tracking)
    }
}

impl Show for Thrown {
    fn show(&self, page: &mut Page) {
        let (convoy, fault, note) = match self {
            Self::One { slung, convoy, convoy_fault, convoy_note } => {
                slung.show(page);
                (convoy, convoy_fault, convoy_note)
            }
            Self::Several { beads, convoy, convoy_fault, convoy_note } => {
                page.table(&["BEAD", "OUTCOME", "WHERE"], &beads.iter().map(tried).collect::<Vec<_>>());
                (convoy, convoy_fault, convoy_note)
            }
        };
        if let Some(convoy) = convoy {
            page.line(format!("convoy {convoy} tracks it: gt convoy status {convoy}"));
        }
        if let Some(note) = note {
            page.line(note);
        }
        if let Some(fault) = fault {
            page.line(format!("no convoy could be made, slinging again makes it: {}", escape(fault)));
        }
    }

    fn exit_code(&self) -> u8 {
        Self::exit_code(self)
    }
}

/// A bead of a batch as a row: what, how it ended, where it is or why not.
fn tried(one: &Tried) -> Vec<String> {
    let (bead, outcome, rest) = match one {
        Tried::Slung(Slung::Asked { bead, machine, target }) => (bead.to_string(), "asked", format!("{machine}:{target}")),
        Tried::Slung(Slung::Assigned { bead, agent, pid, .. }) => {
            let session = pid.map_or("not started".to_owned(), |pid| format!("process {pid}"));
            (bead.to_string(), "slung", format!("{agent}, {session}"))
        }
        Tried::Slung(Slung::Restarted { bead, agent, pid, .. }) => {
            (bead.to_string(), "restarted", format!("{agent}, process {pid}"))
        }
        Tried::Slung(Slung::Given { bead, agent, .. }) => (bead.to_string(), "given", agent.to_string()),
        Tried::Slung(Slung::Waits { bead, working, .. }) => {
            (bead.to_string(), "waits", format!("{working} polecats have work here"))
        }
        Tried::Slung(Slung::Would { bead, act, target, .. }) => (bead.to_string(), would(*act), escape(target)),
        Tried::Slung(Slung::AlreadyThere { bead, agent }) => (bead.to_string(), "already there", agent.to_string()),
        Tried::Failed { bead, error, .. } => (bead.clone(), "failed", error.message.clone()),
    };
    vec![bead, outcome.to_owned(), rest]
}

impl Show for Slung {
    fn show(&self, page: &mut Page) {
        match self {
            Self::Asked { bead, machine, target } => {
                let there = if target.is_empty() { String::new() } else { format!(" to {}", escape(target)) };
                page.line(format!("machine {} is asked to sling {bead}{there}; it does when it has synced", escape(machine)));
            }
            Self::Assigned { bead, agent, branch, pid, is_prompted, salvage, warnings, touches } => {
                page.line(format!("slung {bead} to {agent} on branch {branch}"));
                if let Some(salvage) = salvage {
                    page.line(format!("what its sandbox still held is kept at {salvage}"));
                }
                for warning in warnings {
                    page.line(format!("warning: {}", escape(warning)));
                }
                match pid {
                    Some(pid) => page.line(format!("its session runs as process {pid}")),
                    None => page.line(format!("not started; gt sling {bead} {agent} starts it")),
                }
                show_prompted(page, *is_prompted, agent);
                show_touches(page, touches);
            }
            Self::Given { bead, agent, pid, fault } => {
                page.line(format!("{bead} is on the hook of {agent}, who works where it is"));
                if let Some(pid) = pid {
                    page.line(format!("its session runs as process {pid}"));
                }
                if let Some(fault) = fault {
                    page.line(format!("it was not told: {}", escape(fault)));
                }
            }
            Self::Waits { bead, working, at_most } => {
                page.line(format!("{bead} waits: {working} polecats have work here, and {at_most} may; sling it again later"));
            }
            Self::Would { bead, act, target, base, line, touches } => {
                page.line(format!("would {} {bead}: {}", would(*act), escape(target)));
                if let Some(base) = base {
                    page.line(format!("its sandbox would begin at {}", escape(base)));
                }
                if let Some(line) = line {
                    page.line(format!("would start: {}", escape(line)));
                }
                show_touches(page, touches);
            }
            Self::Restarted { bead, agent, pid, is_prompted } => {
                page.line(format!("{bead} was on the hook of {agent}; its session runs again as process {pid}"));
                show_prompted(page, *is_prompted, agent);
            }
            Self::AlreadyThere { bead, agent } => page.line(format!("{bead} is on the hook of {agent} already")),
        }
    }
}

/// What would be done, in a word or two.
const fn would(act: Act) -> &'static str {
    match act {
        Act::Assign => "assign",
        Act::TakeOver => "take over",
        Act::Restart => "restart",
        Act::Ask => "ask for",
        Act::Nothing => "leave as it is",
    }
}

/// Warns of other work on the same files.
fn show_touches(page: &mut Page, touches: &[Touch]) {
    for Touch { agent, bead, files } in touches {
        let files = escape(&files.join(", "));
        page.line(format!("warning: {agent} touches the same files for {bead}: {files}"));
    }
}

/// Says when an agent's first words were typed but not seen.
pub(super) fn show_prompted(page: &mut Page, is_prompted: Option<bool>, agent: &Address) {
    if is_prompted == Some(false) {
        page.line(format!("its first words were typed, but its terminal was not seen to take them: gt session capture {agent}"));
    }
}
