//! Full text: the words of beads, folded for comparing, in a file beside the index.
//!
//! The first search writes it and each later one appends what changed since, so that nobody who does not search pays
//! for it. An entry says what one blob holds, which stays true for ever; which entries are of now the catalog knows.
//! Frames of about a mebibyte bear a checksum each; behind the first bad one nothing counts.

use std::fs::File;
use std::io::{BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use gix::ObjectId;
use memchr::memmem::Finder;

use super::layout::{sum, u32_at, u64_at};
use super::query::{Catalog, Row};
use super::{Half, sweep};
use crate::error::{Error, Result};
use crate::ledger::{State, diff, read};
use crate::model::bead::Bead;
use crate::store::lock::KernelLock;

const MAGIC: &[u8; 8] = b"gttexts\n";
/// Raised with every change of the layout and of what is folded how.
const FORMAT: u64 = 1;
const HEADER_BYTES: usize = 24;
/// Length, flags, checksum, tree, entries.
const FRAME_BYTES: usize = 48;
/// How much text a frame is filled with before the next begins.
const FILL_BYTES: usize = 1 << 20;
/// The largest frame: one entry may be larger than a fill.
const FRAME_BYTES_MAX: usize = 64 << 20;
/// Lengths of id, title and text; the blob.
const ENTRY_BYTES: usize = 32;

/// What to look for: phrases that must all occur, in any case and however their words are spaced.
pub struct Query(Vec<Finder<'static>>);

impl Query {
    /// A query for all of `phrases`.
    ///
    /// # Errors
    /// Usage, when there is nothing in them.
    pub fn new(phrases: &[String]) -> Result<Self> {
        let folded: Vec<String> = phrases.iter().map(|phrase| fold(phrase)).filter(|phrase| !phrase.is_empty()).collect();
        if folded.is_empty() {
            return Err(Error::usage("there is nothing to search for").hint("gt search WORD …"));
        }
        Ok(Self(folded.iter().map(|phrase| Finder::new(phrase.as_bytes()).into_owned()).collect()))
    }

    fn fits(&self, text: &[u8]) -> bool {
        self.0.iter().all(|finder| finder.find(text).is_some())
    }
}

/// A bead that a query fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its id.
    pub id: String,
    /// Its record.
    blob: ObjectId,
    /// Whether the title alone fits.
    pub in_title: bool,
}

impl Hit {
    /// Its row in `catalog`, if the bead is still what the query fitted; where a place of the index is damaged `read`
    /// gives the bead.
    #[must_use]
    pub fn row<'c>(&self, catalog: &'c Catalog, query: &Query, read: impl FnOnce(Row<'c>) -> Result<Bead>) -> Option<Row<'c>> {
        let row = catalog.find(&self.id)?;
        let is_same = match row.blob() {
            Some(blob) => blob == self.blob,
            None => read(row).is_ok_and(|bead| query.fits(fold_all(&bead).1.as_bytes())),
        };
        is_same.then_some(row)
    }
}

/// Lower case, with one space between words: what a search compares.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        if word.is_ascii() {
            folded.extend(word.chars().map(|c| c.to_ascii_lowercase()));
        } else {
            folded.push_str(&word.to_lowercase());
        }
    }
    folded
}

/// How long the folded title of `bead` is, and all that can be found of it, the title first.
fn fold_all(bead: &Bead) -> (usize, String) {
    let title = fold(&bead.title);
    let labels: Vec<&str> = bead.labels.iter().map(String::as_str).collect();
    let labels = labels.join(" ");
    let texts = [&bead.description, &bead.design, &bead.acceptance_criteria, &bead.notes].map(String::as_str);
    let others = [bead.id.as_str(), &labels, bead.close_reason.as_deref().unwrap_or_default()];
    let comments = bead.comments.iter().map(|comment| comment.text.as_str());
    let mut text = title.clone();
    for part in others.into_iter().chain(texts).chain(comments).filter(|part| !part.is_empty()) {
        // A phrase has no line break in it, so none reaches from one text into the next.
        text.push('\n');
        text.push_str(&fold(part));
    }
    (title.len(), text)
}

