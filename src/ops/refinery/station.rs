//! The refinery as a session of its own: started, looked after, and ended with the gates that it runs.

use std::ffi::OsString;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Overview, check_home, rights, why};
use crate::error::Result;
use crate::model::address::Address;
use crate::model::agent::Backend;
use crate::name::base36;
use crate::ops::control::halt;
use crate::ops::gates::Yard;
use crate::ops::session;
use crate::runtime::launch::{self, Launch, Line};
use crate::runtime::process::{self, Session};
use crate::time::Stopwatch;
use crate::town::{RigPlace, Town};

/// How long the refinery has to end in good order.
const GRACE_MILLIS: u64 = 5_000;

/// How the refinery of a rig stands.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Station {
    /// The session that works the queues, when one runs on this machine.
    pub session: Option<Session>,
    /// The queues.
    pub queue: Overview,
}

/// What a start came to.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Started {
    /// The session.
    pub session: Session,
    /// Whether it ran before.
    pub was_running: bool,
}

/// What an end came to.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Stopped {
    /// The rig.
    pub rig: String,
    /// Whether it ran.
    pub was_running: bool,
}

/// Looks at the refinery of `place`.
///
/// # Errors
/// Io or corrupt, when sessions or the ledger cannot be read.
pub fn station(town: &Town, place: &RigPlace) -> Result<Station> {
    let session = process::find(&town.runtime_dir(), &Address::Refinery(place.rig.name.clone()))?;
    Ok(Station { session, queue: why::status(town, place)? })
}

/// Starts the refinery of `place` on this machine: it works the queues as work comes, until it is stopped.
///
/// # Errors
/// Refused, when the identity may not or the queue belongs to another machine; external, when it cannot be started.
pub fn start(town: &Town, place: &RigPlace) -> Result<Started> {
    rights::check_steers(&town.me, "start the refinery")?;
    check_home(town, place)?;
    halt::check(town, Some(&place.rig.name))?;
    let agent = Address::Refinery(place.rig.name.clone());
    let was_running = process::find(&town.runtime_dir(), &agent)?.is_some();
    let session = format!("refinery-{}", base36(u64::try_from(town.now.millis()).unwrap_or(0)));
    let name = agent.to_string();
    let env: [(&str, OsString); 6] = [
        ("PATH", session::search_path(town)?),
        ("GT_ROOT", town.root.clone().into()),
        ("GT_ROLE", name.clone().into()),
        ("GT_ACTOR", name.into()),
        ("GT_RIG", place.rig.name.to_string().into()),
        ("GT_SESSION", session.clone().into()),
    ];
    let launch = Launch {
        log: process::log_path(&town.runtime_dir(), &agent, &session),
        agent,
        session,
        bead: String::new(),
        // A name has no sign that means something to a shell.
        line: Line::Shell(format!("exec gt refinery run --rig {}", place.rig.name)),
        dir: place.dir.clone(),
        env: env.map(|(name, value)| (name.to_owned(), value)).into(),
        // It takes no words, and its log is what is read.
        backend: Backend::Process,
        style: String::new(),
        now: town.now,
    };
    Ok(Started { session: launch::start(&town.runtime_dir(), &launch)?, was_running })
}

/// Ends the refinery of `place` and the gates that it runs. What it was at is taken up by the next one.
///
/// # Errors
/// Refused, when the identity may not; external, when it does not die.
pub fn stop(town: &Town, place: &RigPlace) -> Result<Stopped> {
    rights::check_steers(&town.me, "stop the refinery")?;
    end(town, place)
}

/// The same for those who may stop the whole town.
///
/// # Errors
/// External, when it does not die.
pub fn end(town: &Town, place: &RigPlace) -> Result<Stopped> {
    let was_running = process::stop(&town.runtime_dir(), &Address::Refinery(place.rig.name.clone()), GRACE_MILLIS)?;
    if was_running {
        // Gates have process groups of their own. The kernel may take a moment to give a dead process's lock back; another
        // queue that has started meanwhile sees to them itself.
        let watch = Stopwatch::start();
        loop {
            match Yard::take(town, place) {
                Ok(yard) => break yard.end_strays()?,
                Err(_) if watch.millis() >= GRACE_MILLIS => break,
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }
    Ok(Stopped { rig: place.rig.name.to_string(), was_running })
}
