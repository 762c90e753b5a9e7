//! A rig with a project, workers' branches and gates; what happens in its queue, told in short words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use gastown::config::{Group, Trust};
use gastown::error::Result;
use gastown::ledger::{Actor, Change, Deed, Ledger, tree};
use gastown::model::bead::{Bead, IssueType, Status};
use gastown::model::flow::Flow;
use gastown::model::gate::GateRun;
use gastown::model::mail::Letter;
use gastown::model::merge_request::{MergeRequest, Mode};
use gastown::model::protocol::Protocol;
use gastown::model::record::{Object, Rev};
use gastown::model::scope::{Machine, Rig, Scope, ScopeKind};
use gastown::name::{BeadId, Slot};
use gastown::ops::refinery::{self, Drained, Event, Listed, Submission};
use gastown::time::{self, Moment};
use gastown::town::{RigPlace, Town};
use tempfile::TempDir;

const MACHINE: &str = "m1";
const WORKER: &str = "widgets/polecats/toast";

/// A town with the rig `widgets`.
pub struct World {
    place: TempDir,
    /// What happened, one word or line an event.
    pub events: Vec<Event>,
}

impl World {
    /// A rig whose project has a few files on `main`, and no gate.
    pub fn new() -> Self {
        let world = Self { place: TempDir::new().unwrap(), events: Vec::new() };
        for (dir, name, kind, prefix) in
            [(world.root(), "ours", ScopeKind::Town, "hq"), (world.rig_dir(), "widgets", ScopeKind::Rig, "wi")]
        {
            let repo = dir.join(".repo.git");
            gastown::git::init::init_bare(&repo, "main").unwrap();
            git(&repo, &["config", "gt.durability", "none"]);
            let ledger = Ledger::open(&repo, MACHINE).unwrap();
            write(&ledger, |change| found(change, name, kind, prefix));
        }
        let work = world.work();
        std::fs::create_dir_all(&work).unwrap();
        git(&work, &["init", "-q", "-b", "main"]);
        git(&work, &["remote", "add", "rig", world.repo().to_str().unwrap()]);
        world.commit("Begin", &[("README.md", "# widgets\n"), ("shared.txt", "one\ntwo\nthree\n"), ("lib/a.txt", "a\n")]);
        git(&work, &["push", "-q", "rig", "main"]);
        world
    }

    /// As [`World::new`], with the gate `test`, which fails on trees that have a file named `bad` at the top, or
    /// both `left` and `right`.
    pub fn with_gate() -> Self {
        let world = Self::new();
        world.gate("test", "test ! -e bad && ! test -e left -a -e right");
        world
    }

    fn root(&self) -> PathBuf {
        self.place.path().canonicalize().unwrap().join("gt")
    }

    /// The rig's directory.
    pub fn rig_dir(&self) -> PathBuf {
        self.root().join("widgets")
    }

    /// The rig's git directory.
    pub fn repo(&self) -> PathBuf {
        self.rig_dir().join(".repo.git")
    }

    /// Where branches are written.
    pub fn work(&self) -> PathBuf {
        self.place.path().canonicalize().unwrap().join("work")
    }

    /// The file in which gates of the tests count their runs.
    pub fn tally(&self) -> PathBuf {
        self.place.path().join("tally")
    }

    /// How often a gate that counts has run.
    pub fn tallied(&self) -> usize {
        std::fs::read_to_string(self.tally()).unwrap_or_default().lines().count()
    }

    /// The town, as seen by the worker.
    pub fn town(&self) -> Town {
        self.town_as(WORKER)
    }

    /// The town, as seen by `who`.
    pub fn town_as(&self, who: &str) -> Town {
        let actor = Actor { name: who.into(), email: "owner@example.org".into(), model: None };
        Town {
            root: self.root(),
            hq: Ledger::open(&self.root().join(".repo.git"), MACHINE).unwrap(),
            machine: MACHINE.into(),
            actor,
            me: who.parse().unwrap(),
            now: time::now().unwrap(),
            dir: self.root(),
            contradiction: None,
            is_copy: false,
        }
    }

