//! Indexes made anew from the records, or compared with them.

use serde::Serialize;

use crate::error::Result;
use crate::ledger::Ledger;
use crate::ledger::index::{Compared, Reindexed};
use crate::ops::sync::Which;
use crate::town::Town;

/// A scope whose index was made anew.
#[derive(Clone, Debug, Serialize)]
pub struct Made {
    /// `town` or `rig NAME`.
    pub scope: String,
    /// What it came to.
    #[serde(flatten)]
    pub index: Reindexed,
}

/// A scope whose index was compared with the records.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// `town` or `rig NAME`.
    pub scope: String,
    /// What it came to.
    #[serde(flatten)]
    pub index: Compared,
}

/// Makes the indexes of the scopes anew.
///
/// # Errors
/// Not found, when there is no such rig; as [`Ledger::reindex`].
pub fn reindex(town: &Town, which: &Which) -> Result<Vec<Made>> {
    each(town, which, |scope, ledger| Ok(Made { scope, index: ledger.reindex()? }))
}

/// Compares the indexes of the scopes with the records, and changes nothing.
///
/// # Errors
/// Not found, when there is no such rig; as [`Ledger::compare_index`].
pub fn check(town: &Town, which: &Which) -> Result<Vec<Checked>> {
    each(town, which, |scope, ledger| Ok(Checked { scope, index: ledger.compare_index()? }))
}

fn each<T>(town: &Town, which: &Which, ask: impl Fn(String, &Ledger) -> Result<T>) -> Result<Vec<T>> {
    let mut answers = Vec::new();
    if matches!(which, Which::All | Which::Town) {
        answers.push(ask("town".to_owned(), &town.hq)?);
    }
    let places = match which {
        Which::All => town.places()?,
        Which::Town => Vec::new(),
        Which::Rig(name) => vec![town.rig(name)?],
    };
    for place in places {
        answers.push(ask(format!("rig {}", place.rig.name), &place.ledger)?);
    }
    Ok(answers)
}
