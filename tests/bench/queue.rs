//! Rows of the queue at work: from a gate's end to the target's move, from handing in to landed, and after a kill.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

use crate::report::{Bar, Report, Row};
use crate::stacks::{BRANCHES, FILES, branches, import, shared};
use crate::times::{output, timed};
use crate::world::{Place, World};

/// Steps of a landing at which it is killed.
const STEPS: [&str; 6] = ["land.gated", "land.pinned", "land.intent", "land.checked", "land.moved", "land.recorded"];
/// How long anything may take before this is a fault.
const WAIT: Duration = Duration::from_secs(60);

/// Milliseconds since some moment, on the clock that gates write down.
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0
}

/// A rig with a gate that writes down when it begins and, as its last act, when it ends.
struct Stage<'p> {
    world: World<'p>,
    clock: PathBuf,
    round: usize,
}

/// When something came to the target.
struct Landing {
    /// It was first told how requests are stacked.
    stacked: f64,
    moved: f64,
    told: f64,
}

impl<'p> Stage<'p> {
    fn new(place: &'p Place) -> Self {
        let world = World::empty(place, "queue", FILES);
        let (path, text) = shared();
        let stream = format!(
            "commit refs/heads/main\ncommitter A <a@example.org> 1767225600 +0000\ndata 6\nshared\nfrom refs/heads/main^0\n\
             M 100644 inline {path}\ndata {}\n{text}\n",
            text.len()
        );
        import(place, &world.repo(), &stream);
        let clock = world.path("clock");
        let stage = Self { world, clock, round: 0 };
        stage.set_gate(":");
        stage
    }

    fn set_gate(&self, command: &str) {
        let clock = self.clock.display();
        let command = format!("date +%s%N >> {clock}; {command}; date +%s%N >> {clock}");
        self.set("gates.test.command", &command);
    }

    fn set(&self, key: &str, value: &str) {
        timed(&mut self.world.gt(&["config", "set", key, value, "--rig", "widgets"]));
    }

    /// New branches, each with a bead for it.
    fn work(&mut self, count: usize) -> Vec<(String, String)> {
        self.round += 1;
        let shared = output(&mut self.world.git(&["show", "main:CHANGES"]));
        import(self.world.place, &self.world.repo(), &branches(self.round, count, &shared));
        let bead = |n: usize| output(&mut self.world.gt(&["bead", "q", &format!("Work {n}")])).trim().to_owned();
        (0..count).map(|n| (bead(n), format!("b{}-{n}", self.round))).collect()
    }

    /// Milliseconds of one durable write: how busy the machine is.
    fn create(&self) -> f64 {
        timed(&mut self.world.gt(&["create", "Beside"]))
    }

    fn submit(&self, (bead, branch): &(String, String)) {
        timed(&mut self.world.gt(&["mq", "submit", bead, branch]));
    }

    /// Milliseconds that gates ran since the clock was last read, and when the last one ended; how many there were.
    fn gates(&self) -> (f64, f64, usize) {
        let text = std::fs::read_to_string(&self.clock).unwrap_or_default();
        let _ = std::fs::remove_file(&self.clock);
        let stamps: Vec<f64> = text.lines().map(|line| line.parse::<f64>().unwrap() / 1e6).collect();
        let ran = stamps.chunks_exact(2).map(|pair| pair[1] - pair[0]).sum();
        (ran, stamps.last().copied().unwrap_or(f64::NAN), stamps.len() / 2)
    }

    fn tip(&self) -> String {
        std::fs::read_to_string(self.world.repo().join("refs/heads/main")).unwrap()
    }
}

/// A queue that is being worked, and the lines that it tells, each with its moment.
struct Refinery {
    child: Child,
    lines: Receiver<(f64, String)>,
}

impl Refinery {
    fn start(stage: &Stage<'_>) -> Self {
        let mut command = stage.world.gt(&["mq", "run", "--rig", "widgets"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).stdin(Stdio::null()).spawn().unwrap();
        let (sender, lines) = channel();
        let said = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || said.lines().map_while(Result::ok).try_for_each(|line| sender.send((now(), line))));
        // It rests before anything is handed in.
        std::thread::sleep(Duration::from_millis(500));
        Self { child, lines }
    }

    /// Waits until `count` requests have landed, looking at the target all the time.
    fn landed(&self, stage: &Stage<'_>, before: &str, count: usize) -> Landing {
        let (begin, mut landing, mut landed) =
            (Instant::now(), Landing { stacked: f64::NAN, moved: f64::NAN, told: f64::NAN }, 0);
        let mut tip = before.to_owned();
        while landed < count {
            let now_at = stage.tip();
            if now_at != tip {
                landing.moved = now();
                tip = now_at;
            }
            while let Ok((at, line)) = self.lines.try_recv() {
                landed += usize::from(line.starts_with("landed "));
                landing.told = at;
                if line.starts_with("stacked ") {
                    landing.stacked = at.min(landing.stacked);
                }
            }
            let queue = || output(&mut stage.world.gt(&["mq", "list"]));
            assert!(begin.elapsed() < WAIT, "{landed} of {count} landed: {}", queue());
            std::thread::sleep(Duration::from_micros(200));
        }
        landing
    }
}

