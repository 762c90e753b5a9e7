//! Decay: which records have had their time. Never by age alone.
//!
//! A closed bead goes to the archive, where it stays for good. A closed ephemeral bead and a letter that was read go
//! altogether; the ledger's history still has them.

use std::collections::HashSet;

use serde_json::Value;

use crate::model::bead::{Bead, IssueType};
use crate::model::brief::Facts as _;
use crate::model::mail::Letter;
use crate::model::merge_request::MergeRequest;
use crate::model::record::{Object, SCHEMA_VERSION};
use crate::time::Moment;

/// The label that keeps a bead or a letter where it is.
pub const KEEP: &str = "keep";

/// For how long a delivered letter is kept so that a second delivery finds it, in milliseconds: 90 days.
const KEY_MILLIS: u64 = 90 * 24 * 3_600_000;

/// How old records become, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ages {
    /// Closed beads, until they are archived.
    pub closed: u64,
    /// Closed ephemeral beads of heartbeats.
    pub heartbeat: u64,
    /// Closed ephemeral beads of patrols and of no special kind.
    pub patrol: u64,
    /// Closed ephemeral beads of errors.
    pub error: u64,
    /// Letters, once they were read.
    pub mail: u64,
}

/// What is to become of a bead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays in the ledger.
    Stays,
    /// It moves to the archive.
    Archived,
    /// It goes.
    Gone,
}

/// Beads that others in the ledger rest on.
#[derive(Clone, Debug, Default)]
pub struct Ties {
    held: HashSet<String>,
    open: HashSet<String>,
    needed: HashSet<String>,
    /// Whether there are records that cannot be read: nobody knows what they rest on.
    pub is_partial: bool,
}

impl Ties {
    /// Something at work rests on `id`: a hook, an open child, a merge request that waits.
    pub fn hold(&mut self, id: &str) {
        self.held.insert(id.to_owned());
    }

    /// The bead `id` is not closed.
    pub fn open(&mut self, id: &str) {
        self.open.insert(id.to_owned());
    }

    /// An open bead speaks of `id`.
    pub fn need(&mut self, id: &str) {
        self.needed.insert(id.to_owned());
    }
}

/// What is to become of `bead`.
#[must_use]
pub fn fate_of(bead: &Bead, ties: &Ties, ages: &Ages, now: Moment) -> Fate {
    let is_own = matches!(bead.issue_type, IssueType::Agent | IssueType::Role | IssueType::Rig);
    let (true, Some(closed_at)) = (bead.status.is_closed(), bead.closed_at) else { return Fate::Stays };
    if is_own || bead.v > SCHEMA_VERSION || bead.labels.contains(KEEP) || ties.held.contains(bead.id.as_str()) {
        return Fate::Stays;
    }
    // Why earlier attempts came back is asked when the work is handed in again.
    if MergeRequest::of(bead).is_ok_and(|request| request.source_beads.iter().any(|id| ties.open.contains(id.as_str()))) {
        return Fate::Stays;
    }
    let age = now.millis_since(closed_at);
    if may_go(bead, ties) && age >= ephemeral_age(&bead.extra, ages) {
        return Fate::Gone;
    }
    // What people spoke of is no longer of the moment, whatever it began as.
    if age >= ages.closed { Fate::Archived } else { Fate::Stays }
}

fn may_go(bead: &Bead, ties: &Ties) -> bool {
    bead.is_ephemeral() && bead.comments.is_empty() && !ties.is_partial && !ties.needed.contains(bead.id.as_str())
}

/// By the kinds of the `bd` tool.
fn ephemeral_age(extra: &Object, ages: &Ages) -> u64 {
    match extra.get("wisp_type").and_then(Value::as_str).unwrap_or_default() {
        "heartbeat" | "ping" => ages.heartbeat,
        "error" | "recovery" | "escalation" => ages.error,
        _ => ages.patrol,
    }
}

