//! Backup: the whole town in one file, a git bundle that any git can read.
//!
//! Refs of a scope stand in it as `refs/scopes/<scope>/…`, where `<scope>` is `town` or `rigs/<name>`; what else must
//! be known, and the list of refs that the bundle's own is checked against, lies in `manifest.json` under
//! `refs/backup/manifest`. Not in it: work that is not committed, trust in commands, and other settings of one machine.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::bundle::Gathering;
use crate::git::progress::Progress;
use crate::git::remote::Place;
use crate::ledger::{Ledger, tree};
use crate::name::Name;
use crate::ops::remote::{self, Remote};
use crate::store::lock::KernelLock;
use crate::store::{self, Store, leftovers};
use crate::time::Moment;
use crate::town::Town;

/// Where the manifest stands in a bundle, and its file there.
pub(crate) const MANIFEST: (&str, &str) = ("refs/backup/manifest", "manifest.json");
/// Below which the refs of scopes stand in a bundle.
pub(crate) const SCOPES: &str = "refs/scopes/";
/// The version of the manifest that is written and the newest that is read.
pub(crate) const VERSION: u64 = 1;
/// What is taken of a scope: its state and pins, and all branches and tags of the code.
const TAKEN: [&str; 3] = ["refs/gt/", "refs/heads/", "refs/tags/"];

/// `manifest.json`: what a backup holds.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) v: u64,
    pub(crate) made_at: Moment,
    /// The machine that was backed up.
    pub(crate) machine: String,
    pub(crate) scopes: Vec<Saved>,
}

/// A scope in a backup.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// `town` or `rigs/<name>`.
    pub(crate) scope: String,
    /// Its refs by their names in the scope.
    pub(crate) refs: BTreeMap<String, String>,
    /// The project's URL on that machine, without a password.
    pub(crate) project: Option<String>,
    /// The remotes that its ledger is exchanged with, without passwords.
    pub(crate) remotes: Vec<Remote>,
}

/// A scope as people are told of it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Scope {
    /// `town` or `rigs/<name>`.
    pub scope: String,
    /// How many refs.
    pub refs: usize,
}

impl From<&Saved> for Scope {
    fn from(saved: &Saved) -> Self {
        Self { scope: saved.scope.clone(), refs: saved.refs.len() }
    }
}

/// What a backup wrote.
#[derive(Debug, JsonSchema, Serialize)]
pub struct BackedUp {
    /// The file.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// What is in it.
    pub scopes: Vec<Scope>,
    /// Rigs of the town that are not on this machine, and so not in it.
    pub elsewhere: Vec<Name>,
}

