//! One look at a queue: who waits, what they come to when stacked, and what the planner makes of it.

use std::collections::BTreeSet;

use gix::ObjectId;

use super::event::Event;
use super::known::{Known, asked};
use super::look::{self, Outlook};
use super::losses::Losses;
use super::permit::{self, Hindered, Permits};
use super::stack::{self, Stack};
use super::{Drained, Queue, integration};
use crate::config;
use crate::error::{Error, Result};
use crate::git::merge::Stacker;
use crate::ledger::State;
use crate::model::merge_request::MrState;
use crate::model::plan::{self, Action, Places, Running, Trial, width};
use crate::name::BeadId;
use crate::ops::control::halt;
use crate::ops::gates::{Happening, Memo, Outcome, Subject, TrialId};
use crate::runtime::room;
use crate::time;

/// Most steps on end without a wait; far above what a full queue takes, so reaching it is a fault.
const ROUNDS_MAX: u32 = 10_000;
/// After how many runs in a row without a verdict the queue stops.
const FAILURES_MAX: u32 = 3;

/// What working a target must remember between its rounds; none of it outlives the run.
#[derive(Default)]
pub(super) struct Course {
    /// Looks at the queue on end, without a wait.
    pub(super) rounds: u32,
    /// Trials started so far.
    pub(super) started: u32,
    /// Dropped landings since the last one that was none.
    pub(super) losses: Losses,
    /// Runs without a verdict in a row.
    pub(super) failures: u32,
    /// The tip that was gated itself in this call.
    pub(super) baseline: Option<ObjectId>,
    /// Requests that the gates cannot judge on this tip.
    pub(super) unjudged: BTreeSet<BeadId>,
    /// Sets that cannot be stacked, by the tip.
    pub(super) absent: Vec<(ObjectId, Vec<BeadId>)>,
    /// What was said last of the stack.
    pub(super) said: Option<(ObjectId, Vec<BeadId>)>,
    /// The tip that was said to be red.
    pub(super) said_red: Option<ObjectId>,
    /// Trials under way that are not decided, with what they judge.
    pub(super) under_way: Vec<(TrialId, Subject)>,
    /// Whether it was said that the target is paused or frozen.
    pub(super) is_stop_said: bool,
}

/// What comes after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Next {
    /// Nothing can move.
    Rest,
    /// Whatever is under way is waited for, or room for a trial.
    Wait,
    /// Something has changed: plan again.
    Again,
    /// A landing waits for a pull request: nothing is done on this target before that is settled.
    Shut,
}

/// What was heard of trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing in the time.
    Nothing,
    /// Something to tell.
    Something,
    /// A checkout is free again.
    Room,
    /// A trial is decided.
    Verdict,
}

impl Drained {
    /// Takes note of an event.
    pub(super) fn note(&mut self, event: &Event, target: &str) {
        match event {
            Event::Landed { mr, .. } => self.landed.push(mr.clone()),
            Event::Evicted { mr, .. } => self.evicted.push(mr.clone()),
            Event::TargetRed { target, .. } => {
                self.red_targets.insert(target.clone());
            }
            Event::RemoteAway { .. } => {
                self.waiting_for_remote.insert(target.to_owned());
            }
            Event::PullRequestOpened { target, reference: said, .. }
            | Event::PullRequestWaits { target, reference: said, .. }
            | Event::PullRequestStuck { target, reason: said } => {
                self.waiting_for_pull_request.insert(target.clone(), said.clone());
            }
            Event::Stopped { target, said, .. } => {
                self.stopped.insert(target.clone(), said.clone());
            }
            Event::Stacked { .. }
            | Event::GateStarted { .. }
            | Event::GateEnded { .. }
            | Event::Held { .. }
            | Event::Resumed { .. }
            | Event::Forced { .. }
            | Event::Recovered { .. }
            | Event::Raced { .. }
            | Event::LeftBehind { .. }
            | Event::TargetMoved { .. }
            | Event::FalseGreen { .. }
            | Event::Plugin { .. }
            | Event::TaskGiven { .. }
            | Event::TaskWaits { .. } => {}
            Event::ConvoyLanded { convoy, .. } => self.convoys.push(convoy.clone()),
            Event::ConvoyFed { beads, .. } => self.slung.extend(beads.iter().cloned()),
        }
    }
}

