//! Edges between beads, and the refusal of those that would close a ring.

use std::rc::Rc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::{Change, Ledger, tree};
use crate::model::bead::{Bead, Dependency, DependencyKind, IssueType, Status};
use crate::model::brief::Facts as _;
use crate::model::dependency::{find_ring, parent_of};
use crate::model::record::Object;
use crate::name::{BeadId, Prefix};
use crate::ops::track::find::Scopes;
use crate::ops::track::reach::{Reach, Shelves, Sight};
use crate::town::Town;

/// What became of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It is there now.
    Added,
    /// It was there before.
    AlreadyThere,
    /// It is gone now.
    Removed,
    /// It was not there.
    NotThere,
}

/// An edge and what became of it.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Connected {
    /// What became of it.
    pub status: Ending,
    /// The bead that depends.
    pub issue_id: BeadId,
    /// What it depends on.
    pub depends_on_id: BeadId,
    /// How.
    #[serde(rename = "type")]
    pub kind: DependencyKind,
}

/// Makes `bead` of `ledger` depend on `target`, which may live in any scope.
///
/// # Errors
/// Not found, when either is not there; refused, when the two are connected in another way, when the bead has a
/// parent already, or when the edge would close a ring, which the message shows.
pub fn connect(town: &Town, ledger: &Ledger, bead: &BeadId, target: &BeadId, kind: &DependencyKind) -> Result<Connected> {
    let mut reach = Reach::new(town);
    let deed = town.deed("dep-add", format!("make {bead} depend on {target} ({kind})"));
    ledger.transact(&deed, |change| connect_in(town, change, &mut reach, bead, target, kind))
}

/// As [`connect`], as a part of a larger change to the scope of `bead`.
pub(in crate::ops) fn connect_in(
    town: &Town,
    change: &mut Change<'_>,
    reach: &mut Reach<'_>,
    bead: &BeadId,
    target: &BeadId,
    kind: &DependencyKind,
) -> Result<Connected> {
    if bead == target {
        return Err(Error::refused(format!("{bead} cannot depend on itself")).hint("name two beads"));
    }
    let here = bead.prefix();
    check_target(change, &here, reach, target)?;
    let mut found = change.bead(bead)?;
    let connected = |status| Connected { status, issue_id: bead.clone(), depends_on_id: target.clone(), kind: kind.clone() };
    if let Some(edge) = found.dependencies.iter().find(|edge| edge.depends_on_id == *target) {
        if edge.kind == *kind {
            return Ok(connected(Ending::AlreadyThere));
        }
        return Err(Error::refused(format!("{bead} depends on {target} already, as {}", edge.kind))
            .hint(format!("to change that, first: gt bead dep remove {bead} {target}")));
    }
    check_parent(&found, kind, target)?;
    found.dependencies.push(Dependency {
        issue_id: bead.clone(),
        depends_on_id: target.clone(),
        kind: kind.clone(),
        created_by: town.actor.name.clone(),
        created_at: town.now,
        extra: Object::new(),
    });
    found.updated_at = town.now;
    change.put_bead(&found)?;
    if kind.is_blocking() || *kind == DependencyKind::ParentChild {
        check_no_ring(change, &here, reach, bead)?;
    }
    Ok(connected(Ending::Added))
}

/// Refuses to depend on what is not there: in this change, or in another scope as it was first looked at.
pub(super) fn check_target(change: &Change<'_>, here: &Prefix, reach: &mut Reach<'_>, target: &BeadId) -> Result<()> {
    let is_here = target.prefix() == *here;
    if is_here && change.has_bead(target)? {
        return Ok(());
    }
    let sight = if is_here { Sight::Missing } else { reach.bead(target) };
    match sight {
        Sight::Seen(_) => Ok(()),
        Sight::Missing => {
            Err(Error::not_found(format!("there is no bead {target} to depend on")).hint("gt list shows what there is"))
        }
        Sight::Unreadable(fault) => Err(Error::corrupt(format!("read {target}: {fault}"))),
    }
}

/// Refuses a second parent, and one that lives elsewhere: a child lives beside its parent.
pub(super) fn check_parent(bead: &Bead, kind: &DependencyKind, target: &BeadId) -> Result<()> {
    if *kind != DependencyKind::ParentChild {
        return Ok(());
    }
    if let Some(parent) = parent_of(bead) {
        return Err(Error::refused(format!("{} is a child of {parent} already", bead.id))
            .hint("a bead has one parent; connect them with --kind related instead"));
    }
    check_beside(&bead.id, target)
}

/// Refuses a parent in another scope.
pub(super) fn check_beside(child: &BeadId, parent: &BeadId) -> Result<()> {
    if parent.prefix() == child.prefix() {
        return Ok(());
    }
    Err(Error::refused(format!("{parent} lives in another scope than {child}"))
        .hint(format!("a child lives beside its parent; to connect them: gt bead dep add {child} {parent} --kind related")))
}