impl Drop for Refinery {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All of them.
pub fn all(place: &Place, report: &mut Report) {
    let mut stage = Stage::new(place);
    one_by_one(&mut stage, report);
    at_once(&mut stage, report);
    after_a_kill(&mut stage, report);
}

fn row(report: &mut Report, what: &str, times: &[f64], creates: &[f64], bar: Bar) {
    let pair = (times.to_vec(), creates.to_vec());
    let row = Row::of(&format!("{what}, {FILES} files"), 0, &pair, "gt create, just before", bar);
    report.row(row);
}

/// Each handed in when nothing else waits.
fn one_by_one(stage: &mut Stage<'_>, report: &mut Report) {
    let count = if stage.world.place.quick { 11 } else { 31 };
    for (gate, called) in [(":", "a gate that does nothing"), ("sleep 0.2", "a gate of 0.2 s")] {
        stage.set_gate(gate);
        let work = stage.work(count);
        let refinery = Refinery::start(stage);
        stage.gates();
        let (mut moves, mut waits, mut creates) = (Vec::new(), Vec::new(), Vec::new());
        for one in &work {
            creates.push(stage.create());
            let (before, begin) = (stage.tip(), now());
            stage.submit(one);
            let landing = refinery.landed(stage, &before, 1);
            let (ran, ended, _) = stage.gates();
            moves.push(landing.moved - ended);
            waits.push(landing.told - begin - ran);
        }
        row(report, &format!("{called}: its end → target moved"), &moves, &creates, Bar::Most(50.0));
        row(report, &format!("{called}: handed in → landed, without its time"), &waits, &creates, Bar::Most(100.0));
    }
}

/// All handed in before the first is looked at.
fn at_once(stage: &mut Stage<'_>, report: &mut Report) {
    stage.set_gate(":");
    let (mut stacks, mut moves, mut waits, mut creates) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..if stage.world.place.quick { 3 } else { 9 } {
        timed(&mut stage.world.gt(&["mq", "pause", "--rig", "widgets", "-m", "until all are here"]));
        stage.work(BRANCHES).iter().for_each(|one| stage.submit(one));
        let refinery = Refinery::start(stage);
        stage.gates();
        creates.push(stage.create());
        let (before, begin) = (stage.tip(), now());
        timed(&mut stage.world.gt(&["mq", "resume", "--rig", "widgets"]));
        let landing = refinery.landed(stage, &before, BRANCHES);
        stacks.push((landing.stacked - begin) / f64::from(u32::try_from(BRANCHES).unwrap()));
        let (ran, ended, _) = stage.gates();
        moves.push(landing.moved - ended);
        waits.push(landing.told - begin - ran);
    }
    row(report, &format!("{BRANCHES} at once: let go → stacked, an MR"), &stacks, &creates, Bar::Most(6.0));
    row(report, &format!("{BRANCHES} at once: the last gate's end → target moved"), &moves, &creates, Bar::None);
    row(report, &format!("{BRANCHES} at once: let go → all landed, without gates"), &waits, &creates, Bar::None);
}

/// The run after one that was killed while it landed.
fn after_a_kill(stage: &mut Stage<'_>, report: &mut Report) {
    let once = ["mq", "run", "--once", "--rig", "widgets"];
    let (mut times, mut creates) = (Vec::new(), Vec::new());
    let mut is_sound = true;
    for step in STEPS.into_iter().cycle().take(STEPS.len() * if stage.world.place.quick { 2 } else { 5 }) {
        stage.work(4).iter().for_each(|one| stage.submit(one));
        let before = stage.tip();
        let mut killed = stage.world.gt(&once);
        killed.env("GT_SEED", stage.round.to_string()).env("GT_CRASH_AT", format!("{step}:1"));
        assert!(!killed.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success(), "{step} was never reached");
        let runs = stage.gates().2;
        creates.push(stage.create());
        times.push(timed(&mut stage.world.gt(&once)));
        is_sound &= runs == 1 && stage.gates().2 == 0 && stage.tip() != before;
        let locks = walkdir::WalkDir::new(stage.world.repo().join("refs")).into_iter().filter_map(Result::ok);
        is_sound &= !locks.into_iter().any(|entry| entry.path().extension().is_some_and(|end| end == "lock"));
    }
    report.fact("after a kill at each step of landing no gate ran again and no lock was left", is_sound);
    row(report, "killed while 4 land: the next gt mq run --once", &times, &creates, Bar::Most(1000.0));
}
