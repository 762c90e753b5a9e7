//! Simulated worlds: requests of which some are bad, pairs that are bad together, gates that flake and take time.

use std::collections::{HashMap, HashSet};

/// What is true of a world; the planner only ever sees what gates say.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Which requests are bad.
    pub bad: Vec<bool>,
    /// For each request with partners the ones that are bad together with it.
    pub clashes: HashMap<usize, Vec<usize>>,
    /// How often a good tree comes out red.
    pub flake: f64,
    /// When each request is handed in, ascending; at once when this is empty.
    pub arrives: Vec<f64>,
}

impl World {
    /// `n` requests, each bad with probability `p`.
    pub fn drawn(rng: &mut fastrand::Rng, n: usize, p: f64) -> Self {
        Self { bad: (0..n).map(|_| rng.f64() < p).collect(), ..Self::default() }
    }

    /// `n` requests, each bad with a probability of its own.
    pub fn of_risks(rng: &mut fastrand::Rng, risks: &[f64]) -> Self {
        Self { bad: risks.iter().map(|risk| rng.f64() < *risk).collect(), ..Self::default() }
    }

    /// With gates that are red on good trees at this rate.
    pub fn flaky(self, flake: f64) -> Self {
        Self { flake, ..self }
    }

    /// With each pair bad together at rate `q`.
    pub fn clashing(mut self, rng: &mut fastrand::Rng, q: f64) -> Self {
        for a in 0..self.bad.len() {
            for b in a + 1..self.bad.len() {
                if rng.f64() < q {
                    self.join(a, b);
                }
            }
        }
        self
    }

    /// Makes `a` and `b` bad together.
    pub fn join(&mut self, a: usize, b: usize) {
        self.clashes.entry(a).or_default().push(b);
        self.clashes.entry(b).or_default().push(a);
    }

    /// With `rate` requests a gate time, in a Poisson process.
    pub fn arriving(mut self, rng: &mut fastrand::Rng, rate: f64) -> Self {
        let mut now = 0.0;
        self.arrives = self
            .bad
            .iter()
            .map(|_| {
                now -= (1.0 - rng.f64()).ln() / rate;
                now
            })
            .collect();
        self
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.bad.len()
    }

    /// When `mr` is handed in.
    pub fn arrival(&self, mr: usize) -> f64 {
        self.arrives.get(mr).copied().unwrap_or(0.0)
    }

    /// Whether `stack` on a good tip with `landed` is good.
    pub fn is_good(&self, landed: &HashSet<usize>, stack: &[usize]) -> bool {
        let is_fine = |mr: &usize| {
            let partners = self.clashes.get(mr).map(Vec::as_slice).unwrap_or_default();
            !self.bad[*mr] && !partners.iter().any(|other| landed.contains(other) || stack.contains(other))
        };
        stack.iter().all(is_fine)
    }

    /// What gates say of it.
    pub fn gate(&self, rng: &mut fastrand::Rng, landed: &HashSet<usize>, stack: &[usize]) -> bool {
        self.is_good(landed, stack) && rng.f64() >= self.flake
    }
}

/// How a simulated queue went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ended {
    /// Who landed, in order.
    pub landed: Vec<usize>,
    /// Who was sent back, in order.
    pub evicted: Vec<usize>,
    /// Who was set aside.
    pub aside: Vec<usize>,
    /// Runs that were started.
    pub runs: usize,
    /// Gate times until the end; with equal gates the rounds.
    pub rounds: f64,
    /// For each that landed, how long after it was handed in.
    pub waits: Vec<f64>,
    /// Of a pair that is bad together, how often the earlier was sent back, the later having landed.
    pub overtaken: usize,
    /// All that was done, in words.
    pub log: Vec<String>,
}

impl Ended {
    /// How many good requests were sent back though nobody they clash with had landed.
    pub fn innocents(&self, world: &World) -> usize {
        let landed: HashSet<usize> = self.landed.iter().copied().collect();
        let has_partner = |mr: &usize| world.clashes.get(mr).is_some_and(|with| with.iter().any(|mr| landed.contains(mr)));
        self.evicted.iter().filter(|mr| !world.bad[**mr] && !has_partner(mr)).count()
    }
}
