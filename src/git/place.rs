//! Where a checkout's git directory is, and git run on exactly that.
//!
//! A worktree is found by its registration in the store, so a `.git` file that an agent removed or rewrote never
//! makes git act on a repository further up or elsewhere.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::program;
use crate::store::Store;
use crate::store::lock::KernelLock;

/// Runs git on the worktree at `dest` whose private git directory is `private`; both are named, none discovered.
pub(crate) fn git(dest: &Path, private: &Path, words: &[&str]) -> Result<program::Output> {
    git_with(dest, private, words, &[])
}

/// As [`git`], with variables for this one child.
pub(crate) fn git_with(dest: &Path, private: &Path, words: &[&str], variables: &[(&str, OsString)]) -> Result<program::Output> {
    let (git_dir, work_tree) = (git_dir_option(private)?, work_tree_option(dest)?);
    let mut all = vec![git_dir.as_str(), work_tree.as_str()];
    all.extend(words);
    program::run_with(dest, &all, variables)
}

/// As [`git`], with the worktree's lock held by the child too.
pub(crate) fn git_holding(dest: &Path, private: &Path, words: &[&str], lock: &KernelLock) -> Result<program::Output> {
    let (git_dir, work_tree) = (git_dir_option(private)?, work_tree_option(dest)?);
    let mut all = vec![git_dir.as_str(), work_tree.as_str()];
    all.extend(words);
    program::run_holding(dest, &all, lock)
}

/// The option that names the git directory.
pub(crate) fn git_dir_option(git_dir: &Path) -> Result<String> {
    Ok(format!("--git-dir={}", absolute_text(git_dir)?))
}

/// The option that names the worktree.
pub(crate) fn work_tree_option(dest: &Path) -> Result<String> {
    Ok(format!("--work-tree={}", absolute_text(dest)?))
}

fn absolute_text(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path).or_fail(Kind::Io, || format!("name {}", path.display()))?;
    let text = absolute.to_str().or_fail(Kind::Refused, || format!("work in {}: its name is not UTF-8", path.display()))?;
    Ok(text.to_owned())
}

/// The git directory that the `.git` of the checkout at `dest` is or points to.
pub(crate) fn git_dir_of(dest: &Path) -> Result<PathBuf> {
    let path = dest.join(".git");
    let absent = || Error::not_found(format!("there is no checkout at {}", dest.display()));
    // A disk that cannot be read is no checkout that is not there.
    let told = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory | std::io::ErrorKind::InvalidData => absent(),
        _ => Error::io(format!("read {}", path.display())).caused_by(error),
    };
    let meta = std::fs::symlink_metadata(&path).map_err(told)?;
    if meta.is_dir() {
        return Ok(path);
    }
    let text = std::fs::read_to_string(&path).map_err(told)?;
    let target = text.strip_prefix("gitdir:").ok_or_else(absent)?.trim();
    let target = dest.join(target);
    let moved = || absent().hint("its repository is gone; if the town was moved: gt maintain mends the links");
    target.is_dir().then_some(target).ok_or_else(moved)
}

/// The private git directory of the worktree at `dest`, which must be there.
pub(crate) fn registered(store: &Store, dest: &Path) -> Result<PathBuf> {
    if !dest.is_dir() {
        return Err(Error::not_found(format!("the worktree {} is gone", dest.display())));
    }
    registration_of(store, dest)?
        .or_fail(Kind::NotFound, || format!("{} is no worktree of {}", dest.display(), store.dir().display()))
        .map_err(|error| error.hint("if the town was moved: gt maintain mends the links"))
}

/// As [`registered`], or the git directory of `store` itself when `dest` is the checkout of that clone.
pub(crate) fn private_of(store: &Store, dest: &Path) -> Result<PathBuf> {
    let own = dest.join(".git");
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let is_clone =
        own.symlink_metadata().is_ok_and(|meta| meta.is_dir()) && real(&own).is_some_and(|own| real(store.dir()) == Some(own));
    if is_clone { Ok(store.dir().to_owned()) } else { registered(store, dest) }
}

/// The private git directory of the worktree at `dest`, which may be gone; `None` when it is not registered.
pub(crate) fn registration_of(store: &Store, dest: &Path) -> Result<Option<PathBuf>> {
    let wanted = resolved(dest)?;
    let mut all = registrations(store)?.into_iter();
    let found = all.find(|(_, dir)| dir == dest || resolved(dir).is_ok_and(|dir| dir == wanted));
    Ok(found.map(|(private, _)| private))
}

/// Private git directory and worktree directory of every registered worktree.
pub(crate) fn registrations(store: &Store) -> Result<Vec<(PathBuf, PathBuf)>> {
    let parent = std::path::absolute(store.dir()).or_fail(Kind::Io, || "name the git directory")?.join("worktrees");
    let entries = match std::fs::read_dir(&parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).or_fail(Kind::Io, || format!("list the worktrees in {}", parent.display())),
    };
    let mut found = Vec::new();
    for entry in entries {
        let private = entry.or_fail(Kind::Io, || format!("list the worktrees in {}", parent.display()))?.path();
        let link = match std::fs::read(private.join("gitdir")) {
            Ok(link) => link,
            // None yet, or something that is no registration. What the disk cannot read may well be one.
            Err(error) if is_no_file(error.kind()) => continue,
            Err(error) => return Err(error).or_fail(Kind::Io, || format!("read {}/gitdir", private.display())),
        };
        let Ok(link) = link.trim_end_with(|c| c == '\n').to_path().map(Path::to_owned) else { continue };
        // The link names the `.git` file; a relative one counts from the private directory.
        let Some(dir) = private.join(link).parent().map(Path::to_owned) else { continue };
        found.push((private, dir));
    }
    Ok(found)
}

fn is_no_file(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    matches!(kind, NotFound | NotADirectory | IsADirectory)
}

/// The real path of `path`; of one that is gone, the real path of its parent and its name.
fn resolved(path: &Path) -> Result<PathBuf> {
    if let Ok(real) = std::fs::canonicalize(path) {
        return Ok(real);
    }
    let absolute = std::path::absolute(path).or_fail(Kind::Io, || format!("name {}", path.display()))?;
    let real_parent = absolute.parent().and_then(|parent| std::fs::canonicalize(parent).ok());
    Ok(match (real_parent, absolute.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => absolute,
    })
}

/// Refuses a worktree whose `.git` is no file that points to `private`.
pub(crate) fn check_backlink(dest: &Path, private: &Path) -> Result<()> {
    let is_file = std::fs::symlink_metadata(dest.join(".git")).is_ok_and(|meta| meta.is_file());
    let target = match git_dir_of(dest) {
        Err(error) if error.kind == Kind::Io => return Err(error),
        found => found.ok(),
    };
    let target = target.and_then(|target| std::fs::canonicalize(target).ok());
    if is_file && target.is_some() && target == std::fs::canonicalize(private).ok() {
        return Ok(());
    }
    Err(Error::refused(format!("switch {}: its .git file does not point to its registration", dest.display())).hint(format!(
        "git worktree repair, or write 'gitdir: {}' to {}/.git",
        private.display(),
        dest.display()
    )))
}
