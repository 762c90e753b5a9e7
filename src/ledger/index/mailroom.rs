//! Questions to the letters of a state.

use std::collections::{BTreeMap, BTreeSet};

use gix::ObjectId;

use super::base::Post;
use super::file::Found;
use super::{Patch, Slip, blob_id, damaged_after};
use crate::ledger::{Damaged, tree};
use crate::model::address::Address;
use crate::time::Moment;

type Key = (String, Moment, crate::name::BeadId);

/// The letters of a scope at one commit, in brief.
pub struct Mailroom {
    post: Post,
    fresh: BTreeMap<Key, Option<(Slip, ObjectId)>>,
    hidden: BTreeSet<usize>,
    damaged: BTreeMap<String, String>,
}

/// What waits in a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Unread letters and their blobs, oldest first.
    pub letters: Vec<(Slip, ObjectId)>,
    /// Letters that cannot be read.
    pub damaged: Vec<Damaged>,
}

impl Mailroom {
    pub(super) fn plain(post: Post, damaged: Vec<(String, String)>) -> Self {
        Self { post, fresh: BTreeMap::new(), hidden: BTreeSet::new(), damaged: damaged.into_iter().collect() }
    }

    pub(super) fn new(post: Post, found: &Found, patches: &[Patch]) -> Option<Self> {
        let (mut fresh, mut hidden) = (BTreeMap::new(), BTreeSet::new());
        for (slip, now) in patches.iter().flat_map(|patch| &patch.letters) {
            hidden.extend(post.find(slip));
            let now = match now {
                Some(blob) => Some((slip.clone(), blob_id(blob)?)),
                None => None,
            };
            fresh.insert((slip.mailbox.clone(), slip.sent_at, slip.id.clone()), now);
        }
        Some(Self { post, fresh, hidden, damaged: damaged_after(&found.damaged, patches) })
    }

    /// The unread letters of `address`.
    #[must_use]
    pub fn unread(&self, address: &Address) -> Unread {
        let mailbox = address.as_component();
        let rows = self.post.rows(&mailbox).filter(|row| self.post.is_unread(*row) && !self.hidden.contains(row));
        let mut letters: Vec<(Slip, ObjectId)> =
            rows.filter_map(|row| Some((self.post.slip(&mailbox, row)?, self.post.blob(row)))).collect();
        let fresh = self.fresh.values().flatten().filter(|(slip, _)| slip.mailbox == mailbox && slip.is_unread);
        letters.extend(fresh.cloned());
        letters.sort_by(|a, b| a.0.key().cmp(&b.0.key()));
        let dir = format!("{}/", tree::mailbox(address));
        let damaged = self.damaged.iter().filter(|(path, _)| path.starts_with(&dir));
        let damaged = damaged.map(|(path, fault)| Damaged { path: path.clone(), fault: fault.clone() }).collect();
        Unread { letters, damaged }
    }

    /// Letters that somebody has read and that were sent before `moment`, with their blobs.
    #[must_use]
    pub fn read_before(&self, moment: Moment) -> Vec<(Slip, ObjectId)> {
        let is_old = |slip: &Slip| !slip.is_unread && slip.sent_at < moment;
        let mut slips: Vec<(Slip, ObjectId)> = self.fresh.values().flatten().filter(|(slip, _)| is_old(slip)).cloned().collect();
        for mailbox in self.post.mailboxes() {
            for row in self.post.rows(mailbox).filter(|row| !self.hidden.contains(row) && !self.post.is_unread(*row)) {
                slips.extend(self.post.slip(mailbox, row).filter(is_old).map(|slip| (slip, self.post.blob(row))));
            }
        }
        slips
    }

    pub(super) fn slips(&self) -> Option<Vec<(Slip, ObjectId)>> {
        let mut slips: Vec<(Slip, ObjectId)> = self.fresh.values().flatten().cloned().collect();
        for mailbox in self.post.mailboxes() {
            for row in self.post.rows(mailbox).filter(|row| !self.hidden.contains(row)) {
                slips.push((self.post.slip(mailbox, row)?, self.post.blob(row)));
            }
        }
        Some(slips)
    }
}
