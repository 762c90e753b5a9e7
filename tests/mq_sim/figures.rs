//! The figures to reach: each measured here, beside its bar.

use std::time::Instant;

use gastown::model::plan::width::bits;
use gastown::model::plan::{Asked, Outlook, Places, Trial, plan};

use super::optimum::{Expected, halving, optimum};
use super::ours::{Belief, Drive, drain};
use super::report::Bars;
use super::sample::{Sample, share};
use super::world::World;

/// How many queues each figure is drawn from.
pub struct Draws {
    /// Queues of 16 with flaky gates.
    pub flaky: usize,
    /// Queues of 64 with four workers.
    pub wide: usize,
    /// Queues with one pair that is bad together.
    pub pairs: usize,
    /// Landings that are checked, at least.
    pub landings: usize,
}

/// Measures all of them.
pub fn measure(draws: &Draws, rng: &mut fastrand::Rng) -> Bars {
    let mut bars = Bars::new();
    exact(&mut bars);
    flaky(&mut bars, draws.flaky, rng);
    wide(&mut bars, draws.wide, rng);
    pairs(&mut bars, draws.pairs, rng);
    gated(&mut bars, draws.landings, rng);
    repeated(&mut bars);
    timed(&mut bars, rng);
    bars
}

fn exact(bars: &mut Bars) {
    let mut worst = (0.0, String::new());
    for p in [0.01, 0.05, 0.10, 0.25] {
        let mut ours = Expected::new(p);
        for n in [4, 8, 16, 32, 64] {
            let ratio = ours.runs(0, n) / optimum(n, p);
            if ratio > worst.0 {
                worst = (ratio, format!("{:.2} at N = {n}, p = {} %", ours.runs(0, n), 100.0 * p));
            }
        }
    }
    let ratio = format!("{:.4}", worst.0);
    bars.add("runs, W = 1, f = 0, the worst of 20 cells (exact)", &worst.1, "best nested plan", &ratio, "1.08", worst.0 <= 1.08);
    for (p, most) in [(0.05, 0.80), (0.25, 0.72)] {
        let (ours, theirs) = (Expected::new(p).runs(0, 16), halving(16, p));
        let figure = format!("runs, N = 16, p = {} % (exact)", 100.0 * p);
        let beside = format!("halving {theirs:.2}");
        bars.add(
            &figure,
            &format!("{ours:.2}"),
            &beside,
            &format!("{:.3}", ours / theirs),
            &format!("{most}"),
            ours <= most * theirs,
        );
    }
}

fn flaky(bars: &mut Bars, queues: usize, rng: &mut fastrand::Rng) {
    let (mut innocents, mut runs, mut runs_steady) = (0, Sample::default(), Sample::default());
    for _ in 0..queues {
        let world = World::drawn(rng, 16, 0.05);
        runs_steady.add(drain(&world, &Belief::flat(0.05, 0.0, 1), rng).runs as f64);
        let world = world.flaky(0.05);
        let ended = drain(&world, &Belief::flat(0.05, 0.05, 1), rng);
        runs.add(ended.runs as f64);
        innocents += ended.innocents(&world);
    }
    let seen = queues * 16;
    let (low, high) = share(innocents, seen);
    let part = innocents as f64 / seen as f64;
    let ours = format!("{:.4} % ({:.4} to {:.4})", 100.0 * part, 100.0 * low, 100.0 * high);
    let figure = format!("good ones evicted, N = 16, p = f = 5 %, of {seen}");
    bars.add(&figure, &ours, "", "", "0.05 %", part <= 0.0005);
    let ratio = runs.mean() / runs_steady.mean();
    let ours = format!("{:.2} ± {:.2}", runs.mean(), runs.spread());
    let beside = format!("f = 0: {:.2}", runs_steady.mean());
    bars.add("runs for that", &ours, &beside, &format!("{ratio:.3}"), "1.3", ratio <= 1.3);
}

fn wide(bars: &mut Bars, queues: usize, rng: &mut fastrand::Rng) {
    for (p, most) in [(0.05, 9.0), (0.25, 20.0)] {
        let (mut rounds, mut runs) = (Sample::default(), Sample::default());
        for _ in 0..queues {
            let ended = drain(&World::drawn(rng, 64, p), &Belief::flat(p, 0.0, 4), rng);
            rounds.add(ended.rounds);
            runs.add(ended.runs as f64);
        }
        let ours = format!("{:.2} ± {:.2} ({:.1} runs)", rounds.mean(), rounds.spread(), runs.mean());
        let bits = bits(&[p; 64]) / 4.0;
        let figure = format!("rounds, N = 64, W = 4, p = {} %", 100.0 * p);
        bars.add(&figure, &ours, &format!("N·H(p)/W = {bits:.1}"), "", &format!("{most}"), rounds.mean() <= most);
    }
}

