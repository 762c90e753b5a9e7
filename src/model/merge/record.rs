//! Three-way merge of one record, unit by unit.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::lists::{self, get};
use super::status::{Side, Winner, higher, hook_winner, is_same_assignment, status_winner};
use super::texts::merge_texts;
use super::{Choice, Conflict, Merged, Versions};
use crate::model::record::{self, ARCHIVE_COPY, Class, Object, Rev, SCHEMA_VERSION};

/// How a unit merges when both sides changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Plain,
    Status,
    Hook,
    Set,
    Edges,
    Comments,
    Text {
        appends: bool,
    },
    /// Set wins, the earliest moment stays; also for moments of creation.
    Earliest,
    Latest,
    /// `true` wins.
    Either,
    Highest,
    Counter,
    /// A claim on something queued.
    Lowest,
}

fn rule_of(class: Class, unit: &str) -> Rule {
    match (class, unit) {
        (Class::Machine | Class::Once | Class::Intent | Class::Control | Class::Tombstone, _) => Rule::Plain,
        (Class::Hook, _) => Rule::Hook,
        (Class::Bead, "status") => Rule::Status,
        (Class::Bead, "dependencies") => Rule::Edges,
        (Class::Bead, "comments") => Rule::Comments,
        (Class::Bead, "description" | "design" | "acceptance_criteria") => Rule::Text { appends: false },
        (Class::Bead, "notes") => Rule::Text { appends: true },
        (Class::Letter, "read_at" | "acked_at" | "archived_at") | (_, "created_at") => Rule::Earliest,
        (Class::Letter, "read" | "acked" | "archived") => Rule::Either,
        (Class::Letter, "claim") => Rule::Lowest,
        (
            _,
            "labels" | "source_beads" | "approvals" | "watchers" | "subscribers" | "waiters" | "members" | "refs" | "flattened"
            | "prefixes",
        ) => Rule::Set,
        (_, "updated_at" | ARCHIVE_COPY) => Rule::Latest,
        (_, "v" | "merge_v" | "epoch" | "attempts") => Rule::Highest,
        (_, name) if name.ends_with("_count") => Rule::Counter,
        _ => Rule::Plain,
    }
}

/// Merges the two versions of the record at `path`; `merge_rev` is the clock of what the merge itself writes.
#[must_use]
pub fn merge_record(path: &str, versions: &Versions, merge_rev: &Rev) -> Merged {
    let Versions { base, ours, theirs } = versions;
    if ours == theirs || theirs == base {
        return Merged { object: ours.clone(), ..Merged::default() };
    }
    if ours == base {
        return Merged { object: theirs.clone(), ..Merged::default() };
    }
    let class = Class::of(path);
    let (ours, theirs) = match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours, theirs),
        (Some(edited), None) | (None, Some(edited)) => return merge_deleted(path, class, base.as_ref(), edited),
        (None, None) => return Merged::default(),
    };
    let is_newer = |object: &Object| object.get("v").and_then(Value::as_u64).is_some_and(|v| v > SCHEMA_VERSION);
    if is_newer(ours) || is_newer(theirs) {
        return merge_whole(path, "newer-version", ours, theirs);
    }
    if class == Class::Tombstone {
        return merge_tombstones(path, ours, theirs);
    }
    if base.is_none() && class == Class::Bead && are_two_records(ours, theirs) {
        return split(path, ours, theirs);
    }
    Merging { path, class, base: base.as_ref(), ours, theirs, merge_rev, conflicts: Vec::new(), remarks: Vec::new() }.run()
}

/// One side removed the record, the other edited it: the edit stays, but for a hook whose assignment was ended.
fn merge_deleted(path: &str, class: Class, base: Option<&Object>, edited: &Object) -> Merged {
    if class == Class::Hook && get(base, "bead") == get(Some(edited), "bead") {
        return Merged::default();
    }
    // Whoever took a tombstone away restored the bead.
    if class == Class::Tombstone {
        return Merged::default();
    }
    let kept = (Value::Object(edited.clone()), whole_rev(edited));
    let conflicts = vec![Conflict::new(path, "all", "edit-over-removal", kept, (Value::Null, Rev::default()))];
    Merged { object: Some(edited.clone()), second: None, conflicts }
}

