//! `gt salvage`: what was saved before something was reset or removed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Cell, Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::name::Name;
use crate::ops::mailbox;
use crate::ops::salvage::{self, Dropped, Restored, Saved, Shown};
use crate::time::Moment;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<AllSaved>("salvage list"),
    Answer::of::<Shown>("salvage show"),
    Answer::of::<Restored>("salvage restore"),
    Answer::of::<Dropped>("salvage drop"),
];

/// List, show, bring back and drop what was saved of agents before their sandboxes were reset or removed
#[derive(Args)]
pub struct SalvageArgs {
    #[command(subcommand)]
    verb: SalvageVerb,
}

#[derive(Subcommand)]
enum SalvageVerb {
    List(List),
    /// Show what one of them holds
    Show(Named),
    Restore(Restore),
    /// Drop one of them: nothing keeps it any more
    Drop(Named),
}

/// List what is saved, newest first
#[derive(Args)]
struct List {
    /// Of this agent only
    agent: Option<String>,
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
}

#[derive(Args)]
struct Named {
    /// Its name, its commit, or an agent: then the newest
    name: String,
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
}

/// Bring back what was saved: all of it in a new worktree, or some paths into the checkout here
///
/// Example: gt salvage restore toast --to /tmp/toast-was
#[derive(Args)]
struct Restore {
    /// Its name, its commit, or an agent: then the newest
    name: String,
    /// These paths, into the checkout here; what is there and not committed is not overwritten
    #[arg(required_unless_present = "to", conflicts_with = "to")]
    paths: Vec<String>,
    /// All of it, as a new worktree at this place
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Overwrite what is there and not committed
    #[arg(long, conflicts_with = "to")]
    force: bool,
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
}

impl SalvageArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            SalvageVerb::List(list) => {
                let place = town.rig_or_here(list.rig.as_ref())?;
                let agent = list.agent.as_deref().map(|agent| mailbox::recipient(town, agent)).transpose()?;
                let all = salvage::list(&place, agent.as_ref())?;
                Ok(out.show(&AllSaved { all, now: town.now }))
            }
            SalvageVerb::Show(named) => {
                let place = town.rig_or_here(named.rig.as_ref())?;
                Ok(out.show(&salvage::show(&place, salvage::find(&place, &named.name)?)?))
            }
            SalvageVerb::Restore(restore) => {
                let place = town.rig_or_here(restore.rig.as_ref())?;
                let saved = salvage::find(&place, &restore.name)?;
                Ok(out.show(&match &restore.to {
                    Some(to) => salvage::restore_whole(&place, &saved, &town.dir.join(to))?,
                    None => salvage::restore_paths(town, &place, &saved, &restore.paths, restore.force)?,
                }))
            }
            SalvageVerb::Drop(named) => {
                let place = town.rig_or_here(named.rig.as_ref())?;
                Ok(out.show(&salvage::drop(town, &place, &salvage::find(&place, &named.name)?)?))
            }
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct AllSaved {
    all: Vec<Saved>,
    #[serde(skip)]
    now: Moment,
}

impl Show for AllSaved {
    fn show(&self, page: &mut Page) {
        if self.all.is_empty() {
            return page.line("nothing is saved: nobody's unsaved work was ever in the way here");
        }
        let row = |one: &Saved| {
            vec![
                Cell::from(escape(&one.name)).whole(),
                Cell::from(one.saved_at.ago(self.now)),
                Cell::from(escape(one.what.first().map_or("", String::as_str))),
            ]
        };
        page.table(&["SALVAGE", "SAVED", "WHAT"], &self.all.iter().map(row).collect::<Vec<_>>());
    }
}

impl Show for Shown {
    fn show(&self, page: &mut Page) {
        let saved = &self.saved;
        page.line(format!("{} saved {} as {}", escape(&saved.name), saved.saved_at, saved.commit));
        page.block(2, &saved.what.join("\n"));
        for file in &self.files {
            let count = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
            page.line(format!("  +{} -{}  {}", count(file.added), count(file.removed), escape(&file.path)));
        }
        page.line(format!("all of it: gt salvage restore {} --to DIR", escape(&saved.name)));
    }
}

impl Show for Restored {
    fn show(&self, page: &mut Page) {
        match self.paths.as_slice() {
            [] => page.line(format!("{} is a worktree at {}", escape(&self.name), escape(&self.dir))),
            paths => page.line(format!("{} is back in {}", escape(&paths.join(" ")), escape(&self.dir))),
        }
        if let Some(kept) = &self.kept {
            page.line(format!("what was there is kept at {kept}"));
        }
    }
}

impl Show for Dropped {
    fn show(&self, page: &mut Page) {
        page.line(format!("{} is dropped; until git collects it: {}", escape(&self.name), self.commit));
        if let Some(dir) = &self.set_aside {
            page.line(format!("what was too large for it stays in {}", escape(dir)));
        }
    }
}
