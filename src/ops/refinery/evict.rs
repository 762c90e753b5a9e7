//! Sends a request back: one transaction with the blame packet, its work open again, and word to its author.

use std::collections::BTreeSet;

use gix::ObjectId;

use super::Queue;
use super::event::{Event, short};
use super::look::{self, Request, object_id};
use super::losses::LOSSES_MAX;
use super::resolve;
use super::stack::{Stack, quoted, reproduce_conflict};
use crate::env::crash_point;
use crate::error::Result;
use crate::git::merge::merge_base;
use crate::git::{commits, diff};
use crate::ledger::{Change, State, tree};
use crate::model::bead::Status;
use crate::model::gate::{GateRun, Verdict};
use crate::model::merge_request::{Blame, MergeRequest, MrState, OnConflict};
use crate::model::protocol::Protocol;
use crate::model::record::Object;
use crate::name::BeadId;
use crate::ops::post;
use crate::time;

/// Most lines of evidence and of the other side's commits in a blame packet; the newest are kept.
const LINES_MAX: usize = 20;
/// The field of a bead that names the request of its work that was sent back last.
pub const LAST_FAILURE: &str = "last_failure";

impl Queue<'_> {
    /// Sends back the request at `place` of `stack`, on which gates were red.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn evict_red(&self, stack: &Stack, place: usize, posterior: f64, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let (store, request) = (&self.place.ledger.store, &stack.placed[place].request);
        let state = self.place.ledger.state()?;
        let mut runs = state.gate_runs()?;
        runs.sort_by(|a, b| a.rev.cmp(&b.rev));
        let last = self.last_red(&state, &runs, stack, place)?;
        let mut blame = Self::blame("red", stack.tip, &state, request)?;
        blame.posterior = posterior;
        blame.evidence = evidence(&runs, &request.bead.id);
        if let Some(run) = last {
            blame.gate.clone_from(&run.gate);
            blame.exit = run.exit;
            blame.failing.clone_from(&run.failing);
            blame.log_tail.clone_from(&run.log_tail);
            blame.stack_commit.clone_from(&run.commit);
            blame.reproduce = self.reproduce(&request.bead.id, run);
            // Without a pin the commit that the author is to look at would be collected some day.
            let commit = object_id(&run.commit)?;
            if store.repo.find_header(commit).is_ok() {
                let name = tree::evidence_pin(&request.bead.id);
                // Left by a process that died before it could send the request back, on another tip perhaps.
                if let Some(stale) = store.read_ref(&name)?.filter(|pinned| *pinned != commit) {
                    store.remove_ref(&name, stale)?;
                }
                commits::pin(store, &name, commit, &[stack.tip])?;
                crash_point("evict.pinned");
            }
        }
        let message = |bead: &BeadId, _: &Blame| Protocol::MergeFailed {
            mr: request.bead.id.clone(),
            bead: bead.clone(),
            gate: blame.gate.clone(),
            exit: blame.exit,
            failing: blame.failing.clone(),
            log: blame.log_tail.clone(),
            evidence: blame.evidence.clone(),
        };
        self.send_back(request, &blame, message, say)
    }

    /// The last red run that was about the request at `place` alone: on its tree now, or with none but such as landed
    /// since.
    fn last_red<'r>(&self, state: &State<'_>, runs: &'r [GateRun], stack: &Stack, place: usize) -> Result<Option<&'r GateRun>> {
        let mr = &stack.placed[place].request.bead.id;
        let head_tree = stack.placed.first().filter(|_| place == 0).map(|head| head.tree);
        let keys: Vec<String> =
            head_tree.iter().flat_map(|tree| self.gates.iter().map(|gate| self.rules.key(gate, *tree))).collect();
        let landed: BTreeSet<BeadId> = look::requests(state)?
            .into_iter()
            .filter(|request| request.mr.state == MrState::Landed)
            .map(|request| request.bead.id)
            .collect();
        let is_about = |run: &&GateRun| {
            let is_red = run.verdict == Verdict::Red || run.is_missing();
            let is_alone = run.stack.contains(mr) && run.stack.iter().all(|id| id == mr || landed.contains(id));
            is_red && (keys.contains(&run.key) || is_alone)
        };
        let is_in_it = |run: &&GateRun| (run.verdict == Verdict::Red || run.is_missing()) && run.stack.contains(mr);
        Ok(runs.iter().rev().find(is_about).or_else(|| runs.iter().rev().find(is_in_it)))
    }

    /// Sends back a request that does not fit onto the target itself.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn evict_conflict(
        &self,
        request: &Request,
        files: &[String],
        tip: ObjectId,
        say: &mut dyn FnMut(&Event),
    ) -> Result<()> {
        let store = &self.place.ledger.store;
        let mut blame = Self::blame("conflict", tip, &self.place.ledger.state()?, request)?;
        blame.posterior = 1.0;
        blame.files = files.to_vec();
        blame.stack_commit.clone_from(&request.mr.head);
        if let Some(fork) = merge_base(store, tip, request.head()?)? {
            blame.theirs = diff::commits_touching(store, fork, tip, files, LINES_MAX)?;
        }
        blame.reproduce = reproduce_conflict(store, &blame.base, request);
        let message = |bead: &BeadId, blame: &Blame| Protocol::ReworkRequest {
            mr: request.bead.id.clone(),
            bead: bead.clone(),
            target: request.mr.target.clone(),
            files: blame.files.clone(),
            ours: request.mr.head.clone(),
            theirs: blame.theirs.clone(),
            task: blame.task.clone(),
        };
        self.send_back(request, &blame, message, say)
    }

    /// Sends back the request `id`, which fails the last look before each landing for the same `reason`.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn evict_unfit(&self, id: &BeadId, tip: ObjectId, reason: &str, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let state = self.place.ledger.state()?;
        let Some(request) = look::find(&state, id)? else { return Ok(()) };
        let mut blame = Self::blame("race", tip, &state, &request)?;
        blame.stack_commit.clone_from(&request.mr.head);
        blame.note = format!("it was green and could not land, {LOSSES_MAX} times in a row: {reason}");
        let message = |bead: &BeadId, blame: &Blame| Protocol::MergeFailed {
            mr: id.clone(),
            bead: bead.clone(),
            gate: "landing".to_owned(),
            exit: None,
            failing: Vec::new(),
            log: blame.note.clone(),
            evidence: Vec::new(),
        };
        self.send_back(&request, &blame, message, say)
    }

    /// An empty blame packet for `request`.
    ///
    /// # Errors
    /// Corrupt, when records cannot be read.
    pub(super) fn blame(cause: &str, tip: ObjectId, state: &State<'_>, request: &Request) -> Result<Blame> {
        let landed = look::requests(state)?.into_iter().filter(|other| {
            let is_here = other.mr.state == MrState::Landed && other.mr.target == request.mr.target;
            is_here && other.bead.closed_at.is_some_and(|at| at >= request.mr.submitted_at)
        });
        Ok(Blame {
            cause: cause.to_owned(),
            gate: String::new(),
            exit: None,
            log_tail: String::new(),
            stack_commit: String::new(),
            base: tip.to_string(),
            posterior: 0.0,
            files: Vec::new(),
            theirs: Vec::new(),
            evidence: Vec::new(),
            failing: Vec::new(),
            landed_since: landed.map(|other| other.bead.id).collect(),
            task: None,
            reproduce: String::new(),
            by: String::new(),
            note: String::new(),
            at: time::now()?,
            extra: Object::new(),
        })
    }

    /// A command that shows the red gate again.
    fn reproduce(&self, mr: &BeadId, run: &GateRun) -> String {
        let command = self.gates.iter().find(|gate| gate.name == run.gate).map_or("", |gate| gate.command.as_str());
        let repo = quoted(&self.place.ledger.store.dir().display().to_string());
        format!(
            "git --git-dir {repo} worktree add --detach /tmp/{mr} {} && (cd /tmp/{mr} && sh -c {})",
            short(&run.commit),
            quoted(command)
        )
    }

    fn send_back(
        &self,
        request: &Request,
        blame: &Blame,
        message: impl Fn(&BeadId, &Blame) -> Protocol,
        say: &mut dyn FnMut(&Event),
    ) -> Result<()> {
        let subject = format!("send back {} ({})", request.bead.id, blame.cause);
        let sent = self.transact("evict", subject, |change| self.put_back(change, request, blame, &message))?;
        sent.iter().for_each(say);
        Ok(())
    }

    /// Sends `request` back in `change`, unless it ended or was replaced; what is to be told of it.
    ///
    /// # Errors
    /// As [`Change::put`].
    pub(super) fn put_back(
        &self,
        change: &mut Change<'_>,
        request: &Request,
        blame: &Blame,
        message: &impl Fn(&BeadId, &Blame) -> Protocol,
    ) -> Result<Option<Event>> {
        let id = &request.bead.id;
        let mut bead = change.bead(id)?;
        let mut mr = MergeRequest::of(&bead)?;
        if !mr.state.is_live() || mr.head != request.mr.head {
            return Ok(None);
        }
        let (by, mut blame) = (self.me.to_string(), blame.clone());
        // What takes work back leaves it closed when it fails.
        if mr.reverts.is_none() {
            mr.source_beads.iter().try_for_each(|source| reopen(change, source, id, &by, &in_words(&blame)))?;
        }
        if blame.cause == "conflict" && self.on_conflict == OnConflict::AutoRebase {
            blame.task = resolve::file_task(change, request, &blame, &by)?;
        }
        for source in &mr.source_beads {
            for to in self.hearers(&mr.author) {
                post::post(change, &message(source, &blame), &self.me, &to)?;
            }
        }
        mr.become_state(MrState::Evicted);
        mr.blame = Some(blame.clone());
        mr.put_into(&mut bead);
        bead.close(&by, &format!("evicted ({})", blame.cause), change.now())?;
        change.put_bead(&bead)?;
        let detail = [&blame.note, &blame.gate].into_iter().find(|text| !text.is_empty()).cloned();
        Ok(Some(Event::Evicted {
            mr: id.clone(),
            beads: request.mr.source_beads.clone(),
            cause: blame.cause,
            detail: detail.unwrap_or_else(|| blame.files.join(", ")),
            task: blame.task,
            posterior: blame.posterior,
        }))
    }
}

