//! What was saved before something was reset or removed: listed, looked at, brought back, dropped.

use std::path::{Path, PathBuf};

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::patch::{self, FileChange};
use crate::git::salvage::{Next, Salvaged};
use crate::git::worktree::{self, Head};
use crate::git::{commits, program};
use crate::ledger::tree;
use crate::model::address::Address;
use crate::ops::{crew, polecat};
use crate::store::refs::Swap;
use crate::time::Moment;
use crate::town::{RigPlace, Town};

/// Something that was saved.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Saved {
    /// Its name: whose it was, and when; what `refs/gt/salvage/` is followed by.
    pub name: String,
    /// The rig whose repository holds it.
    pub rig: String,
    /// Whose it was.
    pub agent: String,
    /// The commit that holds it.
    pub commit: String,
    /// The commit that the worktree was at.
    pub head: Option<String>,
    /// When it was saved.
    pub saved_at: Moment,
    /// What was saved, and what was left out, in lines.
    pub what: Vec<String>,
}

/// One of them in full.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Shown {
    /// What it is.
    #[serde(flatten)]
    pub saved: Saved,
    /// The files that differ from the commit that the worktree was at.
    pub files: Vec<FileChange>,
}

/// What came back.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Restored {
    /// What it came from.
    pub name: String,
    /// Where it is now.
    pub dir: String,
    /// The paths, when not all of it was asked for.
    pub paths: Vec<String>,
    /// Where what was overwritten is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

/// What was dropped.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Dropped {
    /// Its name.
    pub name: String,
    /// The commit that held it; it stays until git collects it.
    pub commit: String,
    /// The directory with what was too large for it; it stays until somebody removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<String>,
}

/// All that is saved in the rig at `place`, of one agent or of all, newest first.
///
/// # Errors
/// Io or corrupt, when refs or commits cannot be read.
pub fn list(place: &RigPlace, agent: Option<&Address>) -> Result<Vec<Saved>> {
    let mut all = Vec::new();
    for (name, commit) in place.ledger.store.refs_below(tree::SALVAGE)? {
        // One that is damaged hides no other.
        let saved = read(place, &name, commit).unwrap_or_else(|error| damaged(place, &name, commit, &error));
        all.extend(Some(saved).filter(|saved| agent.is_none_or(|agent| saved.agent == agent.to_string())));
    }
    all.sort_by(|a, b| (b.saved_at, &b.name).cmp(&(a.saved_at, &a.name)));
    Ok(all)
}

fn read(place: &RigPlace, ref_name: &str, commit: ObjectId) -> Result<Saved> {
    let store = &place.ledger.store;
    let name = ref_name.strip_prefix(tree::SALVAGE).unwrap_or(ref_name).to_owned();
    let message = commits::message(store, commit)?;
    Ok(Saved {
        agent: name.rsplit_once('/').map_or(name.clone(), |(agent, _)| agent.to_owned()),
        name,
        rig: place.rig.name.to_string(),
        commit: commit.to_string(),
        head: commits::parents(store, commit)?.first().map(ToString::to_string),
        saved_at: commits::committed_at(store, commit)?,
        what: message.lines().skip(1).filter(|line| !line.trim().is_empty()).map(str::to_owned).collect(),
    })
}

/// What can be told of a salvage whose commit cannot be read.
fn damaged(place: &RigPlace, ref_name: &str, commit: ObjectId, error: &Error) -> Saved {
    let name = ref_name.strip_prefix(tree::SALVAGE).unwrap_or(ref_name).to_owned();
    Saved {
        agent: name.rsplit_once('/').map_or(name.clone(), |(agent, _)| agent.to_owned()),
        name,
        rig: place.rig.name.to_string(),
        commit: commit.to_string(),
        head: None,
        saved_at: Moment::from_millis(0),
        what: vec![format!("damaged: {}", error.line())],
    }
}

/// The one that `text` names: its name, the whole ref, or the beginning of its commit's id; or the newest of an agent.
///
/// # Errors
/// Not found, when there is none; usage, when it names several.
pub fn find(place: &RigPlace, text: &str) -> Result<Saved> {
    let wanted = text.strip_prefix(tree::SALVAGE).unwrap_or(text).trim_end_matches('/');
    let all = list(place, None)?;
    if let Some(exact) = all.iter().find(|saved| saved.name == wanted || saved.agent == wanted) {
        return Ok(exact.clone());
    }
    let is_meant = |saved: &&Saved| {
        let is_id = wanted.len() >= 4 && saved.commit.starts_with(wanted);
        is_id || saved.name.ends_with(&format!("/{wanted}")) || saved.agent.ends_with(&format!("/{wanted}"))
    };
    let meant: Vec<&Saved> = all.iter().filter(is_meant).collect();
    let of_one = meant.first().is_some_and(|first| meant.iter().all(|saved| saved.agent == first.agent));
    match meant.as_slice() {
        [] => Err(Error::not_found(format!("{} has no salvage {}", place.rig.name, text.escape_debug()))
            .hint(format!("gt salvage list --rig {}", place.rig.name))),
        [newest, ..] if of_one => Ok((*newest).clone()),
        several => {
            let names: Vec<&str> = several.iter().map(|saved| saved.name.as_str()).collect();
            Err(Error::usage(format!("{} may be {}", text.escape_debug(), names.join(", "))).hint("say more of it"))
        }
    }
}

