//! Looking at convoys: how far they are, what each of their beads does, and ready work that nobody has.

use std::collections::BTreeMap;
use std::rc::Rc;

use schemars::JsonSchema;
use serde::Serialize;

use super::feed;
use super::make::work_below;
use crate::error::Result;
use crate::ledger::Damaged;
use crate::ledger::index::Catalog;
use crate::model::address::Address;
use crate::model::bead::{Bead, IssueType, Status};
use crate::model::brief::{Brief, Facts as _};
use crate::model::convoy::{self, Convoy, INFIX};
use crate::model::merge_request::{MergeRequest, MrState};
use crate::name::{BeadId, Prefix};
use crate::ops::track::reach::{Reach, Sight};
use crate::ops::track::ready::{Blocker, blockers};
use crate::time::Moment;
use crate::town::Town;

/// A convoy in brief.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Summary {
    /// The convoy.
    pub id: BeadId,
    /// What it is about.
    pub title: String,
    /// Whether it is open or closed.
    pub status: Status,
    /// Whose it is.
    pub owner: Option<String>,
    /// Who else hears of its landing.
    pub watchers: Vec<Address>,
    /// Whether its owner lands it.
    pub owned: bool,
    /// The epic whose work it tracks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_epic: Option<BeadId>,
    /// When it was launched, or its work was slung.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launched_at: Option<Moment>,
    /// Whether its work is ordered into waves and waits to be launched.
    pub is_staged: bool,
    /// Whether it is fed until all of it is done.
    pub is_mountain: bool,
    /// How many beads it tracks.
    pub total: usize,
    /// How many of them are closed.
    pub closed: usize,
    /// When it was made.
    pub created_at: Moment,
    /// When it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Moment>,
    /// Why it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_reason: Option<String>,
    /// What is wrong with its record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// A merge request that is on its way.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Request {
    /// The request.
    pub id: BeadId,
    /// Where it stands.
    pub state: MrState,
}

/// A bead that a convoy tracks.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Member {
    /// The bead.
    pub id: BeadId,
    /// What it is about; `None` when it cannot be read.
    pub title: Option<String>,
    /// Where it stands; `None` when it cannot be read.
    pub status: Option<Status>,
    /// Who has it.
    pub assignee: Option<String>,
    /// The wave that it belongs to, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wave: Option<usize>,
    /// Its merge request, while that is on its way.
    pub mr: Option<Request>,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// A convoy with its beads.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Story {
    /// The convoy.
    #[serde(flatten)]
    pub summary: Summary,
    /// What it tracks, in the order in which it was added.
    pub beads: Vec<Member>,
}

/// What a list of convoys found.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The convoys: open ones, oldest first, then closed ones, newest first.
    pub stories: Vec<Story>,
    /// How many there are without the limit.
    pub total: usize,
    /// Records of convoys that cannot be read.
    pub damaged: Vec<Damaged>,
}

/// Which convoys to list.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Closed ones too.
    pub all: bool,
    /// Only these statuses.
    pub statuses: Vec<Status>,
    /// At most so many; 0 for all.
    pub limit: usize,
}

/// The town's convoys.
///
/// # Errors
/// Corrupt, when the town's ledger cannot be read.
pub fn list(town: &Town, asked: &Asked) -> Result<Listing> {
    let mut reach = Reach::new(town);
    let catalog = reach.catalog(&Prefix::hq())?;
    let keeps = |status: &Status| {
        if asked.statuses.is_empty() { asked.all || !status.is_closed() } else { asked.statuses.contains(status) }
    };
    let wants = |row: crate::ledger::index::Row<'_>| *row.issue_type() == IssueType::Convoy && keeps(row.status());
    let age = |row: crate::ledger::index::Row<'_>| {
        let at = row.created_at().millis();
        if row.status().is_closed() { (true, at.saturating_neg()) } else { (false, at) }
    };
    let (rows, mut total) = catalog.first(asked.limit, wants, age);
    let mut beads = Vec::new();
    let mut damaged: Vec<Damaged> =
        catalog.damaged().into_iter().filter(|record| record.path.contains(&format!("/hq-{INFIX}"))).collect();
    for (_, row) in rows {
        match reach.in_full(&Prefix::hq(), row) {
            Ok(bead) => beads.push(bead),
            Err(error) => damaged.push(Damaged { path: row.id().to_owned(), fault: error.line() }),
        }
    }
    if let Some(archive) = reach.archive(&Prefix::hq())?.filter(|_| keeps(&Status::Closed)) {
        let (rows, more) = archive.first(asked.limit, |row| wants(row) && !catalog.has(row.id()), age);
        total += more;
        for (_, row) in rows.into_iter().take(if asked.limit == 0 { usize::MAX } else { asked.limit.saturating_sub(beads.len()) })
        {
            beads.extend(reach.in_full(&Prefix::hq(), row).ok());
        }
    }
    let mut view = View { reach, requests: BTreeMap::new() };
    let stories = beads.iter().map(|bead| view.story(bead)).collect();
    Ok(Listing { stories, total, damaged })
}

