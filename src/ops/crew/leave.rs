//! How a crew member's clone goes: not before what it alone holds is pushed, or saved in the rig's repository.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Pending, check_there, hold, pending};
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::salvage::{self, Next, Order, Salvaged};
use crate::git::{program, worktree};
use crate::ledger::tree;
use crate::model::address::Address;
use crate::name::Name;
use crate::ops::polecat;
use crate::runtime::{process, slot};
use crate::store::Store;
use crate::town::{RigPlace, Town};

/// A clone that is gone.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Removed {
    /// Whose.
    pub address: Address,
    /// The ref of the rig's repository that keeps what nothing else did.
    pub salvage: Option<String>,
}

/// Removes the workspace of crew member `name`; its identity and its mail stay.
///
/// # Errors
/// Refused, naming what is not committed or not pushed, unless `force`; conflict, when its session runs.
pub fn remove(town: &Town, place: &RigPlace, name: &Name, force: bool) -> Result<Removed> {
    let dir = check_there(place, name)?;
    let address = Address::Crew(place.rig.name.clone(), name.clone());
    let _held = hold(place, &address)?;
    if process::find(&town.runtime_dir(), &address)?.is_some() {
        return Err(
            Error::conflict(format!("the session of {address} runs")).hint(format!("end it first: gt crew stop {address}"))
        );
    }
    let held: Pending = pending(&dir)?;
    if !held.is_none() && !force {
        return Err(Error::refused(format!("{address} has work that is nowhere else: {}", held.text()))
            .hint("push it, or add --force: then it is kept in the rig's repository, and gt salvage list names it"));
    }
    let saved = save(town, place, &address, &dir)?;
    crate::env::crash_point("crew.salvaged");
    worktree::clear(&dir).map_err(|error| polecat::naming(error, saved.as_ref()))?;
    slot::free(&town.runtime_dir(), &address)?;
    Ok(Removed { address, salvage: saved.map(|saved| saved.ref_name) })
}

/// Saves what the clone holds and no remote has, in the rig's repository, on disk.
pub(in crate::ops) fn save(town: &Town, place: &RigPlace, address: &Address, dir: &Path) -> Result<Option<Salvaged>> {
    let own = Store::open(&dir.join(".git"))?;
    let rig = &place.ledger.store;
    // Names that are free in both.
    let mut taken = 0;
    while rig.read_ref(&tree::salvage(address, town.now, taken))?.is_some() {
        taken += 1;
    }
    let names = |n| tree::salvage(address, town.now, taken + n);
    let (author, aside) = (address.to_string(), polecat::aside(place));
    let author = (author.as_str(), town.actor.email.as_str());
    let order = Order { known: &[], author, now: town.now, next: Next::Removal, aside: &aside };
    let Some(saved) = salvage::salvage(&own, dir, &names, &order)? else { return Ok(None) };
    let from = dir.to_str().or_fail(Kind::Refused, || format!("name {}: no UTF-8", dir.display()))?;
    let refspec = format!("{0}:{0}", saved.ref_name);
    let quiet = ["-c", "core.fsync=all", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", from, &refspec];
    let fetched = program::bare(rig.dir(), &quiet)?;
    if !fetched.is_success() || rig.read_ref(&saved.ref_name)? != Some(saved.commit) {
        return Err(Error::new(
            fetched.failure(),
            format!("keep {} in the rig's repository: {}", saved.ref_name, fetched.last_line()),
        )
        .hint("nothing was removed; try again"));
    }
    Ok(Some(saved))
}
