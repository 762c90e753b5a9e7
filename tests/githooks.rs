//! The git hooks of rigs: agents' commits name them, polecats do not move target branches, and people see nothing of it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::town::{Outcome, Rig, Town};

const TOAST: &str = "widgets/polecats/toast";

/// A rig with work on the hook of a polecat, and its target checked out beside.
struct Yard {
    town: Town,
    rig: Rig,
    bead: String,
    repo: PathBuf,
    sandbox: PathBuf,
    /// A worktree that stands on `main`.
    on_main: PathBuf,
}

impl Yard {
    fn new() -> Self {
        let (town, rig) = Town::with_rig();
        let bead = town.bead(&rig, "Work");
        town.gt_args(&["sling", &bead, TOAST, "--no-start"]).succeeds();
        let (repo, on_main) = (rig.dir.join(".repo.git"), town.base().join("on-main"));
        town.git(&repo, &["worktree", "add", "-q", on_main.to_str().unwrap(), "main"]);
        Self { sandbox: town.root.join(TOAST), town, rig, bead, repo, on_main }
    }

    fn hook(&self, name: &str) -> PathBuf {
        self.repo.join("hooks").join(name)
    }

    /// Git as `actor` runs it; with an empty one as a person.
    fn git_as(&self, actor: &str, dir: &Path, args: &[&str]) -> Outcome {
        let mut command = self.town.command("git", dir);
        if !actor.is_empty() {
            command.env("GT_ACTOR", actor).env("GT_ROLE", actor).env("GT_ROOT", &self.town.root);
        }
        Outcome::of(format!("git {} by {actor:?}", args.join(" ")), command.args(args).output().unwrap())
    }

    fn message(&self, dir: &Path) -> String {
        self.town.git(dir, &["log", "-1", "--format=%B"])
    }

    fn refs(&self) -> String {
        self.town.git(&self.repo, &["for-each-ref", "refs/heads"])
    }

