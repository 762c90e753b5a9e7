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
fn a_ledger_in_hundreds_of_packs_that_nobody_gathered_is_read_written_and_gathered() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Long ago");
    town.gt("maintain --full --rig widgets").succeeds();
    let packs = repo(&rig).join("objects/pack");
    let mut found = std::fs::read_dir(&packs).unwrap().map(|entry| entry.unwrap().path());
    let pack = found.find(|path| path.extension().is_some_and(|extension| extension == "pack")).unwrap();
    for n in 0..700 {
        for extension in ["pack", "idx"] {
            let copy = packs.join(format!("pack-{n:040x}.{extension}"));
            std::fs::hard_link(pack.with_extension(extension), copy).unwrap();
        }
    }
    assert_eq!(text_at(&town.show(&bead), &["/title"]), "Long ago");
    town.gt_args(&["update", &bead, "--title", "Still here"]).succeeds();
    assert_eq!(text_at(&town.show(&bead), &["/title"]), "Still here");
    let done = town.gt("--json maintain --full --rig widgets").json();
    assert_eq!(done[0]["after"]["packs"], 1, "{done}");
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
fn what_a_killed_writer_of_an_index_left_goes_when_it_is_old_and_nobody_is_at_it() {
    let (town, rig) = Town::with_rig();
    let private = repo(&rig).join("gt");
    let names = ["index.new", "index-mail.new", "index-archive.new", "texts.new", "texts-archive.new"];
    let are_there = || names.map(|name| private.join(name).exists());
    maintain(&town, "--rig widgets", 0);
    for name in names {
        std::fs::write(private.join(name), "half").unwrap();
    }
    maintain(&town, "--rig widgets", 0);
    assert_eq!(are_there(), [true; 5], "young");
    let lock = std::fs::File::create(private.join("texts.flock")).unwrap();
    lock.lock().unwrap();
    maintain(&town, "--rig widgets", 1);
    assert_eq!(are_there(), [false, false, false, true, false], "somebody is at it");
    drop(lock);
    assert_eq!(maintain(&town, "--rig widgets", 1)["left_overs"], serde_json::json!(["texts.new"]));
    assert_eq!(are_there(), [false; 5]);
}

