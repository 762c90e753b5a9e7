//! Templates for rows of a list: `{field}` stands for a field of the bead, everything else for itself.
//!
//! Names are those of `--json`; what a bead does not have is empty. Values are foreign text and escaped when shown.

use std::str::FromStr;

use serde_json::Value;

use crate::cli::out::escape;
use crate::error::{Error, Result};

/// The names of fields, and short ones that stand for them.
const FIELDS: &[(&str, &str)] = &[
    ("id", "id"),
    ("title", "title"),
    ("description", "description"),
    ("design", "design"),
    ("acceptance", "acceptance_criteria"),
    ("acceptance_criteria", "acceptance_criteria"),
    ("notes", "notes"),
    ("type", "issue_type"),
    ("issue_type", "issue_type"),
    ("status", "status"),
    ("priority", "priority"),
    ("assignee", "assignee"),
    ("owner", "owner"),
    ("created_by", "created_by"),
    ("created", "created_at"),
    ("created_at", "created_at"),
    ("updated", "updated_at"),
    ("updated_at", "updated_at"),
    ("started", "started_at"),
    ("started_at", "started_at"),
    ("closed", "closed_at"),
    ("closed_at", "closed_at"),
    ("close_reason", "close_reason"),
    ("closed_by", "closed_by"),
    ("due", "due_at"),
    ("due_at", "due_at"),
    ("defer", "defer_until"),
    ("defer_until", "defer_until"),
    ("lease_until", "lease_until"),
    ("estimate", "estimated_minutes"),
    ("estimated_minutes", "estimated_minutes"),
    ("labels", "labels"),
    ("parent", "parent"),
    ("external_ref", "external_ref"),
    ("source_system", "source_system"),
    ("metadata", "metadata"),
    ("dependencies", "dependencies"),
    ("comments", "comments"),
    ("rev", "rev"),
];

/// A template that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// As it stands there.
    Text(String),
    /// A field, or a key of a field that has keys.
    Field { name: &'static str, key: Option<String> },
}

impl FromStr for Template {
    type Err = Error;

    /// Reads `{field}`, `{metadata.KEY}`, `{{` and `}}` for braces, `\n` and `\t`.
    fn from_str(text: &str) -> Result<Self> {
        let (mut pieces, mut plain) = (Vec::new(), String::new());
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match (c, rest.peek()) {
                ('{', Some('{')) | ('}', Some('}')) => plain.extend(rest.next()),
                ('\\', Some('n' | 't')) => plain.push(if rest.next() == Some('n') { '\n' } else { '\t' }),
                ('{', _) => {
                    let left: String = rest.clone().collect();
                    let (name, _) = left.split_once('}').ok_or_else(|| unclosed(&left))?;
                    // Past the name and its brace.
                    rest.nth(name.chars().count());
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(field(name.trim())?);
                }
                _ => plain.push(c),
            }
        }
        pieces.push(Piece::Text(plain));
        Ok(Self(pieces))
    }
}

fn unclosed(left: &str) -> Error {
    Error::usage(format!("'{{{}' has no closing brace", left.escape_debug()))
        .hint("write a field as {id}, and a brace that is meant as {{")
}

fn field(word: &str) -> Result<Piece> {
    let (name, key) = word.split_once('.').map_or((word, None), |(name, key)| (name, Some(key.to_owned())));
    let found = FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| *field);
    match found {
        Some(name) if key.is_none() || name == "metadata" => Ok(Piece::Field { name, key }),
        _ => Err(Error::usage(format!("'{}' is no field of a bead", word.escape_debug()))
            .hint(format!("one of: {}, metadata.KEY", FIELDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")))),
    }
}

impl Template {
    /// The line for a bead as `--json` gives it.
    #[must_use]
    pub fn fill(&self, bead: &Value) -> String {
        let mut line = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => line.push_str(text),
                Piece::Field { name, key } => {
                    let value = bead.get(*name).and_then(|value| key.as_ref().map_or(Some(value), |key| value.get(key)));
                    line.push_str(&escape(&value.map(plain).unwrap_or_default()));
                }
            }
        }
        line
    }
}

/// A value as a person writes it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
        }
        Value::Array(_) | Value::Object(_) | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_where_they_are_named() {
        let bead = serde_json::json!({"id": "wi-a", "title": "a\u{1b}[31m", "labels": ["x", "y"], "metadata": {"area": "north"}});
        let fill = |text: &str| text.parse::<Template>().unwrap().fill(&bead);
        assert_eq!(fill(r"{id}\t{labels} {{{owner}}}"), "wi-a\tx,y {}");
        assert_eq!(fill("{metadata.area}{metadata.none}|{type}"), "north|");
        assert!(!fill("{title}").contains('\u{1b}'));
    }

    #[test]
    fn an_unknown_field_is_refused_with_the_known_ones() {
        let error = "{colour}".parse::<Template>().unwrap_err();
        assert!(error.hint.unwrap().contains("created_at"));
        assert!("{title.x}".parse::<Template>().is_err() && "{}".parse::<Template>().is_err());
    }

    #[test]
    fn a_brace_that_is_not_closed_is_refused() {
        for text in ["{id", "{", "{id} {title"] {
            let error = text.parse::<Template>().unwrap_err();
            assert!(error.message.contains("no closing brace") && error.hint.is_some(), "{text}: {error}");
        }
    }
}
