//! Setting configuration, and trusting commands that came from elsewhere.

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{self, Setting, Source, Trust};
use crate::error::{Error, OrFail, Result};
use crate::git::program;
use crate::ledger::State;
use crate::model::address::Address;
use crate::model::config_keys::{self, KeyType};
use crate::model::{preset, runtime_hooks};
use crate::ops::{directive, install, outfit, protect, shims};
use crate::town::{RigPlace, Town};

/// Where a value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ScopeChoice {
    /// Only on this machine
    Machine,
    /// For one rig, on all machines
    Rig,
    /// For the town, on all machines
    Town,
}

impl ScopeChoice {
    /// Where what is set there comes from.
    #[must_use]
    pub const fn source(self) -> Source {
        match self {
            Self::Machine => Source::Machine,
            Self::Rig => Source::Rig,
            Self::Town => Source::Town,
        }
    }
}

/// Sets `key`; a command set here is trusted here.
///
/// # Errors
/// Usage, when key or value are wrong; refused, when the identity may not set commands.
pub fn set(town: &Town, place: Option<&RigPlace>, scope: ScopeChoice, key: &str, text: &str) -> Result<Setting> {
    let known = config_keys::find(key)?;
    let value = known.parse(text)?;
    if known.is_guarded() {
        check_rights(town)?;
    }
    runtime_hooks::check_key(key)?;
    if known.key_type == KeyType::Agent && !config::agent_names(town, place)?.iter().any(|name| name == text) {
        // Tells what is wrong with it, if not that nobody has the name.
        config::agent(town, place, text)?;
    }
    protect::check(place, scope, key, &value)?;
    let deed = town.deed("config", format!("set {key}"));
    let source = match (scope, place) {
        (ScopeChoice::Machine, _) => {
            let git_key = config_keys::git_name(key);
            let output = program::bare(town.hq.store.dir(), &["config", "--", &git_key, text])?;
            output.is_success().then_some(()).or_fail(output.failure(), || format!("set {key}: {}", output.last_line()))?;
            Source::Machine
        }
        (ScopeChoice::Rig, Some(place)) => {
            install::set_in_ledger(&place.ledger, &deed, key, Some(&value))?;
            Source::Rig
        }
        (ScopeChoice::Rig, None) => return Err(Error::usage("which rig?").hint("add --rig NAME")),
        (ScopeChoice::Town, _) => {
            install::set_in_ledger(&town.hq, &deed, key, Some(&value))?;
            Source::Town
        }
    };
    let setting = Setting { key: key.to_owned(), value, source };
    if known.is_pinned() && source != Source::Machine {
        Trust::pin(town, &config::scope_name(place, source), key, &setting.text())?;
    }
    follow(town, place, key)?;
    Ok(setting)
}

/// Removes `key` from where it is set.
///
/// # Errors
/// Usage, when there is no such key; refused, when the identity may not; external, when git cannot write it.
pub fn unset(town: &Town, place: Option<&RigPlace>, scope: ScopeChoice, key: &str) -> Result<()> {
    if config_keys::find(key)?.is_guarded() {
        check_rights(town)?;
    }
    let deed = town.deed("config", format!("unset {key}"));
    match (scope, place) {
        (ScopeChoice::Machine, _) => {
            let output = program::bare(town.hq.store.dir(), &["config", "--unset-all", &config_keys::git_name(key)])?;
            // 5: it was not set, which is what was asked for.
            let is_unset = matches!(output.code, Some(0 | 5));
            is_unset.then_some(()).or_fail(output.failure(), || format!("unset {key}: {}", output.last_line()))?;
        }
        (ScopeChoice::Rig, Some(place)) => install::set_in_ledger(&place.ledger, &deed, key, None)?,
        (ScopeChoice::Rig, None) => return Err(Error::usage("which rig?").hint("add --rig NAME")),
        (ScopeChoice::Town, _) => install::set_in_ledger(&town.hq, &deed, key, None)?,
    }
    follow(town, place, key)
}

