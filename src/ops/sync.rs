//! Sync: every scope of the town exchanged with its remotes, and the target branches brought up to date.
//!
//! Parcels for other scopes are delivered before and after, so that what one machine tells another travels
//! in one round. A scope that fails is reported; the others go on.

mod lost;
mod passing;
mod report;
mod watch;

use crate::error::Result;
use crate::git::fetch;
use crate::git::progress::Progress;
use crate::ledger::Ledger;
use crate::ledger::sync::{self, Lost, Options};
use crate::ops::refinery::{self, Turn};
use crate::ops::remote;
use crate::ops::scopes::Which;
use crate::ops::{convoy, post, rig, sling};
use crate::store::refs::Swap;
use crate::town::{RigPlace, Town};
pub use lost::Yielded;
pub use passing::{Act, Heard, await_screen};
pub use report::{Report, Synced};
pub use watch::watch;

/// Exchanges everything with everyone it is shared with.
///
/// # Errors
/// Corrupt, when the town's ledger cannot be read. What fails for one scope is in the report.
pub fn all(town: &Town, progress: &Progress) -> Result<Report> {
    exchange(town, &Which::All, &Options::default(), progress)
}

/// Exchanges the scopes that are asked for.
///
/// # Errors
/// As [`all`].
pub fn exchange(town: &Town, which: &Which, options: &Options, progress: &Progress) -> Result<Report> {
    if !options.dry_run {
        post::deliver(town)?;
    }
    let mut report = Report(Vec::new());
    if which.has_town() {
        exchange_scope(&town.hq, "town", town, options, progress, &mut report);
    }
    let mut places = Vec::new();
    for (name, place) in which.each_place(town)? {
        match place {
            Ok(place) => places.push(place),
            Err(error) => report.0.push(Synced::new(&format!("rig {name}"), None).failed(&error)),
        }
    }
    for place in &places {
        exchange_scope(&place.ledger, &format!("rig {}", place.rig.name), town, options, progress, &mut report);
        if options.fetch && !options.dry_run && place.rig.land_remote {
            // The queue reads the remote itself; what fails here only leaves the readers behind.
            let _ = follow_target(place, progress);
        }
        if !options.dry_run {
            watch_targets(town, place);
        }
    }
    let has_written = !options.dry_run && settle(town, which, &places, options, &mut report);
    if !options.dry_run && (post::deliver(town)? > 0 || has_written) && options.push {
        for place in &places {
            exchange_scope(&place.ledger, &format!("rig {}", place.rig.name), town, options, progress, &mut report);
        }
        if which.has_town() {
            exchange_scope(&town.hq, "town", town, options, progress, &mut report);
        }
    }
    Ok(report)
}

/// Does what follows from what came: convoys, requests of other machines, work that went elsewhere, words in passing;
/// whether anything was written for it that is to go out.
fn settle(town: &Town, which: &Which, places: &[RigPlace], options: &Options, report: &mut Report) -> bool {
    let mut has_written = settle_convoys(town, report);
    if !options.fetch {
        return has_written;
    }
    has_written |= serve(town, places, report);
    for place in places {
        let scope = format!("rig {}", place.rig.name);
        let all = report.0.iter().filter(|synced| synced.scope == scope).filter_map(|synced| synced.exchange.as_ref());
        let lost: Vec<Lost> = all.flat_map(|exchange| exchange.lost.iter().cloned()).collect();
        match lost::yield_all(town, place, &lost) {
            Ok(yielded) => {
                has_written |= !yielded.is_empty();
                report.of(&scope, |synced| synced.yielded.extend(yielded));
            }
            Err(error) => tracing::warn!("what rig {} lost is not settled: {}", place.rig.name, error.line()),
        }
        has_written |= hear(town, &place.ledger, &scope, report);
    }
    if which.has_town() {
        has_written |= hear(town, &town.hq, "town", report);
    }
    has_written
}

/// Acts on words in passing; whether there were any.
fn hear(town: &Town, ledger: &Ledger, scope: &str, report: &mut Report) -> bool {
    match passing::act(town, ledger) {
        Ok(heard) => {
            let is_any = !heard.is_empty();
            report.of(scope, |synced| synced.heard.extend(heard));
            is_any
        }
        Err(error) => {
            tracing::warn!("words of other machines in {scope} wait: {}", error.line());
            false
        }
    }
}

/// Slings what other machines asked of this one; whether anything was written for it.
fn serve(town: &Town, places: &[RigPlace], report: &mut Report) -> bool {
    let mut is_any = false;
    for place in places {
        match sling::serve(town, place) {
            Ok(served) => {
                is_any |= !served.is_empty();
                report.of(&format!("rig {}", place.rig.name), |synced| synced.served.extend(served));
            }
            Err(error) => tracing::warn!("what rig {} was asked to sling waits: {}", place.rig.name, error.line()),
        }
    }
    is_any
}

/// Settles and feeds convoys after what other machines closed; whether anything was written for it.
fn settle_convoys(town: &Town, report: &Report) -> bool {
    let received = |synced: &Synced| synced.exchange.as_ref().is_some_and(|exchange| exchange.received > 0);
    if !report.0.iter().any(received) {
        return false;
    }
    match convoy::check(town, None) {
        Ok(checked) => checked.convoys.iter().any(convoy::Settled::has_written),
        Err(error) => {
            tracing::warn!("convoys were not settled ({}); gt convoy check does it", error.line());
            false
        }
    }
}

fn exchange_scope(ledger: &Ledger, scope: &str, town: &Town, options: &Options, progress: &Progress, report: &mut Report) {
    let remotes = remote::list(&ledger.store);
    if remotes.is_empty() {
        report.0.push(Synced::new(scope, None));
    }
    for remote in remotes {
        let result = sync::sync(ledger, &remote.name, &remote.url, options, town.now, progress);
        let synced = Synced::new(scope, Some(remote));
        report.add(match result {
            Ok(exchange) => Synced { exchange: Some(exchange), ..synced },
            Err(error) => synced.failed(&error),
        });
    }
}

/// Looks whether targets of the rig moved outside of gt, which is mailed to those who watch it.
fn watch_targets(town: &Town, place: &RigPlace) {
    match refinery::watch(town, place) {
        Ok(all) => {
            for moved in all {
                tracing::warn!("{} moved outside of gt: {}", moved.target, moved.what.escape_debug());
            }
        }
        Err(error) => tracing::warn!("the targets of rig {} were not looked at: {}", place.rig.name, error.line()),
    }
}

/// Moves the rig's target branch and its readers along with the remote's, when that is a fast-forward.
///
/// # Errors
/// External, when the remote cannot be read.
pub fn follow_target(place: &RigPlace, progress: &Progress) -> Result<()> {
    let store = &place.ledger.store;
    let name = format!("refs/heads/{}", place.rig.target);
    let fetched = fetch::fetch(store, &place.project, std::slice::from_ref(&name), progress)?;
    let Some(theirs) = fetched.get(&name).copied() else { return Ok(()) };
    // Whoever works the queue moves the branch himself.
    let Ok(_turn) = Turn::take(place, &place.rig.target) else { return Ok(()) };
    let ours = store.read_ref(&name)?;
    let is_ahead = match ours {
        Some(ours) => ours != theirs && store.is_ancestor(ours, theirs)?,
        None => true,
    };
    if is_ahead && store.swap_ref(&name, ours, theirs)? == Swap::Moved {
        rig::refresh_readers(place)?;
    }
    Ok(())
}
