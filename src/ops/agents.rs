//! The agents that can be chosen: which there are, whether their programs are here, and adding ones of one's own.

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{self, Chosen, Setting};
use crate::error::{Error, Kind, Result};
use crate::model::preset::{Preset, Prompt};
use crate::ops::session;
use crate::ops::trust::{self, ScopeChoice};
use crate::runtime::launch::{self, Line};
use crate::town::{RigPlace, Town};

/// The keys of an agent; the program last, so that one half set is none.
const FIELDS: [&str; 8] = ["args", "env", "model_flag", "prompt", "ready", "terminal", "wrapper", "command"];
/// What is laid over its runtime hooks, which are set by themselves.
const HOOKS: [&str; 3] = ["hooks", "hooks.mayor", "hooks.polecat"];

/// An agent that can be chosen.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its program; empty when that is not trusted here.
    pub program: String,
    /// Whether the program is here.
    pub is_found: bool,
    /// Whether polecats are started with it.
    pub is_chosen: bool,
    /// Why it cannot be used here, though its program may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// All agents, and which is started.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Agents {
    /// They.
    pub agents: Vec<Listed>,
    /// The `agent.command` that is started instead of any of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Why what is configured is not started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// All agents of the town, or of the rig at `place`.
///
/// # Errors
/// Corrupt, when configuration cannot be read; external, when programs cannot be looked up.
pub fn list(town: &Town, place: Option<&RigPlace>) -> Result<Agents> {
    let (chosen, fault) = match config::chosen(town, place, "polecat", None) {
        Ok(chosen) => (chosen, None),
        Err(error) => (None, Some(error.line())),
    };
    let (name, command) = match chosen {
        Some(Chosen::Agent(agent)) => (Some(agent.name), None),
        Some(Chosen::Command(line)) => (None, Some(line)),
        None => (None, None),
    };
    let mut agents = Vec::new();
    for one in config::agent_names(town, place)? {
        let is_chosen = name.as_ref() == Some(&one);
        agents.push(match config::agent(town, place, &one) {
            Ok(agent) => {
                let is_found = is_found(town, &agent)?;
                Listed { name: one, program: agent.program, is_found, is_chosen, fault: None }
            }
            Err(error) => Listed { name: one, program: String::new(), is_found: false, is_chosen, fault: Some(error.line()) },
        });
    }
    Ok(Agents { agents, command, fault })
}

fn is_found(town: &Town, agent: &Preset) -> Result<bool> {
    let line = Line::Words { agent: agent.name.clone(), words: vec![agent.program.clone()], input: None };
    match launch::check_program(&line, &town.root, &[("PATH".to_owned(), session::search_path(town)?)]) {
        Ok(()) => Ok(true),
        Err(error) if error.kind == Kind::External => Ok(false),
        Err(error) => Err(error),
    }
}

/// What is set of an agent.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// Its program, and arguments before all others.
    pub command: String,
    /// Arguments that let it work without asking.
    pub args: Option<String>,
    /// `NAME=value` pairs.
    pub env: Option<String>,
    /// The flag that a model's name follows.
    pub model_flag: Option<String>,
    /// How its first words are given.
    pub prompt: Option<Prompt>,
    /// What its terminal shows when it can be typed into.
    pub ready: Option<String>,
    /// Whether it works in a terminal only.
    pub terminal: bool,
}

/// Adds the agent `name`, or changes one; tells what was set.
///
/// # Errors
/// As [`trust::set`].
pub fn set(town: &Town, place: Option<&RigPlace>, scope: ScopeChoice, name: &str, fields: &Fields) -> Result<Vec<Setting>> {
    let text = |field: &str| match field {
        "args" => fields.args.clone(),
        "env" => fields.env.clone(),
        "model_flag" => fields.model_flag.clone(),
        "prompt" => fields.prompt.map(|prompt| prompt.word().to_owned()),
        "ready" => fields.ready.clone(),
        "wrapper" => None,
        "terminal" => fields.terminal.then(|| "true".to_owned()),
        _ => Some(fields.command.clone()),
    };
    let given = FIELDS.iter().filter_map(|field| Some((format!("agents.{name}.{field}"), text(field)?)));
    given.map(|(key, text)| trust::set(town, place, scope, &key, &text)).collect()
}

/// Removes what is set of the agent `name`; one of gt's own is then as it came.
///
/// # Errors
/// Not found, when nothing is set of it there; as [`trust::unset`].
pub fn remove(town: &Town, place: Option<&RigPlace>, scope: ScopeChoice, name: &str) -> Result<()> {
    let (mut is_set, source) = (false, scope.source());
    for field in FIELDS.iter().rev().chain(&HOOKS) {
        let key = format!("agents.{name}.{field}");
        if config::lookup(town, place, &key)?.is_some_and(|setting| setting.source == source) {
            trust::unset(town, place, scope, &key)?;
            is_set = true;
        }
    }
    if is_set {
        return Ok(());
    }
    Err(Error::not_found(format!("nothing is set of agent '{}' there", name.escape_debug()))
        .hint("gt config list shows what is set, and where"))
}
