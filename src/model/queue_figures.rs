//! Figures of a merge queue, from what its records say: how many runs it took beside what is possible, where the time of
//! requests went, who was blamed wrongly, which gates lie.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::gate::{GateRun, Verdict};
use crate::name::BeadId;
use crate::time::Moment;

/// How a request ended, as far as figures go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It landed.
    Landed,
    /// A gate was red and it was to blame.
    Red,
    /// It was sent back for something else: a conflict, a rejection.
    SentBack,
    /// It was withdrawn or superseded.
    Left,
}

/// A request that ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its id.
    pub mr: BeadId,
    /// Its head.
    pub head: String,
    /// When it was handed in.
    pub submitted_at: Moment,
    /// When it ended.
    pub ended_at: Moment,
    /// How.
    pub fate: Fate,
    /// The tree of its commit on the target.
    pub landed_tree: Option<String>,
}

/// A time during which a request was held.
#[derive(Clone, Debug)]
pub struct Held {
    /// The request.
    pub mr: BeadId,
    /// Since when.
    pub from: Moment,
    /// Until when.
    pub to: Moment,
}

/// How values are spread, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Spread {
    /// Their mean.
    pub mean_millis: u64,
    /// The middle one.
    pub median_millis: u64,
    /// Nineteen in twenty are no longer.
    pub p95_millis: u64,
    /// The longest.
    pub max_millis: u64,
}

impl Spread {
    fn of(mut values: Vec<u64>) -> Option<Self> {
        values.sort_unstable();
        let rank = |percent: usize| values[(values.len() * percent).div_ceil(100).saturating_sub(1)];
        let sum: u64 = values.iter().sum();
        (!values.is_empty()).then(|| Self {
            mean_millis: sum / values.len() as u64,
            median_millis: rank(50),
            p95_millis: rank(95),
            max_millis: rank(100),
        })
    }
}

/// The figures of one gate.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct GateFigures {
    /// Its name.
    pub gate: String,
    /// Runs that are remembered.
    pub runs: usize,
    /// Those that were red.
    pub red: usize,
    /// Those that were red on a tree on which it was green too.
    pub flakes: usize,
    /// The share of those among its runs on trees on which it was green at least once.
    pub flake_rate: Option<f64>,
    /// How long one took, of the middle one.
    pub median_millis: u64,
}

/// The figures of a queue.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Figures {
    /// Requests that landed.
    pub landed: usize,
    /// Requests that were sent back for a red gate.
    pub red: usize,
    /// Requests that were sent back for something else.
    pub sent_back: usize,
    /// Requests that were withdrawn or superseded.
    pub left: usize,
    /// Stacks that were gated; all gates of one on one tree count as one.
    pub stacks_gated: usize,
    /// The same for each request that landed.
    pub per_landed: Option<f64>,
    /// What no plan whatever can do with fewer, in expectation: the bits in who of the judged requests was bad.
    pub entropy_bound: f64,
    /// What the best plan that tests one stack after another needs, in expectation (Sobel and Groll 1959).
    pub optimal_plan: f64,
    /// Landed stacks whose tree had been gated before, in another stack or by hand.
    pub landed_by_memo: usize,
    /// Requests that were sent back for a red gate and landed later with the same head.
    pub blamed_wrongly: usize,
    /// From handed in to landed.
    pub to_landed: Option<Spread>,
    /// Of that, until the first stack with it was gated.
    pub waiting: Option<Spread>,
    /// Of that, while stacks with it were gated.
    pub gating: Option<Spread>,
    /// Of that, while it was held.
    pub held: Option<Spread>,
    /// Each gate.
    pub gates: Vec<GateFigures>,
}

