//! Gates: checks that a tree must pass, their verdicts, and what is remembered of a run.

mod inputs;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::record::{Object, Rev};
use crate::name::BeadId;
use crate::time::Moment;

pub use inputs::{Inputs, Reach};

/// What a gate that is too slow says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnTimeout {
    /// The tree is to blame.
    #[default]
    Red,
    /// Nothing can be said of the tree.
    Inconclusive,
}

impl OnTimeout {
    /// The words in configuration.
    pub const WORDS: &'static [&'static str] = &["red", "inconclusive"];

    /// The policy of this word; the usual one for a word of a newer version.
    #[must_use]
    pub fn of(word: &str) -> Self {
        if word == "inconclusive" { Self::Inconclusive } else { Self::Red }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// A check of a rig, from its configuration.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Gate {
    /// Its name.
    pub name: String,
    /// The shell command line, run with `sh -c` at the top of a checkout of the committed tree.
    pub command: String,
    /// After how many milliseconds the run is ended.
    pub timeout_millis: u64,
    /// What a run that was ended so says.
    pub on_timeout: OnTimeout,
    /// Whether a tree needs it to land.
    pub is_required: bool,
    /// Which files it reads, as globs in the order of their say; none: all.
    pub inputs: Vec<String>,
    /// `NAME=value` for its environment.
    pub env: Vec<String>,
    /// How often a red run is repeated before the gate counts as red.
    pub retries: u32,
    /// When it runs: after all gates of lower phases, beside those of its own.
    pub phase: u32,
    /// Its share of the processor beside others; 100 is usual.
    pub cpu_weight: u32,
    /// What runs it, when something does: a sandbox, before its places are filled in.
    pub wrapper: Vec<String>,
}

/// The phase of gates that prepare the checkout for the others.
pub const PREPARING_PHASE: u32 = 0;
/// The usual share of the processor.
pub const CPU_WEIGHT: u32 = 100;

impl Gate {
    /// The gate `name` that runs `command`, with all else as usual.
    #[must_use]
    pub fn new(name: &str, command: &str, timeout_millis: u64) -> Self {
        Self {
            name: name.to_owned(),
            command: command.to_owned(),
            timeout_millis,
            on_timeout: OnTimeout::Red,
            is_required: true,
            inputs: Vec::new(),
            env: Vec::new(),
            retries: 0,
            phase: usual_phase(name),
            cpu_weight: CPU_WEIGHT,
            wrapper: Vec::new(),
        }
    }

    /// Whether it makes the checkout ready for the others, and so runs in each checkout that they run in.
    #[must_use]
    pub const fn is_preparation(&self) -> bool {
        self.phase == PREPARING_PHASE
    }

    /// All of it that a verdict depends on, in one text.
    #[must_use]
    pub fn definition(&self) -> String {
        let (env, inputs) = (self.env.join("\u{1}"), self.inputs.join("\u{1}"));
        let timeout = self.timeout_millis.to_string();
        let definition = [&self.name, &self.command, &timeout, self.on_timeout.word(), &env, &inputs].join("\0");
        // What was said without one is not said of this.
        if self.wrapper.is_empty() { definition } else { format!("{definition}\0{}", self.wrapper.join("\u{1}")) }
    }
}

/// When a gate of this name runs unless it is said: what is quick and often red goes first.
#[must_use]
pub fn usual_phase(name: &str) -> u32 {
    match name {
        "setup" => PREPARING_PHASE,
        "typecheck" | "lint" => 1,
        "build" => 2,
        _ => 3,
    }
}

/// What a gate said of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Exit code 0: a fact about this tree.
    Green,
    /// Another exit code, or too slow: evidence against somebody in the stack.
    Red,
    /// Exit code 125, or too slow where that is to mean nothing: the gate itself could not say.
    Inconclusive,
    /// Could not start, ended by a signal, disk or memory full: no evidence against anyone.
    Infrastructure,
}

impl Verdict {
    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Red => "red",
            Self::Inconclusive => "inconclusive",
            Self::Infrastructure => "infrastructure",
        }
    }
}

/// Most names of failing tests that a run remembers.
pub const FAILING_MAX: usize = 50;

