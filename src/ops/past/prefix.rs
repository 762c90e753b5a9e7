//! A rig's ids get another prefix: beads that rest are renamed, and every id that was ever given leads to its bead.
//!
//! The registry is written first: from then on all prefixes that the rig ever had name it. Then the beads are renamed
//! in one transaction of the rig, with a tombstone each that leads from the old id to the new one; then other scopes
//! follow. A command that is killed in between is finished by the same command.

use schemars::JsonSchema;
use serde::Serialize;

use super::delete::{check_idle, check_never_archived};
use super::follow::{Names, follow, renamed};
use super::relocate::{MOVED_FROM, Relocated};
use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::{Change, Ledger, tree};
use crate::model::bead::{Bead, IssueType};
use crate::model::hook::Hook;
use crate::model::merge_request::MergeRequest;
use crate::model::scope::Rig;
use crate::model::tombstone::Tombstone;
use crate::name::{BeadId, Name, Prefix};
use crate::ops::track::create::check_settable_type;
use crate::ops::trust;
use crate::town::{MOVES_MAX, RigPlace, Town};

/// A bead that keeps the id it had.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Kept {
    /// The id.
    pub id: BeadId,
    /// Why.
    pub why: String,
}

/// What became of a rig's prefix.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Renaming {
    /// The rig.
    pub rig: Name,
    /// The prefix that it had.
    pub from: Prefix,
    /// The prefix that it has.
    pub to: Prefix,
    /// Beads that have other ids now.
    pub renamed: Vec<Relocated>,
    /// Beads that keep theirs, which stay good.
    pub kept: Vec<Kept>,
    /// Beads of other scopes whose dependencies name the new ids now.
    pub followed: Vec<BeadId>,
    /// Whether nothing was written because only that was asked.
    pub dry_run: bool,
}

/// Gives the rig at `place` the prefix `to`, and its beads the ids that follow from it. Beads that somebody works on, that
/// are in review or were archived keep theirs, as do records that gt keeps for itself.
///
/// # Errors
/// Refused, when another scope has or had the prefix, or a worker asks.
pub fn rename_prefix(town: &Town, place: &RigPlace, to: &Prefix, dry_run: bool) -> Result<Renaming> {
    trust::check_rights(town)?;
    check_free(town, &place.rig, to)?;
    let from = place.rig.prefix.clone();
    let told = |(renamed, kept), followed| {
        let rig = place.rig.name.clone();
        Renaming { rig, from: from.clone(), to: to.clone(), renamed, kept, followed, dry_run }
    };
    if dry_run {
        return Ok(told(place.ledger.rehearse(town.now, |change| rename_in(town, change, to))?, Vec::new()));
    }
    let deed = town.deed("rename-prefix", format!("rename the prefix of rig {} to {to}", place.rig.name));
    let path = tree::rig(&place.rig.name);
    let rig = town.hq.transact(&deed, |change| {
        let entry: Option<Rig> = change.get(&path)?;
        let mut rig = entry.or_fail(Kind::NotFound, || format!("there is no rig {}", place.rig.name))?;
        if rig.prefix != *to {
            rig.rename_prefix(to);
            change.put(&path, &rig)?;
        }
        Ok(rig)
    })?;
    rig.claim_ids();
    crate::env::crash_point("prefix.registered");
    let done = place.ledger.transact(&deed, |change| rename_in(town, change, to))?;
    crate::env::crash_point("prefix.renamed");
    let followed = follow(town, &names_since(&place.ledger, to)?)?;
    crate::ops::rig::write_view(&place.dir, &rig)?;
    Ok(told(done, followed))
}

fn check_free(town: &Town, rig: &Rig, to: &Prefix) -> Result<()> {
    let other = town.rigs()?.into_iter().find(|other| other.name != rig.name && other.has_prefix(to));
    let whose = match other {
        Some(other) => format!("rig {}", other.name),
        None if *to == Prefix::hq() => "the town".to_owned(),
        None => return Ok(()),
    };
    Err(Error::refused(format!("ids with the prefix {to} are those of {whose}")).hint("choose another prefix"))
}

