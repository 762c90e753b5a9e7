//! How two ledger histories lie to each other: common ancestors, and what only one side has.
//!
//! The clock of a ledger commit is one above its parents' highest, so a walk by falling clocks meets every
//! commit after all of its descendants. That makes the answer exact and the same from either side, also where
//! wall clocks lie; git's and gix's walks go by date and then have to guess. A commit that breaks the law of
//! clocks is refused, so that nobody can poison the clock. Work that is replayed onto a flattened history is the
//! one exception, and bounded.

use std::collections::{BTreeMap, BTreeSet};

use gix::ObjectId;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::log;
use crate::store::Store;

/// What comparing two histories tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The best common ancestors, ascending; empty when the histories were begun apart.
    pub bases: Vec<ObjectId>,
    /// Commits that only ours has.
    pub only_ours: usize,
    /// Commits that only theirs has.
    pub only_theirs: usize,
}

/// The highest clock that is believed; no town gets there by its own work.
const CLOCK_MAX: u64 = 1 << 48;

/// How far the clock of work that is replayed onto a flattened history may be ahead of it: more changes than anybody
/// makes between two exchanges. Records keep the clocks that they got there, so the commit must be above them.
const REPLAY_AHEAD_MAX: u64 = 1 << 20;

const OURS: u8 = 1;
const THEIRS: u8 = 2;
const BOTH: u8 = OURS | THEIRS;
/// An ancestor of a common ancestor.
const STALE: u8 = 4;

/// A ledger commit as the walk needs it.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub tree: ObjectId,
    pub number: u64,
    pub parents: Vec<ObjectId>,
    /// Seconds since 1970.
    pub time: i64,
    /// Whether it carries work from a flattened history over, of which the clock may be ahead.
    pub is_replay: bool,
}

/// Reads the ledger commit `id`.
///
/// # Errors
/// Corrupt, when it cannot be read.
pub(crate) fn link(store: &Store, id: ObjectId) -> Result<Link> {
    let deed = || format!("read the ledger commit {id}");
    let object = store.repo.find_commit(id).or_fail(Kind::Corrupt, deed)?;
    let commit = object.decode().or_fail(Kind::Corrupt, deed)?;
    let time = commit.committer().or_fail(Kind::Corrupt, deed)?.time().map_or(0, |time| time.seconds);
    let is_replay = log::replayed_by(commit.message).is_some();
    let number = log::rev_number_of(commit.message);
    Ok(Link { tree: commit.tree(), number, parents: commit.parents().collect(), time, is_replay })
}

/// Compares the histories of `ours` and `theirs`, each the union of what its tips reach.
///
/// # Errors
/// Corrupt, when a commit cannot be read or breaks the law of clocks.
pub fn compare(store: &Store, ours: &[ObjectId], theirs: &[ObjectId]) -> Result<Comparison> {
    let mut walk = Walk::default();
    for (tips, flag) in [(ours, OURS), (theirs, THEIRS)] {
        for tip in tips {
            walk.paint(store, *tip, flag)?;
        }
    }
    let mut found = Comparison::default();
    // Ends when only ancestors of common ancestors are left.
    while walk.fresh > 0 {
        let Some((_, id)) = walk.open.pop_last() else { break };
        let flags = walk.flags.get(&id).copied().unwrap_or_default();
        if flags & STALE == 0 {
            walk.fresh -= 1;
        }
        match flags {
            OURS => found.only_ours += 1,
            THEIRS => found.only_theirs += 1,
            BOTH => found.bases.push(id),
            _ => {}
        }
        let passed_on = if flags & BOTH == BOTH { BOTH | STALE } else { flags };
        let at = walk.links.remove(&id).or_fail(Kind::Bug, || format!("walk to the ledger commit {id}"))?;
        let mut highest = 0;
        for parent in &at.parents {
            highest = highest.max(walk.paint(store, *parent, passed_on)?);
        }
        check_clock(id, &at, highest)?;
    }
    found.bases.sort();
    Ok(found)
}

fn check_clock(id: ObjectId, link: &Link, highest_parent: u64) -> Result<()> {
    let ahead = link.number.saturating_sub(highest_parent);
    let is_lawful = match link.parents.len() {
        0 => true,
        1 if link.is_replay => (1..=REPLAY_AHEAD_MAX).contains(&ahead),
        _ => ahead == 1,
    };
    if is_lawful && link.number < CLOCK_MAX {
        return Ok(());
    }
    Err(Error::corrupt(format!("the ledger commit {id} has clock {}, its parents {highest_parent}", link.number))
        .hint("it was not written by gt; nothing was taken over"))
}

#[derive(Default)]
struct Walk {
    open: BTreeSet<(u64, ObjectId)>,
    flags: BTreeMap<ObjectId, u8>,
    links: BTreeMap<ObjectId, Link>,
    /// How many in `open` are not stale.
    fresh: usize,
}

impl Walk {
    /// Adds `flag` to a commit that is still to be visited; tells its clock.
    fn paint(&mut self, store: &Store, id: ObjectId, flag: u8) -> Result<u64> {
        if !self.links.contains_key(&id) {
            let read = link(store, id)?;
            if self.flags.contains_key(&id) {
                // Visited already: only a broken clock leads here, and the caller's check refuses it.
                return Ok(read.number);
            }
            self.open.insert((read.number, id));
            self.links.insert(id, read);
            self.flags.insert(id, 0);
            self.fresh += 1;
        }
        let flags = self.flags.entry(id).or_default();
        let was_fresh = *flags & STALE == 0;
        *flags |= flag;
        if was_fresh && *flags & STALE != 0 {
            self.fresh -= 1;
        }
        Ok(self.links[&id].number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(parents: usize, number: u64, is_replay: bool) -> Link {
        let id = |n: usize| ObjectId::from([u8::try_from(n).unwrap(); 20]);
        Link { tree: id(0), number, parents: (0..parents).map(id).collect(), time: 0, is_replay }
    }

    #[test]
    fn only_a_replay_may_be_ahead_of_its_parent_and_only_so_far() {
        let check = |parents, number, is_replay| check_clock(ObjectId::from([9; 20]), &link(parents, number, is_replay), 10);
        for (parents, number, is_replay) in [(1, 11, false), (2, 11, false), (1, 11, true), (1, 10 + REPLAY_AHEAD_MAX, true)] {
            assert!(check(parents, number, is_replay).is_ok(), "{parents} {number} {is_replay}");
        }
        for (parents, number, is_replay) in [
            (1, 12, false),
            (1, 10, false),
            (2, 12, true),
            (1, 10, true),
            (1, 11 + REPLAY_AHEAD_MAX, true),
            (0, CLOCK_MAX, false),
        ] {
            assert!(check(parents, number, is_replay).is_err(), "{parents} {number} {is_replay}");
        }
    }
}
