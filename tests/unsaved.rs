//! More than fifty ways to leave work unsaved, each before a sandbox is used again, removed, or its session stopped: every
//! byte is found again, under a salvage ref, on a branch, or set aside where the salvage says.

mod ways;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::town::{Rig, Town};
use ways::{WAYS, Work};

/// What git's objects at and behind the refs that `words` name hold.
fn objects(town: &Town, repo: &Path, words: &[&str]) -> Vec<u8> {
    let run = |args: &[&str], input: Vec<u8>| {
        let mut command = town.command("git", repo);
        let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let feeding = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
        let output = child.wait_with_output().unwrap();
        feeding.join().unwrap().unwrap();
        assert!(output.status.success(), "git {args:?}");
        output.stdout
    };
    let listed = run(&[&["rev-list", "--objects"], words].concat(), Vec::new());
    let ids: Vec<u8> =
        listed.split(|byte| *byte == b'\n').flat_map(|line| [&line[..line.len().min(40)], b"\n"].concat()).collect();
    run(&["cat-file", "--batch", "--buffer"], ids)
}

/// The first megabyte of each file below `dir`, and where links lead.
fn files(dir: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in walkdir::WalkDir::new(dir).into_iter().filter_map(Result::ok) {
        if entry.file_type().is_symlink() {
            all.extend(std::os::unix::ffi::OsStrExt::as_bytes(std::fs::read_link(entry.path()).unwrap().as_os_str()));
        } else if entry.file_type().is_file() {
            let file = std::fs::File::open(entry.path()).unwrap();
            std::io::Read::read_to_end(&mut std::io::Read::take(file, 1 << 20), &mut all).unwrap();
        }
        all.push(b'\n');
    }
    all
}

struct Mess {
    town: Town,
    rig: Rig,
    /// Way, bead, sandbox, and what must be found again.
    made: Vec<(&'static str, String, PathBuf, Vec<Vec<u8>>)>,
}

/// A sandbox for each way, left in it.
fn mess(is_started: bool) -> Mess {
    let (town, rig) = Town::with_rig();
    for line in ["polecats.max 200", "polecats.working_max 200"] {
        town.gt(&format!("config set {line}")).succeeds();
    }
    town.gt_args(&["config", "set", "agent.command", "exec sleep 600", "--rig", "widgets"]).succeeds();
    let mut made = Vec::new();
    for (n, (way, leave)) in WAYS.iter().enumerate() {
        let bead = town.bead(&rig, way);
        let target = format!("widgets/polecats/w{n}");
        let mut words = vec!["sling", &bead, &target, "--no-convoy"];
        if !is_started {
            words.push("--no-start");
        }
        town.gt_args(&words).succeeds();
        let work = Work::new(&town, rig.dir.join(format!("polecats/w{n}")), n);
        leave(&work);
        made.push((*way, bead, work.dir.clone(), work.expected.into_inner()));
    }
    Mess { town, rig, made }
}

impl Mess {
    /// Sees that everything is in what is kept, or in `beside` of its sandbox.
    fn check(&self, kept: &[u8], beside: impl Fn(&Path) -> Vec<u8>) {
        let lost: Vec<String> = self
            .made
            .iter()
            .filter_map(|(way, _, dir, expected)| {
                let beside = beside(dir);
                let finds = |all: &[u8], what: &[u8]| memchr::memmem::find(all, what).is_some();
                let lost: Vec<_> = expected.iter().filter(|what| !finds(kept, what) && !finds(&beside, what)).collect();
                let first = lost.first().map(|what| String::from_utf8_lossy(&what[..what.len().min(60)]).into_owned());
                first.map(|first| format!("{way}: {} of {}, such as {first:?}", lost.len(), expected.len()))
            })
            .collect();
        assert!(lost.is_empty(), "lost:\n  {}\n", lost.join("\n  "));
    }

    /// What refs and set-aside files keep.
    fn kept(&self) -> Vec<u8> {
        let repo = self.rig.dir.join(".repo.git");
        let mut words = vec!["--glob=refs/gt/salvage", "--branches"];
        if repo.join("refs/stash").exists() {
            words.push("refs/stash");
        }
        let mut kept = objects(&self.town, &repo, &words);
        kept.extend(files(&repo.join("gt/set-aside")));
        kept
    }
}

#[test]
fn every_byte_is_found_again_when_a_sandbox_is_used_again() {
    let mess = mess(false);
    for (n, (way, bead, dir, _)) in mess.made.iter().enumerate() {
        mess.town.gt_args(&["unsling", bead]).succeeds();
        let next = mess.town.bead(&mess.rig, &format!("After {way}"));
        mess.town.gt_args(&["sling", &next, &format!("widgets/polecats/w{n}"), "--no-start", "--no-convoy"]).succeeds();
        assert_eq!(mess.town.git(dir, &["status", "--porcelain"]), "", "{way}");
    }
    mess.check(&mess.kept(), |_| Vec::new());
    mess.town.fsck();
}

#[test]
fn every_byte_is_found_again_when_a_sandbox_is_removed() {
    let mess = mess(false);
    for (n, (way, _, dir, _)) in mess.made.iter().enumerate() {
        mess.town.gt_args(&["polecat", "nuke", &format!("widgets/polecats/w{n}"), "--force"]).succeeds();
        assert!(dir.symlink_metadata().is_err(), "{way}");
    }
    mess.check(&mess.kept(), |_| Vec::new());
    mess.town.fsck();
}

#[test]
fn every_byte_stays_when_a_session_is_stopped() {
    let mess = mess(true);
    for n in 0..mess.made.len() {
        mess.town.gt_args(&["session", "stop", &format!("widgets/polecats/w{n}")]).succeeds();
    }
    let repo = mess.rig.dir.join(".repo.git");
    let mut command = mess.town.command("git", &repo);
    let all = command.args(["cat-file", "--batch", "--batch-all-objects"]).output().unwrap().stdout;
    mess.check(&all, files);
}
