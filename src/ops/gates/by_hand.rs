//! Gates run by an agent or a person: the same checkout of a committed tree, recorded under the same keys.
//!
//! A green here is a green for the queue, when it comes to the same tree, or the same inputs, in the same environment.
//! Nothing else counts: what somebody says that was tested is not believed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use super::look::short;
use super::{Failure, Happening, Memo, Outcome, Rules, Subject, Task, Trials, Yard};
use crate::error::{Error, Result};
use crate::git::{merge, program, status, worktree};
use crate::model::gate::{GateRun, Verdict};
use crate::time::Stopwatch;
use crate::town::{RigPlace, Town};

/// How long a free checkout is waited for.
const WAIT_MILLIS_MAX: u64 = 3_600_000;
/// How often it is looked for.
const LOOK_MILLIS: u64 = 200;

/// What is to be run.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// These gates; without names, those that a tree needs to land.
    pub names: Vec<String>,
    /// This commit; without one, that of the checkout here.
    pub commit: Option<String>,
    /// What is known to be green too.
    pub is_again: bool,
}

/// What a gate said, now or before.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Judged {
    /// The gate.
    pub gate: String,
    /// What it said; `None` when it was ended because another was red.
    pub verdict: Option<Verdict>,
    /// Whether that was known already, so that it did not run.
    pub is_known: bool,
    /// Whether a tree needs it to land.
    pub is_required: bool,
    /// Its exit code.
    pub exit: Option<i32>,
    /// How often it ran.
    pub attempts: u32,
    /// How long the last run took.
    pub took_millis: u64,
    /// Tests that failed, where they are known.
    pub failing: Vec<String>,
    /// Its last lines, unless it is green.
    pub log_tail: String,
    /// Its log, below the town's directory.
    pub log: String,
}

/// What the gates said of a commit.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Report {
    /// The rig.
    pub rig: String,
    /// The commit.
    pub commit: String,
    /// Its tree.
    pub tree: String,
    /// Whether all that was asked for is green.
    pub is_green: bool,
    /// Paths that are not committed, of which nothing is said here.
    pub uncommitted: usize,
    /// Gate by gate, in the order of their phases.
    pub gates: Vec<Judged>,
}

/// Runs gates of `place` as `asked`, telling `say` what happens while it happens.
///
/// # Errors
/// Not found, when there is no such gate or commit; refused, when there is no gate or one is not trusted here; conflict,
/// when no checkout becomes free; external, when the tree cannot be checked out.
pub fn run(town: &Town, place: &RigPlace, asked: &Asked, say: &mut dyn FnMut(&str)) -> Result<Report> {
    town.check_identity()?;
    let rules = Rules::read(town, place, &town.machine)?;
    let names = names(place, &rules, asked)?;
    let ground = Ground::find(town, place, asked)?;
    if ground.uncommitted > 0 {
        say(&format!("warning: what is not committed is not judged ({} paths)", ground.uncommitted));
    }
    let subject = subject(place, ground.commit)?;
    let memo = Memo::of(&place.ledger.state()?.gate_runs()?, &rules, town.now);
    let is_known = |name: &String| {
        let gate = rules.gates().iter().find(|gate| gate.name == *name);
        !asked.is_again && gate.is_some_and(|gate| memo.is_green(gate, subject.tree))
    };
    let (known, lacking): (Vec<String>, Vec<String>) = names.into_iter().partition(is_known);
    let tasks = if lacking.is_empty() { Vec::new() } else { memo.tasks_named(subject.tree, &lacking) };
    let mut runs: BTreeMap<String, GateRun> = BTreeMap::new();
    let outcome = if tasks.is_empty() { Outcome::Green } else { attend(town, place, &rules, &subject, &tasks, &mut runs, say)? };
    if let Outcome::Failed(Failure { gate: None, why, .. }) = outcome {
        return Err(Error::external(why).hint("nothing was said of the commit; try again"));
    }
    let of_gate = |name: &String| {
        let gate = rules.gates().iter().find(|gate| gate.name == *name);
        judged(name, gate.is_some_and(|gate| gate.is_required), runs.get(name), known.contains(name))
    };
    let order = rules.gates().iter().map(|gate| &gate.name);
    let gates: Vec<Judged> =
        order.filter(|name| known.contains(name) || lacking.contains(name) || runs.contains_key(*name)).map(of_gate).collect();
    Ok(Report {
        rig: place.rig.name.to_string(),
        commit: subject.commit.to_string(),
        tree: subject.tree.to_string(),
        is_green: gates.iter().all(|gate| gate.verdict == Some(Verdict::Green)),
        uncommitted: ground.uncommitted,
        gates,
    })
}

