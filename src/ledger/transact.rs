//! Transactions: one closure, one commit, one ref moved; or nothing.
//!
//! The kernel lock only spares retries; the expected old value is what keeps us right, also against a fetch
//! or push that knows no lock: then the closure runs again on the new state, and its own checks refuse what
//! has lost the race.

mod beads;

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
use crate::model::mail::Letter;
use crate::model::record::{self, Class, Object, Rev};
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
        self.check_own()?;
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

    /// What is at `path`, and what `new` in its place is stored as: with the clocks of this transaction.
    fn stamped(&self, path: &str, mut new: Object) -> Result<(Option<Object>, Object)> {
        let old = self.state.object(path)?;
        let class = Class::of(path);
        let archived = if old.is_none() && class == Class::Bead { self.state.archived_copy(path)? } else { None };
        // What comes back from the archive keeps the clocks of what did not change meanwhile.
        let known = match archived {
            Some((copy, object)) => {
                new.insert(record::ARCHIVE_COPY.into(), copy.to_string().into());
                Some(object)
            }
            None => old.clone(),
        };
        let stamped = record::stamp(class, known.as_ref(), new, &self.rev);
        Ok((old, stamped))
    }

    /// Turns the edits into objects; `None` when they change nothing.
    fn commit(mut self, ledger: &Ledger, deed: &Deed<'_>, batch: &mut Batch) -> Result<Option<ObjectId>> {
        let mut blobs = Vec::new();
        for (path, edit) in std::mem::take(&mut self.edits) {
            let new = match edit {
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
            let (old, stamped) = self.stamped(&path, new)?;
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
