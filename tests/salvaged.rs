//! What was saved of a sandbox, from the command line: listed, shown, brought back, dropped.

use serde_json::Value;

use crate::town::{Rig, Town, text_at};

/// A town in which the work of toast, a changed, a new and an ignored file, was saved as its sandbox was removed.
fn salvaged() -> (Town, Rig, String) {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["sling", &bead, "widgets/polecats/toast", "--no-start"]).succeeds();
    let sandbox = rig.dir.join("polecats/toast");
    std::fs::write(sandbox.join("README.md"), "changed\n").unwrap();
    std::fs::write(sandbox.join("new file.txt"), "new\n").unwrap();
    town.gt("polecat nuke widgets/toast --force").succeeds();
    let listed = list(&town);
    assert_eq!(listed.len(), 1, "{listed:?}");
    let name = text_at(&listed[0], &["/name"]);
    (town, rig, name)
}

fn list(town: &Town) -> Vec<Value> {
    town.gt("--json salvage list --rig widgets").json().as_array().unwrap().clone()
}

#[test]
fn what_is_saved_is_listed_and_shown_and_comes_back_whole() {
    let (town, _rig, name) = salvaged();
    assert!(name.starts_with("widgets/polecats/toast/"), "{name}");
    let shown = town.gt_args(&["salvage", "show", &name, "--rig", "widgets"]).succeeds().stdout;
    assert!(shown.contains("README.md") && shown.contains("new file.txt"), "{shown}");
    let to = town.base().join("was");
    for text in ["toast", "widgets/polecats/toast", &format!("refs/gt/salvage/{name}")] {
        town.gt_args(&["salvage", "show", text, "--rig", "widgets"]).succeeds();
    }
    town.gt_args(&["salvage", "restore", "toast", "--to", to.to_str().unwrap(), "--rig", "widgets"]).succeeds();
    assert_eq!(std::fs::read_to_string(to.join("README.md")).unwrap(), "changed\n");
    assert_eq!(std::fs::read_to_string(to.join("new file.txt")).unwrap(), "new\n");
    town.gt_args(&["salvage", "restore", "toast", "--to", to.to_str().unwrap(), "--rig", "widgets"]).fails_with(5);
    town.gt("salvage show nobody --rig widgets").fails_with(3);
    town.fsck();
}

#[test]
fn paths_come_back_into_a_checkout_and_overwrite_nothing_that_is_not_committed() {
    let (town, rig, _) = salvaged();
    let crew = rig.dir.join("mayor/rig");
    let here = town.from(crew.clone());
    here.gt("salvage restore toast 'new file.txt' README.md").succeeds();
    assert_eq!(std::fs::read_to_string(crew.join("new file.txt")).unwrap(), "new\n");
    assert_eq!(std::fs::read_to_string(crew.join("README.md")).unwrap(), "changed\n");
    std::fs::write(crew.join("new file.txt"), "mine\n").unwrap();
    let refused = here.gt("salvage restore toast 'new file.txt'").fails_with(4);
    assert!(refused.stderr.contains("new file.txt") && refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(crew.join("new file.txt")).unwrap(), "mine\n");
    let forced = here.gt("--json salvage restore toast 'new file.txt' --force").json();
    // What was overwritten is there to be had again.
    let kept = text_at(&forced, &["/kept"]);
    assert_eq!(town.git(&rig.dir.join(".repo.git"), &["show", &format!("{kept}:new file.txt")]), "mine");
    assert_eq!(std::fs::read_to_string(crew.join("new file.txt")).unwrap(), "new\n");
    here.gt("salvage restore toast --force no-such-file").fails_with(3);
}

#[test]
fn a_salvage_is_dropped_by_people_and_whose_it_was_and_nobody_else() {
    let (town, _rig, name) = salvaged();
    town.as_agent("widgets/polecats/nux").args(&["salvage", "drop", &name, "--rig", "widgets"]).fails_with(4);
    assert_eq!(list(&town).len(), 1);
    town.as_agent("widgets/polecats/toast").args(&["salvage", "drop", &name, "--rig", "widgets"]).succeeds();
    assert!(list(&town).is_empty());
    assert!(town.gt("salvage list --rig widgets").succeeds().stdout.contains("nothing is saved"));
    town.gt_args(&["salvage", "drop", &name, "--rig", "widgets"]).fails_with(3);
}

#[test]
fn one_that_is_damaged_is_named_and_hides_no_other() {
    let (town, rig, name) = salvaged();
    let file = rig.dir.join(".repo.git/refs/gt/salvage/widgets/polecats/bread/1");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "1234567890123456789012345678901234567890\n").unwrap();
    let listed = list(&town);
    assert!(listed.iter().any(|one| text_at(one, &["/name"]) == name), "{listed:?}");
    assert!(listed.iter().any(|one| one.to_string().contains("damaged")), "{listed:?}");
    town.gt("salvage show toast --rig widgets").succeeds();
}
