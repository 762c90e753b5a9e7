//! The fixture: a town in a directory of its own, with a clock, a seed and a home that are nobody's.
//!
//! Commands run as processes, with a cleared environment; facts about sessions are awaited with a deadline.
//! What still runs when the fixture goes is stopped.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The scripted agent.
pub const AGENT: &str = include_str!("../src/ops/demo/agent.sh");
/// 2026-01-01T00:00:00Z, when all towns here begin.
const BEGIN_SECS: u64 = 1_767_225_600;
const DEADLINE: Duration = Duration::from_secs(60);

/// A town with everything around it.
pub struct Town {
    place: Arc<TempDir>,
    /// The town's directory.
    pub root: PathBuf,
    /// Clock and seed of the next command; machines of one place share them.
    steps: Arc<AtomicU64>,
}

/// A rig of the town.
pub struct Rig {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub dir: PathBuf,
    /// The bare repository that it was cloned from and lands in.
    pub origin: PathBuf,
}

/// A command of gt to be run: by whom, where, and with what besides.
pub struct Gt<'t> {
    town: &'t Town,
    dir: PathBuf,
    vars: Vec<(String, OsString)>,
}

/// How a command ended.
pub struct Outcome {
    /// What was run.
    pub line: String,
    /// The arguments, when it was gt.
    pub args: Vec<String>,
    /// Its exit code; -1 for a signal.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said besides.
    pub stderr: String,
}

/// A bare place with a home: for what needs no town yet.
pub fn place() -> Town {
    place_in(TempDir::new().unwrap())
}

/// A town in `dir` that keeps what it acknowledges through power loss, as towns do outside of tests.
pub fn durable_in(dir: &Path) -> Town {
    let town = place_in(TempDir::new_in(dir).unwrap());
    let root = town.root.display().to_string();
    town.from(town.base()).args(&["install", &root, "--name", "ours", "--owner", "owner@example.org"]).succeeds();
    town
}

fn place_in(place: TempDir) -> Town {
    // The temporary directory may be a link (macOS); what gt prints is the real one.
    let base = place.path().canonicalize().unwrap();
    for dir in ["home", "plans", "tmp"] {
        std::fs::create_dir(base.join(dir)).unwrap();
    }
    std::fs::write(base.join("agent.sh"), AGENT).unwrap();
    Town { root: base.join("gt"), place: Arc::new(place), steps: Arc::new(AtomicU64::new(0)) }
}

impl Town {
    /// A town without rigs.
    pub fn new() -> Self {
        let town = durable_in(&std::env::temp_dir());
        town.git(&town.root.join(".repo.git"), &["config", "gt.durability", "none"]);
        town
    }

    /// A town with the rig `widgets` and its scripted agent.
    pub fn with_rig() -> (Self, Rig) {
        let town = Self::new();
        let rig = town.rig("widgets");
        town.gt_args(&["config", "set", "agent.command", &town.agent_command(), "--rig", "widgets"]).succeeds();
        (town, rig)
    }

    /// Another machine in the same place, with no town yet.
    pub fn beside(&self, name: &str) -> Self {
        Self { root: self.base().join(name), place: self.place.clone(), steps: self.steps.clone() }
    }

    /// Another machine that has joined the town whose ledger is at `hub`.
    pub fn joined(&self, name: &str, hub: &Path) -> Self {
        let town = self.beside(name);
        let (root, hub) = (town.root.display().to_string(), hub.display().to_string());
        town.from(town.base()).args(&["install", &root, "--from", &hub, "--machine", name]).succeeds();
        town.git(&town.root.join(".repo.git"), &["config", "gt.durability", "none"]);
        town
    }

    /// This machine's rig of the project that another machine added.
    pub fn join_rig(&self, rig: &Rig) -> Rig {
        self.gt_args(&["rig", "add", &rig.name, rig.origin.to_str().unwrap()]).succeeds();
        let dir = self.root.join(&rig.name);
        self.git(&dir.join(".repo.git"), &["config", "gt.durability", "none"]);
        Rig { name: rig.name.clone(), dir, origin: rig.origin.clone() }
    }

    /// The directory around the town.
    pub fn base(&self) -> PathBuf {
        self.place.path().canonicalize().unwrap()
    }

    /// Where plans of scripted agents lie.
    pub fn plans(&self) -> PathBuf {
        self.base().join("plans")
    }

    /// The command line of the scripted agent.
    pub fn agent_command(&self) -> String {
        format!("sh {}", self.base().join("agent.sh").display())
    }

    /// The plan for the `n`th start of an agent with `bead`.
    pub fn plan(&self, bead: &str, n: u32, text: &str) {
        std::fs::write(self.plans().join(format!("{bead}.{n}.plan")), text).unwrap();
    }

