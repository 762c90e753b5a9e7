//! The small verbs on beads: marks that they set, overviews that they give, and what they refuse.

use serde_json::{Value, json};

use crate::beads::{create, ids, tip, two_rigs};
use crate::race::all_at_once;
use crate::town::Town;

/// A bead of the rig `widgets`.
fn make(town: &Town, words: &str) -> String {
    create(town, &format!("{words} --rig widgets"))
}

fn answer(town: &Town, line: &str) -> Value {
    town.gt(&format!("--json {line}")).json()
}

#[test]
fn blocked_names_what_is_in_the_way_also_over_scopes_and_through_parents() {
    let town = two_rigs();
    let far = create(&town, "Far --rig gadgets");
    let first = make(&town, "First");
    let epic = make(&town, &format!("Epic -t epic --deps {first}"));
    let child = make(&town, &format!("Child --parent {epic} --deps {far}"));
    let held = make(&town, "Held -p 4");
    town.gt(&format!("update {held} --status blocked")).succeeds();
    let rows = answer(&town, "blocked --rig widgets");
    assert_eq!(ids(town.gt("--json blocked --rig widgets")), [epic.as_str(), &child, &held]);
    assert_eq!(rows[0]["blocked_by"], json!([first]));
    assert_eq!(rows[1]["blocked_by"], json!([far, first]));
    assert_eq!((rows[1]["blocked_by_count"].as_u64(), rows[2]["blocked_by_count"].as_u64()), (Some(2), Some(0)));
    let page = town.gt("blocked --rig widgets").succeeds().stdout;
    assert!(page.contains(&format!("by {first}: it is open (through {epic})")) && page.contains("by hand"), "{page}");
    assert_eq!(ids(town.gt("--json bead blocked --all -t epic")), std::slice::from_ref(&epic));
    let some = town.gt("--json blocked --all -n 1").succeeds();
    assert!(some.stderr.contains("1 of 3"), "{}", some.stderr);
    town.gt(&format!("close {first} {far}")).succeeds();
    assert_eq!(ids(town.gt("--json blocked --all")), [held]);
    assert_eq!(town.gt("blocked --rig gadgets").succeeds().stdout, "");
    town.gt("blocked --rig nowhere").fails_with(3);
}

#[test]
fn a_bead_is_assigned_to_somebody_known_and_not_taken_from_who_works_on_it() {
    let town = two_rigs();
    let id = make(&town, "Work");
    assert_eq!(answer(&town, &format!("bead assign {id} mayor"))[0]["assignee"], "mayor");
    town.gt_args(&["bead", "assign", &id, ""]).succeeds();
    assert_eq!(town.show(&id).get("assignee"), None);
    town.as_agent("deacon").gt(&format!("update {id} --claim")).succeeds();
    let before = tip(&town, "widgets");
    assert!(town.gt(&format!("bead assign {id} mayor")).fails_with(4).stderr.contains("by deacon"));
    assert!(town.gt(&format!("bead assign {id} mayr")).fails_with(2).stderr.contains("mayor"));
    assert_eq!(tip(&town, "widgets"), before);
}

#[test]
fn labels_are_added_taken_away_and_listed() {
    let town = two_rigs();
    let (a, b) = (make(&town, "A"), make(&town, "B -l wet"));
    let added = answer(&town, &format!("bd label add {a} {b} wet"));
    assert_eq!(added[0], json!({"status": "added", "issue_id": a, "label": "wet"}));
    assert_eq!(added[1]["status"], "already-there");
    town.gt(&format!("bead label add {a} cold")).succeeds();
    assert_eq!(answer(&town, &format!("bead label list {a}")), json!(["cold", "wet"]));
    let all = answer(&town, "bead label list-all --rig widgets");
    assert_eq!(all, json!([{"label": "cold", "count": 1}, {"label": "wet", "count": 2}]));
    assert_eq!(answer(&town, &format!("bead label remove {b} wet"))[0]["status"], "removed");
    assert_eq!(answer(&town, &format!("bead label rm {b} wet"))[0]["status"], "not-there");
    let before = tip(&town, "widgets");
    town.gt(&format!("bead label add {a} a,b")).fails_with(2);
    town.gt(&format!("bead label add {a}")).fails_with(2);
    town.gt("bead label add wi-nope1 x").fails_with(3);
    assert_eq!(tip(&town, "widgets"), before);
}

