//! What people say of the queue: hold, withdraw, pause, freeze, priority; and what the rows tell of it.

use gastown::error::Kind;
use gastown::model::bead::Status;
use gastown::model::flow::Flow;
use gastown::model::merge_request::{HeldFor, MrState};
use gastown::ops::refinery::{self, Event, Steered};

use super::crash::run_and_kill;
use super::world::World;

const OTHER: &str = "widgets/polecats/nux";

#[test]
fn one_of_a_pair_is_withdrawn_and_the_other_lands() {
    let mut world = World::with_gate();
    let (bead, first) = world.request("a", &[("a", "x\n")]);
    let (_, second) = world.request("b", &[("b", "x\n")]);
    let head = world.mr(&first).head;
    assert_eq!(refinery::withdraw(&world.town_as(OTHER), &world.rig(), &first, "").unwrap_err().kind, Kind::Refused);
    let gone = refinery::withdraw(&world.town(), &world.rig(), &first, "found a simpler way").unwrap();
    assert!(matches!(gone, Steered::Withdrawn { .. }));
    assert_eq!((world.mr(&first).state, world.show(&first).status), (MrState::Withdrawn, Status::Closed));
    let work = world.show(&bead);
    assert_eq!((work.status, work.assignee), (Status::Open, None));
    assert!(work.comments[0].text.contains("found a simpler way") && work.comments[0].text.contains(&head));
    assert_eq!((world.tip("a"), world.tip(&format!("refs/gt/mr/{first}"))), (head.clone(), head));
    assert_eq!(world.run().unwrap().landed, [second]);
    assert!(!world.files("main").contains(&"a".to_owned()));
    assert_eq!(refinery::withdraw(&world.town(), &world.rig(), &first, "").unwrap_err().kind, Kind::Refused);
}

#[test]
fn a_request_withdrawn_while_it_is_tested_does_not_land_and_the_other_does() {
    let world = World::with_gate();
    let (_, first) = world.request("a", &[("a", "x\n")]);
    let (_, second) = world.request("b", &[("b", "x\n")]);
    let mut is_withdrawn = false;
    let ended = refinery::run(&world.town(), &world.rig(), &mut |event| {
        if matches!(event, Event::GateStarted { .. }) && !std::mem::replace(&mut is_withdrawn, true) {
            refinery::withdraw(&world.town_as("overseer"), &world.rig(), &first, "").unwrap();
        }
    });
    assert_eq!(ended.unwrap().landed, [second]);
    assert_eq!(world.mr(&first).state, MrState::Withdrawn);
    assert!(world.letters().iter().any(|letter| letter.subject == format!("{first} was withdrawn")));
}

#[test]
fn what_is_landing_is_neither_withdrawn_nor_held_nor_rejected() {
    let mut world = World::with_gate();
    let (_, mr) = world.request("a", &[("a", "x\n")]);
    assert!(run_and_kill(&world, "land.intent", 1));
    assert_eq!(world.mr(&mr).state, MrState::Landing);
    let (overseer, rig) = (world.town_as("overseer"), world.rig());
    let refused = [
        refinery::withdraw(&overseer, &rig, &mr, "").unwrap_err(),
        refinery::hold(&overseer, &rig, &mr, "").unwrap_err(),
        refinery::reject(&overseer, &rig, &mr, "no").unwrap_err(),
    ];
    assert!(refused.iter().all(|error| error.kind == Kind::Conflict), "{refused:?}");
    world.run().unwrap();
    assert_eq!(world.mr(&mr).state, MrState::Landed);
}

#[test]
fn a_freeze_that_comes_after_a_kill_calls_the_landing_off() {
    let mut world = World::with_gate();
    let (_, mr) = world.request("a", &[("a", "x\n")]);
    let before = world.tip("main");
    assert!(run_and_kill(&world, "land.intent", 1));
    world.steer(Flow::Frozen, None);
    assert!(world.run().unwrap().landed.is_empty());
    assert_eq!((world.mr(&mr).state, world.tip("main")), (MrState::Held, before));
    world.is_sound();
    world.steer(Flow::Open, None);
    assert_eq!(world.run().unwrap().landed, [mr]);
}

#[test]
fn a_pause_keeps_taking_requests_in_and_tests_none() {
    let mut world = World::with_gate();
    world.steer(Flow::Paused, None);
    let mrs = world.requests(&["a", "b"]);
    let drained = world.run().unwrap();
    assert_eq!((world.runs(), drained.landed.len(), drained.held.len()), (0, 0, 2));
    assert_eq!(drained.stopped["main"], "main is paused by overseer: for a test");
    let row = world.row(&mrs[1]);
    assert_eq!((row.state, row.position, row.held_for), (MrState::Held, Some(2), Some(HeldFor::Pause)));
    let tip = || world.tip("refs/gt/ledger");
    let written = tip();
    refinery::run(&world.town(), &world.rig(), &mut |_| {}).unwrap();
    assert_eq!(tip(), written, "nothing new is to be said");
    world.steer(Flow::Open, None);
    assert_eq!(world.row(&mrs[1]).state, MrState::Queued, "told at once");
    assert_eq!((world.run().unwrap().landed, world.runs()), (mrs, 1));
}

