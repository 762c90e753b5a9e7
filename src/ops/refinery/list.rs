//! The queue in rows: who stands where, what each waits for and what releases it, and when it may be expected.
//!
//! What people said is judged anew, so that the rows are right before the refinery has taken note of it, and on every
//! machine; what the stack said (a conflict with one ahead) is as the refinery last wrote it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::event::short;
use super::kin::Kin;
use super::look::{self, Outlook, Request};
use super::permit::{Hindrance, Permits};
use crate::config;
use crate::error::Result;
use crate::ledger::State;
use crate::model::estimate;
use crate::model::flow::{Control, Flow};
use crate::model::merge_request::{Blame, HeldFor, Hold, Mode, MrState};
use crate::model::plan::STACK_MAX;
use crate::model::review::Approval;
use crate::name::BeadId;
use crate::ops::gates::Rules;
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
    /// The branch's newest commit, when that is not the one handed in; only the one handed in is judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch_moved_to: Option<String>,
    /// Where it goes.
    pub target: String,
    /// The form in which it lands.
    pub mode: Mode,
    /// Requests that it stands on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<BeadId>,
    /// The landed request that it takes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverts: Option<BeadId>,
    /// The newest request that takes it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverted_by: Option<BeadId>,
    /// Its class, 0 to 4: what was said last, of it or of its work.
    pub priority: u8,
    /// How often its work was sent back before.
    pub attempts: u32,
    /// When it was handed in.
    pub submitted_at: Moment,
    /// Why it waits or how it ended.
    pub note: String,
    /// The pull request that it waits for, or landed by. Foreign text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<String>,
    /// What people said that it waits for; not set, when it is the stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_for: Option<HeldFor>,
    /// What releases it when it waits.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub release: String,
    /// Requests ahead that it conflicts with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts_ahead: Vec<BeadId>,
    /// How many must approve it.
    pub approvals_needed: usize,
    /// Whose approvals of its head count.
    pub approved_by: BTreeSet<String>,
    /// In how many milliseconds it may be expected to have landed: the median time of the gates, times the expected runs.
    /// Nothing is said of what waits for people or for others, and before any gate has ended.
    pub expected_millis: Option<u64>,
}

/// One request in short.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Brief {
    /// Its row.
    pub listed: Listed,
    /// The pinned head, which alone is judged.
    pub head: String,
    /// The target's commit that its branch was made from.
    pub base: String,
    /// Everybody who approved, also of those whose word does not count.
    pub approvals: Vec<Approval>,
    /// That somebody holds it.
    pub hold: Option<Hold>,
    /// What was said of its target.
    pub control: Option<Control>,
    /// The commit in the target, once landed.
    pub landed_commit: Option<String>,
}

/// What is tested next in the queue of a target, and what waits.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Next {
    /// The branch.
    pub target: String,
    /// What was said of it.
    pub control: Option<Control>,
    /// What is stacked next, bottom first.
    pub stacked: Vec<Listed>,
    /// What waits, in the order of its turn, with why.
    pub waiting: Vec<Listed>,
}

/// Live requests of a rig in the order of their turns, by target; then, with `is_all`, the ended ones, newest first.
///
/// # Errors
/// Corrupt, when the ledger or configuration cannot be read.
pub fn list(town: &Town, place: &RigPlace, is_all: bool) -> Result<Vec<Listed>> {
    let state = place.ledger.state()?;
    let (live, mut ended): (Vec<Request>, Vec<Request>) =
        look::requests(&state)?.into_iter().partition(|request| request.mr.state.is_live());
    let targets: BTreeSet<String> = live.into_iter().map(|request| request.mr.target).collect();
    let mut rows = Vec::new();
    for target in targets {
        rows.extend(of_target(town, place, &state, &target)?);
    }
    if is_all {
        ended.sort_by_key(|request| std::cmp::Reverse(request.bead.closed_at));
        rows.extend(ended.iter().map(row));
    }
    Ok(rows)
}

/// What was said of targets that are paused or frozen.
///
/// # Errors
/// Corrupt, when it cannot be read.
pub fn stopped(place: &RigPlace) -> Result<Vec<Control>> {
    let controls = place.ledger.state()?.controls()?;
    Ok(controls.into_iter().filter(|control| control.state != Flow::Open).collect())
}

