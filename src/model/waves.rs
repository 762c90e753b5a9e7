//! Waves: work in the order in which its blockers allow it, as much at a time as can be done side by side.
//!
//! Pure: whoever asks says what waits for what. What is no work, such as an epic or a bead of somebody else, only passes
//! on what it waits for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::dependency::find_any_ring;
use crate::name::BeadId;
use crate::time::Moment;

/// A bead of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knot {
    /// The bead.
    pub id: BeadId,
    /// Whether it belongs into a wave.
    pub is_work: bool,
    /// 0 critical … 4 backlog.
    pub priority: u8,
    /// When it was made.
    pub created_at: Moment,
    /// What it waits for; what is not in the graph is done.
    pub after: Vec<BeadId>,
}

/// The order of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each work bead in exactly one wave, none before what it waits for; in a wave by priority, age and id.
    Waves(Vec<Vec<BeadId>>),
    /// These wait for each other, so that there is none; the first is also the last.
    Ring(Vec<BeadId>),
}

/// Orders the work among `knots`, by Kahn's algorithm: a bead goes one wave after the last of those that it waits for.
#[must_use]
pub fn order(knots: &[Knot]) -> Order {
    let place: BTreeMap<&BeadId, usize> = knots.iter().zip(0..).map(|(knot, n)| (&knot.id, n)).collect();
    let after: Vec<BTreeSet<usize>> =
        knots.iter().map(|knot| knot.after.iter().filter_map(|id| place.get(id).copied()).collect()).collect();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); knots.len()];
    for (n, waits_for) in after.iter().enumerate() {
        for blocker in waits_for {
            before[*blocker].push(n);
        }
    }
    let mut open: Vec<usize> = after.iter().map(BTreeSet::len).collect();
    let mut free: VecDeque<usize> = (0..knots.len()).filter(|n| open[*n] == 0).collect();
    let mut depths = vec![0_usize; knots.len()];
    let mut done = 0;
    while let Some(n) = free.pop_front() {
        done += 1;
        depths[n] += usize::from(knots[n].is_work);
        for next in &before[n] {
            depths[*next] = depths[*next].max(depths[n]);
            open[*next] -= 1;
            if open[*next] == 0 {
                free.push_back(*next);
            }
        }
    }
    if done < knots.len() {
        return Order::Ring(ring(knots, &place));
    }
    let mut waves: Vec<Vec<&Knot>> = Vec::new();
    for (knot, depth) in knots.iter().zip(depths).filter(|(knot, _)| knot.is_work) {
        if waves.len() < depth {
            waves.resize_with(depth, Vec::new);
        }
        waves[depth - 1].push(knot);
    }
    for wave in &mut waves {
        wave.sort_by_key(|knot| (knot.priority, knot.created_at, &knot.id));
    }
    Order::Waves(waves.into_iter().map(|wave| wave.into_iter().map(|knot| knot.id.clone()).collect()).collect())
}

fn ring(knots: &[Knot], place: &BTreeMap<&BeadId, usize>) -> Vec<BeadId> {
    let next = |id: &BeadId| {
        let after = place.get(id).map_or(&[][..], |n| &knots[*n].after);
        Ok(after.iter().filter(|id| place.contains_key(id)).cloned().collect())
    };
    find_any_ring(knots.iter().map(|knot| &knot.id), next).ok().flatten().unwrap_or_default()
}
