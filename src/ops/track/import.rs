//! Beads in and out as lines of JSON: every scope's lines in one transaction, ids kept.
//!
//! A line whose bead is here is told from it by content: the same changes nothing, an older one is left out, a newer
//! one takes its place, comments of both stay. Work under way here keeps its status and holder.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::{Change, Damaged, tree};
use crate::model::bead::{Bead, Comment, DependencyKind, Status, check_title};
use crate::model::dependency::{find_any_ring, parent_of};
use crate::model::exchange::{Line, line_of, read_line, record_of, without_clocks};
use crate::model::hook::Hook;
use crate::model::record::{self, Object};
use crate::name::{BeadId, Prefix};
use crate::ops::track::create::{check_label, check_priority, check_settable_type, check_texts};
use crate::ops::track::find::Scopes;
use crate::ops::track::lines::{BadLine, numbered, refusal};
use crate::town::Town;

/// How to import.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Leave bad lines out instead of refusing all.
    pub skip_bad: bool,
    /// Only tell what would happen.
    pub dry_run: bool,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
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
    /// Deleted beads of the other side; they delete nothing here.
    pub tombstones: usize,
    /// Lines that are no beads.
    pub others: usize,
    /// Ids of the beads written, in the order of their lines.
    pub ids: Vec<BeadId>,
    /// Lines that were left out.
    pub bad: Vec<BadLine>,
    /// Whether nothing was written because only that was asked.
    pub dry_run: bool,
}

struct Row {
    line: usize,
    bead: Bead,
    was_freed: bool,
}

/// Imports the lines of `bytes`, one transaction a scope, all or nothing.
///
/// # Errors
/// Usage, naming the bad lines, unless they are to be left out; then nothing was written.
pub fn import(town: &Town, bytes: Vec<u8>, options: Options) -> Result<Imported> {
    let mut told = Imported { dry_run: options.dry_run, ..Imported::default() };
    let mut total = 0;
    let mut rows: BTreeMap<Prefix, Vec<Row>> = BTreeMap::new();
    let mut first_lines = BTreeMap::new();
    for (line, text) in numbered(&bytes) {
        total += 1;
        match read_line(text, town.now).and_then(|read| checked(read, line, &mut first_lines)) {
            Ok(Line::Bead { bead, was_freed }) => {
                rows.entry(bead.id.prefix()).or_default().push(Row { line, bead: *bead, was_freed });
            }
            Ok(Line::Tombstone) => told.tombstones += 1,
            Ok(Line::Other) => told.others += 1,
            Err(error) => told.bad.push(BadLine { line, fault: error.line() }),
        }
    }
    // All that they say is in the rows.
    drop(bytes);
    drop_unknown_scopes(town, &mut rows, &mut told.bad);
    // What the state of a scope refuses is found before the first scope is written.
    if rows.len() > 1 || options.dry_run {
        let mut outcome = told.clone();
        for (prefix, rows) in &rows {
            town.scope_of(prefix)?.rehearse(town.now, |change| put_all(change, rows, &mut outcome))?;
        }
        refuse_bad(&mut outcome.bad, total, options)?;
        if options.dry_run {
            return Ok(outcome);
        }
    }
    for (prefix, rows) in &rows {
        let deed = town.deed("import", format!("import {} beads", rows.len()));
        told = town.scope_of(prefix)?.transact(&deed, |change| {
            let mut told = told.clone();
            put_all(change, rows, &mut told)?;
            refuse_bad(&mut told.bad, total, options)?;
            Ok(told)
        })?;
    }
    refuse_bad(&mut told.bad, total, options)?;
    Ok(told)
}

fn refuse_bad(bad: &mut [BadLine], total: usize, options: Options) -> Result<()> {
    bad.sort_by_key(|bad| bad.line);
    if bad.is_empty() || options.skip_bad {
        return Ok(());
    }
    Err(refusal("import", bad, total).hint("mend them, or leave them out with --skip-bad"))
}

