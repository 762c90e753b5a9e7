//! One command a story: what it starts from, what it may leave, and that the next command goes on.

use std::process::Command;

use gastown::ledger::Ledger;
use gastown::model::bead::IssueType;
use gastown::model::merge_request::MergeRequest;

use crate::Form;
use crate::calls::{self, ERRORS, Fault, Point};
use crate::town::{Rig, Town, durable_in, text_at};

/// What was done and what was found.
pub struct Tally {
    pub what: String,
    pub faults: Vec<String>,
}

/// A durable town with a rig, off the system's temporary directory's cleaning.
pub struct World {
    pub place: tempfile::TempDir,
    pub town: Town,
    pub rig: Rig,
}

impl World {
    pub fn new() -> Self {
        let place = tempfile::TempDir::new().unwrap();
        let town = durable_in(place.path());
        let rig = town.durable_rig("widgets");
        Self { place, town, rig }
    }

    pub fn ledger(&self) -> Ledger {
        Ledger::open(&self.rig.dir.join(".repo.git"), "looker").unwrap()
    }

    fn titles(&self) -> Vec<String> {
        let (beads, damaged) = self.ledger().state().unwrap().beads().unwrap();
        assert!(damaged.is_empty(), "{damaged:?}");
        beads.into_iter().map(|bead| bead.title).collect()
    }

    pub fn bead(&self, title: &str) -> String {
        self.town.bead(&self.rig, title)
    }

    /// What the indexes say wrong, after a question that brings them up to date.
    pub fn index_differs(&self) -> Option<String> {
        self.town.gt("list --all -n 0").succeeds();
        let checked = self.town.gt("reindex --check");
        (checked.code != 0).then(|| format!("an index differs: {}{}", checked.stdout, checked.stderr))
    }

    /// What git finds wrong.
    pub fn fsck(&self) -> Vec<String> {
        let repos = [self.town.root.join(".repo.git"), self.rig.dir.join(".repo.git")];
        let check = |repo: &std::path::PathBuf| {
            let output = self.town.command("git", repo).args(["fsck", "--strict", "--no-dangling"]).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
            (!output.status.success()).then(|| format!("git fsck of {}: {said}", repo.display()))
        };
        repos.iter().filter_map(check).collect()
    }
}

/// What a story makes of its subject.
pub type Step<'w, S, T> = Box<dyn Fn(&S) -> T + 'w>;

/// A command under test.
pub struct Story<'w, S> {
    pub world: &'w World,
    pub name: &'static str,
    /// Makes what the command is about; the number is another one each time.
    pub prepare: Box<dyn Fn(usize) -> S + 'w>,
    pub command: Step<'w, S, Command>,
    /// Whether the new state stands (or the old one); an error is a mix.
    pub is_new: Step<'w, S, Result<bool, String>>,
    /// The commands that come next; an error is one that fails.
    pub go_on: Step<'w, S, Result<(), String>>,
    pub codes: &'static [i32],
    /// At most so many hits in the quick form.
    pub quick_max: usize,
}

impl<S> Story<'_, S> {
    pub fn tell(&self, form: Form) -> Tally {
        let log = self.world.place.path().join("strace.log");
        let mut found = Vec::new();
        let mut points = Vec::new();
        // The second time counts: in the first the command may make what all later ones find.
        for n in 0..2 {
            let whole = (self.prepare)(n);
            points = calls::points(&(self.command)(&whole), &log);
            match (self.is_new)(&whole) {
                Ok(true) => {}
                other => found.push(format!("without a fault the new state does not stand: {other:?}")),
            }
            found.extend((self.go_on)(&whole).err());
        }
        let plan = plan(&points, form, self.quick_max);
        let (mut hits, mut kills) = (0, 0);
        for (n, (point, fault)) in plan.iter().enumerate() {
            let subject = (self.prepare)(n + 2);
            let hit = calls::run(&(self.command)(&subject), &log, *point, *fault);
            hits += usize::from(hit.took_effect);
            kills += usize::from(hit.took_effect && *fault == Fault::Killed);
            // In any case, since the next round starts from where this one ends.
            let judged = [self.judge(&subject, &hit, *fault), (self.go_on)(&subject)];
            for why in judged.into_iter().filter_map(Result::err) {
                found.push(format!("{fault:?} at {} {}: {why}", point.call, point.nth));
            }
            if n % 50 == 49 {
                found.extend(self.world.fsck());
                found.extend(self.world.index_differs());
            }
        }
        found.extend(self.world.fsck());
        found.extend(self.world.index_differs());
        if kills == 0 || kills == hits {
            found.push(format!("of {hits} hits {kills} were kills, so something is not injected"));
        }
        Tally { what: format!("{} points, {} runs, {hits} hits, {kills} of them kills", points.len(), plan.len()), faults: found }
    }

    fn judge(&self, subject: &S, hit: &calls::Hit, fault: Fault) -> Result<(), String> {
        let outcome = &hit.outcome;
        let is_new = (self.is_new)(subject)?;
        if outcome.code == 0 {
            return if is_new { Ok(()) } else { Err("success, but the old state stands".into()) };
        }
        if fault == Fault::Killed {
            // The kill may have hit a child; then the command itself must say so like any other failure.
            if outcome.code == -1 {
                return Ok(());
            }
        }
        if hit.never_began && !is_new {
            return Ok(());
        }
        if !hit.took_effect {
            return Err(format!("not hit, but failed with {}: {}", outcome.code, outcome.stderr));
        }
        let is_beside = |line: &str| ["hint:", "warning:", " WARN", "WARN"].iter().any(|begin| line.starts_with(begin));
        let lines = outcome.stderr.lines().filter(|line| !is_beside(line));
        // Commands that go through several scopes tell on standard output how each of them ended.
        let told = outcome.stdout.lines().filter(|line| line.contains(": failed"));
        let lines: Vec<&str> = lines.chain(told).collect();
        let may_be = fault == Fault::Killed || self.codes.contains(&outcome.code);
        let is_mute = hit.was_muted && lines.is_empty();
        if !(lines.len() == 1 || is_mute) || !may_be {
            return Err(format!("code {} with {} lines: {}", outcome.code, lines.len(), outcome.stderr.trim()));
        }
        Ok(())
    }
}

