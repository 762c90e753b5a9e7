//! `gt directive`: what town and rigs tell all who have a role.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::bead::words;
use crate::cli::out::{Out, Page, Show, escape, shorten};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::name::Name;
use crate::ops::directive::{self, Listed};
use crate::town::{RigPlace, Town};

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<AllListed>("directive list"),
    Answer::of::<Shown>("directive show"),
    Answer::of::<Said>("directive set"),
    Answer::of::<Removed>("directive remove"),
];

/// Tell all who have a role what your town or rig wants of them; gt prime repeats it
///
/// Example: gt directive set polecat --rig widgets -m 'Write tests as sentences.'
#[derive(Args)]
pub struct DirectiveArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the directives of the town and its rigs
    List,
    /// Show a directive; exit 1 when there is none
    Show(Which),
    /// Set a directive, in place of the one before; for example: gt directive set crew --file crew.md
    Set {
        #[command(flatten)]
        which: Which,
        /// What it says
        #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "file")]
        message: Option<String>,
        /// What it says is in this file; on standard input when neither is given
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Take a directive away; exit 1 when there is none
    Remove(Which),
}

#[derive(Args)]
struct Which {
    /// The role, such as polecat or crew
    role: String,
    /// Of this rig; else of the town
    #[arg(long)]
    rig: Option<Name>,
}

impl Which {
    fn place(&self, town: &Town) -> Result<Option<RigPlace>> {
        self.rig.as_ref().map(|rig| town.rig(rig)).transpose()
    }
}

impl DirectiveArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As [`directive::list`], [`directive::find`], [`directive::set`] and [`directive::remove`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            Verb::List => {
                let (found, damaged) = directive::list(town)?;
                for one in &damaged {
                    out.note(&format!("damaged: {}: {}", one.path, one.fault));
                }
                Ok(out.show(&AllListed(found)))
            }
            Verb::Show(which) => {
                let directive = directive::find(town, &which.role, which.place(town)?.as_ref())?;
                Ok(out.show(&Shown { directive }))
            }
            Verb::Set { which, message, file } => {
                let place = which.place(town)?;
                let text = match (message, file) {
                    (Some(text), _) => text.clone(),
                    (None, Some(file)) => words::file_text(town, file)?,
                    (None, None) => words::text(town, "-")?,
                };
                Ok(out.show(&Said(directive::set(town, &which.role, place.as_ref(), &text)?)))
            }
            Verb::Remove(which) => {
                let was_there = directive::remove(town, &which.role, which.place(town)?.as_ref())?;
                Ok(out.show(&Removed { was_there }))
            }
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct AllListed(Vec<Listed>);

#[derive(JsonSchema, Serialize)]
struct Shown {
    directive: Option<Listed>,
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Said(Listed);

#[derive(JsonSchema, Serialize)]
struct Removed {
    was_there: bool,
}

/// How it stands with a directive on this machine.
const fn here(one: &Listed) -> &'static str {
    if one.is_trusted { "trusted" } else { "NOT TRUSTED" }
}

impl Show for AllListed {
    fn show(&self, page: &mut Page) {
        if self.0.is_empty() {
            return page.line("no directives are set");
        }
        let row = |one: &Listed| {
            vec![one.scope.clone(), one.role.clone(), here(one).to_owned(), one.updated_by.clone(), shorten(&one.text, 100)]
        };
        page.table(&["SCOPE", "ROLE", "HERE", "BY", "TEXT"], &self.0.iter().map(row).collect::<Vec<_>>());
    }
}

impl Show for Shown {
    fn show(&self, page: &mut Page) {
        let Some(one) = &self.directive else { return page.line("no directive is set") };
        let by = escape(&one.updated_by);
        page.line(format!("for {} of the {}, by {by} at {}, {} here", escape(&one.role), one.scope, one.updated_at, here(one)));
        page.block(2, &one.text);
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.directive.is_none())
    }
}

impl Show for Said {
    fn show(&self, page: &mut Page) {
        page.line(format!("gt prime tells it to every {} of the {} from now on", escape(&self.0.role), self.0.scope));
    }
}

impl Show for Removed {
    fn show(&self, page: &mut Page) {
        page.line(if self.was_there { "removed" } else { "no directive was set" });
    }

    fn exit_code(&self) -> u8 {
        u8::from(!self.was_there)
    }
}
