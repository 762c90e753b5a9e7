//! What runs let one believe: the exact posterior over who is bad, given which sets came out red.
//!
//! Each request is bad with its risk, independently of the others; a set with a bad one in it is always red; a set
//! without one is red only by its *doubt*: flakes of the gates, or a clash of good ones. Greens are facts, so what
//! they clear is taken out of the sets before. The sets may overlap in any way.

use super::places::Places;

/// Most states that one computation keeps. Evidence that would need more is left aside, the widest set first: it
/// says least, and what is not believed costs runs but blames nobody.
const STATES_MAX: usize = 128;
/// No risk is below this or above 1 less this, and no doubt below it, so that every finding stays possible.
const CHANCE_MIN: f64 = 1e-9;

/// A set that came out red.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Red {
    /// Who may be to blame; not empty.
    pub set: Places,
    /// How likely all its reds are though nobody in it is bad.
    pub doubt: f64,
}

/// The posterior of one queue.
#[derive(Clone, Debug)]
pub struct Belief {
    risks: Vec<f64>,
    knots: Vec<Knot>,
}

/// Reds that share members, directly or through others; what is believed of one knot says nothing of another.
#[derive(Clone, Debug)]
struct Knot {
    members: Places,
    /// The narrowest first.
    reds: Vec<Red>,
}

impl Belief {
    /// What `reds` say of requests that are bad by `risks`.
    #[must_use]
    pub fn new(risks: &[f64], reds: &[Red]) -> Self {
        let risks: Vec<f64> = risks.iter().map(|risk| risk.clamp(CHANCE_MIN, 1.0 - CHANCE_MIN)).collect();
        let mut one_each: Vec<Red> = Vec::new();
        for red in reds.iter().filter(|red| !red.set.is_empty()) {
            match one_each.iter_mut().find(|known| known.set == red.set) {
                Some(known) => known.doubt *= red.doubt,
                None => one_each.push(*red),
            }
        }
        for red in &mut one_each {
            red.doubt = red.doubt.clamp(CHANCE_MIN, 1.0);
        }
        // Equal evidence gives equal sums only when it is added up in one order.
        one_each.sort_by_key(|red| (red.set.len(), red.set));
        let knots = knots(one_each).into_iter().map(|reds| Knot::new(&risks, reds)).collect();
        Self { risks, knots }
    }

    /// How likely nobody of `set` is bad.
    #[must_use]
    pub fn good(&self, set: Places) -> f64 {
        let mut good: f64 = self.free(set).iter().map(|place| 1.0 - self.risks[place]).product();
        for knot in self.knots.iter().filter(|knot| knot.members.meets(set)) {
            let order: Vec<usize> = set.shared(knot.members).iter().collect();
            good *= knot.good_first(&self.risks, &order)[order.len()];
        }
        good.clamp(0.0, 1.0)
    }

    /// How likely the request at `place` is bad.
    #[must_use]
    pub fn bad(&self, place: usize) -> f64 {
        1.0 - self.good(Places::of(place))
    }

    /// For each place of `order` how likely its request is the first bad one of that order, given that those before
    /// it are good.
    #[must_use]
    pub fn hazards(&self, order: &[usize]) -> Vec<f64> {
        let all: Places = order.iter().copied().collect();
        let mut hazards: Vec<f64> = order.iter().map(|place| self.risks[*place]).collect();
        for knot in self.knots.iter().filter(|knot| knot.members.meets(all)) {
            let at: Vec<usize> = (0..order.len()).filter(|at| knot.members.contains(order[*at])).collect();
            let its: Vec<usize> = at.iter().map(|at| order[*at]).collect();
            let good = knot.good_first(&self.risks, &its);
            for (first, at) in at.into_iter().enumerate() {
                let hazard = if good[first] > 0.0 { 1.0 - good[first + 1] / good[first] } else { 1.0 };
                hazards[at] = hazard.clamp(0.0, 1.0);
            }
        }
        hazards
    }

    /// The places of `set` that no red touches.
    fn free(&self, set: Places) -> Places {
        self.knots.iter().fold(set, |free, knot| free.without(knot.members))
    }
}

