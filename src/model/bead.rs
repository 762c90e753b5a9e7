//! A bead: one work item.
//!
//! Stored names are those of the `bd` tool. Fields this version does not know stay in `extra`.

mod standing;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::record::{Object, Rev, SCHEMA_VERSION};
pub use crate::model::words::{DependencyKind, IssueType, Status};
use crate::name::BeadId;
use crate::time::Moment;
pub use standing::{OF_ASSIGNMENT, is_of_standing};

/// An edge from a bead to what it depends on.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Dependency {
    /// The bead that depends.
    pub issue_id: BeadId,
    /// What it depends on.
    pub depends_on_id: BeadId,
    /// How.
    #[serde(rename = "type")]
    pub kind: DependencyKind,
    /// Who said so.
    #[serde(default)]
    pub created_by: String,
    /// When.
    pub created_at: Moment,
    /// What other tools and newer versions say of it.
    #[serde(flatten)]
    pub extra: Object,
}

/// A remark on a bead.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Comment {
    /// Id of the comment within the bead.
    pub id: String,
    /// Who wrote it.
    pub author: String,
    /// What.
    pub text: String,
    /// When.
    pub created_at: Moment,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// A work item, or any other noun that has an id and a status.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Bead {
    /// Schema version of the record.
    pub v: u64,
    /// Its id.
    pub id: BeadId,
    /// One line.
    pub title: String,
    /// What is to be done and why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How it is to be done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub design: String,
    /// When it is done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub acceptance_criteria: String,
    /// What was learned on the way.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// What sort of item.
    pub issue_type: IssueType,
    /// Where it stands.
    pub status: Status,
    /// 0 critical … 4 backlog.
    pub priority: u8,
    /// The address of whoever has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// The clock of the assignment; set by sling and claim only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_rev: Option<Rev>,
    /// When a claim ends by itself; set only while it is in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Moment>,
    /// By how many milliseconds a sign of life of the assignee extends the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_millis: Option<u64>,
    /// When it was first given out, since it was last opened by hand or given back; what was sent back keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooked_at: Option<Moment>,
    /// The model that its holder runs, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How often it was opened again after a close.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reopened_count: u32,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Who made it.
    #[serde(default)]
    pub created_by: String,
    /// When it was made.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
    /// When work began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Moment>,
    /// When it closed; set exactly while it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Moment>,
    /// Why it closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_reason: Option<String>,
    /// Who closed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<String>,
    /// When it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Moment>,
    /// Not ready before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defer_until: Option<Moment>,
    /// Labels, sorted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub labels: BTreeSet<String>,
    /// What it depends on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// Remarks, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<Comment>,
    /// The bead it is a child of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<BeadId>,
    /// Clock of the last change.
    #[serde(default)]
    pub rev: Rev,
    /// Clocks of units that changed earlier.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revs: BTreeMap<String, Rev>,
    /// Fields of its type, and of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 500;
/// The longest text field, in bytes.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Checks a title: one line of 1 to 500 characters without control characters.
///
/// # Errors
/// Usage, naming the limit.
pub fn check_title(title: &str) -> Result<()> {
    if title.trim().is_empty() {
        return Err(Error::usage("the title is empty").hint("say in one line what is to be done"));
    }
    if title.chars().count() > TITLE_CHARS_MAX {
        return Err(Error::usage(format!("the title is longer than {TITLE_CHARS_MAX} characters"))
            .hint("put the rest into --description"));
    }
    if title.chars().any(char::is_control) {
        return Err(Error::usage("the title has control characters").hint("a title is one line of plain text"));
    }
    Ok(())
}

/// Checks the size of a text field.
///
/// # Errors
/// Usage, naming the field and the limit of 256 KiB.
pub fn check_text(field: &str, text: &str) -> Result<()> {
    if text.len() <= TEXT_BYTES_MAX {
        return Ok(());
    }
    Err(Error::usage(format!("the {field} is longer than {} KiB", TEXT_BYTES_MAX / 1024))
        .hint("keep long material in a file of the repository and name it here"))
}

impl Bead {
    /// A new open bead.
    ///
    /// # Errors
    /// Usage, when the title is not lawful.
    pub fn new(id: BeadId, issue_type: IssueType, title: &str, created_by: &str, now: Moment) -> Result<Self> {
        check_title(title)?;
        Ok(Self {
            v: SCHEMA_VERSION,
            id,
            title: title.to_owned(),
            description: String::new(),
            design: String::new(),
            acceptance_criteria: String::new(),
            notes: String::new(),
            issue_type,
            status: Status::Open,
            priority: 2,
            assignee: None,
            assigned_rev: None,
            hooked_at: None,
            model: None,
            reopened_count: 0,
            lease_until: None,
            lease_millis: None,
            owner: None,
            created_by: created_by.to_owned(),
            created_at: now,
            updated_at: now,
            started_at: None,
            closed_at: None,
            close_reason: None,
            closed_by: None,
            due_at: None,
            defer_until: None,
            labels: BTreeSet::new(),
            dependencies: Vec::new(),
            comments: Vec::new(),
            parent: None,
            rev: Rev::default(),
            revs: BTreeMap::new(),
            extra: Object::new(),
        })
    }

    /// Adds a remark at the end. Its id is `name`, or `name.1` and so on where remarks here have those already: a merge
    /// tells remarks apart by their ids.
    pub fn comment(&mut self, name: String, author: &str, text: &str, now: Moment) {
        let taken: BTreeSet<&str> = self.comments.iter().map(|comment| comment.id.as_str()).collect();
        let numbered = (1..=taken.len()).map(|n| format!("{name}.{n}"));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        // One of so many is free.
        let id = names.find(|id| !taken.contains(id.as_str())).unwrap_or(name);
        self.comments.push(Comment {
            id,
            author: author.to_owned(),
            text: text.to_owned(),
            created_at: now,
            extra: Object::new(),
        });
        self.updated_at = now;
    }

    /// Targets that must be met before this is ready.
    pub fn blockers(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies.iter().filter(|dependency| dependency.kind.is_blocking())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_and_words_survive_a_rewrite() {
        let text = r#"{"v":1,"id":"gt-a","title":"t","issue_type":"saga","status":"dreaming","priority":1,
            "created_at":"2026-01-01T00:00:00.000Z","updated_at":"2026-01-01T00:00:00.000Z","rev":"1@m","colour":"red"}"#;
        let bead: Bead = serde_json::from_str(text).unwrap();
        let back = serde_json::to_value(&bead).unwrap();
        assert_eq!(back["issue_type"], "saga");
        assert_eq!(back["status"], "dreaming");
        assert_eq!(back["colour"], "red");
    }

    #[test]
    fn a_title_is_one_plain_line() {
        for bad in ["", "  ", "a\nb", "a\x1b[31mb", &"x".repeat(501)] {
            assert!(check_title(bad).is_err());
        }
        assert!(check_title("Größe prüfen 🚀").is_ok());
    }
}
