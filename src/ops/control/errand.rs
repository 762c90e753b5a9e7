//! An errand: one command run where an agent works, by and in the name of whoever asks.
//!
//! It sees the agent's directory and programs, and none of its keys. No shell reads its words, and what it says is kept
//! nowhere.

use std::ffi::OsString;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::model::secrets::mask;
use crate::ops::{polecat, refinery, session};
use crate::runtime::command::{self, Ended, Spec};
use crate::runtime::{process, secrets};
use crate::town::Town;

/// What came of it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Errand {
    /// Whose directory it was run in.
    pub agent: Address,
    /// The program and its arguments.
    pub words: Vec<String>,
    /// Its exit code; `null`, when it was ended or could not start.
    pub exit: Option<i32>,
    /// How it ended, in words.
    pub ended: String,
    /// What it said, on both streams.
    pub output: String,
}

/// Runs `words` where `agent` works, for at most `timeout_millis`.
///
/// # Errors
/// Refused, when the identity may not or the agent has no directory of its own; not found, when that is not here.
pub fn run(town: &Town, agent: &Address, words: &[String], timeout_millis: u64) -> Result<Errand> {
    refinery::check_steers(&town.me, "run commands where others work")?;
    if words.is_empty() {
        return Err(Error::usage("which command?").hint(format!("gt capture {agent} git status")));
    }
    let dir = workplace(town, agent)?;
    let log = process::log_path(&town.runtime_dir(), agent, &format!("errand-{}", std::process::id()));
    if let Some(parent) = log.parent() {
        std::fs::create_dir_all(parent).or_fail(Kind::Io, || format!("make {}", parent.display()))?;
    }
    // The words go by the environment, so that the shell that starts them reads none.
    let named: Vec<String> = (0..words.len()).map(|n| format!("GT_WORD_{n}")).collect();
    let line: Vec<String> = named.iter().map(|name| format!("\"${name}\"")).collect();
    let mut spec = Spec::shell(&format!("exec {}", line.join(" ")), &dir, log.clone(), timeout_millis);
    spec.env = named.into_iter().zip(words.iter().map(OsString::from)).collect();
    let me = town.me.to_string();
    spec.env.extend([
        ("PATH".to_owned(), session::search_path(town)?),
        ("GT_ROOT".to_owned(), town.root.clone().into()),
        ("GT_ACTOR".to_owned(), me.clone().into()),
        ("GT_ROLE".to_owned(), me.into()),
    ]);
    if let Some(above) = dir.parent() {
        spec.env.push(("GIT_CEILING_DIRECTORIES".to_owned(), above.into()));
    }
    let finished = command::run_here(spec)?;
    let said = std::fs::read(&log).unwrap_or_default();
    let _ = std::fs::remove_file(&log);
    let (exit, ended) = match finished.ended {
        Ended::Exited(code) => (Some(code), format!("exit code {code}")),
        Ended::Signaled(signal) => (None, format!("ended by signal {signal}")),
        Ended::TimedOut => (None, "too slow, and ended".to_owned()),
        Ended::OutOfMemory => (None, "ended, since memory was short".to_owned()),
        Ended::CannotStart(why) => (None, format!("could not start: {why}")),
    };
    let output = mask(&String::from_utf8_lossy(&said), &secrets::known());
    Ok(Errand { agent: agent.clone(), words: words.to_vec(), exit, ended, output })
}

/// The directory in which `agent` works.
fn workplace(town: &Town, agent: &Address) -> Result<PathBuf> {
    let dir = match agent {
        Address::Polecat(rig, name) => polecat::sandbox(&town.rig(rig)?, name),
        Address::Crew(rig, name) => town.rig(rig)?.dir.join("crew").join(name.as_str()),
        Address::Mayor => town.root.join("mayor"),
        other => return Err(Error::refused(format!("{other} has no directory to run commands in"))),
    };
    if dir.is_dir() {
        return Ok(dir);
    }
    Err(Error::not_found(format!("{agent} has no directory here: {} is not there", dir.display()))
        .hint("gt agents shows who is here"))
}
