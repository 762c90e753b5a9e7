//! Drives the real planner through a world, as the refinery does: every round it reads all evidence anew.

use std::collections::HashSet;

use gastown::model::plan::{Action, Asked, Outlook, Places, Running, STACK_MAX, Trial, plan, today};

use super::world::{Ended, World};

/// Most runs of one simulated queue for each of its requests; more is an endless search.
const RUNS_MAX: usize = 60;

/// What the planner is told, which may be wrong.
#[derive(Clone, Debug)]
pub struct Belief {
    /// Each request's risk; the last stands for all after it.
    pub risks: Vec<f64>,
    /// The gates' flake rate.
    pub flake: f64,
    /// Runs side by side.
    pub workers: usize,
}

impl Belief {
    /// Everybody at one risk.
    pub fn flat(risk: f64, flake: f64, workers: usize) -> Self {
        Self { risks: vec![risk], flake, workers }
    }

    fn risk(&self, mr: usize) -> f64 {
        self.risks[mr.min(self.risks.len() - 1)]
    }
}

/// One gate run: the tip below as how many had landed, the stack, and what came of it.
struct Run {
    base: usize,
    stack: Vec<usize>,
    is_green: bool,
}

/// A run under way.
struct Flight {
    id: u64,
    base: usize,
    stack: Vec<usize>,
    ends: f64,
}

/// Whether a set cannot be stacked onto a tip with these.
type IsAbsent = fn(&[usize], &HashSet<usize>) -> bool;

/// A queue being worked.
pub struct Drive<'a> {
    world: &'a World,
    belief: &'a Belief,
    rng: fastrand::Rng,
    /// The next who is handed in.
    next: usize,
    queue: Vec<usize>,
    landed: HashSet<usize>,
    runs: Vec<Run>,
    flights: Vec<Flight>,
    now: f64,
    /// How long a run takes; 1 when this is not set.
    lasts: Option<fn(&mut fastrand::Rng) -> f64>,
    /// Says which sets cannot be stacked.
    is_absent: Option<IsAbsent>,
    absent: Vec<(usize, Vec<usize>)>,
    /// On whom each is built, transitively.
    parents: Option<fn(usize) -> Vec<usize>>,
    is_logged: bool,
    ended: Ended,
}

/// Works the queue off.
pub fn drain(world: &World, belief: &Belief, rng: &mut fastrand::Rng) -> Ended {
    Drive::new(world, belief, rng).finish()
}

impl<'a> Drive<'a> {
    /// A queue at its beginning.
    pub fn new(world: &'a World, belief: &'a Belief, rng: &mut fastrand::Rng) -> Self {
        Self {
            world,
            belief,
            rng: rng.fork(),
            next: 0,
            queue: Vec::new(),
            landed: HashSet::new(),
            runs: Vec::new(),
            flights: Vec::new(),
            now: 0.0,
            lasts: None,
            is_absent: None,
            absent: Vec::new(),
            parents: None,
            is_logged: false,
            ended: Ended::default(),
        }
    }

    /// With runs that take unequal time.
    pub fn lasting(self, lasts: fn(&mut fastrand::Rng) -> f64) -> Self {
        Self { lasts: Some(lasts), ..self }
    }

    /// With sets that cannot be stacked.
    pub fn without(self, is_absent: IsAbsent) -> Self {
        Self { is_absent: Some(is_absent), ..self }
    }

    /// With requests that are built on others.
    pub fn built_on(self, parents: fn(usize) -> Vec<usize>) -> Self {
        Self { parents: Some(parents), ..self }
    }

    /// Writing down all that is done.
    pub fn logged(self) -> Self {
        Self { is_logged: true, ..self }
    }

    /// Goes on until everybody has landed, left, or was set aside.
    pub fn finish(mut self) -> Ended {
        loop {
            self.take_in();
            while !self.settle() {}
            let Some(until) = self.next_event() else { break };
            self.now = until;
            self.end_flights();
            assert!(self.ended.runs <= RUNS_MAX * (self.world.len() + 1), "an endless search: {:?}", self.outlook());
        }
        assert!(self.queue.is_empty(), "stuck: {:?}", self.outlook());
        self.ended.rounds = self.now;
        self.ended
    }