/// The figures of requests that `ended`, of the `runs` that are remembered and of the times that requests were `held`.
#[must_use]
pub fn figures(ended: &[Ended], runs: &[GateRun], held: &[Held]) -> Figures {
    let count = |fate: Fate| ended.iter().filter(|one| one.fate == fate).count();
    let (landed, red) = (count(Fate::Landed), count(Fate::Red));
    let stacks = stacks(runs);
    let judged = landed + red;
    let share = ratio(red, judged);
    let all_landed: Vec<&Ended> = ended.iter().filter(|one| one.fate == Fate::Landed).collect();
    let spread = |of: &dyn Fn(&Ended) -> u64| Spread::of(all_landed.iter().map(|one| of(one)).collect());
    Figures {
        landed,
        red,
        sent_back: count(Fate::SentBack),
        left: count(Fate::Left),
        stacks_gated: stacks,
        per_landed: (landed > 0).then(|| round(ratio(stacks, landed))),
        entropy_bound: round(entropy(share) * ratio(judged, 1)),
        optimal_plan: round(optimal_runs(judged, share)),
        landed_by_memo: by_memo(&all_landed, runs),
        blamed_wrongly: blamed_wrongly(ended),
        to_landed: spread(&|one| one.ended_at.millis_since(one.submitted_at)),
        waiting: spread(&|one| waiting(one, runs)),
        gating: spread(&|one| covered(one, of_request(one, runs))),
        held: spread(&|one| covered(one, held.iter().filter(|held| held.mr == one.mr).map(|held| (held.from, held.to)))),
        gates: gates(runs),
    }
}

/// How many stacks were gated: of the runs on one commit over one base as many as the gate with the most has.
fn stacks(runs: &[GateRun]) -> usize {
    let mut by_gate: BTreeMap<(&str, &str, &[BeadId], &str), usize> = BTreeMap::new();
    for run in runs.iter().filter(|run| !run.stack.is_empty()) {
        *by_gate.entry((&run.commit, &run.base, &run.stack, &run.gate)).or_default() += 1;
    }
    let mut most: BTreeMap<(&str, &str, &[BeadId]), usize> = BTreeMap::new();
    for ((commit, base, stack, _), count) in by_gate {
        let known = most.entry((commit, base, stack)).or_default();
        *known = (*known).max(count);
    }
    most.values().sum()
}

/// When the gates of stacks with `one` ran.
fn of_request<'a>(one: &'a Ended, runs: &'a [GateRun]) -> impl Iterator<Item = (Moment, Moment)> + 'a {
    runs.iter().filter(|run| run.stack.contains(&one.mr)).map(|run| (begin(run), run.at))
}

fn begin(run: &GateRun) -> Moment {
    let took = i64::try_from(run.took_millis).unwrap_or(i64::MAX);
    Moment::from_millis(run.at.millis().saturating_sub(took))
}

fn waiting(one: &Ended, runs: &[GateRun]) -> u64 {
    let first = of_request(one, runs).map(|(from, _)| from).min().unwrap_or(one.ended_at);
    first.millis_since(one.submitted_at)
}

/// How much of the time from handed in to ended the `times` cover together.
fn covered(one: &Ended, times: impl Iterator<Item = (Moment, Moment)>) -> u64 {
    let mut times: Vec<(Moment, Moment)> =
        times.map(|(from, to)| (from.max(one.submitted_at), to.min(one.ended_at))).filter(|(from, to)| from < to).collect();
    times.sort_unstable();
    let (mut sum, mut end) = (0, one.submitted_at);
    for (from, to) in times {
        sum += to.millis_since(from.max(end));
        end = end.max(to);
    }
    sum
}

/// Landed requests whose tree was not gated in a stack that ends with them.
fn by_memo(landed: &[&Ended], runs: &[GateRun]) -> usize {
    let is_top_of_gated = |one: &&&Ended| runs.iter().any(|run| one.landed_tree.as_deref() == Some(&run.tree));
    let own =
        |one: &&&Ended| runs.iter().any(|run| one.landed_tree.as_deref() == Some(&run.tree) && run.stack.last() == Some(&one.mr));
    landed.iter().filter(is_top_of_gated).filter(|one| !own(one)).count()
}

