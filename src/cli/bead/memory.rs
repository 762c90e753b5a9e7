//! The bead verbs for what agents learned: remember, memories, recall, forget.

use std::collections::BTreeMap;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::words::text;
use crate::cli::out::{Out, Page, Show, Style, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::ops::track::memory::{self, Remembered};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Remembered>("bead remember"),
    Answer::of::<Memories>("bead memories"),
    Answer::of::<Recalled>("bead recall"),
    Answer::of::<Forgotten>("bead forget"),
];

/// Keep what was learned, for all who come after; for example: gt bead remember "The tests want a running pump" --key pump
///
/// The same key again replaces what it said. gt prime tells every agent of the town what is kept.
#[derive(Args)]
pub struct Remember {
    /// What was learned; - for standard input, @FILE for what is in a file
    #[arg(allow_hyphen_values = true)]
    text: String,
    /// Under which key; its first words when not given
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl Remember {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the ledger of the town.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        Ok(out.show(&memory::remember(town, &text(town, &self.text)?, self.key.as_deref())?))
    }
}

impl Show for Remembered {
    fn show(&self, page: &mut Page) {
        page.line(format!("{} as {}", self.action, self.key));
    }
}

/// List what was learned, or what of it has TEXT in it; for example: gt bead memories pump
#[derive(Args)]
pub struct MemoriesArgs {
    /// Only with this in key or text, in any case
    #[arg(value_name = "TEXT")]
    search: Option<String>,
}

impl MemoriesArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the ledger of the town.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (found, damaged) = memory::memories(town, self.search.as_deref().unwrap_or_default())?;
        for one in &damaged {
            out.note(&format!("damaged: {}: {}", one.path, one.fault));
        }
        if found.is_empty() {
            out.note("nothing is remembered; gt bead remember TEXT keeps what was learned");
        }
        Ok(out.show(&Memories(found)))
    }
}

/// What was learned, by key.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Memories(BTreeMap<String, String>);

impl Show for Memories {
    fn show(&self, page: &mut Page) {
        for (key, value) in &self.0 {
            page.line(page.paint(Style::Bold, key));
            page.block(2, value);
        }
    }
}

/// Show what was learned under a key; exit 1 when nothing was
#[derive(Args)]
pub struct Recall {
    /// The key
    key: String,
}

impl Recall {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let value = memory::recall(town, &self.key)?;
        Ok(out.show(&Recalled { key: self.key.clone(), found: value.is_some(), value: value.unwrap_or_default() }))
    }
}

/// What was learned under a key.
#[derive(JsonSchema, Serialize)]
struct Recalled {
    key: String,
    /// Empty when nothing was.
    value: String,
    found: bool,
}

impl Show for Recalled {
    fn show(&self, page: &mut Page) {
        page.block(0, &self.value);
    }

    fn exit_code(&self) -> u8 {
        u8::from(!self.found)
    }
}

/// Forget what was learned under a key; exit 1 when nothing was
#[derive(Args)]
pub struct Forget {
    /// The key
    key: String,
}

impl Forget {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the ledger of the town.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        Ok(out.show(&Forgotten { key: self.key.clone(), deleted: memory::forget(town, &self.key)? }))
    }
}

/// A key that is forgotten.
#[derive(JsonSchema, Serialize)]
struct Forgotten {
    key: String,
    /// Whether something was kept under it.
    deleted: bool,
}

impl Show for Forgotten {
    fn show(&self, page: &mut Page) {
        page.line(format!("{} {}", escape(&self.key), if self.deleted { "is forgotten" } else { "was not remembered" }));
    }

    fn exit_code(&self) -> u8 {
        u8::from(!self.deleted)
    }
}
