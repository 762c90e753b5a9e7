//! Merges two ledgers into a commit that is the same on every machine.
//!
//! The commit is a pure function of the two commits: parents by id, the later parent's time, a fixed author.
//! So two machines that merge the same pair agree without another round. Which records differ is found here;
//! what becomes of them is decided by `model::merge`.
//!
//! Two archives merge in the same way, but that nothing leaves an archive: what one side has, the merge has.

mod ancestry;
mod tell;

use std::collections::{BTreeMap, BTreeSet};

use ancestry::Ancestry;
use gix::ObjectId;
use gix::objs::Kind as ObjectKind;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::history::{self, Link};
use crate::ledger::{State, commit, diff, tree};
use crate::model::merge::{self as rules, Conflict, MERGE_MACHINE, MERGE_VERSION, Touched, Versions};
use crate::model::record::{self, Class, Object, Rev};
use crate::model::scope::Scope;
use crate::name::BeadId;
use crate::store::Store;
use crate::store::batch::Batch;
use crate::time::Moment;

/// A merge that was made but not yet stored.
pub struct Merge {
    /// The commit.
    pub commit: ObjectId,
    /// Its objects, to be written before a ref names it.
    pub batch: Batch,
    /// Choices that had to yield.
    pub conflicts: Vec<Conflict>,
}

/// Whether histories that were begun apart may be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Only on request: records of one name unify.
    Apart,
    /// The usual: a common ancestor is required.
    Related,
}

/// Which chain two commits belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// The ledger: what a side removed is gone, and the invariants between records are restored.
    Ledger,
    /// The archive: the union of both sides.
    Archive,
}

/// How many levels of common ancestors of common ancestors are merged; below that the first one counts.
const BASE_DEPTH_MAX: usize = 24;

/// Merges the ledger commits `ours` and `theirs`; swapping them gives the same commit.
///
/// # Errors
/// Refused, when they have no common ancestor and `join` does not allow that, when they are not of one scope,
/// or when one was merged by rules that this version does not know; corrupt, when one cannot be read.
pub fn merge(store: &Store, ours: ObjectId, theirs: ObjectId, join: Join) -> Result<Merge> {
    merge_chain(store, ours, theirs, join, Chain::Ledger)
}

/// Merges the archive commits `ours` and `theirs`, which two machines may have begun apart; swapping them gives the
/// same commit.
///
/// # Errors
/// As [`merge`].
pub fn merge_archives(store: &Store, ours: ObjectId, theirs: ObjectId) -> Result<Merge> {
    merge_chain(store, ours, theirs, Join::Apart, Chain::Archive)
}

fn merge_chain(store: &Store, ours: ObjectId, theirs: ObjectId, join: Join, chain: Chain) -> Result<Merge> {
    let bases = history::compare(store, &[ours], &[theirs])?.bases;
    check_scopes(store, ours, theirs, join == Join::Apart || !bases.is_empty())?;
    let sides = (history::link(store, ours)?, history::link(store, theirs)?);
    let merge_rev = rev_above(sides.0.number, sides.1.number);
    let mut ancestry = Ancestry::new(store, chain);
    let base = ancestry.merged(&bases, 0)?;
    let trees = Trees { base: base.tree, ours: sides.0.tree, theirs: sides.1.tree };
    let mut work = Merger::new(store, chain, ancestry.scratch(), &merge_rev);
    work.collect(trees)?;
    if chain == Chain::Ledger {
        work.repair(&State::at(store, Some(ours))?)?;
    }
    let state = State::at(store, Some(ours))?;
    let (conflicts, new) = work.report(&state)?;
    if chain == Chain::Ledger {
        work.tell(&new, &state, Moment::from_millis(sides.0.time.max(sides.1.time).max(0) * 1_000))?;
    }
    let (edits, mut batch) = work.finish()?;
    let tree = edit_tree(store, trees.ours, &edits, &mut batch)?;
    let commit = batch.add_value(&commit_of((ours, &sides.0), (theirs, &sides.1), tree, &merge_rev));
    Ok(Merge { commit, batch, conflicts })
}

pub(super) fn rev_above(a: u64, b: u64) -> Rev {
    Rev { number: a.max(b) + 1, machine: MERGE_MACHINE.to_owned() }
}

