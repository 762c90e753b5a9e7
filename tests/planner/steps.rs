//! Single plans: what is done for what is known.

use gastown::model::plan::{Action, Asked, EVICT_POSTERIOR_MIN, Outlook, Places, Running, STACK_MAX, Trial, plan};
use proptest::prelude::*;

fn set(places: &[usize]) -> Places {
    places.iter().copied().collect()
}

/// The bare target, known to be green.
fn green_tip() -> Trial {
    green(&[], 0)
}

fn green(places: &[usize], lacks: u32) -> Trial {
    Trial { is_green: true, ..Trial::new(set(places), lacks) }
}

fn red(places: &[usize], lacks: u32, reds: u32) -> Trial {
    Trial::new(set(places), lacks).red(reds, 0.01)
}

fn silent(places: &[usize]) -> Trial {
    Trial { is_silent: true, ..Trial::new(set(places), 0) }
}

fn absent(places: &[usize]) -> Trial {
    Trial { is_absent: true, ..Trial::new(set(places), 0) }
}

/// `n` requests at 5 % on a green tip, of which this is known besides.
fn outlook(n: usize, workers: usize, trials: &[Trial]) -> Outlook {
    let queue = vec![Asked { risk: 0.05, needs: Places::NONE }; n];
    Outlook { queue, trials: [&[green_tip()], trials].concat(), running: vec![], workers }
}

fn tests(actions: &[Action]) -> Vec<Places> {
    let tested = actions.iter().map(|action| match action {
        Action::Test(set) => *set,
        other => panic!("{other:?} among tests: {actions:?}"),
    });
    tested.collect()
}

#[test]
fn a_queue_that_is_probably_good_costs_one_run_of_all_and_an_empty_one_none() {
    assert_eq!(plan(&outlook(0, 1, &[])), []);
    assert_eq!(plan(&outlook(8, 1, &[])), [Action::Test(Places::first(8))]);
    assert_eq!(plan(&outlook(64, 1, &[])), [Action::Test(Places::first(13))]);
    assert_eq!(plan(&outlook(80, 1, &[])), plan(&outlook(64, 1, &[])), "those past the most that are stacked wait");
}

#[test]
fn the_largest_green_lands_whatever_was_red_below_it() {
    let known = [red(&[0], 0, 3), green(&[0, 1], 0), green(&[0, 1, 2], 0), red(&[3], 0, 5)];
    assert_eq!(plan(&outlook(4, 1, &known)), [Action::Land(Places::first(3))]);
}

#[test]
fn what_was_green_on_an_older_tip_never_lands_by_that() {
    let actions = plan(&outlook(2, 1, &[green(&[0, 1], 1)]));
    assert_eq!(actions, [Action::Test(Places::first(2))], "it is gated again on today's tip");
    let actions = plan(&outlook(3, 1, &[green(&[1], 2)]));
    assert_eq!(actions, [Action::Test(Places::first(3))], "and others with it");
}

#[test]
fn one_red_convicts_only_when_gates_never_flake() {
    let never = Trial::new(set(&[0]), 0).red(1, 0.0);
    assert!(matches!(plan(&outlook(1, 1, &[never]))[..], [Action::Evict { place: 0, .. }]));
    assert_eq!(plan(&outlook(1, 1, &[red(&[0], 0, 1)])), [Action::Test(set(&[0]))]);
    let [Action::Evict { place: 0, posterior }] = plan(&outlook(1, 1, &[red(&[0], 0, 2)]))[..] else { panic!() };
    assert!(posterior >= EVICT_POSTERIOR_MIN);
}

#[test]
fn while_others_wait_a_suspect_is_not_gated_again_and_their_green_convicts_it() {
    let flaky = |places: &[usize], reds| Trial::new(set(places), 0).red(reds, 0.05);
    let known = [flaky(&[0, 1, 2, 3], 1), flaky(&[0, 1], 1), flaky(&[0], 1)];
    assert_eq!(plan(&outlook(4, 1, &known)), [Action::Test(set(&[1, 2, 3]))]);
    // The three have landed; all three reds are about the one that is left.
    let known = [flaky(&[0], 3)];
    assert!(matches!(plan(&outlook(1, 1, &known))[..], [Action::Evict { place: 0, .. }]));
}

