//! Beads of every scope of the town, read when first asked for and only as far as asked.
//!
//! A scope is seen at the commit at which it was first looked at, so that one question has one answer.

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Result};
use crate::ledger::{Damaged, Ledger, State};
use crate::model::bead::Bead;
use crate::model::dependency::parent_of;
use crate::name::{BeadId, Prefix};
use crate::town::Town;

/// What can be said of a bead somewhere in the town.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// There it is.
    Seen(Box<Bead>),
    /// Its scope has no such bead.
    Missing,
    /// Its scope or its record cannot be read, and why.
    Unreadable(String),
}

/// All beads of a scope.
pub struct Whole {
    /// Those that can be read, by id.
    pub beads: BTreeMap<BeadId, Bead>,
    /// Records that cannot be read.
    pub damaged: Vec<Damaged>,
}

struct Seen {
    ledger: Ledger,
    tip: gix::ObjectId,
    whole: Option<Whole>,
}

impl Seen {
    fn state(&self) -> Result<State<'_>> {
        self.ledger.state_at(self.tip)
    }
}

/// The town's scopes, as far as they were looked at.
pub struct Reach<'t> {
    town: &'t Town,
    scopes: BTreeMap<Prefix, std::result::Result<Seen, String>>,
}

impl<'t> Reach<'t> {
    /// Nothing looked at yet.
    #[must_use]
    pub fn new(town: &'t Town) -> Self {
        Self { town, scopes: BTreeMap::new() }
    }

    fn scope(&mut self, prefix: &Prefix) -> std::result::Result<&mut Seen, String> {
        let town = self.town;
        let open = || -> Result<Seen> {
            let ledger = town.scope_of(prefix)?;
            let tip = ledger.tip()?.ok_or_else(|| Error::not_found(format!("scope {prefix} holds no ledger")))?;
            Ok(Seen { ledger, tip, whole: None })
        };
        let entry = self.scopes.entry(prefix.clone()).or_insert_with(|| open().map_err(|error| error.line()));
        entry.as_mut().map_err(|fault| fault.clone())
    }

    /// The bead `id`, wherever it lives. What cannot be read is an answer, not a failure.
    pub fn bead(&mut self, id: &BeadId) -> Sight {
        let seen = match self.scope(&id.prefix()) {
            Ok(seen) => seen,
            Err(fault) => return Sight::Unreadable(format!("its scope cannot be reached: {fault}")),
        };
        if let Some(bead) = seen.whole.as_ref().and_then(|whole| whole.beads.get(id)) {
            return Sight::Seen(Box::new(bead.clone()));
        }
        match seen.state().and_then(|state| state.find_bead(id)) {
            Ok(Some(bead)) => Sight::Seen(Box::new(bead)),
            Ok(None) => Sight::Missing,
            Err(error) => Sight::Unreadable(error.line()),
        }
    }

    /// All beads of the scope with `prefix`.
    ///
    /// # Errors
    /// Not found, when the scope cannot be reached; corrupt, when its trees cannot be read.
    pub fn whole(&mut self, prefix: &Prefix) -> Result<&Whole> {
        let seen = self.scope(prefix).map_err(|fault| Error::new(Kind::NotFound, fault))?;
        if seen.whole.is_none() {
            let (beads, damaged) = seen.state()?.beads()?;
            let beads = beads.into_iter().map(|bead| (bead.id.clone(), bead)).collect();
            seen.whole = Some(Whole { beads, damaged });
        }
        seen.whole.as_ref().ok_or_else(|| Error::bug("beads just read are gone"))
    }

    /// The children of `id`, which live in its scope.
    ///
    /// # Errors
    /// As [`Reach::whole`].
    pub fn children(&mut self, id: &BeadId) -> Result<Vec<Bead>> {
        let whole = self.whole(&id.prefix())?;
        Ok(whole.beads.values().filter(|bead| parent_of(bead) == Some(id)).cloned().collect())
    }
}
