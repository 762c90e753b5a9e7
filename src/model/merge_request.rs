//! Merge requests: beads that ask for a pinned head to be merged, and their lawful states.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::bead::Bead;
use crate::model::record::{self, Object};
use crate::name::BeadId;
use crate::time::Moment;

/// Where a merge request stands in its queue. Being in a stack is derived, not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MrState {
    /// Waiting its turn.
    Queued,
    /// Conflicts with one ahead; keeps its place.
    Held,
    /// An intent to land it is recorded.
    Landing,
    /// Its change is in the target.
    Landed,
    /// Sent back.
    Evicted,
    /// Taken back by its author.
    Withdrawn,
    /// Replaced by a newer request for the same bead.
    Superseded,
}

impl MrState {
    /// Whether the queue still has to deal with it.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Queued | Self::Held | Self::Landing)
    }

    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Held => "held",
            Self::Landing => "landing",
            Self::Landed => "landed",
            Self::Evicted => "evicted",
            Self::Withdrawn => "withdrawn",
            Self::Superseded => "superseded",
        }
    }
}

/// The way of finished work into its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Through the merge queue, with others
    #[default]
    Mr,
    /// Through the merge queue at once and alone, while gt done waits
    Direct,
    /// Nowhere: it stays on its branch
    Local,
}

impl Way {
    /// Whether it is the way of work of which nothing is said.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mr => "mr",
            Self::Direct => "direct",
            Self::Local => "local",
        }
    }
}

/// Why a merge request was sent back, with all that its author needs to mend it.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Blame {
    /// `red`, `conflict` or `race`.
    pub cause: String,
    /// The gate that failed; empty for a conflict.
    #[serde(default)]
    pub gate: String,
    /// Its exit code, when it had one.
    #[serde(default)]
    pub exit: Option<i32>,
    /// The last lines of its log.
    #[serde(default)]
    pub log_tail: String,
    /// The commit that was gated or could not be stacked onto.
    #[serde(default)]
    pub stack_commit: String,
    /// The target's tip below the stack.
    #[serde(default)]
    pub base: String,
    /// How sure the search was that this request is the culprit, 0 to 1.
    #[serde(default)]
    pub posterior: f64,
    /// Conflicting paths.
    #[serde(default)]
    pub files: Vec<String>,
    /// Commits of the other side that touch these paths.
    #[serde(default)]
    pub theirs: Vec<String>,
    /// Gate runs that speak for and against it, one line each.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// Requests it was stacked on, which landed meanwhile.
    #[serde(default)]
    pub landed_since: Vec<BeadId>,
    /// A command that shows the failure again.
    #[serde(default)]
    pub reproduce: String,
    /// When.
    pub at: Moment,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// The typed fields of a bead of type `merge-request`.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct MergeRequest {
    /// Where it stands.
    pub state: MrState,
    /// The branch it came from.
    pub branch: String,
    /// The branch it goes to.
    pub target: String,
    /// The pinned commit.
    pub head: String,
    /// The target's commit that the branch was made from.
    pub base: String,
    /// The tree of the head.
    pub tree: String,
    /// The work it delivers.
    pub source_beads: Vec<BeadId>,
    /// The worker.
    pub author: String,
    /// When it was handed in.
    pub submitted_at: Moment,
    /// The message for the squashed commit.
    pub message: String,
    /// Whether it goes before all others, and alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// How often the bead was tried before.
    #[serde(default)]
    pub attempts: u32,
    /// The commit in the target, once landed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landed_commit: Option<String>,
    /// Why it was held, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_reason: Option<String>,
    /// Why it was sent back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
    /// Fields of a newer version and of other views of the bead.
    #[serde(flatten)]
    pub extra: Object,
}

impl MergeRequest {
    /// Reads the merge request fields of a bead.
    ///
    /// # Errors
    /// Refused, when the bead is of another type; corrupt, when fields are missing or wrong.
    pub fn of(bead: &Bead) -> Result<Self> {
        if bead.issue_type != crate::model::bead::IssueType::MergeRequest {
            return Err(Error::refused(format!("{} is {}, not a merge request", bead.id, bead.issue_type.with_article()))
                .hint("see: gt mq list"));
        }
        record::view(bead.id.as_str(), &bead.extra)
    }

    /// Writes these fields back into their bead.
    pub fn put_into(&self, bead: &mut Bead) {
        bead.extra = record::object_of(self);
    }
}
