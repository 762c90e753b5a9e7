//! Polecats from the command line: names, limits, what a sandbox holds, and how idle ones go.

use std::path::Path;

use serde_json::Value;

use crate::town::{Rig, Town, text_at};

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Slings a new bead to the rig without a session; who got it.
fn sling(town: &Town, rig: &Rig) -> String {
    let bead = town.bead(rig, "Work");
    text_at(&town.gt_args(&["--json", "sling", &bead, "widgets", "--no-start"]).json(), &["/agent"])
}

fn release(town: &Town, agent: &str) {
    town.as_agent(agent).gt("done --status released --message 'no time'").succeeds();
}

#[test]
fn names_come_from_the_theme_and_idle_ones_of_another_theme_are_used_first() {
    let (town, rig) = Town::with_rig();
    assert_eq!(sling(&town, &rig), "widgets/polecats/furiosa");
    town.gt("namepool set minerals --rig widgets").succeeds();
    assert_eq!(sling(&town, &rig), "widgets/polecats/quartz");
    release(&town, "widgets/polecats/furiosa");
    assert_eq!(sling(&town, &rig), "widgets/polecats/furiosa", "an idle one goes before a new one");
    town.gt("namepool create rivers rhine elbe").succeeds();
    town.gt("namepool set rivers --rig widgets").succeeds();
    town.gt("namepool add danube --rig widgets").succeeds();
    let names: Vec<String> = (0..4).map(|_| sling(&town, &rig)).collect();
    assert_eq!(names, ["danube", "rhine", "elbe", "p51"].map(|name| format!("widgets/polecats/{name}")));
    let shown = town.gt("--json namepool --rig widgets").json();
    assert_eq!(text_at(&shown, &["/theme"]), "rivers");
    town.gt("namepool delete rivers").fails_with(4);
    town.gt("namepool reset --rig widgets").succeeds();
    town.gt("namepool delete rivers").succeeds();
    assert_eq!(sling(&town, &rig), "widgets/polecats/nux");
}

#[test]
fn names_that_cannot_be_and_themes_that_are_none_are_refused() {
    let (town, _rig) = Town::with_rig();
    town.gt("namepool set no-such").fails_with(3);
    town.gt("namepool create mine witness").fails_with(2);
    town.gt("namepool create mine Big").fails_with(2);
    town.gt("namepool create mine ../x").fails_with(2);
    town.gt("namepool create mine a a").fails_with(2);
    town.gt("namepool create minerals a").fails_with(5);
    town.gt("namepool delete minerals").fails_with(4);
    town.gt("config set polecats.names 'a refinery'").fails_with(2);
    let file = town.base().join("names");
    std::fs::write(&file, "# rivers\nrhine  elbe\n").unwrap();
    town.gt_args(&["namepool", "create", "mine", "--from-file", file.to_str().unwrap()]).succeeds();
    assert_eq!(town.gt("--json namepool themes mine").json()["mine"], serde_json::json!(["rhine", "elbe"]));
    town.as_agent("widgets/polecats/toast").gt("namepool set minerals").fails_with(4);
}

#[test]
fn a_rig_has_no_more_directories_than_it_may_however_they_are_named() {
    let (town, rig) = Town::with_rig();
    town.gt("config set polecats.max 2 --rig widgets").succeeds();
    sling(&town, &rig);
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["sling", &bead, "widgets/polecats/zoe", "--no-start"]).succeeds();
    for target in ["widgets", "widgets/polecats/ann"] {
        let bead = town.bead(&rig, "Work");
        let refused = town.gt_args(&["sling", &bead, target, "--no-start"]).fails_with(4);
        assert!(refused.stderr.contains("may have 2 polecats") && refused.stderr.contains("polecats.max"), "{}", refused.stderr);
    }
    release(&town, "widgets/polecats/zoe");
    assert_eq!(sling(&town, &rig), "widgets/polecats/zoe");
}