/// Two tombstones of one bead: it was moved rather than deleted, and of two moves or two deletions the first counts.
/// Only two moves to different places are a choice that yields, since then there are two beads.
fn merge_tombstones(path: &str, ours: &Object, theirs: &Object) -> Merged {
    let moved = |object: &Object| object.get("moved_to").cloned();
    let order = |object: &Object| (moved(object).is_none(), whole_rev(object), record::encode(object));
    let (kept, lost) = if order(ours) <= order(theirs) { (ours, theirs) } else { (theirs, ours) };
    let choice = |object: &Object| (Value::Object(object.clone()), whole_rev(object));
    let is_elsewhere = moved(lost).is_some() && moved(lost) != moved(kept);
    let conflicts = is_elsewhere.then(|| Conflict::new(path, "all", "moved-twice", choice(kept), choice(lost)));
    Merged { object: Some(kept.clone()), second: None, conflicts: conflicts.into_iter().collect() }
}

/// Takes the record of the higher rev whole.
fn merge_whole(path: &str, rule: &str, ours: &Object, theirs: &Object) -> Merged {
    let (a, b) = (whole_rev(ours), whole_rev(theirs));
    let winner = higher(Side { fields: Some(ours), rev: &a }, Side { fields: Some(theirs), rev: &b });
    let (kept, lost) = match winner {
        Winner::Ours => ((ours, a), (theirs, b)),
        Winner::Theirs => ((theirs, b), (ours, a)),
    };
    let choice = |(object, rev): (&Object, Rev)| (Value::Object(object.clone()), rev);
    let object = Some(kept.0.clone());
    Merged { object, second: None, conflicts: vec![Conflict::new(path, "all", rule, choice(kept), choice(lost))] }
}

/// Whether two beads of one id were begun apart. Those with given names unify.
fn are_two_records(ours: &Object, theirs: &Object) -> bool {
    let differ = |name: &str| ours.get(name) != theirs.get(name);
    let is_named = |object: &Object| matches!(lists::get(Some(object), "issue_type").as_str(), Some("agent" | "role" | "rig"));
    !is_named(ours) && !is_named(theirs) && (differ("created_at") || differ("created_by") || differ("stamp"))
}

/// Of two records the one created first keeps the id, the other is handed back to be stored under another.
fn split(path: &str, ours: &Object, theirs: &Object) -> Merged {
    let age = |object: &Object| {
        let text = |name: &str| get(Some(object), name).to_string();
        (text("created_at"), text("created_by"), record::encode(object))
    };
    let (first, second) = if age(ours) <= age(theirs) { (ours, theirs) } else { (theirs, ours) };
    let choice = |object: &Object| (Value::Object(object.clone()), whole_rev(object));
    Merged {
        object: Some(first.clone()),
        second: Some(second.clone()),
        conflicts: vec![Conflict::new(path, "id", "two-records", choice(first), choice(second))],
    }
}

fn whole_rev(object: &Object) -> Rev {
    get(Some(object), "rev").as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// A merge of one record under way.
struct Merging<'a> {
    path: &'a str,
    class: Class,
    base: Option<&'a Object>,
    ours: &'a Object,
    theirs: &'a Object,
    merge_rev: &'a Rev,
    conflicts: Vec<Conflict>,
    /// Comments that keep texts which had to yield.
    remarks: Vec<Value>,
}

