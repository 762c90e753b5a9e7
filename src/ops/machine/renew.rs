//! A copy of a town gets an identity of its own; one that only moved keeps the identity that it has.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::sync::{enter, words};
use crate::ledger::{Ledger, tree};
use crate::model::scope::{LocalMachine, Machine};
use crate::ops::install::{found_machine, write_machine};
use crate::town::{Town, host_of, read_machine};

/// Who this machine is now.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Renewed {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The id that it had, which is the other's alone from now on; `None`, when it keeps its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
}

/// Makes this copy of a town a machine of its own, named `name`; or, when it `has_moved` and the directory that it was made
/// from is gone, lets it go on as the same machine.
///
/// Of its own it holds no hooks and runs no sessions: those of the other are the other's.
///
/// # Errors
/// Refused, when this is the directory that the machine was made for; io, when nothing could be written.
pub fn renew(town: &Town, name: Option<&str>, has_moved: bool) -> Result<Renewed> {
    let repo = town.hq.store.dir().to_owned();
    let old = read_machine(&repo)?;
    if !town.is_copy && !has_slots(town)? {
        // An earlier renewal was cut short.
        settle(town, &old)?;
        return Ok(Renewed { id: old.id, name: old.name, was: None });
    }
    if !town.is_copy {
        return Err(Error::refused("this town is where its machine was made, and neither a copy nor moved")
            .hint("gt machine list shows who it is"));
    }
    let local = if has_moved {
        let moved = LocalMachine { host: host_of(&repo)?, ..old.clone() };
        write_machine(&repo, &moved)?;
        moved
    } else {
        forget_local(town)?;
        let name = name.map_or_else(|| free_name(town, &old.name), |name| Ok(name.to_owned()))?;
        found_machine(&repo, Some(&name))?
    };
    crate::env::crash_point("machine.renewed");
    settle(&Town::open(&town.root, town.dir.clone(), Some(&town.me.to_string()))?, &local)?;
    let was = (local.id != old.id).then_some(old.id);
    Ok(Renewed { id: local.id, name: local.name, was })
}

/// Whether this machine has a slot in each scope.
fn has_slots(town: &Town) -> Result<bool> {
    let path = tree::machine(&town.machine);
    let mut has = town.hq.state()?.object(&path)?.is_some();
    for place in town.places()? {
        has &= place.ledger.state()?.object(&path)?.is_some();
    }
    Ok(has)
}

/// Takes a slot in each scope that this machine is not in yet, and says where it is now.
///
/// # Errors
/// As every transaction.
fn settle(town: &Town, local: &LocalMachine) -> Result<()> {
    let mut ledgers: Vec<Ledger> = vec![town.hq.clone()];
    ledgers.extend(town.places()?.into_iter().map(|place| place.ledger));
    for ledger in ledgers {
        enter(&ledger, local, &town.actor, town.now)?;
        let path = tree::machine(&local.id);
        ledger.transact(&town.deed("machine-renew", format!("machine {} has its place", local.name)), |change| {
            let known: Option<Machine> = change.get(&path)?;
            match known.filter(|known| known.host != local.host) {
                Some(known) => change.put(&path, &Machine { host: local.host.clone(), ..known }),
                None => Ok(()),
            }
        })?;
    }
    Ok(())
}

/// Drops what the copy has of the other machine's doings: its sessions, which are not ours to end, and what it has to say.
fn forget_local(town: &Town) -> Result<()> {
    for name in ["sessions", "nudges", "screens"] {
        let dir = town.runtime_dir().join(name);
        match std::fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).or_fail(Kind::Io, || format!("remove {}", dir.display()));
            }
            _ => {}
        }
    }
    words::forget_all(&town.hq)?;
    town.places()?.iter().try_for_each(|place| words::forget_all(&place.ledger))
}

/// A name after `old` that no machine of the town has.
fn free_name(town: &Town, old: &str) -> Result<String> {
    let taken: Vec<String> = town.hq.state()?.machines()?.into_iter().map(|machine| machine.name).collect();
    let mut names = (2..).map(|n| format!("{old}-{n}")).take(taken.len() + 1);
    names.find(|name| !taken.contains(name)).or_fail(Kind::Bug, || "find a name for this machine")
}
