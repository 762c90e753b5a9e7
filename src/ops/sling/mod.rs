//! Sling: put a bead on an agent's hook, in a sandbox of its own, and start the agent.
//!
//! Order: checks, worktree, one transaction, session. The assignment is durable before anything runs; a
//! failure before it removes what was made, a failure after it leaves work on a hook that a second sling starts.

mod asked;
mod batch;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::salvage::Next;
use crate::ledger::{Change, State, tree};
use crate::model::address::{Address, Typed};
use crate::model::agent::Agent;
use crate::model::bead::{Bead, Status, check_text};
use crate::model::brief::Brief;
use crate::model::hook::Hook;
use crate::model::merge_request::Way;
use crate::model::record;
use crate::name::{BeadId, base36};
use crate::ops::control::halt;
use crate::ops::polecat::{self, Ground, Prepared, Taken};
use crate::ops::refinery;
use crate::ops::session;
use crate::ops::shims;
use crate::ops::track::reach::Reach;
use crate::ops::track::ready;
use crate::runtime::{process, spawns};
use crate::town::{RigPlace, Town};
pub use asked::{Served, serve};
pub use batch::{Fault, Thrown, Tracking, Tried, parse, throw};

/// What to sling, where, and how.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The bead, or an abbreviation of its id.
    pub bead: String,
    /// A rig or a polecat; the bead's rig when not given.
    pub target: Option<String>,
    /// Further words for the agent.
    pub args: String,
    /// The model to run.
    pub model: Option<String>,
    /// The agent to start, by the name of its preset; as configured when not given.
    pub preset: Option<String>,
    /// The way of the work when it is done; that of its convoy when not given.
    pub merge: Option<Way>,
    /// Sling though it is blocked.
    pub force: bool,
    /// Only assign.
    pub no_start: bool,
}

/// How it ended.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Slung {
    /// Another machine was asked to.
    Asked {
        /// What.
        bead: BeadId,
        /// Whom: the name of the machine.
        machine: String,
        /// The rig or polecat there.
        target: String,
    },
    /// Assigned now.
    Assigned {
        /// What.
        bead: BeadId,
        /// To whom.
        agent: Address,
        /// On which branch.
        branch: String,
        /// The process that runs, unless only assigned.
        pid: Option<u32>,
        /// Whether its first words were seen in its terminal, when they were typed there.
        #[serde(skip_serializing_if = "Option::is_none")]
        is_prompted: Option<bool>,
        /// What the reused sandbox held, saved.
        salvage: Option<String>,
        /// What the sandbox lacks of what it was to be given.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// It was on that hook already; its session was started.
    Restarted {
        /// What.
        bead: BeadId,
        /// To whom.
        agent: Address,
        /// The process that runs now.
        pid: u32,
        /// Whether its first words were seen in its terminal, when they were typed there.
        #[serde(skip_serializing_if = "Option::is_none")]
        is_prompted: Option<bool>,
    },
    /// It is on that hook and its session runs, or was not to be started.
    AlreadyThere {
        /// What.
        bead: BeadId,
        /// To whom.
        agent: Address,
    },
}

impl Slung {
    /// The bead.
    #[must_use]
    pub fn bead(&self) -> &BeadId {
        match self {
            Self::Asked { bead, .. }
            | Self::Assigned { bead, .. }
            | Self::Restarted { bead, .. }
            | Self::AlreadyThere { bead, .. } => bead,
        }
    }
}

/// Where a sling goes.
enum Target {
    AnyOf(RigPlace),
    One(RigPlace, Address),
}

