//! Waits for a ledger to change, woken by the file system instead of looking again and again.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use gix::ObjectId;
use notify::{RecursiveMode, Watcher};

use crate::error::{Kind, OrFail, Result};
use crate::ledger::Ledger;
use crate::time::Stopwatch;

impl Ledger {
    /// Waits until the newest commit is another than `seen`, at most `millis`; tells whether it is.
    ///
    /// # Errors
    /// Io, when the file system cannot be watched; corrupt, when the ref is damaged.
    pub fn wait_for_change(&self, seen: Option<ObjectId>, millis: u64) -> Result<bool> {
        wait_for_any(&[(self, seen)], millis)
    }
}

/// Waits until the newest commit of one of the ledgers is another than the one seen, at most `millis`; tells whether it is.
///
/// # Errors
/// As [`Ledger::wait_for_change`].
pub fn wait_for_any(ledgers: &[(&Ledger, Option<ObjectId>)], millis: u64) -> Result<bool> {
    let (sender, receiver) = channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Looking at the ref is told as well, and would wake us to look again without end.
        if event.as_ref().is_ok_and(|event| event.kind.is_access()) {
            return;
        }
        // Nobody listens any more once the wait is over.
        let _ = sender.send(event);
    })
    .or_fail(Kind::Io, || "watch ledgers")?;
    for (ledger, _) in ledgers {
        let dir = ledger.store.dir();
        let deed = || format!("watch the ledger of {}", dir.display());
        watcher.watch(&dir.join("refs/gt"), RecursiveMode::NonRecursive).or_fail(Kind::Io, deed)?;
    }
    let has_changed = || -> Result<bool> {
        for (ledger, seen) in ledgers {
            if ledger.tip()? != *seen {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let clock = Stopwatch::start();
    loop {
        // Looked at after the watch began, so that no change falls between the two.
        if has_changed()? {
            return Ok(true);
        }
        let Some(left) = millis.checked_sub(clock.millis()).filter(|left| *left > 0) else { return Ok(false) };
        match receiver.recv_timeout(Duration::from_millis(left)) {
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return has_changed(),
        }
    }
}
