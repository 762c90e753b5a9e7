//! Staging and launching: work ordered into waves, slung as its blockers are closed; and the order of random graphs.

use std::collections::{BTreeMap, BTreeSet};

use gastown::model::waves::{Knot, Order, order};
use gastown::name::BeadId;
use gastown::time::Moment;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::beads::{create, tip, two_rigs};
use crate::chance::cases;
use crate::mail::{inbox, subjects};
use crate::town::{Town, text_at};

fn answer(town: &Town, line: &str) -> Value {
    town.gt(&format!("--json {line}")).json()
}

fn knot(n: usize, is_work: bool, priority: u8, age: i64, after: &[usize]) -> Knot {
    let id = |n: usize| format!("wi-k{n:03}").parse::<BeadId>().unwrap();
    Knot { id: id(n), is_work, priority, created_at: Moment::from_millis(age), after: after.iter().map(|n| id(*n)).collect() }
}

/// Random knots; edges lead to lower numbers only when there are to be no rings.
fn graphs(may_ring: bool) -> impl Strategy<Value = Vec<Knot>> {
    (1_usize..40).prop_flat_map(move |count| {
        let one = move |n: usize| {
            let most = if may_ring { count } else { n };
            let after = prop::collection::vec(0..most.max(1), 0..4);
            (any::<bool>(), 0_u8..5, 0_i64..6, after).prop_map(move |(is_work, priority, age, mut after)| {
                after.retain(|other| may_ring || *other < n);
                knot(n, is_work || n == 0, priority, age, &after)
            })
        };
        (0..count).map(one).collect::<Vec<_>>()
    })
}

/// Everything that each knot waits for, however far.
fn reachable(knots: &[Knot]) -> BTreeMap<&BeadId, BTreeSet<&BeadId>> {
    let by_id: BTreeMap<&BeadId, &Knot> = knots.iter().map(|knot| (&knot.id, knot)).collect();
    let all_of = |knot| {
        let (mut seen, mut open): (BTreeSet<&BeadId>, Vec<&Knot>) = (BTreeSet::new(), vec![knot]);
        while let Some(at) = open.pop() {
            for id in &at.after {
                if let Some(next) = by_id.get(id).filter(|_| seen.insert(id)) {
                    open.push(next);
                }
            }
        }
        seen
    };
    knots.iter().map(|knot| (&knot.id, all_of(knot))).collect()
}

proptest! {
    #![proptest_config(cases(200, 200))]

    #[test]
    fn each_work_bead_is_in_one_wave_after_all_that_it_waits_for_and_as_early_as_can_be(knots in graphs(false)) {
        let Order::Waves(waves) = order(&knots) else { panic!("there is no ring") };
        let mut wave_of = BTreeMap::new();
        for (wave, n) in waves.iter().zip(0..) {
            prop_assert!(!wave.is_empty());
            for id in wave {
                prop_assert_eq!(wave_of.insert(id.clone(), n), None, "in two waves");
            }
        }
        let work: BTreeSet<&BeadId> = knots.iter().filter(|knot| knot.is_work).map(|knot| &knot.id).collect();
        prop_assert_eq!(wave_of.keys().collect::<BTreeSet<_>>(), work.clone(), "epics are in none");
        let far = reachable(&knots);
        for id in work {
            let before = far[id].iter().filter_map(|other| wave_of.get(*other)).max();
            prop_assert_eq!(wave_of[id], before.map_or(0, |last| last + 1), "one after the last that it waits for");
        }
        let by_id: BTreeMap<&BeadId, &Knot> = knots.iter().map(|knot| (&knot.id, knot)).collect();
        for wave in &waves {
            prop_assert!(wave.is_sorted_by_key(|id| (by_id[id].priority, by_id[id].created_at, id.clone())));
        }
    }

    #[test]
    fn the_order_in_which_beads_are_named_changes_nothing(knots in graphs(false), seed in any::<u64>()) {
        let mut shuffled = knots.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
        for knot in &mut shuffled {
            knot.after.reverse();
        }
        prop_assert_eq!(order(&knots), order(&shuffled));
    }

    #[test]
    fn a_ring_is_found_exactly_when_there_is_one(knots in graphs(true)) {
        let far = reachable(&knots);
        let has_ring = far.iter().any(|(id, all)| all.contains(id));
        match order(&knots) {
            Order::Waves(_) => prop_assert!(!has_ring),
            Order::Ring(ring) => {
                prop_assert!(has_ring && ring.len() > 1 && ring.first() == ring.last());
                let by_id: BTreeMap<&BeadId, &Knot> = knots.iter().map(|knot| (&knot.id, knot)).collect();
                for pair in ring.windows(2) {
                    prop_assert!(by_id[&pair[0]].after.contains(&pair[1]), "{:?} is no ring", ring);
                }
            }
        }
    }
}

