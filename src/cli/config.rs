//! `gt config`, `gt trust`.

use crate::cli::agent::{AgentArgs, DefaultArgs};
use crate::cli::out::{Out, Page, Show, escape, shorten};
use crate::cli::schema::Answer;
use crate::config::{self, Setting, Source};
use crate::error::{Error, Result};
use crate::model::config_keys;
use crate::name::Name;
use crate::ops::trust::{self, ScopeChoice};
use crate::town::{RigPlace, Town};
use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Settings>("config list"),
    Answer::of::<One>("config get"),
    Answer::of::<Changed>("config set"),
    Answer::of::<Removed>("config unset"),
    Answer::of::<Keys>("config keys"),
    Answer::of::<Trusted>("trust"),
];

/// Show and change configuration
#[derive(Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    verb: ConfigVerb,
}

#[derive(Subcommand)]
enum ConfigVerb {
    /// List what is set, and defaults
    List(ListKeys),
    /// Print the value of a key
    Get(Get),
    /// Set a key; a command that you set is trusted on this machine
    ///
    /// Example: gt config set gates.test.command 'cargo test' --rig widgets
    Set(Set),
    /// Remove a key from where it is set
    Unset(Unset),
    /// List all keys with their types and meaning
    Keys,
    Agent(AgentArgs),
    DefaultAgent(DefaultArgs),
    CostTier(super::tier::TierArgs),
}

#[derive(Args)]
struct ListKeys {
    /// For this rig
    #[arg(long)]
    rig: Option<Name>,
}

#[derive(Args)]
struct Get {
    /// The key
    key: String,
    /// For this rig
    #[arg(long)]
    rig: Option<Name>,
}

