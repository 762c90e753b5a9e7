//! The queue's arithmetic: what is known of sets of requests in, what to do next out. Pure; it knows no git.
//!
//! Nothing depends on a stored plan: equal input gives equal actions, so that an event that is lost or comes twice
//! does no harm. The parts, from the bottom: [`Places`] are sets of a queue; [`Trial`]s say what runs have shown of
//! them; [`belief`] is the exact posterior over who is bad; [`nested`] the best plan for one worker; [`survey`]
//! sorts the requests by what is believed of them; [`search`] chooses the sets to gate; [`target`] keeps anybody
//! from being blamed for a red target. Apart from that stand [`order`], [`risk`] and [`width`]: who goes first, how
//! likely a request is bad, and how many runs side by side pay.

pub mod belief;
pub mod evidence;
pub mod nested;
pub mod order;
pub mod places;
pub mod risk;
pub mod search;
pub mod survey;
pub mod target;
pub mod width;

pub use evidence::{Running, Trial, today};
pub use order::Rank;
pub use places::{Places, STACK_MAX};
use target::Tip;

/// How sure the search must be that a request is bad before it is sent back.
pub const EVICT_POSTERIOR_MIN: f64 = 0.99;

/// A request that waits, for the plan.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Asked {
    /// How likely it is bad, from what is known before any run; between 0 and 1.
    pub risk: f64,
    /// All requests ahead of it on which it is built, directly or through others: it is never gated without them.
    pub needs: Places,
}

/// What a plan rests on.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Outlook {
    /// The requests that fit onto the tip one on top of the other, in order of their turn. Those past [`STACK_MAX`]
    /// wait.
    pub queue: Vec<Asked>,
    /// What is known of sets of them; one entry for each set and lack.
    pub trials: Vec<Trial>,
    /// Runs under way.
    pub running: Vec<Running>,
    /// How many runs there may be side by side.
    pub workers: usize,
}

/// Something to do now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// This set was green on today's tip as exactly the tree that it makes: land it.
    Land(Places),
    /// The request at `place` is bad, as surely as `posterior`: send it back.
    Evict {
        /// Where it stands.
        place: usize,
        /// How sure that is.
        posterior: f64,
    },
    /// Nothing can be learnt of the request at this place: the gates cannot judge it. Set it aside.
    SetAside(usize),
    /// End this run: whatever it would say teaches nothing any more.
    Cancel(u64),
    /// Gate this set, stacked in turn onto today's tip; [`Places::NONE`] is the bare target.
    Test(Places),
    /// The target itself is red, and nobody is to blame. What may turn it green is tested besides.
    TargetRed,
}

/// What to do now. Nothing means: wait for the runs under way, or for new requests.
///
/// A landing comes alone; so do evictions, and a setting aside. Plan again after them, and after each run that
/// ends: cancelled runs and tests are for the tip and the queue that the outlook told of.
#[must_use]
pub fn plan(outlook: &Outlook) -> Vec<Action> {
    let queue = &outlook.queue[..outlook.queue.len().min(STACK_MAX)];
    let trials = &outlook.trials[..];
    if let Some(set) = landable(queue, trials) {
        return vec![Action::Land(set)];
    }
    let survey = survey::survey(queue, trials);
    let tip = target::tip(trials);
    if tip == Tip::Holds && !survey.convicted.is_empty() {
        return survey.convicted.iter().map(|&(place, posterior)| Action::Evict { place, posterior }).collect();
    }
    let useless = search::useless(&survey, tip, &outlook.running);
    let running: Vec<Places> = outlook.running.iter().filter(|run| !useless.contains(&run.run)).map(|run| run.set).collect();
    let mut free = outlook.workers.max(1).saturating_sub(running.len());
    let mut actions: Vec<Action> = useless.into_iter().map(Action::Cancel).collect();
    if queue.is_empty() {
        return actions;
    }
    if tip == Tip::Red {
        actions.push(Action::TargetRed);
        actions.extend(target::remedies(queue, trials, &running, free).into_iter().map(Action::Test));
        return actions;
    }
    if !survey.convicted.is_empty() && free > 0 && !running.contains(&Places::NONE) {
        actions.push(Action::Test(Places::NONE));
        free -= 1;
    }
    actions.extend(search::tests(queue, trials, &survey, &running, free).into_iter().map(Action::Test));
    if actions.is_empty() && running.is_empty() {
        actions.extend(survey.mute.head().map(Action::SetAside));
    }
    actions
}

/// Of the sets that were green on today's tip, and hold all that their requests need, the largest of those with the
/// request that is first in turn. One that clashes with others ahead of it, cleared too, waits until these are settled:
/// of two that are bad together the later should leave.
fn landable(queue: &[Asked], trials: &[Trial]) -> Option<Places> {
    let is_whole = |set: Places| set.iter().all(|place| queue.get(place).is_some_and(|asked| asked.needs.is_within(set)));
    let clashes = survey::clashes(trials);
    let is_behind = |set: Places, clash: &Places| {
        let (inside, others) = (clash.shared(set).head(), clash.without(set));
        // Unless those others are red without it, so that it is not it they clash with.
        let is_explained = || clashes.iter().any(|red| red.is_within(others));
        inside.zip(others.head()).is_some_and(|(inside, ahead)| ahead < inside) && !is_explained()
    };
    let green = trials.iter().filter(|trial| trial.is_green && trial.lacks == 0 && !trial.set.is_empty());
    let lands = green.map(|trial| trial.set).filter(|set| is_whole(*set));
    lands
        .filter(|set| !clashes.iter().any(|clash| is_behind(*set, clash)))
        .max_by_key(|set| (std::cmp::Reverse(set.head()), set.len(), std::cmp::Reverse(*set)))
}
