//! Exchanges the ledger with a remote: fetch, merge, push, until both hold the same.
//!
//! No lock is held while the network is waited for. Nothing over there is ever forced, deleted or overwritten:
//! a push names exact values and what it expects, and a refusal means fetch and merge again. What arrives is
//! checked before it becomes ours. A damaged ref here stops the exchange before the remote is touched.
//!
//! The archive goes before the ledger, both ways: nobody ever holds a ledger that a bead has left without the archive
//! that it went to.

pub mod beats;
mod chains;
mod epochs;
mod give;
mod news;
mod pins;
mod slot;
pub mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use gix::ObjectId;

use crate::error::{Error, Kind, Result};
use crate::git::fetch;
use crate::git::progress::Progress;
use crate::ledger::history;
use crate::ledger::merge::Chain;
use crate::ledger::{Ledger, carry, flatten, tree};
use crate::model::merge::Conflict;
use crate::store::lock::KernelLock;
use crate::store::refs::Swap;
use crate::time::Moment;

pub use give::{Sent, send_root};
pub use news::{Changed, Lost};
pub use slot::{enter, take_slot};

/// What an exchange may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Take over what the remote has.
    pub fetch: bool,
    /// Give the remote what is here.
    pub push: bool,
    /// Merge even if the two histories were begun apart; kind and prefix must agree.
    pub join: bool,
    /// Only tell what would happen; objects may be fetched, but no ref moves here or there.
    pub dry_run: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { fetch: true, push: true, join: false, dry_run: false }
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Both sides were equal already.
    UpToDate,
    /// Only this side got something new.
    Received,
    /// Only the remote got something new.
    Sent,
    /// Both got something new.
    Exchanged,
}

/// What an exchange did, or with `dry_run` would do.
#[derive(Clone, Debug, PartialEq, schemars::JsonSchema, serde::Serialize)]
pub struct Exchange {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether this only tells what would happen.
    pub dry_run: bool,
    /// Whether two histories were merged.
    pub merged: bool,
    /// How many flattens were taken over or given.
    pub flattened: usize,
    /// Whether work of this machine was carried over from a history that was flattened elsewhere.
    pub replayed: bool,
    /// Changes that came from the remote, in ledger commits.
    pub received: usize,
    /// Changes that went there, merges included.
    pub sent: usize,
    /// Choices of people or agents that a merge overruled, here or on the machine that sent it.
    pub conflicts: Vec<Conflict>,
    /// Assignments of this machine that were ended elsewhere.
    pub lost: Vec<Lost>,
    /// With `dry_run`: the records here that would change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coming: Vec<Changed>,
    /// With `dry_run`: the records there that would change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub going: Vec<Changed>,
    /// Pins of merge requests that hold another commit there than here; neither was changed.
    pub differing_pins: Vec<String>,
}

impl Exchange {
    fn new(dry_run: bool) -> Self {
        Self {
            outcome: Outcome::UpToDate,
            dry_run,
            merged: false,
            flattened: 0,
            replayed: false,
            received: 0,
            sent: 0,
            conflicts: Vec::new(),
            lost: Vec::new(),
            coming: Vec::new(),
            going: Vec::new(),
            differing_pins: Vec::new(),
        }
    }

    /// This exchange and the one that followed it, as one.
    #[must_use]
    pub fn and(mut self, second: Self) -> Self {
        self.merged |= second.merged;
        self.flattened += second.flattened;
        self.replayed |= second.replayed;
        self.received += second.received;
        self.sent += second.sent;
        self.conflicts.extend(second.conflicts);
        self.lost.extend(second.lost);
        self.differing_pins = second.differing_pins;
        self.told()
    }

    fn told(mut self) -> Self {
        self.outcome = match (self.received > 0, self.sent > 0) {
            (false, false) => Outcome::UpToDate,
            (true, false) => Outcome::Received,
            (false, true) => Outcome::Sent,
            (true, true) => Outcome::Exchanged,
        };
        self
    }
}

/// How often a refused push is followed by another fetch and merge.
const ROUNDS_MAX: u32 = 10;
/// How often the remote may refuse although nothing there has moved: then it is no race.
const STILL_REFUSED_MAX: u32 = 3;
/// How often the ledger's ref may move here under a writer without our lock.
const TRIES_MAX: u32 = 20;

/// What the remote has, as far as it is here now too.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    ledger: Option<ObjectId>,
    archive: Option<ObjectId>,
    /// All pins there, also those that were not fetched, and beats.
    pins: BTreeMap<String, ObjectId>,
}

