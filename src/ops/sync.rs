//! Sync: every scope of the town exchanged with its remotes, and the target branches brought up to date.
//!
//! Parcels for other scopes are delivered before and after, so that what one machine tells another travels
//! in one round. A scope that fails is reported; the others go on.

mod watch;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::git::fetch;
use crate::git::progress::Progress;
use crate::ledger::Ledger;
use crate::ledger::past::Event;
use crate::ledger::sync::{self, Changed, Exchange, Options, Outcome};
use crate::model::address::Address;
use crate::model::difference::Difference;
use crate::ops::refinery::Turn;
use crate::ops::remote::{self, Remote};
use crate::ops::scopes::Which;
use crate::ops::sling::{Served, Slung};
use crate::ops::{convoy, post, rig, sling};
use crate::runtime::process;
use crate::store::refs::Swap;
use crate::town::{RigPlace, Town};
pub use watch::watch;

/// How one exchange ended.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Synced {
    /// `town` or `rig NAME`.
    pub scope: String,
    /// With whom; `None`: the scope has no remote.
    pub remote: Option<Remote>,
    /// What was exchanged.
    pub exchange: Option<Exchange>,
    /// Agents that lost their assignment and whose sessions go on here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<Address>,
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
    /// A scope that could not be opened.
    fn failed(scope: String, error: &Error) -> Self {
        let (kind, error) = (Some(error.kind), Some(error.line()));
        Self { scope, remote: None, exchange: None, running: Vec::new(), served: Vec::new(), error, kind }
    }
}

/// How all of it ended.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Report(pub Vec<Synced>);

impl Report {
    /// Adds how an exchange ended: to that of the same scope with the same remote, when it is the second one.
    fn add(&mut self, synced: Synced) {
        let same = |one: &&mut Synced| one.scope == synced.scope && one.remote == synced.remote;
        let Some(first) = self.0.iter_mut().find(same) else { return self.0.push(synced) };
        first.running.extend(synced.running);
        (first.error, first.kind) = (synced.error, synced.kind);
        first.exchange = match (first.exchange.take(), synced.exchange) {
            (Some(first), Some(second)) => Some(first.and(second)),
            (one, None) | (None, one) => one,
        };
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
            lines.extend(synced.running.iter().map(|agent| format!("  {agent} still runs; to end it: gt session stop {agent}")));
        }
        lines
    }
}

/// Exchanges everything with everyone it is shared with.
///
/// # Errors
/// Corrupt, when the town's ledger cannot be read. What fails for one scope is in the report.
pub fn all(town: &Town, progress: &Progress) -> Result<Report> {
    exchange(town, &Which::All, &Options::default(), progress)
}

/// Exchanges the scopes that are asked for.
///
/// # Errors
/// As [`all`].
pub fn exchange(town: &Town, which: &Which, options: &Options, progress: &Progress) -> Result<Report> {
    if !options.dry_run {
        post::deliver(town)?;
    }
    let mut report = Report(Vec::new());
    if which.has_town() {
        exchange_scope(&town.hq, "town", town, options, progress, &mut report);
    }
    let mut places = Vec::new();
    for (name, place) in which.each_place(town)? {
        match place {
            Ok(place) => places.push(place),
            Err(error) => report.0.push(Synced::failed(format!("rig {name}"), &error)),
        }
    }
    for place in &places {
        exchange_scope(&place.ledger, &format!("rig {}", place.rig.name), town, options, progress, &mut report);
        if options.fetch && !options.dry_run && place.rig.land_remote {
            // The queue reads the remote itself; what fails here only leaves the readers behind.
            let _ = follow_target(place, progress);
        }
    }
    let has_landed = !options.dry_run && settle_convoys(town, &report);
    let has_served = !options.dry_run && options.fetch && serve(town, &places, &mut report);
    if !options.dry_run && (post::deliver(town)? > 0 || has_landed || has_served) && options.push {
        for place in &places {
            exchange_scope(&place.ledger, &format!("rig {}", place.rig.name), town, options, progress, &mut report);
        }
        if which.has_town() {
            exchange_scope(&town.hq, "town", town, options, progress, &mut report);
        }
    }
    Ok(report)
}

