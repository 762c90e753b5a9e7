//! Accounts of agents' makers: which a session uses, and which may do no more for a while. Where an account may not, the
//! next is taken if that is configured; else nothing is started with it before its time.
//!
//! Accounts are this machine's: a directory in which a program keeps its login. What is known of limits is disposable.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config;
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::model::preset;
use crate::model::rate_limit::{self, Limited};
use crate::ops::peek;
use crate::ops::trust::{self, ScopeChoice};
use crate::runtime::process;
use crate::store::lock::KernelLock;
use crate::store::write_file;
use crate::town::Town;

/// The name of the login that an agent's program has by itself.
pub const OWN: &str = "own";
/// So many lines of a session's end are looked at for words of a limit.
const LINES: usize = 100;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Account {
    /// Its name; `own` for the login that the program has by itself.
    pub name: String,
    /// The agent it is for.
    pub agent: String,
    /// Where the agent's program keeps it; none for its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Whether it is taken first.
    pub is_default: bool,
    /// That it may do no more for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limited: Option<Limited>,
}

/// What is known of sessions and limits.
#[derive(Default, Serialize, Deserialize)]
struct Known {
    /// Agent and account of the last session of each, by the session's id.
    #[serde(default)]
    sessions: BTreeMap<String, (String, String)>,
    /// What was heard of a limit from each, by the session's id.
    #[serde(default)]
    heard: BTreeMap<String, String>,
    /// Limits by agent and account.
    #[serde(default)]
    limits: BTreeMap<String, Limited>,
}

fn path(town: &Town) -> PathBuf {
    town.runtime_dir().join("accounts.json")
}

