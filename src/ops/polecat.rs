//! Polecats: who is free, the sandbox each works in, and what may be done with it.
//!
//! Nothing is reset or removed before what it holds is saved under a salvage ref, which is named to the user.

mod leave;
mod list;
pub mod look;
pub mod pool;

use std::path::{Path, PathBuf};

use gix::ObjectId;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::salvage::{self, Next, Order, Salvaged};
use crate::git::worktree::{self, Head};
use crate::ledger::tree;
use crate::model::address::Address;
use crate::model::hook::Hook;
use crate::name::{BeadId, Name};
use crate::ops::control;
use crate::ops::outfit::{self, Checkout};
use crate::runtime::process;
use crate::store::lock::KernelLock;
use crate::town::{RigPlace, Town};

pub use leave::{Nuked, nuke, release};
pub use list::{Listed, list};

/// A polecat that nobody else can take while this value lives.
pub struct Taken {
    /// Who.
    pub address: Address,
    /// Its sandbox.
    pub dir: PathBuf,
    /// Whether the sandbox exists already.
    pub is_reused: bool,
    _lock: KernelLock,
}

/// The sandbox of polecat `name`.
#[must_use]
pub fn sandbox(place: &RigPlace, name: &Name) -> PathBuf {
    place.dir.join("polecats").join(name.as_str())
}

fn lock_path(place: &RigPlace, address: &Address) -> PathBuf {
    place.ledger.store.private_dir().join("agents").join(format!("{}.flock", address.as_component()))
}

/// Waits for the turn to assign `bead`, to start its session, or to take it off its hook.
///
/// May be waited for with a polecat's lock in hand; nobody waits the other way round, they only try.
///
/// # Errors
/// Conflict, when another has it for too long.
pub fn turn_of(place: &RigPlace, bead: &BeadId) -> Result<KernelLock> {
    KernelLock::take(&place.ledger.store.private_dir().join("beads").join(format!("{bead}.flock")))
}

/// A polecat with what hangs on it; while this value lives no sling assigns to it or starts its session.
pub struct Held {
    /// What hangs on it.
    pub hook: Option<Hook>,
    _locks: (KernelLock, Option<KernelLock>),
}

/// Holds a polecat, to end what it does. Its hook is read under its lock: what was read before may be another's by now.
///
/// # Errors
/// Conflict, when another command is busy with it.
pub fn hold(place: &RigPlace, address: &Address) -> Result<Held> {
    let agent = KernelLock::try_take(&lock_path(place, address))?.ok_or_else(|| is_busy(address))?;
    let hook = place.ledger.state()?.hook(address)?;
    let bead = hook.as_ref().map(|hook| turn_of(place, &hook.bead)).transpose()?;
    Ok(Held { hook, _locks: (agent, bead) })
}

fn is_busy(address: &Address) -> Error {
    Error::conflict(format!("another command is busy with {address}")).hint("try again")
}

/// What stands where a sandbox goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Nothing, or what a killed sling had only begun.
    Free,
    /// A sandbox.
    Worktree,
    /// Something that gt did not make and does not touch.
    Foreign,
}

/// Looks at what stands at `dir`.
///
/// # Errors
/// Io, when it cannot be read.
pub fn ground(place: &RigPlace, dir: &Path) -> Result<Ground> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && dir.symlink_metadata().is_err() => return Ok(Ground::Free),
        // A file, or a link to one or to nothing.
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotADirectory | std::io::ErrorKind::NotFound) => {
            return Ok(Ground::Foreign);
        }
        Err(error) => return Err(error).or_fail(Kind::Io, || format!("look into {}", dir.display())),
    };
    let names = entries.take(2).map(|entry| entry.map(|entry| entry.file_name())).collect::<std::io::Result<Vec<_>>>();
    let names = names.or_fail(Kind::Io, || format!("look into {}", dir.display()))?;
    let is_begun = names.iter().all(|name| name == ".git") && !dir.join(".git").is_dir() && worktree::head(dir).is_err();
    Ok(match worktree::is_registered(&place.ledger.store, dir)? {
        _ if is_begun => Ground::Free,
        true => Ground::Worktree,
        false => Ground::Foreign,
    })
}

/// What ends the names of polecats on this machine: nothing on the machine that made the rig.
fn mark(town: &Town, place: &RigPlace) -> Result<String> {
    if place.rig.home == town.machine {
        return Ok(String::new());
    }
    let machine: Option<crate::model::scope::Machine> = place.ledger.state()?.get(&tree::machine(&town.machine))?;
    machine
        .map(|machine| machine.slot.mark())
        .ok_or_else(|| Error::refused("this machine has no slot in the rig").hint("gt sync takes one"))
}

/// Takes an idle polecat of the rig, else the next free name of its pool.
///
/// # Errors
/// Refused, when the rig has as many polecats as it may and none is idle.
pub fn take_any(town: &Town, place: &RigPlace) -> Result<Taken> {
    let names = pool::names(town, place)?;
    // Idle ones first: their sandbox is already there.
    for (name, is_there) in names.there.iter().map(|name| (name, true)).chain(names.free.iter().map(|name| (name, false))) {
        let wanted = if is_there { Ground::Worktree } else { Ground::Free };
        if ground(place, &sandbox(place, name))? != wanted {
            continue;
        }
        if let Some(taken) = try_take(town, place, &Address::Polecat(place.rig.name.clone(), name.clone()))? {
            return Ok(taken);
        }
    }
    Err(pool::full(place, names.most))
}

