//! What there is to know of a rig's gates: how they are set and how they fared, and the logs that are kept.

use std::path::{Path, PathBuf};

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Memo, Rules};
use crate::config;
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::gate::{Gate, GateRun, Verdict};
use crate::name::BeadId;
use crate::time::Moment;
use crate::town::{RigPlace, Town};

/// Where the logs of gates lie.
pub(super) fn log_dir(town: &Town, place: &RigPlace) -> PathBuf {
    town.runtime_dir().join("logs/gates").join(place.rig.name.as_str())
}

/// The same, below the town's directory.
pub(super) fn log_dir_name(place: &RigPlace) -> String {
    format!(".runtime/logs/gates/{}", place.rig.name)
}

/// A gate as it is set, and how it fared.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Listed {
    /// The gate.
    #[serde(flatten)]
    pub gate: Gate,
    /// Where its command is set.
    pub source: config::Source,
    /// The key that this machine does not trust; the gate does not run here then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untrusted: Option<String>,
    /// Its newest run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Kept>,
    /// How many of its runs are remembered.
    pub runs: usize,
    /// How many of them were red on what it was green on too.
    pub flakes: u32,
    /// How likely it is red on a good tree, from these and what is usual.
    pub flake_rate: f64,
    /// How long a run takes that says something of the tree: half of them are quicker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_millis: Option<u64>,
}

/// A run that is remembered.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Kept {
    /// Its name among the rig's runs.
    pub run: String,
    /// The gate.
    pub gate: String,
    /// What it said.
    pub verdict: Verdict,
    /// Its exit code.
    pub exit: Option<i32>,
    /// The commit that was checked out.
    pub commit: String,
    /// The requests in it.
    pub stack: Vec<BeadId>,
    /// Who ran it by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Which try it was.
    pub attempt: u32,
    /// Tests that failed, where they are known.
    pub failing: Vec<String>,
    /// How long it took.
    pub took_millis: u64,
    /// How many trees were being gated meanwhile, this one counted.
    pub concurrency: u32,
    /// When it ended.
    pub at: Moment,
    /// The machine that ran it.
    pub machine: String,
    /// Whether its whole log is on this machine.
    pub is_kept: bool,
}

/// Runs that are remembered, newest first.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Logs {
    /// The runs.
    pub runs: Vec<Kept>,
    /// How many more there are.
    pub left_out: usize,
}

/// A run with what it printed.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Log {
    /// The run.
    #[serde(flatten)]
    pub run: Kept,
    /// Its log; only its last lines when the whole of it is not on this machine.
    pub text: String,
}

/// The gates of a rig in the order of their phases.
///
/// # Errors
/// Corrupt, when configuration or runs cannot be read.
pub fn list(town: &Town, place: &RigPlace) -> Result<Vec<Listed>> {
    let configured = config::configured(town, place)?;
    let runs = newest_first(place)?;
    let gates = configured.iter().map(|one| one.gate.clone()).collect();
    // Only asked for flakes, which hold whatever the environment is.
    let memo = Memo::of(&runs, &Rules::with(town, place, gates, String::new())?, town.now);
    let flakes = memo.flakes();
    let listed = |one: config::Configured| {
        let own: Vec<&GateRun> = runs.iter().filter(|run| run.gate == one.gate.name).collect();
        let flakes = flakes.get(&one.gate.name).copied().unwrap_or_default();
        let says = |run: &&&GateRun| matches!(run.verdict, Verdict::Green | Verdict::Red);
        Listed {
            last: own.first().map(|run| kept(town, place, run)),
            runs: own.len(),
            flakes: flakes.reds,
            flake_rate: flakes.rate(),
            median_millis: median(own.iter().filter(says).map(|run| run.took_millis).collect()),
            gate: one.gate,
            source: one.source,
            untrusted: one.untrusted,
        }
    };
    Ok(configured.into_iter().map(listed).collect())
}

fn median(mut millis: Vec<u64>) -> Option<u64> {
    millis.sort_unstable();
    millis.get(millis.len() / 2).copied()
}

fn newest_first(place: &RigPlace) -> Result<Vec<GateRun>> {
    let mut runs = place.ledger.state()?.gate_runs()?;
    runs.sort_by(|a, b| b.rev.cmp(&a.rev));
    Ok(runs)
}

fn kept(town: &Town, place: &RigPlace, run: &GateRun) -> Kept {
    Kept {
        run: run.rev.to_string(),
        gate: run.gate.clone(),
        verdict: run.verdict,
        exit: run.exit,
        commit: run.commit.clone(),
        stack: run.stack.clone(),
        by: run.by.clone(),
        attempt: run.attempt,
        failing: run.failing.clone(),
        took_millis: run.took_millis,
        concurrency: run.concurrency,
        at: run.at,
        machine: run.rev.machine.clone(),
        is_kept: log_path(town, place, run).is_some_and(|path| path.is_file()),
    }
}

/// Where the log of `run` lies, if this machine ran it. Of what the record says, which may come from elsewhere, only the
/// name is taken.
fn log_path(town: &Town, place: &RigPlace, run: &GateRun) -> Option<PathBuf> {
    let name = Path::new(&run.log).file_name().filter(|_| run.rev.machine == town.machine)?;
    Some(log_dir(town, place).join(name))
}

/// The newest `most` runs of a rig that are remembered.
///
/// # Errors
/// Corrupt, when they cannot be read.
pub fn logs(town: &Town, place: &RigPlace, most: usize) -> Result<Logs> {
    let runs = newest_first(place)?;
    let left_out = runs.len().saturating_sub(most);
    Ok(Logs { runs: runs.iter().take(most).map(|run| kept(town, place, run)).collect(), left_out })
}

/// The log of the run `what`, or of the newest run of the gate `what`.
///
/// # Errors
/// Not found, when there is no such run.
pub fn log(town: &Town, place: &RigPlace, what: &str) -> Result<Log> {
    let runs = newest_first(place)?;
    let is_meant = |run: &&GateRun| run.rev.to_string() == what || run.gate == what;
    let run = runs.iter().find(is_meant).ok_or_else(|| {
        Error::not_found(format!("{} remembers no gate run '{}' and none of such a gate", place.rig.name, what.escape_debug()))
            .hint(format!("see: gt gate log --rig {}", place.rig.name))
    })?;
    let whole = log_path(town, place, run).and_then(|path| std::fs::read(path).ok());
    let text = whole.map_or_else(|| run.log_tail.clone(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Log { run: kept(town, place, run), text })
}

/// Removes logs of the rig's gates that were written before `before`; tells how many.
///
/// # Errors
/// Io, when the directory cannot be read.
pub fn forget_logs(town: &Town, place: &RigPlace, before: Moment) -> Result<usize> {
    let dir = log_dir(town, place);
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error).or_fail(Kind::Io, || format!("list {}", dir.display())),
    };
    let is_old = |path: &Path| {
        let written = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
        let since = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        since.is_some_and(|since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX) < before.millis())
    };
    let logs = entries.filter_map(std::result::Result::ok).map(|entry| entry.path());
    let old = logs.filter(|path| path.extension().is_some_and(|end| end == "log") && is_old(path));
    Ok(old.filter(|path| std::fs::remove_file(path).is_ok()).count())
}

/// The first characters of an object id, for people.
pub(super) fn short(id: ObjectId) -> String {
    id.to_hex_with_len(8).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!((median(vec![]), median(vec![7]), median(vec![9, 1, 5])), (None, Some(7), Some(5)));
    }
}
