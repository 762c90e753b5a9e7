//! The store: one named git directory, its objects and refs, written so that success survives power loss.
//!
//! gix syncs nothing and its ref transaction loses updates beside `git pack-refs`, so durable object writes
//! and the compare-and-swap of refs are our own. The git directory is always named, never discovered.

pub mod batch;
mod deflate;
mod journal;
pub mod leftovers;
pub mod lock;
pub mod objects;
pub mod pack;
pub mod refs;
pub mod written;

use std::path::{Path, PathBuf};

use gix::ObjectId;

use crate::error::{Error, Kind, OrFail, Result};

/// An open git directory.
#[derive(Clone)]
pub struct Store {
    /// The gix handle; its object database is shared by all readers of this store.
    pub repo: gix::Repository,
    dir: PathBuf,
    is_durable: bool,
    has_ordered_journal: std::sync::OnceLock<bool>,
    records: std::cell::OnceCell<gix::odb::Handle>,
    pack_slots: u16,
}

/// How many packs a handle can see appear before it must be opened anew; gix's default of 32 is soon used up.
const PACK_SLOTS: u16 = 512;
/// More packs gix cannot number.
const PACK_SLOTS_MAX: u16 = 32_767;
/// Eight times what one writer may put into a record: merges may exceed that.
const RECORD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Room for the packs that are there, however long nobody gathered them, and for those that appear.
fn pack_slots(dir: &Path) -> u16 {
    let all = std::fs::read_dir(dir.join("objects/pack")).into_iter().flatten().filter_map(std::result::Result::ok);
    let indexes = all.filter(|entry| entry.file_name().as_encoded_bytes().ends_with(b".idx")).count();
    u16::try_from(indexes).unwrap_or(u16::MAX).saturating_add(PACK_SLOTS).min(PACK_SLOTS_MAX)
}

impl Store {
    /// Opens the git directory `dir`, ignoring the user's and the system's configuration.
    ///
    /// # Errors
    /// Not found, when there is none; refused, when its refs are not kept as files; io or corrupt otherwise.
    pub fn open(dir: &Path) -> Result<Self> {
        if !dir.join("objects").is_dir() {
            return Err(Error::not_found(format!("there is no git directory at {}", dir.display())));
        }
        let pack_slots = pack_slots(dir);
        let options = gix::open::Options::isolated()
            .open_path_as_is(true)
            // Reflog lines need a name; the user's own is in the configuration that is ignored here.
            .config_overrides(["gitoxide.committer.nameFallback=gt", "gitoxide.committer.emailFallback=gt@localhost"])
            .object_store_slots(gix::odb::store::init::Slots::Given(pack_slots));
        let repo = gix::open_opts(dir, options).or_fail(Kind::Corrupt, || format!("open the repository {}", dir.display()))?;
        if let Some(kind) = repo.config_snapshot().string("extensions.refStorage").filter(|kind| kind.as_slice() != b"files") {
            return Err(Error::refused(format!("{} keeps its refs as {kind}, which gt cannot write safely", dir.display()))
                .hint("convert it: git refs migrate --ref-format=files"));
        }
        let is_durable = repo.config_snapshot().string("gt.durability").is_none_or(|mode| mode.as_slice() != b"none");
        Ok(Self {
            repo,
            dir: dir.to_owned(),
            is_durable,
            has_ordered_journal: std::sync::OnceLock::new(),
            records: std::cell::OnceCell::new(),
            pack_slots,
        })
    }

    /// The git directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directory for gt's own machine-local files in this repository.
    #[must_use]
    pub fn private_dir(&self) -> PathBuf {
        self.dir.join("gt")
    }

