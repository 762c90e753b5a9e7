//! Stacks changes in memory, as git would merge them.
//!
//! Three-way merges of trees through gix, with renames and git's default diff algorithm. Nothing reaches the disk
//! before [`Stacker::flush`]. A conflict is reported only after the git program was asked once more (of 1,487 real
//! merges gix agreed with git in every clean tree and reported one conflict too many).
//! Attributes (`merge=union`, `binary`, …) are those of `ours`, as in a checkout of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::diff::tree::recorder::Change;
use gix::merge::blob::builtin_driver::text::Labels;
use gix::merge::plumbing::tree::{Options, TreatAsUnresolved};
use gix::objs::Write as _;
use gix::worktree::stack::state::attributes::Source;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::{diff, program, promised};
use crate::store::Store;
use crate::store::batch::Batch;

/// How a merge of trees ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// It fits; the id of the merged tree, in the memory of the stacker until it is flushed.
    Clean(ObjectId),
    /// It does not; the sorted paths where, with what is not UTF-8 replaced.
    Conflict(Vec<String>),
}

/// How much of decoded objects is kept between merges.
const CACHE_BYTES_MAX: usize = 64 << 20;

/// Merges trees one onto the other, with its caches kept between merges.
pub struct Stacker<'s> {
    store: &'s Store,
    repo: gix::Repository,
    options: Options,
    caches: Option<Caches>,
}

struct Caches {
    /// The tree whose attributes the two platforms know.
    attributes_of: ObjectId,
    state: gix::diff::tree::State,
    diff: gix::diff::blob::Platform,
    blob: gix::merge::blob::Platform,
}

impl<'s> Stacker<'s> {
    /// A stacker on the objects of `store`.
    ///
    /// # Errors
    /// Corrupt, when the repository's merge configuration cannot be read.
    pub fn new(store: &'s Store) -> Result<Self> {
        let deed = || format!("prepare merges in {}", store.dir().display());
        let mut repo = store.repo.clone().with_object_memory();
        repo.object_cache_size(CACHE_BYTES_MAX);
        let mut config = repo.config_snapshot_mut();
        config.set_raw_value("diff.algorithm", "histogram").or_fail(Kind::Bug, deed)?;
        config.commit().or_fail(Kind::Corrupt, deed)?;
        let options = repo.tree_merge_options().or_fail(Kind::Corrupt, deed)?.into();
        Ok(Self { store, repo, options, caches: None })
    }

    /// Applies what changed from `base` to `theirs` onto `ours`; all three are trees, also ones made here.
    ///
    /// # Errors
    /// Corrupt, when an object cannot be read; external, when one that a partial clone left out cannot be fetched.
    pub fn merge_trees(&mut self, base: ObjectId, ours: ObjectId, theirs: ObjectId) -> Result<Merged> {
        if theirs == base || ours == theirs {
            return Ok(Merged::Clean(ours));
        }
        if ours == base {
            return Ok(Merged::Clean(theirs));
        }
        promised::bring_for_merge(self.store, &self.repo, base, ours, theirs)?;
        let by_gix = self.merge_by_gix(base, ours, theirs);
        if let Ok(Merged::Clean(_)) = by_gix {
            return by_gix;
        }
        match self.merge_by_git(base, ours, theirs)? {
            Some(answer) => Ok(answer),
            None => by_gix,
        }
    }

