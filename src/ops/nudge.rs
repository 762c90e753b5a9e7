//! Nudges: a few words to a running agent, told at its next turn and kept nowhere. What must survive is mail.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::sync::words;
use crate::model::address::Address;
use crate::model::word::{NUDGE_CHARS_MAX, Nudge, Saying, Word};
use crate::name::Ids;
use crate::ops::machine;
use crate::ops::session;
use crate::runtime::{nudge, process, tmux};
use crate::town::Town;

/// What became of a nudge.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Nudged {
    /// It waits here for the agent's next turn.
    Queued {
        /// Whom.
        agent: Address,
        /// How many nudges wait for it now.
        waiting: usize,
        /// Whether a session of it runs that can hear it.
        is_running: bool,
    },
    /// It was typed into the agent's terminal.
    Typed {
        /// Whom.
        agent: Address,
        /// Whether the terminal was seen to show it; an agent that draws its own prompt may hide it.
        is_shown: bool,
    },
    /// It goes to the agent's machine with the next sync.
    Said {
        /// Whom.
        agent: Address,
        /// The machine's name.
        machine: String,
    },
}

/// Nudges `agent` with `text`.
///
/// # Errors
/// Usage, when there is no text or more than [`NUDGE_CHARS_MAX`] characters; refused, when nobody there takes turns, or
/// too many wait.
pub fn nudge(town: &Town, agent: &Address, text: &str, is_urgent: bool) -> Result<Nudged> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > NUDGE_CHARS_MAX {
        return Err(
            Error::usage(format!("a nudge has 1 to {NUDGE_CHARS_MAX} characters")).hint("longer words are mail: gt mail send")
        );
    }
    if matches!(agent, Address::Overseer(_) | Address::Witness(_) | Address::Refinery(_)) {
        return Err(
            Error::refused(format!("{agent} takes no turns at a prompt")).hint(format!("send mail: gt mail send {agent}"))
        );
    }
    let nudge = Nudge { agent: agent.clone(), by: town.me.to_string(), text: text.to_owned(), is_urgent };
    let id = word_id(town);
    match machine::of_agent(town, agent)?.filter(|lives| *lives != town.machine) {
        Some(elsewhere) => {
            let ledger = town.ledger_for(agent)?;
            words::say(&ledger, &Word::new(id, &town.machine, &elsewhere, Saying::Nudge(nudge), town.now))?;
            Ok(Nudged::Said { agent: agent.clone(), machine: machine::name_of(town, &elsewhere) })
        }
        None => queue(town, &id, &nudge),
    }
}

/// Types `text` into the terminal of `agent` now, whatever it is at: one line, with who says it.
///
/// # Errors
/// Not found, when it has no session here; refused, when that has no terminal; as [`nudge`].
pub fn type_now(town: &Town, agent: &Address, text: &str) -> Result<Nudged> {
    let line = tmux::one_line(text);
    if line.is_empty() || line.chars().count() > NUDGE_CHARS_MAX {
        return Err(
            Error::usage(format!("a nudge has 1 to {NUDGE_CHARS_MAX} characters")).hint("longer words are mail: gt mail send")
        );
    }
    let pane = session::terminal(town, agent)?;
    // Words at the start that mean something to an agent's prompt or a shell do not stand at the start.
    let is_shown = pane.type_line(&format!("[from {}] {line}", town.me))?;
    Ok(Nudged::Typed { agent: agent.clone(), is_shown })
}

/// Queues `nudge` for an agent of this machine.
///
/// # Errors
/// As [`nudge::queue_up`].
pub fn queue(town: &Town, id: &str, nudge: &Nudge) -> Result<Nudged> {
    let waiting = nudge::queue_up(&town.runtime_dir(), id, nudge, town.now)?;
    let is_running = process::find(&town.runtime_dir(), &nudge.agent)?.is_some();
    Ok(Nudged::Queued { agent: nudge.agent.clone(), waiting, is_running })
}

/// The id of a word of this machine that no other has.
pub fn word_id(town: &Town) -> String {
    let salt = u64::try_from(town.now.millis()).unwrap_or(0);
    format!("{}-{}", town.machine, Ids::from_env(salt).letters(16))
}
