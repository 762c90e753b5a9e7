//! Which beads a list keeps.
//!
//! What the rows of an index tell is asked first; the record of a bead is read only for what rows do not have, and only
//! when everything else about the bead fits.

mod field;

use crate::error::{Error, Result};
use crate::ledger::Damaged;
use crate::ledger::index::Row;
use crate::model::bead::{Bead, IssueType, Status};
use crate::model::brief::Facts;
use crate::name::{BeadId, Prefix};
use crate::ops::track::reach::Reach;
pub use field::{Field, Span};

/// Which beads to keep; an empty field keeps all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One of these statuses.
    pub statuses: Vec<Status>,
    /// None of these statuses.
    pub not_statuses: Vec<Status>,
    /// One of these types.
    pub types: Vec<IssueType>,
    /// None of these types.
    pub not_types: Vec<IssueType>,
    /// One of these priorities.
    pub priorities: Vec<u8>,
    /// All of these labels.
    pub labels: Vec<String>,
    /// At least one of these labels.
    pub labels_any: Vec<String>,
    /// None of these labels.
    pub labels_none: Vec<String>,
    /// This assignee.
    pub assignee: Option<String>,
    /// Children of this bead.
    pub parent: Option<BeadId>,
    /// One of these ids.
    pub ids: Vec<BeadId>,
    /// Made then.
    pub created: Span,
    /// Something in all of these fields.
    pub has: Vec<Field>,
    /// Nothing in any of these fields.
    pub has_not: Vec<Field>,
    /// What only more than the row tells.
    pub more: More,
    /// Closed beads and gt's own records too, when neither status nor type is asked for.
    pub everything: bool,
}

/// What the first look at a row does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct More {
    /// Changed then.
    pub updated: Span,
    /// Closed then.
    pub closed: Span,
    /// Due then.
    pub due: Span,
    /// Deferred until then.
    pub deferred: Span,
    /// All of these words in the title, in any case.
    pub title_words: Vec<String>,
    /// All of these words in the description, in any case.
    pub description_words: Vec<String>,
    /// All of these words in the notes, in any case.
    pub notes_words: Vec<String>,
    /// Whoever answers for it.
    pub owner: Option<String>,
    /// Whoever made it.
    pub created_by: Option<String>,
    /// What it is called elsewhere.
    pub external_ref: Option<String>,
    /// Keys that its metadata has, with the values asked for.
    pub metadata: Vec<(String, Option<String>)>,
}

impl More {
    fn asks_index(&self) -> bool {
        !self.updated.is_open() || !self.closed.is_open() || !self.title_words.is_empty()
    }

    fn asks_record(&self) -> bool {
        let Self { due, deferred, description_words, notes_words, owner, created_by, external_ref, metadata, .. } = self;
        !(due.is_open() && deferred.is_open() && description_words.is_empty() && notes_words.is_empty())
            || !(owner.is_none() && created_by.is_none() && external_ref.is_none() && metadata.is_empty())
    }

    fn keeps_record(&self, bead: &Bead) -> bool {
        let extra = |key: &str| bead.extra.get(key).and_then(serde_json::Value::as_str);
        self.due.has(bead.due_at)
            && self.deferred.has(bead.defer_until)
            && has_words(&bead.description, &self.description_words)
            && has_words(&bead.notes, &self.notes_words)
            && self.owner.as_deref().is_none_or(|owner| bead.owner.as_deref() == Some(owner))
            && self.created_by.as_deref().is_none_or(|by| bead.created_by == by)
            && self.external_ref.as_deref().is_none_or(|name| extra("external_ref") == Some(name))
            && self.metadata.iter().all(|(key, value)| has_metadata(bead, key, value.as_deref()))
    }
}

/// Whether all `words`, which are in lower case, occur in `text` in any case.
fn has_words(text: &str, words: &[String]) -> bool {
    if words.is_empty() {
        return true;
    }
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word.as_str()))
}

fn has_metadata(bead: &Bead, key: &str, wanted: Option<&str>) -> bool {
    let Some(value) = bead.extra.get("metadata").and_then(|metadata| metadata.get(key)) else { return false };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    wanted.is_none_or(|wanted| text == wanted)
}