/// An epic of `widgets` with two tasks that wait for a third and one of `gadgets` that waits for all of an inner epic.
fn epic(town: &Town) -> (String, [String; 4]) {
    let epic = create(town, "Overhaul -t epic --rig widgets");
    let first = create(town, &format!("First --parent {epic}"));
    let second = create(town, &format!("Second -p 1 --parent {epic} --deps {first}"));
    let inner = create(town, &format!("Inner -t epic --parent {epic} --deps {first}"));
    let third = create(town, &format!("Third --parent {inner}"));
    let last = create(town, &format!("Last --parent {epic} --deps {inner}"));
    (epic, [first, second, third, last])
}

#[test]
fn an_epic_is_staged_in_waves_and_again_without_a_second_convoy() {
    let town = two_rigs();
    let (epic, [first, second, third, last]) = epic(&town);
    let staged = answer(&town, &format!("convoy stage {epic}"));
    assert_eq!(staged["waves"], json!([[first], [second, third], [last]]), "a child waits for what its parent waits for");
    assert_eq!(
        (staged["title"].as_str(), staged["is_new"].as_bool(), &staged["warnings"]),
        (Some("Overhaul"), Some(true), &json!([]))
    );
    let id = text_at(&staged, &["/id"]);
    let more = create(&town, &format!("More --parent {epic} --deps {last}"));
    let again = answer(&town, &format!("convoy stage {epic} --title Again"));
    assert_eq!(
        (again["id"].as_str(), again["is_new"].as_bool(), again["waves"][3][0].as_str()),
        (Some(id.as_str()), Some(false), Some(more.as_str()))
    );
    assert_eq!(answer(&town, "convoy list").as_array().unwrap().len(), 1);
    let story = &answer(&town, &format!("convoy status {id}"))[0];
    assert_eq!((story["is_staged"].as_bool(), story["total"].as_u64()), (Some(true), Some(5)));
    assert!(answer(&town, "convoy stranded").as_array().unwrap().is_empty(), "what waits to be launched is not stranded");
    let page = town.gt(&format!("convoy stage {id}")).succeeds().stdout;
    assert!(page.contains(&format!("wave 1: {first}")) && page.contains(&format!("gt convoy launch {id}")), "{page}");
    assert!(town.gt(&format!("convoy status {id}")).succeeds().stdout.contains(&format!("wave 3 {last}")));
}

