//! Which git directories this process wrote objects to, so that what grew can be looked at after a command has answered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// By git directory: whether a pack was among it.
static WRITTEN: Mutex<BTreeMap<PathBuf, bool>> = Mutex::new(BTreeMap::new());

/// Remembers that objects were written to the git directory `dir`.
pub(super) fn note(dir: &Path, is_pack: bool) {
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    match written.get_mut(dir) {
        Some(was_pack) => *was_pack |= is_pack,
        None => drop(written.insert(dir.to_owned(), is_pack)),
    }
}

/// The git directories that this process wrote objects to, each with whether a pack was among them.
#[must_use]
pub fn dirs() -> Vec<(PathBuf, bool)> {
    let written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    written.iter().map(|(dir, is_pack)| (dir.clone(), *is_pack)).collect()
}
