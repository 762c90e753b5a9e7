//! Refs: read uncached, moved by a compare-and-swap of our own that is synced before it answers.
//!
//! gix-ref takes its snapshot of packed refs before its locks and lost 11 of 900 updates beside a looping
//! `git pack-refs`; here the value is read after the lock, loose then packed. The lock file is hard-linked
//! from a file of our own, so that a left-over of a dead process is known by its inode and removed at once,
//! while a foreign lock is never touched.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gix::ObjectId;

use crate::error::{Error, Kind, OrFail, Result};
use crate::store::lock::KernelLock;
use crate::store::{Store, make_dir, sync_dir};
use crate::time::Stopwatch;

/// How a compare-and-swap ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The ref has the new value, on disk.
    Moved,
    /// The ref had another value than expected, which is here; nothing was changed.
    Lost(Option<ObjectId>),
}

/// How long a foreign lock on a ref is waited for.
const FOREIGN_LOCK_MILLIS_MAX: u64 = 2_000;

impl Store {
    /// The value of `name`, read from disk at this moment; `None` when there is no such ref.
    ///
    /// # Errors
    /// Corrupt, when the ref is empty, garbage or symbolic; that is damage, never "no ref".
    pub fn read_ref(&self, name: &str) -> Result<Option<ObjectId>> {
        check_name(name)?;
        match std::fs::read(self.dir().join(name)) {
            Ok(bytes) => parse_value(name, &bytes).map(Some),
            Err(error) if is_absent(&error) => self.read_packed(name),
            Err(error) => Err(error).or_fail(Kind::Io, || format!("read the ref {name}")),
        }
    }

    /// All refs whose names start with `prefix` (which ends with `/`), sorted, damaged ones left out.
    ///
    /// # Errors
    /// Io, when the directory cannot be read.
    pub fn refs_below(&self, prefix: &str) -> Result<Vec<(String, ObjectId)>> {
        let mut found = std::collections::BTreeMap::new();
        for entry in walkdir::WalkDir::new(self.dir().join(prefix)).into_iter().filter_map(std::result::Result::ok) {
            let Ok(relative) = entry.path().strip_prefix(self.dir()) else { continue };
            let Some(name) = relative.to_str().filter(|name| !name.ends_with(".lock")) else { continue };
            if !entry.file_type().is_file() {
                continue;
            }
            if let Ok(Some(id)) = self.read_ref(name) {
                found.insert(name.to_owned(), id);
            }
        }
        // Loose ones first, as git reads them: what `git pack-refs` moves meanwhile then shows in one of the two.
        for (name, id) in self.packed()?.into_iter().filter(|(name, _)| name.starts_with(prefix)) {
            found.entry(name).or_insert(id);
        }
        Ok(found.into_iter().collect())
    }

    /// Refuses damage among the refs whose names start with `prefix` (which ends with `/`).
    ///
    /// # Errors
    /// Corrupt, naming the first ref that is empty, garbage or symbolic.
    pub fn check_refs_below(&self, prefix: &str) -> Result<()> {
        for entry in walkdir::WalkDir::new(self.dir().join(prefix)).into_iter().filter_map(std::result::Result::ok) {
            let name = entry.path().strip_prefix(self.dir()).ok().and_then(Path::to_str);
            let is_lock = |name: &&str| name.ends_with(".lock");
            if let Some(name) = name.filter(|name| entry.file_type().is_file() && !is_lock(name)) {
                self.read_ref(name)?;
            }
        }
        Ok(())
    }

    /// Moves `name` from `old` to `new` (`None`: it must not exist) and syncs it before answering.
    ///
    /// # Errors
    /// Conflict, when another program holds the ref's lock; corrupt, when the ref is damaged; io otherwise.
    pub fn swap_ref(&self, name: &str, old: Option<ObjectId>, new: ObjectId) -> Result<Swap> {
        let lock = RefLock::take(self, name, format!("{new}\n").as_bytes())?;
        let actual = self.read_ref(name)?;
        if actual != old {
            return Ok(Swap::Lost(actual));
        }
        crate::env::crash_point("store.ref.locked");
        lock.rename_into_place(self.is_durable)?;
        Ok(Swap::Moved)
    }

