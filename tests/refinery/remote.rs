//! A remote's branch as the target: pushed with expectation, and never run over.

use std::path::{Path, PathBuf};

use gastown::error::Kind;
use gastown::model::merge_request::MrState;
use gastown::model::protocol::Protocol;
use gastown::ops::refinery::Event;

use super::world::{World, git};

fn of(origin: &Path, what: &str) -> String {
    git(origin, &["rev-parse", what])
}

pub fn write_hook(origin: &Path, text: &str) -> PathBuf {
    let hook = origin.join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, text).unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    hook
}

#[test]
fn what_lands_is_at_the_remote_first_and_then_here() {
    let mut world = World::with_gate();
    let origin = world.with_origin();
    let mrs = world.requests(&["a", "bad", "c"]);
    let drained = world.run().unwrap();
    assert_eq!((drained.landed, drained.evicted), (vec![mrs[0].clone(), mrs[2].clone()], vec![mrs[1].clone()]));
    assert_eq!(of(&origin, "main"), world.tip("main"));
    git(&origin, &["fsck", "--strict"]);
    world.is_sound();
}

#[test]
fn commits_at_the_remote_are_followed_before_anything_is_stacked() {
    let mut world = World::with_gate();
    let origin = world.with_origin();
    git(&world.work(), &["checkout", "-q", "main"]);
    let theirs = world.commit("Theirs", &[("theirs", "x\n")]);
    git(&world.work(), &["push", "-q", "origin", "main"]);
    git(&world.work(), &["reset", "-q", "--hard", "HEAD~1"]);
    let mrs = world.requests(&["a"]);
    assert_eq!(world.run().unwrap().landed, mrs);
    assert_eq!(of(&origin, "main~1"), theirs);
    assert_eq!(of(&origin, "main"), world.tip("main"));
}

#[test]
fn a_push_that_loses_the_race_is_planned_again_and_runs_over_nobody() {
    let mut world = World::new();
    let origin = world.with_origin();
    let hand = world.branch("hand", "main", &[("hand", "x\n")]);
    git(&world.work(), &["push", "-q", "origin", "hand"]);
    world.gate("test", "test ! -e bad");
    // Between the last look and the push: the server itself lets somebody else go first, once.
    let first = "[ -e went ] || { touch went; env -u GIT_QUARANTINE_PATH git update-ref refs/heads/main";
    write_hook(&origin, &format!("#!/bin/sh\n{first} {hand}; }}\n"));
    let mrs = world.requests(&["a"]);
    assert_eq!(world.run().unwrap().landed, mrs, "{:#?}", world.lines());
    assert!(world.events.iter().any(|event| matches!(event, Event::Raced { .. })));
    assert_eq!(of(&origin, "main~1"), hand);
    assert_eq!(of(&origin, "main"), world.tip("main"));
    world.is_sound();
}

#[test]
fn a_remote_that_is_away_keeps_the_queue_waiting_with_its_greens() {
    let mut world = World::with_gate();
    let origin = world.with_origin();
    let mrs = world.requests(&["a"]);
    let (before, hidden) = (world.tip("main"), origin.with_extension("away"));
    std::fs::rename(&origin, &hidden).unwrap();
    // The rig is told by the fixture that the remote is its target as long as something stands there.
    std::fs::create_dir(&origin).unwrap();
    let drained = world.run().unwrap();
    assert_eq!((drained.landed.len(), drained.waiting_for_remote.len()), (0, 1), "{:#?}", world.lines());
    assert_eq!((world.tip("main"), world.runs()), (before, 1));
    std::fs::remove_dir(&origin).unwrap();
    std::fs::rename(&hidden, &origin).unwrap();
    assert_eq!(world.run().unwrap().landed, mrs);
    assert_eq!(world.runs(), 0);
    assert_eq!(of(&origin, "main"), world.tip("main"));
}

#[test]
fn a_remote_that_refuses_is_told_and_what_waits_can_be_withdrawn_or_lands_when_it_takes_it() {
    let mut world = World::with_gate();
    let origin = world.with_origin();
    let hook = write_hook(&origin, "#!/bin/sh\necho no landing today >&2\nexit 1\n");
    let mrs = world.requests(&["a"]);
    let error = world.run().unwrap_err();
    assert_eq!(error.kind, Kind::External);
    // Nothing landed, so nothing is open.
    assert_eq!(world.mr(&mrs[0]).state, MrState::Queued);
    assert!(world.rig().ledger.state().unwrap().intents().unwrap().is_empty());
    std::fs::remove_file(&hook).unwrap();
    assert_eq!(world.run().unwrap().landed, mrs, "{:#?}", world.lines());
    assert_eq!(world.runs(), 0, "what was gated stays so");
    assert_eq!(of(&origin, "main"), world.tip("main"));
    world.is_sound();
}

#[test]
fn a_landing_killed_around_its_push_is_finished_by_the_next_run() {
    for step in ["land.checked", "land.pushed", "land.moved", "land.recorded"] {
        let mut world = World::with_gate();
        let origin = world.with_origin();
        let mrs = world.requests(&["a", "b"]);
        assert!(super::crash::run_and_kill(&world, step, 1), "{step} was never reached");
        world.run().unwrap();
        assert!(mrs.iter().all(|mr| world.mr(mr).state == MrState::Landed), "{step}");
        assert_eq!((of(&origin, "main"), world.runs()), (world.tip("main"), 0), "{step}");
        world.is_sound();
    }
}

#[test]
fn a_landing_whose_remote_falls_silent_is_finished_later_and_others_are_gated_meanwhile() {
    let mut world = World::with_gate();
    let origin = world.with_origin();
    let first = world.requests(&["a"]);
    assert!(super::crash::run_and_kill(&world, "land.pushed", 1));
    let hidden = origin.with_extension("away");
    std::fs::rename(&origin, &hidden).unwrap();
    std::fs::create_dir(&origin).unwrap();
    let second = world.requests(&["b"]);
    let drained = world.run().unwrap();
    assert_eq!((drained.landed.len(), drained.waiting_for_remote.len()), (0, 1), "{:#?}", world.lines());
    assert_eq!(world.runs(), 1, "the new one is gated: {:#?}", world.lines());
    assert_eq!(world.mr(&first[0]).state, MrState::Landing);
    std::fs::remove_dir(&origin).unwrap();
    std::fs::rename(&hidden, &origin).unwrap();
    world.run().unwrap();
    assert!(first.iter().chain(&second).all(|mr| world.mr(mr).state == MrState::Landed), "{:#?}", world.lines());
    let merged = world.mail().into_iter().filter(|mail| matches!(mail, Protocol::Merged { mr, .. } if *mr == first[0])).count();
    // To the witness and to the author, once each.
    assert!(merged <= 2, "{merged} letters");
    world.is_sound();
}
