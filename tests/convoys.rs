//! Convoys through the program: what they track, when they land, who is told, and what cannot stop them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::beads::{bead_path, create, put, tip, two_rigs, write};
use crate::machines::Pair;
use crate::mail::{inbox, records, subjects};
use crate::many::with_input;
use crate::race::all_at_once;
use crate::town::{Town, text_at};

/// Steps between the close of a bead and that of its convoys, and of a launch.
pub const STEPS: &[&str] = &["convoy.settling", "convoy.launched", "convoy.fed"];

fn answer(town: &Town, line: &str) -> Value {
    town.gt(&format!("--json {line}")).json()
}

/// Makes a convoy; answers its id.
pub fn convoy(town: &Town, words: &str) -> String {
    text_at(&answer(town, &format!("convoy create {words}")), &["/id"])
}

/// Subjects of letters about landings in a mailbox.
fn landings(town: &Town, address: &str) -> Vec<String> {
    subjects(&inbox(town, address)).into_iter().filter(|subject| subject.starts_with("CONVOY_LANDED")).collect()
}

fn three_rigs() -> Town {
    let town = two_rigs();
    town.rig("sprockets");
    town
}

#[test]
fn a_convoy_over_three_rigs_and_the_town_lands_with_its_last_bead_and_tells_each_once() {
    let town = three_rigs();
    let beads: Vec<String> =
        ["widgets", "gadgets", "sprockets", "hq"].iter().map(|rig| create(&town, &format!("Part --rig {rig}"))).collect();
    let made = answer(&town, &format!("convoy create 'All parts' {} --owner mayor --notify widgets/witness", beads.join(" ")));
    assert_eq!(
        (made["outcome"].as_str(), made["total"].as_u64(), made["status"].as_str()),
        (Some("created"), Some(4), Some("open"))
    );
    let id = text_at(&made, &["/id"]);
    assert!(id.starts_with("hq-cv-"), "{id}");
    for (n, bead) in beads.iter().enumerate() {
        let row = &answer(&town, "convoy list")[0];
        assert_eq!((row["total"].as_u64(), row["closed"].as_u64()), (Some(4), Some(n as u64)));
        town.gt(&format!("close {bead}")).succeeds();
    }
    assert_eq!(answer(&town, "convoy list"), json!([]));
    let closed = town.show(&id);
    assert_eq!((closed["status"].as_str(), closed["issue_type"].as_str()), (Some("closed"), Some("convoy")));
    for address in ["mayor", "widgets/witness"] {
        assert_eq!(landings(&town, address), [format!("CONVOY_LANDED {id}")], "{address}");
    }
    let letter = &inbox(&town, "mayor")[0];
    assert_eq!((letter["type"].as_str(), letter["refs"][0].as_str()), (Some("protocol"), Some(id.as_str())));
    assert!(letter["payload"]["summary"].as_str().unwrap().contains("All parts"));
    assert!(records(&town, ".", "outbox/").is_empty());
    let before = tip(&town, ".");
    assert_eq!(answer(&town, "convoy check"), json!({"convoys": [], "damaged": []}));
    assert_eq!(tip(&town, "."), before, "a check with nothing to do writes nothing");
}

#[test]
fn the_last_bead_of_the_town_and_its_convoy_close_in_one_transaction() {
    let town = two_rigs();
    let beads: Vec<String> = (0..3).map(|n| create(&town, &format!("Part{n} --rig hq"))).collect();
    let id = convoy(&town, &format!("Parts {}", beads.join(" ")));
    town.gt(&format!("close {}", beads[0])).succeeds();
    let before = tip(&town, ".");
    town.gt(&format!("close {} {}", beads[1], beads[2])).succeeds();
    assert_eq!(town.git(&town.root, &["--git-dir", ".repo.git", "rev-parse", "refs/gt/ledger^"]), before);
    assert_eq!((town.status(&id).as_str(), landings(&town, "overseer").len()), ("closed", 1));
    let log = town.gt("log --town -n 1").succeeds().stdout;
    assert!(log.contains("close"), "{log}");
}

