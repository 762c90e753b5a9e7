//! The scope at one commit: records by path, walks, and the typed views that commands ask for.
//!
//! What is asked by a bead's id is answered from the archive when the ledger has no such bead; paths and walks are
//! those of the one tree.

mod views;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use gix::ObjectId;
use gix::objs::tree::EntryKind;
use serde::de::DeserializeOwned;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::{index, log, tree};
use crate::model::bead::Bead;
use crate::model::mail::Letter;
use crate::model::record::{self, Object};
use crate::model::tombstone::Tombstone;
use crate::store::Store;

/// A record that cannot be read; everything else still is.
#[derive(Clone, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub struct Damaged {
    /// Where it lies.
    pub path: String,
    /// What is wrong with it.
    pub fault: String,
}

/// A scope's records at one commit.
pub struct State<'s> {
    store: &'s Store,
    commit: Option<ObjectId>,
    tree: ObjectId,
    rev_number: u64,
    // Large transactions ask for thousands of paths that share their upper trees.
    trees: RefCell<HashMap<ObjectId, Rc<gix::objs::Tree>>>,
    is_archive: bool,
    archive: OnceCell<Option<Box<Self>>>,
}

/// Trees that a state keeps in memory.
const TREES_KEPT_MAX: usize = 4_096;

impl<'s> State<'s> {
    /// The state at `commit`; `None` is the empty state before the first commit.
    ///
    /// # Errors
    /// Corrupt, when the commit cannot be read.
    pub fn at(store: &'s Store, commit: Option<ObjectId>) -> Result<Self> {
        let Some(id) = commit else {
            let tree = ObjectId::empty_tree(gix::hash::Kind::Sha1);
            return Ok(Self::of(store, commit, tree, 0));
        };
        // By the handle that reads records: each that is used opens the packs' indexes for itself.
        let mut buffer = Vec::new();
        let found = gix::prelude::FindExt::find_commit(store.records()?, &id, &mut buffer);
        let decoded = found.or_fail(Kind::Corrupt, || format!("read the ledger commit {id}"))?;
        let rev_number = log::rev_number_of(decoded.message);
        Ok(Self::of(store, commit, decoded.tree(), rev_number))
    }

    fn of(store: &'s Store, commit: Option<ObjectId>, tree: ObjectId, rev_number: u64) -> Self {
        let (trees, archive) = (RefCell::default(), OnceCell::new());
        Self { store, commit, tree, rev_number, trees, is_archive: false, archive }
    }

    /// The archive as it was when first asked for; `None` when there is none, and for an archive itself.
    ///
    /// # Errors
    /// Corrupt, when its ref or commit cannot be read: that is never "not archived".
    pub fn archive(&self) -> Result<Option<&Self>> {
        if self.is_archive {
            return Ok(None);
        }
        if self.archive.get().is_none() {
            let found = self.store.read_ref(tree::ARCHIVE)?.map(|tip| Self::at_archive(self.store, tip)).transpose()?;
            let _ = self.archive.set(found.map(Box::new));
        }
        Ok(self.archive.get().and_then(Option::as_deref))
    }

    /// The archive at its commit `tip`, which has no archive behind it.
    ///
    /// # Errors
    /// As [`State::at`].
    pub(super) fn at_archive(store: &'s Store, tip: ObjectId) -> Result<Self> {
        Ok(Self { is_archive: true, ..Self::at(store, Some(tip))? })
    }

    /// Whether this is an archive.
    pub(super) fn is_archive(&self) -> bool {
        self.is_archive
    }

