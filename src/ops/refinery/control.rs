//! What people say of requests and targets: hold and release, withdraw, pause, freeze and resume.
//!
//! Each is one record or one field, with who, when and why. On which machine it was said does not matter: the refinery
//! judges by these each time it looks, and once more in the transaction that announces a landing.

use schemars::JsonSchema;
use serde::Serialize;

use super::look::{self, Request};
use super::{hearers, rights};
use crate::error::{Error, Result};
use crate::ledger::{Change, tree};
use crate::model::bead::{Status, check_text};
use crate::model::flow::{Control, Flow};
use crate::model::mail::Letter;
use crate::model::merge_request::{Hold, MergeRequest, MrState};
use crate::model::record::{Object, Rev, SCHEMA_VERSION};
use crate::name::BeadId;
use crate::ops::post;
use crate::town::{RigPlace, Town};

/// How a word about a request was taken.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Steered {
    /// It waits until somebody releases it.
    Held {
        /// The request.
        mr: BeadId,
        /// Why.
        reason: String,
    },
    /// Nobody holds it any more.
    Released {
        /// The request.
        mr: BeadId,
        /// Who held it.
        held_by: String,
    },
    /// Nobody held it.
    NotHeld {
        /// The request.
        mr: BeadId,
    },
    /// It left the queue.
    Withdrawn {
        /// The request.
        mr: BeadId,
        /// The work that is open again; none, when it took back what had landed.
        beads: Vec<BeadId>,
        /// The landed request that it was to take back.
        #[serde(skip_serializing_if = "Option::is_none")]
        reverts: Option<BeadId>,
        /// The branch, which is kept.
        branch: String,
        /// The commit that was handed in, which is kept.
        head: String,
    },
}

/// Holds the request `id`, or that for the work `id`, in its place until somebody releases it.
///
/// # Errors
/// Refused, when it ended or somebody else's request is not yours to hold; conflict, when it is landing.
pub fn hold(town: &Town, place: &RigPlace, id: &BeadId, reason: &str) -> Result<Steered> {
    check_text("reason", reason)?;
    let mr = look::request_for(&place.ledger.state()?, id)?.bead.id;
    let deed = town.deed("hold", format!("hold {mr}"));
    place.ledger.transact(&deed, |change| {
        let mut request = waiting(change, &mr)?;
        rights::check_own(&town.me, &request.mr, &format!("hold {mr}"))?;
        request.mr.hold =
            Some(Hold { by: town.me.to_string(), reason: reason.to_owned(), at: change.now(), extra: Object::new() });
        put(change, request)?;
        Ok(Steered::Held { mr: mr.clone(), reason: reason.to_owned() })
    })
}

/// Releases what [`hold`] held.
///
/// # Errors
/// Refused, when it ended or another's hold is not yours to end; conflict, when it is landing.
pub fn release(town: &Town, place: &RigPlace, id: &BeadId) -> Result<Steered> {
    let mr = look::request_for(&place.ledger.state()?, id)?.bead.id;
    let deed = town.deed("release", format!("release {mr}"));
    place.ledger.transact(&deed, |change| {
        let mut request = waiting(change, &mr)?;
        let Some(hold) = request.mr.hold.take() else { return Ok(Steered::NotHeld { mr: mr.clone() }) };
        if hold.by != town.me.to_string() {
            rights::check_steers(&town.me, &format!("release what {} holds", hold.by))?;
        }
        put(change, request)?;
        Ok(Steered::Released { mr: mr.clone(), held_by: hold.by })
    })
}

/// Takes the request `id`, or that for the work `id`, out of the queue; its work is open again, branch and head stay.
///
/// # Errors
/// Refused, when it ended or is not yours; conflict, when it is landing.
pub fn withdraw(town: &Town, place: &RigPlace, id: &BeadId, reason: &str) -> Result<Steered> {
    check_text("reason", reason)?;
    let mr = look::request_for(&place.ledger.state()?, id)?.bead.id;
    let deed = town.deed("withdraw", format!("withdraw {mr}"));
    place.ledger.transact(&deed, |change| {
        let mut request = waiting(change, &mr)?;
        rights::check_own(&town.me, &request.mr, &format!("withdraw {mr}"))?;
        let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        let said = format!("withdrawn by {}{why}", town.me);
        request.mr.become_state(MrState::Withdrawn);
        request.mr.hold = None;
        request.bead.close(&town.me.to_string(), &said, change.now())?;
        let (beads, branch, head) = (request.mr.source_beads.clone(), request.mr.branch.clone(), request.mr.head.clone());
        let author = request.mr.author.clone();
        let reverts = request.mr.reverts.as_ref().map(|revert| revert.mr.clone());
        put(change, request)?;
        let kept = format!("merge request {mr} was {said}; its branch {branch} and commit {head} are kept");
        for source in &beads {
            let mut bead = change.bead(source)?;
            // What takes work back leaves it as it is.
            if bead.status == Status::InReview && reverts.is_none() {
                bead.become_status(Status::Open, change.now())?;
            }
            bead.comment(change.rev().to_string(), &town.me.to_string(), &kept, change.now());
            change.put_bead(&bead)?;
        }
        let subject = format!("{mr} was withdrawn");
        for to in hearers(&place.rig.name, &author).into_iter().filter(|to| *to != town.me) {
            post::put(change, &to, |id| {
                let mut letter = Letter::new(id, town.me.clone(), to.clone(), &subject, &kept, town.now)?;
                letter.refs = std::iter::once(&mr).chain(&beads).cloned().collect();
                Ok(letter)
            })?;
        }
        let beads = if reverts.is_none() { beads } else { Vec::new() };
        Ok(Steered::Withdrawn { mr: mr.clone(), beads, reverts, branch, head })
    })
}

