//! Names and ids: the only constructors of what becomes a path, a ref or a route.
//!
//! A value of these types is safe as a file name and as a part of a ref name.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::env::{self, Var};
use crate::error::{Error, Result};

/// Directory and role words that cannot name a rig or an agent.
const RESERVED: &[&str] = &[
    "mayor", "deacon", "boot", "overseer", "witness", "refinery", "polecats", "crew", "plugins", "dogs", "overlay", "town",
    "rig", "hq", "con", "prn", "aux", "nul",
];

/// The name of a rig or an agent: `[a-z][a-z0-9_]{0,31}`, not reserved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// The id prefix of a scope: `[a-z][a-z0-9]{0,11}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(String);

/// The id of a bead or letter: `<prefix>-<suffix>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BeadId(String);

macro_rules! text_type {
    ($type:ident) => {
        impl $type {
            /// The text of it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
text_type!(Name);
text_type!(Prefix);
text_type!(BeadId);
crate::schema::text_schema!(Name, { "pattern": "^[a-z][a-z0-9_]*$" });
crate::schema::text_schema!(Prefix, { "examples": ["hq", "gt"] });
crate::schema::text_schema!(BeadId, { "examples": ["gt-x7k20", "gt-x7k20.1"] });

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let good = (1..=32).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !good {
            return Err(Error::usage(format!("'{}' cannot be a name", text.escape_debug()))
                .hint("a name is a lower-case letter followed by up to 31 of a-z, 0-9 and _"));
        }
        if RESERVED.contains(&text) {
            return Err(Error::usage(format!("'{text}' is a reserved word")).hint("choose another name"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Prefix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let good = (1..=12).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if good {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::usage(format!("'{}' cannot be an id prefix", text.escape_debug()))
            .hint("a prefix is a lower-case letter followed by up to 11 of a-z and 0-9"))
    }
}

/// Prefixes that scopes had formerly, and those that they have now. It is filled as the town's registry is read, so that
/// an id belongs to its scope whatever the scope was called when the id was made.
static FORMER: RwLock<BTreeMap<Prefix, Prefix>> = RwLock::new(BTreeMap::new());

impl Prefix {
    /// Lets ids with this prefix belong to the scope whose prefix is `now`.
    pub fn was_renamed_to(&self, now: &Self) {
        let mut former = FORMER.write().unwrap_or_else(PoisonError::into_inner);
        former.remove(now);
        if self != now {
            former.insert(self.clone(), now.clone());
        }
    }

    /// Whether it is `scope`, or one that the scope with the prefix `scope` had formerly.
    #[must_use]
    pub fn belongs_to(&self, scope: &Self) -> bool {
        self == scope || FORMER.read().unwrap_or_else(PoisonError::into_inner).get(self) == Some(scope)
    }

    /// The prefix of the town's own scope.
    #[must_use]
    pub fn hq() -> Self {
        Self("hq".into())
    }

    /// The prefix that a rig of this name gets when none is given: the initials of a compound name,
    /// a short single word as it is, else its first two letters.
    #[must_use]
    pub fn derived_from(name: &Name) -> Self {
        let parts: Vec<&str> = name.as_str().split('_').filter(|part| !part.is_empty()).collect();
        let text = match parts.as_slice() {
            [one] if one.len() <= 3 => (*one).to_owned(),
            [one] => one[..2].to_owned(),
            many => many.iter().take(12).filter_map(|part| part.chars().next()).collect(),
        };
        Self(text)
    }
}

/// The longest id that is taken.
const ID_BYTES_MAX: usize = 120;

impl FromStr for BeadId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!("'{}' is not an id", text.escape_debug()))
                .hint("an id reads <prefix>-<suffix>, for example hq-x7k2m")
        };
        let (prefix, suffix) = text.split_once('-').ok_or_else(wrong)?;
        prefix.parse::<Prefix>().map_err(|_| wrong())?;
        let good = text.len() <= ID_BYTES_MAX
            && suffix.starts_with(|c: char| c.is_ascii_alphanumeric())
            && suffix.ends_with(|c: char| c.is_ascii_alphanumeric())
            && suffix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
            && !suffix.contains("..")
            && suffix.rsplit_once('.').is_none_or(|(_, last)| last != "lock");
        if good { Ok(Self(text.to_owned())) } else { Err(wrong()) }
    }
}

