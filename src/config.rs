//! What is set: machine over rig over town over default, and which commands this machine trusts.
//!
//! Shared values are records in the ledgers; the machine's own are `gt.*` keys of the town's git
//! configuration. A command runs only when its text was pinned on this machine: by setting it here, or
//! by `gt trust` when it came with a project or by sync.

mod agents;
mod gates;
mod layers;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::{Ledger, State, tree};
use crate::model::config_keys::{self, KEYS, Key};
use crate::model::record::{Object, SCHEMA_VERSION};
use crate::model::review::{self, Rule};
use crate::store;
use crate::town::{RigPlace, Town};

use layers::Layers;

pub use agents::{Chosen, accounts, agent, agent_names, chosen, is_named_here, model, name_here, wrapper};
pub use gates::{Configured, configured, gates};

/// Where a value comes from, the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// This machine's git configuration.
    Machine,
    /// The rig's ledger.
    Rig,
    /// The town's ledger.
    Town,
    /// Nobody set it.
    Default,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Setting {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Where it comes from.
    pub source: Source,
}

impl Setting {
    /// The value as text.
    #[must_use]
    pub fn text(&self) -> String {
        self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned)
    }
}

/// `config/<group>.json`: values by full key.
#[derive(Clone, Debug, Default, JsonSchema, Serialize, Deserialize)]
pub struct Group {
    /// Schema version.
    pub v: u64,
    /// Values by full key.
    #[serde(default)]
    pub values: BTreeMap<String, Value>,
    /// Fields of a newer version, and clocks.
    #[serde(flatten)]
    pub extra: Object,
}

impl Group {
    /// An empty group.
    #[must_use]
    pub fn new() -> Self {
        Self { v: SCHEMA_VERSION, ..Self::default() }
    }
}

/// The value of `key` in one ledger's own configuration.
///
/// # Errors
/// Corrupt, when the record cannot be read.
pub fn in_ledger(state: &State<'_>, key: &str) -> Result<Option<Value>> {
    let group: Option<Group> = state.get(&tree::config(group_of(key)))?;
    Ok(group.and_then(|group| group.values.get(key).cloned()))
}

/// The record group of `key`: its first word.
#[must_use]
pub fn group_of(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}

/// The value of `key` for the town, or for `place` when given.
///
/// # Errors
/// Usage, when there is no such key; corrupt, when configuration cannot be read.
pub fn lookup(town: &Town, place: Option<&RigPlace>, key: &str) -> Result<Option<Setting>> {
    Layers::of(town, place).lookup(key)
}

/// Every value that is set for `key`: the town's, that of `place`, the machine's; only when this machine trusts each.
///
/// # Errors
/// Refused, when one came with a project or by sync and was not trusted here yet; as [`lookup`].
pub fn stacked(town: &Town, place: Option<&RigPlace>, key: &str) -> Result<Vec<Setting>> {
    let all = Layers::of(town, place).stacked(key)?;
    let trust = if all.is_empty() { Trust::default() } else { Trust::read(town)? };
    match all.iter().find(|setting| !trust.allows(place, setting)) {
        Some(setting) => Err(not_trusted(place, setting)),
        None => Ok(all),
    }
}

/// All values that are set or have a default, for the town or for `place`.
///
/// # Errors
/// Corrupt, when configuration cannot be read.
pub fn all(town: &Town, place: Option<&RigPlace>) -> Result<Vec<Setting>> {
    let mut keys: Vec<String> = KEYS.iter().filter(|key| !key.name.contains('*')).map(|key| key.name.to_owned()).collect();
    let layers = Layers::of(town, place);
    keys.extend(layers.keys()?);
    keys.sort();
    keys.dedup();
    // A key of a newer version is kept in the ledger but means nothing here.
    let known = keys.iter().filter(|key| config_keys::find(key).is_ok());
    known.filter_map(|key| layers.lookup(key).transpose()).collect()
}

/// The value of `key` read as a whole number.
///
/// # Errors
/// As [`lookup`].
pub fn number(town: &Town, place: Option<&RigPlace>, key: &str) -> Result<Option<u64>> {
    Ok(lookup(town, place, key)?.and_then(|setting| setting.value.as_u64()))
}

/// Whether `key` is set to true.
///
/// # Errors
/// As [`lookup`].
pub fn is_on(town: &Town, place: Option<&RigPlace>, key: &str) -> Result<bool> {
    Ok(lookup(town, place, key)?.is_some_and(|setting| setting.value == Value::Bool(true)))
}

/// The command line in `key`, or what commands are run with there, if set; and only when this machine trusts it.
///
/// # Errors
/// Refused, when it came with a project or by sync and was not trusted here yet.
pub fn command(town: &Town, place: Option<&RigPlace>, key: &str) -> Result<Option<String>> {
    Ok(trusted(town, place, key)?.map(|setting| setting.text()))
}

/// What `key` is set to, if it is, and only when this machine trusts it.
///
/// # Errors
/// As [`command`].
pub fn trusted(town: &Town, place: Option<&RigPlace>, key: &str) -> Result<Option<Setting>> {
    let Some(setting) = lookup(town, place, key)? else { return Ok(None) };
    if Trust::read(town)?.allows(place, &setting) {
        return Ok(Some(setting));
    }
    Err(not_trusted(place, &setting))
}

