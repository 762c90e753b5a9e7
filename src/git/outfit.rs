//! The outfit of a checkout: files that it is given besides the project's own, laid without following links, and known
//! again, so that they count as nobody's work.
//!
//! Promises: nothing is written outside of the checkout, whatever links stand in it or are put there meanwhile; a file
//! that was changed since it was laid is no longer part of the outfit. What was laid is listed in the checkout's private
//! git directory and goes with that.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use gix::bstr::{BStr, BString, ByteSlice};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Kind, OrFail, Result};
use crate::store::write_file;

/// The list of what was laid, below the private git directory.
const LIST: &str = "gt-outfit";

/// A file or link to lay: where it comes from, and its path there and in the checkout.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    /// The directory that it comes from.
    pub root: PathBuf,
    /// Its path.
    pub path: BString,
}

/// What was laid in a checkout, by path, with what tells each file from another or changed one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outfit(BTreeMap<BString, String>);

impl Outfit {
    /// What was laid in the checkout whose private git directory is `private`; nothing, when that cannot be read.
    #[must_use]
    pub fn of(private: &Path) -> Self {
        let bytes = std::fs::read(private.join(LIST)).unwrap_or_default();
        let lines = bytes.split(|byte| *byte == 0).filter_map(|line| line.split_once_str(b"\t"));
        Self(lines.map(|(mark, path)| (path.into(), mark.to_str_lossy().into_owned())).collect())
    }

    fn write(&self, private: &Path) -> Result<()> {
        let mut bytes = Vec::new();
        for (path, mark) in &self.0 {
            bytes.extend_from_slice(mark.as_bytes());
            bytes.push(b'\t');
            bytes.extend_from_slice(path);
            bytes.push(0);
        }
        write_file(&private.join(LIST), &bytes)
    }

    /// Whether `path` of the checkout at `dest` is as it was laid.
    #[must_use]
    pub fn holds(&self, dest: &Path, path: &BStr) -> bool {
        self.0.get(path).is_some_and(|mark| mark_of(dest, path).as_ref() == Some(mark))
    }
}

/// What a file has as long as nobody writes, replaces or renames it.
fn mark_of(dest: &Path, path: &BStr) -> Option<String> {
    let meta = std::fs::symlink_metadata(dest.join(OsStr::from_bytes(path))).ok()?;
    let (modified, changed) = ((meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()));
    Some(format!("{} {} {}.{} {}.{}", meta.ino(), meta.size(), modified.0, modified.1, changed.0, changed.1))
}

/// Lays `pieces` in the checkout at `dest` and takes away what was laid before, is unchanged, and is no piece any more;
/// of two pieces for one path the later counts. Tells what was not laid, and why.
///
/// # Errors
/// Io, when a file cannot be read or written.
pub fn lay(dest: &Path, private: &Path, pieces: &[Piece]) -> Result<Vec<String>> {
    let before = Outfit::of(private);
    let wanted: BTreeMap<&BString, &Piece> = pieces.iter().map(|piece| (&piece.path, piece)).collect();
    for path in before.0.keys().filter(|path| !wanted.contains_key(path) && before.holds(dest, path.as_bstr())) {
        remove(dest, path)?;
    }
    let (mut laid, mut left_out) = (Outfit::default(), Vec::new());
    for (path, piece) in wanted {
        let deed = || format!("lay {} in {}", path.to_str_lossy(), dest.display());
        if is_current(&before, dest, piece) {
            laid.0.extend(before.0.get_key_value(path).map(|(path, mark)| (path.clone(), mark.clone())));
            continue;
        }
        match lay_one(dest, private, piece) {
            Ok(None) => laid.0.extend(mark_of(dest, path.as_bstr()).map(|mark| (path.clone(), mark))),
            Ok(Some(why)) => left_out.push(format!("{} ({why})", path.to_str_lossy())),
            Err(Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => {
                left_out.push(format!("{} (a link, file or directory is in its way)", path.to_str_lossy()));
            }
            Err(error) => return Err(std::io::Error::from(error)).or_fail(Kind::Io, deed),
        }
    }
    if laid != before {
        laid.write(private)?;
    }
    Ok(left_out)
}

/// Whether what stands there was laid from the piece as it is.
fn is_current(before: &Outfit, dest: &Path, piece: &Piece) -> bool {
    let look = |root: &Path| {
        let meta = std::fs::symlink_metadata(root.join(OsStr::from_bytes(&piece.path))).ok()?;
        meta.is_file().then(|| (meta.size(), meta.mtime(), meta.mtime_nsec(), meta.mode() & 0o777))
    };
    before.holds(dest, piece.path.as_bstr()) && look(dest).is_some_and(|there| look(&piece.root) == Some(there))
}

/// The directories on the way to `path`, and its name; `None` when it may not stand in a checkout.
fn parts(path: &BStr) -> Option<(Vec<&OsStr>, &OsStr)> {
    let mut parts: Vec<&OsStr> = path.split(|byte| *byte == b'/').map(OsStr::from_bytes).collect();
    let is_fit = |part: &&OsStr| {
        let bytes = part.as_bytes();
        !bytes.is_empty() && bytes != b"." && bytes != b".." && !bytes.eq_ignore_ascii_case(b".git") && !bytes.contains(&0)
    };
    if !parts.iter().all(is_fit) {
        return None;
    }
    let name = parts.pop()?;
    Some((parts, name))
}

/// The directory at `parts` below `root`, with no link on the way; made, where it is missing and `is_made`.
fn directory(root: &Path, parts: &[&OsStr], is_made: bool) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = rustix::fs::openat(CWD, root, flags, Mode::empty())?;
    for part in parts {
        let open = |at: &OwnedFd| rustix::fs::openat(at, *part, flags | OFlags::NOFOLLOW, Mode::empty());
        at = match open(&at) {
            Err(Errno::NOENT) if is_made => match rustix::fs::mkdirat(&at, *part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => open(&at)?,
                Err(error) => return Err(error),
            },
            opened => opened?,
        };
    }
    Ok(at)
}

