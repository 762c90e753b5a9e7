//! Landing without gates: by the overseer alone, with a reason, and everything else checked as ever.

use std::process::Command;

use gastown::error::Kind;
use gastown::model::bead::Status;
use gastown::model::flow::Flow;
use gastown::model::merge_request::MrState;
use gastown::name::BeadId;
use gastown::ops::refinery::{self, Event, Forced};
use gastown::town::Town;

use super::world::{World, git};

fn land(world: &World, ids: &[BeadId]) -> gastown::error::Result<Forced> {
    as_one(&world.town_as("overseer"), world, ids, "the site is down")
}

fn as_one(town: &Town, world: &World, ids: &[BeadId], reason: &str) -> gastown::error::Result<Forced> {
    refinery::land(town, &world.rig(), ids, reason, &mut |_| {})
}

/// Not a test of its own: lands by force in a process that may be killed.
#[test]
#[ignore = "the child of the crash test"]
fn child() {
    let Some(base) = std::env::var_os("GT_TEST_WORLD") else { return };
    let world = World::reopen(base.as_ref());
    let ids: Vec<BeadId> = std::env::var("GT_TEST_IDS").unwrap().split(' ').map(|id| id.parse().unwrap()).collect();
    let _ = land(&world, &ids);
}

fn land_and_kill(world: &World, id: &BeadId, step: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "refinery::forced::child"]).env("GT_TEST_IDS", id.as_str());
    child.env("GT_TEST_WORLD", world.base()).env("GT_SEED", "5").env("GT_CRASH_AT", format!("{step}:1"));
    assert!(!child.output().unwrap().status.success(), "{step} was never reached");
}

#[test]
fn the_overseer_lands_what_no_gate_has_seen_and_all_of_it_is_recorded() {
    let mut world = World::with_gate();
    world.set("review.approvals", "1");
    let (bead, bad) = world.request("bad", &[("bad", "x\n")]);
    let (_, other) = world.request("other", &[("other", "x\n")]);
    world.steer(Flow::Frozen, None);
    refinery::hold(&world.town_as("mayor"), &world.rig(), &bad, "no").unwrap();
    let forced = land(&world, &[other.clone(), bad.clone()]).unwrap();
    assert_eq!((forced.landed, forced.tip), (vec![other.clone(), bad.clone()], world.tip("main")));
    assert!(world.files("main").contains(&"bad".to_owned()));
    let force = world.mr(&bad).force.unwrap();
    assert_eq!((force.by.as_str(), force.reason.as_str()), ("overseer", "the site is down"));
    assert_eq!((world.mr(&bad).state, world.show(&bead).status), (MrState::Landed, Status::Closed));
    assert_eq!(world.rig().ledger.state().unwrap().gate_runs().unwrap(), []);
    let log = git(&world.repo(), &["log", "--format=%an %s", "refs/gt/ledger"]);
    assert!(log.contains("overseer land 2 requests on main without gates: the site is down"), "{log}");
    let message = git(&world.repo(), &["log", "-2", "--format=%B", "main"]);
    assert!(!message.contains("Gt-Tree-Gated") && message.contains(&format!("Gt-Mr: {bad}")), "{message}");
    assert_eq!(world.mail().len(), 2, "MERGED, as ever");
    assert!(!refinery::status(&world.town(), &world.rig()).unwrap().targets[0].is_certified);
    world.is_sound();

    // The tip counts as never gated, so nobody is blamed for it.
    world.steer(Flow::Open, None);
    world.set("review.approvals", "0");
    let (_, next) = world.request("next", &[("next", "x\n")]);
    let drained = world.run().unwrap();
    assert_eq!((drained.evicted.len(), drained.red_targets), (0, ["main".to_owned()].into()));
    assert_eq!(world.mr(&next).state, MrState::Queued);
}

