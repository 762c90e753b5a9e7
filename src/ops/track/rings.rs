//! Rings of beads that wait for each other, over all scopes: what no single change would have been allowed to make, but
//! two machines, or two scopes at one moment, can.

use std::collections::{BTreeMap, VecDeque};

use crate::error::Result;
use crate::model::bead::DependencyKind;
use crate::model::brief::Facts as _;
use crate::model::dependency::parent_of;
use crate::name::BeadId;
use crate::ops::track::find::{Found, Scopes};
use crate::ops::track::reach::{Reach, Sight};
use crate::town::Town;

/// The rings of the town, one for each knot of beads that wait for each other; each begins and ends with the same bead.
/// Archived beads are closed and hold nothing back.
///
/// # Errors
/// Corrupt, when the town's rigs cannot be listed.
pub fn rings(town: &Town) -> Result<Found<Vec<BeadId>>> {
    let scopes = Scopes::of(town, None, true)?;
    let mut reach = Reach::new(town);
    let mut found: Found<Vec<BeadId>> = Found::default();
    let catalogs = found.catalogs_of(&mut reach, &scopes.asked);
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, catalog) in &catalogs {
        found.damaged.extend(catalog.damaged());
        for row in catalog.rows() {
            let next = places.len();
            places.entry(row.id_text()).or_insert(next);
        }
    }
    let mut children: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let rows = || catalogs.iter().flat_map(|(_, catalog)| catalog.rows());
    for row in rows() {
        if let (Some(parent), Some(place)) = (row.parent_id(), places.get(row.id())) {
            children.entry(parent).or_default().push(*place);
        }
    }
    let mut graph: Vec<Vec<usize>> = vec![Vec::new(); places.len()];
    for row in rows() {
        let Some(from) = places.get(row.id()).copied() else { continue };
        graph[from].extend(row.parent_id().and_then(|parent| places.get(parent)).copied());
        for (kind, target) in row.edges().filter(|(kind, _)| kind.is_blocking()) {
            let target = row.target_id(target);
            match kind {
                DependencyKind::WaitsFor => graph[from].extend(children.get(target).into_iter().flatten().copied()),
                _ => graph[from].extend(places.get(target).copied()),
            }
        }
    }
    let mut names: Vec<&str> = vec![""; places.len()];
    for (id, place) in &places {
        names[*place] = id;
    }
    for knot in knots(&graph) {
        let start = knot.iter().copied().min_by_key(|place| names[*place]).unwrap_or_default();
        let ring = way_back(&graph, start).into_iter().filter_map(|place| names[place].parse().ok()).collect();
        found.beads.push(ring);
    }
    found.beads.sort();
    found.total = found.beads.len();
    Ok(found)
}

/// What can be taken away to end a ring: the first edge, or parent, by which one of its beads leans on another or on
/// another's parent.
#[must_use]
pub fn way_out(town: &Town, ring: &[BeadId]) -> Option<(BeadId, BeadId)> {
    let mut reach = Reach::new(town);
    let steps = ring.windows(2).filter_map(|step| Some((step.first()?, step.get(1)?)));
    for (from, to) in steps {
        let Sight::Seen(bead) = reach.bead(from) else { continue };
        let edges: Vec<_> = bead.blockers().map(|edge| &edge.depends_on_id).chain(parent_of(&bead)).collect();
        if edges.contains(&to) {
            return Some((from.clone(), to.clone()));
        }
        // Who waits for all children of a bead leans on that bead, not on them.
        let parent = match reach.bead(to) {
            Sight::Seen(child) => parent_of(&child).cloned(),
            Sight::Missing | Sight::Unreadable(_) => None,
        };
        if let Some(parent) = parent.filter(|parent| edges.contains(&parent)) {
            return Some((from.clone(), parent));
        }
    }
    None
}

/// The shortest way from `start` back to it.
fn way_back(graph: &[Vec<usize>], start: usize) -> Vec<usize> {
    let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(at) = open.pop_front() {
        for next in &graph[at] {
            if *next == start {
                let mut way = vec![start, at];
                while let Some(before) = way.last().filter(|at| **at != start).and_then(|at| came_from.get(at)) {
                    way.push(*before);
                }
                way.reverse();
                // A bead that waits for itself is a way of one step.
                if way.first() != Some(&start) {
                    way.insert(0, start);
                }
                return way;
            }
            if !came_from.contains_key(next) {
                came_from.insert(*next, at);
                open.push_back(*next);
            }
        }
    }
    vec![start]
}

/// The sets of places each of which can be reached from each other, and places that lead to themselves: Tarjan's strongly
/// connected components, without recursion.
fn knots(graph: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const NONE: usize = usize::MAX;
    let (mut number, mut low, mut on_stack) = (vec![NONE; graph.len()], vec![0; graph.len()], vec![false; graph.len()]);
    let (mut stack, mut next_number, mut knots) = (Vec::new(), 0, Vec::new());
    for root in 0..graph.len() {
        if number[root] != NONE {
            continue;
        }
        let mut way = vec![(root, 0)];
        while let Some((at, edge)) = way.last_mut() {
            let at = *at;
            if number[at] == NONE {
                (number[at], low[at]) = (next_number, next_number);
                next_number += 1;
                stack.push(at);
                on_stack[at] = true;
            }
            if let Some(to) = graph[at].get(*edge).copied() {
                *edge += 1;
                if number[to] == NONE {
                    way.push((to, 0));
                } else if on_stack[to] {
                    low[at] = low[at].min(number[to]);
                }
                continue;
            }
            way.pop();
            if let Some((above, _)) = way.last() {
                low[*above] = low[*above].min(low[at]);
            }
            if low[at] == number[at] {
                let from = stack.iter().rposition(|place| *place == at).unwrap_or_default();
                let knot = stack.split_off(from);
                for place in &knot {
                    on_stack[*place] = false;
                }
                if knot.len() > 1 || graph[at].contains(&at) {
                    knots.push(knot);
                }
            }
        }
    }
    knots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knots_are_found_and_diamonds_are_none() {
        let graph = [vec![1, 2], vec![3], vec![3], vec![], vec![5], vec![6], vec![4, 3], vec![7]];
        let mut found: Vec<Vec<usize>> = knots(&graph);
        for knot in &mut found {
            knot.sort_unstable();
        }
        found.sort();
        assert_eq!(found, [vec![4, 5, 6], vec![7]]);
        assert_eq!(way_back(&graph, 4), [4, 5, 6, 4]);
        assert_eq!(way_back(&graph, 7), [7, 7]);
    }

    #[test]
    fn a_place_with_edges_that_were_walked_is_numbered_once() {
        let graph = [vec![1, 1, 0], vec![]];
        assert_eq!(knots(&graph), [vec![0]]);
    }
}
