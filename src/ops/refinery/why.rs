//! Questions to the queue: what waits, how a queue stands, and the whole story of one request.

use schemars::JsonSchema;
use serde::Serialize;

use super::event::short;
use super::evict::evidence_line;
use super::look::{self, Memo, Request, object_id};
use super::origin::{Origin, origin};
use crate::config;
use crate::error::Result;
use crate::ledger::State;
use crate::model::gate::{GateRun, Intent, Verdict};
use crate::model::merge_request::{Blame, MergeRequest, MrState};
use crate::name::BeadId;
use crate::store::lock::KernelLock;
use crate::time::Moment;
use crate::town::{RigPlace, Town};

/// A request in one row.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Listed {
    /// The request.
    pub id: BeadId,
    /// Where it stands.
    pub state: MrState,
    /// Its place in the queue of its target, from 1; ended ones have none.
    pub position: Option<usize>,
    /// The work it delivers.
    pub beads: Vec<BeadId>,
    /// What the work is.
    pub title: String,
    /// The worker.
    pub author: String,
    /// Where it comes from.
    pub branch: String,
    /// Where it goes.
    pub target: String,
    /// Its class, 0 to 4.
    pub priority: u8,
    /// How often its work was sent back before.
    pub attempts: u32,
    /// When it was handed in.
    pub submitted_at: Moment,
    /// Why it waits or how it ended.
    pub note: String,
}

/// How a queue stands.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Overview {
    /// The rig.
    pub rig: String,
    /// The machine that works the queue.
    pub home: String,
    /// The gates, by name.
    pub gates: Vec<String>,
    /// One entry for each target with requests, and the rig's own.
    pub targets: Vec<TargetOverview>,
}

/// How the queue of one target stands.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct TargetOverview {
    /// The branch.
    pub target: String,
    /// Its tip here.
    pub tip: Option<String>,
    /// Whether the gates were green on the tip's tree.
    pub is_certified: bool,
    /// Whether a process works it now.
    pub is_worked: bool,
    /// How many wait.
    pub queued: usize,
    /// How many are held.
    pub held: usize,
    /// Landings under way or left open.
    pub open_intents: Vec<String>,
    /// Whether what lands there is pushed, and how far it is from origin's branch.
    pub origin: Origin,
}

/// A gate run, as the story of a request tells it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct GateStory {
    /// The run in one line.
    pub line: String,
    /// What it said.
    pub verdict: Verdict,
    /// When it ended.
    pub at: Moment,
    /// How long it took.
    pub took_millis: u64,
    /// The commit that was checked out.
    pub commit: String,
    /// Its log, below the town's directory on the machine that ran it.
    pub log: String,
}

/// The whole story of a request.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Story {
    /// The request in short.
    pub listed: Listed,
    /// The pinned head.
    pub head: String,
    /// The commit in the target, once landed.
    pub landed_commit: Option<String>,
    /// Gate runs on trees with it, oldest first.
    pub runs: Vec<GateStory>,
    /// Why it was sent back.
    pub blame: Option<Blame>,
    /// The landing under way.
    pub intent: Option<Intent>,
}

/// Live requests of a rig in the order of their turns, by target; then, with `is_all`, the ended ones, newest first.
///
/// # Errors
/// Corrupt, when the ledger cannot be read.
pub fn list(place: &RigPlace, is_all: bool, now: Moment) -> Result<Vec<Listed>> {
    let (mut live, mut ended) = split(look::requests(&place.ledger.state()?)?);
    live.sort_by_cached_key(|request| (request.mr.target.clone(), look::rank(request).key(now)));
    let mut rows: Vec<Listed> = Vec::new();
    for request in &live {
        let position = 1 + rows.iter().filter(|row| row.target == request.mr.target).count();
        rows.push(listed(request, Some(position)));
    }
    if is_all {
        ended.sort_by_key(|request| std::cmp::Reverse(request.bead.closed_at));
        rows.extend(ended.iter().map(|request| listed(request, None)));
    }
    Ok(rows)
}

fn split(requests: Vec<Request>) -> (Vec<Request>, Vec<Request>) {
    requests.into_iter().partition(|request| request.mr.state.is_live())
}

