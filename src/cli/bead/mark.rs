//! The bead verbs that set small marks: assign, label, defer, pin, duplicate, supersede.

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use super::pages::{Changed, note_faults};
use super::which::Place;
use super::words::when;
use super::{assignee, bead_id, bead_ids};
use crate::cli::convoy::show_settled;
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::{Error, Kind, Result};
use crate::model::bead::Status;
use crate::name::BeadId;
use crate::ops::convoy::Settled;
use crate::ops::track::census::NO_LABELS;
use crate::ops::track::depend::Ending;
use crate::ops::track::{self, By, Edit, Filter, Labelled};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Changed>("bead assign"),
    Answer::of::<LabelsChanged>("bead label add"),
    Answer::of::<LabelsChanged>("bead label remove"),
    Answer::of::<Labels>("bead label list"),
    Answer::of::<AllLabels>("bead label list-all"),
    Answer::of::<Changed>("bead defer"),
    Answer::of::<Changed>("bead undefer"),
    Answer::of::<Changed>("bead pin"),
    Answer::of::<Changed>("bead unpin"),
    Answer::of::<Doubled>("bead duplicate"),
    Answer::of::<Replaced>("bead supersede"),
];

/// Say who has a bead, for example: gt bead assign wi-x7k2m widgets/crew/joe
#[derive(Args)]
pub struct Assign {
    /// The bead
    id: String,
    /// Who has it; empty for nobody
    #[arg(value_name = "ADDRESS")]
    who: String,
}

impl Assign {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let edit = Edit { assignee: Some(assignee(town, &self.who)?), ..Edit::default() };
        Ok(out.show(&Changed(track::update(town, &[bead_id(town, &self.id)?], &edit)?)))
    }
}

/// Labels of beads, for example: gt bead label add wi-x7k2m urgent
#[derive(Args)]
pub struct LabelArgs {
    #[command(subcommand)]
    verb: LabelVerb,
}

#[derive(Subcommand)]
enum LabelVerb {
    /// Add a label to beads: ID… LABEL
    Add {
        /// Ids, and the label last
        #[arg(required = true, num_args = 2.., value_name = "ID LABEL")]
        words: Vec<String>,
    },
    /// Take a label away from beads: ID… LABEL
    #[command(alias = "rm")]
    Remove {
        /// Ids, and the label last
        #[arg(required = true, num_args = 2.., value_name = "ID LABEL")]
        words: Vec<String>,
    },
    /// List the labels of a bead
    List {
        /// The bead
        id: String,
    },
    /// List all labels, with how many beads have each
    ListAll {
        #[command(flatten)]
        place: Place,
    },
}

impl LabelArgs {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            LabelVerb::Add { words } => Self::change(town, words, true, out),
            LabelVerb::Remove { words } => Self::change(town, words, false, out),
            LabelVerb::List { id } => {
                let (ledger, id) = town.resolve_bead(id)?;
                Ok(out.show(&Labels(ledger.state()?.bead(&id)?.labels.into_iter().collect())))
            }
            LabelVerb::ListAll { place } => {
                let found = track::count(town, &place.scopes(town)?, &Filter::default(), Some(By::Label))?;
                note_faults(&found, out);
                let named = found.beads.into_iter().filter(|group| group.group != NO_LABELS);
                Ok(out.show(&AllLabels(named.map(|group| Used { label: group.group, count: group.count }).collect())))
            }
        }
    }

    fn change(town: &Town, words: &[String], wanted: bool, out: Out) -> Result<u8> {
        let Some((label, ids)) = words.split_last() else {
            return Err(Error::usage("no label is named").hint("gt bead label add ID LABEL"));
        };
        let ids = bead_ids(town, ids).map_err(|error| match error.kind {
            Kind::NotFound | Kind::Usage => error.hint("one label, and it stands last; several: gt update ID --add-label A,B"),
            _ => error,
        })?;
        Ok(out.show(&LabelsChanged(track::label(town, &ids, label, wanted)?)))
    }
}

#[derive(JsonSchema, Serialize)]
struct LabelsChanged(Vec<Labelled>);

impl Show for LabelsChanged {
    fn show(&self, page: &mut Page) {
        for Labelled { status, issue_id, label } in &self.0 {
            let words = match status {
                Ending::Added => "now has",
                Ending::AlreadyThere => "already had",
                Ending::Removed => "no longer has",
                Ending::NotThere => "did not have",
            };
            page.line(format!("{issue_id} {words} the label {}", escape(label)));
        }
    }
}

