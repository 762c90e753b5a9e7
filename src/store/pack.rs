//! Packs: written entry by entry, indexed as they are written, and taken among the others once they are on disk.
//!
//! Format: gitformat-pack(5), pack version 2 and index version 2. What goes into a pack of many objects at once
//! is stored whole; deltas come from those who know a base, and from maintenance.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::objs::Kind as ObjectKind;
use gix::zlib::Compression;
use gix_pack::data::entry::Header;
use gix_pack::data::{Version, input};

use crate::error::{Error, Kind, OrFail, Result};
use crate::store::deflate::Deflater;
use crate::store::{Store, sync_dir};

/// A pack on its way out; the number of entries is said first and must be kept.
pub struct PackWriter<W> {
    out: W,
    hasher: gix::hash::Hasher,
    left: u32,
    offset: u64,
    deflater: Deflater,
}

/// An entry as it stands in a pack.
struct Sealed {
    head: Vec<u8>,
    stream: Vec<u8>,
    crc32: u32,
}

impl Sealed {
    fn new(header: Header, bytes: &[u8], deflater: &mut Deflater) -> std::io::Result<Self> {
        let mut head = Vec::with_capacity(32);
        header.write_to(bytes.len() as u64, &mut head)?;
        let entry = input::Entry {
            header,
            header_size: u16::try_from(head.len()).unwrap_or(u16::MAX),
            pack_offset: 0,
            compressed_size: 0,
            compressed: Some(deflater.stream(&[bytes])?),
            crc32: None,
            decompressed_size: bytes.len() as u64,
            trailer: None,
        };
        let crc32 = entry.compute_crc32();
        Ok(Self { head, stream: entry.compressed.unwrap_or_default(), crc32 })
    }
}

/// Where an entry went.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    offset: u64,
    crc32: u32,
}

impl<W: Write> PackWriter<W> {
    /// Begins a pack of `entries` objects, compressed as git compresses packs.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(out: W, entries: u32) -> std::io::Result<Self> {
        Self::begin_with(out, entries, Compression::DEFAULT)
    }

    fn begin_with(out: W, entries: u32, compression: Compression) -> std::io::Result<Self> {
        let hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
        let mut pack = Self { out, hasher, left: entries, offset: 0, deflater: Deflater::new(compression) };
        pack.put(&gix_pack::data::header::encode(Version::V2, entries))?;
        Ok(pack)
    }

    /// Adds an object as it is.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn whole(&mut self, kind: ObjectKind, bytes: &[u8]) -> std::io::Result<Place> {
        self.entry(header_of(kind), bytes)
    }

    /// Adds an object as its delta to `base`, which the receiver has or which came before.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn delta(&mut self, base: ObjectId, delta: &[u8]) -> std::io::Result<Place> {
        self.entry(Header::RefDelta { base_id: base }, delta)
    }

    /// Adds an object as its delta to the one at `base` in this pack.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn delta_near(&mut self, base: Place, delta: &[u8]) -> std::io::Result<Place> {
        self.entry(Header::OfsDelta { base_distance: self.offset - base.offset }, delta)
    }

    /// Ends the pack with its checksum.
    ///
    /// # Errors
    /// Those of `out`; other, when the number of entries is not the one said at the beginning.
    pub fn finish(self) -> std::io::Result<ObjectId> {
        self.end().map(|(id, _)| id)
    }

    fn end(mut self) -> std::io::Result<(ObjectId, W)> {
        if self.left != 0 {
            return Err(std::io::Error::other("the pack has another number of entries than its header says"));
        }
        let id = self.hasher.try_finalize().map_err(|error| std::io::Error::other(error.to_string()))?;
        self.out.write_all(id.as_slice())?;
        self.out.flush()?;
        Ok((id, self.out))
    }

    fn entry(&mut self, header: Header, bytes: &[u8]) -> std::io::Result<Place> {
        let sealed = Sealed::new(header, bytes, &mut self.deflater)?;
        self.sealed(&sealed)
    }

    fn sealed(&mut self, entry: &Sealed) -> std::io::Result<Place> {
        self.left = self.left.checked_sub(1).ok_or_else(|| std::io::Error::other("the pack is full"))?;
        let place = Place { offset: self.offset, crc32: entry.crc32 };
        self.put(&entry.head)?;
        self.put(&entry.stream)?;
        Ok(place)
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.offset += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

fn header_of(kind: ObjectKind) -> Header {
    match kind {
        ObjectKind::Commit => Header::Commit,
        ObjectKind::Tree => Header::Tree,
        ObjectKind::Blob => Header::Blob,
        ObjectKind::Tag => Header::Tag,
    }
}

/// An object by reference, on its way into a pack.
type Whole<'a> = (ObjectId, ObjectKind, &'a Vec<u8>);

