//! Flattening ledgers whose history has grown long, on their home machine.
//!
//! A ledger that is exchanged is flattened at its first remote: the root is pushed with exactly the replaced tip as
//! expectation, and taken over from there like by every other machine. So nothing has to be undone when somebody else
//! was faster; what was prepared is forgotten, and it is tried again on what he wrote.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::progress::Progress;
use crate::ledger::flatten::{self, Root};
use crate::ledger::sync::{self, Options, Sent};
use crate::ledger::{Deed, Ledger};
use crate::ops::remote::{self, Remote};
use crate::ops::scopes::Which;
use crate::town::Town;

/// A history shorter than this costs next to nothing, while its flatten costs every other machine a replay.
pub const COMMITS_MIN: usize = 1_000;
/// How often it is tried again after somebody else wrote at that moment.
const TRIES_MAX: u32 = 5;

/// What is asked for besides the scopes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Flatten short histories too.
    pub force: bool,
    /// Only tell what would be done.
    pub dry_run: bool,
}

/// How it ended for one scope.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// A root took the place of the history.
    Flattened {
        /// How many commits it replaces.
        commits: usize,
        /// The epoch that began with it.
        epoch: usize,
        /// The tip that it replaced.
        replaced: String,
    },
    /// That is what would happen.
    WouldFlatten {
        /// How many commits would be replaced.
        commits: usize,
    },
    /// There is too little to gain.
    TooShort {
        /// How many commits there are since the last flatten.
        commits: usize,
    },
    /// Another machine is its home.
    Elsewhere {
        /// That machine's id.
        home: String,
    },
    /// It failed; what was there is there.
    Failed {
        /// Why.
        error: String,
        /// The exit code of that.
        #[serde(skip)]
        kind: Kind,
    },
}

impl Outcome {
    fn failed(error: &Error) -> Self {
        Self::Failed { error: error.line(), kind: error.kind }
    }
}

/// What was done to one scope.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Flattened {
    /// `town` or `rig NAME`.
    pub scope: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What was done to all of them.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Report(pub Vec<Flattened>);

/// Flattens the scopes that are asked for and have this machine as their home; one that fails is reported, the others
/// go on.
///
/// # Errors
/// Not found, when there is no such rig here; refused, when the one scope that is asked for has its home elsewhere;
/// corrupt, when the registry cannot be read.
pub fn flatten(town: &Town, which: &Which, wish: Wish, progress: &Progress) -> Result<Report> {
    let mut scopes = Vec::new();
    if which.has_town() {
        scopes.push(("town".to_owned(), town.hq.clone(), town_home(town)));
    }
    let mut report = Report(Vec::new());
    for (name, place) in which.each_place(town)? {
        let scope = format!("rig {name}");
        match place {
            Ok(place) => scopes.push((scope, place.ledger, Ok(place.rig.home))),
            Err(error) => report.0.push(Flattened { scope, outcome: Outcome::failed(&error) }),
        }
    }
    for (scope, ledger, home) in scopes {
        let outcome = match home {
            Ok(home) if home == town.machine => {
                let deed = town.deed("flatten", format!("flatten the history of {scope}"));
                work(&ledger, &deed, wish, progress)
            }
            Ok(home) if matches!(which, Which::All) => Ok(Outcome::Elsewhere { home }),
            Ok(home) => {
                return Err(Error::refused(format!("the home of {scope} is machine {home}, not this one"))
                    .hint("only a ledger's home machine flattens it: run it there"));
            }
            Err(error) => Err(error),
        };
        let outcome = outcome.unwrap_or_else(|error| Outcome::failed(&error));
        report.0.push(Flattened { scope, outcome });
    }
    Ok(report)
}

/// The town's home. An older gt wrote none down: then it is the machine of the lowest slot, which founded the town, or
/// the one that took its place.
fn town_home(town: &Town) -> Result<String> {
    let state = town.hq.state()?;
    if let Some(home) = state.scope()?.home {
        return Ok(home);
    }
    let machines = state.machines()?;
    let first = machines.iter().min_by_key(|machine| machine.slot.0);
    let mut home = first.or_fail(Kind::Corrupt, || "the town's ledger names no machine")?;
    // No longer than there are machines: records that lead in a ring end it too.
    for _ in &machines {
        let next = home.replaced_by.as_ref().and_then(|id| machines.iter().find(|machine| machine.id == *id));
        home = next.unwrap_or(home);
    }
    Ok(home.id.clone())
}

fn work(ledger: &Ledger, deed: &Deed<'_>, wish: Wish, progress: &Progress) -> Result<Outcome> {
    let remotes = remote::list(&ledger.store);
    check_reach(ledger, &remotes)?;
    let mut refused = 0;
    for _ in 0..TRIES_MAX {
        if !wish.dry_run {
            exchange(ledger, &remotes, deed, progress)?;
        }
        let tip = ledger.tip()?.ok_or_else(|| Error::not_found("there is no ledger here"))?;
        let commits = flatten::length(&ledger.store, tip)?;
        if commits < if wish.force { 2 } else { COMMITS_MIN } {
            return Ok(Outcome::TooShort { commits });
        }
        if wish.dry_run {
            return Ok(Outcome::WouldFlatten { commits });
        }
        let done = |root: Root| Outcome::Flattened { commits, epoch: root.epoch, replaced: root.replaced.to_string() };
        let Some(first) = remotes.first() else { return ledger.flatten(deed).map(done) };
        let root = flatten::prepare(ledger, tip, deed)?;
        match sync::send_root(ledger, &first.url, &root, progress)? {
            Sent::Taken => {
                crate::env::crash_point("flatten.sent");
                exchange(ledger, &remotes, deed, progress)?;
                return Ok(done(root));
            }
            Sent::Moved => refused = 0,
            Sent::Refused(_) if refused == 0 => refused = 1,
            Sent::Refused(reason) => {
                return Err(Error::external(format!("the remote {} refuses the flatten: {reason}", first.name))
                    .hint("what is here and there is as it was; a hook there may forbid it"));
            }
        }
    }
    Err(Error::conflict("others kept writing while the ledger was to be flattened").hint("try again when it is quieter"))
}

/// Refuses to flatten apart from machines that take part in the ledger.
fn check_reach(ledger: &Ledger, remotes: &[Remote]) -> Result<()> {
    let others = ledger.state()?.machines()?.iter().filter(|machine| machine.replaced_by.is_none()).count() > 1;
    if others && remotes.is_empty() {
        return Err(Error::refused("other machines take part in this ledger, and no remote to meet them is named here")
            .hint("name it first: gt remote add NAME URL"));
    }
    Ok(())
}

/// Takes over what every remote has, and gives each what is here.
fn exchange(ledger: &Ledger, remotes: &[Remote], deed: &Deed<'_>, progress: &Progress) -> Result<()> {
    for remote in remotes {
        sync::sync(ledger, &remote.name, &remote.url, &Options::default(), deed.now, progress)?;
    }
    Ok(())
}
