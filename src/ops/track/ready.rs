//! What can be started now, and what the rest waits for.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::ledger::index::{Catalog, Row};
use crate::model::bead::{DependencyKind, Status};
use crate::model::brief::{Brief, Facts};
use crate::model::dependency::{GENERATIONS_MAX, obstacle};
use crate::name::{BeadId, Prefix};
use crate::ops::track::filter::{Field, Filter};
use crate::ops::track::find::{Found, Listed, Pick, Scopes};
use crate::ops::track::reach::{Reach, Sight};
use crate::time::Moment;
use crate::town::Town;

/// What a bead waits for.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Blocker {
    /// The bead in the way.
    pub id: BeadId,
    /// Why it is in the way.
    pub why: String,
    /// Whether that could not be told, because the bead or its scope cannot be read.
    pub unknown: bool,
}

/// The order of ready work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// Priorities 0 and 1 first, by priority; then the oldest.
    #[default]
    Hybrid,
    /// By priority, then the oldest.
    Priority,
    /// The oldest first.
    Oldest,
}

impl Order {
    /// What orders `bead`, before its id does.
    fn key(self, bead: &impl Facts) -> (u8, Moment) {
        let rank = match self {
            Self::Hybrid => bead.priority().min(2),
            Self::Priority => bead.priority(),
            Self::Oldest => 0,
        };
        (rank, bead.created_at())
    }
}

/// Ready work.
#[derive(Clone, Debug)]
pub struct Ready<B> {
    /// The rows and what belongs to them.
    pub found: Found<B>,
    /// How much ready work the town's other scopes have.
    pub elsewhere: usize,
}

/// Open, unblocked work of the asked scopes that `filter` keeps, at most `limit` (0: all). Nobody has it, unless `filter`
/// names whose it is.
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn ready<B: Listed>(town: &Town, scopes: &Scopes, filter: &Filter, order: Order, limit: usize) -> Result<Ready<B>> {
    let mut reach = Reach::new(town);
    let mut known = BTreeMap::new();
    let mut answer = Ready { found: Found::default(), elsewhere: 0 };
    let asked = answer.found.catalogs(&mut reach, scopes)?;
    let others = answer.found.catalogs_of(&mut reach, &scopes.others);
    let mut picks = Vec::new();
    // What nobody has is asked at this moment, when claims may have run out, not of the record.
    let mut filter = filter.clone();
    filter.has_not.retain(|field| *field != Field::Assignee);
    let filter = &filter;
    let wants_holder = filter.assignee.is_some() || filter.has.contains(&Field::Assignee);
    let shelves = asked.iter().map(|shelf| (shelf, true)).chain(others.iter().map(|shelf| (shelf, false)));
    for ((prefix, catalog), is_asked) in shelves {
        let Found { notes, damaged, .. } = &mut answer.found;
        let is_ready = |row: Row<'_>| {
            let is_free = row.is_open_work(town.now) && (wants_holder || row.holder(town.now).is_none()) && filter.keeps(&row);
            is_free
                && is_unblocked(&mut reach, &mut known, (prefix, catalog), row, is_asked.then_some(&mut *notes))
                && filter.keeps_more(&mut reach, prefix, row, damaged)
        };
        let (rows, total) = catalog.first(limit, is_ready, |row| order.key(&row));
        if is_asked {
            picks.extend(rows.into_iter().map(|(key, row)| Pick { key, prefix, row }));
            answer.found.total += total;
            answer.found.damaged.extend(catalog.damaged());
        } else {
            answer.elsewhere += total;
        }
    }
    answer.found.take(&mut reach, picks, limit);
    Ok(answer)
}

/// Ids of all open, unblocked work of the town that nobody has; scopes that cannot be reached are left out.
///
/// # Errors
/// Corrupt, when the town's rigs cannot be listed.
pub fn ready_ids(town: &Town) -> Result<BTreeSet<BeadId>> {
    let scopes = Scopes::of(town, None, true)?;
    let mut reach = Reach::new(town);
    let (mut known, mut ids) = (BTreeMap::new(), BTreeSet::new());
    for (prefix, catalog) in &Found::<Brief>::default().catalogs_of(&mut reach, &scopes.asked) {
        for row in catalog.rows() {
            let is_free = row.is_open_work(town.now) && row.holder(town.now).is_none();
            if is_free && is_unblocked(&mut reach, &mut known, (prefix, catalog), row, None) {
                ids.extend(row.id().parse::<BeadId>());
            }
        }
    }
    Ok(ids)
}

/// A bead and what it waits for.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Waiting<B> {
    /// The bead.
    #[serde(flatten)]
    pub bead: B,
    /// What is in its way; empty when a hand moved it to `blocked`.
    pub blocked_by: Vec<BeadId>,
    /// How many these are.
    pub blocked_by_count: usize,
    /// The same, with the reasons.
    pub blockers: Vec<Blocker>,
}

