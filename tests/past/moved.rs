//! Beads that go to another scope.

use serde_json::{Value, json};

use crate::beads::{create, ids, tip, two_rigs};
use crate::race::all_at_once;
use crate::town::{Town, text_at};

fn make(town: &Town, words: &str) -> String {
    create(town, &format!("{words} --rig widgets"))
}

fn answer(town: &Town, line: &str) -> Value {
    town.gt(&format!("--json {line}")).json()
}

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
    assert_eq!(moved["moved"].as_array().unwrap().len(), 3);
    let new = text_at(&town.show(&epic), &["/id"]);
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
