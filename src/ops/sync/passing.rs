//! Acts on what other machines said in passing: nudges are queued, screens shown, answers kept.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::exchange;
use crate::error::{Error, Kind, Result};
use crate::git::progress::Progress;
use crate::ledger::Ledger;
use crate::ledger::sync::{Options, words};
use crate::model::address::Address;
use crate::model::word::{Saying, Word};
use crate::ops::peek::Peeked;
use crate::ops::scopes::Which;
use crate::ops::{machine, nudge, peek};
use crate::time::{self, Stopwatch};
use crate::town::Town;

/// What was done about a word of another machine.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Heard {
    /// The agent that it is about.
    pub agent: Address,
    /// Name of the machine that said it.
    pub machine: String,
    /// What was done.
    pub act: Act,
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What is done about a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// A nudge waits for the agent's next turn.
    Nudged,
    /// The machine is told what the agent shows.
    Shown,
    /// What the agent showed there is here.
    Seen,
}

impl Heard {
    /// In one line.
    pub(super) fn line(&self) -> String {
        let Self { agent, machine, act, error } = self;
        match (act, error) {
            (Act::Nudged, None) => format!("a nudge from {machine} waits for {agent}"),
            (Act::Shown, None) => format!("{machine} is shown what {agent} shows"),
            (Act::Seen, None) => format!("{machine} shows what {agent} shows: gt peek {agent}"),
            (_, Some(error)) => format!("a word of {machine} about {agent} came to nothing: {error}"),
        }
    }
}

/// Acts on what was heard in the scope of `ledger`. What fails here would fail again, and is told.
///
/// # Errors
/// Io, when what was heard cannot be read, or this machine cannot write.
pub(super) fn act(town: &Town, ledger: &Ledger) -> Result<Vec<Heard>> {
    let mut all = Vec::new();
    for word in words::heard(ledger)? {
        let (agent, act) = match &word.saying {
            Saying::Nudge(nudge) => (nudge.agent.clone(), Act::Nudged),
            Saying::Peek { agent, .. } => (agent.clone(), Act::Shown),
            Saying::Screen(screen) => (screen.agent.clone(), Act::Seen),
        };
        let done = act_on(town, &word);
        if done.as_ref().is_err_and(|error| error.kind == Kind::Io) {
            done?;
            continue;
        }
        words::acted_on(ledger, &word)?;
        all.push(Heard { agent, machine: machine::name_of(town, &word.from), act, error: done.err().map(|error| error.line()) });
    }
    Ok(all)
}

fn act_on(town: &Town, word: &Word) -> Result<()> {
    let check_lives = |agent: &Address, on: &str| {
        if machine::of_agent(town, agent)?.is_some_and(|lives| lives == on) {
            return Ok(());
        }
        Err(Error::refused(format!("{agent} does not live on {}", machine::name_of(town, on))))
    };
    match &word.saying {
        Saying::Nudge(nudge) => {
            check_lives(&nudge.agent, &town.machine)?;
            nudge::queue(town, &word.id, nudge).map(drop)
        }
        Saying::Peek { agent, lines } => {
            check_lives(agent, &town.machine)?;
            peek::answer(town, agent, *lines, &word.from)
        }
        Saying::Screen(screen) => {
            check_lives(&screen.agent, &word.from)?;
            peek::keep(town, screen)
        }
    }
}

/// How long a wait for an answer rests between two syncs.
const LOOK_MILLIS: u64 = 2_000;

/// Exchanges again and again until the screen that was asked for has come, at most `millis`; then tells what is known.
///
/// # Errors
/// As the exchange.
pub fn await_screen(town: &Town, asked: Peeked, millis: u64, note: &dyn Fn(&str)) -> Result<Peeked> {
    let known = asked.screen.as_ref().map(|screen| screen.seen_at);
    let which = asked.agent.rig().map_or(Which::Town, |rig| Which::Rig(rig.clone()));
    let watch = Stopwatch::start();
    loop {
        let town = &town.at(time::now()?);
        let report = exchange(town, &which, &Options::default(), &Progress::silent())?;
        let heard = peek::heard(town, &asked.agent)?;
        if heard.screen.as_ref().map(|screen| screen.seen_at) != known {
            return Ok(Peeked { machine: asked.machine, ..heard });
        }
        if let Some(error) = report.0.iter().find_map(|synced| synced.error.as_ref()) {
            note(&format!("the question cannot get there: {error}"));
            return Ok(asked);
        }
        if watch.millis() >= millis {
            note("no answer yet; it comes with the syncs that follow");
            return Ok(asked);
        }
        std::thread::sleep(Duration::from_millis(LOOK_MILLIS.min(millis)));
    }
}
