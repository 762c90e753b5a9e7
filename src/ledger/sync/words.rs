//! Words in passing, beside the ledger: what this machine says lies in one directory until its time is up, and stands in
//! the tree of its beat; what it hears lies in another until a verb has acted on it.
//!
//! A word is told at least once to the machine that it is for, and acted on once: whoever acts goes by its id.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gix::ObjectId;
use gix::objs::Kind as ObjectKind;
use gix::objs::tree::{Entry, EntryKind};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::{Ledger, tree};
use crate::model::word::{CARRIED_MAX, WORD_BYTES_MAX, Word};
use crate::store::batch::Batch;
use crate::store::lock::KernelLock;
use crate::store::write_file;
use crate::time::Moment;

/// How long the id of a word that was heard is remembered after its beat was last seen.
const REMEMBERED_MILLIS: u64 = 24 * 3_600_000;

/// What was read of others' beats.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    /// The beat that was read last, by remote and machine.
    read: BTreeMap<String, String>,
    /// When a word was last seen, by its id.
    seen: BTreeMap<String, Moment>,
}

fn dir(ledger: &Ledger, name: &str) -> PathBuf {
    ledger.store.private_dir().join("words").join(name)
}

/// Whether `text` can be the id of a word, and so a file's name.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Says `word` to the machine it is for, with this machine's next beats.
///
/// # Errors
/// Refused, when as many words are under way as a beat carries; io, when it cannot be written.
pub fn say(ledger: &Ledger, word: &Word) -> Result<()> {
    let _turn = KernelLock::take(&dir(ledger, "said.flock"))?;
    let under_way = read_all(ledger, "said")?;
    if under_way.iter().filter(|other| !other.is_over(word.said_at)).count() >= CARRIED_MAX {
        return Err(
            Error::refused(format!("{CARRIED_MAX} words to other machines are under way")).hint("send mail: gt mail send")
        );
    }
    write(ledger, "said", word)
}

/// What this machine says to others at `now`; what is over is forgotten.
///
/// # Errors
/// Io, when the directory cannot be read.
pub fn said(ledger: &Ledger, now: Moment) -> Result<Vec<Word>> {
    let (over, under_way): (Vec<Word>, Vec<Word>) = read_all(ledger, "said")?.into_iter().partition(|word| word.is_over(now));
    for word in over {
        forget(ledger, "said", &word.id)?;
    }
    Ok(under_way)
}

/// Takes back what this machine says: it is settled.
///
/// # Errors
/// Io, when it cannot be removed.
pub fn take_back(ledger: &Ledger, word: &Word) -> Result<()> {
    forget(ledger, "said", &word.id)
}