/// `queue/gates/…`: one finished run; written when the gate exits, before anything reads it.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct GateRun {
    /// Schema version.
    pub v: u64,
    /// Memo key: gate definition, environment, what the gate reads of the tree.
    pub key: String,
    /// The gate's name.
    pub gate: String,
    /// The tree that was checked.
    pub tree: String,
    /// The commit whose tree it was.
    pub commit: String,
    /// The target's tip below the stack.
    pub base: String,
    /// The requests in the stack, bottom first; empty for the bare target.
    #[serde(default)]
    pub stack: Vec<BeadId>,
    /// Who ran it by hand; none: the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What it said.
    pub verdict: Verdict,
    /// Its exit code, when it had one.
    #[serde(default)]
    pub exit: Option<i32>,
    /// Whether the tree needed it to land.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub required: bool,
    /// Which try it was, from 1: a red one may be repeated.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub attempt: u32,
    /// Tests that failed, where a known reporter names them; at most [`FAILING_MAX`]. Foreign text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<String>,
    /// The last lines of its output.
    #[serde(default)]
    pub log_tail: String,
    /// Its whole log, below the town's directory on the machine that ran it.
    #[serde(default)]
    pub log: String,
    /// How long it took, in milliseconds.
    pub took_millis: u64,
    /// How many trees this rig was gating on this machine meanwhile, this one counted; 0 when nobody counted.
    #[serde(default)]
    pub concurrency: u32,
    /// When it ended.
    pub at: Moment,
    /// Clock.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

const fn yes() -> bool {
    true
}

const fn is_yes(it: &bool) -> bool {
    *it
}

const fn one() -> u32 {
    1
}

const fn is_one(it: &u32) -> bool {
    *it == 1
}

impl GateRun {
    /// Whether the shell did not find the command or could not run it.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.verdict == Verdict::Infrastructure && matches!(self.exit, Some(126 | 127))
    }
}

/// `queue/intents/<id>.json`: a landing under way; recorded before the target moves.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Intent {
    /// Schema version.
    pub v: u64,
    /// Its id, also of the ref that pins `new`.
    pub id: String,
    /// The branch.
    pub target: String,
    /// Its tip before.
    pub old: String,
    /// Its tip after.
    pub new: String,
    /// The requests that land, bottom first, each with its commit in the stack.
    pub landings: Vec<Landing>,
    /// The tree that was gated.
    pub tree: String,
    /// The pull request that it waits for, as the command that opened it names it. Foreign text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<String>,
    /// Clock.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// One request of an [`Intent`].
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Landing {
    /// The merge request.
    pub mr: BeadId,
    /// Its head when the stack was built.
    pub head: String,
    /// Its commit on the target; of several the last.
    pub commit: String,
    /// The commit below it; none, when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onto: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> serde_json::Value {
        serde_json::json!({
            "v": 1, "key": "k", "gate": "test", "tree": "t", "commit": "c", "base": "b", "stack": [], "verdict": "red",
            "exit": 1, "log_tail": "", "log": "", "took_millis": 5, "concurrency": 0, "at": "2026-11-20T08:00:00.000Z",
            "rev": "1@m1", "of_tomorrow": {"x": 1},
        })
    }

    #[test]
    fn a_run_of_an_older_or_newer_version_is_read_and_written_as_it_was() {
        let run: GateRun = serde_json::from_value(written()).unwrap();
        assert!(run.required && run.attempt == 1 && run.failing.is_empty() && run.by.is_none());
        assert_eq!(serde_json::to_value(&run).unwrap(), written());
    }

    #[test]
    fn what_a_verdict_rests_on_is_in_the_definition_and_nothing_else() {
        let gate = Gate::new("test", "make test", 1000);
        let changed = |change: &dyn Fn(&mut Gate)| {
            let mut other = gate.clone();
            change(&mut other);
            other.definition() != gate.definition()
        };
        assert!(changed(&|gate| gate.command.push('x')) && changed(&|gate| gate.timeout_millis += 1));
        assert!(changed(&|gate| gate.env.push("A=1".into())) && changed(&|gate| gate.inputs.push("src/".into())));
        assert!(changed(&|gate| gate.on_timeout = OnTimeout::Inconclusive));
        assert!(!changed(&|gate| gate.retries = 2) && !changed(&|gate| gate.cpu_weight = 5));
        assert!(!changed(&|gate| gate.is_required = false) && !changed(&|gate| gate.phase = 9));
    }

    #[test]
    fn the_usual_names_run_in_the_usual_order() {
        let phases = ["setup", "lint", "build", "test"].map(usual_phase);
        assert!(phases.is_sorted() && usual_phase("typecheck") == usual_phase("lint"));
        assert_eq!(usual_phase("whatever"), usual_phase("test"));
    }
}
