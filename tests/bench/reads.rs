//! Rows of commands that only read.

use std::fs::File;
use std::process::Stdio;

use gastown::ledger::tree;

use crate::report::{Bar, Report, Row};
use crate::times::{output, pairs, timed, timed_ending};
use crate::world::{AGENT, World};

/// What a list may take with its index warm: at 10,000 beads and at 100,000.
fn list_bar(scale: usize) -> f64 {
    if scale <= 10_000 { 4.0 } else { 8.0 }
}

/// A bead by its id.
pub fn show(world: &mut World<'_>, report: &mut Report) {
    let times = pairs(
        world.pairs,
        |n| timed(&mut world.gt(&["show", world.any(n).as_str()])),
        |n| timed(&mut world.git(&["cat-file", "blob", &World::spec(&tree::bead(world.any(n)))])),
    );
    report.row(Row::of("gt show ID", world.scale, &times, "git cat-file blob REF:PATH", Bar::Plus(1.0)));
}

/// What can be started.
pub fn ready(world: &mut World<'_>, report: &mut Report) {
    list_rows(world, report, "gt ready", &["ready"]);
}

/// The first fifty open ones.
pub fn list(world: &mut World<'_>, report: &mut Report) {
    list_rows(world, report, "gt list --status open -n 50", &["list", "--status", "open", "-n", "50"]);
}

fn list_rows(world: &mut World<'_>, report: &mut Report, what: &str, args: &[&str]) {
    let (scale, bar) = (world.scale, list_bar(world.scale));
    let start = "git rev-parse REF";
    // Whoever comes first brings the index up to date.
    timed(&mut world.gt(args));
    let times = pairs(world.pairs, |_| timed(&mut world.gt(args)), |_| timed(&mut world.git(&["rev-parse", tree::LEDGER])));
    report.row(Row::of(what, scale, &times, start, Bar::Most(bar)));

    let ledger = world.ledger();
    let (mut after, mut plain) = (Vec::new(), Vec::new());
    for n in 0..world.pairs {
        world.retitle(&ledger, n * 31);
        after.push(timed(&mut world.gt(args)));
        plain.push(timed(&mut world.git(&["rev-parse", tree::LEDGER])));
    }
    let changed = format!("{what}, after one change elsewhere");
    report.row(Row::of(&changed, scale, &(after, plain), start, Bar::Most(2.0 * bar)));

    let blobs = world.path("blobs");
    let ids = output(&mut world.git(&["ls-tree", "-r", "--format=%(objectname)", tree::LEDGER, "beads/"]));
    std::fs::write(&blobs, ids).unwrap();
    let times = pairs(
        if world.place.quick { 3 } else { 7 },
        |_| {
            forget_index(world);
            timed(&mut world.gt(args))
        },
        |_| timed(world.git(&["cat-file", "--batch"]).stdin(Stdio::from(File::open(&blobs).unwrap()))),
    );
    let without = format!("{what}, without index");
    report.row(Row::of(&without, scale, &times, "git cat-file --batch of all beads", Bar::Times(1.2)));
}

/// All of the index made anew.
pub fn reindex(world: &mut World<'_>, report: &mut Report) {
    let blobs = world.path("all-blobs");
    let ids = output(&mut world.git(&["ls-tree", "-r", "--format=%(objectname)", tree::LEDGER, "beads/", "mail/"]));
    std::fs::write(&blobs, ids).unwrap();
    let times = pairs(
        if world.place.quick { 3 } else { 7 },
        |_| timed(&mut world.gt(&["reindex", "--rig", "widgets"])),
        |_| timed(world.git(&["cat-file", "--batch"]).stdin(Stdio::from(File::open(&blobs).unwrap()))),
    );
    report.row(Row::of("gt reindex", world.scale, &times, "git cat-file --batch of all beads and letters", Bar::None));
}

/// Removes what gt derived from the ledger.
pub fn forget_index(world: &World<'_>) {
    let scopes = [world.repo(), world.root().join(".repo.git")];
    for index in scopes.iter().flat_map(|repo| [repo.join("gt/index"), repo.join("gt/index-mail")]) {
        if index.exists() {
            std::fs::remove_file(index).unwrap();
        }
    }
}

/// An agent's mail, as its prompt hook asks for it.
pub fn mail(world: &mut World<'_>, report: &mut Report) {
    agent_row(world, report, "gt mail check --inject (the prompt hook)", &["mail", "check", "--inject"]);
    agent_row(world, report, "gt mail check", &["mail", "check"]);
}

/// What an agent's program asks at its turns.
pub fn turns(world: &mut World<'_>, report: &mut Report) {
    let rows: [(&str, &[&str]); 3] = [
        ("gt prime --hook (the start hook)", &["prime", "--hook"]),
        ("gt signal stop (the stop hook)", &["signal", "stop"]),
        ("gt guard (the guard of commands)", &["guard", "--hook", "git -C x commit -m 'a && b' && git push -u origin HEAD"]),
    ];
    for (what, args) in rows {
        agent_row_within(world, report, what, args, 10.0);
    }
}

/// All that an agent must know.
pub fn prime(world: &mut World<'_>, report: &mut Report) {
    agent_row_within(world, report, "gt prime", &["prime"], 10.0);
}

/// An agent's assignment.
pub fn hook(world: &mut World<'_>, report: &mut Report) {
    agent_row(world, report, "gt hook", &["hook"]);
}

fn agent_row(world: &World<'_>, report: &mut Report, what: &str, args: &[&str]) {
    agent_row_within(world, report, what, args, 4.0);
}

fn agent_row_within(world: &World<'_>, report: &mut Report, what: &str, args: &[&str], most_millis: f64) {
    let args = [&["--actor", AGENT], args].concat();
    let hook = World::spec(&tree::hook(&AGENT.parse().unwrap()));
    // What hears its program would wait for the end of a terminal's input.
    let ours = || timed_ending(world.gt(&args).stdin(Stdio::null()), &[0, 1]);
    ours();
    let times = pairs(world.pairs, |_| ours(), |_| timed(&mut world.git(&["cat-file", "blob", &hook])));
    report.row(Row::of(what, world.scale, &times, "git cat-file blob REF:PATH", Bar::Most(most_millis)));
}
