//! The forms in which requests land: what stands on the target afterwards, and that it is what was gated.

use gastown::model::bead::Status;
use gastown::model::merge_request::{Mode, MrState};
use gastown::name::BeadId;

use super::crash::run_and_kill;
use super::world::{World, git};

const MODES: [Mode; 4] = [Mode::Squash, Mode::Merge, Mode::Rebase, Mode::Ff];

/// A branch from `main` with these commits, each a message and a file with its text; pushed to the rig.
fn branch(world: &World, name: &str, commits: &[(&str, &str, &str)]) -> String {
    git(&world.work(), &["fetch", "-q", "rig", "main"]);
    git(&world.work(), &["checkout", "-q", "-B", name, "FETCH_HEAD"]);
    for (message, file, text) in commits {
        world.commit(message, &[(file, text)]);
    }
    push(world, name)
}

/// Pushes the branch that is checked out in the workshop and goes back to `main`.
fn push(world: &World, name: &str) -> String {
    git(&world.work(), &["push", "-q", "-f", "rig", name]);
    let head = git(&world.work(), &["rev-parse", name]);
    git(&world.work(), &["checkout", "-q", "main"]);
    head
}

/// A branch of two commits, by two authors, and its request in `mode`.
fn request(world: &World, name: &str, mode: Mode) -> (BeadId, BeadId, String) {
    git(&world.work(), &["checkout", "-q", "-B", name, "main"]);
    world.commit(&format!("First of {name}\n\nCo-authored-by: Carl <carl@example.org>"), &[(&format!("{name}1"), "x\n")]);
    let by_anna = ["-c", "user.name=Anna", "-c", "user.email=anna@example.org"];
    std::fs::write(world.work().join(format!("{name}2")), "x\n").unwrap();
    git(&world.work(), &["add", "-A"]);
    let message = format!("Second of {name}");
    git(&world.work(), &[&by_anna[..], &["commit", "-q", "--date", "2024-02-03T04:05:06Z", "-m", &message]].concat());
    git(&world.work(), &["commit", "-q", "--amend", "--no-edit", "--author", "Anna <anna@example.org>"]);
    let head = push(world, name);
    let (bead, mr) = world.request_of(name, mode);
    (bead, mr, head)
}

fn shown(world: &World, format: &str, what: &str) -> String {
    git(&world.repo(), &["log", "-1", &format!("--format={format}"), what])
}

#[test]
fn a_squashed_request_is_one_commit_that_names_all_who_wrote_it() {
    let mut world = World::with_gate();
    let before = world.tip("main");
    let (bead, mr, _) = request(&world, "a", Mode::Squash);
    assert_eq!(world.run().unwrap().landed, std::slice::from_ref(&mr));
    assert_eq!(world.tip("main~1"), before);
    let tree = world.tip("main^{tree}");
    assert_eq!(
        shown(&world, "%an|%B", "main"),
        format!(
            "Anna|Second of a\n\nCo-authored-by: Tess Tester <tess@example.org>\nCo-authored-by: Carl <carl@example.org>\n\
             Bead: {bead}\nGt-Mr: {mr}\nGt-Tree-Gated: {tree}"
        )
    );
    world.is_sound();
}

#[test]
fn a_merged_request_keeps_its_commits_behind_a_commit_with_two_parents() {
    let mut world = World::with_gate();
    let (_, first, one) = request(&world, "a", Mode::Merge);
    let (bead, second, two) = request(&world, "b", Mode::Merge);
    let before = world.tip("main");
    assert_eq!(world.run().unwrap().landed, [first, second.clone()]);
    assert_eq!(world.runs(), 1);
    assert_eq!(shown(&world, "%P", "main"), format!("{} {two}", world.tip("main~1")));
    assert_eq!(shown(&world, "%P", "main~1"), format!("{before} {one}"));
    assert_eq!(
        shown(&world, "%(trailers:key=Bead,valueonly)%(trailers:key=Gt-Mr,valueonly)", "main"),
        format!("{bead}\n{second}")
    );
    assert_eq!(world.mr(&second).landed_commit, Some(world.tip("main")));
    world.is_sound();
}