#[test]
fn more_workers_cut_more_often_and_no_set_is_gated_twice() {
    let some = tests(&plan(&outlook(16, 3, &[])));
    assert_eq!(some, [Places::first(6), Places::first(14), Places::first(16)]);
    assert_eq!(tests(&plan(&outlook(4, 4, &[]))), [Places::first(4)], "one is enough when it is probably green");
}

#[test]
fn a_long_queue_is_gated_in_groups_side_by_side() {
    let groups = tests(&plan(&outlook(64, 4, &[])));
    assert_eq!(groups.len(), 4);
    for (at, group) in groups.iter().enumerate() {
        assert!(groups[..at].iter().all(|other| !other.meets(*group)) && (10..=16).contains(&group.len()), "{groups:?}");
    }
}

#[test]
fn each_red_lane_goes_on_by_itself_and_what_was_green_beside_is_carried_along() {
    let known = [red(&[0, 1, 2, 3], 2, 1), red(&[8, 9, 10, 11], 2, 1), green(&[4, 5, 6, 7], 2)];
    let chosen = tests(&plan(&outlook(24, 3, &known)));
    assert_eq!(chosen.len(), 3, "{chosen:?}");
    assert!(chosen[0].is_within(Places::first(4)) && chosen[1].is_within(set(&[8, 9, 10, 11])), "{chosen:?}");
    assert!(set(&[4, 5, 6, 7, 12, 13]).is_within(chosen[2]) && !chosen[2].meets(Places::first(4)), "{chosen:?}");
}

#[test]
fn a_verdict_beside_others_is_provisional_until_they_have_landed() {
    // Request 2 was red twice together with 0 and 1, which were green on an older tip but did not land.
    let known = [green(&[0, 1], 1), red(&[0, 1, 2], 1, 2)];
    let actions = plan(&outlook(3, 1, &known));
    assert_eq!(actions, [Action::Test(Places::first(2))], "those two land first");
    assert!(matches!(plan(&outlook(1, 1, &[red(&[0], 1, 2)]))[..], [Action::Evict { place: 0, .. }]));
}

#[test]
fn greens_that_are_red_together_are_searched_and_only_the_later_leaves() {
    // Groups {0, 1} and {2, 3} were green beside what landed; their union is red: 1 and 2 do not get on.
    let apart = [green(&[0, 1], 3), green(&[2, 3], 3), red(&[0, 1, 2, 3], 0, 2)];
    assert_eq!(plan(&outlook(4, 1, &apart)), [Action::Test(set(&[0, 1]))]);
    // Those two landed, and so what was red with them is about the others now.
    let landed = [green(&[0, 1], 5), red(&[0, 1], 0, 2)];
    assert_eq!(plan(&outlook(2, 1, &landed)), [Action::Test(set(&[0]))]);
    let alone = [green(&[0, 1], 5), red(&[0, 1], 0, 2), red(&[0], 0, 1)];
    assert!(matches!(plan(&outlook(2, 1, &alone))[..], [Action::Test(_) | Action::Evict { place: 0, .. }]));
}

#[test]
fn who_the_gates_cannot_judge_is_searched_around_and_then_set_aside() {
    assert_eq!(plan(&outlook(4, 1, &[silent(&[0, 1, 2, 3])])), [Action::Test(Places::first(3))]);
    let known = [silent(&[0, 1]), silent(&[0])];
    assert_eq!(plan(&outlook(2, 1, &known)), [Action::Test(set(&[1]))]);
    assert_eq!(plan(&outlook(1, 1, &[silent(&[0])])), [Action::SetAside(0)]);
    // A red above a silent head is told apart from it by a run without it.
    assert_eq!(plan(&outlook(2, 1, &[silent(&[0]), red(&[0, 1], 0, 3)])), [Action::Test(set(&[1]))]);
}

#[test]
fn who_does_not_merge_without_those_ahead_waits_for_them() {
    let suspect = red(&[0], 0, 1);
    let with_all = red(&[0, 1, 2], 0, 1);
    assert_eq!(plan(&outlook(3, 1, &[suspect, with_all])), [Action::Test(set(&[1, 2]))]);
    assert_eq!(plan(&outlook(3, 1, &[suspect, with_all, absent(&[1, 2])])), [Action::Test(set(&[1]))]);
    let bound = [suspect, with_all, absent(&[1, 2]), absent(&[1])];
    assert_eq!(plan(&outlook(3, 1, &bound)), [Action::Test(set(&[2]))]);
    let all_bound = [bound.as_slice(), &[absent(&[2])]].concat();
    assert_eq!(plan(&outlook(3, 1, &all_bound)), [Action::Test(set(&[0]))], "the suspect is what all wait for");
}

