//! Landing without gates, by the overseer's recorded order: the same protocol but for the gates and what people said.
//!
//! Everything else is checked as ever: it must fit, its head must be the one that was handed in, it may change no path
//! that its author did not touch, and the target moves by compare-and-swap. The new tip counts as never gated, so that
//! the target itself is gated before anybody is sent back on it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::event::Event;
use super::kin::Kin;
use super::land::Attempt;
use super::look::{self, Request};
use super::stack::{self, Misfit, Stack};
use super::{Queue, Turn, check_home, clerk, control, recover, resolve, rights};
use crate::config;
use crate::error::{Error, Result};
use crate::git::merge::Stacker;
use crate::model::bead::check_text;
use crate::model::merge_request::Force;
use crate::model::plan::STACK_MAX;
use crate::model::record::Object;
use crate::name::BeadId;
use crate::ops::gates::{Rules, Trials, Yard};
use crate::ops::rig;
use crate::town::{RigPlace, Town};

/// What landed without gates, or shall.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Forced {
    /// The requests that landed, in order.
    pub landed: Vec<BeadId>,
    /// The pull request that they wait for instead, when the target is moved by these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<String>,
    /// The branch.
    pub target: String,
    /// Its tip now, which no gate has seen.
    pub tip: String,
    /// By whose order.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Lands the requests `ids` (or those for the work `ids`) in this order, all or none, without gates.
///
/// # Errors
/// Usage, without a reason; refused, for others than the overseer, on another machine than the queue's, when a request
/// does not wait or does not fit; conflict, when another process works the queue or the target moved.
pub fn land(town: &Town, place: &RigPlace, ids: &[BeadId], reason: &str, say: &mut dyn FnMut(&Event)) -> Result<Forced> {
    rights::check_overseer(&town.me, "land without gates")?;
    town.check_identity()?;
    check_text("reason", reason)?;
    if reason.trim().is_empty() {
        return Err(Error::usage("landing without gates takes a reason").hint("add --reason \"…\"; it is recorded"));
    }
    check_home(town, place)?;
    let requests = asked(place, ids)?;
    let Some(target) = requests.first().map(|request| request.mr.target.clone()) else {
        return Err(Error::usage("which requests?").hint("gt mq list shows them"));
    };
    if requests.len() > STACK_MAX {
        return Err(Error::usage(format!("{STACK_MAX} requests at most land at once")).hint("name fewer"));
    }
    let yard = Yard::take(town, place)?;
    recover::drop_stray_pins(place, &yard)?;
    // What a dead process left open is settled by the gates; where there is nothing, nobody asks for them.
    let is_open = place.ledger.state()?.intents()?.iter().any(|intent| intent.target == target);
    let rules = if is_open { Rules::read(town, place, &town.machine)? } else { Rules::to_look(town, place)? };
    let gates = if is_open { rules.required() } else { Vec::new() };
    let force = Force { by: town.me.to_string(), reason: reason.to_owned(), at: town.now, extra: Object::new() };
    let clerk = clerk::clerk(town, place, &place.ledger.state()?, &target)?;
    let mut queue = Queue {
        town,
        place,
        gates,
        is_ungated_allowed: !config::is_on(town, Some(place), "gates.require")?,
        review: config::review(town, place)?,
        clerk,
        on_conflict: resolve::on_conflict(town, place)?,
        force: Some(force),
        me: town.me.clone(),
        actor: town.actor.clone(),
        turn: Turn::take(place, &target)?,
        trials: Trials::new(town, place, &rules, &yard, town.actor.clone(), None),
        rules,
        subjects: BTreeMap::new(),
        only: None,
        share: 1,
        is_alone: true,
        runs: 0,
    };
    let has_landed = queue.land_forced(&requests, say)?;
    let _ = rig::refresh_readers(place);
    let first = look::find(&place.ledger.state()?, &requests[0].bead.id)?;
    let tip = place.ledger.store.read_ref(&queue.turn.target_ref())?;
    Ok(Forced {
        landed: requests.into_iter().filter(|_| has_landed).map(|request| request.bead.id).collect(),
        pull_request: first.and_then(|request| request.mr.pull_request).filter(|_| !has_landed),
        target,
        tip: tip.map(|tip| tip.to_string()).unwrap_or_default(),
        by: town.me.to_string(),
        reason: reason.to_owned(),
    })
}

