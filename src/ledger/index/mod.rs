//! The index: a derived, disposable, machine-local file that answers what would otherwise take every record.
//!
//! It is keyed by the ledger's tree, brought up to date by a tree diff, and never believed without a checksum.
//! Whatever is wrong with it, the records are read instead and the answer is the same. Readers use it through
//! [`Catalog`] and [`Mailroom`] and never see the file.

mod base;
mod build;
mod file;
mod layout;
mod mailroom;
mod query;

use std::collections::BTreeMap;

use gix::ObjectId;
use serde::{Deserialize, Serialize};

use base::{Post, Roll};
use file::Found;
use layout::{HEADER_BYTES, Header, Stock};

use crate::error::{Error, Result};
use crate::ledger::diff::{self, Pair};
use crate::ledger::{Ledger, State, tree};
use crate::model::brief::Brief;
use crate::model::mail::{Letter, Urgency};
use crate::name::BeadId;
use crate::time::{Moment, Stopwatch};

pub use mailroom::{Mailroom, Unread};
pub use query::{Catalog, Row, Target};

/// A letter in brief.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slip {
    /// Whose, as a directory is named.
    pub mailbox: String,
    /// When it was sent.
    pub sent_at: Moment,
    /// Its id.
    pub id: BeadId,
    /// Whether nobody has read it.
    pub is_unread: bool,
    /// How soon it should be read.
    pub urgency: Urgency,
}

impl Slip {
    fn of(letter: &Letter) -> Self {
        Self {
            mailbox: letter.to.as_component(),
            sent_at: letter.sent_at,
            id: letter.id.clone(),
            is_unread: letter.is_unread(),
            urgency: letter.priority,
        }
    }

    fn key(&self) -> (&str, Moment, &str) {
        (&self.mailbox, self.sent_at, self.id.as_str())
    }
}

/// What changed from one tree to the next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Patch {
    /// The tree it leads to.
    tree: String,
    /// Beads by id: gone, or blob and brief.
    beads: Vec<(BeadId, Option<(String, Brief)>)>,
    /// Letters: gone, or the blob.
    letters: Vec<(Slip, Option<String>)>,
    /// Paths of records that became readable or gone, or why they cannot be read.
    damaged: Vec<(String, Option<String>)>,
}

/// How many bytes of patches are carried before they are folded into the base: reading them costs about as much
/// as reading 20 times as many bytes of the base.
fn tail_bytes_max(base_bytes: usize) -> usize {
    64 * 1024 + base_bytes / 48
}

/// About how many bytes a changed record takes in a patch.
const ENTRY_BYTES: usize = 250;

/// Above how many changes reading everything is as fast as following them.
fn changes_max(header: &Header) -> usize {
    2_000.max(usize::midpoint(header.roll[0], header.post[0]))
}

/// The newest index and what leads from it to a state.
struct Current {
    found: Found,
    patches: Vec<Patch>,
}

/// Opens the index file and follows the changes up to `state`; `None` when that is not possible.
fn follow(state: &State<'_>) -> Option<Current> {
    let mut found = file::open(&file::path(state))?;
    let mut patches = std::mem::take(&mut found.patches);
    if found.tree == state.tree() {
        return Some(Current { found, patches });
    }
    let (patch, is_sure) = patch_to(state, &found)?;
    let is_wanted = is_sure && is_newest(state);
    patches.push(patch);
    if is_wanted {
        let patch = patches.last()?;
        let fresh_bytes = (patch.beads.len() + patch.letters.len()) * ENTRY_BYTES;
        if found.tail_bytes + fresh_bytes > tail_bytes_max(found.header.base_bytes()) {
            return fold(state, found, patches);
        }
        found.append(&file::path(state), patch);
    }
    Some(Current { found, patches })
}

fn patch_to(state: &State<'_>, found: &Found) -> Option<(Patch, bool)> {
    let mut changes: BTreeMap<String, Pair> = diff::changes(state.store().records().ok()?, found.tree, state.tree()).ok()?;
    changes.retain(|path, _| path.starts_with("beads/") || path.starts_with("mail/"));
    if changes.len() > changes_max(&found.header) {
        return None;
    }
    build::patch(state.store(), state.tree(), &changes).ok()
}

/// Only the newest state is worth keeping: readers of an older one would take turns undoing each other's work.
fn is_newest(state: &State<'_>) -> bool {
    let name = if state.is_archive() { tree::ARCHIVE } else { tree::LEDGER };
    state.commit().is_some() && state.store().read_ref(name).ok() == Some(state.commit())
}

