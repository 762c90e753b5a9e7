//! Whatever names beads follows them to their new ids: edges of every scope, and what convoys remember of their work.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::ledger::{Change, State, tree};
use crate::model::bead::{Bead, Dependency, IssueType};
use crate::model::brief::Facts as _;
use crate::model::convoy::Convoy;
use crate::name::BeadId;
use crate::town::Town;

/// Old ids and new ones.
pub(super) type Names = BTreeMap<BeadId, BeadId>;

/// Puts the new id there, when there is one.
pub(super) fn renamed(id: &mut BeadId, names: &Names) {
    if let Some(new) = names.get(id) {
        *id = new.clone();
    }
}

/// Makes the edge lead to the new id; whether there was one.
pub(super) fn point(town: &Town, change: &mut Change<'_>, edge: &Dependency, names: &Names) -> Result<bool> {
    let Some(mut bead) = change.get::<Bead>(&tree::bead(&edge.issue_id))? else { return Ok(false) };
    let Some(new) = names.get(&edge.depends_on_id) else { return Ok(false) };
    let has_new = bead.dependencies.iter().any(|own| own.depends_on_id == *new);
    let Some(at) = bead.dependencies.iter().position(|own| own.depends_on_id == edge.depends_on_id) else { return Ok(false) };
    if has_new {
        bead.dependencies.remove(at);
    } else {
        bead.dependencies[at].depends_on_id = new.clone();
    }
    bead.updated_at = town.now;
    change.put_bead(&bead)?;
    Ok(true)
}

/// Makes the edges of other scopes lead to the new ids, a transaction a scope; what cannot be reached follows the
/// tombstones.
pub(super) fn follow(town: &Town, names: &Names) -> Result<Vec<BeadId>> {
    let mut followed = Vec::new();
    for prefix in crate::ops::track::Scopes::of(town, None, true)?.asked {
        let Ok(ledger) = town.scope_of(&prefix) else { continue };
        let found = ledger.state().and_then(|state| Ok((edges_in(&state, names)?, convoys_in(&state, names)?)));
        let Ok((edges, convoys)) = found else { continue };
        if edges.is_empty() && convoys.is_empty() {
            continue;
        }
        let deed = town.deed("follow", format!("follow {} beads to their new ids", names.len()));
        followed.extend(ledger.transact(&deed, |change| {
            let mut done = Vec::new();
            for edge in &edges {
                if point(town, change, edge, names)? {
                    done.push(edge.issue_id.clone());
                }
            }
            done.extend(follow_in_convoys(town, change, &convoys, names)?);
            Ok(done)
        })?);
    }
    followed.sort();
    followed.dedup();
    Ok(followed)
}

fn edges_in(state: &State<'_>, names: &Names) -> Result<Vec<Dependency>> {
    let catalog = state.catalog()?;
    let mut edges = Vec::new();
    for (row, _, old) in catalog.needed_by_any(&names.keys().collect::<Vec<_>>()) {
        let bead = state.bead_of(row)?;
        edges.extend(bead.dependencies.into_iter().filter(|edge| edge.depends_on_id == *old));
    }
    Ok(edges)
}

/// Convoys of `state` that remember any of the old ids. One that cannot be read follows the tombstones.
pub(super) fn convoys_in(state: &State<'_>, names: &Names) -> Result<Vec<BeadId>> {
    let catalog = state.catalog()?;
    let convoys = catalog.rows().filter(|row| *row.issue_type() == IssueType::Convoy);
    let beads = convoys.filter_map(|row| state.bead_of(row).ok());
    let remembers = |bead: &Bead| Convoy::of(bead).is_ok_and(|mut convoy| convoy.rename(names));
    Ok(beads.filter(remembers).map(|bead| bead.id).collect())
}

/// Makes `convoys` remember the new ids; tells which of them did not.
pub(super) fn follow_in_convoys(town: &Town, change: &mut Change<'_>, convoys: &[BeadId], names: &Names) -> Result<Vec<BeadId>> {
    let mut followed = Vec::new();
    for id in convoys {
        let Some(mut bead) = change.get::<Bead>(&tree::bead(id))? else { continue };
        let mut fields = Convoy::of(&bead)?;
        if fields.rename(names) {
            fields.put_into(&mut bead);
            bead.updated_at = town.now;
            change.put_bead(&bead)?;
            followed.push(id.clone());
        }
    }
    Ok(followed)
}
