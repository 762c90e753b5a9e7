//! One polecat looked at closely: its sandbox, what that holds, and whether it may go.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Ground, Listed, Nuked, ground, kept, list, nuke, pool, sandbox};
use crate::error::{Error, Result};
use crate::git::{commits, salvage, status, worktree};
use crate::ledger::tree;
use crate::model::address::Address;
use crate::model::recovery::{self, Seen, Verdict};
use crate::name::Name;
use crate::runtime::{process, slot};
use crate::town::{RigPlace, Town};

/// What git says of a sandbox.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct GitState {
    /// Whose.
    pub address: Address,
    /// Its directory.
    pub dir: PathBuf,
    /// Whether there is a sandbox.
    pub is_there: bool,
    /// The branch that it is on.
    pub branch: Option<String>,
    /// The commit that it is at.
    pub head: Option<String>,
    /// The branch that its work goes to.
    pub target: String,
    /// Commits that the target lacks.
    pub ahead: usize,
    /// Commits of the target that it lacks.
    pub behind: usize,
    /// Of those ahead, the ones that no merge request has.
    pub own_commits: usize,
    /// In the index but not in the commit.
    pub staged: Vec<String>,
    /// In the worktree but not in the index.
    pub unstaged: Vec<String>,
    /// Not tracked.
    pub untracked: Vec<String>,
    /// What nothing else keeps, as a salvage would tell it.
    pub unsaved: Vec<String>,
}

/// A polecat in full.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Status {
    /// As lists show it.
    #[serde(flatten)]
    pub listed: Listed,
    /// The small number that its sessions have.
    pub slot: Option<u32>,
    /// Its sandbox.
    pub git: GitState,
}

/// Whether a polecat's sandbox may go.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Recovery {
    /// Whose.
    pub address: Address,
    /// The answer.
    pub verdict: Verdict,
    /// Why, and what is unsaved.
    pub reasons: Vec<String>,
}

fn name_of(address: &Address) -> Result<&Name> {
    match address {
        Address::Polecat(_, name) => Ok(name),
        other => Err(Error::usage(format!("{other} is no polecat")).hint("gt polecat list shows them")),
    }
}

/// What git says of the sandbox of `address`.
///
/// # Errors
/// Usage, when it is no polecat; external, when git cannot tell.
pub fn git_state(place: &RigPlace, address: &Address) -> Result<GitState> {
    let dir = sandbox(place, name_of(address)?);
    let store = &place.ledger.store;
    let target = place.ledger.state()?.hook(address)?.map(|hook| hook.target).filter(|target| !target.is_empty());
    let mut state = GitState {
        address: address.clone(),
        is_there: ground(place, &dir)? == Ground::Worktree,
        dir,
        branch: None,
        head: None,
        target: target.unwrap_or_else(|| place.rig.target.clone()),
        ahead: 0,
        behind: 0,
        own_commits: 0,
        staged: Vec::new(),
        unstaged: Vec::new(),
        untracked: Vec::new(),
        unsaved: Vec::new(),
    };
    if !state.is_there {
        return Ok(state);
    }
    // A damaged sandbox still tells what it holds.
    if let Ok((branch, head)) = worktree::head(&state.dir) {
        (state.branch, state.head) = (branch, Some(head.to_string()));
        if let Some(tip) = store.read_ref(&format!("refs/heads/{}", state.target))? {
            (state.ahead, state.behind) = commits::apart(store, head, tip)?;
            let mut kept: Vec<_> = store.refs_below(tree::MR)?.into_iter().map(|(_, id)| id).collect();
            kept.push(tip);
            state.own_commits = commits::ahead(store, head, &kept)?.len();
        }
    }
    if let Ok(found) = status::status(&state.dir) {
        (state.staged, state.unstaged, state.untracked) = (found.staged, found.unstaged, found.untracked);
    }
    state.unsaved = salvage::unsaved(store, &state.dir, &kept(place)?)?;
    Ok(state)
}

/// All of one polecat.
///
/// # Errors
/// Not found, when there is none; as [`git_state`].
pub fn status(town: &Town, place: &RigPlace, address: &Address) -> Result<Status> {
    name_of(address)?;
    let listed = list(town, place)?.into_iter().find(|one| one.address == *address).ok_or_else(|| {
        Error::not_found(format!("there is no polecat {address}")).hint(format!("gt polecat list --rig {}", place.rig.name))
    })?;
    Ok(Status { listed, slot: slot::find(&town.runtime_dir(), address)?, git: git_state(place, address)? })
}

/// Whether the sandbox of `address` may go.
///
/// # Errors
/// As [`git_state`].
pub fn recovery(town: &Town, place: &RigPlace, address: &Address) -> Result<Recovery> {
    let state = git_state(place, address)?;
    let seen = Seen {
        unsaved: state.unsaved,
        bead: place.ledger.state()?.hook(address)?.map(|hook| hook.bead.to_string()),
        has_session: process::find(&town.runtime_dir(), address)?.is_some(),
        own_commits: state.own_commits,
    };
    let (verdict, reasons) = recovery::judge(&seen);
    Ok(Recovery { address: address.clone(), verdict, reasons })
}

/// What became of an idle sandbox.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Collected {
    /// Whose.
    pub address: Address,
    /// Whether it is gone.
    pub is_removed: bool,
    /// The ref that keeps what it held, when that was unsaved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salvage: Option<String>,
    /// What it holds that would be salvaged; of a dry run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsaved: Vec<String>,
    /// Why it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Removes the sandboxes of `place` in which nobody works, but for the first `keep` of them; what they hold is saved
/// first. `is_dry`: tells which, and does nothing.
///
/// # Errors
/// Io or corrupt, when sandboxes or hooks cannot be read; one that cannot be removed is in the answer.
pub fn collect(town: &Town, place: &RigPlace, keep: usize, is_dry: bool) -> Result<Vec<Collected>> {
    let state = place.ledger.state()?;
    let mut idle = Vec::new();
    for name in pool::names(town, place)?.there {
        let address = Address::Polecat(place.rig.name.clone(), name);
        let is_free = state.hook(&address)?.is_none() && process::find(&town.runtime_dir(), &address)?.is_none();
        idle.extend(is_free.then_some(address));
    }
    let mut collected = Vec::new();
    for address in idle.into_iter().skip(keep) {
        let mut one = Collected { address, is_removed: false, salvage: None, unsaved: Vec::new(), why: None };
        if is_dry {
            match git_state(place, &one.address) {
                Ok(state) => one.unsaved = state.unsaved,
                Err(error) => one.why = Some(error.line()),
            }
        } else {
            // It looks again, with the polecat held: who was given work meanwhile stays.
            match nuke(town, place, &one.address, false) {
                Ok(Nuked { was_there, salvage, .. }) => (one.is_removed, one.salvage) = (was_there, salvage),
                Err(error) => one.why = Some(error.line()),
            }
        }
        collected.push(one);
    }
    Ok(collected)
}
