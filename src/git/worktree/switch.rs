//! An existing worktree made to stand somewhere else, whatever was left in it.

use std::path::Path;

use super::{Head, full_name, open_up, remove_all, sparse};
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::place::{check_backlink, git, git_holding, registered};
use crate::git::progress::Progress;
use crate::git::promised;
use crate::model::cone::Cone;
use crate::store::lock::KernelLock;
use crate::store::{Store, sync_dir};

/// Brings the existing worktree at `dest` to `head` by force: what is not committed goes, ignored files stay,
/// files that are the same keep their times. A branch is created or reset. Ends a rebase or merge under way.
///
/// Whoever calls has saved what is worth saving and knows that nobody works there.
///
/// # Errors
/// Not found, when the directory is gone or no worktree of `store`; conflict, when the branch is checked out
/// elsewhere; refused, when its `.git` file points elsewhere; external, when git fails or files that a partial clone
/// left out cannot be fetched.
pub fn switch(store: &Store, dest: &Path, head: Head<'_>) -> Result<()> {
    switch_within(store, dest, head, &Cone::default())
}

/// As [`switch`], with no more of the project in it than `cone`, whatever it showed before.
///
/// # Errors
/// As [`switch`].
pub fn switch_within(store: &Store, dest: &Path, head: Head<'_>, cone: &Cone) -> Result<()> {
    let private = registered(store, dest)?;
    check_backlink(dest, &private)?;
    promised::bring_tree(store, store.tree_of(head.commit())?, cone, &Progress::silent())?;
    let turn = KernelLock::take(&private.join("gt.flock"))?;
    end_operations(&private)?;
    sparse::lay(store, &private, cone)?;
    straighten_index(dest, &private, cone)?;
    let (branch, commit) = match head {
        Head::Branch { name, at } => (Some((name, full_name(name)?)), at.to_string()),
        Head::Detached(commit) => (None, commit.to_string()),
    };
    let settings = sparse::settings(cone);
    let mut words: Vec<&str> = settings.iter().map(String::as_str).collect();
    words.extend(["-c", "advice.detachedHead=false", "checkout", "--quiet", "--force", "--no-recurse-submodules"]);
    match &branch {
        Some((name, _)) => words.extend(["--no-track", "-B", name]),
        None => words.push("--detach"),
    }
    words.extend([commit.as_str(), "--"]);
    let output = git_holding(dest, &private, &words, &turn)?;
    if !output.is_success() {
        let is_taken = output.stderr.contains("used by worktree") || output.stderr.contains("checked out at");
        let kind = if is_taken { Kind::Conflict } else { output.failure() };
        return Err(Error::new(kind, format!("switch {} to {commit}: {}", dest.display(), output.last_line())));
    }
    if let Some((_, full)) = branch.filter(|_| store.is_durable()) {
        sync_dir(store.dir().join(full).parent().unwrap_or(store.dir()))?;
    }
    clean(dest, &private, &turn)?;
    // Whole now, also when the one who began to make it was killed.
    if is_unfinished(&private) { remove_all(&private.join("locked")) } else { Ok(()) }
}

/// Whether the worktree is locked only because whoever made it did not get to the end.
pub(super) fn is_unfinished(private: &Path) -> bool {
    std::fs::read_to_string(private.join("locked")).is_ok_and(|reason| reason.trim() == "initializing")
}

fn clean(dest: &Path, private: &Path, turn: &KernelLock) -> Result<()> {
    // Twice `f`: an untracked repository inside is untracked work like any other.
    let words = ["clean", "--quiet", "-ffd"];
    let mut output = git_holding(dest, private, &words, turn)?;
    if !output.is_success() {
        open_up(dest);
        output = git_holding(dest, private, &words, turn)?;
    }
    if output.is_success() {
        return Ok(());
    }
    Err(Error::new(output.failure(), format!("clean {}: {}", dest.display(), output.last_line())))
}

/// What git keeps in a worktree's private directory while an operation waits to be continued, and locks that a
/// killed git left there.
pub(crate) const OPERATIONS: &[&str] = &[
    "rebase-merge",
    "rebase-apply",
    "sequencer",
    "MERGE_HEAD",
    "MERGE_MSG",
    "MERGE_MODE",
    "MERGE_RR",
    "MERGE_AUTOSTASH",
    "AUTO_MERGE",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "SQUASH_MSG",
    "BISECT_LOG",
    "BISECT_START",
    "BISECT_NAMES",
    "BISECT_TERMS",
    "BISECT_EXPECTED_REV",
    "BISECT_ANCESTORS_OK",
];

fn end_operations(private: &Path) -> Result<()> {
    for name in OPERATIONS.iter().chain(&["index.lock", "HEAD.lock", "refs/bisect"]) {
        remove_all(&private.join(name))?;
    }
    Ok(())
}

/// Makes the index tell the truth: files marked as unchanged whatever they hold would survive a forced checkout.
/// An index that cannot be read is made anew from the commit.
fn straighten_index(dest: &Path, private: &Path, cone: &Cone) -> Result<()> {
    let path = private.join("index");
    let mut ignored_marks = gix::index::entry::Flags::ASSUME_VALID;
    // In a sparse worktree the checkout sets that mark anew on each file, from what the worktree is to show.
    ignored_marks.set(gix::index::entry::Flags::SKIP_WORKTREE, cone.is_whole());
    // One in which a directory stands for all below it cannot tell of each file.
    if let Some(mut index) = read_index(&path).filter(|index| !index.entries().iter().any(is_directory)) {
        if unmark(&mut index, ignored_marks) {
            index.write(gix::index::write::Options::default()).or_fail(Kind::Io, || format!("write {}", path.display()))?;
        }
        return Ok(());
    }
    remove_all(&path)?;
    // A commit that cannot be read leaves an empty index, and the checkout that follows tells what is wrong.
    git(dest, private, &["read-tree", "HEAD"]).map(drop)
}

/// The index file at `path`; `None` when it is missing or cannot be read.
pub(crate) fn read_index(path: &Path) -> Option<gix::index::File> {
    gix::index::File::at(path, gix::hash::Kind::Sha1, false, gix::index::decode::Options::default()).ok()
}

/// Whether the entry of a sparse index stands for a directory and all below it.
pub(crate) fn is_directory(entry: &gix::index::Entry) -> bool {
    entry.mode == gix::index::entry::Mode::DIR
}

/// Takes `marks` off all entries; tells whether there was one.
pub(crate) fn unmark(index: &mut gix::index::File, marks: gix::index::entry::Flags) -> bool {
    let mut is_changed = false;
    for entry in index.entries_mut().iter_mut().filter(|entry| entry.flags.intersects(marks) && !is_directory(entry)) {
        entry.flags.remove(marks);
        is_changed = true;
    }
    is_changed
}
