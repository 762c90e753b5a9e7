//! Hand-off: an agent writes down what whoever goes on must know, and a fresh session takes over with the hook kept.
//!
//! The letter is durable before anything is ended. Killed after it, the work hangs on the hook as before, and whatever
//! starts the next session of the agent has the letter told by prime.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::State;
use crate::model::address::Address;
use crate::model::hook::Hook;
use crate::model::mail::Letter;
use crate::model::protocol::Protocol;
use crate::name::BeadId;
use crate::ops::post::{self, Posted};
use crate::ops::{hook, mailbox, session, standing};
use crate::runtime::process;
use crate::town::Town;

/// What is told to whoever goes on.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The bead that it is about, as typed; it must be the one on the hook.
    pub bead: Option<String>,
    /// What comes next, in a line.
    pub next: String,
    /// What else there is to know.
    pub notes: String,
    /// Whether the state of the workspace and the mailbox are told too.
    pub collect: bool,
}

/// A hand-off.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct HandedOff {
    /// Who.
    pub agent: Address,
    /// The letter to itself.
    pub letter: BeadId,
    /// What stays on its hook.
    pub bead: Option<BeadId>,
    /// Whether a fresh session takes over now.
    pub goes_on: bool,
    /// Why none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Writes the letter. A session that is handed over is ended and begun anew by [`go_on`].
///
/// # Errors
/// Refused, under two identities, for people, who have no sessions, for work that is not on the hook, or when the next
/// session could not be started; usage, when a text breaks a limit.
pub fn hand_off(town: &Town, plan: &Plan, session: Option<&str>) -> Result<HandedOff> {
    town.check_identity()?;
    if matches!(town.me, Address::Overseer(_)) {
        return Err(Error::refused("people have no session to hand over").hint("write to whoever goes on: gt mail send"));
    }
    let ledger = town.ledger_for(&town.me)?;
    let hook = ledger.state()?.hook(&town.me)?;
    check_bead(town, plan, hook.as_ref())?;
    let reason = keeps_from_going_on(town, hook.as_ref(), session)?;
    let state = if plan.collect { collected(town, hook.as_ref())? } else { String::new() };
    let message = Protocol::Handoff {
        bead: hook.as_ref().map(|hook| hook.bead.clone()),
        branch: hook.as_ref().map(|hook| hook.branch.clone()).unwrap_or_default(),
        next: plan.next.clone(),
        notes: plan.notes.clone(),
        state,
    };
    let deed = town.deed("handoff", format!("hand off {}", town.me));
    let posted = ledger.transact(&deed, |change| {
        let now = change.now();
        post::put(change, &town.me, |id| message.letter(id, town.me.clone(), town.me.clone(), now))
    })?;
    crate::env::crash_point("handoff.letter");
    let Posted::Laid(letter) = posted else {
        return Err(Error::bug(format!("the mailbox of {} is in another scope than its hook", town.me)));
    };
    let goes_on = reason.is_none();
    Ok(HandedOff { agent: town.me.clone(), letter, bead: hook.map(|hook| hook.bead), goes_on, reason })
}

fn check_bead(town: &Town, plan: &Plan, hook: Option<&Hook>) -> Result<()> {
    let Some(typed) = &plan.bead else { return Ok(()) };
    let (_, bead) = town.resolve_bead(typed)?;
    if hook.is_some_and(|hook| hook.bead == bead) {
        return Ok(());
    }
    let hangs = hook.map_or_else(|| "nothing is".to_owned(), |hook| format!("{} is", hook.bead));
    Err(Error::refused(format!("{bead} is not on your hook: {hangs}")).hint("gt hook shows your assignment"))
}

/// Why no fresh session takes over at once; an error, when it should and could not.
fn keeps_from_going_on(town: &Town, hook: Option<&Hook>, session: Option<&str>) -> Result<Option<String>> {
    let running = process::find(&town.runtime_dir(), &town.me)?;
    let is_within = running.is_some_and(|running| session == Some(running.id.as_str()));
    if !is_within {
        return Ok(Some("this is not within its session".to_owned()));
    }
    match (&town.me, hook) {
        (Address::Polecat(..), None) => Ok(Some("nothing is on its hook".to_owned())),
        (Address::Polecat(..) | Address::Mayor, _) => session::check_again(town, &town.me).map(|()| None),
        _ => Ok(Some(format!("sessions of a {} are started by hand", town.me.role()))),
    }
}

/// How workspace and mailbox stand.
fn collected(town: &Town, hook: Option<&Hook>) -> Result<String> {
    let mut lines = standing::of(town, hook)?.lines();
    let unread = mailbox::mailbox(town, &town.me)?.unread().count();
    lines.push(format!("unread letters: {unread}"));
    Ok(lines.join("\n"))
}

/// Ends the session that this command runs in, and starts the next one: the last thing a command does.
///
/// # Errors
/// As [`session::start_again`]; the hook is kept.
pub fn go_on(town: &Town) -> Result<()> {
    // The group that is ended includes the agent; this process leaves it and lives on.
    process::stop(&town.runtime_dir(), &town.me, 2_000)?;
    crate::env::crash_point("handoff.ended");
    session::start_again(town, &town.me).map(drop)
}

/// The newest hand-off that `agent` wrote to itself, unless it was about other work than what is on the hook now.
///
/// # Errors
/// Corrupt, when the mailbox cannot be read.
pub fn newest(state: &State<'_>, agent: &Address) -> Result<Option<(Letter, Protocol)>> {
    let (hook, _) = hook::with_bead(state, agent)?;
    let (letters, _) = state.letters(agent)?;
    let own = letters.into_iter().filter(|letter| letter.from == *agent);
    let handoffs = own.filter_map(|letter| Some((Protocol::of(&letter).ok()?, letter)));
    let handoffs = handoffs.filter(|(message, _)| matches!(message, Protocol::Handoff { .. }));
    // Of two of one moment the one that was written later, unless it was read since.
    let newest = handoffs.max_by_key(|(_, letter)| (letter.sent_at, letter.is_unread(), letter.rev.number));
    Ok(newest.map(|(message, letter)| (letter, message)).filter(|(_, message)| match (message, hook) {
        (Protocol::Handoff { bead: Some(about), .. }, Some(hook)) => *about == hook.bead,
        (Protocol::Handoff { bead: Some(_), .. }, None) => false,
        _ => true,
    }))
}

/// The newest hand-off of the acting agent, which is read from now on.
///
/// # Errors
/// As [`newest`] and [`mailbox::mark_read`].
pub fn resume(town: &Town) -> Result<Option<Letter>> {
    let found = newest(&town.ledger_for(&town.me)?.state()?, &town.me)?;
    found.map(|(letter, _)| mailbox::mark_read(town, letter)).transpose()
}
