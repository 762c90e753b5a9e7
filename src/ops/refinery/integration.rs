//! Integration branches: children of an epic land on a branch of their own, and the whole lands from there as one.
//!
//! While the whole is on its way nothing else lands on the branch, so that what was filed is what is there. With it in the
//! target the branch ends: what still waited for it, or is being worked on for it, goes to the target instead.

mod look;

use std::collections::BTreeSet;

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use super::event::Event;
use super::look as requests;
use super::profile::profile;
use super::submit::{Handed, check_pin, file_mr};
use super::{Drained, Queue, resolve};
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::merge::merge_base;
use crate::git::progress::Progress;
use crate::git::push::{self, Outcome, Update};
use crate::git::{commits, fetch, init, worktree};
use crate::ledger::{Change, State, tree};
use crate::model::bead::{Bead, IssueType};
use crate::model::dependency::{GENERATIONS_MAX, parent_of};
use crate::model::hook::Hook;
use crate::model::integration::Integration;
use crate::model::merge_request::{MergeRequest, Mode};
use crate::name::BeadId;
use crate::store::refs::Swap;
use crate::town::{RigPlace, Town};
pub use look::{Standing, standing};

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

/// Whether `branch` is the open integration branch of an epic.
pub(super) fn is_open_branch(state: &State<'_>, branch: &str) -> Result<bool> {
    Ok(of_branch(state, branch)?.is_some())
}

/// Files one request for all of the epic's integration branch, to be landed as a merge. When the target has it already,
/// the branch ends at once.
///
/// # Errors
/// Refused, when work below the epic is not closed (unless `force`), when a request for it waits already or the branch
/// has nothing; as [`file_mr`].
pub fn land(town: &Town, place: &RigPlace, epic: &BeadId, force: bool) -> Result<Integrated> {
    let store = &place.ledger.store;
    let state = place.ledger.state()?;
    let (bead, integration) = open_one(&state, epic)?;
    if !integration.is_open() {
        remove_branch(place, &integration)?;
        return Ok(Integrated::of(Ending::Ended, epic, &integration));
    }
    if let Some(mr) = live_mr(&state, &integration)? {
        return Err(Error::refused(format!("{mr} lands {epic} already")).hint(format!("see: gt mq why {mr}")));
    }
    let [from, onto] = [&integration.branch, &integration.target].map(|branch| {
        tip_of(place, branch)?.or_fail(Kind::NotFound, || format!("there is no branch {branch} in {}", place.rig.name))
    });
    let (from, onto) = (from?, onto?);
    if store.is_ancestor(from, onto)? {
        return end_now(town, place, epic, force);
    }
    let deed = town.deed("integration", format!("land the integration branch {} of {epic}", integration.branch));
    let id = place.ledger.transact(&deed, |change| change.mint(&place.rig.prefix, "mr-"))?;
    commits::pin(store, &tree::mr_pin(&id), from, &[onto])?;
    crate::env::crash_point("integration.pinned");
    let base = merge_base(store, onto, from)?.unwrap_or(onto);
    let handed = Handed {
        id: id.clone(),
        rig: &place.rig.name,
        source: epic,
        branch: &integration.branch,
        target: &integration.target,
        head: from.to_string(),
        base: base.to_string(),
        tree: store.tree_of(from)?.to_string(),
        author: &town.me,
        message: whole_message(&bead),
        mode: Mode::Merge,
        profile: profile(place, base, from)?,
        after: Vec::new(),
        is_alone: false,
    };
    let filed = place.ledger.transact(&deed, |change| {
        check_pin(store, &handed)?;
        let left_open = check_done(change, epic, force)?;
        file_mr(change, &handed)?;
        let mut bead = change.bead(epic)?;
        let mut now = integration.clone();
        now.mr = Some(id.clone());
        now.put_into(&mut bead);
        change.put_bead(&bead)?;
        Ok(left_open)
    });
    let left_open = filed.inspect_err(|_| {
        if let Err(error) = store.remove_ref(&tree::mr_pin(&id), from) {
            tracing::warn!("the pin of {id} stays: {}", error.line());
        }
    })?;
    Ok(Integrated { mr: Some(id), left_open, ..Integrated::of(Ending::Filed, epic, &integration) })
}

