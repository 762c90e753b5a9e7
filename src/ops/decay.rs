//! Decay: records whose time is up leave the ledger, closed beads for the archive.
//!
//! The archive is written, durably, before the ledger; a crash in between leaves a bead in both, and the next decay
//! finishes. Nothing is taken out of the ledger that has changed since it was judged. Whoever else decays the same
//! records, here or on another machine, does the same thing, so nobody has to be alone with it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::config;
use crate::error::Result;
use crate::ledger::archive::Standing;
use crate::ledger::{Ledger, State, tree};
use crate::model::bead::IssueType;
use crate::model::brief::Facts as _;
use crate::model::decay::{Ages, Fate, Ties, fate_of, has_expired};
use crate::model::gate::GateRun;
use crate::model::hook::Hook;
use crate::model::merge_request::MergeRequest;
use crate::model::record::SCHEMA_VERSION;
use crate::ops::gates;
use crate::ops::track::lease;
use crate::time::{Moment, parse_millis};
use crate::town::{RigPlace, Town, is_whole};

/// Records that one transaction moves: few enough that nobody waits for it.
const SHARE: usize = 2_000;

/// What left the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Decayed {
    /// Claims that had run out: their beads are open again.
    pub given_back: usize,
    /// Closed beads that moved to the archive.
    pub archived: usize,
    /// Ephemeral beads that went.
    pub ephemeral: usize,
    /// Letters that went.
    pub letters: usize,
    /// Gate runs that went, which no longer count.
    pub gate_runs: usize,
    /// Their logs on this machine.
    pub gate_logs: usize,
    /// Scopes that cannot be read, and why: since nobody knows what they speak of, nothing ephemeral went for good.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

/// Lets the records of the town's own ledger, or of the rig at `place`, decay.
///
/// # Errors
/// Corrupt, when the ledger, its archive or the ages in the configuration cannot be read; io, when nothing more
/// could be written. What was moved before that stays moved.
pub fn decay(town: &Town, place: Option<&RigPlace>) -> Result<Decayed> {
    let ledger = place.map_or(&town.hq, |place| &place.ledger);
    if ledger.tip()?.is_none() {
        return Ok(Decayed::default());
    }
    let court = Court { town, ledger, ages: ages(town, place)? };
    let found = court.judge()?;
    let mut decayed = Decayed { given_back: lease::sweep(town, ledger)?, unread: found.unread, ..Decayed::default() };
    for share in found.archived.chunks(SHARE) {
        let deed = town.deed("archive", format!("archive {}", counted(share.len(), "bead")));
        let standing = ledger.put_into_archive(&deed, share)?;
        crate::env::crash_point("decay.archived");
        decayed.archived += court.take_out(&standing, Fate::Archived)?;
    }
    for share in found.ephemeral.chunks(SHARE) {
        decayed.ephemeral += court.take_out(share, Fate::Gone)?;
    }
    for share in found.letters.chunks(SHARE) {
        decayed.letters += take_out_letters(town, ledger, share)?;
    }
    if let Some(place) = place {
        decayed.gate_runs = forget_gate_runs(town, place)?;
        let before = before(town.now, gates::max_age_millis(town, place)?);
        decayed.gate_logs = gates::forget_logs(town, place, before)?;
    }
    Ok(decayed)
}

fn ages(town: &Town, place: Option<&RigPlace>) -> Result<Ages> {
    let age = |key: &str| {
        let setting = config::lookup(town, place, key)?;
        setting.map_or(Ok(u64::MAX), |setting| parse_millis(&setting.text()))
    };
    Ok(Ages {
        closed: age("decay.closed")?,
        heartbeat: age("decay.heartbeat")?,
        patrol: age("decay.patrol")?,
        error: age("decay.error")?,
        mail: age("decay.mail")?,
    })
}

/// Records whose time is up, as they stand.
#[derive(Default)]
struct Due {
    archived: Vec<Standing>,
    ephemeral: Vec<Standing>,
    letters: Vec<(String, gix::ObjectId)>,
    /// Scopes that cannot be read, and why.
    unread: Vec<String>,
}

/// Whose records decay, and when.
struct Court<'a> {
    town: &'a Town,
    ledger: &'a Ledger,
    ages: Ages,
}

