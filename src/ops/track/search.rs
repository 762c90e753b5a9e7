//! Full-text search over the beads of one or several scopes, archived ones too.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::ledger::index::{Catalog, Query};
use crate::model::brief::Facts as _;
use crate::name::Prefix;
use crate::ops::track::find::{Filter, Found, Listed, Pick, Scopes};
use crate::ops::track::reach::Reach;
use crate::town::Town;

/// Beads of the asked scopes in whose words all of `phrases` occur and that `filter` keeps, whatever their status: those
/// with the phrases in the title first, then those that are not closed, by priority and then the oldest; at most `limit`
/// (0: all).
///
/// # Errors
/// Usage, when there is nothing to search for; not found or corrupt, when the only scope asked for cannot be read.
pub fn search<B: Listed>(town: &Town, scopes: &Scopes, filter: &Filter, phrases: &[String], limit: usize) -> Result<Found<B>> {
    let query = Query::new(phrases)?;
    let mut reach = Reach::new(town);
    let mut found = Found::default();
    let mut shelves = Vec::new();
    for prefix in &scopes.asked {
        let catalog = match reach.catalog(prefix) {
            Ok(catalog) => catalog,
            Err(error) if scopes.asked.len() == 1 => return Err(error),
            Err(error) => {
                found.notes.push(format!("scope {prefix} is left out: {}", error.line()));
                continue;
            }
        };
        found.damaged.extend(catalog.damaged());
        match reach.archive(prefix) {
            Ok(archive) => shelves.extend(archive.map(|archive| (prefix, archive, Some(catalog.clone())))),
            Err(error) => found.notes.push(format!("the archive of scope {prefix} is left out: {}", error.line())),
        }
        shelves.push((prefix, catalog, None));
    }
    let mut picks = Vec::new();
    for (prefix, catalog, ledger) in &shelves {
        picks.extend(on_shelf(&mut reach, (*prefix, catalog, ledger.as_deref()), filter, &query)?);
    }
    found.total = picks.len();
    found.take(&mut reach, picks, limit);
    Ok(found)
}

type Key = (bool, bool, u8, crate::time::Moment);

/// What fits in a scope, or in the archive behind its `ledger`, which is right wherever both have a bead.
fn on_shelf<'c>(
    reach: &mut Reach<'_>,
    (prefix, catalog, ledger): (&'c Prefix, &'c Catalog, Option<&Catalog>),
    filter: &Filter,
    query: &Query,
) -> Result<Vec<Pick<'c, Key>>> {
    let (mut picks, mut seen) = (Vec::new(), BTreeSet::new());
    for hit in reach.hits(prefix, ledger.is_some(), query)? {
        let Some(row) = hit.row(catalog, query, |row| reach.in_full(prefix, row)) else { continue };
        let is_hidden = ledger.is_some_and(|ledger| ledger.has(row.id()));
        if is_hidden || !filter.keeps_found(&row) || !seen.insert(hit.id.clone()) {
            continue;
        }
        let key = (!hit.in_title, row.status().is_closed(), row.priority(), row.created_at());
        picks.push(Pick { key, prefix, row });
    }
    Ok(picks)
}