#[test]
fn remarks_are_made_and_listed_as_the_bd_tool_names_it() {
    let town = two_rigs();
    let id = make(&town, "Work");
    let said = answer(&town, &format!("bd comment {id} The seal 'is brittle'"));
    assert_eq!((said["text"].as_str(), said["issue_id"].as_str()), (Some("The seal is brittle"), Some(id.as_str())));
    std::fs::write(town.root.join("mayor/said.md"), "Größe\nprüfen\n").unwrap();
    town.as_agent("mayor").gt(&format!("bd comments add {id} -f said.md")).succeeds();
    let all = answer(&town, &format!("bd comments {id}"));
    assert_eq!((all[1]["text"].as_str(), all[1]["author"].as_str()), (Some("Größe\nprüfen"), Some("mayor")));
    assert_eq!(all, answer(&town, &format!("bead comment list {id}")));
    let page = town.gt(&format!("bead comment list {id}")).succeeds().stdout;
    assert!(page.contains("overseer said") && page.contains("  prüfen"), "{page}");
    let before = tip(&town, "widgets");
    town.gt(&format!("bead comment add {id} ' '")).fails_with(2);
    town.gt(&format!("bead comment add {id}")).fails_with(2);
    town.gt(&format!("bead comment add {id} -f nowhere.md")).fails_with(3);
    assert_eq!(tip(&town, "widgets"), before);
}

#[test]
fn what_is_deferred_comes_back_at_its_time_or_when_it_is_taken_up() {
    let town = two_rigs();
    let (a, b) = (make(&town, "A"), make(&town, "B"));
    let put_aside = answer(&town, &format!("bead defer {a} --until 2999-01-01"));
    assert_eq!((put_aside[0]["status"].as_str(), put_aside[0]["defer_until"].is_string()), (Some("deferred"), true));
    town.gt(&format!("bead defer {b}")).succeeds();
    assert_eq!(ids(town.gt("--json ready --rig widgets")), Vec::<String>::new());
    let later = town.here().var("GT_NOW", "2999-01-02T00:00:00Z");
    assert_eq!(ids(later.gt("--json ready --rig widgets")), std::slice::from_ref(&a), "the time of the other never comes");
    later.gt(&format!("update {b} --claim")).fails_with(4);
    later.gt(&format!("update {a} --claim")).succeeds();
    assert_eq!((town.status(&a).as_str(), town.show(&a).get("defer_until")), ("in_progress", None));
    assert_eq!(answer(&town, &format!("bead undefer {b}"))[0]["status"], "open");
    town.gt(&format!("bead undefer {b}")).succeeds();
    let before = tip(&town, "widgets");
    assert!(town.gt(&format!("bead undefer {a}")).fails_with(4).stderr.contains("not deferred"));
    town.gt(&format!("bead defer {a}")).fails_with(4);
    town.gt(&format!("bead defer {b} --until 2001-01-01")).fails_with(2);
    assert_eq!(tip(&town, "widgets"), before);
}

#[test]
fn what_was_deferred_can_be_slung_when_its_time_has_come() {
    let (town, rig) = Town::with_rig();
    let id = town.bead(&rig, "Work");
    town.gt(&format!("bead defer {id} --until 2999-01-01")).succeeds();
    town.gt(&format!("sling {id} --no-start")).fails_with(4);
    town.here().var("GT_NOW", "2999-01-02T00:00:00Z").gt(&format!("sling {id} --no-start")).succeeds();
    assert_eq!(town.status(&id), "hooked");
}

