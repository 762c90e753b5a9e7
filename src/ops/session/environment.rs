//! What a session has in its environment: who it is, where its programs are, and nothing it should not inherit.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Run;
use crate::env::{self, Var};
use crate::error::{Kind, OrFail, Result};
use crate::model::address::Address;
use crate::ops::install;
use crate::town::Town;

/// Who an agent is; where its programs are comes first.
///
/// # Errors
/// Io, when the directory of programs cannot be made.
pub(in crate::ops) fn pairs(town: &Town, agent: &Address, rig: &str) -> Result<Vec<(String, OsString)>> {
    let (name, crew) = match agent {
        Address::Polecat(_, name) => (name.to_string(), String::new()),
        Address::Crew(_, name) => (String::new(), name.to_string()),
        _ => (String::new(), String::new()),
    };
    let agent = agent.to_string();
    Ok(vec![
        ("PATH".into(), search_path(town)?),
        ("GT_ROOT".into(), town.root.clone().into()),
        ("GT_ROLE".into(), agent.clone().into()),
        ("GT_ACTOR".into(), agent.clone().into()),
        ("BD_ACTOR".into(), agent.clone().into()),
        ("GT_RIG".into(), rig.into()),
        ("GT_POLECAT".into(), name.into()),
        ("GT_CREW".into(), crew.into()),
        ("GIT_AUTHOR_NAME".into(), agent.clone().into()),
        ("GIT_AUTHOR_EMAIL".into(), town.actor.email.clone().into()),
        ("GIT_COMMITTER_NAME".into(), agent.into()),
        ("GIT_COMMITTER_EMAIL".into(), town.actor.email.clone().into()),
    ])
}

/// `pairs` with the session, the model and what goes on from a story.
pub(super) fn finished(mut pairs: Vec<(String, OsString)>, session: &str, run: &Run) -> Vec<(String, OsString)> {
    pairs.push(("GT_SESSION".into(), session.into()));
    if let Some(model) = &run.model {
        pairs.push(("GT_MODEL".into(), model.into()));
    }
    if let Some((name, env)) = &run.agent {
        // What says who the agent is stays as it is.
        let own: Vec<(String, OsString)> = env.iter().map(|(name, value)| (name.clone(), value.into())).collect();
        pairs.splice(..0, own.into_iter().filter(|(name, _)| !is_ours(name)));
        pairs.push(("GT_AGENT".into(), name.into()));
    }
    // The story of a demo or test goes on under its clock and plan in the agents it starts, each with a seed of its own.
    pairs.extend(
        env::inherited(|name| matches!(name, "GT_NOW" | "GT_PLAN_DIR" | "GT_UPKEEP"))
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value))),
    );
    if let Some(seed) = env::text(Var::Seed).and_then(|seed| seed.parse::<u64>().ok()) {
        pairs.push(("GT_SEED".into(), seed_for(seed, session).to_string().into()));
    }
    pairs
}

/// Whether a variable says who an agent is, or where its programs are.
fn is_ours(name: &str) -> bool {
    name == "PATH" || ["GT_", "BD_", "GIT_"].iter().any(|group| name.starts_with(group))
}

/// A seed that no other session of the same story has: agents side by side must not draw the same ids.
fn seed_for(seed: u64, session: &str) -> u64 {
    // FNV-1a; the standard library's hasher may change between releases.
    session.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Where an agent's programs are looked up: this program first, then as everywhere.
pub(in crate::ops) fn search_path(town: &Town) -> Result<OsString> {
    let mut path = OsString::from(programs(town)?);
    if let Some(old) = env::os(Var::Path) {
        path.push(":");
        path.push(old);
    }
    Ok(path)
}

/// The directory with this program under the names that agents call it by: `gt`, `git-gt`, `bd`.
fn programs(town: &Town) -> Result<PathBuf> {
    let dir = town.runtime_dir().join("bin");
    install::create_dir(&dir)?;
    let own = env::executable().or_fail(Kind::Bug, || "find this program's own path")?;
    for name in ["gt", "git-gt", "bd"] {
        link(&own, &dir.join(name))?;
    }
    Ok(dir)
}

fn link(own: &Path, at: &Path) -> Result<()> {
    if std::fs::read_link(at).is_ok_and(|old| old == own) {
        return Ok(());
    }
    // By rename, so that an agent that starts at this moment finds the old or the new one.
    let temporary = at.with_extension(format!("tmp-{}", std::process::id()));
    let _ = std::fs::remove_file(&temporary);
    std::os::unix::fs::symlink(own, &temporary)
        .and_then(|()| std::fs::rename(&temporary, at))
        .or_fail(Kind::Io, || format!("link {}", at.display()))
}