/// The tree that `ours` and `theirs` amount to since `base`, with what is new in it, and neither repairs nor reports.
pub(super) fn merge_trees(store: &Store, [base, ours, theirs]: [ObjectId; 3], rev: &Rev) -> Result<(ObjectId, Batch)> {
    let scratch = Batch::default();
    let mut work = Merger::new(store, Chain::Ledger, &scratch, rev);
    work.collect(Trees { base, ours, theirs })?;
    let (edits, mut batch) = work.finish()?;
    let tree = edit_tree(store, ours, &edits, &mut batch)?;
    Ok((tree, batch))
}

/// The author of what machines write of themselves; `seconds` since 1970.
pub(super) fn nobody(seconds: i64) -> gix::actor::Signature {
    let time = gix::date::Time { seconds: seconds.max(0), offset: 0 };
    gix::actor::Signature { name: "gt".into(), email: "gt@localhost".into(), time }
}

fn commit_of(ours: (ObjectId, &Link), theirs: (ObjectId, &Link), tree: ObjectId, rev: &Rev) -> gix::objs::Commit {
    let (first, second) = (ours.0.min(theirs.0), ours.0.max(theirs.0));
    let who = nobody(ours.1.time.max(theirs.1.time));
    let short = |id: ObjectId| id.to_string()[..12].to_owned();
    let message = format!(
        "merge {} and {}\n\nGt-Op: merge\nGt-Agent: gt\nGt-Machine: {MERGE_MACHINE}\nGt-Rev: {}\n",
        short(first),
        short(second),
        rev.number
    );
    gix::objs::Commit {
        tree,
        parents: [first, second].into_iter().collect(),
        author: who.clone(),
        committer: who,
        encoding: None,
        message: message.into(),
        extra_headers: Vec::new(),
    }
}

/// Refuses two ledgers that are not of one scope, or are merged by rules of a newer version.
pub(super) fn check_scopes(store: &Store, ours: ObjectId, theirs: ObjectId, may_merge: bool) -> Result<()> {
    let (a, b): (Scope, Scope) = (State::at(store, Some(ours))?.scope()?, State::at(store, Some(theirs))?.scope()?);
    for scope in [&a, &b] {
        if scope.merge_v > MERGE_VERSION {
            return Err(Error::refused(format!(
                "the ledger of {} is merged by rules of version {}, this gt knows {MERGE_VERSION}",
                scope.name, scope.merge_v
            ))
            .hint("upgrade gt on this machine"));
        }
    }
    if a.kind == b.kind && a.prefix == b.prefix && may_merge {
        return Ok(());
    }
    let title = |scope: &Scope| format!("{:?} {} with prefix {}", scope.kind, scope.name, scope.prefix).to_lowercase();
    Err(Error::refused(format!("the ledgers here and there were begun apart: {} and {}", title(&a), title(&b)))
        .hint("check the URL; a machine joins a town that is there with gt install PATH --from URL"))
}

#[derive(Clone, Copy)]
struct Trees {
    base: ObjectId,
    ours: ObjectId,
    theirs: ObjectId,
}

/// What stands at a path after the merge.
#[derive(Clone)]
enum Outcome {
    Blob(Option<ObjectId>),
    Record(Object),
    Text(String),
}

struct Merger<'a> {
    store: &'a Store,
    chain: Chain,
    scratch: &'a Batch,
    rev: &'a Rev,
    /// Every path that either side changed, and what stands there now.
    outcomes: BTreeMap<String, Outcome>,
    /// What stands in ours at these paths.
    ours: BTreeMap<String, Option<ObjectId>>,
    touched: BTreeMap<String, Touched>,
    conflicts: Vec<Conflict>,
}

impl<'a> Merger<'a> {
    fn new(store: &'a Store, chain: Chain, scratch: &'a Batch, rev: &'a Rev) -> Self {
        let (outcomes, ours, touched) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { store, chain, scratch, rev, outcomes, ours, touched, conflicts: Vec::new() }
    }

    /// Merges every record that differs.
    fn collect(&mut self, trees: Trees) -> Result<()> {
        let find = self.scratch.over(self.store);
        let ours = diff::changes(&find, trees.base, trees.ours)?;
        let theirs = diff::changes(&find, trees.base, trees.theirs)?;
        let paths: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        for path in paths {
            let (a, b) = (ours.get(path), theirs.get(path));
            let base = a.or(b).and_then(|pair| pair.0);
            let side = |pair: Option<&diff::Pair>| pair.map_or(base, |pair| pair.1);
            self.ours.insert(path.clone(), side(a));
            self.merge_path(path, [base, side(a), side(b)])?;
        }
        self.check_places()
    }

