//! `gt assign`, `gt release`, `gt sync-base`, `gt diff`: work into and out of hands, and what it changed.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::patch;
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::model::spelling::{issue_type, priority};
use crate::name::Name;
use crate::ops::assign::{self, Assigned};
use crate::ops::diff::{self, Changed, Seen};
use crate::ops::release::{self, Released};
use crate::ops::sling::Plan;
use crate::ops::sync_base::{self, Form, Synced};
use crate::ops::track::Draft;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Assigned>("assign"),
    Answer::of::<AllReleased>("release"),
    Answer::of::<Synced>("sync-base"),
    Answer::of::<Seen>("diff"),
];

/// File a bead and put it on somebody's hook
///
/// Example: gt assign joe "Mend the pump" -p 1
#[derive(Args)]
pub struct AssignArgs {
    /// A name of the rig's crew, or an address: a polecat, mayor, deacon/dogs/NAME
    agent: String,
    /// One line: what is to be done
    title: String,
    /// What is to be done and why
    #[arg(short, long, default_value = "", hide_default_value = true)]
    description: String,
    /// task, bug, feature, chore, decision or question
    #[arg(short = 't', long = "type", default_value = "task")]
    issue_type: String,
    /// 0 critical … 4 backlog
    #[arg(short, long, default_value = "2")]
    priority: String,
    /// A label; several by commas or by naming it again
    #[arg(short, long = "label", alias = "labels", value_delimiter = ',')]
    label: Vec<String>,
    /// Further words for the agent
    #[arg(long, default_value = "", hide_default_value = true)]
    args: String,
    /// The rig whose crew is meant; that of the directory when not given
    #[arg(long, value_name = "NAME")]
    rig: Option<Name>,
    /// Only assign: start no session and nudge nobody
    #[arg(long)]
    no_start: bool,
}

impl AssignArgs {
    /// Files and assigns.
    ///
    /// # Errors
    /// As [`assign::assign`].
    pub fn run(&self, town: &Town) -> Result<Assigned> {
        let agent = assign::whom(town, self.rig.as_ref(), &self.agent)?;
        let mut draft = Draft::new(&self.title);
        draft.description.clone_from(&self.description);
        draft.issue_type = issue_type(&self.issue_type)?;
        draft.priority = priority(&self.priority)?;
        draft.labels = self.label.iter().cloned().collect();
        let plan = Plan { args: self.args.clone(), no_start: self.no_start, ..Plan::default() };
        assign::assign(town, &agent, &draft, &plan)
    }
}

impl Show for Assigned {
    fn show(&self, page: &mut Page) {
        page.line(format!("created {}: {}", self.bead.id, escape(&self.bead.title)));
        self.slung.show(page);
    }
}

/// Let go of work that somebody took: open again, and nobody's
///
/// What an agent is at is left alone; gt unsling ends it. Example: gt release wi-x7k2m -r 'not this week'
#[derive(Args)]
pub struct ReleaseArgs {
    /// Beads, or unique abbreviations of their ids
    #[arg(required = true, value_name = "BEAD")]
    beads: Vec<String>,
    /// Why; it is said on each
    #[arg(short, long, visible_short_alias = 'm', default_value = "", hide_default_value = true)]
    reason: String,
}

/// What was let go.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub struct AllReleased(Vec<Released>);

impl ReleaseArgs {
    /// Releases.
    ///
    /// # Errors
    /// As [`release::release`].
    pub fn run(&self, town: &Town) -> Result<AllReleased> {
        release::release(town, &self.beads, &self.reason).map(AllReleased)
    }
}

impl Show for AllReleased {
    fn show(&self, page: &mut Page) {
        for Released { bead, was_with, salvage } in &self.0 {
            match was_with {
                Some(who) => page.line(format!("{bead} is open again; {} had it", escape(who))),
                None => page.line(format!("{bead} is open and nobody's already")),
            }
            if let Some(salvage) = salvage {
                page.line(format!("unsaved work is kept at {salvage}"));
            }
        }
    }
}

/// Bring your sandbox up to its target: merge what landed meanwhile, or put your commits on top of it
///
/// A conflict is left as git leaves it, to be resolved; exit 6 then. Example: gt sync-base --rebase
#[derive(Args)]
pub struct SyncBaseArgs {
    /// Make your commits anew on top of the target instead of merging it
    #[arg(long)]
    rebase: bool,
}

impl SyncBaseArgs {
    /// Brings it up.
    ///
    /// # Errors
    /// As [`sync_base::sync_base`].
    pub fn run(&self, town: &Town) -> Result<Synced> {
        sync_base::sync_base(town, if self.rebase { Form::Rebase } else { Form::Merge })
    }
}

impl Show for Synced {
    fn show(&self, page: &mut Page) {
        let short = |id: &str| id.get(..10).unwrap_or(id).to_owned();
        let warn = |page: &mut Page, warning: &Option<String>| {
            if let Some(warning) = warning {
                page.line(format!("warning: the remote could not be asked, so this is as last seen: {}", escape(warning)));
            }
        };
        match self {
            Self::UpToDate { target, warning, .. } => {
                page.line(format!("the sandbox has all of {}", escape(target)));
                warn(page, warning);
            }
            Self::Moved { target, form, commits, before, head, warning, .. } => {
                let came = if *commits == 1 { "1 commit".to_owned() } else { format!("{commits} commits") };
                let how = if *form == Form::Merge { "merged in" } else { "put below yours" };
                page.line(format!("{came} of {} {how}: {} → {}", escape(target), short(before), short(head)));
                warn(page, warning);
            }
            Self::Conflict { target, form, files, before, .. } => {
                let word = form.word();
                page.line(format!("the {word} of {} stopped at a conflict in {}", escape(target), escape(&files.join(", "))));
                page.line(format!(
                    "resolve it, git add the files, then git {word} --continue; or go back to {}: git {word} --abort",
                    short(before)
                ));
            }
        }
    }

    fn exit_code(&self) -> u8 {
        if matches!(self, Self::Conflict { .. }) { 6 } else { 0 }
    }
}

/// Show what the work on a bead, or a merge request, changes
///
/// Work on a hook is its branch against where it left its target. Example: gt diff wi-x7k2m --stat
#[derive(Args)]
pub struct DiffArgs {
    /// The bead or request; a unique abbreviation will do
    id: String,
    /// Only the files, with how many lines came and went
    #[arg(long)]
    stat: bool,
}

impl DiffArgs {
    /// Looks.
    ///
    /// # Errors
    /// As [`diff::diff`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        Ok(out.show(&diff::diff(town, &self.id, self.stat)?))
    }
}

impl Show for Seen {
    fn show(&self, page: &mut Page) {
        match self {
            Self::Request(diff) => diff.show(page),
            Self::Work(changed) => changed.show(page),
        }
    }
}

impl Show for Changed {
    fn show(&self, page: &mut Page) {
        let Self { bead, branch, base, head, files, patch, is_cut, uncommitted } = self;
        if !uncommitted.is_empty() {
            page.line(format!("not committed yet, and not shown: {}", escape(&uncommitted.join(", "))));
        }
        let what = format!("{bead} on {}", escape(branch));
        patch::show(page, &what, (base, head), files, patch.as_deref(), *is_cut);
    }
}
