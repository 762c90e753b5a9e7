//! Many beads at once: batches, imports and exports, whole or not at all.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::beads::{create, tip, two_rigs, write};
use crate::town::{Outcome, Town, text_at};

pub fn with_input(town: &Town, args: &[&str], input: &str) -> Outcome {
    let mut child =
        town.here().command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Outcome::of(format!("gt {}", args.join(" ")), child.wait_with_output().unwrap())
}

fn batch(town: &Town, lines: &[Value]) -> Outcome {
    with_input(town, &["--json", "bead", "batch"], &jsonl(lines))
}

fn import(town: &Town, lines: &[Value]) -> Outcome {
    with_input(town, &["--json", "bead", "import", "-"], &jsonl(lines))
}

fn jsonl(lines: &[Value]) -> String {
    lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

fn commits(town: &Town, scope: &str) -> usize {
    let dir = town.root.join(scope);
    town.git(&dir, &["--git-dir", ".repo.git", "rev-list", "--count", "refs/gt/ledger"]).parse().unwrap()
}

/// Exported lines without clocks.
fn exported(town: &Town, rig: &str) -> Vec<Value> {
    let text = town.gt(&format!("bead export --rig {rig}")).succeeds().stdout;
    let clockless = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        value.as_object_mut().unwrap().retain(|field, _| field != "rev" && field != "revs");
        value
    };
    text.lines().map(clockless).collect()
}

#[test]
fn a_batch_is_one_transaction_whose_lines_speak_of_each_other() {
    let town = two_rigs();
    let before = commits(&town, "widgets");
    let done = batch(
        &town,
        &[
            json!({"op": "create", "title": "Überholung", "issue_type": "epic", "rig": "widgets", "as": "epic"}),
            json!({"op": "create", "title": "First", "parent": "$epic", "labels": ["a"]}),
            json!({"op": "create", "title": "Second", "parent": "$1", "deps": ["$2", "related:$epic"]}),
            json!({"op": "comment", "id": "$2", "text": "erst das"}),
            json!({"op": "comment", "id": "$2", "text": "dann das"}),
            json!({"op": "label", "id": "$2", "add": ["b"], "remove": ["a"]}),
            json!({"op": "update", "id": "$3", "priority": 0, "due_at": "2026-12-01T00:00:00Z"}),
            json!({"op": "dep add", "id": "$epic", "depends_on_id": "$3", "type": "validates"}),
            json!({"op": "update", "id": "$3", "due_at": null}),
            json!({"op": "close", "id": "$2", "reason": "done"}),
        ],
    )
    .json();
    assert_eq!(commits(&town, "widgets"), before + 1);
    let id = |n: usize| text_at(&done[n], &["/id"]);
    assert_eq!((done[0]["as"].as_str(), id(1), id(2)), (Some("epic"), format!("{}.1", id(0)), format!("{}.2", id(0))));
    let (first, second) = (town.show(&id(1)), town.show(&id(2)));
    assert_eq!((first["status"].as_str(), &first["labels"]), (Some("closed"), &json!(["b"])));
    assert_eq!(first["comments"][1]["text"], "dann das");
    assert_ne!(first["comments"][0]["id"], first["comments"][1]["id"]);
    assert_eq!((second["priority"].as_u64(), second.get("due_at")), (Some(0), None));
    assert_eq!(second["dependencies"][0]["depends_on_id"], id(1).as_str());
    assert_eq!(town.show(&id(0))["dependencies"][0]["type"], "validates");
    town.fsck();
}

#[test]
fn remarks_of_one_batch_have_names_of_their_own() {
    let town = two_rigs();
    let closed = create(&town, "Closed --rig widgets");
    town.gt(&format!("close {closed}")).succeeds();
    let lines: Vec<Value> = [
        json!({"op": "reopen", "id": closed, "reason": "it leaks"}),
        json!({"op": "comment", "id": closed, "text": "at the seal"}),
        json!({"op": "close", "id": closed}),
        json!({"op": "reopen", "id": closed, "reason": "still"}),
        json!({"op": "comment", "id": closed, "text": "at the other seal"}),
    ]
    .into();
    batch(&town, &lines).succeeds();
    let bead = town.show(&closed);
    let of = |field: &str| -> Vec<String> {
        bead["comments"].as_array().unwrap().iter().map(|comment| text_at(comment, &[field])).collect()
    };
    assert_eq!(of("/text"), ["it leaks", "at the seal", "still", "at the other seal"]);
    let first = of("/id")[0].clone();
    assert_eq!(of("/id"), ["", ".1", ".2", ".3"].map(|nth| format!("{first}{nth}")), "a merge tells remarks apart by them");
}

