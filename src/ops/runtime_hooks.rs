//! Runtime hooks on disk: what the program of an agent is given when it is started, and the files of it.
//!
//! They lie below `.runtime/hooks/`, by whose they are, never in a project's tree, and are written whole or not at all and
//! through no symbolic link. Each start of a session writes what it needs; [`sync`] writes all of them.

mod theirs;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::config::{self, Chosen};
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::preset::{self, Preset};
use crate::model::runtime_hooks::{self, Given, Moment, Wired, merge};
use crate::store::{self, lock::KernelLock};
use crate::town::{RigPlace, Town};

pub use theirs::{Installed, install, remove};

/// The key that turns them off.
pub const KEY: &str = "agent.hooks";

/// What one program is given.
#[derive(Clone, Debug, Default)]
pub(super) struct Gift {
    words: Vec<String>,
    variable: Option<(String, String)>,
    files: Vec<(PathBuf, String)>,
}

/// What the agent `name` is given as a `role` of the town or of `place`: nothing when its hooks are not known, or off.
///
/// # Errors
/// Refused, when configuration changes them and is not trusted here; corrupt, when it cannot be read.
pub(super) fn gift(town: &Town, place: Option<&RigPlace>, role: &str, name: &str) -> Result<Gift> {
    let Some(wired) = runtime_hooks::find(name) else { return Ok(Gift::default()) };
    if matches!(wired.given, Given::UserFile(_)) || !config::is_on(town, place, KEY)? {
        return Ok(Gift::default());
    }
    let dir = dir_of(town, place, role).join(name);
    let gt = town.runtime_dir().join("bin/gt").display().to_string();
    let mut settings = None;
    if wired.is_merged() {
        let mut value = wired.settings(&gt)?;
        for over in changes(town, place, role, name)? {
            merge::lay_over(&mut value, &over);
        }
        settings = Some(value);
    }
    if let (Given::Settings(flag), Some(value)) = (wired.given, &settings) {
        return Ok(Gift { words: as_flags(flag, value), ..Gift::default() });
    }
    let text = |(file, template): &(&str, &str)| -> Result<String> {
        let is_last = wired.files.last().is_some_and(|(last, _)| last == file);
        match &settings {
            Some(value) if is_last => {
                Ok(serde_json::to_string_pretty(value).or_fail(Kind::Bug, || format!("write {file}"))? + "\n")
            }
            _ => Ok(wired.program(template, &gt)),
        }
    };
    let files = wired.files.iter().map(|file| Ok((dir.join(file.0), text(file)?))).collect::<Result<Vec<_>>>()?;
    let (at_dir, at_file) =
        (dir.display().to_string(), files.first().map(|(path, _)| path.display().to_string()).unwrap_or_default());
    let mut gift = Gift { files, ..Gift::default() };
    match wired.given {
        Given::FileFlag(flag) => gift.words = vec![flag.to_owned(), at_file],
        Given::DirFlag(flag) => gift.words = vec![flag.to_owned(), at_dir],
        Given::FileVariable(name) => gift.variable = Some((name.to_owned(), at_file)),
        Given::DirVariable(name) => gift.variable = Some((name.to_owned(), at_dir)),
        Given::Settings(_) | Given::UserFile(_) => {}
    }
    Ok(gift)
}

/// What configuration lays over the template, in this order: town, rig, machine, and in each what is for the role last.
fn changes(town: &Town, place: Option<&RigPlace>, role: &str, name: &str) -> Result<Vec<Value>> {
    let keys = [format!("agents.{name}.hooks"), format!("agents.{name}.hooks.{role}")];
    let mut all = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        all.extend(config::stacked(town, place, key)?.into_iter().map(|setting| (setting.source, at, setting.value)));
    }
    // Sources are ordered from the nearest.
    all.sort_by_key(|(source, at, _)| (std::cmp::Reverse(*source), *at));
    Ok(all.into_iter().map(|(_, _, value)| value).collect())
}