#[test]
fn a_rebased_request_lands_commit_by_commit_with_authors_dates_and_trailers() {
    let mut world = World::with_gate();
    let (_, first, _) = request(&world, "a", Mode::Squash);
    let (bead, second, _) = request(&world, "b", Mode::Rebase);
    assert_eq!(world.run().unwrap().landed, [first, second.clone()]);
    let tree = world.tip("main^{tree}");
    let trailers = format!("Bead: {bead}\nGt-Mr: {second}\nGt-Tree-Gated: {tree}");
    assert_eq!(shown(&world, "%an|%aI|%B", "main"), format!("Anna|2024-02-03T04:05:06Z|Second of b\n\n{trailers}"));
    let first = shown(&world, "%an|%B", "main~1");
    assert_eq!(first, format!("Tess Tester|First of b\n\nCo-authored-by: Carl <carl@example.org>\n{trailers}"));
    assert_eq!(git(&world.repo(), &["rev-list", "--count", "--merges", "main"]), "0");
    assert_eq!(git(&world.repo(), &["rev-list", "--count", "main"]), "4");
    world.is_sound();
}

#[test]
fn a_rebase_leaves_out_what_the_target_has_and_keeps_how_a_merge_was_solved() {
    let mut world = World::with_gate();
    let mine = "one\nmine\nthree\n";
    branch(
        &world,
        "a",
        &[("Same", "same", "x\n"), ("Mine", "shared.txt", mine), ("Back", "lib/a.txt", "b\n"), ("And", "lib/a.txt", "a\n")],
    );
    world.push_main(&[("same", "x\n"), ("shared.txt", "one\nyours\nthree\n")]);
    // The worker takes the target in and solves the conflict.
    git(&world.work(), &["checkout", "-q", "a"]);
    let merge = std::process::Command::new("git").current_dir(world.work()).args(["merge", "-q", "main"]).output().unwrap();
    assert!(!merge.status.success());
    let both = "one\nmine and yours\nthree\n";
    world.commit("Merge main", &[("shared.txt", both)]);
    push(&world, "a");
    let (_, mr) = world.request_of("a", Mode::Rebase);
    // Commit by commit the second conflicts, as with git.
    assert_eq!(world.run().unwrap().evicted, std::slice::from_ref(&mr));
    assert_eq!(world.mr(&mr).blame.unwrap().files, ["shared.txt"]);

    // Without that one the merge itself is a change, and what it brought is not.
    branch(&world, "b", &[("Add b", "b", "x\n")]);
    git(&world.work(), &["checkout", "-q", "b"]);
    world.push_main_from("b", &[("c", "x\n")]);
    push(&world, "b");
    let (_, mr) = world.request_of("b", Mode::Rebase);
    assert_eq!(world.run().unwrap().landed, [mr], "{:#?}", world.lines());
    assert_eq!(shown(&world, "%s", "main"), "Add b", "the merge became empty: {:#?}", world.lines());
    world.is_sound();
}

#[test]
fn what_the_target_has_word_for_word_is_noted_and_makes_no_commit() {
    for mode in [Mode::Squash, Mode::Rebase] {
        let mut world = World::with_gate();
        branch(&world, "a", &[("Same", "same", "x\n")]);
        let tip = world.push_main(&[("same", "x\n")]);
        let (bead, mr) = world.request_of("a", mode);
        assert_eq!(world.run().unwrap().landed, std::slice::from_ref(&mr));
        assert_eq!((world.tip("main"), world.mr(&mr).landed_commit), (tip.clone(), Some(tip)));
        assert_eq!((world.show(&bead).status, world.runs()), (Status::Closed, 0));
    }
}

#[test]
fn a_fast_forward_lands_the_very_commits_and_others_stand_on_them() {
    let mut world = World::with_gate();
    let (_, first, head) = request(&world, "a", Mode::Ff);
    let (_, second, _) = request(&world, "b", Mode::Squash);
    assert_eq!(world.run().unwrap().landed, [first.clone(), second]);
    assert_eq!((world.tip("main~1"), world.mr(&first).landed_commit), (head.clone(), Some(head)));
    assert_eq!(world.runs(), 1);
    world.is_sound();
}

