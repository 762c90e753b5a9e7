//! Conflicts, races, replaced requests, and where things land.

use gastown::error::Kind;
use gastown::model::bead::Status;
use gastown::model::merge_request::MrState;
use gastown::model::protocol::Protocol;
use gastown::ops::refinery::{self, Event, Submission, Turn};

use super::world::{World, git};

#[test]
fn a_conflict_with_the_target_sends_back_only_that_request() {
    let mut world = World::with_gate();
    let (bead, mr) = world.request("clash", &[("shared.txt", "one\nmine\nthree\n")]);
    let (_, other) = world.request("plain", &[("plain", "x\n")]);
    let theirs = world.push_main(&[("shared.txt", "one\nyours\nthree\n")]);
    let drained = world.run().unwrap();
    assert_eq!((drained.evicted, drained.landed), (vec![mr.clone()], vec![other]));
    assert_eq!(world.show(&bead).status, Status::Open);
    let told = world.mail().into_iter().find_map(|message| match message {
        Protocol::ReworkRequest { files, theirs, .. } => Some((files, theirs)),
        _ => None,
    });
    assert_eq!(told.unwrap(), (vec!["shared.txt".to_owned()], vec![format!("{} By hand", &theirs[..8])]));
    assert_eq!(world.mr(&mr).blame.unwrap().cause, "conflict");
    world.is_sound();
}

#[test]
fn a_conflict_with_one_ahead_waits_and_goes_back_when_that_one_lands() {
    let mut world = World::with_gate();
    let (_, first) = world.request("first", &[("shared.txt", "one\nfirst\nthree\n")]);
    let (_, second) = world.request("second", &[("shared.txt", "one\nsecond\nthree\n")]);
    let (_, third) = world.request("third", &[("third", "x\n")]);
    let drained = world.run().unwrap();
    assert_eq!(drained.landed, [first.clone(), third]);
    assert_eq!(drained.evicted, std::slice::from_ref(&second));
    let held = world.events.iter().any(|event| {
        matches!(event, Event::Held { mr, reason } if *mr == second && reason.contains(first.as_str()) && reason.contains("shared.txt"))
    });
    assert!(held, "{:#?}", world.lines());
    assert_eq!(world.runs(), 1, "{:#?}", world.lines());
}

#[test]
fn a_conflict_with_one_ahead_lands_when_that_one_leaves() {
    let mut world = World::with_gate();
    let (_, first) = world.request("first", &[("shared.txt", "one\nfirst\nthree\n"), ("bad", "x\n")]);
    let (_, second) = world.request("second", &[("shared.txt", "one\nsecond\nthree\n")]);
    let drained = world.run().unwrap();
    assert_eq!((drained.evicted, drained.landed), (vec![first], vec![second.clone()]));
    assert!(world.events.contains(&Event::Resumed { mr: second }));
}

#[test]
fn work_on_a_file_that_was_renamed_meanwhile_lands_under_its_new_name() {
    let mut world = World::with_gate();
    let long: String = (1..40).flat_map(|n| [format!("line {n}"), "\n".to_owned()]).collect();
    world.push_main(&[("old.txt", &long)]);
    let (_, mr) = world.request("edit", &[("old.txt", &long.replace("line 7\n", "line seven\n"))]);
    world.push_main(&[("old.txt", ""), ("new.txt", &long)]);
    assert_eq!(world.run().unwrap().landed, [mr], "{:#?}", world.lines());
    assert!(git(&world.repo(), &["show", "main:new.txt"]).contains("line seven"));
}

#[test]
fn a_person_who_moves_the_target_midway_is_not_overwritten_and_greens_are_kept() {
    let mut world = World::new();
    // The gate itself stands in for the person: in its first run it moves main.
    let (tally, repo) = (world.tally().display().to_string(), world.repo().display().to_string());
    let hand = world.branch("hand", "main", &[("hand", "x\n")]);
    world.gate(
        "test",
        &format!("echo >> {tally}; test $(wc -l < {tally}) -ne 1 || git --git-dir {repo} update-ref refs/heads/main {hand}"),
    );
    let mrs = world.requests(&["a"]);
    assert_eq!(world.run().unwrap().landed, mrs);
    assert_eq!(world.tallied(), 2);
    assert_eq!(git(&world.repo(), &["rev-parse", "main~1"]), hand);
    world.is_sound();
}

