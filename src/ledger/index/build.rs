//! Records into briefs: all of a tree, or those that differ between two.

use std::collections::BTreeMap;

use gix::ObjectId;

use super::layout::Stock;
use super::{BeadPatch, Half, LetterPatch, Patch, Slip, sweep};
use crate::error::Result;
use crate::ledger::diff::Pair;
use crate::ledger::{State, read};
use crate::model::brief::Brief;
use crate::store::Store;

/// What a record is to an index.
enum Content {
    Bead(Box<Brief>),
    Letter(Box<Slip>),
    /// Its bytes are no such record, and never will be.
    Damaged(String),
    /// Its object could not be read, which may pass.
    Unreadable(String),
}

/// All records of `half` of `state`, and whether every object could be read, so that the answer may be kept.
///
/// # Errors
/// Corrupt, when a tree cannot be read.
pub fn all(state: &State<'_>, half: Half) -> Result<(Stock, bool)> {
    let paths = state.paths(half.dir())?;
    let (mut stock, mut is_sure) = (Stock::default(), true);
    match half {
        Half::Beads => stock.beads.reserve_exact(paths.len()),
        Half::Letters => stock.letters.reserve_exact(paths.len()),
    }
    let records = state.store().records()?;
    sweep::each(
        records,
        &paths,
        |(path, _), bytes| content_of(path, bytes),
        |n, content| match content {
            Content::Bead(brief) => stock.beads.push((*brief, paths[n].1)),
            Content::Letter(slip) => stock.letters.push((*slip, paths[n].1)),
            Content::Damaged(fault) => stock.damaged.push((paths[n].0.clone(), fault)),
            Content::Unreadable(fault) => {
                is_sure = false;
                stock.damaged.push((paths[n].0.clone(), fault));
            }
        },
    )?;
    put_in_order(&mut stock);
    Ok((stock, is_sure))
}

/// Sorts as the rows of an index are sorted.
pub fn put_in_order(stock: &mut Stock) {
    stock.beads.sort_unstable_by(|a, b| a.0.id.cmp(&b.0.id));
    stock.letters.sort_unstable_by(|a, b| a.0.key().cmp(&b.0.key()));
    stock.damaged.sort_unstable();
}

fn content(find: &dyn gix::objs::Find, path: &str, id: ObjectId, buffer: &mut Vec<u8>) -> Content {
    content_of(path, sweep::bytes(find, id, buffer))
}

fn content_of(path: &str, bytes: Result<&[u8]>) -> Content {
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return Content::Unreadable(error.line()),
    };
    let read = if path.starts_with("mail/") {
        read::letter_at(path, bytes).map(|letter| Content::Letter(Box::new(Slip::of(&letter))))
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
                letters.letters.push((*old, None));
            }
            _ => {}
        }
        match new {
            Some((Content::Bead(brief), id)) => beads.beads.push((brief.id.clone(), Some((id.to_string(), *brief)))),
            Some((Content::Letter(slip), id)) => letters.letters.push((*slip, Some(id.to_string()))),
            Some((Content::Damaged(_) | Content::Unreadable(_), _)) | None => {}
        }
    }
    Ok((Patch { tree, beads, letters }, is_sure))
}
