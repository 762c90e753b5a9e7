//! Done: hand in, escalate or give back what is on the hook. Resumable at every step.
//!
//! The head is pinned durably before one transaction makes the merge request, moves the bead, clears the hook
//! and tells witness and refinery. A call that died in between is finished by the next: the same head gets the
//! same merge request.

mod ways;

use std::path::Path;

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::progress::Progress;
use crate::git::push::{self, Outcome, Update};
use crate::git::salvage::Next;
use crate::git::{commits, program, status, worktree};
use crate::ledger::{Change, tree};
use crate::model::address::Address;
use crate::model::bead::{Status, check_text};
use crate::model::hook::Hook;
use crate::model::merge_request::{Mode, Way};
use crate::model::protocol::{Exit, Protocol};
use crate::name::BeadId;
use crate::ops::refinery::{self, Handed};
use crate::ops::{convoy, hook, polecat, post};
use crate::runtime::spawns;
use crate::town::{RigPlace, Town};

/// How to end the assignment.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Completed, escalated or released.
    pub exit: Exit,
    /// Why, or what the squashed commit says.
    pub message: Option<String>,
    /// Commit what is uncommitted first.
    pub commit: bool,
    /// The form in which it lands; the rig's when not given.
    pub mode: Option<Mode>,
}

/// How it ended.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Done {
    /// A merge request is queued.
    HandedIn {
        /// The work.
        bead: BeadId,
        /// The request.
        mr: BeadId,
        /// The pinned head.
        head: String,
        /// Where it goes.
        target: String,
        /// What did not work but does not matter to the queue.
        warning: Option<String>,
    },
    /// It is in the target.
    Landed {
        /// The work.
        bead: BeadId,
        /// The request.
        mr: BeadId,
        /// The commit in the target.
        commit: String,
        /// Where it went.
        target: String,
    },
    /// It stays on its branch, and the work is closed.
    Kept {
        /// The work.
        bead: BeadId,
        /// The branch.
        branch: String,
        /// Its newest commit.
        head: String,
        /// What did not work but does not matter here.
        warning: Option<String>,
    },
    /// It was looked at; what was found is on the bead, and nothing is merged.
    Reviewed {
        /// The work, now closed.
        bead: BeadId,
        /// The branch that keeps the commits that were made all the same.
        #[serde(skip_serializing_if = "Option::is_none")]
        branch: Option<String>,
    },
    /// It waits for help.
    Escalated {
        /// The work.
        bead: BeadId,
        /// The ref that keeps unsaved work.
        salvage: Option<String>,
    },
    /// It is open again.
    Released {
        /// The work.
        bead: BeadId,
        /// The branch that stays for the next one.
        branch: String,
        /// The ref that keeps unsaved work.
        salvage: Option<String>,
    },
}

/// Ends the acting polecat's assignment.
///
/// # Errors
/// Refused, when there is nothing on the hook, the tree is dirty, there is no commit, or the branch is the target.
pub fn done(town: &Town, plan: &Plan) -> Result<Done> {
    check_text("message", plan.message.as_deref().unwrap_or_default())?;
    town.check_identity()?;
    let Address::Polecat(rig, name) = &town.me else {
        return Err(
            Error::refused(format!("{} is no polecat and hands nothing in", town.me)).hint("run it in a polecat's sandbox")
        );
    };
    let place = town.rig(rig)?;
    let hook = hook::of(town, &town.me)?.ok_or_else(|| {
        Error::refused(format!("nothing is on the hook of {}", town.me))
            .hint("gt hook shows your assignment; what was handed in shows in gt mq list")
    })?;
    let dir = polecat::sandbox(&place, name);
    if !dir.is_dir() {
        return Err(Error::not_found(format!("the sandbox {} is gone", dir.display()))
            .hint(format!("give the bead back: gt unsling {}", hook.bead)));
    }
    let done = match plan.exit {
        Exit::Completed => hand_in(town, &place, &hook, &dir, plan),
        Exit::Escalated | Exit::Released => give_up(town, &place, &hook, &dir, plan),
    }?;
    // It came to an end: the number is disposable, and the assignment over in any case.
    let _ = spawns::forget(&town.runtime_dir(), &hook.bead);
    Ok(done)
}

/// What is handed in, gathered before anything is written.
struct Work {
    branch: String,
    head: ObjectId,
    base: ObjectId,
    after: Vec<BeadId>,
    message: String,
}

