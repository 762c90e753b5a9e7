//! Words that the town keeps for its agents and scripts: a key, a value, and who wrote it when.
//!
//! One record a key in the town's ledger, so that writers of different keys never meet; of two machines that wrote one key
//! the later word stands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ledger::{Damaged, tree};
use crate::model::bead::check_text;
use crate::model::record::{Object, Rev, SCHEMA_VERSION};
use crate::ops::track::memory;
use crate::time::Moment;
use crate::town::Town;

/// A kept word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// Schema version.
    pub v: u64,
    /// Its key.
    pub key: String,
    /// What it says.
    pub value: String,
    /// Who wrote it.
    pub updated_by: String,
    /// When.
    pub updated_at: Moment,
    /// Clock of the last change.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// Checks a key.
///
/// # Errors
/// Usage, when it is none.
pub fn check_key(key: &str) -> Result<()> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    let is_good = !key.is_empty() && key.len() <= 100 && key.chars().all(is_part) && !key.starts_with('.') && !key.ends_with('.');
    if is_good {
        return Ok(());
    }
    Err(Error::usage(format!("'{}' cannot be a key", key.escape_debug()))
        .hint("a key is up to 100 letters, digits, dots, dashes, colons and underscores"))
}

/// Checks a key that is for scripts: none of those of memories.
fn check_own_key(key: &str) -> Result<()> {
    check_key(key)?;
    if !key.starts_with(memory::START) {
        return Ok(());
    }
    Err(Error::usage(format!("{key} is the key of a memory")).hint("gt bead remember, recall, memories and forget are for those"))
}

/// Writes `value` under `key`; the same value again writes nothing.
///
/// # Errors
/// Usage, when the key is none or the value too long; as every transaction.
pub fn set(town: &Town, key: &str, value: &str) -> Result<Kept> {
    check_own_key(key)?;
    keep(town, key, value).map(|(kept, _)| kept)
}

/// As [`set`], whatever the key is for; tells too whether something was kept under it.
pub(super) fn keep(town: &Town, key: &str, value: &str) -> Result<(Kept, bool)> {
    check_key(key)?;
    check_text("value", value)?;
    let path = tree::kept(key);
    town.hq.transact(&town.deed("kv", format!("kv set {key}")), |change| {
        let old: Option<Kept> = change.get(&path)?;
        if let Some(old) = old.as_ref().filter(|old| old.value == value) {
            return Ok((old.clone(), true));
        }
        let was_there = old.is_some();
        let kept = Kept {
            v: SCHEMA_VERSION,
            key: key.to_owned(),
            value: value.to_owned(),
            updated_by: town.actor.name.clone(),
            updated_at: town.now,
            rev: Rev::default(),
            extra: old.map(|old| old.extra).unwrap_or_default(),
        };
        change.put(&path, &kept)?;
        Ok((kept, was_there))
    })
}

/// What is kept under `key`.
///
/// # Errors
/// Usage, when it is no key; corrupt, when the record cannot be read.
pub fn get(town: &Town, key: &str) -> Result<Option<Kept>> {
    check_own_key(key)?;
    find(town, key)
}

/// As [`get`], whatever the key is for.
pub(super) fn find(town: &Town, key: &str) -> Result<Option<Kept>> {
    town.hq.state()?.get(&tree::kept(key))
}

/// Everything that is kept but memories, by key, and the records that cannot be read.
///
/// # Errors
/// Corrupt, when a tree cannot be read.
pub fn list(town: &Town) -> Result<(Vec<Kept>, Vec<Damaged>)> {
    let (mut kept, damaged) = all(town)?;
    kept.retain(|kept| !kept.key.starts_with(memory::START));
    Ok((kept, damaged))
}

/// As [`list`], with memories.
pub(super) fn all(town: &Town) -> Result<(Vec<Kept>, Vec<Damaged>)> {
    let (mut kept, damaged) = town.hq.state()?.all::<Kept>("kv")?;
    kept.sort_by(|a, b| a.key.cmp(&b.key));
    Ok((kept, damaged))
}

/// Forgets `key`; tells whether it was there.
///
/// # Errors
/// Usage, when it is no key; as every transaction.
pub fn clear(town: &Town, key: &str) -> Result<bool> {
    check_own_key(key)?;
    drop(town, key)
}

/// As [`clear`], whatever the key is for.
pub(super) fn drop(town: &Town, key: &str) -> Result<bool> {
    let path = tree::kept(key);
    town.hq.transact(&town.deed("kv", format!("kv clear {key}")), |change| {
        let was_there = change.has(&path)?;
        if was_there {
            change.remove(&path);
        }
        Ok(was_there)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_key_is_one_plain_word() {
        for good in ["a", "build.last_green", "mayor:mood", "x-1"] {
            super::check_key(good).unwrap();
        }
        for bad in ["", ".", "..", ".a", "a.", "a/b", "a b", "größe", &"x".repeat(101)] {
            assert!(super::check_key(bad).is_err(), "{bad}");
        }
    }
}
