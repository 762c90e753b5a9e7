//! Reading what stands on disk: without following links, within bounds, and with account of what is left out.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::tree::EntryKind;

use super::aside::Bulk;
use crate::error::{Error, Kind, OrFail, Result};

/// Largest file that is saved.
const FILE_BYTES_MAX: u64 = 512 << 20;

/// Largest ignored file that is saved.
const IGNORED_FILE_BYTES_MAX: u64 = 10 << 20;

/// How much of ignored files is saved in all; a data set that somebody ignores is no unsaved work.
const IGNORED_BYTES_MAX: u64 = 256 << 20;

/// Most files in one salvage.
const FILES_MAX: usize = 500_000;

/// How much is held in memory before it is written.
const BATCH_BYTES_MAX: u64 = 64 << 20;

/// Directories that tools fill and can fill again; when ignored they are left out.
const BUILD_DIRS: &[&str] = &[
    "target",
    "node_modules",
    "build",
    "dist",
    "out",
    "vendor",
    ".venv",
    "venv",
    "__pycache__",
    ".tox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".gradle",
    ".cache",
    ".next",
    ".turbo",
    "coverage",
];

/// How much a file is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// All of it is saved; what is too large is moved aside.
    Everything,
    /// Ignored by git: saved when small and outside of build directories.
    Ignored,
}

/// Reads files and keeps account.
#[derive(Default)]
pub(super) struct Reader {
    ignored: Vec<BString>,
    left_out: Vec<BString>,
    bulks: Vec<Bulk>,
    ignored_bytes: u64,
    batch_bytes: u64,
    files: usize,
}

impl Reader {
    /// Ignored files that were read.
    pub(super) fn ignored(&self) -> &[BString] {
        &self.ignored
    }

    /// What was not read and why.
    pub(super) fn left_out(&self) -> &[BString] {
        &self.left_out
    }

    /// Files that are too large or cannot be read.
    pub(super) fn bulks(&self) -> &[Bulk] {
        &self.bulks
    }

    /// Whether enough was read since the last time to write it away.
    pub(super) fn is_batch_full(&mut self) -> bool {
        let is_full = self.batch_bytes > BATCH_BYTES_MAX;
        if is_full {
            self.batch_bytes = 0;
        }
        is_full
    }

    /// The file or link at `place`; `None` when it is gone, a directory, or left out. `path` is its name for people.
    pub(super) fn read(&mut self, place: &Path, path: &BStr, care: Care) -> Result<Option<(EntryKind, Vec<u8>)>> {
        let deed = || format!("read {}", place.display());
        let meta = match std::fs::symlink_metadata(place) {
            Ok(meta) => meta,
            // Gone since git saw it, or a deleted file.
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error).or_fail(Kind::Io, deed),
        };
        if meta.is_dir() {
            return Ok(None);
        }
        self.files += 1;
        if self.files > FILES_MAX {
            return Err(Error::refused(format!("save the files at {}: more than {FILES_MAX}", place.display()))
                .hint("remove or ignore what a tool made there, then try again"));
        }
        if meta.is_symlink() {
            let target = std::fs::read_link(place).or_fail(Kind::Io, deed)?;
            return Ok(Some((EntryKind::Link, target.as_os_str().as_bytes().to_vec())));
        }
        if !meta.is_file() {
            self.leave_out(path, "no file");
            return Ok(None);
        }
        if !self.is_wanted(place, path, meta.len(), care) {
            return Ok(None);
        }
        let bytes = match read_bounded(place) {
            Ok(bytes) => bytes,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied || care == Care::Ignored => {
                self.set_aside(place, path, "cannot be read".to_owned());
                return Ok(None);
            }
            Err(error) => return Err(error).or_fail(Kind::Io, deed),
        };
        self.batch_bytes += meta.len();
        let is_executable = meta.mode() & 0o100 != 0;
        Ok(Some((if is_executable { EntryKind::BlobExecutable } else { EntryKind::Blob }, bytes)))
    }

    fn is_wanted(&mut self, place: &Path, path: &BStr, bytes: u64, care: Care) -> bool {
        match care {
            Care::Everything if bytes > FILE_BYTES_MAX => {
                self.set_aside(place, path, format!("{} MiB", bytes >> 20));
                false
            }
            Care::Everything => true,
            Care::Ignored if bytes > IGNORED_FILE_BYTES_MAX || self.ignored_bytes + bytes > IGNORED_BYTES_MAX => {
                self.set_aside(place, path, format!("ignored, {} MiB", bytes >> 20));
                false
            }
            Care::Ignored => {
                self.ignored_bytes += bytes;
                self.ignored.push(path.to_owned());
                true
            }
        }
    }

    fn set_aside(&mut self, place: &Path, path: &BStr, why: String) {
        self.bulks.push(Bulk { place: place.to_owned(), path: path.to_owned(), why });
    }

    fn leave_out(&mut self, path: &BStr, why: &str) {
        self.left_out.push(format!("{} ({why})", path.to_str_lossy()).into());
    }

    /// All files at and below `place` with their paths in the tree, where `place` is `path`; sorted.
    pub(super) fn walk(&mut self, place: &Path, path: &BStr, care: Care) -> Result<Vec<(PathBuf, BString)>> {
        let mut found = Vec::new();
        let is_left_out = |entry: &walkdir::DirEntry| {
            let is_build = entry.file_name().to_str().is_some_and(|name| BUILD_DIRS.contains(&name));
            care == Care::Ignored && is_build && entry.file_type().is_dir()
        };
        let walk = walkdir::WalkDir::new(place)
            .follow_root_links(false)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| !is_left_out(entry));
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if error.io_error().is_some_and(is_absent) => continue,
                Err(error) if care == Care::Ignored => {
                    self.leave_out(path, &error.to_string());
                    continue;
                }
                Err(error) => return Err(error).or_fail(Kind::Io, || format!("read {}", place.display())),
            };
            if entry.file_type().is_dir() {
                continue;
            }
            let below = entry.path().strip_prefix(place).unwrap_or(Path::new(""));
            let mut full: Vec<Vec<u8>> = path.split(|byte| *byte == b'/').map(storable).collect();
            full.extend(below.iter().map(|name| storable(name.as_bytes())));
            found.push((entry.path().to_owned(), full.join(&b'/').into()));
        }
        Ok(found)
    }
}

