//! Crew at work in another rig: a worktree of that rig's repository, on a branch of its own, under the member's own name.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::hold;
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::salvage::{self, Next};
use crate::git::worktree::{self, Head};
use crate::model::address::Address;
use crate::name::Name;
use crate::ops::outfit::{self, Checkout};
use crate::ops::polecat;
use crate::town::{RigPlace, Town};

/// A worktree of crew in another rig.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Visit {
    /// Who works there.
    pub address: Address,
    /// The rig.
    pub rig: Name,
    /// The worktree.
    pub dir: PathBuf,
    /// Its branch.
    pub branch: Option<String>,
    /// What of its outfit it lacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A worktree that is gone.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Ended {
    /// Whose.
    pub address: Address,
    /// The rig.
    pub rig: Name,
    /// The branch, which stays.
    pub branch: Option<String>,
    /// The ref that keeps what it held.
    pub salvage: Option<String>,
}

/// The acting crew member.
fn me(town: &Town) -> Result<(&Name, &Name)> {
    match &town.me {
        Address::Crew(rig, name) => Ok((rig, name)),
        other => Err(Error::refused(format!("{other} is no crew, and only crew work in other rigs"))
            .hint("run it in a crew member's clone, or as one: gt --actor widgets/crew/joe")),
    }
}

fn dir_of(place: &RigPlace, home: &Name, name: &Name) -> PathBuf {
    place.dir.join("crew").join(format!("{home}-{name}"))
}

/// Makes the acting crew member's worktree in the rig at `place`, or answers the one that is there.
///
/// # Errors
/// Refused, when who acts is no crew, or is at home there; conflict, when something else is in its place.
pub fn begin(town: &Town, place: &RigPlace) -> Result<Visit> {
    town.check_identity()?;
    let (home, name) = me(town)?;
    if *home == place.rig.name {
        return Err(Error::refused(format!("{} is at home in rig {home}", town.me))
            .hint(format!("your clone there: gt crew at {name} --rig {home} --path")));
    }
    let _held = hold(place, &town.me)?;
    let (store, dir) = (&place.ledger.store, dir_of(place, home, name));
    let branch = format!("crew/{home}-{name}");
    let visit = |warnings| Visit {
        address: town.me.clone(),
        rig: place.rig.name.clone(),
        dir: dir.clone(),
        branch: Some(branch.clone()),
        warnings,
    };
    if worktree::is_registered(store, &dir)? && dir.join(".git").is_file() {
        let branch = worktree::head(&dir).ok().and_then(|(branch, _)| branch);
        return Ok(Visit { branch, ..visit(Vec::new()) });
    }
    worktree::clear_begun(store, &dir)?;
    let target = format!("refs/heads/{}", place.rig.target);
    // The branch of an earlier visit is gone on with.
    let at = match store.read_ref(&format!("refs/heads/{branch}"))? {
        Some(at) => at,
        None => store.read_ref(&target)?.or_fail(Kind::NotFound, || format!("find the branch {}", place.rig.target))?,
    };
    worktree::add_within(store, &dir, Head::Branch { name: &branch, at }, &place.cone()?)?;
    let private = worktree::private_dir(store, &dir)?;
    let checkout = Checkout { agent: &town.me, store, dir: &dir, private: &private, commit: at };
    Ok(visit(outfit::fit(town, place, &checkout)?))
}

/// The worktrees of crew in other rigs, in the order of rigs.
///
/// # Errors
/// Io, when they cannot be listed.
pub fn list(town: &Town) -> Result<Vec<Visit>> {
    let mut visits = Vec::new();
    for place in town.places()? {
        for found in worktree::list(&place.ledger.store)? {
            let name = found.dir.strip_prefix(place.dir.join("crew")).ok().and_then(|path| path.to_str().map(str::to_owned));
            let Some((home, name)) = name.as_deref().and_then(|name| name.split_once('-')) else { continue };
            let (Ok(home), Ok(name)) = (home.parse(), name.parse()) else { continue };
            let (address, rig) = (Address::Crew(home, name), place.rig.name.clone());
            visits.push(Visit { address, rig, dir: found.dir, branch: found.branch, warnings: Vec::new() });
        }
    }
    Ok(visits)
}

/// Removes the acting crew member's worktree in the rig at `place`; its branch stays.
///
/// # Errors
/// Refused, naming what is not kept elsewhere, unless `force`: then that is saved first. Not found, when there is none.
pub fn end(town: &Town, place: &RigPlace, force: bool) -> Result<Ended> {
    let (home, name) = me(town)?;
    let _held = hold(place, &town.me)?;
    let (store, dir) = (&place.ledger.store, dir_of(place, home, name));
    let unsaved = salvage::unsaved(store, &dir, &polecat::kept(place)?)?;
    if !unsaved.is_empty() && !force {
        return Err(Error::refused(format!("{} holds work that is nowhere else: {}", dir.display(), unsaved.join("; ")))
            .hint("commit it, or add --force: then it is salvaged first, and gt salvage list names it"));
    }
    let saved = polecat::save(town, place, &town.me, &dir, Next::Removal)?;
    let branch = worktree::head(&dir).ok().and_then(|(branch, _)| branch);
    worktree::remove(store, &dir).map_err(|error| polecat::naming(error, saved.as_ref()))?;
    let salvage = saved.map(|saved| saved.ref_name);
    Ok(Ended { address: town.me.clone(), rig: place.rig.name.clone(), branch, salvage })
}
