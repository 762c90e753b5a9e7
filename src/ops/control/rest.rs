//! Putting an agent to sleep and waking it: it keeps its hook and sandbox, and nothing starts it or gives it work meanwhile.
//!
//! That it sleeps is noted on its bead, so that it is told to everybody and undone by nobody's restart.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::address::Address;
use crate::model::agent::{Agent, Asleep};
use crate::model::record;
use crate::name::BeadId;
use crate::ops::{machine, refinery, session};
use crate::runtime::process;
use crate::town::{RigPlace, Town};

/// How long a session has to end when its agent is put to sleep.
const GRACE_MILLIS: u64 = 10_000;

/// How an agent is after it was put to sleep or woken.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Rested {
    /// Who.
    pub agent: Address,
    /// Whether it sleeps now.
    pub is_asleep: bool,
    /// Whether that is how it was.
    pub was_so: bool,
    /// What hangs on its hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bead: Option<BeadId>,
    /// Its session's process, when one runs now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// Who put the polecat `agent` to sleep, and when; none, when it is awake.
///
/// # Errors
/// Corrupt, when its bead cannot be read.
pub fn asleep(place: &RigPlace, agent: &Address) -> Result<Option<Asleep>> {
    let bead = place.ledger.state()?.find_bead(&agent.bead_id(place.rig.founded_with()))?;
    Ok(bead.map(|bead| Agent::of(&bead)).transpose()?.and_then(|agent| agent.asleep))
}

/// Refuses an agent that sleeps.
///
/// # Errors
/// Refused, naming who put it to sleep.
pub fn check_awake(place: &RigPlace, agent: &Address) -> Result<()> {
    let Some(asleep) = asleep(place, agent)? else { return Ok(()) };
    Err(Error::refused(format!("{agent} sleeps: {} put it to sleep at {}", asleep.by, asleep.at))
        .hint(format!("gt wake {agent}")))
}

/// Ends the session of the polecat `agent` and lets nobody start it or give it work until it is woken.
///
/// # Errors
/// Refused, when the identity may not, or it lives on another machine; not found, when there is no such polecat.
pub fn sleep(town: &Town, agent: &Address) -> Result<Rested> {
    refinery::check_steers(&town.me, "put others to sleep")?;
    let place = home(town, agent)?;
    let was_so = note(town, &place, agent, true)?;
    process::stop(&town.runtime_dir(), agent, GRACE_MILLIS)?;
    Ok(Rested { agent: agent.clone(), is_asleep: true, was_so, bead: bead_of(&place, agent)?, pid: None })
}

/// Wakes the polecat `agent`, and starts it when there is work on its hook.
///
/// # Errors
/// As [`sleep`] and [`session::start_hooked`]; it is awake then.
pub fn wake(town: &Town, agent: &Address) -> Result<Rested> {
    refinery::check_steers(&town.me, "wake others")?;
    let place = home(town, agent)?;
    let was_so = note(town, &place, agent, false)?;
    let bead = bead_of(&place, agent)?;
    let pid = match &bead {
        Some(_) => Some(session::start_hooked(town, agent)?.session.pid),
        None => process::find(&town.runtime_dir(), agent)?.map(|session| session.pid),
    };
    Ok(Rested { agent: agent.clone(), is_asleep: false, was_so, bead, pid })
}

fn bead_of(place: &RigPlace, agent: &Address) -> Result<Option<BeadId>> {
    Ok(place.ledger.state()?.hook(agent)?.map(|hook| hook.bead))
}

/// The rig of a polecat of this machine.
fn home(town: &Town, agent: &Address) -> Result<RigPlace> {
    let Address::Polecat(rig, _) = agent else {
        return Err(Error::usage(format!("{agent} is no polecat, and nobody starts it or gives it work by itself"))
            .hint(format!("to end its session: gt session stop {agent}")));
    };
    let place = town.rig(rig)?;
    let bead = place.ledger.state()?.find_bead(&agent.bead_id(place.rig.founded_with()))?;
    let bead = bead.ok_or_else(|| Error::not_found(format!("there is no polecat {agent}")).hint("gt polecat list shows them"))?;
    let lives = Agent::of(&bead)?.machine;
    if lives != town.machine {
        return Err(Error::refused(format!("{agent} lives on machine {}", machine::name_of(town, &lives))).hint("do it there"));
    }
    Ok(place)
}

/// Notes on its bead whether it sleeps; tells whether that was so already.
fn note(town: &Town, place: &RigPlace, agent: &Address, sleeps: bool) -> Result<bool> {
    let id = agent.bead_id(place.rig.founded_with());
    if asleep(place, agent)?.is_some() == sleeps {
        return Ok(true);
    }
    let op = if sleeps { "sleep" } else { "wake" };
    place.ledger.transact(&town.deed(op, format!("{op} {agent}")), |change| {
        let mut bead = change.bead(&id)?;
        let is_so = Agent::of(&bead)?.asleep.is_some() == sleeps;
        if sleeps && !is_so {
            let asleep = Asleep { by: town.me.to_string(), at: change.now(), extra: record::Object::new() };
            bead.extra.insert("asleep".to_owned(), record::object_of(&asleep).into());
        } else if !is_so {
            bead.extra.remove("asleep");
        }
        if !is_so {
            change.put_bead(&bead)?;
        }
        Ok(is_so)
    })
}