/// The gates that are asked for.
fn names(place: &RigPlace, rules: &Rules, asked: &Asked) -> Result<Vec<String>> {
    let all: Vec<String> = rules.gates().iter().map(|gate| gate.name.clone()).collect();
    if all.is_empty() {
        return Err(Error::refused(format!("no gate is configured for {}", place.rig.name))
            .hint(format!("gt config set gates.test.command 'make test' --rig {}", place.rig.name)));
    }
    if let Some(unknown) = asked.names.iter().find(|name| !all.contains(name)) {
        return Err(Error::not_found(format!("{} has no gate '{}'", place.rig.name, unknown.escape_debug()))
            .hint(format!("its gates: {}", all.join(", "))));
    }
    if asked.names.is_empty() {
        return Ok(rules.required().into_iter().map(|gate| gate.name).collect());
    }
    Ok(asked.names.clone())
}

/// Where the command runs, and what is judged.
struct Ground {
    commit: ObjectId,
    uncommitted: usize,
}

impl Ground {
    fn find(town: &Town, place: &RigPlace, asked: &Asked) -> Result<Self> {
        let checkout = checkout_here(town, place);
        let commit = match (&asked.commit, &checkout) {
            (Some(rev), checkout) => resolve(place, checkout.as_ref(), rev)?,
            (None, Some(dir)) => worktree::head(dir)?.1,
            (None, None) => {
                return Err(Error::usage("which commit? this directory is in no checkout of the rig")
                    .hint(format!("name one: gt gate run --rig {} --commit {}", place.rig.name, place.rig.target)));
            }
        };
        if place.ledger.store.repo.find_header(commit).is_err() {
            return Err(Error::not_found(format!("commit {} is not in the repository of {}", short(commit), place.rig.name))
                .hint(format!("push it there first: git push {} HEAD:refs/heads/NAME", place.ledger.store.dir().display())));
        }
        // Where another commit is named, what lies about here is not what is asked for.
        let is_here = checkout.as_ref().filter(|_| asked.commit.is_none());
        let uncommitted = match is_here {
            Some(dir) => {
                let status = status::status(dir)?;
                status.staged.len() + status.unstaged.len() + status.untracked.len()
            }
            None => 0,
        };
        Ok(Self { commit, uncommitted })
    }
}

/// The top of the checkout in which the command was started, when that lies in the rig.
fn checkout_here(town: &Town, place: &RigPlace) -> Option<PathBuf> {
    let rig = place.dir.canonicalize().ok()?;
    let mut above = town.dir.ancestors().take_while(|dir| **dir != *rig && dir.starts_with(&rig));
    above.find(|dir| dir.join(".git").exists()).map(PathBuf::from)
}

fn resolve(place: &RigPlace, checkout: Option<&PathBuf>, rev: &str) -> Result<ObjectId> {
    let wanted = format!("{rev}^{{commit}}");
    let words = ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted];
    let output = match checkout {
        Some(dir) => program::run(dir, &words)?,
        None => program::bare(place.ledger.store.dir(), &words)?,
    };
    let id = ObjectId::from_hex(output.text().as_bytes()).ok().filter(|_| output.is_success());
    id.ok_or_else(|| {
        Error::not_found(format!("'{}' names no commit of {}", rev.escape_debug(), place.rig.name))
            .hint("a branch, a tag or an id; git log shows them")
    })
}