#[test]
fn no_more_work_at_once_than_may_and_what_comes_to_no_end_is_not_started_for_ever() {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["config", "set", "agent.command", "sleep 60", "--rig", "widgets"]).succeeds();
    town.gt("config set polecats.working_max 1").succeeds();
    let (first, second) = (town.bead(&rig, "First"), town.bead(&rig, "Second"));
    town.gt_args(&["sling", &first, "widgets/polecats/toast"]).succeeds();
    let refused = town.gt_args(&["sling", &second, "widgets"]).fails_with(4);
    assert!(
        refused.stderr.contains("no more than 1 may") && refused.stderr.contains("polecats.working_max"),
        "{}",
        refused.stderr
    );
    assert_eq!(town.status(&second), "open", "nothing was assigned");
    town.gt_args(&["sling", &second, "widgets", "--no-start"]).succeeds();

    for _ in 0..3 {
        town.gt("session stop widgets/toast").succeeds();
        town.gt("session start widgets/toast").succeeds();
    }
    town.gt("session stop widgets/toast").succeeds();
    let refused = town.gt("session start widgets/toast").fails_with(4);
    assert!(refused.stderr.contains("was started 4 times"), "{}", refused.stderr);
    town.gt_args(&["sling", &first, "widgets/polecats/toast"]).fails_with(4);
    town.gt_args(&["sling", &first, "widgets/polecats/toast", "--force"]).succeeds();
    town.gt("session stop widgets/toast").succeeds();
    // A restart that somebody asks for is none of those.
    for _ in 0..5 {
        town.gt("session restart widgets/toast").succeeds();
    }
    town.gt("session stop widgets/toast").succeeds();
}

fn verdict(town: &Town, code: i32) -> Value {
    let asked = town.gt("--json polecat check-recovery widgets/toast").ends_with(code);
    serde_json::from_str(&asked.stdout).unwrap()
}

#[test]
fn check_recovery_says_whether_a_sandbox_may_go_and_names_what_is_unsaved() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["sling", &bead, "widgets/polecats/toast", "--no-start"]).succeeds();
    let sandbox = rig.dir.join("polecats/toast");
    assert_eq!(verdict(&town, 1)["verdict"], "needs-recovery");
    write(&sandbox.join("new.txt"), "new\n");
    release(&town, "widgets/polecats/toast");
    let told = verdict(&town, 1);
    assert!(told["verdict"] == "needs-recovery" && told["reasons"].to_string().contains("new.txt"), "{told}");
    town.git(&sandbox, &["add", "-A"]);
    town.git(&sandbox, &["commit", "-q", "-m", "Work"]);
    assert_eq!(verdict(&town, 1)["verdict"], "needs-submit");
    let state = town.gt("--json polecat git-state widgets/toast").json();
    assert_eq!((&state["ahead"], &state["own_commits"], &state["behind"]), (&1.into(), &1.into(), &0.into()));
    let status = town.gt("polecat status widgets/toast").succeeds().stdout;
    assert!(status.contains("is idle") && status.contains("1 of them were never handed in"), "{status}");
    town.git(&sandbox, &["reset", "-q", "--hard", "HEAD~1"]);
    assert!(verdict(&town, 1)["reasons"].to_string().contains("1 commit kept nowhere else"));
    town.gt("polecat nuke widgets/toast").succeeds();
    assert_eq!(verdict(&town, 0)["verdict"], "safe-to-nuke");
    town.gt("polecat status widgets/nobody").fails_with(3);
    town.gt("polecat git-state widgets/witness").fails_with(2);
}

#[test]
fn gc_removes_idle_sandboxes_alone_and_keeps_what_they_hold() {
    let (town, rig) = Town::with_rig();
    let agents: Vec<String> = (0..4).map(|_| sling(&town, &rig)).collect();
    for agent in &agents[1..] {
        release(&town, agent);
    }
    let dir = |agent: &str| rig.dir.join(agent.trim_start_matches("widgets/"));
    write(&dir(&agents[3]).join("new.txt"), "new\n");
    let would = town.gt("polecat gc --dry-run --keep 1").succeeds().stdout;
    assert!(would.contains("new.txt") && agents.iter().all(|agent| dir(agent).exists()), "{would}");
    let said = town.gt("--json polecat gc --rig widgets --keep 1").json();
    assert_eq!(said.as_array().unwrap().len(), 2, "{said}");
    assert!(said[1]["salvage"].as_str().unwrap().starts_with("refs/gt/salvage/"), "{said}");
    let there: Vec<bool> = agents.iter().map(|agent| dir(agent).exists()).collect();
    assert_eq!(there, [true, true, false, false], "who works stays, and as many idle ones as were asked for");
    town.gt("polecat gc").succeeds();
    assert!(town.gt("polecat gc").succeeds().stdout.contains("no sandbox is idle"));
    assert!(dir(&agents[0]).exists());
    town.fsck();
}
