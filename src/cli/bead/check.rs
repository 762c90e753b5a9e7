//! The bead verbs that look for what is wrong: lint, duplicates, orphans, dep cycles.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::bead_ids;
use super::pages::note_faults;
use super::which::WhichEver;
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::cli::scopes::ScopeArgs;
use crate::error::Result;
use crate::name::BeadId;
use crate::ops::track::alike::{Pair, duplicates};
use crate::ops::track::lint::{Finding, lint};
use crate::ops::track::orphans::{Orphan, orphans};
use crate::ops::track::rings::{rings, way_out};
use crate::ops::track::{Found, LIMIT, Scopes};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Findings>("bead lint"),
    Answer::of::<Pairs>("bead duplicates"),
    Answer::of::<Orphans>("bead orphans"),
    Answer::of::<Rings>("bead dep cycles"),
];

/// Tell what is wanting in beads; exit 1 when something is. For example: gt bead lint --rig widgets
///
/// Open work without a description; bugs, features and epics that do not say when they are done; beads closed without a
/// reason; edges to beads that are not there; hooked beads on no hook, and hooks with others; titles that stand twice;
/// records that cannot be read.
#[derive(Args)]
pub struct LintArgs {
    /// Only these beads
    ids: Vec<String>,
    /// Only of this rig, or hq for the town's own
    #[arg(long, value_name = "RIG", conflicts_with = "ids")]
    rig: Option<String>,
    /// Of every rig
    #[arg(long, conflicts_with_all = ["rig", "ids"])]
    all: bool,
    /// Rows to show; 0 for all
    #[arg(short = 'n', long, default_value_t = LIMIT)]
    limit: usize,
}

impl LintArgs {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let ids = bead_ids(town, &self.ids)?;
        let mut scopes = Scopes::of(town, self.rig.as_deref(), self.all)?;
        if !ids.is_empty() {
            scopes.asked = ids.iter().map(BeadId::prefix).collect();
            scopes.asked.sort();
            scopes.asked.dedup();
        }
        let found = lint(town, &scopes, &ids.into_iter().collect())?;
        note_faults(&found, out);
        Ok(out.show(&Findings(shown(found, self.limit, out))))
    }
}

/// The first rows of what was found; how many there are is told beside them.
fn shown<T>(found: Found<T>, limit: usize, out: Out) -> Vec<T> {
    let total = found.total;
    let mut rows = found.beads;
    if limit > 0 && rows.len() > limit {
        rows.truncate(limit);
    }
    out.note(&match rows.len() {
        shown if shown < total => format!("{shown} of {total}; --limit 0 shows all"),
        0 => "nothing found".to_owned(),
        _ => format!("{total} found"),
    });
    rows
}

/// What is wanting.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Findings(Vec<Finding>);

impl Show for Findings {
    fn show(&self, page: &mut Page) {
        for Finding { id, message, .. } in &self.0 {
            page.line(format!("{}: {}", escape(id), escape(message)));
        }
    }

    fn exit_code(&self) -> u8 {
        u8::from(!self.0.is_empty())
    }
}

/// List pairs of beads that may be the same, the most alike first; for example: gt bead duplicates --threshold 80
///
/// By the words of their titles, and of their descriptions where both have one. Then: gt bead duplicate ID --of OTHER
#[derive(Args)]
pub struct Duplicates {
    #[command(flatten)]
    which: WhichEver,
    /// How alike they are at least, in hundredths
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u8).range(1..=100))]
    threshold: u8,
    /// Rows to show; 0 for all
    #[arg(short = 'n', long, default_value_t = LIMIT)]
    limit: usize,
}

impl Duplicates {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (filter, scopes) = self.which.asked(town)?;
        let found = duplicates(town, &scopes, &filter, self.threshold, self.limit)?;
        note_faults(&found, out);
        Ok(out.show(&Pairs(shown(found, self.limit, out))))
    }
}

/// Beads that may be the same.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Pairs(Vec<Pair>);

impl Show for Pairs {
    fn show(&self, page: &mut Page) {
        for Pair { id, title, other_id, other_title, likeness } in &self.0 {
            page.line(format!("{likeness}%  {id}: {}", escape(title)));
            page.line(format!("     {other_id}: {}", escape(other_title)));
        }
    }
}

/// List open beads that commits on the target branch name, here or at origin; for example: gt bead orphans --rig widgets
#[derive(Args)]
pub struct OrphanArgs {
    #[command(flatten)]
    scopes: ScopeArgs,
    /// Rows to show; 0 for all
    #[arg(short = 'n', long, default_value_t = LIMIT)]
    limit: usize,
}

impl OrphanArgs {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let found = orphans(town, &self.scopes.which().places(town)?)?;
        note_faults(&found, out);
        Ok(out.show(&Orphans(shown(found, self.limit, out))))
    }
}

/// Open beads that commits name.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Orphans(Vec<Orphan>);

impl Show for Orphans {
    fn show(&self, page: &mut Page) {
        for Orphan { id, title, status, commit, subject } in &self.0 {
            page.line(format!("{id} ({}): {}", escape(status.word()), escape(title)));
            page.line(format!("  named by {commit}: {}", escape(subject)));
        }
    }
}

/// Finds rings of beads that wait for each other, over all rigs.
pub(super) fn cycles(town: &Town, out: Out) -> Result<u8> {
    let found = rings(town)?;
    note_faults(&found, out);
    let way_out = found.beads.first().and_then(|ring| way_out(town, ring));
    Ok(out.show(&Rings { rings: found.beads, way_out }))
}

/// Rings of beads, each beginning and ending with the same one.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Rings {
    rings: Vec<Vec<BeadId>>,
    /// The dependency that ends the first.
    #[serde(skip)]
    way_out: Option<(BeadId, BeadId)>,
}

impl Show for Rings {
    fn show(&self, page: &mut Page) {
        for ring in &self.rings {
            page.line(ring.iter().map(BeadId::as_str).collect::<Vec<_>>().join(" → "));
        }
        if let Some((from, to)) = &self.way_out {
            page.line(format!("to end the first: gt bead dep remove {from} {to}"));
        }
    }

    fn exit_code(&self) -> u8 {
        u8::from(!self.rings.is_empty())
    }

    fn nothing(&self) -> &'static str {
        "no bead waits for itself"
    }
}
