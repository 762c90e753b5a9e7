//! `gt config agent`, `gt config default-agent`: which agents there are, and which is started.

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::config::{One, Place, Settings};
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::config;
use crate::error::{Error, Result};
use crate::model::preset::{Form, Preset, Prompt};
use crate::name::Name;
use crate::ops::agents::{self, Agents, Fields, Listed};
use crate::ops::trust;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Agents>("config agent list"),
    Answer::of::<Shown>("config agent get"),
    Answer::of::<Settings>("config agent set"),
    Answer::of::<Removed>("config agent remove"),
    Answer::of::<One>("config default-agent"),
];

/// Agents of each make: those that gt knows, and your own
#[derive(Args)]
pub struct AgentArgs {
    #[command(subcommand)]
    verb: AgentVerb,
}

#[derive(Subcommand)]
enum AgentVerb {
    /// List all agents, whether their programs are here, and which is started
    List(ListAgents),
    /// Show what is known of an agent
    Get(GetAgent),
    /// Add an agent, or change one; it is trusted on this machine
    ///
    /// Example: gt config agent set mine 'mycli run' --args '--yes' --model-flag --model
    Set(SetAgent),
    /// Remove what is set of an agent
    Remove(RemoveAgent),
}

#[derive(Args)]
struct ListAgents {
    /// For this rig
    #[arg(long)]
    rig: Option<Name>,
}

#[derive(Args)]
struct GetAgent {
    /// The agent
    name: String,
    /// For this rig
    #[arg(long)]
    rig: Option<Name>,
}

#[derive(Args)]
struct SetAgent {
    /// Its name
    name: String,
    /// Its program, with arguments that stand before all others; no shell reads them
    command: String,
    /// Arguments that let it work without asking
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    args: Option<String>,
    /// NAME=value pairs in its environment
    #[arg(long, value_name = "PAIRS")]
    env: Option<String>,
    /// The flag that a model's name follows
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    model_flag: Option<String>,
    /// How it gets its first words
    #[arg(long, value_enum, value_name = "WAY")]
    prompt: Option<Prompt>,
    /// What its terminal shows when it can be typed into
    #[arg(long, value_name = "SIGN", allow_hyphen_values = true)]
    ready: Option<String>,
    /// It works in a terminal only
    #[arg(long)]
    terminal: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct RemoveAgent {
    /// The agent
    name: String,
    #[command(flatten)]
    place: Place,
}

impl AgentArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        match self.verb {
            AgentVerb::List(list) => {
                let place = list.rig.map(|rig| town.rig(&rig)).transpose()?;
                Ok(out.show(&agents::list(town, place.as_ref())?))
            }
            AgentVerb::Get(get) => {
                let place = get.rig.map(|rig| town.rig(&rig)).transpose()?;
                Ok(out.show(&Shown(config::agent(town, place.as_ref(), &get.name)?)))
            }
            AgentVerb::Set(set) => {
                let (rig, scope) = set.place.resolve(town)?;
                let SetAgent { name, command, args, env, model_flag, prompt, ready, terminal, .. } = set;
                let fields = Fields { command, args, env, model_flag, prompt, ready, terminal };
                Ok(out.show(&Settings(agents::set(town, rig.as_ref(), scope, &name, &fields)?)))
            }
            AgentVerb::Remove(remove) => {
                let (rig, scope) = remove.place.resolve(town)?;
                agents::remove(town, rig.as_ref(), scope, &remove.name)?;
                Ok(out.show(&Removed { agent: remove.name }))
            }
        }
    }
}

/// Show or choose the agent that is started
#[derive(Args)]
pub struct DefaultArgs {
    /// The agent; without one, what is chosen is shown
    name: Option<String>,
    #[command(flatten)]
    place: Place,
}

impl DefaultArgs {
    /// Shows or chooses.
    ///
    /// # Errors
    /// Not found, when none is chosen, or there is no such agent; as [`trust::set`].
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        let (rig, scope) = self.place.resolve(town)?;
        let setting = match &self.name {
            Some(name) => trust::set(town, rig.as_ref(), scope, "agent.preset", name)?,
            None => config::lookup(town, rig.as_ref(), "agent.preset")?.ok_or_else(|| {
                Error::not_found("no agent is chosen").hint("gt config agent list shows them; then: gt config default-agent NAME")
            })?,
        };
        Ok(out.show(&One(setting)))
    }
}

impl Show for Agents {
    fn show(&self, page: &mut Page) {
        let row = |one: &Listed| {
            let here = match (&one.fault, one.is_found) {
                (Some(_), _) => "NOT TRUSTED",
                (None, true) => "here",
                (None, false) => "not found",
            };
            let chosen = if one.is_chosen { "chosen" } else { "" };
            vec![one.name.clone(), here.to_owned(), chosen.to_owned(), one.program.clone()]
        };
        page.table(&["AGENT", "PROGRAM IS", "", "PROGRAM"], &self.agents.iter().map(row).collect::<Vec<_>>());
        if let Some(command) = &self.command {
            page.line(format!("agent.command is started instead: {}", escape(command)));
        }
        if let Some(fault) = &self.fault {
            page.line(format!("what is configured is not started: {}", escape(fault)));
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Shown(Preset);

impl Show for Shown {
    fn show(&self, page: &mut Page) {
        let agent = &self.0;
        let env: Vec<String> = agent.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let lines = [
            ("program", agent.program.clone()),
            ("arguments", agent.args.join(" ")),
            ("variables", env.join(" ")),
            ("model flag", agent.model_flag.clone()),
            ("resume", agent.resume.join(" ")),
            ("no terminal", told(agent.alone.as_ref())),
            ("terminal", told(agent.terminal.as_ref())),
            ("ready sign", agent.ready.clone()),
            ("instructions", agent.instructions.clone()),
            ("known from", agent.source.clone()),
        ];
        for (what, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
            page.line(format!("{what:<13} {}", escape(value)));
        }
    }
}

/// How a form is told in one line.
fn told(form: Option<&Form>) -> String {
    let Some(form) = form else { return "it does not run so".to_owned() };
    let words: Vec<&str> = form.first.iter().chain(&form.last).map(String::as_str).collect();
    let by = match form.prompt {
        Prompt::Argument => "first words as argument",
        Prompt::Stdin => "first words on standard input",
        Prompt::Typed => "first words are typed",
    };
    if words.is_empty() { by.to_owned() } else { format!("{}; {by}", words.join(" ")) }
}

#[derive(JsonSchema, Serialize)]
struct Removed {
    agent: String,
}

impl Show for Removed {
    fn show(&self, page: &mut Page) {
        page.line(format!("nothing is set of agent {} any more", escape(&self.agent)));
    }
}
