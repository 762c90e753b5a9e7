//! What known queues do in the same worlds, as references.

use std::collections::{HashMap, HashSet};

use super::world::{Ended, World};

/// A queue with its gates, for a policy to work.
struct Bench<'a> {
    world: &'a World,
    rng: fastrand::Rng,
    landed: HashSet<usize>,
    ended: Ended,
}

impl<'a> Bench<'a> {
    fn new(world: &'a World, rng: &mut fastrand::Rng) -> Self {
        Self { world, rng: rng.fork(), landed: HashSet::new(), ended: Ended::default() }
    }

    /// One run, in a round that others may share.
    fn gate(&mut self, stack: &[usize]) -> bool {
        self.ended.runs += 1;
        self.world.gate(&mut self.rng, &self.landed, stack)
    }

    fn end_round(&mut self) {
        self.ended.rounds += 1.0;
    }

    fn land(&mut self, stack: &[usize]) {
        for mr in stack {
            self.landed.insert(*mr);
            self.ended.landed.push(*mr);
            self.ended.waits.push(self.ended.rounds - self.world.arrival(*mr));
        }
    }

    /// Who has been handed in by now, from `next` on; waits for somebody when nobody has.
    fn take_in(&mut self, next: &mut usize, is_idle: bool) -> Vec<usize> {
        if is_idle && *next < self.world.len() {
            self.ended.rounds = self.ended.rounds.max(self.world.arrival(*next));
        }
        let first = *next;
        while *next < self.world.len() && self.world.arrival(*next) <= self.ended.rounds {
            *next += 1;
        }
        (first..*next).collect()
    }
}

/// One after the other; out after so many reds.
pub fn serial(world: &World, reds_max: u32, rng: &mut fastrand::Rng) -> Ended {
    let mut bench = Bench::new(world, rng);
    for mr in 0..world.len() {
        bench.ended.rounds = bench.ended.rounds.max(world.arrival(mr));
        let mut reds = 0;
        loop {
            let is_green = bench.gate(&[mr]);
            bench.end_round();
            reds += u32::from(!is_green);
            if is_green {
                bench.land(&[mr]);
            } else if reds == reds_max {
                bench.ended.evicted.push(mr);
            }
            if is_green || reds == reds_max {
                break;
            }
        }
    }
    bench.ended
}

/// How bors searches a red batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Halving {
    /// Whether it remembers, by tree, what gates said.
    pub has_memo: bool,
    /// How often a single must be red to leave.
    pub reds_max: u32,
}

/// bors: the whole queue at once, halves of what is red, low half first.
pub fn halving(world: &World, how: Halving, rng: &mut fastrand::Rng) -> Ended {
    let mut bench = Bench::new(world, rng);
    let mut memo: HashMap<Vec<usize>, bool> = HashMap::new();
    let mut next = 0;
    loop {
        let fresh = bench.take_in(&mut next, true);
        if fresh.is_empty() {
            return bench.ended;
        }
        let mut batches = vec![(fresh, 0)];
        while let Some((batch, reds)) = batches.pop() {
            let mut tree: Vec<usize> = bench.landed.iter().chain(&batch).copied().collect();
            tree.sort_unstable();
            let known = memo.get(&tree).copied().filter(|_| how.has_memo);
            let is_green = known.unwrap_or_else(|| {
                let is_green = bench.gate(&batch);
                bench.end_round();
                is_green
            });
            memo.insert(tree, is_green);
            if is_green {
                bench.land(&batch);
            } else if batch.len() == 1 {
                if reds + 1 >= how.reds_max || how.has_memo {
                    bench.ended.evicted.push(batch[0]);
                } else {
                    batches.push((batch, reds + 1));
                }
            } else {
                let high = batch[batch.len() / 2..].to_vec();
                batches.push((high, 0));
                batches.push((batch[..batch.len() / 2].to_vec(), 0));
            }
        }
    }
}

/// Zuul: the first so many prefixes side by side; the first red one leaves and all behind it start anew.
pub fn zuul(world: &World, workers: usize, rng: &mut fastrand::Rng) -> Ended {
    let mut bench = Bench::new(world, rng);
    let (mut next, mut queue): (usize, Vec<usize>) = (0, Vec::new());
    loop {
        let fresh = bench.take_in(&mut next, queue.is_empty());
        queue.extend(fresh);
        if queue.is_empty() {
            return bench.ended;
        }
        let window = workers.min(queue.len());
        let greens: Vec<bool> = (1..=window).map(|length| bench.gate(&queue[..length])).collect();
        bench.end_round();
        let good = greens.iter().position(|is_green| !is_green);
        let landing: Vec<usize> = queue.drain(..good.unwrap_or(window)).collect();
        bench.land(&landing);
        if good.is_some() {
            bench.ended.evicted.push(queue.remove(0));
        }
    }
}

/// Mergify: the whole queue; a red batch is cut into max(2, W) parts whose prefixes run side by side, the last part
/// is never gated again, and who stands behind the red part goes back to the queue.
pub fn mergify(world: &World, workers: usize, rng: &mut fastrand::Rng) -> Ended {
    let mut bench = Bench::new(world, rng);
    let (mut next, mut queue): (usize, Vec<usize>) = (0, Vec::new());
    let mut red: Vec<usize> = Vec::new();
    loop {
        let fresh = bench.take_in(&mut next, queue.is_empty() && red.is_empty());
        queue.extend(fresh);
        if red.len() == 1 {
            bench.ended.evicted.append(&mut red);
        } else if red.is_empty() {
            if queue.is_empty() {
                return bench.ended;
            }
            let is_green = bench.gate(&queue);
            bench.end_round();
            red = std::mem::take(&mut queue);
            if is_green {
                let landing = std::mem::take(&mut red);
                bench.land(&landing);
            }
        } else {
            let parts = workers.max(2).min(red.len());
            let ends: Vec<usize> = (1..=parts).map(|part| part * red.len() / parts).collect();
            let mut greens: Vec<bool> = Vec::new();
            for side_by_side in ends[..parts - 1].chunks(workers) {
                greens.extend(side_by_side.iter().map(|end| bench.gate(&red[..*end])).collect::<Vec<_>>());
                bench.end_round();
            }
            let first_red = greens.iter().position(|is_green| !is_green).unwrap_or(parts - 1);
            let behind = red.split_off(ends[first_red]);
            let culprits = red.split_off(if first_red == 0 { 0 } else { ends[first_red - 1] });
            bench.land(&std::mem::replace(&mut red, culprits));
            queue = behind.into_iter().chain(std::mem::take(&mut queue)).collect();
        }
    }
}
