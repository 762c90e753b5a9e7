//! The part of an index of which a question touches few places: read and checked by the block.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::rc::Rc;

use gix::ObjectId;

use super::layout::{BEAD_BYTES, BLOCK_BYTES, Header, LETTER_BYTES, Sizes, sum, u32_at, u64_at};
use crate::time::Moment;

/// Written for a moment that there is not.
pub const NEVER: i64 = i64::MIN;

/// The stacks. Every answer may be `None`: then the place is damaged, and whoever asks goes to the records.
pub struct Stacks {
    source: Source,
    sizes: Sizes,
    blocks: RefCell<HashMap<usize, Option<Rc<[u8]>>>>,
}

enum Source {
    Memory(Vec<u8>),
    File { file: Rc<File>, path: PathBuf, at: u64, sums: Vec<u8> },
}

/// The checksum of block `n`.
pub fn block_sum(n: usize, block: &[u8]) -> u64 {
    sum(16 + n as u64, block)
}

impl Stacks {
    /// Stacks just made.
    #[must_use]
    pub fn in_memory(sizes: Sizes, bytes: Vec<u8>) -> Self {
        Self { source: Source::Memory(bytes), sizes, blocks: RefCell::default() }
    }

    /// Those of the index `file` at `path` with checked `sums` of its blocks.
    #[must_use]
    pub fn in_file(header: &Header, file: Rc<File>, path: PathBuf, sums: Vec<u8>) -> Self {
        let source = Source::File { file, path, at: header.stacks_at() as u64, sums };
        Self { source, sizes: header.sizes, blocks: RefCell::default() }
    }

    fn bytes(&self, from: usize, len: usize) -> Option<Vec<u8>> {
        let to = from.checked_add(len).filter(|to| *to <= self.sizes.stack_bytes())?;
        if let Source::Memory(bytes) = &self.source {
            return bytes.get(from..to).map(<[u8]>::to_vec);
        }
        let mut found = Vec::with_capacity(len);
        while from + found.len() < to {
            let at = from + found.len();
            let block = self.block(at / BLOCK_BYTES)?;
            let start = at % BLOCK_BYTES;
            let end = block.len().min(start + to - at);
            found.extend_from_slice(block.get(start..end).filter(|part| !part.is_empty())?);
        }
        Some(found)
    }

    fn block(&self, n: usize) -> Option<Rc<[u8]>> {
        let Source::File { file, path, at, sums } = &self.source else { return None };
        let read = || {
            let start = n * BLOCK_BYTES;
            let mut block = vec![0; BLOCK_BYTES.min(self.sizes.stack_bytes().checked_sub(start)?)];
            file.read_exact_at(&mut block, at + start as u64).ok()?;
            let is_good = block_sum(n, &block) == u64_at(sums, n * 8);
            if !is_good {
                // The next reader makes it anew; this one goes to the records.
                tracing::debug!(path = %path.display(), block = n, "the index is damaged");
                let _ = std::fs::remove_file(path);
            }
            is_good.then(|| Rc::from(block))
        };
        self.blocks.borrow_mut().entry(n).or_insert_with(read).clone()
    }

    fn number(&self, at: usize) -> Option<usize> {
        self.bytes(at, 4).map(|four| u32_at(&four, 0) as usize)
    }

    fn text(&self, start: usize, numbers: [usize; 2]) -> Option<String> {
        let [from, to] = numbers;
        String::from_utf8(self.bytes(start + from, to.checked_sub(from)?)?).ok()
    }

    fn titles(&self) -> usize {
        (self.sizes.beads + 1) * BEAD_BYTES
    }

    fn links(&self) -> usize {
        self.titles() + self.sizes.title_bytes
    }

    fn letters(&self) -> usize {
        self.links() + (self.sizes.beads + 1 + self.sizes.backlinks) * 4
    }

    /// The blob of the bead in `row`.
    pub fn blob(&self, row: usize) -> Option<ObjectId> {
        ObjectId::try_from(self.bytes(row * BEAD_BYTES, 20)?.as_slice()).ok()
    }

    /// The title of the bead in `row`.
    pub fn title(&self, row: usize) -> Option<String> {
        let at = row * BEAD_BYTES + 20;
        self.text(self.titles(), [self.number(at)?, self.number(at + BEAD_BYTES)?])
    }

    /// When the bead in `row` was changed, and when it was closed.
    pub fn moments(&self, row: usize) -> Option<(Moment, Option<Moment>)> {
        let both = self.bytes(row * BEAD_BYTES + 24, 16)?;
        let millis = [u64_at(&both, 0).cast_signed(), u64_at(&both, 8).cast_signed()];
        Some((Moment::from_millis(millis[0]), (millis[1] != NEVER).then(|| Moment::from_millis(millis[1]))))
    }

    /// The rows with an edge to the bead in `row`, its children among them.
    pub fn backlinks(&self, row: usize) -> Option<Vec<usize>> {
        let (from, to) = (self.number(self.links() + row * 4)?, self.number(self.links() + (row + 1) * 4)?);
        let start = self.links() + (self.sizes.beads + 1) * 4;
        let bytes = self.bytes(start + from * 4, to.checked_sub(from)? * 4)?;
        Some(bytes.chunks_exact(4).map(|four| u32_at(four, 0) as usize).collect())
    }

    /// The blob of the letter in `row`, when it was sent, whether it is unread, and the code of its urgency.
    pub fn letter(&self, row: usize) -> Option<(ObjectId, Moment, bool, usize)> {
        let bytes = self.bytes(self.letters() + row * LETTER_BYTES, LETTER_BYTES)?;
        let blob = ObjectId::try_from(&bytes[..20]).ok()?;
        Some((blob, Moment::from_millis(u64_at(&bytes, 24).cast_signed()), bytes[32] == 1, usize::from(bytes[33])))
    }

    /// The id of the letter in `row`.
    pub fn letter_id(&self, row: usize) -> Option<String> {
        let at = self.letters() + row * LETTER_BYTES + 20;
        let ids = self.letters() + (self.sizes.letters + 1) * LETTER_BYTES;
        self.text(ids, [self.number(at)?, self.number(at + LETTER_BYTES)?])
    }
}
