//! The index's file: read whole parts of it, append to it, replace it. Whatever is wrong with it is no failure;
//! then there is no index.
//!
//! Readers take no lock: the base never changes in place, and each appended patch carries a checksum that
//! continues the one before it, so that a torn end is an end. Writers that find another writing do without.
//! Nothing is synced to disk.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use gix::ObjectId;
use serde::de::DeserializeOwned;

use super::encode::Made;
use super::layout::{HEADER_BYTES, Header, Notes, sum, u32_at, u64_at};
use super::roll::{Hall, Roll};
use super::stacks::Stacks;
use super::{BeadPatch, Half, LetterPatch, Patch};
use crate::error::Result;
use crate::ledger::State;
use crate::store::lock::KernelLock;

/// Bytes before each patch: how long its two halves are, and its checksum. The tree comes next.
const FRAME_BYTES: usize = 16;
const TREE_BYTES: usize = 20;

/// An index as it was found: what was read of it, and where its good end is.
pub struct Found {
    file: Rc<File>,
    path: PathBuf,
    pub header: Header,
    /// The tree that base and patches together make.
    pub tree: ObjectId,
    pub notes: Notes,
    tail: Vec<u8>,
    /// Where in the tail the halves of each patch lie, oldest first.
    frames: Vec<(Range<usize>, Range<usize>)>,
    pub tail_bytes: usize,
    end: u64,
    chain: u64,
}

/// Reads header, notes and tail of the index; `None` when there is none that can be used.
pub fn open(state: &State<'_>, half: Half) -> Option<Found> {
    let path = path(state, half);
    let mut file = File::open(&path).ok()?;
    let mut head = [0; HEADER_BYTES];
    file.read_exact(&mut head).ok()?;
    let header = Header::decode(&head, state.store().record_bytes_max())?;
    let len = usize::try_from(file.metadata().ok()?.len()).ok()?;
    if len < header.base_bytes() {
        return None;
    }
    let notes = read_at(&file, HEADER_BYTES, header.sizes.notes)?;
    if sum(1, &notes) != header.sums[0] {
        return None;
    }
    file.seek(SeekFrom::Start(header.base_bytes() as u64)).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let mut found = Found {
        tree: header.tree,
        notes: serde_json::from_slice(&notes).ok()?,
        frames: Vec::new(),
        tail_bytes: 0,
        end: 0,
        chain: header.sum,
        tail: Vec::new(),
        header,
        file: Rc::new(file),
        path,
    };
    while let Some(frame) = next_frame(found.chain, &tail, found.tail_bytes) {
        found.tree = frame.tree;
        found.chain = frame.sum;
        found.tail_bytes = frame.letters.end;
        found.frames.push((frame.beads, frame.letters));
    }
    found.tail = tail;
    found.end = (found.header.base_bytes() + found.tail_bytes) as u64;
    Some(found)
}

struct Frame {
    tree: ObjectId,
    sum: u64,
    beads: Range<usize>,
    letters: Range<usize>,
}

fn next_frame(chain: u64, tail: &[u8], at: usize) -> Option<Frame> {
    let head = tail.get(at..at + FRAME_BYTES)?;
    let body = at + FRAME_BYTES;
    let beads = body + TREE_BYTES..body + TREE_BYTES + u32_at(head, 0) as usize;
    let letters = beads.end..beads.end + u32_at(head, 4) as usize;
    let own = sum(chain, tail.get(body..letters.end)?);
    if own != u64_at(head, 8) {
        return None;
    }
    let tree = ObjectId::try_from(&tail[body..body + TREE_BYTES]).ok()?;
    Some(Frame { tree, sum: own, beads, letters })
}

fn read_at(file: &File, at: usize, len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, at as u64).ok()?;
    Some(bytes)
}

impl Found {
    /// Reads the roll; `None` when it is damaged.
    pub fn roll(&self) -> Option<Roll> {
        let bytes = self.part(self.header.roll_at(), self.header.sizes.roll_bytes(), 3)?;
        Some(Roll::new(self.header.sizes, &self.notes, bytes))
    }

    /// Reads the mailboxes; `None` when they are damaged.
    pub fn hall(&self) -> Option<Hall> {
        let bytes = self.part(self.header.hall_at(), self.header.sizes.hall_bytes(), 4)?;
        Some(Hall::new(self.header.sizes, bytes))
    }

