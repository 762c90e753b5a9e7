//! Whole searches in simulated worlds, beside the exact optimum and other queues. Bars are those of the
//! specification, coarser where the sample is small.

use std::collections::HashSet;

use proptest::prelude::*;

use super::optimum::{Expected, halving, optimum};
use super::others;
use super::ours::{Belief, Drive, drain};
use super::world::World;

/// How often the long form draws what the short one draws once.
fn times() -> usize {
    std::env::var("GT_TEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[test]
fn without_flakes_runs_are_those_of_the_best_nested_plan_and_well_below_halving() {
    let sizes: &[usize] = if times() > 1 { &[1, 2, 4, 8, 16, 32, 64] } else { &[1, 2, 4, 8, 16, 24] };
    for p in [0.01, 0.05, 0.10, 0.25] {
        let mut ours = Expected::new(p);
        for n in sizes {
            let ratio = ours.runs(0, *n) / optimum(*n, p);
            assert!(ratio <= 1.001, "n = {n}, p = {p}: {ratio:.4} of the optimum");
        }
    }
    for (p, spared) in [(0.05, 0.20), (0.25, 0.28)] {
        let ours = Expected::new(p).runs(0, 16);
        assert!(ours <= (1.0 - spared) * halving(16, p), "p = {p}: {ours:.2} of {:.2}", halving(16, p));
    }
}

#[test]
fn flaky_gates_throw_out_almost_nobody_for_a_third_more_runs() {
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut innocents, mut runs, mut runs_steady) = (0, 0, 0);
    let trials = 1_500 * times();
    for _ in 0..trials {
        let world = World::drawn(&mut rng, 16, 0.05);
        runs_steady += drain(&world, &Belief::flat(0.05, 0.0, 1), &mut rng).runs;
        let world = world.flaky(0.05);
        let ended = drain(&world, &Belief::flat(0.05, 0.05, 1), &mut rng);
        runs += ended.runs;
        innocents += ended.innocents(&world);
    }
    let share = innocents as f64 / (trials * 16) as f64;
    // 0.05 % is the bar of the long form; of 24,000 this allows some by chance.
    assert!(share <= 0.0008, "{:.3} % of the good were evicted", share * 100.0);
    assert!(runs as f64 <= 1.3 * runs_steady as f64, "{runs} runs for {runs_steady}");
}

#[test]
fn four_workers_need_few_rounds_and_hardly_more_runs() {
    let mut rng = fastrand::Rng::with_seed(8);
    for (p, rounds_max, runs_max) in [(0.05, 9.0, 1.4), (0.25, 20.0, 1.15)] {
        let trials = 12 * times();
        let (mut rounds, mut runs) = (0.0, 0);
        for _ in 0..trials {
            let ended = drain(&World::drawn(&mut rng, 64, p), &Belief::flat(p, 0.0, 4), &mut rng);
            rounds += ended.rounds / trials as f64;
            runs += ended.runs;
        }
        assert!(rounds <= rounds_max, "p = {p}: {rounds:.1} rounds");
        let ratio = runs as f64 / trials as f64 / optimum(64, p);
        assert!(ratio <= runs_max, "p = {p}: {ratio:.2} of the runs of one worker");
    }
}

#[test]
fn in_the_same_worlds_other_queues_need_more() {
    let mut rng = fastrand::Rng::with_seed(9);
    let (mut ours, mut bors, mut mergify, mut zuul) = (0.0, 0.0, 0.0, 0.0);
    for _ in 0..60 * times() {
        let world = World::drawn(&mut rng, 32, 0.10);
        let how = others::Halving { has_memo: true, reds_max: 1 };
        ours += drain(&world, &Belief::flat(0.10, 0.0, 4), &mut rng).rounds;
        zuul += others::zuul(&world, 4, &mut rng).rounds;
        mergify += others::mergify(&world, 4, &mut rng).rounds;
        bors += others::halving(&world, how, &mut rng).rounds;
        let serial = others::serial(&world, 1, &mut rng);
        assert_eq!((serial.runs, serial.landed.len() + serial.evicted.len()), (32, 32));
    }
    assert!(1.5 * ours < mergify && 1.5 * ours < zuul && 2.0 * ours < bors, "{ours} {mergify} {zuul} {bors}");
}

#[test]
fn knowing_who_is_risky_spares_runs_and_a_wrong_opinion_costs_some() {
    let mut rng = fastrand::Rng::with_seed(10);
    let risks: Vec<f64> = (0..32).map(|at| if at % 5 == 4 { 0.30 } else { 0.02 }).collect();
    let (mut known, mut flat) = (0, 0);
    for _ in 0..60 * times() {
        let world = World::of_risks(&mut rng, &risks);
        known += drain(&world, &Belief { risks: risks.clone(), flake: 0.0, workers: 1 }, &mut rng).runs;
        flat += drain(&world, &Belief::flat(0.076, 0.0, 1), &mut rng).runs;
    }
    assert!(f64::from(u32::try_from(known).unwrap()) < 0.92 * f64::from(u32::try_from(flat).unwrap()), "{known} {flat}");
}

#[test]
fn steady_arrivals_are_kept_up_with_and_nobody_is_forgotten() {
    let mut rng = fastrand::Rng::with_seed(11);
    for (rate, workers, waits_max) in [(0.9, 1, 2.5), (2.0, 1, 7.0), (4.0, 4, 4.0)] {
        let world = World::drawn(&mut rng, 150, 0.05).flaky(0.01).arriving(&mut rng, rate);
        let ended = drain(&world, &Belief::flat(0.05, 0.01, workers), &mut rng);
        assert_eq!(ended.landed.len() + ended.evicted.len(), 150);
        let mean = ended.waits.iter().sum::<f64>() / ended.waits.len() as f64;
        assert!(mean <= waits_max, "{rate} a gate time with {workers}: {mean:.1} gate times");
    }
}

#[test]
fn runs_that_take_unequal_time_are_planned_around() {
    let mut rng = fastrand::Rng::with_seed(12);
    for _ in 0..10 * times() {
        let world = World::drawn(&mut rng, 24, 0.15).flaky(0.02).arriving(&mut rng, 6.0);
        let belief = Belief::flat(0.1, 0.02, 3);
        let ended = Drive::new(&world, &belief, &mut rng).lasting(|rng| 0.2 + 2.0 * rng.f64()).finish();
        assert_eq!(ended.landed.len() + ended.evicted.len(), 24);
        assert!(ended.landed.iter().all(|mr| !world.bad[*mr]));
    }
}

#[test]
fn sets_that_do_not_merge_without_those_ahead_end_in_prefixes_and_all_is_decided() {
    let mut rng = fastrand::Rng::with_seed(13);
    for workers in [1, 3] {
        for _ in 0..6 * times() {
            let world = World::drawn(&mut rng, 16, 0.2);
            // Every third one stands on the one before it, textually.
            let lacks_one_ahead = |stack: &[usize], landed: &HashSet<usize>| {
                stack.iter().any(|mr| mr % 3 == 2 && !stack.contains(&(mr - 1)) && !landed.contains(&(mr - 1)))
            };
            let belief = Belief::flat(0.2, 0.01, workers);
            let ended = Drive::new(&world, &belief, &mut rng).without(lacks_one_ahead).finish();
            assert_eq!(ended.landed.len() + ended.evicted.len(), 16);
            assert_eq!(ended.innocents(&world), 0);
        }
    }
}

#[test]
fn equal_inputs_give_the_same_log_twice() {
    for workers in [1, 4] {
        let log = || {
            let mut rng = fastrand::Rng::with_seed(14);
            let world = World::drawn(&mut rng, 32, 0.1).clashing(&mut rng, 0.004).arriving(&mut rng, 8.0);
            Drive::new(&world, &Belief::flat(0.1, 0.0, workers), &mut rng).logged().finish().log
        };
        let once = log();
        assert!(once.len() > 10 && once == log(), "{once:#?}");
    }
}

proptest! {
    #![proptest_config(crate::chance::cases(60, 1000))]

    #[test]
    fn with_steady_gates_exactly_the_culprits_leave_whatever_was_believed(
        bad in prop::collection::vec(prop::bool::weighted(0.3), 0..20),
        risk in 0.005..0.5,
        flake in 0.002..0.3,
        workers in 1..5_usize,
        seed in any::<u64>(),
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let world = World { bad, ..World::default() };
        let mut ended = drain(&world, &Belief::flat(risk, flake, workers), &mut rng);
        ended.evicted.sort_unstable();
        ended.landed.sort_unstable();
        let of = |is_bad: bool| -> Vec<usize> { (0..world.len()).filter(|mr| world.bad[*mr] == is_bad).collect() };
        prop_assert_eq!(ended.evicted, of(true));
        prop_assert_eq!(ended.landed, of(false));
    }

    #[test]
    fn of_two_that_break_together_exactly_one_leaves_and_with_one_worker_the_later(
        n in 2..14_usize, a in 0..14_usize, b in 0..14_usize, workers in 1..5_usize, seed in any::<u64>(),
    ) {
        let (first, later) = (a.min(b), a.max(b));
        prop_assume!(first < later && later < n);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = World::drawn(&mut rng, n, 0.0);
        world.join(first, later);
        let ended = drain(&world, &Belief::flat(0.05, 0.01, workers), &mut rng);
        prop_assert_eq!(ended.innocents(&world), 0);
        if workers == 1 {
            prop_assert_eq!(ended.evicted, vec![later]);
        } else {
            prop_assert!(ended.evicted == [later] || (ended.evicted == [first] && ended.overtaken == 1), "{:?}", ended.evicted);
        }
    }

    #[test]
    fn nobody_leaves_for_a_partner_that_did_not_land(
        n in 2..24_usize, p in 0.0..0.3_f64, q in 0.0..0.05_f64, workers in 1..7_usize, seed in any::<u64>(),
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let world = World::drawn(&mut rng, n, p).clashing(&mut rng, q);
        let ended = drain(&world, &Belief::flat(0.05, 0.0, workers), &mut rng);
        prop_assert_eq!(ended.innocents(&world), 0);
        prop_assert!(workers > 1 || ended.overtaken == 0);
    }

    #[test]
    fn children_never_go_before_their_parents(bad in prop::collection::vec(prop::bool::weighted(0.2), 2..16), workers in 1..4_usize) {
        let mut rng = fastrand::Rng::with_seed(15);
        // A bad parent takes its children with it; here they are only decided later, so all are good or leave alone.
        let world = World { bad: bad.iter().enumerate().map(|(at, is_bad)| *is_bad && at % 4 == 3).collect(), ..World::default() };
        let belief = Belief::flat(0.1, 0.01, workers);
        let parents = |mr: usize| (mr / 4 * 4..mr).collect();
        let ended = Drive::new(&world, &belief, &mut rng).built_on(parents).finish();
        for (at, mr) in ended.landed.iter().enumerate() {
            prop_assert!((mr / 4 * 4..*mr).all(|parent| ended.landed[..at].contains(&parent)));
        }
        prop_assert_eq!(ended.landed.len() + ended.evicted.len(), world.len());
    }
}
