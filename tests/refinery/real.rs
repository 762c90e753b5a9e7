//! A long queue of a real repository, with known culprits, whose process is killed again and again.
//!
//! `cargo test` does it with 48 requests; with 325, more than 200 landings and every kill several times:
//! `GT_TEST_LONG=1 cargo test --test main -- refinery::real --include-ignored --nocapture`. `GT_TEST_SEED=N` gives another
//! project, other requests and other moments.

mod cast;
mod judge;
mod project;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use gastown::model::merge_request::MrState;
use gastown::ops::refinery;
use gastown::time::Stopwatch;

use cast::{Author, Player};
use judge::{Judge, Seen};

use super::world::World;

/// Where a run is killed from within, as [`gastown::env::crash_point`] names it.
const STEPS: [&str; 10] = [
    "land.gated",
    "land.pinned",
    "land.intent",
    "land.checked",
    "land.moved",
    "land.recorded",
    "evict.pinned",
    "ledger.objects",
    "store.staged",
    "store.ref.locked",
];
/// Most runs of one wave; far above what one takes.
const RUNS_MAX: usize = 400;
/// How long one run may take.
const RUN_MILLIS_MAX: u64 = 120_000;

/// How a run of the queue is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Blow {
    /// At the n-th time that it reaches a step.
    At(&'static str, usize),
    /// From outside, after so many milliseconds.
    After(u64),
    /// By itself.
    None,
}

/// Not a test of its own: works the queue of the world named by the environment, in a process that may be killed.
#[test]
#[ignore = "the child of the test below"]
fn child() {
    let Some(base) = std::env::var_os("GT_TEST_WORLD") else { return };
    let world = World::reopen(base.as_ref());
    refinery::run(&world.town(), &world.rig(), &mut |event| eprintln!("{}", event.line())).unwrap();
}

/// Works the queue in a process of its own. Tells what was seen of it.
fn run(world: &World, blow: &Blow, number: usize) -> Seen {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--nocapture", "--exact", "refinery::real::child"]).env("GT_TEST_WORLD", world.base());
    if let Blow::At(step, n) = blow {
        command.env("GT_SEED", number.to_string()).env("GT_CRASH_AT", format!("{step}:{n}"));
    }
    let log = std::fs::File::options().create(true).append(true).open(world.base().join("run.log")).unwrap();
    writeln!(&log, "-- run {number}: {blow:?}").unwrap();
    let mut child = command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null()).spawn().unwrap();
    let (watch, target) = (Stopwatch::start(), world.repo().join("refs/heads/main"));
    let mut tips: Vec<String> = Vec::new();
    let status = loop {
        let tip = std::fs::read_to_string(&target).unwrap().trim_end().to_owned();
        if tips.last() != Some(&tip) {
            tips.push(tip);
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(watch.millis() < RUN_MILLIS_MAX, "a run of the queue does not end");
        if matches!(blow, Blow::After(millis) if watch.millis() >= *millis) {
            child.kill().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    };
    assert!(status.success() || status.signal().is_some(), "{blow:?}");
    Seen { process: child.id().to_string(), was_killed: !status.success(), tips }
}

/// Tells the last of what runs and gates said, when the test fails.
struct Witness<'w>(&'w World);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        for file in [self.0.base().join("run.log"), self.0.tally()] {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            if std::thread::panicking() {
                eprintln!("{}\n", lines[lines.len().saturating_sub(80)..].join("\n"));
            }
        }
    }
}

/// How much was done.
#[derive(Debug, Default)]
struct Tally {
    requests: usize,
    landed: usize,
    runs: usize,
    kills: BTreeMap<&'static str, usize>,
}

impl Tally {
    fn kills(&self) -> usize {
        self.kills.values().sum()
    }
}

/// The next blow: each step in turn, then the same the second time that it is reached, and so on; some from outside.
fn blow(number: usize, random: &mut fastrand::Rng) -> Blow {
    if number % 5 == 4 {
        return Blow::After(random.u64(20..400));
    }
    let number = number - number / 5;
    Blow::At(STEPS[number % STEPS.len()], 1 + number / STEPS.len() % 3)
}

/// Works a wave to its end, with at most `kills_max` blows.
fn work(world: &World, judge: &mut Judge, author: &mut Author, tally: &mut Tally, (workers, kills_max): (usize, usize)) {
    for at in 0..RUNS_MAX {
        let blow = if at < kills_max { blow(tally.runs, &mut author.random) } else { Blow::None };
        let seen = run(world, &blow, tally.runs);
        tally.runs += 1;
        // What a kill cuts off between a gate's end and its record; beside another one that is called off it may be too.
        judge.look(world, &seen, if seen.was_killed || workers > 1 { workers } else { 0 });
        if !seen.was_killed {
            return;
        }
        let kind = match blow {
            Blow::At(step, _) => step,
            Blow::After(_) | Blow::None => "from outside",
        };
        *tally.kills.entry(kind).or_default() += 1;
        if author.random.u8(..12) == 0 {
            world.push_main(&[(&format!("by-hand/{}", tally.runs), "x\n")]);
            judge.moved_by_hand(world);
        }
    }
    panic!("the queue does not come to rest");
}

#[test]
fn a_long_queue_that_is_killed_at_every_step_lands_what_is_good_and_nothing_else() {
    let is_long = std::env::var_os("GT_TEST_LONG").is_some();
    let seed = std::env::var("GT_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_260_101);
    eprintln!("GT_TEST_SEED={seed}");
    let (waves, size, kills_max) = if is_long { (13, 25, 60) } else { (2, 24, 12) };
    let watch = Stopwatch::start();
    let world = World::new();
    judge::set_gate(&world);
    let _witness = Witness(&world);
    let mut author = Author::begin(&world, seed);
    let (mut tally, mut players, mut judge) = (Tally::default(), Vec::<Player>::new(), Judge::new(&world));
    for wave in 0..waves {
        let workers = [1, 3][wave % 2];
        world.set("mq.workers", &workers.to_string());
        let new = author.wave(&world, size);
        judge.moved_by_hand(&world);
        work(&world, &mut judge, &mut author, &mut tally, (workers, kills_max));
        judge::ended(&world, &new, workers);
        players.extend(new);
    }
    // Those of earlier waves stayed as they were.
    tally.requests = players.len();
    tally.landed = players.iter().filter(|player| world.mr(&player.mr).state == MrState::Landed).count();
    eprintln!("{tally:?}, {} commits on the target, {} kills, {} ms", judge.judged, tally.kills(), watch.millis());
    assert!(judge.begun > waves && judge.judged > waves, "what was looked for was not there to be seen");
    if is_long {
        assert!(STEPS.iter().all(|step| tally.kills.contains_key(step)), "{:?}", tally.kills);
        assert!(tally.landed >= 200, "{tally:?}");
    }
}
