//! How long commands take, and in pairs.

use std::process::{Command, Stdio};
use std::time::Instant;

/// The middle one.
pub fn median(times: &[f64]) -> f64 {
    quantile(times, 0.5)
}

/// The value below which `part` of all lie.
pub fn quantile(times: &[f64], part: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a list")]
    sorted.get(((last as f64) * part).round() as usize).copied().unwrap_or(f64::NAN)
}

/// Milliseconds that `work` takes.
pub fn millis<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begin = Instant::now();
    let value = work();
    (begin.elapsed().as_secs_f64() * 1000.0, value)
}

/// Milliseconds from start to end of a command that must end with 0; what it prints goes nowhere.
pub fn timed(command: &mut Command) -> f64 {
    timed_ending(command, &[0])
}

/// As [`timed`], of a command that may end with one of `good`.
pub fn timed_ending(command: &mut Command, good: &[i32]) -> f64 {
    let (millis, status) = millis(|| command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap());
    assert!(status.code().is_some_and(|code| good.contains(&code)), "{command:?}: {status}: {}", why(command));
    millis
}

fn why(command: &mut Command) -> String {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    format!("again: {}: {}", output.status, String::from_utf8_lossy(&output.stderr))
}

/// Runs a command that must end with 0 and gives what it printed.
pub fn output(command: &mut Command) -> String {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `count` pairs of times. Whoever goes second finds warmer caches, so they take turns.
pub fn pairs(count: usize, mut ours: impl FnMut(usize) -> f64, mut other: impl FnMut(usize) -> f64) -> (Vec<f64>, Vec<f64>) {
    let (mut our_times, mut other_times) = (Vec::new(), Vec::new());
    for n in 0..count {
        if n % 2 == 0 {
            our_times.push(ours(n));
            other_times.push(other(n));
        } else {
            other_times.push(other(n));
            our_times.push(ours(n));
        }
    }
    (our_times, other_times)
}