fn subject(place: &RigPlace, commit: ObjectId) -> Result<Subject> {
    let store = &place.ledger.store;
    let tip = store.read_ref(&format!("refs/heads/{}", place.rig.target))?;
    let base = tip.map(|tip| merge::merge_base(store, tip, commit)).transpose()?.flatten();
    Ok(Subject { stack: Vec::new(), commit, tree: store.tree_of(commit)?, base: base.unwrap_or(commit) })
}

/// Has the tasks done, and waits for their end.
fn attend(
    town: &Town,
    place: &RigPlace,
    rules: &std::rc::Rc<Rules>,
    subject: &Subject,
    tasks: &[Task],
    runs: &mut BTreeMap<String, GateRun>,
    say: &mut dyn FnMut(&str),
) -> Result<Outcome> {
    let yard = Yard::visit(town, place)?;
    let mut trials = Trials::new(town, place, rules, &yard, town.actor.clone(), Some(town.me.to_string()));
    let watch = Stopwatch::start();
    let mut is_told = false;
    while trials.start(subject, tasks)?.is_none() {
        if watch.millis() >= WAIT_MILLIS_MAX {
            return Err(Error::conflict(format!("all checkouts for gates of {} are in use for an hour", place.rig.name))
                .hint(format!("more of them: gt config set gates.worktrees 8 --rig {}", place.rig.name)));
        }
        if !is_told {
            say("all checkouts for gates are in use; waiting for a free one");
            is_told = true;
        }
        std::thread::sleep(std::time::Duration::from_millis(LOOK_MILLIS));
    }
    let mut outcome = Outcome::Cancelled;
    loop {
        match trials.next(WAIT_MILLIS_MAX)? {
            Some(Happening::Started { gate, attempt, .. }) => {
                let again = if attempt > 1 { format!(" again, try {attempt}") } else { String::new() };
                say(&format!("gate {gate} runs{again} on {}", short(subject.commit)));
            }
            Some(Happening::Ended { run, .. }) => {
                say(&ended(&run));
                runs.insert(run.gate.clone(), *run);
            }
            Some(Happening::Decided { outcome: decided, .. }) => outcome = decided,
            Some(Happening::Over { .. }) => return Ok(outcome),
            // A gate may be allowed to take longer.
            None => {}
        }
    }
}

fn ended(run: &GateRun) -> String {
    let exit = run.exit.filter(|code| *code != 0).map(|code| format!(" (exit {code})")).unwrap_or_default();
    format!(
        "gate {} is {}{exit} after {}.{} s",
        run.gate,
        run.verdict.word(),
        run.took_millis / 1000,
        run.took_millis % 1000 / 100
    )
}

fn judged(name: &str, is_required: bool, run: Option<&GateRun>, is_known: bool) -> Judged {
    let is_red = |run: &&GateRun| run.verdict != Verdict::Green;
    Judged {
        gate: name.to_owned(),
        verdict: run.map(|run| run.verdict).or(is_known.then_some(Verdict::Green)),
        is_known: is_known && run.is_none(),
        is_required,
        exit: run.and_then(|run| run.exit),
        attempts: run.map_or(0, |run| run.attempt),
        took_millis: run.map_or(0, |run| run.took_millis),
        failing: run.map(|run| run.failing.clone()).unwrap_or_default(),
        log_tail: run.filter(is_red).map(|run| run.log_tail.clone()).unwrap_or_default(),
        log: run.map(|run| run.log.clone()).unwrap_or_default(),
    }
}

impl Report {
    /// Whether nothing had to run, since all was known.
    #[must_use]
    pub fn is_all_known(&self) -> bool {
        self.gates.iter().all(|gate| gate.is_known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_that_was_known_is_told_so_and_one_that_was_ended_has_no_verdict() {
        let known = judged("test", true, None, true);
        assert_eq!((known.verdict, known.is_known, known.attempts), (Some(Verdict::Green), true, 0));
        let ended = judged("slow", true, None, false);
        assert_eq!((ended.verdict, ended.is_known), (None, false));
    }
}
