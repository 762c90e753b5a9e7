//! What the agents of this machine cost: told by their own programs, kept in a book beside the ledger, summed by whoever
//! asks, and weighed against limits before anything starts.

mod brake;
mod gather;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::config;
use crate::env::{self, Var};
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::model::cost::{self, Item, Limit, Line, Price, Report, Spent, Sum, Whose};
use crate::name::Name;
use crate::ops::trust;
use crate::runtime::book::{self, Book};
use crate::runtime::transcript;
use crate::time::Moment;
use crate::town::Town;

pub use brake::{check, limits, look, start};

/// A book longer than this is folded when something is added.
const FOLD_BYTES: usize = 1 << 20;

fn path(town: &Town) -> PathBuf {
    town.hq.store.private_dir().join("costs.jsonl")
}

/// The lines of the book.
///
/// # Errors
/// Corrupt, with what helps, when one of them makes no sense.
fn lines(text: &str) -> Result<Vec<Line>> {
    cost::read(text).map_err(|error| {
        error.hint(
            "what was spent cannot be told, so nothing may start; look at it, then set what is damaged aside: gt costs repair",
        )
    })
}

/// What was told, and of whom.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Recorded {
    /// The session, as it was named.
    pub session: String,
    /// Whose it is, and for what.
    #[serde(flatten)]
    pub whose: Whose,
    /// What it has spent so far, by day and model.
    pub spent: Vec<Spent>,
}

/// Records what a program told on standard input of the acting agent's session, or of the one that is named.
///
/// # Errors
/// Usage, when it is nothing that is understood, or names no session; not found, when the transcript that it names is not
/// there; corrupt, when the book is.
pub fn record(town: &Town, text: &str, session: Option<&str>, bead: Option<&str>) -> Result<Recorded> {
    let own = session.map(str::to_owned).or_else(|| env::text(Var::Session));
    let (named, mut spent) = match cost::report(text, &cost::day_of(town.now))? {
        Report::Transcript(path, named) => (Some(named), transcript::spent(std::path::Path::new(&path), None)?),
        Report::Spent(spent, named) => (named, spent),
    };
    // The program's own name first: what is gathered from its files has that too.
    let session = session.map(str::to_owned).or(named).or(own).filter(|name| !name.is_empty()).ok_or_else(|| {
        Error::usage("of which session?").hint("run it in a session, or name one: gt costs record --session NAME")
    })?;
    price(town, &mut spent)?;
    let bead = match bead {
        Some(text) => town.resolve_bead(text)?.1.to_string(),
        None => bead_of(town)?,
    };
    let whose = whose(&town.me, bead);
    let told = Line::Spent { session: session.clone(), at: town.now, whose: whose.clone(), spent: spent.clone() };
    let book = Book::hold(&path(town))?;
    add(town, &book, &[told])?;
    Ok(Recorded { session, whose, spent })
}

/// What the acting agent works on: what its session was started for, else what hangs on its hook.
fn bead_of(town: &Town) -> Result<String> {
    match env::text(Var::Bead) {
        Some(bead) => Ok(bead),
        None => Ok(crate::ops::hook::of(town, &town.me)?.map(|hook| hook.bead.to_string()).unwrap_or_default()),
    }
}

fn whose(agent: &Address, bead: String) -> Whose {
    Whose { agent: agent.to_string(), rig: agent.rig().map(Name::to_string).unwrap_or_default(), bead, ..Whose::default() }
}

/// Puts a price to what has none, where one is known.
fn price(town: &Town, spent: &mut [Spent]) -> Result<()> {
    let prices = known_prices(town)?;
    for part in spent.iter_mut().filter(|part| part.micros.is_none()) {
        part.micros = cost::price_of(&prices, &part.model).map(|price| price.micros(&part.tokens));
    }
    Ok(())
}

/// The prices of configuration, then those that come with gt.
fn known_prices(town: &Town) -> Result<Vec<Price>> {
    let mut prices = Vec::new();
    for setting in config::all(town, None)? {
        if let Some(model) = setting.key.strip_prefix("prices.") {
            prices.extend(Price::of(model, &setting.text()));
        }
    }
    prices.extend(cost::prices()?);
    Ok(prices)
}

