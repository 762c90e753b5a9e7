//! The board: work by where it stands, from what can be begun to what was closed lately.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::ledger::Damaged;
use crate::ledger::index::Row;
use crate::model::bead::Status;
use crate::model::brief::Facts as _;
use crate::ops::track::filter::Filter;
use crate::ops::track::find::{Found, Listed, Pick, Scopes};
use crate::ops::track::reach::Reach;
use crate::ops::track::ready::is_unblocked;
use crate::time::Moment;
use crate::town::Town;

/// Where work stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing is in its way.
    Ready,
    /// Something is, or a hand has moved it there.
    Blocked,
    /// On a hook or at work.
    InProgress,
    /// Handed in.
    InReview,
    /// Closed lately.
    Closed,
}

impl Stage {
    /// All, in their order.
    pub const ALL: [Self; 5] = [Self::Ready, Self::Blocked, Self::InProgress, Self::InReview, Self::Closed];

    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Blocked => "blocked",
            Self::InProgress => "in progress",
            Self::InReview => "in review",
            Self::Closed => "closed lately",
        }
    }
}

/// A column of the board.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Column<B> {
    /// Where its beads stand.
    pub stage: Stage,
    /// How many there are.
    pub total: usize,
    /// The first of them: by priority and age; of closed ones the last.
    pub beads: Vec<B>,
}

/// The board.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Board<B> {
    /// Its columns, in the order of the work.
    pub columns: Vec<Column<B>>,
    /// Since when beads count as closed lately.
    pub closed_since: Moment,
    /// Records that cannot be read.
    #[serde(skip)]
    pub damaged: Vec<Damaged>,
    /// What else a reader must know.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// The order within a column.
type Key = (i64, i64);

/// Work of the asked scopes that `filter` keeps, by where it stands at `now`; closed beads since `closed_since`. No more
/// than `limit` (0: all) beads a column. What is deferred or pinned is on no board.
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn board<B: Listed>(
    town: &Town,
    scopes: &Scopes,
    filter: &Filter,
    (now, closed_since): (Moment, Moment),
    limit: usize,
) -> Result<Board<B>> {
    let mut reach = Reach::new(town);
    let mut known = BTreeMap::new();
    let mut found: Found<B> = Found::default();
    let catalogs = found.catalogs(&mut reach, scopes)?;
    let closed = Filter { statuses: vec![Status::Closed], ..filter.clone() };
    let archives = found.archives(&mut reach, &catalogs);
    let mut picks: BTreeMap<Stage, Vec<Pick<'_, Key>>> = BTreeMap::new();
    for (prefix, catalog) in &catalogs {
        found.damaged.extend(catalog.damaged());
        for row in catalog.rows().filter(|row| !row.status().is_closed() && filter.keeps(row)) {
            let mut is_free = || is_unblocked(&mut reach, &mut known, (prefix, catalog), row, None);
            let Some(stage) = stage_of(row, now, &mut is_free) else { continue };
            let key = (i64::from(row.priority()), row.created_at().millis());
            if filter.keeps_more(&mut reach, prefix, row, &mut found.damaged) {
                picks.entry(stage).or_default().push(Pick { key, prefix, row });
            }
        }
    }
    // What was closed lately may be archived already; where both have a bead the ledger is right.
    let archived = archives.iter().flat_map(|(prefix, archive, catalog)| {
        archive.rows().filter(|row| !catalog.has(row.id())).map(move |row| (*prefix, row))
    });
    let listed = catalogs.iter().flat_map(|(prefix, catalog)| catalog.rows().map(move |row| (*prefix, row)));
    for (prefix, row) in listed.chain(archived).filter(|(_, row)| row.status().is_closed() && closed.keeps(row)) {
        let closed_at = reach.brief_of(prefix, row).ok().and_then(|brief| brief.closed_at);
        let Some(at) = closed_at.filter(|at| *at >= closed_since) else { continue };
        if filter.keeps_more(&mut reach, prefix, row, &mut found.damaged) {
            picks.entry(Stage::Closed).or_default().push(Pick { key: (-at.millis(), 0), prefix, row });
        }
    }
    let mut columns = Vec::new();
    for stage in Stage::ALL {
        let picks = picks.remove(&stage).unwrap_or_default();
        let total = picks.len();
        found.take(&mut reach, picks, limit);
        columns.push(Column { stage, total, beads: std::mem::take(&mut found.beads) });
    }
    Ok(Board { columns, closed_since, damaged: found.damaged, notes: found.notes })
}

fn stage_of(row: Row<'_>, now: Moment, is_free: &mut dyn FnMut() -> bool) -> Option<Stage> {
    // Also what was claimed for a time that is over, or deferred until one that has come.
    if row.is_open_work(now) {
        return Some(if is_free() { Stage::Ready } else { Stage::Blocked });
    }
    match row.status() {
        Status::Hooked | Status::InProgress => Some(Stage::InProgress),
        Status::InReview => Some(Stage::InReview),
        Status::Blocked => Some(Stage::Blocked),
        Status::Closed => Some(Stage::Closed),
        // An epic is no work itself: its children stand on the board.
        Status::Open | Status::Deferred | Status::Pinned | Status::Other(_) => None,
    }
}
