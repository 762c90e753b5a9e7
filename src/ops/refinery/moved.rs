//! Targets that moved outside of gt: noticed by the tip that the queue left, announced once, the old tip pinned, and the
//! new one gated.
//!
//! Git hooks keep obedient agents off targets; who sets them aside is found here. Where a remote's branch is the target,
//! others push to it as they should: there it is an alarm only when what was there before is gone from it, or when the
//! branch here has commits that the remote has not.

use std::collections::BTreeSet;

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use super::alarm;
use super::event::{Event, short};
use super::look::object_id;
use super::{Queue, Turn, idle, turns};
use crate::error::Result;
use crate::git::commits;
use crate::ledger::{Actor, Change, Deed, tree};
use crate::model::address::Address;
use crate::model::notebook::Notebook;
use crate::model::protocol::Protocol;
use crate::ops::gates::{Memo, Rules, Subject, Yard};
use crate::store::Store;
use crate::store::refs::Swap;
use crate::time;
use crate::town::{RigPlace, Town};

/// Branches for the children of an epic come and go, and nobody remembers their tips.
const FLEETING: &str = "integration/";

/// A target that moved outside of gt.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Moved {
    /// The branch.
    pub target: String,
    /// Where it was.
    pub old: String,
    /// Where it is; empty: it is gone.
    pub tip: String,
    /// What happened to it, in words.
    pub what: String,
    /// The ref that keeps where it was.
    pub pin: String,
}

/// Notes in `change` where the queue leaves `target`.
///
/// # Errors
/// As [`Change::put`].
pub(super) fn leave_at(change: &mut Change<'_>, target: &str, tip: &str) -> Result<()> {
    if target.starts_with(FLEETING) {
        return Ok(());
    }
    let path = tree::notebook(target);
    let mut notebook = change.get(&path)?.unwrap_or_else(|| Notebook::new(target));
    notebook.tip = Some(tip.to_owned());
    // What lands passed its gates together with all below it.
    notebook.ungated = None;
    change.put(&path, &notebook)
}

impl Queue<'_> {
    /// Heeds where the target is before anything is planned on it.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn heed_tip(&self, tip: ObjectId, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let moved = heed(self.place, (&self.me, &self.actor), self.target(), Some(tip), self.place.rig.land_remote)?;
        tell(moved, say);
        Ok(())
    }

    /// Announces a branch here that has commits which the remote's, the target, has not.
    ///
    /// # Errors
    /// As [`crate::ledger::Ledger::transact`].
    pub(super) fn tell_stray(&self, local: ObjectId, remote: ObjectId, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let store = &self.place.ledger.store;
        if let Some(known) = recorded(self.place, self.target())?
            && store.repo.find_header(known).is_ok()
            && store.is_ancestor(local, known)?
        {
            // It is the remote that left it behind.
            return Ok(());
        }
        let what = "the branch in this rig's repository has commits that the remote's has not".to_owned();
        let moved = Moved {
            target: self.target().to_owned(),
            old: remote.to_string(),
            tip: local.to_string(),
            what,
            pin: tree::pin(self.target(), &remote.to_string()),
        };
        if announce(self.place, (&self.me, &self.actor), &moved, true)? {
            tell(Some(moved), say);
        }
        Ok(())
    }
}

fn tell(moved: Option<Moved>, say: &mut dyn FnMut(&Event)) {
    if let Some(moved) = moved {
        say(&Event::of_moved(moved));
    }
}

fn recorded(place: &RigPlace, target: &str) -> Result<Option<ObjectId>> {
    let notebook: Option<Notebook> = place.ledger.state()?.get(&tree::notebook(target))?;
    notebook.and_then(|notebook| notebook.tip).map(|tip| object_id(&tip)).transpose()
}

