//! The best nested plan: which prefix to gate next so that, with one worker and gates that do not flake, the fewest
//! runs are expected until everybody has landed or left.
//!
//! The dynamic programme of Sobel and Groll (*Group testing to eliminate efficiently all defectives in a binomial
//! sample*, Bell System Technical Journal 38, 1959), here for requests of unequal risk in a fixed order, and begun
//! in the middle of a search: until the first bad one is found, chances are those of the posterior.

/// Expected runs, by place in the order.
struct Plan {
    /// With nothing known of those from a place on.
    free: Vec<f64>,
    /// With a bad one known among so many from a place on, the count less 1 as the index.
    red: Vec<Vec<f64>>,
    /// The best first prefix.
    cut: usize,
}

/// The length of the prefix to gate first. `hazards[i]` is the chance that the request at `i` is bad given that those
/// before it are good and all that was seen; `risks[i]` the same for the search that begins after the first bad one.
/// 0 when there is nobody.
#[must_use]
pub fn cut(hazards: &[f64], risks: &[f64]) -> usize {
    if hazards.is_empty() {
        return 0;
    }
    let after = plan(risks, None);
    plan(hazards, Some(&after)).cut
}

/// The plan for `hazards`; once a bad one is found, that of `after` goes on with the rest, or this one.
fn plan(hazards: &[f64], after: Option<&Plan>) -> Plan {
    let n = hazards.len();
    let mut made = Plan { free: vec![0.0; n + 1], red: vec![Vec::new(); n], cut: 0 };
    let mut good = Vec::with_capacity(n + 1);
    for from in (0..n).rev() {
        good.clear();
        good.push(1.0);
        for hazard in &hazards[from..] {
            good.push(good[good.len() - 1] * (1.0 - hazard));
        }
        let mut red = Vec::with_capacity(n - from);
        red.push(after.map_or(made.free[from + 1], |after| after.free[from + 1]));
        for among in 2..=n - from {
            let all = 1.0 - good[among];
            let runs = (1..among).map(|length| {
                let green = if all > 0.0 { ((good[length] - good[among]) / all).max(0.0) } else { 0.0 };
                green * made.red[from + length][among - length - 1] + (1.0 - green) * red[length - 1]
            });
            red.push(1.0 + runs.fold(f64::INFINITY, f64::min));
        }
        let mut best = f64::INFINITY;
        for length in 1..=n - from {
            let runs = good[length] * made.free[from + length] + (1.0 - good[length]) * red[length - 1];
            // Of equal ones the longest: a green lands more.
            if runs <= best + 1e-12 {
                best = best.min(runs);
                made.cut = length;
            }
        }
        made.free[from] = 1.0 + best;
        made.red[from] = red;
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_probably_good_is_tested_whole_and_a_long_one_up_to_its_half_life() {
        assert_eq!(cut(&[0.05; 8], &[0.05; 8]), 8);
        assert_eq!(cut(&[0.05; 64], &[0.05; 64]), 13);
        assert_eq!(cut(&[0.25; 64], &[0.25; 64]), 2);
        assert_eq!(cut(&[0.45; 64], &[0.45; 64]), 1);
        assert_eq!(cut(&[], &[]), 0);
    }

    #[test]
    fn among_those_of_whom_one_is_surely_bad_the_search_stays() {
        let known_red = |risks: &[f64]| -> Vec<f64> {
            let mut hazards = risks.to_vec();
            hazards[3] = 1.0;
            hazards
        };
        assert!((2..4).contains(&cut(&known_red(&[0.05; 4]), &[0.05; 4])));
        assert!((1..4).contains(&cut(&known_red(&[0.05; 64]), &[0.05; 64])));
        let risky_first = [0.8, 0.02, 0.02, 0.02, 0.02];
        assert_eq!(cut(&known_red(&risky_first), &risky_first), 1);
    }

    #[test]
    fn a_risky_one_at_the_end_rides_along_and_one_at_the_front_is_gated_alone() {
        let risks = [0.02, 0.02, 0.02, 0.5, 0.5];
        assert_eq!(cut(&risks, &risks), 4);
        let risks = [0.5, 0.02, 0.02, 0.02];
        assert_eq!(cut(&risks, &risks), 1);
    }

    #[test]
    fn certainties_at_both_ends_are_planned_too() {
        assert_eq!(cut(&[0.0; 5], &[0.0; 5]), 5);
        assert_eq!(cut(&[1.0; 5], &[1.0; 5]), 1);
    }
}
