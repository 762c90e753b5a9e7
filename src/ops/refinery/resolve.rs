//! Conflict tasks: where `mq.on_conflict` is `auto_rebase`, a request that conflicts with its target leaves a task behind,
//! which an idle polecat gets. What is handed in for the task delivers what the request was to deliver.

use super::event::{Event, short};
use super::evict::LAST_FAILURE;
use super::look::{self, Request};
use crate::config;
use crate::error::Result;
use crate::ledger::{Change, State};
use crate::model::address::Address;
use crate::model::bead::{Bead, Dependency, DependencyKind, IssueType, Status, TITLE_CHARS_MAX};
use crate::model::merge_request::{Blame, MergeRequest, MrState, OnConflict};
use crate::model::record::Object;
use crate::name::{BeadId, Name};
use crate::ops::polecat;
use crate::ops::sling::{self, Plan, Slung};
use crate::town::{RigPlace, Town};

/// The label of conflict tasks.
pub const LABEL: &str = "merge-conflict";
/// The field of a task that names the request whose conflict it solves.
const RESOLVES: &str = "resolves";
/// The field of a task that counts how often the queue gave it to somebody, and after how many times it is left to people.
const GIVEN: &str = "given";
const GIVEN_MAX: u64 = 3;

/// What the rig at `place` does about conflicts.
///
/// # Errors
/// As [`config::word`].
pub(super) fn on_conflict(town: &Town, place: &RigPlace) -> Result<OnConflict> {
    Ok(OnConflict::of(&config::word(town, Some(place), "mq.on_conflict")?))
}

/// The request whose conflict `task` solves, if it is a conflict task.
#[must_use]
pub fn resolves(task: &Bead) -> Option<BeadId> {
    task.extra.get(RESOLVES)?.as_str()?.parse().ok()
}

/// The work that is delivered with `source`: that of the request whose conflict it solves, as far as it is not closed.
///
/// # Errors
/// Corrupt, when a bead cannot be read.
pub(super) fn delivered_with(change: &Change<'_>, source: &Bead) -> Result<Vec<Bead>> {
    let Some(mr) = resolves(source) else { return Ok(Vec::new()) };
    let Some(request) = look::find(change.before(), &mr)? else { return Ok(Vec::new()) };
    let all = look::sources(change.before(), &request.mr)?;
    Ok(all.into_iter().filter(|bead| !bead.status.is_closed()).collect())
}

/// Files the task for `request`, which conflicts as `blame` says and whose work is open again in `change`: that waits for
/// the task. None for what takes work back, for the whole of an epic, and for what is handed in for a conflict task
/// itself, which is open again and does.
///
/// # Errors
/// As [`Change::put_bead`].
pub(super) fn file_task(change: &mut Change<'_>, request: &Request, blame: &Blame, by: &str) -> Result<Option<BeadId>> {
    let (mr, now) = (&request.mr, change.now());
    let sources = mr.source_beads.iter().map(|id| change.bead(id)).collect::<Result<Vec<Bead>>>()?;
    let is_fit = |bead: &Bead| bead.issue_type.is_work() && bead.status == Status::Open && resolves(bead).is_none();
    let Some(first) = sources.first().filter(|_| mr.reverts.is_none() && sources.iter().all(is_fit)) else { return Ok(None) };
    let id = change.mint(&request.bead.id.prefix(), "")?;
    let plain = first.title.replace(char::is_control, " ");
    let title: String = format!("Resolve conflict: {plain}").chars().take(TITLE_CHARS_MAX).collect();
    let mut task = Bead::new(id.clone(), IssueType::Task, &title, by, now)?;
    task.labels.insert(LABEL.to_owned());
    task.priority = sources.iter().map(|bead| bead.priority).min().unwrap_or(task.priority);
    task.description = description(request, blame);
    task.extra.insert(RESOLVES.to_owned(), request.bead.id.to_string().into());
    task.extra.insert(LAST_FAILURE.to_owned(), request.bead.id.to_string().into());
    change.put_bead(&task)?;
    for mut source in sources {
        source.dependencies.push(Dependency {
            issue_id: source.id.clone(),
            depends_on_id: id.clone(),
            kind: DependencyKind::Blocks,
            created_by: by.to_owned(),
            created_at: now,
            extra: Object::new(),
        });
        source.updated_at = now;
        change.put_bead(&source)?;
    }
    Ok(Some(id))
}