/// Compares where `target` is with where it was left, and announces what nobody of gt did.
fn heed(
    place: &RigPlace,
    who: (&Address, &Actor),
    target: &str,
    tip: Option<ObjectId>,
    is_remote: bool,
) -> Result<Option<Moved>> {
    let store = &place.ledger.store;
    let Some(old) = recorded(place, target)?.filter(|old| Some(*old) != tip) else { return Ok(None) };
    let is_whole = store.repo.find_header(old).is_ok();
    let is_forward = match tip {
        Some(tip) if is_whole => store.is_ancestor(old, tip)?,
        _ => false,
    };
    if is_remote && is_forward {
        return Ok(None);
    }
    let what = match tip {
        None => "it was removed".to_owned(),
        Some(tip) if is_forward => {
            let (_, more) = commits::apart(store, old, tip)?;
            format!("{more} {} came onto it", if more == 1 { "commit" } else { "commits" })
        }
        Some(_) => "its history was replaced: what was there is not in it any more".to_owned(),
    };
    let moved = Moved {
        target: target.to_owned(),
        old: old.to_string(),
        tip: tip.map(|tip| tip.to_string()).unwrap_or_default(),
        what: format!("{what}{}", tip.map(|tip| how(store, target, tip)).unwrap_or_default()),
        pin: tree::pin(target, &old.to_string()),
    };
    Ok(announce(place, who, &moved, false)?.then_some(moved))
}

/// Who moved the branch to `tip` and how, as far as its reflog says. Foreign text.
fn how(store: &Store, target: &str, tip: ObjectId) -> String {
    let log = std::fs::read(store.dir().join("logs/refs/heads").join(target)).unwrap_or_default();
    let text = String::from_utf8_lossy(&log);
    let last = text.lines().next_back().unwrap_or_default();
    let Some((ids, message)) = last.split_once('\t') else { return String::new() };
    let mut words = ids.splitn(3, ' ');
    let (new, who) = (words.nth(1).unwrap_or_default(), words.next().unwrap_or_default());
    if ObjectId::from_hex(new.as_bytes()).ok() != Some(tip) {
        return String::new();
    }
    let who = who.rsplitn(3, ' ').nth(2).unwrap_or(who);
    format!("; by {who}: {}", message.chars().take(200).collect::<String>())
}

/// Pins where it was and mails the alarm, once of each tip; tells whether it was new. A `stray` branch is not the target.
fn announce(place: &RigPlace, (me, actor): (&Address, &Actor), moved: &Moved, is_stray: bool) -> Result<bool> {
    pin(place, moved)?;
    crate::env::crash_point("moved.pinned");
    let message = Protocol::TargetMoved {
        target: moved.target.clone(),
        old: moved.old.clone(),
        tip: moved.tip.clone(),
        what: moved.what.clone(),
        pin: moved.pin.clone(),
    };
    let subject = format!("{} is at {} outside of gt", moved.target, short(&moved.tip));
    let deed = Deed { actor, op: "alarm", subject, now: time::now()? };
    place.ledger.transact(&deed, |change| {
        let path = tree::notebook(&moved.target);
        let mut notebook = change.get(&path)?.unwrap_or_else(|| Notebook::new(&moved.target));
        if is_stray {
            if !notebook.note_told("TARGET_MOVED here", &moved.tip) {
                return Ok(false);
            }
        } else if notebook.tip.as_ref() == Some(&moved.old) {
            let tip = Some(moved.tip.clone()).filter(|tip| !tip.is_empty());
            notebook.ungated.clone_from(&tip);
            notebook.tip = tip;
        } else {
            // Another was faster.
            return Ok(false);
        }
        change.put(&path, &notebook)?;
        alarm::mail(change, &message, me, &place.rig.name)?;
        Ok(true)
    })
}

/// Keeps where the target was, under a name of its own; earlier pins that the target contains go.
fn pin(place: &RigPlace, moved: &Moved) -> Result<()> {
    let store = &place.ledger.store;
    let old = object_id(&moved.old)?;
    if store.repo.find_header(old).is_err() {
        // Whoever moved it took the objects along; that it is gone is told all the same.
        return Ok(());
    }
    if let Swap::Lost(Some(other)) = store.swap_ref(&moved.pin, None, old)?
        && other != old
    {
        tracing::warn!("{} is at {other} and keeps something else", moved.pin);
    }
    let Ok(tip) = object_id(&moved.tip) else { return Ok(()) };
    for (name, commit) in store.refs_below(&tree::pins(&moved.target))? {
        if name != moved.pin && commit != old && store.is_ancestor(commit, tip)? {
            store.remove_ref(&name, commit)?;
        }
    }
    Ok(())
}