    /// Whether success means "on disk" here (`gt.durability`, default `full`).
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.is_durable
    }

    /// Whether syncing a ref's directory carries the renames of objects made before it to the disk.
    fn has_ordered_journal(&self) -> bool {
        *self.has_ordered_journal.get_or_init(|| journal::is_ordered(&self.dir))
    }

    /// The largest object that is read as a record or as a directory of records (`gt.objectLimit`).
    #[must_use]
    pub fn record_bytes_max(&self) -> u64 {
        let set = self.repo.config_snapshot().integer("gt.objectLimit");
        set.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(RECORD_BYTES_MAX)
    }

    /// Objects as records are read: the size in an object's header is looked at before any of it is inflated.
    ///
    /// A handle of its own, since the project's files may be larger.
    ///
    /// # Errors
    /// Corrupt, when the object directory cannot be opened.
    pub fn records(&self) -> Result<&gix::odb::Handle> {
        if let Some(open) = self.records.get() {
            return Ok(open);
        }
        let options = gix::odb::store::init::Options {
            slots: gix::odb::store::init::Slots::Given(self.pack_slots),
            alloc_limit_bytes: usize::try_from(self.record_bytes_max()).ok(),
            ..Default::default()
        };
        let objects = self.dir.join("objects");
        let handle = gix::odb::at_opts(&objects, gix::hash::Kind::Sha1, None, options);
        let handle = handle.or_fail(Kind::Corrupt, || format!("open {}", objects.display()))?;
        Ok(self.records.get_or_init(|| handle))
    }

    /// The bytes of the record `id`.
    ///
    /// # Errors
    /// Refused, when it is larger than [`Store::record_bytes_max`]; corrupt, when it is missing or unreadable.
    pub fn record(&self, id: ObjectId) -> Result<Vec<u8>> {
        let mut buffer = Vec::new();
        let found = gix::objs::Find::try_find(self.records()?, &id, &mut buffer);
        let found = found.or_fail(Kind::Corrupt, || format!("read object {id}"));
        match found.and_then(|object| object.or_fail(Kind::Corrupt, || format!("read object {id}: it is not there"))) {
            Ok(_) => Ok(buffer),
            Err(error) => Err(self.too_large(id).unwrap_or(error)),
        }
    }

    /// The tree `id` of a ledger; the empty tree needs not be stored.
    ///
    /// # Errors
    /// As [`Store::record`].
    pub fn record_tree(&self, id: ObjectId) -> Result<gix::objs::Tree> {
        objects::read_tree(self.records()?, id).map_err(|error| self.too_large(id).unwrap_or(error))
    }

    /// The refusal of an object that is larger than a record may be.
    ///
    /// # Errors
    /// Refused, naming the limit.
    pub fn check_record_size(&self, id: ObjectId) -> Result<()> {
        self.too_large(id).map_or(Ok(()), Err)
    }

    fn too_large(&self, id: ObjectId) -> Option<Error> {
        let (bytes, limit) = (gix::prelude::HeaderExt::header(&self.repo.objects, id).ok()?.size(), self.record_bytes_max());
        let line = format!("object {id} has {bytes} bytes, and one of a ledger may have {limit}");
        let hint = format!("if it is right: git --git-dir={} config gt.objectLimit {bytes}", self.dir.display());
        (bytes > limit).then(|| Error::refused(line).hint(hint))
    }

    /// The bytes of the blob `id`.
    ///
    /// # Errors
    /// Corrupt, when it is missing or unreadable.
    pub fn blob(&self, id: ObjectId) -> Result<Vec<u8>> {
        let object = self.repo.find_object(id).or_fail(Kind::Corrupt, || format!("read object {id}"))?;
        Ok(object.detach().data)
    }

    /// The tree of the commit `id`.
    ///
    /// # Errors
    /// Corrupt, when the commit is missing or unreadable.
    pub fn tree_of(&self, id: ObjectId) -> Result<ObjectId> {
        let commit = self.repo.find_commit(id).or_fail(Kind::Corrupt, || format!("read commit {id}"))?;
        Ok(commit.tree_id().or_fail(Kind::Corrupt, || format!("read commit {id}"))?.detach())
    }

    /// Whether `ancestor` is `descendant` or one of its ancestors.
    ///
    /// # Errors
    /// Corrupt, when history cannot be read.
    pub fn is_ancestor(&self, ancestor: ObjectId, descendant: ObjectId) -> Result<bool> {
        if ancestor == descendant {
            return Ok(true);
        }
        let bases = self
            .repo
            .merge_bases_many(ancestor, &[descendant])
            .or_fail(Kind::Corrupt, || format!("compare the histories of {ancestor} and {descendant}"))?;
        Ok(bases.iter().any(|base| base.detach() == ancestor))
    }
}

/// Flushes a directory's entries to disk.
///
/// # Errors
/// Io, when the sync fails: what was renamed into it may not survive.
pub fn sync_dir(dir: &Path) -> Result<()> {
    std::fs::File::open(dir)
        .and_then(|file| file.sync_all())
        .or_fail(Kind::Io, || format!("sync the directory {}", dir.display()))
}

/// Makes a directory with its parents; each that is new is on disk before what will lie in it.
///
/// # Errors
/// Io, when one cannot be made or synced.
pub fn make_dir(dir: &Path, is_durable: bool) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let deed = || format!("create {}", dir.display());
    let parent = dir.parent().or_fail(Kind::Io, deed)?;
    make_dir(parent, is_durable)?;
    match std::fs::create_dir(dir) {
        // Another that makes it at this moment may not have synced it yet.
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error).or_fail(Kind::Io, deed),
        _ if is_durable => sync_dir(parent),
        _ => Ok(()),
    }
}

/// Writes a small machine-local file whole: temporary name, sync, rename, sync of the directory.
///
/// # Errors
/// Io, when any step fails; the old file then stands.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let deed = || format!("write {}", path.display());
    let dir = path.parent().or_fail(Kind::Bug, deed)?;
    make_dir(dir, true)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".tmp-{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&temporary)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    if let Err(error) = write() {
        let _ = std::fs::remove_file(&temporary);
        return Err(error).or_fail(Kind::Io, deed);
    }
    sync_dir(dir)
}
