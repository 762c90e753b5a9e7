//! What work changes, before and after it is handed in: the branch of a bead against where it left its target, or the
//! request that delivers it.

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::merge::merge_base;
use crate::git::patch::{self, FileChange};
use crate::git::status;
use crate::model::address::Address;
use crate::model::bead::{Bead, IssueType};
use crate::model::hook::Hook;
use crate::name::BeadId;
use crate::ops::{polecat, refinery};
use crate::town::{RigPlace, Town};

/// What the work on a bead changes.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Changed {
    /// The bead.
    pub bead: BeadId,
    /// Its branch.
    pub branch: String,
    /// Where the branch left its target.
    pub base: String,
    /// Its newest commit.
    pub head: String,
    /// The files, by path.
    pub files: Vec<FileChange>,
    /// The changes as `git diff` writes them; not with `--stat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// Whether the patch was longer than is shown.
    pub is_cut: bool,
    /// Files that are changed in its sandbox here and not committed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uncommitted: Vec<String>,
}

/// What was found to look at.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum Seen {
    /// Work that is on a hook, or was given back.
    Work(Changed),
    /// A request.
    Request(refinery::Diff),
}

/// What the bead or request `text` changes. A bead on a hook is its branch, even when an earlier request of it is known;
/// else its request, else the newest branch that an earlier attempt left.
///
/// # Errors
/// Not found, when there is nothing of it here; external, when git fails.
pub fn diff(town: &Town, text: &str, is_stat: bool) -> Result<Seen> {
    let (ledger, id) = town.resolve_bead(text)?;
    let rig = town.rigs()?.into_iter().find(|rig| rig.prefix == id.prefix());
    let rig = rig.ok_or_else(|| Error::refused(format!("{id} belongs to the town, which has no branches")))?;
    let place = town.rig(&rig.name)?;
    let state = ledger.state()?;
    let bead = state.find_bead(&id)?;
    if bead.as_ref().is_some_and(|bead| bead.issue_type == IssueType::MergeRequest) {
        return refinery::diff(&place, &id, is_stat).map(Seen::Request);
    }
    let hook = state.hooks()?.into_iter().find(|hook| hook.bead == id && !hook.branch.is_empty());
    if let Some(hook) = hook {
        return of_hook(town, &place, &hook, is_stat).map(Seen::Work);
    }
    if !refinery::requests_of(&state, &id)?.is_empty() {
        return refinery::diff(&place, &id, is_stat).map(Seen::Request);
    }
    let bead = bead.ok_or_else(|| Error::not_found(format!("there is no bead {id}")).hint("gt list shows what there is"))?;
    left_behind(&place, &bead, is_stat)?.map(Seen::Work).ok_or_else(|| {
        Error::not_found(format!("nothing was made for {id} on this machine")).hint(format!("see: gt explain {id}"))
    })
}

fn of_hook(town: &Town, place: &RigPlace, hook: &Hook, is_stat: bool) -> Result<Changed> {
    let head = place.ledger.store.read_ref(&format!("refs/heads/{}", hook.branch))?;
    let head = head.ok_or_else(|| {
        Error::not_found(format!("the branch {} of {} is not on this machine", hook.branch.escape_debug(), hook.bead))
            .hint(format!("its agent is {}", hook.agent))
    })?;
    let mut changed = compare(place, &hook.bead, &hook.branch, &hook.target, head, is_stat)?;
    if let (Address::Polecat(_, name), true) = (&hook.agent, hook.machine == town.machine) {
        let dir = polecat::sandbox(place, name);
        if dir.is_dir() {
            let seen = status::status(&dir)?;
            changed.uncommitted = seen.staged.into_iter().chain(seen.unstaged).chain(seen.untracked).collect();
            changed.uncommitted.sort();
            changed.uncommitted.dedup();
        }
    }
    Ok(changed)
}

/// What the newest branch of earlier attempts at `bead` changes. Their names end with the time they began at, in digits
/// of one length for ages to come, so that the last in order is the newest.
fn left_behind(place: &RigPlace, bead: &Bead, is_stat: bool) -> Result<Option<Changed>> {
    let sought = format!("/{}@", bead.id);
    let branches = place.ledger.store.refs_below("refs/heads/polecat/")?;
    let stamp = |name: &str| name.rsplit('@').next().unwrap_or_default().to_owned();
    let newest = branches.into_iter().filter(|(name, _)| name.contains(&sought)).max_by_key(|(name, _)| stamp(name));
    let Some((name, head)) = newest else { return Ok(None) };
    let target = refinery::integration::target_for(place, &place.ledger.state()?, bead)?;
    let branch = name.strip_prefix("refs/heads/").unwrap_or(&name);
    compare(place, &bead.id, branch, &target, head, is_stat).map(Some)
}

fn compare(place: &RigPlace, bead: &BeadId, branch: &str, target: &str, head: ObjectId, is_stat: bool) -> Result<Changed> {
    let store = &place.ledger.store;
    let tip = store.read_ref(&format!("refs/heads/{target}"))?;
    let tip = tip.or_fail(Kind::NotFound, || format!("find the target branch {}", target.escape_debug()))?;
    let base = merge_base(store, tip, head)?
        .or_fail(Kind::Refused, || format!("compare {branch}: it shares no history with {target}"))?;
    let files = patch::files(store, base, head)?;
    let (patch, is_cut) =
        if is_stat { (None, false) } else { patch::text(store, base, head).map(|(text, is_cut)| (Some(text), is_cut))? };
    let (base, head) = (base.to_string(), head.to_string());
    Ok(Changed { bead: bead.clone(), branch: branch.to_owned(), base, head, files, patch, is_cut, uncommitted: Vec::new() })
}
