//! Work of this machine that went to another in a merge: the session that goes on with it is ended, what its sandbox holds
//! is saved, and its worker is told. The worktree and its branch stay.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::git::salvage::{Next, Salvaged};
use crate::git::worktree;
use crate::ledger::sync::Lost;
use crate::model::address::Address;
use crate::model::hook::Hook;
use crate::model::mail::Letter;
use crate::name::BeadId;
use crate::ops::polecat::{self, Ground};
use crate::ops::{machine, post};
use crate::runtime::process;
use crate::town::{RigPlace, Town};

/// How long a session that lost its work may take to end.
const GRACE_MILLIS: u64 = 5_000;

/// What was done about an assignment that went elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Yielded {
    /// Who had it.
    pub agent: Address,
    /// What it was.
    pub bead: BeadId,
    /// Whether a session was at work on it, which has ended now.
    pub was_running: bool,
    /// The ref that keeps what its sandbox held, when it held something unsaved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salvage: Option<String>,
    /// Why nothing could be done; the next sync tries again while the session runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Yielded {
    /// In one line; `None`, when there is nothing to tell.
    pub(super) fn line(&self) -> Option<String> {
        let Self { agent, bead, was_running, salvage, error } = self;
        if let Some(error) = error {
            return Some(format!("{agent} goes on with {bead}, which it lost: {error}"));
        }
        let ended = was_running.then(|| "its session has ended".to_owned());
        let kept = salvage.as_ref().map(|name| format!("its unsaved work is kept at {name}"));
        let told: Vec<String> = ended.into_iter().chain(kept).collect();
        (!told.is_empty()).then(|| format!("{agent} lost {bead}: {}", told.join("; ")))
    }
}

/// Lets the polecats of the rig at `place` yield what they `lost`, and what their sessions work on though it hangs on
/// another's hook: an earlier sync may have been killed before it came to that.
///
/// # Errors
/// Corrupt, when the ledger cannot be read.
pub(super) fn yield_all(town: &Town, place: &RigPlace, lost: &[Lost]) -> Result<Vec<Yielded>> {
    let hooks = place.ledger.state()?.hooks()?;
    let mut all: Vec<(Address, BeadId)> = lost.iter().map(|lost| (lost.agent.clone(), lost.bead.clone())).collect();
    for session in process::all(&town.runtime_dir())? {
        let hangs_elsewhere = |hook: &Hook| hook.bead.as_str() == session.bead && hook.agent != session.agent;
        let Some(hook) = hooks.iter().find(|hook| hangs_elsewhere(hook)) else { continue };
        let pair = (session.agent.clone(), hook.bead.clone());
        if session.agent.rig() == Some(&place.rig.name) && !all.contains(&pair) {
            all.push(pair);
        }
    }
    let mut told = Vec::new();
    for (agent, bead) in all {
        let yielded = yield_one(town, place, &agent, &bead);
        told.extend(
            yielded.unwrap_or_else(|error| {
                Some(Yielded { agent, bead, was_running: false, salvage: None, error: Some(error.line()) })
            }),
        );
    }
    Ok(told)
}

/// `None`, when it has got the work back meanwhile.
fn yield_one(town: &Town, place: &RigPlace, agent: &Address, bead: &BeadId) -> Result<Option<Yielded>> {
    let Address::Polecat(_, name) = agent else { return Ok(None) };
    let held = polecat::hold(place, agent)?;
    if held.hook.as_ref().is_some_and(|hook| hook.bead == *bead) {
        return Ok(None);
    }
    let session = process::find(&town.runtime_dir(), agent)?.filter(|session| session.bead == bead.as_str());
    let was_running = session.is_some() && process::stop(&town.runtime_dir(), agent, GRACE_MILLIS)?;
    // With other work on its hook the sandbox was saved when that came.
    let dir = polecat::sandbox(place, name);
    let is_idle = held.hook.is_none() && polecat::ground(place, &dir)? == Ground::Worktree;
    let saved = if is_idle { polecat::save(town, place, agent, &dir, Next::Nothing)? } else { None };
    crate::env::crash_point("sync.yielded");
    let branch =
        if is_idle { worktree::head(&dir).ok().and_then(|(branch, _)| branch).unwrap_or_default() } else { String::new() };
    tell(town, place, (agent, bead), &branch, saved.as_ref()).map_err(|error| polecat::naming(error, saved.as_ref()))?;
    let salvage = saved.map(|saved| saved.ref_name);
    Ok(Some(Yielded { agent: agent.clone(), bead: bead.clone(), was_running, salvage, error: None }))
}

/// Writes to the worker that its work is another's, and on the bead where what was done is, when that is anywhere.
fn tell(town: &Town, place: &RigPlace, (agent, id): (&Address, &BeadId), branch: &str, saved: Option<&Salvaged>) -> Result<()> {
    let here = machine::name_of(town, &town.machine);
    let subject = format!("{id} is no longer yours");
    let deed = town.deed("yield", format!("{id} is no longer with {agent}"));
    place.ledger.transact(&deed, |change| {
        let now = change.now();
        let mut places = Vec::new();
        if !branch.is_empty() {
            places.push(format!("its branch {branch}"));
        }
        places.extend(saved.map(|saved| saved.ref_name.clone()));
        let mut stands = "it is gone".to_owned();
        if let Some(mut bead) = change.before().find_bead(id)? {
            stands = match &bead.assignee {
                Some(holder) => format!("it is {} for {holder}", bead.status),
                None => format!("it is {}", bead.status),
            };
            if !places.is_empty() {
                let text = format!("What {agent} did of it on machine {here} is kept there: {}.", places.join(", "));
                bead.comment(format!("yield-{}-{id}", change.rev()), &town.actor.name, &text, now);
                change.put_bead(&bead)?;
            }
        }
        let kept = if places.is_empty() { String::new() } else { format!("What was done is kept at {}.\n", places.join(", ")) };
        let body = format!("The machines of this town met, and {id} went to another: {stands}.\nDo not go on with it.\n{kept}");
        let write = |letter_id| {
            let mut letter = Letter::new(letter_id, Address::Deacon, agent.clone(), &subject, &body, now)?;
            letter.refs = vec![id.clone()];
            Ok(letter)
        };
        post::put(change, agent, write).map(drop)
    })
}