    fn merge_path(&mut self, path: &str, [base, ours, theirs]: [Option<ObjectId>; 3]) -> Result<()> {
        let is_archive = self.chain == Chain::Archive;
        let taken = match (ours == theirs || theirs == base, ours == base) {
            _ if is_archive && (ours.is_none() || theirs.is_none()) => Some(ours.or(theirs)),
            (true, _) => Some(ours),
            (false, true) => Some(theirs),
            (false, false) => None,
        };
        let needs_look = !is_archive && matches!(Class::of(path), Class::Bead | Class::Hook | Class::Tombstone);
        if let Some(taken) = taken.filter(|_| !needs_look) {
            self.outcomes.insert(path.to_owned(), Outcome::Blob(taken));
            return Ok(());
        }
        let versions =
            Versions { base: self.record(path, base)?, ours: self.record(path, ours)?, theirs: self.record(path, theirs)? };
        if let Some(taken) = taken {
            let merged = if taken == ours { versions.ours.clone() } else { versions.theirs.clone() };
            self.touched.insert(path.to_owned(), Touched { versions, merged });
            self.outcomes.insert(path.to_owned(), Outcome::Blob(taken));
            return Ok(());
        }
        // A side that is there but cannot be read yields to one that can, and texts that are no records merge by lines.
        let is_unread = |id: Option<ObjectId>, object: &Option<Object>| id.is_some() && object.is_none();
        match (is_unread(ours, &versions.ours), is_unread(theirs, &versions.theirs)) {
            (false, false) => self.merge_records(path, versions, ours, theirs),
            (true, false) if versions.theirs.is_some() => self.keep_blob(path, theirs),
            (false, true) if versions.ours.is_some() => self.keep_blob(path, ours),
            _ => self.merge_blobs(path, base, ours, theirs)?,
        }
        Ok(())
    }

    fn keep_blob(&mut self, path: &str, id: Option<ObjectId>) {
        self.outcomes.insert(path.to_owned(), Outcome::Blob(id));
    }

    fn merge_records(&mut self, path: &str, versions: Versions, ours: Option<ObjectId>, theirs: Option<ObjectId>) {
        let merged = rules::merge_record(path, &versions, self.rev);
        self.conflicts.extend(merged.conflicts);
        let outcome = match &merged.object {
            None => Outcome::Blob(None),
            // Taken as it is, so that not even its formatting changes.
            same if *same == versions.ours && *same == versions.theirs => Outcome::Blob(ours.max(theirs)),
            same if *same == versions.ours => Outcome::Blob(ours),
            same if *same == versions.theirs => Outcome::Blob(theirs),
            Some(object) => Outcome::Record(object.clone()),
        };
        self.outcomes.insert(path.to_owned(), outcome);
        if let Some(second) = merged.second {
            self.place_second(path, second);
        }
        self.touched.insert(path.to_owned(), Touched { versions, merged: merged.object });
    }

    /// Gives a bead that lost its id to another one an id of its own, named by its content.
    fn place_second(&mut self, path: &str, mut bead: Object) {
        let id = bead.get("id").and_then(|id| id.as_str()).unwrap_or_default();
        let hash = rules::content_hash(&record::encode(&bead));
        let Ok(new) = format!("{id}-{}", &hash[..8]).parse::<BeadId>() else {
            // Not even its id can be read: it stays in the report of the merge.
            tracing::warn!("{path} has no lawful id");
            return;
        };
        bead.insert("id".into(), new.as_str().into());
        for edge in bead.get_mut("dependencies").and_then(|list| list.as_array_mut()).into_iter().flatten() {
            if let Some(edge) = edge.as_object_mut() {
                edge.insert("issue_id".into(), new.as_str().into());
            }
        }
        let path = tree::bead(&new);
        self.ours.entry(path.clone()).or_insert(None);
        self.outcomes.insert(path, Outcome::Record(bead));
    }

    /// Merges what are no records: by lines when all are texts, else the greater id.
    fn merge_blobs(&mut self, path: &str, base: Option<ObjectId>, a: Option<ObjectId>, b: Option<ObjectId>) -> Result<()> {
        let (Some(ours), Some(theirs)) = (a, b) else {
            // An edit outlives a removal.
            self.keep_blob(path, a.or(b));
            return Ok(());
        };
        let text = |id| self.bytes(id).map(|bytes| String::from_utf8(bytes).ok());
        let base = base.map_or(Ok(Some(String::new())), text)?;
        let (strong, weak) = if ours > theirs { (ours, theirs) } else { (theirs, ours) };
        let is_text = std::path::Path::new(path).extension().is_none_or(|extension| extension != "json");
        let (Some(base), Some(strong_text), Some(weak_text), true) = (base, text(strong)?, text(weak)?, is_text) else {
            self.keep_blob(path, Some(strong));
            return Ok(());
        };
        let merged = rules::merge_texts(&base, &strong_text, &weak_text, false);
        if merged.is_overlapping {
            let choice = |text: &str| (text.into(), Rev::default());
            self.conflicts.push(Conflict::new(path, "text", "overlap", choice(&strong_text), choice(&weak_text)));
        }
        self.outcomes.insert(path.to_owned(), Outcome::Text(merged.text));
        Ok(())
    }

