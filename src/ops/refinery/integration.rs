//! Integration branches: children of an epic land on a branch of their own, and the whole lands from there as one.
//!
//! While the whole is on its way nothing else lands on the branch, so that what was filed is what is there. With it in the
//! target the branch ends: what still waited for it, or is being worked on for it, goes to the target instead.

mod look;
mod whole;

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use super::event::Event;
use super::look as requests;
use super::{Drained, Queue, resolve};
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::merge::merge_base;
use crate::git::progress::Progress;
use crate::git::push::{self, Outcome, Update};
use crate::git::{fetch, init, worktree};
use crate::ledger::State;
use crate::model::bead::{Bead, IssueType};
use crate::model::dependency::{GENERATIONS_MAX, parent_of};
use crate::model::integration::Integration;
use crate::name::BeadId;
use crate::store::refs::Swap;
use crate::town::{RigPlace, Town};
pub use look::{Standing, standing};
pub use whole::land;
pub(super) use whole::landed_in;
use whole::live_mr;

/// What became of an integration branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It is there now.
    Created,
    /// It was there before.
    AlreadyThere,
    /// A request for the whole is queued.
    Filed,
    /// The target had all of it: it ended, and the epic is closed.
    Ended,
}

/// An integration branch and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Integrated {
    /// What became of it.
    pub outcome: Ending,
    /// The epic.
    pub epic: BeadId,
    /// The branch.
    pub branch: String,
    /// Where the whole goes.
    pub target: String,
    /// The request for the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mr: Option<BeadId>,
    /// Work of the epic that is not closed, and was left out by force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_open: Vec<BeadId>,
}

impl Integrated {
    fn of(outcome: Ending, epic: &BeadId, integration: &Integration) -> Self {
        let (branch, target) = (integration.branch.clone(), integration.target.clone());
        Self { outcome, epic: epic.clone(), branch, target, mr: integration.mr.clone(), left_open: Vec::new() }
    }
}

/// Makes the integration branch of `epic`, at the tip of the target; a branch that is there already is taken over.
///
/// # Errors
/// Refused, when the bead is no open epic or has another integration branch; not found, when the target is not there;
/// external, when the remote that holds the target does not take the branch.
pub fn create(town: &Town, place: &RigPlace, epic: &BeadId, branch: Option<&str>, target: Option<&str>) -> Result<Integrated> {
    let state = place.ledger.state()?;
    let bead = state.bead(epic)?;
    check_epic(&bead)?;
    let branch = branch.map_or_else(|| Integration::usual_branch(epic), str::to_owned);
    let target = target.unwrap_or(&place.rig.target).to_owned();
    init::check_branch(&branch)?;
    if branch == target || branch == place.rig.target {
        return Err(
            Error::usage(format!("{} is a target itself", branch.escape_debug())).hint("give the branch a name of its own")
        );
    }
    if let Some(there) = Integration::of(&bead)?.filter(Integration::is_open) {
        if there.branch == branch && there.target == target {
            return Ok(Integrated::of(Ending::AlreadyThere, epic, &there));
        }
        return Err(Error::refused(format!("{epic} has the integration branch {} → {}", there.branch, there.target))
            .hint(format!("see: gt mq integration status {epic}")));
    }
    if let Some((other, _)) = of_branch(&state, &branch)? {
        return Err(Error::refused(format!("{branch} is the integration branch of {}", other.id)).hint("give another --branch"));
    }
    let tip = tip_of(place, &target)?
        .or_fail(Kind::NotFound, || format!("there is no branch {} in {}", target.escape_debug(), place.rig.name))?;
    let base = make_branch(place, &branch, tip)?;
    crate::env::crash_point("integration.branch");
    let integration = Integration {
        branch,
        target,
        base: base.to_string(),
        created_at: town.now,
        mr: None,
        ended_at: None,
        extra: <_>::default(),
    };
    let deed = town.deed("integration", format!("begin the integration branch {} of {epic}", integration.branch));
    place.ledger.transact(&deed, |change| {
        let mut bead = change.bead(epic)?;
        check_epic(&bead)?;
        if Integration::of(&bead)?.is_some_and(|there| there.is_open()) {
            return Err(Error::conflict(format!("{epic} got an integration branch meanwhile")).hint("try again"));
        }
        integration.put_into(&mut bead);
        change.put_bead(&bead)
    })?;
    Ok(Integrated::of(Ending::Created, epic, &integration))
}

