//! The part of the project that a worktree shows, kept where git looks for it: in the worktree's own configuration and
//! its `info/sparse-checkout`.
//!
//! The shared configuration is left alone, whatever agents flip there.

use std::path::Path;

use gix::config::{File, Source};

use super::remove_all;
use crate::error::{Kind, OrFail, Result};
use crate::model::cone::Cone;
use crate::store::{Store, write_file};

/// Settings of sparse worktrees, see git-config(1); the first says whether it is one.
const KEYS: [&str; 2] = ["core.sparseCheckout", "core.sparseCheckoutCone"];

/// The same for a repository that is opened, should the shared configuration keep it from reading the worktree's own.
pub(super) const ON: [&str; 2] = ["core.sparseCheckout=true", "core.sparseCheckoutCone=true"];

/// Lets the worktree whose private git directory is `private` show `cone` from its next checkout on. One that shows the
/// whole project already is not touched.
///
/// # Errors
/// Corrupt, when its configuration cannot be read; io, when it cannot be written.
pub(super) fn lay(store: &Store, private: &Path, cone: &Cone) -> Result<()> {
    let path = private.join("config.worktree");
    let deed = || format!("read {}", path.display());
    let mut own = if path.exists() {
        File::from_path_no_includes(path.clone(), Source::Worktree).or_fail(Kind::Corrupt, deed)?
    } else {
        File::default()
    };
    let patterns = private.join("info/sparse-checkout");
    let is_sparse = |config: &File| config.boolean(KEYS[0]).ok().flatten();
    let shared = store.repo.config_snapshot().boolean(KEYS[0]).unwrap_or(false);
    if cone.is_whole() && !is_sparse(&own).unwrap_or(shared) && !patterns.exists() {
        return Ok(());
    }
    let before = own.to_bstring();
    for key in KEYS {
        let value = if cone.is_whole() { "false" } else { "true" };
        own.set_raw_value(key, value).or_fail(Kind::Corrupt, deed)?;
    }
    if own.to_bstring() != before {
        write_file(&path, &own.to_bstring())?;
    }
    if cone.is_whole() {
        return remove_all(&patterns);
    }
    let lines = cone.patterns();
    let is_laid = std::fs::read(&patterns).is_ok_and(|bytes| bytes == lines.as_bytes());
    if is_laid { Ok(()) } else { write_file(&patterns, lines.as_bytes()) }
}

/// The same for git.
pub(super) fn settings(cone: &Cone) -> Vec<String> {
    let value = !cone.is_whole();
    KEYS.iter().flat_map(|key| ["-c".to_owned(), format!("{key}={value}")]).collect()
}
