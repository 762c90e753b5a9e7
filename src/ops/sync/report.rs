//! What is told of an exchange: of each scope with each remote, for programs and in lines for people.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Heard, Yielded};
use crate::error::{Error, Kind};
use crate::ledger::past::Event;
use crate::ledger::sync::{Changed, Exchange, Outcome};
use crate::model::difference::Difference;
use crate::ops::remote::Remote;
use crate::ops::sling::{Served, Slung};

/// How one exchange ended.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Synced {
    /// `town` or `rig NAME`.
    pub scope: String,
    /// With whom; `None`: the scope has no remote.
    pub remote: Option<Remote>,
    /// What was exchanged.
    pub exchange: Option<Exchange>,
    /// What was done about assignments of this machine that went elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub yielded: Vec<Yielded>,
    /// What was done about words of other machines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<Heard>,
    /// What other machines had asked this one to sling.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub served: Vec<Served>,
    /// What went wrong.
    pub error: Option<String>,
    /// The exit code of what went wrong.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

impl Synced {
    /// Of `scope` with `remote`, of which nothing is known yet.
    pub(super) fn new(scope: &str, remote: Option<Remote>) -> Self {
        Self {
            scope: scope.to_owned(),
            remote,
            exchange: None,
            yielded: Vec::new(),
            heard: Vec::new(),
            served: Vec::new(),
            error: None,
            kind: None,
        }
    }

    /// The same, which ended with `error`.
    pub(super) fn failed(mut self, error: &Error) -> Self {
        (self.kind, self.error) = (Some(error.kind), Some(error.line()));
        self
    }
}

/// How all of it ended.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Report(pub Vec<Synced>);

impl Report {
    /// Adds how an exchange ended: to that of the same scope with the same remote, when it is the second one.
    pub(super) fn add(&mut self, synced: Synced) {
        let same = |one: &&mut Synced| one.scope == synced.scope && one.remote == synced.remote;
        let Some(first) = self.0.iter_mut().find(same) else { return self.0.push(synced) };
        (first.error, first.kind) = (synced.error, synced.kind);
        first.exchange = match (first.exchange.take(), synced.exchange) {
            (Some(first), Some(second)) => Some(first.and(second)),
            (one, None) | (None, one) => one,
        };
    }

    /// Adds to what is told of `scope`.
    pub(super) fn of(&mut self, scope: &str, add: impl FnOnce(&mut Synced)) {
        if let Some(synced) = self.0.iter_mut().find(|synced| synced.scope == scope) {
            add(synced);
        }
    }

    /// One line an exchange, and one for each choice that yielded, assignment that was lost, pin that differs.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for synced in &self.0 {
            let Some(remote) = &synced.remote else {
                lines.push(match &synced.error {
                    Some(error) => format!("{}: failed: {error}", synced.scope),
                    None => format!("{}: no remote; name one with gt remote add", synced.scope),
                });
                continue;
            };
            let told = match (&synced.exchange, &synced.error) {
                (Some(exchange), _) => summary(exchange),
                (None, Some(error)) => format!("failed: {error}"),
                (None, None) => "nothing".to_owned(),
            };
            lines.push(format!("{} with {}: {told}", synced.scope, remote.name));
            lines.extend(synced.exchange.iter().flat_map(preview).map(|line| format!("  {line}")));
            lines.extend(synced.exchange.iter().flat_map(remarks).map(|line| format!("  {line}")));
            lines.extend(synced.served.iter().map(|served| format!("  {}", served_line(served))));
            lines.extend(synced.yielded.iter().filter_map(Yielded::line).map(|line| format!("  {line}")));
            lines.extend(synced.heard.iter().map(|heard| format!("  {}", heard.line())));
        }
        lines
    }
}

fn served_line(served: &Served) -> String {
    let Served { bead, asked_by, slung, error } = served;
    match (slung, error) {
        (
            Some(
                Slung::Assigned { agent, .. }
                | Slung::Restarted { agent, .. }
                | Slung::AlreadyThere { agent, .. }
                | Slung::Given { agent, .. },
            ),
            _,
        ) => format!("{bead} is slung to {agent}, as {asked_by} asked"),
        (Some(Slung::Waits { working, .. }), _) => {
            format!("{bead} waits, as {asked_by} asked: {working} polecats have work here")
        }
        (Some(Slung::Asked { .. } | Slung::Would { .. }) | None, error) => {
            format!("{bead} is not slung, as {asked_by} asked: {}", error.as_deref().unwrap_or("it was passed on"))
        }
    }
}

