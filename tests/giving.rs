//! Work into hands and out of them, a sandbox brought up to its target, and what work changes.

use std::path::PathBuf;

use serde_json::Value;

use crate::race::all_at_once;
use crate::town::{Rig, Town, text_at};

fn sandbox(town: &Town, name: &str) -> PathBuf {
    town.root.join("widgets/polecats").join(name)
}

fn commit(town: &Town, name: &str, file: &str, text: &str) {
    let dir = sandbox(town, name);
    std::fs::write(dir.join(file), text).unwrap();
    town.git(&dir, &["add", "-A"]);
    town.git(&dir, &["commit", "-q", "-m", "Work"]);
}

/// Two polecats at work; what the first made has landed.
fn moved_target() -> (Town, Rig) {
    let (town, rig) = Town::with_rig();
    town.gt("config set gates.require false --rig widgets").succeeds();
    for name in ["toast", "nux"] {
        let bead = town.bead(&rig, &format!("Work of {name}"));
        town.gt(&format!("sling {bead} widgets/{name} --no-start")).succeeds();
    }
    commit(&town, "toast", "src/numbers.txt", "eins\nzwei\ndrei\n");
    town.as_agent("widgets/polecats/toast").gt("done").succeeds();
    town.gt("mq run --once").succeeds();
    (town, rig)
}

fn sync(town: &Town, words: &str) -> Value {
    let ended = town.as_agent("widgets/polecats/nux").gt(&format!("--json sync-base {words}"));
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}{}", ended.stdout, ended.stderr))
}

#[test]
fn a_sandbox_is_brought_up_to_its_target_by_merge_or_rebase() {
    for (words, parents) in [("", 2), ("--rebase", 1)] {
        let (town, _rig) = moved_target();
        commit(&town, "nux", "new.txt", "work\n");
        let moved = sync(&town, words);
        assert_eq!((text_at(&moved, &["/outcome"]), moved["commits"].as_u64()), ("moved".into(), Some(1)), "{moved}");
        let dir = sandbox(&town, "nux");
        assert!(std::fs::read_to_string(dir.join("src/numbers.txt")).unwrap().contains("zwei"));
        let listed = town.git(&dir, &["rev-list", "--parents", "-1", "HEAD"]);
        assert_eq!(listed.split(' ').count() - 1, parents);
        assert_eq!(town.git(&dir, &["log", "-1", "--format=%cn"]), "widgets/polecats/nux");
        assert_eq!(text_at(&sync(&town, words), &["/outcome"]), "up-to-date");
        town.as_agent("widgets/polecats/nux").gt("done").succeeds();
    }
}

#[test]
fn a_conflict_is_left_as_git_leaves_it_and_nothing_is_lost() {
    for (words, word) in [("", "merge"), ("--rebase", "rebase")] {
        let (town, _rig) = moved_target();
        commit(&town, "nux", "src/numbers.txt", "un\ndeux\ntrois\n");
        let dir = sandbox(&town, "nux");
        let before = town.git(&dir, &["rev-parse", "HEAD"]);
        let nux = town.as_agent("widgets/polecats/nux");
        let stopped = nux.gt(&format!("sync-base {words}")).ends_with(6);
        assert!(stopped.stdout.contains("src/numbers.txt"), "{}", stopped.stdout);
        let again = nux.gt("sync-base").fails_with(4);
        assert!(again.stderr.contains(&format!("git {word} --continue")), "{}", again.stderr);
        nux.gt("done").fails_with(4);
        town.git(&dir, &[word, "--abort"]);
        assert_eq!(town.git(&dir, &["rev-parse", "HEAD"]), before);
        std::fs::write(dir.join("loose.txt"), "mine\n").unwrap();
        nux.gt("sync-base").fails_with(4);
        assert!(dir.join("loose.txt").is_file());
        town.gt("sync-base").fails_with(4);
    }
}