#[test]
fn every_way_to_close_a_bead_lands_its_convoy() {
    let town = two_rigs();
    let stays = create(&town, "Stays --rig widgets");
    let lands = |rig: &str, how: &dyn Fn(&str) -> String| {
        let bead = create(&town, &format!("Part --rig {rig}"));
        let id = convoy(&town, &format!("One {bead}"));
        town.gt(&how(&bead)).succeeds();
        assert_eq!(town.status(&id), "closed", "{}", how(&bead));
    };
    for rig in ["widgets", "hq"] {
        lands(rig, &|bead| format!("update {bead} --status closed"));
        lands(rig, &|bead| format!("bead duplicate {bead} --of {stays}"));
        lands(rig, &|bead| format!("bead supersede {bead} --with {stays}"));
        let bead = create(&town, &format!("Part --rig {rig}"));
        let id = convoy(&town, &format!("One {bead}"));
        with_input(&town, &["bead", "batch"], &json!({"op": "close", "id": bead}).to_string()).succeeds();
        assert_eq!(town.status(&id), "closed", "batch");
    }
    let epic = create(&town, "Epic -t epic --rig widgets");
    let child = create(&town, &format!("Child --parent {epic}"));
    let id = convoy(&town, &format!("'The epic itself' {epic}"));
    town.gt(&format!("close {child}")).succeeds();
    assert_eq!(town.status(&id), "open");
    town.gt("bead epic close-eligible --all").succeeds();
    assert_eq!(town.status(&id), "closed");
}

#[test]
fn a_convoy_that_tracks_nothing_never_lands_and_one_without_its_last_open_bead_does() {
    let town = two_rigs();
    let (a, b) = (create(&town, "A --rig widgets"), create(&town, "B --rig gadgets"));
    let empty = convoy(&town, "Nothing");
    assert_eq!(answer(&town, "convoy check")["convoys"][0]["outcome"], "empty");
    assert_eq!(town.status(&empty), "open");
    let added = answer(&town, &format!("convoy add {empty} {a} {b} {a}"));
    assert_eq!((added["outcome"].as_str(), &added["beads"]), (Some("added"), &json!([a, b])));
    assert_eq!(answer(&town, &format!("convoy add {empty} {a}"))["outcome"], "unchanged");
    town.gt(&format!("close {a}")).succeeds();
    let removed = answer(&town, &format!("convoy remove {empty} {b}"));
    assert_eq!((removed["has_landed"].as_bool(), removed["status"].as_str()), (Some(true), Some("closed")));
    assert_eq!(answer(&town, &format!("convoy remove {empty} {b}"))["outcome"], "unchanged");
    let done = convoy(&town, &format!("'Done already' {a}"));
    assert_eq!((town.status(&done).as_str(), landings(&town, "overseer").len()), ("closed", 2));
    let last = convoy(&town, "Last");
    town.gt(&format!("convoy add {last} {b}")).succeeds();
    town.gt(&format!("convoy remove {last} {b}")).succeeds();
    assert_eq!(town.status(&last), "open", "what tracks nothing any more has not landed");
}

#[test]
fn adding_to_a_closed_convoy_opens_it_and_it_lands_again() {
    let town = two_rigs();
    let (a, b, c) = (create(&town, "A --rig widgets"), create(&town, "B --rig widgets"), create(&town, "C --rig hq"));
    let id = convoy(&town, &format!("Parts {a}"));
    town.gt(&format!("close {a} {c}")).succeeds();
    assert_eq!(town.status(&id), "closed");
    assert_eq!(answer(&town, &format!("convoy add {id} {c}"))["status"], "closed", "what is closed opens nothing");
    assert_eq!(answer(&town, &format!("convoy add {id} {b}"))["status"], "open");
    assert_eq!(landings(&town, "overseer").len(), 1);
    town.gt(&format!("close {b}")).succeeds();
    assert_eq!((town.status(&id).as_str(), landings(&town, "overseer").len()), ("closed", 2));
    // One that was archived comes back.
    let later = town.here().var("GT_NOW", "2999-01-02T00:00:00Z");
    later.gt("maintain --town").succeeds();
    assert_eq!(town.show(&id)["archived"], true);
    let d = create(&town, "D --rig widgets");
    assert_eq!(answer(&town, &format!("convoy add {id} {d}"))["status"], "open");
    assert_eq!(answer(&town, &format!("convoy status {id}"))[0]["total"], 4);
}

