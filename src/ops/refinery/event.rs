//! What happens while a queue is worked, as it happens: typed for programs, one line each for people.

use schemars::JsonSchema;
use serde::Serialize;

use super::moved::Moved;
use crate::model::flow::Flow;
use crate::model::gate::{GateRun, Verdict};
use crate::name::BeadId;

/// Something that happened in a queue.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Requests fit onto the target, in this order.
    Stacked {
        /// The branch.
        target: String,
        /// Its tip.
        tip: String,
        /// The requests, bottom first.
        mrs: Vec<BeadId>,
    },
    /// A gate begins; an empty stack is the bare target.
    GateStarted {
        /// The gate.
        gate: String,
        /// The requests in the tree, bottom first.
        stack: Vec<BeadId>,
        /// The tree.
        tree: String,
    },
    /// A gate ended and its run is recorded.
    GateEnded {
        /// The gate.
        gate: String,
        /// The requests in the tree, bottom first.
        stack: Vec<BeadId>,
        /// What it said.
        verdict: Verdict,
        /// Its exit code, when it had one.
        exit: Option<i32>,
        /// How long it took.
        took_millis: u64,
        /// Whether the tree needs it to land.
        is_required: bool,
    },
    /// A request is in the target.
    Landed {
        /// The request.
        mr: BeadId,
        /// The work that is done with it.
        beads: Vec<BeadId>,
        /// The branch.
        target: String,
        /// The commit in the target.
        commit: String,
    },
    /// A request was sent back.
    Evicted {
        /// The request.
        mr: BeadId,
        /// The work that is open again.
        beads: Vec<BeadId>,
        /// `red`, `conflict`, `race` or `pull-request-closed`.
        cause: String,
        /// The gate that was red, the paths that conflict, or what was wrong.
        detail: String,
        /// The task that was filed to solve the conflict.
        #[serde(skip_serializing_if = "Option::is_none")]
        task: Option<BeadId>,
        /// How sure the search was.
        posterior: f64,
    },
    /// A request waits and keeps its place.
    Held {
        /// The request.
        mr: BeadId,
        /// What for.
        reason: String,
    },
    /// What a request waited for is over.
    Resumed {
        /// The request.
        mr: BeadId,
    },
    /// Somebody paused or froze the target while requests wait.
    Stopped {
        /// The branch.
        target: String,
        /// What moves there now.
        state: Flow,
        /// What is said of it: by whom, why, and who passes.
        said: String,
    },
    /// A request lands without gates by the overseer's order.
    Forced {
        /// The request.
        mr: BeadId,
        /// Whose order.
        by: String,
        /// Why.
        reason: String,
    },
    /// The target itself does not pass; nobody is sent back for that.
    TargetRed {
        /// The branch.
        target: String,
        /// Its tip.
        tip: String,
        /// The gates that are red on it.
        gates: Vec<String>,
    },
    /// Gates that were green on the target's tip were red there when they ran once more.
    FalseGreen {
        /// The branch.
        target: String,
        /// Its tip.
        tip: String,
        /// The gates.
        gates: Vec<String>,
    },
    /// A landing that an earlier process left unfinished was finished, done again or called off.
    Recovered {
        /// The intent.
        intent: String,
        /// How.
        outcome: Recovery,
    },
    /// The target moved under a landing; planned again.
    Raced {
        /// The branch.
        target: String,
        /// Why the landing was dropped.
        reason: String,
    },
    /// A pull request was opened or updated for a landing, which waits for it.
    PullRequestOpened {
        /// The branch.
        target: String,
        /// The requests, bottom first.
        mrs: Vec<BeadId>,
        /// Its name. Foreign text.
        reference: String,
    },
    /// A landing waits for its pull request, which is open.
    PullRequestWaits {
        /// The branch.
        target: String,
        /// The requests, bottom first.
        mrs: Vec<BeadId>,
        /// Its name. Foreign text.
        reference: String,
    },
    /// A pull request could not be opened or looked at; the landing waits, and the next run tries again.
    PullRequestStuck {
        /// The branch.
        target: String,
        /// Why. Foreign text.
        reason: String,
    },
    /// The target moved, and gt did not move it.
    TargetMoved {
        /// The branch.
        target: String,
        /// Where it was.
        old: String,
        /// Where it is; empty: it is gone.
        tip: String,
        /// What happened to it. Foreign text.
        what: String,
        /// The ref that keeps where it was.
        pin: String,
    },
    /// The remote that holds the target cannot be reached; gating goes on, landing waits.
    RemoteAway {
        /// What it said.
        reason: String,
    },
    /// A local branch or worktree could not follow the target and was left as it is.
    LeftBehind {
        /// What was left.
        what: String,
        /// Why.
        reason: String,
    },
    /// A conflict task was put on the hook of an idle polecat.
    TaskGiven {
        /// The task.
        task: BeadId,
        /// The request whose conflict it solves.
        mr: BeadId,
        /// Who has it.
        agent: String,
    },
    /// A conflict task could not be given to the polecat that is idle; it stays ready.
    TaskWaits {
        /// The task.
        task: BeadId,
        /// Why.
        reason: String,
    },
    /// A plugin was called in before the queue was worked, or should have been.
    Plugin {
        /// Which.
        plugin: String,
        /// How it ended: `done`, `failed`, `too slow`, or why it was not called.
        outcome: String,
        /// The first line that it said. Foreign text.
        said: String,
    },
    /// All that a convoy tracks is closed with what landed.
    ConvoyLanded {
        /// The convoy.
        convoy: BeadId,
        /// What it is about.
        title: String,
    },
    /// What waited in a convoy for what landed was slung.
    ConvoyFed {
        /// The convoy.
        convoy: BeadId,
        /// What was slung.
        beads: Vec<BeadId>,
    },
}

