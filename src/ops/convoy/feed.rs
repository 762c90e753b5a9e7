//! Feeding: what a launched convoy has ready is slung, by the command that closed its blockers or by a check, on the
//! machine that launched it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::look::{Start, why_held};
use super::make::{track, work_below};
use super::settle::{deliver_told, tell_each};
use super::swarm;
use crate::error::Result;
use crate::model::bead::{Bead, Status};
use crate::model::convoy::{self, Convoy};
use crate::model::mail::{Letter, Urgency};
use crate::name::BeadId;
use crate::ops::sling::{self, Plan, Slung, Tried};
use crate::ops::track::reach::{Reach, Sight};
use crate::time::Moment;
use crate::town::Town;

/// The label of convoys that are fed until they are done, and of their epics.
pub const MOUNTAIN: &str = "mountain";
/// How often a bead of a mountain is slung before it is skipped.
pub const TRIES_MAX: u32 = 3;
/// How long nothing of a mountain may move before its owner is told.
const STALL_MILLIS: u64 = 30 * 60 * 1000;

/// What was slung of a convoy.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Fed {
    /// What became of each bead that was ready.
    pub beads: Vec<Tried>,
    /// Beads that came back too often to be slung again.
    pub skipped: Vec<BeadId>,
}

impl Fed {
    /// Whether nothing was tried and nothing is to be told.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.beads.is_empty() && self.skipped.is_empty()
    }

    /// The beads that were slung.
    pub fn slung(&self) -> impl Iterator<Item = &BeadId> {
        self.beads.iter().filter_map(|tried| match tried {
            Tried::Slung(slung) => Some(slung.bead()),
            Tried::Failed { .. } => None,
        })
    }
}

/// Whether `bead` is to be kept going until all of it is done.
pub(super) fn is_mountain(bead: &Bead) -> bool {
    bead.labels.contains(MOUNTAIN)
}

/// Slings what the convoy `id` has ready, when it was launched on this machine. Every bead is slung once; of a mountain
/// one that came back is slung again, three times in all, and work that was filed below its epic since is taken in.
///
/// # Errors
/// Not found or corrupt, when the convoy cannot be read; as every transaction. A bead that cannot be slung is in the
/// answer, and the next feeding tries again.
pub fn feed(town: &Town, id: &BeadId) -> Result<Fed> {
    let bead = town.hq.state()?.bead(id)?;
    let fields = Convoy::of(&bead)?;
    let is_ours = fields.launched_at.is_some() && !fields.waves.is_empty() && fields.home.as_deref() == Some(&town.machine);
    if !is_ours || bead.status.is_closed() {
        return Ok(Fed::default());
    }
    let mut reach = Reach::new(town);
    let new = new_work(&mut reach, &bead, &fields);
    let tries_max = if is_mountain(&bead) { TRIES_MAX } else { 1 };
    let (mut fed, mut slung, mut known) = (Fed::default(), Vec::new(), BTreeMap::new());
    for id in fields.waves.iter().flatten().chain(&new) {
        if !matches!(why_held(town, &mut reach, &mut known, id), Start::Now) {
            continue;
        }
        if fields.feeds.get(id).is_some_and(|tries| *tries >= tries_max) {
            if is_mountain(&bead) {
                fed.skipped.push(id.clone());
            }
            continue;
        }
        let plan = Plan { bead: id.to_string(), no_start: fields.only_assign, ..Plan::default() };
        let tried = match sling::sling(town, &plan) {
            Ok(done) => {
                // Another feeding may have been quicker, and counted it.
                if matches!(done, Slung::Assigned { .. }) {
                    slung.push(id.clone());
                }
                Tried::Slung(done)
            }
            Err(error) => Tried::failed(id.as_str(), &error),
        };
        fed.beads.push(tried);
    }
    crate::env::crash_point("convoy.fed");
    if !slung.is_empty() || !new.is_empty() || fields.announced_at.is_none() {
        note(town, id, &slung, &new)?;
    }
    deliver_told(town)?;
    Ok(fed)
}

/// Work below the epic of a mountain that its convoy does not track yet.
pub(super) fn new_work(reach: &mut Reach<'_>, bead: &Bead, fields: &Convoy) -> Vec<BeadId> {
    let Some(epic) = fields.from_epic.as_ref().filter(|_| is_mountain(bead)) else { return Vec::new() };
    // An epic that cannot be read has nothing new to say.
    let all = work_below(reach, epic).unwrap_or_default();
    let is_new = |id: &BeadId| {
        let is_open = matches!(reach.brief(id), Sight::Seen(brief) if !brief.status.is_closed());
        is_open && !convoy::tracked(bead).any(|one| one == id)
    };
    all.into_iter().filter(is_new).collect()
}

