//! Where a sling goes: to a rig, to one polecat, or to an agent that works where it is.

use super::Plan;
use crate::error::{Error, Result};
use crate::model::address::{Address, Typed};
use crate::model::agent::DOGS;
use crate::name::{BeadId, Name};
use crate::town::{RigPlace, Town};

/// Where a sling goes.
pub(super) enum Target {
    /// To an idle polecat of the rig, or a new one.
    AnyOf(RigPlace),
    /// To this polecat.
    One(RigPlace, Address),
    /// To an agent without a sandbox: crew, the mayor, a dog.
    Seat(Address),
}

/// What the words of `plan` mean for `bead_id`.
///
/// # Errors
/// Usage, when they name nobody who takes work; not found, when there is no such rig or crew; refused, for a bead of the
/// town without a target, and for a polecat that slings to itself.
pub(super) fn target_of(town: &Town, plan: &Plan, bead_id: &BeadId) -> Result<Target> {
    let Some(text) = plan.target.as_deref() else { return Ok(Target::AnyOf(rig_of(town, bead_id)?)) };
    let address = match text.trim_end_matches('/') {
        "." => myself(town)?,
        "deacon/dogs" => free_dog(town, bead_id)?,
        word => match word.parse() {
            Ok(name) if !is_role(word) => return Ok(Target::AnyOf(town.rig(&name)?)),
            Ok(_) | Err(_) => addressee(town, word)?,
        },
    };
    check_addressee(town, &address)?;
    match &address {
        Address::Polecat(rig, _) => Ok(Target::One(town.rig(rig)?, address.clone())),
        _ => Ok(Target::Seat(address)),
    }
}

/// Whether the word is a role of the town, and so no rig.
fn is_role(word: &str) -> bool {
    ["mayor", "deacon", "overseer"].contains(&word)
}

/// Refuses an agent that takes no work, or crew that is not there.
///
/// # Errors
/// Usage; not found.
pub fn check_addressee(town: &Town, address: &Address) -> Result<()> {
    match address {
        Address::Polecat(..) | Address::Mayor | Address::Dog(_) => Ok(()),
        Address::Crew(rig, name) => check_crew(town, rig, name),
        Address::Overseer(_) | Address::Deacon | Address::Witness(_) | Address::Refinery(_) | Address::Plugin(..) => {
            Err(Error::usage(format!("work is slung to a rig, a polecat, crew, the mayor or a dog, not to {address}"))
                .hint("for example: gt sling BEAD RIG"))
        }
    }
}

/// The rig that the bead belongs to.
pub(super) fn rig_of(town: &Town, bead_id: &BeadId) -> Result<RigPlace> {
    let rigs = town.rigs()?;
    let rig = rigs.iter().find(|rig| rig.prefix == bead_id.prefix());
    let rig = rig.ok_or_else(|| {
        Error::refused(format!("{bead_id} belongs to the town, not to a rig"))
            .hint("sling it to the mayor, or file the work in a rig: gt bead create … --rig NAME")
    })?;
    town.rig(&rig.name)
}

/// A full or short address; a polecat that does not exist yet may be named too.
///
/// # Errors
/// Usage, when it is none; refused, when a short one fits two.
pub fn addressee(town: &Town, text: &str) -> Result<Address> {
    let (rig, name) = match text.parse()? {
        Typed::Full(address) => return Ok(address),
        Typed::Short(rig, name) => (rig, name),
    };
    match town.resolve_address(text) {
        Ok(address) => Ok(address),
        Err(error) if error.kind == crate::error::Kind::Refused => Err(error),
        Err(_) if is_crew(town, &rig, &name) => Ok(Address::Crew(rig, name)),
        Err(_) => Ok(Address::Polecat(rig, name)),
    }
}

fn myself(town: &Town) -> Result<Address> {
    town.check_identity()?;
    match &town.me {
        Address::Polecat(..) => Err(Error::refused("a polecat is given its work, one bead at a time")
            .hint("hand in or give back what you have; others are slung to the rig: gt sling BEAD RIG")),
        Address::Overseer(_) => Err(Error::usage("the overseer has no hook")
            .hint("take a bead up with gt update BEAD --claim, or sling it: gt sling BEAD RIG")),
        me => Ok(me.clone()),
    }
}

/// The first dog of the pool that has nothing on its hook, or this bead.
fn free_dog(town: &Town, bead_id: &BeadId) -> Result<Address> {
    let state = town.hq.state()?;
    for name in DOGS {
        let dog = Address::Dog(name.parse()?);
        if state.hook(&dog)?.is_none_or(|hook| hook.bead == *bead_id) {
            return Ok(dog);
        }
    }
    Err(Error::refused("all dogs have work").hint("see what they have: gt hook deacon/dogs/alpha"))
}

fn is_crew(town: &Town, rig: &Name, name: &Name) -> bool {
    town.root.join(rig.as_str()).join("crew").join(name.as_str()).is_dir()
}

fn check_crew(town: &Town, rig: &Name, name: &Name) -> Result<()> {
    let place = town.rig(rig)?;
    let id = Address::Crew(rig.clone(), name.clone()).bead_id(place.rig.founded_with());
    if is_crew(town, rig, name) || place.ledger.state()?.find_bead(&id)?.is_some() {
        return Ok(());
    }
    Err(Error::not_found(format!("rig {rig} has no crew {name}"))
        .hint(format!("its workspace is {rig}/crew/{name}; to a polecat: gt sling BEAD {rig}")))
}

/// The target of `gt sling --crew NAME`: of the rig that is named, else of the first bead's.
///
/// # Errors
/// Usage, when the target is no rig.
pub fn crew_of(town: &Town, beads: &[String], target: Option<&str>, name: &Name) -> Result<String> {
    let rig = match (target, beads.first()) {
        (Some(text), _) => text.trim_end_matches('/').parse::<Name>().map_err(|_| {
            Error::usage(format!("--crew {name} names an agent, and {} another", text.escape_debug()))
                .hint("name a rig, or leave one out")
        })?,
        (None, Some(bead)) => rig_of(town, &town.resolve_bead(bead)?.1)?.rig.name,
        (None, None) => return Err(Error::usage("which bead?").hint("for example: gt sling BEAD RIG --crew NAME")),
    };
    Ok(Address::Crew(rig, name.clone()).to_string())
}
