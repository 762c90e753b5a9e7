//! A bead in brief: what lists, readiness and counts ask of it, without its texts.
//!
//! The same questions are put to a bead read in full, to its brief, and to a row of an index.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::address::Address;
use crate::model::bead::{Bead, DependencyKind, IssueType, Status};
use crate::model::dependency::parent_of;
use crate::model::merge_request::{MergeRequest, MrState};
use crate::name::BeadId;
use crate::time::Moment;

/// Words in a close reason that say the work failed; the list of the `bd` tool.
const FAILURE_WORDS: [&str; 11] = [
    "failed",
    "rejected",
    "wontfix",
    "won't fix",
    "cancelled",
    "canceled",
    "abandoned",
    "blocked",
    "error",
    "timeout",
    "aborted",
];

/// Whether the reason that a bead was closed for says that its work failed.
#[must_use]
pub fn says_failure(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    FAILURE_WORDS.iter().any(|word| reason.contains(word))
}

/// What can be asked of a bead without its texts.
pub trait Facts {
    /// Its id.
    fn id(&self) -> &str;
    /// Where it stands.
    fn status(&self) -> &Status;
    /// What sort of item.
    fn issue_type(&self) -> &IssueType;
    /// 0 critical … 4 backlog.
    fn priority(&self) -> u8;
    /// When it was made.
    fn created_at(&self) -> Moment;
    /// Not ready before this; of what is not in progress.
    fn defer_until(&self) -> Option<Moment>;
    /// When the claim on what is in progress ends by itself.
    fn lease_until(&self) -> Option<Moment>;
    /// The address of whoever has it.
    fn assignee(&self) -> Option<&str>;
    /// Whether it has the label.
    fn has_label(&self, label: &str) -> bool;
    /// Whether `parent` is its parent.
    fn is_child_of(&self, parent: &BeadId) -> bool;
    /// Whether it is kept only for a while, for machines.
    fn is_ephemeral(&self) -> bool;
    /// Whether the reason it was closed for says that the work failed.
    fn has_failed(&self) -> bool;
    /// Whether a refinery closed it by a merge.
    fn was_merged(&self) -> bool;

    /// The address of whoever has it at `now`: nobody, when the claim was for a time that is over.
    fn holder(&self, now: Moment) -> Option<&str> {
        self.assignee().filter(|_| self.lease_until().is_none_or(|until| until > now))
    }

    /// Whether it waits for nothing but somebody's hands, its dependencies aside. What was deferred is open again when
    /// its time has come; without a time, when somebody says so. What was claimed for a time is when that is over.
    fn is_open_work(&self, now: Moment) -> bool {
        let is_time = match self.status() {
            Status::InProgress => self.lease_until().is_some_and(|until| until <= now),
            Status::Open => self.defer_until().is_none_or(|until| until <= now),
            Status::Deferred => self.defer_until().is_some_and(|until| until <= now),
            _ => false,
        };
        is_time && self.issue_type().is_work() && !self.is_ephemeral()
    }
}

impl Facts for Bead {
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn status(&self) -> &Status {
        &self.status
    }
    fn issue_type(&self) -> &IssueType {
        &self.issue_type
    }
    fn priority(&self) -> u8 {
        self.priority
    }
    fn created_at(&self) -> Moment {
        self.created_at
    }
    fn defer_until(&self) -> Option<Moment> {
        self.defer_until.filter(|_| self.status != Status::InProgress)
    }
    fn lease_until(&self) -> Option<Moment> {
        self.lease_until.filter(|_| self.status == Status::InProgress)
    }
    fn assignee(&self) -> Option<&str> {
        self.assignee.as_deref()
    }
    fn has_label(&self, label: &str) -> bool {
        self.labels.contains(label)
    }
    fn is_child_of(&self, parent: &BeadId) -> bool {
        parent_of(self) == Some(parent)
    }
    fn is_ephemeral(&self) -> bool {
        self.extra.get("ephemeral").and_then(serde_json::Value::as_bool) == Some(true)
    }
    fn has_failed(&self) -> bool {
        says_failure(self.close_reason.as_deref().unwrap_or_default())
    }
    /// Only a refinery closes by a merge; it closes requests that did not land, too.
    fn was_merged(&self) -> bool {
        let by_refinery =
            self.closed_by.as_deref().and_then(|by| by.parse().ok()).is_some_and(|by| matches!(by, Address::Refinery(_)));
        let is_request = self.issue_type == IssueType::MergeRequest;
        let landed = self.extra.get("state").and_then(serde_json::Value::as_str) == Some("landed");
        by_refinery && (!is_request || landed)
    }
}