#[test]
fn what_cannot_be_ordered_is_refused_and_nothing_is_written() {
    let town = two_rigs();
    let a = create(&town, "A --rig widgets");
    let b = create(&town, &format!("B --rig gadgets --deps {a}"));
    let of_town = create(&town, "Town --rig hq");
    let done = create(&town, "Done --rig widgets");
    town.gt(&format!("close {done}")).succeeds();
    // Two scopes may close a ring at one moment; here one side is written past the check.
    let edge = json!([{"issue_id": a, "depends_on_id": b, "type": "blocks", "created_at": "2026-01-01T00:00:00.000Z"}]);
    let before = tip(&town, ".");
    assert!(town.gt(&format!("convoy stage {a} {of_town}")).fails_with(4).stderr.contains(&of_town));
    town.gt(&format!("convoy stage {done}")).fails_with(4);
    town.gt("convoy stage wi-nope1").fails_with(3);
    crate::beads::put(&town, "widgets", &crate::beads::bead_path(&a), |bead| bead["dependencies"] = edge.clone());
    for verb in ["stage", "launch --force"] {
        let said = town.gt(&format!("convoy {verb} {a} {b}")).fails_with(4);
        assert!(said.stderr.contains("wait for each other") && said.stderr.contains('→'), "{}", said.stderr);
    }
    crate::beads::put(&town, "widgets", &crate::beads::bead_path(&a), |bead| bead["dependencies"] = json!([]));
    let (home, away) = (town.root.join("gadgets"), town.root.join("away"));
    std::fs::rename(&home, &away).unwrap();
    assert!(town.gt(&format!("convoy stage {a} {b}")).fails_with(3).stderr.contains("gadgets"));
    std::fs::rename(&away, &home).unwrap();
    assert_eq!(tip(&town, "."), before);
}

#[test]
fn what_is_doubtful_is_told_and_wants_force_to_be_launched() {
    let (town, rig) = Town::with_rig();
    let many: Vec<String> = (0..6).map(|n| town.bead(&rig, &format!("Part{n}"))).collect();
    let decision = create(&town, "Which -t decision --rig widgets");
    let waits = create(&town, &format!("Waits --rig widgets --deps {decision}"));
    let outside = create(&town, &format!("Outside --rig widgets --deps {}", many[0]));
    let kinds = |line: &str| -> Vec<String> {
        let staged = answer(&town, line);
        staged["warnings"].as_array().unwrap().iter().map(|one| text_at(one, &["/kind"])).collect()
    };
    assert_eq!(kinds(&format!("convoy stage {}", many.join(" "))), ["large-wave"]);
    assert_eq!(kinds(&format!("convoy stage {decision} {waits}")), ["decision-pending"]);
    assert_eq!(kinds(&format!("convoy stage {outside}")), ["waits-outside"]);
    let epic = create(&town, "Epic -t epic --rig widgets");
    let a = create(&town, &format!("A --parent {epic}"));
    create(&town, &format!("B --parent {epic} --deps {a}"));
    let loose = create(&town, &format!("Loose --parent {epic}"));
    let staged = answer(&town, &format!("convoy stage {epic}"));
    assert_eq!((staged["warnings"][0]["kind"].as_str(), &staged["warnings"][0]["beads"]), (Some("orphan"), &json!([loose])));
    let id = text_at(&staged, &["/id"]);
    let before = tip(&town, ".");
    assert!(town.gt(&format!("convoy launch {id} --no-start")).fails_with(4).stderr.contains(&loose));
    assert_eq!(tip(&town, "."), before);
    let launched = answer(&town, &format!("convoy launch {id} --no-start --force"));
    assert_eq!(launched["fed"]["beads"].as_array().unwrap().len(), 2);
}

