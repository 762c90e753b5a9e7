//! Settling: a convoy whose beads are all closed is closed itself, and its owner and watchers are told, once.
//!
//! The moment, the reason and the letters follow from the closed beads alone, so that two machines that settle the same
//! convoy write the same.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::feed::{self, Fed};
use super::swarm;
use crate::error::{Error, Kind, Result};
use crate::ledger::{Change, Damaged, tree};
use crate::model::address::Address;
use crate::model::bead::{Bead, IssueType};
use crate::model::brief::Facts as _;
use crate::model::convoy::{self, Convoy, INFIX, Standing, Verdict};
use crate::model::protocol::Protocol;
use crate::name::{BeadId, Name};
use crate::ops::post;
use crate::ops::track::reach::{Reach, Sight};
use crate::time::Moment;
use crate::town::Town;

/// How a convoy stood when it was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settling {
    /// It is closed now, and those who wait for it are told.
    Landed,
    /// All its beads are closed; it is its owner's to land.
    Complete,
    /// Some of its beads are not closed.
    Waits,
    /// It tracks nothing.
    Empty,
    /// It was closed before.
    Closed,
    /// Its record cannot be read or changed.
    Unreadable,
}

/// A bead of which it cannot be told whether it is closed.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Unknown {
    /// The bead.
    pub id: BeadId,
    /// Why.
    pub why: String,
}

/// A convoy that was settled.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Settled {
    /// The convoy.
    pub id: BeadId,
    /// What it is about.
    pub title: String,
    /// How it stands.
    pub outcome: Settling,
    /// How many beads it tracks.
    pub total: usize,
    /// Which of them are not closed.
    pub open: Vec<BeadId>,
    /// Which of them cannot be read, or are not there: they count as not closed.
    pub unknown: Vec<Unknown>,
    /// Rigs whose share of a batch is done since the mayor was told last; the mayor knows now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub done_rigs: Vec<Name>,
    /// What was slung of it besides, when it was launched here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fed: Option<Fed>,
    /// Whether its owner was told that nothing of it has moved for half an hour.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_stalled: bool,
    /// Who was told.
    pub told: Vec<Address>,
    /// Who was to be told and has no mailbox any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<Address>,
    /// What is wrong with its record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The beads whose close it was settled for.
    #[serde(skip)]
    closed: Vec<BeadId>,
}

/// What a check found.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Checked {
    /// The convoys that were open, by id.
    pub convoys: Vec<Settled>,
    /// Records of convoys that cannot be read.
    pub damaged: Vec<Damaged>,
}

impl Settled {
    fn of(bead: &Bead) -> Self {
        Self { title: bead.title.clone(), total: convoy::tracked(bead).count(), ..Self::begun(&bead.id) }
    }

    fn begun(id: &BeadId) -> Self {
        Self {
            id: id.clone(),
            title: String::new(),
            outcome: Settling::Closed,
            total: 0,
            open: Vec::new(),
            unknown: Vec::new(),
            done_rigs: Vec::new(),
            fed: None,
            has_stalled: false,
            told: Vec::new(),
            untold: Vec::new(),
            fault: None,
            closed: Vec::new(),
        }
    }

    /// Whether there is something to tell of it to who closed beads of it: it landed, is complete, was fed, or cannot be
    /// settled.
    #[must_use]
    pub fn is_news(&self) -> bool {
        matches!(self.outcome, Settling::Landed | Settling::Complete | Settling::Unreadable) || self.has_written()
    }

    /// Whether that is so for who closed `id`.
    #[must_use]
    pub fn is_news_of(&self, id: &BeadId) -> bool {
        self.is_news() && self.closed.contains(id)
    }

    /// One that could not be settled at all.
    fn failed(id: &BeadId, error: &Error) -> Self {
        Self::begun(id).unreadable(error)
    }

    /// Whether settling it changed something that others are to hear of.
    #[must_use]
    pub fn has_written(&self) -> bool {
        self.outcome == Settling::Landed || self.fed.is_some() || !self.done_rigs.is_empty() || self.has_stalled
    }