/// Objects that are compressed before the next of them are, so that not all are in memory twice.
const SEALED_AT_ONCE: usize = 2_048;
/// Threads that compress at most; fewer objects than this for each are not worth one.
const SEALERS_MAX: usize = 8;
const SEALED_BY_ONE_MIN: usize = 64;

/// Compresses `objects` on all cores, in their order; people wait for this, and maintenance compresses better later on.
fn seal(objects: &[Whole<'_>]) -> std::io::Result<Vec<Sealed>> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(SEALERS_MAX);
    let each = objects.len().div_ceil(cores).max(SEALED_BY_ONE_MIN);
    let seal = |part: &[Whole<'_>]| -> std::io::Result<Vec<Sealed>> {
        let mut deflater = Deflater::new(Compression::BEST_SPEED);
        part.iter().map(|(_, kind, bytes)| Sealed::new(header_of(*kind), bytes, &mut deflater)).collect()
    };
    let mut parts = objects.chunks(each);
    let first = parts.next().unwrap_or_default();
    std::thread::scope(|scope| {
        // Where no thread can be had this one does it all.
        let begin = |part| std::thread::Builder::new().spawn_scoped(scope, move || seal(part)).ok();
        let others: Vec<_> = parts.map(|part| (part, begin(part))).collect();
        let mut sealed = seal(first)?;
        for (part, other) in others {
            let ended = other.map_or_else(|| Ok(seal(part)), std::thread::ScopedJoinHandle::join);
            sealed.extend(ended.map_err(|_| std::io::Error::other("compressing ended early"))??);
        }
        Ok(sealed)
    })
}

/// The indexes of all packs in the directory `objects`, without those of packs that are gone or that cannot be read.
pub(crate) fn indexes(objects: &Path) -> Vec<gix_pack::index::File> {
    let entries = std::fs::read_dir(objects.join("pack")).into_iter().flatten().filter_map(std::result::Result::ok);
    let paths = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|extension| extension == "idx"));
    let whole = paths.filter(|path| path.with_extension("pack").is_file());
    whole.filter_map(|path| gix_pack::index::File::at(&path, gix::hash::Kind::Sha1).ok()).collect()
}

