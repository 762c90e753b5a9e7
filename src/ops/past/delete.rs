//! Deleting beads: each leaves a tombstone, edges to it are cut in the same transaction, and what work hangs on stays.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::{Change, Damaged, tree};
use crate::model::bead::{Bead, Dependency, DependencyKind, Status};
use crate::model::brief::Facts as _;
use crate::model::hook::Hook;
use crate::model::tombstone::Tombstone;
use crate::name::{BeadId, Prefix};
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

/// An edge that went with the bead that it led to.
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

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Deleted {
    /// The beads.
    pub deleted: Vec<Gone>,
    /// Edges of others to them.
    pub cut: Vec<Cut>,
    /// Whether nothing was written because only that was asked.
    pub dry_run: bool,
    /// What could not be looked at.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// Deletes the beads `ids`, one transaction a scope; all scopes are tried before the first is written. Edges from other
/// scopes are cut after the bead is gone: until then they wait for what was deleted, and the same command finishes.
///
/// # Errors
/// Not found; refused, when a bead is worked on, in review, archived or kept by gt itself, when it has children that are
/// not deleted with it, or when others wait for it. Within a scope all go or none.
pub fn delete(town: &Town, ids: &[BeadId], options: &Options) -> Result<Deleted> {
    check_texts(&[("reason", &options.reason)])?;
    let mut scopes: BTreeMap<Prefix, Vec<BeadId>> = BTreeMap::new();
    for id in ids {
        scopes.entry(id.prefix()).or_default().push(id.clone());
    }
    let mut reach = Reach::new(town);
    let mut told = Deleted { dry_run: options.dry_run, ..Deleted::default() };
    if scopes.len() > 1 || options.dry_run {
        for (prefix, ids) in &scopes {
            let ledger = town.scope_of(prefix)?;
            let (part, far) = ledger.rehearse(town.now, |change| delete_in(town, change, &mut reach, ids, options))?;
            told.add(part, far.iter().map(Cut::of));
        }
        if options.dry_run {
            told.dry_run = true;
            return Ok(told);
        }
        told = Deleted::default();
    }
    for (prefix, ids) in &scopes {
        let names: Vec<&str> = ids.iter().map(BeadId::as_str).collect();
        let deed = town.deed("delete", format!("delete {}", names.join(" ")));
        let ledger = town.scope_of(prefix)?;
        let (part, far) = ledger.transact(&deed, |change| delete_in(town, change, &mut reach, ids, options))?;
        crate::env::crash_point("bead.deleted");
        let cut = cut_far(town, &far)?;
        told.add(part, cut.into_iter());
    }
    Ok(told)
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
}

/// Deletes `ids` of one scope; also tells the edges of other scopes that are to be cut afterwards.
pub(super) fn delete_in(
    town: &Town,
    change: &mut Change<'_>,
    reach: &mut Reach<'_>,
    ids: &[BeadId],
    options: &Options,
) -> Result<(Deleted, Vec<Dependency>)> {
    let mut told = Deleted::default();
    let (mut doomed, mut gone) = (Vec::new(), Vec::new());
    for id in ids {
        match change.tombstone(id)?.filter(|stone| stone.moved_to.is_none()) {
            Some(stone) if !change.has_bead(id)? => gone.push((id.clone(), stone.title)),
            _ => doomed.push(id.clone()),
        }
    }
    let doomed = family(change, &doomed, options.cascade)?;
    let hooks = change.before().all::<Hook>("hooks")?.0;
    let beads: Vec<Bead> = doomed.iter().map(|id| doomed_bead(change, &hooks, id)).collect::<Result<_>>()?;
    let all: BTreeSet<&BeadId> = doomed.iter().chain(gone.iter().map(|(id, _)| id)).collect();
    let here = ids.first().map(BeadId::prefix);
    let near = leaning(change, &doomed, &all)?;
    let far = far_edges(town, reach, here.as_ref(), &all, &mut told.notes)?;
    if !options.force {
        check_unneeded(&near, &far)?;
    }
    told.deleted.extend(gone.into_iter().map(|(id, title)| Gone { id, title, was_so: true }));
    let far: Vec<Dependency> = far.into_iter().map(|(edge, _)| edge).collect();
    for (edge, _) in &near {
        let mut other = change.bead(&edge.issue_id)?;
        other.dependencies.retain(|own| own.depends_on_id != edge.depends_on_id);
        other.updated_at = town.now;
        change.put_bead(&other)?;
        told.cut.push(Cut::of(edge));
    }
    for bead in beads {
        let edges = near.iter().map(|(edge, _)| edge).chain(&far).filter(|edge| edge.depends_on_id == bead.id);
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
    let catalog = change.before().catalog()?;
    let mut open: Vec<BeadId> = ids.iter().rev().cloned().collect();
    while let Some(id) = open.pop() {
        if !known.insert(id.clone()) {
            continue;
        }
        let children: Vec<BeadId> = catalog.children(&id).iter().filter_map(|row| row.id().parse().ok()).collect();
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

/// An edge, and whether the bead that has it is still to be done.
type Held = (Dependency, bool);

/// Edges of this scope to `doomed` from beads that are not among `all`.
fn leaning(change: &Change<'_>, doomed: &[BeadId], all: &BTreeSet<&BeadId>) -> Result<Vec<Held>> {
    let catalog = change.before().catalog()?;
    let mut others: BTreeSet<BeadId> = BTreeSet::new();
    for id in doomed {
        others.extend(catalog.needed_by(id).iter().filter_map(|(row, _)| row.id().parse().ok()));
    }
    let mut found = Vec::new();
    for other in others.iter().filter(|other| !all.contains(other)) {
        let bead = change.bead(other)?;
        let edges = bead.dependencies.iter().filter(|edge| all.contains(&edge.depends_on_id));
        found.extend(edges.map(|edge| (edge.clone(), !bead.status.is_closed())));
    }
    Ok(found)
}

/// Edges of other scopes to `all`, as far as these can be read; what is archived stays as it is.
fn far_edges(
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
        for id in all {
            for (row, _) in catalog.needed_by(id) {
                let bead = reach.in_full(prefix, row)?;
                let edges = bead.dependencies.iter().filter(|edge| edge.depends_on_id == **id);
                found.extend(edges.map(|edge| (edge.clone(), !row.status().is_closed())));
            }
        }
    }
    Ok(found)
}

/// All edges to the bead `id`, of this scope and of others that can be read.
pub(super) fn edges_to(town: &Town, change: &Change<'_>, reach: &mut Reach<'_>, id: &BeadId) -> Result<Vec<Dependency>> {
    let all = BTreeSet::from([id]);
    let mut held = leaning(change, std::slice::from_ref(id), &all)?;
    held.extend(far_edges(town, reach, Some(&id.prefix()), &all, &mut Vec::new())?);
    Ok(held.into_iter().map(|(edge, _)| edge).collect())
}

/// Refuses to delete what something that is still to be done waits for.
fn check_unneeded(near: &[Held], far: &[Held]) -> Result<()> {
    let needs = |held: &&Held| held.1 && (held.0.kind.is_blocking() || held.0.kind == DependencyKind::ParentChild);
    let held: Vec<String> = near.iter().chain(far).filter(needs).map(|(edge, _)| edge_line(edge)).collect();
    if held.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = held.iter().map(String::as_str).collect();
    Err(Error::refused(format!("others wait for it: {}", listed(&names))).hint("with --force these edges are cut"))
}

fn edge_line(edge: &Dependency) -> String {
    format!("{} on {} ({})", edge.issue_id, edge.depends_on_id, edge.kind)
}

/// Cuts edges of beads in other scopes, a transaction a scope.
pub(super) fn cut_far(town: &Town, edges: &[Dependency]) -> Result<Vec<Cut>> {
    let mut scopes: BTreeMap<Prefix, Vec<&Dependency>> = BTreeMap::new();
    for edge in edges {
        scopes.entry(edge.issue_id.prefix()).or_default().push(edge);
    }
    let mut cut = Vec::new();
    for (prefix, edges) in scopes {
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
