//! Which paths changed between trees, and which commits touched them.
//!
//! Renames are not followed: both names count as changed, which is what a guard of paths needs.

use std::collections::BTreeSet;

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::diff::tree::recorder::Change;
use gix::objs::TreeRefIter;

use crate::error::{Kind, OrFail, Result};
use crate::git::progress::Progress;
use crate::git::promised;
use crate::store::Store;
use crate::store::objects::read_tree;

/// Most commits that are looked at for one question.
const COMMITS_LOOKED_AT_MAX: usize = 10_000;

/// The paths of files that differ between the trees `a_tree` and `b_tree`; what is not UTF-8 is replaced.
///
/// # Errors
/// Corrupt, when a tree cannot be read.
pub fn changed_paths(store: &Store, a_tree: ObjectId, b_tree: ObjectId) -> Result<BTreeSet<String>> {
    let mut paths = BTreeSet::new();
    for change in changes(&store.repo.objects, a_tree, b_tree)? {
        let (modes, path) = match change {
            Change::Addition { entry_mode, path, .. } | Change::Deletion { entry_mode, path, .. } => ([entry_mode; 2], path),
            Change::Modification { previous_entry_mode, entry_mode, path, .. } => ([previous_entry_mode, entry_mode], path),
        };
        if modes.iter().any(|mode| !mode.is_tree()) {
            paths.insert(path.to_str_lossy().into_owned());
        }
    }
    Ok(paths)
}

/// Files that were renamed between the trees `a_tree` and `b_tree`, (old name, new name), as git finds them.
///
/// # Errors
/// External, when the git program fails.
pub fn renames(store: &Store, a_tree: ObjectId, b_tree: ObjectId) -> Result<Vec<(String, String)>> {
    promised::bring_for_renames(store, a_tree, b_tree)?;
    let (a, b) = (a_tree.to_string(), b_tree.to_string());
    let args = ["diff-tree", "-r", "-z", "--find-renames", "--diff-filter=R", "--name-status", &a, &b];
    let listed = super::program::bare_ok(store.dir(), &args)?;
    let fields: Vec<&str> = listed.split_terminator('\0').collect();
    // Each rename is three fields: its similarity, the old name and the new one.
    Ok(fields.chunks_exact(3).map(|fields| (fields[1].to_owned(), fields[2].to_owned())).collect())
}

/// The ids of all trees and files in `b_tree` that are not at the same path in `a_tree`; submodules left out.
pub(crate) fn objects_added(store: &Store, a_tree: ObjectId, b_tree: ObjectId) -> Result<Vec<ObjectId>> {
    let added = changes(&store.repo.objects, a_tree, b_tree)?.into_iter().filter_map(|change| match change {
        Change::Addition { entry_mode, oid, .. } | Change::Modification { entry_mode, oid, .. } => {
            (!entry_mode.is_commit()).then_some(oid)
        }
        Change::Deletion { .. } => None,
    });
    Ok(added.collect())
}

/// All differences between two trees, those of the trees on the way included.
pub(crate) fn changes(objects: &impl gix::objs::Find, a_tree: ObjectId, b_tree: ObjectId) -> Result<Vec<Change>> {
    if a_tree == b_tree {
        return Ok(Vec::new());
    }
    let deed = || format!("compare the trees {a_tree} and {b_tree}");
    let bytes = |id| -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let tree = read_tree(objects, id)?;
        gix::objs::WriteTo::write_to(&tree, &mut bytes).or_fail(Kind::Corrupt, deed)?;
        Ok(bytes)
    };
    let (a_bytes, b_bytes) = (bytes(a_tree)?, bytes(b_tree)?);
    let hash = gix::hash::Kind::Sha1;
    let mut recorder = gix::diff::tree::Recorder::default();
    let state = gix::diff::tree::State::default();
    gix::diff::tree(
        TreeRefIter::from_bytes(&a_bytes, hash),
        TreeRefIter::from_bytes(&b_bytes, hash),
        state,
        objects,
        &mut recorder,
    )
    .or_fail(Kind::Corrupt, deed)?;
    Ok(recorder.records)
}

/// The commits after `from` up to `to` that changed one of `paths` (files or directories), newest first, at most
/// `most`, each as `<short id> <subject>`.
///
/// A merge counts only when it differs from each of its parents there.
///
/// # Errors
/// Corrupt, when history cannot be read.
pub fn commits_touching(store: &Store, from: ObjectId, to: ObjectId, paths: &[String], most: usize) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for id in super::commits::ahead(store, to, &[from])?.into_iter().take(COMMITS_LOOKED_AT_MAX) {
        if lines.len() == most {
            break;
        }
        let deed = || format!("read commit {id}");
        let commit = store.repo.find_commit(id).or_fail(Kind::Corrupt, deed)?;
        let here = entries_at(store, store.tree_of(id)?, paths)?;
        let parents: Vec<ObjectId> = commit.parent_ids().map(gix::Id::detach).collect();
        let mut is_changed = !parents.is_empty() || here.iter().any(Option::is_some);
        for parent in parents {
            is_changed = is_changed && entries_at(store, store.tree_of(parent)?, paths)? != here;
        }
        if is_changed {
            let subject = commit.message().or_fail(Kind::Corrupt, deed)?.summary().to_string();
            lines.push(format!("{} {subject}", id.to_hex_with_len(8)));
        }
    }
    Ok(lines)
}

/// The file at `path` of `tree`; `None` when there is no plain file.
///
/// # Errors
/// Corrupt, when it cannot be read; external, when a partial clone left it out and it cannot be fetched.
pub fn file_at(store: &Store, tree: ObjectId, path: &str) -> Result<Option<Vec<u8>>> {
    match entry_at(store, tree, path)? {
        Some((mode, id)) if mode.is_blob() => {
            promised::bring(store, &[id], &Progress::silent())?;
            store.blob(id).map(Some)
        }
        _ => Ok(None),
    }
}

/// Whether there is a directory at `path` of `tree`.
///
/// # Errors
/// Corrupt, when a tree on the way cannot be read.
pub fn has_directory(store: &Store, tree: ObjectId, path: &str) -> Result<bool> {
    Ok(entry_at(store, tree, path)?.is_some_and(|(mode, _)| mode.is_tree()))
}

/// Whether there is a file at `path` of `tree`; its content is not asked for.
///
/// # Errors
/// Corrupt, when a tree on the way cannot be read.
pub fn has_file(store: &Store, tree: ObjectId, path: &str) -> Result<bool> {
    Ok(entry_at(store, tree, path)?.is_some_and(|(mode, _)| mode.is_blob_or_symlink()))
}

type Entry = Option<(gix::objs::tree::EntryMode, ObjectId)>;

fn entries_at(store: &Store, tree: ObjectId, paths: &[String]) -> Result<Vec<Entry>> {
    paths.iter().map(|path| entry_at(store, tree, path)).collect()
}

fn entry_at(store: &Store, tree: ObjectId, path: &str) -> Result<Entry> {
    let deed = || format!("look up '{}' in tree {tree}", path.escape_debug());
    if tree == ObjectId::empty_tree(gix::hash::Kind::Sha1) {
        return Ok(None);
    }
    let tree = store.repo.find_tree(tree).or_fail(Kind::Corrupt, deed)?;
    let entry = tree.lookup_entry(path.split('/').filter(|part| !part.is_empty())).or_fail(Kind::Corrupt, deed)?;
    Ok(entry.map(|entry| (entry.mode(), entry.object_id())))
}