/// Writes `objects`, which come in the order of their ids, as a pack and its index into `dir`; neither is synced.
///
/// # Errors
/// Io, when writing fails; refused, when they are more than a pack can hold.
pub(crate) fn write_in(dir: &Path, objects: &[Whole<'_>]) -> Result<(PathBuf, PathBuf)> {
    let deed = || format!("pack {} objects in {}", objects.len(), dir.display());
    let count = u32::try_from(objects.len()).or_fail(Kind::Refused, deed)?;
    let unnamed = dir.join("new.pack");
    let write = || -> std::io::Result<(ObjectId, Vec<Place>)> {
        let out = std::io::BufWriter::new(File::create_new(&unnamed)?);
        let mut pack = PackWriter::begin_with(out, count, Compression::BEST_SPEED)?;
        let mut places = Vec::with_capacity(objects.len());
        for part in objects.chunks(SEALED_AT_ONCE) {
            for entry in seal(part)? {
                places.push(pack.sealed(&entry)?);
            }
        }
        let (checksum, _) = pack.end()?;
        Ok((checksum, places))
    };
    let (checksum, places) = write().or_fail(Kind::Io, deed)?;
    let (pack, index) = (dir.join(format!("pack-{checksum}.pack")), dir.join(format!("pack-{checksum}.idx")));
    std::fs::rename(&unnamed, &pack).or_fail(Kind::Io, deed)?;
    let ids: Vec<ObjectId> = objects.iter().map(|(id, ..)| *id).collect();
    let bytes = index_of(&ids, &places, checksum)?;
    File::create_new(&index).and_then(|mut file| file.write_all(&bytes)).or_fail(Kind::Io, deed)?;
    Ok((pack, index))
}

/// Offsets from here on stand in the index's table of long ones.
const SHORT_OFFSETS: u64 = 1 << 31;

/// The index of a pack whose entries, in the order of `ids`, lie at `places`.
fn index_of(ids: &[ObjectId], places: &[Place], pack: ObjectId) -> Result<Vec<u8>> {
    let deed = || "index a pack";
    let mut bytes = b"\xfftOc\x00\x00\x00\x02".to_vec();
    for first in 0..=u8::MAX {
        let up_to = ids.partition_point(|id| id.as_slice()[0] <= first);
        bytes.extend(u32::try_from(up_to).or_fail(Kind::Refused, deed)?.to_be_bytes());
    }
    bytes.extend(ids.iter().flat_map(ObjectId::as_slice));
    bytes.extend(places.iter().flat_map(|place| place.crc32.to_be_bytes()));
    let mut long = Vec::new();
    for place in places {
        let short = match u32::try_from(place.offset) {
            Ok(offset) if place.offset < SHORT_OFFSETS => offset,
            _ => {
                long.push(place.offset);
                u32::try_from(long.len() - 1).or_fail(Kind::Refused, deed)? | 1 << 31
            }
        };
        bytes.extend(short.to_be_bytes());
    }
    bytes.extend(long.iter().flat_map(|offset: &u64| offset.to_be_bytes()));
    bytes.extend(pack.as_slice());
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    hasher.update(&bytes);
    let own = hasher.try_finalize().map_err(|error| Error::io(deed()).caused_by(error.to_string()))?;
    bytes.extend(own.as_slice());
    Ok(bytes)
}

/// Syncs a pack and its index, then moves them among the others, the index last: without it a pack is not seen.
///
/// # Errors
/// Io, when a step fails; nothing refers to what was moved.
pub(crate) fn adopt(store: &Store, pack: &Path, index: &Path) -> Result<(PathBuf, PathBuf)> {
    take_in(store, &[pack, index])
}

/// As [`adopt`], for a pack of a remote that left out what it promised to give when asked. git knows it by a file beside it.
///
/// # Errors
/// As [`adopt`].
pub(crate) fn adopt_promised(store: &Store, pack: &Path, index: &Path) -> Result<(PathBuf, PathBuf)> {
    let mark = pack.with_extension(PROMISOR);
    File::create(&mark).or_fail(Kind::Io, || format!("mark the pack {}", pack.display()))?;
    take_in(store, &[pack, &mark, index])
}

/// What ends the name of the file beside a pack from a remote that promises the rest.
pub(crate) const PROMISOR: &str = "promisor";

/// Moves the files of a pack among the others: the pack first, its index last.
fn take_in(store: &Store, files: &[&Path]) -> Result<(PathBuf, PathBuf)> {
    let packs = store.dir().join("objects").join("pack");
    for from in files {
        let deed = || format!("keep the pack {}", from.display());
        std::fs::set_permissions(from, std::fs::Permissions::from_mode(0o444)).or_fail(Kind::Io, deed)?;
        if store.is_durable() {
            File::open(from).and_then(|file| file.sync_all()).or_fail(Kind::Io, deed)?;
        }
    }
    crate::env::crash_point("store.pack.synced");
    std::fs::create_dir_all(&packs).or_fail(Kind::Io, || format!("make {}", packs.display()))?;
    let mut moved = Vec::new();
    for from in files {
        let deed = || format!("keep the pack {}", from.display());
        let to = packs.join(from.file_name().or_fail(Kind::Bug, deed)?);
        std::fs::rename(from, &to).or_fail(Kind::Io, deed)?;
        moved.push(to);
    }
    if store.is_durable() {
        sync_dir(&packs)?;
    }
    let index = moved.pop().unwrap_or_default();
    Ok((moved.into_iter().next().unwrap_or_default(), index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::init::init_bare;
    use crate::git::program::{bare, bare_ok};
    use crate::store::batch::Batch;
    use crate::store::objects::PACKED_FROM;

    fn written(dir: &Path, count: usize) -> (Store, Vec<ObjectId>) {
        init_bare(dir, "main").unwrap();
        let store = Store::open(dir).unwrap();
        let mut batch = Batch::default();
        let ids = (0..count).map(|n| batch.add(ObjectKind::Blob, format!("blob {n}").into_bytes())).collect();
        store.write(&batch).unwrap();
        (store, ids)
    }

    #[test]
    fn many_objects_become_one_pack_that_git_accepts_and_the_same_handle_sees() {
        let home = tempfile::tempdir().unwrap();
        for count in [PACKED_FROM, 3_000] {
            let dir = home.path().join(count.to_string());
            let (store, ids) = written(&dir, count);
            assert!(bare(&dir, &["fsck", "--strict", "--full"]).unwrap().is_success());
            let counted = bare_ok(&dir, &["count-objects", "-v"]).unwrap();
            assert!(counted.contains(&format!("in-pack: {count}\npacks: 1")) && counted.contains("count: 0"), "{counted}");
            assert_eq!(std::fs::read_dir(dir.join("objects")).unwrap().count(), 2, "no staging directory is left");
            assert_eq!(store.blob(ids[7]).unwrap(), b"blob 7");
            let index = std::fs::read_dir(dir.join("objects/pack")).unwrap().flatten().map(|entry| entry.path());
            let index = index.into_iter().find(|path| path.extension().is_some_and(|end| end == "idx")).unwrap();
            bare_ok(&dir, &["verify-pack", index.to_str().unwrap()]).unwrap();
        }
    }

    #[test]
    fn few_objects_stay_files_and_what_is_packed_is_not_written_again() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("few");
        let (store, _) = written(&dir, PACKED_FROM - 1);
        let counted = bare_ok(&dir, &["count-objects", "-v"]).unwrap();
        assert!(counted.contains(&format!("count: {}", PACKED_FROM - 1)) && counted.contains("packs: 0"), "{counted}");
        let mut batch = Batch::default();
        for n in 0..2 * PACKED_FROM {
            batch.add(ObjectKind::Blob, format!("other {n}").into_bytes());
        }
        store.write(&batch).unwrap();
        store.write(&batch).unwrap();
        let counted = bare_ok(&dir, &["count-objects", "-v"]).unwrap();
        assert!(counted.contains("packs: 1"), "{counted}");
    }

    #[test]
    fn an_empty_file_under_the_name_of_an_object_goes_when_its_object_is_packed() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("empty");
        let (store, _) = written(&dir, 1);
        let mut batch = Batch::default();
        let ids: Vec<_> = (0..PACKED_FROM).map(|n| batch.add(ObjectKind::Blob, format!("other {n}").into_bytes())).collect();
        let hex = ids[3].to_string();
        std::fs::create_dir_all(dir.join("objects").join(&hex[..2])).unwrap();
        std::fs::write(dir.join("objects").join(&hex[..2]).join(&hex[2..]), "").unwrap();
        store.write(&batch).unwrap();
        assert_eq!(store.blob(ids[3]).unwrap(), b"other 3");
        assert!(bare(&dir, &["fsck", "--strict", "--full"]).unwrap().is_success());
    }

    #[test]
    fn offsets_beyond_two_gigabytes_stand_in_the_long_table() {
        let ids = [ObjectId::from_hex(&[b'1'; 40]).unwrap(), ObjectId::from_hex(&[b'f'; 40]).unwrap()];
        let places = [Place { offset: 12, crc32: 1 }, Place { offset: SHORT_OFFSETS + 5, crc32: 2 }];
        let bytes = index_of(&ids, &places, ids[0]).unwrap();
        let index = gix_pack::index::File::from_data(bytes, PathBuf::from("x.idx"), gix::hash::Kind::Sha1).unwrap();
        assert_eq!((index.pack_offset_at_index(0), index.pack_offset_at_index(1)), (12, SHORT_OFFSETS + 5));
        assert_eq!((index.lookup(ids[1]), index.crc32_at_index(1)), (Some(1), Some(2)));
    }
}