#[test]
fn an_owned_convoy_waits_for_its_owner() {
    let town = two_rigs();
    let a = create(&town, "A --rig widgets");
    let id = convoy(&town, &format!("Mine {a} --owned --notify deacon"));
    assert!(town.gt(&format!("convoy land {id}")).fails_with(4).stderr.contains(&a));
    town.gt(&format!("close {a}")).succeeds();
    assert_eq!(answer(&town, "convoy check")["convoys"][0]["outcome"], "complete");
    assert!(town.gt("convoy list").succeeds().stdout.contains(&format!("gt convoy land {id}")));
    assert_eq!(answer(&town, &format!("convoy land {id}"))["outcome"], "landed");
    assert_eq!((town.status(&id).as_str(), landings(&town, "deacon").len(), landings(&town, "overseer").len()), ("closed", 1, 1));
    assert_eq!(answer(&town, &format!("convoy land {id}"))["outcome"], "unchanged");
    let plain = convoy(&town, "Plain");
    town.gt(&format!("convoy land {plain}")).fails_with(4);
}

#[test]
fn a_convoy_is_closed_by_hand_with_a_reason_and_only_with_force_before_its_time() {
    let town = two_rigs();
    let a = create(&town, "A --rig widgets");
    let id = convoy(&town, &format!("Parts {a} --notify mayor"));
    town.gt(&format!("convoy close {id}")).fails_with(2);
    town.gt(&format!("convoy close {id} --reason ''")).fails_with(2);
    assert!(town.gt(&format!("convoy close {id} --reason late")).fails_with(4).stderr.contains(&a));
    assert_eq!(answer(&town, &format!("convoy close {id} --reason late --force"))["outcome"], "closed");
    assert_eq!((town.status(&id).as_str(), town.status(&a).as_str()), ("closed", "open"));
    assert_eq!(subjects(&inbox(&town, "mayor")), [format!("Convoy {id} was closed by hand").as_str()]);
    assert!(inbox(&town, "overseer").is_empty(), "who did it knows");
    assert_eq!(answer(&town, &format!("convoy close {id} --reason late"))["outcome"], "unchanged");
}

#[test]
fn an_epic_gives_all_work_below_it_and_epics_only_pass_it_on() {
    let town = two_rigs();
    let epic = create(&town, "Epic -t epic --rig widgets");
    assert!(town.gt(&format!("convoy create Work --from-epic {epic}")).fails_with(4).stderr.contains("no work"));
    let inner = create(&town, &format!("Inner -t epic --parent {epic}"));
    let (a, b) = (create(&town, &format!("A --parent {epic}")), create(&town, &format!("B --parent {inner}")));
    let below = create(&town, &format!("Below --parent {a}"));
    let id = convoy(&town, &format!("Work --from-epic {epic}"));
    let story = &answer(&town, &format!("convoy status {id}"))[0];
    let mut tracked: Vec<&str> = story["beads"].as_array().unwrap().iter().map(|bead| bead["id"].as_str().unwrap()).collect();
    tracked.sort_unstable();
    let mut all = [a.as_str(), b.as_str(), below.as_str()];
    all.sort_unstable();
    assert_eq!((tracked.as_slice(), story["from_epic"].as_str()), (&all[..], Some(epic.as_str())));
    town.gt(&format!("convoy create Work --from-epic {a}")).fails_with(4);
}

#[test]
fn what_cannot_be_tracked_or_is_no_convoy_is_refused_and_nothing_is_written() {
    let town = two_rigs();
    let a = create(&town, "A --rig widgets");
    let id = convoy(&town, "Parts");
    let before = tip(&town, ".");
    town.gt("convoy create Parts wi-nope1").fails_with(3);
    town.gt("convoy create ''").fails_with(2);
    town.gt(&format!("convoy create Parts {id}")).fails_with(4);
    town.gt(&format!("convoy add {id} wi-nope1")).fails_with(3);
    town.gt(&format!("convoy add {a} {a}")).fails_with(4);
    town.gt(&format!("convoy status {a}")).fails_with(4);
    town.gt("convoy status hq-cv-nope1").fails_with(3);
    assert!(town.gt(&format!("convoy watch {id} mayr")).fails_with(2).stderr.contains("mayor"));
    town.gt("convoy create Parts --notify nobody/nowhere").fails_with(3);
    town.gt("create Parts -t convoy --rig hq").fails_with(4);
    town.gt(&format!("update {a} -t convoy")).fails_with(4);
    town.gt(&format!("update {id} -t task")).fails_with(4);
    assert!(town.gt(&format!("close {id}")).fails_with(4).stderr.contains("gt convoy"));
    town.gt(&format!("update {id} --status closed")).fails_with(4);
    town.gt("convoy list --status asleep").fails_with(2);
    assert_eq!(tip(&town, "."), before);
    assert_eq!(answer(&town, &format!("convoy status {}", &id[3..]))[0]["id"], id.as_str(), "an abbreviation will do");
    assert!(!town.gt("list").succeeds().stdout.contains(&id), "lists of work are of work");
    assert!(town.gt("list -t convoy").succeeds().stdout.contains(&id));
}

