//! The links between a repository and its worktrees, mended after both were moved or copied to another path.
//!
//! git links them both ways by absolute paths. `git worktree repair` would mend them too, but in a copy it makes the
//! original's registrations point to the copy; here nothing outside of the repository's own home is written, but the
//! `.git` file of a worktree elsewhere whose repository went away.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::git::place::{git_dir_of, registrations};
use crate::store::lock::KernelLock;
use crate::store::{Store, write_file};

/// How deep below its home a worktree is looked for.
const DEPTH_MAX: usize = 4;

/// Links each registered worktree of `store` again that lies where it should below `home`, the directory that was moved
/// with the repository, and tells which.
///
/// # Errors
/// Io, when registrations cannot be read or a link not be written.
pub fn mend(store: &Store, home: &Path) -> Result<Vec<PathBuf>> {
    if !store.dir().join("worktrees").is_dir() {
        return Ok(Vec::new());
    }
    let _registering = KernelLock::take(&store.private_dir().join("worktrees.flock"))?;
    let mut mended = Vec::new();
    for (private, recorded) in registrations(store)? {
        if points_to(&recorded, &private) {
            continue;
        }
        let Some(found) = found(home, &recorded, &private) else { continue };
        write_file(&private.join("gitdir"), &line(b"", &found.join(".git")))?;
        write_file(&found.join(".git"), &line(b"gitdir: ", &private))?;
        mended.push(found);
    }
    Ok(mended)
}

fn line(before: &[u8], path: &Path) -> Vec<u8> {
    [before, path.as_os_str().as_bytes(), b"\n"].concat()
}

fn points_to(dir: &Path, private: &Path) -> bool {
    let target = git_dir_of(dir).ok().and_then(|target| target.canonicalize().ok());
    target.is_some() && target == private.canonicalize().ok()
}

/// Where the worktree that was at `recorded` lies now.
fn found(home: &Path, recorded: &Path, private: &Path) -> Option<PathBuf> {
    let parts: Vec<&OsStr> = recorded.iter().collect();
    let ends =
        (1..=DEPTH_MAX.min(parts.len())).rev().map(|count| home.join(parts[parts.len() - count..].iter().collect::<PathBuf>()));
    let mut moved = ends.filter(|dir| link_of(dir, private).is_some_and(|target| !is_anothers(&target, dir)));
    let stayed = || link_of(recorded, private).is_some_and(|target| !target.exists()).then(|| recorded.to_owned());
    moved.next().or_else(stayed)
}

/// Where the `.git` file in `dir` points, when it once pointed to the registration that is now `private`.
fn link_of(dir: &Path, private: &Path) -> Option<PathBuf> {
    let path = dir.join(".git");
    let is_plain =
        |path: &Path, is_dir: bool| path.symlink_metadata().is_ok_and(|meta| !meta.is_symlink() && meta.is_dir() == is_dir);
    if !is_plain(dir, true) || !is_plain(&path, false) {
        return None;
    }
    let text = std::fs::read(&path).ok()?;
    let target = text.strip_prefix(b"gitdir:")?.trim_ascii();
    let target = dir.join(OsStr::from_bytes(target));
    let last_three = |path: &Path| path.iter().rev().take(3).map(OsStr::to_owned).collect::<Vec<_>>();
    (last_three(&target) == last_three(private)).then_some(target)
}

/// Whether the registration `target` is whole with the worktree at `dir`: then it is that of another repository.
fn is_anothers(target: &Path, dir: &Path) -> bool {
    let back = std::fs::read(target.join("gitdir")).unwrap_or_default();
    let back = Path::new(OsStr::from_bytes(back.trim_ascii())).canonicalize();
    back.is_ok_and(|back| dir.join(".git").canonicalize().is_ok_and(|own| own == back))
}
