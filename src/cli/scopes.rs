//! The words that name whole scopes: `--rig NAME`, `--town`, or all.

use clap::Args;

use crate::name::Name;
use crate::ops::scopes::Which;

/// Which scopes a command is about; all when none is named.
#[derive(Args)]
pub struct ScopeArgs {
    /// Only this rig
    #[arg(long)]
    rig: Option<Name>,
    /// Only the town's own ledger
    #[arg(long, conflicts_with = "rig")]
    town: bool,
}

impl ScopeArgs {
    /// Those that are meant.
    #[must_use]
    pub fn which(&self) -> Which {
        match (self.rig.clone(), self.town) {
            (Some(rig), _) => Which::Rig(rig),
            (None, true) => Which::Town,
            (None, false) => Which::All,
        }
    }
}
