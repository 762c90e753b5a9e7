//! Backup and restore: the same town again, or nothing; and data that git alone gets out.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use gastown::ledger::{Actor, Change, Deed, Ledger, tree};
use gastown::time::Moment;

use crate::race::all_at_once;
use crate::town::{Outcome, Rig, Town, text_at};

const TOAST: &str = "widgets/polecats/toast";

fn refs(town: &Town, repo: &Path) -> String {
    let below = ["refs/heads", "refs/tags", "refs/gt"];
    town.git(repo, &[&["for-each-ref", "--format=%(objectname) %(refname)"], below.as_slice()].concat())
}

fn backup(town: &Town, name: &str) -> PathBuf {
    let file = town.base().join(name);
    town.gt_args(&["backup", file.to_str().unwrap()]).succeeds();
    file
}

fn restore(into: &Town, file: &Path, more: &[&str]) -> Outcome {
    let words = ["restore", file.to_str().unwrap(), "--into", into.root.to_str().unwrap()];
    into.from(into.base()).args(&[&words, more].concat())
}

/// What stands in `dir`, hidden or not.
fn entries(dir: &Path) -> usize {
    std::fs::read_dir(dir).map_or(0, Iterator::count)
}

fn machine(town: &Town) -> String {
    let text = std::fs::read_to_string(town.root.join(".repo.git/gt/machine.json")).unwrap();
    text_at(&serde_json::from_str(&text).unwrap(), &["/id"])
}

/// A town with a bead, a letter, a tag, and work on a polecat's hook that is committed.
fn lived_in() -> (Town, Rig, String) {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Under way");
    town.bead(&rig, "Waiting");
    town.gt("mail send mayor -s Hello -m 'How are you?'").succeeds();
    town.git(&rig.dir.join(".repo.git"), &["tag", "-m", "first", "v1", "main"]);
    town.gt(&format!("sling {bead} {TOAST} --no-start")).succeeds();
    let sandbox = town.root.join(TOAST);
    std::fs::write(sandbox.join("work.txt"), "half of it\n").unwrap();
    town.git(&sandbox, &["add", "-A"]);
    town.git(&sandbox, &["commit", "-q", "-m", "Half of it"]);
    (town, rig, bead)
}

#[test]
fn a_restored_town_is_the_same_on_a_new_machine() {
    let (town, rig, bead) = lived_in();
    let file = backup(&town, "town.bundle");
    let again = town.beside("again");
    let told = restore(&again, &file, &[]).succeeds().stdout;
    assert!(told.contains("on the machine that was backed up"), "{told}");
    assert_eq!(again.show(&bead), town.show(&bead));
    let inbox = |town: &Town| town.gt("--json --actor mayor inbox").json();
    assert_eq!(inbox(&again), inbox(&town));
    let there = again.root.join("widgets/.repo.git");
    let unlike =
        |refs: String| refs.lines().filter(|line| !line.ends_with("refs/gt/ledger")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(unlike(refs(&town, &there)), unlike(refs(&town, &rig.dir.join(".repo.git"))));
    assert_ne!(machine(&again), machine(&town));
    again.git(
        &there,
        &[
            "merge-base",
            "--is-ancestor",
            &town.git(&rig.dir.join(".repo.git"), &["rev-parse", "refs/gt/ledger"]),
            "refs/gt/ledger",
        ],
    );
    // What it mints cannot collide with what the first one mints.
    let minted = text_at(&again.gt("--json create Here --rig widgets").json(), &["/id", "/bead/id"]);
    assert!(minted.ends_with('1'), "{minted}");
    again.gt(&format!("--actor {TOAST} done")).fails_with(3);
    assert!(!again.root.join(".restoring.git").exists() && !again.root.join(".restoring").exists());
    // Nothing that came runs here before somebody trusts it.
    again.gt(&format!("sling {minted} widgets")).fails_with(4);
    town.fsck();
}

#[test]
fn who_takes_over_goes_on_where_the_lost_machine_was() {
    let (town, rig, bead) = lived_in();
    let file = backup(&town, "town.bundle");
    let again = town.beside("again");
    let told = restore(&again, &file, &["--take-over"]).succeeds().stdout;
    assert!(told.contains(&format!("{TOAST} has {bead} on its hook")), "{told}");
    let sandbox = again.root.join(TOAST);
    assert_eq!(std::fs::read_to_string(sandbox.join("work.txt")).unwrap(), "half of it\n");
    again.as_agent(TOAST).gt("done").succeeds();
    assert_eq!(again.status(&bead), "in_review");
    again.gt("config set gates.test.command 'sh check.sh' --rig widgets").succeeds();
    again.gt("mq run --once --rig widgets").succeeds();
    assert_eq!(again.status(&bead), "closed");
    assert!(again.git(&rig.origin, &["ls-tree", "--name-only", "main"]).contains("work.txt"));
    // The home of every ledger is here too, and nobody waits for the machine that is gone.
    let told = again.gt("--json flatten --force").json();
    let outcomes: Vec<&str> = told.as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["flattened", "flattened"], "{told}");
    let (old, record) = (machine(&town), |id: &str| format!("refs/gt/ledger:machines/{id}.json"));
    for repo in [".repo.git", "widgets/.repo.git"] {
        let old = again.git(&again.root.join(repo), &["show", &record(&old)]);
        let old: serde_json::Value = serde_json::from_str(&old).unwrap();
        assert_eq!(old["replaced_by"], machine(&again).as_str(), "{repo}");
    }
    town.fsck();
}

