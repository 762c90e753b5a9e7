//! Beads as lines of JSON, in the field names of the `bd` tool: what an export writes and an import reads.
//!
//! A line holds the record as it is stored, plus `_type`. What this version does not know stays in the record. Clocks
//! belong to the ledger that a record lies in and are not taken over from a line.

pub mod adopt;

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::error::{Error, Kind, OrFail, Result};
use crate::model::bead::{Bead, DependencyKind, Status};
use crate::model::record::{self, Object, SCHEMA_VERSION};
use crate::model::spelling::{self, STATUS_WORDS, TYPE_WORDS, respelled};
use crate::model::tombstone::Tombstone;
use crate::name::BeadId;
use crate::time::Moment;
use adopt::Renames;

/// What a line holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A bead.
    Bead {
        /// It.
        bead: Box<Bead>,
        /// Whether it was on a hook or in review there, and is open here, where neither is.
        was_freed: bool,
    },
    /// A bead that was deleted there.
    Tombstone(Box<Tombstone>),
    /// Something that is no bead, such as a memory of the `bd` tool.
    Other,
}

/// Fields that the `bd` tool works out for readers, and those of this format and of clocks.
const WORKED_OUT: [&str; 8] =
    ["_type", "schema_version", "dependency_count", "dependent_count", "comment_count", "notes_preview", "rev", "revs"];

/// The field of a record that keeps dependencies on what has no id here, such as `external:project:capability`.
const OUTSIDE: &str = "outside_dependencies";

/// The line of a stored record, without its end. A child says so by an edge too, as the `bd` tool knows no other way.
///
/// # Panics
/// Never: a JSON object can always be written.
#[must_use]
pub fn line_of(mut record: Object) -> String {
    record.insert("_type".into(), "issue".into());
    let edges = || record.get("dependencies").and_then(Value::as_array).into_iter().flatten();
    let is_said = record.get("parent").is_some_and(|parent| edges().any(|edge| edge["depends_on_id"] == *parent));
    let parent = parent_edge(&record).filter(|_| !is_said);
    let outside = record.remove(OUTSIDE).and_then(|edges| if let Value::Array(edges) = edges { Some(edges) } else { None });
    let more: Vec<Value> = parent.map(Value::Object).into_iter().chain(outside.into_iter().flatten()).collect();
    if !more.is_empty()
        && let Some(edges) = record.entry("dependencies").or_insert_with(|| Value::Array(Vec::new())).as_array_mut()
    {
        edges.extend(more);
    }
    serde_json::to_string(&record).expect("a JSON object can always be written")
}

/// The edge that says what the field `parent` says; `None` when there is no parent.
fn parent_edge(record: &Object) -> Option<Object> {
    let by = record.get("created_by").cloned().unwrap_or_else(|| "".into());
    let fields = [
        ("issue_id", record.get("id")?.clone()),
        ("depends_on_id", record.get("parent")?.clone()),
        ("type", DependencyKind::ParentChild.word().into()),
        ("created_by", by),
        ("created_at", record.get("created_at")?.clone()),
    ];
    Some(fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect())
}

/// A record without clocks: what two ledgers can have in common.
#[must_use]
pub fn without_clocks(mut record: Object) -> Object {
    record.remove("rev");
    record.remove("revs");
    record
}

/// Reads a line; `now` stands in for a time of creation that it does not tell, and `renames` gives other ids.
///
/// # Errors
/// Usage, when it is no JSON object or a field has the wrong form; refused, when it is of a newer version.
pub fn read_line(bytes: &[u8], now: Moment, renames: Option<&Renames>) -> Result<Line> {
    let text = std::str::from_utf8(bytes).or_fail(Kind::Usage, || "it is not UTF-8")?;
    let mut object: Object = serde_json::from_str(text).or_fail(Kind::Usage, || "it is no JSON object")?;
    let is_header = object.contains_key("_schema") && !object.contains_key("id");
    match object.get("_type").and_then(Value::as_str) {
        Some("issue") | None if !is_header => {}
        _ => return Ok(Line::Other),
    }
    if let Some(renames) = renames {
        renames.apply(&mut object);
    }
    if object.get("status").and_then(Value::as_str) == Some("tombstone") {
        return stone(object, now).map(|stone| Line::Tombstone(Box::new(stone)));
    }
    if object.get("v").and_then(Value::as_u64).is_some_and(|v| v > SCHEMA_VERSION) {
        return Err(Error::refused("it was written by a newer gt").hint("upgrade gt on this machine"));
    }
    let object = completed(object, now)?;
    let mut bead: Bead =
        serde_json::from_value(Value::Object(object)).map_err(|error| Error::usage(format!("it is no bead: {error}")))?;
    let was_freed = agree(&mut bead);
    Ok(Line::Bead { bead: Box::new(bead), was_freed })
}

