//! Reads the records a plan rests on: who waits in which order, and what runs have said of which trees.
//!
//! Everything is read anew each round; nothing depends on a stored plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use gix::ObjectId;

use super::kin::Kin;
use super::profile::traits;
use crate::error::{Kind, OrFail, Result};
use crate::ledger::{State, tree};
use crate::model::bead::{Bead, IssueType};
use crate::model::gate::{GateRun, Verdict};
use crate::model::merge_request::{MergeRequest, MrState};
use crate::model::plan::Rank;
use crate::model::plan::risk::{Risks, permille};
use crate::model::plan::width::Timed;
use crate::name::BeadId;
use crate::ops::gates::{Memo, Rules};
use crate::store::Store;
use crate::time::Moment;
use crate::town::RigPlace;

/// A request with its bead.
#[derive(Clone, Debug)]
pub struct Request {
    /// The bead.
    pub bead: Bead,
    /// Its merge request fields.
    pub mr: MergeRequest,
}

impl Request {
    /// The pinned head.
    ///
    /// # Errors
    /// Corrupt, when it is no object id.
    pub fn head(&self) -> Result<ObjectId> {
        object_id(&self.mr.head)
    }
}

/// Reads an object id from a record.
///
/// # Errors
/// Corrupt, when it is none.
pub fn object_id(text: &str) -> Result<ObjectId> {
    ObjectId::from_hex(text.as_bytes()).or_fail(Kind::Corrupt, || format!("read the object id '{}'", text.escape_debug()))
}

/// All merge requests of the scope that can be read.
///
/// # Errors
/// Corrupt, when a tree cannot be read.
pub fn requests(state: &State<'_>) -> Result<Vec<Request>> {
    let beads = state.beads_of(&IssueType::MergeRequest)?;
    Ok(beads.into_iter().filter_map(|bead| MergeRequest::of(&bead).ok().map(|mr| Request { bead, mr })).collect())
}

/// The requests of the work `bead`, ended ones too.
///
/// # Errors
/// Corrupt, when a merge request cannot be read.
pub fn requests_of(state: &State<'_>, bead: &BeadId) -> Result<Vec<Request>> {
    Ok(requests(state)?.into_iter().filter(|request| request.mr.source_beads.contains(bead)).collect())
}

/// The branches that requests of the rig at `place` go to or went to.
///
/// # Errors
/// Corrupt, when the ledger cannot be read.
pub fn targets(place: &RigPlace) -> Result<BTreeSet<String>> {
    Ok(requests(&place.ledger.state()?)?.into_iter().map(|request| request.mr.target).collect())
}

/// Live requests for `target`, in order of their turn at `now`.
///
/// # Errors
/// Corrupt, when the ledger cannot be read.
pub fn waiting(place: &RigPlace, target: &str, now: Moment) -> Result<Vec<Request>> {
    let state = place.ledger.state()?;
    let all = requests(&state)?;
    let (kin, risks) = (Kin::of(&state, &all)?, risks(&all));
    let is_asked = |request: &Request| request.mr.state.is_live() && request.mr.target == target;
    let mut waiting: Vec<Request> = all.into_iter().filter(is_asked).collect();
    waiting.sort_by_cached_key(|request| rank(request, &risks).key(now));
    Ok(kin.in_order(waiting))
}

/// The targets that requests wait for; of `only`, when that is asked.
///
/// # Errors
/// Corrupt, when a tree cannot be read.
pub fn awaited(state: &State<'_>, only: Option<&BeadId>) -> Result<BTreeSet<String>> {
    let live = requests(state)?.into_iter().filter(|request| request.mr.state.is_live());
    Ok(live.filter(|request| only.is_none_or(|only| *only == request.bead.id)).map(|request| request.mr.target).collect())
}

/// The request `id`, if there is one.
///
/// # Errors
/// Refused, when it is no merge request; corrupt, when it cannot be read.
pub fn find(state: &State<'_>, id: &BeadId) -> Result<Option<Request>> {
    state.find_bead(id)?.map(|bead| Ok(Request { mr: MergeRequest::of(&bead)?, bead })).transpose()
}

