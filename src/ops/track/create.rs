//! New beads, and the numbers of children.

use std::collections::BTreeSet;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::{Change, Ledger};
use crate::model::bead::{Bead, Dependency, DependencyKind, IssueType, check_text, check_title};
use crate::model::record::Object;
use crate::name::{BeadId, Prefix};
use crate::ops::track::depend;
use crate::ops::track::fields::Fields;
use crate::ops::track::reach::Reach;
use crate::time::Moment;
use crate::town::Town;

/// What a new bead shall be.
#[derive(Clone, Debug)]
pub struct Draft {
    /// One line.
    pub title: String,
    /// What sort of item.
    pub issue_type: IssueType,
    /// 0 critical … 4 backlog.
    pub priority: u8,
    /// What is to be done and why.
    pub description: String,
    /// How.
    pub design: String,
    /// When it is done.
    pub acceptance: String,
    /// What is known already.
    pub notes: String,
    /// Labels.
    pub labels: BTreeSet<String>,
    /// The bead it is a child of; its scope is the parent's.
    pub parent: Option<BeadId>,
    /// What it depends on.
    pub dependencies: Vec<(DependencyKind, BeadId)>,
    /// Its id; drawn when not given.
    pub id: Option<BeadId>,
    /// Who has it.
    pub assignee: Option<String>,
    /// When it is due.
    pub due_at: Option<Moment>,
    /// Not ready before this.
    pub defer_until: Option<Moment>,
    /// Beads of its scope that it must close before.
    pub blocks: Vec<BeadId>,
    /// What not every bead has.
    pub fields: Fields,
    /// What other tools say of it.
    pub extra: Object,
}

impl Draft {
    /// A task of priority 2 with nothing but a title.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            issue_type: IssueType::Task,
            priority: 2,
            description: String::new(),
            design: String::new(),
            acceptance: String::new(),
            notes: String::new(),
            labels: BTreeSet::new(),
            parent: None,
            dependencies: Vec::new(),
            id: None,
            assignee: None,
            due_at: None,
            defer_until: None,
            blocks: Vec::new(),
            fields: Fields::default(),
            extra: Object::new(),
        }
    }

    fn check(&self, prefix: &Prefix) -> Result<()> {
        check_title(&self.title)?;
        check_priority(self.priority)?;
        check_texts(&[
            ("description", &self.description),
            ("design", &self.design),
            ("acceptance criteria", &self.acceptance),
            ("notes", &self.notes),
        ])?;
        self.labels.iter().try_for_each(|label| check_label(label))?;
        self.fields.check()?;
        check_settable_type(&self.issue_type)?;
        check_no_convoy(&self.issue_type)?;
        if let Some(id) = self.id.as_ref().filter(|id| id.prefix() != *prefix) {
            return Err(Error::usage(format!("{id} cannot live in the scope {prefix}"))
                .hint(format!("give an id that starts with {prefix}-, or name its rig with --rig")));
        }
        Ok(())
    }
}

/// Checks a priority.
///
/// # Errors
/// Usage, when it is above 4.
pub fn check_priority(priority: u8) -> Result<()> {
    if priority <= 4 {
        return Ok(());
    }
    Err(Error::usage(format!("{priority} is not a priority")).hint("0 is critical, 2 is usual, 4 is backlog"))
}

/// Checks the sizes of text fields.
///
/// # Errors
/// Usage, naming the field and the limit.
pub fn check_texts(fields: &[(&str, &str)]) -> Result<()> {
    fields.iter().try_for_each(|(field, text)| check_text(field, text))
}

/// Checks a label: one plain word or phrase.
///
/// # Errors
/// Usage, when it is empty, too long, or has commas or control characters.
pub fn check_label(label: &str) -> Result<()> {
    let good = !label.trim().is_empty()
        && label.trim() == label
        && label.chars().count() <= 100
        && !label.chars().any(|c| c.is_control() || c == ',');
    if good {
        return Ok(());
    }
    Err(Error::usage(format!("'{}' cannot be a label", label.escape_debug()))
        .hint("a label is up to 100 characters without commas, control characters or outer spaces"))
}

