//! `gt mq list`, `status`, `next`: how the queue stands.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::place_of;
use crate::cli::out::ago::{length, minute};
use crate::cli::out::{Cell, Out, Page, Show, Style, escape};
use crate::error::Result;
use crate::model::flow::{Control, Flow};
use crate::model::merge_request::MrState;
use crate::name::{BeadId, Name};
use crate::ops::refinery::{self, Brief, Listed, Next, Overview};
use crate::time::Moment;
use crate::town::Town;

/// List merge requests in the order of their turns
///
/// EXPECTED is rough: the median time of the gates, times the runs that so many requests take in the mean.
/// Example: gt mq list --all
#[derive(Args)]
pub(super) struct List {
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
    /// Those that ended too, newest first
    #[arg(long)]
    all: bool,
}

/// Show how the queue stands: gates, targets, what waits; or one request in short
///
/// Example: gt mq status wi-mr-x7k2m
#[derive(Args)]
pub(super) struct Status {
    /// A request, or the work it delivers; a unique abbreviation will do
    id: Option<String>,
    /// The rig; the one here when not given
    #[arg(long, conflicts_with = "id")]
    rig: Option<Name>,
}

/// Show which requests are stacked next, in order, and why the others wait
///
/// Example: gt mq next --rig widgets
#[derive(Args)]
pub(super) struct NextUp {
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
}

impl List {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let place = town.rig_or_here(self.rig.as_ref())?;
        let requests = refinery::list(town, &place, self.all)?;
        let stopped = refinery::stopped(&place)?;
        Ok(out.show(&Queue { requests, stopped, now: town.now }))
    }
}

impl Status {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        if let Some(id) = &self.id {
            let (place, id) = place_of(town, id)?;
            return Ok(out.show(&refinery::brief(town, &place, &id)?));
        }
        let place = town.rig_or_here(self.rig.as_ref())?;
        Ok(out.show(&refinery::status(town, &place)?))
    }
}

impl NextUp {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let place = town.rig_or_here(self.rig.as_ref())?;
        Ok(out.show(&Queues(refinery::next(town, &place)?)))
    }
}

/// Requests of a rig.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub(super) struct Queue {
    requests: Vec<Listed>,
    #[serde(skip)]
    stopped: Vec<Control>,
    #[serde(skip)]
    now: Moment,
}

impl Show for Queue {
    fn show(&self, page: &mut Page) {
        for control in &self.stopped {
            page.line(page.paint(Style::Warn, &control.words()));
        }
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
                Cell::from(one.expected_millis.map_or_else(|| "-".to_owned(), |millis| format!("~{}", length(millis)))).dim(),
                Cell::from(format!("{what}{}", moved(one)).as_str()),
            ]
        };
        let rows: Vec<Vec<Cell>> = self.requests.iter().map(row).collect();
        page.table(&["#", "REQUEST", "STATE", "WORK", "TARGET", "AUTHOR", "AGE", "EXPECTED", "WHAT"], &rows);
    }
}

/// That the branch of a request has another tip than what was handed in.
fn moved(one: &Listed) -> String {
    let short = |tip: &String| format!(" (its branch moved on to {}; gt done hands that in)", tip.get(..8).unwrap_or(tip));
    one.branch_moved_to.as_ref().map(short).unwrap_or_default()
}

pub(super) const fn state_style(state: MrState) -> Style {
    match state {
        MrState::Queued => Style::Plain,
        MrState::Held => Style::Warn,
        MrState::Landing => Style::Busy,
        MrState::Landed => Style::Good,
        MrState::Evicted => Style::Bad,
        MrState::Withdrawn | MrState::Superseded => Style::Dim,
    }
}

/// The queues of a rig.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub(super) struct Queues(Vec<Next>);

impl Show for Queues {
    fn show(&self, page: &mut Page) {
        if self.0.is_empty() {
            return page.line("the merge queue is empty");
        }
        for queue in &self.0 {
            show_stop(page, queue.control.as_ref());
            let count = queue.stacked.len();
            let what = match count {
                0 => "nothing is stacked".to_owned(),
                1 => "1 request is tested next".to_owned(),
                _ => format!("{count} requests are stacked next, in this order"),
            };
            page.line(format!("{}: {what}", escape(&queue.target)));
            for one in &queue.stacked {
                page.row("  ", &[Cell::id(one.id.as_str()), Cell::from(one.title.as_str())]);
            }
            if !queue.waiting.is_empty() {
                page.line("  these wait");
            }
            for one in &queue.waiting {
                let release = if one.release.is_empty() { String::new() } else { format!(" → {}", one.release) };
                page.row("  ", &[Cell::id(one.id.as_str()), Cell::from(format!("{}{release}", one.note).as_str())]);
            }
        }
    }
}

fn show_stop(page: &mut Page, control: Option<&Control>) {
    if let Some(control) = control.filter(|control| control.state != Flow::Open) {
        let words = page.paint(Style::Warn, &control.words());
        page.line(format!("{words}; to open it: gt mq resume"));
    }
}

impl Show for Brief {
    fn show(&self, page: &mut Page) {
        let one = &self.listed;
        let beads: Vec<&str> = one.beads.iter().map(BeadId::as_str).collect();
        page.line(format!("{} ({}): {}", one.id, beads.join(" "), escape(&one.title)));
        let place = one.position.map(|position| format!(", number {position} in its queue")).unwrap_or_default();
        page.line(format!("state     {}{place}, P{}", page.paint(state_style(one.state), one.state.word()), one.priority));
        if !one.note.is_empty() {
            page.line(format!("why       {}", escape(&one.note)));
        }
        if !one.release.is_empty() {
            page.line(format!("to go on  {}", escape(&one.release)));
        }
        page.line(format!("way       {} → {} by {}", escape(&one.branch), escape(&one.target), escape(&one.author)));
        page.line(format!("head      {}{}", escape(&self.head), escape(&moved(one))));
        page.line(format!("handed in {}, sent back {} times before", minute(one.submitted_at), one.attempts));
        if let Some(millis) = one.expected_millis {
            page.line(format!("expected  in about {}, if gates take as long as they mostly do", length(millis)));
        }
        if one.approvals_needed > 0 || !self.approvals.is_empty() {
            page.line(format!("approvals {} of {}", one.approved_by.len(), one.approvals_needed));
        }
        for approval in &self.approvals {
            let counts = approval.head == self.head && one.approved_by.contains(&approval.by);
            let of = if counts { "" } else { " (does not count)" };
            let note = if approval.note.is_empty() { String::new() } else { format!(": {}", approval.note) };
            page.line(format!("  {} {}{of}{}", escape(&approval.by), minute(approval.at), escape(&note)));
        }
        show_stop(page, self.control.as_ref());
        page.line(format!("its story: gt mq why {0}; what it changes: gt mq diff {0}", one.id));
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
            show_stop(page, one.control.as_ref());
            let hint = if one.origin.is_pushed { "" } else { PUSHED };
            page.line(format!("  {}{hint}", escape(&one.origin.words(&one.target))));
            for intent in &one.open_intents {
                page.line(match &one.pull_request {
                    Some(reference) => format!("  landing {intent} waits for pull request {}", escape(reference)),
                    None => format!("  landing {intent} is open; the next gt mq run --once settles it"),
                });
            }
        }
    }
}
