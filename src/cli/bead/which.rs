//! The words that choose beads, the same for every verb that lists or counts them, and those that say how rows are shown.

use clap::Args;

use super::words::{ago, priorities, when};
use super::{assignee, bead_id, bead_ids};
use crate::cli::template::Template;
use crate::error::Result;
use crate::model::bead::Status;
use crate::model::spelling::{issue_type, status};
use crate::ops::track::order::By;
use crate::ops::track::{Field, Filter, LIMIT, More, Scopes, Sort, Span};
use crate::town::Town;

/// Which beads, whatever their status.
#[derive(Args)]
#[command(next_help_heading = "Which beads")]
pub(super) struct Which {
    /// Only of these types
    #[arg(short = 't', long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Not of these types
    #[arg(long, alias = "exclude-type", value_name = "TYPE", value_delimiter = ',')]
    not_type: Vec<String>,
    /// Only of these priorities: 1, or 0,2, or 0-1
    #[arg(short, long, value_delimiter = ',')]
    priority: Vec<String>,
    /// Only of this priority or a less urgent one
    #[arg(long, value_name = "PRIORITY")]
    priority_min: Option<String>,
    /// Only of this priority or a more urgent one
    #[arg(long, value_name = "PRIORITY")]
    priority_max: Option<String>,
    /// Only with all of these labels
    #[arg(short, long = "label", alias = "labels", value_delimiter = ',')]
    label: Vec<String>,
    /// Only with at least one of these labels
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    label_any: Vec<String>,
    /// Only with none of these labels
    #[arg(long, alias = "exclude-label", value_name = "LABEL", value_delimiter = ',')]
    not_label: Vec<String>,
    /// Only of this assignee
    #[arg(short, long, value_name = "ADDRESS")]
    assignee: Option<String>,
    /// Only those that nobody has
    #[arg(short, long, alias = "no-assignee", conflicts_with_all = ["assignee", "mine"])]
    unassigned: bool,
    /// Only those that you have
    #[arg(long, conflicts_with = "assignee")]
    mine: bool,
    /// Only those that this address answers for
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<String>,
    /// Only those that this address made
    #[arg(long, value_name = "ADDRESS")]
    created_by: Option<String>,
    /// Only children of this bead
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// Only these beads
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    id: Vec<String>,
    /// Only what is called so elsewhere
    #[arg(long, value_name = "NAME")]
    external_ref: Option<String>,
    /// Only with these words in the title
    #[arg(long, value_name = "TEXT")]
    title_contains: Vec<String>,
    /// Only with these words in the description
    #[arg(long, alias = "description-contains", value_name = "TEXT")]
    desc_contains: Vec<String>,
    /// Only with these words in the notes
    #[arg(long, value_name = "TEXT")]
    notes_contains: Vec<String>,
    /// Only with this key in the metadata, or with this value there
    #[arg(long, alias = "metadata-field", value_name = "KEY[=VALUE]")]
    metadata: Vec<String>,
    /// Only with something in these fields
    #[arg(long, value_enum, value_name = "FIELD", value_delimiter = ',', hide_possible_values = true)]
    has: Vec<Field>,
    /// Only with nothing in these fields: description, design, acceptance, notes, assignee, owner, labels, parent, due,
    /// defer, estimate, external-ref, comments, dependencies, metadata
    #[arg(long, value_enum, value_name = "FIELD", value_delimiter = ',', hide_possible_values = true)]
    has_no: Vec<Field>,
    /// Only without labels
    #[arg(long, hide = true)]
    no_labels: bool,
    /// Only without a parent
    #[arg(long, hide = true)]
    no_parent: bool,
    /// Only without a description
    #[arg(long, hide = true)]
    empty_description: bool,
    #[command(flatten)]
    times: Times,
    /// Only of this rig, or hq for the town's own
    #[arg(long, value_name = "RIG", help_heading = "Options")]
    rig: Option<String>,
    /// Of every rig
    #[arg(long, help_heading = "Options")]
    pub(super) all: bool,
}

