//! Transactions: one closure, one commit, one ref moved; or nothing.
//!
//! The kernel lock only spares retries; the expected old value is what keeps us right, also against a fetch
//! or push that knows no lock: then the closure runs again on the new state, and its own checks refuse what
//! has lost the race.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gix::ObjectId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::ledger::commit::{commit_of, edit_tree, message};
use crate::ledger::index::Catalog;
use crate::ledger::{Ledger, State, tree};
use crate::model::address::Address;
use crate::model::bead::Bead;
use crate::model::brief::Facts as _;
use crate::model::dependency::parent_of;
use crate::model::mail::Letter;
use crate::model::record::{self, Class, Object, Rev};
use crate::model::tombstone::Tombstone;
use crate::name::{BeadId, Ids, Prefix, Slot};
use crate::store::batch::Batch;
use crate::store::lock::KernelLock;
use crate::store::refs::Swap;
use crate::time::Moment;

/// Who acts: the name and e-mail that commits carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The address, e.g. `widgets/polecats/toast`.
    pub name: String,
    /// The owner's e-mail.
    pub email: String,
    /// The model that runs the agent, when known.
    pub model: Option<String>,
}

/// What a transaction is for; becomes the commit's author, subject and trailers.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// The verb.
    pub op: &'a str,
    /// One line: the verb and what it was done to.
    pub subject: String,
    /// When.
    pub now: Moment,
}

/// How often a transaction is tried again after losing the ref to a writer without our lock.
const TRIES_MAX: u32 = 20;
/// The largest record that is written, in bytes.
pub const RECORD_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What becomes of a record.
enum Edit {
    /// It goes.
    Gone,
    /// It is new: as it will be stored, since most of a large change is that and need not be held in parts.
    Fresh(Vec<u8>),
    /// It was there, here or in the archive.
    Changed(Object),
}

/// A change being made: the state it starts from and the edits so far.
pub struct Change<'s> {
    state: State<'s>,
    rev: Rev,
    now: Moment,
    ids: Ids,
    edits: BTreeMap<String, Edit>,
    // Beads written or removed, each with its parent, and the same the other way round.
    beads: BTreeMap<BeadId, Option<BeadId>>,
    kin: BTreeMap<BeadId, BTreeSet<BeadId>>,
    catalog: OnceCell<Catalog>,
}

impl Ledger {
    /// Runs `closure` on the current state and makes its edits the next state, durably, before answering.
    ///
    /// A closure that edits nothing writes nothing. It may run more than once and must only touch the change.
    ///
    /// # Errors
    /// The closure's own; conflict, when the ref kept moving; io or corrupt, when nothing was written.
    pub fn transact<T>(&self, deed: &Deed<'_>, mut closure: impl FnMut(&mut Change<'_>) -> Result<T>) -> Result<T> {
        let _turn = KernelLock::take(&self.lock_path())?;
        self.check_boot()?;
        for attempt in 0..TRIES_MAX {
            let tip = self.tip()?;
            let mut change = self.change(tip, deed.now)?;
            let value = closure(&mut change)?;
            let mut batch = Batch::default();
            let Some(commit) = change.commit(self, deed, &mut batch)? else { return Ok(value) };
            let files = self.store.write_files(&batch)?;
            crate::env::crash_point("ledger.objects");
            let swap = self.store.swap_ref(tree::LEDGER, tip, commit)?;
            tracing::debug!(op = deed.op, subject = deed.subject, %commit, attempt, ?swap, "transaction");
            match swap {
                Swap::Moved => return self.store.outlive_collection(&batch, &files).map(|()| value),
                Swap::Lost(_) => std::thread::sleep(Duration::from_millis(fastrand::u64(..=u64::from(attempt) * 4))),
            }
        }
        Err(Error::conflict("the ledger kept moving under this change").hint("try again"))
    }

    /// Runs `closure` as [`Ledger::transact`] would, and writes nothing: whoever changes several scopes finds out
    /// here what would be refused before the first of them is written.
    ///
    /// # Errors
    /// The closure's own; corrupt, when the state cannot be read.
    pub fn rehearse<T>(&self, now: Moment, closure: impl FnOnce(&mut Change<'_>) -> Result<T>) -> Result<T> {
        closure(&mut self.change(self.tip()?, now)?)
    }

    fn change(&self, tip: Option<ObjectId>, now: Moment) -> Result<Change<'_>> {
        let state = State::at(&self.store, tip)?;
        let rev = Rev { number: state.rev_number() + 1, machine: self.machine().to_owned() };
        let ids = Ids::from_env(rev.number);
        let (edits, beads, kin, catalog) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), OnceCell::new());
        Ok(Change { state, rev, now, ids, edits, beads, kin, catalog })
    }
}

