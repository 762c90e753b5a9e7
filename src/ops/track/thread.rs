//! A talk about a bead: what it answers, what answers it, and the remarks on each.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::model::bead::{Bead, DependencyKind};
use crate::name::BeadId;
use crate::ops::track::depend::needed_by;
use crate::ops::track::find::Scopes;
use crate::ops::track::reach::{Reach, Sight};
use crate::time::Moment;
use crate::town::Town;

/// How many beads a talk has at most; what is beyond is left out.
const BEADS_MAX: usize = 1_000;

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Saying {
    /// The bead that says it, or that it is a remark on.
    pub issue_id: BeadId,
    /// Who.
    pub author: String,
    /// The title of a bead; `None` of a remark.
    pub title: Option<String>,
    /// What.
    pub text: String,
    /// When.
    pub created_at: Moment,
    /// How far from the beginning, which is at 0.
    pub depth: usize,
}

/// All that was said around `bead`: from the first that it answers, directly or not, down to all that answers that one.
///
/// # Errors
/// Corrupt, when the town's rigs cannot be listed. Beads that cannot be read are left out.
pub fn thread(town: &Town, bead: &Bead) -> Result<Vec<Saying>> {
    let scopes = Scopes::of(town, None, true)?.asked;
    let mut reach = Reach::new(town);
    let mut seen = BTreeSet::new();
    let mut open = vec![(Box::new(beginning(&mut reach, bead)), 0)];
    let mut said = Vec::new();
    while let Some((bead, depth)) = open.pop() {
        if seen.len() >= BEADS_MAX || !seen.insert(bead.id.clone()) {
            continue;
        }
        let answers = needed_by(&mut reach, &scopes, &bead.id).into_iter();
        let answers = answers.filter(|one| one.kind == DependencyKind::RepliesTo).filter_map(|one| match reach.bead(&one.id) {
            Sight::Seen(answer) => Some(answer),
            Sight::Missing | Sight::Unreadable(_) => None,
        });
        let mut answers: Vec<Box<Bead>> = answers.collect();
        // The last is taken first.
        answers.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        open.extend(answers.into_iter().map(|answer| (answer, depth + 1)));
        said.push(Saying {
            issue_id: bead.id.clone(),
            author: bead.created_by.clone(),
            title: Some(bead.title.clone()),
            text: bead.description.clone(),
            created_at: bead.created_at,
            depth,
        });
        said.extend(bead.comments.iter().map(|comment| Saying {
            issue_id: bead.id.clone(),
            author: comment.author.clone(),
            title: None,
            text: comment.text.clone(),
            created_at: comment.created_at,
            depth: depth + 1,
        }));
    }
    Ok(said)
}

/// The bead at the beginning of the talk that `bead` is in.
fn beginning(reach: &mut Reach<'_>, bead: &Bead) -> Bead {
    let (mut at, mut seen) = (bead.clone(), BTreeSet::new());
    while seen.insert(at.id.clone()) && seen.len() < BEADS_MAX {
        let Some(edge) = at.dependencies.iter().find(|edge| edge.kind == DependencyKind::RepliesTo) else { break };
        match reach.bead(&edge.depends_on_id) {
            Sight::Seen(above) if !seen.contains(&above.id) => at = *above,
            Sight::Seen(_) | Sight::Missing | Sight::Unreadable(_) => break,
        }
    }
    at
}