    /// Where it is kept.
    pub(in crate::ledger) fn store(&self) -> &'s Store {
        self.store
    }

    /// The commit; `None` before the first.
    #[must_use]
    pub fn commit(&self) -> Option<ObjectId> {
        self.commit
    }

    /// The root tree.
    #[must_use]
    pub fn tree(&self) -> ObjectId {
        self.tree
    }

    /// The Lamport number of the commit.
    #[must_use]
    pub fn rev_number(&self) -> u64 {
        self.rev_number
    }

    /// The blob id of the record at `path`.
    ///
    /// # Errors
    /// Corrupt, when a tree on the way cannot be read.
    pub fn blob_id(&self, path: &str) -> Result<Option<ObjectId>> {
        Ok(self.entry(path)?.filter(|(kind, _)| *kind != EntryKind::Tree).map(|(_, id)| id))
    }

    fn entry(&self, path: &str) -> Result<Option<(EntryKind, ObjectId)>> {
        let mut found = (EntryKind::Tree, self.tree);
        for part in tree::components(path)? {
            if found.0 != EntryKind::Tree {
                return Ok(None);
            }
            let node = self.node(found.1)?;
            let Some(entry) = node.entries.iter().find(|entry| entry.filename == part) else { return Ok(None) };
            found = (entry.mode.kind(), entry.oid);
        }
        Ok(Some(found))
    }

    /// The tree of directory `dir`; the empty one when there is none.
    ///
    /// # Errors
    /// Corrupt, when a tree on the way cannot be read.
    pub(in crate::ledger) fn subtree(&self, dir: &str) -> Result<ObjectId> {
        let found = self.entry(dir)?.filter(|(kind, _)| *kind == EntryKind::Tree);
        Ok(found.map_or(ObjectId::empty_tree(gix::hash::Kind::Sha1), |(_, id)| id))
    }

    /// Frees what was kept of trees; they are read again when they are asked for.
    pub(in crate::ledger) fn forget_trees(&self) {
        self.trees.borrow_mut().clear();
    }

    fn node(&self, id: ObjectId) -> Result<Rc<gix::objs::Tree>> {
        if let Some(tree) = self.trees.borrow().get(&id) {
            return Ok(Rc::clone(tree));
        }
        let tree = Rc::new(self.store.record_tree(id)?);
        let mut trees = self.trees.borrow_mut();
        if trees.len() < TREES_KEPT_MAX {
            trees.insert(id, Rc::clone(&tree));
        }
        Ok(tree)
    }

    /// The record at `path` as it is stored.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn object(&self, path: &str) -> Result<Option<Object>> {
        let Some(id) = self.blob_id(path)? else { return Ok(None) };
        record::decode(path, &self.store.record(id)?).map(Some)
    }

    /// The record at `path`, typed.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        self.object(path)?.map(|object| record::view(path, &object)).transpose()
    }

    /// Paths and blob ids of all records below directory `dir`, in path order.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn paths(&self, dir: &str) -> Result<Vec<(String, ObjectId)>> {
        let Some((EntryKind::Tree, root)) = self.entry(dir)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut open = vec![(dir.to_owned(), root)];
        while let Some((at, id)) = open.pop() {
            for entry in self.store.record_tree(id)?.entries {
                let path = format!("{at}/{}", entry.filename);
                if entry.mode.is_tree() { open.push((path, entry.oid)) } else { found.push((path, entry.oid)) }
            }
        }
        found.sort();
        Ok(found)
    }

    /// All records below `dir`, typed, with those that cannot be read beside them.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn all<T: DeserializeOwned>(&self, dir: &str) -> Result<(Vec<T>, Vec<Damaged>)> {
        self.each(dir, record::read)
    }

    /// Gives `take` what `read` makes of each of the records at `paths`, by its place there, in no order; they are read on
    /// several threads.
    ///
    /// # Errors
    /// Corrupt, when the objects cannot be opened. A record that cannot be read is for `read` to judge.
    pub fn each_record<T: Send>(
        &self,
        paths: &[(String, ObjectId)],
        read: impl Fn(&(String, ObjectId), Result<&[u8]>) -> T + Sync,
        take: impl FnMut(usize, T),
    ) -> Result<()> {
        index::each(self.store.records()?, paths, read, take)
    }

    fn each<T>(&self, dir: &str, read: impl Fn(&str, &[u8]) -> Result<T>) -> Result<(Vec<T>, Vec<Damaged>)> {
        let (mut good, mut damaged) = (Vec::new(), Vec::new());
        for (path, id) in self.paths(dir)? {
            match self.store.record(id).and_then(|bytes| read(&path, &bytes)) {
                Ok(value) => good.push(value),
                Err(error) => damaged.push(Damaged { path, fault: error.line() }),
            }
        }
        Ok((good, damaged))
    }
}