/// Renames what may be renamed, and makes all that names it in this scope follow.
fn rename_in(town: &Town, change: &mut Change<'_>, to: &Prefix) -> Result<(Vec<Relocated>, Vec<Kept>)> {
    let hooks = change.before().all::<Hook>("hooks")?.0;
    let all: Vec<Bead> = {
        let state = change.before();
        let catalog = state.catalog()?;
        catalog.rows().map(|row| state.bead_of(row)).collect::<Result<_>>()?
    };
    let (mut names, mut kept) = (Names::new(), Vec::new());
    for bead in all.iter().filter(|bead| bead.id.written_prefix() != *to && check_settable_type(&bead.issue_type).is_ok()) {
        match new_id(change, &hooks, bead, to) {
            Ok(new) => drop(names.insert(bead.id.clone(), new)),
            Err(error) if error.kind == Kind::Refused => kept.push(Kept { id: bead.id.clone(), why: error.message }),
            Err(error) => return Err(error),
        }
    }
    let mut told = Vec::new();
    for old in all {
        let mut new = old.clone();
        rename_within(&mut new, &names)?;
        if new == old {
            continue;
        }
        if new.id != old.id {
            let mut stone = Tombstone::of(&old, &town.actor.name, "", town.now);
            stone.moved_to = Some(new.id.clone());
            stone.last_record = change.before().blob_id(&tree::bead(&old.id))?.map(|id| id.to_string());
            change.remove_bead(&old.id);
            change.put_tombstone(&stone)?;
            new.extra.insert(MOVED_FROM.into(), old.id.as_str().into());
            told.push(Relocated { id: old.id, moved_to: new.id.clone(), title: new.title.clone() });
        }
        change.put_bead(&new)?;
    }
    Ok((told, kept))
}

/// The id that `bead` gets; refused, when it keeps its own.
fn new_id(change: &Change<'_>, hooks: &[Hook], bead: &Bead, to: &Prefix) -> Result<BeadId> {
    check_idle(bead, hooks)?;
    check_never_archived(change, &bead.id)?;
    let new: BeadId = format!("{to}-{}", bead.id.suffix()).parse()?;
    if change.is_taken(&new)? && !leads_to(change, &new, &bead.id)? {
        return Err(Error::refused(format!("{new} is another bead's id")));
    }
    Ok(new)
}

/// Whether `old` is an id that the bead `id` had.
fn leads_to(change: &Change<'_>, old: &BeadId, id: &BeadId) -> Result<bool> {
    let mut at = old.clone();
    for _ in 0..MOVES_MAX {
        match change.tombstone(&at)?.and_then(|stone| stone.moved_to) {
            Some(next) if next == *id => return Ok(true),
            Some(next) => at = next,
            None => return Ok(false),
        }
    }
    Ok(false)
}

/// Writes the new ids where the record of a bead has old ones.
fn rename_within(bead: &mut Bead, names: &Names) -> Result<()> {
    renamed(&mut bead.id, names);
    if let Some(parent) = &mut bead.parent {
        renamed(parent, names);
    }
    for edge in &mut bead.dependencies {
        renamed(&mut edge.issue_id, names);
        renamed(&mut edge.depends_on_id, names);
    }
    if bead.issue_type == IssueType::MergeRequest {
        let mut request = MergeRequest::of(bead)?;
        if request.source_beads.iter().any(|id| names.contains_key(id)) {
            request.source_beads.iter_mut().for_each(|id| renamed(id, names));
            request.put_into(bead);
        }
    }
    Ok(())
}

/// The beads that have ids with `to` since a renaming, by the ids that they had.
fn names_since(ledger: &Ledger, to: &Prefix) -> Result<Names> {
    let (stones, _): (Vec<Tombstone>, _) = ledger.state()?.tombstones()?;
    let is_renaming = |old: &BeadId, new: &BeadId| new.written_prefix() == *to && old.suffix() == new.suffix();
    let names = stones.into_iter().filter_map(|stone| Some((stone.id, stone.moved_to?)));
    Ok(names.filter(|(old, new)| is_renaming(old, new)).collect())
}
