//! `gt explain`, `gt whoami`: why something is as it is, and who one is here.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::ops::explain::{self, Explained};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Explained>("explain"), Answer::of::<Identity>("whoami")];

/// Explain why a bead is not ready, not started or not landed, and what moves it on
///
/// Example: gt explain wi-x7k2m
#[derive(Args)]
pub struct ExplainArgs {
    /// The bead; a unique abbreviation will do
    bead: String,
}

impl ExplainArgs {
    /// Explains.
    ///
    /// # Errors
    /// As [`explain::explain`].
    pub fn run(&self, town: &Town) -> Result<Explained> {
        let (ledger, id) = town.resolve_bead(&self.bead)?;
        let bead = ledger.state()?.bead(&id)?;
        explain::explain(town, &bead)
    }
}

impl Show for Explained {
    fn show(&self, page: &mut Page) {
        page.line(format!("{} is {}: {}", self.bead, self.status, escape(&self.title)));
        for line in &self.because {
            page.line(format!("  {}", escape(line)));
        }
        for line in &self.next {
            page.line(format!("  next: {}", escape(line)));
        }
    }
}

/// Tell who you are to gt here, and on which machine of which town
#[derive(Args)]
pub struct WhoamiArgs {}

/// Who the command acts as.
#[derive(JsonSchema, Serialize)]
pub struct Identity {
    /// The address.
    address: String,
    /// Its role.
    role: String,
    /// The e-mail for commits.
    email: String,
    /// The machine's id.
    machine: String,
    /// The town's directory.
    town: String,
}

impl WhoamiArgs {
    /// Tells.
    ///
    /// # Errors
    /// Refused, when environment and directory name different agents.
    pub fn run(&self, town: &Town) -> Result<Identity> {
        town.check_identity()?;
        Ok(Identity {
            address: town.me.to_string(),
            role: town.me.role().to_owned(),
            email: town.actor.email.clone(),
            machine: town.machine.clone(),
            town: town.root.display().to_string(),
        })
    }
}

impl Show for Identity {
    fn show(&self, page: &mut Page) {
        page.line(&self.address);
        page.line(format!("  {} in {}, machine {}, <{}>", self.role, escape(&self.town), self.machine, escape(&self.email)));
    }
}
