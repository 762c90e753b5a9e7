//! What every record shares: JSON form, schema version, logical clocks, and the units it merges by.
//!
//! A record is a JSON object. Unknown fields are kept because transactions stamp and store the whole
//! object; typed views flatten what they do not know into `extra`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::error::{Error, Kind, OrFail, Result};
use crate::model::bead::is_of_standing;

/// A JSON object: a record as it is stored.
pub type Object = Map<String, Value>;

/// The newest record schema that this program writes; a record above it is read-only here.
pub const SCHEMA_VERSION: u64 = 1;

/// The field of a bead that came back from the archive which names the content of its copy there.
pub const ARCHIVE_COPY: &str = "archive_copy";

/// The logical clock of a transaction: a Lamport number and the machine that wrote.
///
/// Ordered by number, then machine; the wall clock decides nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rev {
    /// One more than the highest that the transaction's parents had.
    pub number: u64,
    /// Id of the machine that wrote it.
    pub machine: String,
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.number, self.machine)
    }
}

impl FromStr for Rev {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (number, machine) =
            text.split_once('@').or_fail(Kind::Corrupt, || format!("'{}' is not a rev", text.escape_debug()))?;
        let number = number.parse().or_fail(Kind::Corrupt, || format!("'{}' is not a rev", text.escape_debug()))?;
        Ok(Self { number, machine: machine.to_owned() })
    }
}

crate::schema::text_schema!(Rev, { "examples": ["12@m1"] });

impl Serialize for Rev {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rev {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The class of a record, told by the first part of its path in the ledger; it fixes the merge units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `beads/…`
    Bead,
    /// `mail/…`
    Letter,
    /// `hooks/…`
    Hook,
    /// `machines/…`
    Machine,
    /// `config/…`: each key under `values` is a unit.
    Config,
    /// `outbox/…`, `conflicts/…`, gate results: written once, merged by union.
    Once,
    /// `queue/intents/…`: one unit.
    Intent,
    /// `queue/targets/…`: one unit.
    Control,
    /// `tombstones/…`: one unit.
    Tombstone,
    /// Everything else, also kinds of a newer version: field by field.
    Other,
}

impl Class {
    /// The class of the record at `path`.
    #[must_use]
    pub fn of(path: &str) -> Self {
        match path.split('/').next().unwrap_or_default() {
            "beads" => Self::Bead,
            "mail" => Self::Letter,
            "hooks" => Self::Hook,
            "machines" => Self::Machine,
            "config" => Self::Config,
            "tombstones" => Self::Tombstone,
            "outbox" | "conflicts" => Self::Once,
            "queue" if path.starts_with("queue/gates/") => Self::Once,
            "queue" if path.starts_with("queue/intents/") => Self::Intent,
            "queue" if path.starts_with("queue/targets/") => Self::Control,
            _ => Self::Other,
        }
    }

