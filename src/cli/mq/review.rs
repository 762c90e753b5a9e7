//! `gt mq approve`, `reject`, `comment`, `diff`: looking at what is handed in.

use clap::Args;

use super::place_of;
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::patch;
use crate::error::Result;
use crate::name::BeadId;
use crate::ops::post;
use crate::ops::refinery::{self, Diff, Reviewed};
use crate::town::Town;

/// Approve a request: exactly the commit that was handed in
///
/// Whose word counts and how many it takes say review.by and review.approvals (gt config keys); nobody approves their own.
/// Example: gt mq approve wi-mr-x7k2m -m 'read it twice'
#[derive(Args)]
pub(super) struct Approve {
    /// The request, or the work it delivers; a unique abbreviation will do
    id: String,
    /// A note that is kept with it
    #[arg(short, long, default_value = "", hide_default_value = true)]
    message: String,
}

/// Send a request back with a comment; its work is open again and the worker is told
///
/// Example: gt mq reject wi-mr-x7k2m -m 'the key must not be in the repository'
#[derive(Args)]
pub(super) struct Reject {
    /// The request, or the work it delivers; a unique abbreviation will do
    id: String,
    /// What is to be done otherwise
    #[arg(short, long)]
    message: String,
}

/// Comment on a request: on its bead and its work, and by mail to the worker
///
/// Example: gt mq comment wi-mr-x7k2m -m 'why not a map here?'
#[derive(Args)]
pub(super) struct Comment {
    /// The request, or the work it delivers; a unique abbreviation will do
    id: String,
    /// What to say
    #[arg(short, long)]
    message: String,
}

/// Show what a request changes
///
/// What waits is compared with where it parts from its target. Example: gt mq diff wi-mr-x7k2m --stat
#[derive(Args)]
pub(super) struct Differ {
    /// The request, or the work it delivers; a unique abbreviation will do
    id: String,
    /// Only the files, with how many lines came and went
    #[arg(long)]
    stat: bool,
}

impl Approve {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (place, id) = place_of(town, &self.id)?;
        Ok(out.show(&refinery::approve(town, &place, &id, &self.message)?))
    }
}

impl Reject {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (place, id) = place_of(town, &self.id)?;
        let rejected = refinery::reject(town, &place, &id, &self.message)?;
        out.note_undelivered(post::deliver(town));
        Ok(out.show(&rejected))
    }
}

impl Comment {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (place, id) = place_of(town, &self.id)?;
        let commented = refinery::comment(town, &place, &id, &self.message)?;
        out.note_undelivered(post::deliver(town));
        Ok(out.show(&commented))
    }
}

impl Differ {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (place, id) = place_of(town, &self.id)?;
        Ok(out.show(&refinery::diff(&place, &id, self.stat)?))
    }
}

impl Show for Reviewed {
    fn show(&self, page: &mut Page) {
        match self {
            Self::Approved { mr, head, given, needed } => {
                let head = head.get(..8).unwrap_or(head);
                let of = if *needed == 0 { "; it needs none".to_owned() } else { format!("; {given} of {needed} approvals") };
                page.line(format!("approved {mr} at {}{of}", escape(head)));
            }
            Self::Rejected { mr, beads, told } => {
                let beads: Vec<&str> = beads.iter().map(BeadId::as_str).collect();
                page.line(match beads.as_slice() {
                    [] => format!("{mr} is sent back; what it was to take back stays"),
                    beads => format!("{mr} is sent back; open again: {}", beads.join(" ")),
                });
                page.line(format!("told {}", escape(&told.join(", "))));
            }
            Self::Commented { mr, told } if told.is_empty() => page.line(format!("said on {mr}")),
            Self::Commented { mr, told } => page.line(format!("said on {mr}, and told {}", escape(&told.join(", ")))),
        }
    }
}

impl Show for Diff {
    fn show(&self, page: &mut Page) {
        let commits = (self.base.as_str(), self.head.as_str());
        patch::show(page, self.mr.as_str(), commits, &self.files, self.patch.as_deref(), self.is_cut);
    }
}
