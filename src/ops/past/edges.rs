//! Edges that lead to what is taken away: found in every scope, cut with it, and put back when it comes back.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::ledger::{Change, tree};
use crate::model::bead::{Bead, Dependency, DependencyKind};
use crate::model::brief::Facts as _;
use crate::name::{BeadId, Prefix};
use crate::ops::past::delete::listed;
use crate::ops::track::find::Scopes;
use crate::ops::track::reach::Reach;
use crate::town::Town;

/// An edge that went with the bead that it led to, or came back with it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Cut {
    /// The bead that depended.
    pub issue_id: BeadId,
    /// What it depended on.
    pub depends_on_id: BeadId,
    /// How.
    #[serde(rename = "type")]
    pub kind: DependencyKind,
}

impl Cut {
    pub(super) fn of(edge: &Dependency) -> Self {
        Self { issue_id: edge.issue_id.clone(), depends_on_id: edge.depends_on_id.clone(), kind: edge.kind.clone() }
    }
}

/// An edge that somebody has.
pub(super) struct Held {
    pub(super) edge: Dependency,
    /// Whether the bead that has it is still to be done.
    pub(super) is_open: bool,
}

impl Held {
    /// Whether it goes with what it leads to: a convoy goes on tracking what was deleted, which is not done.
    pub(super) fn is_cut(&self) -> bool {
        self.edge.kind != DependencyKind::Tracks
    }
}

/// Edges of this scope to `doomed` from beads that are not among `all`.
pub(super) fn near(change: &Change<'_>, doomed: &[BeadId], all: &BTreeSet<&BeadId>) -> Result<Vec<Held>> {
    let catalog = change.before().catalog()?;
    let targets: Vec<&BeadId> = doomed.iter().collect();
    let others = catalog.needed_by_any(&targets).into_iter().filter_map(|(row, ..)| row.id().parse().ok());
    let others: BTreeSet<BeadId> = others.collect();
    let mut found = Vec::new();
    for other in others.iter().filter(|other| !all.contains(other)) {
        let bead = change.bead(other)?;
        let is_open = !bead.status.is_closed();
        let edges = bead.dependencies.into_iter().filter(|edge| all.contains(&edge.depends_on_id));
        found.extend(edges.map(|edge| Held { edge, is_open }));
    }
    Ok(found)
}

/// Edges of other scopes than `here` to `all`, as far as these can be read; what is archived stays as it is.
pub(super) fn far(
    town: &Town,
    reach: &mut Reach<'_>,
    here: Option<&Prefix>,
    all: &BTreeSet<&BeadId>,
    notes: &mut Vec<String>,
) -> Result<Vec<Held>> {
    let mut found = Vec::new();
    for prefix in Scopes::of(town, None, true)?.asked.iter().filter(|prefix| Some(*prefix) != here) {
        let catalog = match reach.catalog(prefix) {
            Ok(catalog) => catalog,
            Err(error) => {
                notes.push(format!("whether scope {prefix} waits for it cannot be told: {}", error.line()));
                continue;
            }
        };
        let targets: Vec<&BeadId> = all.iter().copied().collect();
        for (row, _, id) in catalog.needed_by_any(&targets) {
            let bead = reach.in_full(prefix, row)?;
            let is_open = !row.status().is_closed();
            let edges = bead.dependencies.into_iter().filter(|edge| edge.depends_on_id == *id);
            found.extend(edges.map(|edge| Held { edge, is_open }));
        }
    }
    Ok(found)
}

/// All edges to the bead `id`, of this scope and of others that can be read.
pub(super) fn to(town: &Town, change: &Change<'_>, reach: &mut Reach<'_>, id: &BeadId) -> Result<Vec<Dependency>> {
    let all = BTreeSet::from([id]);
    let mut held = near(change, std::slice::from_ref(id), &all)?;
    held.extend(far(town, reach, Some(&id.prefix()), &all, &mut Vec::new())?);
    Ok(held.into_iter().map(|held| held.edge).collect())
}

/// Refuses to delete what something that is still to be done waits for.
pub(super) fn check_unneeded(near: &[Held], far: &[Held]) -> Result<()> {
    let needs = |held: &&Held| held.is_open && (held.edge.kind.is_blocking() || held.edge.kind == DependencyKind::ParentChild);
    let held: Vec<String> = near.iter().chain(far).filter(needs).map(|held| line(&held.edge)).collect();
    if held.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = held.iter().map(String::as_str).collect();
    Err(Error::refused(format!("others wait for it: {}", listed(&names))).hint("with --force these edges are cut"))
}

fn line(edge: &Dependency) -> String {
    format!("{} on {} ({})", edge.issue_id, edge.depends_on_id, edge.kind)
}

fn by_scope(edges: &[Dependency]) -> BTreeMap<Prefix, Vec<&Dependency>> {
    let mut scopes: BTreeMap<Prefix, Vec<&Dependency>> = BTreeMap::new();
    for edge in edges {
        scopes.entry(edge.issue_id.prefix()).or_default().push(edge);
    }
    scopes
}

