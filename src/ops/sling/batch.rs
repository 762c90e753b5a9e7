//! One sling or several: each has its own outcome, and together they get one convoy.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Plan, Slung, sling};
use crate::error::{Error, Kind, Result};
use crate::model::address::Typed;
use crate::model::bead::IssueType;
use crate::model::brief::Facts as _;
use crate::name::{BeadId, Name};
use crate::ops::convoy::{self, Batch};
use crate::ops::track::reach::{Reach, Sight};
use crate::town::Town;

/// Whether the work gets a convoy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tracking {
    /// It gets one, unless one tracks it already.
    #[default]
    Convoy,
    /// It gets one that the slinger lands.
    Owned,
    /// It gets none.
    Nothing,
}

/// Why a bead of a batch was not slung.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Fault {
    /// What sort of failure.
    pub kind: &'static str,
    /// What happened.
    pub message: String,
    /// What helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Its exit code.
    #[serde(skip)]
    pub exit_code: u8,
}

/// What became of one bead of a batch.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum Tried {
    /// It was slung.
    Slung(Slung),
    /// It was not.
    Failed {
        /// As it was named.
        bead: String,
        /// `failed`.
        outcome: &'static str,
        /// Why.
        error: Fault,
    },
}

/// What became of what was slung.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum Thrown {
    /// One bead.
    One {
        /// What became of it.
        #[serde(flatten)]
        slung: Slung,
        /// The convoy that tracks it.
        convoy: Option<BeadId>,
        /// Why it has none, when it was to have one.
        #[serde(skip_serializing_if = "Option::is_none")]
        convoy_fault: Option<String>,
        /// What of the words about convoys was left undone, since one tracked it before.
        #[serde(skip_serializing_if = "Option::is_none")]
        convoy_note: Option<String>,
    },
    /// Several.
    Several {
        /// Of each, in order.
        beads: Vec<Tried>,
        /// The convoy that tracks them.
        convoy: Option<BeadId>,
        /// Why they have none, when they were to have one.
        #[serde(skip_serializing_if = "Option::is_none")]
        convoy_fault: Option<String>,
        /// What of the words about convoys was left undone, since one tracked them before.
        #[serde(skip_serializing_if = "Option::is_none")]
        convoy_note: Option<String>,
    },
}

/// Takes beads and target apart: the last of several words is the target when it is a rig, an address, or no bead.
///
/// # Errors
/// Corrupt, when the registry of rigs cannot be read; refused, when the last word fits several beads.
pub fn parse(town: &Town, words: &[String]) -> Result<(Vec<String>, Option<String>)> {
    let mut beads: Vec<String> = words.to_vec();
    let Some(last) = beads.pop().filter(|_| words.len() > 1) else { return Ok((words.to_vec(), None)) };
    let is_rig = match last.trim_end_matches('/').parse::<Name>() {
        Ok(name) => town.hq.state()?.rig(&name)?.is_some(),
        Err(_) => false,
    };
    // One word may be an address too: mayor. What is none of all that is refused as a target.
    let is_target = is_rig || last == "." || last.parse::<Typed>().is_ok() || last.contains('/') || !is_bead(town, &last)?;
    if is_target {
        return Ok((beads, Some(last)));
    }
    beads.push(last);
    Ok((beads, None))
}

