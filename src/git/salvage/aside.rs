//! What is too large to be saved as an object, or cannot be read: moved aside, never dropped.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix::bstr::{BString, ByteSlice};

use super::disk;
use super::named;
use crate::error::{Kind, OrFail, Result};
use crate::store::{Store, make_dir, sync_dir};

/// What is to become of a worktree after a salvage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It stays as it is; nothing is moved.
    Nothing,
    /// It is brought to another commit: what is not ignored there goes, also when it was ignored before.
    Reset,
    /// It is removed with all that it holds.
    Removal,
}

/// A file that was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bulk {
    /// Where it stands.
    pub(super) place: PathBuf,
    /// Its path in the worktree.
    pub(super) path: BString,
    /// Why it was not read.
    pub(super) why: String,
}

impl Bulk {
    fn named(&self) -> BString {
        format!("{} ({})", self.path.to_str_lossy(), self.why).into()
    }
}

/// The files that have to be moved, and where to.
pub(super) struct Aside<'a> {
    dir: PathBuf,
    moved: Vec<&'a Bulk>,
    left: Vec<&'a Bulk>,
}

impl<'a> Aside<'a> {
    /// What of `all` has to be moved before `next`, to a new directory below `root`.
    pub(super) fn of(root: &Path, all: &'a [Bulk], next: Next) -> Self {
        let name = crate::name::base36(fastrand::u64(..));
        let (moved, left) = all.iter().partition(|_| next != Next::Nothing);
        Self { dir: root.join(name), moved, left }
    }

    /// Lines for what was saved, and where the rest is.
    pub(super) fn what(&self) -> Vec<String> {
        let names = |all: &[&Bulk]| all.iter().map(|bulk| bulk.named()).collect::<Vec<_>>();
        let mut lines: Vec<String> = named("set aside", &names(&self.moved)).into_iter().collect();
        lines.extend((!self.moved.is_empty()).then(|| format!("set aside in {}", self.dir.display())));
        lines.extend(named("left out", &names(&self.left)));
        lines
    }

    /// Moves the files. What a kill interrupts is where it was, or where the salvage says.
    pub(super) fn make(&self, store: &Store) -> Result<()> {
        for bulk in &self.moved {
            let to = self.dir.join(Path::new(std::ffi::OsStr::from_bytes(&bulk.path)));
            let parent = to.parent().unwrap_or(&self.dir);
            make_dir(parent, store.is_durable())?;
            let moved = std::fs::rename(&bulk.place, &to);
            if moved.as_ref().is_err_and(disk::is_absent) {
                continue;
            }
            moved
                .or_fail(Kind::Refused, || format!("move {} aside to {}", bulk.place.display(), to.display()))
                .map_err(|error| error.hint("move it away yourself, then try again"))?;
            if store.is_durable() {
                sync_dir(parent)?;
            }
        }
        Ok(())
    }
}
