//! The reverse of a deed: each record as it was before, as far as it still is what the deed made of it.

use std::collections::{BTreeMap, BTreeSet};

use gix::ObjectId;

use super::deed::Own;
use super::{Fate, Reverted};
use crate::error::{Error, Result};
use crate::ledger::index::Row;
use crate::ledger::{Change, tree};
use crate::model::bead::{Bead, Dependency, DependencyKind, Status, is_of_standing};
use crate::model::brief::Facts as _;
use crate::model::difference::differences;
use crate::model::hook::Hook;
use crate::model::mail::Letter;
use crate::model::record::{self, Class, Object};
use crate::model::scope::Parcel;
use crate::model::tombstone::Tombstone;
use crate::name::BeadId;
use crate::ops::convoy::{self, Settled};
use crate::ops::past::delete::{check_idle, listed};
use crate::ops::past::edges;
use crate::ops::track::depend::check_no_ring_by;
use crate::ops::track::reach::Reach;
use crate::town::Town;

/// What was at a path before and after the deed.
type Pair = (Option<ObjectId>, Option<ObjectId>);

/// The reverse of a deed.
pub(super) struct Reverse<'o> {
    own: &'o Own,
    paths: BTreeMap<String, Pair>,
    /// Records as they were before the deed, of which these are beads.
    before: BTreeMap<String, Object>,
    /// Parcels that the deed put into the outbox and that have left it.
    pub(super) parcels: Vec<Parcel>,
    /// Edges of other scopes that were cut with the bead that they led to.
    pub(super) far_edges: Vec<Dependency>,
    /// Edges of other scopes that were put back with it.
    pub(super) far_again: Vec<Dependency>,
}

/// What the reverse of a deed did.
pub(super) struct Done {
    pub(super) records: Vec<Reverted>,
    /// Beads that are closed by it.
    pub(super) closed: Vec<BeadId>,
    /// Convoys that landed with that.
    pub(super) convoys: Vec<Settled>,
}

/// The field that signs of life of a holder change.
const LEASE: &str = "lease_until";

impl<'o> Reverse<'o> {
    pub(super) fn of(own: &'o Own, parent: ObjectId) -> Result<Self> {
        let state = own.ledger.state_at(parent)?;
        let (paths, before, parcels) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut reverse = Self { own, paths, before, parcels, far_edges: Vec::new(), far_again: Vec::new() };
        let now = own.ledger.state()?;
        for (path, pair) in own.ledger.changed(state.tree(), own.step.tree)? {
            if path.starts_with("outbox/") && now.blob_id(&path)?.is_none() {
                let Some(blob) = pair.1 else { continue };
                reverse.parcels.push(record::read(&path, &own.ledger.store.record(blob)?)?);
                continue;
            }
            if let Some(object) = state.object(&path)? {
                reverse.before.insert(path.clone(), object);
            }
            if Class::of(&path) == Class::Tombstone {
                let edges = |blob: Option<ObjectId>| match blob {
                    Some(blob) => Ok::<_, Error>(far_edges_of(&record::read(&path, &own.ledger.store.record(blob)?)?)),
                    None => Ok(Vec::new()),
                };
                reverse.far_again.extend(edges(pair.0)?);
                reverse.far_edges.extend(edges(pair.1)?);
            }
            reverse.paths.insert(path, pair);
        }
        Ok(reverse)
    }

    /// Whether it is about more than letters that went to other scopes.
    pub(super) fn has_own_records(&self) -> bool {
        !self.paths.is_empty()
    }

    /// Writes all records as they were.
    pub(super) fn apply(&self, town: &Town, change: &mut Change<'_>, reach: &mut Reach<'_>) -> Result<Done> {
        for (path, (_, made)) in &self.paths {
            if change.before().blob_id(path)? != *made && !self.is_only_extended(change, path)? {
                return Err(self.built_on(path));
            }
        }
        self.check_no_landing(town)?;
        let leaving: BTreeSet<BeadId> = self.leaving(change)?;
        for id in &leaving {
            self.check_leaves_nobody(town, change, reach, id, &leaving)?;
        }
        let mut told = Vec::new();
        for path in self.paths.keys() {
            match Class::of(path) {
                Class::Bead => told.push(self.revert_bead(town, change, path)?),
                // Whoever puts a bead back takes its tombstone away, and the other way round.
                Class::Tombstone => self.revert_stone(change, path)?,
                _ => told.extend(self.revert_other(change, path)?),
            }
        }
        let mut closed = Vec::new();
        for path in self.paths.keys().filter(|path| Class::of(path) == Class::Bead) {
            let Some(bead) = change.get::<Bead>(path)? else { continue };
            self.check_edges(change, reach, &bead)?;
            if bead.status.is_closed() && !change.before().get::<Bead>(path)?.is_some_and(|now| now.status.is_closed()) {
                closed.push(bead.id);
            }
        }
        let convoys = convoy::closed_in(town, change, &closed)?;
        Ok(Done { records: told, closed, convoys })
    }

