//! What a sandbox is given besides the project's files: overlay, `.worktreeinclude`, setup scripts, a slot.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::town::{Rig, Town};

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn script(rig: &Rig, name: &str, text: &str) {
    let path = rig.dir.join("setup.d").join(name);
    write(&path, &format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// Slings a new bead to toast without a session; what gt said.
fn sling(town: &Town, rig: &Rig) -> String {
    let bead = town.bead(rig, "Work");
    town.gt_args(&["sling", &bead, "widgets/polecats/toast", "--no-start"]).succeeds().stdout
}

/// A commit on the project's main branch, seen by the rig's own target.
fn commit(town: &Town, rig: &Rig, path: &str, text: &str) {
    let work = town.base().join("widgets-work");
    write(&work.join(path), text);
    town.git(&work, &["add", "-A"]);
    town.git(&work, &["commit", "-q", "-m", "More"]);
    town.git(&work, &["push", "-q", rig.origin.to_str().unwrap(), "main"]);
    town.git(&rig.dir.join(".repo.git"), &["fetch", "-q", rig.origin.to_str().unwrap(), "+main:main"]);
}

#[test]
fn overlay_files_lie_in_a_fresh_sandbox_and_are_nobodys_work() {
    let (town, rig) = Town::with_rig();
    write(&rig.dir.join("overlay/.env"), "KEY=1\n");
    write(&rig.dir.join("overlay/conf/local.toml"), "a = 1\n");
    write(&rig.dir.join("overlay/README.md"), "not the project's\n");
    let said = sling(&town, &rig);
    assert!(said.contains("README.md (the project has a file of its own there)"), "{said}");
    let sandbox = rig.dir.join("polecats/toast");
    assert_eq!(std::fs::read_to_string(sandbox.join(".env")).unwrap(), "KEY=1\n");
    assert_eq!(std::fs::read_to_string(sandbox.join("README.md")).unwrap(), "# widgets\n");
    assert_eq!(town.git(&sandbox, &["status", "--porcelain"]).trim(), "");

    write(&sandbox.join("new.txt"), "new\n");
    town.as_agent("widgets/polecats/toast").gt("done --commit --message New").succeeds();
    let files = town.git(&sandbox, &["ls-tree", "-r", "--name-only", "HEAD"]);
    assert!(files.contains("new.txt") && !files.contains(".env") && !files.contains("local.toml"), "{files}");
    let said = town.gt("polecat nuke widgets/toast").succeeds().stdout;
    assert!(!said.contains("refs/gt/salvage"), "the outfit is no unsaved work: {said}");
}

#[test]
fn a_changed_overlay_file_is_work_and_the_next_sling_lays_the_new_ones() {
    let (town, rig) = Town::with_rig();
    write(&rig.dir.join("overlay/.env"), "KEY=1\n");
    write(&rig.dir.join("overlay/old.txt"), "old\n");
    sling(&town, &rig);
    let sandbox = rig.dir.join("polecats/toast");
    write(&sandbox.join(".env"), "KEY=mine\n");
    town.as_agent("widgets/polecats/toast").gt("done --status released --message 'no time'").succeeds();
    std::fs::remove_file(rig.dir.join("overlay/old.txt")).unwrap();
    write(&rig.dir.join("overlay/.env"), "KEY=2\n");
    sling(&town, &rig);
    assert_eq!(std::fs::read_to_string(sandbox.join(".env")).unwrap(), "KEY=2\n");
    assert!(!sandbox.join("old.txt").exists());
    let shown = town.gt("salvage show toast --rig widgets").succeeds().stdout;
    assert!(shown.contains(".env") && !shown.contains("old.txt"), "{shown}");
}

#[test]
fn the_project_names_ignored_files_to_be_copied_and_no_others() {
    let (town, rig) = Town::with_rig();
    commit(&town, &rig, ".gitignore", ".env*\nbuild/\nsecrets/\n");
    commit(&town, &rig, ".worktreeinclude", "# for agents\n.env*\n!.env.test\nsecrets/\nloose.txt\nREADME.md\n");
    let reading = rig.dir.join("mayor/rig");
    town.git(&reading, &["checkout", "-q", "--detach", "main"]);
    for path in [".env.local", ".env.test", "secrets/a/key", "build/big.o", "loose.txt"] {
        write(&reading.join(path), path);
    }
    std::os::unix::fs::symlink("/etc/hostname", reading.join("secrets/out")).unwrap();
    let said = sling(&town, &rig);
    assert!(said.contains("secrets/out (a link that leads out)"), "{said}");
    let sandbox = rig.dir.join("polecats/toast");
    assert_eq!(std::fs::read_to_string(sandbox.join("secrets/a/key")).unwrap(), "secrets/a/key");
    assert!(sandbox.join(".env.local").exists());
    for path in [".env.test", "build/big.o", "loose.txt", "secrets/out"] {
        assert!(sandbox.join(path).symlink_metadata().is_err(), "{path}");
    }
    assert_eq!(town.git(&sandbox, &["status", "--porcelain"]).trim(), "");
}

#[test]
fn nothing_is_laid_through_a_link_of_the_project() {
    let (town, rig) = Town::with_rig();
    let outside = town.base().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let work = town.base().join("widgets-work");
    std::os::unix::fs::symlink(&outside, work.join("conf")).unwrap();
    commit(&town, &rig, "more.txt", "more\n");
    write(&rig.dir.join("overlay/conf/local.toml"), "a = 1\n");
    let said = sling(&town, &rig);
    assert!(said.contains("conf/local.toml (a link, file or directory is in its way)"), "{said}");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn setup_scripts_run_in_order_once_and_only_when_trusted() {
    let (town, rig) = Town::with_rig();
    let told = town.base().join("told");
    script(&rig, "20-second", &format!("echo second $GT_SLOT $GT_POLECAT >>{}", told.display()));
    script(&rig, "10-first", &format!("echo first $PWD >>{}", told.display()));
    write(&rig.dir.join("setup.d/notes.txt"), "no program\n");
    let said = sling(&town, &rig);
    assert!(said.contains("gt trust setup.d/10-first --rig widgets") && !told.exists(), "{said}");
    town.as_agent("widgets/polecats/toast").gt("trust --all").fails_with(4);
    town.gt("trust setup.d/10-first --rig widgets").succeeds();
    town.gt("trust setup.d/20-second --rig widgets").succeeds();
    for _ in 0..2 {
        town.as_agent("widgets/polecats/toast").gt("done --status released --message again").succeeds();
        assert!(!sling(&town, &rig).contains("warning"));
    }
    let sandbox = rig.dir.join("polecats/toast");
    let lines = format!("first {}\nsecond 1 toast\n", sandbox.display());
    assert_eq!(std::fs::read_to_string(&told).unwrap(), lines, "each ran once, in order, in the sandbox");
    script(&rig, "10-first", "exit 3");
    town.as_agent("widgets/polecats/toast").gt("done --status released --message again").succeeds();
    assert!(sling(&town, &rig).contains("gt trust setup.d/10-first"), "a changed script is another one");
    town.gt("trust setup.d/10-first --rig widgets").succeeds();
    town.as_agent("widgets/polecats/toast").gt("done --status released --message again").succeeds();
    let said = sling(&town, &rig);
    assert!(said.contains("setup.d/10-first ended with code 3") && said.contains("slung"), "{said}");
}

#[test]
fn sessions_have_slots_of_their_own_that_outlive_a_kill_and_end_with_the_sandbox() {
    let (town, rig) = Town::with_rig();
    let told = town.base().join("slots");
    std::fs::create_dir(&told).unwrap();
    let command = format!("echo $GT_SLOT >{}/$GT_POLECAT; sleep 60", told.display());
    town.gt_args(&["config", "set", "agent.command", &command, "--rig", "widgets"]).succeeds();
    let slot = |name: &str| {
        town.until("the session tells its slot", || {
            std::fs::read_to_string(told.join(name)).is_ok_and(|text| text.ends_with('\n'))
        });
        std::fs::read_to_string(told.join(name)).unwrap().trim().to_owned()
    };
    let start = |name: &str| {
        let bead = town.bead(&rig, "Work");
        let _ = std::fs::remove_file(told.join(name));
        town.gt_args(&["sling", &bead, &format!("widgets/polecats/{name}")]).succeeds();
        (bead, slot(name))
    };
    let (bead, toast) = start("toast");
    assert_eq!((toast.as_str(), start("nux").1.as_str()), ("1", "2"));
    // A restart keeps it.
    town.gt("session stop widgets/toast").succeeds();
    std::fs::remove_file(told.join("toast")).unwrap();
    town.gt_args(&["sling", &bead, "widgets/polecats/toast"]).succeeds();
    assert_eq!(slot("toast"), "1");
    town.gt("polecat nuke widgets/toast --force").succeeds();
    assert_eq!(start("slit").1, "1", "the slot of a sandbox that is gone is free");
    assert_eq!(start("toast").1, "3");
    for name in ["slit", "toast", "nux"] {
        town.gt_args(&["session", "stop", &format!("widgets/{name}")]).succeeds();
    }
}
