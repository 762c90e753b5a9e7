//! Worktrees: made, switched, listed and removed, so that the git program agrees.
//!
//! Made through gix with files written side by side. Switched by the git program, which leaves unchanged files
//! alone; gix has no such verb. Every call names the git directory, found by its registration in the store:
//! a worktree whose `.git` file is gone never makes git act on a repository further up.

mod sparse;
mod switch;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::progress::Discard;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::place::{git, git_dir_of, registered, registration_of, registrations};
use crate::git::progress::Progress;
use crate::git::{init, promised};
use crate::model::cone::Cone;
use crate::store::lock::KernelLock;
use crate::store::refs::Swap;
use crate::store::{Store, write_file};

use switch::is_unfinished;
pub(crate) use switch::{OPERATIONS, is_directory, read_index, unmark};
pub use switch::{switch, switch_within};

/// What a worktree's HEAD is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head<'a> {
    /// On the branch `name` (without `refs/heads/`), which points at `at`.
    Branch {
        /// The branch, e.g. `polecat/toast/gt-1@abc`.
        name: &'a str,
        /// The commit it is created at or reset to.
        at: ObjectId,
    },
    /// At a commit without a branch.
    Detached(ObjectId),
}

impl Head<'_> {
    fn commit(&self) -> ObjectId {
        match self {
            Self::Branch { at, .. } | Self::Detached(at) => *at,
        }
    }
}

/// A registered worktree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worktree {
    /// Its directory, which may be gone.
    pub dir: PathBuf,
    /// The branch it is on; `None` when detached.
    pub branch: Option<String>,
    /// The commit it is at; `None` when the branch has none yet or HEAD is damaged.
    pub head: Option<ObjectId>,
}

/// Makes a worktree of `store` at `dest`, which must not exist or be empty, and checks `head` out in it.
/// A branch is created; one that is at the same commit already is taken over.
///
/// # Errors
/// Refused, when `dest` holds something; conflict, when the branch exists elsewhere or is checked out; external, when
/// files that a partial clone left out cannot be fetched; io otherwise. Nothing is left behind then.
pub fn add(store: &Store, dest: &Path, head: Head<'_>) -> Result<()> {
    add_within(store, dest, head, &Cone::default())
}

/// As [`add`], with no more of the project in it than `cone`.
///
/// # Errors
/// As [`add`].
pub fn add_within(store: &Store, dest: &Path, head: Head<'_>, cone: &Cone) -> Result<()> {
    if std::fs::read_dir(dest).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::refused(format!("make a worktree at {}: it exists and is not empty", dest.display())));
    }
    promised::bring_tree(store, store.tree_of(head.commit())?, cone, &Progress::silent())?;
    match head {
        Head::Detached(commit) => add_at(store, dest, gix::worktree::add::Head::Detached(commit), cone),
        Head::Branch { name, at } => {
            let full = full_name(name)?;
            let is_created = create_branch(store, name, &full, at)?;
            let target =
                gix::refs::FullName::try_from(full.as_str()).or_fail(Kind::Usage, || format!("name the branch {name}"))?;
            let added = add_at(store, dest, gix::worktree::add::Head::Attached(target), cone);
            if added.is_err() && is_created {
                // The cause is what counts; a branch left at `at` is taken over by the next try.
                let _ = store.remove_ref(&full, at);
            }
            added
        }
    }
}