fn check_epic(bead: &Bead) -> Result<()> {
    if bead.issue_type != IssueType::Epic {
        return Err(Error::refused(format!("{} is {}, not an epic", bead.id, bead.issue_type.with_article()))
            .hint("children of an epic land on its integration branch; file one: gt create TITLE -t epic"));
    }
    if bead.status.is_closed() {
        return Err(Error::refused(format!("{} is closed", bead.id)).hint(format!("open it first: gt bead reopen {}", bead.id)));
    }
    Ok(())
}

/// The open integration branch of `epic`, with its bead.
fn open_one(state: &State<'_>, epic: &BeadId) -> Result<(Bead, Integration)> {
    let bead = state.bead(epic)?;
    let integration = Integration::of(&bead)?.or_fail(Kind::NotFound, || format!("{epic} has no integration branch"));
    let integration = integration.map_err(|error| match bead.issue_type {
        IssueType::Epic => error.hint(format!("make one: gt mq integration create {epic}")),
        _ => error.hint("only an epic has one: gt list --type epic"),
    })?;
    Ok((bead, integration))
}

/// Makes `branch` at `tip`, at the remote too when that holds the targets; answers where it is, if it is there already.
fn make_branch(place: &RigPlace, branch: &str, tip: ObjectId) -> Result<ObjectId> {
    let (store, name) = (&place.ledger.store, format!("refs/heads/{branch}"));
    let at = tip_of(place, branch)?.unwrap_or(tip);
    merge_base(store, at, tip)?.or_fail(Kind::Refused, || format!("{branch} is there and shares no history with the target"))?;
    if place.rig.land_remote {
        let update = Update { name: name.clone(), old: None, new: Some(at) };
        for (_, outcome) in push::push(store, &place.push_url(), &[update], &Progress::silent())? {
            if let Outcome::Rejected(why) = outcome {
                return Err(Error::external(format!("the remote does not take {branch}: {why}")));
            }
        }
    }
    match store.swap_ref(&name, None, at)? {
        Swap::Lost(Some(there)) => Ok(there),
        Swap::Moved | Swap::Lost(None) => Ok(at),
    }
}

/// The tip of `branch` here; one that only the remote which holds the targets has is fetched.
///
/// # Errors
/// External, when that remote cannot be asked.
pub fn tip_of(place: &RigPlace, branch: &str) -> Result<Option<ObjectId>> {
    let (store, name) = (&place.ledger.store, format!("refs/heads/{branch}"));
    let here = store.read_ref(&name)?;
    if here.is_some() || !place.rig.land_remote || !fetch::advertised(store, &place.project)?.contains_key(&name) {
        return Ok(here);
    }
    let fetched = fetch::fetch(store, &place.project, std::slice::from_ref(&name), &Progress::silent())?;
    let Some(there) = fetched.get(&name).copied() else { return Ok(None) };
    match store.swap_ref(&name, None, there)? {
        Swap::Lost(Some(here)) => Ok(Some(here)),
        Swap::Moved | Swap::Lost(None) => Ok(Some(there)),
    }
}

/// The branch that `bead` goes to: for a conflict task that of the request, else the integration branch of the nearest epic above it that has one, else the rig's target.
///
/// # Errors
/// Corrupt, when a bead above it cannot be read.
pub fn target_for(place: &RigPlace, state: &State<'_>, bead: &Bead) -> Result<String> {
    if let Some(target) = resolve::target_of(state, bead)? {
        return Ok(target);
    }
    let mut above = parent_of(bead).cloned();
    for _ in 0..GENERATIONS_MAX {
        let Some(parent) = above.take() else { break };
        let Some(parent) = state.find_bead(&parent)? else { break };
        if let Some(integration) = Integration::of(&parent)?.filter(Integration::is_open) {
            return Ok(integration.branch);
        }
        above = parent_of(&parent).cloned();
    }
    Ok(place.rig.target.clone())
}

/// The epic whose open integration branch is `branch`.
fn of_branch(state: &State<'_>, branch: &str) -> Result<Option<(Bead, Integration)>> {
    let epics = state.beads_of(&IssueType::Epic)?.into_iter();
    // One that cannot be read has no branch that anybody could work.
    let mut all = epics.filter_map(|bead| Integration::of(&bead).ok().flatten().map(|integration| (bead, integration)));
    Ok(all.find(|(_, integration)| integration.is_open() && integration.branch == branch))
}

