//! What is done while nothing waits, at most `mq.idle_runs` times an hour: gates that contradicted themselves run again
//! where they did, which teaches how often they lie; then those of the target's tip, which finds greens that were false.
//! It is ended as soon as something moves in the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use gix::ObjectId;

use super::event::Event;
use super::look::{self, object_id};
use crate::config;
use crate::error::Result;
use crate::ledger::Actor;
use crate::model::address::Address;
use crate::model::gate::{GateRun, Verdict};
use crate::ops::gates::{Happening, Memo, Rules, Subject, Task, Trials, Yard};
use crate::time::{self, Moment};
use crate::town::{RigPlace, Town};

/// So long the budget counts, and so long nothing is asked that was asked before.
const HOUR_MILLIS: u64 = 3_600_000;
/// A gate that ran so often on one tree has been asked enough.
const RUNS_MAX: usize = 10;
/// How often it is looked whether something has come.
const LOOK_MILLIS: u64 = 500;

/// Gates to run again on a commit, with what tells their runs.
struct Look {
    commit: ObjectId,
    gates: Vec<String>,
    is_tip: bool,
}

/// Runs gates again if that is wanted, one is worth it and the queue stays as it is; tells whether it did.
///
/// # Errors
/// As running gates.
pub fn look_again(town: &Town, place: &RigPlace, say: &mut dyn FnMut(&Event)) -> Result<bool> {
    let budget = config::number(town, Some(place), "mq.idle_runs")?.unwrap_or(0);
    if budget == 0 {
        return Ok(false);
    }
    let me = Address::Refinery(place.rig.name.clone()).to_string();
    let (state, now) = (place.ledger.state()?, time::now()?);
    let runs = state.gate_runs()?;
    let is_recent = |run: &&GateRun| now.millis_since(run.at) < HOUR_MILLIS;
    let spent = runs.iter().filter(|run| run.by.as_deref() == Some(&me)).filter(is_recent).count();
    if u64::try_from(spent).unwrap_or(u64::MAX) >= budget {
        return Ok(false);
    }
    let rules = Rules::read(town, place, &town.machine)?;
    let Some(look) = next_look(place, &rules, &runs, now)? else { return Ok(false) };
    let (mark, yard) = (look::mark(place)?, Yard::take(town, place)?);
    let tree = place.ledger.store.tree_of(look.commit)?;
    let subject = Subject { stack: Vec::new(), commit: look.commit, tree, base: look.commit };
    let tasks = Memo::of(&runs, &rules, now).tasks_named(tree, &look.gates);
    let ask = Ask { town, place, rules: &rules, yard: &yard };
    let Some((reds, is_recorded)) = ask.run(&subject, &tasks, &|| Ok(look::mark(place)? != mark), say)? else { return Ok(false) };
    if look.is_tip && !reds.is_empty() {
        let (target, tip) = (place.rig.target.clone(), look.commit.to_string());
        say(&Event::FalseGreen { target, tip, gates: reds.into_iter().collect() });
    }
    // One that could not even begin would be looked at again without rest.
    Ok(is_recorded || look::mark(place)? != mark)
}

/// What is needed to have gates run beside any queue.
pub(super) struct Ask<'a> {
    pub(super) town: &'a Town,
    pub(super) place: &'a RigPlace,
    pub(super) rules: &'a Rc<Rules>,
    pub(super) yard: &'a Yard,
}

impl Ask<'_> {
    /// Runs `tasks` on `subject` until they are over or it `is_stale`; tells the required gates that were red and whether any run
    /// was recorded, or nothing when there is no room.
    ///
    /// # Errors
    /// As running gates.
    pub(super) fn run(
        &self,
        subject: &Subject,
        tasks: &[Task],
        is_stale: &dyn Fn() -> Result<bool>,
        say: &mut dyn FnMut(&Event),
    ) -> Result<Option<(BTreeSet<String>, bool)>> {
        let me = Address::Refinery(self.place.rig.name.clone()).to_string();
        let actor = Actor { name: me.clone(), email: self.town.actor.email.clone(), model: None };
        let mut trials = Trials::new(self.town, self.place, self.rules, self.yard, actor, Some(me));
        let Some(trial) = trials.start(subject, tasks)? else { return Ok(None) };
        let (mut reds, mut is_recorded) = (BTreeSet::new(), false);
        loop {
            match trials.next(LOOK_MILLIS)? {
                Some(Happening::Started { gate, .. }) => {
                    say(&Event::GateStarted { gate, stack: Vec::new(), tree: subject.tree.to_string() });
                }
                Some(Happening::Ended { run, .. }) => {
                    is_recorded = true;
                    reds.extend((run.verdict == Verdict::Red && run.required).then(|| run.gate.clone()));
                    say(&Event::ended(&run));
                }
                Some(Happening::Over { .. }) => return Ok(Some((reds, is_recorded))),
                None if is_stale()? => trials.cancel(trial),
                Some(Happening::Decided { .. }) | None => {}
            }
        }
    }
}

/// What is worth a run: first the tree on which a gate said both, the one asked least; then the tip, when nothing was
/// asked of it for an hour.
fn next_look(place: &RigPlace, rules: &Rc<Rules>, runs: &[GateRun], now: Moment) -> Result<Option<Look>> {
    let store = &place.ledger.store;
    let mut by_key: BTreeMap<&str, Vec<&GateRun>> = BTreeMap::new();
    for run in runs.iter().filter(|run| now.millis_since(run.at) <= rules.max_age_millis()) {
        by_key.entry(&run.key).or_default().push(run);
    }
    let is_due = |key: &str| by_key.get(key).is_none_or(|runs| runs.iter().all(|run| now.millis_since(run.at) >= HOUR_MILLIS));
    let said = |runs: &[&GateRun], verdict: Verdict| runs.iter().any(|run| run.verdict == verdict);
    let mut doubted: Vec<&Vec<&GateRun>> = by_key
        .iter()
        .filter(|(key, runs)| said(runs, Verdict::Green) && said(runs, Verdict::Red) && runs.len() < RUNS_MAX && is_due(key))
        .map(|(_, runs)| runs)
        .collect();
    doubted.sort_by_key(|runs| runs.len());
    for run in doubted.into_iter().filter_map(|runs| runs.last()) {
        let (commit, tree) = (object_id(&run.commit)?, object_id(&run.tree)?);
        // A stack that was never pinned may be gone, and a gate may be another one by now.
        let gate = rules.gates().iter().find(|gate| gate.name == run.gate);
        let is_same = gate.is_some_and(|gate| rules.key(gate, tree) == run.key);
        if is_same && store.repo.find_header(commit).is_ok() {
            return Ok(Some(Look { commit, gates: vec![run.gate.clone()], is_tip: false }));
        }
    }
    let Some(tip) = store.read_ref(&format!("refs/heads/{}", place.rig.target))? else { return Ok(None) };
    let tree = store.tree_of(tip)?;
    let due: Vec<String> =
        rules.required().iter().filter(|gate| is_due(&rules.key(gate, tree))).map(|gate| gate.name.clone()).collect();
    Ok((!due.is_empty()).then_some(Look { commit: tip, gates: due, is_tip: true }))
}
