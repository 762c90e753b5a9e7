//! `gt bead rename-prefix`: a rig's ids begin otherwise.

use clap::Args;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::name::{Name, Prefix};
use crate::ops::past::prefix::{Renaming, rename_prefix};
use crate::town::Town;

/// What it prints with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Renaming>("bead rename-prefix")];

/// Give a rig's ids another prefix; every old id leads to its bead
///
/// Beads that somebody works on, that are in review or were archived keep their ids, which stay good; the same command
/// renames them later. Example: gt bead rename-prefix wd --rig widgets
#[derive(Args)]
pub struct RenamePrefix {
    /// The new prefix, as wd or wd-
    prefix: String,
    /// The rig; else the one here
    #[arg(long, value_name = "NAME")]
    rig: Option<Name>,
    /// Only tell what would happen
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl RenamePrefix {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let to: Prefix = self.prefix.strip_suffix('-').unwrap_or(&self.prefix).parse()?;
        let place = town.rig_or_here(self.rig.as_ref())?;
        Ok(out.show(&rename_prefix(town, &place, &to, self.dry_run)?))
    }
}

impl Show for Renaming {
    fn show(&self, page: &mut Page) {
        let Self { rig, from, to, renamed, kept, followed, dry_run } = self;
        let (begin, became) = if *dry_run { ("would begin", "would be renamed") } else { ("begin", "renamed") };
        if from == to {
            page.line(format!("ids of rig {rig} begin with {to}-"));
        } else {
            page.line(format!("ids of rig {rig} {begin} with {to}-, and no more with {from}-"));
        }
        let example = renamed.first().map(|one| format!(", as {} to {}", one.id, one.moved_to)).unwrap_or_default();
        page.line(format!("{} beads {became}{example}", renamed.len()));
        for one in kept {
            page.line(format!("  {} keeps its id: {}", one.id, escape(&one.why)));
        }
        for id in followed {
            page.line(format!("  the dependencies of {id} follow"));
        }
    }
}