/// Takes the edge from `bead` to `target` away, that of `kind` if one is named; what is not there is no failure. A parent
/// is such an edge too, wherever the bead says so.
///
/// # Errors
/// Not found, when there is no such bead.
pub fn disconnect(
    town: &Town,
    ledger: &Ledger,
    bead: &BeadId,
    target: &BeadId,
    kind: Option<&DependencyKind>,
) -> Result<Connected> {
    let deed = town.deed("dep-remove", format!("end the dependency of {bead} on {target}"));
    ledger.transact(&deed, |change| {
        let mut found = change.bead(bead)?;
        let connected = |status, kind| Connected { status, issue_id: bead.clone(), depends_on_id: target.clone(), kind };
        let is_asked = |one: &DependencyKind| kind.is_none_or(|kind| kind == one);
        let at = found.dependencies.iter().position(|edge| edge.depends_on_id == *target && is_asked(&edge.kind));
        let is_child = found.parent.as_ref() == Some(target) && is_asked(&DependencyKind::ParentChild);
        let ended = match at {
            Some(at) => found.dependencies.remove(at).kind,
            None if is_child => DependencyKind::ParentChild,
            None => return Ok(connected(Ending::NotThere, kind.cloned().unwrap_or(DependencyKind::Blocks))),
        };
        if ended == DependencyKind::ParentChild {
            found.parent = found.parent.filter(|parent| parent != target);
        }
        found.updated_at = town.now;
        change.put_bead(&found)?;
        Ok(connected(Ending::Removed, ended))
    })
}

/// Refuses a change after which `start` would wait for itself: through what blocks it, through its parent (a
/// child of a blocked parent is blocked), or through children it waits for. Other scopes are seen as they were
/// when first looked at; a ring that two scopes close at one moment is found by a later check.
///
/// # Errors
/// Refused, when there is such a ring; the message shows it.
pub fn check_no_ring(change: &Change<'_>, here: &Prefix, reach: &mut Reach<'_>, start: &BeadId) -> Result<()> {
    check_no_ring_by(change, here, reach, start, &[])
}

/// As [`check_no_ring`], as if the edges `more` of other scopes were there too.
pub(in crate::ops) fn check_no_ring_by(
    change: &Change<'_>,
    here: &Prefix,
    reach: &mut Reach<'_>,
    start: &BeadId,
    more: &[Dependency],
) -> Result<()> {
    let next = |id: &BeadId| {
        let mut next = waits_for(change, here, reach, id)?;
        let added = more.iter().filter(|edge| edge.issue_id == *id && edge.kind.is_blocking());
        let added = added.map(|edge| (edge.kind.clone(), edge.depends_on_id.clone()));
        next.extend(leads_to(change, here, reach, None, added)?);
        Ok(next)
    };
    let Some(ring) = find_ring(start, next)? else { return Ok(()) };
    let names: Vec<&str> = ring.iter().map(BeadId::as_str).collect();
    Err(Error::refused(format!("{start} would wait for itself: {}", names.join(" → ")))
        .hint("leave this edge out, or take away another one of the ring; --kind related connects without blocking"))
}

/// One end of an edge, as the other end sees it.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Neighbour {
    /// The bead at the other end.
    pub id: BeadId,
    /// How they are connected.
    #[serde(rename = "type")]
    pub kind: DependencyKind,
    /// Its title; `None` when it cannot be read.
    pub title: Option<String>,
    /// Where it stands; `None` when it cannot be read.
    pub status: Option<Status>,
}

/// What a bead is connected with.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Neighbours {
    /// The bead.
    pub id: BeadId,
    /// What it depends on.
    pub depends_on: Vec<Neighbour>,
    /// What depends on it, in all scopes that can be reached.
    pub needed_by: Vec<Neighbour>,
}

/// What `bead` depends on, wherever that lives.
#[must_use]
pub fn depends_on(town: &Town, bead: &Bead) -> Vec<Neighbour> {
    let mut reach = Reach::new(town);
    let mut seen = |edge: &Dependency| {
        let target = match reach.bead(&edge.depends_on_id) {
            Sight::Seen(target) => Some(target),
            Sight::Missing | Sight::Unreadable(_) => None,
        };
        Neighbour {
            id: edge.depends_on_id.clone(),
            kind: edge.kind.clone(),
            title: target.as_ref().map(|target| target.title.clone()),
            status: target.map(|target| target.status),
        }
    };
    bead.dependencies.iter().map(&mut seen).collect()
}

/// Everything that `bead` is connected with.
///
/// # Errors
/// Not found, when there is no such bead; corrupt, when it cannot be read.
pub fn neighbours(town: &Town, ledger: &Ledger, bead: &BeadId) -> Result<Neighbours> {
    let found = ledger.state()?.bead(bead)?;
    let mut reach = Reach::new(town);
    let needed_by = needed_by(&mut reach, &Scopes::of(town, None, true)?.asked, bead);
    Ok(Neighbours { id: bead.clone(), depends_on: depends_on(town, &found), needed_by })
}

/// The children of a bead.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Family {
    /// Those that there are, archived ones last.
    pub children: Vec<Neighbour>,
    /// Why some may be missing.
    pub notes: Vec<String>,
}

