//! When a request may be expected to have landed: how long a run of the gates takes, times how many runs it will take.
//!
//! Deliberately simple, and said so where it is shown: a run costs what runs mostly cost, all that waits is tested
//! together, and each request that is bad costs a search among those before it.

use crate::model::gate::{GateRun, Verdict};

/// How many of the newest runs of a gate tell how long it takes.
const RUNS_MAX: usize = 50;

/// How long one run of all gates takes, in milliseconds: gates run side by side, so the slowest gate's median.
/// `None`, when none of them has ended here yet. `runs` are oldest first.
#[must_use]
pub fn run_millis(runs: &[GateRun], gates: &[String]) -> Option<u64> {
    let median = |gate: &String| {
        let ended = runs.iter().rev().filter(|run| run.gate == *gate && matches!(run.verdict, Verdict::Green | Verdict::Red));
        let mut took: Vec<u64> = ended.take(RUNS_MAX).map(|run| run.took_millis).collect();
        took.sort_unstable();
        took.get(took.len() / 2).copied()
    };
    gates.iter().filter_map(median).max()
}

/// How many runs it takes, in the mean, until the last of requests with these `risks`, which are tested together in this
/// order, is decided: one for all, and for each bad one a search of log₂ n + 1 runs.
#[must_use]
pub fn runs_expected(risks: &[f64]) -> f64 {
    let bad: f64 = risks.iter().sum();
    let search = f64::from(u32::try_from(risks.len().max(1)).unwrap_or(u32::MAX)).log2().ceil() + 1.0;
    1.0 + bad * search
}

/// The expected time until the last of requests with these `risks` has landed, in milliseconds.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rough figure for people; all values are positive and far below 2^52"
)]
pub fn millis_expected(run_millis: u64, risks: &[f64]) -> u64 {
    (run_millis as f64 * runs_expected(risks)).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::{Object, Rev};
    use crate::time::Moment;

    fn run(gate: &str, verdict: Verdict, took_millis: u64) -> GateRun {
        GateRun {
            v: 1,
            key: String::new(),
            gate: gate.into(),
            tree: String::new(),
            commit: String::new(),
            base: String::new(),
            stack: vec![],
            by: None,
            verdict,
            exit: None,
            required: true,
            attempt: 1,
            failing: vec![],
            log_tail: String::new(),
            log: String::new(),
            took_millis,
            concurrency: 1,
            at: Moment::from_millis(0),
            rev: Rev::default(),
            extra: Object::new(),
        }
    }

    #[test]
    fn a_run_takes_what_the_slowest_gate_mostly_takes() {
        let gates = ["lint".to_owned(), "test".to_owned()];
        assert_eq!(run_millis(&[], &gates), None);
        let runs = [
            run("test", Verdict::Green, 900),
            run("test", Verdict::Red, 1000),
            run("test", Verdict::Green, 90_000),
            run("test", Verdict::Infrastructure, 1),
            run("lint", Verdict::Green, 10),
            run("gone", Verdict::Green, 1_000_000),
        ];
        assert_eq!(run_millis(&runs, &gates), Some(1000));
    }

    #[test]
    fn the_further_back_and_the_riskier_the_longer() {
        assert_eq!(millis_expected(1000, &[0.0]), 1000);
        let risks = [0.05; 8];
        let expected: Vec<u64> = (1..=8).map(|n| millis_expected(1000, &risks[..n])).collect();
        assert!(expected.is_sorted() && expected[0] == 1050 && expected[7] == 2600, "{expected:?}");
        assert!(millis_expected(1000, &[0.5]) > millis_expected(1000, &[0.05]));
    }
}
