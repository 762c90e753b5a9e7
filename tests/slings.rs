//! The options and targets of a sling: what it would do, where work begins, who else may have it.

use std::path::PathBuf;

use serde_json::Value;

use crate::race::all_at_once;
use crate::town::{Rig, Town, text_at};

/// All refs of the rig, and what lies in its directory of sandboxes.
fn state(town: &Town, rig: &Rig) -> String {
    let refs = town.git(&rig.dir.join(".repo.git"), &["for-each-ref"]);
    let sandboxes = std::fs::read_dir(rig.dir.join("polecats")).map(Iterator::count).unwrap_or_default();
    format!("{refs}\n{sandboxes}")
}

fn sandbox(town: &Town, name: &str) -> PathBuf {
    town.root.join("widgets/polecats").join(name)
}

fn commit(town: &Town, name: &str, file: &str) {
    let dir = sandbox(town, name);
    std::fs::write(dir.join(file), "work\n").unwrap();
    town.git(&dir, &["add", "-A"]);
    town.git(&dir, &["commit", "-q", "-m", "Work"]);
}

fn told(town: &Town, line: &str) -> Value {
    town.gt(&format!("--json {line}")).json()
}

#[test]
fn a_rehearsal_says_what_a_sling_would_do_and_changes_nothing() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    let before = state(&town, &rig);
    let would = told(&town, &format!("sling {bead} widgets --dry-run"));
    let act = (text_at(&would, &["/act"]), text_at(&would, &["/target"]), text_at(&would, &["/base"]));
    assert_eq!(act, ("assign".into(), "widgets/polecats/furiosa".into(), "main".into()));
    assert_eq!(text_at(&would, &["/line"]), town.agent_command());
    town.gt(&format!("sling {bead} widgets --dry-run --base nowhere")).fails_with(3);
    town.gt(&format!("sling {bead} gadgets --dry-run")).fails_with(3);
    town.gt(&format!("sling {bead} {bead} widgets --dry-run")).succeeds();
    assert_eq!(state(&town, &rig), before);
    town.gt(&format!("sling {bead} widgets --no-start")).succeeds();
    assert_eq!(text_at(&town.show(&bead), &["/assignee"]), "widgets/polecats/furiosa");
    let before = state(&town, &rig);
    assert_eq!(text_at(&told(&town, &format!("sling {bead} widgets --dry-run")), &["/act"]), "restart");
    assert_eq!(text_at(&told(&town, &format!("sling {bead} widgets --dry-run --no-start")), &["/act"]), "nothing");
    town.gt(&format!("sling {bead} widgets/nux --dry-run")).fails_with(4);
    assert_eq!(state(&town, &rig), before);
    assert!(!town.has_session("widgets/polecats/furiosa"));
}

#[test]
fn a_rehearsal_allows_no_agent_that_was_never_named_here() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    let pins = || std::fs::read_to_string(town.root.join(".repo.git/gt/trust.json")).unwrap_or_default();
    let before = pins();
    assert_eq!(text_at(&told(&town, &format!("sling {bead} --agent claude --dry-run")), &["/line"]), "claude");
    assert_eq!(pins(), before);
    town.gt(&format!("sling {bead} --agent nobody --dry-run")).fails_with(3);
}

#[test]
fn a_sandbox_begins_at_the_branch_that_is_named_and_lands_on_its_target() {
    let (town, rig) = Town::with_rig();
    town.gt("config set gates.require false --rig widgets").succeeds();
    let (first, second) = (town.bead(&rig, "First"), town.bead(&rig, "Second"));
    town.gt(&format!("sling {first} widgets/toast --no-start")).succeeds();
    commit(&town, "toast", "first.txt");
    let branch = town.git(&sandbox(&town, "toast"), &["symbolic-ref", "--short", "HEAD"]);
    town.gt(&format!("sling {second} widgets/nux --no-start --base no/such")).fails_with(3);
    assert!(!sandbox(&town, "nux").exists() && town.status(&second) == "open");
    town.gt_args(&["sling", &second, "widgets/nux", "--no-start", "--base", &branch]).succeeds();
    assert!(sandbox(&town, "nux").join("first.txt").is_file());
    commit(&town, "nux", "second.txt");
    town.as_agent("widgets/polecats/nux").gt("done").succeeds();
    town.gt("mq run --once").succeeds();
    let files = town.git(&rig.dir.join(".repo.git"), &["ls-tree", "--name-only", "main"]);
    assert!(files.contains("second.txt"), "{files}");
}

