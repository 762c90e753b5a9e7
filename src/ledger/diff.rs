//! Which records differ between two ledger trees. Equal subtrees are not read.

use std::collections::BTreeMap;

use gix::ObjectId;
use gix::objs::tree::EntryMode;

use crate::error::{Error, Result};
use crate::store::objects;

/// A record's blob before and after; `None`: not there.
pub type Pair = (Option<ObjectId>, Option<ObjectId>);

/// How deep a ledger's tree may be; ours are at most 5.
const DEPTH_MAX: usize = 16;

/// The paths that differ between the trees `old` and `new`, with both blobs.
///
/// # Errors
/// Corrupt, when a tree cannot be read, lies too deep, or holds a name or mode that no ledger has.
pub fn changes(find: &dyn gix::objs::Find, old: ObjectId, new: ObjectId) -> Result<BTreeMap<String, Pair>> {
    let mut changes = BTreeMap::new();
    walk(find, "", (Some(old), Some(new)), 0, &mut changes)?;
    Ok(changes)
}

type Entries = BTreeMap<String, (EntryMode, ObjectId)>;

fn walk(
    find: &dyn gix::objs::Find,
    dir: &str,
    (old, new): Pair,
    depth: usize,
    changes: &mut BTreeMap<String, Pair>,
) -> Result<()> {
    if old == new {
        return Ok(());
    }
    if depth > DEPTH_MAX {
        return Err(Error::corrupt(format!("the ledger's tree is deeper than {DEPTH_MAX} at {dir}")));
    }
    let (old, mut new) = (entries(find, dir, old)?, entries(find, dir, new)?);
    let join = |name: &str| if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
    for (name, before) in old {
        let after = new.remove(&name);
        if after.as_ref() != Some(&before) {
            walk_entry(find, &join(&name), Some(before), after, depth, changes)?;
        }
    }
    for (name, after) in new {
        walk_entry(find, &join(&name), None, Some(after), depth, changes)?;
    }
    Ok(())
}

fn walk_entry(
    find: &dyn gix::objs::Find,
    path: &str,
    old: Option<(EntryMode, ObjectId)>,
    new: Option<(EntryMode, ObjectId)>,
    depth: usize,
    changes: &mut BTreeMap<String, Pair>,
) -> Result<()> {
    let blob = |entry: Option<(EntryMode, ObjectId)>| entry.filter(|(mode, _)| mode.is_blob()).map(|(_, id)| id);
    let tree = |entry: Option<(EntryMode, ObjectId)>| entry.filter(|(mode, _)| mode.is_tree()).map(|(_, id)| id);
    let blobs = (blob(old), blob(new));
    if blobs.0 != blobs.1 {
        changes.insert(path.to_owned(), blobs);
    }
    walk(find, path, (tree(old), tree(new)), depth + 1, changes)
}

fn entries(find: &dyn gix::objs::Find, dir: &str, id: Option<ObjectId>) -> Result<Entries> {
    let Some(id) = id else { return Ok(Entries::new()) };
    let mut found = Entries::new();
    for entry in objects::read_tree(find, id)?.entries {
        let name = String::from_utf8(entry.filename.into()).unwrap_or_default();
        let is_plain = entry.mode.is_tree() || entry.mode.kind() == gix::objs::tree::EntryKind::Blob;
        let is_lawful = !name.is_empty() && !matches!(name.as_str(), "." | ".." | ".git") && !name.contains('/');
        if !is_plain || !is_lawful {
            return Err(Error::corrupt(format!("the ledger's tree holds something unlawful in '{}'", dir.escape_debug()))
                .hint("it was not written by gt; nothing was taken over"));
        }
        found.insert(name, (entry.mode, entry.oid));
    }
    Ok(found)
}
