//! Whose children go with whom: those of the ledger can, those of the archive stay where they are.

use crate::error::{Error, Result};
use crate::ledger::index::{Catalog, Row};
use crate::ledger::{Change, State};
use crate::model::brief::Facts;
use crate::name::BeadId;
use crate::ops::past::delete::listed;

/// Parents and children of a scope, as a change found them.
pub(super) struct Kin {
    catalog: Catalog,
    archive: Option<Catalog>,
}

impl Kin {
    /// Those of the state that `change` starts from.
    pub(super) fn of(change: &Change<'_>) -> Result<Self> {
        let archive = change.before().archive()?.map(State::catalog).transpose()?;
        Ok(Self { catalog: change.before().catalog()?, archive })
    }

    /// The children of `id`. Refused, when it has archived ones too: they would be left without it.
    pub(super) fn children(&self, id: &BeadId) -> Result<Vec<BeadId>> {
        let archived = self.archive.iter().flat_map(|archive| archive.children(id));
        let left: Vec<Row<'_>> = archived.filter(|row| !self.catalog.has(row.id())).collect();
        if !left.is_empty() {
            let names: Vec<&str> = left.iter().map(Facts::id).collect();
            return Err(Error::refused(format!("{id} has archived children, which stay as they are: {}", listed(&names)))
                .hint(format!("gt close {id} ends it")));
        }
        Ok(self.catalog.children(id).iter().filter_map(|row| row.id().parse().ok()).collect())
    }
}
