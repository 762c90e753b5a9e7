//! Which sets to gate next, side by side with what runs already.
//!
//! A red set of which nobody is cleared is a *lane*: one in it is bad, and the search goes on inside it, whatever
//! happens elsewhere. All others are the *pool*. A lane gets the cut of the best nested plan; the pool gets prefixes
//! at the quantiles of its posterior, or, when there is much to find out, disjoint groups. What was green beside a
//! set that landed is carried along by a later run, since only a tree that was gated itself may land.

use super::evidence::{Running, Trial};
use super::places::Places;
use super::survey::Survey;
use super::target::Tip;
use super::{Asked, nested};

/// How many rounds disjoint groups must spare to be worth the run on their union that they cost in the end.
const SPARED_ROUNDS_MIN: f64 = 1.2;
/// The least information, in bits, for which a further cut inside a group is worth a run.
const CUT_BITS_MIN: f64 = 0.2;
/// A run is useless when it is green with less than this.
const GREEN_CHANCE_MIN: f64 = 0.05;
/// From which probability on a red set holds a bad one, rather than being a flake.
const BELIEVED_MIN: f64 = 0.5;

/// A search under way.
pub struct Search<'a> {
    queue: &'a [Asked],
    trials: &'a [Trial],
    survey: &'a Survey,
    /// Sets that are being gated or are chosen to be.
    pending: Vec<Places>,
    /// Those of them that are chosen.
    chosen: Vec<Places>,
    free: usize,
}

/// Requests that are searched by themselves, in order, with how likely a bad one is among the first so many.
struct Group {
    order: Vec<usize>,
    bad_among: Vec<f64>,
}

/// The runs of `running` whose end can teach nothing any more.
#[must_use]
pub fn useless(survey: &Survey, tip: Tip, running: &[Running]) -> Vec<u64> {
    let is_useless = |run: &&Running| {
        if run.set.is_empty() {
            // The bare target, or a set that landed meanwhile.
            return run.lacks > 0 || tip == Tip::Holds;
        }
        let lands_nothing_new = run.lacks > 0 && run.set.is_within(survey.cleared);
        let is_surely_red = run.set.len() > 1 && survey.belief.good(run.set) < GREEN_CHANCE_MIN;
        lands_nothing_new || is_surely_red
    };
    running.iter().filter(is_useless).map(|run| run.run).collect()
}

/// The sets to gate beside those `running`, at most `free` of them.
#[must_use]
pub fn tests(queue: &[Asked], trials: &[Trial], survey: &Survey, running: &[Places], free: usize) -> Vec<Places> {
    let mut search = Search { queue, trials, survey, pending: running.to_vec(), chosen: Vec::new(), free };
    let lanes = search.lanes();
    search.confirm();
    search.cut_lanes(&lanes);
    search.divide_pool(&lanes);
    search.cut_deeper(&lanes);
    search.carry();
    if search.pending.is_empty() {
        search.choose(Places::first(1));
    }
    search.chosen
}

