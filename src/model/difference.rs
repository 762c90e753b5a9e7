//! What differs between two versions of a record, field by field.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::model::record::Object;

/// Fields that change with every other one, or never.
const SILENT: [&str; 5] = ["rev", "revs", "v", "updated_at", "archive_copy"];

/// A field that differs.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize)]
pub struct Difference {
    /// Which.
    pub field: String,
    /// What it was; nothing when it was not there, and for lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it is; nothing when it is not there any more, and for lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
    /// What came to a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<Value>,
    /// What left a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Value>,
}

/// The fields in which `old` and `new` differ, by name; clocks and the moment of change are left out.
#[must_use]
pub fn differences(old: &Object, new: &Object) -> Vec<Difference> {
    let fields: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let told = fields.into_iter().filter(|field| !SILENT.contains(&field.as_str()));
    told.filter_map(|field| difference(field, old.get(field), new.get(field))).collect()
}

fn difference(field: &str, old: Option<&Value>, new: Option<&Value>) -> Option<Difference> {
    if old == new {
        return None;
    }
    let list = |value: Option<&Value>| match value {
        None => Some(Vec::new()),
        Some(value) => value.as_array().cloned(),
    };
    let field = field.to_owned();
    if let (Some(old), Some(new)) = (list(old), list(new)) {
        let beyond = |of: &[Value], other: &[Value]| of.iter().filter(|one| !other.contains(one)).cloned().collect();
        return Some(Difference { field, added: beyond(&new, &old), removed: beyond(&old, &new), ..Difference::default() });
    }
    Some(Difference { field, from: old.cloned(), to: new.cloned(), ..Difference::default() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Object {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn fields_and_parts_of_lists_are_told_and_clocks_are_not() {
        let old = object(&json!({"title":"a","labels":["x","y"],"rev":"1@m","gone":1,"same":2}));
        let new = object(&json!({"title":"b","labels":["y","z"],"rev":"2@m","same":2,"due_at":"t"}));
        let told = serde_json::to_value(differences(&old, &new)).unwrap();
        let expected = json!([
            {"field": "due_at", "to": "t"},
            {"field": "gone", "from": 1},
            {"field": "labels", "added": ["z"], "removed": ["x"]},
            {"field": "title", "from": "a", "to": "b"},
        ]);
        assert_eq!(told, expected);
        assert_eq!(differences(&old, &old), []);
    }
}