/// Assigns the bead and starts its agent.
///
/// # Errors
/// Not found, refused (closed, blocked, held by another, no agent command), conflict, or external when the
/// agent cannot be started.
pub fn sling(town: &Town, plan: &Plan) -> Result<Slung> {
    check_text("words for the agent", &plan.args)?;
    if let Some((machine, rest)) = plan.target.as_deref().map(|text| asked::elsewhere(town, text)).transpose()?.flatten() {
        if machine.id != town.machine {
            return asked::ask(town, plan, &machine, rest);
        }
        return sling(town, &Plan { target: Some(rest).filter(|rest| !rest.is_empty()), ..plan.clone() });
    }
    let (ledger, bead_id) = town.resolve_bead(&plan.bead)?;
    let target = target_of(town, plan, &bead_id)?;
    let place = target.place();
    if ledger.store.dir() != place.ledger.store.dir() {
        return Err(Error::refused(format!("{bead_id} does not belong to rig {}", place.rig.name))
            .hint(format!("an id's prefix names its scope; file the work there: gt bead create … --rig {}", place.rig.name)));
    }
    if !plan.no_start {
        halt::check(town, Some(&place.rig.name))?;
    }
    // Held from the checks to the transaction, so that of many slings one makes a worktree and the others wait to see it taken.
    let _turn = polecat::turn_of(place, &bead_id)?;
    let state = place.ledger.state()?;
    let mut bead = state.bead(&bead_id)?;
    bead.wake(town.now)?;
    check_readable_in_full(&state, &bead)?;
    if let Some(there) = already(town, plan, &target, &bead)? {
        return Ok(there);
    }
    check(town, plan, &bead)?;
    let run = agent_for(town, plan, place, &bead_id)?;
    let taken = match &target {
        Target::AnyOf(place) => polecat::take_any(town, place)?,
        Target::One(place, address) => polecat::take(town, place, address)?,
    };
    let (hook, Prepared { saved, warnings }) = assign(town, plan, place, &taken, &bead)?;
    crate::env::crash_point("sling.assigned");
    let started = run.map(|run| session::start(town, place, &hook, &run)).transpose()?;
    if started.is_some() {
        spawns::add(&town.runtime_dir(), &bead_id)?;
    }
    Ok(Slung::Assigned {
        bead: bead_id,
        agent: hook.agent,
        branch: hook.branch,
        pid: started.as_ref().map(|started| started.session.pid),
        is_prompted: started.and_then(|started| started.is_prompted),
        salvage: saved.map(|saved| saved.ref_name),
        warnings,
    })
}

/// What is to be started; asked before anything is made.
fn agent_for(town: &Town, plan: &Plan, place: &RigPlace, bead: &BeadId) -> Result<Option<session::Run>> {
    // Whoever only assigns needs no agent, but one that is named has to be one.
    if plan.no_start && plan.preset.is_none() {
        return Ok(None);
    }
    let run = session::choose(town, place, plan.preset.as_deref(), plan.model.as_deref())?;
    if plan.no_start {
        return Ok(None);
    }
    check_start(town, plan, place, bead)?;
    run.check_program(town, &place.dir)?;
    Ok(Some(run))
}

/// Refuses a start that is one too many; who insists begins to count anew.
fn check_start(town: &Town, plan: &Plan, place: &RigPlace, bead: &BeadId) -> Result<()> {
    if plan.force {
        spawns::forget(&town.runtime_dir(), bead)?;
    }
    polecat::pool::check_start(town, place, bead)
}

impl Target {
    fn place(&self) -> &RigPlace {
        match self {
            Self::AnyOf(place) | Self::One(place, _) => place,
        }
    }
}

fn target_of(town: &Town, plan: &Plan, bead_id: &BeadId) -> Result<Target> {
    let Some(text) = plan.target.as_deref() else {
        let rigs = town.rigs()?;
        let rig = rigs.iter().find(|rig| rig.prefix == bead_id.prefix());
        let rig = rig.ok_or_else(|| {
            Error::refused(format!("{bead_id} belongs to the town, not to a rig"))
                .hint("file the work in a rig: gt bead create … --rig NAME")
        })?;
        return Ok(Target::AnyOf(town.rig(&rig.name)?));
    };
    if let Ok(name) = text.trim_end_matches('/').parse() {
        return Ok(Target::AnyOf(town.rig(&name)?));
    }
    let address = match text.parse()? {
        Typed::Full(address) => address,
        // A polecat that does not exist yet may be named too.
        Typed::Short(rig, name) => town.resolve_address(text).unwrap_or(Address::Polecat(rig, name)),
    };
    match &address {
        Address::Polecat(rig, _) => Ok(Target::One(town.rig(rig)?, address.clone())),
        other => {
            Err(Error::usage(format!("work is slung to a rig or a polecat, not to {other}"))
                .hint("for example: gt sling BEAD RIG"))
        }
    }
}