fn hand_in(town: &Town, place: &RigPlace, hook: &Hook, dir: &Path, plan: &Plan) -> Result<Done> {
    let store = &place.ledger.store;
    if hook.review_only {
        return ways::reviewed(town, place, hook, dir, plan);
    }
    if plan.commit {
        commit_all(town, hook, dir, plan)?;
    }
    let work = gather(place, hook, dir, plan)?;
    let way = hook.merge.map_or_else(|| convoy::way_of(town, &hook.bead), Ok)?;
    if way == Way::Local {
        return ways::keep(town, place, hook, &work);
    }
    let mr_id = request_id(town, place, work.head)?;
    crate::env::crash_point("done.minted");
    commits::pin(store, &tree::mr_pin(&mr_id), work.head, &[work.base])?;
    crate::env::crash_point("done.pinned");
    let handed = Handed {
        id: mr_id.clone(),
        rig: &place.rig.name,
        source: &hook.bead,
        branch: &work.branch,
        target: &hook.target,
        head: work.head.to_string(),
        base: work.base.to_string(),
        tree: store.tree_of(work.head)?.to_string(),
        author: &town.me,
        message: work.message.clone(),
        mode: refinery::mode_for(town, place, plan.mode)?,
        profile: refinery::profile(place, work.base, work.head)?,
        after: work.after.clone(),
        is_alone: way == Way::Direct,
    };
    let deed = town.deed("done", format!("hand in {} as {mr_id}", hook.bead));
    place.ledger.transact(&deed, |change| {
        refinery::check_pin(store, &handed)?;
        record(change, town, hook, &handed)
    })?;
    crate::env::crash_point("done.recorded");
    // After the record: a remote that hangs must not keep the work from the queue.
    let mut warning = push_branch(place, &work);
    if way == Way::Direct {
        match ways::land(town, place, &mr_id) {
            Ok(commit) => return Ok(Done::Landed { bead: hook.bead.clone(), mr: mr_id, commit, target: hook.target.clone() }),
            Err(error) => warning = Some(error.line()),
        }
    }
    Ok(Done::HandedIn { bead: hook.bead.clone(), mr: mr_id, head: work.head.to_string(), target: hook.target.clone(), warning })
}

/// Checks the sandbox and reads what it hands in.
fn gather(place: &RigPlace, hook: &Hook, dir: &Path, plan: &Plan) -> Result<Work> {
    let store = &place.ledger.store;
    let (branch, head) = worktree::head(dir)?;
    let branch = branch.ok_or_else(|| {
        Error::refused("the sandbox is on no branch").hint(format!("git switch -c {}-2 keeps what you have", hook.branch))
    })?;
    if branch == hook.target {
        return Err(Error::refused(format!("the sandbox is on {branch}, the target itself"))
            .hint(format!("move your commits to a branch of your own: git switch -c {}-2", hook.branch)));
    }
    let state = status::status(dir)?;
    if !state.is_clean() {
        let dirty: Vec<&String> = state.staged.iter().chain(&state.unstaged).chain(&state.untracked).take(5).collect();
        let names = dirty.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Error::refused(format!("the sandbox has uncommitted changes: {names}"))
            .hint("commit them, or let done do it: gt done --commit"));
    }
    let target = format!("refs/heads/{}", hook.target);
    let tip = store.read_ref(&target)?.or_fail(Kind::NotFound, || format!("find the target branch {}", hook.target))?;
    let ground = refinery::ground(place, &hook.bead, &hook.target, head, tip)?;
    if ground.own.is_empty() {
        return Err(Error::refused(format!("{branch} has no commit that {} lacks", hook.target))
            .hint("commit your work first, or give the bead back: gt done --status released --message \"why\""));
    }
    let message = match (&plan.message, ground.own.as_slice()) {
        (Some(message), _) => message.clone(),
        (None, [only]) => commits::message(store, *only)?,
        (None, many) => {
            let title = place.ledger.state()?.bead(&hook.bead)?.title;
            let subjects: Vec<String> = many
                .iter()
                .rev()
                .map(|id| commits::message(store, *id).map(|text| format!("- {}", text.lines().next().unwrap_or_default())))
                .collect::<Result<_>>()?;
            format!("{title}\n\n{}", subjects.join("\n"))
        }
    };
    Ok(Work { branch, head, base: ground.base, after: ground.after, message })
}

fn commit_all(town: &Town, hook: &Hook, dir: &Path, plan: &Plan) -> Result<()> {
    if status::status(dir)?.is_clean() {
        return Ok(());
    }
    let message = plan.message.clone().unwrap_or_else(|| format!("Work on {}", hook.bead));
    let (name, email) = (format!("user.name={}", town.actor.name), format!("user.email={}", town.actor.email));
    // Also what was made outside of what a sparse sandbox shows.
    program::run_ok(dir, &["add", "-A", "--sparse"])?;
    program::run_ok(dir, &["-c", &name, "-c", &email, "commit", "-q", "-m", &message])?;
    Ok(())
}