/// Sorts reds into groups that share no member.
fn knots(reds: Vec<Red>) -> Vec<Vec<Red>> {
    let mut knots: Vec<(Places, Vec<Red>)> = Vec::new();
    for red in reds {
        let (touched, mut apart): (Vec<_>, Vec<_>) = knots.into_iter().partition(|(members, _)| members.meets(red.set));
        let mut joined = (red.set, Vec::new());
        for (members, its) in touched {
            joined.0 = joined.0.with(members);
            joined.1.extend(its);
        }
        joined.1.push(red);
        apart.push(joined);
        knots = apart;
    }
    knots.into_iter().map(|(_, reds)| reds).collect()
}

/// One member of a knot, in the order in which the knot is gone through.
struct Step {
    risk: f64,
    /// The reds that a bad one here explains.
    explains: u32,
    /// The reds of which nobody comes after this one.
    ended: u32,
}

impl Knot {
    fn new(risks: &[f64], mut reds: Vec<Red>) -> Self {
        reds.truncate(u32::BITS as usize);
        loop {
            let members = reds.iter().fold(Places::NONE, |all, red| all.with(red.set));
            let mut knot = Self { members, reds };
            if levels(&knot.steps(risks, &[])).is_some() {
                return knot;
            }
            // The widest comes last.
            knot.reds.pop();
            reds = knot.reds;
        }
    }

    /// The members, those of `first` before the others.
    fn steps(&self, risks: &[f64], first: &[usize]) -> Vec<Step> {
        let others = self.members.without(first.iter().copied().collect());
        let mut rest = self.members;
        let mut steps = Vec::with_capacity(rest.len());
        for place in first.iter().copied().chain(others.iter()) {
            rest = rest.without(Places::of(place));
            let (mut explains, mut ended) = (0_u32, 0_u32);
            for (at, red) in self.reds.iter().enumerate().filter(|(_, red)| red.set.contains(place)) {
                explains |= 1 << at;
                ended |= u32::from(!red.set.meets(rest)) << at;
            }
            steps.push(Step { risk: risks[place], explains, ended });
        }
        steps
    }

    /// For each length how likely the first so many of `first`, all of them members, are good.
    fn good_first(&self, risks: &[f64], first: &[usize]) -> Vec<f64> {
        let steps = self.steps(risks, first);
        // In another order there may be more of them than in the one that was tried.
        let Some(levels) = levels(&steps) else { return self.apart(risks, first) };
        // From the end: how likely what follows explains what is left to be explained.
        let mut values: Vec<Vec<f64>> = vec![vec![1.0; levels[steps.len()].len()]];
        for (at, step) in steps.iter().enumerate().rev() {
            let later = &values[values.len() - 1];
            let of = |told: u32| levels[at + 1].binary_search(&told).map_or(0.0, |found| later[found]);
            let value = |told: &u32| {
                let doubt = self.doubt(step.ended & !told);
                step.risk * of(told | step.explains) + (1.0 - step.risk) * doubt * of(told | step.ended)
            };
            values.push(levels[at].iter().map(value).collect());
        }
        values.reverse();
        let seen = values[0][0];
        let (mut told, mut path) = (0_u32, 1.0);
        let mut good = vec![1.0];
        for (at, step) in steps[..first.len()].iter().enumerate() {
            path *= (1.0 - step.risk) * self.doubt(step.ended & !told);
            told |= step.ended;
            let value = levels[at + 1].binary_search(&told).map_or(0.0, |found| values[at + 1][found]);
            good.push((path * value / seen).clamp(0.0, 1.0));
        }
        good
    }

    /// The same by the narrowest red of each alone: what is left when all together is too much to compute.
    fn apart(&self, risks: &[f64], first: &[usize]) -> Vec<f64> {
        let mut good = vec![1.0];
        for place in first {
            let red = self.reds.iter().find(|red| red.set.contains(*place)).copied();
            let alone = red.map_or(1.0 - risks[*place], |red| {
                let all: f64 = red.set.iter().map(|member| 1.0 - risks[member]).product();
                let seen = 1.0 - all + all * red.doubt;
                1.0 - risks[*place] / seen
            });
            good.push(good[good.len() - 1] * alone.clamp(0.0, 1.0));
        }
        good
    }

