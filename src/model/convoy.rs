//! Convoys: beads of the town that track other beads, of any scope, until all of them are closed.
//!
//! What a convoy tracks are its edges of kind `tracks`; whose it is, is the bead's `owner`. The rest are the fields here.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::address::Address;
use crate::model::bead::{Bead, DependencyKind, IssueType};
use crate::model::merge_request::Way;
use crate::model::record::{self, Object};
use crate::name::{BeadId, Name};
use crate::time::Moment;

/// What ids of convoys have between prefix and suffix.
pub const INFIX: &str = "cv-";

/// The typed fields of a bead of type `convoy`.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Convoy {
    /// Who hears of its landing besides its owner.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub watchers: BTreeSet<Address>,
    /// Whether its owner lands it, instead of the close of its last bead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub owned: bool,
    /// The way of its work when it is done, unless the one who slung it said another.
    #[serde(default, skip_serializing_if = "Way::is_usual")]
    pub merge: Way,
    /// The epic whose work it tracks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_epic: Option<BeadId>,
    /// How often it has landed: once, unless it was opened again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub landings: u32,
    /// Its work in the order in which it is slung, when it was staged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<Vec<BeadId>>,
    /// The machine that launched it, and that slings what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// Whether what follows is only assigned, and its sessions are started by hand.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_assign: bool,
    /// How often each bead was slung for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub feeds: BTreeMap<BeadId, u32>,
    /// When that moved last after which its owner was told that it has stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled_at: Option<Moment>,
    /// When its first work was slung.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched_at: Option<Moment>,
    /// When the witnesses of its rigs were told of it; from then on they tell the mayor when their share is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced_at: Option<Moment>,
    /// Rigs whose share is done, and of which the mayor knows.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub done_rigs: BTreeSet<Name>,
    /// Fields of a newer version and of other views of the bead.
    #[serde(flatten)]
    pub extra: Object,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Convoy {
    /// Reads the convoy fields of a bead.
    ///
    /// # Errors
    /// Refused, when the bead is of another type; corrupt, when a field is wrong.
    pub fn of(bead: &Bead) -> Result<Self> {
        if bead.issue_type != IssueType::Convoy {
            return Err(Error::refused(format!("{} is {}, not a convoy", bead.id, bead.issue_type.with_article()))
                .hint("see: gt convoy list"));
        }
        record::view(bead.id.as_str(), &bead.extra)
    }

    /// Writes these fields back into their bead.
    pub fn put_into(&self, bead: &mut Bead) {
        bead.extra = record::object_of(self);
    }

    /// Puts new ids where it remembers old ones; whether it did.
    pub fn rename(&mut self, names: &BTreeMap<BeadId, BeadId>) -> bool {
        let mut is_renamed = false;
        for id in self.waves.iter_mut().flatten().chain(&mut self.from_epic) {
            if let Some(new) = names.get(id) {
                id.clone_from(new);
                is_renamed = true;
            }
        }
        for (old, new) in names {
            if let Some(count) = self.feeds.remove(old) {
                *self.feeds.entry(new.clone()).or_default() += count;
                is_renamed = true;
            }
        }
        is_renamed
    }

    /// Who hears what becomes of the convoy in `bead`: its owner first, then those who watch it.
    #[must_use]
    pub fn hearers(&self, bead: &Bead) -> Vec<Address> {
        let owner: Option<Address> = bead.owner.as_deref().and_then(|owner| owner.parse().ok());
        let watchers = self.watchers.iter().filter(|one| Some(*one) != owner.as_ref()).cloned();
        owner.iter().cloned().chain(watchers).collect()
    }
}

/// What the convoy in `bead` tracks, in the order in which it was added.
pub fn tracked(bead: &Bead) -> impl Iterator<Item = &BeadId> {
    let edges = bead.dependencies.iter().filter(|edge| edge.kind == DependencyKind::Tracks);
    edges.map(|edge| &edge.depends_on_id)
}

/// Where a tracked bead stands, as far as its convoy asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Done, and since when.
    Closed(Moment),
    /// Not done.
    Open,
    /// It cannot be told, and why; that is never done.
    Unknown(String),
}

/// Whether a convoy is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It tracks nothing, so that nothing can complete it.
    Empty,
    /// These are not closed; of some it cannot be told why, in the second list.
    Waits(Vec<BeadId>, Vec<(BeadId, String)>),
    /// All are closed, the last one at this moment: of two machines that see the same, both name the same one.
    Complete(Moment),
}

