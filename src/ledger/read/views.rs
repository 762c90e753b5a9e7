//! What commands ask of a state: beads, hooks, letters, machines and the like, typed.
//!
//! What is asked by a bead's id is answered from the archive when the ledger has no such bead.

use gix::ObjectId;
use serde::de::DeserializeOwned;

use super::{Damaged, State, bead_at, bead_with, letter_at, tombstone_at};
use crate::error::{Error, Result};
use crate::ledger::index::{Row, Slip, Unread};
use crate::ledger::tree;
use crate::model::address::Address;
use crate::model::bead::{Bead, IssueType};
use crate::model::brief::Facts as _;
use crate::model::flow::Control;
use crate::model::gate::{GateRun, Intent};
use crate::model::hook::Hook;
use crate::model::mail::Letter;
use crate::model::notebook::Notebook;
use crate::model::record::{self, Object};
use crate::model::scope::{Machine, Parcel, Rig, Scope};
use crate::model::tombstone::Tombstone;
use crate::name::{BeadId, Name};

impl State<'_> {
    /// What this ledger is.
    ///
    /// # Errors
    /// Corrupt, when `ledger.json` is missing or unreadable.
    pub fn scope(&self) -> Result<Scope> {
        self.get(tree::SCOPE)?.ok_or_else(|| Error::corrupt("the ledger has no ledger.json"))
    }

    /// The bead `id`.
    ///
    /// # Errors
    /// Not found, when there is none; corrupt, when it cannot be read.
    pub fn bead(&self, id: &BeadId) -> Result<Bead> {
        if let Some(bead) = self.find_bead(id)? {
            return Ok(bead);
        }
        Err(match self.tombstone(id)? {
            Some(stone) => stone.absence(),
            None => Error::not_found(format!("there is no bead {id}")).hint("gt list shows what there is"),
        })
    }

    /// The bead `id`, if there is one, in the ledger or else in the archive.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn find_bead(&self, id: &BeadId) -> Result<Option<Bead>> {
        match self.own_bead(id)? {
            None => self.archived_bead(id),
            found => Ok(found),
        }
    }

    /// The bead `id` of this very tree.
    fn own_bead(&self, id: &BeadId) -> Result<Option<Bead>> {
        let path = tree::bead(id);
        let Some(blob) = self.blob_id(&path)? else { return Ok(None) };
        bead_at(&path, &self.store.record(blob)?).map(Some)
    }

    /// The bead `id`, if it left the ledger for the archive.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn archived_bead(&self, id: &BeadId) -> Result<Option<Bead>> {
        if self.blob_id(&tree::bead(id))?.is_some() {
            return Ok(None);
        }
        self.archive()?.map_or(Ok(None), |archive| archive.own_bead(id))
    }

    /// The record at `path` with its blob, if it left the ledger for the archive.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn archived_copy(&self, path: &str) -> Result<Option<(ObjectId, Object)>> {
        if self.blob_id(path)?.is_some() {
            return Ok(None);
        }
        let Some(archive) = self.archive()? else { return Ok(None) };
        let Some(copy) = archive.blob_id(path)? else { return Ok(None) };
        Ok(archive.object(path)?.map(|object| (copy, object)))
    }

    /// Whether there is a bead `id`, in the ledger or in the archive, readable or not.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn has_bead(&self, id: &BeadId) -> Result<bool> {
        let path = tree::bead(id);
        Ok(self.blob_id(&path)?.is_some() || self.archive()?.map_or(Ok(None), |archive| archive.blob_id(&path))?.is_some())
    }

    /// What stands for the bead `id`, if it was deleted or moved.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn tombstone(&self, id: &BeadId) -> Result<Option<Tombstone>> {
        let path = tree::tombstone(id);
        let Some(blob) = self.blob_id(&path)? else { return Ok(None) };
        tombstone_at(&path, &self.store.record(blob)?).map(Some)
    }

    /// All tombstones, and the records that cannot be read.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn tombstones(&self) -> Result<(Vec<Tombstone>, Vec<Damaged>)> {
        self.each(tree::TOMBSTONES, tombstone_at)
    }

    /// The bead of a row of this state's catalog, in full.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn bead_of(&self, row: Row<'_>) -> Result<Bead> {
        match row.blob() {
            Some(blob) => bead_with(self.store, row.id(), blob),
            None => self.bead(&row.id().parse()?),
        }
    }

    /// The letter with this blob.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn letter_of(&self, slip: &Slip, blob: ObjectId) -> Result<Letter> {
        record::read(slip.id.as_str(), &self.store.record(blob)?)
    }

    /// The unread letters of `address`, in brief.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn unread(&self, address: &Address) -> Result<Unread> {
        if let Some(unread) = self.mailroom()?.unread(address) {
            return Ok(unread);
        }
        let mut unread = Unread::default();
        for (path, blob) in self.paths(&tree::mailbox(address))? {
            match self.store.record(blob).and_then(|bytes| letter_at(&path, &bytes)) {
                Ok(letter) if letter.is_unread() => unread.letters.push((Slip::of(&letter), blob)),
                Ok(_) => {}
                Err(error) => unread.damaged.push(Damaged { path, fault: error.line() }),
            }
        }
        unread.letters.sort_by(|a, b| (a.0.sent_at, &a.0.id).cmp(&(b.0.sent_at, &b.0.id)));
        Ok(unread)
    }

    /// All beads, and the records that cannot be read.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn beads(&self) -> Result<(Vec<Bead>, Vec<Damaged>)> {
        self.each("beads", bead_at)
    }

    /// All beads of one type, by id; unreadable records are left out.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn beads_of(&self, issue_type: &IssueType) -> Result<Vec<Bead>> {
        let catalog = self.catalog()?;
        let rows = catalog.first(0, |row| row.issue_type() == issue_type, |_| ()).0;
        Ok(rows.into_iter().filter_map(|((), row)| self.bead_of(row).ok()).collect())
    }

    /// Ids that start with `abbreviation`, without reading the beads; those in the archive when no other does.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn ids_starting_with(&self, abbreviation: &str) -> Result<Vec<BeadId>> {
        let ids = self.catalog()?.ids_starting_with(abbreviation);
        match self.archive()? {
            Some(archive) if ids.is_empty() => archive.ids_starting_with(abbreviation),
            _ => Ok(ids),
        }
    }

    /// Ids of the beads that lie in one directory with `id`, all its children among them, archived ones too.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn ids_beside(&self, id: &BeadId) -> Result<Vec<BeadId>> {
        let mut ids = self.own_ids_beside(id)?;
        if let Some(archive) = self.archive()? {
            ids.extend(archive.own_ids_beside(id)?);
            ids.sort();
            ids.dedup();
        }
        Ok(ids)
    }

    /// The same without those that are archived.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn own_ids_beside(&self, id: &BeadId) -> Result<Vec<BeadId>> {
        self.ids_in(&tree::bead(id))
    }

    /// Ids of deleted and moved beads that lay in one directory with `id`.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn tombstones_beside(&self, id: &BeadId) -> Result<Vec<BeadId>> {
        self.ids_in(&tree::tombstone(id))
    }

    /// Ids of the records in the directory of `path`.
    fn ids_in(&self, path: &str) -> Result<Vec<BeadId>> {
        let dir = path.rsplit_once('/').map_or(path, |(dir, _)| dir);
        let names = self.paths(dir)?.into_iter();
        Ok(names.filter_map(|(path, _)| path.rsplit('/').next()?.strip_suffix(".json")?.parse().ok()).collect())
    }

    /// The hook of `agent`; `None` when nothing hangs on it.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read: that is never "no work".
    pub fn hook(&self, agent: &Address) -> Result<Option<Hook>> {
        self.get(&tree::hook(agent))
    }

    /// All hooks.
    ///
    /// # Errors
    /// Corrupt, when one cannot be read.
    pub fn hooks(&self) -> Result<Vec<Hook>> {
        self.whole("hooks")
    }

    /// All letters in the mailbox of `address`, oldest first, and those that cannot be read.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn letters(&self, address: &Address) -> Result<(Vec<Letter>, Vec<Damaged>)> {
        let (mut letters, damaged) = self.each(&tree::mailbox(address), letter_at)?;
        letters.sort_by(|a, b| (a.sent_at, &a.id).cmp(&(b.sent_at, &b.id)));
        Ok((letters, damaged))
    }

    /// All machines of the scope.
    ///
    /// # Errors
    /// Corrupt, when one cannot be read.
    pub fn machines(&self) -> Result<Vec<Machine>> {
        self.whole("machines")
    }

    /// The registry entry of rig `name`.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn rig(&self, name: &Name) -> Result<Option<Rig>> {
        self.get(&tree::rig(name))
    }

    /// All registered rigs, by name.
    ///
    /// # Errors
    /// Corrupt, when one cannot be read.
    pub fn rigs(&self) -> Result<Vec<Rig>> {
        self.whole("rigs")
    }

    /// Parcels that wait to be delivered to other scopes.
    ///
    /// # Errors
    /// Corrupt, when one cannot be read.
    pub fn parcels(&self) -> Result<Vec<Parcel>> {
        self.whole("outbox")
    }

    /// Recorded gate runs.
    ///
    /// # Errors
    /// Corrupt, when one cannot be read: a plan must not rest on half of the evidence.
    pub fn gate_runs(&self) -> Result<Vec<GateRun>> {
        self.whole("queue/gates")
    }

    /// Landings under way.
    ///
    /// # Errors
    /// Corrupt, when one cannot be read.
    pub fn intents(&self) -> Result<Vec<Intent>> {
        self.whole("queue/intents")
    }

    /// What people said of targets.
    ///
    /// # Errors
    /// Corrupt, when one cannot be read: that is never "open".
    pub fn controls(&self) -> Result<Vec<Control>> {
        self.whole(tree::CONTROLS)
    }

    /// What the queues of targets remember.
    ///
    /// # Errors
    /// Corrupt, when one cannot be read: the queue would say again what it has said.
    pub fn notebooks(&self) -> Result<Vec<Notebook>> {
        self.whole(tree::NOTEBOOKS)
    }

    fn whole<T: DeserializeOwned>(&self, dir: &str) -> Result<Vec<T>> {
        let (good, damaged) = self.all(dir)?;
        match damaged.first() {
            None => Ok(good),
            Some(one) => Err(Error::corrupt(one.fault.clone())),
        }
    }
}