/// What `saved` holds, file by file.
///
/// # Errors
/// External, when git fails.
pub fn show(place: &RigPlace, saved: Saved) -> Result<Shown> {
    let commit = id(&saved.commit)?;
    let base = saved.head.as_deref().map(id).transpose()?;
    let files = base.map(|base| patch::files(&place.ledger.store, base, commit)).transpose()?.unwrap_or_default();
    Ok(Shown { saved, files })
}

fn id(text: &str) -> Result<ObjectId> {
    ObjectId::from_hex(text.as_bytes()).or_fail(Kind::Corrupt, || format!("read the object id '{}'", text.escape_debug()))
}

/// Brings all of `saved` back as a worktree of its own at `dir`, which must not be there: files as they lay, and what
/// else was saved below `.gt-salvage/`.
///
/// # Errors
/// Conflict, when something is at `dir`; io, when it cannot be made.
pub fn restore_whole(place: &RigPlace, saved: &Saved, dir: &Path) -> Result<Restored> {
    if dir.symlink_metadata().is_ok() {
        return Err(Error::conflict(format!("{} is there already", dir.display())).hint("name a place where nothing is"));
    }
    worktree::add(&place.ledger.store, dir, Head::Detached(id(&saved.commit)?))?;
    Ok(Restored { name: saved.name.clone(), dir: dir.display().to_string(), paths: Vec::new(), kept: None })
}

/// Brings `paths` of `saved` back into the checkout that the acting person or agent stands in. What is there and is not
/// committed is not overwritten, unless `force`, and then it is saved first.
///
/// # Errors
/// Refused, when a path has changes of its own, or what they are cannot be saved; not found, when `saved` has no such path;
/// external, when git fails.
pub fn restore_paths(town: &Town, place: &RigPlace, saved: &Saved, paths: &[String], force: bool) -> Result<Restored> {
    let dir = town.dir.as_path();
    let words = |head: &[&str]| head.iter().map(ToString::to_string).chain(paths.iter().cloned()).collect::<Vec<String>>();
    let run = |words: &[String]| program::run(dir, &words.iter().map(String::as_str).collect::<Vec<_>>());
    if !force {
        let status = run(&words(&["status", "--porcelain", "--ignored", "--"]))?;
        if !status.is_success() {
            return Err(Error::new(status.failure(), format!("look at {}: {}", dir.display(), status.last_line())));
        }
        if let Some(line) = status.text().lines().next() {
            return Err(Error::refused(format!("{} has changes that are not committed", line.get(3..).unwrap_or(line)))
                .hint("commit them first, or overwrite them with --force"));
        }
    }
    let kept = if force { keep(town, place)? } else { None };
    let source = format!("--source={}", saved.commit);
    let restored = run(&words(&["restore", &source, "--worktree", "--"]))?;
    if !restored.is_success() {
        return Err(Error::not_found(format!("restore from {}: {}", saved.name, restored.last_line()))
            .hint("gt salvage show names what it holds"));
    }
    let kept = kept.map(|kept| kept.ref_name);
    Ok(Restored { name: saved.name.clone(), dir: dir.display().to_string(), paths: paths.to_vec(), kept })
}

/// Saves what the checkout in which somebody stands holds and nothing else keeps, be it a worktree of the rig or a clone.
fn keep(town: &Town, place: &RigPlace) -> Result<Option<Salvaged>> {
    let top = PathBuf::from(program::run_ok(&town.dir, &["rev-parse", "--show-toplevel"])?);
    if top.join(".git").is_dir() {
        return crew::save(town, place, &town.me, &top);
    }
    polecat::save(town, place, &town.me, &top, Next::Nothing)
}

/// Drops `saved`: nothing keeps it any more.
///
/// # Errors
/// Refused, when it is another agent's; conflict, when it changed meanwhile.
pub fn drop(town: &Town, place: &RigPlace, saved: &Saved) -> Result<Dropped> {
    let is_trusted = matches!(town.me, Address::Overseer(_) | Address::Mayor | Address::Crew(..));
    if !is_trusted && saved.agent != town.me.to_string() {
        return Err(Error::refused(format!("{} may not drop what was saved of {}", town.me, saved.agent))
            .hint("ask the overseer: gt mail send overseer -s \"…\" -m \"…\""));
    }
    let name = format!("{}{}", tree::SALVAGE, saved.name);
    match place.ledger.store.remove_ref(&name, id(&saved.commit)?)? {
        Swap::Moved | Swap::Lost(None) => {
            let set_aside = saved.what.iter().find_map(|line| line.strip_prefix("- set aside in ")).map(str::to_owned);
            Ok(Dropped { name: saved.name.clone(), commit: saved.commit.clone(), set_aside })
        }
        Swap::Lost(Some(_)) => Err(Error::conflict(format!("{} changed meanwhile", saved.name)).hint("try again")),
    }
}
