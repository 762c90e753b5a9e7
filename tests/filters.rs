//! Filters, orders and templates of lists, the same for every verb that lists or counts.

use serde_json::{Value, json};

use crate::beads::{bead_path, create, ids, put, tip, two_rigs, write};
use crate::town::Town;

fn make(town: &Town, words: &str) -> String {
    create(town, &format!("{words} --rig widgets"))
}

/// The titles that `gt --json LINE` lists in the rig `widgets`.
fn titles(town: &Town, line: &str) -> Vec<String> {
    let rows = town.gt(&format!("--json {line} --rig widgets")).json();
    rows.as_array().unwrap().iter().map(|bead| bead["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_field_is_a_filter() {
    let town = two_rigs();
    let epic = make(&town, "Epic -t epic -p 4");
    let a = make(&town, "'Alpha pump' -t bug -p 0 -l wet,north -d 'The SEAL leaks'");
    make(&town, &format!("'Beta pump' -p 1 -l wet --assignee mayor --notes Dry --parent {epic}"));
    make(&town, &format!("Gamma -p 3 -l south --due 2d --defer 5d --deps {a}"));
    put(&town, "widgets", &bead_path(&a), |bead| {
        bead["owner"] = json!("joe@example.org");
        bead["external_ref"] = json!("gh-7");
        bead["metadata"] = json!({"area": "hall", "n": 3});
    });
    let all = ["Alpha pump", "Beta pump", "Gamma", "Epic"];
    let cases: &[(&str, &[usize])] = &[
        ("-p 0-1", &[0, 1]),
        ("-p 0,3", &[0, 2]),
        ("--priority-min 3", &[2, 3]),
        ("--priority-max 1", &[0, 1]),
        ("--not-type epic,bug", &[1, 2]),
        ("-l wet", &[0, 1]),
        ("-l wet,north", &[0]),
        ("--label-any north,south", &[0, 2]),
        ("--not-label wet", &[2, 3]),
        ("--unassigned", &[0, 2, 3]),
        ("--no-assignee -l wet", &[0]),
        ("--assignee mayor", &[1]),
        ("--owner joe@example.org", &[0]),
        ("--created-by overseer", &[0, 1, 2, 3]),
        ("--title-contains PUMP", &[0, 1]),
        ("--title-contains pump --title-contains beta", &[1]),
        ("--desc-contains seal", &[0]),
        ("--notes-contains dry", &[1]),
        ("--external-ref gh-7", &[0]),
        ("--metadata area=hall --metadata n=3", &[0]),
        ("--metadata area", &[0]),
        ("--metadata area=roof", &[]),
        ("--has description", &[0]),
        ("--has-no labels", &[3]),
        ("--has-no description,notes", &[2, 3]),
        ("--has dependencies", &[2]),
        ("--has parent", &[1]),
        ("--no-parent -p 0-3", &[0, 2]),
        ("--due-before 3d", &[2]),
        ("--due-after 3d", &[]),
        ("--overdue", &[]),
        ("--defer-after 4d", &[2]),
        ("--created-after 1h", &[0, 1, 2, 3]),
        ("--created-before 1h", &[]),
        ("--updated-after today --not-status open", &[]),
    ];
    for (line, wanted) in cases {
        let wanted: Vec<&str> = wanted.iter().map(|n| all[*n]).collect();
        assert_eq!(titles(&town, &format!("list {line}")), wanted, "{line}");
        assert_eq!(town.gt(&format!("--json count {line} --rig widgets")).json()["count"], wanted.len(), "{line}");
    }
    assert_eq!(titles(&town, &format!("list --parent {epic}")), ["Beta pump"]);
    assert_eq!(titles(&town, "search pump --label-any north"), ["Alpha pump"]);
    assert_eq!(titles(&town, "blocked --due-before 3d"), ["Gamma"]);
    assert_eq!(town.gt("--json count --by owner --rig widgets").json()["groups"][1]["group"], "joe@example.org");
    assert_eq!(town.gt("--json count --by parent --rig widgets").json()["groups"][1]["group"], epic.as_str());
}

#[test]
fn closed_ones_are_listed_when_they_are_named_or_their_time_is() {
    let town = two_rigs();
    let (a, b) = (make(&town, "A"), make(&town, "B"));
    town.gt(&format!("close {a}")).succeeds();
    assert_eq!(ids(town.gt(&format!("--json list --id {a},{b}"))), [a.as_str(), b.as_str()]);
    assert_eq!(titles(&town, "list --closed-after 1d"), ["A"]);
    assert_eq!(titles(&town, "list --closed-before 1d"), Vec::<String>::new());
    assert_eq!(titles(&town, "list --status open,closed"), ["A", "B"]);
    town.gt("list --id wi-nope1").fails_with(3);
}

#[test]
fn lists_are_sorted_by_any_of_their_columns_and_from_the_end() {
    let town = two_rigs();
    let at = |hour: u32, line: &str| {
        let clock = format!("2026-01-01T{hour:02}:00:00Z");
        town.here().var("GT_NOW", &clock).gt(&format!("--json {line}")).json()
    };
    let made = |hour: u32, line: &str| at(hour, &format!("create {line} --rig widgets"))["id"].as_str().unwrap().to_owned();
    let b = made(1, "b -p 2 --due 2026-03-01 -t bug");
    made(2, "c -p 1 --due 2026-02-01");
    made(3, "a -p 3 --assignee mayor");
    at(4, &format!("update {b} --status blocked"));
    let order = |line: &str| titles(&town, &format!("list --sort {line}")).concat();
    for (line, wanted) in [
        ("priority", "cba"),
        ("created", "acb"),
        ("created -r", "bca"),
        ("updated", "bac"),
        ("title", "abc"),
        ("title --reverse", "cba"),
        ("due", "cba"),
        ("due -r", "bca"),
        ("status", "cab"),
        ("assignee", "acb"),
    ] {
        assert_eq!(order(line), wanted, "{line}");
    }
    assert_eq!(titles(&town, "list --reverse").concat(), "abc");
    assert_eq!(titles(&town, "list --sort title -n 1").concat(), "a");
    at(5, &format!("close {b}"));
    assert_eq!(titles(&town, "list --all --sort closed -t bug,task").concat(), "bca");
    assert_eq!(titles(&town, "ready --sort oldest").concat(), "c");
    town.gt("list --sort colour").fails_with(2);
}

#[test]
fn ready_takes_the_filters_of_lists_and_shows_what_is_yours_when_asked() {
    let town = two_rigs();
    let parent = make(&town, "Parent -t epic");
    make(&town, &format!("Bug -t bug -p 1 -l wet --parent {parent}"));
    make(&town, "Mine --assignee mayor");
    make(&town, "Plain");
    create(&town, "Far --rig gadgets -l wet");
    assert_eq!(titles(&town, "ready"), ["Bug", "Plain"]);
    assert_eq!(titles(&town, "ready --unassigned -p 2-4"), ["Plain"]);
    assert_eq!(titles(&town, "ready --assignee mayor"), ["Mine"]);
    let mine = town.as_agent("mayor").gt("--json ready --mine --all");
    assert_eq!(mine.json()[0]["title"], "Mine");
    assert_eq!(titles(&town, &format!("ready --parent {parent}")), ["Bug"]);
    assert_eq!(ids(town.gt("--json ready --all -l wet")).len(), 2);
    assert_eq!(ids(town.gt("--json ready --all -n 1")).len(), 1);
    assert!(town.gt("ready --rig widgets -t bug --has description").succeeds().stdout.is_empty());
    town.gt("ready --mine --unassigned").fails_with(2);
    town.gt("ready --status open").fails_with(2);
}

#[test]
fn a_template_says_what_a_row_looks_like() {
    let town = two_rigs();
    let id = make(&town, "Mend -p 1 -l wet,cold");
    assert_eq!(
        town.gt_args(&["list", "--format", "{id}\\t{labels} {{{owner}}}"]).succeeds().stdout,
        format!("{id}\tcold,wet {{}}\n")
    );
    for verb in ["ready", "search Mend", "stale --days 0"] {
        let words: Vec<&str> = verb.split(' ').chain(["--format", "{title} P{priority}"]).collect();
        assert_eq!(town.gt_args(&words).succeeds().stdout, "Mend P1\n", "{verb}");
    }
    assert_eq!(town.gt_args(&["blocked", "--format", "{id}"]).succeeds().stdout, "");
    let wrong = town.gt_args(&["list", "--format", "{colour}"]).fails_with(2);
    assert!(wrong.stderr.contains("close_reason"), "{}", wrong.stderr);
    town.gt_args(&["--json", "list", "--format", "{id}"]).fails_with(2);
}

#[test]
fn words_that_would_be_ignored_are_refused() {
    let town = two_rigs();
    let epic = make(&town, "Epic -t epic");
    let part = make(&town, &format!("Part --parent {epic}"));
    town.gt("count -n 3").fails_with(2);
    town.gt(&format!("bead epic status {epic} --all")).fails_with(2);
    town.gt(&format!("bead epic status {epic} --rig widgets")).fails_with(2);
    assert_eq!(town.gt(&format!("--json bead epic status {epic} --eligible-only")).json(), json!([]));
    town.gt(&format!("close {part}")).succeeds();
    assert_eq!(ids_of_epics(&town.gt(&format!("--json bead epic status {epic} --eligible-only")).json()), [epic]);
    for wrong in ["-p 9", "-p 3-1", "--created-after soon", "--has colour", "--has notes --has-no notes", "-t saga"] {
        town.gt(&format!("list {wrong}")).fails_with(2);
    }
}

fn ids_of_epics(epics: &Value) -> Vec<String> {
    epics.as_array().unwrap().iter().map(|one| one["epic"]["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_child_that_cannot_be_read_counts_as_not_done_and_is_named() {
    let town = two_rigs();
    let epic = make(&town, "Epic -t epic");
    let parts: Vec<String> = (0..2).map(|n| make(&town, &format!("'Part {n}' --parent {epic}"))).collect();
    let waiting = make(&town, &format!("Waiting --deps waits-for:{epic}"));
    town.gt(&format!("close {} {}", parts[0], parts[1])).succeeds();
    assert_eq!(titles(&town, "ready"), ["Waiting"]);
    write(&town, "widgets", &bead_path(&parts[1]), "no JSON\n");
    let now = town.gt(&format!("--json bead epic status {epic}")).json();
    assert_eq!((now[0]["eligible_for_close"].as_bool(), now[0]["closed_children"].as_u64()), (Some(false), Some(1)));
    assert_eq!(now[0]["unreadable"], json!([parts[1]]));
    assert!(town.gt("bead epic status --rig widgets").succeeds().stdout.contains(&format!("{} cannot be read", parts[1])));
    assert_eq!(town.gt("--json bead epic close-eligible --rig widgets").json(), json!([]));
    let blocked = town.gt("--json blocked --rig widgets").json();
    assert_eq!((blocked[0]["id"].as_str(), blocked[0]["blocked_by"].clone()), (Some(waiting.as_str()), json!([parts[1]])));
    let ready = town.gt("--json ready --rig widgets").succeeds();
    assert!(ready.stderr.contains(&parts[1]), "{}", ready.stderr);
    assert_eq!(ids(ready), Vec::<String>::new());
}

#[test]
fn a_filter_that_needs_a_record_names_those_that_cannot_be_read() {
    let town = two_rigs();
    let good = make(&town, "Good -d seal");
    let bad = make(&town, "Bad -d seal");
    town.gt("list").succeeds();
    let before = tip(&town, "widgets");
    write(&town, "widgets", &bead_path(&bad), "no JSON\n");
    assert_ne!(tip(&town, "widgets"), before);
    let listed = town.gt("--json list --desc-contains seal --rig widgets").succeeds();
    assert!(listed.stderr.contains("damaged"), "{}", listed.stderr);
    assert_eq!(ids(listed), [good]);
}
