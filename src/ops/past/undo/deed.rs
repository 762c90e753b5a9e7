//! Which deed is undone: the actor's last one here, if it is of a sort that can be and nobody else has it.

use crate::error::{Error, Result};
use crate::ledger::log::Entry;
use crate::ledger::past::Step;
use crate::ledger::{Ledger, history};
use crate::model::record::{self, Object};
use crate::name::Prefix;
use crate::ops::track::find::Scopes;
use crate::time::Moment;
use crate::town::Town;
use std::ops::ControlFlow;

/// How many of the newest changes of a scope are looked at for one of the actor's.
const DEEDS_MAX: usize = 2_000;

/// Verbs that follow on others and are no deeds of their own.
const FOLLOWING: [&str; 16] = [
    "follow",
    "reconnect",
    "recall",
    "read",
    "deliver",
    "cut",
    "archive",
    "decay",
    "merge",
    "flatten",
    "start",
    "lease",
    "lease-end",
    "convoy-land",
    "convoy-share",
    "convoy-stall",
];

/// Verbs that can be taken back.
const UNDOABLE: [&str; 17] = [
    "create",
    "update",
    "edit",
    "state",
    "claim",
    "close",
    "reopen",
    "label",
    "comment",
    "dep-add",
    "dep-remove",
    "duplicate",
    "supersede",
    "delete",
    "restore",
    "mail",
    "undo",
];

/// A commit by the actor.
pub(super) struct Own {
    pub prefix: Prefix,
    pub ledger: Ledger,
    pub step: Step,
    pub entry: Entry,
}

/// The newest deed of the actor on this machine, in any scope that can be reached.
pub(super) fn last_deed(town: &Town) -> Result<Own> {
    let mut found: Vec<(Moment, String, Own)> = Vec::new();
    for prefix in Scopes::of(town, None, true)?.asked {
        let Ok(ledger) = town.scope_of(&prefix) else { continue };
        let (mut looked, mut newest) = (0, None);
        ledger.walk(|step, _| {
            looked += 1;
            let entry = ledger.entry_of(step.id)?;
            let is_own = entry.actor == town.actor.name && entry.machine == town.machine;
            if is_own && !FOLLOWING.contains(&entry.op.as_str()) {
                newest = Some((step.clone(), entry));
            }
            let is_done = newest.is_some() || looked >= DEEDS_MAX;
            Ok(if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if let Some((step, entry)) = newest {
            let moment = newest_moment(&ledger, &step);
            found.push((entry.at, moment, Own { prefix, ledger, step, entry }));
        }
    }
    found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    found.pop().map(|(_, _, own)| own).ok_or_else(|| {
        Error::not_found(format!("{} did nothing here that could be undone", town.actor.name)).hint("gt log shows what happened")
    })
}

/// The newest moment in the records of a commit, which is finer than its own.
fn newest_moment(ledger: &Ledger, step: &Step) -> String {
    let parent = step.before.first().and_then(|id| ledger.state_at(*id).ok()).map(|state| state.tree());
    let changed = parent.and_then(|tree| ledger.changed(tree, step.tree).ok()).unwrap_or_default();
    let blobs = changed.values().filter_map(|(_, new)| *new);
    let objects = blobs.filter_map(|blob| record::decode("", &ledger.store.record(blob).ok()?).ok());
    let moment = |object: Object| {
        let field = |name: &str| object.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        field("deleted_at").or_else(|| field("updated_at")).or_else(|| field("sent_at"))
    };
    objects.filter_map(moment).max().unwrap_or_default()
}

pub(super) fn check_undoable(entry: &Entry) -> Result<()> {
    let op = entry.op.as_str();
    if UNDOABLE.contains(&op) {
        return Ok(());
    }
    let bead = entry.beads.first().map_or("BEAD", String::as_str);
    let hint = match op {
        "sling" => format!("gt unsling {bead} gives the work back"),
        "done" | "submit" => {
            "the merge request stands in the queue: gt mq list; what is wrong with it is mended by handing in again".to_owned()
        }
        "release" | "unsling" => format!("gt sling {bead} assigns it again"),
        "land" | "landed" => format!("gt mq revert {bead} takes it back through the queue"),
        "batch" | "import" => "gt bead delete and gt update take back what it did one by one; gt log --op names it".to_owned(),
        "move" => "gt bead move NEW-ID OLD-PREFIX brings it back to its old id".to_owned(),
        "convoy-create" => format!("gt convoy close {bead} --force --reason TEXT ends it"),
        "config" => "gt config set KEY VALUE sets what was there before".to_owned(),
        _ => "gt log shows what happened".to_owned(),
    };
    Err(Error::refused(format!("your last deed was '{}', and {op} is not undone", entry.subject)).hint(hint))
}

/// Refuses what another machine may have: a commit that was seen at a remote.
pub(super) fn check_unsynced(own: &Own) -> Result<()> {
    for (name, tip) in own.ledger.store.refs_below("refs/gt-remote/")? {
        let is_ledger = name.ends_with("/ledger");
        if is_ledger && history::compare(&own.ledger.store, &[own.step.id], &[tip])?.only_ours == 0 {
            return Err(Error::refused(format!("'{}' was synced already: other machines have it", own.entry.subject))
                .hint("change it back by hand; gt bead history ID tells what it was"));
        }
    }
    Ok(())
}
