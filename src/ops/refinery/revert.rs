//! Taking back what has landed: its inverse, made in memory on the target's tip, goes through the queue as a request of
//! its own. When it lands, the work is open again.

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use super::Queue;
use super::integration::tip_of;
use super::look::{self, Request, object_id};
use super::profile::profile;
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::commits;
use crate::git::merge::{Merged, Stacker};
use crate::ledger::{Change, State, tree};
use crate::model::address::Address;
use crate::model::bead::{Bead, IssueType, Status, TITLE_CHARS_MAX};
use crate::model::merge_request::{MergeRequest, Mode, MrState, Revert};
use crate::model::protocol::Protocol;
use crate::model::record::Object;
use crate::name::BeadId;
use crate::ops::post;
use crate::store::Store;
use crate::store::batch::Batch;
use crate::town::{RigPlace, Town};

/// The lowest class of a request that takes something back.
const PRIORITY_MAX: u8 = 1;

/// A request that takes back another.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Reverted {
    /// The request.
    pub mr: BeadId,
    /// The request that it takes back.
    pub reverts: BeadId,
    /// The work that is open again when it lands; when it takes back another of its kind, closed again.
    pub beads: Vec<BeadId>,
    /// Its class.
    pub priority: u8,
    /// Where it goes.
    pub target: String,
}

/// Files a request that takes back the landed request `id`, or the newest landed one for the work `id`.
///
/// # Errors
/// Refused, when nothing of it landed, it was taken back already or is about to be, or its inverse does not fit onto the
/// target, naming the files; not found, when commits are not here.
pub fn revert(town: &Town, place: &RigPlace, id: &BeadId, why: Option<&str>) -> Result<Reverted> {
    let store = &place.ledger.store;
    let state = place.ledger.state()?;
    let landed = landed_for(&state, id)?;
    check_open(&state, &landed)?;
    let target = &landed.mr.target;
    let tip = tip_of(place, target)?
        .or_fail(Kind::NotFound, || format!("there is no branch {} in {}", target.escape_debug(), place.rig.name))?;
    let (from, commit) = between(store, &landed, tip)?;
    let tree_of_inverse = inverse(store, (from, commit), tip, &landed)?;
    let message = message(&landed, commit, why);
    let mut batch = Batch::default();
    let by = (town.actor.name.as_str(), town.actor.email.as_str());
    let head = commits::create(&mut batch, tree_of_inverse, vec![tip], by, by, &message, town.now);
    store.write(&batch)?;
    let deed = town.deed("revert", format!("take back {}", landed.bead.id));
    let new = place.ledger.transact(&deed, |change| change.mint(&place.rig.prefix, "mr-"))?;
    commits::pin(store, &tree::mr_pin(&new), head, &[tip])?;
    crate::env::crash_point("revert.pinned");
    let why = why.unwrap_or_default().to_owned();
    let request = MergeRequest {
        branch: format!("revert/{}", landed.bead.id),
        target: target.clone(),
        head: head.to_string(),
        base: tip.to_string(),
        tree: tree_of_inverse.to_string(),
        source_beads: landed.mr.source_beads.clone(),
        author: town.me.to_string(),
        submitted_at: town.now,
        message,
        mode: Mode::Squash,
        profile: Some(profile(place, tip, head)?),
        reverts: Some(Revert { mr: landed.bead.id.clone(), why, reopens: !landed.takes_back(), extra: Object::new() }),
        ..MergeRequest::blank(town.now)
    };
    let filed = place.ledger.transact(&deed, |change| file(change, &new, &request, &landed));
    filed.inspect_err(|_| {
        if let Err(error) = store.remove_ref(&tree::mr_pin(&new), head) {
            tracing::warn!("the pin of {new} stays: {}", error.line());
        }
    })
}

