//! Hooks: what hangs on whom.

use serde::Serialize;

use crate::error::Result;
use crate::model::address::Address;
use crate::model::bead::Bead;
use crate::model::hook::Hook;
use crate::town::Town;

/// The hook of `agent`: in the scope that its mail lives in, where its work does too.
///
/// # Errors
/// Corrupt, when it cannot be read: that is never "no work".
pub fn of(town: &Town, agent: &Address) -> Result<Option<Hook>> {
    town.ledger_for(agent)?.state()?.hook(agent)
}

/// A hook and what hangs on it.
#[derive(Clone, Debug, Serialize)]
pub struct Hung {
    /// Whose.
    pub agent: Address,
    /// The assignment; `None` when the hook is empty.
    pub hook: Option<Hook>,
    /// The bead on it.
    pub bead: Option<Bead>,
}

/// The hook of `agent` with its bead.
///
/// # Errors
/// Corrupt, when hook or bead cannot be read.
pub fn show(town: &Town, agent: &Address) -> Result<Hung> {
    let hook = of(town, agent)?;
    let bead = match &hook {
        Some(hook) => Some(town.scope_of(&hook.bead.prefix())?.state()?.bead(&hook.bead)?),
        None => None,
    };
    Ok(Hung { agent: agent.clone(), hook, bead })
}
