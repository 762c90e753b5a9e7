//! The bead verbs that take away and bring back: delete, deleted, restore.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::bead_id;
use crate::cli::convoy::show_settled;
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::{Kind, Result};
use crate::model::tombstone::Tombstone;
use crate::name::BeadId;
use crate::ops::past::delete::Options;
use crate::ops::past::{self, Deleted, Restored, Tracking};
use crate::ops::track::{LIMIT, Scopes};
use crate::time::Moment;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] =
    &[Answer::of::<Deleted>("bead delete"), Answer::of::<Stones>("bead deleted"), Answer::of::<Restored>("bead restore")];

/// Delete beads, for example: gt bead delete wi-x7k2m --reason 'filed twice'
///
/// A deleted bead leaves a tombstone, so that its id is not given again, and gt bead restore brings it back while
/// history holds it. What somebody works on, what is in review and what was archived is not deleted.
#[derive(Args)]
pub struct Delete {
    /// Ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Why
    #[arg(short, long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Their children too, and theirs
    #[arg(long)]
    cascade: bool,
    /// Also what others wait for: their dependencies on it are cut
    #[arg(short, long)]
    force: bool,
    /// Only tell what would happen
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// How often a bead may be deleted and restored by others while it is looked for.
const LOOKS_MAX: usize = 8;

/// The bead that `text` names, be it deleted. The living are asked first: what is deleted meanwhile has a grave then.
fn bead_or_grave(town: &Town, text: &str) -> Result<BeadId> {
    let mut found = bead_id(town, text);
    let Ok(id) = text.parse::<BeadId>() else { return found };
    for _ in 0..LOOKS_MAX {
        match &found {
            Err(error) if error.kind == Kind::NotFound => {}
            _ => return found,
        }
        let ledger = town.scope_of(&id.prefix())?;
        let state = ledger.state()?;
        if state.tombstone(&id)?.is_some_and(|stone| stone.moved_to.is_none()) {
            return Ok(id);
        }
        if !state.has_bead(&id)? {
            return found;
        }
        found = bead_id(town, text);
    }
    found
}

fn named(town: &Town, texts: &[String]) -> Result<Vec<BeadId>> {
    let mut ids = Vec::new();
    for text in texts {
        let id = bead_or_grave(town, text)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

impl Delete {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let Self { reason, cascade, force, dry_run, .. } = self;
        let options = Options { reason: reason.clone(), cascade: *cascade, force: *force, dry_run: *dry_run };
        let deleted = past::delete(town, &named(town, &self.ids)?, &options)?;
        deleted.notes.iter().for_each(|note| out.note(note));
        Ok(out.show(&deleted))
    }
}

impl Show for Deleted {
    fn show(&self, page: &mut Page) {
        let (verb, cut) = if self.dry_run { ("would delete", "would cut") } else { ("deleted", "cut") };
        for gone in &self.deleted {
            let verb = if gone.was_so { "was deleted already:" } else { verb };
            page.line(format!("{verb} {}: {}", gone.id, escape(&gone.title)));
        }
        for edge in &self.cut {
            page.line(format!("  {cut} the dependency of {} on {} ({})", edge.issue_id, edge.depends_on_id, edge.kind));
        }
        for Tracking { convoy, tracks } in &self.tracked {
            let names = joined(tracks, " ");
            page.line(format!("  convoy {convoy} goes on waiting for it; to end that: gt convoy remove {convoy} {names}"));
        }
    }
}

/// Bring deleted beads back as they last stood, for example: gt bead restore wi-x7k2m
#[derive(Args)]
pub struct Restore {
    /// Ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Also all that was deleted together with them; of one that is there, what is still deleted below it
    #[arg(long)]
    cascade: bool,
}

impl Restore {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        Ok(out.show(&past::restore(town, &named(town, &self.ids)?, self.cascade)?))
    }
}

impl Show for Restored {
    fn show(&self, page: &mut Page) {
        for back in &self.restored {
            let verb = if back.was_so { "was not deleted:" } else { "restored" };
            page.line(format!("{verb} {}: {}", back.id, escape(&back.title)));
        }
        for edge in &self.reconnected {
            page.line(format!("  {} depends on {} again ({})", edge.issue_id, edge.depends_on_id, edge.kind));
        }
        for fault in &self.left_out {
            page.line(format!("  left out: {}", escape(fault)));
        }
        if let Some(first) = self.restored.first().filter(|_| !self.still_deleted.is_empty()) {
            page.line(format!("  still deleted: {}", joined(&self.still_deleted, ", ")));
            page.line(format!("  to have them back too: gt bead restore {} --cascade", first.id));
        }
        self.convoys.iter().for_each(|convoy| show_settled(page, convoy));
    }
}

fn joined(ids: &[BeadId], between: &str) -> String {
    ids.iter().map(BeadId::as_str).collect::<Vec<_>>().join(between)
}

/// List what was deleted or moved to another id, the newest first
#[derive(Args)]
pub struct Graves {
    /// Only of this rig, or hq for the town's own
    #[arg(long, value_name = "RIG")]
    rig: Option<String>,
    /// Of every rig
    #[arg(long, conflicts_with = "rig")]
    all: bool,
    /// Rows to show; 0 for all
    #[arg(short = 'n', long, default_value_t = LIMIT)]
    limit: usize,
}

impl Graves {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let found = past::graves(town, &Scopes::of(town, self.rig.as_deref(), self.all)?, self.limit)?;
        for damaged in &found.damaged {
            out.note(&format!("cannot be read: {}: {}", damaged.path, damaged.fault));
        }
        if found.stones.len() < found.total {
            out.note(&format!("{} of {}; --limit 0 shows all", found.stones.len(), found.total));
        }
        Ok(out.show(&Stones { stones: found.stones, now: town.now }))
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Stones {
    stones: Vec<Tombstone>,
    #[serde(skip)]
    now: Moment,
}

impl Show for Stones {
    fn show(&self, page: &mut Page) {
        let row = |stone: &Tombstone| {
            let what = match &stone.moved_to {
                Some(new) => format!("is {new} now: {}", stone.title),
                None if stone.delete_reason.is_empty() => stone.title.clone(),
                None => format!("{} ({})", stone.title, stone.delete_reason),
            };
            vec![stone.id.to_string(), stone.deleted_at.ago(self.now), stone.deleted_by.clone(), what]
        };
        if !self.stones.is_empty() {
            page.table(&["ID", "WHEN", "BY", "TITLE"], &self.stones.iter().map(row).collect::<Vec<_>>());
        }
    }

    fn nothing(&self) -> &'static str {
        "nothing was deleted or moved"
    }
}
