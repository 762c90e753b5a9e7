//! The graph of what staged work waits for: read over all scopes, ordered into waves, and what is doubtful about it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::bead::{DependencyKind, IssueType};
use crate::model::brief::Brief;
use crate::model::dependency::{GENERATIONS_MAX, obstacle};
use crate::model::waves::{Knot, Order, order};
use crate::name::BeadId;
use crate::ops::track::reach::{Reach, Sight};
use crate::town::{Town, is_whole};

/// More in one wave is doubted: so many workers get in each other's way.
pub const WAVE_MAX: usize = 5;

/// What is doubtful about a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// A wave is large.
    LargeWave,
    /// Work waits for a decision that is not taken.
    DecisionPending,
    /// Of an epic, work that nothing connects with the rest of it.
    Orphan,
    /// Work waits for a bead that the convoy does not bring.
    WaitsOutside,
}

/// Something doubtful.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Warning {
    /// What.
    pub kind: Doubt,
    /// The beads that it is about.
    pub beads: Vec<BeadId>,
    /// The same for people.
    pub text: String,
}

/// Work in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) waves: Vec<Vec<BeadId>>,
    pub(super) warnings: Vec<Warning>,
}

/// Orders `staged`, as far as it is not closed.
///
/// # Errors
/// Refused, naming all that forbids it: a ring, work that is no rig's of this machine.
pub(super) fn plan(town: &Town, reach: &mut Reach<'_>, staged: &[BeadId], is_epic: bool) -> Result<Plan> {
    let staged: BTreeSet<BeadId> = staged.iter().cloned().collect();
    for id in &staged {
        // One look at a whole scope serves every further bead of it; one out of reach is told of below.
        let _ = reach.catalog(&id.prefix());
    }
    check_rigs(town, &staged)?;
    let mut graph = Graph { reach, staged: &staged, known: BTreeMap::new(), outside: Vec::new() };
    let knots = graph.read()?;
    let waves = match order(&knots) {
        Order::Waves(waves) => waves,
        Order::Ring(ring) => {
            let names: Vec<&str> = ring.iter().map(BeadId::as_str).collect();
            return Err(Error::refused(format!("these wait for each other: {}", names.join(" → ")))
                .hint("take one of these dependencies away: gt bead dep remove A B"));
        }
    };
    let mut warnings = graph.outside;
    warnings.extend(doubts(&knots, &waves, &graph.known, is_epic));
    warnings.sort_by(|a, b| (a.kind, &a.beads).cmp(&(b.kind, &b.beads)));
    Ok(Plan { waves, warnings })
}

