//! Beads counted, and those that nothing happened to for long: answered from the index alone.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Kind, Result};
use crate::ledger::index::Row;
use crate::model::bead::{Bead, Status};
use crate::model::brief::Facts as _;
use crate::name::{BeadId, Prefix};
use crate::ops::track::edit::in_each_scope;
use crate::ops::track::end::{Closed, close_in, settle_convoys};
use crate::ops::track::filter::Filter;
use crate::ops::track::find::{Found, Listed, Pick, Scopes, list};
use crate::ops::track::order::Sort;
use crate::ops::track::reach::{Reach, Shelves};
use crate::time::Moment;
use crate::town::Town;

/// The group of those that have no label.
pub const NO_LABELS: &str = "(no labels)";

/// What beads are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// Where they stand.
    Status,
    /// What sort they are.
    Type,
    /// How urgent they are.
    Priority,
    /// Who has them.
    Assignee,
    /// Their labels: a bead with two counts twice.
    Label,
    /// What they are children of.
    Parent,
    /// Which scope they live in.
    Scope,
    /// Who answers for them.
    Owner,
    /// Who made them.
    CreatedBy,
}

impl By {
    fn groups(self, reach: &mut Reach<'_>, prefix: &Prefix, row: Row<'_>) -> Result<Vec<String>> {
        Ok(match self {
            Self::Status => vec![row.status().to_string()],
            Self::Type => vec![row.issue_type().to_string()],
            Self::Priority => vec![format!("P{}", row.priority())],
            Self::Assignee => vec![row.assignee().unwrap_or("(unassigned)").to_owned()],
            Self::Label if row.labels().is_empty() => vec![NO_LABELS.to_owned()],
            Self::Label => row.labels().into_iter().map(str::to_owned).collect(),
            Self::Parent => vec![row.parent_id().unwrap_or("(no parent)").to_owned()],
            Self::Scope => vec![prefix.to_string()],
            Self::Owner => vec![reach.in_full(prefix, row)?.owner.unwrap_or_else(|| "(no owner)".to_owned())],
            Self::CreatedBy => vec![reach.in_full(prefix, row)?.created_by],
        })
    }
}

/// Beads that have something in common.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Group {
    /// What that is.
    pub group: String,
    /// How many there are.
    pub count: usize,
}

/// Counts the beads of the asked scopes that `filter` keeps, archived ones too, whatever their status when none is asked for;
/// the groups are in the order of their names.
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn count(town: &Town, scopes: &Scopes, filter: &Filter, by: Option<By>) -> Result<Found<Group>> {
    let mut reach = Reach::new(town);
    let mut found = Found::default();
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    let catalogs = found.catalogs(&mut reach, scopes)?;
    let archives = found.archives(&mut reach, &catalogs);
    for (prefix, catalog) in &catalogs {
        let archive = archives.iter().find(|(other, ..)| other == prefix).map(|(_, archive, _)| archive.clone());
        let shelves = Shelves::new(catalog.clone(), archive);
        for row in shelves.rows().filter(|row| filter.keeps_found(row)) {
            if !filter.keeps_more(&mut reach, prefix, row, &mut found.damaged) {
                continue;
            }
            found.total += 1;
            for group in by.map_or(Ok(Vec::new()), |by| by.groups(&mut reach, prefix, row))? {
                *groups.entry(group).or_default() += 1;
            }
        }
    }
    let damaged = |shelf: &crate::ledger::index::Catalog| shelf.damaged();
    found.damaged.extend(catalogs.iter().flat_map(|(_, catalog)| damaged(catalog)));
    found.damaged.extend(archives.iter().flat_map(|(_, archive, _)| damaged(archive)));
    found.beads = groups.into_iter().map(|(group, count)| Group { group, count }).collect();
    Ok(found)
}

/// Where work stands that ought to move.
const MOVING: [Status; 5] = [Status::Open, Status::Hooked, Status::InProgress, Status::InReview, Status::Blocked];