fn pairs(bars: &mut Bars, queues: usize, rng: &mut fastrand::Rng) {
    for workers in [1, 4] {
        let (mut later, mut one, mut only_with_partner) = (0, 0, true);
        for _ in 0..queues {
            let n = rng.usize(2..33);
            let mut world = World::drawn(rng, n, 0.0);
            let second = rng.usize(1..n);
            let first = rng.usize(0..second);
            world.join(first, second);
            let ended = drain(&world, &Belief::flat(0.05, 0.01, workers), rng);
            later += usize::from(ended.evicted == [second]);
            one += usize::from(ended.evicted.len() == 1);
            only_with_partner &= ended.innocents(&world) == 0;
        }
        let figure = format!("pairs that are bad together, W = {workers}, of {queues}");
        let ours = format!("one leaves in {one}, the later in turn in {later}");
        let bar = if workers == 1 { "only the later leaves" } else { "only who lands later leaves" };
        let is_met = one == queues && only_with_partner && (workers > 1 || later == queues);
        bars.add(&figure, &ours, "", "", bar, is_met);
    }
}

/// Every landing of every simulated queue is checked as it is made ([`Drive`]); here are many more of all kinds.
fn gated(bars: &mut Bars, landings: usize, rng: &mut fastrand::Rng) {
    let (mut landed, mut runs, mut queues) = (0, 0, 0);
    while landed < landings {
        let (n, p) = (rng.usize(1..49), 0.3 * rng.f64());
        let world = World::drawn(rng, n, p).clashing(rng, 0.003).arriving(rng, 8.0).flaky(0.0);
        let belief = Belief::flat(0.01 + 0.3 * rng.f64(), 0.01, rng.usize(1..7));
        let ended = Drive::new(&world, &belief, rng).lasting(|rng| 0.1 + 2.0 * rng.f64()).finish();
        landed += ended.landed.len();
        runs += ended.runs;
        queues += 1;
    }
    let ours = format!("0 of {landed} ({runs} runs, {queues} queues)");
    bars.add("ungated or red landings", &ours, "", "", "0", true);
}

fn repeated(bars: &mut Bars) {
    let log = |workers| {
        let mut rng = fastrand::Rng::with_seed(14);
        let world = World::drawn(&mut rng, 64, 0.1).clashing(&mut rng, 0.004).arriving(&mut rng, 8.0);
        Drive::new(&world, &Belief::flat(0.1, 0.0, workers), &mut rng).logged().finish().log
    };
    let is_same = [1, 4, 8].into_iter().all(|workers| log(workers) == log(workers));
    bars.add("equal inputs, f = 0: the log twice", if is_same { "equal" } else { "unequal" }, "", "", "equal", is_same);
}

fn timed(bars: &mut Bars, rng: &mut fastrand::Rng) {
    let mut millis = Sample::default();
    for workers in [1, 2, 4, 8] {
        for _ in 0..200 {
            let outlook = any_outlook(rng, workers);
            // The shortest of some: what else the machine does is none of the planner's time.
            let took = (0..5).map(|_| {
                let start = Instant::now();
                std::hint::black_box(plan(&outlook));
                start.elapsed().as_secs_f64() * 1000.0
            });
            millis.add(took.fold(f64::INFINITY, f64::min));
        }
    }
    let ours = format!("{:.2} ms median, {:.2} ms at most", millis.quantile(0.5), millis.quantile(1.0));
    bars.add("planner at N = 64, of 800 states of a search", &ours, "", "", "5 ms", millis.quantile(1.0) <= 5.0);
}

/// 64 requests in the midst of a search: a few groups were red and cut, some were green elsewhere.
fn any_outlook(rng: &mut fastrand::Rng, workers: usize) -> Outlook {
    let queue = (0..64).map(|_| Asked { risk: 0.005 + 0.3 * rng.f64(), needs: Places::NONE }).collect();
    let mut trials = vec![Trial { is_green: true, ..Trial::new(Places::NONE, 0) }];
    for group in 0..rng.usize(0..9) {
        let members: Vec<usize> = (8 * group..8 * group + 8).collect();
        if rng.u8(..3) == 0 {
            trials.push(Trial { is_green: true, ..Trial::new(members.into_iter().collect(), 1) });
            continue;
        }
        for cut in [8, 5, 2].into_iter().take(rng.usize(1..4)) {
            trials.push(Trial::new(members[..cut].iter().copied().collect(), rng.u32(0..2)).red(1, 0.01));
        }
    }
    Outlook { queue, trials, running: Vec::new(), workers }
}
