//! What models cost: a table that comes with gt, and what configuration says before it.

use serde::Deserialize;

use super::Tokens;
use crate::error::{Kind, OrFail, Result};

const PRICES: &str = include_str!("../prices.json");

/// What a million tokens of each kind cost, in dollars.
#[derive(Clone, Debug, Deserialize)]
pub struct Price {
    /// The beginning of the model's name.
    pub model: String,
    input: f64,
    output: f64,
    cache_write: f64,
    cache_write_long: f64,
    cache_read: f64,
}

#[derive(Deserialize)]
struct PriceList {
    prices: Vec<Price>,
}

impl Price {
    /// A price in words: four numbers for input, output, and writing to and reading from a cache.
    #[must_use]
    pub fn of(model: &str, text: &str) -> Option<Self> {
        let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
        let [input, output, cache_write, cache_read] = numbers[..] else { return None };
        let is_right = numbers.iter().all(|number| number.is_finite() && (0.0..=10_000.0).contains(number));
        is_right.then(|| Self { model: model.into(), input, output, cache_write, cache_write_long: cache_write, cache_read })
    }

    /// What `tokens` cost, in millionths of a dollar, rounded up.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a price is an estimate, and never below zero"
    )]
    pub fn micros(&self, tokens: &Tokens) -> u64 {
        let parts = [
            (tokens.input, self.input),
            (tokens.output, self.output),
            (tokens.cache_write, self.cache_write),
            (tokens.cache_write_long, self.cache_write_long),
            (tokens.cache_read, self.cache_read),
        ];
        // Dollars for a million tokens are millionths of a dollar for one.
        parts.iter().map(|(count, price)| *count as f64 * price).sum::<f64>().ceil() as u64
    }
}

/// The prices that come with gt.
///
/// # Errors
/// A bug, when the table in this program cannot be read.
pub fn prices() -> Result<Vec<Price>> {
    let list: PriceList = serde_json::from_str(PRICES).or_fail(Kind::Bug, || "read the table of prices")?;
    Ok(list.prices)
}

/// The price of `model`: that whose name begins it, of several the longest; what comes first in `prices` before equals.
#[must_use]
pub fn price_of<'p>(prices: &'p [Price], model: &str) -> Option<&'p Price> {
    prices.iter().rev().filter(|price| model.starts_with(&price.model)).max_by_key(|price| price.model.len())
}