#[test]
fn what_is_only_to_be_looked_at_ends_with_words_and_nothing_is_merged() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Look");
    town.gt(&format!("sling {bead} widgets/toast --no-start --review-only --merge direct")).fails_with(2);
    town.gt(&format!("sling {bead} widgets/toast --no-start --review-only")).succeeds();
    let toast = town.as_agent("widgets/polecats/toast");
    let refused = toast.gt("done").fails_with(2);
    assert!(refused.stderr.contains("gt done -m"), "{}", refused.stderr);
    assert_eq!(town.status(&bead), "hooked");
    toast.args(&["done", "-m", "All is well but the colour"]).succeeds();
    assert_eq!(town.status(&bead), "closed");
    assert!(town.show(&bead).to_string().contains("All is well but the colour"));
    toast.gt("hook").ends_with(1);
    assert_eq!(town.git(&rig.dir.join(".repo.git"), &["for-each-ref", "refs/gt/mr"]), "");
}

#[test]
fn crew_gets_work_on_its_hook_and_no_sandbox() {
    let (town, rig) = Town::with_rig();
    let (bead, other) = (town.bead(&rig, "Work"), town.bead(&rig, "Other"));
    town.gt(&format!("sling {bead} --crew joe")).fails_with(3);
    std::fs::create_dir_all(rig.dir.join("crew/joe")).unwrap();
    town.gt(&format!("sling {bead} widgets/polecats/toast --crew joe")).fails_with(2);
    town.gt(&format!("sling {bead} --crew joe --base main")).fails_with(2);
    town.gt(&format!("sling {bead} --crew joe")).succeeds();
    assert_eq!(text_at(&town.show(&bead), &["/assignee"]), "widgets/crew/joe");
    assert_eq!(text_at(&told(&town, &format!("sling {bead} widgets/joe")), &["/outcome"]), "given");
    town.gt(&format!("sling {other} widgets/crew/joe")).fails_with(4);
    town.gt(&format!("sling {bead} widgets")).fails_with(4);
    assert!(!rig.dir.join("polecats/joe").exists());
    let joe = town.from(rig.dir.join("crew/joe"));
    assert_eq!(text_at(&joe.gt("--json hook").json(), &["/hook/bead"]), bead);
    town.gt(&format!("unsling {bead}")).succeeds();
    joe.gt("hook").ends_with(1);
    assert_eq!(town.status(&bead), "open");
    joe.gt(&format!("sling {other} .")).succeeds();
    joe.gt(&format!("close {other}")).succeeds();
    joe.gt("hook").ends_with(1);
}

#[test]
fn the_mayor_and_dogs_get_work_of_the_town_and_nobody_slings_to_those_that_are_programs() {
    let (town, rig) = Town::with_rig();
    let of_rig = town.bead(&rig, "Of the rig");
    let file = || town.gt("bead q 'Of the town' --rig hq").succeeds().stdout.trim().to_owned();
    let bead = file();
    town.gt(&format!("sling {of_rig} mayor")).fails_with(4);
    town.gt(&format!("sling {bead} widgets")).fails_with(4);
    town.gt(&format!("sling {bead} widgets/refinery")).fails_with(2);
    town.gt(&format!("sling {bead} overseer")).fails_with(2);
    town.gt(&format!("sling {bead} .")).fails_with(2);
    town.gt(&format!("sling {bead} mayor --no-start")).succeeds();
    assert_eq!(text_at(&town.show(&bead), &["/assignee"]), "mayor");
    for name in ["alpha", "bravo", "charlie", "delta"] {
        let bead = file();
        let given = told(&town, &format!("sling {bead} deacon/dogs --no-start"));
        assert_eq!(text_at(&given, &["/agent"]), format!("deacon/dogs/{name}"));
    }
    town.gt(&format!("sling {} deacon/dogs", file())).fails_with(4);
}

#[test]
fn a_polecat_does_not_sling_to_itself() {
    let (town, rig) = Town::with_rig();
    let (bead, other) = (town.bead(&rig, "Work"), town.bead(&rig, "Other"));
    town.gt(&format!("sling {bead} widgets/toast --no-start")).succeeds();
    town.as_agent("widgets/polecats/toast").gt(&format!("sling {other} .")).fails_with(4);
    assert_eq!(town.status(&other), "open");
}

