//! A bead of a catalog, and what can be asked of it.

use gix::ObjectId;

use super::{At, Row};
use crate::ledger::index::Target;
use crate::ledger::index::roll::Roll;
use crate::model::bead::{DependencyKind, IssueType, Status};
use crate::model::brief::{Brief, Facts};
use crate::model::merge_request::MrState;
use crate::name::BeadId;
use crate::time::Moment;

impl<'c> Row<'c> {
    fn fresh(&self) -> Option<&'c (ObjectId, Brief)> {
        match self.at {
            At::Base(_) => None,
            At::Fresh(n) => self.catalog.fresh[n].now.as_ref(),
        }
    }

    /// What `of_brief` says of a fresh bead, else what `of_row` says of its row.
    fn ask<T>(&self, of_brief: impl FnOnce(&'c Brief) -> T, of_row: impl FnOnce(&'c Roll, usize) -> T) -> T {
        match (self.at, self.fresh()) {
            (_, Some((_, brief))) => of_brief(brief),
            (At::Base(row) | At::Fresh(row), None) => of_row(&self.catalog.roll, row),
        }
    }

    /// Its place in the order of ids.
    pub(super) fn place(&self) -> (u64, usize) {
        match self.at {
            At::Base(row) => (2 * row as u64 + 1, 0),
            At::Fresh(n) => (self.catalog.fresh[n].place, n),
        }
    }

    /// The blob of its record; `None` when that place of the index is damaged.
    #[must_use]
    pub fn blob(&self) -> Option<ObjectId> {
        match self.at {
            At::Base(row) => self.catalog.stacks.blob(row),
            At::Fresh(_) => self.fresh().map(|(blob, _)| *blob),
        }
    }

    /// Its parent, by field or by edge.
    #[must_use]
    pub fn parent(&self) -> Option<Target<'c>> {
        self.ask(|brief| brief.parent.as_ref().map(|id| Target::Id(id.as_str())), Roll::parent)
    }

    /// Its id, for as long as the catalog lasts.
    #[must_use]
    pub fn id_text(&self) -> &'c str {
        self.ask(|brief| brief.id.as_str(), Roll::id)
    }

    /// The id at the other end of one of its edges.
    #[must_use]
    pub fn target_id(&self, target: Target<'c>) -> &'c str {
        self.catalog.target_id(target)
    }

    /// The id of its parent, by field or by edge.
    #[must_use]
    pub fn parent_id(&self) -> Option<&'c str> {
        self.parent().map(|target| self.catalog.target_id(target))
    }

    /// What it depends on, and how.
    pub fn edges(&self) -> impl Iterator<Item = (&'c DependencyKind, Target<'c>)> + use<'c> {
        let fresh = self.fresh().into_iter().flat_map(|(_, brief)| &brief.edges);
        let base = match self.at {
            At::Base(row) => Some(self.catalog.roll.edges(row)),
            At::Fresh(_) => None,
        };
        fresh.map(|(kind, id)| (kind, Target::Id(id.as_str()))).chain(base.into_iter().flatten())
    }

    /// Its labels, sorted.
    #[must_use]
    pub fn labels(&self) -> Vec<&'c str> {
        self.ask(|brief| brief.labels.iter().map(String::as_str).collect(), |roll, row| roll.labels(row).collect())
    }

    /// Where a merge request stands.
    #[must_use]
    pub fn mr_state(&self) -> Option<MrState> {
        self.ask(|brief| brief.mr_state, Roll::mr_state)
    }

    /// All of it that the index has; `None` when a place of the index is damaged.
    #[must_use]
    pub fn brief(&self) -> Option<Brief> {
        let row = match (self.at, self.fresh()) {
            (_, Some((_, brief))) => return Some(brief.clone()),
            (At::Base(row) | At::Fresh(row), None) => row,
        };
        let (roll, stacks) = (&self.catalog.roll, &self.catalog.stacks);
        let id = |target| roll.target_id(target).parse::<BeadId>().ok();
        let (updated_at, closed_at) = stacks.moments(row)?;
        Some(Brief {
            id: roll.id(row).parse().ok()?,
            title: stacks.title(row)?,
            status: roll.status(row).clone(),
            issue_type: roll.issue_type(row).clone(),
            priority: roll.priority(row),
            created_at: roll.created_at(row),
            updated_at,
            closed_at,
            defer_until: roll.defer_until(row),
            lease_until: roll.lease_until(row),
            assignee: roll.assignee(row).map(str::to_owned),
            labels: roll.labels(row).map(str::to_owned).collect(),
            parent: roll.parent(row).map_or(Some(None), |target| id(target).map(Some))?,
            edges: roll.edges(row).map(|(kind, target)| Some((kind.clone(), id(target)?))).collect::<Option<_>>()?,
            is_ephemeral: self.is_ephemeral(),
            has_failed: self.has_failed(),
            was_merged: self.was_merged(),
            mr_state: roll.mr_state(row),
        })
    }
}

impl Facts for Row<'_> {
    fn id(&self) -> &str {
        self.ask(|brief| brief.id.as_str(), Roll::id)
    }
    fn status(&self) -> &Status {
        self.ask(|brief| &brief.status, Roll::status)
    }
    fn issue_type(&self) -> &IssueType {
        self.ask(|brief| &brief.issue_type, Roll::issue_type)
    }
    fn priority(&self) -> u8 {
        self.ask(|brief| brief.priority, Roll::priority)
    }
    fn created_at(&self) -> Moment {
        self.ask(|brief| brief.created_at, Roll::created_at)
    }
    fn defer_until(&self) -> Option<Moment> {
        self.ask(|brief| brief.defer_until, Roll::defer_until)
    }
    fn lease_until(&self) -> Option<Moment> {
        self.ask(|brief| brief.lease_until, Roll::lease_until)
    }
    fn assignee(&self) -> Option<&str> {
        self.ask(|brief| brief.assignee.as_deref(), Roll::assignee)
    }
    fn has_label(&self, label: &str) -> bool {
        self.ask(|brief| brief.has_label(label), |roll, row| roll.labels(row).any(|own| own == label))
    }
    fn is_child_of(&self, parent: &BeadId) -> bool {
        self.parent().is_some_and(|target| self.catalog.target_id(target) == parent.as_str())
    }
    fn is_ephemeral(&self) -> bool {
        self.ask(|brief| brief.is_ephemeral, |roll, row| roll.flag(row, 1))
    }
    fn has_failed(&self) -> bool {
        self.ask(|brief| brief.has_failed, |roll, row| roll.flag(row, 1 << 1))
    }
    fn was_merged(&self) -> bool {
        self.ask(|brief| brief.was_merged, |roll, row| roll.flag(row, 1 << 2))
    }
}
