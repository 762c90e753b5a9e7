//! Deleted beads come back from history, with the edges that were cut.

use std::collections::{BTreeMap, BTreeSet};

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::{Change, Ledger, read};
use crate::model::bead::{Bead, Dependency};
use crate::model::dependency::parent_of;
use crate::model::tombstone::Tombstone;
use crate::name::BeadId;
use crate::ops::convoy::{self, Settled};
use crate::ops::past::delete::by_scope;
use crate::ops::past::edges::{self, Cut, Mended, Place};
use crate::ops::track::depend::{check_no_ring, check_no_ring_by};
use crate::ops::track::reach::Reach;
use crate::town::Town;

/// A bead that was to come back.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Back {
    /// Which.
    pub id: BeadId,
    /// What it is about.
    pub title: String,
    /// Whether it was there before.
    #[serde(rename = "already")]
    pub was_so: bool,
}

/// What came back.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Restored {
    /// The beads.
    pub restored: Vec<Back>,
    /// Edges of others to them that are there again.
    pub reconnected: Vec<Cut>,
    /// Edges that are not, each with the reason.
    pub left_out: Vec<String>,
    /// Beads that were deleted together with these, and still are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub still_deleted: Vec<BeadId>,
    /// Convoys that landed, were fed or are complete with that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub convoys: Vec<Settled>,
}

/// Brings the deleted beads `ids` back as they last stood, one transaction a scope; with `cascade` also all that were
/// deleted together with them, and what is still deleted below those that are there. Edges of other scopes come first:
/// until the bead is there again they wait for what is deleted, and the same command finishes.
///
/// # Errors
/// Not found, when there is no such tombstone or history no longer holds the bead; refused, when it was moved, when its
/// parent is still deleted, or when it would close a ring. Within a scope all come back or none.
pub fn restore(town: &Town, ids: &[BeadId], cascade: bool) -> Result<Restored> {
    let scopes = by_scope(ids);
    // What is refused is found before anything is written.
    let mut far = BTreeMap::new();
    for (prefix, ids) in &scopes {
        let (ledger, mut reach) = (town.scope_of(prefix)?, Reach::new(town));
        let plan = ledger.rehearse(town.now, |change| restore_in(town, change, &ledger, &mut reach, ids, cascade))?;
        far.insert(prefix, plan.far);
    }
    let mut told = Restored::default();
    for (prefix, ids) in &scopes {
        let early = edges::mend(town, &far[prefix]);
        crate::env::crash_point("bead.reconnected");
        let (ledger, mut reach) = (town.scope_of(prefix)?, Reach::new(town));
        let names: Vec<&str> = ids.iter().map(BeadId::as_str).collect();
        let deed = town.deed("restore", format!("restore {}", names.join(" ")));
        let done = ledger.transact(&deed, |change| restore_in(town, change, &ledger, &mut reach, ids, cascade));
        let done = done.inspect_err(|_| edges::cut_again(town, &early.put))?;
        // Whoever deleted it a second time meanwhile may have cut them again.
        let late = edges::mend(town, &done.far);
        told.add(done.told, late);
        told.convoys.extend(convoy::after_close(town, &done.closed).into_iter().filter(Settled::is_news));
    }
    Ok(told)
}

impl Restored {
    fn add(&mut self, part: Self, far: Mended) {
        self.restored.extend(part.restored);
        self.reconnected.extend(part.reconnected);
        self.reconnected.extend(far.there);
        self.left_out.extend(part.left_out);
        self.left_out.extend(far.left_out);
        self.still_deleted.extend(part.still_deleted);
        self.convoys.extend(part.convoys);
    }
}

/// What a scope gets back.
struct Plan {
    told: Restored,
    /// Edges of other scopes that were cut.
    far: Vec<Dependency>,
    /// Beads that are there again and closed.
    closed: Vec<BeadId>,
}

/// Restores `ids` of one scope.
fn restore_in(
    town: &Town,
    change: &mut Change<'_>,
    ledger: &Ledger,
    reach: &mut Reach<'_>,
    ids: &[BeadId],
    cascade: bool,
) -> Result<Plan> {
    let mut told = Restored::default();
    let stones = stones(change, ledger, ids, cascade, &mut told)?;
    let beads: Vec<Bead> = stones.values().map(|stone| last_version(ledger, stone)).collect::<Result<_>>()?;
    let mut closed = Vec::new();
    for mut bead in beads {
        drop_dead_edges(change, &stones, &mut bead, &mut told)?;
        bead.updated_at = town.now;
        change.put_bead(&bead)?;
        if bead.status.is_closed() {
            closed.push(bead.id.clone());
        }
        told.restored.push(Back { id: bead.id, title: bead.title, was_so: false });
    }
    told.convoys = convoy::closed_in(town, change, &closed)?;
    let mut far = Vec::new();
    for (id, stone) in &stones {
        check_no_ring(change, &id.prefix(), reach, id)?;
        for edge in &stone.cut_edges {
            if edge.issue_id.prefix() == id.prefix() {
                connect_near(town, change, reach, edge, &mut told)?;
                continue;
            }
            far.push(edge.clone());
            if let Err(error) = check_no_ring_by(change, &id.prefix(), reach, &edge.issue_id, &far) {
                far.pop();
                told.left_out.push(edges::left_out(edge, &error.line()));
            }
        }
    }
    Ok(Plan { told, far, closed })
}