/// The request `id`, or the newest request for the work `id`.
///
/// # Errors
/// Not found, when there is no such bead; refused, when no request was ever filed for it.
pub fn request_for(state: &State<'_>, id: &BeadId) -> Result<Request> {
    let bead = state.bead(id)?;
    let delivers = requests(state)?.into_iter().filter(|request| request.mr.source_beads.contains(id));
    match delivers.max_by_key(|request| (request.mr.submitted_at, request.bead.id.clone())) {
        Some(request) => Ok(request),
        None => Ok(Request { mr: MergeRequest::of(&bead)?, bead }),
    }
}

/// The work that `mr` delivers, as far as it can be read.
///
/// # Errors
/// Corrupt, when a tree cannot be read.
pub fn sources(state: &State<'_>, mr: &MergeRequest) -> Result<Vec<Bead>> {
    let found: Result<Vec<Option<Bead>>> = mr.source_beads.iter().map(|id| state.find_bead(id)).collect();
    Ok(found?.into_iter().flatten().collect())
}

/// The priority of a request for `sources`: what was said last, of the request or of its work.
#[must_use]
pub fn urgency(request: &Bead, sources: &[Bead]) -> u8 {
    let said_at = |bead: &Bead| bead.revs.get("priority").unwrap_or(&bead.rev).clone();
    let all = std::iter::once(request).chain(sources);
    all.max_by_key(|bead| (said_at(bead), std::cmp::Reverse(bead.priority))).map_or(request.priority, |bead| bead.priority)
}

/// What a queue's next step depends on, in short: live requests with what was said of them, configuration and targets.
/// As long as it stays the same, working the queue again would come to the same end.
///
/// # Errors
/// Corrupt, when the ledger cannot be read.
pub fn mark(place: &RigPlace) -> Result<String> {
    let state = place.ledger.state()?;
    let mut lines = Vec::new();
    for request in requests(&state)?.into_iter().filter(|request| request.mr.state.is_live()) {
        let tip = place.ledger.store.read_ref(&format!("refs/heads/{}", request.mr.target))?;
        let Request { bead, mr } = &request;
        let sources = sources(&state, mr)?;
        let labels: Vec<_> = sources.iter().map(|source| (&source.labels, source.status.is_closed())).collect();
        let said = (urgency(bead, &sources), labels, &mr.hold, &mr.approvals);
        lines.push(format!("{} {} {} {tip:?} {said:?}", bead.id, mr.state.word(), mr.head));
    }
    let ungated = state.notebooks()?.into_iter().filter_map(|notebook| notebook.ungated);
    lines.extend(ungated.map(|tip| format!("ungated {tip}")));
    for dir in ["config", tree::CONTROLS] {
        lines.extend(state.paths(dir)?.into_iter().map(|(path, blob)| format!("{path} {blob}")));
    }
    Ok(lines.join("\n"))
}

/// A queue as the records tell it.
pub struct Outlook {
    /// Live requests for the target, in order of their turn.
    pub waiting: Vec<Request>,
    /// What runs have said.
    pub memo: Memo,
    /// Sets that were gated: the tip below, the requests bottom first, the tree.
    pub stacked: BTreeSet<(String, Vec<BeadId>, String)>,
    /// Which request landed as which commit, and onto which, when that is recorded.
    pub landed: HashMap<String, (BeadId, Option<String>)>,
    /// How long runs took with so many side by side.
    pub timed: Vec<Timed>,
    /// Who stands on whom.
    pub(super) kin: Kin,
    risks: Risks,
}

impl Outlook {
    /// Reads the queue of `target`.
    ///
    /// # Errors
    /// Corrupt, when gate runs cannot be read: a plan must not rest on half of the evidence.
    pub fn read(state: &State<'_>, target: &str, rules: &Rc<Rules>, now: Moment) -> Result<Self> {
        let all = requests(state)?;
        let kin = Kin::of(state, &all)?;
        let risks = risks(&all);
        let landed = all.iter().filter(|request| request.mr.target == target).filter_map(landed_as).collect();
        let mut waiting: Vec<Request> =
            all.into_iter().filter(|request| request.mr.state.is_live() && request.mr.target == target).collect();
        for request in &mut waiting {
            request.bead.priority = urgency(&request.bead, &sources(state, &request.mr)?);
        }
        waiting.sort_by_cached_key(|request| rank(request, &risks).key(now));
        let waiting = kin.in_order(waiting);
        let runs = state.gate_runs()?;
        let stacked = runs.iter().map(|run| (run.base.clone(), run.stack.clone(), run.tree.clone())).collect();
        Ok(Self { waiting, memo: Memo::of(&runs, rules, now), stacked, landed, timed: timed(&runs), kin, risks })
    }

