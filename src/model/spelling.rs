//! How people and other trackers spell types, statuses and priorities: one reader of each, for every verb and every file.

use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::model::bead::{IssueType, Status};

/// Words of other trackers and versions for our statuses.
pub const STATUS_WORDS: [(&str, &str); 4] =
    [("done", "closed"), ("todo", "open"), ("started", "in_progress"), ("inprogress", "in_progress")];
/// The `bd` tool's other words for its types.
pub const TYPE_WORDS: [(&str, &str); 4] =
    [("enhancement", "feature"), ("feat", "feature"), ("adr", "decision"), ("dec", "decision")];
/// Words for priorities; those of the `bd` tool's documents and of other trackers.
const PRIORITY_WORDS: [(&str, u8); 7] =
    [("critical", 0), ("urgent", 0), ("high", 1), ("medium", 2), ("normal", 2), ("low", 3), ("backlog", 4)];

/// Our word for `word`, if `words` has one.
#[must_use]
pub fn respelled<'w>(word: &'w str, words: &[(&str, &'w str)]) -> &'w str {
    words.iter().find(|(theirs, _)| *theirs == word).map_or(word, |(_, ours)| ours)
}

/// Reads a type.
///
/// # Errors
/// Usage, when it is not known; the hint names those that are.
pub fn issue_type(said: &str) -> Result<IssueType> {
    let word = said.trim().to_lowercase();
    known("type", said, respelled(&word, &TYPE_WORDS))
}

/// Reads a status.
///
/// # Errors
/// Usage, when it is not known; the hint names those that are.
pub fn status(said: &str) -> Result<Status> {
    let word = plain(said);
    known("status", said, respelled(&word, &STATUS_WORDS))
}

/// A status in lower case and with underscores: `In-Progress` is `in_progress`.
#[must_use]
pub fn plain(status: &str) -> String {
    status.trim().to_lowercase().replace(['-', ' '], "_")
}

fn known<T: FromStr<Err = Error>>(what: &str, said: &str, word: &str) -> Result<T> {
    word.parse().map_err(|error: Error| {
        Error::usage(format!("'{}' is not a {what}", said.escape_debug())).hint(error.hint.unwrap_or_default())
    })
}

/// Reads a priority: a number, with or without the letter P, or a word.
///
/// # Errors
/// Usage, when it is not 0 to 4 and no such word.
pub fn priority(said: &str) -> Result<u8> {
    let word = said.trim().to_lowercase();
    let named = PRIORITY_WORDS.iter().find(|(name, _)| *name == word).map(|(_, number)| *number);
    let number = || word.strip_prefix('p').unwrap_or(&word).parse().ok().filter(|number| *number <= 4);
    named.or_else(number).ok_or_else(|| {
        Error::usage(format!("'{}' is not a priority", said.escape_debug()))
            .hint("0 is critical, 1 high, 2 usual, 3 low, 4 backlog; the words and P0 to P4 do too")
    })
}

/// Reads a priority of a record: a number, or a text as [`priority`] reads it; null is none.
///
/// # Errors
/// Those of `from`, and of [`priority`].
pub fn priority_in<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<u8>, D::Error> {
    let text = match Value::deserialize(from)? {
        Value::Null => return Ok(None),
        Value::String(text) => text,
        other => other.to_string(),
    };
    priority(&text).map(Some).map_err(|error| D::Error::custom(error.line()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_statuses_and_priorities_are_read_in_every_spelling() {
        assert_eq!(issue_type("Enhancement").unwrap(), IssueType::Feature);
        assert_eq!(issue_type(" bug ").unwrap(), IssueType::Bug);
        for text in ["in_progress", "in-progress", "In Progress", "started"] {
            assert_eq!(status(text).unwrap(), Status::InProgress, "{text}");
        }
        assert_eq!(status("done").unwrap(), Status::Closed);
        for (text, number) in [("1", 1), ("P1", 1), ("p0", 0), ("High", 1), ("medium", 2), ("low", 3), ("backlog", 4)] {
            assert_eq!(priority(text).unwrap(), number, "{text}");
        }
    }

    #[test]
    fn wrong_words_name_the_right_ones() {
        assert!(issue_type("bugg").unwrap_err().hint.unwrap().contains("feature"));
        assert!(status("asleep").unwrap_err().hint.unwrap().contains("in_progress"));
        for wrong in ["9", "", "P", "pp1", "highest", "-1"] {
            let error = priority(wrong).unwrap_err();
            assert!(error.hint.unwrap().contains("critical"), "{wrong}");
        }
    }
}
