//! Pins of merge requests: made once, never moved, exchanged while their request matters.

use std::collections::BTreeMap;

use gix::ObjectId;

use crate::error::Result;
use crate::ledger::{Ledger, State, tree};
use crate::name::BeadId;
use crate::store::refs::Swap;
use crate::time::Moment;

/// How long the pin of a merge request that ended is still exchanged, as long as it is kept.
const KEPT_MILLIS: u64 = 7 * 24 * 3_600_000;

/// The pins among `there` that are to be fetched: those of requests that still matter, or are not known yet.
pub(super) fn wanted(ledger: &Ledger, there: &BTreeMap<String, ObjectId>, now: Option<Moment>) -> Result<Vec<String>> {
    let state = ledger.tip()?.map(|tip| ledger.state_at(tip)).transpose()?;
    let mut wanted = Vec::new();
    for name in there.keys().filter(|name| name.starts_with(tree::MR)) {
        if ledger.store.read_ref(name)?.is_some() {
            continue;
        }
        let is_over = match (&state, now) {
            (Some(state), Some(now)) => matters(state, name, now)? == Some(false),
            _ => false,
        };
        if !is_over {
            wanted.push(name.clone());
        }
    }
    Ok(wanted)
}

/// Whether the request of pin `name` is live or ended lately; `None`, when it is not known.
fn matters(state: &State<'_>, name: &str, now: Moment) -> Result<Option<bool>> {
    let Ok(id) = name.trim_start_matches(tree::MR).parse::<BeadId>() else { return Ok(None) };
    let bead = state.find_bead(&id)?;
    Ok(bead.map(|bead| bead.closed_at.is_none_or(|closed| now.millis_since(closed) < KEPT_MILLIS)))
}

/// Makes the fetched pins ours. One that another process made meanwhile stays.
pub(super) fn create<'a>(ledger: &Ledger, pins: impl Iterator<Item = (&'a String, &'a ObjectId)>) -> Result<()> {
    for (name, id) in pins {
        match ledger.store.swap_ref(name, None, *id)? {
            Swap::Moved => {}
            Swap::Lost(other) => tracing::debug!("{name} is there already: {other:?}"),
        }
    }
    Ok(())
}

/// Our pins as the remote sees them.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// Those that it lacks.
    pub missing: Vec<(String, ObjectId)>,
    /// Those that hold another commit there.
    pub differing: Vec<String>,
}

/// What pins of ours, as of our ledger at `ours`, the remote lacks or has otherwise.
pub(super) fn unsent(ledger: &Ledger, there: &BTreeMap<String, ObjectId>, ours: ObjectId, now: Moment) -> Result<Unsent> {
    let state = ledger.state_at(ours)?;
    let mut unsent = Unsent::default();
    for (name, id) in ledger.store.refs_below(tree::MR)? {
        match there.get(&name) {
            Some(other) if *other == id => {}
            Some(_) => unsent.differing.push(name),
            None if matters(&state, &name, now)? == Some(true) => unsent.missing.push((name, id)),
            None => {}
        }
    }
    Ok(unsent)
}