impl BeadId {
    /// The prefix of the scope that it belongs to: what it begins with, or what became of that by a renaming.
    #[must_use]
    pub fn prefix(&self) -> Prefix {
        let written = self.written_prefix();
        let former = FORMER.read().unwrap_or_else(PoisonError::into_inner);
        former.get(&written).cloned().unwrap_or(written)
    }

    /// What it begins with, up to its first dash.
    #[must_use]
    pub fn written_prefix(&self) -> Prefix {
        Prefix(self.0.split('-').next().unwrap_or_default().to_owned())
    }

    /// What follows the prefix and its dash.
    #[must_use]
    pub fn suffix(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, suffix)| suffix)
    }
}

/// The digits of ids.
const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Writes `number` in base 36.
///
/// # Panics
/// Never: a digit is below 36, and all of them are ASCII.
#[must_use]
pub fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(BASE36[usize::try_from(number % 36).expect("a digit is below 36")]);
        number /= 36;
        if number == 0 {
            break;
        }
    }
    digits.reverse();
    String::from_utf8(digits).expect("base 36 is ASCII")
}

/// The slot of a machine in a scope: the character that ends every id it mints there.
///
/// Slots 0 to 34 are one character; later ones are two, the second of which is `z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u16);

impl Slot {
    /// The highest slot that can be written.
    pub const MAX: u16 = 35 + 36 * 36 - 1;

    /// What ends an id minted under this slot.
    #[must_use]
    pub fn mark(self) -> String {
        if self.0 < 35 {
            return base36(u64::from(self.0));
        }
        let over = u64::from(self.0 - 35);
        let digits = base36(over);
        format!("{digits:0>2}z")
    }
}

/// A source of random ids; `GT_SEED` fixes it.
pub struct Ids(fastrand::Rng);

impl Ids {
    /// A source for one purpose. With `GT_SEED` it is fixed by seed and `salt`: what tells this purpose from the
    /// others of one process, which would else all draw the same.
    #[must_use]
    pub fn from_env(salt: u64) -> Self {
        match env::text(Var::Seed).and_then(|seed| seed.parse::<u64>().ok()) {
            Some(seed) => Self(fastrand::Rng::with_seed(seed.rotate_left(32) ^ salt)),
            None => Self(fastrand::Rng::new()),
        }
    }

    /// `len` random base-36 characters.
    pub fn letters(&mut self, len: usize) -> String {
        (0..len).map(|_| char::from(BASE36[self.0.usize(..36)])).collect()
    }

    /// A fresh id `<prefix>-<infix><random><slot>`, whose random part is `len` characters long.
    pub fn mint(&mut self, prefix: &Prefix, infix: &str, len: usize, slot: Slot) -> BeadId {
        BeadId(format!("{prefix}-{infix}{}{}", self.letters(len), slot.mark()))
    }

    /// A random number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.0.u64(..bound) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_directory_are_refused() {
        for bad in ["", "..", "a/b", "/etc", "-rf", "A", "a b", "a\0", "nul", "mayor", "a.lock", &"a".repeat(300)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
        assert_eq!("toast_2".parse::<Name>().unwrap().as_str(), "toast_2");
    }

    #[test]
    fn ids_are_safe_in_paths_and_refs() {
        for good in ["gt-abc12", "gt-abc12.1.3", "hq-cv-x7k2m", "gt-widgets-polecat-toast", "wi-a.1-k"] {
            assert!(good.parse::<BeadId>().is_ok(), "{good}");
        }
        for bad in ["gt", "gt-", "-x", "gt-a..b", "gt-a/b", "gt-a.lock", "gt-.a", "gt-a.", "GT-a", "gt-$(id)"] {
            assert!(bad.parse::<BeadId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn prefixes_come_from_the_name() {
        for (name, prefix) in [("widgets", "wi"), ("api", "api"), ("gas_town_web", "gtw")] {
            assert_eq!(Prefix::derived_from(&name.parse().unwrap()).as_str(), prefix);
        }
    }

    #[test]
    fn slots_never_share_an_ending() {
        let marks: std::collections::BTreeSet<String> = (0..=Slot::MAX).map(|n| Slot(n).mark()).collect();
        assert_eq!(marks.len(), usize::from(Slot::MAX) + 1);
        assert!((0..35).all(|n| !Slot(n).mark().ends_with('z')));
        assert!((35..=Slot::MAX).all(|n| Slot(n).mark().ends_with('z')));
    }
}
