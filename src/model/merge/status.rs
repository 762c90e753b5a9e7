//! Which of two statuses, and which of two hooks, stands.
//!
//! Each rule looks at one side at a time, so that swapping the sides swaps the answer.

use std::cmp::Ordering;

use serde_json::Value;

use super::lists::{field, get};
use crate::model::record::{Object, Rev, encode};

/// One side's fields of a unit, with their clock.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    /// The fields; `None`: the unit is not there.
    pub fields: Option<&'a Object>,
    /// The unit's clock.
    pub rev: &'a Rev,
}

/// Which side stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Winner {
    Ours,
    Theirs,
}

impl Side<'_> {
    fn text(&self, name: &str) -> &str {
        get(self.fields, name).as_str().unwrap_or_default()
    }

    /// The clock of the assignment, when this side has one.
    fn assigned_rev(&self) -> Option<Rev> {
        let is_assigned = !self.text("assignee").is_empty();
        is_assigned.then(|| self.text("assigned_rev").parse().ok()).flatten()
    }

    fn is_landed(&self) -> bool {
        self.text("state") == "landed" || !get(self.fields, "landed_commit").is_null()
    }

    fn bytes(&self) -> Vec<u8> {
        self.fields.map(encode).unwrap_or_default()
    }
}

/// The higher rev, then the greater bytes.
pub(super) fn higher(ours: Side<'_>, theirs: Side<'_>) -> Winner {
    match ours.rev.cmp(theirs.rev).then_with(|| ours.bytes().cmp(&theirs.bytes())) {
        Ordering::Less => Winner::Theirs,
        Ordering::Equal | Ordering::Greater => Winner::Ours,
    }
}

/// The side for which `holds` is true, when it is so for exactly one.
fn only(holds_ours: bool, holds_theirs: bool) -> Option<Winner> {
    match (holds_ours, holds_theirs) {
        (true, false) => Some(Winner::Ours),
        (false, true) => Some(Winner::Theirs),
        _ => None,
    }
}

/// Decides between two changed status units; the word names the rule.
pub(super) fn status_winner(base: Option<&Object>, ours: Side<'_>, theirs: Side<'_>) -> (Winner, &'static str) {
    let was = |status: &str| get(base, "status").as_str() == Some(status);
    if let Some(winner) = only(ours.is_landed(), theirs.is_landed()) {
        return (winner, "landed");
    }
    let closed = |side: Side<'_>| side.text("status") == "closed";
    if let Some(winner) = only(closed(ours), closed(theirs)) {
        // Reopened means: it was closed for both, one side opened it, and that is the later word.
        let is_reopened = was("closed") && higher(ours, theirs) != winner;
        if !is_reopened {
            return (winner, "closed");
        }
        return (higher(ours, theirs), "reopened");
    }
    if closed(ours) && closed(theirs) {
        return (higher(ours, theirs), "rev");
    }
    let in_review = |side: Side<'_>| side.text("status") == "in_review";
    if let Some(winner) = only(in_review(ours), in_review(theirs)).filter(|_| !was("in_review")) {
        return (winner, "in_review");
    }
    let before = base.and_then(|base| Side { fields: Some(base), rev: &Rev::default() }.assigned_rev());
    let (a, b) = (ours.assigned_rev(), theirs.assigned_rev());
    if before.is_some()
        && let Some(winner) = only(a != before, b != before)
    {
        return (winner, "assignment-ended");
    }
    match (a, b) {
        (Some(a), Some(b)) if a < b => (Winner::Ours, "assigned-first"),
        (Some(a), Some(b)) if b < a => (Winner::Theirs, "assigned-first"),
        _ => (higher(ours, theirs), "rev"),
    }
}

/// Whether the loser says nothing that the winner overrules: it is an earlier step of the same assignment.
pub(super) fn is_same_assignment(kept: Option<&Object>, lost: Option<&Object>) -> bool {
    let steps = ["hooked", "in_progress"];
    let same = |name: &str| get(kept, name) == get(lost, name);
    let is_step = get(lost, "status").as_str().is_some_and(|status| steps.contains(&status));
    let may_follow = get(kept, "status").as_str().is_some_and(|s| steps.contains(&s) || s == "in_review");
    is_step && may_follow && same("assignee") && same("assigned_rev")
}

