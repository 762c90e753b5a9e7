//! Letting go of work that somebody took: in progress and never handed in, it is open again and nobody's.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::{Change, Ledger};
use crate::model::address::Address;
use crate::model::bead::{Bead, Status, check_text};
use crate::model::hook::Hook;
use crate::name::BeadId;
use crate::ops::sling;
use crate::runtime::process;
use crate::town::Town;

/// A bead that was let go.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Released {
    /// It.
    pub bead: BeadId,
    /// Who had it; nobody, when it was open already.
    pub was_with: Option<String>,
    /// The ref that keeps what its sandbox held unsaved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salvage: Option<String>,
}

/// Lets the beads go, each in a transaction of its own, and says why on each. Those that cannot be let go are found before
/// any is. A bead on the hook of a session that runs is left alone.
///
/// # Errors
/// Not found; refused, when a bead is not in somebody's hands, or its agent is at work, or a polecat asks for what is
/// another's.
pub fn release(town: &Town, beads: &[String], reason: &str) -> Result<Vec<Released>> {
    check_text("reason", reason)?;
    let mut found: Vec<(Ledger, BeadId)> = Vec::new();
    for text in beads {
        let (ledger, id) = town.resolve_bead(text)?;
        if !found.iter().any(|(_, other)| *other == id) {
            check(town, &ledger.state()?.bead(&id)?, on_hook(&ledger, &id)?.as_ref())?;
            found.push((ledger, id));
        }
    }
    found.into_iter().map(|(ledger, id)| let_go(town, &ledger, &id, reason)).collect()
}

fn on_hook(ledger: &Ledger, id: &BeadId) -> Result<Option<Hook>> {
    Ok(ledger.state()?.hooks()?.into_iter().find(|hook| hook.bead == *id))
}

fn check(town: &Town, bead: &Bead, hook: Option<&Hook>) -> Result<()> {
    check_hands(town, bead)?;
    let Some(hook) = hook else { return Ok(()) };
    let is_polecat = matches!(hook.agent, Address::Polecat(..));
    if is_polecat && process::find(&town.runtime_dir(), &hook.agent)?.is_some() {
        return Err(Error::refused(format!("{} is at work on {}", hook.agent, bead.id))
            .hint(format!("end its session and save what it made: gt unsling {}", bead.id)));
    }
    Ok(())
}

/// Refuses what is in nobody's hands, or not in those of whoever asks.
fn check_hands(town: &Town, bead: &Bead) -> Result<()> {
    if !bead.status.is_assigned_work() && bead.status != Status::Open {
        let hint = match bead.status {
            Status::InReview => format!("take its request back: gt mq withdraw {}", bead.id),
            Status::Closed => format!("reopen it: gt bead reopen {}", bead.id),
            _ => format!("see: gt show {}", bead.id),
        };
        return Err(Error::refused(format!("{} is {}, in nobody's hands", bead.id, bead.status)).hint(hint));
    }
    if matches!(town.me, Address::Polecat(..)) {
        return Err(Error::refused(format!("{} may not let go of {}", town.me, bead.id))
            .hint("give back what is on your own hook: gt done --status released --message \"why\""));
    }
    Ok(())
}

fn let_go(town: &Town, ledger: &Ledger, id: &BeadId, reason: &str) -> Result<Released> {
    if let Some(hook) = on_hook(ledger, id)? {
        check(town, &ledger.state()?.bead(id)?, Some(&hook))?;
        let off = sling::unsling(town, id.as_str())?;
        say(town, ledger, id, reason)?;
        return Ok(Released { bead: id.clone(), was_with: off.agent.map(|agent| agent.to_string()), salvage: off.salvage });
    }
    let deed = town.deed("release", format!("release {id}"));
    let was_with = ledger.transact(&deed, |change| {
        let mut bead = change.bead(id)?;
        check_hands(town, &bead)?;
        let was_with = bead.assignee.clone();
        if bead.status == Status::Open && was_with.is_none() {
            return Ok(None);
        }
        bead.become_status(Status::Open, change.now())?;
        bead.assignee = None;
        remark(town, change, &mut bead, reason);
        change.put_bead(&bead)?;
        Ok(was_with)
    })?;
    Ok(Released { bead: id.clone(), was_with, salvage: None })
}

fn remark(town: &Town, change: &Change<'_>, bead: &mut Bead, reason: &str) {
    if !reason.trim().is_empty() {
        bead.comment(format!("release-{}", change.rev()), &town.actor.name, reason, change.now());
    }
}

fn say(town: &Town, ledger: &Ledger, id: &BeadId, reason: &str) -> Result<()> {
    if reason.trim().is_empty() {
        return Ok(());
    }
    ledger.transact(&town.deed("release", format!("say why {id} was released")), |change| {
        let mut bead = change.bead(id)?;
        remark(town, change, &mut bead, reason);
        change.put_bead(&bead)
    })
}
