//! Slinging, unslinging and nuking where something stands in the way, or somebody else is at it.

use crate::town::{Town, text_at};

/// The rig's sandbox `name`.
fn sandbox(town: &Town, name: &str) -> std::path::PathBuf {
    town.root.join("widgets/polecats").join(name)
}

#[test]
fn a_sandbox_that_a_killed_sling_had_only_begun_is_made_anew() {
    let (town, rig) = Town::with_rig();
    for left in [&[][..], &["gitdir: /nowhere/worktrees/furiosa\n"]] {
        let dir = sandbox(&town, "furiosa");
        std::fs::create_dir_all(&dir).unwrap();
        for text in left {
            std::fs::write(dir.join(".git"), text).unwrap();
        }
        let bead = town.bead(&rig, "Work");
        town.gt_args(&["sling", &bead, "widgets", "--no-start"]).succeeds();
        assert_eq!(text_at(&town.show(&bead), &["/assignee"]), "widgets/polecats/furiosa");
        assert!(dir.join("README.md").is_file());
        town.gt("polecat nuke widgets/furiosa --force").succeeds();
        assert!(!dir.exists() && town.status(&bead) == "open");
    }
    town.fsck();
}

#[test]
fn what_is_no_sandbox_is_neither_used_nor_removed_and_keeps_no_work_on_a_hook() {
    let (town, rig) = Town::with_rig();
    let dir = sandbox(&town, "furiosa");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("mine.txt"), "precious").unwrap();
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["sling", &bead, "widgets/polecats/furiosa", "--no-start"]).fails_with(4);
    town.gt_args(&["sling", &bead, "widgets", "--no-start"]).succeeds();
    assert_eq!(text_at(&town.show(&bead), &["/assignee"]), "widgets/polecats/nux");
    let gone = sandbox(&town, "nux");
    std::fs::rename(&gone, town.base().join("away")).unwrap();
    std::fs::create_dir(&gone).unwrap();
    std::fs::write(gone.join("other.txt"), "precious too").unwrap();
    town.gt_args(&["unsling", &bead]).succeeds();
    assert_eq!(town.status(&bead), "open");
    assert!(dir.join("mine.txt").is_file() && gone.join("other.txt").is_file());
}

#[test]
fn work_whose_sandbox_is_gone_is_given_back_and_slung_anew() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["sling", &bead, "widgets", "--no-start"]).succeeds();
    std::fs::remove_dir_all(sandbox(&town, "furiosa")).unwrap();
    let again = town.gt_args(&["sling", &bead, "widgets"]).fails_with(3);
    assert!(again.stderr.contains("gt unsling"), "{}", again.stderr);
    town.gt_args(&["unsling", &bead]).succeeds();
    town.gt_args(&["sling", &bead, "widgets", "--no-start"]).succeeds();
    assert!(sandbox(&town, "furiosa").join("README.md").is_file());
}

#[test]
fn a_worker_takes_no_gate_away_and_lets_nothing_land_without_one() {
    let (town, _rig) = Town::with_rig();
    town.gt("config set gates.test.command 'sh check.sh' --rig widgets").succeeds();
    let worker = town.as_agent("widgets/polecats/toast");
    for line in [
        "config unset gates.test.command --rig widgets",
        "config set gates.require false --rig widgets",
        "config set gates.test.timeout 1ms --rig widgets",
    ] {
        worker.gt(line).fails_with(4);
    }
    town.gt("config unset gates.test.command --rig widgets").succeeds();
}

#[test]
fn a_town_that_came_with_a_project_is_not_taken_for_ours() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["sling", &bead, "widgets", "--no-start"]).succeeds();
    let fake = sandbox(&town, "furiosa");
    std::fs::create_dir_all(fake.join("mayor")).unwrap();
    std::fs::create_dir_all(fake.join(".repo.git/objects")).unwrap();
    std::fs::write(fake.join("mayor/town.json"), "{}").unwrap();
    let hook = town.from(fake.join("mayor")).gt("--json hook").json();
    assert_eq!(text_at(&hook, &["/hook/bead"]), bead);
}

#[test]
fn from_a_directory_that_is_no_rig_the_only_rig_is_meant() {
    let (town, _rig) = Town::with_rig();
    town.from(town.root.join("mayor")).gt("mq list").succeeds();
}

#[test]
fn a_commit_in_a_reading_worktree_is_not_moved_away() {
    let (town, rig) = Town::with_rig();
    town.gt("config set gates.require false --rig widgets").succeeds();
    let (mayor, refinery) = (rig.dir.join("mayor/rig"), rig.dir.join("refinery/rig"));
    std::fs::write(mayor.join("plan.txt"), "thoughts\n").unwrap();
    town.git(&mayor, &["add", "plan.txt"]);
    town.git(&mayor, &["commit", "-q", "-m", "Think"]);
    let thought = town.git(&mayor, &["rev-parse", "HEAD"]);
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["sling", &bead, "widgets/polecats/toast", "--no-start"]).succeeds();
    let sandbox = sandbox(&town, "toast");
    std::fs::write(sandbox.join("new.txt"), "work\n").unwrap();
    town.git(&sandbox, &["add", "-A"]);
    town.git(&sandbox, &["commit", "-q", "-m", "Work"]);
    town.as_agent("widgets/polecats/toast").gt("done").succeeds();
    town.gt("mq run --once --rig widgets").succeeds();
    assert_eq!(town.status(&bead), "closed");
    assert_eq!(town.git(&mayor, &["rev-parse", "HEAD"]), thought);
    assert!(refinery.join("new.txt").is_file());
}

#[test]
fn a_branch_on_somebodys_hook_is_not_submitted_past_its_worker() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["sling", &bead, "widgets/polecats/toast", "--no-start"]).succeeds();
    let sandbox = sandbox(&town, "toast");
    std::fs::write(sandbox.join("new.txt"), "work\n").unwrap();
    town.git(&sandbox, &["add", "-A"]);
    town.git(&sandbox, &["commit", "-q", "-m", "Work"]);
    let branch = town.git(&sandbox, &["symbolic-ref", "--short", "HEAD"]);
    let refused = town.gt_args(&["mq", "submit", &bead, &branch]).fails_with(4);
    assert!(refused.stderr.contains("gt unsling"), "{}", refused.stderr);
    let repo = rig.dir.join(".repo.git");
    assert_eq!(town.git(&repo, &["for-each-ref", "refs/gt/mr"]), "", "a refused request left its pin");
    town.as_agent("widgets/polecats/toast").args(&["mq", "submit", &bead, &branch]).succeeds();
    town.as_agent("widgets/polecats/toast").gt("hook").ends_with(1);
    assert_eq!(town.status(&bead), "in_review");
}
