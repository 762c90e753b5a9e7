//! Slinging and convoys: work that was slung is tracked, several beads are one batch, and the witnesses and the mayor hear
//! of it.

use serde_json::{Value, json};

use crate::beads::{create, two_rigs};
use crate::mail::{inbox, subjects};
use crate::town::{Rig, Town, text_at};

fn answer(town: &Town, line: &str) -> Value {
    town.gt(&format!("--json {line}")).json()
}

/// What a list of convoys shows of each: title, closed, total.
fn convoys(town: &Town) -> Vec<(String, u64, u64)> {
    let rows = answer(town, "convoy list --all");
    let row = |row: &Value| (text_at(row, &["/title"]), row["closed"].as_u64().unwrap(), row["total"].as_u64().unwrap());
    rows.as_array().unwrap().iter().map(row).collect()
}

fn told(town: &Town, address: &str, kind: &str) -> Vec<Value> {
    inbox(town, address).into_iter().filter(|letter| letter["subject"].as_str().unwrap().starts_with(kind)).collect()
}

#[test]
fn a_lone_bead_that_is_slung_gets_a_convoy_unless_it_has_one_or_is_to_have_none() {
    let (town, rig) = Town::with_rig();
    let (a, b, c) = (town.bead(&rig, "Mend the pump"), town.bead(&rig, "B"), town.bead(&rig, "C"));
    let slung = answer(&town, &format!("sling {a} --no-start"));
    assert_eq!((slung["outcome"].as_str(), slung["bead"].as_str()), (Some("assigned"), Some(a.as_str())));
    let id = text_at(&slung, &["/convoy"]);
    assert_eq!(convoys(&town), [("Work: Mend the pump".to_owned(), 0, 1)]);
    assert_eq!(answer(&town, &format!("sling {a} --no-start"))["convoy"], id.as_str(), "again is nothing more");
    assert_eq!(convoys(&town).len(), 1);
    let own = text_at(&answer(&town, &format!("convoy create Own {b}")), &["/id"]);
    assert_eq!(answer(&town, &format!("sling {b} --no-start"))["convoy"], own.as_str());
    assert_eq!(answer(&town, &format!("sling {c} --no-start --no-convoy"))["convoy"], Value::Null);
    assert_eq!(convoys(&town).len(), 2);
    assert!(town.gt("status").succeeds().stdout.contains(&format!("convoy {id}")));
    assert_eq!(answer(&town, "status")["convoys"].as_array().unwrap().len(), 2);
    assert!(told(&town, "widgets/witness", "SWARM").is_empty(), "one bead is no batch");
    town.gt(&format!("unsling {a}")).succeeds();
    town.gt(&format!("close {a}")).succeeds();
    assert_eq!(town.status(&id), "closed");
    assert_eq!(told(&town, "overseer", "CONVOY_LANDED").len(), 1);
}

#[test]
fn a_convoy_that_a_sling_leaves_to_its_slinger_waits_for_him() {
    let (town, rig) = Town::with_rig();
    let a = town.bead(&rig, "A");
    let id = text_at(&town.as_agent("mayor").gt(&format!("--json sling {a} --no-start --owned")).json(), &["/convoy"]);
    town.gt(&format!("unsling {a}")).succeeds();
    town.gt(&format!("close {a}")).succeeds();
    assert_eq!(town.status(&id), "open");
    town.as_agent("mayor").gt(&format!("convoy land {id}")).succeeds();
    assert_eq!(told(&town, "mayor", "CONVOY_LANDED").len(), 1);
    town.gt(&format!("sling {a} --owned --no-convoy")).fails_with(2);
}

#[test]
fn a_sling_without_its_convoy_is_completed_by_the_next() {
    let (town, rig) = Town::with_rig();
    let a = town.bead(&rig, "A");
    let killed = town.here().var("GT_CRASH_AT", "sling.assigned").gt(&format!("sling {a} --no-start"));
    assert_ne!(killed.code, 0);
    assert_eq!((town.status(&a).as_str(), convoys(&town).len()), ("hooked", 0));
    let slung = answer(&town, &format!("sling {a} --no-start"));
    assert_eq!(slung["outcome"], "already-there");
    assert_eq!(convoys(&town), [("Work: A".to_owned(), 0, 1)]);
}

fn two() -> (Town, Rig, Rig) {
    let (town, widgets) = Town::with_rig();
    let gadgets = town.rig("gadgets");
    (town, widgets, gadgets)
}

