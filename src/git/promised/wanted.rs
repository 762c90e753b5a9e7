//! Which files an operation will read: found in trees, which are always here, before it begins.

use std::collections::{HashMap, HashSet};

use gix::ObjectId;
use gix::diff::tree::recorder::Change;
use gix::objs::tree::EntryMode;

use super::{Promise, bring};
use crate::error::Result;
use crate::git::diff;
use crate::git::progress::Progress;
use crate::model::cone::{Cone, Extent};
use crate::store::Store;
use crate::store::objects::read_tree;

/// Brings the files of `tree` that lie in `cone` and tells how many were missing.
///
/// # Errors
/// As [`bring`].
pub fn bring_tree(store: &Store, tree: ObjectId, cone: &Cone, progress: &Progress) -> Result<usize> {
    if Promise::of(store).is_none() {
        return Ok(0);
    }
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    let mut open = vec![(tree, Vec::new(), cone.extent(b""))];
    while let Some((tree, path, extent)) = open.pop() {
        if extent == Extent::Nothing || (extent == Extent::Everything && !seen.insert(tree)) {
            continue;
        }
        for entry in read_tree(&store.repo.objects, tree)?.entries {
            if entry.mode.is_tree() {
                let mut below: Vec<u8> = path.clone();
                if !below.is_empty() {
                    below.push(b'/');
                }
                below.extend_from_slice(&entry.filename);
                let extent = if extent == Extent::Everything { extent } else { cone.extent(&below) };
                open.push((entry.oid, below, extent));
            } else if !entry.mode.is_commit() {
                files.push(entry.oid);
            }
        }
    }
    bring(store, &files, progress)
}

/// Brings the files in a tree's index that hold attributes and that `repo` does not see.
///
/// # Errors
/// As [`bring`].
pub(crate) fn bring_attributes(store: &Store, repo: &gix::Repository, index: &gix::index::State) -> Result<usize> {
    if Promise::of(store).is_none() {
        return Ok(0);
    }
    let is_attributes = |path: &[u8]| path.rsplit(|byte| *byte == b'/').next() == Some(b".gitattributes");
    let files = index.entries().iter().filter(|entry| is_attributes(entry.path(index))).map(|entry| entry.id);
    bring(store, &files.filter(|id| !repo.has_object(*id)).collect::<Vec<_>>(), &Progress::silent())
}

/// Brings what git reads to find renamed files between the trees `a` and `b`.
///
/// # Errors
/// As [`bring`].
pub fn bring_for_renames(store: &Store, a: ObjectId, b: ObjectId) -> Result<usize> {
    if Promise::of(store).is_none() {
        return Ok(0);
    }
    let side = Side::of(&store.repo, a, b)?;
    bring(store, &side.candidates().collect::<Vec<_>>(), &Progress::silent())
}

/// Brings the files that differ between the trees `a` and `b`, both versions.
///
/// # Errors
/// As [`bring`].
pub fn bring_changed(store: &Store, a: ObjectId, b: ObjectId) -> Result<usize> {
    if Promise::of(store).is_none() {
        return Ok(0);
    }
    let side = Side::of(&store.repo, a, b)?;
    bring(store, &side.touched.into_values().flatten().collect::<Vec<_>>(), &Progress::silent())
}

/// Brings what a merge of three trees reads: files that both sides touched, and those that may have been renamed.
///
/// `repo` also sees trees and files that are in memory only.
///
/// # Errors
/// As [`bring`].
pub(crate) fn bring_for_merge(
    store: &Store,
    repo: &gix::Repository,
    base: ObjectId,
    ours: ObjectId,
    theirs: ObjectId,
) -> Result<usize> {
    if Promise::of(store).is_none() {
        return Ok(0);
    }
    let (ours, theirs) = (Side::of(repo, base, ours)?, Side::of(repo, base, theirs)?);
    let touched_by_both = ours.touched.iter().filter_map(|(path, files)| Some(files.iter().chain(theirs.touched.get(path)?)));
    let mut files: Vec<ObjectId> = touched_by_both.flatten().copied().collect();
    files.extend(ours.candidates().chain(theirs.candidates()));
    files.retain(|id| !repo.has_object(*id));
    bring(store, &files, &Progress::silent())
}

/// How many pairs of files are compared at most, here and by git (`diff.renameLimit`); beyond that only equal ones count.
const PAIRS_MAX: usize = 1000 * 1000;

/// What one side changed.
#[derive(Default)]
struct Side {
    /// By path, the files before and after.
    touched: HashMap<Vec<u8>, Vec<ObjectId>>,
    added: Vec<ObjectId>,
    removed: Vec<ObjectId>,
}

impl Side {
    fn of(repo: &gix::Repository, before: ObjectId, after: ObjectId) -> Result<Self> {
        let mut side = Self::default();
        let is_file = |mode: EntryMode| !mode.is_tree() && !mode.is_commit();
        for change in diff::changes(&repo.objects, before, after)? {
            let (path, files) = match change {
                Change::Addition { entry_mode, oid, path, .. } if is_file(entry_mode) => {
                    side.added.push(oid);
                    (path, vec![oid])
                }
                Change::Deletion { entry_mode, oid, path, .. } if is_file(entry_mode) => {
                    side.removed.push(oid);
                    (path, vec![oid])
                }
                Change::Modification { previous_entry_mode, previous_oid, entry_mode, oid, path } => {
                    let both = [(previous_entry_mode, previous_oid), (entry_mode, oid)];
                    (path, both.into_iter().filter(|(mode, _)| is_file(*mode)).map(|(_, id)| id).collect())
                }
                Change::Addition { .. } | Change::Deletion { .. } => continue,
            };
            side.touched.entry(path.into()).or_default().extend(files);
        }
        Ok(side)
    }

    /// Files whose content is compared to find what was renamed; equal ones are found without.
    fn candidates(&self) -> impl Iterator<Item = ObjectId> {
        let (added, removed): (HashSet<_>, HashSet<_>) = (self.added.iter().collect(), self.removed.iter().collect());
        let only = |files: &[ObjectId], others: &HashSet<&ObjectId>| -> Vec<ObjectId> {
            files.iter().filter(|id| !others.contains(id)).copied().collect()
        };
        let (added, removed) = (only(&self.added, &removed), only(&self.removed, &added));
        let is_compared = !added.is_empty() && !removed.is_empty() && added.len().saturating_mul(removed.len()) <= PAIRS_MAX;
        let compared = if is_compared { [added, removed] } else { [Vec::new(), Vec::new()] };
        compared.into_iter().flatten()
    }
}
