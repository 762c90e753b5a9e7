//! `gt prime --hook`, and how every command that an agent's program calls hears and answers it.
//!
//! It ends with 0 whatever happens: a town that is damaged or gone is told, never as "no work", and breaks no session.

use std::io::{IsTerminal as _, Read as _};

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::prime::PrimeArgs;
use crate::error::{Error, Result};
use crate::model::runtime_hooks::Runtime;
use crate::model::runtime_hooks::speech::{self, Heard, Say};
use crate::ops::signal;
use crate::town::Town;

/// The most that is heard of a program.
const HEARD_BYTES_MAX: u64 = 1024 * 1024;

/// Whom to answer.
#[derive(Args)]
pub struct HookForm {
    /// Called by an agent's program: hear its JSON on standard input, answer in its form, end with 0
    #[arg(long, value_enum, value_name = "PROGRAM", num_args = 0..=1, require_equals = true, default_missing_value = "claude", hide_possible_values = true)]
    pub hook: Option<Runtime>,
}

/// What a program is answered.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Said(Value);

impl Said {
    /// `say`, as `runtime` understands it.
    pub fn to(runtime: Runtime, say: Say<'_>) -> Self {
        Self(speech::answer(runtime, say))
    }
}

impl Show for Said {
    fn show(&self, page: &mut Page) {
        page.verbatim(self.0.to_string());
    }
}

/// What the program says; nothing from a terminal, where nobody would end it.
pub fn hear() -> Heard {
    let (mut bytes, input) = (Vec::new(), std::io::stdin());
    if !input.is_terminal() {
        // What cannot be read to its end is heard as far as it goes, which is no JSON.
        let _ = input.lock().take(HEARD_BYTES_MAX).read_to_end(&mut bytes);
    }
    Heard::of(&bytes)
}

/// What is told when the state cannot be read.
pub fn trouble(error: &Error) -> String {
    format!(
        "gt cannot read its state: {}\nThis does not mean that there is no work and no mail. Look again later: gt hook, gt inbox",
        escape(&error.line())
    )
}

/// The text of an outcome, as it is printed where no terminal is.
pub fn text_of(outcome: &impl Show) -> String {
    let mut page = Page::default();
    outcome.show(&mut page);
    page.into_text()
}

/// Primes the agent whose program calls.
pub fn run(args: &PrimeArgs, runtime: Runtime, town: impl FnOnce() -> Result<Town>, out: Out) -> u8 {
    let heard = hear();
    let primed = || -> Result<Option<String>> {
        let town = town()?;
        if heard.has_forgotten() {
            signal::forget(&town)?;
        }
        if heard.is_before_compaction() {
            return Ok(None);
        }
        Ok(Some(text_of(&args.run(&town, out)?)))
    };
    let text = match primed() {
        Ok(text) => text,
        Err(_) if heard.is_before_compaction() => None,
        Err(error) => Some(trouble(&error)),
    };
    out.show(&Said::to(runtime, text.as_deref().map_or(Say::Nothing, Say::Start)));
    0
}
