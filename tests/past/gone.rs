//! Beads that are deleted and come back.

use serde_json::{Value, json};

use super::{answer, make};
use crate::beads::{create, ids, tip, two_rigs, write};
use crate::machines::Pair;
use crate::race::all_at_once;
use crate::town::{Outcome, Town, text_at};

fn edges(town: &Town, id: &str) -> Value {
    town.show(id).get("dependencies").cloned().unwrap_or_default()
}

fn refused(town: &Town, line: &str, words: &str) -> Outcome {
    let before = (tip(town, "widgets"), tip(town, "gadgets"));
    let outcome = town.gt(line).fails_with(4);
    assert!(outcome.stderr.contains(words), "{words}: {}", outcome.stderr);
    assert_eq!((tip(town, "widgets"), tip(town, "gadgets")), before, "something was written");
    outcome
}

#[test]
fn a_deleted_bead_is_gone_from_every_list_says_who_deleted_it_and_comes_back_as_it_was() {
    let town = two_rigs();
    let id = make(&town, "'Mend the pump' -d 'It leaks' -p 1 -l wet");
    town.gt(&format!("bead comment add {id} brittle")).succeeds();
    let before = town.show(&id);
    let tried = answer(&town, &format!("bead delete {id} --dry-run"));
    assert_eq!((&tried["dry_run"], &tried["deleted"][0]["id"]), (&json!(true), &json!(id)));
    assert_eq!(town.show(&id), before);
    let gone = answer(&town, &format!("bead delete {id} --reason 'filed twice'"));
    assert_eq!(gone, json!({"deleted": [{"id": id, "title": "Mend the pump", "already": false}], "cut": [], "dry_run": false}));
    for line in ["list --all", "ready --all", "bead search pump", "count --all"] {
        assert!(!town.gt(&format!("--json {line}")).succeeds().stdout.contains(&id), "{line}");
    }
    for line in ["show", "update --title x", "close", "bead comment add", "bead dep list"] {
        let (verb, rest) = line.split_once(" --").map_or((line, String::new()), |(verb, rest)| (verb, format!("--{rest}")));
        let text = if verb.ends_with("add") { "text" } else { "" };
        let said = town.gt(&format!("{verb} {id} {text} {rest}")).fails_with(3).stderr;
        assert!(said.contains("deleted by overseer") && said.contains("filed twice"), "{line}: {said}");
        assert!(said.contains(&format!("gt bead restore {id}")), "{line}: {said}");
    }
    assert_eq!(answer(&town, &format!("bead delete {id}"))["deleted"][0]["already"], true);
    town.gt_args(&["create", "Again", "--id", &id, "--rig", "widgets"]).fails_with(4);
    let listed = answer(&town, "bead deleted --all");
    assert_eq!((&listed[0]["id"], &listed[0]["delete_reason"]), (&json!(id), &json!("filed twice")));
    assert!(town.gt("bead deleted --rig widgets").succeeds().stdout.contains("Mend the pump (filed twice)"));
    assert!(town.gt("reindex --check --rig widgets").succeeds().stderr.is_empty());
    assert_eq!(answer(&town, &format!("bead restore {id}"))["restored"][0]["already"], false);
    let after = town.show(&id);
    for field in ["title", "description", "priority", "labels", "comments", "status", "created_at"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(answer(&town, &format!("bead restore {id}"))["restored"][0]["already"], true);
    assert_eq!(answer(&town, "bead deleted --all"), json!([]));
    assert_eq!(ids(town.gt("--json ready --rig widgets")), [id]);
}

#[test]
fn what_others_wait_for_is_deleted_only_by_force_and_restoring_connects_them_again_also_over_scopes() {
    let town = two_rigs();
    let first = make(&town, "First");
    let near = make(&town, &format!("Near --deps {first}"));
    let far = create(&town, &format!("Far --rig gadgets --deps {first}"));
    let kin = make(&town, &format!("Kin --deps related:{first}"));
    let said = refused(&town, &format!("bead delete {first}"), &near);
    assert!(said.stderr.contains(&far) && !said.stderr.contains(&kin), "{}", said.stderr);
    refused(&town, &format!("bead delete {first} --dry-run"), "--force");
    let gone = answer(&town, &format!("bead delete {first} --force"));
    let cut: Vec<&str> = gone["cut"].as_array().unwrap().iter().map(|cut| cut["issue_id"].as_str().unwrap()).collect();
    assert!([&near, &far, &kin].iter().all(|id| cut.contains(&id.as_str())), "{cut:?}");
    for id in [&near, &far, &kin] {
        assert_eq!(edges(&town, id), Value::Null);
    }
    assert_eq!(ids(town.gt("--json ready --rig gadgets")), std::slice::from_ref(&far));
    let back = answer(&town, &format!("bead restore {first}"));
    assert_eq!((back["reconnected"].as_array().unwrap().len(), &back["left_out"]), (3, &json!([])));
    assert_eq!(edges(&town, &far)[0]["depends_on_id"], json!(first));
    assert_eq!(ids(town.gt("--json ready --rig gadgets")), Vec::<String>::new());

    town.gt(&format!("bead delete {first} --force")).succeeds();
    town.gt(&format!("bead dep add {near} {kin}")).succeeds();
    town.gt(&format!("bead delete {near}")).succeeds();
    let back = town.gt(&format!("bead restore {first}")).succeeds().stdout;
    assert!(back.contains(&format!("left out: {near} on {first}")), "{back}");
}

#[test]
fn children_go_only_with_cascade_and_come_back_together() {
    let town = two_rigs();
    let epic = make(&town, "Epic -t epic");
    let child = make(&town, &format!("Child --parent {epic}"));
    let grandchild = make(&town, &format!("Grandchild --parent {child}"));
    refused(&town, &format!("bead delete {epic}"), &child);
    refused(&town, &format!("bead delete {epic} {child}"), &grandchild);
    let gone = answer(&town, &format!("bead delete {epic} --cascade"));
    assert_eq!(gone["deleted"].as_array().unwrap().len(), 3);
    let said = refused(&town, &format!("bead restore {child}"), "the parent of");
    assert!(said.stderr.contains(&format!("gt bead restore {epic} {child}")), "{}", said.stderr);
    assert_eq!(answer(&town, &format!("bead restore {epic} --cascade"))["restored"].as_array().unwrap().len(), 3);
    assert_eq!(answer(&town, &format!("bead children {epic}"))[0]["id"], json!(child));
    town.gt(&format!("bead delete {grandchild}")).succeeds();
    let next = make(&town, &format!("Next --parent {child}"));
    assert_eq!(next, format!("{child}.2"), "the number of a deleted child is not given again");
}

#[test]
fn work_and_what_gt_keeps_for_itself_is_not_deleted() {
    let town = two_rigs();
    let id = make(&town, "Work");
    town.as_agent("mayor").gt(&format!("update {id} --claim")).succeeds();
    refused(&town, &format!("bead delete {id}"), "in_progress by mayor");
    town.gt_args(&["update", &id, "--status", "open"]).succeeds();
    town.gt_args(&["sling", &id, "widgets/polecats/toast", "--no-start"]).succeeds();
    refused(&town, &format!("bead delete {id} --force"), "gt unsling");
    refused(&town, "bead delete wi-widgets-polecat-toast", "kept by gt itself");
    let other = make(&town, "Other");
    refused(&town, &format!("bead delete {other} {id}"), "on the hook");
    town.gt("bead delete wi-nope1").fails_with(3);
    town.gt("bead restore wi-nope1").fails_with(3);
    town.gt("bead delete").fails_with(2);
}

#[test]
fn what_was_archived_is_not_deleted_even_when_it_was_opened_again() {
    let town = two_rigs();
    let id = make(&town, "Old");
    town.gt(&format!("close {id}")).succeeds();
    town.here().var("GT_NOW", "2999-01-01T00:00:00Z").gt("maintain --rig widgets").succeeds();
    assert_eq!(town.show(&id)["archived"], true);
    refused(&town, &format!("bead delete {id}"), "archived");
    town.gt(&format!("bead reopen {id}")).succeeds();
    refused(&town, &format!("bead delete {id}"), "archived once");
}

#[test]
fn damaged_records_beside_it_hinder_nothing_and_a_damaged_tombstone_is_told() {
    let town = two_rigs();
    let (id, other) = (make(&town, "Good"), make(&town, "Other"));
    town.gt(&format!("bead delete {other}")).succeeds();
    let suffix = other.trim_start_matches("wi-");
    let place = format!("tombstones/{}/{}/{other}.json", &suffix[..1], &suffix[1..2]);
    write(&town, "widgets", &place, "{not json");
    town.gt(&format!("show {other}")).fails_with(70);
    town.gt(&format!("bead restore {other}")).fails_with(70);
    let listed = town.gt("bead deleted --rig widgets").succeeds();
    assert!(listed.stderr.contains(&other), "{}", listed.stderr);
    town.gt(&format!("bead delete {id}")).succeeds();
    town.gt(&format!("bead restore {id}")).succeeds();
}

#[test]
fn what_history_no_longer_holds_is_not_restored_and_says_so() {
    let town = two_rigs();
    let id = make(&town, "Lost");
    town.gt(&format!("bead delete {id}")).succeeds();
    let suffix = id.trim_start_matches("wi-");
    let place = format!("tombstones/{}/{}/{id}.json", &suffix[..1], &suffix[1..2]);
    let text = town.git(&town.root.join("widgets"), &["--git-dir", ".repo.git", "show", &format!("refs/gt/ledger:{place}")]);
    let mut stone: Value = serde_json::from_str(&text).unwrap();
    stone["last_record"] = json!("0123456789012345678901234567890123456789");
    write(&town, "widgets", &place, &stone.to_string());
    let said = town.gt(&format!("bead restore {id}")).fails_with(3).stderr;
    assert!(said.contains("no longer holds"), "{said}");
}

#[test]
fn of_many_that_delete_one_bead_one_does_and_the_others_find_it_done() {
    let town = two_rigs();
    let id = make(&town, "Contested");
    let commands = (0..8).map(|_| town.here().command(&["--json", "bead", "delete", &id])).collect();
    let outcomes = all_at_once(commands);
    let told: Vec<bool> = outcomes.into_iter().map(|one| one.json()["deleted"][0]["already"].as_bool().unwrap()).collect();
    assert_eq!(told.iter().filter(|already| !**already).count(), 1, "{told:?}");
    let mixed = vec![
        town.here().command(&["bead", "restore", &id]),
        town.here().command(&["bead", "delete", &id]),
        town.here().command(&["bead", "restore", &id]),
    ];
    for outcome in all_at_once(mixed) {
        outcome.succeeds();
    }
    town.gt("reindex --check --rig widgets").succeeds();
    town.fsck();
}

#[test]
fn a_killed_delete_or_restore_is_finished_by_the_next() {
    let town = two_rigs();
    let first = make(&town, "First");
    let far = create(&town, &format!("Far --rig gadgets --deps {first}"));
    town.here().var("GT_CRASH_AT", "bead.deleted").gt(&format!("bead delete {first} --force")).ends_with(-1);
    let blocked = answer(&town, "blocked --rig gadgets");
    assert!(text_at(&blocked, &["/0/blockers/0/why"]).contains("deleted by overseer"), "{blocked}");
    let again = answer(&town, &format!("bead delete {first} --force"));
    assert_eq!((&again["deleted"][0]["already"], &again["cut"][0]["issue_id"]), (&json!(true), &json!(far)));
    town.here().var("GT_CRASH_AT", "bead.reconnected").gt(&format!("bead restore {first}")).ends_with(-1);
    assert!(town.gt(&format!("show {first}")).fails_with(3).stderr.contains("deleted by"));
    assert!(!ids(town.gt("--json ready --rig gadgets")).contains(&far), "it waits before what it waits for is back");
    let back = answer(&town, &format!("bead restore {first}"));
    assert_eq!((&back["restored"][0]["already"], &back["reconnected"][0]["issue_id"]), (&json!(false), &json!(far)));
    assert_eq!((town.status(&first).as_str(), &edges(&town, &far)[0]["depends_on_id"]), ("open", &json!(first)));
    let told = answer(&town, &format!("bead restore {first}"));
    assert_eq!((&told["restored"][0]["already"], &told["reconnected"]), (&json!(true), &json!([])));
}

#[test]
fn edges_come_back_as_they_were_wherever_they_are() {
    let town = two_rigs();
    let first = make(&town, "First");
    let (near, far) = (make(&town, "Near"), create(&town, "Far --rig gadgets"));
    for id in [&near, &far] {
        town.as_agent("mayor").gt(&format!("bead dep add {id} {first}")).succeeds();
    }
    let before = (edges(&town, &near), edges(&town, &far));
    assert_eq!(before.1[0]["created_by"], "mayor");
    town.gt(&format!("bead delete {first} --force")).succeeds();
    town.gt(&format!("bead restore {first}")).succeeds();
    assert_eq!((edges(&town, &near), edges(&town, &far)), before);
    town.gt(&format!("bead delete {first} --force")).succeeds();
    town.gt("undo").succeeds();
    assert_eq!((edges(&town, &near), edges(&town, &far)), before);
}

#[test]
fn of_many_that_are_deleted_at_once_every_edge_is_cut_and_comes_back() {
    let town = two_rigs();
    let firsts: Vec<String> = (0..6).map(|n| make(&town, &format!("First{n}"))).collect();
    let near = |n: usize| make(&town, &format!("Near --deps {}", firsts[n]));
    let far = |n: usize| create(&town, &format!("Far --rig gadgets --deps {}", firsts[n]));
    let leaning: Vec<String> = (0..6).flat_map(|n| [near(n), far(n)]).collect();
    let before: Vec<Value> = leaning.iter().map(|id| edges(&town, id)).collect();
    let gone = answer(&town, &format!("bead delete {} --force", firsts.join(" ")));
    assert_eq!((gone["deleted"].as_array().unwrap().len(), gone["cut"].as_array().unwrap().len()), (6, 12));
    assert!(leaning.iter().all(|id| edges(&town, id) == Value::Null));
    town.gt(&format!("bead restore {} --cascade", firsts[0])).succeeds();
    assert_eq!(leaning.iter().map(|id| edges(&town, id)).collect::<Vec<_>>(), before);
}

#[test]
fn an_edge_of_another_rig_that_would_close_a_ring_by_now_is_left_out() {
    let town = two_rigs();
    let next = make(&town, "Next");
    let first = make(&town, &format!("First --deps {next}"));
    let far = create(&town, &format!("Far --rig gadgets --deps {first}"));
    town.gt(&format!("bead delete {first} --force")).succeeds();
    town.gt(&format!("bead dep add {next} {far}")).succeeds();
    let back = answer(&town, &format!("bead restore {first}"));
    assert!(text_at(&back, &["/left_out/0"]).contains("wait for itself"), "{back}");
    assert_eq!((town.status(&first).as_str(), edges(&town, &far)), ("open", Value::Null));
    town.gt("bead dep cycles").succeeds();
}

#[test]
fn what_is_deleted_together_over_rigs_holds_nothing_up_and_comes_back_together() {
    let town = two_rigs();
    let first = make(&town, "First");
    let far = create(&town, &format!("Far --rig gadgets --deps {first}"));
    let before = edges(&town, &far);
    let gone = answer(&town, &format!("bead delete {far} {first}"));
    assert_eq!((gone["deleted"].as_array().unwrap().len(), &gone["cut"]), (2, &json!([])));
    town.gt(&format!("bead restore {first} {far}")).succeeds();
    assert_eq!(edges(&town, &far), before);
    let other = create(&town, &format!("Other --rig gadgets --deps {first}"));
    refused(&town, &format!("bead delete {far} {first}"), &other);
}

#[test]
fn archived_children_keep_their_parent_where_it_is() {
    let town = two_rigs();
    let epic = make(&town, "Epic -t epic");
    let (done, open) = (make(&town, &format!("Done --parent {epic}")), make(&town, &format!("Open --parent {epic}")));
    town.gt(&format!("close {done}")).succeeds();
    town.here().var("GT_NOW", "2999-01-01T00:00:00Z").gt("maintain --rig widgets").succeeds();
    assert_eq!(town.show(&done)["archived"], true);
    for line in [format!("bead delete {epic} --cascade"), format!("bead move {epic} ga --cascade")] {
        let said = refused(&town, &line, "archived children").stderr;
        assert!(said.contains(&done) && !said.contains(&open), "{said}");
    }
    town.gt(&format!("bead delete {open}")).succeeds();
}

#[test]
fn restoring_a_parent_tells_what_went_with_it_and_cascade_brings_that_back_at_once_or_later() {
    let town = two_rigs();
    let epic = make(&town, "Epic -t epic");
    let child = make(&town, &format!("Child --parent {epic}"));
    let grandchild = make(&town, &format!("Grandchild --parent {child}"));
    let other = make(&town, "Other");
    town.gt(&format!("bead delete {other}")).succeeds();
    town.gt(&format!("bead delete {epic} --cascade")).succeeds();
    let back = answer(&town, &format!("bead restore {epic}"));
    assert_eq!(back["still_deleted"], json!([child, grandchild]));
    let page = town.gt(&format!("bead restore {epic}")).succeeds().stdout;
    assert!(page.contains(&format!("still deleted: {child}, {grandchild}")), "{page}");
    assert!(page.contains(&format!("gt bead restore {epic} --cascade")), "{page}");
    let back = answer(&town, &format!("bead restore {epic} --cascade"));
    assert_eq!((back["restored"].as_array().unwrap().len(), back.get("still_deleted")), (3, None));
    assert_eq!((town.status(&child), town.status(&grandchild)), ("open".into(), "open".into()));
    town.gt(&format!("show {other}")).fails_with(3);
}

#[test]
fn a_convoy_goes_on_waiting_for_what_was_deleted_and_lands_when_it_comes_back_closed() {
    let town = two_rigs();
    for rig in ["hq", "widgets"] {
        let (id, other) = (create(&town, &format!("Part --rig {rig}")), create(&town, &format!("Part --rig {rig}")));
        town.gt(&format!("close {other}")).succeeds();
        let made = answer(&town, &format!("convoy create Parts {id} {other} --owner mayor"));
        let convoy = text_at(&made, &["/id"]);
        for line in [format!("bead delete {other} --dry-run"), format!("bead delete {other}")] {
            assert_eq!(answer(&town, &line)["tracked"], json!([{"convoy": convoy, "tracks": [other]}]), "{line}");
        }
        let page = town.gt(&format!("bead delete {other}")).succeeds().stdout;
        assert!(page.contains(&format!("gt convoy remove {convoy} {other}")), "{page}");
        town.gt(&format!("close {id}")).succeeds();
        let checked = answer(&town, "convoy check");
        assert_eq!((town.status(&convoy).as_str(), &checked["convoys"][0]["unknown"][0]["id"]), ("open", &json!(other)));
        let before = tip(&town, ".");
        let page = town.gt(&format!("bead restore {other}")).succeeds().stdout;
        assert!(page.contains(&format!("convoy {convoy} has landed")), "{page}");
        assert_eq!(town.status(&convoy), "closed", "{rig}");
        if rig == "hq" {
            assert_eq!(town.git(&town.root, &["--git-dir", ".repo.git", "rev-parse", "refs/gt/ledger^"]), before);
        }
    }
}

#[test]
fn an_edit_on_another_machine_outlives_a_deletion_and_both_are_told() {
    let pair = Pair::new();
    let (edited, both, quiet) = (pair.bead("Edited"), pair.bead("Both"), pair.bead("Quiet"));
    for id in [&edited, &both, &quiet] {
        pair.one.gt(&format!("bead delete {id}")).succeeds();
    }
    pair.two.gt(&format!("bead comment add {edited} 'still needed'")).succeeds();
    pair.two.gt(&format!("bead delete {both}")).succeeds();
    let told = pair.settle();
    assert!(told.contains(&edited), "{told}");
    for town in [&pair.one, &pair.two] {
        assert_eq!(town.show(&edited)["comments"][0]["text"], "still needed");
        town.gt(&format!("show {both}")).fails_with(3);
        town.gt(&format!("show {quiet}")).fails_with(3);
        assert_eq!(answer(town, "bead deleted --rig widgets").as_array().unwrap().len(), 2);
    }
    pair.two.gt(&format!("bead restore {quiet}")).succeeds();
    pair.settle();
    assert_eq!(pair.one.status(&quiet), "open");
}
