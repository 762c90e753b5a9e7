//! Small marks on beads: labels, remarks, deferred and pinned, the same as another one, replaced by another one.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::bead::{Bead, Comment, DependencyKind, Status};
use crate::name::BeadId;
use crate::ops::track::depend::{Ending, connect, connect_in};
use crate::ops::track::edit::{Edit, comment_in, in_each_scope, update, update_in};
use crate::ops::track::end::{Closed, close_in, settle_convoys};
use crate::ops::track::reach::{Reach, Sight};
use crate::store::lock::KernelLock;
use crate::time::Moment;
use crate::town::Town;

/// A label and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Labelled {
    /// What became of it.
    pub status: Ending,
    /// The bead.
    pub issue_id: BeadId,
    /// The label.
    pub label: String,
}

/// Adds `label` to the beads `ids`, or takes it away when it is not `wanted`, one transaction a scope.
///
/// # Errors
/// Usage, when it is no label; not found; refused, when a bead is archived. Within a scope all change or none.
pub fn label(town: &Town, ids: &[BeadId], label: &str, wanted: bool) -> Result<Vec<Labelled>> {
    let mut edit = Edit::default();
    let labels = if wanted { &mut edit.add_labels } else { &mut edit.remove_labels };
    labels.insert(label.to_owned());
    in_each_scope(town, ids, "label", |change, id| {
        let had = change.bead(id)?.labels.contains(label);
        update_in(town, change, id, &edit)?;
        let status = match (wanted, had) {
            (true, false) => Ending::Added,
            (true, true) => Ending::AlreadyThere,
            (false, true) => Ending::Removed,
            (false, false) => Ending::NotThere,
        };
        Ok(Labelled { status, issue_id: id.clone(), label: label.to_owned() })
    })
}

/// Adds a remark to a bead.
///
/// # Errors
/// Usage, when it is empty or too long; not found; refused, when the bead is archived.
pub fn comment(town: &Town, id: &BeadId, text: &str) -> Result<Comment> {
    let beads = in_each_scope(town, std::slice::from_ref(id), "comment", |change, id| comment_in(town, change, id, text))?;
    let said = beads.into_iter().next().and_then(|mut bead| bead.comments.pop());
    said.ok_or_else(|| Error::bug("a remark was made and is not there"))
}

/// Puts beads aside until a time, or until somebody takes them up again.
///
/// # Errors
/// Usage, when the time is past; else as [`update`].
pub fn defer(town: &Town, ids: &[BeadId], until: Option<Moment>) -> Result<Vec<Bead>> {
    if let Some(until) = until.filter(|until| *until <= town.now) {
        return Err(Error::usage(format!("{until} is past")).hint("name a time to come, such as 2d, or none"));
    }
    update(town, ids, &Edit { status: Some(Status::Deferred), defer_until: Some(until), ..Edit::default() })
}

/// Opens the beads `ids` that are `from`: deferred, or pinned. One that is open stays open, and is ready at once.
///
/// # Errors
/// Not found; refused, when a bead stands elsewhere. Within a scope all change or none.
pub fn take_up(town: &Town, ids: &[BeadId], from: &Status) -> Result<Vec<Bead>> {
    let defer_until = (*from == Status::Deferred).then_some(None);
    let edit = Edit { status: Some(Status::Open), defer_until, ..Edit::default() };
    in_each_scope(town, ids, "update", |change, id| {
        let status = change.bead(id)?.status;
        if status != *from && status != Status::Open {
            return Err(Error::refused(format!("{id} is {status}, not {from}")).hint(format!("see: gt show {id}")));
        }
        update_in(town, change, id, &edit)
    })
}

/// Closes `id` as the same as `canonical`, and connects them.
///
/// # Errors
/// Not found; refused, when they are the same bead, when `canonical` counts as a duplicate of `id`, or when `id` may not
/// be closed.
pub fn duplicate(town: &Town, id: &BeadId, canonical: &BeadId) -> Result<Closed> {
    let _turn = pairing(town)?;
    check_not_of(town, canonical, &DependencyKind::Duplicates, id)?;
    let mut reach = Reach::new(town);
    let mut closed = in_each_scope(town, std::slice::from_ref(id), "duplicate", |change, id| {
        connect_in(town, change, &mut reach, id, canonical, &DependencyKind::Duplicates)?;
        close_in(town, change, id, &format!("Duplicate of {canonical}"))
    })?;
    settle_convoys(town, &mut closed);
    one(closed)
}

/// Closes `id` as replaced by `successor`, which is connected with it.
///
/// # Errors
/// As [`duplicate`].
pub fn supersede(town: &Town, id: &BeadId, successor: &BeadId) -> Result<Closed> {
    let _turn = pairing(town)?;
    check_not_of(town, id, &DependencyKind::Supersedes, successor)?;
    let reason = format!("Superseded by {successor}");
    let kind = DependencyKind::Supersedes;
    if id.prefix() != successor.prefix() {
        // Two scopes are two transactions: first what can be said twice without harm, when the rest is known to be lawful.
        town.scope_of(&id.prefix())?.rehearse(town.now, |change| close_in(town, change, id, &reason))?;
        connect(town, &town.scope_of(&successor.prefix())?, successor, id, &kind)?;
    }
    let mut reach = Reach::new(town);
    let mut closed = in_each_scope(town, std::slice::from_ref(id), "supersede", |change, id| {
        if id.prefix() == successor.prefix() {
            connect_in(town, change, &mut reach, successor, id, &kind)?;
        }
        close_in(town, change, id, &reason)
    })?;
    settle_convoys(town, &mut closed);
    one(closed)
}

fn one(closed: Vec<Closed>) -> Result<Closed> {
    closed.into_iter().next().ok_or_else(|| Error::bug("a bead was closed and is not there"))
}

/// The turn to close a bead for another one. The two may live in two scopes, whose transactions do not see each other:
/// of two that close a pair both ways at once, the second looks when the first is done.
fn pairing(town: &Town) -> Result<KernelLock> {
    KernelLock::take(&town.hq.store.private_dir().join("pairs.flock"))
}

/// Refuses what would make each of two beads stand for the other, so that none of them is left.
fn check_not_of(town: &Town, bead: &BeadId, kind: &DependencyKind, other: &BeadId) -> Result<()> {
    let Sight::Seen(found) = Reach::new(town).bead(bead) else { return Ok(()) };
    if !found.dependencies.iter().any(|edge| edge.kind == *kind && edge.depends_on_id == *other) {
        return Ok(());
    }
    Err(Error::refused(format!("{bead} {kind} {other} already"))
        .hint(format!("if that is wrong, first: gt bead dep remove {bead} {other}")))
}
