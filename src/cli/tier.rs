//! `gt config cost-tier`: which model each role runs, by one word.

use clap::Args;

use crate::cli::config::Place;
use crate::cli::out::{Out, Page, Show};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::ops::tiers::{self, Tiers};
use crate::town::Town;

/// What it prints with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Tiers>("config cost-tier")];

/// Choose the models of all roles by one word, or show what is chosen
///
/// Example: gt config cost-tier economy
#[derive(Args)]
pub struct TierArgs {
    /// standard, economy or budget
    tier: Option<String>,
    #[command(flatten)]
    place: Place,
}

impl TierArgs {
    /// Sets or shows.
    ///
    /// # Errors
    /// As [`tiers::set`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (place, scope) = self.place.resolve(town)?;
        let tiers = match &self.tier {
            Some(name) => tiers::set(town, place.as_ref(), scope, name)?,
            None => tiers::look(town, place.as_ref())?,
        };
        Ok(out.show(&tiers))
    }
}

impl Show for Tiers {
    fn show(&self, page: &mut Page) {
        match &self.tier {
            Some(tier) => page.line(format!("the tier is {tier}")),
            None => page.line("no tier is set"),
        }
        let row = |tier: &tiers::Tier| {
            let models: Vec<String> = tier.models.iter().map(|(role, model)| format!("{role} {model}")).collect();
            vec![tier.name.clone(), tier.agent.clone(), models.join(", ")]
        };
        page.table(&["TIER", "AGENT", "MODELS"], &self.tiers.iter().map(row).collect::<Vec<_>>());
    }
}
