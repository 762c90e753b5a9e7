//! What a target lets through: everything, nothing, or tests without landings; said by a person, for a reason.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::record::{Object, Rev};
use crate::time::Moment;

/// What moves in the queue of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// Everything.
    #[default]
    Open,
    /// Nothing: requests come in, none is tested or lands.
    Paused,
    /// Requests are tested, none lands.
    Frozen,
}

impl Flow {
    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Frozen => "frozen",
        }
    }
}

/// `queue/targets/<branch>.json`: what somebody said of a target; one value when two machines said something.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Control {
    /// Schema version.
    pub v: u64,
    /// The branch.
    pub target: String,
    /// What moves.
    pub state: Flow,
    /// Requests of this priority and more urgent ones (a lower number) pass all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<u8>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Moment,
    /// Clock.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

impl Control {
    fn passes(&self, priority: u8) -> bool {
        self.state == Flow::Open || self.floor.is_some_and(|floor| priority <= floor)
    }

    /// Whether a request of `priority` may be tested.
    #[must_use]
    pub fn may_run(&self, priority: u8) -> bool {
        self.state != Flow::Paused || self.passes(priority)
    }

    /// Whether a request of `priority` may land.
    #[must_use]
    pub fn may_land(&self, priority: u8) -> bool {
        self.passes(priority)
    }

    /// In a few words: what, by whom, why. The reason is foreign text.
    #[must_use]
    pub fn words(&self) -> String {
        let reason = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        let floor = match self.floor {
            Some(0) => " but for P0".to_owned(),
            Some(floor) => format!(" but for P0 to P{floor}"),
            None => String::new(),
        };
        format!("{} is {} by {}{floor}{reason}", self.target, self.state.word(), self.by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(state: Flow, floor: Option<u8>) -> Control {
        Control {
            v: 1,
            target: "main".into(),
            state,
            floor,
            reason: "release".into(),
            by: "overseer".into(),
            at: Moment::from_millis(0),
            rev: Rev::default(),
            extra: Object::new(),
        }
    }

    #[test]
    fn a_pause_stops_tests_a_freeze_only_landings_and_the_urgent_pass_both() {
        for (state, floor, priority, may_run, may_land) in [
            (Flow::Open, None, 4, true, true),
            (Flow::Paused, None, 0, false, false),
            (Flow::Paused, Some(1), 1, true, true),
            (Flow::Paused, Some(1), 2, false, false),
            (Flow::Frozen, None, 0, true, false),
            (Flow::Frozen, Some(0), 0, true, true),
            (Flow::Frozen, Some(0), 1, true, false),
        ] {
            let control = control(state, floor);
            assert_eq!((control.may_run(priority), control.may_land(priority)), (may_run, may_land), "{state:?} {floor:?}");
        }
        assert_eq!(control(Flow::Frozen, Some(1)).words(), "main is frozen by overseer but for P0 to P1: release");
    }
}
