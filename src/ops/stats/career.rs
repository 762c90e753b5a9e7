//! One worker's history, from the records of its work: it outlives the worker.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{By, Figures, Group, Question, Tally, gather, stats_of};
use crate::error::{Error, Kind, Result};
use crate::ledger::Damaged;
use crate::model::address::Address;
use crate::ops::mailbox;
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
    /// How many requests were decided for it; `None`: none was handed in.
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

/// The worker that `text` names: by an address, or by a name that one agent of the town has alone.
///
/// # Errors
/// Not found, when nobody is called that; refused, when several are.
pub fn worker(town: &Town, text: &str) -> Result<Address> {
    let unknown = match town.resolve_address(text) {
        Err(error) if error.kind == Kind::Usage => error,
        resolved => return resolved,
    };
    let is_called = |address: &Address| address.to_string().rsplit('/').next() == Some(text);
    let called: Vec<Address> = mailbox::directory(town)?.into_iter().filter(is_called).collect();
    match called.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let told = Error::not_found(format!("nobody is called '{}'", text.escape_debug()));
            Err(told.hint(unknown.hint.unwrap_or_default()))
        }
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(Error::refused(format!("{} are called {text}", several.len())).hint(format!("one of: {}", names.join(", "))))
        }
    }
}

/// The history of `agent`: in its rig, or in the whole town when it belongs to none.
///
/// # Errors
/// Not found, when there never was such an agent; not found or corrupt, when its scope cannot be read.
pub fn career(town: &Town, agent: &Address) -> Result<Career> {
    let who = agent.to_string();
    let scopes = Scopes::of(town, agent.rig().map(crate::name::Name::as_str), true)?;
    let (ledger, id) = town.agent_bead(agent)?;
    let since = ledger.state()?.find_bead(&id)?.map(|bead| bead.created_at);
    let gathered = gather(town, &scopes)?;
    let question = Question { actor: Some(who.clone()), is_whole: true, group_by: vec![By::Type], ..Question::default() };
    let stats = stats_of(&gathered, &BTreeMap::new(), &question);
    let has_left_traces = stats.total != Tally::default().figures();
    if since.is_none() && !has_left_traces && !has_no_record(agent) {
        return Err(Error::not_found(format!("nobody has or had the address {agent}"))
            .hint("gt stats --group-by actor names all who did something"));
    }
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

/// Whether an agent of this sort is there without a record of its own.
fn has_no_record(agent: &Address) -> bool {
    match agent {
        Address::Overseer(_) | Address::Mayor | Address::Deacon | Address::Witness(_) | Address::Refinery(_) => true,
        Address::Dog(_) | Address::Polecat(..) | Address::Crew(..) | Address::Plugin(..) => false,
    }
}
