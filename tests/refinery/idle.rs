//! Gates that run again while nothing waits: where they contradicted themselves, then on the tip, within their budget.

use gastown::model::gate::{GateRun, Verdict};
use gastown::ops::refinery::{self, Event};
use gastown::time::Moment;

use super::world::World;

/// A world whose gate tells each run, and fails when it is told to.
fn world(idle_runs: &str) -> World {
    let world = World::new();
    let fails = world.base().join("fails");
    world.gate("test", &format!("echo >> {}; test ! -e {}", world.tally().display(), fails.display()));
    world.set("mq.idle_runs", idle_runs);
    world
}

/// Makes all runs so many hours older.
fn age(world: &World, hours: i64) {
    let paths: Vec<String> =
        world.rig().ledger.state().unwrap().paths("queue/gates").unwrap().into_iter().map(|(path, _)| path).collect();
    world.change(|change| {
        for path in &paths {
            let mut run: GateRun = change.get(path)?.unwrap();
            run.at = Moment::from_millis(run.at.millis() - hours * 3_600_000);
            change.put(path, &run)?;
        }
        Ok(())
    });
}

fn look(world: &World) -> (bool, Vec<Event>) {
    let mut events = Vec::new();
    let ran = refinery::look_again(&world.town(), &world.rig(), &mut |event| events.push(event.clone())).unwrap();
    (ran, events)
}

#[test]
fn the_tip_is_gated_again_once_an_hour_and_never_unless_that_is_wanted() {
    let mut idle = world("0");
    idle.request("a", &[("a", "x\n")]);
    idle.run().unwrap();
    age(&idle, 2);
    assert!(!look(&idle).0, "nobody asked for it");
    idle.set("mq.idle_runs", "5");
    assert!(look(&idle).0);
    assert_eq!(idle.tallied(), 2);
    assert!(!look(&idle).0, "it was asked this hour");
    age(&idle, 1);
    std::fs::write(idle.base().join("fails"), "").unwrap();
    let (ran, events) = look(&idle);
    assert!(
        ran && events.iter().any(|event| matches!(event, Event::FalseGreen { gates, .. } if gates == &["test"])),
        "{events:?}"
    );
    let last = idle.recorded().pop().unwrap();
    assert_eq!((last.verdict, last.by.as_deref()), (Verdict::Red, Some("widgets/refinery")));
}

#[test]
fn a_gate_that_said_both_is_asked_first_and_the_budget_ends_it() {
    let mut world = world("1");
    world.request("a", &[("a", "x\n")]);
    std::fs::write(world.base().join("fails"), "").unwrap();
    // Red twice, and then the flake is over.
    let fails = world.base().join("fails");
    let counted = world.tally();
    world.gate("test", &format!("echo >> {0}; test $(wc -l < {0}) -gt 1 -o ! -e {1}", counted.display(), fails.display()));
    world.run().unwrap();
    let doubted = world.recorded().into_iter().find(|run| run.verdict == Verdict::Red).unwrap();
    world.request("b", &[("b", "x\n")]);
    world.run().unwrap();
    age(&world, 2);
    let before = world.recorded().len();
    assert!(look(&world).0);
    let runs = world.recorded();
    assert_eq!((runs.len(), &runs[before].tree), (before + 1, &doubted.tree), "the flake is looked into before the tip");
    assert!(!look(&world).0, "one run an hour is all");
    age(&world, 1);
    assert!(look(&world).0);
}
