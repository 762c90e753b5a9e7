//! What a worktree is given before somebody works in it: files of the rig's overlay, ignored files that the project
//! names, and what the rig's setup scripts do.
//!
//! Files come from `<rig>/overlay/` and, where the project has a `.worktreeinclude`, from the reading checkout
//! `<rig>/mayor/rig`: those that its patterns name, that are ignored and not tracked. They are nobody's work: git does
//! not see them, a hand-in does not commit them and a salvage leaves them out, unless somebody changed them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::bstr::{BString, ByteSlice};

use crate::config::{self, Source, Trust};
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::outfit::{self, Piece};
use crate::git::program;
use crate::model::address::Address;
use crate::ops::session;
use crate::runtime::command::{self, Ended, Spec};
use crate::runtime::{process, slot};
use crate::store::batch::Batch;
use crate::store::{Store, write_file};
use crate::town::{RigPlace, Town};

/// After this long a setup script is ended.
const SETUP_MILLIS_MAX: u64 = 60_000;
/// Most files of an outfit.
const PIECES_MAX: usize = 200_000;
/// Most bytes of a setup script.
const SCRIPT_BYTES_MAX: u64 = 16 << 20;
/// Where git's list of ignored files has what is gt's.
const MARKS: [&str; 2] = ["# gt: the rig's overlay", "# gt: end of the overlay"];
/// The list of setup scripts that ran, below the private git directory.
const RAN: &str = "gt-setup";

/// A checkout to be fitted out.
pub struct Checkout<'a> {
    /// Whose it is.
    pub agent: &'a Address,
    /// The repository that it belongs to.
    pub store: &'a Store,
    /// Where it is.
    pub dir: &'a Path,
    /// Where git keeps what is its alone.
    pub private: &'a Path,
    /// The commit that it is at.
    pub commit: ObjectId,
}

/// The worktree of an agent of a rig.
fn worktree_of(town: &Town, agent: &Address) -> Option<PathBuf> {
    match agent {
        Address::Polecat(rig, name) => Some(town.root.join(rig.as_str()).join("polecats").join(name.as_str())),
        Address::Crew(rig, name) => Some(town.root.join(rig.as_str()).join("crew").join(name.as_str())),
        _ => None,
    }
}

/// The slot of an agent's worktree; taken, when it has none.
///
/// # Errors
/// As [`slot::take`].
pub fn slot_of(town: &Town, agent: &Address) -> Result<u32> {
    let runtime_dir = town.runtime_dir();
    let is_there = |other: &Address| {
        let has_worktree = worktree_of(town, other).is_none_or(|dir| dir.symlink_metadata().is_ok());
        has_worktree || !matches!(process::find(&runtime_dir, other), Ok(None))
    };
    slot::take(&runtime_dir, agent, is_there)
}

/// Fits `checkout` out; tells what could not be done and stops nobody.
///
/// # Errors
/// Io, when files cannot be read or written; external, when git cannot tell what is ignored.
pub fn fit(town: &Town, place: &RigPlace, checkout: &Checkout<'_>) -> Result<Vec<String>> {
    let mut warnings = lay(place, checkout)?;
    warnings.extend(set_up(town, place, checkout)?);
    Ok(warnings)
}

fn lay(place: &RigPlace, checkout: &Checkout<'_>) -> Result<Vec<String>> {
    let (mut pieces, mut warnings) = (Vec::new(), Vec::new());
    let overlay = place.dir.join("overlay");
    let own = files_below(&overlay)?;
    ignore(checkout.store, &own)?;
    for path in included(place, checkout, &mut warnings)? {
        pieces.push(Piece { root: place.dir.join("mayor/rig"), path });
    }
    pieces.extend(own.into_iter().map(|path| Piece { root: overlay.clone(), path }));
    if pieces.len() > PIECES_MAX {
        return Err(Error::refused(format!("fit {} out with more than {PIECES_MAX} files", checkout.dir.display()))
            .hint(format!("see {} and the project's .worktreeinclude", overlay.display())));
    }
    let tree = checkout.store.tree_of(checkout.commit)?;
    let (tracked, free): (Vec<Piece>, Vec<Piece>) =
        pieces.into_iter().partition(|piece| entry_at(checkout.store, tree, &piece.path).is_some());
    let tracked = tracked.iter().map(|piece| format!("{} (the project has a file of its own there)", piece.path.to_str_lossy()));
    let left_out: Vec<String> = tracked.chain(outfit::lay(checkout.dir, checkout.private, &free)?).collect();
    if let Some(first) = left_out.first() {
        let more = if left_out.len() > 1 { format!(" and {} more", left_out.len() - 1) } else { String::new() };
        warnings.push(format!("not laid in {}: {first}{more}", checkout.dir.display()));
    }
    Ok(warnings)
}

