//! How requests come in: the request's bead, its pin, the work in review, word to the refinery.

use gix::ObjectId;

use crate::config;
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::commits;
use crate::git::merge::merge_base;
use crate::ledger::{Change, Deed, tree};
use crate::model::address::Address;
use crate::model::bead::{Bead, IssueType, Status, TITLE_CHARS_MAX};
use crate::model::hook::Hook;
use crate::model::merge_request::{MergeRequest, Mode, MrState, Profile};
use crate::model::protocol::Protocol;
use crate::name::{BeadId, Name};
use crate::ops::post;
use crate::ops::refinery::integration;
use crate::ops::refinery::kin::{self, Branch};
use crate::ops::refinery::look;
use crate::ops::refinery::profile::profile;
use crate::ops::refinery::resolve;
use crate::store::Store;
use crate::town::{RigPlace, Town};

/// Work that is handed in. Its head must be pinned at `refs/gt/mr/<id>` before.
#[derive(Clone, Debug)]
pub struct Handed<'a> {
    /// The id of the new request.
    pub id: BeadId,
    /// The rig.
    pub rig: &'a Name,
    /// The work it delivers.
    pub source: &'a BeadId,
    /// The branch it comes from.
    pub branch: &'a str,
    /// The branch it goes to.
    pub target: &'a str,
    /// The pinned commit.
    pub head: String,
    /// The target's commit that the branch was made from.
    pub base: String,
    /// The tree of the head.
    pub tree: String,
    /// The worker.
    pub author: &'a Address,
    /// The message for the squashed commit.
    pub message: String,
    /// The form in which it lands.
    pub mode: Mode,
    /// What is known of its change.
    pub profile: Profile,
    /// Requests that it stands on.
    pub after: Vec<BeadId>,
    /// Whether it goes before all others, and alone.
    pub is_alone: bool,
}

/// A request was filed.
#[derive(Clone, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub struct Filed {
    /// The request.
    pub mr: BeadId,
    /// The work it delivers, now in review.
    pub bead: BeadId,
    /// Older requests for the same work that it replaces.
    pub superseded: Vec<BeadId>,
}

/// Makes sure, in the transaction that files it, that the pin of `handed` stands: of two that hand in one head at the
/// same time, the one that is refused takes its pin away under the ledger's lock.
///
/// # Errors
/// Conflict, when it is gone.
pub fn check_pin(store: &Store, handed: &Handed<'_>) -> Result<()> {
    if store.read_ref(&tree::mr_pin(&handed.id))? == Some(look::object_id(&handed.head)?) {
        return Ok(());
    }
    Err(Error::conflict(format!("the pin of {} was taken away meanwhile", handed.id)).hint("try again"))
}

/// Files a request in `change`: its bead, the work in review, older live requests replaced, `MERGE_READY` to the
/// refinery.
///
/// # Errors
/// Not found, when the work is not in this scope; refused, when the same head was sent back and nothing changed
/// since; conflict, when an older request for the work is landing at this moment or the id is taken.
pub fn file_mr(change: &mut Change<'_>, handed: &Handed<'_>) -> Result<Filed> {
    file(change, handed, false)
}

/// As [`file_mr`]; with `is_return_forced` also a head that was sent back and to which nothing changed.
///
/// # Errors
/// As [`file_mr`].
pub(super) fn file(change: &mut Change<'_>, handed: &Handed<'_>, is_return_forced: bool) -> Result<Filed> {
    let now = change.now();
    if change.has_bead(&handed.id)? {
        return Err(Error::conflict(format!("{} was filed by another meanwhile", handed.id)).hint("try again"));
    }
    let mut source = change.bead(handed.source)?;
    let all = look::requests(change.before())?;
    let with = resolve::delivered_with(change, &source)?;
    let delivered: Vec<BeadId> = std::iter::once(handed.source.clone()).chain(with.iter().map(|bead| bead.id.clone())).collect();
    let is_earlier = |request: &&look::Request| {
        request.mr.source_beads.iter().any(|bead| delivered.contains(bead)) && request.mr.reverts.is_none()
    };
    let earlier: Vec<&look::Request> = all.iter().filter(is_earlier).collect();
    if !is_return_forced {
        check_return(&all, &earlier, handed)?;
    }
    kin::check_after(&all, &handed.after, handed.source, handed.target)?;
    let mut superseded = Vec::new();
    for request in earlier.iter().filter(|request| request.mr.state.is_live()) {
        supersede(change, request, handed)?;
        superseded.push(request.bead.id.clone());
    }
    // A title that another program wrote must not keep the work from being handed in.
    let plain = source.title.replace(char::is_control, " ");
    let title: String = format!("Merge: {plain}").chars().take(TITLE_CHARS_MAX).collect();
    let author = handed.author.to_string();
    let mut bead = Bead::new(handed.id.clone(), IssueType::MergeRequest, &title, &author, now)?;
    bead.priority = source.priority;
    bead.model.clone_from(&source.model);
    let evicted = earlier.iter().filter(|request| request.mr.state == MrState::Evicted).count();
    MergeRequest {
        branch: handed.branch.to_owned(),
        target: handed.target.to_owned(),
        head: handed.head.clone(),
        base: handed.base.clone(),
        tree: handed.tree.clone(),
        source_beads: delivered,
        author: author.clone(),
        submitted_at: now,
        message: handed.message.clone(),
        mode: handed.mode,
        profile: Some(handed.profile.clone()),
        depends_on: handed.after.clone(),
        attempts: u32::try_from(evicted).unwrap_or(u32::MAX),
        alone: handed.is_alone,
        ..MergeRequest::blank(now)
    }
    .put_into(&mut bead);
    change.put_bead(&bead)?;
    source.become_status(Status::InReview, now)?;
    change.put_bead(&source)?;
    for mut bead in with.into_iter().filter(|bead| bead.status == Status::Open) {
        bead.become_status(Status::InReview, now)?;
        change.put_bead(&bead)?;
    }
    let message = Protocol::MergeReady {
        mr: handed.id.clone(),
        bead: handed.source.clone(),
        branch: handed.branch.to_owned(),
        polecat: author,
    };
    post::post(change, &message, handed.author, &Address::Refinery(handed.rig.clone()))?;
    Ok(Filed { mr: handed.id.clone(), bead: handed.source.clone(), superseded })
}