#[test]
fn a_batch_with_one_bad_line_writes_nothing_and_names_the_line() {
    let town = two_rigs();
    let closed = create(&town, "Closed --rig widgets");
    town.gt(&format!("close {closed}")).succeeds();
    let before = (tip(&town, "widgets"), tip(&town, "."));
    let good = json!({"op": "create", "title": "Good", "rig": "widgets"});
    for (bad, words) in [
        (json!({"op": "crate", "title": "x"}), "line 3: 'crate' is no operation"),
        (json!({"op": "create", "titel": "x"}), "line 3: unknown field"),
        (json!({"op": "create"}), "line 3: missing field"),
        (json!({"op": "create", "title": "x", "rig": "nowhere"}), "line 3: there is no rig"),
        (json!({"op": "create", "title": "x", "issue_type": "agent", "rig": "widgets"}), "line 3: beads of type agent"),
        (json!({"op": "comment", "id": "$9", "text": "x"}), "line 3: $9 is no earlier line"),
        (json!({"op": "comment", "id": "$3", "text": "x"}), "line 3: $3 is no earlier line"),
        (json!({"op": "comment", "id": "wi-nope1", "text": "x"}), "line 3: there is no bead wi-nope1"),
        (json!({"op": "update", "id": closed, "claim": true}), "line 3: "),
        (json!({"op": "dep", "id": "$1", "depends_on_id": "$1"}), "line 3: "),
        (json!({"op": "create", "title": "x", "rig": "hq", "deps": ["hq-nope1"]}), "line 3: there is no bead hq-nope1"),
        (json!("x"), "line 3: it is no JSON object"),
    ] {
        let input = format!("{good}\n\n{bad}\n{{\"op\":\"create\",\"title\":\"After\",\"rig\":\"gadgets\"}}\n");
        let outcome = with_input(&town, &["bead", "batch"], &input);
        assert!([2, 3, 4].contains(&outcome.code) && outcome.stderr.contains(words), "{bad}: {}", outcome.stderr);
    }
    // Scopes are written one after the other, so a line speaks only of scopes before its own.
    let early = batch(
        &town,
        &[
            good.clone(),
            json!({"op": "create", "title": "x", "rig": "gadgets"}),
            json!({"op": "dep", "id": "$1", "depends_on_id": "$2"}),
        ],
    );
    assert!(early.fails_with(2).stdout.contains("written later"));
    assert_eq!((tip(&town, "widgets"), tip(&town, ".")), before);
    let over = batch(
        &town,
        &[
            good,
            json!({"op": "create", "title": "x", "rig": "gadgets", "deps": ["$1"]}),
            json!({"op": "dep", "id": "$2", "depends_on_id": closed}),
        ],
    );
    assert_eq!(over.json().as_array().unwrap().len(), 3);
    assert_eq!(batch(&town, &[]).json(), json!([]));
}

