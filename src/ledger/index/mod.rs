//! The index: a derived, disposable, machine-local file that answers what would otherwise take every record.
//!
//! It is keyed by the tree of its records, brought up to date by a tree diff, and never believed without a checksum.
//! Whatever is wrong with it, the records are read instead and the answer is the same. Readers use it through
//! [`Catalog`] and [`Mailroom`] and never see the file.

mod build;
mod encode;
mod file;
mod layout;
mod mailroom;
mod query;
mod roll;
mod stacks;
mod sweep;
mod texts;
mod upkeep;

use gix::ObjectId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::ledger::State;
use crate::model::brief::Brief;
use crate::model::mail::{Letter, Urgency};
use crate::name::BeadId;
use crate::time::Moment;

pub use mailroom::{Mailroom, Unread};
pub use query::{Catalog, Row};
pub(in crate::ledger) use sweep::each;
pub use texts::{Hit, Query};
pub use upkeep::{Compared, Reindexed};

/// Which records an index is about. There is one of each, so that whoever checks his mail has nothing to do with beads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Beads,
    Letters,
}

impl Half {
    /// The directory of its records.
    fn dir(self) -> &'static str {
        match self {
            Self::Beads => "beads",
            Self::Letters => "mail",
        }
    }

    /// The tree of its records, by which its index is known.
    fn tree(self, state: &State<'_>) -> Result<ObjectId> {
        state.subtree(self.dir())
    }
}

/// The other end of an edge, as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'c> {
    /// A row of the base.
    Row(usize),
    /// An id, here or in another scope.
    Id(&'c str),
}

/// A letter in brief.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
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
    pub(in crate::ledger) fn of(letter: &Letter) -> Self {
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

/// What changed among the beads from one tree to the next.
#[derive(Clone, Debug, Default, JsonSchema, Serialize, Deserialize)]
struct BeadPatch {
    /// By id: gone, or blob and brief.
    beads: Vec<(BeadId, Option<(String, Brief)>)>,
    /// Paths of records that became readable or gone, or why they cannot be read.
    damaged: Vec<(String, Option<String>)>,
}

/// What changed among the letters from one tree to the next.
#[derive(Clone, Debug, Default, JsonSchema, Serialize, Deserialize)]
struct LetterPatch {
    /// Gone, or the blob.
    letters: Vec<(Slip, Option<String>)>,
    /// Paths of records that became readable or gone, or why they cannot be read.
    damaged: Vec<(String, Option<String>)>,
}

impl BeadPatch {
    fn is_empty(&self) -> bool {
        self.beads.is_empty() && self.damaged.is_empty()
    }
}

impl LetterPatch {
    fn is_empty(&self) -> bool {
        self.letters.is_empty() && self.damaged.is_empty()
    }
}

/// What changed from one tree to the next.
#[derive(Clone, Debug)]
struct Patch {
    /// The tree it leads to.
    tree: ObjectId,
    beads: BeadPatch,
    letters: LetterPatch,
}

impl State<'_> {
    /// The beads in brief, with those that cannot be read.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn catalog(&self) -> Result<Catalog> {
        match upkeep::follow(self, Half::Beads).and_then(|now| now.catalog()) {
            Some(catalog) => Ok(catalog),
            None => upkeep::rebuild(self, Half::Beads).map(upkeep::Rebuilt::into_catalog),
        }
    }

    /// The letters in brief, with those that cannot be read.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn mailroom(&self) -> Result<Mailroom> {
        match upkeep::follow(self, Half::Letters).and_then(|now| now.mailroom()) {
            Some(mailroom) => Ok(mailroom),
            None => upkeep::rebuild(self, Half::Letters).map(upkeep::Rebuilt::into_mailroom),
        }
    }
}

fn blob_id(hex: &str) -> Option<ObjectId> {
    ObjectId::from_hex(hex.as_bytes()).ok()
}
