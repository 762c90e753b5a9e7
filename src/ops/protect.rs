//! `target.protect`: people's pushes into a rig's own repository do not move what its queue works.
//!
//! This is for targets that are branches of the rig itself, on the machine that works the queue. A remote target is
//! protected by its own server; what a pusher says of itself could be said by anybody.

use std::collections::BTreeSet;

use crate::config;
use crate::error::{Error, Result};
use crate::git::guard;
use crate::ops::refinery;
use crate::ops::trust::ScopeChoice;
use crate::town::{RigPlace, Town};

/// The key.
pub const KEY: &str = "target.protect";

/// Refuses to protect what lies elsewhere.
///
/// # Errors
/// Refused, when `key` is ours, it is to be turned on for a rig, and that rig's targets are a remote's.
pub(super) fn check(place: Option<&RigPlace>, scope: ScopeChoice, key: &str, value: &serde_json::Value) -> Result<()> {
    let Some(place) = place.filter(|place| key == KEY && scope == ScopeChoice::Rig && place.rig.land_remote) else {
        return Ok(());
    };
    if *value != serde_json::Value::Bool(true) {
        return Ok(());
    }
    let rig = &place.rig.name;
    Err(Error::refused(format!("the targets of {rig} are branches of its remote, where gt cannot protect them")).hint(format!(
        "protect them by the rules of that server, and land by pull request: gt config set mq.strategy pr --rig {rig}"
    )))
}

/// Makes the repository of `place` as the configuration says: with the hook and the branches that its queue works now, or
/// without.
///
/// # Errors
/// As [`guard::protect`].
pub(crate) fn refresh(town: &Town, place: &RigPlace) -> Result<()> {
    let dir = place.ledger.store.dir();
    let is_ours = !place.rig.land_remote && place.rig.home == town.machine;
    if !is_ours || !config::is_on(town, Some(place), KEY)? {
        return guard::unprotect(dir);
    }
    let mut branches: BTreeSet<String> = refinery::targets(place)?;
    branches.insert(place.rig.target.clone());
    guard::protect(dir, &branches)
}
