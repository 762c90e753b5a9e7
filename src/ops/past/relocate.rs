//! Beads that go to another scope: a copy there first, then a tombstone here that leads to it.
//!
//! Two scopes are two transactions. A copy names the bead that it came from and has an id that follows from it, so that
//! a command which was killed in between is finished by the same command.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::{Change, Ledger, tree};
use crate::model::bead::{Bead, IssueType};
use crate::model::dependency::parent_of;
use crate::model::hook::Hook;
use crate::model::merge::content_hash;
use crate::model::record::ARCHIVE_COPY;
use crate::model::tombstone::Tombstone;
use crate::name::{BeadId, Prefix};
use crate::ops::convoy;
use crate::ops::past::delete::{check_idle, check_never_archived, listed};
use crate::ops::past::edges;
use crate::ops::past::follow::{Names, convoys_in, follow, follow_in_convoys, point, renamed};
use crate::ops::past::kin::Kin;
use crate::ops::track::create::check_settable_type;
use crate::store::lock::KernelLock;
use crate::town::Town;

/// The field of a bead that names the id under which it went before.
pub const MOVED_FROM: &str = "moved_from";

/// How often a bead may change while it is being copied.
const TRIES_MAX: usize = 8;
/// How many ids are tried for one bead.
const SALTS_MAX: usize = 16;

/// A bead and the id that it has now.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Relocated {
    /// The id that it had.
    pub id: BeadId,
    /// The id that it has.
    pub moved_to: BeadId,
    /// What it is about.
    pub title: String,
}

/// What was moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Moved {
    /// The beads.
    pub moved: Vec<Relocated>,
    /// Beads whose dependencies name the new ids now.
    pub followed: Vec<BeadId>,
    /// Whether all of it had been moved before.
    #[serde(rename = "already")]
    pub was_so: bool,
    /// Whether nothing was written because only that was asked.
    pub dry_run: bool,
}

/// Moves the bead `id` to the scope with prefix `to`; with `cascade` its children go along.
///
/// # Errors
/// Not found; refused, when it lives there, is worked on, in review, archived or kept by gt itself, when it is a child, or
/// has children that are not to go along.
pub fn relocate(town: &Town, id: &BeadId, to: &Prefix, cascade: bool, dry_run: bool) -> Result<Moved> {
    let (here, there) = (town.scope_of(&id.prefix())?, town.scope_of(to)?);
    // Of two that move one bead, the second finds what the first has done, and takes nothing back that it made.
    let _turn = KernelLock::take(&here.store.private_dir().join("move.flock"))?;
    if let Some(names) = moved_before(&here, id, to)? {
        let followed = if dry_run { Vec::new() } else { follow(town, &names)? };
        return Ok(Moved { moved: told(&there, &names)?, followed, was_so: true, dry_run });
    }
    if id.prefix() == *to {
        return Err(Error::refused(format!("{id} lives there already")).hint("name the prefix of another rig, or hq"));
    }
    let asked = Asked { town, here: &here, there: &there, id, to, cascade };
    if dry_run {
        return asked.plan();
    }
    let mut copied = Names::new();
    let moved = asked.carry(&mut copied);
    // Whatever kept beads from going, their copies go again.
    match (asked.take_back(&copied), moved) {
        (Err(error), Ok(_)) => Err(error),
        (Err(left), Err(error)) => {
            tracing::warn!("what was copied to {to} is still there: {}", left.line());
            Err(error)
        }
        (Ok(()), moved) => moved,
    }
}

/// What is to be moved.
struct Asked<'a> {
    town: &'a Town,
    here: &'a Ledger,
    there: &'a Ledger,
    id: &'a BeadId,
    to: &'a Prefix,
    cascade: bool,
}

