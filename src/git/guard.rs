//! Keeps pushes from moving branches: git's update hook in a repository of ours, and a list of the branches.
//!
//! It judges what comes through git-receive-pack(1), from wherever. Who writes refs in the repository itself is not
//! stopped; a rig's own landings are such writes. A hook that was there before is run for all other refs, and is put back
//! when ours goes.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::program;
use crate::store::write_file;

/// The hook.
const UPDATE: &str = include_str!("../../hooks/rig/update");
/// What every version of it has in its second line.
const MARK: &str = "target rules of gt";
/// The setting that lists the branches.
const PROTECTED: &str = "gt.protected";

/// What stands where the hook goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Ours,
    Other,
}

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
    let (hook, other) = (dir.join("hooks/update"), dir.join("hooks/update.local"));
    if look(&hook)? == Found::Other {
        // A second name and then our own file over the first: at no moment is there no hook.
        std::fs::hard_link(&hook, &other)
            .or_fail(Kind::Refused, || format!("keep the hook {} as update.local, of which there is one", hook.display()))?;
    }
    let is_newest = std::fs::read(&hook).is_ok_and(|bytes| bytes == UPDATE.as_bytes());
    if !is_newest {
        write_file(&hook, UPDATE.as_bytes())?;
    }
    let deed = || format!("make {} executable", hook.display());
    let mode = std::fs::metadata(&hook).or_fail(Kind::Io, deed)?.permissions().mode();
    if mode & 0o111 != 0o111 {
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).or_fail(Kind::Io, deed)?;
    }
    Ok(())
}

/// Lets pushes move all branches of `dir` again, and puts back the hook that was there.
///
/// # Errors
/// Io, when nothing can be written.
pub fn unprotect(dir: &Path) -> Result<()> {
    let (hook, other) = (dir.join("hooks/update"), dir.join("hooks/update.local"));
    if look(&hook)? != Found::Ours {
        return Ok(());
    }
    let gone = if other.exists() { std::fs::rename(&other, &hook) } else { std::fs::remove_file(&hook) };
    gone.or_fail(Kind::Io, || format!("take {} away", hook.display()))?;
    // 5: there is none.
    let output = program::bare(dir, &["config", "--unset-all", PROTECTED])?;
    let is_unset = matches!(output.code, Some(0 | 5));
    is_unset.then_some(()).or_fail(output.failure(), || format!("unset {PROTECTED}: {}", output.last_line()))
}

fn listed(dir: &Path) -> Result<BTreeSet<String>> {
    let text = program::bare(dir, &["config", "--local", "--get-all", PROTECTED])?.text();
    Ok(text.lines().map(str::to_owned).collect())
}

fn look(hook: &Path) -> Result<Found> {
    match std::fs::read(hook) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let is_ours = text.lines().nth(1).is_some_and(|line| line.contains(MARK));
            Ok(if is_ours { Found::Ours } else { Found::Other })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(error).or_fail(Kind::Io, || format!("read {}", hook.display())),
    }
}
