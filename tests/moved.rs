//! Targets that moved outside of gt: no polecat moves one by accident, and whoever sets the hooks aside is noticed, once,
//! with what was there kept and what is there gated.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::town::{Outcome, Town};

const TOAST: &str = "widgets/polecats/toast";

/// Steps at which the commands here are killed.
pub const STEPS: &[&str] = &["moved.pinned"];

/// A rig that lands in its own branch, with a polecat on work.
struct Yard {
    town: Town,
    repo: PathBuf,
    sandbox: PathBuf,
}

impl Yard {
    fn new(land: &[&str]) -> Self {
        let town = Town::new();
        let origin = town.project("widgets");
        town.gt_args(&[&["rig", "add", "widgets", origin.to_str().unwrap()], land].concat()).succeeds();
        let repo = town.root.join("widgets/.repo.git");
        town.git(&repo, &["config", "gt.durability", "none"]);
        town.gt("config set gates.test.command 'test ! -e bad' --rig widgets").succeeds();
        let bead = town.gt("--json create Work --rig widgets").json()["id"].as_str().unwrap().to_owned();
        town.gt_args(&["sling", &bead, TOAST, "--no-start"]).succeeds();
        Self { sandbox: town.root.join(TOAST), repo, town }
    }

    /// Git as toast runs it.
    fn git(&self, dir: &Path, args: &[&str]) -> Outcome {
        let mut command = self.town.command("git", dir);
        command.env("GT_ACTOR", TOAST).env("GT_ROLE", TOAST).env("GT_ROOT", &self.town.root);
        Outcome::of(format!("git {}", args.join(" ")), command.args(args).output().unwrap())
    }

    /// The same with hooks set aside.
    fn aside(&self, args: &[&str]) {
        self.git(&self.sandbox, &[&["-c", "core.hooksPath=/dev/null"], args].concat()).succeeds();
    }

    fn tip(&self) -> String {
        self.town.git(&self.repo, &["rev-parse", "main"])
    }

    fn commit(&self, file: &str) -> String {
        std::fs::write(self.sandbox.join(file), "x\n").unwrap();
        self.git(&self.sandbox, &["add", "-A"]).succeeds();
        self.git(&self.sandbox, &["commit", "-q", "-m", file]).succeeds();
        self.town.git(&self.sandbox, &["rev-parse", "HEAD"])
    }

    fn pins(&self) -> Vec<String> {
        let all = self.town.git(&self.repo, &["for-each-ref", "--format=%(objectname) %(refname)", "refs/gt/pin"]);
        all.lines().map(str::to_owned).collect()
    }

    /// The subjects of alarms that the overseer got, oldest first, with their payloads.
    fn alarms(&self) -> Vec<Value> {
        self.town.gt("sync").succeeds();
        let inbox = self.town.gt("--json inbox --all").json();
        let letters = inbox.as_array().cloned().unwrap_or_else(|| inbox["letters"].as_array().unwrap().clone());
        let mut all: Vec<Value> =
            letters.into_iter().filter(|letter| letter["subject"].as_str().unwrap_or_default().starts_with("TARGET_")).collect();
        all.sort_by_key(|letter| letter["sent_at"].as_str().unwrap_or_default().to_owned());
        all
    }

