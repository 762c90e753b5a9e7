//! Rows of `gt sync` of one rig over a path, beside git fetching and pushing the same ref.
//!
//! git's repository has the configuration of gt's own, `core.fsync=all` among it: both promise the same.

use std::path::{Path, PathBuf};

use gastown::git::init::init_bare;
use gastown::ledger::{Ledger, tree};

use crate::report::{Bar, Report, Row};
use crate::times::{pairs, timed};
use crate::world::World;

/// A hub, git's own replica, and a third that changes things.
struct Round {
    hub: PathBuf,
    git: PathBuf,
    other: PathBuf,
}

impl Round {
    fn new(world: &World<'_>) -> Self {
        let round = Self { hub: world.path("hub.git"), git: world.path("git.git"), other: world.path("other.git") };
        for dir in [&round.hub, &round.git, &round.other] {
            init_bare(dir, "main").unwrap();
            share_packs(&world.repo(), dir);
            fetch(world, dir, &world.repo());
        }
        timed(&mut world.gt(&["remote", "add", "hub", round.hub.to_str().unwrap(), "--rig", "widgets"]));
        timed(&mut world.gt(&["sync", "--rig", "widgets"]));
        round
    }

    /// `count` changes at the third, a commit each, pushed to the hub.
    fn change_elsewhere(&self, world: &mut World<'_>, count: usize, n: usize) {
        fetch(world, &self.other, &self.hub);
        let ledger = Ledger::open(&self.other, "other").unwrap();
        (0..count).for_each(|k| world.retitle(&ledger, n * 101 + k * 17));
        push(world, &self.other, &self.hub);
    }
}

/// Gives the packs of `from` to `to` too, so that its first fetch is short.
pub fn share_packs(from: &Path, to: &Path) {
    let packs = to.join("objects/pack");
    std::fs::create_dir_all(&packs).unwrap();
    for entry in std::fs::read_dir(from.join("objects/pack")).unwrap().filter_map(Result::ok) {
        std::fs::hard_link(entry.path(), packs.join(entry.file_name())).unwrap();
    }
}

fn refspec() -> String {
    format!("+{}:{}", tree::LEDGER, tree::LEDGER)
}

fn fetch(world: &World<'_>, into: &Path, from: &Path) -> f64 {
    timed(&mut world.place.git(into, &["fetch", "-q", "--no-tags", from.to_str().unwrap(), &refspec()]))
}

fn push(world: &World<'_>, from: &Path, to: &Path) -> f64 {
    timed(&mut world.place.git(from, &["push", "-q", to.to_str().unwrap(), &format!("{}:{}", tree::LEDGER, tree::LEDGER)]))
}

fn sync(world: &World<'_>) -> f64 {
    timed(&mut world.gt(&["sync", "--rig", "widgets"]))
}

/// Nothing new, incoming, outgoing.
pub fn all(world: &mut World<'_>, report: &mut Report) {
    let round = Round::new(world);
    let scale = world.scale;
    let times = pairs(world.pairs, |_| sync(world), |_| fetch(world, &round.git, &round.hub));
    report.row(Row::of("gt sync, nothing new", scale, &times, "git fetch of that ref", Bar::Times(1.2)));

    for (count, times) in [(1, world.pairs / 2), (100, if world.place.quick { 3 } else { 9 })] {
        let (mut ours, mut git) = (Vec::new(), Vec::new());
        for n in 0..times {
            round.change_elsewhere(world, count, n);
            if n % 2 == 0 {
                ours.push(sync(world));
                git.push(fetch(world, &round.git, &round.hub));
            } else {
                git.push(fetch(world, &round.git, &round.hub));
                ours.push(sync(world));
            }
        }
        let what = format!("gt sync, {count} incoming");
        report.row(Row::of(&what, scale, &(ours, git), "git fetch of that ref", Bar::Times(1.2)));
    }
    let here = world.ledger().tip().unwrap();
    let there = Ledger::open(&round.hub, "other").unwrap().tip().unwrap();
    report.fact(format!("{scale}: after incoming changes both sides hold the same"), here == there);

    let (mut ours, mut git) = (Vec::new(), Vec::new());
    for n in 0..world.pairs / 2 {
        let ledger = world.ledger();
        world.retitle(&ledger, n * 37);
        ours.push(sync(world));
        fetch(world, &round.git, &round.hub);
        let ledger = Ledger::open(&round.git, "git").unwrap();
        world.retitle(&ledger, n * 41);
        let incoming =
            timed(&mut world.place.git(&round.git, &["fetch", "-q", "--no-tags", round.hub.to_str().unwrap(), tree::LEDGER]));
        git.push(incoming + push(world, &round.git, &round.hub));
        sync(world);
    }
    report.row(Row::of("gt sync, 1 outgoing", scale, &(ours, git), "git fetch + git push", Bar::Times(1.2)));
}
