//! Verbs of older versions of the `bd` tool, for its daemon, its database and its first words to agents: what prompts
//! still say. What can be done here is done; the rest says in a line what to do instead.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::bd::Sync;
use super::pages::note_faults;
use super::which::Place;
use crate::cli::out::{Out, Page, Show};
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::ops::sync::Report;
use crate::ops::track::Filter;
use crate::ops::track::overview::{Overview, overview};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Summary>("bead status"),
    Answer::of::<Report>("bead dolt"),
    Answer::of::<Told>("bead dolt"),
    Answer::of::<Told>("bead daemon"),
    Answer::of::<Told>("bead onboard"),
];

/// Tell how much work there is and where it stands
#[derive(Args)]
pub struct Status {
    #[command(flatten)]
    place: Place,
    /// Only what you have
    #[arg(long)]
    assigned: bool,
    /// The bd tool's word for an answer without what it is slow at
    #[arg(long, hide = true)]
    no_activity: bool,
    /// The bd tool's word for an answer without what it is slow at
    #[arg(long, hide = true)]
    no_blocked: bool,
}

impl Status {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let filter = Filter { assignee: self.assigned.then(|| town.me.to_string()), ..Filter::default() };
        let mut found = overview(town, &self.place.scopes(town)?, &filter)?;
        note_faults(&found, out);
        Ok(out.show(&Summary { summary: found.beads.pop().unwrap_or_default() }))
    }
}

#[derive(JsonSchema, Serialize)]
struct Summary {
    summary: Overview,
}

impl Show for Summary {
    fn show(&self, page: &mut Page) {
        let told = &self.summary;
        let rows = [
            (told.total_issues, "in all"),
            (told.ready_issues, "ready"),
            (told.open_issues, "open"),
            (told.hooked_issues, "hooked"),
            (told.in_progress_issues, "in progress"),
            (told.in_review_issues, "in review"),
            (told.blocked_issues, "blocked"),
            (told.deferred_issues, "deferred"),
            (told.pinned_issues, "pinned"),
            (told.closed_issues, "closed"),
            (told.epics_eligible_for_closure, "epics that may be closed"),
        ];
        // The first three are told even when there are none.
        let rows = rows.into_iter().enumerate().filter(|(n, (count, _))| *n < 3 || *count > 0);
        let rows: Vec<Vec<String>> = rows.map(|(_, (count, name))| vec![count.to_string(), name.to_owned()]).collect();
        page.table(&["BEADS", ""], &rows);
        if told.closed_issues > 0 {
            page.line(format!("closed {:.1} hours after they were filed, on average", told.average_lead_time_hours));
        }
    }
}

/// One line of what is so here.
#[derive(JsonSchema, Serialize)]
struct Told {
    message: &'static str,
}

impl Show for Told {
    fn show(&self, page: &mut Page) {
        page.line(self.message);
    }
}

/// What the bd tool does with its database: push and pull are gt sync here
#[derive(Args)]
#[command(disable_help_flag = true)]
pub struct Dolt {
    /// What to do
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl Dolt {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match self.words.first().map(String::as_str) {
            Some("push") => Sync::only_push().run(town, out),
            Some("pull") => Sync::only_fetch().run(town, out),
            Some("commit") => Ok(out.show(&Told { message: "every change is a commit of the ledger already" })),
            Some("status" | "show" | "start" | "stop" | "test" | "killall") => {
                Ok(out.show(&Told { message: "there is no database server: beads are kept in a ledger in git, and need none" }))
            }
            _ => Err(Error::refused("there is no database here: beads are kept in a ledger in git")
                .hint("gt sync exchanges it with remotes, gt remote list names them, gt backup FILE saves it")),
        }
    }
}

/// What the bd tool does with its daemon, of which there is none here
#[derive(Args)]
#[command(disable_help_flag = true)]
pub struct Daemon {
    /// What to do
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl Daemon {
    pub(super) fn run(&self, _: &Town, out: Out) -> Result<u8> {
        let begins = |word: &String| matches!(word.trim_start_matches('-'), "start" | "restart" | "foreground");
        if self.words.iter().any(begins) {
            return Err(Error::refused("there is no daemon to start: every command reads and writes the ledger itself")
                .hint("go on without it; gt sync exchanges with remotes"));
        }
        Ok(out
            .show(&Told { message: "there is no daemon, and none is needed: every command reads and writes the ledger itself" }))
    }
}

/// Print what to put into a project's AGENTS.md
#[derive(Args)]
pub struct Onboard {}

impl Onboard {
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "every verb runs alike")]
    pub(super) fn run(&self, _: &Town, out: Out) -> Result<u8> {
        Ok(out.show(&Told { message: include_str!("onboard.md").trim_ascii_end() }))
    }
}