/// Cuts edges of beads in other scopes, a transaction a scope.
pub(super) fn cut(town: &Town, edges: &[Dependency]) -> Result<Vec<Cut>> {
    let mut cut = Vec::new();
    for (prefix, edges) in by_scope(edges) {
        let deed = town.deed("cut", format!("cut {} edges to what was deleted", edges.len()));
        let done = town.scope_of(&prefix)?.transact(&deed, |change| {
            let mut done = Vec::new();
            for edge in &edges {
                let Some(mut bead) = change.get::<Bead>(&tree::bead(&edge.issue_id))? else { continue };
                let before = bead.dependencies.len();
                bead.dependencies.retain(|own| own.depends_on_id != edge.depends_on_id);
                if bead.dependencies.len() < before {
                    bead.updated_at = town.now;
                    change.put_bead(&bead)?;
                    done.push(Cut::of(edge));
                }
            }
            Ok(done)
        })?;
        cut.extend(done);
    }
    Ok(cut)
}

/// What became of edges that were to be put back.
#[derive(Default)]
pub(super) struct Mended {
    /// Those that were written now.
    pub(super) put: Vec<Dependency>,
    /// Those that are there again, by whomever.
    pub(super) there: Vec<Cut>,
    /// Those that are not, each with the reason.
    pub(super) left_out: Vec<String>,
}

/// Puts edges of other scopes back as they were, a transaction a scope. Whoever brings a bead back does this first:
/// killed in between, others wait for what is deleted, and the next run finishes.
pub(super) fn mend(town: &Town, edges: &[Dependency]) -> Mended {
    let mut mended = Mended::default();
    for (prefix, edges) in by_scope(edges) {
        let deed = town.deed("reconnect", format!("connect with {} again", targets(&edges)));
        let done = town.scope_of(&prefix).and_then(|ledger| ledger.transact(&deed, |change| mend_in(town, change, &edges)));
        match done {
            Ok(done) => {
                mended.put.extend(done.put);
                mended.there.extend(done.there);
                mended.left_out.extend(done.left_out);
            }
            Err(error) => mended.left_out.extend(edges.iter().map(|edge| left_out(edge, &error.line()))),
        }
    }
    mended
}

fn targets(edges: &[&Dependency]) -> String {
    let names: BTreeSet<&str> = edges.iter().map(|edge| edge.depends_on_id.as_str()).collect();
    listed(&names.into_iter().collect::<Vec<_>>())
}

fn mend_in(town: &Town, change: &mut Change<'_>, edges: &[&Dependency]) -> Result<Mended> {
    let mut mended = Mended::default();
    for edge in edges {
        match put_back(town, change, edge)? {
            Place::Missing => mended.left_out.push(left_out(edge, "the first is not there any more")),
            Place::There => mended.there.push(Cut::of(edge)),
            Place::Other => {}
            Place::Put(_) => {
                mended.put.push((*edge).clone());
                mended.there.push(Cut::of(edge));
            }
        }
    }
    Ok(mended)
}

/// Where an edge was to be put back.
pub(super) enum Place {
    /// It is there now; this is how the bead was before.
    Put(Box<Bead>),
    /// It is there.
    There,
    /// The two are connected in another way by now.
    Other,
    /// The bead that had it is not there any more.
    Missing,
}

/// Puts an edge back as it was, when its bead is there and the two are not connected.
pub(super) fn put_back(town: &Town, change: &mut Change<'_>, edge: &Dependency) -> Result<Place> {
    let Some(before) = change.get::<Bead>(&tree::bead(&edge.issue_id))? else { return Ok(Place::Missing) };
    if let Some(own) = before.dependencies.iter().find(|own| own.depends_on_id == edge.depends_on_id) {
        return Ok(if own.kind == edge.kind { Place::There } else { Place::Other });
    }
    let mut bead = before.clone();
    bead.dependencies.push(edge.clone());
    bead.updated_at = town.now;
    change.put_bead(&bead)?;
    Ok(Place::Put(Box::new(before)))
}

pub(super) fn left_out(edge: &Dependency, why: &str) -> String {
    format!("{} on {}: {why}", edge.issue_id, edge.depends_on_id)
}

/// Cuts what was put back for beads that did not come back after all. What cannot be cut now waits for what is deleted,
/// as after a killed command.
pub(super) fn cut_again(town: &Town, put: &[Dependency]) {
    let is_gone = |id: &BeadId| {
        let has = town.scope_of(&id.prefix()).and_then(|ledger| ledger.state()?.has_bead(id));
        matches!(has, Ok(false)) || has.is_err_and(|error| error.kind == Kind::NotFound)
    };
    let gone: Vec<Dependency> = put.iter().filter(|edge| is_gone(&edge.depends_on_id)).cloned().collect();
    if let Err(error) = cut(town, &gone) {
        tracing::warn!("edges to what did not come back were not cut: {}", error.line());
    }
}
