//! Stacked requests: who is built upon whom, in which order they go, and what becomes of a child without its parent.
//!
//! A child names the requests that it stands on. It is stacked behind them, with their heads as its ground, so that a
//! parent that landed squashed makes no conflict; it never lands before them. Work that was handed in again, because it
//! got a new head or was sent back, stands for what it replaces.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use gix::ObjectId;

use super::look::{Request, object_id};
use crate::error::{Error, Result};
use crate::git::commits;
use crate::ledger::State;
use crate::model::merge_request::{MergeRequest, MrState};
use crate::name::BeadId;
use crate::store::Store;

/// What a request stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tie {
    /// The request that was named, or the one that stands for it now.
    pub(super) parent: BeadId,
    /// Where that one stands.
    pub(super) state: MrState,
    /// The heads that the child may be built upon.
    pub(super) heads: Vec<ObjectId>,
}

/// The ties of all live requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Kin {
    ties: BTreeMap<BeadId, Vec<Tie>>,
}

impl Kin {
    /// Reads who of `all` stands on whom. A parent that was archived is looked up in `state`.
    ///
    /// # Errors
    /// Corrupt, when a parent or its head cannot be read.
    pub(super) fn of(state: &State<'_>, all: &[Request]) -> Result<Self> {
        let mut kin = Self::default();
        for child in all.iter().filter(|request| request.mr.state.is_live() && !request.mr.depends_on.is_empty()) {
            let ties = child.mr.depends_on.iter().map(|parent| tie(state, all, parent)).collect::<Result<Vec<Tie>>>()?;
            kin.ties.insert(child.bead.id.clone(), ties);
        }
        Ok(kin)
    }

    /// What `mr` stands on.
    pub(super) fn ties(&self, mr: &BeadId) -> &[Tie] {
        self.ties.get(mr).map_or(&[], Vec::as_slice)
    }

    /// The heads that `mr` may be built upon.
    pub(super) fn heads(&self, mr: &BeadId) -> Vec<ObjectId> {
        self.ties(mr).iter().flat_map(|tie| tie.heads.iter().copied()).collect()
    }

    /// Whether nothing that `mr` stands on is lost.
    pub(super) fn is_whole(&self, mr: &BeadId) -> bool {
        self.ties(mr).iter().all(|tie| tie.state == MrState::Landed || tie.state.is_live())
    }

    /// `waiting`, which is in the order of turns, with each behind those that it stands on: who is in a hurry takes its
    /// parents along.
    pub(super) fn in_order(&self, waiting: Vec<Request>) -> Vec<Request> {
        let ids: Vec<BeadId> = waiting.iter().map(|request| request.bead.id.clone()).collect();
        let mut rest: BTreeMap<BeadId, Request> = waiting.into_iter().map(|one| (one.bead.id.clone(), one)).collect();
        let mut ordered = Vec::with_capacity(ids.len());
        for id in ids {
            for id in self.elders(&id).into_iter().chain([id]) {
                ordered.extend(rest.remove(&id));
            }
        }
        ordered
    }

    /// All that `mr` stands on, directly or not, the lowest first.
    pub(super) fn elders(&self, mr: &BeadId) -> Vec<BeadId> {
        let (mut elders, mut seen) = (Vec::new(), BTreeSet::from([mr.clone()]));
        let mut open: Vec<(BeadId, bool)> = self.parents(mr);
        while let Some((id, is_done)) = open.pop() {
            if is_done {
                elders.push(id);
            } else if seen.insert(id.clone()) {
                let above = self.parents(&id);
                open.push((id, true));
                open.extend(above);
            }
        }
        elders
    }

    fn parents(&self, mr: &BeadId) -> Vec<(BeadId, bool)> {
        self.ties(mr).iter().rev().map(|tie| (tie.parent.clone(), false)).collect()
    }
}

fn tie(state: &State<'_>, all: &[Request], parent: &BeadId) -> Result<Tie> {
    let named = match all.iter().find(|request| request.bead.id == *parent) {
        Some(named) => named.clone(),
        None => match state.find_bead(parent)? {
            Some(bead) => Request { mr: MergeRequest::of(&bead)?, bead },
            None => return Ok(Tie { parent: parent.clone(), state: MrState::Withdrawn, heads: Vec::new() }),
        },
    };
    let heir = heir(all, &named);
    let mut heads = vec![named.head()?];
    if heir.mr.head != named.mr.head {
        heads.push(heir.head()?);
    }
    Ok(Tie { parent: heir.bead.id.clone(), state: heir.mr.state, heads })
}

