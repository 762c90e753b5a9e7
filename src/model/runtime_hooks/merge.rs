//! One set of runtime hooks over another, and ours beside those of a person, as rules over JSON.

use serde_json::{Map, Value};

/// The entry of an event that says which tools it is for.
const MATCHER: &str = "matcher";
/// What every command of ours in a person's file ends with, so that it is found again.
pub const MARK: &str = "# hook of gt";

/// `over` laid over `base`: objects by their keys, `null` takes a key away, anything else takes the place of what was
/// there. The lists below `hooks` go entry by entry: one with the same matcher takes the other's place, one with an empty
/// list of hooks takes it away, others are added; an empty list takes the whole event away.
pub fn lay_over(base: &mut Value, over: &Value) {
    lay(base, over, false);
}

fn lay(base: &mut Value, over: &Value, is_events: bool) {
    let (Value::Object(base_keys), Value::Object(over_keys)) = (&mut *base, over) else {
        *base = over.clone();
        return;
    };
    for (key, value) in over_keys {
        match (base_keys.get_mut(key), value) {
            (_, Value::Null) => drop(base_keys.remove(key)),
            (Some(Value::Array(entries)), Value::Array(given)) if is_events && !given.is_empty() => lay_entries(entries, given),
            (Some(_), Value::Array(given)) if is_events && given.is_empty() => drop(base_keys.remove(key)),
            (Some(old), value) => lay(old, value, key == "hooks" && !is_events),
            (None, Value::Array(given)) if is_events => {
                let mut entries = Vec::new();
                lay_entries(&mut entries, given);
                base_keys.insert(key.clone(), Value::Array(entries));
            }
            (None, value) => drop(base_keys.insert(key.clone(), value.clone())),
        }
    }
}

fn lay_entries(entries: &mut Vec<Value>, given: &[Value]) {
    for entry in given {
        let is_same = |old: &Value| matcher_of(old) == matcher_of(entry);
        let is_empty = entry.get("hooks").and_then(Value::as_array).is_some_and(Vec::is_empty);
        match entries.iter().position(is_same) {
            Some(at) if is_empty => drop(entries.remove(at)),
            Some(at) => entries[at] = entry.clone(),
            None if is_empty => {}
            None => entries.push(entry.clone()),
        }
    }
}

/// None, an empty one and `*` all mean every tool; an entry in a form without matchers has its command for one.
fn matcher_of(entry: &Value) -> Option<&str> {
    if entry.get("hooks").is_none() {
        return ["command", "bash"].iter().find_map(|key| entry.get(key)).and_then(Value::as_str);
    }
    entry.get(MATCHER).and_then(Value::as_str).filter(|matcher| !matcher.is_empty() && *matcher != "*")
}

/// Puts `ours` into the `hooks` of a person's file, in place of older ones of ours; everything else stays.
pub fn put_in(theirs: &mut Map<String, Value>, ours: &Map<String, Value>) {
    take_out(theirs);
    for (key, value) in ours.iter().filter(|(key, _)| *key != "hooks") {
        theirs.entry(key.clone()).or_insert_with(|| value.clone());
    }
    let events = theirs.entry("hooks").or_insert_with(|| Value::Object(Map::new()));
    let Some(events) = events.as_object_mut() else { return };
    for (event, entries) in ours.get("hooks").and_then(Value::as_object).into_iter().flatten() {
        let list = events.entry(event.clone()).or_insert_with(|| Value::Array(Vec::new()));
        if let Some(list) = list.as_array_mut() {
            list.extend(entries.as_array().into_iter().flatten().cloned());
        }
    }
}

/// Takes what is ours out of a person's file, and tells whether there was anything.
pub fn take_out(theirs: &mut Map<String, Value>) -> bool {
    let mut has_any = false;
    let Some(events) = theirs.get_mut("hooks").and_then(Value::as_object_mut) else { return false };
    events.retain(|_, entries| {
        let Some(list) = entries.as_array_mut() else { return true };
        let before = list.len();
        list.retain(|entry| !entry.get("command").and_then(Value::as_str).is_some_and(|line| line.ends_with(MARK)));
        has_any |= list.len() < before;
        list.len() == before || !list.is_empty()
    });
    has_any
}

