//! `gt sling`, `gt unsling` and `gt hook`.

use clap::Args;

use crate::cli::out::{Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::model::address::Address;
use crate::model::bead::Status;
use crate::model::merge_request::Way;
use crate::ops::hook::{self, Hung};
use crate::ops::sling::{self, Slung, Thrown, Tracking, Tried, Unslung};
use crate::ops::trust;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Thrown>("sling"), Answer::of::<Unslung>("unsling"), Answer::of::<Hung>("hook")];

/// Give beads to workers: hook, sandbox, session; one convoy tracks them
///
/// Example: gt sling wi-x7k2m widgets
#[derive(Args)]
pub struct SlingArgs {
    /// Beads, or unique abbreviations of their ids; then a rig (idle or new polecats) or for one bead a polecat, the
    /// beads' own rigs when not given; with MACHINE: before it, another machine is asked to
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
        let (beads, target) = sling::parse(town, &self.words)?;
        let is_here = !target.as_deref().is_some_and(|target| target.contains(':'));
        if let Some(name) = self.agent.as_deref().filter(|_| is_here) {
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
            Self::Assigned { bead, agent, branch, pid, is_prompted, salvage, warnings } => {
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
            }
            Self::Restarted { bead, agent, pid, is_prompted } => {
                page.line(format!("{bead} was on the hook of {agent}; its session runs again as process {pid}"));
                show_prompted(page, *is_prompted, agent);
            }
            Self::AlreadyThere { bead, agent } => page.line(format!("{bead} is on the hook of {agent} already")),
        }
    }
}

/// Says when an agent's first words were typed but not seen.
pub(super) fn show_prompted(page: &mut Page, is_prompted: Option<bool>, agent: &Address) {
    if is_prompted == Some(false) {
        page.line(format!("its first words were typed, but its terminal was not seen to take them: gt session capture {agent}"));
    }
}

/// Take a bead off the hook it hangs on; unsaved work is salvaged first
///
/// Example: gt unsling wi-x7k2m
#[derive(Args)]
pub struct UnslingArgs {
    /// The bead
    bead: String,
}

impl UnslingArgs {
    /// Unslings.
    ///
    /// # Errors
    /// As [`sling::unsling`].
    pub fn run(&self, town: &Town) -> Result<Unslung> {
        sling::unsling(town, &self.bead)
    }
}

impl Show for Unslung {
    fn show(&self, page: &mut Page) {
        let how = if self.status == Status::Open { "and open again".to_owned() } else { format!("and stays {}", self.status) };
        match (&self.agent, &self.asked) {
            (Some(agent), _) => page.line(format!("{} is off the hook of {agent} {how}", self.bead)),
            (None, asked) => {
                let machine = escape(asked.as_deref().unwrap_or_default());
                page.line(format!("machine {machine} is no more asked to sling {}", self.bead));
            }
        }
        if let Some(salvage) = &self.salvage {
            page.line(format!("unsaved work is kept at {salvage}"));
        }
    }
}

/// Show what is on a hook; exit 1 when it is empty
///
/// Example: gt hook widgets/toast
#[derive(Args)]
pub struct HookArgs {
    /// Whose; yours when not given
    agent: Option<String>,
}

impl HookArgs {
    /// Looks.
    ///
    /// # Errors
    /// Corrupt, when the hook cannot be read.
    pub fn run(&self, town: &Town) -> Result<Hung> {
        let agent = self.agent.as_deref().map_or_else(|| Ok(town.me.clone()), |text| town.resolve_address(text))?;
        hook::show(town, &agent)
    }
}

impl Show for Hung {
    fn show(&self, page: &mut Page) {
        let (Some(hook), Some(bead)) = (&self.hook, &self.bead) else {
            return page.line(format!("nothing is on the hook of {}", self.agent));
        };
        page.line(format!("{} {} ({})", bead.id, escape(&bead.title), bead.status));
        page.line(format!("  agent:  {}", hook.agent));
        if !hook.branch.is_empty() {
            page.line(format!("  branch: {} → {}", escape(&hook.branch), escape(&hook.target)));
        }
        page.line(format!("  slung:  by {} at {}", escape(&hook.slung_by), hook.slung_at));
        if let Some(preset) = &hook.preset {
            page.line(format!("  preset: {}", escape(preset)));
        }
        if let Some(model) = &hook.model {
            page.line(format!("  model:  {}", escape(model)));
        }
        if !hook.args.is_empty() {
            page.line(format!("  args:   {}", escape(&hook.args)));
        }
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.hook.is_none())
    }
}

pub(crate) fn kept(page: &mut Page, salvage: Option<&str>) {
    if let Some(salvage) = salvage {
        page.line(format!("unsaved work is kept at {salvage}"));
    }
}
