//! The checkouts that gates run in: `refinery/gate-1` and so on, each held by one process at a time, each with a build
//! directory beside it that outlives all checkouts.
//!
//! The first is the queue's alone when there are more, so that what is run by hand never keeps the queue waiting. A
//! checkout that cannot be used any more is moved aside and made anew; nobody works in one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use serde::{Deserialize, Serialize};

use crate::config;
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::progress::Progress;
use crate::git::worktree::{self, Head};
use crate::git::{diff, promised, status};
use crate::model::cone::Cone;
use crate::name::base36;
use crate::runtime::{command, space};
use crate::store::Store;
use crate::store::lock::KernelLock;
use crate::store::refs::start_time_of;
use crate::town::{RigPlace, Town};

/// A rig's checkouts for gates, as one process may take them.
pub struct Yard {
    refinery: PathBuf,
    locks: PathBuf,
    store: Store,
    /// The numbers of those that may be taken.
    numbers: std::ops::RangeInclusive<u32>,
    _queue: Option<KernelLock>,
}

impl Yard {
    /// The yard for whoever works the rig's queue, which one process does at a time.
    ///
    /// # Errors
    /// Conflict, when another process works it; corrupt, when configuration cannot be read.
    pub fn take(town: &Town, place: &RigPlace) -> Result<Self> {
        let lock = KernelLock::try_take(&place.ledger.store.private_dir().join("gates.flock"))?
            .ok_or_else(|| Error::conflict(format!("another gt runs gates of {}", place.rig.name)).hint("see: gt mq status"))?;
        Self::with(town, place, Some(lock))
    }

    /// The yard for who runs gates by hand, beside the queue.
    ///
    /// # Errors
    /// Corrupt, when configuration cannot be read.
    pub fn visit(town: &Town, place: &RigPlace) -> Result<Self> {
        Self::with(town, place, None)
    }

    fn with(town: &Town, place: &RigPlace, queue: Option<KernelLock>) -> Result<Self> {
        let count = config::number(town, Some(place), "gates.worktrees")?.and_then(|number| u32::try_from(number).ok());
        let count = count.unwrap_or(1).max(1);
        let first = if queue.is_some() || count == 1 { 1 } else { 2 };
        // By its real name: what a killed process left behind is found by it, whichever way the town was reached.
        let rig = place.dir.canonicalize().or_fail(Kind::Io, || format!("find {}", place.dir.display()))?;
        Ok(Self {
            refinery: rig.join("refinery"),
            locks: locks_of(&place.ledger.store),
            store: place.ledger.store.clone(),
            numbers: first..=count,
            _queue: queue,
        })
    }

    /// How many checkouts may be taken at once.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.numbers.end() - self.numbers.start() + 1
    }

    /// Takes the free checkout that differs from `tree` in the fewest paths; `None` when none is free.
    ///
    /// # Errors
    /// Io, when a lock cannot be taken.
    pub fn take_nearest(&self, tree: ObjectId) -> Result<Option<Stall>> {
        let mut numbers: Vec<(usize, u32)> = self.numbers.clone().map(|number| (self.distance(number, tree), number)).collect();
        numbers.sort_unstable();
        for (_, number) in numbers {
            if let Some(lock) = KernelLock::try_take(&self.locks.join(format!("{number}.flock")))? {
                return Stall::begin(self, number, lock).map(Some);
            }
        }
        Ok(None)
    }

    /// Ends what a process that is dead left running in checkouts.
    ///
    /// # Errors
    /// Io, when a lock cannot be taken.
    pub fn end_strays(&self) -> Result<()> {
        for number in self.numbers.clone() {
            if let Some(_lock) = KernelLock::try_take(&self.locks.join(format!("{number}.flock")))? {
                let _ = command::sweep(&dir_of(&self.refinery, number));
            }
        }
        Ok(())
    }

    /// In how many paths checkout `number` differs from `tree`; one that is not there yet differs the most.
    fn distance(&self, number: u32, tree: ObjectId) -> usize {
        // With one there is nothing to choose.
        if self.size() == 1 {
            return 0;
        }
        let head = worktree::head(&dir_of(&self.refinery, number)).and_then(|(_, head)| self.store.tree_of(head));
        head.and_then(|head| diff::changed_paths(&self.store, head, tree)).map_or(usize::MAX, |paths| paths.len())
    }
}

fn locks_of(store: &Store) -> PathBuf {
    store.private_dir().join("gates")
}

fn dir_of(refinery: &Path, number: u32) -> PathBuf {
    refinery.join(format!("gate-{number}"))
}

/// Who holds a checkout, beside its lock: to be counted without touching the lock.
#[derive(Serialize, Deserialize)]
struct Holder {
    pid: u32,
    start_time: u64,
}

