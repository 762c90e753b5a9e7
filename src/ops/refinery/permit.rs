//! What a request needs besides green gates: nobody holds it, it is approved, its work is open, its target lets it by.
//!
//! These are judged from the records each time they matter, never from the state that was stored: a lost word does no
//! harm. Pure but for reading: who may be stacked, who may land, and which part of the queue that leaves to the planner.

use std::collections::{BTreeMap, BTreeSet};

use super::look::{self, Request, object_id};
use super::stack::quoted;
use crate::error::Result;
use crate::git::diff;
use crate::ledger::State;
use crate::model::bead::Bead;
use crate::model::flow::{Control, Flow};
use crate::model::merge_request::HeldFor;
use crate::model::plan::{Action, Asked, Outlook, Places, Running, Trial};
use crate::model::review::Rule;
use crate::name::BeadId;
use crate::store::Store;

/// Why a request waits though nothing is wrong with it, and what would let it go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// The sort of it.
    pub cause: HeldFor,
    /// Why, for people.
    pub why: String,
    /// What releases it: a command, or words about one.
    pub release: String,
}

/// What is said of a rig's requests and targets now.
pub struct Permits<'a> {
    review: &'a Rule,
    controls: BTreeMap<String, Control>,
}

impl<'a> Permits<'a> {
    /// With the rule for review, and what `state` says of targets.
    ///
    /// # Errors
    /// Corrupt, when what was said of a target cannot be read: that is never "open".
    pub fn of(review: &'a Rule, state: &State<'_>) -> Result<Self> {
        let controls = state.controls()?.into_iter().map(|control| (control.target.clone(), control)).collect();
        Ok(Self { review, controls })
    }

    /// What somebody said of `target`, unless it is open.
    #[must_use]
    pub fn control(&self, target: &str) -> Option<&Control> {
        self.controls.get(target).filter(|control| control.state != Flow::Open)
    }

    /// What `request` waits for, if anything.
    ///
    /// # Errors
    /// Corrupt, when records or trees cannot be read.
    pub fn hindrance(&self, state: &State<'_>, store: &Store, request: &Request) -> Result<Option<Hindrance>> {
        let (id, mr) = (&request.bead.id, &request.mr);
        if let Some(hold) = &mr.hold {
            let reason = if hold.reason.is_empty() { String::new() } else { format!(": {}", hold.reason) };
            let why = format!("held by {}{reason}", hold.by);
            return Ok(Some(Hindrance { cause: HeldFor::Person, why, release: format!("gt mq release {id}") }));
        }
        let sources = look::sources(state, mr)?;
        // What takes work back is for work that is closed.
        let is_for_open = mr.reverts.is_none() && !sources.is_empty();
        if is_for_open && sources.iter().all(|source| source.status.is_closed()) {
            let beads = mr.source_beads.iter().map(BeadId::as_str).collect::<Vec<_>>().join(" ");
            let why = format!("its work was closed otherwise: {beads}");
            return Ok(Some(Hindrance {
                cause: HeldFor::Closed,
                why,
                release: format!("gt bead reopen {beads}, or gt mq withdraw {id}"),
            }));
        }
        if let Some(hindrance) = self.lacks_review(store, request, &sources)? {
            return Ok(Some(hindrance));
        }
        let Some(control) = self.control(&mr.target) else { return Ok(None) };
        let priority = look::urgency(&request.bead, &sources);
        let cause = match (control.may_run(priority), control.may_land(priority)) {
            (true, true) => return Ok(None),
            (true, false) => HeldFor::Freeze,
            (false, _) => HeldFor::Pause,
        };
        let release = format!("gt mq resume --target {}", quoted(&mr.target));
        Ok(Some(Hindrance { cause, why: control.words(), release }))
    }