/// Writes base and patches as a new base.
fn fold(state: &State<'_>, found: Found, patches: Vec<Patch>) -> Option<Current> {
    let roll = query::Catalog::new(found.roll()?, &found, &patches)?;
    let post = Mailroom::new(found.post()?, &found, &patches)?;
    let mut stock = Stock { beads: roll.briefs()?, letters: post.slips()?, damaged: roll.damaged_pairs() };
    build::put_in_order(&mut stock);
    file::replace(&file::path(state), &layout::encode(state.tree(), &stock));
    Some(Current { found, patches })
}

/// An index just made, in memory.
struct Rebuilt {
    header: Header,
    bytes: Vec<u8>,
    damaged: Vec<(String, String)>,
}

/// Reads every record and answers from that; the index is written for the next.
fn rebuild(state: &State<'_>) -> Result<Rebuilt> {
    let watch = Stopwatch::start();
    let (stock, is_sure) = build::all(state)?;
    let bytes = layout::encode(state.tree(), &stock);
    if is_sure && is_newest(state) {
        file::replace(&file::path(state), &bytes);
    }
    tracing::debug!(beads = stock.beads.len(), letters = stock.letters.len(), millis = watch.millis(), "the index was rebuilt");
    let header = Header::decode(&bytes).ok_or_else(|| Error::bug("the index just made cannot be read"))?;
    Ok(Rebuilt { header, bytes, damaged: stock.damaged })
}

impl State<'_> {
    /// The beads in brief, with those that cannot be read.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn catalog(&self) -> Result<Catalog> {
        let quick = follow(self).and_then(|now| Catalog::new(now.found.roll()?, &now.found, &now.patches));
        if let Some(catalog) = quick {
            return Ok(catalog);
        }
        let Rebuilt { header, bytes, damaged } = rebuild(self)?;
        let at = HEADER_BYTES + header.damaged;
        let roll = Roll::new(&header, bytes[at..at + header.roll_bytes()].to_vec());
        Ok(Catalog::plain(roll, damaged))
    }

    /// The letters in brief, with those that cannot be read.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn mailroom(&self) -> Result<Mailroom> {
        let quick = follow(self).and_then(|now| Mailroom::new(now.found.post()?, &now.found, &now.patches));
        if let Some(mailroom) = quick {
            return Ok(mailroom);
        }
        let Rebuilt { header, bytes, damaged } = rebuild(self)?;
        let at = HEADER_BYTES + header.damaged + header.roll_bytes();
        let post = Post::new(&header, bytes[at..].to_vec());
        Ok(Mailroom::plain(post, damaged))
    }
}

/// What making the index anew came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reindexed {
    /// Beads in it.
    pub beads: usize,
    /// Letters in it.
    pub letters: usize,
    /// Records that cannot be read.
    pub damaged: usize,
    /// Size of the file; of what it would be, when unreadable objects keep it from being written.
    pub bytes: usize,
    /// How long it took.
    pub took_millis: u64,
}

impl Ledger {
    /// Makes the index anew from the records, and that of the archive when there is one; for nothing but doubt, since
    /// an index is checked whenever it is used. Tells of both together.
    ///
    /// # Errors
    /// Not found, when nothing was ever written here; corrupt, when a tree cannot be read; io, when a file
    /// cannot be written.
    pub fn reindex(&self) -> Result<Reindexed> {
        let mut made = make_anew(&self.state()?)?;
        if let Some(archive) = self.archive()? {
            let archived = make_anew(&archive)?;
            made.beads += archived.beads;
            made.letters += archived.letters;
            made.damaged += archived.damaged;
            made.bytes += archived.bytes;
            made.took_millis += archived.took_millis;
        }
        Ok(made)
    }
}

fn make_anew(state: &State<'_>) -> Result<Reindexed> {
    let watch = Stopwatch::start();
    file::replace_now(&file::path(state), || {
        let (stock, is_sure) = build::all(state)?;
        let bytes = layout::encode(state.tree(), &stock);
        let made = Reindexed {
            beads: stock.beads.len(),
            letters: stock.letters.len(),
            damaged: stock.damaged.len(),
            bytes: bytes.len(),
            took_millis: watch.millis(),
        };
        // What could not be read may be readable again tomorrow, so it must not be kept as damaged.
        Ok((is_sure.then_some(bytes), made))
    })
}

/// The damaged records of a base after its patches, by path.
fn damaged_after(base: &[(String, String)], patches: &[Patch]) -> BTreeMap<String, String> {
    let mut damaged: BTreeMap<String, String> = base.iter().cloned().collect();
    for (path, fault) in patches.iter().flat_map(|patch| &patch.damaged) {
        match fault {
            Some(fault) => damaged.insert(path.clone(), fault.clone()),
            None => damaged.remove(path),
        };
    }
    damaged
}

fn blob_id(hex: &str) -> Option<ObjectId> {
    ObjectId::from_hex(hex.as_bytes()).ok()
}
