//! The ledger of a scope: one ref, one commit chain, one JSON blob a record.
//!
//! Reading takes no lock: a [`State`] is the scope at one commit. Writing goes through [`Ledger::transact`].
//! Nothing above this floor knows how a question is answered, so that an index can take over.

pub mod archive;
pub mod boot;
pub mod carry;
pub mod commit;
pub mod diff;
pub mod flatten;
pub mod history;
pub mod index;
pub mod log;
pub mod merge;
pub mod past;
pub mod read;
pub mod sync;
pub mod transact;
pub mod tree;
pub mod watch;

use std::path::{Path, PathBuf};

use gix::ObjectId;

use crate::error::{Error, Result};
use crate::store::Store;

pub use read::{Damaged, State};
pub use transact::{Actor, Change, Deed};

/// A scope's ledger.
#[derive(Clone)]
pub struct Ledger {
    /// The git directory it lives in.
    pub store: Store,
    machine: String,
    is_copy: bool,
}

impl Ledger {
    /// Opens the ledger in git directory `dir` for the machine with id `machine`.
    ///
    /// # Errors
    /// Not found, when there is no git directory; as [`Store::open`] otherwise.
    pub fn open(dir: &Path, machine: &str) -> Result<Self> {
        Ok(Self { store: Store::open(dir)?, machine: machine.to_owned(), is_copy: false })
    }

    /// The same ledger, not to be written or exchanged when `is_copy` says that it lies in a copy of a town: another would
    /// write under the same identity.
    #[must_use]
    pub fn of_copy(self, is_copy: bool) -> Self {
        Self { is_copy, ..self }
    }

    /// Refuses what must not be done in a copy of a town.
    ///
    /// # Errors
    /// Refused, in a copy.
    pub fn check_own(&self) -> Result<()> {
        if !self.is_copy {
            return Ok(());
        }
        Err(Error::refused(
            "this town was copied or brought to another disk or machine, and its identity belongs to one of the two",
        )
        .hint("if both are to go on: gt machine renew; if the other one is gone for good: gt machine renew --moved"))
    }

    /// The id of this machine.
    #[must_use]
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// The state now.
    ///
    /// # Errors
    /// Not found, when nothing was ever written here; corrupt, when the tip cannot be read.
    pub fn state(&self) -> Result<State<'_>> {
        let tip = self.tip()?.ok_or_else(|| Error::not_found(format!("{} holds no ledger", self.store.dir().display())))?;
        State::at(&self.store, Some(tip))
    }

    /// The state as of commit `tip`.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn state_at(&self, tip: ObjectId) -> Result<State<'_>> {
        State::at(&self.store, Some(tip))
    }

    /// The newest commit; `None` when nothing was ever written.
    ///
    /// # Errors
    /// Corrupt, when the ref is damaged.
    pub fn tip(&self) -> Result<Option<ObjectId>> {
        self.store.read_ref(tree::LEDGER)
    }

    /// The file whose kernel lock orders the writers of this scope.
    #[must_use]
    pub fn lock_path(&self) -> PathBuf {
        self.store.private_dir().join("ledger.flock")
    }
}
