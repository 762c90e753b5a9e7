//! The bead verbs that keep small words: state of a bead in several dimensions, and kv for the town.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use super::bead_id;
use super::words::text;
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::name::BeadId;
use crate::ops::track::dimension::{StateChange, set_state, states};
use crate::ops::track::kv::{self, Kept};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<StateChange>("bead state"),
    Answer::of::<OneState>("bead state"),
    Answer::of::<States>("bead state"),
    Answer::of::<Kept>("bead kv set"),
    Answer::of::<Found>("bead kv get"),
    Answer::of::<All>("bead kv list"),
    Answer::of::<Cleared>("bead kv clear"),
];

/// Read and set the states of a bead, for example: gt bead state wi-x7k2m patrol=muted --reason "Too loud"
///
/// A state is a label DIMENSION:VALUE, of which a bead has one a dimension. DIMENSION=VALUE sets it and leaves a remark,
/// DIMENSION= takes it away, DIMENSION reads it (exit 1: it has none), no word or "list ID" shows all.
#[derive(Args)]
pub struct StateArgs {
    /// The bead
    id: String,
    /// DIMENSION=VALUE to set, DIMENSION to read
    word: Option<String>,
    /// Why it changes
    #[arg(short, long)]
    reason: Option<String>,
}

impl StateArgs {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (id, word) = match (self.id.as_str(), &self.word) {
            ("list", Some(id)) => (id.as_str(), None),
            (id, word) => (id, word.as_deref()),
        };
        let set = word.and_then(|word| word.split_once('='));
        if self.reason.is_some() && set.is_none() {
            return Err(Error::usage("a reason is for a change").hint("gt bead state ID DIMENSION=VALUE --reason WHY"));
        }
        if let Some((dimension, value)) = set {
            let id = bead_id(town, id)?;
            let value = (!value.is_empty()).then_some(value);
            return Ok(out.show(&set_state(town, &id, dimension, value, self.reason.as_deref())?));
        }
        let (ledger, issue_id) = town.resolve_bead(id)?;
        let states = states(&ledger.state()?.bead(&issue_id)?.labels);
        match word {
            None => Ok(out.show(&States(states))),
            Some(dimension) => {
                let value = states.get(dimension).cloned();
                Ok(out.show(&OneState { issue_id, dimension: dimension.to_owned(), value }))
            }
        }
    }
}

impl Show for StateChange {
    fn show(&self, page: &mut Page) {
        let word = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), escape);
        let (id, dimension, new) = (&self.issue_id, escape(&self.dimension), word(&self.new_value));
        page.line(if self.changed {
            format!("{dimension} of {id} is now {new}; it was {}", word(&self.old_value))
        } else {
            format!("{dimension} of {id} was {new} already")
        });
    }
}

/// A state of a bead.
#[derive(JsonSchema, Serialize)]
struct OneState {
    issue_id: BeadId,
    dimension: String,
    /// `null`: it has none.
    value: Option<String>,
}

impl Show for OneState {
    fn show(&self, page: &mut Page) {
        self.value.iter().for_each(|value| page.line(escape(value)));
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.value.is_none())
    }

    fn nothing(&self) -> &'static str {
        "it has no such state"
    }
}

/// The states of a bead by dimension.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct States(BTreeMap<String, String>);

impl Show for States {
    fn show(&self, page: &mut Page) {
        self.0.iter().for_each(|(dimension, value)| page.line(format!("{}: {}", escape(dimension), escape(value))));
    }

    fn nothing(&self) -> &'static str {
        "it has no states"
    }
}

/// Words that the town keeps for agents and scripts, for example: gt bead kv set build.last-green 8d2f1c0
#[derive(Args)]
pub struct KvArgs {
    #[command(subcommand)]
    verb: KvVerb,
}

#[derive(Subcommand)]
enum KvVerb {
    /// Keep a value under a key
    Set {
        /// Letters, digits, dots, dashes, colons and underscores
        key: String,
        /// The value; - for standard input, @FILE for what is in a file
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Show what is kept under a key; exit 1 when nothing is
    Get {
        /// The key
        key: String,
    },
    /// Show all keys and values
    List,
    /// Forget a key
    #[command(alias = "delete")]
    Clear {
        /// The key
        key: String,
    },
}

impl KvArgs {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            KvVerb::Set { key, value } => Ok(out.show(&kv::set(town, key, &text(town, value)?)?)),
            KvVerb::Get { key } => {
                let kept = kv::get(town, key)?;
                Ok(out.show(&Found { key: key.clone(), value: kept.map(|kept| kept.value) }))
            }
            KvVerb::List => {
                let (kept, damaged) = kv::list(town)?;
                for one in &damaged {
                    out.note(&format!("damaged: {}: {}", one.path, one.fault));
                }
                Ok(out.show(&All(kept.into_iter().map(|kept| (kept.key, kept.value)).collect())))
            }
            KvVerb::Clear { key } => Ok(out.show(&Cleared { key: key.clone(), was_there: kv::clear(town, key)? })),
        }
    }
}

impl Show for Kept {
    fn show(&self, page: &mut Page) {
        page.line(format!("{} is kept", self.key));
    }
}

/// What is kept under a key.
#[derive(JsonSchema, Serialize)]
struct Found {
    key: String,
    /// `null`: nothing is.
    value: Option<String>,
}

impl Show for Found {
    fn show(&self, page: &mut Page) {
        self.value.iter().for_each(|value| page.block(0, value));
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.value.is_none())
    }

    fn nothing(&self) -> &'static str {
        "nothing is kept under that key"
    }
}

/// Everything that is kept, by key.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct All(BTreeMap<String, String>);

impl Show for All {
    fn show(&self, page: &mut Page) {
        for (key, value) in &self.0 {
            page.line(format!("{}: {}", escape(key), escape(value)));
        }
    }

    fn nothing(&self) -> &'static str {
        "nothing is kept"
    }
}

/// A key that is forgotten.
#[derive(JsonSchema, Serialize)]
struct Cleared {
    key: String,
    /// Whether something was kept under it.
    was_there: bool,
}

impl Show for Cleared {
    fn show(&self, page: &mut Page) {
        page.line(format!("{} {}", escape(&self.key), if self.was_there { "is forgotten" } else { "was not kept" }));
    }
}
