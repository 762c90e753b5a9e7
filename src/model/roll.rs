//! The roll of a town: what each agent does, told from its role, its hook and its session.

use schemars::JsonSchema;
use serde::Serialize;

use super::address::Address;

/// What an agent does, as the roll of a town tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doing {
    /// It has work and a session.
    Working,
    /// It has a session, and needs no hook for it.
    Running,
    /// It has neither.
    Idle,
    /// It has work but no session.
    Stalled,
    /// It has a session though its work is over.
    Zombie,
    /// Its session is held by an emergency stop, or by hand.
    Held,
    /// It was put to sleep.
    Asleep,
    /// It lives on another machine, whose sessions cannot be seen from here.
    Elsewhere,
}

/// What is known of an agent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signs {
    /// Whether something hangs on its hook.
    pub has_hook: bool,
    /// Whether its session runs here.
    pub has_session: bool,
    /// Whether the processes of that are stopped.
    pub is_held: bool,
    /// Whether it was put to sleep.
    pub is_asleep: bool,
    /// Whether it lives on another machine.
    pub is_elsewhere: bool,
}

/// What `agent` does by its `signs`.
#[must_use]
pub const fn doing(agent: &Address, signs: Signs) -> Doing {
    // Only a polecat's session has no reason without a hook.
    let needs_hook = matches!(agent, Address::Polecat(..));
    match signs {
        Signs { is_elsewhere: true, .. } => Doing::Elsewhere,
        Signs { has_session: true, is_held: true, .. } => Doing::Held,
        Signs { has_session: false, is_asleep: true, .. } => Doing::Asleep,
        Signs { has_hook: true, has_session: true, .. } => Doing::Working,
        Signs { has_hook: true, has_session: false, .. } => Doing::Stalled,
        Signs { has_hook: false, has_session: false, .. } => Doing::Idle,
        Signs { has_hook: false, has_session: true, .. } => {
            if needs_hook {
                Doing::Zombie
            } else {
                Doing::Running
            }
        }
    }
}

impl Doing {
    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Running => "running",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
            Self::Zombie => "zombie",
            Self::Held => "held",
            Self::Asleep => "asleep",
            Self::Elsewhere => "elsewhere",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_does_is_told_from_all_signs() {
        let toast: Address = "widgets/polecats/toast".parse().unwrap();
        let told = |agent: &Address, words: &str| {
            let has = |word: &str| words.contains(word);
            let signs = Signs {
                has_hook: has("hook"),
                has_session: has("session"),
                is_held: has("held"),
                is_asleep: has("asleep"),
                is_elsewhere: has("elsewhere"),
            };
            doing(agent, signs)
        };
        for (words, wanted) in [
            ("", Doing::Idle),
            ("hook", Doing::Stalled),
            ("hook session", Doing::Working),
            ("session", Doing::Zombie),
            ("hook session held", Doing::Held),
            ("hook asleep", Doing::Asleep),
            // One that was started all the same is not hidden.
            ("hook session asleep", Doing::Working),
            ("hook elsewhere", Doing::Elsewhere),
        ] {
            assert_eq!(told(&toast, words), wanted, "{words}");
        }
        assert_eq!(told(&Address::Mayor, "session"), Doing::Running);
    }
}
