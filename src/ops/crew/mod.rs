//! Crew: long-lived workspaces of people and agents, full clones of the project with two remotes, `origin` (the project)
//! and `town` (the rig's own repository).
//!
//! A clone is made beside its place and appears whole or not at all. None goes while it holds work that is nowhere else,
//! unless that is saved in the rig's repository first.

mod leave;
mod make;
pub mod visit;

use std::path::{Path, PathBuf};

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::git::{commits, program, status, worktree};
use crate::model::address::Address;
use crate::name::Name;
use crate::ops::session::{self, Started};
use crate::runtime::process;
use crate::store::Store;
use crate::store::lock::KernelLock;
use crate::town::{RigPlace, Town};

pub(super) use leave::save;
pub use leave::{Removed, remove};
pub use make::{Made, add};

/// A crew member's workspace.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Workspace {
    /// Whose.
    pub address: Address,
    /// The clone.
    pub dir: PathBuf,
    /// The branch that it is on.
    pub branch: Option<String>,
    /// What it holds that is nowhere else.
    #[serde(flatten)]
    pub pending: Pending,
    /// Its session's process, when one runs.
    pub pid: Option<u32>,
}

/// Work that is in a checkout only.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Pending {
    /// Paths with changes that are not committed.
    pub uncommitted: Vec<String>,
    /// Branches, and what else names commits, with commits that no remote has.
    pub unpushed: Vec<String>,
}

impl Pending {
    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.uncommitted.is_empty() && self.unpushed.is_empty()
    }

    /// The first of it, for a sentence.
    #[must_use]
    pub fn text(&self) -> String {
        let all: Vec<&str> = self.uncommitted.iter().chain(&self.unpushed).map(String::as_str).collect();
        let more = if all.len() > 8 { format!(" and {} more", all.len() - 8) } else { String::new() };
        format!("{}{more}", all[..all.len().min(8)].join(", "))
    }
}

/// The clone of crew member `name`.
#[must_use]
pub fn clone_of(place: &RigPlace, name: &Name) -> PathBuf {
    place.dir.join("crew").join(name.as_str())
}

/// Who is meant: a full or short address, or a name in the rig at hand.
///
/// # Errors
/// Usage, when it is no name or no crew; as [`Town::rig_or_here`].
pub fn named(town: &Town, rig: Option<&Name>, text: &str) -> Result<(RigPlace, Name)> {
    let (rig, name) = match text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => return Ok((town.rig_or_here(rig)?, name.parse()?)),
        [rig, name] | [rig, "crew", name] => (rig.parse::<Name>()?, name.parse()?),
        _ => return Err(Error::usage(format!("'{}' names no crew", text.escape_debug())).hint("for example widgets/crew/joe")),
    };
    Ok((town.rig(&rig)?, name))
}

/// Holds a member's workspace, so that of two commands one waits to be told no.
pub(super) fn hold(place: &RigPlace, address: &Address) -> Result<KernelLock> {
    let path = place.ledger.store.private_dir().join("agents").join(format!("{}.flock", address.as_component()));
    KernelLock::try_take(&path)?
        .ok_or_else(|| Error::conflict(format!("another command is busy with {address}")).hint("try again"))
}

/// Refuses a workspace that is not there.
fn check_there(place: &RigPlace, name: &Name) -> Result<PathBuf> {
    let dir = clone_of(place, name);
    if dir.join(".git").is_dir() {
        return Ok(dir);
    }
    let rig = &place.rig.name;
    Err(Error::not_found(format!("rig {rig} has no crew {name}"))
        .hint(format!("gt crew list --rig {rig} shows them; make one: gt crew add {name} --rig {rig}")))
}

/// The workspaces of a rig, by name.
///
/// # Errors
/// External, when git cannot tell what one holds.
pub fn list(town: &Town, place: &RigPlace) -> Result<Vec<Workspace>> {
    let entries = std::fs::read_dir(place.dir.join("crew")).into_iter().flatten().filter_map(std::result::Result::ok);
    let mut names: Vec<Name> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    names.sort();
    names.retain(|name| check_there(place, name).is_ok());
    names.iter().map(|name| look(town, place, name)).collect()
}

/// One workspace.
///
/// # Errors
/// Not found, when there is none; external, when git cannot tell what it holds.
pub fn look(town: &Town, place: &RigPlace, name: &Name) -> Result<Workspace> {
    let dir = check_there(place, name)?;
    let address = Address::Crew(place.rig.name.clone(), name.clone());
    Ok(Workspace {
        branch: worktree::head(&dir).ok().and_then(|(branch, _)| branch),
        pending: pending(&dir)?,
        pid: process::find(&town.runtime_dir(), &address)?.map(|session| session.pid),
        address,
        dir,
    })
}

