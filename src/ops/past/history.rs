//! How a bead came to be what it is: the commits that changed it, how it stood at one of them, and what differs.

use std::ops::ControlFlow;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::past::{Event, Step, Turn};
use crate::ledger::{Ledger, State, tree};
use crate::model::bead::Bead;
use crate::model::difference::{Difference, differences};
use crate::model::record::{self, Object};
use crate::name::BeadId;
use crate::time::{Moment, parse_millis};
use crate::town::Town;

/// A change of a bead.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Told {
    /// The ledger's commit.
    pub commit: String,
    /// Its clock, as records name it.
    pub rev: String,
    /// When.
    pub at: Moment,
    /// Who.
    pub actor: String,
    /// The verb.
    pub op: String,
    /// The subject of the commit.
    pub subject: String,
    /// What happened to the bead.
    pub event: Event,
    /// The fields that changed; none when the bead came or went as it was.
    pub changes: Vec<Difference>,
}

impl Told {
    fn of(turn: Turn) -> Self {
        let changes = match (turn.event, turn.before, turn.after) {
            (Event::Created, None, Some(after)) => differences(&Object::new(), &after),
            (_, Some(before), Some(after)) => differences(&before, &after),
            _ => Vec::new(),
        };
        let entry = turn.entry;
        let rev = format!("{}@{}", entry.rev, entry.machine);
        let (actor, op, subject) = (entry.actor, entry.op, entry.subject);
        Self { commit: entry.commit, rev, at: entry.at, actor, op, subject, event: turn.event, changes }
    }
}

/// The newest `limit` (0: all) changes of the bead `id`, newest first.
///
/// # Errors
/// Not found, when there never was such a bead, as far as history here tells; corrupt, when it cannot be read.
pub fn history(ledger: &Ledger, id: &BeadId, limit: usize) -> Result<Vec<Told>> {
    let turns = ledger.turns(id, limit, |_| true)?;
    if turns.is_empty() {
        // It may have been archived before a flatten; then the archive alone knows it.
        ledger.state()?.bead(id)?;
    }
    Ok(turns.into_iter().map(Told::of).collect())
}

/// A point in the history of a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Point {
    /// As it is.
    Now,
    /// The newest commit that is not younger.
    At(Moment),
    /// The commit with this clock, and by this machine when one is named.
    Rev(u64, Option<String>),
    /// The commit whose id begins so.
    Commit(String),
}

impl Point {
    /// Reads a point: `now`, a time, a date, a length of time back from `now`, a clock such as `12` or `12@<machine>`, or
    /// seven or more characters of a commit.
    ///
    /// # Errors
    /// Usage, when it is none of these.
    pub fn read(text: &str, now: Moment) -> Result<Self> {
        let text = text.trim();
        if text == "now" {
            return Ok(Self::Now);
        }
        if let Some((number, machine)) = text.split_once('@')
            && let Ok(number) = number.parse()
        {
            return Ok(Self::Rev(number, Some(machine.to_owned())));
        }
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
        match text.parse() {
            Ok(number) if text.len() < COMMIT_LETTERS_MIN => return Ok(Self::Rev(number, None)),
            _ if is_hex && (COMMIT_LETTERS_MIN..=40).contains(&text.len()) => return Ok(Self::Commit(text.to_owned())),
            _ => {}
        }
        if let Ok(millis) = parse_millis(text.trim_start_matches('-')) {
            let millis = i64::try_from(millis).unwrap_or(i64::MAX);
            return Ok(Self::At(Moment::from_millis(now.millis().saturating_sub(millis))));
        }
        let date = || format!("{text}T00:00:00Z").parse();
        text.parse().or_else(|_: Error| date()).map(Self::At).map_err(|_| {
            Error::usage(format!("'{}' names no point in history", text.escape_debug()))
                .hint("write a time (2026-12-01, 2d for two days ago), a commit of gt bead history, a rev such as 12, or now")
        })
    }
}

/// Fewer characters of a commit are taken for a number.
const COMMIT_LETTERS_MIN: usize = 7;

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::At(at) => write!(f, "{at}"),
            Self::Rev(number, None) => write!(f, "rev {number}"),
            Self::Rev(number, Some(machine)) => write!(f, "rev {number}@{machine}"),
            Self::Commit(id) => write!(f, "commit {id}"),
        }
    }
}

