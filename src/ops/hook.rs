//! Hooks: what hangs on whom.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::ledger::State;
use crate::model::address::Address;
use crate::model::agent::AgentState;
use crate::model::bead::Bead;
use crate::model::hook::Hook;
use crate::ops::machine;
use crate::ops::track::lease;
use crate::runtime::process;
use crate::town::Town;

/// The hook of `agent`: in the scope that its mail lives in, where its work does too.
///
/// # Errors
/// Corrupt, when it cannot be read: that is never "no work".
pub fn of(town: &Town, agent: &Address) -> Result<Option<Hook>> {
    town.ledger_for(agent)?.state()?.hook(agent)
}

/// A hook and what hangs on it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
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
    lease::beat(town);
    let ledger = town.ledger_for(agent)?;
    let (hook, bead) = with_bead(&ledger.state()?, agent)?;
    Ok(Hung { agent: agent.clone(), hook, bead })
}

/// What an agent is at: its hook, and what is told from that and its session.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Standing {
    /// Its hook and what hangs on it.
    #[serde(flatten)]
    pub hung: Hung,
    /// What it is doing.
    pub state: AgentState,
    /// Its session's process, when it runs here.
    pub pid: Option<u32>,
}

/// What `agent` is at.
///
/// # Errors
/// Corrupt, when hook or bead cannot be read.
pub fn standing(town: &Town, agent: &Address) -> Result<Standing> {
    let hung = show(town, agent)?;
    let session = process::find(&town.runtime_dir(), agent)?;
    let home = hung.hook.as_ref().map(|hook| hook.machine.clone());
    let home = home.map_or_else(|| machine::of_agent(town, agent), |home| Ok(Some(home)))?;
    let is_here = home.is_none_or(|home| home == town.machine);
    let state = if is_here { AgentState::of(hung.hook.is_some(), session.is_some()) } else { AgentState::Elsewhere };
    Ok(Standing { hung, state, pid: session.map(|session| session.pid) })
}

/// The hook of `agent` and the bead on it, which lives in the same scope, at one commit.
///
/// # Errors
/// Corrupt, when hook or bead cannot be read.
pub fn with_bead(state: &State<'_>, agent: &Address) -> Result<(Option<Hook>, Option<Bead>)> {
    let hook = state.hook(agent)?;
    let bead = hook.as_ref().map(|hook| state.bead(&hook.bead)).transpose()?;
    Ok((hook, bead))
}