/// JSON as one value of TOML, for flags; `null` stands nowhere in it.
#[must_use]
pub fn toml_of(value: &Value) -> String {
    match value {
        Value::Array(all) => format!("[{}]", all.iter().map(toml_of).collect::<Vec<_>>().join(", ")),
        Value::Object(all) => {
            let pairs = all.iter().filter(|(_, value)| !value.is_null());
            let pairs: Vec<String> = pairs.map(|(key, value)| format!("{} = {}", toml_key(key), toml_of(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        // TOML's basic strings have the escapes of JSON, but also want DEL escaped.
        Value::String(_) => value.to_string().replace('\u{7f}', "\\u007f"),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A key of TOML, quoted where it must be.
#[must_use]
pub fn toml_key(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_bare { key.to_owned() } else { toml_of(&Value::from(key)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn laid(base: &Value, over: &Value) -> Value {
        let mut base = base.clone();
        lay_over(&mut base, over);
        base
    }

    #[test]
    fn an_entry_with_the_same_matcher_takes_the_place_of_the_other() {
        let base = json!({"hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [1]}], "Stop": [{"hooks": [2]}]}});
        let both = laid(&base, &json!({"hooks": {"PreToolUse": [{"matcher": "Write", "hooks": [3]}]}}));
        assert_eq!(both["hooks"]["PreToolUse"].as_array().unwrap().len(), 2);
        let other = laid(&base, &json!({"hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [4]}], "New": [{"hooks": [5]}]}}));
        assert_eq!(other["hooks"]["PreToolUse"], json!([{"matcher": "Bash", "hooks": [4]}]));
        assert_eq!((&other["hooks"]["Stop"], &other["hooks"]["New"]), (&json!([{"hooks": [2]}]), &json!([{"hooks": [5]}])));
        let gone = laid(&base, &json!({"hooks": {"Stop": [{"matcher": "*", "hooks": []}]}}));
        assert_eq!(gone["hooks"]["Stop"], json!([]), "a star matches what none matches");
        assert_eq!(laid(&base, &json!({"hooks": {"Stop": []}}))["hooks"].get("Stop"), None);
    }

    #[test]
    fn other_keys_go_by_their_names_and_null_takes_away() {
        let base = json!({"env": {"A": "1", "B": "2"}, "model": "x", "hooks": {}});
        let laid = laid(&base, &json!({"env": {"B": null, "C": "3"}, "model": "y", "list": [1]}));
        assert_eq!(laid, json!({"env": {"A": "1", "C": "3"}, "model": "y", "list": [1], "hooks": {}}));
    }

    #[test]
    fn entries_without_matchers_are_told_apart_by_their_commands() {
        let base = json!({"version": 1, "hooks": {"agentStop": [{"type": "command", "bash": "gt"}]}});
        let both = laid(&base, &json!({"hooks": {"agentStop": [{"type": "command", "bash": "mine"}]}}));
        assert_eq!(both["hooks"]["agentStop"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_persons_keys_are_kept_when_ours_come_and_go() {
        let theirs = json!({"version": 1, "x": true, "hooks": {"stop": [{"command": "mine"}], "mine": [{"command": "y"}]}});
        let ours = json!({"version": 2, "hooks": {"stop": [{"command": format!("gt {MARK}")}], "new": [{"command": format!("gt {MARK}")}]}});
        let (mut now, ours) = (theirs.as_object().unwrap().clone(), ours.as_object().unwrap());
        put_in(&mut now, ours);
        let once = now.clone();
        put_in(&mut now, ours);
        assert_eq!(now, once, "done again it changes nothing");
        assert_eq!((&now["version"], now["hooks"]["stop"].as_array().unwrap().len()), (&json!(1), 2));
        assert!(take_out(&mut now) && !take_out(&mut now));
        assert_eq!(Value::Object(now), theirs);
    }

    #[test]
    fn json_is_said_as_toml() {
        let value = json!([{"hooks": [{"type": "command", "command": "a \"b\" 'c'\n", "timeout": 5, "on": true}], "a b": []}]);
        let wanted = "[{a_b = 1}]";
        assert_eq!(toml_of(&json!([{"a_b": 1}])), wanted);
        let text = toml_of(&value);
        assert!(text.contains(r#"command = "a \"b\" 'c'\n""#) && text.contains(r#""a b" = []"#), "{text}");
        assert_eq!(toml_of(&json!("\u{7f}")), "\"\\u007f\"");
    }
}