#[test]
fn who_takes_over_is_told_which_sandboxes_stand() {
    let (town, rig, bead) = lived_in();
    let other = town.bead(&rig, "Its branch is gone");
    town.gt(&format!("sling {other} widgets/polecats/nux --no-start")).succeeds();
    let branch = town.git(&town.root.join("widgets/polecats/nux"), &["symbolic-ref", "HEAD"]);
    town.git(&rig.dir.join(".repo.git"), &["update-ref", "-d", &branch]);
    let file = backup(&town, "town.bundle");
    let again = town.beside("again");
    let told = restore(&again, &file, &["--take-over"]).succeeds().stdout;
    assert!(told.contains(&format!("{TOAST} has {bead} on its hook; its sandbox stands at its last commit")), "{told}");
    assert!(told.contains(&format!("widgets/polecats/nux has {other} on its hook; it has no sandbox")), "{told}");
    assert!(again.root.join(TOAST).is_dir() && !again.root.join("widgets/polecats/nux").exists());
}

#[test]
fn a_town_that_names_no_home_has_that_of_its_first_machine_or_of_who_took_its_place() {
    let (town, _, _) = lived_in();
    let ledger = Ledger::open(&town.root.join(".repo.git"), &machine(&town)).unwrap();
    let actor = Actor { name: "overseer".into(), email: "a@example.org".into(), model: None };
    let deed = Deed { actor: &actor, op: "test", subject: "as an older gt founded it".into(), now: Moment::from_millis(0) };
    let forget = |change: &mut Change<'_>| {
        let mut scope = change.before().object(tree::SCOPE)?.unwrap();
        assert_eq!(scope.remove("home").unwrap(), machine(&town).as_str());
        change.put_object(tree::SCOPE, scope)
    };
    ledger.transact(&deed, forget).unwrap();
    let outcome = |town: &Town| text_at(&town.gt("--json flatten --dry-run --force").json()[0], &["/outcome"]);
    assert_eq!(outcome(&town), "would-flatten");
    let file = backup(&town, "town.bundle");
    let (beside, instead) = (town.beside("beside"), town.beside("instead"));
    restore(&beside, &file, &[]).succeeds();
    restore(&instead, &file, &["--take-over"]).succeeds();
    assert_eq!((outcome(&beside), outcome(&instead)), ("elsewhere".to_owned(), "would-flatten".to_owned()));
}

#[test]
fn git_alone_gets_everything_out() {
    let (town, rig, bead) = lived_in();
    let file = backup(&town, "town.bundle");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o077 & !0o044, 0, "{mode:o}");
    let out = town.base().join("out.git");
    town.git(&town.base(), &["clone", "-q", "--mirror", file.to_str().unwrap(), out.to_str().unwrap()]);
    let show = |what: &str| town.git(&out, &["show", what]);
    let suffix = bead.trim_start_matches("wi-");
    let path = format!("beads/{}/{}/{bead}.json", &suffix[..1], &suffix[1..2]);
    assert!(show(&format!("refs/scopes/rigs/widgets/gt/ledger:{path}")).contains("Under way"));
    assert!(show("refs/backup/manifest:manifest.json").contains("rigs/widgets"));
    assert!(show("refs/scopes/town/gt/ledger:ledger.json").contains("ours"));
    let fetched = town.base().join("code");
    town.git(&town.base(), &["init", "-q", "-b", "main", fetched.to_str().unwrap()]);
    let branches = "refs/scopes/rigs/widgets/heads/*:refs/heads/from/*";
    town.git(&fetched, &["fetch", "-q", file.to_str().unwrap(), branches]);
    let main = town.git(&rig.dir.join(".repo.git"), &["rev-parse", "main"]);
    assert_eq!(town.git(&fetched, &["rev-parse", "from/main"]), main);
}

