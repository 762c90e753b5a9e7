//! Prime: what an agent reads first, and again when its context was lost. Deterministic and bounded.
//!
//! Read-only, except that within a session it marks the start of work: the bead becomes in progress and the
//! witness is told, in one transaction.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::ledger::{Ledger, State, tree};
use crate::model::address::Address;
use crate::model::bead::{Bead, Status};
use crate::model::hook::Hook;
use crate::model::merge_request::{Blame, MergeRequest};
use crate::model::protocol::Protocol;
use crate::name::BeadId;
use crate::ops::track::{lease, memory};
use crate::ops::{hook, post};
use crate::town::Town;

/// Most characters of a bead's text that prime repeats; the rest is one command away.
const TEXT_CHARS_MAX: usize = 16_000;
/// Most characters of memories that prime repeats.
const MEMORIES_CHARS_MAX: usize = 8_000;

/// All that an agent must know.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Primed {
    /// Who it is.
    pub agent: Address,
    /// What its role does, as Markdown.
    pub role: String,
    /// Its assignment, if any.
    pub hook: Option<Hook>,
    /// The bead on it.
    pub bead: Option<Bead>,
    /// The directories that its sandbox shows beside the files at the top; none: the whole project.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shows: Vec<String>,
    /// Why the last attempt at this bead was sent back.
    pub previous_failure: Option<Failure>,
    /// Unread letters.
    pub mail_unread: usize,
    /// What the town remembers, by key, as far as prime repeats it.
    pub memories: BTreeMap<String, String>,
    /// How many more memories there are.
    pub memories_left_out: usize,
    /// Whether this call marked the start of work.
    pub has_started: bool,
}

/// The last attempt, which was sent back.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Failure {
    /// Its merge request.
    pub mr: BeadId,
    /// Its commit, kept by the request's pin.
    pub head: String,
    /// Why it was sent back, with log and evidence.
    pub blame: Blame,
}

/// Gathers what the acting agent must know; in a session it also starts the assignment.
///
/// # Errors
/// Corrupt, when hook or bead cannot be read: that is never "no work".
pub fn prime(town: &Town, session: Option<&str>) -> Result<Primed> {
    lease::beat(town);
    let ledger = town.ledger_for(&town.me)?;
    let has_started = match (session, ledger.state()?.hook(&town.me)?) {
        (Some(session), Some(hook)) => start(town, &ledger, &hook, session)?,
        _ => false,
    };
    let state = ledger.state()?;
    let (hook, bead) = hook::with_bead(&state, &town.me)?;
    let unread = state.unread(&town.me)?;
    let (memories, memories_left_out) = remembered(town);
    Ok(Primed {
        agent: town.me.clone(),
        role: role_text(&town.me).to_owned(),
        shows: shown(town)?,
        previous_failure: bead.as_ref().map_or(Ok(None), |bead| previous_failure(&state, bead))?,
        mail_unread: unread.letters.len(),
        memories,
        memories_left_out,
        hook,
        bead,
        has_started,
    })
}

/// What of the project the acting polecat's sandbox shows.
fn shown(town: &Town) -> Result<Vec<String>> {
    let Address::Polecat(rig, _) = &town.me else { return Ok(Vec::new()) };
    Ok(town.rig(rig)?.cone()?.dirs().map(str::to_owned).collect())
}

/// The memories of the town, by key, as many as prime repeats; and how many more there are. What cannot be read there is
/// no reason to begin without one's work.
fn remembered(town: &Town) -> (BTreeMap<String, String>, usize) {
    let (all, _) = memory::memories(town, "").unwrap_or_default();
    let total = all.len();
    let mut left = MEMORIES_CHARS_MAX;
    let fits = |(key, text): &(String, String)| {
        let chars = key.chars().count() + text.chars().count();
        let fits = chars <= left;
        left = left.saturating_sub(chars);
        fits
    };
    let told: BTreeMap<String, String> = all.into_iter().take_while(fits).collect();
    let left_out = total - told.len();
    (told, left_out)
}

fn role_text(me: &Address) -> &'static str {
    match me {
        Address::Polecat(..) => include_str!("role.polecat.md"),
        Address::Overseer(_)
        | Address::Mayor
        | Address::Deacon
        | Address::Dog(_)
        | Address::Witness(_)
        | Address::Refinery(_)
        | Address::Crew(..)
        | Address::Plugin(..) => include_str!("role.any.md"),
    }
}

/// Marks the start of work once: hooked becomes in progress, and the witness hears of it.
fn start(town: &Town, ledger: &Ledger, hook: &Hook, session: &str) -> Result<bool> {
    if ledger.state()?.bead(&hook.bead)?.status != Status::Hooked {
        return Ok(false);
    }
    let deed = town.deed("start", format!("start {}", hook.bead));
    ledger.transact(&deed, |change| {
        let holds = change.get::<Hook>(&tree::hook(&town.me))?.is_some_and(|now| now.is_same(hook));
        let mut bead = change.bead(&hook.bead)?;
        if !holds || bead.status != Status::Hooked {
            return Ok(false);
        }
        bead.become_status(Status::InProgress, change.now())?;
        if let Some(model) = &town.actor.model {
            bead.model = Some(model.clone());
        }
        change.put_bead(&bead)?;
        if let Some(rig) = town.me.rig() {
            let message =
                Protocol::PolecatStarted { bead: hook.bead.clone(), branch: hook.branch.clone(), session: session.to_owned() };
            post::post(change, &message, &town.me, &Address::Witness(rig.clone()))?;
        }
        Ok(true)
    })
}

/// The last attempt at the bead, when it was sent back.
fn previous_failure(state: &State<'_>, bead: &Bead) -> Result<Option<Failure>> {
    let Some(Ok(mr)) = bead.extra.get("last_failure").and_then(serde_json::Value::as_str).map(str::parse::<BeadId>) else {
        return Ok(None);
    };
    let Some(request) = state.find_bead(&mr)? else { return Ok(None) };
    let request = MergeRequest::of(&request)?;
    Ok(request.blame.map(|blame| Failure { mr, head: request.head, blame }))
}

/// Shortens a text to what prime repeats, saying where the rest is.
#[must_use]
pub fn bounded(bead: &Bead, text: &str) -> String {
    if text.chars().count() <= TEXT_CHARS_MAX {
        return text.to_owned();
    }
    let start: String = text.chars().take(TEXT_CHARS_MAX).collect();
    format!("{start}\n[cut here; the whole text: gt show {}]", bead.id)
}
