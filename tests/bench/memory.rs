//! How much memory of its own a command needs at most.
//!
//! The kernel bounds a process's private writable memory (RLIMIT_DATA: heap, anonymous mappings, stacks of threads)
//! and refuses what goes beyond. The least bound under which the command succeeds is found by halving: an upper
//! bound of what was ever anonymous at once, for commands too short to be watched. Mapped packs and indexes are
//! not counted, being the kernel's to drop.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::report::{Bar, Report, Row};
use crate::times::timed;
use crate::world::{AGENT, World};
use crate::writes::lines;

/// How long a command may take under a bound.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest bound tried, in megabytes.
const TRIED_MAX: u32 = 1_024;

/// The least bound in megabytes under which what `command` makes succeeds; `None`: not even the largest is enough.
fn least(world: &World<'_>, mut args: impl FnMut() -> Vec<String>) -> Option<u32> {
    let mut succeeds = |mega: u32| {
        let args = args();
        let plain = world.gt(&[]);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -d {} && exec \"$0\" \"$@\"", mega * 1024)]).arg(&world.place.gt).args(&args);
        command.current_dir(world.rig()).env_clear();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        // Without memory a process may also stand still.
        while begin.elapsed() < PATIENCE {
            if let Some(status) = child.try_wait().unwrap() {
                return matches!(status.code(), Some(0 | 1));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().and_then(|()| child.wait()).unwrap();
        false
    };
    let (mut too_small, mut enough) = (0, 1);
    while !succeeds(enough) {
        (too_small, enough) = (enough, enough * 2);
        if enough > TRIED_MAX {
            return None;
        }
    }
    while enough - too_small > 1 {
        let middle = enough.midpoint(too_small);
        if succeeds(middle) { enough = middle } else { too_small = middle }
    }
    Some(enough)
}

/// All commands of the table.
pub fn all(world: &mut World<'_>, report: &mut Report) {
    // So that those measured have nothing left to send.
    timed(&mut world.gt(&["sync", "--rig", "widgets"]));
    let id = world.any(3).to_string();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let commands = [
        ("gt show", words(&["show", &id])),
        ("gt create", words(&["create", "One more", "--description", "why"])),
        ("gt ready", words(&["ready"])),
        ("gt list", words(&["list", "--status", "open", "-n", "50"])),
        ("gt mail check --inject", words(&["--actor", AGENT, "mail", "check", "--inject"])),
        ("gt hook", words(&["--actor", AGENT, "hook"])),
        ("gt sync", words(&["sync", "--rig", "widgets"])),
    ];
    // What was written before is in the index then, as it is for all but the first who asks.
    timed(&mut world.gt(&["ready"]));
    for (what, args) in commands {
        let least = least(world, || args.clone());
        report.row(row(what, world.scale, least, 60.0));
    }
    let index = world.repo().join("gt/index");
    let without = least(world, || {
        let _ = std::fs::remove_file(&index);
        words(&["ready"])
    });
    report.row(row("gt ready, without index", world.scale, without, 60.0));
    let anew = least(world, || words(&["reindex"]));
    report.row(row("gt reindex", world.scale, anew, 150.0));
    if !world.place.quick {
        let count = 10_000;
        let (mut round, mut files) = (100, Vec::new());
        for _ in 0..20 {
            let text = lines(world, count, round);
            let file = world.path(&format!("memory{round}"));
            std::fs::write(&file, text).unwrap();
            files.push(file.to_str().unwrap().to_owned());
            round += 1;
        }
        let mut files = files.into_iter();
        let least = least(world, || words(&["bead", "import", &files.next().unwrap()]));
        report.row(row("gt bead import of 10000", world.scale, least, 60.0));
    }
}

fn row(what: &str, scale: usize, least: Option<u32>, most: f64) -> Row {
    Row {
        what: format!("memory of {what}"),
        scale,
        count: 1,
        ours: least.map_or(f64::INFINITY, f64::from),
        beside: None,
        beside_is: "–".into(),
        unit: "MB",
        bar: Bar::Most(most),
    }
}
