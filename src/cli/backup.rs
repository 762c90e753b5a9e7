//! `gt backup`, `gt restore`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::git::progress::Progress;
use crate::ops::backup::{self, BackedUp, Scope};
use crate::ops::restore::{self, Restored};
use crate::time;
use crate::town::{Start, Town};

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<BackedUp>("backup"), Answer::of::<Restored>("restore")];

/// Write the whole town into one file: all ledgers, pins and branches on this machine
///
/// The file is a git bundle that any git can read. Work that is not committed is not in it, nor are trust in commands
/// and other settings of this machine. Others may go on working meanwhile.
///
/// Example: gt backup /media/disk/town.bundle
#[derive(Args)]
pub struct BackupArgs {
    /// The file to write
    file: PathBuf,
    /// Overwrite a file that is there
    #[arg(long)]
    force: bool,
}

impl BackupArgs {
    /// Writes the backup.
    ///
    /// # Errors
    /// As [`backup::backup`].
    pub fn run(self, town: &Town, out: Out) -> Result<BackedUp> {
        backup::backup(town, &self.file, self.force, &Progress::to(out.progress()))
    }
}

fn told(scopes: &[Scope]) -> String {
    let names: Vec<&str> = scopes.iter().map(|scope| scope.scope.as_str()).collect();
    let refs: usize = scopes.iter().map(|scope| scope.refs).sum();
    format!("{} with {refs} refs", escape(&names.join(", ")))
}

impl Show for BackedUp {
    fn show(&self, page: &mut Page) {
        page.line(format!(
            "wrote {} ({} KiB): {}",
            escape(&self.file.display().to_string()),
            self.bytes / 1024,
            told(&self.scopes)
        ));
        for name in &self.elsewhere {
            page.line(format!("not in it, since it is not on this machine: rig {name}"));
        }
    }
}

/// Make a town of a backup, in a new directory and as a machine of its own
///
/// Example: gt restore /media/disk/town.bundle --into ~/gt --take-over
#[derive(Args)]
pub struct RestoreArgs {
    /// The backup
    file: PathBuf,
    /// The new town's directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    into: PathBuf,
    /// This machine's name, for people
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,
    /// The machine that was backed up is gone for good: its queues, agents and assignments are this one's
    #[arg(long)]
    take_over: bool,
}

impl RestoreArgs {
    /// Restores.
    ///
    /// # Errors
    /// As [`restore::restore`].
    pub fn run(&self, start: &Start) -> Result<Restored> {
        let base = start.dir.clone().unwrap_or_default();
        let plan = restore::Plan {
            file: base.join(&self.file),
            dir: base.join(&self.into),
            machine: self.machine.clone(),
            take_over: self.take_over,
        };
        restore::restore(&plan, time::now()?)
    }
}

impl Show for Restored {
    fn show(&self, page: &mut Page) {
        let path = escape(&self.path.display().to_string());
        page.line(format!("restored {path} as of {}: {}", self.made_at, told(&self.scopes)));
        for one in &self.assignments {
            let rest = match (self.took_over, one.has_sandbox) {
                (true, true) => "; its sandbox stands at its last commit",
                (true, false) => "; it has no sandbox, since its branch is not in the backup",
                (false, _) => ", on the machine that was backed up",
            };
            page.line(format!("{} has {} on its hook{rest}", one.agent, one.bead));
        }
        if self.took_over {
            page.line("the machine that was backed up must not work on this town any more");
        }
        page.line("next: gt trust shows the commands that this machine does not run before you trust them");
    }
}