/// A bead without its texts.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Brief {
    /// Its id.
    pub id: BeadId,
    /// What it is about, in a line.
    pub title: String,
    /// Where it stands.
    pub status: Status,
    /// What sort of item.
    pub issue_type: IssueType,
    /// 0 critical … 4 backlog.
    pub priority: u8,
    /// When it was made.
    pub created_at: Moment,
    /// When it was last changed.
    pub updated_at: Moment,
    /// When it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Moment>,
    /// Not ready before this; of what is not in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defer_until: Option<Moment>,
    /// When the claim on what is in progress ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Moment>,
    /// The address of whoever has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// Labels, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Its parent, by field or by edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<BeadId>,
    /// What it depends on, and how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<(DependencyKind, BeadId)>,
    /// Kept only for a while.
    #[serde(default)]
    pub is_ephemeral: bool,
    /// Closed as a failure.
    #[serde(default)]
    pub has_failed: bool,
    /// Closed by a merge.
    #[serde(default)]
    pub was_merged: bool,
    /// Where a merge request stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mr_state: Option<MrState>,
}

impl Brief {
    /// The brief of `bead`.
    #[must_use]
    pub fn of(bead: &Bead) -> Self {
        let is_request = bead.issue_type == IssueType::MergeRequest;
        Self {
            id: bead.id.clone(),
            title: bead.title.clone(),
            status: bead.status.clone(),
            issue_type: bead.issue_type.clone(),
            priority: bead.priority,
            created_at: bead.created_at,
            updated_at: bead.updated_at,
            closed_at: bead.closed_at,
            defer_until: Facts::defer_until(bead),
            lease_until: Facts::lease_until(bead),
            assignee: bead.assignee.clone(),
            labels: bead.labels.iter().cloned().collect(),
            parent: parent_of(bead).cloned(),
            edges: bead.dependencies.iter().map(|edge| (edge.kind.clone(), edge.depends_on_id.clone())).collect(),
            is_ephemeral: bead.is_ephemeral(),
            has_failed: bead.has_failed(),
            was_merged: bead.was_merged(),
            mr_state: is_request.then(|| MergeRequest::of(bead).ok().map(|request| request.state)).flatten(),
        }
    }

    /// Edges to targets that must be met before this is ready.
    pub fn blockers(&self) -> impl Iterator<Item = &(DependencyKind, BeadId)> {
        self.edges.iter().filter(|(kind, _)| kind.is_blocking())
    }
}

impl Facts for Brief {
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn status(&self) -> &Status {
        &self.status
    }
    fn issue_type(&self) -> &IssueType {
        &self.issue_type
    }
    fn priority(&self) -> u8 {
        self.priority
    }
    fn created_at(&self) -> Moment {
        self.created_at
    }
    fn defer_until(&self) -> Option<Moment> {
        self.defer_until
    }
    fn lease_until(&self) -> Option<Moment> {
        self.lease_until
    }
    fn assignee(&self) -> Option<&str> {
        self.assignee.as_deref()
    }
    fn has_label(&self, label: &str) -> bool {
        self.labels.iter().any(|own| own == label)
    }
    fn is_child_of(&self, parent: &BeadId) -> bool {
        self.parent.as_ref() == Some(parent)
    }
    fn is_ephemeral(&self) -> bool {
        self.is_ephemeral
    }
    fn has_failed(&self) -> bool {
        self.has_failed
    }
    fn was_merged(&self) -> bool {
        self.was_merged
    }
}
