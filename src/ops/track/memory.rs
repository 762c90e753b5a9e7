//! Memories: what agents learned and the town keeps for those that come after, under keys of their own among the words
//! that it keeps.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::Damaged;
use crate::ops::track::kv;
use crate::town::Town;

/// What the keys of memories begin with among the words that the town keeps.
pub const START: &str = "memory.";

/// How many words of a text make its key.
const KEY_WORDS_MAX: usize = 8;
/// How long such a key is at most.
const KEY_CHARS_MAX: usize = 60;

/// A memory that was kept.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Remembered {
    /// Its key.
    pub key: String,
    /// What it says.
    pub value: String,
    /// `remembered`, or `updated` when the key said something already.
    pub action: &'static str,
}

/// A key for `text`: its first words.
fn key_of(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).take(KEY_WORDS_MAX);
    let key: String = words.collect::<Vec<_>>().join("-").chars().take(KEY_CHARS_MAX).collect();
    key.trim_end_matches('-').to_owned()
}

/// Keeps `text` under `key`, or under its first words.
///
/// # Errors
/// Usage, when it is empty or too long, or no key can be made of it; as every transaction.
pub fn remember(town: &Town, text: &str, key: Option<&str>) -> Result<Remembered> {
    if text.trim().is_empty() {
        return Err(Error::usage("there is nothing to remember").hint("gt bead remember \"what was learned\""));
    }
    let key = key.map_or_else(|| key_of(text), str::to_owned);
    if key.is_empty() {
        return Err(Error::usage("no key can be made of that text").hint("give one: --key NAME"));
    }
    kv::check_key(&key)?;
    let (kept, was_there) = kv::keep(town, &format!("{START}{key}"), text)?;
    Ok(Remembered { key, value: kept.value, action: if was_there { "updated" } else { "remembered" } })
}

/// All memories that have `search` in key or text, in any case, by key; and the records that cannot be read.
///
/// # Errors
/// Corrupt, when a tree cannot be read.
pub fn memories(town: &Town, search: &str) -> Result<(BTreeMap<String, String>, Vec<Damaged>)> {
    let (kept, damaged) = kv::all(town)?;
    let search = search.to_lowercase();
    let is_asked = |text: &str| text.to_lowercase().contains(&search);
    let memories = kept.into_iter().filter_map(|kept| Some((kept.key.strip_prefix(START)?.to_owned(), kept.value)));
    Ok((memories.filter(|(key, value)| is_asked(key) || is_asked(value)).collect(), damaged))
}

/// The memory under `key`.
///
/// # Errors
/// Usage, when it is no key; corrupt, when the record cannot be read.
pub fn recall(town: &Town, key: &str) -> Result<Option<String>> {
    kv::check_key(key)?;
    Ok(kv::find(town, &format!("{START}{key}"))?.map(|kept| kept.value))
}

/// Forgets the memory under `key`; tells whether there was one.
///
/// # Errors
/// Usage, when it is no key; as every transaction.
pub fn forget(town: &Town, key: &str) -> Result<bool> {
    kv::check_key(key)?;
    kv::drop(town, &format!("{START}{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_of_the_first_words() {
        assert_eq!(key_of("Always run tests with the -race flag, on every machine"), "always-run-tests-with-the-race-flag-on");
        assert_eq!(key_of("  Größe!  "), "gr-e");
        assert_eq!(key_of("größe"), "gr-e");
        assert_eq!(key_of("ключ"), "");
        assert_eq!(key_of(&"x".repeat(99)).len(), KEY_CHARS_MAX);
        assert_eq!(key_of(&format!("{} b", "a".repeat(59))), "a".repeat(59), "a key ends with no dash");
    }
}
