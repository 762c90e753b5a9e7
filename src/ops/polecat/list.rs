//! Polecats as lists show them.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::model::address::Address;
use crate::model::agent::AgentState;
use crate::model::hook::Hook;
use crate::name::BeadId;
use crate::runtime::{heartbeat, process};
use crate::time::Moment;
use crate::town::{RigPlace, Town};

/// A polecat as lists show it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Listed {
    /// Who.
    pub address: Address,
    /// What it is doing, derived from hook and session.
    pub state: AgentState,
    /// What is on its hook.
    pub bead: Option<BeadId>,
    /// The branch of its assignment.
    pub branch: Option<String>,
    /// Its session's process, when it runs here.
    pub pid: Option<u32>,
    /// Its session's log.
    pub log: Option<PathBuf>,
    /// When it last made a commit here, as far as that was seen.
    pub beat_at: Option<Moment>,
}

/// All polecats of a rig, by address.
///
/// # Errors
/// Corrupt, when hooks or agents cannot be read.
pub fn list(town: &Town, place: &RigPlace) -> Result<Vec<Listed>> {
    let hooks: Vec<Hook> = place.ledger.state()?.hooks()?;
    let mut listed = Vec::new();
    for agent in town.agents_of(place)?.into_iter().filter(|agent| matches!(agent.address, Address::Polecat(..))) {
        let hook = hooks.iter().find(|hook| hook.agent == agent.address);
        let session = process::find(&town.runtime_dir(), &agent.address)?;
        let is_here = agent.machine == town.machine;
        listed.push(Listed {
            state: if is_here { AgentState::of(hook.is_some(), session.is_some()) } else { AgentState::Elsewhere },
            bead: hook.map(|hook| hook.bead.clone()),
            branch: hook.map(|hook| hook.branch.clone()),
            pid: session.as_ref().map(|session| session.pid),
            log: session.map(|session| session.log),
            beat_at: heartbeat::last(&town.runtime_dir(), &agent.address),
            address: agent.address,
        });
    }
    listed.sort_by(|a, b| a.address.cmp(&b.address));
    Ok(listed)
}
