//! How an integration branch stands.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{live_mr, open_one, tip_of};
use crate::error::Result;
use crate::git::commits;
use crate::ledger::State;
use crate::model::bead::Status;
use crate::model::merge_request::MrState;
use crate::name::BeadId;
use crate::ops::refinery::look;
use crate::town::RigPlace;

/// A bead below the epic.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Child {
    /// Its id.
    pub id: BeadId,
    /// What it is about.
    pub title: String,
    /// Where it stands.
    pub status: Status,
}

/// How an integration branch stands.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Standing {
    /// The epic.
    pub epic: BeadId,
    /// What it is about.
    pub title: String,
    /// The branch.
    pub branch: String,
    /// Where the whole goes.
    pub target: String,
    /// Its tip here; none, when it is not here.
    pub tip: Option<String>,
    /// Commits that the target lacks.
    pub ahead: usize,
    /// Commits of the target that it lacks.
    pub behind: usize,
    /// Requests that wait to land on it.
    pub waiting: Vec<BeadId>,
    /// Beads below the epic, by id.
    pub children: Vec<Child>,
    /// The request for the whole, while it waits.
    pub mr: Option<BeadId>,
    /// Whether the whole is in the target and the branch has ended.
    pub is_ended: bool,
}

/// How the integration branch of `epic` stands.
///
/// # Errors
/// Not found, when it has none; corrupt, when beads or history cannot be read.
pub fn standing(place: &RigPlace, epic: &BeadId) -> Result<Standing> {
    let state = place.ledger.state()?;
    let (bead, integration) = open_one(&state, epic)?;
    let (here, there) = (tip_of(place, &integration.branch)?, tip_of(place, &integration.target)?);
    let (ahead, behind) = match (here, there) {
        (Some(here), Some(there)) => commits::apart(&place.ledger.store, here, there)?,
        _ => (0, 0),
    };
    let is_waiting = |request: &look::Request| request.mr.state.is_live() && request.mr.target == integration.branch;
    let waiting = look::requests(&state)?.into_iter().filter(is_waiting).map(|request| request.bead.id);
    Ok(Standing {
        epic: epic.clone(),
        title: bead.title.clone(),
        tip: here.map(|tip| tip.to_string()),
        ahead,
        behind,
        waiting: waiting.collect(),
        children: below(&state, epic)?,
        mr: live_mr(&state, &integration)?,
        is_ended: !integration.is_open(),
        branch: integration.branch,
        target: integration.target,
    })
}

/// All beads below `epic`, by id.
fn below(state: &State<'_>, epic: &BeadId) -> Result<Vec<Child>> {
    let catalog = state.catalog()?;
    let (mut found, mut open) = (BTreeMap::new(), vec![epic.clone()]);
    while let Some(parent) = open.pop() {
        for row in catalog.children(&parent) {
            let child = state.bead_of(row)?;
            if !found.contains_key(&child.id) {
                open.push(child.id.clone());
                found.insert(child.id.clone(), Child { id: child.id, title: child.title, status: child.status });
            }
        }
    }
    Ok(found.into_values().collect())
}

impl Standing {
    /// Beads below the epic that are not closed.
    pub fn open(&self) -> impl Iterator<Item = &Child> {
        self.children.iter().filter(|child| !child.status.is_closed())
    }

    /// Where the request for the whole stands, in a word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match (self.is_ended, self.mr.is_some()) {
            (true, _) => "ended",
            (false, true) => MrState::Landing.word(),
            (false, false) => "open",
        }
    }
}