    /// A hook of the project's people: with this shell text, executable.
    fn theirs(&self, name: &str, text: &str) {
        std::fs::write(self.hook(name), format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(self.hook(name), PermissionsExt::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_commit_of_an_agent_names_it_and_its_bead_once() {
    let yard = Yard::new();
    let commit = |actor: &str, args: &[&str]| {
        let words: Vec<&str> = ["commit", "-q", "--allow-empty"].iter().chain(args).copied().collect();
        yard.git_as(actor, &yard.sandbox, &words).succeeds();
        yard.message(&yard.sandbox)
    };
    let signed = |text: &str| format!("{text}\n\nBead: {}\nAgent: {TOAST}", yard.bead);
    assert_eq!(commit(TOAST, &["-m", "Mend the pump"]), signed("Mend the pump"));
    assert_eq!(commit(TOAST, &["--amend", "-m", "Mend it", "-m", "It leaked."]), signed("Mend it\n\nIt leaked."));
    assert_eq!(commit(TOAST, &["--amend", "--no-edit"]), signed("Mend it\n\nIt leaked."));
    let with_another = format!("Join\n\nCo-authored-by: A <a@b>\nBead: {}\nAgent: {TOAST}", yard.bead);
    assert_eq!(commit(TOAST, &["-m", "Join", "-m", "Co-authored-by: A <a@b>"]), with_another);
    // What is to be folded into another commit gets none, and no trailer makes a message out of nothing.
    assert_eq!(commit(TOAST, &["--fixup", "HEAD"]), "fixup! Join");
    assert!(yard.git_as(TOAST, &yard.sandbox, &["commit", "--allow-empty", "-m", ""]).code != 0);
    let in_editor = ["-c", "core.editor=true", "commit", "--allow-empty"];
    assert!(yard.git_as(TOAST, &yard.sandbox, &in_editor).code != 0);
    // Who has no branch of an assignment says the bead of its session, or none.
    yard.town.git(&yard.sandbox, &["switch", "-q", "-c", "side"]);
    assert_eq!(commit("mayor", &["-m", "Look"]), "Look\n\nAgent: mayor");
    let mut command = yard.town.command("git", &yard.sandbox);
    command.env("GT_ACTOR", TOAST).env("GT_BEAD", "wi-x").args(["commit", "-q", "--allow-empty", "-m", "Go"]);
    assert!(command.status().unwrap().success());
    assert_eq!(yard.message(&yard.sandbox), format!("Go\n\nBead: wi-x\nAgent: {TOAST}"));
    // People are left alone, whatever they call themselves.
    for person in ["", "overseer", "overseer/tess"] {
        assert_eq!(commit(person, &["-m", "By hand"]), "By hand");
    }
}

#[test]
fn a_commit_marks_the_heartbeat_of_its_agent_and_of_nobody_else() {
    let yard = Yard::new();
    let beat = || yard.town.gt("--json polecat list").json()[0]["beat_at"].clone();
    yard.theirs("post-commit.local", "echo \"${GT_ACTOR-nobody}\" >>seen");
    for actor in ["", "overseer", "widgets/crew/tess"] {
        yard.git_as(actor, &yard.sandbox, &["commit", "-q", "--allow-empty", "-m", "Look"]).succeeds();
        assert!(beat().is_null(), "{actor}");
    }
    yard.git_as(TOAST, &yard.sandbox, &["commit", "-q", "--allow-empty", "-m", "Work"]).succeeds();
    assert!(beat().is_string());
    let files = std::fs::read_dir(yard.town.root.join(".runtime/heartbeats")).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["widgets%2Fcrew%2Ftess", "widgets%2Fpolecats%2Ftoast"]);
    let seen = std::fs::read_to_string(yard.sandbox.join("seen")).unwrap();
    assert_eq!(seen, format!("nobody\noverseer\nwidgets/crew/tess\n{TOAST}\n"));
}

#[test]
fn a_merge_and_a_picked_commit_name_who_makes_them() {
    let yard = Yard::new();
    yard.town.git(&yard.on_main, &["commit", "-q", "--allow-empty", "-m", "Elsewhere"]);
    yard.git_as(TOAST, &yard.sandbox, &["commit", "-q", "--allow-empty", "-m", "Here"]).succeeds();
    yard.git_as(TOAST, &yard.sandbox, &["merge", "-q", "main"]).succeeds();
    let text = yard.message(&yard.sandbox);
    assert!(
        text.starts_with("Merge branch 'main'") && text.ends_with(&format!("\n\nBead: {}\nAgent: {TOAST}", yard.bead)),
        "{text}"
    );
    yard.git_as(TOAST, &yard.sandbox, &["rebase", "-q", "--keep-empty", "--force-rebase", "main"]).succeeds();
    assert_eq!(yard.message(&yard.sandbox).matches("Agent: ").count(), 1);
}

#[test]
fn a_polecat_does_not_move_the_target_and_is_told_what_to_do() {
    let yard = Yard::new();
    yard.git_as(TOAST, &yard.sandbox, &["commit", "-q", "--allow-empty", "-m", "Mine"]).succeeds();
    let tip = yard.town.git(&yard.sandbox, &["rev-parse", "HEAD"]);
    let before = yard.refs();
    let (sandbox, on_main, origin) = (&yard.sandbox, &yard.on_main, yard.rig.origin.to_str().unwrap());
    let ways: &[(&Path, &[&str])] = &[
        (on_main, &["commit", "-q", "--allow-empty", "-m", "Straight"]),
        (on_main, &["reset", "-q", "--hard", "HEAD~1"]),
        (on_main, &["merge", "-q", "--ff-only", &tip]),
        (on_main, &["update-ref", "HEAD", &tip]),
        (sandbox, &["push", "-q", ".", "HEAD:main"]),
        (sandbox, &["push", "-q", "origin", "HEAD:main"]),
        (sandbox, &["push", "-q", origin, "+HEAD~2:refs/heads/main"]),
        (sandbox, &["fetch", "-q", "--update-head-ok", ".", "+HEAD:main"]),
        (sandbox, &["update-ref", "refs/heads/main", &tip]),
        (sandbox, &["update-ref", "-d", "refs/heads/main"]),
        (&yard.repo, &["--git-dir", ".", "branch", "-f", "-m", "main", "old"]),
        (&yard.repo, &["--git-dir", ".", "update-ref", "refs/heads/main", &tip]),
    ];
    for (dir, args) in ways {
        let outcome = yard.git_as(TOAST, dir, args);
        let said: Vec<&str> = outcome.stderr.lines().filter(|line| line.contains("gt: ")).collect();
        assert!(outcome.code != 0 && said.len() == 1, "{}: {}", outcome.line, outcome.stderr);
        assert!(said[0].contains("main is moved by its merge queue alone") && said[0].ends_with("gt done"), "{}", said[0]);
        assert_eq!(yard.refs(), before, "{}", outcome.line);
        yard.town.git(on_main, &["reset", "-q", "--hard"]);
    }
    yard.town.git(&yard.repo, &["worktree", "remove", on_main.to_str().unwrap()]);
    // Where nothing has it checked out, git itself is not in the way.
    yard.town.git(&yard.repo, &["symbolic-ref", "HEAD", "refs/heads/none"]);
    for args in [&["branch", "-f", "main", "HEAD"][..], &["push", "-q", "--no-verify", ".", "HEAD:main"]] {
        let forced = yard.git_as(TOAST, sandbox, args);
        assert!(forced.code != 0 && forced.stderr.contains("gt done") && yard.refs() == before, "{}", forced.stderr);
    }
    yard.town.git(&yard.repo, &["symbolic-ref", "HEAD", "refs/heads/main"]);
    // All else is its own: branches, tags, other places, and a main that stays where it is.
    for args in [
        &["branch", "main-2"][..],
        &["branch", "-f", "main-2", "HEAD~1"],
        &["tag", "main"],
        &["push", "-q", origin, "HEAD:refs/heads/toast"],
        &["push", "-q", ".", "HEAD:refs/heads/old/main"],
        &["fetch", "-q", "origin"],
        &["stash"],
        &["update-ref", "refs/heads/main", "refs/heads/main", "refs/heads/main"],
    ] {
        yard.git_as(TOAST, sandbox, args).succeeds();
    }
    yard.town.fsck();
}

#[test]
fn a_person_moves_the_target_freely_and_so_does_a_crew_member() {
    let yard = Yard::new();
    for actor in ["", "overseer", "widgets/crew/tess"] {
        let tip = yard.town.git(&yard.on_main, &["rev-parse", "HEAD"]);
        let act = |dir: &Path, args: &[&str]| yard.git_as(actor, dir, args).succeeds().code;
        act(&yard.on_main, &["commit", "-q", "--allow-empty", "-m", "Straight"]);
        act(&yard.on_main, &["reset", "-q", "--hard", "HEAD~1"]);
        act(&yard.sandbox, &["update-ref", "refs/heads/main", "HEAD"]);
        act(&yard.on_main, &["update-ref", "HEAD", &tip]);
        act(&yard.on_main, &["reset", "-q", "--hard"]);
        act(&yard.on_main, &["commit", "-q", "--allow-empty", "-m", actor, "--allow-empty-message"]);
        act(&yard.on_main, &["push", "-q", "origin", "HEAD:main"]);
    }
}

#[test]
fn hooks_that_were_there_run_and_their_refusal_counts() {
    let yard = Yard::new();
    yard.town.gt("config set git.hooks false --rig widgets").succeeds();
    assert!(!yard.hook("pre-push").exists() && !yard.repo.join("gt/targets").exists());
    yard.theirs("prepare-commit-msg", "echo 'Theirs: yes' >>\"$1\"\n! grep -q swear \"$1\"");
    yard.theirs("pre-push", "echo \"$1 $2\" >>pushed; cat >>pushed; ! grep -q no-way pushed");
    yard.theirs("reference-transaction", "[ $1 = prepared ] || exit 0; ! grep -q refs/heads/taboo");
    let before = std::fs::read_to_string(yard.hook("pre-push")).unwrap();
    yard.town.gt("config unset git.hooks --rig widgets").succeeds();
    yard.town.gt("maintain").succeeds();
    assert_eq!(std::fs::read_to_string(yard.hook("pre-push.local")).unwrap(), before);
    for actor in ["", TOAST] {
        let act = |args: &[&str]| yard.git_as(actor, &yard.sandbox, args);
        act(&["commit", "-q", "--allow-empty", "-m", "Fine", "-m", "A: b"]).succeeds();
        let text = yard.message(&yard.sandbox);
        assert!(text.contains("Theirs: yes") && text.contains("Agent: ") == (actor == TOAST), "{text}");
        assert!(act(&["commit", "-q", "--allow-empty", "-m", "swear"]).code != 0);
        assert!(act(&["branch", "taboo"]).code != 0);
        act(&["branch", "fine"]).succeeds();
        act(&["branch", "-d", "fine"]).succeeds();
        act(&["push", "-q", "-f", "origin", "HEAD:refs/heads/fine"]).succeeds();
        let seen = std::fs::read_to_string(yard.sandbox.join("pushed")).unwrap();
        assert!(seen.starts_with("origin ") && seen.contains("HEAD ") && seen.contains(" refs/heads/fine "), "{seen}");
        assert!(act(&["push", "-q", "origin", "HEAD:refs/heads/no-way"]).code != 0);
        std::fs::remove_file(yard.sandbox.join("pushed")).unwrap();
    }
    yard.town.gt("config set git.hooks false --rig widgets").succeeds();
    assert!(std::fs::read_to_string(yard.hook("pre-push")).unwrap() == before && !yard.hook("pre-push.local").exists());
    yard.town.as_agent(TOAST).gt("config set git.hooks false").fails_with(4);
}

#[test]
fn without_gt_or_its_list_nothing_is_in_the_way() {
    let yard = Yard::new();
    let bare = |args: &[&str]| {
        let mut command = yard.town.command("git", &yard.sandbox);
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("GT_ROOT", "/nowhere").env("GT_ROLE", TOAST);
        Outcome::of(format!("git {}", args.join(" ")), command.args(args).output().unwrap()).succeeds().code
    };
    bare(&["commit", "-q", "--allow-empty", "-m", "Alone"]);
    assert!(yard.message(&yard.sandbox).ends_with(&format!("Agent: {TOAST}")));
    std::fs::remove_file(yard.repo.join("gt/targets")).unwrap();
    bare(&["update-ref", "refs/heads/main", "HEAD"]);
    let many: Vec<String> = (0..100).map(|n| format!("create refs/tags/t{n} HEAD\n")).collect();
    std::fs::write(yard.town.base().join("input"), many.concat()).unwrap();
    yard.town.gt("maintain").succeeds();
    let mut command = yard.town.command("git", &yard.sandbox);
    command.env("GT_ROLE", TOAST).stdin(std::fs::File::open(yard.town.base().join("input")).unwrap());
    Outcome::of("100 tags".into(), command.args(["update-ref", "--stdin"]).output().unwrap()).succeeds();
    assert_eq!(yard.town.git(&yard.repo, &["tag"]).lines().count(), 100);
}

#[test]
fn a_rig_of_an_older_version_gets_them_and_hooks_from_elsewhere_are_told() {
    let yard = Yard::new();
    let names = ["post-commit", "prepare-commit-msg", "pre-push", "pre-receive", "reference-transaction"];
    let remove = || names.iter().for_each(|name| std::fs::remove_file(yard.hook(name)).unwrap());
    let stand =
        || names.iter().all(|name| yard.hook(name).metadata().is_ok_and(|meta| meta.permissions().mode() & 0o111 == 0o111));
    assert!(stand());
    remove();
    let bead = yard.town.bead(&yard.rig, "More");
    yard.town.gt_args(&["sling", &bead, "widgets", "--no-start"]).succeeds();
    assert!(stand());
    remove();
    std::fs::write(yard.hook("pre-push"), "#!/bin/sh\n# git hook of gt, version 0.\nexit 1\n").unwrap();
    let told = yard.town.gt("maintain --rig widgets").succeeds();
    assert!(stand() && !told.stdout.contains("hooksPath"), "{}", told.stdout);
    assert!(!std::fs::read_to_string(yard.hook("pre-push")).unwrap().contains("version 0"));
    yard.town.git(&yard.repo, &["config", "core.hooksPath", ".husky"]);
    let told = yard.town.gt("maintain --rig widgets").succeeds();
    assert!(told.stdout.contains("from .husky (core.hooksPath, local)"), "{}", told.stdout);
}

#[test]
fn hooks_whose_laying_was_killed_stand_after_the_next_and_theirs_is_kept() {
    let yard = Yard::new();
    yard.town.gt("config set git.hooks false --rig widgets").succeeds();
    yard.theirs("pre-receive", "exit 0");
    let theirs = std::fs::read_to_string(yard.hook("pre-receive")).unwrap();
    // As it is when one was killed between giving theirs its second name and writing ours.
    std::fs::hard_link(yard.hook("pre-receive"), yard.hook("pre-receive.local")).unwrap();
    yard.town.gt("config unset git.hooks --rig widgets").succeeds();
    let told = yard.town.gt("maintain --rig widgets").succeeds();
    assert!(std::fs::read_to_string(yard.hook("pre-receive")).unwrap().contains("gt hub rules"), "{}", told.stdout);
    assert_eq!(std::fs::read_to_string(yard.hook("pre-receive.local")).unwrap(), theirs);
    // Two of theirs: that one is told, and all others stand.
    std::fs::remove_file(yard.hook("pre-push")).unwrap();
    yard.theirs("pre-receive", "exit 1");
    yard.town.gt("maintain --rig widgets");
    assert!(yard.hook("pre-push").exists());
}

#[test]
fn a_push_into_a_rigs_repository_brings_branches_and_never_a_ledger_that_lost_something() {
    let yard = Yard::new();
    let clone = yard.town.base().join("clone");
    yard.town.git(&yard.town.base(), &["clone", "-q", yard.repo.to_str().unwrap(), clone.to_str().unwrap()]);
    yard.town.git(&clone, &["fetch", "-q", "origin", "refs/gt/*:refs/gt/*"]);
    let ledger = yard.town.git(&yard.repo, &["rev-parse", "refs/gt/ledger"]);
    let empty = yard.town.git(&clone, &["commit-tree", "-m", "Nothing", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"]);
    for spec in ["+refs/gt/ledger~1:refs/gt/ledger", ":refs/gt/ledger", &format!("+{empty}:refs/gt/ledger"), "HEAD:refs/gt/odd"] {
        let refused = yard.git_as("", &clone, &["push", "-q", "origin", spec]);
        assert!(refused.code != 0 && refused.stderr.contains("gt hub: "), "{spec}: {}", refused.stderr);
    }
    assert_eq!(yard.town.git(&yard.repo, &["rev-parse", "refs/gt/ledger"]), ledger);
    yard.git_as("", &clone, &["push", "-q", "origin", "HEAD:refs/heads/topic"]).succeeds();
    assert!(yard.refs().contains("refs/heads/topic"));
    yard.town.bead(&yard.rig, "Next");
}

#[test]
fn work_is_handed_in_and_lands_with_hooks_in_place() {
    let yard = Yard::new();
    yard.town.gt("config set gates.require false --rig widgets").succeeds();
    std::fs::write(yard.sandbox.join("new.txt"), "work\n").unwrap();
    yard.town.git(&yard.sandbox, &["add", "-A"]);
    yard.git_as(TOAST, &yard.sandbox, &["commit", "-q", "-m", "Work"]).succeeds();
    yard.town.as_agent(TOAST).gt("done").succeeds();
    // Even where a polecat works the queue: what gt moves is not its doing.
    yard.town.as_agent(TOAST).gt("mq run --once --rig widgets").succeeds();
    assert_eq!(yard.town.status(&yard.bead), "closed");
    let landed = yard.town.git(&yard.rig.origin, &["log", "-1", "--format=%B", "main"]);
    assert_eq!(landed.matches("Bead: ").count(), 1, "{landed}");
    assert!(landed.contains(&format!("Agent: {TOAST}")), "{landed}");
    yard.town.gt("sync").succeeds();
    yard.town.fsck();
}
