//! What programs of agents tell of their costs, in the forms that they write.

use super::limit::micros_in;
use super::{Spent, Tokens};
use crate::error::{Error, Result};
use crate::model::record::Object;

/// What a session's program told on standard input, read by [`report`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Where it keeps what it said; its own name for the session.
    Transcript(String, String),
    /// What it spent so far; its own name for the session, when it has one.
    Spent(Vec<Spent>, Option<String>),
}

/// Reads what a program told: the JSON that Claude Code gives a hook (`transcript_path`), that of its answer
/// (`total_cost_usd`, `usage`), or a report such as `{"model": "m", "input_tokens": 5, "output_tokens": 7, "cost_usd": 0.1}`.
///
/// # Errors
/// Usage, when it is none of them.
pub fn report(text: &str, today: &str) -> Result<Report> {
    let wrong = |what: &str| {
        Error::usage(format!("what was given on standard input {what}"))
            .hint(r#"for example: {"model": "m", "input_tokens": 5, "output_tokens": 7, "cost_usd": 0.1}"#)
    };
    let object: Object = serde_json::from_str(text).map_err(|_| wrong("is no JSON object"))?;
    let word = |key: &str| object.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
    let session = word("session_id").filter(|id| !id.is_empty());
    if let Some(path) = word("transcript_path") {
        let stem = std::path::Path::new(&path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        return Ok(Report::Transcript(path, session.or(stem).unwrap_or_default()));
    }
    let usage = object.get("usage").and_then(serde_json::Value::as_object).unwrap_or(&object);
    let tokens = tokens_in(usage);
    let money = object.get("total_cost_usd").or_else(|| object.get("cost_usd"));
    let micros = match money {
        None => None,
        Some(money) => {
            let micros = money.as_f64().and_then(micros_in);
            Some(micros.ok_or_else(|| wrong("has a cost that is no amount of dollars"))?)
        }
    };
    if tokens == Tokens::default() && micros.is_none() {
        return Err(wrong("says neither tokens nor cost"));
    }
    let spent = Spent { day: today.to_owned(), model: word("model").unwrap_or_default(), tokens, micros };
    Ok(Report::Spent(vec![spent], session))
}

/// The tokens of a `usage` as Anthropic's API names them; see its Messages reference.
#[must_use]
pub fn tokens_in(usage: &Object) -> Tokens {
    let count = |object: &Object, key: &str| object.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let written = count(usage, "cache_creation_input_tokens");
    let by_age = usage.get("cache_creation").and_then(serde_json::Value::as_object);
    let long = by_age.map_or(0, |ages| count(ages, "ephemeral_1h_input_tokens")).min(written);
    Tokens {
        input: count(usage, "input_tokens"),
        output: count(usage, "output_tokens"),
        cache_write: written - long,
        cache_write_long: long,
        cache_read: count(usage, "cache_read_input_tokens"),
    }
}
