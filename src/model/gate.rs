//! Gates: checks that a tree must pass, their verdicts, and what is remembered of a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::record::{Object, Rev};
use crate::name::BeadId;
use crate::time::Moment;

/// A check of a rig, from its configuration.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Gate {
    /// Its name.
    pub name: String,
    /// The shell command line, run with `sh -c` at the top of a checkout of the committed tree.
    pub command: String,
    /// After how many milliseconds the run counts as failed.
    pub timeout_millis: u64,
}

/// What a gate said of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Exit code 0: a fact about this tree.
    Green,
    /// Another exit code, or too slow: evidence against somebody in the stack.
    Red,
    /// Exit code 125: the gate itself could not say.
    Inconclusive,
    /// Could not start, ended by a signal, disk full: no evidence against anyone.
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

/// `queue/gates/…`: one finished run; written when the gate exits, before anything reads it.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct GateRun {
    /// Schema version.
    pub v: u64,
    /// Memo key: gate definition, environment, tree.
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
    /// What it said.
    pub verdict: Verdict,
    /// Its exit code, when it had one.
    #[serde(default)]
    pub exit: Option<i32>,
    /// The last lines of its output.
    #[serde(default)]
    pub log_tail: String,
    /// How long it took, in milliseconds.
    pub took_millis: u64,
    /// When it ended.
    pub at: Moment,
    /// Clock.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
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
    /// Its commit on the target.
    pub commit: String,
}