/// Records that have every field, with text that is not ASCII and fields that only others know.
fn full() -> Vec<Value> {
    vec![
        json!({"_type": "issue", "v": 1, "id": "wi-full1", "title": "Größe prüfen 🚀 「一」", "description": "Zeile\n\u{202e}zwei\t\"x\"",
            "design": "é", "acceptance_criteria": "ß", "notes": "ñ", "issue_type": "bug", "status": "closed", "priority": 0,
            "assignee": "widgets/polecats/toast", "assigned_rev": "3@abcdefgh", "owner": "ann@example.org", "created_by": "Änn",
            "created_at": "2025-01-02T03:04:05.678Z", "updated_at": "2025-02-02T03:04:05.678Z",
            "started_at": "2025-01-03T03:04:05.678Z", "closed_at": "2025-02-02T03:04:05.678Z", "close_reason": "fertig ✓",
            "closed_by": "widgets/refinery", "closed_by_session": "s-1", "due_at": "2025-03-02T03:04:05.678Z",
            "defer_until": "2025-01-02T04:04:05.678Z", "estimated_minutes": 90, "labels": ["größe", "needs review"],
            "dependencies": [{"issue_id": "wi-full1", "depends_on_id": "wi-full2", "type": "blocks", "created_by": "Änn",
                "created_at": "2025-01-02T03:04:05.678Z", "metadata": "{\"a\":1}", "thread_id": "t"},
                {"issue_id": "wi-full1", "depends_on_id": "ga-elsewhere1", "type": "caused-by", "created_by": "",
                "created_at": "2025-01-02T03:04:05.678Z"}],
            "comments": [{"id": "0198-c", "issue_id": "wi-full1", "author": "Änn", "text": "日本語\n", "created_at": "2025-01-02T03:04:05.678Z"}],
            "external_ref": "gh-9", "source_system": "jira", "metadata": {"ключ": [1, null, {"x": "y"}]}, "spec_id": "s", "colour": "röt"}),
        json!({"_type": "issue", "v": 1, "id": "wi-full2", "title": "Parent", "issue_type": "epic", "status": "in_progress", "priority": 4,
            "created_by": "x", "created_at": "2025-01-02T03:04:05.678Z", "updated_at": "2025-01-02T03:04:05.678Z"}),
        json!({"_type": "issue", "v": 1, "id": "wi-full2.1", "title": "Child", "issue_type": "spike", "status": "on_ice", "priority": 2,
            "dependencies": [{"issue_id": "wi-full2.1", "depends_on_id": "wi-full2", "type": "parent-child", "created_by": "x",
                "created_at": "2025-01-02T03:04:05.678Z"}], "parent": "wi-full2", "created_by": "x", "created_at": "2025-01-02T03:04:05.678Z", "updated_at": "2025-01-02T03:04:05.678Z"}),
    ]
}

#[test]
fn what_is_exported_and_imported_elsewhere_is_the_same_in_every_field() {
    let (town, other) = (two_rigs(), two_rigs());
    let before = commits(&town, "widgets");
    let told = import(&town, &full()).json();
    assert_eq!((told["created"].as_u64(), commits(&town, "widgets")), (Some(3), before + 1));
    assert_eq!(exported(&town, "widgets"), full());
    let file = town.base().join("beads.jsonl");
    town.gt(&format!("bead export --rig widgets -o {}", file.display())).succeeds();
    other.gt(&format!("bead import {}", file.display())).succeeds();
    assert_eq!(exported(&other, "widgets"), full());
    // The same again changes nothing, here and there.
    let tips = tip(&other, "widgets");
    let again = other.gt(&format!("--json bead import {}", file.display())).json();
    assert_eq!((again["unchanged"].as_u64(), tip(&other, "widgets")), (Some(3), tips));
    other.fsck();
}

#[test]
fn a_newer_line_takes_the_place_of_a_bead_and_an_older_one_does_not() {
    let town = two_rigs();
    import(&town, &full()).json();
    let line = |title: &str, at: &str, comment: &str| {
        json!({"id": "wi-full2", "title": title, "created_at": "2025-01-02T03:04:05.678Z", "updated_at": at,
            "comments": [{"id": comment, "author": "b", "text": comment, "created_at": at}]})
    };
    import(&town, &[line("Newer", "2025-05-01T00:00:00Z", "one")]).json();
    let told = import(&town, &[line("Older", "2025-04-01T00:00:00Z", "two")]).json();
    assert_eq!((told["older"].as_u64(), town.show("wi-full2")["title"].as_str()), (Some(1), Some("Newer")));
    import(&town, &[line("Newest", "2025-06-01T00:00:00Z", "three")]).json();
    let bead = town.show("wi-full2");
    assert_eq!((bead["title"].as_str(), bead["comments"].as_array().unwrap().len()), (Some("Newest"), 2));
}

#[test]
fn work_under_way_keeps_its_holder_and_what_hung_elsewhere_is_open_here() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["sling", &bead, "widgets", "--no-start"]).succeeds();
    let holder = text_at(&town.show(&bead), &["/assignee"]);
    let lines = exported(&town, "widgets");
    let line = lines.iter().find(|line| line["id"] == bead.as_str()).unwrap();
    assert_eq!(import(&town, std::slice::from_ref(line)).json()["unchanged"], 1);
    let mut newer = line.clone();
    newer["title"] = "Renamed".into();
    newer["status"] = "closed".into();
    newer["updated_at"] = "2027-01-01T00:00:00Z".into();
    import(&town, &[newer]).json();
    let kept = town.show(&bead);
    assert_eq!((kept["title"].as_str(), kept["status"].as_str()), (Some("Renamed"), Some("hooked")));
    assert_eq!(kept["assignee"], holder.as_str());
    let mut elsewhere = line.clone();
    elsewhere["id"] = "wi-other1".into();
    let told = import(&town, &[elsewhere]).json();
    assert_eq!((told["freed"].as_u64(), town.show("wi-other1").get("assignee")), (Some(1), None));
    assert_eq!(town.status("wi-other1"), "open");
}

