//! Saves what would be lost before anything is reset or removed.
//!
//! One commit holds it all: its tree is the worktree as it stands on disk, byte for byte (no filter is run over what
//! is saved); its parents are HEAD, a commit of the index where that differs, and the commits that only this
//! worktree knows. The state of a rebase or merge under way and the sides of conflicts lie below `.gt-salvage/`.
//! The agent's own index is never written, links are never followed, and the commit is on disk before its ref stands.
//!
//! What is too large is moved aside before it would go, to a place that the commit's message names.
//!
//! Not saved: the files of the outfit that are as they were laid, ignored files in build directories, pipes and sockets.

mod aside;
mod disk;
mod look;
mod lost;

use std::path::Path;

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::tree::EntryKind;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::outfit::Outfit;
use crate::git::progress::Progress;
use crate::git::status::{Entry, Stage};
use crate::git::{commits, place, promised};
use crate::store::Store;
use crate::store::batch::Batch;
use crate::store::objects::read_tree;
use crate::time::Moment;

use aside::Aside;
pub use aside::Next;

/// What was saved, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// The ref that keeps it.
    pub ref_name: String,
    /// The commit that holds it.
    pub commit: ObjectId,
    /// One line for each kind of thing that was saved or left out.
    pub what: Vec<String>,
}

/// Where in the tree of a salvage lies what is not a file of the worktree.
const STATE_DIR: &str = ".gt-salvage";

/// How many names are tried for the ref.
const NAMES_MAX: u32 = 100;

/// Most names in one line of what was saved.
const NAMED_MAX: usize = 5;

/// What a salvage is told besides the place.
pub struct Order<'a> {
    /// Commits that are kept otherwise, beside all refs except the worktree's own branch; of a clone, beside its remotes.
    pub known: &'a [ObjectId],
    /// Name and e-mail of the author.
    pub author: (&'a str, &'a str),
    /// Now.
    pub now: Moment,
    /// What is to become of the worktree: what is too large to be saved and would go then is moved aside, after the rest is
    /// kept.
    pub next: Next,
    /// Below which directory it is moved.
    pub aside: &'a Path,
}

/// Saves what the worktree at `worktree`, or the clone with it, holds and nothing else keeps. `None`: there is nothing to save.
///
/// `ref_names` gives the n-th candidate for the ref's name; the first free one is taken.
///
/// # Errors
/// Not found, when the directory is gone or no worktree of `store`; refused, when a file cannot be moved aside; external, when git cannot tell what there is; io otherwise. Nothing is removed in any case.
pub fn salvage(store: &Store, worktree: &Path, ref_names: &dyn Fn(u32) -> String, order: &Order<'_>) -> Result<Option<Salvaged>> {
    let Found { history, mut hold, staged, on_disk } = look_over(store, worktree, order.known)?;
    let (author, now) = (order.author, order.now);
    let bulks = hold.disk.bulks().to_vec();
    let aside = Aside::of(order.aside, &bulks, order.next);
    let what: Vec<String> = history.what().into_iter().chain(hold.what()).chain(aside.what()).collect();
    if what.is_empty() {
        return Ok(None);
    }

    let base = history.head.map_or(Ok(ObjectId::empty_tree(gix::hash::Kind::Sha1)), |head| store.tree_of(head))?;
    let index_tree = hold.write_tree(base, &staged)?;
    let tree = hold.write_tree(index_tree, &on_disk)?;
    let mut parents: Vec<ObjectId> = history.head.into_iter().collect();
    if index_tree != base && index_tree != tree {
        let message = format!("The index of {}", worktree.display());
        parents.push(commits::create(&mut hold.batch, index_tree, parents.clone(), author, author, &message, now));
    }
    parents.extend(&history.tips);
    let message = format!("Salvage of {}\n\n{}", worktree.display(), history.describe(&what));
    let commit = commits::create(&mut hold.batch, tree, parents, author, author, &message, now);
    store.write(&hold.batch)?;
    let ref_name = pin_at_first_free(store, ref_names, commit, &history.kept)?;
    aside.make(store).map_err(|mut error| {
        error.message = format!("{}; the rest is kept at {ref_name}", error.message);
        error
    })?;
    Ok(Some(Salvaged { ref_name, commit, what }))
}

