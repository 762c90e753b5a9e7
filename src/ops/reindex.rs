//! Indexes made anew from the records, or compared with them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::ledger::index::{Compared, Reindexed};
use crate::ops::scopes::Which;
use crate::town::Town;

/// A scope whose index was made anew.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Made {
    /// `town` or `rig NAME`.
    pub scope: String,
    /// What it came to.
    #[serde(flatten)]
    pub index: Reindexed,
}

/// A scope whose index was compared with the records.
#[derive(Clone, Debug, JsonSchema, Serialize)]
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
/// Not found, when there is no such rig; as [`crate::ledger::Ledger::reindex`].
pub fn reindex(town: &Town, which: &Which) -> Result<Vec<Made>> {
    which.each(town, |scope, ledger| Ok(Made { scope, index: ledger.reindex()? }))
}

/// Compares the indexes of the scopes with the records, and changes nothing.
///
/// # Errors
/// Not found, when there is no such rig; as [`crate::ledger::Ledger::compare_index`].
pub fn check(town: &Town, which: &Which) -> Result<Vec<Checked>> {
    which.each(town, |scope, ledger| Ok(Checked { scope, index: ledger.compare_index()? }))
}
