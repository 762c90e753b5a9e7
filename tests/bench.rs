//! Whole-process figures, each beside git doing the like in the same run:
//! `cargo run --release --example bench -- [--quick] [--scale 1k,10k,100k] [--only ROW,…] [--json FILE] [--inner]`.
//!
//! Machines differ and are noisy, so what counts are medians of alternating pairs and their ratios. Nothing is
//! deleted until the end: ext4 creates files far slower for a minute after many were removed. Ends with 1 when
//! something was lost, doubled or refused, and never for time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, missing_docs)]

#[path = "bench/crowds.rs"]
mod crowds;
#[path = "transport/http.rs"]
mod http;
#[path = "bench/inner.rs"]
mod inner;
#[path = "bench/memory.rs"]
mod memory;
#[path = "bench/queue.rs"]
mod queue;
#[path = "bench/reads.rs"]
mod reads;
#[path = "bench/report.rs"]
mod report;
#[path = "transport/servers.rs"]
#[expect(dead_code, reason = "the tests go more ways")]
mod servers;
#[path = "bench/stacks.rs"]
mod stacks;
#[path = "bench/syncs.rs"]
mod syncs;
#[path = "bench/times.rs"]
mod times;
#[path = "bench/tracked.rs"]
mod tracked;
#[path = "bench/transfers.rs"]
mod transfers;
#[path = "bench/world.rs"]
mod world;
#[path = "bench/writes.rs"]
mod writes;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use report::Report;
use world::{Place, World};

/// What to do; as the command line says.
struct Asked {
    quick: bool,
    scales: Vec<usize>,
    only: Vec<String>,
    json: Option<PathBuf>,
    inner: bool,
}

impl Asked {
    fn read() -> Result<Self, String> {
        let mut args = std::env::args().skip(1);
        let (mut quick, mut inner, mut scales, mut only, mut json) = (false, false, None, Vec::new(), None);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
            match arg.as_str() {
                "--quick" => quick = true,
                "--inner" => inner = true,
                "--scale" => scales = Some(value()?.split(',').map(scale).collect::<Result<_, _>>()?),
                "--only" => only.extend(value()?.split(',').map(str::to_owned)),
                "--json" => json = Some(PathBuf::from(value()?)),
                // What `cargo test` or `cargo bench` would hand on.
                "--bench" | "--test" => {}
                other => {
                    return Err(format!("'{other}' is no option: --quick --scale 1k,10k,100k --only ROW --json FILE --inner"));
                }
            }
        }
        let scales = scales.unwrap_or_else(|| if quick { vec![1_000] } else { vec![1_000, 10_000, 100_000] });
        Ok(Self { quick, scales, only, json, inner })
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| name.contains(only.as_str()))
    }
}

fn scale(text: &str) -> Result<usize, String> {
    let (digits, times) = text.strip_suffix('k').map_or((text, 1), |digits| (digits, 1_000));
    digits.parse::<usize>().map(|n| n * times).map_err(|_| format!("'{text}' is no number of beads"))
}

/// A group of rows measured on one world.
type Group = (&'static str, fn(&mut World<'_>, &mut Report));

/// In this order: what makes a ledger grow comes after what only reads it.
const GROUPS: &[Group] = &[
    ("show", reads::show),
    ("ready", reads::ready),
    ("list", reads::list),
    ("reindex", reads::reindex),
    ("mail", reads::mail),
    ("turns", reads::turns),
    ("hook", reads::hook),
    ("prime", reads::prime),
    ("sync", syncs::all),
    ("transfer", transfers::all),
    ("create", writes::create),
    ("claim", crowds::claims),
    ("crowd", crowds::creates),
    ("children", crowds::children),
    ("import", writes::import),
    ("memory", memory::all),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|first| first == transfers::WORD) {
        return transfers::once(&args[1..]);
    }
    let asked = match Asked::read() {
        Ok(asked) => asked,
        Err(why) => {
            eprintln!("bench: {why}");
            return ExitCode::from(2);
        }
    };
    let mut report = Report::default();
    let place = Place::new(built_gt(), asked.quick);
    if asked.inner {
        asked.scales.iter().for_each(|scale| inner::all(&mut World::build(&place, *scale), &mut report));
    } else {
        measure(&asked, &place, &mut report);
    }
    print!("{}", report.table());
    if let Some(file) = &asked.json {
        std::fs::write(file, report.json(asked.quick)).unwrap();
    }
    let wrong = report.wrong();
    for fact in &wrong {
        eprintln!("WRONG: {fact}");
    }
    ExitCode::from(u8::from(!wrong.is_empty()))
}

fn measure(asked: &Asked, place: &Place, report: &mut Report) {
    let groups: Vec<&Group> = GROUPS.iter().filter(|(name, _)| asked.wants(name)).collect();
    for scale in asked.scales.iter().filter(|_| !groups.is_empty()) {
        let begin = Instant::now();
        let mut world = World::build(place, *scale);
        eprintln!("{scale} beads and letters written in {:.1?}", begin.elapsed());
        for (name, group) in &groups {
            let begin = Instant::now();
            group(&mut world, report);
            eprintln!("{scale}: {name} measured in {:.1?}", begin.elapsed());
        }
    }
    if asked.wants("disk") {
        writes::disk(place, report);
    }
    if asked.wants("tracked") {
        tracked::all(place, report);
    }
    if asked.wants("sling") {
        writes::sling(place, report);
    }
    if asked.wants("stacks") {
        stacks::all(place, report);
    }
    if asked.wants("queue") {
        queue::all(place, report);
    }
    report.growth();
}

/// The `gt` that was built beside this example, built now when it is missing or old.
fn built_gt() -> PathBuf {
    let example = std::env::current_exe().unwrap();
    let release = example.parent().unwrap().parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    // Together with this example: alone, its dependencies would be built once more, with other features.
    cargo
        .args(["build", "--quiet", "--release", "--bin", "gt", "--example", "bench", "--target-dir"])
        .arg(release.parent().unwrap());
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
    let gt = release.join("gt");
    assert!(status.success() && gt.is_file(), "cargo built no gt at {}", gt.display());
    gt
}
