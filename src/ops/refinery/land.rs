//! Landing: intent recorded, everything checked again, target swapped, then one transaction for the records.
//!
//! The swap is the landing. Before it nothing has happened that cannot be dropped; after it everything left to
//! do can be told from the intent, by whoever comes next. What lands is the commit that was gated.

use gix::ObjectId;

use super::check;
use super::event::Event;
use super::kin::{Kin, Tie};
use super::look::{self, Request, object_id};
use super::losses::Loss;
use super::permit::Permits;
use super::remote::Moved;
use super::stack::Stack;
use super::{Queue, Turn, integration, pull};
use crate::env::crash_point;
use crate::error::{Error, Result};
use crate::git::merge::Stacker;
use crate::git::{commits, program, promised, worktree};
use crate::ledger::{State, tree};
use crate::model::gate::{Intent, Landing};
use crate::model::merge_request::{MergeRequest, MrState};
use crate::model::record::{Object, Rev, SCHEMA_VERSION};
use crate::ops::gates::Memo;
use crate::store::batch::Batch;
use crate::store::refs::Swap;
use crate::time;

/// How an attempt to land ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The target has it and the records say so.
    Landed,
    /// Something changed meanwhile; nothing landed and the intent is gone.
    Dropped(Loss),
    /// The remote could not be asked; the intent stays open.
    RemoteAway(String),
    /// It waits for a pull request; the intent stays open.
    Waiting,
    /// Its pull request is said to be merged: the target is to be read once more.
    Merged,
    /// Its pull request was closed; the requests were sent back and the intent is gone.
    Closed,
}

