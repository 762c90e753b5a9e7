//! Records into briefs: all of a tree, or those that differ between two.

use std::collections::{BTreeMap, HashMap};

use gix::ObjectId;
use gix::prelude::FindExt as _;

use super::layout::Stock;
use super::{BeadPatch, Half, LetterPatch, Patch, Slip};
use crate::error::{Kind, OrFail, Result};
use crate::ledger::diff::Pair;
use crate::ledger::{State, read};
use crate::model::brief::Brief;
use crate::store::Store;

/// What a record is to an index.
enum Content {
    Bead(Box<Brief>),
    Letter(Slip),
    /// Its bytes are no such record, and never will be.
    Damaged(String),
    /// Its object could not be read, which may pass.
    Unreadable(String),
}

/// How many records a thread must have to be worth starting.
const SHARE_MIN: usize = 400;

/// All records of `half` of `state`, and whether every object could be read, so that the answer may be kept.
///
/// # Errors
/// Corrupt, when a tree cannot be read.
pub fn all(state: &State<'_>, half: Half) -> Result<(Stock, bool)> {
    let paths = state.paths(half.dir())?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4).min(paths.len() / SHARE_MIN + 1);
    let records = state.store().records()?;
    let order = in_pack_order(records, &paths);
    let share = order.len().div_ceil(threads).max(1);
    let mut read: Vec<Option<Content>> = std::iter::repeat_with(|| None).take(paths.len()).collect();
    std::thread::scope(|scope| {
        let begun: Vec<_> = order
            .chunks(share)
            .map(|chunk| {
                let mut find = records.clone();
                find.set_pack_cache(|| Box::new(Recent::default()));
                let paths = &paths;
                scope.spawn(move || contents(&find, paths, chunk))
            })
            .collect();
        for (n, content) in begun.into_iter().flat_map(|thread| thread.join().unwrap_or_default()) {
            read[n] = Some(content);
        }
    });
    let (mut stock, mut is_sure) = (Stock::default(), true);
    for ((path, blob), content) in paths.into_iter().zip(read) {
        match content {
            Some(Content::Bead(brief)) => stock.beads.push((*brief, blob)),
            Some(Content::Letter(slip)) => stock.letters.push((slip, blob)),
            Some(Content::Damaged(fault)) => stock.damaged.push((path, fault)),
            None => return Err(crate::error::Error::bug("a thread that reads records for the index ended early")),
            Some(Content::Unreadable(fault)) => {
                is_sure = false;
                stock.damaged.push((path, fault));
            }
        }
    }
    put_in_order(&mut stock);
    Ok((stock, is_sure))
}

/// Sorts as the rows of an index are sorted.
pub fn put_in_order(stock: &mut Stock) {
    stock.beads.sort_unstable_by(|a, b| a.0.id.cmp(&b.0.id));
    stock.letters.sort_unstable_by(|a, b| a.0.key().cmp(&b.0.key()));
    stock.damaged.sort_unstable();
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

fn contents(find: &dyn gix::objs::Find, paths: &[(String, ObjectId)], chosen: &[usize]) -> Vec<(usize, Content)> {
    let mut buffer = Vec::new();
    chosen.iter().map(|n| (*n, content(find, &paths[*n].0, paths[*n].1, &mut buffer))).collect()
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

fn content(find: &dyn gix::objs::Find, path: &str, id: ObjectId, buffer: &mut Vec<u8>) -> Content {
    let bytes = match find.find_blob(&id, buffer).or_fail(Kind::Corrupt, || format!("read object {id}")) {
        Ok(blob) => blob.data,
        Err(error) => return Content::Unreadable(error.line()),
    };
    let read = if path.starts_with("mail/") {
        read::letter_at(path, bytes).map(|letter| Content::Letter(Slip::of(&letter)))
    } else {
        read::bead_at(path, bytes).map(|bead| Content::Bead(Box::new(Brief::of(&bead))))
    };
    read.unwrap_or_else(|error| Content::Damaged(error.line()))
}

/// The patch that `changes` to beads and letters make, leading to `tree`, and whether it may be kept.
///
/// # Errors
/// Corrupt, when the old letter at a changed path cannot be read: then nobody can tell which row it had.
pub fn patch(store: &Store, tree: ObjectId, changes: &BTreeMap<String, Pair>) -> Result<(Patch, bool)> {
    let (mut beads, mut letters) = (BeadPatch::default(), LetterPatch::default());
    let find = store.records()?;
    let (mut is_sure, mut buffer) = (true, Vec::new());
    let mut read = |path: &str, id: &Option<ObjectId>| id.map(|id| (content(find, path, id, &mut buffer), id));
    for (path, (old, new)) in changes {
        let (old, new) = (read(path, old), read(path, new));
        let damaged = if path.starts_with("mail/") { &mut letters.damaged } else { &mut beads.damaged };
        match &old {
            Some((Content::Unreadable(fault), _)) => return Err(crate::error::Error::corrupt(fault.clone())),
            Some((Content::Damaged(_), _)) => damaged.push((path.clone(), None)),
            Some((Content::Bead(_) | Content::Letter(_), _)) | None => {}
        }
        match &new {
            Some((Content::Damaged(fault), _)) => damaged.push((path.clone(), Some(fault.clone()))),
            Some((Content::Unreadable(fault), _)) => {
                is_sure = false;
                damaged.push((path.clone(), Some(fault.clone())));
            }
            Some((Content::Bead(_) | Content::Letter(_), _)) | None => {}
        }
        // What a new record of the same key does not replace is gone.
        match (old, &new) {
            (Some((Content::Bead(old), _)), new) if !matches!(new, Some((Content::Bead(_), _))) => {
                beads.beads.push((old.id, None));
            }
            (Some((Content::Letter(old), _)), new) if !matches!(new, Some((Content::Letter(now), _)) if now.key() == old.key()) =>
            {
                letters.letters.push((old, None));
            }
            _ => {}
        }
        match new {
            Some((Content::Bead(brief), id)) => beads.beads.push((brief.id.clone(), Some((id.to_string(), *brief)))),
            Some((Content::Letter(slip), id)) => letters.letters.push((slip, Some(id.to_string()))),
            Some((Content::Damaged(_) | Content::Unreadable(_), _)) | None => {}
        }
    }
    Ok((Patch { tree, beads, letters }, is_sure))
}