fn not_trusted(place: Option<&RigPlace>, setting: &Setting) -> Error {
    let (key, scope) = (&setting.key, scope_name(place, setting.source));
    let rig = place.filter(|_| setting.source == Source::Rig).map(|place| format!(" --rig {}", place.rig.name));
    let what = format!("the command in {key} of {scope} did not come from this machine and is not trusted here");
    Error::refused(what).hint(format!("read it with gt trust, then allow it: gt trust {key}{}", rig.unwrap_or_default()))
}

/// The name under which a scope's commands are pinned.
#[must_use]
pub fn scope_name(place: Option<&RigPlace>, source: Source) -> String {
    match (source, place) {
        (Source::Rig, Some(place)) => format!("rig {}", place.rig.name),
        (Source::Rig | Source::Machine | Source::Town | Source::Default, _) => "town".to_owned(),
    }
}

/// Which requests of a rig need review, and by whom.
///
/// # Errors
/// Corrupt, when configuration cannot be read.
pub fn review(town: &Town, place: &RigPlace) -> Result<Rule> {
    let words = |key: &str| -> Result<Vec<String>> {
        Ok(lookup(town, Some(place), key)?.map(|setting| review::words(&setting.text())).unwrap_or_default())
    };
    let approvals = number(town, Some(place), "review.approvals")?.unwrap_or(0);
    Ok(Rule {
        approvals: usize::try_from(approvals).unwrap_or(usize::MAX),
        by: words("review.by")?,
        paths: words("review.paths")?,
        labels: words("review.labels")?.into_iter().collect(),
        protected: words("review.protected_paths")?.into_iter().filter(|word| word != "none").collect(),
    })
}

/// The word that `key` is set to, as text; empty when there is none.
///
/// # Errors
/// As [`lookup`].
pub fn word(town: &Town, place: Option<&RigPlace>, key: &str) -> Result<String> {
    Ok(lookup(town, place, key)?.map(|setting| setting.text()).unwrap_or_default())
}

/// The owner's e-mail for commits; a town without one says so in the address.
///
/// # Errors
/// Corrupt, when configuration cannot be read.
pub fn owner_email(hq: &Ledger) -> Result<String> {
    let Some(tip) = hq.tip()? else { return Ok("nobody@localhost".into()) };
    let value = in_ledger(&hq.state_at(tip)?, "owner.email")?;
    Ok(value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_else(|| "nobody@localhost".into()))
}

/// Which commands this machine runs: a hash each, by scope and key. Machine-local, never synced.
#[derive(Clone, Debug, Default, JsonSchema, Serialize, Deserialize)]
pub struct Trust {
    pins: BTreeMap<String, String>,
}

impl Trust {
    fn path(town: &Town) -> PathBuf {
        town.hq.store.private_dir().join("trust.json")
    }

    /// The pins of this machine.
    ///
    /// # Errors
    /// Corrupt, when the file cannot be read: then nothing is trusted.
    pub fn read(town: &Town) -> Result<Self> {
        let path = Self::path(town);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).or_fail(Kind::Corrupt, || format!("read {}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).or_fail(Kind::Io, || format!("read {}", path.display())),
        }
    }

    /// Whether exactly this text was pinned for `key` of `scope`.
    #[must_use]
    pub fn holds(&self, scope: &str, key: &str, text: &str) -> bool {
        self.pins.get(&format!("{scope} {key}")) == Some(&hash(text))
    }

    /// Whether what `setting` says may take effect on this machine.
    #[must_use]
    pub fn allows(&self, place: Option<&RigPlace>, setting: &Setting) -> bool {
        setting.source == Source::Machine || self.holds(&scope_name(place, setting.source), &setting.key, &setting.text())
    }

    /// Pins `text` for `key` of `scope` on this machine.
    ///
    /// # Errors
    /// Io, when the pins cannot be written.
    pub fn pin(town: &Town, scope: &str, key: &str, text: &str) -> Result<()> {
        let path = Self::path(town);
        let _turn = store::lock::KernelLock::take(&path.with_extension("flock"))?;
        let mut trust = Self::read(town)?;
        trust.pins.insert(format!("{scope} {key}"), hash(text));
        let bytes = serde_json::to_vec_pretty(&trust).or_fail(Kind::Bug, || "write the trust pins")?;
        store::write_file(&path, &bytes)
    }
}

/// Keys that hold commands, or what commands are run with, and are set in `state`; with their text.
///
/// # Errors
/// Corrupt, when configuration cannot be read.
pub fn commands_in(state: &State<'_>) -> Result<Vec<(String, String)>> {
    let mut commands = Vec::new();
    for group in state.all::<Group>("config")?.0 {
        for (key, value) in group.values {
            if config_keys::find(&key).is_ok_and(Key::is_pinned) {
                let text = Setting { key: key.clone(), value, source: Source::Town }.text();
                commands.push((key, text));
            }
        }
    }
    Ok(commands)
}

fn hash(text: &str) -> String {
    let mut batch = store::batch::Batch::default();
    batch.add(gix::objs::Kind::Blob, text.as_bytes().to_vec()).to_string()
}