#[test]
fn what_is_damaged_or_no_backup_is_refused_and_leaves_nothing() {
    let (town, _, _) = lived_in();
    let file = backup(&town, "town.bundle");
    let whole = std::fs::read(&file).unwrap();
    let again = town.beside("again");
    let header = whole.windows(2).position(|two| two == b"\n\n").unwrap();
    let at = |text: &[u8]| whole.windows(text.len()).position(|part| part == text).unwrap() + text.len() - 1;
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("empty".into(), Vec::new()),
        ("foreign".into(), b"PK\x03\x04 and so on".to_vec()),
        ("head only".into(), whole[..header + 2].to_vec()),
        ("half".into(), whole[..whole.len() / 2].to_vec()),
        ("one byte less".into(), whole[..whole.len() - 1].to_vec()),
    ];
    let flips =
        [6, 20, at(b"rigs/widgets/heads/main"), at(b"scopes/town/gt/ledger"), header + 40, whole.len() / 2, whole.len() - 1];
    for place in flips {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        cases.push((format!("flipped at {place}"), bytes));
    }
    for (what, bytes) in cases {
        std::fs::write(&file, bytes).unwrap();
        let told = restore(&again, &file, &[]);
        assert!(matches!(told.code, 4 | 70), "{what}: {} {}{}", told.code, told.stdout, told.stderr);
        assert!(told.stderr.contains("town.bundle"), "{what}: {}", told.stderr);
        assert!(!again.root.exists(), "{what}");
    }
    town.git(&town.base(), &["-C", "widgets-work", "bundle", "create", "-q", file.to_str().unwrap(), "--all"]);
    assert!(restore(&again, &file, &[]).fails_with(4).stderr.contains("no backup of a town"));
    restore(&again, &town.base().join("nowhere"), &[]).fails_with(3);
    restore(&again, &town.base(), &[]).fails_with(4);
    assert!(!again.root.exists());
}

#[test]
fn nothing_is_overwritten_that_was_not_meant() {
    let (town, rig) = Town::with_rig();
    let file = backup(&town, "town.bundle");
    let before = std::fs::read(&file).unwrap();
    town.bead(&rig, "Later");
    let words = ["backup", file.to_str().unwrap()];
    assert!(town.gt_args(&words).fails_with(4).stderr.contains("--force"));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    // What a dead one left goes when it is old; until then it may be another host's, whose processes nobody here knows.
    let left_over = town.base().join("town.bundle.tmp-4194305");
    std::fs::create_dir(&left_over).unwrap();
    let again = [words[0], words[1], "--force"];
    town.gt_args(&again).succeeds();
    assert_ne!(std::fs::read(&file).unwrap(), before);
    assert!(left_over.exists());
    town.here().var("GT_NOW", "2999-01-01T00:00:00Z").args(&again).succeeds();
    assert!(!left_over.exists());
    town.gt_args(&["backup", town.root.to_str().unwrap()]).fails_with(4);
    town.gt("backup /nowhere/at/all.bundle").fails_with(3);
    let again = town.beside("again");
    std::fs::create_dir(&again.root).unwrap();
    std::fs::write(again.root.join("mine.txt"), "mine\n").unwrap();
    assert!(restore(&again, &file, &[]).fails_with(4).stderr.contains("mine.txt"));
    assert_eq!(entries(&again.root), 1);
    restore(&town, &file, &[]).fails_with(4);
    restore(&town.beside("gt/widgets/inner"), &file, &[]).fails_with(4);
    std::fs::write(rig.dir.join(".repo.git/refs/heads/damaged"), "").unwrap();
    assert!(town.gt("backup other.bundle").fails_with(70).stderr.contains("refs/heads/damaged"));
    assert!(!town.root.join("other.bundle").exists());
}

