//! Killed at every named step, each time it is reached; the next command repairs, and the story ends right.
//!
//! The steps are read from the sources, so that none is forgotten. One town serves a whole story: what a
//! killed command left is what the next round starts from.

use std::collections::BTreeSet;

use gastown::ledger::Ledger;
use gastown::model::bead::IssueType;
use gastown::model::mail::Letter;
use gastown::model::merge_request::MergeRequest;

use crate::town::{Outcome, Rig, Town, text_at};

/// Steps inside every write: objects staged and put in place, the ledger's commit, the ref that moves.
const WRITING: &[&str] = &["store.staged", "ledger.objects", "store.ref.locked"];
const SLING: &[&str] = &["sling.salvaged", "sling.worktree", "sling.assigned"];
const HAND_IN: &[&str] = &["done.minted", "done.pinned", "done.recorded"];
const RELEASE: &[&str] = &["done.salvaged"];
const NUKE: &[&str] = &["nuke.salvaged"];
const LAND: &[&str] = &["land.gated", "land.pinned", "land.intent", "land.checked", "land.pushed", "land.moved", "land.recorded"];
/// Killed in the tests of the refinery.
const EVICT: &[&str] = &["evict.pinned"];
const FOUND: &[&str] = &["install.mark"];
const ADD_RIG: &[&str] = &["store.pack.synced", "git.clone.filled", "rig.cloned", "rig.laid-out", "rig.registered"];
const POST: &[&str] = &["post.delivered"];
const RESTORE: &[&str] = &["restore.unpacked", "restore.town", "restore.rig", "restore.whole"];

/// More than any command reaches a step.
const TIMES_MAX: u32 = 60;

#[test]
fn no_step_is_forgotten() {
    let mut named = BTreeSet::new();
    for entry in walkdir::WalkDir::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).into_iter().filter_map(Result::ok) {
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        let steps = text.split("crash_point(\"").skip(1).filter_map(|rest| rest.split('"').next());
        named.extend(steps.map(str::to_owned));
    }
    let told = [
        WRITING,
        SLING,
        HAND_IN,
        RELEASE,
        NUKE,
        LAND,
        EVICT,
        FOUND,
        ADD_RIG,
        POST,
        RESTORE,
        crate::machines::SYNC,
        crate::moved::STEPS,
        crate::archive::STEPS,
        crate::control::STEPS,
        crate::convoys::STEPS,
        crate::crew::STEPS,
        crate::copies::STEPS,
        crate::flatten::FLATTEN,
        crate::handoffs::STEPS,
        crate::partial::STEPS,
        crate::passing::STEPS,
        crate::past::STEPS,
        crate::refinery::integrations::STEPS,
        crate::refinery::pulls::STEPS,
        crate::refinery::reverts::STEPS,
        crate::ways::STEPS,
    ]
    .concat();
    let told: BTreeSet<String> = told.into_iter().map(str::to_owned).collect();
    assert_eq!(named, told, "steps in src and steps killed here differ");
}

/// Kills `run` at every time it reaches each of `own` and [`WRITING`]; `prepare` makes what it is about and
/// `check` runs what repairs and sees that all is well.
fn killed_at_each<T>(own: &[&str], prepare: impl Fn() -> T, run: impl Fn(&T, &str) -> Outcome, check: impl Fn(&T)) {
    for step in own.iter().chain(WRITING) {
        for time in 1..=TIMES_MAX {
            let subject = prepare();
            let outcome = run(&subject, &format!("{step}:{time}"));
            let was_killed = outcome.code == -1;
            assert!(was_killed || time > 1, "{} never reaches {step}\n{}{}", outcome.line, outcome.stdout, outcome.stderr);
            if !was_killed {
                outcome.succeeds();
            }
            check(&subject);
            if !was_killed {
                break;
            }
            assert!(time < TIMES_MAX, "{step} is reached without end");
        }
    }
}

