//! The queue from the command line.

use std::process::Stdio;

use crate::town::{Rig, Town, text_at};

/// A branch with one file in the rig's repository.
fn branch(town: &Town, rig: &Rig, name: &str) {
    let work = town.base().join("widgets-work");
    town.git(&work, &["checkout", "-q", "-B", name, "main"]);
    std::fs::write(work.join(name), "x\n").unwrap();
    town.git(&work, &["add", name]);
    town.git(&work, &["commit", "-q", "-m", &format!("Add {name}")]);
    town.git(&work, &["push", "-q", rig.dir.join(".repo.git").to_str().unwrap(), name]);
}

#[test]
fn a_branch_is_filed_listed_landed_and_explained() {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["config", "set", "gates.test.command", "./check.sh", "--rig", "widgets"]).succeeds();
    let beads = ["good", "bad"].map(|name| {
        branch(&town, &rig, name);
        let bead = town.bead(&rig, &format!("Make it {name}"));
        town.gt_args(&["mq", "submit", &bead, name]).succeeds();
        assert_eq!(town.status(&bead), "in_review");
        bead
    });
    let listed = town.gt("mq list --rig widgets --json").json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let ran = town.gt("mq run --once --rig widgets").succeeds();
    assert!(ran.stdout.contains("1 landed, 1 sent back, 0 held"), "{}", ran.stdout);
    assert!(ran.stdout.contains("gate test runs on"), "what happens is told as it happens: {}", ran.stdout);
    assert_eq!((town.status(&beads[0]), town.status(&beads[1])), ("closed".into(), "open".into()));
    let why = town.gt_args(&["mq", "why", &beads[1]]).succeeds();
    assert!(why.stdout.contains("search\n  └─ ") || why.stdout.contains("search\n  ├─ "), "{}", why.stdout);
    assert!(why.stdout.contains("evicted") && why.stdout.contains("worktree add --detach"), "{}", why.stdout);
    assert_eq!(town.gt("mq list --rig widgets").succeeds().stdout, "the merge queue is empty\n");
    assert!(town.gt("mq status --rig widgets").succeeds().stdout.contains("main at "));
    let stats = town.gt("--json mq stats --rig widgets --since 7d").json();
    assert_eq!((&stats["landed"], &stats["red"], &stats["blamed_wrongly"]), (&1.into(), &1.into(), &0.into()), "{stats}");
    let runs = ran.stdout.lines().filter(|line| line.contains("gate test runs on wi-")).count();
    assert_eq!(stats["stacks_gated"], runs, "{stats}\n{}", ran.stdout);
    assert_eq!(stats["gates"][0]["gate"], "test");
    assert!(town.gt("mq stats --rig widgets").succeeds().stdout.contains("1 landed, 1 sent back for a red gate"));
    let mail = town.gt("mail inbox --json").json().to_string();
    assert!(mail.contains("MERGED") && mail.contains("MERGE_FAILED"), "the author is told across scopes: {mail}");
    town.fsck();
}

#[test]
fn a_refinery_in_the_background_lands_what_comes_until_it_is_stopped_with_its_gates() {
    let (town, rig) = Town::with_rig();
    let pid = town.base().join("gate-pid");
    let gate = format!("test ! -e slow || {{ echo $$ > {0}.new; mv {0}.new {0}; sleep 600; }}", pid.display());
    town.gt_args(&["config", "set", "gates.test.command", &gate, "--rig", "widgets"]).succeeds();
    assert!(town.gt("refinery status --rig widgets").succeeds().stdout.contains("gt refinery start"));
    town.as_agent("widgets/polecats/toast").gt("refinery start --rig widgets").fails_with(4);
    let started = town.gt("--json refinery start --rig widgets").json();
    let again = town.gt("--json refinery start --rig widgets").json();
    assert_eq!((&started["session"]["pid"], &again["was_running"]), (&again["session"]["pid"], &true.into()));
    branch(&town, &rig, "good");
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["mq", "submit", &bead, "good"]).succeeds();
    town.until("it lands", || town.status(&bead) == "closed");
    branch(&town, &rig, "slow");
    let slow = town.bead(&rig, "Slow");
    town.gt_args(&["mq", "submit", &slow, "slow"]).succeeds();
    town.until("the gate runs", || pid.exists());
    assert!(town.gt("refinery status --rig widgets").succeeds().stdout.contains("runs as process"));
    let gate: u32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    assert!(town.gt("refinery stop --rig widgets").succeeds().stdout.contains("has ended"));
    // Ended is enough: when its number is free only init knows.
    let is_ended = || {
        let stat = std::fs::read_to_string(format!("/proc/{gate}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z")
    };
    town.until("its gate is gone", is_ended);
    assert!(town.gt("refinery stop --rig widgets").succeeds().stdout.contains("was not running"));
    assert_eq!(town.status(&slow), "in_review");
    town.fsck();
}

