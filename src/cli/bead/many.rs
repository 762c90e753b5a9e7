//! The bead verbs for many at once: batch, import, export.

use std::path::PathBuf;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::{Kind, OrFail, Result};
use crate::model::bead::Bead;
use crate::ops::track::import::{Options, write};
use crate::ops::track::lines::read_all;
use crate::ops::track::{self, Done, Exported, Imported, Scopes};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Ran>("bead batch"),
    Answer::of::<Imported>("bead import"),
    Answer::lines::<Bead>("bead export"),
    Answer::of::<Wrote>("bead export"),
];

/// Run operations from standard input, one JSON object a line, in one transaction a scope
///
/// Example line: {"op":"create","title":"Mend the pump","as":"pump"}; later lines speak of it as "$pump"
#[derive(Args)]
pub struct Batch {}

impl Batch {
    #[expect(clippy::unused_self, reason = "every verb runs alike")]
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let bytes = read_all(std::io::stdin().lock())?;
        Ok(out.show(&Ran(track::batch(town, &bytes)?)))
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Ran(Vec<Done>);

impl Show for Ran {
    fn show(&self, page: &mut Page) {
        for done in &self.0 {
            let name = done.name.as_ref().map(|name| format!(" as ${name}")).unwrap_or_default();
            page.line(escape(&format!("line {}: {} {}{name}", done.line, done.op, done.id)));
        }
        if self.0.is_empty() {
            page.line("nothing to do: no line says anything");
        }
    }
}

/// Take in beads from JSON lines, such as those that `gt bead export` or the bd tool write
#[derive(Args)]
pub struct Import {
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Leave lines out that cannot be taken, instead of refusing all
    #[arg(long)]
    skip_bad: bool,
    /// Only tell what would be written
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let bytes = if self.file.as_os_str() == "-" {
            read_all(std::io::stdin().lock())?
        } else {
            let path = town.dir.join(&self.file);
            read_all(std::fs::File::open(&path).or_fail(Kind::NotFound, || format!("open {}", path.display()))?)?
        };
        Ok(out.show(&track::import(town, bytes, Options { skip_bad: self.skip_bad, dry_run: self.dry_run })?))
    }
}

impl Show for Imported {
    fn show(&self, page: &mut Page) {
        let verb = if self.dry_run { "would import" } else { "imported" };
        let mut line = format!("{verb} {} beads: {} new, {} changed", self.ids.len(), self.created, self.updated);
        let rest = [
            (self.unchanged, "unchanged"),
            (self.older, "older than here"),
            (self.freed, "opened, being on no hook here"),
            (self.tombstones, "deleted there"),
            (self.others, "no beads"),
        ];
        for (count, word) in rest.into_iter().filter(|(count, _)| *count > 0) {
            line.push_str(&format!(", {count} {word}"));
        }
        page.line(line);
        for bad in &self.bad {
            page.line(escape(&format!("left out line {}: {}", bad.line, bad.fault)));
        }
    }
}

/// Write beads as JSON lines, in the field names of the bd tool
#[derive(Args)]
pub struct Export {
    /// Write to this file, whole or not at all, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The beads of this rig, or hq for the town's own; else of the rig here
    #[arg(long, value_name = "RIG")]
    rig: Option<String>,
    /// The beads of the whole town
    #[arg(long, conflicts_with = "rig")]
    all: bool,
}

impl Export {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let exported = track::export(town, &Scopes::of(town, self.rig.as_deref(), self.all)?)?;
        for damaged in &exported.damaged {
            out.note(&format!("damaged: {}: {}", damaged.path, damaged.fault));
        }
        match &self.output {
            None => Out { json: false, ..out }.show(&Lines { exported: &exported }),
            Some(file) => {
                write(&town.dir.join(file), &exported)?;
                out.show(&Wrote { file: file.clone(), count: exported.count })
            }
        };
        // Half of an export must not look whole to a script.
        Ok(if exported.damaged.is_empty() { 0 } else { Kind::Corrupt.exit_code() })
    }
}

#[derive(JsonSchema, Serialize)]
struct Lines<'e> {
    #[serde(skip)]
    exported: &'e Exported,
}

impl Show for Lines<'_> {
    fn show(&self, page: &mut Page) {
        self.exported.lines.lines().for_each(|line| page.line(line));
    }
}

#[derive(JsonSchema, Serialize)]
struct Wrote {
    file: PathBuf,
    count: usize,
}

impl Show for Wrote {
    fn show(&self, page: &mut Page) {
        page.line(format!("wrote {} beads to {}", self.count, self.file.display()));
    }
}
