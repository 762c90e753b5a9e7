//! Staging and launching: a convoy's work ordered into waves, then slung as what it waits for is done.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::feed::{self, Fed};
use super::graph::{self, Plan, Warning};
use super::make::{Draft, check_trackable, create_in, track, work_below};
use super::swarm;
use crate::error::{Error, Result};
use crate::ledger::{Change, State};
use crate::model::bead::{Bead, IssueType, TITLE_CHARS_MAX};
use crate::model::convoy::{self, Convoy};
use crate::model::merge_request::Way;
use crate::name::BeadId;
use crate::ops::track::reach::{Reach, Sight};
use crate::town::Town;

/// What is to be staged or launched.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// One convoy; else epics, whose work it is, and work beads.
    pub beads: Vec<BeadId>,
    /// The convoy's title; that of the epic when not given.
    pub title: Option<String>,
    /// Launch though something is doubtful.
    pub force: bool,
    /// Only assign what is slung, now and later.
    pub no_start: bool,
}

/// A convoy with its work in order.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Staged {
    /// The convoy.
    pub id: BeadId,
    /// What it is about.
    pub title: String,
    /// Whether there was none before.
    pub is_new: bool,
    /// The work, wave by wave.
    pub waves: Vec<Vec<BeadId>>,
    /// What is doubtful; a launch wants `--force` then.
    pub warnings: Vec<Warning>,
}

/// A convoy that is under way.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Launched {
    /// The convoy and its order.
    #[serde(flatten)]
    pub staged: Staged,
    /// Whether what is slung of it, now and later, is only assigned.
    pub only_assign: bool,
    /// What was so before, when it had been launched before.
    pub before: Option<Before>,
    /// What became of the work that could be slung at once.
    pub fed: Fed,
}

/// How a convoy was fed that is launched again.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Before {
    /// Whether what was slung of it was only assigned.
    pub only_assign: bool,
    /// The machine that fed it, when it was another one.
    pub home: Option<String>,
}

/// What an order comes to.
struct Intent {
    /// The convoy that is there already.
    convoy: Option<BeadId>,
    epic: Option<BeadId>,
    title: String,
    beads: Vec<BeadId>,
    plan: Plan,
}

/// Orders work into waves and keeps them in a convoy; an epic that is staged again, or a convoy, is brought up to date.
///
/// # Errors
/// Refused, when the work cannot be ordered, is nobody's here, or was launched already; nothing is written then.
pub fn stage(town: &Town, order: &Order) -> Result<Staged> {
    let intent = intent(town, order)?;
    write(town, &intent, "convoy-stage", |id, fields| match fields.launched_at {
        Some(_) => Err(Error::refused(format!("{id} was launched already")).hint(format!("see: gt convoy status {id}"))),
        None => Ok(()),
    })
}

/// Stages, and slings what waits for nothing; the rest follows as its blockers are closed. A convoy that was launched
/// is launched again: this machine feeds it from now on.
///
/// # Errors
/// As [`stage`]; refused, when something is doubtful and `force` is not said. What becomes of each bead that is slung
/// is in the answer.
pub fn launch(town: &Town, order: &Order) -> Result<Launched> {
    let intent = intent(town, order)?;
    if !order.force && !intent.plan.warnings.is_empty() {
        let texts: Vec<&str> = intent.plan.warnings.iter().map(|warning| warning.text.as_str()).collect();
        return Err(Error::refused(format!("doubtful: {}", texts.join("; "))).hint("add --force to launch it as it is"));
    }
    let mut before = None;
    let staged = write(town, &intent, "convoy-launch", |_, fields| {
        before = fields
            .launched_at
            .map(|_| Before { only_assign: fields.only_assign, home: fields.home.clone().filter(|home| *home != town.machine) });
        fields.launched_at = fields.launched_at.or(Some(town.now));
        fields.home = Some(town.machine.clone());
        fields.only_assign = order.no_start;
        Ok(())
    })?;
    crate::env::crash_point("convoy.launched");
    let fed = feed::feed(town, &staged.id)?;
    Ok(Launched { staged, only_assign: order.no_start, before, fed })
}

fn intent(town: &Town, order: &Order) -> Result<Intent> {
    let mut reach = Reach::new(town);
    let state = town.hq.state()?;
    if let [only] = order.beads.as_slice()
        && let Some(bead) = state.find_bead(only)?.filter(|bead| bead.issue_type == IssueType::Convoy)
    {
        return of_convoy(town, &mut reach, &bead, order);
    }
    let (mut beads, mut epics, mut title) = (BTreeSet::new(), Vec::new(), None);
    for id in &order.beads {
        check_trackable(&mut reach, id)?;
        let Sight::Seen(brief) = reach.brief(id) else { continue };
        title.get_or_insert_with(|| brief.title.clone());
        if brief.issue_type == IssueType::Epic {
            beads.extend(work_below(&mut reach, id)?);
            epics.push(id.clone());
        } else if brief.issue_type.is_work() {
            beads.insert(id.clone());
        } else {
            return Err(Error::refused(format!("{id} is {}, which nobody can work on", brief.issue_type.with_article()))
                .hint("stage epics, or tasks, bugs, features and chores"));
        }
    }
    let epic = if order.beads.len() == 1 { epics.pop() } else { None };
    let convoy = epic.as_ref().map(|epic| staged_for(town, epic)).transpose()?.flatten();
    let beads: Vec<BeadId> = beads.into_iter().collect();
    let plan = graph::plan(town, &mut reach, &beads, epic.is_some())?;
    let plain = title.unwrap_or_default().replace(char::is_control, " ");
    let kept = convoy.as_ref().map(|id| state.bead(id)).transpose()?.map(|bead| bead.title);
    let title = order.title.clone().or(kept).unwrap_or_else(|| plain.chars().take(TITLE_CHARS_MAX).collect());
    some_work(Intent { convoy, epic, title, beads, plan })
}