    fn unreadable(mut self, error: &Error) -> Self {
        self.outcome = Settling::Unreadable;
        self.fault = Some(error.line());
        self
    }
}

/// Where `id` stands, in its scope as `reach` sees it.
pub(super) fn standing(reach: &mut Reach<'_>, id: &BeadId) -> Standing {
    match reach.brief(id) {
        Sight::Seen(bead) if bead.status.is_closed() => Standing::Closed(bead.closed_at.unwrap_or(bead.updated_at)),
        Sight::Seen(_) => Standing::Open,
        Sight::Missing => Standing::Unknown("there is no such bead".to_owned()),
        Sight::Unreadable(why) => Standing::Unknown(why),
    }
}

/// Where `id` stands, a bead of the town as `change` has it.
fn standing_in(change: &Change<'_>, reach: &mut Reach<'_>, id: &BeadId) -> Standing {
    if !super::is_of_town(id) {
        return standing(reach, id);
    }
    let found = change.get::<Bead>(&tree::bead(id)).and_then(|bead| match bead {
        None => change.archived_bead(id),
        found => Ok(found),
    });
    match found {
        Ok(Some(bead)) if bead.status.is_closed() => Standing::Closed(bead.closed_at.unwrap_or(bead.updated_at)),
        Ok(Some(_)) => Standing::Open,
        Ok(None) => Standing::Unknown("there is no such bead".to_owned()),
        Err(error) => Standing::Unknown(error.line()),
    }
}

/// Settles the convoy `id` as a part of a change to the town.
///
/// # Errors
/// Not found, when there is none; corrupt, when a mailbox cannot be read. What is wrong with its own record is in the
/// answer, and nothing is changed then.
pub(super) fn settle_in(change: &mut Change<'_>, reach: &mut Reach<'_>, id: &BeadId) -> Result<Settled> {
    let mut bead = match change.archived_bead(id)? {
        Some(bead) => return Ok(Settled::of(&bead)),
        None => change.bead(id)?,
    };
    let mut settled = Settled::of(&bead);
    let mut fields = match Convoy::of(&bead) {
        Ok(fields) => fields,
        Err(error) => return Ok(settled.unreadable(&error)),
    };
    if bead.status.is_closed() {
        return Ok(settled);
    }
    let mut standings = BTreeMap::new();
    for id in convoy::tracked(&bead) {
        standings.insert(id.clone(), standing_in(change, reach, id));
    }
    let shares = swarm::done_shares(&change.before().rigs()?, &bead, &fields, &standings);
    fields.done_rigs.extend(shares.iter().map(|share| share.rig.clone()));
    settled.done_rigs = shares.iter().map(|share| share.rig.clone()).collect();
    // What was filed below the epic of a mountain since is work of it, which its feeding takes in.
    let new = feed::new_work(reach, &bead, &fields);
    let landed_at = match convoy::judge(&bead, |id| standings[id].clone()) {
        Verdict::Complete(_) if !new.is_empty() => {
            settled.outcome = Settling::Waits;
            settled.open = new;
            None
        }
        Verdict::Complete(_) if fields.owned => {
            settled.outcome = Settling::Complete;
            None
        }
        Verdict::Complete(at) => Some(at),
        Verdict::Empty => {
            settled.outcome = Settling::Empty;
            None
        }
        Verdict::Waits(open, unknown) => {
            settled.outcome = Settling::Waits;
            settled.open = open;
            settled.unknown = unknown.into_iter().map(|(id, why)| Unknown { id, why }).collect();
            None
        }
    };
    if landed_at.is_none() && shares.is_empty() {
        return Ok(settled);
    }
    let written = match landed_at {
        Some(at) => land_in(change, &mut bead, &mut fields, at, "gt"),
        None => {
            fields.put_into(&mut bead);
            change.put_bead(&bead)
        }
    };
    if let Err(error) = written {
        settled.done_rigs.clear();
        return Ok(settled.unreadable(&error));
    }
    for share in &shares {
        share.tell(change, &bead)?;
    }
    if let Some(at) = landed_at {
        settled.outcome = Settling::Landed;
        (settled.told, settled.untold) = tell(change, &bead, &fields, at)?;
    }
    Ok(settled)
}

