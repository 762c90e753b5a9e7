//! Limits: what they count, for whom and how long, and when one is reached.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Item, Sum};
use crate::name::BeadId;

/// Millionths of a dollar in one.
const MICROS: f64 = 1_000_000.0;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Tokens, those read from a cache left out.
    Tokens,
    /// Dollars.
    Money,
    /// Sessions that were started.
    Spawns,
}

/// What a limit stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// One day, in UTC.
    Day,
    /// All time.
    Total,
    /// One bead, in all time.
    Bead,
}

impl Unit {
    /// All of them, with the words in configuration.
    pub const ALL: [(Self, &'static str); 3] = [(Self::Tokens, "tokens"), (Self::Money, "money"), (Self::Spawns, "spawns")];

    /// An amount in words.
    #[must_use]
    pub fn words(self, amount: u64) -> String {
        match self {
            Self::Tokens => format!("{amount} tokens"),
            Self::Money => format!("${}", dollars(amount)),
            Self::Spawns if amount == 1 => "1 start".to_owned(),
            Self::Spawns => format!("{amount} starts"),
        }
    }
}

impl Span {
    /// All of them, with the words in configuration.
    pub const ALL: [(Self, &'static str); 3] = [(Self::Day, "day"), (Self::Total, "total"), (Self::Bead, "bead")];
}

/// Dollars in words, from millionths.
#[must_use]
pub fn dollars(micros: u64) -> String {
    format!("{}.{:02}", micros / 1_000_000, micros % 1_000_000 / 10_000)
}

/// Millionths of a dollar, from an amount such as `12.50`.
#[must_use]
pub fn micros_of(text: &str) -> Option<u64> {
    let is_plain = text.trim().bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_plain { text.trim().parse().ok().and_then(micros_in) } else { None }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within bounds")]
pub(super) fn micros_in(dollars: f64) -> Option<u64> {
    (0.0..=1e9).contains(&dollars).then(|| (dollars * MICROS).round() as u64)
}

/// A limit, and how much of it is used.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Limit {
    /// The key that says it.
    pub key: String,
    /// Whose it is: `town`, a rig, or a bead.
    pub of: String,
    /// What it stands for.
    pub span: Span,
    /// What it counts.
    pub unit: Unit,
    /// How much may be used; money in millionths of a dollar.
    pub limit: u64,
    /// How much is.
    pub used: u64,
    /// Tokens whose price is not known, where it counts money.
    #[serde(skip_serializing_if = "is_zero")]
    pub unpriced: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Limit {
    /// Measures it against `sum`.
    #[must_use]
    pub fn measured(mut self, sum: &Sum) -> Self {
        self.used = match self.unit {
            Unit::Tokens => sum.tokens.counted(),
            Unit::Money => sum.micros,
            Unit::Spawns => sum.spawns,
        };
        self.unpriced = if self.unit == Unit::Money { sum.unpriced } else { 0 };
        self
    }

    /// Whether nothing more may be started: all of it is used, or nobody can tell how much.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.used >= self.limit || self.unpriced > 0
    }

    /// What is used of it, in words.
    #[must_use]
    pub fn words(&self) -> String {
        let span = match self.span {
            Span::Day => " today",
            Span::Total | Span::Bead => "",
        };
        let (used, limit) = (self.unit.words(self.used), self.unit.words(self.limit));
        if self.unpriced > 0 {
            return format!("{}: {used} of {limit}{span}, and {} tokens of unknown price", self.of, self.unpriced);
        }
        format!("{}: {used} of {limit}{span}", self.of)
    }
}

/// Whether `item` counts for what is said of `of` and `span` on `today`.
#[must_use]
pub fn counts(item: &Item, span: Span, rig: Option<&str>, bead: Option<&BeadId>, today: &str) -> bool {
    let is_of = |own: &str, named: Option<&str>| named.is_none_or(|named| named == own);
    match span {
        Span::Day => item.day == today && is_of(&item.whose.rig, rig),
        Span::Total => is_of(&item.whose.rig, rig),
        Span::Bead => bead.is_some_and(|bead| bead.as_str() == item.whose.bead),
    }
}
