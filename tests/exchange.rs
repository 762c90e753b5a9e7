//! Beads that come from the `bd` tool and from `br`, and go back to them: nothing is lost, nothing is half done.

mod held;

use std::collections::BTreeSet;
use std::process::Stdio;

use gastown::time::Moment;
use serde_json::{Value, json};

use crate::beads::{create, tip, two_rigs};
use crate::many::with_input;
use crate::town::{Outcome, Town};

/// Times that a bead's record has in milliseconds of UTC.
const TIMES: [&str; 7] = ["created_at", "updated_at", "started_at", "closed_at", "due_at", "defer_until", "deleted_at"];

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value == "" || value == &json!([])
}

fn with_plain_times(value: &mut Value) {
    let object = value.as_object_mut().unwrap();
    object.retain(|_, value| !is_nothing(value));
    for (_, time) in object.iter_mut().filter(|(field, _)| TIMES.contains(&field.as_str())) {
        *time = time.as_str().unwrap().parse::<Moment>().unwrap().to_string().into();
    }
}

/// A line as all tools understand it: without what is worked out, empty, or written in two ways.
fn canonical(line: &Value) -> Value {
    let mut line = line.clone();
    with_plain_times(&mut line);
    let object = line.as_object_mut().unwrap();
    for field in ["_type", "v", "rev", "revs", "dependency_count", "dependent_count", "comment_count", "schema_version"] {
        object.remove(field);
    }
    for list in ["dependencies", "comments"] {
        let parts = object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for part in parts {
            with_plain_times(part);
            if let Some(number) = part.get("id").and_then(Value::as_i64) {
                part["id"] = number.to_string().into();
            }
        }
    }
    if let Some(labels) = object.get_mut("labels") {
        let sorted: BTreeSet<String> = serde_json::from_value(labels.clone()).unwrap();
        *labels = json!(sorted);
    }
    line
}

fn import(town: &Town, args: &str, input: &str) -> Outcome {
    let args: Vec<&str> = ["--json", "bead", "import", "-"].into_iter().chain(args.split_whitespace()).collect();
    with_input(town, &args, input)
}

fn exported(town: &Town, args: &str) -> Vec<Value> {
    let text = town.gt(&format!("bead export {args}")).succeeds().stdout;
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text_of(lines: &[Value]) -> String {
    lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n"
}

/// What the Go tool writes: all fields that it has.
fn of_bd(id: &str) -> Value {
    let text = r#"{"_type": "issue", "id": "$ID", "title": "Größe prüfen 🚀 「一」", "description": "Zeile\n\u202ezwei\t\"x\" \u0000",
        "design": "é", "acceptance_criteria": "ß", "notes": "ñ", "spec_id": "spec/7", "status": "closed", "priority": 0,
        "issue_type": "spike", "assignee": "Änn", "owner": "ann@example.org", "estimated_minutes": 90,
        "created_at": "2025-12-16T13:26:47.117226-08:00", "created_by": "Änn", "updated_at": "2025-12-17T16:11:17.070763901-08:00",
        "started_at": "2025-12-16T14:00:00Z", "closed_at": "2025-12-17T16:11:17.070763-08:00", "close_reason": "fertig ✓",
        "closed_by_session": "s-1", "lease_expires_at": "2026-01-01T00:00:00.123456Z", "heartbeat_at": "2026-01-01T00:00:00Z",
        "due_at": "2026-01-02T03:04:05Z", "defer_until": "2025-12-18T00:00:00+11:00", "external_ref": "gh-9",
        "source_system": "jira", "metadata": {"ключ": [1, null, {"x": "y"}], "bd:n": 1.5}, "compaction_level": 1,
        "compacted_at": "2026-01-03T00:00:00.000000001Z", "compacted_at_commit": "abc", "original_size": 9000,
        "labels": ["größe", "needs review"], "sender": "mayor/", "ephemeral": true, "no_history": true, "wisp_type": "patrol",
        "pinned": true, "is_template": true, "bonded_from": [{"source_id": "bd-proto", "bond_type": "sequential", "bond_point": ""}],
        "await_type": "gh:run", "await_id": "77", "timeout": 3600000000000, "waiters": ["a@b"], "source_formula": "f",
        "source_location": "steps[0]", "mol_type": "swarm", "work_type": "mutex", "event_kind": "patrol.muted", "actor": "x",
        "target": "elsewhere", "payload": "{}", "colour": "röt",
        "dependencies": [
            {"issue_id": "$ID", "depends_on_id": "wi-other", "type": "parent-child", "created_at": "2025-12-16T13:26:47.117226-08:00", "created_by": "daemon"},
            {"issue_id": "$ID", "depends_on_id": "ga-elsewhere", "type": "blocks", "created_at": "2025-12-16T13:26:47Z", "metadata": "{\"gate\":\"any-children\"}", "thread_id": "t"},
            {"issue_id": "$ID", "depends_on_id": "wi-3", "type": "until", "created_at": "2025-12-16T13:26:47Z", "created_by": "Änn"}],
        "comments": [{"id": "0198d6c2-uuid", "issue_id": "$ID", "author": "Änn", "text": "日本語\n", "created_at": "2025-12-16T13:26:47Z"}],
        "dependency_count": 3, "dependent_count": 0, "comment_count": 1}"#;
    serde_json::from_str(&text.replace("$ID", id)).unwrap()
}

