//! Crew: clones with two remotes, what they hold, how they go, work in other rigs, commits under one's own name.

use std::path::{Path, PathBuf};

use crate::town::{Gt, Rig, Town, text_at};

/// Killed here.
pub const STEPS: &[&str] = &["crew.cloned", "crew.salvaged"];

/// A town with the rig widgets and the clone of joe there.
fn with_joe() -> (Town, Rig, PathBuf) {
    let (town, rig) = Town::with_rig();
    town.gt("crew add joe --rig widgets").succeeds();
    let clone = rig.dir.join("crew/joe");
    (town, rig, clone)
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// As joe, at home.
fn joe<'t>(town: &'t Town, clone: &Path) -> Gt<'t> {
    town.from(clone.to_owned()).var("GT_ACTOR", "widgets/crew/joe")
}

#[test]
fn a_clone_has_two_remotes_and_stands_on_its_own() {
    let (town, rig, clone) = with_joe();
    assert_eq!(town.git(&clone, &["remote", "get-url", "origin"]).trim(), rig.origin.to_str().unwrap());
    assert_eq!(town.git(&clone, &["remote", "get-url", "town"]).trim(), rig.dir.join(".repo.git").to_str().unwrap());
    assert_eq!(town.git(&clone, &["status", "--porcelain", "--branch"]).trim(), "## main...origin/main");
    assert!(!clone.join(".git/objects/info/alternates").exists());
    town.git(&clone, &["fsck", "--strict"]);
    // Git in the clone names its owner, unless somebody says otherwise.
    assert_eq!(town.git(&clone, &["config", "user.name"]).trim(), "widgets/crew/joe");
    town.gt("crew add joe --rig widgets").fails_with(5);
    town.gt("crew add Joe --rig widgets").fails_with(2);
    town.gt("crew at nobody --rig widgets").fails_with(3);
    assert!(!rig.dir.join("crew/.adding-joe").exists());
    let at = town.gt("crew at joe --path --rig widgets").succeeds().stdout;
    assert_eq!(at.trim(), clone.to_str().unwrap());
    // An address of its own, for mail and work.
    town.gt("mail send widgets/joe -s Hello -m there").succeeds();
}

#[test]
fn a_clone_that_cannot_be_made_leaves_nothing() {
    let (town, rig) = Town::with_rig();
    std::fs::rename(&rig.origin, rig.origin.with_extension("away")).unwrap();
    town.gt("crew add joe --rig widgets").fails_with(6);
    assert_eq!(std::fs::read_dir(rig.dir.join("crew")).unwrap().count(), 0);
    assert_eq!(town.gt("--json crew list").json(), serde_json::json!([]));
    std::fs::rename(rig.origin.with_extension("away"), &rig.origin).unwrap();
    town.gt("crew add joe max --rig widgets --branch feature").succeeds();
    let listed = town.gt("--json crew list --rig widgets").json();
    assert_eq!(
        (text_at(&listed[1], &["/address"]), text_at(&listed[0], &["/branch"])),
        ("widgets/crew/max".into(), "feature".into())
    );
}

