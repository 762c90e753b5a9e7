//! Many processes on one ledger: one winner where there can be one, and nothing lost or doubled otherwise.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use gastown::model::pool;

use crate::town::{Outcome, Rig, Town, text_at};

/// How many processes contend.
const MANY: usize = 30;

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Starts all commands, then waits for all.
pub fn all_at_once(commands: Vec<Command>) -> Vec<Outcome> {
    let lines: Vec<String> = commands.iter().map(|command| format!("{command:?}")).collect();
    let children: Vec<Child> = commands.into_iter().map(start).collect();
    let ended = lines.into_iter().zip(children);
    ended.map(|(line, child)| Outcome::of(line, child.wait_with_output().unwrap())).collect()
}

/// The worktrees in `polecats/`.
fn sandboxes(town: &Town, rig: &Rig) -> Vec<String> {
    let listed = town.git(&rig.dir.join(".repo.git"), &["worktree", "list", "--porcelain"]);
    listed
        .lines()
        .filter_map(|line| line.strip_prefix("worktree "))
        .filter(|dir| dir.contains("/polecats/"))
        .map(str::to_owned)
        .collect()
}

fn work_branches(town: &Town, rig: &Rig) -> usize {
    town.git(&rig.dir.join(".repo.git"), &["for-each-ref", "--format=%(refname)", "refs/heads/polecat"]).lines().count()
}

#[test]
fn of_thirty_that_sling_one_bead_exactly_one_wins() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Contested");
    let sling = |name: &&str| town.here().command(&["sling", &bead, &format!("widgets/polecats/{name}"), "--no-start"]);
    let outcomes = all_at_once(pool::THEMES[0].1[..MANY].iter().map(sling).collect());
    let winners = outcomes.iter().filter(|outcome| outcome.code == 0).count();
    for outcome in &outcomes {
        assert!([0, 4, 5].contains(&outcome.code), "{} ended with {}: {}", outcome.line, outcome.code, outcome.stderr);
    }
    assert_eq!(winners, 1);
    assert_eq!(town.status(&bead), "hooked");
    let assignee = text_at(&town.show(&bead), &["/assignee"]);
    assert_eq!(sandboxes(&town, &rig), [town.root.join(&assignee).display().to_string()]);
    assert_eq!(work_branches(&town, &rig), 1, "the losers left branches behind");
    town.as_agent(&assignee).gt("hook").succeeds();
    town.fsck();
}

#[test]
fn thirty_that_sling_one_bead_to_the_rig_give_it_to_one_polecat() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Wanted");
    let outcomes = all_at_once((0..MANY).map(|_| town.here().command(&["sling", &bead, "widgets", "--no-start"])).collect());
    for outcome in &outcomes {
        assert!([0, 4, 5].contains(&outcome.code), "{} ended with {}: {}", outcome.line, outcome.code, outcome.stderr);
    }
    assert!(outcomes.iter().any(|outcome| outcome.code == 0));
    assert_eq!(sandboxes(&town, &rig).len(), 1);
    assert_eq!(work_branches(&town, &rig), 1);
}

#[test]
fn thirty_that_sling_a_bead_each_get_a_polecat_each() {
    let (town, rig) = Town::with_rig();
    let beads: Vec<String> = (0..8).map(|n| town.bead(&rig, &format!("Bead {n}"))).collect();
    let outcomes = all_at_once(beads.iter().map(|bead| town.here().command(&["sling", bead, "widgets", "--no-start"])).collect());
    for outcome in outcomes {
        outcome.succeeds();
    }
    let holders: BTreeSet<String> = beads.iter().map(|bead| text_at(&town.show(bead), &["/assignee"])).collect();
    assert_eq!(holders.len(), beads.len());
    assert_eq!(sandboxes(&town, &rig).len(), beads.len());
    town.fsck();
}

#[test]
fn what_thirty_write_at_once_is_all_there_once() {
    let (town, rig) = Town::with_rig();
    let shared = town.bead(&rig, "Shared");
    let mut commands = Vec::new();
    for n in 0..MANY {
        commands.push(town.here().command(&["--json", "bead", "create", &format!("Bead {n}"), "--rig", "widgets"]));
        commands.push(town.here().command(&["bead", "update", &shared, "--add-label", &format!("label-{n}")]));
    }
    let before = commits(&town, &rig);
    let outcomes: Vec<Outcome> = all_at_once(commands).into_iter().map(Outcome::succeeds).collect();
    let ids: BTreeSet<String> = outcomes.into_iter().step_by(2).map(|made| text_at(&made.json(), &["/id", "/bead/id"])).collect();
    assert_eq!(ids.len(), MANY, "two beads got one id");
    let titles: BTreeSet<String> = ids.iter().map(|id| text_at(&town.show(id), &["/title"])).collect();
    assert_eq!(titles, (0..MANY).map(|n| format!("Bead {n}")).collect());
    let labels = town.show(&shared)["labels"].to_string();
    for n in 0..MANY {
        assert!(labels.contains(&format!("\"label-{n}\"")), "label-{n} is lost");
    }
    assert_eq!(commits(&town, &rig), before + 2 * MANY, "one commit a change");
    town.fsck();
}