impl Filter {
    /// Whether `bead` is kept, as far as can be told without its record.
    #[must_use]
    pub fn keeps(&self, bead: &impl Facts) -> bool {
        self.keeps_status(bead) && self.keeps_rest(bead)
    }

    fn keeps_rest(&self, bead: &impl Facts) -> bool {
        (self.types.is_empty() || self.types.contains(bead.issue_type()))
            && !self.not_types.contains(bead.issue_type())
            && (self.priorities.is_empty() || self.priorities.contains(&bead.priority()))
            && self.labels.iter().all(|label| bead.has_label(label))
            && (self.labels_any.is_empty() || self.labels_any.iter().any(|label| bead.has_label(label)))
            && !self.labels_none.iter().any(|label| bead.has_label(label))
            && self.assignee.as_ref().is_none_or(|who| bead.assignee() == Some(who))
            && self.parent.as_ref().is_none_or(|parent| bead.is_child_of(parent))
            && (self.ids.is_empty() || self.ids.iter().any(|id| id.as_str() == bead.id()))
            && (self.created.is_open() || self.created.has(Some(bead.created_at())))
    }

    /// Whether `bead`, which was searched for, is kept: closed ones are when no status is asked for.
    #[must_use]
    pub fn keeps_found(&self, bead: &impl Facts) -> bool {
        if self.statuses.is_empty() && self.types.is_empty() && self.ids.is_empty() && is_own_record(bead) {
            return false;
        }
        let fits = if self.statuses.is_empty() { !self.not_statuses.contains(bead.status()) } else { self.keeps_status(bead) };
        fits && self.keeps_rest(bead)
    }

    /// Whether [`Filter::keeps`] is not all that is asked.
    #[must_use]
    pub fn asks_more(&self) -> bool {
        !self.has.is_empty() || !self.has_not.is_empty() || self.more != More::default()
    }

    /// Whether the bead in `row` is kept. One whose record would have to be read and cannot be is not, and `damaged`
    /// says so.
    pub fn keeps_row(&self, reach: &mut Reach<'_>, prefix: &Prefix, row: Row<'_>, damaged: &mut Vec<Damaged>) -> bool {
        self.keeps(&row) && self.keeps_more(reach, prefix, row, damaged)
    }

    /// Whether the bead in `row`, which [`Filter::keeps`], is kept by the rest of what is asked too.
    pub fn keeps_more(&self, reach: &mut Reach<'_>, prefix: &Prefix, row: Row<'_>, damaged: &mut Vec<Damaged>) -> bool {
        if !self.asks_more() {
            return true;
        }
        self.weigh(reach, prefix, row).unwrap_or_else(|error| {
            damaged.push(Damaged { path: row.id().to_owned(), fault: error.line() });
            false
        })
    }

    fn weigh(&self, reach: &mut Reach<'_>, prefix: &Prefix, row: Row<'_>) -> Result<bool> {
        let fields = self.has.iter().map(|field| (field, true)).chain(self.has_not.iter().map(|field| (field, false)));
        let mut asks_record = self.more.asks_record();
        for (field, wanted) in fields.clone() {
            match field.of_row(row) {
                Some(is_there) if is_there != wanted => return Ok(false),
                Some(_) => {}
                None => asks_record = true,
            }
        }
        if self.more.asks_index() {
            let brief = reach.brief_of(prefix, row)?;
            let fits = self.more.updated.has(Some(brief.updated_at))
                && self.more.closed.has(brief.closed_at)
                && has_words(&brief.title, &self.more.title_words);
            if !fits {
                return Ok(false);
            }
        }
        if !asks_record {
            return Ok(true);
        }
        let bead = reach.in_full(prefix, row)?;
        Ok(self.more.keeps_record(&bead) && fields.into_iter().all(|(field, wanted)| field.is_in(&bead) == wanted))
    }

    /// Whether beads that are closed, as all in an archive are, may be kept.
    #[must_use]
    pub fn may_keep_closed(&self) -> bool {
        let is_asked = if self.statuses.is_empty() { self.is_wide() } else { self.statuses.contains(&Status::Closed) };
        is_asked && !self.not_statuses.contains(&Status::Closed)
    }

    /// Whether closed beads and gt's own records are kept though no status names them.
    fn is_wide(&self) -> bool {
        self.everything || !self.ids.is_empty()
    }

