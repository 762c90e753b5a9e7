//! Questions to the queue: how it stands, and the whole story of one request.

use schemars::JsonSchema;
use serde::Serialize;

use super::evict::evidence_line;
use super::list::{Listed, list, row_of};
use super::look::{self, object_id};
use super::origin::{Origin, origin};
use crate::error::Result;
use crate::model::flow::{Control, Flow};
use crate::model::gate::{GateRun, Intent, Verdict};
use crate::model::merge_request::{Blame, MrState};
use crate::model::search_tree::{self, Node};
use crate::name::BeadId;
use crate::ops::gates::{Memo, Rules};
use crate::store::lock::KernelLock;
use crate::time::Moment;
use crate::town::{RigPlace, Town};

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
    /// What somebody said of it: that it is paused, frozen or open again, and why.
    pub control: Option<Control>,
    /// Landings under way or left open.
    pub open_intents: Vec<String>,
    /// The pull request that the landing waits for. Foreign text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<String>,
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
    /// Its name, by which gt gate log finds it.
    pub run: String,
    /// Tests that failed, where they are known.
    pub failing: Vec<String>,
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
    /// The search that it was part of: stacks with it, and what was gated because one of them was red.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<Node>,
    /// Why it was sent back.
    pub blame: Option<Blame>,
    /// The landing under way.
    pub intent: Option<Intent>,
}

/// Whether a process of this machine works the queue of `target` now.
///
/// # Errors
/// Io, when its lock cannot be looked at.
pub fn is_worked(place: &RigPlace, target: &str) -> Result<bool> {
    Ok(KernelLock::try_take(&super::Turn::lock_path(place, target))?.is_none())
}

/// How the queues of a rig stand.
///
/// # Errors
/// Corrupt, when the ledger cannot be read; as [`Rules::read`].
pub fn status(town: &Town, place: &RigPlace) -> Result<Overview> {
    let state = place.ledger.state()?;
    let rules = Rules::read(town, place, &place.rig.home)?;
    let gates = rules.required();
    let memo = Memo::of(&state.gate_runs()?, &rules, town.now);
    let rows = list(town, place, false)?;
    let controls = state.controls()?;
    let intents = state.intents()?;
    let mut names: Vec<String> = rows.iter().map(|row| row.target.clone()).collect();
    let stopped = controls.iter().filter(|control| control.state != Flow::Open);
    names.extend(stopped.map(|control| control.target.clone()));
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
        let of_target = || rows.iter().filter(|row| row.target == target);
        let held = of_target().filter(|row| row.state == MrState::Held).count();
        targets.push(TargetOverview {
            tip: tip.map(|tip| tip.to_string()),
            is_certified,
            is_worked: is_worked(place, &target)?,
            queued: of_target().count() - held,
            held,
            control: controls.iter().find(|control| control.target == target).cloned(),
            pull_request: intents.iter().filter(|intent| intent.target == target).find_map(|intent| intent.pull_request.clone()),
            open_intents: intents.iter().filter(|intent| intent.target == target).map(|intent| intent.id.clone()).collect(),
            origin: origin(place, &target)?,
            target,
        });
    }
    let gates = rules.gates().iter().map(|gate| gate.name.clone()).collect();
    Ok(Overview { rig: place.rig.name.to_string(), home: place.rig.home.clone(), gates, targets })
}

/// The whole story of request `id`, or of the newest request for the work `id`.
///
/// # Errors
/// Not found, when there is no such bead; refused, when no request was ever filed for it.
pub fn why(town: &Town, place: &RigPlace, id: &BeadId) -> Result<Story> {
    let state = place.ledger.state()?;
    let request = look::request_for(&state, id)?;
    let mr = &request.bead.id;
    let listed = row_of(town, place, &request)?;
    let mut runs = state.gate_runs()?;
    runs.sort_by(|a, b| a.rev.cmp(&b.rev));
    let search = search_tree::tree(&search_tree::steps(&runs, mr));
    // What its author had gated before handing it in speaks for it too.
    runs.retain(|run| run.stack.contains(mr) || (run.by.is_some() && run.tree == request.mr.tree));
    let intent = state.intents()?.into_iter().find(|intent| intent.landings.iter().any(|landing| landing.mr == *mr));
    Ok(Story {
        listed,
        head: object_id(&request.mr.head)?.to_string(),
        landed_commit: request.mr.landed_commit.clone(),
        runs: runs.iter().map(gate_story).collect(),
        search,
        blame: request.mr.blame.clone(),
        intent,
    })
}

fn gate_story(run: &GateRun) -> GateStory {
    GateStory {
        line: evidence_line(run),
        verdict: run.verdict,
        at: run.at,
        took_millis: run.took_millis,
        commit: run.commit.clone(),
        run: run.rev.to_string(),
        failing: run.failing.clone(),
        log: run.log.clone(),
    }
}
