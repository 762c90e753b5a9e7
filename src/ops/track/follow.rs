//! What closing beads sets free, and which of it comes next.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Kind, Result};
use crate::model::bead::Bead;
use crate::model::brief::Brief;
use crate::model::dependency::parent_of;
use crate::name::BeadId;
use crate::ops::track::edit::{Edit, update};
use crate::ops::track::end::{Closed, close};
use crate::ops::track::filter::Filter;
use crate::ops::track::find::Scopes;
use crate::ops::track::reach::{Reach, Sight};
use crate::ops::track::ready::{Order, ready, ready_ids};
use crate::town::Town;

/// Beads that were closed, and what follows.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Followed {
    /// Those that are closed now.
    pub closed: Vec<Closed>,
    /// What became ready with that, over all rigs: by priority, then the oldest.
    pub unblocked: Vec<Brief>,
    /// The next ready bead of the same parent, which the actor has now; `None`: there is none, or it was not asked for.
    pub continued: Option<Bead>,
}

/// Closes beads as [`close`] does, tells what that sets free and, when it `goes_on`, claims the next of the same parent.
///
/// # Errors
/// As [`close`]. What keeps a next bead from being claimed makes another one the next.
pub fn close_and_follow(town: &Town, ids: &[BeadId], reason: &str, unpins: bool, goes_on: bool) -> Result<Followed> {
    let before = ready_ids(town)?;
    let closed = close(town, ids, reason, unpins)?;
    let mut reach = Reach::new(town);
    let mut unblocked: Vec<Brief> = Vec::new();
    for id in ready_ids(town)?.difference(&before) {
        if let Sight::Seen(brief) = reach.brief(id) {
            unblocked.push(*brief);
        }
    }
    unblocked.sort_by(|a, b| (a.priority, a.created_at, &a.id).cmp(&(b.priority, b.created_at, &b.id)));
    let continued = if goes_on { claim_next(town, &closed)? } else { None };
    Ok(Followed { closed, unblocked, continued })
}

fn claim_next(town: &Town, closed: &[Closed]) -> Result<Option<Bead>> {
    let parents: BTreeSet<BeadId> = closed.iter().filter_map(|one| parent_of(&one.bead).cloned()).collect();
    for parent in parents {
        let scopes = Scopes { asked: vec![parent.prefix()], others: Vec::new() };
        let filter = Filter { parent: Some(parent), ..Filter::default() };
        for next in ready::<Brief>(town, &scopes, &filter, Order::Hybrid, 0)?.found.beads {
            match update(town, &[next.id], &Edit { claim: true, ..Edit::default() }) {
                Ok(mut beads) => return Ok(beads.pop()),
                // Somebody was faster.
                Err(error) if matches!(error.kind, Kind::Conflict | Kind::Refused) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}
