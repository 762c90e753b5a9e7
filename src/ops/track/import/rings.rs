//! Beads of an import that would wait for themselves, and which of their links closes each ring.
//!
//! What is here already is asked of the catalogs: that of the scope being changed as the change found it, those of
//! other scopes as they were first looked at. A ring that no line has a part in is for a check of the whole ledger.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::error::Result;
use crate::ledger::Change;
use crate::ledger::index::{Catalog, Row};
use crate::model::bead::{Bead, DependencyKind};
use crate::model::dependency::parent_of;
use crate::name::{BeadId, Prefix};
use crate::ops::track::reach::Reach;

/// One of the links by which a bead waits for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Link {
    /// The field `parent`: a child of a blocked parent is blocked.
    Parent,
    /// The dependency at this place.
    Edge(usize),
}

/// Links that are left out, so that no line has a part in a ring.
pub(super) type Cuts = BTreeMap<(BeadId, Link), Ring>;

/// Why a link is left out.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    /// What it leads to.
    pub(super) target: BeadId,
    /// The ring, from a bead to itself.
    pub(super) ids: Vec<BeadId>,
}

/// Beads of lines, with the numbers of these.
pub(super) type Lines<'l> = HashMap<&'l BeadId, (usize, &'l Bead)>;

/// What waits for what, once the lines are in.
pub(super) struct Web<'w, 'c> {
    lines: &'w Lines<'w>,
    children: BTreeMap<&'w BeadId, Vec<&'w BeadId>>,
    change: &'w Change<'c>,
    here: &'w Prefix,
    own: Option<Catalog>,
    reach: Reach<'w>,
}

/// A bead that is waited for; by which link, when a line says so.
#[derive(Clone)]
struct Wait {
    id: BeadId,
    link: Option<Link>,
}

struct Step {
    id: BeadId,
    open: Vec<Wait>,
    /// The one that was followed.
    by: Option<Link>,
}

impl<'w, 'c> Web<'w, 'c> {
    /// The web of `lines` in a change to the scope `here`.
    pub(super) fn new(lines: &'w Lines<'w>, change: &'w Change<'c>, here: &'w Prefix, reach: Reach<'w>) -> Self {
        let mut children: BTreeMap<&BeadId, Vec<&BeadId>> = BTreeMap::new();
        for (id, (_, bead)) in lines {
            if let Some(parent) = parent_of(bead) {
                children.entry(parent).or_default().push(id);
            }
        }
        for ids in children.values_mut() {
            ids.sort_unstable();
        }
        Self { lines, children, change, here, own: None, reach }
    }

    /// Adds to `cuts` what must be left out, so that no bead that `starts` wait for waits for itself.
    ///
    /// # Errors
    /// Corrupt, when the scope being changed cannot be read.
    pub(super) fn cut(&mut self, starts: &[&BeadId], cuts: &mut Cuts) -> Result<()> {
        // Whether a bead that was seen is done with; else it is on the way.
        let mut is_done: HashMap<BeadId, bool> = HashMap::new();
        for start in starts {
            self.cut_self(start, cuts);
            if is_done.contains_key(*start) {
                continue;
            }
            is_done.insert((*start).clone(), false);
            let mut way = vec![Step { id: (*start).clone(), open: self.waits(start, cuts)?, by: None }];
            while let Some(step) = way.last_mut() {
                let Some(wait) = step.open.pop() else {
                    is_done.insert(step.id.clone(), true);
                    way.pop();
                    continue;
                };
                step.by = wait.link;
                match is_done.get(&wait.id) {
                    Some(true) => {}
                    Some(false) => {
                        let kept = self.break_ring(&mut way, &wait.id, cuts);
                        way.drain(kept..).for_each(|step| {
                            is_done.remove(&step.id);
                        });
                    }
                    None => {
                        is_done.insert(wait.id.clone(), false);
                        way.push(Step { open: self.waits(&wait.id, cuts)?, id: wait.id, by: None });
                    }
                }
            }
        }
        Ok(())
    }

    /// A bead that depends on itself does so in no sense of any kind.
    fn cut_self(&self, id: &BeadId, cuts: &mut Cuts) {
        let Some((_, bead)) = self.lines.get(id) else { return };
        let ring = || Ring { target: id.clone(), ids: vec![id.clone(), id.clone()] };
        for (n, _) in bead.dependencies.iter().enumerate().filter(|(_, edge)| edge.depends_on_id == *id) {
            cuts.insert((id.clone(), Link::Edge(n)), ring());
        }
        if bead.parent.as_ref() == Some(id) {
            cuts.insert((id.clone(), Link::Parent), ring());
        }
    }

    /// Leaves out a link of the ring that the end of the way closes with `first`: of the last line that has one, rather
    /// a dependency than a parent. Tells how much of the way is left.
    fn break_ring(&self, way: &mut [Step], first: &BeadId, cuts: &mut Cuts) -> usize {
        let from = way.iter().position(|step| step.id == *first).unwrap_or_default();
        let rank = |n: &usize| {
            let step = &way[*n];
            let is_parent = step.by.is_none_or(|link| self.leads_to_parent(&step.id, link));
            (!is_parent, self.lines.get(&step.id).map_or(0, |(line, _)| *line))
        };
        let Some(at) = (from..way.len()).filter(|n| way[*n].by.is_some()).max_by_key(rank) else { return way.len() };
        let Some(link) = way[at].by else { return way.len() };
        let ids: Vec<BeadId> = way[from..].iter().map(|step| step.id.clone()).chain([first.clone()]).collect();
        let target = way.get(at + 1).map_or(first, |step| &step.id).clone();
        let target = self.target_of(&way[at].id, link).unwrap_or(target);
        cuts.insert((way[at].id.clone(), link), Ring { target, ids });
        way[at].open.retain(|wait| wait.link != Some(link));
        at + 1
    }

    fn leads_to_parent(&self, id: &BeadId, link: Link) -> bool {
        match link {
            Link::Parent => true,
            Link::Edge(n) => {
                let edge = self.lines.get(id).and_then(|(_, bead)| bead.dependencies.get(n));
                edge.is_some_and(|edge| edge.kind == DependencyKind::ParentChild)
            }
        }
    }

    fn target_of(&self, id: &BeadId, link: Link) -> Option<BeadId> {
        let (_, bead) = self.lines.get(id)?;
        match link {
            Link::Parent => bead.parent.clone(),
            Link::Edge(n) => bead.dependencies.get(n).map(|edge| edge.depends_on_id.clone()),
        }
    }

    fn waits(&mut self, id: &BeadId, cuts: &Cuts) -> Result<Vec<Wait>> {
        let Some((_, bead)) = self.lines.get(id).copied() else { return self.known_waits(id) };
        let is_cut = |link: Link| cuts.contains_key(&(id.clone(), link));
        let mut waits = Vec::new();
        let parent_edge = || bead.dependencies.iter().position(|edge| edge.kind == DependencyKind::ParentChild);
        let parent = match &bead.parent {
            Some(parent) => Some((parent, Link::Parent)),
            None => parent_edge().map(|n| (&bead.dependencies[n].depends_on_id, Link::Edge(n))),
        };
        if let Some((parent, link)) = parent.filter(|(_, link)| !is_cut(*link)) {
            waits.push(Wait { id: parent.clone(), link: Some(link) });
        }
        for (n, edge) in bead.dependencies.iter().enumerate().filter(|(_, edge)| edge.kind.is_blocking()) {
            let link = Link::Edge(n);
            if is_cut(link) {
                continue;
            }
            let targets = match edge.kind {
                DependencyKind::WaitsFor => self.children_of(&edge.depends_on_id)?,
                _ => vec![edge.depends_on_id.clone()],
            };
            waits.extend(targets.into_iter().map(|id| Wait { id, link: Some(link) }));
        }
        Ok(waits)
    }

    /// What a bead waits for that is here already and in no line.
    fn known_waits(&mut self, id: &BeadId) -> Result<Vec<Wait>> {
        let known = self.ask(&id.prefix(), |catalog| {
            let Some(row) = catalog.find(id.as_str()) else { return (Vec::new(), Vec::new()) };
            let id_of = |target| catalog.target_id(target).parse::<BeadId>().ok();
            let (mut ids, mut spawners): (Vec<BeadId>, Vec<BeadId>) = (Vec::new(), Vec::new());
            ids.extend(row.parent().and_then(id_of));
            for (kind, target) in row.edges().filter(|(kind, _)| kind.is_blocking()) {
                let list = if *kind == DependencyKind::WaitsFor { &mut spawners } else { &mut ids };
                list.extend(id_of(target));
            }
            (ids, spawners)
        })?;
        let (mut ids, spawners) = known.unwrap_or_default();
        for spawner in spawners {
            ids.extend(self.children_of(&spawner)?);
        }
        Ok(ids.into_iter().map(|id| Wait { id, link: None }).collect())
    }

    /// The children of `parent`: those of lines, and those here that no line replaces.
    fn children_of(&mut self, parent: &BeadId) -> Result<Vec<BeadId>> {
        let ids = |rows: Vec<Row<'_>>| -> BTreeSet<BeadId> {
            rows.into_iter().filter_map(|row| crate::model::brief::Facts::id(&row).parse().ok()).collect()
        };
        let mut found = self.ask(&parent.prefix(), |catalog| ids(catalog.children(parent)))?.unwrap_or_default();
        found.retain(|id| !self.lines.contains_key(id));
        found.extend(self.children.get(parent).into_iter().flatten().map(|id| (*id).clone()));
        Ok(found.into_iter().collect())
    }

    /// What `answer` finds in the catalog of a scope; `None` when another scope than this cannot be reached.
    fn ask<T>(&mut self, prefix: &Prefix, answer: impl FnOnce(&Catalog) -> T) -> Result<Option<T>> {
        if prefix != self.here {
            return Ok(self.reach.catalog(prefix).ok().map(|catalog| answer(&catalog)));
        }
        if self.own.is_none() {
            self.own = Some(self.change.before().catalog()?);
        }
        Ok(self.own.as_ref().map(answer))
    }
}