/// What `worktree` holds and nothing else keeps, in lines, as a salvage would tell it; nothing is saved.
///
/// # Errors
/// As [`salvage`].
pub fn unsaved(store: &Store, worktree: &Path, known: &[ObjectId]) -> Result<Vec<String>> {
    let Found { history, hold, .. } = look_over(store, worktree, known)?;
    let bulks = hold.disk.bulks().to_vec();
    let aside = Aside::of(store.dir(), &bulks, Next::Nothing);
    Ok(history.what().into_iter().chain(hold.what()).chain(aside.what()).collect())
}

/// What a look at a worktree found.
struct Found<'s> {
    history: lost::History,
    hold: Hold<'s>,
    staged: Edits,
    on_disk: Edits,
}

fn look_over<'s>(store: &'s Store, worktree: &Path, known: &[ObjectId]) -> Result<Found<'s>> {
    let private = place::private_of(store, worktree)?;
    let history = lost::look(store, &private, known)?;
    let seen = look::look(store, worktree, &private, history.head)?;
    bring_staged(store, &seen.entries)?;
    let mut hold = Hold::new(store, Outfit::of(&private));
    let (mut staged, mut on_disk) = (Edits::default(), Edits::default());
    hold.take_entries(worktree, &seen.entries, &mut staged, &mut on_disk)?;
    hold.take_places(worktree, &private, &seen, &mut on_disk)?;
    Ok(Found { history, hold, staged, on_disk })
}

/// Brings what the index names and a partial clone left out, as after `git reset --soft` in a sparse worktree; what no
/// remote has is lost, and told as such later.
fn bring_staged(store: &Store, entries: &[Entry]) -> Result<()> {
    if promised::Promise::of(store).is_none() {
        return Ok(());
    }
    let bring = |ids: &[ObjectId]| match promised::bring(store, ids, &Progress::silent()) {
        Err(error) if error.kind == Kind::Corrupt => Ok(false),
        brought => brought.map(|_| true),
    };
    let staged: Vec<ObjectId> = entries.iter().flat_map(staged_of).collect();
    if !bring(&staged)? {
        // One that is gone keeps away none of the others.
        staged.iter().try_for_each(|id| bring(&[*id]).map(drop))?;
    }
    Ok(())
}

/// The files that the index names for an entry.
fn staged_of(entry: &Entry) -> Vec<ObjectId> {
    let stages = match entry {
        Entry::Changed { index, is_staged: true, .. } => vec![*index],
        Entry::Unmerged { stages, .. } => stages.to_vec(),
        Entry::Changed { .. } | Entry::Untracked(_) | Entry::Ignored(_) => Vec::new(),
    };
    let is_file = |mode: u32| kind_of(mode).is_some_and(|kind| kind != EntryKind::Commit);
    stages.into_iter().filter(|(mode, _)| is_file(*mode)).map(|(_, id)| id).collect()
}

fn pin_at_first_free(store: &Store, names: &dyn Fn(u32) -> String, commit: ObjectId, kept: &[ObjectId]) -> Result<String> {
    for n in 0..NAMES_MAX {
        let name = names(n);
        match commits::pin(store, &name, commit, kept) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind == Kind::Conflict && store.read_ref(&name)?.is_some() => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::conflict(format!("keep the salvage {commit}: the first {NAMES_MAX} names for it are taken")))
}

/// Changes to a tree: removals first, so that a directory may stand where a file stood.
#[derive(Default)]
struct Edits {
    removed: Vec<BString>,
    put: Vec<(BString, EntryKind, ObjectId)>,
}

/// What is being taken: objects not yet written, and what to say about it.
struct Hold<'s> {
    store: &'s Store,
    batch: Batch,
    disk: disk::Reader,
    outfit: Outfit,
    staged: Vec<BString>,
    unstaged: Vec<BString>,
    conflicts: Vec<BString>,
    untracked: Vec<BString>,
    missing: Vec<BString>,
    operations: Vec<&'static str>,
    is_index_damaged: bool,
}

impl<'s> Hold<'s> {
    fn new(store: &'s Store, outfit: Outfit) -> Self {
        Self {
            store,
            batch: Batch::default(),
            disk: disk::Reader::default(),
            outfit,
            staged: Vec::new(),
            unstaged: Vec::new(),
            conflicts: Vec::new(),
            untracked: Vec::new(),
            missing: Vec::new(),
            operations: Vec::new(),
            is_index_damaged: false,
        }
    }

