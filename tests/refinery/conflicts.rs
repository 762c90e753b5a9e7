//! What conflicts with the target where a task is filed for it: given to an idle polecat, and delivered with it.

use std::path::PathBuf;

use serde_json::Value;

use crate::town::{Rig, Town, text_at};

/// A town whose gate is red on a file named `bad`, with conflicts solved by tasks and nobody started.
fn town() -> (Town, Rig) {
    let (town, rig) = Town::with_rig();
    town.gt("config unset agent.command --rig widgets").succeeds();
    town.gt("config set gates.test.command 'test ! -e bad' --rig widgets").succeeds();
    town.gt("config set mq.on_conflict auto_rebase --rig widgets").succeeds();
    (town, rig)
}

fn sandbox(town: &Town, name: &str) -> PathBuf {
    town.root.join("widgets/polecats").join(name)
}

/// A commit of `files` in the sandbox `name`, handed in.
fn hand_in(town: &Town, name: &str, files: &[(&str, &str)]) {
    let dir = sandbox(town, name);
    for (path, text) in files {
        std::fs::write(dir.join(path), text).unwrap();
    }
    town.git(&dir, &["add", "-A"]);
    town.git(&dir, &["commit", "-q", "-m", &format!("Work of {name}")]);
    town.as_agent(&format!("widgets/polecats/{name}")).gt("done").succeeds();
}

/// A bead that `name` works on and hands in with `text` as README.md.
fn work(town: &Town, rig: &Rig, name: &str, text: &str) -> String {
    let bead = town.bead(rig, &format!("Work of {name}"));
    town.gt_args(&["sling", &bead, &format!("widgets/polecats/{name}"), "--no-start"]).succeeds();
    hand_in(town, name, &[("README.md", text)]);
    bead
}

/// Works the queue; what it told.
fn run(town: &Town) -> String {
    town.gt("mq run --once --rig widgets").succeeds().stdout
}

/// What hangs on the hook of `name`.
fn hooked(town: &Town, name: &str) -> String {
    let hook = town.as_agent(&format!("widgets/polecats/{name}")).gt("--json hook").json();
    text_at(&hook, &["/hook/bead"])
}

/// The conflict of nux's work after toast's landed: their beads, the request that was sent back, and its task.
fn conflict(town: &Town, rig: &Rig) -> (String, String, String) {
    work(town, rig, "toast", "# by toast\n");
    let bead = work(town, rig, "nux", "# by nux\n");
    let told = run(town);
    assert!(told.contains("is to solve it") && told.contains("to widgets/polecats/nux"), "{told}");
    let task = hooked(town, "nux");
    let mr = text_at(&town.show(&bead), &["/last_failure"]);
    (bead, mr, task)
}

/// Merges the pinned head in the sandbox of `name`, solves the conflict with `text`, and hands it in.
fn solve(town: &Town, name: &str, mr: &str, files: &[(&str, &str)]) {
    let merge = town.command("git", &sandbox(town, name)).args(["merge", "-q", &format!("refs/gt/mr/{mr}")]).output().unwrap();
    assert!(!merge.status.success(), "there was no conflict");
    hand_in(town, name, files);
}

