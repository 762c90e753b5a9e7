//! `git.hooks`: scripts in a rig's repository that name agent and bead in agents' commits and keep
//! polecats off its target branches.
//!
//! They hold against accidents only: who sets hooks aside passes them. They are renewed by each sling, each run of the
//! queue and each maintenance, so that rigs of older versions get them too.

use std::collections::BTreeSet;

use crate::config;
use crate::error::Result;
use crate::git::shims;
use crate::ops::refinery;
use crate::town::{RigPlace, Town};

/// The key.
pub const KEY: &str = "git.hooks";

/// Makes the repository of `place` as the configuration says: with the hooks and the branches that work goes to now, or
/// without.
///
/// # Errors
/// As [`shims::lay_all`].
pub(crate) fn refresh(town: &Town, place: &RigPlace) -> Result<()> {
    let dir = place.ledger.store.dir();
    if !config::is_on(town, Some(place), KEY)? {
        return shims::lift_all(dir);
    }
    let mut branches = refinery::targets(place)?;
    branches.extend(place.ledger.state()?.hooks()?.into_iter().map(|hook| hook.target).filter(|target| !target.is_empty()));
    branches.insert(place.rig.target.clone());
    shims::lay_all(dir, &branches)
}

/// The same before an agent begins on what goes to `target`, without asking who else works: nobody is let off by it.
///
/// A repository in which they cannot stand keeps nobody from working.
pub(super) fn before_work(town: &Town, place: &RigPlace, target: &str) {
    let dir = place.ledger.store.dir();
    let lay = || -> Result<()> {
        if !config::is_on(town, Some(place), KEY)? {
            return shims::lift_all(dir);
        }
        let mut branches: BTreeSet<String> = shims::targets(dir)?;
        branches.extend([place.rig.target.clone(), target.to_owned()]);
        shims::lay_all(dir, &branches)
    };
    if let Err(error) = lay() {
        tracing::warn!("the git hooks of rig {} do not stand: {}", place.rig.name, error.line());
    }
}
