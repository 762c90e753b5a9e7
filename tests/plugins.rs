//! Plugins: found in their directories, trusted as they are, called in before merging, and never in the way.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::town::{Rig, Town, text_at};

/// A rig with a gate and one request that waits.
fn town() -> (Town, Rig) {
    let (town, rig) = Town::with_rig();
    town.gt("config set gates.test.command 'test ! -e bad' --rig widgets").succeeds();
    (town, rig)
}

/// Hands in a branch that adds `file` with `text`; its request.
fn request(town: &Town, rig: &Rig, file: &str, text: &str) -> String {
    let work = town.base().join("widgets-work");
    town.git(&work, &["checkout", "-q", "-B", &format!("add-{file}"), "main"]);
    std::fs::write(work.join(file), text).unwrap();
    town.git(&work, &["add", file]);
    town.git(&work, &["commit", "-q", "-m", &format!("Add {file}")]);
    town.git(&work, &["push", "-q", "-f", rig.dir.join(".repo.git").to_str().unwrap(), "HEAD"]);
    let bead = town.bead(rig, &format!("Add {file}"));
    let filed = town.gt_args(&["--json", "mq", "submit", &bead, &format!("add-{file}")]).json();
    text_at(&filed, &["/mr"])
}

/// A plugin of the rig with this description and program.
fn plugin(rig: &Rig, name: &str, about: &str, program: Option<&str>) -> PathBuf {
    let dir = rig.dir.join("plugins").join(name);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("plugin.md"), about).unwrap();
    if let Some(program) = program {
        std::fs::write(dir.join("run"), program).unwrap();
    }
    dir
}

const BEFORE_MERGE: &str = "+++\npoints = [\"before-merge\"]\ntimeout = \"1s\"\n+++\n";

fn run(town: &Town) -> String {
    town.gt("mq run --once --rig widgets").succeeds().stdout
}

fn history(town: &Town, name: &str) -> Vec<Value> {
    town.gt_args(&["--json", "plugin", "history", name, "--rig", "widgets"]).json().as_array().unwrap().clone()
}

fn trust(town: &Town, name: &str) {
    town.gt_args(&["plugin", "trust", name, "--rig", "widgets"]).succeeds();
}

#[test]
fn the_merge_oracle_plans_before_the_queue_is_worked() {
    let (town, rig) = town();
    assert!(town.gt("plugin list --rig widgets").succeeds().stdout.contains("gt plugin add merge-oracle"));
    let added = town.gt("plugin add merge-oracle --rig widgets").succeeds().stdout;
    assert!(added.contains("trusted") && added.contains("before-merge"), "{added}");
    town.gt("plugin add merge-oracle --rig widgets").succeeds();
    let (one, two) = (request(&town, &rig, "same.txt", "one\n"), request(&town, &rig, "other.txt", "two\n"));
    let told = run(&town);
    assert!(told.contains("plugin merge-oracle is done: All 2 requests touch different files"), "{told}");
    assert!(told.contains("2 landed"), "{told}");
    let plan = town.gt("list --label merge-plan --all --json --rig widgets").json();
    let plan = text_at(&plan, &["/0/id", "/beads/0/id"]);
    let shown = town.show(&plan);
    let text = text_at(&shown, &["/description"]);
    assert!(text.contains(&one) && text.contains(&two), "{text}");
    assert_eq!(text_at(&shown, &["/created_by"]), "widgets/plugins/merge_oracle");
    let history = history(&town, "merge-oracle");
    assert_eq!((history.len(), text_at(&history[0], &["/ending"])), (1, "done".into()));
    assert_eq!(text_at(&history[0], &["/point"]), "before-merge");
    town.fsck();
}

#[test]
fn a_plugin_is_asked_once_about_the_same_and_sees_what_waits() {
    let (town, rig) = town();
    let program = "echo \"$GT_RIG $GT_TARGET $GT_POINT $GT_ACTOR $GT_REQUESTS\"; echo x >> asked\n";
    let dir = plugin(&rig, "watcher", BEFORE_MERGE, Some(program));
    trust(&town, "watcher");
    let mr = request(&town, &rig, "a.txt", "a\n");
    town.gt_args(&["mq", "hold", &mr]).succeeds();
    let told = run(&town);
    assert!(told.contains(&format!("widgets main before-merge widgets/plugins/watcher {mr}")), "{told}");
    assert!(!run(&town).contains("plugin watcher"), "nothing has changed");
    request(&town, &rig, "b.txt", "b\n");
    run(&town);
    assert_eq!(std::fs::read_to_string(dir.join("asked")).unwrap().lines().count(), 2);
    run(&town);
    let by_hand = town.gt("plugin run watcher --rig widgets").succeeds().stdout;
    assert!(by_hand.contains("by-hand"), "{by_hand}");
    assert_eq!(history(&town, "watcher").len(), 4, "the tip moved when b landed, so it was asked about what is left");
}

