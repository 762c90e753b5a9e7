//! `gt stats` and `gt cv`: figures of what was done, and one worker's history.

use clap::Args;

use super::bead::words::ago;
use super::out::ago::{length, minute};
use super::out::{Cell, Out, Page, Show, Style};
use super::schema::Answer;
use crate::error::Result;
use crate::ledger::Damaged;
use crate::ops::stats::{self, By, Career, Figures, Group, Question, Stats, fields_of};
use crate::ops::track::Scopes;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Stats>("bead stats"), Answer::of::<Stats>("stats"), Answer::of::<Career>("cv")];

/// Show what was finished, how long it took and how well it went
///
/// Cycle time runs from the hook to the close. Columns of which nothing is recorded are left out.
///
/// Example: gt stats --group-by model,type --since 30d
#[derive(Args)]
pub struct StatsArgs {
    /// Only of those whose address has this in it, or fits a pattern such as 'widgets/*'; --actor PATTERN says the same here
    #[arg(long, value_name = "PATTERN")]
    pub of: Option<String>,
    /// model, actor, rig, type, label or formula; two by a comma
    #[arg(long, value_enum, value_name = "FIELD", value_delimiter = ',')]
    group_by: Vec<By>,
    /// Only what ended since: a date, a time, or a length such as 30d
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only of this rig, or hq for the town's own
    #[arg(long, value_name = "RIG")]
    rig: Option<String>,
    /// Of every rig
    #[arg(long, conflicts_with = "rig")]
    all: bool,
}

impl StatsArgs {
    /// Counts and shows.
    ///
    /// # Errors
    /// Usage, when a word is wrong; not found, when there is no such rig.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let question = Question {
            actor: self.of.clone(),
            is_whole: false,
            since: self.since.as_ref().map_or(Ok(None), |text| ago(text, town.now))?,
            group_by: fields_of(&self.group_by)?,
        };
        let stats = stats::stats(town, &Scopes::of(town, self.rig.as_deref(), self.all)?, &question)?;
        note(out, &stats.damaged, &stats.notes);
        Ok(out.show(&stats))
    }
}

fn note(out: Out, damaged: &[Damaged], notes: &[String]) {
    for damaged in damaged {
        out.note(&format!("damaged: {}: {}", damaged.path, damaged.fault));
    }
    for note in notes {
        out.note(note);
    }
}

impl Show for Stats {
    fn show(&self, page: &mut Page) {
        let names: Vec<String> = self.group_by.iter().map(|by| by.word().to_uppercase()).collect();
        let mut rows: Vec<(Vec<String>, &Figures)> = self.groups.iter().map(|one| (one.group.clone(), &one.figures)).collect();
        if self.groups.len() != 1 {
            let mut total = vec![String::new(); names.len()];
            if let Some(first) = total.first_mut() {
                "in all".clone_into(first);
            }
            rows.push((total, &self.total));
        }
        table(page, &names, &rows);
    }
}

type Column = (&'static str, fn(&Figures) -> Option<String>);

/// What of `count` is worth a cell.
fn some(count: usize) -> Option<String> {
    (count > 0).then(|| count.to_string())
}

/// The columns, of which those are shown that have something in them.
const COLUMNS: [Column; 12] = [
    ("FINISHED", |one| Some(one.finished.to_string())),
    ("FAILED", |one| some(one.failed)),
    ("MEDIAN", |one| one.median_cycle_millis.map(length)),
    ("P90", |one| one.p90_cycle_millis.map(length)),
    ("MRS", |one| some(one.merge_requests)),
    ("PER BEAD", |one| one.attempts_per_bead.map(|number| format!("{number:.2}"))),
    ("FIRST PASS", |one| one.first_pass_rate.map(|rate| format!("{:.0} %", rate * 100.0))),
    ("RED", |one| some(one.gate_failures)),
    ("CONFLICTS", |one| some(one.conflicts)),
    ("REOPENED", |one| (one.reopened > 0).then(|| one.reopened.to_string())),
    ("ESCALATED", |one| some(one.escalations)),
    ("TOKENS", |one| one.tokens.map(|tokens| tokens.to_string())),
];

fn table(page: &mut Page, names: &[String], rows: &[(Vec<String>, &Figures)]) {
    let columns: Vec<&Column> = COLUMNS.iter().filter(|(_, value)| rows.iter().any(|(_, one)| value(one).is_some())).collect();
    let has_cost = rows.iter().any(|(_, one)| one.cost_usd.is_some());
    let mut heading: Vec<&str> = names.iter().map(String::as_str).chain(columns.iter().map(|(name, _)| *name)).collect();
    if has_cost {
        heading.push("COST");
    }
    let row = |(group, one): &(Vec<String>, &Figures)| {
        let mut cells: Vec<Cell> = group.iter().map(|word| Cell::from(word.as_str())).collect();
        cells.extend(columns.iter().map(|(_, value)| Cell::number(&value(one).unwrap_or_else(|| "-".to_owned()))));
        if has_cost {
            cells.push(Cell::number(&one.cost_usd.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.2} $"))));
        }
        cells
    };
    page.table(&heading, &rows.iter().map(row).collect::<Vec<_>>());
}

/// Show a worker's history: what it finished, how well, and the last ten beads; also after its removal
///
/// Example: gt cv widgets/toast
#[derive(Args)]
pub struct CvArgs {
    /// Whose; yours when not given
    agent: Option<String>,
}

impl CvArgs {
    /// Gathers and shows.
    ///
    /// # Errors
    /// Not found, when there never was such an agent.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let agent = self.agent.as_deref().map_or_else(|| Ok(town.me.clone()), |text| stats::worker(town, text))?;
        let career = stats::career(town, &agent)?;
        note(out, &career.damaged, &career.notes);
        Ok(out.show(&career))
    }
}

impl Show for Career {
    fn show(&self, page: &mut Page) {
        page.line(page.paint(Style::Bold, &self.agent.to_string()));
        if let Some(since) = self.since {
            page.field("since", &minute(since));
        }
        let is_empty = self.total.finished + self.total.failed + self.total.merge_requests + self.total.escalations == 0;
        if is_empty {
            return page.line("  has finished nothing yet");
        }
        page.gap();
        let mut rows: Vec<(Vec<String>, &Figures)> =
            self.by_type.iter().map(|Group { group, figures }| (group.clone(), figures)).collect();
        if rows.len() != 1 {
            rows.push((vec!["in all".to_owned()], &self.total));
        }
        table(page, &["TYPE".to_owned()], &rows);
        if self.last.is_empty() {
            return;
        }
        page.gap();
        let row = |one: &stats::Deed| {
            let dash = || "-".to_owned();
            vec![
                Cell::from(one.closed_at.map_or_else(dash, minute)).dim(),
                Cell::id(&one.id),
                Cell::number(&one.cycle_millis.map_or_else(dash, length)),
                Cell::number(&one.attempts.map_or_else(dash, |attempts| attempts.to_string())),
                Cell::from(one.model.clone().unwrap_or_else(dash)),
                Cell::from(one.title.as_str()),
            ]
        };
        let rows: Vec<Vec<Cell>> = self.last.iter().map(row).collect();
        page.table(&["CLOSED (UTC)", "BEAD", "TOOK", "MRS", "MODEL", "TITLE"], &rows);
    }
}
