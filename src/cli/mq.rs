//! `gt mq` and `gt refinery`: the merge queue.

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::oracle::OracleArgs;
use crate::cli::out::ago::minute;
use crate::cli::out::{Cell, Out, Page, Show, Style, escape};
use crate::cli::queue_stats::StatsArgs;
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::model::merge_request::{Blame, MrState};
use crate::name::{BeadId, Name};
use crate::ops::post;
use crate::ops::refinery::{self, Drained, Filed, Listed, Overview, Story, Submission};
use crate::time::Moment;
use crate::town::{RigPlace, Town};

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Queue>("mq list"),
    Answer::of::<Overview>("mq status"),
    Answer::of::<Filed>("mq submit"),
    Answer::of::<Drained>("mq run"),
    Answer::of::<Drained>("refinery run"),
    Answer::of::<Story>("mq why"),
];

/// File, list and land merge requests
#[derive(Args)]
pub struct MqArgs {
    #[command(subcommand)]
    verb: MqVerb,
}

#[derive(Subcommand)]
enum MqVerb {
    List(List),
    Status(RigOnly),
    Submit(Submit),
    Run(Run),
    Why(Why),
    Stats(StatsArgs),
    Oracle(OracleArgs),
}

/// List merge requests in the order of their turns
#[derive(Args)]
struct List {
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
    /// Those that ended too, newest first
    #[arg(long)]
    all: bool,
}

/// Show how the queue stands: gates, targets, what waits
#[derive(Args)]
struct RigOnly {
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
}

/// File a merge request by hand: a branch for a bead
///
/// Example: gt mq submit wi-x7k2m my-branch
#[derive(Args)]
struct Submit {
    /// The work, or a unique abbreviation of its id
    bead: String,
    /// The branch in the rig's repository
    branch: String,
    /// The branch to merge into; the rig's target when not given
    #[arg(long)]
    target: Option<String>,
    /// The message of the squashed commit; the newest commit's when not given
    #[arg(short, long)]
    message: Option<String>,
}

/// Work the queue: stack, gate, land, send back
///
/// Example: gt mq run --once
#[derive(Args)]
struct Run {
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
    /// End when nothing can move, instead of waiting for more
    #[arg(long)]
    once: bool,
}

/// Tell the whole story of a merge request: gate runs, evidence, how to see the failure again
#[derive(Args)]
struct Why {
    /// The request, or the work it delivers; a unique abbreviation will do
    id: String,
}

/// Work the merge queue of a rig as its refinery
#[derive(Args)]
pub struct RefineryArgs {
    #[command(subcommand)]
    verb: RefineryVerb,
}

#[derive(Subcommand)]
enum RefineryVerb {
    Run(Run),
}

impl MqArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        match self.verb {
            MqVerb::List(list) => {
                let place = town.rig_or_here(list.rig.as_ref())?;
                let requests = refinery::list(&place, list.all, town.now)?;
                Ok(out.show(&Queue { requests, now: town.now }))
            }
            MqVerb::Status(status) => {
                let place = town.rig_or_here(status.rig.as_ref())?;
                Ok(out.show(&refinery::status(town, &place)?))
            }
            MqVerb::Submit(submit) => {
                let (place, bead) = place_of(town, &submit.bead)?;
                let Submit { branch, target, message, .. } = submit;
                let filed = refinery::submit(town, &place, &Submission { bead, branch, target, message })?;
                out.note_undelivered(post::deliver(town));
                Ok(out.show(&filed))
            }
            MqVerb::Run(run) => run.run(town, out),
            MqVerb::Why(why) => {
                let (place, id) = place_of(town, &why.id)?;
                Ok(out.show(&refinery::why(&place, &id, town.now)?))
            }
            MqVerb::Stats(stats) => Ok(out.show(&stats.run(town)?)),
            MqVerb::Oracle(oracle) => Ok(out.show(&oracle.run(town)?)),
        }
    }
}

impl RefineryArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        match self.verb {
            RefineryVerb::Run(run) => run.run(town, out),
        }
    }
}

impl Run {
    fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let place = town.rig_or_here(self.rig.as_ref())?;
        let mut say = |event: &refinery::Event| out.tell(&event.line());
        if !self.once {
            let mut complain = |error: &Error| {
                out.note(&format!("gt: {}", error.line()));
                out.note(&format!("hint: {}", error.hint.as_deref().unwrap_or("it is tried again when something changes")));
            };
            return refinery::serve(town, &place, &mut say, &mut complain).map(|never| match never {});
        }
        let drained = refinery::run(town, &place, &mut say);
        out.note_undelivered(post::deliver(town));
        Ok(out.show(&drained?))
    }
}

/// The rig and full id of a bead that lives in a rig.
fn place_of(town: &Town, text: &str) -> Result<(RigPlace, BeadId)> {
    let (_, id) = town.resolve_bead(text)?;
    let rig = town.rigs()?.into_iter().find(|rig| rig.prefix == id.prefix());
    match rig {
        Some(rig) => Ok((town.rig(&rig.name)?, id)),
        None => Err(Error::refused(format!("{id} belongs to the town, which has no merge queue"))
            .hint("merge requests are for beads of a rig: gt bead create TITLE --rig NAME")),
    }
}

/// Requests of a rig.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Queue {
    requests: Vec<Listed>,
    #[serde(skip)]
    now: Moment,
}