    fn merge_by_gix(&mut self, base: ObjectId, ours: ObjectId, theirs: ObjectId) -> Result<Merged> {
        let deed = || format!("merge the tree {theirs} onto {ours}");
        let mut caches = self.caches_for(ours)?;
        let mut blobs = Vec::new();
        let outcome = gix::merge::plumbing::tree(
            &base,
            &ours,
            &theirs,
            Labels::default(),
            &self.repo,
            |bytes| {
                let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Blob, bytes)?;
                blobs.push(bytes.to_vec());
                Ok(id)
            },
            &mut caches.state,
            &mut caches.diff,
            &mut caches.blob,
            self.options.clone(),
        );
        caches.diff.clear_resource_cache_keep_allocation();
        let mut outcome = outcome.or_fail(Kind::Corrupt, deed)?;
        let how = TreatAsUnresolved::git();
        let merged = if outcome.has_unresolved_conflicts(how) {
            // What was merged halfway is dropped with `blobs`; it never reaches the memory that is flushed.
            let places = outcome.conflicts.iter().filter(|conflict| conflict.is_unresolved(how));
            let paths: BTreeSet<String> = places
                .flat_map(|conflict| [conflict.ours.location(), conflict.theirs.location()])
                .map(|path| path.to_str_lossy().into_owned())
                .collect();
            Merged::Conflict(paths.into_iter().collect())
        } else {
            for bytes in &blobs {
                self.repo.write_blob(bytes).or_fail(Kind::Bug, deed)?;
            }
            let tree =
                outcome.tree.write(|tree| self.repo.write_object(tree).map(gix::Id::detach)).or_fail(Kind::Corrupt, deed)?;
            Merged::Clean(tree)
        };
        drop(outcome);
        self.caches = Some(caches);
        Ok(merged)
    }

    /// The caches of the last merge when they still know the attributes of `ours`, else new ones.
    fn caches_for(&mut self, ours: ObjectId) -> Result<Caches> {
        let deed = || format!("read the attributes of tree {ours}");
        if let Some(mut caches) = self.caches.take() {
            let changes = diff::changes(&self.repo.objects, caches.attributes_of, ours)?;
            if !changes.iter().any(is_of_attributes) {
                caches.attributes_of = ours;
                return Ok(caches);
            }
        }
        let index = self.repo.index_from_tree(&ours).or_fail(Kind::Corrupt, deed)?;
        promised::bring_attributes(self.store, &self.repo, &index)?;
        let attributes = || self.repo.attributes_only(&index, Source::IdMapping).map(gix::AttributeStack::detach);
        let mut diff = self.repo.diff_resource_cache_for_tree_diff().or_fail(Kind::Corrupt, deed)?;
        let mut blob =
            self.repo.merge_resource_cache(gix::merge::blob::pipeline::WorktreeRoots::default()).or_fail(Kind::Corrupt, deed)?;
        diff.attr_stack = attributes().or_fail(Kind::Corrupt, deed)?;
        blob.attr_stack = attributes().or_fail(Kind::Corrupt, deed)?;
        Ok(Caches { attributes_of: ours, state: gix::diff::tree::State::default(), diff, blob })
    }

    /// Asks `git merge-tree`; `None` when this git cannot tell.
    ///
    /// It works in an object directory of its own, so that nothing unsynced enters the store.
    fn merge_by_git(&mut self, base: ObjectId, ours: ObjectId, theirs: ObjectId) -> Result<Option<Merged>> {
        let scratch = Scratch::create(&self.store.private_dir())?;
        scratch.fill(&self.repo)?;
        let objects = std::path::absolute(self.store.dir().join("objects")).or_fail(Kind::Io, || "name the object directory")?;
        let variables = [
            ("GIT_OBJECT_DIRECTORY", scratch.0.as_os_str().to_owned()),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", as_alternate(&objects)),
        ];
        let attributes = format!("--attr-source={ours}");
        let base = format!("--merge-base={base}");
        let (ours, theirs) = (ours.to_string(), theirs.to_string());
        let words = [&attributes, "merge-tree", "--write-tree", "--no-messages", "--name-only", "-z", &base, &ours, &theirs];
        let output = program::bare_with(self.store.dir(), &words, &variables)?;
        let mut fields = output.stdout.split(|byte| *byte == 0).filter(|field| !field.is_empty());
        let tree = fields.next().and_then(|field| ObjectId::from_hex(field).ok());
        match (output.code, tree) {
            (Some(0), Some(tree)) => {
                scratch.drain(&self.repo)?;
                Ok(Some(Merged::Clean(tree)))
            }
            (Some(1), Some(_)) => {
                let paths: BTreeSet<String> = fields.map(|path| path.to_str_lossy().into_owned()).collect();
                Ok(Some(Merged::Conflict(paths.into_iter().collect())))
            }
            _ => Ok(None),
        }
    }

    /// The tree of what the commits `bases` have in common with each other's work: that of the one there mostly is; of
    /// several (histories that crossed) their merge, as git's recursive strategy takes it. Where they conflict with each
    /// other the first stands.
    ///
    /// # Errors
    /// Corrupt, when an object cannot be read.
    pub fn base_tree(&mut self, bases: &[ObjectId]) -> Result<ObjectId> {
        let Some((first, rest)) = bases.split_first() else { return Ok(ObjectId::empty_tree(gix::hash::Kind::Sha1)) };
        let mut tree = self.store.tree_of(*first)?;
        for base in rest {
            let below = match merge_base(self.store, *first, *base)? {
                Some(below) => self.store.tree_of(below)?,
                None => ObjectId::empty_tree(gix::hash::Kind::Sha1),
            };
            let theirs = self.store.tree_of(*base)?;
            if let Merged::Clean(merged) = self.merge_trees(below, tree, theirs)? {
                tree = merged;
            }
        }
        Ok(tree)
    }

    /// Makes all objects of clean merges so far durable in the store.
    ///
    /// # Errors
    /// Io, when writing or syncing fails; nothing refers to what was written.
    pub fn flush(&mut self) -> Result<()> {
        let mut batch = Batch::default();
        let memory = self.repo.objects.reset_object_memory().unwrap_or_default();
        for (kind, bytes) in memory.values() {
            batch.add(*kind, bytes.clone());
        }
        let written = self.store.write(&batch);
        if written.is_err() {
            self.repo.objects.set_object_memory(memory);
        }
        written
    }
}