    /// The stacks, which are checked as they are read; `None` when the checksums themselves are damaged.
    pub fn stacks(&self) -> Option<Stacks> {
        let sums = self.part(self.header.sums_at(), self.header.sizes.sum_bytes(), 2)?;
        Some(Stacks::in_file(&self.header, Rc::clone(&self.file), self.path.clone(), sums))
    }

    fn part(&self, at: usize, len: usize, seed: u64) -> Option<Vec<u8>> {
        let bytes = read_at(&self.file, at, len)?;
        let place = usize::try_from(seed).ok()? - 1;
        (sum(seed, &bytes) == self.header.sums[place]).then_some(bytes)
    }

    /// What changed among the beads since the base, oldest first.
    pub fn bead_patches(&self) -> Option<Vec<BeadPatch>> {
        self.frames.iter().map(|(beads, _)| self.half(beads)).collect()
    }

    /// What changed among the letters since the base, oldest first.
    pub fn letter_patches(&self) -> Option<Vec<LetterPatch>> {
        self.frames.iter().map(|(_, letters)| self.half(letters)).collect()
    }

    fn half<T: DeserializeOwned + Default>(&self, range: &Range<usize>) -> Option<T> {
        if range.is_empty() {
            return Some(T::default());
        }
        serde_json::from_slice(self.tail.get(range.clone())?).ok()
    }

    /// Appends `patch`, unless another process writes or the file is no longer what was found.
    pub fn append(&self, patch: &Patch) {
        if let Err(error) = self.try_append(patch) {
            tracing::debug!(%error, "the index was not brought up to date on disk");
        }
    }

    fn try_append(&self, patch: &Patch) -> std::io::Result<()> {
        let Some(_turn) = turn(&self.path) else { return Ok(()) };
        let file = File::options().write(true).open(&self.path)?;
        let (there, ours) = (file.metadata()?, self.file.metadata()?);
        if (there.dev(), there.ino()) != (ours.dev(), ours.ino()) || !self.ends_as_found() {
            return Ok(());
        }
        let mut body = patch.tree.as_slice().to_vec();
        let mut bytes = Vec::new();
        for half in [half_of(&patch.beads, patch.beads.is_empty())?, half_of(&patch.letters, patch.letters.is_empty())?] {
            let Ok(len) = u32::try_from(half.len()) else { return Ok(()) };
            bytes.extend_from_slice(&len.to_le_bytes());
            body.extend_from_slice(&half);
        }
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
        more.is_some_and(|bytes| next_frame(self.chain, &bytes, 0).is_none())
    }
}

/// A half of a patch as it is written: nothing, when nothing changed.
fn half_of(half: &impl serde::Serialize, is_empty: bool) -> std::io::Result<Vec<u8>> {
    if is_empty { Ok(Vec::new()) } else { Ok(serde_json::to_vec(half)?) }
}

/// Where the index of half a state lies: the archive has its own.
pub fn path(state: &State<'_>, half: Half) -> PathBuf {
    state.store().private_dir().join(match (state.is_archive(), half) {
        (false, Half::Beads) => "index",
        (false, Half::Letters) => "index-mail",
        (true, Half::Beads) => "index-archive",
        (true, Half::Letters) => "index-archive-mail",
    })
}

fn turn(path: &Path) -> Option<KernelLock> {
    KernelLock::try_take(&path.with_extension("flock")).ok().flatten()
}

/// Puts `made` in the place of the index at `path`, unless another process writes.
pub fn replace(path: &Path, made: &Made) {
    let Some(_turn) = turn(path) else { return };
    if let Err(error) = write_whole(path, made) {
        tracing::debug!(%error, "the index was not written");
    }
}

/// Puts what `make` makes in the place of the index at `path`, or nothing, with its turn among writers.
///
/// # Errors
/// Those of `make`; conflict, when another process writes for too long; io, when the file cannot be written.
pub fn replace_now<T>(path: &Path, make: impl FnOnce() -> Result<(Option<Made>, T)>) -> Result<T> {
    use crate::error::{Kind, OrFail as _};
    let _turn = KernelLock::take(&path.with_extension("flock"))?;
    let (made, value) = make()?;
    let written = match made {
        Some(made) => write_whole(path, &made),
        None => std::fs::remove_file(path).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        }),
    };
    written.or_fail(Kind::Io, || format!("write the index {}", path.display()))?;
    Ok(value)
}

/// Only whoever has the turn writes, so one temporary name serves all, and a left-over is overwritten.
fn write_whole(path: &Path, made: &Made) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    for part in made.parts() {
        file.write_all(part)?;
    }
    std::fs::rename(&fresh, path)
}