    fn lacks_review(&self, store: &Store, request: &Request, sources: &[Bead]) -> Result<Option<Hindrance>> {
        let needed = self.needed(store, request, sources)?;
        let mr = &request.mr;
        let given = self.review.approvers(&mr.approvals, &mr.head, &mr.author);
        if given.len() >= needed {
            return Ok(None);
        }
        let has = match given.len() {
            0 => String::new(),
            _ => format!("; has that of {}", given.into_iter().collect::<Vec<_>>().join(", ")),
        };
        let of = self.review.by.join(", ");
        let cause = self.protected(store, request)?.map(|why| format!("; {why}")).unwrap_or_default();
        let why = match needed {
            1 => format!("needs the approval of one of {of}{cause}"),
            _ => format!("needs {needed} approvals of {of}{has}{cause}"),
        };
        Ok(Some(Hindrance { cause: HeldFor::Review, why, release: format!("gt mq approve {}", request.bead.id) }))
    }

    /// How many approvals `request` for `sources` needs.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn needed(&self, store: &Store, request: &Request, sources: &[Bead]) -> Result<usize> {
        let labels = sources.iter().flat_map(|source| source.labels.iter().map(String::as_str));
        // What cannot be looked at here cannot be excepted from review either.
        if !self.review.paths.is_empty() && look::unfit(store, request)?.is_some() {
            return Ok(self.review.approvals.max(usize::from(self.protected(store, request)?.is_some())));
        }
        let needed = if self.review.concerns(labels, || changed(store, request))? { self.review.approvals } else { 0 };
        Ok(if needed == 0 { usize::from(self.protected(store, request)?.is_some()) } else { needed })
    }

    /// What `request` changes that runs by itself, in words; nothing, where a person made it.
    fn protected(&self, store: &Store, request: &Request) -> Result<Option<String>> {
        // One whose head is not as it was pinned cannot be stacked, and is held for that.
        let paths = || if look::unfit(store, request)?.is_none() { changed(store, request) } else { Ok(BTreeSet::new()) };
        let path = self.review.protects(&request.mr.author, paths)?;
        Ok(path.map(|path| format!("it changes {path}, which runs by itself")))
    }

    /// What holds which of `waiting`.
    ///
    /// # Errors
    /// As [`Permits::hindrance`].
    pub fn hindered(&self, state: &State<'_>, store: &Store, waiting: &[Request]) -> Result<Hindered> {
        let mut hindered = Hindered::default();
        for request in waiting {
            if let Some(hindrance) = self.hindrance(state, store, request)? {
                hindered.0.insert(request.bead.id.clone(), hindrance);
            }
        }
        Ok(hindered)
    }
}

/// Requests that are held by what people said.
#[derive(Clone, Debug, Default)]
pub struct Hindered(BTreeMap<BeadId, Hindrance>);

impl Hindered {
    /// What holds `id`.
    #[must_use]
    pub fn get(&self, id: &BeadId) -> Option<&Hindrance> {
        self.0.get(id)
    }

    /// Whether `request` may be stacked and tested. A freeze lets it, unless it is to land alone: it would keep all others
    /// from being tested.
    #[must_use]
    pub fn may_be_stacked(&self, request: &Request) -> bool {
        self.get(&request.bead.id).is_none_or(|hindrance| hindrance.cause == HeldFor::Freeze && !request.mr.alone)
    }

    /// How many of `stacked`, from the bottom, may land.
    #[must_use]
    pub fn landable<'r>(&self, stacked: impl IntoIterator<Item = &'r BeadId>) -> usize {
        stacked.into_iter().take_while(|id| !self.0.contains_key(*id)).count()
    }
}

/// The part of a queue that is planned for.
#[derive(Clone, Debug, PartialEq)]
pub struct Rest {
    /// Those that are proved together but may not land now: all that is tested stands on them.
    below: Places,
    /// The place in the queue of each request of the part.
    places: Vec<usize>,
}

