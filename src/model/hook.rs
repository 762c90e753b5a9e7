//! The hook: the slot that holds an agent's current assignment. If there is work on it, run it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::address::Address;
use crate::model::merge_request::Way;
use crate::model::record::{Object, Rev, SCHEMA_VERSION};
use crate::name::BeadId;
use crate::time::Moment;

/// An assignment; lives in the scope of the bead that hangs on it and changes together with that bead.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Hook {
    /// Schema version.
    pub v: u64,
    /// Whose hook.
    pub agent: Address,
    /// What hangs on it.
    pub bead: BeadId,
    /// The branch made for it; empty for agents without a worktree.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// The branch it will be merged into.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Further words of whoever slung it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub args: String,
    /// The model asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The agent asked for, by the name of its preset; as configured when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// The way of the work when it is done; that of the convoy when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<Way>,
    /// It is to be looked at: the work ends with words, and nothing is merged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub review_only: bool,
    /// Who slung it.
    pub slung_by: String,
    /// When.
    pub slung_at: Moment,
    /// The machine that runs the agent.
    pub machine: String,
    /// Clock of the last change.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

impl Hook {
    /// A hook with `bead` on it.
    #[must_use]
    pub fn new(agent: Address, bead: BeadId, slung_by: &str, machine: &str, now: Moment) -> Self {
        Self {
            v: SCHEMA_VERSION,
            agent,
            bead,
            branch: String::new(),
            target: String::new(),
            args: String::new(),
            model: None,
            preset: None,
            merge: None,
            review_only: false,
            slung_by: slung_by.to_owned(),
            slung_at: now,
            machine: machine.to_owned(),
            rev: Rev::default(),
            extra: Object::new(),
        }
    }

    /// Whether `other` is this assignment, and not a later one of the same bead to the same agent.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.agent, &self.bead, &self.branch) == (&other.agent, &other.bead, &other.branch)
    }
}