    /// A project with a little history, and the rig `name` of it.
    pub fn rig(&self, name: &str) -> Rig {
        let rig = self.durable_rig(name);
        self.git(&rig.dir.join(".repo.git"), &["config", "gt.durability", "none"]);
        rig
    }

    /// The same, keeping what it acknowledges through power loss.
    pub fn durable_rig(&self, name: &str) -> Rig {
        let origin = self.project(name);
        self.gt_args(&["rig", "add", name, origin.to_str().unwrap(), "--land", "origin"]).succeeds();
        Rig { name: name.to_owned(), dir: self.root.join(name), origin }
    }

    /// A bare repository with a project: folders, an executable, a symlink, two commits.
    pub fn project(&self, name: &str) -> PathBuf {
        self.project_with(name, 0)
    }

    /// The same with so many further files; a hundred objects and more travel as a pack that is kept.
    pub fn project_with(&self, name: &str, files: usize) -> PathBuf {
        let (work, origin) = (self.base().join(format!("{name}-work")), self.base().join(format!("{name}.git")));
        std::fs::create_dir_all(work.join("src")).unwrap();
        self.git(&work, &["init", "-q", "-b", "main"]);
        std::fs::write(work.join("README.md"), format!("# {name}\n")).unwrap();
        std::fs::write(work.join("src/numbers.txt"), "one\ntwo\nthree\n").unwrap();
        for n in 0..files {
            std::fs::write(work.join(format!("src/{n}.txt")), format!("{n}\n")).unwrap();
        }
        self.git(&work, &["add", "-A"]);
        self.git(&work, &["commit", "-q", "-m", "Begin"]);
        std::fs::write(work.join("check.sh"), "#!/bin/sh\n! [ -e bad ]\n").unwrap();
        std::os::unix::fs::symlink("README.md", work.join("READ")).unwrap();
        self.git(&work, &["add", "-A"]);
        self.git(&work, &["update-index", "--chmod=+x", "check.sh"]);
        self.git(&work, &["commit", "-q", "-m", "Add a check"]);
        self.git(&self.base(), &["clone", "-q", "--bare", work.to_str().unwrap(), origin.to_str().unwrap()]);
        origin
    }

    /// A bead of the rig; answers its id.
    pub fn bead(&self, rig: &Rig, title: &str) -> String {
        let made = self.gt_args(&["--json", "bead", "create", title, "--rig", &rig.name]).json();
        text_at(&made, &["/id", "/bead/id", "/bead"])
    }

    /// The bead as `gt bead show --json` gives it.
    pub fn show(&self, bead: &str) -> Value {
        let shown = self.gt_args(&["--json", "bead", "show", bead]).json();
        shown[0].clone()
    }

    /// The bead's status.
    pub fn status(&self, bead: &str) -> String {
        text_at(&self.show(bead), &["/status"])
    }

    /// Runs a command line of gt, words split at blanks, `'…'` kept together.
    pub fn gt(&self, line: &str) -> Outcome {
        self.here().gt(line)
    }

    /// Runs gt with these arguments at the town's top, as the overseer.
    pub fn gt_args(&self, args: &[&str]) -> Outcome {
        self.here().args(args)
    }

