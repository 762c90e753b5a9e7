//! Packs: written for a push, and taken in from a fetch so that nothing unsynced becomes visible.
//!
//! Format: gitformat-pack(5), version 2. Deltas are "common prefix, new middle, common suffix", which is what a
//! tree with one changed entry is to the tree before; anything cleverer is left to `git repack`.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::objs::Kind as ObjectKind;
use gix_pack::bundle::write::{Options, Outcome};
use gix_pack::data::Version;
use gix_pack::data::entry::Header;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::progress::Progress;
use crate::git::reach;
use crate::store::objects::{Batch, Staging};
use crate::store::{Store, sync_dir};

/// A pack on its way out; the number of entries is said first and must be kept.
pub struct PackWriter<W> {
    out: W,
    hasher: gix::hash::Hasher,
    left: u32,
}

impl<W: Write> PackWriter<W> {
    /// Begins a pack of `entries` objects.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(out: W, entries: u32) -> std::io::Result<Self> {
        let mut pack = Self { out, hasher: gix::hash::hasher(gix::hash::Kind::Sha1), left: entries };
        pack.put(&gix_pack::data::header::encode(Version::V2, entries))?;
        Ok(pack)
    }

    /// Adds an object as it is.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn whole(&mut self, kind: ObjectKind, bytes: &[u8]) -> std::io::Result<()> {
        let header = match kind {
            ObjectKind::Commit => Header::Commit,
            ObjectKind::Tree => Header::Tree,
            ObjectKind::Blob => Header::Blob,
            ObjectKind::Tag => Header::Tag,
        };
        self.entry(&header, bytes)
    }

    /// Adds an object as its [`delta`] to `base`, which the receiver has or which came before.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn delta(&mut self, base: ObjectId, delta: &[u8]) -> std::io::Result<()> {
        self.entry(&Header::RefDelta { base_id: base }, delta)
    }

    /// Ends the pack with its checksum.
    ///
    /// # Errors
    /// Those of `out`; other, when the number of entries is not the one said at the beginning.
    pub fn finish(mut self) -> std::io::Result<ObjectId> {
        if self.left != 0 {
            return Err(std::io::Error::other("the pack has another number of entries than its header says"));
        }
        let id = self.hasher.try_finalize().map_err(|error| std::io::Error::other(error.to_string()))?;
        self.out.write_all(id.as_slice())?;
        self.out.flush()?;
        Ok(id)
    }

    fn entry(&mut self, header: &Header, bytes: &[u8]) -> std::io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| std::io::Error::other("the pack is full"))?;
        let mut head = Vec::with_capacity(32);
        header.write_to(bytes.len() as u64, &mut head)?;
        self.put(&head)?;
        let mut deflate = gix::zlib::stream::deflate::Write::new(Vec::new(), gix::zlib::Compression::DEFAULT);
        deflate.write_all(bytes)?;
        deflate.flush()?;
        let packed = deflate.into_inner();
        self.put(&packed)
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Longest copy that one delta instruction can make.
const COPY_BYTES_MAX: usize = 0xff_ffff;
/// Longest insertion that one delta instruction can make.
const INSERT_BYTES_MAX: usize = 127;
/// Objects larger than this are sent whole: comparing them costs more than it spares.
pub(crate) const DELTA_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The delta that makes `target` from `base`; `None` when it spares less than a quarter.
#[must_use]
pub fn delta(base: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    if base.len().max(target.len()) > DELTA_BYTES_MAX {
        return None;
    }
    let prefix = base.iter().zip(target).take_while(|(a, b)| a == b).count();
    let rest = base.len().min(target.len()) - prefix;
    let suffix = base.iter().rev().zip(target.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let middle = &target[prefix..target.len() - suffix];
    if middle.len() + 16 > target.len() * 3 / 4 {
        return None;
    }
    let mut out = Vec::with_capacity(middle.len() + 32);
    size(&mut out, base.len());
    size(&mut out, target.len());
    copy(&mut out, 0, prefix);
    for chunk in middle.chunks(INSERT_BYTES_MAX) {
        out.push(u8::try_from(chunk.len()).unwrap_or(0));
        out.extend_from_slice(chunk);
    }
    copy(&mut out, base.len() - suffix, suffix);
    Some(out)
}

/// A length in groups of seven bits, low ones first.
fn size(out: &mut Vec<u8>, mut value: usize) {
    while value > 0x7f {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

fn low_byte(value: usize) -> u8 {
    value.to_le_bytes()[0]
}

/// Copy instructions: a bit of the first byte for each byte of offset and length that is not zero.
fn copy(out: &mut Vec<u8>, mut offset: usize, mut len: usize) {
    while len > 0 {
        let part = len.min(COPY_BYTES_MAX);
        let at = out.len();
        out.push(0x80);
        for (value, count, first_bit) in [(offset, 4, 0), (part, 3, 4)] {
            for n in 0..count {
                let byte = low_byte(value >> (8 * n));
                if byte != 0 {
                    out[at] |= 1 << (first_bit + n);
                    out.push(byte);
                }
            }
        }
        offset += part;
        len -= part;
    }
}

/// Packs of fewer objects become loose objects: each pack costs every process a little at every start.
const LOOSE_OBJECTS_MAX: u32 = 100;
/// Packs larger than this stay packs.
const LOOSE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The largest object that is taken in, in bytes.
const OBJECT_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// A received pack in a directory of its own, where nobody sees it yet.
pub(crate) struct Received {
    staging: Staging,
    outcome: Outcome,
}

impl Received {
    /// Reads a pack from `input`, completes it where it is thin, checks its sums and indexes it.
    pub(crate) fn read(
        store: &Store,
        staging: Staging,
        input: &mut dyn std::io::BufRead,
        progress: &mut dyn gix::DynNestedProgress,
    ) -> gix::Result<Self> {
        let options = Options { alloc_limit_bytes: Some(OBJECT_BYTES_MAX), ..Options::default() };
        let bases = store.repo.clone().objects;
        let outcome = gix_pack::Bundle::write_to_directory(
            input,
            Some(staging.dir()),
            progress,
            &AtomicBool::new(false),
            Some(bases),
            gix::hash::Kind::Sha1,
            options,
        )?;
        Ok(Self { staging, outcome })
    }

    /// Makes the objects durable and visible, unless something reachable from `tips` and not from `known` is missing.
    pub(crate) fn keep(self, store: &Store, tips: &[ObjectId], known: &[ObjectId]) -> Result<()> {
        let (Some(data), Some(index)) = (&self.outcome.data_path, &self.outcome.index_path) else {
            return check_complete(store, tips, known);
        };
        let bytes = std::fs::metadata(data).map_or(u64::MAX, |meta| meta.len());
        if self.outcome.index.num_objects < LOOSE_OBJECTS_MAX && bytes < LOOSE_BYTES_MAX {
            let batch = unpack(index)?;
            let exists = |id| batch.has(id) || store.repo.has_object(id);
            reach::check_complete(&batch.over(store), &exists, tips, known)?;
            return store.write(&batch);
        }
        let (data, index) = adopt(store, data, index)?;
        check_complete(store, tips, known).inspect_err(|_| {
            // What is left should removal fail is whole, only referred to by nothing.
            let _ = std::fs::remove_file(&index);
            let _ = std::fs::remove_file(&data);
        })?;
        drop(self.staging);
        Ok(())
    }
}

fn check_complete(store: &Store, tips: &[ObjectId], known: &[ObjectId]) -> Result<()> {
    let exists = |id| store.repo.has_object(id);
    reach::check_complete(&store.repo.objects, &exists, tips, known)
}

/// All objects of the pack whose index is at `index`.
fn unpack(index: &Path) -> Result<Batch> {
    let deed = || "unpack what was received";
    let bundle = gix_pack::Bundle::at(index, gix::hash::Kind::Sha1).or_fail(Kind::Corrupt, deed)?;
    let mut batch = Batch::default();
    let (mut bytes, mut inflate) = (Vec::new(), gix::zlib::Inflate::default());
    for n in 0..bundle.index.num_objects() {
        let found = bundle.get_object_by_index(n, &mut bytes, &mut inflate, &mut gix_pack::cache::Never);
        let kind = found.or_fail(Kind::Corrupt, deed)?.0.kind;
        batch.add(kind, bytes.clone());
    }
    Ok(batch)
}

/// Syncs a pack and its index, then moves them among the others, the index last: without it a pack is not seen.
fn adopt(store: &Store, pack: &Path, index: &Path) -> Result<(PathBuf, PathBuf)> {
    let packs = store.dir().join("objects").join("pack");
    let mut moved = Vec::new();
    for from in [pack, index] {
        let deed = || format!("keep the pack {}", from.display());
        std::fs::set_permissions(from, std::fs::Permissions::from_mode(0o444)).or_fail(Kind::Io, deed)?;
        if store.is_durable() {
            std::fs::File::open(from).and_then(|file| file.sync_all()).or_fail(Kind::Io, deed)?;
        }
    }
    crate::env::crash_point("git.pack.synced");
    for from in [pack, index] {
        let deed = || format!("keep the pack {}", from.display());
        let to = packs.join(from.file_name().or_fail(Kind::Bug, deed)?);
        std::fs::rename(from, &to).or_fail(Kind::Io, deed)?;
        moved.push(to);
    }
    if store.is_durable() {
        sync_dir(&packs)?;
    }
    let index = moved.pop().unwrap_or_default();
    Ok((moved.pop().unwrap_or_default(), index))
}

/// Makes many objects durable as one pack.
///
/// # Errors
/// Io, when writing or syncing fails; nothing refers to what was written.
pub fn store_as_pack(store: &Store, objects: &[(ObjectKind, Vec<u8>)]) -> Result<()> {
    let deed = || format!("pack {} objects", objects.len());
    let count = u32::try_from(objects.len()).or_fail(Kind::Refused, deed)?;
    let mut bytes = Vec::new();
    let write = |bytes: &mut Vec<u8>| -> std::io::Result<()> {
        let mut pack = PackWriter::begin(bytes, count)?;
        objects.iter().try_for_each(|(kind, bytes)| pack.whole(*kind, bytes))?;
        pack.finish().map(|_| ())
    };
    write(&mut bytes).or_fail(Kind::Io, deed)?;
    let staging = Staging::create(&store.dir().join("objects"))?;
    let mut item = Progress::silent().item("packing");
    let received = Received::read(store, staging, &mut bytes.as_slice(), &mut item).or_fail(Kind::Io, deed)?;
    let (Some(data), Some(index)) = (&received.outcome.data_path, &received.outcome.index_path) else { return Ok(()) };
    adopt(store, data, index).map(|_| ())
}

/// The pack's bytes of one object of the store.
pub(crate) fn object(store: &Store, id: ObjectId) -> Result<Vec<u8>> {
    if id == ObjectId::empty_tree(gix::hash::Kind::Sha1) {
        return Ok(Vec::new());
    }
    let object = store.repo.find_object(id).map_err(|error| Error::corrupt(format!("read the object {id}")).caused_by(error))?;
    Ok(object.detach().data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::init::init_bare;
    use crate::git::program::{bare, bare_ok};

    fn applied(base: &[u8], target: &[u8]) -> Option<Vec<u8>> {
        // A reader of its own, after gitformat-pack(5).
        let delta = delta(base, target)?;
        let mut at = 0;
        let mut number = || {
            let (mut value, mut shift) = (0usize, 0);
            loop {
                let byte = delta[at];
                at += 1;
                value |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    return value;
                }
            }
        };
        assert_eq!((number(), number()), (base.len(), target.len()));
        let mut out = Vec::new();
        while at < delta.len() {
            let op = delta[at];
            at += 1;
            if op & 0x80 == 0 {
                out.extend_from_slice(&delta[at..at + usize::from(op)]);
                at += usize::from(op);
                continue;
            }
            let mut parts = [0usize; 7];
            for (bit, part) in parts.iter_mut().enumerate() {
                if op & (1 << bit) != 0 {
                    *part = usize::from(delta[at]);
                    at += 1;
                }
            }
            let offset = parts[0] | parts[1] << 8 | parts[2] << 16 | parts[3] << 24;
            let len = parts[4] | parts[5] << 8 | parts[6] << 16;
            out.extend_from_slice(&base[offset..offset + len]);
        }
        Some(out)
    }

    #[test]
    fn a_delta_makes_the_target_from_the_base() {
        let base: Vec<u8> = (0..70_000u32).map(|n| (n * 7 % 251) as u8).collect();
        let mut target = base.clone();
        target.splice(300..320, [9; 500]);
        assert_eq!(applied(&base, &target).unwrap(), target);
        for (base, target) in [(&b"aaaa"[..], &b"aaaaaaaaaaaaaaaa"[..]), (b"", b"x"), (b"x", b""), (b"", b"")] {
            if let Some(made) = applied(base, target) {
                assert_eq!(made, target);
            }
        }
        let same = vec![7u8; 200];
        assert_eq!(applied(&same, &same).unwrap(), same);
        assert_eq!(applied(&same, &[7u8; 150]).unwrap(), [7u8; 150]);
    }

    #[test]
    fn a_delta_that_spares_little_is_not_made() {
        assert_eq!(delta(b"abc", b"xyz-entirely-different"), None);
    }

    #[test]
    fn a_received_history_with_holes_is_not_kept() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("r");
        init_bare(&dir, "main").unwrap();
        let store = Store::open(&dir).unwrap();
        let mut whole = Batch::default();
        let blob = whole.add(ObjectKind::Blob, b"text".to_vec());
        let entry = gix::objs::tree::Entry { mode: gix::objs::tree::EntryKind::Blob.into(), filename: "a".into(), oid: blob };
        let tree = whole.add_value(&gix::objs::Tree { entries: vec![entry] });
        let commit = format!("tree {tree}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n").into_bytes();
        let tip = whole.add(ObjectKind::Commit, commit.clone());
        let tree_bytes = [b"100644 a\0", blob.as_slice()].concat();
        let parts = [(ObjectKind::Commit, commit), (ObjectKind::Tree, tree_bytes), (ObjectKind::Blob, b"text".to_vec())];
        for many in [1, 2, 3] {
            let mut bytes = Vec::new();
            let mut pack = PackWriter::begin(&mut bytes, u32::try_from(many).unwrap()).unwrap();
            parts.iter().take(many).for_each(|(kind, bytes)| pack.whole(*kind, bytes).unwrap());
            pack.finish().unwrap();
            let staging = Staging::create(&dir.join("objects")).unwrap();
            let mut item = Progress::silent().item("test");
            let kept = Received::read(&store, staging, &mut bytes.as_slice(), &mut item).unwrap().keep(&store, &[tip], &[]);
            assert_eq!(kept.is_ok(), many == 3, "{many}");
            assert_eq!(store.repo.has_object(tip), many == 3);
        }
    }

    #[test]
    fn many_objects_become_one_pack_that_git_accepts() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("r");
        init_bare(&dir, "main").unwrap();
        let store = Store::open(&dir).unwrap();
        let objects: Vec<_> = (0..200).map(|n| (ObjectKind::Blob, format!("blob {n}").into_bytes())).collect();
        store_as_pack(&store, &objects).unwrap();
        assert!(bare(&dir, &["fsck", "--strict", "--full"]).unwrap().is_success());
        let counted = bare_ok(&dir, &["count-objects", "-v"]).unwrap();
        assert!(counted.contains("in-pack: 200") && counted.contains("packs: 1"), "{counted}");
        assert_eq!(std::fs::read_dir(dir.join("objects")).unwrap().count(), 2, "no staging directory is left");
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, ObjectKind::Blob, b"blob 7").unwrap();
        assert_eq!(store.blob(id).unwrap(), b"blob 7");
    }
}
