//! How often work was started on this machine, so that what never comes to an end is not started for ever.
//!
//! Machine-local and disposable: a number for each bead that is being worked on.

use std::path::{Path, PathBuf};

use crate::error::{Kind, OrFail, Result};
use crate::name::BeadId;
use crate::store::write_file;

fn path(runtime_dir: &Path, bead: &BeadId) -> PathBuf {
    runtime_dir.join("spawns").join(bead.as_str())
}

/// How often `bead` was started since it was last ended in good order, or forced.
#[must_use]
pub fn count(runtime_dir: &Path, bead: &BeadId) -> u64 {
    std::fs::read_to_string(path(runtime_dir, bead)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Counts a start of `bead`. Starts of one bead take turns.
///
/// # Errors
/// Io, when it cannot be written.
pub fn add(runtime_dir: &Path, bead: &BeadId) -> Result<()> {
    let next = count(runtime_dir, bead).saturating_add(1);
    write_file(&path(runtime_dir, bead), format!("{next}\n").as_bytes())
}

/// Begins to count `bead` anew.
///
/// # Errors
/// Io, when the number cannot be removed.
pub fn forget(runtime_dir: &Path, bead: &BeadId) -> Result<()> {
    let path = path(runtime_dir, bead);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).or_fail(Kind::Io, || format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
