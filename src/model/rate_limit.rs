//! Rate limits: a maker of models that lets an account do no more until a time. It is a state, and no fault of the agent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::{Moment, next_clock};

/// How long a limit holds of which nobody said when it ends.
const UNKNOWN_MILLIS: i64 = 60 * 60 * 1000;
/// The longest line of a program that is kept.
const SAID_CHARS_MAX: usize = 200;

/// An account that may do no more for a while.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Limited {
    /// Since when that is known.
    pub at: Moment,
    /// When it ends; an hour later where that was not said.
    pub resets_at: Moment,
    /// The session that was told.
    pub session: String,
    /// What its program said. Foreign text.
    pub said: String,
}

/// The last line of `text` that has one of the `signs` of a limit, whatever the case of its letters.
#[must_use]
pub fn said(signs: &[String], text: &str) -> Option<String> {
    let has_sign = |line: &&str| {
        let line = line.to_lowercase();
        signs.iter().any(|sign| line.contains(&sign.to_lowercase()))
    };
    text.lines().rev().find(has_sign).map(|line| line.trim().chars().take(SAID_CHARS_MAX).collect())
}

/// When a limit ends of which `said` speaks: `…|1767225600` in seconds since 1970, or `resets 5:10pm (Europe/Paris)`, the
/// forms that Claude Code has; an hour from now for every other.
#[must_use]
pub fn resets_at(said: &str, now: Moment) -> Moment {
    let by_seconds = said.rsplit_once('|').and_then(|(_, rest)| rest.trim().parse::<i64>().ok());
    let by_seconds = by_seconds.map(|secs| Moment::from_millis(secs.saturating_mul(1000))).filter(|at| *at > now);
    let at = by_seconds.or_else(|| by_clock(said, now));
    at.unwrap_or_else(|| Moment::from_millis(now.millis().saturating_add(UNKNOWN_MILLIS)))
}

fn by_clock(said: &str, now: Moment) -> Option<Moment> {
    let rest = said.split_once("resets ")?.1;
    let (clock, rest) = rest.split_once(" (")?;
    let zone = rest.split_once(')')?.0;
    let (digits, is_afternoon) = match (clock.strip_suffix("am"), clock.strip_suffix("pm")) {
        (Some(digits), _) => (digits, false),
        (None, Some(digits)) => (digits, true),
        (None, None) => return None,
    };
    let (hour, minute) = digits.split_once(':').unwrap_or((digits, "0"));
    let (hour, minute): (i8, i8) = (hour.trim().parse().ok()?, minute.parse().ok()?);
    if !(1..=12).contains(&hour) {
        return None;
    }
    next_clock(now, hour % 12 + if is_afternoon { 12 } else { 0 }, minute, zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_with_a_sign_counts() {
        let signs = ["hit your limit".to_owned()];
        assert_eq!(
            said(&signs, "You've HIT your limit · a\nyou've hit your limit · b  \nbye"),
            Some("you've hit your limit · b".into())
        );
        assert_eq!(said(&signs, "all is well"), None);
        assert_eq!(said(&[], "hit your limit"), None);
    }

    #[test]
    fn the_end_of_a_limit_is_read_in_the_forms_that_are_known() {
        let now: Moment = "2026-01-01T12:00:00Z".parse().unwrap();
        for (said, at) in [
            ("Claude AI usage limit reached|1767276000", "2026-01-01T14:00:00.000Z"),
            ("You've hit your session limit · resets 5:10pm (UTC)", "2026-01-01T17:10:00.000Z"),
            ("You've hit your session limit · resets 12am (UTC)", "2026-01-02T00:00:00.000Z"),
            ("You've hit your session limit · resets 11:30am (UTC)", "2026-01-02T11:30:00.000Z"),
            ("You've hit your session limit", "2026-01-01T13:00:00.000Z"),
            ("hit your limit · resets 99:99pm (UTC)", "2026-01-01T13:00:00.000Z"),
            ("hit your limit · resets 5pm (No/Where)", "2026-01-01T13:00:00.000Z"),
            ("usage limit reached|1", "2026-01-01T13:00:00.000Z"),
        ] {
            assert_eq!(resets_at(said, now).to_string(), at, "{said}");
        }
    }
}