#[test]
fn a_clone_with_work_that_is_nowhere_else_stays_unless_that_is_kept() {
    let (town, rig, clone) = with_joe();
    write(&clone.join("pushed.txt"), "pushed\n");
    town.git(&clone, &["add", "-A"]);
    town.git(&clone, &["commit", "-q", "-m", "Pushed"]);
    town.git(&clone, &["push", "-q", "origin", "main"]);
    write(&clone.join("mine.txt"), "mine\n");
    town.git(&clone, &["checkout", "-q", "-b", "idea"]);
    town.git(&clone, &["add", "-A"]);
    town.git(&clone, &["commit", "-q", "-m", "Idea"]);
    town.git(&clone, &["checkout", "-q", "main"]);
    write(&clone.join("README.md"), "stashed\n");
    town.git(&clone, &["stash", "-q"]);
    write(&clone.join("loose.txt"), "loose\n");
    let refused = town.gt("crew remove joe --rig widgets").fails_with(4);
    for held in ["loose.txt", "idea (1 commit)", "stash"] {
        assert!(refused.stderr.contains(held), "{held}: {}", refused.stderr);
    }
    assert!(!refused.stderr.contains("main ("), "{}", refused.stderr);

    // Killed after the work is kept and before the clone goes, it says the same again.
    town.here().var("GT_CRASH_AT", "crew.salvaged").gt("crew remove joe --rig widgets --force").ends_with(-1);
    assert!(clone.join("loose.txt").exists());
    let said = town.gt("crew remove joe --rig widgets --force").succeeds().stdout;
    assert!(said.contains("refs/gt/salvage/widgets/crew/joe/") && !clone.exists(), "{said}");
    let saved = text_at(&town.gt("--json salvage list --rig widgets").json()[0], &["/commit"]);
    let repo = rig.dir.join(".repo.git");
    assert_eq!(town.git(&repo, &["show", &format!("{saved}:loose.txt")]).trim(), "loose");
    let log = town.git(&repo, &["log", "--format=%s", &saved]);
    assert!(log.contains("Idea") && log.contains("WIP on main"), "{log}");
    town.gt("crew add joe --rig widgets").succeeds();
    town.gt("crew remove joe --rig widgets").succeeds();
    town.fsck();
}

#[test]
fn a_clone_whose_making_was_killed_is_finished_by_the_next_try() {
    let (town, rig) = Town::with_rig();
    town.here().var("GT_CRASH_AT", "crew.cloned").gt("crew add joe --rig widgets").ends_with(-1);
    town.gt("mail send widgets/joe -s Hello -m there").fails_with(3);
    town.gt("crew add joe --rig widgets").succeeds();
    town.gt("mail send widgets/joe -s Hello -m there").succeeds();
    town.gt("crew add joe --rig widgets").fails_with(5);
    // What a kill before that left beside is no clone, and in nobody's way.
    std::fs::create_dir_all(rig.dir.join("crew/.adding-max/.git")).unwrap();
    town.gt("crew add max --rig widgets").succeeds();
    assert!(!rig.dir.join("crew/.adding-max").exists());
}

#[test]
fn refresh_moves_clean_clones_along_and_leaves_others() {
    let (town, rig, clone) = with_joe();
    town.gt("crew add max --rig widgets").succeeds();
    let work = town.base().join("widgets-work");
    write(&work.join("more.txt"), "more\n");
    town.git(&work, &["add", "-A"]);
    town.git(&work, &["commit", "-q", "-m", "More"]);
    town.git(&work, &["push", "-q", rig.origin.to_str().unwrap(), "main"]);
    write(&clone.join("README.md"), "changed\n");
    let pristine = town.gt("crew pristine --rig widgets").ends_with(1).stdout;
    assert!(
        pristine.contains("widgets/crew/joe stays as it is") && pristine.contains("widgets/crew/max is up to date now"),
        "{pristine}"
    );
    assert!(!clone.join("more.txt").exists() && rig.dir.join("crew/max/more.txt").exists());
    town.git(&clone, &["checkout", "-q", "README.md"]);
    town.gt("crew refresh joe --rig widgets").succeeds();
    assert!(clone.join("more.txt").exists());
    town.gt("crew pristine --rig widgets").succeeds();
}

