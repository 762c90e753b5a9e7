//! What the bead verbs print.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::convoy::show_settled;
use crate::cli::out::ago::when;
use crate::cli::out::{Cell, Out, Page, Show, Style, escape};
use crate::model::bead::{Bead, DependencyKind};
use crate::model::brief::Brief;
use crate::model::record::ARCHIVE_COPY;
use crate::name::BeadId;
use crate::ops::track::follow::Followed;
use crate::ops::track::thread::Saying;
use crate::ops::track::{Closed, Connected, Ending, Found, Listed, Neighbour, Neighbours};
use crate::time::Moment;

/// A new bead.
#[derive(JsonSchema, Serialize)]
pub struct Created(pub Bead);

impl Show for Created {
    fn show(&self, page: &mut Page) {
        page.line(format!("created {}: {}", self.0.id, escape(&self.0.title)));
    }
}

/// The id of a new bead and nothing else.
#[derive(JsonSchema, Serialize)]
pub struct IdOnly(pub BeadId);

impl Show for IdOnly {
    fn show(&self, page: &mut Page) {
        page.line(self.0.as_str());
    }
}

/// A bead with what is found beside it.
#[derive(JsonSchema, Serialize)]
pub struct ShownBead {
    #[serde(flatten)]
    pub bead: Bead,
    pub children: Vec<BeadId>,
    /// Whether it has left the ledger for the archive.
    #[serde(rename = "archived", skip_serializing_if = "std::ops::Not::not")]
    pub is_archived: bool,
    #[serde(skip)]
    pub depends_on: Vec<Neighbour>,
    /// What depends on it; only with `--long`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed_by: Option<Vec<Neighbour>>,
    /// Its children with titles and states; only with `--long`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<Vec<Neighbour>>,
    /// What was said around it; only with `--thread`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<Vec<Saying>>,
}

/// Beads in full.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Shown {
    pub beads: Vec<ShownBead>,
    #[serde(skip)]
    pub now: Moment,
    /// A line for each.
    #[serde(skip)]
    pub is_short: bool,
}

impl Show for Shown {
    fn show(&self, page: &mut Page) {
        if self.is_short {
            return self.beads.iter().for_each(|shown| page.row("", &row_cells(&shown.bead)));
        }
        for (n, shown) in self.beads.iter().enumerate() {
            if n > 0 {
                page.gap();
            }
            shown.show(page, self.now);
        }
    }
}

impl ShownBead {
    fn show(&self, page: &mut Page, now: Moment) {
        let bead = &self.bead;
        let id = page.paint(Style::Dim, bead.id.as_str());
        page.line(format!("{id}  {}", page.paint(Style::Bold, &bead.title)));
        let held = if bead.status.is_closed() { "done by" } else { "held by" };
        let who = bead.assignee.as_deref().map_or_else(|| "nobody has it".to_owned(), |who| format!("{held} {}", escape(who)));
        let status = page.status(&bead.status);
        let priority = page.paint(Style::of_priority(bead.priority), &format!("P{}", bead.priority));
        page.line(format!("  {status}, {}, {priority}, {who}", escape(bead.issue_type.word())));
        page.field("created", &format!("{} by {}", when(bead.created_at, now), bead.created_by));
        if bead.updated_at != bead.created_at && Some(bead.updated_at) != bead.closed_at {
            page.field("changed", &when(bead.updated_at, now));
        }
        if let Some(at) = bead.started_at.filter(|_| !bead.status.is_closed()) {
            page.field("started", &when(at, now));
        }
        if let Some(at) = bead.closed_at {
            let by = bead.closed_by.as_deref().unwrap_or("somebody");
            let reason = bead.close_reason.as_deref().unwrap_or_default();
            let archived = if self.is_archived { ", archived" } else { "" };
            page.field("closed", &format!("{} by {by}{archived}: {reason}", when(at, now)));
        }
        for (word, at) in [("due", bead.due_at), ("not before", bead.defer_until), ("claimed until", bead.lease_until)] {
            if let Some(at) = at {
                page.field(word, &when(at, now));
            }
        }
        if let Some(owner) = &bead.owner {
            page.field("owner", owner);
        }
        if self.needed_by.is_some() {
            let started = bead.started_at.map(|at| format!("started {at}, ")).unwrap_or_default();
            let exact = format!("{started}created {}, changed {}, rev {}", bead.created_at, bead.updated_at, bead.rev);
            page.field("exactly", &exact);
        }
        if !bead.labels.is_empty() {
            let labels: Vec<&str> = bead.labels.iter().map(String::as_str).collect();
            page.field("labels", &labels.join(", "));
        }
        if let Some(parent) = &bead.parent {
            page.field("child of", parent.as_str());
        }
        self.show_edges(page);
        for (key, value) in bead.extra.iter().filter(|(key, _)| *key != ARCHIVE_COPY) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            page.field(key, &text);
        }
        self.show_texts(page, now);
    }

    fn show_edges(&self, page: &mut Page) {
        for neighbour in &self.depends_on {
            show_neighbour(page, leaning(&neighbour.kind), neighbour);
        }
        for neighbour in self.needed_by.iter().flatten() {
            show_neighbour(page, &format!("needed by ({})", neighbour.kind), neighbour);
        }
        for child in self.family.iter().flatten() {
            show_neighbour(page, "child", child);
        }
        if self.family.is_none() && !self.children.is_empty() {
            let ids: Vec<&str> = self.children.iter().map(BeadId::as_str).collect();
            page.field("children", &ids.join(", "));
        }
    }

    fn show_texts(&self, page: &mut Page, now: Moment) {
        let bead = &self.bead;
        let texts = [
            ("Description", &bead.description),
            ("Design", &bead.design),
            ("Acceptance", &bead.acceptance_criteria),
            ("Notes", &bead.notes),
        ];
        // A thread has the description where it was said.
        let skipped = usize::from(self.thread.is_some());
        for (heading, text) in texts.iter().skip(skipped).filter(|(_, text)| !text.is_empty()) {
            page.gap();
            page.line(page.paint(Style::Bold, &format!("{heading}:")));
            page.block(2, text);
        }
        if let Some(thread) = &self.thread {
            page.gap();
            return show_thread(page, thread, now);
        }
        for comment in &bead.comments {
            page.gap();
            let said = format!("{} said {}:", comment.author, when(comment.created_at, now));
            page.line(page.paint(Style::Dim, &said));
            page.block(2, &comment.text);
        }
    }
}

