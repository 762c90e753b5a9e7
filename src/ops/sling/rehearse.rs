//! A sling that only says what it would do: the same checks in the same order, and nothing is made, taken or ended.

use super::target::Target;
use super::{Act, Plan, Slung, already, assign, check_home, fit, full, off, seat, touch};
use crate::config;
use crate::error::Result;
use crate::ledger::Ledger;
use crate::model::bead::Status;
use crate::name::BeadId;
use crate::ops::control::halt;
use crate::ops::{costs, polecat, session};
use crate::town::{RigPlace, Town};

/// Says what [`super::sling`] would do.
///
/// # Errors
/// Those that it would have before it changes anything.
pub(super) fn rehearse(town: &Town, plan: &Plan, ledger: &Ledger, bead_id: &BeadId, target: &Target) -> Result<Slung> {
    let state = ledger.state()?;
    let dead = off::dead_hook(town, &state, bead_id, target)?;
    let place = match target {
        Target::Seat(agent) if dead.is_none() => return seat::give(town, plan, ledger, bead_id, agent),
        Target::Seat(agent) => {
            let target = agent.to_string();
            return Ok(Slung::Would {
                bead: bead_id.clone(),
                act: Act::TakeOver,
                target,
                base: None,
                line: None,
                touches: Vec::new(),
            });
        }
        Target::AnyOf(place) | Target::One(place, _) => place,
    };
    check_home(ledger, place, bead_id)?;
    if !plan.no_start {
        halt::check(town, Some(&place.rig.name))?;
    }
    let mut bead = state.bead(bead_id)?;
    bead.wake(town.now)?;
    fit::check_readable_in_full(&state, &bead)?;
    let bead_id = bead_id.clone();
    if let Some((hook, runs)) = already(town, plan, target, place, &bead)? {
        let act = if runs || plan.no_start { Act::Nothing } else { Act::Restart };
        let line = if act == Act::Restart { line(town, plan, place)? } else { None };
        return Ok(Slung::Would { bead: bead_id, act, target: hook.agent.to_string(), base: None, line, touches: Vec::new() });
    }
    let act = if dead.is_some() { Act::TakeOver } else { Act::Assign };
    if dead.is_some() {
        // It would be given back first.
        bead.become_status(Status::Open, town.now)?;
    }
    fit::check(town, plan, &bead)?;
    if let Some(waits) = full(town, plan, place, &bead)? {
        return Ok(waits);
    }
    let line = line(town, plan, place)?;
    if line.is_some() {
        costs::look(town, Some(place), Some(&bead_id))?;
    }
    let agent = match target {
        Target::One(place, address) => polecat::check_free(town, place, address).map(|()| address.clone())?,
        Target::AnyOf(place) => polecat::next(town, place)?,
        Target::Seat(address) => address.clone(),
    };
    let start = assign::start_of(plan, place, &bead)?;
    let touches = touch::touches(town, place, &bead, start.tip);
    let base = Some(plan.base.clone().unwrap_or(start.target));
    Ok(Slung::Would { bead: bead_id, act, target: agent.to_string(), base, line, touches })
}

/// What would be started. An agent that only this sling names is known, but not yet allowed here.
fn line(town: &Town, plan: &Plan, place: &RigPlace) -> Result<Option<String>> {
    if plan.no_start {
        return Ok(None);
    }
    if let Some(name) = &plan.preset
        && !config::is_named_here(town, name)?
    {
        return Ok(Some(config::agent(town, Some(place), name)?.name));
    }
    let run = session::choose(town, place, plan.preset.as_deref(), plan.model.as_deref())?;
    run.check_program(town, &place.dir)?;
    Ok(Some(run.text()))
}
