//! Rows of a tracker at its usual size: 10,000 beads with 20,000 dependencies.

use gastown::ledger::tree;
use gastown::model::bead::{Bead, DependencyKind};

use crate::report::{Bar, Report, Row};
use crate::times::{output, pairs, timed};
use crate::world::{Place, World};
use crate::writes::Raw;

/// Beads, and dependencies of each.
const BEADS: usize = 10_000;
/// How deep the deepest chain of dependencies is.
const DEPTH: usize = 50;

/// All of them.
pub fn all(place: &Place, report: &mut Report) {
    let mut world = World::connected(place, if place.quick { 1_000 } else { BEADS }, DEPTH + 1);
    let last = world.ids[world.ids.len() - 1].to_string();
    let deep = output(&mut world.gt(&["bead", "dep", "tree", &last, "--depth", "60"])).lines().count();
    report.fact(format!("the tree of a chain of {DEPTH} has {deep} lines"), deep > DEPTH);
    let reads: [(&str, &[&str], f64); 5] = [
        ("gt ready", &["ready"], 4.0),
        ("gt list --status open --label X", &["list", "--status", "open", "--label", "area-3"], 4.0),
        ("gt bead dep tree, depth 50", &["bead", "dep", "tree", &last, "--depth", "60"], 10.0),
        ("gt search TEXT", &["search", "pressure gauge"], 15.0),
        ("gt stats --group-by model", &["stats", "--group-by", "model"], 100.0),
    ];
    for (what, args, most) in reads {
        // Whoever comes first brings the index up to date.
        timed(&mut world.gt(args));
        let git = |_| timed(&mut world.git(&["rev-parse", tree::LEDGER]));
        let times = pairs(world.pairs, |_| timed(&mut world.gt(args)), git);
        row(report, &world, what, &times, "git rev-parse REF", most);
    }
    depend(&mut world, report);
    exchange(&world, report);
}

fn row(report: &mut Report, world: &World<'_>, what: &str, times: &(Vec<f64>, Vec<f64>), beside: &str, most: f64) {
    let bar = if world.place.quick { Bar::None } else { Bar::Most(most) };
    report.row(Row::of(&format!("{what}, 2 dependencies a bead"), world.scale, times, beside, bar));
}

/// One dependency more, which must not close a ring.
fn depend(world: &mut World<'_>, report: &mut Report) {
    let open = output(&mut world.gt(&["list", "--status", "open", "--limit", "0", "--format", "{id}"]));
    let open: Vec<&str> = open.lines().collect();
    let half = world.ids.len() / 2;
    let newer: Vec<&str> = open.into_iter().filter(|id| world.ids[half..].iter().any(|one| one.as_str() == *id)).collect();
    let raw = Raw::new(world.path("raw"));
    let times = pairs(
        world.pairs.min(newer.len()),
        |n| timed(&mut world.gt(&["bead", "dep", "add", newer[n], world.ids[n * 11].as_str()])),
        |n| raw.write(n),
    );
    row(report, world, "gt bead dep add, durable", &times, "five files and a ref, each synced", 10.0);
    let (a, b) = (newer[0], world.ids[0].as_str());
    let ring = world.gt(&["bead", "dep", "add", b, a]).output().unwrap();
    report.fact("a dependency that closes a ring is refused".to_owned(), ring.status.code() == Some(4));
}

/// Out and in again.
fn exchange(world: &World<'_>, report: &mut Report) {
    let file = world.path("exported.jsonl");
    let out = ["bead", "export", "--rig", "widgets", "-o", file.to_str().unwrap()];
    let rounds = if world.place.quick { 3 } else { 11 };
    let git = |_| timed(&mut world.git(&["cat-file", "--batch-check", "--batch-all-objects", "--unordered"]));
    let times = pairs(rounds, |_| timed(&mut world.gt(&out)), git);
    row(report, world, "gt bead export", &times, "git cat-file --batch-check of all objects", 250.0);
    let lines = std::fs::read_to_string(&file).unwrap();
    let beads: Vec<Bead> = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let edges = beads.iter().flat_map(|bead| &bead.dependencies).filter(|edge| edge.kind == DependencyKind::Blocks).count();
    let there = format!("{} lines with {edges} dependencies were exported", beads.len());
    report.fact(there, beads.len() >= world.scale && edges >= 2 * (world.scale - DEPTH) - 100);

    let (mut ours, mut beside) = (Vec::new(), Vec::new());
    for n in 0..if world.place.quick { 1 } else { 5 } {
        let fresh = World::empty(world.place, &format!("fresh{n}"), 20);
        let import = timed(&mut fresh.gt(&["bead", "import", file.to_str().unwrap()]));
        ours.push(import);
        beside.push(timed(&mut world.git(&["rev-parse", tree::LEDGER])));
        let found = fresh.count_beads();
        report.fact(format!("of {} beads {found} are there after an import", beads.len()), found >= beads.len());
    }
    row(report, world, "gt bead import", &(ours, beside), "git rev-parse REF", 600.0);
}
