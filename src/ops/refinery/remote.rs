//! When a remote's branch is the target: followed before each round, pushed with expectation, read back.

use gix::ObjectId;

use super::event::Event;
use super::{Queue, Turn};
use crate::error::{Error, Kind, Result};
use crate::git::progress::Progress;
use crate::git::push::{Outcome, Update};
use crate::git::{fetch, push};
use crate::store::refs::Swap;

/// How often a push that did not arrive is tried.
const PUSHES_MAX: u32 = 3;

/// Whether a target moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// It contains the landing.
    Yes,
    /// It went elsewhere; why.
    Lost(String),
    /// The remote has it as it was, and does not take the landing; what it said.
    Refused(String),
    /// Nobody can tell; what the remote said.
    Away(String),
}

/// The tip to plan on.
pub(super) struct Tip {
    /// The target's tip.
    pub(super) commit: ObjectId,
    /// Whether the remote that holds the target could not be asked.
    pub(super) is_remote_away: bool,
}

impl Queue<'_> {
    /// The target's tip now. With a remote target it is the remote's; the local branch follows it forward.
    ///
    /// # Errors
    /// Not found, when there is no such branch.
    pub(super) fn tip(&self, say: &mut dyn FnMut(&Event)) -> Result<Tip> {
        let store = &self.place.ledger.store;
        let local = store.read_ref(&self.turn.target_ref())?;
        let missing = || {
            Error::not_found(format!("there is no branch {} to land on in {}", self.target(), self.place.rig.name))
                .hint("give the branch a first commit, or name another target")
        };
        if !self.place.rig.land_remote {
            let commit = local.ok_or_else(missing)?;
            self.heed_tip(commit, say)?;
            return Ok(Tip { commit, is_remote_away: false });
        }
        match self.remote_tip() {
            Ok(Some(remote)) => {
                self.heed_tip(remote, say)?;
                self.follow(local, remote, say)?;
                Ok(Tip { commit: remote, is_remote_away: false })
            }
            Ok(None) => Err(missing()),
            Err(error) if error.kind == Kind::External => {
                say(&Event::RemoteAway { reason: error.line() });
                local.map(|commit| Tip { commit, is_remote_away: true }).ok_or_else(missing)
            }
            Err(error) => Err(error),
        }
    }

    /// What the remote's target is, its objects fetched.
    ///
    /// # Errors
    /// External, when the remote cannot be asked.
    pub(super) fn remote_tip(&self) -> Result<Option<ObjectId>> {
        let (store, url) = (&self.place.ledger.store, self.place.project.as_str());
        let name = self.turn.target_ref();
        let Some(tip) = fetch::advertised(store, url)?.get(&name).copied() else { return Ok(None) };
        if store.repo.find_header(tip).is_ok() && self.is_known(tip)? {
            return Ok(Some(tip));
        }
        Ok(fetch::fetch(store, url, std::slice::from_ref(&name), &Progress::silent())?.get(&name).copied())
    }

    /// Whether `tip` is part of the local branch, and so complete here; an object alone may lack its history.
    fn is_known(&self, tip: ObjectId) -> Result<bool> {
        let store = &self.place.ledger.store;
        match store.read_ref(&self.turn.target_ref())? {
            Some(local) => store.is_ancestor(tip, local),
            None => Ok(false),
        }
    }

    /// Moves the local branch forward to `remote`; one that went elsewhere is left and reported.
    fn follow(&self, local: Option<ObjectId>, remote: ObjectId, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let store = &self.place.ledger.store;
        if local == Some(remote) {
            return Ok(());
        }
        let is_forward = match local {
            Some(local) => store.is_ancestor(local, remote)?,
            None => true,
        };
        if is_forward && store.swap_ref(&self.turn.target_ref(), local, remote)? == Swap::Moved {
            return match local {
                Some(local) => self.move_worktrees(local, remote, say),
                None => Ok(()),
            };
        }
        if let Some(local) = local.filter(|_| !is_forward) {
            self.tell_stray(local, remote, say)?;
        }
        let reason = "it has commits that the remote's branch has not".to_owned();
        say(&Event::LeftBehind { what: format!("branch {}", self.target()), reason });
        Ok(())
    }

    /// Pushes the target from `old` to `new` and reads it back; refused or unanswered, the remote's ref decides.
    pub(super) fn push_target(&self, turn: &Turn, old: ObjectId, new: ObjectId, say: &mut dyn FnMut(&Event)) -> Result<Moved> {
        let (store, url, name) = (&self.place.ledger.store, self.place.push_url(), turn.target_ref());
        let mut refusal = String::new();
        for _ in 0..PUSHES_MAX {
            let update = Update { name: name.clone(), old: Some(old), new: Some(new) };
            match push::push(store, &url, &[update], &Progress::silent()) {
                Ok(outcomes) => {
                    for (_, outcome) in outcomes {
                        if let Outcome::Rejected(why) = outcome {
                            refusal = why;
                        }
                    }
                }
                Err(error) if error.kind == Kind::External => refusal = error.line(),
                Err(error) => return Err(error),
            }
            crate::env::crash_point("land.pushed");
            let now = match self.remote_tip() {
                Ok(now) => now,
                Err(error) if error.kind == Kind::External => {
                    say(&Event::RemoteAway { reason: error.line() });
                    return Ok(Moved::Away(error.line()));
                }
                Err(error) => return Err(error),
            };
            match now {
                Some(tip) if store.is_ancestor(new, tip)? => return Ok(Moved::Yes),
                Some(tip) if tip == old => {}
                Some(_) | None => return Ok(Moved::Lost(format!("{} moved at the remote meanwhile", turn.target))),
            }
        }
        Ok(Moved::Refused(refusal))
    }
}
