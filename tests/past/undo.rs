//! One's last deed, taken back; and what stands in the way.

use serde_json::{Value, json};

use crate::beads::{create, tip, two_rigs};
use crate::machines::Pair;
use crate::race::all_at_once;
use crate::town::Town;

fn make(town: &Town, words: &str) -> String {
    create(town, &format!("{words} --rig widgets"))
}

fn answer(town: &Town, line: &str) -> Value {
    town.gt(&format!("--json {line}")).json()
}

/// All of a bead but what changes with every write.
fn plain(town: &Town, id: &str) -> Value {
    let mut bead = town.show(id);
    for field in ["rev", "revs", "updated_at"] {
        bead.as_object_mut().unwrap().remove(field);
    }
    bead
}

fn refused(town: &Town, words: &str) {
    let before = (tip(town, "widgets"), tip(town, "gadgets"), tip(town, "."));
    for line in ["undo --dry-run", "undo"] {
        let said = town.gt(line).fails_with(4).stderr;
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!((tip(town, "widgets"), tip(town, "gadgets"), tip(town, ".")), before, "something was written");
}

#[test]
fn each_small_deed_is_taken_back_and_a_second_undo_does_it_again() {
    let town = two_rigs();
    let (id, other) = (make(&town, "Pump -l wet"), make(&town, "Other"));
    town.gt(&format!("bead pin {other}")).succeeds();
    town.gt(&format!("bead unpin {other}")).succeeds();
    for line in [
        format!("update {id} --title Better -p 0"),
        format!("update {id} --claim"),
        format!("close {id} --reason done"),
        format!("bead label add {id} urgent"),
        format!("bead label remove {id} wet"),
        format!("bead comment add {id} brittle"),
        format!("bead dep add {id} {other}"),
        format!("bead defer {id}"),
        format!("bead pin {id}"),
        format!("bead duplicate {id} --of {other}"),
        format!("bead supersede {id} --with {other}"),
    ] {
        let before = (plain(&town, &id), plain(&town, &other));
        town.gt(&line).succeeds();
        let after = (plain(&town, &id), plain(&town, &other));
        assert_ne!(after, before, "{line}");
        let tried = answer(&town, "undo --dry-run");
        assert_eq!((plain(&town, &id), plain(&town, &other)), after, "{line}");
        let undone = answer(&town, "undo");
        assert_eq!((&tried["records"], &undone["dry_run"]), (&undone["records"], &json!(false)), "{line}");
        assert_eq!((plain(&town, &id), plain(&town, &other)), before, "{line}");
        town.gt("bead undo").succeeds();
        assert_eq!((plain(&town, &id), plain(&town, &other)), after, "{line}");
        town.gt("undo").succeeds();
    }
    town.gt(&format!("close {id}")).succeeds();
    town.gt(&format!("bead reopen {id} --reason again")).succeeds();
    let page = town.gt("undo").succeeds().stdout;
    assert!(page.contains("undid: reopen") && page.contains("status: open → closed"), "{page}");
    assert_eq!(town.status(&id), "closed");
}

#[test]
fn what_was_made_is_gone_what_was_deleted_is_back_and_the_other_way_round() {
    let town = two_rigs();
    let far = create(&town, "Far --rig gadgets");
    let id = make(&town, "Pump");
    assert_eq!(answer(&town, "undo")["records"][0]["what"], "gone");
    assert!(town.gt(&format!("show {id}")).fails_with(3).stderr.contains("undone"));
    town.gt("undo").succeeds();
    assert_eq!(town.status(&id), "open");
    town.gt(&format!("bead dep add {far} {id}")).succeeds();
    let near = make(&town, &format!("Near --deps {id}"));
    let before = (plain(&town, &id), plain(&town, &near), plain(&town, &far));
    town.gt(&format!("bead delete {id} --force")).succeeds();
    town.gt("undo").succeeds();
    let after = (plain(&town, &id), plain(&town, &near), plain(&town, &far));
    assert_eq!((&after.0, &after.1), (&before.0, &before.1));
    assert_eq!(after.2["dependencies"][0]["depends_on_id"], json!(id), "edges of other rigs are there again");
    town.gt(&format!("bead delete {id} --force")).succeeds();
    town.gt(&format!("bead restore {id}")).succeeds();
    town.gt("undo").succeeds();
    assert!(town.gt(&format!("show {id}")).fails_with(3).stderr.contains("deleted by overseer"));
    assert_eq!(plain(&town, &far).get("dependencies"), None);
}

#[test]
fn what_something_was_built_on_is_not_undone_and_what_it_is_is_said() {
    let town = two_rigs();
    let id = make(&town, "Pump");
    let as_mayor = |line: String| town.as_agent("mayor").gt(&line).succeeds();
    as_mayor(format!("update {id} -p 0"));
    refused(&town, "changed since by mayor: update");
    let (next, child) = (make(&town, "Next"), format!("Child --parent {id} --rig widgets"));
    as_mayor(format!("bead dep add {id} {next}"));
    refused(&town, &format!("{id} lean on {next}"));
    let parent = make(&town, "Parent");
    as_mayor(format!("create {} --rig widgets --parent {parent}", child.split(' ').next().unwrap()));
    refused(&town, &format!("lean on {parent}"));
    let far = make(&town, "'From afar'");
    as_mayor(format!("create Far --rig gadgets --deps {far}"));
    refused(&town, &format!("lean on {far}"));
    let kept = make(&town, "Kept");
    let gone = make(&town, &format!("Gone --deps {kept}"));
    town.gt(&format!("bead dep remove {gone} {kept}")).succeeds();
    as_mayor(format!("bead delete {kept}"));
    refused(&town, &format!("{kept} is deleted"));
}

#[test]
fn work_that_was_given_or_handed_in_names_the_verb_that_reverses_it() {
    let town = two_rigs();
    let id = make(&town, "Pump");
    town.gt_args(&["sling", &id, "widgets/polecats/toast", "--no-start"]).succeeds();
    refused(&town, "sling is not undone");
    assert!(town.gt("undo").fails_with(4).stderr.contains(&format!("gt unsling {id}")));
    assert!(town.as_agent("mayor").gt("undo").fails_with(3).stderr.contains("did nothing here"));
}

#[test]
fn an_unread_letter_is_taken_back_also_from_another_scope_and_a_read_one_stays() {
    let town = two_rigs();
    let inbox = |who: &str| town.gt(&format!("inbox {who}")).succeeds().stdout;
    for who in ["mayor", "widgets/witness"] {
        town.gt(&format!("send {who} -s Hello -m text")).succeeds();
        assert!(inbox(who).contains("Hello"));
        town.gt("undo --dry-run").succeeds();
        assert!(town.gt("undo").succeeds().stdout.contains("Hello to"));
        assert!(!inbox(who).contains("Hello"), "{who}");
        town.gt("undo").succeeds();
        assert!(inbox(who).contains("Hello"), "{who}");
        town.gt("undo").succeeds();
    }
    for who in ["mayor", "widgets/witness"] {
        town.gt(&format!("send {who} -s Hello -m text")).succeeds();
        town.as_agent(who).gt("mail read 1").succeeds();
        assert!(town.gt("undo").fails_with(4).stderr.contains("read"));
        assert!(inbox(who).contains("Hello"), "{who}");
    }
}

#[test]
fn what_other_machines_may_have_is_not_undone() {
    let pair = Pair::new();
    let id = pair.bead("Pump");
    pair.one.gt(&format!("update {id} -p 0")).succeeds();
    pair.one.gt("sync").succeeds();
    assert!(pair.one.gt("undo").fails_with(4).stderr.contains("synced already"));
    pair.one.gt(&format!("update {id} -p 1")).succeeds();
    pair.one.gt("undo").succeeds();
    assert_eq!(pair.one.show(&id)["priority"], 0);
    pair.settle();
    assert_eq!(pair.two.show(&id)["priority"], 0);
    pair.two.gt(&format!("bead comment add {id} theirs")).succeeds();
    pair.settle();
    pair.one.gt(&format!("bead label add {id} ours")).succeeds();
    pair.one.gt("undo").succeeds();
    assert_eq!(pair.one.show(&id).get("labels"), None);
}

#[test]
fn of_many_undos_at_once_each_takes_the_deed_that_it_finds_and_nothing_is_torn() {
    let town = two_rigs();
    let id = make(&town, "Pump");
    town.gt(&format!("update {id} --title Better")).succeeds();
    let commands = (0..6).map(|_| town.here().command(&["undo"])).collect();
    for outcome in all_at_once(commands) {
        assert!([0, 4].contains(&outcome.code), "{}{}", outcome.stdout, outcome.stderr);
    }
    assert!(["Pump", "Better"].contains(&town.show(&id)["title"].as_str().unwrap()));
    town.gt("reindex --check --rig widgets").succeeds();
    town.fsck();
}