/// Slings to the one polecat `toast`, whose sandbox holds something unsaved from before.
fn leave_dirt(town: &Town) {
    let sandbox = town.root.join("widgets/polecats/toast");
    if sandbox.is_dir() {
        std::fs::write(sandbox.join("unsaved.txt"), "precious\n").unwrap();
    }
}

fn salvaged(town: &Town, rig: &Rig) -> usize {
    town.git(&rig.dir.join(".repo.git"), &["for-each-ref", "--format=%(refname)", "refs/gt/salvage"]).lines().count()
}

/// Toast commits a file of its own and hands it in.
fn hand_in(town: &Town, bead: &str) {
    commit(town, bead);
    town.as_agent("widgets/polecats/toast").gt("done").succeeds();
}

fn commit(town: &Town, bead: &str) {
    let sandbox = town.root.join("widgets/polecats/toast");
    std::fs::write(sandbox.join(format!("{bead}.txt")), "work\n").unwrap();
    town.git(&sandbox, &["add", "-A"]);
    town.git(&sandbox, &["commit", "-q", "-m", &format!("Work on {bead}")]);
}

fn assigned(town: &Town, rig: &Rig, title: &str) -> String {
    let bead = town.bead(rig, title);
    town.gt_args(&["sling", &bead, "widgets/polecats/toast", "--no-start"]).succeeds();
    bead
}

/// The merge requests of `bead`.
fn requests_of(rig: &Rig, bead: &str) -> Vec<MergeRequest> {
    let ledger = Ledger::open(&rig.dir.join(".repo.git"), "looker").unwrap();
    let requests = ledger.state().unwrap().beads_of(&IssueType::MergeRequest).unwrap();
    let all = requests.iter().map(|request| MergeRequest::of(request).unwrap());
    all.filter(|request| request.source_beads.iter().any(|source| source.as_str() == bead)).collect()
}

#[test]
fn a_sling_that_is_killed_is_finished_by_the_next() {
    let (town, rig) = Town::with_rig();
    hand_in(&town, &assigned(&town, &rig, "First"));
    let prepare = || {
        leave_dirt(&town);
        (town.bead(&rig, "Work"), salvaged(&town, &rig))
    };
    let sling = |bead: &str| ["sling".to_owned(), bead.to_owned(), "widgets/polecats/toast".to_owned(), "--no-start".to_owned()];
    let run = |(bead, _): &(String, usize), step: &str| {
        town.here().var("GT_CRASH_AT", step).args(&sling(bead).each_ref().map(String::as_str))
    };
    killed_at_each(SLING, prepare, run, |(bead, salvages)| {
        town.gt_args(&sling(bead).each_ref().map(String::as_str)).succeeds();
        assert_eq!(town.status(bead), "hooked");
        let hook = town.as_agent("widgets/polecats/toast").gt("--json hook").json();
        assert_eq!(text_at(&hook, &["/hook/bead"]), *bead);
        assert!(salvaged(&town, &rig) > *salvages, "the unsaved file of before is lost");
        // Until the end of the story, so that the sandbox is idle again.
        hand_in(&town, bead);
        assert_eq!(requests_of(&rig, bead).len(), 1);
    });
    town.fsck();
}

#[test]
fn a_done_that_is_killed_hands_in_once() {
    let (town, rig) = Town::with_rig();
    let prepare = || {
        let bead = assigned(&town, &rig, "Work");
        commit(&town, &bead);
        bead
    };
    let run = |_: &String, step: &str| town.as_agent("widgets/polecats/toast").var("GT_CRASH_AT", step).gt("done");
    killed_at_each(HAND_IN, prepare, run, |bead| {
        // When the kill came after the record, there is nothing on the hook any more, and that is said.
        let again = town.as_agent("widgets/polecats/toast").gt("done");
        assert!([0, 4].contains(&again.code), "{}{}", again.stdout, again.stderr);
        assert_eq!(town.status(bead), "in_review");
        town.as_agent("widgets/polecats/toast").gt("hook").ends_with(1);
        assert_eq!(requests_of(&rig, bead).len(), 1, "handed in more than once");
    });
    let pins = town.git(&rig.dir.join(".repo.git"), &["for-each-ref", "--format=%(refname)", "refs/gt/mr"]);
    for pin in pins.lines() {
        town.gt_args(&["bead", "show", pin.rsplit('/').next().unwrap()]).succeeds();
    }
    town.fsck();
}

