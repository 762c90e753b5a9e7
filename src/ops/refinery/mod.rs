//! The refinery: a merge queue per rig and target branch that lands exactly what was gated.
//!
//! [`run`] works a queue until nothing can move: it stacks requests in memory, asks the planner
//! ([`crate::model::plan`]) for the next step and takes it, reading all records anew each round. What moves a
//! target takes a [`Turn`], which one process holds at a time and which ends with it.
//!
//! ```text
//! look      who waits, what runs said          evict     send back, with all the author needs
//! stack     trees of prefixes, in memory       hold      wait for one ahead, keep the place
//! gate      run and record                     recover   landings that a dead process left open
//! land      intent, re-check, swap, records    submit    how requests come in
//! remote    when a remote holds the target     why       the story of one request
//! origin    how far apart when none does      stats     figures of the queue
//! ```

mod drain;
mod event;
mod evict;
mod gate;
mod hold;
mod land;
mod look;
mod origin;
mod recover;
mod remote;
mod stack;
mod stats;
mod submit;
mod why;

use std::collections::BTreeSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::config;
use crate::error::{Error, Kind, Result};
use crate::ledger::{Actor, Change, Deed, tree};
use crate::model::address::Address;
use crate::model::gate::Gate;
use crate::name::BeadId;
use crate::ops::post;
use crate::ops::rig;
use crate::store::lock::KernelLock;
use crate::time;
use crate::town::{RigPlace, Town};

pub use event::{Event, Recovery};
pub use look::{Request, waiting};
pub use origin::{Origin, origin};
pub use stats::stats;
pub use submit::{Filed, Handed, Submission, check_pin, file_mr, submit};
pub use why::{GateStory, Listed, Overview, Story, list, status, why};

/// The exclusive turn to move one target of a rig; the kernel ends it with its process.
pub struct Turn {
    target: String,
    _lock: KernelLock,
}

impl Turn {
    /// Takes the turn for `target` of `place`.
    ///
    /// # Errors
    /// Conflict, when another process has it.
    pub fn take(place: &RigPlace, target: &str) -> Result<Self> {
        let lock = KernelLock::try_take(&Self::lock_path(place, target))?;
        let lock = lock.ok_or_else(|| {
            Error::conflict(format!("another gt works the queue of {target} in {}", place.rig.name)).hint("see: gt mq status")
        })?;
        Ok(Self { target: target.to_owned(), _lock: lock })
    }

    fn lock_path(place: &RigPlace, target: &str) -> PathBuf {
        let file = format!("queue-{}.flock", target.replace('%', "%25").replace('/', "%2F"));
        place.ledger.store.private_dir().join(file)
    }

    /// The ref that may be moved.
    #[must_use]
    pub fn target_ref(&self) -> String {
        format!("refs/heads/{}", self.target)
    }
}

/// What a run of the queue came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Drained {
    /// Requests that landed, in order.
    pub landed: Vec<BeadId>,
    /// Requests that were sent back, in order.
    pub evicted: Vec<BeadId>,
    /// Requests that wait for something.
    pub held: BTreeSet<BeadId>,
    /// Targets that are red themselves, so that nobody was sent back.
    pub red_targets: BTreeSet<String>,
    /// Targets whose remote could not be reached.
    pub waiting_for_remote: BTreeSet<String>,
    /// Convoys that landed with what landed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub convoys: Vec<BeadId>,
    /// Work of convoys that waited for what landed, and was slung.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slung: Vec<BeadId>,
    /// Gate runs.
    pub runs: u32,
}

/// One queue, being worked.
pub(crate) struct Queue<'a> {
    town: &'a Town,
    place: &'a RigPlace,
    /// The gates that every tree must pass.
    gates: Vec<Gate>,
    /// Whether landing with no gates at all is allowed.
    is_ungated_allowed: bool,
    me: Address,
    actor: Actor,
    turn: Turn,
    yard: &'a gate::Yard,
    /// The request that is to be decided, when the others may wait.
    only: Option<&'a BeadId>,
    runs: u32,
}

/// Works the queues of a rig until nothing can move, telling `say` what happens as it happens.
///
/// # Errors
/// Refused, when the rig's queue belongs to another machine or no gate is configured though one is required;
/// conflict, when another process works it or the target keeps moving; external, when a gate cannot run.
pub fn run(town: &Town, place: &RigPlace, say: &mut dyn FnMut(&Event)) -> Result<Drained> {
    work(town, place, None, say)
}

