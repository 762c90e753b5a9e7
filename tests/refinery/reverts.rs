//! Landed work that is taken back: its inverse goes through the queue, and the work is open again.

use gastown::error::{Kind, Result};
use gastown::model::bead::Status;
use gastown::model::merge_request::{Mode, MrState};
use gastown::model::protocol::Protocol;
use gastown::name::BeadId;
use gastown::ops::refinery::{self, Reverted};

use super::crash::run_and_kill;
use super::world::{World, git};
use crate::town::{Town, text_at};

/// Steps inside it.
pub const STEPS: &[&str] = &["revert.pinned"];

fn revert(world: &World, id: &BeadId) -> Result<Reverted> {
    refinery::revert(&world.town(), &world.rig(), id, Some("it leaks"))
}

#[test]
fn what_landed_in_any_mode_is_taken_back_gated_and_its_work_is_open_again() {
    for mode in [Mode::Squash, Mode::Merge, Mode::Rebase, Mode::Ff] {
        let mut world = World::with_gate();
        let before = world.tip("main^{tree}");
        git(&world.work(), &["checkout", "-q", "-B", "a", "main"]);
        world.commit("One", &[("a", "x\n"), ("shared.txt", "one\ntwo\nthree\nfour\n")]);
        world.commit("Two", &[("a", "y\n"), ("b", "x\n")]);
        git(&world.work(), &["push", "-q", "rig", "a"]);
        git(&world.work(), &["checkout", "-q", "main"]);
        let (bead, mr) = world.request_of("a", mode);
        assert_eq!(world.run().unwrap().landed, std::slice::from_ref(&mr));
        world.request("other", &[("other", "x\n")]);
        world.run().unwrap();
        let reverted = revert(&world, &bead).unwrap();
        assert_eq!((&reverted.reverts, reverted.beads.as_slice(), reverted.priority), (&mr, std::slice::from_ref(&bead), 1));
        assert_eq!(world.mr(&mr).reverted_by, Some(reverted.mr.clone()));
        assert_eq!(world.show(&bead).status, Status::Closed, "until it has landed");
        assert_eq!(revert(&world, &mr).unwrap_err().kind, Kind::Refused, "once at a time");
        let drained = world.run().unwrap();
        assert_eq!((drained.landed, world.runs()), (vec![reverted.mr.clone()], 1), "{mode:?}: it was gated");
        let files = world.files("main");
        assert!(files.contains(&"other".to_owned()) && !files.contains(&"a".to_owned()) && !files.contains(&"b".to_owned()));
        assert_eq!(git(&world.repo(), &["diff", "--name-only", &before, "main"]), "other", "{mode:?}");
        let work = world.show(&bead);
        assert_eq!((work.status, work.assignee), (Status::Open, None));
        assert!(work.comments.iter().any(|remark| remark.text.contains("it leaks")), "{:?}", work.comments);
        assert!(world.mail().iter().any(|one| matches!(one, Protocol::Reverted { reverts, .. } if *reverts == mr)));
        let message = git(&world.repo(), &["log", "-1", "--format=%B", "main"]);
        assert!(
            message.starts_with("Revert \"")
                && message.contains("it leaks")
                && message.contains(&format!("Gt-Mr: {}", reverted.mr))
        );
        world.is_sound();
    }
}

#[test]
fn a_revert_is_itself_taken_back_and_then_the_work_is_closed_again() {
    let mut world = World::with_gate();
    let (bead, mr) = world.request("a", &[("a", "x\n")]);
    world.run().unwrap();
    let first = revert(&world, &mr).unwrap().mr;
    world.run().unwrap();
    assert_eq!((world.show(&bead).status, world.files("main").contains(&"a".to_owned())), (Status::Open, false));
    let second = revert(&world, &first).unwrap().mr;
    assert_eq!(world.run().unwrap().landed, [second]);
    assert_eq!((world.show(&bead).status, world.files("main").contains(&"a".to_owned())), (Status::Closed, true));
    // And so it can be taken back anew.
    assert!(revert(&world, &mr).is_ok());
}

#[test]
fn what_later_work_stands_on_is_not_taken_back_and_the_files_are_named() {
    let mut world = World::with_gate();
    let (bead, mr) = world.request("a", &[("shared.txt", "one\nmine\nthree\n")]);
    world.run().unwrap();
    world.push_main(&[("shared.txt", "one\nmine and more\nthree\n")]);
    let refused = revert(&world, &mr).unwrap_err();
    assert_eq!(refused.kind, Kind::Refused);
    assert!(refused.message.contains("shared.txt"), "{}", refused.message);
    // By hand it was done already.
    world.push_main(&[("shared.txt", "one\ntwo\nthree\n")]);
    let refused = revert(&world, &bead).unwrap_err();
    assert!(refused.message.contains("nothing of"), "{}", refused.message);
    let (open, queued) = world.request("b", &[("b", "x\n")]);
    for id in [&open, &queued] {
        assert_eq!(revert(&world, id).unwrap_err().kind, Kind::Refused);
    }
    assert_eq!(world.rig().ledger.store.refs_below("refs/gt/mr/").unwrap().len(), 2, "no pin of what was refused");
}

