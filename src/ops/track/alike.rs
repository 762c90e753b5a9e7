//! Beads that may be the same: pairs whose words are alike.
//!
//! Only beads that share a word which few others have are compared, so that ten thousand titles cost their words and not
//! their pairs. The likeness of two sets of words is Jaccard's: how many they share, of all that they have.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::ledger::Damaged;
use crate::ledger::index::Row;
use crate::model::bead::IssueType;
use crate::model::brief::{Brief, Facts as _};
use crate::name::{BeadId, Prefix};
use crate::ops::track::filter::Filter;
use crate::ops::track::find::{Found, Scopes};
use crate::ops::track::lint::normal;
use crate::ops::track::reach::Reach;
use crate::town::Town;

/// A word that more beads than these have says little of any of them.
const BEARERS_MAX: usize = 64;

/// Two beads that may be the same; the older one is the first.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Pair {
    /// The one that was there first.
    pub id: BeadId,
    /// Its title.
    pub title: String,
    /// The other.
    pub other_id: BeadId,
    /// Its title.
    pub other_title: String,
    /// How alike they are, in hundredths.
    pub likeness: u8,
}

struct One<'c> {
    brief: Brief,
    words: BTreeSet<String>,
    prefix: &'c Prefix,
    row: Row<'c>,
}

/// Pairs of work of the asked scopes that `filter` keeps whose likeness is at least `least` hundredths, the most alike
/// first; at most `limit` (0: all). Those that are connected as duplicates or successors already are left out.
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn duplicates(town: &Town, scopes: &Scopes, filter: &Filter, least: u8, limit: usize) -> Result<Found<Pair>> {
    let mut reach = Reach::new(town);
    let mut found: Found<Pair> = Found::default();
    let catalogs = found.catalogs(&mut reach, scopes)?;
    let mut ones = Vec::new();
    for (prefix, catalog) in &catalogs {
        found.damaged.extend(catalog.damaged());
        for row in catalog.rows() {
            let is_work = row.issue_type().is_work() || *row.issue_type() == IssueType::Epic;
            if !is_work || !filter.keeps_row(&mut reach, prefix, row, &mut found.damaged) {
                continue;
            }
            match reach.brief_of(prefix, row) {
                Ok(brief) => {
                    let words = words(&brief.title);
                    ones.push(One { brief, words, prefix, row });
                }
                Err(error) => found.damaged.push(Damaged { path: row.id().to_owned(), fault: error.line() }),
            }
        }
    }
    ones.sort_by(|a, b| (a.brief.created_at, &a.brief.id).cmp(&(b.brief.created_at, &b.brief.id)));
    for (a, b) in candidates(&ones) {
        let (a, b) = (&ones[a], &ones[b]);
        let likeness = likeness(&mut reach, a, b, least);
        if likeness >= least && !is_told(a, b) {
            found.beads.push(Pair {
                id: a.brief.id.clone(),
                title: a.brief.title.clone(),
                other_id: b.brief.id.clone(),
                other_title: b.brief.title.clone(),
                likeness,
            });
        }
    }
    found.beads.sort_by(|a, b| (b.likeness, &a.id, &a.other_id).cmp(&(a.likeness, &b.id, &b.other_id)));
    found.total = found.beads.len();
    if limit > 0 {
        found.beads.truncate(limit);
    }
    Ok(found)
}

fn words(text: &str) -> BTreeSet<String> {
    normal(text).split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Pairs that share a rare word, or the whole title.
fn candidates(ones: &[One<'_>]) -> BTreeSet<(usize, usize)> {
    let mut bearers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut titles: BTreeMap<&BTreeSet<String>, Vec<usize>> = BTreeMap::new();
    for (place, one) in ones.iter().enumerate() {
        one.words.iter().for_each(|word| bearers.entry(word).or_default().push(place));
        titles.entry(&one.words).or_default().push(place);
    }
    let mut pairs = BTreeSet::new();
    for places in bearers.values().filter(|places| places.len() <= BEARERS_MAX) {
        for (n, a) in places.iter().enumerate() {
            pairs.extend(places[n + 1..].iter().map(|b| (*a, *b)));
        }
    }
    // Of many of one title each is told beside the one before it.
    for places in titles.values() {
        pairs.extend(places.iter().zip(places.iter().skip(1)).map(|(a, b)| (*a, *b)));
    }
    pairs
}

/// How alike two beads are: by their titles, and by their descriptions as well when both have one.
fn likeness(reach: &mut Reach<'_>, a: &One<'_>, b: &One<'_>, least: u8) -> u8 {
    let titles = jaccard(&a.words, &b.words);
    // Descriptions count for a third, so that most pairs are told apart without them.
    if titles * 2 + 100 < usize::from(least) * 3 {
        return 0;
    }
    let mut text = |one: &One<'_>| reach.in_full(one.prefix, one.row).map(|bead| words(&bead.description)).unwrap_or_default();
    let (own, other) = (text(a), text(b));
    let both = if own.is_empty() || other.is_empty() { titles } else { (titles * 2 + jaccard(&own, &other)) / 3 };
    u8::try_from(both).unwrap_or(100)
}

/// In hundredths.
fn jaccard(a: &BTreeSet<String>, b: &BTreeSet<String>) -> usize {
    let shared = a.intersection(b).count();
    (shared * 100).checked_div(a.len() + b.len() - shared).unwrap_or(0)
}

/// Whether the two are known to be the same, or one to replace the other.
fn is_told(a: &One<'_>, b: &One<'_>) -> bool {
    use crate::model::bead::DependencyKind::{Duplicates, Supersedes};
    let tells = |one: &One<'_>, other: &BeadId| {
        one.brief.edges.iter().any(|(kind, target)| target == other && matches!(kind, Duplicates | Supersedes))
    };
    tells(a, &b.brief.id) || tells(b, &a.brief.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_is_what_is_shared_of_all() {
        assert_eq!(jaccard(&words("Mend the pump"), &words("mend THE pump!")), 100);
        assert_eq!(jaccard(&words("mend the pump"), &words("mend the tank")), 50);
        assert_eq!(jaccard(&words(""), &words("")), 0);
    }
}