/// Refuses types whose beads gt keeps itself.
///
/// # Errors
/// Refused, naming the verb that makes such a bead.
pub fn check_settable_type(issue_type: &IssueType) -> Result<()> {
    let verb = match issue_type {
        IssueType::Agent => "gt sling makes polecats",
        IssueType::Role => "gt install writes the roles",
        IssueType::Rig => "gt rig add makes rigs",
        IssueType::MergeRequest => "gt done hands work in",
        _ => return Ok(()),
    };
    Err(Error::refused(format!("beads of type {issue_type} are kept by gt itself")).hint(verb))
}

/// Refuses convoys, which have verbs of their own.
///
/// # Errors
/// Refused, naming those verbs.
pub fn check_no_convoy(issue_type: &IssueType) -> Result<()> {
    if *issue_type != IssueType::Convoy {
        return Ok(());
    }
    Err(Error::refused("convoys are made, changed and closed by their own verbs").hint("see: gt convoy --help"))
}

/// Makes the bead that `draft` describes in `ledger`, whose prefix is `prefix`.
///
/// # Errors
/// Usage, when a field breaks a limit; not found, when the parent or a dependency is not there; refused, when the
/// id is taken or a dependency would close a ring.
pub fn create(town: &Town, ledger: &Ledger, prefix: &Prefix, draft: &Draft) -> Result<Bead> {
    let mut reach = Reach::new(town);
    let deed = town.deed("create", format!("create {}", draft.title));
    ledger.transact(&deed, |change| create_in(town, change, &mut reach, prefix, draft))
}

/// The bead that [`create`] would make now, which writes nothing; an id that is drawn is drawn anew when it is made.
///
/// # Errors
/// As [`create`].
pub fn plan(town: &Town, ledger: &Ledger, prefix: &Prefix, draft: &Draft) -> Result<Bead> {
    let mut reach = Reach::new(town);
    ledger.rehearse(town.now, |change| create_in(town, change, &mut reach, prefix, draft))
}

/// As [`create`], as a part of a larger change to the scope with `prefix`.
pub(super) fn create_in(
    town: &Town,
    change: &mut Change<'_>,
    reach: &mut Reach<'_>,
    prefix: &Prefix,
    draft: &Draft,
) -> Result<Bead> {
    draft.check(prefix)?;
    for (_, target) in &draft.dependencies {
        depend::check_target(change, prefix, reach, target)?;
    }
    let id = new_id(change, prefix, draft)?;
    let bead = written(town, id, draft)?;
    change.put_bead(&bead)?;
    // What nobody spoke of yet waits for itself only through its parent, whose children others may wait for.
    let may_be_awaited = draft.id.is_some() || bead.parent.is_some();
    if may_be_awaited && (!bead.dependencies.is_empty() || bead.parent.is_some()) {
        depend::check_no_ring(change, prefix, reach, &bead.id)?;
    }
    for waiting in &draft.blocks {
        if waiting.prefix() != *prefix {
            return Err(Error::refused(format!("{waiting} lives in another scope, and one transaction writes one"))
                .hint(format!("make it wait when the new bead is there: gt bead dep add {waiting} ID")));
        }
        depend::connect_in(town, change, reach, waiting, &bead.id, &DependencyKind::Blocks)?;
    }
    change.bead_as_written(&bead.id)
}

fn new_id(change: &mut Change<'_>, prefix: &Prefix, draft: &Draft) -> Result<BeadId> {
    if let Some(parent) = &draft.parent {
        change.bead(parent)?;
    }
    let id = match (&draft.id, &draft.parent) {
        (Some(id), _) => id.clone(),
        (None, Some(parent)) => child_id(change, parent)?,
        (None, None) => return change.mint(prefix, ""),
    };
    if change.has_bead(&id)? {
        return Err(Error::refused(format!("there is a bead {id} already")).hint(format!("see: gt show {id}")));
    }
    if let Some(stone) = change.tombstone(&id)? {
        let absence = stone.absence();
        let said = Error::refused(format!("an id is never given twice: {}", absence.line()));
        return Err(said.hint(absence.hint.unwrap_or_default()));
    }
    Ok(id)
}

