//! Which scopes a command on whole ledgers is about: the town's own, one rig, or all that are here.

use crate::error::Result;
use crate::ledger::Ledger;
use crate::name::Name;
use crate::town::{RigPlace, Town};

/// Which scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// The town and all its rigs here.
    #[default]
    All,
    /// The town's own ledger.
    Town,
    /// One rig.
    Rig(Name),
}

impl Which {
    /// Whether the town's own ledger is meant.
    #[must_use]
    pub fn has_town(&self) -> bool {
        match self {
            Self::All | Self::Town => true,
            Self::Rig(_) => false,
        }
    }

    /// The rigs that are meant.
    ///
    /// # Errors
    /// Not found, when there is no such rig here; corrupt, when the registry cannot be read.
    pub fn places(&self, town: &Town) -> Result<Vec<RigPlace>> {
        match self {
            Self::All => town.places(),
            Self::Town => Ok(Vec::new()),
            Self::Rig(name) => Ok(vec![town.rig(name)?]),
        }
    }

    /// The same, each by its name and for itself: a rig that cannot be opened hides no other.
    ///
    /// # Errors
    /// Not found, when there is no such rig here; corrupt, when the registry cannot be read, or the one rig that is meant.
    pub fn each_place(&self, town: &Town) -> Result<Vec<(Name, Result<RigPlace>)>> {
        match self {
            Self::All => town.each_place(),
            Self::Town => Ok(Vec::new()),
            Self::Rig(name) => Ok(vec![(name.clone(), Ok(town.rig(name)?))]),
        }
    }

    /// Asks each ledger that is meant, by its name: `town` or `rig NAME`.
    ///
    /// # Errors
    /// As [`Which::places`], and those of `ask`.
    pub fn each<T>(&self, town: &Town, ask: impl Fn(String, &Ledger) -> Result<T>) -> Result<Vec<T>> {
        let mut answers = Vec::new();
        if self.has_town() {
            answers.push(ask("town".to_owned(), &town.hq)?);
        }
        for place in self.places(town)? {
            answers.push(ask(format!("rig {}", place.rig.name), &place.ledger)?);
        }
        Ok(answers)
    }
}
