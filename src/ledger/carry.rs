//! Carries work from a history that was flattened over to the one that took its place.
//!
//! Whoever wrote on the old history before he heard of its flatten first merges with the tip that was replaced, in
//! that history, and replays the result onto the root that replaced it, as one commit; epoch by epoch when there were
//! several. Both are pure functions of their commits, so two machines in one state get one commit. The replay names
//! what it stands for, keeps the clocks that records got in the old history, and stands above them itself.

use gix::ObjectId;

use crate::error::{Error, Result};
use crate::ledger::history::Comparison;
use crate::ledger::merge::{self, Join};
use crate::ledger::{diff, flatten, history};
use crate::model::merge::MERGE_MACHINE;
use crate::store::Store;

/// Two tips in one epoch.
#[derive(Debug)]
pub(crate) struct Met {
    /// Ours, carried over if need be.
    pub ours: ObjectId,
    /// Theirs, carried over if need be.
    pub theirs: ObjectId,
    /// Flattens that ours crossed: the epoch that began, and the tip that was replaced.
    pub crossed: Vec<(usize, ObjectId)>,
    /// Commits of ours in old histories that are not part of what was replaced there.
    pub replayed: Vec<ObjectId>,
}

/// Brings `ours` and `theirs` into the later of their epochs. What is made is on disk; no ref is moved.
///
/// # Errors
/// Refused, when a flatten on the way is unlawful, its old history is not here, or both were flattened apart.
pub(crate) fn meet(store: &Store, ours: ObjectId, theirs: ObjectId) -> Result<Met> {
    let mut met = Met { ours, theirs, crossed: Vec::new(), replayed: Vec::new() };
    if ours == theirs {
        return Ok(met);
    }
    let (mine, other) = (flatten::epochs(store, ours)?, flatten::epochs(store, theirs)?);
    if mine == other {
        return Ok(met);
    }
    merge::check_scopes(store, ours, theirs, true)?;
    if other.starts_with(&mine) {
        let carried = carry(store, ours, mine.len(), theirs, &other)?;
        (met.ours, met.crossed, met.replayed) = (carried.tip, carried.crossed, carried.replayed);
    } else if mine.starts_with(&other) {
        met.theirs = carry(store, theirs, other.len(), ours, &mine)?.tip;
    } else {
        return Err(Error::refused("the ledgers here and there were flattened apart, on two machines")
            .hint("nothing was changed; one of them must join the other's anew: only the home machine flattens"));
    }
    Ok(met)
}

struct Carried {
    tip: ObjectId,
    crossed: Vec<(usize, ObjectId)>,
    replayed: Vec<ObjectId>,
}

/// Carries `from`, of epoch `epoch`, into that of `to`, before which `epochs` were flattened.
fn carry(store: &Store, from: ObjectId, epoch: usize, to: ObjectId, epochs: &[ObjectId]) -> Result<Carried> {
    let mut carried = Carried { tip: from, crossed: Vec::new(), replayed: Vec::new() };
    for n in epoch..epochs.len() {
        let old = epochs[n];
        check_here(store, old, n + 1)?;
        let next = epochs.get(n + 1).copied().unwrap_or(to);
        check_here(store, next, n + 2)?;
        let root = flatten::root(store, next, &epochs[..=n])?;
        flatten::check(store, root, old)?;
        let joined = joined(store, carried.tip, old)?;
        carried.crossed.push((n + 1, old));
        carried.tip = if joined == old {
            root
        } else {
            carried.replayed.push(joined);
            replay(store, joined, old, root)?
        };
    }
    Ok(carried)
}

fn check_here(store: &Store, tip: ObjectId, epoch: usize) -> Result<()> {
    if store.repo.has_object(tip) {
        return Ok(());
    }
    let pin = crate::ledger::tree::flattened(epoch);
    Err(Error::refused(format!("the history before flatten {epoch} of the ledger is not here: {tip} is missing"))
        .hint(format!("nothing was changed; fetch it from where it is kept: git fetch HUB {pin}:{pin}")))
}

/// What `tip` and `old`, of one epoch, amount to.
fn joined(store: &Store, tip: ObjectId, old: ObjectId) -> Result<ObjectId> {
    let Comparison { bases, .. } = history::compare(store, &[tip], &[old])?;
    if bases == [tip] {
        return Ok(old);
    }
    if bases == [old] {
        return Ok(tip);
    }
    let merge = merge::merge(store, tip, old, Join::Related)?;
    store.write(&merge.batch)?;
    Ok(merge.commit)
}

/// So many beads are named in the message of a replay.
const BEADS_MAX: usize = 200;

/// Puts what `work` has beyond `old` onto `root`, as one commit that depends on nothing else.
fn replay(store: &Store, work: ObjectId, old: ObjectId, root: ObjectId) -> Result<ObjectId> {
    let (of_work, of_old, of_root) = (history::link(store, work)?, history::link(store, old)?, history::link(store, root)?);
    let rev = merge::rev_above(of_work.number, of_root.number);
    let (tree, mut batch) = merge::merge_trees(store, [of_old.tree, of_work.tree, of_root.tree], &rev)?;
    let count = history::compare(store, &[work], &[old])?.only_ours;
    let noun = if count == 1 { "commit" } else { "commits" };
    let mut message = format!("replay {count} {noun} onto the flattened history\n\nGt-Op: replay\n");
    let changed = diff::changes(store.records()?, of_old.tree, of_work.tree)?;
    let beads = changed.keys().filter(|path| path.starts_with("beads/")).filter_map(|path| path.rsplit('/').next());
    for bead in beads.filter_map(|name| name.strip_suffix(".json")).take(BEADS_MAX) {
        message.push_str(&format!("Gt-Bead: {bead}\n"));
    }
    message.push_str(&format!("Gt-Agent: gt\nGt-Machine: {MERGE_MACHINE}\nGt-Replays: {work}\nGt-Rev: {}\n", rev.number));
    let who = merge::nobody(of_work.time.max(of_root.time));
    let commit = batch.add_value(&gix::objs::Commit {
        tree,
        parents: [root].into_iter().collect(),
        author: who.clone(),
        committer: who,
        encoding: None,
        message: message.into(),
        extra_headers: Vec::new(),
    });
    store.write(&batch)?;
    Ok(commit)
}
