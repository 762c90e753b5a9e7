//! Machines of a town: who they are, what is theirs, and what becomes of it when one is gone.

mod renew;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::sync::beats;
use crate::ledger::{Change, Ledger, tree};
use crate::model::address::Address;
use crate::model::agent::Agent;
use crate::model::bead::{IssueType, Status};
use crate::model::convoy::Convoy;
use crate::model::scope::{Machine, Rig, Scope};
use crate::name::{BeadId, Name};
use crate::time::Moment;
use crate::town::Town;
pub use renew::{Renewed, renew};

/// How long a machine's beat must have stood still, by our own clock, before it counts as gone.
pub const SILENT_MILLIS: u64 = 30 * 60_000;

/// What hangs on a hook of a machine.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Hung {
    /// Whose hook.
    pub agent: Address,
    /// What.
    pub bead: BeadId,
    /// Since when.
    pub since: Moment,
}

/// A machine as lists show it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it is this one.
    pub is_here: bool,
    /// The mark of the ids that it mints, by scope.
    pub slots: BTreeMap<String, String>,
    /// The scopes whose home it is: queue, archive, flattening and deacon's duties are its.
    pub home_of: Vec<String>,
    /// Its hooks that are not empty.
    pub hooks: Vec<Hung>,
    /// When this machine last saw its beat change; a machine beats while it holds hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard_at: Option<Moment>,
    /// Id of the machine that took its place, since it is gone for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
}

/// All machines of the town, by name.
///
/// # Errors
/// Corrupt, when a ledger cannot be read.
pub fn list(town: &Town) -> Result<Vec<Listed>> {
    let state = town.hq.state()?;
    let scope = state.scope()?;
    let listed = |machine: Machine| Listed {
        is_here: machine.id == town.machine,
        slots: BTreeMap::from([("town".to_owned(), machine.slot.mark())]),
        home_of: (scope.home.as_ref() == Some(&machine.id)).then(|| "town".to_owned()).into_iter().collect(),
        hooks: Vec::new(),
        heard_at: None,
        replaced_by: machine.replaced_by,
        name: machine.name,
        id: machine.id,
    };
    let mut all: Vec<Listed> = state.machines()?.into_iter().map(listed).collect();
    for rig in town.rigs()? {
        if let Some(home) = all.iter_mut().find(|machine| machine.id == rig.home) {
            home.home_of.push(format!("rig {}", rig.name));
        }
    }
    let mut scopes = vec![("town".to_owned(), town.hq.clone())];
    scopes.extend(town.places()?.into_iter().map(|place| (format!("rig {}", place.rig.name), place.ledger)));
    for (name, ledger) in scopes {
        let state = ledger.state()?;
        let heard = beats::heard(&ledger)?;
        for machine in state.machines()? {
            if let Some(known) = all.iter_mut().find(|known| known.id == machine.id) {
                known.slots.insert(name.clone(), machine.slot.mark());
                known.heard_at = known.heard_at.max(heard.get(&machine.id).copied());
            }
        }
        for hook in state.hooks()? {
            if let Some(known) = all.iter_mut().find(|known| known.id == hook.machine) {
                known.hooks.push(Hung { agent: hook.agent, bead: hook.bead, since: hook.slung_at });
            }
        }
    }
    all.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(all)
}

/// The machine that `text` names: its name, or the beginning of its id.
///
/// # Errors
/// Not found; refused, when two have that name.
pub fn named(town: &Town, text: &str) -> Result<Machine> {
    let all = town.hq.state()?.machines()?;
    let names: Vec<String> = all.iter().map(|machine| machine.name.clone()).collect();
    let by_name: Vec<Machine> = all.iter().filter(|machine| machine.name == text).cloned().collect();
    let is_meant = |machine: &Machine| !text.is_empty() && machine.id.starts_with(text);
    let found = if by_name.is_empty() { all.into_iter().filter(is_meant).collect() } else { by_name };
    match <[Machine; 1]>::try_from(found) {
        Ok([one]) => Ok(one),
        Err(none) if none.is_empty() => {
            Err(Error::not_found(format!("there is no machine {}", text.escape_debug()))
                .hint(format!("known: {}", names.join(", "))))
        }
        Err(many) => {
            let ids: Vec<&str> = many.iter().map(|machine| machine.id.as_str()).collect();
            Err(Error::refused(format!("'{}' fits {} machines", text.escape_debug(), many.len()))
                .hint(format!("name one by its id: {}", ids.join(", "))))
        }
    }
}