#[test]
fn no_more_polecats_get_work_than_a_batch_allows() {
    let (town, rig) = Town::with_rig();
    let beads: Vec<String> = (0..3).map(|n| town.bead(&rig, &format!("Work {n}"))).collect();
    let line = format!("sling {} widgets --no-start --max-concurrent 2", beads.join(" "));
    let thrown = told(&town, &line);
    assert_eq!(text_at(&thrown, &["/beads/2/outcome"]), "waits", "{thrown}");
    assert_eq!(beads.iter().map(|bead| town.status(bead)).collect::<Vec<_>>(), ["hooked", "hooked", "open"]);
    town.gt(&format!("unsling {}", beads[0])).succeeds();
    town.gt(&format!("sling {} --no-start --max-concurrent 2", beads[2])).succeeds();
    assert_eq!(town.status(&beads[2]), "hooked");
    town.gt(&format!("sling {} --max-concurrent 0", beads[0])).fails_with(2);
}

#[test]
fn of_twenty_that_sling_under_a_limit_no_more_succeed_than_it_allows() {
    let (town, rig) = Town::with_rig();
    let beads: Vec<String> = (0..20).map(|n| town.bead(&rig, &format!("Work {n}"))).collect();
    let command =
        |bead: &String| town.here().command(&["sling", bead, "widgets", "--no-start", "--no-convoy", "--max-concurrent", "3"]);
    let outcomes = all_at_once(beads.iter().map(command).collect());
    assert!(outcomes.iter().all(|outcome| [0, 4, 5].contains(&outcome.code)));
    assert_eq!(beads.iter().filter(|bead| town.status(bead) == "hooked").count(), 3);
    let refs = town.git(&rig.dir.join(".repo.git"), &["for-each-ref", "refs/heads/polecat"]);
    assert_eq!(refs.lines().count(), 3, "{refs}");
}

#[test]
fn work_of_a_dead_session_goes_to_another_and_what_it_left_is_saved() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["config", "set", "agent.command", "exec sleep 600", "--rig", "widgets"]).succeeds();
    let slung = told(&town, &format!("sling {bead} widgets/toast"));
    std::fs::write(sandbox(&town, "toast").join("unsaved.txt"), "precious\n").unwrap();
    town.gt(&format!("sling {bead} widgets/nux")).fails_with(4);
    assert_eq!(text_at(&town.show(&bead), &["/assignee"]), "widgets/polecats/toast");
    let pid = slung["pid"].as_u64().unwrap().to_string();
    assert!(town.command("kill", &town.root).args(["-9", &pid]).status().unwrap().success());
    town.until("the session is dead", || !town.has_session("widgets/polecats/toast"));
    assert_eq!(text_at(&told(&town, &format!("sling {bead} widgets/nux --dry-run")), &["/act"]), "take-over");
    assert_eq!(text_at(&town.show(&bead), &["/assignee"]), "widgets/polecats/toast");
    let taken = told(&town, &format!("sling {bead} widgets/nux --no-start"));
    assert_eq!(text_at(&taken, &["/agent"]), "widgets/polecats/nux");
    let salvage = text_at(&taken, &["/salvage"]);
    let kept = town.git(&rig.dir.join(".repo.git"), &["show", &format!("{salvage}:unsaved.txt")]);
    assert_eq!(kept, "precious");
    // What was never started is nobody's dead session.
    town.gt(&format!("sling {bead} widgets/slit")).fails_with(4);
    town.fsck();
}

#[test]
fn a_sling_warns_of_other_work_on_the_same_files() {
    let (town, rig) = Town::with_rig();
    let (first, second, third) = (town.bead(&rig, "Mend src/numbers.txt"), town.bead(&rig, "Work"), town.bead(&rig, "Other"));
    town.gt(&format!("sling {first} widgets/toast --no-start")).succeeds();
    town.gt_args(&["update", &second, "-d", "Tidy `README.md` and src/numbers.txt."]).succeeds();
    let slung = told(&town, &format!("sling {second} widgets/nux --no-start"));
    assert_eq!(text_at(&slung, &["/touches/0/bead"]), first);
    assert_eq!(slung["touches"][0]["files"], serde_json::json!(["src/numbers.txt"]));
    commit(&town, "toast", "check.sh");
    town.gt_args(&["update", &third, "--title", "Speed up check.sh"]).succeeds();
    let shown = town.gt(&format!("sling {third} widgets/slit --no-start")).succeeds();
    assert!(shown.stdout.contains("widgets/polecats/toast touches the same files"), "{}", shown.stdout);
    assert!(!shown.stdout.contains("polecats/nux touches"), "{}", shown.stdout);
}
