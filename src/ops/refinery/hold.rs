//! Requests that do not fit now: dealt with at once, or held in their place until what is in the way is gone.

use super::Queue;
use super::event::Event;
use super::look::Request;
use super::stack::{Misfit, Stack};
use crate::error::Result;
use crate::model::gate::Landing;
use crate::model::merge_request::{MergeRequest, MrState};

impl Queue<'_> {
    /// Deals with what did not fit onto the stack; true when a request left the queue and it must be looked at anew.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn settle(&self, stack: &Stack, say: &mut dyn FnMut(&Event)) -> Result<bool> {
        let mut has_left = false;
        for aside in &stack.aside {
            match &aside.why {
                Misfit::Contained => {
                    self.note_contained(&aside.request, say)?;
                    has_left = true;
                }
                Misfit::WithTarget(files) | Misfit::Foreign(files) => {
                    self.evict_conflict(&aside.request, files, stack.tip, say)?;
                    has_left = true;
                }
                Misfit::WithAhead(ahead, files) => {
                    let reason = format!("conflicts with {ahead}, which is ahead, in {}", files.join(", "));
                    self.hold(&aside.request, &reason, say)?;
                }
                Misfit::Unfit(why) => self.hold(&aside.request, why, say)?,
            }
        }
        Ok(has_left)
    }

    /// The target contains the head already, moved by hand or by a landing that could not record itself.
    fn note_contained(&self, request: &Request, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let head = request.mr.head.clone();
        let landing = Landing { mr: request.bead.id.clone(), head: head.clone(), commit: head };
        let subject = format!("{} is in {} already", landing.mr, self.target());
        let event = self.transact("landed", subject, |change| {
            let mr = MergeRequest::of(&change.bead(&landing.mr)?)?;
            let is_same = mr.state.is_live() && mr.head == landing.head;
            is_same.then(|| self.mark_landed(change, &landing, self.target())).transpose()
        })?;
        if let Some(event) = event {
            say(&event);
        }
        Ok(())
    }

    /// Holds `request` in its place.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn hold(&self, request: &Request, reason: &str, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let id = &request.bead.id;
        let is_new = self.transact("hold", format!("hold {id}"), |change| {
            let mut bead = change.bead(id)?;
            let mut mr = MergeRequest::of(&bead)?;
            if !mr.state.is_live() || (mr.state == MrState::Held && mr.held_reason.as_deref() == Some(reason)) {
                return Ok(false);
            }
            mr.state = MrState::Held;
            mr.held_reason = Some(reason.to_owned());
            mr.put_into(&mut bead);
            change.put_bead(&bead)?;
            Ok(true)
        })?;
        if is_new {
            say(&Event::Held { mr: id.clone(), reason: reason.to_owned() });
        }
        Ok(())
    }

    /// Queues again what was held and fits now.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn resume(&self, stack: &Stack, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let held = stack.placed.iter().filter(|placed| placed.request.mr.state == MrState::Held);
        let held: Vec<&Request> = held.map(|placed| &placed.request).collect();
        if held.is_empty() {
            return Ok(());
        }
        self.transact("resume", format!("queue {} again", held.len()), |change| {
            for request in &held {
                let mut bead = change.bead(&request.bead.id)?;
                let mut mr = MergeRequest::of(&bead)?;
                if mr.state == MrState::Held {
                    mr.state = MrState::Queued;
                    mr.held_reason = None;
                    mr.put_into(&mut bead);
                    change.put_bead(&bead)?;
                }
            }
            Ok(())
        })?;
        for request in held {
            say(&Event::Resumed { mr: request.bead.id.clone() });
        }
        Ok(())
    }
}
