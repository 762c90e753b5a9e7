//! Makes a merged ledger whole: what each side kept true alone may not hold for both together.
//!
//! Looks only at what the merge touched and at what that refers to. Deterministic: order by path, moments
//! from the records, clocks of the merge.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::lists::get;
use super::{Conflict, Versions};
use crate::error::Result;
use crate::model::address::Address;
use crate::model::bead::OF_ASSIGNMENT;
use crate::model::record::{self, Class, Object, Rev};
use crate::name::BeadId;

/// A record that the merge touched: its versions and what came out.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// What went in.
    pub versions: Versions,
    /// What came out.
    pub merged: Option<Object>,
}

/// Where records lie, which the ledger's floor knows.
#[derive(Clone, Copy)]
pub struct Paths {
    /// The path of a bead.
    pub bead: fn(&BeadId) -> String,
    /// The path of an agent's hook.
    pub hook: fn(&Address) -> String,
    /// The path of what stands for a bead that was deleted.
    pub tombstone: fn(&BeadId) -> String,
}

/// What the repair changed.
#[derive(Clone, Debug, Default)]
pub struct Repaired {
    /// Records to write, or to remove.
    pub edits: BTreeMap<String, Option<Object>>,
    /// Choices that had to yield.
    pub conflicts: Vec<Conflict>,
}

/// Restores the invariants among `touched`; `read` gives records that the merge did not touch.
///
/// A closed bead has a moment of closing and no other has; a hook hangs only where its bead names the agent; a
/// bead that lost its hook is open again; a bead has one live merge request; one whose beads are all closed
/// is held; blocking dependencies make no cycle; a bead that is there was not deleted.
///
/// # Errors
/// Those of `read`.
pub fn repair(
    touched: &BTreeMap<String, Touched>,
    paths: Paths,
    merge_rev: &Rev,
    read: &mut dyn FnMut(&str) -> Result<Option<Object>>,
) -> Result<Repaired> {
    let mut work = Repairing { touched, paths, merge_rev, read, done: Repaired::default() };
    let beads: Vec<&String> = touched.keys().filter(|path| Class::of(path) == Class::Bead).collect();
    for path in &beads {
        work.mend_closing(path)?;
    }
    for path in work.hooks_concerned() {
        work.drop_stray_hook(&path)?;
    }
    for path in &beads {
        work.open_unhooked(path)?;
    }
    work.supersede_doubles(&beads)?;
    for path in &beads {
        work.hold_request_without_beads(path)?;
    }
    for path in &beads {
        work.break_cycles(path)?;
    }
    for path in &beads {
        work.drop_tombstone(path)?;
    }
    Ok(work.done)
}

pub(super) struct Repairing<'a> {
    pub(super) touched: &'a BTreeMap<String, Touched>,
    paths: Paths,
    pub(super) merge_rev: &'a Rev,
    read: &'a mut dyn FnMut(&str) -> Result<Option<Object>>,
    pub(super) done: Repaired,
}

pub(super) fn text(object: &Object, name: &str) -> String {
    get(Some(object), name).as_str().unwrap_or_default().to_owned()
}

/// The fields that the status unit of a bead consists of.
fn status_unit(object: &Object) -> Value {
    record::units(Class::Bead, object).remove("status").map_or(Value::Null, Value::Object)
}

fn is_live_request(object: &Object) -> bool {
    text(object, "issue_type") == "merge-request" && matches!(text(object, "state").as_str(), "queued" | "held" | "landing")
}

