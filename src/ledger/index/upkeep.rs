//! Keeping an index up with the ledger: followed by a tree diff, folded when it has grown, made anew from all
//! records when there is none to follow from.

use std::collections::BTreeMap;

use serde::Serialize;

use super::encode::{Made, encode};
use super::file::{self, Found};
use super::layout::{Notes, Stock};
use super::mailroom::Mailroom;
use super::query::Catalog;
use super::roll::{Hall, Roll};
use super::stacks::Stacks;
use super::{Patch, build};
use crate::error::{Error, Result};
use crate::ledger::diff::{self, Pair};
use crate::ledger::{Ledger, State, tree};
use crate::time::Stopwatch;

/// How many bytes of patches are carried before they are folded into the base. They are read and taken apart with
/// every question, folding copies the whole base.
fn tail_bytes_max(base_bytes: usize) -> usize {
    64 * 1024 + base_bytes / 192
}

/// About how many bytes a changed record takes in a patch.
const ENTRY_BYTES: usize = 350;

/// Above how many changes reading everything is as fast as following them.
fn changes_max(found: &Found) -> usize {
    2_000.max(usize::midpoint(found.header.sizes.beads, found.header.sizes.letters))
}

/// The newest index and what leads from it to a state.
pub struct Current {
    found: Found,
    last: Option<Patch>,
    is_other_archive: bool,
}

impl Current {
    pub fn catalog(&self) -> Option<Catalog> {
        let mut patches = self.found.bead_patches()?;
        patches.extend(self.last.iter().map(|patch| patch.beads.clone()));
        let catalog = Catalog::new(self.found.roll()?, self.found.stacks()?, &self.found.notes, &patches)?;
        Some(if self.is_other_archive { catalog.without_archive() } else { catalog })
    }

    pub fn mailroom(&self) -> Option<Mailroom> {
        let mut patches = self.found.letter_patches()?;
        patches.extend(self.last.iter().map(|patch| patch.letters.clone()));
        Mailroom::new(self.found.hall()?, self.found.stacks()?, &self.found.notes, &patches)
    }
}

/// Opens the index file and follows the changes up to `state`; `None` when that is not possible.
pub fn follow(state: &State<'_>) -> Option<Current> {
    let found = file::open(state)?;
    let is_other_archive = found.notes.archive != archive_of(state).ok()?;
    if found.tree == state.tree() && !is_other_archive {
        return Some(Current { found, last: None, is_other_archive });
    }
    let (patch, is_sure) = patch_to(state, &found)?;
    let is_wanted = is_sure && is_newest(state);
    let fresh_bytes = (patch.beads.beads.len() + patch.letters.letters.len()) * ENTRY_BYTES;
    let current = Current { found, last: Some(patch), is_other_archive };
    if is_wanted {
        // What was found of beads that lean on archived ones holds for the archive of that time.
        if is_other_archive || current.found.tail_bytes + fresh_bytes > tail_bytes_max(current.found.header.base_bytes()) {
            fold(state, &current)?;
        } else if let Some(patch) = &current.last {
            current.found.append(patch);
        }
    }
    Some(current)
}

fn patch_to(state: &State<'_>, found: &Found) -> Option<(Patch, bool)> {
    let mut changes: BTreeMap<String, Pair> = diff::changes(state.store().records().ok()?, found.tree, state.tree()).ok()?;
    changes.retain(|path, _| path.starts_with("beads/") || path.starts_with("mail/"));
    if changes.len() > changes_max(found) {
        return None;
    }
    build::patch(state.store(), state.tree(), &changes).ok()
}

/// The tree of the archive behind `state`, as an index notes it.
///
/// # Errors
/// Corrupt, when the archive's tip cannot be read.
pub fn archive_of(state: &State<'_>) -> Result<Option<String>> {
    Ok(state.archive()?.map(|archive| archive.tree().to_string()))
}

/// Only the newest state is worth keeping: readers of an older one would take turns undoing each other's work.
fn is_newest(state: &State<'_>) -> bool {
    let name = if state.is_archive() { tree::ARCHIVE } else { tree::LEDGER };
    state.commit().is_some() && state.store().read_ref(name).ok() == Some(state.commit())
}