/// The line of a tombstone, without its end: what the `bd` tool writes of a deleted bead.
///
/// # Panics
/// As [`line_of`].
#[must_use]
pub fn line_of_tombstone(stone: &Tombstone) -> String {
    let mut line = record::object_of(stone);
    let told: Vec<(&str, Option<Value>)> =
        TOLD_TWICE.iter().map(|(field, twin)| (*field, line.get(*twin).cloned())).chain([("priority", Some(2.into()))]).collect();
    for (field, value) in told {
        if let Some(value) = value {
            line.entry(field).or_insert(value);
        }
    }
    line.insert("_type".into(), "issue".into());
    line.insert("status".into(), "tombstone".into());
    serde_json::to_string(&line).expect("a JSON object can always be written")
}

/// Fields of a tombstone's line that say what another says, as a rule.
const TOLD_TWICE: [(&str, &str); 2] = [("updated_at", "deleted_at"), ("issue_type", "original_type")];

/// The tombstone that a line tells of.
fn stone(mut object: Object, now: Moment) -> Result<Tombstone> {
    object.retain(|field, value| !value.is_null() && !WORKED_OUT.contains(&field.as_str()));
    object.remove("status");
    object.entry("v").or_insert_with(|| SCHEMA_VERSION.into());
    for (field, twin) in TOLD_TWICE {
        if let Some(value) = object.get(field).cloned() {
            object.entry(twin).or_insert(value);
        }
        if object.contains_key(field) && object.get(field) == object.get(twin) {
            object.remove(field);
        }
    }
    if object.get("priority").is_some_and(|priority| priority == 2) {
        object.remove("priority");
    }
    object.entry("deleted_at").or_insert_with(|| now.to_string().into());
    serde_json::from_value(Value::Object(object)).map_err(|error| Error::usage(format!("it is no tombstone: {error}")))
}

/// Fills in what other tools leave out and spells their words in ours.
fn completed(mut object: Object, now: Moment) -> Result<Object> {
    object.retain(|field, value| !value.is_null() && !WORKED_OUT.contains(&field.as_str()));
    let id = object.get("id").and_then(Value::as_str).or_fail(Kind::Usage, || "it has no id")?.to_owned();
    let defaults: [(&str, Value); 6] = [
        ("v", SCHEMA_VERSION.into()),
        ("issue_type", "task".into()),
        ("status", "open".into()),
        ("priority", 2.into()),
        ("created_at", now.to_string().into()),
        ("created_by", "".into()),
    ];
    for (field, value) in defaults {
        object.entry(field).or_insert(value);
    }
    let created_at = object["created_at"].clone();
    object.entry("updated_at").or_insert_with(|| created_at.clone());
    if let Some(word) = object["status"].as_str() {
        let plain = spelling::plain(word);
        let plain = respelled(&plain, &STATUS_WORDS);
        if Status::WORDS.contains(&plain) {
            object["status"] = plain.into();
        }
    }
    if let Some(word) = object["issue_type"].as_str() {
        object["issue_type"] = respelled(word, &TYPE_WORDS).into();
    }
    if let Some(number) = object["priority"].as_str().and_then(|text| spelling::priority(text).ok()) {
        object["priority"] = number.into();
    }
    for edge in parts(&mut object, "dependencies") {
        edge.retain(|_, value| !value.is_null());
        edge.entry("issue_id").or_insert_with(|| id.clone().into());
        edge.entry("type").or_insert_with(|| "blocks".into());
        edge.entry("created_at").or_insert_with(|| created_at.clone());
    }
    put_outside(&mut object);
    drop_parent_edge(&mut object);
    complete_comments(&mut object, &created_at);
    // The word of an older version for it.
    if object.remove("wisp").is_some_and(|wisp| wisp == true) {
        object.insert("ephemeral".into(), true.into());
    }
    Ok(object)
}

/// Puts dependencies on what has no id here aside; they go out again as they came.
fn put_outside(object: &mut Object) {
    let Some(edges) = object.get_mut("dependencies").and_then(Value::as_array_mut) else { return };
    let is_id = |edge: &Value| edge["depends_on_id"].as_str().is_some_and(|target| target.parse::<BeadId>().is_ok());
    let (here, outside): (Vec<Value>, Vec<Value>) =
        std::mem::take(edges).into_iter().partition(|edge| !edge["depends_on_id"].is_string() || is_id(edge));
    *edges = here;
    if !outside.is_empty() {
        object.insert(OUTSIDE.into(), Value::Array(outside));
    }
}

