//! Keeping an index up with the ledger: followed by a tree diff, folded when it has grown, made anew from all
//! records when there is none to follow from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::encode::{Made, encode};
use super::file::{self, Found};
use super::layout::{Notes, Stock};
use super::mailroom::Mailroom;
use super::query::Catalog;
use super::roll::{Hall, Roll};
use super::stacks::Stacks;
use super::{Half, Patch, build};
use crate::error::{Error, Result};
use crate::ledger::diff::{self, Pair};
use crate::ledger::{Ledger, State, tree};
use crate::time::Stopwatch;

/// How many bytes of patches are worth folding into the base. They are read and taken apart with every question,
/// folding copies the whole base.
fn tail_bytes_much(base_bytes: usize) -> usize {
    64 * 1024 + base_bytes / 192
}

/// How many times as much makes a reader fold, when no maintenance came before.
const LATE: usize = 4;

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

impl Current {
    /// All that it says; `None` when a part of it is damaged.
    fn stock(&self, half: Half) -> Option<Stock> {
        let mut stock = Stock::default();
        match half {
            Half::Beads => {
                let catalog = self.catalog()?;
                (stock.beads, stock.damaged) = (catalog.briefs()?, catalog.damaged_pairs());
            }
            Half::Letters => {
                let mailroom = self.mailroom()?;
                (stock.letters, stock.damaged) = (mailroom.slips()?, mailroom.damaged_pairs());
            }
        }
        Some(stock)
    }
}

/// Opens the index file and follows the changes up to `state`; `None` when that is not possible.
pub fn follow(state: &State<'_>, half: Half) -> Option<Current> {
    let found = file::open(state, half)?;
    let is_other_archive = half == Half::Beads && found.notes.archive != archive_of(state).ok()?;
    if found.tree == half.tree(state).ok()? && !is_other_archive {
        return Some(Current { found, last: None, is_other_archive });
    }
    let (patch, is_sure) = patch_to(state, half, &found)?;
    let is_wanted = is_sure && is_newest(state);
    let fresh_bytes = (patch.beads.beads.len() + patch.letters.letters.len()) * ENTRY_BYTES;
    let current = Current { found, last: Some(patch), is_other_archive };
    if is_wanted {
        // What was found of beads that lean on archived ones holds for the archive of that time.
        let is_too_much = current.found.tail_bytes + fresh_bytes > LATE * tail_bytes_much(current.found.header.base_bytes());
        if is_other_archive || is_too_much {
            fold(state, half, &current)?;
        } else if let Some(patch) = &current.last {
            current.found.append(patch);
        }
    }
    Some(current)
}

