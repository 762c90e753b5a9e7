//! Slots: a small number for each worktree that somebody works in, for ports, databases and temporary directories.
//!
//! Promises: no two worktrees of a town on this machine have one number at a time, whoever is killed when. A worktree
//! keeps its number from its first session until it is removed. The numbers are machine-local and disposable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::store::lock::KernelLock;
use crate::store::write_file;

/// More worktrees than a machine has room for.
const SLOTS_MAX: u32 = 10_000;

fn dir(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("slots")
}

/// Whose each number is.
fn all(runtime_dir: &Path) -> Result<BTreeMap<u32, Address>> {
    let dir = dir(runtime_dir);
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error).or_fail(Kind::Io, || format!("read {}", dir.display())),
    };
    let named = entries.filter_map(std::result::Result::ok).filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        // What makes no sense is nobody's.
        Some((number, std::fs::read_to_string(entry.path()).ok()?.trim().parse().ok()?))
    });
    Ok(named.collect())
}

/// The number of `agent`'s worktree; `None` before its first session.
///
/// # Errors
/// Io, when the numbers cannot be read.
pub fn find(runtime_dir: &Path, agent: &Address) -> Result<Option<u32>> {
    Ok(all(runtime_dir)?.into_iter().find(|(_, holder)| holder == agent).map(|(number, _)| number))
}

/// The number of `agent`'s worktree, taken now if it has none: the least that nobody has. `is_there` tells whether the
/// worktree or the session of another is still there; the number of one that is not was left by a kill.
///
/// # Errors
/// Io, when numbers cannot be read or written; refused, when there are too many worktrees.
pub fn take(runtime_dir: &Path, agent: &Address, is_there: impl Fn(&Address) -> bool) -> Result<u32> {
    let dir = dir(runtime_dir);
    let _turn = KernelLock::take(&runtime_dir.join("slots.flock"))?;
    let mut taken = all(runtime_dir)?;
    if let Some((number, _)) = taken.iter().find(|(_, holder)| *holder == agent) {
        return Ok(*number);
    }
    taken.retain(|_, holder| is_there(holder));
    let free = (1..=SLOTS_MAX).find(|number| !taken.contains_key(number));
    let free = free
        .ok_or_else(|| Error::refused(format!("{SLOTS_MAX} worktrees have a slot")).hint("remove idle ones: gt polecat list"))?;
    std::fs::create_dir_all(&dir).or_fail(Kind::Io, || format!("create {}", dir.display()))?;
    write_file(&dir.join(free.to_string()), format!("{agent}\n").as_bytes())?;
    Ok(free)
}

/// Gives the number of `agent` back; its worktree is gone.
///
/// # Errors
/// Io, when the numbers cannot be read or one not removed.
pub fn free(runtime_dir: &Path, agent: &Address) -> Result<()> {
    let _turn = KernelLock::take(&runtime_dir.join("slots.flock"))?;
    for (number, _) in all(runtime_dir)?.into_iter().filter(|(_, holder)| holder == agent) {
        let path = dir(runtime_dir).join(number.to_string());
        std::fs::remove_file(&path).or_fail(Kind::Io, || format!("remove {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polecat(name: &str) -> Address {
        format!("widgets/polecats/{name}").parse().unwrap()
    }

    #[test]
    fn each_worktree_has_the_least_number_that_nobody_has_and_keeps_it() {
        let place = tempfile::tempdir().unwrap();
        let take = |name: &str| take(place.path(), &polecat(name), |_| true).unwrap();
        assert_eq!([take("nux"), take("toast"), take("nux"), take("slit")], [1, 2, 1, 3]);
        free(place.path(), &polecat("toast")).unwrap();
        free(place.path(), &polecat("toast")).unwrap();
        assert_eq!((find(place.path(), &polecat("toast")).unwrap(), take("dag")), (None, 2));
    }

    #[test]
    fn the_number_of_a_worktree_that_is_gone_is_free_and_one_that_is_there_is_not() {
        let place = tempfile::tempdir().unwrap();
        take(place.path(), &polecat("nux"), |_| true).unwrap();
        assert_eq!(take(place.path(), &polecat("toast"), |holder| *holder == polecat("nux")).unwrap(), 2);
        assert_eq!(take(place.path(), &polecat("slit"), |holder| *holder != polecat("nux")).unwrap(), 1);
    }

    #[test]
    fn of_many_at_once_no_two_get_one_number() {
        let place = &tempfile::tempdir().unwrap();
        let numbers: std::collections::BTreeSet<u32> = std::thread::scope(|scope| {
            let take = |n: u32| take(place.path(), &polecat(&format!("p{n}")), |_| true).unwrap();
            let threads: Vec<_> = (0..12).map(|n| scope.spawn(move || take(n))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(numbers, (1..=12).collect());
    }
}
