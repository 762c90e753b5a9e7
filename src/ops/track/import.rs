//! Beads in and out as lines of JSON: every scope's lines in one transaction, ids kept.
//!
//! A line whose bead is here is told from it by content: the same changes nothing, an older one is left out, a newer
//! one takes its place, comments of both stay. Work under way here keeps its status and holder.

mod rings;
pub mod source;
mod verdict;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::ledger::Change;
use crate::model::bead::{Bead, check_title};
use crate::model::exchange::adopt::{self, Renames};
use crate::model::exchange::{Line, read_line};
use crate::model::hook::Hook;
use crate::model::tombstone::Tombstone;
use crate::name::{BeadId, Prefix};
use crate::ops::convoy::{self, Settled};
use crate::ops::track::create::{check_label, check_priority, check_settable_type, check_texts};
use crate::ops::track::lines::{BadLine, numbered, refusal};
use crate::ops::track::reach::Reach;
use crate::town::Town;
use rings::{Cuts, Lines, Link, Web};
use verdict::{Verdict, verdict};

/// How to import.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Leave bad lines out instead of refusing all.
    pub skip_bad: bool,
    /// Only tell what would happen.
    pub dry_run: bool,
    /// The scope that the beads of the file shall belong to; else the prefix of each id says it.
    pub scope: Option<Prefix>,
    /// Give the beads ids of that scope when they have others.
    pub rename: bool,
    /// Take lines that are older than the beads here, too.
    pub take_older: bool,
}

/// What an import did.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Imported {
    /// New beads.
    pub created: usize,
    /// Beads that were replaced by newer lines.
    pub updated: usize,
    /// Lines that say what is here already.
    pub unchanged: usize,
    /// Lines older than the bead here.
    pub older: usize,
    /// Beads that were on a hook or in review elsewhere and are open here.
    pub freed: usize,
    /// Ids of the file that became others here.
    pub renamed: usize,
    /// Lines of beads that were deleted; they delete nothing here.
    pub tombstones: usize,
    /// Those of them whose ids nothing has here; they stay deleted.
    pub buried: usize,
    /// Lines of beads that were deleted or moved here later than they say.
    pub deleted_here: usize,
    /// Lines that are no beads.
    pub others: usize,
    /// Ids of the beads written, in the order of their lines.
    pub ids: Vec<BeadId>,
    /// Lines that were left out.
    pub bad: Vec<BadLine>,
    /// Links that were left out of lines, since a bead would wait for itself by them.
    pub cut: Vec<BadLine>,
    /// Convoys that landed, were fed or are complete with that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub convoys: Vec<Settled>,
    /// Whether nothing was written because only that was asked.
    pub dry_run: bool,
}

struct Row {
    line: usize,
    bead: Bead,
    was_freed: bool,
}

/// What an import has for a scope.
#[derive(Default)]
struct Load {
    beads: Vec<Row>,
    stones: Vec<(usize, Tombstone)>,
}

/// What an import has for each scope.
type Rows = BTreeMap<Prefix, Load>;

/// How far an import has come.
#[derive(Clone)]
struct Pass {
    told: Imported,
    cuts: Cuts,
    /// Beads that it closes, or brings closed.
    closed: Vec<BeadId>,
}

/// Imports the lines of `bytes`, one transaction a scope, all or nothing.
///
/// # Errors
/// Usage, naming the bad lines, unless they are to be left out; refused, when the beads are to belong to a scope that
/// their ids are not of, and may not be renamed. Then nothing was written.
pub fn import(town: &Town, mut bytes: Vec<u8>, options: &Options) -> Result<Imported> {
    // What an editor of another system put before the first line.
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    let renames = renames(town, &bytes, options)?;
    let mut told = Imported { dry_run: options.dry_run, ..Imported::default() };
    let mut total = 0;
    let mut rows: Rows = BTreeMap::new();
    let mut first_lines = BTreeMap::new();
    for (line, text) in numbered(&bytes) {
        total += 1;
        match read_line(text, town.now, renames.as_ref()).and_then(|read| checked(read, line, &mut first_lines)) {
            Ok(Line::Bead { bead, was_freed }) => {
                rows.entry(bead.id.prefix()).or_default().beads.push(Row { line, bead: *bead, was_freed });
            }
            Ok(Line::Tombstone(stone)) => {
                told.tombstones += 1;
                rows.entry(stone.id.prefix()).or_default().stones.push((line, *stone));
            }
            Ok(Line::Other) => told.others += 1,
            Err(error) => told.bad.push(BadLine { line, fault: error.line() }),
        }
    }
    // All that they say is in the rows.
    drop((bytes, first_lines));
    told.renamed = renames.map_or(0, |renames| renames.len());
    drop_unknown_scopes(town, &mut rows, &mut told.bad);
    let mut pass = Pass { told, cuts: Cuts::new(), closed: Vec::new() };
    // What the state of a scope refuses is found before the first scope is written.
    if rows.len() > 1 || options.dry_run {
        let mut outcome = pass.clone();
        for prefix in rows.keys() {
            let ledger = town.scope_of(prefix)?;
            ledger.rehearse(town.now, |change| put_all(town, change, prefix, &rows, &mut outcome, options))?;
        }
        refuse_bad(&mut outcome.told, total, options)?;
        if options.dry_run {
            return Ok(Imported { convoys: Vec::new(), ..outcome.told });
        }
    }
    for (prefix, own) in &rows {
        let deed = town.deed("import", format!("import {} beads", own.beads.len()));
        pass = town.scope_of(prefix)?.transact(&deed, |change| {
            let mut pass = pass.clone();
            put_all(town, change, prefix, &rows, &mut pass, options)?;
            refuse_bad(&mut pass.told, total, options)?;
            Ok(pass)
        })?;
    }
    refuse_bad(&mut pass.told, total, options)?;
    pass.told.convoys.extend(convoy::after_close(town, &pass.closed).into_iter().filter(Settled::is_news));
    Ok(pass.told)
}