impl Asked<'_> {
    /// What would be moved.
    fn plan(&self) -> Result<Moved> {
        let beads = self.here.rehearse(self.town.now, |change| family(change, self.id, self.cascade))?;
        let names = self.there.rehearse(self.town.now, |change| named(change, &beads, self.to))?;
        let told = |bead: &Bead| Relocated { id: bead.id.clone(), moved_to: names[&bead.id].clone(), title: bead.title.clone() };
        Ok(Moved { moved: beads.iter().map(told).collect(), dry_run: true, ..Moved::default() })
    }

    /// Moves it; `copied` names all copies of which the beads themselves are still here.
    fn carry(&self, copied: &mut Names) -> Result<Moved> {
        let Self { town, here, there, id, to, cascade } = *self;
        for _ in 0..TRIES_MAX {
            let beads = here.rehearse(town.now, |change| family(change, id, cascade))?;
            let deed = town.deed("move", format!("move {id} to {to}"));
            let names = there.transact(&deed, |change| copy(town, change, &beads, to))?;
            copied.extend(names.clone());
            crate::env::crash_point("bead.copied");
            let deed = town.deed("move", format!("move {id} to {}", names[id]));
            let left = here.transact(&deed, |change| leave(town, change, (id, cascade), &beads, &names))?;
            let Some(mut followed) = left else { continue };
            copied.retain(|old, _| !names.contains_key(old));
            crate::env::crash_point("bead.moved");
            followed.extend(follow(town, &names)?);
            followed.sort();
            followed.dedup();
            let closed: Vec<&BeadId> = beads.iter().filter(|bead| bead.status.is_closed()).map(|bead| &names[&bead.id]).collect();
            convoy::after_close(town, closed);
            return Ok(Moved { moved: told(there, &names)?, followed, ..Moved::default() });
        }
        Err(Error::conflict(format!("{id} kept changing while it was moved")).hint("try again"))
    }

    /// Takes copies away again of beads that did not go after all.
    fn take_back(&self, copied: &Names) -> Result<()> {
        if copied.is_empty() {
            return Ok(());
        }
        let Self { town, here, there, .. } = *self;
        // What went all the same, though its command heard of a failure, lives only there.
        let state = here.state()?;
        let mut stayed = Vec::new();
        for (old, new) in copied {
            if state.has_bead(old)? {
                stayed.push((old, new));
            }
        }
        there.transact(&town.deed("move", "take back what did not move"), |change| {
            for (old, new) in &stayed {
                let found = change.get::<Bead>(&tree::bead(new))?;
                let Some(copy) = found.filter(|copy| came_from(copy).as_ref() == Some(*old)) else { continue };
                let mut stone = Tombstone::of(&copy, &town.actor.name, "", town.now);
                stone.moved_to = Some((*old).clone());
                change.remove_bead(new);
                change.put_tombstone(&stone)?;
            }
            Ok(())
        })
    }
}

/// What was moved from here to `to` together with `id`, when that is so.
fn moved_before(here: &Ledger, id: &BeadId, to: &Prefix) -> Result<Option<Names>> {
    let state = here.state()?;
    if state.has_bead(id)? {
        return Ok(None);
    }
    let Some(stone) = state.tombstone(id)? else { return Ok(None) };
    let stones = state.tombstones()?.0.into_iter().filter(|other| other.rev == stone.rev);
    let names: Names = stones.filter_map(|other| Some((other.id, other.moved_to?))).collect();
    Ok(names.get(id).is_some_and(|new| new.prefix() == *to).then_some(names))
}

fn told(there: &Ledger, names: &Names) -> Result<Vec<Relocated>> {
    let state = there.state()?;
    let title = |new: &BeadId| Ok::<_, Error>(state.find_bead(new)?.map(|bead| bead.title).unwrap_or_default());
    names.iter().map(|(id, new)| Ok(Relocated { id: id.clone(), moved_to: new.clone(), title: title(new)? })).collect()
}

/// The bead with its children and children's children, if all of them may go.
fn family(change: &Change<'_>, id: &BeadId, cascade: bool) -> Result<Vec<Bead>> {
    let kin = Kin::of(change)?;
    let hooks = change.before().all::<Hook>("hooks")?.0;
    let (mut open, mut known, mut beads) = (vec![id.clone()], BTreeSet::new(), Vec::new());
    while let Some(id) = open.pop() {
        if !known.insert(id.clone()) {
            continue;
        }
        let bead = change.bead(&id)?;
        check_settable_type(&bead.issue_type)?;
        if bead.issue_type == IssueType::Convoy {
            return Err(
                Error::refused(format!("{id} is a convoy, which belongs to the town")).hint("move the beads that it tracks")
            );
        }
        check_idle(&bead, &hooks)?;
        check_never_archived(change, &id)?;
        let children = kin.children(&id)?;
        if !children.is_empty() && !cascade {
            let names: Vec<&str> = children.iter().map(BeadId::as_str).collect();
            return Err(Error::refused(format!("{id} has children: {}", listed(&names))).hint("with --cascade they go along"));
        }
        open.extend(children);
        beads.push(bead);
    }
    match beads.first().and_then(parent_of) {
        Some(parent) => Err(Error::refused(format!("{id} is a child of {parent}, and lives beside it"))
            .hint(format!("move that one: gt bead move {parent} PREFIX --cascade"))),
        None => Ok(beads),
    }
}

