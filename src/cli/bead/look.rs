//! The bead verbs that only look: show, list, ready.

use clap::Args;
use serde::Serialize;

use super::pages::{Rows, Shown, ShownBead};
use super::words::priority;
use super::{assignee, bead_id, issue_type, status};
use crate::cli::out::Out;
use crate::error::Result;
use crate::model::bead::Bead;
use crate::model::brief::Brief;
use crate::ops::track::{self, Filter, LIMIT, Listed, Order, Scopes};
use crate::town::Town;

/// Show beads in full
#[derive(Args)]
pub struct Show {
    /// Ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

impl Show {
    /// Shows them.
    ///
    /// # Errors
    /// Not found; refused, when an abbreviation fits several; corrupt, when a bead cannot be read.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let mut beads = Vec::new();
        for text in &self.ids {
            let (ledger, id) = town.resolve_bead(text)?;
            let state = ledger.state()?;
            let bead = state.bead(&id)?;
            let start = format!("{id}.");
            let beside = state.ids_beside(&id).or_else(|error| {
                out.note(&format!("children that are archived are left out: {}", error.line()));
                state.own_ids_beside(&id)
            })?;
            let children = beside.into_iter().filter(|other| other.as_str().starts_with(&start)).collect();
            let depends_on = track::depends_on(town, &bead);
            let is_archived = state.archived_bead(&id)?.is_some();
            beads.push(ShownBead { bead, children, is_archived, depends_on });
        }
        Ok(out.show(&Shown { beads, now: town.now }))
    }
}

/// Which beads.
#[derive(Args)]
pub(super) struct Which {
    /// Only of these types
    #[arg(short = 't', long = "type", value_delimiter = ',')]
    types: Vec<String>,
    /// Only of these priorities
    #[arg(short, long, value_delimiter = ',')]
    priority: Vec<String>,
    /// Only with all of these labels
    #[arg(short, long = "label", alias = "labels", value_delimiter = ',')]
    label: Vec<String>,
    /// Only children of this bead
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// Only of this rig, or hq for the town's own
    #[arg(long, value_name = "RIG")]
    pub(super) rig: Option<String>,
    /// Rows to show; 0 for all
    #[arg(short = 'n', long, default_value_t = LIMIT)]
    pub(super) limit: usize,
}

impl Which {
    pub(super) fn filter(&self, town: &Town) -> Result<Filter> {
        Ok(Filter {
            types: self.types.iter().map(|text| issue_type(text)).collect::<Result<_>>()?,
            priorities: self.priority.iter().map(|text| priority(text)).collect::<Result<_>>()?,
            labels: self.label.clone(),
            parent: self.parent.as_ref().map(|text| bead_id(town, text)).transpose()?,
            ..Filter::default()
        })
    }
}

/// List beads: those of the rig you are in, else of the whole town
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    which: Which,
    /// Only with one of these statuses
    #[arg(short, long, value_delimiter = ',')]
    status: Vec<String>,
    /// Only of this assignee
    #[arg(short, long, value_name = "ADDRESS")]
    assignee: Option<String>,
    /// Of every rig, closed ones and gt's own records too
    #[arg(long)]
    all: bool,
}

impl List {
    /// Lists them.
    ///
    /// # Errors
    /// Usage or not found, when a filter is wrong.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let filter = Filter {
            statuses: self.status.iter().map(|text| status(text)).collect::<Result<_>>()?,
            assignee: self.assignee.as_ref().map_or(Ok(None), |text| assignee(town, text))?,
            everything: self.all,
            ..self.which.filter(town)?
        };
        let scopes = Scopes::of(town, self.which.rig.as_deref(), self.all)?;
        if out.json {
            let found = track::list::<Bead>(town, &scopes, &filter, self.which.limit)?;
            return Ok(out.show(&Rows::of(found, out)));
        }
        let found = track::list::<Brief>(town, &scopes, &filter, self.which.limit)?;
        Ok(out.show(&Rows::of(found, out)))
    }
}

/// List open work that nothing blocks and nobody has
#[derive(Args)]
pub struct Ready {
    #[command(flatten)]
    which: Which,
    /// Of every rig
    #[arg(long)]
    all: bool,
    /// hybrid: critical and high first, then the oldest
    #[arg(long, value_enum, default_value = "hybrid")]
    sort: Order,
}

impl Ready {
    /// Lists it.
    ///
    /// # Errors
    /// Usage or not found, when a filter is wrong.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let scopes = Scopes::of(town, self.which.rig.as_deref(), self.all)?;
        let filter = self.which.filter(town)?;
        if out.json {
            self.answer::<Bead>(town, &scopes, &filter, out)
        } else {
            self.answer::<Brief>(town, &scopes, &filter, out)
        }
    }

    fn answer<B: Listed + Serialize>(&self, town: &Town, scopes: &Scopes, filter: &Filter, out: Out) -> Result<u8> {
        let ready = track::ready::<B>(town, scopes, filter, self.sort, self.which.limit)?;
        if ready.elsewhere > 0 {
            out.note(&format!("{} more in other scopes: gt ready --all", ready.elsewhere));
        }
        Ok(out.show(&Rows::of(ready.found, out)))
    }
}

/// Find beads by their words, archived ones too, for example: gt search "merge queue" flaky
///
/// All phrases must occur in the title, the id, the labels, the texts, the comments or the close reason, in any case.
#[derive(Args)]
pub struct Search {
    /// Words, or phrases in quotes
    #[arg(required = true, value_name = "TEXT")]
    phrases: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Only with one of these statuses
    #[arg(short, long, value_delimiter = ',')]
    status: Vec<String>,
    /// Of every rig
    #[arg(long)]
    all: bool,
}

impl Search {
    /// Finds them.
    ///
    /// # Errors
    /// Usage or not found, when a filter is wrong.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        if out.json { self.answer::<Bead>(town, out) } else { self.answer::<Brief>(town, out) }
    }

    fn answer<B: Listed + Serialize>(&self, town: &Town, out: Out) -> Result<u8> {
        let statuses = self.status.iter().map(|text| status(text)).collect::<Result<_>>()?;
        let filter = Filter { statuses, ..self.which.filter(town)? };
        let scopes = Scopes::of(town, self.which.rig.as_deref(), self.all)?;
        let found = track::search::<B>(town, &scopes, &filter, &self.phrases, self.which.limit)?;
        Ok(out.show(&Rows::of(found, out)))
    }
}
