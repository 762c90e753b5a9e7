//! Swarms: work that was slung gets a convoy, and the witnesses of its rigs and the mayor hear where it begins and ends.

use std::collections::{BTreeMap, BTreeSet};

use super::make::{Draft, create_in};
use super::settle::{self, settle_in};
use crate::error::Result;
use crate::ledger::Change;
use crate::model::address::Address;
use crate::model::bead::{Bead, DependencyKind, TITLE_CHARS_MAX};
use crate::model::convoy::{self, Convoy, Standing};
use crate::model::merge_request::Way;
use crate::model::protocol::Protocol;
use crate::model::scope::Rig;
use crate::name::{BeadId, Name};
use crate::ops::post;
use crate::ops::track::reach::{Reach, Sight};
use crate::time::Moment;
use crate::town::Town;

/// A rig's share of a batch.
pub(super) struct Share {
    pub(super) rig: Name,
    beads: Vec<BeadId>,
    /// When the last of it was closed; also on another machine that sees the same.
    at: Moment,
}

/// What a convoy tracks, by rig. What belongs to the town or to no rig that is known is nobody's share.
fn shares<'b>(rigs: &[Rig], beads: impl Iterator<Item = &'b BeadId>) -> BTreeMap<Name, Vec<BeadId>> {
    let mut shares: BTreeMap<Name, Vec<BeadId>> = BTreeMap::new();
    for id in beads {
        if let Some(rig) = rigs.iter().find(|rig| rig.prefix == id.prefix()) {
            shares.entry(rig.name.clone()).or_default().push(id.clone());
        }
    }
    shares
}

/// The shares of an announced convoy that are done and of which the mayor does not know.
pub(super) fn done_shares(rigs: &[Rig], bead: &Bead, fields: &Convoy, standings: &BTreeMap<BeadId, Standing>) -> Vec<Share> {
    if fields.announced_at.is_none() {
        return Vec::new();
    }
    let tracked_at = |id: &BeadId| {
        let edges = bead.dependencies.iter().filter(|edge| edge.kind == DependencyKind::Tracks && edge.depends_on_id == *id);
        edges.map(|edge| edge.created_at).max()
    };
    let mut done = Vec::new();
    for (rig, beads) in shares(rigs, convoy::tracked(bead)) {
        let closed: Option<Vec<Moment>> = beads
            .iter()
            .map(|id| match standings.get(id) {
                Some(Standing::Closed(at)) => Some(tracked_at(id).map_or(*at, |tracked| tracked.max(*at))),
                _ => None,
            })
            .collect();
        let Some(at) = closed.and_then(|moments| moments.into_iter().max()) else { continue };
        if !fields.done_rigs.contains(&rig) {
            done.push(Share { rig, beads, at });
        }
    }
    done
}

/// Forgets that shares were done which `added` makes larger.
pub(super) fn reopen_shares(rigs: &[Rig], fields: &mut Convoy, added: &[BeadId]) {
    for rig in shares(rigs, added.iter()).keys() {
        fields.done_rigs.remove(rig);
    }
}

impl Share {
    /// Tells the mayor, from the rig's witness.
    pub(super) fn tell(&self, change: &mut Change<'_>, bead: &Bead) -> Result<()> {
        let outcome = match self.beads.len() {
            1 => format!("the one bead of {} is closed", self.rig),
            many => format!("all {many} beads of {} are closed", self.rig),
        };
        let message = Protocol::SwarmComplete { convoy: bead.id.clone(), beads: self.beads.clone(), outcome };
        // A share that has changed since is told of again.
        let key = format!("swarm-complete-{}-{}-{}", bead.id, self.rig, self.at.millis());
        let from = Address::Witness(self.rig.clone());
        post::once(change, &key, &Address::Mayor, |id| message.letter(id, from.clone(), Address::Mayor, self.at)).map(|_| ())
    }
}

