//! Trees that are being gated side by side, each in a checkout of its own, and what happens to them.
//!
//! [`Trials::start`] begins one, [`Trials::next`] waits for the next thing that happens to any, [`Trials::cancel`] calls
//! one off. Whoever drops this value calls all off; what they started is ended then, what ended is recorded.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use super::trial::{self, Order, Word};
use super::{Failure, Outcome, Rules, Subject, Task, Yard, look};
use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::{Actor, Ledger};
use crate::model::gate::GateRun;
use crate::town::{RigPlace, Town};

/// Names a trial among those of one [`Trials`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrialId(u32);

impl TrialId {
    /// Its number among the trials of this process.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0.into()
    }
}

/// Something that happened to a trial.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A gate begins, or begins again: `attempt` counts from 1.
    Started {
        /// The trial.
        trial: TrialId,
        /// The gate.
        gate: String,
        /// Which try it is.
        attempt: u32,
    },
    /// A gate ended, and its run is in the ledger.
    Ended {
        /// The trial.
        trial: TrialId,
        /// The run.
        run: Box<GateRun>,
    },
    /// It is known what the trial came to. Gates that are only reported may still run.
    Decided {
        /// The trial.
        trial: TrialId,
        /// What it came to.
        outcome: Outcome,
    },
    /// Nothing of it runs any more, and its checkout is free.
    Over {
        /// The trial.
        trial: TrialId,
    },
}

/// A trial under way.
struct UnderWay {
    id: TrialId,
    subject: Subject,
    is_decided: bool,
    cancel: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// Trials under way, started by one process.
pub struct Trials<'y> {
    yard: &'y Yard,
    ledger: Ledger,
    actor: Actor,
    by: Option<String>,
    logs: PathBuf,
    logs_name: String,
    ceiling: PathBuf,
    free_min_megabytes: u64,
    under_way: Vec<UnderWay>,
    started: u32,
    pending: VecDeque<Happening>,
    sender: mpsc::Sender<(TrialId, Word)>,
    words: mpsc::Receiver<(TrialId, Word)>,
}

impl<'y> Trials<'y> {
    /// No trial yet, in the `yard` of `place`; `actor` records the runs, `by` is who asked for them by hand.
    #[must_use]
    pub fn new(town: &Town, place: &RigPlace, rules: &Rc<Rules>, yard: &'y Yard, actor: Actor, by: Option<String>) -> Self {
        let (sender, words) = mpsc::channel();
        Self {
            yard,
            ledger: place.ledger.clone(),
            actor,
            by,
            logs: look::log_dir(town, place),
            logs_name: look::log_dir_name(place),
            ceiling: place.dir.join("refinery"),
            free_min_megabytes: rules.free_min_megabytes(),
            under_way: Vec::new(),
            started: 0,
            pending: VecDeque::new(),
            sender,
            words,
        }
    }

    /// Starts gating `subject` with `tasks` in the free checkout that is nearest to it; `None` when none is free.
    ///
    /// # Errors
    /// Io, when no checkout can be taken or no thread started.
    pub fn start(&mut self, subject: &Subject, tasks: &[Task]) -> Result<Option<TrialId>> {
        let Some(stall) = self.yard.take_nearest(subject.tree)? else { return Ok(None) };
        self.started += 1;
        let id = TrialId(self.started);
        let order = Order {
            subject: subject.clone(),
            tasks: tasks.to_vec(),
            stall,
            ledger: self.ledger.clone(),
            actor: self.actor.clone(),
            by: self.by.clone(),
            logs: self.logs.clone(),
            logs_name: self.logs_name.clone(),
            ceiling: self.ceiling.clone(),
            free_min_megabytes: self.free_min_megabytes,
        };
        let (cancel, is_cancelled) = watch::channel(false);
        let last = LastWord(id, self.sender.clone());
        let work = move || {
            // Declared first, so that it speaks when everything else is gone, the hold on the checkout included.
            let last = last;
            let order = order;
            trial::run(&order, is_cancelled, &|word| last.tell(word));
        };
        let thread = std::thread::Builder::new().name("trial".to_owned()).spawn(work);
        let thread = thread.or_fail(Kind::Io, || "start a thread for gates")?;
        self.under_way.push(UnderWay { id, subject: subject.clone(), is_decided: false, cancel, thread: Some(thread) });
        Ok(Some(id))
    }

    /// What is being gated.
    pub fn under_way(&self) -> impl Iterator<Item = (TrialId, &Subject)> {
        self.under_way.iter().map(|one| (one.id, &one.subject))
    }

    /// Calls a trial off: its gates are ended, [`Happening::Decided`] says so, and [`Happening::Over`] follows. One that
    /// is over already stays as it is.
    pub fn cancel(&self, trial: TrialId) {
        if let Some(one) = self.under_way.iter().find(|one| one.id == trial) {
            let _ = one.cancel.send(true);
        }
    }

    /// Waits for the next thing that happens, at most `wait_millis`; `None` when nothing did, at once when nothing is
    /// under way.
    ///
    /// # Errors
    /// Whatever kept a run from being recorded.
    pub fn next(&mut self, wait_millis: u64) -> Result<Option<Happening>> {
        loop {
            if let Some(happening) = self.pending.pop_front() {
                return Ok(Some(happening));
            }
            if self.under_way.is_empty() {
                return Ok(None);
            }
            match self.words.recv_timeout(Duration::from_millis(wait_millis)) {
                Ok((trial, word)) => self.take(trial, word)?,
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => return Err(Error::bug("hear from gates: nobody speaks")),
            }
        }
    }

    fn take(&mut self, trial: TrialId, word: Word) -> Result<()> {
        let Some(at) = self.under_way.iter().position(|one| one.id == trial) else { return Ok(()) };
        match word {
            Word::Started { gate, attempt } => self.pending.push_back(Happening::Started { trial, gate, attempt }),
            Word::Ended(run) => self.pending.push_back(Happening::Ended { trial, run }),
            Word::Decided(outcome) => {
                self.under_way[at].is_decided = true;
                self.pending.push_back(Happening::Decided { trial, outcome });
            }
            Word::Broken(error) => return Err(error),
            Word::Over => {
                let mut one = self.under_way.swap_remove(at);
                let ended = one.thread.take().map(JoinHandle::join);
                if !one.is_decided {
                    // It panicked, or it could not record; whoever waits must not wait for ever.
                    let why = if matches!(ended, Some(Err(_))) { "its thread panicked" } else { "it ended without a word" };
                    let failure = Failure { gate: None, why: why.to_owned(), is_missing: false };
                    self.pending.push_back(Happening::Decided { trial, outcome: Outcome::Failed(failure) });
                }
                self.pending.push_back(Happening::Over { trial });
            }
        }
        Ok(())
    }
}

impl Drop for Trials<'_> {
    fn drop(&mut self) {
        for one in &self.under_way {
            let _ = one.cancel.send(true);
        }
        for thread in self.under_way.iter_mut().filter_map(|one| one.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// Says [`Word::Over`] when the thread ends, however it ends.
struct LastWord(TrialId, mpsc::Sender<(TrialId, Word)>);

impl LastWord {
    fn tell(&self, word: Word) {
        // Nobody listens any more when all is called off.
        let _ = self.1.send((self.0, word));
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        self.tell(Word::Over);
    }
}