#[test]
fn a_pinned_bead_is_never_ready_until_it_is_unpinned() {
    let town = two_rigs();
    let id = make(&town, "Rules");
    assert_eq!(answer(&town, &format!("bead pin {id}"))[0]["status"], "pinned");
    assert_eq!(ids(town.gt("--json ready --rig widgets")), Vec::<String>::new());
    town.gt(&format!("close {id}")).fails_with(4);
    town.gt(&format!("bead unpin {id}")).succeeds();
    assert_eq!(ids(town.gt("--json ready --rig widgets")), std::slice::from_ref(&id));
    town.gt(&format!("close {id}")).succeeds();
    town.gt(&format!("bead pin {id}")).fails_with(4);
    town.gt(&format!("bead unpin {id}")).fails_with(4);
}

#[test]
fn of_two_that_are_closed_for_each_other_at_once_one_stays() {
    let town = two_rigs();
    for verb in ["duplicate", "supersede"] {
        for other in ["widgets", "gadgets"] {
            let (a, b) = (create(&town, "One --rig widgets"), create(&town, &format!("Other --rig {other}")));
            let flag = if verb == "duplicate" { "--of" } else { "--with" };
            let pairs = [(&a, &b), (&b, &a), (&a, &b), (&b, &a)];
            let outcomes =
                all_at_once(pairs.map(|(one, for_other)| town.here().command(&["bead", verb, one, flag, for_other])).into());
            assert!(outcomes.iter().any(|one| one.code == 0) && outcomes.iter().any(|one| one.code == 4), "{verb} over {other}");
            let mut statuses = [town.status(&a), town.status(&b)];
            statuses.sort();
            assert_eq!(statuses, ["closed", "open"], "{verb} over {other}");
        }
    }
}

#[test]
fn a_duplicate_and_what_is_superseded_are_closed_and_connected() {
    let town = two_rigs();
    let (a, b) = (make(&town, "A"), make(&town, "B"));
    let far = create(&town, "Far --rig gadgets");
    let done = answer(&town, &format!("bead duplicate {b} --of {a}"));
    assert_eq!(done, json!({"duplicate": b, "canonical": a, "status": "closed"}));
    let closed = town.show(&b);
    assert_eq!(
        (closed["dependencies"][0]["type"].as_str(), closed["dependencies"][0]["depends_on_id"].as_str()),
        (Some("duplicates"), Some(a.as_str()))
    );
    assert!(closed["close_reason"].as_str().unwrap().contains(&a));
    assert!(
        town.gt(&format!("bead duplicate {a} --of {b}")).fails_with(4).stderr.contains("already"),
        "one of the two must stay"
    );
    town.gt(&format!("bead duplicate {a} --of {a}")).fails_with(4);
    let done = answer(&town, &format!("bead supersede {a} --with {far}"));
    assert_eq!(done, json!({"superseded": a, "replacement": far, "status": "closed"}));
    assert_eq!(town.show(&far)["dependencies"][0]["type"], "supersedes");
    town.gt(&format!("bead supersede {far} --with {a}")).fails_with(4);
    assert_eq!(town.status(&far), "open");
    // What may not be closed is not connected either.
    let pinned = make(&town, "Pinned");
    town.gt(&format!("bead pin {pinned}")).succeeds();
    let before = (tip(&town, "widgets"), tip(&town, "gadgets"));
    town.gt(&format!("bead supersede {pinned} --with {far}")).fails_with(4);
    town.gt(&format!("bead duplicate {pinned} --of {far}")).fails_with(4);
    assert_eq!((tip(&town, "widgets"), tip(&town, "gadgets")), before);
}