#[test]
fn a_sandbox_whose_merge_stopped_is_salvaged_with_it() {
    let (town, rig) = moved_target();
    commit(&town, "nux", "src/numbers.txt", "un\ndeux\ntrois\n");
    town.as_agent("widgets/polecats/nux").gt("sync-base").ends_with(6);
    town.gt("polecat nuke widgets/nux --force").succeeds();
    let kept = town.git(&rig.dir.join(".repo.git"), &["for-each-ref", "--format=%(refname)", "refs/gt/salvage"]);
    let files = town.git(&rig.dir.join(".repo.git"), &["ls-tree", "-r", "--name-only", &kept]);
    assert!(files.contains(".gt-salvage/"), "{files}");
}

#[test]
fn what_work_changes_is_shown_before_and_after_it_is_handed_in() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.gt(&format!("diff {bead}")).fails_with(3);
    town.gt("diff wi-nope1").fails_with(3);
    town.gt(&format!("sling {bead} widgets/toast --no-start")).succeeds();
    commit(&town, "toast", "new.txt", "a \u{1b}[31mred\u{1b}[0m line\n");
    std::fs::write(sandbox(&town, "toast").join("loose.txt"), "mine\n").unwrap();
    let shown = town.gt(&format!("diff {bead}")).succeeds();
    assert!(shown.stdout.contains("+a ") && shown.stdout.contains("loose.txt"), "{}", shown.stdout);
    assert!(!shown.stdout.contains('\u{1b}'), "a file's control characters reached the terminal");
    let stat = town.gt(&format!("--json diff {bead} --stat")).json();
    assert_eq!(text_at(&stat, &["/files/0/path"]), "new.txt");
    assert!(stat.get("patch").is_none());
    std::fs::remove_file(sandbox(&town, "toast").join("loose.txt")).unwrap();
    town.gt(&format!("unsling {bead}")).succeeds();
    assert_eq!(text_at(&town.gt(&format!("--json diff {bead}")).json(), &["/files/0/path"]), "new.txt");
    town.gt(&format!("sling {bead} widgets/nux --no-start")).succeeds();
    commit(&town, "nux", "other.txt", "work\n");
    town.as_agent("widgets/polecats/nux").gt("done").succeeds();
    let request = town.gt(&format!("--json diff {bead}")).json();
    let mr = text_at(&request, &["/mr"]);
    assert_eq!(text_at(&town.gt(&format!("--json diff {mr}")).json(), &["/files/0/path"]), "other.txt");
}

#[test]
fn a_bead_is_filed_and_on_a_hook_in_one_go_or_not_filed_at_all() {
    let (town, rig) = Town::with_rig();
    let count = || town.gt("--json list --rig widgets").json().as_array().map_or(0, Vec::len);
    town.gt_args(&["assign", "joe", "Mend the pump"]).fails_with(3);
    town.gt_args(&["assign", "widgets/refinery", "Mend the pump"]).fails_with(2);
    assert_eq!(count(), 0);
    std::fs::create_dir_all(rig.dir.join("crew/joe")).unwrap();
    let made = town.gt_args(&["--json", "assign", "joe", "Mend the pump", "-p", "1", "-l", "wet", "-d", "It drips"]).json();
    let bead = text_at(&made, &["/bead/id"]);
    assert_eq!(text_at(&town.show(&bead), &["/assignee"]), "widgets/crew/joe");
    assert_eq!((&made["bead"]["priority"], text_at(&made, &["/bead/description"])), (&serde_json::json!(1), "It drips".into()));
    assert_eq!(town.status(&bead), "hooked");
    town.gt_args(&["assign", "widgets/joe", "Another"]).fails_with(4);
    assert_eq!(count(), 1);
    let made = town.gt_args(&["--json", "assign", "widgets/polecats/toast", "By a polecat", "--no-start"]).json();
    assert_eq!(text_at(&made, &["/slung/agent"]), "widgets/polecats/toast");
    assert!(sandbox(&town, "toast").join("README.md").is_file());
}