#[test]
fn nobody_else_nothing_without_a_reason_and_nothing_that_does_not_wait_is_forced() {
    let mut world = World::with_gate();
    let (_, mr) = world.request("a", &[("a", "x\n")]);
    let before = world.tip("main");
    let ids = std::slice::from_ref(&mr);
    for who in ["mayor", "widgets/crew/joe", "widgets/refinery", "widgets/polecats/toast"] {
        assert_eq!(as_one(&world.town_as(who), &world, ids, "because").unwrap_err().kind, Kind::Refused, "{who}");
    }
    let overseer = world.town_as("overseer");
    assert_eq!(as_one(&overseer, &world, ids, " ").unwrap_err().kind, Kind::Usage);
    assert_eq!(as_one(&overseer, &world, &[], "because").unwrap_err().kind, Kind::Usage);
    let elsewhere = Town { machine: "m2".into(), ..world.town_as("overseer") };
    assert_eq!(as_one(&elsewhere, &world, ids, "because").unwrap_err().kind, Kind::Refused);
    assert_eq!((world.tip("main"), world.mr(&mr).state, world.mr(&mr).force), (before, MrState::Queued, None));
    let ended = land(&world, ids).unwrap();
    assert_eq!(ended.landed, ids);
    assert_eq!(land(&world, ids).unwrap_err().kind, Kind::Refused, "it has landed");
    assert_eq!(world.run().unwrap().landed.len(), 0);
}

#[test]
fn what_does_not_fit_lands_for_no_order_and_none_of_the_others_with_it() {
    let world = World::with_gate();
    let (_, plain) = world.request("plain", &[("plain", "x\n")]);
    let (_, first) = world.request("first", &[("shared.txt", "one\nfirst\nthree\n")]);
    let (_, second) = world.request("second", &[("shared.txt", "one\nsecond\nthree\n")]);
    let before = world.tip("main");
    let error = land(&world, &[plain.clone(), first, second]).unwrap_err();
    assert!(error.kind == Kind::Refused && error.message.contains("shared.txt"), "{}", error.message);
    world.push_main(&[("shared.txt", "one\nyours\nthree\n")]);
    assert_ne!(world.tip("main"), before);
    let now = world.tip("main");
    let (_, clash) = world.request("clash", &[("plain", "y\n")]);
    assert!(land(&world, &[plain.clone(), clash]).is_err());
    assert_eq!((world.tip("main"), world.mr(&plain).state, world.mr(&plain).force), (now, MrState::Queued, None));
    world.is_sound();
}

#[test]
fn a_forced_landing_killed_at_any_step_is_finished_as_it_was_ordered() {
    for step in ["land.intent", "land.checked", "land.moved", "land.recorded"] {
        let mut world = World::with_gate();
        let (_, mr) = world.request("bad", &[("bad", "x\n")]);
        land_and_kill(&world, &mr, step);
        world.run().unwrap();
        assert_eq!((world.mr(&mr).state, world.runs()), (MrState::Landed, 0), "{step} {:#?}", world.lines());
        assert!(world.mr(&mr).force.is_some(), "{step}");
        world.is_sound();
    }
}

#[test]
fn an_order_that_could_not_be_carried_out_is_not_carried_out_later() {
    let mut world = World::with_gate();
    let (_, mr) = world.request("bad", &[("bad", "x\n")]);
    land_and_kill(&world, &mr, "land.intent");
    world.push_main(&[("hand", "x\n")]);
    let drained = world.run().unwrap();
    assert_eq!((drained.evicted, world.mr(&mr).force), (vec![mr], None));
    assert!(world.events.iter().any(|event| matches!(event, Event::Recovered { .. })));
    world.is_sound();
}

#[test]
fn an_unforced_landing_that_a_kill_left_open_is_settled_by_its_gates_and_not_by_the_order() {
    let world = World::with_gate();
    let (_, first) = world.request("a", &[("a", "x\n")]);
    assert!(super::crash::run_and_kill(&world, "land.intent", 1));
    let (_, second) = world.request("b", &[("b", "x\n")]);
    // Its gates are not those that it passed any more.
    world.gate("test", "false");
    let forced = land(&world, std::slice::from_ref(&second)).unwrap();
    assert_eq!(forced.landed, [second]);
    assert_eq!((world.mr(&first).state, world.mr(&first).force), (MrState::Queued, None));
    assert!(!world.files("main").contains(&"a".to_owned()));
    world.is_sound();
}