#[test]
fn a_child_is_never_gated_without_its_parents() {
    let mut outlook = outlook(3, 1, &[red(&[0], 0, 1), red(&[0, 1, 2], 0, 1)]);
    outlook.queue[1].needs = set(&[0]);
    assert_eq!(plan(&outlook), [Action::Test(set(&[2]))], "it waits while its parent is suspect");
    outlook.trials.push(green(&[1], 0));
    assert_eq!(plan(&outlook), [Action::Test(set(&[2]))], "nor does it land by a tree without it");
}

#[test]
fn nobody_is_sent_back_for_a_target_that_no_run_has_shown_green() {
    let mut asked = outlook(2, 1, &[red(&[0], 0, 3)]);
    asked.trials.remove(0);
    assert_eq!(plan(&asked), [Action::Test(Places::NONE)]);
    asked.workers = 2;
    assert_eq!(plan(&asked), [Action::Test(Places::NONE), Action::Test(set(&[1]))]);
    asked.running.push(Running { run: 7, set: Places::NONE, lacks: 0 });
    assert_eq!(plan(&asked), [Action::Test(set(&[1]))]);
    asked.running.clear();
    asked.trials.push(Trial::new(Places::NONE, 0).red(1, 0.01));
    assert_eq!(plan(&asked)[0], Action::Test(Places::NONE), "one red may be a flake");
}

#[test]
fn on_a_red_target_each_gets_one_chance_to_mend_it_and_nobody_is_blamed() {
    let mut asked = outlook(3, 2, &[red(&[0], 0, 3), red(&[0, 1], 0, 9)]);
    asked.trials[0] = Trial::new(Places::NONE, 0).red(2, 0.01);
    asked.queue[2].needs = set(&[1]);
    assert_eq!(plan(&asked), [Action::TargetRed, Action::Test(Places::first(3)), Action::Test(set(&[1]))]);
    asked.trials.extend([red(&[0, 1, 2], 0, 1), red(&[1], 0, 1)]);
    assert_eq!(plan(&asked), [Action::TargetRed, Action::Test(set(&[1, 2]))]);
    asked.trials.push(red(&[1, 2], 0, 1));
    assert_eq!(plan(&asked), [Action::TargetRed]);
    asked.trials.push(green(&[1, 2], 0));
    assert_eq!(plan(&asked), [Action::Land(set(&[1, 2]))]);
}

#[test]
fn a_tick_while_runs_are_under_way_plans_only_what_is_missing() {
    let mut asked = outlook(64, 4, &[]);
    let all = tests(&plan(&asked));
    for run in 0..4_u64 {
        asked.running = all
            .iter()
            .take(usize::try_from(run).unwrap())
            .zip(0..)
            .map(|(set, run)| Running { run, set: *set, lacks: 0 })
            .collect();
        let more = tests(&plan(&asked));
        assert_eq!(more.len(), 4 - asked.running.len());
        assert!(more.iter().all(|set| !asked.running.iter().any(|run| run.set.meets(*set))), "{more:?}");
    }
    asked.running.push(Running { run: 9, set: set(&[63]), lacks: 0 });
    assert_eq!(plan(&asked), [], "all workers have work");
}

#[test]
fn runs_that_can_teach_nothing_more_are_ended() {
    let running = |run, places: &[usize], lacks| Running { run, set: set(places), lacks };
    let mut asked = outlook(8, 3, &[Trial::new(set(&[0, 1, 2]), 0).red(1, 0.0)]);
    asked.running = vec![running(1, &[0, 1, 2, 3, 4], 0), running(2, &[0, 1], 0), running(3, &[], 2)];
    let actions = plan(&asked);
    assert_eq!(actions[..2], [Action::Cancel(1), Action::Cancel(3)], "{actions:?}");
    assert!(!actions.contains(&Action::Cancel(2)), "{actions:?}");
    // Two that are cleared already, on an older tip: their run says nothing new and cannot land.
    let mut asked = outlook(4, 1, &[green(&[0, 1], 2)]);
    asked.running = vec![running(4, &[0], 1)];
    assert_eq!(plan(&asked)[0], Action::Cancel(4));
    asked.running = vec![running(5, &[0, 1], 0)];
    assert_eq!(plan(&asked), [], "this one lands them");
}

