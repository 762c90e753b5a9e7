//! The town at a glance.

use std::rc::Rc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::ledger::index::Row;
use crate::ledger::{Damaged, Ledger, State};
use crate::model::address::Address;
use crate::model::bead::{IssueType, Status};
use crate::model::brief::Facts as _;
use crate::model::merge_request::MrState;
use crate::name::Name;
use crate::ops::control::halt::{self, Stop};
use crate::ops::convoy::{self, Asked, Summary};
use crate::ops::machine;
use crate::ops::polecat::{self, Listed};
use crate::ops::refinery::{self, Origin};
use crate::ops::remote;
use crate::ops::track::reach::Shelves;
use crate::time::Moment;
use crate::town::{RigPlace, Town};

/// Beads by where they stand.
#[derive(Clone, Copy, Debug, Default, JsonSchema, Serialize)]
pub struct Counts {
    /// Open work.
    pub open: usize,
    /// On a hook or in progress.
    pub in_work: usize,
    /// Handed in.
    pub in_review: usize,
    /// Waiting for a person or something outside.
    pub blocked: usize,
    /// Done.
    pub closed: usize,
}

/// A rig at a glance.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct RigStatus {
    /// Its name.
    pub rig: Name,
    /// Its target branch.
    pub target: String,
    /// Whether what lands there is pushed, and how far it is from origin's branch.
    pub origin: Origin,
    /// Work by where it stands.
    pub beads: Counts,
    /// Its polecats.
    pub polecats: Vec<Listed>,
    /// Merge requests waiting.
    pub queued: usize,
    /// Merge requests held.
    pub held: usize,
    /// Where its ledger goes from here; empty: nowhere.
    pub sync: Vec<String>,
    /// Records that cannot be read.
    pub damaged: Vec<Damaged>,
}

/// The town at a glance.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct TownStatus {
    /// Its name.
    pub town: String,
    /// Its directory.
    pub root: std::path::PathBuf,
    /// Who asks.
    pub me: Address,
    /// Where the town's ledger goes from here; empty: nowhere.
    pub sync: Vec<String>,
    /// Unread mail of whoever asks.
    pub mail_unread: usize,
    /// Its machines, when they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machines: Option<Vec<machine::Listed>>,
    /// Its open convoys.
    pub convoys: Vec<Summary>,
    /// Emergency stops that stand on this machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<Stop>,
    /// Its rigs on this machine.
    pub rigs: Vec<RigStatus>,
    /// Rigs that are registered but not on this machine.
    pub elsewhere: Vec<Name>,
    /// When it was looked at.
    #[serde(skip)]
    pub now: Moment,
}

/// Looks at the whole town, and with `all_machines` at what is known of other machines.
///
/// # Errors
/// Corrupt, when a ledger cannot be read.
pub fn look(town: &Town, all_machines: bool) -> Result<TownStatus> {
    let state = town.hq.state()?;
    let places = town.places()?;
    let here: Vec<Name> = places.iter().map(|place| place.rig.name.clone()).collect();
    let elsewhere = state.rigs()?.into_iter().map(|rig| rig.name).filter(|name| !here.contains(name)).collect();
    let unread = town.ledger_for(&town.me)?.state()?.unread(&town.me)?;
    Ok(TownStatus {
        town: state.scope()?.name,
        root: town.root.clone(),
        me: town.me.clone(),
        sync: urls(&town.hq),
        mail_unread: unread.letters.len(),
        machines: all_machines.then(|| machine::list(town)).transpose()?,
        convoys: convoy::list(town, &Asked::default())?.stories.into_iter().map(|story| story.summary).collect(),
        stops: halt::standing(town, &here)?,
        rigs: places.iter().map(|place| look_at(town, place)).collect::<Result<_>>()?,
        elsewhere,
        now: town.now,
    })
}

fn look_at(town: &Town, place: &RigPlace) -> Result<RigStatus> {
    let state = place.ledger.state()?;
    let catalog = Rc::new(state.catalog()?);
    let archive = state.archive()?.map(State::catalog).transpose()?;
    let shelves = Shelves::new(catalog.clone(), archive.map(Rc::new));
    let mut counts = Counts::default();
    let is_counted = |row: &Row<'_>| row.issue_type().is_work() || *row.issue_type() == IssueType::Epic;
    for bead in shelves.rows().filter(is_counted) {
        match bead.status() {
            Status::Open => counts.open += 1,
            Status::Hooked | Status::InProgress => counts.in_work += 1,
            Status::InReview => counts.in_review += 1,
            Status::Blocked | Status::Deferred => counts.blocked += 1,
            Status::Closed => counts.closed += 1,
            Status::Pinned | Status::Other(_) => {}
        }
    }
    let in_state =
        |wanted: &[MrState]| catalog.rows().filter_map(|row| row.mr_state()).filter(|state| wanted.contains(state)).count();
    Ok(RigStatus {
        rig: place.rig.name.clone(),
        target: place.rig.target.clone(),
        origin: refinery::origin(place, &place.rig.target)?,
        beads: counts,
        polecats: polecat::list(town, place)?,
        queued: in_state(&[MrState::Queued, MrState::Landing]),
        held: in_state(&[MrState::Held]),
        sync: urls(&place.ledger),
        damaged: catalog.damaged(),
    })
}

fn urls(ledger: &Ledger) -> Vec<String> {
    remote::list(&ledger.store).into_iter().map(|remote| remote.url).collect()
}