impl Queue<'_> {
    /// Settles what a dead process left, and lets plugins look at what waits; false when the target waits for its remote
    /// or a pull request.
    ///
    /// # Errors
    /// As [`super::run`].
    pub(super) fn set_out(&mut self, say: &mut dyn FnMut(&Event)) -> Result<bool> {
        let is_free = self.recover(say)?;
        // They advise: one that cannot be read or called is in nobody's way.
        if is_free && let Err(error) = self.call_plugins(say) {
            say(&Event::LeftBehind { what: "what plugins think of it".to_owned(), reason: error.line() });
        }
        Ok(is_free)
    }

    /// Notes who is still held when nothing of the queue can move any more.
    ///
    /// # Errors
    /// As [`super::run`].
    pub(super) fn note_held_back(&self, drained: &mut Drained) -> Result<()> {
        let state = self.place.ledger.state()?;
        let held = look::requests(&state)?.into_iter().filter(|request| request.mr.state == MrState::Held);
        let target = self.target();
        drained.held.extend(held.filter(|request| request.mr.target == target).map(|request| request.bead.id));
        Ok(())
    }

    /// Looks at the queue once and takes the steps that can be taken.
    ///
    /// # Errors
    /// As [`super::run`].
    pub(super) fn round(&mut self, course: &mut Course, stacker: &mut Stacker<'_>, say: &mut dyn FnMut(&Event)) -> Result<Next> {
        // What is under way ends with this queue, and is taken up by the next.
        halt::check(self.town, Some(&self.place.rig.name))?;
        course.rounds += 1;
        if course.rounds > ROUNDS_MAX {
            return Err(Error::bug(format!("the queue of {} did not come to rest", self.target())));
        }
        let next = self.look_and_act(course, stacker, say)?;
        if next != Next::Again {
            course.rounds = 0;
        }
        Ok(next)
    }

    fn look_and_act(&mut self, course: &mut Course, stacker: &mut Stacker<'_>, say: &mut dyn FnMut(&Event)) -> Result<Next> {
        let place = self.place;
        let store = &place.ledger.store;
        let tip = self.tip(say)?;
        let state = place.ledger.state()?;
        if integration::whole_of(place, &state, self.target())?.is_some() {
            // Filed since this queue was begun; the next run holds those that wait.
            course.under_way.drain(..).for_each(|(trial, _)| self.trials.cancel(trial));
            return Ok(Next::Rest);
        }
        let outlook = Outlook::read(&state, self.target(), &self.rules, time::now()?)?;
        let hindered = self.hindered(&state, &outlook.waiting, course, say)?;
        let waiting = outlook.waiting.iter().filter(|request| !course.unjudged.contains(&request.bead.id));
        let waiting = waiting.filter(|request| hindered.may_be_stacked(request));
        let waiting = look::company(waiting.cloned().collect(), &outlook.kin);
        let is_asked = |request: &look::Request| self.only.is_none_or(|only| *only == request.bead.id);
        if !waiting.iter().any(is_asked) {
            // What is still judged was about those that left.
            course.under_way.drain(..).for_each(|(trial, _)| self.trials.cancel(trial));
            return Ok(Next::Rest);
        }
        self.check_gates()?;
        let stack = stack::build(store, stacker, tip.commit, waiting, &outlook.kin)?;
        if self.settle(&stack, say)? {
            return Ok(Next::Again);
        }
        let gates = self.gates.clone();
        let known = Known { store, outlook: &outlook, gates: &gates, stack: &stack };
        // One landing at a time: what is open was left by a remote that did not answer, and is settled by the next run.
        let may_land = !tip.is_remote_away && !has_intent(&state, self.target())?;
        let landable = if may_land { hindered.landable(&stack.ids(stack.placed.len())) } else { 0 };
        let (rest, outlook) = permit::rest(self.outlook(course, &known, stacker)?, landable);
        let actions = rest.actions(plan::plan(&outlook));
        if !matches!(actions[..], [Action::SetAside(_)]) {
            self.resume(&stack, &hindered, say)?;
            course.say_stack(self.target(), &stack, say);
        }
        let mut next = if course.under_way.is_empty() { Next::Rest } else { Next::Wait };
        for action in actions {
            let is_off = matches!(action, Action::Land(_)) && !may_land;
            if !is_off {
                next = next.max(self.act(course, &known, stacker, action, say)?);
            }
            if next == Next::Shut {
                course.under_way.drain(..).for_each(|(trial, _)| self.trials.cancel(trial));
                break;
            }
        }
        Ok(next)
    }

    /// What the planner is told: the queue, what is known, what runs. Trials that say nothing of today's queue are called off.
    fn outlook(&self, course: &mut Course, known: &Known<'_>, stacker: &mut Stacker<'_>) -> Result<plan::Outlook> {
        let trials = course.amended(known.trials(stacker)?, known.stack);
        let queue = asked(known.outlook, known.stack);
        let mut running = Vec::new();
        let landed = known.landed()?;
        course.under_way.retain(|(trial, subject)| {
            let about = landed.about(subject, known.stack);
            match about {
                Some((set, lacks)) => running.push(Running { run: trial.number(), set, lacks }),
                None => self.trials.cancel(*trial),
            }
            about.is_some()
        });
        let workers = self.workers(known.outlook, &queue)?.min(self.share);
        Ok(plan::Outlook { queue, trials, running, workers })
    }

    /// How many trials there may be side by side: as configured, or as many as pay by what was measured.
    fn workers(&self, outlook: &Outlook, queue: &[plan::Asked]) -> Result<usize> {
        let set = config::number(self.town, Some(self.place), "mq.workers")?.unwrap_or(0);
        if set > 0 {
            return Ok(usize::try_from(set).unwrap_or(1));
        }
        let risks: Vec<f64> = queue.iter().map(|asked| asked.risk).collect();
        let (cores, memory_mib) = room::of_machine();
        let room = width::Room { cores, memory_mib, run_mib: 0 };
        Ok(width::width(room, &outlook.timed, width::bits(&risks)))
    }

    /// No gates, no landing: a gate that did not run did not pass.
    fn check_gates(&self) -> Result<()> {
        if !self.gates.is_empty() || self.is_ungated_allowed {
            return Ok(());
        }
        Err(Error::refused(format!("no gate is configured for {}, so nothing may land", self.place.rig.name)).hint(format!(
            "gt config set gates.test.command 'COMMAND' --rig {0}; or land without: gt config set gates.require false --rig {0}",
            self.place.rig.name
        )))
    }

    /// Waits for the next thing that happens to what is under way, at most `millis`; true when a trial is decided, and
    /// there is to be planned again.
    ///
    /// # Errors
    /// Io or corrupt, when a run cannot be recorded; external, after too many without a verdict.
    pub(super) fn heed(&mut self, course: &mut Course, millis: u64, say: &mut dyn FnMut(&Event)) -> Result<Heard> {
        match self.trials.next(millis)? {
            Some(Happening::Decided { trial, outcome }) => {
                let Some(at) = course.under_way.iter().position(|(other, _)| *other == trial) else {
                    return Ok(Heard::Something);
                };
                let (_, subject) = course.under_way.swap_remove(at);
                self.decided(course, &subject, outcome, say)?;
                Ok(Heard::Verdict)
            }
            Some(happening) => {
                let is_over = matches!(happening, Happening::Over { .. });
                self.tell(happening, say);
                Ok(if is_over { Heard::Room } else { Heard::Something })
            }
            None => Ok(Heard::Nothing),
        }
    }

    /// Takes note of how a trial ended; an error after too many without a verdict.
    fn decided(&mut self, course: &mut Course, subject: &Subject, outcome: Outcome, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let failure = match outcome {
            Outcome::Failed(failure) => failure,
            Outcome::Green | Outcome::Red | Outcome::Inconclusive => {
                course.failures = 0;
                return Ok(());
            }
            Outcome::Cancelled => return Ok(()),
        };
        course.failures += 1;
        if failure.is_missing && !subject.stack.is_empty() {
            // Does the target have the command? Then it is the stack that lost it, and the search goes on.
            let tree = self.place.ledger.store.tree_of(subject.base)?;
            let memo = Memo::of(&self.place.ledger.state()?.gate_runs()?, &self.rules, time::now()?);
            let mut missed = self.gates.iter().filter(|gate| failure.gate.as_ref() == Some(&gate.name));
            if missed.any(|gate| memo.is_green(gate, tree)) {
                course.failures = 0;
                return Ok(());
            }
            if course.baseline != Some(subject.base) {
                let target = Subject { stack: Vec::new(), commit: subject.base, tree, base: subject.base };
                self.test(course, target, &memo, say)?;
                return Ok(());
            }
        }
        if course.failures < FAILURES_MAX {
            return Ok(());
        }
        let said = format!("{}: {}", failure.what(), failure.why);
        self.tell_stopped(&subject.base.to_string(), FAILURES_MAX, said)?;
        let look_at = failure.gate.as_ref().map_or("the disk".to_owned(), |gate| format!("gates.{gate}.command"));
        Err(Error::external(format!("{} gave no verdict {FAILURES_MAX} times in a row: {}", failure.what(), failure.why))
            .hint(format!("nobody was blamed; look at {look_at}, then: gt mq run --once")))
    }

    /// What people said that holds which of `waiting`; noted and told.
    fn hindered(
        &self,
        state: &State<'_>,
        waiting: &[look::Request],
        course: &mut Course,
        say: &mut dyn FnMut(&Event),
    ) -> Result<Hindered> {
        let permits = Permits::of(&self.review, state)?;
        let control = permits.control(self.target()).filter(|_| !waiting.is_empty());
        if let Some(control) = control.filter(|_| !std::mem::replace(&mut course.is_stop_said, true)) {
            say(&Event::Stopped { target: control.target.clone(), state: control.state, said: control.words() });
        }
        let hindered = permits.hindered(state, &self.place.ledger.store, waiting)?;
        self.note_hindered(waiting, &hindered, say)?;
        Ok(hindered)
    }
}

