//! Sling: put a bead on an agent's hook, in a sandbox of its own, and start the agent.
//!
//! Order: checks, worktree, one transaction, session. The assignment is durable before anything runs; a
//! failure before it removes what was made, a failure after it leaves work on a hook that a second sling starts.

mod asked;
mod assign;
mod batch;
mod fit;
mod off;
mod plan;
mod rehearse;
mod seat;
mod target;
mod touch;

use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::model::address::Address;
use crate::model::bead::{Bead, check_text};
use crate::model::hook::Hook;
use crate::name::BeadId;
use crate::ops::control::halt;
use crate::ops::polecat::Prepared;
use crate::ops::{costs, polecat, session};
use crate::runtime::{process, spawns};
use crate::town::{RigPlace, Town};
use assign::assign;
use target::{Target, target_of};

pub use asked::{Served, serve};
pub use batch::{Fault, Thrown, Tracking, Tried, parse, throw};
pub use off::{Unslung, unsling};
pub use plan::{Act, Plan, Slung};
pub use target::{addressee, check_addressee, crew_of};
pub use touch::Touch;

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
    if plan.dry_run {
        return rehearse::rehearse(town, plan, &ledger, &bead_id, &target);
    }
    let taken_from = off::give_back_of_dead(town, &ledger, &bead_id, &target)?;
    let slung = match &target {
        Target::Seat(agent) => seat::give(town, plan, &ledger, &bead_id, agent),
        Target::AnyOf(place) | Target::One(place, _) => to_sandbox(town, plan, &ledger, &bead_id, &target, place),
    };
    // What was saved is named, also when the rest failed.
    let was_saved = taken_from.and_then(|off| off.salvage);
    match (slung, was_saved) {
        (Ok(Slung::Assigned { bead, agent, branch, pid, is_prompted, salvage: None, warnings, touches }), salvage) => {
            Ok(Slung::Assigned { bead, agent, branch, pid, is_prompted, salvage, warnings, touches })
        }
        (Err(mut error), Some(name)) => {
            error.message = format!("{}; unsaved work of the dead session is kept at {name}", error.message);
            Err(error)
        }
        (slung, _) => slung,
    }
}

/// Refuses a bead that belongs to another scope than the rig at `place`.
fn check_home(ledger: &Ledger, place: &RigPlace, bead_id: &BeadId) -> Result<()> {
    if ledger.store.dir() == place.ledger.store.dir() {
        return Ok(());
    }
    Err(Error::refused(format!("{bead_id} does not belong to rig {}", place.rig.name))
        .hint(format!("an id's prefix names its scope; file the work there: gt bead create … --rig {}", place.rig.name)))
}

fn to_sandbox(town: &Town, plan: &Plan, ledger: &Ledger, bead_id: &BeadId, target: &Target, place: &RigPlace) -> Result<Slung> {
    check_home(ledger, place, bead_id)?;
    if !plan.no_start {
        halt::check(town, Some(&place.rig.name))?;
    }
    // Held from the checks to the transaction, so that of many slings one makes a worktree and the others wait to see it taken.
    let _turn = polecat::turn_of(place, bead_id)?;
    let state = place.ledger.state()?;
    let mut bead = state.bead(bead_id)?;
    bead.wake(town.now)?;
    fit::check_readable_in_full(&state, &bead)?;
    if let Some((hook, runs)) = already(town, plan, target, place, &bead)? {
        return start_again(town, plan, place, &hook, runs);
    }
    fit::check(town, plan, &bead)?;
    if let Some(waits) = full(town, plan, place, &bead)? {
        return Ok(waits);
    }
    let run = agent_for(town, plan, place, bead_id)?;
    if let Some(run) = &run {
        run.check_account(town)?;
        costs::check(town, Some(place), Some(bead_id))?;
    }
    let taken = match target {
        Target::AnyOf(place) => polecat::take_any(town, place)?,
        Target::One(place, address) => polecat::take(town, place, address)?,
        Target::Seat(address) => return Err(Error::bug(format!("{address} was taken for a polecat"))),
    };
    let start = assign::start_of(plan, place, &bead)?;
    let touches = touch::touches(town, place, &bead, start.tip);
    let (hook, Prepared { saved, warnings }) = assign(town, plan, place, &taken, &bead, &start)?;
    crate::env::crash_point("sling.assigned");
    let started = run.map(|run| session::start(town, place, &hook, &run)).transpose()?;
    if started.is_some() {
        spawns::add(&town.runtime_dir(), bead_id)?;
    }
    Ok(Slung::Assigned {
        bead: bead_id.clone(),
        agent: hook.agent,
        branch: hook.branch,
        pid: started.as_ref().map(|started| started.session.pid),
        is_prompted: started.and_then(|started| started.is_prompted),
        salvage: saved.map(|saved| saved.ref_name),
        warnings,
        touches,
    })
}

/// That the bead waits, when as many polecats have work as may.
fn full(town: &Town, plan: &Plan, place: &RigPlace, bead: &Bead) -> Result<Option<Slung>> {
    let Some(at_most) = plan.at_most else { return Ok(None) };
    let working = assign::working(&place.ledger.state()?.hooks()?, &town.machine);
    let is_full = working >= usize::try_from(at_most).unwrap_or(usize::MAX);
    Ok(is_full.then(|| Slung::Waits { bead: bead.id.clone(), working, at_most }))
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

/// The hook that the bead is on already where `target` means, and whether its session runs.
///
/// # Errors
/// Refused, when another agent program is named than the hook keeps.
fn already(town: &Town, plan: &Plan, target: &Target, place: &RigPlace, bead: &Bead) -> Result<Option<(Hook, bool)>> {
    let (true, Some(assignee)) = (bead.status.is_assigned_work(), bead.assignee.as_deref()) else { return Ok(None) };
    let Ok(agent) = assignee.parse::<Address>() else { return Ok(None) };
    let is_same = match target {
        Target::AnyOf(place) => matches!(agent, Address::Polecat(..)) && agent.rig() == Some(&place.rig.name),
        Target::One(_, address) | Target::Seat(address) => *address == agent,
    };
    let hook = place.ledger.state()?.hook(&agent)?.filter(|hook| hook.bead == bead.id);
    let Some(hook) = hook.filter(|hook| is_same && hook.machine == town.machine) else { return Ok(None) };
    if plan.preset.is_some() && plan.preset != hook.preset {
        let other = hook.preset.as_deref().unwrap_or("the configured one");
        return Err(Error::refused(format!("{} is on the hook of {agent} already, for another agent: {other}", bead.id))
            .hint(format!("take it off first: gt unsling {}", bead.id)));
    }
    let runs = process::find(&town.runtime_dir(), &agent)?.is_some();
    Ok(Some((hook, runs)))
}

/// The same bead to the same target again: start what is missing, else nothing.
fn start_again(town: &Town, plan: &Plan, place: &RigPlace, hook: &Hook, runs: bool) -> Result<Slung> {
    let (bead, agent) = (hook.bead.clone(), hook.agent.clone());
    if runs || plan.no_start {
        return Ok(Slung::AlreadyThere { bead, agent });
    }
    check_start(town, plan, place, &bead)?;
    let run = session::choose(town, place, hook.preset.as_deref(), hook.model.as_deref())?;
    run.check_program(town, &place.dir)?;
    let started = session::start(town, place, hook, &run)?;
    spawns::add(&town.runtime_dir(), &bead)?;
    let (pid, is_prompted) = (started.session.pid, started.is_prompted);
    Ok(Slung::Restarted { bead, agent, pid, is_prompted })
}
