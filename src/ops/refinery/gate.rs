//! Runs gates on a checkout of exactly the tree to be judged, and records each run when its gate exits.
//!
//! All gates that the memo does not know green run side by side; the first red ends the others. A gate that could
//! not start or was killed is evidence against nobody.

use std::path::PathBuf;

use gix::ObjectId;

use super::Queue;
use super::event::{Event, short};
use super::look::{is_missing, memo_key};
use crate::env;
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::worktree::{self, Head};
use crate::ledger::tree;
use crate::model::gate::{Gate, GateRun, Verdict};
use crate::model::record::{Object, Rev, SCHEMA_VERSION};
use crate::model::secrets::{is_secret_name, mask};
use crate::name::{BeadId, base36};
use crate::runtime::command::{self, Ended, Finished, Spec};
use crate::store::lock::KernelLock;
use crate::time;

/// What is to be judged.
pub struct Subject {
    /// The requests in it, bottom first; empty for the bare target.
    pub stack: Vec<BeadId>,
    /// The commit to check out.
    pub commit: ObjectId,
    /// Its tree.
    pub tree: ObjectId,
    /// The target's tip below the stack.
    pub base: ObjectId,
}

/// A gate that gave no verdict for reasons of its own.
pub struct Failure {
    /// The gate.
    pub gate: String,
    /// Why.
    pub why: String,
    /// Whether its command was not there, which the requests in the tree may be the cause of.
    pub is_missing: bool,
}

/// The checkout that gates run in, held by one process at a time.
pub struct Yard {
    dir: PathBuf,
    _lock: KernelLock,
}

impl Yard {
    /// Takes the rig's gate checkout and ends what a killed process left running in it.
    ///
    /// # Errors
    /// Conflict, when another process has it.
    pub fn take(place: &crate::town::RigPlace) -> Result<Self> {
        let lock = KernelLock::try_take(&place.ledger.store.private_dir().join("gates.flock"))?
            .ok_or_else(|| Error::conflict(format!("another gt runs gates of {}", place.rig.name)).hint("see: gt mq status"))?;
        let dir = place.dir.join("refinery").join("gate-1");
        let _ = command::sweep(&dir);
        Ok(Self { dir, _lock: lock })
    }
}

/// What an ended command says of the tree, with its exit code and a note.
#[must_use]
pub fn verdict(ended: &Ended) -> (Verdict, Option<i32>, String) {
    let says = |verdict, exit: Option<i32>, note: &str| (verdict, exit, note.to_owned());
    match ended {
        Ended::Exited(0) => says(Verdict::Green, Some(0), ""),
        Ended::Exited(125) => says(Verdict::Inconclusive, Some(125), "exit code 125: the gate cannot judge this tree"),
        Ended::Exited(code @ (126 | 127)) => {
            says(Verdict::Infrastructure, Some(*code), "its command does not exist or cannot be run")
        }
        Ended::Exited(code) => says(Verdict::Red, Some(*code), ""),
        Ended::TimedOut => says(Verdict::Red, None, "timed out"),
        Ended::Signaled(signal) => says(Verdict::Infrastructure, None, &format!("it was killed by signal {signal}")),
        Ended::CannotStart(why) => says(Verdict::Infrastructure, None, why),
    }
}

