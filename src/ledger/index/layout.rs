//! The bytes of an index: a header, parts that are checked as a whole, one that is checked by the block, and
//! behind them what was appended since.
//!
//! What every question scans is small and stands together (the roll); what is only asked of the rows that are
//! shown stands apart (the stacks). Rows have a fixed size and stand in the order of ids, so that order by id is
//! order by row. Numbers are little endian. Nothing here is ever read by another machine.

use gix::ObjectId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::bead::{DependencyKind, IssueType, Status};
use crate::model::brief::Brief;
use crate::model::mail::Urgency;
use crate::model::merge_request::MrState;

use super::Slip;

/// Bytes of a bead's facts: status, type, priority, flags, assignee, when it was made.
pub const FACT_BYTES: usize = 16;
/// Bytes of what is kept of a bead for the rows that are shown: blob, title, when it was changed and closed.
pub const BEAD_BYTES: usize = 40;
/// Bytes of a letter's row.
pub const LETTER_BYTES: usize = 40;
/// Bytes of a mailbox's row.
pub const BOX_BYTES: usize = 12;
/// How much of the stacks is checked at once.
pub const BLOCK_BYTES: usize = 4096;
/// Marks a target that is a word, not a row.
pub const IS_WORD: u32 = 1 << 31;
/// The kind of the edge that names the parent.
pub const PARENT: u32 = u32::MAX;

const MAGIC: &[u8; 8] = b"gtindex\n";
/// Raised with every change of the layout.
const FORMAT: u64 = 4;

/// All states of a merge request, in the order of their codes, which begin at 1.
pub const MR_STATES: [MrState; 7] = [
    MrState::Queued,
    MrState::Held,
    MrState::Landing,
    MrState::Landed,
    MrState::Evicted,
    MrState::Withdrawn,
    MrState::Superseded,
];
/// All urgencies, in the order of their codes.
pub const URGENCIES: [Urgency; 4] = [Urgency::Urgent, Urgency::High, Urgency::Normal, Urgency::Low];

/// A checksum that any single changed word changes; four lanes, so that it costs less than reading the bytes.
#[must_use]
pub fn sum(seed: u64, bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |lane: u64, word: u64| (lane ^ word).wrapping_mul(ODD).rotate_left(29);
    let mut lanes = [seed, !seed, seed ^ ODD, bytes.len() as u64];
    let (blocks, rest) = bytes.as_chunks::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = step(*lane, u64::from_le_bytes(*word));
        }
    }
    for eight in rest.chunks(8) {
        let mut word = [0; 8];
        word[..eight.len()].copy_from_slice(eight);
        lanes[0] = step(lanes[0], u64::from_le_bytes(word));
    }
    lanes.into_iter().fold(ODD, |all, lane| step(step(all, lane), lane >> 32))
}

/// What a reader must agree with: the layout, the words that codes stand for, and how large a record may be.
fn schema(record_bytes_max: u64) -> u64 {
    let words = [Status::WORDS, IssueType::WORDS, DependencyKind::WORDS];
    words.iter().flat_map(|words| words.iter()).fold(FORMAT ^ record_bytes_max << 8, |all, word| sum(all, word.as_bytes()))
}

/// How long the parts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of the notes: damaged records, and words that this version does not know.
    pub notes: usize,
    /// Beads.
    pub beads: usize,
    /// Bytes of their ids.
    pub id_bytes: usize,
    /// Edges, parents among them.
    pub edges: usize,
    /// Labels, counted at each bead.
    pub labels: usize,
    /// Words: labels, assignees, ids elsewhere.
    pub words: usize,
    /// Bytes of the words.
    pub word_bytes: usize,
    /// Beads that wait for a moment: deferred until then, or claimed until then.
    pub deferred: usize,
    /// Merge requests.
    pub requests: usize,
    /// Mailboxes.
    pub boxes: usize,
    /// Bytes of their names.
    pub name_bytes: usize,
    /// Unread letters.
    pub unread: usize,
    /// Bytes of titles.
    pub title_bytes: usize,
    /// Edges between beads of this scope, seen from their targets.
    pub backlinks: usize,
    /// Letters.
    pub letters: usize,
    /// Bytes of their ids.
    pub letter_id_bytes: usize,
}