/// Whether `letter` was read and its time is up.
#[must_use]
pub fn has_expired(letter: &Letter, ages: &Ages, now: Moment) -> bool {
    let moment = |name: &str| letter.extra.get(name).and_then(Value::as_str).and_then(|text| text.parse::<Moment>().ok());
    let Some(read_at) = letter.read_at.max(moment("archived_at")) else { return false };
    let has_label = letter.extra.get("labels").and_then(Value::as_array).is_some_and(|labels| labels.iter().any(|l| l == KEEP));
    let is_pinned = letter.extra.get("pinned").is_some_and(|pinned| *pinned == Value::Bool(true));
    if has_label || is_pinned || letter.v > SCHEMA_VERSION {
        return false;
    }
    // It was delivered before it was read.
    let least = if letter.key.is_some() { ages.mail.max(KEY_MILLIS) } else { ages.mail };
    now.millis_since(read_at) >= least
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;
    const AGES: Ages = Ages {
        closed: 30 * DAY as u64,
        heartbeat: 6 * HOUR as u64,
        patrol: 24 * HOUR as u64,
        error: 7 * DAY as u64,
        mail: 7 * DAY as u64,
    };

    fn bead() -> Bead {
        Bead::new("wi-a".parse().unwrap(), IssueType::Task, "t", "overseer", Moment::from_millis(0)).unwrap()
    }

    fn closed(change: impl FnOnce(&mut Bead)) -> Bead {
        let mut bead = bead();
        bead.close("overseer", "done", Moment::from_millis(0)).unwrap();
        change(&mut bead);
        bead
    }

    fn wisp(kind: &'static str) -> impl FnOnce(&mut Bead) {
        move |bead| {
            bead.extra.insert("ephemeral".into(), true.into());
            bead.extra.insert("wisp_type".into(), kind.into());
        }
    }

    /// The first fate other than staying, and when it comes, within 100 days.
    fn end_of(bead: &Bead, ties: &Ties) -> Option<(Fate, i64)> {
        let hours = 0..100 * 24;
        hours
            .map(|hour| (fate_of(bead, ties, &AGES, Moment::from_millis(hour * HOUR)), hour))
            .find(|(fate, _)| *fate != Fate::Stays)
    }

    #[test]
    fn each_kind_of_bead_has_its_time_and_what_is_in_use_has_none() {
        let none = Ties::default();
        let (mut held, mut needed) = (Ties::default(), Ties::default());
        held.hold("wi-a");
        needed.need("wi-a");
        let partial = Ties { is_partial: true, ..Ties::default() };
        let archived = Some((Fate::Archived, 30 * 24));
        let commented = |bead: &mut Bead| bead.comment("1".into(), "overseer", "look here", Moment::from_millis(0));
        let table = [
            ("closed", closed(|_| {}), &none, archived),
            ("closed and commented", closed(commented), &none, archived),
            ("closed, spoken of", closed(|_| {}), &needed, archived),
            ("open", bead(), &none, None),
            ("held", closed(|_| {}), &held, None),
            ("labelled", closed(|bead| bead.labels = [KEEP.to_owned()].into()), &none, None),
            ("an agent", closed(|bead| bead.issue_type = IssueType::Agent), &none, None),
            ("of a newer version", closed(|bead| bead.v = SCHEMA_VERSION + 1), &none, None),
            ("without a time of closing", closed(|bead| bead.closed_at = None), &none, None),
            ("a heartbeat", closed(wisp("heartbeat")), &none, Some((Fate::Gone, 6))),
            ("a patrol", closed(wisp("patrol")), &none, Some((Fate::Gone, 24))),
            ("no special kind", closed(wisp("saga")), &none, Some((Fate::Gone, 24))),
            ("an error", closed(wisp("error")), &none, Some((Fate::Gone, 7 * 24))),
            ("a patrol that is spoken of", closed(wisp("patrol")), &needed, archived),
            ("a patrol beside damage", closed(wisp("patrol")), &partial, archived),
            ("a patrol on a hook", closed(wisp("patrol")), &held, None),
        ];
        for (what, bead, ties, expected) in table {
            assert_eq!(end_of(&bead, ties), expected, "{what}");
        }
        let mut remarked = closed(wisp("patrol"));
        commented(&mut remarked);
        assert_eq!(end_of(&remarked, &none), archived);
        let mut attempt = closed(|bead| bead.issue_type = IssueType::MergeRequest);
        attempt.extra = serde_json::from_value(serde_json::json!({
            "state": "evicted", "branch": "b", "target": "main", "head": "h", "base": "b", "tree": "t", "source_beads": ["wi-b"],
            "author": "widgets/polecats/toast", "submitted_at": "1970-01-01T00:00:00Z", "message": "m",
        }))
        .unwrap();
        assert_eq!(end_of(&attempt, &none), archived);
        let mut at_work = Ties::default();
        at_work.open("wi-b");
        assert_eq!(end_of(&attempt, &at_work), None, "its work goes on");
        let mut open = bead();
        wisp("patrol")(&mut open);
        assert_eq!(end_of(&open, &none), None);
    }

    #[test]
    fn a_letter_goes_when_it_was_read_long_ago_and_nothing_keeps_it() {
        let letter = |change: &dyn Fn(&mut Letter)| {
            let (from, to) = ("overseer".parse().unwrap(), "mayor".parse().unwrap());
            let mut letter = Letter::new("hq-ml-a".parse().unwrap(), from, to, "s", "b", Moment::from_millis(0)).unwrap();
            letter.read_at = Some(Moment::from_millis(0));
            change(&mut letter);
            letter
        };
        let table = [
            ("read", letter(&|_| {}), Some(7)),
            ("unread", letter(&|letter| letter.read_at = None), None),
            ("delivered", letter(&|letter| letter.key = Some("k".into())), Some(90)),
            ("pinned", letter(&|letter| drop(letter.extra.insert("pinned".into(), true.into()))), None),
            ("labelled", letter(&|letter| drop(letter.extra.insert("labels".into(), serde_json::json!([KEEP])))), None),
            ("of a newer version", letter(&|letter| letter.v = SCHEMA_VERSION + 1), None),
            (
                "archived later",
                letter(&|letter| drop(letter.extra.insert("archived_at".into(), "1970-01-04T00:00:00Z".into()))),
                Some(10),
            ),
        ];
        for (what, letter, expected) in table {
            let end = (0..100).find(|day| has_expired(&letter, &AGES, Moment::from_millis(day * DAY)));
            assert_eq!(end, expected, "{what}");
        }
    }
}