/// The requests that were asked for, all of which must wait for one target.
fn asked(place: &RigPlace, ids: &[BeadId]) -> Result<Vec<Request>> {
    let state = place.ledger.state()?;
    let mut requests: Vec<Request> = Vec::new();
    for id in ids {
        let request = look::request_for(&state, id)?;
        control::check_waits(&request)?;
        if let Some(first) = requests.first().filter(|first| first.mr.target != request.mr.target) {
            return Err(Error::refused(format!("{} and {} go to different branches", first.bead.id, request.bead.id))
                .hint("land them one after the other"));
        }
        if !requests.iter().any(|one| one.bead.id == request.bead.id) {
            requests.push(request);
        }
    }
    Ok(requests)
}

impl Queue<'_> {
    /// Lands them, or asks for it by a pull request; tells which.
    fn land_forced(&mut self, requests: &[Request], say: &mut dyn FnMut(&Event)) -> Result<bool> {
        if !self.recover_unforced(say)? {
            return Err(self.waits_or_away()?);
        }
        let store = &self.place.ledger.store;
        let tip = self.tip(say)?;
        if tip.is_remote_away {
            return Err(away());
        }
        let state = self.place.ledger.state()?;
        let kin = Kin::of(&state, &look::requests(&state)?)?;
        let stack = stack::build(store, &mut Stacker::new(store)?, tip.commit, requests.to_vec(), &kin)?;
        check_fits(&stack)?;
        if let Some(force) = &self.force {
            for mr in stack.ids(stack.placed.len()) {
                say(&Event::Forced { mr, by: force.by.clone(), reason: force.reason.clone() });
            }
        }
        match self.land(&stack, stack.placed.len(), say)? {
            Attempt::Landed => Ok(true),
            Attempt::Waiting | Attempt::Merged => Ok(false),
            Attempt::Dropped(loss) => {
                Err(Error::conflict(format!("nothing landed: {}", loss.reason)).hint("look again: gt mq list"))
            }
            Attempt::Closed => Err(Error::conflict("nothing landed: the pull request was closed").hint("look again: gt mq list")),
            Attempt::RemoteAway(_) => Err(away()),
        }
    }

    /// Why what is open cannot be settled now.
    fn waits_or_away(&self) -> Result<Error> {
        let intents = self.place.ledger.state()?.intents()?;
        let open = intents.into_iter().find(|intent| intent.target == self.target());
        Ok(match open.and_then(|intent| intent.pull_request) {
            Some(reference) => Error::conflict(format!("{} waits for the pull request {reference}", self.target()))
                .hint("merge or close that one first, or withdraw its requests: gt mq withdraw ID"),
            None => away(),
        })
    }

    /// Landings that a dead process left open are settled by their own rules, not by this order.
    fn recover_unforced(&mut self, say: &mut dyn FnMut(&Event)) -> Result<bool> {
        let force = self.force.take();
        let settled = self.recover(say);
        self.force = force;
        settled
    }
}

fn away() -> Error {
    Error::external("the remote that holds the target cannot be reached, so nothing can land").hint("try again when it can be")
}

/// All must fit: a person who orders some to land does not order what is left of them to.
fn check_fits(stack: &Stack) -> Result<()> {
    let Some(aside) = stack.aside.first() else { return Ok(()) };
    let id = &aside.request.bead.id;
    let (why, hint) = match &aside.why {
        Misfit::Contained(_) => ("the target contains it already".to_owned(), "gt mq run --once notes that".to_owned()),
        Misfit::WithTarget(files) => {
            (format!("it conflicts with the target in {}", files.join(", ")), format!("gt mq reject {id} -m …"))
        }
        Misfit::WithAhead(ahead, files) => {
            (format!("it conflicts with {ahead} in {}", files.join(", ")), "land them one after the other".to_owned())
        }
        Misfit::Foreign(files) => {
            (format!("it would change {}, which its author did not touch", files.join(", ")), format!("gt mq reject {id} -m …"))
        }
        Misfit::Behind(gap) => (gap.reason(), format!("name {} before it, if that one waits", gap.parent)),
        Misfit::Unfit(why) => (why.clone(), format!("gt mq why {id}")),
    };
    Err(Error::refused(format!("{id} cannot land, and nothing did: {why}")).hint(hint))
}