#[test]
fn crew_commits_under_its_own_name_also_in_another_rig() {
    let (town, _rig, clone) = with_joe();
    let other = town.rig("gadgets");
    write(&clone.join("a.txt"), "a\n");
    town.git(&clone, &["add", "-A"]);
    joe(&town, &clone).args(&["commit", "-q", "-m", "At home"]).succeeds();
    let who = |dir: &Path| town.git(dir, &["log", "-1", "--format=%an %ae %cn %s"]).trim().to_owned();
    assert_eq!(who(&clone), "widgets/crew/joe owner@example.org widgets/crew/joe At home");
    joe(&town, &clone).args(&["commit", "-m", "Nothing"]).fails_with(6);

    joe(&town, &clone).gt("worktree widgets").fails_with(4);
    town.gt("worktree gadgets").fails_with(4);
    let said = joe(&town, &clone).gt("worktree gadgets").succeeds().stdout;
    let there = other.dir.join("crew/widgets-joe");
    assert_eq!(said.trim(), there.to_str().unwrap());
    assert_eq!(joe(&town, &clone).gt("worktree gadgets").succeeds().stdout, said, "there already");
    assert_eq!(town.git(&there, &["branch", "--show-current"]).trim(), "crew/widgets-joe");
    // The directory tells who works there.
    assert!(town.from(there.clone()).gt("whoami").succeeds().stdout.contains("widgets/crew/joe"));
    write(&there.join("b.txt"), "b\n");
    town.git(&there, &["add", "-A"]);
    town.from(there.clone()).args(&["commit", "-m", "Abroad"]).succeeds();
    assert_eq!(who(&there), "widgets/crew/joe owner@example.org widgets/crew/joe Abroad");
    let listed = town.gt("--json worktree list").json();
    assert_eq!(
        (text_at(&listed[0], &["/address"]), text_at(&listed[0], &["/rig"])),
        ("widgets/crew/joe".into(), "gadgets".into())
    );

    write(&there.join("c.txt"), "c\n");
    let refused = joe(&town, &clone).gt("worktree remove gadgets").fails_with(4);
    assert!(refused.stderr.contains("c.txt"), "{}", refused.stderr);
    let said = joe(&town, &clone).gt("worktree remove gadgets --force").succeeds().stdout;
    assert!(said.contains("refs/gt/salvage/widgets/crew/joe/") && !there.exists(), "{said}");
    let said = joe(&town, &clone).gt("worktree gadgets").succeeds().stdout;
    assert!(said.contains("crew/widgets-joe") && there.join("b.txt").exists(), "the branch was gone on with");
}

#[test]
fn nothing_is_committed_under_two_names() {
    let (town, rig, clone) = with_joe();
    write(&clone.join("a.txt"), "a\n");
    town.git(&clone, &["add", "-A"]);
    let other = town.from(clone.clone()).var("GT_ACTOR", "widgets/polecats/toast");
    let refused = other.args(&["commit", "-m", "As another"]).fails_with(4);
    assert!(refused.stderr.contains("toast") && refused.stderr.contains("joe"), "{}", refused.stderr);
    assert_eq!(town.git(&clone, &["log", "-1", "--format=%s"]).trim(), "Add a check");
    // Outside of any checkout nothing is found by walking up.
    town.git(&town.root, &["init", "-q"]);
    town.from(rig.dir.clone()).args(&["commit", "--allow-empty", "-m", "Nowhere"]).fails_with(4);
}

#[test]
fn a_session_of_crew_runs_in_its_clone_under_its_name() {
    let (town, _rig, clone) = with_joe();
    let command = "echo $GT_CREW $GT_SLOT $GIT_AUTHOR_NAME $PWD >told.tmp; mv told.tmp told; sleep 60";
    town.gt_args(&["config", "set", "agent.command", command, "--rig", "widgets"]).succeeds();
    town.gt("crew start joe --rig widgets").succeeds();
    town.until("the session tells who it is", || clone.join("told").exists());
    let told = std::fs::read_to_string(clone.join("told")).unwrap();
    assert_eq!(told.trim(), format!("joe 1 widgets/crew/joe {}", clone.display()));
    town.gt("crew remove joe --rig widgets --force").fails_with(5);
    town.gt("crew stop joe --rig widgets").succeeds();
    town.gt("crew stop joe --rig widgets").succeeds();
    assert!(!town.has_session("widgets/crew/joe"));
}
