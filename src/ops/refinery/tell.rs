//! Words to the author of a request that is held: told early and once, nothing is sent back.

use super::Queue;
use super::look::Request;
use super::stack::{Gap, Stack};
use crate::error::Result;
use crate::model::merge_request::{MergeRequest, MrState};
use crate::model::protocol::Protocol;
use crate::name::BeadId;
use crate::ops::post;

/// How many heads a request remembers that its author was told of.
const TOLD_MAX: usize = 32;

/// What an author is to be told.
struct Word<'a> {
    /// The request that is in the way or missing.
    other: &'a BeadId,
    /// Its head: of a pair of heads the author hears once.
    head: String,
    reason: String,
    files: &'a [String],
}

impl Queue<'_> {
    /// Tells the author of `request` that it conflicts with `ahead` in `files`.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn tell_of_conflict(&self, request: &Request, stack: &Stack, ahead: &BeadId, files: &[String]) -> Result<()> {
        let Some(other) = stack.placed.iter().find(|placed| placed.request.bead.id == *ahead) else { return Ok(()) };
        let reason = format!(
            "it conflicts with {ahead}, which is ahead; it keeps its place, and is sent back only if that one lands: look at {} \
             before",
            other.request.mr.branch
        );
        self.tell_once(request, &Word { other: ahead, head: other.request.mr.head.clone(), reason, files })
    }

    /// Tells the author of `request` that what it stands on is gone.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn tell_of_gap(&self, request: &Request, gap: &Gap) -> Result<()> {
        let (Some(_), Some(head)) = (gap.lost, gap.head) else { return Ok(()) };
        self.tell_once(request, &Word { other: &gap.parent, head: head.to_string(), reason: gap.reason(), files: &[] })
    }

    fn tell_once(&self, request: &Request, word: &Word<'_>) -> Result<()> {
        if request.mr.told_of.contains(&word.head) {
            return Ok(());
        }
        let id = &request.bead.id;
        self.transact("hold", format!("tell of {} before {id}", word.other), |change| {
            let mut bead = change.bead(id)?;
            let mut mr = MergeRequest::of(&bead)?;
            if !mr.state.is_live() || mr.told_of.contains(&word.head) {
                return Ok(());
            }
            mr.told_of.push(word.head.clone());
            let surplus = mr.told_of.len().saturating_sub(TOLD_MAX);
            mr.told_of.drain(..surplus);
            mr.put_into(&mut bead);
            change.put_bead(&bead)?;
            let Some(work) = mr.source_beads.first() else { return Ok(()) };
            let message = Protocol::MergeHeld {
                mr: id.clone(),
                bead: work.clone(),
                other: word.other.clone(),
                reason: word.reason.clone(),
                files: word.files.to_vec(),
                ours: mr.head.clone(),
                theirs: vec![word.head.clone()],
            };
            match mr.author.parse() {
                Ok(author) => post::post(change, &message, &self.me, &author),
                // Another program wrote it, under a name that has no mailbox.
                Err(_) => Ok(()),
            }
        })
    }
}

impl Gap {
    /// Why the child waits, for people.
    pub(super) fn reason(&self) -> String {
        let parent = &self.parent;
        match self.lost {
            None => format!("parent not landed: it stands on {parent}, which waits itself"),
            Some(state) => {
                let how = if state == MrState::Evicted { "sent back" } else { state.word() };
                format!(
                    "parent not landed: it stands on {parent}, which was {how}; it goes on when that work is handed in again, or \
                     without it when its branch is rebased and handed in anew"
                )
            }
        }
    }
}
