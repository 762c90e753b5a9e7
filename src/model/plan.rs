//! The queue's arithmetic: what is known of a stack's prefixes in, the next step out. Pure; it knows no git.
//!
//! Posterior prefix search. The hypotheses are "the first bad request is number j" and "none is bad", weighed
//! by each request's risk. A red prefix speaks against the hypotheses it does not explain by the rate at which
//! good trees come out red; a green prefix lands and is gone. Tested are the prefixes at the quantiles of the
//! posterior, so one rule sets batch size, bisection, repeats of flaky gates and the width of speculation.
//! With a flake rate of 0 and one worker it stays within a few percent of the best nested plan
//! (Sobel and Groll 1959), which the tests compute.

use crate::name::BeadId;
use crate::time::Moment;

/// How sure the search must be that the head is bad before it is sent back.
pub const EVICT_POSTERIOR_MIN: f64 = 0.99;
/// The most requests that are stacked at once; the others wait behind them.
pub const STACK_MAX: usize = 64;

/// One place of the stack: the prefix of the queue that ends with this request, as a tree to be gated.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Place {
    /// How likely the request is bad, from what is known before any run; between 0 and 1.
    pub risk: f64,
    /// How many runs on the prefix's tree were red.
    pub reds: u32,
    /// Whether every required gate has been green on the prefix's tree.
    pub is_green: bool,
    /// Whether the gates cannot judge the prefix's tree, however often they run.
    pub is_silent: bool,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The stack is empty.
    Rest,
    /// The first so many requests are proved good together.
    Land(usize),
    /// Gate the prefixes of these lengths, shortest first.
    Test(Vec<usize>),
    /// The head is bad, as surely as this.
    Evict(f64),
    /// Nothing can be learnt of the head: the gates cannot judge it. Set it aside.
    SetAside,
}

/// Decides the next step for a stack, whose requests are bad by `risk` and whose good prefixes come out red at
/// rate `flake`, with `workers` runs side by side.
#[must_use]
pub fn next_step(places: &[Place], flake: f64, workers: usize) -> Step {
    if places.is_empty() {
        return Step::Rest;
    }
    if let Some(longest) = places.iter().rposition(|place| place.is_green) {
        return Step::Land(longest + 1);
    }
    let first_bad = posterior(places, flake);
    if first_bad[0] >= EVICT_POSTERIOR_MIN {
        return Step::Evict(first_bad[0]);
    }
    let lengths = quantile_lengths(places, &first_bad, workers);
    if lengths.is_empty() { Step::SetAside } else { Step::Test(lengths) }
}

/// For each place the probability that its request is the first bad one; what is missing to 1 is "none is bad".
#[must_use]
pub fn posterior(places: &[Place], flake: f64) -> Vec<f64> {
    let mut weights = Vec::with_capacity(places.len());
    let mut all_good = 1.0;
    // How likely the reds on prefixes shorter than the hypothesis are, none of which it explains.
    let mut unexplained = 1.0;
    for place in places {
        weights.push(place.risk * all_good * unexplained);
        all_good *= 1.0 - place.risk;
        unexplained *= flake.powi(i32::try_from(place.reds).unwrap_or(i32::MAX));
    }
    let total: f64 = weights.iter().sum::<f64>() + all_good * unexplained;
    if total > 0.0 {
        for weight in &mut weights {
            *weight /= total;
        }
    }
    weights
}

/// The lengths at which the cumulated posterior is nearest to the quantiles 1/(W+1) … W/(W+1).
///
/// Left out are prefixes that the gates cannot judge and those whose red is certain enough to teach nothing.
fn quantile_lengths(places: &[Place], first_bad: &[f64], workers: usize) -> Vec<usize> {
    let mut cumulated = 0.0;
    let mut candidates: Vec<(usize, f64)> = Vec::with_capacity(places.len());
    for (index, (place, weight)) in places.iter().zip(first_bad).enumerate() {
        cumulated += weight;
        if !place.is_silent && (index == 0 || cumulated < EVICT_POSTERIOR_MIN) {
            candidates.push((index + 1, cumulated));
        }
    }
    let mut lengths: Vec<usize> =
        (1..=workers.max(1)).filter_map(|k| nearest(&candidates, ratio(k, workers.max(1) + 1))).collect();
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

/// The candidate nearest to `quantile`. Of equal ones below it the longest, because a green lands more; of equal
/// ones above it the shortest, because a red leaves fewer to search.
fn nearest(candidates: &[(usize, f64)], quantile: f64) -> Option<usize> {
    const EQUAL: f64 = 1e-12;
    let mut best: Option<(usize, f64)> = None;
    for &(length, cumulated) in candidates {
        let is_better = match best {
            None => true,
            Some((_, chosen)) if (cumulated - chosen).abs() < EQUAL => cumulated < quantile,
            Some((_, chosen)) => (cumulated - quantile).abs() < (chosen - quantile).abs(),
        };
        if is_better {
            best = Some((length, cumulated));
        }
    }
    best.map(|(length, _)| length)
}

/// How likely a request of an author is bad, of whose `ended` requests `evicted` were sent back for a red gate;
/// shrunk towards 5 % as if 20 requests had been seen before.
#[must_use]
pub fn risk(evicted: usize, ended: usize) -> f64 {
    ratio(evicted + 1, ended + 20).clamp(0.005, 0.5)
}

/// How often gates are red on a good tree: of `runs` on trees that were green at least once, `reds` were red;
/// shrunk towards 1 % as if 50 runs had been seen before.
#[must_use]
pub fn flake_rate(reds: usize, runs: usize) -> f64 {
    ratio(2 * reds + 1, 2 * runs + 100).clamp(0.002, 0.4)
}

#[expect(clippy::cast_precision_loss, reason = "counts of runs and requests are far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// What orders a request in its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rank {
    /// The request.
    pub mr: BeadId,
    /// Its class: 0 critical … 4 backlog; a class goes before the next one.
    pub priority: u8,
    /// How often its work was sent back before.
    pub attempts: u32,
    /// When it was handed in.
    pub submitted_at: Moment,
}