fn show_thread(page: &mut Page, thread: &[Saying], now: Moment) {
    for Saying { issue_id, author, title, text, created_at, depth } in thread {
        let indent = depth * 2;
        let what = title.as_ref().map(|title| format!(" {issue_id}: {}", escape(title))).unwrap_or_default();
        page.line(format!("{:indent$}{} said {}:{what}", "", escape(author), when(*created_at, now)));
        page.block(indent + 2, text);
    }
}

/// How a bead is connected with what stands behind these words.
fn leaning(kind: &DependencyKind) -> &str {
    match kind {
        DependencyKind::Blocks => "needs",
        DependencyKind::ConditionalBlocks => "needs the failure of",
        DependencyKind::WaitsFor => "needs all children of",
        DependencyKind::MergeBlocks => "needs the merge of",
        DependencyKind::ParentChild => "child of",
        DependencyKind::Related => "related to",
        DependencyKind::DiscoveredFrom => "discovered from",
        DependencyKind::RepliesTo => "replies to",
        other => other.word(),
    }
}

/// A bead that is connected, behind what says how.
fn show_neighbour(page: &mut Page, how: &str, neighbour: &Neighbour) {
    let mut cells = vec![Cell::from(how).dim()];
    match (&neighbour.status, &neighbour.title) {
        (Some(status), Some(title)) => {
            cells.push(Cell::id(neighbour.id.as_str()));
            cells.push(Cell::word(Style::of_status(status), &format!("({}):", status.word())));
            cells.push(Cell::from(title.as_str()));
        }
        _ => cells.push(Cell::from(format!("{}, which cannot be read from here", neighbour.id))),
    }
    page.row("  ", &cells);
}

/// Notes what could not be read.
pub fn note_faults<B>(found: &Found<B>, out: Out) {
    for damaged in &found.damaged {
        out.note(&format!("damaged: {}: {}", damaged.path, damaged.fault));
    }
    found.notes.iter().for_each(|note| out.note(note));
}

/// Notes how many rows there are, and what could not be read.
pub fn note_rows<B>(found: &Found<B>, out: Out) {
    note_faults(found, out);
    let shown = found.beads.len();
    out.note(&match shown {
        _ if shown < found.total => format!("{shown} of {} beads; --limit 0 shows all", found.total),
        0 => "no beads match".to_owned(),
        1 => "1 bead".to_owned(),
        _ => format!("{shown} beads"),
    });
}

/// Rows of a list; in JSON a bare array.
#[derive(JsonSchema, Serialize)]
pub struct Rows<B>(Vec<B>);

impl<B> Rows<B> {
    /// The rows; totals, damage and unreachable scopes are noted beside them.
    pub fn of(found: Found<B>, out: Out) -> Self {
        note_rows(&found, out);
        Self(found.beads)
    }
}