/// Lays one piece; tells why it is none that can be laid.
fn lay_one(dest: &Path, private: &Path, piece: &Piece) -> rustix::io::Result<Option<&'static str>> {
    let Some((dirs, name)) = parts(piece.path.as_bstr()) else { return Ok(Some("no name for a file of a checkout")) };
    let from = directory(&piece.root, &dirs, false)?;
    let source = rustix::fs::statat(&from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    // Made beside, in a directory of git's, so that a kill leaves nothing in the checkout.
    let (beside, temporary) = (directory(private, &[], false)?, OsStr::new("gt-laying"));
    match rustix::fs::unlinkat(&beside, temporary, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error),
    }
    match FileType::from_raw_mode(source.st_mode) {
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(&from, name, Vec::new())?;
            if !stays_inside(dirs.len(), target.as_bytes()) {
                return Ok(Some("a link that leads out"));
            }
            rustix::fs::symlinkat(target.as_c_str(), &beside, temporary)?;
        }
        FileType::RegularFile => copy(&from, name, &beside, temporary)?,
        _ => return Ok(Some("no file")),
    }
    let to = directory(dest, &dirs, true);
    let moved = to.and_then(|to| rustix::fs::renameat(&beside, temporary, &to, name));
    if moved.is_err() {
        let _ = rustix::fs::unlinkat(&beside, temporary, AtFlags::empty());
    }
    moved.map(|()| None)
}

/// Copies bytes, permissions and time of a file that must not be a link.
fn copy(from: &OwnedFd, name: &OsStr, to: &OwnedFd, new: &OsStr) -> rustix::io::Result<()> {
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut source = File::from(rustix::fs::openat(from, name, read, Mode::empty())?);
    let mut copied = File::from(rustix::fs::openat(to, new, write, Mode::from_raw_mode(0o600))?);
    let mut copy = || -> std::io::Result<()> {
        let meta = source.metadata()?;
        std::io::copy(&mut source, &mut copied)?;
        copied.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(meta.mode() & 0o777))?;
        copied.set_modified(meta.modified()?)
    };
    copy().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Whether a link in a directory so many levels deep leads to a place in the checkout, by its text.
fn stays_inside(depth: usize, target: &[u8]) -> bool {
    let mut level = depth;
    if target.starts_with(b"/") {
        return false;
    }
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if level == 0 => return false,
            b".." => level -= 1,
            _ => level += 1,
        }
    }
    true
}

fn remove(dest: &Path, path: &BString) -> Result<()> {
    let Some((dirs, name)) = parts(path.as_bstr()) else { return Ok(()) };
    let removed = directory(dest, &dirs, false).and_then(|dir| rustix::fs::unlinkat(&dir, name, AtFlags::empty()));
    match removed {
        Ok(()) | Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::ISDIR) => Ok(()),
        Err(error) => Err(std::io::Error::from(error))
            .or_fail(Kind::Io, || format!("take {} away", dest.join(OsStr::from_bytes(path)).display())),
    }
}

