//! What a rig is to be: its prefix, its remotes and its entry in the town's registry.

use std::path::{Path, PathBuf};

use super::Plan;
use crate::error::{Error, Result};
use crate::git::{fetch, program};
use crate::ledger::{Ledger, tree};
use crate::model::cone::Cone;
use crate::model::record::{Object, Rev, SCHEMA_VERSION};
use crate::model::scope::{Rig, Scope, ScopeKind};
use crate::name::Prefix;
use crate::ops::track::import::{self, source};
use crate::town::Town;

/// The prefix given, else that of beads that the project has and are to keep their ids, else one derived from the name.
pub(super) fn chosen_prefix(town: &Town, plan: &Plan, ledger: &Ledger, branch: &str) -> Result<Prefix> {
    if let Some(prefix) = &plan.prefix {
        return Ok(prefix.clone());
    }
    let lines = if plan.keeps_ids { source::in_branch(&ledger.store, &format!("refs/heads/{branch}"))? } else { None };
    let taken: Vec<Prefix> =
        town.rigs()?.into_iter().flat_map(|rig| rig.prefixes.into_iter().chain([rig.prefix])).chain([Prefix::hq()]).collect();
    let own = lines.and_then(|lines| import::prefix_of(&lines.bytes)).filter(|prefix| !taken.contains(prefix));
    Ok(own.unwrap_or_else(|| Prefix::derived_from(&plan.name)))
}

/// A local path is made absolute, so that it means the same from every directory.
pub(super) fn absolute_url(url: &str) -> String {
    let path = Path::new(url);
    if path.is_dir() { path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string() } else { url.to_owned() }
}

/// Where the ledger goes: as told, else to origin when that is a path of this machine or has one already.
pub(super) fn sync_remote(plan: &Plan, url: &str, ledger: &Ledger) -> Result<Option<String>> {
    match plan.sync.as_deref() {
        Some("none") => Ok(None),
        Some("origin") => Ok(Some(url.to_owned())),
        Some(other) => Ok(Some(absolute_url(other))),
        None => {
            let is_local = url.starts_with('/') || url.starts_with("file://");
            let is_used = is_local || fetch::advertised(&ledger.store, url)?.contains_key(tree::LEDGER);
            Ok(is_used.then(|| url.to_owned()))
        }
    }
}

/// Refuses a target that cannot be landed on: an unknown remote, or a branch checked out where it is pushed to.
pub(super) fn check_land(plan: &Plan) -> Result<()> {
    match plan.land.as_deref() {
        None => return Ok(()),
        Some("origin") => {}
        Some(other) => {
            return Err(Error::usage(format!("there is no remote '{}' to land on", other.escape_debug()))
                .hint("the project's remote is called origin: --land origin"));
        }
    }
    let path = PathBuf::from(plan.url.trim_start_matches("file://"));
    if !path.join(".git").exists() {
        return Ok(());
    }
    let checked_out = program::run_ok(&path, &["symbolic-ref", "--short", "HEAD"]).unwrap_or_default();
    if plan.branch.as_ref().is_none_or(|branch| *branch == checked_out) {
        return Err(Error::refused(format!(
            "{} has the branch {checked_out} checked out, so nothing can be landed on it from outside",
            path.display()
        ))
        .hint("give the URL of a bare repository, or leave out --land to land in the rig's own branch"));
    }
    Ok(())
}

/// Refuses to join a ledger under other names than its own: addresses and ids in it are made of them.
pub(super) fn check_joined(plan: &Plan, scope: &Scope, remote: &str) -> Result<()> {
    if scope.kind != ScopeKind::Rig {
        return Err(Error::refused(format!("{remote} holds the ledger of town {}, not of a rig", scope.name))
            .hint("each scope needs a remote of its own: --sync URL"));
    }
    if scope.name != plan.name.as_str() {
        return Err(Error::refused(format!("the ledger at {remote} is that of rig {}, not of {}", scope.name, plan.name)).hint(
            format!("join it by its name: gt rig add {} {}; or keep a ledger of your own: --sync none", scope.name, plan.url),
        ));
    }
    match &plan.prefix {
        Some(prefix) if *prefix != scope.prefix => {
            Err(Error::refused(format!("the ledger at {remote} has the prefix {}, not {prefix}", scope.prefix))
                .hint("leave --prefix out"))
        }
        _ => Ok(()),
    }
}

/// The entry of the rig in the town's registry: the one that it has, or a new one.
pub(super) fn entry_for(
    town: &Town,
    plan: &Plan,
    url: &str,
    branch: &str,
    prefix: Prefix,
    registered: Option<Rig>,
) -> Result<Rig> {
    if let Some(rig) = registered {
        if *rig.founded_with() != prefix {
            return Err(Error::refused(format!(
                "the town knows rig {} by the prefix {}, but the ledger found has {prefix}",
                rig.name,
                rig.founded_with()
            ))
            .hint("give the remote of its own ledger with --sync"));
        }
        return Ok(rig);
    }
    let taken = prefix == Prefix::hq() || town.rigs()?.iter().any(|rig| rig.has_prefix(&prefix));
    if taken {
        return Err(Error::refused(format!("the prefix {prefix} is taken in this town")).hint("choose another with --prefix"));
    }
    Ok(Rig {
        v: SCHEMA_VERSION,
        name: plan.name.clone(),
        prefix,
        founding_prefix: None,
        prefixes: std::collections::BTreeSet::new(),
        url: url.to_owned(),
        target: branch.to_owned(),
        land_remote: plan.land.is_some(),
        sync: None,
        sparse: Cone::of(&plan.sparse)?.dirs().map(str::to_owned).collect(),
        home: town.machine.clone(),
        rev: Rev::default(),
        extra: Object::new(),
    })
}
