//! Cycles of blocking dependencies that two sides closed together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use super::lists::{edge_key, field, get};
use super::repair::{Repairing, Touched, text};
use super::{Conflict, Versions};
use crate::error::Result;
use crate::model::bead::DependencyKind;
use crate::model::record::{self, Object, Rev};

impl Repairing<'_> {
    /// Takes away the edge of highest rev from each cycle through an edge that only one side knew.
    pub(super) fn break_cycles(&mut self, path: &str) -> Result<()> {
        // Each round takes one edge away, so the edges bound the rounds.
        while let Some(bead) = self.now(path)? {
            let fresh = Self::edges(&bead).into_iter().filter(|edge| self.is_one_sided(path, edge));
            let mut cycle = None;
            for edge in fresh.collect::<Vec<_>>() {
                if let Some(back) = self.way_back(&edge, &text(&bead, "id"))? {
                    cycle = Some((edge, back));
                    break;
                }
            }
            let Some((edge, mut cycle)) = cycle else { return Ok(()) };
            cycle.push((path.to_owned(), edge));
            let mut revs = Vec::new();
            for (path, edge) in cycle {
                revs.push((self.edge_rev(&path, &edge)?, edge_key(&edge).unwrap_or_default(), path, edge));
            }
            let Some((rev, key, from, edge)) = revs.into_iter().max_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1))) else {
                return Ok(());
            };
            self.cut(&from, &key, edge, rev)?;
        }
        Ok(())
    }

    fn edges(bead: &Object) -> Vec<Value> {
        let blocks = |edge: &Value| DependencyKind::from(field(edge, "type")).is_blocking();
        let mut edges: Vec<Value> =
            get(Some(bead), "dependencies").as_array().into_iter().flatten().filter(|edge| blocks(edge)).cloned().collect();
        edges.sort_by_key(edge_key);
        edges
    }

    /// Whether one side did not have the edge; a cycle of edges that both had is not the merge's.
    fn is_one_sided(&self, path: &str, edge: &Value) -> bool {
        let Some(touched) = self.touched.get(path) else { return false };
        let has = |side: &Option<Object>| has_edge(side.as_ref(), edge);
        !has(&touched.versions.ours) || !has(&touched.versions.theirs)
    }

    /// The edges of a shortest way from the target of `edge` back to the bead `start`.
    fn way_back(&mut self, edge: &Value, start: &str) -> Result<Option<Vec<(String, Value)>>> {
        let mut came_by: BTreeMap<String, (String, String, Value)> = BTreeMap::new();
        let first = field(edge, "depends_on_id");
        let mut open = VecDeque::from([first.clone()]);
        let mut seen = BTreeSet::from([first.clone()]);
        while let Some(id) = open.pop_front() {
            if id == start {
                let mut way = Vec::new();
                let mut at = id;
                while let Some((from, path, edge)) = came_by.get(&at) {
                    way.push((path.clone(), edge.clone()));
                    at.clone_from(from);
                }
                return Ok(Some(way));
            }
            let Some((path, bead)) = self.bead(&id)? else { continue };
            for edge in Self::edges(&bead) {
                let next = field(&edge, "depends_on_id");
                if seen.insert(next.clone()) {
                    came_by.insert(next.clone(), (id.clone(), path.clone(), edge));
                    open.push_back(next);
                }
            }
        }
        Ok(None)
    }

    /// The clock of an edge: that of the list it first appeared in.
    fn edge_rev(&mut self, path: &str, edge: &Value) -> Result<Rev> {
        let of = |object: &Object| record::unit_rev(object, "dependencies");
        if let Some(Touched { versions: Versions { base, ours, theirs }, .. }) = self.touched.get(path) {
            let holders = |side: &Option<Object>| side.as_ref().filter(|side| has_edge(Some(side), edge)).map(of);
            if let Some(rev) = holders(base).or_else(|| holders(ours).into_iter().chain(holders(theirs)).min()) {
                return Ok(rev);
            }
        }
        Ok(self.now(path)?.map(|object| of(&object)).unwrap_or_default())
    }

    fn cut(&mut self, path: &str, key: &str, edge: Value, rev: Rev) -> Result<()> {
        let Some(old) = self.now(path)? else { return Ok(()) };
        let mut bead = old.clone();
        if let Some(Value::Array(edges)) = bead.get_mut("dependencies") {
            edges.retain(|edge| edge_key(edge).as_deref() != Some(key));
            if edges.is_empty() {
                bead.remove("dependencies");
            }
        }
        let kept = (Value::Null, self.merge_rev.clone());
        self.done.conflicts.push(Conflict::new(path, "dependencies", "cycle", kept, (edge, rev)));
        self.write(path, &old, bead);
        Ok(())
    }
}

fn has_edge(bead: Option<&Object>, edge: &Value) -> bool {
    let wanted = edge_key(edge);
    get(bead, "dependencies").as_array().into_iter().flatten().any(|edge| edge_key(edge) == wanted)
}
