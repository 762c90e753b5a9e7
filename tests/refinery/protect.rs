//! Pushes into a rig's repository do not move what its queue works; the queue does.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;

use super::world::{World, git};
use crate::town::{Rig, Town};

/// A town with a rig, and a person's repository beside it that has the rig's `main`.
struct Guarded {
    town: Town,
    rig: Rig,
    repo: PathBuf,
    work: PathBuf,
}

impl Guarded {
    fn new() -> Self {
        let town = Town::new();
        let origin = town.project("widgets");
        town.gt_args(&["rig", "add", "widgets", origin.to_str().unwrap()]).succeeds();
        let rig = Rig { name: "widgets".into(), dir: town.root.join("widgets"), origin };
        town.gt_args(&["config", "set", "gates.test.command", "./check.sh", "--rig", "widgets"]).succeeds();
        let work = town.base().join("widgets-work");
        Self { repo: rig.dir.join(".repo.git"), work, rig, town }
    }

    fn commit(&self, branch: &str) {
        self.town.git(&self.work, &["checkout", "-q", "-B", branch, "main"]);
        std::fs::write(self.work.join(branch), "x\n").unwrap();
        self.town.git(&self.work, &["add", branch]);
        self.town.git(&self.work, &["commit", "-q", "-m", &format!("Add {branch}")]);
    }

    fn push(&self, specs: &[&str]) -> Output {
        self.town.command("git", &self.work).arg("push").arg("-q").arg(&self.repo).args(specs).output().unwrap()
    }

    /// The push fails, and `words` says why.
    #[track_caller]
    fn refuses(&self, spec: &str, words: &str) {
        let before = self.town.git(&self.repo, &["for-each-ref", "refs/heads"]);
        let output = self.push(&[spec]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{spec}: {said}");
        assert_eq!(self.town.git(&self.repo, &["for-each-ref", "refs/heads"]), before);
    }

    #[track_caller]
    fn takes(&self, spec: &str) {
        let output = self.push(&[spec]);
        assert!(output.status.success(), "{spec}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn gt(&self, line: &str) {
        self.town.gt(line).succeeds();
    }
}

#[test]
fn a_push_to_a_protected_target_is_refused_and_told_the_way_and_the_queue_lands() {
    let guarded = Guarded::new();
    guarded.commit("side");
    guarded.gt("config set target.protect true --rig widgets");
    guarded.refuses("side:main", "gt mq submit BEAD BRANCH --target main");
    guarded.refuses(":main", "refusing to delete the current branch");
    guarded.takes("side:side");
    // One push with both moves only the other.
    assert!(!guarded.push(&["side:main", "side:other"]).status.success());
    assert_eq!(guarded.town.git(&guarded.repo, &["rev-parse", "side"]), guarded.town.git(&guarded.repo, &["rev-parse", "other"]));
    let bead = guarded.town.bead(&guarded.rig, "Side");
    guarded.gt(&format!("mq submit {bead} side"));
    guarded.gt("mq run --once --rig widgets");
    assert_eq!(guarded.town.status(&bead), "closed");
    guarded.gt("config unset target.protect --rig widgets");
    let tip = guarded.town.git(&guarded.repo, &["rev-parse", "main"]);
    guarded.town.git(&guarded.work, &["fetch", "-q", guarded.repo.to_str().unwrap(), "main"]);
    guarded.town.git(&guarded.work, &["checkout", "-q", "-B", "more", &tip]);
    guarded.town.git(&guarded.work, &["commit", "-q", "--allow-empty", "-m", "More"]);
    guarded.takes("more:main");
    assert!(!guarded.repo.join("hooks/update").exists());
    guarded.town.fsck();
}

#[test]
fn a_hook_that_was_there_is_kept_run_and_put_back() {
    let guarded = Guarded::new();
    let (hook, local) = (guarded.repo.join("hooks/update"), guarded.repo.join("hooks/update.local"));
    let theirs = "#!/bin/sh\ncase $1 in */no-*) echo \"not $1\" >&2; exit 1 ;; esac\n";
    std::fs::write(&hook, theirs).unwrap();
    std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
    guarded.commit("side");
    for _ in 0..2 {
        guarded.gt("config set target.protect true --rig widgets");
        assert_eq!(std::fs::read_to_string(&local).unwrap(), theirs);
    }
    guarded.refuses("side:main", "moved by its merge queue alone");
    guarded.refuses("side:no-way", "not refs/heads/no-way");
    guarded.takes("side:side");
    guarded.gt("config set target.protect false --rig widgets");
    assert!(std::fs::read_to_string(&hook).unwrap() == theirs && !local.exists());
    guarded.takes("side:main");
    // Hooks from elsewhere cannot be guarded, and it is said.
    guarded.town.git(&guarded.repo, &["config", "core.hooksPath", "/nowhere"]);
    let said = guarded.town.gt("config set target.protect true --rig widgets").fails_with(4);
    assert!(said.stderr.contains("core.hooksPath"), "{}", said.stderr);
    assert_eq!(std::fs::read_to_string(&hook).unwrap(), theirs);
}

#[test]
fn each_run_of_the_queue_guards_what_it_works_and_removes_what_is_not_asked_for() {
    let mut world = World::with_gate();
    world.set("target.protect", "true");
    git(&world.repo(), &["branch", "release", "main"]);
    let mut submission = World::submission(&world.bead("fix"), "fix");
    world.branch("fix", "main", &[("fix", "x\n")]);
    submission.target = Some("release".into());
    world.file(&submission).unwrap();
    let hook = world.repo().join("hooks/update");
    world.run().unwrap();
    let listed = |world: &World| git(&world.repo(), &["config", "--get-all", "gt.protected"]);
    assert_eq!(listed(&world), "main\nrelease");
    // Taken away or spoilt by somebody, it is there again after the next run.
    std::fs::remove_file(&hook).unwrap();
    git(&world.repo(), &["config", "--add", "gt.protected", "stray"]);
    world.run().unwrap();
    assert!(hook.exists() && listed(&world) == "main\nrelease");
    world.set("target.protect", "false");
    world.run().unwrap();
    assert!(!hook.exists() && !git(&world.repo(), &["config", "--list", "--local"]).contains("gt.protected"));
    // A remote's target is not ours to guard.
    world.set("target.protect", "true");
    world.with_origin();
    world.run().unwrap();
    assert!(!hook.exists());
    world.is_sound();
}

#[test]
fn targets_of_a_remote_are_for_its_server_to_protect_and_workers_may_not_say_so() {
    let (town, _) = Town::with_rig();
    let said = town.gt("config set target.protect true --rig widgets").fails_with(4);
    assert!(said.stderr.contains("branches of its remote") && said.stderr.contains("mq.strategy pr"), "{}", said.stderr);
    town.gt("config set target.protect false --rig widgets").succeeds();
    town.as_agent("widgets/polecats/toast").gt("config set target.protect true").fails_with(4);
}
