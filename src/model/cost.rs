//! What agents cost: tokens, money and starts, told by their own programs, and the limits that stand against them.
//!
//! A report says all that a session has spent so far, so that hearing it twice counts once. What a model costs that no
//! price is known of is not guessed: its money is unknown, and a limit in money fails closed on it.

mod limit;
mod price;
mod report;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Kind, OrFail, Result};
use crate::model::record::Object;
use crate::time::Moment;
pub use limit::{Limit, Span, Unit, counts, dollars, micros_of};
pub use price::{Price, price_of, prices};
pub use report::{Report, report, tokens_in};

/// Tokens by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// Read for the first time.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Put into a cache for minutes.
    pub cache_write: u64,
    /// Put into a cache for an hour.
    pub cache_write_long: u64,
    /// Read from a cache; a limit in tokens leaves them out.
    pub cache_read: u64,
}

impl Tokens {
    /// What a limit in tokens counts: all but what was read from a cache, which costs a small part and would drown the rest.
    #[must_use]
    pub fn counted(&self) -> u64 {
        [self.input, self.output, self.cache_write, self.cache_write_long].iter().fold(0, |sum, part| sum.saturating_add(*part))
    }

    fn parts(&mut self) -> [&mut u64; 5] {
        [&mut self.input, &mut self.output, &mut self.cache_write, &mut self.cache_write_long, &mut self.cache_read]
    }

    /// Adds `other`.
    pub fn add(&mut self, mut other: Self) {
        self.parts().into_iter().zip(other.parts()).for_each(|(sum, part)| *sum = sum.saturating_add(*part));
    }

    /// Keeps the larger of each kind: a later report of one session never takes back what an earlier one told.
    fn keep_larger(&mut self, mut other: Self) {
        self.parts().into_iter().zip(other.parts()).for_each(|(kept, part)| *kept = (*kept).max(*part));
    }
}

/// What one model was used for by one session on one day.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Spent {
    /// The day, as `2026-01-31`, in UTC.
    pub day: String,
    /// The model, as the program names it; may be empty.
    #[serde(default)]
    pub model: String,
    /// How many tokens.
    #[serde(default)]
    pub tokens: Tokens,
    /// What it cost, in millionths of a dollar; nothing, when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micros: Option<u64>,
}

/// A line of the book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Line {
    /// A session was to be started.
    Spawn {
        /// Its id.
        session: String,
        /// When.
        at: Moment,
        /// Whose, and for what.
        #[serde(flatten)]
        whose: Whose,
    },
    /// What a session has spent so far.
    Spent {
        /// The session, as whoever reports names it.
        session: String,
        /// When it was told.
        at: Moment,
        /// Whose, and for what.
        #[serde(flatten)]
        whose: Whose,
        /// By day and model.
        spent: Vec<Spent>,
    },
    /// The overseer was told of a limit.
    Told {
        /// Which, with its value and the time that it counts.
        limit: String,
        /// When.
        at: Moment,
    },
}

/// Whose cost it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Whose {
    /// The agent.
    pub agent: String,
    /// Its rig; empty for those of the town.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rig: String,
    /// The bead that it works on; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bead: String,
    /// Fields of a newer version.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Object,
}

/// What something cost in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Sum {
    /// Sessions that were started, or tried to be.
    pub spawns: u64,
    /// Tokens by kind.
    pub tokens: Tokens,
    /// Money, in millionths of a dollar, as far as it is known.
    pub micros: u64,
    /// Tokens whose price is not known.
    pub unpriced: u64,
}

/// A cost, taken apart: what one session spent on one day with one model, or its start.
#[derive(Clone, Debug)]
pub struct Item {
    /// Whose.
    pub whose: Whose,
    /// The day.
    pub day: String,
    /// The model; empty for a start.
    pub model: String,
    /// How much.
    pub sum: Sum,
}

