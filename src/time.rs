//! Moments and spans: the wall clock for people; nothing is decided by it that another machine must agree on.
//!
//! `now()` is read once per command or tick and passed down. `GT_NOW` fixes it in tests.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::env::{self, Var};
use crate::error::{Error, Kind, OrFail, Result};

/// A point in time, in milliseconds since 1970 UTC; written as RFC 3339 with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// The moment `millis` milliseconds after 1970-01-01 UTC, clamped to the years that can be written.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        // RFC 3339 ends with the year 9999.
        Self(millis.clamp(-62_135_596_800_000, 253_402_300_799_000))
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01 UTC, as git records them.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The year and month, e.g. `202611`.
    #[must_use]
    pub fn year_month(self) -> String {
        let text = self.to_string();
        format!("{}{}", &text[..4], &text[5..7])
    }

    /// Milliseconds from `earlier` to this moment; 0 when it lies before.
    #[must_use]
    pub fn millis_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// How long ago `self` was at `now`, for people: `just now`, `5 m ago`, `3 d ago`.
    #[must_use]
    pub fn ago(self, now: Self) -> String {
        match now.millis_since(self) / 1000 {
            0..=4 => "just now".into(),
            secs @ 5..60 => format!("{secs} s ago"),
            secs @ 60..3600 => format!("{} m ago", secs / 60),
            secs @ 3600..86_400 => format!("{} h ago", secs / 3600),
            secs => format!("{} d ago", secs / 86_400),
        }
    }
}

/// The next moment at which a clock in the time zone `zone` (a name of the IANA database, such as `Europe/Paris`) shows `hour`
/// and `minute`; nothing, when there is no such zone or time.
#[must_use]
pub fn next_clock(now: Moment, hour: i8, minute: i8, zone: &str) -> Option<Moment> {
    let zone = jiff::tz::TimeZone::get(zone).ok()?;
    let here = jiff::Timestamp::from_millisecond(now.0).ok()?.to_zoned(zone);
    let shown = |day: &jiff::Zoned| day.with().hour(hour).minute(minute).second(0).subsec_nanosecond(0).build().ok();
    let today = shown(&here)?;
    let at = if today > here { today } else { shown(&here.tomorrow().ok()?)? };
    Some(Moment::from_millis(at.timestamp().as_millisecond()))
}

/// The current moment, or the one that `GT_NOW` fixes.
///
/// # Errors
/// Usage, when `GT_NOW` is not a time.
#[expect(clippy::disallowed_methods, reason = "this module owns the clock")]
pub fn now() -> Result<Moment> {
    if let Some(text) = env::text(Var::Now) {
        return text.parse();
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Moment::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => f.write_str("1970-01-01T00:00:00.000Z"),
        }
    }
}

impl FromStr for Moment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let time: jiff::Timestamp = text.parse().or_fail(Kind::Usage, || format!("read the time '{}'", text.escape_debug()))?;
        Ok(Self::from_millis(time.as_millisecond()))
    }
}

crate::schema::text_schema!(Moment, { "format": "date-time" });

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Reads a length of time such as `30s`, `5m`, `2h`, `7d` into milliseconds; at most 100 years.
///
/// # Errors
/// Usage, when it is not a number with one of these units.
pub fn parse_millis(text: &str) -> Result<u64> {
    let wrong =
        || Error::usage(format!("'{}' is not a length of time", text.escape_debug())).hint("write for example 30s, 5m, 2h or 7d");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..split].parse().map_err(|_| wrong())?;
    let unit = match &text[split..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).filter(|millis| *millis <= 3_155_760_000_000).ok_or_else(wrong)
}

/// A stopwatch on the monotonic clock, for time-outs and figures shown to people.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module owns the clock")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Milliseconds since the start.
    #[must_use]
    pub fn millis(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_with_milliseconds_and_read_back() {
        let moment: Moment = "2026-11-20T08:00:00Z".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-20T08:00:00.000Z");
        assert_eq!(moment.year_month(), "202611");
        assert_eq!(Moment::from_millis(i64::MAX).to_string().len(), 24);
    }

    #[test]
    fn a_length_of_time_needs_a_unit() {
        assert_eq!(parse_millis("5m").unwrap(), 300_000);
        for wrong in ["5", "m", "-5m", "5w", "99999999999999999d", ""] {
            assert!(parse_millis(wrong).is_err(), "{wrong}");
        }
    }
}