#[test]
fn a_newer_request_replaces_the_older_one_and_only_it_lands() {
    let mut world = World::with_gate();
    let (bead, old) = world.request("work", &[("work", "first\n")]);
    world.branch("work", "main", &[("work", "better\n")]);
    let new = world.submit(&bead, "work").unwrap();
    assert_eq!((world.mr(&old).state, world.show(&old).status), (MrState::Superseded, Status::Closed));
    assert_eq!(world.run().unwrap().landed, [new]);
    assert_eq!(git(&world.repo(), &["show", "main:work"]), "better");
}

#[test]
fn a_head_whose_pin_moved_is_never_tested() {
    let mut world = World::with_gate();
    let (_, mr) = world.request("work", &[("work", "x\n")]);
    let other = world.branch("other", "main", &[("other", "x\n")]);
    git(&world.repo(), &["update-ref", &format!("refs/gt/mr/{mr}"), &other]);
    let drained = world.run().unwrap();
    assert_eq!((drained.landed.len(), world.runs()), (0, 0));
    assert_eq!(world.mr(&mr).held_reason.unwrap(), "its pinned head moved");
}

#[test]
fn a_branch_that_is_gone_or_has_nothing_new_is_refused_and_files_nothing() {
    let world = World::with_gate();
    let bead = world.bead("work");
    git(&world.repo(), &["branch", "empty", "main"]);
    assert_eq!(world.submit(&bead, "missing").unwrap_err().kind, Kind::NotFound);
    assert_eq!(world.submit(&bead, "empty").unwrap_err().kind, Kind::Refused);
    assert_eq!(world.show(&bead).status, Status::Hooked);
    assert!(world.rig().ledger.store.refs_below("refs/gt/mr/").unwrap().is_empty());
}

#[test]
fn a_branch_deleted_after_it_was_handed_in_lands_all_the_same() {
    let mut world = World::with_gate();
    let (_, mr) = world.request("work", &[("work", "x\n")]);
    git(&world.repo(), &["branch", "-D", "work"]);
    assert_eq!(world.run().unwrap().landed, [mr]);
}

#[test]
fn a_head_that_was_sent_back_needs_a_change_before_it_may_return() {
    let mut world = World::with_gate();
    let (bead, mr) = world.request("right", &[("right", "x\n")]);
    world.push_main(&[("left", "x\n")]);
    assert_eq!(world.run().unwrap().evicted, std::slice::from_ref(&mr));
    let error = world.submit(&bead, "right").unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.hint.unwrap().contains(&format!("gt mq why {mr}")));
    // Its partner leaves the target: the same head gets its second chance.
    let (_, partner) = world.request("partner", &[("partner", "x\n")]);
    world.run().unwrap();
    assert_eq!(world.mr(&partner).state, MrState::Landed);
    world.push_main(&[("left", "")]);
    let again = world.submit(&bead, "right").unwrap();
    assert_eq!(world.run().unwrap().landed, std::slice::from_ref(&again));
    assert_eq!(world.mr(&again).attempts, 1);
}

#[test]
fn two_targets_each_get_their_own() {
    let mut world = World::with_gate();
    git(&world.repo(), &["branch", "next", "main"]);
    let (_, to_main) = world.request("a", &[("a", "x\n")]);
    let bead = world.bead("b");
    world.branch("b", "main", &[("b", "x\n")]);
    let submission = Submission { target: Some("next".into()), message: Some("Add b".into()), ..World::submission(&bead, "b") };
    let to_next = refinery::submit(&world.town(), &world.rig(), &submission).unwrap().mr;
    let landed: std::collections::BTreeSet<_> = world.run().unwrap().landed.into_iter().collect();
    assert_eq!(landed, [to_main, to_next].into());
    assert!(world.files("main").contains(&"a".to_owned()) && !world.files("main").contains(&"b".to_owned()));
    assert!(world.files("next").contains(&"b".to_owned()) && !world.files("next").contains(&"a".to_owned()));
}

