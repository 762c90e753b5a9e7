//! What happens to a run when the queue changes under it, and to the others when one of them is not as it should be.

use std::path::Path;

use gastown::model::merge_request::MrState;
use gastown::ops::refinery::{self, Event};
use gastown::store::refs::start_time_of;
use gastown::time::Stopwatch;

use super::world::{World, git};

/// How long nobody may wait for a run that nobody wants.
const MILLIS_MAX: u64 = 30_000;

/// A gate that never ends on a tree with the file `slow`, and writes down its process then.
fn slow(world: &World) -> std::path::PathBuf {
    let pid = world.base().join("pid");
    world.gate("test", &format!("test ! -e slow || {{ echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600; }}", pid.display()));
    pid
}

/// Waits until the gate has begun, from another thread, and then has it `happen`.
pub fn when_there(file: &Path, happen: impl FnOnce() + Send) {
    let watch = Stopwatch::start();
    while !file.exists() {
        assert!(watch.millis() < MILLIS_MAX, "the gate never began");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    happen();
}

fn ended(pid: &Path) -> bool {
    let pid = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    let watch = Stopwatch::start();
    while start_time_of(pid).is_some() && watch.millis() < MILLIS_MAX {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    start_time_of(pid).is_none()
}

#[test]
fn a_head_that_moves_while_it_is_tested_ends_that_test_and_the_new_head_lands() {
    let world = World::new();
    let pid = slow(&world);
    let (bead, old) = world.request("work", &[("slow", "x\n")]);
    let (_, other) = world.request("other", &[("other", "x\n")]);
    world.branch("work", "main", &[("quick", "x\n")]);
    let watch = Stopwatch::start();
    let (base, branch) = (world.base().to_owned(), World::submission(&bead, "work"));
    let (drained, new) = std::thread::scope(|scope| {
        let moved = scope.spawn(|| {
            let mut new = None;
            when_there(&pid, || new = Some(World::reopen(&base).file(&branch).unwrap()));
            new.unwrap()
        });
        (refinery::run(&world.town(), &world.rig(), &mut |_| {}).unwrap(), moved.join().unwrap())
    });
    assert!(watch.millis() < MILLIS_MAX);
    assert_eq!((world.mr(&old).state, drained.landed), (MrState::Superseded, vec![other, new]));
    assert!(ended(&pid), "the gate of the old head goes on");
    assert!(world.recorded().iter().all(|run| !run.stack.contains(&old)), "what was called off says nothing");
    world.is_sound();
}

#[test]
fn one_of_a_pair_is_withdrawn_while_both_are_tested_and_the_other_lands_at_once() {
    let world = World::new();
    let pid = slow(&world);
    let (_, first) = world.request("a", &[("slow", "x\n")]);
    let (_, second) = world.request("b", &[("b", "x\n")]);
    let watch = Stopwatch::start();
    let base = world.base().to_owned();
    let drained = std::thread::scope(|scope| {
        scope.spawn(|| {
            when_there(&pid, || {
                let world = World::reopen(&base);
                refinery::withdraw(&world.town_as("overseer"), &world.rig(), &first, "").unwrap();
            });
        });
        refinery::run(&world.town(), &world.rig(), &mut |_| {}).unwrap()
    });
    assert!(watch.millis() < MILLIS_MAX);
    assert_eq!((drained.landed, drained.evicted.len()), (vec![second], 0));
    assert!(ended(&pid), "the gate of both goes on");
    world.is_sound();
}

#[test]
fn a_head_that_is_nowhere_is_told_and_the_others_land() {
    let mut world = World::with_gate();
    let mrs = world.requests(&["a", "gone", "c"]);
    let head = world.mr(&mrs[1]).head;
    git(&world.repo(), &["branch", "-q", "-D", "gone"]);
    git(&world.repo(), &["update-ref", "-d", &format!("refs/gt/mr/{}", mrs[1])]);
    std::fs::remove_file(world.repo().join("objects").join(&head[..2]).join(&head[2..])).unwrap();
    let drained = world.run().unwrap();
    assert_eq!(drained.landed, [mrs[0].clone(), mrs[2].clone()]);
    assert!(drained.evicted.is_empty() && drained.held.contains(&mrs[1]));
    assert!(world.events.iter().any(|event| matches!(event, Event::Held { mr, .. } if *mr == mrs[1])), "{:#?}", world.lines());
    assert_eq!(world.runs(), 1);
}

#[test]
fn two_bad_ones_that_know_nothing_of_each_other_leave_and_all_others_land() {
    for names in [["bad1", "b", "c", "bad2"], ["a", "bad1", "bad2", "d"], ["a", "bad1", "c", "bad2"]] {
        let mut world = World::new();
        world.gate("test", "! ls | grep -q bad");
        let mrs = world.requests(&names);
        let drained = world.run().unwrap();
        let (bad, good): (Vec<_>, Vec<_>) = names.iter().zip(&mrs).partition(|(name, _)| name.starts_with("bad"));
        let of = |ids: &[gastown::name::BeadId]| ids.iter().cloned().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(of(&drained.evicted), bad.into_iter().map(|(_, mr)| mr.clone()).collect(), "{names:?}");
        assert_eq!(of(&drained.landed), good.into_iter().map(|(_, mr)| mr.clone()).collect(), "{names:?}");
        world.is_sound();
    }
}

#[test]
fn a_batch_that_is_over_its_time_is_split_and_only_who_is_slow_alone_leaves_timed_out() {
    let mut world = World::new();
    world.gate("test", "test ! -e slow || exec sleep 60");
    world.set("gates.test.timeout", "300ms");
    let mrs = world.requests(&["a", "b", "slow", "d"]);
    let drained = world.run().unwrap();
    assert_eq!(drained.landed, [mrs[0].clone(), mrs[1].clone(), mrs[3].clone()]);
    assert_eq!(drained.evicted, [mrs[2].clone()]);
    assert!(world.mr(&mrs[2]).blame.unwrap().log_tail.contains("timed out"));
    world.is_sound();
}

#[test]
fn a_batch_whose_push_loses_the_race_is_tested_once_more_as_it_is_and_nobody_is_searched_for() {
    let mut world = World::new();
    let origin = world.with_origin();
    let hand = world.branch("hand", "main", &[("hand", "x\n")]);
    git(&world.work(), &["push", "-q", "origin", "hand"]);
    world.gate("test", "test ! -e bad");
    let first = "[ -e went ] || { touch went; env -u GIT_QUARANTINE_PATH git update-ref refs/heads/main";
    super::remote::write_hook(&origin, &format!("#!/bin/sh\n{first} {hand}; }}\n"));
    let mrs = world.requests(&["a", "b", "c"]);
    let drained = world.run().unwrap();
    assert_eq!((drained.landed, drained.evicted.len()), (mrs.clone(), 0), "{:#?}", world.lines());
    let told = world.events.iter().filter(|event| matches!(event, Event::Raced { .. })).count();
    let stacks: Vec<_> = world.recorded().into_iter().map(|run| run.stack).collect();
    assert_eq!((told, stacks), (1, vec![mrs.clone(), mrs]));
    assert_eq!(git(&origin, &["rev-parse", "main"]), world.tip("main"));
    world.is_sound();
}

#[test]
fn a_gate_that_is_only_reported_keeps_nobody_waiting_who_comes_while_it_runs() {
    let world = World::new();
    let (begun, go) = (world.base().join("begun"), world.base().join("go"));
    world.gate("test", "test ! -e bad");
    world.gate("slow", &format!("touch {}; until test -e {}; do sleep 0.02; done", begun.display(), go.display()));
    world.set("gates.slow.required", "false");
    world.set("gates.worktrees", "2");
    let (_, first) = world.request("a", &[("a", "x\n")]);
    let base = world.base().to_owned();
    let bead = world.bead("b");
    world.branch("b", "main", &[("b", "x\n")]);
    let filing = World::submission(&bead, "b");
    let second = std::thread::scope(|scope| {
        let later = scope.spawn(|| {
            let mut second = None;
            when_there(&begun, || second = Some(World::reopen(&base).file(&filing).unwrap()));
            let second = second.unwrap();
            let watch = Stopwatch::start();
            let lands = || World::reopen(&base).mr(&second).state == MrState::Landed;
            while !lands() && watch.millis() < MILLIS_MAX {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            let has_landed = lands();
            std::fs::write(&go, "").unwrap();
            (second, has_landed)
        });
        refinery::run(&world.town(), &world.rig(), &mut |_| {}).unwrap();
        later.join().unwrap()
    });
    assert!(second.1, "it waited for a gate that is only reported");
    assert_eq!([&first, &second.0].map(|mr| world.mr(mr).state), [MrState::Landed, MrState::Landed]);
    world.is_sound();
}

#[test]
fn plugins_that_cannot_be_read_keep_nothing_from_landing() {
    let mut world = World::with_gate();
    std::fs::write(world.rig_dir().join("plugins"), "no directory").unwrap();
    let mrs = world.requests(&["a"]);
    assert_eq!(world.run().unwrap().landed, mrs);
    assert!(world.lines().iter().any(|line| line.contains("plugins")), "{:#?}", world.lines());
}
