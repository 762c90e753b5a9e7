//! Dependencies as a graph: what a blocker still waits for, and rings of beads that wait for each other.
//!
//! Pure: whoever asks says how beads are found, so the same rules serve one scope, many, and a change under way.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::model::bead::{Bead, DependencyKind};
use crate::model::brief::Facts;
use crate::name::BeadId;

/// How many generations of parents are asked for blockers; a cycle ends there.
pub const GENERATIONS_MAX: usize = 32;

/// What a dependency of `kind` on `target` still waits for; `None` when it is met or never blocks.
/// `children` are those of the target.
#[must_use]
pub fn obstacle<'b, F: Facts + 'b>(
    kind: &DependencyKind,
    target: &impl Facts,
    children: impl IntoIterator<Item = &'b F>,
) -> Option<String> {
    let unless = |met: bool, why: &str| (!met).then(|| why.to_owned());
    let is_closed = target.status().is_closed();
    match kind {
        DependencyKind::Blocks | DependencyKind::ConditionalBlocks | DependencyKind::MergeBlocks if !is_closed => {
            Some(format!("it is {}", target.status()))
        }
        DependencyKind::ConditionalBlocks => unless(target.has_failed(), "it did not fail"),
        DependencyKind::MergeBlocks => unless(target.was_merged(), "it was closed without a merge"),
        DependencyKind::WaitsFor => {
            let open: Vec<&str> = children.into_iter().filter(|c| !c.status().is_closed()).map(Facts::id).collect();
            (!open.is_empty()).then(|| format!("its children {} are not closed", open.join(", ")))
        }
        DependencyKind::Blocks
        | DependencyKind::ParentChild
        | DependencyKind::Related
        | DependencyKind::DiscoveredFrom
        | DependencyKind::Duplicates
        | DependencyKind::Supersedes
        | DependencyKind::Tracks
        | DependencyKind::RepliesTo
        | DependencyKind::Validates
        | DependencyKind::Other(_) => None,
    }
}

/// The parent of a bead, whether it is written as a field or as an edge.
#[must_use]
pub fn parent_of(bead: &Bead) -> Option<&BeadId> {
    let edge = || bead.dependencies.iter().find(|edge| edge.kind == DependencyKind::ParentChild);
    bead.parent.as_ref().or_else(|| edge().map(|edge| &edge.depends_on_id))
}

/// Looks for a ring through `start`: `next` names the beads that a bead waits for.
///
/// The answer begins and ends with `start`.
///
/// # Errors
/// Those of `next`.
pub fn find_ring(start: &BeadId, mut next: impl FnMut(&BeadId) -> Result<Vec<BeadId>>) -> Result<Option<Vec<BeadId>>> {
    let mut seen = BTreeSet::new();
    let mut way = vec![(start.clone(), next(start)?)];
    while let Some((_, open)) = way.last_mut() {
        let Some(id) = open.pop() else {
            way.pop();
            continue;
        };
        if id == *start {
            return Ok(Some(way.into_iter().map(|(id, _)| id).chain([id]).collect()));
        }
        if seen.insert(id.clone()) {
            let further = next(&id)?;
            way.push((id, further));
        }
    }
    Ok(None)
}

/// Looks for a ring anywhere among `starts` and what they wait for, in time linear in beads and edges.
///
/// The answer begins and ends with the same bead.
///
/// # Errors
/// Those of `next`.
pub fn find_any_ring<'b>(
    starts: impl IntoIterator<Item = &'b BeadId>,
    mut next: impl FnMut(&BeadId) -> Result<Vec<BeadId>>,
) -> Result<Option<Vec<BeadId>>> {
    let mut finished = BTreeSet::new();
    for start in starts {
        if finished.contains(start) {
            continue;
        }
        let mut on_way = BTreeSet::from([start.clone()]);
        let mut way = vec![(start.clone(), next(start)?)];
        while let Some((at, open)) = way.last_mut() {
            let Some(id) = open.pop() else {
                on_way.remove(at);
                finished.insert(at.clone());
                way.pop();
                continue;
            };
            if on_way.contains(&id) {
                let ring = way.into_iter().map(|(at, _)| at).skip_while(|at| *at != id);
                return Ok(Some(ring.chain([id.clone()]).collect()));
            }
            if !finished.contains(&id) {
                let further = next(&id)?;
                on_way.insert(id.clone());
                way.push((id, further));
            }
        }
    }
    Ok(None)
}

