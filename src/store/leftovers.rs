//! What killed processes left behind: staging directories, files of locks, half-written files, and registrations of
//! worktrees that are gone.
//!
//! Only what bears our own kind of name, whose maker is dead, and which is older than any command runs; the age guards
//! where process numbers of another container would look dead.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Kind, OrFail, Result};
use crate::name::base36;
use crate::store::Store;
use crate::store::lock::KernelLock;
use crate::store::refs::start_time_of;
use crate::time::Moment;

/// How old a left-over is at least.
const AGE_MILLIS_MIN: u64 = 60 * 60 * 1000;
/// How long the registration of a worktree that is gone is kept, with the last names of its commits.
pub const GONE_MILLIS_MIN: u64 = 14 * 24 * 60 * 60 * 1000;

/// Removes what is left over in the git directory of `store` and beside it; tells what went, by file name.
///
/// # Errors
/// Io, when a directory cannot be listed or a left-over not removed.
pub fn clear(store: &Store, now: Moment) -> Result<Vec<String>> {
    let mut gone = Vec::new();
    let staged = |name: &str| dead_maker(name.strip_prefix("gt-tmp-")?);
    remove_where(&store.dir().join("objects"), now, AGE_MILLIS_MIN, staged, &mut gone)?;
    let written = |name: &str| dead_maker(name.rsplit_once(".tmp-")?.1);
    remove_where(&store.private_dir(), now, AGE_MILLIS_MIN, written, &mut gone)?;
    // Whoever writes `X.new` holds the lock of `X` meanwhile.
    let replacing = |name: &str| {
        let lock = store.private_dir().join(format!("{}.flock", name.strip_suffix(".new")?));
        KernelLock::try_take(&lock).ok().flatten()
    };
    remove_where(&store.private_dir(), now, AGE_MILLIS_MIN, replacing, &mut gone)?;
    if let (Some(beside), Some(own)) = (store.dir().parent(), store.dir().file_name().and_then(|name| name.to_str())) {
        let cloned = |name: &str| dead_maker(name.strip_prefix(own)?.strip_prefix(".gt-tmp-")?);
        remove_where(beside, now, AGE_MILLIS_MIN, cloned, &mut gone)?;
    }
    let locks = store.private_dir().join("locks");
    if locks.is_dir() {
        let _cleaning = KernelLock::take(&locks.join("clean-up.flock"))?;
        // One that is linked twice stands as a ref's lock; by it the next writer knows that lock as a left-over.
        let lock = |name: &str| {
            let is_single = std::fs::symlink_metadata(locks.join(name)).is_ok_and(|meta| meta.nlink() == 1);
            dead_maker(name).filter(|()| is_single)
        };
        remove_where(&locks, now, AGE_MILLIS_MIN, lock, &mut gone)?;
    }
    remove_where(&gone_worktrees(store), now, GONE_MILLIS_MIN, |_| Some(()), &mut gone)?;
    Ok(gone)
}

/// Removes what dead processes left beside `file`, as [`beside`] names it.
pub fn clear_beside(file: &Path, now: Moment) {
    let (Some(dir), Some(own)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else { return };
    let staged = |name: &str| dead_maker(name.strip_prefix(own)?.strip_prefix(".tmp-")?);
    // Best effort: whoever writes the file is not kept from it by a left-over.
    let _ = remove_where(dir, now, AGE_MILLIS_MIN, staged, &mut Vec::new());
}

/// A name beside `path` that nobody else has, and that tells a later process whose it was.
#[must_use]
pub fn beside(path: &Path) -> PathBuf {
    let pid = std::process::id();
    let started = start_time_of(pid).unwrap_or(0);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".tmp-{pid}-{started}-{}", base36(fastrand::u64(..))));
    name.into()
}

/// Whether registrations of worktrees that are gone are still kept: they may be the last to name some commits.
#[must_use]
pub fn has_gone_worktrees(store: &Store) -> bool {
    std::fs::read_dir(gone_worktrees(store)).is_ok_and(|mut entries| entries.next().is_some())
}

fn gone_worktrees(store: &Store) -> PathBuf {
    store.private_dir().join("gone-worktrees")
}

/// `Some` when `text` begins with the number of a process (and its start time, where told) that is dead.
fn dead_maker(text: &str) -> Option<()> {
    let mut parts = text.split('-');
    let pid: u32 = parts.next()?.parse().ok()?;
    let started = parts.next().and_then(|part| part.parse::<u64>().ok());
    match (start_time_of(pid), started) {
        (None, _) => Some(()),
        (Some(actual), Some(started)) => (actual != started).then_some(()),
        (Some(_), None) => None,
    }
}

/// Removes what is old enough and of which `is_left_over` gives something, which is held until it is gone.
fn remove_where<T>(
    dir: &Path,
    now: Moment,
    age_millis_min: u64,
    is_left_over: impl Fn(&str) -> Option<T>,
    gone: &mut Vec<String>,
) -> Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.or_fail(Kind::Io, || format!("list {}", dir.display()))?,
    };
    for entry in entries.filter_map(std::result::Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(meta) = entry.metadata() else { continue };
        let changed = Moment::from_millis(meta.mtime().max(meta.ctime()).saturating_mul(1000));
        if now.millis_since(changed) < age_millis_min {
            continue;
        }
        let Some(_held) = is_left_over(&name) else { continue };
        let path = entry.path();
        let removed = if meta.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            removed => {
                removed.or_fail(Kind::Io, || format!("remove the left-over {}", path.display()))?;
                gone.push(name);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maker_is_dead_when_its_number_is_free_or_another_one_has_it() {
        let me = std::process::id();
        assert_eq!(dead_maker(&format!("{me}-x7")), None, "alive");
        let started = start_time_of(me).unwrap();
        assert_eq!(dead_maker(&format!("{me}-{started}-x7")), None, "alive");
        assert_eq!(dead_maker(&format!("{me}-{}-x7", started + 1)), Some(()), "its number is another's");
        assert_eq!(dead_maker("4194305-x7"), Some(()), "no process has this number");
        assert_eq!(dead_maker("pack"), None, "not our kind of name");
    }
}
