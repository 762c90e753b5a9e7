//! `gt bead …`, its short forms at top level, and `bd`: one set of arguments for all three.

pub mod board;
pub mod change;
pub mod edit;
pub mod gone;
pub mod look;
pub mod many;
pub mod mark;
mod pages;
mod rows;
mod sheet;
pub mod survey;
pub mod tree;
pub mod update;
mod which;
pub(super) mod words;

use clap::{Args, Subcommand};

use crate::cli::out::Out;
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::model::bead::{Bead, IssueType, Status};
use crate::model::dependency::parse_edge;
use crate::name::{BeadId, Prefix};
use crate::ops::mailbox;
use crate::ops::track::{self, Draft};
use crate::town::Town;
pub use change::{Close, Dep, Reopen};
pub use look::{List, Ready, Search, Show};
use pages::{Created, IdOnly};
pub use survey::{Blocked, Count, Stale};
pub use update::Update;
use words::{known, priority, when};

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Created>("bead create"), Answer::of::<IdOnly>("bead q")];

/// Work items: file, find, change, close and connect them
#[derive(Args)]
pub struct BeadArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Create(Create),
    /// File a bead and print only its id
    Q(Create),
    Show(Show),
    List(List),
    Ready(Ready),
    Search(Search),
    Update(Update),
    Edit(edit::EditArgs),
    Close(Close),
    Reopen(Reopen),
    Blocked(Blocked),
    Board(board::Board),
    Assign(mark::Assign),
    Label(mark::LabelArgs),
    #[command(alias = "comments")]
    Comment(mark::CommentArgs),
    Defer(mark::Defer),
    Undefer(mark::Undefer),
    Pin(mark::Pin),
    Unpin(mark::Unpin),
    Duplicate(mark::Duplicate),
    Supersede(mark::Supersede),
    Children(survey::Children),
    Epic(survey::EpicArgs),
    Count(Count),
    Stale(Stale),
    Dep(Dep),
    Delete(gone::Delete),
    Restore(gone::Restore),
    Deleted(gone::Graves),
    Batch(many::Batch),
    Import(many::Import),
    Export(many::Export),
}

impl BeadArgs {
    /// Runs the verb.
    ///
    /// # Errors
    /// Those of the verb.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            Verb::Create(args) => args.run(town, out),
            Verb::Q(args) => Ok(out.show(&IdOnly(args.create(town)?.id))),
            Verb::Show(args) => args.run(town, out),
            Verb::List(args) => args.run(town, out),
            Verb::Ready(args) => args.run(town, out),
            Verb::Search(args) => args.run(town, out),
            Verb::Update(args) => args.run(town, out),
            Verb::Edit(args) => args.run(town, out),
            Verb::Close(args) => args.run(town, out),
            Verb::Reopen(args) => args.run(town, out),
            Verb::Blocked(args) => args.run(town, out),
            Verb::Board(args) => args.run(town, out),
            Verb::Assign(args) => args.run(town, out),
            Verb::Label(args) => args.run(town, out),
            Verb::Comment(args) => args.run(town, out),
            Verb::Defer(args) => args.run(town, out),
            Verb::Undefer(args) => args.run(town, out),
            Verb::Pin(args) => args.run(town, out),
            Verb::Unpin(args) => args.run(town, out),
            Verb::Duplicate(args) => args.run(town, out),
            Verb::Supersede(args) => args.run(town, out),
            Verb::Children(args) => args.run(town, out),
            Verb::Epic(args) => args.run(town, out),
            Verb::Count(args) => args.run(town, out),
            Verb::Stale(args) => args.run(town, out),
            Verb::Dep(args) => args.run(town, out),
            Verb::Delete(args) => args.run(town, out),
            Verb::Restore(args) => args.run(town, out),
            Verb::Deleted(args) => args.run(town, out),
            Verb::Batch(args) => args.run(town, out),
            Verb::Import(args) => args.run(town, out),
            Verb::Export(args) => args.run(town, out),
        }
    }
}