/// Exchanges the ledger and the pins of merge requests with the repository at `url`, remembered as `remote`.
///
/// # Errors
/// Corrupt, when a ref here is damaged (the remote was not touched) or what arrived is unlawful; refused, when the
/// histories were begun apart or are of two scopes; external, when the remote fails or refuses for good; conflict,
/// when others kept moving it.
pub fn sync(ledger: &Ledger, remote: &str, url: &str, options: &Options, now: Moment, progress: &Progress) -> Result<Exchange> {
    let options = *options;
    check_here(ledger)?;
    let mut exchange = Exchange::new(options.dry_run);
    let (mut last_seen, mut still_refused, mut reason) = (None, 0, String::new());
    for round in 0..ROUNDS_MAX {
        let seen = look(ledger, remote, url, options, Some(now), progress)?;
        let ours = if options.fetch { take_over(ledger, &seen, options, Some(now), &mut exchange)? } else { ledger.tip()? };
        let (true, Some(ours)) = (options.push, ours) else { return Ok(exchange.told()) };
        let ours = if options.dry_run { ours } else { slot::settle(ledger, seen.ledger, now)?.unwrap_or(ours) };
        match give::give(ledger, (remote, url), &seen, ours, (options, now), &mut exchange, progress)? {
            None => {
                if !options.dry_run {
                    beats::beat(ledger, url, &seen.pins, now, progress);
                }
                return Ok(exchange.told());
            }
            Some(refusal) => reason = refusal,
        }
        still_refused = if last_seen.as_ref() == Some(&seen) { still_refused + 1 } else { 1 };
        if still_refused >= STILL_REFUSED_MAX {
            return Err(Error::external(format!("the remote {remote} refuses the ledger: {reason}"))
                .hint("what is here is kept; the reason comes from the other side"));
        }
        last_seen = Some(seen);
        std::thread::sleep(Duration::from_millis(fastrand::u64(5..=20 * (u64::from(round) + 1))));
    }
    Err(Error::conflict(format!("others kept moving the ledger at {remote}: {reason}")).hint("try again: gt sync"))
}

/// Fetches the ledger at `url` into a store that has none yet.
///
/// # Errors
/// Refused, when there is a ledger here; not found, when there is none at `url`; otherwise as [`sync`].
pub fn join(ledger: &Ledger, url: &str, progress: &Progress) -> Result<()> {
    if ledger.tip()?.is_some() {
        return Err(Error::refused(format!("{} holds a ledger already", ledger.store.dir().display())));
    }
    let options = Options { push: false, ..Options::default() };
    let seen = look(ledger, slot::ORIGIN, url, options, None, progress)?;
    if seen.ledger.is_none() {
        return Err(Error::not_found(format!("there is no ledger at {url}")));
    }
    take_over(ledger, &seen, options, None, &mut Exchange::new(options.dry_run))?;
    Ok(())
}

/// Refuses to go on while a ref of ours is damaged: it must neither be sent nor taken for a deletion.
fn check_here(ledger: &Ledger) -> Result<()> {
    ledger.check_own()?;
    ledger.check_boot()?;
    if let Some(tip) = ledger.tip()? {
        ledger.state_at(tip)?.scope()?;
    }
    if let Some(archive) = ledger.archive()? {
        archive.scope()?;
    }
    ledger.store.check_refs_below(tree::MR)
}

/// Asks what the remote has and fetches what is wanted of it; checks it, and remembers it.
fn look(ledger: &Ledger, remote: &str, url: &str, options: Options, now: Option<Moment>, progress: &Progress) -> Result<Seen> {
    let store = &ledger.store;
    let mut there = fetch::advertised(store, url)?;
    let kept = [tree::LEDGER, tree::ARCHIVE, tree::MR, tree::FLATTENED, tree::BEAT];
    there.retain(|name, _| kept.iter().any(|prefix| name.starts_with(prefix)));
    if let Some(now) = now.filter(|_| !options.dry_run) {
        beats::remember(ledger, &there, now)?;
    }
    let mut wanted = Vec::new();
    if options.fetch {
        for chain in [Chain::Archive, Chain::Ledger] {
            let name = chain.ref_name();
            // A damaged memory of the remote is no damage of ours: it is looked up anew.
            let remembered = store.read_ref(&tree::tracking(remote, name)).ok().flatten();
            let is_known = |id: &ObjectId| remembered == Some(*id) || chain.tip(ledger).is_ok_and(|tip| tip == Some(*id));
            wanted.extend(there.get(name).filter(|id| !is_known(id)).map(|_| name.to_owned()));
        }
        wanted.extend(pins::wanted(ledger, &there, now)?);
        if now.is_some() && !options.dry_run {
            wanted.extend(words::unread(ledger, remote, &there)?);
        }
    }
    let mut fetched = fetch::fetch(store, url, &wanted, progress)?;
    let has_moved = fetched.get(tree::LEDGER).is_some_and(|tip| there.get(tree::LEDGER) != Some(tip));
    if has_moved && !wanted.iter().any(|name| name == tree::ARCHIVE) {
        // What left the ledger since it was looked at is in an archive that moved before it.
        fetched.extend(fetch::fetch(store, url, &[tree::ARCHIVE.to_owned()], progress)?);
    }
    if has_moved {
        // It may have been flattened since; what was replaced is then at a pin that came with the new root.
        let pins = fetch::advertised(store, url)?.into_iter().filter(|(name, _)| name.starts_with(tree::FLATTENED));
        there.extend(pins);
    }
    crate::env::crash_point("sync.fetched");
    there.extend(fetched.iter().map(|(name, id)| (name.clone(), *id)));
    if let Some(now) = now {
        words::hear(ledger, remote, fetched.iter().filter(|(name, _)| name.starts_with(tree::BEAT)), now)?;
    }
    let (tip, archive) = (there.remove(tree::LEDGER), there.remove(tree::ARCHIVE));
    // The ledger is looked at first: it says what the archive has to belong to.
    for (chain, seen) in [(Chain::Ledger, tip), (Chain::Archive, archive)] {
        if let Some(arrived) = seen.filter(|_| fetched.contains_key(chain.ref_name())) {
            chains::check_arrived(ledger, chain, arrived, tip)?;
            if !options.dry_run {
                remember(ledger, &tree::tracking(remote, chain.ref_name()), arrived)?;
            }
        }
    }
    if let (true, Some(tip)) = (options.fetch, tip) {
        fetch::fetch(store, url, &epochs::wanted(ledger, tip, &there)?, progress)?;
    }
    if !options.dry_run {
        pins::create(ledger, fetched.iter().filter(|(name, _)| name.starts_with(tree::MR)))?;
    }
    Ok(Seen { ledger: tip, archive, pins: there })
}

