//! Plugins: directories below `plugins/` of a rig or the town that are called in at certain points.
//!
//! What runs is trusted here like any command: its files, all of them as they are. A plugin advises. One that fails, hangs or
//! is not trusted holds nothing up for longer than its time, and is told.

mod call;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::Trust;
use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::tree;
use crate::model::address::Address;
use crate::model::merge::content_hash;
use crate::model::plugin::{History, Manifest, Outcome};
use crate::name::Name;
use crate::ops::trust;
use crate::store;
use crate::town::{RigPlace, Town};

pub use call::{Call, Called, at_point, by_hand};

/// The file that describes a plugin, and the one that is run.
const ABOUT: &str = "plugin.md";
const RUN: &str = "run";

/// Plugins that come with gt: name, description, program.
const SHIPPED: &[(&str, &str, &str)] = &[("merge-oracle", include_str!("merge-oracle.md"), include_str!("merge-oracle.run"))];

/// A plugin of a rig.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Plugin {
    /// Its name, that of its directory.
    pub name: String,
    /// `town` or `rig NAME`: whose directory it lies in. A rig's goes before the town's of the same name.
    pub scope: String,
    /// Its directory.
    pub dir: PathBuf,
    /// Who it is while it serves this rig, with a mailbox.
    pub address: Address,
    /// What it says of itself; none, when that cannot be read.
    pub manifest: Option<Manifest>,
    /// What is wrong with that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Whether it has a program; else it is played by an agent, who gets mail.
    pub has_program: bool,
    /// Whether the program, as it is, may run on this machine.
    pub is_trusted: bool,
    /// How its last calls ended, newest last.
    pub outcomes: Vec<Outcome>,
    #[serde(skip)]
    id: Name,
    #[serde(skip)]
    pin: String,
}

impl Plugin {
    /// The key under which its program is trusted.
    fn key(id: &Name) -> String {
        format!("plugins.{id}")
    }
}

/// All plugins of the rig at `place` and of the town, by name.
///
/// # Errors
/// Io, when a directory cannot be read; corrupt, when trust or records cannot be.
pub fn all(town: &Town, place: &RigPlace) -> Result<Vec<Plugin>> {
    let trust = Trust::read(town)?;
    let mut found: BTreeMap<Name, Plugin> = BTreeMap::new();
    let rigs = format!("rig {}", place.rig.name);
    for (scope, above) in [("town".to_owned(), &town.root), (rigs, &place.dir)] {
        for (id, dir) in directories(&above.join("plugins"))? {
            let plugin = read(place, &trust, &scope, id, dir)?;
            found.insert(plugin.id.clone(), plugin);
        }
    }
    Ok(found.into_values().collect())
}

/// Whether the rig at `place` has a plugin at all; asked before each run of a queue.
///
/// # Errors
/// Io, when a directory cannot be read.
pub fn is_any(town: &Town, place: &RigPlace) -> Result<bool> {
    Ok(!directories(&town.root.join("plugins"))?.is_empty() || !directories(&place.dir.join("plugins"))?.is_empty())
}

/// The plugin `name` of the rig at `place`.
///
/// # Errors
/// Not found, when there is none; as [`all`].
pub fn find(town: &Town, place: &RigPlace, name: &str) -> Result<Plugin> {
    let id = id_of(name);
    all(town, place)?.into_iter().find(|plugin| Some(&plugin.id) == id.as_ref()).ok_or_else(|| {
        Error::not_found(format!("{} has no plugin {}", place.rig.name, name.escape_debug()))
            .hint("gt plugin list shows those that it has")
    })
}

/// What a plugin named `name` is called in addresses and records: there a hyphen parts words, so it is written `_`.
fn id_of(name: &str) -> Option<Name> {
    name.replace('-', "_").parse().ok()
}