/// Checks what needs no state.
fn checked(read: Line, line: usize, first_lines: &mut BTreeMap<BeadId, usize>) -> Result<Line> {
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
    if bead.dependencies.iter().any(|edge| edge.issue_id != bead.id || edge.depends_on_id == bead.id) {
        return Err(Error::usage("a dependency is not from this bead to another"));
    }
    match first_lines.insert(bead.id.clone(), line) {
        None => Ok(read),
        Some(first) => Err(Error::usage(format!("{} stands on line {first} already", bead.id))),
    }
}

fn drop_unknown_scopes(town: &Town, rows: &mut BTreeMap<Prefix, Vec<Row>>, bad: &mut Vec<BadLine>) {
    rows.retain(|prefix, rows| match town.scope_of(prefix) {
        Ok(_) => true,
        Err(error) => {
            let fault = format!("{}; {}", error.line(), error.hint.unwrap_or_default());
            bad.extend(rows.iter().map(|row| BadLine { line: row.line, fault: fault.clone() }));
            false
        }
    });
}

/// Puts the rows of one scope into `change` and tells of each what became of it.
fn put_all(change: &mut Change<'_>, rows: &[Row], told: &mut Imported) -> Result<()> {
    let hooks = change.before().all::<Hook>("hooks")?.0;
    let hooked: BTreeSet<&BeadId> = hooks.iter().map(|hook| &hook.bead).collect();
    let ringed = rings(change, rows)?;
    for row in rows {
        let result = match ringed.get(&row.line) {
            Some(ring) => Err(Error::refused(ring.clone())),
            None => put(change, row, &hooked, told),
        };
        if let Err(error) = result {
            if !matches!(error.kind, Kind::Usage | Kind::Refused | Kind::Corrupt) {
                return Err(error);
            }
            told.bad.push(BadLine { line: row.line, fault: error.line() });
        }
    }
    Ok(())
}

fn put(change: &mut Change<'_>, row: &Row, hooked: &BTreeSet<&BeadId>, told: &mut Imported) -> Result<()> {
    let path = tree::bead(&row.bead.id);
    let known = match change.before().object(&path)? {
        None => change.before().archived_copy(&path)?.map(|(_, object)| object),
        found => found,
    };
    let Some(object) = known else {
        change.put_bead(&row.bead)?;
        told.created += 1;
        told.freed += usize::from(row.was_freed);
        told.ids.push(row.bead.id.clone());
        return Ok(());
    };
    let old: Bead = record::view(&path, &object)?;
    let mut bead = row.bead.clone();
    let known: BTreeSet<&String> = row.bead.comments.iter().map(|comment| &comment.id).collect();
    let ours: Vec<Comment> = old.comments.iter().filter(|comment| !known.contains(&comment.id)).cloned().collect();
    if !ours.is_empty() {
        bead.comments.extend(ours);
        bead.comments.sort_by_key(|comment| comment.created_at);
    }
    let is_held = matches!(old.status, Status::Hooked | Status::InReview) || hooked.contains(&old.id);
    if is_held {
        keep_work(&mut bead, &old);
    }
    if without_clocks(object) == record_of(&bead) {
        told.unchanged += 1;
        return Ok(());
    }
    if old.updated_at > bead.updated_at {
        told.older += 1;
        return Ok(());
    }
    check_settable_type(&old.issue_type)?;
    change.put_bead(&bead)?;
    told.updated += 1;
    told.freed += usize::from(row.was_freed && !is_held);
    told.ids.push(bead.id);
    Ok(())
}

/// Gives `bead` the status and holder of `old`, whose work is under way here.
fn keep_work(bead: &mut Bead, old: &Bead) {
    bead.status = old.status.clone();
    bead.assignee.clone_from(&old.assignee);
    bead.assigned_rev.clone_from(&old.assigned_rev);
    bead.started_at = old.started_at;
    bead.lease_until = old.lease_until;
    bead.lease_millis = old.lease_millis;
    bead.defer_until = old.defer_until;
    bead.closed_at = old.closed_at;
    bead.close_reason.clone_from(&old.close_reason);
    bead.closed_by.clone_from(&old.closed_by);
}

/// Rings of one import that are named; a file with more is refused whole.
const RINGS_MAX: usize = 100;