fn add_at(store: &Store, dest: &Path, head: gix::worktree::add::Head, cone: &Cone) -> Result<()> {
    let deed = || format!("make a worktree at {}", dest.display());
    let kind_of = |error: &gix::Error| {
        use gix::worktree::add::Error as Rejected;
        match error.downcast_any_ref::<Rejected>() {
            Some(Rejected::CheckedOut { .. } | Rejected::DestinationRegistered { .. }) => Kind::Conflict,
            _ => Kind::Io,
        }
    };
    let interrupted = AtomicBool::new(false);
    // One registration at a time: each reads those of all others, and one half written would fail it. The
    // checkout, which takes the time, is not under the lock.
    let registering = KernelLock::take(&store.private_dir().join("worktrees.flock"))?;
    drop_half_registered(store)?;
    set_gone_aside(store, dest)?;
    let prepared = match store.repo.prepare_add_worktree(dest, head, &interrupted) {
        Ok(prepared) => prepared,
        Err(error) => {
            let kind = kind_of(&error);
            return Err(error).or_fail(kind, deed);
        }
    };
    let id = prepared.repo().git_dir().file_name().and_then(|name| name.to_str()).or_fail(Kind::Bug, deed)?;
    init::mark_worktree(store.dir(), id)?;
    sparse::lay(store, prepared.repo().git_dir(), cone)?;
    drop(registering);
    if cone.is_whole() {
        let (repo, _) = prepared.checkout(Discard, &interrupted).or_fail(Kind::Io, deed)?;
        return finish_as_git(store, dest, &repo, cone);
    }
    // Opened anew it knows what it is to show. What was prepared takes itself back when this fails.
    let options = prepared.repo().open_options().clone();
    let repo = gix::open_opts(prepared.repo().git_dir(), options.config_overrides(sparse::ON)).or_fail(Kind::Io, deed)?;
    let checked_out = repo.worktree().or_fail(Kind::Bug, deed)?.checkout(Discard, &interrupted);
    checked_out.or_fail(Kind::Io, deed)?;
    finish_as_git(store, dest, &prepared.persist().or_fail(Kind::Io, deed)?, cone)
}

/// Removes registrations that a killed process left without a path: they belong to no worktree and would fail
/// every further one. Only under the registration lock, so that none of ours is in the making.
fn drop_half_registered(store: &Store) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(store.dir().join("worktrees")) else { return Ok(()) };
    for entry in entries.filter_map(std::result::Result::ok) {
        let is_half = std::fs::read(entry.path().join("gitdir")).map_or(true, |path| path.trim_ascii().is_empty());
        if is_half && entry.path().is_dir() {
            remove_all(&entry.path())?;
        }
    }
    Ok(())
}

/// Sets the registration of a worktree at `dest` aside when its directory was removed by hand, so that a new one
/// can be made there. It is kept with its reflog, which may be the last to name some commits.
fn set_gone_aside(store: &Store, dest: &Path) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(store.dir().join("worktrees")) else { return Ok(()) };
    for entry in entries.filter_map(std::result::Result::ok) {
        let recorded = std::fs::read(entry.path().join("gitdir")).unwrap_or_default();
        let is_this = recorded.trim_ascii().to_path().is_ok_and(|path| path == dest.join(".git"));
        if !is_this || dest.join(".git").exists() {
            continue;
        }
        let aside = store.private_dir().join("gone-worktrees");
        let deed = || format!("set the registration of {} aside", dest.display());
        std::fs::create_dir_all(&aside).or_fail(Kind::Io, deed)?;
        let name = format!("{}-{}", entry.file_name().to_string_lossy(), crate::name::base36(fastrand::u64(..)));
        std::fs::rename(entry.path(), aside.join(name)).or_fail(Kind::Io, deed)?;
    }
    Ok(())
}

/// Does what git's checkout does and gix's does not: directories where submodules go, and `$Id$` with its space.
fn finish_as_git(store: &Store, dest: &Path, repo: &gix::Repository, cone: &Cone) -> Result<()> {
    let deed = || format!("make a worktree at {}", dest.display());
    let index = repo.open_index().or_fail(Kind::Io, deed)?;
    let is_attributes = |path: &[u8]| path.rsplit(|byte| *byte == b'/').next() == Some(b".gitattributes");
    let shown = || index.entries().iter().filter(|entry| !entry.flags.contains(gix::index::entry::Flags::SKIP_WORKTREE));
    let files = shown().filter(|entry| is_attributes(entry.path(&index)));
    let mut attributes = files.map(|entry| store.blob(entry.id)).collect::<Result<Vec<_>>>()?;
    attributes.extend(std::fs::read(store.dir().join("info/attributes")));
    if attributes.iter().any(|text| text.contains_str("ident")) {
        // An index without times makes git write every file anew; it keeps to what a sparse worktree shows.
        remove_all(&repo.index_path())?;
        let settings = sparse::settings(cone);
        let words: Vec<&str> = settings.iter().map(String::as_str).chain(["read-tree", "--reset", "-u", "HEAD"]).collect();
        let output = git(dest, repo.git_dir(), &words)?;
        if !output.is_success() {
            return Err(Error::new(output.failure(), format!("{}: {}", deed(), output.last_line())));
        }
    }
    // git calls a submodule deleted when its directory is missing.
    for entry in shown().filter(|entry| entry.mode == gix::index::entry::Mode::COMMIT) {
        let path = entry.path(&index).to_path().or_fail(Kind::Io, deed)?;
        std::fs::create_dir_all(dest.join(path)).or_fail(Kind::Io, deed)?;
    }
    Ok(())
}

