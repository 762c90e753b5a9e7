//! Requests to sling a bead on another machine, which picks the worker.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::merge_request::Way;
use crate::model::record::{Object, Rev};
use crate::name::BeadId;
use crate::time::Moment;

/// `requests/<bead>.json` in the bead's scope: goes when the bead is slung, or is not to be any more.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct SlingRequest {
    /// Schema version.
    pub v: u64,
    /// What is to be slung.
    pub bead: BeadId,
    /// Id of the machine that is to do it.
    pub machine: String,
    /// The rig or polecat there.
    pub target: String,
    /// Further words for the agent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub args: String,
    /// The model to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The agent to start, by the name of its preset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// The way of the work when it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<Way>,
    /// The branch that the sandbox begins at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// It is to be looked at, and nothing is to be merged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub review_only: bool,
    /// How many polecats of the rig may have work there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u32>,
    /// Sling it though it is blocked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Only assign.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_start: bool,
    /// Who asks.
    pub asked_by: String,
    /// When.
    pub asked_at: Moment,
    /// Clock.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}