/// Each event, and whatever else stands there, as a setting of its own.
fn as_flags(flag: &str, value: &Value) -> Vec<String> {
    let top = value.as_object().into_iter().flatten().filter(|(key, _)| *key != "hooks");
    let top = top.map(|(key, value)| (merge::toml_key(key), value));
    let events = value.get("hooks").and_then(Value::as_object).into_iter().flatten();
    let events = events.map(|(event, entries)| (format!("hooks.{}", merge::toml_key(event)), entries));
    top.chain(events).flat_map(|(key, value)| [flag.to_owned(), format!("{key}={}", merge::toml_of(value))]).collect()
}

/// Where the files of a role lie: `mayor`, or the rig and the kind of agent.
fn dir_of(town: &Town, place: Option<&RigPlace>, role: &str) -> PathBuf {
    let hooks = town.runtime_dir().join("hooks");
    match place {
        Some(place) => hooks.join(place.rig.name.as_str()).join(if role == "polecat" { "polecats" } else { role }),
        None => hooks.join(role),
    }
}

impl Gift {
    /// Adds what is given by words and variables; a variable that configuration sets stays as it is.
    pub(super) fn give(&self, preset: &mut Preset) {
        preset.args.extend(self.words.iter().cloned());
        if let Some((name, value)) = &self.variable {
            preset.env.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }

    /// Writes the files that are not as they should be, and tells which.
    ///
    /// # Errors
    /// Refused, when a symbolic link stands in the way; io, when they cannot be written.
    pub(super) fn lay(&self, town: &Town) -> Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        for (path, text) in &self.files {
            check_way(&town.runtime_dir(), path)?;
            if read(path)?.as_deref() != Some(text.as_str()) {
                store::write_file(path, text.as_bytes())?;
                written.push(path.clone());
            }
        }
        Ok(written)
    }
}

/// The text of a file of ours; `None` when there is none, or what is there is no text.
fn read(path: &Path) -> Result<Option<String>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).or_fail(Kind::Io, || format!("read {}", path.display())),
    }
}

/// Refuses a way from `root` to `path` on which a symbolic link stands.
fn check_way(root: &Path, path: &Path) -> Result<()> {
    let below = path.strip_prefix(root).or_fail(Kind::Bug, || format!("find the way to {}", path.display()))?;
    let mut at = root.to_owned();
    for part in below.components() {
        at.push(part);
        if std::fs::symlink_metadata(&at).is_ok_and(|meta| meta.is_symlink()) {
            return Err(Error::refused(format!("{} is a symbolic link, and hooks are not written through one", at.display()))
                .hint("put a directory or file of its own there; or without them: gt config set agent.hooks false"));
        }
    }
    Ok(())
}

/// What is known of the hooks of one agent.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Listed {
    /// The agent.
    pub name: String,
    /// Whether its hooks are known.
    pub is_known: bool,
    /// How it is given them.
    pub given: String,
    /// The moments at which it calls gt.
    pub moments: Vec<Moment>,
    /// The moments that it lacks, or of which nothing is known.
    pub lacks: Vec<Moment>,
    /// Whether they stand in the user's own file, when that is where it looks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_installed: Option<bool>,
    /// The words that it is started with for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// What is worth knowing besides.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remark: String,
    /// Where this is known from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
}

/// What is known of the hooks of each preset, and how those of the town, or of `place`, are given.
///
/// # Errors
/// Corrupt or refused, when configuration cannot be used.
pub fn list(town: &Town, place: Option<&RigPlace>) -> Result<Vec<Listed>> {
    preset::built_in()?.into_iter().map(|preset| listed(town, place, &preset.name)).collect()
}

