//! `gt costs`: what agents cost, and what limits say of it.

use std::io::Read as _;

use clap::{Args, Subcommand};

use crate::cli::out::{Cell, Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::cost::{Sum, dollars};
use crate::name::Name;
use crate::ops::costs::{self, By, Costs, Recorded, Repaired};
use crate::time::Moment;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] =
    &[Answer::of::<Costs>("costs"), Answer::of::<Recorded>("costs record"), Answer::of::<Repaired>("costs repair")];

/// The longest report that is read.
const REPORT_BYTES_MAX: u64 = 1 << 20;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Show what agents cost on this machine: starts, tokens and money, and how much of each limit is used
///
/// Example: gt costs --by agent --week
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct CostsArgs {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// By what it is summed
    #[arg(long, value_enum, default_value = "bead")]
    by: By,
    /// Only today, in UTC
    #[arg(long, conflicts_with = "week")]
    today: bool,
    /// Only the last seven days, today among them
    #[arg(long)]
    week: bool,
    /// Only of this rig
    #[arg(long, value_name = "NAME")]
    rig: Option<Name>,
}

#[derive(Subcommand)]
enum Verb {
    /// Record what a session has spent so far, as its program tells on standard input
    ///
    /// Understood are the JSON that Claude Code gives its hooks, that of its answers, and a report of one's own. Example:
    /// echo '{"model": "m", "input_tokens": 5, "output_tokens": 7, "cost_usd": 0.1}' | gt costs record --session s1
    Record(Record),
    /// Set damaged lines of the book of costs aside, so that limits can be weighed again
    ///
    /// The book as it was is kept beside it. Example: gt costs repair
    Repair,
}

#[derive(Args)]
struct Record {
    /// The session; the one that this runs in, or that is named in what is told, when not given
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// The bead that it was spent on; what the session works on when not given
    #[arg(long)]
    bead: Option<String>,
}

impl CostsArgs {
    /// Shows, records or repairs.
    ///
    /// # Errors
    /// As [`costs::costs`], [`costs::record`] and [`costs::repair`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            Some(Verb::Record(record)) => {
                let told = costs::record(town, &told()?, record.session.as_deref(), record.bead.as_deref())?;
                Ok(out.show(&told))
            }
            Some(Verb::Repair) => Ok(out.show(&costs::repair(town)?)),
            None => {
                let days = if self.today { Some(0) } else { self.week.then_some(6) };
                let since = days.map(|days| Moment::from_millis(town.now.millis() - days * DAY_MILLIS));
                Ok(out.show(&costs::costs(town, self.by, since, self.rig.as_ref())?))
            }
        }
    }
}

/// What is told on standard input.
fn told() -> Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().take(REPORT_BYTES_MAX).read_to_string(&mut text);
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(Error::usage("what was given on standard input is no text"))
        }
        read => read.or_fail(Kind::Io, || "read standard input").map(|_| text),
    }
}

/// What something cost as cells: starts, tokens, those from caches, money.
fn cells(sum: &Sum) -> [Cell; 4] {
    let money = if sum.unpriced > 0 { format!("${}+?", dollars(sum.micros)) } else { format!("${}", dollars(sum.micros)) };
    let numbers = [sum.spawns.to_string(), sum.tokens.counted().to_string(), sum.tokens.cache_read.to_string(), money];
    numbers.map(|number| Cell::number(&number))
}

impl Show for Costs {
    fn show(&self, page: &mut Page) {
        let row = |name: &str, sum: &Sum| {
            let mut row = Vec::from(cells(sum));
            row.push(Cell::from(name.to_owned()));
            row
        };
        let mut rows: Vec<Vec<Cell>> =
            self.rows.iter().map(|one| row(if one.of.is_empty() { "-" } else { &one.of }, &one.sum)).collect();
        rows.push(row("total", &self.total));
        page.table(&["STARTS", "TOKENS", "CACHED", "MONEY", "OF"], &rows);
        if self.total.unpriced > 0 {
            page.line("+?: tokens of a model whose price is not known; gt config set prices.MODEL '…' says it");
        }
        for limit in &self.limits {
            let mark = if limit.is_reached() { ": reached, nothing new starts" } else { "" };
            page.line(format!("limit {} of {}{mark}", limit.key, escape(&limit.words())));
        }
    }
}

impl Show for Recorded {
    fn show(&self, page: &mut Page) {
        let mut sum = Sum::default();
        for part in &self.spent {
            sum.tokens.add(part.tokens);
            sum.micros = sum.micros.saturating_add(part.micros.unwrap_or(0));
        }
        let of = if self.whose.bead.is_empty() {
            self.whose.agent.clone()
        } else {
            format!("{} on {}", self.whose.agent, self.whose.bead)
        };
        let tokens = sum.tokens.counted();
        page.line(format!("{} of {}: {tokens} tokens, ${} so far", escape(&self.session), escape(&of), dollars(sum.micros)));
    }
}

impl Show for Repaired {
    fn show(&self, page: &mut Page) {
        match &self.aside {
            None => page.line(format!("nothing is damaged: {} lines", self.kept)),
            Some(aside) => {
                page.line(format!("{} lines stay, {} could not be read", self.kept, self.damaged));
                page.line(format!("the book as it was is kept at {}", escape(&aside.display().to_string())));
            }
        }
    }
}