#[test]
fn watchers_come_and_go() {
    let town = two_rigs();
    let a = create(&town, "A --rig widgets");
    let id = convoy(&town, &format!("Parts {a} --owner mayor"));
    assert_eq!(answer(&town, &format!("convoy watch {id}"))["outcome"], "watched");
    assert_eq!(answer(&town, &format!("convoy watch {id} overseer"))["outcome"], "unchanged");
    town.gt(&format!("convoy watch {id} gadgets/refinery")).succeeds();
    town.gt(&format!("convoy watch {id} deacon")).succeeds();
    assert_eq!(answer(&town, &format!("convoy unwatch {id} deacon"))["outcome"], "unwatched");
    assert_eq!(answer(&town, &format!("convoy unwatch {id} deacon"))["outcome"], "unchanged");
    assert_eq!(answer(&town, "convoy list")[0]["watchers"], json!(["overseer", "gadgets/refinery"]));
    town.gt(&format!("close {a}")).succeeds();
    let told: Vec<usize> =
        ["mayor", "overseer", "gadgets/refinery", "deacon"].iter().map(|who| landings(&town, who).len()).collect();
    assert_eq!(told, [1, 1, 1, 0]);
}

#[test]
fn a_convoy_shows_what_each_of_its_beads_does() {
    let (town, rig) = Town::with_rig();
    let (a, b) = (town.bead(&rig, "Pump"), town.bead(&rig, "Valve"));
    let id = convoy(&town, &format!("Repairs {a} {b}"));
    let agent = text_at(&answer(&town, &format!("sling {a} widgets --no-start")), &["/agent"]);
    let sandbox = town.root.join(&agent);
    std::fs::write(sandbox.join("new.txt"), "work\n").unwrap();
    town.git(&sandbox, &["add", "-A"]);
    town.git(&sandbox, &["commit", "-q", "-m", "Work"]);
    let done = town.as_agent(&agent).gt("--json done").json();
    let story = &answer(&town, &format!("convoy status {id}"))[0];
    assert_eq!(
        (story["beads"][0]["status"].as_str(), story["beads"][0]["mr"]["state"].as_str()),
        (Some("in_review"), Some("queued"))
    );
    assert_eq!(story["beads"][0]["mr"]["id"], done["mr"]);
    assert_eq!((story["beads"][1]["status"].as_str(), &story["beads"][1]["mr"]), (Some("open"), &Value::Null));
    let page = town.gt(&format!("convoy status {id}")).succeeds().stdout;
    assert!(page.contains(" 0/2 ") && page.contains("Pump") && page.contains("queued"), "{page}");
    assert!(town.gt("convoy list --tree").succeeds().stdout.contains("Valve"));
    // A landing settles convoys like any other close.
    town.gt(&format!("close {b}")).succeeds();
    town.gt_args(&["config", "set", "gates.test.command", "true", "--rig", "widgets"]).succeeds();
    town.gt("mq run --once --rig widgets").succeeds();
    assert_eq!((town.status(&id).as_str(), landings(&town, "overseer").len()), ("closed", 1));
    assert!(town.gt("convoy list --all").succeeds().stdout.contains(" 2/2 "));
}