/// Opens the work again, with a remark of `by` that tells whoever takes it up `what` was wrong.
///
/// # Errors
/// As [`Change::put`].
pub(super) fn reopen(change: &mut Change<'_>, source: &BeadId, mr: &BeadId, by: &str, what: &str) -> Result<()> {
    let (now, rev) = (change.now(), change.rev().to_string());
    let mut bead = change.bead(source)?;
    // Somebody who moved it meanwhile knows better; the remark is left all the same.
    if bead.status == Status::InReview {
        bead.become_status(Status::Open, now)?;
    }
    bead.comment(rev, by, &format!("merge request {mr} was sent back: {what}; see: gt mq why {mr}"), now);
    bead.extra.insert(LAST_FAILURE.to_owned(), mr.to_string().into());
    change.put_bead(&bead)
}

/// What was wrong, in a few words.
fn in_words(blame: &Blame) -> String {
    if !blame.note.is_empty() {
        return blame.note.clone();
    }
    if blame.gate.is_empty() {
        return format!("it conflicts with {} in {}", short(&blame.base), blame.files.join(", "));
    }
    let exit = blame.exit.map_or_else(|| "timed out".to_owned(), |code| format!("exit {code}"));
    format!("gate {} is red ({exit})", blame.gate)
}

/// The runs on stacks with `mr`, one line each, oldest first.
fn evidence(runs: &[GateRun], mr: &BeadId) -> Vec<String> {
    let about = runs.iter().filter(|run| run.stack.contains(mr) && (run.verdict != Verdict::Infrastructure || run.is_missing()));
    let mut lines: Vec<String> = about.map(evidence_line).collect();
    lines.drain(..lines.len().saturating_sub(LINES_MAX));
    lines
}

/// A run in one line.
#[must_use]
pub(super) fn evidence_line(run: &GateRun) -> String {
    let stack: Vec<&str> = run.stack.iter().map(BeadId::as_str).collect();
    let on = match (&run.by, stack.is_empty()) {
        (Some(by), _) => format!("what {by} had gated by hand"),
        (None, true) => "the target".to_owned(),
        (None, false) => stack.join(" + "),
    };
    let exit = run.exit.filter(|code| *code != 0).map(|code| format!(" (exit {code})")).unwrap_or_default();
    format!("{} {}{exit} on {on}, tree {}", run.gate, run.verdict.word(), short(&run.tree))
}
