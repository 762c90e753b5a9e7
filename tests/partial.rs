//! A rig that is a partial clone with sparse sandboxes, through the whole of its life; its remote gone midway; its
//! backup; a second machine that sees another part of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::town::{Outcome, Town, text_at};

/// Where a maintenance of a partial clone may be killed.
pub const STEPS: &[&str] = &["maintain.gathered"];

const TOAST: &str = "widgets/polecats/toast";

/// A project with some directories, whose repository gives partial clones.
fn project(town: &Town) -> PathBuf {
    let origin = town.project("widgets");
    town.git(&origin, &["config", "uploadpack.allowFilter", "true"]);
    for n in 0..8 {
        upstream(town, &format!("docs/guide{n}.txt"), &format!("guide {n}\n").repeat(30));
        upstream(town, &format!("assets/large{n}.bin"), &format!("{n}").repeat(3000));
    }
    origin
}

/// Somebody else's commit in the project.
fn upstream(town: &Town, path: &str, text: &str) {
    let work = town.base().join("widgets-work");
    town.git(&work, &["pull", "-q", "--ff-only", "../widgets.git", "main"]);
    let file = work.join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
    push(town, path);
}

fn push(town: &Town, subject: &str) {
    let work = town.base().join("widgets-work");
    town.git(&work, &["add", "-A"]);
    town.git(&work, &["commit", "-q", "-m", subject]);
    town.git(&work, &["push", "-q", "../widgets.git", "HEAD:main"]);
}

fn add(town: &Town, origin: &Path, more: &[&str]) -> Outcome {
    let words = ["--json", "rig", "add", "widgets", origin.to_str().unwrap(), "--land", "origin", "--sync", "none"];
    let added = town.gt_args(&[&words, more].concat());
    let repo = town.root.join("widgets/.repo.git");
    if repo.is_dir() {
        town.git(&repo, &["config", "gt.durability", "none"]);
        town.gt_args(&["config", "set", "agent.command", &town.agent_command(), "--rig", "widgets"]).succeeds();
    }
    added
}

/// A town with the rig.
fn with_rig(more: &[&str]) -> (Town, PathBuf, PathBuf) {
    let town = Town::new();
    let origin = project(&town);
    add(&town, &origin, more).succeeds();
    let repo = town.root.join("widgets/.repo.git");
    (town, origin, repo)
}

fn bead(town: &Town, title: &str) -> String {
    text_at(&town.gt_args(&["--json", "bead", "create", title, "--rig", "widgets"]).json(), &["/id"])
}

/// What the rig's refs lead to and is not there.
fn missing(town: &Town, repo: &Path) -> BTreeSet<String> {
    let listed = town.git(repo, &["rev-list", "--objects", "--all", "--missing=print"]);
    listed.lines().filter_map(|line| line.strip_prefix('?')).map(str::to_owned).collect()
}

/// The names in a checkout.
fn shown(dir: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != ".git").collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const PART: [&str; 4] = ["--filter", "blob:none", "--sparse", "src"];
const TOP: [&str; 4] = ["READ", "README.md", "check.sh", "src"];

