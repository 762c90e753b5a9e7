//! Kernel locks: released by the death of their holder, so that nobody ever has to break one.
//!
//! The lock file itself stays; two holders of two files of one name would both think they hold it. Where one is removed
//! all the same, it is taken by [`KernelLock::try_take_standing`].

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::error::{Error, Kind, OrFail, Result};

/// A held lock; dropping it lets go.
#[derive(Debug)]
pub struct KernelLock(File);

/// Longest wait for a lock whose holders do bounded work.
pub const WAIT_MILLIS_MAX: u64 = 60_000;
/// The stack of a thread that does nothing but wait.
const WAITING_STACK_BYTES: usize = 64 * 1024;

impl KernelLock {
    /// Takes the lock at `path` at once, or tells that another holds it with `None`.
    ///
    /// # Errors
    /// Io, when the lock file cannot be opened.
    pub fn try_take(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).or_fail(Kind::Io, || format!("lock {}", path.display())),
        }
    }

    /// As [`KernelLock::try_take`], for a lock file that its holder may remove: what is held then stands at `path`.
    ///
    /// # Errors
    /// Io, when the lock file cannot be opened.
    pub fn try_take_standing(path: &Path) -> Result<Option<Self>> {
        loop {
            let Some(lock) = Self::try_take(path)? else { return Ok(None) };
            let held = lock.0.metadata().or_fail(Kind::Io, || format!("look at the lock {}", path.display()))?;
            let is_same = |there: std::fs::Metadata| (there.dev(), there.ino()) == (held.dev(), held.ino());
            if std::fs::metadata(path).is_ok_and(is_same) {
                return Ok(Some(lock));
            }
        }
    }

    /// Waits for the lock at `path`, at most [`WAIT_MILLIS_MAX`].
    ///
    /// # Errors
    /// Conflict, when the wait is over; io, when the lock file cannot be opened.
    pub fn take(path: &Path) -> Result<Self> {
        if let Some(lock) = Self::try_take(path)? {
            return Ok(lock);
        }
        // The kernel wakes who waits in the order of their coming; asking again and again would let late ones pass by
        // early ones. It cannot be asked to wait for so long and no longer, so that a thread of its own waits.
        let (file, (answer, answers)) = (open(path)?, std::sync::mpsc::channel());
        let wait = std::thread::Builder::new().stack_size(WAITING_STACK_BYTES);
        let waiting = wait.spawn(move || {
            let locked = file.lock().map(|()| file);
            // When nobody waits any more the file is closed here, and with it the lock let go.
            let _ = answer.send(locked);
        });
        waiting.or_fail(Kind::Io, || format!("wait for {}", path.display()))?;
        match answers.recv_timeout(Duration::from_millis(WAIT_MILLIS_MAX)) {
            Ok(Ok(file)) => Ok(Self(file)),
            Ok(Err(error)) => Err(error).or_fail(Kind::Io, || format!("lock {}", path.display())),
            Err(_) => Err(Error::conflict(format!("another process holds {} for over a minute", path.display()))
                .hint("try again; ps tells whether a gt process hangs")),
        }
    }
}

impl KernelLock {
    /// The lock as a child's standard input: should this process die, the lock is held until the child has ended too.
    ///
    /// # Errors
    /// Io, when the process has too many open files.
    pub fn lend(&self) -> Result<Stdio> {
        self.0.try_clone().map(Stdio::from).or_fail(Kind::Io, || "lend a lock to a child")
    }
}

fn open(path: &Path) -> Result<File> {
    let deed = || format!("open the lock {}", path.display());
    if let Ok(file) = File::options().read(true).write(true).open(path) {
        return Ok(file);
    }
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).or_fail(Kind::Io, deed)?;
    }
    File::options().read(true).write(true).create(true).truncate(false).open(path).or_fail(Kind::Io, deed)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_whose_file_is_removed_is_held_by_one_at_a_time() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("mark");
        let held = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let Some(_lock) = KernelLock::try_take_standing(&path).unwrap() else { continue };
                        assert_eq!(held.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        held.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        // From here on another may hold one.
                        std::fs::remove_file(&path).unwrap();
                    }
                });
            }
        });
    }

    #[test]
    fn a_lent_lock_is_held_until_the_child_has_ended() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("one.flock");
        let lock = KernelLock::take(&path).unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").stdin(lock.lend().unwrap()).spawn().unwrap();
        drop(lock);
        assert!(KernelLock::try_take(&path).unwrap().is_none(), "the child holds it");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(KernelLock::try_take(&path).unwrap().is_some());
    }
}
