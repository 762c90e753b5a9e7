//! The bead verbs that end, begin again and connect: close, reopen, dep.

use clap::{Args, Subcommand};

use super::check::cycles;
use super::pages::{ClosedBeads, Reopened};
use super::tree::TreeArgs;
use super::{bead_id, bead_ids};
use crate::cli::out::Out;
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::model::bead::DependencyKind;
use crate::model::dependency::parse_kind;
use crate::ops::track::follow::{Followed, close_and_follow};
use crate::ops::track::{self, Connected, Ending};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<ClosedBeads>("bead close"),
    Answer::of::<Followed>("bead close"),
    Answer::of::<Reopened>("bead reopen"),
    Answer::of::<Connected>("bead dep"),
    Answer::of::<Connected>("bead dep add"),
    Answer::of::<Connected>("bead dep relate"),
    Answer::of::<Connected>("bead dep remove"),
    Answer::of::<Connected>("bead dep unrelate"),
    Answer::of::<track::Neighbours>("bead dep list"),
];

/// Close beads by hand; handed-in work is closed by its merge
#[derive(Args)]
pub struct Close {
    /// Ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Why
    #[arg(short, long, aliases = ["resolution", "message"], short_alias = 'm', default_value = "Closed")]
    reason: String,
    /// Pinned ones too
    #[arg(short, long)]
    force: bool,
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
            let followed = close_and_follow(town, &ids, &self.reason, self.force, self.goes_on)?;
            if self.goes_on && followed.continued.is_none() {
                out.note("no further bead of the same parent is ready");
            }
            return Ok(out.show(&followed));
        }
        Ok(out.show(&ClosedBeads(track::close(town, &ids, &self.reason, self.force)?)))
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
///
/// `gt bead dep A --blocks B` says that B waits for A: the same as gt bead dep add B A.
#[derive(Args)]
#[command(subcommand_negates_reqs = true, arg_required_else_help = true)]
pub struct Dep {
    #[command(subcommand)]
    verb: Option<DepVerb>,
    #[command(flatten)]
    short: Option<ShortDep>,
}

#[derive(Args)]
struct ShortDep {
    /// The bead that must be closed first
    id: String,
    /// The bead that waits for it
    #[arg(long, value_name = "ID", required = true)]
    blocks: String,
}

#[derive(Subcommand)]
enum DepVerb {
    /// Make A depend on B
    Add {
        /// The bead that depends
        a: String,
        /// What it depends on
        #[arg(required_unless_present = "blocked_by")]
        b: Option<String>,
        /// As B
        #[arg(long, alias = "depends-on", value_name = "ID", conflicts_with = "b", hide = true)]
        blocked_by: Option<String>,
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
    /// End the dependency of A on B, or its being a child of B
    #[command(alias = "rm")]
    Remove {
        /// The bead that depends
        a: String,
        /// What it depends on
        b: String,
        /// Only a dependency of this kind
        #[arg(short = 't', long, alias = "type")]
        kind: Option<String>,
    },
    /// End what relate made of A and B, and nothing else
    Unrelate {
        /// A bead
        a: String,
        /// What it has nothing to do with
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
        let verb = match (&self.verb, &self.short) {
            (Some(verb), _) => verb,
            (None, Some(ShortDep { id, blocks })) => return connect(town, blocks, id, &DependencyKind::Blocks, out),
            (None, None) => return Err(Error::usage("no bead is named").hint("gt bead dep add A B makes A wait for B")),
        };
        match verb {
            DepVerb::Add { a, b, blocked_by, kind } => {
                let b = b.as_ref().or(blocked_by.as_ref()).map_or("", String::as_str);
                connect(town, a, b, &parse_kind(kind)?, out)
            }
            DepVerb::Relate { a, b } => connect(town, a, b, &DependencyKind::Related, out),
            DepVerb::Remove { a, b, kind } => {
                let kind = kind.as_deref().map(parse_kind).transpose()?;
                Ok(out.show(&disconnect(town, a, b, kind.as_ref())?))
            }
            DepVerb::Unrelate { a, b } => {
                let ended = disconnect(town, a, b, Some(&DependencyKind::Related))?;
                if ended.status == Ending::Removed {
                    return Ok(out.show(&ended));
                }
                // Which of the two was named first when they were connected, nobody has to know.
                Ok(out.show(&disconnect(town, b, a, Some(&DependencyKind::Related))?))
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

fn connect(town: &Town, a: &str, b: &str, kind: &DependencyKind, out: Out) -> Result<u8> {
    let (ledger, a) = town.resolve_bead(a)?;
    Ok(out.show(&track::connect(town, &ledger, &a, &bead_id(town, b)?, kind)?))
}

fn disconnect(town: &Town, a: &str, b: &str, kind: Option<&DependencyKind>) -> Result<Connected> {
    let (ledger, a) = town.resolve_bead(a)?;
    // An edge may lead to a bead that is gone, so a full id need not be found.
    let b = bead_id(town, b).or_else(|error| b.parse().map_err(|_| error))?;
    track::disconnect(town, &ledger, &a, &b, kind)
}
