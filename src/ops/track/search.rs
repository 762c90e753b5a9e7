//! Full-text search over the beads of one or several scopes, archived ones too.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::ledger::Damaged;
use crate::ledger::index::{Catalog, Query};
use crate::model::brief::Facts as _;
use crate::name::Prefix;
use crate::ops::track::filter::Filter;
use crate::ops::track::find::{Found, Listed, Pick, Scopes};
use crate::ops::track::order::{Sort, SortKey};
use crate::ops::track::reach::Reach;
use crate::time::Moment;
use crate::town::Town;

/// Beads of the asked scopes in whose words all of `phrases` occur and that `filter` keeps, whatever their status: those
/// with the phrases in the title first, then those that are not closed, by priority and then the oldest, unless `sort`
/// says otherwise; at most `limit` (0: all).
///
/// # Errors
/// Usage, when there is nothing to search for; not found or corrupt, when the only scope asked for cannot be read.
pub fn search<B: Listed>(
    town: &Town,
    scopes: &Scopes,
    filter: &Filter,
    phrases: &[String],
    sort: Option<Sort>,
    limit: usize,
) -> Result<Found<B>> {
    let query = Query::new(phrases)?;
    let mut reach = Reach::new(town);
    let mut found = Found::default();
    let catalogs = found.catalogs(&mut reach, scopes)?;
    let archives = found.archives(&mut reach, &catalogs);
    let mut picks = Vec::new();
    let question = Question { filter, query, sort };
    for (prefix, catalog) in &catalogs {
        found.damaged.extend(catalog.damaged());
        picks.extend(question.on_shelf(&mut reach, (prefix, catalog, None), &mut found.damaged)?);
    }
    for (prefix, archive, catalog) in &archives {
        picks.extend(question.on_shelf(&mut reach, (prefix, archive, Some(catalog)), &mut found.damaged)?);
    }
    found.total = picks.len();
    found.take(&mut reach, picks, limit);
    Ok(found)
}

type Key = (Option<SortKey>, bool, bool, u8, Moment);

struct Question<'q> {
    filter: &'q Filter,
    query: Query,
    sort: Option<Sort>,
}

impl Question<'_> {
    /// What fits in a scope, or in the archive behind its `ledger`, which is right wherever both have a bead.
    fn on_shelf<'c>(
        &self,
        reach: &mut Reach<'_>,
        (prefix, catalog, ledger): (&'c Prefix, &'c Catalog, Option<&Catalog>),
        damaged: &mut Vec<Damaged>,
    ) -> Result<Vec<Pick<'c, Key>>> {
        let Self { filter, query, sort } = self;
        let (mut picks, mut seen) = (Vec::new(), BTreeSet::new());
        for hit in reach.hits(prefix, ledger.is_some(), query)? {
            let Some(row) = hit.row(catalog, query, |row| reach.in_full(prefix, row)) else { continue };
            let is_hidden = ledger.is_some_and(|ledger| ledger.has(row.id()));
            if is_hidden || !filter.keeps_found(&row) || !seen.insert(hit.id.clone()) {
                continue;
            }
            if filter.keeps_more(reach, prefix, row, damaged) {
                let sorted = sort.map(|sort| sort.key_of(reach, prefix, row)).transpose()?;
                let key = (sorted, !hit.in_title, row.status().is_closed(), row.priority(), row.created_at());
                picks.push(Pick { key, prefix, row });
            }
        }
        Ok(picks)
    }
}