/// When. A length such as 7d lies in the past for what was, and ahead for what will be.
#[derive(Args)]
struct Times {
    /// Made since then: a date, a time, or a length such as 7d
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    created_after: Option<String>,
    /// Made before then
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    created_before: Option<String>,
    /// Changed since then
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    updated_after: Option<String>,
    /// Changed before then
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    updated_before: Option<String>,
    /// Due then or later
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    due_after: Option<String>,
    /// Due before then
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    due_before: Option<String>,
    /// Due before now
    #[arg(long, conflicts_with = "due_before")]
    overdue: bool,
    /// Deferred until then or later
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    defer_after: Option<String>,
    /// Deferred until before then
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    defer_before: Option<String>,
}

impl Times {
    fn spans(&self, town: &Town) -> Result<(Span, More)> {
        let was = |after: &Option<String>, before: &Option<String>| span(town, ago, after.as_ref(), before.as_ref());
        let will = |after: &Option<String>, before: &Option<String>| span(town, when, after.as_ref(), before.as_ref());
        let mut due = will(&self.due_after, &self.due_before)?;
        if self.overdue {
            due.before = Some(town.now);
        }
        let more = More {
            updated: was(&self.updated_after, &self.updated_before)?,
            due,
            deferred: will(&self.defer_after, &self.defer_before)?,
            ..More::default()
        };
        Ok((was(&self.created_after, &self.created_before)?, more))
    }
}

type Clock = fn(&str, crate::time::Moment) -> Result<Option<crate::time::Moment>>;

fn span(town: &Town, clock: Clock, after: Option<&String>, before: Option<&String>) -> Result<Span> {
    let moment = |text: Option<&String>| text.map_or(Ok(None), |text| clock(text, town.now));
    Ok(Span { after: moment(after)?, before: moment(before)? })
}

impl Which {
    fn filter(&self, town: &Town) -> Result<Filter> {
        let lower = |texts: &[String]| texts.iter().map(|text| text.to_lowercase()).collect();
        let (created, more) = self.times.spans(town)?;
        let who = |text: &Option<String>| text.as_ref().map_or(Ok(None), |text| assignee(town, text));
        let mut has_not = self.has_no.clone();
        let asked = [
            (self.unassigned, Field::Assignee),
            (self.no_labels, Field::Labels),
            (self.no_parent, Field::Parent),
            (self.empty_description, Field::Description),
        ];
        has_not.extend(asked.into_iter().filter_map(|(is_asked, field)| is_asked.then_some(field)));
        let filter = Filter {
            types: self.types.iter().map(|text| issue_type(text)).collect::<Result<_>>()?,
            not_types: self.not_type.iter().map(|text| issue_type(text)).collect::<Result<_>>()?,
            priorities: priorities(&self.priority, self.priority_min.as_deref(), self.priority_max.as_deref())?,
            labels: self.label.clone(),
            labels_any: self.label_any.clone(),
            labels_none: self.not_label.clone(),
            assignee: if self.mine { Some(town.me.to_string()) } else { who(&self.assignee)? },
            parent: self.parent.as_ref().map(|text| bead_id(town, text)).transpose()?,
            ids: bead_ids(town, &self.id)?,
            created,
            has: self.has.clone(),
            has_not,
            more: More {
                title_words: lower(&self.title_contains),
                description_words: lower(&self.desc_contains),
                notes_words: lower(&self.notes_contains),
                owner: self.owner.clone(),
                created_by: self.created_by.clone(),
                external_ref: self.external_ref.clone(),
                metadata: self.metadata.iter().map(|text| key_and_value(text)).collect(),
                ..more
            },
            ..Filter::default()
        };
        filter.check()?;
        Ok(filter)
    }