fn blamed_wrongly(ended: &[Ended]) -> usize {
    let landed: BTreeSet<&str> = ended.iter().filter(|one| one.fate == Fate::Landed).map(|one| one.head.as_str()).collect();
    ended.iter().filter(|one| one.fate == Fate::Red && landed.contains(one.head.as_str())).count()
}

fn gates(runs: &[GateRun]) -> Vec<GateFigures> {
    let mut by_gate: BTreeMap<&str, Vec<&GateRun>> = BTreeMap::new();
    for run in runs {
        by_gate.entry(&run.gate).or_default().push(run);
    }
    let figures = |(gate, runs): (&str, Vec<&GateRun>)| {
        let good: BTreeSet<&str> = runs.iter().filter(|run| run.verdict == Verdict::Green).map(|run| run.key.as_str()).collect();
        let of = |verdict: Verdict, on_good: bool| {
            runs.iter().filter(|run| run.verdict == verdict && (!on_good || good.contains(run.key.as_str()))).count()
        };
        let (flakes, on_good) = (of(Verdict::Red, true), of(Verdict::Red, true) + of(Verdict::Green, true));
        let times = Spread::of(runs.iter().map(|run| run.took_millis).collect()).unwrap_or_default();
        GateFigures {
            gate: gate.to_owned(),
            runs: runs.len(),
            red: of(Verdict::Red, false),
            flakes,
            flake_rate: (on_good > 0).then(|| round(ratio(flakes, on_good))),
            median_millis: times.median_millis,
        }
    };
    by_gate.into_iter().map(figures).collect()
}

/// The bits in one answer that is yes with probability `p`.
fn entropy(p: f64) -> f64 {
    let part = |p: f64| if p > 0.0 && p < 1.0 { -p * p.log2() } else { 0.0 };
    part(p) + part(1.0 - p)
}

/// At so many requests the plan's costs grow in proportion; it is not worked out for more at once.
const PLANNED_MAX: usize = 64;

/// Expected runs of the best nested plan for `requests` of which each is bad with probability `p`.
#[must_use]
pub fn optimal_runs(requests: usize, p: f64) -> f64 {
    let costs = nested_costs(requests.min(PLANNED_MAX), p);
    let (whole, rest) = (requests / PLANNED_MAX, requests % PLANNED_MAX);
    let full = if whole > 0 { costs[PLANNED_MAX] * ratio(whole, 1) } else { 0.0 };
    full + costs[rest]
}