impl Search<'_> {
    /// The smallest sets that hold a bad one more likely than not, none of whose members is in another.
    fn lanes(&self) -> Vec<Places> {
        let mut reds: Vec<Places> = self.survey.reds.iter().map(|red| red.set).collect();
        reds.sort_by_key(|set| (set.len(), *set));
        let mut lanes: Vec<Places> = Vec::new();
        for set in reds.into_iter().filter(|set| !set.is_empty() && set.is_within(self.survey.open)) {
            let is_believed = 1.0 - self.survey.belief.good(set) >= BELIEVED_MIN;
            if is_believed && !lanes.iter().any(|lane| lane.meets(set)) {
                lanes.push(set);
            }
        }
        lanes.sort_by_key(|lane| lane.head());
        lanes
    }

    /// Gates suspects again of whom no other run will tell more.
    fn confirm(&mut self) {
        let convicted: Places = self.survey.convicted.iter().map(|(place, _)| *place).collect();
        for place in self.survey.suspects.without(self.survey.provisional).without(convicted).iter() {
            let reds = self.survey.reds.iter().filter(|red| red.set.contains(place));
            if !reds.into_iter().any(|red| red.set.meets(self.survey.open)) {
                self.choose(Places::of(place));
            }
        }
    }

    /// Gives each lane in which nothing runs its next cut.
    fn cut_lanes(&mut self, lanes: &[Places]) {
        let is_only = self.free == 1 && self.pending.is_empty();
        for lane in lanes {
            if self.free == 0 {
                return;
            }
            if self.open_part_runs(*lane) {
                continue;
            }
            let mut order: Vec<usize> = lane.iter().collect();
            if is_only {
                order.extend(self.pool(lanes));
            }
            self.cut(Places::NONE, &order);
        }
    }

    fn open_part_runs(&self, lane: Places) -> bool {
        self.pending.iter().any(|set| set.meets(lane) && set.without(self.survey.cleared).is_within(lane))
    }

    /// Those in no lane, nor in a set that runs, nor built on such.
    fn pool(&self, lanes: &[Places]) -> Vec<usize> {
        let busy = lanes.iter().chain(&self.pending).fold(Places::NONE, |all, set| all.with(*set));
        let is_free = |place: &usize| !busy.contains(*place) && !self.queue[*place].needs.meets(busy);
        self.survey.open.iter().filter(is_free).collect()
    }

    fn divide_pool(&mut self, lanes: &[Places]) {
        if self.free == 0 {
            return;
        }
        let in_lanes = lanes.iter().fold(Places::NONE, |all, lane| all.with(*lane));
        let open = self.survey.open.without(in_lanes);
        let under_way: Vec<Places> = self
            .pending
            .iter()
            .map(|set| set.shared(self.survey.open))
            .filter(|set| !set.is_empty() && set.is_within(open))
            .collect();
        let bits: f64 = open.iter().map(|place| entropy(self.survey.belief.bad(place))).sum();
        let workers = self.free + under_way.len();
        let is_divided = workers > 1 && spared_rounds(bits, workers) > SPARED_ROUNDS_MIN;
        let below = under_way.iter().fold(Places::NONE, |all, set| all.with(*set));
        if is_divided || self.survey.belief.good(below) < BELIEVED_MIN {
            self.choose_groups(&self.pool(lanes));
        } else if self.free == 1 || !below.is_empty() {
            self.stack_on(below, open);
        } else {
            let group = self.group(self.pool(lanes));
            let quantiles = self.free + 1;
            for length in (1..quantiles).filter_map(|k| nearest(&group.bad_among, ratio(k, quantiles))).collect::<Vec<_>>() {
                self.choose_near(Places::NONE, &group.order, length);
            }
        }
    }

    /// Chooses disjoint groups, each the first of the best plan for those that are left.
    fn choose_groups(&mut self, pool: &[usize]) {
        let mut rest = pool;
        while self.free > 0 && !rest.is_empty() {
            let Some(length) = self.cut(Places::NONE, rest) else { return };
            rest = &rest[length..];
        }
    }

    /// Chooses sets that hold those `below`, which are being gated and are probably green: so the new one lands too
    /// when they do, and needs no further run.
    fn stack_on(&mut self, mut below: Places, open: Places) {
        while self.free > 0 && self.survey.belief.good(below) >= BELIEVED_MIN {
            let lost = open.without(below);
            let is_free = |place: &usize| self.queue[*place].needs.is_within(below.with(lost).with(self.survey.cleared));
            let rest: Vec<usize> = lost.iter().filter(is_free).collect();
            let Some(length) = self.cut(below, &rest) else { return };
            below = below.with(rest[..length].iter().copied().collect());
        }
    }

    /// Cuts lanes and groups once more where that tells most, while workers are free.
    fn cut_deeper(&mut self, lanes: &[Places]) {
        let open_parts = self.pending.iter().map(|set| set.shared(self.survey.open));
        let whole = open_parts.filter(|part| !lanes.iter().any(|lane| lane.meets(*part)));
        let mut sets: Vec<Places> = lanes.iter().copied().chain(whole).filter(|set| set.len() > 1).collect();
        sets.sort_unstable();
        sets.dedup();
        let groups: Vec<Group> = sets.into_iter().map(|set| self.group(set.iter().collect())).collect();
        while self.free > 0 {
            let mut best: Option<(f64, Places)> = None;
            for (gain, set) in groups.iter().filter_map(|group| self.next_cut(group)) {
                if best.is_none_or(|(most, _)| gain > most + 1e-12) {
                    best = Some((gain, set));
                }
            }
            match best {
                Some((gain, set)) if gain >= CUT_BITS_MIN && self.choose(set) => {}
                _ => return,
            }
        }
    }

    /// The further prefix of `group` that tells most beside those that are pending, and how many bits.
    fn next_cut(&self, group: &Group) -> Option<(f64, Places)> {
        let bad_among = |length: usize| if length == 0 { 0.0 } else { group.bad_among[length - 1] };
        let is_pending = |length: usize| {
            let set = group.first(length);
            self.pending.iter().any(|pending| pending.shared(self.survey.open) == set)
        };
        let last = group.order.len();
        let ends: Vec<usize> = (0..=last).filter(|length| [0, last].contains(length) || is_pending(*length)).collect();
        let mut best: Option<(f64, Places)> = None;
        for gap in ends.windows(2) {
            let (low, high) = (bad_among(gap[0]), bad_among(gap[1]));
            for length in gap[0] + 1..gap[1] {
                let gain = (high - low) * entropy((bad_among(length) - low) / (high - low));
                let set = self.closed(group.first(length));
                if best.is_none_or(|(most, _)| gain > most + 1e-12) && self.is_possible(set) {
                    best = Some((gain, set));
                }
            }
        }
        best
    }

    /// Lets what was green elsewhere ride with the chosen set that is most likely green; alone, when nothing else is
    /// to be gated, or when it was red in company before.
    fn carry(&mut self) {
        let cleared = self.survey.cleared;
        if cleared.is_empty() || self.pending.iter().any(|set| cleared.is_within(*set) && !self.chosen.contains(set)) {
            return;
        }
        let was_red = |trial: &Trial| trial.reds > 0 && !trial.is_green && cleared.is_within(trial.set);
        if self.free > 0 && (self.chosen.is_empty() || self.trials.iter().any(was_red)) {
            self.choose(cleared);
            return;
        }
        let mut best: Option<(f64, usize)> = None;
        for (at, set) in self.chosen.iter().enumerate().filter(|(_, set)| !set.meets(self.survey.suspects)) {
            let good = self.survey.belief.good(*set);
            if best.is_none_or(|(most, _)| good > most) && self.is_possible(self.closed(set.with(cleared))) {
                best = Some((good, at));
            }
        }
        if let Some((_, at)) = best {
            self.chosen[at] = self.closed(self.chosen[at].with(cleared));
        }
    }

    /// Chooses the prefix of `order` that the best nested plan begins with, or one near it, on top of those `below`.
    /// Its length.
    fn cut(&mut self, below: Places, order: &[usize]) -> Option<usize> {
        let risks: Vec<f64> = order.iter().map(|place| self.survey.risks[*place]).collect();
        self.choose_near(below, order, nested::cut(&self.survey.belief.hazards(order), &risks))
    }

    /// Chooses the prefix of `order` of that length on top of those `below`; else the next shorter one that can be
    /// judged, else the next longer one. Its length.
    fn choose_near(&mut self, below: Places, order: &[usize], length: usize) -> Option<usize> {
        let set = |length: usize| self.closed(below.with(order[..length].iter().copied().collect()));
        let length = (1..=length).rev().chain(length + 1..=order.len()).find(|length| self.is_possible(set(*length)))?;
        self.choose(set(length));
        Some(length)
    }

    /// Adds `set`, with those whom it needs, to what is to be gated; false when it cannot be or is already.
    fn choose(&mut self, set: Places) -> bool {
        let set = self.closed(set);
        let is_new = self.free > 0 && !set.is_empty() && !self.pending.contains(&set) && self.is_possible(set);
        if is_new {
            self.pending.push(set);
            self.chosen.push(set);
            self.free -= 1;
        }
        is_new
    }

    /// With those whom they need.
    fn closed(&self, set: Places) -> Places {
        set.iter().fold(set, |all, place| all.with(self.queue[place].needs))
    }

    /// Whether a run on `set` can say something that is not known.
    fn is_possible(&self, set: Places) -> bool {
        !self.trials.iter().any(|trial| trial.is_of(set) && (trial.is_absent || trial.is_silent || trial.is_green))
    }

    fn group(&self, order: Vec<usize>) -> Group {
        let mut good = 1.0;
        let hazards = self.survey.belief.hazards(&order);
        let bad_among = hazards.into_iter().map(|hazard| {
            good *= 1.0 - hazard;
            1.0 - good
        });
        Group { bad_among: bad_among.collect(), order }
    }
}