#[derive(Args)]
struct Set {
    /// The key
    key: String,
    /// Its value
    #[arg(allow_hyphen_values = true)]
    value: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Unset {
    /// The key
    key: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(super) struct Place {
    /// For this rig
    #[arg(long)]
    rig: Option<Name>,
    /// Where: rig when a rig is named, else town
    #[arg(long, value_enum)]
    scope: Option<ScopeChoice>,
}

impl Place {
    /// The rig, if one is named, and where to set.
    pub(super) fn resolve(&self, town: &Town) -> Result<(Option<RigPlace>, ScopeChoice)> {
        let rig = self.rig.as_ref().map(|rig| town.rig(rig)).transpose()?;
        let scope = self.scope.unwrap_or(if rig.is_some() { ScopeChoice::Rig } else { ScopeChoice::Town });
        if rig.is_some() && scope != ScopeChoice::Rig {
            return Err(Error::usage("--rig goes with --scope rig only"));
        }
        Ok((rig, scope))
    }
}

impl ConfigArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        let place = |rig: Option<Name>| rig.map(|rig| town.rig(&rig)).transpose();
        match self.verb {
            ConfigVerb::List(list) => Ok(out.show(&Settings(config::all(town, place(list.rig)?.as_ref())?))),
            ConfigVerb::Get(get) => {
                let setting = config::lookup(town, place(get.rig)?.as_ref(), &get.key)?;
                let setting = setting.ok_or_else(|| {
                    Error::not_found(format!("{} is not set", get.key)).hint(format!("gt config set {} VALUE", get.key))
                })?;
                Ok(out.show(&One(setting)))
            }
            ConfigVerb::Set(set) => {
                let (rig, scope) = set.place.resolve(town)?;
                Ok(out.show(&Changed(trust::set(town, rig.as_ref(), scope, &set.key, &set.value)?)))
            }
            ConfigVerb::Unset(unset) => {
                let (rig, scope) = unset.place.resolve(town)?;
                trust::unset(town, rig.as_ref(), scope, &unset.key)?;
                Ok(out.show(&Removed { key: unset.key }))
            }
            ConfigVerb::Keys => Ok(out.show(&Keys::all())),
            ConfigVerb::Agent(agent) => agent.run(town, out),
            ConfigVerb::DefaultAgent(chosen) => chosen.run(town, out),
            ConfigVerb::CostTier(tier) => tier.run(town, out),
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub(super) struct Settings(pub(super) Vec<Setting>);

fn source_word(source: Source) -> &'static str {
    match source {
        Source::Machine => "machine",
        Source::Rig => "rig",
        Source::Town => "town",
        Source::Default => "default",
    }
}

impl Show for Settings {
    fn show(&self, page: &mut Page) {
        let row = |one: &Setting| vec![one.key.clone(), source_word(one.source).to_owned(), one.text()];
        page.table(&["KEY", "FROM", "VALUE"], &self.0.iter().map(row).collect::<Vec<_>>());
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub(super) struct One(pub(super) Setting);

impl Show for One {
    fn show(&self, page: &mut Page) {
        page.line(escape(&self.0.text()));
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Changed(Setting);

impl Show for Changed {
    fn show(&self, page: &mut Page) {
        page.line(format!("{} = {} ({})", self.0.key, escape(&self.0.text()), source_word(self.0.source)));
    }
}

#[derive(JsonSchema, Serialize)]
struct Removed {
    key: String,
}

impl Show for Removed {
    fn show(&self, page: &mut Page) {
        page.line(format!("{} is unset", escape(&self.key)));
    }
}

#[derive(JsonSchema, Serialize)]
struct KeyLine {
    key: &'static str,
    default: &'static str,
    help: &'static str,
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Keys(Vec<KeyLine>);

impl Keys {
    fn all() -> Self {
        Self(config_keys::KEYS.iter().map(|key| KeyLine { key: key.name, default: key.default, help: key.help }).collect())
    }
}

impl Show for Keys {
    fn show(&self, page: &mut Page) {
        let rows: Vec<Vec<String>> =
            self.0.iter().map(|key| vec![key.key.to_owned(), key.default.to_owned(), key.help.to_owned()]).collect();
        page.table(&["KEY", "DEFAULT", "MEANING"], &rows);
    }
}

/// List commands and directives, and allow those that came from elsewhere to take effect on this machine
///
/// What arrives by sync does not run here, nor is it told to agents, until its exact text is trusted.
/// Example: gt trust gates.test.command --rig widgets
#[derive(Args)]
pub struct TrustArgs {
    /// The key that is to be trusted, directive.ROLE for a directive; without one, all are listed
    key: Option<String>,
    /// Of this rig; else of the town
    #[arg(long, requires = "key")]
    rig: Option<Name>,
    /// Trust all that are listed
    #[arg(long, conflicts_with = "key")]
    all: bool,
    /// Let slings of other machines start this agent of gt's own here
    #[arg(long, value_name = "NAME", conflicts_with_all = ["key", "all"])]
    agent: Option<String>,
}

impl TrustArgs {
    /// Lists or allows.
    ///
    /// # Errors
    /// Not found, when no such command is configured.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        if let Some(name) = &self.agent
            && !trust::name_agent(town, name)?
        {
            return Err(Error::not_found(format!("there is no agent '{}' of gt's own", name.escape_debug()))
                .hint("one of the configuration is trusted key by key: gt trust agents.NAME.command"));
        }
        let listed = match &self.key {
            Some(key) => {
                let scope = self.rig.as_ref().map_or_else(|| "town".to_owned(), |rig| format!("rig {rig}"));
                trust::allow(town, |one| one.key == *key && one.scope == scope)?
            }
            None if self.all => trust::allow(town, |_| true)?,
            None => trust::list(town)?,
        };
        Ok(out.show(&Trusted(listed)))
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Trusted(Vec<trust::Listed>);

impl Show for Trusted {
    fn show(&self, page: &mut Page) {
        if self.0.is_empty() {
            return page.line("no commands or directives are set");
        }
        let row = |one: &trust::Listed| {
            let word = if one.is_trusted { "trusted" } else { "NOT TRUSTED" };
            vec![one.scope.clone(), one.key.clone(), word.to_owned(), shorten(&one.command, 100)]
        };
        page.table(&["SCOPE", "KEY", "HERE", "TEXT"], &self.0.iter().map(row).collect::<Vec<_>>());
    }
}