fn description(request: &Request, blame: &Blame) -> String {
    let (id, mr) = (&request.bead.id, &request.mr);
    let listed = |lines: &[String]| {
        let lines: Vec<String> = lines.iter().map(|line| format!("- {}", line.replace(char::is_control, " "))).collect();
        lines.join("\n")
    };
    let sources: Vec<&str> = mr.source_beads.iter().map(BeadId::as_str).collect();
    let mut text = format!(
        "{id}, the work of {} on {}, does not merge onto {} any more (it stood at {}). Both changed:\n{}\n\n\
         Bring it there and hand it in from this task; that delivers {} too, and keeps who wrote it:\n\n    \
         git merge refs/gt/mr/{id}\n\n\
         Solve it so that what both sides meant holds: gt show {}, gt mq diff {id}. Then let the gates judge it \
         (gt gate run), and: gt done\n",
        mr.author,
        mr.branch.replace(char::is_control, " "),
        mr.target,
        short(&blame.base),
        listed(&blame.files),
        sources.join(" "),
        sources.first().unwrap_or(&id.as_str()),
    );
    if !blame.theirs.is_empty() {
        text.push_str(&format!("\nCommits of the other side that touch them:\n{}\n", listed(&blame.theirs)));
    }
    text
}

/// Gives each conflict task that nobody has to an idle polecat, the author of the request before others, and closes those
/// whose work was delivered otherwise. A task that cannot be given, or that came back three times, stays ready like any
/// other work.
///
/// # Errors
/// Corrupt, when the ledger cannot be read; as every transaction.
pub(super) fn hand_out(town: &Town, place: &RigPlace, say: &mut dyn FnMut(&Event)) -> Result<()> {
    let state = place.ledger.state()?;
    for request in look::requests(&state)?.into_iter().filter(|request| request.mr.state == MrState::Evicted) {
        let Some(task) = request.mr.blame.as_ref().and_then(|blame| blame.task.clone()) else { continue };
        let Some(bead) = state.find_bead(&task)?.filter(|bead| bead.status == Status::Open) else { continue };
        if look::sources(&state, &request.mr)?.iter().all(|source| source.status.is_closed()) {
            end_task(town, place, &bead.id, &request.bead.id)?;
            continue;
        }
        if given(&bead) >= GIVEN_MAX {
            continue;
        }
        let author = request.mr.author.parse().ok();
        let Some(agent) = polecat::idle(town, place, author.as_ref())? else { continue };
        match assign(town, place, &task, &agent) {
            Ok(Slung::Assigned { agent, .. }) => {
                count_given(town, place, &task)?;
                say(&Event::TaskGiven { task, mr: request.bead.id, agent: agent.to_string() });
            }
            Ok(
                Slung::Asked { .. }
                | Slung::Restarted { .. }
                | Slung::AlreadyThere { .. }
                | Slung::Given { .. }
                | Slung::Waits { .. }
                | Slung::Would { .. },
            ) => {}
            Err(error) => say(&Event::TaskWaits { task, reason: error.line() }),
        }
    }
    Ok(())
}

/// Slings `task` to `agent`; where nothing starts agents it is only assigned, and whoever runs that polecat finds it.
fn assign(town: &Town, place: &RigPlace, task: &BeadId, agent: &Address) -> Result<Slung> {
    let no_start = config::chosen(town, Some(place), "polecat", None)?.is_none();
    sling::sling(town, &Plan { bead: task.to_string(), target: Some(agent.to_string()), no_start, ..Plan::default() })
}

fn given(task: &Bead) -> u64 {
    task.extra.get(GIVEN).and_then(serde_json::Value::as_u64).unwrap_or(0)
}

fn count_given(town: &Town, place: &RigPlace, task: &BeadId) -> Result<()> {
    place.ledger.transact(&town.deed("sling", format!("gave {task}")), |change| {
        let mut bead = change.bead(task)?;
        bead.extra.insert(GIVEN.to_owned(), (given(&bead) + 1).into());
        change.put_bead(&bead)
    })
}

fn end_task(town: &Town, place: &RigPlace, task: &BeadId, mr: &BeadId) -> Result<()> {
    let by = Address::Refinery(Name::clone(&place.rig.name)).to_string();
    let deed = town.deed("close", format!("close {task}: its work is done without it"));
    place.ledger.transact(&deed, |change| {
        let mut bead = change.bead(task)?;
        if bead.status == Status::Open {
            bead.close(&by, &format!("the work of {mr} was delivered otherwise"), change.now())?;
            change.put_bead(&bead)?;
        }
        Ok(())
    })
}

/// The branch that `task` goes to: that of the request whose conflict it solves.
///
/// # Errors
/// Corrupt, when the request cannot be read.
pub(super) fn target_of(state: &State<'_>, task: &Bead) -> Result<Option<String>> {
    let Some(mr) = resolves(task) else { return Ok(None) };
    let request = state.find_bead(&mr)?.and_then(|bead| MergeRequest::of(&bead).ok());
    request.map(|mr| super::integration::followed(state, &mr.target)).transpose()
}
