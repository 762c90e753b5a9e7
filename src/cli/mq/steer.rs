//! `gt mq hold`, `release`, `withdraw`, `retry`, `pause`, `freeze`, `resume`, `land`: what people say of the queue.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::place_of;
use crate::cli::out::{Out, Page, Show, escape};
use crate::error::{Error, Result};
use crate::model::flow::{Control, Flow};
use crate::name::{BeadId, Name};
use crate::ops::post;
use crate::ops::refinery::{self, Event, Forced, Steered};
use crate::town::Town;

/// Hold a request in its place until somebody releases it
///
/// It is not tested meanwhile; the others go on. Example: gt mq hold wi-mr-x7k2m -m 'wait for the migration'
#[derive(Args)]
pub(super) struct Hold {
    /// The request, or the work it delivers; a unique abbreviation will do
    id: String,
    /// Why
    #[arg(short, long, default_value = "", hide_default_value = true)]
    message: String,
}

/// Release a request that somebody holds
///
/// Example: gt mq release wi-mr-x7k2m
#[derive(Args)]
pub(super) struct Release {
    /// The request, or the work it delivers; a unique abbreviation will do
    id: String,
}

/// Take a request out of the queue; its work is open again, branch and commit stay
///
/// Example: gt mq withdraw wi-mr-x7k2m -m 'found a simpler way'
#[derive(Args)]
pub(super) struct Withdraw {
    /// The request, or the work it delivers; a unique abbreviation will do
    id: String,
    /// Why
    #[arg(short, long, default_value = "", hide_default_value = true)]
    message: String,
}

/// File a new request for the same commit of one that was sent back or withdrawn
///
/// The same commit comes back once after another request landed or left; a person may insist with --force.
/// Example: gt mq retry wi-mr-x7k2m --force -m 'the build machine was broken'
#[derive(Args)]
pub(super) struct Retry {
    /// The request, or the work it delivers; a unique abbreviation will do
    id: String,
    /// Also when nothing changed since it was sent back; the reason is recorded
    #[arg(long, requires = "message")]
    force: bool,
    /// Why it should be tried again
    #[arg(short, long, requires = "force")]
    message: Option<String>,
}

/// Of which queue something is said.
#[derive(Args)]
pub(super) struct Of {
    /// The branch; the rig's target when not given
    #[arg(long, value_name = "BRANCH")]
    target: Option<String>,
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
    /// Why
    #[arg(short, long, default_value = "", hide_default_value = true)]
    message: String,
}

/// Who passes a stop.
#[derive(Args)]
pub(super) struct Floor {
    /// Let requests of this priority and more urgent ones pass: with 0 only P0
    #[arg(long, value_name = "PRIORITY", value_parser = clap::value_parser!(u8).range(0..=4))]
    floor: Option<u8>,
}

/// Stop the queue of a target: requests come in, none is tested or lands
///
/// Example: gt mq pause -m 'the build machine is down'
#[derive(Args)]
pub(super) struct Pause {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    floor: Floor,
}

/// Land nothing on a target, but go on testing
///
/// Example: gt mq freeze --target main --floor 0 -m 'release week'
#[derive(Args)]
pub(super) struct Freeze {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    floor: Floor,
}

/// Open the queue of a target that was paused or frozen
///
/// Example: gt mq resume
#[derive(Args)]
pub(super) struct Resume {
    #[command(flatten)]
    of: Of,
}

/// Land requests without gates; for the overseer, with a reason that is recorded
///
/// All land in the order given, or none. Everything but the gates is checked as ever, holds and reviews are overruled, and
/// the target is gated before the next request is sent back on it.
/// Example: gt mq land wi-mr-x7k2m --force --reason 'the site is down, and the gates with it'
#[derive(Args)]
pub(super) struct Land {
    /// The requests, or the work they deliver; unique abbreviations will do
    #[arg(required = true)]
    ids: Vec<String>,
    /// Without gates: there is no other landing by hand
    #[arg(long)]
    force: bool,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Hold {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (place, id) = place_of(town, &self.id)?;
        Ok(out.show(&refinery::hold(town, &place, &id, &self.message)?))
    }
}

impl Release {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (place, id) = place_of(town, &self.id)?;
        Ok(out.show(&refinery::release(town, &place, &id)?))
    }
}

impl Withdraw {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (place, id) = place_of(town, &self.id)?;
        let withdrawn = refinery::withdraw(town, &place, &id, &self.message)?;
        out.note_undelivered(post::deliver(town));
        Ok(out.show(&withdrawn))
    }
}