#[test]
fn a_risky_head_is_gated_alone() {
    let mut asked = outlook(4, 1, &[]);
    asked.queue[0].risk = 0.5;
    assert_eq!(plan(&asked), [Action::Test(set(&[0]))]);
}

/// Any trials of any queue, sensible or not.
fn any_outlook() -> impl Strategy<Value = Outlook> {
    let trial = (any::<u64>(), 0..3_u32, 0..4_u32, 0..12_u8).prop_map(|(bits, lacks, reds, kind)| {
        let places: Places = (0..STACK_MAX).filter(|place| bits >> place & 1 == 1 && bits >> (63 - place) & 1 == 0).collect();
        let kept = if bits % 3 == 0 { places } else { places.iter().take(4).collect() };
        Trial {
            is_green: kind == 0 && lacks > 0,
            is_silent: kind == 1,
            is_absent: kind == 2,
            ..Trial::new(kept, lacks).red(reds, 0.01)
        }
    });
    let asked = (0.005..0.5_f64, any::<u64>(), 0..4_u8).prop_map(|(risk, bits, built)| (risk, if built == 0 { bits } else { 0 }));
    let queue = prop::collection::vec(asked, 0..70);
    let running = prop::collection::vec((any::<u64>(), 0..2_u32), 0..4);
    (queue, prop::collection::vec(trial, 0..14), running, 1..9_usize).prop_map(|(queue, trials, running, workers)| {
        let count = queue.len();
        let kept = |places: Places| -> Places { places.shared(Places::first(count)) };
        let queue = queue.into_iter().enumerate().map(|(place, (risk, bits))| Asked {
            risk,
            needs: (0..place.min(STACK_MAX)).filter(|parent| bits >> parent & 7 == 7).collect(),
        });
        let trials = trials.into_iter().map(|trial| Trial { set: kept(trial.set), ..trial });
        let running = running.into_iter().zip(0..).map(|((bits, lacks), run)| Running {
            run,
            set: kept((0..STACK_MAX).filter(|place| bits >> place & 3 == 3).collect()),
            lacks,
        });
        Outlook { queue: queue.collect(), trials: trials.collect(), running: running.collect(), workers }
    })
}

proptest! {
    #![proptest_config(crate::chance::cases(150, 1000))]

    #[test]
    fn whatever_is_known_the_plan_is_lawful_and_the_same_again(outlook in any_outlook()) {
        let actions = plan(&outlook);
        prop_assert_eq!(&actions, &plan(&outlook));
        let all = Places::first(outlook.queue.len());
        let cancelled = actions.iter().filter(|action| matches!(action, Action::Cancel(_))).count();
        let mut tested = Vec::new();
        for action in &actions {
            match action {
                Action::Land(_) => prop_assert!(false, "nothing was green on the tip"),
                Action::Evict { place, posterior } => {
                    let alone = outlook.trials.iter().any(|trial| trial.set == Places::of(*place) && trial.reds > 0);
                    prop_assert!(*posterior >= EVICT_POSTERIOR_MIN && alone);
                }
                Action::SetAside(place) => prop_assert!(all.contains(*place)),
                Action::Cancel(run) => prop_assert!(outlook.running.iter().any(|running| running.run == *run)),
                Action::Test(set) => {
                    let needs = |place: usize| outlook.queue[place].needs;
                    prop_assert!(set.is_within(all) && !tested.contains(set));
                    prop_assert!(set.iter().all(|place| needs(place).is_within(*set)) || !is_transitive(&outlook));
                    prop_assert!(!outlook.trials.iter().any(|trial| trial.is_of(*set) && (trial.is_absent || trial.is_silent)));
                    tested.push(*set);
                }
                Action::TargetRed => {}
            }
        }
        let kept = outlook.running.len() - cancelled;
        prop_assert!(tested.is_empty() || tested.len() + kept <= outlook.workers);
    }

    #[test]
    fn the_order_in_which_evidence_is_told_changes_nothing(outlook in any_outlook(), seed in any::<u64>()) {
        let mut told_otherwise = outlook.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut told_otherwise.trials);
        prop_assert_eq!(plan(&outlook), plan(&told_otherwise));
    }
}

/// Whether the needs of a request hold the needs of those it needs, as they are promised to.
fn is_transitive(outlook: &Outlook) -> bool {
    let queue = &outlook.queue;
    queue.iter().all(|asked| asked.needs.iter().all(|parent| queue[parent].needs.is_within(asked.needs)))
}