/// The ids of a file, and nothing else of it.
fn ids_of(bytes: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }
    let id = |text: &[u8]| serde_json::from_slice::<Named>(text).ok().map(|named| named.id);
    numbered(bytes).filter_map(|(_, text)| id(text)).collect()
}

/// The prefix of the ids of a file, when a scope could have it.
#[must_use]
pub fn prefix_of(bytes: &[u8]) -> Option<Prefix> {
    adopt::prefix_of(ids_of(bytes).iter().map(String::as_str))?.parse().ok()
}

/// The ids that the beads of a file get, when they are to belong to a scope that is not theirs.
fn renames(town: &Town, bytes: &[u8], options: &Options) -> Result<Option<Renames>> {
    let Some(scope) = &options.scope else { return Ok(None) };
    let ids = ids_of(bytes);
    let Some(from) = adopt::prefix_of(ids.iter().map(String::as_str)) else { return Ok(None) };
    if options.rename {
        let is_scope = |prefix: &Prefix| town.scope_of(prefix).is_ok();
        return Ok(Some(Renames::new(ids.iter().map(String::as_str), &from, scope, is_scope)));
    }
    if from == scope.as_str() {
        return Ok(None);
    }
    let keep = match from.parse::<Prefix>() {
        Ok(from) => format!("; to keep them, give a new rig their prefix: gt rig add NAME URL --prefix {from}"),
        Err(_) => String::new(),
    };
    Err(Error::refused(format!("the ids of the file begin with {from}-, those of this scope with {scope}-"))
        .hint(format!("--rename makes them {scope}-…, wherever the file mentions them{keep}")))
}

fn refuse_bad(told: &mut Imported, total: usize, options: &Options) -> Result<()> {
    let by_line = |one: &BadLine| one.line;
    told.bad.sort_by_key(by_line);
    told.cut.sort_by_key(by_line);
    if options.skip_bad || (told.bad.is_empty() && told.cut.is_empty()) {
        return Ok(());
    }
    let mut bad: Vec<BadLine> = told.bad.iter().chain(&told.cut).cloned().collect();
    bad.sort_by_key(by_line);
    Err(refusal("import", &bad, total).hint(if told.cut.is_empty() {
        "mend them, or leave them out with --skip-bad"
    } else {
        "mend them, or leave them out with --skip-bad; of a line in a ring only the dependency that closes it is left out"
    }))
}

/// Checks what needs no state.
fn checked(read: Line, line: usize, first_lines: &mut BTreeMap<BeadId, usize>) -> Result<Line> {
    let id = match &read {
        Line::Bead { bead, .. } => &bead.id,
        Line::Tombstone(stone) => &stone.id,
        Line::Other => return Ok(read),
    };
    if let Some(first) = first_lines.insert(id.clone(), line) {
        return Err(Error::usage(format!("{id} stands on line {first} already")));
    }
    let Line::Bead { bead, .. } = &read else { return Ok(read) };
    check_title(&bead.title)?;
    check_priority(bead.priority)?;
    check_texts(&[
        ("description", &bead.description),
        ("design", &bead.design),
        ("acceptance criteria", &bead.acceptance_criteria),
        ("notes", &bead.notes),
        ("close reason", bead.close_reason.as_deref().unwrap_or_default()),
    ])?;
    bead.comments.iter().try_for_each(|comment| check_texts(&[("comment", &comment.text)]))?;
    bead.labels.iter().try_for_each(|label| check_label(label))?;
    check_settable_type(&bead.issue_type)?;
    if bead.dependencies.iter().any(|edge| edge.issue_id != bead.id) {
        return Err(Error::usage("a dependency is not from this bead"));
    }
    Ok(read)
}

fn drop_unknown_scopes(town: &Town, rows: &mut Rows, bad: &mut Vec<BadLine>) {
    rows.retain(|prefix, load| match town.scope_of(prefix) {
        Ok(_) => true,
        Err(error) => {
            let hint = error.hint.as_deref().unwrap_or_default();
            let fault = format!("{}; {hint}; --rig NAME --rename gives them ids of a rig", error.line());
            let lines = load.beads.iter().map(|row| row.line).chain(load.stones.iter().map(|(line, _)| *line));
            bad.extend(lines.map(|line| BadLine { line, fault: fault.clone() }));
            false
        }
    });
}