impl Court<'_> {
    fn judge(&self) -> Result<Due> {
        let (now, ages) = (self.town.now, &self.ages);
        let state = self.ledger.state()?;
        let catalog = state.catalog()?;
        let shortest = [ages.closed, ages.heartbeat, ages.patrol, ages.error].into_iter().min().unwrap_or_default();
        let before = |millis: u64| before(now, millis);
        let mut due = Due::default();
        let mut known = None;
        // Those that are too young in any case need not be read, nor does anything else when all are.
        for row in catalog.rows().filter(|row| row.status().is_closed() && row.created_at() <= before(shortest)) {
            let at_least = if row.is_ephemeral() { shortest } else { ages.closed };
            // One that cannot be read stays where it is.
            let (true, Ok(bead)) = (row.created_at() <= before(at_least), state.bead_of(row)) else { continue };
            let ties = match known.take() {
                Some(ties) => ties,
                None => self.ties(&state, &mut due.unread)?,
            };
            let path = tree::bead(&bead.id);
            let Some(blob) = row.blob() else { continue };
            match fate_of(&bead, known.insert(ties), ages, now) {
                Fate::Stays => {}
                Fate::Archived => due.archived.push(Standing { id: bead.id, path, blob }),
                Fate::Gone => due.ephemeral.push(Standing { id: bead.id, path, blob }),
            }
        }
        for (slip, blob) in state.mailroom()?.read_before(before(ages.mail)) {
            let Ok(letter) = state.letter_of(&slip, blob) else { continue };
            if has_expired(&letter, ages, now) {
                due.letters.push((tree::letter(&letter.to, letter.sent_at, &letter.id), blob));
            }
        }
        // Neighbours lie in one directory, so that each is rewritten once.
        due.archived.sort_by(|a, b| a.path.cmp(&b.path));
        due.ephemeral.sort_by(|a, b| a.path.cmp(&b.path));
        due.letters.sort();
        Ok(due)
    }

    /// What the scope's open beads and hooks rest on in `state`, and what open beads of the other scopes here speak of;
    /// those of them that cannot be read are told in `unread`.
    fn ties(&self, state: &State<'_>, unread: &mut Vec<String>) -> Result<Ties> {
        let mut ties = Ties::default();
        let (hooks, damaged) = state.all::<Hook>("hooks")?;
        ties.is_partial |= !damaged.is_empty();
        for hook in &hooks {
            ties.hold(hook.bead.as_str());
        }
        let catalog = state.catalog()?;
        ties.is_partial |= !catalog.damaged().is_empty();
        for row in catalog.rows().filter(|row| !row.status().is_closed()) {
            ties.open(row.id());
            row.edges().for_each(|(_, target)| ties.need(catalog.target_id(target)));
            if let Some(parent) = row.parent() {
                ties.hold(catalog.target_id(parent));
            }
            if *row.issue_type() == IssueType::MergeRequest {
                match state.bead_of(row).and_then(|bead| MergeRequest::of(&bead)) {
                    Ok(request) => request.source_beads.iter().for_each(|id| ties.hold(id.as_str())),
                    Err(_) => ties.is_partial = true,
                }
            }
        }
        let rigs = self.town.rigs();
        if let Err(error) = &rigs {
            unread.push(format!("the registry of rigs: {}", error.line()));
        }
        let here = rigs.into_iter().flatten().filter(|rig| is_whole(&self.town.root.join(rig.name.as_str())));
        let rigs = here.map(|rig| (format!("rig {}", rig.name), self.town.rig(&rig.name).map(|place| place.ledger)));
        for (name, other) in rigs.chain([("town".to_owned(), Ok(self.town.hq.clone()))]) {
            let is_own = |other: &Ledger| other.store.dir() == self.ledger.store.dir();
            let spoken_of = |other: Ledger| if is_own(&other) { Ok(()) } else { add_needs(&other, &mut ties) };
            if let Err(error) = other.and_then(spoken_of) {
                unread.push(format!("{name}: {}", error.line()));
            }
        }
        ties.is_partial |= !unread.is_empty();
        Ok(ties)
    }

    /// Takes beads out of the ledger that still stand as they did and deserve their `fate` still; tells how many.
    fn take_out(&self, share: &[Standing], fate: Fate) -> Result<usize> {
        let whereto = if fate == Fate::Archived { "to the archive" } else { "that were ephemeral" };
        let deed = self.town.deed("decay", format!("decay of {} {whereto}", counted(share.len(), "bead")));
        self.ledger.transact(&deed, |change| {
            let ties = self.ties(change.before(), &mut Vec::new())?;
            let mut count = 0;
            for one in share {
                if change.before().blob_id(&one.path)? != Some(one.blob) {
                    continue;
                }
                if fate_of(&change.bead(&one.id)?, &ties, &self.ages, self.town.now) == fate {
                    change.remove_bead(&one.id);
                    count += 1;
                }
            }
            Ok(count)
        })
    }
}

/// Adds what the open beads of another scope speak of.
fn add_needs(other: &Ledger, ties: &mut Ties) -> Result<()> {
    let catalog = other.state()?.catalog()?;
    ties.is_partial |= !catalog.damaged().is_empty();
    for row in catalog.rows().filter(|row| !row.status().is_closed()) {
        row.edges().for_each(|(_, target)| ties.need(catalog.target_id(target)));
    }
    Ok(())
}

fn take_out_letters(town: &Town, ledger: &Ledger, share: &[(String, gix::ObjectId)]) -> Result<usize> {
    let deed = town.deed("decay", format!("decay of {} that were read", counted(share.len(), "letter")));
    ledger.transact(&deed, |change| {
        let mut count = 0;
        for (path, blob) in share {
            if change.before().blob_id(path)? == Some(*blob) {
                change.remove(path);
                count += 1;
            }
        }
        Ok(count)
    })
}

/// Takes gate runs out of the rig's ledger that are too old to count.
fn forget_gate_runs(town: &Town, place: &RigPlace) -> Result<usize> {
    let before = before(town.now, gates::max_age_millis(town, place)?);
    let due: Vec<(String, gix::ObjectId)> = {
        let state = place.ledger.state()?;
        // One that cannot be read stays where it is, and so does one of a newer version.
        let is_old = |path: &str| {
            let run = state.get::<GateRun>(path).ok().flatten();
            run.is_some_and(|run| run.at < before && run.v <= SCHEMA_VERSION)
        };
        state.paths("queue/gates")?.into_iter().filter(|(path, _)| is_old(path)).collect()
    };
    let mut count = 0;
    for share in due.chunks(SHARE) {
        let deed = town.deed("decay", format!("decay of {} that no longer count", counted(share.len(), "gate run")));
        count += place.ledger.transact(&deed, |change| {
            let mut count = 0;
            for (path, blob) in share {
                if change.before().blob_id(path)? == Some(*blob) {
                    change.remove(path);
                    count += 1;
                }
            }
            Ok(count)
        })?;
    }
    Ok(count)
}

/// The moment `millis` before `now`.
fn before(now: Moment, millis: u64) -> Moment {
    Moment::from_millis(now.millis().saturating_sub(i64::try_from(millis).unwrap_or(i64::MAX)))
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