impl Repairing<'_> {
    /// The record at `path` as it is by now.
    pub(super) fn now(&mut self, path: &str) -> Result<Option<Object>> {
        if let Some(edit) = self.done.edits.get(path) {
            return Ok(edit.clone());
        }
        match self.touched.get(path) {
            Some(touched) => Ok(touched.merged.clone()),
            None => (self.read)(path),
        }
    }

    pub(super) fn bead(&mut self, id: &str) -> Result<Option<(String, Object)>> {
        let Ok(id) = id.parse::<BeadId>() else { return Ok(None) };
        let path = (self.paths.bead)(&id);
        Ok(self.now(&path)?.map(|object| (path, object)))
    }

    pub(super) fn write(&mut self, path: &str, old: &Object, new: Object) {
        let stamped = record::stamp(Class::of(path), Some(old), new, self.merge_rev);
        self.done.edits.insert(path.to_owned(), Some(stamped));
    }

    fn overrule(&mut self, path: &str, rule: &str, kept: Value, old: &Object, lost: Value) {
        let lost_rev = record::unit_rev(old, "status");
        self.done.conflicts.push(Conflict::new(path, "status", rule, (kept, self.merge_rev.clone()), (lost, lost_rev)));
    }

    /// Closed, exactly when there is a moment of closing.
    fn mend_closing(&mut self, path: &str) -> Result<()> {
        let Some(old) = self.now(path)? else { return Ok(()) };
        let mut bead = old.clone();
        let is_closed = text(&bead, "status") == "closed";
        if is_closed && !bead.contains_key("closed_at") {
            bead.insert("closed_at".into(), get(Some(&old), "updated_at").clone());
        }
        if !is_closed {
            for name in ["closed_at", "close_reason", "closed_by"] {
                bead.remove(name);
            }
        }
        if bead != old {
            self.write(path, &old, bead);
        }
        Ok(())
    }

    /// Hooks that the merge touched, and those of all who had a touched bead on any side.
    fn hooks_concerned(&self) -> BTreeSet<String> {
        let mut hooks = BTreeSet::new();
        for (path, touched) in self.touched {
            match Class::of(path) {
                Class::Hook => drop(hooks.insert(path.clone())),
                Class::Bead => {
                    let Versions { base, ours, theirs } = &touched.versions;
                    let holders = [base, ours, theirs, &touched.merged].into_iter().flatten();
                    hooks.extend(holders.filter_map(|bead| self.hook_of(bead)));
                }
                _ => {}
            }
        }
        hooks
    }

    /// The hook's path of whoever has `bead`.
    fn hook_of(&self, bead: &Object) -> Option<String> {
        text(bead, "assignee").parse::<Address>().ok().map(|agent| (self.paths.hook)(&agent))
    }

    fn drop_stray_hook(&mut self, path: &str) -> Result<()> {
        let Some(hook) = self.now(path)? else { return Ok(()) };
        let id = text(&hook, "bead");
        let stays = match self.bead(&id)? {
            Some((_, bead)) => {
                let is_over = matches!(text(&bead, "status").as_str(), "closed" | "in_review" | "open");
                !is_over && self.hook_of(&bead).as_deref() == Some(path)
            }
            // What hangs here may be no bead; it is stray only when this merge removed the bead.
            None => !id.parse().is_ok_and(|id| self.touched.contains_key(&(self.paths.bead)(&id))),
        };
        if !stays {
            self.done.edits.insert(path.to_owned(), None);
        }
        Ok(())
    }

    /// A bead whose side had it on a hook, which the merge took away, is open again.
    ///
    /// A bead that was claimed without a hook stays as it is.
    fn open_unhooked(&mut self, path: &str) -> Result<()> {
        let Some(old) = self.now(path)? else { return Ok(()) };
        if !matches!(text(&old, "status").as_str(), "hooked" | "in_progress") {
            return Ok(());
        }
        let Some(hook_path) = self.hook_of(&old) else { return Ok(()) };
        let names_it = |hook: &Option<Object>| hook.as_ref().is_some_and(|hook| get(Some(hook), "bead") == get(Some(&old), "id"));
        if names_it(&self.now(&hook_path)?) {
            return Ok(());
        }
        let Some(hook) = self.touched.get(&hook_path) else { return Ok(()) };
        let Versions { base, ours, theirs } = &hook.versions;
        if ![base, ours, theirs].into_iter().any(names_it) {
            return Ok(());
        }
        let mut bead = old.clone();
        bead.retain(|field, _| !OF_ASSIGNMENT.contains(&field.as_str()));
        bead.insert("status".into(), "open".into());
        self.overrule(path, "hook-taken", status_unit(&bead), &old, status_unit(&old));
        self.write(path, &old, bead);
        Ok(())
    }

    /// Of several live requests of one bead the one of the assignment that kept it stays.
    fn supersede_doubles(&mut self, beads: &[&String]) -> Result<()> {
        let mut requests: BTreeMap<String, Vec<(String, Object)>> = BTreeMap::new();
        for path in beads {
            let Some(request) = self.now(path)?.filter(is_live_request) else { continue };
            for source in get(Some(&request), "source_beads").as_array().into_iter().flatten().filter_map(Value::as_str) {
                requests.entry(source.to_owned()).or_default().push(((*path).clone(), request.clone()));
            }
        }
        for (source, mut rivals) in requests {
            let holder = self.bead(&source)?.map(|(_, bead)| text(&bead, "assignee")).unwrap_or_default();
            rivals.sort_by_key(|(path, request)| {
                let is_landing = text(request, "state") == "landing";
                let is_holders = !holder.is_empty() && text(request, "author") == holder;
                (!is_landing, !is_holders, record::unit_rev(request, "status"), path.clone())
            });
            let Some((_, first)) = rivals.first().cloned() else { continue };
            for (path, _) in &rivals[1..] {
                self.supersede(path, &first)?;
            }
        }
        Ok(())
    }

    fn supersede(&mut self, path: &str, by: &Object) -> Result<()> {
        // It may have been superseded for another of its beads already.
        let Some(old) = self.now(path)?.filter(is_live_request) else { return Ok(()) };
        let at = text(&old, "updated_at").max(text(by, "updated_at"));
        let mut request = old.clone();
        let changes = json!({"state": "superseded", "status": "closed", "closed_at": at, "updated_at": at, "closed_by": "gt",
            "close_reason": format!("superseded by {}", text(by, "id"))});
        request.extend(changes.as_object().cloned().unwrap_or_default());
        self.overrule(path, "one-request-a-bead", status_unit(&request), &old, status_unit(&old));
        self.write(path, &old, request);
        Ok(())
    }

    /// An edit outlives a removal, and then the bead was not deleted; one that was moved is a second bead now. The report
    /// on the edit tells.
    fn drop_tombstone(&mut self, path: &str) -> Result<()> {
        let Some(id) = self.now(path)?.and_then(|bead| text(&bead, "id").parse::<BeadId>().ok()) else { return Ok(()) };
        let place = (self.paths.tombstone)(&id);
        if self.now(&place)?.is_some() {
            self.done.edits.insert(place, None);
        }
        Ok(())
    }

    /// A queued request whose beads were all closed otherwise waits for a person.
    fn hold_request_without_beads(&mut self, path: &str) -> Result<()> {
        let Some(old) = self.now(path)? else { return Ok(()) };
        if !is_live_request(&old) || text(&old, "state") != "queued" {
            return Ok(());
        }
        let sources: Vec<String> = get(Some(&old), "source_beads")
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        for source in &sources {
            if self.bead(source)?.is_none_or(|(_, bead)| text(&bead, "status") != "closed") {
                return Ok(());
            }
        }
        if sources.is_empty() {
            return Ok(());
        }
        let mut request = old.clone();
        request.insert("state".into(), "held".into());
        request.insert("held_reason".into(), format!("closed otherwise: {}", sources.join(", ")).into());
        self.overrule(path, "beads-closed", status_unit(&request), &old, status_unit(&old));
        self.write(path, &old, request);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: Paths = Paths {
        bead: |id| format!("beads/{id}.json"),
        hook: |agent| format!("hooks/{}.json", agent.as_component()),
        tombstone: |id| format!("tombstones/{id}.json"),
    };

    fn rev(number: u64) -> Rev {
        Rev { number, machine: "m".into() }
    }

    fn stamped(path: &str, value: &Value, number: u64) -> Object {
        record::stamp(Class::of(path), None, value.as_object().unwrap().clone(), &rev(number))
    }

    /// A side's record and its clock.
    type Held = Option<(Value, u64)>;

    /// Each record: path, ours, theirs, merged. Base is empty.
    fn run(records: &[(&str, Held, Held, Value)]) -> Repaired {
        let mut touched = BTreeMap::new();
        for (path, ours, theirs, merged) in records {
            let side = |side: &Held| side.as_ref().map(|(value, number)| stamped(path, value, *number));
            let versions = Versions { base: None, ours: side(ours), theirs: side(theirs) };
            let merged = (!merged.is_null()).then(|| stamped(path, merged, 9));
            touched.insert((*path).to_owned(), Touched { versions, merged });
        }
        repair(&touched, PATHS, &Rev { number: 10, machine: "merge".into() }, &mut |_| Ok(None)).unwrap()
    }

    #[test]
    fn the_hook_of_an_assignment_that_yielded_is_dropped() {
        let bead = |who: &str| json!({"id":"wi-a","status":"hooked","assignee":who,"assigned_rev":"1@m"});
        let (toast, nux) = ("widgets/polecats/toast", "widgets/polecats/nux");
        let hook = json!({"bead":"wi-a"});
        let repaired = run(&[
            ("beads/wi-a.json", Some((bead(toast), 1)), Some((bead(nux), 2)), bead(toast)),
            ("hooks/widgets%2Fpolecats%2Ftoast.json", Some((hook.clone(), 1)), None, hook.clone()),
            ("hooks/widgets%2Fpolecats%2Fnux.json", None, Some((hook.clone(), 2)), hook.clone()),
        ]);
        assert_eq!(repaired.edits, BTreeMap::from([("hooks/widgets%2Fpolecats%2Fnux.json".to_owned(), None)]));
    }

    #[test]
    fn a_bead_that_lost_its_hook_is_open_again_but_a_bare_claim_stays() {
        let bead = |id: &str| json!({"id":id,"status":"hooked","assignee":"mayor","assigned_rev":"1@m"});
        let (a, b) = (json!({"bead":"wi-a"}), json!({"bead":"wi-b"}));
        let repaired = run(&[
            ("beads/wi-a.json", Some((bead("wi-a"), 1)), None, bead("wi-a")),
            ("beads/wi-b.json", None, Some((bead("wi-b"), 2)), bead("wi-b")),
            ("hooks/mayor.json", Some((a.clone(), 1)), Some((b, 2)), a),
        ]);
        assert_eq!(repaired.edits.keys().collect::<Vec<_>>(), ["beads/wi-b.json"]);
        let mended = repaired.edits["beads/wi-b.json"].as_ref().unwrap();
        assert_eq!((mended["status"].as_str(), mended.get("assignee")), (Some("open"), None));
        assert_eq!(repaired.conflicts[0].rule, "hook-taken");
        let claimed = run(&[("beads/wi-a.json", Some((bead("wi-a"), 1)), None, bead("wi-a"))]);
        assert!(claimed.edits.is_empty());
    }

    #[test]
    fn a_bead_has_one_live_request_and_closed_beads_hold_theirs() {
        let request = |id: &str, who: &str| json!({"id":id,"issue_type":"merge-request","status":"open","state":"queued","author":who,"source_beads":["wi-a"]});
        let bead = |status: &str| json!({"id":"wi-a","status":status,"assignee":"x","closed_at":"t","updated_at":"t"});
        let (one, two) = (request("wi-1", "y"), request("wi-2", "x"));
        let records = |status: &str| {
            run(&[
                ("beads/wi-1.json", Some((one.clone(), 1)), None, one.clone()),
                ("beads/wi-2.json", None, Some((two.clone(), 2)), two.clone()),
                ("beads/wi-a.json", Some((bead(status), 1)), None, bead(status)),
            ])
        };
        let state =
            |repaired: &Repaired, path: &str| repaired.edits.get(path).and_then(|e| e.as_ref().map(|o| o["state"].clone()));
        let repaired = records("in_review");
        assert_eq!(state(&repaired, "beads/wi-1.json"), Some("superseded".into()), "the other's was kept by its holder");
        assert_eq!(state(&repaired, "beads/wi-2.json"), None);
        let repaired = records("closed");
        assert_eq!(state(&repaired, "beads/wi-2.json"), Some("held".into()));
    }

    #[test]
    fn a_cycle_loses_its_newest_edge() {
        let edge = |from: &str, to: &str| json!([{"issue_id":from,"depends_on_id":to,"type":"blocks","created_at":"t"}]);
        let a = json!({"id":"wi-a","dependencies":edge("wi-a","wi-b")});
        let b = json!({"id":"wi-b","dependencies":edge("wi-b","wi-a")});
        let (bare_a, bare_b) = (json!({"id":"wi-a"}), json!({"id":"wi-b"}));
        let repaired = run(&[
            ("beads/wi-a.json", Some((a.clone(), 3)), Some((bare_a, 1)), a),
            ("beads/wi-b.json", Some((bare_b, 1)), Some((b.clone(), 5)), b),
        ]);
        assert_eq!(repaired.edits.keys().collect::<Vec<_>>(), ["beads/wi-b.json"]);
        assert!(!repaired.edits["beads/wi-b.json"].as_ref().unwrap().contains_key("dependencies"));
        assert_eq!(repaired.conflicts[0].overruled_rev, rev(5));
    }

    #[test]
    fn closed_and_its_moment_go_together() {
        let repaired = run(&[("beads/wi-a.json", Some((json!({}), 1)), None, json!({"status":"closed","updated_at":"t"}))]);
        assert_eq!(repaired.edits["beads/wi-a.json"].as_ref().unwrap()["closed_at"], "t");
        let repaired = run(&[("beads/wi-a.json", Some((json!({}), 1)), None, json!({"status":"open","closed_at":"t"}))]);
        assert!(!repaired.edits["beads/wi-a.json"].as_ref().unwrap().contains_key("closed_at"));
    }
}
