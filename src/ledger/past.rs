//! The history of one bead: the commits that changed its record, found by walking the trees along its path.
//!
//! A tree that stood in a newer commit is not read again, so that a commit which changed other beads costs little, and
//! the walk ends where the bead was made, which the clock in its record tells.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use gix::ObjectId;

use crate::error::{Kind, OrFail, Result};
use crate::ledger::log::Entry;
use crate::ledger::{Ledger, State, diff, log, tree};
use crate::model::record::{self, Object};
use crate::model::tombstone::Tombstone;
use crate::name::BeadId;
use crate::store::Store;
use crate::time::Moment;

/// What a commit did to a bead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// It was made.
    Created,
    /// It was changed.
    Changed,
    /// Two changes of it were merged into one.
    Merged,
    /// It was deleted.
    Deleted,
    /// It went under another id.
    Moved,
    /// It was deleted and came back.
    Restored,
    /// It left the ledger for the archive.
    Archived,
    /// It came back from the archive.
    Returned,
    /// History was cut off here, and what was before is not kept on this machine.
    Flattened,
}

/// A commit that changed a bead.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// The commit.
    pub entry: Entry,
    /// What it did.
    pub event: Event,
    /// The record before; `None` when there was none, or it cannot be read.
    pub before: Option<Object>,
    /// The record after.
    pub after: Option<Object>,
}

/// A commit on the way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its id.
    pub id: ObjectId,
    /// Its tree.
    pub tree: ObjectId,
    /// Its Lamport number.
    pub number: u64,
    /// When it was written, by the clock of whoever wrote.
    pub at: Moment,
    /// The commits before it.
    pub before: Vec<ObjectId>,
}

