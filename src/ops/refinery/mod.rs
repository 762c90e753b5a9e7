//! The refinery: a merge queue per rig and target branch that lands exactly what was gated.
//!
//! [`run`] works a queue until nothing can move: it stacks requests in memory, asks the planner
//! ([`crate::model::plan`]) for the next step and takes it, reading all records anew each round. What moves a
//! target takes a [`Turn`], which one process holds at a time and which ends with it.
//!
//! ```text
//! drain     one look: stack, and ask the planner     act      take its steps
//! look      who waits, what runs said          evict     send back, with all the author needs
//! stack     trees of prefixes, in memory       hold      wait for one ahead, keep the place
//! cut       what a request changes             shape     its commits, by mode
//! gate      have a tree gated                  recover   landings that a dead process left open
//! land      intent, re-check, swap, records    submit    how requests come in
//! remote    when a remote holds the target     why       the story of one request
//! origin    how far apart when none does       stats     figures of the queue
//! known     what runs say of sets, for the planner
//! check     commits about to land, once more   tell      words to authors before anything is sent back
//! kin       who stands on whom                 revert    take back what has landed
//! permit    what people said that holds a request, judged
//! idle      gates that run again while nothing waits
//! pull      by pull request, when nobody may push    clerk     the command that opens them
//! losses    dropped landings, counted                 alarm     word to who watches, once of a tip
//! control   … said: hold, release, withdraw, pause, freeze      review    approve, reject, comment, diff
//! station   the refinery as a session                         moved     targets that moved outside of gt
//! turns     the targets of a rig, worked side by side
//! plugins   those that are called in before a queue is worked
//! profile   what is known of a change before any gate
//! resolve   tasks that bring a request onto a target with which it conflicts
//! retry     the same head once more                             force     land without gates
//! rights    who may say what                                    list      the queue in rows
//! integration   branches for the children of an epic
//! ```

mod act;
mod alarm;
mod check;
mod clerk;
mod control;
mod cut;
mod drain;
mod event;
mod evict;
mod force;
mod gate;
mod hold;
mod idle;
pub mod integration;
mod kin;
mod known;
mod land;
mod landed;
mod list;
mod look;
mod losses;
mod moved;
mod origin;
mod permit;
mod plugins;
mod profile;
mod pull;
mod recover;
mod remote;
mod resolve;
mod retry;
mod revert;
mod review;
mod rights;
mod shape;
mod stack;
mod station;
mod stats;
mod submit;
mod tell;
mod turns;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::ledger::{Actor, Change, Deed};
use crate::model::address::Address;
use crate::model::gate::Gate;
use crate::model::merge_request::{Force, OnConflict};
use crate::model::review::Rule;
use crate::name::{BeadId, Name};
use crate::ops::control::halt;
use crate::ops::gates::{Rules, Subject, TrialId, Trials, Yard};
use crate::ops::post;
use crate::ops::protect;
use crate::ops::rig;
use crate::ops::shims;
use crate::store::lock::KernelLock;
use crate::time::{self, Stopwatch};
use crate::town::{RigPlace, Town};

use clerk::Clerk;

