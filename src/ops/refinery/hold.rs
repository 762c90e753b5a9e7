//! Requests that do not fit now: dealt with at once, or held in their place until what is in the way is gone.

use gix::ObjectId;

use super::Queue;
use super::event::Event;
use super::look::Request;
use super::permit::Hindered;
use super::stack::{Misfit, Stack};
use crate::error::Result;
use crate::model::gate::{Intent, Landing};
use crate::model::merge_request::{HeldFor, MergeRequest, MrState};
use crate::name::BeadId;

/// What a request is held for, as its record says it.
struct Held<'a> {
    id: &'a BeadId,
    reason: &'a str,
    cause: Option<HeldFor>,
    behind: Option<&'a BeadId>,
}

impl Held<'_> {
    fn is_said(&self, mr: &MergeRequest) -> bool {
        let waits_for = mr.waits_for.iter().eq(self.behind);
        mr.state == MrState::Held && mr.held_reason.as_deref() == Some(self.reason) && mr.held_for == self.cause && waits_for
    }
}

impl Queue<'_> {
    /// Deals with what did not fit onto the stack; true when a request left the queue and it must be looked at anew.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn settle(&self, stack: &Stack, say: &mut dyn FnMut(&Event)) -> Result<bool> {
        let mut has_left = false;
        for aside in &stack.aside {
            match &aside.why {
                // A landing whose remote did not answer in time is finished as such, by the next run.
                Misfit::Contained(_) if self.is_under_way(&aside.request)? => {}
                Misfit::Contained(commit) => {
                    self.note_contained(&aside.request, *commit, say)?;
                    has_left = true;
                }
                Misfit::WithTarget(files) | Misfit::Foreign(files) => {
                    self.evict_conflict(&aside.request, files, stack.tip, say)?;
                    has_left = true;
                }
                Misfit::WithAhead(ahead, files) => {
                    let reason = format!("conflicts with {ahead}, which is ahead, in {}", files.join(", "));
                    let id = &aside.request.bead.id;
                    self.note_held(&[Held { id, reason: &reason, cause: None, behind: Some(ahead) }], say)?;
                    self.tell_of_conflict(&aside.request, stack, ahead, files)?;
                }
                Misfit::Behind(gap) => {
                    self.hold(&aside.request, &gap.reason(), say)?;
                    self.tell_of_gap(&aside.request, gap)?;
                }
                Misfit::Unfit(why) => self.hold(&aside.request, why, say)?,
            }
        }
        Ok(has_left)
    }

    /// Whether a landing of `request` is open.
    fn is_under_way(&self, request: &Request) -> Result<bool> {
        let id = &request.bead.id;
        let is_of = |intent: &Intent| intent.landings.iter().any(|landing| landing.mr == *id);
        Ok(request.mr.state == MrState::Landing && self.place.ledger.state()?.intents()?.iter().any(is_of))
    }

    /// The target, whose `commit` has it, contains the change already: moved by hand, or made there too.
    fn note_contained(&self, request: &Request, commit: ObjectId, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let (mr, head) = (request.bead.id.clone(), request.mr.head.clone());
        let landing = Landing { mr, head, commit: commit.to_string(), onto: None };
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
        self.note_held(&[Held { id: &request.bead.id, reason, cause: None, behind: None }], say)
    }

    /// Notes of all `waiting` at once what people said that holds them.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn note_hindered(&self, waiting: &[Request], hindered: &Hindered, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let held = waiting.iter().filter_map(|request| {
            let (id, hindrance) = (&request.bead.id, hindered.get(&request.bead.id)?);
            let held = Held { id, reason: &hindrance.why, cause: Some(hindrance.cause), behind: None };
            (!held.is_said(&request.mr)).then_some(held)
        });
        self.note_held(&held.collect::<Vec<_>>(), say)
    }

    /// Writes the state of all of `held` that is not said yet, in one transaction.
    fn note_held(&self, held: &[Held<'_>], say: &mut dyn FnMut(&Event)) -> Result<()> {
        let subject = match held {
            [] => return Ok(()),
            [one] => format!("hold {}", one.id),
            many => format!("hold {} requests", many.len()),
        };
        let new = self.transact("hold", subject, |change| {
            let mut new = Vec::new();
            for (at, held) in held.iter().enumerate() {
                let mut bead = change.bead(held.id)?;
                let mut mr = MergeRequest::of(&bead)?;
                if !matches!(mr.state, MrState::Queued | MrState::Held) || held.is_said(&mr) {
                    continue;
                }
                mr.become_state(MrState::Held);
                mr.held_reason = Some(held.reason.to_owned());
                mr.held_for = held.cause;
                mr.waits_for.extend(held.behind.cloned());
                mr.put_into(&mut bead);
                change.put_bead(&bead)?;
                new.push(at);
            }
            Ok(new)
        })?;
        for held in new.into_iter().map(|at| &held[at]) {
            say(&Event::Held { mr: held.id.clone(), reason: held.reason.to_owned() });
        }
        Ok(())
    }

    /// Queues again what was held, fits now and is not hindered.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn resume(&self, stack: &Stack, hindered: &Hindered, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let placed = stack.placed.iter().map(|placed| &placed.request);
        let held: Vec<&Request> =
            placed.filter(|one| one.mr.state == MrState::Held && hindered.get(&one.bead.id).is_none()).collect();
        if held.is_empty() {
            return Ok(());
        }
        self.transact("resume", format!("queue {} again", held.len()), |change| {
            for request in &held {
                let mut bead = change.bead(&request.bead.id)?;
                let mut mr = MergeRequest::of(&bead)?;
                if mr.state == MrState::Held {
                    mr.become_state(MrState::Queued);
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