/// Creates the branch and tells whether it is new.
fn create_branch(store: &Store, name: &str, full: &str, at: ObjectId) -> Result<bool> {
    match store.swap_ref(full, None, at)? {
        Swap::Moved => Ok(true),
        Swap::Lost(Some(actual)) if actual == at => Ok(false),
        Swap::Lost(_) => Err(Error::conflict(format!("create the branch {name}: it exists at another commit"))),
    }
}

fn full_name(name: &str) -> Result<String> {
    if name.starts_with('-') || name == "HEAD" {
        return Err(Error::usage(format!("'{}' is not a branch name", name.escape_debug())));
    }
    Ok(format!("refs/heads/{name}"))
}

/// Whether `dest` is a worktree of `store`.
///
/// # Errors
/// Io, when the registrations cannot be read.
pub fn is_registered(store: &Store, dest: &Path) -> Result<bool> {
    Ok(registration_of(store, dest)?.is_some())
}

/// Removes what a killed [`add`] had begun at `dest`: at most a `.git` file in a directory, and its registration.
/// What holds anything else is left.
///
/// # Errors
/// Io, when it cannot be removed.
pub fn clear_begun(store: &Store, dest: &Path) -> Result<()> {
    let names = std::fs::read_dir(dest).into_iter().flatten().filter_map(std::result::Result::ok).map(|entry| entry.file_name());
    if names.take(2).any(|name| name != ".git") || dest.join(".git").is_dir() {
        return Ok(());
    }
    remove_all(dest)?;
    let _registering = KernelLock::take(&store.private_dir().join("worktrees.flock"))?;
    set_gone_aside(store, dest)
}

/// Removes the worktree at `dest` with all it holds; its branch stays.
///
/// # Errors
/// Not found, when `dest` is no worktree of `store`; refused, when a person locked it; io otherwise.
pub fn remove(store: &Store, dest: &Path) -> Result<()> {
    let private = registration_of(store, dest)?.or_fail(Kind::NotFound, || format!("{} is no worktree", dest.display()))?;
    if let (Ok(reason), false) = (std::fs::read_to_string(private.join("locked")), is_unfinished(&private)) {
        return Err(Error::refused(format!("the worktree {} is locked: {}", dest.display(), reason.trim())).hint(format!(
            "git -C {} worktree unlock {}",
            store.dir().display(),
            dest.display()
        )));
    }
    remove_all(dest)?;
    remove_all(&private)
}

/// Moves what stands at `dest`, a worktree that nobody can use any more, to `aside` and forgets that it was one.
///
/// # Errors
/// Io, when it cannot be moved or its registration not removed.
pub fn set_aside(store: &Store, dest: &Path, aside: &Path) -> Result<()> {
    let private = registration_of(store, dest)?;
    if std::fs::symlink_metadata(dest).is_ok() {
        let deed = || format!("move {} out of the way", dest.display());
        std::fs::create_dir_all(aside.parent().unwrap_or(aside)).or_fail(Kind::Io, deed)?;
        std::fs::rename(dest, aside).or_fail(Kind::Io, deed)?;
    }
    private.map_or(Ok(()), |private| remove_all(&private))
}

/// Removes the directory `dir`, which is no worktree, with all it holds.
///
/// # Errors
/// Io, when something in it cannot be removed.
pub fn clear(dir: &Path) -> Result<()> {
    remove_all(dir)
}