/// Whether a landing on `target` is open.
fn has_intent(state: &State<'_>, target: &str) -> Result<bool> {
    Ok(state.intents()?.iter().any(|intent| intent.target == target))
}

impl Course {
    /// `trials` with what only this call knows: which sets cannot be stacked, and that a target that was red before
    /// is asked once more before it is called so.
    fn amended(&self, mut trials: Vec<Trial>, stack: &Stack) -> Vec<Trial> {
        for (_, absent) in self.absent.iter().filter(|(tip, _)| *tip == stack.tip) {
            let at = |id: &BeadId| stack.placed.iter().position(|placed| placed.request.bead.id == *id);
            let Some(places) = absent.iter().map(at).collect::<Option<Vec<usize>>>() else { continue };
            trials.push(Trial { is_absent: true, ..Trial::new(places.into_iter().collect(), 0) });
        }
        if self.baseline != Some(stack.tip) {
            for trial in trials.iter_mut().filter(|trial| trial.is_of(Places::NONE)) {
                trial.reds = trial.reds.min(1);
            }
        }
        trials
    }

    fn say_stack(&mut self, target: &str, stack: &Stack, say: &mut dyn FnMut(&Event)) {
        let now = (stack.tip, stack.ids(stack.placed.len()));
        if now.1.is_empty() || self.said.as_ref() == Some(&now) {
            return;
        }
        say(&Event::Stacked { target: target.to_owned(), tip: stack.tip.to_string(), mrs: now.1.clone() });
        self.said = Some(now);
    }
}