#[test]
fn thirty_children_that_are_filed_at_once_have_thirty_numbers() {
    let (town, rig) = Town::with_rig();
    let parent = town.bead(&rig, "Parent");
    let create = |n: usize| town.here().command(&["bead", "q", &format!("Child {n}"), "--parent", &parent]);
    let outcomes = all_at_once((0..MANY).map(create).collect());
    let ids: BTreeSet<String> = outcomes.into_iter().map(|outcome| outcome.succeeds().stdout.trim().to_owned()).collect();
    assert_eq!(ids, (1..=MANY).map(|n| format!("{parent}.{n}")).collect());
}

fn commits(town: &Town, rig: &Rig) -> usize {
    town.git(&rig.dir.join(".repo.git"), &["rev-list", "--count", "refs/gt/ledger"]).parse().unwrap()
}

#[test]
fn writers_that_are_killed_lose_nothing_that_was_answered_and_block_nobody() {
    let (town, rig) = Town::with_rig();
    let create = |n: usize| town.here().command(&["--json", "bead", "create", &format!("Bead {n}"), "--rig", "widgets"]);
    let mut children: Vec<Child> = (0..MANY).map(|n| start(create(n))).collect();
    // Killed in the midst of it: every third, a little later each.
    for (n, child) in children.iter_mut().enumerate().filter(|(n, _)| n % 3 == 0) {
        std::thread::sleep(std::time::Duration::from_millis(n as u64 % 7));
        let _ = child.kill();
    }
    let outcomes = children.into_iter().map(|child| Outcome::of("gt bead create".into(), child.wait_with_output().unwrap()));
    let answered: Vec<Outcome> = outcomes.filter(|outcome| outcome.code != -1).collect();
    assert!(answered.len() >= MANY * 2 / 3);
    for outcome in answered {
        let id = text_at(&outcome.json(), &["/id", "/bead/id"]);
        assert_eq!(town.status(&id), "open");
    }
    town.bead(&rig, "After");
    town.fsck();
}

#[test]
fn many_that_hand_in_and_work_the_queue_at_once_land_each_piece_once() {
    let (town, rig) = Town::with_rig();
    town.gt("config set gates.test.command 'sh check.sh' --rig widgets").succeeds();
    let mut workers = Vec::new();
    for n in 0..6 {
        let bead = town.bead(&rig, &format!("Bead {n}"));
        town.gt_args(&["sling", &bead, "widgets", "--no-start"]).succeeds();
        let agent = text_at(&town.show(&bead), &["/assignee"]);
        let sandbox = town.root.join(&agent);
        std::fs::write(sandbox.join(format!("{n}.txt")), "work\n").unwrap();
        town.git(&sandbox, &["add", "-A"]);
        town.git(&sandbox, &["commit", "-q", "-m", &format!("Piece {n}.")]);
        workers.push((bead, agent));
    }
    let mut commands: Vec<Command> = workers.iter().map(|(_, agent)| town.as_agent(agent).command(&["done"])).collect();
    commands.extend((0..4).map(|_| town.here().command(&["mq", "run", "--once", "--rig", "widgets"])));
    for (n, outcome) in all_at_once(commands).into_iter().enumerate() {
        let is_done = n < workers.len();
        assert!(
            outcome.code == 0 || (!is_done && outcome.code == 5),
            "{} ended with {}: {}",
            outcome.line,
            outcome.code,
            outcome.stderr
        );
    }
    town.gt("mq run --once --rig widgets").succeeds();
    let log = town.git(&rig.origin, &["log", "--format=%s", "main"]);
    for (n, (bead, _)) in workers.iter().enumerate() {
        assert_eq!(town.status(bead), "closed");
        assert_eq!(log.matches(&format!("Piece {n}.")).count(), 1, "{log}");
    }
    town.fsck();
}

#[test]
fn a_nuke_without_force_spares_what_is_slung_at_that_moment() {
    let (town, rig) = Town::with_rig();
    for _ in 0..8 {
        let bead = town.bead(&rig, "Work");
        let sling = town.here().command(&["sling", &bead, "widgets/polecats/toast", "--no-start"]);
        let nukes = (0..4).map(|_| town.here().command(&["polecat", "nuke", "widgets/polecats/toast"]));
        let outcomes = all_at_once(std::iter::once(sling).chain(nukes).collect());
        for outcome in &outcomes {
            assert!([0, 4, 5].contains(&outcome.code), "{} ended with {}: {}", outcome.line, outcome.code, outcome.stderr);
        }
        let is_hooked = town.status(&bead) == "hooked";
        assert_eq!(is_hooked, outcomes[0].code == 0, "{}", outcomes[0].stderr);
        if is_hooked {
            assert!(rig.dir.join("polecats/toast/README.md").is_file(), "the sandbox was taken from under its work");
            town.gt("polecat nuke widgets/toast --force").succeeds();
        }
    }
    town.fsck();
}
