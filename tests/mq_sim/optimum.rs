//! Exact expectations: the best nested plan, halving, and our planner with one worker and gates that do not flake.

use std::collections::BTreeMap;

use gastown::model::plan::{Action, Asked, Outlook, Places, Trial, plan};

/// Expected runs of the best nested plan for up to `n_max` requests of which each is bad with probability `p`, by
/// the dynamic programme of Sobel and Groll (Bell System Technical Journal 38, 1959).
pub fn optimum(n_max: usize, p: f64) -> f64 {
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

/// Expected runs of halving for `n`, a power of two.
pub fn halving(n: usize, p: f64) -> f64 {
    let level = |i: u32| {
        let size = 1 << i;
        2.0 * (n / size) as f64 * (1.0 - (1.0 - p).powi(i32::try_from(size).unwrap()))
    };
    1.0 + (1..=n.trailing_zeros()).map(level).sum::<f64>()
}

/// Exact expected runs of our planner with gates that never flake, by following both outcomes of each test.
pub struct Expected {
    p: f64,
    known: BTreeMap<(usize, usize), f64>,
}

impl Expected {
    /// For requests of which each is bad with probability `p`.
    pub fn new(p: f64) -> Self {
        Self { p, known: BTreeMap::new() }
    }

    /// With `n` requests left, of which the first `red` are known to hold a bad one (0: nothing known).
    pub fn runs(&mut self, red: usize, n: usize) -> f64 {
        if n == 0 {
            return 0.0;
        }
        if let Some(known) = self.known.get(&(red, n)) {
            return *known;
        }
        let mut trials = vec![Trial { is_green: true, ..Trial::new(Places::NONE, 0) }];
        trials.extend((red > 0).then(|| Trial::new(Places::first(red), 0).red(1, 0.0)));
        let queue = vec![Asked { risk: self.p, needs: Places::NONE }; n];
        let q = |x: usize| (1.0 - self.p).powi(i32::try_from(x).unwrap());
        let runs = match plan(&Outlook { queue, trials, running: vec![], workers: 1 })[..] {
            [Action::Evict { place: 0, .. }] => self.runs(0, n - 1),
            [Action::Test(set)] if set == Places::first(set.len()) && !set.is_empty() => {
                let x = set.len();
                assert!(red == 0 || x < red, "a prefix that is known to be red is not run again");
                let green = if red == 0 { q(x) } else { (q(x) - q(red)) / (1.0 - q(red)) };
                1.0 + green * self.runs(red.saturating_sub(x), n - x) + (1.0 - green) * self.runs(x, n)
            }
            ref other => panic!("{other:?} with nothing green and the head unknown"),
        };
        self.known.insert((red, n), runs);
        runs
    }
}
