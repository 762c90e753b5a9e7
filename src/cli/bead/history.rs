//! The bead verbs that look back: history, diff.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::ledger::past::Event;
use crate::model::difference::Difference;
use crate::ops::past::history::{self, Compared, Point, Told};
use crate::time::Moment;
use crate::town::Town;

/// Show how a bead came to be what it is, the newest change first, for example: gt bead history wi-x7k2m
#[derive(Args)]
pub struct History {
    /// The bead, be it deleted or archived
    id: String,
    /// At most this many changes; 0 for all
    #[arg(short = 'n', long, default_value_t = 20)]
    limit: usize,
}

impl History {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (ledger, id) = history::once_a_bead(town, &self.id)?;
        // One more tells whether there are more.
        let asked = if self.limit == 0 { 0 } else { self.limit + 1 };
        let mut told = history::history(&ledger, &id, asked)?;
        if self.limit > 0 && told.len() > self.limit {
            told.truncate(self.limit);
            out.note("there are older changes: --limit 0 shows all");
        }
        Ok(out.show(&Changes { told, now: town.now }))
    }
}

/// What `gt bead history` and `gt bead diff` print with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Changes>("bead history"), Answer::of::<Compared>("bead diff")];

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Changes {
    told: Vec<Told>,
    #[serde(skip)]
    now: Moment,
}

impl Show for Changes {
    fn show(&self, page: &mut Page) {
        for (n, one) in self.told.iter().enumerate() {
            if n > 0 {
                page.gap();
            }
            let (what, commit) = (event_words(one.event), &one.commit[..12]);
            page.line(format!(
                "{what} {} by {}: {}",
                one.at.ago(self.now),
                escape(&one.actor),
                escape(&page.shortened(&one.subject, 90))
            ));
            page.line(format!("  {} {commit} rev {}", &one.at.to_string()[..19].replace('T', " "), escape(&one.rev)));
            if one.event != Event::Created {
                one.changes.iter().for_each(|change| show_change(page, change));
            }
        }
    }
}

fn event_words(event: Event) -> &'static str {
    match event {
        Event::Created => "created",
        Event::Changed => "changed",
        Event::Merged => "merged with what another machine did",
        Event::Deleted => "deleted",
        Event::Moved => "moved to another id",
        Event::Restored => "restored",
        Event::Archived => "archived",
        Event::Returned => "came back from the archive",
        Event::Flattened => "was there when history was flattened; what was before is not kept here:",
    }
}

/// The longest value that a terminal shows, in characters.
const WORDS_MAX: usize = 100;

/// Fields with texts of several lines.
const TEXTS: [&str; 4] = ["description", "design", "acceptance_criteria", "notes"];

pub(super) fn show_change(page: &mut Page, change: &Difference) {
    let field = escape(&change.field);
    let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    if TEXTS.contains(&change.field.as_str()) {
        page.line(format!("  {field}:"));
        page.diff(4, &text(&change.from), &text(&change.to));
        return;
    }
    if change.from.is_none() && change.to.is_none() {
        let part = |sign: char, value: &Value| format!("{sign} {}", escape(&part_words(page, value)));
        let gone = change.removed.iter().map(|value| part('-', value));
        let parts: Vec<String> = gone.chain(change.added.iter().map(|value| part('+', value))).collect();
        let words = if parts.is_empty() { "in another order".to_owned() } else { parts.join(", ") };
        page.line(format!("  {field}: {words}"));
        return;
    }
    let plain = |value: &Option<Value>| value.as_ref().map_or_else(|| "none".to_owned(), |value| part_words(page, value));
    let (from, to) = (escape(&plain(&change.from)), escape(&plain(&change.to)));
    page.line(format!("  {field}: {from} → {to}"));
}

/// An edge, a comment or a plain value: on a terminal in few words, elsewhere in all of them.
fn part_words(page: &Page, value: &Value) -> String {
    let field = |name: &str| value.get(name).and_then(Value::as_str);
    if let Some(text) = value.as_str() {
        return page.shortened(text, WORDS_MAX);
    }
    let words = match (field("depends_on_id"), field("author")) {
        (Some(target), _) => format!("{} {target}", field("type").unwrap_or("blocks")),
        (None, Some(author)) => {
            let lines = field("text").unwrap_or_default().lines();
            let shown = if page.columns().is_some() { 1 } else { usize::MAX };
            format!("{author}: {}", lines.take(shown).collect::<Vec<_>>().join(" ⏎ "))
        }
        (None, None) => value.to_string(),
    };
    page.shortened(&words, WORDS_MAX)
}

/// Show what differs in a bead between two points of its history, for example: gt bead diff wi-x7k2m 2d now
///
/// A point is a time or a date, a length of time such as 2d (two days ago), a commit or a rev as gt bead history shows
/// them, or now.
#[derive(Args)]
pub struct Diff {
    /// The bead, be it deleted or archived
    id: String,
    /// The first point
    #[arg(value_name = "REV")]
    from: String,
    /// The second point
    #[arg(value_name = "REV", default_value = "now")]
    to: String,
}

impl Diff {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (ledger, id) = history::once_a_bead(town, &self.id)?;
        let point = |text: &String| Point::read(text, town.now);
        Ok(out.show(&history::compare(&ledger, &id, &point(&self.from)?, &point(&self.to)?)?))
    }
}

impl Show for Compared {
    fn show(&self, page: &mut Page) {
        page.line(format!("{}  {} → {}", self.id, &self.from[..12], &self.to[..12]));
        self.changes.iter().for_each(|change| show_change(page, change));
        if self.changes.is_empty() {
            page.line("  nothing differs");
        }
    }
}