#[test]
fn what_an_earlier_process_of_the_same_number_left_is_in_nobodys_way() {
    let (town, _) = Town::with_rig();
    let file = town.base().join("town.bundle");
    // Each shell makes the left-overs of the process that it becomes.
    let script = "mkdir -p ../town.bundle.tmp-$$/x .repo.git/gt/backup.tmp-$$/x; exec gt backup ../town.bundle --force";
    for _ in 0..2 {
        let output = town.command("sh", &town.root).args(["-c", script]).output().unwrap();
        Outcome::of("a backup".into(), output).succeeds();
    }
    restore(&town.beside("again"), &file, &[]).succeeds();
}

#[test]
fn of_many_that_restore_to_one_directory_one_does_and_its_town_stands() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Kept");
    let file = backup(&town, "town.bundle");
    for round in 0..2 {
        let again = town.beside(&format!("again-{round}"));
        let words = ["restore", file.to_str().unwrap(), "--into", again.root.to_str().unwrap()];
        let commands = (0..8).map(|n| {
            // They come while the first is at it, and as it ends.
            let mut late = again.from(again.base()).command(&words);
            let mut command = again.command("sh", &again.base());
            command.args(["-c", &format!("sleep 0.{:02}; exec \"$@\"", n * 7), "gt"]).arg(late.get_program());
            command.args(late.get_args());
            late.env_clear();
            command
        });
        let codes: Vec<i32> = all_at_once(commands.collect()).iter().map(|outcome| outcome.code).collect();
        assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
        assert!(codes.iter().all(|code| [0, 4, 5].contains(code)), "{codes:?}");
        assert_eq!(again.show(&bead)["title"], "Kept");
        assert!(!again.root.join(".restoring").exists());
    }
}

#[test]
fn a_backup_for_which_there_is_no_room_leaves_nothing_and_says_so() {
    let (town, rig) = Town::with_rig();
    let noise: String = (0..40_000).map(|_| char::from(fastrand::u8(b'a'..=b'z'))).collect();
    town.gt_args(&["create", "Long", "-d", &noise, "--rig", &rig.name]).succeeds();
    let dir = town.base().join("disk");
    std::fs::create_dir(&dir).unwrap();
    // A limit on the size of files is met in the place where a full disk is.
    let script = "ulimit -f 16; trap '' XFSZ; exec gt backup ../disk/town.bundle";
    let output = town.command("sh", &town.root).args(["-c", script]).output().unwrap();
    let outcome = Outcome::of("a backup".into(), output);
    assert!(outcome.code > 0 && outcome.stderr.contains("disk/town.bundle"), "{} {}", outcome.code, outcome.stderr);
    assert_eq!(entries(&dir), 0);
    let private = std::fs::read_dir(town.root.join(".repo.git/gt")).unwrap().filter_map(Result::ok);
    assert!(!private.into_iter().any(|entry| entry.file_name().to_string_lossy().contains(".tmp-")));
}

#[test]
fn a_backup_beside_writers_is_of_one_moment() {
    let (town, rig) = Town::with_rig();
    let script =
        "set -e; for n in 1 2 3 4 5 6 7 8; do gt create \"Bead $W.$n\" --rig widgets -q; gt mail send mayor -s $n -m hi; done";
    let writer = |n: u32| {
        let mut command = town.command("sh", &town.root);
        command.args(["-c", script]).env("W", n.to_string()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let writers: Vec<_> = (0..3).map(writer).collect();
    let files: Vec<PathBuf> = (0..3).map(|n| backup(&town, &format!("{n}.bundle"))).collect();
    for writer in writers {
        Outcome::of("a writer".into(), writer.wait_with_output().unwrap()).succeeds();
    }
    for (n, file) in files.iter().enumerate() {
        let again = town.beside(&format!("again-{n}"));
        restore(&again, file, &[]).succeeds();
        again.gt("list --rig widgets").succeeds();
        let tip = again.git(&again.root.join("widgets/.repo.git"), &["rev-parse", "refs/gt/ledger~1"]);
        town.git(&rig.dir.join(".repo.git"), &["merge-base", "--is-ancestor", &tip, "refs/gt/ledger"]);
    }
    town.fsck();
}