/// How an unfinished landing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recovery {
    /// The target had moved already; the records followed.
    Finished,
    /// The target had not moved; it was landed now.
    Landed,
    /// It cannot land any more; its requests are queued again.
    Cancelled,
    /// Its pull request was closed; its requests were sent back.
    Closed,
}

impl Event {
    /// A target that moved outside of gt.
    pub(super) fn of_moved(moved: Moved) -> Self {
        let Moved { target, old, tip, what, pin } = moved;
        Self::TargetMoved { target, old, tip, what, pin }
    }

    /// That `run` ended.
    pub(super) fn ended(run: &GateRun) -> Self {
        Self::GateEnded {
            gate: run.gate.clone(),
            stack: run.stack.clone(),
            verdict: run.verdict,
            exit: run.exit,
            took_millis: run.took_millis,
            is_required: run.required,
        }
    }

    /// The event in one line. Names of branches, gates and paths in it are foreign text.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Stacked { target, tip, mrs } => format!("stacked {} on {target} at {}", names(mrs), short(tip)),
            Self::GateStarted { gate, stack, .. } => format!("gate {gate} runs on {}", names(stack)),
            Self::GateEnded { gate, stack, verdict, exit, took_millis, is_required } => {
                let reported = if *is_required { "" } else { " (only reported)" };
                let exit = exit.filter(|code| *code != 0).map(|code| format!(" (exit {code})")).unwrap_or_default();
                let secs = took_millis / 1000;
                let tenths = took_millis % 1000 / 100;
                format!("gate {gate} is {}{exit} on {} after {secs}.{tenths} s{reported}", verdict.word(), names(stack))
            }
            Self::Landed { mr, beads, target, commit } => {
                format!("landed {mr} ({}) on {target} as {}", names(beads), short(commit))
            }
            Self::Evicted { mr, beads, cause, detail, posterior, .. } if cause == "red" => {
                format!("sent back {mr} ({}): gate {detail} is red, {:.1} % sure", names(beads), posterior * 100.0)
            }
            Self::Evicted { mr, beads, cause, detail, task, .. } if cause == "conflict" => {
                let task = task.as_ref().map(|task| format!("; {task} is to solve it")).unwrap_or_default();
                format!("sent back {mr} ({}): {cause} in {detail}{task}", names(beads))
            }
            Self::Evicted { mr, beads, detail, .. } => format!("sent back {mr} ({}): {detail}", names(beads)),
            Self::TaskGiven { task, mr, agent } => format!("slung {task}, the conflict of {mr}, to {agent}"),
            Self::TaskWaits { task, reason } => format!("{task} is slung to nobody yet: {reason}"),
            Self::Held { mr, reason } => format!("held {mr}: {reason}"),
            Self::Resumed { mr } => format!("{mr} is queued again"),
            Self::Stopped { said, .. } => said.clone(),
            Self::Forced { mr, by, reason } => format!("{mr} lands without gates by order of {by}: {reason}"),
            Self::TargetRed { target, tip, gates } => {
                format!("{target} itself is red at {} ({}); nobody is sent back for it", short(tip), gates.join(", "))
            }
            Self::TargetMoved { target, old, tip, what, pin } => {
                format!("{target} moved outside of gt, {} → {}: {what}; what was there is at {pin}", short(old), short(tip))
            }
            Self::FalseGreen { target, tip, gates } => {
                format!("{} is red on {target} at {} where it was green before", gates.join(", "), short(tip))
            }
            Self::Recovered { intent, outcome } => {
                let outcome = match outcome {
                    Recovery::Finished => "finished: the target had moved",
                    Recovery::Landed => "landed now",
                    Recovery::Closed => "called off: its pull request was closed",
                    Recovery::Cancelled => "called off; its requests are queued again",
                };
                format!("unfinished landing {intent} {outcome}")
            }
            Self::Raced { target, reason } => format!("landing on {target} dropped and planned again: {reason}"),
            Self::PullRequestOpened { target, mrs, reference } => {
                format!("pull request {reference} asks to merge {} into {target}", names(mrs))
            }
            Self::PullRequestWaits { target, mrs, reference } => {
                format!("{} waits on {target} for pull request {reference}", names(mrs))
            }
            Self::PullRequestStuck { target, reason } => format!("the pull request for {target} waits: {reason}"),
            Self::RemoteAway { reason } => format!("waiting for the remote: {reason}"),
            Self::LeftBehind { what, reason } => format!("left {what} as it is: {reason}"),
            Self::Plugin { plugin, outcome, said } if said.is_empty() => format!("plugin {plugin}: {outcome}"),
            Self::Plugin { plugin, outcome, said } => format!("plugin {plugin} is {outcome}: {said}"),
            Self::ConvoyLanded { convoy, title } => format!("convoy {convoy} has landed: {title}"),
            Self::ConvoyFed { convoy, beads } => format!("slung {} of convoy {convoy}", names(beads)),
        }
    }
}

/// How many ids a line names; programs get them all.
const NAMES_MAX: usize = 5;

fn names(ids: &[BeadId]) -> String {
    if ids.is_empty() {
        return "the target".to_owned();
    }
    let shown: Vec<&str> = ids.iter().take(NAMES_MAX).map(BeadId::as_str).collect();
    let more = ids.len().saturating_sub(NAMES_MAX);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{rest}", shown.join(" + "))
}

/// The first characters of an object id, for people.
pub(super) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