/// Sobel's and Groll's recursion: the cost for each number of requests of which nothing is known.
fn nested_costs(most: usize, p: f64) -> Vec<f64> {
    let q = 1.0 - p;
    let power: Vec<f64> = (0..=most).scan(1.0, |value, _| Some(std::mem::replace(value, *value * q))).collect();
    let mut free = vec![0.0; most + 1];
    // `tainted[m][n]`: of n the first m are known to hold a bad one.
    let mut tainted = vec![vec![0.0_f64; most + 1]; most + 1];
    for n in 1..=most {
        tainted[1][n] = free[n - 1];
        for m in 2..=n {
            let bad = 1.0 - power[m];
            let cut = |x: usize| (power[x] - power[m]) / bad * tainted[m - x][n - x] + (1.0 - power[x]) / bad * tainted[x][n];
            // Nobody is bad when p is 0: then it is never asked.
            tainted[m][n] = if bad > 0.0 { 1.0 + (1..m).map(cut).fold(f64::INFINITY, f64::min) } else { 0.0 };
        }
        let test = |x: usize| 1.0 + power[x] * free[n - x] + (1.0 - power[x]) * tainted[x][n];
        free[n] = (1..=n).map(test).fold(f64::INFINITY, f64::min);
    }
    free
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "counts of runs and requests are far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::{Object, Rev};

    fn id(name: &str) -> BeadId {
        format!("wi-mr-{name}").parse().unwrap()
    }

    fn at(secs: i64) -> Moment {
        Moment::from_millis(secs * 1000)
    }

    fn run(stack: &[&str], tree: &str, verdict: Verdict, ended: i64) -> GateRun {
        let (key, stack): (_, Vec<BeadId>) = (format!("test-{tree}"), stack.iter().map(|name| id(name)).collect());
        serde_json::from_value(serde_json::json!({
            "v": 1, "key": key, "gate": "test", "tree": tree, "commit": format!("c{tree}"), "base": "b", "stack": stack,
            "verdict": verdict, "took_millis": 10_000, "at": at(ended), "rev": Rev::default(),
        }))
        .map(|run: GateRun| GateRun { extra: Object::new(), ..run })
        .unwrap()
    }

    fn ended(name: &str, head: &str, fate: Fate, submitted: i64, until: i64, tree: Option<&str>) -> Ended {
        let (submitted_at, ended_at) = (at(submitted), at(until));
        Ended { mr: id(name), head: head.into(), submitted_at, ended_at, fate, landed_tree: tree.map(str::to_owned) }
    }

    #[test]
    fn what_a_queue_did_is_counted_and_its_time_split() {
        let all = [
            ended("a", "h1", Fate::Landed, 0, 100, Some("ta")),
            ended("b", "h2", Fate::Red, 0, 60, None),
            ended("c", "h2", Fate::Landed, 70, 130, Some("tc")),
            ended("d", "h3", Fate::SentBack, 0, 10, None),
        ];
        let runs = [
            run(&["a", "b"], "tab", Verdict::Red, 30),
            run(&["a"], "ta", Verdict::Green, 45),
            run(&["b"], "tc", Verdict::Red, 58),
            run(&["c"], "tc", Verdict::Green, 120),
        ];
        let held = [Held { mr: id("c"), from: at(60), to: at(80) }];
        let figures = figures(&all, &runs, &held);
        assert_eq!((figures.landed, figures.red, figures.sent_back, figures.left), (2, 1, 1, 0));
        assert_eq!((figures.stacks_gated, figures.per_landed), (4, Some(2.0)));
        assert_eq!((figures.blamed_wrongly, figures.landed_by_memo), (1, 0));
        assert_eq!(
            figures.to_landed.unwrap(),
            Spread { mean_millis: 80_000, median_millis: 60_000, p95_millis: 100_000, max_millis: 100_000 }
        );
        assert_eq!((figures.waiting.unwrap().max_millis, figures.gating.unwrap().max_millis), (40_000, 20_000));
        assert_eq!(figures.held.unwrap().max_millis, 10_000);
        let gate = &figures.gates[0];
        assert_eq!((gate.runs, gate.red, gate.flakes, gate.flake_rate, gate.median_millis), (4, 2, 1, Some(0.33), 10_000));
    }

    #[test]
    fn a_tree_that_was_gated_in_another_stack_lands_by_memo() {
        let all = [ended("a", "h1", Fate::Landed, 0, 100, Some("same"))];
        assert_eq!(figures(&all, &[run(&["b"], "same", Verdict::Green, 50)], &[]).landed_by_memo, 1);
        assert_eq!(figures(&[], &[], &[]).per_landed, None);
    }

    #[test]
    fn the_best_nested_plan_costs_what_the_published_table_says() {
        // Exact values of the recursion, as in the table of docs/queue.md.
        for (n, p, runs) in [(4, 0.05, 1.54), (16, 0.05, 4.75), (16, 0.25, 13.2), (64, 0.05, 18.6), (64, 0.25, 52.6)] {
            assert!((optimal_runs(n, p) - runs).abs() < 0.06 * runs.sqrt(), "{n} {p}: {}", optimal_runs(n, p));
        }
        assert!((optimal_runs(8, 0.0) - 1.0).abs() < 1e-9 && optimal_runs(0, 0.1).abs() < 1e-9);
        assert!((optimal_runs(128, 0.05) - 2.0 * optimal_runs(64, 0.05)).abs() < 1e-9);
        // Above 38 % nothing beats one by one.
        assert!((optimal_runs(10, 0.5) - 10.0).abs() < 1e-9);
    }
}
