//! `gt reindex`.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::scopes::ScopeArgs;
use crate::error::Result;
use crate::ops::reindex::{self, Checked, Made};
use crate::town::Town;

/// Make the indexes anew from the records; needed for nothing but doubt
///
/// Example: gt reindex --rig widgets
#[derive(Args)]
pub struct ReindexArgs {
    #[command(flatten)]
    scopes: ScopeArgs,
    /// Compare with the records and change nothing; exit 1 when something differs
    #[arg(long)]
    check: bool,
}

/// The indexes.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub struct AllMade(Vec<Made>);

impl ReindexArgs {
    /// Makes them.
    ///
    /// # Errors
    /// As [`reindex::reindex`] and [`reindex::check`].
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        let which = self.scopes.which();
        if self.check {
            return Ok(out.show(&AllChecked(reindex::check(town, &which)?)));
        }
        Ok(out.show(&AllMade(reindex::reindex(town, &which)?)))
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

/// What comparing the indexes came to.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub struct AllChecked(Vec<Checked>);

impl Show for AllChecked {
    fn show(&self, page: &mut Page) {
        for Checked { scope, index } in &self.0 {
            let found = match (index.is_there, index.different.len()) {
                (false, _) => "no index to compare with".to_owned(),
                (true, 0) => "the index says what the records say".to_owned(),
                (true, n) => format!("the index differs in {n}: gt reindex makes it anew"),
            };
            page.line(format!("{scope}: {} beads, {} letters: {found}", index.beads, index.letters));
            index.different.iter().take(20).for_each(|name| page.line(format!("  {}", escape(name))));
        }
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.0.iter().any(|one| !one.index.different.is_empty()))
    }
}
