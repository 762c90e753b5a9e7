//! A tombstone: what stands for a bead that was deleted, or that lives under another id now.
//!
//! It keeps the id from being given again, says who deleted what, and leads from an old id to the new one. The fields
//! that the `bd` tool has are named as there; what this version does not know stays in `extra`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::model::bead::{Bead, Dependency};
use crate::model::record::{Object, Rev, SCHEMA_VERSION};
use crate::model::words::IssueType;
use crate::name::BeadId;
use crate::time::Moment;

/// What is left of a bead.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Tombstone {
    /// Schema version of the record.
    pub v: u64,
    /// The bead's id.
    pub id: BeadId,
    /// What it was about, in a line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// When it was deleted or moved.
    pub deleted_at: Moment,
    /// Who did that.
    #[serde(default)]
    pub deleted_by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub delete_reason: String,
    /// What sort of item it was.
    #[serde(default = "task")]
    pub original_type: IssueType,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Moment>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// The id under which it goes on; without one it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<BeadId>,
    /// The content id of its last record, by which history still has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_record: Option<String>,
    /// Edges of others to it that went with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut_edges: Vec<Dependency>,
    /// Clock of the last change.
    #[serde(default)]
    pub rev: Rev,
    /// Clocks of units that changed earlier.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revs: BTreeMap<String, Rev>,
    /// What other tools and newer versions say of it.
    #[serde(flatten)]
    pub extra: Object,
}

fn task() -> IssueType {
    IssueType::Task
}

impl Tombstone {
    /// The tombstone of `bead`, deleted by `by` at `now`.
    #[must_use]
    pub fn of(bead: &Bead, by: &str, reason: &str, now: Moment) -> Self {
        Self {
            v: SCHEMA_VERSION,
            id: bead.id.clone(),
            title: bead.title.clone(),
            deleted_at: now,
            deleted_by: by.to_owned(),
            delete_reason: reason.to_owned(),
            original_type: bead.issue_type.clone(),
            created_at: Some(bead.created_at),
            created_by: bead.created_by.clone(),
            moved_to: None,
            last_record: None,
            cut_edges: Vec::new(),
            rev: Rev::default(),
            revs: BTreeMap::new(),
            extra: Object::new(),
        }
    }

    /// Says to whoever asks for the bead that it is not there any more, and what to do.
    #[must_use]
    pub fn absence(&self) -> Error {
        let why = if self.delete_reason.is_empty() { String::new() } else { format!(": {}", self.delete_reason) };
        match &self.moved_to {
            Some(new) => Error::not_found(format!("{} is {new} now", self.id)).hint(format!("gt show {new}")),
            None => Error::not_found(format!("{} was deleted by {} on {}{why}", self.id, self.deleted_by, self.deleted_at))
                .hint(format!("to have it back: gt bead restore {}", self.id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_of_the_bd_tool_is_read_and_written_back_whole() {
        let text = r#"{"v":1,"id":"bd-a1","title":"Old","deleted_at":"2026-01-01T00:00:00.000Z","deleted_by":"ann",
            "delete_reason":"twice","original_type":"bug","status":"tombstone","priority":3}"#;
        let stone: Tombstone = serde_json::from_str(text).unwrap();
        assert_eq!((stone.original_type.clone(), stone.moved_to.clone()), (IssueType::Bug, None));
        let back = serde_json::to_value(&stone).unwrap();
        assert_eq!((back["priority"].as_u64(), back["status"].as_str()), (Some(3), Some("tombstone")));
        assert!(stone.absence().line().contains("deleted by ann") && stone.absence().hint.unwrap().contains("restore bd-a1"));
    }

    #[test]
    fn a_forwarding_tombstone_names_where_the_bead_is_now() {
        let bead = Bead::new("wi-a".parse().unwrap(), IssueType::Task, "t", "me", Moment::from_millis(0)).unwrap();
        let mut stone = Tombstone::of(&bead, "me", "", Moment::from_millis(5));
        stone.moved_to = Some("ga-b".parse().unwrap());
        assert_eq!(stone.absence().line(), "wi-a is ga-b now");
    }
}