/// All files and links at and below `dir`, by their paths from there; none, when it is no directory.
fn files_below(dir: &Path) -> Result<Vec<BString>> {
    if !dir.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(dir).sort_by_file_name() {
        let entry = entry.or_fail(Kind::Io, || format!("read {}", dir.display()))?;
        if !entry.file_type().is_dir() {
            let path = entry.path().strip_prefix(dir).unwrap_or(entry.path());
            found.push(path.as_os_str().as_bytes().into());
        }
    }
    Ok(found)
}

/// Makes git ignore the overlay's files in all worktrees of `store`.
fn ignore(store: &Store, overlay: &[BString]) -> Result<()> {
    let path = store.dir().join("info/exclude");
    let before = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).or_fail(Kind::Io, || format!("read {}", path.display())),
    };
    let after = with_block(&before, &outfit::ignore_lines(overlay.iter().map(|path| path.as_bstr())));
    if after == before { Ok(()) } else { write_file(&path, &after) }
}

/// `text` with `block` between our marks, or without them when it is empty.
fn with_block(text: &[u8], block: &[u8]) -> Vec<u8> {
    if block.is_empty() && !text.contains_str(MARKS[0]) {
        return text.to_vec();
    }
    let mut after = Vec::new();
    let mut is_ours = false;
    for line in text.lines() {
        match line {
            line if line == MARKS[0].as_bytes() => is_ours = true,
            line if line == MARKS[1].as_bytes() && is_ours => is_ours = false,
            _ if is_ours => {}
            line => {
                after.extend_from_slice(line);
                after.push(b'\n');
            }
        }
    }
    if !block.is_empty() {
        after.extend_from_slice(format!("{}\n", MARKS[0]).as_bytes());
        after.extend_from_slice(block);
        after.extend_from_slice(format!("{}\n", MARKS[1]).as_bytes());
    }
    after
}

fn entry_at(store: &Store, tree: ObjectId, path: &BString) -> Option<(gix::objs::tree::EntryMode, ObjectId)> {
    let found = store.repo.find_tree(tree).ok()?.lookup_entry(path.split(|byte| *byte == b'/')).ok()??;
    Some((found.mode(), found.object_id()))
}

/// The files of the reading checkout that the project's `.worktreeinclude` names and that are ignored there.
fn included(place: &RigPlace, checkout: &Checkout<'_>, warnings: &mut Vec<String>) -> Result<BTreeSet<BString>> {
    let tree = checkout.store.tree_of(checkout.commit)?;
    let Some((mode, id)) = entry_at(checkout.store, tree, &".worktreeinclude".into()) else { return Ok(BTreeSet::new()) };
    if !mode.is_blob() {
        return Ok(BTreeSet::new());
    }
    let source = place.dir.join("mayor/rig");
    if !source.join(".git").exists() {
        warnings.push(format!("there is no checkout at {} to take what .worktreeinclude names from", source.display()));
        return Ok(BTreeSet::new());
    }
    let patterns = checkout.private.join("gt-include");
    write_file(&patterns, &checkout.store.blob(id)?)?;
    let from = format!("--exclude-from={}", patterns.to_str().or_fail(Kind::Refused, || "name a file of patterns: no UTF-8")?);
    let named = ignored_by(&source, &from)?;
    if named.is_empty() {
        return Ok(named);
    }
    let ignored = ignored_by(&source, "--exclude-standard")?;
    Ok(named.intersection(&ignored).cloned().collect())
}

fn ignored_by(dir: &Path, rule: &str) -> Result<BTreeSet<BString>> {
    let output = program::run(dir, &["ls-files", "--others", "--ignored", "-z", rule])?;
    if !output.is_success() {
        return Err(Error::new(output.failure(), format!("list ignored files of {}: {}", dir.display(), output.last_line())));
    }
    Ok(output.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(BString::from).collect())
}

