//! Taking back one's last deed, while nothing was built on it and nobody else has it.
//!
//! What a deed did is the difference of two trees. It is undone by writing each record as it was before, in one
//! transaction, if each still is what the deed made of it; so an undo is a deed like others and can itself be undone.

mod deed;

use std::collections::{BTreeMap, BTreeSet};

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::{Change, tree};
use crate::model::bead::{Bead, Dependency};
use crate::model::brief::Facts as _;
use crate::model::difference::{Difference, differences};
use crate::model::hook::Hook;
use crate::model::mail::Letter;
use crate::model::record::{self, Class, Object};
use crate::model::scope::Parcel;
use crate::model::tombstone::Tombstone;
use crate::name::{BeadId, Prefix};
use crate::ops::past::delete::{check_idle, listed};
use crate::ops::past::edges;
use crate::ops::track::depend::check_no_ring;
use crate::ops::track::reach::Reach;
use crate::time::Moment;
use crate::town::Town;
use deed::{Own, check_undoable, check_unsynced, last_deed};

/// What became of a record.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Reverted {
    /// The bead, the letter, or the path of another record.
    pub id: String,
    /// `gone`, `back` or `changed`.
    pub what: &'static str,
    /// What it is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The fields that are as they were before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Difference>,
}

/// A deed that was taken back.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Undone {
    /// Its commit.
    pub commit: String,
    /// The scope that it changed.
    pub scope: Prefix,
    /// Its verb.
    pub op: String,
    /// What it did, in a line.
    pub subject: String,
    /// When it was done.
    pub at: Moment,
    /// What became of each record.
    pub records: Vec<Reverted>,
    /// Edges that are not there again, each with the reason.
    pub left_out: Vec<String>,
    /// Whether nothing was written because only that was asked.
    pub dry_run: bool,
}

/// Takes the actor's last deed back; with `dry_run` only tells what that would change.
///
/// # Errors
/// Not found, when there is none; refused, when the deed is not one that can be taken back, when it was synced, or when
/// something was built on it: the message says what.
pub fn undo(town: &Town, dry_run: bool) -> Result<Undone> {
    let own = last_deed(town)?;
    check_undoable(&own.entry)?;
    check_unsynced(&own)?;
    let [parent] = own.step.before.as_slice() else {
        return Err(Error::refused(format!("'{}' began or joined a history and stays", own.entry.subject))
            .hint("gt log shows what happened"));
    };
    let deed = Reverse::of(&own, *parent)?;
    let subject = format!("undo {}", own.entry.subject);
    let mut reach = Reach::new(town);
    let mut undone = Undone {
        commit: own.entry.commit.clone(),
        scope: own.prefix.clone(),
        op: own.entry.op.clone(),
        subject: own.entry.subject.clone(),
        at: own.entry.at,
        records: Vec::new(),
        left_out: Vec::new(),
        dry_run,
    };
    if dry_run {
        undone.records = own.ledger.rehearse(town.now, |change| deed.apply(town, change, &mut reach))?;
        undone.records.extend(deed.parcels.iter().map(told_of));
        return Ok(undone);
    }
    // What went to another scope is taken back there first: if that is refused, nothing changed here.
    let mut records = deed.take_back_parcels(town)?;
    records.extend(own.ledger.transact(&town.deed("undo", subject), |change| deed.apply(town, change, &mut reach))?);
    undone.records = records;
    undone.left_out = edges::mend(town, &deed.far_edges).left_out;
    edges::cut(town, &deed.far_again)?;
    Ok(undone)
}

/// What was at a path before and after the deed.
type Pair = (Option<ObjectId>, Option<ObjectId>);

/// The reverse of a deed.
struct Reverse<'o> {
    own: &'o Own,
    paths: BTreeMap<String, Pair>,
    /// Records as they were before the deed, of which these are beads.
    before: BTreeMap<String, Object>,
    /// Parcels that the deed put into the outbox and that have left it.
    parcels: Vec<Parcel>,
    /// Edges of other scopes that were cut with the bead that they led to.
    far_edges: Vec<Dependency>,
    /// Edges of other scopes that were put back with it.
    far_again: Vec<Dependency>,
}

