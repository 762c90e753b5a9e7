//! The bytes of an index: a header, three checked parts, and behind them what was appended since.
//!
//! Rows have a fixed size and stand in the order of ids, so that a question scans few bytes and order by id is
//! order by row. Numbers are little endian. Nothing here is ever read by another machine.

use std::collections::HashMap;

use gix::ObjectId;

use crate::model::bead::{DependencyKind, IssueType, Status};
use crate::model::brief::Brief;
use crate::model::mail::Urgency;
use crate::model::merge_request::MrState;

use super::Slip;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 160;
/// Bytes of a bead's row.
pub const ROW_BYTES: usize = 64;
/// Bytes of a letter's row.
pub const LETTER_BYTES: usize = 40;
/// Bytes of a mailbox's row.
pub const BOX_BYTES: usize = 8;
/// Marks a target that is a word, not a row.
pub const IS_WORD: u32 = 1 << 31;
/// The kind of the edge that names the parent.
pub const PARENT: u32 = u32::MAX;

const MAGIC: &[u8; 8] = b"gtindex\n";
/// Raised with every change of the layout.
const FORMAT: u64 = 1;

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

/// What a reader must agree with: the layout, and the words that codes stand for.
fn schema() -> u64 {
    let words = [Status::WORDS, IssueType::WORDS, DependencyKind::WORDS];
    words.iter().flat_map(|words| words.iter()).fold(FORMAT, |all, word| sum(all, word.as_bytes()))
}

