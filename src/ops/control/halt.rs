//! Emergency stops: while one stands nothing starts that it covers, and agents are held where they are.
//!
//! A stop is a file of this machine, in the town's private directory: it must be possible when no ledger can be written,
//! and it outlives restarts. It says nothing to other machines. Who may be stopped by one is told by [`Stop::covers`].

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::model::bead::check_text;
use crate::model::record::Object;
use crate::name::Name;
use crate::ops::{nudge, refinery};
use crate::runtime::process::{self, Session};
use crate::store::write_file;
use crate::time::Moment;
use crate::town::Town;

/// The longest reason that is repeated to agents, in characters.
const REASON_CHARS_MAX: usize = 300;
/// How long the session of an agent that cannot be held has to end.
const GRACE_MILLIS: u64 = 2_000;

/// An emergency stop that stands.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Stop {
    /// The rig; none: the whole town.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rig: Option<Name>,
    /// Who stopped it.
    pub by: String,
    /// When.
    pub at: Moment,
    /// Why.
    pub reason: String,
    /// Rigs whose refinery was ended by it, and starts again with the thaw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refineries: Vec<Name>,
    /// Fields of a newer version.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Object,
}

impl Stop {
    /// Whether the session of `agent` is held by it. The mayor is spoken to while a town stands still, and so goes on.
    #[must_use]
    pub fn covers(&self, agent: &Address) -> bool {
        match agent {
            Address::Overseer(_) | Address::Mayor => false,
            _ => self.rig.as_ref().is_none_or(|rig| agent.rig() == Some(rig)),
        }
    }

    /// What is stopped, as a sentence says it.
    #[must_use]
    pub fn subject(&self) -> String {
        self.rig.as_ref().map_or_else(|| "the town".to_owned(), |rig| format!("rig {rig}"))
    }

    /// The words that undo it.
    #[must_use]
    pub fn way_out(&self) -> String {
        self.rig.as_ref().map_or_else(|| "gt thaw".to_owned(), |rig| format!("gt thaw --rig {rig}"))
    }
}

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It stands still, where it was.
    Held,
    /// It was ended; what it was at is taken up again later.
    Ended,
    /// It goes on again.
    GoesOn,
    /// It was started again.
    Started,
    /// It could not be.
    Failed,
}

/// A session that was stopped or thawed.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Touched {
    /// Whose.
    pub agent: Address,
    /// What became of it.
    pub fate: Fate,
    /// What was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What an emergency stop came to.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Stopped {
    /// It.
    pub stop: Stop,
    /// Whether it stood before; then it keeps who, when and why.
    pub was_stopped: bool,
    /// The sessions.
    pub sessions: Vec<Touched>,
}

/// What a thaw came to.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Thawed {
    /// The stop that is over; none, when none stood.
    pub stop: Option<Stop>,
    /// The sessions that go on or were started.
    pub sessions: Vec<Touched>,
}

fn path(town: &Town, rig: Option<&Name>) -> PathBuf {
    let dir = town.hq.store.private_dir().join("stops");
    // No rig is named like this: names have no dot.
    dir.join(rig.map_or_else(|| "town.all".to_owned(), |rig| format!("{rig}.json")))
}

/// The stop of the whole town, or of a rig.
///
/// # Errors
/// Refused, when there is one that cannot be read: it stands all the same.
pub fn of(town: &Town, rig: Option<&Name>) -> Result<Option<Stop>> {
    let path = path(town, rig);
    let deed = || format!("read the emergency stop {}, which stands", path.display());
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).or_fail(Kind::Refused, deed),
    };
    let way_out = rig.map_or_else(|| "gt thaw".to_owned(), |rig| format!("gt thaw --rig {rig}"));
    let read = serde_json::from_slice(&bytes).or_fail(Kind::Refused, deed);
    read.map(Some).map_err(|error| error.hint(format!("{way_out} ends it")))
}