/// The name of machine `id`, or else its id.
#[must_use]
pub fn name_of(town: &Town, id: &str) -> String {
    let machine: Option<Machine> = town.hq.state().ok().and_then(|state| state.get(&tree::machine(id)).ok().flatten());
    machine.map_or_else(|| id.to_owned(), |machine| machine.name)
}

/// The id of the machine that runs the agent `address`; `None`, when it is nobody's in particular, or not known.
///
/// # Errors
/// Corrupt, when its record cannot be read.
pub fn of_agent(town: &Town, address: &Address) -> Result<Option<String>> {
    if address.rig().is_some() && town.prefix_for(address).is_err() {
        return Ok(None);
    }
    let (ledger, id) = town.agent_bead(address)?;
    let bead = ledger.state()?.find_bead(&id)?;
    Ok(bead.and_then(|bead| Agent::of(&bead).ok()).map(|agent| agent.machine))
}

/// A scope that got another home.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Taken {
    /// `town` or `rig NAME`.
    pub scope: String,
    /// Name of the machine that was its home.
    pub from: String,
    /// Whether it was this machine's before.
    #[serde(rename = "already")]
    pub was_so: bool,
}

/// Makes this machine the home of the town, or of `rig`. Both must have the newest of each other: sync before and after.
///
/// # Errors
/// Not found, when the rig is not here; refused, while its home has a landing under way, unless `force` is said.
pub fn take(town: &Town, rig: Option<&Name>, force: bool) -> Result<Taken> {
    let Some(rig) = rig else {
        let deed = town.deed("machine-take", "take the home of the town");
        return town.hq.transact(&deed, |change| {
            let mut scope = change.before().scope()?;
            let from = scope.home.replace(town.machine.clone()).unwrap_or_default();
            let was_so = from == town.machine;
            if !was_so {
                change.put(tree::SCOPE, &scope)?;
            }
            Ok(Taken { scope: "town".to_owned(), from: name_of(town, &from), was_so })
        });
    };
    let place = town.rig(rig)?;
    let is_landing = !place.ledger.state()?.intents()?.is_empty();
    if is_landing && place.rig.home != town.machine && !force {
        return Err(Error::refused(format!("a landing of rig {rig} is under way on {}", name_of(town, &place.rig.home)))
            .hint("try again when it has ended: gt sync; or take it with --force"));
    }
    let deed = town.deed("machine-take", format!("take the home of rig {rig}"));
    town.hq.transact(&deed, |change| {
        let path = tree::rig(rig);
        let entry: Option<Rig> = change.get(&path)?;
        let mut entry = entry.or_fail(Kind::NotFound, || format!("there is no rig {rig}"))?;
        let from = std::mem::replace(&mut entry.home, town.machine.clone());
        let was_so = from == town.machine;
        if !was_so {
            change.put(&path, &entry)?;
        }
        Ok(Taken { scope: format!("rig {rig}"), from: name_of(town, &from), was_so })
    })
}

/// What a machine that is gone held.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Evicted {
    /// The machine.
    pub machine: String,
    /// Beads that are open again.
    pub released: Vec<Hung>,
    /// Scopes whose home is this machine now.
    pub homes: Vec<String>,
    /// Scopes that could not be written, and why.
    pub failed: BTreeMap<String, String>,
}

/// Takes over what machine `gone` held: its hooks are cleared and their beads open again, homes and undelivered parcels
/// are this machine's. When it comes back, its next sync tells it.
///
/// # Errors
/// Refused, when it is this machine, or lives by its beat, unless `force` is said.
pub fn evict(town: &Town, gone: &Machine, force: bool) -> Result<Evicted> {
    if gone.id == town.machine {
        return Err(Error::refused("a machine cannot evict itself").hint("give its work back: gt unsling BEAD"));
    }
    let heard = list(town)?.into_iter().find(|machine| machine.id == gone.id).and_then(|machine| machine.heard_at);
    check_silent(town, gone, heard, force)?;
    let mut told = Evicted { machine: gone.name.clone(), released: Vec::new(), homes: Vec::new(), failed: BTreeMap::new() };
    let mut scopes = vec![("town".to_owned(), Ok(town.hq.clone()))];
    scopes.extend(town.each_place()?.into_iter().map(|(name, place)| (format!("rig {name}"), place.map(|place| place.ledger))));
    for (name, ledger) in scopes {
        match ledger.and_then(|ledger| evict_from(town, &ledger, gone)) {
            Ok((released, homes)) => {
                told.released.extend(released);
                told.homes.extend(homes);
            }
            Err(error) => drop(told.failed.insert(name, error.line())),
        }
    }
    Ok(told)
}

