//! A gate run that ended, into the ledger: at once, with secrets masked and the names of tests that failed.

use std::path::Path;

use super::trial::Order;
use super::{Task, verdict, yard};
use crate::env;
use crate::error::Result;
use crate::ledger::{Deed, tree};
use crate::model::gate::{GateRun, Verdict};
use crate::model::record::{Object, Rev, SCHEMA_VERSION};
use crate::model::reporter;
use crate::model::secrets::{is_secret_name, mask};
use crate::runtime::command::Finished;
use crate::runtime::{secrets, space};
use crate::time;

/// A command that was started for a gate.
pub(super) struct Running {
    /// Which of the order's tasks.
    pub at: usize,
    /// Which try, from 1.
    pub attempt: u32,
    /// The log's file name.
    pub log: String,
}

/// Records what the command said; answers the record as it stands in the ledger. `beside` is how many trees were seen
/// being gated while it ran.
///
/// # Errors
/// As [`crate::ledger::Ledger::transact`].
pub(super) fn record(order: &Order, running: &Running, finished: &Finished, beside: u32) -> Result<GateRun> {
    let task = &order.tasks[running.at];
    let is_disk_full = || {
        let places = [order.stall.dir().to_owned(), order.stall.build_dir().to_owned(), order.logs.clone(), env::temporary_dir()];
        places.iter().any(|place| space::is_short(place, order.free_min_megabytes))
    };
    let (verdict, exit, note) = verdict(&finished.ended, task.gate.on_timeout, is_disk_full);
    let secrets = secrets_known(task);
    let mut log_tail = mask(&finished.log_tail, &secrets);
    if !note.is_empty() {
        log_tail = format!("{}\n[gt] {note}", log_tail.trim_end());
    }
    let failing = if verdict == Verdict::Red { failing(&order.logs.join(&running.log), &secrets) } else { Vec::new() };
    let mut record = GateRun {
        v: SCHEMA_VERSION,
        key: task.key.clone(),
        gate: task.gate.name.clone(),
        tree: order.subject.tree.to_string(),
        commit: order.subject.commit.to_string(),
        base: order.subject.base.to_string(),
        stack: order.subject.stack.clone(),
        by: order.by.clone(),
        verdict,
        exit,
        required: task.gate.is_required,
        attempt: running.attempt,
        failing,
        log_tail,
        log: format!("{}/{}", order.logs_name, running.log),
        took_millis: finished.took_millis,
        concurrency: beside.max(yard::count_held(&order.ledger.store)),
        at: time::now()?,
        rev: Rev::default(),
        extra: Object::new(),
    };
    let subject = format!("gate {} is {} on {}", record.gate, verdict.word(), record.tree.get(..8).unwrap_or_default());
    let deed = Deed { actor: &order.actor, op: "gate", subject, now: record.at };
    record.rev = order.ledger.transact(&deed, |change| {
        let rev = change.rev().clone();
        let path = tree::gate_run(&record.key, &format!("{}-{}", rev.number, rev.machine));
        change.put(&path, &record).map(|()| rev)
    })?;
    env::crash_point("land.gated");
    Ok(record)
}

fn failing(log: &Path, secrets: &[String]) -> Vec<String> {
    let Ok(bytes) = std::fs::read(log) else { return Vec::new() };
    reporter::failing(&String::from_utf8_lossy(&bytes)).iter().map(|name| mask(name, secrets)).collect()
}

/// Secrets in our own environment and in the gate's, which its log may show.
fn secrets_known(task: &Task) -> Vec<String> {
    let pairs = task.gate.env.iter().filter_map(|pair| pair.split_once('='));
    secrets::known()
        .into_iter()
        .chain(pairs.filter(|(name, _)| is_secret_name(name)).map(|(_, value)| value.to_owned()))
        .collect()
}
