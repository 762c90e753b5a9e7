//! A town that was copied: noticed before it does harm, and made a machine of its own.

use std::path::PathBuf;

use crate::town::{Rig, Town, text_at};

/// A town with one bead on a hook that syncs with a hub, and a copy of its directory.
fn copied() -> (Town, Rig, Town, String) {
    let (town, rig) = Town::with_rig();
    let hub = town.base().join("hub.git");
    town.from(town.base()).args(&["hub", "init", hub.to_str().unwrap()]).succeeds();
    town.gt_args(&["remote", "add", "origin", hub.to_str().unwrap()]).succeeds();
    let bead = town.bead(&rig, "On a hook");
    town.gt(&format!("sling {bead} widgets --no-start")).succeeds();
    town.gt("sync").succeeds();
    let copy = town.beside("copy");
    let (from, to) = (town.root.display().to_string(), copy.root.display().to_string());
    assert!(town.command("cp", &town.base()).args(["-a", &from, &to]).status().unwrap().success());
    (town, rig, copy, bead)
}

fn refs(town: &Town) -> String {
    let repos: [PathBuf; 2] = [town.root.join(".repo.git"), town.root.join("widgets/.repo.git")];
    repos.map(|repo| town.git(&repo, &["for-each-ref"])).join("\n")
}

#[test]
fn a_copy_is_read_but_neither_written_nor_synced_until_it_is_a_machine_of_its_own() {
    let (town, _, copy, bead) = copied();
    copy.gt("maintain").succeeds();
    let before = refs(&copy);
    for line in ["sync", "bead q 'Two of one id' --rig widgets", &format!("unsling {bead}"), "mq run --once --rig widgets"] {
        let refused = copy.gt(line).fails_with(4).stderr;
        assert!(refused.contains("was copied") && refused.contains("gt machine renew"), "{line}: {refused}");
    }
    assert_eq!(refs(&copy), before);
    copy.gt("status").succeeds();
    assert_eq!(copy.status(&bead), "hooked");
    assert!(copy.gt("mail check --inject").succeeds().stdout.is_empty());

    let renewed = copy.gt("--json machine renew").json();
    let (id, was) = (text_at(&renewed, &["/id"]), text_at(&renewed, &["/was"]));
    assert_ne!(id, was);
    copy.gt("machine renew").fails_with(4);
    // Neither ends what the other has on its hooks, and what both mint differs.
    assert!(copy.gt(&format!("unsling {bead}")).fails_with(4).stderr.contains("whose machine is"));
    let other = |town: &Town, title: &str| town.gt_args(&["bead", "q", title, "--rig", "widgets"]).succeeds().stdout;
    let ids = [other(&town, "Here"), other(&copy, "There")];
    assert_ne!(ids[0].trim().chars().next_back(), ids[1].trim().chars().next_back(), "{ids:?}");
    for town in [&town, &copy, &town] {
        town.gt("sync").succeeds();
    }
    let machines = town.gt("--json machine list").json();
    let names: Vec<String> = machines.as_array().unwrap().iter().map(|machine| text_at(machine, &["/name"])).collect();
    assert_eq!(names.len(), 2);
    assert!(names[0] != names[1] && machines.to_string().contains(&id), "{machines}");
    assert_eq!(town.status(&bead), "hooked");
    for id in ids {
        assert_eq!(town.show(id.trim()), copy.show(id.trim()));
    }
}

#[test]
fn a_town_that_was_brought_elsewhere_goes_on_as_the_machine_that_it_was() {
    let (town, rig, copy, bead) = copied();
    std::fs::remove_dir_all(&town.root).unwrap();
    copy.gt(&format!("unsling {bead}")).fails_with(4);
    let renewed = copy.gt("--json machine renew --moved").json();
    assert!(renewed.get("was").is_none(), "{renewed}");
    copy.gt("maintain").succeeds();
    copy.gt(&format!("unsling {bead}")).succeeds();
    copy.gt("sync").succeeds();
    assert_eq!(copy.gt("--json machine list").json().as_array().unwrap().len(), 1);
    assert!(rig.origin.is_dir());
}

#[test]
fn a_renewal_that_is_killed_is_finished_by_the_next() {
    let (_town, _, copy, _) = copied();
    assert_eq!(copy.here().var("GT_CRASH_AT", STEPS[0]).gt("machine renew").code, -1);
    // It has an identity now, but no slot.
    copy.gt("bead q 'Minted' --rig widgets").fails_with(4);
    copy.gt("machine renew").succeeds();
    let id = copy.gt_args(&["bead", "q", "Minted", "--rig", "widgets"]).succeeds().stdout;
    assert!(id.trim().ends_with('1'), "{id}");
}

/// Steps inside a renewal.
pub const STEPS: &[&str] = &["machine.renewed"];

#[test]
fn a_town_that_is_where_it_was_is_not_renewed() {
    let (town, _) = Town::with_rig();
    for line in ["machine renew", "machine renew --moved"] {
        assert!(town.gt(line).fails_with(4).stderr.contains("neither a copy nor moved"));
    }
    town.gt("machine renew --moved --name x").fails_with(2);
}
