//! Why a bead is where it is: not ready, not started, not landed; and what would move it on.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Kind, Result};
use crate::model::address::Address;
use crate::model::bead::{Bead, Status};
use crate::model::brief::Brief;
use crate::name::BeadId;
use crate::ops::refinery;
use crate::ops::track::reach::Reach;
use crate::ops::track::ready;
use crate::runtime::process;
use crate::town::{RigPlace, Town};

/// Where a bead stands, and why.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Explained {
    /// The bead.
    pub bead: BeadId,
    /// Its title.
    pub title: String,
    /// Its status.
    pub status: Status,
    /// What holds it there, in lines.
    pub because: Vec<String>,
    /// What moves it on, in lines.
    pub next: Vec<String>,
}

/// Explains `bead`.
///
/// # Errors
/// Not found or corrupt, when it cannot be read.
pub fn explain(town: &Town, bead: &Bead) -> Result<Explained> {
    let mut told = Explained {
        bead: bead.id.clone(),
        title: bead.title.clone(),
        status: bead.status.clone(),
        because: Vec::new(),
        next: Vec::new(),
    };
    if let Some(mr) = bead.extra.get("last_failure").and_then(serde_json::Value::as_str) {
        told.because.push(format!("its last attempt was sent back: gt mq why {mr}"));
    }
    match bead.status {
        Status::Closed => {
            let reason = bead.close_reason.as_deref().unwrap_or("no reason was given");
            told.because.push(format!("it is closed: {reason}"));
        }
        Status::Hooked | Status::InProgress => at_work(town, bead, &mut told)?,
        Status::InReview => in_review(town, bead, &mut told)?,
        _ => not_started(town, bead, &mut told),
    }
    Ok(told)
}

/// Nobody has it: what it waits for, or that it waits for nobody but a hand.
fn not_started(town: &Town, bead: &Bead, told: &mut Explained) {
    if let Some(until) = bead.defer_until.filter(|until| *until > town.now) {
        told.because.push(format!("it is put off until {until}"));
        told.next.push(format!("to take it up before: gt bead undefer {}", bead.id));
    }
    let blockers = ready::blockers(&mut Reach::new(town), &mut BTreeMap::new(), &Brief::of(bead));
    for blocker in &blockers {
        told.because.push(format!("it waits for {}: {}", blocker.id, blocker.why));
        told.next.push(format!("see: gt explain {}", blocker.id));
    }
    if !bead.issue_type.is_work() {
        told.because.push(format!("it is of type {}, which nobody works on", bead.issue_type));
    } else if bead.status == Status::Blocked {
        told.because.push("somebody set it to blocked; its comments may say why".to_owned());
        told.next.push(format!("when that is over: gt bead reopen {}", bead.id));
    } else if told.next.is_empty() && bead.status == Status::Open {
        told.because.push("it is ready, and nobody has it".to_owned());
        told.next.push(format!("gt sling {} RIG", bead.id));
    }
}

/// Somebody has it: whether they are at it.
fn at_work(town: &Town, bead: &Bead, told: &mut Explained) -> Result<()> {
    let Some(who) = bead.assignee.as_deref() else {
        told.because.push("somebody took it and did not say who".to_owned());
        return Ok(());
    };
    let Ok(agent) = who.parse::<Address>() else {
        told.because.push(format!("{who} has it"));
        return Ok(());
    };
    let place = match agent.rig().map(|rig| town.rig(rig)) {
        // A rig that was removed has no hooks; one that cannot be read may well.
        Some(Err(error)) if error.kind == Kind::NotFound => None,
        place => place.transpose()?,
    };
    let hook = place.map(|place| place.ledger.state()?.hook(&agent)).transpose()?.flatten().filter(|hook| hook.bead == bead.id);
    match hook {
        None => {
            told.because.push(format!("{agent} has it, and it hangs on no hook"));
            told.next.push(format!("if that is over: gt bead update {} --status open", bead.id));
        }
        Some(hook) if hook.machine != town.machine => {
            told.because.push(format!("it is on the hook of {agent} on machine {}", hook.machine));
            told.next.push(format!("to see what it does: gt peek {agent}"));
        }
        Some(_) if process::find(&town.runtime_dir(), &agent)?.is_some() => {
            told.because.push(format!("{agent} has it and its session runs"));
            told.next.push(format!("to see what it does: gt peek {agent}"));
        }
        Some(_) => {
            told.because.push(format!("it is on the hook of {agent}, and no session of it runs"));
            told.next.push(format!("start it: gt session start {agent}; or take it off: gt unsling {}", bead.id));
        }
    }
    Ok(())
}

/// It was handed in: where its request stands.
fn in_review(town: &Town, bead: &Bead, told: &mut Explained) -> Result<()> {
    let rig = town.rigs()?.into_iter().find(|rig| rig.prefix == bead.id.prefix());
    let place: Option<RigPlace> = rig.map(|rig| town.rig(&rig.name)).transpose()?;
    let rows = place.as_ref().map(|place| refinery::list(town, place, false)).transpose()?.unwrap_or_default();
    let Some(row) = rows.into_iter().find(|row| row.beads.contains(&bead.id)) else {
        told.because.push("it was handed in, and no request for it waits".to_owned());
        told.next.push(format!("hand it in: gt mq submit {} BRANCH", bead.id));
        return Ok(());
    };
    let turn = row.position.map(|position| format!(", {position} in turn for {}", row.target)).unwrap_or_default();
    let note = if row.note.is_empty() { String::new() } else { format!(": {}", row.note) };
    told.because.push(format!("{} is {}{turn}{note}", row.id, row.state.word()));
    if !row.release.is_empty() {
        told.next.push(row.release);
    }
    let Some(place) = place else { return Ok(()) };
    if place.rig.home != town.machine {
        told.because.push(format!("its queue is worked on machine {}", place.rig.home));
        told.next.push("what happens there is told by gt sync".to_owned());
    } else if !refinery::is_worked(&place, &row.target)? {
        told.because.push("nobody works that queue at this moment".to_owned());
        told.next.push("gt mq run --once, or gt refinery start".to_owned());
    }
    Ok(())
}
