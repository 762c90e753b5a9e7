//! What of an exchange concerns people here: choices that had to yield, and assignments that this machine lost.

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::ledger::past::Event;
use crate::ledger::{Ledger, State, diff};
use crate::model::address::Address;
use crate::model::difference::{Difference, differences};
use crate::model::hook::Hook;
use crate::model::merge::Conflict;
use crate::name::BeadId;

/// An assignment of this machine that what came from elsewhere ended.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Lost {
    /// Whose hook it hung on.
    pub agent: Address,
    /// What hung there.
    pub bead: BeadId,
    /// The branch made for it, which stays.
    pub branch: String,
    /// Where the bead stands now; `None`, when it is gone or cannot be read.
    pub status: Option<String>,
    /// Who has the bead now.
    pub holder: Option<String>,
}

/// A record that an exchange would change.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Changed {
    /// Its path in the ledger.
    pub record: String,
    /// Its title, name or subject, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether it would come, change or go.
    pub event: Event,
    /// The fields that differ.
    pub changes: Vec<Difference>,
}

/// The records that differ from the commit `before` to the commit `after`, by path; with no commit before, all are new.
pub(super) fn changed(ledger: &Ledger, before: Option<ObjectId>, after: ObjectId) -> Result<Vec<Changed>> {
    let (old, new) = (State::at(&ledger.store, before)?, ledger.state_at(after)?);
    let differ = diff::changes(ledger.store.records()?, old.tree(), new.tree())?;
    // One that cannot be read differs all the same.
    let read = |state: &State<'_>, path: &str| state.object(path).ok().flatten().unwrap_or_default();
    let told = differ.into_iter().map(|(record, (was, is))| {
        let (was_there, is_there) = (was.is_some(), is.is_some());
        let (from, to) = (read(&old, &record), read(&new, &record));
        let event = match (was_there, is_there) {
            (false, _) => Event::Created,
            (true, true) => Event::Changed,
            (true, false) => Event::Deleted,
        };
        let named = if is_there { &to } else { &from };
        let title = ["title", "subject", "name"].iter().find_map(|field| named.get(*field)?.as_str()).map(str::to_owned);
        let changes = if event == Event::Changed { differences(&from, &to) } else { Vec::new() };
        Changed { record, title, event, changes }
    });
    Ok(told.collect())
}

/// What is new between two commits of the ledger.
#[derive(Debug, Default)]
pub(super) struct News {
    pub conflicts: Vec<Conflict>,
    pub lost: Vec<Lost>,
}

/// Compares the ledger at `before` with that at `after`, which came by an exchange.
pub(super) fn between(ledger: &Ledger, before: ObjectId, after: ObjectId) -> Result<News> {
    let (old, new) = (ledger.state_at(before)?, ledger.state_at(after)?);
    let mut news = News::default();
    for (path, (was, is)) in diff::changes(&ledger.store.repo.objects, old.tree(), new.tree())? {
        // A report or hook that cannot be read is told by the commands that need it; it holds up no exchange.
        if path.starts_with("conflicts/") && was.is_none() && is.is_some() {
            news.conflicts.extend(new.get::<Conflict>(&path).ok().flatten());
        } else if path.starts_with("hooks/")
            && let Some(hook) = old.get::<Hook>(&path).ok().flatten().filter(|hook| hook.machine == ledger.machine())
        {
            news.lost.extend(lost(&new, &path, hook));
        }
    }
    Ok(news)
}

/// What became of `hook`, when it no longer hangs there.
fn lost(new: &State<'_>, path: &str, hook: Hook) -> Option<Lost> {
    let is_kept = |now: &Hook| now.bead == hook.bead && now.machine == hook.machine;
    if new.get::<Hook>(path).ok().flatten().as_ref().is_some_and(is_kept) {
        return None;
    }
    let bead = new.find_bead(&hook.bead).ok().flatten();
    Some(Lost {
        agent: hook.agent,
        bead: hook.bead,
        branch: hook.branch,
        status: bead.as_ref().map(|bead| bead.status.to_string()),
        holder: bead.and_then(|bead| bead.assignee),
    })
}
