//! What runs have said of sets of requests, told for the queue and the tip of today.

use super::places::Places;

/// What is known of one set of requests, stacked in turn.
///
/// `lacks` counts the requests on today's tip that the gated tree did not hold. With 0 it is the tree that would
/// land; other trees speak of their requests too, but they never land.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// The set, without those that landed since. The bare target is [`Places::NONE`].
    pub set: Places,
    /// How many requests on the tip the tree did not hold.
    pub lacks: u32,
    /// How many runs on the tree were red.
    pub reds: u32,
    /// How likely good requests show these reds: the product of the flake rates of the gates that were red. A run
    /// counts once, with the flakiest of its red gates.
    pub doubt: f64,
    /// Whether every required gate has been green on the tree; then its reds were flakes.
    pub is_green: bool,
    /// Whether the gates cannot judge the tree, however often they run.
    pub is_silent: bool,
    /// Whether the set cannot be stacked at all: somebody in it does not merge without those ahead who are not in it.
    /// The prefixes of the queue always can.
    pub is_absent: bool,
}

impl Trial {
    /// Nothing known yet of `set` on a tree that lacks so many.
    #[must_use]
    pub const fn new(set: Places, lacks: u32) -> Self {
        Self { set, lacks, reds: 0, doubt: 1.0, is_green: false, is_silent: false, is_absent: false }
    }

    /// With `reds` more red runs, each of which good requests show at rate `flake`.
    #[must_use]
    pub fn red(mut self, reds: u32, flake: f64) -> Self {
        self.reds += reds;
        self.doubt *= flake.powi(i32::try_from(reds).unwrap_or(i32::MAX));
        self
    }

    /// Whether it tells of the tree that `set` makes on today's tip.
    #[must_use]
    pub fn is_of(&self, set: Places) -> bool {
        self.lacks == 0 && self.set == set
    }
}

/// A run under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Which one; chosen by who started it.
    pub run: u64,
    /// The set, without those that landed since it was started.
    pub set: Places,
    /// How many requests on the tip its tree does not hold.
    pub lacks: u32,
}

/// What a run on `stack` says today, when `landed` are those that came onto the target since its tip of then and
/// `queue` are those that wait: the set it is about, and how many of the landed it lacks. Nothing, when somebody
/// in it neither waits nor landed: who left may have been the cause.
///
/// Only for runs whose tip of then differs from today's by landings of the queue alone. What people pushed between
/// may have mended the target, and then older reds blame the innocent.
#[must_use]
pub fn today<Id: PartialEq>(stack: &[Id], landed: &[Id], queue: &[Id]) -> Option<(Places, u32)> {
    let mut set = Places::NONE;
    for id in stack.iter().filter(|id| !landed.contains(id)) {
        set = set.with(Places::of(queue.iter().position(|waiting| waiting == id)?));
    }
    let lacks = landed.iter().filter(|id| !stack.contains(id)).count();
    Some((set, u32::try_from(lacks).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_about_those_that_still_wait() {
        let queue = ["c", "d", "e"];
        assert_eq!(today(&["a", "b", "c"], &["a", "b"], &queue), Some((Places::of(0), 0)));
        assert_eq!(today(&["e"], &["a", "b"], &queue), Some((Places::of(2), 2)));
        assert_eq!(today(&["a", "e"], &["a", "b"], &queue), Some((Places::of(2), 1)));
        assert_eq!(today(&["a"], &["a"], &queue), Some((Places::NONE, 0)));
        assert_eq!(today(&["c", "x"], &["a"], &queue), None, "x was sent back and explains whatever was red");
    }
}