/// A path of git as a path here.
pub(super) fn native(path: &BStr) -> Result<&Path> {
    path.to_path().or_fail(Kind::Refused, || format!("read '{path}': the name means nothing here"))
}

/// A name that may stand in a tree: `.git` and what some file systems take for it get a prefix.
fn storable(name: &[u8]) -> Vec<u8> {
    let options = gix::validate::path::component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
    match gix::validate::path::component(name.as_bstr(), None, options) {
        Ok(_) => name.to_vec(),
        Err(_) => [b"gt-salvaged", name].concat(),
    }
}

/// Reads a file that must not be a link, not even one put there since it was looked at.
fn read_bounded(place: &Path) -> std::io::Result<Vec<u8>> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = std::fs::File::options().read(true).custom_flags(flags).open(place)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_tree_may_hold_gets_a_prefix() {
        assert_eq!(storable(b".git"), b"gt-salvaged.git");
        assert_eq!(storable(b".GIT"), b"gt-salvaged.GIT");
        assert_eq!(storable(b"git~1"), b"gt-salvagedgit~1");
        assert_eq!(storable(b".gitignore"), b".gitignore");
        assert_eq!(storable(b"a b\xff"), b"a b\xff");
    }

    #[test]
    fn a_large_file_is_not_read_and_told_with_what_it_is_worth() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("big");
        std::fs::File::create(&place).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        let mut reader = Reader::default();
        assert_eq!(reader.read(&place, "big".into(), Care::Everything).unwrap(), None);
        assert_eq!(reader.read(&place, "big".into(), Care::Ignored).unwrap(), None);
        let bulk = |why: &str| Bulk { place: place.clone(), path: "big".into(), why: why.to_owned() };
        let bulks = [bulk("512 MiB"), bulk("ignored, 512 MiB")];
        assert_eq!((reader.bulks(), reader.left_out()), (&bulks[..], &[][..]));
    }

    #[test]
    fn a_link_is_read_as_a_link() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink("secret", dir.path().join("link")).unwrap();
        let read = Reader::default().read(&dir.path().join("link"), "link".into(), Care::Everything).unwrap();
        assert_eq!(read, Some((EntryKind::Link, b"secret".to_vec())));
        assert!(read_bounded(&dir.path().join("link")).is_err());
    }
}
