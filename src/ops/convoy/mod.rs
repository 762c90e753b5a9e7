//! Convoys: batches of beads, of any scope, that the town tracks until all of them are closed.
//!
//! A convoy is one bead of the town, so that every change to it is one transaction there. What it tracks may live
//! elsewhere: the command that closes the last bead of a rig settles its convoys right after its own transaction,
//! and [`check`] finishes what was cut off in between. Settling twice, at once or on two machines lands once.

mod end;
mod feed;
mod graph;
mod look;
mod make;
mod settle;
mod stage;
mod swarm;

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::ledger::State;
use crate::model::bead::{Bead, DependencyKind, IssueType};
use crate::model::brief::Facts as _;
use crate::model::convoy::{Convoy, INFIX};
use crate::model::merge_request::Way;
use crate::name::{BeadId, Prefix};
use crate::town::Town;

pub use end::{close, land};
pub use feed::{Fed, MOUNTAIN, TRIES_MAX, feed};
pub use graph::{Doubt, WAVE_MAX, Warning};
pub use look::{Asked, Held, Listing, Member, Request, Rest, Story, Stranded, Summary, list, stories, stranded};
pub use make::{Changed, Draft, Ending, add, create, mountain, remove, unwatch, watch, work_below};
pub use settle::{Checked, Settled, Settling, Unknown, after_close, check, closed_in};
pub use stage::{Before, Launched, Order, Staged, launch, stage, staged_for};
pub use swarm::{Batch, for_slung};

/// The convoy that `text` names: its id, or what follows `hq-` or `hq-cv-` in it, as far as that is unique.
///
/// # Errors
/// Not found; refused, when it fits several or is another bead.
pub fn resolve(town: &Town, text: &str) -> Result<BeadId> {
    let state = town.hq.state()?;
    let full = match text.strip_prefix("hq-") {
        Some(_) => text.to_owned(),
        None if text.starts_with(INFIX) => format!("hq-{text}"),
        None => format!("hq-{INFIX}{text}"),
    };
    if let Some(bead) = full.parse().ok().map(|id: BeadId| state.find_bead(&id)).transpose()?.flatten() {
        return Ok(checked(&bead)?.id.clone());
    }
    let fits: Vec<BeadId> = state.ids_starting_with(&full)?.into_iter().filter(|id| is_convoy(&state, id)).collect();
    match fits.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(missing(town, text)),
        many => {
            let names: Vec<&str> = many.iter().take(8).map(BeadId::as_str).collect();
            Err(Error::refused(format!("'{}' fits {} convoys", text.escape_debug(), many.len()))
                .hint(format!("one of: {}", names.join(", "))))
        }
    }
}

fn is_convoy(state: &State<'_>, id: &BeadId) -> bool {
    // What cannot be read is one too, when its id says so: it is better named than passed over.
    state
        .find_bead(id)
        .map_or(id.suffix().starts_with(INFIX), |bead| bead.is_some_and(|bead| bead.issue_type == IssueType::Convoy))
}

fn missing(town: &Town, text: &str) -> Error {
    match town.resolve_bead(text) {
        Ok((_, id)) => Error::refused(format!("{id} is no convoy")).hint("gt convoy list shows them"),
        Err(_) => Error::not_found(format!("there is no convoy {}", text.escape_debug())).hint("gt convoy list shows them"),
    }
}

fn checked(bead: &Bead) -> Result<&Bead> {
    if bead.issue_type == IssueType::Convoy {
        return Ok(bead);
    }
    Err(Error::refused(format!("{} is {}, not a convoy", bead.id, bead.issue_type.with_article()))
        .hint("gt convoy list shows them"))
}

/// The way that open convoys want for the work `bead` when it is done; of several that differ, the most careful.
///
/// # Errors
/// Corrupt, when the town's ledger or a convoy cannot be read.
pub fn way_of(town: &Town, bead: &BeadId) -> Result<Way> {
    let state = town.hq.state()?;
    let mut ways = Vec::new();
    for id in tracking(&state, [bead])?.keys() {
        ways.push(Convoy::of(&state.bead(id)?)?.merge);
    }
    let is_said = |way: Way| ways.contains(&way);
    Ok([Way::Local, Way::Direct].into_iter().find(|way| is_said(*way)).unwrap_or_default())
}

/// Open convoys of `state`, the town's, that track any of `beads`, each with those.
pub(in crate::ops) fn tracking<'b>(
    state: &State<'_>,
    beads: impl IntoIterator<Item = &'b BeadId>,
) -> Result<BTreeMap<BeadId, Vec<BeadId>>> {
    let beads: Vec<&BeadId> = beads.into_iter().collect();
    let mut convoys: BTreeMap<BeadId, Vec<BeadId>> = BTreeMap::new();
    if beads.is_empty() {
        return Ok(convoys);
    }
    for (row, kind, bead) in state.catalog()?.needed_by_any(&beads) {
        let is_open = *row.issue_type() == IssueType::Convoy && !row.status().is_closed();
        if let Some(id) = row.id().parse().ok().filter(|_| kind == DependencyKind::Tracks && is_open) {
            convoys.entry(id).or_default().push(bead.clone());
        }
    }
    Ok(convoys)
}

fn is_of_town(id: &BeadId) -> bool {
    id.prefix() == Prefix::hq()
}
