//! The two chains that are exchanged, ledger and archive: where they stand, and where they go.

use gix::ObjectId;

use super::Options;
use crate::error::{Error, Kind, Result};
use crate::ledger::carry::{self, Met};
use crate::ledger::history::{self, Comparison};
use crate::ledger::merge::{self, Chain, Join};
use crate::ledger::{Ledger, State, diff, tree};

impl Chain {
    /// The ref that holds it.
    pub(super) fn ref_name(self) -> &'static str {
        match self {
            Self::Ledger => tree::LEDGER,
            Self::Archive => tree::ARCHIVE,
        }
    }

    /// Where it stands here.
    pub(super) fn tip(self, ledger: &Ledger) -> Result<Option<ObjectId>> {
        ledger.store.read_ref(self.ref_name())
    }
}

/// Whether what arrived is a lawful ledger or archive. Whether a ledger is ours is asked when it is merged; an archive
/// must be of the scope of our ledger, or else of that at `ledger_there`.
pub(super) fn check_arrived(ledger: &Ledger, chain: Chain, tip: ObjectId, ledger_there: Option<ObjectId>) -> Result<()> {
    let state = ledger.state_at(tip)?;
    let scope = state.scope()?;
    let ours = chain.tip(ledger)?;
    history::compare(&ledger.store, ours.as_slice(), &[tip])?;
    let before = State::at(&ledger.store, ours)?;
    let arrived = diff::changes(ledger.store.records()?, before.tree(), state.tree())?;
    arrived.into_values().filter_map(|(_, new)| new).try_for_each(|id| ledger.store.check_record_size(id))?;
    let owner = match chain {
        Chain::Ledger => None,
        Chain::Archive => ledger.tip()?.or(ledger_there),
    };
    let Some(owner) = owner else { return Ok(()) };
    let owner = ledger.state_at(owner)?.scope()?;
    if owner.kind == scope.kind && owner.prefix == scope.prefix {
        return Ok(());
    }
    Err(Error::refused(format!(
        "the archive there is that of {} with prefix {}, not of {}",
        scope.name, scope.prefix, owner.name
    ))
    .hint("give each scope a remote of its own: gt remote list"))
}

/// Where a chain goes when another's tip is taken over.
pub(super) struct Next {
    pub tip: ObjectId,
    pub received: usize,
    pub is_nothing_new: bool,
    pub is_merge: bool,
    /// Flattens that ours crosses: the epoch that began, and the tip that was replaced.
    pub crossed: Vec<(usize, ObjectId)>,
    /// Commits of ours in old histories that are carried over.
    pub replayed: Vec<ObjectId>,
}

/// Where our ref goes when `theirs` is taken over: forward, to a root that took our place, or to a merge whose objects
/// are stored.
pub(super) fn next_tip(
    ledger: &Ledger,
    chain: Chain,
    ours: Option<ObjectId>,
    theirs: ObjectId,
    options: Options,
) -> Result<Next> {
    let store = &ledger.store;
    let Some(mine) = ours else {
        let received = history::compare(store, &[], &[theirs])?.only_theirs;
        let (crossed, replayed) = (Vec::new(), Vec::new());
        return Ok(Next { tip: theirs, received, is_nothing_new: false, is_merge: false, crossed, replayed });
    };
    let Met { ours, theirs, crossed, replayed } = match chain {
        Chain::Ledger => carry::meet(store, mine, theirs)?,
        // Archives are not flattened.
        Chain::Archive => Met { ours: mine, theirs, crossed: Vec::new(), replayed: Vec::new() },
    };
    let Comparison { bases, only_theirs, .. } = history::compare(store, &[ours], &[theirs])?;
    let received = only_theirs + crossed.len();
    let is_nothing_new = bases == [theirs] && ours == mine;
    let mut next = Next { tip: ours, received, is_nothing_new, is_merge: false, crossed, replayed };
    if bases == [ours] {
        next.tip = theirs;
    } else if bases != [theirs] {
        let merge = match chain {
            Chain::Ledger => merge::merge(store, ours, theirs, if options.join { Join::Apart } else { Join::Related })?,
            Chain::Archive => merge::merge_archives(store, ours, theirs)?,
        };
        store.write(&merge.batch)?;
        (next.tip, next.is_merge) = (merge.commit, true);
    }
    Ok(next)
}

/// How many of the commits of `ours` the remote lacks; what it has must be part of ours.
pub(super) fn unsent(ledger: &Ledger, remote: &str, theirs: Option<ObjectId>, ours: ObjectId) -> Result<usize> {
    let Some(theirs) = theirs else { return Ok(history::compare(&ledger.store, &[ours], &[])?.only_ours) };
    let unknown =
        || Error::conflict(format!("the remote {remote} has changes that are not here")).hint("take them over first: gt sync");
    if theirs == ours {
        return Ok(0);
    }
    let compared = match history::compare(&ledger.store, &[ours], &[theirs]) {
        Err(error) if error.kind == Kind::Corrupt && !ledger.store.repo.has_object(theirs) => return Err(unknown()),
        other => other?,
    };
    if compared.bases == [theirs] { Ok(compared.only_ours) } else { Err(unknown()) }
}
