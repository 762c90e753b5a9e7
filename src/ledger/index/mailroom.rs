//! Questions to the letters of a state.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use gix::ObjectId;

use super::layout::{Notes, Sizes, Stock, URGENCIES};
use super::roll::{Hall, search};
use super::stacks::Stacks;
use super::upkeep::damaged_after;
use super::{LetterPatch, Slip, blob_id};
use crate::ledger::{Damaged, tree};
use crate::model::address::Address;
use crate::time::Moment;

type Key = (String, Moment, crate::name::BeadId);

/// The letters of a scope at one commit, in brief.
pub struct Mailroom {
    hall: Hall,
    stacks: Stacks,
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

fn key(slip: &Slip) -> Key {
    (slip.mailbox.clone(), slip.sent_at, slip.id.clone())
}

impl Mailroom {
    pub(super) fn plain(hall: Hall, stacks: Stacks, damaged: Vec<(String, String)>) -> Self {
        let damaged = damaged.into_iter().filter(|(path, _)| path.starts_with("mail/")).collect();
        Self { hall, stacks, fresh: BTreeMap::new(), hidden: BTreeSet::new(), damaged }
    }

    pub(super) fn loose(stock: Stock) -> Self {
        let sizes = Sizes::default();
        let mut mailroom = Self::plain(Hall::new(sizes, Vec::new()), Stacks::in_memory(sizes, Vec::new()), stock.damaged);
        mailroom.fresh = stock.letters.into_iter().map(|(slip, blob)| (key(&slip), Some((slip, blob)))).collect();
        mailroom
    }

    /// `None`, when a place of the index that is needed is damaged.
    pub(super) fn new(hall: Hall, stacks: Stacks, notes: &Notes, patches: &[LetterPatch]) -> Option<Self> {
        let damaged = damaged_after(notes, "mail/", patches.iter().flat_map(|patch| &patch.damaged));
        let mut mailroom = Self { hall, stacks, fresh: BTreeMap::new(), hidden: BTreeSet::new(), damaged };
        for (slip, now) in patches.iter().flat_map(|patch| &patch.letters) {
            mailroom.hidden.extend(mailroom.find(slip)?);
            let now = match now {
                Some(blob) => Some((slip.clone(), blob_id(blob)?)),
                None => None,
            };
            mailroom.fresh.insert(key(slip), now);
        }
        Some(mailroom)
    }

    /// The row of the letter that `slip` names by mailbox, time and id: a range of one, or an empty one; `None` when a
    /// place of the index is damaged.
    fn find(&self, slip: &Slip) -> Option<Range<usize>> {
        let rows = self.hall.rows(&slip.mailbox);
        let is_damaged = std::cell::Cell::new(false);
        let found = search(rows.len(), |n| {
            let row = rows.start + n;
            match self.stacks.letter(row).zip(self.stacks.letter_id(row)) {
                Some(((_, sent_at, ..), id)) => (sent_at, id.as_str()).cmp(&(slip.sent_at, slip.id.as_str())),
                None => {
                    is_damaged.set(true);
                    std::cmp::Ordering::Equal
                }
            }
        });
        (!is_damaged.get()).then(|| found.map_or(0..0, |n| rows.start + n..rows.start + n + 1))
    }

    fn slip(&self, mailbox: &str, row: usize) -> Option<(Slip, ObjectId)> {
        let (blob, sent_at, is_unread, urgency) = self.stacks.letter(row)?;
        let id = self.stacks.letter_id(row)?.parse().ok()?;
        let urgency = URGENCIES.get(urgency).copied()?;
        Some((Slip { mailbox: mailbox.to_owned(), sent_at, id, is_unread, urgency }, blob))
    }

    /// The unread letters of `address`; `None` when a place of the index is damaged.
    #[must_use]
    pub fn unread(&self, address: &Address) -> Option<Unread> {
        let mailbox = address.as_component();
        let rows = self.hall.unread(&mailbox).filter(|row| !self.hidden.contains(row));
        let mut letters: Vec<(Slip, ObjectId)> = rows.map(|row| self.slip(&mailbox, row)).collect::<Option<_>>()?;
        let fresh = self.fresh.values().flatten().filter(|(slip, _)| slip.mailbox == mailbox && slip.is_unread);
        letters.extend(fresh.cloned());
        letters.sort_by(|a, b| a.0.key().cmp(&b.0.key()));
        let dir = format!("{}/", tree::mailbox(address));
        let damaged = self.damaged.iter().filter(|(path, _)| path.starts_with(&dir));
        let damaged = damaged.map(|(path, fault)| Damaged { path: path.clone(), fault: fault.clone() }).collect();
        Some(Unread { letters, damaged })
    }

    /// Letters that somebody has read and that were sent before `moment`, with their blobs; fewer, when places of the
    /// index are damaged.
    #[must_use]
    pub fn read_before(&self, moment: Moment) -> Vec<(Slip, ObjectId)> {
        let is_old = |slip: &Slip| !slip.is_unread && slip.sent_at < moment;
        let mut slips: Vec<(Slip, ObjectId)> = self.fresh.values().flatten().filter(|(slip, _)| is_old(slip)).cloned().collect();
        for mailbox in self.hall.names() {
            let rows = self.hall.rows(mailbox).filter(|row| !self.hidden.contains(row));
            slips.extend(rows.filter_map(|row| self.slip(mailbox, row)).filter(|(slip, _)| is_old(slip)));
        }
        slips
    }

    pub(super) fn slips(&self) -> Option<Vec<(Slip, ObjectId)>> {
        let mut slips: Vec<(Slip, ObjectId)> = self.fresh.values().flatten().cloned().collect();
        for mailbox in self.hall.names() {
            for row in self.hall.rows(mailbox).filter(|row| !self.hidden.contains(row)) {
                slips.push(self.slip(mailbox, row)?);
            }
        }
        Some(slips)
    }

    pub(super) fn damaged_pairs(&self) -> Vec<(String, String)> {
        self.damaged.clone().into_iter().collect()
    }
}