/// Writes base and patches as a new base; `None` when a part that nobody looked at before is damaged.
fn fold(state: &State<'_>, current: &Current) -> Option<()> {
    let (catalog, mailroom) = (current.catalog()?, current.mailroom()?);
    let damaged = catalog.damaged_pairs().into_iter().chain(mailroom.damaged_pairs()).collect();
    let mut stock = Stock { beads: catalog.briefs()?, letters: mailroom.slips()?, damaged };
    build::put_in_order(&mut stock);
    file::replace(&file::path(state), &encode(state, &stock).ok()??);
    Some(())
}

/// An index just made from all records.
pub enum Rebuilt {
    /// As a reader finds it.
    Whole(Box<Made>),
    /// More words than it has codes for: then it lives as long as the question.
    Loose(Stock),
}

/// Reads every record; the index is written for the next reader.
///
/// # Errors
/// Corrupt, when a tree cannot be read.
pub fn rebuild(state: &State<'_>) -> Result<Rebuilt> {
    let watch = Stopwatch::start();
    let (stock, is_sure) = build::all(state)?;
    let made = encode(state, &stock)?;
    tracing::debug!(beads = stock.beads.len(), letters = stock.letters.len(), millis = watch.millis(), "the index was rebuilt");
    let Some(made) = made else { return Ok(Rebuilt::Loose(stock)) };
    if is_sure && is_newest(state) {
        file::replace(&file::path(state), &made);
    }
    Ok(Rebuilt::Whole(Box::new(made)))
}

impl Rebuilt {
    pub fn into_catalog(self) -> Catalog {
        match self {
            Self::Whole(made) => {
                let sizes = made.header.sizes;
                let stacks = Stacks::in_memory(sizes, made.stacks);
                Catalog::plain(Roll::new(sizes, &made.notes, made.roll), stacks, made.notes.damaged)
            }
            Self::Loose(stock) => Catalog::loose(stock),
        }
    }

    pub fn into_mailroom(self) -> Mailroom {
        match self {
            Self::Whole(made) => {
                let sizes = made.header.sizes;
                Mailroom::plain(Hall::new(sizes, made.hall), Stacks::in_memory(sizes, made.stacks), made.notes.damaged)
            }
            Self::Loose(stock) => Mailroom::loose(stock),
        }
    }
}

/// What making the index anew came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reindexed {
    /// Beads in it.
    pub beads: usize,
    /// Letters in it.
    pub letters: usize,
    /// Records that cannot be read.
    pub damaged: usize,
    /// Size of the file; of what it would be, when unreadable objects keep it from being written.
    pub bytes: usize,
    /// How long it took.
    pub took_millis: u64,
}

/// What comparing the index with the records came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Beads that were compared.
    pub beads: usize,
    /// Letters that were compared.
    pub letters: usize,
    /// Whether there was an index to compare with.
    pub is_there: bool,
    /// Ids and paths of which the index said something else than the records.
    pub different: Vec<String>,
}

impl Ledger {
    /// Makes the index anew from the records, and that of the archive when there is one; for nothing but doubt, since
    /// an index is checked whenever it is used. Tells of both together.
    ///
    /// # Errors
    /// Not found, when nothing was ever written here; corrupt, when a tree cannot be read; refused, when no index
    /// can hold what is in the records; io, when a file cannot be written.
    pub fn reindex(&self) -> Result<Reindexed> {
        let archived = self.archive()?.map(|archive| make_anew(&archive)).transpose()?;
        let mut made = make_anew(&self.state()?)?;
        if let Some(archived) = archived {
            made.beads += archived.beads;
            made.letters += archived.letters;
            made.damaged += archived.damaged;
            made.bytes += archived.bytes;
            made.took_millis += archived.took_millis;
        }
        Ok(made)
    }

    /// Compares what the index says with all records, and that of the archive when there is one; changes nothing.
    ///
    /// # Errors
    /// Not found, when nothing was ever written here; corrupt, when a tree cannot be read.
    pub fn compare_index(&self) -> Result<Compared> {
        let mut compared = compare(&self.state()?)?;
        if let Some(archive) = self.archive()? {
            let archived = compare(&archive)?;
            compared.beads += archived.beads;
            compared.letters += archived.letters;
            compared.is_there &= archived.is_there;
            compared.different.extend(archived.different);
        }
        Ok(compared)
    }
}

