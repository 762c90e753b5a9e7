//! Prime: what an agent reads first, and again when its context was lost. Deterministic and bounded.
//!
//! Read-only, except that within a session it marks the start of work: the bead becomes in progress and the
//! witness is told, in one transaction.

mod fence;
pub mod past;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::ledger::{Ledger, State, tree};
use crate::model::address::Address;
use crate::model::bead::{Bead, Comment, Status};
use crate::model::directive::trust_key;
use crate::model::hook::Hook;
use crate::model::mail::Letter;
use crate::model::merge_request::{Blame, MergeRequest};
use crate::model::protocol::Protocol;
use crate::model::roles;
use crate::name::BeadId;
use crate::ops::mailbox::{self, Injection};
use crate::ops::track::{lease, memory};
use crate::ops::{directive, hook, post};
use crate::town::Town;

pub use fence::Fence;
use past::Noted;

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
    /// What town and rig tell all who have its role, in that order.
    pub directives: Vec<Directed>,
    /// What it left to itself in its last session.
    pub handoff: Option<Letter>,
    /// Its assignment, if any.
    pub hook: Option<Hook>,
    /// The bead on it.
    pub bead: Option<Bead>,
    /// The directories that its sandbox shows beside the files at the top; none: the whole project.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shows: Vec<String>,
    /// What those said who gave the bead back before, oldest first.
    pub given_back: Vec<Comment>,
    /// Why the last attempt at this bead was sent back.
    pub previous_failure: Option<Failure>,
    /// How far it noted to be, on this machine.
    pub checkpoint: Option<Noted>,
    /// Unread letters.
    pub mail_unread: usize,
    /// Unread letters by tier, without the hand-off.
    pub mail: Injection,
    /// What the town remembers, by key, as far as prime repeats it.
    pub memories: BTreeMap<String, String>,
    /// How many more memories there are.
    pub memories_left_out: usize,
    /// Whether this call marked the start of work.
    pub has_started: bool,
    /// Marks around foreign text.
    #[serde(skip)]
    pub fence: Fence,
}

/// A directive to the agent's role.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Directed {
    /// `town` or `rig NAME`.
    pub scope: String,
    /// Who wrote it.
    pub updated_by: String,
    /// What it says; none while it waits.
    pub text: Option<String>,
    /// Why it is not told: it is not trusted here, or cannot be read.
    pub waits: Option<String>,
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
    let mut unread = state.unread(&town.me)?;
    let (mail_unread, handoff) = (unread.letters.len(), past::handoff(&state, &town.me, hook.as_ref(), &unread));
    unread.letters.retain(|(slip, _)| handoff.as_ref().is_none_or(|letter| letter.id != slip.id));
    let (memories, memories_left_out) = remembered(town);
    Ok(Primed {
        agent: town.me.clone(),
        role: roles::text(town.me.role())?.to_owned(),
        directives: directives(town)?,
        shows: shown(town)?,
        given_back: bead.as_ref().map(past::given_back).unwrap_or_default(),
        previous_failure: bead.as_ref().map_or(Ok(None), |bead| previous_failure(&state, bead))?,
        checkpoint: past::checkpoint(town, hook.as_ref()),
        mail_unread,
        mail: mailbox::by_tier(&state, &unread),
        memories,
        memories_left_out,
        handoff,
        hook,
        bead,
        has_started,
        fence: Fence::of(town),
    })
}

/// The directives of town and rig to the acting agent's role. One that cannot be read is told as that, and keeps nobody
/// from beginning.
fn directives(town: &Town) -> Result<Vec<Directed>> {
    let place = town.me.rig().map(|rig| town.rig(rig)).transpose()?;
    let role = town.me.role();
    let mut told = Vec::new();
    for place in std::iter::once(None).chain(place.as_ref().map(Some)) {
        let scope = directive::scope(place);
        let one = match directive::find(town, role, place) {
            Ok(None) => continue,
            Ok(Some(one)) if one.is_trusted => Directed { scope, updated_by: one.updated_by, text: Some(one.text), waits: None },
            Ok(Some(one)) => {
                let rig = place.map(|place| format!(" --rig {}", place.rig.name)).unwrap_or_default();
                let key = trust_key(role);
                let waits = format!("it waits until somebody trusts it on this machine: gt trust {key}{rig}");
                Directed { scope, updated_by: one.updated_by, text: None, waits: Some(waits) }
            }
            Err(error) => {
                let waits = format!("it cannot be told: {}", error.line());
                Directed { scope, updated_by: String::new(), text: None, waits: Some(waits) }
            }
        };
        told.push(one);
    }
    Ok(told)
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

/// Shortens a text to `most` characters, saying with which command the rest is read.
#[must_use]
pub fn shortened(text: &str, most: usize, command: &str) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let start: String = text.chars().take(most).collect();
    format!("{start}\n[cut here; the whole text: {command}]")
}

/// Shortens a text of `bead` to what prime repeats, saying where the rest is.
#[must_use]
pub fn bounded(bead: &Bead, text: &str) -> String {
    shortened(text, TEXT_CHARS_MAX, &format!("gt show {}", bead.id))
}