/// A head that was sent back may return once, after something else of its target landed or left; else a new one
/// is needed.
fn check_return(all: &[look::Request], earlier: &[&look::Request], handed: &Handed<'_>) -> Result<()> {
    let same = |request: &&&look::Request| request.mr.head == handed.head && request.mr.state == MrState::Evicted;
    let sent_back: Vec<&&look::Request> = earlier.iter().filter(same).collect();
    let Some(last) = sent_back.iter().filter_map(|request| request.bead.closed_at).max() else { return Ok(()) };
    let has_changed = all.iter().any(|other| {
        let is_other = !other.mr.source_beads.contains(handed.source) && other.mr.target == handed.target;
        is_other && other.bead.closed_at.is_some_and(|at| at >= last)
    });
    if sent_back.len() == 1 && has_changed && !sent_back.iter().any(|request| request.mr.is_turned_down()) {
        return Ok(());
    }
    let mr = &sent_back[0].bead.id;
    Err(Error::refused(format!("{} was sent back with exactly this commit", handed.source))
        .hint(format!("mend it and commit; what failed: gt mq why {mr}; a person may insist: gt mq retry {mr} --force -m WHY")))
}

fn supersede(change: &mut Change<'_>, request: &look::Request, handed: &Handed<'_>) -> Result<()> {
    if request.mr.state == MrState::Landing && request.mr.waits_for_pull_request().is_none() {
        return Err(Error::conflict(format!("{} is landing {} at this moment", request.bead.id, handed.source))
            .hint("try again when it has ended: gt mq list"));
    }
    let mut bead = change.bead(&request.bead.id)?;
    let mut mr = MergeRequest::of(&bead)?;
    mr.become_state(MrState::Superseded);
    mr.put_into(&mut bead);
    bead.close(&handed.author.to_string(), &format!("superseded by {}", handed.id), change.now())?;
    change.put_bead(&bead)
}

/// A request made by hand: a branch for a bead.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The work.
    pub bead: BeadId,
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// The branch it goes to; when not given the integration branch of its epic, else the rig's target.
    pub target: Option<String>,
    /// The message of the squashed commit; the newest commit's when not given.
    pub message: Option<String>,
    /// The form in which it lands; the rig's when not given.
    pub mode: Option<Mode>,
    /// Requests that it lands after, besides those that its branch is built upon.
    pub after: Vec<BeadId>,
}

/// A branch and what it is built upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// Requests whose heads it contains and the target does not; the nearest.
    pub after: Vec<BeadId>,
    /// The commit that it was made from: the head of the first of these, else one of the target.
    pub base: ObjectId,
    /// Its own commits, newest first.
    pub own: Vec<ObjectId>,
}

/// Looks what `head`, which is to deliver `work`, is built upon for `target`, whose tip is `tip`.
///
/// # Errors
/// Refused, when the two share no history; corrupt, when it cannot be read.
pub fn ground(place: &RigPlace, work: &BeadId, target: &str, head: ObjectId, tip: ObjectId) -> Result<Ground> {
    let store = &place.ledger.store;
    let fork = merge_base(store, tip, head)?
        .or_fail(Kind::Refused, || format!("hand in {}: it shares no history with {target}", head.to_hex_with_len(8)))?;
    let all = look::requests(&place.ledger.state()?)?;
    let parents = kin::built_on(store, &all, &Branch { work, target, head, tip })?;
    let (after, heads): (Vec<BeadId>, Vec<ObjectId>) = parents.into_iter().unzip();
    let base = heads.first().copied().unwrap_or(fork);
    let own = commits::ahead(store, head, &[&[tip], &heads[..]].concat())?;
    Ok(Ground { after, base, own })
}