#[derive(JsonSchema, Serialize)]
struct Labels(Vec<String>);

impl Show for Labels {
    fn show(&self, page: &mut Page) {
        self.0.iter().for_each(|label| page.line(escape(label)));
    }

    fn nothing(&self) -> &'static str {
        "it has no labels"
    }
}

#[derive(JsonSchema, Serialize)]
struct Used {
    label: String,
    count: usize,
}

#[derive(JsonSchema, Serialize)]
struct AllLabels(Vec<Used>);

impl Show for AllLabels {
    fn show(&self, page: &mut Page) {
        if self.0.is_empty() {
            return;
        }
        let rows: Vec<Vec<String>> = self.0.iter().map(|used| vec![used.count.to_string(), used.label.clone()]).collect();
        page.table(&["BEADS", "LABEL"], &rows);
    }

    fn nothing(&self) -> &'static str {
        "no bead has a label"
    }
}

/// Put beads aside, for example: gt bead defer wi-x7k2m --until 2d
///
/// They are ready again when the time comes, or after gt bead undefer.
#[derive(Args)]
pub struct Defer {
    /// Ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Until when: a date, a time or a length such as 2d; else until gt bead undefer
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
}

impl Defer {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let until = self.until.as_ref().map_or(Ok(None), |text| when(text, town.now))?;
        Ok(out.show(&Changed(track::defer(town, &bead_ids(town, &self.ids)?, until)?)))
    }
}

/// Take up beads that were put aside, for example: gt bead undefer wi-x7k2m
#[derive(Args)]
pub struct Undefer {
    /// Ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

impl Undefer {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        Ok(out.show(&Changed(track::take_up(town, &bead_ids(town, &self.ids)?, &Status::Deferred)?)))
    }
}

/// Keep beads as standing references, which are never ready, for example: gt bead pin wi-x7k2m
#[derive(Args)]
pub struct Pin {
    /// Ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

impl Pin {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let edit = Edit { status: Some(Status::Pinned), ..Edit::default() };
        Ok(out.show(&Changed(track::update(town, &bead_ids(town, &self.ids)?, &edit)?)))
    }
}

/// Make standing references work again, for example: gt bead unpin wi-x7k2m
#[derive(Args)]
pub struct Unpin {
    /// Ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

impl Unpin {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        Ok(out.show(&Changed(track::take_up(town, &bead_ids(town, &self.ids)?, &Status::Pinned)?)))
    }
}

/// Close a bead as the same as another, for example: gt bead duplicate wi-b2c3d --of wi-x7k2m
#[derive(Args)]
pub struct Duplicate {
    /// The bead to close
    id: String,
    /// The bead that stays
    #[arg(long, value_name = "ID")]
    of: String,
}

impl Duplicate {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (duplicate, canonical) = (bead_id(town, &self.id)?, bead_id(town, &self.of)?);
        let closed = track::duplicate(town, &duplicate, &canonical)?;
        Ok(out.show(&Doubled { duplicate, canonical, status: closed.bead.status, convoys: closed.convoys }))
    }
}

#[derive(JsonSchema, Serialize)]
struct Doubled {
    duplicate: BeadId,
    canonical: BeadId,
    status: Status,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    convoys: Vec<Settled>,
}

impl Show for Doubled {
    fn show(&self, page: &mut Page) {
        page.line(format!("{} is {} as a duplicate of {}", self.duplicate, self.status, self.canonical));
        self.convoys.iter().for_each(|convoy| show_settled(page, convoy));
    }
}

/// Close a bead as replaced by another, for example: gt bead supersede wi-b2c3d --with wi-x7k2m
#[derive(Args)]
pub struct Supersede {
    /// The bead to close
    id: String,
    /// The bead that replaces it
    #[arg(long, value_name = "ID")]
    with: String,
}

impl Supersede {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (superseded, replacement) = (bead_id(town, &self.id)?, bead_id(town, &self.with)?);
        let closed = track::supersede(town, &superseded, &replacement)?;
        Ok(out.show(&Replaced { superseded, replacement, status: closed.bead.status, convoys: closed.convoys }))
    }
}

#[derive(JsonSchema, Serialize)]
struct Replaced {
    superseded: BeadId,
    replacement: BeadId,
    status: Status,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    convoys: Vec<Settled>,
}

impl Show for Replaced {
    fn show(&self, page: &mut Page) {
        page.line(format!("{} is {}, superseded by {}", self.superseded, self.status, self.replacement));
        self.convoys.iter().for_each(|convoy| show_settled(page, convoy));
    }
}
