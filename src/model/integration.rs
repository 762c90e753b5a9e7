//! An integration branch: where the children of an epic land, until the whole lands as one. Said by the epic's bead.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::bead::Bead;
use crate::model::record::{self, Object};
use crate::name::BeadId;
use crate::time::Moment;

/// The field of an epic's bead that holds it.
const FIELD: &str = "integration";

/// The integration branch of an epic.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Integration {
    /// The branch.
    pub branch: String,
    /// The branch that the whole goes to.
    pub target: String,
    /// The commit it began at.
    pub base: String,
    /// When it was made.
    pub created_at: Moment,
    /// The request that lands the whole, once filed; the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mr: Option<BeadId>,
    /// When it ended, with the whole in the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Moment>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

impl Integration {
    /// The integration branch that `bead` speaks of.
    ///
    /// # Errors
    /// Corrupt, when its fields are missing or wrong.
    pub fn of(bead: &Bead) -> Result<Option<Self>> {
        match bead.extra.get(FIELD).and_then(|value| value.as_object()) {
            Some(fields) => record::view(bead.id.as_str(), fields).map(Some),
            None => Ok(None),
        }
    }

    /// Writes it into the epic's bead.
    pub fn put_into(&self, bead: &mut Bead) {
        bead.extra.insert(FIELD.to_owned(), record::object_of(self).into());
    }

    /// Whether children still land there.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }

    /// The name of the branch of `epic`, when none is given.
    #[must_use]
    pub fn usual_branch(epic: &BeadId) -> String {
        format!("integration/{epic}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::IssueType;

    #[test]
    fn what_was_written_is_read_and_words_of_a_newer_version_stay() {
        let now = Moment::from_millis(0);
        let mut bead = Bead::new("wi-a".parse().unwrap(), IssueType::Epic, "All of it", "overseer", now).unwrap();
        assert_eq!(Integration::of(&bead).unwrap(), None);
        let text = r#"{"branch":"b","target":"main","base":"1","created_at":"2026-01-01T00:00:00.000Z","colour":"red"}"#;
        bead.extra.insert(FIELD.to_owned(), serde_json::from_str(text).unwrap());
        let read = Integration::of(&bead).unwrap().unwrap();
        assert!(read.is_open() && read.extra["colour"] == "red");
        read.put_into(&mut bead);
        assert_eq!(Integration::of(&bead).unwrap(), Some(read));
        bead.extra.insert(FIELD.to_owned(), serde_json::json!({"branch": 5}));
        assert!(Integration::of(&bead).is_err());
    }
}
