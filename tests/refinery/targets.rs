//! Several targets of one rig: they share the checkouts, and none waits for another to be done.

use gastown::model::merge_request::MrState;
use gastown::name::BeadId;
use gastown::ops::refinery::{self, Event, Submission};

use super::world::{World, git};

/// A world with a second target, one checkout for gates, and a gate that takes its time.
fn world(checkouts: &str) -> World {
    let world = World::new();
    git(&world.repo(), &["branch", "other", "main"]);
    world.gate("test", "sleep 0.05; test ! -e bad -a ! -e bad1 -a ! -e bad2 -a ! -e bad3");
    world.set("gates.worktrees", checkouts);
    world
}

/// A request named `name` for `target`.
fn request(world: &World, name: &str, target: &str) -> BeadId {
    let bead = world.bead(name);
    world.branch(name, "main", &[(name, "x\n")]);
    world.file(&Submission { target: Some(target.into()), ..World::submission(&bead, name) }).unwrap()
}

/// Requests as they were decided, in order.
fn decided(events: &[Event]) -> Vec<BeadId> {
    let of = |event: &Event| match event {
        Event::Landed { mr, .. } | Event::Evicted { mr, .. } => Some(mr.clone()),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

#[test]
fn two_targets_share_one_checkout_and_the_quiet_one_does_not_wait_for_the_busy_one() {
    let mut world = world("1");
    let busy: Vec<BeadId> =
        ["a", "bad1", "b", "bad2", "c", "bad3"].into_iter().map(|name| request(&world, name, "main")).collect();
    let quiet = request(&world, "quiet", "other");
    let drained = world.run().unwrap();
    assert_eq!((drained.landed.len(), drained.evicted.len()), (4, 3), "{:#?}", world.lines());
    let order = decided(&world.events);
    let at = order.iter().position(|mr| *mr == quiet).unwrap();
    assert!(at < order.len() - 1 && busy.contains(order.last().unwrap()), "{:#?}", world.lines());
    let starts = world.events.iter().filter(|event| matches!(event, Event::GateStarted { .. }));
    let stacks: Vec<bool> =
        starts.map(|event| matches!(event, Event::GateStarted { stack, .. } if stack.contains(&quiet))).collect();
    assert!(stacks[..2].contains(&true), "its turn is the first or the second: {stacks:?}");
    world.is_sound();
}

#[test]
fn with_room_for_both_they_are_gated_at_the_same_time() {
    let mut world = world("2");
    world.gate("test", "sleep 0.4");
    let (one, two) = (request(&world, "a", "main"), request(&world, "b", "other"));
    world.run().unwrap();
    assert!([one, two].iter().all(|mr| world.mr(mr).state == MrState::Landed));
    let beside: Vec<u32> = world.recorded().iter().map(|run| run.concurrency).collect();
    assert!(beside.iter().all(|count| *count == 2), "{beside:?}");
}

#[test]
fn what_goes_wrong_with_one_target_keeps_no_other_from_landing() {
    let mut world = world("1");
    git(&world.repo(), &["branch", "early", "main"]);
    let (lost, good) = (request(&world, "lost", "early"), request(&world, "good", "main"));
    git(&world.repo(), &["update-ref", "-d", "refs/heads/early"]);
    let error = world.run().unwrap_err();
    assert!(error.message.contains("no branch early"), "{}", error.message);
    assert_eq!((world.mr(&good).state, world.mr(&lost).state), (MrState::Landed, MrState::Queued));
    world.is_sound();
}

#[test]
fn a_target_that_comes_while_another_is_worked_gets_its_turn_before_that_is_done() {
    let world = world("1");
    let names = ["a", "bad1", "b", "bad2", "c", "bad3"];
    let busy: Vec<BeadId> = names.into_iter().map(|name| request(&world, name, "main")).collect();
    let (mut events, mut late) = (Vec::new(), None);
    refinery::run(&world.town(), &world.rig(), &mut |event| {
        if matches!(event, Event::GateStarted { .. }) && late.is_none() {
            late = Some(request(&world, "late", "other"));
        }
        events.push(event.clone());
    })
    .unwrap();
    let order = decided(&events);
    let at = order.iter().position(|mr| Some(mr) == late.as_ref()).expect("it was decided in the same run");
    assert!(at < order.len() - 1 && busy.contains(order.last().unwrap()), "{order:?}");
    world.is_sound();
}
