//! Looking: what git sees in the worktree, through an index of our own in which nothing is hidden.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::bstr::{BString, ByteSlice};
use gix::index::entry::{Flags, Mode};

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::status::{Entry, QUESTION, missed_commit, parse, saw_no_commit};
use crate::git::worktree::{is_directory, read_index, unmark};
use crate::git::{place, program};
use crate::store::Store;

/// What there is to save in the worktree.
pub(super) struct Seen {
    /// What git's status names, ignored files included.
    pub(super) entries: Vec<Entry>,
    /// Whether the agent's index cannot be read; the commit's own was taken instead.
    pub(super) is_index_damaged: bool,
    /// Submodules that hold something their remote does not: path and git directory.
    pub(super) submodules: Vec<(BString, PathBuf)>,
}

/// Looks at the worktree, which is at the commit `head`; its own index is only read.
pub(super) fn look(store: &Store, worktree: &Path, private: &Path, head: Option<ObjectId>) -> Result<Seen> {
    let scratch = Scratch::create(store)?;
    let own = private.join("index");
    let index = read_index(&own);
    let submodules = index.as_ref().map_or_else(Vec::new, |index| unsaved_submodules(worktree, index));
    let is_copied = copy_index(&own, index, worktree, &scratch.index())?;
    let mut answer = None;
    if is_copied {
        answer = Some(ask(worktree, private, &scratch)?).filter(program::Output::is_success);
    }
    let is_index_damaged = own.exists() && answer.is_none();
    let answer = match answer {
        Some(answer) => answer,
        None => ask_without_index(worktree, private, &scratch)?,
    };
    if !answer.is_success() {
        return Err(Error::external(format!("look at what is in {}: {}", worktree.display(), answer.last_line()))
            .hint("nothing was changed; see what git status says there"));
    }
    if head.is_some() && saw_no_commit(&answer.stdout) {
        return Err(missed_commit(worktree));
    }
    Ok(Seen { entries: parse(&answer.stdout)?, is_index_damaged, submodules })
}

fn ask(worktree: &Path, private: &Path, scratch: &Scratch) -> Result<program::Output> {
    let honest = ["-c", "core.untrackedCache=false", "-c", "core.checkStat=default", "-c", "core.ignoreStat=false"];
    let words = [&honest[..], QUESTION, &["--untracked-files=all", "--ignored=matching"]].concat();
    place::git_with(worktree, private, &words, &scratch.variables())
}

/// Looks with an index made from the commit, so that every file is read and compared.
fn ask_without_index(worktree: &Path, private: &Path, scratch: &Scratch) -> Result<program::Output> {
    let _ = std::fs::remove_file(scratch.index());
    // A branch without a commit has nothing to read; everything is untracked then.
    place::git_with(worktree, private, &["read-tree", "HEAD"], &scratch.variables())?;
    ask(worktree, private, scratch)
}

/// Copies the index to `copy` with all marks off that hide changes; tells whether there was one.
///
/// The copy keeps the time of the original: git trusts what it knows of files that are older than the index.
fn copy_index(own: &Path, index: Option<gix::index::File>, worktree: &Path, copy: &Path) -> Result<bool> {
    let deed = || format!("copy the index {}", own.display());
    let modified = match std::fs::metadata(own).and_then(|meta| meta.modified()) {
        Ok(modified) => modified,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).or_fail(Kind::Io, deed),
    };
    std::fs::copy(own, copy).or_fail(Kind::Io, deed)?;
    if let Some(mut index) = index
        && (unmark_present(&mut index, worktree) | unmark(&mut index, Flags::ASSUME_VALID))
    {
        index.set_path(copy);
        index.write(gix::index::write::Options::default()).or_fail(Kind::Io, deed)?;
    }
    let file = std::fs::File::options().write(true).open(copy).or_fail(Kind::Io, deed)?;
    file.set_modified(modified).or_fail(Kind::Io, deed)?;
    Ok(true)
}

/// Takes the mark of sparse checkouts off files that are there all the same; tells whether there was one.
fn unmark_present(index: &mut gix::index::File, worktree: &Path) -> bool {
    let is_there = |path: &gix::bstr::BStr| path.to_path().is_ok_and(|path| worktree.join(path).symlink_metadata().is_ok());
    let mut is_changed = false;
    let (entries, paths) = index.entries_mut_and_pathbacking();
    // What stands for a whole directory is taken apart by git, as soon as there is something of it.
    for entry in entries.iter_mut().filter(|entry| entry.flags.contains(Flags::SKIP_WORKTREE) && !is_directory(entry)) {
        if is_there(entry.path_in(paths)) {
            entry.flags.remove(Flags::SKIP_WORKTREE);
            is_changed = true;
        }
    }
    is_changed
}

/// Checked-out submodules with changes, or with a commit that no remote of theirs has.
fn unsaved_submodules(worktree: &Path, index: &gix::index::File) -> Vec<(BString, PathBuf)> {
    let all = index.entries().iter().filter(|entry| entry.mode == Mode::COMMIT).map(|entry| entry.path(index));
    let unsaved = all.filter_map(|path| {
        let place = worktree.join(path.to_path().ok()?);
        let git_dir = place::git_dir_of(&place).ok()?;
        let ask = |words: &[&str]| place::git(&place, &git_dir, words);
        let is_clean = |words: &[&str]| ask(words).is_ok_and(|answer| answer.is_success() && answer.stdout.is_empty());
        let is_saved = is_clean(&["--no-optional-locks", "status", "--porcelain", "--untracked-files=normal"])
            && is_clean(&["rev-list", "--max-count=1", "--all", "HEAD", "--not", "--remotes"]);
        (!is_saved).then(|| (path.to_owned(), git_dir))
    });
    unsaved.collect()
}

/// The operations that wait to be continued, in words.
pub(super) fn operations(private: &Path) -> Vec<&'static str> {
    const MARKS: &[(&str, &str)] = &[
        ("rebase-merge", "a rebase"),
        ("rebase-apply", "a rebase or am"),
        ("MERGE_HEAD", "a merge"),
        ("MERGE_AUTOSTASH", "an autostash"),
        ("CHERRY_PICK_HEAD", "a cherry-pick"),
        ("REVERT_HEAD", "a revert"),
        ("sequencer", "a series of picks"),
        ("BISECT_LOG", "a bisect"),
    ];
    MARKS.iter().filter(|(mark, _)| private.join(mark).exists()).map(|(_, word)| *word).collect()
}

/// A directory for an index of our own; goes away with its value.
struct Scratch(PathBuf);

impl Scratch {
    fn create(store: &Store) -> Result<Self> {
        let name = format!("salvage-tmp-{}-{}", std::process::id(), crate::name::base36(fastrand::u64(..)));
        let dir = std::path::absolute(store.private_dir().join(name)).or_fail(Kind::Io, || "name a temporary directory")?;
        std::fs::create_dir_all(&dir).or_fail(Kind::Io, || format!("create {}", dir.display()))?;
        Ok(Self(dir))
    }

    fn index(&self) -> PathBuf {
        self.0.join("index")
    }

    fn variables(&self) -> [(&'static str, OsString); 1] {
        [("GIT_INDEX_FILE", self.index().into_os_string())]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left here is disposable; maintenance finds it by its name should this fail.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