impl<B: Listed + JsonSchema + Serialize> Show for Rows<B> {
    fn show(&self, page: &mut Page) {
        if self.0.is_empty() {
            return;
        }
        // In a narrow terminal the title says more than these.
        let is_wide = |least: usize| page.columns().is_none_or(|columns| columns >= least);
        let is_shown = [true, true, true, is_wide(70), is_wide(55), true];
        let heading = kept(vec!["ID", "P", "STATUS", "TYPE", "ASSIGNEE", "TITLE"], &is_shown);
        let rows: Vec<Vec<Cell>> = self.0.iter().map(|bead| kept(row_cells(bead), &is_shown)).collect();
        page.table(&heading, &rows);
    }
}

/// Those of `columns` that are to be shown.
fn kept<T>(columns: Vec<T>, is_shown: &[bool]) -> Vec<T> {
    columns.into_iter().zip(is_shown).filter_map(|(column, is_shown)| is_shown.then_some(column)).collect()
}

/// A bead in a line.
fn row_cells<B: Listed>(bead: &B) -> Vec<Cell> {
    vec![
        Cell::id(bead.id()),
        Cell::priority(bead.priority()),
        Cell::status(bead.status()),
        Cell::word(Style::Plain, bead.issue_type().word()).dim(),
        Cell::address(bead.assignee()),
        Cell::from(bead.title()),
    ]
}

/// Beads after a change.
#[derive(JsonSchema, Serialize)]
pub struct Changed(pub Vec<Bead>);

impl Show for Changed {
    fn show(&self, page: &mut Page) {
        for bead in &self.0 {
            let who = bead.assignee.as_deref().filter(|_| !bead.status.is_closed());
            let who = who.map(|who| format!(", held by {}", escape(who))).unwrap_or_default();
            page.line(format!("{} is {}, P{}{who}: {}", bead.id, escape(bead.status.word()), bead.priority, escape(&bead.title)));
        }
    }
}

/// Beads after closing.
#[derive(JsonSchema, Serialize)]
pub struct ClosedBeads(pub Vec<Closed>);

impl Show for ClosedBeads {
    fn show(&self, page: &mut Page) {
        closed_lines(&self.0, page);
    }

    fn nothing(&self) -> &'static str {
        "there was nothing to close"
    }
}

fn closed_lines(closed: &[Closed], page: &mut Page) {
    for Closed { bead, was_so, .. } in closed {
        let words = if *was_so { "was closed already" } else { "is closed" };
        page.line(format!("{} {words}: {}", bead.id, escape(bead.close_reason.as_deref().unwrap_or_default())));
    }
    let mut told = BTreeSet::new();
    for convoy in closed.iter().flat_map(|one| &one.convoys).filter(|convoy| told.insert(&convoy.id)) {
        show_settled(page, convoy);
    }
}

impl Show for Followed {
    fn show(&self, page: &mut Page) {
        closed_lines(&self.closed, page);
        for Brief { id, priority, title, .. } in &self.unblocked {
            page.line(format!("  now ready: {id}, P{priority}: {}", escape(title)));
        }
        if let Some(next) = &self.continued {
            page.line(format!("next, and yours: {}: {}", next.id, escape(&next.title)));
        }
    }
}

/// Beads after opening them again.
#[derive(JsonSchema, Serialize)]
pub struct Reopened(pub Vec<Closed>);

impl Show for Reopened {
    fn show(&self, page: &mut Page) {
        for Closed { bead, was_so, .. } in &self.0 {
            let words = if *was_so { "was open already" } else { "is open again" };
            page.line(format!("{} {words}: {}", bead.id, escape(&bead.title)));
        }
    }
}

impl Show for Connected {
    fn show(&self, page: &mut Page) {
        let (a, b, kind) = (&self.issue_id, &self.depends_on_id, &self.kind);
        page.line(match self.status {
            Ending::Added => format!("{a} depends on {b} ({kind})"),
            Ending::AlreadyThere => format!("{a} depended on {b} already ({kind})"),
            Ending::Removed => format!("{a} no longer depends on {b} ({kind})"),
            Ending::NotThere => format!("{a} did not depend on {b}"),
        });
    }
}

impl Show for Neighbours {
    fn show(&self, page: &mut Page) {
        for (heading, list) in [("depends on", &self.depends_on), ("needed by", &self.needed_by)] {
            page.line(format!("{} {heading}:{}", self.id, if list.is_empty() { " nothing" } else { "" }));
            for neighbour in list {
                show_neighbour(page, neighbour.kind.word(), neighbour);
            }
        }
    }
}