/// A polecat of the rig on this machine that has a sandbox and nothing on its hook; `first`, when it is one.
///
/// # Errors
/// Io or corrupt, when sandboxes or hooks cannot be read.
pub fn idle(town: &Town, place: &RigPlace, first: Option<&Address>) -> Result<Option<Address>> {
    let there = pool::names(town, place)?.there;
    let there = there.into_iter().map(|name| Address::Polecat(place.rig.name.clone(), name));
    let state = place.ledger.state()?;
    for address in first.cloned().into_iter().chain(there) {
        let Address::Polecat(rig, name) = &address else { continue };
        let is_here = *rig == place.rig.name && ground(place, &sandbox(place, name))? == Ground::Worktree;
        if is_here && state.hook(&address)?.is_none() && control::asleep(place, &address)?.is_none() {
            return Ok(Some(address));
        }
    }
    Ok(None)
}

/// Takes the named polecat.
///
/// # Errors
/// Refused, when it is busy or belongs to another machine; conflict, when another command holds it.
pub fn take(town: &Town, place: &RigPlace, address: &Address) -> Result<Taken> {
    check_free(town, place, address)?;
    try_take(town, place, address)?.ok_or_else(|| is_busy(address))
}

/// The polecat that a sling to the rig would take at this moment, without taking it.
///
/// # Errors
/// As [`take_any`].
pub fn next(town: &Town, place: &RigPlace) -> Result<Address> {
    let names = pool::names(town, place)?;
    let state = place.ledger.state()?;
    for (name, is_there) in names.there.iter().map(|name| (name, true)).chain(names.free.iter().map(|name| (name, false))) {
        let address = Address::Polecat(place.rig.name.clone(), name.clone());
        let is_free = state.hook(&address)?.is_none() && control::asleep(place, &address)?.is_none();
        let wanted = if is_there { Ground::Worktree } else { Ground::Free };
        if is_free && ground(place, &sandbox(place, name))? == wanted {
            return Ok(address);
        }
    }
    Err(pool::full(place, names.most))
}

/// Refuses a polecat that a sling could not take.
///
/// # Errors
/// Refused, when it is busy or belongs to another machine, or its place is not free.
pub fn check_free(town: &Town, place: &RigPlace, address: &Address) -> Result<()> {
    if let Some(bead) = place.ledger.state()?.find_bead(&address.bead_id(place.rig.founded_with()))? {
        let agent = crate::model::agent::Agent::of(&bead)?;
        if agent.machine != town.machine {
            return Err(Error::refused(format!("{address} runs on another machine ({})", agent.machine))
                .hint("sling to the rig, which takes a polecat of this machine"));
        }
        control::check_awake(place, address)?;
    }
    if let Some(hook) = place.ledger.state()?.hook(address)? {
        return Err(Error::refused(format!("{address} already has {} on its hook", hook.bead))
            .hint("sling to the rig, which takes a free polecat"));
    }
    let Address::Polecat(_, name) = address else { return Err(no_polecat(address)) };
    let dir = sandbox(place, name);
    match ground(place, &dir)? {
        Ground::Foreign => Err(not_ours(&dir)),
        Ground::Worktree => Ok(()),
        Ground::Free => {
            let names = pool::names(town, place)?;
            if names.free.is_empty() { Err(pool::full(place, names.most)) } else { Ok(()) }
        }
    }
}

fn no_polecat(address: &Address) -> Error {
    Error::usage(format!("{address} is no polecat")).hint("name a rig or <rig>/polecats/<name>")
}

fn try_take(town: &Town, place: &RigPlace, address: &Address) -> Result<Option<Taken>> {
    let Address::Polecat(_, name) = address else {
        return Err(no_polecat(address));
    };
    let Some(lock) = KernelLock::try_take(&lock_path(place, address))? else { return Ok(None) };
    if place.ledger.state()?.hook(address)?.is_some() || control::asleep(place, address)?.is_some() {
        return Ok(None);
    }
    // A session without a hook has handed in and was told to end; give it no second life in a reused sandbox.
    process::stop(&town.runtime_dir(), address, 2_000)?;
    let dir = sandbox(place, name);
    let is_reused = match ground(place, &dir)? {
        Ground::Free => false,
        Ground::Worktree => true,
        Ground::Foreign => return Err(not_ours(&dir)),
    };
    Ok(Some(Taken { address: address.clone(), is_reused, dir, _lock: lock }))
}

fn not_ours(dir: &Path) -> Error {
    Error::refused(format!("{} holds something that is no sandbox", dir.display()))
        .hint("if the town was moved, gt maintain mends the links; else move it away")
}

/// A sandbox that is ready to be worked in.
pub struct Prepared {
    /// What an old one held.
    pub saved: Option<Salvaged>,
    /// What of its outfit it lacks.
    pub warnings: Vec<String>,
}

