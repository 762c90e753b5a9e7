//! Deleted beads come back from history, with the edges that were cut.

use std::collections::BTreeMap;

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::{Change, Ledger, read, tree};
use crate::model::bead::{Bead, Dependency};
use crate::model::dependency::parent_of;
use crate::model::tombstone::Tombstone;
use crate::name::{BeadId, Prefix};
use crate::ops::past::delete::Cut;
use crate::ops::track::depend::{check_no_ring, connect_in};
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
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Restored {
    /// The beads.
    pub restored: Vec<Back>,
    /// Edges of others to them that are there again.
    pub reconnected: Vec<Cut>,
    /// Edges that are not, each with the reason.
    pub left_out: Vec<String>,
}

/// Brings the deleted beads `ids` back as they last stood, one transaction a scope; with `cascade` also all that were
/// deleted together with them.
///
/// # Errors
/// Not found, when there is no such tombstone or history no longer holds the bead; refused, when it was moved, when its
/// parent is still deleted, or when it would close a ring. Within a scope all come back or none.
pub fn restore(town: &Town, ids: &[BeadId], cascade: bool) -> Result<Restored> {
    let mut scopes: BTreeMap<Prefix, Vec<BeadId>> = BTreeMap::new();
    for id in ids {
        scopes.entry(id.prefix()).or_default().push(id.clone());
    }
    let mut told = Restored::default();
    let mut reach = Reach::new(town);
    for (prefix, ids) in &scopes {
        let ledger = town.scope_of(prefix)?;
        let names: Vec<&str> = ids.iter().map(BeadId::as_str).collect();
        let deed = town.deed("restore", format!("restore {}", names.join(" ")));
        let (part, far) = ledger.transact(&deed, |change| restore_in(town, change, &ledger, &mut reach, ids, cascade))?;
        told.restored.extend(part.restored);
        told.reconnected.extend(part.reconnected);
        told.left_out.extend(part.left_out);
        crate::env::crash_point("bead.restored");
        connect_far(town, &far, &mut told);
    }
    Ok(told)
}

/// Restores `ids` of one scope; also tells the edges of other scopes that were cut.
pub(super) fn restore_in(
    town: &Town,
    change: &mut Change<'_>,
    ledger: &Ledger,
    reach: &mut Reach<'_>,
    ids: &[BeadId],
    cascade: bool,
) -> Result<(Restored, Vec<Dependency>)> {
    let mut told = Restored::default();
    let mut stones: BTreeMap<BeadId, Tombstone> = BTreeMap::new();
    for id in ids {
        match stone_of(change, id)? {
            Some(stone) => drop(stones.insert(id.clone(), stone)),
            None => told.restored.push(Back { id: id.clone(), title: change.before().bead(id)?.title, was_so: true }),
        }
    }
    if cascade {
        let together = change.before().tombstones()?.0.into_iter().filter(|stone| stone.moved_to.is_none());
        let together: Vec<Tombstone> = together.filter(|one| stones.values().any(|stone| stone.rev == one.rev)).collect();
        stones.extend(together.into_iter().map(|stone| (stone.id.clone(), stone)));
    }
    let beads: Vec<Bead> = stones.values().map(|stone| last_version(ledger, stone)).collect::<Result<_>>()?;
    for mut bead in beads {
        drop_dead_edges(change, &stones, &mut bead, &mut told)?;
        bead.updated_at = town.now;
        change.put_bead(&bead)?;
        told.restored.push(Back { id: bead.id.clone(), title: bead.title, was_so: false });
    }
    let mut far = Vec::new();
    for (id, stone) in &stones {
        check_no_ring(change, &id.prefix(), reach, id)?;
        for edge in &stone.cut_edges {
            if edge.issue_id.prefix() == id.prefix() {
                connect_near(town, change, reach, edge, &mut told)?;
            } else {
                far.push(edge.clone());
            }
        }
    }
    Ok((told, far))
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
    let Some(before) = change.get::<Bead>(&tree::bead(&edge.issue_id))? else {
        told.left_out.push(format!("{} on {}: the first is not there any more", edge.issue_id, edge.depends_on_id));
        return Ok(());
    };
    if before.dependencies.iter().any(|own| own.depends_on_id == edge.depends_on_id) {
        return Ok(());
    }
    let mut bead = before.clone();
    bead.dependencies.push(edge.clone());
    bead.updated_at = town.now;
    change.put_bead(&bead)?;
    match check_no_ring(change, &edge.issue_id.prefix(), reach, &edge.issue_id) {
        Ok(()) => told.reconnected.push(Cut::of(edge)),
        Err(error) => {
            change.put_bead(&before)?;
            told.left_out.push(format!("{} on {}: {}", edge.issue_id, edge.depends_on_id, error.line()));
        }
    }
    Ok(())
}

/// Puts edges of other scopes back that were cut.
pub(super) fn connect_far(town: &Town, edges: &[Dependency], told: &mut Restored) {
    for edge in edges {
        let Dependency { issue_id, depends_on_id, kind, .. } = edge;
        let mut reach = Reach::new(town);
        let deed = town.deed("reconnect", format!("connect {issue_id} with {depends_on_id} again"));
        let connected = town.scope_of(&issue_id.prefix()).and_then(|ledger| {
            ledger.transact(&deed, |change| connect_in(town, change, &mut reach, issue_id, depends_on_id, kind))
        });
        match connected {
            Ok(_) => told.reconnected.push(Cut::of(edge)),
            Err(error) => told.left_out.push(format!("{issue_id} on {depends_on_id}: {}", error.line())),
        }
    }
}