/// The tombstones of what comes back; tells of what is there already, and of what stays.
fn stones(
    change: &Change<'_>,
    ledger: &Ledger,
    ids: &[BeadId],
    cascade: bool,
    told: &mut Restored,
) -> Result<BTreeMap<BeadId, Tombstone>> {
    let mut stones: BTreeMap<BeadId, Tombstone> = BTreeMap::new();
    let mut there: BTreeSet<BeadId> = BTreeSet::new();
    for id in ids {
        match stone_of(change, id)? {
            Some(stone) => drop(stones.insert(id.clone(), stone)),
            None => {
                told.restored.push(Back { id: id.clone(), title: change.before().bead(id)?.title, was_so: true });
                there.insert(id.clone());
            }
        }
    }
    let others = change.before().tombstones()?.0.into_iter().filter(|stone| stone.moved_to.is_none());
    let others: Vec<Tombstone> = others.filter(|stone| !stones.contains_key(&stone.id)).collect();
    let (mut more, others): (Vec<Tombstone>, Vec<Tombstone>) =
        others.into_iter().partition(|one| stones.values().any(|stone| stone.rev == one.rev));
    if !there.is_empty() {
        more.extend(below(ledger, there, others));
    }
    if cascade {
        stones.extend(more.into_iter().map(|stone| (stone.id.clone(), stone)));
    } else {
        told.still_deleted = more.into_iter().map(|stone| stone.id).collect();
        told.still_deleted.sort();
    }
    Ok(stones)
}

/// Those of `stones` whose beads were below any of `parents`, as far as history still holds them.
fn below(ledger: &Ledger, mut parents: BTreeSet<BeadId>, stones: Vec<Tombstone>) -> Vec<Tombstone> {
    let parent = |stone: &Tombstone| last_version(ledger, stone).ok().and_then(|bead| parent_of(&bead).cloned());
    let with_parent = |stone: Tombstone| parent(&stone).map(|parent| (stone, parent));
    let mut open: Vec<(Tombstone, BeadId)> = stones.into_iter().filter_map(with_parent).collect();
    let mut found = Vec::new();
    loop {
        let (below, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, parent)| parents.contains(parent));
        if below.is_empty() {
            return found;
        }
        parents.extend(below.iter().map(|(stone, _)| stone.id.clone()));
        found.extend(below.into_iter().map(|(stone, _)| stone));
        open = rest;
    }
}

/// The tombstone of `id`; `None` when the bead is there.
fn stone_of(change: &Change<'_>, id: &BeadId) -> Result<Option<Tombstone>> {
    if change.has_bead(id)? {
        return Ok(None);
    }
    let stone = change.tombstone(id)?;
    let stone = stone.ok_or_else(|| {
        Error::not_found(format!("there is no bead {id}, and none was deleted")).hint("gt bead deleted lists those")
    })?;
    match &stone.moved_to {
        None => Ok(Some(stone)),
        Some(new) => Err(Error::refused(format!("{id} was not deleted: it is {new} now")).hint(format!("gt show {new}"))),
    }
}

/// The bead as it stood when it was deleted.
fn last_version(ledger: &Ledger, stone: &Tombstone) -> Result<Bead> {
    let id = &stone.id;
    let Some(blob) = stone.last_record.as_deref().and_then(|hex| ObjectId::from_hex(hex.as_bytes()).ok()) else {
        return Err(Error::not_found(format!("{id} was deleted where it came from; its content never was here"))
            .hint("import it from there"));
    };
    let bead = read::bead_with(&ledger.store, id.as_str(), blob).map_err(|error| {
        Error::not_found(format!("the history here no longer holds {id}"))
            .hint("a machine that has not flattened its history may have it; or a backup: gt restore FILE into another directory")
            .caused_by(error)
    })?;
    if bead.id == *id {
        return Ok(bead);
    }
    Err(Error::corrupt(format!("the tombstone of {id} names the record of {}", bead.id)))
}

/// Leaves out edges to what was deleted meanwhile; a parent must be there.
fn drop_dead_edges(
    change: &Change<'_>,
    stones: &BTreeMap<BeadId, Tombstone>,
    bead: &mut Bead,
    told: &mut Restored,
) -> Result<()> {
    let is_dead = |id: &BeadId| -> Result<bool> {
        let is_here = id.prefix() == bead.id.prefix() && !stones.contains_key(id) && !change.has_bead(id)?;
        Ok(is_here && change.tombstone(id)?.is_some_and(|stone| stone.moved_to.is_none()))
    };
    if let Some(parent) = parent_of(bead).filter(|parent| *parent != &bead.id)
        && is_dead(parent)?
    {
        return Err(Error::refused(format!("{}, the parent of {}, is deleted", parent, bead.id))
            .hint(format!("with it: gt bead restore {parent} {}", bead.id)));
    }
    let mut kept = Vec::new();
    for edge in &bead.dependencies {
        if is_dead(&edge.depends_on_id)? {
            told.left_out.push(format!("{} on {}, which is deleted", edge.issue_id, edge.depends_on_id));
        } else {
            kept.push(edge.clone());
        }
    }
    bead.dependencies = kept;
    Ok(())
}

/// Puts an edge of this scope back that was cut, unless it would close a ring by now.
fn connect_near(
    town: &Town,
    change: &mut Change<'_>,
    reach: &mut Reach<'_>,
    edge: &Dependency,
    told: &mut Restored,
) -> Result<()> {
    match edges::put_back(town, change, edge)? {
        Place::Missing => told.left_out.push(edges::left_out(edge, "the first is not there any more")),
        Place::There | Place::Other => {}
        Place::Put(before) => match check_no_ring(change, &edge.issue_id.prefix(), reach, &edge.issue_id) {
            Ok(()) => told.reconnected.push(Cut::of(edge)),
            Err(error) => {
                change.put_bead(&before)?;
                told.left_out.push(edges::left_out(edge, &error.line()));
            }
        },
    }
    Ok(())
}
