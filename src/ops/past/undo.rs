//! Taking back one's last deed, while nothing was built on it and nobody else has it.
//!
//! What a deed did is the difference of two trees. It is undone by writing each record as it was before, in one
//! transaction, if each still is what the deed made of it; so an undo is a deed like others and can itself be undone.

mod deed;
mod letters;
mod reverse;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::difference::Difference;
use crate::name::Prefix;
use crate::ops::convoy::{self, Settled};
use crate::ops::past::edges;
use crate::ops::track::reach::Reach;
use crate::time::Moment;
use crate::town::Town;
use deed::{check_undoable, check_unsynced, last_deed};
use reverse::Reverse;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It is not there any more.
    Gone,
    /// It is there again.
    Back,
    /// It is as it was before.
    Changed,
}

/// A record that was as a deed had left it.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Reverted {
    /// The bead, the letter, or the path of another record.
    pub id: String,
    /// What became of it.
    pub what: Fate,
    /// What it is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The fields that are as they were before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Difference>,
}

impl Reverted {
    fn new(id: &str, what: Fate, title: String) -> Self {
        Self { id: id.to_owned(), what, title, changes: Vec::new() }
    }
}

/// A deed that was taken back.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Undone {
    /// Its commit.
    pub commit: String,
    /// The scope that it changed.
    pub scope: Prefix,
    /// Its verb.
    pub op: String,
    /// What it did, in a line.
    pub subject: String,
    /// When it was done.
    pub at: Moment,
    /// What became of each record.
    pub records: Vec<Reverted>,
    /// Edges that are not there again, each with the reason.
    pub left_out: Vec<String>,
    /// Convoys that landed, were fed or are complete with that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub convoys: Vec<Settled>,
    /// Whether nothing was written because only that was asked.
    pub dry_run: bool,
}

/// Takes the actor's last deed back; with `dry_run` only tells what that would change.
///
/// # Errors
/// Not found, when there is none; refused, when the deed is not one that can be taken back, when it was synced, or when
/// something was built on it: the message says what.
pub fn undo(town: &Town, dry_run: bool) -> Result<Undone> {
    let own = last_deed(town)?;
    check_undoable(&own.entry)?;
    check_unsynced(&own)?;
    let [parent] = own.step.before.as_slice() else {
        return Err(Error::refused(format!("'{}' began or joined a history and stays", own.entry.subject))
            .hint("gt log shows what happened"));
    };
    let deed = Reverse::of(&own, *parent)?;
    let mut undone = Undone {
        commit: own.entry.commit.clone(),
        scope: own.prefix.clone(),
        op: own.entry.op.clone(),
        subject: own.entry.subject.clone(),
        at: own.entry.at,
        records: Vec::new(),
        left_out: Vec::new(),
        convoys: Vec::new(),
        dry_run,
    };
    // What is refused, here or of letters elsewhere, is found before anything is written.
    let letters = letters::found(town, &own.entry.subject, &deed.parcels)?;
    let plan = own.ledger.rehearse(town.now, |change| deed.apply(town, change, &mut Reach::new(town)))?;
    undone.records = letters.iter().map(letters::Found::told).collect();
    if dry_run {
        undone.records.extend(plan.records);
        return Ok(undone);
    }
    // What comes back is waited for again before it is there; until then others wait for what is deleted.
    let mended = edges::mend(town, &deed.far_edges);
    crate::env::crash_point("undo.reconnected");
    let taken = letters::take_back(town, &own.entry.subject, &letters, deed.has_own_records())?;
    let subject = format!("undo {}", own.entry.subject);
    let mut reach = Reach::new(town);
    let done = own.ledger.transact(&town.deed("undo", subject), |change| deed.apply(town, change, &mut reach));
    let done = done.inspect_err(|_| {
        edges::cut_again(town, &mended.put);
        letters::give_back(town, &taken);
    })?;
    undone.left_out = mended.left_out;
    undone.records.extend(done.records);
    edges::cut(town, &deed.far_again)?;
    undone.convoys = done.convoys;
    undone.convoys.extend(convoy::after_close(town, &done.closed).into_iter().filter(Settled::is_news));
    Ok(undone)
}
