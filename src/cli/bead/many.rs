//! The bead verbs for many at once: batch, import, export.

use std::path::PathBuf;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::convoy::show_settled;
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::{Error, Kind, Result};
use crate::model::bead::Bead;
use crate::model::spelling::{issue_type, status};
use crate::model::tombstone::Tombstone;
use crate::name::Prefix;
use crate::ops::track::export::{Which, write};
use crate::ops::track::import::{Options, source};
use crate::ops::track::lines::read_all;
use crate::ops::track::{self, Done, Imported, Scopes};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Ran>("bead batch"),
    Answer::of::<Imported>("bead import"),
    Answer::lines::<Bead>("bead export"),
    Answer::lines::<Tombstone>("bead export"),
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

/// Take in beads from JSON lines, such as those that `gt bead export`, the bd tool or br write
///
/// Without FILE: `.beads/issues.jsonl` of this directory, else of the project of the rig.
/// Example: gt bead import ~/src/widgets --rig widgets --rename
#[derive(Args)]
pub struct Import {
    /// The file, a directory with .beads/issues.jsonl in it, or - for standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// As FILE
    #[arg(short, long, value_name = "FILE", conflicts_with = "file", hide = true)]
    input: Option<PathBuf>,
    /// The rig that the beads shall belong to, or hq for the town; else the prefix of each id says it
    #[arg(long, value_name = "RIG")]
    rig: Option<String>,
    /// With --rig: give the beads ids with the rig's prefix, wherever the file mentions them
    #[arg(long, requires = "rig")]
    rename: bool,
    /// Leave lines out that cannot be taken, instead of refusing all
    #[arg(long)]
    skip_bad: bool,
    /// Take lines that are older than the beads here, too
    #[arg(long)]
    allow_stale: bool,
    /// Only tell what would be written
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let scope = self.rig.as_ref().map(|text| track::scope_named(town, text)).transpose()?;
        let file = self.file.as_ref().or(self.input.as_ref());
        let bytes = match file {
            Some(file) if file.as_os_str() == "-" => read_all(std::io::stdin().lock())?,
            Some(file) => source::of_file(town, file)?.bytes,
            None => {
                let lines = Self::found(town, scope.as_ref())?;
                out.note(&format!("reading {}", lines.from));
                lines.bytes
            }
        };
        let options =
            Options { skip_bad: self.skip_bad, dry_run: self.dry_run, scope, rename: self.rename, take_older: self.allow_stale };
        Ok(out.show(&track::import(town, bytes, &options)?))
    }

    /// The lines that are meant when no file is named.
    fn found(town: &Town, scope: Option<&Prefix>) -> Result<source::Lines> {
        if source::PLACES.iter().any(|place| town.dir.join(place).is_file()) {
            return source::of_file(town, &town.dir);
        }
        let rig = match scope {
            Some(scope) => {
                town.rigs()?.into_iter().find(|rig| rig.prefix == *scope).map(|rig| town.rig(&rig.name)).transpose()?
            }
            None => town.find_rig_here()?,
        };
        let hint = "name the file, or the rig whose project has it: gt bead import --rig NAME";
        let rig = rig.ok_or_else(|| Error::usage("which file? none is named and none is here").hint(hint))?;
        source::of_project(&rig)
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
            (self.renamed, "with other ids"),
            (self.tombstones, "deleted there"),
            (self.deleted_here, "deleted here since"),
            (self.others, "no beads"),
        ];
        for (count, word) in rest.into_iter().filter(|(count, _)| *count > 0) {
            line.push_str(&format!(", {count} {word}"));
        }
        page.line(line);
        for bad in &self.bad {
            page.line(escape(&format!("left out line {}: {}", bad.line, bad.fault)));
        }
        for cut in &self.cut {
            page.line(escape(&format!("left out that link of line {}: {}", cut.line, cut.fault)));
        }
        self.convoys.iter().for_each(|convoy| show_settled(page, convoy));
    }
}

/// Write beads as JSON lines, in the field names of the bd tool
///
/// Example: gt bead export --all -o beads.jsonl
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
    /// Only with one of these statuses; tombstone for deleted beads, which a whole export has too
    #[arg(short, long, value_delimiter = ',')]
    status: Vec<String>,
    /// Only of these types
    #[arg(short = 't', long = "type", value_delimiter = ',')]
    types: Vec<String>,
}

impl Export {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let scopes = Scopes::of(town, self.rig.as_deref(), self.all)?;
        let (stones, statuses): (Vec<&String>, Vec<&String>) = self.status.iter().partition(|text| *text == "tombstone");
        let which = Which {
            has_tombstones: !stones.is_empty(),
            statuses: statuses.iter().map(|text| status(text)).collect::<Result<_>>()?,
            types: self.types.iter().map(|text| issue_type(text)).collect::<Result<_>>()?,
        };
        let exported = match &self.output {
            None => out.stream(|sink| track::export(town, &scopes, &which, sink))?,
            Some(file) => {
                let mut bytes = Vec::new();
                let exported = track::export(town, &scopes, &which, &mut bytes)?;
                write(&town.dir.join(file), &bytes)?;
                out.show(&Wrote { file: file.clone(), count: exported.count });
                exported
            }
        };
        for damaged in &exported.damaged {
            out.note(&format!("damaged: {}: {}", damaged.path, damaged.fault));
        }
        // Half of an export must not look whole to a script.
        Ok(if exported.damaged.is_empty() { 0 } else { Kind::Corrupt.exit_code() })
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
