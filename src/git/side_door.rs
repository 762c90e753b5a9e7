//! A second entrance to a repository for maintenance, under a configuration that lets git remove objects.
//!
//! `extensions.preciousObjects` keeps every git that comes by the front from removing any: an agent's `git gc
//! --prune=now` would take what another one is about to refer to. No option overrides it. So packing and pruning
//! go through a directory whose links lead to the same objects, refs, logs and worktrees (all of them roots to git),
//! beside a configuration of its own that includes the repository's; an included file sets no extension.

use std::path::PathBuf;

use crate::error::{Kind, OrFail, Result};
use crate::git::init::quoted;
use crate::git::program::{self, Output};
use crate::store::Store;

/// What is linked, also where it is not there yet: a ref that is packed meanwhile must not be missing.
const LINKED: [&str; 7] = ["objects", "refs", "packed-refs", "logs", "worktrees", "info", "shallow"];

/// The way in; it is gone with its value.
pub(crate) struct SideDoor(PathBuf);

impl SideDoor {
    /// Makes the way in to `store`.
    ///
    /// # Errors
    /// Io, when it cannot be made.
    pub(crate) fn open(store: &Store) -> Result<Self> {
        let deed = || format!("prepare the packing of {}", store.dir().display());
        let repo = store.dir().canonicalize().or_fail(Kind::Io, deed)?;
        let dir = repo.join("gt").join(format!("packing.tmp-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).or_fail(Kind::Io, deed)?;
        let door = Self(dir);
        for name in LINKED {
            std::os::unix::fs::symlink(repo.join(name), door.0.join(name)).or_fail(Kind::Io, deed)?;
        }
        // A link would not be taken for one.
        std::fs::copy(repo.join("HEAD"), door.0.join("HEAD")).or_fail(Kind::Io, deed)?;
        let config = repo.join("config");
        let config = config.to_str().or_fail(Kind::Refused, || format!("{}: its name is not UTF-8", deed()))?;
        let text = format!("[core]\n\trepositoryformatversion = 1\n\tbare = true\n[include]\n\tpath = {}\n", quoted(config));
        std::fs::write(door.0.join("config"), text).or_fail(Kind::Io, deed)?;
        Ok(door)
    }

    /// Runs git there. Any exit code is an answer.
    ///
    /// # Errors
    /// External, when git cannot be started.
    pub(crate) fn run(&self, args: &[&str]) -> Result<Output> {
        program::bare(&self.0, args)
    }
}

impl Drop for SideDoor {
    fn drop(&mut self) {
        // Links are removed and not followed; what stays is a left-over by its name.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
