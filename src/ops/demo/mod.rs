//! The demo: the whole story on a real repository, with scripted agents and nothing pretended.
//!
//! Two towns on "two machines", a bare remote for the project and one for the town. Beads are filed and slung to
//! polecats side by side, handed in, stacked, gated and bisected; what is bad comes back and is mended; the
//! second machine joins, both write, and both end equal. At the end everything claimed is checked with git.

pub mod check;
pub mod story;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::env;
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::program;
use crate::git::progress::Progress;
use crate::name::{Name, base36};
use crate::ops::{install, remote, rig, sync, trust};
use crate::time::{self, Stopwatch};
use crate::town::Town;

/// What to show.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The project: a path or URL; one that the demo builds when not given.
    pub repo: Option<String>,
    /// Most agents that work side by side.
    pub agents: usize,
    /// Where everything is built; a fresh temporary directory when not given.
    pub keep: Option<PathBuf>,
}

/// What became of a piece of work.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Row {
    /// The bead.
    pub bead: String,
    /// What it was about.
    pub title: String,
    /// How each attempt ended, first to last.
    pub attempts: Vec<String>,
    /// The commit on the target, when it landed.
    pub landed: Option<String>,
}

/// What the demo showed, all of it checked.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Shown {
    /// Where everything lies.
    pub dir: PathBuf,
    /// Every bead's fate.
    pub rows: Vec<Row>,
    /// What was checked at the end, one line each.
    pub checks: Vec<String>,
    /// Gate runs that were needed.
    pub gate_runs: usize,
    /// The branch that work landed on.
    pub target: String,
    /// How long it took, in milliseconds.
    pub took_millis: u64,
}

/// The stage: where everything lies, and how what happens is told.
pub struct Stage<'a> {
    dir: PathBuf,
    watch: Stopwatch,
    say: &'a mut dyn FnMut(&str),
}

impl Stage<'_> {
    /// Tells what happens, with the seconds since the start.
    pub fn say(&mut self, line: &str) {
        let millis = self.watch.millis();
        (self.say)(&format!("{:>3}.{}s  {line}", millis / 1000, millis % 1000 / 100));
    }

    /// Begins a part of the story.
    pub fn chapter(&mut self, line: &str) {
        (self.say)("");
        self.say(line);
    }

    /// The project's bare remote.
    #[must_use]
    pub fn project(&self) -> PathBuf {
        self.dir.join("hub/project.git")
    }

    /// The town's bare remote.
    #[must_use]
    pub fn town_hub(&self) -> PathBuf {
        self.dir.join("hub/town.git")
    }

    /// The town of `machine`.
    #[must_use]
    pub fn root(&self, machine: &str) -> PathBuf {
        self.dir.join(machine)
    }

    /// Opens the town of `machine` as its overseer, at this moment.
    ///
    /// # Errors
    /// As [`Town::open`].
    pub fn town(&self, machine: &str) -> Result<Town> {
        let root = self.root(machine);
        Town::open(&root, root.clone(), Some("overseer"))
    }
}

/// The first machine, where the agents work.
pub const LAPTOP: &str = "laptop";
/// The second, which joins.
pub const DESK: &str = "desk";
/// Most agents that the demo runs side by side.
const AGENTS_MAX: usize = 16;

/// The rig that the demo works in.
///
/// # Panics
/// Never: it is a lawful name.
#[must_use]
pub fn rig_name() -> Name {
    "widgets".parse().expect("a lawful name")
}

/// Plays the story and checks its end.
///
/// # Errors
/// External, when the repository cannot be cloned or a check fails; then everything is kept to look at.
pub fn run(plan: &Plan, say: &mut dyn FnMut(&str)) -> Result<Shown> {
    if !(1..=AGENTS_MAX).contains(&plan.agents) {
        return Err(Error::usage(format!("{} agents cannot be shown", plan.agents)).hint(format!("choose 1 to {AGENTS_MAX}")));
    }
    let dir = place(plan)?;
    let mut stage = Stage { dir, watch: Stopwatch::start(), say };
    stage.say(&format!("everything is built in {}", stage.dir.display()));
    prepare_project(&mut stage, plan)?;
    let target = found(&mut stage)?;
    let cast = story::file(&mut stage)?;
    story::first_act(&mut stage, &cast, plan.agents)?;
    story::second_act(&mut stage, &cast, plan.agents)?;
    second_machine(&mut stage, &cast)?;
    stage.chapter("checking what was claimed, with git");
    let checks = check::all(&mut stage, &target)?;
    let rows = check::rows(&stage, &cast)?;
    let town = stage.town(LAPTOP)?;
    let gate_runs = town.rig(&rig_name())?.ledger.state()?.gate_runs()?.len();
    Ok(Shown { dir: stage.dir.clone(), rows, checks, gate_runs, target, took_millis: stage.watch.millis() })
}

