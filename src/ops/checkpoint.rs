//! Checkpoints: a note of an agent's progress on this machine, for itself after a crash. One an agent, replaced by the next.
//!
//! Kept in `.runtime/checkpoints/`, so it is disposable; what must not be lost is a commit, or mail.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::model::bead::check_text;
use crate::name::BeadId;
use crate::ops::standing::{self, Standing};
use crate::store;
use crate::time::Moment;
use crate::town::Town;

/// A note of progress.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Whose.
    pub agent: Address,
    /// What was on its hook.
    pub bead: Option<BeadId>,
    /// What it noted.
    pub notes: String,
    /// How its workspace stood.
    pub standing: Standing,
    /// When.
    pub at: Moment,
}

/// Notes how far the acting agent is.
///
/// # Errors
/// Usage, when the notes are too long; io, when they cannot be written.
pub fn write(town: &Town, notes: &str) -> Result<Checkpoint> {
    town.check_identity()?;
    check_text("checkpoint", notes)?;
    let hook = town.ledger_for(&town.me)?.state()?.hook(&town.me)?;
    let checkpoint = Checkpoint {
        agent: town.me.clone(),
        standing: standing::of(town, hook.as_ref())?,
        bead: hook.map(|hook| hook.bead),
        notes: notes.to_owned(),
        at: town.now,
    };
    let bytes = serde_json::to_vec_pretty(&checkpoint).or_fail(Kind::Bug, || "write a checkpoint")?;
    store::write_file(&path(town, &town.me), &bytes)?;
    Ok(checkpoint)
}

/// The last note of `agent`, if there is one.
///
/// # Errors
/// Io or corrupt, when it cannot be read: that is not none.
pub fn read(town: &Town, agent: &Address) -> Result<Option<Checkpoint>> {
    let path = path(town, agent);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).or_fail(Kind::Corrupt, || format!("read {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).or_fail(Kind::Io, || format!("read {}", path.display())),
    }
}

/// Removes the acting agent's note; tells whether there was one.
///
/// # Errors
/// Io, when it cannot be removed.
pub fn clear(town: &Town) -> Result<bool> {
    let path = path(town, &town.me);
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io(format!("remove {}", path.display())).caused_by(error)),
    }
}

fn path(town: &Town, agent: &Address) -> PathBuf {
    town.runtime_dir().join("checkpoints").join(format!("{}.json", agent.as_component()))
}