#[test]
fn a_freeze_tests_what_comes_sends_back_what_is_bad_and_lands_nothing() {
    let mut world = World::with_gate();
    world.steer(Flow::Frozen, None);
    let mut mrs = world.requests(&["a", "b", "bad", "c"]);
    let before = world.tip("main");
    let drained = world.run().unwrap();
    assert_eq!(drained.evicted, [mrs.remove(2)], "{:#?}", world.lines());
    assert_eq!((world.tip("main"), drained.landed.len(), drained.held.len()), (before, 0, 3));
    assert!(world.runs() > 1);
    assert_eq!(world.row(&mrs[0]).held_for, Some(HeldFor::Freeze));
    world.run().unwrap();
    assert_eq!(world.runs(), 0, "what is proved is not tested again");
    world.steer(Flow::Open, None);
    assert_eq!((world.run().unwrap().landed, world.runs()), (mrs, 0));
    world.is_sound();
}

#[test]
fn what_is_to_land_alone_keeps_nobody_from_being_tested_in_a_freeze() {
    let mut world = World::with_gate();
    let mrs = world.requests(&["alone", "other"]);
    world.edit(&mrs[0], |bead| drop(bead.extra.insert("alone".into(), true.into())));
    world.steer(Flow::Frozen, None);
    world.run().unwrap();
    assert_eq!(world.runs(), 1);
    let tested = |event: &Event| matches!(event, Event::GateStarted { stack, .. } if *stack == mrs[1..]);
    assert!(world.events.iter().any(tested), "{:#?}", world.lines());
    world.steer(Flow::Open, None);
    assert_eq!(world.run().unwrap().landed, mrs);
}

#[test]
fn a_freeze_that_comes_while_gates_run_lands_nothing() {
    let world = World::with_gate();
    let (_, mr) = world.request("a", &[("a", "x\n")]);
    let before = world.tip("main");
    let ended = refinery::run(&world.town(), &world.rig(), &mut |event| {
        if matches!(event, Event::GateEnded { .. }) {
            world.steer(Flow::Frozen, None);
        }
    });
    assert_eq!((ended.unwrap().landed.len(), world.tip("main"), world.mr(&mr).state), (0, before, MrState::Held));
}

#[test]
fn what_is_urgent_passes_a_freeze_and_a_pause_by_a_green_of_its_own() {
    for flow in [Flow::Frozen, Flow::Paused] {
        let mut world = World::with_gate();
        let (_, usual) = world.request("usual", &[("usual", "x\n")]);
        let (bead, urgent) = world.request("urgent", &[("urgent", "x\n")]);
        world.edit(&bead, |bead| bead.priority = 0);
        world.steer(flow, Some(0));
        let drained = world.run().unwrap();
        assert_eq!((drained.landed, drained.held), (vec![urgent], [usual.clone()].into()), "{flow:?}");
        assert_eq!(drained.stopped["main"], format!("main is {} by overseer but for P0: for a test", flow.word()));
        assert!(!world.files("main").contains(&"usual".to_owned()));
        world.is_sound();
        world.steer(Flow::Open, None);
        assert_eq!(world.run().unwrap().landed, [usual]);
    }
}

#[test]
fn a_priority_raised_while_it_waits_changes_the_order_and_the_last_word_counts() {
    let world = World::with_gate();
    let (_, first) = world.request("first", &[("first", "x\n")]);
    let (bead, second) = world.request("second", &[("second", "x\n")]);
    let order = || -> Vec<_> {
        let rows = refinery::list(&world.town(), &world.rig(), false).unwrap();
        rows.into_iter().map(|row| (row.id, row.priority)).collect()
    };
    assert_eq!(order(), [(first.clone(), 2), (second.clone(), 2)]);
    world.edit(&bead, |bead| bead.priority = 0);
    assert_eq!(order(), [(second.clone(), 0), (first.clone(), 2)], "of the work");
    world.edit(&second, |bead| bead.priority = 3);
    assert_eq!(order(), [(first.clone(), 2), (second.clone(), 3)], "then of the request");
    world.edit(&bead, |bead| bead.priority = 1);
    let mut world = world;
    assert_eq!(world.run().unwrap().landed, [second, first]);
}