impl Queue<'_> {
    /// Runs every gate that was not yet green on the subject's tree and records what they say.
    ///
    /// # Errors
    /// Io or corrupt, when the tree cannot be checked out or a run cannot be recorded.
    pub(super) fn judge(&mut self, subject: &Subject, gates: &[Gate], say: &mut dyn FnMut(&Event)) -> Result<Option<Failure>> {
        self.check_out(subject.commit)?;
        let runs: Vec<Prepared> = gates.iter().map(|gate| self.prepare(gate, subject)).collect();
        for run in &runs {
            let tree = subject.tree.to_string();
            say(&Event::GateStarted { gate: run.gate.name.clone(), stack: subject.stack.clone(), tree });
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .or_fail(Kind::Io, || "start the runtime that gates run on")?;
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for (at, run) in runs.iter().enumerate() {
                let spec = run.spec.clone();
                tasks.spawn(async move { (at, command::run(spec).await) });
            }
            let mut failure = None;
            while let Some(joined) = tasks.join_next().await {
                let (at, finished) = joined.or_fail(Kind::Bug, || "wait for a gate")?;
                let run = self.record(&runs[at], subject, &finished, say)?;
                crate::env::crash_point("land.gated");
                match run.verdict {
                    Verdict::Green | Verdict::Inconclusive => continue,
                    Verdict::Red => {}
                    Verdict::Infrastructure => {
                        failure = Some(Failure { is_missing: is_missing(&run), why: last_line(&run.log_tail), gate: run.gate });
                    }
                }
                // Dropping the tasks ends their process groups.
                tasks.shutdown().await;
            }
            Ok(failure)
        })
    }

    fn check_out(&self, commit: ObjectId) -> Result<()> {
        let (store, dir) = (&self.place.ledger.store, &self.yard.dir);
        if dir.is_dir() && worktree::switch(store, dir, Head::Detached(commit)).is_ok() {
            return Ok(());
        }
        // Nobody works in it: what a killed process left half made is made anew.
        let _ = worktree::remove(store, dir);
        worktree::clear_begun(store, dir)?;
        worktree::add(store, dir, Head::Detached(commit))
    }

    fn prepare(&self, gate: &Gate, subject: &Subject) -> Prepared {
        let tree = subject.tree.to_string();
        // The log alone may have a random name: nothing that is recorded depends on it.
        let file = format!("{}-{}-{}.log", gate.name, short(&tree), base36(fastrand::u64(..)));
        let log = self.town.runtime_dir().join("logs/gates").join(&file);
        let mut spec = Spec::shell(&gate.command, &self.yard.dir, log, gate.timeout_millis);
        spec.env = vec![
            ("GT_GATE".into(), gate.name.clone().into()),
            ("GT_TREE".into(), tree.into()),
            ("GT_COMMIT".into(), subject.commit.to_string().into()),
            // A gate that loses its `.git` file must not act on a repository further up.
            ("GIT_CEILING_DIRECTORIES".into(), self.place.dir.join("refinery").into()),
        ];
        Prepared { gate: gate.clone(), log: format!(".runtime/logs/gates/{file}"), spec }
    }

    fn record(&mut self, run: &Prepared, subject: &Subject, finished: &Finished, say: &mut dyn FnMut(&Event)) -> Result<GateRun> {
        let (verdict, exit, note) = verdict(&finished.ended);
        let mut log_tail = mask(&finished.log_tail, &secrets_known());
        if !note.is_empty() {
            log_tail = format!("{}\n[gt] {note}", log_tail.trim_end());
        }
        let mut extra = Object::new();
        extra.insert("log".into(), run.log.clone().into());
        let record = GateRun {
            v: SCHEMA_VERSION,
            key: memo_key(&run.gate, &self.town.machine, subject.tree),
            gate: run.gate.name.clone(),
            tree: subject.tree.to_string(),
            commit: subject.commit.to_string(),
            base: subject.base.to_string(),
            stack: subject.stack.clone(),
            verdict,
            exit,
            log_tail,
            took_millis: finished.took_millis,
            at: time::now()?,
            rev: Rev::default(),
            extra,
        };
        let title = format!("gate {} is {} on {}", record.gate, verdict.word(), short(&record.tree));
        self.transact("gate", title, |change| {
            let rev = change.rev();
            let path = tree::gate_run(&record.key, &format!("{}-{}", rev.number, rev.machine));
            change.put(&path, &record)
        })?;
        self.runs += 1;
        say(&Event::GateEnded {
            gate: record.gate.clone(),
            stack: record.stack.clone(),
            verdict,
            exit,
            took_millis: record.took_millis,
        });
        Ok(record)
    }
}

struct Prepared {
    gate: Gate,
    log: String,
    spec: Spec,
}

fn last_line(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.trim_start_matches("[gt] ").to_owned()
}

/// Secrets in our own environment, which a gate's log may show.
fn secrets_known() -> Vec<String> {
    env::inherited(is_secret_name).into_iter().filter_map(|(_, value)| value.into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_exit_code_or_slowness_speaks_against_somebody() {
        for (ended, expected) in [
            (Ended::Exited(0), "green"),
            (Ended::Exited(1), "red"),
            (Ended::Exited(124), "red"),
            (Ended::Exited(125), "inconclusive"),
            (Ended::Exited(126), "infrastructure"),
            (Ended::Exited(127), "infrastructure"),
            (Ended::TimedOut, "red"),
            (Ended::Signaled(9), "infrastructure"),
            (Ended::CannotStart("no".into()), "infrastructure"),
        ] {
            assert_eq!(verdict(&ended).0.word(), expected, "{ended:?}");
        }
    }
}
