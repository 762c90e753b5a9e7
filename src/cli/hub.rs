//! `gt hub`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::out::{Out, Page, Show};
use crate::error::Result;
use crate::ops::hub::{self, Made};

/// Keep a hub: the bare repository through which machines exchange ledgers
#[derive(Args)]
pub struct HubArgs {
    #[command(subcommand)]
    verb: HubVerb,
}

#[derive(Subcommand)]
enum HubVerb {
    /// Make a bare repository a hub: its hooks refuse a push that would take something away
    ///
    /// Example: gt hub init /srv/hub/town.git
    Init {
        /// The bare repository; made if there is nothing yet
        path: PathBuf,
    },
}

impl HubArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(&self, out: Out) -> Result<u8> {
        match &self.verb {
            HubVerb::Init { path } => Ok(out.show(&hub::init(path)?)),
        }
    }
}

impl Show for Made {
    fn show(&self, page: &mut Page) {
        let (what, path) = match self {
            Self::Made { path } => ("made the hub", path),
            Self::Taken { path } => ("this repository is a hub now:", path),
            Self::Renewed { path } => ("the hub has the newest rules:", path),
        };
        page.line(format!("{what} {}", path.display()));
        if !matches!(self, Self::Renewed { .. }) {
            page.line("next, on a machine: gt remote add origin URL, with the URL by which it reaches this place");
        }
    }
}