    /// Takes what git's status named.
    fn take_entries(&mut self, worktree: &Path, entries: &[Entry], staged: &mut Edits, on_disk: &mut Edits) -> Result<()> {
        for entry in entries {
            match entry {
                Entry::Changed { is_staged, is_unstaged, index, path, .. } => {
                    if *is_staged {
                        self.staged.push(path.clone());
                        self.take_stage(path.clone(), *index, staged);
                    }
                    if *is_unstaged {
                        self.unstaged.push(path.clone());
                        self.take_tracked(worktree, path.as_ref(), on_disk)?;
                    }
                }
                Entry::Unmerged { stages, path } => {
                    self.conflicts.push(path.clone());
                    self.take_tracked(worktree, path.as_ref(), on_disk)?;
                    for (stage, side) in stages.iter().zip(["base", "ours", "theirs"]) {
                        if stage.0 != 0 {
                            self.take_stage(below_state(&["stages", side], path.as_ref()), *stage, on_disk);
                        }
                    }
                }
                Entry::Untracked(path) if self.outfit.holds(worktree, path.as_ref()) => {}
                Entry::Untracked(path) => {
                    self.untracked.push(path.clone());
                    self.take_new(worktree, path.as_ref(), disk::Care::Everything, on_disk)?;
                }
                Entry::Ignored(path) => self.take_ignored(worktree, path.as_ref(), on_disk)?,
            }
        }
        Ok(())
    }

    /// What the index holds for a path; its object is in the store unless a crash lost it.
    fn take_stage(&mut self, path: BString, (mode, id): Stage, edits: &mut Edits) {
        match kind_of(mode) {
            None => edits.removed.push(path),
            Some(EntryKind::Commit) => edits.put.push((path, EntryKind::Commit, id)),
            Some(kind) if gix::objs::Exists::exists(&self.store.repo.objects, &id) => edits.put.push((path, kind, id)),
            Some(_) => self.missing.push(path),
        }
    }

    /// What stands on disk at a tracked path.
    fn take_tracked(&mut self, worktree: &Path, path: &BStr, edits: &mut Edits) -> Result<()> {
        let place = worktree.join(disk::native(path)?);
        if place.join(".git").exists() {
            // A submodule at another commit; its files are looked at apart.
            if let Ok((_, id)) = super::worktree::head(&place) {
                edits.put.push((path.to_owned(), EntryKind::Commit, id));
            }
            return Ok(());
        }
        edits.removed.push(path.to_owned());
        if let Some((kind, bytes)) = self.disk.read(&place, path, disk::Care::Everything)? {
            self.put(path.to_owned(), kind, bytes, edits)?;
        }
        Ok(())
    }

    /// A file or directory that the index does not know.
    fn take_new(&mut self, worktree: &Path, path: &BStr, care: disk::Care, edits: &mut Edits) -> Result<()> {
        let path = path.trim_end_with(|c| c == '/').as_bstr();
        self.take_walked(&worktree.join(disk::native(path)?), path, care, edits)
    }

    /// The same of what git ignores, but for the outfit.
    fn take_ignored(&mut self, worktree: &Path, path: &BStr, edits: &mut Edits) -> Result<()> {
        let path = path.trim_end_with(|c| c == '/').as_bstr();
        let place = worktree.join(disk::native(path)?);
        for (place, path) in self.disk.walk(&place, path, disk::Care::Ignored)? {
            if self.outfit.holds(worktree, path.as_ref()) {
                continue;
            }
            if let Some((kind, bytes)) = self.disk.read(&place, path.as_ref(), disk::Care::Ignored)? {
                self.put(path, kind, bytes, edits)?;
            }
        }
        Ok(())
    }

