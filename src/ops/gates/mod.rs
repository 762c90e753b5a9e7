//! Gates at work: which a tree still needs, the checkouts they run in, their runs, and what is remembered of them.
//!
//! The queue and whoever runs gates by hand go the same way: [`Rules`] say what is asked of a tree, the [`Memo`] what
//! is known of it already, and [`Trials`] find out the rest, each tree in a [`Stall`] of the [`Yard`], several at once.
//! Each run is recorded when its gate exits, before anybody reads it.
//!
//! ```text
//! rules    gates as configured, and the keys of their verdicts     trials   trees that are being gated side by side
//! memo     what recorded runs say of a tree                        trial    one of them, on a thread of its own
//! yard     checkouts that gates run in, one process each           record   a run that ended, into the ledger
//! by_hand  gates run by an agent or a person                       look     lists of gates and their logs
//! ```

mod by_hand;
mod fingerprint;
mod look;
mod memo;
mod record;
mod rules;
mod trial;
mod trials;
mod yard;

use gix::ObjectId;

use crate::model::gate::{Gate, OnTimeout, Verdict};
use crate::name::BeadId;
use crate::runtime::command::Ended;

pub use by_hand::{Asked, Judged, Report, run};
pub use look::{Kept, Listed, Log, Logs, forget_logs, list, log, logs};
pub use memo::{Flakes, Memo, Says};
pub use rules::Rules;
pub(crate) use rules::max_age_millis;
pub use trials::{Happening, TrialId, Trials};
pub use yard::{Stall, Yard};

/// What is to be judged.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The requests in it, bottom first; empty for the bare target and for what is run by hand.
    pub stack: Vec<BeadId>,
    /// The commit to check out.
    pub commit: ObjectId,
    /// Its tree.
    pub tree: ObjectId,
    /// The target's tip below the stack.
    pub base: ObjectId,
}

/// A gate that is to run on a tree, with the key by which what it says is remembered.
#[derive(Clone, Debug)]
pub struct Task {
    /// The gate.
    pub gate: Gate,
    /// The key.
    pub key: String,
    /// Whether the tree is known to pass it: it then runs only to prepare a checkout that it has not prepared yet.
    pub is_known_green: bool,
}

/// What a trial came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every required gate is green.
    Green,
    /// A required gate is red, however often it was allowed to try.
    Red,
    /// A required gate could not say; none was red.
    Inconclusive,
    /// There is no verdict, and nobody is to blame.
    Failed(Failure),
    /// It was called off.
    Cancelled,
}

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The gate; `None` when it was the checkout.
    pub gate: Option<String>,
    /// Why.
    pub why: String,
    /// Whether the gate's command was not there, which the requests in the tree may be the cause of.
    pub is_missing: bool,
}

impl Failure {
    /// What failed, in words.
    #[must_use]
    pub fn what(&self) -> String {
        self.gate.as_ref().map_or_else(|| "the checkout for gates".to_owned(), |gate| format!("gate {gate}"))
    }
}

/// What an ended command says of the tree, with its exit code and a note; `is_disk_full` is asked of what failed.
#[must_use]
pub fn verdict(ended: &Ended, on_timeout: OnTimeout, is_disk_full: impl Fn() -> bool) -> (Verdict, Option<i32>, String) {
    let says = |verdict, exit: Option<i32>, note: &str| (verdict, exit, note.to_owned());
    match ended {
        Ended::Exited(0) => says(Verdict::Green, Some(0), ""),
        Ended::Exited(125) => says(Verdict::Inconclusive, Some(125), "exit code 125: the gate cannot judge this tree"),
        Ended::Exited(code @ (126 | 127)) => {
            says(Verdict::Infrastructure, Some(*code), "its command does not exist or cannot be run")
        }
        Ended::Exited(code) if is_disk_full() => {
            let note = format!("exit code {code}, and the disk has no room left");
            (Verdict::Infrastructure, Some(*code), note)
        }
        Ended::Exited(code) => says(Verdict::Red, Some(*code), ""),
        Ended::TimedOut if on_timeout == OnTimeout::Red => says(Verdict::Red, None, "timed out"),
        Ended::TimedOut => says(Verdict::Inconclusive, None, "timed out"),
        Ended::OutOfMemory => says(Verdict::Infrastructure, None, "the kernel killed it because memory was short"),
        Ended::Signaled(signal) => says(Verdict::Infrastructure, None, &format!("it was killed by signal {signal}")),
        Ended::CannotStart(why) => says(Verdict::Infrastructure, None, why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_exit_code_or_slowness_speaks_against_somebody() {
        for (ended, expected) in [
            (Ended::Exited(0), "green"),
            (Ended::Exited(1), "red"),
            (Ended::Exited(124), "red"),
            (Ended::Exited(125), "inconclusive"),
            (Ended::Exited(126), "infrastructure"),
            (Ended::Exited(127), "infrastructure"),
            (Ended::TimedOut, "red"),
            (Ended::OutOfMemory, "infrastructure"),
            (Ended::Signaled(9), "infrastructure"),
            (Ended::CannotStart("no".into()), "infrastructure"),
        ] {
            assert_eq!(verdict(&ended, OnTimeout::Red, || false).0.word(), expected, "{ended:?}");
        }
        assert_eq!(verdict(&Ended::TimedOut, OnTimeout::Inconclusive, || false).0, Verdict::Inconclusive);
    }

    #[test]
    fn a_full_disk_is_nobody_s_fault_and_no_praise_either() {
        assert_eq!(verdict(&Ended::Exited(1), OnTimeout::Red, || true).0, Verdict::Infrastructure);
        assert_eq!(verdict(&Ended::Exited(0), OnTimeout::Red, || true).0, Verdict::Green);
        assert_eq!(verdict(&Ended::TimedOut, OnTimeout::Red, || true).0, Verdict::Red);
    }
}
