//! Rigs whose ids get another prefix.

use serde_json::{Value, json};

use crate::beads::{create, ids, two_rigs};
use crate::machines::Pair;
use crate::race::all_at_once;
use crate::town::{Town, text_at};

fn make(town: &Town, words: &str) -> String {
    create(town, &format!("{words} --rig widgets"))
}

fn answer(town: &Town, line: &str) -> Value {
    town.gt(&format!("--json {line}")).json()
}

/// The id with another prefix.
fn with(prefix: &str, id: &str) -> String {
    format!("{prefix}-{}", id.split_once('-').unwrap().1)
}

fn target(town: &Town, id: &str) -> Value {
    town.show(id)["dependencies"][0]["depends_on_id"].clone()
}

#[test]
fn beads_get_the_new_prefix_and_old_ids_lead_to_them_from_everywhere() {
    let town = two_rigs();
    let id = make(&town, "Pump -d leaks -l wet -p 1");
    let child = make(&town, &format!("Valve --parent {id}"));
    let (near, far) = (make(&town, &format!("Near --deps {id}")), create(&town, &format!("Far --rig gadgets --deps {id}")));
    let convoy = text_at(&answer(&town, &format!("convoy create Batch {near}")), &["/id", "/convoy/id"]);
    let before = town.show(&id);
    let tried = answer(&town, "bead rename-prefix wd- --rig widgets --dry-run");
    assert_eq!((tried["renamed"].as_array().unwrap().len(), &tried["dry_run"]), (3, &json!(true)));
    assert_eq!(town.show(&id), before);
    let done = answer(&town, "bead rename-prefix wd --rig widgets");
    assert_eq!((&done["from"], &done["to"], &done["kept"]), (&json!("wi"), &json!("wd"), &json!([])));
    assert_eq!(done["followed"], json!([far, convoy]));
    let new = with("wd", &id);
    let short = id.split_once('-').unwrap().1;
    for name in [id.as_str(), new.as_str(), short] {
        let after = town.show(name);
        assert_eq!(after["id"], json!(new));
        for field in ["title", "description", "labels", "priority", "created_at", "updated_at", "status"] {
            assert_eq!(after[field], before[field], "{field}");
        }
    }
    assert_eq!(text_at(&answer(&town, &format!("bead children {id}")), &["/0/id"]), with("wd", &child));
    assert_eq!((target(&town, &near), target(&town, &far)), (json!(new), json!(new)));
    assert_eq!(target(&town, &convoy), json!(with("wd", &near)));
    let late = make(&town, &format!("Late --deps {id} --parent {near}"));
    assert!(late.starts_with(&with("wd", &near)), "{late}");
    assert_eq!(target(&town, &late), json!(new));
    assert_eq!(ids(town.gt("--json list --rig wi --limit 0")).len(), 4, "a rig is named by a former prefix too");
    let again = answer(&town, "bead rename-prefix wd --rig widgets");
    assert_eq!((&again["renamed"], &again["followed"]), (&json!([]), &json!([])));
    answer(&town, "bead rename-prefix wi --rig widgets");
    assert_eq!(town.show(&new), town.show(&id));
    assert_eq!(town.show(&id)["id"], json!(id), "renamed back, it has its old id again");
    assert_eq!(target(&town, &far), json!(id));
    town.gt("reindex --check --rig widgets").succeeds();
    town.fsck();
}

#[test]
fn work_under_way_keeps_its_id_and_its_agents_until_it_rests() {
    let (town, rig) = Town::with_rig();
    let (held, idle) = (town.bead(&rig, "Held"), town.bead(&rig, "Idle"));
    town.gt(&format!("sling {held} {} --no-start", rig.name)).succeeds();
    let from = held.split_once('-').unwrap().0;
    let line = format!("bead rename-prefix zz --rig {}", rig.name);
    let done = answer(&town, &line);
    assert_eq!((text_at(&done, &["/kept/0/id"]), text_at(&done, &["/renamed/0/id"])), (held.clone(), idle.clone()));
    assert!(text_at(&done, &["/kept/0/why"]).contains("on the hook"), "{done}");
    assert_eq!(town.show(&with("zz", &held))["id"], json!(held), "each prefix of the rig names it");
    let made = town.bead(&rig, "Made later");
    assert!(made.starts_with("zz-"), "{made}");
    town.gt(&format!("bead dep add {made} {held}")).succeeds();
    town.gt(&format!("bead dep add {held} {made}")).fails_with(4);
    town.gt(&format!("unsling {held}")).succeeds();
    let done = answer(&town, &line);
    assert_eq!((&done["kept"], text_at(&done, &["/renamed/0/moved_to"])), (&json!([]), with("zz", &held)));
    assert_eq!(target(&town, &made), json!(with("zz", &held)));
    let agents = || answer(&town, "list --all -t agent --limit 0").as_array().map_or(0, Vec::len);
    let known = agents();
    town.gt(&format!("sling {from}-{} {} --no-start", idle.split_once('-').unwrap().1, rig.name)).succeeds();
    assert_eq!(agents(), known, "the polecat is the one that it was");
    let polecat = text_at(&answer(&town, "polecat list"), &["/0/address", "/0/agent"]);
    town.gt(&format!("mail send {polecat} -s Hello -m there")).succeeds();
    let refused = town.as_agent(&polecat).gt(&line).fails_with(4);
    assert!(refused.stderr.contains("may not say"), "{}", refused.stderr);
}

