//! Peeking: what an agent's session shows, here at once, elsewhere when its machine has heard the question.

use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::sync::words;
use crate::model::address::Address;
use crate::model::secrets::mask;
use crate::model::word::{LINES_MAX, Saying, Screen, Word, bounded, last_lines};
use crate::ops::machine;
use crate::ops::nudge::word_id;
use crate::runtime::{process, secrets};
use crate::store::write_file;
use crate::time::Moment;
use crate::town::Town;

/// So much of a log's end is looked at.
const TAIL_BYTES: u64 = 256 << 10;

/// What is known of an agent's screen.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Peeked {
    /// Whose.
    pub agent: Address,
    /// The machine that it lives on, when that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// What it shows or last showed; `null`, when its machine has not answered yet.
    pub screen: Option<Screen>,
    /// Since when its machine is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Moment>,
}

/// The last `lines` lines of what `agent` shows. One on another machine is asked for, and what was last heard of it told.
///
/// # Errors
/// Not found, when it never had a session here; io, when its log cannot be read.
pub fn peek(town: &Town, agent: &Address, lines: usize) -> Result<Peeked> {
    let elsewhere = machine::of_agent(town, agent)?.filter(|lives| *lives != town.machine);
    let Some(elsewhere) = elsewhere else {
        let screen = look(town, agent, lines)?;
        if screen.session.is_none() {
            return Err(
                Error::not_found(format!("{agent} had no session on this machine")).hint("gt session list shows who runs")
            );
        }
        return Ok(Peeked { agent: agent.clone(), machine: None, screen: Some(screen), asked_at: None });
    };
    let asked_at = ask(town, agent, &elsewhere, lines.min(LINES_MAX))?;
    Ok(Peeked { machine: Some(machine::name_of(town, &elsewhere)), asked_at: Some(asked_at), ..heard(town, agent)? })
}

/// What was last heard of the screen of an agent on another machine; nobody is asked.
///
/// # Errors
/// Io, when it cannot be read.
pub fn heard(town: &Town, agent: &Address) -> Result<Peeked> {
    let screen = match std::fs::read(memory(town, agent)) {
        Ok(bytes) => serde_json::from_slice(&bytes).ok(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).or_fail(Kind::Io, || format!("read what {agent} showed")),
    };
    Ok(Peeked { agent: agent.clone(), machine: None, screen, asked_at: None })
}

/// What the session of an agent of this machine shows, or showed last.
///
/// # Errors
/// Io, when its log cannot be read.
pub fn look(town: &Town, agent: &Address, lines: usize) -> Result<Screen> {
    let Some(session) = process::last(&town.runtime_dir(), agent)? else {
        let (is_running, bead) = (false, String::new());
        return Ok(Screen { agent: agent.clone(), session: None, is_running, bead, lines: Vec::new(), seen_at: town.now });
    };
    let is_running = session.is_alive();
    let shown = session.pane.as_ref().filter(|_| is_running).and_then(|pane| pane.capture(lines).ok());
    let lines = match shown {
        Some(shown) => shown,
        // Without a terminal, or when that has just gone.
        None => match tail(&session.log) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            other => {
                let output = other.or_fail(Kind::Io, || format!("read the log of {agent}"))?;
                last_lines(&String::from_utf8_lossy(&output), lines)
            }
        },
    };
    let (session, bead) = (Some(session.id), session.bead);
    Ok(Screen { agent: agent.clone(), is_running, session, bead, lines, seen_at: town.now })
}

fn tail(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Asks machine `to` what `agent` shows, unless that is under way; tells since when.
fn ask(town: &Town, agent: &Address, to: &str, lines: usize) -> Result<Moment> {
    let ledger = town.ledger_for(agent)?;
    let is_same = |word: &Word| matches!(&word.saying, Saying::Peek { agent: other, .. } if other == agent) && word.to == to;
    if let Some(word) = words::said(&ledger, town.now)?.into_iter().find(is_same) {
        return Ok(word.said_at);
    }
    let saying = Saying::Peek { agent: agent.clone(), lines };
    words::say(&ledger, &Word::new(word_id(town), &town.machine, to, saying, town.now))?;
    Ok(town.now)
}

/// Tells machine `asker` what `agent`, which must be of this machine, shows: bounded, and secrets masked.
///
/// # Errors
/// Io, when its log cannot be read or the answer not be written.
pub fn answer(town: &Town, agent: &Address, lines: usize, asker: &str) -> Result<()> {
    let ledger = town.ledger_for(agent)?;
    let is_older = |word: &Word| matches!(&word.saying, Saying::Screen(screen) if screen.agent == *agent) && word.to == asker;
    for old in words::said(&ledger, town.now)?.iter().filter(|word| is_older(word)) {
        words::take_back(&ledger, old)?;
    }
    let mut screen = look(town, agent, LINES_MAX)?;
    // Masked as one text, since keys take many lines; then cut.
    let masked = mask(&screen.lines.join("\n"), &secrets::known());
    screen.lines = bounded(masked.split('\n').map(str::to_owned).collect(), lines);
    words::say(&ledger, &Word::new(word_id(town), &town.machine, asker, Saying::Screen(screen), town.now))
}

/// Keeps what another machine showed, and asks no more.
///
/// # Errors
/// Io, when it cannot be written.
pub fn keep(town: &Town, screen: &Screen) -> Result<()> {
    let bytes = serde_json::to_vec(screen).or_fail(Kind::Bug, || "write a screen")?;
    write_file(&memory(town, &screen.agent), &bytes)?;
    let ledger = town.ledger_for(&screen.agent)?;
    let is_answered = |word: &Word| matches!(&word.saying, Saying::Peek { agent, .. } if *agent == screen.agent);
    for asked in words::said(&ledger, town.now)?.iter().filter(|word| is_answered(word)) {
        words::take_back(&ledger, asked)?;
    }
    Ok(())
}

fn memory(town: &Town, agent: &Address) -> PathBuf {
    town.runtime_dir().join("screens").join(format!("{}.json", agent.as_component()))
}