impl Retry {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (place, id) = place_of(town, &self.id)?;
        let insist = self.message.as_deref().filter(|_| self.force);
        let filed = refinery::retry(town, &place, &id, insist)?;
        out.note_undelivered(post::deliver(town));
        Ok(out.show(&filed))
    }
}

impl Of {
    fn run(&self, town: &Town, out: Out, flow: Flow, floor: Option<u8>) -> Result<u8> {
        let place = town.rig_or_here(self.rig.as_ref())?;
        let target = self.target.as_deref().unwrap_or(&place.rig.target);
        let control = refinery::steer(town, &place, target, flow, floor, &self.message)?;
        Ok(out.show(&Said { rig: place.rig.name.to_string(), control }))
    }
}

impl Pause {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        self.of.run(town, out, Flow::Paused, self.floor.floor)
    }
}

impl Freeze {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        self.of.run(town, out, Flow::Frozen, self.floor.floor)
    }
}

impl Resume {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        self.of.run(town, out, Flow::Open, None)
    }
}

impl Land {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let mut ids: Vec<BeadId> = Vec::new();
        let mut found = None;
        for text in &self.ids {
            let (place, id) = place_of(town, text)?;
            let there = found.get_or_insert(place);
            if there.rig.prefix != id.prefix() {
                return Err(Error::usage(format!("{id} is not of the rig {}", there.rig.name))
                    .hint("land those of each rig for themselves"));
            }
            ids.push(id);
        }
        let Some(place) = found else { return Err(Error::usage("which requests?")) };
        if !self.force {
            return Err(Error::refused("what is green the queue lands by itself; by hand nothing lands but without gates")
                .hint("gt mq run --once works the queue; without gates: gt mq land ID --force --reason \"…\""));
        }
        let reason = self.reason.as_deref().unwrap_or_default();
        let forced = refinery::land(town, &place, &ids, reason, &mut |event: &Event| out.tell(&event.line()));
        out.note_undelivered(post::deliver(town));
        Ok(out.show(&forced?))
    }
}

/// What was said of a target.
#[derive(JsonSchema, Serialize)]
pub(super) struct Said {
    /// The rig.
    rig: String,
    #[serde(flatten)]
    control: Control,
}

impl Show for Said {
    fn show(&self, page: &mut Page) {
        let effect = match self.control.state {
            Flow::Open => "",
            Flow::Paused => "; requests come in, nothing is tested or lands until gt mq resume",
            Flow::Frozen => "; requests are tested, nothing lands until gt mq resume",
        };
        page.line(format!("{}{effect}", escape(&self.control.words())));
    }
}

impl Show for Steered {
    fn show(&self, page: &mut Page) {
        match self {
            Self::Held { mr, reason } => {
                let why = if reason.is_empty() { String::new() } else { format!(": {}", escape(reason)) };
                page.line(format!("{mr} is held{why}; to go on: gt mq release {mr}"));
            }
            Self::Released { mr, held_by } => page.line(format!("{mr}, held by {}, is released", escape(held_by))),
            Self::NotHeld { mr } => page.line(format!("nobody holds {mr}; gt mq status {mr} tells what it waits for")),
            Self::Withdrawn { mr, reverts: Some(landed), .. } => {
                page.line(format!(
                    "{mr} is withdrawn, and what {landed} landed stays; to take it back after all: gt mq revert {landed}"
                ));
            }
            Self::Withdrawn { mr, beads, branch, head, reverts: None } => {
                let beads: Vec<&str> = beads.iter().map(BeadId::as_str).collect();
                page.line(format!("{mr} is withdrawn; open again: {}", beads.join(" ")));
                let head = head.get(..8).unwrap_or(head);
                page.line(format!(
                    "branch {} and commit {} are kept; to file it again: gt mq retry {mr}",
                    escape(branch),
                    escape(head)
                ));
            }
        }
    }
}

impl Show for Forced {
    fn show(&self, page: &mut Page) {
        if let Some(reference) = &self.pull_request {
            return page.line(format!("{} waits for pull request {}", escape(&self.target), escape(reference)));
        }
        let landed: Vec<&str> = self.landed.iter().map(BeadId::as_str).collect();
        let tip = self.tip.get(..8).unwrap_or(&self.tip);
        page.line(format!("landed without gates: {}", landed.join(" ")));
        page.line(format!("{} is at {tip}, which no gate has seen", escape(&self.target)));
    }
}
