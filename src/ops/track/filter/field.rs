//! Fields that may be there or not, and spans of time.

use crate::ledger::index::Row;
use crate::model::bead::Bead;
use crate::model::brief::Facts;
use crate::time::Moment;

/// A stretch of time: from `after` on, up to and without `before`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Its beginning; `None`: it has none.
    pub after: Option<Moment>,
    /// Its end; `None`: it has none.
    pub before: Option<Moment>,
}

impl Span {
    /// Whether it has neither beginning nor end.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.after.is_none() && self.before.is_none()
    }

    /// Whether `at` lies in it; what never happens lies only in one that is open.
    #[must_use]
    pub fn has(&self, at: Option<Moment>) -> bool {
        let Some(at) = at else { return self.is_open() };
        self.after.is_none_or(|after| at >= after) && self.before.is_none_or(|before| at < before)
    }
}

/// A field that may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Field {
    /// What is to be done.
    Description,
    /// How.
    Design,
    /// When it is done.
    #[value(alias = "acceptance_criteria")]
    Acceptance,
    /// What was learned.
    Notes,
    /// Who has it.
    Assignee,
    /// Who answers for it.
    Owner,
    /// Labels.
    #[value(alias = "label")]
    Labels,
    /// Its parent.
    Parent,
    /// When it is due.
    #[value(alias = "due_at")]
    Due,
    /// Not before this.
    #[value(alias = "defer_until")]
    Defer,
    /// How long it will take.
    #[value(alias = "estimated_minutes")]
    Estimate,
    /// What it is called elsewhere.
    #[value(alias = "external_ref")]
    ExternalRef,
    /// Remarks.
    #[value(alias = "comment")]
    Comments,
    /// What it depends on.
    #[value(alias = "deps")]
    Dependencies,
    /// Keys of its own.
    Metadata,
}

impl Field {
    /// Whether a row has something there; `None`: only the record tells.
    pub(super) fn of_row(self, row: Row<'_>) -> Option<bool> {
        match self {
            Self::Assignee => Some(row.assignee().is_some()),
            Self::Labels => Some(!row.labels().is_empty()),
            Self::Parent => Some(row.parent().is_some()),
            Self::Dependencies => Some(row.edges().next().is_some()),
            Self::Description
            | Self::Design
            | Self::Acceptance
            | Self::Notes
            | Self::Owner
            | Self::Due
            | Self::Defer
            | Self::Estimate
            | Self::ExternalRef
            | Self::Comments
            | Self::Metadata => None,
        }
    }

    /// Whether `bead` has something there.
    #[must_use]
    pub fn is_in(self, bead: &Bead) -> bool {
        let extra = |key: &str| bead.extra.get(key).is_some_and(|value| !is_nothing(value));
        match self {
            Self::Description => !bead.description.trim().is_empty(),
            Self::Design => !bead.design.trim().is_empty(),
            Self::Acceptance => !bead.acceptance_criteria.trim().is_empty(),
            Self::Notes => !bead.notes.trim().is_empty(),
            Self::Assignee => bead.assignee.is_some(),
            Self::Owner => bead.owner.is_some(),
            Self::Labels => !bead.labels.is_empty(),
            Self::Parent => crate::model::dependency::parent_of(bead).is_some(),
            Self::Due => bead.due_at.is_some(),
            Self::Defer => bead.defer_until.is_some(),
            Self::Estimate => extra("estimated_minutes"),
            Self::ExternalRef => extra("external_ref"),
            Self::Comments => !bead.comments.is_empty(),
            Self::Dependencies => !bead.dependencies.is_empty(),
            Self::Metadata => extra("metadata"),
        }
    }
}

fn is_nothing(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null => true,
        serde_json::Value::String(text) => text.is_empty(),
        serde_json::Value::Object(map) => map.is_empty(),
        serde_json::Value::Array(list) => list.is_empty(),
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => false,
    }
}
