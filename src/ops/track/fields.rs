//! Fields that not every bead has, and how they are set: labels as a whole, the parent, and what other tools know too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::ledger::Change;
use crate::model::bead::{Bead, DependencyKind};
use crate::model::record::Object;
use crate::name::BeadId;
use crate::ops::track::create::check_label;
use crate::ops::track::depend::{check_beside, check_no_ring};
use crate::ops::track::reach::Reach;
use crate::town::Town;

/// The longest word of an outside name, in characters.
const WORD_CHARS_MAX: usize = 500;

/// What to set; `Some(None)` takes a field away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Who answers for it.
    pub owner: Option<Option<String>>,
    /// How long it will take, in minutes.
    pub estimate_minutes: Option<Option<u64>>,
    /// What it is called elsewhere.
    pub external_ref: Option<Option<String>>,
    /// Keys of its metadata.
    pub metadata: BTreeMap<String, Option<Value>>,
    /// All its labels.
    pub labels: Option<BTreeSet<String>>,
    /// What it is a child of.
    pub parent: Option<Option<BeadId>>,
}

impl Fields {
    /// Checks what can be checked without the bead.
    ///
    /// # Errors
    /// Usage, naming what breaks a limit.
    pub fn check(&self) -> Result<()> {
        for (field, word) in [("owner", &self.owner), ("external reference", &self.external_ref)] {
            let Some(Some(word)) = word else { continue };
            if word.chars().count() > WORD_CHARS_MAX || word.chars().any(char::is_control) {
                return Err(Error::usage(format!("the {field} is no plain line of up to {WORD_CHARS_MAX} characters"))
                    .hint("put longer things into --notes"));
            }
        }
        for key in self.metadata.keys() {
            if key.trim().is_empty() || key.chars().count() > 100 || key.chars().any(char::is_control) {
                return Err(Error::usage(format!("'{}' is no key of metadata", key.escape_debug()))
                    .hint("write KEY=VALUE; a key is up to 100 characters without control characters"));
            }
        }
        self.labels.iter().flatten().try_for_each(|label| check_label(label))
    }

    /// Sets them in `bead`.
    pub(super) fn apply(&self, bead: &mut Bead) {
        if let Some(owner) = &self.owner {
            bead.owner = owner.clone().filter(|owner| !owner.is_empty());
        }
        if let Some(minutes) = self.estimate_minutes {
            set(&mut bead.extra, "estimated_minutes", minutes.map(Value::from));
        }
        if let Some(name) = &self.external_ref {
            set(&mut bead.extra, "external_ref", name.clone().filter(|name| !name.is_empty()).map(Value::from));
        }
        if let Some(labels) = &self.labels {
            bead.labels.clone_from(labels);
        }
        self.apply_metadata(bead);
        if let Some(parent) = &self.parent {
            bead.parent.clone_from(parent);
            bead.dependencies.retain(|edge| edge.kind != DependencyKind::ParentChild);
        }
    }

    fn apply_metadata(&self, bead: &mut Bead) {
        if self.metadata.is_empty() {
            return;
        }
        let mut now = match bead.extra.remove("metadata") {
            Some(Value::Object(now)) => now,
            _ => Object::new(),
        };
        for (key, value) in &self.metadata {
            set(&mut now, key, value.clone());
        }
        set(&mut bead.extra, "metadata", (!now.is_empty()).then_some(Value::Object(now)));
    }

    /// Refuses a parent that is not there, lives elsewhere, or stands below the bead itself.
    pub(super) fn check_parent(&self, town: &Town, change: &Change<'_>, id: &BeadId) -> Result<()> {
        let Some(Some(parent)) = &self.parent else { return Ok(()) };
        check_beside(id, parent)?;
        if !change.has_bead(parent)? {
            return Err(Error::not_found(format!("there is no bead {parent}")).hint("gt list shows what there is"));
        }
        check_no_ring(change, &id.prefix(), &mut Reach::new(town), id)
    }
}

fn set(object: &mut Object, key: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(object.insert(key.to_owned(), value)),
        None => drop(object.remove(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::IssueType;
    use crate::time::Moment;

    #[test]
    fn metadata_changes_key_by_key_and_goes_when_it_is_empty() {
        let mut bead = Bead::new("wi-a".parse().unwrap(), IssueType::Task, "t", "o", Moment::from_millis(0)).unwrap();
        let keys = |pairs: &[(&str, Option<&str>)]| Fields {
            metadata: pairs.iter().map(|(key, value)| ((*key).to_owned(), value.map(Value::from))).collect(),
            ..Fields::default()
        };
        keys(&[("a", Some("1")), ("b", Some("2"))]).apply(&mut bead);
        keys(&[("a", None)]).apply(&mut bead);
        assert_eq!(bead.extra["metadata"], serde_json::json!({"b": "2"}));
        keys(&[("b", None)]).apply(&mut bead);
        assert!(!bead.extra.contains_key("metadata"));
        assert!(keys(&[("", Some("1"))]).check().is_err());
    }
}
