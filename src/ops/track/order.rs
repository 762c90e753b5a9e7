//! In which order a list shows what it keeps.

use std::cmp::Reverse;

use crate::error::Result;
use crate::ledger::index::Row;
use crate::model::bead::{Bead, IssueType, Status};
use crate::model::brief::Facts;
use crate::name::Prefix;
use crate::ops::track::reach::Reach;
use crate::time::Moment;

/// What beads are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// The most urgent first, then the oldest.
    #[default]
    Priority,
    /// The newest first.
    Created,
    /// What was changed last first.
    Updated,
    /// What was closed last first.
    Closed,
    /// By the alphabet.
    Title,
    /// By the alphabet.
    Id,
    /// What is due soonest first.
    Due,
    /// In the order of work: open, hooked, in progress, in review, blocked, deferred, closed, pinned.
    Status,
    /// By the list of types.
    Type,
    /// By the alphabet.
    Assignee,
}

/// How a list is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: By,
    /// From the end.
    pub reverse: bool,
}

/// What is compared first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// A number, or a time.
    Number(i64),
    /// A word.
    Word(String),
}

/// A value in the order of the list, or from its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way<T> {
    On(T),
    Back(Reverse<T>),
}

/// What puts one bead before another; those that lack what is sorted by come last, whichever way the list goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey {
    is_nothing: bool,
    way: Way<(Option<Mark>, u8, Moment)>,
}

impl Sort {
    /// Whether the first look at a row of an index is enough to tell.
    #[must_use]
    pub fn is_of_facts(self) -> bool {
        match self.by {
            By::Priority | By::Created | By::Id | By::Status | By::Type | By::Assignee => true,
            By::Updated | By::Closed | By::Title | By::Due => false,
        }
    }

    /// The place of `bead`, of which `mark` was found where it is not among its facts.
    #[must_use]
    pub fn key(self, bead: &impl Facts, mark: Option<Mark>) -> SortKey {
        let mark = match self.by {
            By::Priority => Some(Mark::Number(i64::from(bead.priority()))),
            By::Created => Some(Mark::Number(-bead.created_at().millis())),
            By::Id => Some(Mark::Word(bead.id().to_owned())),
            By::Status => Some(Mark::Number(place_of(bead.status().word(), Status::WORDS))),
            By::Type => Some(Mark::Number(place_of(bead.issue_type().word(), IssueType::WORDS))),
            By::Assignee => bead.assignee().map(|who| Mark::Word(who.to_owned())),
            By::Updated | By::Closed | By::Title | By::Due => mark,
        };
        let is_nothing = mark.is_none();
        let key = (mark, bead.priority(), bead.created_at());
        SortKey { is_nothing, way: if self.reverse { Way::Back(Reverse(key)) } else { Way::On(key) } }
    }

    /// The place of the bead in `row`.
    ///
    /// # Errors
    /// Corrupt, when what is asked for cannot be read.
    pub fn key_of(self, reach: &mut Reach<'_>, prefix: &Prefix, row: Row<'_>) -> Result<SortKey> {
        let newest = |at: Moment| Mark::Number(-at.millis());
        let mark = match self.by {
            By::Updated => Some(newest(reach.brief_of(prefix, row)?.updated_at)),
            By::Closed => reach.brief_of(prefix, row)?.closed_at.map(newest),
            By::Title => Some(Mark::Word(reach.brief_of(prefix, row)?.title.to_lowercase())),
            By::Due => due(&reach.in_full(prefix, row)?),
            By::Priority | By::Created | By::Id | By::Status | By::Type | By::Assignee => None,
        };
        Ok(self.key(&row, mark))
    }
}

fn due(bead: &Bead) -> Option<Mark> {
    bead.due_at.map(|at| Mark::Number(at.millis()))
}

/// Where a word stands in its list; one of a newer version comes last.
fn place_of(word: &str, words: &[&str]) -> i64 {
    let place = words.iter().position(|one| *one == word).unwrap_or(words.len());
    i64::try_from(place).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_place_comes_last_both_ways() {
        let bead = |id: &str, who: Option<&str>| {
            let mut bead = Bead::new(id.parse().unwrap(), IssueType::Task, "t", "o", Moment::from_millis(0)).unwrap();
            bead.assignee = who.map(str::to_owned);
            bead
        };
        let mut beads = [bead("w-a", None), bead("w-b", Some("mayor")), bead("w-c", Some("deacon"))];
        let mut order = |reverse: bool| {
            beads.sort_by_key(|bead| Sort { by: By::Assignee, reverse }.key(bead, None));
            beads.iter().map(|bead| bead.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(order(false), ["w-c", "w-b", "w-a"]);
        assert_eq!(order(true), ["w-b", "w-c", "w-a"]);
    }

    #[test]
    fn the_usual_order_is_by_priority_and_then_by_age() {
        let key = |priority: u8, at: i64, sort: Sort| {
            let mut bead = Bead::new("w-a".parse().unwrap(), IssueType::Task, "t", "o", Moment::from_millis(at)).unwrap();
            bead.priority = priority;
            sort.key(&bead, None)
        };
        let usual = Sort::default();
        assert!(key(0, 9, usual) < key(1, 1, usual) && key(1, 1, usual) < key(1, 2, usual));
        let newest = Sort { by: By::Created, reverse: false };
        assert!(key(4, 9, newest) < key(0, 1, newest));
    }
}