/// Looks at the targets of a rig whose branch is here: whether one moved outside of gt. Nobody else is asked, and a target
/// that another process works is left to that.
///
/// # Errors
/// Corrupt, when refs or the ledger cannot be read; as every transaction.
pub fn watch(town: &Town, place: &RigPlace) -> Result<Vec<Moved>> {
    if place.rig.home != town.machine || place.rig.land_remote {
        return Ok(Vec::new());
    }
    let state = place.ledger.state()?;
    let open: BTreeSet<String> = state.intents()?.into_iter().map(|intent| intent.target).collect();
    let me = Address::Refinery(place.rig.name.clone());
    let actor = Actor { name: me.to_string(), email: town.actor.email.clone(), model: None };
    let mut all = Vec::new();
    for target in state.notebooks()?.into_iter().filter(|notebook| notebook.tip.is_some()).map(|notebook| notebook.target) {
        // A landing that was left open tells itself whether it moved the target.
        if open.contains(&target) {
            continue;
        }
        let Ok(turn) = Turn::take(place, &target) else { continue };
        let tip = place.ledger.store.read_ref(&turn.target_ref())?;
        all.extend(heed(place, (&me, &actor), &target, tip, false)?);
    }
    Ok(all)
}

/// Gates targets that moved outside of gt where they are now; a red one is announced.
///
/// # Errors
/// As running gates; conflict, when another process works the queue.
pub(super) fn gate(town: &Town, place: &RigPlace, say: &mut dyn FnMut(&Event)) -> Result<()> {
    let waiting = |notebook: Notebook| notebook.ungated.map(|tip| (notebook.target, tip));
    let due: Vec<(String, String)> = place.ledger.state()?.notebooks()?.into_iter().filter_map(waiting).collect();
    for (target, tip) in due {
        let yard = Yard::take(town, place)?;
        let rules = Rules::read(town, place, &town.machine)?;
        let queue = turns::Turns::new(town, place, &yard, std::rc::Rc::clone(&rules), None).queue(&target)?;
        let now = place.ledger.store.read_ref(&format!("refs/heads/{target}"))?;
        let commit = object_id(&tip)?;
        if now == Some(commit) {
            let reds = reds_at(&idle::Ask { town, place, rules: &rules, yard: &yard }, commit, say)?;
            if !reds.is_empty() {
                queue.tell_red(&tip, &reds)?;
                say(&Event::TargetRed { target: target.clone(), tip: tip.clone(), gates: reds });
            }
        }
        queue.transact("gated", format!("looked at {target} at {}", short(&tip)), |change| {
            let path = tree::notebook(&target);
            let Some(mut notebook) = change.get::<Notebook>(&path)? else { return Ok(()) };
            if notebook.ungated.as_ref() == Some(&tip) {
                notebook.ungated = None;
                change.put(&path, &notebook)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The required gates that are red on `commit`, which run unless that is known.
fn reds_at(ask: &idle::Ask<'_>, commit: ObjectId, say: &mut dyn FnMut(&Event)) -> Result<Vec<String>> {
    let required = ask.rules.required();
    let tree = ask.place.ledger.store.tree_of(commit)?;
    let memo = Memo::of(&ask.place.ledger.state()?.gate_runs()?, ask.rules, time::now()?);
    let says = memo.says(&required, tree, tree);
    // What the queue found out meanwhile is not asked again.
    if required.is_empty() || says.is_green || !says.red_gates.is_empty() {
        return Ok(says.red_gates.into_iter().collect());
    }
    let names: Vec<String> = required.iter().map(|gate| gate.name.clone()).collect();
    let subject = Subject { stack: Vec::new(), commit, tree, base: commit };
    Ok(ask.run(&subject, &memo.tasks_named(tree, &names), &|| Ok(false), say)?.unwrap_or_default().0.into_iter().collect())
}