/// The convoys `ids` with all that they track.
///
/// # Errors
/// Not found, when one is not there; corrupt, when one cannot be read.
pub fn stories(town: &Town, ids: &[BeadId]) -> Result<Vec<Story>> {
    let mut view = View { reach: Reach::new(town), requests: BTreeMap::new() };
    let state = town.hq.state()?;
    ids.iter().map(|id| Ok(view.story(&state.bead(id)?))).collect()
}

/// What stories are told from.
struct View<'t> {
    reach: Reach<'t>,
    /// Of each scope, the live requests by what they deliver.
    requests: BTreeMap<Prefix, BTreeMap<BeadId, Request>>,
}

impl View<'_> {
    fn story(&mut self, bead: &Bead) -> Story {
        let mut beads: Vec<Member> = convoy::tracked(bead).map(|id| self.member(id)).collect();
        let (fields, fault) = match Convoy::of(bead) {
            Ok(fields) => (fields, None),
            Err(error) => (Convoy::default(), Some(error.line())),
        };
        for (wave, n) in fields.waves.iter().zip(1..) {
            beads.iter_mut().filter(|one| wave.contains(&one.id)).for_each(|one| one.wave = Some(n));
        }
        let summary = Summary {
            id: bead.id.clone(),
            title: bead.title.clone(),
            status: bead.status.clone(),
            owner: bead.owner.clone(),
            watchers: fields.watchers.into_iter().collect(),
            owned: fields.owned,
            from_epic: fields.from_epic,
            launched_at: fields.launched_at,
            is_staged: !fields.waves.is_empty() && fields.launched_at.is_none(),
            is_mountain: feed::is_mountain(bead),
            total: beads.len(),
            closed: beads.iter().filter(|one| one.status.as_ref().is_some_and(Status::is_closed)).count(),
            created_at: bead.created_at,
            closed_at: bead.closed_at,
            close_reason: bead.close_reason.clone(),
            fault,
        };
        Story { summary, beads }
    }

    fn member(&mut self, id: &BeadId) -> Member {
        // One look at a whole scope serves every further bead of it; one out of reach is told of below.
        let _ = self.reach.catalog(&id.prefix());
        let (brief, fault) = match self.reach.brief(id) {
            Sight::Seen(brief) => (Some(*brief), None),
            Sight::Missing => (None, Some("there is no such bead".to_owned())),
            Sight::Unreadable(why) => (None, Some(why)),
        };
        let in_review = brief.as_ref().is_some_and(|brief| brief.status == Status::InReview);
        let (title, status, assignee) = match brief {
            Some(Brief { title, status, assignee, .. }) => (Some(title), Some(status), assignee),
            None => (None, None, None),
        };
        let mr = if in_review { self.request(id) } else { None };
        Member { id: id.clone(), title, status, assignee, wave: None, mr, fault }
    }

    fn request(&mut self, id: &BeadId) -> Option<Request> {
        let prefix = id.prefix();
        if !self.requests.contains_key(&prefix) {
            let catalog: Option<Rc<Catalog>> = self.reach.catalog(&prefix).ok();
            let live = |row: &crate::ledger::index::Row<'_>| row.mr_state().is_some_and(MrState::is_live);
            let mut found = BTreeMap::new();
            for row in catalog.iter().flat_map(|catalog| catalog.rows()).filter(live) {
                let Ok(bead) = self.reach.in_full(&prefix, row) else { continue };
                let Ok(mr) = MergeRequest::of(&bead) else { continue };
                let request = Request { id: bead.id, state: mr.state };
                found.extend(mr.source_beads.into_iter().map(|source| (source, request.clone())));
            }
            self.requests.insert(prefix.clone(), found);
        }
        self.requests.get(&prefix)?.get(id).cloned()
    }
}

