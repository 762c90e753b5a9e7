//! The bead verb `comment`: remarks on beads, made and listed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use super::bead_id;
use super::words::file_text;
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::model::bead::Comment;
use crate::name::BeadId;
use crate::ops::track;
use crate::time::Moment;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Said>("bead comment"),
    Answer::of::<Remarks>("bead comment"),
    Answer::of::<Said>("bead comment add"),
    Answer::of::<Remarks>("bead comment list"),
];

/// Remarks on beads, for example: gt bead comment add wi-x7k2m "The seal is brittle"
///
/// `gt bead comment ID` lists them, `gt bead comment ID TEXT` adds one.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct CommentArgs {
    #[command(subcommand)]
    verb: Option<CommentVerb>,
    #[command(flatten)]
    short: Option<ShortComment>,
}

#[derive(Args)]
struct ShortComment {
    /// The bead
    id: String,
    /// What to say
    text: Vec<String>,
}

#[derive(Subcommand)]
enum CommentVerb {
    /// Add a remark to a bead
    Add {
        /// The bead
        id: String,
        /// What to say
        #[arg(required_unless_present = "file")]
        text: Vec<String>,
        /// Say what is in this file, or - for standard input
        #[arg(short, long, value_name = "FILE", conflicts_with = "text")]
        file: Option<PathBuf>,
    },
    /// List the remarks on a bead, the oldest first
    List {
        /// The bead
        id: String,
    },
}

impl CommentArgs {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match (&self.verb, &self.short) {
            (Some(CommentVerb::Add { id, file: Some(file), .. }), _) => Self::add(town, id, &file_text(town, file)?, out),
            (Some(CommentVerb::List { id }), _) => Self::list(town, id, out),
            (None, Some(ShortComment { id, text })) if text.is_empty() => Self::list(town, id, out),
            // Behind a flag a verb is taken for the first word: gt bead comment --json add ID TEXT.
            (None, Some(ShortComment { id, text })) if id == "list" && text.len() == 1 => Self::list(town, &text[0], out),
            (None, Some(ShortComment { id, text })) if id == "add" && text.len() > 1 => {
                Self::add(town, &text[0], &text[1..].join(" "), out)
            }
            (Some(CommentVerb::Add { id, text, file: None }), _) | (None, Some(ShortComment { id, text })) => {
                Self::add(town, id, &text.join(" "), out)
            }
            (None, None) => Err(Error::usage("no bead is named").hint("gt bead comment add ID TEXT")),
        }
    }

    fn add(town: &Town, id: &str, text: &str, out: Out) -> Result<u8> {
        let issue_id = bead_id(town, id)?;
        let comment = track::comment(town, &issue_id, text.trim_end())?;
        Ok(out.show(&Said { comment, issue_id }))
    }

    fn list(town: &Town, id: &str, out: Out) -> Result<u8> {
        let (ledger, issue_id) = town.resolve_bead(id)?;
        let comments = ledger.state()?.bead(&issue_id)?.comments;
        let comments = comments.into_iter().map(|comment| Said { comment, issue_id: issue_id.clone() }).collect();
        Ok(out.show(&Remarks { comments, now: town.now }))
    }
}

#[derive(JsonSchema, Serialize)]
struct Said {
    #[serde(flatten)]
    comment: Comment,
    issue_id: BeadId,
}

impl Show for Said {
    fn show(&self, page: &mut Page) {
        page.line(format!("said on {}", self.issue_id));
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Remarks {
    comments: Vec<Said>,
    #[serde(skip)]
    now: Moment,
}

impl Show for Remarks {
    fn show(&self, page: &mut Page) {
        for (n, Said { comment, .. }) in self.comments.iter().enumerate() {
            if n > 0 {
                page.gap();
            }
            page.line(format!("{} said {}:", escape(&comment.author), comment.created_at.ago(self.now)));
            page.block(2, &comment.text);
        }
    }

    fn nothing(&self) -> &'static str {
        "nobody said anything about it"
    }
}
