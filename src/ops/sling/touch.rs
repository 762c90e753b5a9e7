//! Which files a bead is known to touch, and who else touches them: said when it is slung, so that two agents do not
//! learn it from a conflict. It is a warning; what nobody wrote down yet is not known.

use std::collections::BTreeSet;

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::git::merge::merge_base;
use crate::git::{diff, status};
use crate::model::address::Address;
use crate::model::bead::Bead;
use crate::model::hook::Hook;
use crate::model::overlap::named_paths;
use crate::name::BeadId;
use crate::ops::{polecat, refinery};
use crate::town::{RigPlace, Town};

/// Most hooks that are looked at.
const HOOKS_MAX: usize = 64;
/// Most files that are named of one other.
const FILES_MAX: usize = 10;

/// Work under way that touches the same files.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Touch {
    /// Who is at it.
    pub agent: Address,
    /// On what.
    pub bead: BeadId,
    /// The files, by path; the first ten.
    pub files: Vec<String>,
}

/// What on other hooks of the rig touches files that `bead` is known to touch. What cannot be read of another is left
/// out: a warning holds nothing up.
pub(super) fn touches(town: &Town, place: &RigPlace, bead: &Bead, tip: ObjectId) -> Vec<Touch> {
    let own = attempted(place, bead, tip).unwrap_or_default();
    if own.is_empty() {
        return Vec::new();
    }
    let hooks = place.ledger.state().and_then(|state| state.hooks()).unwrap_or_default();
    let others = hooks.into_iter().filter(|hook| hook.bead != bead.id).take(HOOKS_MAX);
    let touch = |hook: Hook| {
        let theirs = files_of(town, place, &hook, tip).unwrap_or_default();
        let files: Vec<String> = own.intersection(&theirs).take(FILES_MAX).cloned().collect();
        (!files.is_empty()).then_some(Touch { agent: hook.agent, bead: hook.bead, files })
    };
    others.filter_map(touch).collect()
}

/// The files that a bead names, and those that its earlier attempts changed.
fn attempted(place: &RigPlace, bead: &Bead, tip: ObjectId) -> Result<BTreeSet<String>> {
    let mut files = known_files(place, bead, tip)?;
    if bead.assigned_rev.is_none() {
        return Ok(files);
    }
    let sought = format!("/{}@", bead.id);
    for (name, head) in place.ledger.store.refs_below("refs/heads/polecat/")? {
        if name.contains(&sought) {
            files.extend(changed(place, tip, head)?);
        }
    }
    for request in refinery::requests_of(&place.ledger.state()?, &bead.id)? {
        // Its commits may be on another machine yet.
        files.extend(changed(place, tip, request.head()?).unwrap_or_default());
    }
    Ok(files)
}

/// The files that a bead names and the target has.
fn known_files(place: &RigPlace, bead: &Bead, tip: ObjectId) -> Result<BTreeSet<String>> {
    let store = &place.ledger.store;
    let tree = store.tree_of(tip)?;
    let mut files = BTreeSet::new();
    for text in [&bead.title, &bead.description, &bead.design, &bead.acceptance_criteria, &bead.notes] {
        for path in named_paths(text) {
            if diff::has_file(store, tree, path)? {
                files.insert(path.to_owned());
            }
        }
    }
    Ok(files)
}

/// The files that the work on a hook touches: its branch, what is uncommitted in its sandbox here, what its bead names.
fn files_of(town: &Town, place: &RigPlace, hook: &Hook, tip: ObjectId) -> Result<BTreeSet<String>> {
    let store = &place.ledger.store;
    let bead = place.ledger.state()?.bead(&hook.bead)?;
    let mut files = known_files(place, &bead, tip)?;
    if let Some(head) = store.read_ref(&format!("refs/heads/{}", hook.branch))? {
        files.extend(changed(place, tip, head)?);
    }
    if let (Address::Polecat(_, name), true) = (&hook.agent, hook.machine == town.machine) {
        let dir = polecat::sandbox(place, name);
        if dir.is_dir() {
            let seen = status::status(&dir)?;
            files.extend(seen.staged.into_iter().chain(seen.unstaged).chain(seen.untracked));
        }
    }
    Ok(files)
}

/// What `head` changes since it left the target at `tip`.
fn changed(place: &RigPlace, tip: ObjectId, head: ObjectId) -> Result<BTreeSet<String>> {
    let store = &place.ledger.store;
    let Some(fork) = merge_base(store, tip, head)? else { return Ok(BTreeSet::new()) };
    diff::changed_paths(store, store.tree_of(fork)?, store.tree_of(head)?)
}
