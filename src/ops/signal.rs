//! What an agent's program is answered while it works: whether it may stop, and who asks the guard.
//!
//! Nothing here may break a session: what cannot be read lets the agent stop, and lets its command pass.

use crate::env::{self, Var};
use crate::error::Result;
use crate::git::{commits, shims, worktree};
use crate::model::address::Address;
use crate::model::bead::Status;
use crate::model::guard::Asker;
use crate::model::runtime_hooks::speech::Heard;
use crate::ops::{hook, polecat};
use crate::runtime::told;
use crate::town::{Start, Town};

/// What the acting polecat is told when it would stop with work that it did not hand in; `None` when it may stop.
///
/// It is told once for each commit that it stands on, and never when it goes on only because it was told.
///
/// # Errors
/// Corrupt or io, when the state cannot be read or the telling not noted: then it may stop.
pub fn before_stop(town: &Town, heard: &Heard) -> Result<Option<String>> {
    let Address::Polecat(rig, name) = &town.me else { return Ok(None) };
    if heard.is_again {
        return Ok(None);
    }
    let place = town.rig(rig)?;
    let state = place.ledger.state()?;
    let (Some(hook), Some(bead)) = hook::with_bead(&state, &town.me)? else { return Ok(None) };
    if hook.machine != town.machine || !matches!(bead.status, Status::Hooked | Status::InProgress) {
        return Ok(None);
    }
    let (_, head) = worktree::head(&polecat::sandbox(&place, name))?;
    let Some(tip) = place.ledger.store.read_ref(&format!("refs/heads/{}", hook.target))? else { return Ok(None) };
    let count = commits::ahead(&place.ledger.store, head, &[tip])?.len();
    let mark = format!("stop {} {head}", hook.bead);
    if count == 0 || told::is_told(&town.runtime_dir(), &town.me, &mark)? {
        return Ok(None);
    }
    // First the mark: who cannot be told once is not told at all.
    told::note(&town.runtime_dir(), &town.me, &mark)?;
    let commits = if count == 1 { "a commit".to_owned() } else { format!("{count} commits") };
    Ok(Some(format!(
        "You have {commits} for {0} and did not hand it in. When it is finished: gt done. When you need help: gt done --status escalated --message \"why\". When it is not finished, go on with it; gt hook shows what is asked.",
        hook.bead
    )))
}

/// Forgets what the acting agent was told once, as it has.
///
/// # Errors
/// Io, when the marks cannot be removed.
pub fn forget(town: &Town) -> Result<()> {
    told::forget(&town.runtime_dir(), &town.me)
}

/// Who asks the guard; `None` for people. Needs no more of the town than a list of branches, and goes on without it.
#[must_use]
pub fn asker(start: &Start) -> Option<Asker> {
    let named = start.actor.clone().or_else(|| env::text(Var::Actor)).or_else(|| env::text(Var::Role))?;
    let agent: Address = named.parse().ok()?;
    let root = || env::path(Var::Root).or_else(|| Town::find(start).ok().map(|town| town.root));
    let repo = agent.rig().and_then(|rig| Some(root()?.join(rig.as_str()).join(".repo.git")));
    let targets = repo.and_then(|repo| shims::targets(&repo).ok()).unwrap_or_default();
    Some(Asker { agent, targets })
}
