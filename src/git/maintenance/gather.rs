//! Few packs made of many in a partial clone, where each request for files leaves one.
//!
//! A pack of a remote that left something out bears a mark, and what is in it may refer to what is not here. git's
//! `repack --geometric` (2.47) loses the mark and `repack -a` writes everything anew each time, so the small ones
//! among them are gathered here, with the mark, until each is twice as large as all smaller ones together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gix::ObjectId;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::program;
use crate::store::objects::Staging;
use crate::store::{Store, pack};

/// A pack with the mark.
pub(super) struct Marked {
    path: PathBuf,
    bytes: u64,
}

impl Marked {
    /// The file's name.
    pub(super) fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// The packs with the mark, the smallest first; those that git was told to keep are left out.
pub(super) fn marked(store: &Store) -> Vec<Marked> {
    let entries = std::fs::read_dir(store.dir().join("objects/pack")).into_iter().flatten().filter_map(std::result::Result::ok);
    let marks = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == pack::PROMISOR));
    let packs = marks.map(|mark| mark.with_extension("pack")).filter(|path| !path.with_extension("keep").exists());
    let mut found: Vec<Marked> =
        packs.filter_map(|path| Some(Marked { bytes: std::fs::metadata(&path).ok()?.len(), path })).collect();
    found.sort_by_key(|pack| pack.bytes);
    found
}

/// How many of the smallest of packs of these sizes are gathered.
fn gathered(sizes: &[u64]) -> usize {
    let mut below = 0;
    let mut count = 0;
    for (at, bytes) in sizes.iter().enumerate() {
        if *bytes < below * 2 {
            count = at + 1;
        }
        below += bytes;
    }
    count
}

/// Makes one pack of the smaller ones of `packs`; tells whether there was something to gather.
///
/// # Errors
/// External, when git fails; io, when the disk is full. Everything is still there then.
pub(super) fn gather(store: &Store, mut packs: Vec<Marked>, threads: &[&str]) -> Result<bool> {
    packs.truncate(gathered(&packs.iter().map(|pack| pack.bytes).collect::<Vec<_>>()));
    if packs.len() < 2 {
        return Ok(false);
    }
    let deed = || format!("gather {} packs of {}", packs.len(), store.dir().display());
    let mut ids = BTreeSet::new();
    for pack in &packs {
        ids.extend(ids_in(&pack.path.with_extension("idx")).or_fail(Kind::Corrupt, deed)?);
    }
    let staging = Staging::create(&store.dir().join("objects"))?;
    let base = staging.dir().canonicalize().or_fail(Kind::Io, deed)?.join("pack");
    let base = base.to_str().or_fail(Kind::Refused, || format!("{}: its name is not UTF-8", deed()))?;
    let words = [threads, &["pack-objects", "-q", "--delta-base-offset", base]].concat();
    let input = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let output = program::fed(store.dir(), &words, input.as_bytes())?;
    if !output.is_success() {
        let line = format!("{}: {}", deed(), output.last_line());
        return Err(Error::new(output.failure(), line).hint("nothing is lost; git fsck tells more"));
    }
    let made = Path::new(&format!("{base}-{}", output.text())).with_extension("pack");
    let index = made.with_extension("idx");
    if ids_in(&index).or_fail(Kind::External, deed)?.len() != ids.len() {
        return Err(Error::external(format!("{}: git packed other objects than it was told to", deed())));
    }
    let (kept, _) = pack::adopt_promised(store, &made, &index)?;
    crate::env::crash_point("maintain.gathered");
    for old in packs.iter().filter(|old| !kept.ends_with(old.name())) {
        // The index first: a pack without is not looked at. What stays should this fail is there twice, no more.
        for end in ["idx", "rev", "bitmap", "pack", pack::PROMISOR] {
            let _ = std::fs::remove_file(old.path.with_extension(end));
        }
    }
    Ok(true)
}

fn ids_in(index: &Path) -> gix::Result<Vec<ObjectId>> {
    let index = gix_pack::index::File::at(index, gix::hash::Kind::Sha1)?;
    Ok(index.iter().map(|entry| entry.oid).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_are_gathered_until_each_is_twice_as_large_as_all_below() {
        for (sizes, count) in [
            (&[][..], 0),
            (&[1], 0),
            (&[1, 1], 2),
            (&[1, 2, 6, 18], 0),
            (&[1, 1, 100], 2),
            (&[1, 1, 1, 1, 5, 1000], 5),
            (&[5, 5, 5, 1000, 1000], 5),
        ] {
            assert_eq!(gathered(sizes), count, "{sizes:?}");
        }
    }
}
