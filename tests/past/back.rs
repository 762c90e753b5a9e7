//! Looking back: the history of a bead, how it stood, what differs.

use serde_json::{Value, json};

use super::{answer, make};
use crate::beads::{tip, two_rigs, write};
use crate::machines::Pair;
use crate::town::Town;

fn events(history: &Value) -> Vec<&str> {
    history.as_array().unwrap().iter().map(|one| one["event"].as_str().unwrap()).collect()
}

fn change<'v>(told: &'v Value, field: &str) -> &'v Value {
    let changes = told["changes"].as_array().unwrap();
    changes.iter().find(|change| change["field"] == field).unwrap_or(&Value::Null)
}

#[test]
fn the_history_of_a_bead_names_each_change_with_its_fields_and_only_its_own() {
    let town = two_rigs();
    let id = make(&town, "Pump -d 'It leaks' -l wet");
    let other = make(&town, "Other");
    town.as_agent("mayor").gt(&format!("update {id} -p 0 --add-label urgent --remove-label wet")).succeeds();
    town.gt(&format!("update {other} -p 4")).succeeds();
    town.gt_args(&["update", &id, "-d", "It leaks\nat the seal"]).succeeds();
    town.gt(&format!("bead dep add {id} {other}")).succeeds();
    town.gt(&format!("bead comment add {id} brittle")).succeeds();
    town.gt(&format!("close {id} --reason done")).succeeds();
    let told = answer(&town, &format!("bead history {id}"));
    assert_eq!(events(&told), ["changed", "changed", "changed", "changed", "changed", "created"]);
    let ops: Vec<&str> = told.as_array().unwrap().iter().map(|one| one["op"].as_str().unwrap()).collect();
    assert_eq!(ops, ["close", "comment", "dep-add", "update", "update", "create"]);
    assert_eq!(change(&told[0], "status"), &json!({"field": "status", "from": "open", "to": "closed"}));
    assert_eq!(change(&told[1], "comments")["added"][0]["text"], "brittle");
    assert_eq!(change(&told[2], "dependencies")["added"][0]["depends_on_id"], json!(other));
    assert_eq!(told[4]["actor"], "mayor");
    assert_eq!(change(&told[4], "labels"), &json!({"field": "labels", "added": ["urgent"], "removed": ["wet"]}));
    assert_eq!((&change(&told[4], "priority")["from"], change(&told[4], "title")), (&json!(2), &Value::Null));
    assert_eq!(change(&told[5], "title")["to"], "Pump");
    let page = town.gt(&format!("bead history {id}")).succeeds().stdout;
    for words in ["+ urgent", "- wet", "priority: 2 → 0", "+ at the seal", "+ blocks", "overseer: brittle", "open → closed"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let few = town.gt(&format!("--json bead history {id} -n 2")).succeeds();
    assert!(few.stderr.contains("older changes") && few.stdout.matches("\"commit\"").count() == 2, "{}", few.stderr);
    assert_eq!(answer(&town, &format!("log --bead {id} -n 0")).as_array().unwrap().len(), 6);
    assert_eq!(answer(&town, &format!("log --bead {id} --by mayor")).as_array().unwrap().len(), 1);
    town.gt("bead history wi-nope1").fails_with(3);
}

#[test]
fn deleting_restoring_archiving_and_reopening_are_in_the_history() {
    let town = two_rigs();
    let id = make(&town, "Pump");
    town.gt(&format!("bead delete {id}")).succeeds();
    assert_eq!(events(&answer(&town, &format!("bead history {id}"))), ["deleted", "created"]);
    town.gt(&format!("bead restore {id}")).succeeds();
    town.gt(&format!("close {id}")).succeeds();
    town.here().var("GT_NOW", "2999-01-01T00:00:00Z").gt("maintain --rig widgets").succeeds();
    assert_eq!(town.show(&id)["archived"], true);
    let told = answer(&town, &format!("bead history {id}"));
    assert_eq!(events(&told), ["archived", "changed", "restored", "deleted", "created"]);
    town.here().var("GT_NOW", "2999-01-02T00:00:00Z").gt(&format!("bead reopen {id}")).succeeds();
    let told = answer(&town, &format!("bead history {id}"));
    assert_eq!(events(&told), ["returned", "archived", "changed", "restored", "deleted", "created"]);
    let rev = told[2]["rev"].as_str().unwrap();
    assert_eq!(answer(&town, &format!("show {id} --at {rev}"))[0]["status"], "closed");
}

#[test]
fn a_bead_is_shown_as_it_stood_and_compared_with_what_it_is() {
    let town = two_rigs();
    let id = make(&town, "Pump");
    make(&town, "Other");
    let at = |day: &str, line: &str| town.here().var("GT_NOW", &format!("2990-01-{day}T00:00:00Z")).gt(line).succeeds();
    at("05", &format!("update {id} --title Second"));
    let second = tip(&town, "widgets");
    at("09", &format!("update {id} --title Third"));
    let now = |line: &str| town.here().var("GT_NOW", "2990-01-10T00:00:00Z").gt(&format!("--json {line}")).json();
    let title = |point: &str| now(&format!("show {id} --at {point}"))[0]["title"].as_str().unwrap().to_owned();
    assert_eq!(title("2990-01-06"), "Second");
    assert_eq!(title("3d"), "Second");
    assert_eq!(title("2h"), "Third");
    assert_eq!(title(&second[..10]), "Second");
    assert_eq!(title("2989-01-01"), "Pump");
    let rev = now(&format!("bead history {id}"))[1]["rev"].as_str().unwrap().to_owned();
    assert_eq!(title(&rev), "Second");
    assert_eq!(title(rev.split('@').next().unwrap()), "Second");
    let compared = now(&format!("bead diff {id} 2989-01-01 {rev}"));
    assert_eq!(compared["changes"], json!([{"field": "title", "from": "Pump", "to": "Second"}]));
    assert_eq!(now(&format!("bead diff {id} {rev}"))["changes"][0]["to"], "Third");
    let page = at("10", &format!("bead diff {id} now now")).stdout;
    assert!(page.contains("nothing differs"), "{page}");
    assert!(town.gt(&format!("show {id} --at 1970-01-02")).fails_with(3).stderr.contains("nothing at"));
    assert!(town.gt(&format!("show {id} --at 1")).fails_with(3).stderr.contains("was not there"));
    town.gt(&format!("show {id} --at someday")).fails_with(2);
    town.gt(&format!("bead diff {id} 0000000000")).fails_with(3);
}

#[test]
fn a_version_that_cannot_be_read_is_passed_over_and_never_shown_as_another() {
    let town = two_rigs();
    let id = make(&town, "Pump");
    let path = gastown::ledger::tree::bead(&id.parse().unwrap());
    write(&town, "widgets", &path, "{broken");
    let broken = tip(&town, "widgets");
    write(
        &town,
        "widgets",
        &path,
        &json!({"v": 1, "id": id, "title": "Mended", "issue_type": "task", "status": "open",
        "priority": 2, "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z"})
        .to_string(),
    );
    assert_eq!(events(&answer(&town, &format!("bead history {id}"))), ["changed", "changed", "created"]);
    town.gt(&format!("show {id} --at {broken}")).fails_with(70);
    town.gt(&format!("bead diff {id} {broken}")).fails_with(70);
}

#[test]
fn changes_of_two_machines_and_their_merge_are_in_the_history_of_both() {
    let pair = Pair::new();
    let id = pair.bead("Pump");
    pair.one.gt_args(&["update", &id, "--title", "Ours"]).succeeds();
    pair.two.gt_args(&["update", &id, "-p", "0"]).succeeds();
    pair.settle();
    let told = answer(&pair.one, &format!("bead history {id}"));
    assert_eq!(told, answer(&pair.two, &format!("bead history {id}")));
    assert_eq!(events(&told)[0], "merged");
    assert_eq!(events(&told)[1..], ["changed", "changed", "created"]);
    let before = answer(&pair.one, &format!("bead diff {id} {} now", told[3]["rev"].as_str().unwrap()));
    assert_eq!(before["changes"].as_array().unwrap().len(), 2);
}

#[test]
fn history_goes_on_behind_a_flatten_where_it_is_kept() {
    let (town, _) = Town::with_rig();
    let id = make(&town, "Pump");
    town.gt_args(&["update", &id, "--title", "Better"]).succeeds();
    town.gt("flatten --rig widgets --force").succeeds();
    town.gt_args(&["update", &id, "--title", "Best"]).succeeds();
    let told = answer(&town, &format!("bead history {id}"));
    assert_eq!(events(&told), ["changed", "changed", "created"]);
}