/// The row of one request.
///
/// # Errors
/// As [`list`].
pub(super) fn row_of(town: &Town, place: &RigPlace, request: &Request) -> Result<Listed> {
    if !request.mr.state.is_live() {
        return Ok(row(request));
    }
    let rows = of_target(town, place, &place.ledger.state()?, &request.mr.target)?;
    Ok(rows.into_iter().find(|row| row.id == request.bead.id).unwrap_or_else(|| row(request)))
}

/// One request in short: `id`, or the newest for the work `id`.
///
/// # Errors
/// Not found, when there is no such bead; refused, when no request was ever filed for it.
pub fn brief(town: &Town, place: &RigPlace, id: &BeadId) -> Result<Brief> {
    let state = place.ledger.state()?;
    let request = look::request_for(&state, id)?;
    let listed = row_of(town, place, &request)?;
    let control = state.controls()?.into_iter().find(|control| control.target == request.mr.target);
    let mr = request.mr;
    Ok(Brief {
        listed,
        head: mr.head,
        base: mr.base,
        approvals: mr.approvals,
        hold: mr.hold,
        control: control.filter(|_| mr.state.is_live()),
        landed_commit: mr.landed_commit,
    })
}

/// What is stacked next, by target, and why the others wait. Told from the records: what conflicts shows when the refinery
/// stacks it.
///
/// # Errors
/// As [`list`].
pub fn next(town: &Town, place: &RigPlace) -> Result<Vec<Next>> {
    let state = place.ledger.state()?;
    let all = look::requests(&state)?;
    let kin = Kin::of(&state, &all)?;
    let alone: BTreeSet<&BeadId> = all.iter().filter(|one| one.mr.alone).map(|one| &one.bead.id).collect();
    let targets: BTreeSet<&String> = all.iter().filter(|one| one.mr.state.is_live()).map(|one| &one.mr.target).collect();
    let controls = state.controls()?;
    let mut queues = Vec::new();
    for target in targets {
        let control = controls.iter().find(|control| control.target == *target).cloned();
        let may_run = |row: &Listed| match row.state {
            MrState::Held => row.held_for == Some(HeldFor::Freeze) && !alone.contains(&row.id),
            MrState::Landing => row.pull_request.is_none(),
            _ => true,
        };
        let rows = of_target(town, place, &state, target)?;
        let (ready, mut waiting): (Vec<Listed>, Vec<Listed>) = rows.into_iter().partition(may_run);
        let first_alone = ready.iter().find(|row| alone.contains(&row.id) && kin.is_whole(&row.id)).map(|row| row.id.clone());
        let (stacked, later) = match &first_alone {
            Some(id) => {
                let elders = kin.elders(id);
                ready.into_iter().partition(|row| row.id == *id || elders.contains(&row.id))
            }
            None => {
                let mut ready = ready;
                let later = ready.split_off(ready.len().min(STACK_MAX));
                (ready, later)
            }
        };
        let why = match first_alone {
            Some(id) => format!("{id} goes first, alone"),
            None => format!("at most {STACK_MAX} are stacked at once"),
        };
        waiting.extend(later.into_iter().map(|row| Listed { note: why.clone(), ..row }));
        waiting.sort_by_key(|row| row.position);
        queues.push(Next { target: target.clone(), control, stacked, waiting });
    }
    Ok(queues)
}

/// The rows of one target's queue, in the order of their turns.
fn of_target(town: &Town, place: &RigPlace, state: &State<'_>, target: &str) -> Result<Vec<Listed>> {
    let store = &place.ledger.store;
    let review = config::review(town, place)?;
    let permits = Permits::of(&review, state)?;
    let outlook = Outlook::read(state, target, &Rules::to_look(town, place)?, town.now)?;
    let mut runs = state.gate_runs()?;
    runs.sort_by(|a, b| a.rev.cmp(&b.rev));
    let gates: Vec<String> = config::configured(town, place)?.into_iter().map(|one| one.gate.name).collect();
    let run_millis = estimate::run_millis(&runs, &gates);
    let mut risks = Vec::new();
    let mut rows = Vec::new();
    for request in &outlook.waiting {
        let hindrance = permits.hindrance(state, store, request)?;
        let mr = &request.mr;
        let mut one = Listed { position: Some(rows.len() + 1), ..row(request) };
        hold(&mut one, request, hindrance);
        one.approvals_needed = permits.needed(store, request, &look::sources(state, mr)?)?;
        one.approved_by = review.approvers(&mr.approvals, &mr.head, &mr.author);
        let tip = store.read_ref(&format!("refs/heads/{}", mr.branch))?.map(|tip| tip.to_string());
        one.branch_moved_to = tip.filter(|tip| *tip != mr.head);
        if one.state == MrState::Queued {
            risks.push(outlook.risk(mr));
            one.expected_millis = run_millis.map(|millis| estimate::millis_expected(millis, &risks));
        }
        rows.push(one);
    }
    Ok(rows)
}

