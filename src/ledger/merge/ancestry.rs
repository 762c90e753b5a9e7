//! The base of a merge whose sides have several common ancestors: those, merged pairwise.

use std::collections::BTreeMap;

use gix::ObjectId;

use super::{BASE_DEPTH_MAX, Chain, Merger, Trees, edit_tree, rev_above};
use crate::error::Result;
use crate::ledger::history;
use crate::store::Store;
use crate::store::batch::Batch;

/// The ledger that several common ancestors amount to.
pub(super) struct Ancestry<'s> {
    store: &'s Store,
    chain: Chain,
    scratch: Batch,
    known: BTreeMap<Vec<ObjectId>, Ancestor>,
}

/// A commit, or what several amount to.
#[derive(Clone)]
pub(super) struct Ancestor {
    pub(super) tree: ObjectId,
    number: u64,
}

impl<'s> Ancestry<'s> {
    pub(super) fn new(store: &'s Store, chain: Chain) -> Self {
        Self { store, chain, scratch: Batch::default(), known: BTreeMap::new() }
    }

    /// Trees and records that a base is made of.
    pub(super) fn scratch(&self) -> &Batch {
        &self.scratch
    }

    /// Merges `tips` (ascending) pairwise, without reports.
    pub(super) fn merged(&mut self, tips: &[ObjectId], depth: usize) -> Result<Ancestor> {
        let Some(first) = tips.first() else {
            return Ok(Ancestor { tree: ObjectId::empty_tree(gix::hash::Kind::Sha1), number: 0 });
        };
        if let Some(known) = self.known.get(tips) {
            return Ok(known.clone());
        }
        let link = history::link(self.store, *first)?;
        let mut merged = Ancestor { tree: link.tree, number: link.number };
        let others = if depth < BASE_DEPTH_MAX { &tips[1..] } else { &[] };
        for (n, tip) in others.iter().enumerate() {
            let bases = history::compare(self.store, &tips[..=n], &[*tip])?.bases;
            let base = self.merged(&bases, depth + 1)?;
            let next = history::link(self.store, *tip)?;
            let rev = rev_above(merged.number, next.number);
            let trees = Trees { base: base.tree, ours: merged.tree, theirs: next.tree };
            let mut work = Merger::new(self.store, self.chain, &self.scratch, &rev);
            work.collect(trees)?;
            let (edits, made) = work.finish()?;
            self.scratch.absorb(made);
            let tree = edit_tree(self.store, trees.ours, &edits, &mut self.scratch)?;
            merged = Ancestor { tree, number: rev.number };
        }
        self.known.insert(tips.to_vec(), merged.clone());
        Ok(merged)
    }
}
