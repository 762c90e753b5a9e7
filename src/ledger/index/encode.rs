//! Briefs into the bytes of an index.

use std::collections::HashMap;

use gix::ObjectId;

use super::layout::{
    BLOCK_BYTES, FACT_BYTES, HEADER_BYTES, Header, IS_WORD, MR_STATES, Notes, PARENT, Sizes, Stock, URGENCIES, sum,
};
use super::query::Catalog;
use super::roll::Roll;
use super::stacks::{NEVER, Stacks, block_sum};
use super::upkeep::archive_of;
use super::{Half, Slip};
use crate::error::Result;
use crate::ledger::State;
use crate::model::bead::{DependencyKind, IssueType, Status};
use crate::model::brief::Brief;
use crate::time::Moment;

/// An index just made, in memory.
pub struct Made {
    /// What stands before the parts.
    pub header: Header,
    /// Damaged records and unknown words.
    pub notes: Notes,
    /// What every question scans.
    pub roll: Vec<u8>,
    /// The mailboxes.
    pub hall: Vec<u8>,
    /// What few rows are asked for.
    pub stacks: Vec<u8>,
    header_bytes: Vec<u8>,
    note_bytes: Vec<u8>,
    sums: Vec<u8>,
}

impl Made {
    /// The whole file.
    #[must_use]
    pub fn parts(&self) -> [&[u8]; 6] {
        [&self.header_bytes, &self.note_bytes, &self.sums, &self.roll, &self.hall, &self.stacks]
    }

    /// How long the file is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.header.base_bytes()
    }
}

/// The index of `stock`, which are the records of `half` of `state` in the order of rows; `None` when they hold more words that
/// this version does not know than a row has room for.
///
/// # Errors
/// Corrupt, when the tree of the half cannot be read.
pub fn encode(state: &State<'_>, half: Half, stock: &Stock) -> Result<Option<Made>> {
    let archive = match half {
        // One that cannot be read says nothing of the beads that lean on it; whoever asks about those is told why.
        Half::Beads => state.archive().and_then(|archive| archive.map(State::catalog).transpose()).ok().flatten(),
        Half::Letters => None,
    };
    let behind = archive.as_ref().zip(archive_of(state).ok().flatten());
    Ok(encode_with(half.tree(state)?, stock, behind, state.store().record_bytes_max()))
}

fn encode_with(tree: ObjectId, stock: &Stock, archive: Option<(&Catalog, String)>, record_bytes_max: u64) -> Option<Made> {
    let mut sizes = Sizes { beads: stock.beads.len(), letters: stock.letters.len(), ..Sizes::default() };
    let mut notes = Notes { damaged: stock.damaged.clone(), ..Notes::default() };
    let mut roll = encode_roll(&stock.beads, &mut sizes, &mut notes)?;
    let mut stacks = Vec::new();
    encode_beads(&stock.beads, &mut sizes, &mut stacks);
    let hall = encode_letters(&stock.letters, &mut sizes, &mut stacks);
    let catalog = Catalog::plain(Roll::new(sizes, &notes, roll), Stacks::in_memory(sizes, Vec::new()), Vec::new());
    let behind = archive.as_ref().map(|(catalog, _)| *catalog);
    let verdicts: Vec<u8> = (0..sizes.beads).map(|row| catalog.verdict_of_base(row, behind)).collect();
    notes.archive = archive.map(|(_, tree)| tree);
    roll = catalog.into_roll_bytes();
    for (row, verdict) in verdicts.into_iter().enumerate() {
        roll[row * FACT_BYTES + 3] |= verdict;
    }
    let note_bytes = serde_json::to_vec(&notes).ok()?;
    sizes.notes = note_bytes.len();
    let blocks = stacks.chunks(BLOCK_BYTES).enumerate();
    let sums: Vec<u8> = blocks.flat_map(|(n, block)| block_sum(n, block).to_le_bytes()).collect();
    let part_sums = [sum(1, &note_bytes), sum(2, &sums), sum(3, &roll), sum(4, &hall)];
    let header_bytes = Header { tree, sizes, sums: part_sums, sum: 0 }.encode(record_bytes_max);
    let header = Header::decode(&header_bytes[..HEADER_BYTES], record_bytes_max)?;
    Some(Made { header, notes, roll, hall, stacks, header_bytes, note_bytes, sums })
}

