//! Packs in transport: deltas for a push, and taking in from a fetch so that nothing unsynced becomes visible.
//!
//! Writing packs is the store's. Deltas are "common prefix, new middle, common suffix", which is what a
//! tree with one changed entry is to the tree before; anything cleverer is left to `git repack`.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix_pack::bundle::write::{Options, Outcome};

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::{promised, reach};
use crate::store::batch::Batch;
use crate::store::objects::Staging;
use crate::store::{Store, pack};

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

/// Packs of fewer objects are taken apart: most of them may be here, and completeness is checked before any is seen.
const APART_OBJECTS_MAX: u32 = 100;
/// Packs larger than this stay packs.
const APART_BYTES_MAX: u64 = 4 * 1024 * 1024;
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
    ///
    /// Where files were left out once, those that are missing are asked for first: a remote leaves out what it believes
    /// to be here.
    pub(crate) fn keep(self, store: &Store, tips: &[ObjectId], known: &[ObjectId]) -> Result<()> {
        let (Some(data), Some(index)) = (&self.outcome.data_path, &self.outcome.index_path) else {
            return complete(store, tips, known);
        };
        let bytes = std::fs::metadata(data).map_or(u64::MAX, |meta| meta.len());
        if self.outcome.index.num_objects < APART_OBJECTS_MAX && bytes < APART_BYTES_MAX {
            let batch = unpack(index)?;
            let exists = |id| batch.has(id) || store.repo.has_object(id);
            promised::redeem(store, &reach::absent(&batch.over(store), &exists, tips, known)?)?;
            return store.write(&batch);
        }
        let (data, index) = pack::adopt(store, data, index)?;
        complete(store, tips, known).inspect_err(|_| remove(&data, &index))?;
        drop(self.staging);
        Ok(())
    }

    /// As [`Received::keep`], of a remote that left out files on request; always as a pack, whose mark says so to git.
    pub(crate) fn keep_promised(self, store: &Store, tips: &[ObjectId], known: &[ObjectId]) -> Result<()> {
        let (Some(data), Some(index)) = (&self.outcome.data_path, &self.outcome.index_path) else {
            return reach::check_complete(&store.repo.objects, &|_| true, tips, known);
        };
        let (data, index) = pack::adopt_promised(store, data, index)?;
        reach::check_complete(&store.repo.objects, &|_| true, tips, known).inspect_err(|_| remove(&data, &index))?;
        drop(self.staging);
        Ok(())
    }
}

/// Takes a pack away again. What is left should that fail is whole, only referred to by nothing.
fn remove(pack: &Path, index: &Path) {
    for file in [index.to_owned(), pack.to_owned(), pack.with_extension(pack::PROMISOR)] {
        let _ = std::fs::remove_file(file);
    }
}

/// Makes sure that all reachable from `tips` and not from `known` is here; asks for files that were left out.
pub(crate) fn complete(store: &Store, tips: &[ObjectId], known: &[ObjectId]) -> Result<()> {
    let exists = |id| store.repo.has_object(id);
    promised::redeem(store, &reach::absent(&store.repo.objects, &exists, tips, known)?)
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
    use crate::git::progress::Progress;
    use crate::store::pack::PackWriter;
    use gix::objs::Kind as ObjectKind;

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
            for (kind, bytes) in parts.iter().take(many) {
                pack.whole(*kind, bytes).unwrap();
            }
            pack.finish().unwrap();
            let staging = Staging::create(&dir.join("objects")).unwrap();
            let mut item = Progress::silent().item("test");
            let kept = Received::read(&store, staging, &mut bytes.as_slice(), &mut item).unwrap().keep(&store, &[tip], &[]);
            assert_eq!(kept.is_ok(), many == 3, "{many}");
            assert_eq!(store.repo.has_object(tip), many == 3);
        }
    }
}