#[test]
fn a_release_that_is_killed_keeps_the_unsaved_work() {
    let (town, rig) = Town::with_rig();
    let prepare = || {
        let bead = assigned(&town, &rig, "Work");
        leave_dirt(&town);
        bead
    };
    let release = "done --status released --message 'too hard'";
    let run = |_: &String, step: &str| town.as_agent("widgets/polecats/toast").var("GT_CRASH_AT", step).gt(release);
    killed_at_each(RELEASE, prepare, run, |bead| {
        let again = town.as_agent("widgets/polecats/toast").gt(release);
        assert!([0, 4].contains(&again.code), "{}{}", again.stdout, again.stderr);
        assert_eq!(town.status(bead), "open");
        town.as_agent("widgets/polecats/toast").gt("hook").ends_with(1);
        assert!(salvaged(&town, &rig) > 0);
    });
}

#[test]
fn a_nuke_that_is_killed_keeps_the_unsaved_work() {
    let (town, rig) = Town::with_rig();
    let prepare = || {
        let bead = assigned(&town, &rig, "Work");
        leave_dirt(&town);
        (bead, salvaged(&town, &rig))
    };
    let nuke = "polecat nuke widgets/toast --force";
    killed_at_each(
        NUKE,
        prepare,
        |_, step| town.here().var("GT_CRASH_AT", step).gt(nuke),
        |(bead, salvages)| {
            town.gt(nuke).succeeds();
            assert_eq!(town.status(bead), "open");
            assert!(!town.root.join("widgets/polecats/toast").exists() && salvaged(&town, &rig) > *salvages);
        },
    );
    town.fsck();
}

#[test]
fn a_landing_that_is_killed_lands_once() {
    let (town, rig) = Town::with_rig();
    town.gt("config set gates.test.command 'sh check.sh' --rig widgets").succeeds();
    let prepare = || {
        let bead = assigned(&town, &rig, "Work");
        hand_in(&town, &bead);
        bead
    };
    let run = |_: &String, step: &str| town.here().var("GT_CRASH_AT", step).gt("mq run --once --rig widgets");
    killed_at_each(LAND, prepare, run, |bead| {
        town.gt("mq run --once --rig widgets").succeeds();
        assert_eq!(town.status(bead), "closed");
        let log = town.git(&rig.origin, &["log", "--format=%s", "main"]);
        assert_eq!(log.matches(&format!("Work on {bead}")).count(), 1, "{log}");
        let ours = town.git(&rig.dir.join(".repo.git"), &["rev-parse", "refs/heads/main"]);
        assert_eq!(town.git(&rig.origin, &["rev-parse", "main"]), ours);
        let pins = town.git(&rig.dir.join(".repo.git"), &["for-each-ref", "--format=%(refname)", "refs/gt/landing"]);
        assert_eq!(pins, "", "a landing's pin is left over");
    });
    town.fsck();
}

#[test]
fn a_founding_that_is_killed_can_be_tried_again() {
    let town = crate::town::place();
    let root = town.root.display().to_string();
    let install = ["install", root.as_str(), "--name", "ours", "--owner", "owner@example.org"];
    killed_at_each(
        FOUND,
        || {
            let _ = std::fs::remove_dir_all(&town.root);
        },
        |(), step| town.from(town.base()).var("GT_CRASH_AT", step).args(&install),
        |()| {
            town.from(town.base()).args(&install).succeeds();
            town.gt("bead create 'First'").succeeds();
        },
    );
    town.fsck();
}

