//! Making and changing convoys, each verb one transaction of the town.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::feed::MOUNTAIN;
use super::settle::{self, Settling, settle_in};
use super::swarm;
use crate::error::{Error, Result};
use crate::ledger::Change;
use crate::model::address::Address;
use crate::model::bead::{Bead, Dependency, DependencyKind, IssueType, Status};
use crate::model::brief::Facts as _;
use crate::model::convoy::{self, Convoy, INFIX, Standing};
use crate::model::merge_request::Way;
use crate::model::record::Object;
use crate::name::{BeadId, Prefix};
use crate::ops::track::label;
use crate::ops::track::reach::{Reach, Sight};
use crate::town::Town;

/// What a new convoy shall be.
#[derive(Clone, Debug)]
pub struct Draft {
    /// One line.
    pub title: String,
    /// What it tracks.
    pub beads: Vec<BeadId>,
    /// Whose it is.
    pub owner: Address,
    /// Who else hears of its landing.
    pub watchers: BTreeSet<Address>,
    /// Whether its owner lands it.
    pub owned: bool,
    /// The way of its work when it is done.
    pub merge: Way,
    /// The epic whose work it tracks besides.
    pub from_epic: Option<BeadId>,
}

/// What became of a convoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It is there now.
    Created,
    /// It tracks more now.
    Added,
    /// It tracks less now.
    Removed,
    /// It was closed by hand.
    Closed,
    /// Its owner landed it.
    Landed,
    /// Someone more watches it.
    Watched,
    /// Someone less watches it.
    Unwatched,
    /// It is fed until all of it is done.
    Mountain,
    /// It is no longer.
    NoMountain,
    /// It was so before.
    Unchanged,
}

/// A convoy and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Changed {
    /// What was done.
    pub outcome: Ending,
    /// The convoy.
    pub id: BeadId,
    /// What it is about.
    pub title: String,
    /// Where it stands now.
    pub status: Status,
    /// How many beads it tracks now.
    pub total: usize,
    /// The beads that it tracks more or less than before.
    pub beads: Vec<BeadId>,
    /// Whether all it tracks is closed with that, so that it landed.
    pub has_landed: bool,
    /// Who was told.
    pub told: Vec<Address>,
    /// What of it was so before, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Changed {
    pub(super) fn of(bead: &Bead, outcome: Ending, beads: Vec<BeadId>) -> Self {
        let (id, title, status) = (bead.id.clone(), bead.title.clone(), bead.status.clone());
        let total = convoy::tracked(bead).count();
        Self { outcome, id, title, status, total, beads, has_landed: false, told: Vec::new(), notes: Vec::new() }
    }

    /// Nothing was changed, as `notes` say.
    pub(super) fn none(bead: &Bead, notes: Vec<String>) -> Self {
        Self { notes, ..Self::of(bead, Ending::Unchanged, Vec::new()) }
    }

    /// Lets the convoy land with this change when it is complete.
    fn settled(mut self, change: &mut Change<'_>, reach: &mut Reach<'_>) -> Result<Self> {
        let settled = settle_in(change, reach, &self.id)?;
        if settled.outcome == Settling::Landed {
            self.has_landed = true;
            self.status = Status::Closed;
            self.told = settled.told;
        }
        Ok(self)
    }
}

/// Makes a convoy.
///
/// # Errors
/// Usage, when its name is no title; not found, when a bead is not there; refused, when a bead cannot be tracked or the
/// epic has no work.
pub fn create(town: &Town, draft: &Draft) -> Result<Changed> {
    let mut reach = Reach::new(town);
    let mut beads = draft.beads.clone();
    if let Some(epic) = &draft.from_epic {
        beads.extend(work_below(&mut reach, epic)?);
    }
    beads.iter().try_for_each(|id| check_trackable(&mut reach, id))?;
    let deed = town.deed("convoy-create", format!("create convoy {}", draft.title));
    let made = town.hq.transact(&deed, |change| {
        let bead = create_in(town, change, draft, &beads)?;
        let tracked = convoy::tracked(&bead).cloned().collect();
        Changed::of(&bead, Ending::Created, tracked).settled(change, &mut Reach::new(town))
    })?;
    settle::deliver_told(town)?;
    Ok(made)
}

/// Writes a new convoy that tracks `beads`.
pub(super) fn create_in(town: &Town, change: &mut Change<'_>, draft: &Draft, beads: &[BeadId]) -> Result<Bead> {
    let id = change.mint(&Prefix::hq(), INFIX)?;
    let mut bead = Bead::new(id, IssueType::Convoy, &draft.title, &town.actor.name, town.now)?;
    bead.owner = Some(draft.owner.to_string());
    let fields = Convoy {
        watchers: draft.watchers.clone(),
        owned: draft.owned,
        merge: draft.merge,
        from_epic: draft.from_epic.clone(),
        ..Convoy::default()
    };
    fields.put_into(&mut bead);
    track(town, &mut bead, beads);
    change.put_bead(&bead)?;
    Ok(bead)
}

