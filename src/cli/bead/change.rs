//! The bead verbs that change: update, close, reopen, dep.

use clap::{Args, Subcommand};

use super::pages::{Changed, ClosedBeads, Reopened};
use super::tree::TreeArgs;
use super::words::{priority, when};
use super::{assignee, bead_id, bead_ids, issue_type, status};
use crate::cli::out::Out;
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::model::dependency::parse_kind;
use crate::ops::track::{self, Edit};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Changed>("bead update"),
    Answer::of::<ClosedBeads>("bead close"),
    Answer::of::<Reopened>("bead reopen"),
    Answer::of::<track::Connected>("bead dep add"),
    Answer::of::<track::Connected>("bead dep remove"),
    Answer::of::<track::Neighbours>("bead dep list"),
];

/// Change beads; what the state does not allow is refused
#[derive(Args)]
pub struct Update {
    /// Ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Move to this status
    #[arg(short, long)]
    status: Option<String>,
    /// Take it and start: assignee and status at once, or refuse
    #[arg(long, conflicts_with_all = ["status", "assignee"])]
    claim: bool,
    /// New title
    #[arg(long)]
    title: Option<String>,
    /// New description
    #[arg(short, long)]
    description: Option<String>,
    /// New design
    #[arg(long)]
    design: Option<String>,
    /// New acceptance criteria
    #[arg(long)]
    acceptance: Option<String>,
    /// New notes
    #[arg(long)]
    notes: Option<String>,
    /// Text to add at the end of the notes
    #[arg(long, value_name = "TEXT")]
    append_notes: Option<String>,
    /// New priority
    #[arg(short, long)]
    priority: Option<String>,
    /// New type
    #[arg(short = 't', long = "type")]
    issue_type: Option<String>,
    /// New assignee; empty for nobody
    #[arg(short, long, value_name = "ADDRESS")]
    assignee: Option<String>,
    /// When it is due; empty for never
    #[arg(long, value_name = "WHEN")]
    due: Option<String>,
    /// Not ready before this; empty for at once
    #[arg(long = "defer", value_name = "WHEN")]
    defer_until: Option<String>,
    /// Labels to add
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    add_label: Vec<String>,
    /// Labels to take away
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    remove_label: Vec<String>,
}

impl Update {
    /// Changes them.
    ///
    /// # Errors
    /// As [`track::update`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let edit = self.edit(town)?;
        if edit == Edit::default() {
            return Err(Error::usage("nothing was said to change").hint("gt update --help lists what can be changed"));
        }
        Ok(out.show(&Changed(track::update(town, &bead_ids(town, &self.ids)?, &edit)?)))
    }

    fn edit(&self, town: &Town) -> Result<Edit> {
        Ok(Edit {
            status: self.status.as_ref().map(|text| status(text)).transpose()?,
            claim: self.claim,
            title: self.title.clone(),
            description: self.description.clone(),
            design: self.design.clone(),
            acceptance: self.acceptance.clone(),
            notes: self.notes.clone(),
            append_notes: self.append_notes.clone(),
            priority: self.priority.as_ref().map(|text| priority(text)).transpose()?,
            issue_type: self.issue_type.as_ref().map(|text| issue_type(text)).transpose()?,
            assignee: self.assignee.as_ref().map(|text| assignee(town, text)).transpose()?,
            due_at: self.due.as_ref().map(|text| when(text, town.now)).transpose()?,
            defer_until: self.defer_until.as_ref().map(|text| when(text, town.now)).transpose()?,
            add_labels: self.add_label.iter().cloned().collect(),
            remove_labels: self.remove_label.iter().cloned().collect(),
        })
    }
}

/// Close beads by hand; handed-in work is closed by its merge
#[derive(Args)]
pub struct Close {
    /// Ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Why
    #[arg(short, long, default_value = "Closed")]
    reason: String,
}

impl Close {
    /// Closes them.
    ///
    /// # Errors
    /// As [`track::close`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        Ok(out.show(&ClosedBeads(track::close(town, &bead_ids(town, &self.ids)?, &self.reason)?)))
    }
}

/// Open closed beads again
#[derive(Args)]
pub struct Reopen {
    /// Ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Why; becomes a remark
    #[arg(short, long)]
    reason: Option<String>,
}

impl Reopen {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        Ok(out.show(&Reopened(track::reopen(town, &bead_ids(town, &self.ids)?, self.reason.as_deref())?)))
    }
}

/// Connect beads: what must be done before what
#[derive(Args)]
pub struct Dep {
    #[command(subcommand)]
    verb: DepVerb,
}

#[derive(Subcommand)]
enum DepVerb {
    /// Make A depend on B
    Add {
        /// The bead that depends
        a: String,
        /// What it depends on
        b: String,
        /// blocks, waits-for, merge-blocks, conditional-blocks, related, …
        #[arg(short = 't', long, alias = "type", default_value = "blocks")]
        kind: String,
    },
    /// End the dependency of A on B
    #[command(alias = "rm")]
    Remove {
        /// The bead that depends
        a: String,
        /// What it depends on
        b: String,
    },
    /// Show what a bead depends on and what depends on it
    List {
        /// The bead
        id: String,
    },
    Tree(TreeArgs),
}

impl Dep {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            DepVerb::Add { a, b, kind } => {
                let kind = parse_kind(kind)?;
                let (ledger, a) = town.resolve_bead(a)?;
                Ok(out.show(&track::connect(town, &ledger, &a, &bead_id(town, b)?, &kind)?))
            }
            DepVerb::Remove { a, b } => {
                let (ledger, a) = town.resolve_bead(a)?;
                // An edge may lead to a bead that is gone, so a full id need not be found.
                let b = bead_id(town, b).or_else(|error| b.parse().map_err(|_| error))?;
                Ok(out.show(&track::disconnect(town, &ledger, &a, &b)?))
            }
            DepVerb::List { id } => {
                let (ledger, id) = town.resolve_bead(id)?;
                Ok(out.show(&track::neighbours(town, &ledger, &id)?))
            }
            DepVerb::Tree(args) => args.run(town, out),
        }
    }
}
