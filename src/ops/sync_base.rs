//! Bringing a sandbox up to its target, before the work is handed in: the target's new commits are merged into its branch,
//! or the branch is put on top of them. It is git that does it, so that what it leaves is a state that git knows; what the
//! sandbox holds uncommitted is refused before, and the commits of before stay in the branch's reflog.

use std::path::Path;

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::merge::merge_base;
use crate::git::progress::Progress;
use crate::git::{commits, fetch, program, promised, status, worktree};
use crate::model::address::Address;
use crate::model::hook::Hook;
use crate::name::BeadId;
use crate::ops::{hook, polecat};
use crate::store::Store;
use crate::town::{RigPlace, Town};

/// How the target's commits come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// By a merge commit, or forward where the branch has none of its own.
    Merge,
    /// The branch's commits are made anew on top of them.
    Rebase,
}

impl Form {
    /// The word that git has for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Rebase => "rebase",
        }
    }
}

/// How it ended.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Synced {
    /// The branch had all of the target.
    UpToDate {
        /// The work.
        bead: BeadId,
        /// The target.
        target: String,
        /// Why its newest state could not be asked for, where a remote has it.
        #[serde(skip_serializing_if = "Option::is_none")]
        warning: Option<String>,
    },
    /// The branch has all of the target now.
    Moved {
        /// The work.
        bead: BeadId,
        /// The target.
        target: String,
        /// How.
        form: Form,
        /// How many commits of the target came.
        commits: usize,
        /// The branch's commit before.
        before: String,
        /// And now.
        head: String,
        /// Why its newest state could not be asked for, where a remote has it.
        #[serde(skip_serializing_if = "Option::is_none")]
        warning: Option<String>,
    },
    /// git stopped in the middle, and waits for somebody to resolve it.
    Conflict {
        /// The work.
        bead: BeadId,
        /// The target.
        target: String,
        /// How.
        form: Form,
        /// Files that both sides changed.
        files: Vec<String>,
        /// The branch's commit before.
        before: String,
    },
}

/// Brings the acting polecat's sandbox up to its target.
///
/// # Errors
/// Refused, when nobody's sandbox is meant, it is on no branch or on the target, has uncommitted changes, or a merge or
/// rebase is under way in it; external, when git fails otherwise.
pub fn sync_base(town: &Town, form: Form) -> Result<Synced> {
    town.check_identity()?;
    let Address::Polecat(rig, name) = &town.me else {
        return Err(Error::refused(format!("{} has no sandbox", town.me))
            .hint("run it in a polecat's sandbox; a workspace of one's own is brought up by git pull"));
    };
    let place = town.rig(rig)?;
    let hook = hook::of(town, &town.me)?
        .ok_or_else(|| Error::refused(format!("nothing is on the hook of {}", town.me)).hint("gt hook shows your assignment"))?;
    let dir = polecat::sandbox(&place, name);
    if !dir.is_dir() {
        return Err(Error::not_found(format!("the sandbox {} is gone", dir.display()))
            .hint(format!("give the bead back: gt unsling {}", hook.bead)));
    }
    let before = check(&place, &hook, &dir)?;
    let (tip, warning) = tip_now(&place, &hook.target)?;
    let store = &place.ledger.store;
    let (bead, target) = (hook.bead.clone(), hook.target.clone());
    if store.is_ancestor(tip, before)? {
        return Ok(Synced::UpToDate { bead, target, warning });
    }
    let commits = commits::ahead(store, tip, &[before])?.len();
    bring(store, before, tip)?;
    let (name, email) = (format!("user.name={}", town.actor.name), format!("user.email={}", town.actor.email));
    let (tip_name, message) = (tip.to_string(), format!("Merge {target} into the work on {bead}"));
    let mut args = vec!["-c", &name, "-c", &email, form.word()];
    match form {
        Form::Merge => args.extend(["--no-edit", "-m", &message, &tip_name]),
        Form::Rebase => args.push(&tip_name),
    }
    let output = program::run(&dir, &args)?;
    let before = before.to_string();
    if output.is_success() {
        let head = worktree::head(&dir)?.1.to_string();
        return Ok(Synced::Moved { bead, target, form, commits, before, head, warning });
    }
    let files = unmerged(&dir)?;
    if under_way(store, &dir)?.is_none() {
        return Err(Error::new(output.failure(), format!("{} {target}: {}", form.word(), output.last_line()))
            .hint("the sandbox is as it was: git status"));
    }
    Ok(Synced::Conflict { bead, target, form, files, before })
}

