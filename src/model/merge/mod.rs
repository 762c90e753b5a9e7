//! How two versions of a record become one, and how a merged ledger is made whole again.
//!
//! Pure functions of base, ours and theirs. They promise symmetry: swapping ours and theirs gives the same
//! bytes, so that machines that merge the same pair agree without another round. A choice of a person or an
//! agent that had to yield is told as a [`Conflict`]. Which records differ is found by `ledger::merge`.

mod cycles;
mod lists;
mod record;
mod repair;
mod status;
mod texts;
mod told;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::record::{Object, Rev, SCHEMA_VERSION, encode};

pub use record::merge_record;
pub use repair::{Paths, Repaired, Touched, repair};
pub use texts::{MergedText, merge_texts};

/// The version of these rules; machines that know another one only fast-forward.
pub const MERGE_VERSION: u64 = 1;

/// The machine word in clocks of what a merge itself wrote.
pub const MERGE_MACHINE: &str = "merge";

/// What base, ours and theirs hold at one path; `None`: nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Versions {
    /// The common ancestor's.
    pub base: Option<Object>,
    /// One side's.
    pub ours: Option<Object>,
    /// The other side's.
    pub theirs: Option<Object>,
}

/// One record out of two.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// What stands at the path now; `None`: it is removed.
    pub object: Option<Object>,
    /// A different record that had the same minted id by chance, and must get another.
    pub second: Option<Object>,
    /// Choices that had to yield.
    pub conflicts: Vec<Conflict>,
}

/// A choice of a person or an agent that a merge overruled; stored under `conflicts/`.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Conflict {
    /// Schema version.
    pub v: u64,
    /// The record's path.
    pub path: String,
    /// The unit within it; `all`: the whole record.
    pub unit: String,
    /// The rule that decided.
    pub rule: String,
    /// What stands.
    pub kept: Value,
    /// The clock of what stands.
    #[serde(default)]
    pub kept_rev: Rev,
    /// What had to yield.
    pub overruled: Value,
    /// The clock of what had to yield.
    #[serde(default)]
    pub overruled_rev: Rev,
    /// Clock of the report.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// A value and its clock, as a conflict names them.
pub(crate) type Choice = (Value, Rev);

impl Conflict {
    pub(crate) fn new(path: &str, unit: &str, rule: &str, kept: Choice, overruled: Choice) -> Self {
        Self {
            v: SCHEMA_VERSION,
            path: path.to_owned(),
            unit: unit.to_owned(),
            rule: rule.to_owned(),
            kept: kept.0,
            kept_rev: kept.1,
            overruled: overruled.0,
            overruled_rev: overruled.1,
            rev: Rev::default(),
            extra: Object::new(),
        }
    }

    /// The name of the report: a hash of what it says, so that every machine that merges the same pair
    /// writes the same one.
    #[must_use]
    pub fn hash(&self) -> String {
        let plain = Self { rev: Rev::default(), ..self.clone() };
        content_hash(&encode(&super::record::object_of(&plain)))
    }
}

/// Twenty hexadecimal characters that name `bytes`.
///
/// # Panics
/// Never: hashing memory does not fail.
#[must_use]
pub fn content_hash(bytes: &[u8]) -> String {
    let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Blob, bytes);
    id.expect("hashing memory succeeds").to_string()[..20].to_owned()
}