fn listed(town: &Town, place: Option<&RigPlace>, name: &str) -> Result<Listed> {
    let Some(wired) = runtime_hooks::find(name) else {
        return Ok(Listed {
            name: name.to_owned(),
            is_known: false,
            given: String::new(),
            moments: Vec::new(),
            lacks: Moment::ALL.to_vec(),
            is_installed: None,
            words: Vec::new(),
            remark: "nothing is known of its hooks".to_owned(),
            source: String::new(),
        });
    };
    let (given, is_installed) = match wired.given {
        Given::FileFlag(flag) | Given::DirFlag(flag) | Given::Settings(flag) => (flag.to_owned(), None),
        Given::FileVariable(name) | Given::DirVariable(name) => (name.to_owned(), None),
        Given::UserFile(file) => (format!("~/{file}"), Some(theirs::is_installed(wired))),
    };
    Ok(Listed {
        name: name.to_owned(),
        is_known: true,
        given,
        moments: wired.moments.to_vec(),
        lacks: wired.lacks(),
        is_installed,
        words: gift(town, place, role_of(place), name)?.words,
        remark: wired.remark.to_owned(),
        source: wired.source.to_owned(),
    })
}

/// The agent that is looked at: a rig's polecats, or the mayor.
fn role_of(place: Option<&RigPlace>) -> &'static str {
    if place.is_some() { "polecat" } else { "mayor" }
}

/// A file of hooks, and how it compares with what it should be.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Laid {
    /// For whom: the mayor, or a rig's polecats.
    pub whose: String,
    /// The agent.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What was done with it, or would be.
    pub outcome: Outcome,
    /// What it says; none when it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it should say; none when it should not be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// What is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is written.
    Written,
    /// It is as it should be.
    Same,
    /// It goes, since the hooks are off.
    Removed,
}

/// How the files compare with what they should be: for the mayor and each rig's polecats, those of the agents that are
/// chosen there and of those that have some.
///
/// # Errors
/// As [`list`]; refused, when a symbolic link stands in the way.
pub fn compare(town: &Town) -> Result<Vec<Laid>> {
    let mut laid = Vec::new();
    let places = town.places()?;
    for place in std::iter::once(None).chain(places.iter().map(Some)) {
        let role = role_of(place);
        let dir = dir_of(town, place, role);
        let whose = place.map_or_else(|| role.to_owned(), |place| format!("{}/polecats", place.rig.name));
        for wired in runtime_hooks::ALL {
            let is_chosen = || -> Result<bool> {
                let chosen = config::chosen(town, place, role, None)?;
                Ok(matches!(chosen, Some(Chosen::Agent(agent)) if agent.name == wired.name))
            };
            if dir.join(wired.name).exists() || is_chosen()? {
                laid.extend(compare_one(town, place, &whose, &dir, wired)?);
            }
        }
    }
    Ok(laid)
}

fn compare_one(town: &Town, place: Option<&RigPlace>, whose: &str, dir: &Path, wired: &Wired) -> Result<Vec<Laid>> {
    let gift = gift(town, place, role_of(place), wired.name)?;
    let mut laid = Vec::new();
    for (file, _) in wired.files.iter().filter(|_| !matches!(wired.given, Given::Settings(_) | Given::UserFile(_))) {
        let path = dir.join(wired.name).join(file);
        check_way(&town.runtime_dir(), &path)?;
        let old = read(&path)?;
        let new = gift.files.iter().find(|(other, _)| *other == path).map(|(_, text)| text.clone());
        let outcome = match (&old, &new) {
            (old, new) if old == new => Outcome::Same,
            (_, Some(_)) => Outcome::Written,
            (_, None) => Outcome::Removed,
        };
        if old.is_some() || new.is_some() {
            laid.push(Laid { whose: whose.to_owned(), name: wired.name.to_owned(), path, outcome, old, new });
        }
    }
    Ok(laid)
}

/// Makes all files as they should be.
///
/// # Errors
/// As [`compare`]; io, when one cannot be written.
pub fn sync(town: &Town) -> Result<Vec<Laid>> {
    let _turn = KernelLock::take(&town.runtime_dir().join("hooks.flock"))?;
    let laid = compare(town)?;
    for one in laid.iter().filter(|one| one.outcome != Outcome::Same) {
        match &one.new {
            Some(text) => store::write_file(&one.path, text.as_bytes())?,
            None => std::fs::remove_file(&one.path).or_fail(Kind::Io, || format!("remove {}", one.path.display()))?,
        }
    }
    Ok(laid)
}
