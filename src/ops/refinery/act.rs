//! The steps of a plan, taken: land, gate, send back, set aside, end.

use super::Queue;
use super::drain::{Course, Next};
use super::event::Event;
use super::known::Known;
use super::land::Attempt;
use super::losses::{After, LOSSES_MAX, Loss};
use super::stack::Stack;
use crate::error::{Error, Result};
use crate::git::merge::Stacker;
use crate::model::plan::{Action, Places};
use crate::ops::gates::{Memo, Subject};
use crate::store::batch::Batch;

impl Queue<'_> {
    /// Does one action of the plan.
    pub(super) fn act(
        &mut self,
        course: &mut Course,
        known: &Known<'_>,
        stacker: &mut Stacker<'_>,
        action: Action,
        say: &mut dyn FnMut(&Event),
    ) -> Result<Next> {
        let (stack, memo) = (known.stack, &known.outlook.memo);
        match action {
            Action::Land(set) if set == Places::first(set.len()) => self.try_to_land(course, stack, set.len(), say),
            Action::Land(set) => match known.restacked(stacker, set)? {
                Some(green) => self.try_to_land(course, &green, green.placed.len(), say),
                None => Err(Error::bug("what was green together does not stack")),
            },
            Action::Test(Places::NONE) => {
                let subject = Subject { stack: Vec::new(), commit: stack.tip, tree: stack.tip_tree, base: stack.tip };
                self.test(course, subject, memo, say)
            }
            Action::Test(set) if set == Places::first(set.len()) => {
                let subject = self.subject(stack, set.len())?;
                self.test(course, subject, memo, say)
            }
            Action::Test(set) => match known.restacked(stacker, set)? {
                Some(part) => {
                    let subject = self.subject(&part, part.placed.len())?;
                    self.test(course, subject, memo, say)
                }
                None => {
                    course.absent.push((stack.tip, stack.of(set)));
                    Ok(Next::Again)
                }
            },
            Action::Evict { place, posterior } => {
                self.evict_red(stack, place, posterior, say)?;
                Ok(Next::Again)
            }
            Action::SetAside(place) => self.set_aside(course, stack, place, memo, say),
            Action::TargetRed => {
                let gates: Vec<String> = memo.says(&self.gates, stack.tip_tree, stack.tip_tree).red_gates.into_iter().collect();
                if course.said_red.replace(stack.tip) != Some(stack.tip) {
                    self.tell_red(&stack.tip.to_string(), &gates)?;
                    say(&Event::TargetRed { target: self.target().to_owned(), tip: stack.tip.to_string(), gates });
                }
                Ok(Next::Rest)
            }
            Action::Cancel(run) => {
                for (trial, _) in course.under_way.extract_if(.., |(trial, _)| trial.number() == run) {
                    self.trials.cancel(trial);
                }
                Ok(Next::Wait)
            }
        }
    }

    fn try_to_land(&mut self, course: &mut Course, stack: &Stack, length: usize, say: &mut dyn FnMut(&Event)) -> Result<Next> {
        match self.land(stack, length, say)? {
            Attempt::Landed => {
                course.losses.forget();
                Ok(Next::Again)
            }
            // Of a remote that does not answer nothing is landed; whatever else waits is gated meanwhile.
            Attempt::RemoteAway(_) | Attempt::Closed => Ok(Next::Again),
            Attempt::Waiting | Attempt::Merged => Ok(Next::Shut),
            Attempt::Dropped(loss) => {
                say(&Event::Raced { target: self.target().to_owned(), reason: loss.reason.clone() });
                self.after_loss(course, stack, &loss, say)
            }
        }
    }

    fn after_loss(&self, course: &mut Course, stack: &Stack, loss: &Loss, say: &mut dyn FnMut(&Event)) -> Result<Next> {
        let reason = &loss.reason;
        let lost = match course.losses.note(loss) {
            After::Again => return Ok(Next::Again),
            After::Evict(id) => {
                self.evict_unfit(&id, stack.tip, reason, say)?;
                return Ok(Next::Again);
            }
            After::Contended => {
                self.tell_contended(&stack.tip.to_string(), reason)?;
                format!("{LOSSES_MAX} landings on {} in a row were dropped: {reason}", self.target())
            }
            After::Enough => format!("landings on {} are dropped again and again: {reason}", self.target()),
        };
        Err(Error::conflict(lost).hint("try again when the branch is quiet: gt mq run --once"))
    }

    /// The first `length` of `stack` as a commit that can be gated.
    fn subject(&self, stack: &Stack, length: usize) -> Result<Subject> {
        let store = &self.place.ledger.store;
        let mut batch = Batch::default();
        let made = stack.commits(store, &mut batch, length, self.committer(), true)?;
        store.write(&batch)?;
        let commit = made.last().copied().unwrap_or(stack.tip);
        Ok(Subject { stack: stack.ids(length), commit, tree: stack.tree_at(length), base: stack.tip })
    }

    /// Starts the gates that `subject` still lacks, if there is room for that.
    pub(super) fn test(
        &mut self,
        course: &mut Course,
        subject: Subject,
        memo: &Memo,
        say: &mut dyn FnMut(&Event),
    ) -> Result<Next> {
        let tasks = memo.tasks(subject.tree);
        if tasks.is_empty() {
            return Ok(Next::Again);
        }
        let waits = course.under_way.is_empty() && self.is_alone;
        if let Some(trial) = self.begin(&subject, &tasks, waits, say)? {
            if subject.stack.is_empty() {
                course.baseline = Some(subject.base);
            }
            course.under_way.push((trial, subject));
            course.started += 1;
        }
        Ok(Next::Wait)
    }

    /// Holds a request, which no gate can judge, and goes on without it.
    fn set_aside(
        &mut self,
        course: &mut Course,
        stack: &Stack,
        place: usize,
        memo: &Memo,
        say: &mut dyn FnMut(&Event),
    ) -> Result<Next> {
        let placed = &stack.placed[place];
        let gates: Vec<String> = memo.says(&self.gates, placed.tree, stack.tip_tree).silent_gates.into_iter().collect();
        self.hold(&placed.request, &format!("gate {} cannot judge it (exit code 125)", gates.join(", ")), say)?;
        course.unjudged.insert(placed.request.bead.id.clone());
        Ok(Next::Again)
    }
}
