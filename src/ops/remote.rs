//! Sync remotes: the places that a ledger is exchanged with from this machine, and only these.
//!
//! Machine-local, in the git configuration of the scope's `.repo.git` as `gt.sync.<name>`.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, OrFail, Result};
use crate::git::program;
use crate::git::remote::Place;
use crate::store::Store;

/// The name of the remote that a scope was joined or added with.
pub const ORIGIN: &str = "origin";

/// A place that a ledger is exchanged with.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Remote {
    /// Its name on this machine.
    pub name: String,
    /// Its git URL or path.
    pub url: String,
}

/// The remotes of a scope on this machine, by name.
#[must_use]
pub fn list(store: &Store) -> Vec<Remote> {
    let config = store.repo.config_snapshot();
    let Some(sections) = config.plumbing().sections_by_name("gt") else { return Vec::new() };
    let mut remotes = Vec::new();
    for section in sections.filter(|section| section.header().subsection_name().is_some_and(|name| name == "sync")) {
        for key in section.value_names() {
            if let Some(url) = section.value(key.as_str()) {
                remotes.push(Remote { name: key.to_lowercase(), url: url.to_string() });
            }
        }
    }
    remotes.sort_by(|a, b| a.name.cmp(&b.name));
    remotes
}

/// Names `url` as a place that the scope in `git_dir` is exchanged with.
///
/// # Errors
/// Usage, when the name cannot be one or the URL none; external, when git cannot write it.
pub fn add(git_dir: &Path, name: &str, url: &str) -> Result<()> {
    check_name(name)?;
    Place::parse(url)?;
    // A local path must mean the same from every directory.
    let path = Path::new(url);
    let absolute = if path.is_dir() { path.canonicalize().ok().and_then(|path| path.to_str().map(str::to_owned)) } else { None };
    let url = absolute.as_deref().unwrap_or(url);
    let output = program::bare(git_dir, &["config", "--", &format!("gt.sync.{name}"), url])?;
    output.is_success().then_some(()).or_fail(output.failure(), || format!("name the remote {name}: {}", output.last_line()))
}

/// Forgets a remote; nothing is deleted there.
///
/// # Errors
/// Not found, when there is none of that name.
pub fn remove(git_dir: &Path, name: &str) -> Result<()> {
    check_name(name)?;
    let output = program::bare(git_dir, &["config", "--unset-all", &format!("gt.sync.{name}")])?;
    output
        .is_success()
        .then_some(())
        .ok_or_else(|| Error::not_found(format!("there is no sync remote {name}")).hint("gt remote list shows them"))
}

/// Names become parts of refs and configuration keys.
fn check_name(name: &str) -> Result<()> {
    let good = (1..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if good {
        Ok(())
    } else {
        Err(Error::usage(format!("'{}' cannot name a remote", name.escape_debug())).hint("a-z, 0-9 and -, a letter first"))
    }
}
