//! `gt unsling` and `gt hook`.

use clap::Args;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::model::address::Typed;
use crate::model::bead::Status;
use crate::ops::hook::{self, Hung, Standing};
use crate::ops::sling::{self, Plan, Thrown, Tracking, Unslung};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] =
    &[Answer::of::<Unslung>("unsling"), Answer::of::<Hung>("hook"), Answer::of::<Standing>("hook"), Answer::of::<Thrown>("hook")];

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

/// Show what is on a hook (exit 1 when it is empty), or put a bead on one without starting anybody
///
/// gt hook shows yours, gt hook AGENT another's, gt hook BEAD puts it on yours, gt hook BEAD AGENT on another's, and gt hook
/// status AGENT says what the agent is at as well. Example: gt hook widgets/toast
#[derive(Args)]
pub struct HookArgs {
    /// Whose hook, or the bead that goes on it
    #[arg(value_names = ["WHAT", "AGENT"], num_args = 0..=2)]
    words: Vec<String>,
}

impl HookArgs {
    /// Looks, or hooks.
    ///
    /// # Errors
    /// Corrupt, when the hook cannot be read; as [`sling::throw`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] => Ok(out.show(&hook::show(town, &town.me)?)),
            ["status", agent] => Ok(out.show(&hook::standing(town, &town.resolve_address(agent)?)?)),
            ["status"] => Ok(out.show(&hook::standing(town, &town.me)?)),
            [agent] if agent.parse::<Typed>().is_ok() => Ok(out.show(&hook::show(town, &town.resolve_address(agent)?)?)),
            [bead] => Ok(out.show(&hang(town, bead, ".")?)),
            [bead, agent] => Ok(out.show(&hang(town, bead, agent)?)),
            _ => Err(Error::usage("that is too much").hint("gt hook BEAD AGENT is the longest form")),
        }
    }
}

/// Puts the bead on the hook of `agent` and starts nobody.
fn hang(town: &Town, bead: &str, agent: &str) -> Result<Thrown> {
    let plan = Plan { target: Some(agent.to_owned()), no_start: true, ..Plan::default() };
    sling::throw(town, &[bead.to_owned()], &plan, Tracking::Nothing)
}

impl Show for Standing {
    fn show(&self, page: &mut Page) {
        page.line(format!("{} is {}", self.hung.agent, self.state.word()));
        if let Some(pid) = self.pid {
            page.line(format!("  process: {pid}"));
        }
        self.hung.show(page);
    }

    fn exit_code(&self) -> u8 {
        self.hung.exit_code()
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
