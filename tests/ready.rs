//! What is ready, what holds the rest back, and rings of dependencies, which are refused.

use crate::beads::{create, ids, tip, two_rigs};

#[test]
fn ready_is_what_nothing_blocks_and_nobody_has() {
    let town = two_rigs();
    let first = create(&town, "First --rig widgets");
    let second = create(&town, &format!("Second --rig widgets --deps {first}"));
    let epic = create(&town, &format!("Epic -t epic --rig widgets --deps {second}"));
    let child = create(&town, &format!("Child --parent {epic}"));
    let later = create(&town, "Later --rig widgets --defer 30d");
    let taken = create(&town, "Taken --rig widgets --assignee mayor");
    let urgent = create(&town, "Urgent --rig widgets -p 0");
    let far = create(&town, &format!("Far --rig gadgets --deps {first}"));
    assert_eq!(ids(town.gt("--json ready --rig widgets")), [urgent.clone(), first.clone()]);
    assert_eq!(ids(town.gt("--json ready --rig gadgets")), Vec::<String>::new());
    town.gt(&format!("close {first} {urgent}")).succeeds();
    assert_eq!(ids(town.gt("--json ready --all")), [second.clone(), far]);
    let inside = town.from(town.root.join("widgets")).gt("ready").succeeds();
    assert!(inside.stdout.contains("Second") && !inside.stdout.contains("Far"));
    assert!(inside.stderr.contains("1 more in other scopes"), "{}", inside.stderr);
    town.gt(&format!("close {second}")).succeeds();
    assert_eq!(ids(town.gt("--json ready --rig widgets")), [child]);
    assert!(!later.is_empty() && !taken.is_empty());
}

#[test]
fn a_search_finds_words_wherever_they_stand() {
    let town = two_rigs();
    let title = create(&town, "Mend_the_pump --rig widgets -p 3");
    let text = create(&town, "Second --rig widgets --notes pump");
    let both = create(&town, "Third --rig gadgets --label pump --design Leaks");
    town.gt(&format!("close {text} --reason Überlaufen")).succeeds();
    assert_eq!(ids(town.gt("--json search PUMP --all")), [title.clone(), both.clone(), text.clone()]);
    assert_eq!(ids(town.gt("--json search PUMP --rig widgets -n 1")), std::slice::from_ref(&title));
    assert_eq!(ids(town.gt("--json search pump leaks --all")), [both]);
    assert_eq!(ids(town.gt("--json search überlaufen --all")), std::slice::from_ref(&text));
    assert_eq!(ids(town.gt("--json bead search pump --status closed --all")), std::slice::from_ref(&text));
    assert_eq!(ids(town.gt("--json search nowhere --all")), Vec::<String>::new());
    town.gt(&format!("update {title} --title Other")).succeeds();
    assert_eq!(ids(town.gt("--json search mend_the --rig widgets")), Vec::<String>::new(), "what it said before is not found");
    let shown = town.gt("search pump --rig widgets").succeeds();
    assert!(shown.stdout.contains(&text) && !shown.stdout.contains(&title), "{}", shown.stdout);
    assert_eq!(town.gt("search").code, 2);
}

#[test]
fn an_unreachable_scope_blocks_and_says_so() {
    let town = two_rigs();
    let far = create(&town, "Far --rig gadgets");
    let near = create(&town, &format!("Near --rig widgets --deps {far}"));
    std::fs::rename(town.root.join("gadgets"), town.root.join("elsewhere")).unwrap();
    let ready = town.gt("--json ready --rig widgets").succeeds();
    assert!(ready.stderr.contains(&near) && ready.stderr.contains(&far), "{}", ready.stderr);
    assert_eq!(ids(ready), Vec::<String>::new());
}

#[test]
fn dependencies_of_every_kind_hold_back_as_they_say() {
    let town = two_rigs();
    let make = |title: &str, kind: &str, on: &str| create(&town, &format!("{title} --deps {kind}:{on}"));
    let epic = create(&town, "Epic -t epic");
    let part = create(&town, &format!("Part --parent {epic}"));
    let (waits, merge) = (make("Waits", "waits-for", &epic), make("Merge", "merge-blocks", &part));
    let (failed, related) = (make("Failed", "conditional-blocks", &part), make("Related", "related", &part));
    assert_eq!(ids(town.gt("--json ready")), [part.clone(), related.clone()]);
    town.gt(&format!("close {part} --reason 'tests failed'")).succeeds();
    assert_eq!(ids(town.gt("--json ready")), [waits, failed, related]);
    let list = town.gt(&format!("bead dep list {merge}")).succeeds().stdout;
    assert!(list.contains(&part) && list.contains("merge-blocks"));
    assert_eq!(town.gt(&format!("--json bead dep list {part}")).json()["needed_by"].as_array().unwrap().len(), 3);
}

#[test]
fn a_ring_of_blockers_is_refused_and_printed_also_over_scopes() {
    let town = two_rigs();
    let a = create(&town, "A --rig widgets");
    let b = create(&town, &format!("B --rig gadgets --deps {a}"));
    let c = create(&town, &format!("C --rig hq --deps {b}"));
    let before = tip(&town, "widgets");
    let refused = town.gt(&format!("bead dep add {a} {c}")).fails_with(4);
    assert!(refused.stderr.contains(&format!("{a} → {c} → {b} → {a}")), "{}", refused.stderr);
    town.gt(&format!("bead dep add {a} {a}")).fails_with(4);
    assert_eq!(tip(&town, "widgets"), before);
    town.gt(&format!("bead dep add {a} {c} --kind related")).succeeds();
    // A parent that waits for its child would hold that child back for ever.
    let epic = create(&town, "Epic -t epic");
    let child = create(&town, &format!("Child --parent {epic}"));
    town.gt(&format!("bead dep add {epic} {child}")).fails_with(4);
    town.gt(&format!("create 'Second child' --parent {epic} --deps waits-for:{epic}")).fails_with(4);
    // The way out: end an edge.
    town.gt(&format!("bead dep remove {b} {a}")).succeeds();
    assert!(town.gt(&format!("bead dep remove {b} {a}")).succeeds().stdout.contains("did not depend"));
    town.gt(&format!("bead dep remove {a} {c}")).succeeds();
    assert_eq!(town.gt(&format!("--json bead dep add {a} {c} --type blocks")).json()["status"], "added");
    assert_eq!(town.gt(&format!("--json bead dep add {a} {c}")).json()["status"], "already-there");
    town.gt(&format!("bead dep add {a} {c} --kind validates")).fails_with(4);
}