/// Writes the `.git` file of the worktree at `dest` anew where somebody removed it. Whoever calls has saved what is worth
/// saving; what stands there instead of one is left for people.
///
/// # Errors
/// Not found, when `dest` is no worktree of `store`; io, when it cannot be written.
pub fn relink(store: &Store, dest: &Path) -> Result<()> {
    let (private, link) = (registered(store, dest)?, dest.join(".git"));
    match link.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        _ => return Ok(()),
    }
    let mut text = b"gitdir: ".to_vec();
    text.extend_from_slice(std::os::unix::ffi::OsStrExt::as_bytes(private.as_os_str()));
    text.push(b'\n');
    write_file(&link, &text)
}

/// The directory in which git keeps what belongs to the worktree at `dest` alone. It goes with the worktree.
///
/// # Errors
/// Not found, when `dest` is no worktree of `store`.
pub fn private_dir(store: &Store, dest: &Path) -> Result<PathBuf> {
    registered(store, dest)
}

/// All worktrees registered in `store`, sorted by directory.
///
/// # Errors
/// Io, when they cannot be listed.
pub fn list(store: &Store) -> Result<Vec<Worktree>> {
    let mut worktrees = Vec::new();
    for (private, dir) in registrations(store)? {
        let text = std::fs::read_to_string(private.join("HEAD")).unwrap_or_default();
        let (branch, head) = match text.trim().strip_prefix("ref: ") {
            Some(full) => (Some(short_name(full)), store.read_ref(full).ok().flatten()),
            None => (None, ObjectId::from_hex(text.trim().as_bytes()).ok().filter(|id| !id.is_null())),
        };
        worktrees.push(Worktree { dir, branch, head });
    }
    worktrees.sort_by(|a, b| a.dir.cmp(&b.dir));
    Ok(worktrees)
}

/// The branch (`None` when detached) and commit of the checkout at `dest`, a worktree or a clone.
///
/// # Errors
/// Not found, when there is no checkout or its branch has no commit yet; corrupt, when HEAD is damaged.
pub fn head(dest: &Path) -> Result<(Option<String>, ObjectId)> {
    let git_dir = git_dir_of(dest)?;
    let path = git_dir.join("HEAD");
    let text = std::fs::read_to_string(&path).or_fail(Kind::Corrupt, || format!("read {}", path.display()))?;
    let Some(full) = text.trim().strip_prefix("ref: ") else {
        let id = ObjectId::from_hex(text.trim().as_bytes()).or_fail(Kind::Corrupt, || format!("read {}", path.display()))?;
        return Ok((None, id));
    };
    let shared = match std::fs::read_to_string(git_dir.join("commondir")) {
        Ok(relative) => git_dir.join(relative.trim_end_matches('\n')),
        Err(_) => git_dir,
    };
    let branch = short_name(full);
    let id = Store::open(&shared)?.read_ref(full)?;
    let id = id.or_fail(Kind::NotFound, || format!("the branch {branch} of {} has no commit yet", dest.display()))?;
    Ok((Some(branch), id))
}

fn short_name(full: &str) -> String {
    full.strip_prefix("refs/heads/").unwrap_or(full).to_owned()
}

/// Removes a file or directory with all it holds; links are not followed, what is not there is fine.
fn remove_all(path: &Path) -> Result<()> {
    let is_dir = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta.is_dir(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).or_fail(Kind::Io, || format!("remove {}", path.display())),
    };
    let remove = || if is_dir { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    let mut removed = remove();
    if removed.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied) && is_dir {
        open_up(path);
        removed = remove();
    }
    removed.or_fail(Kind::Io, || format!("remove {}", path.display()))
}

/// Makes `dir` and all directories below it writable for their owner; caches of some tools are read-only.
fn open_up(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        // What cannot be opened is met again by the removal, which tells.
        let _ = std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755));
        let entries = std::fs::read_dir(&dir).into_iter().flatten().filter_map(std::result::Result::ok);
        waiting.extend(entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()));
    }
}
