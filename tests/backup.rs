//! Backup and restore: the same town again, or nothing; and data that git alone gets out.

use std::path::{Path, PathBuf};
use std::process::Stdio;

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
    town.fsck();
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
    // What a dead one left goes.
    std::fs::create_dir(town.base().join("town.bundle.tmp-4194305")).unwrap();
    town.gt_args(&[words[0], words[1], "--force"]).succeeds();
    assert_ne!(std::fs::read(&file).unwrap(), before);
    assert!(!town.base().join("town.bundle.tmp-4194305").exists());
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