fn sources(town: &Town, of: &str) -> Vec<String> {
    let rows = town.gt("mq list --rig widgets --all --json").json();
    let row = rows.as_array().unwrap().iter().find(|row| row["id"] == of).unwrap().clone();
    let beads = row["beads"].as_array().or(row["source_beads"].as_array()).unwrap().clone();
    beads.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn a_conflict_becomes_a_task_of_an_idle_polecat_whose_work_delivers_both() {
    let (town, rig) = town();
    let (bead, mr, task) = conflict(&town, &rig);
    let shown = town.show(&task);
    assert_eq!(text_at(&shown, &["/status"]), "hooked");
    let description = text_at(&shown, &["/description"]);
    assert!(description.contains(&format!("git merge refs/gt/mr/{mr}")) && description.contains("README.md"), "{description}");
    assert_eq!(town.status(&bead), "open");
    assert!(!town.gt("ready --rig widgets").succeeds().stdout.contains(&bead), "its work waits for the task");
    assert!(town.gt_args(&["sling", &bead, "widgets", "--no-start"]).fails_with(4).stderr.contains(&task));
    let mail = town.as_agent("widgets/polecats/nux").gt("mail inbox --json").succeeds().stdout;
    assert!(mail.contains("REWORK_REQUEST") && mail.contains(&task), "{mail}");
    let prime = town.as_agent("widgets/polecats/nux").gt("prime").succeeds().stdout;
    assert!(prime.contains(&format!("refs/gt/mr/{mr}")), "{prime}");
    solve(&town, "nux", &mr, &[("README.md", "# by toast and nux\n")]);
    let told = run(&town);
    assert!(told.contains("1 landed, 0 sent back"), "{told}");
    assert_eq!((town.status(&bead), town.status(&task)), ("closed".into(), "closed".into()));
    let repo = rig.dir.join(".repo.git");
    assert_eq!(town.git(&repo, &["show", "main:README.md"]), "# by toast and nux");
    town.fsck();
}

#[test]
fn a_solution_that_fails_or_conflicts_again_gives_the_same_task_back() {
    let (town, rig) = town();
    let (bead, mr, task) = conflict(&town, &rig);
    solve(&town, "nux", &mr, &[("README.md", "# both\n"), ("bad", "x\n")]);
    assert_eq!((town.status(&bead), town.status(&task)), ("in_review".into(), "in_review".into()));
    let told = run(&town);
    assert!(told.contains("0 landed, 1 sent back"), "{told}");
    assert_eq!(town.status(&bead), "open");
    assert_eq!(hooked(&town, "nux"), task, "it is given again at once");
    solve(&town, "nux", &mr, &[("README.md", "# both\n")]);
    work(&town, &rig, "toast", "# by toast again\n");
    town.gt_args(&["bead", "update", &task, "--priority", "4"]).succeeds();
    let told = run(&town);
    assert!(told.contains("1 landed, 1 sent back") && !told.contains("is to solve it"), "{told}");
    let last = text_at(&town.show(&task), &["/last_failure"]);
    assert_eq!(sources(&town, &last), [task.clone(), bead.clone()]);
    assert_eq!((town.status(&bead), town.status(&task)), ("open".into(), "hooked".into()));
    town.gt_args(&["unsling", &task]).succeeds();
    assert!(!run(&town).contains("slung"), "what came back three times is left to people");
    assert_eq!(town.status(&task), "open");
    town.fsck();
}

#[test]
fn a_task_whose_work_was_delivered_otherwise_is_closed() {
    let (town, rig) = town();
    let (bead, _, task) = conflict(&town, &rig);
    town.gt_args(&["unsling", &task]).succeeds();
    town.gt_args(&["close", &bead, "--reason", "done by hand"]).succeeds();
    run(&town);
    assert_eq!(town.status(&task), "closed");
}

#[test]
fn with_nobody_idle_the_task_is_ready_until_somebody_is() {
    let (town, rig) = town();
    work(&town, &rig, "toast", "# by toast\n");
    work(&town, &rig, "nux", "# by nux\n");
    for name in ["toast", "nux"] {
        let other = town.bead(&rig, "Something else");
        town.gt_args(&["sling", &other, &format!("widgets/polecats/{name}"), "--no-start"]).succeeds();
    }
    let told = run(&town);
    assert!(told.contains("is to solve it") && !told.contains("to widgets/polecats"), "{told}");
    assert!(town.gt("ready --rig widgets").succeeds().stdout.contains("Resolve conflict: Work of nux"));
    hand_in(&town, "toast", &[("other.txt", "x\n")]);
    let told = run(&town);
    assert!(told.contains("to widgets/polecats/toast"), "{told}");
    assert!(!run(&town).contains("to widgets/polecats"), "it is given once");
}

#[test]
fn unless_it_is_asked_for_a_conflict_makes_no_task() {
    let (town, rig) = town();
    town.gt("config unset mq.on_conflict --rig widgets").succeeds();
    work(&town, &rig, "toast", "# by toast\n");
    let bead = work(&town, &rig, "nux", "# by nux\n");
    let told = run(&town);
    assert!(told.contains("1 landed, 1 sent back") && !told.contains("is to solve it"), "{told}");
    assert!(town.gt("ready --rig widgets").succeeds().stdout.contains(&bead));
}
