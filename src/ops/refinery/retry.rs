//! The same head once more: a new request for what was sent back or withdrawn.

use super::integration;
use super::look::{self, object_id};
use super::profile::profile;
use super::resolve;
use super::rights;
use super::submit::{self, Filed, Handed, check_pin};
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::commits;
use crate::ledger::{Change, tree};
use crate::model::address::Address;
use crate::model::bead::check_text;
use crate::model::merge_request::{MergeRequest, MrState};
use crate::model::review::Approval;
use crate::name::BeadId;
use crate::town::{RigPlace, Town};

/// Files a new request for the head of `id`, or of the newest request for the work `id`, which was sent back or withdrawn.
/// `insist`, a person's reason, overrules that the same head may come back only once, after something else changed; it is
/// recorded. Approvals of the head go along, unless it was rejected.
///
/// # Errors
/// Refused, when the request waits or landed, when it is not yours, when nothing changed since it was sent back; as
/// [`submit::file_mr`].
pub fn retry(town: &Town, place: &RigPlace, id: &BeadId, insist: Option<&str>) -> Result<Filed> {
    let store = &place.ledger.store;
    let state = place.ledger.state()?;
    let request = look::request_for(&state, id)?;
    let (old, mr) = (&request.bead.id, &request.mr);
    check_may_return(old, mr)?;
    rights::check_own(&town.me, mr, &format!("hand in {old} again"))?;
    if let Some(reason) = insist {
        check_text("reason", reason)?;
        if reason.trim().is_empty() {
            return Err(Error::usage("to insist takes a reason").hint("add -m \"why it should be tried again\""));
        }
        rights::check_steers(&town.me, "insist on a head that was sent back")?;
    }
    let [source, rest @ ..] = mr.source_beads.as_slice() else {
        return Err(Error::new(Kind::Corrupt, format!("{old} delivers nothing")));
    };
    // What a conflict task delivers besides comes along by itself.
    if !rest.is_empty() && resolve::resolves(&state.bead(source)?).is_none() {
        return Err(Error::refused(format!("{old} delivers several beads")).hint("hand each in anew: gt mq submit BEAD BRANCH"));
    }
    let (head, base) = (request.head()?, object_id(&mr.base)?);
    if store.repo.find_header(head).is_err() {
        return Err(Error::not_found(format!("the commit of {old} is not on this machine")).hint("gt sync fetches it"));
    }
    let author: Address = mr.author.parse().or_fail(Kind::Corrupt, || format!("read the author of {old}"))?;
    let forced = insist.map(|reason| format!(" by force: {}", reason.lines().next().unwrap_or_default()));
    let deed = town.deed("retry", format!("retry {old}{}", forced.unwrap_or_default()));
    let id = place.ledger.transact(&deed, |change| change.mint(&place.rig.prefix, "mr-"))?;
    commits::pin(store, &tree::mr_pin(&id), head, &[base])?;
    let target = integration::followed(&state, &mr.target)?;
    let handed = Handed {
        id,
        rig: &place.rig.name,
        source,
        branch: &mr.branch,
        target: &target,
        head: mr.head.clone(),
        base: mr.base.clone(),
        tree: mr.tree.clone(),
        author: &author,
        message: mr.message.clone(),
        mode: mr.mode,
        profile: mr.profile.clone().map_or_else(|| profile(place, base, head), Ok)?,
        after: mr.depends_on.clone(),
        is_alone: mr.alone,
    };
    let filed = place.ledger.transact(&deed, |change| {
        check_pin(store, &handed)?;
        submit::leave_hook(change, town, &handed)?;
        let filed = submit::file(change, &handed, insist.is_some())?;
        take_along(change, town, &handed.id, &request, insist)?;
        Ok(filed)
    });
    if filed.is_err() {
        submit::drop_pin(place, &deed, &handed.id, head);
    }
    filed
}

fn check_may_return(id: &BeadId, mr: &MergeRequest) -> Result<()> {
    if let Some(revert) = mr.reverts.as_ref().filter(|_| !mr.state.is_live() && mr.state != MrState::Landed) {
        // Its head was made for the target as it was then.
        return Err(
            Error::refused(format!("{id} takes back {}", revert.mr)).hint(format!("do so anew: gt mq revert {}", revert.mr))
        );
    }
    match mr.state {
        MrState::Evicted | MrState::Withdrawn => Ok(()),
        MrState::Queued | MrState::Held | MrState::Landing => {
            Err(Error::refused(format!("{id} is {} and needs no retry", mr.state.word()))
                .hint(format!("gt mq status {id} tells why it waits")))
        }
        MrState::Landed => Err(Error::refused(format!("{id} has landed")).hint("file new work with gt bead create")),
        MrState::Superseded => {
            Err(Error::refused(format!("{id} was replaced by a newer request")).hint("retry that one: gt mq list --all"))
        }
    }
}

/// What holds of the head goes along with it, and the word of whoever insisted is kept on the new request.
fn take_along(change: &mut Change<'_>, town: &Town, id: &BeadId, old: &look::Request, insist: Option<&str>) -> Result<()> {
    let approvals: Vec<Approval> = old.mr.approvals.iter().filter(|_| !old.mr.is_turned_down()).cloned().collect();
    if approvals.is_empty() && insist.is_none() {
        return Ok(());
    }
    let mut bead = change.bead(id)?;
    let mut mr = MergeRequest::of(&bead)?;
    mr.approvals = approvals;
    mr.put_into(&mut bead);
    if let Some(reason) = insist {
        let text = format!("the head of {} once more, though nothing changed since it was sent back: {reason}", old.bead.id);
        bead.comment(change.rev().to_string(), &town.me.to_string(), &text, change.now());
    }
    change.put_bead(&bead)
}