    fn take_in(&mut self) {
        while self.next < self.world.len() && self.world.arrival(self.next) <= self.now {
            self.queue.push(self.next);
            self.next += 1;
        }
    }

    fn next_event(&self) -> Option<f64> {
        let arrival = (self.next < self.world.len()).then(|| self.world.arrival(self.next));
        self.flights.iter().map(|flight| flight.ends).chain(arrival).min_by(f64::total_cmp)
    }

    fn end_flights(&mut self) {
        let (done, flying): (Vec<Flight>, Vec<Flight>) =
            std::mem::take(&mut self.flights).into_iter().partition(|flight| flight.ends <= self.now);
        self.flights = flying;
        for flight in done {
            let below: HashSet<usize> = self.ended.landed[..flight.base].iter().copied().collect();
            let is_green = self.world.gate(&mut self.rng, &below, &flight.stack);
            self.log(|| format!("{} {:?} on {}", if is_green { "green" } else { "red" }, flight.stack, flight.base));
            self.runs.push(Run { base: flight.base, stack: flight.stack, is_green });
        }
    }

    /// The requests that are planned for.
    fn window(&self) -> &[usize] {
        &self.queue[..self.queue.len().min(STACK_MAX)]
    }

    fn place(&self, mr: usize) -> Option<usize> {
        self.window().iter().position(|waiting| *waiting == mr)
    }

    fn today(&self, base: usize, stack: &[usize]) -> Option<(Places, u32)> {
        today(stack, &self.ended.landed[base..], self.window())
    }

    fn outlook(&self) -> Outlook {
        // The target before anything landed is known to be green, and each landing was gated.
        let mut trials = vec![Trial { is_green: true, ..Trial::new(Places::NONE, 0) }];
        let mut known = |set: Places, lacks: u32| -> usize {
            trials.iter().position(|trial| trial.set == set && trial.lacks == lacks).unwrap_or_else(|| {
                trials.push(Trial::new(set, lacks));
                trials.len() - 1
            })
        };
        let mut said: Vec<(usize, Option<bool>)> = Vec::new();
        for run in &self.runs {
            let Some((set, lacks)) = self.today(run.base, &run.stack).filter(|(set, _)| !set.is_empty()) else { continue };
            said.push((known(set, lacks), Some(run.is_green)));
        }
        for (base, stack) in &self.absent {
            let Some((set, 0)) = self.today(*base, stack) else { continue };
            said.push((known(set, 0), None));
        }
        for (at, verdict) in said {
            match verdict {
                Some(true) => trials[at].is_green = true,
                Some(false) => trials[at] = trials[at].red(1, self.belief.flake),
                None => trials[at].is_absent = true,
            }
        }
        let running = self.flights.iter().filter_map(|flight| {
            let (set, lacks) = self.today(flight.base, &flight.stack)?;
            Some(Running { run: flight.id, set, lacks })
        });
        let needs = |mr: usize| -> Places {
            let parents = self.parents.map(|parents| parents(mr)).unwrap_or_default();
            parents.into_iter().filter_map(|parent| self.place(parent)).collect()
        };
        let asked = self.window().iter().map(|mr| Asked { risk: self.belief.risk(*mr), needs: needs(*mr) });
        Outlook { queue: asked.collect(), running: running.collect(), trials, workers: self.belief.workers }
    }