impl Rank {
    /// The key to sort by at `now`: priority class, then 1 point for each hour of age less 50 (at most 300) for
    /// each attempt, then the id.
    #[must_use]
    pub fn key(&self, now: Moment) -> (u8, i64, i64, BeadId) {
        let hours = i64::try_from(now.millis_since(self.submitted_at) / 3_600_000).unwrap_or(i64::MAX);
        let score = hours - i64::from(self.attempts.min(6)) * 50;
        (self.priority.min(4), -score, self.submitted_at.millis(), self.mr.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(risks: &[f64]) -> Vec<Place> {
        risks.iter().map(|risk| Place { risk: *risk, ..Place::default() }).collect()
    }

    #[test]
    fn a_queue_that_is_probably_good_costs_one_run_of_all() {
        assert_eq!(next_step(&stack(&[0.05; 8]), 0.01, 1), Step::Test(vec![8]));
        assert_eq!(next_step(&stack(&[0.05; 64]), 0.01, 1), Step::Test(vec![14]));
        assert_eq!(next_step(&[], 0.01, 1), Step::Rest);
    }

    #[test]
    fn more_workers_test_more_prefixes_and_none_twice() {
        assert_eq!(next_step(&stack(&[0.25; 16]), 0.0, 3), Step::Test(vec![1, 2, 5]));
        assert_eq!(next_step(&stack(&[0.01; 4]), 0.0, 4), Step::Test(vec![4]));
    }

    #[test]
    fn the_longest_green_lands_whatever_was_red_below_it() {
        let mut places = stack(&[0.05; 4]);
        places[0].reds = 3;
        places[2].is_green = true;
        assert_eq!(next_step(&places, 0.01, 1), Step::Land(3));
    }

    #[test]
    fn one_red_convicts_only_when_gates_never_flake() {
        let mut places = stack(&[0.05; 2]);
        places[0].reds = 1;
        assert!(matches!(next_step(&places, 0.0, 1), Step::Evict(_)));
        assert_eq!(next_step(&places, 0.01, 1), Step::Test(vec![1]));
        places[0].reds = 2;
        assert!(matches!(next_step(&places, 0.01, 1), Step::Evict(sure) if sure >= EVICT_POSTERIOR_MIN));
    }

    #[test]
    fn a_head_that_gates_cannot_judge_is_set_aside_and_others_are_searched_around() {
        let mut places = stack(&[0.05; 4]);
        places[3].is_silent = true;
        assert_eq!(next_step(&places, 0.01, 1), Step::Test(vec![3]));
        for place in &mut places {
            place.is_silent = true;
        }
        assert_eq!(next_step(&places, 0.01, 1), Step::SetAside);
        // A red above a silent head can never be told apart from it.
        let places =
            [Place { risk: 0.05, is_silent: true, ..Place::default() }, Place { risk: 0.05, reds: 3, ..Place::default() }];
        assert_eq!(next_step(&places, 0.01, 1), Step::SetAside);
    }

    #[test]
    fn estimates_start_at_their_priors_and_follow_what_is_seen() {
        assert!((risk(0, 0) - 0.05).abs() < 1e-9);
        assert!(risk(10, 12) > 0.3 && risk(0, 100) < 0.01);
        assert!((flake_rate(0, 0) - 0.01).abs() < 1e-9);
        assert!(flake_rate(10, 100) > 0.05);
    }

    #[test]
    fn priority_goes_first_then_age_and_a_retry_waits_behind_fresh_ones() {
        let rank = |id: &str, priority, attempts, hours: i64| Rank {
            mr: id.parse().unwrap(),
            priority,
            attempts,
            submitted_at: Moment::from_millis((100 - hours) * 3_600_000),
        };
        let mut queue =
            [rank("wi-d", 2, 1, 3), rank("wi-c", 2, 0, 1), rank("wi-b", 2, 0, 1), rank("wi-a", 2, 0, 2), rank("wi-e", 0, 9, 0)];
        queue.sort_by_key(|rank| rank.key(Moment::from_millis(100 * 3_600_000)));
        let order: Vec<&str> = queue.iter().map(|rank| rank.mr.as_str()).collect();
        assert_eq!(order, ["wi-e", "wi-a", "wi-b", "wi-c", "wi-d"]);
    }
}