/// Forgets all that was said and heard: it was another's.
///
/// # Errors
/// Io, when it cannot be removed.
pub fn forget_all(ledger: &Ledger) -> Result<()> {
    let dir = ledger.store.private_dir().join("words");
    match std::fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).or_fail(Kind::Io, || format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// What was heard and not acted on yet.
///
/// # Errors
/// Io, when the directory cannot be read.
pub fn heard(ledger: &Ledger) -> Result<Vec<Word>> {
    read_all(ledger, "heard")
}

/// Drops a word that was acted on.
///
/// # Errors
/// Io, when it cannot be removed.
pub fn acted_on(ledger: &Ledger, word: &Word) -> Result<()> {
    forget(ledger, "heard", &word.id)
}

/// The tree of a beat at `now`, whose objects are added to `batch`: a file for each word, named by machine and id.
pub(super) fn tree_of_beat(ledger: &Ledger, now: Moment, batch: &mut Batch) -> Result<(ObjectId, usize)> {
    let mut words = said(ledger, now)?;
    words.sort_by_key(|word| (word.said_at, word.id.clone()));
    words.drain(..words.len().saturating_sub(CARRIED_MAX));
    let mut entries = Vec::new();
    for word in &words {
        let bytes = serde_json::to_vec(word).or_fail(Kind::Bug, || "write a word to another machine")?;
        let oid = batch.add(ObjectKind::Blob, bytes);
        entries.push(Entry { mode: EntryKind::Blob.into(), filename: format!("{}-{}", word.to, word.id).into(), oid });
    }
    entries.sort();
    Ok((batch.add_value(&gix::objs::Tree { entries }), words.len()))
}

/// The beats among the refs `there` at `remote` that were not read yet.
pub(super) fn unread(ledger: &Ledger, remote: &str, there: &BTreeMap<String, ObjectId>) -> Result<Vec<String>> {
    let others = there.iter().filter(|(name, _)| machine_of(name).is_some_and(|machine| machine != ledger.machine()));
    let others: Vec<(&String, &ObjectId)> = others.collect();
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let memory = recall(ledger)?;
    let is_unread = |name: &str, id: &ObjectId| memory.read.get(&key(remote, name)) != Some(&id.to_string());
    Ok(others.into_iter().filter(|(name, id)| is_unread(name, id)).map(|(name, _)| name.clone()).collect())
}

/// Takes what is said to this machine out of the `beats` that were fetched from `remote`. A beat that cannot be read says
/// nothing.
pub(super) fn hear<'a>(
    ledger: &Ledger,
    remote: &str,
    beats: impl Iterator<Item = (&'a String, &'a ObjectId)>,
    now: Moment,
) -> Result<()> {
    let before = recall(ledger)?;
    let mut memory = before.clone();
    for (name, id) in beats {
        let Some(machine) = machine_of(name) else { continue };
        for word in words_of(ledger, *id).unwrap_or_default() {
            // A machine speaks for itself only.
            if word.from != machine || word.to != ledger.machine() || !is_id(&word.id) {
                continue;
            }
            if memory.seen.insert(word.id.clone(), now).is_none() {
                write(ledger, "heard", &word)?;
            }
        }
        memory.read.insert(key(remote, name), id.to_string());
    }
    if memory == before {
        return Ok(());
    }
    memory.seen.retain(|_, seen| now.millis_since(*seen) < REMEMBERED_MILLIS);
    let bytes = serde_json::to_vec(&memory).or_fail(Kind::Bug, || "write what was read of beats")?;
    write_file(&dir(ledger, "read.json"), &bytes)
}

/// The words that stand for this machine in the beat `id`.
fn words_of(ledger: &Ledger, id: ObjectId) -> Result<Vec<Word>> {
    let store = &ledger.store;
    let here = format!("{}-", ledger.machine());
    let tree = store.record_tree(store.tree_of(id)?)?;
    let mine = tree.entries.iter().filter(|entry| entry.mode.is_blob() && entry.filename.starts_with(here.as_bytes()));
    let mut words = Vec::new();
    for entry in mine.take(CARRIED_MAX) {
        let size = store.repo.find_header(entry.oid).or_fail(Kind::Corrupt, || "look at a word")?.size();
        if size <= WORD_BYTES_MAX as u64 {
            words.extend(serde_json::from_slice::<Word>(&store.record(entry.oid)?).ok());
        }
    }
    Ok(words)
}

fn machine_of(name: &str) -> Option<&str> {
    name.strip_prefix(tree::BEAT)
}

fn key(remote: &str, name: &str) -> String {
    format!("{remote}/{}", machine_of(name).unwrap_or(name))
}

/// What was read; a memory that makes no sense is none.
fn recall(ledger: &Ledger) -> Result<Memory> {
    match std::fs::read(dir(ledger, "read.json")) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Memory::default()),
        Err(error) => Err(error).or_fail(Kind::Io, || "read what was read of beats"),
    }
}

fn write(ledger: &Ledger, part: &str, word: &Word) -> Result<()> {
    let bytes = serde_json::to_vec(word).or_fail(Kind::Bug, || "write a word to another machine")?;
    if bytes.len() > WORD_BYTES_MAX {
        return Err(Error::refused("it is too long for a word in passing").hint("send mail: gt mail send"));
    }
    write_file(&dir(ledger, part).join(format!("{}.json", word.id)), &bytes)
}

fn forget(ledger: &Ledger, part: &str, id: &str) -> Result<()> {
    let path = dir(ledger, part).join(format!("{id}.json"));
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).or_fail(Kind::Io, || format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The words in one of the directories, by id; files that make no sense are passed over.
fn read_all(ledger: &Ledger, part: &str) -> Result<Vec<Word>> {
    let path = dir(ledger, part);
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).or_fail(Kind::Io, || format!("read {}", path.display())),
    };
    let files = entries.filter_map(std::result::Result::ok).map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut words: Vec<Word> =
        files.filter_map(|path| std::fs::read(path).ok()).filter_map(|bytes| serde_json::from_slice(&bytes).ok()).collect();
    words.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(words)
}
