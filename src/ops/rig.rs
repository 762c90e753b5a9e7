//! Rigs: a project cloned bare, its ledger, its role worktrees, and its entry in the town's registry.
//!
//! All or nothing: a directory carries a mark from before the clone until after its registration. While it
//! does, it is no rig to any command, and the next `rig add` removes it and begins anew.

mod entry;
mod list;

use std::path::{Path, PathBuf};

use gix::ObjectId;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::progress::Progress;
use crate::git::promised::{self, Filter};
use crate::git::remote::Place;
use crate::git::worktree::{self, Head};
use crate::git::{self, clone, diff, fetch, program};
use crate::ledger::{Ledger, sync, tree};
use crate::model::address::Address;
use crate::model::cone::{self, Cone};
use crate::model::notebook::Notebook;
use crate::model::scope::{LocalMachine, Rig, ScopeKind};
use crate::name::{Name, Prefix, Slot};
use crate::ops::install;
use crate::ops::remote;
use crate::ops::shims;
use crate::store::{self, Store};
use crate::town::{PUSH_URL, RigPlace, SPARSE, Town, UNFINISHED, is_whole, read_machine};
use entry::{absolute_url, check_joined, check_land, chosen_prefix, entry_for, sync_remote};
pub use list::{Listed, Part, list};

/// What to add.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The rig's name and directory.
    pub name: Name,
    /// The project.
    pub url: String,
    /// The prefix of its ids; derived from the name when not given.
    pub prefix: Option<Prefix>,
    /// The branch that work is merged into; the project's default when not given.
    pub branch: Option<String>,
    /// The remote whose branch is the target; only `origin` exists.
    pub land: Option<String>,
    /// The URL its ledger is exchanged with, or `none`.
    pub sync: Option<String>,
    /// Where branches and landings are pushed: the project too, by another way than it is fetched.
    pub push_url: Option<String>,
    /// A repository on this machine that has much of the project already.
    pub local_repo: Option<PathBuf>,
    /// Whether branches with commits that only that repository has come along.
    pub adopts: bool,
    /// Which files the clone leaves out until they are needed.
    pub filter: Option<Filter>,
    /// The directories that its sandboxes show; the whole project, or what the town says, when none is given.
    pub sparse: Vec<String>,
    /// Whether beads that the project has from the `bd` tool say the prefix, when none is given.
    pub keeps_ids: bool,
}

/// Where the mayor and the refinery read the project.
const ROLE_WORKTREES: [&str; 2] = ["mayor/rig", "refinery/rig"];

/// How it ended.
#[derive(Clone, Debug, schemars::JsonSchema, serde::Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Added {
    /// A new rig.
    New {
        /// Its registry entry.
        rig: Box<Rig>,
        /// Where its ledger goes, if anywhere.
        sync: Option<String>,
        /// Branches that were taken over from a local repository.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        adopted: Vec<String>,
        /// What of the project is here.
        #[serde(flatten)]
        part: Part,
    },
    /// A rig of another machine, now here too.
    Joined {
        /// Its registry entry.
        rig: Box<Rig>,
        /// Where its ledger goes.
        sync: Option<String>,
        /// Branches that were taken over from a local repository.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        adopted: Vec<String>,
        /// What of the project is here.
        #[serde(flatten)]
        part: Part,
    },
    /// It was here already.
    AlreadyThere {
        /// Its name.
        name: Name,
    },
}

/// Clones the project, makes or joins its ledger, lays out the rig and registers it.
///
/// # Errors
/// Usage, when a directory to be shown can be none; refused, when name, prefix or place are taken, or the project has no such
/// directory; external, when the project cannot be cloned.
pub fn add(town: &Town, plan: &Plan, progress: &Progress) -> Result<Added> {
    let dir = town.root.join(plan.name.as_str());
    let _turn = store::lock::KernelLock::take(&town.hq.store.private_dir().join("rig-add.flock"))?;
    let registered = town.hq.state()?.rig(&plan.name)?;
    if registered.is_some() && is_whole(&dir) {
        return Ok(Added::AlreadyThere { name: plan.name.clone() });
    }
    if let Some(rig) = laid_out(&dir)? {
        return finish(town, rig, &dir, Vec::new());
    }
    clear_unfinished(&dir)?;
    if dir.exists() {
        return Err(Error::refused(format!("{} exists and is no rig", dir.display()))
            .hint("choose another name or move that directory away"));
    }
    check_land(plan)?;
    Cone::of(&plan.sparse)?;
    let made = build(town, plan, &dir, registered, progress);
    if made.is_err() {
        let _ = std::fs::remove_dir_all(&dir);
    }
    made
}

