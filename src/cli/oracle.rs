//! `gt mq oracle`: how the requests of a queue stand to each other.

use clap::Args;

use crate::cli::out::{Page, Show};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::name::Name;
use crate::ops::oracle::{self, Oracle};
use crate::town::Town;

/// What this command prints with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Oracle>("mq oracle")];

/// Tell which waiting requests touch each other, which have nothing to do with each other, and what is risky
///
/// Example: gt mq oracle --file
#[derive(Args)]
pub struct OracleArgs {
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
    /// The branch; the rig's target when not given
    #[arg(long)]
    target: Option<String>,
    /// File it as a bead labelled merge-plan, or bring the one that is there up to date
    #[arg(long)]
    file: bool,
}

impl OracleArgs {
    /// Looks.
    ///
    /// # Errors
    /// As [`oracle::oracle`].
    pub fn run(&self, town: &Town) -> Result<Oracle> {
        let place = town.rig_or_here(self.rig.as_ref())?;
        oracle::oracle(town, &place, self.target.as_deref(), self.file)
    }
}

impl Show for Oracle {
    fn show(&self, page: &mut Page) {
        page.block(0, oracle::text(self).trim_end());
        if let Some(bead) = &self.bead {
            page.line(format!("filed as {bead}"));
        }
    }
}
