//! The shapes that a line of a batch may have, one an operation.

use crate::model::bead::IssueType;
use crate::model::spelling::priority_in;
use crate::name::BeadId;
use crate::time::Moment;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    pub title: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub design: String,
    #[serde(default, alias = "acceptance")]
    pub acceptance_criteria: String,
    #[serde(default)]
    pub notes: String,
    #[serde(default = "task", alias = "type")]
    pub issue_type: String,
    #[serde(default, deserialize_with = "priority_in")]
    pub priority: Option<u8>,
    #[serde(default)]
    pub labels: BTreeSet<String>,
    pub parent: Option<String>,
    #[serde(default, alias = "dependencies")]
    pub deps: Vec<String>,
    pub id: Option<BeadId>,
    pub assignee: Option<String>,
    pub due_at: Option<Moment>,
    pub defer_until: Option<Moment>,
    #[serde(alias = "prefix")]
    pub rig: Option<String>,
}

fn task() -> String {
    IssueType::Task.word().to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent, null and a value are three answers")]
pub(super) struct Update {
    pub id: String,
    pub status: Option<String>,
    #[serde(default)]
    pub claim: bool,
    pub title: Option<String>,
    #[serde(default, deserialize_with = "said")]
    pub description: Option<Option<String>>,
    #[serde(default, deserialize_with = "said")]
    pub design: Option<Option<String>>,
    #[serde(default, alias = "acceptance", deserialize_with = "said")]
    pub acceptance_criteria: Option<Option<String>>,
    #[serde(default, deserialize_with = "said")]
    pub notes: Option<Option<String>>,
    pub append_notes: Option<String>,
    #[serde(default, deserialize_with = "priority_in")]
    pub priority: Option<u8>,
    #[serde(alias = "type")]
    pub issue_type: Option<String>,
    #[serde(default, deserialize_with = "said")]
    pub assignee: Option<Option<String>>,
    #[serde(default, deserialize_with = "said")]
    pub due_at: Option<Option<Moment>>,
    #[serde(default, deserialize_with = "said")]
    pub defer_until: Option<Option<Moment>>,
    #[serde(default)]
    pub add_labels: BTreeSet<String>,
    #[serde(default)]
    pub remove_labels: BTreeSet<String>,
    #[serde(default, deserialize_with = "said")]
    pub labels: Option<Option<BTreeSet<String>>>,
    #[serde(default, deserialize_with = "said")]
    pub owner: Option<Option<String>>,
    #[serde(default, deserialize_with = "said")]
    pub estimated_minutes: Option<Option<u64>>,
    #[serde(default, deserialize_with = "said")]
    pub external_ref: Option<Option<String>>,
    #[serde(default)]
    pub metadata: BTreeMap<String, Value>,
}

/// A field that is there, if only as null, which takes the value away.
#[expect(clippy::option_option, reason = "absent, null and a value are three answers")]
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    pub id: String,
    pub reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Remark {
    pub id: String,
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edge {
    #[serde(alias = "issue_id")]
    pub id: String,
    pub depends_on_id: String,
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Label {
    pub id: String,
    #[serde(default)]
    pub add: BTreeSet<String>,
    #[serde(default)]
    pub remove: BTreeSet<String>,
}