/// Numbers in an index have 4 bytes: a base of 4 GiB would hold twenty million beads.
fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn push(bytes: &mut Vec<u8>, n: usize) {
    bytes.extend_from_slice(&narrow(n).to_le_bytes());
}

fn push_all<const N: usize>(bytes: &mut Vec<u8>, numbers: [usize; N]) {
    for n in numbers {
        push(bytes, n);
    }
}

/// The code of a word: its place among those known, or behind them among `odd` ones.
fn code(word: &str, known: &[&str], odd: &mut Vec<String>) -> usize {
    if let Some(place) = known.iter().position(|one| *one == word) {
        return place;
    }
    let place = odd.iter().position(|one| one == word).unwrap_or_else(|| {
        odd.push(word.to_owned());
        odd.len() - 1
    });
    known.len() + place
}

#[derive(Default)]
struct Words<'a> {
    known: HashMap<&'a str, u32>,
    offsets: Vec<u8>,
    text: Vec<u8>,
}

impl<'a> Words<'a> {
    fn add(&mut self, word: &'a str) -> u32 {
        let next = narrow(self.known.len());
        *self.known.entry(word).or_insert_with(|| {
            push(&mut self.offsets, self.text.len());
            self.text.extend_from_slice(word.as_bytes());
            next
        })
    }
}

#[derive(Default)]
struct Columns {
    facts: Vec<u8>,
    id_at: Vec<u8>,
    label_at: Vec<u8>,
    edge_at: Vec<u8>,
    edges: Vec<u8>,
    labels: Vec<u8>,
    deferred: Vec<u8>,
    requests: Vec<u8>,
    ids: Vec<u8>,
}

fn encode_roll(beads: &[(Brief, ObjectId)], sizes: &mut Sizes, notes: &mut Notes) -> Option<Vec<u8>> {
    let (mut columns, mut words) = (Columns::default(), Words::default());
    let by_id: HashMap<&str, usize> = beads.iter().enumerate().map(|(row, (brief, _))| (brief.id.as_str(), row)).collect();
    for (row, (brief, _)) in beads.iter().enumerate() {
        let flags = u8::from(brief.is_ephemeral)
            | u8::from(brief.has_failed) << 1
            | u8::from(brief.was_merged) << 2
            | u8::from(brief.defer_until.or(brief.lease_until).is_some()) << 3;
        let status = u8::try_from(code(brief.status.word(), Status::WORDS, &mut notes.statuses)).ok()?;
        let issue_type = u8::try_from(code(brief.issue_type.word(), IssueType::WORDS, &mut notes.types)).ok()?;
        columns.facts.extend_from_slice(&[status, issue_type, brief.priority, flags]);
        let assignee = brief.assignee.as_deref().map_or(0, |who| words.add(who) + 1);
        columns.facts.extend_from_slice(&assignee.to_le_bytes());
        columns.facts.extend_from_slice(&brief.created_at.millis().to_le_bytes());
        if let Some(until) = brief.defer_until.or(brief.lease_until) {
            push(&mut columns.deferred, row);
            columns.deferred.extend_from_slice(&until.millis().to_le_bytes());
        }
        if let Some(place) = brief.mr_state.and_then(|state| MR_STATES.iter().position(|one| *one == state)) {
            push(&mut columns.requests, row);
            push(&mut columns.requests, place);
        }
        push(&mut columns.id_at, columns.ids.len());
        columns.ids.extend_from_slice(brief.id.as_str().as_bytes());
        push(&mut columns.label_at, columns.labels.len() / 4);
        brief.labels.iter().for_each(|label| columns.labels.extend_from_slice(&words.add(label).to_le_bytes()));
        push(&mut columns.edge_at, columns.edges.len() / 8);
        let parent = brief.parent.iter().map(|id| (PARENT, id));
        let kinds = &mut notes.kinds;
        let own = brief.edges.iter().map(|(kind, id)| (narrow(code(kind.word(), DependencyKind::WORDS, kinds)), id));
        for (kind, target) in parent.chain(own) {
            let row = by_id.get(target.as_str()).map(|row| narrow(*row));
            columns.edges.extend_from_slice(&kind.to_le_bytes());
            columns.edges.extend_from_slice(&row.unwrap_or_else(|| words.add(target.as_str()) | IS_WORD).to_le_bytes());
        }
    }
    // A last number each that only says where the others end.
    push(&mut columns.id_at, columns.ids.len());
    push(&mut columns.label_at, columns.labels.len() / 4);
    push(&mut columns.edge_at, columns.edges.len() / 8);
    push(&mut words.offsets, words.text.len());
    (sizes.id_bytes, sizes.edges, sizes.labels) = (columns.ids.len(), columns.edges.len() / 8, columns.labels.len() / 4);
    (sizes.words, sizes.word_bytes) = (words.known.len(), words.text.len());
    (sizes.deferred, sizes.requests) = (columns.deferred.len() / 12, columns.requests.len() / 8);
    let Columns { facts, id_at, label_at, edge_at, edges, labels, deferred, requests, ids } = columns;
    Some([facts, id_at, label_at, edge_at, edges, labels, words.offsets, deferred, requests, ids, words.text].concat())
}

