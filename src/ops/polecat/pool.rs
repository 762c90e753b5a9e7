//! Names and numbers of polecats: the rig's pool, its directories, and how many may work.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Ground, ground, mark, sandbox};
use crate::config::{self, Setting};
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::model::config_keys;
use crate::model::pool::{self, Pool};
use crate::name::{BeadId, Name};
use crate::ops::trust::{self, ScopeChoice};
use crate::runtime::{process, spawns};
use crate::town::{RigPlace, Town};

/// Before the name of a theme of one's own.
const THEME: &str = "polecats.themes.";

/// The names of a theme: of gt's own, else of one that is configured.
///
/// # Errors
/// Not found, when there is none.
pub fn theme(town: &Town, place: Option<&RigPlace>, name: &str) -> Result<Vec<String>> {
    let own = || -> Result<Option<Setting>> {
        let key = format!("{THEME}{name}");
        if config_keys::find(&key).is_err() { Ok(None) } else { config::lookup(town, place, &key) }
    };
    match pool::built_in(name) {
        Some(names) => Ok(names),
        None => own()?.map(|setting| words(&setting)).ok_or_else(|| {
            Error::not_found(format!("there is no theme '{}'", name.escape_debug())).hint("gt namepool themes lists them")
        }),
    }
}

fn words(setting: &Setting) -> Vec<String> {
    setting.value.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

/// The pool of a rig.
///
/// # Errors
/// Not found, when its theme is none.
pub fn of(town: &Town, place: &RigPlace) -> Result<Pool> {
    let own = config::lookup(town, Some(place), "polecats.names")?.map(|setting| words(&setting)).unwrap_or_default();
    let name = config::word(town, Some(place), "polecats.theme")?;
    Ok(Pool::new(&own, &theme(town, Some(place), &name)?))
}

/// The names for polecats here: those that have a directory, and those that may get one.
pub(super) struct Names {
    /// With a sandbox, in the order of the pool.
    pub(super) there: Vec<Name>,
    /// Without one, in order; none, when the rig has as many as it may.
    pub(super) free: Vec<Name>,
    /// How many directories the rig may have.
    pub(super) most: usize,
}

/// Looks at the directories of `place`.
///
/// # Errors
/// Io or corrupt, when directories or configuration cannot be read.
pub(super) fn names(town: &Town, place: &RigPlace) -> Result<Names> {
    let (pool, mark) = (of(town, place)?, mark(town, place)?);
    let most = usize::try_from(config::number(town, Some(place), "polecats.max")?.unwrap_or(30)).unwrap_or(30);
    let (mut there, mut count) = (Vec::new(), 0);
    for file_name in entries_of(&place.dir.join("polecats"))? {
        let Some(name) = file_name.to_str().and_then(|name| name.parse::<Name>().ok()) else { continue };
        match likely_ground(place, &sandbox(place, &name))? {
            Ground::Free => {}
            Ground::Foreign => count += 1,
            Ground::Worktree => {
                count += 1;
                there.push(name);
            }
        }
    }
    there.sort_by_key(|name| (pool.place_of(name, &mark), name.clone()));
    let mut free = Vec::new();
    if count < most {
        // Of many slings at once no more than these get a directory.
        for n in 0..most {
            let name = pool.name(n, &mark)?;
            if !there.contains(&name) {
                free.push(name);
            }
        }
        free.truncate(most - count);
    }
    Ok(Names { there, free, most })
}

/// The names in `dir`; none, when it is not there.
fn entries_of(dir: &Path) -> Result<Vec<OsString>> {
    let read = || std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<Vec<_>>>();
    match read() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.or_fail(Kind::Io, || format!("look into {}", dir.display())),
    }
}

/// What seems to stand at `dir`, without a look at all that git has registered unless it is in doubt.
fn likely_ground(place: &RigPlace, dir: &Path) -> Result<Ground> {
    let names: Vec<_> = std::fs::read_dir(dir).into_iter().flatten().filter_map(std::result::Result::ok).take(2).collect();
    let is_checkout = names.len() > 1 && dir.join(".git").is_file();
    if is_checkout { Ok(Ground::Worktree) } else { ground(place, dir) }
}

/// What to say where there are as many directories as there may be.
pub(super) fn full(place: &RigPlace, most: usize) -> Error {
    let rig = &place.rig.name;
    Error::refused(format!("rig {rig} may have {most} polecats and none is free"))
        .hint(format!("wait for one, or raise the limit: gt config set polecats.max N --rig {rig}"))
}

/// Refuses to start one more polecat when as many work on this machine as may, or when its work was started too often.
///
/// # Errors
/// Refused, naming the limit and what raises it.
pub fn check_start(town: &Town, place: &RigPlace, bead: &BeadId) -> Result<()> {
    let most = config::number(town, None, "polecats.working_max")?.unwrap_or(25);
    let sessions = process::all(&town.runtime_dir())?;
    let working = sessions.iter().filter(|session| matches!(session.agent, Address::Polecat(..))).count();
    if u64::try_from(working).unwrap_or(u64::MAX) >= most {
        return Err(Error::refused(format!("{working} polecats work on this machine, and no more than {most} may"))
            .hint("wait for one, only assign with --no-start, or raise the limit: gt config set polecats.working_max N"));
    }
    let most = config::number(town, Some(place), "polecats.respawns_max")?.unwrap_or(3);
    let count = spawns::count(&town.runtime_dir(), bead);
    if count > most {
        return Err(Error::refused(format!("{bead} was started {count} times on this machine and came to no end"))
            .hint(format!("see what its agent said with gt peek; then start it all the same: gt sling {bead} --force")));
    }
    Ok(())
}