pub use crate::git::patch::FileChange;
pub use control::{Steered, hold, release, steer, withdraw};
pub use event::{Event, Recovery};
pub use force::{Forced, land};
pub use idle::look_again;
pub use integration::{Ending, Integrated, Standing};
pub use list::{Brief, Listed, Next, brief, list, next, stopped};
pub use look::{Request, requests_of, targets, waiting};
pub use moved::{Moved, watch};
pub use origin::{Origin, origin};
pub use profile::profile;
pub use retry::retry;
pub use revert::{Reverted, revert};
pub use review::{Diff, Reviewed, approve, comment, diff, reject};
pub use rights::{check_overseer, check_steers};
pub use station::{Started, Station, Stopped, end, start, station, stop};
pub use stats::stats;
pub use submit::{Filed, Ground, Handed, Submission, check_pin, file_mr, ground, mode_for, submit};
pub use why::{GateStory, Overview, Story, TargetOverview, is_worked, status, why};

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
    /// Targets whose landing waits for a pull request: its name, or why it could not be opened or looked at.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub waiting_for_pull_request: BTreeMap<String, String>,
    /// Targets that somebody paused or froze, with what was said of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stopped: BTreeMap<String, String>,
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
    /// These and all others, with what their verdicts depend on.
    rules: Rc<Rules>,
    /// Trees that are being gated.
    trials: Trials<'a>,
    subjects: BTreeMap<TrialId, Subject>,
    /// Whether landing with no gates at all is allowed.
    is_ungated_allowed: bool,
    /// Which requests need review.
    review: Rule,
    /// Who opens pull requests, when the target is moved by these.
    clerk: Option<Clerk>,
    /// What becomes of what conflicts with the target.
    on_conflict: OnConflict,
    /// The order by which everything lands without gates.
    force: Option<Force>,
    me: Address,
    actor: Actor,
    turn: Turn,
    /// The request that is to be decided, when the others may wait.
    only: Option<&'a BeadId>,
    /// Most trials side by side, so that other targets have room.
    share: usize,
    /// Whether no other target is worked beside this one, so that it may wait for a checkout.
    is_alone: bool,
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
    halt::check(town, Some(&place.rig.name))?;
    for moved in moved::watch(town, place)? {
        say(&Event::of_moved(moved));
    }
    // What goes wrong with one target keeps nothing from what is owed to the others.
    let drained = work_targets(town, place, only, say);
    // Of a ledger that cannot be read nothing is owed to anybody, and nothing but that is told.
    if drained.as_ref().is_err_and(|error| error.kind == Kind::Corrupt) {
        return drained;
    }
    let gated = moved::gate(town, place, say);
    // After what somebody waits for. A guard that cannot stand keeps nothing from landing.
    if let Err(error) = protect::refresh(town, place) {
        say(&Event::LeftBehind { what: "the hook of target.protect".to_owned(), reason: error.line() });
    }
    if let Err(error) = shims::refresh(town, place) {
        say(&Event::LeftBehind { what: "the git hooks".to_owned(), reason: error.line() });
    }
    // Each landing and each request that leaves may free a polecat, or make a task needless.
    let handed_out = resolve::hand_out(town, place, say);
    let drained = drained?;
    gated.and(handed_out).map(|()| drained)
}

fn work_targets(town: &Town, place: &RigPlace, only: Option<&BeadId>, say: &mut dyn FnMut(&Event)) -> Result<Drained> {
    let state = place.ledger.state()?;
    let mut targets: BTreeSet<String> = state.intents()?.into_iter().map(|intent| intent.target).collect();
    targets.extend(state.notebooks()?.into_iter().filter(|notebook| notebook.pull_branch.is_some()).map(|one| one.target));
    targets.extend(look::awaited(&state, only)?);
    if targets.is_empty() && !recover::is_strewn(place)? {
        return Ok(Drained::default());
    }
    let yard = Yard::take(town, place)?;
    recover::drop_stray_pins(place, &yard)?;
    let rules = Rules::read(town, place, &town.machine)?;
    let drained = turns::Turns::new(town, place, &yard, rules, only).work(targets, say);
    if drained.as_ref().map_or(true, |drained| !drained.landed.is_empty()) {
        // Readers follow when they are clean; the landing stands without them.
        let _ = rig::refresh_readers(place);
    }
    drained
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
        let looked = run(town, place, say).and_then(|_| idle::look_again(town, place, say));
        let rest_millis = match looked {
            // There may be more to look at.
            Ok(true) => 0,
            Ok(false) => REST_MILLIS,
            Err(error) => {
                complain(&error);
                if error.kind == Kind::Conflict { RETRY_MILLIS } else { REST_MILLIS }
            }
        };
        if let Err(error) = post::deliver(town) {
            complain(&error);
        }
        let watch = Stopwatch::start();
        loop {
            let seen = place.ledger.tip()?;
            // Looked at after `seen` was read, so that nothing falls between; mail alone wakes nobody, and makes no rest longer.
            let left_millis = rest_millis.saturating_sub(watch.millis());
            if look::mark(place)? != before || !place.ledger.wait_for_change(seen, left_millis)? {
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
        hearers(&self.place.rig.name, author)
    }
}

/// Who hears of the fate of a request of `author` in `rig`: the witness and its author.
fn hearers(rig: &Name, author: &str) -> Vec<Address> {
    let witness = Address::Witness(rig.clone());
    let author: Option<Address> = author.parse().ok();
    std::iter::once(witness.clone()).chain(author.filter(|author| *author != witness)).collect()
}
