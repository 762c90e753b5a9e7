//! One worker's history, from the records of its work: it outlives the worker.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{By, Figures, Group, Question, gather, stats_of};
use crate::error::Result;
use crate::ledger::Damaged;
use crate::model::address::Address;
use crate::ops::track::Scopes;
use crate::time::Moment;
use crate::town::Town;

/// How many beads a history names.
const LAST: usize = 10;

/// A finished bead of a history.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Deed {
    /// Its id.
    pub id: String,
    /// What it was about.
    pub title: String,
    /// What sort of work.
    pub issue_type: String,
    /// The model that did it.
    pub model: Option<String>,
    /// When it was closed.
    pub closed_at: Option<Moment>,
    /// From the hook to the close.
    pub cycle_millis: Option<u64>,
    /// How many requests it took; `None`: it was not closed by a merge.
    pub attempts: Option<u32>,
}

/// A worker's history.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Career {
    /// Who.
    pub agent: Address,
    /// Since when it is known; `None`: it has no record of its own.
    pub since: Option<Moment>,
    /// All its figures.
    pub total: Figures,
    /// The same by the sort of work.
    pub by_type: Vec<Group>,
    /// What it finished last, the newest first.
    pub last: Vec<Deed>,
    /// Records that cannot be read.
    #[serde(skip)]
    pub damaged: Vec<Damaged>,
    /// What else a reader must know.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// The history of `agent`: in its rig, or in the whole town when it belongs to none.
///
/// # Errors
/// Not found or corrupt, when its scope cannot be read.
pub fn career(town: &Town, agent: &Address) -> Result<Career> {
    let who = agent.to_string();
    let scopes = Scopes::of(town, agent.rig().map(crate::name::Name::as_str), true)?;
    let (ledger, id) = town.agent_bead(agent)?;
    let since = ledger.state()?.find_bead(&id)?.map(|bead| bead.created_at);
    let gathered = gather(town, &scopes)?;
    let question = Question { actor: Some(who.clone()), is_whole: true, group_by: vec![By::Type], ..Question::default() };
    let stats = stats_of(&gathered, &BTreeMap::new(), &question);
    let mut tries: BTreeMap<&str, u32> = BTreeMap::new();
    for request in &gathered.requests {
        *tries.entry(request.source.as_deref().unwrap_or_default()).or_default() += 1;
    }
    let mut done: Vec<_> =
        gathered.works.iter().filter(|work| work.is_closed && !work.has_failed && work.actor() == Some(who.as_str())).collect();
    done.sort_by(|a, b| b.closed_at.cmp(&a.closed_at).then_with(|| a.id.cmp(&b.id)));
    let deed = |work: &&super::Work| Deed {
        id: work.id.clone(),
        title: work.title.clone(),
        issue_type: work.issue_type.clone(),
        model: work.model.clone(),
        closed_at: work.closed_at,
        cycle_millis: work.cycle_millis(),
        attempts: tries.get(work.id.as_str()).copied(),
    };
    let last = done.iter().take(LAST).map(deed).collect();
    let (damaged, notes) = gathered.into_faults();
    Ok(Career { agent: agent.clone(), since, total: stats.total, by_type: stats.groups, last, damaged, notes })
}