/// What the Rust one writes.
fn of_br(id: &str) -> Value {
    json!({"id": id, "title": "Unbounded fields", "status": "draft", "priority": 3, "issue_type": "docs", "assignee": "pane6",
        "created_at": "2026-04-22T23:29:50.189638342Z", "created_by": "ubuntu", "updated_at": "2026-04-22T23:43:01.016014351Z",
        "close_reason": "it was reopened since", "source_repo": ".", "source_repo_path": "/p", "agent_context": "{\"skills\":[]}",
        "compaction_level": 0, "original_size": 0, "labels": ["arch"],
        "dependencies": [{"issue_id": id, "depends_on_id": "wi-other", "type": "relates-to", "created_at": "2026-04-22T23:29:50.1Z", "created_by": "u", "metadata": "{}", "thread_id": ""}],
        "comments": [{"id": 354, "issue_id": id, "author": "pane6", "text": "x", "created_at": "2026-04-22T23:38:29Z"}]})
}

#[expect(clippy::needless_pass_by_value, reason = "fields are written where they are given")]
fn of_old(id: &str, more: Value) -> Value {
    let mut line = json!({"id": id, "title": "t", "description": "", "status": "open", "priority": 2, "issue_type": "task",
        "created_at": "2025-10-29T23:05:13.980679-07:00", "updated_at": "2025-12-17T23:03:01-08:00"});
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line
}

#[test]
fn lines_of_bd_and_br_go_out_as_they_came_in() {
    let (town, other) = (two_rigs(), two_rigs());
    let lines = [
        of_bd("wi-1"),
        of_br("wi-2"),
        of_old("wi-3", json!({"status": "in_progress", "assignee": "somebody", "external_ref": null, "labels": []})),
        of_old(
            "wi-3.1",
            json!({"dependencies": [{"issue_id": "wi-3.1", "depends_on_id": "wi-3", "type": "parent-child",
            "created_at": "2025-10-29T23:05:13.980679-07:00", "created_by": "daemon"}]}),
        ),
        of_old("wi-4", json!({"status": "pinned", "issue_type": "message"})),
        of_old(
            "wi-5",
            json!({"status": "on_ice", "dependencies": [{"issue_id": "wi-5", "depends_on_id": "external:web:login",
            "type": "blocks", "created_at": "2025-10-29T23:05:13Z"}]}),
        ),
        of_old("wi-6", json!({"status": "blocked"})),
        of_old("wi-7", json!({"status": "deferred", "defer_until": "2027-01-01T00:00:00Z"})),
    ];
    let told = import(&town, "", &text_of(&lines)).json();
    assert_eq!((told["created"].as_u64(), &told["bad"]), (Some(8), &json!([])));
    let out = exported(&town, "--rig widgets");
    for (line, out) in lines.iter().zip(&out) {
        assert_eq!(canonical(out), canonical(line));
    }
    assert_eq!(out.len(), lines.len());
    // What gt wrote is read by gt as what it was, word by word.
    import(&other, "", &text_of(&out)).json();
    assert_eq!(
        exported(&other, "--rig widgets").iter().map(canonical).collect::<Vec<_>>(),
        lines.iter().map(canonical).collect::<Vec<_>>()
    );
    assert_eq!(import(&town, "", &text_of(&lines)).json()["unchanged"], 8, "the same again changes nothing");
    town.fsck();
}

