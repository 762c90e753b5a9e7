//! Maintenance: smaller, nothing lost, safe beside writers; left-overs go when they are old and nobody's.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::town::{Outcome, Rig, Town, text_at};

/// A clock that stands `days` after the real one, which files bear.
fn after_days(days: i64) -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let millis = i64::try_from(since.as_millis()).unwrap() + days * 86_400_000;
    gastown::time::Moment::from_millis(millis).to_string()
}

fn maintain(town: &Town, line: &str, days: i64) -> Value {
    town.here().var("GT_NOW", &after_days(days)).gt(&format!("--json maintain {line}")).json()[0].clone()
}

fn repo(rig: &Rig) -> PathBuf {
    rig.dir.join(".repo.git")
}

fn import(town: &Town, from: usize, count: usize) {
    let line = |n: usize| serde_json::json!({"id": format!("wi-{n:05}"), "title": format!("Bead {n}")}).to_string();
    let lines = (from..from + count).map(line).collect::<Vec<_>>().join("\n");
    let file = town.base().join("lines.jsonl");
    std::fs::write(&file, lines).unwrap();
    town.gt(&format!("bead import {}", file.display())).succeeds();
}

#[test]
fn maintenance_packs_what_is_loose_and_says_what_it_did() {
    let (town, rig) = Town::with_rig();
    let beads: Vec<String> = (0..20).map(|n| town.bead(&rig, &format!("Bead {n}"))).collect();
    let idle = maintain(&town, "--rig widgets", 0);
    assert_eq!((idle["packing"].as_str(), &idle["before"]), (Some("not-needed"), &idle["after"]));
    let full = maintain(&town, "--rig widgets --full", 0);
    assert_eq!((full["packing"].as_str(), full["after"]["packs"].as_u64()), (Some("packed-whole"), Some(1)));
    assert!(full["after"]["disk_bytes"].as_u64() < full["before"]["disk_bytes"].as_u64(), "{full}");
    for n in 0..12 {
        import(&town, n * 100, 100);
    }
    let gathered = maintain(&town, "--rig widgets", 0);
    assert_eq!(gathered["packing"], "gathered");
    assert!(gathered["after"]["packs"].as_u64() < Some(5), "{gathered}");
    assert_eq!(town.show(&beads[0])["title"], "Bead 0");
    assert_eq!(town.show("wi-01150")["title"], "Bead 1150");
    assert!(town.gt("maintain").succeeds().stdout.contains("rig widgets: "));
    town.gt("maintain --rig nowhere").fails_with(3);
    town.fsck();
}

#[test]
fn full_maintenance_beside_ten_writers_fails_none_and_loses_nothing() {
    let (town, rig) = Town::with_rig();
    town.git(&repo(&rig), &["config", "gt.durability", "full"]);
    let script = "set -e; for n in 1 2 3 4 5 6; do gt --json bead create \"Bead $W.$n\" --rig widgets; done";
    let mut writers = Vec::new();
    for n in 0..10 {
        let mut command = town.command("sh", &town.root);
        command.args(["-c", script]).env("W", n.to_string()).stdout(Stdio::piped()).stderr(Stdio::piped());
        writers.push(command.spawn().unwrap());
    }
    let mut rounds = 0;
    while writers.iter_mut().any(|writer| writer.try_wait().unwrap().is_none()) && rounds < 500 {
        town.gt("maintain --rig widgets --full").succeeds();
        rounds += 1;
    }
    for writer in writers {
        Outcome::of("a writer".into(), writer.wait_with_output().unwrap()).succeeds();
    }
    assert!(rounds > 1, "maintenance ran beside the writers");
    let listed = town.gt("--json list --rig widgets --limit 0").json();
    let titles: std::collections::BTreeSet<String> =
        listed.as_array().unwrap().iter().map(|bead| text_at(bead, &["/title"])).collect();
    assert_eq!(titles.len(), 60);
    town.fsck();
}

#[test]
fn left_overs_go_when_they_are_old_and_their_maker_is_dead() {
    let (town, rig) = Town::with_rig();
    let dead = 4_194_305;
    let mine = std::process::id();
    let make = |path: &str| {
        let path = repo(&rig).join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "x").unwrap();
        path
    };
    let staging = |pid: u32| make(&format!("objects/gt-tmp-{pid}-x7/ab/object")).ancestors().nth(2).unwrap().to_owned();
    let left: Vec<PathBuf> = vec![
        staging(dead),
        make(&format!("gt/locks/{dead}-17-x7")),
        make(&format!("gt/trust.json.tmp-{dead}")),
        make(&format!("../.repo.git.gt-tmp-{dead}-x7")),
    ];
    let gone = make("gt/gone-worktrees/toast-x7/HEAD").parent().unwrap().to_owned();
    let kept: Vec<PathBuf> = vec![staging(mine), make("gt/machine.json.bak"), make("objects/gt-tmp-strange")];
    // As a lock that a ref's writer died with; the next writer needs both to know it.
    let held = make(&format!("gt/locks/{dead}-18-x7"));
    std::fs::hard_link(&held, repo(&rig).join("refs/gt/some.lock")).unwrap();
    let are = |paths: &[PathBuf], there: bool| paths.iter().all(|path| path.exists() == there);
    assert_eq!(maintain(&town, "--rig widgets", 0)["left_overs"], serde_json::json!([]), "all of it is young");
    assert!(are(&left, true));
    let told = maintain(&town, "--rig widgets", 1);
    assert_eq!(told["left_overs"].as_array().unwrap().len(), left.len(), "{told}");
    assert!(are(&left, false) && are(&kept, true) && held.exists() && gone.exists());
    maintain(&town, "--rig widgets", 15);
    assert!(!gone.exists());
}

#[test]
fn only_old_objects_that_nothing_refers_to_are_pruned() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Kept");
    let file = town.base().join("blob");
    let blob = |text: &str| {
        std::fs::write(&file, text).unwrap();
        town.git(&repo(&rig), &["hash-object", "-w", file.to_str().unwrap()])
    };
    let loose = blob("nobody refers to this");
    let has = |id: &str| object(&rig, id).exists();
    let set_aside = repo(&rig).join("gt/gone-worktrees/toast-x7");
    assert_eq!((maintain(&town, "--rig widgets --full", 13)["pruned"].as_bool(), has(&loose)), (Some(false), true), "younger");
    std::fs::create_dir_all(&set_aside).unwrap();
    let waits = maintain(&town, "--rig widgets --full", 13);
    assert_eq!((waits["pruned"].as_bool(), has(&loose)), (Some(false), true));
    std::fs::remove_dir(&set_aside).unwrap();
    assert_eq!((maintain(&town, "--rig widgets", 15)["pruned"].as_bool(), has(&loose)), (Some(false), true), "only when full");
    assert_eq!((maintain(&town, "--rig widgets --full", 15)["pruned"].as_bool(), has(&loose)), (Some(true), false));
    assert_eq!(town.show(&bead)["title"], "Kept");
    town.fsck();
}

fn object(rig: &Rig, id: &str) -> PathBuf {
    Path::new(&repo(rig)).join("objects").join(&id[..2]).join(&id[2..])
}