fn encode_beads(beads: &[(Brief, ObjectId)], sizes: &mut Sizes, out: &mut Vec<u8>) {
    let mut titles = Vec::new();
    for (brief, blob) in beads {
        out.extend_from_slice(blob.as_slice());
        push(out, titles.len());
        out.extend_from_slice(&brief.updated_at.millis().to_le_bytes());
        out.extend_from_slice(&brief.closed_at.map_or(NEVER, Moment::millis).to_le_bytes());
        titles.extend_from_slice(brief.title.as_bytes());
    }
    out.extend_from_slice(&[0; 20]);
    push(out, titles.len());
    out.extend_from_slice(&[0; 16]);
    sizes.title_bytes = titles.len();
    out.extend_from_slice(&titles);
    let by_id: HashMap<&str, usize> = beads.iter().enumerate().map(|(row, (brief, _))| (brief.id.as_str(), row)).collect();
    let mut links: Vec<(usize, usize)> = Vec::new();
    for (row, (brief, _)) in beads.iter().enumerate() {
        let targets = brief.parent.iter().chain(brief.edges.iter().map(|(_, id)| id));
        links.extend(targets.filter_map(|id| by_id.get(id.as_str())).map(|target| (*target, row)));
    }
    links.sort_unstable();
    links.dedup();
    sizes.backlinks = links.len();
    let mut next = 0;
    for row in 0..=beads.len() {
        while links.get(next).is_some_and(|(target, _)| *target < row) {
            next += 1;
        }
        push(out, next);
    }
    for (_, row) in links {
        push(out, row);
    }
}

fn encode_letters(letters: &[(Slip, ObjectId)], sizes: &mut Sizes, out: &mut Vec<u8>) -> Vec<u8> {
    let (mut boxes, mut unread, mut names, mut ids) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut last = None;
    for (row, (slip, blob)) in letters.iter().enumerate() {
        if last != Some(slip.mailbox.as_str()) {
            last = Some(slip.mailbox.as_str());
            push_all(&mut boxes, [names.len(), row, unread.len() / 4]);
            names.extend_from_slice(slip.mailbox.as_bytes());
        }
        if slip.is_unread {
            push(&mut unread, row);
        }
        let urgency = URGENCIES.iter().position(|one| *one == slip.urgency).and_then(|place| u8::try_from(place).ok());
        out.extend_from_slice(blob.as_slice());
        push(out, ids.len());
        out.extend_from_slice(&slip.sent_at.millis().to_le_bytes());
        out.extend_from_slice(&[u8::from(slip.is_unread), urgency.unwrap_or(0), 0, 0, 0, 0, 0, 0]);
        ids.extend_from_slice(slip.id.as_str().as_bytes());
    }
    (sizes.boxes, sizes.name_bytes, sizes.unread) = (boxes.len() / 12, names.len(), unread.len() / 4);
    sizes.letter_id_bytes = ids.len();
    push_all(&mut boxes, [names.len(), letters.len(), unread.len() / 4]);
    out.extend_from_slice(&[0; 20]);
    push(out, ids.len());
    out.extend_from_slice(&[0; 16]);
    out.extend_from_slice(&ids);
    [boxes, unread, names].concat()
}
