//! The targets of a rig, worked side by side: each gets its turn and its share of the checkouts, and what goes wrong with
//! one keeps no other from going on.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::drain::{Course, Heard, Next};
use super::event::Event;
use super::{Drained, Queue, Turn, clerk, integration, look, resolve};
use crate::config;
use crate::error::{Error, Result};
use crate::git::merge::Stacker;
use crate::ledger::Actor;
use crate::model::address::Address;
use crate::name::BeadId;
use crate::ops::gates::{Rules, Trials, Yard};
use crate::time::Stopwatch;
use crate::town::{RigPlace, Town};

/// How often it is looked whether who waits has changed, while trials run.
const LOOK_MILLIS: u64 = 500;
/// How long one of several targets is listened to before the next.
const SLICE_MILLIS: u64 = 20;
/// How often it is looked for room while gates by hand have all of it.
const ROOM_MILLIS: u64 = 200;

/// A target that is worked.
struct Side<'a> {
    queue: Queue<'a>,
    stacker: Stacker<'a>,
    course: Course,
    stand: Stand,
}

/// What a target is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// It is to be looked at.
    Due,
    /// It waits for its trials, or for room for one.
    Waits,
    /// Nothing of it can move until something changes.
    Rests,
    /// It waits for its remote or a pull request.
    Shut,
    /// It went wrong.
    Over,
}

/// What is needed to work targets.
pub(super) struct Turns<'a> {
    town: &'a Town,
    place: &'a RigPlace,
    yard: &'a Yard,
    rules: Rc<Rules>,
    only: Option<&'a BeadId>,
    /// All that were begun.
    begun: BTreeSet<String>,
    sides: Vec<Side<'a>>,
    drained: Drained,
    /// What went wrong first.
    fault: Option<Error>,
}

impl<'a> Turns<'a> {
    /// Nothing is worked yet.
    pub(super) fn new(town: &'a Town, place: &'a RigPlace, yard: &'a Yard, rules: Rc<Rules>, only: Option<&'a BeadId>) -> Self {
        let (begun, sides, drained, fault) = (BTreeSet::new(), Vec::new(), Drained::default(), None);
        Self { town, place, yard, rules, only, begun, sides, drained, fault }
    }

    /// Works `targets`, and those that come while it does, until nothing can move.
    ///
    /// # Errors
    /// What went wrong first with one of them, when the others have come to rest.
    pub(super) fn work(mut self, targets: BTreeSet<String>, say: &mut dyn FnMut(&Event)) -> Result<Drained> {
        self.begin(targets, say);
        loop {
            if self.rounds(say) {
                continue;
            }
            // Gates that are only reported keep nobody waiting: who comes meanwhile is seen to.
            let is_busy = |side: &Side<'_>| side.stand != Stand::Over && side.queue.trials.under_way().next().is_some();
            if !self.sides.iter().any(|side| side.stand == Stand::Waits || is_busy(side)) {
                break;
            }
            self.wait(say)?;
        }
        for side in &mut self.sides {
            let mut note = Drained::default();
            let ended = side.queue.tidy_pull_branch(say).and_then(|()| match side.stand {
                Stand::Over => Ok(()),
                _ => side.queue.note_held_back(&mut note),
            });
            self.drained.held.extend(note.held);
            self.drained.runs += side.queue.runs;
            if let Err(error) = ended {
                self.fault.get_or_insert(error);
            }
        }
        self.fault.map_or(Ok(self.drained), Err)
    }

    /// Begins with those of `targets` that were not begun before; one that cannot be begun is a fault of its own.
    fn begin(&mut self, targets: BTreeSet<String>, say: &mut dyn FnMut(&Event)) {
        for target in targets {
            if !self.begun.insert(target.clone()) {
                continue;
            }
            if let Err(error) = self.begin_one(&target, say) {
                self.fault.get_or_insert(error);
            }
        }
    }

    fn begin_one(&mut self, target: &str, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let state = self.place.ledger.state()?;
        let mut queue = self.queue(target)?;
        if let Some(whole) = integration::whole_of(self.place, &state, target)? {
            return queue.wait_for_whole(&whole, &mut self.drained, say);
        }
        let drained = &mut self.drained;
        let set_out = queue.set_out(&mut |event| tell(drained, target, event, say));
        let stand = match set_out {
            Ok(true) => Stand::Due,
            Ok(false) => Stand::Shut,
            Err(_) => Stand::Over,
        };
        let stacker = Stacker::new(&self.place.ledger.store)?;
        self.sides.push(Side { queue, stacker, course: Course::default(), stand });
        set_out.map(|_| ())
    }