fn patch_to(state: &State<'_>, half: Half, found: &Found) -> Option<(Patch, bool)> {
    let tree = half.tree(state).ok()?;
    let changes: BTreeMap<String, Pair> = diff::changes(state.store().records().ok()?, found.tree, tree).ok()?;
    if changes.len() > changes_max(found) {
        return None;
    }
    let changes = changes.into_iter().map(|(path, pair)| (format!("{}/{path}", half.dir()), pair)).collect();
    build::patch(state.store(), tree, &changes).ok()
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
fn fold(state: &State<'_>, half: Half, current: &Current) -> Option<()> {
    let mut stock = current.stock(half)?;
    build::put_in_order(&mut stock);
    file::replace(&file::path(state, half), &encode(state, half, &stock).ok()??);
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
pub fn rebuild(state: &State<'_>, half: Half) -> Result<Rebuilt> {
    let watch = Stopwatch::start();
    let (stock, is_sure) = build::all(state, half)?;
    let made = encode(state, half, &stock)?;
    tracing::debug!(beads = stock.beads.len(), letters = stock.letters.len(), millis = watch.millis(), "the index was rebuilt");
    let Some(made) = made else { return Ok(Rebuilt::Loose(stock)) };
    if is_sure && is_newest(state) {
        file::replace(&file::path(state, half), &made);
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
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Compared {
    /// Beads that were compared.
    pub beads: usize,
    /// Letters that were compared.
    pub letters: usize,
    /// Whether there was an index of each to compare with.
    pub is_there: bool,
    /// Ids and paths of which the index said something else than the records.
    pub different: Vec<String>,
}

impl Ledger {
    /// Makes the indexes anew from the records, those of the archive too; for nothing but doubt, since an index is
    /// checked whenever it is used. Tells of all together.
    ///
    /// # Errors
    /// Not found, when nothing was ever written here; corrupt, when a tree cannot be read; refused, when no index
    /// can hold what is in the records; io, when a file cannot be written.
    pub fn reindex(&self) -> Result<Reindexed> {
        let watch = Stopwatch::start();
        let state = self.state()?;
        let mut sum = Reindexed::default();
        for (state, half) in indexed(&state)? {
            make_anew(state, half, &mut sum)?;
        }
        sum.took_millis = watch.millis();
        Ok(sum)
    }

    /// Folds what was appended to the indexes into their bases where it has grown, so that no reader has to.
    ///
    /// # Errors
    /// Not found, when nothing was ever written here; corrupt, when a tree cannot be read.
    pub fn fold_index(&self) -> Result<()> {
        let state = self.state()?;
        for (state, half) in indexed(&state)? {
            let Some(current) = follow(state, half) else { continue };
            if current.found.tail_bytes > tail_bytes_much(current.found.header.base_bytes()) {
                // What cannot be folded is made anew by the next who asks.
                let _ = fold(state, half, &current);
            }
        }
        Ok(())
    }

    /// Compares what the indexes say with all records; changes nothing.
    ///
    /// # Errors
    /// Not found, when nothing was ever written here; corrupt, when a tree cannot be read.
    pub fn compare_index(&self) -> Result<Compared> {
        let state = self.state()?;
        let mut sum = Compared { is_there: true, ..Compared::default() };
        for (state, half) in indexed(&state)? {
            compare(state, half, &mut sum)?;
        }
        Ok(sum)
    }
}

/// What has an index: an archive before the ledger that leans on it.
fn indexed<'a, 's>(state: &'a State<'s>) -> Result<Vec<(&'a State<'s>, Half)>> {
    let archive = state.archive()?.map(|archive| (archive, Half::Beads));
    Ok(archive.into_iter().chain([(state, Half::Beads), (state, Half::Letters)]).collect())
}

fn compare(state: &State<'_>, half: Half, sum: &mut Compared) -> Result<()> {
    let stock = build::all(state, half)?.0;
    sum.beads += stock.beads.len();
    sum.letters += stock.letters.len();
    let Some(found) = file::open(state, half) else {
        sum.is_there = false;
        return Ok(());
    };
    let is_current = found.tree == half.tree(state)?;
    let last = if is_current { None } else { patch_to(state, half, &found).map(|(patch, _)| patch) };
    if !is_current && last.is_none() {
        sum.is_there = false;
        return Ok(());
    }
    let is_other_archive = half == Half::Beads && found.notes.archive != archive_of(state)?;
    let current = Current { found, last, is_other_archive };
    let Some(mut said) = current.stock(half) else {
        sum.different.push("the file is damaged".to_owned());
        return Ok(());
    };
    if half == Half::Beads {
        let archive = state.archive()?.map(State::catalog).transpose()?;
        sum.different.extend(current.catalog().into_iter().flat_map(|catalog| catalog.misjudged(archive.as_ref())));
    }
    build::put_in_order(&mut said);
    sum.different.extend(differing(&said.beads, &stock.beads, |(brief, _)| brief.id.to_string()));
    sum.different.extend(differing(&said.letters, &stock.letters, |(slip, _)| slip.id.to_string()));
    sum.different.extend(differing(&said.damaged, &stock.damaged, |(path, _)| path.clone()));
    Ok(())
}

fn make_anew(state: &State<'_>, half: Half, sum: &mut Reindexed) -> Result<()> {
    file::replace_now(&file::path(state, half), || {
        let (stock, is_sure) = build::all(state, half)?;
        let made = encode(state, half, &stock)?;
        let made = made.ok_or_else(|| Error::refused("the records use more statuses or types than an index can hold"))?;
        sum.beads += stock.beads.len();
        sum.letters += stock.letters.len();
        sum.damaged += stock.damaged.len();
        sum.bytes += made.len();
        // What could not be read may be readable again tomorrow, so it must not be kept as damaged.
        Ok((is_sure.then_some(made), ()))
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