/// Slings what other machines asked of this one; whether anything was written for it.
fn serve(town: &Town, places: &[RigPlace], report: &mut Report) -> bool {
    let mut is_any = false;
    for place in places {
        match sling::serve(town, place) {
            Ok(served) => {
                is_any |= !served.is_empty();
                let scope = format!("rig {}", place.rig.name);
                if let Some(of_rig) = report.0.iter_mut().find(|synced| synced.scope == scope) {
                    of_rig.served.extend(served);
                }
            }
            Err(error) => tracing::warn!("what rig {} was asked to sling waits: {}", place.rig.name, error.line()),
        }
    }
    is_any
}

/// Settles and feeds convoys after what other machines closed; whether anything was written for it.
fn settle_convoys(town: &Town, report: &Report) -> bool {
    let received = |synced: &Synced| synced.exchange.as_ref().is_some_and(|exchange| exchange.received > 0);
    if !report.0.iter().any(received) {
        return false;
    }
    match convoy::check(town, None) {
        Ok(checked) => checked.convoys.iter().any(convoy::Settled::has_written),
        Err(error) => {
            tracing::warn!("convoys were not settled ({}); gt convoy check does it", error.line());
            false
        }
    }
}

fn served_line(served: &Served) -> String {
    let Served { bead, asked_by, slung, error } = served;
    match (slung, error) {
        (Some(Slung::Assigned { agent, .. } | Slung::Restarted { agent, .. } | Slung::AlreadyThere { agent, .. }), _) => {
            format!("{bead} is slung to {agent}, as {asked_by} asked")
        }
        (_, error) => format!("{bead} is not slung, as {asked_by} asked: {}", error.as_deref().unwrap_or("it was passed on")),
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

fn exchange_scope(ledger: &Ledger, scope: &str, town: &Town, options: &Options, progress: &Progress, report: &mut Report) {
    let remotes = remote::list(&ledger.store);
    if remotes.is_empty() {
        report.0.push(Synced {
            scope: scope.to_owned(),
            remote: None,
            exchange: None,
            running: Vec::new(),
            served: Vec::new(),
            error: None,
            kind: None,
        });
    }
    for remote in remotes {
        let result = sync::sync(ledger, &remote.name, &remote.url, options, town.now, progress);
        let (exchange, error) = match result {
            Ok(exchange) => (Some(exchange), None),
            Err(error) => (None, Some(error)),
        };
        let lost = exchange.iter().filter(|exchange| !exchange.dry_run).flat_map(|exchange| &exchange.lost);
        let is_running = |agent: &Address| process::find(&town.runtime_dir(), agent).is_ok_and(|session| session.is_some());
        let running = lost.map(|lost| lost.agent.clone()).filter(is_running).collect();
        let kind = error.as_ref().map(|error| error.kind);
        report.add(Synced {
            scope: scope.to_owned(),
            remote: Some(remote),
            exchange,
            running,
            served: Vec::new(),
            error: error.as_ref().map(Error::line),
            kind,
        });
    }
}

/// Moves the rig's target branch and its readers along with the remote's, when that is a fast-forward.
///
/// # Errors
/// External, when the remote cannot be read.
pub fn follow_target(place: &RigPlace, progress: &Progress) -> Result<()> {
    let store = &place.ledger.store;
    let name = format!("refs/heads/{}", place.rig.target);
    let fetched = fetch::fetch(store, &place.project, std::slice::from_ref(&name), progress)?;
    let Some(theirs) = fetched.get(&name).copied() else { return Ok(()) };
    // Whoever works the queue moves the branch himself.
    let Ok(_turn) = Turn::take(place, &place.rig.target) else { return Ok(()) };
    let ours = store.read_ref(&name)?;
    let is_ahead = match ours {
        Some(ours) => ours != theirs && store.is_ancestor(ours, theirs)?,
        None => true,
    };
    if is_ahead && store.swap_ref(&name, ours, theirs)? == Swap::Moved {
        rig::refresh_readers(place)?;
    }
    Ok(())
}
