//! What is slung and how, and how a sling ended.

use schemars::JsonSchema;
use serde::Serialize;

use super::touch::Touch;
use crate::model::address::Address;
use crate::model::merge_request::Way;
use crate::name::BeadId;

/// What to sling, where, and how.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The bead, or an abbreviation of its id.
    pub bead: String,
    /// A rig, an agent, or with `machine:` before it one of another machine; the bead's rig when not given.
    pub target: Option<String>,
    /// Further words for the agent.
    pub args: String,
    /// The model to run.
    pub model: Option<String>,
    /// The agent to start, by the name of its preset; as configured when not given.
    pub preset: Option<String>,
    /// The way of the work when it is done; that of its convoy when not given.
    pub merge: Option<Way>,
    /// Sling though it is blocked.
    pub force: bool,
    /// Only assign.
    pub no_start: bool,
    /// The branch that the sandbox begins at; the target's tip when not given.
    pub base: Option<String>,
    /// It is to be looked at, and nothing is to be merged.
    pub review_only: bool,
    /// How many polecats of the rig may have work on this machine; as many as there are when not given.
    pub at_most: Option<u32>,
    /// Say what would be done, and change nothing.
    pub dry_run: bool,
}

/// What a sling would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Put it on a hook.
    Assign,
    /// Take it from an agent whose session is dead, and put it on another hook.
    TakeOver,
    /// Start the session of the hook that it is on.
    Restart,
    /// Ask another machine.
    Ask,
    /// Nothing: it is there.
    Nothing,
}

/// How it ended.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Slung {
    /// Another machine was asked to.
    Asked {
        /// What.
        bead: BeadId,
        /// Whom: the name of the machine.
        machine: String,
        /// The rig or polecat there.
        target: String,
    },
    /// Assigned now.
    Assigned {
        /// What.
        bead: BeadId,
        /// To whom.
        agent: Address,
        /// On which branch.
        branch: String,
        /// The process that runs, unless only assigned.
        pid: Option<u32>,
        /// Whether its first words were seen in its terminal, when they were typed there.
        #[serde(skip_serializing_if = "Option::is_none")]
        is_prompted: Option<bool>,
        /// What the reused sandbox held, saved.
        salvage: Option<String>,
        /// What the sandbox lacks of what it was to be given.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
        /// Other work under way that touches files which this is known to touch.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        touches: Vec<Touch>,
    },
    /// On the hook of an agent that works where it is, without a sandbox.
    Given {
        /// What.
        bead: BeadId,
        /// To whom.
        agent: Address,
        /// The process of its session, when one runs here.
        pid: Option<u32>,
        /// Why its session could not be started, or it was not told.
        #[serde(skip_serializing_if = "Option::is_none")]
        fault: Option<String>,
    },
    /// As many have work as may; it was left as it is.
    Waits {
        /// What.
        bead: BeadId,
        /// How many polecats of the rig have work here.
        working: usize,
        /// How many may.
        at_most: u32,
    },
    /// What would be done; nothing was.
    Would {
        /// What.
        bead: BeadId,
        /// What would become of it.
        act: Act,
        /// To whom, or where another machine picks.
        target: String,
        /// The branch that the sandbox would begin at.
        #[serde(skip_serializing_if = "Option::is_none")]
        base: Option<String>,
        /// What would be started.
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<String>,
        /// Other work under way that touches files which this is known to touch.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        touches: Vec<Touch>,
    },
    /// It was on that hook already; its session was started.
    Restarted {
        /// What.
        bead: BeadId,
        /// To whom.
        agent: Address,
        /// The process that runs now.
        pid: u32,
        /// Whether its first words were seen in its terminal, when they were typed there.
        #[serde(skip_serializing_if = "Option::is_none")]
        is_prompted: Option<bool>,
    },
    /// It is on that hook and its session runs, or was not to be started.
    AlreadyThere {
        /// What.
        bead: BeadId,
        /// To whom.
        agent: Address,
    },
}

impl Slung {
    /// The bead.
    #[must_use]
    pub fn bead(&self) -> &BeadId {
        match self {
            Self::Asked { bead, .. }
            | Self::Assigned { bead, .. }
            | Self::Restarted { bead, .. }
            | Self::Given { bead, .. }
            | Self::Waits { bead, .. }
            | Self::Would { bead, .. }
            | Self::AlreadyThere { bead, .. } => bead,
        }
    }
}
