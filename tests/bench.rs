//! Whole-process figures, each beside git doing the like in the same run: `cargo run --release --example bench`.
//!
//! Machines differ and are noisy, so what counts are medians of alternating pairs and their ratios. Nothing is
//! deleted until the end: ext4 creates files far slower for a minute after many were removed.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, clippy::exit, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use gastown::ledger::{Actor, Deed, Ledger};
use gastown::model::bead::{Bead, IssueType};
use gastown::model::mail::{LetterType, Urgency};
use gastown::ops::post;
use gastown::town::Town;

const BEADS: usize = 1_000;
const FILES: usize = 5_000;

/// One row of the table: ours, git's, and what the ratio or the time may be.
struct Row {
    what: String,
    ours: Vec<f64>,
    git: Vec<f64>,
    git_does: &'static str,
    bar: String,
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn timed(command: &mut Command, good: &[i32]) -> f64 {
    let start = Instant::now();
    let output = command.output().unwrap();
    let millis = start.elapsed().as_secs_f64() * 1000.0;
    let code = output.status.code().unwrap();
    assert!(good.contains(&code), "{command:?}: {code}: {}", String::from_utf8_lossy(&output.stderr));
    millis
}

struct Bench {
    dir: tempfile::TempDir,
    gt: PathBuf,
    pairs: usize,
}

impl Bench {
    fn command(&self, program: &Path, dir: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.dir.path()).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        command
    }

    fn gt(&self, args: &[&str]) -> Command {
        self.command(&self.gt, &self.town(), args)
    }

    fn git(&self, dir: &Path, args: &[&str]) -> Command {
        self.command(Path::new("git"), dir, args)
    }

    fn town(&self) -> PathBuf {
        self.dir.path().join("town")
    }

    fn rig_repo(&self) -> PathBuf {
        self.town().join("widgets/.repo.git")
    }

    fn run(command: &mut Command) {
        timed(command, &[0]);
    }