    /// Everything at and below `place`, put at `path` of the tree.
    fn take_walked(&mut self, place: &Path, path: &BStr, care: disk::Care, edits: &mut Edits) -> Result<()> {
        for (place, path) in self.disk.walk(place, path, care)? {
            if let Some((kind, bytes)) = self.disk.read(&place, path.as_ref(), care)? {
                self.put(path, kind, bytes, edits)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, path: BString, kind: EntryKind, bytes: Vec<u8>, edits: &mut Edits) -> Result<()> {
        let id = self.batch.add(gix::objs::Kind::Blob, bytes);
        edits.put.push((path, kind, id));
        if self.disk.is_batch_full() {
            // Written ahead in parts, so that a large worktree needs no large memory.
            self.store.write(&std::mem::take(&mut self.batch))?;
        }
        Ok(())
    }

    /// What lies outside of the index's sight: operations under way, a damaged index, repositories inside.
    fn take_places(&mut self, worktree: &Path, private: &Path, seen: &look::Seen, edits: &mut Edits) -> Result<()> {
        self.operations = look::operations(private);
        if !self.operations.is_empty() {
            for name in super::worktree::OPERATIONS.iter().filter(|name| private.join(name).exists()) {
                let path = below_state(&["state"], BStr::new(name));
                self.take_walked(&private.join(name), path.as_ref(), disk::Care::Everything, edits)?;
            }
        }
        if seen.is_index_damaged {
            self.is_index_damaged = true;
            let path = below_state(&[], BStr::new("index"));
            self.take_walked(&private.join("index"), path.as_ref(), disk::Care::Everything, edits)?;
        }
        if private != self.store.dir() && worktree.join(".git").is_dir() {
            self.untracked.push(".git".into());
            self.take_walked(&worktree.join(".git"), BStr::new(".git"), disk::Care::Everything, edits)?;
        }
        for (path, git_dir) in &seen.submodules {
            self.untracked.push(path.clone());
            let at = below_state(&["submodules"], path.as_ref());
            self.take_walked(&worktree.join(disk::native(path.as_ref())?), at.as_ref(), disk::Care::Everything, edits)?;
            let beside = BString::from([path.as_slice(), b".git-dir"].concat());
            let at = below_state(&["submodules"], beside.as_ref());
            self.take_walked(git_dir, at.as_ref(), disk::Care::Everything, edits)?;
        }
        Ok(())
    }

    /// The tree `base` with `edits`; what is new goes to the batch.
    fn write_tree(&mut self, base: ObjectId, edits: &Edits) -> Result<ObjectId> {
        let deed = || "put together the tree of a salvage";
        let edit = |batch: &Batch, base: ObjectId, removed: &[BString], put: &[(BString, EntryKind, ObjectId)]| {
            let mut made = Batch::default();
            let over = batch.over(self.store);
            let mut editor = gix::objs::tree::Editor::new(read_tree(&over, base)?, &over, gix::hash::Kind::Sha1);
            for path in removed {
                editor.remove(components(path)).or_fail(Kind::Corrupt, deed)?;
            }
            for (path, kind, id) in put {
                editor.upsert(components(path), *kind, *id).or_fail(Kind::Corrupt, deed)?;
            }
            let tree = editor.write(|tree| Ok::<_, Error>(made.add_value(tree)))?;
            Ok::<_, Error>((tree, made))
        };
        // In two steps: an editor forgets a file that it puts where it emptied a directory.
        let (without, made) = edit(&self.batch, base, &edits.removed, &[])?;
        self.batch.absorb(made);
        let (tree, made) = edit(&self.batch, without, &[], &edits.put)?;
        self.batch.absorb(made);
        Ok(tree)
    }

    fn what(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(self.operations.iter().map(|name| format!("{name} under way")));
        let kinds = [
            ("in conflict", &self.conflicts),
            ("staged", &self.staged),
            ("unstaged", &self.unstaged),
            ("untracked", &self.untracked),
        ];
        for (word, paths) in kinds {
            lines.extend(named(word, paths));
        }
        lines.extend(named("ignored", self.disk.ignored()));
        lines.extend(self.is_index_damaged.then(|| "a damaged index".to_owned()));
        lines.extend(named("lost before: staged content missing from the store", &self.missing));
        lines.extend(named("left out", self.disk.left_out()));
        lines
    }
}

/// A line such as `3 staged: a, b, c`; what is not UTF-8 is replaced.
fn named(word: &str, paths: &[BString]) -> Option<String> {
    let names: Vec<_> = paths.iter().take(NAMED_MAX).map(|path| path.to_str_lossy()).collect();
    let more = if paths.len() > NAMED_MAX { ", …" } else { "" };
    (!paths.is_empty()).then(|| format!("{} {word}: {}{more}", paths.len(), names.join(", ")))
}

fn below_state(dirs: &[&str], path: &BStr) -> BString {
    let mut full = BString::from(STATE_DIR);
    for part in dirs.iter().map(|dir| dir.as_bytes()).chain([path.as_bytes()]) {
        full.push(b'/');
        full.extend_from_slice(part);
    }
    full
}

fn components(path: &BString) -> impl Iterator<Item = &BStr> {
    path.split(|byte| *byte == b'/').map(BStr::new)
}

/// The kind of tree entry of a mode in the index; `None` for 0, which is absence.
fn kind_of(mode: u32) -> Option<EntryKind> {
    match mode {
        0 => None,
        0o120_000 => Some(EntryKind::Link),
        0o160_000 => Some(EntryKind::Commit),
        mode if mode & 0o100 != 0 => Some(EntryKind::BlobExecutable),
        _ => Some(EntryKind::Blob),
    }
}
