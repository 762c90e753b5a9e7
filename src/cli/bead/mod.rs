//! `gt bead …`, its short forms at top level, and `bd`: one set of arguments for all three.

pub mod bd;
pub mod board;
pub mod change;
pub mod check;
pub mod create;
pub mod edit;
mod forest;
pub mod former;
mod given;
pub mod gone;
pub mod history;
pub mod look;
pub mod many;
pub mod mark;
pub mod memory;
mod pages;
pub mod prefix;
pub mod relocate;
pub mod remark;
mod rows;
mod sheet;
pub mod state;
pub mod survey;
pub mod tree;
pub mod undo;
pub mod update;
mod which;
pub(super) mod words;

use clap::{Args, Subcommand};

use crate::cli::out::Out;
use crate::error::Result;
use crate::name::BeadId;
use crate::ops::mailbox;
use crate::town::Town;
pub use change::{Close, Dep, Reopen};
pub use create::Create;
pub use look::{List, Ready, Search, Show};
pub use memory::{Forget, MemoriesArgs, Remember};
pub use rows::Question;
pub use survey::{Blocked, Count, Stale};
pub use undo::Undo;
pub use update::Update;
pub(super) use words::text;

/// Work items: file, find, change, close and connect them
#[derive(Args)]
pub struct BeadArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    #[command(alias = "new")]
    Create(Create),
    /// File a bead and print only its id
    Q(Create),
    #[command(alias = "view")]
    Show(Show),
    List(List),
    Ready(Ready),
    Search(Search),
    Update(Update),
    Edit(edit::EditArgs),
    #[command(alias = "done")]
    Close(Close),
    Reopen(Reopen),
    Blocked(Blocked),
    Board(board::Board),
    Assign(mark::Assign),
    Label(mark::LabelArgs),
    #[command(alias = "comments")]
    Comment(remark::CommentArgs),
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
    Stats(crate::cli::stats::StatsArgs),
    Dep(Dep),
    Lint(check::LintArgs),
    #[command(alias = "find-duplicates")]
    Duplicates(check::Duplicates),
    Orphans(check::OrphanArgs),
    #[command(alias = "set-state")]
    State(state::StateArgs),
    Kv(state::KvArgs),
    Remember(memory::Remember),
    Memories(memory::MemoriesArgs),
    Recall(memory::Recall),
    Forget(memory::Forget),
    Delete(gone::Delete),
    Restore(gone::Restore),
    Deleted(gone::Graves),
    Move(relocate::Move),
    RenamePrefix(prefix::RenamePrefix),
    Undo(Undo),
    History(history::History),
    Diff(history::Diff),
    Batch(many::Batch),
    Import(many::Import),
    Export(many::Export),
    Sync(bd::Sync),
    Init(bd::Init),
    Prime(bd::Prime),
    #[command(name = "info")]
    Numbers(bd::Numbers),
    Where(bd::Where),
    Version(bd::Version),
    Status(former::Status),
    Onboard(former::Onboard),
    Dolt(former::Dolt),
    Daemon(former::Daemon),
}

impl BeadArgs {
    /// The arguments of `stats`, if that is the verb.
    pub fn stats(&mut self) -> Option<&mut crate::cli::stats::StatsArgs> {
        if let Verb::Stats(args) = &mut self.verb { Some(args) } else { None }
    }

    /// Runs the verb.
    ///
    /// # Errors
    /// Those of the verb.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            Verb::Create(args) => args.run(town, out),
            Verb::Q(args) => args.run_quick(town, out),
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
            Verb::Stats(args) => args.run(town, out),
            Verb::Dep(args) => args.run(town, out),
            Verb::Lint(args) => args.run(town, out),
            Verb::Duplicates(args) => args.run(town, out),
            Verb::Orphans(args) => args.run(town, out),
            Verb::State(args) => args.run(town, out),
            Verb::Kv(args) => args.run(town, out),
            Verb::Remember(args) => args.run(town, out),
            Verb::Memories(args) => args.run(town, out),
            Verb::Recall(args) => args.run(town, out),
            Verb::Forget(args) => args.run(town, out),
            Verb::Delete(args) => args.run(town, out),
            Verb::Restore(args) => args.run(town, out),
            Verb::Deleted(args) => args.run(town, out),
            Verb::Move(args) => args.run(town, out),
            Verb::RenamePrefix(args) => args.run(town, out),
            Verb::Undo(args) => args.run(town, out),
            Verb::History(args) => args.run(town, out),
            Verb::Diff(args) => args.run(town, out),
            Verb::Batch(args) => args.run(town, out),
            Verb::Import(args) => args.run(town, out),
            Verb::Export(args) => args.run(town, out),
            Verb::Sync(args) => args.run(town, out),
            Verb::Init(args) => args.run(town, out),
            Verb::Prime(args) => args.run(town, out),
            Verb::Numbers(args) => args.run(town, out),
            Verb::Where(args) => args.run(town, out),
            Verb::Version(args) => args.run(town, out),
            Verb::Status(args) => args.run(town, out),
            Verb::Onboard(args) => args.run(town, out),
            Verb::Dolt(args) => args.run(town, out),
            Verb::Daemon(args) => args.run(town, out),
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
