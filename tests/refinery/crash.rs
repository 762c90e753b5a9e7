//! A queue whose process is killed at any step is repaired by the next run, with no gate run twice.

use std::process::Command;

use gastown::model::bead::Status;
use gastown::model::merge_request::MrState;
use gastown::ops::refinery;
use gastown::store::refs::start_time_of;

use super::world::World;

const STEPS: [&str; 9] = [
    "land.gated",
    "land.pinned",
    "land.intent",
    "land.checked",
    "land.moved",
    "land.recorded",
    "ledger.objects",
    "store.staged",
    "store.ref.locked",
];

/// Not a test of its own: works the queue of the world named by the environment, in a process that may be killed.
#[test]
#[ignore = "the child of the crash tests"]
fn child() {
    let Some(base) = std::env::var_os("GT_TEST_WORLD") else { return };
    let world = World::reopen(base.as_ref());
    let _ = refinery::run(&world.town(), &world.rig(), &mut |_| {});
}

/// Works the queue in a process that is killed when it reaches `step` for the `n`th time; tells whether it was.
pub fn run_and_kill(world: &World, step: &str, n: u32) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "refinery::crash::child"]);
    child.env("GT_TEST_WORLD", world.base()).env("GT_SEED", "5").env("GT_CRASH_AT", format!("{step}:{n}"));
    !child.output().unwrap().status.success()
}

fn lands_after_a_kill(step: &str, n: u32) -> bool {
    let mut world = World::new();
    let tally = world.tally().display().to_string();
    world.gate("test", &format!("echo >> {tally}; test ! -e bad"));
    let (bead, mr) = world.request("a", &[("a", "x\n")]);
    let (_, other) = world.request("b", &[("b", "x\n")]);
    let was_killed = run_and_kill(&world, step, n);
    let runs_before = world.rig().ledger.state().unwrap().gate_runs().unwrap().len();
    let watch = gastown::time::Stopwatch::start();
    world.run().unwrap();
    assert!(watch.millis() < 10_000, "{step}:{n} took {} ms to recover", watch.millis());
    assert_eq!(world.mr(&mr).state, MrState::Landed, "{step}:{n} {:#?}", world.lines());
    assert_eq!(world.mr(&other).state, MrState::Landed, "{step}:{n}");
    assert_eq!(world.show(&bead).status, Status::Closed);
    assert_eq!(world.mail().len(), 2, "{step}:{n}: one MERGED each, not more");
    if runs_before > 0 {
        assert_eq!(world.tallied(), 1, "{step}:{n}: a finished gate ran again");
    }
    world.is_sound();
    was_killed
}

#[test]
fn a_landing_killed_at_any_step_is_finished_by_the_next_run() {
    for step in STEPS {
        assert!(lands_after_a_kill(step, 1), "{step} was never reached");
    }
}

#[test]
fn a_landing_killed_at_any_write_is_finished_by_the_next_run() {
    for n in 2..6 {
        for step in ["ledger.objects", "store.ref.locked"] {
            lands_after_a_kill(step, n);
        }
    }
}

#[test]
fn a_landing_whose_target_moved_elsewhere_after_the_kill_is_called_off_and_done_anew() {
    let mut world = World::with_gate();
    let (_, mr) = world.request("a", &[("a", "x\n")]);
    assert!(run_and_kill(&world, "land.intent", 1));
    assert_eq!(world.mr(&mr).state, MrState::Landing);
    let hand = world.push_main(&[("hand", "x\n")]);
    world.run().unwrap();
    assert_eq!(world.mr(&mr).state, MrState::Landed);
    assert_eq!(super::world::git(&world.repo(), &["rev-parse", "main~1"]), hand);
    assert!(world.lines()[0].contains("called off"), "{:#?}", world.lines());
    world.is_sound();
}

#[test]
fn an_eviction_killed_before_it_is_recorded_is_done_by_the_next_run_with_what_was_learnt() {
    let mut world = World::new();
    let tally = world.tally().display().to_string();
    world.gate("test", &format!("echo >> {tally}; test ! -e bad"));
    let (bead, mr) = world.request("bad", &[("bad", "x\n")]);
    assert!(run_and_kill(&world, "land.gated", 2));
    let before = world.tallied();
    world.run().unwrap();
    assert_eq!((world.mr(&mr).state, world.show(&bead).status), (MrState::Evicted, Status::Open));
    // Two reds were known; only the target itself was still to be gated.
    assert_eq!(world.tallied(), before + 1);
    assert_eq!(world.mail().len(), 1);
}

#[test]
fn an_eviction_killed_after_its_evidence_was_pinned_is_done_on_another_tip() {
    let mut world = World::with_gate();
    let (bead, mr) = world.request("bad", &[("bad", "x\n")]);
    assert!(run_and_kill(&world, "evict.pinned", 1));
    world.push_main(&[("hand", "x\n")]);
    world.run().unwrap();
    assert_eq!((world.mr(&mr).state, world.show(&bead).status), (MrState::Evicted, Status::Open));
    let evidence = world.mr(&mr).blame.unwrap().stack_commit;
    assert_eq!(super::world::git(&world.repo(), &["rev-parse", &format!("refs/gt/evidence/{mr}")]), evidence);
}

/// Works the queue in a process that is killed from outside when `file` is there.
pub fn run_and_kill_when_there(world: &World, file: &std::path::Path) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "refinery::crash::child"]).env("GT_TEST_WORLD", world.base());
    let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let watch = gastown::time::Stopwatch::start();
    while !file.exists() {
        assert!(watch.millis() < 60_000, "waited in vain for {}", file.display());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_queue_killed_while_gates_run_ends_them_and_runs_no_finished_gate_again() {
    let mut world = World::new();
    let (tally, pid) = (world.tally().display().to_string(), world.base().join("pid"));
    world.gate("lint", &format!("echo >> {tally}"));
    world.gate("test", &format!("test -e {0} || {{ echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600; }}", pid.display()));
    let mrs: Vec<_> = world.requests(&["a", "b"]);
    run_and_kill_when_there(&world, &pid);
    let gate: u32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    assert!(start_time_of(gate).is_some(), "the gate outlived the queue");
    assert_eq!(world.run().unwrap().landed, mrs);
    // It is ended; when its number is free only init knows.
    let watch = gastown::time::Stopwatch::start();
    while start_time_of(gate).is_some() {
        assert!(watch.millis() < 10_000, "what the dead left running goes on");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(world.tallied(), 1, "a finished gate ran again: {:#?}", world.lines());
    world.is_sound();
}
