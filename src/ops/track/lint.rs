//! What is wanting in beads: said of each, so that somebody can mend it. Nothing is changed.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::ledger::Damaged;
use crate::ledger::index::Row;
use crate::model::bead::{Bead, IssueType, Status};
use crate::model::brief::Facts as _;
use crate::model::hook::Hook;
use crate::name::{BeadId, Prefix};
use crate::ops::track::find::{Found, Scopes};
use crate::ops::track::reach::{Reach, Sight};
use crate::town::Town;

/// What is wanting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Open work says nothing of what is to be done.
    NoDescription,
    /// A bug, feature or epic does not say when it is done.
    NoAcceptance,
    /// A bead was closed without a reason.
    NoReason,
    /// An edge, or the parent, leads to a bead that is not there.
    Dangling,
    /// A bead is hooked and on no hook, or a hook holds one that is not hooked.
    NoHook,
    /// Open beads of one scope have the same title.
    TitleTwice,
    /// A record cannot be read.
    Damaged,
}

/// Something that is wanting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
pub struct Finding {
    /// The bead, or the path of a record that cannot be read.
    pub id: String,
    /// What is wanting.
    pub rule: Rule,
    /// The same in words.
    pub message: String,
}

/// Looks at the beads of the asked scopes, archived ones aside, or at `only` when that names some.
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn lint(town: &Town, scopes: &Scopes, only: &BTreeSet<BeadId>) -> Result<Found<Finding>> {
    let mut reach = Reach::new(town);
    let mut found: Found<Finding> = Found::default();
    let catalogs = found.catalogs(&mut reach, scopes)?;
    for (prefix, catalog) in &catalogs {
        let mut titles: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in catalog.rows() {
            let is_work = row.issue_type().is_work() || *row.issue_type() == IssueType::Epic;
            let is_open = is_work && !row.status().is_closed();
            if let Some(brief) = is_open.then(|| reach.brief_of(prefix, row).ok()).flatten() {
                titles.entry(normal(&brief.title)).or_default().push(row.id().to_owned());
            }
            if only.is_empty() || only.iter().any(|id| id.as_str() == row.id()) {
                look(&mut reach, prefix, row, is_work, &mut found.beads);
            }
        }
        found.beads.extend(titles.values().filter(|ids| ids.len() > 1).flat_map(|ids| twice(ids, only)));
        check_hooks(town, prefix, only, &mut found.beads)?;
        if only.is_empty() {
            let damaged = |Damaged { path, fault }| Finding { id: path, rule: Rule::Damaged, message: fault };
            found.beads.extend(catalog.damaged().into_iter().map(damaged));
        }
    }
    found.beads.sort();
    found.beads.dedup();
    found.total = found.beads.len();
    Ok(found)
}

/// A title without what does not matter: case, marks, spaces.
pub(super) fn normal(title: &str) -> String {
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

fn twice(ids: &[String], only: &BTreeSet<BeadId>) -> Vec<Finding> {
    let is_asked = |id: &&String| only.is_empty() || only.iter().any(|one| one.as_str() == id.as_str());
    let others = |id: &String| ids.iter().filter(|other| *other != id).map(String::as_str).collect::<Vec<_>>().join(", ");
    let finding =
        |id: &String| Finding { id: id.clone(), rule: Rule::TitleTwice, message: format!("its title is that of {}", others(id)) };
    ids.iter().filter(is_asked).map(finding).collect()
}

fn look(reach: &mut Reach<'_>, prefix: &Prefix, row: Row<'_>, is_work: bool, findings: &mut Vec<Finding>) {
    let mut tell = |rule, message: String| findings.push(Finding { id: row.id().to_owned(), rule, message });
    let targets = row.edges().map(|(kind, target)| (kind.to_string(), row.target_id(target)));
    let parent = row.parent_id().map(|id| ("parent".to_owned(), id));
    for (kind, target) in targets.chain(parent) {
        let is_gone = target.parse().is_ok_and(|id| matches!(reach.brief(&id), Sight::Missing));
        if is_gone {
            tell(Rule::Dangling, format!("its {kind} {target} is not there"));
        }
    }
    if !is_work {
        return;
    }
    // One that cannot be read is told with the damage.
    let Ok(bead) = reach.in_full(prefix, row) else { return };
    if bead.status.is_closed() {
        if bead.close_reason.as_deref().is_none_or(|reason| matches!(reason.trim(), "" | "Closed")) {
            tell(Rule::NoReason, "it was closed without a reason".to_owned());
        }
        return;
    }
    if bead.description.trim().is_empty() {
        tell(Rule::NoDescription, "it does not say what is to be done".to_owned());
    }
    if wants_acceptance(&bead) {
        tell(Rule::NoAcceptance, format!("it does not say when it is done, as {} should", bead.issue_type.with_article()));
    }
}

fn wants_acceptance(bead: &Bead) -> bool {
    let is_asked = matches!(bead.issue_type, IssueType::Bug | IssueType::Feature | IssueType::Epic);
    is_asked && bead.acceptance_criteria.trim().is_empty() && !bead.description.to_lowercase().contains("acceptance")
}

fn check_hooks(town: &Town, prefix: &Prefix, only: &BTreeSet<BeadId>, findings: &mut Vec<Finding>) -> Result<()> {
    let ledger = town.scope_of(prefix)?;
    let state = ledger.state()?;
    let (hooks, damaged) = state.all::<Hook>("hooks")?;
    let is_asked = |id: &str| only.is_empty() || only.iter().any(|one| one.as_str() == id);
    let mut tell = |id: &str, message: String| {
        if is_asked(id) {
            findings.push(Finding { id: id.to_owned(), rule: Rule::NoHook, message });
        }
    };
    let catalog = state.catalog()?;
    for hook in &hooks {
        let stands = catalog.find(hook.bead.as_str()).map(|row| row.status().clone());
        match stands {
            Some(status) if status.is_assigned_work() => {}
            Some(status) => tell(hook.bead.as_str(), format!("it is on the hook of {} and {status}", hook.agent)),
            None => tell(hook.bead.as_str(), format!("it is on the hook of {} and not there", hook.agent)),
        }
    }
    // A hook that cannot be read may be the one.
    if damaged.is_empty() {
        for row in catalog.rows().filter(|row| *row.status() == Status::Hooked) {
            if !hooks.iter().any(|hook| hook.bead.as_str() == row.id()) {
                tell(row.id(), "it is hooked and on no hook".to_owned());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn titles_are_compared_without_case_and_marks() {
        assert_eq!(super::normal("Mend: the  PUMP!"), super::normal("mend the pump"));
        assert_ne!(super::normal("Größe"), super::normal("Grösse"));
    }
}
