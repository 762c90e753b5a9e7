//! Beads as lines of JSON, in the field names of the `bd` tool: what an export writes and an import reads.
//!
//! A line holds the record as it is stored, plus `_type`. What this version does not know stays in the record. Clocks
//! belong to the ledger that a record lies in and are not taken over from a line.

use serde_json::Value;

use crate::error::{Error, Kind, OrFail, Result};
use crate::model::bead::{Bead, Status};
use crate::model::record::{self, Object, SCHEMA_VERSION};
use crate::time::Moment;

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
    Tombstone,
    /// Something that is no bead, such as a memory of the `bd` tool.
    Other,
}

/// Fields that the `bd` tool works out for readers, and those of this format and of clocks.
const WORKED_OUT: [&str; 7] = ["_type", "schema_version", "dependency_count", "dependent_count", "comment_count", "rev", "revs"];

/// Words of other trackers and versions for our statuses.
const STATUS_WORDS: [(&str, &str); 3] = [("done", "closed"), ("todo", "open"), ("started", "in_progress")];
/// The `bd` tool's other words for its types.
const TYPE_WORDS: [(&str, &str); 3] = [("enhancement", "feature"), ("feat", "feature"), ("adr", "decision")];

/// The line of a stored record, without its end.
///
/// # Panics
/// Never: a JSON object can always be written.
#[must_use]
pub fn line_of(record: &Object) -> String {
    let mut line = record.clone();
    line.insert("_type".into(), "issue".into());
    serde_json::to_string(&line).expect("a JSON object can always be written")
}

/// A record without clocks: what two ledgers can have in common.
#[must_use]
pub fn without_clocks(mut record: Object) -> Object {
    record.remove("rev");
    record.remove("revs");
    record
}

/// Reads a line; `now` stands in for a time of creation that it does not tell.
///
/// # Errors
/// Usage, when it is no JSON object or a field has the wrong form; refused, when it is of a newer version.
pub fn read_line(bytes: &[u8], now: Moment) -> Result<Line> {
    let text = std::str::from_utf8(bytes).or_fail(Kind::Usage, || "it is not UTF-8")?;
    let object: Object = serde_json::from_str(text).or_fail(Kind::Usage, || "it is no JSON object")?;
    match object.get("_type").and_then(Value::as_str) {
        Some("issue") | None => {}
        Some(_) => return Ok(Line::Other),
    }
    if object.get("status").and_then(Value::as_str) == Some("tombstone") {
        return Ok(Line::Tombstone);
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
        let plain = word.to_lowercase().replace(['-', ' '], "_");
        let plain = respelled(&plain, &STATUS_WORDS);
        if Status::WORDS.contains(&plain) {
            object["status"] = plain.into();
        }
    }
    if let Some(word) = object["issue_type"].as_str() {
        object["issue_type"] = respelled(word, &TYPE_WORDS).into();
    }
    if let Some(number) = object["priority"].as_str().and_then(|text| text.trim_start_matches(['p', 'P']).parse::<u8>().ok()) {
        object["priority"] = number.into();
    }
    for edge in parts(&mut object, "dependencies") {
        edge.entry("issue_id").or_insert_with(|| id.clone().into());
        edge.entry("type").or_insert_with(|| "blocks".into());
        edge.entry("created_at").or_insert_with(|| created_at.clone());
    }
    for (n, comment) in parts(&mut object, "comments").enumerate() {
        comment.entry("author").or_insert_with(|| "".into());
        comment.entry("created_at").or_insert_with(|| created_at.clone());
        let id = comment.entry("id").or_insert_with(|| (n + 1).to_string().into());
        if id.is_number() {
            *id = id.to_string().into();
        }
    }
    Ok(object)
}

fn respelled<'w>(word: &'w str, words: &[(&str, &'w str)]) -> &'w str {
    words.iter().find(|(theirs, _)| *theirs == word).map_or(word, |(_, ours)| ours)
}

fn parts<'o>(object: &'o mut Object, field: &str) -> impl Iterator<Item = &'o mut Object> {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Brings status and times together; a bead that is on no hook here and has no request here is open, and that is told.
fn agree(bead: &mut Bead) -> bool {
    let was_freed = matches!(bead.status, Status::Hooked | Status::InReview);
    if was_freed {
        bead.status = Status::Open;
        bead.assignee = None;
        bead.assigned_rev = None;
        bead.started_at = None;
        bead.lease_until = None;
        bead.lease_millis = None;
    }
    if !bead.status.is_closed() {
        bead.closed_at = None;
        bead.close_reason = None;
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
        match read_line(text.as_bytes(), Moment::from_millis(7)).unwrap() {
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
        assert_eq!(record_of(&read(&line_of(&record))), record, "what is written is read back");
    }

    #[test]
    fn closed_and_its_time_agree_and_what_hangs_nowhere_here_is_open() {
        let closed = read(r#"{"id":"bd-a1","title":"t","status":"done"}"#);
        assert_eq!((closed.status.is_closed(), closed.closed_at), (true, Some(Moment::from_millis(7))));
        let hooked = read(r#"{"id":"bd-a1","title":"t","status":"hooked","assignee":"x","closed_at":"2026-01-01T00:00:00Z"}"#);
        assert_eq!((hooked.status, hooked.assignee, hooked.closed_at), (Status::Open, None, None));
    }

    #[test]
    fn what_is_no_bead_is_told_apart_and_what_is_malformed_refused() {
        let now = Moment::from_millis(0);
        assert_eq!(read_line(br#"{"_type":"memory","key":"k"}"#, now).unwrap(), Line::Other);
        assert_eq!(read_line(br#"{"id":"bd-a1","status":"tombstone"}"#, now).unwrap(), Line::Tombstone);
        for bad in [&b"{"[..], b"[]", b"\xff", b"{\"id\":\"nodash\",\"title\":\"t\"}", b"{\"title\":\"t\"}", b"{\"id\":\"a-b\"}"]
        {
            assert!(read_line(bad, now).is_err(), "{bad:?}");
        }
        assert_eq!(read_line(br#"{"id":"a-b","title":"t","v":2}"#, now).unwrap_err().kind, Kind::Refused);
    }
}