#[test]
fn words_of_other_versions_become_ours_and_what_is_on_no_hook_here_is_open() {
    let town = two_rigs();
    let lines = [
        of_old("wi-1", json!({"status": "In-Progress", "issue_type": "enhancement", "priority": "P1"})),
        of_old("wi-2", json!({"status": "done"})),
        of_old("wi-3", json!({"status": "hooked", "assignee": "gastown/polecats/nux"})),
        of_old("wi-4", json!({"status": "inprogress", "wisp": true})),
        json!({"id": "wi-5", "title": "Nothing but a title"}),
    ];
    assert_eq!(import(&town, "", &text_of(&lines)).json()["freed"], 1);
    let status = |id: &str| town.status(id);
    assert_eq!([1, 2, 3, 4, 5].map(|n| status(&format!("wi-{n}"))), ["in_progress", "closed", "open", "in_progress", "open"]);
    let first = town.show("wi-1");
    assert_eq!((first["issue_type"].as_str(), first["priority"].as_u64()), (Some("feature"), Some(1)));
    assert_eq!(town.show("wi-4")["ephemeral"], true);
    // A status of another tool is left by hand.
    import(&town, "", &text_of(&[of_br("wi-6")])).json();
    town.gt("update wi-6 --status open").succeeds();
}

#[test]
fn what_was_deleted_stays_deleted_and_deletes_nothing_here() {
    let town = two_rigs();
    let stone = |id: &str, at: &str| {
        of_old(
            id,
            json!({"status": "tombstone", "issue_type": "bug", "original_type": "bug", "deleted_at": at, "updated_at": at,
            "deleted_by": "batch delete", "delete_reason": "größer", "description": "d", "labels": ["x"], "closed_at": "2025-12-17T16:11:17Z"}),
        )
    };
    let lines = [
        of_old("wi-1", json!({})),
        stone("wi-2", "2025-12-17T16:11:17.070763-08:00"),
        stone("wi-9", "2025-12-18T16:11:17Z"),
        json!({"id": "wi-91", "status": "tombstone", "title": "bare", "priority": 1}),
    ];
    let told = import(&town, "", &text_of(&lines)).json();
    assert_eq!((told["created"].as_u64(), told["tombstones"].as_u64(), told["buried"].as_u64()), (Some(1), Some(3), Some(3)));
    let out = exported(&town, "--rig widgets");
    assert_eq!(out.len(), 4);
    for (out, line) in out.iter().zip(&lines[..3]) {
        assert_eq!(canonical(out), canonical(line));
    }
    assert_eq!((&out[3]["status"], &out[3]["priority"]), (&json!("tombstone"), &json!(1)));
    assert_eq!(exported(&town, "--rig widgets --status tombstone").len(), 3);
    assert_eq!(exported(&town, "--rig widgets --status open").len(), 1);
    assert_eq!(exported(&town, "--rig widgets --status open,tombstone").len(), 4);
    let of_type = |words: &str| exported(&town, &format!("--rig widgets {words}")).len();
    assert_eq!((of_type("--status tombstone --type bug"), of_type("--status open,tombstone --type task")), (2, 2));
    town.gt("show wi-2").fails_with(3);
    let tips = tip(&town, "widgets");
    assert_eq!(import(&town, "", &text_of(&out)).json()["unchanged"], 1);
    // An older line does not bring it back, a newer one does; and a tombstone takes nothing away that is here.
    let old = import(&town, "", &text_of(&[of_old("wi-9", json!({}))])).json();
    assert_eq!((old["deleted_here"].as_u64(), tip(&town, "widgets")), (Some(1), tips));
    import(&town, "", &text_of(&[of_old("wi-9", json!({"updated_at": "2026-01-01T00:00:00Z"}))])).json();
    import(&town, "", &text_of(&[stone("wi-1", "2030-01-01T00:00:00Z")])).json();
    assert_eq!((town.status("wi-9"), town.status("wi-1")), ("open".into(), "open".into()));
    import(&town, "--allow-stale", &text_of(&[of_old("wi-2", json!({}))])).json();
    assert_eq!(town.status("wi-2"), "open");
    let twice = text_of(&[of_old("wi-5", json!({})), stone("wi-5", "2025-01-01T00:00:00Z")]);
    assert!(with_input(&town, &["bead", "import", "-"], &twice).fails_with(2).stderr.contains("line 2: wi-5 stands on line 1"));
    town.fsck();
}

