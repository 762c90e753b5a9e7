//! Merge rules of sets, dependencies, comments and counters.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::record::Object;

/// A set held as an array: additions and removals of both sides apply. Sorted by its bytes.
pub(super) fn merge_set(base: &Value, ours: &Value, theirs: &Value) -> Value {
    merge_keyed(base, ours, theirs, |item| Some(text_of(item)), |_, _, a, b| vec![lesser(a, b)])
}

/// Dependencies: as sets of (issue, target, kind); of two that say the same edge the older one stands.
pub(super) fn merge_edges(base: &Value, ours: &Value, theirs: &Value) -> Value {
    let merged = merge_keyed(base, ours, theirs, edge_key, |_, _, a, b| vec![older(a, b)]);
    sorted_by(merged, |edge| (field(edge, "created_at"), edge_key(edge).unwrap_or_default()))
}

/// An edge's identity: who depends, on what, how.
pub(super) fn edge_key(edge: &Value) -> Option<String> {
    let edge = edge.as_object()?;
    let part = |name: &str| edge.get(name).and_then(Value::as_str);
    Some(format!("{}\0{}\0{}", part("issue_id").unwrap_or_default(), part("depends_on_id")?, part("type").unwrap_or_default()))
}

/// Comments: union by id, oldest first. `prefer_ours` decides between two edits of one comment; the text that
/// yields is handed to `lost`.
pub(super) fn merge_comments(
    base: &Value,
    ours: &Value,
    theirs: &Value,
    prefer_ours: bool,
    mut lost: impl FnMut(&Value, &Value),
) -> Value {
    let merged = merge_keyed(base, ours, theirs, comment_key, |_, base, a, b| {
        if field(a, "text") == field(b, "text") && field(a, "author") == field(b, "author") {
            return vec![older(a, b)];
        }
        if base.is_some() {
            let (kept, yields) = if prefer_ours { (a, b) } else { (b, a) };
            lost(kept, yields);
            return vec![kept.clone()];
        }
        // Two remarks that got one id: the older keeps it.
        let first = older(a, b);
        let mut second = if first == *a { b.clone() } else { a.clone() };
        let name = super::content_hash(text_of(&second).as_bytes());
        if let Some(object) = second.as_object_mut() {
            object.insert("id".into(), Value::String(format!("{}-{}", field(&first, "id"), &name[..6])));
        }
        vec![first, second]
    });
    order_comments(merged)
}

/// Comments in their order: by moment, then id.
pub(super) fn order_comments(comments: Value) -> Value {
    sorted_by(comments, |comment| (field(comment, "created_at"), field(comment, "id")))
}

fn comment_key(comment: &Value) -> Option<String> {
    comment.get("id").and_then(Value::as_str).map(str::to_owned)
}

/// A counter: the base plus what both sides added or took.
pub(super) fn merge_counter(base: &Value, ours: &Value, theirs: &Value) -> Option<Value> {
    let base = if base.is_null() { 0 } else { base.as_i64()? };
    let sum = ours.as_i64()?.checked_sub(base)?.checked_add(theirs.as_i64()?)?;
    Some(Value::from(sum))
}

/// Merges two arrays by key: what one side added is added, what one side took away and the other left as it was
/// is gone, what both hold but in different form is put to `both` with its key and base.
/// Items without a key are told apart by their whole text.
fn merge_keyed(
    base: &Value,
    ours: &Value,
    theirs: &Value,
    key: impl Fn(&Value) -> Option<String>,
    mut both: impl FnMut(&str, Option<&Value>, &Value, &Value) -> Vec<Value>,
) -> Value {
    let index = |list: &Value| -> BTreeMap<String, Value> {
        let items = list.as_array().into_iter().flatten();
        items.map(|item| (key(item).unwrap_or_else(|| text_of(item)), item.clone())).collect()
    };
    let (base, ours, theirs) = (index(base), index(ours), index(theirs));
    let mut merged = Vec::new();
    let keys: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for key in keys {
        let old = base.get(key);
        match (ours.get(key), theirs.get(key)) {
            (Some(a), Some(b)) if a == b || old == Some(b) => merged.push(a.clone()),
            (Some(a), Some(b)) if old == Some(a) => merged.push(b.clone()),
            (Some(a), Some(b)) => merged.extend(both(key, old, a, b)),
            // Removed there, and here either as it was (removed), or edited or new (stays).
            (Some(one), None) | (None, Some(one)) if old != Some(one) => merged.push(one.clone()),
            _ => {}
        }
    }
    Value::Array(merged)
}

fn sorted_by<K: Ord>(list: Value, key: impl Fn(&Value) -> K) -> Value {
    match list {
        Value::Array(mut items) => {
            items.sort_by_cached_key(|item| (key(item), text_of(item)));
            Value::Array(items)
        }
        other => other,
    }
}

fn lesser(a: &Value, b: &Value) -> Value {
    if text_of(a) <= text_of(b) { a.clone() } else { b.clone() }
}

fn older(a: &Value, b: &Value) -> Value {
    let age = |value: &Value| (field(value, "created_at"), text_of(value));
    if age(a) <= age(b) { a.clone() } else { b.clone() }
}

/// The text of a string field; empty when there is none.
pub(super) fn field(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A value's JSON text; equal values have equal texts, since objects keep their keys sorted.
pub(super) fn text_of(value: &Value) -> String {
    value.to_string()
}

/// A field of an optional object; null when there is none.
pub(super) fn get<'o>(object: Option<&'o Object>, name: &str) -> &'o Value {
    object.and_then(|object| object.get(name)).unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn additions_and_removals_of_both_sides_apply() {
        let (base, ours, theirs) = (json!(["a", "b"]), json!(["a", "c"]), json!(["b", "d"]));
        assert_eq!(merge_set(&base, &ours, &theirs), json!(["c", "d"]));
        assert_eq!(merge_set(&base, &theirs, &ours), json!(["c", "d"]));
        assert_eq!(merge_set(&Value::Null, &json!(["a"]), &json!(["b"])), json!(["a", "b"]));
    }

    #[test]
    fn counters_add_up() {
        assert_eq!(merge_counter(&json!(5), &json!(7), &json!(4)), Some(json!(6)));
        assert_eq!(merge_counter(&Value::Null, &json!(1), &json!(2)), Some(json!(3)));
        assert_eq!(merge_counter(&json!("x"), &json!(1), &json!(2)), None);
    }

    #[test]
    fn two_comments_of_one_id_are_both_kept() {
        let one = json!([{"id":"c1","author":"a","text":"x","created_at":"2026-01-01T00:00:00.000Z"}]);
        let two = json!([{"id":"c1","author":"b","text":"y","created_at":"2026-01-02T00:00:00.000Z"}]);
        let merged = merge_comments(&Value::Null, &one, &two, true, |_, _| panic!("nothing is lost"));
        assert_eq!(merged, merge_comments(&Value::Null, &two, &one, false, |_, _| panic!("nothing is lost")));
        assert_eq!(merged.as_array().unwrap().len(), 2);
        assert_eq!(merged[0]["id"], "c1");
    }

    #[test]
    fn of_two_edits_of_a_comment_one_is_told_as_lost() {
        let at = "2026-01-01T00:00:00.000Z";
        let make = |text: &str| json!([{"id":"c1","author":"a","text":text,"created_at":at}]);
        let mut lost = Vec::new();
        let merged = merge_comments(&make("x"), &make("y"), &make("z"), false, |_, text| lost.push(text.clone()));
        assert_eq!(merged[0]["text"], "z");
        assert_eq!(lost[0]["text"], "y");
    }
}
