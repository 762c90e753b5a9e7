//! Packing: loose objects into packs, packs into fewer, and pruning of what nothing refers to.
//!
//! gix writes no deltas and has no repack, so this is git's. It may run beside readers and writers: git adds the new
//! pack before it removes what the pack holds, and what is not reachable stays as a loose object with its age.

mod gather;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::git::program;
use crate::git::promised::Promise;
use crate::git::side_door::SideDoor;
use crate::store::Store;
use crate::time::Moment;

/// What the objects take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Sizes {
    /// Loose objects.
    pub loose: u64,
    /// Packs.
    pub packs: u64,
    /// Bytes on disk of all of it.
    pub disk_bytes: u64,
}

/// What packing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packing {
    /// There was too little to do.
    NotNeeded,
    /// Loose objects are in a pack.
    Packed,
    /// Loose objects and small packs are in larger packs.
    Gathered,
    /// Everything reachable is in one pack.
    PackedWhole,
    /// There is no git program on this machine.
    NoGit,
}

/// How to pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// What is loose, and packs when there are many.
    Usual,
    /// The same beside people who work: by one thread.
    Behind,
    /// Everything anew into one pack.
    Whole,
}

/// How much there is to pack, by a quick look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Little.
    Fine,
    /// Enough.
    Grown,
    /// Several times as much.
    Far,
}

/// Loose objects from which on they are packed: what some two hundred changes leave.
pub const LOOSE_MIN: u64 = 1_000;
/// Loose objects in one of the 256 directories from which on the quick look says that it is time: some 2,000 in all,
/// so that chance alone does not start a packing that finds fewer than [`LOOSE_MIN`].
const LOOSE_SAMPLE_MIN: usize = 8;
/// How many times that is far too much.
const FAR: usize = 5;
/// Packs from which on they are gathered.
const PACKS_MIN: u64 = 10;

/// Estimates from one directory of the git directory `dir`, as `git gc --auto` does, how much is loose; looks at the
/// packs too when one was written (`has_pack`).
#[must_use]
pub fn growth(dir: &Path, has_pack: bool) -> Growth {
    let count = |below: &str, is_counted: fn(&std::fs::DirEntry) -> bool| {
        let entries = std::fs::read_dir(dir.join("objects").join(below)).into_iter().flatten();
        entries.filter_map(std::result::Result::ok).filter(is_counted).count()
    };
    let is_pack = |entry: &std::fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "pack");
    let packs = if has_pack { count("pack", is_pack) } else { 0 };
    let packs_min = usize::try_from(PACKS_MIN).unwrap_or(usize::MAX);
    match (count("17", |_| true) / LOOSE_SAMPLE_MIN).max(packs / packs_min) {
        0 => Growth::Fine,
        times if times < FAR => Growth::Grown,
        _ => Growth::Far,
    }
}

/// Counts the objects of `store`.
#[must_use]
pub fn sizes(store: &Store) -> Sizes {
    let mut sizes = Sizes::default();
    let all = walkdir::WalkDir::new(store.dir().join("objects")).into_iter().filter_map(std::result::Result::ok);
    // What vanishes while we count was packed beside us.
    for (entry, meta) in all.filter_map(|entry| entry.metadata().ok().map(|meta| (entry, meta))) {
        sizes.disk_bytes += meta.blocks() * 512;
        let parent = entry.path().parent().and_then(|dir| dir.file_name()).unwrap_or_default();
        if meta.is_file() && parent.len() == 2 {
            sizes.loose += 1;
        } else if entry.path().extension().is_some_and(|extension| extension == "pack") {
            sizes.packs += 1;
        }
    }
    sizes
}