impl<'o> Reverse<'o> {
    fn of(own: &'o Own, parent: ObjectId) -> Result<Self> {
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

    /// Writes all records as they were.
    fn apply(&self, town: &Town, change: &mut Change<'_>, reach: &mut Reach<'_>) -> Result<Vec<Reverted>> {
        for (path, (_, made)) in &self.paths {
            if change.before().blob_id(path)? != *made {
                return Err(self.built_on(path));
            }
        }
        let leaving: BTreeSet<BeadId> = self.leaving(change)?;
        for id in &leaving {
            self.check_leaves_nobody(town, change, reach, id, &leaving)?;
        }
        let mut told = Vec::new();
        for (path, (_, made)) in &self.paths {
            match Class::of(path) {
                Class::Bead => told.push(self.revert_bead(town, change, path, made.is_some())?),
                // Whoever puts a bead back takes its tombstone away, and the other way round.
                Class::Tombstone => self.revert_stone(change, path)?,
                _ => told.extend(self.revert_other(change, path)?),
            }
        }
        for (path, _) in self.paths.iter().filter(|(path, _)| Class::of(path) == Class::Bead) {
            let Some(bead) = change.get::<Bead>(path)? else { continue };
            self.check_edges(change, reach, &bead)?;
        }
        Ok(told)
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
        others.extend(edges::to(town, change, reach, id)?.into_iter().map(|edge| edge.issue_id));
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

    fn revert_bead(&self, town: &Town, change: &mut Change<'_>, path: &str, is_there: bool) -> Result<Reverted> {
        let now: Option<Object> = if is_there { change.before().object(path)? } else { None };
        let Some(old) = self.before.get(path) else {
            let bead: Bead = change.get(path)?.ok_or_else(|| Error::bug(format!("undo what made {path}")))?;
            change.remove_bead(&bead.id);
            // What came from the archive is there again; what was new leaves its id behind.
            if change.before().archive()?.map_or(Ok(None), |archive| archive.blob_id(path))?.is_none() {
                let mut stone = Tombstone::of(&bead, &town.actor.name, "undone", town.now);
                stone.last_record = change.before().blob_id(path)?.map(|id| id.to_string());
                change.put_tombstone(&stone)?;
            }
            return Ok(Reverted { id: bead.id.to_string(), what: "gone", title: bead.title, changes: Vec::new() });
        };
        let mut bead: Bead = record::view(path, old)?;
        bead.updated_at = town.now;
        change.put_bead(&bead)?;
        let changes = now.map(|now| differences(&now, old)).unwrap_or_default();
        Ok(Reverted { id: bead.id.to_string(), what: if is_there { "changed" } else { "back" }, title: bead.title, changes })
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
            return Ok(Some(Reverted { id, what: "gone", title, changes: Vec::new() }));
        };
        change.put_object(path, old.clone())?;
        Ok(Some(Reverted { id, what: "back", title, changes: Vec::new() }))
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
        check_no_ring(change, &here, reach, &bead.id)
    }

    /// Takes letters that were carried to other scopes back, if nobody read them.
    fn take_back_parcels(&self, town: &Town) -> Result<Vec<Reverted>> {
        let mut told = Vec::new();
        for parcel in &self.parcels {
            told.push(take_back(town, &self.own.entry.subject, parcel)?);
        }
        Ok(told)
    }
}

/// Edges of other scopes that a tombstone names.
fn far_edges_of(stone: &Tombstone) -> Vec<Dependency> {
    stone.cut_edges.iter().filter(|edge| edge.issue_id.prefix() != stone.id.prefix()).cloned().collect()
}

/// What a parcel that would be taken back is about.
fn told_of(parcel: &Parcel) -> Reverted {
    let field = |name: &str| parcel.letter.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    let title = format!("{} to {}", field("subject"), field("to"));
    Reverted { id: parcel.key.clone(), what: "gone", title, changes: Vec::new() }
}

/// Takes the letter of `parcel` out of the mailbox that it was delivered to.
fn take_back(town: &Town, subject: &str, parcel: &Parcel) -> Result<Reverted> {
    let refused =
        |why: String| Error::refused(format!("'{subject}' cannot be undone: {why}")).hint("send another letter: gt send");
    let to = parcel.letter.get("to").and_then(|to| to.as_str()).unwrap_or_default().to_owned();
    let address = to.parse().map_err(|_| refused(format!("its recipient {to} is nobody")))?;
    let ledger = town.ledger_for(&address)?;
    let (letters, _) = ledger.state()?.letters(&address)?;
    let Some(letter) = letters.into_iter().find(|letter| letter.key.as_deref() == Some(&parcel.key)) else {
        return Err(refused(format!("the letter to {to} is not there any more")));
    };
    let path = tree::letter(&letter.to, letter.sent_at, &letter.id);
    for (name, tip) in ledger.store.refs_below("refs/gt-remote/")? {
        if name.ends_with("/ledger") && ledger.state_at(tip)?.blob_id(&path)?.is_some() {
            return Err(refused(format!("the letter to {to} was synced already")));
        }
    }
    ledger.transact(&town.deed("undo", format!("undo {subject}")), |change| {
        let now: Option<Letter> = change.get(&path)?;
        if !now.is_some_and(|letter| letter.is_unread()) {
            return Err(refused(format!("{to} has read it")));
        }
        change.remove(&path);
        Ok(())
    })?;
    let title = format!("{} to {to}", letter.subject);
    Ok(Reverted { id: letter.id.to_string(), what: "gone", title, changes: Vec::new() })
}