/// Closes a complete convoy.
pub(super) fn land_in(change: &mut Change<'_>, bead: &mut Bead, fields: &mut Convoy, at: Moment, by: &str) -> Result<()> {
    bead.close(by, &format!("All {} beads are closed", convoy::tracked(bead).count()), at)?;
    bead.updated_at = bead.updated_at.max(at);
    fields.landings += 1;
    fields.put_into(bead);
    change.put_bead(bead)
}

/// Tells owner and watchers of a convoy that it landed; answers whom, and who cannot be told.
pub(super) fn tell(change: &mut Change<'_>, bead: &Bead, fields: &Convoy, at: Moment) -> Result<(Vec<Address>, Vec<Address>)> {
    let total = convoy::tracked(bead).count();
    let plain = bead.title.replace(char::is_control, " ");
    let summary = format!("{plain}: all {total} beads are closed");
    let message = Protocol::ConvoyLanded { convoy: bead.id.clone(), summary };
    let key = format!("landed-{}-{}", bead.id, fields.landings);
    tell_each(change, fields.hearers(bead), &key, |to, id| message.letter(id, Address::Deacon, to.clone(), at))
}

/// Puts a letter under `key` to each of `hearers`; one whose rig is gone is passed over, since it holds nobody up.
pub(super) fn tell_each(
    change: &mut Change<'_>,
    hearers: Vec<Address>,
    key: &str,
    write: impl Fn(&Address, BeadId) -> Result<crate::model::mail::Letter>,
) -> Result<(Vec<Address>, Vec<Address>)> {
    let (mut told, mut untold) = (Vec::new(), Vec::new());
    for to in hearers {
        match post::once(change, key, &to, |id| write(&to, id)) {
            Ok(_) => told.push(to),
            Err(error) if error.kind == Kind::NotFound => untold.push(to),
            Err(error) => return Err(error),
        }
    }
    Ok((told, untold))
}

/// Settles the convoys that track any of `ids`, beads that `change` closes, as far as they are the town's: in the same
/// transaction; answers those that landed. A convoy that cannot be settled holds nobody's close up; [`check`] names it.
///
/// # Errors
/// Corrupt, when the town's trees cannot be read.
pub fn closed_in<'i>(town: &Town, change: &mut Change<'_>, ids: impl IntoIterator<Item = &'i BeadId>) -> Result<Vec<Settled>> {
    let mut landed = Vec::new();
    let own = ids.into_iter().filter(|id| super::is_of_town(id));
    for (convoy, closed) in super::tracking(change.before(), own)? {
        let settled = settle_in(change, &mut Reach::new(town), &convoy)?;
        if let Some(fault) = &settled.fault {
            tracing::warn!("convoy {convoy} cannot be settled: {fault}");
        }
        // The others are looked at again after the transaction, when they are fed.
        landed.extend(Some(Settled { closed, ..settled }).filter(|settled| settled.outcome == Settling::Landed));
    }
    Ok(landed)
}

/// Settles the convoys that track any of `ids`, beads that were closed a moment ago, and delivers what is to be told.
/// The close stands whatever happens here; what goes wrong is a warning, and [`check`] finishes it.
pub fn after_close<'i>(town: &Town, ids: impl IntoIterator<Item = &'i BeadId>) -> Vec<Settled> {
    let settled = settle_trackers(town, ids);
    settled.unwrap_or_else(|error| {
        tracing::warn!("convoys were not settled ({}); gt convoy check does it", error.line());
        Vec::new()
    })
}