/// The bead `id` whose record is `blob`, as an index names it.
///
/// # Errors
/// Corrupt, when it cannot be read.
pub fn bead_with(store: &Store, id: &str, blob: ObjectId) -> Result<Bead> {
    record::read(id, &store.record(blob)?)
}

/// The bead whose record at `path` has these bytes.
///
/// # Errors
/// Corrupt, when they are no bead, or another one than the path says: then two would answer to one id.
pub(in crate::ledger) fn bead_at(path: &str, bytes: &[u8]) -> Result<Bead> {
    let bead: Bead = record::read(path, bytes)?;
    if tree::bead(&bead.id) == path {
        return Ok(bead);
    }
    Err(Error::corrupt(format!("the record {path} says that it is {}", bead.id)))
}

/// The tombstone whose record at `path` has these bytes.
///
/// # Errors
/// Corrupt, when they are none, or that of another bead.
fn tombstone_at(path: &str, bytes: &[u8]) -> Result<Tombstone> {
    let stone: Tombstone = record::read(path, bytes)?;
    if tree::tombstone(&stone.id) == path {
        return Ok(stone);
    }
    Err(Error::corrupt(format!("the tombstone {path} says that it is that of {}", stone.id)))
}

/// The letter whose record at `path` has these bytes.
///
/// # Errors
/// Corrupt, when they are no letter, or one that belongs elsewhere.
pub(in crate::ledger) fn letter_at(path: &str, bytes: &[u8]) -> Result<Letter> {
    let letter: Letter = record::read(path, bytes)?;
    let own = tree::letter(&letter.to, letter.sent_at, &letter.id);
    if own == path {
        return Ok(letter);
    }
    Err(Error::corrupt(format!("the letter at {path} belongs to {own}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::batch::Batch;

    #[test]
    fn a_record_that_inflates_beyond_the_limit_is_refused_by_its_header_and_the_rest_is_read() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("r");
        crate::git::init::init_bare(&dir, "main").unwrap();
        let mut store = Store::open(&dir).unwrap();
        for is_packed in [false, true] {
            let mut batch = Batch::default();
            let bomb = batch.add(gix::objs::Kind::Blob, vec![b' '; 17 << 20]);
            let good = batch.add(gix::objs::Kind::Blob, b"{\"v\": 1}\n".to_vec());
            for n in 0..if is_packed { crate::store::objects::PACKED_FROM } else { 0 } {
                batch.add(gix::objs::Kind::Blob, n.to_string().into_bytes());
            }
            let edits = [("groups/bomb.json", Some(bomb)), ("groups/good.json", Some(good))];
            let root = ObjectId::empty_tree(gix::hash::Kind::Sha1);
            let tree = crate::ledger::commit::edit_tree(&store, root, &edits, &mut batch).unwrap();
            store.write(&batch).unwrap();
            let commit = format!("tree {tree}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n").into_bytes();
            let mut last = Batch::default();
            let tip = last.add(gix::objs::Kind::Commit, commit);
            store.write(&last).unwrap();
            let state = State::at(&store, Some(tip)).unwrap();
            let error = state.object("groups/bomb.json").unwrap_err();
            assert!(error.kind == Kind::Refused && error.line().contains("16777216"), "{}", error.line());
            let (records, damaged) = state.all::<serde_json::Value>("groups").unwrap();
            assert_eq!((records.len(), damaged.len()), (1, 1));
            std::fs::remove_dir_all(&dir).unwrap();
            crate::git::init::init_bare(&dir, "main").unwrap();
            store = Store::open(&dir).unwrap();
        }
    }
}
