//! The one error type: what kind, what was being done to what, and what to type next.
//!
//! Kinds are the exit codes of `gt`, so a script can tell "not found" from "try again".
//! A question whose answer is no is not an error; commands report that as an outcome (exit 1).

use std::error::Error as StdError;
use std::fmt;

use rustix::io::Errno;

/// What went wrong, as the exit code tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The words on the command line are wrong (2).
    Usage,
    /// No such town, rig, bead, agent or message (3).
    NotFound,
    /// The state forbids it; the hint says what would allow it (4).
    Refused,
    /// Another was faster or holds it; trying again is safe (5).
    Conflict,
    /// A git remote, a gate or an agent failed (6).
    External,
    /// Disk full, read-only, or a sync failed: nothing was written (7).
    Io,
    /// A record or object cannot be read; nothing was written (70).
    Corrupt,
    /// A fault of gt itself; please report (71).
    Bug,
    /// Interrupted by the user (130).
    Interrupted,
}

impl Kind {
    /// The process exit code of this kind.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Refused => 4,
            Self::Conflict => 5,
            Self::External => 6,
            Self::Io => 7,
            Self::Corrupt => 70,
            Self::Bug => 71,
            Self::Interrupted => 130,
        }
    }

    /// What is safe to do next, where nothing closer is known.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Usage => "gt help lists the commands, gt COMMAND --help explains one",
            Self::NotFound | Self::Refused => "gt status shows what there is",
            Self::Conflict | Self::Interrupted => "nothing is half done; try again",
            Self::External => "mend what failed outside of gt, then try again",
            Self::Io => "nothing was written; see that the disk has room and can be written, then try again",
            Self::Corrupt => "nothing was written; every older state is in the ledger's history: git log refs/gt/ledger",
            Self::Bug => "nothing was written; please report it",
        }
    }

    /// The word for this kind in JSON output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::NotFound => "not-found",
            Self::Refused => "refused",
            Self::Conflict => "conflict",
            Self::External => "external",
            Self::Io => "io",
            Self::Corrupt => "corrupt",
            Self::Bug => "bug",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A failure: its kind, a lower-case message, the next command to type, and the cause.
#[derive(Debug)]
pub struct Error {
    /// Exit code and class.
    pub kind: Kind,
    /// What was being done to what, lower case, without a full stop.
    pub message: String,
    /// What to type or check next.
    pub hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),* $(,)?) => {
        impl Error {
            $($(#[$doc])* #[must_use] pub fn $name(message: impl Into<String>) -> Self {
                Self::new(Kind::$kind, message)
            })*
        }
    };
}

constructors! {
    /// The words are wrong.
    usage => Usage,
    /// There is no such thing.
    not_found => NotFound,
    /// The state forbids it.
    refused => Refused,
    /// Another was faster or holds it.
    conflict => Conflict,
    /// Something outside of gt failed.
    external => External,
    /// The disk failed.
    io => Io,
    /// Something stored cannot be read.
    corrupt => Corrupt,
    /// A fault of gt.
    bug => Bug,
}

impl Error {
    /// An error of `kind` that says `message`.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None }
    }

    /// Adds what to type or check next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause. A disk that takes nothing more is that, whatever was being done.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = source.into();
        if disk_fault(&*source).is_some() {
            self.kind = Kind::Io;
        }
        self.source = Some(source);
        self
    }

    /// The message with its chain of causes, on one line.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = self.message.clone();
        if let Some(fault) = self.source.as_deref().and_then(|cause| disk_fault(cause)) {
            return format!("{line}: {fault}").replace(['\n', '\r'], " ");
        }
        let mut next = self.source.as_deref().map(|s| s as &dyn StdError);
        while let Some(cause) = next {
            let text = cause.to_string();
            if !line.contains(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            next = cause.source();
        }
        line.replace(['\n', '\r'], " ")
    }
}

/// The disk's own word in a chain of causes: full, over its quota, read-only, failing, or out of handles.
fn disk_fault(cause: &(dyn StdError + 'static)) -> Option<&'static str> {
    let faults = [
        (Errno::NOSPC, "no space left on the disk"),
        (Errno::DQUOT, "the disk quota is used up"),
        (Errno::ROFS, "the file system is read-only"),
        (Errno::IO, "the disk reports a read or write error"),
        (Errno::MFILE, "this process has too many files open"),
        (Errno::NFILE, "the system has too many files open"),
    ];
    let mut next = Some(cause);
    while let Some(cause) = next {
        // Libraries in between keep the text of an operating system's error and often not its value.
        let text = cause.to_string();
        let is_in = |errno: Errno| text.contains(&format!("(os error {})", errno.raw_os_error()));
        if let Some((_, fault)) = faults.into_iter().find(|(errno, _)| is_in(*errno)) {
            return Some(fault);
        }
        next = cause.source();
    }
    None
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as &dyn StdError)
    }
}

/// Lets a foreign error enter with its kind and deed, said once where both are known.
pub trait OrFail<T> {
    /// Turns a foreign failure into ours; `deed` says what was being done to what.
    ///
    /// # Errors
    /// The failure, with `kind` and `deed`.
    fn or_fail<M: Into<String>>(self, kind: Kind, deed: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> OrFail<T> for std::result::Result<T, E> {
    fn or_fail<M: Into<String>>(self, kind: Kind, deed: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|source| Error::new(kind, deed()).caused_by(source))
    }
}

impl<T> OrFail<T> for Option<T> {
    fn or_fail<M: Into<String>>(self, kind: Kind, deed: impl FnOnce() -> M) -> Result<T> {
        self.ok_or_else(|| Error::new(kind, deed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_such_whatever_was_being_done() {
        let full = std::io::Error::from_raw_os_error(Errno::NOSPC.raw_os_error());
        let wrapped = std::io::Error::other(format!("write /a/tmp-1: {full} at path /a/tmp-1"));
        let error = Error::external("fetch from a project").caused_by(wrapped);
        assert_eq!((error.kind, error.line().as_str()), (Kind::Io, "fetch from a project: no space left on the disk"));
        let absent = Error::external("fetch").caused_by(std::io::Error::from_raw_os_error(Errno::NOENT.raw_os_error()));
        assert_eq!(absent.kind, Kind::External);
    }
}