    /// Removes `name` if its value is `old`.
    ///
    /// # Errors
    /// As [`Store::swap_ref`].
    pub fn remove_ref(&self, name: &str, old: ObjectId) -> Result<Swap> {
        let lock = RefLock::take(self, name, b"")?;
        let actual = self.read_ref(name)?;
        if actual != Some(old) {
            return Ok(Swap::Lost(actual));
        }
        let deed = || format!("remove the ref {name}");
        // Out of packed-refs first, or its old value there would show for a moment.
        self.remove_packed(name)?;
        let path = self.dir().join(name);
        match std::fs::remove_file(&path) {
            Err(error) if !is_absent(&error) => return Err(error).or_fail(Kind::Io, deed),
            _ => {}
        }
        if self.is_durable {
            sync_dir(path.parent().unwrap_or(self.dir()))?;
        }
        drop(lock);
        Ok(Swap::Moved)
    }

    /// Takes `name` out of packed-refs, if it is there.
    ///
    /// gix reads the file before it locks it: what a `git pack-refs` wrote in between would be gone.
    fn remove_packed(&self, name: &str) -> Result<()> {
        if self.read_packed(name)?.is_none() {
            return Ok(());
        }
        let lock = RefLock::take_path(self, "packed-refs", self.dir().join("packed-refs"), b"")?;
        let old = std::fs::read(&lock.target).or_fail(Kind::Io, || "read packed-refs")?;
        lock.write(&without(&old, name), self.is_durable)?;
        lock.rename_into_place(self.is_durable)
    }

    fn read_packed(&self, name: &str) -> Result<Option<ObjectId>> {
        Ok(self.packed()?.into_iter().find(|(packed, _)| packed == name).map(|(_, id)| id))
    }

    fn packed(&self) -> Result<Vec<(String, ObjectId)>> {
        let text = match std::fs::read(self.dir().join("packed-refs")) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error).or_fail(Kind::Io, || "read packed-refs"),
        };
        let lines = text.lines().filter(|line| !line.starts_with(['#', '^']));
        Ok(lines
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(id, name)| Some((name.to_owned(), ObjectId::from_hex(id.as_bytes()).ok()?)))
            .collect())
    }
}

/// The lines of a packed-refs file but that of `name` and what it was peeled to.
fn without(packed: &[u8], name: &str) -> Vec<u8> {
    let mut kept = Vec::with_capacity(packed.len());
    let mut is_dropped = false;
    for line in packed.split_inclusive(|byte| *byte == b'\n') {
        is_dropped = match line.first() {
            Some(b'^') => is_dropped,
            Some(b'#') => false,
            _ => line.trim_ascii().splitn(2, |byte| *byte == b' ').nth(1) == Some(name.as_bytes()),
        };
        if !is_dropped {
            kept.extend_from_slice(line);
        }
    }
    kept
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory | std::io::ErrorKind::IsADirectory)
}

fn parse_value(name: &str, bytes: &[u8]) -> Result<ObjectId> {
    let text = bytes.trim_ascii();
    ObjectId::from_hex(text)
        .ok()
        .filter(|id| !id.is_null())
        .or_fail(Kind::Corrupt, || format!("read the ref {name}: it holds no object id"))
        .map_err(|error| {
            error.hint(format!(
                "its earlier values are in the history that refers to it; nothing is written or pushed while {name} is damaged"
            ))
        })
}

/// Refuses ref names that are not plain `refs/…` paths; ours come from safe names already.
fn check_name(name: &str) -> Result<()> {
    let good = name.starts_with("refs/") && gix::validate::reference::name(name.into()).is_ok();
    if good { Ok(()) } else { Err(Error::usage(format!("'{}' is not a ref name", name.escape_debug()))) }
}

/// A held `<ref>.lock`, hard-linked from a file of our own.
struct RefLock {
    own: PathBuf,
    lock: PathBuf,
    target: PathBuf,
    is_linked: bool,
}

impl RefLock {
    fn take(store: &Store, name: &str, content: &[u8]) -> Result<Self> {
        check_name(name)?;
        Self::take_path(store, name, store.dir().join(name), content)
    }

    fn take_path(store: &Store, name: &str, target: PathBuf, content: &[u8]) -> Result<Self> {
        let deed = || format!("lock the ref {name}");
        make_dir(target.parent().or_fail(Kind::Bug, deed)?, store.is_durable)?;
        let locks = store.private_dir().join("locks");
        std::fs::create_dir_all(&locks).or_fail(Kind::Io, deed)?;
        let own = locks.join(format!(
            "{}-{}-{}",
            std::process::id(),
            start_time_of(std::process::id()).unwrap_or(0),
            crate::name::base36(fastrand::u64(..))
        ));
        let lock = PathBuf::from(format!("{}.lock", target.display()));
        let held = Self { own, lock, target, is_linked: false };
        held.write(content, store.is_durable)?;
        held.link(name, &locks, store.is_durable)
    }

