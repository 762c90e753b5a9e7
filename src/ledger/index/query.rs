//! Questions to the beads of a state: rows of the base with what changed since laid over them.

mod row;
mod weigh;

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use gix::ObjectId;

use super::layout::{Notes, Sizes, Stock};
use super::roll::Roll;
use super::stacks::Stacks;
use super::upkeep::damaged_after;
use super::{BeadPatch, Target, blob_id};
use crate::ledger::{Damaged, tree};
use crate::model::bead::DependencyKind;
use crate::model::brief::Brief;
use crate::name::BeadId;

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
    stacks: Stacks,
    /// By id.
    fresh: Vec<Fresh>,
    /// Which rows of the base are not valid any more; empty when all are.
    hidden: Vec<bool>,
    damaged: BTreeMap<String, String>,
    /// Rows of the base for which what was found when it was made may be wrong by now; `None`: any.
    stirred: OnceCell<Option<Vec<bool>>>,
    /// Whether what was found of beads that lean on archived ones was found before another archive.
    is_other_archive: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Base(usize),
    Fresh(usize),
}

/// A bead of a catalog.
#[derive(Clone, Copy)]
pub struct Row<'c> {
    catalog: &'c Catalog,
    at: At,
}

impl Catalog {
    pub(super) fn plain(roll: Roll, stacks: Stacks, damaged: Vec<(String, String)>) -> Self {
        let damaged = damaged.into_iter().filter(|(path, _)| path.starts_with("beads/")).collect();
        Self { roll, stacks, fresh: Vec::new(), hidden: Vec::new(), damaged, stirred: OnceCell::new(), is_other_archive: false }
    }

    pub(super) fn loose(stock: Stock) -> Self {
        let sizes = Sizes::default();
        let roll = Roll::new(sizes, &Notes::default(), Vec::new());
        let mut catalog = Self::plain(roll, Stacks::in_memory(sizes, Vec::new()), stock.damaged);
        let beads = stock.beads.into_iter();
        catalog.fresh = beads.map(|(brief, blob)| Fresh { id: brief.id.clone(), place: 0, now: Some((blob, brief)) }).collect();
        catalog
    }

    pub(super) fn new(roll: Roll, stacks: Stacks, notes: &Notes, patches: &[BeadPatch]) -> Option<Self> {
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
        let damaged = damaged_after(notes, "beads/", patches.iter().flat_map(|patch| &patch.damaged));
        Some(Self { roll, stacks, fresh, hidden, damaged, stirred: OnceCell::new(), is_other_archive: false })
    }

    pub(super) fn without_archive(self) -> Self {
        Self { is_other_archive: true, ..self }
    }

    pub(super) fn into_roll_bytes(self) -> Vec<u8> {
        self.roll.into_bytes()
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
        base.chain(self.fresh_places()).map(|at| self.row(at))
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
        let is_child = |row: &Row<'_>| row.parent().is_some_and(|target| self.target_id(target) == parent.as_str());
        let mut rows: Vec<Row<'_>> = self.around(parent).into_iter().filter(is_child).collect();
        rows.sort_unstable_by_key(Row::place);
        rows
    }

    /// Beads that cannot be read and may be children of `parent`: all but those whose ids make them another one's.
    #[must_use]
    pub fn lost_children(&self, parent: &BeadId) -> Vec<BeadId> {
        let names = self.damaged.keys().filter_map(|path| path.rsplit('/').next()?.strip_suffix(".json"));
        let is_another_ones = |id: &str| id.rsplit_once('.').is_some_and(|(other, _)| other != parent.as_str());
        names.filter(|id| *id != parent.as_str() && !is_another_ones(id)).filter_map(|id| id.parse().ok()).collect()
    }

    /// What depends on `target`, and how, by id.
    #[must_use]
    pub fn needed_by(&self, target: &BeadId) -> Vec<(Row<'_>, DependencyKind)> {
        let mut found: Vec<(Row<'_>, DependencyKind)> = Vec::new();
        for row in self.around(target) {
            let edges = row.edges().filter(|(_, other)| self.target_id(*other) == target.as_str());
            found.extend(edges.map(|(kind, _)| (row, kind.clone())));
        }
        found.sort_by_key(|(row, _)| row.place());
        found
    }

    /// Those that depend on any of `targets`, how, and on which. Of many all rows are looked at once, since targets that
    /// are not among the rows have no other way to what leans on them.
    #[must_use]
    pub fn needed_by_any<'t>(&self, targets: &[&'t BeadId]) -> Vec<(Row<'_>, DependencyKind, &'t BeadId)> {
        const FEW: usize = 4;
        if targets.len() <= FEW {
            let one = |target: &&'t BeadId| {
                let target: &'t BeadId = target;
                self.needed_by(target).into_iter().map(move |(row, kind)| (row, kind, target))
            };
            return targets.iter().flat_map(one).collect();
        }
        let wanted: HashMap<&str, &'t BeadId> = targets.iter().map(|target| (target.as_str(), *target)).collect();
        let mut found = Vec::new();
        for row in self.rows() {
            let edges = row.edges().filter_map(|(kind, target)| Some((kind, *wanted.get(self.target_id(target))?)));
            found.extend(edges.map(|(kind, target)| (row, kind.clone(), target)));
        }
        found.sort_by_key(|(row, ..)| row.place());
        found
    }

    /// Rows among which are all that have an edge to `target`.
    fn around(&self, target: &BeadId) -> Vec<Row<'_>> {
        let known = self.roll.find(target.as_str()).ok().and_then(|row| self.stacks.backlinks(row));
        let Some(base) = known else { return self.rows().collect() };
        let base = base.into_iter().filter(|row| *row < self.roll.len && !self.is_hidden(*row)).map(At::Base);
        base.chain(self.fresh_places()).map(|at| self.row(at)).collect()
    }

    fn fresh_places(&self) -> impl Iterator<Item = At> {
        self.fresh.iter().enumerate().filter(|(_, one)| one.now.is_some()).map(|(n, _)| At::Fresh(n))
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
        self.rows().map(|row| Some((row.brief()?, row.blob()?))).collect()
    }

    pub(super) fn damaged_pairs(&self) -> Vec<(String, String)> {
        self.damaged.clone().into_iter().collect()
    }
}
