//! Exchanging a ledger across flattens: what of old histories is fetched, and by which steps a remote is led on.
//!
//! A remote is never forced. Where ours was flattened and theirs not yet, it is first led forward to exactly the tip
//! that was replaced, then from that to the root, with the old tip's pin in the same push, and from there forward.

use std::collections::BTreeMap;

use gix::ObjectId;

use crate::error::{Error, Kind, Result};
use crate::git::push::Update;
use crate::ledger::sync::Seen;
use crate::ledger::{Ledger, flatten, history, tree};

/// Pins at the remote that are needed to bring ours and `theirs` into one epoch, and are missing here.
pub(super) fn wanted(ledger: &Ledger, theirs: ObjectId, there: &BTreeMap<String, ObjectId>) -> Result<Vec<String>> {
    let store = &ledger.store;
    let Some(ours) = ledger.tip()?.filter(|ours| *ours != theirs && store.repo.has_object(theirs)) else {
        return Ok(Vec::new());
    };
    let (mine, other) = (flatten::epochs(store, ours)?, flatten::epochs(store, theirs)?);
    let shared = mine.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let longer = if mine.len() > other.len() { &mine } else { &other };
    let missing = (shared..longer.len()).filter(|n| !store.repo.has_object(longer[*n]));
    Ok(missing.map(|n| tree::flattened(n + 1)).filter(|name| there.contains_key(name)).collect())
}

/// One step of a remote's ledger.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub old: Option<ObjectId>,
    pub new: ObjectId,
    /// How many of our commits it brings there.
    pub changes: usize,
    /// The pin that must stand there when this step is taken.
    pub pin: Option<Update>,
}

impl Step {
    pub(super) fn updates(&self) -> impl Iterator<Item = Update> {
        self.pin.clone().into_iter().chain([Update { name: tree::LEDGER.to_owned(), old: self.old, new: Some(self.new) }])
    }
}

/// The pin of `tip`, replaced when `epoch` began, for a remote that has the pins `there`.
///
/// A flatten that did not come about may have left its pin; that is taken forward, never elsewhere.
///
/// # Errors
/// Refused, when the pin holds another history.
pub(super) fn pin(ledger: &Ledger, there: &BTreeMap<String, ObjectId>, epoch: usize, tip: ObjectId) -> Result<Update> {
    let name = tree::flattened(epoch);
    let old = there.get(&name).copied();
    let is_forward = |old: &ObjectId| ledger.store.repo.has_object(*old) && ledger.store.is_ancestor(*old, tip).unwrap_or(false);
    match old.filter(|old| !is_forward(old)) {
        None => Ok(Update { name, old, new: Some(tip) }),
        Some(other) => {
            Err(Error::refused(format!("{name} holds the history {other} there, which is not what was flattened here"))
                .hint("nothing was sent; two machines may have flattened this ledger"))
        }
    }
}

/// The steps that lead the ledger at `remote`, now at `theirs`, to `ours`; what it has must be part of ours.
///
/// # Errors
/// Conflict, when the remote has what is not here; refused, when it has work on an old history beyond the tip that
/// was replaced there.
pub(super) fn steps(ledger: &Ledger, remote: &str, seen: &Seen, ours: ObjectId) -> Result<Vec<Step>> {
    let store = &ledger.store;
    let theirs = seen.ledger;
    let Some(theirs) = theirs else {
        return Ok(vec![Step { old: None, new: ours, changes: flatten::length(store, ours)?, pin: None }]);
    };
    if theirs == ours {
        return Ok(Vec::new());
    }
    let unknown =
        || Error::conflict(format!("the remote {remote} has changes that are not here")).hint("take them over first: gt sync");
    if !store.repo.has_object(theirs) {
        return Err(unknown());
    }
    let (mine, other) = (flatten::epochs(store, ours)?, flatten::epochs(store, theirs)?);
    if !mine.starts_with(&other) {
        return Err(unknown());
    }
    let (mut steps, mut at) = (Vec::new(), theirs);
    for n in other.len()..mine.len() {
        let old = mine[n];
        steps.extend(forward(ledger, at, old)?.ok_or_else(|| stuck(ledger, remote, (at, ours), n + 1))?);
        let next = mine.get(n + 1).copied().unwrap_or(ours);
        at = flatten::root(store, next, &mine[..=n])?;
        flatten::check(store, at, old)?;
        steps.push(Step { old: Some(old), new: at, changes: 1, pin: Some(pin(ledger, &seen.pins, n + 1, old)?) });
    }
    steps.extend(forward(ledger, at, ours)?.ok_or_else(unknown)?);
    Ok(steps)
}

/// The step from `from` to its descendant `to`, none when they are one; `None`, when it is no descendant.
fn forward(ledger: &Ledger, from: ObjectId, to: ObjectId) -> Result<Option<Vec<Step>>> {
    if from == to {
        return Ok(Some(Vec::new()));
    }
    let compared = match history::compare(&ledger.store, &[to], &[from]) {
        Err(error) if error.kind == Kind::Corrupt && !ledger.store.repo.has_object(from) => return Ok(None),
        other => other?,
    };
    let step = Step { old: Some(from), new: to, changes: compared.only_ours, pin: None };
    Ok((compared.bases == [from]).then(|| vec![step]))
}

fn stuck(ledger: &Ledger, remote: &str, (theirs, ours): (ObjectId, ObjectId), epoch: usize) -> Error {
    let line = format!(
        "the ledger at {remote} went on in the history before flatten {epoch}; what it has is part of ours now, but it \
         cannot be led on from there"
    );
    Error::refused(line).hint(format!(
        "whoever keeps it may replace it by ours: git --git-dir={} push --force-with-lease={ledger}:{theirs} URL {ours}:{ledger}",
        ledger.store.dir().display(),
        ledger = tree::LEDGER,
    ))
}

/// Pins of old histories that are here and not at the remote, whose ledger is at `theirs`.
pub(super) fn missing_pins(
    ledger: &Ledger,
    there: &BTreeMap<String, ObjectId>,
    (theirs, ours): (Option<ObjectId>, ObjectId),
) -> Result<Vec<(String, ObjectId)>> {
    let store = &ledger.store;
    let mut flattened = flatten::epochs(store, ours)?;
    if let Some(theirs) = theirs {
        // Those of later epochs go with the step that needs them.
        flattened.truncate(flatten::epochs(store, theirs)?.len());
    }
    let mut missing = Vec::new();
    for (n, tip) in flattened.into_iter().enumerate() {
        let name = tree::flattened(n + 1);
        if !there.contains_key(&name) && store.read_ref(&name)? == Some(tip) {
            missing.push((name, tip));
        }
    }
    Ok(missing)
}
