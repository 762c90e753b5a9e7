//! Landings that were dropped, counted: how often in a row, for whose fault, and what is to be done at which count.

use std::collections::BTreeMap;

use crate::name::BeadId;

/// How many landings in a row may be dropped for one sort of cause.
pub(super) const LOSSES_MAX: u32 = 3;
/// How many may fail the last look for any reason before a landing; far above what one request can make.
const FAULTS_MAX: u32 = 30;

/// Why a landing was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    /// Why, for people.
    pub(super) reason: String,
    /// Whose doing it was.
    pub(super) cause: Cause,
}

/// Whose doing a loss was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Somebody else moved the target.
    Race,
    /// This request failed the last look.
    Request(BeadId),
    /// Records changed: a request left, somebody stopped it, a gate is not green any more.
    Records,
}

impl Loss {
    /// Somebody else moved the target.
    pub(super) fn race(reason: String) -> Self {
        Self { reason, cause: Cause::Race }
    }

    /// The request `id` failed the last look.
    pub(super) fn of(id: &BeadId, reason: String) -> Self {
        Self { reason, cause: Cause::Request(id.clone()) }
    }

    /// Records changed.
    pub(super) fn records(reason: String) -> Self {
        Self { reason, cause: Cause::Records }
    }
}

/// What comes after a loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Plan again.
    Again,
    /// This request goes, and the others go on.
    Evict(BeadId),
    /// Others move the target faster than the queue can.
    Contended,
    /// Something is wrong that nobody can be blamed for.
    Enough,
}

/// The losses since the last landing.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    races: u32,
    records: u32,
    faults: u32,
    /// What each request failed for last, and how often in a row.
    by_request: BTreeMap<BeadId, (String, u32)>,
}

impl Losses {
    /// A landing succeeded.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Takes note of `loss`.
    pub(super) fn note(&mut self, loss: &Loss) -> After {
        let id = match &loss.cause {
            Cause::Race => {
                self.races += 1;
                return if self.races < LOSSES_MAX { After::Again } else { After::Contended };
            }
            Cause::Records => {
                self.records += 1;
                return if self.records < LOSSES_MAX { After::Again } else { After::Enough };
            }
            Cause::Request(id) => id,
        };
        self.faults += 1;
        let last = self.by_request.entry(id.clone()).or_default();
        *last = if last.0 == loss.reason { (loss.reason.clone(), last.1 + 1) } else { (loss.reason.clone(), 1) };
        if last.1 >= LOSSES_MAX {
            self.by_request.remove(id);
            return After::Evict(id.clone());
        }
        if self.faults < FAULTS_MAX { After::Again } else { After::Enough }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(id: &str, reason: &str) -> Loss {
        Loss::of(&id.parse().unwrap(), reason.into())
    }

    #[test]
    fn three_lost_races_in_a_row_are_contention_and_a_landing_between_them_is_not() {
        let (mut losses, race) = (Losses::default(), Loss::race("moved".into()));
        assert_eq!([losses.note(&race), losses.note(&race)], [After::Again, After::Again]);
        losses.forget();
        assert_eq!([losses.note(&race), losses.note(&race)], [After::Again, After::Again]);
        assert_eq!(losses.note(&race), After::Contended);
    }

    #[test]
    fn the_third_same_failure_of_one_request_evicts_it_and_no_other() {
        let mut losses = Losses::default();
        for (id, reason, after) in [
            ("wi-a", "x", After::Again),
            ("wi-b", "x", After::Again),
            ("wi-a", "x", After::Again),
            ("wi-b", "y", After::Again),
            ("wi-a", "x", After::Evict("wi-a".parse().unwrap())),
            ("wi-b", "y", After::Again),
            ("wi-b", "x", After::Again),
            ("wi-b", "y", After::Again),
        ] {
            assert_eq!(losses.note(&fault(id, reason)), after, "{id} {reason}");
        }
    }

    #[test]
    fn what_fails_for_ever_other_reasons_comes_to_an_end() {
        let mut losses = Losses::default();
        let end = (0..100).find(|n| losses.note(&fault("wi-a", &n.to_string())) == After::Enough);
        assert_eq!(end, Some(29));
        let records = Loss::records("withdrawn".into());
        assert_eq!([(); 3].map(|()| losses.note(&records)), [After::Again, After::Again, After::Enough]);
    }
}