/// File a bead, for example: gt create "Mend the pump" -t bug -p 1
#[derive(Args)]
pub struct Create {
    /// One line: what is to be done
    title: String,
    /// What and why, in full
    #[arg(short, long, default_value = "", hide_default_value = true)]
    description: String,
    /// task, bug, feature, epic, chore, decision or question
    #[arg(short = 't', long = "type", default_value = "task")]
    issue_type: String,
    /// 0 critical … 4 backlog
    #[arg(short, long, default_value = "2")]
    priority: String,
    /// A label; several by commas or by naming it again
    #[arg(short, long = "label", alias = "labels", value_delimiter = ',')]
    label: Vec<String>,
    /// Make it a child of this bead, in its scope
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// What it depends on: ids or kind:id, by commas
    #[arg(long, value_name = "[KIND:]ID", value_delimiter = ',')]
    deps: Vec<String>,
    /// How it is to be done
    #[arg(long, default_value = "", hide_default_value = true)]
    design: String,
    /// When it is done
    #[arg(long, default_value = "", hide_default_value = true)]
    acceptance: String,
    /// What is known already
    #[arg(long, default_value = "", hide_default_value = true)]
    notes: String,
    /// Who has it
    #[arg(short, long, value_name = "ADDRESS")]
    assignee: Option<String>,
    /// When it is due: a date, a time or a length such as 2d
    #[arg(long, value_name = "WHEN")]
    due: Option<String>,
    /// Not ready before this
    #[arg(long = "defer", value_name = "WHEN")]
    defer_until: Option<String>,
    /// The rig it belongs to, or hq for the town; else the rig of the directory
    #[arg(long, alias = "prefix", value_name = "RIG")]
    rig: Option<String>,
    /// Give it this id instead of a drawn one
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

impl Create {
    /// Files the bead.
    ///
    /// # Errors
    /// As [`track::create`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        Ok(out.show(&Created(self.create(town)?)))
    }

    fn create(&self, town: &Town) -> Result<Bead> {
        let draft = self.draft(town)?;
        let prefix = self.prefix(town, &draft)?;
        track::create(town, &town.scope_of(&prefix)?, &prefix, &draft)
    }

    fn draft(&self, town: &Town) -> Result<Draft> {
        let edge = |text: &String| {
            let (kind, id) = parse_edge(text)?;
            Ok((kind, town.resolve_bead(id)?.1))
        };
        Ok(Draft {
            issue_type: issue_type(&self.issue_type)?,
            priority: priority(&self.priority)?,
            description: self.description.clone(),
            design: self.design.clone(),
            acceptance: self.acceptance.clone(),
            notes: self.notes.clone(),
            labels: self.label.iter().cloned().collect(),
            parent: self.parent.as_ref().map(|text| bead_id(town, text)).transpose()?,
            dependencies: self.deps.iter().map(edge).collect::<Result<_>>()?,
            id: self.id.as_ref().map(|text| text.parse()).transpose()?,
            assignee: self.assignee.as_ref().map_or(Ok(None), |text| assignee(town, text))?,
            due_at: self.due.as_ref().map_or(Ok(None), |text| when(text, town.now))?,
            defer_until: self.defer_until.as_ref().map_or(Ok(None), |text| when(text, town.now))?,
            ..Draft::new(&self.title)
        })
    }

    /// The scope: that of the parent or the given id, else the rig named, else that of the directory, else the town.
    fn prefix(&self, town: &Town, draft: &Draft) -> Result<Prefix> {
        let named = self.rig.as_ref().map(|text| track::scope_named(town, text)).transpose()?;
        let bound = draft.parent.as_ref().or(draft.id.as_ref()).map(BeadId::prefix);
        match (named, bound) {
            (Some(named), Some(bound)) if named != bound => {
                Err(Error::usage(format!("--rig names the scope {named}, but the bead belongs to {bound}"))
                    .hint("leave --rig out: a child lives beside its parent"))
            }
            (Some(prefix), _) | (None, Some(prefix)) => Ok(prefix),
            (None, None) => Ok(town.prefix_here()?.unwrap_or_else(Prefix::hq)),
        }
    }
}

fn bead_id(town: &Town, text: &str) -> Result<BeadId> {
    town.resolve_bead(text).map(|(_, id)| id)
}

fn bead_ids(town: &Town, texts: &[String]) -> Result<Vec<BeadId>> {
    texts.iter().map(|text| bead_id(town, text)).collect()
}

/// An assignee as typed: empty for nobody, else somebody who is known.
fn assignee(town: &Town, text: &str) -> Result<Option<String>> {
    if text.is_empty() {
        return Ok(None);
    }
    Ok(Some(mailbox::recipient(town, text)?.to_string()))
}

fn issue_type(text: &str) -> Result<IssueType> {
    known("type", text)
}

fn status(text: &str) -> Result<Status> {
    known("status", text)
}