/// Says what moves in the queue of `target`; `floor` lets requests of that priority and more urgent ones pass.
///
/// # Errors
/// Not found, when nothing goes to such a branch; refused, when it is not yours to say; usage, for a floor without a stop.
pub fn steer(town: &Town, place: &RigPlace, target: &str, flow: Flow, floor: Option<u8>, reason: &str) -> Result<Control> {
    check_text("reason", reason)?;
    rights::check_steers(&town.me, &format!("say what moves in the queue of {}", place.rig.name))?;
    check_target(place, target)?;
    let verb = match flow {
        Flow::Open => "resume",
        Flow::Paused => "pause",
        Flow::Frozen => "freeze",
    };
    let deed = town.deed(verb, format!("{verb} {target}"));
    place.ledger.transact(&deed, |change| {
        let path = tree::control(target);
        let before: Option<Control> = change.get(&path)?;
        let control = Control {
            v: SCHEMA_VERSION,
            target: target.to_owned(),
            state: flow,
            floor,
            reason: reason.to_owned(),
            by: town.me.to_string(),
            at: change.now(),
            rev: Rev::default(),
            extra: before.map(|before| before.extra).unwrap_or_default(),
        };
        change.put(&path, &control)?;
        Ok(control)
    })
}

/// A typing error must not look like a stop.
fn check_target(place: &RigPlace, target: &str) -> Result<()> {
    let is_branch = || place.ledger.store.read_ref(&format!("refs/heads/{target}")).map(|tip| tip.is_some());
    if target == place.rig.target || is_branch()? {
        return Ok(());
    }
    let state = place.ledger.state()?;
    let is_named = look::requests(&state)?.iter().any(|request| request.mr.target == target);
    if is_named || state.controls()?.iter().any(|control| control.target == target) {
        return Ok(());
    }
    Err(Error::not_found(format!("there is no branch {} in {}", target.escape_debug(), place.rig.name))
        .hint("gt mq status shows the targets"))
}

/// The request `mr`, which waits in its queue or for a pull request: what is said of it then calls that landing off.
///
/// # Errors
/// As [`check_waits`].
pub(super) fn waiting(change: &Change<'_>, mr: &BeadId) -> Result<Request> {
    let bead = change.bead(mr)?;
    let request = Request { mr: MergeRequest::of(&bead)?, bead };
    if request.mr.waits_for_pull_request().is_none() {
        check_waits(&request)?;
    }
    Ok(request)
}

/// Refuses what does not wait in its queue.
///
/// # Errors
/// Conflict, when it is landing; refused, when it ended.
pub(super) fn check_waits(request: &Request) -> Result<()> {
    let (mr, state) = (&request.bead.id, request.mr.state);
    match state {
        MrState::Queued | MrState::Held => Ok(()),
        MrState::Landing if request.mr.waits_for_pull_request().is_some() => {
            Err(Error::conflict(format!("{mr} waits for a pull request already"))
                .hint(format!("merge or close that one; it is named by gt mq status {mr}")))
        }
        MrState::Landing => Err(Error::conflict(format!("{mr} is landing at this moment"))
            .hint("gt mq list shows how it ended; what a dead process left open, gt mq run --once settles")),
        MrState::Landed | MrState::Evicted | MrState::Withdrawn | MrState::Superseded => {
            Err(Error::refused(format!("{mr} is {} and waits no more", state.word())).hint(format!("its story: gt mq why {mr}")))
        }
    }
}

/// Writes the request. Its stored state is left to the refinery, which judges by what was said.
pub(super) fn put(change: &mut Change<'_>, mut request: Request) -> Result<()> {
    request.mr.put_into(&mut request.bead);
    request.bead.updated_at = change.now();
    change.put_bead(&request.bead)
}