fn listed(request: &Request, position: Option<usize>) -> Listed {
    let (bead, mr) = (&request.bead, &request.mr);
    let note = match mr.state {
        MrState::Held => mr.held_reason.clone().unwrap_or_default(),
        MrState::Landed => format!("as {}", short(mr.landed_commit.as_deref().unwrap_or_default())),
        MrState::Evicted => mr.blame.as_ref().map(why_evicted).unwrap_or_default(),
        MrState::Queued | MrState::Landing => String::new(),
        MrState::Withdrawn | MrState::Superseded => bead.close_reason.clone().unwrap_or_default(),
    };
    Listed {
        id: bead.id.clone(),
        state: mr.state,
        position,
        beads: mr.source_beads.clone(),
        title: bead.title.trim_start_matches("Merge: ").to_owned(),
        author: mr.author.clone(),
        branch: mr.branch.clone(),
        target: mr.target.clone(),
        priority: bead.priority,
        attempts: mr.attempts,
        submitted_at: mr.submitted_at,
        note,
    }
}

fn why_evicted(blame: &Blame) -> String {
    if blame.gate.is_empty() {
        return format!("{} in {}", blame.cause, blame.files.join(", "));
    }
    format!("gate {} is red, {:.1} % sure", blame.gate, blame.posterior * 100.0)
}

/// How the queues of a rig stand.
///
/// # Errors
/// Corrupt, when the ledger cannot be read; as [`config::gates`].
pub fn status(town: &Town, place: &RigPlace) -> Result<Overview> {
    let state = place.ledger.state()?;
    let gates = config::gates(town, place)?;
    let memo = Memo::of(&state.gate_runs()?, &place.rig.home, town.now);
    let (live, _) = split(look::requests(&state)?);
    let intents = state.intents()?;
    let mut names: Vec<String> = live.iter().map(|request| request.mr.target.clone()).collect();
    names.extend(intents.iter().map(|intent| intent.target.clone()));
    names.push(place.rig.target.clone());
    names.sort();
    names.dedup();
    let mut targets = Vec::new();
    for target in names {
        let tip = place.ledger.store.read_ref(&format!("refs/heads/{target}"))?;
        let is_certified = match tip {
            Some(tip) => {
                let tree = place.ledger.store.tree_of(tip)?;
                !gates.is_empty() && memo.says(&gates, tree, tree).is_green
            }
            None => false,
        };
        let held = live.iter().filter(|request| request.mr.target == target && request.mr.state == MrState::Held).count();
        targets.push(TargetOverview {
            tip: tip.map(|tip| tip.to_string()),
            is_certified,
            is_worked: KernelLock::try_take(&super::Turn::lock_path(place, &target))?.is_none(),
            queued: live.iter().filter(|request| request.mr.target == target).count() - held,
            held,
            open_intents: intents.iter().filter(|intent| intent.target == target).map(|intent| intent.id.clone()).collect(),
            origin: origin(place, &target)?,
            target,
        });
    }
    let gates = gates.into_iter().map(|gate| gate.name).collect();
    Ok(Overview { rig: place.rig.name.to_string(), home: place.rig.home.clone(), gates, targets })
}

/// The whole story of request `id`, or of the newest request for the work `id`.
///
/// # Errors
/// Not found, when there is no such bead; refused, when no request was ever filed for it.
pub fn why(place: &RigPlace, id: &BeadId, now: Moment) -> Result<Story> {
    let state = place.ledger.state()?;
    let request = request_for(&state, id)?;
    let mr = &request.bead.id;
    let position = list(place, false, now)?.into_iter().find(|row| row.id == *mr).and_then(|row| row.position);
    let mut runs = state.gate_runs()?;
    runs.retain(|run| run.stack.contains(mr));
    runs.sort_by(|a, b| a.rev.cmp(&b.rev));
    let intent = state.intents()?.into_iter().find(|intent| intent.landings.iter().any(|landing| landing.mr == *mr));
    Ok(Story {
        listed: listed(&request, position),
        head: object_id(&request.mr.head)?.to_string(),
        landed_commit: request.mr.landed_commit.clone(),
        runs: runs.iter().map(gate_story).collect(),
        blame: request.mr.blame.clone(),
        intent,
    })
}

fn request_for(state: &State<'_>, id: &BeadId) -> Result<Request> {
    let bead = state.bead(id)?;
    let delivers = look::requests(state)?.into_iter().filter(|request| request.mr.source_beads.contains(id));
    match delivers.max_by_key(|request| (request.mr.submitted_at, request.bead.id.clone())) {
        Some(request) => Ok(request),
        None => Ok(Request { mr: MergeRequest::of(&bead)?, bead }),
    }
}

fn gate_story(run: &GateRun) -> GateStory {
    let log = run.extra.get("log").and_then(serde_json::Value::as_str).unwrap_or_default();
    GateStory {
        line: evidence_line(run),
        verdict: run.verdict,
        at: run.at,
        took_millis: run.took_millis,
        commit: run.commit.clone(),
        log: log.to_owned(),
    }
}
