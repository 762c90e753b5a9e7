//! The inner parts, in this process: medians of many rounds.

use gastown::ledger::merge::{self, Join};
use gastown::ledger::{Ledger, diff, tree};

use crate::report::{Bar, Report, Row};
use crate::times::{median, millis, timed};
use crate::world::World;

/// Differences of so many records are looked at and merged.
const CHANGES: [usize; 2] = [1, 100];

/// Transaction, read, diff and merge.
pub fn all(world: &mut World<'_>, report: &mut Report) {
    let rounds = if world.place.quick { 21 } else { 201 };
    let ledger = world.ledger();
    add(report, world, "open a ledger", rounds, |world, _| drop(world.ledger()));
    add(report, world, "open a ledger and read one bead", rounds, |world, n| {
        drop(world.ledger().state().unwrap().bead(world.any(n)).unwrap());
    });
    add(report, world, "read one bead", rounds, |world, n| {
        drop(ledger.state().unwrap().bead(world.any(n)).unwrap());
    });
    add(report, world, "transact, one record, durable", rounds, |world, n| world.retitle(&ledger, n * 31));
    timed(&mut world.git(&["config", "gt.durability", "none"]));
    let ledger = world.ledger();
    add(report, world, "transact, one record, durability=none", rounds, |world, n| world.retitle(&ledger, n * 37));

    for count in CHANGES {
        let base = ledger.tip().unwrap().unwrap();
        let tips = [0, 1].map(|side| {
            let side_of = Ledger::open(&world.repo(), &format!("side{side}")).unwrap();
            timed(&mut world.git(&["update-ref", tree::LEDGER, &base.to_string()]));
            (0..count).for_each(|n| world.retitle(&side_of, side * 5_000 + n * 43));
            side_of.tip().unwrap().unwrap()
        });
        let trees = [base, tips[0]].map(|tip| ledger.state_at(tip).unwrap().tree());
        let what = format!("diff of two states, {count} records apart");
        add(report, world, &what, rounds, |_, _| {
            let changes = diff::changes(ledger.store.records().unwrap(), trees[0], trees[1]).unwrap();
            assert!(!changes.is_empty() && changes.len() <= count);
        });
        let what = format!("merge of two states, {count} records each");
        add(report, world, &what, rounds / 4, |_, _| {
            drop(merge::merge(&ledger.store, tips[0], tips[1], Join::Related).unwrap());
        });
    }
    timed(&mut world.git(&["config", "--unset", "gt.durability"]));
}

fn add(report: &mut Report, world: &mut World<'_>, what: &str, rounds: usize, mut work: impl FnMut(&mut World<'_>, usize)) {
    let times: Vec<f64> = (0..rounds).map(|n| millis(|| work(world, n)).0).collect();
    report.row(Row {
        what: what.to_owned(),
        scale: world.scale,
        count: times.len(),
        ours: median(&times),
        beside: None,
        beside_is: "–".into(),
        unit: "ms",
        bar: Bar::None,
    });
}