/// Refuses a sandbox in which git would mix what it brings with what is there; answers its head.
fn check(place: &RigPlace, hook: &Hook, dir: &Path) -> Result<ObjectId> {
    if let Some(form) = under_way(&place.ledger.store, dir)? {
        let word = form.word();
        return Err(Error::refused(format!("a {word} is under way in the sandbox"))
            .hint(format!("resolve it and git {word} --continue, or git {word} --abort")));
    }
    let (branch, head) = worktree::head(dir)?;
    match branch {
        None => {
            Err(Error::refused("the sandbox is on no branch")
                .hint(format!("git switch -c {}-2 keeps what you have", hook.branch)))
        }
        Some(branch) if branch == hook.target => Err(Error::refused(format!("the sandbox is on {branch}, the target itself"))
            .hint(format!("move your commits to a branch of your own: git switch -c {}-2", hook.branch))),
        Some(_) if !status::status(dir)?.is_clean() => {
            Err(Error::refused("the sandbox has uncommitted changes").hint("commit them first: git add -A && git commit"))
        }
        Some(_) => Ok(head),
    }
}

/// The merge or rebase that git has begun in the worktree `dir` and not ended.
fn under_way(store: &Store, dir: &Path) -> Result<Option<Form>> {
    let private = worktree::private_dir(store, dir)?;
    let is_there = |names: &[&str]| names.iter().any(|name| private.join(name).exists());
    Ok(if is_there(&["rebase-merge", "rebase-apply"]) {
        Some(Form::Rebase)
    } else if is_there(&["MERGE_HEAD"]) {
        Some(Form::Merge)
    } else {
        None
    })
}

/// The files that git could not merge.
fn unmerged(dir: &Path) -> Result<Vec<String>> {
    let listed = program::run_ok(dir, &["diff", "--name-only", "--diff-filter=U", "-z"])?;
    Ok(listed.split_terminator('\0').map(str::to_owned).collect())
}

/// The target's newest commit, with its objects here: that of the remote, where the target is one's. When that cannot be
/// asked, the one known here, and why.
fn tip_now(place: &RigPlace, target: &str) -> Result<(ObjectId, Option<String>)> {
    let (store, name) = (&place.ledger.store, format!("refs/heads/{target}"));
    let here = || store.read_ref(&name)?.or_fail(Kind::NotFound, || format!("find the target branch {}", target.escape_debug()));
    if !place.rig.land_remote {
        return Ok((here()?, None));
    }
    match fetch::fetch(store, &place.project, std::slice::from_ref(&name), &Progress::silent()) {
        Ok(found) => Ok((found.get(&name).copied().map_or_else(here, Ok)?, None)),
        Err(error) if error.kind == Kind::External => Ok((here()?, Some(error.line()))),
        Err(error) => Err(error),
    }
}

/// Brings the files that a merge looks at, where a partial clone left them out.
fn bring(store: &Store, head: ObjectId, tip: ObjectId) -> Result<()> {
    let Some(fork) = merge_base(store, head, tip)? else { return Ok(()) };
    let fork = store.tree_of(fork)?;
    promised::bring_changed(store, fork, store.tree_of(head)?)?;
    promised::bring_changed(store, fork, store.tree_of(tip)?)?;
    Ok(())
}