#[test]
fn work_is_let_go_unless_somebody_is_at_it() {
    let (town, rig) = Town::with_rig();
    let (claimed, slung, closed) = (town.bead(&rig, "Claimed"), town.bead(&rig, "Slung"), town.bead(&rig, "Closed"));
    town.gt(&format!("update {claimed} --claim")).succeeds();
    town.gt(&format!("sling {slung} widgets/toast --no-start")).succeeds();
    std::fs::write(sandbox(&town, "toast").join("unsaved.txt"), "precious\n").unwrap();
    town.gt(&format!("close {closed}")).succeeds();
    town.gt(&format!("release {claimed} {closed}")).fails_with(4);
    assert_eq!(town.status(&claimed), "in_progress", "one that cannot be let go holds all");
    town.as_agent("widgets/polecats/nux").gt(&format!("release {claimed}")).fails_with(4);
    let released = town.gt(&format!("--json release {claimed} {slung} -r 'not now'")).json();
    assert_eq!(released[0]["was_with"], "overseer");
    assert!(text_at(&released, &["/1/salvage"]).starts_with("refs/gt/salvage/"), "{released}");
    for bead in [&claimed, &slung] {
        let shown = town.show(bead);
        assert_eq!((text_at(&shown, &["/status"]), shown.get("assignee").is_none_or(Value::is_null)), ("open".into(), true));
        assert!(shown.to_string().contains("not now"));
    }
    town.gt_args(&["config", "set", "agent.command", "exec sleep 600", "--rig", "widgets"]).succeeds();
    town.gt(&format!("sling {slung} widgets/toast")).succeeds();
    town.gt(&format!("release {slung}")).fails_with(4);
    assert_eq!(town.status(&slung), "hooked");
    assert!(town.gt(&format!("release {claimed}")).succeeds().stdout.contains("already"));
}

#[test]
fn a_hook_is_shown_filled_and_judged() {
    let (town, rig) = Town::with_rig();
    let (bead, other) = (town.bead(&rig, "Work"), town.bead(&rig, "Other"));
    std::fs::create_dir_all(rig.dir.join("crew/joe")).unwrap();
    let joe = town.from(rig.dir.join("crew/joe"));
    town.gt(&format!("hook {bead}")).fails_with(2);
    joe.gt(&format!("hook {bead}")).succeeds();
    assert_eq!(text_at(&town.gt("--json hook widgets/crew/joe").json(), &["/hook/bead"]), bead);
    joe.gt(&format!("hook {other}")).fails_with(4);
    town.gt(&format!("hook {other} widgets/toast")).succeeds();
    assert!(!town.has_session("widgets/polecats/toast"));
    assert_eq!(text_at(&town.gt("--json hook status widgets/toast").json(), &["/state"]), "stalled");
    town.gt(&format!("unsling {other}")).succeeds();
    assert_eq!(
        text_at(&serde_json::from_str(&town.gt("--json hook status widgets/toast").ends_with(1).stdout).unwrap(), &["/state"]),
        "idle"
    );
}

#[test]
fn of_twenty_that_give_a_bead_to_different_crew_one_wins() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Contested");
    let names: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
    for name in &names {
        std::fs::create_dir_all(rig.dir.join("crew").join(name)).unwrap();
    }
    let command = |name: &String| town.here().command(&["sling", &bead, "--crew", name, "--no-start", "--no-convoy"]);
    let outcomes = all_at_once(names.iter().map(command).collect());
    assert_eq!(outcomes.iter().filter(|outcome| outcome.code == 0).count(), 1);
    assert!(outcomes.iter().all(|outcome| [0, 4, 5].contains(&outcome.code)));
    let hooks = town.git(&rig.dir.join(".repo.git"), &["ls-tree", "--name-only", "refs/gt/ledger:hooks"]);
    assert_eq!(hooks.lines().count(), 1, "{hooks}");
}