fn check_silent(town: &Town, gone: &Machine, heard: Option<Moment>, force: bool) -> Result<()> {
    let why = match heard {
        _ if force => return Ok(()),
        Some(heard) if town.now.millis_since(heard) >= SILENT_MILLIS => return Ok(()),
        Some(heard) => format!("its beat changed {}", heard.ago(town.now)),
        None => "it has never been heard from here".to_owned(),
    };
    Err(Error::refused(format!("machine {} may be alive: {why}", gone.name)).hint(format!(
        "sync, and try again when its beat has stood still for 30 minutes; if you know that it is gone: gt machine evict {} --force",
        gone.name
    )))
}

fn evict_from(town: &Town, ledger: &Ledger, gone: &Machine) -> Result<(Vec<Hung>, Vec<String>)> {
    let deed = town.deed("machine-evict", format!("evict machine {}", gone.name));
    ledger.transact(&deed, |change| {
        let released = release_hooks(town, change, gone)?;
        Ok((released, hand_over(change, &gone.id, &town.machine)?))
    })
}

fn release_hooks(town: &Town, change: &mut Change<'_>, gone: &Machine) -> Result<Vec<Hung>> {
    let mut released = Vec::new();
    for hook in change.before().hooks()?.into_iter().filter(|hook| hook.machine == gone.id) {
        change.remove(&tree::hook(&hook.agent));
        if let Some(mut bead) = change.before().find_bead(&hook.bead)?
            && bead.status.is_assigned_work()
            && bead.assignee.as_deref() == Some(&hook.agent.to_string())
        {
            bead.become_status(Status::Open, change.now())?;
            let text = format!("Machine {} is gone. What was done there is on its branch {}.", gone.name, hook.branch);
            bead.comment(format!("evict-{}-{}", change.rev(), hook.bead), &town.actor.name, &text, change.now());
            change.put_bead(&bead)?;
        }
        released.push(Hung { agent: hook.agent, bead: hook.bead, since: hook.slung_at });
    }
    Ok(released)
}

/// Makes `new` the home of what has machine `old` as its home in this scope, and the deliverer of its parcels; answers
/// whose home it became.
///
/// # Errors
/// Corrupt, when a record cannot be read; as every change.
pub fn hand_over(change: &mut Change<'_>, old: &str, new: &str) -> Result<Vec<String>> {
    let mut homes = Vec::new();
    for mut bead in change.before().beads_of(&IssueType::Convoy)? {
        if let Some(mut fields) = Convoy::of(&bead).ok().filter(|convoy| convoy.home.as_deref() == Some(old)) {
            fields.home = Some(new.to_owned());
            fields.put_into(&mut bead);
            change.put_bead(&bead)?;
        }
    }
    for mut rig in change.before().rigs()?.into_iter().filter(|rig| rig.home == old) {
        new.clone_into(&mut rig.home);
        change.put(&tree::rig(&rig.name.clone()), &rig)?;
        homes.push(format!("rig {}", rig.name));
    }
    let scope: Option<Scope> = change.get(tree::SCOPE)?;
    if let Some(mut scope) = scope.filter(|scope| scope.home.as_deref() == Some(old)) {
        scope.home = Some(new.to_owned());
        change.put(tree::SCOPE, &scope)?;
        homes.push("town".to_owned());
    }
    for mut parcel in change.before().parcels()?.into_iter().filter(|parcel| parcel.machine == old) {
        new.clone_into(&mut parcel.machine);
        change.put(&tree::parcel(&parcel.key.clone()), &parcel)?;
    }
    Ok(homes)
}
