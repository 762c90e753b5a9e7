//! States in several dimensions: `DIMENSION:VALUE` labels of which a bead has one a dimension.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::name::BeadId;
use crate::ops::track::create::check_label;
use crate::ops::track::edit::{Edit, comment_in, in_each_scope, update_in};
use crate::town::Town;

/// A state that was set.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct StateChange {
    /// The bead.
    pub issue_id: BeadId,
    /// Which dimension.
    pub dimension: String,
    /// What it was.
    pub old_value: Option<String>,
    /// What it is now.
    pub new_value: Option<String>,
    /// Whether that differs.
    pub changed: bool,
}

/// The states of a bead among `labels`, by dimension.
pub fn states<'l>(labels: impl IntoIterator<Item = &'l String>) -> BTreeMap<String, String> {
    let split = |label: &String| label.split_once(':').map(|(dimension, value)| (dimension.to_owned(), value.to_owned()));
    labels.into_iter().filter_map(split).filter(|(dimension, value)| !dimension.is_empty() && !value.is_empty()).collect()
}

/// Sets a state of a bead, or takes it away; a remark tells of it.
///
/// # Errors
/// Usage, when the words cannot be a label; not found; refused, when the bead is archived.
pub fn set_state(town: &Town, id: &BeadId, dimension: &str, value: Option<&str>, reason: Option<&str>) -> Result<StateChange> {
    if dimension.is_empty() || dimension.contains(':') {
        return Err(Error::usage(format!("'{}' is no dimension of a state", dimension.escape_debug()))
            .hint("write for example: gt bead state ID patrol=muted"));
    }
    let label = value.map(|value| format!("{dimension}:{value}"));
    label.as_deref().map_or(Ok(()), check_label)?;
    let changes = in_each_scope(town, std::slice::from_ref(id), "state", |change, id| {
        let bead = change.bead(id)?;
        let start = format!("{dimension}:");
        let old: Vec<String> = bead.labels.iter().filter(|own| own.starts_with(&start)).cloned().collect();
        let old_value = old.first().and_then(|label| label.strip_prefix(&start)).map(str::to_owned);
        let told = StateChange {
            issue_id: id.clone(),
            dimension: dimension.to_owned(),
            changed: old.iter().collect::<Vec<_>>() != label.iter().collect::<Vec<_>>(),
            old_value,
            new_value: value.map(str::to_owned),
        };
        if told.changed {
            let edit = Edit {
                add_labels: label.iter().cloned().collect(),
                remove_labels: old.into_iter().filter(|old| Some(old) != label.as_ref()).collect(),
                ..Edit::default()
            };
            update_in(town, change, id, &edit)?;
            comment_in(town, change, id, &event(&told, reason))?;
        }
        Ok(told)
    })?;
    changes.into_iter().next().ok_or_else(|| Error::bug("a state was set and is not there"))
}

fn event(told: &StateChange, reason: Option<&str>) -> String {
    let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{} changed from {} to {}{reason}", told.dimension, word(&told.old_value), word(&told.new_value))
}

#[cfg(test)]
mod tests {
    #[test]
    fn labels_with_a_colon_are_states() {
        let labels = ["plain", "patrol:muted", ":x", "x:"].map(str::to_owned);
        let states = super::states(&labels);
        assert_eq!(states.into_iter().collect::<Vec<_>>(), [("patrol".to_owned(), "muted".to_owned())]);
    }
}
