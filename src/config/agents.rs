//! Which agent is started: the presets that come with gt, what configuration changes of them, and those it adds.
//!
//! Whatever decides what runs is used only when this machine trusts it: each key of an agent by itself, and a preset of
//! gt's own by having been named here once. So a record that came by sync cannot choose a program for this machine.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Setting, Source, Trust, all, lookup, trusted};
use crate::error::{Error, Result};
use crate::model::preset::{self, Form, Preset, Prompt};
use crate::town::{RigPlace, Town};

/// What starts an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// A line for a shell, the `agent.command`.
    Command(String),
    /// An agent by name.
    Agent(Box<Preset>),
}

/// The scope and key under which agents named on this machine are pinned.
fn pin_of(name: &str) -> String {
    format!("agent {name}")
}

/// Remembers that somebody of this machine named the agent.
///
/// # Errors
/// Io, when the pins cannot be written.
pub fn name_here(town: &Town, name: &str) -> Result<()> {
    Trust::pin(town, "machine", &pin_of(name), name)
}

/// Whether somebody of this machine named the agent.
///
/// # Errors
/// Corrupt, when the pins cannot be read.
pub fn is_named_here(town: &Town, name: &str) -> Result<bool> {
    Ok(Trust::read(town)?.holds("machine", &pin_of(name), name))
}

/// The names of all agents: gt's own, and those of the configuration.
///
/// # Errors
/// Corrupt, when configuration cannot be read.
pub fn agent_names(town: &Town, place: Option<&RigPlace>) -> Result<Vec<String>> {
    let mut names: Vec<String> = preset::built_in()?.into_iter().map(|preset| preset.name).collect();
    let mut own: BTreeSet<String> = all(town, place)?.iter().filter_map(|one| name_in(&one.key)).collect();
    let here = town.hq.store.repo.config_snapshot();
    let groups = here.plumbing().sections_by_name("gt").into_iter().flatten();
    let groups = groups.filter_map(|section| Some(section.header().subsection_name()?.to_string()));
    own.extend(groups.filter_map(|group| name_in(&group)));
    let added: Vec<String> = own.into_iter().filter(|name| !names.contains(name)).collect();
    names.extend(added);
    Ok(names)
}

/// The accounts of this machine: name, agent, and the directory that its program keeps it in.
///
/// # Errors
/// Corrupt, when configuration cannot be read.
pub fn accounts(town: &Town) -> Result<Vec<(String, String, PathBuf)>> {
    let here = town.hq.store.repo.config_snapshot();
    let groups = here.plumbing().sections_by_name("gt").into_iter().flatten();
    let groups = groups.filter_map(|section| Some(section.header().subsection_name()?.to_string()));
    let names: BTreeSet<String> = groups.filter_map(|group| group.strip_prefix("accounts.").map(str::to_owned)).collect();
    let mut all = Vec::new();
    for name in names {
        let get = |field: &str| lookup(town, None, &format!("accounts.{name}.{field}"));
        // What a ledger says is another machine's, and none of this one's directories.
        let Some(dir) = get("dir")?.filter(|setting| setting.source == Source::Machine) else { continue };
        let agent = get("agent")?.map_or_else(|| "claude".to_owned(), |setting| setting.text());
        all.push((name, agent, PathBuf::from(dir.text())));
    }
    Ok(all)
}

/// The agent that a key such as `agents.mine.command` is about.
fn name_in(key: &str) -> Option<String> {
    let mut words = key.split('.');
    (words.next() == Some("agents")).then(|| words.next().map(str::to_owned)).flatten()
}

/// The agent `name`, with what configuration says of it.
///
/// # Errors
/// Not found, when there is none; refused, when something of it is not trusted here.
pub fn agent(town: &Town, place: Option<&RigPlace>, name: &str) -> Result<Preset> {
    let key = |field: &str| format!("agents.{name}.{field}");
    let known = preset::built_in()?.into_iter().find(|preset| preset.name == name);
    let nobody = || {
        Error::not_found(format!("there is no agent '{}'", name.escape_debug()))
            .hint("gt config agent list shows them; to add one: gt config set agents.NAME.command 'PROGRAM'")
    };
    // A name that no key can hold belongs to nobody.
    let command = lookup(town, place, &key("command")).map_err(|error| if known.is_none() { nobody() } else { error })?;
    let mut agent = match (known, command) {
        (Some(known), _) => known,
        (None, Some(_)) => Preset { source: "configuration".into(), ..Preset::blank(name) },
        (None, None) => return Err(nobody()),
    };
    let get = |field: &str| trusted(town, place, &key(field));
    if let Some(command) = get("command")? {
        let mut words = words_of(&command).into_iter();
        agent.program = words.next().unwrap_or_default();
        let first: Vec<String> = words.collect();
        for form in [&mut agent.alone, &mut agent.terminal].into_iter().flatten() {
            form.first.splice(..0, first.iter().cloned());
        }
    }
    if let Some(args) = get("args")? {
        agent.args = words_of(&args);
    }
    if let Some(pairs) = get("env")? {
        let pairs = words_of(&pairs);
        agent.env.extend(pairs.iter().filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.into(), value.into())));
    }
    if let Some(flag) = get("model_flag")? {
        agent.model_flag = flag.text();
    }
    if let Some(ready) = get("ready")? {
        agent.ready = ready.text();
    }
    if let Some(prompt) = get("prompt")?.and_then(|setting| Prompt::of(&setting.text())) {
        agent.give_by(prompt);
    }
    match get("terminal")?.and_then(|setting| setting.value.as_bool()) {
        Some(true) => agent.alone = None,
        Some(false) if agent.alone.is_none() => agent.alone = agent.terminal.clone().filter(is_for_both),
        Some(false) | None => {}
    }
    Ok(agent)
}