impl Show for Queue {
    fn show(&self, page: &mut Page) {
        if self.requests.is_empty() {
            return page.line("the merge queue is empty");
        }
        let row = |one: &Listed| {
            let beads: Vec<&str> = one.beads.iter().map(BeadId::as_str).collect();
            let what = if one.note.is_empty() { &one.title } else { &one.note };
            vec![
                Cell::number(&one.position.map_or_else(|| "-".to_owned(), |position| position.to_string())),
                Cell::id(one.id.as_str()),
                Cell::new(state_style(one.state), one.state.word()).whole(),
                Cell::from(beads.join(" ")),
                Cell::from(one.target.as_str()),
                Cell::address(Some(&one.author)),
                Cell::from(one.submitted_at.ago(self.now)).dim(),
                Cell::from(what.as_str()),
            ]
        };
        let rows: Vec<Vec<Cell>> = self.requests.iter().map(row).collect();
        page.table(&["#", "REQUEST", "STATE", "WORK", "TARGET", "AUTHOR", "AGE", "WHAT"], &rows);
    }
}

const fn state_style(state: MrState) -> Style {
    match state {
        MrState::Queued => Style::Plain,
        MrState::Held => Style::Warn,
        MrState::Landing => Style::Busy,
        MrState::Landed => Style::Good,
        MrState::Evicted => Style::Bad,
        MrState::Withdrawn | MrState::Superseded => Style::Dim,
    }
}

/// What pushes, for those who wonder why nothing is.
const PUSHED: &str = " (a rig that pushes: --land origin of gt rig add)";

impl Show for Overview {
    fn show(&self, page: &mut Page) {
        let gates = if self.gates.is_empty() { "none".to_owned() } else { self.gates.join(", ") };
        page.line(format!("rig {}, worked on machine {}; gates: {}", self.rig, escape(&self.home), escape(&gates)));
        for one in &self.targets {
            let tip = one.tip.as_deref().map_or("no commit", |tip| tip.get(..8).unwrap_or(tip));
            let certified = if one.is_certified { "gated green" } else { "not gated here" };
            let worked = if one.is_worked { "; a refinery is at work" } else { "" };
            page.line(format!(
                "{} at {tip} ({certified}): {} queued, {} held{worked}",
                escape(&one.target),
                one.queued,
                one.held
            ));
            let hint = if one.origin.is_pushed { "" } else { PUSHED };
            page.line(format!("  {}{hint}", escape(&one.origin.words(&one.target))));
            for intent in &one.open_intents {
                page.line(format!("  landing {intent} is open; the next gt mq run --once settles it"));
            }
        }
    }
}

impl Show for Filed {
    fn show(&self, page: &mut Page) {
        page.line(format!("filed {} for {}, which is in review now", self.mr, self.bead));
        for old in &self.superseded {
            page.line(format!("it replaces {old}"));
        }
    }
}

impl Show for Drained {
    fn show(&self, page: &mut Page) {
        let (landed, back, held) = (self.landed.len(), self.evicted.len(), self.held.len());
        if landed + back + held == 0 && self.red_targets.is_empty() && self.waiting_for_remote.is_empty() {
            return page.line("nothing to do: the merge queue is empty");
        }
        page.line(format!("{landed} landed, {back} sent back, {held} held; {} gate runs", self.runs));
        for target in &self.red_targets {
            page.line(format!("{} is red itself: mend it; gt mq list shows who waits", escape(target)));
        }
        for target in &self.waiting_for_remote {
            page.line(format!("{} waits for its remote; run again when it can be reached", escape(target)));
        }
    }
}

impl Show for Story {
    fn show(&self, page: &mut Page) {
        let listed = &self.listed;
        let beads: Vec<&str> = listed.beads.iter().map(BeadId::as_str).collect();
        page.line(format!("{} ({}): {}", listed.id, beads.join(" "), escape(&listed.title)));
        let place = listed.position.map(|position| format!(", number {position} in its queue")).unwrap_or_default();
        page.line(format!("state     {}{place}", page.paint(state_style(listed.state), listed.state.word())));
        page.line(format!("way       {} → {} by {}", escape(&listed.branch), escape(&listed.target), escape(&listed.author)));
        page.line(format!("head      {}", self.head));
        page.line(format!("handed in {}, sent back {} times before", minute(listed.submitted_at), listed.attempts));
        if !listed.note.is_empty() && self.landed_commit.is_none() {
            page.line(format!("why       {}", escape(&listed.note)));
        }
        if let Some(commit) = &self.landed_commit {
            page.line(format!("landed as {commit}"));
        }
        if let Some(intent) = &self.intent {
            page.line(format!("landing   {} is open; the next gt mq run --once settles it", intent.id));
        }
        if !self.runs.is_empty() {
            page.line("gate runs");
            for run in &self.runs {
                page.line(format!("  {}; log {}", escape(&run.line), escape(&run.log)));
            }
        }
        if let Some(blame) = &self.blame {
            show_blame(page, blame);
        }
    }
}

fn show_blame(page: &mut Page, blame: &Blame) {
    if !blame.gate.is_empty() {
        page.line(format!(
            "gate {} on {}, {:.2} % sure; its last lines",
            escape(&blame.gate),
            blame.stack_commit,
            blame.posterior * 100.0
        ));
        page.block(2, &blame.log_tail);
    }
    if !blame.files.is_empty() {
        page.line(format!("conflicts with {} in", blame.base));
        page.block(2, &blame.files.join("\n"));
    }
    if !blame.theirs.is_empty() {
        page.line("commits of the other side there");
        page.block(2, &blame.theirs.join("\n"));
    }
    if !blame.landed_since.is_empty() {
        let landed: Vec<&str> = blame.landed_since.iter().map(BeadId::as_str).collect();
        page.line(format!("landed since it was handed in: {}", landed.join(" ")));
    }
    if !blame.reproduce.is_empty() {
        page.line("to see it again");
        page.block(2, &blame.reproduce);
    }
}
