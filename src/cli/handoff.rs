//! `gt handoff`, `gt resume`, `gt checkpoint`: what an agent leaves to itself when its context ends.

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::bead;
use crate::cli::out::{Out, Page, Show, ago, escape};
use crate::cli::schema::Answer;
use crate::env::{self, Var};
use crate::error::Result;
use crate::model::mail::Letter;
use crate::ops::checkpoint::{self, Checkpoint};
use crate::ops::handoff::{self, HandedOff, Plan};
use crate::time;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<HandedOff>("handoff"),
    Answer::of::<Resumed>("resume"),
    Answer::of::<Noted>("checkpoint write"),
    Answer::of::<Kept>("checkpoint read"),
    Answer::of::<Cleared>("checkpoint clear"),
];

/// Hand your work over to a fresh session of yourself: what you write is the first that it is told
///
/// Your hook and your workspace stay as they are; the session that you run in ends. Outside of a session only the letter is
/// written. Example: gt handoff -s 'write the test for the pump' -m 'the leak is in seal.rs; do not touch the valve'
#[derive(Args)]
pub struct HandoffArgs {
    /// The bead that it is about; it must be on your hook
    bead: Option<String>,
    /// What comes next, in a line
    #[arg(short, long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    subject: String,
    /// What else there is to know; - for standard input, @FILE for what is in a file
    #[arg(short, long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    message: String,
    /// Tell how your workspace and your mailbox stand, too
    #[arg(short, long)]
    collect: bool,
}

impl HandoffArgs {
    /// Writes the letter, prints that, and then lets a fresh session take over.
    ///
    /// # Errors
    /// As [`handoff::hand_off`] and [`handoff::go_on`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let plan = Plan {
            bead: self.bead.clone(),
            next: self.subject.clone(),
            notes: bead::text(town, &self.message)?,
            collect: self.collect,
        };
        let outcome = handoff::hand_off(town, &plan, env::text(Var::Session).as_deref())?;
        let goes_on = outcome.goes_on;
        let code = out.show(&outcome);
        if goes_on {
            handoff::go_on(town)?;
        }
        Ok(code)
    }
}

impl Show for HandedOff {
    fn show(&self, page: &mut Page) {
        let kept = self.bead.as_ref().map(|bead| format!("; {bead} stays on the hook")).unwrap_or_default();
        page.line(format!("handed off with {}{kept}", self.letter));
        match &self.reason {
            None => page.line("a fresh session takes over"),
            Some(reason) => page.line(format!("no session was started anew, since {reason}; the next one is told by gt prime")),
        }
    }
}

/// Show the hand-off that waits for you, and mark it as read; exit 1 when there is none
#[derive(Args)]
pub struct ResumeArgs {}

impl ResumeArgs {
    /// Shows it.
    ///
    /// # Errors
    /// As [`handoff::resume`].
    pub fn run(town: &Town) -> Result<Resumed> {
        Ok(Resumed { letter: handoff::resume(town)? })
    }
}

/// The hand-off that waits.
#[derive(JsonSchema, Serialize)]
pub struct Resumed {
    letter: Option<Letter>,
}

impl Show for Resumed {
    fn show(&self, page: &mut Page) {
        let Some(letter) = &self.letter else { return page.line("no hand-off waits for you; gt hook shows your assignment") };
        page.line(format!("{} of {}", escape(&letter.subject), letter.sent_at));
        page.block(2, &letter.body);
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.letter.is_none())
    }
}

/// Note how far you are, for yourself after a crash; gt prime tells it to your next session
#[derive(Args)]
pub struct CheckpointArgs {
    #[command(subcommand)]
    verb: CheckpointVerb,
}

#[derive(Subcommand)]
enum CheckpointVerb {
    /// Note it, in place of what was noted before; for example: gt checkpoint write --notes 'parser done, tests next'
    Write {
        /// How far you are; - for standard input, @FILE for what is in a file
        #[arg(short, long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
        notes: String,
    },
    /// Show what you noted; exit 1 when there is nothing
    Read,
    /// Forget it; exit 1 when there is nothing
    Clear,
}

impl CheckpointArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As [`checkpoint::write`], [`checkpoint::read`] and [`checkpoint::clear`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            CheckpointVerb::Write { notes } => Ok(out.show(&Noted(checkpoint::write(town, &bead::text(town, notes)?)?))),
            CheckpointVerb::Read => Ok(out.show(&Kept { checkpoint: checkpoint::read(town, &town.me)? })),
            CheckpointVerb::Clear => Ok(out.show(&Cleared { was_there: checkpoint::clear(town)? })),
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Noted(Checkpoint);

#[derive(JsonSchema, Serialize)]
struct Kept {
    checkpoint: Option<Checkpoint>,
}

#[derive(JsonSchema, Serialize)]
struct Cleared {
    was_there: bool,
}

impl Show for Noted {
    fn show(&self, page: &mut Page) {
        page.line("noted; gt prime tells it to your next session, on this machine");
    }
}

impl Show for Kept {
    fn show(&self, page: &mut Page) {
        let Some(checkpoint) = &self.checkpoint else { return page.line("nothing is noted") };
        let about = checkpoint.bead.as_ref().map(|bead| format!(" on {bead}")).unwrap_or_default();
        page.line(format!("noted {}{about}", ago::when(checkpoint.at, time::now().unwrap_or(checkpoint.at))));
        page.block(2, &checkpoint.notes);
        checkpoint.standing.lines().iter().for_each(|line| page.block(2, line));
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.checkpoint.is_none())
    }
}

impl Show for Cleared {
    fn show(&self, page: &mut Page) {
        page.line(if self.was_there { "forgotten" } else { "nothing was noted" });
    }

    fn exit_code(&self) -> u8 {
        u8::from(!self.was_there)
    }
}
