//! Beads out as lines of JSON, in the field names of the `bd` tool, in a stream.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::{Damaged, Ledger};
use crate::model::bead::{IssueType, Status};
use crate::model::exchange::{line_of, line_of_tombstone};
use crate::model::record::{self, Object};
use crate::ops::track::create::check_settable_type;
use crate::ops::track::find::Scopes;
use crate::town::Town;

/// Which beads go out; an empty field keeps all.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// One of these statuses.
    pub statuses: Vec<Status>,
    /// One of these types.
    pub types: Vec<IssueType>,
    /// Tombstones, too; they go out in any case when nothing else is asked for.
    pub has_tombstones: bool,
}

impl Which {
    fn keeps_tombstones(&self) -> bool {
        self.has_tombstones || (self.statuses.is_empty() && self.types.is_empty())
    }

    /// Whether nothing but tombstones was asked for.
    fn is_of_tombstones(&self) -> bool {
        self.has_tombstones && self.statuses.is_empty()
    }

    fn keeps(&self, object: &Object) -> bool {
        let word = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (status, issue_type) = (word("status"), word("issue_type"));
        check_settable_type(&issue_type.to_owned().into()).is_ok()
            && (self.statuses.is_empty() || self.statuses.iter().any(|one| one.word() == status))
            && (self.types.is_empty() || self.types.iter().any(|one| one.word() == issue_type))
    }
}

/// What an export wrote.
#[derive(Clone, Debug, Default)]
pub struct Exported {
    /// How many lines.
    pub count: usize,
    /// Records that cannot be read and are not among them.
    pub damaged: Vec<Damaged>,
}

/// Beads read before they are written.
const STRIDE: usize = 16_384;

/// Writes all beads of the asked scopes that `which` keeps to `sink`, a line each, in order of their ids, archived ones
/// too, but for the records that gt keeps for itself.
///
/// # Errors
/// Not found or corrupt, when a scope cannot be read: half of an export must not look whole; io, when `sink` fails.
pub fn export(town: &Town, scopes: &Scopes, which: &Which, sink: &mut dyn Write) -> Result<Exported> {
    let mut exported = Exported::default();
    for prefix in &scopes.asked {
        export_scope(&town.scope_of(prefix)?, which, sink, &mut exported)?;
    }
    sink.flush().or_fail(Kind::Io, || "write the export")?;
    Ok(exported)
}

fn export_scope(ledger: &Ledger, which: &Which, sink: &mut dyn Write, exported: &mut Exported) -> Result<()> {
    let state = ledger.state()?;
    let archived = state.archive()?.map(|archive| archive.paths("beads")).transpose()?.unwrap_or_default();
    let mut paths: BTreeMap<String, gix::ObjectId> = archived.into_iter().collect();
    paths.extend(state.paths("beads")?);
    let mut paths: Vec<(String, gix::ObjectId)> = paths.into_iter().collect();
    paths.sort_by(|(a, _), (b, _)| id_in(a).cmp(id_in(b)));
    if which.is_of_tombstones() {
        paths.clear();
    }
    let (mut stones, mut damaged) = if which.keeps_tombstones() { state.tombstones()? } else { Default::default() };
    exported.damaged.append(&mut damaged);
    stones.retain(|stone| which.types.is_empty() || which.types.contains(&stone.original_type));
    stones.sort_by(|a, b| b.id.cmp(&a.id));
    for stride in paths.chunks(STRIDE) {
        let mut lines: Vec<Option<String>> = vec![None; stride.len()];
        let read = |(path, _): &(String, gix::ObjectId), bytes: Result<&[u8]>| {
            let object = record::decode(path, bytes?)?;
            Ok::<_, Error>(which.keeps(&object).then(|| line_of(object)))
        };
        let mut damaged = Vec::new();
        state.each_record(stride, read, |n, line| match line {
            Ok(line) => lines[n] = line,
            Err(error) => damaged.push(Damaged { path: stride[n].0.clone(), fault: error.line() }),
        })?;
        damaged.sort_by(|a, b| a.path.cmp(&b.path));
        exported.damaged.append(&mut damaged);
        for (line, (path, _)) in lines.into_iter().zip(stride) {
            let Some(line) = line else { continue };
            while let Some(stone) = stones.pop_if(|stone| stone.id.as_str() < id_in(path)) {
                write_line(line_of_tombstone(&stone), sink, exported)?;
            }
            write_line(line, sink, exported)?;
        }
    }
    stones.iter().rev().try_for_each(|stone| write_line(line_of_tombstone(stone), sink, exported))
}

fn write_line(mut line: String, sink: &mut dyn Write, exported: &mut Exported) -> Result<()> {
    line.push('\n');
    exported.count += 1;
    sink.write_all(line.as_bytes()).or_fail(Kind::Io, || "write the export")
}

/// The id that a record's path names.
fn id_in(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default().trim_end_matches(".json")
}

/// Writes an export to `file`, whole or not at all.
///
/// # Errors
/// Not found, when its directory is not there: one that is spelt wrong is not made. Io, when it cannot be written; the old
/// file then stands.
pub fn write(file: &Path, lines: &[u8]) -> Result<()> {
    let file = std::path::absolute(file).or_fail(Kind::Usage, || format!("use {} as a path", file.display()))?;
    if let Some(dir) = file.parent().filter(|dir| !dir.is_dir()) {
        return Err(
            Error::not_found(format!("there is no directory {}", dir.display())).hint("make it first, or name another file")
        );
    }
    crate::store::write_file(&file, lines)
}
