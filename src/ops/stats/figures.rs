//! Figures of a group: counted up, then summed up.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::record::{Ended, Work};

/// What is counted while records are gone through.
#[derive(Default)]
pub struct Tally {
    finished: usize,
    failed: usize,
    reopened: u64,
    /// How often help was asked for.
    pub escalations: usize,
    cycles: Vec<u64>,
    requests: usize,
    first: usize,
    first_landed: usize,
    red: usize,
    conflicts: usize,
    delivered: BTreeSet<String>,
    tokens: Option<u64>,
    cost_usd: Option<f64>,
}

impl Tally {
    /// Counts closed work.
    pub fn close(&mut self, work: &Work) {
        self.reopened += u64::from(work.reopened);
        if let Some(tokens) = work.tokens {
            *self.tokens.get_or_insert(0) += tokens;
        }
        if let Some(cost) = work.cost_usd {
            *self.cost_usd.get_or_insert(0.0) += cost;
        }
        if work.has_failed {
            self.failed += 1;
            return;
        }
        self.finished += 1;
        self.cycles.extend(work.cycle_millis());
    }

    /// Counts a request that ended.
    pub fn end(&mut self, request: &Ended) {
        self.requests += 1;
        self.delivered.extend(request.source.clone());
        if request.attempts == 0 {
            self.first += 1;
            self.first_landed += usize::from(request.sent_back.is_none());
        }
        match request.sent_back.as_deref() {
            Some("red") => self.red += 1,
            Some("conflict") => self.conflicts += 1,
            Some(_) | None => {}
        }
    }

    /// The figures.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of work are small")]
    pub fn figures(mut self) -> Figures {
        self.cycles.sort_unstable();
        let ratio = |a: usize, b: usize| (b > 0).then(|| (a as f64 / b as f64 * 1000.0).round() / 1000.0);
        Figures {
            finished: self.finished,
            failed: self.failed,
            median_cycle_millis: rank(&self.cycles, 50),
            p90_cycle_millis: rank(&self.cycles, 90),
            merge_requests: self.requests,
            attempts_per_bead: ratio(self.requests, self.delivered.len()),
            first_pass_rate: ratio(self.first_landed, self.first),
            gate_failures: self.red,
            conflicts: self.conflicts,
            reopened: self.reopened,
            escalations: self.escalations,
            tokens: self.tokens,
            cost_usd: self.cost_usd,
        }
    }
}

/// The value that `percent` of the sorted `values` do not exceed (nearest rank).
fn rank(values: &[u64], percent: usize) -> Option<u64> {
    values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied()
}

/// Figures of some work.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Figures {
    /// How much was closed as done.
    pub finished: usize,
    /// How much was closed for a reason that says that it failed.
    pub failed: usize,
    /// From given out to closed, of the middle one of what was finished.
    pub median_cycle_millis: Option<u64>,
    /// The same, of which nine in ten took no longer.
    pub p90_cycle_millis: Option<u64>,
    /// Requests that landed or were sent back.
    pub merge_requests: usize,
    /// How many of them there were for each bead that they deliver.
    pub attempts_per_bead: Option<f64>,
    /// Which part of the first requests landed.
    pub first_pass_rate: Option<f64>,
    /// Requests that were sent back because a gate was red.
    pub gate_failures: usize,
    /// Requests that were sent back because they did not fit onto their target.
    pub conflicts: usize,
    /// How often closed work was opened again.
    pub reopened: u64,
    /// How often help was asked for.
    pub escalations: usize,
    /// Tokens, where recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Cost in US dollars, where recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_values_that_occur() {
        let values: Vec<u64> = (1..=10).collect();
        assert_eq!((rank(&values, 50), rank(&values, 90)), (Some(5), Some(9)));
        assert_eq!((rank(&[7], 50), rank(&[7], 90), rank(&[], 50)), (Some(7), Some(7), None));
    }

    #[test]
    fn the_first_request_of_a_bead_decides_whether_it_passed_at_once() {
        let request = |source: &str, attempts, cause: Option<&str>| Ended {
            id: "wi-mr-a".into(),
            source: Some(source.into()),
            author: "a".into(),
            model: None,
            attempts,
            ended_at: None,
            sent_back: cause.map(str::to_owned),
        };
        let mut tally = Tally::default();
        for one in [request("a", 0, Some("red")), request("a", 1, None), request("b", 0, None), request("c", 0, Some("conflict"))]
        {
            tally.end(&one);
        }
        let figures = tally.figures();
        assert_eq!((figures.merge_requests, figures.attempts_per_bead), (4, Some(1.333)));
        assert_eq!((figures.first_pass_rate, figures.gate_failures, figures.conflicts), (Some(0.333), 1, 1));
    }
}