impl<'s> Change<'s> {
    /// The state that the change starts from; edits made so far do not show in it.
    #[must_use]
    pub fn before(&self) -> &State<'s> {
        &self.state
    }

    /// The clock of this transaction.
    #[must_use]
    pub fn rev(&self) -> &Rev {
        &self.rev
    }

    /// The moment that the command began.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// The record at `path` with edits made so far.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        match self.edits.get(path) {
            Some(Edit::Gone) => Ok(None),
            Some(Edit::Fresh(bytes)) => record::view(path, &record::decode(path, bytes)?).map(Some),
            Some(Edit::Changed(object)) => record::view(path, object).map(Some),
            None => self.state.get(path),
        }
    }

    /// Writes `value` at `path`. Stored fields that the type does not know must be in its `extra`.
    ///
    /// # Errors
    /// Refused, when the record there is of a newer version or the new one too large.
    pub fn put<T: Serialize>(&mut self, path: &str, value: &T) -> Result<()> {
        self.put_object(path, record::object_of(value))
    }

    /// Writes a record as it is.
    ///
    /// # Errors
    /// As [`Change::put`].
    pub fn put_object(&mut self, path: &str, object: Object) -> Result<()> {
        let old = self.state.object(path)?;
        if let Some(old) = &old {
            record::check_writable(path, old)?;
        }
        let class = Class::of(path);
        let is_archived = || Ok::<_, Error>(class == Class::Bead && self.state.archived_copy(path)?.is_some());
        if old.is_some() || is_archived()? {
            if record::bytes_below(&object) > RECORD_BYTES_MAX {
                check_size(path, record::encode(&object).len())?;
            }
            self.edits.insert(path.to_owned(), Edit::Changed(object));
            return Ok(());
        }
        let mut bytes = record::encode(&record::stamp(class, None, object, &self.rev));
        check_size(path, bytes.len())?;
        bytes.shrink_to_fit();
        self.edits.insert(path.to_owned(), Edit::Fresh(bytes));
        Ok(())
    }

    /// Removes the record at `path`; nothing happens when there is none.
    pub fn remove(&mut self, path: &str) {
        self.edits.insert(path.to_owned(), Edit::Gone);
    }

    /// Whether there is a record at `path`, edits made so far included.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn has(&self, path: &str) -> Result<bool> {
        match self.edits.get(path) {
            Some(edit) => Ok(!matches!(edit, Edit::Gone)),
            None => Ok(self.state.blob_id(path)?.is_some()),
        }
    }

    /// The bead `id` with edits made so far.
    ///
    /// # Errors
    /// Not found, when there is none; refused, when it is archived.
    pub fn bead(&self, id: &BeadId) -> Result<Bead> {
        if let Some(bead) = self.get(&tree::bead(id))? {
            return Ok(bead);
        }
        match self.archived_bead(id)? {
            None => Err(match self.tombstone(id)? {
                Some(stone) => stone.absence(),
                None => Error::not_found(format!("there is no bead {id}")).hint("gt list shows what there is"),
            }),
            Some(_) => Err(Error::refused(format!("{id} is closed and archived, and stays as it is"))
                .hint(format!("to go on with it: gt bead reopen {id}"))),
        }
    }

    /// The bead `id`, if it is in the archive and neither in the ledger nor among the edits made so far.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn archived_bead(&self, id: &BeadId) -> Result<Option<Bead>> {
        match self.edits.get(&tree::bead(id)) {
            Some(Edit::Fresh(_) | Edit::Changed(_)) => Ok(None),
            _ => self.state.archived_bead(id),
        }
    }

    /// Whether there is a bead `id`, edits made so far and the archive included.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn has_bead(&self, id: &BeadId) -> Result<bool> {
        Ok(matches!(self.edits.get(&tree::bead(id)), Some(Edit::Fresh(_) | Edit::Changed(_))) || self.state.has_bead(id)?)
    }

    /// What stands for the bead `id`, if it was deleted or moved; edits made so far included.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn tombstone(&self, id: &BeadId) -> Result<Option<Tombstone>> {
        self.get(&tree::tombstone(id))
    }

    /// Whether no new bead may have the id: one has it, also in the archive, or had it and was deleted or moved.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn is_taken(&self, id: &BeadId) -> Result<bool> {
        Ok(self.has_bead(id)? || self.has(&tree::tombstone(id))?)
    }

    /// Writes a tombstone and names its bead in the commit. The bead itself is taken out by [`Change::remove_bead`].
    ///
    /// # Errors
    /// As [`Change::put`].
    pub fn put_tombstone(&mut self, stone: &Tombstone) -> Result<()> {
        self.note(&stone.id, None);
        self.put(&tree::tombstone(&stone.id), stone)
    }

    /// Writes a bead and names it in the commit. If it was deleted, it is so no more.
    ///
    /// # Errors
    /// As [`Change::put`].
    pub fn put_bead(&mut self, bead: &Bead) -> Result<()> {
        self.note(&bead.id, parent_of(bead));
        let stone = tree::tombstone(&bead.id);
        if self.has(&stone)? {
            self.remove(&stone);
        }
        self.put(&tree::bead(&bead.id), bead)
    }

    /// Takes a bead out of the ledger and names it in the commit.
    pub fn remove_bead(&mut self, id: &BeadId) {
        self.note(id, None);
        self.remove(&tree::bead(id));
    }

    fn note(&mut self, id: &BeadId, parent: Option<&BeadId>) {
        if let Some(old) = self.beads.insert(id.clone(), parent.cloned()).flatten() {
            self.kin.entry(old).or_default().remove(id);
        }
        if let Some(parent) = parent {
            self.kin.entry(parent.clone()).or_default().insert(id.clone());
        }
    }

    /// The beads written or removed so far.
    pub fn touched(&self) -> impl Iterator<Item = &BeadId> {
        self.beads.keys()
    }

    /// Whether `id` was written or removed so far.
    #[must_use]
    pub fn has_touched(&self, id: &BeadId) -> bool {
        self.beads.contains_key(id)
    }

    /// The beads of the state that the change starts from, in brief; looked up once.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn catalog(&self) -> Result<&Catalog> {
        if self.catalog.get().is_none() {
            let _ = self.catalog.set(self.state.catalog()?);
        }
        self.catalog.get().ok_or_else(|| Error::bug("a catalog was made and is not there"))
    }

    /// The children of `parent` with edits made so far; archived ones are left out.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn children(&self, parent: &BeadId) -> Result<Vec<BeadId>> {
        let before = self.catalog()?.children(parent).into_iter().filter_map(|row| row.id().parse().ok());
        let mut ids: Vec<BeadId> = before.filter(|id| !self.beads.contains_key(id)).collect();
        ids.extend(self.kin.get(parent).into_iter().flatten().cloned());
        ids.sort();
        Ok(ids)
    }

    /// Puts a letter into its recipient's mailbox in this scope.
    ///
    /// # Errors
    /// As [`Change::put`].
    pub fn put_letter(&mut self, letter: &Letter) -> Result<()> {
        self.put(&tree::letter(&letter.to, letter.sent_at, &letter.id), letter)
    }

    /// This machine's slot here.
    ///
    /// # Errors
    /// Refused, when the machine has no record in this scope.
    pub fn slot(&self) -> Result<Slot> {
        let path = tree::machine(&self.rev.machine);
        let machine: Option<crate::model::scope::Machine> = self.get(&path)?;
        machine.map(|machine| machine.slot).ok_or_else(|| {
            Error::refused(format!("machine {} has no slot in this ledger", self.rev.machine)).hint("gt sync takes one")
        })
    }

    /// A fresh id `<prefix>-<infix><random><slot>`, drawn again while a bead has it, be it archived, or had
    /// it and was deleted.
    ///
    /// # Errors
    /// Conflict, when no free id was found, which takes a full id space.
    pub fn mint(&mut self, prefix: &Prefix, infix: &str) -> Result<BeadId> {
        let slot = self.slot()?;
        for len in 4..=10 {
            for _ in 0..8 {
                let id = self.ids.mint(prefix, infix, len, slot);
                if !self.is_taken(&id)? {
                    return Ok(id);
                }
            }
        }
        Err(Error::conflict("no free id was found").hint("try again"))
    }

    /// A fresh letter id `<prefix>-ml-<random><slot>`, drawn again while a letter of this moment in the mailbox of
    /// `to` has it.
    ///
    /// # Errors
    /// Conflict, when no free id was found, which takes a full id space.
    pub fn mint_letter(&mut self, prefix: &Prefix, to: &Address) -> Result<BeadId> {
        let slot = self.slot()?;
        for len in 6..=10 {
            let id = self.ids.mint(prefix, "ml-", len, slot);
            if !self.has(&tree::letter(to, self.now, &id))? {
                return Ok(id);
            }
        }
        Err(Error::conflict("no free letter id was found").hint("try again"))
    }

    /// Turns the edits into objects; `None` when they change nothing.
    fn commit(mut self, ledger: &Ledger, deed: &Deed<'_>, batch: &mut Batch) -> Result<Option<ObjectId>> {
        let mut blobs = Vec::new();
        for (path, edit) in std::mem::take(&mut self.edits) {
            let mut new = match edit {
                Edit::Changed(object) => object,
                Edit::Fresh(bytes) => {
                    blobs.push((path, Some(batch.add(gix::objs::Kind::Blob, bytes))));
                    continue;
                }
                Edit::Gone => {
                    if self.state.object(&path)?.is_some() {
                        blobs.push((path, None));
                    }
                    continue;
                }
            };
            let old = self.state.object(&path)?;
            let class = Class::of(&path);
            let archived = if old.is_none() && class == Class::Bead { self.state.archived_copy(&path)? } else { None };
            // What comes back from the archive keeps the clocks of what did not change meanwhile.
            let known = match archived {
                Some((copy, object)) => {
                    new.insert(record::ARCHIVE_COPY.into(), copy.to_string().into());
                    Some(object)
                }
                None => old.clone(),
            };
            let stamped = record::stamp(class, known.as_ref(), new, &self.rev);
            if old.as_ref() != Some(&stamped) {
                blobs.push((path, Some(batch.add(gix::objs::Kind::Blob, record::encode(&stamped)))));
            }
        }
        if blobs.is_empty() {
            return Ok(None);
        }
        let blobs: Vec<(&str, Option<ObjectId>)> = blobs.iter().map(|(path, blob)| (path.as_str(), *blob)).collect();
        self.state.forget_trees();
        let root = edit_tree(&ledger.store, self.state.tree(), &blobs, batch)?;
        let message = message(deed, self.beads.keys(), &self.rev);
        Ok(Some(batch.add_value(&commit_of(deed, root, self.state.commit(), message))))
    }
}

fn check_size(path: &str, size: usize) -> Result<()> {
    if size <= RECORD_BYTES_MAX {
        return Ok(());
    }
    Err(Error::refused(format!("{path} would be {size} bytes; a record may have {RECORD_BYTES_MAX}"))
        .hint("keep long material in files of the repository"))
}
