//! `gt mq approve`, `reject`, `comment`, `diff`: looking at what is handed in.

use clap::Args;

use super::place_of;
use crate::cli::out::{Cell, Out, Page, Show, Style, escape};
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
        let short = |id: &str| escape(id.get(..8).unwrap_or(id));
        let sum = |of: fn(&refinery::FileChange) -> Option<u64>| self.files.iter().filter_map(of).sum::<u64>();
        let files = if self.files.len() == 1 { "1 file".to_owned() } else { format!("{} files", self.files.len()) };
        let (added, removed) = (sum(|file| file.added), sum(|file| file.removed));
        page.line(format!("{}: {} to {}, {files}, +{added} -{removed}", self.mr, short(&self.base), short(&self.head)));
        let Some(patch) = &self.patch else {
            let count = |lines: Option<u64>| Cell::number(&lines.map_or_else(|| "-".to_owned(), |lines| lines.to_string()));
            let row = |file: &refinery::FileChange| {
                let old = file.old_path.as_ref().map(|old| format!(" (was {old})")).unwrap_or_default();
                vec![count(file.added), count(file.removed), Cell::from(format!("{}{old}", file.path))]
            };
            return page.table(&["CAME", "WENT", "FILE"], &self.files.iter().map(row).collect::<Vec<_>>());
        };
        page.gap();
        for line in patch.lines() {
            let style = match line.as_bytes().first() {
                Some(b'+') => Style::Good,
                Some(b'-') => Style::Bad,
                Some(b'@') => Style::Given,
                Some(b' ' | b'\\') | None => Style::Plain,
                Some(_) => Style::Dim,
            };
            let line = page.paint(style, line);
            page.verbatim(line);
        }
        if self.is_cut {
            page.line("… cut here; the whole: git diff of these commits");
        }
    }
}