/// Reads `kind:id` or a bare id, which means that the target blocks.
///
/// # Errors
/// Usage, when the kind is not known; the hint names those that are.
pub fn parse_edge(text: &str) -> Result<(DependencyKind, &str)> {
    match text.trim().split_once(':') {
        None => Ok((DependencyKind::Blocks, text.trim())),
        Some((kind, id)) => Ok((parse_kind(kind)?, id.trim())),
    }
}

/// Reads a kind of dependency.
///
/// # Errors
/// Usage, when it is not known; the hint names those that are.
pub fn parse_kind(word: &str) -> Result<DependencyKind> {
    word.trim().parse().map_err(|error: Error| {
        let message = format!("'{}' is not a kind of dependency", word.escape_debug());
        Error::usage(message).hint(error.hint.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::IssueType;
    use crate::time::Moment;

    fn bead(id: &str) -> Bead {
        Bead::new(id.parse().unwrap(), IssueType::Task, "t", "overseer", Moment::from_millis(0)).unwrap()
    }

    fn closed(by: &str, reason: &str) -> Bead {
        let mut bead = bead("wi-a");
        bead.close(by, reason, Moment::from_millis(1)).unwrap();
        bead
    }

    #[test]
    fn each_kind_waits_for_what_it_says() {
        use DependencyKind::{Blocks, ConditionalBlocks, MergeBlocks, Related, WaitsFor};
        let (open, done, failed) = (bead("wi-a"), closed("overseer", "done"), closed("overseer", "Failed twice"));
        let merged = closed("widgets/refinery", "merged");
        let met = |kind: &DependencyKind, target: &Bead| obstacle::<Bead>(kind, target, []).is_none();
        assert!(!met(&Blocks, &open) && met(&Blocks, &done));
        assert!(!met(&ConditionalBlocks, &open) && !met(&ConditionalBlocks, &done) && met(&ConditionalBlocks, &failed));
        assert!(!met(&MergeBlocks, &open) && !met(&MergeBlocks, &done) && met(&MergeBlocks, &merged));
        assert!(met(&Related, &open));
        assert!(obstacle(&WaitsFor, &open, [&done]).is_none());
        assert!(obstacle(&WaitsFor, &open, [&done, &open]).is_some());
    }

    #[test]
    fn a_ring_is_found_and_told_and_a_diamond_is_none() {
        let edges = |pairs: &'static [(&str, &str)]| {
            move |id: &BeadId| Ok(pairs.iter().filter(|(a, _)| *a == id.as_str()).map(|(_, b)| b.parse().unwrap()).collect())
        };
        let start: BeadId = "x-a".parse().unwrap();
        let ring = find_ring(&start, edges(&[("x-a", "x-b"), ("x-b", "x-c"), ("x-b", "x-d"), ("x-c", "x-a")])).unwrap();
        let ring: Vec<String> = ring.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(ring, ["x-a", "x-b", "x-c", "x-a"]);
        let diamond = edges(&[("x-a", "x-b"), ("x-a", "x-c"), ("x-b", "x-d"), ("x-c", "x-d")]);
        assert_eq!(find_ring(&start, diamond).unwrap(), None);
        assert_eq!(find_ring(&start, edges(&[("x-a", "x-b"), ("x-b", "x-c"), ("x-c", "x-b")])).unwrap(), None);
    }

    #[test]
    fn an_unknown_kind_is_refused_with_the_known_ones() {
        assert_eq!(parse_edge("wi-a").unwrap(), (DependencyKind::Blocks, "wi-a"));
        assert_eq!(parse_edge("related:wi-a").unwrap(), (DependencyKind::Related, "wi-a"));
        let error = parse_edge("hates:wi-a").unwrap_err();
        assert!(error.hint.unwrap().contains("waits-for"));
    }
}
