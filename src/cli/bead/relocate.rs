//! `gt bead move`: a bead goes to another scope.

use clap::Args;

use super::bead_id;
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::name::{BeadId, Prefix};
use crate::ops::past::relocate::{Moved, relocate};
use crate::ops::track;
use crate::town::Town;

/// What it prints with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Moved>("bead move")];

/// Move a bead to another rig, where it gets a new id; the old id leads to it
///
/// Moving it back gives it the old id again. Example: gt bead move wi-x7k2m gadgets
#[derive(Args)]
pub struct Move {
    /// The bead
    id: String,
    /// Where to: a rig, its prefix, or hq for the town's own
    #[arg(value_name = "PREFIX")]
    to: String,
    /// Its children go along, and theirs
    #[arg(long)]
    cascade: bool,
    /// Only tell what would happen
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Move {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let to = track::scope_named(town, &self.to)?;
        let id = self.named(town, &to)?;
        Ok(out.show(&relocate(town, &id, &to, self.cascade, self.dry_run)?))
    }

    /// The bead; by its old id when it went where it is to go, which may have to be finished.
    fn named(&self, town: &Town, to: &Prefix) -> Result<BeadId> {
        let found = bead_id(town, &self.id)?;
        if let Ok(id) = self.id.parse::<BeadId>()
            && id.prefix() != *to
            && found.prefix() == *to
        {
            let stone = town.scope_of(&id.prefix())?.state()?.tombstone(&id)?;
            if stone.is_some_and(|stone| stone.moved_to.as_ref() == Some(&found)) {
                return Ok(id);
            }
        }
        Ok(found)
    }
}

impl Show for Moved {
    fn show(&self, page: &mut Page) {
        let verb = match (self.dry_run, self.was_so) {
            (_, true) => "is already",
            (true, false) => "would become",
            (false, false) => "is now",
        };
        for one in &self.moved {
            page.line(format!("{} {verb} {}: {}", one.id, one.moved_to, escape(&one.title)));
        }
        for id in &self.followed {
            page.line(format!("  the dependencies of {id} follow"));
        }
    }
}
