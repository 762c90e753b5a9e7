//! What recorded runs say of sets of the requests in a stack, told for the planner.
//!
//! A tree that would land is known by its memo key, whatever stack it was gated in. Runs on an older tip that today's
//! differs from by landings of this queue alone speak of their requests too; what people pushed between ends that.

use std::collections::HashMap;

use gix::ObjectId;

use super::look::{Outlook, object_id};
use super::stack::{self, Stack};
use crate::error::Result;
use crate::git::commits;
use crate::git::merge::Stacker;
use crate::model::gate::Gate;
use crate::model::plan::{self, Places, STACK_MAX, Trial, today};
use crate::name::BeadId;
use crate::ops::gates::{Memo, Says, Subject};
use crate::store::Store;

/// Most landings on the tip that are looked back through.
const LANDINGS_MAX: usize = 4 * STACK_MAX;

/// What is needed to read what is known.
pub struct Known<'a> {
    /// The objects.
    pub store: &'a Store,
    /// The requests and the memo.
    pub outlook: &'a Outlook,
    /// The gates that a tree must pass.
    pub gates: &'a [Gate],
    /// What fits onto the tip.
    pub stack: &'a Stack,
}

impl Known<'_> {
    /// One trial for each set and lack of which something is known.
    ///
    /// # Errors
    /// Corrupt, when objects cannot be read.
    pub fn trials(&self, stacker: &mut Stacker<'_>) -> Result<Vec<Trial>> {
        let mut trials = vec![self.trial(Places::NONE, 0, self.stack.tip_tree)];
        for (at, placed) in self.stack.placed.iter().enumerate() {
            trials.push(self.trial(Places::first(at + 1), 0, placed.tree));
        }
        let queue = self.stack.ids(self.stack.placed.len());
        let landed = self.landed()?;
        for (base, stacked, tree) in &self.outlook.stacked {
            let Some(depth) = landed.depth.get(base) else { continue };
            let Some((set, lacks)) = today(stacked, &landed.mrs[..*depth], &queue) else { continue };
            if set.is_empty() || (lacks == 0 && set == Places::first(set.len())) {
                continue;
            }
            let tree = object_id(tree)?;
            let again = if lacks == 0 { self.restacked(stacker, set)? } else { None };
            match again {
                Some(again) if again.tree() == tree => add(&mut trials, self.trial(set, 0, tree)),
                // What would land is another merge today: the run speaks of the requests, not of that tree.
                Some(again) => {
                    add(&mut trials, self.trial(set, 0, again.tree()));
                    add(&mut trials, self.trial(set, 1, tree));
                }
                None => add(&mut trials, self.trial(set, lacks.max(1), tree)),
            }
        }
        Ok(trials)
    }

    /// The requests of `set` alone, stacked onto the tip; nothing when one of them does not fit without the others.
    ///
    /// # Errors
    /// As [`stack::build`].
    pub fn restacked(&self, stacker: &mut Stacker<'_>, set: Places) -> Result<Option<Stack>> {
        let requests = set.iter().map(|place| self.stack.placed[place].request.clone()).collect();
        let again = stack::build(self.store, stacker, self.stack.tip, requests, &self.outlook.kin)?;
        Ok((again.placed.len() == set.len()).then_some(again))
    }

    fn trial(&self, set: Places, lacks: u32, tree: ObjectId) -> Trial {
        let memo: &Memo = &self.outlook.memo;
        let Says { is_green, reds, doubt, is_silent, .. } = memo.says(self.gates, tree, self.stack.tip_tree);
        Trial { reds, doubt, is_green, is_silent, ..Trial::new(set, lacks) }
    }

    /// The landings on the tip, newest first, down to the first commit that is none.
    ///
    /// # Errors
    /// Corrupt, when a commit cannot be read.
    pub fn landed(&self) -> Result<Landed> {
        let mut landed = Landed { mrs: Vec::new(), depth: HashMap::new() };
        let mut tip = self.stack.tip;
        landed.depth.insert(tip.to_string(), 0);
        while let Some((mr, onto)) = self.outlook.landed.get(&tip.to_string()).filter(|_| landed.mrs.len() < LANDINGS_MAX) {
            landed.mrs.push(mr.clone());
            tip = match onto {
                // A request can land as several commits.
                Some(onto) => object_id(onto)?,
                None => match commits::parents(self.store, tip)?.first() {
                    Some(parent) => *parent,
                    None => break,
                },
            };
            landed.depth.insert(tip.to_string(), landed.mrs.len());
        }
        Ok(landed)
    }
}

/// Landings on a tip.
pub struct Landed {
    mrs: Vec<BeadId>,
    /// How many of them lie above a commit.
    depth: HashMap<String, usize>,
}

impl Landed {
    /// What a trial of `subject` is about today, when `stack` waits: see [`today`].
    #[must_use]
    pub fn about(&self, subject: &Subject, stack: &Stack) -> Option<(Places, u32)> {
        let depth = self.depth.get(&subject.base.to_string())?;
        today(&subject.stack, &self.mrs[..*depth], &stack.ids(stack.placed.len()))
    }
}

/// Adds what `trial` says to what is known of its set.
fn add(trials: &mut Vec<Trial>, trial: Trial) {
    match trials.iter_mut().find(|known| known.set == trial.set && known.lacks == trial.lacks) {
        // Today's tree is one, and was asked by its key already.
        Some(_) if trial.lacks == 0 => {}
        Some(known) => {
            known.reds += trial.reds;
            known.doubt *= trial.doubt;
            known.is_green |= trial.is_green;
            known.is_silent |= trial.is_silent;
        }
        None => trials.push(trial),
    }
}

/// The requests of a stack, for the planner.
#[must_use]
pub fn asked(outlook: &Outlook, stack: &Stack) -> Vec<plan::Asked> {
    let one = |(at, placed): (usize, &stack::Placed)| {
        let elders = outlook.kin.elders(&placed.request.bead.id);
        let is_elder = |place: &usize| elders.contains(&stack.placed[*place].request.bead.id);
        plan::Asked { risk: outlook.risk(&placed.request.mr), needs: (0..at).filter(is_elder).collect() }
    };
    stack.placed.iter().enumerate().map(one).collect()
}