/// Moves a tracking ref; it is a memory only, so whoever was faster is right too.
fn remember(ledger: &Ledger, tracking: &str, tip: ObjectId) -> Result<()> {
    let mut old = ledger.store.read_ref(tracking).ok().flatten();
    for _ in 0..TRIES_MAX {
        if old == Some(tip) {
            return Ok(());
        }
        match ledger.store.swap_ref(tracking, old, tip) {
            Ok(Swap::Lost(actual)) => old = actual,
            // A damaged memory costs another fetch, no more.
            Err(error) if error.kind == Kind::Corrupt => {
                tracing::warn!("{}", error.line());
                return Ok(());
            }
            other => return other.map(drop),
        }
    }
    Ok(())
}

/// Makes what the remote has part of ours, the archive first; tells the ledger's tip after that.
fn take_over(
    ledger: &Ledger,
    seen: &Seen,
    options: Options,
    now: Option<Moment>,
    exchange: &mut Exchange,
) -> Result<Option<ObjectId>> {
    let Some(theirs) = seen.ledger else { return ledger.tip() };
    let _turn = KernelLock::take(&ledger.lock_path())?;
    let are_related = || -> Result<bool> {
        let ours = ledger.tip()?;
        let Some(ours) = ours.filter(|_| !options.join) else { return Ok(true) };
        let met = carry::meet(&ledger.store, ours, theirs)?;
        Ok(!history::compare(&ledger.store, &[met.ours], &[met.theirs])?.bases.is_empty())
    };
    // That of a ledger which is refused below stays away too.
    if let Some(archive) = seen.archive.filter(|tip| ledger.archive_tip().is_ok_and(|ours| ours != Some(*tip)))
        && are_related()?
    {
        advance(ledger, Chain::Archive, archive, (options, now), exchange)?;
    }
    advance(ledger, Chain::Ledger, theirs, (options, now), exchange)
}

/// Moves our ref of `chain` to what has `theirs` in it; tells where it stands then.
fn advance(
    ledger: &Ledger,
    chain: Chain,
    theirs: ObjectId,
    (options, now): (Options, Option<Moment>),
    exchange: &mut Exchange,
) -> Result<Option<ObjectId>> {
    for attempt in 0..TRIES_MAX {
        let ours = chain.tip(ledger)?;
        let next = chains::next_tip(ledger, chain, ours, theirs, options)?;
        if next.is_nothing_new {
            return Ok(ours);
        }
        if !next.crossed.is_empty() && !options.dry_run {
            // What is replaced is kept first: all of it stands in the work that was replayed, if there is any.
            let backups = if next.replayed.is_empty() { ours.as_slice() } else { &next.replayed };
            flatten::keep(ledger, &next.crossed, backups, now)?;
        }
        let moved = if options.dry_run { Swap::Moved } else { ledger.store.swap_ref(chain.ref_name(), ours, next.tip)? };
        if moved == Swap::Moved {
            if chain == Chain::Ledger {
                exchange.received += next.received;
                exchange.merged |= next.is_merge;
                exchange.flattened += next.crossed.len();
                exchange.replayed |= !next.replayed.is_empty();
            }
            if let Some(ours) = ours {
                let news = news::between(ledger, ours, next.tip)?;
                exchange.conflicts.extend(news.conflicts);
                exchange.lost.extend(news.lost);
            }
            if options.dry_run && chain == Chain::Ledger {
                exchange.coming = news::changed(ledger, ours, next.tip)?;
            }
            if !options.dry_run {
                crate::env::crash_point("sync.merged");
            }
            return Ok(Some(next.tip));
        }
        std::thread::sleep(Duration::from_millis(fastrand::u64(..=u64::from(attempt) * 4)));
    }
    Err(Error::conflict("the ledger kept moving under the merge").hint("try again: gt sync"))
}
