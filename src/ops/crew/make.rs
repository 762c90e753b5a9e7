//! Making a crew member's clone.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::{clone_of, hold};
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::{init, program, worktree};
use crate::ledger::tree;
use crate::model::address::Address;
use crate::model::agent::Agent;
use crate::name::Name;
use crate::ops::outfit::{self, Checkout};
use crate::store::{Store, sync_dir};
use crate::town::{RigPlace, Town};

/// A clone that was made.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Made {
    /// Whose.
    pub address: Address,
    /// Where it is.
    pub dir: PathBuf,
    /// The branch that it is on.
    pub branch: String,
    /// What of its outfit it lacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Makes the workspace of crew member `name`: a full clone, on the rig's target branch or on a new `branch` from it.
///
/// # Errors
/// Conflict, when there is something in its place; external, when the project cannot be cloned. Nothing is left then.
pub fn add(town: &Town, place: &RigPlace, name: &Name, branch: Option<&str>) -> Result<Made> {
    let address = Address::Crew(place.rig.name.clone(), name.clone());
    if let Some(branch) = branch {
        init::check_branch(branch)?;
    }
    let dir = clone_of(place, name);
    let _held = hold(place, &address)?;
    // What a kill left beside is no one's.
    let beside = place.dir.join("crew").join(format!(".adding-{name}"));
    worktree::clear(&beside)?;
    if dir.symlink_metadata().is_ok() {
        // One whose making was killed at its end is gone on with.
        let id = address.bead_id(place.rig.founded_with());
        if dir.join(".git").is_dir() && !place.ledger.state()?.has_bead(&id)? {
            return finish(town, place, address, dir);
        }
        return Err(Error::conflict(format!("there is something at {} already", dir.display()))
            .hint(format!("gt crew list --rig {}", place.rig.name)));
    }
    let filled = fill(town, place, &address, &beside, branch).and_then(|()| {
        std::fs::rename(&beside, &dir).or_fail(Kind::Io, || format!("put the clone at {}", dir.display()))?;
        sync_dir(&place.dir.join("crew"))
    });
    if let Err(error) = filled {
        let _ = worktree::clear(&beside);
        return Err(error);
    }
    crate::env::crash_point("crew.cloned");
    finish(town, place, address, dir)
}

/// Records the owner of the clone at `dir` and fits it out.
fn finish(town: &Town, place: &RigPlace, address: Address, dir: PathBuf) -> Result<Made> {
    record(town, place, &address)?;
    let store = Store::open(&dir.join(".git"))?;
    let (branch, commit) = worktree::head(&dir)?;
    let checkout = Checkout { agent: &address, store: &store, dir: &dir, private: store.dir(), commit };
    let warnings = outfit::fit(town, place, &checkout)?;
    Ok(Made { address, dir, branch: branch.unwrap_or_default(), warnings })
}

/// Makes the whole clone at `at`.
fn fill(town: &Town, place: &RigPlace, address: &Address, at: &Path, branch: Option<&str>) -> Result<()> {
    let text =
        |path: &Path| path.to_str().map(str::to_owned).or_fail(Kind::Refused, || format!("name {}: no UTF-8", path.display()));
    let (to, repo) = (text(at)?, text(place.ledger.store.dir())?);
    let crew = place.dir.join("crew");
    std::fs::create_dir_all(&crew).or_fail(Kind::Io, || format!("create {}", crew.display()))?;
    let run = |dir: &Path, words: &[&str]| {
        let output = program::run(dir, words)?;
        let deed = || format!("make the clone of {address}: {}", output.last_line());
        output.is_success().then_some(()).or_fail(output.failure(), deed)
    };
    // What the rig has already is not fetched again, and nothing of the clone hangs on the rig's repository afterwards.
    let words = ["clone", "--quiet", "--no-checkout", "--reference-if-able", &repo, "--dissociate", "--", &place.project, &to];
    run(&crew, &words)?;
    run(at, &["remote", "add", "town", &repo])?;
    run(at, &["fetch", "--quiet", "town"])?;
    if place.push_url() != place.project {
        run(at, &["remote", "set-url", "--push", "origin", &place.push_url()])?;
    }
    // The clone is one's own, so that commits made by hand in it are told from others'.
    run(at, &["config", "user.name", &address.to_string()])?;
    run(at, &["config", "user.email", &town.actor.email])?;
    let target = &place.rig.target;
    let store = Store::open(&at.join(".git"))?;
    let mut tips = Vec::new();
    for remote in ["origin", "town"] {
        tips.extend(store.read_ref(&format!("refs/remotes/{remote}/{target}"))?.map(|tip| (remote, tip)));
    }
    let (mut remote, mut tip) = *tips.first().or_fail(Kind::NotFound, || format!("find the branch {target} of the project"))?;
    if let Some((own, ahead)) = tips.last().filter(|(_, ahead)| store.is_ancestor(tip, *ahead).unwrap_or(false)) {
        // A rig that lands in its own branch is ahead of the project.
        (remote, tip) = (*own, *ahead);
    }
    tracing::debug!(remote, %tip, "crew");
    let name = branch.unwrap_or(target);
    run(at, &["checkout", "--quiet", "--no-track", "-B", name, &tip.to_string()])?;
    if branch.is_none() && tips.iter().any(|(remote, _)| *remote == "origin") {
        run(at, &["branch", "--quiet", &format!("--set-upstream-to=origin/{target}"), name])?;
    }
    Ok(())
}

/// The agent's bead, so that it can be written to and given work.
fn record(town: &Town, place: &RigPlace, address: &Address) -> Result<()> {
    let prefix = place.rig.founded_with();
    let path = tree::bead(&address.bead_id(prefix));
    let deed = town.deed("crew-add", format!("add {address}"));
    place.ledger.transact(&deed, |change| {
        if change.has(&path)? {
            return Ok(());
        }
        let agent = Agent::bead(address, prefix, &town.machine, &town.actor.name, change.now())?;
        change.put(&path, &agent)
    })
}
