//! Work in the background: a process that outlives the command that started it, and that nobody waits for.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use super::group::MARK;
use crate::error::{Kind, OrFail, Result};

/// How far the background steps back behind all others.
const NICE: i32 = 19;

/// What belongs to whoever acts in the command that starts the work, not to the work.
const LEFT_BEHIND: [&str; 5] = ["GT_ACTOR", "GT_ROLE", "GT_SESSION", "GT_CRASH_AT", MARK];

/// Starts `program` with `args` in `dir`, with nothing to read from or write to. It calls [`step_back`] first of all.
///
/// # Errors
/// External, when it cannot be started.
#[expect(clippy::disallowed_methods, reason = "the runtime owns processes")]
pub fn start(program: &Path, args: &[&std::ffi::OsStr], dir: &Path) -> Result<()> {
    let mut command = std::process::Command::new(program);
    command.arg0("gt").args(args).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for name in LEFT_BEHIND {
        command.env_remove(name);
    }
    // Whoever inherits orphans takes its exit status.
    command.spawn().map(drop).or_fail(Kind::External, || format!("start {}", program.display()))
}

/// Makes this process one of the background: in a session of its own, so that no terminal ends it, and at the lowest
/// priority. What the system refuses of that is done without.
pub fn step_back() {
    let _ = rustix::process::setsid();
    let _ = rustix::process::nice(NICE);
}