/// Lines whose beads would wait for themselves, each with the ring; without these lines there is none.
fn rings(change: &Change<'_>, rows: &[Row]) -> Result<BTreeMap<usize, String>> {
    let mut beads: BTreeMap<&BeadId, &Row> = rows.iter().map(|row| (&row.bead.id, row)).collect();
    let mut children: BTreeMap<&BeadId, Vec<BeadId>> = BTreeMap::new();
    for row in rows {
        if let Some(parent) = parent_of(&row.bead) {
            children.entry(parent).or_default().push(row.bead.id.clone());
        }
    }
    let mut found = BTreeMap::new();
    for _ in 0..=RINGS_MAX {
        let ring = find_any_ring(beads.keys().copied(), |id| match beads.get(id) {
            Some(row) => Ok(waits_for(&row.bead, &children)),
            // What cannot be read blocks by itself, but nobody can tell what it waits for.
            None => {
                Ok(change.get::<Bead>(&tree::bead(id)).unwrap_or_default().map_or_else(Vec::new, |b| waits_for(&b, &children)))
            }
        })?;
        let Some(ring) = ring else { return Ok(found) };
        let Some(row) = ring.iter().filter_map(|id| beads.get(id).copied()).max_by_key(|row| row.line) else {
            // A ring of what is here already is for a check of the whole ledger.
            return Ok(found);
        };
        let names: Vec<&str> = ring.iter().map(BeadId::as_str).collect();
        found.insert(row.line, format!("it would wait for itself: {}", names.join(" → ")));
        beads.remove(&row.bead.id);
    }
    Err(Error::refused(format!("more than {RINGS_MAX} beads would wait for themselves")).hint("mend the dependencies first"))
}

fn waits_for(bead: &Bead, children: &BTreeMap<&BeadId, Vec<BeadId>>) -> Vec<BeadId> {
    let mut next: Vec<BeadId> = parent_of(bead).into_iter().cloned().collect();
    for edge in bead.blockers() {
        match edge.kind {
            DependencyKind::WaitsFor => next.extend(children.get(&edge.depends_on_id).into_iter().flatten().cloned()),
            _ => next.push(edge.depends_on_id.clone()),
        }
    }
    next
}

/// What an export wrote.
#[derive(Clone, Debug, Default)]
pub struct Exported {
    /// The lines, each with its end.
    pub lines: String,
    /// How many there are.
    pub count: usize,
    /// Records that cannot be read and are not among them.
    pub damaged: Vec<Damaged>,
}

/// All beads of the asked scopes as lines, in order of their ids, archived ones too, but for the records that gt keeps
/// for itself.
///
/// # Errors
/// Not found or corrupt, when a scope cannot be read: half of an export must not look whole.
pub fn export(town: &Town, scopes: &Scopes) -> Result<Exported> {
    let mut exported = Exported::default();
    for prefix in &scopes.asked {
        let ledger = town.scope_of(prefix)?;
        let state = ledger.state()?;
        let mut lines = BTreeMap::new();
        let archived = state.archive()?.map(|archive| archive.paths("beads")).transpose()?.unwrap_or_default();
        let mut paths: BTreeMap<String, gix::ObjectId> = archived.into_iter().collect();
        paths.extend(state.paths("beads")?);
        for (path, id) in paths {
            let read = ledger.store.blob(id).and_then(|bytes| record::decode(&path, &bytes));
            match read {
                Ok(object) if is_own(&object) => {}
                Ok(object) => {
                    let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
                    lines.insert(name.to_owned(), line_of(&object));
                }
                Err(error) => exported.damaged.push(Damaged { path, fault: error.line() }),
            }
        }
        exported.count += lines.len();
        for line in lines.into_values() {
            exported.lines.push_str(&line);
            exported.lines.push('\n');
        }
    }
    Ok(exported)
}

fn is_own(object: &Object) -> bool {
    let word = object.get("issue_type").and_then(Value::as_str).unwrap_or_default().to_owned();
    check_settable_type(&word.into()).is_err()
}

/// Writes an export to `file`, whole or not at all.
///
/// # Errors
/// Io, when it cannot be written; the old file then stands.
pub fn write(file: &std::path::Path, exported: &Exported) -> Result<()> {
    let file = std::path::absolute(file).or_fail(Kind::Usage, || format!("use {} as a path", file.display()))?;
    crate::store::write_file(&file, exported.lines.as_bytes())
}