/// What the clone at `dir` holds that is nowhere else.
fn pending(dir: &Path) -> Result<Pending> {
    let found = status::status(dir)?;
    let mut uncommitted = found.staged;
    uncommitted.extend(found.unstaged);
    uncommitted.extend(found.untracked);
    uncommitted.sort();
    uncommitted.dedup();
    let store = Store::open(&dir.join(".git"))?;
    let remote: Vec<ObjectId> = commits_at(&store, "refs/remotes/")?.into_iter().map(|(_, id)| id).collect();
    let mut unpushed = Vec::new();
    let mut tips = commits_at(&store, "refs/heads/")?;
    tips.extend(commits_at(&store, "refs/tags/")?);
    tips.extend(commits_at(&store, "refs/stash")?);
    if let Ok((None, head)) = worktree::head(dir) {
        tips.push(("the detached HEAD".to_owned(), head));
    }
    for (name, tip) in tips {
        let count = commits::ahead(&store, tip, &remote)?.len();
        let short = name.trim_start_matches("refs/").trim_start_matches("heads/");
        let word = if count == 1 { "commit" } else { "commits" };
        unpushed.extend((count > 0).then(|| format!("{short} ({count} {word})")));
    }
    Ok(Pending { uncommitted, unpushed })
}

/// The commits that refs below `prefix` name or stand for.
fn commits_at(store: &Store, prefix: &str) -> Result<Vec<(String, ObjectId)>> {
    let refs = match prefix {
        "refs/stash" => store.read_ref(prefix)?.map(|id| (prefix.to_owned(), id)).into_iter().collect(),
        _ => store.refs_below(prefix)?,
    };
    let commit = |id: ObjectId| Some(store.repo.find_object(id).ok()?.peel_to_commit().ok()?.id);
    Ok(refs.into_iter().filter_map(|(name, id)| Some((name, commit(id)?))).collect())
}

/// What became of a workspace that was brought up to date.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Refreshed {
    /// Whose.
    pub address: Address,
    /// The branch that it is on.
    pub branch: Option<String>,
    /// Whether it moved.
    pub is_moved: bool,
    /// Why it stays where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Fetches both remotes, and moves a clean clone on the rig's target branch along with it; nothing else is changed.
///
/// # Errors
/// Not found, when there is no such workspace; external, when a remote cannot be reached.
pub fn refresh(place: &RigPlace, name: &Name) -> Result<Refreshed> {
    let dir = check_there(place, name)?;
    let address = Address::Crew(place.rig.name.clone(), name.clone());
    let _held = hold(place, &address)?;
    for remote in ["origin", "town"] {
        let fetched = program::run(&dir, &["fetch", "--quiet", remote])?;
        if !fetched.is_success() {
            return Err(Error::new(fetched.failure(), format!("fetch {remote} in {}: {}", dir.display(), fetched.last_line())));
        }
    }
    let branch = worktree::head(&dir).ok().and_then(|(branch, _)| branch);
    let target = &place.rig.target;
    let mut refreshed = Refreshed { address, branch, is_moved: false, why: None };
    if refreshed.branch.as_ref() != Some(target) {
        refreshed.why = Some(format!("it is not on {target}"));
        return Ok(refreshed);
    }
    if !status::status(&dir)?.is_clean() {
        refreshed.why = Some("it has changes that are not committed".to_owned());
        return Ok(refreshed);
    }
    let before = worktree::head(&dir)?;
    // Work that lands in the rig's own branch is there first.
    for remote in ["origin", "town"] {
        let tip = format!("refs/remotes/{remote}/{target}");
        if Store::open(&dir.join(".git"))?.read_ref(&tip)?.is_some() {
            let moved = program::run(&dir, &["merge", "--quiet", "--ff-only", &tip])?;
            if !moved.is_success() {
                refreshed.why = Some(format!("{target} and that of {remote} went apart"));
            }
        }
    }
    refreshed.is_moved = worktree::head(&dir)? != before;
    Ok(refreshed)
}

/// Starts a session in a member's clone, or answers the one that runs.
///
/// # Errors
/// Not found, when there is no such workspace; as [`session::start_crew`].
pub fn start(town: &Town, place: &RigPlace, name: &Name, agent: Option<&str>) -> Result<Started> {
    let dir = check_there(place, name)?;
    session::start_crew(town, place, &Address::Crew(place.rig.name.clone(), name.clone()), dir, agent)
}