    /// Plans once and does it; whether there is nothing more to do before the next event.
    fn settle(&mut self) -> bool {
        // A run of which somebody left by other ways than landing is about nothing any more.
        let flights = std::mem::take(&mut self.flights);
        self.flights = flights.into_iter().filter(|flight| self.today(flight.base, &flight.stack).is_some()).collect();
        let outlook = self.outlook();
        let actions = plan(&outlook);
        assert_eq!(actions, plan(&outlook), "equal input, equal plan");
        let window = self.window().to_vec();
        let of = |set: Places| -> Vec<usize> { set.iter().map(|place| window[place]).collect() };
        let mut is_settled = true;
        for action in actions {
            match action {
                Action::Land(set) => self.land(&of(set)),
                Action::Evict { place, posterior } => self.evict(window[place], posterior),
                Action::SetAside(place) => {
                    self.queue.retain(|mr| *mr != window[place]);
                    self.ended.aside.push(window[place]);
                }
                Action::Cancel(run) => self.flights.retain(|flight| flight.id != run),
                Action::Test(set) => {
                    is_settled &= self.start(&of(set));
                    continue;
                }
                Action::TargetRed => panic!("the target is green here"),
            }
            is_settled &= matches!(action, Action::Cancel(_));
        }
        is_settled
    }

    /// Starts a run; false when the set cannot be stacked.
    fn start(&mut self, stack: &[usize]) -> bool {
        let prefix = &self.queue[..stack.len()];
        if stack != prefix && self.is_absent.is_some_and(|is_absent| is_absent(stack, &self.landed)) {
            self.absent.push((self.ended.landed.len(), stack.to_vec()));
            return false;
        }
        for parent in stack.iter().flat_map(|mr| self.parents.map(|parents| parents(*mr)).unwrap_or_default()) {
            assert!(stack.contains(&parent) || self.landed.contains(&parent), "{stack:?} lacks {parent}");
        }
        assert!(self.flights.len() < self.belief.workers, "more runs than workers");
        self.log(|| format!("gate {stack:?}"));
        let lasts = self.lasts.map_or(1.0, |lasts| lasts(&mut self.rng));
        self.ended.runs += 1;
        let (id, base) = (self.ended.runs as u64, self.ended.landed.len());
        self.flights.push(Flight { id, base, stack: stack.to_vec(), ends: self.now + lasts });
        true
    }

    /// Lands `stack`, which must have been green as exactly the tree that it makes on the tip.
    fn land(&mut self, stack: &[usize]) {
        let tree: HashSet<usize> = self.landed.iter().chain(stack).copied().collect();
        let is_that_tree = |run: &&Run| {
            let gated = self.ended.landed[..run.base].iter().chain(&run.stack).copied();
            run.base + run.stack.len() == tree.len() && gated.collect::<HashSet<usize>>() == tree
        };
        assert!(self.runs.iter().filter(|run| run.is_green).any(|run| is_that_tree(&run)), "{stack:?} lands ungated");
        assert!(self.world.is_good(&self.landed, stack), "{stack:?} lands and is bad");
        self.log(|| format!("land {stack:?}"));
        for mr in stack {
            self.landed.insert(*mr);
            self.ended.landed.push(*mr);
            self.ended.waits.push(self.now - self.world.arrival(*mr));
        }
        self.queue.retain(|mr| !stack.contains(mr));
        self.forget();
    }

    fn evict(&mut self, mr: usize, posterior: f64) {
        assert!(posterior >= gastown::model::plan::EVICT_POSTERIOR_MIN);
        let partners = self.world.clashes.get(&mr).map(Vec::as_slice).unwrap_or_default();
        let on_tip: Vec<&usize> = partners.iter().filter(|other| self.landed.contains(other)).collect();
        self.ended.overtaken += usize::from(!self.world.bad[mr] && !on_tip.is_empty() && on_tip.iter().all(|other| **other > mr));
        self.log(|| format!("evict {mr}"));
        self.ended.evicted.push(mr);
        self.queue.retain(|waiting| *waiting != mr);
        self.forget();
    }

    /// Drops runs of which nobody waits any more or somebody left; they can say nothing ever again.
    fn forget(&mut self) {
        let runs = std::mem::take(&mut self.runs);
        let landed = &self.landed;
        let waits = |mr: &usize| self.queue.contains(mr);
        self.runs = runs
            .into_iter()
            .filter(|run| run.stack.iter().any(waits) && run.stack.iter().all(|mr| waits(mr) || landed.contains(mr)))
            .collect();
    }

    fn log(&mut self, line: impl FnOnce() -> String) {
        if self.is_logged {
            self.ended.log.push(line());
        }
    }
}
