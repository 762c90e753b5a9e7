//! Questions to the beads of a state: rows of the base with what changed since laid over them.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use gix::ObjectId;

use super::base::Roll;
use super::file::Found;
use super::{Patch, blob_id, damaged_after};
use crate::ledger::{Damaged, tree};
use crate::model::bead::{DependencyKind, IssueType, Status};
use crate::model::brief::{Brief, Facts};
use crate::model::merge_request::MrState;
use crate::name::BeadId;
use crate::time::Moment;

/// A bead that changed since the base.
struct Fresh {
    id: BeadId,
    /// Its place in the order of ids: odd for the row that it replaces, even for one before a row.
    place: u64,
    now: Option<(ObjectId, Brief)>,
}

/// The beads of a scope at one commit, in brief.
pub struct Catalog {
    roll: Roll,
    /// By id.
    fresh: Vec<Fresh>,
    /// Which rows of the base are not valid any more; empty when all are.
    hidden: Vec<bool>,
    damaged: BTreeMap<String, String>,
    children: OnceCell<HashMap<String, Vec<At>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Base(usize),
    Fresh(usize),
}

/// The other end of an edge, as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'c> {
    /// A row of the base.
    Row(usize),
    /// An id, here or in another scope.
    Id(&'c str),
}

/// A bead of a catalog.
#[derive(Clone, Copy)]
pub struct Row<'c> {
    catalog: &'c Catalog,
    at: At,
}

impl Catalog {
    pub(super) fn plain(roll: Roll, damaged: Vec<(String, String)>) -> Self {
        let damaged = damaged.into_iter().collect();
        Self { roll, fresh: Vec::new(), hidden: Vec::new(), damaged, children: OnceCell::new() }
    }

    pub(super) fn new(roll: Roll, found: &Found, patches: &[Patch]) -> Option<Self> {
        let mut changed: BTreeMap<&BeadId, Option<(ObjectId, Brief)>> = BTreeMap::new();
        for (id, now) in patches.iter().flat_map(|patch| &patch.beads) {
            let now = match now {
                Some((blob, brief)) => Some((blob_id(blob)?, brief.clone())),
                None => None,
            };
            changed.insert(id, now);
        }
        let mut hidden = if changed.is_empty() { Vec::new() } else { vec![false; roll.len] };
        let mut fresh = Vec::with_capacity(changed.len());
        for (id, now) in changed {
            let place = match roll.find(id.as_str()) {
                Ok(row) => {
                    hidden[row] = true;
                    2 * row as u64 + 1
                }
                Err(row) => 2 * row as u64,
            };
            fresh.push(Fresh { id: id.clone(), place, now });
        }
        let damaged = damaged_after(&found.damaged, patches);
        Some(Self { roll, fresh, hidden, damaged, children: OnceCell::new() })
    }

