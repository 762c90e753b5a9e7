//! Merge requests: beads that ask for a pinned head to be merged, and their lawful states.

mod mode;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::bead::Bead;
use crate::model::record::{self, Object};
use crate::model::review::Approval;
use crate::name::BeadId;
use crate::time::Moment;
pub use mode::Mode;

/// Where a merge request stands in its queue. Being in a stack is derived, not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MrState {
    /// Waiting its turn.
    Queued,
    /// Waits for something and keeps its place.
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

/// What becomes of a request that conflicts with its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Its work is open again, for its author or whoever takes it up.
    #[default]
    AssignBack,
    /// A task of its own brings it onto the target.
    AutoRebase,
}

impl OnConflict {
    /// The words in configuration.
    pub const WORDS: &'static [&'static str] = &["assign_back", "auto_rebase"];

    /// What this word means; the usual one for a word of a newer version.
    #[must_use]
    pub fn of(word: &str) -> Self {
        if word == "auto_rebase" { Self::AutoRebase } else { Self::AssignBack }
    }
}

/// What people said that holds a request; what the stack says (a conflict with one ahead) has no word here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldFor {
    /// Somebody holds it.
    Person,
    /// It lacks approvals.
    Review,
    /// Its work was closed otherwise.
    Closed,
    /// Its target is paused.
    Pause,
    /// Its target is frozen: it is tested and does not land.
    Freeze,
}

/// Somebody's word that a request waits.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Hold {
    /// Who.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When.
    pub at: Moment,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// The overseer's order to land a request without gates.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Force {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Moment,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// Why a merge request was sent back, with all that its author needs to mend it.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Blame {
    /// `red`, `conflict`, `race`, `pull-request-closed` or `rejected`.
    pub cause: String,
    /// The gate that failed; empty for a conflict.
    #[serde(default)]
    pub gate: String,
    /// Its exit code, when it had one.
    #[serde(default)]
    pub exit: Option<i32>,
    /// Tests that failed, where a known reporter names them. Foreign text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<String>,
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
    /// The task that is to solve the conflict, when one was filed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<BeadId>,
    /// A command that shows the failure again.
    #[serde(default)]
    pub reproduce: String,
    /// Who rejected it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// What they said, or what was wrong where no gate and no path tells it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// When.
    pub at: Moment,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// What a request takes back.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Revert {
    /// The landed request.
    pub mr: BeadId,
    /// Why; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Whether its work is open again when this lands; else, since it took something back itself, closed again.
    pub reopens: bool,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// What is known of a change before any gate has run on it in the queue; risks are learnt by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Profile {
    /// How many lines it adds and removes, as far as they could be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// The directories in which it changes files, at most two names deep; `.` is the top.
    #[serde(default)]
    pub dirs: Vec<String>,
    /// Whether its tree was green when somebody had it gated by hand, and never red.
    #[serde(default)]
    pub preverified: bool,
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
    /// The form in which it lands.
    #[serde(default)]
    pub mode: Mode,
    /// What is known of its change before any gate has run on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Requests that it stands on: it lands after them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<BeadId>,
    /// Heads in whose way it is or without which it cannot go on, that its author was told of; the newest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told_of: Vec<String>,
    /// The landed request that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverts: Option<Revert>,
    /// The newest request that takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverted_by: Option<BeadId>,
    /// Whether it goes before all others, and alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// How often the bead was tried before.
    #[serde(default)]
    pub attempts: u32,
    /// The commit in the target, once landed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landed_commit: Option<String>,
    /// The commit of the target below it, once landed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landed_onto: Option<String>,
    /// Why it was held, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_reason: Option<String>,
    /// What people said that held it; not set, when it was the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_for: Option<HeldFor>,
    /// Requests ahead that it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<BeadId>,
    /// Who approved which head.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// The pull request that it lands or landed by; the branch of it until its name is known. Foreign text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<String>,
    /// That somebody holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// That it lands, or landed, without gates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<Force>,
    /// Why it was sent back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
    /// Fields of a newer version and of other views of the bead.
    #[serde(flatten)]
    pub extra: Object,
}

impl MergeRequest {
    /// A request handed in at `submitted_at` of which nothing else is said.
    #[must_use]
    pub fn blank(submitted_at: Moment) -> Self {
        Self {
            state: MrState::Queued,
            branch: String::new(),
            target: String::new(),
            head: String::new(),
            base: String::new(),
            tree: String::new(),
            source_beads: Vec::new(),
            author: String::new(),
            submitted_at,
            message: String::new(),
            mode: Mode::default(),
            profile: None,
            depends_on: Vec::new(),
            told_of: Vec::new(),
            reverts: None,
            reverted_by: None,
            alone: false,
            attempts: 0,
            landed_commit: None,
            landed_onto: None,
            held_reason: None,
            held_for: None,
            waits_for: Vec::new(),
            approvals: Vec::new(),
            pull_request: None,
            hold: None,
            force: None,
            blame: None,
            extra: Object::new(),
        }
    }

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

    /// Moves to `state`, in which it waits for nothing.
    pub fn become_state(&mut self, state: MrState) {
        self.state = state;
        self.held_reason = None;
        self.held_for = None;
        self.waits_for = Vec::new();
    }

    /// The pull request that it waits for, if it does.
    #[must_use]
    pub fn waits_for_pull_request(&self) -> Option<&str> {
        self.pull_request.as_deref().filter(|_| self.state == MrState::Landing)
    }

    /// Whether a person sent it back, by a word or by closing its pull request: that is not another request's fault.
    #[must_use]
    pub fn is_turned_down(&self) -> bool {
        self.blame.as_ref().is_some_and(|blame| matches!(blame.cause.as_str(), "rejected" | "pull-request-closed"))
    }

    /// Writes these fields back into their bead.
    pub fn put_into(&self, bead: &mut Bead) {
        bead.extra = record::object_of(self);
    }
}