    /// How likely `mr` is bad, before any run.
    #[must_use]
    pub fn risk(&self, mr: &MergeRequest) -> f64 {
        self.risks.of(&traits(mr))
    }
}

/// The commit as which `request` landed, with what is to be known of it; nothing, when it added no commit.
fn landed_as(request: &Request) -> Option<(String, (BeadId, Option<String>))> {
    let (commit, onto) = (request.mr.landed_commit.clone()?, request.mr.landed_onto.clone());
    (onto.as_ref() != Some(&commit)).then(|| (commit, (request.bead.id.clone(), onto)))
}

/// How long the slowest gate took beside others, by how many ran. The gate that takes longest is what a trial waits for.
fn timed(runs: &[GateRun]) -> Vec<Timed> {
    let mut by_gate: BTreeMap<&str, BTreeMap<u32, Vec<u64>>> = BTreeMap::new();
    // A run that was cut short, by a signal or because it could not start, tells no time.
    for run in runs.iter().filter(|run| matches!(run.verdict, Verdict::Green | Verdict::Red)) {
        by_gate.entry(&run.gate).or_default().entry(run.concurrency.max(1)).or_default().push(run.took_millis);
    }
    let median = |times: &[u64]| {
        let mut times = times.to_vec();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or(0)
    };
    let slowest = by_gate.into_values().max_by_key(|widths| widths.values().next().map_or(0, |times| median(times)));
    let timed = |(width, times): (u32, Vec<u64>)| Timed {
        side_by_side: usize::try_from(width).unwrap_or(usize::MAX),
        millis: std::time::Duration::from_millis(median(&times)).as_secs_f64() * 1000.0,
        runs: times.len(),
    };
    slowest.into_iter().flatten().map(timed).collect()
}

/// What the ended ones of `requests` teach of the risks of others, oldest first.
#[must_use]
pub fn risks(requests: &[Request]) -> Risks {
    let mut ended: Vec<&Request> = requests.iter().filter(|request| !request.mr.state.is_live()).collect();
    ended.sort_by_key(|request| (request.bead.closed_at.map(Moment::millis), request.bead.id.clone()));
    let mut risks = Risks::default();
    for request in ended {
        let is_red = request.mr.blame.as_ref().is_some_and(|blame| blame.cause == "red");
        let is_bad = request.mr.state == MrState::Evicted;
        if request.mr.state == MrState::Landed || (is_bad && is_red) {
            risks.note(&traits(&request.mr), is_bad);
        }
    }
    risks
}

/// What orders `request` in its queue.
#[must_use]
pub fn rank(request: &Request, risks: &Risks) -> Rank {
    Rank {
        mr: request.bead.id.clone(),
        priority: request.bead.priority,
        attempts: request.mr.attempts,
        submitted_at: request.mr.submitted_at,
        convoy_at: None,
        parents: request.mr.depends_on.clone(),
        risk_permille: permille(risks.of(&traits(&request.mr))),
    }
}

/// Who of `waiting` may be stacked with whom: the first that is to land alone, if there is one, with those that it stands
/// on; else all.
#[must_use]
pub(super) fn company(mut waiting: Vec<Request>, kin: &Kin) -> Vec<Request> {
    if let Some(alone) = waiting.iter().find(|request| request.mr.alone && kin.is_whole(&request.bead.id)) {
        let mut wanted = kin.elders(&alone.bead.id);
        wanted.push(alone.bead.id.clone());
        waiting.retain(|request| wanted.contains(&request.bead.id));
    }
    waiting
}

/// Why the head of `request` cannot be tested, if so: its pin is gone or says otherwise.
///
/// # Errors
/// Corrupt, when the pin is damaged.
pub fn unfit(store: &Store, request: &Request) -> Result<Option<String>> {
    let head = request.head()?;
    let pin = store.read_ref(&tree::mr_pin(&request.bead.id))?;
    if pin.is_some_and(|pin| pin != head) {
        return Ok(Some("its pinned head moved".to_owned()));
    }
    if pin.is_none() || store.repo.find_header(head).is_err() {
        return Ok(Some("its pinned head is not here".to_owned()));
    }
    Ok(None)
}