    fn row(&self, at: At) -> Row<'_> {
        Row { catalog: self, at }
    }

    fn is_hidden(&self, row: usize) -> bool {
        self.hidden.get(row).copied().unwrap_or(false)
    }

    /// All beads that can be read, in no particular order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let base = (0..self.roll.len).filter(|row| !self.is_hidden(*row)).map(At::Base);
        let fresh = self.fresh.iter().enumerate().filter(|(_, one)| one.now.is_some()).map(|(n, _)| At::Fresh(n));
        base.chain(fresh).map(|at| self.row(at))
    }

    /// The bead `id`, if there is one that can be read.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Row<'_>> {
        if let Ok(n) = self.fresh.binary_search_by(|one| one.id.as_str().cmp(id)) {
            return self.fresh[n].now.is_some().then(|| self.row(At::Fresh(n)));
        }
        self.roll.find(id).ok().map(|row| self.row(At::Base(row)))
    }

    /// The bead at the other end of an edge; `None` when this scope has none there that can be read.
    #[must_use]
    pub fn target(&self, target: Target<'_>) -> Option<Row<'_>> {
        match target {
            Target::Row(row) if !self.is_hidden(row) => Some(self.row(At::Base(row))),
            Target::Row(row) => self.find(self.roll.id(row)),
            Target::Id(id) => self.find(id),
        }
    }

    /// Whether there is a bead `id`, readable or not.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        let is_damaged = || id.parse().is_ok_and(|id| self.damaged.contains_key(&tree::bead(&id)));
        self.find(id).is_some() || (!self.damaged.is_empty() && is_damaged())
    }

    /// Why the record at `path` cannot be read; `None` when it can or is not there.
    #[must_use]
    pub fn fault(&self, path: &str) -> Option<&str> {
        self.damaged.get(path).map(String::as_str)
    }

    /// Bead records that cannot be read.
    #[must_use]
    pub fn damaged(&self) -> Vec<Damaged> {
        let beads = self.damaged.iter().filter(|(path, _)| path.starts_with("beads/"));
        beads.map(|(path, fault)| Damaged { path: path.clone(), fault: fault.clone() }).collect()
    }

    /// Ids that start with `abbreviation`, in order, those of damaged records too.
    #[must_use]
    pub fn ids_starting_with(&self, abbreviation: &str) -> Vec<BeadId> {
        let first = self.roll.find(abbreviation).unwrap_or_else(|row| row);
        let starts = |id: &&str| id.starts_with(abbreviation);
        let base = (first..self.roll.len).map(|row| (row, self.roll.id(row))).take_while(|(_, id)| starts(id));
        let base = base.filter(|(row, _)| !self.is_hidden(*row)).map(|(_, id)| id);
        let fresh = self.fresh.iter().filter(|one| one.now.is_some()).map(|one| one.id.as_str());
        let beads = self.damaged.keys().filter(|path| path.starts_with("beads/"));
        let damaged = beads.filter_map(|path| path.rsplit('/').next()?.strip_suffix(".json"));
        let mut ids: Vec<BeadId> = base.chain(fresh.chain(damaged).filter(starts)).filter_map(|id| id.parse().ok()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// The children of `parent`, by id.
    #[must_use]
    pub fn children(&self, parent: &BeadId) -> Vec<Row<'_>> {
        let children = self.children.get_or_init(|| {
            let mut by_parent: HashMap<String, Vec<At>> = HashMap::new();
            for row in self.rows() {
                if let Some(parent) = row.parent() {
                    by_parent.entry(self.target_id(parent).to_owned()).or_default().push(row.at);
                }
            }
            by_parent
        });
        let mut rows: Vec<Row<'_>> = children.get(parent.as_str()).into_iter().flatten().map(|at| self.row(*at)).collect();
        rows.sort_unstable_by_key(Row::place);
        rows
    }

    /// What depends on `target`, and how, by id.
    #[must_use]
    pub fn needed_by(&self, target: &BeadId) -> Vec<(Row<'_>, DependencyKind)> {
        let mut found: Vec<(Row<'_>, DependencyKind)> = Vec::new();
        for row in self.rows() {
            let edges = row.edges().filter(|(_, other)| self.target_id(*other) == target.as_str());
            found.extend(edges.map(|(kind, _)| (row, kind)));
        }
        found.sort_by_key(|(row, _)| row.place());
        found
    }

    /// The id of the other end of an edge.
    #[must_use]
    pub fn target_id<'c>(&'c self, target: Target<'c>) -> &'c str {
        self.roll.target_id(target)
    }

    /// The first `limit` (0: all) of the beads that `keep` keeps, in the order of `key` and then of ids, and how
    /// many there are.
    pub fn first<K: Ord>(
        &self,
        limit: usize,
        mut keep: impl FnMut(Row<'_>) -> bool,
        key: impl Fn(Row<'_>) -> K,
    ) -> (Vec<(K, Row<'_>)>, usize) {
        let order = |a: &(K, (u64, usize), At), b: &(K, (u64, usize), At)| (&a.0, a.1).cmp(&(&b.0, b.1));
        let (mut kept, mut total) = (Vec::new(), 0);
        for row in self.rows().filter(|row| keep(*row)) {
            total += 1;
            kept.push((key(row), row.place(), row.at));
            // Now and then all but the first are let go, so that few are ever held.
            if limit > 0 && kept.len() >= limit.saturating_mul(8).max(512) {
                kept.select_nth_unstable_by(limit, order);
                kept.truncate(limit);
            }
        }
        if limit > 0 && limit < kept.len() {
            kept.select_nth_unstable_by(limit, order);
            kept.truncate(limit);
        }
        kept.sort_unstable_by(order);
        (kept.into_iter().map(|(key, _, at)| (key, self.row(at))).collect(), total)
    }

    pub(super) fn briefs(&self) -> Option<Vec<(Brief, ObjectId)>> {
        self.rows().map(|row| Some((row.brief()?, row.blob()))).collect()
    }

    pub(super) fn damaged_pairs(&self) -> Vec<(String, String)> {
        self.damaged.clone().into_iter().collect()
    }
}

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
    fn place(&self) -> (u64, usize) {
        match self.at {
            At::Base(row) => (2 * row as u64 + 1, 0),
            At::Fresh(n) => (self.catalog.fresh[n].place, n),
        }
    }

    /// The blob of its record.
    #[must_use]
    pub fn blob(&self) -> ObjectId {
        match self.at {
            At::Base(row) => self.catalog.roll.blob(row),
            At::Fresh(_) => self.fresh().map_or(ObjectId::null(gix::hash::Kind::Sha1), |(blob, _)| *blob),
        }
    }

    /// Its parent, by field or by edge.
    #[must_use]
    pub fn parent(&self) -> Option<Target<'c>> {
        self.ask(|brief| brief.parent.as_ref().map(|id| Target::Id(id.as_str())), Roll::parent)
    }

    /// What it depends on, and how.
    pub fn edges(&self) -> impl Iterator<Item = (DependencyKind, Target<'c>)> + use<'c> {
        let fresh = self.fresh().into_iter().flat_map(|(_, brief)| &brief.edges);
        let base = match self.at {
            At::Base(row) => Some(self.catalog.roll.edges(row)),
            At::Fresh(_) => None,
        };
        fresh.map(|(kind, id)| (kind.clone(), Target::Id(id.as_str()))).chain(base.into_iter().flatten())
    }

    /// Where a merge request stands.
    #[must_use]
    pub fn mr_state(&self) -> Option<MrState> {
        self.ask(|brief| brief.mr_state, Roll::mr_state)
    }

    /// All of it that the index has; `None` only for a row that no writer makes.
    #[must_use]
    pub fn brief(&self) -> Option<Brief> {
        self.ask(|brief| Some(brief.clone()), Roll::brief)
    }
}

impl Facts for Row<'_> {
    fn id(&self) -> &str {
        self.ask(|brief| brief.id.as_str(), Roll::id)
    }
    fn status(&self) -> Status {
        self.ask(|brief| brief.status.clone(), Roll::status)
    }
    fn issue_type(&self) -> IssueType {
        self.ask(|brief| brief.issue_type.clone(), Roll::issue_type)
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
        self.ask(|brief| brief.is_ephemeral, Roll::is_ephemeral)
    }
    fn has_failed(&self) -> bool {
        self.ask(|brief| brief.has_failed, Roll::has_failed)
    }
    fn was_merged(&self) -> bool {
        self.ask(|brief| brief.was_merged, Roll::was_merged)
    }
}
