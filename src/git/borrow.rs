//! Takes over what a repository on this machine has already, so that less comes over the network.
//!
//! Objects are linked, which costs neither time nor space: git never changes a file of objects once it is there, and
//! one that is removed over there stays here. Nothing here refers to the other repository afterwards, unlike with git's
//! alternates, whose borrower breaks when the lender prunes.

use std::fs::File;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::protocol::transport::Service as Side;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::fetch::Lot;
use crate::git::progress::Progress;
use crate::git::remote::{Link, Place, is_plain};
use crate::git::{commits, fetch, place, program, reach};
use crate::store::{Store, pack, sync_dir};

/// What a repository on this machine gave.
#[derive(Default)]
pub(crate) struct Lent {
    /// Commits that are here now with all their history.
    pub(crate) whole: Vec<ObjectId>,
    /// Its own branches, without `refs/heads/`.
    branches: Vec<(String, ObjectId)>,
}

/// Makes what branches and tags of the repository at `from` reach part of `store`.
///
/// # Errors
/// Refused, when `from` is no repository, or one that lacks a part of its history or files; external, when git cannot read it.
pub(crate) fn borrow(store: &Store, from: &Path, progress: &Progress) -> Result<Lent> {
    let lender = git_dir(from)?;
    let refused = |why: &str| {
        Error::refused(format!("the local repository {} {why}", from.display())).hint("leave out --local-repo or --adopt")
    };
    if lender.join("shallow").exists() {
        return Err(refused("lacks a part of its history"));
    }
    if has_left_out(&lender.join("objects")) {
        return Err(refused("is a partial clone, and cannot give what it left out"));
    }
    progress.say(&format!("linking objects of {}", from.display()));
    link_objects(&lender.join("objects"), &store.dir().join("objects"))?;
    let text = lender.to_str().ok_or_else(|| refused("has a name that is not UTF-8"))?;
    let mut link = Link::open(store, Place::parse(text)?, Side::UploadPack, progress)?;
    let refs = link.refs(&["refs/heads/", "refs/tags/", "refs/remotes/"], progress)?;
    let named: Vec<(String, ObjectId)> =
        refs.into_iter().filter(|one| is_plain(&one.name)).filter_map(|one| Some((one.name, one.id?))).collect();
    let mut tips: Vec<ObjectId> = named.iter().map(|(_, id)| *id).collect();
    tips.sort();
    tips.dedup();
    let exists = |id| store.repo.has_object(id);
    let is_whole = tips.iter().all(|tip| exists(*tip)) && reach::check_complete(&store.repo.objects, &exists, &tips, &[]).is_ok();
    if !is_whole {
        // On another disk, or itself borrowing: then it sends what cannot be linked.
        fetch::receive(&mut link, store, &Lot { tips: &tips, whole: &[], filter: None }, progress)?;
    }
    let own = |(name, id): (String, ObjectId)| Some((name.strip_prefix("refs/heads/")?.to_owned(), id));
    Ok(Lent { whole: reach::commits_among(store, tips), branches: named.into_iter().filter_map(own).collect() })
}

/// Where branches go whose names are taken.
const BESIDE: &str = "adopted/";

/// Makes local branches of those that were lent and have commits that none of `known` has; tells their names here.
///
/// # Errors
/// Io, when a branch cannot be made.
pub(crate) fn adopt(store: &Store, lent: &Lent, known: &[ObjectId]) -> Result<Vec<String>> {
    let mut adopted = Vec::new();
    for (branch, tip) in &lent.branches {
        if commits::ahead(store, *tip, known)?.is_empty() {
            continue;
        }
        let is_taken = store.read_ref(&format!("refs/heads/{branch}"))?.is_some();
        let name = if is_taken { format!("{BESIDE}{branch}") } else { branch.clone() };
        store.swap_ref(&format!("refs/heads/{name}"), None, *tip)?;
        adopted.push(name);
    }
    Ok(adopted)
}

/// Refuses a checkout with work that no commit holds: it would not come along.
///
/// # Errors
/// Refused then.
pub(crate) fn check_committed(from: &Path) -> Result<()> {
    // What is bare has no such work, and git says that it is no checkout.
    let status = program::run(from, &["status", "--porcelain", "--untracked-files=normal"])?;
    if status.is_success() && !status.stdout.is_empty() {
        return Err(Error::refused(format!("{} has uncommitted work, which would not come along", from.display()))
            .hint("commit it there on a branch of its own, then add the rig again"));
    }
    Ok(())
}

/// The git directory with the objects of the checkout, worktree or bare repository at `from`.
fn git_dir(from: &Path) -> Result<PathBuf> {
    let deed = || format!("find the repository {}", from.display());
    let from = std::path::absolute(from).or_fail(Kind::Io, deed)?;
    let dir = if from.join(".git").exists() { place::git_dir_of(&from)? } else { from.clone() };
    let dir = match std::fs::read_to_string(dir.join("commondir")) {
        Ok(shared) => dir.join(shared.trim()),
        Err(_) => dir,
    };
    if dir.join("HEAD").exists() && dir.join("objects").is_dir() {
        return dir.canonicalize().or_fail(Kind::Io, deed);
    }
    Err(Error::refused(format!("{} is no git repository", from.display())).hint("name a checkout or bare repository"))
}

/// Links loose objects and packs, as far as one file system holds both; synced, since the lender may not have been.
fn link_objects(from: &Path, to: &Path) -> Result<()> {
    let deed = || format!("link the objects of {}", from.display());
    let mut dirs: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(from).or_fail(Kind::Io, deed)?.filter_map(std::result::Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "pack" || (name.len() == 2 && name.bytes().all(|b| b.is_ascii_hexdigit())) {
            dirs.push(entry.path());
        }
    }
    for dir in dirs {
        let there = to.join(dir.file_name().unwrap_or_default());
        let mut names: Vec<_> = std::fs::read_dir(&dir).or_fail(Kind::Io, deed)?.filter_map(std::result::Result::ok).collect();
        names.retain(|entry| is_object_file(&entry.path()));
        // An index is believed as soon as it is there, so packs come first.
        names.sort_by_key(|entry| entry.path().extension().is_some_and(|extension| extension == "idx"));
        if names.is_empty() {
            continue;
        }
        std::fs::create_dir_all(&there).or_fail(Kind::Io, deed)?;
        for entry in names {
            let (source, target) = (entry.path(), there.join(entry.file_name()));
            match std::fs::hard_link(&source, &target) {
                Ok(()) => File::open(&target).and_then(|file| file.sync_all()).or_fail(Kind::Io, deed)?,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                // Another disk, another owner, or gone meanwhile: git sends what is not linked.
                Err(_) => return sync_dir(&there),
            }
        }
        sync_dir(&there)?;
    }
    sync_dir(to)
}

/// Whether there are packs with holes in `objects`, which a server fills on demand.
fn has_left_out(objects: &Path) -> bool {
    let packs = std::fs::read_dir(objects.join("pack")).into_iter().flatten().filter_map(std::result::Result::ok);
    packs.into_iter().any(|entry| entry.path().extension().is_some_and(|extension| extension == pack::PROMISOR))
}

/// Whether it is a loose object, a pack or its index.
fn is_object_file(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_loose = name.len() == 38 && name.bytes().all(|b| b.is_ascii_hexdigit());
    is_loose || [".pack", ".idx"].iter().any(|end| name.ends_with(end))
}