#[test]
fn a_prefix_that_another_scope_has_or_had_is_refused() {
    let town = two_rigs();
    let id = make(&town, "Stays");
    for taken in ["hq", "ga"] {
        town.gt(&format!("bead rename-prefix {taken} --rig widgets")).fails_with(4);
    }
    town.gt("bead rename-prefix Not_One --rig widgets").fails_with(2);
    town.gt("bead rename-prefix gd --rig gadgets").succeeds();
    town.gt("bead rename-prefix ga --rig widgets").fails_with(4);
    assert_eq!(town.show(&id)["id"], json!(id));
}

#[test]
fn a_killed_renaming_leaves_every_id_good_and_is_finished_by_the_same_command() {
    for point in ["prefix.registered", "prefix.renamed"] {
        let town = two_rigs();
        let id = make(&town, "Pump");
        let far = create(&town, &format!("Far --rig gadgets --deps {id}"));
        town.here().var("GT_CRASH_AT", point).gt("bead rename-prefix wd --rig widgets").ends_with(-1);
        let new = with("wd", &id);
        assert_eq!(town.show(&id), town.show(&new), "{point}");
        assert_eq!(ids(town.gt("--json blocked --all")), std::slice::from_ref(&far), "{point}");
        answer(&town, "bead rename-prefix wd --rig widgets");
        assert_eq!(town.show(&id)["id"], json!(new));
        assert_eq!(target(&town, &far), json!(new), "{point}");
    }
}

#[test]
fn of_two_renamings_at_once_one_prefix_stays_and_all_ids_are_good() {
    let town = two_rigs();
    let id = make(&town, "Contested");
    let rename = |to: &str| town.here().command(&["bead", "rename-prefix", to, "--rig", "widgets"]);
    for outcome in all_at_once(vec![rename("wx"), rename("wy"), rename("wz")]) {
        outcome.succeeds();
    }
    let last = answer(&town, "bead rename-prefix wy --rig widgets");
    assert_eq!(last["to"], "wy");
    for prefix in ["wi", "wx", "wy", "wz"] {
        assert_eq!(town.show(&with(prefix, &id))["id"], json!(with("wy", &id)), "{prefix}");
    }
    town.fsck();
}

#[test]
fn other_machines_learn_the_prefix_and_what_they_made_meanwhile_belongs_to_the_rig() {
    let pair = Pair::new();
    let id = pair.bead("Shared");
    let line = format!("bead rename-prefix zz --rig {}", pair.rig.name);
    let meanwhile = pair.two.bead(&pair.rig_two, "Made meanwhile");
    pair.one.gt(&line).succeeds();
    pair.settle();
    for town in [&pair.one, &pair.two] {
        assert_eq!(town.show(&id)["id"], json!(with("zz", &id)));
        assert_eq!(town.show(&with("zz", &meanwhile))["id"], json!(meanwhile));
    }
    let later = pair.two.bead(&pair.rig_two, "Made later");
    assert!(later.starts_with("zz-"), "{later}");
    pair.two.gt(&line).succeeds();
    pair.settle();
    assert_eq!(pair.one.show(&meanwhile)["id"], json!(with("zz", &meanwhile)));
    let three = pair.one.joined("three", &pair.hub);
    three.join_rig(&pair.rig);
    assert_eq!(three.show(&id)["id"], json!(with("zz", &id)));
}

#[test]
fn machines_that_rename_apart_agree_and_no_id_is_lost() {
    let pair = Pair::new();
    let id = pair.bead("Shared");
    pair.one.gt(&format!("bead rename-prefix yy --rig {}", pair.rig.name)).succeeds();
    pair.two.gt(&format!("bead rename-prefix zz --rig {}", pair.rig.name)).succeeds();
    let (one, two) = (pair.one.bead(&pair.rig, "Of one"), pair.two.bead(&pair.rig_two, "Of two"));
    pair.settle();
    for town in [&pair.one, &pair.two] {
        assert_eq!(town.show(&one)["title"], "Of one");
        assert_eq!(town.show(&two)["title"], "Of two");
        assert_eq!(town.show(&id)["title"], "Shared");
    }
}