    /// The rig.
    pub fn rig(&self) -> RigPlace {
        let ledger = Ledger::open(&self.repo(), MACHINE).unwrap();
        let origin = self.place.path().canonicalize().unwrap().join("origin.git");
        let rig = Rig {
            v: 1,
            name: "widgets".parse().unwrap(),
            founding_prefix: None,
            prefixes: std::collections::BTreeSet::new(),
            prefix: "wi".parse().unwrap(),
            url: origin.display().to_string(),
            target: "main".into(),
            land_remote: origin.exists(),
            sync: None,
            sparse: Vec::new(),
            home: MACHINE.into(),
            rev: Rev::default(),
            extra: Object::new(),
        };
        RigPlace { project: rig.url.clone(), rig, dir: self.rig_dir(), ledger }
    }

    /// Makes a bare origin with the rig's `main`, which from now on is the target; answers its place.
    pub fn with_origin(&self) -> PathBuf {
        let origin = self.place.path().canonicalize().unwrap().join("origin.git");
        git(self.place.path(), &["clone", "-q", "--bare", self.repo().to_str().unwrap(), origin.to_str().unwrap()]);
        git(&self.work(), &["remote", "add", "origin", origin.to_str().unwrap()]);
        origin
    }

    /// Changes the rig's ledger.
    pub fn change(&self, edit: impl FnMut(&mut Change<'_>) -> Result<()>) {
        write(&self.rig().ledger, edit);
    }

    /// Sets configuration of the rig and trusts it.
    pub fn set(&self, key: &str, value: &str) {
        let text = self.set_untrusted(key, value);
        Trust::pin(&self.town(), "rig widgets", key, &text).unwrap();
    }

    /// Sets configuration of the rig as if it had come from elsewhere; answers it as text.
    pub fn set_untrusted(&self, key: &str, value: &str) -> String {
        let path = tree::config(key.split('.').next().unwrap());
        let value = gastown::model::config_keys::find(key).unwrap().parse(value).unwrap();
        write(&self.rig().ledger, |change| {
            let mut group: Group = change.get(&path)?.unwrap_or_else(Group::new);
            group.values.insert(key.to_owned(), value.clone());
            change.put(&path, &group)
        });
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// All gate runs that are recorded, oldest first.
    pub fn recorded(&self) -> Vec<GateRun> {
        let mut runs = self.rig().ledger.state().unwrap().gate_runs().unwrap();
        runs.sort_by(|a, b| a.rev.cmp(&b.rev));
        runs
    }

    /// Adds a gate that runs `command`.
    pub fn gate(&self, name: &str, command: &str) {
        self.set(&format!("gates.{name}.command"), command);
    }

    /// Commits `files` on the branch that is checked out in the workshop; an empty text removes the file.
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.work().join(path);
            if text.is_empty() {
                std::fs::remove_file(&path).unwrap();
            } else {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, text).unwrap();
            }
        }
        git(&self.work(), &["add", "-A"]);
        git(&self.work(), &["commit", "-q", "-m", message]);
        git(&self.work(), &["rev-parse", "HEAD"])
    }

    /// Makes `branch` from `from` with one commit of `files` and pushes it to the rig.
    pub fn branch(&self, branch: &str, from: &str, files: &[(&str, &str)]) -> String {
        git(&self.work(), &["checkout", "-q", "-B", branch, from]);
        let head = self.commit(&format!("Work on {branch}"), files);
        git(&self.work(), &["push", "-q", "-f", "rig", branch]);
        git(&self.work(), &["checkout", "-q", "main"]);
        head
    }

    /// A person commits `files` to `main` in the rig itself.
    pub fn push_main(&self, files: &[(&str, &str)]) -> String {
        git(&self.work(), &["fetch", "-q", "rig", "main"]);
        git(&self.work(), &["reset", "-q", "--hard", "FETCH_HEAD"]);
        let head = self.commit("By hand", files);
        git(&self.work(), &["push", "-q", "rig", "main"]);
        head
    }

    /// A person commits `files` to `main` in the rig, and the worker merges that into `branch`, which is checked out.
    pub fn push_main_from(&self, branch: &str, files: &[(&str, &str)]) {
        self.push_main_on(files);
        git(&self.work(), &["checkout", "-q", branch]);
        git(&self.work(), &["merge", "-q", "--no-ff", "-m", "Merge main", "main"]);
    }

    fn push_main_on(&self, files: &[(&str, &str)]) {
        git(&self.work(), &["checkout", "-q", "main"]);
        self.push_main(files);
    }

    /// A bead that a worker is at.
    pub fn bead(&self, title: &str) -> BeadId {
        let mut made = None;
        write(&self.rig().ledger, |change| {
            let id = change.mint(&"wi".parse().unwrap(), "")?;
            let mut bead = Bead::new(id.clone(), IssueType::Task, title, "overseer", change.now())?;
            bead.assignee = Some(WORKER.into());
            bead.become_status(Status::Hooked, change.now())?;
            made = Some(id);
            change.put_bead(&bead)
        });
        made.unwrap()
    }

    /// Hands in `branch` for `bead`.
    pub fn submit(&self, bead: &BeadId, branch: &str) -> Result<BeadId> {
        self.file(&Self::submission(bead, branch))
    }

    /// `branch` for `bead`, with nothing else said.
    pub fn submission(bead: &BeadId, branch: &str) -> Submission {
        Submission { bead: bead.clone(), branch: branch.into(), target: None, message: None, mode: None, after: vec![] }
    }

    /// Files a request.
    pub fn file(&self, submission: &Submission) -> Result<BeadId> {
        let filed = refinery::submit(&self.town(), &self.rig(), submission).map(|filed| filed.mr);
        // The order of requests is by the clock first.
        std::thread::sleep(std::time::Duration::from_millis(2));
        filed
    }

    /// A bead and the request for `branch`, which is there, in `mode`.
    pub fn request_of(&self, branch: &str, mode: Mode) -> (BeadId, BeadId) {
        let bead = self.bead(branch);
        let mr = self.file(&Submission { mode: Some(mode), ..Self::submission(&bead, branch) }).unwrap();
        (bead, mr)
    }

    /// A bead, a branch from `main` with `files`, and the request for it; all named `name`.
    pub fn request(&self, name: &str, files: &[(&str, &str)]) -> (BeadId, BeadId) {
        let bead = self.bead(name);
        self.branch(name, "main", files);
        let mr = self.submit(&bead, name).unwrap();
        (bead, mr)
    }

    /// Several requests, each adding the file that it is named after.
    pub fn requests(&self, names: &[&str]) -> Vec<BeadId> {
        names.iter().map(|name| self.request(name, &[(name, "x\n")]).1).collect()
    }

    /// Works the queue off.
    pub fn run(&mut self) -> Result<Drained> {
        // A program that another test starts holds our locks between its fork and its exec.
        for _ in 0..20 {
            match self.run_once() {
                Err(error) if error.message.starts_with("another gt") => std::thread::sleep(std::time::Duration::from_millis(20)),
                ended => return ended,
            }
        }
        self.run_once()
    }

    fn run_once(&mut self) -> Result<Drained> {
        let mut events = Vec::new();
        let ended = refinery::run(&self.town(), &self.rig(), &mut |event| events.push(event.clone()));
        self.events = events;
        ended
    }

    /// What happened in the last run, in lines.
    pub fn lines(&self) -> Vec<String> {
        self.events.iter().map(Event::line).collect()
    }

    /// How many gate runs the last run took.
    pub fn runs(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::GateEnded { .. })).count()
    }

    /// A bead's record.
    pub fn show(&self, id: &BeadId) -> Bead {
        self.rig().ledger.state().unwrap().bead(id).unwrap()
    }

    /// A request's record.
    pub fn mr(&self, id: &BeadId) -> MergeRequest {
        MergeRequest::of(&self.show(id)).unwrap()
    }

    /// The letters to the worker, oldest first.
    pub fn letters(&self) -> Vec<Letter> {
        self.rig().ledger.state().unwrap().letters(&WORKER.parse().unwrap()).unwrap().0
    }

    /// The protocol messages to the worker, oldest first.
    pub fn mail(&self) -> Vec<Protocol> {
        self.letters().iter().map(|letter| Protocol::of(letter).unwrap()).collect()
    }

    /// A request's row in the queue.
    pub fn row(&self, id: &BeadId) -> Listed {
        let rows = refinery::list(&self.town(), &self.rig(), true).unwrap();
        rows.into_iter().find(|row| row.id == *id).unwrap()
    }

    /// Says of `main`, as the overseer, what moves there.
    pub fn steer(&self, flow: Flow, floor: Option<u8>) {
        refinery::steer(&self.town_as("overseer"), &self.rig(), "main", flow, floor, "for a test").unwrap();
    }

    /// Edits a bead by hand.
    pub fn edit(&self, id: &BeadId, mut edit: impl FnMut(&mut Bead)) {
        write(&self.rig().ledger, |change| {
            let mut bead = change.bead(id)?;
            edit(&mut bead);
            change.put_bead(&bead)
        });
    }

    /// Writes a record as it is.
    pub fn put(&self, path: &str, record: &serde_json::Value) {
        write(&self.rig().ledger, |change| change.put_object(path, record.as_object().unwrap().clone()));
    }

    /// What `branch` points at in the rig.
    pub fn tip(&self, branch: &str) -> String {
        git(&self.repo(), &["rev-parse", branch])
    }

    /// The files of `branch` in the rig.
    pub fn files(&self, branch: &str) -> Vec<String> {
        git(&self.repo(), &["ls-tree", "-r", "--name-only", branch]).lines().map(str::to_owned).collect()
    }

    /// No landing is open, nothing is half done, and every tip that landed was gated green or said so.
    pub fn is_sound(&self) {
        let rig = self.rig();
        let state = rig.ledger.state().unwrap();
        assert!(state.intents().unwrap().is_empty(), "an intent is open");
        assert!(rig.ledger.store.refs_below("refs/gt/landing/").unwrap().is_empty(), "a landing is pinned");
        let log = git(&self.repo(), &["log", "--format=%T %(trailers:key=Gt-Tree-Gated,valueonly,separator=%x2C)", "main"]);
        let greens: BTreeMap<String, bool> = state
            .gate_runs()
            .unwrap()
            .into_iter()
            .filter(|run| run.verdict.word() == "green")
            .map(|run| (run.tree, true))
            .collect();
        for line in log.lines() {
            if let Some((_, gated)) = line.split_once(' ').filter(|(_, gated)| !gated.is_empty()) {
                assert!(greens.contains_key(gated), "{gated} landed and was never green");
            }
        }
        let top = log.lines().next().unwrap().split(' ').collect::<Vec<_>>();
        assert!(top.len() < 2 || top[1].is_empty() || top[0] == top[1], "the tip is not the tree that was gated");
        git(&self.repo(), &["fsck", "--strict", "--no-dangling"]);
    }

    /// The directory of it all, for a child that works the queue.
    pub fn base(&self) -> &Path {
        self.place.path()
    }

    /// The world whose directory is `base`, in a child; it does not go with the value.
    pub fn reopen(base: &Path) -> Self {
        let place = TempDir::new_in(base).unwrap();
        let kept = Self { place, events: Vec::new() };
        for name in ["gt", "origin.git"] {
            std::os::unix::fs::symlink(base.join(name), kept.place.path().join(name)).unwrap();
        }
        kept
    }
}

