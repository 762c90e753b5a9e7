//! Taking a town down: refineries first, so that nothing new begins, then all agents at once.
//!
//! Two phases: all are asked and have a time to end in; whoever is still there after it is killed. Hooks, sandboxes and
//! merge requests stay as they are.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Kind, Result};
use crate::model::address::Address;
use crate::name::Name;
use crate::ops::refinery;
use crate::runtime::process::{self, Asked, Session};
use crate::town::Town;

/// Whose sessions.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Those of this rig; none: all.
    pub rig: Option<Name>,
    /// How long they have to end after they were asked.
    pub grace_millis: u64,
    /// Only tell which they are.
    pub is_dry: bool,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// When it was asked to.
    Asked,
    /// It was killed, since it did not.
    Killed,
    /// It would be ended.
    Would,
    /// It could not be ended.
    Failed,
}

/// A session that was ended.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Ended {
    /// Whose.
    pub agent: Address,
    /// What it worked on, which stays on its hook; empty: nothing.
    pub bead: String,
    /// How it ended.
    pub ending: Ending,
    /// What was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The exit code of what went wrong.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

/// What was taken down.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Down {
    /// The sessions that ran.
    pub sessions: Vec<Ended>,
}

impl Ended {
    fn of(session: &Session, ending: Result<Ending>) -> Self {
        let (ending, error) = match ending {
            Ok(ending) => (ending, None),
            Err(error) => (Ending::Failed, Some(error)),
        };
        Self {
            agent: session.agent.clone(),
            bead: session.bead.clone(),
            ending,
            kind: error.as_ref().map(|error| error.kind),
            error: error.map(|error| error.line()),
        }
    }
}

/// Ends the sessions of this machine that `scope` says. One that cannot be ended is told, and keeps no other from it. The
/// session that this command runs in is the last.
///
/// # Errors
/// Refused, when the identity may not; not found, when there is no such rig; io, when sessions cannot be looked for.
pub fn down(town: &Town, scope: &Scope) -> Result<Down> {
    refinery::check_steers(&town.me, "end the sessions of others")?;
    if let Some(rig) = &scope.rig {
        town.rig(rig)?;
    }
    let is_meant = |session: &Session| scope.rig.as_ref().is_none_or(|rig| session.agent.rig() == Some(rig));
    let all: Vec<Session> = process::all(&town.runtime_dir())?.into_iter().filter(is_meant).collect();
    if scope.is_dry {
        return Ok(Down { sessions: all.iter().map(|session| Ended::of(session, Ok(Ending::Would))).collect() });
    }
    let (queues, agents): (Vec<Session>, Vec<Session>) =
        all.into_iter().partition(|session| matches!(session.agent, Address::Refinery(_)));
    let (own, others): (Vec<Session>, Vec<Session>) = agents.into_iter().partition(|session| session.agent == town.me);
    let mut sessions: Vec<Ended> = queues.iter().map(|session| Ended::of(session, end_queue(town, session))).collect();
    let runtime_dir = town.runtime_dir();
    for agents in [others, own] {
        let asked: Vec<Result<Asked>> = std::thread::scope(|threads| {
            let ask = |session: &Session| process::ask(&runtime_dir, &session.agent, scope.grace_millis);
            let asking: Vec<_> = agents.iter().map(|session| threads.spawn(move || ask(session))).collect();
            // A thread that panicked has a fault that the next phase meets again.
            asking.into_iter().map(|asking| asking.join().unwrap_or(Ok(Asked::Stays))).collect()
        });
        for (session, asked) in agents.iter().zip(asked) {
            sessions.push(Ended::of(session, asked.and_then(|asked| insist(town, session, asked))));
        }
    }
    Ok(Down { sessions })
}

/// The second phase: whoever stays though it was asked is killed.
fn insist(town: &Town, session: &Session, asked: Asked) -> Result<Ending> {
    if asked != Asked::Stays {
        return Ok(Ending::Asked);
    }
    process::stop(&town.runtime_dir(), &session.agent, 0).map(|_| Ending::Killed)
}

fn end_queue(town: &Town, session: &Session) -> Result<Ending> {
    match &session.agent {
        Address::Refinery(rig) => refinery::end(town, &town.rig(rig)?).map(|_| Ending::Asked),
        _ => Ok(Ending::Asked),
    }
}