#[test]
fn several_beads_are_one_batch_with_an_outcome_each() {
    let (town, widgets, gadgets) = two();
    let (a, b, c) = (town.bead(&widgets, "First"), town.bead(&widgets, "Second"), town.bead(&gadgets, "Third"));
    let blocked = create(&town, &format!("Blocked --rig widgets --deps {c}"));
    let done = town.bead(&widgets, "Done");
    town.gt(&format!("close {done}")).succeeds();
    let slung = town.gt(&format!("--json sling {a} {b} {a} {c} {blocked} {done} wi-nope1 --no-start")).ends_with(4);
    let slung: Value = serde_json::from_str(&slung.stdout).unwrap();
    let outcomes: Vec<&str> = slung["beads"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["assigned", "assigned", "assigned", "failed", "failed", "failed"]);
    assert_eq!(
        (slung["beads"][3]["error"]["kind"].as_str(), slung["beads"][5]["error"]["kind"].as_str()),
        (Some("refused"), Some("not-found"))
    );
    assert_eq!(
        convoys(&town),
        [("4 beads: First, …".to_owned(), 0, 4)],
        "what waits is a part of it, what is done or nowhere is not"
    );
    let id = text_at(&slung, &["/convoy"]);
    let again = answer(&town, &format!("sling {a} {b} --no-start"));
    assert_eq!((again["beads"][0]["outcome"].as_str(), again["convoy"].as_str()), (Some("already-there"), Some(id.as_str())));
    let page = town.gt(&format!("sling {a} {b} --no-start")).succeeds().stdout;
    assert!(page.contains("already there") && page.contains(&id), "{page}");
    let agent = text_at(&town.show(&a), &["/assignee"]);
    assert!(town.gt(&format!("sling {a} {b} {agent}")).fails_with(2).stderr.contains("one bead"));
    assert_eq!(convoys(&town).len(), 1);
}

#[test]
fn when_none_of_several_can_be_slung_there_is_no_convoy() {
    let (town, rig) = Town::with_rig();
    let epic = create(&town, "Epic -t epic --rig widgets");
    let done = town.bead(&rig, "Done");
    town.gt(&format!("close {done}")).succeeds();
    town.gt(&format!("sling {epic} {done} widgets --no-start")).ends_with(4);
    let open = town.bead(&rig, "Open");
    town.gt(&format!("sling {open} nowhere")).fails_with(3);
    // The mayor has work of the town only; the others have none.
    for (target, code) in [("mayor", 4), ("refinery", 2), ("deacon", 2)] {
        town.gt(&format!("sling {open} {target} --no-start")).fails_with(code);
    }
    assert_eq!(town.status(&open), "open", "a wrong target slings nothing");
    assert!(convoys(&town).is_empty());
}

#[test]
fn the_witness_of_each_rig_hears_of_a_batch_and_the_mayor_when_a_share_is_done() {
    let (town, widgets, gadgets) = two();
    let (a, b, c) = (town.bead(&widgets, "A"), town.bead(&widgets, "B"), town.bead(&gadgets, "C"));
    let id = text_at(&answer(&town, &format!("sling {a} {b} {c} --no-start --args quickly")), &["/convoy"]);
    let start = &told(&town, "widgets/witness", "SWARM_START")[0]["payload"];
    assert_eq!((start["convoy"].as_str(), &start["beads"]), (Some(id.as_str()), &json!([a, b])));
    assert_eq!(start["workers"].as_array().unwrap().len(), 2);
    assert_eq!(told(&town, "gadgets/witness", "SWARM_START")[0]["payload"]["beads"], json!([c]));
    let close = |bead: &str| {
        town.gt(&format!("unsling {bead}")).succeeds();
        town.gt(&format!("close {bead}")).succeeds();
    };
    close(&a);
    assert!(told(&town, "mayor", "SWARM_COMPLETE").is_empty());
    close(&b);
    let done = &told(&town, "mayor", "SWARM_COMPLETE")[0];
    assert_eq!((done["from"].as_str(), &done["payload"]["beads"]), (Some("widgets/witness"), &json!([a, b])));
    assert_eq!(town.status(&id), "open");
    // A share that grows is told of again when it is done again.
    let d = town.bead(&widgets, "D");
    town.gt(&format!("convoy add {id} {d}")).succeeds();
    town.gt("convoy check").succeeds();
    assert_eq!(told(&town, "mayor", "SWARM_COMPLETE").len(), 1);
    town.gt(&format!("close {d}")).succeeds();
    close(&c);
    town.gt("convoy check").succeeds();
    let mut all = subjects(&told(&town, "mayor", "SWARM_COMPLETE"));
    all.dedup();
    assert_eq!((all.len(), told(&town, "mayor", "SWARM_COMPLETE").len()), (1, 3));
    assert_eq!((town.status(&id).as_str(), told(&town, "overseer", "CONVOY_LANDED").len()), ("closed", 1));
    assert_eq!(told(&town, "widgets/witness", "SWARM_START").len(), 1);
}

#[test]
fn a_convoy_made_by_hand_is_no_swarm() {
    let town = two_rigs();
    let a = create(&town, "A --rig widgets");
    town.gt(&format!("convoy create Plain {a}")).succeeds();
    town.gt(&format!("close {a}")).succeeds();
    assert!(told(&town, "mayor", "SWARM").is_empty() && told(&town, "widgets/witness", "SWARM").is_empty());
}