impl Taken {
    /// Makes the sandbox ready on a fresh `branch` from `base`, saving first what an old one holds, and fits it out. The
    /// branch of an earlier assignment stays unless `tip`, the target's, contains it.
    ///
    /// # Errors
    /// Io or external, when the worktree cannot be made; what was saved is then still there.
    pub fn prepare(&self, town: &Town, place: &RigPlace, branch: &str, base: ObjectId, tip: ObjectId) -> Result<Prepared> {
        let saved = self.check_out(town, place, branch, base, tip)?;
        let fitted = worktree::private_dir(&place.ledger.store, &self.dir).and_then(|private| {
            let store = &place.ledger.store;
            let (agent, dir) = (&self.address, self.dir.as_path());
            outfit::fit(town, place, &Checkout { agent, store, dir, private: &private, commit: base })
        });
        match fitted {
            Ok(warnings) => Ok(Prepared { saved, warnings }),
            Err(error) => {
                self.undo(place, branch, base);
                Err(naming(error, saved.as_ref()))
            }
        }
    }

    fn check_out(&self, town: &Town, place: &RigPlace, branch: &str, base: ObjectId, tip: ObjectId) -> Result<Option<Salvaged>> {
        let store = &place.ledger.store;
        let head = Head::Branch { name: branch, at: base };
        let cone = place.cone()?;
        if !self.is_reused {
            worktree::clear_begun(store, &self.dir)?;
            worktree::add_within(store, &self.dir, head, &cone)?;
            return Ok(None);
        }
        let saved = save(town, place, &self.address, &self.dir, Next::Reset)?;
        crate::env::crash_point("sling.salvaged");
        worktree::relink(store, &self.dir).map_err(|error| naming(error, saved.as_ref()))?;
        let before = worktree::head(&self.dir).ok();
        worktree::switch_within(store, &self.dir, head, &cone).map_err(|error| naming(error, saved.as_ref()))?;
        if let Some((Some(old_branch), old_head)) = before.filter(|(old, _)| old.as_deref() != Some(branch)) {
            // Best effort: a branch too many loses nothing.
            let _ = drop_spent_branch(place, &old_branch, old_head, tip);
        }
        Ok(saved)
    }

    /// Takes back what [`Taken::prepare`] made for an assignment that was not recorded.
    pub fn undo(&self, place: &RigPlace, branch: &str, base: ObjectId) {
        let store = &place.ledger.store;
        // Best effort: a sandbox that stays is an idle one, and the next sling uses it.
        if self.is_reused {
            let cone = place.cone().unwrap_or_default();
            let _ = worktree::switch_within(store, &self.dir, Head::Detached(base), &cone);
        } else {
            let _ = worktree::remove(store, &self.dir);
        }
        let _ = store.remove_ref(&format!("refs/heads/{branch}"), base);
    }
}

/// Removes the branch of an earlier assignment when its commits are kept elsewhere: in the target or by a request's pin.
fn drop_spent_branch(place: &RigPlace, branch: &str, head: ObjectId, tip: ObjectId) -> Result<()> {
    let store = &place.ledger.store;
    let is_pinned = || Ok::<_, Error>(store.refs_below(tree::MR)?.into_iter().any(|(_, pinned)| pinned == head));
    if branch.starts_with("polecat/") && (store.is_ancestor(head, tip)? || is_pinned()?) {
        store.remove_ref(&format!("refs/heads/{branch}"), head)?;
    }
    Ok(())
}

/// Saves what the sandbox of `address` holds that no kept ref does, before `next` is done with it.
///
/// # Errors
/// Io, when it cannot be made durable; then nothing may be removed.
pub fn save(town: &Town, place: &RigPlace, address: &Address, dir: &Path, next: Next) -> Result<Option<Salvaged>> {
    let known = kept(place)?;
    let author = (address.to_string(), town.actor.email.clone());
    let names = |n| tree::salvage(address, town.now, n);
    let aside = aside(place);
    let order = Order { known: &known, author: (&author.0, &author.1), now: town.now, next, aside: &aside };
    salvage::salvage(&place.ledger.store, dir, &names, &order)
}

/// Where what is too large for a salvage is moved.
pub(super) fn aside(place: &RigPlace) -> PathBuf {
    place.ledger.store.private_dir().join("set-aside")
}

/// The commits that stay when a sandbox goes: its branch does.
pub(super) fn kept(place: &RigPlace) -> Result<Vec<ObjectId>> {
    let mut known: Vec<ObjectId> = Vec::new();
    for prefix in ["refs/heads/", "refs/gt/mr/", "refs/remotes/"] {
        known.extend(place.ledger.store.refs_below(prefix)?.into_iter().map(|(_, id)| id));
    }
    Ok(known)
}

/// An error that came after something was saved: it must be named all the same.
#[must_use]
pub fn naming(mut error: Error, saved: Option<&Salvaged>) -> Error {
    if let Some(saved) = saved {
        error.message = format!("{}; unsaved work is kept at {}", error.message, saved.ref_name);
    }
    error
}