/// Works the queue in which `only` waits until that one is decided or cannot move.
///
/// # Errors
/// As [`run`].
pub fn run_for(town: &Town, place: &RigPlace, only: &BeadId, say: &mut dyn FnMut(&Event)) -> Result<Drained> {
    work(town, place, Some(only), say)
}

fn work(town: &Town, place: &RigPlace, only: Option<&BeadId>, say: &mut dyn FnMut(&Event)) -> Result<Drained> {
    check_home(town, place)?;
    let state = place.ledger.state()?;
    let mut targets: BTreeSet<String> = state.intents()?.into_iter().map(|intent| intent.target).collect();
    let live = look::requests(&state)?.into_iter().filter(|request| request.mr.state.is_live());
    targets.extend(live.filter(|request| only.is_none_or(|only| *only == request.bead.id)).map(|request| request.mr.target));
    if targets.is_empty() && place.ledger.store.refs_below(tree::LANDING)?.is_empty() {
        return Ok(Drained::default());
    }
    let yard = gate::Yard::take(place)?;
    recover::drop_stray_pins(place, &yard)?;
    let gates = config::gates(town, place)?;
    let is_ungated_allowed = !config::is_on(town, Some(place), "gates.require")?;
    let me = Address::Refinery(place.rig.name.clone());
    let actor = Actor { name: me.to_string(), email: town.actor.email.clone(), model: None };
    let mut drained = Drained::default();
    for target in targets {
        let turn = Turn::take(place, &target)?;
        let (gates, me, actor) = (gates.clone(), me.clone(), actor.clone());
        let mut queue = Queue { town, place, gates, is_ungated_allowed, me, actor, turn, yard: &yard, only, runs: 0 };
        let result = queue.drain(&mut drained, say);
        drained.runs += queue.runs;
        result?;
    }
    if !drained.landed.is_empty() {
        // Readers follow when they are clean; the landing stands without them.
        let _ = rig::refresh_readers(place);
    }
    Ok(drained)
}

/// How long [`serve`] rests when nothing happens; a remote target is looked at this often too.
const REST_MILLIS: u64 = 600_000;
/// How long it rests when another process has the turn.
const RETRY_MILLIS: u64 = 5_000;

/// Works the queues of a rig whenever its ledger changes, until the process is ended. What goes wrong is told to
/// `complain` and tried again at the next change.
///
/// # Errors
/// Refused, when the queue belongs to another machine; io or corrupt, when the ledger cannot be read or watched.
pub fn serve(
    town: &Town,
    place: &RigPlace,
    say: &mut dyn FnMut(&Event),
    complain: &mut dyn FnMut(&Error),
) -> Result<std::convert::Infallible> {
    check_home(town, place)?;
    loop {
        let before = look::mark(place)?;
        let rest_millis = match run(town, place, say) {
            Ok(_) => REST_MILLIS,
            Err(error) => {
                complain(&error);
                if error.kind == Kind::Conflict { RETRY_MILLIS } else { REST_MILLIS }
            }
        };
        if let Err(error) = post::deliver(town) {
            complain(&error);
        }
        loop {
            let seen = place.ledger.tip()?;
            // Looked at after `seen` was read, so that nothing falls between; mail alone wakes nobody.
            if look::mark(place)? != before || !place.ledger.wait_for_change(seen, rest_millis)? {
                break;
            }
        }
    }
}

fn check_home(town: &Town, place: &RigPlace) -> Result<()> {
    if place.rig.home == town.machine {
        return Ok(());
    }
    Err(Error::refused(format!("the queue of {} is worked on machine {}, not on this one", place.rig.name, place.rig.home))
        .hint("requests filed here reach it by gt sync"))
}

impl Queue<'_> {
    fn target(&self) -> &str {
        &self.turn.target
    }

    fn machine(&self) -> &str {
        &self.town.machine
    }

    fn committer(&self) -> (&str, &str) {
        (&self.actor.name, &self.actor.email)
    }

    /// One transaction of the rig's ledger in the refinery's name.
    fn transact<T>(&self, op: &str, subject: String, closure: impl FnMut(&mut Change<'_>) -> Result<T>) -> Result<T> {
        let deed = Deed { actor: &self.actor, op, subject, now: time::now()? };
        self.place.ledger.transact(&deed, closure)
    }

    /// Who hears of a request's fate: the witness and its author.
    fn hearers(&self, author: &str) -> Vec<Address> {
        let witness = Address::Witness(self.place.rig.name.clone());
        let author: Option<Address> = author.parse().ok();
        std::iter::once(witness.clone()).chain(author.filter(|author| *author != witness)).collect()
    }
}