/// The request that stands for `named` now: itself while it is live or landed, else a later one for the same work.
fn heir<'r>(all: &'r [Request], named: &'r Request) -> &'r Request {
    if named.mr.state.is_live() || named.mr.state == MrState::Landed {
        return named;
    }
    let is_later = |other: &&Request| {
        let is_same_work =
            other.mr.reverts.is_none() && other.mr.source_beads.iter().any(|bead| named.mr.source_beads.contains(bead));
        is_same_work && (other.mr.submitted_at, &other.bead.id) > (named.mr.submitted_at, &named.bead.id)
    };
    let rank = |other: &&Request| (other.mr.state == MrState::Landed, other.mr.state.is_live(), other.mr.submitted_at);
    all.iter().filter(is_later).max_by_key(rank).unwrap_or(named)
}

/// Whether `from`, or something that it stands on and that has not landed, delivers one of `work`.
fn leads_to(all: &[Request], from: &BeadId, work: &BeadId) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
    while let Some(id) = open.pop() {
        let Some(named) = all.iter().find(|request| request.bead.id == id) else { continue };
        let now = heir(all, named);
        if now.mr.state == MrState::Landed || !seen.insert(now.bead.id.clone()) {
            continue;
        }
        if now.mr.source_beads.contains(work) {
            return true;
        }
        open.extend(now.mr.depends_on.iter().cloned());
    }
    false
}

/// A head of `work` for `target`, with the commits that the target lacks.
pub(super) struct Branch<'a> {
    /// The work.
    pub(super) work: &'a BeadId,
    /// Where it goes.
    pub(super) target: &'a str,
    /// The commit.
    pub(super) head: ObjectId,
    /// The target's tip.
    pub(super) tip: ObjectId,
}

/// The requests of `all` that `branch` is built upon, with their heads: live ones and landed ones of its target whose
/// head it contains and the target does not, the nearest only.
///
/// # Errors
/// Corrupt, when history cannot be read.
pub(super) fn built_on(store: &Store, all: &[Request], branch: &Branch<'_>) -> Result<Vec<(BeadId, ObjectId)>> {
    let is_candidate = |request: &&Request| {
        let is_there = request.mr.state.is_live() || request.mr.state == MrState::Landed;
        is_there && request.mr.target == branch.target && !request.mr.source_beads.contains(branch.work)
    };
    let candidates: Vec<&Request> = all.iter().filter(is_candidate).collect();
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let ahead: HashSet<ObjectId> = commits::ahead(store, branch.head, &[branch.tip])?.into_iter().collect();
    let mut found: Vec<(BeadId, ObjectId)> = Vec::new();
    for request in candidates {
        let head = object_id(&request.mr.head)?;
        let is_below = head != branch.head && ahead.contains(&head);
        // What waits for this very work cannot be waited for.
        if is_below && !leads_to(all, &request.bead.id, branch.work) {
            found.push((request.bead.id.clone(), head));
        }
    }
    let mut nearest = Vec::new();
    for (id, head) in &found {
        let mut is_covered = false;
        for (_, other) in found.iter().filter(|(_, other)| other != head) {
            is_covered = is_covered || store.is_ancestor(*head, *other)?;
        }
        if !is_covered {
            nearest.push((id.clone(), *head));
        }
    }
    Ok(nearest)
}

