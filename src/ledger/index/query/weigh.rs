//! What blocks a bead: kept with its row when the base is made, and weighed anew for those that lean on what changed.

use super::{At, Catalog, Row};
use crate::ledger::index::Target;
use crate::ledger::index::roll::{BLOCKED, FREE, LEANS};
use crate::model::bead::{DependencyKind, Status};
use crate::model::brief::{Brief, Facts as _};
use crate::model::dependency::{GENERATIONS_MAX, obstacle};

impl Catalog {
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
    pub(in crate::ledger::index) fn misjudged(&self, archive: Option<&Self>) -> Vec<String> {
        let differs = |row: &Row<'_>| {
            self.is_unblocked(*row).is_some_and(|said| self.weigh(*row, archive).is_none_or(|(is, _)| is != said))
        };
        self.rows().filter(differs).map(|row| row.id().to_owned()).collect()
    }

    /// What to keep of the bead in a row of a base without changes, with `archive` behind it.
    pub(in crate::ledger::index) fn verdict_of_base(&self, row: usize, archive: Option<&Self>) -> u8 {
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
}