#[test]
fn ready_work_that_nobody_has_is_stranded_and_so_is_a_convoy_that_cannot_go_on() {
    let town = two_rigs();
    let first = create(&town, "First --rig gadgets");
    let second = create(&town, &format!("Second --rig widgets --deps {first}"));
    let held = create(&town, "Held --rig widgets");
    let moving = create(&town, "Moving --rig widgets");
    town.gt(&format!("update {held} --status blocked")).succeeds();
    town.as_agent("deacon").gt(&format!("update {moving} --claim")).succeeds();
    let ready = convoy(&town, &format!("Ready {first} {second} {moving}"));
    let stuck = convoy(&town, &format!("Stuck {held} {second}"));
    let empty = convoy(&town, "Empty");
    convoy(&town, &format!("'Under way' {second} {moving}"));
    let found = answer(&town, "convoy stranded");
    let told: BTreeMap<&str, &str> =
        found.as_array().unwrap().iter().map(|one| (one["id"].as_str().unwrap(), one["reason"].as_str().unwrap())).collect();
    assert_eq!(told, BTreeMap::from([(ready.as_str(), "ready"), (stuck.as_str(), "stuck"), (empty.as_str(), "empty")]));
    assert_eq!(found[0]["ready"], json!([first]));
    assert!(found[0]["held"][0]["why"].as_str().unwrap().contains(&first));
    let page = town.gt("convoy stranded").succeeds().stdout;
    assert!(page.contains(&format!("gt sling {first}")) && page.contains("it is blocked"), "{page}");
}

#[test]
fn of_twenty_that_close_the_last_beads_at_once_all_together_tell_each_once() {
    let town = two_rigs();
    let beads: Vec<String> =
        (0..20).map(|n| create(&town, &format!("Part{n} --rig {}", ["widgets", "gadgets", "hq"][n % 3]))).collect();
    let all = convoy(&town, &format!("All {} --notify mayor --notify gadgets/witness", beads.join(" ")));
    let some = convoy(&town, &format!("Some {} --notify mayor", beads[..7].join(" ")));
    let outcomes = all_at_once(beads.iter().map(|bead| town.here().command(&["close", bead])).collect());
    for outcome in outcomes {
        outcome.succeeds();
    }
    for address in ["overseer", "mayor"] {
        let mut told = landings(&town, address);
        told.sort();
        let mut once = vec![format!("CONVOY_LANDED {all}"), format!("CONVOY_LANDED {some}")];
        once.sort();
        assert_eq!(told, once, "{address}");
    }
    assert_eq!(landings(&town, "gadgets/witness").len(), 1);
    assert_eq!(answer(&town, "convoy check")["convoys"], json!([]));
}

#[test]
fn what_is_added_at_once_is_all_tracked() {
    let town = two_rigs();
    let id = convoy(&town, "Parts");
    let beads: Vec<String> = (0..8).map(|n| create(&town, &format!("Part{n} --rig widgets"))).collect();
    for outcome in all_at_once(beads.iter().map(|bead| town.here().command(&["convoy", "add", &id, bead])).collect()) {
        outcome.succeeds();
    }
    assert_eq!(answer(&town, "convoy list")[0]["total"], 8);
}

#[test]
fn a_close_that_was_killed_before_its_convoy_is_finished_by_a_check() {
    let town = two_rigs();
    let a = create(&town, "A --rig widgets");
    let id = convoy(&town, &format!("Parts {a} --notify gadgets/witness"));
    assert_ne!(town.here().var("GT_CRASH_AT", STEPS[0]).gt(&format!("close {a}")).code, 0);
    assert_eq!((town.status(&a).as_str(), town.status(&id).as_str()), ("closed", "open"));
    assert!(landings(&town, "overseer").is_empty());
    for _ in 0..2 {
        town.gt("convoy check").succeeds();
        assert_eq!((town.status(&id).as_str(), landings(&town, "overseer").len()), ("closed", 1));
        assert_eq!(landings(&town, "gadgets/witness").len(), 1);
    }
}