    /// Writes what the lock file is to hold; before the link nobody sees it, after it is the lock itself.
    fn write(&self, content: &[u8], is_durable: bool) -> Result<()> {
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&self.own)?;
            file.write_all(content)?;
            if is_durable { file.sync_all() } else { Ok(()) }
        };
        write().or_fail(Kind::Io, || format!("write {}", self.own.display()))
    }

    fn link(mut self, name: &str, locks: &Path, is_durable: bool) -> Result<Self> {
        let watch = Stopwatch::start();
        loop {
            match std::fs::hard_link(&self.own, &self.lock) {
                Ok(()) => {
                    self.is_linked = true;
                    return Ok(self);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                // git removes a directory that became empty between our creating and linking.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && watch.millis() < FOREIGN_LOCK_MILLIS_MAX => {
                    make_dir(self.lock.parent().unwrap_or(Path::new(".")), is_durable)?;
                    continue;
                }
                Err(error) => return Err(error).or_fail(Kind::Io, || format!("lock the ref {name}")),
            }
            if remove_left_over(&self.lock, locks)? {
                continue;
            }
            if watch.millis() > FOREIGN_LOCK_MILLIS_MAX {
                return Err(Error::conflict(format!("another program holds the lock {}", self.lock.display()))
                    .hint("try again; if no git process is running, that file is a left-over of one that was killed"));
            }
            std::thread::sleep(Duration::from_millis(1 + fastrand::u64(..4)));
        }
    }

    fn rename_into_place(mut self, is_durable: bool) -> Result<()> {
        let deed = || format!("move the ref {}", self.target.display());
        if self.target.is_dir() {
            // An empty directory may stand where the ref goes; git removes those too.
            let _ = std::fs::remove_dir(&self.target);
        }
        std::fs::rename(&self.lock, &self.target).or_fail(Kind::Io, deed)?;
        self.is_linked = false;
        if is_durable { sync_dir(self.target.parent().unwrap_or(Path::new("."))) } else { Ok(()) }
    }
}

impl Drop for RefLock {
    fn drop(&mut self) {
        // Left-overs are found by inode and removed by the next writer, should this fail.
        if self.is_linked {
            let _ = std::fs::remove_file(&self.lock);
        }
        let _ = std::fs::remove_file(&self.own);
    }
}

/// Removes `lock` when it is one of ours whose owner is dead. Tells whether it went.
///
/// Only under the clean-up lock, and only after looking again there: otherwise two that clean up at once
/// could remove the lock that a third has taken in between.
fn remove_left_over(lock: &Path, locks: &Path) -> Result<bool> {
    let _cleaning = KernelLock::take(&locks.join("clean-up.flock"))?;
    let Ok(held) = std::fs::symlink_metadata(lock) else { return Ok(true) };
    let entries = std::fs::read_dir(locks).or_fail(Kind::Io, || format!("read {}", locks.display()))?;
    for entry in entries.filter_map(std::result::Result::ok) {
        let name = entry.file_name();
        let Some((pid, start)) = name.to_str().and_then(owner_in) else { continue };
        if start_time_of(pid) == Some(start) {
            continue;
        }
        let is_this = entry.metadata().is_ok_and(|meta| meta.ino() == held.ino() && meta.dev() == held.dev());
        if is_this {
            std::fs::remove_file(lock).or_fail(Kind::Io, || format!("remove the left-over lock {}", lock.display()))?;
            let _ = std::fs::remove_file(entry.path());
            return Ok(true);
        }
    }
    Ok(false)
}

fn owner_in(name: &str) -> Option<(u32, u64)> {
    let mut parts = name.split('-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The start time of process `pid` in clock ticks since boot; `None` when there is no such process.
///
/// With the pid it names a process for good, also when the number is used again; where there is no `/proc` it does not.
#[must_use]
pub fn start_time_of(pid: u32) -> Option<u64> {
    if let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The command name may hold spaces and parentheses; fields are counted from its last one.
        let after = &stat[stat.rfind(')')? + 1..];
        if after.trim_start().starts_with('Z') {
            return None;
        }
        return after.split_whitespace().nth(19)?.parse().ok();
    }
    if Path::new("/proc/self/stat").exists() {
        return None;
    }
    // Without /proc (macOS) only the number is known, and a number that was used again passes for the process.
    let id = rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)?;
    rustix::process::test_kill_process(id).ok().map(|()| u64::from(pid))
}
