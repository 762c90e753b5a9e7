//! Words of the command line that stand for values of a bead.

use std::path::Path;
use std::str::FromStr;

use serde_json::Value;

use crate::error::{Error, Kind, OrFail, Result};
use crate::model::spelling::priority;
use crate::ops::track::lines::read_all;
use crate::time::{Moment, parse_millis};
use crate::town::Town;

/// Reads priorities, one by one or from-to (`0,2`, `0-1`), within `min` and `max`; none is all.
///
/// # Errors
/// Usage, when one is not 0 to 4, or when none is left.
pub fn priorities(texts: &[String], min: Option<&str>, max: Option<&str>) -> Result<Vec<u8>> {
    let mut found: Vec<u8> = Vec::new();
    for text in texts {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        found.extend(priority(from)?..=priority(to)?);
    }
    let (least, most) = (min.map_or(Ok(0), priority)?, max.map_or(Ok(4), priority)?);
    if texts.is_empty() && (least, most) != (0, 4) {
        found = (0..=4).collect();
    }
    found.retain(|one| (least..=most).contains(one));
    let asks = !texts.is_empty() || (least, most) != (0, 4);
    if asks && found.is_empty() {
        return Err(Error::usage("no priority is left to look for").hint("0 is the most urgent: write for example -p 0-1"));
    }
    Ok(found)
}

/// Reads a moment: RFC 3339, a date, a day by name, or a length of time from `now`; empty is none.
///
/// # Errors
/// Usage, when it is none of these.
pub fn when(text: &str, now: Moment) -> Result<Option<Moment>> {
    moment(text, now, 1)
}

/// The same for what was: a length of time without a sign is one before `now`.
///
/// # Errors
/// As [`when`].
pub fn ago(text: &str, now: Moment) -> Result<Option<Moment>> {
    moment(text, now, -1)
}

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

fn moment(text: &str, now: Moment, usual_sign: i64) -> Result<Option<Moment>> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (sign, length) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(length), _) => (1, length),
        (_, Some(length)) => (-1, length),
        _ => (usual_sign, text),
    };
    if let Ok(millis) = parse_millis(length) {
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        return Ok(Some(Moment::from_millis(now.millis().saturating_add(sign * millis))));
    }
    let today = now.millis() - now.millis().rem_euclid(DAY_MILLIS);
    let day = match text {
        "now" => return Ok(Some(now)),
        "yesterday" => Some(-1),
        "today" => Some(0),
        "tomorrow" => Some(1),
        _ => None,
    };
    if let Some(day) = day {
        return Ok(Some(Moment::from_millis(today + day * DAY_MILLIS)));
    }
    let date = || format!("{text}T00:00:00Z").parse();
    text.parse().or_else(|_: Error| date()).map(Some).map_err(|_| {
        Error::usage(format!("'{}' is not a time", text.escape_debug()))
            .hint("write for example 2d, 2026-12-01 or 2026-12-01T08:00:00Z")
    })
}

/// Reads a text: what was said, what is in the file after `@`, or standard input for `-`.
///
/// # Errors
/// Not found, when there is no such file; usage, when it is not UTF-8.
pub fn text(town: &Town, said: &str) -> Result<String> {
    match said.strip_prefix('@') {
        None if said == "-" => file_text(town, Path::new("-")),
        None => Ok(said.to_owned()),
        Some(rest) if rest.starts_with('@') => Ok(rest.to_owned()),
        Some(file) => file_text(town, Path::new(file)).map_err(|error| error.hint("a text that begins with @ is written @@")),
    }
}

/// The text in `file`, or of standard input for `-`, without the end of its last line.
///
/// # Errors
/// As [`text`].
pub fn file_text(town: &Town, file: &Path) -> Result<String> {
    let bytes = if file.as_os_str() == "-" {
        read_all(std::io::stdin().lock())?
    } else {
        let path = town.dir.join(file);
        read_all(std::fs::File::open(&path).or_fail(Kind::NotFound, || format!("open {}", path.display()))?)?
    };
    let text = String::from_utf8(bytes).or_fail(Kind::Usage, || format!("read {}: it is not UTF-8", file.display()))?;
    Ok(text.trim_end().to_owned())
}