/// Takes the edge away that [`line_of`] adds for the field `parent`, so that what comes back is what went out.
fn drop_parent_edge(object: &mut Object) {
    let Some(made) = parent_edge(object) else { return };
    let Some(edges) = object.get_mut("dependencies").and_then(Value::as_array_mut) else { return };
    let is_made = |edge: &Value| {
        let Some(edge) = edge.as_object() else { return false };
        let by = edge.get("created_by").and_then(Value::as_str).unwrap_or_default();
        made["created_by"] == by && edge.iter().all(|(field, value)| field == "created_by" || made.get(field) == Some(value))
    };
    edges.retain(|edge| !is_made(edge));
}

/// Gives every comment an id of its own, in words, and what else it needs.
fn complete_comments(object: &mut Object, created_at: &Value) {
    let Some(comments) = object.get_mut("comments").and_then(Value::as_array_mut) else { return };
    for comment in comments.iter_mut().filter_map(Value::as_object_mut) {
        comment.retain(|_, value| !value.is_null());
        comment.entry("author").or_insert_with(|| "".into());
        comment.entry("created_at").or_insert_with(|| created_at.clone());
        if let Some(number) = comment.get("id").filter(|id| id.is_number()).map(ToString::to_string) {
            comment.insert("id".into(), number.into());
        }
    }
    // The same remark twice is one; two remarks under one number are two.
    let mut seen: HashMap<String, Vec<Value>> = HashMap::new();
    comments.retain(|comment| match comment["id"].as_str().map(|id| seen.entry(id.to_owned()).or_default()) {
        Some(same) if same.contains(comment) => false,
        Some(same) => {
            same.push(comment.clone());
            true
        }
        None => true,
    });
    let mut taken: HashSet<String> = HashSet::new();
    for (n, comment) in comments.iter_mut().enumerate().filter_map(|(n, comment)| Some((n, comment.as_object_mut()?))) {
        let given = match comment.get("id") {
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => continue,
            None => None,
        };
        if given.as_ref().is_some_and(|id| taken.insert(id.clone())) {
            continue;
        }
        let start = given.unwrap_or_else(|| (n + 1).to_string());
        let free = (1..).map(|turn| if turn == 1 { start.clone() } else { format!("{start}-{turn}") });
        let id = free.into_iter().find(|id| !seen.contains_key(id) && !taken.contains(id)).unwrap_or_default();
        taken.insert(id.clone());
        comment.insert("id".into(), id.into());
    }
}

fn parts<'o>(object: &'o mut Object, field: &str) -> impl Iterator<Item = &'o mut Object> {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Brings status and times together; a bead that is on no hook here and has no request here is open, and that is told.
fn agree(bead: &mut Bead) -> bool {
    let was_freed = matches!(bead.status, Status::Hooked | Status::InReview);
    if was_freed {
        bead.status = Status::Open;
        bead.let_go();
    }
    if !bead.status.is_closed() {
        bead.closed_at = None;
        bead.closed_by = None;
    } else if bead.closed_at.is_none() {
        bead.closed_at = Some(bead.updated_at);
    }
    was_freed
}