/// The next child of `parent`: `<parent>.<n>` on the machine whose slot ends the parent's id, else
/// `<parent>.<n>-<slot>`, so that two machines which number alike still make two ids.
fn child_id(change: &Change<'_>, parent: &BeadId) -> Result<BeadId> {
    let start = format!("{parent}.");
    let mut siblings = change.before().ids_beside(parent)?;
    siblings.extend(change.before().tombstones_beside(parent)?);
    siblings.extend(change.touched().filter(|id| id.as_str().starts_with(&start)).cloned());
    let number = |id: &BeadId| -> Option<u64> {
        let rest = id.as_str().strip_prefix(&start)?;
        rest.split(['.', '-']).next()?.parse().ok()
    };
    let n = siblings.iter().filter_map(number).max().unwrap_or(0) + 1;
    let mark = change.slot()?.mark();
    let text = if slot_mark(parent) == mark { format!("{start}{n}") } else { format!("{start}{n}-{mark}") };
    text.parse().or_fail(Kind::Usage, || format!("number a child of {parent}")).map_err(|e| e.hint("beads nest only so deep"))
}

/// The slot mark at the end of an id: after the dash of a child that another machine numbered, else at the end of
/// the drawn suffix.
fn slot_mark(id: &BeadId) -> &str {
    let marked = id.suffix().split('.').skip(1).filter_map(|part| part.split_once('-')).last();
    if let Some((_, mark)) = marked {
        return mark;
    }
    let root = id.suffix().split('.').next().unwrap_or_default();
    let len = if root.ends_with('z') { 3 } else { 1 };
    root.get(root.len().saturating_sub(len)..).unwrap_or_default()
}

fn written(town: &Town, id: BeadId, draft: &Draft) -> Result<Bead> {
    let by = town.actor.name.as_str();
    let mut bead = Bead::new(id, draft.issue_type.clone(), &draft.title, by, town.now)?;
    bead.priority = draft.priority;
    bead.description.clone_from(&draft.description);
    bead.design.clone_from(&draft.design);
    bead.acceptance_criteria.clone_from(&draft.acceptance);
    bead.notes.clone_from(&draft.notes);
    bead.labels.clone_from(&draft.labels);
    bead.parent.clone_from(&draft.parent);
    bead.assignee.clone_from(&draft.assignee);
    bead.due_at = draft.due_at;
    bead.defer_until = draft.defer_until;
    bead.extra.clone_from(&draft.extra);
    draft.fields.apply(&mut bead);
    for (kind, target) in &draft.dependencies {
        if bead.dependencies.iter().any(|edge| edge.depends_on_id == *target) {
            return Err(Error::usage(format!("{target} is named twice among the dependencies")).hint("name each once"));
        }
        depend::check_parent(&bead, kind, target)?;
        bead.dependencies.push(Dependency {
            issue_id: bead.id.clone(),
            depends_on_id: target.clone(),
            kind: kind.clone(),
            created_by: by.to_owned(),
            created_at: town.now,
            extra: Object::new(),
        });
    }
    Ok(bead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_of_an_id_is_read_from_its_end() {
        let mark = |id: &str| slot_mark(&id.parse().unwrap()).to_owned();
        assert_eq!(mark("wi-x7k2m"), "m");
        assert_eq!(mark("wi-x7k20az"), "0az");
        assert_eq!(mark("wi-x7k2m.4"), "m");
        assert_eq!(mark("wi-x7k2m.4-k.2"), "k");
        assert_eq!(mark(&format!("wi-x7k2{}", crate::name::Slot(40).mark())), crate::name::Slot(40).mark());
    }

    #[test]
    fn labels_and_priorities_have_limits() {
        for bad in ["", " a", "a,b", "a\nb", &"x".repeat(101)] {
            assert!(check_label(bad).is_err(), "{bad}");
        }
        assert!(check_label("needs review").is_ok());
        assert!(check_priority(5).is_err());
        assert!(check_settable_type(&IssueType::Agent).is_err());
    }
}
