//! What a partial clone left out: files that its remote promised to give when asked (gitpartial-clone(5)).
//!
//! gix asks nobody for an object that is not here, and the git program asks for one after the other where it does not
//! know better. So whoever is about to read files says which, and those that are missing come in one request. A
//! repository that holds everything pays a look at its configuration for that. Only files are ever left out: commits and
//! trees are always here, and so is all that ledgers hold.

mod wanted;

use std::fmt;
use std::str::FromStr;

use gix::ObjectId;
use gix::protocol::transport::Service as Side;

use crate::error::{Error, Kind, Result};
use crate::git::fetch::{self, Talk};
use crate::git::progress::Progress;
use crate::git::reach::missing;
use crate::git::remote::{Link, Place};
use crate::git::{by_program, fault};
use crate::store::Store;

pub(crate) use wanted::{bring_attributes, bring_for_merge};
pub use wanted::{bring_changed, bring_for_renames, bring_tree};

/// Which files a clone leaves out: `blob:none` for all, `blob:limit=SIZE` for those of that size and above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

impl Filter {
    /// What is asked for when files are named one by one: nothing that they might lead to.
    const NONE: &'static str = "blob:none";

    /// The filter as remotes and git's configuration have it.
    #[must_use]
    pub fn spec(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == Self::NONE {
            return Ok(Self(text.to_owned()));
        }
        if let Some(bytes) = text.strip_prefix("blob:limit=").and_then(bytes) {
            return Ok(Self(format!("blob:limit={bytes}")));
        }
        // Without trees nothing could be merged, and what lies in one directory only git knows how to tell.
        Err(Error::usage(format!("'{}' is no filter that a rig can have", text.escape_debug()))
            .hint("blob:none leaves out all files until they are needed, blob:limit=1m those of that size and above"))
    }
}

/// A size as git reads it: a number, and perhaps one of `k`, `m` and `g`.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = match text.char_indices().next_back()? {
        (at, 'k' | 'K') => (&text[..at], 1 << 10),
        (at, 'm' | 'M') => (&text[..at], 1 << 20),
        (at, 'g' | 'G') => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(unit)
}

/// What the remote of a partial clone promised.
#[derive(Clone, Debug)]
pub struct Promise {
    url: String,
    /// What it leaves out of a fetch; `None`: nothing any more, or by a filter that is not one of ours.
    pub filter: Option<Filter>,
}

impl Promise {
    /// The promise that stands in the configuration of `store`, where git's own partial clones have it too.
    #[must_use]
    pub fn of(store: &Store) -> Option<Self> {
        let config = store.repo.config_snapshot();
        if !config.boolean("remote.origin.promisor").unwrap_or(false) {
            return None;
        }
        let url = config.string("remote.origin.url")?.to_string();
        let filter = config.string("remote.origin.partialclonefilter").and_then(|spec| spec.to_string().parse().ok());
        Some(Self { url, filter })
    }

    /// Whether `place` is the remote that promised.
    pub(crate) fn is_of(&self, place: &Place) -> bool {
        Place::parse(&self.url).is_ok_and(|own| own.text() == place.text())
    }

    /// Brings the files `ids` into `store`, which may be another repository than the one that has the promise.
    ///
    /// # Errors
    /// External, when the remote cannot be reached; corrupt, when it no longer has one of them.
    pub(crate) fn bring_into(&self, store: &Store, ids: &[ObjectId], progress: &Progress) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.ask(store, ids, progress).map_err(|error| without_them(store, ids.len(), error))?;
        match ids.iter().find(|id| !store.repo.has_object(**id)) {
            None => Ok(()),
            Some(id) => Err(missing(*id)),
        }
    }

    fn ask(&self, store: &Store, ids: &[ObjectId], progress: &Progress) -> Result<()> {
        let mut link = Link::open(store, Place::parse(&self.url)?, Side::UploadPack, progress)?;
        let talk = Talk { wants: ids, shared: &[], known: &[], filter: Some(Filter::NONE) };
        if let Some(wire) = &mut link.wire {
            match fetch::exchange(wire, &link.place, store, &talk, progress) {
                Ok(received) => return received.keep_promised(store, &[], &[]),
                Err(error) if fault::known(&error.message).is_some() => return Err(error),
                Err(error) => tracing::debug!("{}; asking git", error.line()),
            }
        }
        by_program::fetch(store, &link.place, ids, Some(Filter::NONE))
    }
}