    /// What is asked, and where.
    pub(super) fn asked(&self, town: &Town) -> Result<(Filter, Scopes)> {
        let filter = self.filter(town)?;
        let scopes = self.scopes(town, &filter)?;
        Ok((filter, scopes))
    }

    /// The scopes that are asked: those of the ids that are named, when no rig is.
    fn scopes(&self, town: &Town, filter: &Filter) -> Result<Scopes> {
        if self.rig.is_some() || filter.ids.is_empty() {
            return Scopes::of(town, self.rig.as_deref(), self.all);
        }
        let mut asked: Vec<_> = filter.ids.iter().map(crate::name::BeadId::prefix).collect();
        asked.sort();
        asked.dedup();
        Ok(Scopes { asked, others: Vec::new() })
    }
}

fn key_and_value(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    }
}

/// Which beads, by their status too.
#[derive(Args)]
#[command(next_help_heading = "Which beads")]
pub(super) struct WhichEver {
    #[command(flatten)]
    pub(super) which: Which,
    /// Only with one of these statuses; all stands for every status, closed too
    #[arg(short, long, value_delimiter = ',')]
    status: Vec<String>,
    /// With none of these statuses
    #[arg(long, alias = "exclude-status", value_name = "STATUS", value_delimiter = ',')]
    not_status: Vec<String>,
    /// Closed since then
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    closed_after: Option<String>,
    /// Closed before then
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    closed_before: Option<String>,
}

impl WhichEver {
    /// What is asked, and where.
    pub(super) fn asked(&self, town: &Town) -> Result<(Filter, Scopes)> {
        let (mut filter, scopes) = self.which.asked(town)?;
        filter.statuses = if self.status.iter().any(|text| text == "all") {
            Status::WORDS.iter().map(|word| Status::from((*word).to_owned())).collect()
        } else {
            self.status.iter().map(|text| status(text)).collect::<Result<_>>()?
        };
        filter.not_statuses = self.not_status.iter().map(|text| status(text)).collect::<Result<_>>()?;
        filter.more.closed = span(town, ago, self.closed_after.as_ref(), self.closed_before.as_ref())?;
        if filter.statuses.is_empty() && !filter.more.closed.is_open() {
            filter.statuses = vec![Status::Closed];
        }
        Ok((filter, scopes))
    }
}

/// Which scopes.
#[derive(Args)]
pub(super) struct Place {
    /// Only of this rig, or hq for the town's own
    #[arg(long, value_name = "RIG")]
    rig: Option<String>,
    /// Of every rig
    #[arg(long, conflicts_with = "rig")]
    all: bool,
}

impl Place {
    /// The scopes that are meant: those named, else the rig of the directory, else all.
    pub(super) fn scopes(&self, town: &Town) -> Result<Scopes> {
        Scopes::of(town, self.rig.as_deref(), self.all)
    }
}

/// How many rows, and how each looks.
#[derive(Args)]
pub struct Shape {
    /// Rows to show; 0 for all
    #[arg(short = 'n', long, default_value_t = LIMIT)]
    pub limit: usize,
    /// A line for each row, such as '{id} {title}' (gt list --help names the fields)
    #[arg(long, value_name = "TEMPLATE")]
    pub format: Option<Template>,
}

/// In which order.
#[derive(Args)]
pub(super) struct SortArgs {
    /// Sort by this; created, updated and closed show the newest first
    #[arg(long, value_enum, value_name = "FIELD")]
    sort: Option<By>,
    /// From the end
    #[arg(short, long)]
    reverse: bool,
}

impl SortArgs {
    /// The order that is asked for.
    pub(super) fn sort(&self) -> Sort {
        Sort { by: self.sort.unwrap_or_default(), reverse: self.reverse }
    }

    /// The same, or `None` when nothing was said.
    pub(super) fn asked(&self) -> Option<Sort> {
        (self.sort.is_some() || self.reverse).then(|| self.sort())
    }
}