#[test]
fn one_that_fails_hangs_or_is_not_trusted_keeps_nothing_from_landing() {
    let (town, rig) = town();
    plugin(&rig, "broken", BEFORE_MERGE, Some("echo no; exit 3\n"));
    plugin(&rig, "hangs", BEFORE_MERGE, Some("sleep 60 & sleep 60\n"));
    plugin(&rig, "stranger", BEFORE_MERGE, Some("touch ../../../ran\n"));
    plugin(&rig, "unread", "+++\npoints = [\"after-lunch\"]\n+++\n", Some("true\n"));
    plugin(&rig, "mute", BEFORE_MERGE, None);
    trust(&town, "broken");
    trust(&town, "hangs");
    request(&town, &rig, "a.txt", "a\n");
    let told = run(&town);
    for line in
        ["broken is failed: no", "hangs: too slow", "stranger: it is not trusted here", "unread: its plugin.md", "mute: too slow"]
    {
        assert!(told.contains(&format!("plugin {line}")), "{line}: {told}");
    }
    assert!(told.contains("1 landed"), "{told}");
    assert!(!town.base().join("ran").exists() && !town.root.join("ran").exists());
    assert_eq!(history(&town, "broken")[0]["exit"], 3);
    let list = town.gt("plugin list --rig widgets").succeeds().stdout;
    assert!(list.contains("NOT TRUSTED") && list.contains("UNREADABLE") && list.contains("gets mail"), "{list}");
    town.gt("plugin run stranger --rig widgets").fails_with(4);
    town.gt("plugin run unread --rig widgets").fails_with(4);
    town.gt("plugin run broken --rig widgets").ends_with(6);
    town.gt("plugin run nobody --rig widgets").fails_with(3);
    town.gt("plugin trust mute --rig widgets").fails_with(4);
    town.gt("plugin add no-such --rig widgets").fails_with(3);
    town.as_agent("widgets/polecats/toast").gt("plugin trust stranger --rig widgets").fails_with(4);
    town.as_agent("widgets/polecats/toast").gt("plugin add merge-oracle --rig widgets").fails_with(4);
}

#[test]
fn a_program_or_description_that_changed_is_not_trusted_any_more() {
    let (town, rig) = town();
    let dir = plugin(&rig, "merge-oracle", BEFORE_MERGE, Some("true\n"));
    town.gt("plugin add merge-oracle --rig widgets").fails_with(5);
    trust(&town, "merge-oracle");
    let is_trusted = || town.gt("--json plugin show merge-oracle --rig widgets").json()["is_trusted"].as_bool().unwrap();
    assert!(is_trusted());
    std::fs::write(dir.join("run"), "echo other\n").unwrap();
    assert!(!is_trusted());
    trust(&town, "merge-oracle");
    std::fs::write(dir.join("plugin.md"), "+++\ntimeout = \"10m\"\n+++\n").unwrap();
    assert!(!is_trusted());
}

#[test]
fn a_plugin_of_the_town_serves_each_rig_and_an_agent_answers_by_mail() {
    let (town, rig) = town();
    let shared = town.root.join("plugins/advisor");
    std::fs::create_dir_all(&shared).unwrap();
    std::fs::write(shared.join("plugin.md"), BEFORE_MERGE.replace("1s", "30s")).unwrap();
    request(&town, &rig, "a.txt", "a\n");
    let mut child =
        town.here().command(&["mq", "run", "--once", "--rig", "widgets"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let advisor = town.as_agent("widgets/plugins/advisor");
    town.until("the plugin is asked", || advisor.gt("mail inbox --json").succeeds().stdout.contains("BEFORE_MERGE main"));
    advisor.gt("mail send widgets/refinery -s 'Looks fine' -m 'Nothing to add'").succeeds();
    let mut told = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut told).unwrap();
    assert!(child.wait().unwrap().success() && told.contains("plugin advisor is done: Looks fine"), "{told}");
    assert!(told.contains("1 landed"), "{told}");
    assert!(!Path::new(&rig.dir).join("plugins/advisor").exists());
}
