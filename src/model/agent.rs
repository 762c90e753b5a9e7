//! Agents: lasting identities. Their state is derived from hook and session, never stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::address::Address;
use crate::model::bead::{Bead, IssueType, Status};
use crate::model::record::{self, Object};
use crate::name::Prefix;
use crate::time::Moment;

/// What the sessions of agents run in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// A process without a terminal, for agents that need nobody
    #[default]
    Process,
    /// A terminal of its own, to be looked at, typed into and attached to
    Tmux,
}

impl Backend {
    /// The words in configuration.
    pub const WORDS: &'static [&'static str] = &["process", "tmux"];

    /// The backend of this word; the usual one for a word of a newer version.
    #[must_use]
    pub fn of(word: &str) -> Self {
        if word == "tmux" { Self::Tmux } else { Self::Process }
    }
}

/// The typed fields of a bead of type `agent`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Agent {
    /// Who it is.
    pub address: Address,
    /// Its role's bead.
    pub role_bead: String,
    /// The machine whose witness judges it and whose sessions it runs in.
    pub machine: String,
    /// Who put it to sleep, while it sleeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asleep: Option<Asleep>,
}

/// That an agent sleeps: nothing starts it or gives it work.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Asleep {
    /// By whom.
    pub by: String,
    /// Since when.
    pub at: Moment,
    /// Fields of a newer version.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Object,
}

impl Agent {
    /// Reads the agent fields of a bead.
    ///
    /// # Errors
    /// Corrupt, when they are missing or wrong.
    pub fn of(bead: &Bead) -> Result<Self> {
        record::view(bead.id.as_str(), &bead.extra)
    }

    /// The bead that records a new agent.
    ///
    /// # Errors
    /// Usage, when the address cannot be a title, which no valid address is.
    pub fn bead(address: &Address, prefix: &Prefix, machine: &str, created_by: &str, now: Moment) -> Result<Bead> {
        let mut bead = Bead::new(address.bead_id(prefix), IssueType::Agent, &address.to_string(), created_by, now)?;
        bead.status = Status::Pinned;
        bead.extra = record::object_of(&Self {
            address: address.clone(),
            role_bead: format!("hq-{}-role", address.role()),
            machine: machine.to_owned(),
            asleep: None,
        });
        Ok(bead)
    }
}

/// What an agent is doing, told from its hook and its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentState {
    /// Hook and session.
    Working,
    /// Neither.
    Idle,
    /// A hook but no session.
    Stalled,
    /// A session but nothing hooked.
    Zombie,
    /// It belongs to another machine, whose sessions cannot be seen from here.
    Elsewhere,
}

impl AgentState {
    /// The state of an agent of this machine.
    #[must_use]
    pub const fn of(has_hook: bool, has_session: bool) -> Self {
        match (has_hook, has_session) {
            (true, true) => Self::Working,
            (false, false) => Self::Idle,
            (true, false) => Self::Stalled,
            (false, true) => Self::Zombie,
        }
    }

    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
            Self::Zombie => "zombie",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// The names of the dogs of a town.
pub const DOGS: [&str; 4] = ["alpha", "bravo", "charlie", "delta"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_read_back_from_its_bead() {
        let address: Address = "widgets/polecats/toast".parse().unwrap();
        let bead = Agent::bead(&address, &"wi".parse().unwrap(), "m1", "overseer", Moment::from_millis(0)).unwrap();
        let agent = Agent::of(&bead).unwrap();
        assert_eq!((agent.address, agent.role_bead.as_str()), (address, "hq-polecat-role"));
    }
}
