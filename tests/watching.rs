//! `gt sync --watch`, and what a dry run tells.

use std::process::{Child, Stdio};

use crate::machines::Pair;
use crate::town::Town;

/// A process that is ended with the test.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn watch(town: &Town, log: &str) -> Watching {
    let out = std::fs::File::create(town.base().join(log)).unwrap();
    let mut command = town.here().command(&["--json", "sync", "--watch"]);
    command.env_remove("GT_NOW").stdout(out).stderr(Stdio::null());
    Watching(command.spawn().unwrap())
}

fn quick(pair: &Pair) {
    for (key, value) in [("sync.debounce", "50ms"), ("sync.interval", "200ms"), ("sync.interval_max", "400ms")] {
        pair.one.gt(&format!("config set {key} {value}")).succeeds();
    }
    pair.settle();
}

#[test]
fn watching_machines_hear_of_each_other_and_catch_up_after_their_hub_was_away() {
    let pair = Pair::new();
    quick(&pair);
    let _watching = [watch(&pair.one, "one.log"), watch(&pair.two, "two.log")];
    let bead = pair.one.bead(&pair.rig, "Made while both watch");
    pair.two.until("the other machine has it", || pair.two.gt(&format!("show {bead}")).code == 0);
    pair.two.gt(&format!("close {bead}")).succeeds();
    pair.one.until("the first machine hears of its end", || pair.one.status(&bead) == "closed");
    let away = pair.rig.origin.with_extension("away");
    std::fs::rename(&pair.rig.origin, &away).unwrap();
    let late = pair.one.bead(&pair.rig, "Made while the hub is away");
    pair.one.until("it is told that the hub is away", || read(&pair.one, "one.log").contains("\"error\":\""));
    std::thread::sleep(std::time::Duration::from_secs(1));
    let told = read(&pair.one, "one.log").lines().filter(|line| line.contains("\"error\":\"")).count();
    assert!(told <= 2, "told once, and perhaps again with a change: {told}");
    std::fs::rename(&away, &pair.rig.origin).unwrap();
    pair.two.until("the other machine has it", || pair.two.gt(&format!("show {late}")).code == 0);
    for line in read(&pair.one, "one.log").lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

fn read(town: &Town, log: &str) -> String {
    std::fs::read_to_string(town.base().join(log)).unwrap()
}

#[test]
fn idle_watching_writes_nothing() {
    let pair = Pair::new();
    quick(&pair);
    let tip = |town: &Town| town.git(&town.root.join(".repo.git"), &["rev-parse", "refs/gt/ledger"]);
    let before = (tip(&pair.one), tip(&pair.two));
    let _watching = [watch(&pair.one, "one.log"), watch(&pair.two, "two.log")];
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!((tip(&pair.one), tip(&pair.two)), before);
    assert!(read(&pair.one, "one.log").lines().count() <= 1, "{}", read(&pair.one, "one.log"));
}

#[test]
fn a_dry_run_tells_the_fields_that_would_come_and_go() {
    let pair = Pair::new();
    let bead = pair.bead("Before");
    pair.two.gt(&format!("update {bead} -p 0 --add-label wet")).succeeds();
    pair.two.gt("sync").succeeds();
    pair.one.gt_args(&["update", &bead, "--title", "After"]).succeeds();
    let new = pair.one.bead(&pair.rig, "Brand new");
    let told = pair.one.gt("sync --dry-run --rig widgets").succeeds().stdout;
    let line = |start: &str| told.lines().map(str::trim).find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{told}"));
    let coming = line(&format!("← beads {bead}"));
    assert!(coming.contains("priority 2 → 0") && coming.contains("labels +\"wet\""), "{coming}");
    assert!(!coming.contains("title"), "{coming}");
    assert!(line(&format!("→ beads {bead}")).contains("title \"Before\" → \"After\""), "{told}");
    assert!(line(&format!("→ beads {new}")).ends_with("'Brand new': new"), "{told}");
    assert_eq!(pair.one.show(&bead)["priority"], 2, "nothing was taken over");
}
