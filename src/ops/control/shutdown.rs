//! Shutting a town down: its sessions ended, what is unsaved in sandboxes saved, and the sandboxes of idle polecats that
//! hold nothing removed.
//!
//! Work that is not merged stays: hooks, branches, merge requests, and every sandbox in which there was anything to save.

use schemars::JsonSchema;
use serde::Serialize;

use super::down::{self, Down, Scope};
use crate::error::{Error, Kind, Result};
use crate::git::salvage::Next;
use crate::git::status::status;
use crate::model::address::Address;
use crate::name::BeadId;
use crate::ops::polecat::{self, Ground};
use crate::town::{RigPlace, Town};

/// What becomes of a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// It stays: there is work on the hook.
    KeptWithWork,
    /// It stays: it held what was not saved, which now is.
    KeptAsSaved,
    /// It is gone: nothing was on the hook and nothing in it was unsaved.
    Removed,
    /// It stays, since it could not be looked after.
    Failed,
}

/// A sandbox that was looked after.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Sandbox {
    /// Whose.
    pub agent: Address,
    /// What hangs on its hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bead: Option<BeadId>,
    /// What became of it, or would.
    pub then: Then,
    /// Whether it holds changes that no commit has; told by a dry run only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_changed: Option<bool>,
    /// The ref that keeps what was not saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salvage: Option<String>,
    /// What was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The exit code of what went wrong.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

/// What a shutdown came to.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Shutdown {
    /// Whether it was only told.
    pub is_dry: bool,
    /// The sessions that ran.
    pub sessions: Vec<down::Ended>,
    /// The sandboxes of polecats.
    pub sandboxes: Vec<Sandbox>,
}

/// Ends all sessions, saves what is unsaved, and removes the sandboxes of idle polecats that hold nothing.
///
/// # Errors
/// As [`down::down`]; corrupt, when the registry cannot be read. What goes wrong with one sandbox is told of it.
pub fn shutdown(town: &Town, scope: &Scope) -> Result<Shutdown> {
    let Down { sessions } = down::down(town, scope)?;
    let mut sandboxes = Vec::new();
    for (name, place) in town.each_place()? {
        match place.and_then(|place| polecats(town, &place).map(|agents| (place, agents))) {
            Ok((place, agents)) => {
                sandboxes.extend(agents.into_iter().filter_map(|agent| settle(town, &place, agent, scope.is_dry)));
            }
            Err(error) => tracing::warn!("the sandboxes of rig {name} were not looked after: {}", error.line()),
        }
    }
    Ok(Shutdown { is_dry: scope.is_dry, sessions, sandboxes })
}

/// The polecats of this machine.
fn polecats(town: &Town, place: &RigPlace) -> Result<Vec<Address>> {
    let all = town.agents_of(place)?.into_iter().filter(|agent| agent.machine == town.machine).map(|agent| agent.address);
    Ok(all.filter(|address| matches!(address, Address::Polecat(..))).collect())
}

/// Looks after one sandbox; none, when there is none.
fn settle(town: &Town, place: &RigPlace, agent: Address, is_dry: bool) -> Option<Sandbox> {
    let mut sandbox = Sandbox { agent, bead: None, then: Then::Failed, is_changed: None, salvage: None, error: None, kind: None };
    match look_after(town, place, &mut sandbox, is_dry) {
        Ok(false) => None,
        Ok(true) => Some(sandbox),
        Err(error) => {
            sandbox.kind = Some(error.kind);
            sandbox.error = Some(error.line());
            Some(sandbox)
        }
    }
}

/// Tells whether there is a sandbox.
fn look_after(town: &Town, place: &RigPlace, sandbox: &mut Sandbox, is_dry: bool) -> Result<bool> {
    let Address::Polecat(_, name) = &sandbox.agent else {
        return Err(Error::bug(format!("{} is no polecat", sandbox.agent)));
    };
    let dir = polecat::sandbox(place, name);
    if polecat::ground(place, &dir)? != Ground::Worktree {
        return Ok(false);
    }
    if is_dry {
        sandbox.bead = place.ledger.state()?.hook(&sandbox.agent)?.map(|hook| hook.bead);
        let is_changed = !status(&dir)?.is_clean();
        sandbox.is_changed = Some(is_changed);
        sandbox.then = match (&sandbox.bead, is_changed) {
            (Some(_), _) => Then::KeptWithWork,
            (None, true) => Then::KeptAsSaved,
            (None, false) => Then::Removed,
        };
        return Ok(true);
    }
    let held = polecat::hold(place, &sandbox.agent)?;
    sandbox.bead = held.hook.as_ref().map(|hook| hook.bead.clone());
    let saved = polecat::save(town, place, &sandbox.agent, &dir, Next::Nothing)?;
    crate::env::crash_point("shutdown.salvaged");
    sandbox.salvage = saved.map(|saved| saved.ref_name);
    sandbox.then = match (&sandbox.bead, &sandbox.salvage) {
        (Some(_), _) => Then::KeptWithWork,
        (None, Some(_)) => Then::KeptAsSaved,
        (None, None) => {
            drop(held);
            // Looks once more, under its own hold, and saves what came since.
            sandbox.salvage = polecat::nuke(town, place, &sandbox.agent, false)?.salvage;
            Then::Removed
        }
    };
    Ok(true)
}
