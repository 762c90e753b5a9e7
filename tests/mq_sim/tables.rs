//! What the planner and known queues need in the same worlds.

use gastown::model::plan::width::{Room, Timed, bits, width};

use super::optimum::{self, Expected, optimum};
use super::others::{Halving, halving, mergify, serial, zuul};
use super::ours::{Belief, drain};
use super::report::Table;
use super::sample::Sample;
use super::world::{Ended, World};

const RISKS: [f64; 4] = [0.01, 0.05, 0.10, 0.25];

/// Works a world off.
type Policy = Box<dyn Fn(&World, &mut fastrand::Rng) -> Ended>;
/// The same, knowing how flaky gates are.
type Flaky = Box<dyn Fn(&World, f64, &mut fastrand::Rng) -> Ended>;

/// Rounds, runs, waits and evictions of one policy over many worlds.
#[derive(Default)]
struct Course {
    rounds: Sample,
    runs: Sample,
    waits: Sample,
    requests: usize,
    innocents: usize,
    overtaken: usize,
}

impl Course {
    fn add(&mut self, world: &World, ended: &Ended) {
        self.rounds.add(ended.rounds);
        self.runs.add(ended.runs as f64);
        self.waits.extend(&ended.waits);
        self.requests += world.len();
        self.innocents += ended.innocents(world);
        self.overtaken += ended.overtaken;
    }

    fn rounds_and_runs(&self) -> String {
        format!("{:.1}/{:.1}", self.rounds.mean(), self.runs.mean())
    }

    fn waits(&self) -> String {
        format!("{:.1} ({:.0})", self.waits.mean(), self.waits.quantile(0.95))
    }

    fn thrown_out(&self) -> f64 {
        100.0 * self.innocents as f64 / self.requests as f64
    }
}

/// Works `queues` drawn worlds by `policy`.
fn course(
    queues: usize,
    rng: &mut fastrand::Rng,
    draw: impl Fn(&mut fastrand::Rng) -> World,
    policy: impl Fn(&World, &mut fastrand::Rng) -> Ended,
) -> Course {
    let mut course = Course::default();
    for _ in 0..queues {
        let world = draw(rng);
        let ended = policy(&world, rng);
        course.add(&world, &ended);
    }
    course
}

fn percent(p: f64) -> String {
    format!("{:.0} %", 100.0 * p)
}

/// Expected runs with one worker; ours, the optimum and halving are exact.
pub fn runs(queues: usize, rng: &mut fastrand::Rng) {
    let mut table =
        Table::new(&["N", "p", "serial", "bors", "bors + memo", "Mergify", "ours", "optimum", "N·H(p)", "ours/optimum"]);
    for p in RISKS {
        let mut exact = Expected::new(p);
        for n in [4, 8, 16, 32, 64] {
            let draw = |rng: &mut fastrand::Rng| World::drawn(rng, n, p);
            let memo = course(queues, rng, draw, |world, rng| halving(world, Halving { has_memo: true, reds_max: 1 }, rng));
            let split = course(queues, rng, draw, |world, rng| mergify(world, 1, rng));
            let (ours, best) = (exact.runs(0, n), optimum(n, p));
            table.row(vec![
                n.to_string(),
                percent(p),
                n.to_string(),
                format!("{:.2}", optimum::halving(n, p)),
                format!("{:.2}", memo.runs.mean()),
                format!("{:.2}", split.runs.mean()),
                format!("{ours:.2}"),
                format!("{best:.2}"),
                format!("{:.2}", bits(&vec![p; n]).max(1.0)),
                format!("{:.4}", ours / best),
            ]);
        }
    }
    table.print("T1: gate runs, one worker, steady gates");
}

/// Rounds and runs with W workers, and how long good ones wait.
pub fn rounds(queues: usize, rng: &mut fastrand::Rng) {
    let mut table = Table::new(&["N", "p", "W", "Zuul", "Mergify", "ours", "wait Zuul", "wait Mergify", "wait ours"]);
    for n in [8, 16, 32, 64] {
        for p in RISKS {
            for workers in [1, 2, 4, 8] {
                let draw = |rng: &mut fastrand::Rng| World::drawn(rng, n, p);
                let theirs = course(queues, rng, draw, |world, rng| zuul(world, workers, rng));
                let split = course(queues, rng, draw, |world, rng| mergify(world, workers, rng));
                let ours = course(queues, rng, draw, |world, rng| drain(world, &Belief::flat(p, 0.0, workers), rng));
                table.row(vec![
                    n.to_string(),
                    percent(p),
                    workers.to_string(),
                    theirs.rounds_and_runs(),
                    split.rounds_and_runs(),
                    ours.rounds_and_runs(),
                    theirs.waits(),
                    split.waits(),
                    ours.waits(),
                ]);
            }
        }
    }
    table.print("T2 and T3: rounds/runs until all is decided; mean wait of those that land, in rounds (p95)");
}

