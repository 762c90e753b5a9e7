//! `gt undo`: what one did last, taken back.

use clap::Args;

use super::history::show_change;
use crate::cli::convoy::show_settled;
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::ops::past::undo::{Fate, Undone, undo};
use crate::town::Town;

/// What these print with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Undone>("bead undo")];

/// Take back what you did last, while nothing was built on it and no other machine has it
///
/// That may be a create, update, edit, state, close, reopen, label, comment, dependency, defer, pin, duplicate, supersede,
/// delete, restore or a letter that nobody read. A second undo takes the first one back. Example: gt undo --dry-run
#[derive(Args)]
pub struct Undo {
    /// Only tell what would change
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Undo {
    /// Takes it back.
    ///
    /// # Errors
    /// As [`undo`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        Ok(out.show(&undo(town, self.dry_run)?))
    }
}

impl Show for Undone {
    fn show(&self, page: &mut Page) {
        page.line(format!("{}: {}", if self.dry_run { "would undo" } else { "undid" }, escape(&self.subject)));
        for record in &self.records {
            let what = match record.what {
                Fate::Gone => "is gone",
                Fate::Back => "is back",
                Fate::Changed => "is as it was",
            };
            page.line(format!("{} {what}: {}", escape(&record.id), escape(&record.title)));
            record.changes.iter().for_each(|change| show_change(page, change));
        }
        for fault in &self.left_out {
            page.line(format!("  left out: {}", escape(fault)));
        }
        self.convoys.iter().for_each(|convoy| show_settled(page, convoy));
    }
}
