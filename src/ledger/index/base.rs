//! The flat base of an index as it lies in memory: rows by number.

use std::cmp::Ordering;

use gix::ObjectId;

use super::layout::{BOX_BYTES, Header, IS_WORD, LETTER_BYTES, MR_STATES, PARENT, ROW_BYTES, URGENCIES, u32_at, u64_at};
use super::{Slip, Target};
use crate::model::bead::{DependencyKind, IssueType, Status};
use crate::model::brief::Brief;
use crate::model::merge_request::MrState;
use crate::name::BeadId;
use crate::time::Moment;

/// The beads' part.
pub struct Roll {
    bytes: Vec<u8>,
    /// How many beads.
    pub len: usize,
    edges: usize,
    labels: usize,
    offsets: usize,
    ids: usize,
    words: usize,
    statuses: Vec<Status>,
    types: Vec<IssueType>,
    kinds: Vec<DependencyKind>,
}

fn known<T: From<String>>(words: &[&str]) -> Vec<T> {
    words.iter().map(|word| T::from((*word).to_owned())).collect()
}

fn text(bytes: &[u8], from: usize, to: usize) -> &str {
    bytes.get(from..to).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
}

impl Roll {
    /// The beads' part of a base with `header`; its checksum is right.
    #[must_use]
    pub fn new(header: &Header, bytes: Vec<u8>) -> Self {
        let [len, ids_len, edge_count, label_count, word_count, _] = header.roll;
        let edges = (len + 1) * ROW_BYTES;
        let labels = edges + edge_count * 8;
        let offsets = labels + label_count * 4;
        let ids = offsets + (word_count + 1) * 4;
        Self {
            bytes,
            len,
            edges,
            labels,
            offsets,
            ids,
            words: ids + ids_len,
            statuses: known(Status::WORDS),
            types: known(IssueType::WORDS),
            kinds: known(DependencyKind::WORDS),
        }
    }

    fn number(&self, row: usize, field: usize) -> usize {
        u32_at(&self.bytes, row * ROW_BYTES + 20 + field * 4) as usize
    }

    fn flag(&self, row: usize, bit: u8) -> bool {
        self.bytes[row * ROW_BYTES + 61] >> bit & 1 == 1
    }

    fn word(&self, n: usize) -> &str {
        let from = u32_at(&self.bytes, self.offsets + n * 4) as usize;
        let to = u32_at(&self.bytes, self.offsets + n * 4 + 4) as usize;
        text(&self.bytes, self.words + from, self.words + to)
    }

    fn coded<T: Clone + From<String>>(&self, code: usize, known: &[T]) -> T {
        known.get(code).cloned().unwrap_or_else(|| T::from(self.word(code - known.len()).to_owned()))
    }

    pub fn blob(&self, row: usize) -> ObjectId {
        let at = row * ROW_BYTES;
        ObjectId::try_from(&self.bytes[at..at + 20]).unwrap_or(ObjectId::null(gix::hash::Kind::Sha1))
    }

    pub fn id(&self, row: usize) -> &str {
        text(&self.bytes, self.ids + self.number(row, 0), self.ids + self.number(row + 1, 0))
    }

    pub fn status(&self, row: usize) -> Status {
        self.coded(self.number(row, 1), &self.statuses)
    }

    pub fn issue_type(&self, row: usize) -> IssueType {
        self.coded(self.number(row, 2), &self.types)
    }

    pub fn assignee(&self, row: usize) -> Option<&str> {
        let code = self.number(row, 3);
        (code > 0).then(|| self.word(code - 1))
    }

    pub fn labels(&self, row: usize) -> impl Iterator<Item = &str> {
        let range = self.number(row, 5)..self.number(row + 1, 5);
        range.map(|n| self.word(u32_at(&self.bytes, self.labels + n * 4) as usize))
    }

    pub fn created_at(&self, row: usize) -> Moment {
        Moment::from_millis(u64_at(&self.bytes, row * ROW_BYTES + 44).cast_signed())
    }

    pub fn defer_until(&self, row: usize) -> Option<Moment> {
        self.flag(row, 3).then(|| Moment::from_millis(u64_at(&self.bytes, row * ROW_BYTES + 52).cast_signed()))
    }

    pub fn priority(&self, row: usize) -> u8 {
        self.bytes[row * ROW_BYTES + 60]
    }

    pub fn is_ephemeral(&self, row: usize) -> bool {
        self.flag(row, 0)
    }

    pub fn has_failed(&self, row: usize) -> bool {
        self.flag(row, 1)
    }

    pub fn was_merged(&self, row: usize) -> bool {
        self.flag(row, 2)
    }

    pub fn mr_state(&self, row: usize) -> Option<MrState> {
        let code = usize::from(self.bytes[row * ROW_BYTES + 62]);
        MR_STATES.get(code.checked_sub(1)?).copied()
    }

    fn pairs(&self, row: usize) -> impl Iterator<Item = (u32, Target<'_>)> {
        let range = self.number(row, 4)..self.number(row + 1, 4);
        range.map(|n| {
            let at = self.edges + n * 8;
            let target = u32_at(&self.bytes, at + 4);
            let target = if target & IS_WORD == 0 {
                Target::Row(target as usize)
            } else {
                Target::Id(self.word((target & !IS_WORD) as usize))
            };
            (u32_at(&self.bytes, at), target)
        })
    }