/// The same bead to the same target again: start what is missing, else nothing.
fn already(town: &Town, plan: &Plan, target: &Target, bead: &Bead) -> Result<Option<Slung>> {
    let (true, Some(assignee)) = (bead.status.is_assigned_work(), bead.assignee.as_deref()) else { return Ok(None) };
    let Ok(agent) = assignee.parse::<Address>() else { return Ok(None) };
    let is_same = match target {
        Target::AnyOf(place) => agent.rig() == Some(&place.rig.name),
        Target::One(_, address) => *address == agent,
    };
    let place = target.place();
    let hook = place.ledger.state()?.hook(&agent)?.filter(|hook| hook.bead == bead.id);
    let Some(hook) = hook.filter(|hook| is_same && hook.machine == town.machine) else { return Ok(None) };
    if plan.preset.is_some() && plan.preset != hook.preset {
        let other = hook.preset.as_deref().unwrap_or("the configured one");
        return Err(Error::refused(format!("{} is on the hook of {agent} already, for another agent: {other}", bead.id))
            .hint(format!("take it off first: gt unsling {}", bead.id)));
    }
    let runs = process::find(&town.runtime_dir(), &agent)?.is_some();
    if runs || plan.no_start {
        return Ok(Some(Slung::AlreadyThere { bead: bead.id.clone(), agent }));
    }
    check_start(town, plan, place, &bead.id)?;
    let run = session::choose(town, place, hook.preset.as_deref(), hook.model.as_deref())?;
    run.check_program(town, &place.dir)?;
    let started = session::start(town, place, &hook, &run)?;
    spawns::add(&town.runtime_dir(), &bead.id)?;
    let (pid, is_prompted) = (started.session.pid, started.is_prompted);
    Ok(Some(Slung::Restarted { bead: bead.id.clone(), agent, pid, is_prompted }))
}

/// Whether the bead may be slung at all; asked before the worktree and again in the transaction.
fn check(town: &Town, plan: &Plan, bead: &Bead) -> Result<()> {
    check_free(bead)?;
    let blockers = ready::blockers(&mut Reach::new(town), &mut BTreeMap::new(), &Brief::of(bead));
    if blockers.is_empty() || plan.force {
        return Ok(());
    }
    let names: Vec<String> = blockers.iter().map(|blocker| format!("{} ({})", blocker.id, blocker.why)).collect();
    Err(Error::refused(format!("{} is blocked by {}", bead.id, names.join(", "))).hint("finish those first, or add --force"))
}

/// Refuses a record of a newer version before anything is made for it.
fn check_readable_in_full(state: &State<'_>, bead: &Bead) -> Result<()> {
    let path = tree::bead(&bead.id);
    state.object(&path)?.map_or(Ok(()), |object| record::check_writable(&path, &object))
}

fn check_free(bead: &Bead) -> Result<()> {
    if !bead.issue_type.is_work() {
        return Err(Error::refused(format!("{} is of type {}, which nobody can work on", bead.id, bead.issue_type))
            .hint("sling a task, bug, feature or chore"));
    }
    if bead.status == Status::Open {
        return Ok(());
    }
    let held = bead.assignee.as_deref().map(|who| format!(" by {who}")).unwrap_or_default();
    let hint = match bead.status {
        Status::Closed => format!("reopen it first: gt bead reopen {}", bead.id),
        Status::InReview => "it was handed in; see: gt mq list".to_owned(),
        _ => format!("see: gt show {}", bead.id),
    };
    Err(Error::refused(format!("{} is {}{held} and cannot be slung", bead.id, bead.status)).hint(hint))
}

/// Makes the sandbox and records the assignment; takes the sandbox back when that is refused.
fn assign(town: &Town, plan: &Plan, place: &RigPlace, taken: &Taken, bead: &Bead) -> Result<(Hook, Prepared)> {
    let target = refinery::integration::target_for(place, &place.ledger.state()?, bead)?;
    let base = refinery::integration::tip_of(place, &target)?
        .or_fail(Kind::NotFound, || format!("find the branch {target} of rig {}", place.rig.name))?;
    let Address::Polecat(_, name) = &taken.address else {
        return Err(Error::bug(format!("{} was taken as a polecat", taken.address)));
    };
    let stamp = base36(u64::try_from(town.now.millis()).unwrap_or(0));
    let branch = format!("polecat/{name}/{}@{stamp}{}", bead.id, base36(fastrand::u64(..36 * 36)));
    shims::before_work(town, place, &target);
    let prepared = taken.prepare(town, place, &branch, base)?;
    crate::env::crash_point("sling.worktree");
    let mut hook = Hook::new(taken.address.clone(), bead.id.clone(), &town.actor.name, &town.machine, town.now);
    hook.branch.clone_from(&branch);
    hook.target = target;
    hook.args.clone_from(&plan.args);
    hook.model.clone_from(&plan.model);
    hook.preset.clone_from(&plan.preset);
    hook.merge = plan.merge;
    let deed = town.deed("sling", format!("sling {} → {}", bead.id, taken.address));
    let recorded = place.ledger.transact(&deed, |change| {
        asked::check_not_asked(town, change, &bead.id, plan.force)?;
        record(change, place, &hook)
    });
    if let Err(error) = recorded {
        // A sync that fails after the ref moved is an error too, but the assignment stands then.
        let stands = place.ledger.state().and_then(|state| state.hook(&taken.address));
        if stands.is_ok_and(|stands| stands.is_none_or(|stands| !stands.is_same(&hook))) {
            taken.undo(place, &branch, base);
        }
        return Err(polecat::naming(error, prepared.saved.as_ref()));
    }
    Ok((hook, prepared))
}