#[test]
fn a_rig_whose_adding_was_killed_can_be_added_again() {
    let town = Town::new();
    let count = std::cell::Cell::new(0);
    let prepare = || {
        count.set(count.get() + 1);
        let name = format!("rig{}", count.get());
        let origin = town.project_with(&name, 120).display().to_string();
        (name, origin, format!("r{}", count.get()))
    };
    let add = |(name, origin, prefix): &(String, String, String), step: &str| {
        town.here().var("GT_CRASH_AT", step).args(&["rig", "add", name, origin, "--land", "origin", "--prefix", prefix])
    };
    killed_at_each(ADD_RIG, prepare, add, |rig| {
        add(rig, "never").succeeds();
        town.gt_args(&["bead", "create", "First", "--rig", &rig.0]).succeeds();
        assert!(town.gt("rig list").succeeds().stdout.contains(&rig.0));
    });
    town.fsck();
}

#[test]
fn a_letter_to_another_scope_whose_sender_was_killed_arrives_once() {
    let (town, rig) = Town::with_rig();
    let count = std::cell::Cell::new(0);
    let prepare = || {
        count.set(count.get() + 1);
        format!("Letter {}", count.get())
    };
    let send = |subject: &String, step: &str| {
        town.here().var("GT_CRASH_AT", step).args(&["mail", "send", "widgets/witness", "-s", subject, "-m", "text"])
    };
    let ledger = Ledger::open(&rig.dir.join(".repo.git"), "looker").unwrap();
    let arrived = |subject: &String| {
        let (letters, _) = ledger.state().unwrap().all::<Letter>("mail").unwrap();
        letters.iter().filter(|letter| letter.subject == *subject).count()
    };
    killed_at_each(POST, prepare, send, |subject| {
        // Any mail command carries what a dead one left in the outbox.
        town.gt("mail inbox").succeeds();
        if arrived(subject) == 0 {
            // It died before it was posted at all.
            send(subject, "never").succeeds();
        }
        assert_eq!(arrived(subject), 1, "{subject}");
    });
    town.fsck();
}

#[test]
fn founding_a_town_leaves_the_files_that_were_there_alone() {
    let town = crate::town::place();
    let root = town.root.display().to_string();
    std::fs::create_dir_all(town.root.join("mayor")).unwrap();
    std::fs::write(town.root.join("CLAUDE.md"), "mine\n").unwrap();
    std::fs::write(town.root.join("mayor/notes"), "mine too\n").unwrap();
    town.from(town.base()).args(&["install", &root]).fails_with(4);
    assert_eq!(std::fs::read_to_string(town.root.join("mayor/notes")).unwrap(), "mine too\n");
    std::fs::rename(town.root.join("mayor"), town.base().join("elsewhere")).unwrap();
    town.from(town.base()).args(&["install", &root]).succeeds();
    assert_eq!(std::fs::read_to_string(town.root.join("CLAUDE.md")).unwrap(), "mine\n");
}

#[test]
fn a_restore_killed_at_any_step_is_begun_anew() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Kept");
    let file = town.base().join("town.bundle");
    town.gt_args(&["backup", file.to_str().unwrap()]).succeeds();
    for step in RESTORE.iter().chain(WRITING).chain(&["store.ref.locked:2"]) {
        let again = town.beside("again");
        let root = again.root.display().to_string();
        let words = ["restore", file.to_str().unwrap(), "--into", &root];
        assert_eq!(again.from(again.base()).var("GT_CRASH_AT", step).args(&words).code, -1, "{step}");
        if *step == "restore.whole" {
            // The town was whole already; whoever comes next takes the mark of its making away.
            assert!(again.root.join(".restoring").exists());
            again.from(again.base()).args(&words).fails_with(4);
            assert!(!again.root.join(".restoring").exists());
            std::fs::write(again.root.join(".restoring"), "").unwrap();
            let told = again.gt("--json maintain --town").json();
            assert_eq!(told[0]["left_overs"], serde_json::json!([".restoring"]));
            assert!(!again.root.join(".restoring").exists());
        } else {
            again.gt_args(&["status"]).fails_with(3);
            again.from(again.base()).args(&words).succeeds();
        }
        assert_eq!(again.show(&bead)["title"], "Kept", "{step}");
        town.fsck();
        std::fs::remove_dir_all(&again.root).unwrap();
    }
}