/// Pairs that are good alone and bad together.
pub fn clashes(queues: usize, rng: &mut fastrand::Rng) {
    let mut table = Table::new(&[
        "N",
        "p",
        "pairs",
        "bors + memo",
        "Mergify W=4",
        "ours W=1",
        "ours W=4",
        "overtaken W=4",
        "left without partner",
    ]);
    for (n, p, q) in [(16, 0.0, 0.004_25), (16, 0.05, 0.004_25), (64, 0.0, 0.001), (64, 0.05, 0.004_25)] {
        let draw = |rng: &mut fastrand::Rng| World::drawn(rng, n, p).clashing(rng, q);
        let memo = course(queues, rng, draw, |world, rng| halving(world, Halving { has_memo: true, reds_max: 1 }, rng));
        let split = course(queues, rng, draw, |world, rng| mergify(world, 4, rng));
        let ours = |workers: usize, rng: &mut fastrand::Rng| {
            course(queues, rng, draw, |world, rng| drain(world, &Belief::flat(p.max(0.01), 0.0, workers), rng))
        };
        let (one, four) = (ours(1, rng), ours(4, rng));
        table.row(vec![
            n.to_string(),
            percent(p),
            format!("{:.3} %", 100.0 * q),
            memo.rounds_and_runs(),
            split.rounds_and_runs(),
            one.rounds_and_runs(),
            four.rounds_and_runs(),
            format!("{:.2} %", 100.0 * four.overtaken as f64 / four.requests as f64),
            (one.innocents + four.innocents).to_string(),
        ]);
    }
    table.print("T4: clashing pairs, rounds/runs; \"overtaken\": the earlier of a pair left since the later had landed");
}

/// Gates that flake: runs, and good requests thrown out.
pub fn flakes(queues: usize, rng: &mut fastrand::Rng) {
    let mut table = Table::new(&["p", "policy", "f = 0", "f = 1 %", "f = 5 %"]);
    for p in [0.01, 0.05, 0.10, 0.25] {
        let policies: [(&str, Flaky); 6] = [
            ("serial, 2 reds", Box::new(|world, _, rng| serial(world, 2, rng))),
            ("bors", Box::new(|world, _, rng| halving(world, Halving { has_memo: false, reds_max: 1 }, rng))),
            ("bors, 2 reds", Box::new(|world, _, rng| halving(world, Halving { has_memo: false, reds_max: 2 }, rng))),
            ("bors + memo", Box::new(|world, _, rng| halving(world, Halving { has_memo: true, reds_max: 1 }, rng))),
            ("ours, W = 1", Box::new(move |world, f, rng| drain(world, &Belief::flat(p, f, 1), rng))),
            ("ours, W = 4", Box::new(move |world, f, rng| drain(world, &Belief::flat(p, f, 4), rng))),
        ];
        for (name, policy) in policies {
            let mut row = vec![percent(p), name.to_owned()];
            for f in [0.0, 0.01, 0.05] {
                let draw = |rng: &mut fastrand::Rng| World::drawn(rng, 16, p).flaky(f);
                let course = course(queues, rng, draw, |world, rng| policy(world, f, rng));
                row.push(format!("{:.2}/{:.2} %", course.runs.mean(), course.thrown_out()));
            }
            table.row(row);
        }
    }
    table.print("T5: flaky gates, N = 16: runs / good ones thrown out");
}

