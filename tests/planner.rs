//! The planner against simulated worlds and against the exact optimum, without git.

use std::collections::{BTreeMap, BTreeSet};

use gastown::model::plan::{EVICT_POSTERIOR_MIN, Place, Step, next_step};
use proptest::prelude::*;

/// Expected runs of the best nested plan for `n` requests of which each is bad with probability `p`, by the
/// dynamic programme of Sobel and Groll (Bell System Technical Journal 38, 1959).
fn optimum(n_max: usize, p: f64) -> f64 {
    let q = 1.0 - p;
    let power = |x: usize| q.powi(i32::try_from(x).unwrap());
    let mut free = vec![0.0; n_max + 1];
    let mut red: Vec<Vec<f64>> = vec![vec![0.0; n_max + 1]; n_max + 1];
    for n in 1..=n_max {
        red[1][n] = free[n - 1];
        for m in 2..=n {
            let cost = |x: usize| {
                let green = (power(x) - power(m)) / (1.0 - power(m));
                green * red[m - x][n - x] + (1.0 - green) * red[x][n]
            };
            red[m][n] = 1.0 + (1..m).map(cost).fold(f64::INFINITY, f64::min);
        }
        let cost = |x: usize| power(x) * free[n - x] + (1.0 - power(x)) * red[x][n];
        free[n] = 1.0 + (1..=n).map(cost).fold(f64::INFINITY, f64::min);
    }
    free[n_max]
}

/// Exact expected runs of our planner with gates that never flake, by following both outcomes of each test.
struct Expected {
    p: f64,
    known: BTreeMap<(usize, usize), f64>,
}

impl Expected {
    /// With `n` requests left, of which the first `red` are known to hold a bad one (0: nothing known).
    fn runs(&mut self, red: usize, n: usize) -> f64 {
        if n == 0 {
            return 0.0;
        }
        if let Some(known) = self.known.get(&(red, n)) {
            return *known;
        }
        let mut places = vec![Place { risk: self.p, ..Place::default() }; n];
        if red > 0 {
            places[red - 1].reds = 1;
        }
        let q = |x: usize| (1.0 - self.p).powi(i32::try_from(x).unwrap());
        let runs = match next_step(&places, 0.0, 1) {
            Step::Evict(_) => self.runs(0, n - 1),
            Step::Test(lengths) => {
                let x = lengths[0];
                assert!(red == 0 || x < red, "a prefix that is known to be red is not run again");
                let green = if red == 0 { q(x) } else { (q(x) - q(red)) / (1.0 - q(red)) };
                1.0 + green * self.runs(red.saturating_sub(x), n - x) + (1.0 - green) * self.runs(x, n)
            }
            other => panic!("{other:?} with nothing green and the head unknown"),
        };
        self.known.insert((red, n), runs);
        runs
    }
}

#[test]
fn without_flakes_runs_stay_near_the_exact_optimum_and_well_below_halving() {
    for p in [0.01, 0.05, 0.10, 0.25] {
        for n in [1, 2, 4, 8, 16, 32, 64] {
            let ratio = Expected { p, known: BTreeMap::new() }.runs(0, n) / optimum(n, p);
            assert!(ratio <= 1.08, "n = {n}, p = {p}: {ratio:.4} of the optimum");
        }
    }
    let halving = |p: f64| {
        let level = |i: i32| 2.0 * 16.0 / f64::from(1 << i) * (1.0 - (1.0 - p).powi(1 << i));
        1.0 + (1..=4).map(level).sum::<f64>()
    };
    for (p, spared) in [(0.05, 0.20), (0.25, 0.28)] {
        let ours = Expected { p, known: BTreeMap::new() }.runs(0, 16);
        assert!(ours <= (1.0 - spared) * halving(p), "p = {p}: {ours:.2} of {:.2}", halving(p));
    }
}

/// A world of requests, some bad, some pairs bad together, and gates that are red on good trees at a rate.
struct World {
    bad: Vec<bool>,
    pairs: Vec<(usize, usize)>,
    flake: f64,
    rng: fastrand::Rng,
}

/// How a simulated queue ended.
struct Ended {
    landed: Vec<usize>,
    evicted: Vec<usize>,
    runs: u32,
    rounds: u32,
}

impl World {
    fn is_good(&self, stack: &[usize]) -> bool {
        let pair = |(a, b): &(usize, usize)| stack.contains(a) && stack.contains(b);
        !stack.iter().any(|mr| self.bad[*mr]) && !self.pairs.iter().any(pair)
    }

