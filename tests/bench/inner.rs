//! The inner parts, in this process: medians of many rounds.

use gastown::ledger::index::{Catalog, Query, Row as Bead};
use gastown::ledger::merge::{self, Join};
use gastown::ledger::{Ledger, diff, tree};
use gastown::model::bead::Status;
use gastown::model::brief::Facts as _;

use crate::report::{Bar, Report, Row};
use crate::times::{median, millis, timed};
use crate::world::{AGENT, World};

/// Differences of so many records are looked at and merged.
const CHANGES: [usize; 2] = [1, 100];

/// Transaction, read, index, diff and merge.
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

    indexes(world, report, &ledger, rounds);
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

/// Updates of the index and questions to it.
fn indexes(world: &mut World<'_>, report: &mut Report, ledger: &Ledger, rounds: usize) {
    let first = |catalog: &Catalog| {
        let is_open = |row: Bead<'_>| *row.status() == Status::Open && catalog.is_unblocked(row) == Some(true);
        let (rows, total) = catalog.first(50, is_open, |row| (row.priority(), row.created_at()));
        assert!(rows.len() == total.min(50) && rows.iter().all(|(_, row)| row.brief().is_some()));
    };
    drop(ledger.state().unwrap().catalog().unwrap());
    add(report, world, "index, opened", rounds, |_, _| drop(ledger.state().unwrap().catalog().unwrap()));
    add(report, world, "index, opened and the first 50 ready", rounds, |_, _| first(&ledger.state().unwrap().catalog().unwrap()));
    let catalog = ledger.state().unwrap().catalog().unwrap();
    add(report, world, "the first 50 ready of an open index", rounds, |_, _| first(&catalog));
    let times: Vec<f64> = (0..rounds)
        .map(|n| {
            world.retitle(ledger, n * 41);
            millis(|| drop(ledger.state().unwrap().catalog().unwrap())).0
        })
        .collect();
    report.row(row("index, brought up to one change", world.scale, rounds, median(&times)));
    add(report, world, "index, unread letters of one mailbox", rounds, |_, _| {
        assert!(!ledger.state().unwrap().unread(&AGENT.parse().unwrap()).unwrap().letters.is_empty());
    });
    let query = Query::new(&["title".to_owned()]).unwrap();
    drop(ledger.state().unwrap().hits(&query).unwrap());
    add(report, world, "full text, one word", rounds / 4, |_, _| drop(ledger.state().unwrap().hits(&query).unwrap()));
    add(report, world, "index, made anew", 3, |_, _| assert!(ledger.reindex().unwrap().beads > 0));
}

fn row(what: &str, scale: usize, count: usize, ours: f64) -> Row {
    Row { what: what.to_owned(), scale, count, ours, beside: None, beside_is: "–".into(), unit: "ms", bar: Bar::None }
}

fn add(report: &mut Report, world: &mut World<'_>, what: &str, rounds: usize, mut work: impl FnMut(&mut World<'_>, usize)) {
    let times: Vec<f64> = (0..rounds).map(|n| millis(|| work(world, n)).0).collect();
    report.row(row(what, world.scale, times.len(), median(&times)));
}
