//! Many records read at once: in the order in which they lie in packs, on several threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use gix::ObjectId;
use gix::prelude::FindExt as _;

use crate::error::{Error, Kind, OrFail, Result};

/// How many records a thread must have to be worth starting.
const SHARE_MIN: usize = 400;

/// How many records a thread reads before it hands them over.
const BATCH: usize = 1_024;

/// Gives `take` what `read` makes of each record at `paths`, by its place there, in no order. Few are held at once.
///
/// # Errors
/// Bug, when a thread ended early.
pub fn each<T: Send>(
    records: &gix::odb::Handle,
    paths: &[(String, ObjectId)],
    read: impl Fn(&(String, ObjectId), Result<&[u8]>) -> T + Sync,
    mut take: impl FnMut(usize, T),
) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4).min(paths.len() / SHARE_MIN + 1);
    let order = in_pack_order(records, paths);
    let size = BATCH.min(order.len().div_ceil(threads).max(1));
    let (next, mut taken) = (AtomicUsize::new(0), 0);
    std::thread::scope(|scope| {
        let (give, given) = std::sync::mpsc::sync_channel(threads);
        let begin = |_| {
            let mut find = records.clone();
            find.set_pack_cache(|| Box::new(Recent::default()));
            let (give, next, order, read) = (give.clone(), &next, &order, &read);
            scope.spawn(move || {
                let mut buffer = Vec::new();
                while let Some(batch) = order.chunks(size).nth(next.fetch_add(1, Ordering::Relaxed)) {
                    let one = |n: &usize| (*n, read(&paths[*n], bytes(&find, paths[*n].1, &mut buffer)));
                    if give.send(batch.iter().map(one).collect::<Vec<_>>()).is_err() {
                        return;
                    }
                }
            })
        };
        let begun: Vec<_> = (0..threads).map(begin).collect();
        drop(give);
        for (n, value) in given.into_iter().flatten() {
            taken += 1;
            take(n, value);
        }
        // One that ended early is found out by what is missing.
        for thread in begun {
            drop(thread.join());
        }
    });
    if taken == paths.len() { Ok(()) } else { Err(Error::bug("a thread that reads records ended early")) }
}

/// The bytes of one record.
///
/// # Errors
/// Corrupt, when it cannot be read.
pub fn bytes<'b>(find: &dyn gix::objs::Find, id: ObjectId, buffer: &'b mut Vec<u8>) -> Result<&'b [u8]> {
    Ok(find.find_blob(&id, buffer).or_fail(Kind::Corrupt, || format!("read object {id}"))?.data)
}

/// The records in the order in which they lie in packs: deltas then find their bases among the last ones read.
fn in_pack_order(records: &gix::odb::Handle, paths: &[(String, ObjectId)]) -> Vec<usize> {
    let mut buffer = Vec::new();
    let mut find = records.clone();
    // A pack's number must mean the same for all of them.
    find.prevent_pack_unload();
    let place = |id: &ObjectId, buffer: &mut Vec<u8>| {
        let found = gix_pack::Find::location_by_oid(&find, id, buffer).ok().flatten();
        found.map(|location| (location.pack_id, location.pack_offset))
    };
    let mut order: Vec<_> = paths.iter().enumerate().map(|(n, (_, id))| (place(id, &mut buffer), n)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, n)| n).collect()
}

/// How many objects are kept to apply deltas to.
const RECENT: usize = 2048;
/// Larger objects are not kept.
const RECENT_BYTES_MAX: usize = 16 * 1024;

/// The last objects read from packs, each in the slot that its place gives it.
#[derive(Default)]
struct Recent(HashMap<u64, Kept>);

struct Kept {
    pack: u32,
    offset: u64,
    kind: gix::objs::Kind,
    compressed: usize,
    bytes: Vec<u8>,
}

/// Which slot an object takes.
fn slot(pack: u32, offset: u64) -> u64 {
    (offset ^ u64::from(pack)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & (RECENT as u64 - 1)
}

impl gix_pack::cache::DecodeEntry for Recent {
    fn put(&mut self, pack: u32, offset: u64, bytes: &[u8], kind: gix::objs::Kind, compressed: usize) {
        if bytes.len() <= RECENT_BYTES_MAX {
            let slot =
                self.0.entry(slot(pack, offset)).or_insert_with(|| Kept { pack, offset, kind, compressed, bytes: Vec::new() });
            (slot.pack, slot.offset, slot.kind, slot.compressed) = (pack, offset, kind, compressed);
            slot.bytes.clear();
            slot.bytes.extend_from_slice(bytes);
        }
    }

    fn get(&mut self, pack: u32, offset: u64, out: &mut Vec<u8>) -> Option<(gix::objs::Kind, usize)> {
        let kept = self.0.get(&slot(pack, offset)).filter(|kept| (kept.pack, kept.offset) == (pack, offset))?;
        out.clear();
        out.extend_from_slice(&kept.bytes);
        Some((kept.kind, kept.compressed))
    }
}
