//! `gt reindex`.

use clap::Args;
use serde::Serialize;

use crate::cli::out::{Page, Show};
use crate::error::Result;
use crate::name::Name;
use crate::ops::reindex::{self, Made};
use crate::ops::sync::Which;
use crate::town::Town;

/// Make the indexes anew from the records; needed for nothing but doubt
///
/// Example: gt reindex --rig widgets
#[derive(Args)]
pub struct ReindexArgs {
    /// Only of this rig
    #[arg(long)]
    rig: Option<Name>,
    /// Only of the town's own ledger
    #[arg(long, conflicts_with = "rig")]
    town: bool,
}

/// The indexes.
#[derive(Serialize)]
#[serde(transparent)]
pub struct AllMade(Vec<Made>);

impl ReindexArgs {
    /// Makes them.
    ///
    /// # Errors
    /// As [`reindex::reindex`].
    pub fn run(self, town: &Town) -> Result<AllMade> {
        let which = match (self.rig, self.town) {
            (Some(rig), _) => Which::Rig(rig),
            (None, true) => Which::Town,
            (None, false) => Which::All,
        };
        reindex::reindex(town, &which).map(AllMade)
    }
}

impl Show for AllMade {
    fn show(&self, page: &mut Page) {
        for Made { scope, index } in &self.0 {
            let damaged = match index.damaged {
                0 => String::new(),
                n => format!(", {n} damaged"),
            };
            page.line(format!(
                "{scope}: {} beads, {} letters{damaged}: {} KiB in {} ms",
                index.beads,
                index.letters,
                index.bytes.div_ceil(1024),
                index.took_millis
            ));
        }
    }
}