    /// The record that the deed made at `path`.
    fn made(&self, path: &str) -> Result<Option<Object>> {
        let Some(blob) = self.paths.get(path).and_then(|(_, made)| *made) else { return Ok(None) };
        record::decode(path, &self.own.ledger.store.record(blob)?).map(Some)
    }

    /// Whether nothing became of the bead at `path` since, but that its claim was extended.
    fn is_only_extended(&self, change: &Change<'_>, path: &str) -> Result<bool> {
        let plain = |object: Object| -> Object {
            object.into_iter().filter(|(field, _)| !["rev", "revs", LEASE].contains(&field.as_str())).collect()
        };
        let (Some(now), Some(made)) = (change.before().object(path)?, self.made(path)?) else { return Ok(false) };
        Ok(Class::of(path) == Class::Bead && plain(now) == plain(made))
    }

    /// Beads that the deed brought and that go again.
    fn leaving(&self, change: &Change<'_>) -> Result<BTreeSet<BeadId>> {
        let gone = self.paths.iter().filter(|(path, (old, _))| Class::of(path) == Class::Bead && old.is_none());
        let mut ids = BTreeSet::new();
        for (path, _) in gone {
            ids.extend(change.get::<Bead>(path)?.map(|bead| bead.id));
        }
        Ok(ids)
    }

    /// Says who changed the record at `path` since.
    fn built_on(&self, path: &str) -> Error {
        let id = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
        let turns = id.parse().ok().and_then(|id| self.own.ledger.turns(&id, 1, |_| true).ok()).unwrap_or_default();
        let since = match turns.first().filter(|turn| Class::of(path) == Class::Bead && turn.entry.rev > self.own.entry.rev) {
            Some(turn) => format!("{id} was changed since by {}: {}", turn.entry.actor, turn.entry.subject),
            None if path.starts_with("mail/") => format!("the letter {id} was read"),
            None => format!("{id} was changed since"),
        };
        Error::refused(format!("'{}' cannot be undone: {since}", self.own.entry.subject))
            .hint("change it back by hand; gt bead history ID tells what it was")
    }

    /// Beads as the deed closed them, which are open again without it.
    fn opened(&self) -> Result<Vec<Bead>> {
        let is_closed = |record: &Object| record.get("status").is_some_and(|status| status == Status::Closed.word());
        let mut opened = Vec::new();
        for path in self.paths.keys().filter(|path| Class::of(path) == Class::Bead) {
            if let Some(made) = self.made(path)?.filter(is_closed)
                && !self.before.get(path).is_some_and(is_closed)
            {
                opened.push(record::view(path, &made)?);
            }
        }
        Ok(opened)
    }

