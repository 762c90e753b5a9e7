//! Where the lines of an import come from: a file, a directory of the `bd` tool, or the project of a rig.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::diff;
use crate::ops::track::lines::read_all;
use crate::store::Store;
use crate::town::{RigPlace, Town};

/// Where the `bd` tool keeps its lines in a project, the newer place first.
pub const PLACES: [&str; 2] = [".beads/issues.jsonl", ".beads/beads.jsonl"];

/// Lines, and where they are from.
#[derive(Clone, Debug)]
pub struct Lines {
    /// The file, for people.
    pub from: String,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// The lines of `file`, which may be a directory that has them in one of the [`PLACES`].
///
/// # Errors
/// Not found, when there is none; usage, when it is a directory without; io, when it cannot be read.
pub fn of_file(town: &Town, file: &Path) -> Result<Lines> {
    let path = town.dir.join(file);
    let path = if path.is_dir() { in_dir(&path)? } else { path };
    let open = std::fs::File::open(&path).or_fail(Kind::NotFound, || format!("open {}", path.display()))?;
    Ok(Lines { from: path.display().to_string(), bytes: read_all(open)? })
}

fn in_dir(dir: &Path) -> Result<PathBuf> {
    let found = PLACES.iter().map(|place| dir.join(place)).chain([dir.join("issues.jsonl")]).find(|path| path.is_file());
    found.ok_or_else(|| {
        Error::usage(format!("{} is a directory without {}", dir.display(), PLACES[0]))
            .hint("write the file first: bd export -o issues.jsonl, or br sync --flush-only")
    })
}

/// The lines that the project of a rig has in its target branch.
///
/// # Errors
/// Not found, when it has none there.
pub fn of_project(place: &RigPlace) -> Result<Lines> {
    let branch = format!("refs/heads/{}", place.rig.target);
    let found = in_branch(&place.ledger.store, &branch)?;
    found
        .or_fail(Kind::NotFound, || format!("find {} in branch {} of rig {}", PLACES[0], place.rig.target, place.rig.name))
        .map_err(|error| error.hint("write the file with bd export -o issues.jsonl, then name it: gt bead import issues.jsonl"))
}

/// The lines that the branch with this full name has; `None` when it has none.
///
/// # Errors
/// Corrupt, when the branch cannot be read.
pub fn in_branch(store: &Store, branch: &str) -> Result<Option<Lines>> {
    let Some(tip) = store.read_ref(branch)? else { return Ok(None) };
    let tree = store.tree_of(tip)?;
    for path in PLACES {
        if let Some(bytes) = diff::file_at(store, tree, path)? {
            return Ok(Some(Lines { from: path.to_owned(), bytes }));
        }
    }
    Ok(None)
}
