//! What a hand may do, by whichever verb it asks; edges and parents; and answers that cannot be written.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::beads::{bead_path, create, ids, put, tip, two_rigs, write};
use crate::many::with_input;
use crate::town::{Outcome, Town, text_at};

fn make(town: &Town, words: &str) -> String {
    create(town, &format!("{words} --rig widgets"))
}

fn answer(town: &Town, line: &str) -> Value {
    town.gt(&format!("--json {line}")).json()
}

/// Runs gt with standard output on a disk that is full.
fn on_a_full_disk(town: &Town, args: &[&str]) -> Outcome {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = town.here().command(args).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    Outcome::of(format!("gt {}", args.join(" ")), child.wait_with_output().unwrap())
}

#[test]
fn an_answer_that_a_full_disk_takes_not_ends_with_seven_and_says_so() {
    let town = two_rigs();
    let id = make(&town, "Work");
    for args in [
        &["list", "--rig", "widgets"][..],
        &["--json", "list", "--rig", "widgets"],
        &["bead", "export", "--rig", "widgets"],
        &["show", &id],
        &["--json", "schema"],
        &["--help"],
        &["list", "--help"],
    ] {
        let told = on_a_full_disk(&town, args).fails_with(7);
        assert!(told.stderr.contains("no space left on the disk"), "{args:?}: {}", told.stderr);
    }
    // What was done stands, and the hint does not say otherwise.
    let told = on_a_full_disk(&town, &["close", &id]).fails_with(7);
    assert!(town.status(&id) == "closed" && !told.stderr.contains("nothing was written"), "{}", told.stderr);
    // An error is told where it can be, with its own code.
    let told = on_a_full_disk(&town, &["--json", "show", "wi-nope1"]).fails_with(3);
    assert!(told.stderr.contains("wi-nope1"), "{}", told.stderr);
    // Whoever closed the pipe has read enough.
    let mut child = town.here().command(&["schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn standard_input_is_one_text_only() {
    let town = two_rigs();
    let id = make(&town, "Work -d Old --design Plan");
    let before = tip(&town, "widgets");
    for words in [
        &["-d", "-", "--notes", "-"][..],
        &["--stdin", "--design", "-"],
        &["--body-file", "-", "--acceptance", "@-"],
        &["--design-file", "-", "--notes", "-"],
    ] {
        for start in [&["update", &id][..], &["create", "New", "--rig", "widgets"]] {
            let refused = with_input(&town, &[start, words].concat(), "once\n").fails_with(2);
            assert!(refused.stderr.contains("one text only"), "{words:?}: {}", refused.stderr);
        }
    }
    with_input(&town, &["update", &id, "--append-notes", "-", "-d", "-"], "once\n").fails_with(2);
    assert_eq!(tip(&town, "widgets"), before);
    with_input(&town, &["update", &id, "--append-notes", "@-"], "once\n").succeeds();
    let bead = town.show(&id);
    assert_eq!((&bead["notes"], &bead["description"], &bead["design"]), (&json!("once"), &json!("Old"), &json!("Plan")));
}

#[test]
fn a_polecat_closes_its_own_work_by_no_verb() {
    let (town, rig) = Town::with_rig();
    let (own, other) = (town.bead(&rig, "Own"), town.bead(&rig, "Other"));
    town.gt(&format!("sling {own} widgets/toast --no-start")).succeeds();
    let polecat = || town.as_agent("widgets/polecats/toast");
    let before = tip(&town, "widgets");
    for line in [
        format!("close {own}"),
        format!("close {own} --force"),
        format!("update {own} --status closed"),
        format!("update {own} -s done"),
        format!("bead duplicate {own} --of {other}"),
    ] {
        let refused = polecat().gt(&line).fails_with(4);
        assert!(refused.stderr.contains("gt done"), "{line}: {}", refused.stderr);
    }
    for line in [json!({"op": "close", "id": own}), json!({"op": "update", "id": own, "status": "closed"})] {
        let mut command = polecat().command(&["bead", "batch"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), line.to_string().as_bytes()).unwrap();
        Outcome::of("gt bead batch".into(), child.wait_with_output().unwrap()).fails_with(4);
    }
    let editor = "sed -i 's/^status: .*/status: closed/'";
    polecat().var("EDITOR", editor).gt(&format!("bead edit {own}")).fails_with(4);
    assert_eq!((tip(&town, "widgets"), town.status(&own).as_str()), (before, "hooked"));
    polecat().gt(&format!("update {other} --status closed")).succeeds();
    town.gt(&format!("close {own}")).succeeds();
}

#[test]
fn an_edit_that_closes_the_last_bead_lands_its_convoy() {
    let town = two_rigs();
    let id = make(&town, "Only");
    let convoy = text_at(&answer(&town, &format!("convoy create Batch {id}")), &["/id"]);
    let editor = town.here().var("EDITOR", "sed -i 's/^status: .*/status: closed/'");
    editor.gt(&format!("bead edit {id}")).succeeds();
    assert_eq!((town.status(&id).as_str(), town.status(&convoy).as_str()), ("closed", "closed"));
}

#[test]
fn an_epic_that_no_sweep_may_close_keeps_no_other_open() {
    let town = two_rigs();
    let epics: Vec<String> = ["Kept", "Handed", "Done"].iter().map(|title| make(&town, &format!("{title} -t epic"))).collect();
    for epic in &epics {
        let child = make(&town, &format!("Part --parent {epic}"));
        town.gt(&format!("close {child}")).succeeds();
    }
    town.gt(&format!("bead pin {}", epics[0])).succeeds();
    put(&town, "widgets", &bead_path(&epics[1]), |bead| bead["status"] = json!("in_review"));
    let shown = answer(&town, "bead epic status --rig widgets");
    let eligible: Vec<bool> = shown.as_array().unwrap().iter().map(|one| one["eligible_for_close"] == true).collect();
    assert_eq!(eligible.iter().filter(|is_so| **is_so).count(), 1, "{shown:#}");
    assert_eq!(ids(town.gt("--json bead epic close-eligible --rig widgets")), std::slice::from_ref(&epics[2]));
    let statuses: Vec<String> = epics.iter().map(|epic| town.status(epic)).collect();
    assert_eq!(statuses, ["pinned", "in_review", "closed"]);
}

#[test]
fn a_new_bead_keeps_every_limit_that_a_change_keeps() {
    let town = two_rigs();
    let before = tip(&town, "widgets");
    let long = "x".repeat(501);
    for words in [
        &["--external-ref", "a\nb"][..],
        &["--external-ref", &long],
        &["--metadata", "=x"],
        &["--metadata", &format!("{}=1", "k".repeat(101))],
    ] {
        town.gt_args(&[&["create", "New", "--rig", "widgets"], words].concat()).fails_with(2);
    }
    assert_eq!(tip(&town, "widgets"), before);
    let id = town.gt_args(&["--json", "create", "New", "--rig", "widgets", "--external-ref", "", "--assignee", ""]).json();
    assert_eq!((id.get("external_ref"), id.get("assignee")), (None, None));
    let id = text_at(&id, &["/id"]);
    town.gt_args(&["update", &id, "--external-ref", "gh-7"]).succeeds();
    assert_eq!(town.show(&id)["external_ref"], "gh-7");
    town.gt_args(&["update", &id, "--external-ref", ""]).succeeds();
    assert_eq!(town.show(&id).get("external_ref"), None);
    let lines = json!({"op": "update", "id": id, "external_ref": "", "owner": ""}).to_string();
    with_input(&town, &["bead", "batch"], &lines).succeeds();
    assert_eq!((town.show(&id).get("external_ref"), town.show(&id).get("owner")), (None, None));
}

#[test]
fn children_are_those_that_say_so_whatever_their_ids() {
    let town = two_rigs();
    let (old, new) = (make(&town, "Old -t epic"), make(&town, "New -t epic"));
    let moved = make(&town, &format!("Moved --parent {old}"));
    let kept = make(&town, &format!("Kept --parent {old}"));
    make(&town, &format!("Grandchild --parent {kept}"));
    let plain = make(&town, "Plain");
    town.gt(&format!("update {moved} --parent {new}")).succeeds();
    town.gt(&format!("bead dep add {plain} {new} --kind parent-child")).succeeds();
    assert_eq!(town.show(&old)["children"], json!([kept]));
    let mut children: Vec<String> = serde_json::from_value(town.show(&new)["children"].clone()).unwrap();
    children.sort();
    let mut wanted = vec![moved.clone(), plain.clone()];
    wanted.sort();
    assert_eq!(children, wanted);
    // Of a task without numbered children others are asked for by --long, and by the verb for it.
    let task = make(&town, "Task");
    town.gt(&format!("update {plain} --parent {task}")).succeeds();
    assert_eq!(answer(&town, &format!("show {task} --long"))[0]["children"], json!([plain]));
    assert_eq!(ids(town.gt(&format!("--json bead children {task}"))), std::slice::from_ref(&plain));
    town.gt(&format!("update {plain} --parent {new}")).succeeds();
    // One that cannot be read is named where its id says that it belongs, and nowhere else.
    let twin = make(&town, &format!("Twin --id {new}x"));
    let child = make(&town, &format!("Lost --parent {twin}"));
    write(&town, "widgets", &bead_path(&child), "no JSON\n");
    assert_eq!(town.show(&new)["children"].as_array().unwrap().len(), 2);
    assert_eq!(answer(&town, &format!("show {new} --long"))[0]["family"].as_array().unwrap().len(), 2);
    assert_eq!(town.show(&twin)["children"], json!([child]));
}

#[test]
fn a_child_leaves_its_parent_by_dep_remove() {
    let town = two_rigs();
    let epic = make(&town, "Epic -t epic");
    let child = make(&town, &format!("Child --parent {epic}"));
    let ended = answer(&town, &format!("bead dep remove {child} {epic}"));
    assert_eq!((&ended["status"], &ended["type"]), (&json!("removed"), &json!("parent-child")));
    assert_eq!(town.show(&child).get("parent"), None);
    assert_eq!(answer(&town, &format!("bead dep remove {child} {epic}"))["status"], "not-there");
    // With both, each is ended for itself.
    town.gt(&format!("update {child} --parent {epic}")).succeeds();
    town.gt(&format!("bead dep add {child} {epic} --kind related")).succeeds();
    assert_eq!(answer(&town, &format!("bead dep remove {child} {epic} -t blocks"))["status"], "not-there");
    assert_eq!(answer(&town, &format!("bead dep remove {child} {epic} -t parent-child"))["status"], "removed");
    assert_eq!((town.show(&child).get("parent"), &town.show(&child)["dependencies"][0]["type"]), (None, &json!("related")));
    town.gt(&format!("bead dep remove {child} {epic} --kind hates")).fails_with(2);
}

#[test]
fn the_way_out_of_a_ring_is_one_that_works() {
    let town = two_rigs();
    let epic = make(&town, "Epic -t epic");
    let child = make(&town, &format!("Child --parent {epic}"));
    let waits = make(&town, &format!("Waits --deps waits-for:{epic}"));
    // What no command would do, two machines can.
    put(&town, "widgets", &bead_path(&child), |bead| {
        bead["dependencies"] =
            json!([{"issue_id": child, "depends_on_id": waits, "type": "blocks", "created_at": "2026-01-01T00:00:00.000Z"}]);
    });
    for _ in 0..2 {
        let page = town.gt("bead dep cycles").ends_with(1).stdout;
        let line = page.lines().find_map(|line| line.strip_prefix("to end the first: gt ")).unwrap().to_owned();
        assert_eq!(answer(&town, &line)["status"], "removed", "{page}");
        if town.gt("bead dep cycles").code == 0 {
            return;
        }
    }
    panic!("the ring is there still");
}

#[test]
fn a_parent_lives_beside_its_child_however_it_is_said() {
    let town = two_rigs();
    let (a, far) = (make(&town, "A"), create(&town, "Far --rig gadgets"));
    let before = tip(&town, "widgets");
    assert!(town.gt(&format!("bead dep add {a} {far} -t parent-child")).fails_with(4).stderr.contains("another scope"));
    town.gt(&format!("create New --rig widgets --deps parent-child:{far}")).fails_with(4);
    town.gt(&format!("create New --parent {a} --deps parent-child:{a}")).fails_with(4);
    assert_eq!(tip(&town, "widgets"), before);
}

#[test]
fn unrelate_ends_what_only_connects_and_dep_says_what_blocks() {
    let town = two_rigs();
    let (a, b, c) = (make(&town, "A"), make(&town, "B"), make(&town, "C"));
    let made = answer(&town, &format!("bd dep {a} --blocks {b}"));
    assert_eq!((&made["issue_id"], &made["depends_on_id"], &made["type"]), (&json!(b), &json!(a), &json!("blocks")));
    town.gt(&format!("bd dep relate {a} {c}")).succeeds();
    town.gt(&format!("bd dep add {c} --blocked-by {b}")).succeeds();
    assert_eq!(answer(&town, &format!("bd dep unrelate {b} {a}"))["status"], "not-there");
    assert_eq!(town.show(&b)["dependencies"].as_array().unwrap().len(), 1, "what blocks stays");
    assert_eq!(answer(&town, &format!("bd dep unrelate {c} {a}"))["status"], "removed", "whichever was named first");
    assert_eq!((town.show(&a).get("dependencies"), &town.show(&c)["dependencies"][0]["depends_on_id"]), (None, &json!(b)));
    // A flag may stand before the verb.
    assert_eq!(town.gt(&format!("bd dep --json add {c} {a}")).json()["status"], "added");
    assert_eq!(town.gt(&format!("bd dep --json list {a}")).json()["id"], a.as_str());
    assert_eq!(town.gt(&format!("bd comment --json add {a} so it is")).json()["text"], "so it is");
    assert_eq!(town.gt(&format!("bd comment --json list {a}")).json().as_array().unwrap().len(), 1);
    assert_eq!(town.gt(&format!("bd comment {a} list of things")).succeeds().stdout, format!("said on {a}\n"));
    town.gt(&format!("bd dep ad {a} {c}")).fails_with(2);
    town.gt(&format!("bd dep {b} --blocks {a}")).fails_with(4);
    town.gt(&format!("bd dep {a}")).fails_with(2);
    town.gt(&format!("bd dep add {a}")).fails_with(2);
    town.gt(&format!("bd dep {a} --blocks wi-nope1")).fails_with(3);
}

#[test]
fn what_is_pinned_closes_by_force_and_nothing_else_does() {
    let town = two_rigs();
    let (pinned, handed) = (make(&town, "Pinned"), make(&town, "Handed"));
    town.gt(&format!("bead pin {pinned}")).succeeds();
    put(&town, "widgets", &bead_path(&handed), |bead| bead["status"] = json!("in_review"));
    assert!(town.gt(&format!("close {pinned}")).fails_with(4).stderr.contains("--force"));
    town.gt(&format!("update {pinned} --status closed")).fails_with(4);
    town.gt(&format!("close {handed} --force")).fails_with(4);
    town.gt(&format!("bd close {pinned} -f -m 'no longer so'")).succeeds();
    assert_eq!((town.status(&pinned).as_str(), &town.show(&pinned)["close_reason"]), ("closed", &json!("no longer so")));
    town.gt("undo").succeeds();
    assert_eq!(town.status(&pinned), "pinned");
}

#[test]
fn the_board_shows_claims_that_ended_as_ready_and_archived_work_as_closed() {
    let town = two_rigs();
    let (claimed, ended) = (make(&town, "Claimed"), make(&town, "Ended"));
    town.gt(&format!("close {ended}")).succeeds();
    let at = |when: &str| town.here().var("GT_NOW", when);
    let column = |when: &str, words: &str, stage: &str| -> Vec<String> {
        let board = at(when).gt(&format!("--json bead board --rig widgets {words}")).json();
        let columns = board["columns"].as_array().unwrap();
        let column = columns.iter().find(|column| column["stage"] == stage).unwrap();
        column["beads"].as_array().unwrap().iter().map(|bead| text_at(bead, &["/id"])).collect()
    };
    at("2998-01-01T00:00:00Z").gt(&format!("update {claimed} --claim --lease 1h")).succeeds();
    assert_eq!(column("2998-01-01T00:30:00Z", "", "in_progress"), std::slice::from_ref(&claimed));
    assert_eq!(column("2998-01-01T02:00:00Z", "", "ready"), std::slice::from_ref(&claimed));
    at("2999-01-01T00:00:00Z").gt("maintain --rig widgets").succeeds();
    assert_eq!(town.show(&ended)["archived"], true);
    assert_eq!(column("2999-01-01T00:00:00Z", "--since 2020-01-01", "closed"), [ended]);
}

#[test]
fn a_bead_that_waits_for_the_children_of_one_that_moved_names_the_unreadable() {
    let town = two_rigs();
    let old = create(&town, "Epic -t epic --rig gadgets");
    let waits = make(&town, &format!("Waits --deps waits-for:{old}"));
    let new = text_at(&answer(&town, &format!("bead move {old} wi")), &["/moved/0/to", "/moved/0/new", "/moved/0/id", "/to"]);
    let lost = make(&town, &format!("Lost --parent {new}"));
    // What follows the tombstone: the edge as it was before the move.
    put(&town, "widgets", &bead_path(&waits), |bead| bead["dependencies"][0]["depends_on_id"] = json!(old));
    write(&town, "widgets", &bead_path(&lost), "no JSON\n");
    let blocked = answer(&town, "blocked --rig widgets");
    assert_eq!((&blocked[0]["id"], &blocked[0]["blocked_by"]), (&json!(waits), &json!([lost])));
}

#[test]
fn what_was_deleted_is_listed_though_one_rig_cannot_be_read() {
    let town = two_rigs();
    let id = make(&town, "Gone");
    town.gt(&format!("bead delete {id}")).succeeds();
    std::fs::rename(town.root.join("gadgets"), town.root.join("elsewhere")).unwrap();
    let told = town.gt("--json bead deleted --all").succeeds();
    assert!(told.stderr.contains("scope ga"), "{}", told.stderr);
    assert_eq!(ids(told), [id]);
    assert_ne!(town.gt("bead deleted --rig gadgets").code, 0);
}

#[test]
fn words_beside_a_file_that_it_would_not_heed_are_refused() {
    let town = two_rigs();
    let graph = town.base().join("plan.json");
    std::fs::write(&graph, json!({"nodes": [{"key": "a", "title": "A", "priority": "high"}]}).to_string()).unwrap();
    let markdown = town.base().join("plan.md");
    std::fs::write(&markdown, "## A\n### Priority\nhigh\n").unwrap();
    let (graph, markdown) = (graph.display().to_string(), markdown.display().to_string());
    let before = tip(&town, "widgets");
    for words in [
        &["-d", "x"][..],
        &["--notes", "x"],
        &["--design", "x"],
        &["--acceptance", "x"],
        &["--stdin"],
        &["--silent"],
        &["--id", "wi-x"],
    ] {
        for file in [["--graph", &graph], ["--file", &markdown]] {
            town.gt_args(&[&["create", "--rig", "widgets"], &file[..], words].concat()).fails_with(2);
        }
    }
    for words in [["--assignee", "mayor"], ["--due", "2d"], ["--metadata", "a=1"], ["--deps", "wi-x"], ["-e", "2h"]] {
        town.gt_args(&[&["create", "--rig", "widgets", "--graph", &graph], &words[..]].concat()).fails_with(2);
    }
    assert_eq!(tip(&town, "widgets"), before);
    let made = town.gt_args(&["--json", "create", "--rig", "widgets", "-f", &markdown, "--due", "2d", "-e", "90"]).json();
    assert_eq!((made[0]["priority"].as_u64(), made[0]["estimated_minutes"].as_u64()), (Some(1), Some(90)));
    let made = town.gt_args(&["--json", "create", "--rig", "widgets", "--graph", &graph, "-l", "x"]).json();
    let bead = town.show(&text_at(&made, &["/ids/a"]));
    assert_eq!((bead["priority"].as_u64(), &bead["labels"]), (Some(1), &json!(["x"])));
}

#[test]
fn types_statuses_and_priorities_are_read_alike_by_every_verb() {
    let town = two_rigs();
    let id = make(&town, "Work -t enhancement -p high");
    let bead = town.show(&id);
    assert_eq!((&bead["issue_type"], &bead["priority"]), (&json!("feature"), &json!(1)));
    for line in ["list -t enhancement --rig widgets", "list -p high --rig widgets", "ready -p P0-high --rig widgets"] {
        assert_eq!(ids(town.gt(&format!("--json {line}"))), std::slice::from_ref(&id), "{line}");
    }
    town.gt(&format!("update {id} -t adr -p low --status in-progress")).succeeds();
    let bead = town.show(&id);
    assert_eq!((&bead["issue_type"], &bead["priority"], &bead["status"]), (&json!("decision"), &json!(3), &json!("in_progress")));
    assert_eq!(ids(town.gt("--json list -s in-progress --rig widgets")), std::slice::from_ref(&id));
    assert_eq!(town.gt("bead export -s in-progress -t dec --rig widgets").succeeds().stdout.lines().count(), 1);
    let editor = town.here().var("EDITOR", "sed -i -e 's/^type: .*/type: enhancement/' -e 's/^priority: .*/priority: critical/'");
    editor.gt(&format!("bead edit {id}")).succeeds();
    let line = json!({"op": "update", "id": id, "issue_type": "enhancement", "priority": "P4", "status": "in-progress"});
    with_input(&town, &["bead", "batch"], &line.to_string()).succeeds();
    let bead = town.show(&id);
    assert_eq!((&bead["issue_type"], &bead["priority"]), (&json!("feature"), &json!(4)));
    let line = json!({"op": "create", "title": "T", "issue_type": "enhancement", "priority": "high", "rig": "widgets"});
    let made = with_input(&town, &["--json", "bead", "batch"], &line.to_string()).json();
    assert_eq!(town.show(&text_at(&made, &["/0/id"]))["priority"], 1);
    for wrong in [json!("highest"), json!(9), json!(-1), json!(1.5)] {
        let line = json!({"op": "create", "title": "T", "priority": wrong, "rig": "widgets"});
        with_input(&town, &["bead", "batch"], &line.to_string()).fails_with(2);
    }
}

#[test]
fn null_empties_what_a_bead_can_be_without_and_is_refused_elsewhere() {
    let town = two_rigs();
    let id = make(&town, "Work -d Text --notes N -l a --assignee mayor --due 2d -e 90");
    let update = |fields: &str| with_input(&town, &["bead", "batch"], &format!(r#"{{"op":"update","id":"{id}",{fields}}}"#));
    let before = tip(&town, "widgets");
    for field in ["title", "status", "priority", "issue_type", "claim", "append_notes", "add_labels", "metadata"] {
        let refused = update(&format!(r#""{field}":null"#)).fails_with(2);
        assert!(refused.stderr.contains("cannot be null"), "{field}: {}", refused.stderr);
    }
    assert_eq!(tip(&town, "widgets"), before);
    let all = ["description", "notes", "labels", "assignee", "due_at", "estimated_minutes"];
    update(&all.map(|field| format!(r#""{field}":null"#)).join(",")).succeeds();
    let bead = town.show(&id);
    assert!(all.iter().all(|field| bead.get(field).is_none()), "{bead:#}");
}

#[test]
fn history_cuts_nothing_for_a_program() {
    let town = two_rigs();
    let id = make(&town, "Work");
    let (title, first, last) = ("t".repeat(300), "f".repeat(200), "the last line");
    town.gt_args(&["update", &id, "--title", &title]).succeeds();
    town.gt_args(&["bead", "comment", "add", &id, &format!("{first}\n{last}")]).succeeds();
    let page = town.gt(&format!("bead history {id}")).succeeds().stdout;
    assert!(page.contains(&title) && page.contains(&first) && page.contains(last), "{page}");
    assert!(!page.contains('…'), "{page}");
}
