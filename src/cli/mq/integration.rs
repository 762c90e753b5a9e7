//! `gt mq integration`: branches on which the children of an epic land until the whole does.

use clap::{Args, Subcommand};

use super::place_of;
use crate::cli::out::{Out, Page, Show, escape};
use crate::error::Result;
use crate::name::BeadId;
use crate::ops::post;
use crate::ops::refinery::{self, Ending, Integrated, Standing};
use crate::town::Town;

/// Land the children of an epic on a branch of their own, and then the whole as one
#[derive(Args)]
pub(super) struct IntegrationArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Create(Create),
    Status(One),
    Land(Land),
}

/// Make the integration branch of an epic
///
/// Work below the epic that is slung or handed in from now on goes there.
/// Example: gt mq integration create wi-x7k2m
#[derive(Args)]
struct Create {
    /// The epic, or a unique abbreviation of its id
    epic: String,
    /// The branch; integration/EPIC when not given
    #[arg(long)]
    branch: Option<String>,
    /// Where the whole goes; the rig's target when not given
    #[arg(long)]
    target: Option<String>,
}

/// Show how an integration branch stands: what is open, what waits, how far it is from its target
#[derive(Args)]
struct One {
    /// The epic, or a unique abbreviation of its id
    epic: String,
}

/// File one request for all of an integration branch, when all work below the epic is closed
///
/// It lands as a merge; then the branch ends and the epic is closed.
#[derive(Args)]
struct Land {
    /// The epic, or a unique abbreviation of its id
    epic: String,
    /// Land what there is; what is open goes to the target then
    #[arg(long)]
    force: bool,
}

impl IntegrationArgs {
    pub(super) fn run(self, town: &Town, out: Out) -> Result<u8> {
        match self.verb {
            Verb::Create(create) => {
                let (place, epic) = place_of(town, &create.epic)?;
                Ok(out.show(&refinery::integration::create(
                    town,
                    &place,
                    &epic,
                    create.branch.as_deref(),
                    create.target.as_deref(),
                )?))
            }
            Verb::Status(one) => {
                let (place, epic) = place_of(town, &one.epic)?;
                Ok(out.show(&refinery::integration::standing(&place, &epic)?))
            }
            Verb::Land(land) => {
                let (place, epic) = place_of(town, &land.epic)?;
                let integrated = refinery::integration::land(town, &place, &epic, land.force)?;
                out.note_undelivered(post::deliver(town));
                Ok(out.show(&integrated))
            }
        }
    }
}

impl Show for Integrated {
    fn show(&self, page: &mut Page) {
        let (epic, branch, target) = (&self.epic, escape(&self.branch), escape(&self.target));
        let mr = self.mr.as_ref().map(BeadId::as_str).unwrap_or_default();
        page.line(match self.outcome {
            Ending::Created => format!("work below {epic} lands on {branch} from now on; the whole goes to {target}"),
            Ending::AlreadyThere => format!("work below {epic} lands on {branch} already; the whole goes to {target}"),
            Ending::Filed => format!("filed {mr} for all of {branch}, to be merged into {target}"),
            Ending::Ended => format!("{target} has all of {branch}, which has ended; {epic} is closed"),
        });
        if !self.left_open.is_empty() {
            let open: Vec<&str> = self.left_open.iter().map(BeadId::as_str).collect();
            page.line(format!("left open: {}", open.join(" ")));
        }
    }
}

impl Show for Standing {
    fn show(&self, page: &mut Page) {
        let tip = self.tip.as_deref().map_or("not here", |tip| tip.get(..8).unwrap_or(tip));
        page.line(format!("{}: {}", self.epic, escape(&self.title)));
        page.line(format!("{} → {} is {}, at {tip}", escape(&self.branch), escape(&self.target), self.word()));
        page.line(format!("{} commits that {} lacks, {} that it has more", self.ahead, escape(&self.target), self.behind));
        if let Some(mr) = &self.mr {
            page.line(format!("the whole waits to land as {mr}"));
        }
        if !self.waiting.is_empty() {
            let waiting: Vec<&str> = self.waiting.iter().map(BeadId::as_str).collect();
            page.line(format!("waiting to land on it: {}", waiting.join(" ")));
        }
        let open: Vec<_> = self.open().collect();
        page.line(format!("{} of {} beads below it are closed", self.children.len() - open.len(), self.children.len()));
        for child in open {
            page.line(format!("  {} {}: {}", child.id, child.status, escape(&child.title)));
        }
    }
}
