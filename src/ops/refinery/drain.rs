//! Works one queue off: look, stack, ask the planner, take the step, look again.

use std::collections::BTreeSet;

use gix::ObjectId;

use super::event::Event;
use super::gate::{Failure, Subject};
use super::land::Attempt;
use super::look::{self, Memo, Outlook};
use super::stack::{self, Stack};
use super::{Drained, Queue};
use crate::error::{Error, Result};
use crate::git::merge::Stacker;
use crate::model::gate::Gate;
use crate::model::merge_request::MrState;
use crate::model::plan::{self, Place, Step};
use crate::name::BeadId;
use crate::store::batch::Batch;
use crate::time;

/// Most steps of one call; far above what a full queue takes, so reaching it is a fault.
const ROUNDS_MAX: u32 = 10_000;
/// After how many landings in a row that were dropped the queue gives up for now.
const RACES_MAX: u32 = 3;
/// After how many runs in a row without a verdict the queue stops.
const FAILURES_MAX: u32 = 3;
/// How often a target must be red to be called red; once may be a flake.
const BASELINE_REDS_MIN: u32 = 2;

/// What one call of [`Queue::drain`] must remember between its rounds; none of it outlives the call.
#[derive(Default)]
struct Course {
    /// Dropped landings in a row.
    races: u32,
    /// Runs without a verdict in a row.
    failures: u32,
    /// The tip that was gated itself in this call.
    baseline: Option<ObjectId>,
    /// Requests that the gates cannot judge on this tip.
    unjudged: BTreeSet<BeadId>,
    /// What was said last of the stack.
    said: Option<(ObjectId, Vec<BeadId>)>,
}

/// What is known of the bare target.
enum Baseline {
    /// Some run has shown it green, or no gate can judge it.
    Holds,
    /// It must be gated first.
    Unknown,
    /// These gates are red on it.
    Red(Vec<String>),
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
            Event::Stacked { .. }
            | Event::GateStarted { .. }
            | Event::GateEnded { .. }
            | Event::Held { .. }
            | Event::Resumed { .. }
            | Event::Recovered { .. }
            | Event::Raced { .. }
            | Event::LeftBehind { .. } => {}
            Event::ConvoyLanded { convoy, .. } => self.convoys.push(convoy.clone()),
            Event::ConvoyFed { beads, .. } => self.slung.extend(beads.iter().cloned()),
        }
    }
}