/// The children of `parent` of `ledger`, archived ones too, whatever their ids.
///
/// # Errors
/// Corrupt, when the scope's trees cannot be read.
pub fn family(ledger: &Ledger, parent: &BeadId) -> Result<Family> {
    let state = ledger.state()?;
    let mut family = Family::default();
    let archived = || ledger.archive()?.map(|archive| archive.catalog()).transpose();
    let archive = archived().unwrap_or_else(|error| {
        family.notes.push(format!("children that are archived are left out: {}", error.line()));
        None
    });
    let catalog = Rc::new(state.catalog()?);
    let shelves = Shelves::new(catalog.clone(), archive.map(Rc::new));
    for row in shelves.children(parent) {
        let id: BeadId = row.id().parse()?;
        // A place of the index that is damaged: the record says it.
        let title = row.brief().map(|brief| brief.title).or_else(|| state.find_bead(&id).ok().flatten().map(|bead| bead.title));
        let status = Some(row.status().clone());
        family.children.push(Neighbour { id, kind: DependencyKind::ParentChild, title, status });
    }
    // Of what cannot be read only the id tells whose child it was.
    let start = format!("{parent}.");
    let lost = catalog.lost_children(parent).into_iter().filter(|id| id.as_str().starts_with(&start));
    let unread = |id| Neighbour { id, kind: DependencyKind::ParentChild, title: None, status: None };
    family.children.extend(lost.map(unread));
    Ok(family)
}

/// The same for whoever only wants to know of `parent` itself: of a bead that is no epic and has no numbered children it
/// is not asked whether others were put below it, which would take longer than to read the bead.
///
/// # Errors
/// As [`family`].
pub fn near_family(ledger: &Ledger, parent: &Bead) -> Result<Family> {
    let state = ledger.state()?;
    let start = format!("{}.", parent.id);
    // What an archive that cannot be read has is told of by the whole answer.
    let beside = state.ids_beside(&parent.id).or_else(|_| state.own_ids_beside(&parent.id))?;
    let is_parent = parent.issue_type == IssueType::Epic || beside.iter().any(|id| id.as_str().starts_with(&start));
    if is_parent { family(ledger, &parent.id) } else { Ok(Family::default()) }
}

/// What in `scopes` depends on `bead`, archived beads too.
pub(super) fn needed_by(reach: &mut Reach<'_>, scopes: &[Prefix], bead: &BeadId) -> Vec<Neighbour> {
    let mut found = Vec::new();
    for prefix in scopes {
        // A scope that cannot be reached has edges that nobody here can list.
        let Ok(shelves) = reach.shelves(prefix) else { continue };
        for (row, kind) in shelves.needed_by(bead) {
            let Ok(id) = row.id().parse() else { continue };
            let title = reach.brief_of(prefix, row).ok().map(|other| other.title);
            found.push(Neighbour { id, kind, title, status: Some(row.status().clone()) });
        }
    }
    found
}

/// What `id` waits for, as the index has it, or the record where this change wrote one.
fn waits_for(change: &Change<'_>, here: &Prefix, reach: &mut Reach<'_>, id: &BeadId) -> Result<Vec<BeadId>> {
    let is_here = id.prefix() == *here;
    if is_here && !change.has_touched(id) {
        let catalog = change.catalog()?;
        let Some(row) = catalog.find(id.as_str()) else { return Ok(Vec::new()) };
        let parent = row.parent_id().and_then(|id| id.parse().ok());
        let edges = row.edges().filter(|(kind, _)| kind.is_blocking());
        let edges = edges.filter_map(|(kind, target)| Some((kind.clone(), catalog.target_id(target).parse().ok()?)));
        return leads_to(change, here, reach, parent, edges);
    }
    // A bead that cannot be read blocks its dependents by itself, but nobody can tell what it waits for.
    let bead: Option<Bead> = if is_here {
        change.get(&tree::bead(id)).unwrap_or_default()
    } else {
        match reach.bead(id) {
            Sight::Seen(bead) => Some(*bead),
            Sight::Missing | Sight::Unreadable(_) => None,
        }
    };
    let Some(bead) = bead else { return Ok(Vec::new()) };
    let edges = bead.blockers().map(|edge| (edge.kind.clone(), edge.depends_on_id.clone()));
    leads_to(change, here, reach, parent_of(&bead).cloned(), edges)
}

fn leads_to(
    change: &Change<'_>,
    here: &Prefix,
    reach: &mut Reach<'_>,
    parent: Option<BeadId>,
    edges: impl Iterator<Item = (DependencyKind, BeadId)>,
) -> Result<Vec<BeadId>> {
    let mut next: Vec<BeadId> = parent.into_iter().collect();
    for (kind, target) in edges {
        match kind {
            DependencyKind::WaitsFor if target.prefix() == *here => next.extend(change.children(&target)?),
            DependencyKind::WaitsFor => {
                let children = reach.children(&target).unwrap_or_default();
                next.extend(children.into_iter().map(|bead| bead.id));
            }
            _ => next.push(target),
        }
    }
    Ok(next)
}