    pub fn parent(&self, row: usize) -> Option<Target<'_>> {
        self.pairs(row).next().filter(|(kind, _)| *kind == PARENT).map(|(_, target)| target)
    }

    pub fn edges(&self, row: usize) -> impl Iterator<Item = (DependencyKind, Target<'_>)> {
        let own = self.pairs(row).filter(|(kind, _)| *kind != PARENT);
        own.map(|(kind, target)| (self.coded(kind as usize, &self.kinds), target))
    }

    pub fn target_id<'a>(&'a self, target: Target<'a>) -> &'a str {
        match target {
            Target::Row(row) => self.id(row),
            Target::Id(id) => id,
        }
    }

    /// The row of `id`, or the row before which it would stand.
    pub fn find(&self, id: &str) -> Result<usize, usize> {
        search(self.len, |row| self.id(row).cmp(id))
    }

    /// The bead in `row`; `None` when an id in it is none, which no writer makes.
    pub fn brief(&self, row: usize) -> Option<Brief> {
        let id = |target| self.target_id(target).parse::<BeadId>().ok();
        Some(Brief {
            id: self.id(row).parse().ok()?,
            status: self.status(row),
            issue_type: self.issue_type(row),
            priority: self.priority(row),
            created_at: self.created_at(row),
            defer_until: self.defer_until(row),
            assignee: self.assignee(row).map(str::to_owned),
            labels: self.labels(row).map(str::to_owned).collect(),
            parent: self.parent(row).map_or(Some(None), |target| id(target).map(Some))?,
            edges: self.edges(row).map(|(kind, target)| Some((kind, id(target)?))).collect::<Option<_>>()?,
            is_ephemeral: self.is_ephemeral(row),
            has_failed: self.has_failed(row),
            was_merged: self.was_merged(row),
            mr_state: self.mr_state(row),
        })
    }
}

/// The letters' part.
pub struct Post {
    bytes: Vec<u8>,
    box_count: usize,
    boxes: usize,
    ids: usize,
    names: usize,
}

impl Post {
    /// The letters' part of a base with `header`; its checksum is right.
    #[must_use]
    pub fn new(header: &Header, bytes: Vec<u8>) -> Self {
        let [len, ids_len, box_count, _] = header.post;
        let boxes = (len + 1) * LETTER_BYTES;
        let ids = boxes + (box_count + 1) * BOX_BYTES;
        Self { bytes, box_count, boxes, ids, names: ids + ids_len }
    }

    fn box_number(&self, n: usize, field: usize) -> usize {
        u32_at(&self.bytes, self.boxes + n * BOX_BYTES + field * 4) as usize
    }

    fn box_name(&self, n: usize) -> &str {
        text(&self.bytes, self.names + self.box_number(n, 0), self.names + self.box_number(n + 1, 0))
    }

    /// The rows of a mailbox.
    pub fn rows(&self, mailbox: &str) -> std::ops::Range<usize> {
        match search(self.box_count, |n| self.box_name(n).cmp(mailbox)) {
            Ok(n) => self.box_number(n, 1)..self.box_number(n + 1, 1),
            Err(_) => 0..0,
        }
    }

    pub fn blob(&self, row: usize) -> ObjectId {
        let at = row * LETTER_BYTES;
        ObjectId::try_from(&self.bytes[at..at + 20]).unwrap_or(ObjectId::null(gix::hash::Kind::Sha1))
    }

    fn id(&self, row: usize) -> &str {
        let end = |row: usize| self.ids + u32_at(&self.bytes, row * LETTER_BYTES + 20) as usize;
        text(&self.bytes, end(row), end(row + 1))
    }

    fn sent_at(&self, row: usize) -> Moment {
        Moment::from_millis(u64_at(&self.bytes, row * LETTER_BYTES + 24).cast_signed())
    }

    pub fn is_unread(&self, row: usize) -> bool {
        self.bytes[row * LETTER_BYTES + 32] == 1
    }

    /// The row of the letter that `slip` names by mailbox, time and id.
    pub fn find(&self, slip: &Slip) -> Option<usize> {
        let rows = self.rows(&slip.mailbox);
        let at = |n: usize| (self.sent_at(rows.start + n), self.id(rows.start + n)).cmp(&(slip.sent_at, slip.id.as_str()));
        search(rows.len(), at).ok().map(|n| rows.start + n)
    }

    /// The letter in `row` of `mailbox`; `None` when its id is none, which no writer makes.
    pub fn slip(&self, mailbox: &str, row: usize) -> Option<Slip> {
        Some(Slip {
            mailbox: mailbox.to_owned(),
            sent_at: self.sent_at(row),
            id: self.id(row).parse().ok()?,
            is_unread: self.is_unread(row),
            urgency: URGENCIES.get(usize::from(self.bytes[row * LETTER_BYTES + 33])).copied()?,
        })
    }

    /// All mailboxes.
    pub fn mailboxes(&self) -> impl Iterator<Item = &str> {
        (0..self.box_count).map(|n| self.box_name(n))
    }
}

fn search(len: usize, compare: impl Fn(usize) -> Ordering) -> Result<usize, usize> {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = usize::midpoint(low, high);
        match compare(middle) {
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
            Ordering::Equal => return Ok(middle),
        }
    }
    Err(low)
}
