//! Changes by hand: fields, statuses and claims.
//!
//! What the hand may not do: put a bead on a hook (that is sling), hand it in (done) or decide a merge request
//! (the refinery). A bead that ends or loses its assignee leaves the hook in the same transaction.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::ledger::{Change, Ledger, tree};
use crate::model::bead::{Bead, IssueType, Status, check_title};
use crate::model::hook::Hook;
use crate::name::{BeadId, Prefix};
use crate::ops::convoy::{self, Settled};
use crate::ops::track::create::{check_label, check_no_convoy, check_priority, check_settable_type, check_texts};
use crate::ops::track::end::close_by_hand;
use crate::ops::track::fields::Fields;
use crate::ops::track::lease;
use crate::time::Moment;
use crate::town::Town;

/// What to change; `None` and empty sets leave things as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Move to this status.
    pub status: Option<Status>,
    /// Take it: assignee, clock of the assignment and status at once.
    pub claim: bool,
    /// Take it only for so many milliseconds, which signs of life extend.
    pub lease_millis: Option<u64>,
    /// New title.
    pub title: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// New design.
    pub design: Option<String>,
    /// New acceptance criteria.
    pub acceptance: Option<String>,
    /// New notes.
    pub notes: Option<String>,
    /// Text to put at the end of the notes.
    pub append_notes: Option<String>,
    /// New priority.
    pub priority: Option<u8>,
    /// New type.
    pub issue_type: Option<IssueType>,
    /// New assignee; `Some(None)` takes it away.
    pub assignee: Option<Option<String>>,
    /// New due date; `Some(None)` takes it away.
    pub due_at: Option<Option<Moment>>,
    /// Not ready before this; `Some(None)` takes it away.
    pub defer_until: Option<Option<Moment>>,
    /// Labels to add.
    pub add_labels: BTreeSet<String>,
    /// Labels to take away.
    pub remove_labels: BTreeSet<String>,
    /// Fields that not every bead has.
    pub fields: Fields,
}

impl Edit {
    fn check(&self) -> Result<()> {
        if let Some(title) = &self.title {
            check_title(title)?;
        }
        self.priority.map_or(Ok(()), check_priority)?;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        check_texts(&[
            ("description", &text(&self.description)),
            ("design", &text(&self.design)),
            ("acceptance criteria", &text(&self.acceptance)),
            ("notes", &text(&self.notes)),
            ("notes", &text(&self.append_notes)),
        ])?;
        self.add_labels.iter().try_for_each(|label| check_label(label))?;
        self.fields.check()?;
        self.lease_millis.map_or(Ok(()), lease::check_length)?;
        self.issue_type.as_ref().map_or(Ok(()), check_settable_type)
    }
}

/// Applies `edit` to the beads `ids`, one transaction a scope, and tells how they are now.
///
/// # Errors
/// Usage, when a value breaks a limit; not found; refused, when a move is not lawful; conflict, when a claimed
/// bead is held by another. Within a scope all change or none.
pub fn update(town: &Town, ids: &[BeadId], edit: &Edit) -> Result<Vec<Bead>> {
    update_and_tell(town, ids, edit).map(|(beads, _)| beads)
}

/// As [`update`], with what became of the convoys that track what it closed.
///
/// # Errors
/// As [`update`].
pub fn update_and_tell(town: &Town, ids: &[BeadId], edit: &Edit) -> Result<(Vec<Bead>, Vec<Settled>)> {
    edit.check()?;
    let op = if edit.claim { "claim" } else { "update" };
    let updated = in_each_scope(town, ids, op, |change, id| {
        if edit.claim {
            lease::sweep_in(change)?;
        }
        updated_in(town, change, id, edit)
    })?;
    let (beads, landed): (Vec<Bead>, Vec<Vec<Settled>>) = updated.into_iter().unzip();
    let mut convoys: Vec<Settled> = landed.into_iter().flatten().collect();
    if edit.lease_millis.is_some() {
        // The claim stands; without the note it runs out unless it is claimed again.
        if let Err(error) = lease::note(town, ids) {
            tracing::warn!("the claim will not be extended by itself: {}", error.line());
        }
    }
    if edit.status == Some(Status::Closed) {
        let settled = convoy::after_close(town, beads.iter().map(|bead| &bead.id));
        convoys.extend(settled.into_iter().filter(|convoy| beads.iter().any(|bead| convoy.is_news_of(&bead.id))));
    }
    Ok((beads, convoys))
}