/// Makes the repositories of `place`, or of all rigs here, as `key` says now, when it is one that they follow.
fn follow(town: &Town, place: Option<&RigPlace>, key: &str) -> Result<()> {
    let refresh = match key {
        protect::KEY => protect::refresh,
        shims::KEY => shims::refresh,
        _ => return Ok(()),
    };
    match place {
        Some(place) => refresh(town, place),
        None => town.places()?.iter().try_for_each(|place| refresh(town, place)),
    }
}

/// What runs on a machine is for people and the mayor to say, not for the workers it runs.
pub(crate) fn check_rights(town: &Town) -> Result<()> {
    match &town.me {
        Address::Overseer(_) | Address::Mayor | Address::Crew(..) => Ok(()),
        Address::Deacon
        | Address::Dog(_)
        | Address::Witness(_)
        | Address::Refinery(_)
        | Address::Polecat(..)
        | Address::Plugin(..) => Err(Error::refused(format!("{} may not say what runs, lands or is renamed here", town.me))
            .hint("ask the overseer: gt mail send overseer -s \"…\" -m \"…\"")),
    }
}

/// A command that is configured or a directive that is set, and whether it takes effect on this machine.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Listed {
    /// `town` or `rig NAME`.
    pub scope: String,
    /// The key.
    pub key: String,
    /// The command line, or what the directive says.
    pub command: String,
    /// Whether it takes effect here.
    pub is_trusted: bool,
}

/// What takes effect only where it is trusted: commands, and directives to roles.
fn texts_in(state: &State<'_>) -> Result<Vec<(String, String)>> {
    Ok([config::commands_in(state)?, directive::texts_in(state)?].concat())
}

/// All commands and directives of the town and its rigs.
///
/// # Errors
/// Corrupt, when configuration or pins cannot be read.
pub fn list(town: &Town) -> Result<Vec<Listed>> {
    let trust = Trust::read(town)?;
    let mut listed = Vec::new();
    let mut add = |scope: String, commands: Vec<(String, String)>| {
        for (key, command) in commands {
            let is_trusted = trust.holds(&scope, &key, &command);
            listed.push(Listed { scope: scope.clone(), key, command, is_trusted });
        }
    };
    add("town".to_owned(), texts_in(&town.hq.state()?)?);
    for place in town.places()? {
        let scope = config::scope_name(Some(&place), Source::Rig);
        add(scope.clone(), texts_in(&place.ledger.state()?)?);
        add(scope, outfit::scripts_of(&place)?);
    }
    Ok(listed)
}

/// Pins the commands that `chosen` picks; tells which are now trusted.
///
/// # Errors
/// Refused, when the identity may not; not found, when it picks none; io, when the pins cannot be written.
pub fn allow(town: &Town, chosen: impl Fn(&Listed) -> bool) -> Result<Vec<Listed>> {
    check_rights(town)?;
    let mut allowed: Vec<Listed> = list(town)?.into_iter().filter(|one| chosen(one)).collect();
    if allowed.is_empty() {
        return Err(Error::not_found("no such command or directive is set").hint("gt trust lists them"));
    }
    for one in &mut allowed {
        Trust::pin(town, &one.scope, &one.key, &one.command)?;
        one.is_trusted = true;
    }
    Ok(allowed)
}

/// Lets records name the agent `name` on this machine, if it is one of gt's own; tells whether it is. What configuration
/// says of others is trusted key by key.
///
/// # Errors
/// Refused, when the identity may not; io, when the pins cannot be written.
pub fn name_agent(town: &Town, name: &str) -> Result<bool> {
    let is_own = preset::built_in()?.iter().any(|preset| preset.name == name);
    if is_own && !config::is_named_here(town, name)? {
        check_rights(town)?;
        config::name_here(town, name)?;
    }
    Ok(is_own)
}