impl Merging<'_> {
    fn run(mut self) -> Merged {
        let of = |object: Option<&Object>| object.map(|object| record::units(self.class, object)).unwrap_or_default();
        let (base, ours, theirs) = (of(self.base), of(Some(self.ours)), of(Some(self.theirs)));
        let names: BTreeSet<&String> = base.keys().chain(ours.keys()).chain(theirs.keys()).collect();
        let (mut units, mut clocks) = (BTreeMap::new(), BTreeMap::new());
        for name in names {
            let (fields, rev) = self.merge_unit(name, base.get(name), ours.get(name), theirs.get(name));
            clocks.insert(name.clone(), rev);
            units.extend(fields.map(|fields| (name.clone(), fields)));
        }
        self.add_remarks(&mut units, &mut clocks);
        let mut object = record::join_units(self.class, units);
        record::set_clocks(&mut object, clocks);
        Merged { object: Some(object), second: None, conflicts: self.conflicts }
    }

    fn merge_unit(
        &mut self,
        name: &str,
        base: Option<&Object>,
        ours: Option<&Object>,
        theirs: Option<&Object>,
    ) -> (Option<Object>, Rev) {
        let (rev_ours, rev_theirs) = (record::unit_rev(self.ours, name), record::unit_rev(self.theirs, name));
        if ours == theirs {
            return (ours.cloned(), rev_ours.max(rev_theirs));
        }
        let rev_base = self.base.map(|base| record::unit_rev(base, name));
        // A clock that moved tells of a change there and back again, which is a choice too.
        let is_changed = |fields: Option<&Object>, rev: &Rev| {
            fields != base || (fields.is_some() && rev_base.as_ref().is_some_and(|base| base != rev))
        };
        let (a, b) = (Side { fields: ours, rev: &rev_ours }, Side { fields: theirs, rev: &rev_theirs });
        match (is_changed(ours, &rev_ours), is_changed(theirs, &rev_theirs)) {
            (true, true) => self.merge_changed(name, base, a, b),
            (true, false) => (ours.cloned(), rev_ours),
            (false, _) => (theirs.cloned(), rev_theirs),
        }
    }

    /// Both sides changed the unit, to different values.
    fn merge_changed(&mut self, name: &str, base: Option<&Object>, ours: Side<'_>, theirs: Side<'_>) -> (Option<Object>, Rev) {
        let values = (get(base, name), get(ours.fields, name), get(theirs.fields, name));
        let value = match rule_of(self.class, name) {
            Rule::Plain => return self.choose(name, base, ours, theirs, (higher(ours, theirs), "rev")),
            Rule::Status => return self.choose(name, base, ours, theirs, status_winner(base, ours, theirs)),
            Rule::Hook => return self.choose(name, base, ours, theirs, hook_winner(base, ours, theirs)),
            Rule::Lowest => {
                let winner = if higher(ours, theirs) == Winner::Ours { Winner::Theirs } else { Winner::Ours };
                return self.choose(name, base, ours, theirs, (winner, "claimed-first"));
            }
            Rule::Text { appends } => match self.merge_text(name, values, ours, theirs, appends) {
                Some(text) => text,
                None => return self.choose(name, base, ours, theirs, (higher(ours, theirs), "rev")),
            },
            Rule::Set => lists::merge_set(values.0, values.1, values.2),
            Rule::Edges => lists::merge_edges(values.0, values.1, values.2),
            Rule::Comments => self.merge_comments(name, values, ours, theirs),
            Rule::Earliest => extreme(values.1, values.2, false),
            Rule::Latest => extreme(values.1, values.2, true),
            Rule::Either => Value::Bool(values.1 == &Value::Bool(true) || values.2 == &Value::Bool(true)),
            Rule::Highest => highest(values.1, values.2),
            Rule::Counter => match lists::merge_counter(values.0, values.1, values.2) {
                Some(sum) => sum,
                None => return self.choose(name, base, ours, theirs, (higher(ours, theirs), "rev")),
            },
        };
        self.settle(name, value, ours, theirs)
    }

    /// The merged value with the clock of the side that has it, or of the merge when neither does.
    fn settle(&self, name: &str, value: Value, ours: Side<'_>, theirs: Side<'_>) -> (Option<Object>, Rev) {
        let rev = match (get(ours.fields, name) == &value, get(theirs.fields, name) == &value) {
            (true, true) => ours.rev.max(theirs.rev),
            (true, false) => ours.rev,
            (false, true) => theirs.rev,
            (false, false) => self.merge_rev,
        };
        let is_gone = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        let fields = (!is_gone).then(|| Object::from_iter([(name.to_owned(), value)]));
        (fields, rev.clone())
    }

    fn choose(
        &mut self,
        name: &str,
        base: Option<&Object>,
        ours: Side<'_>,
        theirs: Side<'_>,
        (winner, rule): (Winner, &str),
    ) -> (Option<Object>, Rev) {
        let (kept, lost) = if winner == Winner::Ours { (ours, theirs) } else { (theirs, ours) };
        let is_step = name == "status" && is_same_assignment(kept.fields, lost.fields);
        if lost.fields != base && !is_step {
            let choice = |side: Side<'_>| -> Choice { (value_of(name, side.fields), side.rev.clone()) };
            self.conflicts.push(Conflict::new(self.path, name, rule, choice(kept), choice(lost)));
        }
        (kept.fields.cloned(), kept.rev.clone())
    }

    /// `None`, when the unit does not hold texts.
    fn merge_text(
        &mut self,
        name: &str,
        (base, a, b): (&Value, &Value, &Value),
        ours: Side<'_>,
        theirs: Side<'_>,
        appends: bool,
    ) -> Option<Value> {
        let text = |value| match value {
            &Value::Null => Some(String::new()),
            Value::String(text) => Some(text.clone()),
            _ => None,
        };
        let (base, a, b) = (text(base)?, text(a)?, text(b)?);
        let is_ours = higher(ours, theirs) == Winner::Ours;
        let (strong, weak) = if is_ours { (a, b) } else { (b, a) };
        let merged = merge_texts(&base, &strong, &weak, appends);
        if merged.is_overlapping {
            let yields = if is_ours { self.theirs } else { self.ours };
            let hash = super::content_hash(format!("{}\0{name}\0{weak}", self.path).as_bytes());
            let text = format!("Edits of the {name} overlapped and another one stands. This one read:\n\n{weak}");
            self.remarks.push(serde_json::json!({
                "id": format!("merge-{hash}"),
                "author": "gt",
                "text": text,
                "created_at": get(Some(yields), "updated_at"),
            }));
        }
        Some(if merged.text.is_empty() { Value::Null } else { Value::String(merged.text) })
    }

    fn merge_comments(&mut self, name: &str, values: (&Value, &Value, &Value), ours: Side<'_>, theirs: Side<'_>) -> Value {
        let prefer_ours = higher(ours, theirs) == Winner::Ours;
        let (kept_rev, lost_rev) = if prefer_ours { (ours.rev, theirs.rev) } else { (theirs.rev, ours.rev) };
        let (path, conflicts) = (self.path, &mut self.conflicts);
        lists::merge_comments(values.0, values.1, values.2, prefer_ours, |kept, lost| {
            let (kept, lost) = ((kept.clone(), kept_rev.clone()), (lost.clone(), lost_rev.clone()));
            conflicts.push(Conflict::new(path, name, "rev", kept, lost));
        })
    }

    fn add_remarks(&mut self, units: &mut BTreeMap<String, Object>, clocks: &mut BTreeMap<String, Rev>) {
        if self.remarks.is_empty() {
            return;
        }
        let unit = units.entry("comments".into()).or_default();
        let mut comments = match unit.remove("comments") {
            Some(Value::Array(comments)) => comments,
            _ => Vec::new(),
        };
        let id = |comment: &Value| lists::field(comment, "id");
        let known: BTreeSet<String> = comments.iter().map(id).collect();
        comments.extend(self.remarks.drain(..).filter(|remark| !known.contains(&id(remark))));
        unit.insert("comments".into(), lists::order_comments(Value::Array(comments)));
        clocks.insert("comments".into(), self.merge_rev.clone());
    }
}

