//! `gt redact`: secrets out of records.

use std::io::Read as _;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::cli::scopes::ScopeArgs;
use crate::error::{Kind, OrFail, Result};
use crate::ops::redact::{Order, Redacted, redact};
use crate::town::Town;

/// What it prints with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Found>("redact")];

/// Take a secret out of the records that hold it: beads, comments, mail, logs of gates
///
/// Revoke it first: history holds it until gt flatten, and whoever has fetched has it. Without --text whatever looks like
/// a secret is taken out. Example: gt redact --text - < secret.txt
#[derive(Args)]
pub struct RedactArgs {
    /// Only of these beads and letters; else of all records
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// The secret; - reads it from standard input, so that it stays out of the shell's history
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Only tell which records hold it
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    scopes: ScopeArgs,
}

/// The records.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Found {
    records: Vec<Redacted>,
    #[serde(skip)]
    dry_run: bool,
}

impl RedactArgs {
    /// Redacts, and tells the exit code.
    ///
    /// # Errors
    /// As [`redact`].
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        let text = match self.text.as_deref() {
            Some("-") => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).or_fail(Kind::Io, || "read the secret from standard input")?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            other => other.map(str::to_owned),
        };
        let resolve = |id: &String| town.resolve_bead(id).map(|(_, id)| id).or_else(|_| id.parse());
        let records = self.ids.iter().map(resolve).collect::<Result<_>>()?;
        let order = Order { records, text, dry_run: self.dry_run };
        let found = Found { records: redact(town, &self.scopes.which(), &order)?, dry_run: self.dry_run };
        if !found.records.is_empty() && !self.dry_run {
            out.note(
                "history holds it until it is flattened (gt flatten), other machines until they sync and flatten too; revoke it",
            );
        }
        Ok(out.show(&found))
    }
}

impl Show for Found {
    fn show(&self, page: &mut Page) {
        let verb = if self.dry_run { "would be taken out of" } else { "was taken out of" };
        for one in &self.records {
            page.line(format!("{}: {verb} {} ({})", one.scope, escape(&one.record), escape(&one.fields.join(", "))));
        }
        if self.records.is_empty() {
            page.line("no record holds it");
        }
    }
}
