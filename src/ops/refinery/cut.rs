//! What a request is made of: the trees between which it changed something, taken off the ground it was written on and
//! laid onto another. One step for a request that lands whole, one for each commit when it lands commit by commit.

use std::collections::{BTreeSet, HashSet};

use gix::ObjectId;

use super::look::Request;
use crate::error::Result;
use crate::git::merge::{Merged, Stacker, merge_bases};
use crate::git::{commits, diff};
use crate::model::merge_request::Mode;
use crate::store::Store;

/// Most commits of one request that are laid one by one.
const STEPS_MAX: usize = 500;

/// A change from one tree to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The commit that made it.
    pub(super) commit: ObjectId,
    /// The tree before.
    pub(super) from: ObjectId,
    /// The tree after.
    pub(super) to: ObjectId,
    /// Whether the commit brought another branch in, whose changes are then part of this one.
    is_merge: bool,
}

/// A request without its ground.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The tree that it was written on.
    pub(super) base: ObjectId,
    /// The tree of its head.
    pub(super) head: ObjectId,
    /// Its changes, oldest first.
    pub(super) steps: Vec<Step>,
    /// Its own commits, newest first.
    pub(super) commits: Vec<ObjectId>,
}

/// How cutting ended.
pub(super) enum Cutting {
    /// It has something to lay.
    Whole(Cut),
    /// The ground has all of it.
    Contained,
    /// It cannot be cut; why, for people.
    Unfit(String),
}

/// A cut laid onto a tree.
pub(super) enum Laid {
    /// The tree after each step.
    Clean(Vec<ObjectId>),
    /// It conflicts in these paths.
    Conflict(Vec<String>),
}

/// Takes `request`, which may be built upon the heads `elders`, off the history of `tip`.
///
/// # Errors
/// Corrupt, when history cannot be read.
pub(super) fn cut(
    store: &Store,
    stacker: &mut Stacker<'_>,
    tip: ObjectId,
    request: &Request,
    elders: &[ObjectId],
) -> Result<Cutting> {
    let head = request.head()?;
    let bases = merge_bases(store, tip, head)?;
    if bases.is_empty() {
        return Ok(Cutting::Unfit("it shares no history with the target".to_owned()));
    }
    if bases.contains(&head) {
        return Ok(Cutting::Contained);
    }
    let (bases, elders) = ground(store, head, bases, elders)?;
    let own = commits::ahead(store, head, &[&[tip], &elders[..]].concat())?;
    let (base, head_tree) = (stacker.base_tree(&bases)?, store.tree_of(head)?);
    let steps = match request.mr.mode {
        Mode::Squash | Mode::Merge | Mode::Ff => vec![Step { commit: head, from: base, to: head_tree, is_merge: false }],
        Mode::Rebase => match one_by_one(store, head, &own)? {
            Ok(steps) => steps,
            Err(why) => return Ok(Cutting::Unfit(why)),
        },
    };
    Ok(Cutting::Whole(Cut { base, head: head_tree, steps, commits: own }))
}

/// What `head` was written on: the nearest of `bases`, which it shares with the target, and of the `elders` that it
/// contains; and these.
fn ground(
    store: &Store,
    head: ObjectId,
    mut bases: Vec<ObjectId>,
    elders: &[ObjectId],
) -> Result<(Vec<ObjectId>, Vec<ObjectId>)> {
    let mut below = Vec::new();
    for elder in elders {
        if commits::is_commit(store, *elder) && store.is_ancestor(*elder, head)? {
            below.push(*elder);
        }
    }
    let all: Vec<ObjectId> = bases.iter().chain(&below).copied().collect();
    if !below.is_empty() {
        bases.clear();
        for (at, one) in all.iter().enumerate() {
            let mut is_covered = all[..at].contains(one);
            for other in all.iter().filter(|other| *other != one) {
                is_covered = is_covered || store.is_ancestor(*one, *other)?;
            }
            if !is_covered {
                bases.push(*one);
            }
        }
    }
    Ok((bases, below))
}

