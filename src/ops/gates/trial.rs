//! One tree being gated, on a thread of its own: checkout, phases, repeats, the first red.
//!
//! Gates of one phase run side by side; the next phase begins when all required ones of this have ended well. What is
//! only reported keeps nobody waiting: the trial is decided without it, and over when it has ended too.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::record::{self, Running};
use super::yard::{self, Stall};
use super::{Failure, Outcome, Subject, Task};
use crate::error::{Kind, OrFail, Result};
use crate::ledger::{Actor, Ledger};
use crate::model::gate::{GateRun, Verdict};
use crate::model::wrapper;
use crate::name::base36;
use crate::runtime::command::{self, Finished, Spec};

/// Everything that a trial needs; its thread reaches nothing else.
pub(super) struct Order {
    pub subject: Subject,
    pub tasks: Vec<Task>,
    pub stall: Stall,
    pub ledger: Ledger,
    pub actor: Actor,
    /// Who asked for it by hand.
    pub by: Option<String>,
    /// Where logs go, and what that is called below the town's directory.
    pub logs: PathBuf,
    pub logs_name: String,
    /// Above which directory a gate's git finds nothing.
    pub ceiling: PathBuf,
    pub free_min_megabytes: u64,
}

/// What a trial tells.
pub(super) enum Word {
    Started {
        gate: String,
        attempt: u32,
    },
    Ended(Box<GateRun>),
    Decided(Outcome),
    /// Its thread ends; the checkout is free.
    Over,
    /// A run could not be recorded.
    Broken(crate::error::Error),
}

/// Runs the trial to its end, or until `cancel` says so.
pub(super) fn run(order: &Order, cancel: watch::Receiver<bool>, tell: &dyn Fn(Word)) {
    match try_run(order, cancel, tell) {
        Ok(()) => {}
        Err(error) => tell(Word::Broken(error)),
    }
}

fn try_run(order: &Order, cancel: watch::Receiver<bool>, tell: &dyn Fn(Word)) -> Result<()> {
    if let Err(error) = order.stall.stand_at(order.subject.commit, order.free_min_megabytes) {
        let why = format!("{} cannot be a checkout of {}: {}", order.stall.dir().display(), order.subject.commit, error.line());
        tell(Word::Decided(Outcome::Failed(Failure { gate: None, why, is_missing: false })));
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.or_fail(Kind::Io, || "start the runtime that gates run on")?;
    let course =
        Course { order, tell, running: JoinSet::new(), beside: vec![0; order.tasks.len()], is_decided: false, is_unsaid: false };
    runtime.block_on(course.follow(cancel))
}

/// How often it is looked how many trees are being gated.
const COUNT_EVERY: Duration = Duration::from_millis(200);

/// How far a trial has come.
struct Course<'o> {
    order: &'o Order,
    tell: &'o dyn Fn(Word),
    /// Dropping it ends the commands with all that came of them.
    running: JoinSet<(Running, Finished)>,
    /// For each task how many trees were seen being gated while it ran.
    beside: Vec<u32>,
    is_decided: bool,
    /// Whether a required gate could not say.
    is_unsaid: bool,
}