/// The directories in `above` whose names can name a plugin, by their ids.
fn directories(above: &Path) -> Result<Vec<(Name, PathBuf)>> {
    let entries = match std::fs::read_dir(above) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).or_fail(Kind::Io, || format!("read {}", above.display())),
    };
    let dirs = entries.filter_map(std::result::Result::ok).filter(|entry| entry.path().is_dir());
    Ok(dirs.filter_map(|entry| Some((id_of(entry.file_name().to_str()?)?, entry.path()))).collect())
}

fn read(place: &RigPlace, trust: &Trust, scope: &str, id: Name, dir: PathBuf) -> Result<Plugin> {
    let bytes_of = |file: &str| match std::fs::read(dir.join(file)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).or_fail(Kind::Io, || format!("read {}", dir.join(file).display())),
    };
    let (about, program) = (bytes_of(ABOUT)?, bytes_of(RUN)?);
    let (manifest, fault) = match Manifest::parse(&String::from_utf8_lossy(about.as_deref().unwrap_or_default())) {
        Ok(manifest) => (Some(manifest), None),
        Err(fault) => (None, Some(fault)),
    };
    let pin = program.as_deref().map(|program| pinned(about.as_deref(), program)).unwrap_or_default();
    let history: Option<History> = place.ledger.state()?.get(&tree::plugin(&id))?;
    Ok(Plugin {
        scope: scope.to_owned(),
        address: Address::Plugin(place.rig.name.clone(), id.clone()),
        manifest,
        fault,
        has_program: program.is_some(),
        is_trusted: program.is_some() && trust.holds(scope, &Plugin::key(&id), &pin),
        outcomes: history.unwrap_or_default().outcomes,
        pin,
        name: dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        id,
        dir,
    })
}

/// What is pinned of a plugin: both its files.
fn pinned(about: Option<&[u8]>, program: &[u8]) -> String {
    format!("run {} {}", content_hash(program), content_hash(about.unwrap_or_default()))
}

/// Puts the shipped plugin `name` into the rig at `place`, and trusts it there.
///
/// # Errors
/// Refused, when the identity may not; not found, when gt ships none of that name; conflict, when a plugin of that name is
/// there and differs; io, when it cannot be written.
pub fn add(town: &Town, place: &RigPlace, name: &str) -> Result<Plugin> {
    trust::check_rights(town)?;
    let shipped = SHIPPED.iter().find(|(shipped, _, _)| *shipped == name);
    let (_, about, program) = shipped.ok_or_else(|| {
        let names: Vec<&str> = SHIPPED.iter().map(|(shipped, _, _)| *shipped).collect();
        Error::not_found(format!("no plugin {} comes with gt", name.escape_debug()))
            .hint(format!("it ships {}; one of your own is a directory below plugins/", names.join(", ")))
    })?;
    let dir = place.dir.join("plugins").join(name);
    if dir.exists() {
        let there = find(town, place, name)?;
        if there.pin != pinned(Some(about.as_bytes()), program.as_bytes()) {
            return Err(Error::conflict(format!("{} is there and is another", dir.display())).hint("move it away first"));
        }
    }
    std::fs::create_dir_all(&dir).or_fail(Kind::Io, || format!("make {}", dir.display()))?;
    store::write_file(&dir.join(ABOUT), about.as_bytes())?;
    store::write_file(&dir.join(RUN), program.as_bytes())?;
    allow(town, &find(town, place, name)?)?;
    find(town, place, name)
}

/// Trusts the program of `plugin` on this machine, as it is now.
///
/// # Errors
/// Refused, when the identity may not or there is no program; io, when the pins cannot be written.
pub fn allow(town: &Town, plugin: &Plugin) -> Result<()> {
    trust::check_rights(town)?;
    if !plugin.has_program {
        return Err(Error::refused(format!("{} has no program to trust", plugin.name))
            .hint(format!("that would be {}", plugin.dir.join(RUN).display())));
    }
    Trust::pin(town, &plugin.scope, &Plugin::key(&plugin.id), &plugin.pin)
}
