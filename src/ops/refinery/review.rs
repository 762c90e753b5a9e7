//! Review: approve, reject with a comment, comment, and look at what a request changes.

use schemars::JsonSchema;
use serde::Serialize;

use super::look::{self, Request, object_id};
use super::{control, evict, hearers, rights};
use crate::config;
use crate::error::{Error, Result};
use crate::git::merge::merge_base;
use crate::git::patch::{self, FileChange};
use crate::ledger::tree;
use crate::model::address::Address;
use crate::model::bead::check_text;
use crate::model::mail::Letter;
use crate::model::merge_request::{Blame, MrState};
use crate::model::protocol::Protocol;
use crate::model::record::Object;
use crate::model::review::Approval;
use crate::name::BeadId;
use crate::ops::post;
use crate::time::Moment;
use crate::town::{RigPlace, Town};

/// How a word of review was taken.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Reviewed {
    /// The approval counts for exactly this head.
    Approved {
        /// The request.
        mr: BeadId,
        /// The head that was approved.
        head: String,
        /// How many approvals of it count now.
        given: usize,
        /// How many it needs.
        needed: usize,
    },
    /// It was sent back with the comment.
    Rejected {
        /// The request.
        mr: BeadId,
        /// The work that is open again; none, when it was to take back what had landed.
        beads: Vec<BeadId>,
        /// Who was told.
        told: Vec<String>,
    },
    /// The comment is on request and work, and in the worker's mail.
    Commented {
        /// The request.
        mr: BeadId,
        /// Who was told; nobody, when it is the worker's own.
        told: Vec<String>,
    },
}

/// What a request changes.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Diff {
    /// The request.
    pub mr: BeadId,
    /// What it is compared with: where head and target part, or parted when it was handed in.
    pub base: String,
    /// The pinned head.
    pub head: String,
    /// The files, by path.
    pub files: Vec<FileChange>,
    /// The changes as `git diff` writes them; not with `--stat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// Whether the patch was longer than is shown.
    pub is_cut: bool,
}

/// Approves the head of the request `id`, or of that for the work `id`.
///
/// # Errors
/// Refused, when it ended, is your own or your word does not count; conflict, when it is landing.
pub fn approve(town: &Town, place: &RigPlace, id: &BeadId, note: &str) -> Result<Reviewed> {
    town.check_identity()?;
    check_text("note", note)?;
    let review = config::review(town, place)?;
    let found = look::request_for(&place.ledger.state()?, id)?;
    let (mr, head) = (found.bead.id, found.mr.head);
    let deed = town.deed("approve", format!("approve {mr} at {}", super::event::short(&head)));
    let by = town.me.to_string();
    let given = place.ledger.transact(&deed, |change| {
        let mut request = control::waiting(change, &mr)?;
        if request.mr.head != head {
            return Err(Error::conflict(format!("{mr} got another head meanwhile")).hint(format!("look at it: gt mq diff {mr}")));
        }
        if request.mr.author == by {
            return Err(Error::refused(format!("{mr} is your own, and nobody approves their own")).hint("ask another to look"));
        }
        if !review.may_approve(&town.me, &request.mr.author) {
            return Err(Error::refused(format!("the approval of {by} does not count here"))
                .hint(format!("review.by names whose does: {}", review.by.join(", "))));
        }
        request.mr.approvals.retain(|approval| approval.by != by || approval.head != head);
        request.mr.approvals.push(Approval {
            by: by.clone(),
            at: change.now(),
            head: head.clone(),
            note: note.to_owned(),
            extra: Object::new(),
        });
        let given = review.approvers(&request.mr.approvals, &head, &request.mr.author).len();
        control::put(change, request)?;
        Ok(given)
    })?;
    let needed = super::list::brief(town, place, &mr)?.listed.approvals_needed;
    Ok(Reviewed::Approved { mr, head, given, needed })
}