#[test]
fn malformed_lines_are_named_and_nothing_is_written_unless_they_may_be_left_out() {
    let town = two_rigs();
    let bead = |id: &str| json!({"id": id, "title": "t", "created_at": "2025-01-01T00:00:00Z"}).to_string();
    let ring = |id: &str, on: &str| {
        json!({"id": id, "title": "t", "created_at": "2025-01-01T00:00:00Z", "dependencies": [{"depends_on_id": on}]}).to_string()
    };
    let input = [
        bead("wi-good1"),
        "{\"id\":".to_owned(),
        String::new(),
        bead("zz-nowhere1"),
        bead("wi-good1"),
        json!({"id": "wi-bad1", "title": "a\u{1b}b"}).to_string(),
        json!({"id": "wi-bad2", "title": "t", "issue_type": "agent"}).to_string(),
        ring("wi-ring1", "wi-ring2"),
        ring("wi-ring2", "wi-ring1"),
        json!({"id": "wi-gone1", "status": "tombstone"}).to_string(),
        json!({"_type": "memory", "key": "k"}).to_string(),
        bead("ga-good2"),
    ]
    .join("\n");
    let before = (tip(&town, "widgets"), tip(&town, "gadgets"));
    let refused = with_input(&town, &["bead", "import", "-"], &input).fails_with(2);
    for words in [
        "6 of 11 lines",
        "line 2:",
        "line 4: no scope has the prefix zz",
        "line 5: wi-good1 stands on line 1",
        "line 6:",
        "line 7:",
        "line 9: it would wait for itself",
    ] {
        assert!(refused.stderr.contains(words), "{words}: {}", refused.stderr);
    }
    let dry = with_input(&town, &["--json", "bead", "import", "-", "--skip-bad", "--dry-run"], &input).json();
    assert_eq!((tip(&town, "widgets"), tip(&town, "gadgets")), before);
    let told = with_input(&town, &["--json", "bead", "import", "-", "--skip-bad"], &input).json();
    assert_eq!((&dry["created"], &dry["bad"]), (&told["created"], &told["bad"]));
    assert_eq!((told["created"].as_u64(), told["tombstones"].as_u64(), told["others"].as_u64()), (Some(4), Some(1), Some(1)));
    let lines = |list: &Value| list.as_array().unwrap().iter().map(|bad| bad["line"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!((lines(&told["bad"]), lines(&told["cut"])), (vec![2, 4, 5, 6, 7], vec![9]));
    assert_eq!((town.status("wi-ring1"), town.status("ga-good2")), ("open".into(), "open".into()));
    town.gt("bead import no-such-file").fails_with(3);
}

#[test]
fn ten_thousand_beads_are_one_transaction() {
    let town = two_rigs();
    let lines: Vec<Value> = (0..10_000)
        .map(|n| json!({"id": format!("wi-{n:05}"), "title": format!("Bead {n}"), "created_at": "2025-01-01T00:00:00Z", "priority": n % 5}))
        .collect();
    let before = commits(&town, "widgets");
    let told = import(&town, &lines).json();
    assert_eq!((told["created"].as_u64(), commits(&town, "widgets")), (Some(10_000), before + 1));
    assert_eq!(town.show("wi-09999")["title"], "Bead 9999");
    town.git(&town.root.join("widgets"), &["--git-dir", ".repo.git", "fsck", "--strict", "--no-dangling"]);
}

#[test]
fn a_damaged_bead_is_missing_from_an_export_and_the_export_says_so() {
    let town = two_rigs();
    let (good, bad) = (create(&town, "Good --rig widgets"), create(&town, "Bad --rig widgets"));
    write(&town, "widgets", &gastown::ledger::tree::bead(&bad.parse().unwrap()), "no JSON\n");
    let outcome = town.gt("bead export --rig widgets").ends_with(70);
    assert!(outcome.stdout.contains(&good) && !outcome.stdout.contains(&bad) && outcome.stderr.contains("damaged"));
}
