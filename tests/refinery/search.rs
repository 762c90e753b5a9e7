//! Who lands and who leaves.

use gastown::error::Kind;
use gastown::model::bead::Status;
use gastown::model::merge_request::MrState;
use gastown::model::protocol::Protocol;
use gastown::ops::refinery::Event;

use super::world::{World, git};

#[test]
fn two_submitted_together_land_together_in_one_run() {
    let mut world = World::with_gate();
    let (bead, mr) = world.request("one", &[("one", "1\n")]);
    let (_, other) = world.request("two", &[("two", "2\n")]);
    let drained = world.run().unwrap();
    assert_eq!(drained.landed, [mr.clone(), other.clone()]);
    assert_eq!(world.runs(), 1, "{:#?}", world.lines());
    assert_eq!(world.files("main"), ["README.md", "lib/a.txt", "one", "shared.txt", "two"]);
    let (shown, request) = (world.show(&bead), world.mr(&mr));
    let commit = request.landed_commit.unwrap();
    assert_eq!(shown.status, Status::Closed);
    assert_eq!(shown.close_reason.unwrap(), format!("merged as {commit}"));
    assert_eq!(shown.closed_by.unwrap(), "widgets/refinery");
    assert_eq!((request.state, world.show(&mr).status), (MrState::Landed, Status::Closed));
    let is_told = |message: &Protocol| matches!(message, Protocol::Merged { commit: told, .. } if *told == commit);
    assert!(world.mail().iter().any(is_told));
    let gated = git(&world.repo(), &["rev-parse", "main^{tree}"]);
    let message = git(&world.repo(), &["log", "-1", "--format=%an <%ae> %cn%n%B", &commit]);
    let expected = format!(
        "Tess Tester <tess@example.org> widgets/refinery\nWork on one\n\nBead: {bead}\nGt-Mr: {mr}\nGt-Tree-Gated: {gated}"
    );
    assert_eq!(message.trim_end(), expected);
    assert_eq!(git(&world.repo(), &["rev-list", "--count", "main"]), "3");
    world.is_sound();
}

#[test]
fn an_empty_queue_moves_nothing_and_asks_for_no_gate() {
    let mut world = World::new();
    let before = world.rig().ledger.tip().unwrap();
    assert_eq!(world.run().unwrap(), gastown::ops::refinery::Drained::default());
    assert_eq!(world.rig().ledger.tip().unwrap(), before);
}

#[test]
fn one_red_of_two_is_found_whichever_it_is() {
    for names in [["bad", "good"], ["good", "bad"]] {
        let mut world = World::with_gate();
        let mrs = world.requests(&names);
        let drained = world.run().unwrap();
        let (bad, good) = if names[0] == "bad" { (&mrs[0], &mrs[1]) } else { (&mrs[1], &mrs[0]) };
        assert_eq!((drained.landed, drained.evicted), (vec![good.clone()], vec![bad.clone()]), "{:#?}", world.lines());
        assert!(!world.files("main").contains(&"bad".to_owned()));
        world.is_sound();
    }
}

#[test]
fn four_with_the_third_bad_land_the_other_three() {
    let mut world = World::with_gate();
    let mrs = world.requests(&["a", "b", "bad", "d"]);
    let drained = world.run().unwrap();
    assert_eq!(drained.landed, [mrs[0].clone(), mrs[1].clone(), mrs[3].clone()]);
    assert_eq!(drained.evicted, [mrs[2].clone()]);
    world.is_sound();
}

#[test]
fn all_bad_leaves_the_target_untouched() {
    let mut world = World::new();
    world.gate("test", "! ls | grep -q bad");
    let before = world.tip("main");
    let mrs = world.requests(&["bad1", "bad2", "bad3"]);
    assert_eq!(world.run().unwrap().evicted, mrs);
    assert_eq!(world.tip("main"), before);
    world.is_sound();
}