fn is_of_attributes(change: &Change) -> bool {
    let path = match change {
        Change::Addition { path, .. } | Change::Deletion { path, .. } | Change::Modification { path, .. } => path,
    };
    path.rsplit(|byte| *byte == b'/').next() == Some(b".gitattributes")
}

/// The best common ancestor of the commits `a` and `b`; `None` when they share no history.
///
/// # Errors
/// Corrupt, when history cannot be read.
pub fn merge_base(store: &Store, a: ObjectId, b: ObjectId) -> Result<Option<ObjectId>> {
    Ok(merge_bases(store, a, b)?.first().copied())
}

/// All best common ancestors of the commits `a` and `b`; more than one when their histories crossed.
///
/// # Errors
/// Corrupt, when history cannot be read.
pub fn merge_bases(store: &Store, a: ObjectId, b: ObjectId) -> Result<Vec<ObjectId>> {
    let bases =
        store.repo.merge_bases_many(a, &[b]).or_fail(Kind::Corrupt, || format!("find the common ancestor of {a} and {b}"))?;
    Ok(bases.into_iter().map(gix::Id::detach).collect())
}

/// An object directory for one question to git; goes away with its value.
struct Scratch(PathBuf);

impl Scratch {
    fn create(private_dir: &Path) -> Result<Self> {
        let name = format!("merge-tmp-{}-{}", std::process::id(), crate::name::base36(fastrand::u64(..)));
        let dir = std::path::absolute(private_dir.join(name)).or_fail(Kind::Io, || "name a temporary directory")?;
        std::fs::create_dir_all(&dir).or_fail(Kind::Io, || format!("create {}", dir.display()))?;
        Ok(Self(dir))
    }

    fn objects(&self) -> gix::odb::loose::Store {
        gix::odb::loose::Store::at(&self.0, gix::hash::Kind::Sha1)
    }

    /// Copies what `repo` holds in memory to this directory.
    fn fill(&self, repo: &gix::Repository) -> Result<()> {
        let memory = repo.objects.reset_object_memory().unwrap_or_default();
        let loose = self.objects();
        let mut written = Ok(());
        for (id, (kind, bytes)) in memory.iter() {
            written = written.and(loose.write_buf_with_known_id(*kind, bytes, *id).map(drop));
        }
        for (kind, bytes) in memory.values() {
            repo.write_buf(*kind, bytes).or_fail(Kind::Bug, || "keep merged objects in memory")?;
        }
        written.or_fail(Kind::Io, || format!("write to {}", self.0.display()))
    }

    /// Copies all objects of this directory to the memory of `repo`.
    fn drain(&self, repo: &gix::Repository) -> Result<()> {
        let deed = || format!("read what git merged in {}", self.0.display());
        let loose = self.objects();
        let mut buffer = Vec::new();
        for id in loose.iter() {
            let id = id.or_fail(Kind::Io, deed)?;
            let object = loose.try_find(&id, &mut buffer).or_fail(Kind::Io, deed)?.ok_or_else(|| Error::io(deed()))?;
            repo.write_buf(object.kind, object.data).or_fail(Kind::Bug, deed)?;
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left here is disposable; maintenance finds it by its name should this fail.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A path as git reads it in a list of alternates, where a colon would end it; see git(1).
fn as_alternate(path: &Path) -> std::ffi::OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let bytes = path.as_os_str().as_bytes();
    if !bytes.iter().any(|byte| matches!(byte, b':' | b'"' | b'\\')) {
        return path.as_os_str().to_owned();
    }
    let mut quoted = vec![b'"'];
    for byte in bytes {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    std::ffi::OsString::from_vec(quoted)
}