#[test]
fn a_git_that_is_not_there_is_told_apart_from_one_that_cannot_be_started() {
    let (town, _) = Town::with_rig();
    let bin = town.base().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let full = |path: &Path| town.here().var("PATH", path.to_str().unwrap()).gt("maintain --full --rig widgets");
    assert!(full(&bin).succeeds().stdout.contains("no git on this machine"));
    std::fs::write(bin.join("git"), "#!/bin/sh\n").unwrap();
    let told = full(&bin).ends_with(6).stdout;
    assert!(told.contains("start git") && told.contains("ermission denied"), "{told}");
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

/// As many loose objects as some hundred changes leave, reachable from a branch.
fn scatter(town: &Town, rig: &Rig, branch: &str) {
    let mut stream = format!("commit refs/heads/{branch}\ncommitter T <t@example.org> 0 +0000\ndata 1\nx\n");
    for n in 0..3_000 {
        let text = format!("{branch} {n}");
        stream.push_str(&format!("M 644 inline {n}\ndata {}\n{text}\n", text.len()));
    }
    let mut command = town.command("git", &repo(rig));
    command.args(["--git-dir=.", "-c", "fastimport.unpackLimit=9999", "-c", "core.fsync=none", "fast-import", "--quiet"]);
    let mut import = command.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut import.stdin.take().unwrap(), stream.as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
}

fn loose(rig: &Rig) -> usize {
    let all = walkdir::WalkDir::new(repo(rig).join("objects")).min_depth(2).max_depth(2).into_iter().filter_map(Result::ok);
    all.filter(|entry| entry.path().parent().unwrap().file_name().unwrap().len() == 2).count()
}

#[test]
fn a_command_that_wrote_starts_packing_behind_it_and_not_again_at_once() {
    let (town, rig) = Town::with_rig();
    let create = |upkeep: &str| town.here().var("GT_UPKEEP", upkeep).gt("create Something --rig widgets").succeeds();
    let next = repo(&rig).join("gt/upkeep");
    scatter(&town, &rig, "one");
    create("off");
    town.gt("config set maintenance.auto false").succeeds();
    create("");
    assert!(!next.exists() && loose(&rig) > 3_000, "neither where it is off");
    town.gt("config unset maintenance.auto").succeeds();
    let reads = ["list --rig widgets", "status", "log --rig widgets"];
    for line in reads {
        town.here().var("GT_UPKEEP", "").gt(line).succeeds();
    }
    assert!(!next.exists(), "nor after a command that only reads");
    create("");
    assert!(next.exists());
    town.until("what was loose is packed", || loose(&rig) < 1_000);
    town.until("it has ended", || {
        let lock = std::fs::File::open(repo(&rig).join("gt/maintain.flock")).unwrap();
        lock.try_lock().is_ok()
    });
    let noted = std::fs::read(&next).unwrap();
    scatter(&town, &rig, "two");
    create("");
    assert_eq!(std::fs::read(&next).unwrap(), noted);
    assert!(loose(&rig) > 3_000, "too early");
    let told = maintain(&town, "--rig widgets --auto", 0);
    assert_eq!((told["packing"].as_str(), told["decayed"].is_null()), (Some("packed"), true), "{told}");
    town.fsck();
}

#[test]
fn an_upkeep_that_cannot_pack_what_nothing_refers_to_is_put_off_for_a_day() {
    let (town, rig) = Town::with_rig();
    scatter(&town, &rig, "one");
    town.git(&repo(&rig), &["update-ref", "-d", "refs/heads/one"]);
    let told = town.gt("--json maintain --rig widgets --auto").json();
    assert!(told[0]["after"]["loose"].as_u64() > Some(3_000), "{told}");
    let next = std::fs::read_to_string(repo(&rig).join("gt/upkeep")).unwrap();
    assert!(next.starts_with("2026-01-02T"), "{next}");
}

#[test]
fn a_town_that_was_moved_is_linked_again() {
    const TOAST: &str = "widgets/polecats/toast";
    let (town, rig) = Town::with_rig();
    let beads = ["One", "Two"].map(|title| town.bead(&rig, title));
    town.gt(&format!("sling {} {TOAST} --no-start", beads[0])).succeeds();
    let elsewhere = town.base().join("elsewhere");
    town.git(&repo(&rig), &["worktree", "add", "-q", "--detach", elsewhere.to_str().unwrap(), "main"]);
    let moved = town.beside("moved");
    std::fs::rename(&town.root, &moved.root).unwrap();
    let sandbox = moved.root.join(TOAST);
    std::fs::write(sandbox.join("work.txt"), "done\n").unwrap();
    assert!(!moved.command("git", &sandbox).args(["status"]).output().unwrap().status.success());
    assert!(moved.as_agent(TOAST).gt("done").fails_with(3).stderr.contains("gt maintain"));
    assert!(moved.gt("maintain").succeeds().stdout.contains("linked 4 worktrees again"));
    assert!(!moved.gt("maintain").succeeds().stdout.contains("again"));
    let status = |dir: &Path| moved.git(dir, &["status", "--porcelain"]);
    assert_eq!((status(&sandbox), status(&elsewhere)), ("?? work.txt".to_owned(), String::new()));

    // A copy is mended too, and the town that it was made of stays as it is.
    let copy = town.beside("copy");
    let (from, to) = (moved.root.display().to_string(), copy.root.display().to_string());
    assert!(moved.command("cp", &moved.base()).args(["-a", &from, &to]).status().unwrap().success());
    assert!(copy.gt("maintain").succeeds().stdout.contains("linked 3 worktrees again"));
    for town in [&moved, &copy] {
        let git_dir = town.git(&town.root.join(TOAST), &["rev-parse", "--absolute-git-dir"]);
        assert_eq!(PathBuf::from(git_dir), town.root.join("widgets/.repo.git/worktrees/toast"));
    }
    assert_eq!(status(&elsewhere), "");

    moved.git(&sandbox, &["add", "-A"]);
    moved.git(&sandbox, &["commit", "-q", "-m", "Work"]);
    moved.as_agent(TOAST).gt("done").succeeds();
    moved.gt(&format!("sling {} {TOAST} --no-start", beads[1])).succeeds();
    moved.fsck();
}

#[test]
fn git_removes_no_objects_and_maintenance_only_those_that_nothing_names() {
    let (town, rig) = Town::with_rig();
    let reader = rig.dir.join("mayor/rig");
    let file = town.base().join("blob");
    std::fs::write(&file, "about to be referred to").unwrap();
    let blob = town.git(&repo(&rig), &["hash-object", "-w", file.to_str().unwrap()]);
    for dir in [&reader, &repo(&rig)] {
        town.git(dir, &["gc", "--quiet", "--prune=now"]);
        assert!(!town.command("git", dir).args(["prune", "--expire=now"]).output().unwrap().status.success());
    }
    assert!(object(&rig, &blob).exists());
    // Roots that only a worktree has: its detached head, and what is staged there.
    std::fs::write(reader.join("new.txt"), "committed\n").unwrap();
    town.git(&reader, &["add", "-A"]);
    town.git(&reader, &["commit", "-q", "-m", "On no branch"]);
    let commit = town.git(&reader, &["rev-parse", "HEAD"]);
    std::fs::write(reader.join("staged.txt"), "staged\n").unwrap();
    town.git(&reader, &["add", "-A"]);
    // And refs that are packed only.
    town.git(&repo(&rig), &["pack-refs", "--all", "--prune"]);
    let bead = town.bead(&rig, "Kept");
    assert_eq!(maintain(&town, "--rig widgets --full", 15)["pruned"], true);
    assert!(!object(&rig, &blob).exists());
    assert_eq!(town.git(&reader, &["cat-file", "-t", &commit]), "commit");
    assert_eq!(town.git(&reader, &["show", ":staged.txt"]), "staged");
    assert_eq!(town.show(&bead)["title"], "Kept");
    town.fsck();

    // One that was made before learns it; who has decided otherwise is left alone.
    let value = || town.git(&repo(&rig), &["config", "extensions.preciousObjects"]);
    town.git(&repo(&rig), &["config", "--unset", "extensions.preciousObjects"]);
    town.gt("maintain").succeeds();
    assert_eq!(value(), "true");
    town.git(&repo(&rig), &["config", "extensions.preciousObjects", "false"]);
    town.gt("maintain").succeeds();
    assert_eq!(value(), "false");
}

#[test]
fn a_rig_that_cannot_be_opened_is_told_and_holds_up_no_other() {
    let (town, rig) = Town::with_rig();
    let broken = town.rig("gadgets");
    town.bead(&rig, "Still there");
    let config = repo(&broken).join("config");
    let good = std::fs::read(&config).unwrap();
    std::fs::write(&config, "[core\n").unwrap();
    for command in ["sync", "maintain", "flatten --force"] {
        let outcome = town.gt(&format!("--json {command}"));
        assert!(![0, 2, 71].contains(&outcome.code), "`{command}` ended with {}: {}", outcome.code, outcome.stderr);
        let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let told = told.as_array().unwrap_or_else(|| panic!("`{command}` told only {told}"));
        let of = |scope: &str| told.iter().find(|one| one["scope"] == scope).unwrap_or_else(|| panic!("{command}: {told:#?}"));
        assert!(of("rig gadgets")["error"].is_string(), "{command}");
        assert!(of("rig widgets")["error"].is_null() && of("town")["error"].is_null(), "{command}: {told:#?}");
        assert!(town.gt(command).stdout.contains("rig gadgets: failed"), "{command}");
    }
    std::fs::write(&config, good).unwrap();
    town.gt("maintain").succeeds();
}