#[test]
fn a_launch_slings_the_first_wave_and_closes_sling_what_waited_for_them() {
    let (town, _) = Town::with_rig();
    let (epic, [first, second, third, last]) = epic(&town);
    let launched = answer(&town, &format!("convoy launch {epic} --no-start"));
    let id = text_at(&launched, &["/id"]);
    let slung: Vec<&str> = launched["fed"]["beads"].as_array().unwrap().iter().map(|one| one["bead"].as_str().unwrap()).collect();
    assert_eq!(slung, [&first]);
    let statuses = || [&first, &second, &third, &last].map(|bead| town.status(bead));
    assert_eq!(statuses(), ["hooked", "open", "open", "open"]);
    let started = inbox(&town, "widgets/witness");
    assert_eq!(subjects(&started), [format!("SWARM_START {id}")]);
    assert_eq!(started[0]["payload"]["beads"].as_array().unwrap().len(), 4);
    assert_eq!(answer(&town, "convoy list").as_array().unwrap().len(), 1, "what is fed has its convoy");
    let close = |bead: &str| {
        town.gt(&format!("unsling {bead}")).succeeds();
        town.gt(&format!("close {bead}")).succeeds();
    };
    close(&first);
    assert_eq!(statuses(), ["closed", "hooked", "hooked", "open"]);
    close(&second);
    close(&third);
    assert_eq!(town.status(&last), "open", "the epic that it waits for is still open");
    town.gt("bead epic close-eligible --all").succeeds();
    town.gt("convoy check").succeeds();
    assert_eq!(town.status(&last), "hooked");
    // What came back is not slung again, but for a mountain.
    town.gt(&format!("unsling {last}")).succeeds();
    town.gt("convoy check").succeeds();
    assert_eq!(town.status(&last), "open");
    assert!(town.gt(&format!("convoy stage {id}")).fails_with(4).stderr.contains("launched"));
    town.gt(&format!("close {last}")).succeeds();
    assert_eq!(town.status(&id), "closed");
    assert_eq!(subjects(&inbox(&town, "mayor")), [format!("SWARM_COMPLETE {id}")]);
}

#[test]
fn a_launch_that_was_killed_is_finished_by_a_check() {
    for step in ["convoy.launched", "convoy.fed"] {
        let (town, _) = Town::with_rig();
        let (epic, [first, ..]) = epic(&town);
        assert_ne!(town.here().var("GT_CRASH_AT", step).gt(&format!("convoy launch {epic} --no-start")).code, 0);
        town.gt("convoy check").succeeds();
        assert_eq!((town.status(&first).as_str(), inbox(&town, "widgets/witness").len()), ("hooked", 1), "{step}");
        town.gt("convoy check").succeeds();
        assert_eq!(inbox(&town, "widgets/witness").len(), 1);
    }
}

#[test]
fn a_mountain_is_fed_until_it_is_done_skips_what_keeps_coming_back_and_tells_when_it_stalls() {
    let (town, _) = Town::with_rig();
    let (epic, [first, ..]) = epic(&town);
    town.gt(&format!("convoy mountain {epic}")).fails_with(4);
    let id = text_at(&answer(&town, &format!("convoy launch {epic} --no-start")), &["/id"]);
    assert_eq!(answer(&town, &format!("convoy mountain {epic}"))["outcome"], "mountain");
    assert_eq!(answer(&town, &format!("convoy mountain {id}"))["outcome"], "unchanged");
    assert_eq!(town.show(&epic)["labels"], json!(["mountain"]));
    for _ in 0..2 {
        town.gt(&format!("unsling {first}")).succeeds();
        town.gt("convoy check").succeeds();
        assert_eq!(town.status(&first), "hooked");
    }
    town.gt(&format!("unsling {first}")).succeeds();
    let checked = answer(&town, "convoy check");
    assert_eq!((&checked["convoys"][0]["fed"]["skipped"], town.status(&first).as_str()), (&json!([first]), "open"));
    // Work filed since is taken in.
    let more = create(&town, &format!("More --parent {epic}"));
    town.gt("convoy check").succeeds();
    assert_eq!(town.status(&more), "hooked");
    assert!(subjects(&inbox(&town, "overseer")).is_empty());
    let later = town.here().var("GT_NOW", "2026-01-02T00:00:00Z");
    let page = later.gt("convoy check").succeeds().stdout;
    assert!(page.contains("half an hour") && page.contains("is skipped"), "{page}");
    later.gt("convoy check").succeeds();
    assert_eq!(subjects(&inbox(&town, "overseer")), [format!("Convoy {id} has stalled")]);
    assert_eq!(answer(&town, &format!("convoy mountain {id} --off"))["outcome"], "no-mountain");
    assert_eq!(town.show(&epic).get("labels"), None);
}