/// What is known; what cannot be read counts as nothing, since it is disposable.
fn known(town: &Town) -> Known {
    std::fs::read(path(town)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn change(town: &Town, edit: impl FnOnce(&mut Known)) -> Result<()> {
    let path = path(town);
    let _turn = KernelLock::take(&path.with_extension("flock"))?;
    let mut known = known(town);
    edit(&mut known);
    write_file(&path, &serde_json::to_vec_pretty(&known).or_fail(Kind::Bug, || "write what is known of accounts")?)
}

fn key(agent: &str, account: &str) -> String {
    format!("{agent} {account}")
}

/// All accounts, by agent; of each agent that has none its own login, when that is limited.
///
/// # Errors
/// Corrupt, when configuration cannot be read.
pub fn list(town: &Town) -> Result<Vec<Account>> {
    scan(town)?;
    let known = known(town);
    let mut all = Vec::new();
    for (agent, _) in homes()? {
        all.extend(of_agent(town, &agent, &known)?);
    }
    Ok(all)
}

/// Agents that can have accounts, with the variable that says where one is.
fn homes() -> Result<Vec<(String, String)>> {
    let presets = preset::built_in()?.into_iter().filter(|preset| !preset.home.is_empty());
    Ok(presets.map(|preset| (preset.name, preset.home)).collect())
}

fn of_agent(town: &Town, agent: &str, known: &Known) -> Result<Vec<Account>> {
    let default = config::word(town, None, "account.default")?;
    let limited = |name: &str| known.limits.get(&key(agent, name)).filter(|limit| limit.resets_at > town.now).cloned();
    let named = config::accounts(town)?.into_iter().filter(|(_, owner, _)| owner == agent);
    let mut all: Vec<Account> = named
        .map(|(name, agent, dir)| Account { is_default: name == default, limited: limited(&name), dir: Some(dir), name, agent })
        .collect();
    if all.is_empty() {
        all.extend(limited(OWN).map(|limit| Account {
            name: OWN.to_owned(),
            agent: agent.to_owned(),
            dir: None,
            is_default: true,
            limited: Some(limit),
        }));
    }
    // The one that is taken first is the first.
    all.sort_by_key(|account| !account.is_default);
    if let Some(first) = all.first_mut() {
        first.is_default = true;
    }
    Ok(all)
}

/// Adds an account that the program of `agent` keeps in `dir`.
///
/// # Errors
/// Usage, when the agent can have none, or the directory is not there; as [`trust::set`].
pub fn add(town: &Town, name: &str, agent: &str, dir: &Path) -> Result<Vec<Account>> {
    if !homes()?.iter().any(|(known, _)| known == agent) {
        let known: Vec<String> = homes()?.into_iter().map(|(name, _)| name).collect();
        return Err(Error::usage(format!("agent '{}' keeps no accounts of which one could be chosen", agent.escape_debug()))
            .hint(format!("those that do: {}", known.join(", "))));
    }
    let dir = town.dir.join(dir);
    if name == OWN || !dir.is_dir() {
        return Err(Error::usage(format!("{} is no directory of an account, or '{OWN}' was named", dir.display()))
            .hint("log in there first, for instance: CLAUDE_CONFIG_DIR=DIR claude"));
    }
    let text = dir.to_str().ok_or_else(|| Error::usage(format!("the path {} is no text", dir.display())))?;
    trust::set(town, None, ScopeChoice::Machine, &format!("accounts.{name}.agent"), agent)?;
    trust::set(town, None, ScopeChoice::Machine, &format!("accounts.{name}.dir"), text)?;
    list(town)
}

/// Makes `name` the account that is taken first.
///
/// # Errors
/// Not found, when there is no such account; as [`trust::set`].
pub fn make_default(town: &Town, name: &str) -> Result<Vec<Account>> {
    check_known(town, name)?;
    trust::set(town, None, ScopeChoice::Machine, "account.default", name)?;
    list(town)
}

/// Forgets the account `name`; its directory stays.
///
/// # Errors
/// Not found, when there is no such account; as [`trust::unset`].
pub fn remove(town: &Town, name: &str) -> Result<Vec<Account>> {
    check_known(town, name)?;
    for field in ["dir", "agent"] {
        trust::unset(town, None, ScopeChoice::Machine, &format!("accounts.{name}.{field}"))?;
    }
    if config::word(town, None, "account.default")? == name {
        trust::unset(town, None, ScopeChoice::Machine, "account.default")?;
    }
    list(town)
}

fn check_known(town: &Town, name: &str) -> Result<()> {
    if config::accounts(town)?.iter().any(|(known, ..)| known == name) {
        return Ok(());
    }
    Err(Error::not_found(format!("there is no account '{}'", name.escape_debug())).hint("gt account list shows them"))
}

/// An account that was taken for a session.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its name.
    pub name: String,
    /// The variables that lead the agent's program to it.
    pub vars: Vec<(String, OsString)>,
}

/// The account for a session of `agent` now, with its variables; `None`, when the program's own login is used.
///
/// # Errors
/// Refused, when it may do no more for a while, and so may every other that could be taken.
pub fn pick(town: &Town, agent: &str) -> Result<Option<Taken>> {
    let Some((_, home)) = homes()?.into_iter().find(|(known, _)| known == agent) else { return Ok(None) };
    scan(town)?;
    let all = of_agent(town, agent, &known(town))?;
    let may_rotate = config::is_on(town, None, "account.rotate")?;
    let choice = all.iter().take(if may_rotate { all.len() } else { 1 });
    let Some(first) = all.first() else { return Ok(None) };
    match choice.clone().find(|account| account.limited.is_none()) {
        Some(account) => {
            let vars = account.dir.iter().map(|dir| (home.clone(), dir.clone().into_os_string()));
            let vars = vars.chain([("GT_ACCOUNT".to_owned(), account.name.clone().into())]).collect();
            Ok(Some(Taken { name: account.name.clone(), vars }))
        }
        None => Err(refusal(first, choice.filter_map(|account| account.limited.as_ref()).min_by_key(|limit| limit.resets_at))),
    }
}

fn refusal(account: &Account, limit: Option<&Limited>) -> Error {
    let until = limit.map(|limit| format!(" until {}", limit.resets_at)).unwrap_or_default();
    let whose = if account.name == OWN { "its login".to_owned() } else { format!("account {}", account.name) };
    Error::refused(format!("{} may do no more{until}: {whose} has reached its limit", account.agent)).hint(
        "see gt account status; with several accounts the next is taken after: gt config set account.rotate true --scope machine",
    )
}

/// Remembers which account a session has.
///
/// # Errors
/// Io, when it cannot be written.
pub fn note(town: &Town, session: &str, agent: &str, account: &str) -> Result<()> {
    let last: Vec<String> = process::known(&town.runtime_dir())?.into_iter().map(|session| session.id).collect();
    change(town, |known| {
        known.sessions.retain(|id, _| last.contains(id));
        known.heard.retain(|id, _| last.contains(id));
        known.sessions.insert(session.to_owned(), (agent.to_owned(), account.to_owned()));
    })
}

/// Looks at what the last sessions of this machine said, and marks accounts of which one said that it may do no more.
/// Words that were heard before mark nothing again.
///
/// # Errors
/// Io, when the records of sessions cannot be read, or what was heard cannot be kept.
fn scan(town: &Town) -> Result<()> {
    let before = known(town);
    if before.sessions.is_empty() {
        return Ok(());
    }
    let presets = preset::built_in()?;
    let mut heard = Vec::new();
    for session in process::known(&town.runtime_dir())? {
        let Some((agent, account)) = before.sessions.get(&session.id) else { continue };
        let Some(preset) = presets.iter().find(|preset| preset.name == *agent) else { continue };
        let Some(said) = rate_limit::said(&preset.limit, &shown(town, &session.agent)) else { continue };
        if before.heard.get(&session.id) == Some(&said) {
            continue;
        }
        let key = key(agent, account);
        let resets_at = rate_limit::resets_at(&said, town.now);
        heard.push((key, Limited { at: town.now, resets_at, session: session.id.clone(), said }));
    }
    if heard.is_empty() {
        return Ok(());
    }
    change(town, |known| {
        for (key, limit) in heard {
            known.heard.insert(limit.session.clone(), limit.said.clone());
            known.limits.insert(key, limit);
        }
    })
}

fn shown(town: &Town, agent: &Address) -> String {
    peek::look(town, agent, LINES).map(|screen| screen.lines.join("\n")).unwrap_or_default()
}

/// The directories of all accounts.
///
/// # Errors
/// Corrupt, when configuration cannot be read.
pub fn dirs(town: &Town) -> Result<Vec<PathBuf>> {
    Ok(config::accounts(town)?.into_iter().map(|(_, _, dir)| dir).collect())
}