/// Decides between two changed hooks of one agent.
///
/// The same bead on both: the later word. An assignment that the other side ended yields. Else the lower rev:
/// work already under way.
pub(super) fn hook_winner(base: Option<&Object>, ours: Side<'_>, theirs: Side<'_>) -> (Winner, &'static str) {
    let bead = |object: Option<&Object>| field_of(object, "bead");
    let (was, a, b) = (bead(base), bead(ours.fields), bead(theirs.fields));
    if a == b {
        return (higher(ours, theirs), "rev");
    }
    if base.is_some()
        && let Some(winner) = only(a != was, b != was)
    {
        return (winner, "assignment-ended");
    }
    let winner = match higher(ours, theirs) {
        Winner::Ours => Winner::Theirs,
        Winner::Theirs => Winner::Ours,
    };
    (winner, "assigned-first")
}

fn field_of(object: Option<&Object>, name: &str) -> String {
    object.map(|object| field(&Value::Object(object.clone()), name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Winner::{Ours, Theirs};
    use super::*;

    /// (base, ours, rev, theirs, rev) and which side must stand.
    fn check(base: &Value, ours: (&Value, u64), theirs: (&Value, u64), expected: Winner, rule: &str) {
        let rev = |number| Rev { number, machine: "m".into() };
        let (a, b) = (rev(ours.1), rev(theirs.1));
        let ours = Side { fields: ours.0.as_object(), rev: &a };
        let theirs = Side { fields: theirs.0.as_object(), rev: &b };
        assert_eq!(status_winner(base.as_object(), ours, theirs), (expected, rule));
        let other = if expected == Winner::Ours { Winner::Theirs } else { Winner::Ours };
        assert_eq!(status_winner(base.as_object(), theirs, ours), (other, rule), "swapped");
    }

    #[test]
    fn the_rules_of_the_status_apply_in_their_order() {
        let open = json!({"status":"open"});
        let closed = json!({"status":"closed","closed_at":"x"});
        let landed = json!({"status":"closed","state":"landed","landed_commit":"abc"});
        let review = json!({"status":"in_review","assignee":"a","assigned_rev":"2@m"});
        let hooked = |who: &str, at: u64| json!({"status":"hooked","assignee":who,"assigned_rev":format!("{at}@m")});
        let blocked = json!({"status":"blocked"});
        check(&open, (&landed, 3), (&closed, 9), Ours, "landed");
        check(&open, (&closed, 3), (&review, 9), Ours, "closed");
        check(&closed, (&open, 9), (&json!({"status":"closed","closed_at":"y"}), 8), Ours, "reopened");
        check(&closed, (&open, 7), (&json!({"status":"closed","closed_at":"y"}), 8), Theirs, "closed");
        check(&open, (&closed, 3), (&blocked, 9), Ours, "closed");
        check(&hooked("a", 2), (&review, 3), (&open, 9), Ours, "in_review");
        check(
            &hooked("a", 2),
            (&open, 3),
            (&json!({"status":"in_progress","assignee":"a","assigned_rev":"2@m"}), 9),
            Ours,
            "assignment-ended",
        );
        check(
            &hooked("a", 2),
            (&hooked("b", 4), 4),
            (&json!({"status":"in_progress","assignee":"a","assigned_rev":"2@m"}), 9),
            Ours,
            "assignment-ended",
        );
        check(&open, (&hooked("a", 5), 5), (&hooked("b", 4), 4), Theirs, "assigned-first");
        check(&open, (&hooked("a", 5), 5), (&blocked, 6), Theirs, "rev");
        check(
            &review,
            (&open, 5),
            (&json!({"status":"in_review","assignee":"a","assigned_rev":"2@m","defer_until":"x"}), 4),
            Ours,
            "assignment-ended",
        );
    }

    #[test]
    fn of_two_hooks_the_work_already_under_way_stays() {
        let rev = |number| Rev { number, machine: "m".into() };
        let (low, high) = (rev(3), rev(7));
        let (first, second) = (json!({"bead":"wi-a"}), json!({"bead":"wi-b"}));
        let (a, b) = (Side { fields: first.as_object(), rev: &low }, Side { fields: second.as_object(), rev: &high });
        assert_eq!(hook_winner(None, a, b).0, Winner::Ours);
        assert_eq!(hook_winner(None, b, a).0, Winner::Theirs);
        assert_eq!(hook_winner(first.as_object(), a, b).0, Winner::Theirs, "the first assignment was ended there");
    }
}
