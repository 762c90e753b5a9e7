//! The baseline rule: nobody is sent back for a target that is red itself.

use super::Asked;
use super::evidence::Trial;
use super::places::Places;

/// How often the bare target must be red to be called red; once may be a flake.
const RED_RUNS_MIN: u32 = 2;

/// What is known of the bare target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tip {
    /// Some run has shown it green, or no gate can judge it.
    Holds,
    /// It must be gated before somebody is sent back.
    Unknown,
    /// It is red: nobody is to blame, and only what turns it green may land.
    Red,
}

/// Reads it from the trials.
#[must_use]
pub fn tip(trials: &[Trial]) -> Tip {
    let own = |trial: &&Trial| trial.is_of(Places::NONE);
    let reds: u32 = trials.iter().filter(own).map(|trial| trial.reds).sum();
    if trials.iter().filter(own).any(|trial| trial.is_green || (trial.is_silent && reds == 0)) {
        Tip::Holds
    } else if reds >= RED_RUNS_MIN {
        Tip::Red
    } else {
        Tip::Unknown
    }
}

/// The sets that may turn a red target green and had no chance yet: all together, then each with those it needs.
#[must_use]
pub fn remedies(queue: &[Asked], trials: &[Trial], running: &[Places], free: usize) -> Vec<Places> {
    let all = Places::first(queue.len());
    let alone = queue.iter().enumerate().map(|(place, asked)| Places::of(place).with(asked.needs));
    let had_its_chance =
        |set: Places| trials.iter().any(|trial| trial.is_of(set) && (trial.reds > 0 || trial.is_silent || trial.is_absent));
    let mut sets: Vec<Places> = Vec::new();
    for set in std::iter::once(all).chain(alone) {
        if !set.is_empty() && !running.contains(&set) && !sets.contains(&set) && !had_its_chance(set) {
            sets.push(set);
        }
    }
    sets.truncate(free);
    sets
}
