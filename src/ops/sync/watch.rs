//! Sync that goes on: soon after a change here, and else at rests that grow while nothing moves.
//!
//! What is local wakes it by the file system. What happens elsewhere has to be looked for; a remote that cannot be reached
//! is told of once, and once more when it is back.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use gix::ObjectId;

use super::{Report, exchange};
use crate::config;
use crate::error::{Error, Result};
use crate::git::progress::Progress;
use crate::ledger::sync::{Options, Outcome};
use crate::ledger::{Ledger, watch};
use crate::model::pace::Pace;
use crate::ops::scopes::Which;
use crate::time::{self, parse_millis};
use crate::town::Town;

/// Exchanges the scopes that are asked for again and again, until the process ends. `tell` gets each report in which
/// something moved, or in which other scopes fail than in the one before; `complain` what failed for all of them.
///
/// # Errors
/// Usage, when a rest is configured wrongly; io, when the file system cannot be watched.
pub fn watch(
    town: &Town,
    which: &Which,
    options: &Options,
    tell: &mut dyn FnMut(&Report),
    complain: &mut dyn FnMut(&Error),
) -> Result<Infallible> {
    let debounce = millis(town, "sync.debounce")?;
    let mut pace = Pace::new(millis(town, "sync.interval")?, millis(town, "sync.interval_max")?);
    let mut faults = BTreeMap::new();
    loop {
        let town = &town.at(time::now()?);
        let mut has_moved = false;
        match exchange(town, which, options, &Progress::silent()) {
            Ok(report) => {
                has_moved = report.has_moved();
                let now = report.faults();
                if has_moved || now != faults {
                    tell(&report);
                }
                faults = now;
            }
            Err(error) => complain(&error),
        }
        let rest = pace.rest(has_moved, fastrand::u64(..));
        if rest_until_change(town, which, rest)? {
            // More may follow at once: an agent seldom makes one change alone.
            std::thread::sleep(Duration::from_millis(debounce));
        }
    }
}

impl Report {
    /// Whether anything came or went.
    fn has_moved(&self) -> bool {
        let moved = |outcome: Outcome| outcome != Outcome::UpToDate;
        self.0.iter().filter_map(|synced| synced.exchange.as_ref()).any(|exchange| moved(exchange.outcome))
    }

    /// Which scopes fail with whom; not why, since that differs from one try to the next.
    fn faults(&self) -> BTreeMap<(String, String), bool> {
        let name = |remote: &crate::ops::remote::Remote| remote.name.clone();
        let all = self.0.iter();
        all.map(|one| ((one.scope.clone(), one.remote.as_ref().map(name).unwrap_or_default()), one.error.is_some())).collect()
    }
}

fn millis(town: &Town, key: &str) -> Result<u64> {
    let set = config::lookup(town, None, key)?;
    parse_millis(set.as_ref().and_then(|set| set.value.as_str()).unwrap_or_default())
}

/// Rests at most `rest` milliseconds; whether a ledger that is asked for has changed.
fn rest_until_change(town: &Town, which: &Which, rest: u64) -> Result<bool> {
    let mut ledgers: Vec<Ledger> = which.has_town().then(|| town.hq.clone()).into_iter().collect();
    // A rig that is damaged or away wakes nobody.
    ledgers.extend(which.each_place(town)?.into_iter().filter_map(|(_, place)| Some(place.ok()?.ledger)));
    let mut seen: Vec<(&Ledger, Option<ObjectId>)> = Vec::new();
    for ledger in &ledgers {
        seen.extend(ledger.tip().ok().map(|tip| (ledger, tip)));
    }
    watch::wait_for_any(&seen, rest)
}