/// The lines by which git ignores `paths`, and nothing else; a path that no line can name is left out.
#[must_use]
pub fn ignore_lines<'a>(paths: impl Iterator<Item = &'a BStr>) -> Vec<u8> {
    let mut lines = Vec::new();
    for path in paths.filter(|path| !path.contains(&b'\n')) {
        lines.push(b'/');
        for byte in path.as_bytes() {
            if b"\\*?[ ".contains(byte) {
                lines.push(b'\\');
            }
            lines.push(*byte);
        }
        lines.push(b'\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> (tempfile::TempDir, [PathBuf; 3]) {
        let place = tempfile::tempdir().unwrap();
        let dirs = ["from", "dest", "private"].map(|name| place.path().join(name));
        for dir in &dirs {
            std::fs::create_dir(dir).unwrap();
        }
        (place, dirs)
    }

    fn piece(root: &Path, path: &str) -> Piece {
        Piece { root: root.to_owned(), path: path.into() }
    }

    #[test]
    fn a_file_is_laid_with_its_mode_and_time_and_known_until_it_is_changed() {
        let (_place, [from, dest, private]) = places();
        std::fs::create_dir(from.join("a")).unwrap();
        std::fs::write(from.join("a/key"), "secret").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(from.join("a/key"), mode).unwrap();
        assert_eq!(lay(&dest, &private, &[piece(&from, "a/key")]).unwrap(), [""; 0]);
        let laid = std::fs::metadata(dest.join("a/key")).unwrap();
        assert_eq!(
            (laid.mode() & 0o777, laid.modified().unwrap()),
            (0o600, std::fs::metadata(from.join("a/key")).unwrap().modified().unwrap())
        );
        assert!(Outfit::of(&private).holds(&dest, b"a/key".into()));
        let ino = laid.ino();
        lay(&dest, &private, &[piece(&from, "a/key")]).unwrap();
        assert_eq!(std::fs::metadata(dest.join("a/key")).unwrap().ino(), ino, "what is current is not copied again");
        std::fs::write(dest.join("a/key"), "mine").unwrap();
        assert!(!Outfit::of(&private).holds(&dest, b"a/key".into()));
        assert!(!Outfit::of(&private).holds(&dest, b"other".into()));
    }

    #[test]
    fn what_is_no_piece_any_more_goes_unless_somebody_changed_it() {
        let (_place, [from, dest, private]) = places();
        for name in ["old", "mine"] {
            std::fs::write(from.join(name), name).unwrap();
        }
        lay(&dest, &private, &[piece(&from, "old"), piece(&from, "mine")]).unwrap();
        std::fs::write(dest.join("mine"), "changed").unwrap();
        lay(&dest, &private, &[]).unwrap();
        assert!(!dest.join("old").exists() && dest.join("mine").exists());
    }

    #[test]
    fn nothing_is_written_through_a_link_and_no_link_leads_out() {
        let (place, [from, dest, private]) = places();
        let outside = place.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::create_dir(from.join("dir")).unwrap();
        std::fs::write(from.join("dir/file"), "x").unwrap();
        std::fs::write(from.join("plain"), "x").unwrap();
        std::os::unix::fs::symlink("../../outside", from.join("out")).unwrap();
        std::os::unix::fs::symlink("plain", from.join("in")).unwrap();
        std::os::unix::fs::symlink(&outside, dest.join("dir")).unwrap();
        std::os::unix::fs::symlink(outside.join("plain"), dest.join("plain")).unwrap();
        let pieces = ["dir/file", "plain", "out", "in", "../x", ".git/config"].map(|path| piece(&from, path));
        let left_out = lay(&dest, &private, &pieces).unwrap().join("\n");
        for name in ["dir/file", "out", "../x", ".git/config"] {
            assert!(left_out.contains(name), "{name}: {left_out}");
        }
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
        assert!(dest.join("plain").symlink_metadata().unwrap().is_file(), "the link was replaced, not followed");
        assert_eq!(std::fs::read_link(dest.join("in")).unwrap(), Path::new("plain"));
    }

    #[test]
    fn a_line_ignores_one_path_and_no_other() {
        let lines = ignore_lines(["a*b".into(), "#x y".into(), "two\nlines".into()].into_iter());
        assert_eq!(lines.as_bstr(), "/a\\*b\n/#x\\ y\n");
    }
}
