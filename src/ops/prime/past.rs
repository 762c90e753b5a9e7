//! What those before left to whoever goes on: the hand-off, the words of those who gave the work back, a checkpoint.

use schemars::JsonSchema;
use serde::Serialize;

use crate::ledger::State;
use crate::ledger::index::Unread;
use crate::model::address::Address;
use crate::model::bead::{Bead, Comment};
use crate::model::hook::Hook;
use crate::model::mail::Letter;
use crate::model::protocol::Protocol;
use crate::ops::checkpoint::{self, Checkpoint};
use crate::town::Town;

/// So many of the newest unread letters are searched for a hand-off.
const LETTERS_MAX: usize = 100;
/// So many of the last words of those who gave the work back are told.
const NOTES_MAX: usize = 3;

/// A checkpoint of the agent, as far as it can be read.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Noted {
    /// What was noted.
    pub checkpoint: Option<Checkpoint>,
    /// Why it cannot be read.
    pub fault: Option<String>,
}

/// The newest unread hand-off that `agent` wrote to itself, unless it was about other work than what is on the hook now.
#[must_use]
pub fn handoff(state: &State<'_>, agent: &Address, hook: Option<&Hook>, unread: &Unread) -> Option<Letter> {
    let newest = unread.letters.iter().rev().take(LETTERS_MAX);
    let mut own = newest.filter_map(|(slip, blob)| state.letter_of(slip, *blob).ok()).filter(|letter| letter.from == *agent);
    let found = own.find(|letter| matches!(Protocol::of(letter), Ok(Protocol::Handoff { .. })))?;
    let Ok(Protocol::Handoff { bead: about, .. }) = Protocol::of(&found) else { return None };
    about.is_none_or(|about| hook.is_some_and(|hook| hook.bead == about)).then_some(found)
}

/// What those said who gave the bead back or could not go on, oldest first.
#[must_use]
pub fn given_back(bead: &Bead) -> Vec<Comment> {
    let said = |comment: &&Comment| comment.id.starts_with("release-") || comment.id.starts_with("escalate-");
    let mut all: Vec<&Comment> = bead.comments.iter().filter(said).collect();
    all.sort_by_key(|comment| comment.created_at);
    all[all.len().saturating_sub(NOTES_MAX)..].iter().copied().cloned().collect()
}

/// The agent's checkpoint, unless it was about other work than what is on the hook now. One that cannot be read is told as
/// that: it keeps nobody from beginning.
#[must_use]
pub fn checkpoint(town: &Town, hook: Option<&Hook>) -> Option<Noted> {
    match checkpoint::read(town, &town.me) {
        Ok(Some(one)) if one.bead.as_ref() != hook.map(|hook| &hook.bead) => None,
        Ok(found) => found.map(|one| Noted { checkpoint: Some(one), fault: None }),
        Err(error) => Some(Noted { checkpoint: None, fault: Some(error.line()) }),
    }
}