/// An open queue: Poisson arrivals.
pub fn arrivals(requests: usize, rng: &mut fastrand::Rng) {
    let rates = [0.5, 0.9, 2.0, 4.0, 8.0];
    let mut table = Table::new(&["policy", "W", "0.5", "0.9", "2", "4", "8"]);
    let policies: [(&str, usize, f64, Policy); 7] = [
        ("serial, 2 reds", 1, 0.9, Box::new(|world, rng| serial(world, 2, rng))),
        ("bors, 2 reds", 1, 2.0, Box::new(|world, rng| halving(world, Halving { has_memo: false, reds_max: 2 }, rng))),
        ("Mergify", 1, 2.0, Box::new(|world, rng| mergify(world, 1, rng))),
        ("ours", 1, 2.0, Box::new(|world, rng| drain(world, &Belief::flat(0.05, 0.01, 1), rng))),
        ("Zuul", 4, 2.0, Box::new(|world, rng| zuul(world, 4, rng))),
        ("Mergify", 4, 4.0, Box::new(|world, rng| mergify(world, 4, rng))),
        ("ours", 4, 8.0, Box::new(|world, rng| drain(world, &Belief::flat(0.05, 0.01, 4), rng))),
    ];
    for (name, workers, most, policy) in policies {
        let mut row = vec![name.to_owned(), workers.to_string()];
        for rate in rates {
            if rate > most {
                row.push("unstable".into());
                continue;
            }
            let draw = |rng: &mut fastrand::Rng| World::drawn(rng, requests, 0.05).flaky(0.01).arriving(rng, rate);
            let course = course(1, rng, draw, &policy);
            let per_request = course.runs.mean() / requests as f64;
            row.push(format!("{}/{per_request:.2}/{:.2}", course.waits(), course.thrown_out()));
        }
        table.row(row);
    }
    table.print("T6: arrivals a gate time, p = 5 %, f = 1 %: mean wait (p95) / runs a request / good ones thrown out, %");
}

/// Known risks, and opinions that are wrong.
pub fn opinions(queues: usize, rng: &mut fastrand::Rng) {
    let risks: Vec<f64> = (0..32).map(|at| if at % 5 == 4 { 0.30 } else { 0.02 }).collect();
    let safe_first: Vec<f64> = {
        let mut sorted = risks.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    };
    let least: f64 = bits(&risks);
    let mut table = Table::new(&["what is believed", "runs", "wait"]);
    let opinions = [
        ("all alike", &risks, vec![0.076]),
        ("each one's risk", &risks, risks.clone()),
        ("and safe ones first", &safe_first, safe_first.clone()),
    ];
    for (name, truth, believed) in opinions {
        let belief = Belief { risks: believed, flake: 0.0, workers: 1 };
        let course = course(queues, rng, |rng| World::of_risks(rng, truth), |world, rng| drain(world, &belief, rng));
        table.row(vec![name.into(), format!("{:.2}", course.runs.mean()), course.waits()]);
    }
    table.print(&format!("T7: four in five at 2 %, one at 30 %, N = 32, W = 1 (no plan below {least:.2} runs)"));
    let mut table = Table::new(&["truth", "believed", "runs", "with the truth"]);
    for truth in [0.01, 0.05, 0.10, 0.25] {
        let draw = |rng: &mut fastrand::Rng| World::drawn(rng, 32, truth);
        let course = course(queues, rng, draw, |world, rng| drain(world, &Belief::flat(0.05, 0.0, 1), rng));
        table.row(vec![
            percent(truth),
            percent(0.05),
            format!("{:.2}", course.runs.mean()),
            format!("{:.2}", optimum(32, truth)),
        ]);
    }
    table.print("T8: a wrong opinion, N = 32, W = 1");
}

/// Wall time on C cores with gates of which a part s of the work is serial, and the width that is chosen.
pub fn widths(queues: usize, rng: &mut fastrand::Rng) {
    let mut table = Table::new(&["s", "C", "p", "W=1", "W=2", "W=4", "W=8", "chosen"]);
    for p in [0.05, 0.25] {
        let draw = |rng: &mut fastrand::Rng| World::drawn(rng, 16, p);
        let courses: Vec<(usize, Course)> = [1, 2, 4, 8]
            .into_iter()
            .map(|workers| (workers, course(queues, rng, draw, |world, rng| drain(world, &Belief::flat(p, 0.0, workers), rng))))
            .collect();
        for (serial, cores) in [(0.2, 2), (0.2, 8), (0.5, 4), (0.5, 8), (0.5, 16), (0.8, 16)] {
            // A gate alone takes s + (1 − s)/C of its work, and so keeps this share of the cores busy.
            let busy = 1.0 / (serial * cores as f64 + 1.0 - serial);
            let lasts = |side_by_side: f64| (side_by_side * busy).max(1.0);
            let mut row = vec![format!("{serial}"), cores.to_string(), percent(p)];
            for (_, course) in &courses {
                let side_by_side = course.runs.mean() / course.rounds.mean();
                row.push(format!("{:.1}", course.rounds.mean() * lasts(side_by_side)));
            }
            let timed: Vec<Timed> =
                (1..=cores).map(|w| Timed { side_by_side: w, millis: 1000.0 * lasts(w as f64), runs: 5 }).collect();
            let room = Room { cores, memory_mib: 64_000, run_mib: 500 };
            row.push(width(room, &timed, bits(&[p; 16])).to_string());
            table.row(row);
        }
    }
    table.print("T9: wall time in lone gates, N = 16, and the width that is chosen");
}
