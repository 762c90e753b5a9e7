//! Figures of a rig's queues, from requests, remembered runs and the log.

use std::collections::HashMap;

use super::look;
use crate::error::Result;
use crate::ledger::Ledger;
use crate::model::merge_request::MrState;
use crate::model::queue_figures::{Ended, Fate, Figures, Held, figures};
use crate::name::BeadId;
use crate::time::Moment;
use crate::town::RigPlace;

/// The figures of the rig's queues, of what ended at `since` or later; of one target, or of all. Runs are remembered for as
/// long as the memo is.
///
/// # Errors
/// Corrupt, when the ledger cannot be read.
pub fn stats(place: &RigPlace, since: Option<Moment>, target: Option<&str>) -> Result<Figures> {
    let state = place.ledger.state()?;
    let is_asked = |at: Moment| since.is_none_or(|since| at >= since);
    let mut all = Vec::new();
    for request in look::requests(&state)? {
        let Some(ended_at) = request.bead.closed_at.filter(|at| is_asked(*at)) else { continue };
        if target.is_some_and(|target| target != request.mr.target) {
            continue;
        }
        let is_red = request.mr.blame.as_ref().is_some_and(|blame| blame.cause == "red");
        let fate = match request.mr.state {
            MrState::Landed => Fate::Landed,
            MrState::Evicted if is_red => Fate::Red,
            MrState::Evicted => Fate::SentBack,
            _ => Fate::Left,
        };
        let commit = request.mr.landed_commit.as_deref().map(look::object_id).transpose()?;
        // A commit that is not here was landed elsewhere.
        let landed_tree = commit.and_then(|commit| place.ledger.store.tree_of(commit).ok()).map(|tree| tree.to_string());
        let (mr, head, submitted_at) = (request.bead.id, request.mr.head, request.mr.submitted_at);
        all.push(Ended { mr, head, submitted_at, ended_at, fate, landed_tree });
    }
    let runs: Vec<_> = state.gate_runs()?.into_iter().filter(|run| is_asked(run.at)).collect();
    let held = held(&place.ledger, &all)?;
    Ok(figures(&all, &runs, &held))
}

/// When requests were held, by the log: from a hold to the resumption after it, or to the end.
fn held(ledger: &Ledger, ended: &[Ended]) -> Result<Vec<Held>> {
    let ends: HashMap<&str, &Ended> = ended.iter().map(|one| (one.mr.as_str(), one)).collect();
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let mut open: HashMap<BeadId, Moment> = HashMap::new();
    let mut all = Vec::new();
    for entry in ledger.log(0)?.into_iter().rev() {
        for one in entry.beads.iter().filter_map(|bead| ends.get(bead.as_str())) {
            match entry.op.as_str() {
                "hold" => drop(open.entry(one.mr.clone()).or_insert(entry.at)),
                "resume" | "release" => {
                    all.extend(open.remove(&one.mr).map(|from| Held { mr: one.mr.clone(), from, to: entry.at }));
                }
                _ => {}
            }
        }
    }
    all.extend(open.into_iter().filter_map(|(mr, from)| Some(Held { to: ends.get(mr.as_str())?.ended_at, mr, from })));
    Ok(all)
}