/// All that stand: of the town, and of `rigs`.
///
/// # Errors
/// As [`of`].
pub fn standing(town: &Town, rigs: &[Name]) -> Result<Vec<Stop>> {
    std::iter::once(None).chain(rigs.iter().map(Some)).filter_map(|rig| of(town, rig).transpose()).collect()
}

/// Refuses to start anything in a town or rig that is stopped.
///
/// # Errors
/// Refused, naming who stopped it, when and why.
pub fn check(town: &Town, rig: Option<&Name>) -> Result<()> {
    let stop = match of(town, None)? {
        Some(stop) => Some(stop),
        None => rig.map(|rig| of(town, Some(rig))).transpose()?.flatten(),
    };
    let Some(stop) = stop else { return Ok(()) };
    let message = format!("{} was stopped by {} at {}: {}", stop.subject(), stop.by, stop.at, stop.reason);
    Err(Error::refused(message).hint(format!("nothing starts until: {}", stop.way_out())))
}

/// Stops the town or `rig`: nothing starts from now on, agents are held where they are, refineries ended with their gates.
/// Done again it stops what got away.
///
/// # Errors
/// Refused, when the identity may not; usage, without a reason; io, when the stop cannot be recorded.
pub fn stop(town: &Town, rig: Option<&Name>, reason: &str) -> Result<Stopped> {
    check_may_stop(&town.me)?;
    if let Some(rig) = rig {
        town.rig(rig)?;
    }
    check_text("reason", reason)?;
    let reason: String = reason.trim().chars().take(REASON_CHARS_MAX).collect();
    if reason.is_empty() {
        return Err(Error::usage("a stop takes a reason").hint("gt estop --reason '…'; whoever meets it is told"));
    }
    // One that cannot be read is replaced: it stands, and now says by whom.
    let before = of(town, rig).unwrap_or_default();
    let was_stopped = before.is_some();
    let fresh = || Stop {
        rig: rig.cloned(),
        by: town.me.to_string(),
        at: town.now,
        reason,
        refineries: Vec::new(),
        extra: Object::new(),
    };
    let mut stop = before.unwrap_or_else(fresh);
    record(town, &stop)?;
    crate::env::crash_point("estop.recorded");
    let mut sessions = Vec::new();
    for session in covered(town, &stop)? {
        let touched = match &session.agent {
            Address::Refinery(name) => {
                if !stop.refineries.contains(name) {
                    stop.refineries.push(name.clone());
                    record(town, &stop)?;
                }
                let ended = town.rig(name).and_then(|place| refinery::end(town, &place));
                Touched::of(&session, Fate::Ended, ended.map(drop))
            }
            _ if session.hold() => Touched::of(&session, Fate::Held, Ok(())),
            // Where it cannot be held it is ended: its hook keeps its work.
            agent => Touched::of(&session, Fate::Ended, process::stop(&town.runtime_dir(), agent, GRACE_MILLIS).map(drop)),
        };
        sessions.push(touched);
    }
    Ok(Stopped { stop, was_stopped, sessions })
}

/// Ends the stop of the town or of `rig`: agents that were held go on and are told, refineries that were ended start.
///
/// # Errors
/// Refused, when the identity may not, or the whole town is stopped; io, when the stop cannot be removed.
pub fn thaw(town: &Town, rig: Option<&Name>) -> Result<Thawed> {
    let found = of(town, rig);
    check_may_thaw(&town.me, &found)?;
    let stop = found.unwrap_or_default();
    let bare = Stop {
        rig: rig.cloned(),
        by: String::new(),
        at: town.now,
        reason: String::new(),
        refineries: Vec::new(),
        extra: Object::new(),
    };
    let others: Vec<Stop> = if rig.is_some() {
        of(town, None)?.into_iter().collect()
    } else {
        let rigs = town.rigs()?;
        rigs.iter().filter_map(|rig| of(town, Some(&rig.name)).transpose()).collect::<Result<_>>()?
    };
    let mut sessions = Vec::new();
    for session in covered(town, stop.as_ref().unwrap_or(&bare))? {
        if !session.is_held() || others.iter().any(|other| other.covers(&session.agent)) {
            continue;
        }
        session.go_on();
        if let Some(stop) = &stop {
            let said = format!(
                "{} was stopped by {} from {} to {}: {}. Go on.",
                stop.subject(),
                stop.by,
                stop.at,
                town.now,
                stop.reason
            );
            // Whoever takes no turns is not told.
            let _ = nudge::nudge(town, &session.agent, &said, true);
        }
        sessions.push(Touched::of(&session, Fate::GoesOn, Ok(())));
    }
    crate::env::crash_point("thaw.going");
    remove(town, rig)?;
    for name in stop.iter().flat_map(|stop| &stop.refineries) {
        let started = town.rig(name).and_then(|place| refinery::start(town, &place));
        // One that another stop covers waits for that one's end.
        let error = started.err().filter(|error| error.kind != Kind::Refused).map(|error| error.line());
        let fate = if error.is_some() { Fate::Failed } else { Fate::Started };
        sessions.push(Touched { agent: Address::Refinery(name.clone()), fate, error });
    }
    Ok(Thawed { stop, sessions })
}