fn of_convoy(town: &Town, reach: &mut Reach<'_>, bead: &Bead, order: &Order) -> Result<Intent> {
    let fields = Convoy::of(bead)?;
    if bead.status.is_closed() {
        return Err(Error::refused(format!("{} is closed", bead.id)).hint(format!("gt convoy add {} BEAD opens it", bead.id)));
    }
    let mut beads: BTreeSet<BeadId> = BTreeSet::new();
    for id in convoy::tracked(bead) {
        match reach.brief(id) {
            Sight::Seen(brief) if brief.issue_type == IssueType::Epic => beads.extend(work_below(reach, id)?),
            Sight::Seen(brief) if !brief.issue_type.is_work() => {}
            _ => drop(beads.insert(id.clone())),
        }
    }
    if let Some(epic) = &fields.from_epic {
        beads.extend(work_below(reach, epic)?);
    }
    let beads: Vec<BeadId> = beads.into_iter().collect();
    let plan = graph::plan(town, reach, &beads, fields.from_epic.is_some())?;
    let title = order.title.clone().unwrap_or_else(|| bead.title.clone());
    some_work(Intent { convoy: Some(bead.id.clone()), epic: fields.from_epic, title, beads, plan })
}

fn some_work(intent: Intent) -> Result<Intent> {
    if intent.plan.waves.is_empty() {
        return Err(Error::refused("all of that is closed").hint("there is nothing to launch"));
    }
    Ok(intent)
}

/// The open convoy of an epic that was staged before.
///
/// # Errors
/// Corrupt, when the town's ledger cannot be read.
pub fn staged_for(town: &Town, epic: &BeadId) -> Result<Option<BeadId>> {
    staged_in(&town.hq.state()?, epic)
}

fn staged_in(state: &State<'_>, epic: &BeadId) -> Result<Option<BeadId>> {
    let all = state.beads_of(&IssueType::Convoy)?;
    let is_of_epic = |bead: &Bead| {
        let fields = Convoy::of(bead).ok();
        fields.is_some_and(|fields| fields.from_epic.as_ref() == Some(epic) && !fields.waves.is_empty())
    };
    Ok(all.into_iter().find(|bead| !bead.status.is_closed() && is_of_epic(bead)).map(|bead| bead.id))
}

/// The waves of a convoy for which `planned` was planned now. What was ordered before the first sling keeps its place,
/// since a bead that is closed, and left out of the plan, may be opened again.
fn waves_after(fields: &Convoy, planned: &[Vec<BeadId>]) -> Vec<Vec<BeadId>> {
    if fields.feeds.is_empty() {
        return planned.to_vec();
    }
    let is_new = |id: &&BeadId| !fields.waves.iter().flatten().any(|known| known == *id);
    let new = planned.iter().map(|wave| wave.iter().filter(is_new).cloned().collect::<Vec<_>>());
    fields.waves.iter().cloned().chain(new.filter(|wave| !wave.is_empty())).collect()
}

/// Writes the convoy of `intent` with its waves, and what `set` does to its fields, unless it refuses.
fn write(town: &Town, intent: &Intent, op: &str, mut set: impl FnMut(&BeadId, &mut Convoy) -> Result<()>) -> Result<Staged> {
    let draft = Draft {
        title: intent.title.clone(),
        beads: Vec::new(),
        owner: town.me.clone(),
        watchers: BTreeSet::new(),
        owned: false,
        merge: Way::default(),
        from_epic: intent.epic.clone(),
    };
    let deed = town.deed(op, format!("{} {}", op.replace('-', " "), intent.title));
    let mut put = |change: &mut Change<'_>| {
        // Another may have staged the same epic a moment ago.
        let there = match (&intent.convoy, &intent.epic) {
            (None, Some(epic)) => staged_in(change.before(), epic)?,
            (known, _) => known.clone(),
        };
        let mut bead = match &there {
            Some(id) => change.bead(id)?,
            None => create_in(town, change, &draft, &intent.beads)?,
        };
        let mut fields = Convoy::of(&bead)?;
        set(&bead.id, &mut fields)?;
        let added = track(town, &mut bead, &intent.beads);
        swarm::reopen_shares(&change.before().rigs()?, &mut fields, &added);
        fields.waves = waves_after(&fields, &intent.plan.waves);
        bead.title.clone_from(&intent.title);
        bead.updated_at = town.now;
        fields.put_into(&mut bead);
        change.put_bead(&bead)?;
        Ok(bead.id)
    };
    let id = town.hq.transact(&deed, &mut put)?;
    let Plan { waves, warnings } = intent.plan.clone();
    Ok(Staged { id, title: intent.title.clone(), is_new: intent.convoy.is_none(), waves, warnings })
}
