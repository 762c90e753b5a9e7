//! Landing all of an integration branch as one, and what ends with it.

use std::collections::BTreeSet;

use gix::ObjectId;

use super::{Ending, Integrated, open_one, remove_branch, tip_of};
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::commits;
use crate::git::merge::merge_base;
use crate::ledger::{Change, State, tree};
use crate::model::bead::Bead;
use crate::model::hook::Hook;
use crate::model::integration::Integration;
use crate::model::merge_request::{MergeRequest, Mode};
use crate::name::BeadId;
use crate::ops::refinery::look as requests;
use crate::ops::refinery::profile::profile;
use crate::ops::refinery::submit::{Handed, check_pin, file_mr};
use crate::town::{RigPlace, Town};

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
        return end_now(town, place, epic, from, force);
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
        check_quiet(change, place, &integration, from)?;
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
pub(super) fn live_mr(state: &State<'_>, integration: &Integration) -> Result<Option<BeadId>> {
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

/// Refuses while something lands on the branch, or has since it was looked at: that would be left behind.
fn check_quiet(change: &Change<'_>, place: &RigPlace, integration: &Integration, from: ObjectId) -> Result<()> {
    let branch = &integration.branch;
    let is_landing = change.before().intents()?.iter().any(|intent| intent.target == *branch);
    let tip = place.ledger.store.read_ref(&format!("refs/heads/{branch}"))?;
    if is_landing || tip != Some(from) {
        return Err(Error::conflict(format!("work lands on {branch} at this moment")).hint("try again"));
    }
    Ok(())
}

/// The target has all of the branch: nothing is to be merged.
fn end_now(town: &Town, place: &RigPlace, epic: &BeadId, from: ObjectId, force: bool) -> Result<Integrated> {
    let deed = town.deed("integration", format!("end the integration branch of {epic}"));
    let (integration, left_open) = place.ledger.transact(&deed, |change| {
        let left_open = check_done(change, epic, force)?;
        let mut bead = change.bead(epic)?;
        let Some(mut integration) = Integration::of(&bead)?.filter(Integration::is_open) else {
            return Err(Error::conflict(format!("the integration branch of {epic} ended meanwhile")).hint("try again"));
        };
        check_quiet(change, place, &integration, from)?;
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
pub(in crate::ops::refinery) fn landed_in(change: &mut Change<'_>, epic: &mut Bead, mr: &BeadId) -> Result<()> {
    // Damage to a field of the epic must not keep what has landed from being recorded.
    let Some(mut integration) = Integration::of(epic).ok().flatten() else { return Ok(()) };
    if integration.mr.as_ref() == Some(mr) && integration.is_open() {
        end_in(change, &mut integration)?;
        integration.put_into(epic);
    }
    Ok(())
}
