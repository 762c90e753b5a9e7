//! The merge oracle: reads what waits in a queue and says which requests touch each other, which have nothing to do with
//! each other, and what is risky; filed as a bead when that is asked for. It moves nothing.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::git::merge::merge_base;
use crate::git::{program, promised};
use crate::model::bead::{Bead, IssueType, Status};
use crate::model::overlap::{self, Changes, Plan};
use crate::name::BeadId;
use crate::ops::refinery::{self, Request};
use crate::store::Store;
use crate::town::{RigPlace, Town};

/// The label of the bead that holds the plan.
pub const LABEL: &str = "merge-plan";
/// Most requests that are looked at; the first ones in turn.
const REQUESTS_MAX: usize = 64;

/// What the oracle says of a queue.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Oracle {
    /// The rig.
    pub rig: String,
    /// The branch.
    pub target: String,
    /// The requests that were looked at, in order of their turn.
    pub requests: Vec<BeadId>,
    /// How they stand to each other.
    #[serde(flatten)]
    pub plan: Plan,
    /// The bead that holds the same, when it was filed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bead: Option<BeadId>,
}

/// Looks at the queue of `target`; the rig's own when not given. With `files_bead` what it says is written to the bead
/// labelled [`LABEL`], which is made when there is none.
///
/// # Errors
/// Not found, when there is no such branch; external, when git cannot compare; as every transaction.
pub fn oracle(town: &Town, place: &RigPlace, target: Option<&str>, files_bead: bool) -> Result<Oracle> {
    let store = &place.ledger.store;
    let target = target.unwrap_or(&place.rig.target);
    let tip = store.read_ref(&format!("refs/heads/{target}"))?;
    let tip =
        tip.ok_or_else(|| Error::not_found(format!("there is no branch {} in {}", target.escape_debug(), place.rig.name)))?;
    let mut waiting = refinery::waiting(place, target, town.now)?;
    waiting.truncate(REQUESTS_MAX);
    let changes = waiting.iter().map(|request| changes(store, request, tip)).collect::<Result<Vec<Changes>>>()?;
    let mut told = Oracle {
        rig: place.rig.name.to_string(),
        target: target.to_owned(),
        requests: waiting.iter().map(|request| request.bead.id.clone()).collect(),
        plan: overlap::plan(&changes),
        bead: None,
    };
    if files_bead {
        told.bead = Some(file(town, place, &told)?);
    }
    Ok(told)
}

/// What `request` changes against where it left the target at `tip`. One whose head is not here changes nothing that can
/// be told.
fn changes(store: &Store, request: &Request, tip: gix::ObjectId) -> Result<Changes> {
    let mr = Some(request.bead.id.clone());
    let head = request.head()?;
    if store.repo.find_header(head).is_err() {
        return Ok(Changes { mr, ..Changes::default() });
    }
    let Some(fork) = merge_base(store, tip, head)? else { return Ok(Changes { mr, ..Changes::default() }) };
    promised::bring_changed(store, store.tree_of(fork)?, store.tree_of(head)?)?;
    let words =
        ["diff", "-U0", "--no-renames", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/"];
    let (fork, head) = (fork.to_string(), head.to_string());
    let args: Vec<&str> = words.into_iter().chain([fork.as_str(), head.as_str(), "--"]).collect();
    let text = program::bare_ok(store.dir(), &args)?;
    Ok(Changes { mr, ..overlap::read_diff(&text) })
}

/// Writes what is told to the bead that holds the plan for its target.
fn file(town: &Town, place: &RigPlace, told: &Oracle) -> Result<BeadId> {
    let title = format!("Merge plan of {} in {}", told.target, told.rig);
    let text = text(told);
    let deed = town.deed("merge-plan", format!("plan the merging of {} requests", told.requests.len()));
    place.ledger.transact(&deed, |change| {
        let is_it = |bead: &Bead| bead.labels.contains(LABEL) && bead.title == title && !bead.status.is_closed();
        let known = change.before().beads_of(&IssueType::Chore)?.into_iter().find(is_it);
        let mut bead = match known {
            Some(bead) if bead.description == text => return Ok(bead.id),
            Some(bead) => bead,
            None => {
                let id = change.mint(&place.rig.prefix, "")?;
                let mut bead = Bead::new(id, IssueType::Chore, &title, &town.actor.name, change.now())?;
                bead.labels.insert(LABEL.to_owned());
                // It is read, not worked on.
                bead.become_status(Status::Pinned, change.now())?;
                bead
            }
        };
        bead.description.clone_from(&text);
        bead.updated_at = change.now();
        change.put_bead(&bead)?;
        Ok(bead.id)
    })
}

/// The plan as a text: the recommendation first, then what it rests on.
#[must_use]
pub fn text(told: &Oracle) -> String {
    let mut lines = vec![recommendation(told)];
    for (n, group) in told.plan.groups.iter().enumerate() {
        let ids: Vec<&str> = group.requests.iter().map(BeadId::as_str).collect();
        let contended = if group.is_contended { "  (same lines)" } else { "" };
        lines.push(format!("group {}: {}{contended}", n + 1, ids.join(" ")));
    }
    for one in &told.plan.overlaps {
        let what = if one.same_lines.is_empty() {
            format!("both change {}", one.files.join(", "))
        } else {
            format!("both change the same lines of {}", one.same_lines.join(", "))
        };
        lines.push(format!("{} and {}: {what}", one.ahead, one.behind));
    }
    for (mr, flags) in &told.plan.flags {
        let words: Vec<String> = flags.iter().map(overlap::Flag::words).collect();
        lines.push(format!("{mr} is risky: {}", words.join("; ")));
    }
    lines.join("\n") + "\n"
}

fn recommendation(told: &Oracle) -> String {
    let (requests, groups) = (told.requests.len(), told.plan.groups.len());
    let contended = told.plan.groups.iter().filter(|group| group.is_contended).count();
    match (requests, contended) {
        (0, _) => "Nothing waits.".to_owned(),
        (_, 0) if groups == requests => {
            format!("All {requests} requests touch different files: they may be stacked in any order.")
        }
        (_, 0) => format!("{requests} requests in {groups} groups; none change the same lines: stack them as they stand."),
        _ => format!(
            "{requests} requests in {groups} groups; in {contended} of them requests change the same lines: let those land one after another, \
             the small ones first, and the other groups beside them."
        ),
    }
}