/// The record of `bead`, without clocks.
#[must_use]
pub fn record_of(bead: &Bead) -> Object {
    without_clocks(record::object_of(bead))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::IssueType;

    fn read(text: &str) -> Bead {
        match read_line(text.as_bytes(), Moment::from_millis(7), None).unwrap() {
            Line::Bead { bead, .. } => *bead,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_line_of_the_bd_tool_is_read_with_all_that_it_says() {
        let bead = read(
            r#"{"_type":"issue","id":"bd-a1","title":"Größe","status":"in-progress","issue_type":"enhancement","priority":"P1",
            "created_at":"2026-01-01T02:00:00.123456789+02:00","spec_id":"s","metadata":{"bd:x":[1,null]},"comment_count":1,
            "comments":[{"id":7,"issue_id":"bd-a1","author":"ann","text":"ja","created_at":"2026-01-01T00:00:00Z"}],
            "dependencies":[{"depends_on_id":"bd-b2","type":"caused-by","metadata":"{}"}]}"#,
        );
        assert_eq!((bead.status.clone(), bead.issue_type.clone(), bead.priority), (Status::InProgress, IssueType::Feature, 1));
        assert_eq!(bead.created_at.to_string(), "2026-01-01T00:00:00.123Z");
        assert_eq!((bead.comments[0].id.as_str(), &bead.comments[0].extra["issue_id"]), ("7", &Value::from("bd-a1")));
        assert_eq!(
            (bead.dependencies[0].kind.word(), &bead.dependencies[0].extra["metadata"]),
            ("caused-by", &Value::from("{}"))
        );
        let record = record_of(&bead);
        assert_eq!((&record["spec_id"], &record["metadata"]["bd:x"][1]), (&Value::from("s"), &Value::Null));
        assert!(!record.contains_key("comment_count"));
        assert_eq!(record_of(&read(&line_of(record.clone()))), record, "what is written is read back");
    }

    #[test]
    fn remarks_have_ids_of_their_own_and_none_is_lost() {
        let bead = read(
            r#"{"id":"bd-a1","title":"t","comments":[{"id":2,"author":"a","text":"x"},{"id":"2","author":"a","text":"x"},
            {"id":2,"author":"b","text":"y"},{"author":"c","text":"z"},{"id":null,"text":"w"},{"id":"1f-uu","text":"v"}]}"#,
        );
        let told: Vec<(&str, &str)> = bead.comments.iter().map(|one| (one.id.as_str(), one.text.as_str())).collect();
        assert_eq!(told, [("2", "x"), ("2-2", "y"), ("3", "z"), ("4", "w"), ("1f-uu", "v")]);
    }

    #[test]
    fn a_child_and_what_it_depends_on_outside_go_out_and_come_back() {
        let text = r#"{"id":"bd-a1.1","title":"t","parent":"bd-a1","created_by":"ann","created_at":"2026-01-01T00:00:00.000Z",
            "dependencies":[{"depends_on_id":"external:web:login","type":"blocks","metadata":"{}"}],"wisp":true}"#;
        let bead = read(text);
        assert_eq!((bead.dependencies.len(), &bead.extra["ephemeral"]), (0, &Value::Bool(true)));
        let line: Value = serde_json::from_str(&line_of(record_of(&bead))).unwrap();
        let edges: Vec<(&str, &str)> = line["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|edge| (edge["depends_on_id"].as_str().unwrap(), edge["type"].as_str().unwrap()))
            .collect();
        assert_eq!(edges, [("bd-a1", "parent-child"), ("external:web:login", "blocks")]);
        assert_eq!(read(&line.to_string()), bead);
    }

    #[test]
    fn closed_and_its_time_agree_and_what_hangs_nowhere_here_is_open() {
        let closed = read(r#"{"id":"bd-a1","title":"t","status":"done"}"#);
        assert_eq!((closed.status.is_closed(), closed.closed_at), (true, Some(Moment::from_millis(7))));
        let hooked = read(
            r#"{"id":"bd-a1","title":"t","status":"hooked","assignee":"x","model":"opus","hooked_at":"2026-01-01T00:00:00Z",
            "closed_at":"2026-01-01T00:00:00Z"}"#,
        );
        assert_eq!((hooked.status, hooked.assignee, hooked.closed_at), (Status::Open, None, None));
        assert_eq!((hooked.model, hooked.hooked_at), (None, None));
    }

    #[test]
    fn what_is_no_bead_is_told_apart_and_what_is_malformed_refused() {
        let now = Moment::from_millis(0);
        assert_eq!(read_line(br#"{"_type":"memory","key":"k"}"#, now, None).unwrap(), Line::Other);
        let text = r#"{"deleted_at":"2026-01-01T00:00:00Z","description":"d","id":"bd-a1","issue_type":"bug","original_type":"bug",
            "priority":2,"status":"tombstone","title":"t","updated_at":"2026-01-01T00:00:00Z","deleted_by":"ann"}"#;
        let Line::Tombstone(stone) = read_line(text.as_bytes(), now, None).unwrap() else { panic!() };
        assert_eq!((stone.deleted_by.as_str(), stone.extra.len(), stone.original_type.word()), ("ann", 1, "bug"));
        let Line::Tombstone(again) = read_line(line_of_tombstone(&stone).as_bytes(), now, None).unwrap() else { panic!() };
        assert_eq!(again, stone);
        for bad in [&b"{"[..], b"[]", b"\xff", b"{\"id\":\"nodash\",\"title\":\"t\"}", b"{\"title\":\"t\"}", b"{\"id\":\"a-b\"}"]
        {
            assert!(read_line(bad, now, None).is_err(), "{bad:?}");
        }
        assert_eq!(read_line(br#"{"id":"a-b","title":"t","v":2}"#, now, None).unwrap_err().kind, Kind::Refused);
    }
}
