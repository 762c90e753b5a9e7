//! Questions to the beads of a state: rows of the base with what changed since laid over them.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use gix::ObjectId;

use super::layout::{Notes, Sizes, Stock};
use super::roll::{BLOCKED, FREE, LEANS, Roll};
use super::stacks::Stacks;
use super::upkeep::damaged_after;
use super::{BeadPatch, Target, blob_id};
use crate::ledger::{Damaged, tree};
use crate::model::bead::{DependencyKind, IssueType, Status};
use crate::model::brief::{Brief, Facts};
use crate::model::dependency::{GENERATIONS_MAX, obstacle};
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

    /// Whether nothing in this scope blocks the bead in `row`, its parents' blockers included; `None` when the beads
    /// of this scope that can be read are not enough to tell.
    #[must_use]
    pub fn is_unblocked(&self, row: Row<'_>) -> Option<bool> {
        if let At::Base(base) = row.at {
            let known = self.roll.flag(base, FREE | BLOCKED);
            if known && (self.fresh.is_empty() || self.is_still(base)) && self.leans_as_it_did(base) {
                return Some(self.roll.flag(base, FREE));
            }
        }
        self.weigh(row, None).map(|(answer, _)| answer)
    }

    /// The answer of [`Catalog::is_unblocked`], and whether beads in `archive` had to be asked for it.
    fn weigh(&self, row: Row<'_>, archive: Option<&Self>) -> Option<(bool, bool)> {
        let (mut answer, mut leans, mut at) = (true, false, row);
        for _ in 0..GENERATIONS_MAX {
            for (kind, target) in at.edges().filter(|(kind, _)| kind.is_blocking()) {
                if *kind == DependencyKind::WaitsFor {
                    return None;
                }
                answer &= match self.target(target) {
                    Some(target) => obstacle::<Brief>(kind, &target, []),
                    None => {
                        leans = true;
                        obstacle::<Brief>(kind, &archive?.find(self.target_id(target))?, [])
                    }
                }
                .is_none();
            }
            match at.parent() {
                None => break,
                Some(parent) => at = self.target(parent)?,
            }
        }
        Some((answer, leans))
    }

    /// Ids of the beads of which something else is kept than what blocks them, with `archive` behind them.
    pub(super) fn misjudged(&self, archive: Option<&Self>) -> Vec<String> {
        let differs = |row: &Row<'_>| {
            self.is_unblocked(*row).is_some_and(|said| self.weigh(*row, archive).is_none_or(|(is, _)| is != said))
        };
        self.rows().filter(differs).map(|row| row.id().to_owned()).collect()
    }

    /// What to keep of the bead in a row of a base without changes, with `archive` behind it.
    pub(super) fn verdict_of_base(&self, row: usize, archive: Option<&Self>) -> u8 {
        let is_asked = *self.roll.status(row) == Status::Open && self.roll.issue_type(row).is_work();
        match is_asked.then(|| self.weigh(self.row(At::Base(row)), archive)).flatten() {
            None => 0,
            Some((answer, leans)) => (if answer { FREE } else { BLOCKED }) | (if leans { LEANS } else { 0 }),
        }
    }

    /// Whether the archived beads that were asked about the bead in `row` are still in the archive alone.
    fn leans_as_it_did(&self, row: usize) -> bool {
        if !self.roll.flag(row, LEANS) {
            return true;
        }
        let is_fresh = |id: &str| self.fresh.binary_search_by(|one| one.id.as_str().cmp(id)).is_ok();
        let mut at = row;
        for _ in 0..GENERATIONS_MAX {
            if self.roll.edges(at).any(|(_, target)| matches!(target, Target::Id(id) if is_fresh(id))) {
                return false;
            }
            match self.roll.parent(at) {
                Some(Target::Row(parent)) => at = parent,
                Some(Target::Id(_)) => return false,
                None => break,
            }
        }
        !self.is_other_archive
    }

    /// Whether no change since the base can have changed what blocks the bead in `row`.
    fn is_still(&self, row: usize) -> bool {
        let stirred = self.stirred.get_or_init(|| self.all_stirred());
        stirred.as_ref().is_some_and(|rows| rows.get(row) == Some(&false))
    }

    /// The rows that lean on a changed one, and their children and children's children.
    fn all_stirred(&self) -> Option<Vec<bool>> {
        let mut stirred = vec![false; self.roll.len];
        let changed = self.hidden.iter().enumerate().filter(|(_, is_hidden)| **is_hidden);
        let mut open: Vec<(usize, bool)> = changed.map(|(row, _)| (row, true)).collect();
        while let Some((row, is_changed)) = open.pop() {
            for leaning in self.stacks.backlinks(row)? {
                let is_child = leaning < self.roll.len && self.roll.parent(leaning) == Some(Target::Row(row));
                let is_stirred = stirred.get_mut(leaning)?;
                if (is_changed || is_child) && !std::mem::replace(is_stirred, true) {
                    open.push((leaning, false));
                }
            }
        }
        Some(stirred)
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