/// The id for the request of `head`: that of a pin that an earlier call left, else a fresh one.
fn request_id(town: &Town, place: &RigPlace, head: ObjectId) -> Result<BeadId> {
    let state = place.ledger.state()?;
    for (name, pinned) in place.ledger.store.refs_below(tree::MR)? {
        let Some(id) = name.strip_prefix(tree::MR).and_then(|id| id.parse::<BeadId>().ok()) else { continue };
        if pinned == head && state.find_bead(&id)?.is_none() {
            return Ok(id);
        }
    }
    let deed = town.deed("done", "mint an id");
    place.ledger.transact(&deed, |change| change.mint(&place.rig.prefix, "mr-"))
}

/// The worker's branch goes to the project too, where people look; the queue does not need it.
fn push_branch(place: &RigPlace, work: &Work) -> Option<String> {
    if !place.rig.land_remote {
        return None;
    }
    let update = Update { name: format!("refs/heads/{}", work.branch), old: None, new: Some(work.head) };
    match push::push(&place.ledger.store, &place.push_url(), &[update], &Progress::silent()) {
        Ok(results) => results.into_iter().find_map(|(name, outcome)| match outcome {
            Outcome::Accepted => None,
            Outcome::Rejected(why) => Some(format!("{name} was not pushed: {why}")),
        }),
        Err(error) => Some(format!("the branch was not pushed: {}", error.line())),
    }
}

fn record(change: &mut Change<'_>, town: &Town, hook: &Hook, handed: &Handed<'_>) -> Result<()> {
    let slot = tree::hook(&hook.agent);
    check_hung(change, hook)?;
    refinery::file_mr(change, handed)?;
    change.remove(&slot);
    let message = Protocol::PolecatDone {
        exit: Exit::Completed,
        bead: hook.bead.clone(),
        mr: Some(handed.id.clone()),
        branch: handed.branch.to_owned(),
    };
    tell_witness(change, town, &message)
}

/// Refuses, when the assignment was ended meanwhile.
fn check_hung(change: &Change<'_>, hook: &Hook) -> Result<()> {
    if change.get::<Hook>(&tree::hook(&hook.agent))?.is_some_and(|now| now.is_same(hook)) {
        return Ok(());
    }
    Err(Error::refused(format!("{} is no longer on the hook of {}", hook.bead, hook.agent)).hint("gt hook shows your assignment"))
}

fn tell_witness(change: &mut Change<'_>, town: &Town, message: &Protocol) -> Result<()> {
    match town.me.rig() {
        Some(rig) => post::post(change, message, &town.me, &Address::Witness(rig.clone())),
        None => Ok(()),
    }
}

/// Escalates or releases: work saved, hook cleared, witness told, in one transaction.
fn give_up(town: &Town, place: &RigPlace, hook: &Hook, dir: &Path, plan: &Plan) -> Result<Done> {
    let why = plan.message.clone().ok_or_else(|| {
        Error::usage("work is given up or escalated with a reason")
            .hint("add --message \"what stands in the way, how far you got\"")
    })?;
    let saved = polecat::save(town, place, &town.me, dir, Next::Nothing)?;
    crate::env::crash_point("done.salvaged");
    let salvage = saved.as_ref().map(|saved| saved.ref_name.clone());
    let is_escalated = plan.exit == Exit::Escalated;
    let verb = if is_escalated { "escalate" } else { "release" };
    let deed = town.deed(verb, format!("{verb} {}", hook.bead));
    let given_up = place.ledger.transact(&deed, |change| {
        check_hung(change, hook)?;
        change.remove(&tree::hook(&hook.agent));
        let mut bead = change.bead(&hook.bead)?;
        let kept = salvage.as_ref().map(|name| format!(" Unsaved work is kept at {name}.")).unwrap_or_default();
        let text = format!("{why}\nBranch: {}.{kept}", hook.branch);
        bead.become_status(if is_escalated { Status::Blocked } else { Status::Open }, change.now())?;
        bead.comment(format!("{verb}-{}", change.rev()), &town.actor.name, &text, change.now());
        change.put_bead(&bead)?;
        let message = Protocol::PolecatDone { exit: plan.exit, bead: hook.bead.clone(), mr: None, branch: hook.branch.clone() };
        tell_witness(change, town, &message)?;
        if is_escalated && let Some(rig) = town.me.rig() {
            let help = Protocol::Help { agent: town.me.to_string(), bead: hook.bead.clone(), problem: why.clone() };
            post::post(change, &help, &town.me, &Address::Witness(rig.clone()))?;
        }
        Ok(())
    });
    given_up.map_err(|error| polecat::naming(error, saved.as_ref()))?;
    let bead = hook.bead.clone();
    Ok(if is_escalated {
        Done::Escalated { bead, salvage }
    } else {
        Done::Released { bead, branch: hook.branch.clone(), salvage }
    })
}