/// Whether the convoy in `bead` is complete, when its beads stand as `standing` says.
pub fn judge(bead: &Bead, mut standing: impl FnMut(&BeadId) -> Standing) -> Verdict {
    let (mut open, mut unknown, mut last) = (Vec::new(), Vec::new(), None);
    for edge in bead.dependencies.iter().filter(|edge| edge.kind == DependencyKind::Tracks) {
        match standing(&edge.depends_on_id) {
            // One that was closed before it was tracked completes nothing before it was.
            Standing::Closed(at) => last = last.max(Some(at.max(edge.created_at))),
            Standing::Open => open.push(edge.depends_on_id.clone()),
            Standing::Unknown(why) => unknown.push((edge.depends_on_id.clone(), why)),
        }
    }
    match last {
        _ if !open.is_empty() || !unknown.is_empty() => Verdict::Waits(open, unknown),
        Some(at) => Verdict::Complete(at),
        None => Verdict::Empty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::Dependency;

    fn convoy(tracks: &[&str]) -> Bead {
        let mut bead = Bead::new("hq-cv-a".parse().unwrap(), IssueType::Convoy, "c", "mayor", Moment::from_millis(0)).unwrap();
        for (id, at) in tracks.iter().zip(1..) {
            bead.dependencies.push(Dependency {
                issue_id: bead.id.clone(),
                depends_on_id: id.parse().unwrap(),
                kind: DependencyKind::Tracks,
                created_by: "mayor".into(),
                created_at: Moment::from_millis(at),
                extra: Object::new(),
            });
        }
        bead
    }

    #[test]
    fn a_convoy_is_complete_when_all_it_tracks_is_closed_and_never_when_it_tracks_nothing() {
        let closed = |at: i64| Standing::Closed(Moment::from_millis(at));
        assert_eq!(judge(&convoy(&[]), |_| closed(9)), Verdict::Empty);
        let two = convoy(&["wi-a", "ga-b"]);
        assert_eq!(
            judge(&two, |id| closed(if id.as_str() == "wi-a" { 5 } else { 7 })),
            Verdict::Complete(Moment::from_millis(7))
        );
        assert_eq!(judge(&two, |_| closed(0)), Verdict::Complete(Moment::from_millis(2)), "not before it was tracked");
        let one_open = judge(&two, |id| if id.as_str() == "wi-a" { closed(5) } else { Standing::Open });
        assert_eq!(one_open, Verdict::Waits(vec!["ga-b".parse().unwrap()], Vec::new()));
        let gone = judge(&two, |id| if id.as_str() == "wi-a" { closed(5) } else { Standing::Unknown("gone".into()) });
        assert_eq!(gone, Verdict::Waits(Vec::new(), vec![("ga-b".parse().unwrap(), "gone".into())]));
    }

    #[test]
    fn fields_are_kept_and_its_owner_hears_once() {
        let mut bead = convoy(&[]);
        bead.owner = Some("mayor".into());
        bead.extra.insert("colour".into(), "red".into());
        let mut fields = Convoy::of(&bead).unwrap();
        assert_eq!(fields.hearers(&bead), [Address::Mayor]);
        fields.watchers = [Address::Mayor, Address::Deacon].into();
        fields.put_into(&mut bead);
        assert_eq!(bead.extra["colour"], "red");
        assert_eq!(Convoy::of(&bead).unwrap().hearers(&bead), [Address::Mayor, Address::Deacon]);
        fields.waves = vec![vec!["wi-a".parse().unwrap()], vec!["wi-b".parse().unwrap(), "ga-c".parse().unwrap()]];
        fields.from_epic = Some("wi-e".parse().unwrap());
        fields.feeds = [("wi-a".parse().unwrap(), 2), ("ga-c".parse().unwrap(), 1)].into();
        let names: BTreeMap<BeadId, BeadId> =
            [("wi-a", "ga-a"), ("wi-e", "hq-e")].map(|(old, new)| (old.parse().unwrap(), new.parse().unwrap())).into();
        assert!(fields.rename(&names) && !fields.rename(&names));
        assert_eq!(fields.waves, [vec!["ga-a".parse().unwrap()], vec!["wi-b".parse().unwrap(), "ga-c".parse().unwrap()]]);
        assert_eq!((fields.from_epic.unwrap().as_str(), fields.feeds[&"ga-a".parse().unwrap()]), ("hq-e", 2));
        bead.extra.insert("watchers".into(), 5.into());
        assert!(Convoy::of(&bead).is_err());
        bead.issue_type = IssueType::Task;
        assert!(Convoy::of(&bead).is_err());
    }
}