/// What stands at the beginning: the tree that the base was made from, and how long its parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The ledger's tree.
    pub tree: ObjectId,
    /// How many beads, bytes of their ids, edges, labels, words, and bytes of words.
    pub roll: [usize; 6],
    /// How many letters, bytes of their ids, mailboxes, and bytes of their names.
    pub post: [usize; 4],
    /// Bytes of the list of damaged records.
    pub damaged: usize,
    /// Checksums of the damaged, the beads' and the letters' parts.
    pub sums: [u64; 3],
    /// The checksum of the header, from which those of the tail follow.
    pub sum: u64,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(self.tree.as_slice());
        bytes.extend_from_slice(&[0; 4]);
        let counts = self.roll.iter().chain(&self.post).chain([&self.damaged]).map(|count| *count as u64);
        let numbers = [schema()].into_iter().chain(counts).chain(self.sums);
        numbers.for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        let sum = sum(0, &bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` when it is damaged or of another version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, own) = bytes.get(..HEADER_BYTES)?.split_at(HEADER_BYTES - 8);
        let number = |n: usize| u64_at(body, 32 + 8 * n);
        let found = u64_at(own, 0);
        if !body.starts_with(MAGIC) || sum(0, body) != found || number(0) != schema() {
            return None;
        }
        let count = |n: usize| usize::try_from(number(n)).ok();
        Some(Self {
            tree: ObjectId::try_from(&body[8..28]).ok()?,
            roll: [count(1)?, count(2)?, count(3)?, count(4)?, count(5)?, count(6)?],
            post: [count(7)?, count(8)?, count(9)?, count(10)?],
            damaged: count(11)?,
            sums: [number(12), number(13), number(14)],
            sum: found,
        })
    }

    /// Bytes of the beads' part.
    #[must_use]
    pub fn roll_bytes(&self) -> usize {
        let [beads, ids, edges, labels, words, texts] = self.roll;
        (beads + 1) * ROW_BYTES + edges * 8 + labels * 4 + (words + 1) * 4 + ids + texts
    }

    /// Bytes of the letters' part.
    #[must_use]
    pub fn post_bytes(&self) -> usize {
        let [letters, ids, boxes, names] = self.post;
        (letters + 1) * LETTER_BYTES + (boxes + 1) * BOX_BYTES + ids + names
    }

    /// Where the tail begins.
    #[must_use]
    pub fn base_bytes(&self) -> usize {
        HEADER_BYTES + self.damaged + self.roll_bytes() + self.post_bytes()
    }
}

/// The unsigned number of 4 bytes at `at`.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// The unsigned number of 8 bytes at `at`.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_le_bytes)
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

#[derive(Default)]
struct Words<'a> {
    known: HashMap<&'a str, u32>,
    offsets: Vec<u32>,
    text: Vec<u8>,
}

impl<'a> Words<'a> {
    fn add(&mut self, word: &'a str) -> u32 {
        let next = self.offsets.len();
        *self.known.entry(word).or_insert_with(|| {
            self.offsets.push(narrow(self.text.len()));
            self.text.extend_from_slice(word.as_bytes());
            narrow(next)
        })
    }

    /// The code of a word: its place among those that this version knows, else behind them its place in the text.
    fn code(&mut self, word: &'a str, known: &[&str]) -> u32 {
        match known.iter().position(|one| *one == word) {
            Some(place) => narrow(place),
            None => narrow(known.len()) + self.add(word),
        }
    }
}

/// Lengths are kept in 4 bytes: more than 4 GiB of ids or words is beyond any ledger that git can carry.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The bytes of an index of `stock`, made from `tree`.
#[must_use]
pub fn encode(tree: ObjectId, stock: &Stock) -> Vec<u8> {
    let damaged = serde_json::to_vec(&stock.damaged).unwrap_or_default();
    let (roll, roll_counts) = encode_roll(&stock.beads);
    let (post, post_counts) = encode_post(&stock.letters);
    let header = Header {
        tree,
        roll: roll_counts,
        post: post_counts,
        damaged: damaged.len(),
        sums: [sum(1, &damaged), sum(2, &roll), sum(3, &post)],
        sum: 0,
    };
    let mut bytes = header.encode();
    bytes.extend_from_slice(&damaged);
    bytes.extend_from_slice(&roll);
    bytes.extend_from_slice(&post);
    bytes
}

fn encode_roll(beads: &[(Brief, ObjectId)]) -> (Vec<u8>, [usize; 6]) {
    let mut rows = Vec::with_capacity((beads.len() + 1) * ROW_BYTES);
    let (mut ids, mut edges, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    let mut words = Words::default();
    let by_id: HashMap<&str, u32> = beads.iter().enumerate().map(|(row, (brief, _))| (brief.id.as_str(), narrow(row))).collect();
    for (brief, blob) in beads {
        let flags = u8::from(brief.is_ephemeral)
            | u8::from(brief.has_failed) << 1
            | u8::from(brief.was_merged) << 2
            | u8::from(brief.defer_until.is_some()) << 3;
        let mr_state = brief.mr_state.and_then(|state| MR_STATES.iter().position(|one| *one == state));
        rows.extend_from_slice(blob.as_slice());
        for number in [
            narrow(ids.len()),
            words.code(brief.status.word(), Status::WORDS),
            words.code(brief.issue_type.word(), IssueType::WORDS),
            brief.assignee.as_deref().map_or(0, |who| words.add(who) + 1),
            narrow(edges.len() / 8),
            narrow(labels.len() / 4),
        ] {
            rows.extend_from_slice(&number.to_le_bytes());
        }
        rows.extend_from_slice(&brief.created_at.millis().to_le_bytes());
        rows.extend_from_slice(&brief.defer_until.map_or(0, crate::time::Moment::millis).to_le_bytes());
        let mr_state = mr_state.and_then(|place| u8::try_from(place + 1).ok()).unwrap_or(0);
        rows.extend_from_slice(&[brief.priority, flags, mr_state, 0]);
        ids.extend_from_slice(brief.id.as_str().as_bytes());
        let parent = brief.parent.iter().map(|id| (PARENT, id));
        let own: Vec<_> = brief.edges.iter().map(|(kind, id)| (words.code(kind.word(), DependencyKind::WORDS), id)).collect();
        for (kind, target) in parent.chain(own) {
            let target = by_id.get(target.as_str()).copied().unwrap_or_else(|| words.add(target.as_str()) | IS_WORD);
            edges.extend_from_slice(&kind.to_le_bytes());
            edges.extend_from_slice(&target.to_le_bytes());
        }
        brief.labels.iter().for_each(|label| labels.extend_from_slice(&words.add(label).to_le_bytes()));
    }
    // A last row that only says where the others end.
    rows.extend_from_slice(&[0; 20]);
    let ends = [narrow(ids.len()), 0, 0, 0, narrow(edges.len() / 8), narrow(labels.len() / 4)];
    rows.extend(ends.iter().flat_map(|end| end.to_le_bytes()));
    rows.extend_from_slice(&[0; 20]);
    let counts = [beads.len(), ids.len(), edges.len() / 8, labels.len() / 4, words.offsets.len(), words.text.len()];
    words.offsets.push(narrow(words.text.len()));
    let offsets: Vec<u8> = words.offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
    (join(rows, [&edges, &labels, &offsets, &ids, &words.text]), counts)
}

fn encode_post(letters: &[(Slip, ObjectId)]) -> (Vec<u8>, [usize; 4]) {
    let mut rows = Vec::with_capacity((letters.len() + 1) * LETTER_BYTES);
    let (mut ids, mut boxes, mut names): (Vec<u8>, Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = None;
    for (row, (slip, blob)) in letters.iter().enumerate() {
        if last != Some(slip.mailbox.as_str()) {
            last = Some(slip.mailbox.as_str());
            boxes.extend_from_slice(&narrow(names.len()).to_le_bytes());
            boxes.extend_from_slice(&narrow(row).to_le_bytes());
            names.extend_from_slice(slip.mailbox.as_bytes());
        }
        let urgency = URGENCIES.iter().position(|one| *one == slip.urgency).and_then(|place| u8::try_from(place).ok());
        rows.extend_from_slice(blob.as_slice());
        rows.extend_from_slice(&narrow(ids.len()).to_le_bytes());
        rows.extend_from_slice(&slip.sent_at.millis().to_le_bytes());
        rows.extend_from_slice(&[u8::from(slip.is_unread), urgency.unwrap_or(0), 0, 0, 0, 0, 0, 0]);
        ids.extend_from_slice(slip.id.as_str().as_bytes());
    }
    let counts = [letters.len(), ids.len(), boxes.len() / BOX_BYTES, names.len()];
    rows.extend_from_slice(&[0; 20]);
    rows.extend_from_slice(&narrow(ids.len()).to_le_bytes());
    rows.extend_from_slice(&[0; 16]);
    boxes.extend_from_slice(&narrow(names.len()).to_le_bytes());
    boxes.extend_from_slice(&narrow(letters.len()).to_le_bytes());
    (join(rows, [&boxes, &ids, &names]), counts)
}

fn join<const N: usize>(mut first: Vec<u8>, others: [&Vec<u8>; N]) -> Vec<u8> {
    for other in others {
        first.extend_from_slice(other);
    }
    first
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
    fn a_header_of_another_version_is_refused() {
        let good = encode(ObjectId::empty_tree(gix::hash::Kind::Sha1), &Stock::default());
        let header = Header::decode(&good).unwrap();
        assert_eq!(header.base_bytes(), good.len());
        let mut older = good.clone();
        older[32..40].copy_from_slice(&(schema() ^ 1).to_le_bytes());
        let own = sum(0, &older[..HEADER_BYTES - 8]);
        older[HEADER_BYTES - 8..HEADER_BYTES].copy_from_slice(&own.to_le_bytes());
        assert_eq!(Header::decode(&older), None);
    }
}
