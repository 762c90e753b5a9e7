//! Filing a bead and putting it on somebody's hook in one go.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::address::{Address, Typed};
use crate::model::bead::Bead;
use crate::name::Name;
use crate::ops::sling::{self, Plan, Slung};
use crate::ops::track::{self, Draft};
use crate::town::Town;

/// A new bead on a hook.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Assigned {
    /// The bead.
    pub bead: Bead,
    /// Where it went.
    pub slung: Slung,
}

/// Whom `text` means: an address, or a name of the rig's crew.
///
/// # Errors
/// Usage, when it is neither; not found, when there is no such agent.
pub fn whom(town: &Town, rig: Option<&Name>, text: &str) -> Result<Address> {
    if let Ok(name) = text.parse::<Name>()
        && !matches!(text.parse(), Ok(Typed::Full(_)))
    {
        let rig = match rig {
            Some(rig) => rig.clone(),
            None => rig_here(town)?,
        };
        return Ok(Address::Crew(rig, name));
    }
    let address = sling::addressee(town, text)?;
    match (rig, address.rig()) {
        (Some(named), Some(own)) if named != own => {
            Err(Error::usage(format!("{address} is not of rig {named}")).hint("leave --rig out, or name another"))
        }
        _ => Ok(address),
    }
}

fn rig_here(town: &Town) -> Result<Name> {
    let prefix = town.prefix_here()?;
    let rigs = town.rigs()?;
    let here = rigs.iter().find(|rig| Some(&rig.prefix) == prefix.as_ref()).or_else(|| rigs.first().filter(|_| rigs.len() == 1));
    here.map(|rig| rig.name.clone())
        .ok_or_else(|| Error::usage("of which rig is the crew?").hint("add --rig NAME, or write RIG/crew/NAME"))
}

/// Files the bead of `draft` in the scope of `agent`, and slings it there. Whether the agent takes work is asked before
/// anything is filed.
///
/// # Errors
/// Refused, when it has work already; as [`track::create()`] and [`sling::sling`]. A bead that was filed and could not be
/// slung is named.
pub fn assign(town: &Town, agent: &Address, draft: &Draft, plan: &Plan) -> Result<Assigned> {
    let ledger = town.ledger_for(agent)?;
    let prefix = town.prefix_for(agent)?;
    sling::check_addressee(town, agent)?;
    if let Some(hook) = ledger.state()?.hook(agent)? {
        return Err(Error::refused(format!("{agent} already has {} on its hook", hook.bead))
            .hint(format!("file it for later: gt create … ; or take that off first: gt unsling {}", hook.bead)));
    }
    let bead = track::create(town, &ledger, &prefix, draft)?;
    let plan = Plan { bead: bead.id.to_string(), target: Some(agent.to_string()), ..plan.clone() };
    let slung = sling::sling(town, &plan).map_err(|mut error| {
        error.message = format!("{} is filed, but not assigned: {}", bead.id, error.message);
        error
    })?;
    let bead = ledger.state()?.bead(&bead.id)?;
    Ok(Assigned { bead, slung })
}