/// Beads of the asked scopes that are not closed, that `filter` keeps and that wait for something: another bead, or
/// somebody outside who was waited for by hand. By priority, then the oldest; at most `limit` (0: all).
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn blocked<B: Listed>(town: &Town, scopes: &Scopes, filter: &Filter, limit: usize) -> Result<Found<Waiting<B>>> {
    let mut reach = Reach::new(town);
    let mut known = BTreeMap::new();
    let mut found: Found<B> = Found::default();
    let catalogs = found.catalogs(&mut reach, scopes)?;
    let mut picks = Vec::new();
    for (prefix, catalog) in &catalogs {
        let waits = |row: Row<'_>| {
            let may_wait = !row.status().is_closed() && *row.status() != Status::Pinned && filter.keeps(&row);
            let mut is_held = || !is_unblocked(&mut reach, &mut known, (prefix, catalog), row, None);
            let is_waiting = may_wait && (*row.status() == Status::Blocked || is_held());
            is_waiting && filter.keeps_more(&mut reach, prefix, row, &mut found.damaged)
        };
        let (rows, total) = catalog.first(limit, waits, |row| Order::Priority.key(&row));
        picks.extend(rows.into_iter().map(|(key, row)| Pick { key, prefix, row }));
        found.total += total;
        found.damaged.extend(catalog.damaged());
    }
    found.take(&mut reach, picks, limit);
    let mut beads = Vec::new();
    for bead in found.beads {
        let blockers = match reach.brief(&bead.id().parse()?) {
            Sight::Seen(brief) => blockers(&mut reach, &mut known, &brief),
            Sight::Missing | Sight::Unreadable(_) => Vec::new(),
        };
        let blocked_by: Vec<BeadId> = blockers.iter().map(|blocker| blocker.id.clone()).collect();
        beads.push(Waiting { bead, blocked_by_count: blocked_by.len(), blocked_by, blockers });
    }
    Ok(Found { beads, total: found.total, damaged: found.damaged, notes: found.notes })
}

/// Whether nothing blocks the bead in `row`. What cannot be told blocks too, and `notes` says so.
pub(super) fn is_unblocked(
    reach: &mut Reach<'_>,
    known: &mut BTreeMap<BeadId, Vec<Blocker>>,
    (prefix, catalog): (&Prefix, &Catalog),
    row: Row<'_>,
    notes: Option<&mut Vec<String>>,
) -> bool {
    if let Some(answer) = catalog.is_unblocked(row) {
        return answer;
    }
    // What cannot be read holds itself back.
    let Ok(bead) = reach.brief_of(prefix, row) else { return false };
    let blockers = blockers(reach, known, &bead);
    if let Some(notes) = notes {
        let unknown = blockers.iter().filter(|blocker| blocker.unknown);
        notes.extend(unknown.map(|b| format!("{} is held back by {}: {}", bead.id, b.id, b.why)));
    }
    blockers.is_empty()
}

/// What `bead` waits for; its parents' blockers are its own. `known` keeps answers within one question.
pub fn blockers(reach: &mut Reach<'_>, known: &mut BTreeMap<BeadId, Vec<Blocker>>, bead: &Brief) -> Vec<Blocker> {
    let mut found = Vec::new();
    let mut at = Some(bead.clone());
    for generation in 0..GENERATIONS_MAX {
        let Some(now) = at.take() else { break };
        let own = known.entry(now.id.clone()).or_insert_with(|| own_blockers(reach, &now));
        let inherited = |blocker: &Blocker| Blocker { why: format!("{} (through {})", blocker.why, now.id), ..blocker.clone() };
        found.extend(own.iter().map(|blocker| if generation == 0 { blocker.clone() } else { inherited(blocker) }));
        let Some(parent) = &now.parent else { break };
        match reach.brief(parent) {
            Sight::Seen(parent) => at = Some(*parent),
            // A parent that is gone holds nothing back.
            Sight::Missing => {}
            Sight::Unreadable(why) => found.push(Blocker { id: parent.clone(), why, unknown: true }),
        }
    }
    found
}

fn own_blockers(reach: &mut Reach<'_>, bead: &Brief) -> Vec<Blocker> {
    let mut found = Vec::new();
    for (kind, id) in bead.blockers() {
        let id = id.clone();
        let target = match reach.brief(&id) {
            Sight::Seen(target) => target,
            Sight::Missing => {
                let gone = reach.tombstone(&id).ok().flatten();
                let why = gone.map_or_else(|| "there is no such bead".into(), |stone| stone.absence().line());
                found.push(Blocker { id, why, unknown: true });
                continue;
            }
            Sight::Unreadable(why) => {
                found.push(Blocker { id, why, unknown: true });
                continue;
            }
        };
        // The target may have been moved: its children are those of the bead that it is now.
        let children = match kind {
            DependencyKind::WaitsFor => {
                reach.lost_children(&target.id).and_then(|lost| reach.children(&target.id).map(|children| (children, lost)))
            }
            _ => Ok((Vec::new(), Vec::new())),
        };
        match children {
            Ok((children, lost)) => {
                found.extend(lost.into_iter().map(|lost| {
                    let why = format!("it cannot be read and may be a child of {}, all of which must be closed", target.id);
                    Blocker { id: lost, why, unknown: true }
                }));
                let why = obstacle(kind, target.as_ref(), &children);
                found.extend(why.map(|why| Blocker { id: target.id.clone(), why, unknown: false }));
            }
            Err(error) => found.push(Blocker { id, why: error.line(), unknown: true }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::{Bead, IssueType};

    #[test]
    fn urgent_work_comes_first_and_then_the_oldest() {
        let bead = |id: &str, priority: u8, at: i64| {
            let mut bead = Bead::new(id.parse().unwrap(), IssueType::Task, "t", "o", Moment::from_millis(at)).unwrap();
            bead.priority = priority;
            bead
        };
        let mut beads = [bead("w-a", 4, 1), bead("w-b", 1, 9), bead("w-c", 2, 5), bead("w-d", 0, 7)];
        beads.sort_by_key(|bead| Order::Hybrid.key(bead));
        let ids: Vec<&str> = beads.iter().map(|bead| bead.id.as_str()).collect();
        assert_eq!(ids, ["w-d", "w-b", "w-a", "w-c"]);
        beads.sort_by_key(|bead| Order::Priority.key(bead));
        assert_eq!(beads[2].id.as_str(), "w-c");
    }
}
