//! Hooks in a person's own file, for a program that looks nowhere else: put in and taken out only when the person asks.
//!
//! Whatever else stands there stays. A file that is no JSON, or a symbolic link, is left alone.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::check_way;
use crate::env::{self, Var};
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::runtime_hooks::{self, Given, Wired, merge};
use crate::ops::trust;
use crate::store::{self, lock::KernelLock};
use crate::town::Town;

/// What became of a person's file.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Installed {
    /// The hooks stand in it now.
    Installed {
        /// The agent.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// They stood in it already.
    Already {
        /// The agent.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// They are out of it.
    Removed {
        /// The agent.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// There were none in it.
    Absent {
        /// The agent.
        name: String,
        /// The file.
        path: PathBuf,
    },
}

/// Puts the hooks of the agent `name` into the file of whoever runs this.
///
/// # Errors
/// Refused, when it needs none, the identity may not, or the file cannot be changed safely; not found, when its hooks are
/// not known; io.
pub fn install(town: &Town, name: &str) -> Result<Installed> {
    let (wired, path) = place_of(town, name)?;
    let _turn = KernelLock::take(&town.runtime_dir().join("hooks.flock"))?;
    let old = keys_in(&path)?;
    let mut new = old.clone().unwrap_or_default();
    let ours = wired.settings("gt")?;
    merge::put_in(&mut new, ours.as_object().or_fail(Kind::Bug, || "read a template")?);
    let name = name.to_owned();
    if old.as_ref() == Some(&new) {
        return Ok(Installed::Already { name, path });
    }
    write(&path, &new)?;
    Ok(Installed::Installed { name, path })
}

/// Takes them out again.
///
/// # Errors
/// As [`install`].
pub fn remove(town: &Town, name: &str) -> Result<Installed> {
    let (_, path) = place_of(town, name)?;
    let _turn = KernelLock::take(&town.runtime_dir().join("hooks.flock"))?;
    let name = name.to_owned();
    let Some(mut keys) = keys_in(&path)? else { return Ok(Installed::Absent { name, path }) };
    if !merge::take_out(&mut keys) {
        return Ok(Installed::Absent { name, path });
    }
    write(&path, &keys)?;
    Ok(Installed::Removed { name, path })
}

/// Whether ours stand in the user's file, as they are now.
pub(super) fn is_installed(wired: &Wired) -> bool {
    let (Given::UserFile(file), Some(home)) = (wired.given, env::path(Var::Home)) else { return false };
    // What cannot be read has none of ours in it; whoever installs them is told why not.
    let mut keys = keys_in(&home.join(file)).ok().flatten().unwrap_or_default();
    merge::take_out(&mut keys)
}

fn place_of(town: &Town, name: &str) -> Result<(&'static Wired, PathBuf)> {
    trust::check_rights(town)?;
    let wired = runtime_hooks::find(name).ok_or_else(|| {
        Error::not_found(format!("nothing is known of the hooks of an agent '{}'", name.escape_debug()))
            .hint("gt hooks list shows which are known")
    })?;
    let Given::UserFile(file) = wired.given else {
        return Err(Error::refused(format!(
            "agent {name} is given its hooks when it is started: nothing is to be installed or removed"
        ))
        .hint("to start it without them: gt config set agent.hooks false"));
    };
    let home = env::path(Var::Home).filter(|home| home.is_absolute());
    let home = home.ok_or_else(|| Error::refused("there is no home directory to find the file in").hint("set HOME"))?;
    let path = home.join(file);
    check_way(&home, &path)
        .map_err(|error| error.hint("change the file that it leads to by hand: gt hooks list says what is known"))?;
    Ok((wired, path))
}

/// The keys of the file; `None` when there is none.
fn keys_in(path: &Path) -> Result<Option<Map<String, Value>>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).or_fail(Kind::Io, || format!("read {}", path.display())),
    };
    let is_fit = |keys: &Map<String, Value>| {
        let events = keys.get("hooks").map(Value::as_object);
        events.is_none_or(|events| events.is_some_and(|events| events.values().all(Value::is_array)))
    };
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(Value::Object(keys)) if is_fit(&keys) => Ok(Some(keys)),
        _ => Err(Error::refused(format!("{} cannot be read as a file of hooks, and is left as it is", path.display()))
            .hint("mend it by hand, then try again")),
    }
}

fn write(path: &Path, keys: &Map<String, Value>) -> Result<()> {
    let text = serde_json::to_string_pretty(keys).or_fail(Kind::Bug, || "write a file of hooks")?;
    store::write_file(path, format!("{text}\n").as_bytes())
}