/// The error of a request for `count` files.
fn without_them(store: &Store, count: usize, mut error: Error) -> Error {
    let files = if count == 1 { "a file".to_owned() } else { format!("{count} files") };
    let is_gone = error.message.contains("not our ref");
    error.message = format!("{files} that this partial clone left out could not be had: {}", error.message);
    if is_gone {
        error.kind = Kind::Corrupt;
        return error.hint("the remote no longer has what it promised; bring back the branch there that had it");
    }
    if error.kind != Kind::External {
        return error;
    }
    let everything = format!("git --git-dir {} fetch --refetch --no-filter origin", store.dir().display());
    error.hint(format!("try again when the remote can be reached; to have all files here then: {everything}"))
}

/// Those of `ids` that are not here, each once.
fn absent(store: &Store, ids: &[ObjectId]) -> Result<Vec<ObjectId>> {
    let mut gone = ids.to_vec();
    gone.sort();
    gone.dedup();
    // Looking for new packs at each object that is not here would take long. What another process has brought meanwhile
    // is seen by the second look, with fresh eyes.
    let mut repo = store.repo.clone();
    repo.objects.refresh = gix::odb::store::RefreshMode::Never;
    gone.retain(|id| !repo.has_object(*id));
    if !gone.is_empty() {
        let mut repo = Store::open(store.dir())?.repo;
        repo.objects.refresh = gix::odb::store::RefreshMode::Never;
        gone.retain(|id| !repo.has_object(*id));
    }
    Ok(gone)
}

/// Brings those of the files `ids` that a partial clone left out and tells how many; elsewhere nothing is done.
///
/// # Errors
/// External, when they cannot be fetched; corrupt, when the remote no longer has one of them.
pub fn bring(store: &Store, ids: &[ObjectId], progress: &Progress) -> Result<usize> {
    let Some(promise) = Promise::of(store).filter(|_| !ids.is_empty()) else { return Ok(0) };
    let absent = absent(store, ids)?;
    if !absent.is_empty() {
        progress.say(&format!("fetching {} files that were left out", absent.len()));
    }
    promise.bring_into(store, &absent, progress)?;
    Ok(absent.len())
}

/// Brings the files `absent`, which something that was fetched refers to.
///
/// # Errors
/// Corrupt, where none were ever left out, or when the remote does not have one of them; external, when it cannot be
/// reached.
pub(crate) fn redeem(store: &Store, absent: &[ObjectId]) -> Result<()> {
    match (absent.first(), Promise::of(store)) {
        (None, _) => Ok(()),
        (Some(id), None) => Err(missing(*id)),
        (Some(_), Some(promise)) => promise.bring_into(store, absent, &Progress::silent()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_one_that_leaves_out_files_only() {
        for (text, spec) in [
            ("blob:none", "blob:none"),
            ("blob:limit=0", "blob:limit=0"),
            ("blob:limit=100", "blob:limit=100"),
            ("blob:limit=1k", "blob:limit=1024"),
            ("blob:limit=2M", "blob:limit=2097152"),
        ] {
            assert_eq!(text.parse::<Filter>().unwrap().spec(), spec);
        }
        for bad in [
            "",
            "blob",
            "blob:",
            "blob:limit=",
            "blob:limit=k",
            "blob:limit=-1",
            "blob:limit=+1",
            "blob:limit=1x",
            "blob:limit=1kk",
            "blob:limit=99999999999999999999",
            "blob:limit=99999999999999g",
            "tree:0",
            "tree:3",
            "sparse:oid=main:x",
            "object:type=commit",
            "combine:blob:none+tree:0",
            "BLOB:NONE",
            "blob:none\n",
        ] {
            let error = bad.parse::<Filter>().unwrap_err();
            assert!(error.kind == Kind::Usage && error.hint.unwrap().contains("blob:limit="), "{bad:?}");
        }
    }
}
