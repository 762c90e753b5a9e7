//! Keeps pushes from moving branches: git's update hook in a repository of ours, and a list of the branches.
//!
//! It judges what comes through git-receive-pack(1), from wherever. Who writes refs in the repository itself is not
//! stopped; a rig's own landings are such writes. A hook that was there before is run for all other refs, and is put back
//! when ours goes.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::{Error, OrFail, Result};
use crate::git::program;
use crate::git::shims::Shim;

/// The hook.
const UPDATE: Shim = Shim { name: "update", text: include_str!("../../hooks/rig/update"), mark: "target rules of gt" };
/// The setting that lists the branches.
const PROTECTED: &str = "gt.protected";

/// Keeps pushes into the repository `dir` from moving `branches`, and no others. Done again it changes nothing.
///
/// # Errors
/// Refused, when the repository takes its hooks from elsewhere, or there are two hooks of others already; io, when
/// nothing can be written.
pub fn protect(dir: &Path, branches: &BTreeSet<String>) -> Result<()> {
    let path = program::bare(dir, &["config", "--local", "--get", "core.hooksPath"])?.text();
    if !path.trim().is_empty() {
        return Err(Error::refused(format!("{} takes its hooks from elsewhere (core.hooksPath)", dir.display()))
            .hint("unset that there, or leave target.protect off: gt config unset target.protect"));
    }
    if listed(dir)? != *branches {
        // With none listed for a moment the hook would let pass what it is there for, so the new ones come first.
        for branch in branches.difference(&listed(dir)?) {
            program::bare_ok(dir, &["config", "--add", PROTECTED, branch])?;
        }
        for branch in listed(dir)?.difference(branches) {
            program::bare_ok(dir, &["config", "--fixed-value", "--unset-all", PROTECTED, branch])?;
        }
    }
    UPDATE.lay(dir)
}

/// Lets pushes move all branches of `dir` again, and puts back the hook that was there.
///
/// # Errors
/// Io, when nothing can be written.
pub fn unprotect(dir: &Path) -> Result<()> {
    if !UPDATE.lift(dir)? {
        return Ok(());
    }
    // 5: there is none.
    let output = program::bare(dir, &["config", "--unset-all", PROTECTED])?;
    let is_unset = matches!(output.code, Some(0 | 5));
    is_unset.then_some(()).or_fail(output.failure(), || format!("unset {PROTECTED}: {}", output.last_line()))
}

fn listed(dir: &Path) -> Result<BTreeSet<String>> {
    let text = program::bare(dir, &["config", "--local", "--get-all", PROTECTED])?.text();
    Ok(text.lines().map(str::to_owned).collect())
}