#[test]
fn of_two_that_break_together_only_the_later_leaves() {
    let mut world = World::with_gate();
    let mrs = world.requests(&["left", "other", "right"]);
    let drained = world.run().unwrap();
    assert_eq!((drained.landed, drained.evicted), (mrs[..2].to_vec(), mrs[2..].to_vec()));
}

#[test]
fn who_is_sent_back_gets_all_that_is_needed_to_mend_it() {
    let mut world = World::new();
    world.gate("test", "echo looking; test ! -e bad || { echo it broke; exit 3; }");
    let (bead, mr) = world.request("bad", &[("bad", "x\n")]);
    world.run().unwrap();
    let (shown, request) = (world.show(&bead), world.mr(&mr));
    assert_eq!((shown.status, shown.assignee), (Status::Open, None));
    assert_eq!(shown.extra["last_failure"], mr.as_str());
    assert!(shown.comments[0].text.contains("gate test is red (exit 3)"));
    assert_eq!(world.show(&mr).close_reason.unwrap(), "evicted (red)");
    let blame = request.blame.unwrap();
    assert_eq!((blame.gate.as_str(), blame.exit, blame.log_tail.trim()), ("test", Some(3), "looking\nit broke"));
    assert!(blame.posterior >= 0.99);
    assert!(blame.evidence.len() >= 2 && blame.evidence[0].starts_with("test red (exit 3) on "));
    let Protocol::MergeFailed { gate, log, .. } = &world.mail()[0] else { panic!("{:?}", world.mail()) };
    assert_eq!((gate.as_str(), log.contains("it broke")), ("test", true));
    // The commit stays, and the command shows the failure again.
    assert_eq!(world.tip(&format!("refs/gt/evidence/{mr}")), blame.stack_commit);
    let again = blame.reproduce.replace(&format!("/tmp/{mr}"), &world.base().join("again").display().to_string());
    let ran = std::process::Command::new("sh").args(["-c", &again]).output().unwrap();
    assert_eq!(ran.status.code(), Some(3), "{again}");
}

#[test]
fn a_gate_that_flakes_once_throws_nobody_out() {
    let mut world = World::new();
    let tally = world.tally().display().to_string();
    world.gate("test", &format!("echo >> {tally}; test $(wc -l < {tally}) -ne 1"));
    let mrs = world.requests(&["a", "b"]);
    assert_eq!(world.run().unwrap().landed, mrs);
}

#[test]
fn a_target_that_is_red_itself_blames_nobody_and_what_mends_it_lands() {
    let mut world = World::with_gate();
    world.push_main(&[("bad", "x\n")]);
    let mrs = world.requests(&["a", "b"]);
    let drained = world.run().unwrap();
    assert!(drained.evicted.is_empty() && drained.landed.is_empty());
    assert_eq!(drained.red_targets.into_iter().collect::<Vec<_>>(), ["main"]);
    assert!(world.lines().iter().any(|line| line.contains("main itself is red")), "{:#?}", world.lines());
    let (_, mend) = world.request("mend", &[("bad", "")]);
    assert_eq!(world.run().unwrap().landed, [mrs[0].clone(), mrs[1].clone(), mend], "{:#?}", world.lines());
}

#[test]
fn without_gates_nothing_lands_unless_that_was_said() {
    let mut world = World::new();
    let before = world.tip("main");
    let mrs = world.requests(&["a"]);
    let error = world.run().unwrap_err();
    assert_eq!((error.kind, world.tip("main")), (Kind::Refused, before));
    assert!(error.hint.unwrap().contains("gates.test.command"));
    world.set("gates.require", "false");
    assert_eq!(world.run().unwrap().landed, mrs);
    assert!(!git(&world.repo(), &["log", "-1", "--format=%B", "main"]).contains("Gt-Tree-Gated"));
}