fn settle_trackers<'i>(town: &Town, ids: impl IntoIterator<Item = &'i BeadId>) -> Result<Vec<Settled>> {
    let state = town.hq.state()?;
    // Those of the town were settled in the transaction that closed them; what they told may wait to be carried.
    let convoys = super::tracking(&state, ids)?;
    let mut all = Vec::new();
    for (id, closed) in convoys {
        crate::env::crash_point("convoy.settling");
        let settled = settle(town, &id).unwrap_or_else(|error| Settled::failed(&id, &error));
        all.push(Settled { closed, ..settled });
    }
    deliver_told(town)?;
    feed_waiting(town, &mut all);
    Ok(all)
}

/// Slings what those of `settled` that were launched here have ready.
fn feed_waiting(town: &Town, settled: &mut [Settled]) {
    let waiting = settled.iter().filter(|one| one.outcome == Settling::Waits).map(|one| one.id.clone());
    let mut all = feed::feed_all(town, waiting.collect::<Vec<_>>());
    for one in settled {
        one.fed = all.remove(&one.id);
    }
}

/// Carries letters of the town that wait in its outbox to the rigs of their recipients.
pub(super) fn deliver_told(town: &Town) -> Result<()> {
    if town.hq.state()?.paths("outbox")?.is_empty() {
        return Ok(());
    }
    post::deliver(town).map(|_| ())
}

/// Settles one convoy; the town is written to only when there is something to write.
fn settle(town: &Town, id: &BeadId) -> Result<Settled> {
    let dry = town.hq.rehearse(town.now, |change| settle_in(change, &mut Reach::new(town), id))?;
    let deed = match (dry.outcome, dry.done_rigs.is_empty()) {
        (Settling::Landed, _) => town.deed("convoy-land", format!("convoy {id} landed")),
        (_, false) => town.deed("convoy-share", format!("a share of convoy {id} is done")),
        (_, true) => return Ok(dry),
    };
    let mut reach = Reach::new(town);
    town.hq.transact(&deed, |change| settle_in(change, &mut reach, id))
}

/// Settles all open convoys, or only `one`: what a killed command left, and what another machine closed.
///
/// # Errors
/// Not found, when there is no such convoy; corrupt, when the town cannot be read. A convoy that cannot be settled is
/// in the answer.
pub fn check(town: &Town, one: Option<&BeadId>) -> Result<Checked> {
    let state = town.hq.state()?;
    let catalog = state.catalog()?;
    let is_asked = |id: &str| one.is_none_or(|one| one.as_str() == id);
    let open = |row: &crate::ledger::index::Row<'_>| {
        *row.issue_type() == IssueType::Convoy && is_asked(row.id()) && (one.is_some() || !row.status().is_closed())
    };
    let mut ids: Vec<BeadId> = catalog.rows().filter(open).filter_map(|row| row.id().parse().ok()).collect();
    ids.sort();
    let mut checked = Checked { convoys: Vec::new(), damaged: damaged(&catalog.damaged(), one) };
    for id in &ids {
        checked.convoys.push(match settle(town, id) {
            Err(error) if one.is_none() => Settled::failed(id, &error),
            settled => settled?,
        });
    }
    deliver_told(town)?;
    feed_waiting(town, &mut checked.convoys);
    for one in checked.convoys.iter_mut().filter(|one| one.outcome == Settling::Waits) {
        one.has_stalled = feed::tell_of_stall(town, &one.id).unwrap_or_else(|error| {
            tracing::warn!("whether convoy {} has stalled was not told: {}", one.id, error.line());
            false
        });
    }
    Ok(checked)
}

/// Those of `records` that are convoys, as their ids tell.
fn damaged(records: &[Damaged], one: Option<&BeadId>) -> Vec<Damaged> {
    let id_of = |record: &Damaged| record.path.rsplit('/').next().and_then(|name| name.strip_suffix(".json")?.parse().ok());
    let is_meant = |record: &&Damaged| {
        let id: Option<BeadId> = id_of(record);
        id.is_some_and(|id| id.suffix().starts_with(INFIX) && one.is_none_or(|one| *one == id))
    };
    records.iter().filter(is_meant).cloned().collect()
}
