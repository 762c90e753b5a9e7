//! The search for the bad one as a tree: below each stack that was red stand the parts of it that were gated to find out why.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::gate::{GateRun, Verdict};
use crate::name::BeadId;

/// A stack that was gated.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Step {
    /// The requests in it, bottom first; empty for the bare target.
    pub stack: Vec<BeadId>,
    /// What all gates together said.
    pub verdict: Verdict,
    /// Which gates said so.
    pub note: String,
}

/// A step with its place in the tree.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Node {
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// The step below whose red it was taken, by its place in this list; `None` at the top.
    pub below: Option<usize>,
    /// How deep it stands; 0 at the top.
    pub depth: usize,
}

/// The steps of the search that `mr` was part of, from `runs` in order of time: stacks with it that were gated, and the parts
/// of those that were red. All gates of one stack on one commit are a step, until one of them runs once more.
#[must_use]
pub fn steps(runs: &[GateRun], mr: &BeadId) -> Vec<Step> {
    let mut found: Vec<(&str, Vec<&GateRun>)> = Vec::new();
    for run in runs.iter().filter(|run| !run.stack.is_empty()) {
        let same = found.iter_mut().rev().find(|(commit, _)| *commit == run.commit);
        match same.filter(|(_, of_step)| of_step.iter().all(|other| other.gate != run.gate)) {
            Some((_, of_step)) => of_step.push(run),
            None => found.push((&run.commit, vec![run])),
        }
    }
    let steps: Vec<Step> = found.into_iter().map(|(_, of_step)| step_of(&of_step)).collect();
    let is_with = |step: &Step| step.stack.contains(mr);
    let is_part = |step: &Step| {
        let red = steps.iter().filter(|other| other.verdict == Verdict::Red && is_with(other));
        red.into_iter().any(|other| step.stack.iter().all(|id| other.stack.contains(id)))
    };
    steps.iter().filter(|step| is_with(step) || is_part(step)).cloned().collect()
}

/// What the gates that judged one stack said together: red when one was, green when all were.
fn step_of(runs: &[&GateRun]) -> Step {
    let worst = |verdict: Verdict| runs.iter().any(|run| run.verdict == verdict);
    let verdict = [Verdict::Red, Verdict::Infrastructure, Verdict::Inconclusive].into_iter().find(|one| worst(*one));
    let verdict = verdict.unwrap_or(Verdict::Green);
    let gates: Vec<&str> = runs.iter().filter(|run| run.verdict == verdict).map(|run| run.gate.as_str()).collect();
    Step { stack: runs.first().map(|run| run.stack.clone()).unwrap_or_default(), verdict, note: gates.join(", ") }
}

/// The tree of `steps`, which come in order of time. A step stands below the latest red one before it that holds all that it
/// holds, the same stack again included; the order stays that of time within each branch.
#[must_use]
pub fn tree(steps: &[Step]) -> Vec<Node> {
    let sets: Vec<BTreeSet<&BeadId>> = steps.iter().map(|step| step.stack.iter().collect()).collect();
    let is_red = |at: usize| steps[at].verdict == Verdict::Red && !sets[at].is_empty();
    let parents: Vec<Option<usize>> = (0..steps.len())
        .map(|at| (0..at).rev().find(|before| is_red(*before) && !sets[at].is_empty() && sets[at].is_subset(&sets[*before])))
        .collect();
    let mut nodes = Vec::with_capacity(steps.len());
    let mut place_of = vec![0; steps.len()];
    // Depth first: what was found out below a step stands right under it.
    let mut open: Vec<(usize, usize)> = (0..steps.len()).rev().filter(|at| parents[*at].is_none()).map(|at| (at, 0)).collect();
    while let Some((at, depth)) = open.pop() {
        place_of[at] = nodes.len();
        nodes.push(Node { step: steps[at].clone(), below: parents[at].map(|parent| place_of[parent]), depth });
        open.extend((at + 1..steps.len()).rev().filter(|child| parents[*child] == Some(at)).map(|child| (child, depth + 1)));
    }
    nodes
}

/// What stands before each node when the tree is drawn, such as `│  └─ `.
#[must_use]
pub fn branches(nodes: &[Node]) -> Vec<String> {
    let is_last = |at: usize| {
        let later = nodes[at + 1..].iter().take_while(|node| node.depth >= nodes[at].depth);
        !later.into_iter().any(|node| node.depth == nodes[at].depth)
    };
    let mut drawn = Vec::with_capacity(nodes.len());
    // For each depth whether a branch goes on further down.
    let mut goes_on: Vec<bool> = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        goes_on.truncate(node.depth);
        let mut text: String = goes_on.iter().map(|goes| if *goes { "│  " } else { "   " }).collect();
        text.push_str(if is_last(at) { "└─ " } else { "├─ " });
        drawn.push(text);
        goes_on.push(!is_last(at));
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(stack: &str, verdict: Verdict) -> Step {
        let id = |c: char| format!("wi-mr-{c}").parse().unwrap();
        Step { stack: stack.chars().map(id).collect(), verdict, note: String::new() }
    }

    fn drawn(steps: &[(&str, Verdict)]) -> Vec<String> {
        let nodes = tree(&steps.iter().map(|(stack, verdict)| step(stack, *verdict)).collect::<Vec<_>>());
        let name = |node: &Node| node.step.stack.iter().map(|id| id.as_str().trim_start_matches("wi-mr-")).collect::<String>();
        branches(&nodes).iter().zip(&nodes).map(|(branch, node)| format!("{branch}{}", name(node))).collect()
    }

    #[test]
    fn what_was_asked_because_of_a_red_stands_below_it() {
        use Verdict::{Green, Red};
        let steps = [("abcd", Red), ("ab", Green), ("c", Red), ("c", Red), ("d", Green), ("ef", Red), ("e", Green)];
        assert_eq!(drawn(&steps), ["├─ abcd", "│  ├─ ab", "│  ├─ c", "│  │  └─ c", "│  └─ d", "└─ ef", "   └─ e"]);
        assert_eq!(drawn(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_green_explains_nothing_and_the_target_stands_by_itself() {
        use Verdict::{Green, Infrastructure, Red};
        assert_eq!(drawn(&[("ab", Green), ("a", Red), ("", Green), ("a", Infrastructure)]), ["├─ ab", "├─ a", "│  └─ a", "└─ "]);
    }
}