    /// A command at the town's top.
    pub fn here(&self) -> Gt<'_> {
        self.from(self.root.clone())
    }

    /// A command in `dir`.
    pub fn from(&self, dir: PathBuf) -> Gt<'_> {
        Gt { town: self, dir, vars: Vec::new() }
    }

    /// A command by `address`, in its sandbox when it has one.
    pub fn as_agent(&self, address: &str) -> Gt<'_> {
        let sandbox = self.root.join(address);
        let dir = if sandbox.is_dir() { sandbox } else { self.root.clone() };
        self.from(dir).var("GT_ACTOR", address).var("GT_ROLE", address)
    }

    /// Runs git; it must succeed. Answers what it printed.
    pub fn git(&self, dir: &Path, args: &[&str]) -> String {
        let mut command = self.command("git", dir);
        let output = command.args(args).output().unwrap();
        let outcome = Outcome::of(format!("git {}", args.join(" ")), output);
        outcome.succeeds().stdout.trim_end().to_owned()
    }

    /// Runs git with `input` on its standard input; it must succeed. Answers what it printed.
    pub fn git_fed(&self, dir: &Path, args: &[&str], input: &str) -> String {
        let file = self.base().join("input");
        std::fs::write(&file, input).unwrap();
        let output = self.command("git", dir).args(args).stdin(std::fs::File::open(file).unwrap()).output().unwrap();
        Outcome::of(format!("git {}", args.join(" ")), output).succeeds().stdout.trim_end().to_owned()
    }

    /// Every repository of the town and around it is sound.
    pub fn fsck(&self) {
        let all = walkdir::WalkDir::new(self.base()).into_iter().filter_entry(|entry| entry.file_name() != "objects");
        let repos = all
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name() == "HEAD" && entry.path().with_file_name("objects").is_dir());
        let mut count = 0;
        for repo in repos {
            self.git(repo.path().parent().unwrap(), &["fsck", "--strict", "--no-dangling"]);
            count += 1;
        }
        assert!(count > 0, "no repository under {}", self.base().display());
    }

    /// A command with the fixture's environment and nothing else.
    pub fn command(&self, program: &str, dir: &Path) -> Command {
        let step = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        let mut path = PathBuf::from(env!("CARGO_BIN_EXE_gt")).parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let base = self.base();
        let now = gastown::time::Moment::from_millis(i64::try_from((BEGIN_SECS + step) * 1000).unwrap());
        let mut command = Command::new(program);
        command.current_dir(dir).env_clear().stdin(Stdio::null());
        command.env("PATH", path).env("HOME", base.join("home")).env("TMPDIR", base.join("tmp")).env("LANG", "C.UTF-8");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Tess Tester").env(format!("GIT_{who}_EMAIL"), "tess@example.org");
            command.env(format!("GIT_{who}_DATE"), format!("{} +0000", BEGIN_SECS + step));
        }
        // Packing in the background comes when it comes; tests of it turn it on.
        command.env("GT_UPKEEP", "off");
        command.env("GT_PLAN_DIR", self.plans()).env("GT_NOW", now.to_string()).env("GT_SEED", step.to_string());
        command
    }

    /// Waits until `is_so`.
    pub fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < DEADLINE, "waited in vain until {what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether an agent's session runs.
    pub fn has_session(&self, address: &str) -> bool {
        gastown::runtime::process::find(&self.root.join(".runtime"), &address.parse().unwrap()).unwrap().is_some()
    }

    /// What the sessions printed so far, for the report of a failed test.
    pub fn logs(&self) -> String {
        let all = walkdir::WalkDir::new(self.root.join(".runtime")).into_iter().filter_map(Result::ok);
        let logs = all.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "log"));
        let mut text = String::new();
        for log in logs {
            text.push_str(&format!("--- {}\n", log.path().display()));
            text.push_str(&std::fs::read_to_string(log.path()).unwrap_or_default());
        }
        text
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let runtime = self.root.join(".runtime");
        for session in gastown::runtime::process::all(&runtime).unwrap_or_default() {
            let _ = gastown::runtime::process::stop(&runtime, &session.agent, 0);
        }
    }
}

impl Gt<'_> {
    /// With this variable set.
    pub fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.to_owned(), value.into()));
        self
    }

    /// Runs a command line, words split at blanks, `'…'` kept together.
    pub fn gt(&self, line: &str) -> Outcome {
        let words = words(line);
        self.args(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs gt with these arguments.
    pub fn args(&self, args: &[&str]) -> Outcome {
        let output = self.command(args).output().unwrap();
        let outcome = Outcome::of(format!("gt {}", args.join(" ")), output);
        Outcome { args: args.iter().map(|arg| (*arg).to_owned()).collect(), ..outcome }
    }

    /// The command, not yet running.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.town.command(env!("CARGO_BIN_EXE_gt"), &self.dir);
        command.args(args).envs(self.vars.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Outcome {
    /// From a finished process.
    pub fn of(line: String, output: Output) -> Self {
        Self {
            line,
            args: Vec::new(),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It must have succeeded.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.ends_with(0)
    }

    /// It must have ended with `code`, and when that is an error's, with one line and perhaps a hint.
    #[track_caller]
    pub fn fails_with(self, code: i32) -> Self {
        let outcome = self.ends_with(code);
        assert!(!outcome.stderr.trim().is_empty() || outcome.stdout.contains("\"error\""), "{} says nothing", outcome.line);
        outcome
    }

    /// It must have ended with `code`.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        let Self { line, stdout, stderr, .. } = &self;
        assert_eq!(self.code, code, "`{line}`\n--- stdout\n{stdout}--- stderr\n{stderr}");
        self
    }

    /// Its one JSON document; it must have succeeded.
    #[track_caller]
    pub fn json(self) -> Value {
        let outcome = self.succeeds();
        let document = serde_json::from_str(&outcome.stdout)
            .unwrap_or_else(|error| panic!("`{}` printed no JSON ({error}):\n{}", outcome.line, outcome.stdout));
        if !outcome.args.is_empty() {
            crate::schema::check(&outcome.args, &document);
        }
        document
    }
}

/// The text at the first of `pointers` that has one.
#[track_caller]
pub fn text_at(value: &Value, pointers: &[&str]) -> String {
    let found = pointers.iter().find_map(|pointer| value.pointer(pointer)?.as_str());
    found.unwrap_or_else(|| panic!("none of {pointers:?} is a text in {value}")).to_owned()
}

/// A command line's words; `'…'` is one word.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (n, part) in line.split('\'').enumerate() {
        if n % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
