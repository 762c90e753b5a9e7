//! The table of configuration keys: type, default and one line of help each.
//!
//! Shared keys live in the ledger (town or rig scope); what a key may hold is checked when it is set.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::time::parse_millis;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// Any text.
    Text,
    /// A command line for `sh -c`; runs only on machines that trust it.
    Command,
    /// `true` or `false`.
    Bool,
    /// A length of time such as `10m`.
    Duration,
    /// A whole number.
    Number,
}

/// A configuration key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name; `*` stands for one word.
    pub name: &'static str,
    /// What it holds.
    pub key_type: KeyType,
    /// Its value when unset; empty: none.
    pub default: &'static str,
    /// One line of help.
    pub help: &'static str,
}

/// All keys.
pub const KEYS: &[Key] = &[
    Key {
        name: "agent.command",
        key_type: KeyType::Command,
        default: "",
        help: "Command line that starts an agent in its worktree",
    },
    Key {
        name: "decay.closed",
        key_type: KeyType::Duration,
        default: "30d",
        help: "So long after it was closed a bead moves to the archive",
    },
    Key {
        name: "decay.error",
        key_type: KeyType::Duration,
        default: "7d",
        help: "So long after it was closed an ephemeral bead of an error goes",
    },
    Key {
        name: "decay.heartbeat",
        key_type: KeyType::Duration,
        default: "6h",
        help: "So long after it was closed an ephemeral bead of a heartbeat goes",
    },
    Key { name: "decay.mail", key_type: KeyType::Duration, default: "7d", help: "So long after it was read a letter goes" },
    Key {
        name: "decay.patrol",
        key_type: KeyType::Duration,
        default: "24h",
        help: "So long after it was closed an ephemeral bead of a patrol, or of no special kind, goes",
    },
    Key {
        name: "gates.*.command",
        key_type: KeyType::Command,
        default: "",
        help: "Command line of a merge gate; exit code 0 passes",
    },
    Key { name: "gates.*.timeout", key_type: KeyType::Duration, default: "10m", help: "After this long the gate has failed" },
    Key {
        name: "gates.require",
        key_type: KeyType::Bool,
        default: "true",
        help: "Refuse to land anything when no gate is configured",
    },
    Key {
        name: "maintenance.auto",
        key_type: KeyType::Bool,
        default: "true",
        help: "Let commands start packing in the background after they have answered",
    },
    Key { name: "owner.email", key_type: KeyType::Text, default: "", help: "E-mail in commits that agents make for the owner" },
    Key { name: "polecats.max", key_type: KeyType::Number, default: "30", help: "Most polecat directories in a rig" },
    Key {
        name: "sync.debounce",
        key_type: KeyType::Duration,
        default: "2s",
        help: "So long after a change here gt sync --watch exchanges it",
    },
    Key {
        name: "sync.interval",
        key_type: KeyType::Duration,
        default: "30s",
        help: "How often gt sync --watch looks for what changed elsewhere while something does",
    },
    Key {
        name: "sync.interval_max",
        key_type: KeyType::Duration,
        default: "10m",
        help: "How often it looks at least, when nothing has changed for long or nobody can be reached",
    },
];

/// Finds the key that `name` is an instance of.
///
/// # Errors
/// Usage, naming the known keys.
pub fn find(name: &str) -> Result<&'static Key> {
    let fits = |key: &Key| {
        let (pattern, words): (Vec<&str>, Vec<&str>) = (key.name.split('.').collect(), name.split('.').collect());
        pattern.len() == words.len() && pattern.iter().zip(&words).all(|(p, w)| p == w || (*p == "*" && is_word(w)))
    };
    KEYS.iter().find(|key| fits(key)).ok_or_else(|| {
        let known: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        Error::usage(format!("there is no configuration key '{}'", name.escape_debug()))
            .hint(format!("known keys: {}", known.join(", ")))
    })
}

fn is_word(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= 40
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

impl Key {
    /// Whether it decides what runs on a machine or what may land; workers may not set it.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.key_type == KeyType::Command || self.name.starts_with("gates.")
    }

    /// Checks a value that another program may have written.
    ///
    /// # Errors
    /// Corrupt, when it is of another type: what is not understood is not taken for "off".
    pub fn check(&self, value: Value) -> Result<Value> {
        let fits = match self.key_type {
            KeyType::Text | KeyType::Command => value.is_string(),
            KeyType::Duration => value.as_str().is_some_and(|text| parse_millis(text).is_ok()),
            KeyType::Bool => value.is_boolean(),
            KeyType::Number => value.is_u64(),
        };
        if fits {
            return Ok(value);
        }
        Err(Error::corrupt(format!("the value of {} cannot be read: {value}", self.name))
            .hint("set it anew: gt config set KEY VALUE"))
    }

    /// Reads a value of this key's type from text.
    ///
    /// # Errors
    /// Usage, when the text is of another type.
    pub fn parse(&self, text: &str) -> Result<Value> {
        let wrong = |want: &str| Error::usage(format!("'{}' is not {want}, which {} needs", text.escape_debug(), self.name));
        match self.key_type {
            KeyType::Text | KeyType::Command if text.trim().is_empty() => {
                Err(wrong("a text").hint("to remove it: gt config unset KEY"))
            }
            KeyType::Text | KeyType::Command => Ok(Value::from(text)),
            KeyType::Bool => text.parse::<bool>().map(Value::from).map_err(|_| wrong("true or false")),
            KeyType::Duration => parse_millis(text).map(|_| Value::from(text)),
            KeyType::Number => text.parse::<u32>().map(Value::from).map_err(|_| wrong("a whole number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_key_or_value_is_refused() {
        assert!(find("gates.test.command").is_ok());
        for bad in ["gate.test.command", "gates..command", "gates.a b.command", "agent", "agent.command.x"] {
            assert!(find(bad).is_err(), "{bad}");
        }
        assert!(find("gates.test.timeout").unwrap().parse("soon").is_err());
        assert!(find("gates.require").unwrap().parse("maybe").is_err());
    }

    #[test]
    fn a_value_of_the_wrong_type_is_damage_and_not_off() {
        let require = find("gates.require").unwrap();
        assert_eq!(require.check(Value::from("true")).unwrap_err().kind, crate::error::Kind::Corrupt);
        assert_eq!(require.check(Value::from(false)).unwrap(), Value::from(false));
        assert!(find("gates.test.timeout").unwrap().check(Value::from(5)).is_err());
    }

    #[test]
    fn every_default_fits_its_key() {
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            assert!(key.parse(key.default).is_ok(), "{}", key.name);
        }
    }
}