/// Which faults at which points: all of them, or each point killed and given one error each in turn.
fn plan(points: &[Point], form: Form, quick_max: usize) -> Vec<(Point, Fault)> {
    let mut plan = Vec::new();
    for (n, point) in points.iter().enumerate() {
        plan.push((*point, Fault::Killed));
        let errors: Vec<&'static str> = if form == Form::Long { ERRORS.to_vec() } else { vec![ERRORS[n % ERRORS.len()]] };
        for (k, error) in errors.into_iter().enumerate() {
            plan.push((*point, if (n + k) % 3 == 2 { Fault::ForEver(error) } else { Fault::Once(error) }));
            if form == Form::Long {
                plan.push((*point, if (n + k) % 3 == 2 { Fault::Once(error) } else { Fault::ForEver(error) }));
            }
        }
    }
    let step = if form == Form::Quick { plan.len().div_ceil(quick_max).max(1) } else { 1 };
    // An odd step meets kills and errors in turn.
    let step = if step > 1 { step | 1 } else { step };
    plan.into_iter().step_by(step).collect()
}

/// The next bead is made, and soon.
pub fn next_create(world: &World) -> Result<(), String> {
    let begin = std::time::Instant::now();
    let next = world.town.gt_args(&["bead", "create", "next", "--rig", "widgets"]);
    if next.code != 0 || begin.elapsed().as_secs() >= 5 {
        return Err(format!("the next command: {} after {:?}: {}", next.code, begin.elapsed(), next.stderr));
    }
    Ok(())
}

pub fn create(form: Form) -> Tally {
    let world = World::new();
    Story {
        world: &world,
        name: "create",
        prepare: Box::new(|n| format!("Made {n}")),
        command: Box::new(|title| world.town.here().command(&["bead", "create", title, "--rig", "widgets"])),
        is_new: Box::new(|title| match world.titles().iter().filter(|one| *one == title).count() {
            count @ 0..=1 => Ok(count == 1),
            count => Err(format!("{count} beads of one name")),
        }),
        go_on: Box::new(|_| next_create(&world)),
        codes: &[7],
        quick_max: 160,
    }
    .tell(form)
}

pub fn update(form: Form) -> Tally {
    let world = World::new();
    let bead = world.bead("Old 0");
    let read = || world.ledger().state().unwrap().bead(&bead.parse().unwrap()).map_err(|error| error.line());
    Story {
        world: &world,
        name: "update",
        prepare: Box::new(|n| {
            world.town.gt_args(&["bead", "update", &bead, "--title", "Old", "--description", "Old"]).succeeds();
            format!("New {n}")
        }),
        command: Box::new(|title| {
            world.town.here().command(&["bead", "update", &bead, "--title", title, "--description", title])
        }),
        is_new: Box::new(|title| {
            let now = read()?;
            match (now.title == *title, now.description == *title, now.title == "Old", now.description == "Old") {
                (true, true, ..) => Ok(true),
                (_, _, true, true) => Ok(false),
                _ => Err(format!("a mix: '{}' and '{}'", now.title, now.description)),
            }
        }),
        go_on: Box::new(|_| next_create(&world)),
        codes: &[7],
        quick_max: 100,
    }
    .tell(form)
}