fn compare(state: &State<'_>) -> Result<Compared> {
    let stock = build::all(state)?.0;
    let mut outcome = Compared { beads: stock.beads.len(), letters: stock.letters.len(), is_there: false, different: Vec::new() };
    let Some(found) = file::open(state) else { return Ok(outcome) };
    outcome.is_there = true;
    let last = if found.tree == state.tree() { None } else { patch_to(state, &found).map(|(patch, _)| patch) };
    if found.tree != state.tree() && last.is_none() {
        return Ok(outcome);
    }
    let is_other_archive = found.notes.archive != archive_of(state)?;
    let archive = state.archive()?.map(State::catalog).transpose()?;
    let current = Current { found, last, is_other_archive };
    let said = current
        .catalog()
        .and_then(|catalog| Some((catalog.briefs()?, catalog.damaged_pairs(), catalog.misjudged(archive.as_ref()))));
    let mail = current.mailroom().and_then(|mailroom| Some((mailroom.slips()?, mailroom.damaged_pairs())));
    let (Some((beads, mut damaged, misjudged)), Some((letters, more))) = (said, mail) else {
        outcome.different.push("the file is damaged".to_owned());
        return Ok(outcome);
    };
    damaged.extend(more);
    let mut said = Stock { beads, letters, damaged };
    build::put_in_order(&mut said);
    outcome.different.extend(misjudged);
    outcome.different.extend(differing(&said.beads, &stock.beads, |(brief, _)| brief.id.to_string()));
    outcome.different.extend(differing(&said.letters, &stock.letters, |(slip, _)| slip.id.to_string()));
    outcome.different.extend(differing(&said.damaged, &stock.damaged, |(path, _)| path.clone()));
    Ok(outcome)
}

fn make_anew(state: &State<'_>) -> Result<Reindexed> {
    let watch = Stopwatch::start();
    file::replace_now(&file::path(state), || {
        let (stock, is_sure) = build::all(state)?;
        let made = encode(state, &stock)?;
        let made = made.ok_or_else(|| Error::refused("the records use more statuses or types than an index can hold"))?;
        let outcome = Reindexed {
            beads: stock.beads.len(),
            letters: stock.letters.len(),
            damaged: stock.damaged.len(),
            bytes: made.len(),
            took_millis: watch.millis(),
        };
        // What could not be read may be readable again tomorrow, so it must not be kept as damaged.
        Ok((is_sure.then_some(made), outcome))
    })
}

/// Names of what is in one list and not in the other.
fn differing<T: PartialEq>(ours: &[T], theirs: &[T], name: impl Fn(&T) -> String) -> Vec<String> {
    let by_name = |list: &'_ [T]| -> BTreeMap<String, usize> { list.iter().enumerate().map(|(n, one)| (name(one), n)).collect() };
    let (ours_by, theirs_by) = (by_name(ours), by_name(theirs));
    let same = |name: &String| {
        let pair = ours_by.get(name).zip(theirs_by.get(name));
        pair.is_some_and(|(a, b)| ours[*a] == theirs[*b])
    };
    let mut names: Vec<String> = ours_by.keys().chain(theirs_by.keys()).filter(|name| !same(name)).cloned().collect();
    names.sort();
    names.dedup();
    names
}

/// The damaged records of a base after `patches`, by path, of those whose path begins with `dir`.
pub fn damaged_after<'p>(
    notes: &Notes,
    dir: &str,
    patches: impl Iterator<Item = &'p (String, Option<String>)>,
) -> BTreeMap<String, String> {
    let mut damaged: BTreeMap<String, String> = notes.damaged.iter().filter(|(path, _)| path.starts_with(dir)).cloned().collect();
    for (path, fault) in patches {
        match fault {
            Some(fault) => damaged.insert(path.clone(), fault.clone()),
            None => damaged.remove(path),
        };
    }
    damaged
}