/// Packs what there is to pack.
///
/// # Errors
/// External, when git fails; everything is still there then.
pub fn pack(store: &Store, how: How) -> Result<Packing> {
    let before = sizes(store);
    let mut done = Packing::NotNeeded;
    let mut door = None;
    // Behind, the quick look has said that it is time, and may have been wrong; then the next comes late.
    let loose_min = if how == How::Behind { LOOSE_MIN / 4 } else { LOOSE_MIN };
    let threads: &[&str] = if how == How::Behind { &["-c", "pack.threads=1"] } else { &[] };
    let is_partial = Promise::of(store).is_some();
    let marked = if is_partial { gather::marked(store) } else { Vec::new() };
    // Of a pack that refers to what is not here there is no bitmap.
    let bitmap: &[&str] = if is_partial { &["--no-write-bitmap-index"] } else { &[] };
    let whole = [&["repack", "-A", "-d", "-n", "-q"], bitmap].concat();
    // git mends the mark of what a remote left out when it packs everything, and loses it when it gathers packs.
    let kept: Vec<String> = marked.iter().map(|pack| format!("--keep-pack={}", pack.name())).collect();
    let gathering: Vec<&str> =
        ["repack", "-d", "-n", "-q", "--geometric=2"].into_iter().chain(kept.iter().map(String::as_str)).collect();
    let unmarked = before.packs.saturating_sub(marked.len() as u64);
    // Without the list for servers of plain files (-n), which git does not sync: a power cut leaves it empty.
    let steps: [(bool, &[&str], Packing); 3] = [
        (how == How::Whole, &whole, Packing::PackedWhole),
        (how != How::Whole && before.loose >= loose_min, &["repack", "-d", "-n", "-q"], Packing::Packed),
        // After what is loose: gathered alone it would get no deltas against what is packed.
        (how != How::Whole && unmarked >= PACKS_MIN, &gathering, Packing::Gathered),
    ];
    for (_, words, packing) in steps.into_iter().filter(|(is_time, ..)| *is_time) {
        let door = match &door {
            Some(door) => door,
            None => door.insert(SideDoor::open(store)?),
        };
        let output = match door.run(&[threads, words].concat()) {
            Err(error) if program::is_absent(&error) => return Ok(Packing::NoGit),
            other => other?,
        };
        if !output.is_success() {
            let line = format!("pack {}: {}", store.dir().display(), output.last_line());
            return Err(Error::new(output.failure(), line).hint("nothing is lost; git fsck tells more"));
        }
        done = packing;
    }
    if how != How::Whole && marked.len() as u64 >= PACKS_MIN && gather::gather(store, marked, threads)? {
        done = Packing::Gathered;
    }
    Ok(done)
}

/// Whether there is a loose object older than `before`, so that pruning could find something.
#[must_use]
pub fn has_loose_before(store: &Store, before: Moment) -> bool {
    let all = walkdir::WalkDir::new(store.dir().join("objects")).min_depth(2).max_depth(2).into_iter();
    all.filter_map(std::result::Result::ok).any(|entry| {
        let parent = entry.path().parent().and_then(|dir| dir.file_name()).unwrap_or_default();
        parent.len() == 2 && entry.metadata().is_ok_and(|meta| meta.is_file() && meta.mtime() < before.secs())
    })
}

/// Removes loose objects that nothing refers to and that were last written or used before `before`.
///
/// Only under the lock of the writers: who writes an object that stands there already relies on it.
///
/// # Errors
/// External, when git fails.
pub fn prune(store: &Store, before: Moment) -> Result<()> {
    let text = before.to_string();
    let expire = format!("--expire={}Z", text.split('.').next().unwrap_or_default());
    let output = SideDoor::open(store)?.run(&["prune", &expire])?;
    let deed = || format!("prune {}: {}", store.dir().display(), output.last_line());
    output.is_success().then_some(()).ok_or_else(|| Error::new(output.failure(), deed()))
}

/// Keeps git from removing objects in a repository that was made before new ones did so; tells whether that is new.
/// Where somebody has decided about it, that stands.
///
/// # Errors
/// External, when git cannot write the configuration.
pub fn guard(store: &Store) -> Result<bool> {
    if store.repo.config_snapshot().string("extensions.preciousObjects").is_some() {
        return Ok(false);
    }
    program::bare_ok(store.dir(), &["config", "extensions.preciousObjects", "true"]).map(|_| true)
}