pub fn mail(form: Form) -> Tally {
    let world = World::new();
    let letters = |subject: &str| {
        let hq = Ledger::open(&world.town.root.join(".repo.git"), "looker").unwrap();
        let (letters, damaged) = hq.state().unwrap().letters(&"overseer".parse().unwrap()).unwrap();
        assert!(damaged.is_empty(), "{damaged:?}");
        letters.iter().filter(|letter| letter.subject == subject).count()
    };
    Story {
        world: &world,
        name: "mail send",
        prepare: Box::new(|n| format!("Letter {n}")),
        command: Box::new(|subject| world.town.here().command(&["mail", "send", "overseer", "-s", subject, "-m", "Words"])),
        is_new: Box::new(|subject| match letters(subject) {
            count @ 0..=1 => Ok(count == 1),
            count => Err(format!("{count} letters of one subject")),
        }),
        go_on: Box::new(|_| {
            let next = world.town.gt_args(&["mail", "send", "overseer", "-s", "next", "-m", "Words"]);
            if next.code == 0 { Ok(()) } else { Err(format!("the next letter: {}: {}", next.code, next.stderr)) }
        }),
        codes: &[7],
        quick_max: 100,
    }
    .tell(form)
}

const TOAST: &str = "widgets/polecats/toast";

fn ended_well(outcome: &crate::town::Outcome, codes: &[i32]) -> Result<(), String> {
    if codes.contains(&outcome.code) { Ok(()) } else { Err(format!("{}: {}: {}", outcome.line, outcome.code, outcome.stderr)) }
}

/// Toast commits a file of its own.
fn commit(world: &World, bead: &str) {
    let sandbox = world.town.root.join(TOAST);
    std::fs::write(sandbox.join(format!("{bead}.txt")), "work\n").unwrap();
    world.town.git(&sandbox, &["add", "-A"]);
    world.town.git(&sandbox, &["commit", "-q", "-m", &format!("Work on {bead}")]);
}

fn hook_of_toast(world: &World) -> Result<Option<String>, String> {
    let ledger = world.ledger();
    let hook = ledger.state().and_then(|state| state.hook(&TOAST.parse().unwrap())).map_err(|error| error.line())?;
    Ok(hook.map(|hook| hook.bead.to_string()))
}

pub fn sling(form: Form) -> Tally {
    let world = World::new();
    Story {
        world: &world,
        name: "sling",
        prepare: Box::new(|n| world.bead(&format!("Work {n}"))),
        command: Box::new(|bead| world.town.here().command(&["sling", bead, TOAST, "--no-start"])),
        is_new: Box::new(|bead| {
            let status = world.town.status(bead);
            let hangs = hook_of_toast(&world)?.as_deref() == Some(bead);
            match (status.as_str(), hangs) {
                ("open", false) => Ok(false),
                ("hooked", true) => Ok(true),
                _ => Err(format!("a mix: {status} and on the hook: {hangs}")),
            }
        }),
        go_on: Box::new(|bead| {
            ended_well(&world.town.gt_args(&["sling", bead, TOAST, "--no-start"]), &[0])?;
            if hook_of_toast(&world)?.as_deref() != Some(bead) {
                return Err("slung again, and not on the hook".into());
            }
            let branch = world.town.git(&world.town.root.join(TOAST), &["status", "--porcelain"]);
            if !branch.is_empty() {
                return Err(format!("the sandbox is not clean: {branch}"));
            }
            ended_well(&world.town.gt_args(&["unsling", bead]), &[0])
        }),
        codes: &[6, 7],
        quick_max: 60,
    }
    .tell(form)
}

pub fn done(form: Form) -> Tally {
    let world = World::new();
    let requests = |bead: &str| {
        let ledger = world.ledger();
        let requests = ledger.state().unwrap().beads_of(&IssueType::MergeRequest).unwrap();
        let all = requests.iter().map(|request| MergeRequest::of(request).unwrap());
        all.filter(|request| request.source_beads.iter().any(|source| source.as_str() == bead)).count()
    };
    Story {
        world: &world,
        name: "done",
        prepare: Box::new(|n| {
            let bead = world.bead(&format!("Work {n}"));
            world.town.gt_args(&["sling", &bead, TOAST, "--no-start"]).succeeds();
            commit(&world, &bead);
            bead
        }),
        command: Box::new(|_| world.town.as_agent(TOAST).command(&["done"])),
        is_new: Box::new(|bead| {
            let (status, hangs, count) = (world.town.status(bead), hook_of_toast(&world)?.is_some(), requests(bead));
            match (status.as_str(), hangs, count) {
                ("hooked", true, 0) => Ok(false),
                ("in_review", false, 1) => Ok(true),
                _ => Err(format!("a mix: {status}, on the hook: {hangs}, {count} requests")),
            }
        }),
        go_on: Box::new(|bead| {
            ended_well(&world.town.as_agent(TOAST).gt("done"), &[0, 4])?;
            let status = world.town.status(bead);
            match (status.as_str(), requests(bead)) {
                ("in_review", 1) => Ok(()),
                (status, count) => Err(format!("done again: {status} with {count} requests")),
            }
        }),
        codes: &[6, 7],
        quick_max: 60,
    }
    .tell(form)
}

/// The id that a create printed.
pub fn made_id(outcome: crate::town::Outcome) -> String {
    text_at(&outcome.json(), &["/id", "/bead/id", "/bead"])
}