    /// The unit that top-level `field` belongs to; fields of one unit merge as one value.
    #[must_use]
    pub fn unit_of(self, field: &str) -> &str {
        match self {
            Self::Hook | Self::Machine | Self::Intent | Self::Control | Self::Once | Self::Tombstone => "all",
            Self::Bead => match field {
                field if is_of_standing(field) => "status",
                "head" | "base" | "tree" => "head",
                other => other,
            },
            Self::Letter | Self::Config | Self::Other => field,
        }
    }
}

/// Fields that carry the clocks themselves.
const CLOCKS: [&str; 2] = ["rev", "revs"];

/// The fields of `object` grouped by unit, clocks left out. For configuration, each key under `values`
/// is a unit of its own, named `values.<key>`.
#[must_use]
pub fn units(class: Class, object: &Object) -> BTreeMap<String, Object> {
    let mut units: BTreeMap<String, Object> = BTreeMap::new();
    for (field, value) in object.iter().filter(|(field, _)| !CLOCKS.contains(&field.as_str())) {
        if class == Class::Config && field == "values" {
            for (key, value) in value.as_object().into_iter().flatten() {
                units.entry(format!("values.{key}")).or_default().insert(key.clone(), value.clone());
            }
            continue;
        }
        units.entry(class.unit_of(field).to_owned()).or_default().insert(field.clone(), value.clone());
    }
    units
}

/// Puts units back together into an object without clocks; the inverse of [`units`].
#[must_use]
pub fn join_units(class: Class, units: BTreeMap<String, Object>) -> Object {
    let mut object = Object::new();
    for (unit, fields) in units {
        if class == Class::Config && unit.starts_with("values.") {
            let values = object.entry("values").or_insert_with(|| Value::Object(Object::new()));
            if let Some(values) = values.as_object_mut() {
                values.extend(fields);
            }
            continue;
        }
        object.extend(fields);
    }
    object
}

/// The clock of `unit` in `object`: its own where it differs, else the record's.
#[must_use]
pub fn unit_rev(object: &Object, unit: &str) -> Rev {
    let own = object.get("revs").and_then(|revs| revs.get(unit)).and_then(Value::as_str);
    let whole = || object.get("rev").and_then(Value::as_str);
    own.or_else(whole).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Sets the clocks of `new`: changed units get `rev`, unchanged ones keep what they had in `old`.
///
/// `revs` lists only units whose clock differs from the record's, so that a record written in one go has none.
#[must_use]
pub fn stamp(class: Class, old: Option<&Object>, mut new: Object, rev: &Rev) -> Object {
    let is_unit = |field: &str| !CLOCKS.contains(&field) && field != "values";
    if old.is_none() && new.keys().any(|field| is_unit(field)) {
        // All of it is new, so that all of it has this clock.
        new.insert("rev".into(), Value::String(rev.to_string()));
        new.remove("revs");
        return new;
    }
    let before = old.map(|old| units(class, old)).unwrap_or_default();
    let mut clocks = BTreeMap::new();
    let after = units(class, &new);
    for (unit, fields) in &after {
        let unchanged = before.get(unit) == Some(fields);
        let kept = old.filter(|_| unchanged).map(|old| unit_rev(old, unit));
        clocks.insert(unit.clone(), kept.unwrap_or_else(|| rev.clone()));
    }
    for unit in before.keys().filter(|unit| !after.contains_key(*unit)) {
        clocks.insert(unit.clone(), rev.clone());
    }
    set_clocks(&mut new, clocks);
    new
}

/// Writes `clocks` into `object`: the highest as the record's, the others by unit.
pub fn set_clocks(object: &mut Object, mut clocks: BTreeMap<String, Rev>) {
    let highest = clocks.values().max().cloned().unwrap_or_default();
    clocks.retain(|_, rev| *rev != highest);
    object.insert("rev".into(), Value::String(highest.to_string()));
    object.remove("revs");
    if !clocks.is_empty() {
        let clocks = clocks.into_iter().map(|(unit, rev)| (unit, Value::String(rev.to_string()))).collect();
        object.insert("revs".into(), Value::Object(clocks));
    }
}

/// The bytes of a record: two-space indent, sorted keys, final newline.
///
/// # Panics
/// Never: a JSON object can always be written.
#[must_use]
pub fn encode(object: &Object) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(object).expect("a JSON object can always be written");
    bytes.push(b'\n');
    bytes
}

/// More bytes than [`encode`] gives for `object`, told without writing it.
#[must_use]
pub fn bytes_below(object: &Object) -> usize {
    // Deeper than this nothing is read, so that a line is indented by no more than twice as much.
    const LINE: usize = 2 * 128 + 8;
    fn below(value: &Value) -> usize {
        match value {
            // A character is written as six at most.
            Value::String(text) => 6 * text.len(),
            Value::Array(values) => values.iter().map(|value| LINE + below(value)).sum(),
            Value::Object(object) => bytes_below(object),
            Value::Null | Value::Bool(_) | Value::Number(_) => 32,
        }
    }
    LINE + object.iter().map(|(field, value)| LINE + 6 * field.len() + below(value)).sum::<usize>()
}

/// Reads a record from its bytes.
///
/// # Errors
/// Corrupt, when it is not a JSON object; `path` names it.
pub fn decode(path: &str, bytes: &[u8]) -> Result<Object> {
    serde_json::from_slice(bytes).or_fail(Kind::Corrupt, || format!("read the record {path}"))
}

/// Refuses to rewrite a record of a newer schema.
///
/// # Errors
/// Refused, when the record's `v` is above ours.
pub fn check_writable(path: &str, object: &Object) -> Result<()> {
    let version = object.get("v").and_then(Value::as_u64).unwrap_or(SCHEMA_VERSION);
    if version <= SCHEMA_VERSION {
        return Ok(());
    }
    Err(Error::refused(format!("{path} was written by a newer gt (record version {version}) and is read-only here"))
        .hint("upgrade gt on this machine"))
}

/// Views a stored object as a typed record.
///
/// # Errors
/// Corrupt, when a field has the wrong type; `path` names the record.
pub fn view<T: DeserializeOwned>(path: &str, object: &Object) -> Result<T> {
    serde_json::from_value(Value::Object(object.clone())).or_fail(Kind::Corrupt, || format!("read the record {path}"))
}

/// Reads a typed record from its bytes.
///
/// # Errors
/// Corrupt, when it is no record of this type; `path` names it.
pub fn read<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T> {
    // The short way takes a third of the time; what it refuses, such as a key written twice, the long way judges.
    serde_json::from_slice(bytes).or_else(|_| view(path, &decode(path, bytes)?))
}

/// The object that stores a typed record.
///
/// # Panics
/// Never for our record types, which are structs that serialize to objects.
#[must_use]
pub fn object_of<T: Serialize>(record: &T) -> Object {
    match serde_json::to_value(record) {
        Ok(Value::Object(object)) => object,
        other => panic!("a record must serialize to an object, not {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        serde_json::from_str(text).unwrap()
    }

    fn rev(number: u64) -> Rev {
        Rev { number, machine: "m".into() }
    }

    #[test]
    fn only_changed_units_get_the_new_clock() {
        let first = stamp(Class::Bead, None, object(r#"{"title":"a","status":"open"}"#), &rev(1));
        assert_eq!(first.get("rev").unwrap(), "1@m");
        assert!(!first.contains_key("revs"));
        let mut edit = first.clone();
        edit.insert("title".into(), "b".into());
        let second = stamp(Class::Bead, Some(&first), edit, &rev(5));
        assert_eq!(unit_rev(&second, "title"), rev(5));
        assert_eq!(unit_rev(&second, "status"), rev(1));
    }

    #[test]
    fn a_new_record_has_one_clock_and_is_smaller_than_its_bound() {
        for text in
            [r#"{"title":"a\u0001ü","revs":{"title":"1@m"},"labels":["x","y"],"n":1.5}"#, r#"{"values":{}}"#, r#"{"a":{"b":[]}}"#]
        {
            for class in [Class::Bead, Class::Config, Class::Other] {
                let new = stamp(class, None, object(text), &rev(7));
                let slowly = stamp(class, Some(&Object::new()), object(text), &rev(7));
                assert_eq!(new, slowly, "{text}");
                assert!(encode(&new).len() < bytes_below(&new));
            }
        }
    }

    #[test]
    fn a_removed_unit_leaves_its_clock() {
        let first = stamp(Class::Config, None, object(r#"{"values":{"a":1,"b":2}}"#), &rev(1));
        let second = stamp(Class::Config, Some(&first), object(r#"{"values":{"b":2}}"#), &rev(2));
        assert_eq!(unit_rev(&second, "values.a"), rev(2));
        assert_eq!(unit_rev(&second, "values.b"), rev(1));
    }

    #[test]
    fn units_come_apart_and_together_again() {
        for text in [r#"{"values":{"a":1,"b":{"c":2}},"v":1}"#, r#"{"status":"open","assignee":"x","new_field":[1]}"#] {
            let object = object(text);
            for class in [Class::Bead, Class::Config, Class::Hook, Class::Other] {
                assert_eq!(join_units(class, units(class, &object)), object);
            }
        }
    }

    #[test]
    fn equal_content_is_an_equal_blob() {
        assert_eq!(encode(&object(r#"{"b":1,"a":2}"#)), encode(&object(r#"{"a":2,"b":1}"#)));
        assert!(decode("beads/x", b"not json").is_err());
    }
}