/// The landed request that `id` is, or the newest for the work `id`.
fn landed_for(state: &State<'_>, id: &BeadId) -> Result<Request> {
    let bead = state.bead(id)?;
    if bead.issue_type == IssueType::MergeRequest {
        let request = Request { mr: MergeRequest::of(&bead)?, bead };
        if request.mr.state == MrState::Landed {
            return Ok(request);
        }
        return Err(Error::refused(format!("{id} has not landed, it is {}", request.mr.state.word()))
            .hint(format!("see: gt mq why {id}")));
    }
    let is_landed = |one: &Request| one.mr.state == MrState::Landed && one.mr.source_beads.contains(id) && !one.takes_back();
    let newest = look::requests(state)?.into_iter().filter(is_landed).max_by_key(|one| (one.bead.closed_at, one.bead.id.clone()));
    newest.ok_or_else(|| {
        Error::refused(format!("nothing that was handed in for {id} has landed")).hint("name the request: gt mq list --all")
    })
}

impl Request {
    /// Whether it takes back another, so that its work is open again once it lands.
    fn takes_back(&self) -> bool {
        self.mr.reverts.as_ref().is_some_and(|revert| revert.reopens)
    }
}

fn check_open(state: &State<'_>, landed: &Request) -> Result<()> {
    let Some(by) = &landed.mr.reverted_by else { return Ok(()) };
    let Some(bead) = state.find_bead(by)? else { return Ok(()) };
    let other = MergeRequest::of(&bead)?;
    let is_undone = other.state == MrState::Landed && other.reverted_by.is_some();
    if other.state.is_live() || (other.state == MrState::Landed && !is_undone) {
        let how = if other.state.is_live() { "is about to be" } else { "was" };
        return Err(Error::refused(format!("{} {how} taken back by {by}", landed.bead.id)).hint(format!("see: gt mq why {by}")));
    }
    Ok(())
}

/// The commits between which `landed` changed the target.
fn between(store: &Store, landed: &Request, tip: ObjectId) -> Result<(ObjectId, ObjectId)> {
    let id = &landed.bead.id;
    let commit = object_id(landed.mr.landed_commit.as_deref().unwrap_or_default())?;
    let from = match &landed.mr.landed_onto {
        Some(onto) if onto == &commit.to_string() => {
            return Err(Error::refused(format!("{id} added no commit of its own to {}", landed.mr.target)).hint(format!(
                "it landed with others as one commit, or was there already; by hand: git revert {}",
                commit.to_hex_with_len(8)
            )));
        }
        Some(onto) => object_id(onto)?,
        // Landed by an older version, or found in the target as it was handed in.
        None if commit == landed.head()? || !commits::is_commit(store, commit) => object_id(&landed.mr.base)?,
        None => commits::parents(store, commit)?.first().copied().unwrap_or(commit),
    };
    if !commits::is_commit(store, commit) || !commits::is_commit(store, from) {
        return Err(
            Error::not_found(format!("the commit {commit}, as which {id} landed, is not here")).hint("gt sync fetches it")
        );
    }
    if !store.is_ancestor(commit, tip)? {
        return Err(Error::refused(format!("{} does not contain {commit}, as which {id} landed", landed.mr.target))
            .hint("somebody took it back already, or moved the branch"));
    }
    Ok((from, commit))
}

/// The tree of `tip` without what changed between the two commits.
fn inverse(store: &Store, (from, commit): (ObjectId, ObjectId), tip: ObjectId, landed: &Request) -> Result<ObjectId> {
    let [before, after, now] = [from, commit, tip].map(|id| store.tree_of(id));
    let now = now?;
    let mut stacker = Stacker::new(store)?;
    let merged = match stacker.merge_trees(after?, now, before?)? {
        Merged::Clean(merged) => merged,
        Merged::Conflict(files) => {
            let short = commit.to_hex_with_len(8);
            return Err(Error::refused(format!(
                "{} cannot be taken back as it is: later work touches {}",
                landed.bead.id,
                files.join(", ")
            ))
            .hint(format!("sling work that does it by hand: git revert {short} shows the conflict")));
        }
    };
    if merged == now {
        return Err(Error::refused(format!("nothing of {} is left in {}", landed.bead.id, landed.mr.target))
            .hint(format!("open its work again: gt bead reopen {}", names(&landed.mr.source_beads))));
    }
    stacker.flush()?;
    Ok(merged)
}