/// The first-parent line of `head` as far as it is in `own`, oldest first. A merge on it counts as one change, so that
/// how its conflicts were solved is kept; what it brought from the target is there already and changes nothing.
fn one_by_one(store: &Store, head: ObjectId, own: &[ObjectId]) -> Result<std::result::Result<Vec<Step>, String>> {
    let own: HashSet<ObjectId> = own.iter().copied().collect();
    let mut steps = Vec::new();
    let mut at = head;
    while own.contains(&at) {
        if steps.len() == STEPS_MAX {
            return Ok(Err(format!("it has more than {STEPS_MAX} commits to rebase; hand it in with --mode squash or merge")));
        }
        let parents = commits::parents(store, at)?;
        let Some(first) = parents.first().copied() else {
            return Ok(Err("its commits do not begin on the target, so they cannot be rebased".to_owned()));
        };
        steps.push(Step { commit: at, from: store.tree_of(first)?, to: store.tree_of(at)?, is_merge: parents.len() > 1 });
        at = first;
    }
    steps.reverse();
    Ok(Ok(steps))
}

/// Lays `cut` onto the tree `onto`, step by step; what is made is in the memory of `stacker`.
///
/// # Errors
/// Corrupt, when an object cannot be read.
pub(super) fn lay(stacker: &mut Stacker<'_>, cut: &Cut, onto: ObjectId) -> Result<Laid> {
    let mut trees = Vec::with_capacity(cut.steps.len());
    let mut below = onto;
    for step in &cut.steps {
        match stacker.merge_trees(step.from, below, step.to)? {
            Merged::Clean(tree) => below = tree,
            Merged::Conflict(files) => return Ok(Laid::Conflict(files)),
        }
        trees.push(below);
    }
    Ok(Laid::Clean(trees))
}

impl Cut {
    /// The steps that still change something when laid onto `below` with `trees` as the outcome, each with its tree. A
    /// commit that was empty from the beginning is one; one that became so is not, as with git.
    pub(super) fn kept<'c>(&'c self, below: ObjectId, trees: &'c [ObjectId]) -> impl Iterator<Item = (&'c Step, ObjectId)> {
        let before = std::iter::once(below).chain(trees.iter().copied());
        let all = self.steps.iter().zip(trees).zip(before);
        all.filter(|((step, tree), before)| **tree != *before || step.from == step.to).map(|((step, tree), _)| (step, *tree))
    }

    /// The paths that it changes, those that a later commit of it changes back among them.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub(super) fn paths(&self, store: &Store) -> Result<BTreeSet<String>> {
        let mut paths = diff::changed_paths(store, self.base, self.head)?;
        // What a merge brought is not its own; how it was solved shows in its head.
        for step in self.steps.iter().filter(|step| !step.is_merge && (step.from, step.to) != (self.base, self.head)) {
            paths.extend(diff::changed_paths(store, step.from, step.to)?);
        }
        Ok(paths)
    }

    /// The paths that differ between `before` and `after`, made by laying it onto the tree `below`, though it did not
    /// change them; under a new name that `below` gave a file of its own counts too.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read; external, when git cannot tell what was renamed.
    pub(super) fn foreign_paths(
        &self,
        store: &Store,
        below: ObjectId,
        (before, after): (ObjectId, ObjectId),
    ) -> Result<Vec<String>> {
        let mut own = self.paths(store)?;
        let changed = diff::changed_paths(store, before, after)?;
        if changed.is_subset(&own) {
            return Ok(Vec::new());
        }
        let moved: BTreeSet<String> = diff::renames(store, self.base, below)?
            .into_iter()
            .filter(|(from, _)| own.contains(from))
            .map(|(_, to)| to)
            .collect();
        own.extend(moved);
        Ok(changed.difference(&own).cloned().collect())
    }
}