/// An exchange in one line.
fn summary(exchange: &Exchange) -> String {
    let changes = |count: usize| if count == 1 { "1 change".to_owned() } else { format!("{count} changes") };
    let (receive, send) = if exchange.dry_run { ("would receive", "would send") } else { ("received", "sent") };
    let mut line = match exchange.outcome {
        Outcome::UpToDate => "nothing new".to_owned(),
        Outcome::Received => format!("{receive} {}", changes(exchange.received)),
        Outcome::Sent => format!("{send} {}", changes(exchange.sent)),
        Outcome::Exchanged => format!("{receive} {}, {send} {}", changes(exchange.received), changes(exchange.sent)),
    };
    if exchange.merged {
        line.push_str(", merged");
    }
    if exchange.flattened > 0 {
        line.push_str(", history flattened");
    }
    if exchange.replayed {
        line.push_str(", work of the old history carried over");
    }
    line
}

/// So many records are told of each direction; all of them are in the report.
const SHOWN: usize = 50;

/// What a dry run tells of the records, a line each.
fn preview(exchange: &Exchange) -> Vec<String> {
    let mut lines = Vec::new();
    for (sign, records) in [("←", &exchange.coming), ("→", &exchange.going)] {
        lines.extend(records.iter().take(SHOWN).map(|record| format!("{sign} {}", change_line(record))));
        if records.len() > SHOWN {
            lines.push(format!("{sign} and {} more; all of them with --json", records.len() - SHOWN));
        }
    }
    lines
}

fn change_line(changed: &Changed) -> String {
    let name = changed.record.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
    let kind = changed.record.split('/').next().unwrap_or_default();
    let title = changed.title.as_ref().map(|title| format!(" '{title}'")).unwrap_or_default();
    let what = match changed.event {
        Event::Created => "new".to_owned(),
        Event::Deleted => "gone".to_owned(),
        _ => changed.changes.iter().map(difference_line).collect::<Vec<_>>().join("; "),
    };
    format!("{kind} {name}{title}: {what}")
}

fn difference_line(change: &Difference) -> String {
    let short = |value: &Option<serde_json::Value>| value.as_ref().map_or_else(|| "none".to_owned(), in_short);
    if change.from.is_none() && change.to.is_none() {
        let gone = change.removed.iter().map(|value| format!("-{}", in_short(value)));
        let parts: Vec<String> = gone.chain(change.added.iter().map(|value| format!("+{}", in_short(value)))).collect();
        return format!("{} {}", change.field, parts.join(" "));
    }
    format!("{} {} → {}", change.field, short(&change.from), short(&change.to))
}

/// What people should know of an exchange, a line each.
fn remarks(exchange: &Exchange) -> Vec<String> {
    let lost = exchange.lost.iter().map(|lost| {
        let now = match (&lost.holder, &lost.status) {
            (Some(holder), Some(status)) => format!("it is {status} for {holder}"),
            (None, Some(status)) => format!("it is {status} now"),
            (_, None) => "it is gone".to_owned(),
        };
        format!("{} lost {}: {now}; its worktree and its branch {} stay here", lost.agent, lost.bead, lost.branch)
    });
    let conflicts = exchange.conflicts.iter().map(|conflict| {
        let record = conflict.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
        if conflict.overruled.is_null() && conflict.unit == "all" {
            return format!("{record}: changed on one side and removed on the other; it stays");
        }
        let (kept, overruled) = (in_short(&conflict.kept), in_short(&conflict.overruled));
        format!("{record}: of two choices for {} stands {kept}; overruled: {overruled}", conflict.unit)
    });
    let pins = exchange.differing_pins.iter().map(|pin| format!("{pin} differs there and was left as it is"));
    lost.chain(conflicts).chain(pins).collect()
}

/// At most this many characters of a value are shown; all of it is in the report.
const SHORT: usize = 80;

/// A choice as a line can show it: a text quoted, a status with who has the bead, else JSON.
fn in_short(value: &serde_json::Value) -> String {
    let status = value.get("status").and_then(serde_json::Value::as_str);
    let text = match (status, value) {
        (Some(status), _) => match value.get("assignee").and_then(serde_json::Value::as_str) {
            Some(assignee) => format!("{status} for {assignee}"),
            None => status.to_owned(),
        },
        (None, serde_json::Value::Null) => "nothing".to_owned(),
        (None, other) => other.to_string(),
    };
    match text.char_indices().nth(SHORT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