#[test]
fn a_held_request_keeps_its_place_and_lets_the_others_by_until_it_is_released() {
    let mut world = World::with_gate();
    let (_, held) = world.request("held", &[("held", "x\n")]);
    let (_, other) = world.request("other", &[("other", "x\n")]);
    assert_eq!(refinery::hold(&world.town_as(OTHER), &world.rig(), &held, "").unwrap_err().kind, Kind::Refused);
    refinery::hold(&world.town_as("overseer"), &world.rig(), &held, "after the release").unwrap();
    let row = world.row(&held);
    assert_eq!(
        (row.state, row.position, row.release.as_str()),
        (MrState::Held, Some(1), format!("gt mq release {held}").as_str())
    );
    assert_eq!(world.run().unwrap().landed, [other]);
    assert!(!world.files("main").contains(&"held".to_owned()));
    assert_eq!(world.mr(&held).state, MrState::Held);
    // Its worker may hold it too, but not end what another holds.
    assert_eq!(refinery::release(&world.town(), &world.rig(), &held).unwrap_err().kind, Kind::Refused);
    let released = refinery::release(&world.town_as("mayor"), &world.rig(), &held).unwrap();
    assert_eq!(released, Steered::Released { mr: held.clone(), held_by: "overseer".into() });
    assert_eq!(world.row(&held).state, MrState::Queued, "told at once");
    assert_eq!(refinery::release(&world.town(), &world.rig(), &held).unwrap(), Steered::NotHeld { mr: held.clone() });
    assert_eq!(world.run().unwrap().landed, [held]);
}

#[test]
fn work_that_was_closed_otherwise_holds_its_request() {
    let mut world = World::with_gate();
    let (bead, mr) = world.request("a", &[("a", "x\n")]);
    world.edit(&bead, |bead| bead.close("overseer", "done by hand", bead.updated_at).unwrap());
    assert!(world.run().unwrap().landed.is_empty());
    assert_eq!(world.row(&mr).note, format!("its work was closed otherwise: {bead}"));
    world.edit(&bead, |bead| bead.become_status(Status::Open, bead.updated_at).unwrap());
    assert_eq!(world.run().unwrap().landed, [mr]);
}

#[test]
fn a_typing_error_stops_no_queue_and_workers_stop_none() {
    let world = World::with_gate();
    let steer = |who: &str, target: &str| refinery::steer(&world.town_as(who), &world.rig(), target, Flow::Paused, None, "");
    assert_eq!(steer("overseer", "mian").unwrap_err().kind, Kind::NotFound);
    assert_eq!(steer("widgets/polecats/toast", "main").unwrap_err().kind, Kind::Refused);
    steer("widgets/crew/joe", "main").unwrap();
}

#[test]
fn a_word_about_a_target_that_cannot_be_read_is_never_taken_for_open() {
    let mut world = World::with_gate();
    world.requests(&["a"]);
    let before = world.tip("main");
    world.put("queue/targets/main.json", &serde_json::json!({"v": 1, "target": "main", "state": "sideways"}));
    assert_eq!(world.run().unwrap_err().kind, Kind::Corrupt);
    assert_eq!((world.tip("main"), world.runs()), (before, 0));
}

#[test]
fn the_rows_tell_of_conflicts_ahead_moved_branches_and_the_time_to_expect() {
    let mut world = World::with_gate();
    world.requests(&["warm"]);
    world.run().unwrap();
    let (_, first) = world.request("first", &[("shared.txt", "one\nfirst\nthree\n")]);
    let (_, second) = world.request("second", &[("shared.txt", "one\nsecond\nthree\n")]);
    let (_, third) = world.request("third", &[("third", "x\n")]);
    world.steer(Flow::Frozen, None);
    world.run().unwrap();
    world.steer(Flow::Open, None);
    let row = world.row(&second);
    assert_eq!((row.state, row.conflicts_ahead.as_slice()), (MrState::Held, std::slice::from_ref(&first)));
    assert_eq!((row.release, row.expected_millis), (format!("when {first} left"), None));
    let expected = |mr| world.row(mr).expected_millis.unwrap();
    assert!(expected(&first) <= expected(&third));
    assert_eq!(world.row(&first).branch_moved_to, None);
    let moved = world.branch("first", "first", &[("more", "x\n")]);
    assert_eq!(world.row(&first).branch_moved_to, Some(moved));
    // What was handed in is what is judged.
    world.run().unwrap();
    assert_eq!(world.mr(&first).state, MrState::Landed);
    assert!(!world.files("main").contains(&"more".to_owned()));
}

#[test]
fn next_tells_who_is_stacked_and_why_the_others_wait() {
    let world = World::with_gate();
    let mrs = world.requests(&["a", "b", "c"]);
    refinery::hold(&world.town_as("overseer"), &world.rig(), &mrs[1], "later").unwrap();
    let next = || refinery::next(&world.town(), &world.rig()).unwrap().remove(0);
    let ids = |rows: &[refinery::Listed]| -> Vec<_> { rows.iter().map(|row| row.id.clone()).collect() };
    assert_eq!((ids(&next().stacked), ids(&next().waiting)), (vec![mrs[0].clone(), mrs[2].clone()], vec![mrs[1].clone()]));
    assert_eq!(next().waiting[0].note, "held by overseer: later");
    world.steer(Flow::Frozen, None);
    assert_eq!(ids(&next().stacked).len(), 2, "a freeze goes on testing");
    world.steer(Flow::Paused, None);
    assert_eq!((ids(&next().stacked).len(), ids(&next().waiting)), (0, mrs));
}
