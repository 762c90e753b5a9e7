//! Sends a request back: one transaction with the blame packet, its work open again, and word to its author.

use gix::ObjectId;

use super::Queue;
use super::event::{Event, short};
use super::look::{self, Request, is_missing, memo_key, object_id};
use super::stack::{Stack, quoted, reproduce_conflict};
use crate::env::crash_point;
use crate::error::Result;
use crate::git::merge::merge_base;
use crate::git::{commits, diff};
use crate::ledger::{Change, State, tree};
use crate::model::bead::Status;
use crate::model::gate::{GateRun, Verdict};
use crate::model::merge_request::{Blame, MergeRequest, MrState};
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
    /// Sends back the head of `stack`, on which gates were red.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn evict_red(&self, stack: &Stack, posterior: f64, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let Some(head) = stack.placed.first() else { return Ok(()) };
        let (store, request) = (&self.place.ledger.store, &head.request);
        let state = self.place.ledger.state()?;
        let mut runs = state.gate_runs()?;
        runs.sort_by(|a, b| a.rev.cmp(&b.rev));
        let keys: Vec<String> = self.gates.iter().map(|gate| memo_key(gate, self.machine(), head.tree)).collect();
        let last = runs.iter().rev().find(|run| (run.verdict == Verdict::Red || is_missing(run)) && keys.contains(&run.key));
        let mut blame = Self::blame("red", stack.tip, &state, request)?;
        blame.posterior = posterior;
        blame.evidence = evidence(&runs, &request.bead.id);
        if let Some(run) = last {
            blame.gate.clone_from(&run.gate);
            blame.exit = run.exit;
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
        let message = |bead: &BeadId| Protocol::MergeFailed {
            mr: request.bead.id.clone(),
            bead: bead.clone(),
            gate: blame.gate.clone(),
            exit: blame.exit,
            log: blame.log_tail.clone(),
            evidence: blame.evidence.clone(),
        };
        self.send_back(request, &blame, message, say)
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
        blame.reproduce = reproduce_conflict(store, &blame.base, &request.mr.head);
        let message = |bead: &BeadId| Protocol::ReworkRequest {
            mr: request.bead.id.clone(),
            bead: bead.clone(),
            target: request.mr.target.clone(),
            files: blame.files.clone(),
            ours: request.mr.head.clone(),
            theirs: blame.theirs.clone(),
        };
        self.send_back(request, &blame, message, say)
    }

    fn blame(cause: &str, tip: ObjectId, state: &State<'_>, request: &Request) -> Result<Blame> {
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
            landed_since: landed.map(|other| other.bead.id).collect(),
            reproduce: String::new(),
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
        message: impl Fn(&BeadId) -> Protocol,
        say: &mut dyn FnMut(&Event),
    ) -> Result<()> {
        let id = &request.bead.id;
        let is_sent = self.transact("evict", format!("send back {id} ({})", blame.cause), |change| {
            let mut bead = change.bead(id)?;
            let mut mr = MergeRequest::of(&bead)?;
            if !mr.state.is_live() || mr.head != request.mr.head {
                return Ok(false);
            }
            mr.state = MrState::Evicted;
            mr.held_reason = None;
            mr.blame = Some(blame.clone());
            mr.put_into(&mut bead);
            bead.close(&self.me.to_string(), &format!("evicted ({})", blame.cause), change.now())?;
            change.put_bead(&bead)?;
            for source in &mr.source_beads {
                self.reopen(change, source, id, blame)?;
                for to in self.hearers(&mr.author) {
                    post::post(change, &message(source), &self.me, &to)?;
                }
            }
            Ok(true)
        })?;
        if is_sent {
            let detail = if blame.gate.is_empty() { blame.files.join(", ") } else { blame.gate.clone() };
            say(&Event::Evicted {
                mr: id.clone(),
                beads: request.mr.source_beads.clone(),
                cause: blame.cause.clone(),
                detail,
                posterior: blame.posterior,
            });
        }
        Ok(())
    }

    /// Opens the work again, with a remark that tells whoever takes it up what failed.
    fn reopen(&self, change: &mut Change<'_>, source: &BeadId, mr: &BeadId, blame: &Blame) -> Result<()> {
        let (now, rev) = (change.now(), change.rev().to_string());
        let mut bead = change.bead(source)?;
        // Somebody who moved it meanwhile knows better; the remark is left all the same.
        if bead.status == Status::InReview {
            bead.become_status(Status::Open, now)?;
        }
        let what = if blame.gate.is_empty() {
            format!("it conflicts with {} in {}", short(&blame.base), blame.files.join(", "))
        } else {
            let exit = blame.exit.map_or_else(|| "timed out".to_owned(), |code| format!("exit {code}"));
            format!("gate {} is red ({exit})", blame.gate)
        };
        bead.comment(rev, &self.me.to_string(), &format!("merge request {mr} was sent back: {what}; see: gt mq why {mr}"), now);
        bead.extra.insert(LAST_FAILURE.to_owned(), mr.to_string().into());
        change.put_bead(&bead)
    }
}

/// The runs on stacks with `mr`, one line each, oldest first.
fn evidence(runs: &[GateRun], mr: &BeadId) -> Vec<String> {
    let about = runs.iter().filter(|run| run.stack.contains(mr) && (run.verdict != Verdict::Infrastructure || is_missing(run)));
    let mut lines: Vec<String> = about.map(evidence_line).collect();
    lines.drain(..lines.len().saturating_sub(LINES_MAX));
    lines
}

/// A run in one line.
#[must_use]
pub(super) fn evidence_line(run: &GateRun) -> String {
    let stack: Vec<&str> = run.stack.iter().map(BeadId::as_str).collect();
    let on = if stack.is_empty() { "the target".to_owned() } else { stack.join(" + ") };
    let exit = run.exit.filter(|code| *code != 0).map(|code| format!(" (exit {code})")).unwrap_or_default();
    format!("{} {}{exit} on {on}, tree {}", run.gate, run.verdict.word(), short(&run.tree))
}
