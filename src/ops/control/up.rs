//! Bringing a town up: the refineries of its rigs, the mayor where there is one, and the sessions that hooks wait for.
//!
//! Done again it starts what is missing. Nothing watches what was started: when it ends, it is started by the next call.

use schemars::JsonSchema;
use serde::Serialize;

use super::{halt, rest};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::model::address::Address;
use crate::name::BeadId;
use crate::ops::{refinery, session};
use crate::runtime::process;
use crate::town::{RigPlace, Town};

/// How a start went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It runs now.
    Started,
    /// It ran already.
    Running,
    /// It could not be started.
    Failed,
    /// It is another machine's to run.
    Elsewhere,
    /// It was put to sleep.
    Asleep,
}

/// Something that should run.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Start {
    /// Whose session; or the rig, when it cannot be opened.
    pub who: String,
    /// How its start went.
    pub outcome: Outcome,
    /// What it works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bead: Option<BeadId>,
    /// Its process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Why it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The exit code of what went wrong.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

/// What was brought up.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Up {
    /// All that should run.
    pub starts: Vec<Start>,
}

impl Start {
    fn of(who: &dyn ToString, was_running: bool, pid: u32) -> Self {
        let outcome = if was_running { Outcome::Running } else { Outcome::Started };
        Self { who: who.to_string(), outcome, bead: None, pid: Some(pid), error: None, hint: None, kind: None }
    }

    /// One that is not to be started.
    fn idle(who: &dyn ToString, outcome: Outcome) -> Self {
        Self { who: who.to_string(), outcome, bead: None, pid: None, error: None, hint: None, kind: None }
    }

    fn failed(who: &dyn ToString, error: &Error) -> Self {
        Self {
            who: who.to_string(),
            outcome: Outcome::Failed,
            bead: None,
            pid: None,
            error: Some(error.line()),
            hint: error.hint.clone(),
            kind: Some(error.kind),
        }
    }
}

/// Starts what should run on this machine. What cannot be is told, and keeps nothing else from starting.
///
/// # Errors
/// Refused, when the identity may not, or the town is stopped; corrupt, when its registry cannot be read.
pub fn up(town: &Town) -> Result<Up> {
    refinery::check_steers(&town.me, "bring the town up")?;
    halt::check(town, None)?;
    let mut starts: Vec<Start> = mayor(town).into_iter().collect();
    for (name, place) in town.each_place()? {
        match place {
            Ok(place) => {
                starts.push(queue(town, &place));
                match hooked(town, &place) {
                    Ok(more) => starts.extend(more),
                    Err(error) => starts.push(Start::failed(&format!("{name}/polecats"), &error)),
                }
            }
            Err(error) => starts.push(Start::failed(&name, &error)),
        }
    }
    Ok(Up { starts })
}

/// The mayor, unless it is not to be started or no agent is set for the town.
fn mayor(town: &Town) -> Option<Start> {
    let start = || -> Result<Option<Start>> {
        if let Some(session) = process::find(&town.runtime_dir(), &Address::Mayor)? {
            return Ok(Some(Start::of(&"mayor", true, session.pid)));
        }
        if !config::is_on(town, None, "up.mayor")? || !session::has_mayor(town)? {
            return Ok(None);
        }
        Ok(Some(Start::of(&"mayor", false, session::start_mayor(town)?.session.pid)))
    };
    start().unwrap_or_else(|error| Some(Start::failed(&"mayor", &error)))
}

fn queue(town: &Town, place: &RigPlace) -> Start {
    let who = Address::Refinery(place.rig.name.clone());
    if place.rig.home != town.machine {
        return Start::idle(&who, Outcome::Elsewhere);
    }
    match refinery::start(town, place) {
        Ok(started) => Start::of(&who, started.was_running, started.session.pid),
        Err(error) => Start::failed(&who, &error),
    }
}

/// The polecats of this machine that have work.
fn hooked(town: &Town, place: &RigPlace) -> Result<Vec<Start>> {
    let mut starts = Vec::new();
    for hook in place.ledger.state()?.hooks()?.into_iter().filter(|hook| hook.machine == town.machine) {
        if !matches!(hook.agent, Address::Polecat(..)) {
            continue;
        }
        let runs = process::find(&town.runtime_dir(), &hook.agent)?;
        let start = match runs {
            Some(session) => Start::of(&hook.agent, true, session.pid),
            None if rest::asleep(place, &hook.agent)?.is_some() => Start::idle(&hook.agent, Outcome::Asleep),
            None => match session::start_hooked(town, &hook.agent) {
                Ok(started) => Start::of(&hook.agent, false, started.session.pid),
                Err(error) => Start::failed(&hook.agent, &error),
            },
        };
        starts.push(Start { bead: Some(hook.bead), ..start });
    }
    Ok(starts)
}
