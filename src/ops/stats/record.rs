//! What figures ask of a record: a few fields of it, read without the rest.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::ledger::index::Row;
use crate::model::bead::{IssueType, Status};
use crate::model::brief::Facts as _;
use crate::model::merge_request::MrState;
use crate::model::record::Object;
use crate::time::Moment;

/// Work that is closed, that somebody had once, or that a request delivers.
#[derive(Clone, Debug)]
pub struct Work {
    /// Its id.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// What sort of work.
    pub issue_type: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// The formula that it came from, where recorded.
    pub formula: Option<String>,
    /// Who has it or did it.
    pub assignee: Option<String>,
    /// Who closed it.
    pub closed_by: Option<String>,
    /// The model that did it.
    pub model: Option<String>,
    /// Whether it is closed.
    pub is_closed: bool,
    /// Whether the reason it was closed for says that it failed.
    pub has_failed: bool,
    /// When it was given out, or work began when that was not recorded.
    pub given_at: Option<Moment>,
    /// When it was closed.
    pub closed_at: Option<Moment>,
    /// How often it was opened again after a close.
    pub reopened: u32,
    /// Who asked for help with it, and when.
    pub escalations: Vec<(String, Moment)>,
    /// Tokens it took, where recorded.
    pub tokens: Option<u64>,
    /// What it cost in US dollars, where recorded.
    pub cost_usd: Option<f64>,
}

impl Work {
    /// Who did it: who had it at the end, else who closed it.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.assignee.as_deref().or(self.closed_by.as_deref())
    }

    /// From when it was given out until it was closed.
    #[must_use]
    pub fn cycle_millis(&self) -> Option<u64> {
        Some(self.closed_at?.millis_since(self.given_at?))
    }
}

/// A request that landed or was sent back.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its id.
    pub id: String,
    /// The work it delivers.
    pub source: Option<String>,
    /// Who handed it in.
    pub author: String,
    /// The model that did the work.
    pub model: Option<String>,
    /// How often the work had been sent back before.
    pub attempts: u32,
    /// When it landed or was sent back.
    pub ended_at: Option<Moment>,
    /// Why it was sent back: `red`, `conflict`, `race`; `None`: it landed.
    pub sent_back: Option<String>,
}

/// What a record is to figures.
pub(super) enum Read {
    Work(Box<Work>),
    Request(Box<Ended>),
    Neither,
}

/// Whether the record of `row` says anything: work that left the backlog once, and requests that ended.
pub(super) fn is_asked(row: &Row<'_>) -> bool {
    match row.issue_type() {
        IssueType::MergeRequest => matches!(row.mr_state(), Some(MrState::Landed | MrState::Evicted)),
        // The backlog says nothing yet; what came back to it counts when it is closed.
        issue_type => issue_type.is_work() && (*row.status() != Status::Open || row.assignee().is_some()),
    }
}

/// The fields asked for. What is of another shape than expected is left out, not refused: other tools write records too.
#[derive(Deserialize)]
struct Record {
    id: String,
    #[serde(default)]
    title: String,
    issue_type: IssueType,
    status: Status,
    #[serde(default)]
    labels: Vec<String>,
    assignee: Option<String>,
    closed_by: Option<String>,
    close_reason: Option<String>,
    model: Option<String>,
    hooked_at: Option<Moment>,
    started_at: Option<Moment>,
    closed_at: Option<Moment>,
    #[serde(default)]
    reopened_count: u32,
    #[serde(default)]
    comments: Vec<Remark>,
    #[serde(default)]
    metadata: Option<Object>,
    formula: Option<serde_json::Value>,
    state: Option<serde_json::Value>,
    author: Option<String>,
    #[serde(default)]
    attempts: u32,
    #[serde(default)]
    source_beads: Vec<String>,
    blame: Option<Blame>,
}

#[derive(Deserialize)]
struct Remark {
    id: serde_json::Value,
    #[serde(default)]
    author: String,
    created_at: Moment,
}

#[derive(Deserialize)]
struct Blame {
    cause: String,
}

/// Reads the fields of a record.
pub(super) fn read(bytes: Result<&[u8]>) -> Result<Read> {
    let record: Record = serde_json::from_slice(bytes?).map_err(|error| Error::corrupt(error.to_string()))?;
    if record.issue_type == IssueType::MergeRequest {
        return Ok(request(record).map_or(Read::Neither, |request| Read::Request(Box::new(request))));
    }
    let is_closed = record.status.is_closed();
    let escalations: Vec<(String, Moment)> = record.comments.into_iter().filter_map(Remark::escalation).collect();
    let extra = |name: &str| record.metadata.as_ref().and_then(|metadata| metadata.get(name));
    Ok(Read::Work(Box::new(Work {
        issue_type: record.issue_type.word().to_owned(),
        formula: record.formula.as_ref().or_else(|| extra("formula")).and_then(|name| name.as_str().map(str::to_owned)),
        is_closed,
        has_failed: record.close_reason.as_deref().is_some_and(crate::model::brief::says_failure),
        given_at: record.hooked_at.or(record.started_at),
        escalations,
        tokens: extra("tokens").and_then(serde_json::Value::as_u64),
        cost_usd: extra("cost_usd").and_then(serde_json::Value::as_f64),
        id: record.id,
        title: record.title,
        labels: record.labels,
        assignee: record.assignee,
        closed_by: record.closed_by,
        model: record.model,
        closed_at: record.closed_at,
        reopened: record.reopened_count,
    })))
}

fn request(record: Record) -> Option<Ended> {
    let has_landed = match record.state.as_ref().and_then(serde_json::Value::as_str)? {
        "landed" => true,
        "evicted" => false,
        _ => return None,
    };
    let cause = record.blame.map_or_else(|| "unknown".to_owned(), |blame| blame.cause);
    Some(Ended {
        id: record.id,
        source: record.source_beads.into_iter().next(),
        author: record.author.unwrap_or_default(),
        model: record.model,
        attempts: record.attempts,
        ended_at: record.closed_at,
        sent_back: (!has_landed).then_some(cause),
    })
}

impl Remark {
    /// Who asked for help and when, if this remark is what `gt done --status escalated` leaves.
    fn escalation(self) -> Option<(String, Moment)> {
        self.id.as_str().is_some_and(|id| id.starts_with("escalate-")).then_some((self.author, self.created_at))
    }
}