    fn keeps_status(&self, bead: &impl Facts) -> bool {
        if self.not_statuses.contains(bead.status()) {
            return false;
        }
        let is_named = !self.types.is_empty() || !self.ids.is_empty();
        if !self.statuses.is_empty() {
            return self.statuses.contains(bead.status()) && (is_named || !is_own_record(bead));
        }
        self.is_wide() || (!bead.status().is_closed() && (is_named || !is_own_record(bead)))
    }

    /// Refuses what can keep nothing.
    ///
    /// # Errors
    /// Usage, when a field is to be there and not to be there.
    pub fn check(&self) -> Result<()> {
        match self.has.iter().find(|field| self.has_not.contains(field)) {
            None => Ok(()),
            Some(field) => Err(Error::usage(format!("{field:?} is to be there and not to be there").to_lowercase())
                .hint("leave out one of --has and --has-no")),
        }
    }
}

/// Records that gt keeps for itself; they would drown the work in lists.
fn is_own_record(bead: &impl Facts) -> bool {
    matches!(
        bead.issue_type(),
        IssueType::Agent | IssueType::Role | IssueType::Rig | IssueType::MergeRequest | IssueType::Event | IssueType::Convoy
    )
}

#[cfg(test)]
mod tests {
    use crate::time::Moment;

    use super::*;

    fn bead(issue_type: IssueType) -> Bead {
        Bead::new("wi-a".parse().unwrap(), issue_type, "t", "overseer", Moment::from_millis(0)).unwrap()
    }

    #[test]
    fn lists_leave_out_what_is_closed_or_gts_own_unless_asked() {
        let (task, agent) = (bead(IssueType::Task), bead(IssueType::Agent));
        let mut closed = bead(IssueType::Task);
        closed.close("overseer", "done", Moment::from_millis(1)).unwrap();
        let plain = Filter::default();
        assert!(plain.keeps(&task) && !plain.keeps(&agent) && !plain.keeps(&closed));
        let all = Filter { everything: true, ..Filter::default() };
        assert!(all.keeps(&agent) && all.keeps(&closed));
        assert!(Filter { types: vec![IssueType::Agent], ..Filter::default() }.keeps(&agent));
        assert!(Filter { statuses: vec![Status::Closed], ..Filter::default() }.keeps(&closed));
        assert!(!Filter { labels: vec!["x".into()], ..Filter::default() }.keeps(&task));
        assert!(Filter { ids: vec!["wi-a".parse().unwrap()], ..Filter::default() }.keeps(&closed), "it was named");
        let not_open = Filter { not_statuses: vec![Status::Open], ..Filter::default() };
        assert!(!not_open.keeps_found(&task) && not_open.keeps_found(&closed) && !not_open.keeps(&closed));
    }

    #[test]
    fn a_span_has_its_beginning_and_not_its_end() {
        let at = |millis| Some(Moment::from_millis(millis));
        let span = Span { after: at(5), before: at(9) };
        assert!(span.has(at(5)) && span.has(at(8)) && !span.has(at(9)) && !span.has(at(4)) && !span.has(None));
        assert!(Span::default().has(None) && Span::default().has(at(0)));
    }

    #[test]
    fn what_only_the_record_tells_is_asked_of_the_record() {
        let mut bead = bead(IssueType::Task);
        bead.description = "The SEAL leaks".into();
        bead.extra.insert("external_ref".into(), "gh-7".into());
        bead.extra.insert("metadata".into(), serde_json::json!({"area": "north", "n": 3}));
        let fits = |more: More| more.asks_record() && more.keeps_record(&bead);
        assert!(fits(More { description_words: vec!["seal".into(), "leak".into()], ..More::default() }));
        assert!(!fits(More { description_words: vec!["pump".into()], ..More::default() }));
        assert!(fits(More { external_ref: Some("gh-7".into()), ..More::default() }));
        assert!(fits(More { metadata: vec![("n".into(), Some("3".into())), ("area".into(), None)], ..More::default() }));
        assert!(!fits(More { metadata: vec![("area".into(), Some("south".into()))], ..More::default() }));
        assert!(!fits(More { due: Span { after: None, before: Some(Moment::from_millis(9)) }, ..More::default() }));
        assert!(Field::ExternalRef.is_in(&bead) && !Field::Estimate.is_in(&bead) && !Field::Design.is_in(&bead));
    }
}