/// Tells the witness of each rig of its share of the convoy in `bead`, and who works on it.
pub(super) fn announce(change: &mut Change<'_>, reach: &mut Reach<'_>, bead: &mut Bead, fields: &mut Convoy) -> Result<()> {
    let now = change.now();
    fields.announced_at = Some(now);
    fields.put_into(bead);
    change.put_bead(bead)?;
    for (rig, beads) in shares(&change.before().rigs()?, convoy::tracked(bead)) {
        let worker = |id: &BeadId| match reach.brief(id) {
            Sight::Seen(brief) if brief.status.is_assigned_work() => brief.assignee,
            _ => None,
        };
        let workers: BTreeSet<String> = beads.iter().filter_map(worker).collect();
        let message = Protocol::SwarmStart { convoy: bead.id.clone(), beads, workers: workers.into_iter().collect() };
        let key = format!("swarm-start-{}-{now}", bead.id);
        let to = vec![Address::Witness(rig)];
        settle::tell_each(change, to, &key, |to, id| message.letter(id, Address::Deacon, to.clone(), now))?;
    }
    Ok(())
}

/// Work that was slung in one go.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What was named.
    pub beads: Vec<BeadId>,
    /// Whether its convoy is the slinger's to land.
    pub owned: bool,
}

/// Makes one convoy of those of `batch` that no open convoy tracks, and tells the witnesses when it is several; answers
/// the convoy, or the one that tracks the first already, and whether it is new.
///
/// # Errors
/// As every transaction; the work is slung all the same, and slinging it again makes the convoy.
pub fn for_slung(town: &Town, batch: &Batch) -> Result<Option<(BeadId, bool)>> {
    let state = town.hq.state()?;
    let mut others = Vec::new();
    for id in &batch.beads {
        others.push(super::tracking(&state, [id])?.into_keys().next());
    }
    if others.iter().all(Option::is_some) {
        return Ok(others.into_iter().flatten().next().map(|convoy| (convoy, false)));
    }
    let mut reach = Reach::new(town);
    let title = title_of(&mut reach, &batch.beads);
    let draft = Draft {
        title: title.clone(),
        beads: Vec::new(),
        owner: town.me.clone(),
        watchers: BTreeSet::new(),
        owned: batch.owned,
        merge: Way::default(),
        from_epic: None,
    };
    let deed = town.deed("convoy-create", format!("create convoy {title}"));
    let made = town.hq.transact(&deed, |change| {
        let mut free = Vec::new();
        for id in &batch.beads {
            if super::tracking(change.before(), [id])?.is_empty() {
                free.push(id.clone());
            }
        }
        if free.is_empty() {
            return Ok(None);
        }
        let mut bead = create_in(town, change, &draft, &free)?;
        let mut fields = Convoy::of(&bead)?;
        fields.launched_at = Some(town.now);
        if batch.beads.len() > 1 {
            announce(change, &mut reach, &mut bead, &mut fields)?;
        } else {
            fields.put_into(&mut bead);
            change.put_bead(&bead)?;
        }
        // An agent may have been quicker.
        settle_in(change, &mut Reach::new(town), &bead.id)?;
        Ok(Some(bead.id))
    })?;
    settle::deliver_told(town)?;
    let there = others.into_iter().flatten().next().map(|convoy| (convoy, false));
    Ok(made.map(|convoy| (convoy, true)).or(there))
}

fn title_of(reach: &mut Reach<'_>, beads: &[BeadId]) -> String {
    let first = beads.first().map(|id| match reach.brief(id) {
        Sight::Seen(brief) => brief.title,
        Sight::Missing | Sight::Unreadable(_) => id.to_string(),
    });
    let first = first.unwrap_or_default().replace(char::is_control, " ");
    let title = if beads.len() > 1 { format!("{} beads: {first}, …", beads.len()) } else { format!("Work: {first}") };
    title.chars().take(TITLE_CHARS_MAX).collect()
}