#[test]
fn what_cannot_be_read_is_not_closed_and_is_named() {
    let town = three_rigs();
    let (a, b, c) = (create(&town, "A --rig widgets"), create(&town, "B --rig gadgets"), create(&town, "C --rig sprockets"));
    let id = convoy(&town, &format!("Parts {a} {b} {c}"));
    let other = convoy(&town, &format!("Part {a}"));
    // One bead is damaged, the rig of another is away.
    write(&town, "gadgets", &bead_path(&b), "this is no JSON\n");
    let (home, away) = (town.root.join("sprockets"), town.root.join("away"));
    std::fs::rename(&home, &away).unwrap();
    town.gt(&format!("close {a}")).succeeds();
    assert_eq!((town.status(&id).as_str(), town.status(&other).as_str()), ("open", "closed"), "one bead in two convoys");
    let checked = answer(&town, "convoy check");
    let unknown = &checked["convoys"][0]["unknown"];
    assert_eq!((unknown[0]["id"].as_str(), unknown[1]["id"].as_str()), (Some(b.as_str()), Some(c.as_str())));
    let page = town.gt("convoy check").succeeds().stdout + &town.gt(&format!("convoy status {id}")).succeeds().stdout;
    assert!(page.contains(&format!("{b} counts as not closed")) && page.contains(&format!("{c} cannot be read")), "{page}");
    std::fs::rename(&away, &home).unwrap();
    town.gt(&format!("close {c}")).succeeds();
    assert_eq!(town.status(&id), "open");
    // What is gone can be given up.
    assert_eq!(answer(&town, &format!("convoy remove {id} {b}"))["has_landed"], true);
}

#[test]
fn a_damaged_convoy_is_named_and_holds_nobody_up() {
    let town = two_rigs();
    let (a, b) = (create(&town, "A --rig hq"), create(&town, "B --rig widgets"));
    let bad = convoy(&town, &format!("Bad {a} {b}"));
    let worse = convoy(&town, &format!("Worse {a}"));
    let good = convoy(&town, &format!("Good {a} {b}"));
    put(&town, ".", &bead_path(&bad), |bead| bead["watchers"] = 5.into());
    write(&town, ".", &bead_path(&worse), "this is no JSON\n");
    town.gt(&format!("close {a}")).succeeds();
    town.gt(&format!("close {b}")).succeeds();
    assert_eq!(town.status(&good), "closed");
    let said = town.gt("--json convoy check").ends_with(70);
    let checked: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(
        (checked["convoys"][0]["id"].as_str(), checked["convoys"][0]["outcome"].as_str()),
        (Some(bad.as_str()), Some("unreadable"))
    );
    assert!(checked["damaged"][0]["path"].as_str().unwrap().contains(&worse), "{checked}");
    let listed = town.gt("convoy list").succeeds();
    assert!(listed.stdout.contains("damaged") && listed.stderr.contains(&worse), "{} {}", listed.stdout, listed.stderr);
    town.gt(&format!("convoy add {bad} {a}")).fails_with(70);
    town.gt(&format!("convoy status {worse}")).fails_with(70);
    let stranded = town.gt("convoy stranded").ends_with(70).stderr;
    assert!(stranded.contains(&bad) && stranded.contains(&worse), "{stranded}");
}

#[test]
fn two_machines_that_land_one_convoy_apart_send_one_letter() {
    let pair = Pair::new();
    let (one, two) = (&pair.one, &pair.two);
    let bead = pair.bead("Part");
    let id = convoy(one, &format!("Parts {bead} --notify widgets/witness --notify mayor"));
    for town in [one, two, one] {
        town.gt("sync").succeeds();
    }
    for town in [one, two] {
        town.gt(&format!("close {bead}")).succeeds();
        assert_eq!(town.status(&id), "closed");
    }
    for town in [one, two, one, two] {
        town.gt("sync").succeeds();
    }
    for town in [one, two] {
        for address in ["overseer", "mayor", "widgets/witness"] {
            assert_eq!(landings(town, address), [format!("CONVOY_LANDED {id}")], "{address}");
        }
    }
    assert_eq!(one.show(&id), two.show(&id));
}

#[test]
fn two_machines_that_close_a_bead_each_land_the_convoy_with_the_sync() {
    let pair = Pair::new();
    let (a, b) = (pair.bead("A"), pair.bead("B"));
    let id = convoy(&pair.one, &format!("Parts {a} {b}"));
    pair.settle();
    pair.one.gt(&format!("close {a}")).succeeds();
    pair.two.gt(&format!("close {b}")).succeeds();
    assert_eq!((pair.one.status(&id).as_str(), pair.two.status(&id).as_str()), ("open", "open"));
    for town in [&pair.one, &pair.two, &pair.one, &pair.two, &pair.one] {
        town.gt("sync").succeeds();
    }
    pair.settle();
    for town in [&pair.one, &pair.two] {
        assert_eq!((town.status(&id).as_str(), landings(town, "overseer").len()), ("closed", 1));
    }
}
