//! Has gates run on a stack's tree, and tells what happens meanwhile.

use super::Queue;
use super::event::Event;
use crate::error::{Error, Result};
use crate::ops::gates::{Happening, Subject, Task, TrialId};
use crate::time::Stopwatch;

/// How long the queue waits for a checkout that somebody runs gates in by hand.
const WAIT_MILLIS_MAX: u64 = 3_600_000;
/// How often it looks for one.
const LOOK_MILLIS: u64 = 200;

impl Queue<'_> {
    /// Starts gating `subject`; `None` when no checkout is free, unless `waits` asks to wait for one.
    ///
    /// # Errors
    /// Io, when it cannot be started; conflict, when no checkout becomes free for an hour.
    pub(super) fn begin(
        &mut self,
        subject: &Subject,
        tasks: &[Task],
        waits: bool,
        say: &mut dyn FnMut(&Event),
    ) -> Result<Option<TrialId>> {
        let watch = Stopwatch::start();
        loop {
            if let Some(trial) = self.trials.start(subject, tasks)? {
                self.subjects.insert(trial, subject.clone());
                return Ok(Some(trial));
            }
            if !waits {
                return Ok(None);
            }
            if watch.millis() >= WAIT_MILLIS_MAX {
                let rig = &self.place.rig.name;
                return Err(Error::conflict(format!("all checkouts for gates of {rig} are in use for an hour"))
                    .hint("somebody runs gates by hand; more checkouts: gt config set gates.worktrees 8"));
            }
            match self.trials.next(LOOK_MILLIS)? {
                Some(happening) => self.tell(happening, say),
                None => std::thread::sleep(std::time::Duration::from_millis(LOOK_MILLIS)),
            }
        }
    }

    pub(super) fn tell(&mut self, happening: Happening, say: &mut dyn FnMut(&Event)) {
        match happening {
            Happening::Started { trial, gate, .. } => {
                if let Some(subject) = self.subjects.get(&trial) {
                    say(&Event::GateStarted { gate, stack: subject.stack.clone(), tree: subject.tree.to_string() });
                }
            }
            Happening::Ended { run, .. } => {
                self.runs += 1;
                say(&Event::ended(&run));
            }
            Happening::Decided { .. } => {}
            Happening::Over { trial } => {
                self.subjects.remove(&trial);
            }
        }
    }
}
