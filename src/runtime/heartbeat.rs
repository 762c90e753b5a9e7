//! Heartbeats: when an agent was last seen at work. The git hook `post-commit` of rigs writes the files.
//!
//! They are disposable, and an agent without one is not idle for that.

use std::path::Path;

use crate::model::address::Address;
use crate::time::Moment;

/// When `agent` last made a commit on this machine; `None` when that is not known.
#[must_use]
pub fn last(runtime_dir: &Path, agent: &Address) -> Option<Moment> {
    let written = std::fs::metadata(runtime_dir.join("heartbeats").join(agent.as_component())).ok()?.modified().ok()?;
    let since = written.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Moment::from_millis(i64::try_from(since.as_millis()).ok()?))
}