/// As [`update`] of one bead, as a part of a larger change.
pub(super) fn update_in(town: &Town, change: &mut Change<'_>, id: &BeadId, edit: &Edit) -> Result<Bead> {
    updated_in(town, change, id, edit).map(|(bead, _)| bead)
}

fn updated_in(town: &Town, change: &mut Change<'_>, id: &BeadId, edit: &Edit) -> Result<(Bead, Vec<Settled>)> {
    edit.check()?;
    let mut bead = change.bead(id)?;
    let before = bead.clone();
    apply(town, change, &mut bead, edit)?;
    if bead == before {
        return Ok((bead, Vec::new()));
    }
    bead.updated_at = town.now;
    let landed = write(town, change, &bead)?;
    edit.fields.check_parent(town, change, id)?;
    Ok((change.bead_as_written(id)?, landed))
}

/// Adds a remark to a bead, as a part of a larger change.
pub(super) fn comment_in(town: &Town, change: &mut Change<'_>, id: &BeadId, text: &str) -> Result<Bead> {
    if text.trim().is_empty() {
        return Err(Error::usage("the comment is empty").hint("say something"));
    }
    check_texts(&[("comment", text)])?;
    let mut bead = change.bead(id)?;
    bead.comment(change.rev().to_string(), &town.actor.name, text, town.now);
    write(town, change, &bead)?;
    Ok(bead)
}

fn apply(town: &Town, change: &Change<'_>, bead: &mut Bead, edit: &Edit) -> Result<()> {
    if let Some(status) = &edit.status {
        move_by_hand(town, change, bead, status)?;
    }
    if edit.claim {
        claim(town, change, bead, edit.lease_millis)?;
    }
    if let Some(assignee) = &edit.assignee {
        assign(bead, assignee.as_deref())?;
    }
    if let Some(issue_type) = edit.issue_type.as_ref().filter(|new| **new != bead.issue_type) {
        check_settable_type(&bead.issue_type)?;
        check_no_convoy(&bead.issue_type).and_then(|()| check_no_convoy(issue_type))?;
        bead.issue_type = issue_type.clone();
    }
    let set = |field: &mut String, value: &Option<String>| {
        if let Some(value) = value {
            field.clone_from(value);
        }
    };
    set(&mut bead.title, &edit.title);
    set(&mut bead.description, &edit.description);
    set(&mut bead.design, &edit.design);
    set(&mut bead.acceptance_criteria, &edit.acceptance);
    set(&mut bead.notes, &edit.notes);
    if let Some(more) = &edit.append_notes {
        if !bead.notes.is_empty() && !bead.notes.ends_with('\n') {
            bead.notes.push('\n');
        }
        bead.notes.push_str(more);
        check_texts(&[("notes", &bead.notes)])?;
    }
    bead.priority = edit.priority.unwrap_or(bead.priority);
    bead.due_at = edit.due_at.unwrap_or(bead.due_at);
    bead.defer_until = edit.defer_until.unwrap_or(bead.defer_until);
    edit.fields.apply(bead);
    bead.labels.extend(edit.add_labels.iter().cloned());
    bead.labels.retain(|label| !edit.remove_labels.contains(label));
    Ok(())
}

/// A move that a person or agent asks for by name.
fn move_by_hand(town: &Town, change: &Change<'_>, bead: &mut Bead, next: &Status) -> Result<()> {
    if bead.status == *next {
        return Ok(());
    }
    check_settable_type(&bead.issue_type)?;
    check_not_in_review(bead)?;
    match next {
        Status::Hooked => {
            return Err(
                Error::refused(format!("a hook gets {} by slinging it", bead.id)).hint(format!("gt sling {} RIG", bead.id))
            );
        }
        Status::InReview => {
            return Err(
                Error::refused(format!("{} goes into review by being handed in", bead.id)).hint("in its worktree: gt done")
            );
        }
        // Agents of the bd tool start work this way; without a claim nobody would be known to be at it.
        Status::InProgress if matches!(bead.status, Status::Open | Status::Deferred) => return claim(town, change, bead, None),
        Status::Closed => return close_by_hand(town, bead, "Closed"),
        _ => {}
    }
    bead.become_status(next.clone(), town.now)
}

pub(super) fn check_not_in_review(bead: &Bead) -> Result<()> {
    if bead.status != Status::InReview {
        return Ok(());
    }
    Err(Error::refused(format!("{} is in review: its merge request decides", bead.id))
        .hint(format!("see where it stands: gt mq why {}", bead.id)))
}