/// Lets `bead` track those of `beads` that it does not; answers which.
pub(super) fn track(town: &Town, bead: &mut Bead, beads: &[BeadId]) -> Vec<BeadId> {
    let mut added = Vec::new();
    for id in beads {
        if convoy::tracked(bead).any(|one| one == id) {
            continue;
        }
        bead.dependencies.push(Dependency {
            issue_id: bead.id.clone(),
            depends_on_id: id.clone(),
            kind: DependencyKind::Tracks,
            created_by: town.actor.name.clone(),
            created_at: town.now,
            extra: Object::new(),
        });
        added.push(id.clone());
    }
    added
}

/// All work below an epic, however deep, by id; epics in between are only passed through.
///
/// # Errors
/// Not found or corrupt, when the epic or its scope cannot be read; refused, when it is no epic or has no work.
pub fn work_below(reach: &mut Reach<'_>, epic: &BeadId) -> Result<Vec<BeadId>> {
    match reach.bead(epic) {
        Sight::Seen(bead) if bead.issue_type == IssueType::Epic => {}
        Sight::Seen(bead) => {
            return Err(Error::refused(format!("{epic} is {}, not an epic", bead.issue_type.with_article()))
                .hint("name its beads instead"));
        }
        Sight::Missing => return Err(Error::not_found(format!("there is no bead {epic}"))),
        Sight::Unreadable(fault) => return Err(Error::corrupt(format!("read {epic}: {fault}"))),
    }
    let (mut work, mut seen, mut open) = (Vec::new(), BTreeSet::new(), vec![epic.clone()]);
    while let Some(parent) = open.pop() {
        // One that cannot be read may be work; whoever tracks it learns that it cannot.
        work.extend(reach.lost_children(&parent)?);
        for child in reach.children(&parent)? {
            if seen.insert(child.id.clone()) {
                open.push(child.id.clone());
                if child.issue_type.is_work() {
                    work.push(child.id);
                }
            }
        }
    }
    if work.is_empty() {
        return Err(
            Error::refused(format!("{epic} has no work below it")).hint(format!("file some: gt create TITLE --parent {epic}"))
        );
    }
    work.sort();
    Ok(work)
}

/// Refuses to track what is not there, or what no one ever closes as work.
pub(super) fn check_trackable(reach: &mut Reach<'_>, id: &BeadId) -> Result<()> {
    let bead = match reach.brief(id) {
        Sight::Seen(bead) => bead,
        Sight::Missing => return Err(Error::not_found(format!("there is no bead {id}")).hint("gt list shows what there is")),
        Sight::Unreadable(fault) => return Err(Error::corrupt(format!("read {id}: {fault}"))),
    };
    let is_own = matches!(
        bead.issue_type(),
        IssueType::Convoy | IssueType::Agent | IssueType::Role | IssueType::Rig | IssueType::MergeRequest | IssueType::Event
    );
    if is_own {
        return Err(Error::refused(format!("{id} is {}, which a convoy does not track", bead.issue_type.with_article()))
            .hint("track the work that it is about"));
    }
    Ok(())
}

