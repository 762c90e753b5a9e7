//! Deleting beads: each leaves a tombstone, edges to it are cut in the same transaction, and what work hangs on stays.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::{Change, Damaged, tree};
use crate::model::bead::{Bead, Dependency, Status};
use crate::model::hook::Hook;
use crate::model::tombstone::Tombstone;
use crate::name::{BeadId, Prefix};
use crate::ops::convoy;
use crate::ops::past::edges::{self, Cut, Held};
use crate::ops::past::kin::Kin;
use crate::ops::track::create::{check_settable_type, check_texts};
use crate::ops::track::find::Scopes;
use crate::ops::track::reach::Reach;
use crate::town::Town;

/// How to delete.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Why.
    pub reason: String,
    /// Children too, and theirs.
    pub cascade: bool,
    /// Also what others wait for: their edges are cut.
    pub force: bool,
    /// Only tell what would happen.
    pub dry_run: bool,
}

/// A bead that was to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Gone {
    /// Which.
    pub id: BeadId,
    /// What it was about.
    pub title: String,
    /// Whether it was deleted before.
    #[serde(rename = "already")]
    pub was_so: bool,
}

/// An open convoy that goes on tracking what was deleted.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Tracking {
    /// The convoy.
    pub convoy: BeadId,
    /// What it tracks of that: it counts as not closed.
    pub tracks: Vec<BeadId>,
}

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Deleted {
    /// The beads.
    pub deleted: Vec<Gone>,
    /// Edges of others to them.
    pub cut: Vec<Cut>,
    /// Open convoys that track some of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tracked: Vec<Tracking>,
    /// Whether nothing was written because only that was asked.
    pub dry_run: bool,
    /// What could not be looked at.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// Beads by scope.
pub(super) type Scoped = BTreeMap<Prefix, Vec<BeadId>>;

pub(super) fn by_scope(ids: &[BeadId]) -> Scoped {
    let mut scopes = Scoped::new();
    for id in ids {
        scopes.entry(id.prefix()).or_default().push(id.clone());
    }
    scopes
}

/// Deletes the beads `ids`, one transaction a scope; all scopes are tried before the first is written. Edges from other
/// scopes are cut after the bead is gone: until then they wait for what was deleted, and the same command finishes.
///
/// # Errors
/// Not found; refused, when a bead is worked on, in review, archived or kept by gt itself, when it has children that are
/// not deleted with it, or when others wait for it. Within a scope all go or none.
pub fn delete(town: &Town, ids: &[BeadId], options: &Options) -> Result<Deleted> {
    check_texts(&[("reason", &options.reason)])?;
    let scopes = by_scope(ids);
    let mut reach = Reach::new(town);
    let together = together(town, &scopes, options.cascade)?;
    if scopes.len() > 1 || options.dry_run {
        let mut told = Deleted::default();
        for (prefix, ids) in &scopes {
            let ledger = town.scope_of(prefix)?;
            let (part, far) = ledger.rehearse(town.now, |change| delete_in(town, change, &mut reach, ids, options, &together))?;
            told.add(part, far.iter().map(Cut::of));
        }
        if options.dry_run {
            told.dry_run = true;
            return told.with_convoys(town);
        }
    }
    let mut told = Deleted::default();
    for (prefix, ids) in &scopes {
        let names: Vec<&str> = ids.iter().map(BeadId::as_str).collect();
        let deed = town.deed("delete", format!("delete {}", names.join(" ")));
        let ledger = town.scope_of(prefix)?;
        let (part, far) = ledger.transact(&deed, |change| delete_in(town, change, &mut reach, ids, options, &together))?;
        crate::env::crash_point("bead.deleted");
        let cut = edges::cut(town, &far)?;
        told.add(part, cut.into_iter());
    }
    told.with_convoys(town)
}

impl Deleted {
    fn add(&mut self, part: Self, far: impl Iterator<Item = Cut>) {
        self.deleted.extend(part.deleted);
        self.cut.extend(part.cut);
        self.cut.extend(far);
        self.notes.extend(part.notes);
        self.notes.sort();
        self.notes.dedup();
    }

    fn with_convoys(mut self, town: &Town) -> Result<Self> {
        let ids: Vec<&BeadId> = self.deleted.iter().map(|gone| &gone.id).collect();
        let convoys = convoy::tracking(&town.hq.state()?, ids.iter().copied())?.into_iter();
        let tracked = convoys.filter(|(convoy, _)| !ids.contains(&convoy));
        self.tracked = tracked.map(|(convoy, tracks)| Tracking { convoy, tracks }).collect();
        Ok(self)
    }
}

/// What goes in all of several scopes, so that none of it holds up the rest; of one scope its own turn knows.
fn together(town: &Town, scopes: &Scoped, cascade: bool) -> Result<BTreeSet<BeadId>> {
    let mut all = BTreeSet::new();
    for (prefix, ids) in scopes.iter().filter(|_| scopes.len() > 1) {
        let doomed = town.scope_of(prefix)?.rehearse(town.now, |change| Doomed::of(change, ids, cascade))?;
        all.extend(doomed.all().cloned());
    }
    Ok(all)
}

/// What is to go of a scope.
struct Doomed {
    /// Those that are there, with their children when asked for.
    ids: Vec<BeadId>,
    /// Those that went before.
    gone: Vec<Gone>,
}

impl Doomed {
    fn of(change: &Change<'_>, ids: &[BeadId], cascade: bool) -> Result<Self> {
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        for id in ids {
            match change.tombstone(id)?.filter(|stone| stone.moved_to.is_none()) {
                Some(stone) if !change.has_bead(id)? => gone.push(Gone { id: id.clone(), title: stone.title, was_so: true }),
                _ => there.push(id.clone()),
            }
        }
        Ok(Self { ids: family(change, &there, cascade)?, gone })
    }

    fn all(&self) -> impl Iterator<Item = &BeadId> {
        self.ids.iter().chain(self.gone.iter().map(|gone| &gone.id))
    }
}

/// Deletes `ids` of one scope; also tells the edges of other scopes that are to be cut afterwards. What is among
/// `together` goes in other scopes.
fn delete_in(
    town: &Town,
    change: &mut Change<'_>,
    reach: &mut Reach<'_>,
    ids: &[BeadId],
    options: &Options,
    together: &BTreeSet<BeadId>,
) -> Result<(Deleted, Vec<Dependency>)> {
    let mut told = Deleted::default();
    let doomed = Doomed::of(change, ids, options.cascade)?;
    let hooks = change.before().all::<Hook>("hooks")?.0;
    let beads: Vec<Bead> = doomed.ids.iter().map(|id| doomed_bead(change, &hooks, id)).collect::<Result<_>>()?;
    let all: BTreeSet<&BeadId> = doomed.all().collect();
    let here = ids.first().map(BeadId::prefix);
    let mut near = edges::near(change, &doomed.ids, &all)?;
    near.retain(Held::is_cut);
    let mut far = edges::far(town, reach, here.as_ref(), &all, &mut told.notes)?;
    far.retain(|held| held.is_cut() && !together.contains(&held.edge.issue_id));
    if !options.force {
        edges::check_unneeded(&near, &far)?;
    }
    told.deleted.extend(doomed.gone.iter().cloned());
    let far: Vec<Dependency> = far.into_iter().map(|held| held.edge).collect();
    for Held { edge, .. } in &near {
        let mut other = change.bead(&edge.issue_id)?;
        other.dependencies.retain(|own| own.depends_on_id != edge.depends_on_id);
        other.updated_at = town.now;
        change.put_bead(&other)?;
        told.cut.push(Cut::of(edge));
    }
    for bead in beads {
        let edges = near.iter().map(|held| &held.edge).chain(&far).filter(|edge| edge.depends_on_id == bead.id);
        let mut stone = Tombstone::of(&bead, &town.actor.name, &options.reason, town.now);
        stone.cut_edges = edges.cloned().collect();
        stone.last_record = change.before().blob_id(&tree::bead(&bead.id))?.map(|id| id.to_string());
        change.remove_bead(&bead.id);
        change.put_tombstone(&stone)?;
        told.deleted.push(Gone { id: bead.id, title: bead.title, was_so: false });
    }
    Ok((told, far))
}

/// A bead that may be deleted.
fn doomed_bead(change: &Change<'_>, hooks: &[Hook], id: &BeadId) -> Result<Bead> {
    let bead = change.bead(id)?;
    check_settable_type(&bead.issue_type)?;
    check_idle(&bead, hooks)?;
    check_never_archived(change, id)?;
    Ok(bead)
}

/// Refuses a bead on which somebody works, or of which the queue decides.
pub(super) fn check_idle(bead: &Bead, hooks: &[Hook]) -> Result<()> {
    let id = &bead.id;
    if bead.status == Status::InReview {
        return Err(Error::refused(format!("{id} is in review: its merge request decides"))
            .hint(format!("see where it stands: gt mq why {id}")));
    }
    if let Some(hook) = hooks.iter().find(|hook| hook.bead == *id) {
        return Err(Error::refused(format!("{id} is on the hook of {}", hook.agent)).hint(format!("first: gt unsling {id}")));
    }
    if bead.status.is_assigned_work() {
        let holder = bead.assignee.as_deref().unwrap_or("nobody");
        return Err(Error::refused(format!("{id} is {} by {holder}", bead.status))
            .hint(format!("give it back first: gt update {id} --status open")));
    }
    Ok(())
}

/// Refuses a bead of which the archive has a copy, which would come to light again: nothing leaves an archive.
pub(super) fn check_never_archived(change: &Change<'_>, id: &BeadId) -> Result<()> {
    let Some(archive) = change.before().archive()? else { return Ok(()) };
    if archive.blob_id(&tree::bead(id))?.is_none() {
        return Ok(());
    }
    Err(Error::refused(format!("{id} was archived once, and nothing leaves the archive")).hint(format!("gt close {id} ends it")))
}

/// The beads `ids` with their children and children's children; without `cascade` it is refused to leave any behind.
fn family(change: &Change<'_>, ids: &[BeadId], cascade: bool) -> Result<Vec<BeadId>> {
    let mut found: Vec<BeadId> = Vec::new();
    let mut known: BTreeSet<BeadId> = BTreeSet::new();
    let named: BTreeSet<&BeadId> = ids.iter().collect();
    let kin = Kin::of(change)?;
    let mut open: Vec<BeadId> = ids.iter().rev().cloned().collect();
    while let Some(id) = open.pop() {
        if !known.insert(id.clone()) {
            continue;
        }
        let children = kin.children(&id)?;
        let left: Vec<&str> = children.iter().filter(|child| !named.contains(child)).map(BeadId::as_str).collect();
        if !left.is_empty() && !cascade {
            return Err(Error::refused(format!("{id} has children: {}", listed(&left)))
                .hint("with --cascade they are deleted too; or take them away first: gt bead dep remove CHILD PARENT"));
        }
        found.push(id);
        open.extend(children.into_iter().rev());
    }
    Ok(found)
}

/// Names, the first few of them.
pub(super) fn listed(names: &[&str]) -> String {
    const NAMED_MAX: usize = 8;
    let more = names.len().saturating_sub(NAMED_MAX);
    let first = names.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

/// What was deleted or moved, the newest first.
#[derive(Clone, Debug, Default)]
pub struct Graves {
    /// At most as many as asked for.
    pub stones: Vec<Tombstone>,
    /// How many there are.
    pub total: usize,
    /// Tombstones that cannot be read.
    pub damaged: Vec<Damaged>,
}

/// The tombstones of the asked scopes, at most `limit` (0: all).
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn graves(town: &Town, scopes: &Scopes, limit: usize) -> Result<Graves> {
    let mut found = Graves::default();
    for prefix in &scopes.asked {
        match town.scope_of(prefix).and_then(|ledger| ledger.state()?.tombstones()) {
            Ok((stones, damaged)) => {
                found.stones.extend(stones);
                found.damaged.extend(damaged);
            }
            Err(error) if scopes.asked.len() == 1 => return Err(error),
            // One rig that cannot be read hides nothing of the others.
            Err(error) => found.damaged.push(Damaged { path: format!("scope {prefix}"), fault: error.line() }),
        }
    }
    found.total = found.stones.len();
    found.stones.sort_by(|a, b| (b.deleted_at, &a.id).cmp(&(a.deleted_at, &b.id)));
    if limit > 0 {
        found.stones.truncate(limit);
    }
    Ok(found)
}