    /// No path may be both a record and a directory.
    fn check_places(&self) -> Result<()> {
        let live = |outcome: &Outcome| !matches!(outcome, Outcome::Blob(None));
        let places: Vec<&String> = self.outcomes.iter().filter(|(_, outcome)| live(outcome)).map(|(path, _)| path).collect();
        let known: BTreeSet<&str> = places.iter().map(|path| path.as_str()).collect();
        for path in places {
            let mut above = path.match_indices('/').map(|(at, _)| &path[..at]);
            if let Some(record) = above.find(|dir| known.contains(dir)) {
                return Err(Error::corrupt(format!("{record} is a record on one side and a directory on the other")));
            }
        }
        Ok(())
    }

    fn bytes(&self, id: ObjectId) -> Result<Vec<u8>> {
        match self.scratch.blob(id) {
            Some(bytes) => Ok(bytes.to_vec()),
            None => self.store.record(id),
        }
    }

    /// The record in blob `id`; `None` also when it cannot be read, which damages that record alone.
    fn record(&self, path: &str, id: Option<ObjectId>) -> Result<Option<Object>> {
        let Some(id) = id else { return Ok(None) };
        Ok(record::decode(path, &self.bytes(id)?).ok())
    }

    /// Restores the invariants; `ours` answers for what neither side changed.
    fn repair(&mut self, ours: &State<'_>) -> Result<()> {
        let paths = rules::Paths { bead: tree::bead, hook: tree::hook, tombstone: tree::tombstone };
        let mut read = |path: &str| match ours.object(path) {
            Err(error) if error.kind == Kind::Corrupt => Ok(None),
            other => other,
        };
        let repaired = rules::repair(&self.touched, paths, self.rev, &mut read)?;
        for (path, edit) in repaired.edits {
            if !self.ours.contains_key(&path) {
                let standing = ours.blob_id(&path)?;
                self.ours.insert(path.clone(), standing);
            }
            self.outcomes.insert(path, edit.map_or(Outcome::Blob(None), Outcome::Record));
        }
        self.conflicts.extend(repaired.conflicts);
        Ok(())
    }

    /// Adds the reports on choices that had to yield; answers all of them, and those that were not there already.
    fn report(&mut self, ours: &State<'_>) -> Result<(Vec<Conflict>, Vec<Conflict>)> {
        let (mut conflicts, mut new) = (std::mem::take(&mut self.conflicts), Vec::new());
        for conflict in &mut conflicts {
            conflict.rev = self.rev.clone();
            if self.write_new(tree::conflict(&conflict.hash()), record::object_of(conflict), ours)? {
                new.push(conflict.clone());
            }
        }
        Ok((conflicts, new))
    }

    /// What differs from ours, removals first, and the new blobs.
    fn finish(self) -> Result<(Vec<Edit>, Batch)> {
        let mut batch = Batch::default();
        let mut edits = Vec::new();
        for (path, outcome) in self.outcomes {
            let id = match outcome {
                Outcome::Blob(id) => id,
                Outcome::Text(text) => Some(batch.add(ObjectKind::Blob, text.into_bytes())),
                Outcome::Record(object) => Some(batch.add(ObjectKind::Blob, record::encode(&object))),
            };
            let standing = self.ours.get(&path).or_fail(Kind::Bug, || format!("merge {path}"))?;
            if id != *standing {
                edits.push((path, id));
            }
        }
        // A directory may take the place of a record that goes.
        edits.sort_by_key(|(_, id)| id.is_some());
        Ok((edits, batch))
    }
}

type Edit = (String, Option<ObjectId>);

fn edit_tree(store: &Store, root: ObjectId, edits: &[Edit], batch: &mut Batch) -> Result<ObjectId> {
    let edits: Vec<_> = edits.iter().map(|(path, id)| (path.as_str(), *id)).collect();
    commit::edit_tree(store, root, &edits, batch)
}