#[test]
fn an_epic_is_as_far_as_its_children_archived_ones_too() {
    let town = two_rigs();
    let epic = make(&town, "Epic -t epic");
    make(&town, "'Without children' -t epic");
    let parts: Vec<String> = (0..3).map(|n| make(&town, &format!("'Part {n}' --parent {epic}"))).collect();
    town.gt(&format!("close {}", parts[0])).succeeds();
    let now = answer(&town, &format!("bead epic status {epic}"));
    assert_eq!((now[0]["total_children"].as_u64(), now[0]["closed_children"].as_u64()), (Some(3), Some(1)));
    assert_eq!((now[0]["epic"]["id"].as_str(), now[0]["eligible_for_close"].as_bool()), (Some(epic.as_str()), Some(false)));
    assert!(town.gt("bead epic status --rig widgets").succeeds().stdout.contains("1/3"));
    assert_eq!(ids(town.gt(&format!("--json bead children {epic}"))), parts.as_slice(), "closed ones too");
    assert_eq!(answer(&town, "bead epic close-eligible --all"), json!([]));
    town.gt(&format!("close {} {}", parts[1], parts[2])).succeeds();
    assert_eq!(answer(&town, "bead epic close-eligible --all --dry-run").as_array().unwrap().len(), 1);
    assert_eq!(town.status(&epic), "open");
    assert_eq!(ids(town.gt("--json bead epic close-eligible --all")), std::slice::from_ref(&epic));
    assert_eq!((town.status(&epic).as_str(), answer(&town, "bead epic status --all --eligible-only")), ("closed", json!([])));
    town.gt(&format!("bead epic status {}", parts[0])).fails_with(4);
    town.gt("bead epic status wi-nope1").fails_with(3);
    town.gt("bead children wi-nope1").fails_with(3);
    let later = town.here().var("GT_NOW", "2999-01-02T00:00:00Z");
    later.gt("maintain --rig widgets").succeeds();
    assert_eq!(town.show(&parts[0])["archived"], true);
    assert_eq!(answer(&town, &format!("bead epic status {epic}"))[0]["closed_children"], 3);
    assert_eq!(ids(town.gt(&format!("--json bead children {epic}"))).len(), 3);
    assert_eq!(answer(&town, "count --rig widgets")["count"], 5, "archived ones are counted");
    town.gt(&format!("bead label add {} x", parts[0])).fails_with(4);
}

#[test]
fn beads_are_counted_by_what_they_share() {
    let town = two_rigs();
    let a = make(&town, "A -t bug -p 0 -l x,y --assignee mayor");
    make(&town, "B -l x");
    make(&town, "C");
    create(&town, "Far --rig gadgets");
    town.gt(&format!("close {a}")).succeeds();
    assert_eq!(answer(&town, "count --rig widgets"), json!({"count": 3}));
    assert_eq!(town.gt("bead count --all").succeeds().stdout, "4\n");
    assert_eq!(answer(&town, "count --all -t bug")["count"], 1);
    assert_eq!(answer(&town, "count --all --status open")["count"], 3);
    let by = |field: &str| answer(&town, &format!("count --rig widgets {field}"));
    let groups =
        |pairs: &[(&str, u64)]| -> Value { pairs.iter().map(|(group, count)| json!({"group": group, "count": count})).collect() };
    assert_eq!(by("--by-status"), json!({"total": 3, "groups": groups(&[("closed", 1), ("open", 2)])}));
    assert_eq!(by("--by type")["groups"], groups(&[("bug", 1), ("task", 2)]));
    assert_eq!(by("--by-priority")["groups"], groups(&[("P0", 1), ("P2", 2)]));
    assert_eq!(by("--by-assignee")["groups"], groups(&[("(unassigned)", 2), ("mayor", 1)]));
    assert_eq!(by("--by-label")["groups"], groups(&[("(no labels)", 1), ("x", 2), ("y", 1)]));
    assert!(town.gt("count --all --by-type").succeeds().stdout.contains("in all"));
    town.gt("count --by colour").fails_with(2);
    town.gt("count --by-type --by-label").fails_with(2);
    town.gt("count --status lost").fails_with(2);
}