fn names(beads: &[BeadId]) -> String {
    beads.iter().map(BeadId::as_str).collect::<Vec<_>>().join(" ")
}

fn message(landed: &Request, commit: ObjectId, why: Option<&str>) -> String {
    let subject = landed.mr.message.lines().next().unwrap_or_default();
    let why = why.map(|why| format!("\n\n{why}")).unwrap_or_default();
    format!("Revert \"{subject}\"\n\nThis takes back {}, which landed as\n{commit}.{why}", landed.bead.id)
}

/// Writes the request `id`, and the link from what it takes back.
fn file(change: &mut Change<'_>, id: &BeadId, request: &MergeRequest, landed: &Request) -> Result<Reverted> {
    let mut old = in_full(change, &landed.bead.id)?;
    let mut old_mr = MergeRequest::of(&old)?;
    if old_mr.reverted_by != landed.mr.reverted_by {
        return Err(Error::conflict(format!("{} is taken back by another meanwhile", old.id)).hint("try again"));
    }
    old_mr.reverted_by = Some(id.clone());
    old_mr.put_into(&mut old);
    change.put_bead(&old)?;
    let title: String = format!("Revert: {}", old.title.trim_start_matches("Merge: ")).chars().take(TITLE_CHARS_MAX).collect();
    let mut bead = Bead::new(id.clone(), IssueType::MergeRequest, &title, &request.author, change.now())?;
    bead.priority = old.priority.min(PRIORITY_MAX);
    request.put_into(&mut bead);
    change.put_bead(&bead)?;
    let work = request.source_beads.first().unwrap_or(id).clone();
    let message =
        Protocol::MergeReady { mr: id.clone(), bead: work, branch: request.branch.clone(), polecat: request.author.clone() };
    let scope = change.before().scope()?;
    if let (Ok(me), Ok(rig)) = (request.author.parse(), scope.name.parse()) {
        post::post(change, &message, &me, &Address::Refinery(rig))?;
    }
    Ok(Reverted {
        mr: id.clone(),
        reverts: old.id,
        beads: request.source_beads.clone(),
        priority: bead.priority,
        target: request.target.clone(),
    })
}

/// A bead, brought back from the archive if it went there.
pub(super) fn in_full(change: &Change<'_>, id: &BeadId) -> Result<Bead> {
    match change.archived_bead(id)? {
        Some(archived) => Ok(archived),
        None => change.bead(id),
    }
}

impl Queue<'_> {
    /// Opens work again whose merge `revert` took back with `commit`, and tells whoever did it; writes all but `source`.
    ///
    /// # Errors
    /// As [`Change::put`].
    pub(super) fn take_back(
        &self,
        change: &mut Change<'_>,
        source: &mut Bead,
        (mr, revert): (&BeadId, &Revert),
        commit: &str,
    ) -> Result<()> {
        let now = change.now();
        // Somebody who took it up again knows already.
        if source.status == Status::Closed {
            source.become_status(Status::Open, now)?;
        }
        let why = if revert.why.is_empty() { String::new() } else { format!(": {}", revert.why) };
        let text = format!("{} was taken back by {mr}, as {commit}{why}", revert.mr);
        source.comment(change.rev().to_string(), &self.me.to_string(), &text, now);
        let old = MergeRequest::of(&in_full(change, &revert.mr)?)?;
        let message = Protocol::Reverted {
            mr: mr.clone(),
            bead: source.id.clone(),
            reverts: revert.mr.clone(),
            commit: commit.to_owned(),
            reason: revert.why.clone(),
        };
        match old.author.parse() {
            Ok(author) => post::post(change, &message, &self.me, &author),
            Err(_) => Ok(()),
        }
    }
}
