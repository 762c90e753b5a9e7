//! Who goes first: priority class, then score; and how waiting crosses classes, so that nobody waits for ever.

use std::collections::HashMap;

use crate::name::BeadId;
use crate::time::Moment;

/// After so many hours of waiting a request counts as of the next class up, and again after as many.
pub const CLASS_HOURS: u64 = 24;
/// The last class.
const PRIORITY_MAX: u8 = 4;
/// What an hour of a convoy's age is worth, in points; an hour of the request's own is worth one.
const CONVOY_POINTS: i64 = 10;
/// What each earlier attempt costs, in points, and the most that all of them do.
const RETRY_POINTS: i64 = 50;
const RETRY_POINTS_MAX: i64 = 300;
const MILLIS_PER_HOUR: u64 = 3_600_000;

/// What orders a request in its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rank {
    /// The request.
    pub mr: BeadId,
    /// Its class: 0 critical … 4 backlog.
    pub priority: u8,
    /// How often its work was sent back before.
    pub attempts: u32,
    /// When it was handed in.
    pub submitted_at: Moment,
    /// When the convoy that waits for it began, if one does.
    pub convoy_at: Option<Moment>,
    /// Requests on which it is built; they go before it.
    pub parents: Vec<BeadId>,
    /// Its risk, in thousandths.
    pub risk_permille: u32,
}

/// What [`Rank::key`] sorts by: class, points from many to few, risk from low to high, age from old to young, id.
type Key = (i64, i64, u32, i64, BeadId);

impl Rank {
    /// The class at `now`: the priority, less one for each [`CLASS_HOURS`] of waiting. It goes below 0, so nobody is
    /// ever overtaken by what is handed in `CLASS_HOURS` × (priority + 2) after it.
    #[must_use]
    pub fn class(&self, now: Moment) -> i64 {
        let steps = now.millis_since(self.submitted_at) / (CLASS_HOURS * MILLIS_PER_HOUR);
        i64::from(self.priority.min(PRIORITY_MAX)) - i64::try_from(steps).unwrap_or(i64::MAX - 1)
    }

    /// The points within a class at `now`.
    #[must_use]
    pub fn score(&self, now: Moment) -> i64 {
        let hours = |since: Moment| i64::try_from(now.millis_since(since) / MILLIS_PER_HOUR).unwrap_or(i64::MAX);
        let convoy = self.convoy_at.map_or(0, |at| hours(at).saturating_mul(CONVOY_POINTS));
        let class = 100 * i64::from(PRIORITY_MAX - self.priority.min(PRIORITY_MAX));
        let retries = (i64::from(self.attempts) * RETRY_POINTS).min(RETRY_POINTS_MAX);
        (1000 + class - retries).saturating_add(convoy).saturating_add(hours(self.submitted_at))
    }

    /// The key to sort by at `now`, parents aside. Of equal points the safe ones go first: they land together, and
    /// nobody waits for what is found out of a risky one.
    #[must_use]
    pub fn key(&self, now: Moment) -> Key {
        let points = self.score(now).saturating_neg();
        (self.class(now), points, self.risk_permille, self.submitted_at.millis(), self.mr.clone())
    }
}