impl Queue<'_> {
    /// Lands the first `length` requests of `stack`, whose tree the memo holds green.
    ///
    /// # Errors
    /// Io or corrupt, when something cannot be read or written; what was begun is recovered by the next run.
    pub(super) fn land(&mut self, stack: &Stack, length: usize, say: &mut dyn FnMut(&Event)) -> Result<Attempt> {
        let store = &self.place.ledger.store;
        let mut batch = Batch::default();
        let is_gated = !self.gates.is_empty() && self.force.is_none();
        let made = stack.commits(store, &mut batch, length, self.committer(), is_gated)?;
        let new = made.last().copied().unwrap_or(stack.tip);
        store.write(&batch)?;
        let below = std::iter::once(&stack.tip).chain(&made);
        let landings = stack.placed.iter().zip(&made).zip(below).map(|((placed, commit), onto)| Landing {
            mr: placed.request.bead.id.clone(),
            head: placed.request.mr.head.clone(),
            commit: commit.to_string(),
            onto: Some(onto.to_string()),
        });
        let intent = Intent {
            v: SCHEMA_VERSION,
            // A landing that is called off leaves nothing, so its commit can name the next one too.
            id: new.to_hex_with_len(16).to_string(),
            target: self.target().to_owned(),
            old: stack.tip.to_string(),
            new: new.to_string(),
            landings: landings.collect(),
            tree: store.tree_of(new)?.to_string(),
            pull_request: None,
            rev: Rev::default(),
            extra: Object::new(),
        };
        commits::pin(store, &tree::landing_pin(&intent.id), new, &[stack.tip])?;
        crash_point("land.pinned");
        if let Some(reason) = self.announce(&intent)? {
            self.unpin(&intent)?;
            return Ok(Attempt::Dropped(Loss::records(reason)));
        }
        crash_point("land.intent");
        self.carry_out(&intent, say)
    }

    /// Records the intent and marks its requests; when one of them is not as it was or may not land any more, tells so
    /// and records nothing.
    fn announce(&self, intent: &Intent) -> Result<Option<String>> {
        let forced = self.force.as_ref().map(|force| format!(" without gates: {}", first_line(&force.reason)));
        let subject = format!("land {} on {}{}", count(intent.landings.len()), intent.target, forced.unwrap_or_default());
        self.transact("land", subject, |change| {
            if let Some(whole) = integration::whole_of(self.place, change.before(), &intent.target)? {
                return Ok(Some(format!("all of {} is about to land as {whole}", intent.target)));
            }
            if change.before().intents()?.iter().any(|other| other.target == intent.target && other.id != intent.id) {
                return Ok(Some(format!("another landing on {} is open", intent.target)));
            }
            let mut announced = Vec::new();
            for landing in &intent.landings {
                let bead = change.bead(&landing.mr)?;
                let mut request = Request { mr: MergeRequest::of(&bead)?, bead };
                let is_same = request.mr.head == landing.head && request.mr.target == intent.target;
                if !request.mr.state.is_live() || !is_same {
                    // Nothing was put yet: a request that is landing has an intent, always.
                    return Ok(Some(format!("{} was withdrawn or replaced", landing.mr)));
                }
                if let Some(why) = self.forbids(change.before(), &request)? {
                    return Ok(Some(why));
                }
                request.mr.become_state(MrState::Landing);
                request.mr.force.clone_from(&self.force);
                request.mr.pull_request = self.clerk.as_ref().map(|_| pull::branch_for(&intent.target));
                request.mr.put_into(&mut request.bead);
                announced.push(request.bead);
            }
            announced.iter().try_for_each(|bead| change.put_bead(bead))?;
            change.put(&tree::intent(&intent.id), intent)?;
            Ok(None)
        })
    }

    /// What people said that forbids landing `request` now; an order to land it overrules it all.
    fn forbids(&self, state: &State<'_>, request: &Request) -> Result<Option<String>> {
        if self.force.is_some() || request.mr.force.is_some() {
            return Ok(None);
        }
        let hindrance = Permits::of(&self.review, state)?.hindrance(state, &self.place.ledger.store, request)?;
        Ok(hindrance.map(|hindrance| format!("{}: {}", request.bead.id, hindrance.why)))
    }

    /// Checks again, swaps and records, or asks for the swap by a pull request; also what recovery does when the target has not moved.
    ///
    /// # Errors
    /// As [`Queue::land`].
    pub(super) fn carry_out(&mut self, intent: &Intent, say: &mut dyn FnMut(&Event)) -> Result<Attempt> {
        if let Some(loss) = self.obstacle(intent)? {
            self.call_off(intent)?;
            return Ok(Attempt::Dropped(loss));
        }
        crash_point("land.checked");
        if let Some(clerk) = &self.clerk {
            return self.by_pull_request(clerk, intent, say);
        }
        match self.move_target(&self.turn, intent, say)? {
            Moved::Yes => {}
            Moved::Away(reason) => return Ok(Attempt::RemoteAway(reason)),
            Moved::Refused(reason) => {
                // Nothing landed, so nothing is left open: the requests can be withdrawn or held like others that wait.
                self.call_off(intent)?;
                return Err(Error::external(format!("the remote does not take {}: {reason}", intent.target))
                    .hint("what was gated stays so; once the remote takes it: gt mq run --once"));
            }
            Moved::Lost(reason) => {
                self.call_off(intent)?;
                return Ok(Attempt::Dropped(Loss::race(reason)));
            }
        }
        crash_point("land.moved");
        self.finish(intent, say)?;
        Ok(Attempt::Landed)
    }

    /// What forbids landing `intent` now, if anything: the memo no longer holds its tree green, a head moved, somebody
    /// said that it waits, or a commit changes what its request did not.
    fn obstacle(&self, intent: &Intent) -> Result<Option<Loss>> {
        let store = &self.place.ledger.store;
        let state = self.place.ledger.state()?;
        let (old, new) = (object_id(&intent.old)?, object_id(&intent.new)?);
        let tree = store.tree_of(new)?;
        if object_id(&intent.tree)? != tree {
            return Ok(Some(Loss::records("its commit has another tree than the one that was gated".to_owned())));
        }
        let mut requests = Vec::new();
        for landing in &intent.landings {
            let bead = state.bead(&landing.mr)?;
            let request = Request { mr: MergeRequest::of(&bead)?, bead };
            if request.mr.state != MrState::Landing || request.mr.head != landing.head {
                return Ok(Some(Loss::records(format!("{} was withdrawn or replaced", landing.mr))));
            }
            requests.push(request);
        }
        let is_forced = !requests.is_empty() && requests.iter().all(|request| request.mr.force.is_some());
        if !is_forced && let Some(why) = self.lacks_green(&state, tree)? {
            return Ok(Some(Loss::records(why)));
        }
        let kin = Kin::of(&state, &look::requests(&state)?)?;
        let mut stacker = Stacker::new(store)?;
        let mut below = old;
        for (at, (request, landing)) in requests.iter().zip(&intent.landings).enumerate() {
            if let Some(why) = look::unfit(store, request)? {
                return Ok(Some(Loss::of(&landing.mr, format!("{}: {why}", landing.mr))));
            }
            if let Some(why) = self.forbids(&state, request)? {
                return Ok(Some(Loss::records(why)));
            }
            let is_below = |tie: &&Tie| intent.landings[..at].iter().any(|lower| lower.mr == tie.parent);
            let mut ties = kin.ties(&landing.mr).iter();
            if let Some(tie) = ties.find(|tie| tie.state != MrState::Landed && !is_below(tie)) {
                let why = format!("{} stands on {}, which has not landed", landing.mr, tie.parent);
                return Ok(Some(Loss::of(&landing.mr, why)));
            }
            let (commit, elders) = (object_id(&landing.commit)?, kin.heads(&landing.mr));
            if let Some(why) = check::fault(store, &mut stacker, (request, &elders), old, (below, commit))? {
                return Ok(Some(Loss::of(&landing.mr, format!("{} {why}", landing.mr))));
            }
            below = commit;
        }
        Ok((below != new).then(|| Loss::records("its commits do not end where it says".to_owned())))
    }

    /// Why `tree` does not count as gated, if so.
    fn lacks_green(&self, state: &State<'_>, tree: ObjectId) -> Result<Option<String>> {
        if self.gates.is_empty() && !self.is_ungated_allowed {
            return Ok(Some("no gate is configured".to_owned()));
        }
        let memo = Memo::of(&state.gate_runs()?, &self.rules, time::now()?);
        let is_green = memo.says(&self.gates, tree, tree).is_green;
        Ok((!is_green).then(|| "not every gate is green for its tree".to_owned()))
    }

    /// Moves the target from `old` to `new`; with a remote target, there first.
    fn move_target(&self, turn: &Turn, intent: &Intent, say: &mut dyn FnMut(&Event)) -> Result<Moved> {
        let (old, new) = (object_id(&intent.old)?, object_id(&intent.new)?);
        if self.place.rig.land_remote {
            let moved = self.push_target(turn, old, new, say)?;
            if moved != Moved::Yes {
                return Ok(moved);
            }
        }
        match self.place.ledger.store.swap_ref(&turn.target_ref(), Some(old), new)? {
            Swap::Moved => self.move_worktrees(old, new, say)?,
            Swap::Lost(_) if self.place.rig.land_remote => {
                let reason = "it is not where the remote was; the landing stands at the remote".to_owned();
                say(&Event::LeftBehind { what: format!("branch {}", intent.target), reason });
            }
            Swap::Lost(_) => return Ok(Moved::Lost(format!("{} moved meanwhile", intent.target))),
        }
        Ok(Moved::Yes)
    }

    /// Lets worktrees that are on the target follow it. One with changes in the way is left and reported.
    ///
    /// A two-tree read is git's own fast-forward of index and files: it moves no ref and overwrites no change.
    pub(super) fn move_worktrees(&self, old: ObjectId, new: ObjectId, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let store = &self.place.ledger.store;
        for tree in worktree::list(store)? {
            if tree.branch.as_deref() != Some(self.target()) || !tree.dir.is_dir() {
                continue;
            }
            let what = format!("worktree {}", tree.dir.display());
            if let Err(error) = promised::bring_changed(store, store.tree_of(old)?, store.tree_of(new)?) {
                say(&Event::LeftBehind { what, reason: error.line() });
                continue;
            }
            let _ = program::run(&tree.dir, &["update-index", "-q", "--refresh"])?;
            let ran = program::run(&tree.dir, &["read-tree", "-m", "-u", &old.to_string(), &new.to_string()])?;
            if ran.code != Some(0) {
                let reason = "it has changes of its own where the target changed".to_owned();
                say(&Event::LeftBehind { what, reason });
            }
        }
        Ok(())
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

pub(super) fn count(requests: usize) -> String {
    if requests == 1 { "1 request".to_owned() } else { format!("{requests} requests") }
}