#[test]
fn what_cannot_be_queued_is_refused_in_one_line() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["mq", "submit", &bead, "no-such-branch"]).fails_with(3);
    town.gt_args(&["mq", "submit", "wi-nope", "main"]).fails_with(3);
    town.gt_args(&["mq", "submit", &bead, "main"]).fails_with(4);
    town.gt_args(&["mq", "why", &bead]).fails_with(4);
    branch(&town, &rig, "good");
    town.gt_args(&["mq", "submit", &bead, "good"]).succeeds();
    let refused = town.gt("mq run --once --rig widgets").fails_with(4);
    assert!(refused.stderr.contains("no gate is configured"), "{}", refused.stderr);
    town.gt_args(&["config", "set", "gates.test.command", "no-such-program", "--rig", "widgets"]).succeeds();
    town.gt("mq run --once --rig widgets").fails_with(6);
    assert_eq!(town.status(&bead), "in_review");
}

#[test]
fn a_refinery_at_work_lands_what_comes_and_writes_nothing_when_idle() {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["config", "set", "gates.test.command", "./check.sh", "--rig", "widgets"]).succeeds();
    let log = std::fs::File::create(town.base().join("refinery.log")).unwrap();
    let mut command = town.here().command(&["refinery", "run", "--rig", "widgets"]);
    let mut refinery = command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null()).spawn().unwrap();
    for name in ["one", "two"] {
        branch(&town, &rig, name);
        let bead = town.bead(&rig, name);
        town.gt_args(&["mq", "submit", &bead, name]).succeeds();
        town.until("the work landed", || town.status(&bead) == "closed");
    }
    let tip = || town.git(&rig.dir.join(".repo.git"), &["rev-parse", "refs/gt/ledger"]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let before = tip();
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert_eq!(tip(), before);
    refinery.kill().unwrap();
    refinery.wait().unwrap();
}

#[test]
fn the_oracle_tells_who_touches_whom_and_keeps_one_bead_with_it() {
    let (town, rig) = Town::with_rig();
    assert!(town.gt("mq oracle --rig widgets").succeeds().stdout.contains("Nothing waits"));
    for name in ["one", "two", "alone"] {
        branch(&town, &rig, name);
    }
    // Both rewrite one file besides.
    for name in ["one", "two"] {
        let work = town.base().join("widgets-work");
        town.git(&work, &["checkout", "-q", name]);
        std::fs::write(work.join("check.sh"), format!("# {name}\nexit 0\n")).unwrap();
        town.git(&work, &["commit", "-q", "-am", "Rewrite the check"]);
        town.git(&work, &["push", "-q", rig.dir.join(".repo.git").to_str().unwrap(), name]);
    }
    let ids: Vec<String> = ["one", "two", "alone"]
        .iter()
        .map(|name| {
            let bead = town.bead(&rig, name);
            text_at(&town.gt_args(&["--json", "mq", "submit", &bead, name]).json(), &["/mr"])
        })
        .collect();
    let told = town.gt("--json mq oracle --rig widgets --file").json();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let groups: Vec<Vec<&str>> = told["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["requests"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect())
        .collect();
    assert_eq!(groups, [vec![ids[0], ids[1]], vec![ids[2]]], "{told}");
    assert_eq!(told["overlaps"][0]["same_lines"][0], "check.sh");
    let bead = text_at(&told, &["/bead"]);
    let shown = town.show(&bead);
    assert_eq!((text_at(&shown, &["/status"]), shown["labels"][0].as_str()), ("pinned".into(), Some("merge-plan")));
    assert!(text_at(&shown, &["/description"]).contains("let those land one after another"));
    assert_eq!(text_at(&town.gt("--json mq oracle --rig widgets --file").json(), &["/bead"]), bead, "one bead for a queue");
    assert!(!town.gt("ready --rig widgets").succeeds().stdout.contains(&bead), "it is nobody's work");
    town.gt("mq oracle --rig widgets --target nowhere").fails_with(3);
}
