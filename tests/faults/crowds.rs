//! Many writers: killed at random, beside git's own maintenance, and locks that were left over.

use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Form;
use crate::stories::{Tally, World, made_id};
use crate::town::Outcome;

const WRITERS: usize = 30;
const BESIDE_WRITERS: usize = 8;

/// Writers that create beads, a process each, for `millis`; `disturb` runs beside them until they end.
pub struct Crowd<'w> {
    world: &'w World,
    slots: Vec<Mutex<Option<Child>>>,
    acknowledged: Mutex<Vec<(String, String)>>,
    failures: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl<'w> Crowd<'w> {
    pub fn new(world: &'w World, writers: usize) -> Self {
        let slots = (0..writers).map(|_| Mutex::new(None)).collect();
        Self { world, slots, acknowledged: Mutex::default(), failures: Mutex::default(), is_over: AtomicBool::new(false) }
    }

    pub fn work(&self, millis: u64, disturb: impl FnOnce(&Self) + Send) {
        std::thread::scope(|scope| {
            let disturbing = scope.spawn(|| disturb(self));
            let writing: Vec<_> = (0..self.slots.len()).map(|n| scope.spawn(move || self.write(n))).collect();
            std::thread::sleep(Duration::from_millis(millis));
            self.is_over.store(true, Ordering::SeqCst);
            for thread in writing {
                thread.join().unwrap();
            }
            disturbing.join().unwrap();
        });
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Kills a writer that is at work; tells whether there was one.
    pub fn kill_one(&self) -> bool {
        let mut slot = self.slots[fastrand::usize(..self.slots.len())].lock().unwrap();
        slot.as_mut().is_some_and(|child| child.kill().is_ok())
    }

    /// Ids and titles of what was acknowledged so far.
    pub fn all_acknowledged(&self) -> Vec<(String, String)> {
        self.acknowledged.lock().unwrap().clone()
    }

    /// One of them.
    pub fn any_acknowledged(&self) -> Option<(String, String)> {
        let all = self.acknowledged.lock().unwrap();
        all.get(fastrand::usize(..all.len().max(1))).cloned()
    }

    fn write(&self, n: usize) {
        for k in 0.. {
            if self.is_over() {
                return;
            }
            let title = format!("w{n} {k}");
            let mut command = self.world.town.here().command(&["--json", "bead", "create", &title, "--rig", "widgets"]);
            *self.slots[n].lock().unwrap() = Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
            // Never waited for under the lock, so that it can be killed meanwhile; reaped under it, so that nobody else is.
            while !matches!(self.slots[n].lock().unwrap().as_mut().unwrap().try_wait(), Ok(Some(_))) {
                std::thread::sleep(Duration::from_millis(2));
            }
            let child = self.slots[n].lock().unwrap().take().unwrap();
            let outcome = Outcome::of(title.clone(), child.wait_with_output().unwrap());
            match outcome.code {
                0 => self.acknowledged.lock().unwrap().push((made_id(outcome), title)),
                -1 => {}
                code => {
                    self.failures.lock().unwrap().push(format!("{title}: {code}: {}", (outcome.stderr + &outcome.stdout).trim()));
                }
            }
        }
    }

    /// What was acknowledged and is not there, or twice.
    fn lost(&self) -> Vec<String> {
        let ledger = self.world.ledger();
        let state = match ledger.state() {
            Ok(state) => state,
            Err(error) => return vec![error.line()],
        };
        let acknowledged = self.acknowledged.lock().unwrap();
        let wrong = acknowledged.iter().filter_map(|(id, title)| match state.find_bead(&id.parse().unwrap()) {
            Ok(Some(bead)) if bead.title == *title => None,
            other => Some(format!("acknowledged {id} '{title}': {:?}", other.map(|bead| bead.map(|one| one.title)))),
        });
        wrong.collect()
    }

    fn next_is_quick(&self) -> Option<String> {
        let begin = Instant::now();
        let next = self.world.town.gt_args(&["bead", "create", "next", "--rig", "widgets"]);
        let is_good = next.code == 0 && begin.elapsed() < Duration::from_secs(5);
        (!is_good).then(|| format!("the next command: {} after {:?}: {}", next.code, begin.elapsed(), next.stderr))
    }

    /// For what git's manual forbids beside writers: nothing acknowledged is lost and work goes on; a writer may
    /// fail, and of what nothing refers to git may leave half.
    fn tally_of_forbidden(self, what: &str) -> Tally {
        let faults = self.lost().into_iter().chain(self.next_is_quick()).collect();
        let (count, failed) = (self.acknowledged.lock().unwrap().len(), self.failures.lock().unwrap().len());
        let unsound = self.world.fsck().len();
        for failure in self.failures.lock().unwrap().iter().take(3) {
            println!("  a writer beside git gc: {}", failure.replace('\n', " "));
        }
        Tally { what: format!("{count} acknowledged, {failed} failed, {unsound} unsound {what}"), faults }
    }

    pub fn tally(self, what: &str) -> Tally {
        let mut faults = self.lost();
        faults.extend(self.next_is_quick());
        faults.extend(self.world.fsck());
        let count = self.acknowledged.lock().unwrap().len();
        faults.extend(self.failures.into_inner().unwrap());
        if count == 0 {
            faults.push("nothing was acknowledged".into());
        }
        Tally { what: format!("{count} acknowledged {what}"), faults }
    }
}

pub fn millis(form: Form) -> u64 {
    if form == Form::Quick { 5_000 } else { 30_000 }
}

pub fn killed_at_random(form: Form) -> Tally {
    let world = World::new();
    let crowd = Crowd::new(&world, WRITERS);
    let kills = AtomicUsize::new(0);
    crowd.work(millis(form), |crowd| {
        while !crowd.is_over() {
            std::thread::sleep(Duration::from_millis(fastrand::u64(5..60)));
            kills.fetch_add(usize::from(crowd.kill_one()), Ordering::Relaxed);
        }
    });
    let what = format!("by {WRITERS} writers, {} of them killed", kills.load(Ordering::Relaxed));
    crowd.tally(&what)
}

fn beside(form: Form, what: &str, maintenance: &[&[&str]]) -> Tally {
    let world = World::new();
    let crowd = Crowd::new(&world, BESIDE_WRITERS);
    let rounds = AtomicUsize::new(0);
    crowd.work(millis(form), |crowd| {
        let repo = crowd.world.rig.dir.join(".repo.git");
        while !crowd.is_over() {
            for args in maintenance {
                // It may fail when a lock is held or an object is young; what it does to writers is what counts.
                let _ = crowd.world.town.command("git", &repo).args(*args).output();
            }
            rounds.fetch_add(1, Ordering::Relaxed);
        }
    });
    let what = format!("beside {} rounds of {what}", rounds.load(Ordering::Relaxed));
    if maintenance.iter().any(|args| args.contains(&"--prune=now")) {
        crowd.tally_of_forbidden(&what)
    } else {
        crowd.tally(&what)
    }
}

pub fn beside_pack_refs(form: Form) -> Tally {
    beside(form, "git pack-refs", &[&["pack-refs", "--all", "--prune"]])
}

pub fn beside_gc(form: Form) -> Tally {
    // As in a repository whose owner lets git remove objects; else it removes none.
    let allow: &[&str] = &["config", "extensions.preciousObjects", "false"];
    beside(form, "git gc --prune=now", &[allow, &["gc", "--quiet", "--prune=now"]])
}

/// A lock of ours whose owner is dead goes at once; one whose owner lives, or of another program, is respected.
pub fn left_over_locks(_: Form) -> Tally {
    let world = World::new();
    let repo = world.rig.dir.join(".repo.git");
    let (lock, own) = (repo.join("refs/gt/ledger.lock"), repo.join("gt/locks"));
    let create = || world.town.gt_args(&["bead", "create", "Title", "--rig", "widgets"]);
    create().succeeds();
    let mut faults = Vec::new();
    let mut expect = |what: &str, code: i32, quick: bool| {
        let begin = Instant::now();
        let outcome = create();
        if outcome.code != code || (quick && begin.elapsed() > Duration::from_secs(2)) {
            faults.push(format!("{what}: {} after {:?}: {}", outcome.code, begin.elapsed(), outcome.stderr));
        }
    };
    // Killed between linking the lock and moving it: the owner is a process that has ended.
    let mut dead = world.town.command("true", &repo).spawn().unwrap();
    dead.wait().unwrap();
    let left = own.join(format!("{}-1-abc", dead.id()));
    std::fs::write(&left, "x\n").unwrap();
    std::fs::hard_link(&left, &lock).unwrap();
    expect("a left-over of ours", 0, true);
    // The number is used again by a process that lives: its start time is another.
    let reused = own.join(format!("{}-1-abd", std::process::id()));
    std::fs::write(&reused, "x\n").unwrap();
    std::fs::hard_link(&reused, &lock).unwrap();
    expect("a left-over of a number used again", 0, true);
    let start = gastown::store::refs::start_time_of(std::process::id()).unwrap();
    let alive = own.join(format!("{}-{start}-abe", std::process::id()));
    std::fs::write(&alive, "x\n").unwrap();
    std::fs::hard_link(&alive, &lock).unwrap();
    expect("a lock whose owner lives", 5, false);
    std::fs::remove_file(&lock).unwrap();
    std::fs::remove_file(&alive).unwrap();
    std::fs::write(&lock, "").unwrap();
    expect("a lock of another program", 5, false);
    let is_respected = std::fs::remove_file(&lock).is_ok();
    expect("after it went", 0, true);
    if !is_respected {
        faults.push("the lock of another program was removed".into());
    }
    faults.extend(world.fsck());
    Tally { what: "5 locks".into(), faults }
}