/// Whether `text` is meant as a bead: an id of a scope that there is, or what fits one that is no record of gt's own.
fn is_bead(town: &Town, text: &str) -> Result<bool> {
    if text.parse().is_ok_and(|id: BeadId| town.scope_of(&id.prefix()).is_ok()) {
        return Ok(true);
    }
    match town.resolve_bead(text) {
        Ok((ledger, id)) => {
            let found = ledger.state()?.find_bead(&id)?;
            Ok(found.is_some_and(|bead| bead.issue_type.is_work() || bead.issue_type == IssueType::Epic))
        }
        Err(error) if matches!(error.kind, Kind::NotFound | Kind::Usage) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Slings `beads` as `plan` says, each on its own, and lets one convoy track them.
///
/// # Errors
/// As [`sling`], for one bead; usage, when several go to one polecat. What becomes of each of several is in the answer.
pub fn throw(town: &Town, beads: &[String], plan: &Plan, tracking: Tracking) -> Result<Thrown> {
    if let [bead] = beads {
        let slung = sling(town, &Plan { bead: bead.clone(), ..plan.clone() })?;
        if matches!(slung, Slung::Would { .. }) {
            return Ok(Thrown::One { slung, convoy: None, convoy_fault: None, convoy_note: None });
        }
        let Tracked { convoy, fault, note } = track(town, vec![slung.bead().clone()], tracking);
        return Ok(Thrown::One { slung, convoy, convoy_fault: fault, convoy_note: note });
    }
    if let Some(target) = plan.target.as_ref().filter(|target| target.trim_end_matches('/').contains('/')) {
        return Err(Error::usage(format!("{target} takes one bead at a time")).hint("sling several to a rig"));
    }
    let (mut tried, mut seen, mut named) = (Vec::new(), BTreeSet::new(), Vec::new());
    for text in beads {
        let id = town.resolve_bead(text).map(|(_, id)| id);
        if id.as_ref().is_ok_and(|id| !seen.insert(id.clone())) {
            continue;
        }
        let result = sling(town, &Plan { bead: text.clone(), ..plan.clone() });
        named.extend(id.ok().filter(|id| result.is_ok() || is_unfinished_work(town, id)));
        tried.push(result.map_or_else(|error| Tried::failed(text, &error), Tried::Slung));
    }
    // When nothing was slung there is nothing to track.
    let is_any = tried.iter().any(|one| matches!(one, Tried::Slung(slung) if !matches!(slung, Slung::Would { .. })));
    let Tracked { convoy, fault, note } = if is_any { track(town, named, tracking) } else { Tracked::default() };
    Ok(Thrown::Several { beads: tried, convoy, convoy_fault: fault, convoy_note: note })
}

/// Whether a bead that could not be slung now is still to be done: then the batch is not done before it is.
fn is_unfinished_work(town: &Town, id: &BeadId) -> bool {
    match Reach::new(town).brief(id) {
        Sight::Seen(brief) => {
            !brief.status().is_closed() && (brief.issue_type().is_work() || *brief.issue_type() == IssueType::Epic)
        }
        Sight::Missing | Sight::Unreadable(_) => false,
    }
}

/// The convoy of what was slung.
#[derive(Default)]
struct Tracked {
    convoy: Option<BeadId>,
    /// Why there is none.
    fault: Option<String>,
    /// What was left undone.
    note: Option<String>,
}

/// Lets a convoy track what was slung. That there is none is no failure of slinging; the next sling makes it.
fn track(town: &Town, beads: Vec<BeadId>, tracking: Tracking) -> Tracked {
    if tracking == Tracking::Nothing {
        return Tracked::default();
    }
    let owned = tracking == Tracking::Owned;
    match convoy::for_slung(town, &Batch { beads, owned }) {
        Ok(Some((convoy, is_new))) => {
            let note = (owned && !is_new && !is_owned(town, &convoy))
                .then(|| format!("--owned was left undone: {convoy} tracked it before, and lands by itself"));
            Tracked { convoy: Some(convoy), fault: None, note }
        }
        Ok(None) => Tracked::default(),
        Err(error) => Tracked { fault: Some(error.line()), ..Tracked::default() },
    }
}

fn is_owned(town: &Town, convoy: &BeadId) -> bool {
    convoy::stories(town, std::slice::from_ref(convoy)).is_ok_and(|stories| stories.iter().all(|story| story.summary.owned))
}

impl Tried {
    /// What could not be slung, and why.
    #[must_use]
    pub fn failed(bead: &str, error: &Error) -> Self {
        let hint = error.hint.clone().or_else(|| Some(error.kind.hint().to_owned()));
        let error = Fault { kind: error.kind.word(), message: error.line(), hint, exit_code: error.kind.exit_code() };
        Self::Failed { bead: bead.to_owned(), outcome: "failed", error }
    }
}

impl Thrown {
    /// 0, or the exit code of the first failure.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let Self::Several { beads, .. } = self else { return 0 };
        let failed = beads.iter().find_map(|one| match one {
            Tried::Slung(_) => None,
            Tried::Failed { error, .. } => Some(error.exit_code),
        });
        failed.unwrap_or(0)
    }
}