#[test]
fn a_partial_and_sparse_rig_lives_as_any_other() {
    let (town, origin, repo) = with_rig(&PART);
    assert_eq!(missing(&town, &repo).len(), 16, "{:?}", missing(&town, &repo));
    for reader in ["mayor/rig", "refinery/rig"] {
        assert_eq!(shown(&town.root.join("widgets").join(reader)), set(&TOP));
    }
    let listed = town.gt("--json rig list").json();
    assert_eq!((&listed[0]["filter"], &listed[0]["shows"]), (&json!("blob:none"), &json!(["src"])));
    town.gt("config set gates.whole.command 'test -f docs/guide0.txt && test -f assets/large7.bin && sh check.sh' --rig widgets")
        .succeeds();

    // A scripted agent works in what it sees and beside it; meanwhile the file it edits gets another name.
    let work = bead(&town, "Count further");
    town.plan(&work, 1, "append src/numbers.txt four\nsh mkdir -p docs && echo new > docs/new.txt && git add -A --sparse\nsh git commit -q -m 'Count further'\ngt done\n");
    town.gt(&format!("sling {work} {TOAST}")).succeeds();
    town.until("the work is handed in", || town.status(&work) == "in_review");
    town.until("the session has ended", || !town.has_session(TOAST));
    let there = town.base().join("widgets-work");
    town.git(&there, &["mv", "src/numbers.txt", "src/count.txt"]);
    std::fs::write(there.join("src/count.txt"), "zero\none\ntwo\nthree\n").unwrap();
    push(&town, "Rename the numbers");
    town.gt("mq oracle --rig widgets").succeeds();
    town.gt("mq run --once --rig widgets").succeeds();
    assert_eq!(town.status(&work), "closed");
    assert_eq!(town.git(&origin, &["show", "main:src/count.txt"]), "zero\none\ntwo\nthree\nfour");
    assert_eq!(town.git(&origin, &["show", "main:docs/new.txt"]), "new");

    // The second assignment stands on a target that was fetched later, and sees what the first did.
    upstream(&town, "assets/large9.bin", &"9".repeat(3000));
    upstream(&town, "src/more.txt", "more\n");
    let before = missing(&town, &repo).len();
    town.git(&repo, &["fetch", "-q", "origin", "main:main"]);
    assert_eq!(missing(&town, &repo).len(), before + 2, "git's own fetch knows nothing of the filter");
    let second = bead(&town, "Second");
    town.gt(&format!("sling {second} {TOAST} --no-start")).succeeds();
    let sandbox = town.root.join(TOAST);
    let primed = town.as_agent(TOAST).gt("prime").succeeds().stdout;
    assert!(primed.contains("Your sandbox shows only src and files beside them: git sparse-checkout add"), "{primed}");
    assert_eq!(shown(&sandbox), set(&TOP));
    assert_eq!(shown(&sandbox.join("src")), set(&["count.txt", "more.txt"]));
    assert_eq!(town.git(&sandbox, &["status", "--porcelain"]), "");
    assert_eq!(town.git(&sandbox, &["sparse-checkout", "list"]), "src");

    // What is not committed is no hindrance to be lost, in sight or out of it.
    std::fs::create_dir_all(sandbox.join("docs")).unwrap();
    std::fs::write(sandbox.join("docs/draft.txt"), "draft\n").unwrap();
    std::fs::write(sandbox.join("src/more.txt"), "changed\n").unwrap();
    let refused = town.as_agent(TOAST).gt("done").fails_with(4);
    assert!(refused.stderr.contains("uncommitted changes: src/more.txt, docs/"), "{}", refused.stderr);
    let released = town.as_agent(TOAST).gt("--json done --status released -m later").json();
    let salvage = text_at(&released, &["/salvage"]);
    assert_eq!(town.git(&repo, &["show", &format!("{salvage}:docs/draft.txt")]), "draft");
    let changed = town.git(&repo, &["diff", "--name-status", "main", &salvage]);
    assert_eq!(changed, "A\tdocs/draft.txt\nM\tsrc/more.txt", "what is not shown was taken for removed");
    town.gt(&format!("sling {second} {TOAST} --no-start")).succeeds();
    assert!(!sandbox.join("docs").join("draft.txt").exists());
    std::fs::create_dir_all(sandbox.join("docs")).unwrap();
    std::fs::write(sandbox.join("docs/draft.txt"), "draft again\n").unwrap();
    town.as_agent(TOAST).gt("done --commit").succeeds();
    town.gt("mq run --once --rig widgets").succeeds();
    assert_eq!(town.git(&origin, &["show", "main:docs/draft.txt"]), "draft again");

    for line in ["maintain --rig widgets", "maintain --full --rig widgets"] {
        town.gt(line).succeeds();
        town.fsck();
    }
    town.gt("polecat nuke widgets/toast --force").succeeds();
    town.git(&repo, &["fetch", "-q", "origin"]);
    town.fsck();
}