#[test]
fn a_fast_forward_that_does_not_stand_on_the_tip_is_held_and_the_others_land() {
    let mut world = World::with_gate();
    let (_, first, _) = request(&world, "a", Mode::Squash);
    let (_, forward, _) = request(&world, "b", Mode::Ff);
    let (_, third, _) = request(&world, "c", Mode::Squash);
    let drained = world.run().unwrap();
    assert_eq!((drained.landed, drained.held.into_iter().collect::<Vec<_>>()), (vec![first, third], vec![forward.clone()]));
    assert!(world.lines().iter().any(|line| line.contains("what is ahead of it")), "{:#?}", world.lines());
    let reason = world.mr(&forward).held_reason.unwrap();
    assert!(reason.contains("does not descend from the target's tip"), "{reason}");
    // Brought up to date, the same work lands.
    let bead = world.mr(&forward).source_beads[0].clone();
    let head = branch(&world, "b", &[("Anew", "b1", "x\n")]);
    let again =
        world.file(&gastown::ops::refinery::Submission { mode: Some(Mode::Ff), ..World::submission(&bead, "b") }).unwrap();
    assert_eq!((world.run().unwrap().landed, world.tip("main")), (vec![again], head));
    world.is_sound();
}

#[test]
fn the_rigs_mode_counts_unless_a_request_says_otherwise() {
    let mut world = World::with_gate();
    world.set("mq.mode", "merge");
    let (_, mr) = world.request("a", &[("a", "x\n")]);
    branch(&world, "b", &[("Add b", "b", "x\n")]);
    let (_, other) = world.request_of("b", Mode::Squash);
    assert_eq!((world.mr(&mr).mode, world.mr(&other).mode), (Mode::Merge, Mode::Squash));
    assert_eq!(world.run().unwrap().landed, [mr, other]);
    assert_eq!(git(&world.repo(), &["rev-list", "--count", "--merges", "main"]), "1");
}

/// Two requests in `mode` whose queue is killed at the `n`th time of `step`, and worked again.
fn lands_after_a_kill(mode: Mode, step: &str, n: u32, is_remote: bool) {
    let mut world = World::new();
    let origin = is_remote.then(|| world.with_origin());
    let tally = world.tally().display().to_string();
    world.gate("test", &format!("echo >> {tally}; test ! -e bad"));
    let (bead, first, _) = request(&world, "a", mode);
    // The second fast-forward stands on the first.
    let second = if mode == Mode::Ff {
        git(&world.work(), &["checkout", "-q", "-B", "b", "a"]);
        world.commit("Add b", &[("b", "x\n")]);
        push(&world, "b");
        world.request_of("b", mode).1
    } else {
        request(&world, "b", mode).1
    };
    let what = format!("{mode:?} {step}:{n}");
    assert!(run_and_kill(&world, step, n), "{what} was never reached");
    let tallied = world.tallied();
    world.run().unwrap();
    for mr in [&first, &second] {
        assert_eq!(world.mr(mr).state, MrState::Landed, "{what} {:#?}", world.lines());
        let commit = world.mr(mr).landed_commit.unwrap();
        git(&world.repo(), &["merge-base", "--is-ancestor", &commit, "main"]);
    }
    assert_eq!((world.show(&bead).status, world.tallied()), (Status::Closed, tallied.max(1)), "{what}");
    assert_eq!(
        world.files("main").iter().filter(|file| file.starts_with(['a', 'b'])).count(),
        if mode == Mode::Ff { 3 } else { 4 }
    );
    // What landed is the commit that was gated, made once more by another process.
    let runs = world.rig().ledger.state().unwrap().gate_runs().unwrap();
    assert!(runs.iter().all(|run| run.commit == world.tip("main")), "{what}");
    if let Some(origin) = origin {
        assert_eq!(git(&origin, &["rev-parse", "main"]), world.tip("main"), "{what}");
        git(&origin, &["fsck", "--strict"]);
    }
    world.is_sound();
}

#[test]
fn a_landing_in_any_mode_killed_at_any_step_is_finished_by_the_next_run() {
    for mode in MODES {
        for step in ["land.gated", "land.pinned", "land.intent", "land.checked", "land.moved", "land.recorded"] {
            lands_after_a_kill(mode, step, 1, false);
        }
    }
}

#[test]
fn a_landing_in_any_mode_on_a_remote_killed_around_its_push_is_finished_by_the_next_run() {
    for mode in MODES {
        for step in ["land.checked", "land.pushed", "land.moved"] {
            lands_after_a_kill(mode, step, 1, true);
        }
    }
}