/// The rig that an earlier call laid out whole but did not get to register.
fn laid_out(dir: &Path) -> Result<Option<Rig>> {
    let path = dir.join(UNFINISHED);
    match std::fs::read(&path) {
        Ok(bytes) if bytes.is_empty() => Ok(None),
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).or_fail(Kind::Corrupt, || format!("read {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).or_fail(Kind::Io, || format!("read {}", path.display())),
    }
}

/// Registers a rig that is laid out, last of all.
fn finish(town: &Town, rig: Rig, dir: &Path, adopted: Vec<String>) -> Result<Added> {
    register(town, &rig)?;
    crate::env::crash_point("rig.registered");
    unmark(dir)?;
    let place = town.rig(&rig.name)?;
    shims::refresh(town, &place)?;
    let sync = remote::list(&place.ledger.store).into_iter().next().map(|remote| remote.url);
    let part = Part::of(&place)?;
    let is_new = rig.home == town.machine;
    let rig = Box::new(rig);
    Ok(if is_new { Added::New { rig, sync, adopted, part } } else { Added::Joined { rig, sync, adopted, part } })
}

fn clear_unfinished(dir: &Path) -> Result<()> {
    if dir.join(UNFINISHED).is_file() {
        std::fs::remove_dir_all(dir).or_fail(Kind::Io, || format!("remove the unfinished {}", dir.display()))?;
    }
    // An empty one is as good as none, and may be what is left of a try that died before its mark.
    let _ = std::fs::remove_dir(dir);
    Ok(())
}

/// Makes the rig's directory with the mark in it, on disk before anything else is.
pub(crate) fn begin(dir: &Path) -> Result<()> {
    install::create_dir(dir)?;
    std::fs::File::create_new(dir.join(UNFINISHED)).or_fail(Kind::Io, || format!("mark {} as unfinished", dir.display()))?;
    store::sync_dir(dir)
}

/// Takes the mark away, on disk too: were it back after a power loss, the next `rig add` would remove a used rig.
pub(crate) fn unmark(dir: &Path) -> Result<()> {
    std::fs::remove_file(dir.join(UNFINISHED)).or_fail(Kind::Io, || format!("finish {}", dir.display()))?;
    store::sync_dir(dir)
}

fn build(town: &Town, plan: &Plan, dir: &Path, registered: Option<Rig>, progress: &Progress) -> Result<Added> {
    let url = absolute_url(&plan.url);
    let repo = dir.join(".repo.git");
    if let Some(push_url) = &plan.push_url {
        Place::parse(push_url)?;
    }
    begin(dir)?;
    let branch = plan.branch.as_deref().or(registered.as_ref().map(|rig| rig.target.as_str()));
    let (local_repo, filter) = (plan.local_repo.as_deref(), plan.filter.as_ref());
    let wish = clone::Wish { branch, local_repo, adopts: plan.adopts, filter };
    let cloned = clone::clone_as(&url, &repo, wish, progress)?;
    if let Some(push_url) = &plan.push_url {
        program::bare_ok(&repo, &["config", "--", PUSH_URL, &absolute_url(push_url)])?;
    }
    crate::env::crash_point("rig.cloned");
    let Some(tip) = cloned.tip else {
        return Err(Error::refused(format!("{url} has no commit yet")).hint("push a first commit, then add it again"));
    };
    show_only(&repo, plan, tip, registered.as_ref())?;
    let local = read_machine(town.hq.store.dir())?;
    let ledger = Ledger::open(&repo, &local.id)?;
    let remote = sync_remote(plan, &url, &ledger)?;
    let has_ledger = match &remote {
        Some(remote) => fetch::advertised(&ledger.store, remote)?.contains_key(tree::LEDGER),
        None => false,
    };
    if let Some(remote_url) = &remote {
        remote::add(&repo, remote::ORIGIN, remote_url)?;
    }
    let rig = if has_ledger {
        let remote = remote.as_deref().unwrap_or_default();
        sync::join(&ledger, remote, progress)?;
        // Before anything is sent: a refusal leaves no slot taken over there.
        let scope = ledger.state()?.scope()?;
        check_joined(plan, &scope, remote)?;
        let rig = entry_for(town, plan, &url, &cloned.default_branch, scope.prefix, registered)?;
        sync::take_slot(&ledger, &local, remote, &town.actor, town.now, progress)?;
        rig
    } else if let Some(rig) = registered {
        // A second history of one ledger would never meet the first.
        return Err(Error::refused(format!(
            "rig {} is known to the town, but its ledger is not at {}",
            rig.name,
            remote.as_deref().unwrap_or("any remote")
        ))
        .hint("run gt sync on a machine that has the rig, or name where its ledger is: --sync URL"));
    } else {
        let prefix = chosen_prefix(town, plan, &ledger, &cloned.default_branch)?;
        let rig = entry_for(town, plan, &url, &cloned.default_branch, prefix, None)?;
        found(town, &ledger, &rig, &local, tip)?;
        rig
    };
    // Opened anew: the clone's configuration changed since.
    let place = RigPlace { rig: rig.clone(), dir: dir.to_owned(), project: url, ledger: Ledger::open(&repo, &local.id)? };
    let store = &place.ledger.store;
    promised::bring_tree(store, store.tree_of(tip)?, &place.cone()?, progress)?;
    lay_out(&place)?;
    let entry = serde_json::to_vec(&rig).or_fail(Kind::Bug, || "write the rig's entry")?;
    store::write_file(&dir.join(UNFINISHED), &entry)?;
    crate::env::crash_point("rig.laid-out");
    finish(town, rig, dir, cloned.adopted)
}

/// Checks that the project has the directories that are to be shown, and keeps them for this machine where the town knows
/// the rig with others.
fn show_only(repo: &Path, plan: &Plan, tip: ObjectId, registered: Option<&Rig>) -> Result<()> {
    let cone = Cone::of(&plan.sparse)?;
    let store = Store::open(repo)?;
    let tree = store.tree_of(tip)?;
    for dir in cone.dirs() {
        if !diff::has_directory(&store, tree, dir)? {
            return Err(Error::refused(format!("the project has no directory '{}'", dir.escape_debug()))
                .hint("name directories of its target branch, from the top: --sparse DIR"));
        }
    }
    if plan.sparse.is_empty() || registered.is_none_or(|rig| Cone::of(&rig.sparse).is_ok_and(|known| known == cone)) {
        return Ok(());
    }
    let dirs = if cone.is_whole() { vec![cone::WHOLE] } else { cone.dirs().collect() };
    dirs.iter().try_for_each(|dir| program::bare_ok(repo, &["config", "--add", "--", SPARSE, dir]).map(drop))
}

/// Writes the first records of a rig, all in one transaction.
fn found(town: &Town, ledger: &Ledger, rig: &Rig, local: &LocalMachine, tip: ObjectId) -> Result<()> {
    let deed = town.deed("rig-add", format!("found the rig {}", rig.name));
    ledger.transact(&deed, |change| {
        install::put_scope(change, ScopeKind::Rig, &rig.prefix, rig.name.as_str())?;
        install::put_machine(change, local, Slot(0))?;
        // From now on it is noticed when somebody else moves the target.
        let notebook = Notebook { tip: Some(tip.to_string()), ..Notebook::new(&rig.target) };
        change.put(&tree::notebook(&rig.target), &notebook)?;
        let agents = [Address::Witness(rig.name.clone()), Address::Refinery(rig.name.clone())];
        install::put_agents(change, &rig.prefix, &agents)
    })
}

/// Makes the directories and the role worktrees.
pub(crate) fn lay_out(place: &RigPlace) -> Result<()> {
    for dir in ["mayor", "refinery", "witness", "polecats", "crew", "plugins"] {
        install::create_dir(&place.dir.join(dir))?;
    }
    let branch = format!("refs/heads/{}", place.rig.target);
    let tip = place
        .ledger
        .store
        .read_ref(&branch)?
        .or_fail(Kind::Corrupt, || format!("find the branch {branch}, which work is merged into"))?;
    let cone = place.cone()?;
    for role in ROLE_WORKTREES {
        worktree::add_within(&place.ledger.store, &place.dir.join(role), Head::Detached(tip), &cone)?;
    }
    git::shims::lay_all(place.ledger.store.dir(), &[place.rig.target.clone()].into())?;
    write_view(&place.dir, &place.rig)
}

/// Writes the view of a rig's entry for programs that read `config.json`.
pub(crate) fn write_view(dir: &Path, rig: &Rig) -> Result<()> {
    let view = serde_json::json!({
        "name": rig.name, "prefix": rig.prefix, "url": rig.url, "default_branch": rig.target,
        "generated": "a view of the town's ledger; written anew by gt rig add and gt bead rename-prefix",
    });
    store::write_file(&dir.join("config.json"), format!("{view:#}\n").as_bytes())
}

fn register(town: &Town, rig: &Rig) -> Result<()> {
    let deed = town.deed("rig-add", format!("register the rig {}", rig.name));
    town.hq.transact(&deed, |change| {
        let path = tree::rig(&rig.name);
        if change.has(&path)? { Ok(()) } else { change.put(&path, rig) }
    })
}

/// Moves the reading worktrees of mayor and refinery to the target's tip. Where somebody works, it stays as it is: with
/// changes, on a branch, or at a commit that the tip does not contain.
///
/// # Errors
/// Corrupt, when the target cannot be read. A worktree that cannot be moved is not an error.
pub fn refresh_readers(place: &RigPlace) -> Result<()> {
    let branch = format!("refs/heads/{}", place.rig.target);
    let Some(tip) = place.ledger.store.read_ref(&branch)? else { return Ok(()) };
    let cone = place.cone()?;
    for role in ROLE_WORKTREES {
        let dir = place.dir.join(role);
        let is_clean = crate::git::status::status(&dir).is_ok_and(|status| status.is_clean());
        let Ok((None, head)) = worktree::head(&dir) else { continue };
        if is_clean && head != tip && place.ledger.store.is_ancestor(head, tip)? {
            let _ = worktree::switch_within(&place.ledger.store, &dir, Head::Detached(tip), &cone);
        }
    }
    Ok(())
}