/// The commit of `ledger` at `point`.
fn commit_at(ledger: &Ledger, point: &Point) -> Result<Step> {
    let mut found: Vec<Step> = Vec::new();
    ledger.walk(|step, _| {
        let fits = match point {
            Point::Now => true,
            Point::At(at) => step.at <= *at,
            Point::Rev(number, _) => step.number == *number,
            Point::Commit(start) => step.id.to_string().starts_with(start),
        };
        if fits {
            found.push(step.clone());
        }
        let is_past = matches!(point, Point::Rev(number, _) if step.number < *number);
        let is_done = is_past || (fits && !matches!(point, Point::Rev(..) | Point::Commit(_)));
        Ok(if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    if let Point::Rev(_, Some(machine)) = point {
        let mut of_machine = Vec::new();
        for step in found {
            if ledger.entry_of(step.id)?.machine == *machine {
                of_machine.push(step);
            }
        }
        found = of_machine;
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::not_found(format!("the history here has nothing at {point}"))
            .hint("gt bead history ID and gt log tell what there is")),
        many => {
            let names: Vec<String> = many.iter().map(|step| step.id.to_string()[..12].to_owned()).collect();
            Err(Error::refused(format!("{point} names {} commits", many.len())).hint(format!("one of: {}", names.join(", "))))
        }
    }
}

/// A bead as it stood.
#[derive(Clone, Debug, PartialEq)]
pub struct Stood {
    /// Its record.
    pub record: Object,
    /// The commit.
    pub commit: String,
    /// When that was written.
    pub at: Moment,
}

impl Stood {
    /// The record as a bead.
    ///
    /// # Errors
    /// Corrupt, when it is none.
    pub fn bead(&self, id: &BeadId) -> Result<Bead> {
        record::view(&tree::bead(id), &self.record)
    }
}

/// The bead `id` as it stood at `point`.
///
/// # Errors
/// Not found, when it was not there, or history here does not reach that far; refused, when `point` fits several commits;
/// corrupt, when its record cannot be read.
pub fn stood(ledger: &Ledger, id: &BeadId, point: &Point) -> Result<Stood> {
    let step = commit_at(ledger, point)?;
    let state = ledger.state_at(step.id)?;
    let absent = || match state.tombstone(id)? {
        Some(stone) => Ok::<_, Error>(stone.absence()),
        None => {
            Ok(Error::not_found(format!("{id} was not there at {point}")).hint(format!("gt bead history {id} tells when it was")))
        }
    };
    let record = match state.object(&tree::bead(id))? {
        Some(record) => record,
        None => match archived(&state, id, &step)? {
            Some(record) => record,
            None => return Err(absent()?),
        },
    };
    Ok(Stood { record, commit: step.id.to_string(), at: step.at })
}

/// The copy in the archive, if it can have been there at `step`: the archive is known only as it is now.
fn archived(state: &State<'_>, id: &BeadId, step: &Step) -> Result<Option<Object>> {
    let Some((_, record)) = state.archived_copy(&tree::bead(id))? else { return Ok(None) };
    let bead: Bead = record::view(&tree::bead(id), &record)?;
    let is_older = bead.closed_at.unwrap_or(bead.created_at).secs() <= step.at.secs();
    Ok(is_older.then_some(record))
}

/// What differs in a bead between two points.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Compared {
    /// The bead.
    pub id: BeadId,
    /// The commit of the first point.
    pub from: String,
    /// The commit of the second.
    pub to: String,
    /// The fields that differ.
    pub changes: Vec<Difference>,
}

/// What differs in the bead `id` from one point to another.
///
/// # Errors
/// As [`stood`].
pub fn compare(ledger: &Ledger, id: &BeadId, from: &Point, to: &Point) -> Result<Compared> {
    let (old, new) = (stood(ledger, id, from)?, stood(ledger, id, to)?);
    Ok(Compared { id: id.clone(), from: old.commit, to: new.commit, changes: differences(&old.record, &new.record) })
}

/// The bead that `text` names, be it deleted or moved away since, and the ledger with its history.
///
/// # Errors
/// As [`Town::resolve_bead`].
pub fn once_a_bead(town: &Town, text: &str) -> Result<(Ledger, BeadId)> {
    if let Ok(id) = text.parse::<BeadId>() {
        let ledger = town.scope_of(&id.prefix())?;
        if ledger.state()?.tombstone(&id)?.is_some() {
            return Ok((ledger, id));
        }
    }
    town.resolve_bead(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_history_are_times_clocks_or_commits() {
        let now = Moment::from_millis(86_400_000 * 10);
        let read = |text| Point::read(text, now).unwrap();
        assert_eq!(read("now"), Point::Now);
        assert_eq!(read("2d"), Point::At(Moment::from_millis(86_400_000 * 8)));
        assert_eq!(read("1970-01-03"), Point::At(Moment::from_millis(86_400_000 * 2)));
        assert_eq!(read("12"), Point::Rev(12, None));
        assert_eq!(read("12@m1"), Point::Rev(12, Some("m1".into())));
        assert_eq!(read("0a1b2c3"), Point::Commit("0a1b2c3".into()));
        assert_eq!(read("1234567"), Point::Commit("1234567".into()));
        assert!(Point::read("yesterdayish", now).is_err() && Point::read("", now).is_err());
    }
}