/// Writes all scopes on this machine, as of one moment, to `file`; whole or not at all.
///
/// # Errors
/// Refused, when there is such a file and `force` is not set; corrupt, when a ref is damaged: half of a town must not
/// look whole; external, when git fails; io otherwise.
pub fn backup(town: &Town, file: &Path, force: bool, progress: &Progress) -> Result<BackedUp> {
    let file = town.dir.join(file);
    file.file_name().or_fail(Kind::Usage, || "name a file to write the backup to")?;
    let is_free = || if force || file.symlink_metadata().is_err() { Ok(()) } else { Err(taken(&file)) };
    is_free()?;
    if file.is_dir() {
        return Err(Error::refused(format!("{} is a directory", file.display())).hint("name a file in it"));
    }
    let dir = file.parent().unwrap_or(Path::new("/"));
    dir.is_dir().then_some(()).ok_or_else(|| Error::not_found(format!("there is no directory {}", dir.display())))?;
    leftovers::clear_beside(&file, town.now);
    let places = town.places()?;
    let rigs = places.iter().map(|place| (format!("rigs/{}", place.rig.name), &place.ledger, Some(place.project.as_str())));
    let scopes: Vec<_> = std::iter::once(("town".to_owned(), &town.hq, None)).chain(rigs).collect();
    let scratch = leftovers::beside(&town.hq.store.private_dir().join("backup"));
    let stores: Vec<&Store> = scopes.iter().map(|(_, ledger, _)| &ledger.store).collect();
    let mut gathering = Gathering::begin(&scratch, &stores)?;
    let mut manifest = Manifest { v: VERSION, made_at: town.now, machine: town.machine.clone(), scopes: Vec::new() };
    let ledgers: Vec<&Ledger> = scopes.iter().map(|(_, ledger, _)| *ledger).collect();
    for ((scope, ledger, project), refs) in scopes.into_iter().zip(refs_of_one_moment(&ledgers)?) {
        let inner = |name: &str| format!("{SCOPES}{scope}/{}", name.trim_start_matches("refs/"));
        gathering.add(refs.iter().map(|(name, id)| (inner(name), *id)));
        gathering.complete(&ledger.store, &refs.iter().map(|(_, id)| *id).collect::<Vec<_>>(), progress)?;
        let remotes = remote::list(&ledger.store).into_iter();
        let remotes = remotes.map(|remote| Remote { url: without_password(&remote.url), ..remote }).collect();
        let refs = refs.into_iter().map(|(name, id)| (name, id.to_string())).collect();
        manifest.scopes.push(Saved { scope, refs, project: project.map(without_password), remotes });
    }
    let text = serde_json::to_vec_pretty(&manifest).or_fail(Kind::Bug, || "write the manifest of a backup")?;
    let (actor, (name_there, file_there)) = (&town.actor, MANIFEST);
    gathering.add_file(name_there, file_there, text, (&actor.name, &actor.email), town.now)?;
    let staging = Staging::make(leftovers::beside(&file))?;
    let bytes = gathering.write(&staging.0.join("bundle")).map_err(|mut error| {
        error.message = format!("write the backup {}: {}", file.display(), error.message);
        error
    })?;
    is_free()?;
    let deed = || format!("write the backup {}", file.display());
    std::fs::rename(staging.0.join("bundle"), &file).or_fail(Kind::Io, deed)?;
    store::sync_dir(dir)?;
    let here: Vec<&Name> = places.iter().map(|place| &place.rig.name).collect();
    let elsewhere = town.rigs()?.into_iter().map(|rig| rig.name).filter(|name| !here.contains(&name)).collect();
    Ok(BackedUp { file, bytes, scopes: manifest.scopes.iter().map(Scope::from).collect(), elsewhere })
}

fn taken(file: &Path) -> Error {
    Error::refused(format!("{} is there already", file.display())).hint("name another file, or overwrite it: --force")
}

/// What is taken of each of `ledgers`, all as of one moment: under the locks of all their writers, which are waited for
/// in one order. No writer holds two of them.
fn refs_of_one_moment(ledgers: &[&Ledger]) -> Result<Vec<Vec<(String, ObjectId)>>> {
    let _writers_wait = ledgers.iter().map(|ledger| KernelLock::take(&ledger.lock_path())).collect::<Result<Vec<_>>>()?;
    ledgers.iter().map(|ledger| refs_of(&ledger.store)).collect()
}

fn refs_of(store: &Store) -> Result<Vec<(String, ObjectId)>> {
    let mut refs = Vec::new();
    for below in TAKEN {
        store.check_refs_below(below)?;
        refs.extend(store.refs_below(below)?);
    }
    if !refs.iter().any(|(name, _)| name == tree::LEDGER) {
        return Err(Error::corrupt(format!("{} has no ledger", store.dir().display())));
    }
    // That this machine lives is no news of the one that is restored.
    refs.retain(|(name, _)| !name.starts_with(tree::BEAT));
    Ok(refs)
}

/// The directory of a file being written: only its owner sees into it, and it goes with its value.
struct Staging(PathBuf);

impl Staging {
    fn make(dir: PathBuf) -> Result<Self> {
        std::fs::DirBuilder::new().mode(0o700).create(&dir).or_fail(Kind::Io, || format!("create {}", dir.display()))?;
        Ok(Self(dir))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // The next backup to this file removes it by its name, should this fail.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A remote's URL without the password that some put into it; a backup may lie where secrets do not.
fn without_password(url: &str) -> String {
    Place::parse(url).map_or_else(|_| url.to_owned(), |place| place.shown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stay_at_home() {
        assert_eq!(without_password("https://ann:secret@example.org/x.git"), "https://ann@example.org/x.git");
        for plain in ["/srv/x.git", "ssh://git@example.org/x.git", "git@example.org:x.git"] {
            assert_eq!(without_password(plain), plain);
        }
    }
}