#[test]
fn children_go_out_with_the_edge_that_other_tools_know_them_by() {
    let (town, other) = (two_rigs(), two_rigs());
    let epic = create(&town, "Epic -t epic --rig widgets");
    let child = create(&town, &format!("Child --parent {epic}"));
    let out = exported(&town, "--rig widgets");
    let line = out.iter().find(|line| line["id"] == child.as_str()).unwrap();
    assert_eq!(
        (&line["dependencies"][0]["type"], &line["dependencies"][0]["depends_on_id"]),
        (&json!("parent-child"), &json!(epic))
    );
    import(&other, "", &text_of(&out)).json();
    assert_eq!(other.show(&child)["parent"], epic.as_str());
    assert!(other.show(&child).get("dependencies").is_none());
    assert_eq!(import(&town, "", &text_of(&out)).json()["unchanged"], 2);
}

#[test]
fn ten_thousand_lines_go_through_one_transaction_and_back() {
    let town = two_rigs();
    let lines: Vec<Value> = (0..10_000).map(|n| {
        let id = format!("wi-{n:05}");
        let mut line = if n % 50 == 0 { of_bd(&id) } else { of_old(&id, json!({"title": format!("Größe {n}"), "priority": n % 5})) };
        if n > 1 && n % 50 != 0 {
            let edge = |to: usize, kind: &str| json!({"issue_id": id, "depends_on_id": format!("wi-{to:05}"), "type": kind, "created_at": "2025-10-29T23:05:13Z", "created_by": "x"});
            line["dependencies"] = json!([edge(n - 1, "blocks"), edge(n / 2, "related")]);
        }
        line
    }).collect();
    let before = town.git(&town.root.join("widgets"), &["--git-dir", ".repo.git", "rev-list", "--count", "refs/gt/ledger"]);
    assert_eq!(import(&town, "", &text_of(&lines)).json()["created"], 10_000);
    let after = town.git(&town.root.join("widgets"), &["--git-dir", ".repo.git", "rev-list", "--count", "refs/gt/ledger"]);
    assert_eq!(after.parse::<u32>().unwrap(), before.parse::<u32>().unwrap() + 1);
    for (out, line) in exported(&town, "--rig widgets").iter().zip(&lines) {
        assert_eq!(canonical(out), canonical(line));
    }
}