/// Why a convoy does not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rest {
    /// It has work that could be done now and that nobody has.
    Ready,
    /// Nobody works on it, and nothing of it can be begun.
    Stuck,
    /// It tracks nothing.
    Empty,
}

/// A bead of a convoy that waits, and for what.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Held {
    /// The bead.
    pub id: BeadId,
    /// Why nobody can begin it.
    pub why: String,
}

/// A convoy that does not move though it is open.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Stranded {
    /// The convoy.
    pub id: BeadId,
    /// What it is about.
    pub title: String,
    /// Why it does not move.
    pub reason: Rest,
    /// What could be slung now.
    pub ready: Vec<BeadId>,
    /// What waits.
    pub held: Vec<Held>,
}

/// Open convoys with ready work that nobody has, or on which nobody works at all; and those that cannot be read.
///
/// # Errors
/// Corrupt, when the town's ledger cannot be read.
pub fn stranded(town: &Town) -> Result<(Vec<Stranded>, Vec<Damaged>)> {
    let mut reach = Reach::new(town);
    let mut known = BTreeMap::new();
    let mut found = Vec::new();
    let Listing { stories, mut damaged, .. } = list(town, &Asked::default())?;
    for story in stories {
        if let Some(fault) = story.summary.fault {
            damaged.push(Damaged { path: story.summary.id.to_string(), fault });
            continue;
        }
        if story.summary.is_staged {
            continue;
        }
        let (mut ready, mut held, mut is_moving) = (Vec::new(), Vec::new(), false);
        for member in story.beads.iter().filter(|member| member.status.as_ref().is_none_or(|status| !status.is_closed())) {
            match why_held(town, &mut reach, &mut known, &member.id) {
                Start::Now => ready.push(member.id.clone()),
                Start::UnderWay => is_moving = true,
                Start::Not(why) => held.push(Held { id: member.id.clone(), why }),
            }
        }
        let reason = match (ready.is_empty(), story.beads.is_empty()) {
            (_, true) => Rest::Empty,
            (false, _) => Rest::Ready,
            // One that is complete waits for its owner alone.
            (true, _) if is_moving || held.is_empty() => continue,
            (true, _) => Rest::Stuck,
        };
        found.push(Stranded { id: story.summary.id, title: story.summary.title, reason, ready, held });
    }
    Ok((found, damaged))
}

/// Whether work on a bead can be begun.
pub(super) enum Start {
    Now,
    UnderWay,
    Not(String),
}

pub(super) fn why_held(town: &Town, reach: &mut Reach<'_>, known: &mut BTreeMap<BeadId, Vec<Blocker>>, id: &BeadId) -> Start {
    let brief = match reach.brief(id) {
        Sight::Seen(brief) => brief,
        Sight::Missing => return Start::Not("there is no such bead".to_owned()),
        Sight::Unreadable(why) => return Start::Not(why),
    };
    if brief.issue_type == IssueType::Epic {
        return why_held_below(town, reach, known, id);
    }
    // A claim whose time is up is open work.
    if !brief.is_open_work(town.now) {
        if matches!(brief.status, Status::Hooked | Status::InProgress | Status::InReview) {
            return Start::UnderWay;
        }
        let what = if brief.issue_type.is_work() {
            format!("it is {}", brief.status)
        } else {
            format!("nobody can work on a bead of type {}", brief.issue_type)
        };
        return Start::Not(what);
    }
    if let Some(who) = brief.assignee.as_ref().filter(|_| brief.status == Status::Open) {
        return Start::Not(format!("{who} is to do it and has not begun"));
    }
    match blockers(reach, known, &brief).as_slice() {
        [] => Start::Now,
        all => Start::Not(all.iter().map(|one| format!("{} ({})", one.id, one.why)).collect::<Vec<_>>().join(", ")),
    }
}

/// Whether work below an epic goes on.
fn why_held_below(town: &Town, reach: &mut Reach<'_>, known: &mut BTreeMap<BeadId, Vec<Blocker>>, epic: &BeadId) -> Start {
    let mut ready = Vec::new();
    for id in work_below(reach, epic).unwrap_or_default() {
        match why_held(town, reach, known, &id) {
            Start::UnderWay => return Start::UnderWay,
            Start::Now => ready.push(id.to_string()),
            Start::Not(_) => {}
        }
    }
    Start::Not(match ready.as_slice() {
        [] => "nothing below it can be begun".to_owned(),
        ready => format!("ready below it: {}", ready.join(", ")),
    })
}
