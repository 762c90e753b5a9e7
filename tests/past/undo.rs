//! One's last deed, taken back; and what stands in the way.

use serde_json::{Value, json};

use super::{answer, make};
use crate::beads::{create, tip, two_rigs};
use crate::machines::Pair;
use crate::race::all_at_once;
use crate::town::{Town, text_at};

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
        format!("bead state {id} patrol=muted --reason loud"),
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
        let record = undone["records"].as_array().unwrap().iter().find(|record| record["id"] == json!(id)).unwrap();
        assert_eq!(record["what"], "changed", "{line}");
        assert!(!record["changes"].as_array().unwrap().is_empty(), "{line}");
        assert_eq!((plain(&town, &id), plain(&town, &other)), before, "{line}");
        town.gt("bead undo").succeeds();
        assert_eq!((plain(&town, &id), plain(&town, &other)), after, "{line}");
        town.gt("undo").succeeds();
    }
    town.gt(&format!("close {id}")).succeeds();
    town.gt(&format!("bead reopen {id} --reason again")).succeeds();
    let page = town.gt("undo").succeeds().stdout;
    assert!(page.contains("undid: reopen") && page.contains("status: open → closed"), "{page}");
    let closed = town.show(&id);
    assert_eq!((&closed["status"], closed.get("comments")), (&json!("closed"), None), "the reason is gone with it");
    let before = plain(&town, &id);
    town.here().var("EDITOR", "sed -i s/Pump/Tank/").gt(&format!("bead edit {id} --title")).succeeds();
    assert_eq!(town.show(&id)["title"], "Tank");
    town.gt("undo").succeeds();
    assert_eq!(plain(&town, &id), before);
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
    assert_eq!(after, before, "edges of other rigs are as they were, too");
    town.gt(&format!("bead delete {id} --force")).succeeds();
    town.here().var("GT_CRASH_AT", "undo.reconnected").gt("undo").ends_with(-1);
    let blocked = answer(&town, "blocked --rig gadgets");
    assert_eq!(blocked[0]["id"], json!(far), "it waits for what is not back yet");
    assert_eq!(answer(&town, "undo")["left_out"], json!([]));
    assert_eq!((plain(&town, &id), plain(&town, &near), plain(&town, &far)), before);
    town.gt(&format!("bead delete {id} --force")).succeeds();
    town.gt(&format!("bead restore {id}")).succeeds();
    town.gt("undo").succeeds();
    assert!(town.gt(&format!("show {id}")).fails_with(3).stderr.contains("deleted by overseer"));
    for lone in [&near, &far] {
        assert_eq!(plain(&town, lone).get("dependencies"), None);
    }
    town.gt(&format!("bead restore {id}")).succeeds();
    assert_eq!((plain(&town, &id), plain(&town, &near), plain(&town, &far)), before);
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
    let has_letter = |who: &str| town.gt(&format!("inbox {who}")).succeeds().stdout.contains("Hello");
    for who in ["mayor", "widgets/witness"] {
        town.gt(&format!("send {who} -s Hello -m text")).succeeds();
        let tried = answer(&town, "undo --dry-run");
        assert!(has_letter(who), "{who}: it was only tried");
        let undone = answer(&town, "undo");
        assert_eq!((&undone["records"], &undone["records"][0]["what"]), (&tried["records"], &json!("gone")));
        assert_eq!(undone["records"][0]["title"], json!(format!("Hello to {who}")));
        assert!(!has_letter(who), "{who}");
        town.gt("undo").succeeds();
        assert!(has_letter(who), "{who}");
        town.gt("undo").succeeds();
        assert!(!has_letter(who), "{who}");
    }
    for who in ["mayor", "widgets/witness"] {
        town.gt(&format!("send {who} -s Hello -m text")).succeeds();
        town.as_agent(who).gt("mail read 1").succeeds();
        refused(&town, "read");
        assert!(has_letter(who), "{who}");
    }
}

#[test]
fn a_letter_to_two_scopes_is_taken_back_from_both_or_from_none() {
    let both = ["mayor", "widgets/witness"];
    for reader in both {
        let town = two_rigs();
        town.gt("send mayor --cc widgets/witness -s Both -m text").succeeds();
        town.gt("undo").succeeds();
        for who in both {
            assert!(!town.gt(&format!("inbox {who}")).succeeds().stdout.contains("Both"), "{who}");
        }
        town.gt("send mayor --cc widgets/witness -s Both -m text").succeeds();
        town.as_agent(reader).gt("mail read 1").succeeds();
        refused(&town, "read");
        for who in both {
            assert!(town.gt(&format!("inbox {who}")).succeeds().stdout.contains("Both"), "{who}: all stay, or none");
        }
    }
}