impl Group {
    fn first(&self, length: usize) -> Places {
        self.order[..length].iter().copied().collect()
    }
}

/// How many rounds groups spare against prefixes when so many bits are to be found with so many workers: a round of
/// nested prefixes has one outcome more than runs, a round of disjoint sets two for each run.
fn spared_rounds(bits: f64, workers: usize) -> f64 {
    bits * (1.0 / ratio(workers + 1, 1).log2() - 1.0 / ratio(workers, 1))
}

/// The entropy, in bits, of what happens with probability `p`.
fn entropy(p: f64) -> f64 {
    let part = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    part(p) + part(1.0 - p)
}

/// The length at which a bad one is among the first with a probability nearest to `quantile`. Of equal ones below it
/// the longest, because a green lands more; of equal ones above it the shortest, because a red leaves fewer to search.
/// Nothing of nobody.
fn nearest(bad_among: &[f64], quantile: f64) -> Option<usize> {
    const EQUAL: f64 = 1e-12;
    let mut best: Option<(usize, f64)> = None;
    for (at, bad) in bad_among.iter().enumerate() {
        let distance = (bad - quantile).abs();
        if best.is_none_or(|(_, least)| distance < least - EQUAL || (distance < least + EQUAL && *bad < quantile)) {
            best = Some((at + 1, distance));
        }
    }
    best.map(|(length, _)| length)
}

#[expect(clippy::cast_precision_loss, reason = "counts of workers are far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
