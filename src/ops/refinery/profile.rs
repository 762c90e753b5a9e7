//! What is known of a change before the queue has gated it: how large it is, where it is, whether its author had it
//! gated. Learnt once, when it is handed in, since files and runs may be gone when it is counted.

use std::collections::BTreeSet;

use gix::ObjectId;

use crate::error::{Kind, OrFail, Result};
use crate::git::{diff, promised};
use crate::model::gate::Verdict;
use crate::model::merge_request::{MergeRequest, Profile};
use crate::model::plan::risk::{DIRS_MAX, Traits};
use crate::model::record::Object;
use crate::store::Store;
use crate::town::RigPlace;

/// How many names of a path make the directory that is counted.
const DIR_NAMES: usize = 2;
/// Lines are counted in at most so many files: what changes more is large, however many they are.
const FILES_MAX: usize = 500;

/// The profile of what `head` changes against `base`.
///
/// # Errors
/// Corrupt, when a tree or the ledger cannot be read.
pub fn profile(place: &RigPlace, base: ObjectId, head: ObjectId) -> Result<Profile> {
    let store = &place.ledger.store;
    let (from, to) = (store.tree_of(base)?, store.tree_of(head)?);
    let paths = diff::changed_paths(store, from, to)?;
    let dirs: BTreeSet<String> = paths.iter().map(|path| dir_of(path)).collect();
    let to_name = to.to_string();
    let runs = place.ledger.state()?.gate_runs()?;
    let by_hand = || runs.iter().filter(|run| run.by.is_some() && run.required && run.tree == to_name);
    Ok(Profile {
        lines: if paths.len() > FILES_MAX { None } else { lines(store, from, to)? },
        dirs: dirs.into_iter().take(DIRS_MAX).collect(),
        preverified: by_hand().next().is_some() && by_hand().all(|run| run.verdict == Verdict::Green),
        extra: Object::new(),
    })
}

/// The directory of `path`, as deep as it is counted.
fn dir_of(path: &str) -> String {
    let names: Vec<&str> = path.split('/').collect();
    match &names[..names.len() - 1] {
        [] => ".".to_owned(),
        dirs => dirs[..dirs.len().min(DIR_NAMES)].join("/"),
    }
}

/// How many lines differ; nothing, when a partial clone has not all of the files and cannot get them.
fn lines(store: &Store, from: ObjectId, to: ObjectId) -> Result<Option<u64>> {
    if promised::bring_changed(store, from, to).is_err() {
        return Ok(None);
    }
    let deed = || format!("count the lines between {from} and {to}");
    let tree = |id| store.repo.find_tree(id).or_fail(Kind::Corrupt, deed);
    let (from, to) = (tree(from)?, tree(to)?);
    let stats = from.changes().or_fail(Kind::Corrupt, deed)?.stats(&to).or_fail(Kind::Corrupt, deed)?;
    Ok(Some(stats.lines_added + stats.lines_removed))
}

/// What the risk of `mr` is learnt from.
pub(super) fn traits(mr: &MergeRequest) -> Traits {
    let profile = mr.profile.as_ref();
    Traits {
        author: mr.author.clone(),
        lines: profile.and_then(|profile| profile.lines),
        dirs: profile.map(|profile| profile.dirs.clone()).unwrap_or_default(),
        attempts: mr.attempts,
        is_preverified: profile.map(|profile| profile.preverified),
    }
}

#[cfg(test)]
mod tests {
    use super::dir_of;

    #[test]
    fn a_directory_is_counted_two_names_deep() {
        let dirs = ["README.md", "src/lib.rs", "src/model/plan.rs", "src/model/plan/risk.rs"].map(dir_of);
        assert_eq!(dirs, [".", "src", "src/model", "src/model"]);
    }
}
