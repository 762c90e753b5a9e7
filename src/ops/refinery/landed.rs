//! What is recorded of a landing when the target has it, or when it is called off.

use super::event::{Event, short};
use super::land::count;
use super::revert::in_full;
use super::{Queue, integration, moved};
use crate::env::crash_point;
use crate::error::Result;
use crate::ledger::{Change, tree};
use crate::model::bead::Status;
use crate::model::gate::{Intent, Landing};
use crate::model::merge_request::{MergeRequest, MrState};
use crate::model::protocol::Protocol;
use crate::name::BeadId;
use crate::ops::convoy::{self, Settled, Settling};
use crate::ops::post;

impl Queue<'_> {
    /// Records that the target contains `intent`: requests landed, beads closed, mail, intent dropped; at once.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn finish(&self, intent: &Intent, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let subject = format!("landed {} on {} as {}", count(intent.landings.len()), intent.target, short(&intent.new));
        let events = self.transact("landed", subject, |change| {
            let mut events = Vec::new();
            if !change.has(&tree::intent(&intent.id))? {
                return Ok(events);
            }
            for landing in &intent.landings {
                events.push(self.mark_landed(change, landing, &intent.target)?);
            }
            change.remove(&tree::intent(&intent.id));
            moved::leave_at(change, &intent.target, &intent.new)?;
            Ok(events)
        })?;
        crash_point("land.recorded");
        self.unpin(intent)?;
        let beads = events.iter().flat_map(|event| if let Event::Landed { beads, .. } = event { &beads[..] } else { &[] });
        let beads: Vec<BeadId> = beads.cloned().collect();
        self.end_branches(&beads, say);
        let settled = convoy::after_close(self.town, &beads);
        for event in events.iter().chain(&settled.iter().flat_map(of_convoy).collect::<Vec<_>>()) {
            say(event);
        }
        Ok(())
    }

    /// Marks one request as landed in `change`, closes its beads and tells witness and author.
    ///
    /// # Errors
    /// As [`Change::put`].
    pub(super) fn mark_landed(&self, change: &mut Change<'_>, landing: &Landing, target: &str) -> Result<Event> {
        let (by, now) = (self.me.to_string(), change.now());
        let reason = format!("merged as {}", landing.commit);
        let mut bead = change.bead(&landing.mr)?;
        let mut mr = MergeRequest::of(&bead)?;
        mr.become_state(MrState::Landed);
        mr.landed_commit = Some(landing.commit.clone());
        mr.landed_onto.clone_from(&landing.onto);
        mr.put_into(&mut bead);
        bead.close(&by, &reason, now)?;
        change.put_bead(&bead)?;
        for id in &mr.source_beads {
            let mut source = in_full(change, id)?;
            match source.status {
                _ if mr.reverts.as_ref().is_some_and(|revert| revert.reopens) => {}
                Status::InReview | Status::Open | Status::Blocked | Status::Deferred => source.close(&by, &reason, now)?,
                // Somebody took it up again meanwhile, or closed it: that is theirs to end.
                _ => source.comment(change.rev().to_string(), &by, &reason, now),
            }
            if let Some(revert) = mr.reverts.as_ref().filter(|revert| revert.reopens) {
                self.take_back(change, &mut source, (&landing.mr, revert), &landing.commit)?;
            }
            integration::landed_in(change, &mut source, &landing.mr)?;
            change.put_bead(&source)?;
            let message = Protocol::Merged {
                mr: landing.mr.clone(),
                bead: id.clone(),
                branch: mr.branch.clone(),
                target: target.to_owned(),
                commit: landing.commit.clone(),
            };
            for to in self.hearers(&mr.author) {
                post::post(change, &message, &self.me, &to)?;
            }
        }
        Ok(Event::Landed {
            mr: landing.mr.clone(),
            beads: mr.source_beads,
            target: target.to_owned(),
            commit: landing.commit.clone(),
        })
    }

    /// Drops an intent that cannot land; its requests are queued again.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn call_off(&self, intent: &Intent) -> Result<()> {
        self.transact("land", format!("call off landing {}", intent.id), |change| {
            for landing in &intent.landings {
                let mut bead = change.bead(&landing.mr)?;
                let mut mr = MergeRequest::of(&bead)?;
                if mr.state == MrState::Landing {
                    mr.become_state(MrState::Queued);
                    mr.force = None;
                    mr.pull_request = None;
                    mr.put_into(&mut bead);
                    change.put_bead(&bead)?;
                }
            }
            change.remove(&tree::intent(&intent.id));
            Ok(())
        })?;
        self.unpin(intent)
    }

    /// Drops the pin of a landing that is settled.
    ///
    /// # Errors
    /// Io, when the ref cannot be removed.
    pub(super) fn unpin(&self, intent: &Intent) -> Result<()> {
        let (store, name) = (&self.place.ledger.store, tree::landing_pin(&intent.id));
        if let Some(pin) = store.read_ref(&name)? {
            store.remove_ref(&name, pin)?;
        }
        Ok(())
    }
}

/// What is to be told of a convoy after a landing.
fn of_convoy(settled: &Settled) -> Vec<Event> {
    let (convoy, title) = (settled.id.clone(), settled.title.clone());
    let slung: Vec<BeadId> = settled.fed.iter().flat_map(|fed| fed.slung().cloned()).collect();
    let mut events = Vec::new();
    if !slung.is_empty() {
        events.push(Event::ConvoyFed { convoy: convoy.clone(), beads: slung });
    }
    if settled.outcome == Settling::Landed {
        events.push(Event::ConvoyLanded { convoy, title });
    }
    events
}
