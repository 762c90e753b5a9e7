//! Hubs: the bare repositories in the middle, with rules that no push gets around.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Kind, OrFail, Result};
use crate::git::hub::{self, Found};

/// A repository that is a hub now.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Made {
    /// The repository was made.
    Made {
        /// Where it is.
        path: PathBuf,
    },
    /// A repository that was there got the rules.
    Taken {
        /// Where it is.
        path: PathBuf,
    },
    /// It was a hub; its rules are the newest.
    Renewed {
        /// Where it is.
        path: PathBuf,
    },
}

/// Makes the bare repository `path` a hub, or makes one there.
///
/// # Errors
/// As [`hub::make`].
pub fn init(path: &Path) -> Result<Made> {
    let found = hub::make(path)?;
    let path = path.canonicalize().or_fail(Kind::Io, || format!("find {}", path.display()))?;
    Ok(match found {
        Found::Nothing => Made::Made { path },
        Found::Repository => Made::Taken { path },
        Found::Hub => Made::Renewed { path },
    })
}