    /// The queue of `target`, with its turn.
    ///
    /// # Errors
    /// Conflict, when another process has the turn; as reading the rules of the rig.
    pub(super) fn queue(&self, target: &str) -> Result<Queue<'a>> {
        let (town, place) = (self.town, self.place);
        let me = Address::Refinery(place.rig.name.clone());
        let actor = Actor { name: me.to_string(), email: town.actor.email.clone(), model: None };
        let state = place.ledger.state()?;
        Ok(Queue {
            turn: Turn::take(place, target)?,
            gates: self.rules.required(),
            trials: Trials::new(town, place, &self.rules, self.yard, actor.clone(), None),
            rules: Rc::clone(&self.rules),
            subjects: BTreeMap::new(),
            is_ungated_allowed: !config::is_on(town, Some(place), "gates.require")?,
            review: config::review(town, place)?,
            clerk: clerk::clerk(town, place, &state, target)?,
            on_conflict: resolve::on_conflict(town, place)?,
            force: None,
            only: self.only,
            share: usize::MAX,
            is_alone: true,
            runs: 0,
            town,
            place,
            me,
            actor,
        })
    }

    /// Looks once at each target that is due, those first that had a trial least often; true when one is due again.
    fn rounds(&mut self, say: &mut dyn FnMut(&Event)) -> bool {
        let live = self.sides.iter().filter(|side| matches!(side.stand, Stand::Due | Stand::Waits)).count();
        let room = usize::try_from(self.yard.size()).unwrap_or(usize::MAX);
        let mut order: Vec<usize> = (0..self.sides.len()).filter(|at| self.sides[*at].stand == Stand::Due).collect();
        order.sort_by_key(|at| self.sides[*at].course.started);
        let mut is_due = false;
        for at in order {
            let side = &mut self.sides[at];
            side.queue.is_alone = live == 1;
            side.queue.share = if live == 1 { usize::MAX } else { (room / live).max(1) };
            let (target, drained) = (side.queue.target().to_owned(), &mut self.drained);
            let mut note = |event: &Event| tell(drained, &target, event, say);
            side.stand = match side.queue.round(&mut side.course, &mut side.stacker, &mut note) {
                Ok(Next::Again) => Stand::Due,
                Ok(Next::Wait) => Stand::Waits,
                Ok(Next::Rest) => Stand::Rests,
                Ok(Next::Shut) => Stand::Shut,
                Err(error) => {
                    self.fault.get_or_insert(error);
                    Stand::Over
                }
            };
            is_due |= side.stand == Stand::Due;
        }
        is_due
    }

    /// Waits until a trial of one is decided, there may be room for one that lacks it, or who waits has changed.
    fn wait(&mut self, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let (before, mut seen) = (look::mark(self.place)?, self.place.ledger.tip()?);
        let watch = Stopwatch::start();
        loop {
            let is_active = |side: &&Side<'_>| side.queue.trials.under_way().next().is_some();
            let slice_millis = match self.sides.iter().filter(is_active).count() {
                0 => {
                    std::thread::sleep(std::time::Duration::from_millis(ROOM_MILLIS));
                    0
                }
                1 => LOOK_MILLIS,
                _ => SLICE_MILLIS,
            };
            let mut is_due = false;
            for side in &mut self.sides {
                let (target, drained) = (side.queue.target().to_owned(), &mut self.drained);
                let mut note = |event: &Event| tell(drained, &target, event, say);
                match side.queue.heed(&mut side.course, slice_millis, &mut note) {
                    Ok(Heard::Verdict) if side.stand != Stand::Over => {
                        side.stand = Stand::Due;
                        is_due = true;
                    }
                    Ok(Heard::Verdict | Heard::Room) => is_due = true,
                    Ok(Heard::Something | Heard::Nothing) => {}
                    Err(error) => {
                        is_due = true;
                        self.fault.get_or_insert(error);
                        side.stand = Stand::Over;
                    }
                }
                // What was heard is not kept waiting while others are listened to.
                if is_due {
                    break;
                }
            }
            let now = self.place.ledger.tip()?;
            if now != seen && look::mark(self.place)? != before {
                self.begin(look::awaited(&self.place.ledger.state()?, self.only)?, say);
                let may_move = |side: &&mut Side<'_>| !matches!(side.stand, Stand::Shut | Stand::Over);
                self.sides.iter_mut().filter(may_move).for_each(|side| side.stand = Stand::Due);
                return Ok(());
            }
            seen = now;
            if is_due || watch.millis() >= LOOK_MILLIS {
                // One without a trial waits for room, or has none to wait for any more.
                let lacks = |side: &&mut Side<'_>| side.stand == Stand::Waits && side.course.under_way.is_empty();
                let is_lacking = self.sides.iter_mut().filter(lacks).map(|side| side.stand = Stand::Due).count() > 0;
                if is_due || is_lacking {
                    return Ok(());
                }
            }
        }
    }
}

/// Tells of `event` and takes note of it.
fn tell(drained: &mut Drained, target: &str, event: &Event, say: &mut dyn FnMut(&Event)) {
    drained.note(event, target);
    say(event);
}