/// Refuses work that nobody here can be given.
fn check_rigs(town: &Town, staged: &BTreeSet<BeadId>) -> Result<()> {
    let rigs = town.rigs()?;
    let mut faults = Vec::new();
    for id in staged {
        match rigs.iter().find(|rig| rig.prefix == id.prefix()) {
            None => faults.push(format!("{id} belongs to no rig")),
            Some(rig) if !is_whole(&town.root.join(rig.name.as_str())) => {
                faults.push(format!("{id} belongs to rig {}, which is not on this machine", rig.name));
            }
            Some(_) => {}
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::refused(faults.join("; ")).hint("stage work of rigs on this machine: gt rig list"))
}

struct Graph<'r, 't> {
    reach: &'r mut Reach<'t>,
    staged: &'r BTreeSet<BeadId>,
    /// Beads read so far that are not closed.
    known: BTreeMap<BeadId, Brief>,
    outside: Vec<Warning>,
}

impl Graph<'_, '_> {
    /// The staged work and all that it waits for, however far.
    fn read(&mut self) -> Result<Vec<Knot>> {
        let (mut knots, mut seen) = (Vec::new(), BTreeSet::new());
        let mut open: Vec<BeadId> = self.staged.iter().rev().cloned().collect();
        while let Some(id) = open.pop() {
            if !seen.insert(id.clone()) {
                continue;
            }
            let Some(brief) = self.brief(&id)? else { continue };
            let is_work = self.staged.contains(&id);
            let after = self.after(&brief)?;
            open.extend(after.iter().cloned());
            let (priority, created_at) = (brief.priority, brief.created_at);
            knots.push(Knot { id, is_work, priority, created_at, after });
        }
        Ok(knots)
    }

    /// A bead, unless it is closed or not there.
    fn brief(&mut self, id: &BeadId) -> Result<Option<Brief>> {
        match self.reach.brief(id) {
            Sight::Seen(brief) if brief.status.is_closed() => Ok(None),
            Sight::Seen(brief) => {
                self.known.insert(id.clone(), (*brief).clone());
                Ok(Some(*brief))
            }
            Sight::Missing | Sight::Unreadable(_) if !self.staged.contains(id) => Ok(None),
            Sight::Missing => Err(Error::not_found(format!("there is no bead {id}"))),
            Sight::Unreadable(fault) => Err(Error::corrupt(format!("read {id}: {fault}"))),
        }
    }

    /// What `bead` waits for: its own blockers and those of its parents; an epic that somebody waits for also waits for
    /// its children, since it ends with them.
    fn after(&mut self, bead: &Brief) -> Result<Vec<BeadId>> {
        let mut after = self.blockers(bead, bead);
        if bead.issue_type == IssueType::Epic {
            after.extend(self.reach.children(&bead.id)?.into_iter().map(|child| child.id));
        }
        let mut above = bead.parent.clone();
        for _ in 0..GENERATIONS_MAX {
            let Some(parent) = above.take() else { break };
            let Sight::Seen(parent) = self.reach.brief(&parent) else { break };
            // A child's own parent is nothing that it waits for.
            after.extend(self.blockers(&parent, bead));
            above.clone_from(&parent.parent);
        }
        after.sort();
        after.dedup();
        Ok(after)
    }

    /// What edges of `from` make `bead` wait for; what of that is nobody's business here is doubted.
    fn blockers(&mut self, from: &Brief, bead: &Brief) -> Vec<BeadId> {
        let mut after = Vec::new();
        for (kind, target) in from.blockers() {
            let targets = match kind {
                DependencyKind::WaitsFor => self.reach.children(target).map(|all| all.into_iter().map(|one| one.id).collect()),
                _ => Ok(vec![target.clone()]),
            };
            self.doubt_the_end(bead, kind, target);
            match targets {
                Ok(targets) => after.extend::<Vec<BeadId>>(targets),
                Err(error) => self.doubt(bead, target, &error.line()),
            }
        }
        for target in &after {
            let why = match self.reach.brief(target) {
                Sight::Seen(other) if other.status.is_closed() || other.issue_type == IssueType::Epic => continue,
                Sight::Seen(_) if self.staged.contains(target) => continue,
                Sight::Seen(other) => format!("which is {} and not a part of it", other.status),
                Sight::Missing => "which is not there".to_owned(),
                Sight::Unreadable(why) => format!("which cannot be read: {why}"),
            };
            self.doubt(bead, target, &why);
        }
        after
    }

    /// A closed bead that has not ended as `kind` asks will never let `bead` begin.
    fn doubt_the_end(&mut self, bead: &Brief, kind: &DependencyKind, target: &BeadId) {
        let Sight::Seen(other) = self.reach.brief(target) else { return };
        let unmet = || obstacle(kind, &*other, std::iter::empty::<&Brief>());
        if let Some(why) = other.status.is_closed().then(unmet).flatten() {
            self.doubt(bead, target, &format!("which is closed, but {why}"));
        }
    }

    fn doubt(&mut self, bead: &Brief, target: &BeadId, why: &str) {
        if self.staged.contains(&bead.id) {
            let text = format!("{} waits for {target}, {why}", bead.id);
            let warning = Warning { kind: Doubt::WaitsOutside, beads: vec![bead.id.clone(), target.clone()], text };
            if !self.outside.contains(&warning) {
                self.outside.push(warning);
            }
        }
    }
}

fn doubts(knots: &[Knot], waves: &[Vec<BeadId>], known: &BTreeMap<BeadId, Brief>, is_epic: bool) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (wave, n) in waves.iter().zip(1..).filter(|(wave, _)| wave.len() > WAVE_MAX) {
        let text = format!("wave {n} has {} beads, more than {WAVE_MAX}", wave.len());
        warnings.push(Warning { kind: Doubt::LargeWave, beads: wave.clone(), text });
    }
    let work = || knots.iter().filter(|knot| knot.is_work);
    for knot in work() {
        let is_decision = |id: &&BeadId| known.get(*id).is_some_and(|brief| brief.issue_type == IssueType::Decision);
        for decision in knot.after.iter().filter(is_decision) {
            let text = format!("{} waits for the decision {decision}, which is not taken", knot.id);
            warnings.push(Warning { kind: Doubt::DecisionPending, beads: vec![knot.id.clone(), decision.clone()], text });
        }
    }
    let waited_for: BTreeSet<&BeadId> = knots.iter().flat_map(|knot| &knot.after).filter(|id| known.contains_key(*id)).collect();
    let is_loose = |knot: &&Knot| !waited_for.contains(&knot.id) && !knot.after.iter().any(|id| known.contains_key(id));
    let loose: Vec<&Knot> = work().filter(is_loose).collect();
    if is_epic && !loose.is_empty() && loose.len() < work().count() {
        for knot in loose {
            let text = format!("{} waits for nothing, and nothing for it: is a dependency missing?", knot.id);
            warnings.push(Warning { kind: Doubt::Orphan, beads: vec![knot.id.clone()], text });
        }
    }
    warnings
}
