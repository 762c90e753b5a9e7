//! How much room a file system has.

use std::path::Path;

/// Whether the file system of `dir` has less than `megabytes` for this user, or no room for one more file. One that
/// cannot be asked is not called full.
#[must_use]
pub fn is_short(dir: &Path, megabytes: u64) -> bool {
    let Ok(found) = rustix::fs::statvfs(dir) else { return false };
    // Some file systems do not count files and say 0 of 0.
    let has_files = found.f_files == 0 || found.f_favail > 0;
    !has_files || found.f_bavail.saturating_mul(found.f_frsize) / 1_000_000 < megabytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_short_when_it_has_less_than_was_asked_for() {
        let dir = tempfile::TempDir::new().unwrap();
        assert!(!is_short(dir.path(), 0) && is_short(dir.path(), u64::MAX));
        assert!(!is_short(&dir.path().join("gone"), u64::MAX));
    }
}