/// The ids that `beads` get in the scope `to`: the one that it had there, else one that follows from its own.
fn named(change: &mut Change<'_>, beads: &[Bead], to: &Prefix) -> Result<Names> {
    let mut names = Names::new();
    for bead in beads {
        let above = names.iter().find(|(old, _)| bead.id.as_str().starts_with(&format!("{old}.")));
        let as_child = above.map(|(old, new)| format!("{new}{}", &bead.id.as_str()[old.as_str().len()..]));
        let new = match (had_there(change, bead, to)?, as_child) {
            (Some(old), _) => old,
            (None, Some(child)) if is_free_for(change, &child.parse()?, bead)? => child.parse()?,
            _ => drawn(change, bead, to)?,
        };
        names.insert(bead.id.clone(), new);
    }
    Ok(names)
}

/// The id that the bead had in this scope, if it came from there and that id leads to it.
fn had_there(change: &Change<'_>, bead: &Bead, to: &Prefix) -> Result<Option<BeadId>> {
    let Some(old) = came_from(bead).filter(|old| old.prefix() == *to) else { return Ok(None) };
    let leads_here = change.tombstone(&old)?.is_some_and(|stone| stone.moved_to.as_ref() == Some(&bead.id));
    Ok((leads_here || is_copy(change, &old, bead)?).then_some(old))
}

fn came_from(bead: &Bead) -> Option<BeadId> {
    bead.extra.get(MOVED_FROM)?.as_str()?.parse().ok()
}

fn is_copy(change: &Change<'_>, id: &BeadId, of: &Bead) -> Result<bool> {
    let there: Option<Bead> = change.get(&tree::bead(id))?;
    Ok(there.is_some_and(|there| came_from(&there).as_ref() == Some(&of.id)))
}

fn is_free_for(change: &Change<'_>, id: &BeadId, bead: &Bead) -> Result<bool> {
    Ok(!change.is_taken(id)? || is_copy(change, id, bead)?)
}

fn drawn(change: &Change<'_>, bead: &Bead, to: &Prefix) -> Result<BeadId> {
    let mark = change.slot()?.mark();
    for salt in 0..SALTS_MAX {
        let hash = content_hash(format!("{}/{to}/{salt}", bead.id).as_bytes());
        let number = u64::from_str_radix(&hash[..12], 16).or_fail(Kind::Bug, || "read a hash")?;
        let digits = format!("{:0>4}", crate::name::base36(number % 36_u64.pow(4)));
        let id = format!("{to}-{digits}{mark}").parse().or_fail(Kind::Bug, || "name a bead")?;
        if is_free_for(change, &id, bead)? {
            return Ok(id);
        }
    }
    Err(Error::conflict("no free id was found").hint("try again"))
}

/// Writes copies of `beads` under their new ids.
fn copy(town: &Town, change: &mut Change<'_>, beads: &[Bead], to: &Prefix) -> Result<Names> {
    let names = named(change, beads, to)?;
    for bead in beads {
        let mut copy = bead.clone();
        copy.id = names[&bead.id].clone();
        copy.extra.insert(MOVED_FROM.into(), bead.id.as_str().into());
        copy.extra.remove(ARCHIVE_COPY);
        copy.updated_at = town.now;
        if let Some(parent) = &mut copy.parent {
            renamed(parent, &names);
        }
        for edge in &mut copy.dependencies {
            edge.issue_id = copy.id.clone();
            renamed(&mut edge.depends_on_id, &names);
        }
        change.put_bead(&copy)?;
    }
    Ok(names)
}

/// Takes the beads away here, with tombstones that lead to the new ids, and tells who was made to follow; `None` when
/// they are not what was copied any more.
fn leave(
    town: &Town,
    change: &mut Change<'_>,
    (id, cascade): (&BeadId, bool),
    beads: &[Bead],
    names: &Names,
) -> Result<Option<Vec<BeadId>>> {
    if family(change, id, cascade)? != beads {
        return Ok(None);
    }
    let mut followed = Vec::new();
    let ids: Vec<BeadId> = names.keys().cloned().collect();
    for held in edges::near(change, &ids, &ids.iter().collect())? {
        if point(town, change, &held.edge, names)? {
            followed.push(held.edge.issue_id);
        }
    }
    for bead in beads {
        let mut stone = Tombstone::of(bead, &town.actor.name, "", town.now);
        stone.moved_to = names.get(&bead.id).cloned();
        stone.last_record = change.before().blob_id(&tree::bead(&bead.id))?.map(|id| id.to_string());
        change.remove_bead(&bead.id);
        change.put_tombstone(&stone)?;
    }
    let convoys = convoys_in(change.before(), names)?;
    followed.extend(follow_in_convoys(town, change, &convoys, names)?);
    followed.sort();
    followed.dedup();
    Ok(Some(followed))
}
