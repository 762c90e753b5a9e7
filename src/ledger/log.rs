//! History as the event log: who did what, when, to which beads, told by the ledger's commits.

use gix::ObjectId;

use crate::error::{Kind, OrFail, Result};
use crate::ledger::Ledger;
use crate::time::Moment;

/// A change of state, as its commit tells it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
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
    trailer(&message.to_string(), "Gt-Rev").and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

impl Ledger {
    /// The newest `limit` entries (0: all), newest first by Lamport number along both sides of merges.
    ///
    /// # Errors
    /// Corrupt, when history cannot be read.
    pub fn log(&self, limit: usize) -> Result<Vec<Entry>> {
        let Some(tip) = self.tip()? else { return Ok(Vec::new()) };
        let mut open = std::collections::BTreeMap::new();
        let mut seen = std::collections::HashSet::new();
        let mut entries = Vec::new();
        let (entry, parents) = self.entry(tip)?;
        open.insert((entry.rev, tip), (entry, parents));
        while let Some((_, (entry, parents))) = open.pop_last() {
            for parent in parents {
                if seen.insert(parent) {
                    let next = self.entry(parent)?;
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

    fn entry(&self, id: ObjectId) -> Result<(Entry, Vec<ObjectId>)> {
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
        Ok((entry, commit.parents().collect()))
    }
}