/// Adds lines that say something new, and folds a book that has grown.
fn add(town: &Town, book: &Book, new: &[Line]) -> Result<()> {
    let text = book.read()?;
    let known = lines(&text)?;
    let is_durable = town.hq.store.is_durable();
    for line in new.iter().filter(|line| !is_known(&known, line)) {
        let text = serde_json::to_string(line).or_fail(Kind::Bug, || "write a line of the costs")?;
        book.add(&text, is_durable)?;
    }
    if text.len() > FOLD_BYTES {
        let folded = cost::fold(lines(&book.read()?)?);
        let written: Vec<String> = folded
            .iter()
            .map(serde_json::to_string)
            .collect::<std::result::Result<_, _>>()
            .or_fail(Kind::Bug, || "write the costs")?;
        let folded = written.join("\n") + "\n";
        // One that folding does not make smaller would be written again and again.
        if folded.len() < text.len() / 2 {
            book.replace(&folded, &[])?;
        }
    }
    Ok(())
}

/// Whether the book says just this of the session already.
fn is_known(known: &[Line], line: &Line) -> bool {
    let Line::Spent { session, spent, .. } = line else { return false };
    let last = known.iter().rev().find_map(|one| match one {
        Line::Spent { session: other, spent, .. } if other == session => Some(spent),
        Line::Spent { .. } | Line::Spawn { .. } | Line::Told { .. } => None,
    });
    last == Some(spent)
}

/// By what costs are summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// The bead that was worked on
    #[default]
    Bead,
    /// Who worked
    Agent,
    /// The rig
    Rig,
    /// The day, in UTC
    Day,
    /// The model
    Model,
}

/// A row of costs.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Row {
    /// Of what: a bead, an agent, a rig, a day or a model; empty where nobody said.
    pub of: String,
    /// What it cost.
    #[serde(flatten)]
    pub sum: Sum,
}

/// What was spent on this machine, and what limits say of it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Costs {
    /// Row by row.
    pub rows: Vec<Row>,
    /// All together.
    pub total: Sum,
    /// The limits that are set, with what is used of each.
    pub limits: Vec<Limit>,
}

/// Sums up what was spent since the day `since`, in `rig` or everywhere.
///
/// # Errors
/// Corrupt, when the book is.
pub fn costs(town: &Town, by: By, since: Option<Moment>, rig: Option<&Name>) -> Result<Costs> {
    gather::gather(town)?;
    let items = cost::items(&lines(&book::read(&path(town))?)?);
    let since = since.map(cost::day_of);
    let is_meant = |item: &&Item| {
        since.as_ref().is_none_or(|since| item.day >= *since) && rig.is_none_or(|rig| item.whose.rig == rig.as_str())
    };
    let (mut rows, mut total): (BTreeMap<String, Sum>, Sum) = (BTreeMap::new(), Sum::default());
    for item in items.iter().filter(is_meant) {
        let of = match by {
            By::Bead => &item.whose.bead,
            By::Agent => &item.whose.agent,
            By::Rig => &item.whose.rig,
            By::Day => &item.day,
            By::Model => &item.model,
        };
        rows.entry(of.clone()).or_default().add(&item.sum);
        total.add(&item.sum);
    }
    let rows = rows.into_iter().map(|(of, sum)| Row { of, sum }).collect();
    Ok(Costs { rows, total, limits: brake::all_limits(town, &items)? })
}

/// What a repair did.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Repaired {
    /// How many lines can be read and stay.
    pub kept: usize,
    /// How many could not.
    pub damaged: usize,
    /// The file that has the whole book as it was, when anything was damaged.
    pub aside: Option<PathBuf>,
}

/// Keeps the lines of the book that can be read, and the whole of it in a file beside.
///
/// # Errors
/// Refused, when the identity may not; io, when it cannot be written.
pub fn repair(town: &Town) -> Result<Repaired> {
    trust::check_rights(town)?;
    let book = Book::hold(&path(town))?;
    let bytes = book.bytes()?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let (good, bad): (Vec<&str>, Vec<&str>) = all.into_iter().partition(|line| cost::read(line).is_ok());
    if bad.is_empty() {
        return Ok(Repaired { kept: good.len(), damaged: 0, aside: None });
    }
    let mut kept = good.join("\n");
    if !kept.is_empty() {
        kept.push('\n');
    }
    let aside = book.replace(&kept, &bytes)?;
    Ok(Repaired { kept: good.len(), damaged: bad.len(), aside })
}
