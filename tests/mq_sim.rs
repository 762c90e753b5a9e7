//! The merge queue's planner in simulated worlds, beside other queues and the exact optimum:
//! `cargo run --release --example mq_sim -- [--long] [--only figures,runs,rounds,clashes,flakes,arrivals,opinions,widths]`.
//!
//! Prints the figures to reach, each with its bar, then tables. The long form draws 400,000 requests for the rate of
//! good ones sent back, and a million landings; the short one takes less than a minute. Ends with 1 when a bar is
//! missed. Every landing that it simulates is checked: what lands was green as exactly that tree.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, missing_docs)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

#[path = "mq_sim/figures.rs"]
mod figures;
#[path = "mq_sim/optimum.rs"]
mod optimum;
#[path = "mq_sim/others.rs"]
mod others;
#[path = "mq_sim/ours.rs"]
#[expect(dead_code, reason = "the tests go more ways")]
mod ours;
#[path = "mq_sim/report.rs"]
mod report;
#[path = "mq_sim/sample.rs"]
mod sample;
#[path = "mq_sim/tables.rs"]
mod tables;
#[path = "mq_sim/world.rs"]
mod world;

use std::process::ExitCode;

use figures::Draws;

const PARTS: [&str; 8] = ["figures", "runs", "rounds", "clashes", "flakes", "arrivals", "opinions", "widths"];

fn main() -> ExitCode {
    let (mut is_long, mut only) = (false, PARTS.map(str::to_owned).to_vec());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.len()) {
            ("--long", _) => is_long = true,
            ("--only", 1..) => only = args.next().unwrap().split(',').map(str::to_owned).collect(),
            // What `cargo test` or `cargo bench` would hand on.
            ("--bench" | "--test", _) => {}
            _ => {
                eprintln!("'{arg}' is no option: --long --only PART,… (parts: {})", PARTS.join(" "));
                return ExitCode::from(2);
            }
        }
    }
    let mut rng = fastrand::Rng::with_seed(20_260_101);
    let times = if is_long { 10 } else { 1 };
    let mut are_met = true;
    for part in only {
        match part.as_str() {
            "figures" => {
                let short = Draws { flaky: 4_000, wide: 300, pairs: 1_000, landings: 30_000 };
                let long = Draws { flaky: 25_000, wide: 5_000, pairs: 20_000, landings: 1_000_000 };
                let bars = figures::measure(if is_long { &long } else { &short }, &mut rng);
                bars.print();
                are_met = bars.are_met;
            }
            "runs" => tables::runs(400 * times, &mut rng),
            "rounds" => tables::rounds(40 * times, &mut rng),
            "clashes" => tables::clashes(60 * times, &mut rng),
            "flakes" => tables::flakes(400 * times, &mut rng),
            "arrivals" => tables::arrivals(800 * times, &mut rng),
            "opinions" => tables::opinions(300 * times, &mut rng),
            "widths" => tables::widths(300 * times, &mut rng),
            other => {
                eprintln!("'{other}' is none of the parts: {}", PARTS.join(" "));
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::from(u8::from(!are_met))
}