/// The model that agents of `role` run; empty when that is theirs to choose. In one layer the role's own goes before that
/// of all.
///
/// # Errors
/// Corrupt, when configuration cannot be read.
pub fn model(town: &Town, place: Option<&RigPlace>, role: &str) -> Result<String> {
    let mut settings = Vec::new();
    for key in [format!("agent.{role}.model").as_str(), "agent.model"] {
        settings.extend(lookup(town, place, key)?);
    }
    // Of equals the first.
    Ok(settings.into_iter().min_by_key(|setting| setting.source).map(|setting| setting.text()).unwrap_or_default())
}

/// What runs the agent `name`, or an `agent.command` where there is none: its own wrapper, else that of all agents.
///
/// # Errors
/// Refused, when one that is set is not trusted here: then nothing is started rather than outside of it.
pub fn wrapper(town: &Town, place: Option<&RigPlace>, name: Option<&str>) -> Result<Vec<String>> {
    let own = name.map(|name| trusted(town, place, &format!("agents.{name}.wrapper"))).transpose()?.flatten();
    let setting = own.map_or_else(|| trusted(town, place, "agent.wrapper"), |own| Ok(Some(own)))?;
    Ok(setting.as_ref().map(words_of).unwrap_or_default())
}

fn is_for_both(form: &Form) -> bool {
    form.prompt == Prompt::Argument
}

fn words_of(setting: &Setting) -> Vec<String> {
    let list = setting.value.as_array().into_iter().flatten();
    list.filter_map(|word| word.as_str()).map(str::to_owned).collect()
}

/// What starts an agent of `role`: the one that is `named` by a hook, else what is set nearest. In one layer the role's own
/// preset goes before `agent.command`, and that before `agent.preset`.
///
/// # Errors
/// Refused, when it is not trusted here; not found, when there is no such agent.
pub fn chosen(town: &Town, place: Option<&RigPlace>, role: &str, named: Option<&str>) -> Result<Option<Chosen>> {
    if let Some(name) = named {
        let agent = agent(town, place, name)?;
        check_named(town, place, role, &agent)?;
        return Ok(Some(Chosen::Agent(Box::new(agent))));
    }
    match nearest(town, place, role)? {
        Some(setting) if setting.key == "agent.command" => {
            Ok(trusted(town, place, &setting.key)?.map(|one| Chosen::Command(one.text())))
        }
        Some(setting) => {
            let Some(name) = trusted(town, place, &setting.key)? else { return Ok(None) };
            Ok(Some(Chosen::Agent(Box::new(agent(town, place, &name.text())?))))
        }
        None => Ok(None),
    }
}

fn nearest(town: &Town, place: Option<&RigPlace>, role: &str) -> Result<Option<Setting>> {
    let mut settings = Vec::new();
    for key in [format!("agent.{role}.preset").as_str(), "agent.command", "agent.preset"] {
        settings.extend(lookup(town, place, key)?);
    }
    // Of equals the first.
    Ok(settings.into_iter().min_by_key(|setting| setting.source))
}

/// Refuses a preset of gt's own that only a record names: whoever writes records does not choose this machine's programs.
fn check_named(town: &Town, place: Option<&RigPlace>, role: &str, agent: &Preset) -> Result<()> {
    let is_own = lookup(town, place, &format!("agents.{}.command", agent.name))?.is_some();
    if is_own || is_named_here(town, &agent.name)? {
        return Ok(());
    }
    let set = nearest(town, place, role)?.filter(|setting| setting.key != "agent.command" && setting.text() == agent.name);
    let is_set = set.is_some_and(|setting| {
        setting.source != Source::Default && Trust::read(town).is_ok_and(|trust| trust.allows(place, &setting))
    });
    if is_set {
        return Ok(());
    }
    Err(Error::refused(format!("agent {} was never named on this machine, only by a record of another", agent.name))
        .hint(format!("allow it here: gt trust --agent {}", agent.name)))
}