    /// Refuses to open what a convoy landed with; one that landed in the same transaction is open again too.
    fn check_no_landing(&self, town: &Town) -> Result<()> {
        let opened = self.opened()?;
        if opened.is_empty() {
            return Ok(());
        }
        let hq = town.hq.state()?;
        let catalog = hq.catalog()?;
        for bead in opened {
            let landed = |(row, kind): &(Row<'_>, DependencyKind)| *kind == DependencyKind::Tracks && row.status().is_closed();
            for (row, _) in catalog.needed_by(&bead.id).into_iter().filter(landed) {
                let convoy = hq.bead_of(row)?;
                if convoy.closed_at >= bead.closed_at && !self.paths.contains_key(&tree::bead(&convoy.id)) {
                    let (id, convoy, subject) = (&bead.id, &convoy.id, &self.own.entry.subject);
                    return Err(Error::refused(format!("'{subject}' cannot be undone: convoy {convoy} landed with it"))
                        .hint(format!("to open both: gt bead reopen {id} && gt convoy add {convoy} {id}")));
                }
            }
        }
        Ok(())
    }

    /// Refuses to take a bead away on which something was built.
    fn check_leaves_nobody(
        &self,
        town: &Town,
        change: &Change<'_>,
        reach: &mut Reach<'_>,
        id: &BeadId,
        leaving: &BTreeSet<BeadId>,
    ) -> Result<()> {
        let refused = |why: String| {
            Error::refused(format!("'{}' cannot be undone: {why}", self.own.entry.subject))
                .hint(format!("see: gt bead dep list {id}"))
        };
        let hooks = change.before().all::<Hook>("hooks")?.0;
        check_idle(&change.bead(id)?, &hooks).map_err(|error| refused(error.line()))?;
        let children =
            change.before().catalog()?.children(id).iter().filter_map(|row| row.id().parse().ok()).collect::<Vec<BeadId>>();
        let mut others: Vec<BeadId> = children;
        // What was deleted before, convoys may have gone on tracking.
        let was_deleted = self.before.contains_key(&tree::tombstone(id));
        let leaning = edges::to(town, change, reach, id)?.into_iter();
        let leaning = leaning.filter(|edge| !was_deleted || edge.kind != DependencyKind::Tracks);
        others.extend(leaning.map(|edge| edge.issue_id));
        let is_cut = |other: &BeadId| {
            let before = self.before.get(&tree::bead(other)).map(|record| record::view::<Bead>("", record));
            let is_far = self.far_again.iter().any(|edge| edge.issue_id == *other && edge.depends_on_id == *id);
            let leans = |bead: &Bead| bead.dependencies.iter().any(|edge| edge.depends_on_id == *id);
            is_far || before.is_some_and(|bead| bead.is_ok_and(|bead| !leans(&bead)))
        };
        others.retain(|other| !leaving.contains(other) && !is_cut(other));
        others.sort();
        others.dedup();
        if others.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = others.iter().map(BeadId::as_str).collect();
        Err(refused(format!("{} lean on {id}", listed(&names))))
    }

    fn revert_bead(&self, town: &Town, change: &mut Change<'_>, path: &str) -> Result<Reverted> {
        let made = self.made(path)?;
        let Some(old) = self.before.get(path) else {
            let bead: Bead = change.get(path)?.ok_or_else(|| Error::bug(format!("undo what made {path}")))?;
            change.remove_bead(&bead.id);
            // What came from the archive is there again; what was new leaves its id behind.
            if change.before().archive()?.map_or(Ok(None), |archive| archive.blob_id(path))?.is_none() {
                let mut stone = Tombstone::of(&bead, &town.actor.name, "undone", town.now);
                stone.last_record = change.before().blob_id(path)?.map(|id| id.to_string());
                change.put_tombstone(&stone)?;
            }
            return Ok(Reverted::new(bead.id.as_str(), Fate::Gone, bead.title));
        };
        let mut bead: Bead = record::view(path, old)?;
        bead.updated_at = town.now;
        // A claim that the deed left alone goes on for as long as it was extended since.
        let holding = |record: &Object| -> Object {
            record.clone().into_iter().filter(|(field, _)| is_of_standing(field) && field != LEASE).collect()
        };
        let now: Option<Bead> = change.before().get(path)?;
        if let Some(now) = now.filter(|_| made.as_ref().is_some_and(|made| holding(made) == holding(old))) {
            bead.lease_until = now.lease_until;
        }
        change.put_bead(&bead)?;
        let fate = if made.is_some() { Fate::Changed } else { Fate::Back };
        let changes = made.map(|made| differences(&made, old)).unwrap_or_default();
        Ok(Reverted { changes, ..Reverted::new(bead.id.as_str(), fate, bead.title) })
    }

    fn revert_stone(&self, change: &mut Change<'_>, path: &str) -> Result<()> {
        match self.before.get(path) {
            None => change.remove(path),
            Some(old) => change.put_object(path, old.clone())?,
        }
        Ok(())
    }

    fn revert_other(&self, change: &mut Change<'_>, path: &str) -> Result<Option<Reverted>> {
        let title = match change.get::<Letter>(path) {
            Ok(Some(letter)) if path.starts_with("mail/") => format!("{} to {}", letter.subject, letter.to),
            _ => String::new(),
        };
        let id = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".json").to_owned();
        let Some(old) = self.before.get(path) else {
            change.remove(path);
            return Ok(Some(Reverted::new(&id, Fate::Gone, title)));
        };
        change.put_object(path, old.clone())?;
        Ok(Some(Reverted::new(&id, Fate::Back, title)))
    }

    /// What is back must not lean on what is gone, nor wait for itself.
    fn check_edges(&self, change: &Change<'_>, reach: &mut Reach<'_>, bead: &Bead) -> Result<()> {
        let here = bead.id.prefix();
        for edge in bead.dependencies.iter().filter(|edge| edge.depends_on_id.prefix() == here) {
            let target = &edge.depends_on_id;
            if !change.has_bead(target)? && change.tombstone(target)?.is_some_and(|stone| stone.moved_to.is_none()) {
                return Err(Error::refused(format!("'{}' cannot be undone: {target} is deleted", self.own.entry.subject))
                    .hint(format!("first: gt bead restore {target}")));
            }
        }
        check_no_ring_by(change, &here, reach, &bead.id, &self.far_edges)
    }
}

/// Edges of other scopes that a tombstone names.
fn far_edges_of(stone: &Tombstone) -> Vec<Dependency> {
    stone.cut_edges.iter().filter(|edge| edge.issue_id.prefix() != stone.id.prefix()).cloned().collect()
}
