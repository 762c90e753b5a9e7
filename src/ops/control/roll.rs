//! The roll: all agents of the town, with what each does.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::model::address::Address;
use crate::model::hook::Hook;
use crate::model::roll::{self, Doing, Signs};
use crate::name::{BeadId, Name};
use crate::ops::machine;
use crate::runtime::process::{self, Session};
use crate::time::Moment;
use crate::town::{RigPlace, Town};

/// An agent of the roll.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Entry {
    /// Who.
    pub agent: Address,
    /// What it is.
    pub role: &'static str,
    /// What it does.
    pub state: Doing,
    /// What hangs on its hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bead: Option<BeadId>,
    /// The id of its session, when one runs here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The process of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The name of its terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
    /// Since when it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
    /// The name of the machine that it lives on.
    pub machine: String,
}

/// All agents of the town, or of `rig`: the mayor, then rig by rig the refinery and everybody else.
///
/// # Errors
/// Corrupt, when hooks or agents cannot be read; io, when sessions cannot.
pub fn roll(town: &Town, rig: Option<&Name>) -> Result<Vec<Entry>> {
    let mut sessions = process::all(&town.runtime_dir())?;
    let here = machine::name_of(town, &town.machine);
    let mut all = Vec::new();
    if rig.is_none() {
        let session = take(&mut sessions, &Address::Mayor);
        all.push(Entry::of(Address::Mayor, None, session, &here, Signs::default()));
    }
    let places = match rig {
        Some(rig) => vec![town.rig(rig)?],
        None => town.places()?,
    };
    for place in &places {
        of_rig(town, place, &mut sessions, &mut all)?;
    }
    // Whoever runs without being known otherwise.
    sessions.retain(|session| rig.is_none_or(|rig| session.agent.rig() == Some(rig)));
    all.extend(sessions.into_iter().map(|one| Entry::of(one.agent.clone(), None, Some(one), &here, Signs::default())));
    Ok(all)
}

fn of_rig(town: &Town, place: &RigPlace, sessions: &mut Vec<Session>, all: &mut Vec<Entry>) -> Result<()> {
    let queue = Address::Refinery(place.rig.name.clone());
    let is_elsewhere = place.rig.home != town.machine;
    let session = take(sessions, &queue);
    let home = machine::name_of(town, &place.rig.home);
    all.push(Entry::of(queue, None, session, &home, Signs { is_elsewhere, ..Signs::default() }));
    let hooks = place.ledger.state()?.hooks()?;
    let mut agents = town.agents_of(place)?;
    agents.retain(|agent| !matches!(agent.address, Address::Refinery(_)));
    agents.sort_by(|a, b| a.address.cmp(&b.address));
    for agent in agents {
        let hook = hooks.iter().find(|hook| hook.agent == agent.address);
        let session = take(sessions, &agent.address);
        let is_elsewhere = agent.machine != town.machine;
        let signs = Signs { is_asleep: agent.asleep.is_some(), is_elsewhere, ..Signs::default() };
        all.push(Entry::of(agent.address, hook, session, &machine::name_of(town, &agent.machine), signs));
    }
    Ok(())
}

fn take(sessions: &mut Vec<Session>, agent: &Address) -> Option<Session> {
    let at = sessions.iter().position(|session| session.agent == *agent)?;
    Some(sessions.swap_remove(at))
}

impl Entry {
    fn of(agent: Address, hook: Option<&Hook>, session: Option<Session>, machine: &str, signs: Signs) -> Self {
        let is_held = session.as_ref().is_some_and(Session::is_held);
        let signs = Signs { has_hook: hook.is_some(), has_session: session.is_some(), is_held, ..signs };
        Self {
            role: agent.role(),
            state: roll::doing(&agent, signs),
            bead: hook.map(|hook| hook.bead.clone()),
            session: session.as_ref().map(|session| session.id.clone()),
            pid: session.as_ref().map(|session| session.pid),
            since: session.as_ref().map(|session| session.started_at),
            terminal: session.and_then(|session| session.pane).map(|pane| pane.name),
            machine: machine.to_owned(),
            agent,
        }
    }
}
