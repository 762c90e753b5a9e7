//! Costs that nobody told, found where an agent's program keeps them: the transcripts of Claude Code in the directory
//! that a session ran in. So limits hold where no hook reports.

use std::path::{Path, PathBuf};

use super::{add, path, price, whose};
use crate::env::{self, Var};
use crate::error::Result;
use crate::model::address::Address;
use crate::model::cost::Line;
use crate::ops::account;
use crate::runtime::book::Book;
use crate::runtime::process::{self, Session};
use crate::runtime::transcript;
use crate::town::Town;

/// Writes down what the transcripts of this machine's last sessions say. One that cannot be read is left out, and told
/// to the log.
///
/// # Errors
/// Corrupt, when the book is; io, when it cannot be written.
pub(super) fn gather(town: &Town) -> Result<()> {
    let mut found = Vec::new();
    for config in configs(town)? {
        for session in process::known(&town.runtime_dir())? {
            found.extend(told_by(town, &config, &session)?);
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    add(town, &Book::hold(&path(town))?, &found)
}

/// Where Claude Code keeps its things: as it does by itself, and for each account.
fn configs(town: &Town) -> Result<Vec<PathBuf>> {
    let own = env::path(Var::ClaudeConfigDir).or_else(|| env::path(Var::Home).map(|home| home.join(".claude")));
    let mut all: Vec<PathBuf> = own.into_iter().chain(account::dirs(town)?).collect();
    all.sort();
    all.dedup();
    Ok(all)
}

fn told_by(town: &Town, config: &Path, session: &Session) -> Result<Vec<Line>> {
    let Some(dir) = place_of(town, &session.agent) else { return Ok(Vec::new()) };
    let began = session.started_at.millis();
    let mut told = Vec::new();
    for file in transcript::of_dir(config, &dir) {
        let written = std::fs::metadata(&file).and_then(|meta| meta.modified()).ok();
        let written = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        // One that nobody wrote to since is another session's.
        if written.and_then(|at| i64::try_from(at.as_millis()).ok()).is_none_or(|at| at < began) {
            continue;
        }
        let Some(name) = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else { continue };
        match transcript::spent(&file, None) {
            Ok(mut spent) if !spent.is_empty() => {
                price(town, &mut spent)?;
                let whose = whose(&session.agent, session.bead.clone());
                told.push(Line::Spent { session: name, at: town.now, whose, spent });
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("a transcript was not counted: {}", error.line()),
        }
    }
    Ok(told)
}

/// Where sessions of `agent` run.
fn place_of(town: &Town, agent: &Address) -> Option<PathBuf> {
    match agent {
        Address::Polecat(rig, name) => Some(town.root.join(rig.as_str()).join("polecats").join(name.as_str())),
        Address::Crew(rig, name) => Some(town.root.join(rig.as_str()).join("crew").join(name.as_str())),
        Address::Mayor => Some(town.root.join("mayor")),
        Address::Deacon
        | Address::Dog(_)
        | Address::Overseer(_)
        | Address::Witness(_)
        | Address::Refinery(_)
        | Address::Plugin(..) => None,
    }
}