#[test]
fn a_file_of_another_prefix_is_refused_until_it_may_be_renamed() {
    let town = two_rigs();
    let lines = [
        of_old("My-App-A1", json!({"description": "See My-App-b2. And My-App-b2.1!"})),
        of_old(
            "My-App-b2",
            json!({"dependencies": [{"issue_id": "My-App-b2", "depends_on_id": "My-App-A1", "type": "blocks", "created_at": "2025-10-29T23:05:13Z"}]}),
        ),
        of_old(
            "My-App-b2.1",
            json!({"comments": [{"id": 1, "issue_id": "My-App-b2.1", "author": "a", "text": "as My-App-A1", "created_at": "2025-10-29T23:05:13Z"}]}),
        ),
        of_old("other-9", json!({})),
    ];
    let text = text_of(&lines);
    let before = tip(&town, "widgets");
    let refused = with_input(&town, &["bead", "import", "-", "--rig", "widgets"], &text).fails_with(4);
    assert!(refused.stderr.contains("begin with My-App-") && refused.stderr.contains("--rename"), "{}", refused.stderr);
    let unnamed = with_input(&town, &["bead", "import", "-"], &text).fails_with(2);
    assert!(unnamed.stderr.contains("4 of 4 lines"), "{}", unnamed.stderr);
    assert_eq!(tip(&town, "widgets"), before);
    let told = import(&town, "--rig widgets --rename", &text).json();
    assert_eq!((told["created"].as_u64(), told["renamed"].as_u64()), (Some(4), Some(4)));
    assert_eq!(town.show("wi-a1")["description"], "See wi-b2. And wi-b2.1!");
    assert_eq!(town.show("wi-b2")["dependencies"][0]["depends_on_id"], "wi-a1");
    assert_eq!(town.show("wi-b2.1")["comments"][0]["text"], "as wi-a1");
    assert_eq!(town.show("wi-other-9")["title"], "t");
    assert_eq!(import(&town, "--rig widgets --rename", &text).json()["unchanged"], 4);
    // A prefix that a rig could have is named in the hint.
    let short =
        with_input(&town, &["bead", "import", "-", "--rig", "widgets"], &text_of(&[of_old("bd-1", json!({}))])).fails_with(4);
    assert!(short.stderr.contains("--prefix bd"), "{}", short.stderr);
    // Ids that the rig owns stay, and two ids that would become one are told.
    assert_eq!(import(&town, "--rig widgets", &text_of(&[of_old("wi-new1", json!({}))])).json()["created"], 1);
    let twice = text_of(&[of_old("bd-A", json!({})), of_old("bd-a", json!({}))]);
    let refused = with_input(&town, &["bead", "import", "-", "--rig", "widgets", "--rename"], &twice).fails_with(2);
    assert!(refused.stderr.contains("line 2: wi-a stands on line 1"), "{}", refused.stderr);
}

fn waiting(id: &str, kind: &str, on: &str) -> Value {
    of_old(
        id,
        json!({"dependencies": [{"issue_id": id, "depends_on_id": on, "type": kind, "created_at": "2025-10-29T23:05:13Z"}]}),
    )
}

#[test]
fn a_ring_over_children_that_are_here_already_is_refused() {
    let town = two_rigs();
    let epic = create(&town, "Epic -t epic --rig widgets");
    let child = create(&town, &format!("Child --parent {epic}"));
    let lines = text_of(&[waiting("wi-new", "waits-for", &epic)]);
    import(&town, "", &lines).json();
    town.gt(&format!("bead dep add {child} wi-new")).fails_with(4);
    // The same the other way round: the child is replaced by a line that waits for what waits for it.
    let out = exported(&town, "--rig widgets");
    let mut line = out.iter().find(|line| line["id"] == child.as_str()).unwrap().clone();
    line["updated_at"] = "2030-01-01T00:00:00Z".into();
    line["dependencies"] =
        json!([{"issue_id": child, "depends_on_id": "wi-new", "type": "blocks", "created_at": "2025-10-29T23:05:13Z"}]);
    let before = tip(&town, "widgets");
    let refused = with_input(&town, &["bead", "import", "-"], &text_of(std::slice::from_ref(&line))).fails_with(2);
    assert!(
        refused.stderr.contains("line 1: it would wait for itself") && refused.stderr.contains("wi-new"),
        "{}",
        refused.stderr
    );
    assert_eq!(tip(&town, "widgets"), before);
    // And by a new bead that an old child leads to.
    let (a, b) = (create(&town, "A --rig widgets"), create(&town, "B -t epic --rig widgets"));
    let under = create(&town, &format!("Under --parent {b}"));
    town.gt(&format!("bead dep add {under} {a}")).succeeds();
    let mut line = exported(&town, "--rig widgets").into_iter().find(|line| line["id"] == a.as_str()).unwrap();
    line["updated_at"] = "2030-01-01T00:00:00Z".into();
    line["dependencies"] =
        json!([{"issue_id": a, "depends_on_id": b, "type": "waits-for", "created_at": "2025-10-29T23:05:13Z"}]);
    let refused = with_input(&town, &["bead", "import", "-"], &text_of(&[line])).fails_with(2);
    assert!(refused.stderr.contains(&format!("{a} → {under} → {a}")), "{}", refused.stderr);
}

