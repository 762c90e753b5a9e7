//! History as the event log: who did what, when, to which beads, told by the ledger's commits.
//!
//! Where the ledger was flattened the log goes on in the old history, if that is kept here; else the flatten is its
//! last entry.

use std::collections::HashSet;

use gix::ObjectId;
use gix::bstr::ByteSlice as _;

use crate::error::{Kind, OrFail, Result};
use crate::ledger::{Ledger, flatten, tree};
use crate::time::Moment;

/// A change of state, as its commit tells it.
#[derive(Clone, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub struct Entry {
    /// The commit.
    pub commit: String,
    /// Who.
    pub actor: String,
    /// When, by the wall clock of the machine that wrote.
    pub at: Moment,
    /// The verb (`Gt-Op`).
    pub op: String,
    /// The subject line.
    pub subject: String,
    /// The beads that changed.
    pub beads: Vec<String>,
    /// The machine that wrote it.
    pub machine: String,
    /// Its Lamport number.
    pub rev: u64,
}

/// The value of the first trailer `key` in a commit message.
#[must_use]
pub fn trailer<'m>(message: &'m str, key: &str) -> Option<&'m str> {
    trailers(message, key).next()
}

fn trailers<'m>(message: &'m str, key: &str) -> impl Iterator<Item = &'m str> {
    let wanted = format!("{key}: ");
    message.lines().filter_map(move |line| line.strip_prefix(wanted.as_str()))
}

/// The Lamport number in a ledger commit's message; 0 when there is none.
#[must_use]
pub fn rev_number_of(message: &gix::bstr::BStr) -> u64 {
    // From the end, where it stands: an import names each of its beads before it.
    const KEY: &[u8] = b"\nGt-Rev: ";
    let Some(at) = message.rfind(KEY) else { return 0 };
    let digits = message[at + KEY.len()..].lines().next().unwrap_or_default();
    digits.to_str().ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// The commit of an old history that a commit with this message stands for, when it is a replay.
pub(crate) fn replayed_by(message: &gix::bstr::BStr) -> Option<ObjectId> {
    trailer(&message.to_string(), "Gt-Replays").and_then(|text| ObjectId::from_hex(text.trim().as_bytes()).ok())
}

impl Ledger {
    /// The newest `limit` entries (0: all), newest first by Lamport number along both sides of merges.
    ///
    /// # Errors
    /// Corrupt, when history cannot be read.
    pub fn log(&self, limit: usize) -> Result<Vec<Entry>> {
        let Some(tip) = self.tip()? else { return Ok(Vec::new()) };
        let mut open = std::collections::BTreeMap::new();
        let mut seen = HashSet::new();
        let mut entries = Vec::new();
        let kept = self.kept_histories()?;
        let (entry, parents) = self.entry(tip, &kept)?;
        open.insert((entry.rev, tip), (entry, parents));
        while let Some((_, (entry, parents))) = open.pop_last() {
            for parent in parents {
                if seen.insert(parent) {
                    let next = self.entry(parent, &kept)?;
                    open.insert((next.0.rev, parent), next);
                }
            }
            entries.push(entry);
            if limit > 0 && entries.len() >= limit {
                break;
            }
        }
        Ok(entries)
    }

    /// Tips of old histories that are whole here, since a ref holds them.
    pub(in crate::ledger) fn kept_histories(&self) -> Result<HashSet<ObjectId>> {
        let mut kept = self.store.refs_below(tree::FLATTENED)?;
        kept.extend(self.store.refs_below(tree::BACKUP)?);
        Ok(kept.into_iter().map(|(_, id)| id).collect())
    }

    /// The entry of commit `id`, and the commits before it, those in `kept` old histories included.
    pub(in crate::ledger) fn entry(&self, id: ObjectId, kept: &HashSet<ObjectId>) -> Result<(Entry, Vec<ObjectId>)> {
        let deed = || format!("read the ledger commit {id}");
        let object = self.store.repo.find_commit(id).or_fail(Kind::Corrupt, deed)?;
        let commit = object.decode().or_fail(Kind::Corrupt, deed)?;
        let message = commit.message.to_string();
        let author = commit.author().or_fail(Kind::Corrupt, deed)?;
        let field = |key: &str| trailer(&message, key).unwrap_or_default().to_owned();
        let entry = Entry {
            commit: id.to_string(),
            actor: author.name.to_string(),
            at: Moment::from_millis(author.time().map_or(0, |time| time.seconds.saturating_mul(1000))),
            op: field("Gt-Op"),
            subject: message.lines().next().unwrap_or_default().to_owned(),
            beads: trailers(&message, "Gt-Bead").map(str::to_owned).collect(),
            machine: field("Gt-Machine"),
            rev: rev_number_of(commit.message),
        };
        Ok((entry, self.before(id, &commit, kept)))
    }

    /// The commits before `commit`, whose id is `id`, those in `kept` old histories included.
    pub(in crate::ledger) fn before(
        &self,
        id: ObjectId,
        commit: &gix::objs::CommitRef<'_>,
        kept: &HashSet<ObjectId>,
    ) -> Vec<ObjectId> {
        let mut before: Vec<ObjectId> = commit.parents().collect();
        if before.is_empty() && !kept.is_empty() {
            before.extend(flatten::epochs(&self.store, id).unwrap_or_default().last());
        }
        before.extend(replayed_by(commit.message));
        let parents = commit.parents().count();
        let is_here = |(n, id): &(usize, ObjectId)| *n < parents || kept.contains(id);
        before.into_iter().enumerate().filter(is_here).map(|(_, id)| id).collect()
    }
}