    fn subjects(&self) -> Vec<String> {
        self.alarms().iter().map(|letter| letter["subject"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn no_polecat_moves_the_target_by_any_way_that_runs_hooks() {
    let yard = Yard::new(&[]);
    let (before, mine) = (yard.tip(), yard.commit("mine"));
    let clone = yard.town.base().join("clone");
    yard.git(&yard.town.base(), &["clone", "-q", yard.repo.to_str().unwrap(), clone.to_str().unwrap()]).succeeds();
    yard.git(&clone, &["fetch", "-q", "origin", &mine]).succeeds();
    let other = yard.town.base().join("other");
    let ways: &[(&Path, &[&str])] = &[
        (&yard.sandbox, &["push", "-q", ".", "HEAD:main"]),
        (&yard.sandbox, &["branch", "-f", "main", "HEAD"]),
        (&yard.sandbox, &["update-ref", "refs/heads/main", &mine]),
        (&yard.sandbox, &["update-ref", "-d", "refs/heads/main"]),
        (&yard.sandbox, &["symbolic-ref", "HEAD", "refs/heads/main"]),
        (&yard.sandbox, &["worktree", "add", "-q", "-B", "main", other.to_str().unwrap(), "HEAD"]),
        (&yard.sandbox, &["checkout", "-q", "-B", "main", "HEAD"]),
        (&clone, &["push", "-q", "origin", &format!("{mine}:refs/heads/main")]),
        (&clone, &["push", "-q", "--no-verify", "origin", &format!("+{mine}:main")]),
    ];
    for (dir, args) in ways {
        let outcome = yard.git(dir, args);
        assert_eq!(yard.tip(), before, "{}: {}{}", outcome.line, outcome.stdout, outcome.stderr);
    }
    // On the target by a trick, but it still does not move.
    let branch = yard.town.git(&yard.sandbox, &["symbolic-ref", "HEAD"]);
    assert!(yard.git(&yard.sandbox, &["commit", "-q", "--allow-empty", "-m", "On it"]).code != 0 || branch != "refs/heads/main");
    assert_eq!(yard.tip(), before);
    yard.town.gt("maintain").succeeds();
    assert!(yard.alarms().is_empty() && yard.pins().is_empty());
}

#[test]
fn a_target_that_was_moved_with_hooks_aside_is_told_once_kept_and_gated() {
    let yard = Yard::new(&[]);
    let (first, mine) = (yard.tip(), yard.commit("bad"));
    yard.aside(&["update-ref", "-m", "sneak", "refs/heads/main", &mine]);
    let line = yard.town.gt("maintain").succeeds().stdout;
    assert!(line.contains("main moved outside of gt: 1 commit came onto it; by Tess Tester"), "{line}");
    assert_eq!(yard.pins(), [format!("{first} refs/gt/pin/main/{}", &first[..12])]);
    for line in ["maintain", "sync", "mq run --once"] {
        yard.town.gt(line).succeeds();
    }
    // The run of the queue gated it, though nothing waits.
    let alarms = yard.alarms();
    assert_eq!(yard.subjects(), ["TARGET_MOVED main", "TARGET_RED main"], "{alarms:#?}");
    let body = yard.town.gt_args(&["mail", "read", alarms[0]["id"].as_str().unwrap()]).succeeds().stdout;
    assert!(body.contains(&first) && body.contains(&mine) && body.contains("sneak"), "{body}");
    yard.town.gt("mq run --once").succeeds();
    assert_eq!(yard.subjects().len(), 2, "told twice");
    // History that is replaced is kept: nothing else holds it.
    yard.aside(&["update-ref", "refs/heads/main", &format!("{first}~1")]);
    let told = yard.town.gt("mq run --once").succeeds();
    assert!(told.stdout.contains("its history was replaced"), "{}{}", told.stdout, told.stderr);
    assert!(yard.pins().contains(&format!("{mine} refs/gt/pin/main/{}", &mine[..12])), "{:?}", yard.pins());
    assert_eq!(yard.subjects(), ["TARGET_MOVED main", "TARGET_RED main", "TARGET_MOVED main"]);
    // Removed, it is missed too.
    yard.aside(&["update-ref", "-d", "refs/heads/main"]);
    let line = yard.town.gt("maintain").stdout;
    assert!(line.contains("main moved outside of gt: it was removed"), "{line}");
    yard.town.git(&yard.repo, &["branch", "main", &first]);
    yard.town.fsck();
}

#[test]
fn what_the_queue_lands_is_no_alarm_and_what_a_person_adds_beneath_a_landing_is() {
    let yard = Yard::new(&[]);
    yard.commit("work.txt");
    yard.town.as_agent(TOAST).gt("done").succeeds();
    yard.town.gt("mq run --once").succeeds();
    yard.town.gt("maintain").succeeds();
    assert!(yard.alarms().is_empty() && yard.tip() != yard.town.git(&yard.sandbox, &["rev-parse", "HEAD"]));
    let bead = yard.town.gt("--json create More --rig widgets").json()["id"].as_str().unwrap().to_owned();
    yard.town.gt_args(&["sling", &bead, TOAST, "--no-start"]).succeeds();
    yard.commit("more.txt");
    yard.town.as_agent(TOAST).gt("done").succeeds();
    let left = yard.tip();
    yard.town.git(&yard.repo, &["worktree", "add", "-q", yard.town.base().join("on").to_str().unwrap(), "main"]);
    yard.town.git(&yard.town.base().join("on"), &["commit", "-q", "--allow-empty", "-m", "By hand"]);
    yard.town.gt("mq run --once").succeeds();
    assert_eq!((yard.subjects(), yard.town.status(&bead).as_str()), (vec!["TARGET_MOVED main".to_owned()], "closed"));
    assert_eq!(yard.pins(), [format!("{left} refs/gt/pin/main/{}", &left[..12])]);
}

#[test]
fn a_branch_beside_its_remote_and_a_remote_whose_history_was_replaced_are_told() {
    let yard = Yard::new(&["--land", "origin"]);
    let (origin, first) = (yard.town.base().join("widgets.git"), yard.tip());
    // What people push on top is as it should be.
    let work = yard.town.base().join("widgets-work");
    yard.town.git(&work, &["commit", "-q", "--allow-empty", "-m", "On top"]);
    yard.town.git(&work, &["push", "-q", origin.to_str().unwrap(), "HEAD:main"]);
    let mine = yard.commit("work.txt");
    yard.town.as_agent(TOAST).gt("done").succeeds();
    yard.town.gt("mq run --once").succeeds();
    assert!(yard.alarms().is_empty());
    let landed = yard.tip();
    assert_eq!(yard.town.git(&origin, &["rev-parse", "main"]), landed);
    let next = |title: &str| {
        let bead = yard.town.gt(&format!("--json create {title} --rig widgets")).json()["id"].as_str().unwrap().to_owned();
        yard.town.gt_args(&["sling", &bead, TOAST, "--no-start"]).succeeds();
        yard.commit(title);
        yard.town.as_agent(TOAST).gt("done").succeeds();
    };
    next("local");
    yard.aside(&["update-ref", "refs/heads/main", &mine]);
    for _ in 0..2 {
        yard.town.gt("mq run --once").succeeds();
        assert_eq!(yard.subjects(), ["TARGET_MOVED main"]);
    }
    yard.town.git(&yard.repo, &["update-ref", "refs/heads/main", &first]);
    next("remote");
    yard.town.git(&origin, &["update-ref", "refs/heads/main", &first]);
    yard.town.gt("mq run --once").succeeds();
    assert_eq!(yard.subjects(), ["TARGET_MOVED main", "TARGET_MOVED main"]);
    let lost = yard.town.git(&yard.repo, &["for-each-ref", "--contains", &landed, "refs/gt/pin"]);
    assert!(!lost.is_empty(), "what had landed is kept by nothing");
}

#[test]
fn an_alarm_whose_sender_was_killed_is_told_by_the_next() {
    let yard = Yard::new(&[]);
    let mine = yard.commit("mine");
    yard.aside(&["update-ref", "refs/heads/main", &mine]);
    let killed = yard.town.here().var("GT_CRASH_AT", STEPS[0]).gt("maintain");
    assert_eq!(killed.code, -1, "{}", killed.stdout);
    yard.town.gt("maintain").succeeds();
    assert_eq!((yard.subjects().len(), yard.pins().len()), (1, 1));
}