/// How many checkouts of the rig gates run in at this moment, in whatever process.
pub(super) fn count_held(store: &Store) -> u32 {
    let entries = std::fs::read_dir(locks_of(store)).into_iter().flatten().filter_map(std::result::Result::ok);
    let holders = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "json"));
    let lives = |bytes: Vec<u8>| {
        serde_json::from_slice::<Holder>(&bytes).is_ok_and(|holder| start_time_of(holder.pid) == Some(holder.start_time))
    };
    u32::try_from(holders.filter(|entry| std::fs::read(entry.path()).is_ok_and(lives)).count()).unwrap_or(u32::MAX)
}

/// A checkout for gates that this process holds; let go when dropped.
pub struct Stall {
    number: u32,
    dir: PathBuf,
    build_dir: PathBuf,
    holder: PathBuf,
    store: Store,
    _lock: KernelLock,
}

impl Stall {
    /// Begins to use a checkout: ends what a killed process left running in it, and says who holds it.
    fn begin(yard: &Yard, number: u32, lock: KernelLock) -> Result<Self> {
        let dir = dir_of(&yard.refinery, number);
        let _ = command::sweep(&dir);
        let me = std::process::id();
        let holder = yard.locks.join(format!("{number}.json"));
        let bytes = serde_json::to_vec(&Holder { pid: me, start_time: start_time_of(me).unwrap_or_default() });
        // Only for counting: not being able to write it must not keep gates from running.
        let _ = bytes.map(|bytes| std::fs::write(&holder, bytes));
        let build_dir = yard.refinery.join(format!("build-{number}"));
        std::fs::create_dir_all(&build_dir).or_fail(Kind::Io, || format!("make {}", build_dir.display()))?;
        Ok(Self { number, dir, build_dir, holder, store: yard.store.clone(), _lock: lock })
    }

    /// Its number, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Where gates run.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where they may build: outside of the checkout, and never emptied.
    #[must_use]
    pub fn build_dir(&self) -> &Path {
        &self.build_dir
    }

    /// Makes it a checkout of `commit`. Files that are the same keep their times, what git ignores stays, all else that
    /// was left in it goes. One that cannot be used is moved aside and made anew, unless the disk has fewer than
    /// `free_min_megabytes` left: a new one would find less room still.
    ///
    /// # Errors
    /// Io, when the disk is full; corrupt, when the commit cannot be read.
    pub fn stand_at(&self, commit: ObjectId, free_min_megabytes: u64) -> Result<()> {
        // What a partial clone left out comes first, since a remote that is away is no fault of the checkout.
        let tree = self.store.tree_of(commit)?;
        promised::bring_tree(&self.store, tree, &Cone::default(), &Progress::silent())?;
        if self.dir.is_dir() {
            self.forget_if_soiled();
            match worktree::switch(&self.store, &self.dir, Head::Detached(commit)) {
                Ok(()) => return Ok(()),
                Err(error) if space::is_short(&self.dir, free_min_megabytes) => return Err(error),
                Err(error) => tracing::warn!(dir = %self.dir.display(), error = error.line(), "made anew"),
            }
        }
        worktree::clear_begun(&self.store, &self.dir)?;
        let waste = self.dir.with_file_name("aside");
        worktree::set_aside(&self.store, &self.dir, &waste.join(format!("gate-{}-{}", self.number, base36(fastrand::u64(..)))))?;
        worktree::add(&self.store, &self.dir, Head::Detached(commit))?;
        // What cannot be removed now may be later: by then a container may have given its files back.
        let _ = worktree::clear(&waste);
        Ok(())
    }

    /// Whether this checkout was prepared by the gate with memo key `key`, and by no other run of that gate since.
    #[must_use]
    pub fn is_prepared(&self, gate: &str, key: &str) -> bool {
        self.prepared().get(gate).is_some_and(|prepared| prepared == key)
    }

    /// Notes that the gate has prepared this checkout with memo key `key`, or that it is about to (`None`).
    pub fn note_prepared(&self, gate: &str, key: Option<&str>) {
        let mut prepared = self.prepared();
        match key {
            Some(key) => prepared.insert(gate.to_owned(), key.to_owned()),
            None => prepared.remove(gate),
        };
        self.write_prepared(&prepared);
    }

    /// Forgets what prepared this checkout when it holds what will be cleaned away: that may have been its work.
    fn forget_if_soiled(&self) {
        if !self.prepared().is_empty() && !status::status(&self.dir).is_ok_and(|status| status.is_clean()) {
            self.write_prepared(&BTreeMap::new());
        }
    }

    /// The file goes with the worktree, so that a new one is prepared anew.
    fn prepared_path(&self) -> Option<PathBuf> {
        Some(worktree::private_dir(&self.store, &self.dir).ok()?.join("gt-prepared.json"))
    }

    fn prepared(&self) -> BTreeMap<String, String> {
        let bytes = self.prepared_path().and_then(|path| std::fs::read(path).ok());
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn write_prepared(&self, prepared: &BTreeMap<String, String>) {
        let Some(path) = self.prepared_path() else { return };
        let written = serde_json::to_vec(prepared).is_ok_and(|bytes| std::fs::write(&path, bytes).is_ok());
        if !written {
            // Then it is prepared again.
            let _ = std::fs::remove_file(&path);
        }
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.holder);
    }
}
