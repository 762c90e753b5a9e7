//! Durable objects: written under temporary names, synced, then renamed into place.
//!
//! No empty or torn file ever stands under an object's final name, and a batch is on disk before the ref
//! that makes it visible moves. Few objects become files of their own, many become one pack: a file costs a
//! sync now, a pack costs every later process a little until maintenance has folded it in.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::objs::Kind as ObjectKind;
use gix::prelude::FindExt as _;

use crate::error::{Kind, OrFail, Result};
use crate::store::batch::Batch;
use crate::store::deflate::Deflater;
use crate::store::{Store, pack, sync_dir, written};

/// A batch of so many new objects goes out as one pack.
pub const PACKED_FROM: usize = 16;

impl Store {
    /// Makes every object of `batch` present and, unless durability is off, safe from power loss as soon as a ref
    /// that is moved afterwards is.
    ///
    /// An object found present is checked, touched and synced too: it may be another writer's, not yet on disk.
    ///
    /// # Errors
    /// Io, when writing or syncing fails; nothing refers to what was written.
    pub fn write(&self, batch: &Batch) -> Result<()> {
        self.write_files(batch).map(drop)
    }

    /// As [`Store::write`]; tells the files that hold what was not in a pack already.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_files(&self, batch: &Batch) -> Result<Vec<PathBuf>> {
        let objects = self.dir().join("objects");
        let (mut fresh, mut torn, mut dirs, mut files) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (loose, packs) = (Loose::of(&objects, batch.0.len()), pack::indexes(&objects));
        for (id, (kind, bytes)) in &batch.0 {
            let path = loose_path(&objects, *id);
            let is_there = loose.has(*id, &path);
            // A torn file under an object's name, left by a crash of somebody else, is no object.
            let is_whole = is_there && self.holds(*id, bytes);
            if is_whole && self.refresh(&path)? {
                dirs.push(parent_of(&path));
                files.push(path);
            } else if is_there || !packs.iter().any(|pack| pack.lookup(id).is_some()) {
                torn.extend(is_there.then_some(path));
                fresh.push((*id, *kind, bytes));
            }
        }
        if fresh.len() < PACKED_FROM {
            dirs.extend(self.write_loose(&objects, &fresh)?);
            files.extend(fresh.iter().map(|(id, ..)| loose_path(&objects, *id)));
        } else {
            files.push(self.write_packed(&objects, &fresh)?);
            for path in torn {
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error).or_fail(Kind::Io, || format!("remove the torn {}", path.display()));
                    }
                    _ => {}
                }
            }
        }
        self.sync_object_dirs(dirs)?;
        written::note(self.dir(), fresh.len() >= PACKED_FROM);
        Ok(files)
    }

    /// Makes sure, after a ref was moved to what `files` hold, that no `git gc --prune=now` took it away before.
    ///
    /// A collection that began before the ref moved may not know it. git says by `gc.pid` that one runs; those that
    /// begin later find the ref. So what is missing is written again until none runs any more. A bare `git prune`
    /// announces nothing and is only caught by what is missing at this moment.
    ///
    /// # Errors
    /// Io, when writing again fails.
    pub fn outlive_collection(&self, batch: &Batch, files: &[PathBuf]) -> Result<()> {
        let watch = crate::time::Stopwatch::start();
        let mut was_collecting = false;
        loop {
            let is_collecting = self.is_collecting();
            // Once more after its end: what seemed to be packed may have been so in a pack that it removed.
            if is_collecting || was_collecting || files.iter().any(|file| !file.is_file()) {
                // By a handle of its own: this one may still map a pack that was removed.
                // The ref speaks of them already, so a failure beside git's removing is tried again.
                match Self::open(self.dir()).and_then(|fresh| fresh.write(batch)) {
                    Err(error) if watch.millis() > COLLECTION_MILLIS_MAX => return Err(error),
                    Err(_) => {
                        was_collecting = true;
                        std::thread::sleep(std::time::Duration::from_millis(10));
                        continue;
                    }
                    Ok(()) => {}
                }
            }
            if !is_collecting {
                return Ok(());
            }
            if watch.millis() > COLLECTION_MILLIS_MAX {
                tracing::warn!("git gc runs in {} for long; what it removes now may be missed", self.dir().display());
                return Ok(());
            }
            was_collecting = is_collecting;
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Whether `gc.pid` names a process that lives.
    fn is_collecting(&self) -> bool {
        let Ok(text) = std::fs::read_to_string(self.dir().join("gc.pid")) else { return false };
        // Not yet written: git is just beginning.
        let Some(pid) = text.split_whitespace().next() else { return true };
        pid.parse().is_ok_and(|pid| crate::store::refs::start_time_of(pid).is_some())
    }

    /// Syncs directories of objects, where the sync of the ref's directory does not do so already.
    fn sync_object_dirs(&self, mut dirs: Vec<PathBuf>) -> Result<()> {
        if !self.is_durable() || dirs.is_empty() || self.has_ordered_journal() {
            return Ok(());
        }
        dirs.sort();
        dirs.dedup();
        dirs.iter().try_for_each(|dir| match sync_dir(dir) {
            // Emptied and removed by git, once its objects were in a pack, which git syncs.
            Err(_) if !dir.is_dir() => Ok(()),
            synced => synced,
        })
    }

    /// Syncs the loose objects among `ids`, and their directories where that is needed, so that a ref may pin them.
    ///
    /// # Errors
    /// Io, when a sync fails.
    pub fn sync_objects(&self, ids: impl IntoIterator<Item = ObjectId>) -> Result<()> {
        if !self.is_durable() {
            return Ok(());
        }
        let objects = self.dir().join("objects");
        let mut dirs = Vec::new();
        for id in ids {
            let path = loose_path(&objects, id);
            if path.exists() && self.refresh(&path)? {
                dirs.push(parent_of(&path));
            }
        }
        self.sync_object_dirs(dirs)
    }

    /// Whether the loose object `id` can be read and holds exactly `bytes`.
    fn holds(&self, id: ObjectId, bytes: &[u8]) -> bool {
        let loose = gix::odb::loose::Store::at(self.dir().join("objects"), gix::hash::Kind::Sha1);
        let mut buffer = Vec::new();
        matches!(loose.try_find(&id, &mut buffer), Ok(Some(object)) if object.data == bytes)
    }

    /// Gives an object that is there already a new modification time, so that no pruning takes it, and syncs it.
    /// False, when it is gone: git has moved it into a pack, which git syncs.
    fn refresh(&self, path: &Path) -> Result<bool> {
        let deed = || format!("sync the object {}", path.display());
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error).or_fail(Kind::Io, deed),
        };
        // The times may belong to another user; the sync is what matters.
        let _ = rustix::fs::futimens(
            &file,
            &rustix::fs::Timestamps {
                last_access: rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW },
                last_modification: rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW },
            },
        );
        if self.is_durable() {
            file.sync_all().or_fail(Kind::Io, deed)?;
        }
        Ok(true)
    }

    fn write_packed(&self, objects: &Path, fresh: &[Fresh<'_>]) -> Result<PathBuf> {
        let staging = Staging::create(objects)?;
        let (data, index) = pack::write_in(&staging.0, fresh)?;
        crate::env::crash_point("store.staged");
        pack::adopt(self, &data, &index).map(|(pack, _)| pack)
    }

    fn write_loose(&self, objects: &Path, fresh: &[Fresh<'_>]) -> Result<Vec<PathBuf>> {
        if fresh.is_empty() {
            return Ok(Vec::new());
        }
        let deed = || format!("write objects to {}", objects.display());
        let staging = Staging::create(objects)?;
        let mut deflater = Deflater::new(gix::zlib::Compression::BEST_SPEED);
        let mut files = Vec::new();
        for (id, kind, bytes) in fresh {
            let header = gix::objs::encode::loose_header(*kind, bytes.len() as u64);
            let stream = deflater.stream(&[header.as_slice(), bytes.as_slice()]).or_fail(Kind::Io, deed)?;
            let mut file = File::options();
            let file = file.write(true).create_new(true).mode(0o444).open(staging.0.join(id.to_string()));
            let mut file = file.or_fail(Kind::Io, deed)?;
            file.write_all(&stream).or_fail(Kind::Io, deed)?;
            if self.is_durable() {
                begin_writing(&file);
                files.push(file);
            }
        }
        // Each is synced by itself; that all began to be written before only lets them share commits of the journal.
        files.iter().try_for_each(File::sync_all).or_fail(Kind::Io, deed)?;
        crate::env::crash_point("store.staged");
        let mut dirs = Vec::new();
        for (id, ..) in fresh {
            let path = loose_path(objects, *id);
            let dir = parent_of(&path);
            if place(&staging.0.join(id.to_string()), &path, &dir).or_fail(Kind::Io, deed)? {
                dirs.push(objects.to_owned());
            }
            dirs.push(dir);
        }
        Ok(dirs)
    }
}

/// How long a change waits for a collection by git to end.
const COLLECTION_MILLIS_MAX: u64 = 30_000;

/// How often a directory is made again that git removed as empty before an object was moved into it.
const PLACE_TRIES_MAX: u32 = 100;

/// Moves an object to its final name; tells whether its directory had to be made.
fn place(from: &Path, to: &Path, dir: &Path) -> std::io::Result<bool> {
    let mut has_made = false;
    for _ in 0..PLACE_TRIES_MAX {
        match std::fs::rename(from, to) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            moved => return moved.map(|()| has_made),
        }
        match std::fs::create_dir(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            _ => has_made = true,
        }
    }
    std::fs::rename(from, to).map(|()| has_made)
}

