//! Changes that were thought of while others could change the same bead: they are written where nobody else did.

use crate::error::{Error, Result};
use crate::model::bead::{Bead, Status};
use crate::model::dependency::parent_of;
use crate::ops::convoy;
use crate::ops::track::edit::{Edit, in_each_scope, update_in};
use crate::town::Town;

/// Applies `edit`, which was made on `base`, to the bead as it is now.
///
/// # Errors
/// Conflict, when a field that it changes was changed meanwhile, to another value; else as [`crate::ops::track::update`].
/// Then nothing is written.
pub fn revise(town: &Town, base: &Bead, edit: &Edit) -> Result<Bead> {
    let beads = in_each_scope(town, std::slice::from_ref(&base.id), "edit", |change, id| {
        let now = change.bead(id)?;
        let clashes = clashes(base, &now, edit);
        if !clashes.is_empty() {
            return Err(Error::conflict(format!("{id} was changed meanwhile in {}", clashes.join(", ")))
                .hint(format!("see how it is now: gt show {id}; then edit it again")));
        }
        update_in(town, change, id, edit)
    })?;
    if edit.status == Some(Status::Closed) {
        convoy::after_close(town, beads.iter().map(|bead| &bead.id));
    }
    beads.into_iter().next().ok_or_else(|| Error::bug("a bead was changed and is not there"))
}

/// The fields that `edit` sets to another value than `now` has, though they were not so at `base`.
fn clashes(base: &Bead, now: &Bead, edit: &Edit) -> Vec<&'static str> {
    fn clash<T: PartialEq>(wanted: Option<&T>, base: &T, now: &T) -> bool {
        wanted.is_some_and(|wanted| base != now && wanted != now)
    }
    let extra = |bead: &Bead, key: &str| bead.extra.get(key).cloned();
    let fields = &edit.fields;
    let minutes = fields.estimate_minutes.map(|minutes| minutes.map(serde_json::Value::from));
    let external = fields.external_ref.clone().map(|name| name.map(serde_json::Value::from));
    let parent = |bead: &Bead| parent_of(bead).cloned();
    [
        ("title", clash(edit.title.as_ref(), &base.title, &now.title)),
        ("description", clash(edit.description.as_ref(), &base.description, &now.description)),
        ("design", clash(edit.design.as_ref(), &base.design, &now.design)),
        ("acceptance", clash(edit.acceptance.as_ref(), &base.acceptance_criteria, &now.acceptance_criteria)),
        ("notes", clash(edit.notes.as_ref(), &base.notes, &now.notes)),
        ("type", clash(edit.issue_type.as_ref(), &base.issue_type, &now.issue_type)),
        ("status", clash(edit.status.as_ref(), &base.status, &now.status)),
        ("priority", clash(edit.priority.as_ref(), &base.priority, &now.priority)),
        ("assignee", clash(edit.assignee.as_ref(), &base.assignee, &now.assignee)),
        ("owner", clash(fields.owner.as_ref(), &base.owner, &now.owner)),
        ("due", clash(edit.due_at.as_ref(), &base.due_at, &now.due_at)),
        ("defer", clash(edit.defer_until.as_ref(), &base.defer_until, &now.defer_until)),
        ("parent", clash(fields.parent.as_ref(), &parent(base), &parent(now))),
        ("estimate", clash(minutes.as_ref(), &extra(base, "estimated_minutes"), &extra(now, "estimated_minutes"))),
        ("external-ref", clash(external.as_ref(), &extra(base, "external_ref"), &extra(now, "external_ref"))),
    ]
    .into_iter()
    .filter_map(|(name, clashes)| clashes.then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::IssueType;
    use crate::time::Moment;

    #[test]
    fn only_what_both_changed_to_different_values_clashes() {
        let base = Bead::new("wi-a".parse().unwrap(), IssueType::Task, "t", "o", Moment::from_millis(0)).unwrap();
        let mut now = base.clone();
        now.title = "theirs".into();
        now.priority = 1;
        let edit =
            |title: &str, priority| Edit { title: Some(title.into()), priority, notes: Some("n".into()), ..Edit::default() };
        assert_eq!(clashes(&base, &now, &edit("ours", Some(0))), ["title", "priority"]);
        assert_eq!(clashes(&base, &now, &edit("theirs", Some(1))), Vec::<&str>::new());
        assert_eq!(clashes(&base, &base, &edit("ours", Some(0))), Vec::<&str>::new());
    }
}