/// Appends the entry of `bead` to `out`.
fn put_entry(out: &mut Vec<u8>, bead: &Bead, blob: ObjectId) {
    let (title_len, text) = fold_all(bead);
    let id = bead.id.as_str();
    for len in [id.len(), title_len, text.len()] {
        out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    }
    out.extend_from_slice(blob.as_slice());
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Adds what `query` fits among the entries in `body`; tells how many there are. `None`: they are no entries.
fn look(body: &[u8], query: &Query, hits: &mut Vec<Hit>) -> Option<usize> {
    let (mut at, mut count) = (0, 0);
    while at < body.len() {
        let [id_len, title_len, text_len] = [0, 4, 8].map(|field| u32_at(body, at + field) as usize);
        let id = at + ENTRY_BYTES..at + ENTRY_BYTES + id_len;
        let text = body.get(id.end..id.end.checked_add(text_len)?)?;
        if query.fits(text) {
            let blob = ObjectId::try_from(body.get(at + 12..at + ENTRY_BYTES)?).ok()?;
            let in_title = query.fits(text.get(..title_len)?);
            hits.push(Hit { id: String::from_utf8(body.get(id.clone())?.to_vec()).ok()?, blob, in_title });
        }
        (at, count) = (id.end + text_len, count + 1);
    }
    Some(count)
}

fn header(state: &State<'_>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(FORMAT ^ state.store().record_bytes_max() << 8).to_le_bytes());
    let own = sum(0, &bytes);
    bytes.extend_from_slice(&own.to_le_bytes());
    bytes
}

fn frame(chain: u64, tree: ObjectId, is_last: bool, body: &[u8]) -> (Vec<u8>, u64) {
    let mut rest = tree.as_slice().to_vec();
    rest.extend_from_slice(&u32::from(is_last).to_le_bytes());
    let own = sum(sum(chain, &rest), body);
    let mut bytes = (body.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(&own.to_le_bytes());
    bytes.extend_from_slice(&rest);
    bytes.resize(FRAME_BYTES, 0);
    (bytes, own)
}

/// What a file was found to hold.
struct Scanned {
    /// The tree whose beads all have entries, once a list of them was finished.
    tree: Option<ObjectId>,
    entries: usize,
    end: u64,
    chain: u64,
}

/// Reads the texts at `path` and adds what `query` fits; `None` when there are none that can be used.
fn scan(path: &Path, header: &[u8], query: &Query, hits: &mut Vec<Hit>) -> Option<Scanned> {
    let mut file = BufReader::with_capacity(64 * 1024, File::open(path).ok()?);
    let mut head = vec![0; HEADER_BYTES];
    file.read_exact(&mut head).ok()?;
    if head != header {
        return None;
    }
    let mut found = Scanned { tree: None, entries: 0, end: HEADER_BYTES as u64, chain: u64_at(header, 16) };
    let (mut head, mut body) = (vec![0; FRAME_BYTES], Vec::new());
    while file.read_exact(&mut head).is_ok() {
        let Some(len) = usize::try_from(u64_at(&head, 0)).ok().filter(|len| *len <= FRAME_BYTES_MAX) else { break };
        body.resize(len, 0);
        let good = file.read_exact(&mut body).is_ok() && sum(sum(found.chain, &head[16..40]), &body) == u64_at(&head, 8);
        if !good {
            break;
        }
        found.entries += look(&body, query, hits)?;
        found.chain = u64_at(&head, 8);
        found.end += (FRAME_BYTES + len) as u64;
        if u32_at(&head, 36) == 1 {
            found.tree = ObjectId::try_from(&head[16..36]).ok();
        }
    }
    Some(found)
}

/// Where texts go: behind a good end, into a new file, or nowhere.
struct Writer {
    file: Option<File>,
    chain: u64,
    _turn: Option<KernelLock>,
}

impl Writer {
    fn write(&mut self, tree: ObjectId, is_last: bool, body: &[u8]) {
        let (head, own) = frame(self.chain, tree, is_last, body);
        self.chain = own;
        let written = self.file.as_mut().map(|file| file.write_all(&head).and_then(|()| file.write_all(body)));
        if let Some(Err(error)) = written {
            tracing::debug!(%error, "texts were not written");
            self.file = None;
        }
    }
}

fn path(state: &State<'_>) -> PathBuf {
    state.store().private_dir().join(if state.is_archive() { "texts-archive" } else { "texts" })
}

fn turn(path: &Path) -> Option<KernelLock> {
    KernelLock::try_take(&path.with_extension("flock")).ok().flatten()
}

/// Opens the file at `path` to append behind what was found there, unless another writes or has written.
fn append_to(path: &Path, found: &Scanned) -> Writer {
    let open = || {
        let turn = turn(path)?;
        let mut file = File::options().read(true).write(true).open(path).ok()?;
        let len = file.metadata().ok()?.len();
        if len > found.end {
            // Somebody appended since, or died in doing so; the first frame there tells which.
            let mut head = [0; 8];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut head, found.end).ok();
            let whole = found.end + FRAME_BYTES as u64 + u64::from_le_bytes(head);
            if len >= whole {
                return None;
            }
            file.set_len(found.end).ok()?;
        }
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).ok()?;
        Some((file, turn))
    };
    match open() {
        Some((file, turn)) => Writer { file: Some(file), chain: found.chain, _turn: Some(turn) },
        None => Writer { file: None, chain: found.chain, _turn: None },
    }
}

