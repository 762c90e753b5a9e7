//! Lists: which beads of which scopes, in which order.

use std::rc::Rc;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::Damaged;
use crate::ledger::index::{Catalog, Row};
use crate::model::bead::Bead;
use crate::model::brief::{Brief, Facts};
use crate::name::Prefix;
use crate::ops::track::filter::Filter;
use crate::ops::track::order::{Sort, SortKey};
use crate::ops::track::reach::Reach;
use crate::town::Town;

/// Rows that a list shows when no limit is given.
pub const LIMIT: usize = 50;

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
    let by_prefix = || text.parse().ok().and_then(|prefix| rigs.iter().find(|rig| rig.has_prefix(&prefix)));
    let found = rigs.iter().find(|rig| rig.name.as_str() == text).or_else(by_prefix);
    found.map(|rig| rig.prefix.clone()).ok_or_else(|| {
        let names: Vec<&str> = std::iter::once("hq").chain(rigs.iter().map(|rig| rig.name.as_str())).collect();
        Error::not_found(format!("there is no rig '{}'", text.escape_debug())).hint(format!("known: {}", names.join(", ")))
    })
}

/// A bead as a list has it: in brief for people, in full for programs.
pub trait Listed: Facts + Serialize + Sized {
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
pub(in crate::ops) type Shelf<'s> = (&'s Prefix, Rc<Catalog>);

impl<B> Found<B> {
    /// The beads of the asked scopes; a scope that cannot be read is noted.
    ///
    /// # Errors
    /// Not found or corrupt, when the only scope asked for cannot be read.
    pub(in crate::ops) fn catalogs<'s>(&mut self, reach: &mut Reach<'_>, scopes: &'s Scopes) -> Result<Vec<Shelf<'s>>> {
        if let [only] = scopes.asked.as_slice() {
            return Ok(vec![(only, reach.catalog(only)?)]);
        }
        Ok(self.catalogs_of(reach, &scopes.asked))
    }

    /// The beads of those of the scopes `prefixes` that can be read; the others are noted.
    pub(super) fn catalogs_of<'s>(&mut self, reach: &mut Reach<'_>, prefixes: &'s [Prefix]) -> Vec<Shelf<'s>> {
        let mut catalogs = Vec::new();
        for prefix in prefixes {
            match reach.catalog(prefix) {
                Ok(catalog) => catalogs.push((prefix, catalog)),
                Err(error) => self.notes.push(format!("scope {prefix} is left out: {}", error.line())),
            }
        }
        catalogs
    }

    /// The archived beads of the scopes of `catalogs`, each beside its catalog, which is right wherever both have a bead.
    pub(in crate::ops) fn archives<'s>(
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
    /// Adds the beads of a shelf that `filter` and `also` keep, no more than a list of `limit` can need. What can be told
    /// from the rows of the index alone reads nothing else.
    #[expect(clippy::too_many_arguments, reason = "the question, the shelf, and where the answer goes")]
    fn pick<'c>(
        &mut self,
        reach: &mut Reach<'_>,
        (prefix, catalog): (&'c Prefix, &'c Catalog),
        filter: &Filter,
        sort: Sort,
        limit: usize,
        also: impl Fn(Row<'_>) -> bool,
        picks: &mut Vec<Pick<'c, SortKey>>,
    ) {
        self.damaged.extend(catalog.damaged());
        if !filter.asks_more() && sort.is_of_facts() {
            let (rows, total) = catalog.first(limit, |row| filter.keeps(&row) && also(row), |row| sort.key(&row, None));
            picks.extend(rows.into_iter().map(|(key, row)| Pick { key, prefix, row }));
            self.total += total;
            return;
        }
        for row in catalog.rows().filter(|row| also(*row)) {
            if !filter.keeps_row(reach, prefix, row, &mut self.damaged) {
                continue;
            }
            match sort.key_of(reach, prefix, row) {
                Ok(key) => {
                    picks.push(Pick { key, prefix, row });
                    self.total += 1;
                }
                Err(error) => self.damaged.push(Damaged { path: row.id().to_owned(), fault: error.line() }),
            }
        }
    }

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

/// Beads of the asked scopes, archived ones too, that `filter` keeps, as `sort` puts them; at most `limit` (0: all).
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn list<B: Listed>(town: &Town, scopes: &Scopes, filter: &Filter, sort: Sort, limit: usize) -> Result<Found<B>> {
    let mut reach = Reach::new(town);
    let mut found = Found::default();
    let catalogs = found.catalogs(&mut reach, scopes)?;
    let archives = if filter.may_keep_closed() { found.archives(&mut reach, &catalogs) } else { Vec::new() };
    let mut picks = Vec::new();
    for (prefix, catalog) in &catalogs {
        found.pick(&mut reach, (prefix, catalog), filter, sort, limit, |_| true, &mut picks);
    }
    for (prefix, archive, catalog) in &archives {
        let is_gone = |row: Row<'_>| !catalog.has(row.id());
        found.pick(&mut reach, (prefix, archive), filter, sort, limit, is_gone, &mut picks);
    }
    found.take(&mut reach, picks, limit);
    Ok(found)
}