    /// A project of 5,000 files in 100 folders, a town, a rig on it, and 1,000 beads in one transaction.
    fn set_up(&self) -> Vec<String> {
        let project = self.dir.path().join("project");
        for n in 0..FILES {
            let path = project.join(format!("src/d{:02}/f{n:04}.txt", n % 100));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("file {n}\n{}\n", "some text to have a size ".repeat(40))).unwrap();
        }
        Self::run(&mut self.git(&project, &["init", "-q", "-b", "main"]));
        Self::run(&mut self.git(&project, &["add", "-A"]));
        Self::run(&mut self.git(&project, &["-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "-q", "-m", "all"]));
        std::fs::create_dir(self.town()).unwrap();
        Self::run(&mut self.gt(&["install", ".", "--owner", "a@example.org"]));
        Self::run(&mut self.gt(&["rig", "add", "widgets", project.to_str().unwrap(), "--sync", "none"]));
        let town = Town::open(&self.town(), self.town(), Some("overseer")).unwrap();
        let place = town.rig(&"widgets".parse().unwrap()).unwrap();
        let ids = fill(&town, &place.ledger);
        for n in 0..100 {
            let mailing = post::Mailing {
                to: vec!["overseer".parse().unwrap()],
                cc: Vec::new(),
                subject: format!("letter {n}"),
                body: "a few words".into(),
                letter_type: LetterType::Notification,
                priority: Urgency::Normal,
                answers: None,
            };
            post::send(&town, &mailing).unwrap();
        }
        ids
    }

    fn read_rows(&self, ids: &[String]) -> Vec<Row> {
        let mut rows = Vec::new();
        let polecat = "widgets/polecats/furiosa";
        let hook = format!("refs/gt/ledger:hooks/{}.json", polecat.replace('/', "%2F"));
        Self::run(&mut self.gt(&["sling", &ids[0], "widgets", "--no-start"]));
        let bead = &ids[BEADS / 2];
        let path = gastown::ledger::tree::bead(&bead.parse().unwrap());
        let mut measure = |what: &str, args: &[&str], spec: &str| {
            let (mut ours, mut git) = (Vec::new(), Vec::new());
            for _ in 0..self.pairs {
                ours.push(timed(&mut self.gt(args), &[0, 1]));
                git.push(timed(&mut self.git(&self.rig_repo(), &["cat-file", "-p", spec]), &[0]));
            }
            rows.push(Row { what: what.into(), ours, git, git_does: "git cat-file -p", bar: "≤ 5 ms".into() });
        };
        measure("gt show, 1,000 beads", &["show", bead], &format!("refs/gt/ledger:{path}"));
        measure("gt hook, 1,000 beads", &["--actor", polecat, "hook"], &hook);
        measure("gt mail check, 1,000 beads and 100 letters", &["mail", "check"], &hook);
        rows
    }

    fn sling_row(&self, ids: &[String]) -> Row {
        let (mut ours, mut git) = (Vec::new(), Vec::new());
        for (n, id) in ids.iter().skip(1).take((self.pairs / 2).clamp(3, 20)).enumerate() {
            let target = format!("widgets/polecats/worker{n}");
            let dest = self.dir.path().join(format!("plain{n}"));
            let branch = format!("plain{n}");
            let mut sling = || ours.push(timed(&mut self.gt(&["sling", id, &target, "--no-start"]), &[0]));
            let mut add = || {
                git.push(timed(
                    &mut self.git(&self.rig_repo(), &["worktree", "add", "-q", "-b", &branch, dest.to_str().unwrap(), "main"]),
                    &[0],
                ));
            };
            // Whoever goes second finds warmer caches, so they take turns.
            if n % 2 == 0 {
                sling();
                add();
            } else {
                add();
                sling();
            }
        }
        Row {
            what: "gt sling --no-start, new polecat, 5,000 files".into(),
            ours,
            git,
            git_does: "git worktree add",
            bar: "≤ 1.2 × git".into(),
        }
    }
}

/// Writes the beads in one transaction and tells their ids.
fn fill(town: &Town, ledger: &Ledger) -> Vec<String> {
    let actor = Actor { name: "overseer".into(), email: "a@example.org".into(), model: None };
    let deed = Deed { actor: &actor, op: "create", subject: "fill".into(), now: town.now };
    let prefix = ledger.state().unwrap().scope().unwrap().prefix;
    let ids = ledger.transact(&deed, |change| {
        let mut ids = Vec::new();
        for n in 0..BEADS {
            let id = change.mint(&prefix, "")?;
            let mut bead = Bead::new(id.clone(), IssueType::Task, &format!("Task number {n}"), "overseer", town.now)?;
            bead.description = "What is to be done, in a few lines that have the length of a usual description. ".repeat(4);
            change.put_bead(&bead)?;
            ids.push(id.to_string());
        }
        Ok(ids)
    });
    ids.unwrap()
}

fn print(rows: &[Row]) {
    println!("{:<46} {:>9} {:>9} {:>7}  {:<14} beside", "what", "gt ms", "git ms", "ratio", "bar");
    for row in rows {
        let (ours, git) = (median(&row.ours), median(&row.git));
        println!(
            "{:<46} {ours:>9.2} {git:>9.2} {:>7.2}  {:<14} {} ({} pairs)",
            row.what,
            ours / git,
            row.bar,
            row.git_does,
            row.ours.len()
        );
    }
}

/// The `gt` that was built beside this example, built now when it is missing.
fn built_gt() -> PathBuf {
    let example = std::env::current_exe().unwrap();
    let release = example.parent().unwrap().parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--bin", "gt", "--target-dir"]).arg(release.parent().unwrap());
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
    let gt = release.join("gt");
    assert!(status.success() && gt.is_file(), "cargo built no gt at {}", gt.display());
    gt
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let bench = Bench { dir: tempfile::TempDir::new().unwrap(), gt: built_gt(), pairs: if quick { 15 } else { 60 } };
    let ids = bench.set_up();
    let mut rows = bench.read_rows(&ids);
    rows.push(bench.sling_row(&ids));
    print(&rows);
}
