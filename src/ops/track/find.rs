//! Lists: which beads of which scopes, in which order.

use std::rc::Rc;

use crate::error::{Error, Result};
use crate::ledger::Damaged;
use crate::ledger::index::{Catalog, Row};
use crate::model::bead::{Bead, IssueType, Status};
use crate::model::brief::{Brief, Facts};
use crate::name::{BeadId, Prefix};
use crate::ops::track::reach::Reach;
use crate::town::Town;

/// Rows that a list shows when no limit is given.
pub const LIMIT: usize = 50;

/// Which beads to keep; an empty field keeps all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One of these statuses.
    pub statuses: Vec<Status>,
    /// One of these types.
    pub types: Vec<IssueType>,
    /// One of these priorities.
    pub priorities: Vec<u8>,
    /// All of these labels.
    pub labels: Vec<String>,
    /// This assignee.
    pub assignee: Option<String>,
    /// Children of this bead.
    pub parent: Option<BeadId>,
    /// Closed beads and gt's own records too, when neither status nor type is asked for.
    pub everything: bool,
}

impl Filter {
    /// Whether `bead` is kept.
    #[must_use]
    pub fn keeps(&self, bead: &impl Facts) -> bool {
        self.keeps_status(bead)
            && (self.types.is_empty() || self.types.contains(bead.issue_type()))
            && (self.priorities.is_empty() || self.priorities.contains(&bead.priority()))
            && self.labels.iter().all(|label| bead.has_label(label))
            && self.assignee.as_ref().is_none_or(|who| bead.assignee() == Some(who))
            && self.parent.as_ref().is_none_or(|parent| bead.is_child_of(parent))
    }

    /// Whether `bead`, which was searched for, is kept: closed ones are when no status is asked for.
    #[must_use]
    pub fn keeps_found(&self, bead: &impl Facts) -> bool {
        if self.statuses.is_empty() && self.types.is_empty() && is_own_record(bead) {
            return false;
        }
        Self { everything: self.statuses.is_empty(), ..self.clone() }.keeps(bead)
    }

    /// Whether beads that are closed, as all in an archive are, may be kept.
    #[must_use]
    pub fn may_keep_closed(&self) -> bool {
        if self.statuses.is_empty() { self.everything } else { self.statuses.contains(&Status::Closed) }
    }

    fn keeps_status(&self, bead: &impl Facts) -> bool {
        if !self.statuses.is_empty() {
            return self.statuses.contains(bead.status()) && (!self.types.is_empty() || !is_own_record(bead));
        }
        self.everything || (!bead.status().is_closed() && (!self.types.is_empty() || !is_own_record(bead)))
    }
}

/// Records that gt keeps for itself; they would drown the work in lists.
fn is_own_record(bead: &impl Facts) -> bool {
    matches!(bead.issue_type(), IssueType::Agent | IssueType::Role | IssueType::Rig | IssueType::MergeRequest | IssueType::Event)
}

/// The scopes that a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes {
    /// Those asked.
    pub asked: Vec<Prefix>,
    /// The town's others.
    pub others: Vec<Prefix>,
}

impl Scopes {
    /// The scopes meant by `--rig` and `--all`: the one named, else the rig of the actor or directory, else all.
    ///
    /// # Errors
    /// Not found, when no rig has that name or prefix.
    pub fn of(town: &Town, rig: Option<&str>, all: bool) -> Result<Self> {
        let mut known = vec![Prefix::hq()];
        known.extend(town.rigs()?.into_iter().map(|rig| rig.prefix));
        let one = match rig {
            Some(text) => Some(scope_named(town, text)?),
            None if all => None,
            None => town.prefix_here()?,
        };
        Ok(match one {
            None => Self { asked: known, others: Vec::new() },
            Some(one) => {
                let others = known.into_iter().filter(|prefix| *prefix != one).collect();
                Self { asked: vec![one], others }
            }
        })
    }
}

/// The scope that `text` names: `hq` or `town`, a rig's name, or a rig's prefix.
///
/// # Errors
/// Not found, naming the known rigs.
pub fn scope_named(town: &Town, text: &str) -> Result<Prefix> {
    if matches!(text, "hq" | "town") {
        return Ok(Prefix::hq());
    }
    let rigs = town.rigs()?;
    let found = rigs.iter().find(|rig| rig.name.as_str() == text).or_else(|| rigs.iter().find(|rig| rig.prefix.as_str() == text));
    found.map(|rig| rig.prefix.clone()).ok_or_else(|| {
        let names: Vec<&str> = std::iter::once("hq").chain(rigs.iter().map(|rig| rig.name.as_str())).collect();
        Error::not_found(format!("there is no rig '{}'", text.escape_debug())).hint(format!("known: {}", names.join(", ")))
    })
}

/// A bead as a list has it: in brief for people, in full for programs.
pub trait Listed: Facts + Sized {
    /// What it is about, in a line.
    fn title(&self) -> &str;

    /// The bead in `row` of the catalog of `prefix`.
    ///
    /// # Errors
    /// As [`Reach::in_full`].
    fn of_row(reach: &mut Reach<'_>, prefix: &Prefix, row: Row<'_>) -> Result<Self>;
}