/// Reads the book: one line after another; of each session the largest that it told.
///
/// # Errors
/// Corrupt, naming the first line that makes no sense: what cannot be read may be any amount.
pub fn read(lines: &str) -> Result<Vec<Line>> {
    let lines = lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(n, line)| serde_json::from_str(line).or_fail(Kind::Corrupt, || format!("read line {} of the costs", n + 1)))
        .collect()
}

/// What the lines come to.
#[must_use]
pub fn items(lines: &[Line]) -> Vec<Item> {
    let mut spawns: BTreeMap<&str, Item> = BTreeMap::new();
    let mut spent: BTreeMap<(&str, &str, &str), (Whose, Spent)> = BTreeMap::new();
    for line in lines {
        match line {
            Line::Spawn { session, at, whose } => {
                let item = || Item {
                    whose: whose.clone(),
                    day: day_of(*at),
                    model: String::new(),
                    sum: Sum { spawns: 1, ..Sum::default() },
                };
                spawns.entry(session).or_insert_with(item);
            }
            Line::Spent { session, whose, spent: parts, .. } => {
                for part in parts {
                    let (_, kept) =
                        spent.entry((session, &part.day, &part.model)).or_insert_with(|| (whose.clone(), part.clone()));
                    kept.tokens.keep_larger(part.tokens);
                    kept.micros = kept.micros.max(part.micros);
                }
            }
            Line::Told { .. } => {}
        }
    }
    let of_spent = |(whose, part): (Whose, Spent)| {
        let unpriced = if part.micros.is_none() { part.tokens.counted() } else { 0 };
        let sum = Sum { spawns: 0, tokens: part.tokens, micros: part.micros.unwrap_or(0), unpriced };
        Item { whose, day: part.day, model: part.model, sum }
    };
    spawns.into_values().chain(spent.into_values().map(of_spent)).collect()
}

/// The same with one line for each session that spent something, and the starts and tellings as they are.
#[must_use]
pub fn fold(lines: Vec<Line>) -> Vec<Line> {
    let mut kept: Vec<Line> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines {
        let Line::Spent { session, at, whose, spent } = line else {
            kept.push(line);
            continue;
        };
        let known = places.get(&session).and_then(|place| kept.get_mut(*place));
        if let Some(Line::Spent { at: last, spent: parts, .. }) = known {
            *last = at;
            for part in spent {
                merge(parts, part);
            }
        } else {
            places.insert(session.clone(), kept.len());
            kept.push(Line::Spent { session, at, whose, spent });
        }
    }
    kept
}

fn merge(parts: &mut Vec<Spent>, part: Spent) {
    match parts.iter_mut().find(|known| (&known.day, &known.model) == (&part.day, &part.model)) {
        Some(known) => {
            known.tokens.keep_larger(part.tokens);
            known.micros = known.micros.max(part.micros);
        }
        None => parts.push(part),
    }
}

impl Sum {
    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.spawns = self.spawns.saturating_add(other.spawns);
        self.tokens.add(other.tokens);
        self.micros = self.micros.saturating_add(other.micros);
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
    }
}

