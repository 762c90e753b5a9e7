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

/// What `gt` says on a day of January 2026 to `agent`.
fn on(town: &Town, day: u32, agent: &str, line: &str) -> Value {
    let clock = format!("2026-01-{day:02}T00:00:00Z");
    town.as_agent(agent).var("GT_NOW", &clock).gt(&format!("--json {line}")).json()
}

#[test]
fn people_times_and_fields_tell_beads_apart() {
    let town = two_rigs();
    let make = |day: u32, agent: &str, words: &str| -> String {
        on(&town, day, agent, &format!("create {words} --rig widgets"))["id"].as_str().unwrap().to_owned()
    };
    make(1, "mayor", "A --design So -e 2h --due 2026-01-05 -d Text");
    let b = make(2, "deacon", "B --defer 2026-01-09 -l x");
    make(3, "overseer", "C --acceptance Dry --notes N --external-ref gh-7 --metadata k=1 --assignee mayor");
    on(&town, 4, "overseer", &format!("update {b} --owner joe"));
    on(&town, 6, "overseer", &format!("bead comment add {b} Hm"));
    let cases = [
        ("--created-by mayor", "A"),
        ("--created-by deacon", "B"),
        ("--created-by nobody", ""),
        ("--owner joe", "B"),
        ("--created-after 2026-01-02", "BC"),
        ("--created-before 2026-01-02", "A"),
        ("--created-after 2026-01-02 --created-before 2026-01-03", "B"),
        ("--created-after 5d", "BC"),
        ("--updated-after 2026-01-06", "B"),
        ("--updated-before 2026-01-03", "A"),
        ("--updated-after 2d", "B"),
        ("--overdue", "A"),
        ("--due-after 2026-01-05", "A"),
        ("--due-before 2026-01-05", ""),
        ("--due-after -3d", "A"),
        ("--defer-before 2026-01-10", "B"),
        ("--defer-after 2026-01-10", ""),
        ("--defer-after 2d", "B"),
        ("--empty-description", "BC"),
        ("--no-labels", "AC"),
        ("--desc-contains TEXT", "A"),
        ("--notes-contains n", "C"),
        ("--metadata k", "C"),
        ("--metadata k=2", ""),
        ("--external-ref gh-7", "C"),
        ("--assignee mayor", "C"),
        ("--unassigned", "AB"),
    ];
    let found = |line: &str| -> String {
        let rows = on(&town, 7, "overseer", &format!("list {line} --rig widgets"));
        rows.as_array().unwrap().iter().map(|bead| bead["title"].as_str().unwrap()).collect()
    };
    for (line, wanted) in cases {
        assert_eq!(found(line), wanted, "{line}");
    }
    for (field, has) in [
        ("description", "A"),
        ("design", "A"),
        ("estimate", "A"),
        ("due", "A"),
        ("defer", "B"),
        ("labels", "B"),
        ("owner", "B"),
        ("comments", "B"),
        ("acceptance", "C"),
        ("notes", "C"),
        ("external-ref", "C"),
        ("metadata", "C"),
        ("assignee", "C"),
    ] {
        assert_eq!(found(&format!("--has {field}")), has, "{field}");
        assert_eq!(found(&format!("--has-no {field}")), "ABC".replace(has, ""), "{field}");
    }
    assert_eq!(found("--has design,due"), "A");
    assert_eq!(found("--has design,notes"), "", "all that are given must be there");
    assert_eq!(on(&town, 7, "mayor", "list --mine --rig widgets")[0]["title"], "C");
    assert_eq!(on(&town, 7, "deacon", "list --mine --rig widgets"), json!([]));
}

#[test]
fn closed_ones_are_found_by_when_they_were_closed() {
    let town = two_rigs();
    for (title, day) in [("Early", 4), ("Late", 6)] {
        let id = on(&town, 1, "overseer", &format!("create {title} --rig widgets"))["id"].as_str().unwrap().to_owned();
        on(&town, day, "overseer", &format!("close {id}"));
    }
    make(&town, "Open");
    for (line, wanted) in [
        ("--closed-after 2026-01-05", vec!["Late"]),
        ("--closed-before 2026-01-05", vec!["Early"]),
        ("--closed-after 2026-01-04 --closed-before 2026-01-06", vec!["Early"]),
        ("--closed-after 2026-01-04 --closed-before 2026-01-06T00:00:01Z --sort closed", vec!["Late", "Early"]),
        ("--status all --sort created", vec!["Open", "Early", "Late"]),
        ("--status closed,open --not-status open", vec!["Early", "Late"]),
        ("", vec!["Open"]),
    ] {
        let mut found = titles(&town, &format!("list {line}"));
        let mut wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
        if !line.contains("--sort closed") {
            found.sort();
            wanted.sort();
        }
        assert_eq!(found, wanted, "{line}");
    }
}

#[test]
fn ready_work_is_put_in_the_order_that_is_asked_for() {
    let town = two_rigs();
    for (day, words) in [(1, "Old -p 4"), (2, "Mid -p 3 -d Text"), (3, "New -p 0"), (4, "Newer -p 1")] {
        on(&town, day, "overseer", &format!("create {words} --rig widgets"));
    }
    for (order, wanted) in [
        ("hybrid", ["New", "Newer", "Old", "Mid"]),
        ("priority", ["New", "Newer", "Mid", "Old"]),
        ("oldest", ["Old", "Mid", "New", "Newer"]),
    ] {
        assert_eq!(titles(&town, &format!("ready --sort {order}")), wanted, "{order}");
        assert_eq!(titles(&town, &format!("ready --sort {order} -n 2")), wanted[..2], "{order}");
    }
    assert_eq!(titles(&town, "ready"), titles(&town, "ready --sort hybrid"));
    assert_eq!(titles(&town, "ready --has description"), ["Mid"]);
    assert_eq!(titles(&town, "ready --created-before 2026-01-02"), ["Old"]);
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
    made(3, "a -p 3 --assignee mayor -t epic");
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
        ("type", "cba"),
    ] {
        assert_eq!(order(line), wanted, "{line}");
    }
    assert_eq!(titles(&town, "list --reverse").concat(), "abc");
    assert_eq!(titles(&town, "list --sort title -n 1").concat(), "a");
    at(5, &format!("close {b}"));
    assert_eq!(titles(&town, "list --all --sort closed -t bug,task").concat(), "bc");
    let mut by_id = ids(town.gt("--json list --all --sort id --rig widgets"));
    assert!(by_id.len() > 2 && by_id.is_sorted(), "{by_id:?}");
    by_id.reverse();
    assert_eq!(ids(town.gt("--json list --all --sort id -r --rig widgets")), by_id);
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
    make(&town, &format!("Waits --deps {id}"));
    assert_eq!(town.gt_args(&["blocked", "--format", "{title} P{priority}"]).succeeds().stdout, "Waits P2\n");
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