impl Course<'_> {
    async fn follow(mut self, mut cancel: watch::Receiver<bool>) -> Result<()> {
        let mut phases: Vec<u32> = self.order.tasks.iter().map(|task| task.gate.phase).collect();
        phases.sort_unstable();
        phases.dedup();
        for phase in phases {
            if *cancel.borrow() {
                break;
            }
            let mut awaited = self.begin(phase);
            while awaited > 0 && !self.is_decided {
                let Some(run) = self.next(&mut cancel).await? else { break };
                let (task, run) = run;
                let is_over = self.weigh(&task, &run);
                awaited -= usize::from(is_over && task.gate.is_required && task.gate.phase == phase);
            }
            if self.is_decided || *cancel.borrow() {
                break;
            }
        }
        self.end(cancel).await
    }

    /// All required gates have ended, or one of them has decided, or nobody wants to know any more.
    async fn end(mut self, mut cancel: watch::Receiver<bool>) -> Result<()> {
        if *cancel.borrow() {
            self.decide(Outcome::Cancelled);
        }
        if !self.is_decided {
            let outcome = if self.is_unsaid { Outcome::Inconclusive } else { Outcome::Green };
            self.decide(outcome);
            // What is only reported runs to its end.
            while let Some((task, run)) = self.next(&mut cancel).await? {
                self.weigh(&task, &run);
            }
        }
        self.running.shutdown().await;
        Ok(())
    }

    /// Starts the gates of a phase; tells how many of them are waited for.
    fn begin(&mut self, phase: u32) -> usize {
        let mut awaited = 0;
        for at in 0..self.order.tasks.len() {
            let task = &self.order.tasks[at];
            let is_done = task.is_known_green && self.order.stall.is_prepared(&task.gate.name, &task.key);
            if task.gate.phase != phase || is_done {
                continue;
            }
            self.start(at, 1);
            awaited += usize::from(task.gate.is_required);
        }
        awaited
    }

    fn start(&mut self, at: usize, attempt: u32) {
        let (order, task) = (self.order, &self.order.tasks[at]);
        if task.gate.is_preparation() {
            order.stall.note_prepared(&task.gate.name, None);
        }
        let tree = order.subject.tree.to_string();
        // The log alone may have a random name: nothing that is recorded depends on it.
        let log = format!("{}-{}-{}.log", task.gate.name, tree.get(..8).unwrap_or_default(), base36(fastrand::u64(..)));
        let mut spec = Spec::shell(&task.gate.command, order.stall.dir(), order.logs.join(&log), task.gate.timeout_millis);
        spec.cpu_weight = task.gate.cpu_weight;
        let (dir, build, repo) = (order.stall.dir(), order.stall.build_dir(), order.ledger.store.dir());
        let town = repo.ancestors().nth(2).unwrap_or(repo);
        // One that cannot be had as it is said is none that is there, and nothing runs outside of it.
        let filled = wrapper::words(&task.gate.wrapper, wrapper::Place { dir, build, repo, town });
        spec.wrapper = filled.unwrap_or_else(|_| vec![String::new()]);
        let given = task.gate.env.iter().filter_map(|pair| pair.split_once('='));
        spec.env = given.map(|(name, value)| (name.to_owned(), value.into())).collect();
        spec.env.extend([
            ("GT_GATE".to_owned(), task.gate.name.clone().into()),
            ("GT_TREE".to_owned(), tree.into()),
            ("GT_COMMIT".to_owned(), order.subject.commit.to_string().into()),
            ("GT_BASE".to_owned(), order.subject.base.to_string().into()),
            ("GT_BUILD_DIR".to_owned(), order.stall.build_dir().into()),
            // A gate that loses its `.git` file must not act on a repository further up.
            ("GIT_CEILING_DIRECTORIES".to_owned(), order.ceiling.clone().into()),
        ]);
        let running = Running { at, attempt, log };
        self.beside[at] = yard::count_held(&order.ledger.store);
        (self.tell)(Word::Started { gate: task.gate.name.clone(), attempt });
        self.running.spawn(async move { (running, command::run(spec).await) });
    }

    /// Waits for the next gate to end, and records it; `None` when none runs or all are called off.
    async fn next(&mut self, cancel: &mut watch::Receiver<bool>) -> Result<Option<(Task, GateRun)>> {
        let joined = loop {
            tokio::select! {
                // A gate that has ended is recorded even when all are called off at this moment.
                biased;
                joined = self.running.join_next() => break joined,
                _ = cancel.wait_for(|is_cancelled| *is_cancelled) => break None,
                () = tokio::time::sleep(COUNT_EVERY) => self.count(),
            }
        };
        let Some(joined) = joined else { return Ok(None) };
        let (running, finished) = joined.or_fail(Kind::Bug, || "wait for a gate")?;
        let run = record::record(self.order, &running, &finished, self.beside[running.at])?;
        let task = self.order.tasks[running.at].clone();
        (self.tell)(Word::Ended(Box::new(run.clone())));
        if run.verdict == Verdict::Red && run.attempt <= task.gate.retries && !self.is_decided {
            self.start(running.at, running.attempt + 1);
        }
        Ok(Some((task, run)))
    }

    fn count(&mut self) {
        let held = yard::count_held(&self.order.ledger.store);
        self.beside.iter_mut().for_each(|seen| *seen = held.max(*seen));
    }

    /// What a run means for the trial; tells whether its gate is through.
    fn weigh(&mut self, task: &Task, run: &GateRun) -> bool {
        match run.verdict {
            Verdict::Green => {
                if task.gate.is_preparation() {
                    self.order.stall.note_prepared(&task.gate.name, Some(&task.key));
                }
                return true;
            }
            Verdict::Red if run.attempt <= task.gate.retries => return false,
            Verdict::Red | Verdict::Infrastructure | Verdict::Inconclusive if !task.gate.is_required => return true,
            Verdict::Red if task.is_known_green => {
                let why = "it is red now in this checkout, and was green for the same inputs".to_owned();
                self.decide(Outcome::Failed(Failure { gate: Some(task.gate.name.clone()), why, is_missing: false }));
            }
            Verdict::Red => self.decide(Outcome::Red),
            Verdict::Inconclusive => {
                self.is_unsaid = true;
                // What is not prepared cannot be judged.
                if task.gate.is_preparation() {
                    self.decide(Outcome::Inconclusive);
                }
            }
            Verdict::Infrastructure => {
                let why = last_line(&run.log_tail);
                self.decide(Outcome::Failed(Failure { gate: Some(run.gate.clone()), why, is_missing: run.is_missing() }));
            }
        }
        true
    }

    fn decide(&mut self, outcome: Outcome) {
        if !self.is_decided {
            self.is_decided = true;
            (self.tell)(Word::Decided(outcome));
        }
    }
}

fn last_line(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.trim_start_matches("[gt] ").to_owned()
}