const SIZES: usize = 16;

impl Sizes {
    fn to_array(self) -> [usize; SIZES] {
        let Self { notes, beads, id_bytes, edges, labels, words, word_bytes, deferred, requests, .. } = self;
        let Self { boxes, name_bytes, unread, title_bytes, backlinks, letters, letter_id_bytes, .. } = self;
        let first = [notes, beads, id_bytes, edges, labels, words, word_bytes, deferred, requests];
        let last = [boxes, name_bytes, unread, title_bytes, backlinks, letters, letter_id_bytes];
        std::array::from_fn(|n| if n < first.len() { first[n] } else { last[n - first.len()] })
    }

    fn of_array(n: [usize; SIZES]) -> Self {
        Self {
            notes: n[0],
            beads: n[1],
            id_bytes: n[2],
            edges: n[3],
            labels: n[4],
            words: n[5],
            word_bytes: n[6],
            deferred: n[7],
            requests: n[8],
            boxes: n[9],
            name_bytes: n[10],
            unread: n[11],
            title_bytes: n[12],
            backlinks: n[13],
            letters: n[14],
            letter_id_bytes: n[15],
        }
    }

    /// Bytes of the roll.
    #[must_use]
    pub fn roll_bytes(&self) -> usize {
        let numbers =
            3 * (self.beads + 1) + 2 * self.edges + self.labels + self.words + 1 + 3 * self.deferred + 2 * self.requests;
        self.beads * FACT_BYTES + numbers * 4 + self.id_bytes + self.word_bytes
    }

    /// Bytes of the list of mailboxes.
    #[must_use]
    pub fn hall_bytes(&self) -> usize {
        (self.boxes + 1) * BOX_BYTES + self.unread * 4 + self.name_bytes
    }

    /// Bytes of the stacks.
    #[must_use]
    pub fn stack_bytes(&self) -> usize {
        let beads = (self.beads + 1) * BEAD_BYTES + self.title_bytes + (self.beads + 1 + self.backlinks) * 4;
        beads + (self.letters + 1) * LETTER_BYTES + self.letter_id_bytes
    }

    /// Bytes of the checksums of the stacks' blocks.
    #[must_use]
    pub fn sum_bytes(&self) -> usize {
        self.stack_bytes().div_ceil(BLOCK_BYTES) * 8
    }
}

/// Bytes of the header.
pub const HEADER_BYTES: usize = 32 + 8 * (1 + SIZES + 4 + 1);

/// What stands at the beginning: the tree that the base was made from, and how long its parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The tree of the records that it is about.
    pub tree: ObjectId,
    /// How long the parts are.
    pub sizes: Sizes,
    /// Checksums of the notes, the blocks' checksums, the roll and the list of mailboxes.
    pub sums: [u64; 4],
    /// The checksum of the header, from which those of the tail follow.
    pub sum: u64,
}

