//! `gt signal`, `gt guard`: what an agent's program asks while it works.

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::mail;
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::prime_hook::{HookForm, Said, hear, text_of};
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::model::guard::{self, Forbidden};
use crate::model::runtime_hooks::Runtime;
use crate::model::runtime_hooks::speech::Say;
use crate::ops::signal;
use crate::town::{Start, Town};

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Said>("prime"),
    Answer::of::<Said>("signal stop"),
    Answer::of::<Said>("signal prompt"),
    Answer::of::<Judged>("guard"),
    Answer::of::<Said>("guard"),
];

/// Answer an agent's program that calls at a turn of its session; see gt hooks
#[derive(Args)]
pub struct SignalArgs {
    #[command(subcommand)]
    verb: SignalVerb,
}

#[derive(Subcommand)]
enum SignalVerb {
    /// Say whether the agent may stop: a polecat with commits that it did not hand in is told so, once
    ///
    /// Example: gt signal stop --hook=claude
    Stop(HookForm),
    /// Say what has come for the agent since: mail and nudges, as gt mail check --inject
    Prompt(HookForm),
}

impl SignalArgs {
    /// Answers, and ends with 0 whatever happens.
    pub fn run(&self, town: impl FnOnce() -> Result<Town>, out: Out) -> u8 {
        match &self.verb {
            SignalVerb::Stop(form) => stop(form.hook.unwrap_or(Runtime::Claude), town, out),
            SignalVerb::Prompt(form) => prompt(form.hook.unwrap_or(Runtime::Claude), town, out),
        }
    }
}

fn stop(runtime: Runtime, town: impl FnOnce() -> Result<Town>, out: Out) -> u8 {
    let heard = hear();
    // Who is called again does not even need a town.
    let told = if heard.is_again { Ok(None) } else { town().and_then(|town| signal::before_stop(&town, &heard)) };
    let reason = told.unwrap_or_else(|error| {
        out.note(&format!("the agent may stop; whether its work is finished is not known: {}", escape(&error.line())));
        None
    });
    out.show(&Said::to(runtime, reason.as_deref().map_or(Say::Nothing, Say::Finish)));
    0
}

fn prompt(runtime: Runtime, town: impl FnOnce() -> Result<Town>, out: Out) -> u8 {
    hear();
    mail::tell(town, |injected| {
        let text = text_of(injected);
        let say = if text.trim().is_empty() { Say::Nothing } else { Say::Prompt(&text) };
        out.show(&Said::to(runtime, say))
    });
    0
}

/// Say whether an agent may run a command
///
/// No agent forces a push or makes a new repository; polecats neither push to target branches nor use the stash, which all
/// sandboxes share. What is not clearly forbidden passes. Ends with 1 when the command is forbidden.
///
/// Example: gt guard 'git push --force' --actor widgets/polecats/toast
#[derive(Args)]
pub struct GuardArgs {
    /// The line, as for a shell
    #[arg(required_unless_present = "hook")]
    command: Option<String>,
    #[command(flatten)]
    form: HookForm,
}

/// Whether a command may be run.
#[derive(JsonSchema, Serialize)]
struct Judged {
    /// It.
    command: String,
    /// Why not; `null` when it may.
    forbidden: Option<String>,
}

impl GuardArgs {
    /// Judges; an agent's program is always answered with 0.
    ///
    /// # Errors
    /// Usage, when neither a command nor a program is named.
    pub fn run(&self, start: &Start, out: Out) -> Result<u8> {
        let judge =
            |line: &str| signal::asker(start).and_then(|asker| guard::judge(line, &asker)).map(|why| Forbidden::reason(&why));
        if let Some(runtime) = self.form.hook {
            let command = self.command.clone().or_else(|| hear().command);
            let forbidden = command.and_then(|line| judge(&line));
            out.show(&Said::to(runtime, forbidden.as_deref().map_or(Say::Nothing, Say::Forbid)));
            return Ok(0);
        }
        let command = self.command.clone().ok_or_else(|| Error::usage("which command?").hint("gt guard 'git push --force'"))?;
        let forbidden = judge(&command);
        Ok(out.show(&Judged { command, forbidden }))
    }
}

impl Show for Judged {
    fn show(&self, page: &mut Page) {
        match &self.forbidden {
            Some(why) => page.line(format!("forbidden: {}", escape(why))),
            None => page.line("it may be run"),
        }
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.forbidden.is_some())
    }
}
