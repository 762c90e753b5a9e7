//! Times as people read them: how long ago, beside when.

use crate::time::Moment;

/// `2026-01-01 09:30`, in UTC.
#[must_use]
pub fn minute(at: Moment) -> String {
    at.to_string().get(..16).unwrap_or_default().replace('T', " ")
}

/// `2026-01-01 09:30 (3 h ago)`, in UTC; of what is to come `(in 3 h)`.
#[must_use]
pub fn when(at: Moment, now: Moment) -> String {
    let relation = if at > now { format!("in {}", length(at.millis_since(now))) } else { at.ago(now) };
    format!("{} ({relation})", minute(at))
}

/// A length of time in two digits or three: `45 s`, `12 m`, `3.5 h`, `12 d`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub fn length(millis: u64) -> String {
    let (number, unit) = match millis / 1000 {
        secs @ 0..60 => return format!("{secs} s"),
        secs @ 60..3600 => (secs as f64 / 60.0, "m"),
        secs @ 3600..86_400 => (secs as f64 / 3600.0, "h"),
        secs => (secs as f64 / 86_400.0, "d"),
    };
    // What would round up to the next unit's worth still reads right: 60 m.
    let digits = usize::from(number < 9.95);
    let text = format!("{number:.digits$}");
    format!("{} {unit}", text.trim_end_matches(".0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_twice() {
        let now: Moment = "2026-01-01T12:30:00Z".parse().unwrap();
        assert_eq!(when("2026-01-01T09:30:00Z".parse().unwrap(), now), "2026-01-01 09:30 (3 h ago)");
        assert_eq!(when("2026-01-03T12:30:00Z".parse().unwrap(), now), "2026-01-03 12:30 (in 2 d)");
    }

    #[test]
    fn lengths_are_short() {
        let said: Vec<String> = [0, 59_000, 60_000, 90_000, 3_600_000, 12_600_000, 86_400_000, 1_209_600_000].map(length).into();
        assert_eq!(said, ["0 s", "59 s", "1 m", "1.5 m", "1 h", "3.5 h", "1 d", "14 d"]);
    }
}