impl Header {
    pub(super) fn encode(&self, record_bytes_max: u64) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(self.tree.as_slice());
        bytes.extend_from_slice(&[0; 4]);
        let sizes = self.sizes.to_array();
        let numbers = [schema(record_bytes_max)].into_iter().chain(sizes.map(|size| size as u64)).chain(self.sums);
        numbers.for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        let sum = sum(0, &bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` when it is damaged, of another version, or made when records might have another size.
    #[must_use]
    pub fn decode(bytes: &[u8], record_bytes_max: u64) -> Option<Self> {
        let (body, own) = bytes.get(..HEADER_BYTES)?.split_at(HEADER_BYTES - 8);
        let number = |n: usize| u64_at(body, 32 + 8 * n);
        let found = u64_at(own, 0);
        if !body.starts_with(MAGIC) || sum(0, body) != found || number(0) != schema(record_bytes_max) {
            return None;
        }
        let mut sizes = [0; SIZES];
        for (n, size) in sizes.iter_mut().enumerate() {
            *size = usize::try_from(number(1 + n)).ok().filter(|size| *size < 1 << 40)?;
        }
        let sums = std::array::from_fn(|n| number(1 + SIZES + n));
        Some(Self { tree: ObjectId::try_from(&body[8..28]).ok()?, sizes: Sizes::of_array(sizes), sums, sum: found })
    }

    /// Where the checksums of the blocks begin.
    #[must_use]
    pub fn sums_at(&self) -> usize {
        HEADER_BYTES + self.sizes.notes
    }

    /// Where the roll begins.
    #[must_use]
    pub fn roll_at(&self) -> usize {
        self.sums_at() + self.sizes.sum_bytes()
    }

    /// Where the list of mailboxes begins.
    #[must_use]
    pub fn hall_at(&self) -> usize {
        self.roll_at() + self.sizes.roll_bytes()
    }

    /// Where the stacks begin.
    #[must_use]
    pub fn stacks_at(&self) -> usize {
        self.hall_at() + self.sizes.hall_bytes()
    }

    /// Where the tail begins.
    #[must_use]
    pub fn base_bytes(&self) -> usize {
        self.stacks_at() + self.sizes.stack_bytes()
    }
}

/// What an index notes beside its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Notes {
    /// Paths of records that cannot be read, and why.
    pub damaged: Vec<(String, String)>,
    /// Statuses that this version does not know; their codes follow those of the others.
    pub statuses: Vec<String>,
    /// Types that it does not know.
    pub types: Vec<String>,
    /// Kinds of dependencies that it does not know.
    pub kinds: Vec<String>,
    /// The tree of the archive that stood behind the beads.
    pub archive: Option<String>,
}

/// Everything that an index is made of.
#[derive(Default)]
pub struct Stock {
    /// Beads and their blobs, by id.
    pub beads: Vec<(Brief, ObjectId)>,
    /// Letters and their blobs, by mailbox, time and id.
    pub letters: Vec<(Slip, ObjectId)>,
    /// Paths of records that cannot be read, and why.
    pub damaged: Vec<(String, String)>,
}

/// The unsigned number of 4 bytes at `at`.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// The unsigned number of 8 bytes at `at`.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_byte_changes_the_sum() {
        let bytes: Vec<u8> = (0..200_u8).collect();
        let good = sum(7, &bytes);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            assert_ne!(sum(7, &bad), good, "byte {at}");
            assert_ne!(sum(7, &bytes[..at]), good, "length {at}");
        }
        assert_ne!(sum(8, &bytes), good);
    }

    #[test]
    fn a_header_of_another_version_or_limit_is_refused() {
        let tree = ObjectId::empty_tree(gix::hash::Kind::Sha1);
        let sizes = Sizes::of_array(std::array::from_fn(|n| n * 3));
        let header = Header { tree, sizes, sums: [1, 2, 3, 4], sum: 0 };
        let good = header.encode(100);
        assert_eq!(good.len(), HEADER_BYTES);
        let read = Header::decode(&good, 100).unwrap();
        assert_eq!(Header { sum: 0, ..read }, header);
        assert_eq!(Header::decode(&good, 101), None);
        let mut older = good.clone();
        older[32..40].copy_from_slice(&(schema(100) ^ 1).to_le_bytes());
        let own = sum(0, &older[..HEADER_BYTES - 8]);
        older[HEADER_BYTES - 8..HEADER_BYTES].copy_from_slice(&own.to_le_bytes());
        assert_eq!(Header::decode(&older, 100), None);
    }
}