#[test]
fn a_remote_that_is_gone_midway_holds_up_what_needs_it_and_nothing_is_lost() {
    let (town, origin, repo) = with_rig(&PART);
    town.gt("config set gates.whole.command 'test -f docs/guide0.txt' --rig widgets").succeeds();
    let work = bead(&town, "Work");
    town.gt(&format!("sling {work} {TOAST} --no-start")).succeeds();
    let sandbox = town.root.join(TOAST);
    std::fs::write(sandbox.join("src/new.txt"), "new\n").unwrap();
    // The target moves on, here too, by a commit of which nothing is in sight.
    upstream(&town, "src/later.txt", "later\n");
    town.git(&repo, &["fetch", "-q", "origin", "main:main"]);
    let away = origin.with_extension("away");
    std::fs::rename(&origin, &away).unwrap();
    let next = bead(&town, "Next");
    let refused = town.gt(&format!("sling {next} widgets/polecats/crumb --no-start")).fails_with(6);
    assert!(refused.stderr.contains("a file that this partial clone left out could not be had"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: try again when the remote can be reached"), "{}", refused.stderr);
    assert_eq!(town.status(&next), "open");
    assert!(!town.root.join("widgets/polecats/crumb").exists());
    let done = town.as_agent(TOAST).gt("--json done --commit").json();
    assert!(done["warning"].as_str().is_some_and(|warning| warning.contains("not pushed")), "{done}");
    // What is to be judged cannot be checked out; that speaks against nobody's work.
    let failed = town.gt("mq run --once --rig widgets").ends_with(6);
    assert!(failed.stderr.contains("that this partial clone left out could not be had"), "{}{}", failed.stdout, failed.stderr);
    let queue = town.gt("--json mq list --rig widgets").json();
    assert_eq!(queue[0]["state"], "queued", "{queue}");
    // What is not committed is saved without any remote.
    std::fs::write(sandbox.join("src/draft.txt"), "draft\n").unwrap();
    let nuked = town.gt("--json polecat nuke widgets/toast").json();
    assert_eq!(town.git(&repo, &["show", &format!("{}:src/draft.txt", text_at(&nuked, &["/salvage"]))]), "draft");
    let backup = town.gt("backup town.bundle").fails_with(6);
    assert!(backup.stderr.contains("left out") && !town.root.join("town.bundle").exists(), "{}", backup.stderr);

    std::fs::rename(&away, &origin).unwrap();
    town.gt(&format!("sling {next} widgets/polecats/crumb --no-start")).succeeds();
    town.gt("mq run --once --rig widgets").succeeds();
    assert_eq!(town.status(&work), "closed");
    town.fsck();
}

#[test]
fn a_backup_of_a_partial_clone_is_whole_and_leaves_the_clone_as_it_is() {
    let (town, origin, repo) = with_rig(&PART);
    let work = bead(&town, "Work");
    town.gt(&format!("sling {work} {TOAST} --no-start")).succeeds();
    let (before, packs) = (missing(&town, &repo), std::fs::read_dir(repo.join("objects/pack")).unwrap().count());
    let file = town.base().join("town.bundle");
    town.gt_args(&["backup", file.to_str().unwrap()]).succeeds();
    assert_eq!((missing(&town, &repo), std::fs::read_dir(repo.join("objects/pack")).unwrap().count()), (before, packs));
    std::fs::rename(&origin, origin.with_extension("away")).unwrap();
    let again = town.beside("again");
    again
        .from(again.base())
        .args(&["restore", file.to_str().unwrap(), "--into", again.root.to_str().unwrap(), "--take-over"])
        .succeeds();
    let restored = again.root.join("widgets/.repo.git");
    assert!(missing(&again, &restored).is_empty());
    assert_eq!(again.git(&restored, &["show", "main:assets/large3.bin"]), "3".repeat(3000));
    assert_eq!(shown(&again.root.join(TOAST)), set(&TOP), "the part that is shown is the rig's, on every machine");
    again.git(&restored, &["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn a_maintenance_that_is_killed_between_the_new_packs_and_the_old_ones_loses_no_mark() {
    let (town, _, repo) = with_rig(&PART);
    let packs = || std::fs::read_dir(repo.join("objects/pack")).unwrap().count();
    for n in 0..8 {
        town.git(&repo, &["cat-file", "blob", &format!("main:assets/large{n}.bin")]);
    }
    let (before, many) = (missing(&town, &repo), packs());
    let killed = town.here().var("GT_CRASH_AT", "maintain.gathered:1").gt("maintain --rig widgets");
    assert_eq!(killed.code, -1, "{}{}", killed.stdout, killed.stderr);
    for _ in 0..2 {
        assert_eq!(missing(&town, &repo), before);
        town.fsck();
        town.gt("maintain --rig widgets").succeeds();
    }
    assert!(packs() < many / 2, "{many} files of packs, then {}", packs());
}

#[test]
fn another_machine_shows_the_same_part_unless_it_is_told_otherwise() {
    let (one, origin, _) = with_rig(&["--sparse", "src", "--sparse", "docs/"]);
    let hubs = ["town.hub", "rig.hub"].map(|name| {
        one.git(&one.base(), &["init", "-q", "--bare", name]);
        one.base().join(name).display().to_string()
    });
    one.gt_args(&["remote", "add", "origin", &hubs[0]]).succeeds();
    one.gt_args(&["remote", "add", "origin", &hubs[1], "--rig", "widgets"]).succeeds();
    one.gt("sync").succeeds();
    let join = |name: &str, more: &[&str]| -> (Town, Value) {
        let town = one.joined(name, Path::new(&hubs[0]));
        let words = ["--json", "rig", "add", "widgets", origin.to_str().unwrap(), "--sync", &hubs[1]];
        let joined = town.gt_args(&[&words, more].concat()).json();
        (town, joined)
    };
    let reader = |town: &Town| shown(&town.root.join("widgets/mayor/rig"));
    let (two, joined) = join("two", &["--filter", "blob:limit=1k"]);
    assert_eq!(
        (&joined["outcome"], &joined["shows"], &joined["filter"]),
        (&json!("joined"), &json!(["docs", "src"]), &json!("blob:limit=1024"))
    );
    assert_eq!(reader(&two), set(&["READ", "README.md", "check.sh", "docs", "src"]));
    let (three, joined) = join("three", &["--sparse", "assets"]);
    assert_eq!((&joined["shows"], &joined["filter"]), (&json!(["assets"]), &Value::Null));
    assert_eq!(reader(&three), set(&["READ", "README.md", "assets", "check.sh"]));
    let (four, joined) = join("four", &["--sparse", "."]);
    assert_eq!(joined["shows"], Value::Null);
    assert_eq!(reader(&four), set(&["READ", "README.md", "assets", "check.sh", "docs", "src"]));
    assert_eq!(one.gt("--json rig list").json()[0]["sparse"], json!(["docs", "src"]));
    // Told later on, a machine shows it with the next assignment.
    two.git(&two.root.join("widgets/.repo.git"), &["config", "gt.sparse", "assets"]);
    let work = bead(&two, "Work");
    two.gt(&format!("sling {work} widgets --no-start")).succeeds();
    let agent = text_at(&two.show(&work), &["/assignee"]);
    assert_eq!(shown(&two.root.join(agent)), set(&["READ", "README.md", "assets", "check.sh"]));
}

#[test]
fn two_partial_clones_meet_at_the_project_and_nothing_of_their_ledger_is_left_out() {
    let (one, origin, repo) = with_rig(&PART);
    one.gt("config set gates.require false --rig widgets").succeeds();
    one.git(&one.base(), &["init", "-q", "--bare", "town.hub"]);
    let hub = one.base().join("town.hub");
    one.gt_args(&["remote", "add", "origin", hub.to_str().unwrap()]).succeeds();
    one.gt_args(&["remote", "add", "origin", origin.to_str().unwrap(), "--rig", "widgets"]).succeeds();
    let first = bead(&one, "First");
    one.gt("sync").succeeds();
    let two = one.joined("two", &hub);
    two.gt_args(&["rig", "add", "widgets", origin.to_str().unwrap(), "--filter", "blob:none"]).succeeds();
    // It only moves a file that its sandbox does not show.
    two.gt(&format!("sling {first} widgets --no-start")).succeeds();
    let agent = text_at(&two.show(&first), &["/assignee"]);
    let sandbox = two.root.join(&agent);
    two.git(&sandbox, &["mv", "--sparse", "docs/guide3.txt", "docs/moved.txt"]);
    std::fs::write(sandbox.join("src/numbers.txt"), "one\ntwo\nthree\nfour\n").unwrap();
    two.git(&sandbox, &["commit", "-q", "-a", "-m", "Move a guide"]);
    two.as_agent(&agent).gt("done").succeeds();
    for town in [&two, &one, &one, &two] {
        town.gt("sync").succeeds();
    }
    one.gt("mq run --once --rig widgets").succeeds();
    assert_eq!(one.status(&first), "closed");
    assert_eq!(one.git(&origin, &["show", "main:docs/moved.txt"]), "guide 3\n".repeat(30).trim_end());
    for town in [&one, &two] {
        town.gt("sync").succeeds();
        let repo = town.root.join("widgets/.repo.git");
        let ledger = town.git(&repo, &["rev-list", "--objects", "--missing=print", "refs/gt/ledger"]);
        assert!(!ledger.contains('?'), "a record was left out");
    }
    assert!(!missing(&one, &repo).is_empty());
    assert_eq!(two.status(&first), "closed");
    one.fsck();
}

#[test]
fn what_can_be_no_part_of_the_project_is_refused_and_nothing_is_left() {
    let town = Town::new();
    let origin = project(&town);
    for (more, code, why) in [
        (&["--filter", "tree:0"][..], 2, "is no filter that a rig can have"),
        (&["--filter", "blob:limit=x"], 2, "blob:limit=SIZE"),
        (&["--sparse", "../out"], 2, "'..' leads out of it"),
        (&["--sparse", "/etc"], 2, "it starts at the root of the disk"),
        (&["--sparse", "a\u{1b}b"], 2, "it has a control character"),
        (&["--sparse", ".", "--sparse", "src"], 2, "the whole project"),
        (&["--sparse", "src", "--sparse", "nowhere"], 4, "the project has no directory 'nowhere'"),
        (&["--sparse", "README.md"], 4, "the project has no directory 'README.md'"),
    ] {
        let refused = add(&town, &origin, more).fails_with(code);
        let said = refused.stdout + &refused.stderr;
        assert!(said.contains(why) || why == "blob:limit=SIZE" && said.contains("blob:limit="), "{more:?}: {said}");
        assert!(!town.root.join("widgets").exists());
    }
    town.git(&origin, &["config", "uploadpack.allowFilter", "false"]);
    let refused = add(&town, &origin, &PART).fails_with(4);
    assert!((refused.stdout + &refused.stderr).contains("offers no partial clones"));
    assert!(!town.root.join("widgets").exists());
    town.git(&origin, &["config", "uploadpack.allowFilter", "true"]);
    add(&town, &origin, &PART).succeeds();
}