/// Whether and why `row` waits.
fn hold(row: &mut Listed, request: &Request, hindrance: Option<Hindrance>) {
    let mr = &request.mr;
    if mr.state == MrState::Landing && mr.waits_for_pull_request().is_none() {
        return;
    }
    let Some(hindrance) = hindrance else {
        // What people said before and do not say any more holds nothing.
        let is_over = mr.state == MrState::Held && mr.held_for.is_some();
        if is_over {
            (row.state, row.note, row.release) = (MrState::Queued, String::new(), String::new());
        }
        return;
    };
    (row.state, row.note, row.release) = (MrState::Held, hindrance.why, hindrance.release);
    row.held_for = Some(hindrance.cause);
    row.conflicts_ahead = Vec::new();
}

/// The row of a request as its record says it.
fn row(request: &Request) -> Listed {
    let (bead, mr) = (&request.bead, &request.mr);
    let note = match mr.state {
        MrState::Landing if mr.pull_request.is_some() => {
            format!("waits for pull request {}", mr.pull_request.as_deref().unwrap_or_default())
        }
        MrState::Held => mr.held_reason.clone().unwrap_or_default(),
        MrState::Landed => {
            let forced = mr.force.as_ref().map(|force| format!(" without gates by {}: {}", force.by, force.reason));
            format!("as {}{}", short(mr.landed_commit.as_deref().unwrap_or_default()), forced.unwrap_or_default())
        }
        MrState::Evicted => mr.blame.as_ref().map(why_evicted).unwrap_or_default(),
        MrState::Queued | MrState::Landing if mr.depends_on.is_empty() => String::new(),
        MrState::Queued | MrState::Landing => {
            let after: Vec<&str> = mr.depends_on.iter().map(BeadId::as_str).collect();
            format!("{}, on {}", bead.title.trim_start_matches("Merge: "), after.join(" "))
        }
        MrState::Withdrawn | MrState::Superseded => bead.close_reason.clone().unwrap_or_default(),
    };
    let release = match (mr.state, mr.waits_for.as_slice()) {
        (MrState::Held, []) => format!("it is looked at again by each gt mq run; see gt mq why {}", bead.id),
        (MrState::Held, ahead) => format!("when {} left", ahead.iter().map(BeadId::as_str).collect::<Vec<_>>().join(", ")),
        _ => String::new(),
    };
    Listed {
        id: bead.id.clone(),
        state: mr.state,
        position: None,
        beads: mr.source_beads.clone(),
        title: bead.title.trim_start_matches("Merge: ").to_owned(),
        author: mr.author.clone(),
        branch: mr.branch.clone(),
        branch_moved_to: None,
        target: mr.target.clone(),
        mode: mr.mode,
        after: mr.depends_on.clone(),
        reverts: mr.reverts.as_ref().map(|revert| revert.mr.clone()),
        reverted_by: mr.reverted_by.clone(),
        priority: bead.priority,
        attempts: mr.attempts,
        submitted_at: mr.submitted_at,
        note,
        pull_request: mr.pull_request.clone(),
        held_for: None,
        release,
        conflicts_ahead: mr.waits_for.clone(),
        approvals_needed: 0,
        approved_by: BTreeSet::new(),
        expected_millis: None,
    }
}

fn why_evicted(blame: &Blame) -> String {
    if blame.cause == "rejected" {
        return format!("rejected by {}: {}", blame.by, blame.note);
    }
    if !blame.note.is_empty() {
        return blame.note.clone();
    }
    if blame.gate.is_empty() {
        return format!("{} in {}", blame.cause, blame.files.join(", "));
    }
    format!("gate {} is red, {:.1} % sure", blame.gate, blame.posterior * 100.0)
}