#[test]
fn a_ring_over_two_scopes_is_refused_and_without_its_last_link_it_is_none() {
    let town = two_rigs();
    let lines = [
        waiting("ga-1", "blocks", "wi-1"),
        waiting("wi-1", "blocks", "wi-2"),
        waiting("wi-2", "merge-blocks", "ga-1"),
        waiting("wi-3", "blocks", "wi-3"),
        waiting("wi-4", "related", "wi-4"),
    ];
    let before = (tip(&town, "widgets"), tip(&town, "gadgets"));
    let refused = with_input(&town, &["bead", "import", "-"], &text_of(&lines)).fails_with(2);
    for words in ["line 3: it would wait for itself, by its link to ga-1: ga-1 → wi-1 → wi-2 → ga-1", "line 4:", "line 5:"]
    {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    assert_eq!((tip(&town, "widgets"), tip(&town, "gadgets")), before);
    let told = import(&town, "--skip-bad", &text_of(&lines)).json();
    assert_eq!((told["created"].as_u64(), told["cut"].as_array().unwrap().len(), &told["bad"]), (Some(5), 3, &json!([])));
    assert!(town.show("wi-2").get("dependencies").is_none() && town.show("wi-1")["dependencies"][0]["depends_on_id"] == "wi-2");
    // A ring with what another scope has already.
    let refused = with_input(
        &town,
        &["bead", "import", "-"],
        &text_of(&[waiting("wi-5", "blocks", "ga-1"), {
            let mut line = waiting("wi-1", "blocks", "wi-5");
            line["updated_at"] = "2030-01-01T00:00:00Z".into();
            line
        }]),
    )
    .fails_with(2);
    assert!(refused.stderr.contains("it would wait for itself"), "{}", refused.stderr);
}

#[test]
fn an_epic_that_depends_on_its_children_keeps_them_and_many_rings_are_told_apart() {
    let town = two_rigs();
    let mut lines = vec![of_old(
        "wi-e",
        json!({"issue_type": "epic", "dependencies": (1..=200).map(|n| json!({"issue_id": "wi-e",
        "depends_on_id": format!("wi-e.{n}"), "type": "blocks", "created_at": "2025-10-29T23:05:13Z"})).collect::<Vec<_>>()}),
    )];
    lines.extend((1..=200).map(|n| waiting(&format!("wi-e.{n}"), "parent-child", "wi-e")));
    with_input(&town, &["bead", "import", "-"], &text_of(&lines)).fails_with(2);
    let told = import(&town, "--skip-bad", &text_of(&lines)).json();
    assert_eq!((told["created"].as_u64(), told["cut"].as_array().unwrap().len()), (Some(201), 200));
    assert_eq!(town.show("wi-e.200")["dependencies"][0]["type"], "parent-child");
    assert!(town.show("wi-e").get("dependencies").is_none());
}

#[test]
fn whatever_is_wrong_with_a_file_is_told_and_nothing_is_written() {
    let town = two_rigs();
    let before = tip(&town, "widgets");
    let good = of_old("wi-1", json!({})).to_string();
    let file = |name: &str, bytes: &[u8]| {
        let path = town.base().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let nested = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for (name, bytes, words) in [
        ("utf8", [good.as_bytes(), b"\n{\"id\":\"wi-\xff\"}"].concat(), "line 2: it is not UTF-8"),
        (
            "long",
            of_old("wi-2", json!({"notes": "x".repeat(300 * 1024)})).to_string().into_bytes(),
            "line 1: the notes is longer than 256 KiB",
        ),
        ("huge", of_old("wi-2", json!({"metadata": {"x": "y".repeat(3 << 20)}})).to_string().into_bytes(), "line 1:"),
        ("deep", of_old("wi-2", json!({})).to_string().replace("\"t\"", &nested).into_bytes(), "line 1: it is no JSON object"),
        ("utf16", b"\xff\xfe{\0}\0".to_vec(), "line 1: it is not UTF-8"),
        ("times", of_old("wi-2", json!({"created_at": "yesterday"})).to_string().into_bytes(), "line 1: it is no bead"),
    ] {
        let refused = town.gt(&format!("bead import {}", file(name, &bytes))).fails_with(2);
        assert!(refused.stderr.contains(words), "{name}: {}", refused.stderr);
    }
    let dir = town.gt(&format!("bead import {}", town.base().display())).fails_with(2);
    assert!(dir.stderr.contains("is a directory without .beads/issues.jsonl"), "{}", dir.stderr);
    town.gt("bead import nowhere.jsonl").fails_with(3);
    town.gt("bead import --rename x").fails_with(2);
    assert!(town.gt(&format!("bead import {}", file("empty", b""))).succeeds().stdout.contains("imported 0 beads"));
    assert_eq!(tip(&town, "widgets"), before);
    // What editors of other systems leave is no fault.
    let marked =
        [b"\xef\xbb\xbf", good.as_bytes(), b"\r\n\r\n", of_old("wi-2", json!({})).to_string().as_bytes(), b"\r\n"].concat();
    assert!(town.gt(&format!("bead import {}", file("marked", &marked))).succeeds().stdout.contains("imported 2 beads"));
}

#[test]
fn a_project_of_the_bd_tool_moves_in_by_one_command() {
    let town = Town::new();
    let (project, clone) = (town.project("pumps"), town.base().join("clone"));
    town.git(&town.base(), &["clone", "-q", &project.display().to_string(), "clone"]);
    std::fs::create_dir_all(clone.join(".beads")).unwrap();
    let lines = [of_old("bd-a1", json!({})), of_old("bd-a1.1", json!({})), json!({"_type": "memory", "key": "k", "value": "v"})];
    std::fs::write(clone.join(".beads/issues.jsonl"), text_of(&lines)).unwrap();
    town.git(&clone, &["add", "."]);
    town.git(&clone, &["commit", "-q", "-m", "beads"]);
    town.git(&clone, &["push", "-q", "origin", "HEAD"]);
    let told = town.gt(&format!("--json rig add pumps {} --beads", project.display())).json();
    assert_eq!((told["rig"]["prefix"].as_str(), told["beads"]["created"].as_u64()), (Some("bd"), Some(2)));
    assert_eq!(told["beads"]["others"], 1);
    assert_eq!(town.show("bd-a1.1")["title"], "t");
    // A second one whose prefix is taken gets ids of its own; a file that is named is read before anything is cloned.
    town.gt(&format!("rig add valves {} --beads=nowhere", project.display())).fails_with(3);
    assert!(!town.root.join("valves").exists());
    let told = town.gt(&format!("--json rig add valves {} --beads", project.display())).json();
    assert_eq!((told["rig"]["prefix"].as_str(), told["beads"]["renamed"].as_u64()), (Some("va"), Some(2)));
    assert_eq!(town.show("va-a1")["title"], "t");
    // Later lines come from the project again, or from a directory.
    let again = town.gt("--json bead import --rig pumps").json();
    assert_eq!(again["unchanged"], 2);
    assert_eq!(town.gt(&format!("--json bead import {}", clone.display())).json()["unchanged"], 2);
}

#[test]
fn an_export_can_be_of_a_part_and_is_not_disturbed_by_a_reader_who_leaves() {
    let town = two_rigs();
    import(&town, "", &text_of(&[of_old("wi-1", json!({})), of_bd("wi-2"), of_old("ga-1", json!({"issue_type": "bug"}))])).json();
    let ids = |args: &str| exported(&town, args).iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(
        ids("--all"),
        ["wi-1", "wi-2", "ga-1"].iter().map(ToString::to_string).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    );
    assert_eq!(ids("--all --status closed"), ["wi-2"]);
    assert_eq!(ids("--all --type bug"), ["ga-1"]);
    town.gt("bead export --status nonsense").fails_with(2);
    let child = town.here().command(&["bead", "export", "--all"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut child = child;
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
