//! The bead verb `board`: columns side by side on a terminal, one below the other elsewhere.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::which::Which;
use super::words::ago;
use crate::cli::out::{Cell, Out, Page, Show, Style};
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::model::bead::Bead;
use crate::model::brief::Brief;
use crate::ops::track::board::{Board as Stages, Column, Stage, board};
use crate::ops::track::{Filter, Listed, Scopes};
use crate::time::{self, Moment, Stopwatch};
use crate::town::Town;

/// What this command prints with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Drawn<Bead>>("bead board")];

/// Show work by where it stands: ready, blocked, in progress, in review, closed lately
///
/// Example: gt bead board --rig widgets --since 3d
#[derive(Args)]
pub struct Board {
    #[command(flatten)]
    which: Which,
    /// Beads in a column; 0 for all
    #[arg(short = 'n', long, default_value_t = 10)]
    limit: usize,
    /// Since when beads are closed lately
    #[arg(long, value_name = "WHEN", default_value = "7d")]
    since: String,
    /// Draw it again whenever something changes, on a terminal
    #[arg(short, long)]
    watch: bool,
}

/// How long a change in a scope that is not watched, or of the terminal's size, may stay unseen.
const LOOK_MILLIS: u64 = 500;
/// How long the board stands before it tells the time anew.
const REDRAW_MILLIS: u64 = 60_000;

impl Board {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (filter, scopes) = self.which.asked(town)?;
        if self.watch {
            return self.watch(town, &scopes, &filter, out);
        }
        if out.json {
            self.answer::<Bead>(town, &scopes, &filter, out)
        } else {
            self.answer::<Brief>(town, &scopes, &filter, out)
        }
    }

    fn look<B: Listed>(&self, town: &Town, scopes: &Scopes, filter: &Filter, now: Moment) -> Result<Stages<B>> {
        let since = ago(&self.since, now)?.ok_or_else(|| Error::usage("--since is empty").hint("write for example 7d"))?;
        board::<B>(town, scopes, filter, (now, since), self.limit)
    }

    fn answer<B: Listed + JsonSchema>(&self, town: &Town, scopes: &Scopes, filter: &Filter, out: Out) -> Result<u8> {
        let stages = self.look::<B>(town, scopes, filter, town.now)?;
        for damaged in &stages.damaged {
            out.note(&format!("damaged: {}: {}", damaged.path, damaged.fault));
        }
        stages.notes.iter().for_each(|note| out.note(note));
        Ok(out.show(&Drawn(stages)))
    }

    /// Draws the board again and again, until somebody interrupts.
    fn watch(&self, town: &Town, scopes: &Scopes, filter: &Filter, out: Out) -> Result<u8> {
        if out.json || out.paper.terminal.is_none() {
            return Err(Error::usage("--watch draws on a terminal").hint("leave it out, or follow events: gt log"));
        }
        let ledgers = scopes.asked.iter().map(|prefix| town.scope_of(prefix)).collect::<Result<Vec<_>>>()?;
        let tips = || ledgers.iter().map(crate::ledger::Ledger::tip).collect::<Result<Vec<_>>>();
        let Some(first) = ledgers.first() else { return Ok(0) };
        loop {
            let (out, seen, clock) = (Out { paper: out.paper.resized(), ..out }, tips()?, Stopwatch::start());
            out.redraw(&Drawn(self.look::<Brief>(town, scopes, filter, time::now()?)?));
            while tips()? == seen && out.paper.resized() == out.paper && clock.millis() < REDRAW_MILLIS {
                first.wait_for_change(seen[0], LOOK_MILLIS)?;
            }
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Drawn<B>(Stages<B>);

/// The narrowest column that a title can be read in.
const WIDTH_MIN: usize = 18;
/// Columns between columns.
const GAP: usize = 2;

fn style_of(stage: Stage) -> Style {
    match stage {
        Stage::Ready => Style::Bold,
        Stage::Blocked => Style::Bad,
        Stage::InProgress => Style::Busy,
        Stage::InReview => Style::Review,
        Stage::Closed => Style::Good,
    }
}

impl<B: Listed + JsonSchema> Show for Drawn<B> {
    fn show(&self, page: &mut Page) {
        let full: Vec<&Column<B>> = self.0.columns.iter().filter(|column| column.total > 0).collect();
        if full.is_empty() {
            return page.line("nothing is on the board");
        }
        let width = |columns: usize| (columns + GAP) / full.len() - GAP;
        match page.columns().map(width).filter(|width| *width >= WIDTH_MIN) {
            Some(width) => side_by_side(page, &full, width.min(40)),
            None => one_below_the_other(page, &full),
        }
    }
}

fn side_by_side<B: Listed>(page: &mut Page, columns: &[&Column<B>], width: usize) {
    let cards = columns.iter().map(|column| {
        let mut cells = vec![vec![
            Cell::new(style_of(column.stage), &column.stage.word().to_uppercase()),
            Cell::from(column.total.to_string()).dim(),
        ]];
        for bead in &column.beads {
            cells.push(Vec::new());
            cells.push(vec![Cell::priority(bead.priority()), Cell::id(bead.id())]);
            cells.extend(Cell::wrapped(bead.title(), width, 2).into_iter().map(|cell| vec![cell]));
            if let Some(who) = bead.assignee() {
                cells.push(vec![Cell::address(Some(who)).dim()]);
            }
        }
        let left = column.total - column.beads.len();
        if left > 0 {
            cells.extend([Vec::new(), vec![Cell::from(format!("and {left} more")).dim()]]);
        }
        cells
    });
    page.side_by_side(&cards.collect::<Vec<_>>(), width, GAP);
}

fn one_below_the_other<B: Listed>(page: &mut Page, columns: &[&Column<B>]) {
    for (n, column) in columns.iter().enumerate() {
        if n > 0 {
            page.gap();
        }
        let left = column.total - column.beads.len();
        let more = if left > 0 { format!(" (first {})", column.beads.len()) } else { String::new() };
        let heading = page.paint(style_of(column.stage), &column.stage.word().to_uppercase());
        page.line(format!("{heading} {}{more}", column.total));
        for bead in &column.beads {
            let who = bead.assignee().map(|who| format!("({who})")).unwrap_or_default();
            let cells = [Cell::id(bead.id()), Cell::priority(bead.priority()), Cell::from(bead.title()), Cell::from(who).dim()];
            page.row("  ", &cells);
        }
    }
}