    /// How likely the reds at the places of `unexplained` are though nobody in them is bad.
    fn doubt(&self, unexplained: u32) -> f64 {
        let doubts = self.reds.iter().enumerate().filter(|(at, _)| unexplained >> at & 1 == 1);
        doubts.map(|(_, red)| red.doubt).product()
    }
}

/// Before each step and at the end, which of the reds may be explained or behind, as sorted sets of bits;
/// nothing when they are too many.
fn levels(steps: &[Step]) -> Option<Vec<Vec<u32>>> {
    let mut levels = vec![vec![0_u32]];
    for step in steps {
        let last = &levels[levels.len() - 1];
        let mut next: Vec<u32> = last.iter().flat_map(|told| [told | step.explains, told | step.ended]).collect();
        next.sort_unstable();
        next.dedup();
        if next.len() > STATES_MAX {
            return None;
        }
        levels.push(next);
    }
    Some(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(places: &[usize]) -> Places {
        places.iter().copied().collect()
    }

    /// The same by going through everybody who may be bad.
    fn good_by_counting(risks: &[f64], reds: &[Red], good: Places) -> f64 {
        let (mut all, mut fitting) = (0.0, 0.0);
        for bad in 0..1_u64 << risks.len() {
            let bad: Places = (0..risks.len()).filter(|place| bad >> place & 1 == 1).collect();
            let prior: f64 = risks.iter().enumerate().map(|(i, risk)| if bad.contains(i) { *risk } else { 1.0 - risk }).product();
            let seen: f64 = reds.iter().map(|red| if red.set.meets(bad) { 1.0 } else { red.doubt }).product();
            all += prior * seen;
            fitting += if bad.meets(good) { 0.0 } else { prior * seen };
        }
        fitting / all
    }

    #[test]
    fn the_posterior_is_that_of_counting_all_cases() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..300 {
            let n = rng.usize(1..9);
            let risks: Vec<f64> = (0..n).map(|_| 0.01 + 0.5 * rng.f64()).collect();
            let draw = |rng: &mut fastrand::Rng| -> Places { (0..n).filter(|_| rng.bool()).collect() };
            let reds: Vec<Red> = (0..rng.usize(0..6)).map(|_| Red { set: draw(&mut rng), doubt: rng.f64() }).collect();
            let counted: Vec<Red> = reds.iter().copied().filter(|red| !red.set.is_empty()).collect();
            let belief = Belief::new(&risks, &reds);
            for _ in 0..4 {
                let good = draw(&mut rng);
                let expected = good_by_counting(&risks, &counted, good);
                assert!((belief.good(good) - expected).abs() < 1e-9, "{reds:?} {good:?}: {} {expected}", belief.good(good));
            }
        }
    }

    #[test]
    fn a_red_pair_of_which_one_is_cleared_points_at_the_other() {
        let reds = [Red { set: set(&[0, 1]), doubt: 0.01 }];
        let belief = Belief::new(&[0.05, 0.05, 0.05], &reds);
        assert!((belief.bad(0) - belief.bad(1)).abs() < 1e-12 && belief.bad(0) > 0.4);
        assert!((belief.bad(2) - 0.05).abs() < 1e-12, "nothing is said of who was not there");
        let hazards = belief.hazards(&[0, 1, 2]);
        assert!(hazards[1] > 0.8 && hazards[1] < 1.0, "{hazards:?}");
    }

    #[test]
    fn gates_that_never_flake_leave_no_way_out() {
        let reds = [Red { set: set(&[0]), doubt: 0.0 }, Red { set: set(&[0, 1, 2]), doubt: 0.0 }];
        let belief = Belief::new(&[0.05; 3], &reds);
        assert!(belief.bad(0) > 0.999_999 && (belief.bad(1) - 0.05).abs() < 1e-6);
    }

    #[test]
    fn evidence_beyond_measure_is_cut_and_not_lost_in() {
        let mut rng = fastrand::Rng::with_seed(5);
        let reds: Vec<Red> = (0..60).map(|_| Red { set: (0..64).filter(|_| rng.u8(..8) == 0).collect(), doubt: 0.3 }).collect();
        let belief = Belief::new(&[0.1; 64], &reds);
        for place in 0..64 {
            assert!((0.0..=1.0).contains(&belief.bad(place)));
        }
    }
}
