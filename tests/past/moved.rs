//! Beads that go to another scope.

use serde_json::{Value, json};

use super::{answer, make};
use crate::beads::{create, ids, tip, two_rigs};
use crate::race::all_at_once;
use crate::town::{Town, text_at};

fn new_id(moved: &Value) -> String {
    text_at(moved, &["/moved/0/moved_to"])
}

fn target(town: &Town, id: &str) -> Value {
    town.show(id)["dependencies"][0]["depends_on_id"].clone()
}

#[test]
fn a_moved_bead_is_found_by_its_old_id_in_every_verb_and_comes_back_to_it() {
    let town = two_rigs();
    let first = make(&town, "First");
    let id = make(&town, &format!("Pump -d leaks -l wet -p 1 --deps {first}"));
    town.gt(&format!("bead comment add {id} brittle")).succeeds();
    let (near, far) = (make(&town, &format!("Near --deps {id}")), create(&town, &format!("Far --rig gadgets --deps {id}")));
    let before = town.show(&id);
    let tried = answer(&town, &format!("bead move {id} ga --dry-run"));
    assert_eq!(town.show(&id), before);
    let moved = answer(&town, &format!("bead move {id} gadgets"));
    let new = new_id(&moved);
    assert_eq!(new, new_id(&tried));
    assert!(new.starts_with("ga-"), "{new}");
    assert_eq!(moved["followed"], json!([far, near]));
    for name in [&id, &new] {
        let after = town.show(name);
        assert_eq!(after["id"], json!(new));
        for field in ["title", "description", "labels", "priority", "created_at", "comments", "status"] {
            assert_eq!(after[field], before[field], "{field}");
        }
        assert_eq!(after["dependencies"][0]["depends_on_id"], json!(first));
    }
    assert_eq!((target(&town, &near), target(&town, &far)), (json!(new), json!(new)));
    let late = make(&town, &format!("Late --deps {id}"));
    assert_eq!(target(&town, &late), json!(new));
    assert_eq!(ids(town.gt("--json ready --all")), std::slice::from_ref(&first));
    assert_eq!(answer(&town, &format!("bead history {id}"))[0]["event"], "moved");
    assert_eq!(answer(&town, &format!("bead move {id} ga"))["already"], true);
    assert!(town.gt("bead deleted --rig widgets").succeeds().stdout.contains(&format!("is {new} now")));
    town.gt(&format!("bead restore {id}")).succeeds();
    town.gt(&format!("close {first}")).succeeds();
    town.gt(&format!("close {id}")).succeeds();
    assert_eq!(town.status(&new), "closed");
    assert_eq!(ids(town.gt("--json ready --all")).len(), 3, "what waited for it is ready, wherever it is");
    let back = answer(&town, &format!("bead move {new} widgets"));
    assert_eq!(new_id(&back), id, "it has its old id again");
    assert_eq!((town.show(&new)["id"].clone(), target(&town, &far)), (json!(id), json!(id)));
    town.gt("reindex --check --rig widgets").succeeds();
}

#[test]
fn children_go_along_or_nobody_goes_and_work_stays_where_it_is() {
    let town = two_rigs();
    let epic = make(&town, "Epic -t epic");
    let child = make(&town, &format!("Child --parent {epic}"));
    let grandchild = make(&town, &format!("Grandchild --parent {child} --deps related:{epic}"));
    let next = make(&town, &format!("Next --parent {epic} --deps {child}"));
    let refused = |line: &str, words: &str| {
        let before = (tip(&town, "widgets"), tip(&town, "gadgets"));
        let said = town.gt(line).fails_with(4).stderr;
        assert!(said.contains(words), "{words}: {said}");
        assert_eq!((tip(&town, "widgets"), tip(&town, "gadgets")), before);
    };
    refused(&format!("bead move {epic} ga"), &child);
    refused(&format!("bead move {child} ga --cascade"), "is a child of");
    refused(&format!("bead move {epic} wi"), "lives there already");
    town.gt(&format!("bead move {epic} nowhere")).fails_with(3);
    let moved = answer(&town, &format!("bead move {epic} ga --cascade"));
    assert_eq!(moved["moved"].as_array().unwrap().len(), 4);
    let new = text_at(&town.show(&epic), &["/id"]);
    assert_eq!(target(&town, &next), json!(format!("{new}.1")));
    assert_eq!(town.show(&child)["id"], json!(format!("{new}.1")));
    assert_eq!(town.show(&grandchild)["id"], json!(format!("{new}.1.1")));
    assert_eq!(target(&town, &grandchild), json!(new));
    assert_eq!(answer(&town, &format!("bead children {new}"))[0]["id"], json!(format!("{new}.1")));
    let work = make(&town, "Work");
    town.gt_args(&["sling", &work, "widgets/polecats/toast", "--no-start"]).succeeds();
    refused(&format!("bead move {work} ga"), "on the hook");
}

#[test]
fn a_killed_move_is_finished_by_the_same_command_and_makes_no_second_copy() {
    let town = two_rigs();
    for (step, is_there) in [("bead.copied", true), ("bead.moved", false)] {
        let id = make(&town, "Pump");
        let far = create(&town, &format!("Far --rig gadgets --deps {id}"));
        town.here().var("GT_CRASH_AT", step).gt(&format!("bead move {id} hq")).ends_with(-1);
        assert_eq!(town.show(&id)["id"] == json!(id), is_there, "{step}");
        assert!(!ids(town.gt("--json ready --rig gadgets")).contains(&far), "{step}: it still waits");
        let moved = answer(&town, &format!("bead move {id} hq"));
        assert_eq!(target(&town, &far), json!(new_id(&moved)), "{step}");
        assert_eq!(town.show(&id)["id"], json!(new_id(&moved)));
        let copies = answer(&town, "list --rig hq --limit 0");
        let copies = copies.as_array().unwrap().iter().filter(|bead| bead["moved_from"] == json!(id)).count();
        assert_eq!(copies, 1, "{step}");
    }
}

