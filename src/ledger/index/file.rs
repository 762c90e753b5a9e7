//! The index's file: read whole parts of it, append to it, replace it. Whatever is wrong with it is no failure;
//! then there is no index.
//!
//! Readers take no lock: the base never changes in place, and each appended patch carries a checksum that
//! continues the one before it, so that a torn end is an end. Writers that find another writing do without.
//! Nothing is synced to disk.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use gix::ObjectId;

use super::Patch;
use super::base::{Post, Roll};
use super::layout::{HEADER_BYTES, Header, sum, u32_at, u64_at};
use crate::error::Result;
use crate::ledger::State;
use crate::store::lock::KernelLock;

/// Bytes before each patch: its length, nothing, its checksum.
const FRAME_BYTES: usize = 16;

/// An index as it was found: what was read of it, and where its good end is.
pub struct Found {
    file: File,
    pub header: Header,
    /// The tree that base and patches together make.
    pub tree: ObjectId,
    pub damaged: Vec<(String, String)>,
    /// The patches behind the base, oldest first.
    pub patches: Vec<Patch>,
    pub tail_bytes: usize,
    end: u64,
    chain: u64,
}

/// Reads header and patches of the index at `path`; `None` when there is none that can be used.
pub fn open(path: &Path) -> Option<Found> {
    let mut file = File::open(path).ok()?;
    let mut head = [0; HEADER_BYTES];
    file.read_exact(&mut head).ok()?;
    let header = Header::decode(&head)?;
    let len = usize::try_from(file.metadata().ok()?.len()).ok()?;
    if len < header.base_bytes() {
        return None;
    }
    let damaged = read_at(&file, HEADER_BYTES, header.damaged)?;
    if sum(1, &damaged) != header.sums[0] {
        return None;
    }
    file.seek(SeekFrom::Start(header.base_bytes() as u64)).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let mut found = Found {
        tree: header.tree,
        damaged: serde_json::from_slice(&damaged).ok()?,
        patches: Vec::new(),
        tail_bytes: 0,
        end: 0,
        chain: header.sum,
        header,
        file,
    };
    while let Some((patch, tree, chain, bytes)) = next_patch(found.chain, &tail[found.tail_bytes..]) {
        found.patches.push(patch);
        found.tree = tree;
        found.chain = chain;
        found.tail_bytes += bytes;
    }
    found.end = (found.header.base_bytes() + found.tail_bytes) as u64;
    Some(found)
}

fn next_patch(chain: u64, bytes: &[u8]) -> Option<(Patch, ObjectId, u64, usize)> {
    let len = u32_at(bytes.get(..FRAME_BYTES)?, 0) as usize;
    let body = bytes.get(FRAME_BYTES..FRAME_BYTES + len)?;
    let own = sum(chain, body);
    if own != u64_at(bytes, 8) {
        return None;
    }
    let patch: Patch = serde_json::from_slice(body).ok()?;
    let tree = ObjectId::from_hex(patch.tree.as_bytes()).ok()?;
    Some((patch, tree, own, FRAME_BYTES + len))
}

fn read_at(file: &File, at: usize, len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, at as u64).ok()?;
    Some(bytes)
}

impl Found {
    /// Reads the beads' part; `None` when it is damaged.
    pub fn roll(&self) -> Option<Roll> {
        let at = HEADER_BYTES + self.header.damaged;
        let bytes = read_at(&self.file, at, self.header.roll_bytes())?;
        (sum(2, &bytes) == self.header.sums[1]).then(|| Roll::new(&self.header, bytes))
    }

    /// Reads the letters' part; `None` when it is damaged.
    pub fn post(&self) -> Option<Post> {
        let at = HEADER_BYTES + self.header.damaged + self.header.roll_bytes();
        let bytes = read_at(&self.file, at, self.header.post_bytes())?;
        (sum(3, &bytes) == self.header.sums[2]).then(|| Post::new(&self.header, bytes))
    }

    /// Appends `patch`, unless another process writes or the file is no longer what was found.
    pub fn append(&self, path: &Path, patch: &Patch) {
        if let Err(error) = self.try_append(path, patch) {
            tracing::debug!(%error, "the index was not brought up to date on disk");
        }
    }

    fn try_append(&self, path: &Path, patch: &Patch) -> std::io::Result<()> {
        let Some(_turn) = turn(path) else { return Ok(()) };
        let file = File::options().write(true).open(path)?;
        let (there, ours) = (file.metadata()?, self.file.metadata()?);
        if (there.dev(), there.ino()) != (ours.dev(), ours.ino()) || !self.ends_as_found() {
            return Ok(());
        }
        let body = serde_json::to_vec(patch)?;
        let Ok(len) = u32::try_from(body.len()) else { return Ok(()) };
        let mut bytes = u64::from(len).to_le_bytes().to_vec();
        bytes.extend_from_slice(&sum(self.chain, &body).to_le_bytes());
        bytes.extend_from_slice(&body);
        // What lies behind the good end was left by a writer that died.
        file.set_len(self.end)?;
        file.write_all_at(&bytes, self.end)
    }

    /// Whether nobody has appended a good patch since.
    fn ends_as_found(&self) -> bool {
        let Ok(len) = self.file.metadata().map(|meta| meta.len()) else { return false };
        if len <= self.end {
            return len == self.end;
        }
        let more = usize::try_from(len - self.end).ok().and_then(|len| {
            let at = usize::try_from(self.end).ok()?;
            read_at(&self.file, at, len)
        });
        more.is_some_and(|bytes| next_patch(self.chain, &bytes).is_none())
    }
}

/// Where the index of a state lies: the archive has one of its own.
pub fn path(state: &State<'_>) -> PathBuf {
    state.store().private_dir().join(if state.is_archive() { "index-archive" } else { "index" })
}

fn turn(path: &Path) -> Option<KernelLock> {
    KernelLock::try_take(&path.with_extension("flock")).ok().flatten()
}

/// Puts `bytes` in the place of the index at `path`, unless another process writes.
pub fn replace(path: &Path, bytes: &[u8]) {
    let Some(_turn) = turn(path) else { return };
    if let Err(error) = write_whole(path, bytes) {
        tracing::debug!(%error, "the index was not written");
    }
}

/// Puts what `make` makes in the place of the index at `path`, or nothing, with its turn among writers.
///
/// # Errors
/// Those of `make`; conflict, when another process writes for too long; io, when the file cannot be written.
pub fn replace_now<T>(path: &Path, make: impl FnOnce() -> Result<(Option<Vec<u8>>, T)>) -> Result<T> {
    use crate::error::{Kind, OrFail as _};
    let _turn = KernelLock::take(&path.with_extension("flock"))?;
    let (bytes, value) = make()?;
    let written = match bytes {
        Some(bytes) => write_whole(path, &bytes),
        None => std::fs::remove_file(path).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        }),
    };
    written.or_fail(Kind::Io, || format!("write the index {}", path.display()))?;
    Ok(value)
}

/// Only whoever has the turn writes, so one temporary name serves all, and a left-over is overwritten.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(bytes)?;
    std::fs::rename(&fresh, path)
}
