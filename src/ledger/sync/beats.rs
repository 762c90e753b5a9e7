//! Beats: a machine that holds hooks shows that it lives by a ref that changes, at every remote that it exchanges with.
//!
//! A beat never enters shared history. It also carries what its machine has to say to others in passing (see
//! [`super::words`]). Others judge it by their own clock alone: what they remember is when they saw it change, in a file
//! beside the ledger.

use std::collections::BTreeMap;

use gix::ObjectId;
use serde::{Deserialize, Serialize};

use crate::error::{Kind, OrFail, Result};
use crate::git::progress::Progress;
use crate::git::push::{self, Update};
use crate::ledger::sync::words;
use crate::ledger::{Ledger, merge, tree};
use crate::store::batch::Batch;
use crate::store::write_file;
use crate::time::Moment;

/// How old a machine's own beat must be before it beats anew.
const BEAT_MILLIS: u64 = 5 * 60_000;

/// A beat as it was seen last, and when it was first seen so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    beat: String,
    since: Moment,
}

fn memory(ledger: &Ledger) -> std::path::PathBuf {
    ledger.store.private_dir().join("beats.json")
}

/// What was seen of beats; a memory that cannot be read is none.
fn remembered(ledger: &Ledger) -> Result<BTreeMap<String, Seen>> {
    match std::fs::read(memory(ledger)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        other => other.map(|_| BTreeMap::new()).or_fail(Kind::Io, || "read what was seen of beats"),
    }
}

/// When this machine last saw the beat of each other machine change.
///
/// # Errors
/// Io, when the memory of it cannot be read.
pub fn heard(ledger: &Ledger) -> Result<BTreeMap<String, Moment>> {
    Ok(remembered(ledger)?.into_iter().map(|(machine, seen)| (machine, seen.since)).collect())
}

/// Remembers the beats among the refs `there`, as of `now`.
pub(super) fn remember(ledger: &Ledger, there: &BTreeMap<String, ObjectId>, now: Moment) -> Result<()> {
    let known = remembered(ledger)?;
    let mut seen = known.clone();
    for (name, id) in there {
        let Some(machine) = name.strip_prefix(tree::BEAT).filter(|machine| *machine != ledger.machine()) else { continue };
        let beat = id.to_string();
        if known.get(machine).is_none_or(|known| known.beat != beat) {
            seen.insert(machine.to_owned(), Seen { beat, since: now });
        }
    }
    if seen == known {
        return Ok(());
    }
    let bytes = serde_json::to_vec(&seen).or_fail(Kind::Bug, || "write what was seen of beats")?;
    write_file(&memory(ledger), &bytes)
}

/// Beats at `url` while this machine holds hooks or has something to say to another, and takes the beat away else. What does
/// not work is no failure of the exchange: the ledger has gone there.
pub(super) fn beat(ledger: &Ledger, url: &str, there: &BTreeMap<String, ObjectId>, now: Moment, progress: &Progress) {
    if let Err(error) = try_beat(ledger, url, there, now, progress) {
        tracing::debug!("no beat: {}", error.line());
    }
}

fn try_beat(ledger: &Ledger, url: &str, there: &BTreeMap<String, ObjectId>, now: Moment, progress: &Progress) -> Result<()> {
    let name = format!("{}{}", tree::BEAT, ledger.machine());
    let old = there.get(&name).copied();
    let mut batch = Batch::default();
    let (tree, words) = words::tree_of_beat(ledger, now, &mut batch)?;
    let is_wanted = words > 0 || ledger.state()?.hooks()?.iter().any(|hook| hook.machine == ledger.machine());
    let stands = |old: ObjectId| ledger.store.tree_of(old).is_ok_and(|stands| stands == tree);
    let update = match (is_wanted, old) {
        (false, None) => return Ok(()),
        (false, old) => Update { name, old, new: None },
        (true, old) if old.is_some_and(|old| is_fresh(ledger, old, now) && stands(old)) => return Ok(()),
        (true, old) => Update { name, old, new: Some(make(ledger, tree, batch, now)?) },
    };
    push::push(&ledger.store, url, &[update], progress).map(drop)
}

/// Whether our own beat `id` is young; one that is not here is not.
fn is_fresh(ledger: &Ledger, id: ObjectId, now: Moment) -> bool {
    let commit = ledger.store.repo.find_commit(id).ok();
    let seconds = commit.and_then(|commit| commit.time().ok()).map(|time| time.seconds);
    seconds.is_some_and(|seconds| now.millis_since(Moment::from_millis(seconds.saturating_mul(1_000))) < BEAT_MILLIS)
}

/// A commit without parents, with `tree` and what is in `batch`, at `now`.
fn make(ledger: &Ledger, tree: ObjectId, mut batch: Batch, now: Moment) -> Result<ObjectId> {
    let who = merge::nobody(now.secs());
    let commit = gix::objs::Commit {
        tree,
        parents: std::iter::empty().collect(),
        author: who.clone(),
        committer: who,
        encoding: None,
        message: format!("beat of {}\n", ledger.machine()).into(),
        extra_headers: Vec::new(),
    };
    let id = batch.add_value(&commit);
    ledger.store.write(&batch)?;
    Ok(id)
}