#[test]
fn two_processes_never_work_one_queue() {
    let mut world = World::with_gate();
    world.requests(&["a"]);
    let place = world.rig();
    let turn = Turn::take(&place, "main").unwrap();
    let error = world.run().unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
    assert!(refinery::status(&world.town(), &place).unwrap().targets[0].is_worked);
    drop(turn);
    assert_eq!(world.run().unwrap().landed.len(), 1);
}

#[test]
fn a_clean_worktree_of_the_target_follows_and_a_changed_one_is_left_and_told() {
    let mut world = World::with_gate();
    let (clean, dirty) = (world.base().join("clean"), world.base().join("dirty"));
    git(&world.repo(), &["worktree", "add", "-q", clean.to_str().unwrap(), "main"]);
    git(&world.repo(), &["worktree", "add", "-q", "-f", dirty.to_str().unwrap(), "main"]);
    std::fs::write(dirty.join("shared.txt"), "precious\n").unwrap();
    world.request("work", &[("shared.txt", "one\n2\nthree\n")]);
    assert_eq!(world.run().unwrap().landed.len(), 1);
    assert_eq!(git(&clean, &["status", "--porcelain"]), "");
    assert_eq!(std::fs::read_to_string(clean.join("shared.txt")).unwrap(), "one\n2\nthree\n");
    assert_eq!(std::fs::read_to_string(dirty.join("shared.txt")).unwrap(), "precious\n");
    assert!(world.events.iter().any(|event| matches!(event, Event::LeftBehind { what, .. } if what.contains("dirty"))));
}

#[test]
fn the_story_of_a_request_fits_what_happened() {
    let mut world = World::with_gate();
    let (bead, mr) = world.request("bad", &[("bad", "x\n")]);
    let waiting = refinery::list(&world.town(), &world.rig(), false).unwrap();
    assert_eq!((waiting.len(), waiting[0].position, waiting[0].title.as_str()), (1, Some(1), "bad"));
    world.run().unwrap();
    let story = refinery::why(&world.town(), &world.rig(), &bead).unwrap();
    assert_eq!((story.listed.id, story.listed.state, story.listed.position), (mr, MrState::Evicted, None));
    assert_eq!(story.runs.len(), 2);
    assert!(story.runs.iter().all(|run| world.rig_dir().join("..").join(&run.log).is_file()));
    assert!(refinery::list(&world.town(), &world.rig(), false).unwrap().is_empty());
    assert_eq!(refinery::list(&world.town(), &world.rig(), true).unwrap().len(), 1);
    let unknown = refinery::why(&world.town(), &world.rig(), &world.bead("idle")).unwrap_err();
    assert_eq!(unknown.kind, Kind::Refused);
}

#[test]
fn equal_inputs_give_equal_commits() {
    let tips: Vec<String> = (0..2)
        .map(|_| {
            let mut world = World::with_gate();
            let head = world.requests(&["a"]);
            world.run().unwrap();
            let mr = world.mr(&head[0]);
            git(&world.repo(), &["show", "-s", "--format=%T", &mr.landed_commit.unwrap()])
        })
        .collect();
    assert_eq!(tips[0], tips[1]);
}

#[test]
fn a_landing_of_which_one_request_is_replaced_at_the_last_moment_marks_no_other() {
    let world = World::new();
    world.set("gates.require", "false");
    let (_, first) = world.request("a", &[("a", "x\n")]);
    let (bead, second) = world.request("b", &[("b", "x\n")]);
    world.branch("b2", "main", &[("b2", "x\n")]);
    let mut is_replaced = false;
    let mut seen = None;
    let ended = refinery::run(&world.town(), &world.rig(), &mut |event| match event {
        Event::Stacked { .. } if !is_replaced => {
            is_replaced = true;
            world.submit(&bead, "b2").unwrap();
        }
        Event::Raced { .. } => seen = Some(world.mr(&first).state),
        _ => {}
    });
    assert_eq!(seen, Some(MrState::Queued));
    assert_eq!(ended.unwrap().landed.len(), 2);
    assert_eq!(world.mr(&second).state, MrState::Superseded);
    world.is_sound();
}