impl Queue<'_> {
    /// Works the queue until nothing can move.
    ///
    /// # Errors
    /// As [`super::run`].
    pub(super) fn drain(&mut self, drained: &mut Drained, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let target = self.target().to_owned();
        let mut say = |event: &Event| {
            drained.note(event, &target);
            say(event);
        };
        if self.recover(&mut say)? {
            self.work(&mut say)?;
        }
        let state = self.place.ledger.state()?;
        let held = look::requests(&state)?.into_iter().filter(|request| request.mr.state == MrState::Held);
        drained.held.extend(held.filter(|request| request.mr.target == target).map(|request| request.bead.id));
        Ok(())
    }

    fn work(&mut self, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let place = self.place;
        let store = &place.ledger.store;
        let mut stacker = Stacker::new(store)?;
        let mut course = Course::default();
        for _ in 0..ROUNDS_MAX {
            let tip = self.tip(say)?;
            let state = place.ledger.state()?;
            let outlook = Outlook::read(&state, self.target(), self.machine(), time::now()?)?;
            let waiting = outlook.waiting.iter().filter(|request| !course.unjudged.contains(&request.bead.id));
            let waiting = look::company(waiting.cloned().collect());
            let is_asked = |request: &look::Request| self.only.is_none_or(|only| *only == request.bead.id);
            if !waiting.iter().any(is_asked) {
                return Ok(());
            }
            self.check_gates()?;
            let stack = stack::build(store, &mut stacker, tip.commit, waiting)?;
            if self.settle(&stack, say)? {
                continue;
            }
            let places: Vec<Place> = stack
                .placed
                .iter()
                .map(|placed| outlook.place(&placed.request, &self.gates, placed.tree, stack.tip_tree))
                .collect();
            let step = plan::next_step(&places, outlook.memo.flake_rate(), 1);
            if step != Step::SetAside {
                self.resume(&stack, say)?;
                course.say_stack(self.target(), &stack, say);
            }
            let goes_on = match step {
                Step::Rest => false,
                Step::Land(_) if tip.is_remote_away => false,
                Step::Land(length) => self.try_to_land(&mut course, &stack, length, say)?,
                Step::Test(lengths) => self.test(&mut course, &stack, lengths[0], &outlook.memo, say)?,
                Step::Evict(posterior) => self.convict(&mut course, &stack, &places, posterior, &outlook.memo, say)?,
                Step::SetAside => self.set_aside(&mut course, &stack, &outlook.memo, say)?,
            };
            if !goes_on {
                return Ok(());
            }
        }
        Err(Error::bug(format!("the queue of {} did not come to rest", self.target())))
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

    fn try_to_land(&mut self, course: &mut Course, stack: &Stack, length: usize, say: &mut dyn FnMut(&Event)) -> Result<bool> {
        match self.land(stack, length, say)? {
            Attempt::Landed => {
                course.races = 0;
                Ok(true)
            }
            Attempt::RemoteAway(_) => Ok(false),
            Attempt::Dropped(reason) => {
                say(&Event::Raced { target: self.target().to_owned(), reason: reason.clone() });
                course.races += 1;
                if course.races < RACES_MAX {
                    return Ok(true);
                }
                let message = format!("{RACES_MAX} landings on {} in a row were dropped: {reason}", self.target());
                Err(Error::conflict(message).hint("try again when the branch is quiet: gt mq run --once"))
            }
        }
    }

    fn test(
        &mut self,
        course: &mut Course,
        stack: &Stack,
        length: usize,
        memo: &Memo,
        say: &mut dyn FnMut(&Event),
    ) -> Result<bool> {
        let store = &self.place.ledger.store;
        let mut batch = Batch::default();
        let made = stack.commits(store, &mut batch, length, self.committer(), true)?;
        store.write(&batch)?;
        let top = &stack.placed[length - 1];
        let commit = made.last().copied().unwrap_or(stack.tip);
        let subject = Subject { stack: stack.ids(length), commit, tree: top.tree, base: stack.tip };
        self.run_gates(course, &subject, stack.tip_tree, memo, say)
    }

    /// Runs the gates that `subject` still lacks; an error after too many runs without a verdict.
    fn run_gates(
        &mut self,
        course: &mut Course,
        subject: &Subject,
        tip_tree: ObjectId,
        memo: &Memo,
        say: &mut dyn FnMut(&Event),
    ) -> Result<bool> {
        let gates: Vec<Gate> = self.gates.iter().filter(|gate| !memo.is_green(gate, subject.tree)).cloned().collect();
        let Some(Failure { gate, why, is_missing }) = self.judge(subject, &gates, say)? else {
            course.failures = 0;
            return Ok(true);
        };
        course.failures += 1;
        if is_missing && !subject.stack.is_empty() {
            // Does the target have the command? Then it is the stack that lost it, and the search goes on.
            let is_there = |gate_there: &Gate| gate_there.name == gate && memo.is_green(gate_there, tip_tree);
            if self.gates.iter().any(is_there) {
                course.failures = 0;
                return Ok(true);
            }
            if course.baseline != Some(subject.base) {
                course.baseline = Some(subject.base);
                let target = Subject { stack: Vec::new(), commit: subject.base, tree: tip_tree, base: subject.base };
                return self.run_gates(course, &target, tip_tree, memo, say);
            }
        }
        if course.failures < FAILURES_MAX {
            return Ok(true);
        }
        Err(Error::external(format!("gate {gate} gave no verdict {FAILURES_MAX} times in a row: {why}"))
            .hint(format!("nobody was blamed; look at gates.{gate}.command, then: gt mq run --once")))
    }

    /// The head is to blame, unless the target itself is red.
    fn convict(
        &mut self,
        course: &mut Course,
        stack: &Stack,
        places: &[Place],
        posterior: f64,
        memo: &Memo,
        say: &mut dyn FnMut(&Event),
    ) -> Result<bool> {
        match self.baseline(course, stack, memo) {
            Baseline::Holds => {
                self.evict_red(stack, posterior, say)?;
                Ok(true)
            }
            Baseline::Unknown => {
                course.baseline = Some(stack.tip);
                let subject = Subject { stack: Vec::new(), commit: stack.tip, tree: stack.tip_tree, base: stack.tip };
                self.run_gates(course, &subject, stack.tip_tree, memo, say)
            }
            Baseline::Red(gates) => {
                // Only what turns the target green may land, so each prefix gets its one chance.
                if let Some(untested) = places.iter().rposition(|place| place.reds == 0 && !place.is_silent) {
                    return self.test(course, stack, untested + 1, memo, say);
                }
                say(&Event::TargetRed { target: self.target().to_owned(), tip: stack.tip.to_string(), gates });
                Ok(false)
            }
        }
    }

    fn baseline(&self, course: &Course, stack: &Stack, memo: &Memo) -> Baseline {
        let says = memo.says(&self.gates, stack.tip_tree, stack.tip_tree);
        let was_gated_now = course.baseline == Some(stack.tip);
        if says.is_green || (says.is_silent && says.red_gates.is_empty()) {
            Baseline::Holds
        } else if says.reds >= BASELINE_REDS_MIN && was_gated_now {
            Baseline::Red(says.red_gates.into_iter().collect())
        } else {
            Baseline::Unknown
        }
    }

    /// Holds the head, which no gate can judge, and goes on without it.
    fn set_aside(&mut self, course: &mut Course, stack: &Stack, memo: &Memo, say: &mut dyn FnMut(&Event)) -> Result<bool> {
        let Some(head) = stack.placed.first() else { return Ok(false) };
        let gates: Vec<String> = memo.says(&self.gates, head.tree, stack.tip_tree).silent_gates.into_iter().collect();
        self.hold(&head.request, &format!("gate {} cannot judge it (exit code 125)", gates.join(", ")), say)?;
        course.unjudged.insert(head.request.bead.id.clone());
        Ok(true)
    }
}

impl Course {
    fn say_stack(&mut self, target: &str, stack: &Stack, say: &mut dyn FnMut(&Event)) {
        let now = (stack.tip, stack.ids(stack.placed.len()));
        if now.1.is_empty() || self.said.as_ref() == Some(&now) {
            return;
        }
        say(&Event::Stacked { target: target.to_owned(), tip: stack.tip.to_string(), mrs: now.1.clone() });
        self.said = Some(now);
    }
}