#[test]
fn stale_is_what_ought_to_move_and_did_not() {
    let town = two_rigs();
    let at = |day: u32, line: &str| {
        let outcome = town.here().var("GT_NOW", &format!("2026-01-{day:02}T00:00:00Z")).gt(&format!("--json {line}"));
        outcome.json()
    };
    let id = |made: Value| made["id"].as_str().unwrap().to_owned();
    let old = id(at(1, "create Old --rig widgets"));
    let older = id(at(1, "create Older --rig widgets"));
    let fresh = id(at(1, "create Fresh --rig widgets"));
    let pinned = id(at(1, "create Pinned --rig widgets"));
    at(1, &format!("bead pin {pinned}"));
    at(2, &format!("update {old} -p 1"));
    at(20, &format!("update {fresh} -p 1"));
    let listed = |line: &str| -> Vec<String> {
        let rows = at(25, line);
        rows.as_array().unwrap().iter().map(|bead| bead["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed("stale --days 10 --rig widgets"), [older.clone(), old.clone()]);
    assert_eq!(listed("stale --days 10 -p 1 --all"), [old]);
    assert_eq!(listed("bead stale --rig widgets"), Vec::<String>::new(), "thirty days when nothing is said");
    assert_eq!(listed("stale --days 10 --rig widgets --status pinned"), [pinned]);
    assert_eq!(listed("stale --days 10 --rig widgets -n 1"), [older]);
    town.gt("stale --days many").fails_with(2);
}

#[test]
fn a_tree_of_dependencies_grows_both_ways_over_scopes_and_ends_in_a_ring() {
    let town = two_rigs();
    let far = create(&town, "Far --rig gadgets");
    let low = make(&town, &format!("Low --deps {far}"));
    let left = make(&town, &format!("Left --deps {low}"));
    let top = make(&town, &format!("Top --deps {left},waits-for:{low}"));
    let child = make(&town, &format!("Child --parent {top}"));
    town.gt(&format!("bead dep add {far} {top} --kind validates")).succeeds();
    town.gt(&format!("bead dep add {top} {child} --kind related")).succeeds();
    let nodes = |line: &str| -> Vec<(String, u64)> {
        let rows = answer(&town, &format!("bead dep tree {line}"));
        rows.as_array()
            .unwrap()
            .iter()
            .map(|one| (one["id"].as_str().unwrap().to_owned(), one["depth"].as_u64().unwrap()))
            .collect()
    };
    let pairs =
        |pairs: &[(&String, u64)]| -> Vec<(String, u64)> { pairs.iter().map(|(id, depth)| ((*id).clone(), *depth)).collect() };
    let down = pairs(&[(&top, 0), (&left, 1), (&low, 2), (&far, 3), (&top, 4), (&low, 1)]);
    assert_eq!(nodes(&top), down);
    assert_eq!(nodes(&child)[1], (top.clone(), 1), "a child depends on its parent");
    assert!(nodes(&format!("{top} --direction up")).contains(&(child, 1)));
    assert_eq!(nodes(&format!("{far} --direction up --max-depth 1")), pairs(&[(&far, 0), (&low, 1)]));
    assert_eq!(nodes(&format!("{top} --direction both --depth 1")).iter().filter(|(_, depth)| *depth == 0).count(), 2);
    let rows = answer(&town, &format!("bead dep tree {top}"));
    assert_eq!((rows[1]["parent_id"].as_str(), rows[1]["edge_from_parent"].as_str()), (Some(top.as_str()), Some("blocks")));
    assert_eq!((rows[4]["repeated"].as_bool(), rows[5]["repeated"].as_bool()), (Some(true), Some(true)));
    let cut = answer(&town, &format!("bead dep tree {top} -d 1"));
    assert_eq!((cut[1]["truncated"].as_bool(), cut.as_array().unwrap().len()), (Some(true), 3));
    let page = town.gt(&format!("bead dep tree {top}")).succeeds().stdout;
    for line in [
        format!("├── blocks {left} (open): Left"),
        format!("│   └── blocks {low} (open): Low"),
        format!("│       └── blocks {far} (open): Far"),
        format!("└── waits-for {low} (open): Low  (see above)"),
    ] {
        assert!(page.lines().any(|one| one == line), "{line} is missing in\n{page}");
    }
    town.gt("bead dep tree wi-nope1").fails_with(3);
    town.gt(&format!("bead dep tree {top} --direction sideways")).fails_with(2);
    town.gt(&format!("bead dep tree {top} --depth 0")).fails_with(2);
    std::fs::rename(town.root.join("gadgets"), town.root.join("elsewhere")).unwrap();
    assert!(town.gt(&format!("bead dep tree {top}")).succeeds().stdout.contains(&format!("{far}, which cannot be read")));
}