/// Reads how long something takes, in minutes: a number of them, or a length such as `2h`; empty is none.
///
/// # Errors
/// Usage, when it is neither.
pub fn minutes(text: &str) -> Result<Option<u64>> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().or_else(|_| parse_millis(text).map(|millis| millis / 60_000)).map(Some).map_err(|_: Error| {
        Error::usage(format!("'{}' is no length of work", text.escape_debug())).hint("write minutes, such as 90, or 2h")
    })
}

/// Keys of metadata and what they shall hold; `None` takes a key away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue(pub Vec<(String, Option<Value>)>);

impl FromStr for KeyValue {
    type Err = Error;

    /// Reads `KEY=VALUE`, or a JSON object as the `bd` tool takes it.
    fn from_str(text: &str) -> Result<Self> {
        if text.trim_start().starts_with('{') {
            let object: serde_json::Map<String, Value> =
                serde_json::from_str(text).or_fail(Kind::Usage, || "read the metadata: it is no JSON object")?;
            return Ok(Self(object.into_iter().map(|(key, value)| (key, (!value.is_null()).then_some(value))).collect()));
        }
        let (key, value) = text.split_once('=').ok_or_else(|| {
            Error::usage(format!("'{}' says no value", text.escape_debug())).hint("write KEY=VALUE; KEY= takes the key away")
        })?;
        Ok(Self(vec![(key.to_owned(), (!value.is_empty()).then(|| Value::from(value)))]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_lengths_dates_or_moments() {
        let now = Moment::from_millis(1_000);
        assert_eq!(when("2s", now).unwrap(), Some(Moment::from_millis(3_000)));
        assert_eq!(when("1970-01-02", now).unwrap(), Some(Moment::from_millis(86_400_000)));
        assert_eq!(when("", now).unwrap(), None);
        assert!(when("soon", now).is_err());
        let now = Moment::from_millis(10 * DAY_MILLIS + 5);
        let days = |text: &str| when(text, now).unwrap().unwrap().millis() / DAY_MILLIS;
        assert_eq!((days("yesterday"), days("today"), days("tomorrow"), days("-2d"), days("+2d")), (9, 10, 11, 8, 12));
        assert_eq!(ago("2d", now).unwrap(), Some(Moment::from_millis(8 * DAY_MILLIS + 5)));
        assert_eq!(ago("+2d", now).unwrap(), when("2d", now).unwrap());
    }

    #[test]
    fn priorities_are_listed_ranged_and_bounded() {
        let read = |texts: &[&str], min, max| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            priorities(&texts, min, max)
        };
        assert_eq!(read(&["0-1", "P3"], None, None).unwrap(), [0, 1, 3]);
        assert_eq!(read(&["critical-high", "low"], None, None).unwrap(), [0, 1, 3]);
        assert_eq!(read(&[], Some("3"), None).unwrap(), [3, 4]);
        assert_eq!(read(&[], None, Some("1")).unwrap(), [0, 1]);
        assert_eq!(read(&[], None, None).unwrap(), Vec::<u8>::new());
        assert!(read(&["0-9"], None, None).is_err() && read(&["3"], None, Some("1")).is_err());
        assert!(read(&["3-1"], None, None).is_err(), "nothing lies between");
    }

    #[test]
    fn lengths_of_work_and_keys_are_read() {
        assert_eq!((minutes("90").unwrap(), minutes("2h").unwrap(), minutes("").unwrap()), (Some(90), Some(120), None));
        assert!(minutes("long").is_err());
        let read = |text: &str| text.parse::<KeyValue>().map(|KeyValue(pairs)| pairs);
        assert_eq!(read("a=b=c").unwrap(), [("a".to_owned(), Some(Value::from("b=c")))]);
        assert_eq!(read("a=").unwrap(), [("a".to_owned(), None)]);
        assert_eq!(read(r#"{"n": 3}"#).unwrap(), [("n".to_owned(), Some(Value::from(3)))]);
        assert!(read("a").is_err() && read("{").is_err());
    }
}
