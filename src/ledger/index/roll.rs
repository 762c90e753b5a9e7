//! What every question to an index scans, as it lies in memory: beads and mailboxes by number.

use std::cmp::Ordering;
use std::ops::Range;

use super::Target;
use super::layout::{BOX_BYTES, FACT_BYTES, IS_WORD, MR_STATES, Notes, PARENT, Sizes, u32_at, u64_at};
use crate::model::bead::{DependencyKind, IssueType, Status};
use crate::model::merge_request::MrState;
use crate::time::Moment;

/// Set in a row's flags: nothing of this scope blocked the bead when the base was made.
pub const FREE: u8 = 1 << 4;
/// Set in a row's flags: something of this scope did.
pub const BLOCKED: u8 = 1 << 5;

/// Set in a row's flags beside one of them: beads in the archive were asked, too.
pub const LEANS: u8 = 1 << 6;

/// The beads: a column each for what is asked of all of them.
pub struct Roll {
    bytes: Vec<u8>,
    /// How many beads.
    pub len: usize,
    sizes: Sizes,
    label_at: usize,
    edge_at: usize,
    edges: usize,
    labels: usize,
    offsets: usize,
    deferred: usize,
    requests: usize,
    ids: usize,
    words: usize,
    statuses: Vec<Status>,
    types: Vec<IssueType>,
    kinds: Vec<DependencyKind>,
}

fn table<T: From<String>>(known: &[&str], odd: &[String]) -> Vec<T> {
    known.iter().map(|word| (*word).to_owned()).chain(odd.iter().cloned()).map(T::from).collect()
}

fn text(bytes: &[u8], from: usize, to: usize) -> &str {
    bytes.get(from..to).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
}

impl Roll {
    /// The roll of an index with these sizes and notes; its checksum is right.
    #[must_use]
    pub fn new(sizes: Sizes, notes: &Notes, bytes: Vec<u8>) -> Self {
        let len = sizes.beads;
        let label_at = len * FACT_BYTES + (len + 1) * 4;
        let edge_at = label_at + (len + 1) * 4;
        let edges = edge_at + (len + 1) * 4;
        let labels = edges + sizes.edges * 8;
        let offsets = labels + sizes.labels * 4;
        let deferred = offsets + (sizes.words + 1) * 4;
        let requests = deferred + sizes.deferred * 12;
        let ids = requests + sizes.requests * 8;
        Self {
            bytes,
            len,
            sizes,
            label_at,
            edge_at,
            edges,
            labels,
            offsets,
            deferred,
            requests,
            ids,
            words: ids + sizes.id_bytes,
            statuses: table(Status::WORDS, &notes.statuses),
            types: table(IssueType::WORDS, &notes.types),
            kinds: table(DependencyKind::WORDS, &notes.kinds),
        }
    }