fn found(change: &mut Change<'_>, name: &str, kind: ScopeKind, prefix: &str) -> Result<()> {
    let scope = Scope {
        v: 1,
        merge_v: 1,
        kind,
        prefix: prefix.parse()?,
        name: name.into(),
        created_at: change.now(),
        home: None,
        epoch: 0,
        flattened: vec![],
        rev: Rev::default(),
        extra: Object::new(),
    };
    let machine = Machine {
        v: 1,
        id: MACHINE.into(),
        slot: Slot(0),
        name: "test".into(),
        host: "h".into(),
        replaced_by: None,
        rev: Rev::default(),
        extra: Object::new(),
    };
    change.put(tree::SCOPE, &scope)?;
    change.put(&tree::machine(MACHINE), &machine)
}

fn write(ledger: &Ledger, edit: impl FnMut(&mut Change<'_>) -> Result<()>) {
    let actor = Actor { name: "overseer".into(), email: "owner@example.org".into(), model: None };
    let deed = Deed { actor: &actor, op: "test", subject: "test".into(), now: now() };
    ledger.transact(&deed, edit).unwrap();
}

fn now() -> Moment {
    time::now().unwrap()
}

/// Runs git; it must succeed. Answers what it printed.
pub fn git(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(dir).args(args).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Tess Tester").env(format!("GIT_{who}_EMAIL"), "tess@example.org");
    }
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {args:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