/// Reads the texts of `paths`, adds what `query` fits, and gives them to `writer` as those of `tree`.
fn take_in(
    state: &State<'_>,
    paths: &[(String, ObjectId)],
    query: &Query,
    hits: &mut Vec<Hit>,
    (writer, tree): (&mut Writer, ObjectId),
) -> Result<()> {
    let records = state.store().records()?;
    let (mut body, mut is_sure) = (Vec::new(), true);
    let entry = |(path, blob): &(String, ObjectId), bytes: Result<&[u8]>| {
        let mut entry = Vec::new();
        // Lists name what is damaged.
        if let Ok(bead) = read::bead_at(path, bytes?) {
            put_entry(&mut entry, &bead, *blob);
        }
        Ok::<_, Error>(entry)
    };
    sweep::each(records, paths, entry, |_, entry| {
        match entry {
            Ok(entry) => body.extend_from_slice(&entry),
            // What could not be read may be readable the next time.
            Err(_) => is_sure = false,
        }
        if body.len() >= FILL_BYTES {
            look(&body, query, hits);
            writer.write(tree, false, &body);
            body.clear();
        }
    })?;
    look(&body, query, hits);
    writer.write(tree, is_sure, &body);
    Ok(())
}

impl State<'_> {
    /// The beads that `query` fits, in no order; some of them may be of another time, which [`Hit::row`] sorts out.
    ///
    /// # Errors
    /// Corrupt, when a tree cannot be read.
    pub fn hits(&self, query: &Query) -> Result<Vec<Hit>> {
        let (path, tree) = (path(self), Half::Beads.tree(self)?);
        let (mut hits, header) = (Vec::new(), header(self));
        let found = scan(&path, &header, query, &mut hits);
        let known = found.and_then(|found| Some((found.tree?, found)));
        let changes =
            known.and_then(|(old, found)| Some((diff::changes(self.store().records().ok()?, old, tree).ok()?, old, found)));
        if let Some((changes, old, found)) = changes
            && changes.len() <= found.entries.max(2_000)
        {
            let changed = changes.into_iter().filter_map(|(path, (_, new))| Some((format!("beads/{path}"), new?)));
            let changed: Vec<(String, ObjectId)> = changed.collect();
            if old != tree {
                let mut writer = append_to(&path, &found);
                take_in(self, &changed, query, &mut hits, (&mut writer, tree))?;
            }
            // Most of what is in the file is of another time: the next search begins anew.
            if old != tree && found.entries > 2_000 && found.entries > 2 * self.catalog()?.rows().count() {
                let _ = std::fs::remove_file(&path);
            }
            return Ok(hits);
        }
        hits.clear();
        let fresh = path.with_extension("new");
        let turn = turn(&path);
        let mut file = turn.as_ref().and_then(|_| File::create(&fresh).ok());
        if file.as_mut().is_some_and(|file| file.write_all(&header).is_err()) {
            file = None;
        }
        let mut writer = Writer { file, chain: u64_at(&header, 16), _turn: turn };
        take_in(self, &self.paths(Half::Beads.dir())?, query, &mut hits, (&mut writer, tree))?;
        if writer.file.is_some() {
            let _ = std::fs::rename(&fresh, &path);
        }
        Ok(hits)
    }
}