fn place(plan: &Plan) -> Result<PathBuf> {
    let dir = match &plan.keep {
        Some(dir) => std::path::absolute(dir).or_fail(Kind::Usage, || format!("use {} as a path", dir.display()))?,
        None => {
            env::temporary_dir().join(format!("gt-demo-{}-{}", std::process::id(), base36(fastrand::u64(..36 * 36 * 36 * 36))))
        }
    };
    let is_taken = std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
    if is_taken {
        return Err(Error::refused(format!("{} is not empty", dir.display())).hint("choose a directory that does not exist yet"));
    }
    install::create_dir(&dir.join("hub"))?;
    // Paths in commands and worktree links must not change meaning with a symlink.
    dir.canonicalize().or_fail(Kind::Io, || format!("find {}", dir.display()))
}

/// The bare remote of the project: cloned from the given repository, or built with a history of its own.
fn prepare_project(stage: &mut Stage<'_>, plan: &Plan) -> Result<()> {
    let hub = stage.project().display().to_string();
    let source = match &plan.repo {
        Some(repo) => {
            let path = Path::new(repo);
            let source = if path.exists() {
                path.canonicalize().or_fail(Kind::Io, || format!("find {repo}"))?.display().to_string()
            } else {
                repo.clone()
            };
            stage.say(&format!("the project is a copy of {source}"));
            source
        }
        None => {
            let source = stage.dir.join("hub/.source");
            build_project(&source)?;
            stage.say("the project is a small repository with a history of its own");
            source.display().to_string()
        }
    };
    program::run_ok(
        &stage.dir,
        &["clone", "-q", "--bare", "--single-branch", "--no-tags", "--no-hardlinks", "--", &source, &hub],
    )
    .map_err(|error| error.hint("name a git repository with at least one commit: --repo PATH|URL"))?;
    let branch = program::bare_ok(&stage.project(), &["symbolic-ref", "--short", "HEAD"])?;
    let has_commit =
        program::bare(&stage.project(), &["rev-parse", "-q", "--verify", &format!("refs/heads/{branch}^{{commit}}")])?
            .is_success();
    if !has_commit {
        return Err(Error::refused(format!("{source} has no commit on a branch")).hint("commit something there first"));
    }
    let town_hub = stage.town_hub().display().to_string();
    program::run_ok(&stage.dir, &["init", "-q", "--bare", "-b", "main", &town_hub]).map(|_| ())
}

/// Files of the built project: path, whether it is executable, text; a text starting with `->` is a link.
const PROJECT: [(&str, bool, &str); 7] = [
    ("README.md", false, "# Widgets\n\nA small project for agents to work on.\n"),
    ("src/pump.txt", false, "pressure = 1\nvalve = closed\nflow = 3\n"),
    ("src/gears/big.txt", false, "teeth = 32\n"),
    ("src/gears/small.txt", false, "teeth = 8\n"),
    ("bin/check.sh", true, "#!/bin/sh\ntest -f src/pump.txt\n"),
    ("docs/guide.md", false, "Turn the big gear, and the small one turns.\n"),
    ("latest", false, "->docs/guide.md"),
];

fn build_project(dir: &Path) -> Result<()> {
    let deed = || format!("build the project in {}", dir.display());
    install::create_dir(dir)?;
    program::run_ok(dir, &["init", "-q", "-b", "main", "."])?;
    for (path, is_executable, text) in PROJECT {
        let file = dir.join(path);
        install::create_dir(file.parent().unwrap_or(dir))?;
        match text.strip_prefix("->") {
            Some(target) => std::os::unix::fs::symlink(target, &file).or_fail(Kind::Io, deed)?,
            None => std::fs::write(&file, text).or_fail(Kind::Io, deed)?,
        }
        if is_executable {
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).or_fail(Kind::Io, deed)?;
        }
        program::run_ok(dir, &["add", "-A"])?;
        program::run_ok(
            dir,
            &["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit", "-q", "-m", &format!("Add {path}")],
        )?;
    }
    Ok(())
}