fn whole_message(bead: &Bead) -> String {
    format!("{}\n\n{}", bead.title, bead.description).trim_end().to_owned()
}

/// The request for the whole, while it waits.
fn live_mr(state: &State<'_>, integration: &Integration) -> Result<Option<BeadId>> {
    let Some(id) = &integration.mr else { return Ok(None) };
    let Some(bead) = state.find_bead(id)? else { return Ok(None) };
    Ok(MergeRequest::of(&bead)?.state.is_live().then(|| id.clone()))
}

/// Refuses, unless by `force`, while beads below `epic` are not closed; answers those that are not.
fn check_done(change: &Change<'_>, epic: &BeadId, force: bool) -> Result<Vec<BeadId>> {
    let (mut open, mut seen, mut ways) = (Vec::new(), BTreeSet::new(), vec![epic.clone()]);
    while let Some(parent) = ways.pop() {
        for child in change.children(&parent)? {
            if seen.insert(child.clone()) {
                if !change.bead(&child)?.status.is_closed() {
                    open.push(child.clone());
                }
                ways.push(child);
            }
        }
    }
    open.sort();
    if open.is_empty() || force {
        return Ok(open);
    }
    let names: Vec<&str> = open.iter().map(BeadId::as_str).collect();
    Err(Error::refused(format!("work below {epic} is not closed: {}", names.join(", ")))
        .hint("finish it first, or land what there is with --force: the rest goes to the target then"))
}

/// The target has all of the branch: nothing is to be merged.
fn end_now(town: &Town, place: &RigPlace, epic: &BeadId, force: bool) -> Result<Integrated> {
    let deed = town.deed("integration", format!("end the integration branch of {epic}"));
    let (integration, left_open) = place.ledger.transact(&deed, |change| {
        let left_open = check_done(change, epic, force)?;
        let mut bead = change.bead(epic)?;
        let Some(mut integration) = Integration::of(&bead)?.filter(Integration::is_open) else {
            return Err(Error::conflict(format!("the integration branch of {epic} ended meanwhile")).hint("try again"));
        };
        end_in(change, &mut integration)?;
        integration.put_into(&mut bead);
        if !bead.status.is_closed() {
            bead.close(&town.actor.name, &format!("{} has all of {}", integration.target, integration.branch), change.now())?;
        }
        change.put_bead(&bead)?;
        Ok((integration, left_open))
    })?;
    crate::ops::convoy::after_close(town, [epic]);
    remove_branch(place, &integration)?;
    Ok(Integrated { left_open, ..Integrated::of(Ending::Ended, epic, &integration) })
}

/// Ends `integration` in `change`: what waits or is worked on for its branch goes to its target now.
fn end_in(change: &mut Change<'_>, integration: &mut Integration) -> Result<()> {
    integration.ended_at = Some(change.now());
    for request in requests::requests(change.before())? {
        if request.mr.state.is_live() && request.mr.target == integration.branch {
            let mut bead = change.bead(&request.bead.id)?;
            let mut mr = MergeRequest::of(&bead)?;
            mr.target.clone_from(&integration.target);
            mr.put_into(&mut bead);
            change.put_bead(&bead)?;
        }
    }
    let (hooks, _) = change.before().all::<Hook>("hooks")?;
    for mut hook in hooks.into_iter().filter(|hook| hook.target == integration.branch) {
        hook.target.clone_from(&integration.target);
        change.put(&tree::hook(&hook.agent), &hook)?;
    }
    Ok(())
}

/// In the transaction that records `mr` as landed: the integration branch of `epic` ends, if that is what it was for.
///
/// # Errors
/// As [`Change::put`].
pub(super) fn landed_in(change: &mut Change<'_>, epic: &mut Bead, mr: &BeadId) -> Result<()> {
    // Damage to a field of the epic must not keep what has landed from being recorded.
    let Some(mut integration) = Integration::of(epic).ok().flatten() else { return Ok(()) };
    if integration.mr.as_ref() == Some(mr) && integration.is_open() {
        end_in(change, &mut integration)?;
        integration.put_into(epic);
    }
    Ok(())
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
