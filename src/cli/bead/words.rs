//! Words of the command line that stand for values of a bead.

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::time::{Moment, parse_millis};

/// Reads a word of a known list; the hint of a refusal names them all.
///
/// # Errors
/// Usage, when the word is not known.
pub fn known<T: FromStr<Err = Error>>(what: &str, word: &str) -> Result<T> {
    word.trim().parse().map_err(|error: Error| {
        Error::usage(format!("'{}' is not a {what}", word.escape_debug())).hint(error.hint.unwrap_or_default())
    })
}

/// Reads a priority, with or without the letter P.
///
/// # Errors
/// Usage, when it is not 0 to 4.
pub fn priority(text: &str) -> Result<u8> {
    let number = text.trim().trim_start_matches(['p', 'P']);
    number.parse().ok().filter(|number| *number <= 4).ok_or_else(|| {
        Error::usage(format!("'{}' is not a priority", text.escape_debug())).hint("0 is critical, 2 is usual, 4 is backlog")
    })
}

/// Reads a moment: RFC 3339, a date, or a length of time from `now`; empty is none.
///
/// # Errors
/// Usage, when it is none of these.
pub fn when(text: &str, now: Moment) -> Result<Option<Moment>> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(millis) = parse_millis(text.trim_start_matches('+')) {
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        return Ok(Some(Moment::from_millis(now.millis().saturating_add(millis))));
    }
    let date = || format!("{text}T00:00:00Z").parse();
    text.parse().or_else(|_: Error| date()).map(Some).map_err(|_| {
        Error::usage(format!("'{}' is not a time", text.escape_debug()))
            .hint("write for example 2d, 2026-12-01 or 2026-12-01T08:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::IssueType;

    #[test]
    fn times_are_lengths_dates_or_moments() {
        let now = Moment::from_millis(1_000);
        assert_eq!(when("2s", now).unwrap(), Some(Moment::from_millis(3_000)));
        assert_eq!(when("1970-01-02", now).unwrap(), Some(Moment::from_millis(86_400_000)));
        assert_eq!(when("", now).unwrap(), None);
        assert!(when("soon", now).is_err());
    }

    #[test]
    fn wrong_words_name_the_right_ones() {
        assert_eq!(known::<IssueType>("type", "bug").unwrap(), IssueType::Bug);
        assert!(known::<IssueType>("type", "bugg").unwrap_err().hint.unwrap().contains("feature"));
        assert_eq!(priority("P1").unwrap(), 1);
        assert!(priority("9").is_err() && priority("high").is_err());
    }
}
