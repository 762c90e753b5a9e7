//! What a bead leans on, or what leans on it, as a tree, over all scopes; rings and beads met twice end a branch.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::model::bead::{DependencyKind, IssueType, Status};
use crate::model::brief::{Brief, Facts as _};
use crate::name::{BeadId, Prefix};
use crate::ops::track::depend::needed_by;
use crate::ops::track::find::Scopes;
use crate::ops::track::reach::{Reach, Sight};
use crate::town::Town;

/// How many nodes a tree shows at most.
pub const NODES_MAX: usize = 10_000;

/// Which way a tree grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To what the bead depends on.
    #[default]
    Down,
    /// To what depends on the bead.
    Up,
}

/// A bead of a tree.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Node {
    /// The bead.
    pub id: BeadId,
    /// Its title; `None` when it cannot be read.
    pub title: Option<String>,
    /// Where it stands; `None` when it cannot be read.
    pub status: Option<Status>,
    /// How urgent it is; `None` when it cannot be read.
    pub priority: Option<u8>,
    /// What sort it is; `None` when it cannot be read.
    pub issue_type: Option<IssueType>,
    /// How far from the root, which is at 0.
    pub depth: usize,
    /// The node that it hangs on.
    pub parent_id: Option<BeadId>,
    /// How the two are connected.
    pub edge_from_parent: Option<DependencyKind>,
    /// Which way the tree grows.
    pub direction: Direction,
    /// Whether there is more below it, which is too deep to be shown.
    pub truncated: bool,
    /// Whether it stands further up already, and what is below it there.
    pub repeated: bool,
}

/// A tree, each node before those below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Whether there are more than [`NODES_MAX`].
    pub is_cut: bool,
}

/// A bead that is still to be looked at, and what it hangs on.
struct Branch {
    id: BeadId,
    depth: usize,
    above: Option<(BeadId, DependencyKind)>,
}

/// The tree on `root`, down to `depth_max`; `related` connects without leaning, so it is left out.
///
/// # Errors
/// Not found, when the town's rigs cannot be listed.
pub fn tree(town: &Town, root: &BeadId, direction: Direction, depth_max: usize) -> Result<Tree> {
    let scopes = Scopes::of(town, None, true)?.asked;
    let mut reach = Reach::new(town);
    let mut found = Tree { nodes: Vec::new(), is_cut: false };
    let mut seen = BTreeSet::new();
    let mut open = vec![Branch { id: root.clone(), depth: 0, above: None }];
    while let Some(Branch { id, depth, above }) = open.pop() {
        if found.nodes.len() >= NODES_MAX {
            found.is_cut = true;
            break;
        }
        // One look at a whole scope serves every further bead of it; a scope out of reach is told of below.
        let _ = reach.catalog(&id.prefix());
        let brief = match reach.brief(&id) {
            Sight::Seen(brief) => Some(*brief),
            Sight::Missing | Sight::Unreadable(_) => None,
        };
        let repeated = !seen.insert(id.clone());
        let next = if repeated { Vec::new() } else { next(&mut reach, &scopes, &id, brief.as_ref(), direction) };
        let truncated = depth >= depth_max && !next.is_empty();
        if !truncated {
            // From the end, since the last is taken first.
            let branch = |(kind, below)| Branch { id: below, depth: depth + 1, above: Some((id.clone(), kind)) };
            open.extend(next.into_iter().rev().map(branch));
        }
        let (parent_id, edge_from_parent) = above.unzip();
        found.nodes.push(Node {
            title: brief.as_ref().map(|brief| brief.title.clone()),
            status: brief.as_ref().map(|brief| brief.status.clone()),
            priority: brief.as_ref().map(|brief| brief.priority),
            issue_type: brief.map(|brief| brief.issue_type),
            id,
            depth,
            parent_id,
            edge_from_parent,
            direction,
            truncated,
            repeated,
        });
    }
    Ok(found)
}

/// What hangs on `id` in a tree that grows in `direction`.
fn next(
    reach: &mut Reach<'_>,
    scopes: &[Prefix],
    id: &BeadId,
    brief: Option<&Brief>,
    direction: Direction,
) -> Vec<(DependencyKind, BeadId)> {
    let (mut edges, kin): (Vec<(DependencyKind, BeadId)>, Vec<BeadId>) = match direction {
        Direction::Down => {
            let Some(brief) = brief else { return Vec::new() };
            (brief.edges.clone(), brief.parent.iter().cloned().collect())
        }
        Direction::Up => {
            let leaning = needed_by(reach, scopes, id).into_iter().map(|one| (one.kind, one.id)).collect();
            (leaning, children(reach, id))
        }
    };
    edges.retain(|(kind, _)| *kind != DependencyKind::Related);
    for id in kin {
        if !edges.iter().any(|(_, other)| *other == id) {
            edges.push((DependencyKind::ParentChild, id));
        }
    }
    edges
}

/// The children of `id`, archived ones last.
fn children(reach: &mut Reach<'_>, id: &BeadId) -> Vec<BeadId> {
    // A scope that cannot be reached has children that nobody here can list.
    let Ok(shelves) = reach.shelves(&id.prefix()) else { return Vec::new() };
    shelves.children(id).into_iter().filter_map(|row| row.id().parse().ok()).collect()
}
