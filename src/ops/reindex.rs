//! Indexes made anew from the records.

use serde::Serialize;

use crate::error::Result;
use crate::ledger::index::Reindexed;
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

/// Makes the indexes of the scopes anew.
///
/// # Errors
/// Not found, when there is no such rig; as [`crate::ledger::Ledger::reindex`].
pub fn reindex(town: &Town, which: &Which) -> Result<Vec<Made>> {
    let mut made = Vec::new();
    if matches!(which, Which::All | Which::Town) {
        made.push(Made { scope: "town".to_owned(), index: town.hq.reindex()? });
    }
    let places = match which {
        Which::All => town.places()?,
        Which::Town => Vec::new(),
        Which::Rig(name) => vec![town.rig(name)?],
    };
    for place in places {
        made.push(Made { scope: format!("rig {}", place.rig.name), index: place.ledger.reindex()? });
    }
    Ok(made)
}
