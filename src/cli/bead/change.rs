//! The bead verbs that end, begin again and connect: close, reopen, dep.

use clap::{Args, Subcommand};

use super::check::cycles;
use super::pages::{ClosedBeads, Reopened};
use super::tree::TreeArgs;
use super::{bead_id, bead_ids};
use crate::cli::out::Out;
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::model::bead::DependencyKind;
use crate::model::dependency::parse_kind;
use crate::ops::track;
use crate::ops::track::follow::{Followed, close_and_follow};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<ClosedBeads>("bead close"),
    Answer::of::<Followed>("bead close"),
    Answer::of::<Reopened>("bead reopen"),
    Answer::of::<track::Connected>("bead dep add"),
    Answer::of::<track::Connected>("bead dep relate"),
    Answer::of::<track::Connected>("bead dep remove"),
    Answer::of::<track::Neighbours>("bead dep list"),
];

/// Close beads by hand; handed-in work is closed by its merge
#[derive(Args)]
pub struct Close {
    /// Ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Why
    #[arg(short, long, default_value = "Closed")]
    reason: String,
    /// Tell what became ready with that
    #[arg(long)]
    suggest_next: bool,
    /// The same, and claim the next ready bead of the same parent
    #[arg(long = "continue")]
    goes_on: bool,
}

impl Close {
    /// Closes them.
    ///
    /// # Errors
    /// As [`track::close`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let ids = bead_ids(town, &self.ids)?;
        if self.suggest_next || self.goes_on {
            let followed = close_and_follow(town, &ids, &self.reason, self.goes_on)?;
            if self.goes_on && followed.continued.is_none() {
                out.note("no further bead of the same parent is ready");
            }
            return Ok(out.show(&followed));
        }
        Ok(out.show(&ClosedBeads(track::close(town, &ids, &self.reason)?)))
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
    /// Connect A with B without making either wait: the same as add --kind related
    Relate {
        /// A bead
        a: String,
        /// What it has to do with
        b: String,
    },
    /// End the dependency of A on B
    #[command(alias = "rm", alias = "unrelate")]
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
    /// Find rings of beads that wait for each other, over all rigs; exit 1 when there are some
    Cycles,
}

impl Dep {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            DepVerb::Add { a, b, kind } => {
                let kind = parse_kind(kind)?;
                let (ledger, a) = town.resolve_bead(a)?;
                Ok(out.show(&track::connect(town, &ledger, &a, &bead_id(town, b)?, &kind)?))
            }
            DepVerb::Relate { a, b } => {
                let (ledger, a) = town.resolve_bead(a)?;
                Ok(out.show(&track::connect(town, &ledger, &a, &bead_id(town, b)?, &DependencyKind::Related)?))
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
            DepVerb::Cycles => cycles(town, out),
        }
    }
}