/// Puts the rows of one scope into `change` and tells of each what became of it.
fn put_all(town: &Town, change: &mut Change<'_>, here: &Prefix, rows: &Rows, pass: &mut Pass, options: &Options) -> Result<()> {
    let hooks = change.before().all::<Hook>("hooks")?.0;
    let hooked: BTreeSet<&BeadId> = hooks.iter().map(|hook| &hook.bead).collect();
    let mut taken: Vec<(&Row, Verdict<'_>)> = Vec::new();
    for row in rows.get(here).into_iter().flat_map(|load| &load.beads) {
        match verdict(change, row, &hooked, options) {
            Ok(Verdict::Unchanged) => pass.told.unchanged += 1,
            Ok(Verdict::Older) => pass.told.older += 1,
            Ok(Verdict::DeletedHere) => pass.told.deleted_here += 1,
            Ok(verdict) => taken.push((row, verdict)),
            Err(error) => refused_line(row.line, error, &mut pass.told)?,
        }
    }
    cut_rings(town, change, here, rows, &taken, pass)?;
    for (row, verdict) in &taken {
        let (created, bead, is_freed, was_closed) = match verdict {
            Verdict::New(bead) => (true, without_cuts(bead, &pass.cuts), row.was_freed, false),
            Verdict::Newer { bead, is_freed, was_closed } => (false, without_cuts(bead, &pass.cuts), *is_freed, *was_closed),
            Verdict::Unchanged | Verdict::Older | Verdict::DeletedHere => continue,
        };
        if let Err(error) = change.put_bead(bead.as_ref()) {
            refused_line(row.line, error, &mut pass.told)?;
            continue;
        }
        pass.told.created += usize::from(created);
        pass.told.updated += usize::from(!created);
        pass.told.freed += usize::from(is_freed);
        pass.told.ids.push(row.bead.id.clone());
        if bead.status.is_closed() && !was_closed {
            pass.closed.push(row.bead.id.clone());
        }
    }
    pass.told.convoys.extend(convoy::closed_in(town, change, pass.closed.iter().filter(|id| id.prefix() == *here))?);
    for (line, stone) in rows.get(here).into_iter().flat_map(|load| &load.stones) {
        if change.is_taken(&stone.id)? {
            continue;
        }
        match change.put_tombstone(stone) {
            Ok(()) => pass.told.buried += 1,
            Err(error) => refused_line(*line, error, &mut pass.told)?,
        }
    }
    Ok(())
}

/// Notes what is wrong with a line; what is wrong with more than that ends the import.
fn refused_line(line: usize, error: Error, told: &mut Imported) -> Result<()> {
    if !matches!(error.kind, Kind::Usage | Kind::Refused | Kind::Corrupt) {
        return Err(error);
    }
    told.bad.push(BadLine { line, fault: error.line() });
    Ok(())
}

/// Finds the links of `taken` by which a bead would wait for itself, and tells of them.
fn cut_rings(
    town: &Town,
    change: &Change<'_>,
    here: &Prefix,
    rows: &Rows,
    taken: &[(&Row, Verdict<'_>)],
    pass: &mut Pass,
) -> Result<()> {
    // Lines for other scopes count as they are: whether they are newer than what is there, their own turn tells.
    let others = rows.iter().filter(|(prefix, _)| *prefix != here).flat_map(|(_, load)| &load.beads);
    let own = taken.iter().map(|(row, _)| *row);
    let lines: Lines<'_> = own.chain(others).map(|row| (&row.bead.id, (row.line, &row.bead))).collect();
    let starts: Vec<&BeadId> = taken.iter().map(|(row, _)| &row.bead.id).collect();
    let known: BTreeSet<(BeadId, Link)> = pass.cuts.keys().cloned().collect();
    Web::new(&lines, change, here, Reach::new(town)).cut(&starts, &mut pass.cuts)?;
    for (place, ring) in pass.cuts.iter().filter(|(place, _)| !known.contains(*place)) {
        let names: Vec<&str> = ring.ids.iter().map(BeadId::as_str).collect();
        let fault = format!("it would wait for itself, by its link to {}: {}", ring.target, names.join(" → "));
        let line = lines.get(&place.0).map_or(0, |(line, _)| *line);
        pass.told.cut.push(BadLine { line, fault });
    }
    Ok(())
}

fn without_cuts<'b>(bead: &'b Bead, cuts: &Cuts) -> Cow<'b, Bead> {
    let of_bead = (bead.id.clone(), Link::Parent)..=(bead.id.clone(), Link::Edge(usize::MAX));
    let links: Vec<Link> = cuts.range(of_bead).map(|((_, link), _)| *link).collect();
    if links.is_empty() {
        return Cow::Borrowed(bead);
    }
    let mut bead = bead.clone();
    for link in links.into_iter().rev() {
        match link {
            Link::Parent => bead.parent = None,
            Link::Edge(n) => drop(bead.dependencies.remove(n)),
        }
    }
    Cow::Owned(bead)
}
