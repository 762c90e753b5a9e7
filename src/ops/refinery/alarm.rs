//! Alarms: what the queue cannot mend itself, mailed once of each tip of the target to those who watch the rig.

use super::Queue;
use super::event::short;
use super::losses::LOSSES_MAX;
use crate::error::Result;
use crate::ledger::{Change, tree};
use crate::model::address::Address;
use crate::model::notebook::Notebook;
use crate::model::protocol::Protocol;
use crate::name::Name;
use crate::ops::post;

impl Queue<'_> {
    /// Tells that others move the target faster than the queue can.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn tell_contended(&self, tip: &str, reason: &str) -> Result<()> {
        let rig = &self.place.rig.name;
        let advice = if self.place.rig.land_remote {
            format!("protect {} at the remote, and land by pull request: gt config set mq.strategy pr --rig {rig}", self.target())
        } else {
            format!("send people's pushes through the queue: gt config set target.protect true --rig {rig}")
        };
        let (target, reason) = (self.target().to_owned(), reason.to_owned());
        self.alarm(tip, &Protocol::TargetContended { target, tip: tip.to_owned(), races: LOSSES_MAX, reason, advice })
    }

    /// Tells that the target itself does not pass `gates`.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn tell_red(&self, tip: &str, gates: &[String]) -> Result<()> {
        self.alarm(tip, &Protocol::TargetRed { target: self.target().to_owned(), tip: tip.to_owned(), gates: gates.to_vec() })
    }

    /// Tells that the queue stops, since `runs` in a row gave no verdict.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn tell_stopped(&self, tip: &str, runs: u32, reason: String) -> Result<()> {
        self.alarm(tip, &Protocol::QueueStopped { target: self.target().to_owned(), tip: tip.to_owned(), runs, reason })
    }

    /// Mails `message` about `tip` to witness and overseer, unless that was done.
    fn alarm(&self, tip: &str, message: &Protocol) -> Result<()> {
        let subject = message.subject();
        let kind = subject.split(' ').next().unwrap_or_default();
        self.transact("alarm", format!("{subject} at {}", short(tip)), |change| {
            let path = tree::notebook(self.target());
            let mut notebook = change.get(&path)?.unwrap_or_else(|| Notebook::new(self.target()));
            if !notebook.note_told(kind, tip) {
                return Ok(());
            }
            change.put(&path, &notebook)?;
            mail(change, message, &self.me, &self.place.rig.name)
        })
    }
}

/// Mails `message` to those who watch `rig`.
///
/// # Errors
/// As [`Change::put`].
pub(super) fn mail(change: &mut Change<'_>, message: &Protocol, me: &Address, rig: &Name) -> Result<()> {
    for to in [Address::Witness(rig.clone()), Address::Overseer(None)] {
        post::post(change, message, me, &to)?;
    }
    Ok(())
}