#[test]
fn claims_that_are_extended_or_run_out_meanwhile_hold_nothing_up() {
    let town = two_rigs();
    let (id, other) = (make(&town, "Pump"), make(&town, "Other"));
    let at = |time: &str| town.as_agent("mayor").var("GT_NOW", &format!("2026-01-01T00:{time}:00Z"));
    at("00").gt(&format!("update {id} --claim --lease 10m")).succeeds();
    at("01").gt(&format!("update {id} --title Better")).succeeds();
    let before = town.show(&id);
    at("08").gt("mail check").ends_with(1);
    let extended = town.show(&id)["lease_until"].clone();
    assert_ne!(extended, before["lease_until"]);
    at("09").gt("undo").succeeds();
    let after = town.show(&id);
    assert_eq!((&after["title"], &after["lease_until"]), (&json!("Pump"), &extended), "the claim goes on");
    town.gt(&format!("update {other} --title Last")).succeeds();
    town.here().var("GT_NOW", "2026-01-02T00:00:00Z").gt("maintain --rig widgets").succeeds();
    assert_eq!((town.status(&id).as_str(), town.show(&id).get("lease_until")), ("open", None), "it ran out");
    town.gt("undo").succeeds();
    assert_eq!(town.show(&other)["title"], "Other");
}

#[test]
fn what_an_undo_closes_again_lands_its_convoys() {
    let town = two_rigs();
    for rig in ["hq", "widgets", "gadgets"] {
        let (id, other) = (create(&town, &format!("Part --rig {rig}")), create(&town, &format!("Part --rig {rig}")));
        let made = town.as_agent("mayor").gt(&format!("--json convoy create Parts {id} {other}")).json();
        let convoy = text_at(&made, &["/id"]);
        town.gt(&format!("close {id}")).succeeds();
        town.gt("undo").succeeds();
        town.as_agent("mayor").gt(&format!("close {other}")).succeeds();
        assert_eq!((town.status(&id).as_str(), town.status(&convoy).as_str()), ("open", "open"));
        let before = tip(&town, ".");
        town.gt("undo --dry-run").succeeds();
        assert_eq!(tip(&town, "."), before);
        let page = town.gt("undo").succeeds().stdout;
        assert!(page.contains(&format!("convoy {convoy} has landed")), "{page}");
        assert_eq!((town.status(&id).as_str(), town.status(&convoy).as_str()), ("closed", "closed"), "{rig}");
        if rig == "hq" {
            assert_eq!(town.git(&town.root, &["--git-dir", ".repo.git", "rev-parse", "refs/gt/ledger^"]), before);
            town.gt("undo").succeeds();
            assert_eq!((town.status(&id).as_str(), town.status(&convoy).as_str()), ("open", "open"), "one transaction");
        } else {
            refused(&town, &format!("convoy {convoy} landed with it"));
        }
    }
}

#[test]
fn a_restore_is_undone_though_a_convoy_tracks_the_bead() {
    let town = two_rigs();
    let id = make(&town, "Part");
    let convoy = text_at(&town.as_agent("mayor").gt(&format!("--json convoy create Parts {id}")).json(), &["/id"]);
    town.gt(&format!("bead delete {id}")).succeeds();
    town.gt(&format!("bead restore {id}")).succeeds();
    town.gt("undo").succeeds();
    assert!(town.gt(&format!("show {id}")).fails_with(3).stderr.contains("deleted by"));
    assert_eq!(town.show(&convoy)["dependencies"][0]["depends_on_id"], json!(id));
}

#[test]
fn what_other_machines_may_have_is_not_undone() {
    let pair = Pair::new();
    let id = pair.bead("Pump");
    pair.one.gt(&format!("update {id} -p 0")).succeeds();
    pair.one.gt("sync").succeeds();
    assert!(pair.one.gt("undo").fails_with(4).stderr.contains("synced already"));
    assert_eq!(pair.one.show(&id)["priority"], 0);
    pair.one.gt(&format!("update {id} -p 1")).succeeds();
    pair.one.gt("undo").succeeds();
    assert_eq!(pair.one.show(&id)["priority"], 0);
    pair.settle();
    assert_eq!(pair.two.show(&id)["priority"], 0);
    pair.two.gt(&format!("bead comment add {id} theirs")).succeeds();
    pair.settle();
    pair.one.gt(&format!("bead label add {id} ours")).succeeds();
    pair.one.gt("undo").succeeds();
    let now = pair.one.show(&id);
    assert_eq!((now.get("labels"), &now["comments"][0]["text"]), (None, &json!("theirs")));
}

#[test]
fn of_many_undos_at_once_each_takes_the_deed_that_it_finds_and_nothing_is_torn() {
    let town = two_rigs();
    let id = make(&town, "Pump");
    town.gt(&format!("update {id} --title Better")).succeeds();
    let commands = (0..6).map(|_| town.here().command(&["undo"])).collect();
    let mut done = 0;
    for outcome in all_at_once(commands) {
        assert!([0, 4].contains(&outcome.code), "{}{}", outcome.stdout, outcome.stderr);
        done += usize::from(outcome.code == 0);
    }
    assert!(done > 0);
    // Each takes back what the one before it did.
    assert_eq!(town.show(&id)["title"], ["Better", "Pump"][done % 2]);
    let history = answer(&town, &format!("bead history {id}"));
    assert_eq!(history.as_array().unwrap().iter().filter(|one| one["op"] == "undo").count(), done);
    town.gt("reindex --check --rig widgets").succeeds();
    town.fsck();
}