/// Beads of the asked scopes that `filter` keeps and that did not change since `before`, the stalest first; at most
/// `limit` (0: all). When `filter` names no status, only what ought to move.
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn stale<B: Listed>(town: &Town, scopes: &Scopes, filter: &Filter, before: Moment, limit: usize) -> Result<Found<B>> {
    let mut filter = filter.clone();
    if filter.statuses.is_empty() {
        filter.statuses = MOVING.to_vec();
    }
    let mut reach = Reach::new(town);
    let mut found: Found<B> = Found::default();
    let catalogs = found.catalogs(&mut reach, scopes)?;
    let mut picks = Vec::new();
    for (prefix, catalog) in &catalogs {
        for row in catalog.rows().filter(|row| filter.keeps(row)) {
            // What cannot be read is told below, with the damage.
            let Ok(brief) = reach.brief_of(prefix, row) else { continue };
            if brief.updated_at <= before && filter.keeps_more(&mut reach, prefix, row, &mut found.damaged) {
                picks.push(Pick { key: brief.updated_at, prefix, row });
            }
        }
        found.damaged.extend(catalog.damaged());
    }
    found.total = picks.len();
    found.take(&mut reach, picks, limit);
    Ok(found)
}

/// An epic and how far it is.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Progress {
    /// The epic.
    pub epic: Bead,
    /// How many children it has, archived ones too.
    pub total_children: usize,
    /// How many of them are closed.
    pub closed_children: usize,
    /// Whether it has children and all are closed, but it is not.
    pub eligible_for_close: bool,
    /// Beads that cannot be read and may be children of it; they count as not closed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<BeadId>,
}

/// How far the epics of the asked scopes are that `filter` keeps.
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn epics(town: &Town, scopes: &Scopes, filter: &Filter) -> Result<Found<Progress>> {
    let found: Found<Bead> = list(town, scopes, filter, Sort::default(), 0)?;
    let mut reach = Reach::new(town);
    let beads = found.beads.into_iter().map(|epic| progress(&mut reach, epic)).collect::<Result<_>>()?;
    Ok(Found { beads, total: found.total, damaged: found.damaged, notes: found.notes })
}

/// How far `epic` is.
///
/// # Errors
/// Not found or corrupt, when its scope cannot be read.
pub fn progress(reach: &mut Reach<'_>, epic: Bead) -> Result<Progress> {
    let shelves = reach.shelves(&epic.id.prefix())?;
    let children = shelves.children(&epic.id);
    let unreadable = shelves.lost_children(&epic.id);
    let open = children.iter().filter(|child| !child.status().is_closed()).count() + unreadable.len();
    let total_children = children.len() + unreadable.len();
    let eligible_for_close = total_children > 0 && open == 0 && may_be_swept(&epic.status);
    Ok(Progress { epic, total_children, closed_children: total_children - open, eligible_for_close, unreadable })
}

/// Whether a sweep may close what stands there: pinned is kept, and in review its merge request decides.
fn may_be_swept(status: &Status) -> bool {
    status.may_become(&Status::Closed) && *status != Status::InReview
}

/// Closes the epics `ids`, as far as all their children are still closed, one transaction a scope.
///
/// # Errors
/// As [`crate::ops::track::close`].
pub fn close_eligible(town: &Town, ids: &[BeadId]) -> Result<Vec<Closed>> {
    let close = |change: &mut crate::ledger::Change<'_>, id: &BeadId| {
        let catalog = change.catalog()?;
        // What left the ledger for the archive is closed.
        let are_closed = catalog.children(id).iter().all(|child| child.status().is_closed());
        let is_done = are_closed && catalog.lost_children(id).is_empty();
        if !is_done || !may_be_swept(&change.bead(id)?.status) {
            return Ok(None);
        }
        match close_in(town, change, id, "All children are closed") {
            // What somebody may not close by hand is left to others, and keeps none of the rest open.
            Err(error) if error.kind == Kind::Refused => Ok(None),
            closed => closed.map(Some),
        }
    };
    let mut closed: Vec<Closed> = in_each_scope(town, ids, "close", close)?.into_iter().flatten().collect();
    settle_convoys(town, &mut closed);
    Ok(closed)
}