/// The form in which work of the rig at `place` lands: the one that was asked for, else that of the configuration.
///
/// # Errors
/// As [`config::word`].
pub fn mode_for(town: &Town, place: &RigPlace, asked: Option<Mode>) -> Result<Mode> {
    match asked {
        Some(mode) => Ok(mode),
        None => Ok(Mode::named(&config::word(town, Some(place), "mq.mode")?).unwrap_or_default()),
    }
}

/// Pins the tip of a branch and files it as a request.
///
/// # Errors
/// Not found, when branch, target or bead is missing; refused, when the branch has nothing that the target lacks,
/// when the bead cannot be reviewed; as [`file_mr`].
pub fn submit(town: &Town, place: &RigPlace, submission: &Submission) -> Result<Filed> {
    let store = &place.ledger.store;
    let target = match &submission.target {
        Some(target) => target.clone(),
        None => {
            let state = place.ledger.state()?;
            integration::target_for(place, &state, &state.bead(&submission.bead)?)?
        }
    };
    let target = target.as_str();
    let tip = |branch: &str| {
        store
            .read_ref(&format!("refs/heads/{branch}"))?
            .or_fail(Kind::NotFound, || format!("there is no branch {} in {}", branch.escape_debug(), place.rig.name))
    };
    let (head, onto) = (tip(&submission.branch)?, tip(target)?);
    let ground = ground(place, &submission.bead, target, head, onto)?;
    if ground.own.is_empty() {
        return Err(Error::refused(format!("{} has no commit that {target} lacks", submission.branch))
            .hint("commit the work on the branch first"));
    }
    let message = match &submission.message {
        Some(message) => message.clone(),
        None => commits::message(store, head)?,
    };
    let deed = town.deed("submit", format!("submit {} for {}", submission.branch, submission.bead));
    // An edit-free transaction: an id no bead has, to name the pin that must stand before the records.
    let id = place.ledger.transact(&deed, |change| change.mint(&place.rig.prefix, "mr-"))?;
    commits::pin(store, &tree::mr_pin(&id), head, &[onto])?;
    let handed = Handed {
        id,
        rig: &place.rig.name,
        source: &submission.bead,
        branch: &submission.branch,
        target,
        head: head.to_string(),
        base: ground.base.to_string(),
        tree: store.tree_of(head)?.to_string(),
        author: &town.me,
        message,
        mode: mode_for(town, place, submission.mode)?,
        profile: profile(place, ground.base, head)?,
        after: with_named(ground.after, &submission.after),
        is_alone: false,
    };
    let filed = place.ledger.transact(&deed, |change| {
        check_pin(store, &handed)?;
        leave_hook(change, town, &handed)?;
        file_mr(change, &handed)
    });
    if filed.is_err() {
        drop_pin(place, &deed, &handed.id, head);
    }
    filed
}

/// Drops the pin of a request that was not filed.
pub(super) fn drop_pin(place: &RigPlace, deed: &Deed<'_>, id: &BeadId, head: ObjectId) {
    // In a transaction for its lock: `gt done` may have taken this pin for its own request of the same head.
    let dropped = place.ledger.transact(deed, |change| {
        if !change.has(&tree::bead(id))? {
            place.ledger.store.remove_ref(&tree::mr_pin(id), head)?;
        }
        Ok(())
    });
    if let Err(error) = dropped {
        tracing::warn!("the pin of {id} stays: {}", error.line());
    }
}

fn with_named(mut after: Vec<BeadId>, named: &[BeadId]) -> Vec<BeadId> {
    for id in named {
        if !after.contains(id) {
            after.push(id.clone());
        }
    }
    after
}

/// What is handed in hangs on nobody's hook any more; on another's it is not ours to hand in.
pub(super) fn leave_hook(change: &mut Change<'_>, town: &Town, handed: &Handed<'_>) -> Result<()> {
    let Some(agent) = change.bead(handed.source)?.assignee.and_then(|assignee| assignee.parse::<Address>().ok()) else {
        return Ok(());
    };
    let slot = tree::hook(&agent);
    match change.get::<Hook>(&slot)? {
        Some(hook) if hook.bead == *handed.source && agent == town.me => change.remove(&slot),
        Some(hook) if hook.bead == *handed.source => {
            return Err(Error::refused(format!("{} is on the hook of {agent}, which hands it in with gt done", hook.bead))
                .hint(format!("take it off first: gt unsling {}", hook.bead)));
        }
        Some(_) | None => {}
    }
    Ok(())
}