impl Ledger {
    /// Visits the commits of the ledger, newest first by Lamport number along both sides of merges, until told to stop.
    ///
    ///
    /// # Errors
    /// Corrupt, when history cannot be read; those of `visit`.
    pub fn walk(&self, mut visit: impl FnMut(&Step, &mut Open) -> Result<ControlFlow<()>>) -> Result<()> {
        let Some(tip) = self.tip()? else { return Ok(()) };
        let kept = self.kept_histories()?;
        let mut open = Open { steps: BTreeMap::new(), seen: HashSet::from([tip]), floor: 0 };
        let first = self.step(tip, &kept)?;
        open.steps.insert((first.number, tip), first);
        while let Some(((number, _), step)) = open.steps.pop_last() {
            if number < open.floor {
                break;
            }
            for parent in &step.before {
                if open.seen.insert(*parent) {
                    let next = self.step(*parent, &kept)?;
                    open.steps.insert((next.number, *parent), next);
                }
            }
            if visit(&step, &mut open)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The records that differ between two trees of this ledger, by path: what was there and what is.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn changed(&self, old: ObjectId, new: ObjectId) -> Result<BTreeMap<String, diff::Pair>> {
        diff::changes(self.store.records()?, old, new)
    }

    /// The entry of commit `id`.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn entry_of(&self, id: ObjectId) -> Result<Entry> {
        Ok(self.entry(id, &HashSet::new())?.0)
    }

    fn step(&self, id: ObjectId, kept: &HashSet<ObjectId>) -> Result<Step> {
        let deed = || format!("read the ledger commit {id}");
        let object = self.store.repo.find_commit(id).or_fail(Kind::Corrupt, deed)?;
        let commit = object.decode().or_fail(Kind::Corrupt, deed)?;
        let secs = commit.author().or_fail(Kind::Corrupt, deed)?.time().map_or(0, |time| time.seconds);
        Ok(Step {
            id,
            tree: commit.tree(),
            number: log::rev_number_of(commit.message),
            at: Moment::from_millis(secs.saturating_mul(1000)),
            before: self.before(id, &commit, kept),
        })
    }

    /// The newest `limit` (0: all) changes of the bead `id` that `keep` keeps, newest first.
    ///
    /// # Errors
    /// Corrupt, when history cannot be read; a version that cannot be read is no error.
    pub fn turns(&self, id: &BeadId, limit: usize, keep: impl Fn(&Entry) -> bool) -> Result<Vec<Turn>> {
        let mut path = Path::new(&self.store, &tree::bead(id))?;
        let mut graves = Path::new(&self.store, &tree::tombstone(id))?;
        let kept = self.kept_histories()?;
        let mut turns = Vec::new();
        let mut is_first = true;
        self.walk(|step, open| {
            let after = path.blob(step.tree)?;
            if std::mem::take(&mut is_first)
                && let Some(floor) = self.floor(id, step, after)?
            {
                open.floor = floor;
            }
            let trees: Vec<ObjectId> = step.before.iter().map(|parent| self.tree_of(open, *parent)).collect::<Result<_>>()?;
            let before = trees.iter().map(|tree| path.blob(*tree)).collect::<Result<Vec<_>>>()?;
            if before.contains(&after) || (before.is_empty() && after.is_none()) {
                return Ok(ControlFlow::Continue(()));
            }
            let mut stone_before = None;
            for tree in &trees {
                stone_before = stone_before.or(graves.blob(*tree)?);
            }
            let stone_after = graves.blob(step.tree)?;
            if let Some(stone) = stone_before.filter(|_| after.is_some()) {
                // What was there before it was deleted is older than what the newest record tells.
                open.floor = self.floor_of_stone(id, stone).unwrap_or(0);
            }
            let entry = self.entry(step.id, &kept)?.0;
            if keep(&entry) {
                let old = before.iter().flatten().next().copied();
                let event = self.event(id, (old, after), (stone_before, stone_after), before.len(), &entry);
                turns.push(Turn { entry, event, before: self.version(id, old), after: self.version(id, after) });
            }
            let is_enough = limit > 0 && turns.len() >= limit;
            Ok(if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(turns)
    }

    fn event(
        &self,
        id: &BeadId,
        (old, new): (Option<ObjectId>, Option<ObjectId>),
        (stone_before, stone_after): (Option<ObjectId>, Option<ObjectId>),
        parents: usize,
        entry: &Entry,
    ) -> Event {
        match (old, new) {
            (None, Some(_)) if stone_before.is_some() => Event::Restored,
            (None, Some(new)) => {
                let has_copy = self.version(id, Some(new)).is_some_and(|object| object.contains_key(record::ARCHIVE_COPY));
                match (has_copy, entry.op.as_str()) {
                    (true, _) => Event::Returned,
                    (false, "flatten") => Event::Flattened,
                    (false, _) => Event::Created,
                }
            }
            (_, None) => match stone_after.and_then(|stone| self.stone(id, stone)) {
                Some(stone) if stone.moved_to.is_some() => Event::Moved,
                Some(_) => Event::Deleted,
                None => Event::Archived,
            },
            (Some(_), Some(_)) if parents > 1 => Event::Merged,
            (Some(_), Some(_)) => Event::Changed,
        }
    }

    /// The tree of a commit that is about to be visited.
    fn tree_of(&self, open: &Open, id: ObjectId) -> Result<ObjectId> {
        let number = |(key, step): (&(u64, ObjectId), &Step)| (key.1 == id).then_some(step.tree);
        match open.steps.iter().find_map(number) {
            Some(tree) => Ok(tree),
            None => Ok(State::at(&self.store, Some(id))?.tree()),
        }
    }

    /// The number below which no commit knew the bead that is at, or was taken from, `step`.
    fn floor(&self, id: &BeadId, step: &Step, blob: Option<ObjectId>) -> Result<Option<u64>> {
        let state = self.state_at(step.id)?;
        if let Some(object) = self.version(id, blob) {
            return Ok(floor_of(&object));
        }
        if let Some(blob) = state.blob_id(&tree::tombstone(id))? {
            return Ok(self.floor_of_stone(id, blob));
        }
        Ok(state.archived_copy(&tree::bead(id))?.and_then(|(_, object)| floor_of(&object)))
    }

    fn floor_of_stone(&self, id: &BeadId, stone: ObjectId) -> Option<u64> {
        let last = self.stone(id, stone)?.last_record?;
        floor_of(&self.version(id, ObjectId::from_hex(last.as_bytes()).ok())?)
    }

    fn stone(&self, id: &BeadId, blob: ObjectId) -> Option<Tombstone> {
        record::read(id.as_str(), &self.store.record(blob).ok()?).ok()
    }

    fn version(&self, id: &BeadId, blob: Option<ObjectId>) -> Option<Object> {
        record::decode(id.as_str(), &self.store.record(blob?).ok()?).ok()
    }
}

/// The clock of what never changes in a bead, which is that of its making.
fn floor_of(object: &Object) -> Option<u64> {
    let rev = record::unit_rev(object, "created_by");
    // A bead that was merged out of two, or came from elsewhere, tells nothing.
    (object.contains_key("created_by") && rev.machine != crate::model::merge::MERGE_MACHINE).then_some(rev.number)
}

/// Commits that are known and not yet visited.
pub struct Open {
    steps: BTreeMap<(u64, ObjectId), Step>,
    seen: HashSet<ObjectId>,
    /// Commits below this number are not visited.
    floor: u64,
}

/// A path, looked up in many trees.
struct Path<'s> {
    store: &'s Store,
    parts: Vec<String>,
    /// By level and tree: what is there.
    known: HashMap<(usize, ObjectId), Option<ObjectId>>,
}

impl<'s> Path<'s> {
    fn new(store: &'s Store, path: &str) -> Result<Self> {
        let parts = tree::components(path)?.into_iter().map(str::to_owned).collect();
        Ok(Self { store, parts, known: HashMap::new() })
    }

    /// The blob at the path in `root`.
    fn blob(&mut self, root: ObjectId) -> Result<Option<ObjectId>> {
        self.below(0, root)
    }

    fn below(&mut self, level: usize, at: ObjectId) -> Result<Option<ObjectId>> {
        if let Some(known) = self.known.get(&(level, at)) {
            return Ok(*known);
        }
        let node = self.store.record_tree(at)?;
        let entry = node.entries.iter().find(|entry| entry.filename == self.parts[level].as_str());
        let is_last = level + 1 == self.parts.len();
        let found = match entry.map(|entry| (entry.mode.is_tree(), entry.oid)) {
            Some((false, blob)) if is_last => Some(blob),
            Some((true, next)) if !is_last => self.below(level + 1, next)?,
            _ => None,
        };
        self.known.insert((level, at), found);
        Ok(found)
    }
}