/// The day of a moment, as `2026-01-31`.
#[must_use]
pub fn day_of(at: Moment) -> String {
    at.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(session: &str, output: u64, micros: Option<u64>) -> Line {
        let tokens = Tokens { output, ..Tokens::default() };
        let spent = vec![Spent { day: "2026-01-01".into(), model: "m".into(), tokens, micros }];
        let whose = Whose { agent: "a".into(), bead: "wi-1".into(), ..Whose::default() };
        Line::Spent { session: session.into(), at: Moment::from_millis(0), whose, spent }
    }

    fn total(lines: &[Line]) -> Sum {
        let mut sum = Sum::default();
        for item in items(lines) {
            sum.add(&item.sum);
        }
        sum
    }

    #[test]
    fn what_a_session_tells_twice_counts_once_and_is_never_taken_back() {
        let lines = [spent("s", 5, Some(10)), spent("s", 7, Some(12)), spent("s", 1, None), spent("t", 1, Some(1))];
        let sum = total(&lines);
        assert_eq!((sum.tokens.output, sum.micros, sum.unpriced), (8, 13, 0));
        let folded = fold(lines.to_vec());
        assert_eq!((folded.len(), total(&folded)), (2, sum));
    }

    #[test]
    fn money_that_nobody_knows_reaches_every_limit_in_money() {
        let limit = Limit {
            key: "budget.day.money".into(),
            of: "town".into(),
            span: Span::Day,
            unit: Unit::Money,
            limit: 1_000_000,
            used: 0,
            unpriced: 0,
        };
        assert!(!limit.clone().measured(&total(&[spent("s", 5, Some(999_999))])).is_reached());
        assert!(limit.clone().measured(&total(&[spent("s", 5, Some(1_000_000))])).is_reached());
        assert!(limit.clone().measured(&total(&[spent("s", 5, None)])).is_reached());
        assert!(!Limit { unit: Unit::Tokens, ..limit }.measured(&total(&[spent("s", 5, None)])).is_reached());
    }

    #[test]
    fn a_line_that_makes_no_sense_is_damage_and_not_nothing() {
        let good = serde_json::to_string(&spent("s", 5, None)).unwrap();
        assert_eq!(read(&format!("{good}\n\n{good}\n")).unwrap().len(), 2);
        for bad in ["{", "{\"kind\":\"spent\"}", "nonsense"] {
            let error = read(&format!("{good}\n{bad}\n")).unwrap_err();
            assert!(error.kind == Kind::Corrupt && error.message.contains("line 2"), "{}", error.message);
        }
    }

    #[test]
    fn prices_are_those_of_the_longest_name_that_begins_the_models() {
        let mut all = prices().unwrap();
        let micros = |all: &[Price], model: &str| {
            price_of(all, model).map(|price| price.micros(&Tokens { input: 1_000_000, ..Tokens::default() }))
        };
        assert_eq!(micros(&all, "claude-opus-4-5-20251101"), Some(5_000_000));
        assert_eq!(micros(&all, "claude-opus-4-1-20250805"), Some(15_000_000));
        assert_eq!(micros(&all, "gpt-9"), None);
        all.insert(0, Price::of("claude-opus-4-5", "7 1 1 1").unwrap());
        assert_eq!(micros(&all, "claude-opus-4-5-20251101"), Some(7_000_000));
        for bad in ["1 2 3", "1 2 3 x", "1 2 3 -4", "1 2 3 inf", ""] {
            assert!(Price::of("m", bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn reports_are_read_as_programs_write_them() {
        let day = "2026-01-01";
        let hook = r#"{"session_id":"u1","transcript_path":"/x/u1.jsonl","hook_event_name":"Stop"}"#;
        assert_eq!(report(hook, day).unwrap(), Report::Transcript("/x/u1.jsonl".into(), "u1".into()));
        let answer = r#"{"type":"result","session_id":"u2","total_cost_usd":0.25,"usage":{"input_tokens":3,"output_tokens":4,
            "cache_creation_input_tokens":9,"cache_creation":{"ephemeral_1h_input_tokens":2},"cache_read_input_tokens":5}}"#;
        let Report::Spent(spent, session) = report(answer, day).unwrap() else { panic!("no report") };
        let tokens = Tokens { input: 3, output: 4, cache_write: 7, cache_write_long: 2, cache_read: 5 };
        assert_eq!((spent[0].tokens, spent[0].micros, session), (tokens, Some(250_000), Some("u2".into())));
        for bad in ["", "[]", "{}", r#"{"model":"m"}"#, r#"{"cost_usd":"much"}"#, r#"{"cost_usd":-1}"#] {
            assert_eq!(report(bad, day).unwrap_err().kind, Kind::Usage, "{bad}");
        }
    }

    #[test]
    fn amounts_are_read_and_written_to_the_cent() {
        assert_eq!(
            (micros_of("12.50"), micros_of("0"), micros_of("1e5"), micros_of("-1")),
            (Some(12_500_000), Some(0), None, None)
        );
        assert_eq!(dollars(12_509_999), "12.50");
    }
}
