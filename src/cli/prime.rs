//! `gt prime`: what an agent must know, in the order it reads it, within a budget of characters.

use clap::Args;
use clap::builder::RangedU64ValueParser;
use schemars::JsonSchema;
use serde::Serialize;

mod told;

use crate::cli::out::{Out, Page, Show};
use crate::cli::prime_hook::HookForm;
use crate::cli::schema::Answer;
use crate::env::{self, Var};
use crate::error::Result;
use crate::model::parts::{self, Part};
use crate::ops::post;
use crate::ops::prime::{self, Primed};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Answered>("prime")];

/// Less than this has no room to say what was left out.
const BUDGET_MIN: u64 = 3_000;

/// Print what an agent must know: who it is, its work, how it hands in
///
/// Example: gt prime --budget 20000
#[derive(Args)]
pub struct PrimeArgs {
    /// Tell it in so many characters at most; what matters least is left out first, with the command that shows it
    #[arg(long, value_name = "CHARS", default_value = "120000", value_parser = RangedU64ValueParser::<usize>::new().range(BUDGET_MIN..))]
    budget: usize,
    /// Only list the parts: what each is, where it comes from, its size; starts nothing
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    pub(super) form: HookForm,
}

impl PrimeArgs {
    /// Primes; within a session it marks the start of work.
    ///
    /// # Errors
    /// As [`prime::prime`].
    pub fn run(&self, town: &Town, out: Out) -> Result<Answered> {
        let session = env::text(Var::Session).filter(|_| !self.explain);
        let primed = prime::prime(town, session.as_deref())?;
        if primed.has_started {
            out.note_undelivered(post::deliver(town));
        }
        let mut told = told::parts(&primed);
        parts::fit(&mut told, self.budget);
        let parts = told.iter().map(Line::of).collect();
        Ok(Answered { primed, parts, told, is_explained: self.explain })
    }
}

/// What an agent must know, and the parts it is told in.
#[derive(JsonSchema, Serialize)]
pub struct Answered {
    #[serde(flatten)]
    primed: Primed,
    /// The parts of the text, in their order.
    parts: Vec<Line>,
    #[serde(skip)]
    told: Vec<Part>,
    #[serde(skip)]
    is_explained: bool,
}

/// A part of the text.
#[derive(JsonSchema, Serialize)]
struct Line {
    /// What it is.
    name: &'static str,
    /// Where it comes from.
    from: String,
    /// Characters in full.
    chars: usize,
    /// Whether the budget has no room for it.
    is_left_out: bool,
}

impl Line {
    fn of(part: &Part) -> Self {
        Self { name: part.name, from: part.from.clone(), chars: part.chars(), is_left_out: part.is_left_out }
    }
}

impl Show for Answered {
    fn show(&self, page: &mut Page) {
        if self.is_explained {
            let told = |line: &Line| if line.is_left_out { "left out" } else { "told" };
            let row = |line: &Line| vec![line.name.to_owned(), line.from.clone(), line.chars.to_string(), told(line).to_owned()];
            return page.table(&["PART", "FROM", "CHARS", "TOLD"], &self.parts.iter().map(row).collect::<Vec<_>>());
        }
        for (n, part) in self.told.iter().enumerate() {
            if n > 0 {
                page.gap();
            }
            page.verbatim(part.told().trim_end());
        }
    }
}
