//! What an import leaves alone, and what it sets going: work under way here, convoys whose beads it closes.

use serde_json::{Value, json};

use super::{import, of_old, text_of};
use crate::beads::{create, tip, two_rigs};
use crate::mail::{inbox, subjects};
use crate::town::{Town, text_at};

fn convoy(town: &Town, words: &str) -> String {
    text_at(&town.gt(&format!("--json convoy create {words} --owner mayor")).json(), &["/id"])
}

/// A line that is newer than the bead here.
fn newer(id: &str, more: &Value) -> String {
    let mut line = of_old(id, json!({"title": "Theirs", "updated_at": "2999-01-01T00:00:00Z"}));
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    text_of(&[line])
}

/// Where it stands and who has it.
fn standing(town: &Town, id: &str) -> Value {
    let mut bead = town.show(id);
    let names = ["status", "assignee", "assigned_rev", "hooked_at", "model", "started_at", "lease_until", "lease_millis"];
    let fields = names.iter().filter_map(|name| Some(((*name).to_owned(), bead.as_object_mut()?.remove(*name)?)));
    Value::Object(fields.collect())
}

#[test]
fn claimed_and_slung_work_keeps_its_holder_and_all_that_goes_with_it() {
    let town = two_rigs();
    let (claimed, leased, slung) = ("wi-claim", "wi-lease", "wi-slung");
    for id in [claimed, leased, slung] {
        create(&town, &format!("Ours --rig widgets --id {id}"));
    }
    let mayor = town.as_agent("mayor").var("GT_MODEL", "opus");
    mayor.gt(&format!("update {claimed} --claim")).succeeds();
    mayor.gt(&format!("update {leased} --claim --lease 30m")).succeeds();
    town.gt_args(&["sling", slung, "widgets/polecats/toast", "--no-start", "--model", "opus"]).succeeds();
    for id in [claimed, leased, slung] {
        let before = standing(&town, id);
        assert!(before["assigned_rev"].is_string() && before["hooked_at"].is_string() && before["model"] == "opus", "{before}");
        for theirs in [json!({"status": "open"}), json!({"status": "closed"}), json!({"status": "in_progress", "assignee": "x"})]
        {
            assert_eq!(import(&town, "", &newer(id, &theirs)).json()["bad"], json!([]));
            assert_eq!(standing(&town, id), before, "{theirs}");
        }
        assert_eq!(town.show(id)["title"], "Theirs", "the rest is newer");
    }
}

#[test]
fn what_was_begun_elsewhere_or_whose_claim_ran_out_follows_newer_lines() {
    let town = two_rigs();
    let begun = of_old("wi-1", json!({"status": "in_progress", "assignee": "mayor"}));
    import(&town, "", &text_of(std::slice::from_ref(&begun))).json();
    import(&town, "", &newer("wi-1", &json!({"status": "closed"}))).json();
    assert_eq!(town.status("wi-1"), "closed");
    import(&town, "--allow-stale", &text_of(&[begun])).json();
    town.as_agent("mayor").gt("update wi-1 --claim").succeeds();
    import(&town, "", &newer("wi-1", &json!({"status": "closed"}))).json();
    assert_eq!(town.status("wi-1"), "in_progress", "it was taken up here since");
    create(&town, "Short --rig widgets --id wi-2");
    town.here().var("GT_NOW", "2026-01-01T00:00:00Z").gt("update wi-2 --claim --lease 1s").succeeds();
    import(&town, "", &newer("wi-2", &json!({"status": "closed"}))).json();
    assert_eq!(town.status("wi-2"), "closed");
}

#[test]
fn what_an_import_closes_lands_its_convoys_in_the_town_with_it_and_of_a_rig_after_it() {
    let town = two_rigs();
    for rig in ["hq", "widgets"] {
        let (id, other) = (create(&town, &format!("Part --rig {rig}")), create(&town, &format!("Part --rig {rig}")));
        let convoy = convoy(&town, &format!("Parts {id} {other}"));
        import(&town, "", &newer(&id, &json!({"status": "closed"}))).json();
        assert_eq!(town.status(&convoy), "open", "{rig}: one is left");
        let before = tip(&town, ".");
        import(&town, "--dry-run", &newer(&other, &json!({"status": "closed"}))).json();
        assert_eq!(tip(&town, "."), before);
        let told = import(&town, "", &newer(&other, &json!({"status": "closed"}))).json();
        assert_eq!((&told["convoys"][0]["id"], &told["convoys"][0]["outcome"]), (&json!(convoy), &json!("landed")));
        assert_eq!((told["convoys"].as_array().unwrap().len(), town.status(&convoy).as_str()), (1, "closed"), "{rig}");
        assert!(subjects(&inbox(&town, "mayor")).contains(&format!("CONVOY_LANDED {convoy}")));
        if rig == "hq" {
            assert_eq!(town.git(&town.root, &["--git-dir", ".repo.git", "rev-parse", "refs/gt/ledger^"]), before);
        }
    }
}

#[test]
fn an_import_that_closes_many_over_two_scopes_lands_their_convoy_once() {
    let town = two_rigs();
    let ids: Vec<String> = (0..6).flat_map(|n| [format!("wi-{n}"), format!("hq-{n}")]).collect();
    let lines = |more: &Value| ids.iter().map(|id| newer(id, more)).collect::<String>();
    import(&town, "", &lines(&json!({"updated_at": "2020-01-01T00:00:00Z"}))).json();
    let convoy = convoy(&town, &format!("Many {}", ids.join(" ")));
    let told = import(&town, "", &lines(&json!({"status": "closed"}))).json();
    assert_eq!((told["updated"].as_u64(), &told["convoys"][0]["id"]), (Some(12), &json!(convoy)));
    assert_eq!(told["convoys"].as_array().unwrap().len(), 1);
    assert_eq!(subjects(&inbox(&town, "mayor")), [format!("CONVOY_LANDED {convoy}")]);
}