/// The places in `ranks` in order of their turn at `now`. Parents that are among them come before their children: a
/// child draws them forward to its own turn. Of parents in a circle, which no repository can hold, one goes first.
#[must_use]
pub fn turns(ranks: &[Rank], now: Moment) -> Vec<usize> {
    let by_id: HashMap<&BeadId, usize> = ranks.iter().enumerate().map(|(at, rank)| (&rank.mr, at)).collect();
    let mut by_key: Vec<usize> = (0..ranks.len()).collect();
    by_key.sort_by_cached_key(|at| ranks[*at].key(now));
    let mut position = vec![0; ranks.len()];
    for (turn, at) in by_key.iter().enumerate() {
        position[*at] = turn;
    }
    let mut turns = Vec::with_capacity(ranks.len());
    let mut is_seen = vec![false; ranks.len()];
    // Whoever waits for parents stays on the stack until they are out; depth first, without recursion.
    let mut waiting: Vec<(usize, bool)> = by_key.iter().rev().map(|at| (*at, false)).collect();
    while let Some((at, are_parents_out)) = waiting.pop() {
        if are_parents_out {
            turns.push(at);
            continue;
        }
        if std::mem::replace(&mut is_seen[at], true) {
            continue;
        }
        waiting.push((at, true));
        let mut parents: Vec<usize> =
            ranks[at].parents.iter().filter_map(|id| by_id.get(id).copied()).filter(|parent| !is_seen[*parent]).collect();
        parents.sort_by_key(|parent| std::cmp::Reverse(position[*parent]));
        waiting.extend(parents.into_iter().map(|parent| (parent, false)));
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_HOURS: i64 = 10_000;

    fn rank(id: &str, priority: u8, attempts: u32, hours: i64) -> Rank {
        Rank {
            mr: id.parse().unwrap(),
            priority,
            attempts,
            submitted_at: Moment::from_millis((NOW_HOURS - hours) * 3_600_000),
            convoy_at: None,
            parents: Vec::new(),
            risk_permille: 50,
        }
    }

    fn order(ranks: &[Rank]) -> Vec<&str> {
        turns(ranks, Moment::from_millis(NOW_HOURS * 3_600_000)).into_iter().map(|at| ranks[at].mr.as_str()).collect()
    }

    #[test]
    fn priority_goes_first_then_age_and_a_retry_waits_behind_fresh_ones() {
        let queue =
            [rank("wi-d", 2, 1, 3), rank("wi-c", 2, 0, 1), rank("wi-b", 2, 0, 1), rank("wi-a", 2, 0, 2), rank("wi-e", 0, 9, 0)];
        assert_eq!(order(&queue), ["wi-e", "wi-a", "wi-b", "wi-c", "wi-d"]);
    }

    #[test]
    fn an_old_convoy_is_finished_before_a_young_one() {
        let mut queue = [rank("wi-a", 2, 0, 20), rank("wi-b", 2, 0, 1)];
        queue[1].convoy_at = Some(Moment::from_millis((NOW_HOURS - 48) * 3_600_000));
        assert_eq!(order(&queue), ["wi-b", "wi-a"]);
    }

    #[test]
    fn of_those_that_came_in_one_hour_the_safe_ones_go_first() {
        let mut queue = [rank("wi-a", 2, 0, 1), rank("wi-b", 2, 0, 1), rank("wi-c", 2, 0, 2)];
        queue[0].risk_permille = 300;
        queue[2].risk_permille = 500;
        assert_eq!(order(&queue), ["wi-c", "wi-b", "wi-a"]);
    }

    #[test]
    fn a_day_of_waiting_is_worth_a_class() {
        assert_eq!(order(&[rank("wi-a", 3, 0, 23), rank("wi-b", 2, 0, 0)]), ["wi-b", "wi-a"]);
        assert_eq!(order(&[rank("wi-a", 3, 0, 48), rank("wi-b", 2, 0, 0)]), ["wi-a", "wi-b"]);
    }

    #[test]
    fn a_child_draws_its_parents_forward_and_never_goes_before_them() {
        let mut queue = [rank("wi-child", 0, 0, 1), rank("wi-mid", 3, 0, 1), rank("wi-root", 4, 0, 1), rank("wi-x", 1, 0, 1)];
        queue[0].parents = vec!["wi-mid".parse().unwrap(), "wi-landed".parse().unwrap()];
        queue[1].parents = vec!["wi-root".parse().unwrap()];
        assert_eq!(order(&queue), ["wi-root", "wi-mid", "wi-child", "wi-x"]);
        queue[2].parents = vec!["wi-child".parse().unwrap()];
        assert_eq!(order(&queue).len(), 4, "a circle ends too");
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            rng_seed: proptest::test_runner::RngSeed::Fixed(20_260_101),
            ..ProptestConfig::default()
        })]

        #[test]
        fn nobody_is_overtaken_by_what_is_handed_in_days_later(
            mine in (0..6_u8, 0..20_u32),
            theirs in (0..6_u8, 0..20_u32),
            waits in 0..2_000_i64,
            later in 0..2_000_i64,
            convoy in proptest::option::of(0..9_000_i64),
        ) {
            let mut queue = [rank("wi-mine", mine.0, mine.1, waits), rank("wi-theirs", theirs.0, theirs.1, waits - later)];
            queue[1].convoy_at = convoy.map(|hours| Moment::from_millis((NOW_HOURS - hours) * 3_600_000));
            let bound = 24 * (i64::from(mine.0.min(4)) + 2);
            if later >= bound && waits >= later {
                prop_assert_eq!(order(&queue), ["wi-mine", "wi-theirs"]);
            }
        }

        #[test]
        fn everybody_gets_one_turn_and_parents_theirs_before(
            edges in prop::collection::vec((0..12_usize, 0..12_usize), 0..30),
            classes in prop::collection::vec((0..5_u8, 0..100_i64), 12),
        ) {
            let id = |at: usize| format!("wi-{}", (b'a' + u8::try_from(at).unwrap()) as char);
            let mut queue: Vec<Rank> = classes.iter().enumerate().map(|(at, (class, age))| rank(&id(at), *class, 0, *age)).collect();
            for (a, b) in edges.into_iter().filter(|(a, b)| a < b) {
                queue[b].parents.push(id(a).parse().unwrap());
            }
            let turns = turns(&queue, Moment::from_millis(NOW_HOURS * 3_600_000));
            let mut sorted = turns.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..12).collect::<Vec<_>>());
            for (turn, at) in turns.iter().enumerate() {
                for parent in &queue[*at].parents {
                    prop_assert!(turns[..turn].iter().any(|before| queue[*before].mr == *parent));
                }
            }
        }
    }
}