#[test]
fn a_gate_that_cannot_run_stops_the_queue_and_blames_nobody() {
    for command in ["no-such-program-anywhere", "kill -9 $$"] {
        let mut world = World::new();
        world.gate("test", command);
        let mrs = world.requests(&["a"]);
        let error = world.run().unwrap_err();
        assert_eq!(error.kind, Kind::External);
        assert!(error.message.contains("gate test gave no verdict 3 times"), "{}", error.message);
        assert_eq!((world.runs(), world.mr(&mrs[0]).state), (3, MrState::Queued));
    }
}

#[test]
fn who_takes_the_gates_command_away_is_found_like_any_other() {
    let mut world = World::new();
    world.push_main(&[("check.sh", "exit 0\n")]);
    world.gate("test", "test -e check.sh || exec ./check.sh; sh check.sh");
    let (_, good) = world.request("good", &[("good", "x\n")]);
    let (_, thief) = world.request("thief", &[("check.sh", "")]);
    let (_, other) = world.request("other", &[("other", "x\n")]);
    let drained = world.run().unwrap();
    assert_eq!((drained.landed, drained.evicted), (vec![good, other], vec![thief.clone()]), "{:#?}", world.lines());
    assert_eq!(world.mr(&thief).blame.unwrap().exit, Some(127));
}

#[test]
fn a_gate_that_cannot_judge_holds_the_head_and_the_others_go_on() {
    let mut world = World::new();
    world.gate("test", "test ! -e odd || exit 125");
    let mrs = world.requests(&["odd", "plain"]);
    let drained = world.run().unwrap();
    assert_eq!((drained.landed, drained.held.into_iter().collect::<Vec<_>>()), (mrs[1..].to_vec(), mrs[..1].to_vec()));
    assert!(world.mr(&mrs[0]).held_reason.unwrap().contains("cannot judge it"));
}

#[test]
fn a_gate_that_is_too_slow_is_red_and_says_so() {
    let mut world = World::new();
    world.gate("test", "test ! -e slow || sleep 60");
    world.set("gates.test.timeout", "300ms");
    let mrs = world.requests(&["slow", "quick"]);
    let drained = world.run().unwrap();
    assert_eq!((drained.evicted, drained.landed), (mrs[..1].to_vec(), mrs[1..].to_vec()));
    assert!(world.mr(&mrs[0]).blame.unwrap().log_tail.contains("timed out"));
}

#[test]
fn every_gate_must_be_green_and_the_first_red_ends_the_others() {
    let mut world = World::with_gate();
    world.gate("slow", "test ! -e bad || sleep 60");
    let mrs = world.requests(&["good", "bad"]);
    let watch = gastown::time::Stopwatch::start();
    let drained = world.run().unwrap();
    assert_eq!((drained.landed, drained.evicted), (mrs[..1].to_vec(), mrs[1..].to_vec()));
    assert!(watch.millis() < 30_000);
    let of_bad = world
        .events
        .iter()
        .filter(|event| matches!(event, Event::GateEnded { gate, stack, .. } if gate == "slow" && stack.contains(&mrs[1])));
    assert_eq!(of_bad.count(), 0, "a gate that was called off says nothing");
}

#[test]
fn what_is_known_of_a_tree_is_not_asked_again() {
    let mut world = World::new();
    let tally = world.tally().display().to_string();
    world.gate("test", &format!("echo >> {tally}; test ! -e bad"));
    world.requests(&["a", "b"]);
    world.run().unwrap();
    assert_eq!(world.tallied(), 1);
    let tip = world.tip("main");
    // The target goes back by hand; the same work comes again and makes the same tree.
    git(&world.repo(), &["update-ref", "refs/heads/main", "main~2"]);
    world.requests(&["a", "b"]);
    assert_eq!(world.run().unwrap().landed.len(), 2);
    assert_eq!((world.tallied(), world.runs()), (1, 0));
    assert_ne!(world.tip("main"), tip);
    world.is_sound();
}
