//! `gt done`.

use clap::{Args, ValueEnum};

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::work::kept;
use crate::env::{self, Var};
use crate::error::Result;
use crate::model::merge_request::Mode;
use crate::model::protocol::Exit;
use crate::ops::done::{self, Done};
use crate::ops::{post, session};
use crate::town::Town;

/// How an assignment ends
#[derive(Clone, Copy, ValueEnum)]
enum ExitWord {
    /// Handed in to the merge queue
    Completed,
    /// Blocked; somebody must help
    Escalated,
    /// Given back
    #[value(alias = "deferred")]
    Released,
}

/// Hand in your work, ask for help, or give it back; ends your session
///
/// Example: gt done
#[derive(Args)]
pub struct DoneArgs {
    /// How it ends
    #[arg(long, value_enum, default_value = "completed")]
    status: ExitWord,
    /// The message of the landed commit, or why you cannot go on
    #[arg(short, long)]
    message: Option<String>,
    /// Commit what is uncommitted first
    #[arg(long)]
    commit: bool,
    /// The form in which it lands; what mq.mode says when not given
    #[arg(long, value_enum)]
    mode: Option<Mode>,
}

impl DoneArgs {
    /// Ends the assignment, prints how, and then ends the session it runs in.
    ///
    /// # Errors
    /// As [`done::done`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let exit = match self.status {
            ExitWord::Completed => Exit::Completed,
            ExitWord::Escalated => Exit::Escalated,
            ExitWord::Released => Exit::Released,
        };
        let plan = done::Plan { exit, message: self.message.clone(), commit: self.commit, mode: self.mode };
        let outcome = done::done(town, &plan)?;
        out.note_undelivered(post::deliver(town));
        let code = out.show(&outcome);
        if let Some(id) = env::text(Var::Session) {
            session::end_own(town, &id)?;
        }
        Ok(code)
    }
}

impl Show for Done {
    fn show(&self, page: &mut Page) {
        match self {
            Self::HandedIn { bead, mr, head, target, warning } => {
                page.line(format!("handed in {bead} as {mr} ({} → {})", &head[..head.len().min(10)], escape(target)));
                if let Some(warning) = warning {
                    page.line(format!("warning: {}", escape(warning)));
                }
                page.line("the merge queue takes it from here; to work it now: gt mq run --once");
            }
            Self::Landed { bead, mr, commit, target } => {
                page.line(format!("{bead} landed as {mr} ({} in {})", &commit[..commit.len().min(10)], escape(target)));
            }
            Self::Kept { bead, branch, head, warning } => {
                page.line(format!("{bead} is closed; its work stays on {} at {}", escape(branch), &head[..head.len().min(10)]));
                if let Some(warning) = warning {
                    page.line(format!("warning: {}", escape(warning)));
                }
            }
            Self::Reviewed { bead, branch } => {
                page.line(format!("{bead} is closed; what you found is on it"));
                if let Some(branch) = branch {
                    page.line(format!("your commits stay on {}, and nothing merges them", escape(branch)));
                }
            }
            Self::Escalated { bead, salvage } => {
                page.line(format!("{bead} is blocked and its witness has been asked for help"));
                kept(page, salvage.as_deref());
            }
            Self::Released { bead, branch, salvage } => {
                page.line(format!("{bead} is open again; your branch stays at {}", escape(branch)));
                kept(page, salvage.as_deref());
            }
        }
    }
}