impl Touched {
    fn of(session: &Session, fate: Fate, done: Result<()>) -> Self {
        let error = done.err().map(|error| error.line());
        let fate = if error.is_some() { Fate::Failed } else { fate };
        Self { agent: session.agent.clone(), fate, error }
    }
}

/// The sessions that `stop` covers, but the one that this command runs in.
fn covered(town: &Town, stop: &Stop) -> Result<Vec<Session>> {
    let all = process::all(&town.runtime_dir())?;
    Ok(all.into_iter().filter(|session| stop.covers(&session.agent) && session.agent != town.me).collect())
}

fn record(town: &Town, stop: &Stop) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(stop).or_fail(Kind::Bug, || "write an emergency stop")?;
    write_file(&path(town, stop.rig.as_ref()), &bytes)
}

fn remove(town: &Town, rig: Option<&Name>) -> Result<()> {
    let path = path(town, rig);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).or_fail(Kind::Io, || format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// What the overseer stopped goes on by the overseer's word only; so does what nobody can be said to have stopped.
fn check_may_thaw(who: &Address, found: &Result<Option<Stop>>) -> Result<()> {
    let is_anothers = |stop: &Stop| !stop.by.starts_with("overseer");
    match found {
        Ok(stop) if stop.as_ref().is_none_or(is_anothers) => refinery::check_steers(who, "end an emergency stop"),
        Ok(_) | Err(_) => refinery::check_overseer(who, "end the overseer's emergency stop"),
    }
}

/// Who looks after others may stop them; workers may not.
fn check_may_stop(who: &Address) -> Result<()> {
    match who {
        Address::Polecat(..) | Address::Plugin(..) => Err(Error::refused(format!("{who} may not stop others"))
            .hint("ask for help: gt done --status escalated -m '…', or gt mail send overseer -s '…'")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_covers_the_agents_of_its_rig_and_never_who_is_spoken_to() {
        let stop = |rig: Option<&str>| Stop {
            rig: rig.map(|rig| rig.parse().unwrap()),
            by: "overseer".into(),
            at: Moment::from_millis(0),
            reason: "fire".into(),
            refineries: Vec::new(),
            extra: Object::new(),
        };
        for (agent, by_town, by_rig) in [
            ("widgets/polecats/toast", true, true),
            ("widgets/crew/joe", true, true),
            ("widgets/refinery", true, true),
            ("gadgets/polecats/toast", true, false),
            ("deacon", true, false),
            ("mayor", false, false),
            ("overseer", false, false),
        ] {
            let agent: Address = agent.parse().unwrap();
            assert_eq!((stop(None).covers(&agent), stop(Some("widgets")).covers(&agent)), (by_town, by_rig), "{agent}");
        }
        for who in ["widgets/polecats/toast", "widgets/plugins/eye"] {
            assert!(check_may_stop(&who.parse().unwrap()).is_err(), "{who}");
        }
        assert!(check_may_stop(&Address::Mayor).is_ok());
    }
}