/// Changes the convoy `id` by `edit`, which gets its bead and fields and answers what became of it.
pub(super) fn change_one(
    town: &Town,
    id: &BeadId,
    op: &str,
    mut edit: impl FnMut(&mut Change<'_>, &mut Bead, &mut Convoy) -> Result<Changed>,
) -> Result<Changed> {
    let deed = town.deed(op, format!("{} {id}", op.replace('-', " ")));
    let changed = town.hq.transact(&deed, |change| {
        let mut bead = match change.archived_bead(id)? {
            Some(bead) => bead,
            None => change.bead(id)?,
        };
        let mut fields = Convoy::of(&bead)?;
        edit(change, &mut bead, &mut fields)
    })?;
    settle::deliver_told(town)?;
    Ok(changed)
}

pub(super) fn put(change: &mut Change<'_>, bead: &mut Bead, fields: &Convoy) -> Result<()> {
    if bead.status.is_closed() && change.archived_bead(&bead.id)?.is_some() {
        return Err(Error::refused(format!("{} is closed and archived", bead.id))
            .hint(format!("an open bead opens it again: gt convoy add {} BEAD", bead.id)));
    }
    fields.put_into(bead);
    bead.updated_at = change.now();
    change.put_bead(bead)
}

/// Lets the convoy `id` track `beads` too. A closed one is opened again when one of them is not closed.
///
/// # Errors
/// Not found, when a bead is not there; refused, when it cannot be tracked.
pub fn add(town: &Town, id: &BeadId, beads: &[BeadId]) -> Result<Changed> {
    let mut reach = Reach::new(town);
    beads.iter().try_for_each(|bead| check_trackable(&mut reach, bead))?;
    let is_open = beads.iter().any(|bead| settle::standing(&mut reach, bead) == Standing::Open);
    change_one(town, id, "convoy-add", |change, bead, fields| {
        let added = track(town, bead, beads);
        let there = beads.iter().filter(|one| !added.contains(one));
        let notes = there.map(|one| format!("{one} is tracked by {id} already")).collect();
        if added.is_empty() {
            return Ok(Changed::none(bead, notes));
        }
        if bead.status.is_closed() && is_open {
            bead.become_status(Status::Open, town.now)?;
        }
        swarm::reopen_shares(&change.before().rigs()?, fields, &added);
        put(change, bead, fields)?;
        let changed = Changed { notes, ..Changed::of(bead, Ending::Added, added) };
        if bead.status.is_closed() { Ok(changed) } else { changed.settled(change, &mut Reach::new(town)) }
    })
}

/// Lets the convoy `id` no longer track `beads`, which need not be there any more.
///
/// # Errors
/// Not found, when there is no such convoy.
pub fn remove(town: &Town, id: &BeadId, beads: &[BeadId]) -> Result<Changed> {
    change_one(town, id, "convoy-remove", |change, bead, fields| {
        let removed: Vec<BeadId> = convoy::tracked(bead).filter(|one| beads.contains(one)).cloned().collect();
        let strange = beads.iter().filter(|one| !removed.contains(one));
        let notes = strange.map(|one| format!("{one} is not tracked by {id}")).collect();
        if removed.is_empty() {
            return Ok(Changed::none(bead, notes));
        }
        let is_kept = |edge: &Dependency| edge.kind != DependencyKind::Tracks || !removed.contains(&edge.depends_on_id);
        bead.dependencies.retain(is_kept);
        put(change, bead, fields)?;
        let changed = Changed { notes, ..Changed::of(bead, Ending::Removed, removed) };
        changed.settled(change, &mut Reach::new(town))
    })
}

/// Lets the convoy `id` be fed until all of it is done, or no longer (`is_on`); its epic gets the same label.
///
/// # Errors
/// Refused, when it was not launched.
pub fn mountain(town: &Town, id: &BeadId, is_on: bool) -> Result<Changed> {
    let mut epic = None;
    let changed = change_one(town, id, "convoy-mountain", |change, bead, fields| {
        if is_on && (fields.launched_at.is_none() || fields.waves.is_empty()) {
            return Err(Error::refused(format!("{id} was not launched")).hint(format!("first: gt convoy launch {id}")));
        }
        epic.clone_from(&fields.from_epic);
        let is_new = if is_on { bead.labels.insert(MOUNTAIN.to_owned()) } else { bead.labels.remove(MOUNTAIN) };
        if is_new {
            put(change, bead, fields)?;
        }
        let ending = match (is_new, is_on) {
            (false, _) => Ending::Unchanged,
            (true, true) => Ending::Mountain,
            (true, false) => Ending::NoMountain,
        };
        Ok(Changed::of(bead, ending, Vec::new()))
    })?;
    if let Some(epic) = epic {
        label(town, std::slice::from_ref(&epic), MOUNTAIN, is_on)?;
    }
    Ok(changed)
}

/// Lets `who` hear of the landing of convoy `id`.
///
/// # Errors
/// Not found, when there is no such convoy.
pub fn watch(town: &Town, id: &BeadId, who: &Address) -> Result<Changed> {
    change_one(town, id, "convoy-watch", |change, bead, fields| {
        if !fields.watchers.insert(who.clone()) {
            return Ok(Changed::none(bead, vec![format!("{who} watches {id} already")]));
        }
        put(change, bead, fields)?;
        Ok(Changed::of(bead, Ending::Watched, Vec::new()))
    })
}

/// Lets `who` no longer hear of the landing of convoy `id`.
///
/// # Errors
/// Not found, when there is no such convoy.
pub fn unwatch(town: &Town, id: &BeadId, who: &Address) -> Result<Changed> {
    change_one(town, id, "convoy-unwatch", |change, bead, fields| {
        if !fields.watchers.remove(who) {
            return Ok(Changed::none(bead, vec![format!("{who} does not watch {id}")]));
        }
        put(change, bead, fields)?;
        Ok(Changed::of(bead, Ending::Unwatched, Vec::new()))
    })
}