/// Writes down what was slung, takes new work in, and tells the witnesses when they do not know yet.
fn note(town: &Town, id: &BeadId, slung: &[BeadId], new: &[BeadId]) -> Result<()> {
    let mut reach = Reach::new(town);
    let deed = town.deed("convoy-feed", format!("feed convoy {id}"));
    town.hq.transact(&deed, |change| {
        let mut bead = change.bead(id)?;
        let mut fields = Convoy::of(&bead)?;
        let added = track(town, &mut bead, new);
        if !added.is_empty() {
            // It may have landed meanwhile.
            if bead.status.is_closed() {
                bead.become_status(Status::Open, town.now)?;
            }
            swarm::reopen_shares(&change.before().rigs()?, &mut fields, &added);
            fields.waves.push(added);
        }
        for id in slung {
            *fields.feeds.entry(id.clone()).or_default() += 1;
        }
        bead.updated_at = town.now;
        if fields.announced_at.is_none() {
            return swarm::announce(change, &mut reach, &mut bead, &mut fields);
        }
        fields.put_into(&mut bead);
        change.put_bead(&bead)
    })
}

/// Feeds convoys after a close or in a check; one that cannot be fed holds no other up.
pub(super) fn feed_all(town: &Town, ids: impl IntoIterator<Item = BeadId>) -> BTreeMap<BeadId, Fed> {
    let mut all = BTreeMap::new();
    for id in ids {
        match feed(town, &id) {
            Ok(fed) if fed.is_nothing() => {}
            Ok(fed) => drop(all.insert(id, fed)),
            Err(error) => tracing::warn!("convoy {id} was not fed: {}", error.line()),
        }
    }
    all
}

/// Tells owner and watchers of a mountain of which nothing has moved for half an hour, once for each time it stalls.
///
/// # Errors
/// As every transaction.
pub(super) fn tell_of_stall(town: &Town, id: &BeadId) -> Result<bool> {
    let bead = town.hq.state()?.bead(id)?;
    let fields = Convoy::of(&bead)?;
    if !is_mountain(&bead) || bead.status.is_closed() || fields.home.as_deref() != Some(&town.machine) {
        return Ok(false);
    }
    let Some(moved_at) = last_move(town, &bead, &fields) else { return Ok(false) };
    if town.now.millis_since(moved_at) < STALL_MILLIS || fields.stalled_at == Some(moved_at) {
        return Ok(false);
    }
    let at = Moment::from_millis(moved_at.millis().saturating_add(i64::try_from(STALL_MILLIS).unwrap_or(i64::MAX)));
    let deed = town.deed("convoy-stall", format!("convoy {id} has stalled"));
    town.hq.transact(&deed, |change| {
        let mut bead = change.bead(id)?;
        let mut fields = Convoy::of(&bead)?;
        fields.stalled_at = Some(moved_at);
        fields.put_into(&mut bead);
        change.put_bead(&bead)?;
        let plain = bead.title.replace(char::is_control, " ");
        let body = format!(
            "{plain}\n\nNothing of it has moved since {moved_at}.\n\nto see why: gt convoy status {id}; gt convoy stranded\n"
        );
        let subject = format!("Convoy {id} has stalled");
        let write = |to: &crate::model::address::Address, letter_id| {
            let from = crate::model::address::Address::Deacon;
            let mut letter = Letter::new(letter_id, from, to.clone(), &subject, &body, at)?;
            letter.refs = vec![id.clone()];
            letter.priority = Urgency::High;
            Ok(letter)
        };
        tell_each(change, fields.hearers(&bead), &format!("stalled-{id}-{}", moved_at.millis()), write)
    })?;
    deliver_told(town)?;
    Ok(true)
}

/// When something of the convoy moved last: a bead that it tracks, or its launch.
fn last_move(town: &Town, bead: &Bead, fields: &Convoy) -> Option<Moment> {
    let mut reach = Reach::new(town);
    let moves = convoy::tracked(bead).filter_map(|id| match reach.brief(id) {
        Sight::Seen(brief) => Some(brief.updated_at),
        Sight::Missing | Sight::Unreadable(_) => None,
    });
    moves.chain(fields.launched_at).max()
}