    /// Works the queue off; the planner believes `risk` and `flake`. Evidence belongs to trees, as in the ledger.
    fn drain(&mut self, risk: f64, flake: f64, workers: usize) -> Ended {
        let mut ended = Ended { landed: vec![], evicted: vec![], runs: 0, rounds: 0 };
        let mut queue: Vec<usize> = (0..self.bad.len()).collect();
        let mut reds: BTreeMap<Vec<usize>, u32> = BTreeMap::new();
        let mut greens: BTreeSet<Vec<usize>> = BTreeSet::new();
        loop {
            let tree = |length: usize| -> Vec<usize> { ended.landed.iter().chain(&queue[..length]).copied().collect() };
            let place = |length: usize| Place {
                risk,
                reds: reds.get(&tree(length)).copied().unwrap_or(0),
                is_green: greens.contains(&tree(length)),
                is_silent: false,
            };
            let places: Vec<Place> = (1..=queue.len()).map(place).collect();
            match next_step(&places, flake, workers) {
                Step::Rest => return ended,
                Step::Land(length) => ended.landed.extend(queue.drain(..length)),
                Step::Evict(sure) => {
                    assert!(sure >= EVICT_POSTERIOR_MIN);
                    ended.evicted.push(queue.remove(0));
                }
                Step::Test(lengths) => {
                    ended.rounds += 1;
                    for stack in lengths.into_iter().map(tree) {
                        ended.runs += 1;
                        if self.is_good(&stack) && self.rng.f64() >= self.flake {
                            greens.insert(stack);
                        } else {
                            *reds.entry(stack).or_default() += 1;
                        }
                    }
                }
                Step::SetAside => panic!("every tree here can be judged"),
            }
            assert!(ended.runs < 10_000, "the search must end");
        }
    }
}

fn random_world(rng: &mut fastrand::Rng, n: usize, p: f64, flake: f64) -> World {
    World { bad: (0..n).map(|_| rng.f64() < p).collect(), pairs: vec![], flake, rng: rng.fork() }
}

#[test]
fn flaky_gates_throw_out_almost_nobody_for_a_third_more_runs() {
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut innocent, mut runs, mut runs_steady) = (0_u32, 0_u32, 0_u32);
    let trials = 6_000;
    for _ in 0..trials {
        let mut world = random_world(&mut rng, 16, 0.05, 0.05);
        let bad = world.bad.clone();
        let ended = world.drain(0.05, 0.05, 1);
        runs += ended.runs;
        innocent += u32::try_from(ended.evicted.iter().filter(|mr| !bad[**mr]).count()).unwrap();
        assert!(ended.landed.iter().all(|mr| !bad[*mr]), "a bad request landed");
        world.flake = 0.0;
        runs_steady += world.drain(0.05, 0.0, 1).runs;
    }
    let rate = f64::from(innocent) / f64::from(trials * 16);
    assert!(rate <= 0.0007, "{:.3} % of the good were evicted", rate * 100.0);
    assert!(f64::from(runs) <= 1.3 * f64::from(runs_steady), "{runs} runs for {runs_steady}");
}

#[test]
fn four_workers_need_few_rounds() {
    let mut rng = fastrand::Rng::with_seed(8);
    for (p, rounds_max) in [(0.05, 9.5), (0.25, 26.0)] {
        let trials = 200;
        let rounds: u32 = (0..trials).map(|_| random_world(&mut rng, 64, p, 0.0).drain(p, 0.0, 4).rounds).sum();
        let mean = f64::from(rounds) / f64::from(trials);
        assert!(mean <= rounds_max, "p = {p}: {mean:.1} rounds");
    }
}

proptest! {
    #![proptest_config(crate::chance::cases(300, 1000))]

    #[test]
    fn with_steady_gates_exactly_the_culprits_leave_whatever_was_believed(
        bad in prop::collection::vec(prop::bool::weighted(0.3), 0..20),
        risk in 0.005..0.5,
        flake in 0.002..0.3,
        workers in 1..5_usize,
        seed in any::<u64>(),
    ) {
        let culprits: Vec<usize> = (0..bad.len()).filter(|mr| bad[*mr]).collect();
        let good: Vec<usize> = (0..bad.len()).filter(|mr| !bad[*mr]).collect();
        let mut world = World { bad, pairs: vec![], flake: 0.0, rng: fastrand::Rng::with_seed(seed) };
        let ended = world.drain(risk, flake, workers);
        prop_assert_eq!(ended.evicted, culprits);
        prop_assert_eq!(ended.landed, good);
    }

    #[test]
    fn of_two_that_break_together_only_the_later_leaves(n in 2..12_usize, a in 0..12_usize, b in 0..12_usize) {
        let (first, later) = (a.min(b), a.max(b));
        prop_assume!(first < later && later < n);
        let mut world =
            World { bad: vec![false; n], pairs: vec![(first, later)], flake: 0.0, rng: fastrand::Rng::with_seed(1) };
        prop_assert_eq!(world.drain(0.05, 0.01, 1).evicted, vec![later]);
    }

    #[test]
    fn equal_evidence_gives_the_equal_step(reds in prop::collection::vec(0..4_u32, 1..64), workers in 1..9_usize) {
        let places: Vec<Place> = reds.iter().map(|reds| Place { risk: 0.05, reds: *reds, ..Place::default() }).collect();
        let step = next_step(&places, 0.01, workers);
        prop_assert_eq!(&step, &next_step(&places, 0.01, workers));
        let is_lawful = match step {
            Step::Evict(sure) => sure >= EVICT_POSTERIOR_MIN,
            Step::Test(lengths) => lengths.iter().all(|length| (1..=places.len()).contains(length)),
            _ => false,
        };
        prop_assert!(is_lawful);
    }
}