#[test]
fn of_many_that_move_one_bead_to_different_rigs_at_once_one_bead_is_left() {
    let town = two_rigs();
    let id = make(&town, "Contested");
    let commands = (0..6).map(|n| town.here().command(&["bead", "move", &id, ["ga", "hq"][n % 2]])).collect();
    for outcome in all_at_once(commands) {
        assert!([0, 3, 4, 5].contains(&outcome.code), "{}{}", outcome.stdout, outcome.stderr);
    }
    let new = text_at(&town.show(&id), &["/id"]);
    assert!(!new.starts_with("wi-"), "{new}");
    let all = town.gt("--json list --all --limit 0").succeeds().stdout;
    assert_eq!(all.matches("\"Contested\"").count(), 1, "{all}");
    town.fsck();
}

/// Titles of all beads of a scope that are not tombstones.
fn titles(town: &Town, scope: &str) -> Vec<String> {
    let all = answer(town, &format!("list --rig {scope} --all --limit 0 --not-type agent"));
    all.as_array().unwrap().iter().map(|bead| text_at(bead, &["/title"])).collect()
}

#[test]
fn copies_go_again_when_the_beads_may_not_go_and_nothing_is_lost() {
    let town = two_rigs();
    let epic = make(&town, "Epic -t epic");
    let child = make(&town, &format!("Child --parent {epic}"));
    // A lock of another program: nothing can leave.
    let lock = town.root.join("widgets/.repo.git/refs/gt/ledger.lock");
    std::fs::write(&lock, "").unwrap();
    assert_ne!(town.gt(&format!("bead move {epic} ga --cascade")).code, 0);
    assert_eq!(titles(&town, "gadgets"), Vec::<String>::new());
    assert_eq!((town.status(&epic), town.status(&child)), ("open".into(), "open".into()));
    std::fs::remove_file(&lock).unwrap();
    let moved = answer(&town, &format!("bead move {epic} ga --cascade"));
    assert_eq!((moved["moved"].as_array().unwrap().len(), titles(&town, "gadgets").len()), (2, 2));
    assert_eq!(titles(&town, "widgets"), Vec::<String>::new());
}

#[test]
fn of_a_family_that_changes_while_it_is_moved_each_bead_is_there_once() {
    let town = two_rigs();
    for round in 0..3 {
        let epic = make(&town, &format!("Epic{round} -t epic"));
        let children: Vec<String> = (0..4).map(|n| make(&town, &format!("Child{round}.{n} --parent {epic}"))).collect();
        let mut commands = vec![town.here().command(&["bead", "move", &epic, "ga", "--cascade"])];
        for child in &children {
            commands.push(town.here().command(&["bead", "dep", "remove", child, &epic]));
            commands.push(town.here().command(&["bead", "comment", "add", child, "busy"]));
        }
        for outcome in all_at_once(commands) {
            assert!([0, 3, 4, 5].contains(&outcome.code), "{}{}", outcome.stdout, outcome.stderr);
        }
        let (mut all, left) = (titles(&town, "gadgets"), titles(&town, "widgets"));
        all.extend(left);
        all.retain(|title| title.contains(&format!("{round}.")) || *title == format!("Epic{round}"));
        all.sort();
        let expected: Vec<String> = (0..4).map(|n| format!("Child{round}.{n}")).chain([format!("Epic{round}")]).collect();
        assert_eq!(all, expected);
    }
    town.fsck();
}

#[test]
fn what_a_convoy_remembers_of_its_work_follows_too() {
    let town = two_rigs();
    let epic = make(&town, "Epic -t epic");
    let first = make(&town, &format!("First --parent {epic}"));
    let next = make(&town, &format!("Next --parent {epic} --deps {first}"));
    let staged = answer(&town, &format!("convoy stage {epic}"));
    let convoy = text_at(&staged, &["/id"]);
    let fields = || {
        let bead = town.show(&convoy);
        let tracked: Vec<Value> =
            bead["dependencies"].as_array().unwrap().iter().map(|edge| edge["depends_on_id"].clone()).collect();
        (bead["from_epic"].clone(), bead["waves"].clone(), tracked)
    };
    assert_eq!(fields(), (json!(epic), json!([[first], [next]]), vec![json!(first), json!(next)]));
    for to in ["gadgets", "hq", "widgets"] {
        let moved = answer(&town, &format!("bead move {} {to} --cascade", text_at(&town.show(&epic), &["/id"])));
        assert!(moved["followed"].as_array().unwrap().contains(&json!(convoy)), "{moved}");
        let now = |id: &str| town.show(id)["id"].clone();
        let (first, next) = (now(&first), now(&next));
        assert_eq!(fields(), (now(&epic), json!([[first], [next]]), vec![first, next]), "{to}");
    }
    town.gt("bead rename-prefix wd --rig widgets").succeeds();
    let (first, next) = (town.show(&first)["id"].clone(), town.show(&next)["id"].clone());
    assert!(first.as_str().unwrap().starts_with("wd-"));
    assert_eq!(fields(), (town.show(&epic)["id"].clone(), json!([[first], [next]]), vec![first, next]));
}