/// What the demo's gate checks: no file says it is broken, and all loads together stay within ten.
const GATE: &str = "#!/bin/sh\n\
    # The demo's gate. It runs at the top of a checkout of exactly the tree that would land.\n\
    total=0\n\
    for file in demo/*; do\n\
    \x20   [ -f \"$file\" ] || continue\n\
    \x20   if grep -q broken \"$file\"; then echo \"$file says it is broken\"; exit 1; fi\n\
    \x20   load=$(sed -n 's/^load = \\([0-9]*\\)$/\\1/p' \"$file\")\n\
    \x20   total=$((total + ${load:-0}))\n\
    done\n\
    if [ \"$total\" -gt 10 ]; then echo \"all loads together are $total, which is more than 10\"; exit 1; fi\n\
    echo \"loads together: $total\"\n";

/// Founds the first town with its rig, agent command and gate; tells the target branch.
fn found(stage: &mut Stage<'_>) -> Result<String> {
    stage.chapter("the laptop founds a town and adds the project as a rig");
    let plan = install::Plan {
        path: stage.root(LAPTOP),
        name: Some("demo".into()),
        owner: Some("overseer@example.org".into()),
        machine: Some(LAPTOP.into()),
        from: None,
    };
    install::install(&plan, time::now()?, &Progress::silent())?;
    remote::add(&stage.root(LAPTOP).join(".repo.git"), remote::ORIGIN, &stage.town_hub().display().to_string())?;
    let town = stage.town(LAPTOP)?;
    rig::add(&town, &rig_plan(stage, Some("origin".into())), &Progress::silent())?;
    let plans = stage.dir.join("plans");
    install::create_dir(&plans)?;
    write(&stage.dir.join("agent.sh"), include_str!("agent.sh"))?;
    write(&stage.dir.join("gate.sh"), GATE)?;
    let town = stage.town(LAPTOP)?;
    let place = town.rig(&rig_name())?;
    let agent = format!("env GT_PLAN_DIR={} sh {}", quote(&plans), quote(&stage.dir.join("agent.sh")));
    trust::set(&town, Some(&place), trust::ScopeChoice::Rig, "agent.command", &agent)?;
    let gate = format!("sh {}", quote(&stage.dir.join("gate.sh")));
    trust::set(&town, Some(&place), trust::ScopeChoice::Rig, "gates.check.command", &gate)?;
    stage.say(&format!("rig {} lands on {} of the project's remote, through the gate 'check'", place.rig.name, place.rig.target));
    Ok(place.rig.target)
}

fn rig_plan(stage: &Stage<'_>, land: Option<String>) -> rig::Plan {
    rig::Plan {
        name: rig_name(),
        url: stage.project().display().to_string(),
        prefix: None,
        branch: None,
        land,
        sync: None,
        push_url: None,
        local_repo: None,
        adopts: false,
        filter: None,
        sparse: Vec::new(),
        keeps_ids: false,
    }
}

/// A path as one word of a shell command line.
fn quote(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).or_fail(Kind::Io, || format!("write {}", path.display()))
}

/// The second machine joins, both write at once, and both end equal.
fn second_machine(stage: &mut Stage<'_>, cast: &story::Cast) -> Result<()> {
    stage.chapter("a second machine, the desk, joins through nothing but the two git remotes");
    exchange(stage, LAPTOP, "before the desk is there")?;
    let from = stage.town_hub().display().to_string();
    let plan = install::Plan { path: stage.root(DESK), name: None, owner: None, machine: Some(DESK.into()), from: Some(from) };
    install::install(&plan, time::now()?, &Progress::silent())?;
    rig::add(&stage.town(DESK)?, &rig_plan(stage, None), &Progress::silent())?;
    let untrusted = trust::list(&stage.town(DESK)?)?.iter().filter(|one| !one.is_trusted).count();
    stage.say(&format!("the desk sees every bead; {untrusted} commands came by sync and do not run there until gt trust"));
    story::both_write(stage, cast)?;
    for round in 1..=2 {
        for machine in [DESK, LAPTOP] {
            exchange(stage, machine, &format!("round {round}"))?;
        }
    }
    Ok(())
}

fn exchange(stage: &mut Stage<'_>, machine: &str, when: &str) -> Result<()> {
    let report = sync::all(&stage.town(machine)?, &Progress::silent())?;
    for line in report.lines() {
        stage.say(&format!("{machine} syncs, {when}: {line}"));
    }
    match report.0.into_iter().find_map(|synced| synced.error) {
        None => Ok(()),
        Some(error) => Err(Error::external(error)),
    }
}
