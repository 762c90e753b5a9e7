//! The beads of a change: read with the edits made so far, written, taken away.

use super::{Change, Edit};
use crate::error::{Error, Result};
use crate::ledger::index::Catalog;
use crate::ledger::tree;
use crate::model::bead::Bead;
use crate::model::brief::Facts as _;
use crate::model::dependency::parent_of;
use crate::model::record;
use crate::model::tombstone::Tombstone;
use crate::name::BeadId;

impl Change<'_> {
    /// The bead `id` with edits made so far.
    ///
    /// # Errors
    /// Not found, when there is none; refused, when it is archived.
    pub fn bead(&self, id: &BeadId) -> Result<Bead> {
        if let Some(bead) = self.get(&tree::bead(id))? {
            return Ok(bead);
        }
        match self.archived_bead(id)? {
            None => Err(match self.tombstone(id)? {
                Some(stone) => stone.absence(),
                None => Error::not_found(format!("there is no bead {id}")).hint("gt list shows what there is"),
            }),
            Some(_) => Err(Error::refused(format!("{id} is closed and archived, and stays as it is"))
                .hint(format!("to go on with it: gt bead reopen {id}"))),
        }
    }

    /// The bead `id` as it will be stored, with the clocks that this transaction gives it.
    ///
    /// # Errors
    /// As [`Change::bead`].
    pub fn bead_as_written(&self, id: &BeadId) -> Result<Bead> {
        let path = tree::bead(id);
        match self.edits.get(&path) {
            Some(Edit::Changed(object)) => record::view(&path, &self.stamped(&path, object.clone())?.1),
            Some(Edit::Fresh(_) | Edit::Gone) | None => self.bead(id),
        }
    }

    /// The bead `id`, if it is in the archive and neither in the ledger nor among the edits made so far.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn archived_bead(&self, id: &BeadId) -> Result<Option<Bead>> {
        match self.edits.get(&tree::bead(id)) {
            Some(Edit::Fresh(_) | Edit::Changed(_)) => Ok(None),
            _ => self.state.archived_bead(id),
        }
    }

    /// Whether there is a bead `id`, edits made so far and the archive included.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn has_bead(&self, id: &BeadId) -> Result<bool> {
        Ok(matches!(self.edits.get(&tree::bead(id)), Some(Edit::Fresh(_) | Edit::Changed(_))) || self.state.has_bead(id)?)
    }

    /// What stands for the bead `id`, if it was deleted or moved; edits made so far included.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn tombstone(&self, id: &BeadId) -> Result<Option<Tombstone>> {
        self.get(&tree::tombstone(id))
    }

    /// Whether no new bead may have the id: one has it, also in the archive, or had it and was deleted or moved.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn is_taken(&self, id: &BeadId) -> Result<bool> {
        Ok(self.has_bead(id)? || self.has(&tree::tombstone(id))?)
    }

    /// Writes a tombstone and names its bead in the commit. The bead itself is taken out by [`Change::remove_bead`].
    ///
    /// # Errors
    /// As [`Change::put`].
    pub fn put_tombstone(&mut self, stone: &Tombstone) -> Result<()> {
        self.note(&stone.id, None);
        self.put(&tree::tombstone(&stone.id), stone)
    }

    /// Writes a bead and names it in the commit. If it was deleted, it is so no more.
    ///
    /// # Errors
    /// As [`Change::put`].
    pub fn put_bead(&mut self, bead: &Bead) -> Result<()> {
        self.note(&bead.id, parent_of(bead));
        let stone = tree::tombstone(&bead.id);
        if self.has(&stone)? {
            self.remove(&stone);
        }
        self.put(&tree::bead(&bead.id), bead)
    }

    /// Takes a bead out of the ledger and names it in the commit.
    pub fn remove_bead(&mut self, id: &BeadId) {
        self.note(id, None);
        self.remove(&tree::bead(id));
    }

    fn note(&mut self, id: &BeadId, parent: Option<&BeadId>) {
        if let Some(old) = self.beads.insert(id.clone(), parent.cloned()).flatten() {
            self.kin.entry(old).or_default().remove(id);
        }
        if let Some(parent) = parent {
            self.kin.entry(parent.clone()).or_default().insert(id.clone());
        }
    }

    /// The beads written or removed so far.
    pub fn touched(&self) -> impl Iterator<Item = &BeadId> {
        self.beads.keys()
    }

    /// Whether `id` was written or removed so far.
    #[must_use]
    pub fn has_touched(&self, id: &BeadId) -> bool {
        self.beads.contains_key(id)
    }

    /// The beads of the state that the change starts from, in brief; looked up once.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn catalog(&self) -> Result<&Catalog> {
        if self.catalog.get().is_none() {
            let _ = self.catalog.set(self.state.catalog()?);
        }
        self.catalog.get().ok_or_else(|| Error::bug("a catalog was made and is not there"))
    }

    /// The children of `parent` with edits made so far; archived ones are left out.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn children(&self, parent: &BeadId) -> Result<Vec<BeadId>> {
        let before = self.catalog()?.children(parent).into_iter().filter_map(|row| row.id().parse().ok());
        let mut ids: Vec<BeadId> = before.filter(|id| !self.beads.contains_key(id)).collect();
        ids.extend(self.kin.get(parent).into_iter().flatten().cloned());
        ids.sort();
        Ok(ids)
    }
}
