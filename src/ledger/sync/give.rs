//! What goes out: pins and the archive before the ledger that speaks of them, each with the value that is expected there.

use gix::ObjectId;

use super::{Exchange, Options, Seen, chains, epochs, news, pins, remember};
use crate::error::Result;
use crate::git::fetch;
use crate::git::progress::Progress;
use crate::git::push::{self, Outcome as Answer, Update};
use crate::ledger::{Ledger, flatten, tree};
use crate::time::Moment;

/// Pushes what the remote lacks. `Some`: it was refused, for this reason.
pub(super) fn give(
    ledger: &Ledger,
    (remote, url): (&str, &str),
    seen: &Seen,
    ours: ObjectId,
    (options, now): (Options, Moment),
    exchange: &mut Exchange,
    progress: &Progress,
) -> Result<Option<String>> {
    let steps = epochs::steps(ledger, remote, seen, ours)?;
    let pins = pins::unsent(ledger, &seen.pins, ours, now)?;
    exchange.differing_pins = pins.differing;
    if options.dry_run {
        exchange.sent = steps.iter().map(|step| step.changes).sum();
        // After a flatten there the two cannot be told apart record by record from here.
        let there = seen.ledger.filter(|tip| ledger.store.repo.has_object(*tip));
        if exchange.sent > 0 && there.is_some() == seen.ledger.is_some() {
            exchange.going = news::changed(ledger, there, ours)?;
        }
        return Ok(None);
    }
    // Looked at after the ledger, so that it has all that left it.
    if let Some(refusal) = give_archive(ledger, (remote, url), seen.archive, progress)? {
        return Ok(Some(refusal));
    }
    // Pins go first: a ledger must not speak of a head that is not there.
    let old_histories = epochs::missing_pins(ledger, &seen.pins, (seen.ledger, ours))?;
    let missing = pins.missing.into_iter().chain(old_histories);
    let mut updates: Vec<Update> = missing.map(|(name, id)| Update { name, old: None, new: Some(id) }).collect();
    let mut steps = steps.into_iter();
    loop {
        let step = steps.next();
        updates.extend(step.iter().flat_map(epochs::Step::updates));
        if let Some(refusal) = send(ledger, url, &updates, progress)? {
            return Ok(Some(refusal));
        }
        let Some(step) = step else { return Ok(None) };
        exchange.sent += step.changes;
        exchange.flattened += usize::from(step.pin.is_some());
        remember(ledger, &tree::tracking(remote, tree::LEDGER), step.new)?;
        updates.clear();
    }
}

/// Pushes the archive by itself, since not every server moves several refs at once. `Some`: it was refused.
fn give_archive(
    ledger: &Ledger,
    (remote, url): (&str, &str),
    theirs: Option<ObjectId>,
    progress: &Progress,
) -> Result<Option<String>> {
    let Some(ours) = ledger.archive_tip()? else { return Ok(None) };
    if chains::unsent(ledger, remote, theirs, ours)? == 0 {
        return Ok(None);
    }
    let update = Update { name: tree::ARCHIVE.to_owned(), old: theirs, new: Some(ours) };
    for (name, answer) in push::push(&ledger.store, url, &[update], progress)? {
        match answer {
            Answer::Accepted => remember(ledger, &tree::tracking(remote, tree::ARCHIVE), ours)?,
            Answer::Rejected(reason) => return Ok(Some(format!("{name}: {reason}"))),
        }
    }
    crate::env::crash_point("sync.archive-sent");
    Ok(None)
}

/// Pushes `updates`. `Some`: at least one was refused, for this reason.
fn send(ledger: &Ledger, url: &str, updates: &[Update], progress: &Progress) -> Result<Option<String>> {
    let answers = push::push(&ledger.store, url, updates, progress)?;
    crate::env::crash_point("sync.sent");
    Ok(answers.into_iter().rev().find_map(|(name, answer)| match answer {
        Answer::Accepted => None,
        Answer::Rejected(reason) => Some(format!("{name}: {reason}")),
    }))
}

/// What became of a root that was to take its place at a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It stands there.
    Taken,
    /// The remote has left the tip that it replaces; nothing has changed there but perhaps the pin of the old history.
    Moved,
    /// The remote stands at that tip and refuses, for this reason.
    Refused(String),
}

/// Lets `root` take its place at `url`, whose ledger must be exactly at the tip that it replaces.
///
/// # Errors
/// External, when the remote fails; it may have taken the root then, which the next exchange finds out.
pub fn send_root(ledger: &Ledger, url: &str, root: &flatten::Root, progress: &Progress) -> Result<Sent> {
    flatten::check(&ledger.store, root.commit, root.replaced)?;
    let pin = epochs::pin(ledger, &fetch::advertised(&ledger.store, url)?, root.epoch, root.replaced)?;
    let step = epochs::Step { old: Some(root.replaced), new: root.commit, changes: 1, pin: Some(pin) };
    let Some(reason) = send(ledger, url, &step.updates().collect::<Vec<_>>(), progress)? else { return Ok(Sent::Taken) };
    let there = fetch::advertised(&ledger.store, url)?.get(tree::LEDGER).copied();
    Ok(if there == Some(root.replaced) { Sent::Refused(reason) } else { Sent::Moved })
}