/// Sends the request `id`, or that for the work `id`, back with a comment: it is evicted as rejected, its work is open
/// again, witness and worker are told.
///
/// # Errors
/// Usage, without a comment; refused, when it ended, is your own or is not yours to judge; conflict, when it is landing.
pub fn reject(town: &Town, place: &RigPlace, id: &BeadId, note: &str) -> Result<Reviewed> {
    town.check_identity()?;
    check_text("comment", note)?;
    if note.trim().is_empty() {
        return Err(Error::usage("a request is rejected with a comment").hint("add -m \"what is to be done otherwise\""));
    }
    let review = config::review(town, place)?;
    let mr = look::request_for(&place.ledger.state()?, id)?.bead.id;
    let deed = town.deed("reject", format!("reject {mr}"));
    let by = town.me.to_string();
    place.ledger.transact(&deed, |change| {
        let mut request = control::waiting(change, &mr)?;
        if request.mr.author == by {
            return Err(Error::refused(format!("{mr} is your own")).hint(format!("take it back: gt mq withdraw {mr}")));
        }
        if !review.may_approve(&town.me, &request.mr.author) {
            rights::check_steers(&town.me, &format!("reject {mr}"))?;
        }
        let blame = rejection(&request, &by, note, change.now());
        request.mr.become_state(MrState::Evicted);
        request.mr.hold = None;
        request.mr.blame = Some(blame.clone());
        request.bead.close(&by, "evicted (rejected)", change.now())?;
        let (beads, author) = (request.mr.source_beads.clone(), request.mr.author.clone());
        let is_revert = request.mr.reverts.is_some();
        control::put(change, request)?;
        let told = hearers(&place.rig.name, &author);
        for source in &beads {
            // What takes work back leaves it closed when it fails.
            if !is_revert {
                evict::reopen(change, source, &mr, &by, &format!("{by} rejected it: {note}"))?;
            }
            let message = Protocol::MergeFailed {
                mr: mr.clone(),
                bead: source.clone(),
                gate: "review".to_owned(),
                exit: None,
                log: note.to_owned(),
                evidence: vec![format!("rejected by {by}")],
                failing: Vec::new(),
            };
            for to in &told {
                post::post(change, &message, &town.me, to)?;
            }
        }
        let told = told.iter().map(ToString::to_string).collect();
        let beads = if is_revert { Vec::new() } else { beads };
        Ok(Reviewed::Rejected { mr: mr.clone(), beads, told })
    })
}

fn rejection(request: &Request, by: &str, note: &str, at: Moment) -> Blame {
    Blame {
        cause: "rejected".to_owned(),
        gate: String::new(),
        exit: None,
        log_tail: String::new(),
        stack_commit: request.mr.head.clone(),
        base: request.mr.base.clone(),
        posterior: 1.0,
        files: Vec::new(),
        theirs: Vec::new(),
        evidence: Vec::new(),
        failing: Vec::new(),
        task: None,
        landed_since: Vec::new(),
        reproduce: String::new(),
        by: by.to_owned(),
        note: note.to_owned(),
        at,
        extra: Object::new(),
    }
}

/// Leaves a comment on the request `id`, or on that for the work `id`, and on its work; the worker gets it by mail.
///
/// # Errors
/// Usage, without a text; refused, when it is archived.
pub fn comment(town: &Town, place: &RigPlace, id: &BeadId, text: &str) -> Result<Reviewed> {
    check_text("comment", text)?;
    if text.trim().is_empty() {
        return Err(Error::usage("the comment is empty").hint("add -m \"…\""));
    }
    let mr = look::request_for(&place.ledger.state()?, id)?.bead.id;
    let deed = town.deed("comment", format!("comment on {mr}"));
    let by = town.me.to_string();
    place.ledger.transact(&deed, |change| {
        let mut bead = change.bead(&mr)?;
        let request = crate::model::merge_request::MergeRequest::of(&bead)?;
        bead.comment(change.rev().to_string(), &by, text, change.now());
        change.put_bead(&bead)?;
        for source in &request.source_beads {
            let mut bead = change.bead(source)?;
            bead.comment(change.rev().to_string(), &by, &format!("on merge request {mr}: {text}"), change.now());
            change.put_bead(&bead)?;
        }
        let worker: Option<Address> = request.author.parse().ok().filter(|author| *author != town.me);
        if let Some(to) = &worker {
            post::put(change, to, |id| {
                let subject = format!("On your merge request {mr}");
                let mut letter = Letter::new(id, town.me.clone(), to.clone(), &subject, text, town.now)?;
                letter.refs = std::iter::once(&mr).chain(&request.source_beads).cloned().collect();
                Ok(letter)
            })?;
        }
        Ok(Reviewed::Commented { mr: mr.clone(), told: worker.iter().map(ToString::to_string).collect() })
    })
}

/// What the request `id`, or that for the work `id`, changes. What waits is compared with where it parts from the target
/// now, what ended with where it parted when it was handed in.
///
/// # Errors
/// Not found, when its commits are not on this machine; external, when git fails.
pub fn diff(place: &RigPlace, id: &BeadId, is_stat: bool) -> Result<Diff> {
    let store = &place.ledger.store;
    let request = look::request_for(&place.ledger.state()?, id)?;
    let head = request.head()?;
    if store.repo.find_header(head).is_err() {
        return Err(Error::not_found(format!("the commit of {} is not on this machine", request.bead.id))
            .hint(format!("fetch {}: gt sync", tree::mr_pin(&request.bead.id))));
    }
    let tip = store.read_ref(&format!("refs/heads/{}", request.mr.target))?.filter(|_| request.mr.state.is_live());
    let fork = tip.map(|tip| merge_base(store, tip, head)).transpose()?.flatten();
    // What is in the target already would show nothing against it.
    let base = match fork.filter(|fork| *fork != head) {
        Some(fork) => fork,
        None => object_id(&request.mr.base)?,
    };
    let files = patch::files(store, base, head)?;
    let (patch, is_cut) =
        if is_stat { (None, false) } else { patch::text(store, base, head).map(|(text, is_cut)| (Some(text), is_cut))? };
    Ok(Diff { mr: request.bead.id, base: base.to_string(), head: head.to_string(), files, patch, is_cut })
}
