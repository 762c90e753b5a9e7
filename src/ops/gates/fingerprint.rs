//! What gates run with, as a command tells it: versions of tools, of the system, whatever a verdict depends on.

use gix::objs::Kind as ObjectKind;

use crate::error::{Error, Kind, OrFail, Result};
use crate::name::base36;
use crate::runtime::command::{self, Ended, Spec};
use crate::store::batch::Batch;
use crate::town::{RigPlace, Town};

/// How long the command may take.
const TIMEOUT_MILLIS: u64 = 60_000;
/// How much it may say.
const BYTES_MAX: u64 = 1_000_000;

/// Runs `command` and answers a hash of all that it says. It runs in the refinery's directory, in no checkout.
///
/// # Errors
/// External, when it fails, is too slow or says too much: what gates run with is not known then.
pub(super) fn take(town: &Town, place: &RigPlace, command: &str) -> Result<String> {
    let dir = place.dir.join("refinery");
    std::fs::create_dir_all(&dir).or_fail(Kind::Io, || format!("make {}", dir.display()))?;
    let log = super::look::log_dir(town, place).join(format!("fingerprint-{}.log", base36(fastrand::u64(..))));
    let mut spec = Spec::shell(command, &dir, log.clone(), TIMEOUT_MILLIS);
    spec.log_bytes_max = BYTES_MAX;
    let finished = command::run_here(spec)?;
    let said = std::fs::read(&log);
    let _ = std::fs::remove_file(&log);
    let failed = |why: String| {
        Error::external(format!("the fingerprint command of {} {why}", place.rig.name))
            .hint("look at gates.fingerprint; without it, gate runs count on this machine alone")
    };
    match finished.ended {
        Ended::Exited(0) => {}
        Ended::TimedOut => return Err(failed(format!("took more than {} s", TIMEOUT_MILLIS / 1000))),
        Ended::Exited(code) => {
            let last = finished.log_tail.lines().last().unwrap_or_default();
            return Err(failed(format!("ended with code {code}: {last}")));
        }
        Ended::Signaled(signal) => return Err(failed(format!("was killed by signal {signal}"))),
        Ended::OutOfMemory => return Err(failed("was killed because memory was short".to_owned())),
        Ended::CannotStart(why) => return Err(failed(format!("could not start: {why}"))),
    }
    let said = said.or_fail(Kind::Io, || format!("read {}", log.display()))?;
    if u64::try_from(said.len()).unwrap_or(u64::MAX) >= BYTES_MAX {
        return Err(failed(format!("says more than {} kB", BYTES_MAX / 1000)));
    }
    Ok(Batch::default().add(ObjectKind::Blob, said).to_string())
}