/// What is left to plan when only the first `landable` of the queue may land. What may land goes first, without the
/// others; when none may, what is green together stays below, and the search goes on above it.
#[must_use]
pub fn rest(outlook: Outlook, landable: usize) -> (Rest, Outlook) {
    let length = outlook.queue.len();
    let green = outlook.trials.iter().filter(|trial| trial.is_green && trial.lacks == 0).map(|trial| trial.set);
    let below = if landable > 0 { Places::NONE } else { green.max_by_key(|set| set.len()).unwrap_or_default() };
    let last = if landable > 0 { landable.min(length) } else { length };
    let rest = Rest { below, places: (0..last).filter(|place| !below.contains(*place)).collect() };
    let trials = outlook.trials.into_iter().filter_map(|trial| Some(Trial { set: rest.inner(trial.set)?, ..trial }));
    let running = outlook.running.into_iter().filter_map(|run| Some(Running { set: rest.inner(run.set)?, ..run }));
    let asked = |place: &usize| {
        let asked = outlook.queue.get(*place)?;
        Some(Asked { needs: rest.inner(asked.needs.with(below)).unwrap_or_default(), ..*asked })
    };
    let queue = rest.places.iter().filter_map(asked).collect();
    let outlook = Outlook { queue, trials: trials.collect(), running: running.collect(), workers: outlook.workers };
    (rest, outlook)
}

impl Rest {
    /// The set as the part sees it; nothing, when it is not about the part alone.
    fn inner(&self, set: Places) -> Option<Places> {
        if !self.below.is_within(set) {
            return None;
        }
        set.without(self.below).iter().map(|place| self.places.iter().position(|other| *other == place)).collect()
    }

    fn outer(&self, set: Places) -> Places {
        let mapped: Places = set.iter().filter_map(|place| self.places.get(place).copied()).collect();
        mapped.with(self.below)
    }

    /// The plan's actions in terms of the whole queue. What may not land is not landed.
    #[must_use]
    pub fn actions(&self, planned: Vec<Action>) -> Vec<Action> {
        let place = |place: usize| self.places.get(place).copied().unwrap_or(place);
        let whole = |action| match action {
            Action::Land(set) => Action::Land(self.outer(set)),
            Action::Test(set) => Action::Test(self.outer(set)),
            Action::Evict { place: at, posterior } => Action::Evict { place: place(at), posterior },
            Action::SetAside(at) => Action::SetAside(place(at)),
            other @ (Action::Cancel(_) | Action::TargetRed) => other,
        };
        planned.into_iter().map(whole).collect()
    }
}

/// The paths that `request` changes.
fn changed(store: &Store, request: &Request) -> Result<BTreeSet<String>> {
    let base = store.tree_of(object_id(&request.mr.base)?)?;
    diff::changed_paths(store, base, store.tree_of(request.head()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan;

    /// A queue of three of which these prefixes are green or red.
    fn outlook(known: &[(usize, bool)]) -> Outlook {
        let trial = |(length, is_green): &(usize, bool)| {
            let trial = Trial { is_green: *is_green, ..Trial::new(Places::first(*length), 0) };
            if *is_green { trial } else { trial.red(3, 0.01) }
        };
        let trials = known.iter().map(trial).collect();
        Outlook { queue: vec![Asked { risk: 0.05, needs: Places::NONE }; 3], trials, running: Vec::new(), workers: 1 }
    }

    fn actions(known: &[(usize, bool)], landable: usize) -> Vec<Action> {
        let (rest, outlook) = rest(outlook(known), landable);
        rest.actions(plan::plan(&outlook))
    }

    #[test]
    fn what_may_land_goes_first_and_only_by_a_green_of_its_own() {
        assert_eq!(actions(&[(3, true)], 3), [Action::Land(Places::first(3))]);
        assert_eq!(actions(&[(1, true), (3, true)], 1), [Action::Land(Places::first(1))]);
        assert_eq!(actions(&[(3, true)], 1), [Action::Test(Places::first(1))]);
    }

    #[test]
    fn when_nothing_may_land_the_search_goes_on_above_what_is_proved() {
        assert_eq!(actions(&[(3, true)], 0), []);
        assert_eq!(actions(&[(1, true)], 0), [Action::Test(Places::first(3))]);
        assert_eq!(actions(&[], 0), [Action::Test(Places::first(3))]);
        // The second is bad, by what was seen above the first.
        assert!(matches!(actions(&[(1, true), (2, false)], 0)[..], [Action::Evict { place: 1, .. }]));
    }
}