/// A unit as a conflict shows it: the plain value when it is one field of the unit's name.
fn value_of(unit: &str, fields: Option<&Object>) -> Value {
    match fields {
        None => Value::Null,
        Some(fields) if fields.len() == 1 && fields.contains_key(unit) => fields[unit].clone(),
        Some(fields) => Value::Object(fields.clone()),
    }
}

/// The lesser or greater of two texts; one that is there beats one that is not.
fn extreme(a: &Value, b: &Value, is_latest: bool) -> Value {
    match (a.is_null(), b.is_null()) {
        (true, _) => b.clone(),
        (_, true) => a.clone(),
        _ => {
            let is_less = lists::text_of(a) <= lists::text_of(b);
            if is_less == is_latest { b.clone() } else { a.clone() }
        }
    }
}

/// The greater number; what is no number yields.
fn highest(a: &Value, b: &Value) -> Value {
    let rank = |value: &Value| (value.as_u64(), lists::text_of(value));
    if rank(a) >= rank(b) { a.clone() } else { b.clone() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Object {
        value.as_object().unwrap().clone()
    }

    fn rev(number: u64, machine: &str) -> Rev {
        Rev { number, machine: machine.into() }
    }

    /// Edits `base` on two machines and merges, both ways round.
    fn merge(path: &str, base: &Value, ours: &Value, theirs: &Value) -> Merged {
        let class = Class::of(path);
        let base = (!base.is_null()).then(|| record::stamp(class, None, object(base), &rev(1, "m")));
        let side = |value: &Value, rev: Rev| (!value.is_null()).then(|| record::stamp(class, base.as_ref(), object(value), &rev));
        let (ours, theirs) = (side(ours, rev(2, "a")), side(theirs, rev(3, "b")));
        let versions = Versions { base, ours, theirs };
        let swapped = Versions { base: versions.base.clone(), ours: versions.theirs.clone(), theirs: versions.ours.clone() };
        let merged = merge_record(path, &versions, &rev(4, "merge"));
        assert_eq!(merged, merge_record(path, &swapped, &rev(4, "merge")), "swapping the sides changes the outcome");
        merged
    }

    const BEAD: &str = "beads/a/b/wi-ab.json";

    #[test]
    fn edits_of_different_units_both_stand_with_their_clocks() {
        let merged = merge(
            BEAD,
            &json!({"title":"t","priority":2,"colour":"red"}),
            &json!({"title":"T","priority":2,"colour":"red"}),
            &json!({"title":"t","priority":0,"colour":"blue"}),
        );
        let bead = merged.object.unwrap();
        assert_eq!((&bead["title"], &bead["priority"], &bead["colour"]), (&json!("T"), &json!(0), &json!("blue")));
        assert_eq!(record::unit_rev(&bead, "title"), rev(2, "a"));
        assert_eq!(record::unit_rev(&bead, "priority"), rev(3, "b"));
        assert!(merged.conflicts.is_empty());
    }

    #[test]
    fn of_two_titles_the_later_stands_and_the_other_is_told() {
        let merged = merge(BEAD, &json!({"title":"t"}), &json!({"title":"mine"}), &json!({"title":"yours"}));
        assert_eq!(merged.object.unwrap()["title"], "yours");
        assert_eq!((&merged.conflicts[0].overruled, merged.conflicts[0].rule.as_str()), (&json!("mine"), "rev"));
    }

    #[test]
    fn an_overlapping_text_is_kept_as_a_comment() {
        let merged = merge(
            BEAD,
            &json!({"description":"a","updated_at":"2026-01-01T00:00:00.000Z"}),
            &json!({"description":"mine","updated_at":"2026-01-02T00:00:00.000Z"}),
            &json!({"description":"yours","updated_at":"2026-01-03T00:00:00.000Z"}),
        );
        let bead = merged.object.unwrap();
        assert_eq!(bead["description"], "yours");
        assert!(bead["comments"][0]["text"].as_str().unwrap().ends_with("mine"));
        assert_eq!(bead["comments"][0]["created_at"], "2026-01-02T00:00:00.000Z");
        assert_eq!(bead["updated_at"], "2026-01-03T00:00:00.000Z");
    }

    #[test]
    fn of_two_tombstones_the_move_leads_on_and_only_two_moves_are_a_conflict() {
        const STONE: &str = "tombstones/a/b/wi-ab.json";
        let moved = |to: &str| json!({"id":"wi-ab","moved_to":to});
        let gone = |by: &str| json!({"id":"wi-ab","deleted_by":by});
        let both = |ours: &Value, theirs: &Value| merge(STONE, &Value::Null, ours, theirs);
        let merged = both(&gone("a"), &gone("b"));
        assert_eq!((&merged.object.unwrap()["deleted_by"], merged.conflicts.len()), (&json!("a"), 0));
        let merged = both(&gone("a"), &moved("ga-x"));
        assert_eq!((&merged.object.unwrap()["moved_to"], merged.conflicts.len()), (&json!("ga-x"), 0));
        let merged = both(&moved("ga-x"), &moved("ga-y"));
        assert_eq!((&merged.object.unwrap()["moved_to"], merged.conflicts.len()), (&json!("ga-x"), 1));
        let merged = merge(STONE, &gone("a"), &Value::Null, &moved("ga-x"));
        assert_eq!(merged.object, None, "a restored bead has none");
    }

    #[test]
    fn an_edit_outlives_a_removal_and_says_so_but_an_ended_hook_stays_ended() {
        let merged = merge(BEAD, &json!({"title":"t"}), &Value::Null, &json!({"title":"T"}));
        assert_eq!(merged.object.unwrap()["title"], "T");
        assert_eq!(merged.conflicts[0].rule, "edit-over-removal");
        let merged = merge("hooks/x.json", &json!({"bead":"wi-a"}), &Value::Null, &json!({"bead":"wi-a","args":"y"}));
        assert_eq!(merged, Merged::default());
        assert_eq!(merge(BEAD, &json!({"title":"t"}), &Value::Null, &json!({"title":"t"})), Merged::default());
    }

    #[test]
    fn a_letter_once_read_stays_read() {
        let path = "mail/mayor/202601/aa/hq-aa.json";
        let (early, late) = ("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z");
        let merged = merge(path, &json!({"read_at":null}), &json!({"read_at":late}), &json!({"read_at":early}));
        assert_eq!(merged.object.unwrap()["read_at"], early);
        let merged = merge(path, &json!({"read_at":early}), &json!({}), &json!({"read_at":late}));
        assert_eq!(merged.object.unwrap()["read_at"], late);
    }

    #[test]
    fn configuration_merges_by_key() {
        let merged = merge(
            "config/gates.json",
            &json!({"values":{"a":1,"b":1}}),
            &json!({"values":{"a":2,"b":1}}),
            &json!({"values":{"a":1,"c":3}}),
        );
        assert_eq!(merged.object.unwrap()["values"], json!({"a":2,"c":3}));
    }

    #[test]
    fn a_record_of_a_newer_version_is_taken_whole() {
        let merged = merge(BEAD, &json!({"v":1,"a":1,"b":1}), &json!({"v":1,"a":2,"b":1}), &json!({"v":9,"a":1,"b":2}));
        let bead = merged.object.unwrap();
        assert_eq!((&bead["a"], &bead["b"]), (&json!(1), &json!(2)));
        assert_eq!(merged.conflicts[0].rule, "newer-version");
    }

    #[test]
    fn two_records_of_one_id_stay_two() {
        let merged = merge(
            BEAD,
            &Value::Null,
            &json!({"title":"x","created_by":"a","created_at":"2026-01-02T00:00:00.000Z"}),
            &json!({"title":"y","created_by":"b","created_at":"2026-01-01T00:00:00.000Z"}),
        );
        assert_eq!(merged.object.unwrap()["title"], "y");
        assert_eq!(merged.second.unwrap()["title"], "x");
        let named = json!({"issue_type":"agent","created_at":"2026-01-02T00:00:00.000Z"});
        let other = json!({"issue_type":"agent","created_at":"2026-01-01T00:00:00.000Z"});
        let merged = merge(BEAD, &Value::Null, &named, &other);
        assert_eq!((merged.second, merged.conflicts), (None, vec![]), "what has a given name unifies");
    }

    #[test]
    fn approvals_of_both_sides_count_and_a_word_about_a_target_is_one_value() {
        let approval = |by: &str| json!({"by":by,"at":"2026-01-01T00:00:00.000Z","head":"h"});
        let merged = merge(
            BEAD,
            &json!({"state":"queued","status":"open"}),
            &json!({"state":"queued","status":"open","approvals":[approval("a")],"hold":{"by":"a"}}),
            &json!({"state":"queued","status":"open","approvals":[approval("b")],"hold":{"by":"b"}}),
        );
        let bead = merged.object.unwrap();
        assert_eq!((&bead["approvals"], &bead["hold"]), (&json!([approval("a"), approval("b")]), &json!({"by":"b"})));
        assert_eq!(merged.conflicts.len(), 1, "the hold that had to yield is told");
        let merged = merge(
            "queue/targets/main.json",
            &json!({"state":"open","by":"x"}),
            &json!({"state":"paused","by":"a","floor":0}),
            &json!({"state":"frozen","by":"b"}),
        );
        let control = merged.object.unwrap();
        assert_eq!((&control["state"], &control["by"], control.get("floor")), (&json!("frozen"), &json!("b"), None));
    }

    #[test]
    fn additions_of_both_sides_to_labels_and_comments_stand() {
        let remark = |id: &str| json!({"id":id,"author":"a","text":id,"created_at":"2026-01-01T00:00:00.000Z"});
        let merged = merge(
            BEAD,
            &json!({"labels":["x"],"comments":[remark("1")]}),
            &json!({"labels":["x","y"],"comments":[remark("1"),remark("3")]}),
            &json!({"labels":["z"],"comments":[remark("1"),remark("2")]}),
        );
        let bead = merged.object.unwrap();
        assert_eq!(bead["labels"], json!(["y", "z"]));
        assert_eq!(bead["comments"], json!([remark("1"), remark("2"), remark("3")]));
        assert_eq!(record::unit_rev(&bead, "labels"), rev(4, "merge"));
    }
}
