//! The bead verbs that only look: show, list, ready.

use super::pages::{Rows, Shown, ShownBead};
use super::rows::Question;
use super::which::{Shape, SortArgs, Which, WhichEver};
use crate::cli::out::Out;
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::model::bead::Bead;
use crate::ops::past::history::{self, Point};
use crate::ops::track::thread::thread;
use crate::ops::track::{self, Filter, Found, Listed, Order};
use crate::town::Town;
use clap::Args;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Shown>("bead show"),
    Answer::of::<Rows<Bead>>("bead list"),
    Answer::of::<Rows<Bead>>("bead ready"),
    Answer::of::<Rows<Bead>>("bead search"),
];

/// Show beads in full, for example: gt show wi-x7k2m --long
#[derive(Args)]
pub struct Show {
    /// Ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// As they stood then: a time, a length of time such as 2d (two days ago), a commit or a rev of gt bead history
    #[arg(long, value_name = "REV", conflicts_with_all = ["thread", "long"])]
    at: Option<String>,
    /// Also what was said around it: what it answers, what answers that, and all remarks
    #[arg(long)]
    thread: bool,
    /// A line for each
    #[arg(long, conflicts_with_all = ["thread", "long"])]
    short: bool,
    /// Everything: exact times, and all that depends on it and its children with titles and states
    #[arg(long)]
    long: bool,
}

impl Show {
    /// Shows them.
    ///
    /// # Errors
    /// Not found; refused, when an abbreviation fits several; corrupt, when a bead cannot be read.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        if let Some(at) = &self.at {
            return self.as_they_stood(town, &Point::read(at, town.now)?, out);
        }
        let mut beads = Vec::new();
        for text in &self.ids {
            let (ledger, id) = town.resolve_bead(text)?;
            let state = ledger.state()?;
            let bead = state.bead(&id)?;
            let family =
                if self.long { track::depend::family(&ledger, &id)? } else { track::depend::near_family(&ledger, &bead)? };
            family.notes.iter().for_each(|note| out.note(note));
            let children = family.children.iter().map(|child| child.id.clone()).collect();
            let depends_on = track::depends_on(town, &bead);
            let is_archived = state.archived_bead(&id)?.is_some();
            let thread = self.thread.then(|| thread(town, &bead)).transpose()?;
            let needed_by = self.long.then(|| track::neighbours(town, &ledger, &id)).transpose()?.map(|found| found.needed_by);
            let family = self.long.then_some(family.children);
            beads.push(ShownBead { bead, children, is_archived, depends_on, needed_by, family, thread });
        }
        Ok(out.show(&Shown { beads, now: town.now, is_short: self.short }))
    }

    fn as_they_stood(&self, town: &Town, point: &Point, out: Out) -> Result<u8> {
        let mut beads = Vec::new();
        for text in &self.ids {
            let (ledger, id) = history::once_a_bead(town, text)?;
            let stood = history::stood(&ledger, &id, point)?;
            out.note(&format!("{id} as it stood on {} in {}", stood.at, &stood.commit[..12]));
            let bead = stood.bead(&id)?;
            let depends_on = track::depends_on(town, &bead);
            let (children, is_archived) = (Vec::new(), false);
            beads.push(ShownBead { bead, children, is_archived, depends_on, needed_by: None, family: None, thread: None });
        }
        Ok(out.show(&Shown { beads, now: town.now, is_short: self.short }))
    }
}

/// List beads: those of the rig you are in, else of the whole town; for example: gt list -p 0-1 --label wet --sort updated
///
/// With --all also closed ones and gt's own records. A length of time such as 7d means 7 days ago for created, updated and
/// closed, and 7 days ahead for due and defer; -7d and +7d say which. --format takes the names of fields in JSON, such as
/// '{id} {priority} {labels} {metadata.KEY}', with \\t and \\n.
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    which: WhichEver,
    #[command(flatten)]
    sort: SortArgs,
    #[command(flatten)]
    shape: Shape,
    /// Each bead below its parent, as far as the list has that
    #[arg(long, visible_alias = "pretty", conflicts_with = "format")]
    tree: bool,
}

impl Question for List {
    fn find<B: Listed>(&self, town: &Town, _: Out) -> Result<Found<B>> {
        let (filter, scopes) = self.which.asked(town)?;
        let filter = Filter { everything: self.which.which.all, ..filter };
        track::list(town, &scopes, &filter, self.sort.sort(), self.shape.limit)
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn is_tree(&self) -> bool {
        self.tree
    }
}

/// List open work that nothing blocks and nobody has, for example: gt ready --rig widgets -t bug
#[derive(Args)]
pub struct Ready {
    #[command(flatten)]
    which: Which,
    /// hybrid: critical and high first, then the oldest
    #[arg(long, value_enum, default_value = "hybrid")]
    sort: Order,
    #[command(flatten)]
    shape: Shape,
}

impl Question for Ready {
    fn find<B: Listed>(&self, town: &Town, out: Out) -> Result<Found<B>> {
        let (filter, scopes) = self.which.asked(town)?;
        let ready = track::ready::<B>(town, &scopes, &filter, self.sort, self.shape.limit)?;
        if ready.elsewhere > 0 {
            out.note(&format!("{} more in other scopes: gt ready --all", ready.elsewhere));
        }
        Ok(ready.found)
    }

    fn shape(&self) -> &Shape {
        &self.shape
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
    which: WhichEver,
    #[command(flatten)]
    sort: SortArgs,
    #[command(flatten)]
    shape: Shape,
}

impl Question for Search {
    fn find<B: Listed>(&self, town: &Town, _: Out) -> Result<Found<B>> {
        let (filter, scopes) = self.which.asked(town)?;
        track::search(town, &scopes, &filter, &self.phrases, self.sort.asked(), self.shape.limit)
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }
}