/// An object that is not here yet.
type Fresh<'a> = (ObjectId, ObjectKind, &'a Vec<u8>);

/// Tells the kernel to start writing the file out, without waiting; a hint that may be ignored.
fn begin_writing(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// A directory of our own for objects that are not yet synced; goes away with its value.
pub(crate) struct Staging(PathBuf);

impl Staging {
    /// The directory, which is on the file system of the objects.
    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    /// Makes one inside the objects' directory.
    pub(crate) fn create(objects: &Path) -> Result<Self> {
        let dir = objects.join(format!("gt-tmp-{}-{}", std::process::id(), crate::name::base36(fastrand::u64(..))));
        std::fs::create_dir(&dir).or_fail(Kind::Io, || format!("create {}", dir.display()))?;
        Ok(Self(dir))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What is left here is disposable; maintenance finds it by its name should this fail.
        if std::fs::remove_dir(&self.0).is_err() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Batches of so many objects list what is loose; smaller ones ask for each.
const LISTED_FROM: usize = 512;

/// Which objects have a file of their own.
enum Loose {
    Asked,
    Listed(HashSet<ObjectId>),
}

impl Loose {
    /// As a batch of `count` objects is best served; what comes later is not among those listed.
    fn of(objects: &Path, count: usize) -> Self {
        if count < LISTED_FROM {
            return Self::Asked;
        }
        let files = (0..=u8::MAX).flat_map(|first| {
            let hex = format!("{first:02x}");
            let names = std::fs::read_dir(objects.join(&hex)).into_iter().flatten().filter_map(std::result::Result::ok);
            names.filter_map(move |entry| ObjectId::from_hex(format!("{hex}{}", entry.file_name().to_str()?).as_bytes()).ok())
        });
        Self::Listed(files.collect())
    }

    fn has(&self, id: ObjectId, path: &Path) -> bool {
        match self {
            Self::Asked => path.is_file(),
            Self::Listed(files) => files.contains(&id),
        }
    }
}

fn loose_path(objects: &Path, id: ObjectId) -> PathBuf {
    let hex = id.to_string();
    objects.join(&hex[..2]).join(&hex[2..])
}

fn parent_of(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

/// Reads a tree of the store or batch; the empty tree needs not be stored.
///
/// # Errors
/// Corrupt, when the object is missing or no tree.
pub fn read_tree(find: &dyn gix::objs::Find, id: ObjectId) -> Result<gix::objs::Tree> {
    if id == ObjectId::empty_tree(gix::hash::Kind::Sha1) {
        return Ok(gix::objs::Tree::empty());
    }
    let mut buffer = Vec::new();
    let tree = find.find_tree(&id, &mut buffer).or_fail(Kind::Corrupt, || format!("read tree {id}"))?;
    Ok(tree.into_owned())
}
