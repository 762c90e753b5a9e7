//! Maintenance of the scopes on this machine: left-overs removed, objects packed, old unreachable ones pruned.
//!
//! Everything may be killed at any time and run again; nothing that a ref, reflog or worktree names is ever removed.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::config;
use crate::error::{Error, Kind, Result};
use crate::git;
use crate::git::maintenance::{self, How, Packing, Sizes};
use crate::git::mend;
use crate::ledger::Ledger;
use crate::ops::decay::{self, Decayed};
use crate::ops::install;
use crate::ops::refinery::{self, Moved};
use crate::ops::scopes::Which;
use crate::ops::shims;
use crate::ops::upkeep;
use crate::store::leftovers;
use crate::store::lock::KernelLock;
use crate::time::Moment;
use crate::town::{RigPlace, Town};

/// How young an object is that no pruning takes, in milliseconds: agents' own git takes no lock of ours.
const YOUNG_MILLIS: i64 = 14 * 24 * 60 * 60 * 1000;

/// What was done to one scope.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Maintained {
    /// `town` or `rig NAME`.
    pub scope: String,
    /// What its objects took.
    pub before: Sizes,
    /// What they take now.
    pub after: Sizes,
    /// What packing did; `None` when another maintenance is at it.
    pub packing: Option<Packing>,
    /// Whether objects that nothing refers to were looked for and removed.
    pub pruned: bool,
    /// Worktrees that are linked again, after the town was moved.
    pub mended: Vec<PathBuf>,
    /// Left-overs that were removed.
    pub left_overs: Vec<String>,
    /// Records whose time was up; `None` when that could not be told.
    pub decayed: Option<Decayed>,
    /// Targets that moved outside of gt, which is mailed to the witness and the overseer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<Moved>,
    /// Why git does not run the hooks of gt here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// The exit code of what went wrong.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

/// What was done to all of them.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Report(pub Vec<Maintained>);

/// Maintains the scopes that are asked for; one that fails is reported, the others go on.
///
/// # Errors
/// Not found, when there is no such rig here; corrupt, when the registry cannot be read.
pub fn maintain(town: &Town, which: &Which, how: How) -> Result<Report> {
    let mut report = Report(Vec::new());
    if which.has_town() {
        report.0.push(scope(town, None, how));
    }
    for (name, place) in which.each_place(town)? {
        report.0.push(match place {
            Ok(place) => scope(town, Some(&place), how),
            Err(error) => Maintained {
                error: Some(error.line()),
                kind: Some(error.kind),
                ..Maintained::begun(format!("rig {name}"), Sizes::default())
            },
        });
    }
    Ok(report)
}

impl Maintained {
    /// Nothing done yet.
    fn begun(scope: String, before: Sizes) -> Self {
        Self {
            scope,
            before,
            after: before,
            packing: None,
            pruned: false,
            mended: Vec::new(),
            left_overs: Vec::new(),
            decayed: None,
            moved: Vec::new(),
            hooks: None,
            error: None,
            kind: None,
        }
    }
}

/// Maintains the town's own repository, or that of the rig at `place`.
fn scope(town: &Town, place: Option<&RigPlace>, how: How) -> Maintained {
    let (ledger, home) = place.map_or((&town.hq, &town.root), |place| (&place.ledger, &place.dir));
    let name = place.map_or_else(|| "town".to_owned(), |place| format!("rig {}", place.rig.name));
    let mut done = Maintained::begun(name, maintenance::sizes(&ledger.store));
    let decayed = if how == How::Behind { Ok(None) } else { decay::decay(town, place).map(Some) };
    done.decayed = decayed.as_ref().ok().cloned().flatten();
    if let Err(error) = work(ledger, home, how, town.now, &mut done).and(decayed) {
        done.error = Some(error.line());
        done.kind = Some(error.kind);
    }
    if let Some(place) = place.filter(|_| how != How::Behind) {
        match refinery::watch(town, place) {
            Ok(moved) => done.moved = moved,
            Err(error) => {
                done.kind = done.kind.or(Some(error.kind));
                done.error.get_or_insert_with(|| error.line());
            }
        }
        done.hooks = hooks(town, place, &done).err().map(|error| error.line());
    }
    done.after = maintenance::sizes(&ledger.store);
    done
}

/// Renews the git hooks of a rig, and tells when git would not run them.
fn hooks(town: &Town, place: &RigPlace, done: &Maintained) -> Result<()> {
    shims::refresh(town, place)?;
    if done.packing == Some(Packing::NoGit) || !config::is_on(town, Some(place), shims::KEY)? {
        return Ok(());
    }
    git::shims::check_place(place.ledger.store.dir())
}

fn work(ledger: &Ledger, home: &Path, how: How, now: Moment, done: &mut Maintained) -> Result<(), Error> {
    let store = &ledger.store;
    let Some(_turn) = KernelLock::try_take(&store.private_dir().join("maintain.flock"))? else { return Ok(()) };
    // An index that cannot be folded is read around, and whatever is damaged is told by what needs it.
    if let Err(error) = ledger.fold_index() {
        tracing::debug!(%error, "the indexes were not folded");
    }
    if how == How::Behind {
        done.packing = Some(maintenance::pack(store, how)?);
        upkeep::note_ended(store, done.before.loose, now);
        return Ok(());
    }
    done.mended = mend::mend(store, home)?;
    done.left_overs = leftovers::clear(store, now)?;
    if done.scope == "town" {
        done.left_overs.extend(install::unmark(home));
    }
    done.packing = Some(maintenance::pack(store, how)?);
    if done.packing != Some(Packing::NoGit) {
        maintenance::guard(store)?;
    }
    let old = Moment::from_millis(now.millis().saturating_sub(YOUNG_MILLIS));
    // The reflogs of worktrees that are gone are no roots to git, but may be the last to name some commits.
    let may_prune = how == How::Whole && done.packing != Some(Packing::NoGit) && !leftovers::has_gone_worktrees(store);
    if may_prune && maintenance::has_loose_before(store, old) {
        let _writers_wait = KernelLock::take(&ledger.lock_path())?;
        maintenance::prune(store, old)?;
        done.pruned = true;
    }
    Ok(())
}
