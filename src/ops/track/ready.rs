//! What can be started now, and what the rest waits for.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Result;
use crate::model::bead::{Bead, DependencyKind};
use crate::model::dependency::{obstacle, parent_of};
use crate::name::BeadId;
use crate::ops::track::find::{Filter, Found, Scopes};
use crate::ops::track::reach::{Reach, Sight};
use crate::town::Town;

/// What a bead waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// The bead in the way.
    pub id: BeadId,
    /// Why it is in the way.
    pub why: String,
    /// Whether that could not be told, because the bead or its scope cannot be read.
    pub unknown: bool,
}

/// How many generations of parents are asked whether they are blocked.
const GENERATIONS_MAX: usize = 32;

/// The order of ready work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// Priorities 0 and 1 first, by priority; then the oldest.
    #[default]
    Hybrid,
    /// By priority, then the oldest.
    Priority,
    /// The oldest first.
    Oldest,
}

impl Order {
    fn compare(self, a: &Bead, b: &Bead) -> Ordering {
        let rank = |bead: &Bead| match self {
            Self::Hybrid if bead.priority <= 1 => bead.priority,
            Self::Hybrid => 2,
            Self::Priority => bead.priority,
            Self::Oldest => 0,
        };
        (rank(a), a.created_at, &a.id).cmp(&(rank(b), b.created_at, &b.id))
    }
}

/// Ready work.
#[derive(Clone, Debug, Default)]
pub struct Ready {
    /// The rows and what belongs to them.
    pub found: Found,
    /// How much ready work the town's other scopes have.
    pub elsewhere: usize,
}

/// Open, unblocked, unassigned work of the asked scopes that `filter` keeps, at most `limit` (0: all).
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn ready(town: &Town, scopes: &Scopes, filter: &Filter, order: Order, limit: usize) -> Result<Ready> {
    let mut reach = Reach::new(town);
    let mut known = BTreeMap::new();
    let mut answer = Ready::default();
    for (prefix, is_asked) in scopes.asked.iter().map(|p| (p, true)).chain(scopes.others.iter().map(|p| (p, false))) {
        let open: Vec<Bead> = match reach.whole(prefix) {
            Ok(whole) => {
                if is_asked {
                    answer.found.damaged.extend(whole.damaged.iter().cloned());
                }
                whole.beads.values().filter(|bead| is_free(town, bead) && filter.keeps(bead)).cloned().collect()
            }
            Err(error) if is_asked && scopes.asked.len() == 1 => return Err(error),
            Err(error) => {
                answer.found.notes.push(format!("scope {prefix} is left out: {}", error.line()));
                continue;
            }
        };
        for bead in open {
            let blockers = blockers(&mut reach, &mut known, &bead);
            if is_asked {
                let unknown = blockers.iter().filter(|blocker| blocker.unknown);
                answer.found.notes.extend(unknown.map(|b| format!("{} is held back by {}: {}", bead.id, b.id, b.why)));
            }
            match (blockers.is_empty(), is_asked) {
                (true, true) => answer.found.beads.push(bead),
                (true, false) => answer.elsewhere += 1,
                (false, _) => {}
            }
        }
    }
    answer.found.beads.sort_by(|a, b| order.compare(a, b));
    answer.found.total = answer.found.beads.len();
    if limit > 0 {
        answer.found.beads.truncate(limit);
    }
    Ok(answer)
}

fn is_free(town: &Town, bead: &Bead) -> bool {
    bead.is_open_work(town.now) && bead.assignee.is_none()
}

/// What `bead` waits for; its parents' blockers are its own. `known` keeps answers within one question.
pub fn blockers(reach: &mut Reach<'_>, known: &mut BTreeMap<BeadId, Vec<Blocker>>, bead: &Bead) -> Vec<Blocker> {
    let mut found = Vec::new();
    let mut at = Some(bead.clone());
    for generation in 0..GENERATIONS_MAX {
        let Some(now) = at.take() else { break };
        let own = known.entry(now.id.clone()).or_insert_with(|| own_blockers(reach, &now));
        let inherited = |blocker: &Blocker| Blocker { why: format!("{} (through {})", blocker.why, now.id), ..blocker.clone() };
        found.extend(own.iter().map(|blocker| if generation == 0 { blocker.clone() } else { inherited(blocker) }));
        let Some(parent) = parent_of(&now) else { break };
        match reach.bead(parent) {
            Sight::Seen(parent) => at = Some(*parent),
            // A parent that is gone holds nothing back.
            Sight::Missing => {}
            Sight::Unreadable(why) => found.push(Blocker { id: parent.clone(), why, unknown: true }),
        }
    }
    found
}

fn own_blockers(reach: &mut Reach<'_>, bead: &Bead) -> Vec<Blocker> {
    let mut found = Vec::new();
    for edge in bead.blockers() {
        let id = edge.depends_on_id.clone();
        let target = match reach.bead(&id) {
            Sight::Seen(target) => target,
            Sight::Missing => {
                found.push(Blocker { id, why: "there is no such bead".into(), unknown: true });
                continue;
            }
            Sight::Unreadable(why) => {
                found.push(Blocker { id, why, unknown: true });
                continue;
            }
        };
        let children = match edge.kind {
            DependencyKind::WaitsFor => reach.children(&id),
            _ => Ok(Vec::new()),
        };
        match children {
            Ok(children) => {
                let why = obstacle(&edge.kind, &target, &children);
                found.extend(why.map(|why| Blocker { id, why, unknown: false }));
            }
            Err(error) => found.push(Blocker { id, why: error.line(), unknown: true }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::IssueType;
    use crate::time::Moment;

    #[test]
    fn urgent_work_comes_first_and_then_the_oldest() {
        let bead = |id: &str, priority: u8, at: i64| {
            let mut bead = Bead::new(id.parse().unwrap(), IssueType::Task, "t", "o", Moment::from_millis(at)).unwrap();
            bead.priority = priority;
            bead
        };
        let mut beads = [bead("w-a", 4, 1), bead("w-b", 1, 9), bead("w-c", 2, 5), bead("w-d", 0, 7)];
        beads.sort_by(|a, b| Order::Hybrid.compare(a, b));
        let ids: Vec<&str> = beads.iter().map(|bead| bead.id.as_str()).collect();
        assert_eq!(ids, ["w-d", "w-b", "w-a", "w-c"]);
        beads.sort_by(|a, b| Order::Priority.compare(a, b));
        assert_eq!(beads[2].id.as_str(), "w-c");
    }
}
