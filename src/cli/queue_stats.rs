//! `gt mq stats`: figures of the merge queue.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::bead::words::ago;
use crate::cli::out::ago::length;
use crate::cli::out::{Page, Show};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::model::queue_figures::{Figures, GateFigures, Spread};
use crate::name::Name;
use crate::ops::refinery;
use crate::town::Town;

/// What this command prints with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Told>("mq stats")];

/// Show figures of the queue: runs beside what is possible, where time went, who was blamed wrongly, which gates lie
///
/// Example: gt mq stats --since 7d
#[derive(Args)]
pub struct StatsArgs {
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
    /// Only of requests to this branch
    #[arg(long)]
    target: Option<String>,
    /// Only of what ended since: a date, a time, or a length such as 7d; runs are remembered for a week
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

/// The figures of a rig's queue.
#[derive(JsonSchema, Serialize)]
pub struct Told {
    rig: Name,
    #[serde(flatten)]
    figures: Figures,
}

impl StatsArgs {
    /// Counts.
    ///
    /// # Errors
    /// Usage, when the time is none; as [`refinery::stats`].
    pub fn run(&self, town: &Town) -> Result<Told> {
        let place = town.rig_or_here(self.rig.as_ref())?;
        let since = self.since.as_ref().map_or(Ok(None), |text| ago(text, town.now))?;
        let figures = refinery::stats(&place, since, self.target.as_deref())?;
        Ok(Told { rig: place.rig.name, figures })
    }
}

impl Show for Told {
    fn show(&self, page: &mut Page) {
        let figures = &self.figures;
        if figures.landed + figures.red + figures.sent_back + figures.left == 0 {
            return page.line(format!("no request of rig {} has ended yet", self.rig));
        }
        page.line(format!(
            "rig {}: {} landed, {} sent back for a red gate, {} for something else, {} withdrawn or replaced",
            self.rig, figures.landed, figures.red, figures.sent_back, figures.left
        ));
        let per = figures.per_landed.map(|per| format!(", {per} for each that landed")).unwrap_or_default();
        let stacks = if figures.stacks_gated == 1 { "stack" } else { "stacks" };
        page.line(format!("{} {stacks} gated{per}", figures.stacks_gated));
        page.line(format!(
            "  expected of the best plan one after another {}, of any plan at least {}",
            figures.optimal_plan, figures.entropy_bound
        ));
        page.line(format!(
            "{} landed by what was gated before; {} blamed wrongly: their head landed later as it was",
            figures.landed_by_memo, figures.blamed_wrongly
        ));
        let times = [
            ("handed in to landed", figures.to_landed),
            ("  waiting for a run", figures.waiting),
            ("  being gated", figures.gating),
            ("  held", figures.held),
        ];
        let rows: Vec<Vec<String>> = times.into_iter().filter_map(|(what, spread)| Some(spread_row(what, spread?))).collect();
        if !rows.is_empty() {
            page.gap();
            page.table(&["TIME", "MEAN", "MEDIAN", "95 %", "LONGEST"], &rows);
        }
        if !figures.gates.is_empty() {
            page.gap();
            page.table(
                &["GATE", "RUNS", "RED", "FLAKES", "RATE", "MEDIAN"],
                &figures.gates.iter().map(gate_row).collect::<Vec<_>>(),
            );
        }
    }
}

fn spread_row(what: &str, spread: Spread) -> Vec<String> {
    let Spread { mean_millis, median_millis, p95_millis, max_millis } = spread;
    let mut row = vec![what.to_owned()];
    row.extend([mean_millis, median_millis, p95_millis, max_millis].map(length));
    row
}

fn gate_row(gate: &GateFigures) -> Vec<String> {
    let rate = gate.flake_rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
    let counts = [gate.runs, gate.red, gate.flakes].map(|count| count.to_string());
    let mut row = vec![gate.gate.clone()];
    row.extend(counts);
    row.extend([rate, length(gate.median_millis)]);
    row
}