impl Listed for Brief {
    fn title(&self) -> &str {
        &self.title
    }

    fn of_row(reach: &mut Reach<'_>, prefix: &Prefix, row: Row<'_>) -> Result<Self> {
        reach.brief_of(prefix, row)
    }
}

impl Listed for Bead {
    fn title(&self) -> &str {
        &self.title
    }

    fn of_row(reach: &mut Reach<'_>, prefix: &Prefix, row: Row<'_>) -> Result<Self> {
        reach.in_full(prefix, row)
    }
}

/// What a list found.
#[derive(Clone, Debug)]
pub struct Found<B> {
    /// The rows, in order, no more than the limit.
    pub beads: Vec<B>,
    /// How many there are without the limit.
    pub total: usize,
    /// Records that cannot be read.
    pub damaged: Vec<Damaged>,
    /// What else a reader must know: scopes that cannot be reached.
    pub notes: Vec<String>,
}

/// A bead that may be shown: what orders it, and where it is.
pub(super) struct Pick<'c, K> {
    pub(super) key: K,
    pub(super) prefix: &'c Prefix,
    pub(super) row: Row<'c>,
}

impl<B> Default for Found<B> {
    fn default() -> Self {
        Self { beads: Vec::new(), total: 0, damaged: Vec::new(), notes: Vec::new() }
    }
}

/// A scope's beads in brief.
pub(super) type Shelf<'s> = (&'s Prefix, Rc<Catalog>);

impl<B> Found<B> {
    /// The beads of the asked scopes; a scope that cannot be read is noted.
    ///
    /// # Errors
    /// Not found or corrupt, when the only scope asked for cannot be read.
    pub(super) fn catalogs<'s>(&mut self, reach: &mut Reach<'_>, scopes: &'s Scopes) -> Result<Vec<Shelf<'s>>> {
        let mut catalogs = Vec::new();
        for prefix in &scopes.asked {
            match reach.catalog(prefix) {
                Ok(catalog) => catalogs.push((prefix, catalog)),
                Err(error) if scopes.asked.len() == 1 => return Err(error),
                Err(error) => self.notes.push(format!("scope {prefix} is left out: {}", error.line())),
            }
        }
        Ok(catalogs)
    }

    /// The archived beads of the scopes of `catalogs`, each beside its catalog, which is right wherever both have a bead.
    pub(super) fn archives<'s>(
        &mut self,
        reach: &mut Reach<'_>,
        catalogs: &[Shelf<'s>],
    ) -> Vec<(&'s Prefix, Rc<Catalog>, Rc<Catalog>)> {
        let mut archives = Vec::new();
        for (prefix, catalog) in catalogs {
            match reach.archive(prefix) {
                Ok(archive) => archives.extend(archive.map(|archive| (*prefix, archive, catalog.clone()))),
                Err(error) => self.notes.push(format!("the archive of scope {prefix} is left out: {}", error.line())),
            }
        }
        archives
    }
}

impl<B: Listed> Found<B> {
    /// Puts the picks in order and reads as many as `limit` (0: all) lets through.
    pub(super) fn take<K: Ord>(&mut self, reach: &mut Reach<'_>, mut picks: Vec<Pick<'_, K>>, limit: usize) {
        picks.sort_by(|a, b| (&a.key, a.row.id()).cmp(&(&b.key, b.row.id())));
        if limit > 0 {
            picks.truncate(limit);
        }
        for pick in picks {
            match B::of_row(reach, pick.prefix, pick.row) {
                Ok(bead) => self.beads.push(bead),
                Err(error) => self.damaged.push(Damaged { path: pick.row.id().to_owned(), fault: error.line() }),
            }
        }
    }
}

/// Beads of the asked scopes, archived ones too, that `filter` keeps: by priority, then oldest first; at most `limit` (0: all).
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn list<B: Listed>(town: &Town, scopes: &Scopes, filter: &Filter, limit: usize) -> Result<Found<B>> {
    let mut reach = Reach::new(town);
    let mut found = Found::default();
    let catalogs = found.catalogs(&mut reach, scopes)?;
    let archives = if filter.may_keep_closed() { found.archives(&mut reach, &catalogs) } else { Vec::new() };
    let mut picks = Vec::new();
    let order = |row: Row<'_>| (row.priority(), row.created_at());
    for (prefix, catalog) in &catalogs {
        let (rows, total) = catalog.first(limit, |row| filter.keeps(&row), order);
        picks.extend(rows.into_iter().map(|(key, row)| Pick { key, prefix, row }));
        found.total += total;
        found.damaged.extend(catalog.damaged());
    }
    for (prefix, archive, catalog) in &archives {
        let (rows, total) = archive.first(limit, |row| !catalog.has(row.id()) && filter.keeps(&row), order);
        picks.extend(rows.into_iter().map(|(key, row)| Pick { key, prefix, row }));
        found.total += total;
        found.damaged.extend(archive.damaged());
    }
    found.take(&mut reach, picks, limit);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Moment;

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
    }
}