    /// Its bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn number(&self, at: usize) -> usize {
        u32_at(&self.bytes, at) as usize
    }

    fn range(&self, column: usize, row: usize) -> Range<usize> {
        self.number(column + row * 4)..self.number(column + row * 4 + 4)
    }

    fn word(&self, n: usize) -> &str {
        let Range { start, end } = self.range(self.offsets, n);
        text(&self.bytes, self.words + start, self.words + end)
    }

    pub fn id(&self, row: usize) -> &str {
        let Range { start, end } = self.range(self.len * FACT_BYTES, row);
        text(&self.bytes, self.ids + start, self.ids + end)
    }

    // A code without a word cannot be where the checksum is right; it would stand for the first.
    pub fn status(&self, row: usize) -> &Status {
        self.statuses.get(usize::from(self.bytes[row * FACT_BYTES])).unwrap_or(&self.statuses[0])
    }

    pub fn issue_type(&self, row: usize) -> &IssueType {
        self.types.get(usize::from(self.bytes[row * FACT_BYTES + 1])).unwrap_or(&self.types[0])
    }

    pub fn priority(&self, row: usize) -> u8 {
        self.bytes[row * FACT_BYTES + 2]
    }

    /// Whether one of the flags in `mask` is set.
    pub fn flag(&self, row: usize, mask: u8) -> bool {
        self.bytes[row * FACT_BYTES + 3] & mask != 0
    }

    pub fn assignee(&self, row: usize) -> Option<&str> {
        let code = self.number(row * FACT_BYTES + 4);
        (code > 0).then(|| self.word(code - 1))
    }

    pub fn created_at(&self, row: usize) -> Moment {
        Moment::from_millis(u64_at(&self.bytes, row * FACT_BYTES + 8).cast_signed())
    }

    pub fn labels(&self, row: usize) -> impl Iterator<Item = &str> {
        self.range(self.label_at, row).map(|n| self.word(self.number(self.labels + n * 4)))
    }

    pub fn defer_until(&self, row: usize) -> Option<Moment> {
        self.until(row).filter(|_| *self.status(row) != Status::InProgress)
    }

    pub fn lease_until(&self, row: usize) -> Option<Moment> {
        self.until(row).filter(|_| *self.status(row) == Status::InProgress)
    }

    /// The moment that the bead in `row` waits for.
    fn until(&self, row: usize) -> Option<Moment> {
        if !self.flag(row, 1 << 3) {
            return None;
        }
        let n = search(self.sizes.deferred, |n| self.number(self.deferred + n * 12).cmp(&row)).ok()?;
        Some(Moment::from_millis(u64_at(&self.bytes, self.deferred + n * 12 + 4).cast_signed()))
    }

    pub fn mr_state(&self, row: usize) -> Option<MrState> {
        if *self.issue_type(row) != IssueType::MergeRequest {
            return None;
        }
        let n = search(self.sizes.requests, |n| self.number(self.requests + n * 8).cmp(&row)).ok()?;
        MR_STATES.get(self.number(self.requests + n * 8 + 4)).copied()
    }

    fn pairs(&self, row: usize) -> impl Iterator<Item = (u32, Target<'_>)> {
        self.range(self.edge_at, row).map(|n| {
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

    pub fn edges(&self, row: usize) -> impl Iterator<Item = (&DependencyKind, Target<'_>)> {
        let own = self.pairs(row).filter(|(kind, _)| *kind != PARENT);
        own.map(|(kind, target)| (self.kinds.get(kind as usize).unwrap_or(&self.kinds[0]), target))
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
}

/// The mailboxes.
pub struct Hall {
    bytes: Vec<u8>,
    sizes: Sizes,
}

impl Hall {
    /// The mailboxes of an index with these sizes; their checksum is right.
    #[must_use]
    pub fn new(sizes: Sizes, bytes: Vec<u8>) -> Self {
        Self { bytes, sizes }
    }

    fn number(&self, n: usize, field: usize) -> usize {
        u32_at(&self.bytes, n * BOX_BYTES + field * 4) as usize
    }

    fn name(&self, n: usize) -> &str {
        let names = (self.sizes.boxes + 1) * BOX_BYTES + self.sizes.unread * 4;
        text(&self.bytes, names + self.number(n, 0), names + self.number(n + 1, 0))
    }

    fn find(&self, mailbox: &str) -> Option<usize> {
        search(self.sizes.boxes, |n| self.name(n).cmp(mailbox)).ok()
    }

    /// The rows of a mailbox.
    pub fn rows(&self, mailbox: &str) -> Range<usize> {
        self.find(mailbox).map_or(0..0, |n| self.number(n, 1)..self.number(n + 1, 1))
    }

    /// The rows of a mailbox that nobody has read.
    pub fn unread(&self, mailbox: &str) -> impl Iterator<Item = usize> {
        let range = self.find(mailbox).map_or(0..0, |n| self.number(n, 2)..self.number(n + 1, 2));
        let start = (self.sizes.boxes + 1) * BOX_BYTES;
        range.map(move |n| u32_at(&self.bytes, start + n * 4) as usize)
    }

    /// All mailboxes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        (0..self.sizes.boxes).map(|n| self.name(n))
    }
}

/// The place that `compare` calls equal among `len` in order, or the one before which it would stand.
pub fn search(len: usize, compare: impl Fn(usize) -> Ordering) -> Result<usize, usize> {
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