/// Makes sure that work `source` for `target` may wait for each of `after`.
///
/// # Errors
/// Not found or refused, when one is no request, goes elsewhere, delivers the same work or waits for it, or was sent
/// back or withdrawn with nothing in its place.
pub(super) fn check_after(all: &[Request], after: &[BeadId], source: &BeadId, target: &str) -> Result<()> {
    for id in after {
        let Some(named) = all.iter().find(|request| request.bead.id == *id) else {
            return Err(Error::not_found(format!("there is no merge request {id} to land after")).hint("see: gt mq list"));
        };
        let now = heir(all, named);
        let refusal = if named.mr.target != target {
            format!("{id} goes to {}, not to {target}", named.mr.target.escape_debug())
        } else if named.mr.source_beads.contains(source) {
            format!("{id} delivers {source} too, and is replaced by a newer request for it")
        } else if leads_to(all, id, source) {
            format!("{id} itself waits for {source}")
        } else if !now.mr.state.is_live() && now.mr.state != MrState::Landed {
            format!("{} was {}, so nothing can land after it", now.bead.id, now.mr.state.word())
        } else {
            continue;
        };
        return Err(Error::refused(refusal).hint("leave out --after, or name another: gt mq list"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::{Bead, IssueType};
    use crate::model::merge_request::Mode;
    use crate::time::Moment;

    /// A request `id` for `work`, the `at`th, on `after`.
    fn request(id: &str, work: &str, at: i64, state: MrState, after: &[&str]) -> Request {
        let now = Moment::from_millis(at);
        let bead = Bead::new(format!("wi-{id}").parse().unwrap(), IssueType::MergeRequest, id, "x", now).unwrap();
        let ids = |words: &[&str]| words.iter().map(|word| format!("wi-{word}").parse().unwrap()).collect();
        let mr = MergeRequest {
            state,
            branch: "b".into(),
            target: "main".into(),
            head: format!("{at:040x}"),
            base: String::new(),
            tree: String::new(),
            source_beads: ids(&[work]),
            author: "x".into(),
            submitted_at: now,
            message: String::new(),
            mode: Mode::Squash,
            depends_on: ids(after),
            ..MergeRequest::blank(now)
        };
        Request { bead, mr }
    }

    fn kin(pairs: &[(&str, &[&str])]) -> Kin {
        let tie = |parent: &&str| Tie { parent: format!("wi-{parent}").parse().unwrap(), state: MrState::Queued, heads: vec![] };
        let one =
            |(child, parents): &(&str, &[&str])| (format!("wi-{child}").parse().unwrap(), parents.iter().map(tie).collect());
        Kin { ties: pairs.iter().map(one).collect() }
    }

    fn order(kin: &Kin, ids: &[&str]) -> String {
        let waiting = ids.iter().map(|id| request(id, id, 1, MrState::Queued, &[])).collect();
        let words: Vec<String> = kin.in_order(waiting).iter().map(|one| one.bead.id.as_str()[3..].to_owned()).collect();
        words.join(" ")
    }

    #[test]
    fn parents_go_first_and_who_is_in_a_hurry_takes_them_along() {
        assert_eq!(order(&kin(&[]), &["c", "a", "b"]), "c a b");
        assert_eq!(order(&kin(&[("c", &["b"]), ("b", &["a"])]), &["c", "x", "a", "b"]), "a b c x");
        assert_eq!(order(&kin(&[("c", &["b", "a"])]), &["a", "x", "c", "b"]), "a x b c");
        assert_eq!(order(&kin(&[("b", &["gone"])]), &["b", "a"]), "b a");
        assert_eq!(order(&kin(&[("a", &["b"]), ("b", &["a"])]), &["a", "b"]), "b a", "a ring ends somewhere");
    }

    #[test]
    fn work_that_is_handed_in_again_stands_for_what_it_replaces() {
        let all = [
            request("p1", "p", 1, MrState::Evicted, &[]),
            request("q1", "q", 2, MrState::Queued, &[]),
            request("p2", "p", 3, MrState::Superseded, &[]),
            request("p3", "p", 4, MrState::Queued, &[]),
            request("r1", "r", 5, MrState::Withdrawn, &[]),
        ];
        let heir_of = |at: usize| heir(&all, &all[at]).bead.id.to_string();
        assert_eq!(
            (heir_of(0), heir_of(1), heir_of(2), heir_of(4)),
            ("wi-p3".into(), "wi-q1".into(), "wi-p3".into(), "wi-r1".into())
        );
    }

    #[test]
    fn what_cannot_be_landed_after_is_refused() {
        let all = [
            request("p1", "p", 1, MrState::Evicted, &[]),
            request("c1", "c", 2, MrState::Held, &["p1"]),
            request("p2", "p", 3, MrState::Queued, &[]),
            request("r1", "r", 5, MrState::Withdrawn, &[]),
        ];
        let check = |after: &str, source: &str, target: &str| {
            let ids: [BeadId; 2] = [after, source].map(|word| format!("wi-{word}").parse().unwrap());
            check_after(&all, &ids[..1], &ids[1], target).map_err(|error| error.message)
        };
        assert_eq!(check("p1", "x", "main"), Ok(()));
        assert!(check("nope", "x", "main").unwrap_err().contains("no merge request"));
        assert!(check("p1", "x", "next").unwrap_err().contains("goes to main"));
        assert!(check("p1", "p", "main").unwrap_err().contains("delivers wi-p too"));
        assert!(check("c1", "p", "main").unwrap_err().contains("itself waits for wi-p"));
        assert!(check("r1", "x", "main").unwrap_err().contains("was withdrawn"));
    }
}