/// A setup script.
struct Script {
    /// As `gt trust` names it.
    key: String,
    /// What is pinned: the id of its text, and its place.
    text: String,
    path: PathBuf,
}

/// The executables of `<rig>/setup.d`, in the order in which they run.
fn scripts(place: &RigPlace) -> Result<Vec<Script>> {
    let dir = place.dir.join("setup.d");
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).or_fail(Kind::Io, || format!("read {}", dir.display())),
    };
    let mut found = Vec::new();
    for entry in entries.filter_map(std::result::Result::ok) {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = entry.path();
        let is_script = std::fs::metadata(&path)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0 && meta.len() <= SCRIPT_BYTES_MAX);
        if !is_script || name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let bytes = std::fs::read(&path).or_fail(Kind::Io, || format!("read {}", path.display()))?;
        let id = Batch::default().add(gix::objs::Kind::Blob, bytes);
        let key = format!("setup.d/{name}");
        found.push(Script { text: format!("{id} {key}"), key, path });
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

/// The rig's setup scripts by key, with what `gt trust` pins of each.
///
/// # Errors
/// Io, when they cannot be read.
pub fn scripts_of(place: &RigPlace) -> Result<Vec<(String, String)>> {
    Ok(scripts(place)?.into_iter().map(|script| (script.key, script.text)).collect())
}

/// Runs the scripts that did not run in this checkout yet and are trusted here.
fn set_up(town: &Town, place: &RigPlace, checkout: &Checkout<'_>) -> Result<Vec<String>> {
    let scripts = scripts(place)?;
    if scripts.is_empty() {
        return Ok(Vec::new());
    }
    let list = checkout.private.join(RAN);
    let mut ran = std::fs::read_to_string(&list).unwrap_or_default();
    let (trust, scope) = (Trust::read(town)?, config::scope_name(Some(place), Source::Rig));
    let mut warnings = Vec::new();
    for script in &scripts {
        if ran.lines().any(|line| line == script.text) {
            continue;
        }
        if !trust.holds(&scope, &script.key, &script.text) {
            let rig = &place.rig.name;
            warnings.push(format!("{0} is not trusted here and did not run: gt trust {0} --rig {rig}", script.key));
            continue;
        }
        match run(town, place, checkout, script)? {
            None => ran.push_str(&format!("{}\n", script.text)),
            Some(why) => warnings.push(why),
        }
    }
    write_file(&list, ran.as_bytes())?;
    Ok(warnings)
}

/// Runs one; tells why it failed.
fn run(town: &Town, place: &RigPlace, checkout: &Checkout<'_>, script: &Script) -> Result<Option<String>> {
    let mut env = session::pairs(town, checkout.agent, place.rig.name.as_str())?;
    env.push(("GT_SLOT".into(), slot_of(town, checkout.agent)?.to_string().into()));
    env.push(("SETUP_SCRIPT".into(), OsString::from(&script.path)));
    let log = process::log_path(&town.runtime_dir(), checkout.agent, &script.key.replace('/', "-"));
    if let Some(dir) = log.parent() {
        std::fs::create_dir_all(dir).or_fail(Kind::Io, || format!("create {}", dir.display()))?;
    }
    let spec = Spec { env, ..Spec::shell(r#"exec "$SETUP_SCRIPT""#, checkout.dir, log.clone(), SETUP_MILLIS_MAX) };
    let why = match command::run_here(spec)?.ended {
        Ended::Exited(0) => return Ok(None),
        Ended::Exited(code) => format!("ended with code {code}"),
        Ended::Signaled(signal) => format!("was ended by signal {signal}"),
        Ended::TimedOut => format!("took more than {} s and was ended", SETUP_MILLIS_MAX / 1000),
        Ended::OutOfMemory => "ran out of memory".to_owned(),
        Ended::CannotStart(why) => format!("cannot start: {why}"),
    };
    Ok(Some(format!("{} {why}; it said: {}", script.key, log.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_ignored_files_keeps_what_people_wrote() {
        let with = with_block(b"*.o\n", b"/.env\n");
        assert_eq!(with.as_bstr(), format!("*.o\n{}\n/.env\n{}\n", MARKS[0], MARKS[1]));
        assert_eq!(with_block(&with, b"/.env\n"), with);
        assert_eq!(with_block(&with, b"").as_bstr(), "*.o\n");
        assert_eq!(with_block(b"no end of line", b"").as_bstr(), "no end of line");
    }
}
