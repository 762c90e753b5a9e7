//! The book of costs: a file of lines that are only ever added, on disk when that is acknowledged.
//!
//! It is this machine's, lies beside the ledger and is not disposable: what it says decides whether anything may start.
//! A line that a power cut tore is damage like any other, and is told, not passed over.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::{Kind, OrFail, Result};
use crate::store::lock::KernelLock;
use crate::store::{make_dir, write_file};

/// The largest book that is read.
const BYTES_MAX: u64 = 256 << 20;

/// The book, held: nobody else adds to it while this value lives.
pub struct Book {
    path: PathBuf,
    _turn: KernelLock,
}

/// What the book at `path` says; nothing, when there is none.
///
/// # Errors
/// Io, when it cannot be read; corrupt, when it is no text or larger than any book.
pub fn read(path: &Path) -> Result<String> {
    let deed = || format!("read the costs in {}", path.display());
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > BYTES_MAX => Err(std::io::Error::from(ErrorKind::FileTooLarge)).or_fail(Kind::Corrupt, deed),
        Ok(_) => match std::fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(error).or_fail(Kind::Corrupt, deed),
            read => read.or_fail(Kind::Io, deed),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).or_fail(Kind::Io, deed),
    }
}

impl Book {
    /// Waits for the book at `path`.
    ///
    /// # Errors
    /// Conflict, when another has it for too long.
    pub fn hold(path: &Path) -> Result<Self> {
        Ok(Self { _turn: KernelLock::take(&path.with_extension("flock"))?, path: path.to_owned() })
    }

    /// What it says.
    ///
    /// # Errors
    /// As [`read`].
    pub fn read(&self) -> Result<String> {
        read(&self.path)
    }

    /// Adds a line.
    ///
    /// # Errors
    /// Io, when it is not on disk; what was there stands.
    pub fn add(&self, line: &str, is_durable: bool) -> Result<()> {
        let deed = || format!("write the costs in {}", self.path.display());
        if let Some(dir) = self.path.parent() {
            make_dir(dir, is_durable)?;
        }
        let is_new = !self.path.exists();
        let mut file = File::options().append(true).create(true).open(&self.path).or_fail(Kind::Io, deed)?;
        let before = file.metadata().or_fail(Kind::Io, deed)?.len();
        let written = file.write_all(format!("{line}\n").as_bytes());
        if let Err(error) = written {
            // Half a line would make the whole book unreadable.
            let _ = file.set_len(before);
            return Err(error).or_fail(Kind::Io, deed);
        }
        if is_durable {
            file.sync_all().or_fail(Kind::Io, deed)?;
            if let Some(dir) = self.path.parent().filter(|_| is_new) {
                crate::store::sync_dir(dir)?;
            }
        }
        Ok(())
    }

    /// Replaces all that it says, and keeps `aside`, when there is any, in a file beside it, which is named.
    ///
    /// # Errors
    /// Io, when one of the two cannot be written; the book then stands.
    pub fn replace(&self, lines: &str, aside: &[u8]) -> Result<Option<PathBuf>> {
        let kept = if aside.is_empty() { None } else { Some(self.free_name()) };
        if let Some(kept) = &kept {
            write_file(kept, aside)?;
        }
        write_file(&self.path, lines.as_bytes())?;
        Ok(kept)
    }

    /// The first name beside the book that nothing has yet.
    fn free_name(&self) -> PathBuf {
        let mut n = 1;
        loop {
            let path = self.path.with_extension(format!("damaged-{n}"));
            if !path.exists() {
                return path;
            }
            n += 1;
        }
    }

    /// All bytes of it, whatever they are.
    ///
    /// # Errors
    /// Io, when it cannot be read.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        match std::fs::read(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            read => read.or_fail(Kind::Io, || format!("read the costs in {}", self.path.display())),
        }
    }
}