/// Where work for `target` goes now: that of an integration branch that has ended goes where all of it went.
///
/// # Errors
/// Corrupt, when beads cannot be read.
pub(super) fn followed(state: &State<'_>, target: &str) -> Result<String> {
    let mut branch = target.to_owned();
    let epics = state.beads_of(&IssueType::Epic)?;
    let all: Vec<Integration> = epics.iter().filter_map(|bead| Integration::of(bead).ok().flatten()).collect();
    // Each ended one is followed once, so that a ring of them ends.
    for _ in 0..=all.len() {
        if all.iter().any(|one| one.is_open() && one.branch == branch) {
            break;
        }
        let Some(ended) = all.iter().find(|one| !one.is_open() && one.branch == branch) else { break };
        branch.clone_from(&ended.target);
    }
    Ok(branch)
}

/// Whether `branch` is the open integration branch of an epic.
pub(super) fn is_open_branch(state: &State<'_>, branch: &str) -> Result<bool> {
    Ok(of_branch(state, branch)?.is_some())
}

/// Removes the branch of an integration that has ended, here and at the remote that holds the targets, when the target
/// contains it and nobody has it checked out; tells whether it is gone.
///
/// # Errors
/// Io or corrupt, when refs or worktrees cannot be read; external, when the remote does not do it.
pub(super) fn remove_branch(place: &RigPlace, integration: &Integration) -> Result<bool> {
    let (store, name) = (&place.ledger.store, format!("refs/heads/{}", integration.branch));
    let Some(tip) = store.read_ref(&name)? else { return Ok(true) };
    let Some(target) = store.read_ref(&format!("refs/heads/{}", integration.target))? else { return Ok(false) };
    let is_used = worktree::list(store)?.iter().any(|tree| tree.branch.as_deref() == Some(&integration.branch));
    if is_used || !store.is_ancestor(tip, target)? {
        return Ok(false);
    }
    if place.rig.land_remote {
        let update = Update { name: name.clone(), old: Some(tip), new: None };
        let outcomes = push::push(store, &place.push_url(), &[update], &Progress::silent())?;
        if outcomes.iter().any(|(_, outcome)| *outcome != Outcome::Accepted) {
            return Ok(false);
        }
    }
    Ok(store.remove_ref(&name, tip)? == Swap::Moved)
}

/// The request that lands all of `branch` and still waits, when that is an integration branch.
///
/// # Errors
/// Corrupt, when beads cannot be read.
pub(super) fn whole_of(place: &RigPlace, state: &State<'_>, branch: &str) -> Result<Option<BeadId>> {
    if branch == place.rig.target {
        return Ok(None);
    }
    of_branch(state, branch)?.map_or(Ok(None), |(_, integration)| live_mr(state, &integration))
}

impl Queue<'_> {
    /// Holds what waits for an integration branch while `whole` is to land all of it.
    ///
    /// # Errors
    /// As landing, of what an earlier process left open.
    pub(super) fn wait_for_whole(&mut self, whole: &BeadId, drained: &mut Drained, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let target = self.target().to_owned();
        let mut tell = |event: &Event| {
            drained.note(event, &target);
            say(event);
        };
        self.recover(&mut tell)?;
        let state = self.place.ledger.state()?;
        let reason = format!("its integration branch lands as {whole}; then it goes on");
        let mut held = Vec::new();
        for request in requests::requests(&state)?.iter().filter(|one| one.mr.state.is_live() && one.mr.target == target) {
            self.hold(request, &reason, &mut tell)?;
            held.push(request.bead.id.clone());
        }
        drained.held.extend(held);
        Ok(())
    }

    /// Removes the branches of integrations that ended with what landed; best effort, since the landing stands.
    pub(super) fn end_branches(&self, epics: &[BeadId], say: &mut dyn FnMut(&Event)) {
        let Ok(state) = self.place.ledger.state() else { return };
        for epic in epics {
            let Ok(Some(bead)) = state.find_bead(epic) else { continue };
            let Some(integration) = Integration::of(&bead).ok().flatten().filter(|one| !one.is_open()) else { continue };
            if !matches!(remove_branch(self.place, &integration), Ok(true)) {
                let reason = format!("the target has it, but it could not be removed; again: gt mq integration land {epic}");
                say(&Event::LeftBehind { what: format!("branch {}", integration.branch), reason });
            }
        }
    }
}