#[test]
fn a_revert_that_is_red_is_sent_back_and_leaves_the_work_closed() {
    let mut world = World::new();
    world.gate("test", "test -e keep -o ! -e README.md");
    let (bead, mr) = world.request("keep", &[("keep", "x\n")]);
    world.run().unwrap();
    let back = revert(&world, &mr).unwrap().mr;
    assert_eq!(world.run().unwrap().evicted, std::slice::from_ref(&back));
    let work = world.show(&bead);
    assert_eq!((work.status, work.comments.len(), work.extra.contains_key("last_failure")), (Status::Closed, 0, false));
    assert!(revert(&world, &mr).is_ok(), "it may be tried again");
}

#[test]
fn work_that_somebody_took_up_again_is_told_and_left_alone() {
    let mut world = World::with_gate();
    let (bead, mr) = world.request("a", &[("a", "x\n")]);
    world.run().unwrap();
    let back = revert(&world, &mr).unwrap().mr;
    world.change(|change| {
        let mut work = change.bead(&bead)?;
        work.become_status(Status::Open, change.now())?;
        work.become_status(Status::Hooked, change.now())?;
        change.put_bead(&work)
    });
    // Handed in anew meanwhile: that does not replace the revert.
    world.branch("again", "main", &[("again", "x\n")]);
    let again = world.submit(&bead, "again").unwrap();
    assert_eq!(world.mr(&back).state, MrState::Queued);
    assert_eq!(world.run().unwrap().landed, [back, again]);
    assert_eq!(world.show(&bead).status, Status::Closed);
}

#[test]
fn a_revert_that_is_killed_while_it_lands_is_finished_once() {
    for step in ["land.intent", "land.moved", "land.recorded"] {
        let mut world = World::with_gate();
        let (bead, mr) = world.request("a", &[("a", "x\n")]);
        world.run().unwrap();
        let back = revert(&world, &mr).unwrap().mr;
        assert!(run_and_kill(&world, step, 1));
        world.run().unwrap();
        let work = world.show(&bead);
        assert_eq!((world.mr(&back).state, work.status, work.comments.len()), (MrState::Landed, Status::Open, 1), "{step}");
        world.is_sound();
    }
}

#[test]
fn work_is_taken_back_from_the_command_line_and_after_a_kill() {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["config", "set", "gates.test.command", "./check.sh", "--rig", "widgets"]).succeeds();
    let work = town.base().join("widgets-work");
    town.git(&work, &["checkout", "-q", "-b", "good", "main"]);
    std::fs::write(work.join("good"), "x\n").unwrap();
    town.git(&work, &["add", "good"]);
    town.git(&work, &["commit", "-q", "-m", "Add good"]);
    town.git(&work, &["push", "-q", rig.dir.join(".repo.git").to_str().unwrap(), "good"]);
    let bead = town.bead(&rig, "Make it good");
    town.gt_args(&["mq", "submit", &bead, "good"]).succeeds();
    town.gt(&format!("mq revert {bead}")).fails_with(4);
    town.gt("mq run --once --rig widgets").succeeds();
    town.here().var("GT_CRASH_AT", STEPS[0]).gt(&format!("mq revert {bead}")).ends_with(-1);
    let made = town.gt_args(&["--json", "mq", "revert", &bead, "-m", "it leaks"]).json();
    assert_eq!((text_at(&made, &["/beads/0"]), made["priority"].as_u64()), (bead.clone(), Some(1)));
    let why = town.gt(&format!("mq why {}", text_at(&made, &["/reverts"]))).succeeds().stdout;
    assert!(why.contains(&format!("taken back by {}", text_at(&made, &["/mr"]))), "{why}");
    // Called off it leaves the work as it is, and nobody is told otherwise.
    let landed = text_at(&made, &["/reverts"]);
    let gone = town.gt(&format!("mq withdraw {}", text_at(&made, &["/mr"]))).succeeds().stdout;
    assert!(gone.contains(&format!("what {landed} landed stays")) && gone.contains(&format!("gt mq revert {landed}")), "{gone}");
    let again = text_at(&town.gt(&format!("--json mq revert {landed}")).json(), &["/mr"]);
    let back = town.gt_args(&["--actor", "mayor", "mq", "reject", &again, "-m", "not now"]).succeeds().stdout;
    assert!(back.contains("what it was to take back stays") && !back.contains("open again"), "{back}");
    assert_eq!(town.status(&bead), "closed");
    town.gt(&format!("mq revert {landed} -m leaks")).succeeds();
    town.gt("mq run --once --rig widgets").succeeds();
    assert_eq!(town.status(&bead), "open");
    town.fsck();
}