fn record(change: &mut Change<'_>, place: &RigPlace, hook: &Hook) -> Result<()> {
    let mut bead = change.bead(&hook.bead)?;
    bead.wake(change.now())?;
    check_free(&bead)?;
    let slot = tree::hook(&hook.agent);
    if let Some(other) = change.get::<Hook>(&slot)? {
        return Err(Error::conflict(format!("{} got {} on its hook meanwhile", hook.agent, other.bead)).hint("try again"));
    }
    bead.become_status(Status::Hooked, change.now())?;
    bead.assignee = Some(hook.agent.to_string());
    bead.assigned_rev = Some(change.rev().clone());
    bead.give_out(hook.model.as_deref(), change.now());
    change.put_bead(&bead)?;
    change.put(&slot, hook)?;
    let request = tree::request(&hook.bead);
    if change.has(&request)? {
        change.remove(&request);
    }
    let agent_id = hook.agent.bead_id(place.rig.founded_with());
    if !change.has(&tree::bead(&agent_id))? {
        let agent = Agent::bead(&hook.agent, place.rig.founded_with(), &hook.machine, &hook.slung_by, change.now())?;
        change.put(&tree::bead(&agent_id), &agent)?;
    }
    Ok(())
}

/// What `gt unsling` did.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Unslung {
    /// The bead.
    pub bead: BeadId,
    /// Where it stands now: open again, unless it was handed in or closed before.
    pub status: Status,
    /// Who had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Address>,
    /// The machine that was asked to sling it, and is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// The ref that keeps what its sandbox held, when it held something unsaved.
    pub salvage: Option<String>,
}

/// Takes a bead off the hook it hangs on: session ended, work saved, bead open.
///
/// # Errors
/// Refused, when it is on no hook, or on that of another machine's agent.
pub fn unsling(town: &Town, text: &str) -> Result<Unslung> {
    let (ledger, bead) = town.resolve_bead(text)?;
    let hooks = ledger.state()?.hooks()?;
    let nobody = || Error::refused(format!("{bead} is on nobody's hook")).hint(format!("see: gt show {bead}"));
    let Some(agent) = hooks.into_iter().find(|hook| hook.bead == bead).map(|hook| hook.agent) else {
        let taken_back = asked::take_back(town, &bead)?.ok_or_else(nobody)?;
        let status = ledger.state()?.bead(&bead)?.status;
        return Ok(Unslung { bead, status, agent: None, asked: Some(taken_back), salvage: None });
    };
    let Address::Polecat(rig, name) = &agent else {
        return Err(Error::refused(format!("{agent} is no polecat")));
    };
    let place = town.rig(rig)?;
    let held = polecat::hold(&place, &agent)?;
    let hook = held.hook.as_ref().filter(|hook| hook.bead == bead).ok_or_else(nobody)?;
    if hook.machine != town.machine {
        return Err(Error::refused(format!("{bead} is on the hook of {agent}, whose machine is {}", hook.machine))
            .hint("unsling it there"));
    }
    process::stop(&town.runtime_dir(), &agent, 5_000)?;
    let dir = polecat::sandbox(&place, name);
    let is_there = polecat::ground(&place, &dir)? == Ground::Worktree;
    let saved = if is_there { polecat::save(town, &place, &agent, &dir, Next::Nothing)? } else { None };
    // Its own hand-in may have been faster than the end of its session.
    let released = polecat::release(town, &place, &agent, &bead, saved.as_ref()).and_then(|status| status.ok_or_else(nobody));
    let status = released.map_err(|error| polecat::naming(error, saved.as_ref()))?;
    Ok(Unslung { bead, status, agent: Some(agent.clone()), asked: None, salvage: saved.map(|saved| saved.ref_name) })
}
