//! The rows of a list as a tree: each bead below its parent, as far as the list has that.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::tree::leads;
use crate::cli::out::{Cell, Page, Show};
use crate::model::brief::Brief;

/// Beads below their parents, in the order of the list.
#[derive(JsonSchema, Serialize)]
pub struct Forest(Vec<(usize, Brief)>);

impl Forest {
    /// The tree of `rows`.
    pub fn of(rows: Vec<Brief>) -> Self {
        let places: BTreeMap<&str, usize> = rows.iter().enumerate().map(|(n, row)| (row.id.as_str(), n)).collect();
        let parent = |row: &Brief| row.parent.as_ref().and_then(|parent| places.get(parent.as_str()).copied());
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); rows.len()];
        let mut roots = Vec::new();
        for (n, row) in rows.iter().enumerate() {
            match parent(row) {
                Some(above) => children[above].push(n),
                None => roots.push(n),
            }
        }
        // Beads that are each other's parents hang on no root: each is tried as one, and shown once.
        let mut depths: Vec<Option<usize>> = vec![None; rows.len()];
        let mut order = Vec::with_capacity(rows.len());
        for start in roots.into_iter().chain(0..rows.len()) {
            let mut open = vec![(start, 0)];
            while let Some((n, depth)) = open.pop() {
                if depths[n].is_none() {
                    depths[n] = Some(depth);
                    order.push(n);
                    open.extend(children[n].iter().rev().map(|child| (*child, depth + 1)));
                }
            }
        }
        let mut rows: Vec<Option<Brief>> = rows.into_iter().map(Some).collect();
        let node = |n: usize| Some((depths[n].unwrap_or_default(), rows[n].take()?));
        Self(order.into_iter().filter_map(node).collect())
    }
}

impl Show for Forest {
    fn show(&self, page: &mut Page) {
        let depths: Vec<usize> = self.0.iter().map(|(depth, _)| *depth).collect();
        for ((_, bead), lead) in self.0.iter().zip(leads(&depths)) {
            let who = bead.assignee.as_ref().map(|who| format!("({who})"));
            let mut cells = vec![Cell::id(bead.id.as_str()), Cell::priority(bead.priority), Cell::status(&bead.status)];
            cells.push(Cell::from(bead.title.as_str()));
            cells.extend(who.map(|who| Cell::from(who).dim()));
            page.row(&lead, &cells);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::{Bead, IssueType};
    use crate::time::Moment;

    fn tree_of(pairs: &[(&str, Option<&str>)]) -> Vec<(String, usize)> {
        let brief = |(id, parent): &(&str, Option<&str>)| {
            let mut bead = Bead::new(id.parse().unwrap(), IssueType::Task, "t", "o", Moment::from_millis(0)).unwrap();
            bead.parent = parent.map(|parent| parent.parse().unwrap());
            Brief::of(&bead)
        };
        let forest = Forest::of(pairs.iter().map(brief).collect());
        forest.0.into_iter().map(|(depth, bead)| (bead.id.to_string(), depth)).collect()
    }

    #[test]
    fn beads_stand_below_their_parents_as_far_as_these_are_there() {
        let found =
            tree_of(&[("w-c", Some("w-b")), ("w-d", Some("w-gone")), ("w-b", Some("w-a")), ("w-a", None), ("w-e", Some("w-b"))]);
        let wanted = [("w-d", 0), ("w-a", 0), ("w-b", 1), ("w-c", 2), ("w-e", 2)];
        assert_eq!(found, wanted.map(|(id, depth)| (id.to_owned(), depth)));
    }

    #[test]
    fn beads_that_are_each_others_parents_are_shown_once() {
        let found = tree_of(&[("w-a", Some("w-b")), ("w-b", Some("w-a"))]);
        assert_eq!(found, [("w-a".to_owned(), 0), ("w-b".to_owned(), 1)]);
    }
}