/// Takes an open bead: exactly one of many takers wins, since each runs on the state that the one before left.
fn claim(town: &Town, change: &Change<'_>, bead: &mut Bead, lease_millis: Option<u64>) -> Result<()> {
    let me = town.me.to_string();
    if bead.has_lease_ended(town.now) {
        bead.wake(town.now)?;
    }
    if let Some(other) = bead.assignee.as_ref().filter(|other| **other != me && !bead.status.is_closed()) {
        return Err(Error::conflict(format!("{} is held by {other}", bead.id)).hint("take another: gt ready"));
    }
    if !bead.issue_type.is_work() && bead.issue_type != IssueType::Epic {
        return Err(Error::refused(format!("{} is {}, which is no work to claim", bead.id, bead.issue_type.with_article()))
            .hint("see what there is: gt ready"));
    }
    if lease_millis.is_some() {
        lease::check_not_hooked(change, bead)?;
    }
    bead.wake(town.now)?;
    match bead.status {
        Status::InProgress => {
            // What an import brought as one's own is claimed only now.
            bead.assigned_rev.get_or_insert_with(|| change.rev().clone());
            if let Some(millis) = lease_millis {
                bead.lease(millis, town.now);
            }
            return Ok(());
        }
        // What was slung keeps the clock of its sling: that is when the work was given.
        Status::Hooked => {}
        _ => bead.assigned_rev = Some(change.rev().clone()),
    }
    bead.become_status(Status::InProgress, town.now)?;
    bead.give_out(town.actor.model.as_deref(), town.now);
    bead.assignee = Some(me);
    if let Some(millis) = lease_millis {
        bead.lease(millis, town.now);
    }
    Ok(())
}

fn assign(bead: &mut Bead, assignee: Option<&str>) -> Result<()> {
    if bead.assignee.as_deref() == assignee {
        return Ok(());
    }
    check_settable_type(&bead.issue_type)?;
    match bead.status {
        Status::Hooked | Status::InProgress | Status::InReview => {
            let holder = bead.assignee.as_deref().unwrap_or("nobody");
            Err(Error::refused(format!("{} is {} by {holder}", bead.id, bead.status))
                .hint(format!("give it back first: gt bead update {} --status open", bead.id)))
        }
        Status::Closed => {
            Err(Error::refused(format!("{} is closed", bead.id)).hint(format!("reopen it first: gt bead reopen {}", bead.id)))
        }
        Status::Open | Status::Blocked | Status::Deferred | Status::Pinned | Status::Other(_) => {
            bead.assignee = assignee.map(str::to_owned);
            Ok(())
        }
    }
}

/// Writes a bead, and takes it off every hook when it is closed or has no assignee any more. A convoy of the town that is
/// complete with the close of this bead of the town lands with it.
pub(super) fn write(town: &Town, change: &mut Change<'_>, bead: &Bead) -> Result<Vec<Settled>> {
    if bead.status.is_closed() || bead.assignee.is_none() {
        // A hook that cannot be read is not ours to judge, and no reason to keep the bead open.
        let (hooks, _) = change.before().all::<Hook>("hooks")?;
        for hook in hooks.iter().filter(|hook| hook.bead == bead.id) {
            change.remove(&tree::hook(&hook.agent));
        }
    }
    change.put_bead(bead)?;
    if bead.status.is_closed() { convoy::closed_in(town, change, [&bead.id]) } else { Ok(Vec::new()) }
}

/// Runs `edit` on each bead, one transaction a scope, and gives the answers in the order of `ids`.
pub(super) fn in_each_scope<T>(
    town: &Town,
    ids: &[BeadId],
    op: &str,
    mut edit: impl FnMut(&mut Change<'_>, &BeadId) -> Result<T>,
) -> Result<Vec<T>> {
    let mut scopes: BTreeMap<Prefix, Vec<usize>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (n, id) in ids.iter().enumerate().filter(|(_, id)| seen.insert((*id).clone())) {
        scopes.entry(id.prefix()).or_default().push(n);
    }
    let mut answers = BTreeMap::new();
    for (prefix, places) in scopes {
        let ledger: Ledger = town.scope_of(&prefix)?;
        let names: Vec<&str> = places.iter().map(|n| ids[*n].as_str()).collect();
        let deed = town.deed(op, format!("{op} {}", names.join(" ")));
        let done = ledger.transact(&deed, |change| places.iter().map(|n| edit(change, &ids[*n])).collect::<Result<Vec<T>>>())?;
        answers.extend(places.into_iter().zip(done));
    }
    Ok(answers.into_values().collect())
}
