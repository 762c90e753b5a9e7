//! Landings that are open, left by a dead process or waiting for a pull request: finished, done again or called off, as the
//! target says.

use gix::ObjectId;

use super::Queue;
use super::event::{Event, Recovery, short};
use super::land::Attempt;
use super::look::object_id;
use crate::error::{Kind, Result};
use crate::ledger::tree;
use crate::model::gate::Intent;
use crate::ops::gates::Yard;
use crate::store::Store;
use crate::town::RigPlace;

/// How often the target of a landing is read when its pull request is said to be merged: it may have been merged between.
const LOOKS_MAX: u32 = 2;

impl Queue<'_> {
    /// Settles every open intent of this target; false when one waits for its pull request. One whose remote does not
    /// answer stays open: nothing lands before it is settled, and what waits is gated meanwhile.
    ///
    /// The turn is held, so whoever wrote them is dead.
    ///
    /// # Errors
    /// As landing.
    pub(super) fn recover(&mut self, say: &mut dyn FnMut(&Event)) -> Result<bool> {
        let intents = self.place.ledger.state()?.intents()?;
        let target = self.target().to_owned();
        for intent in intents.into_iter().filter(|intent| intent.target == target) {
            let outcome = match self.settle_intent(&intent, say) {
                Ok(Some(outcome)) => outcome,
                Ok(None) => return Ok(self.clerk.is_none() && intent.pull_request.is_none()),
                Err(error) if error.kind == Kind::External && self.place.rig.land_remote => {
                    say(&Event::RemoteAway { reason: error.line() });
                    return Ok(self.clerk.is_none() && intent.pull_request.is_none());
                }
                Err(error) => return Err(error),
            };
            say(&Event::Recovered { intent: intent.id, outcome });
        }
        Ok(true)
    }

    fn settle_intent(&mut self, intent: &Intent, say: &mut dyn FnMut(&Event)) -> Result<Option<Recovery>> {
        for _ in 0..LOOKS_MAX {
            if let Some(recovery) = self.settle_by_target(intent, say)? {
                return Ok(Some(recovery));
            }
            match self.carry_out(intent, say)? {
                Attempt::Landed => return Ok(Some(Recovery::Landed)),
                Attempt::Dropped(_) => return Ok(Some(Recovery::Cancelled)),
                Attempt::Closed => return Ok(Some(Recovery::Closed)),
                Attempt::RemoteAway(_) | Attempt::Waiting => return Ok(None),
                Attempt::Merged => {}
            }
        }
        self.stuck(format!("it is said to be merged, but {} is still at {}", intent.target, short(&intent.old)), say);
        Ok(None)
    }

    /// Finishes `intent` or calls it off, as the target says; nothing, when that has not moved.
    fn settle_by_target(&mut self, intent: &Intent, say: &mut dyn FnMut(&Event)) -> Result<Option<Recovery>> {
        let store = &self.place.ledger.store;
        let (old, new) = (object_id(&intent.old)?, object_id(&intent.new)?);
        let tip = if self.place.rig.land_remote { self.remote_tip()? } else { store.read_ref(&self.turn.target_ref())? };
        let is_whole = store.repo.find_header(new).is_ok();
        if is_whole && tip == Some(old) {
            return Ok(None);
        }
        let Some(tip) = tip.filter(|_| is_whole) else {
            self.call_off(intent)?;
            return Ok(Some(Recovery::Cancelled));
        };
        let is_pulled = self.clerk.is_some() || intent.pull_request.is_some();
        let landed = match store.is_ancestor(new, tip)? {
            true => Some(intent.clone()),
            false if is_pulled => self.merged_otherwise(intent, tip)?,
            false => None,
        };
        let Some(landed) = landed else {
            self.call_off(intent)?;
            return Ok(Some(Recovery::Cancelled));
        };
        if self.place.rig.land_remote {
            // The local branch may not have moved before the process died.
            self.tip(say)?;
        } else {
            self.move_worktrees(old, new, say)?;
        }
        self.finish(&landed, say)?;
        Ok(Some(Recovery::Finished))
    }
}

/// Whether pins of landings stand, or files of locks on them.
///
/// # Errors
/// Io, when they cannot be looked for.
pub(super) fn is_strewn(place: &RigPlace) -> Result<bool> {
    let store = &place.ledger.store;
    Ok(!locks_of_pins(store).is_empty() || !store.refs_below(tree::LANDING)?.is_empty())
}

/// The pins of landings whose locks have files.
fn locks_of_pins(store: &Store) -> Vec<String> {
    let entries = std::fs::read_dir(store.dir().join(tree::LANDING)).into_iter().flatten();
    let names = entries.filter_map(std::result::Result::ok).filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| Some(format!("{}{}", tree::LANDING, name.strip_suffix(".lock")?))).collect()
}

/// Drops pins of landings that have no intent: their process died just before or after it stood. Holding the yard
/// means that no other process of this rig is about to record one.
///
/// # Errors
/// Io, when a ref cannot be removed.
pub(super) fn drop_stray_pins(place: &RigPlace, _yard: &Yard) -> Result<()> {
    let store = &place.ledger.store;
    // A killed process leaves the file of its lock, which goes with the next hold of that lock.
    for name in locks_of_pins(store) {
        store.remove_ref(&name, ObjectId::null(gix::hash::Kind::Sha1))?;
    }
    let intents = place.ledger.state()?.intents()?;
    for (name, commit) in store.refs_below(tree::LANDING)? {
        if !intents.iter().any(|intent| tree::landing_pin(&intent.id) == name) {
            store.remove_ref(&name, commit)?;
        }
    }
    Ok(())
}