/// A rig's pool as `gt namepool` shows it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Shown {
    /// The rig.
    pub rig: Name,
    /// Its theme.
    pub theme: String,
    /// Names that are taken first.
    pub own: Vec<String>,
    /// The names in order.
    pub names: Vec<String>,
    /// Those of them, and others, that have a sandbox here.
    pub in_use: Vec<Name>,
    /// How many sandboxes the rig may have on a machine.
    pub max: usize,
}

/// The pool of `place`.
///
/// # Errors
/// As [`of`].
pub fn show(town: &Town, place: &RigPlace) -> Result<Shown> {
    let names = names(town, place)?;
    Ok(Shown {
        rig: place.rig.name.clone(),
        theme: config::word(town, Some(place), "polecats.theme")?,
        own: config::lookup(town, Some(place), "polecats.names")?.map(|setting| words(&setting)).unwrap_or_default(),
        names: of(town, place)?.names().to_vec(),
        in_use: names.there,
        max: names.most,
    })
}

/// All themes with their names.
///
/// # Errors
/// Corrupt, when configuration cannot be read.
pub fn themes(town: &Town, place: Option<&RigPlace>) -> Result<BTreeMap<String, Vec<String>>> {
    let own = config::all(town, place)?;
    let own = own.iter().filter_map(|setting| Some((setting.key.strip_prefix(THEME)?.to_owned(), words(setting))));
    Ok(pool::THEMES.iter().map(|(name, _)| ((*name).to_owned(), pool::built_in(name).unwrap_or_default())).chain(own).collect())
}

fn scope(place: Option<&RigPlace>) -> ScopeChoice {
    if place.is_some() { ScopeChoice::Rig } else { ScopeChoice::Town }
}

/// Lets polecats that are made from now on have their names from `theme`, in one rig or in the town.
///
/// # Errors
/// Not found, when there is no such theme; as [`trust::set`].
pub fn choose(town: &Town, place: Option<&RigPlace>, name: &str) -> Result<Setting> {
    theme(town, place, name)?;
    trust::set(town, place, scope(place), "polecats.theme", name)
}

/// Adds a name that is taken before those of the theme.
///
/// # Errors
/// Usage, when it can be none; as [`trust::set`].
pub fn add(town: &Town, place: Option<&RigPlace>, name: &str) -> Result<Setting> {
    let mut names = config::lookup(town, place, "polecats.names")?.map(|setting| words(&setting)).unwrap_or_default();
    names.push(name.to_owned());
    pool::check_names(&names)?;
    trust::set(town, place, scope(place), "polecats.names", &names.join(" "))
}

/// Makes a theme.
///
/// # Errors
/// Usage, when names or theme can be none; conflict, when gt has one of that name.
pub fn create(town: &Town, place: Option<&RigPlace>, name: &str, names: &[String]) -> Result<Setting> {
    if pool::built_in(name).is_some() {
        return Err(Error::conflict(format!("there is a built-in theme {name}")).hint("choose another name"));
    }
    let key = format!("{THEME}{name}");
    if config_keys::find(&key).is_err() {
        return Err(Error::usage(format!("'{}' cannot be the name of a theme", name.escape_debug()))
            .hint("it has up to 40 of a-z, 0-9, _ and -"));
    }
    pool::check_names(names)?;
    trust::set(town, place, scope(place), &key, &names.join(" "))
}

/// Forgets a theme of one's own.
///
/// # Errors
/// Refused, when a rig or the town uses it; not found, when there is none.
pub fn delete(town: &Town, place: Option<&RigPlace>, name: &str) -> Result<()> {
    if pool::built_in(name).is_some() {
        return Err(Error::refused(format!("{name} is a built-in theme")));
    }
    theme(town, place, name)?;
    let mut users = Vec::new();
    for rig in town.places()? {
        if config::word(town, Some(&rig), "polecats.theme")? == name {
            users.push(rig.rig.name.to_string());
        }
    }
    if config::word(town, None, "polecats.theme")? == name {
        users.push("the town".to_owned());
    }
    if !users.is_empty() {
        return Err(Error::refused(format!("the theme {name} is used by {}", users.join(", ")))
            .hint("choose another first: gt namepool set THEME"));
    }
    trust::unset(town, place, scope(place), &format!("{THEME}{name}"))
}

/// Goes back to the theme and the names that gt begins with.
///
/// # Errors
/// As [`trust::unset`].
pub fn reset(town: &Town, place: Option<&RigPlace>) -> Result<()> {
    trust::unset(town, place, scope(place), "polecats.theme")?;
    trust::unset(town, place, scope(place), "polecats.names")
}
