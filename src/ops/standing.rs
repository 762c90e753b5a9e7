//! How an agent's workspace stands: what a hand-off and a checkpoint tell to whoever goes on.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Kind, Result};
use crate::git::{commits, status, worktree};
use crate::model::hook::Hook;
use crate::store::Store;
use crate::town::Town;

/// So many commits and paths are named at most.
const NAMED_MAX: usize = 20;

/// How a workspace stands; all empty where the agent has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Standing {
    /// The branch; empty when detached.
    pub branch: String,
    /// Its commit.
    pub head: String,
    /// How many commits the target lacks; 0 where there is no target.
    pub ahead: usize,
    /// The newest of them: first lines of their messages.
    pub commits: Vec<String>,
    /// How many paths are staged, changed or new.
    pub changed: usize,
    /// Some of them.
    pub paths: Vec<String>,
}

/// How the workspace of the acting agent stands; `hook` names the target.
///
/// # Errors
/// Io, external or corrupt, when there is a workspace and it cannot be read.
pub fn of(town: &Town, hook: Option<&Hook>) -> Result<Standing> {
    let dir = workspace(town);
    let (branch, head) = match worktree::head(&dir) {
        Ok(head) => head,
        Err(error) if error.kind == Kind::NotFound => return Ok(Standing::default()),
        Err(error) => return Err(error),
    };
    let mut standing = Standing { branch: branch.unwrap_or_default(), head: head.to_string(), ..Standing::default() };
    let state = status::status(&dir)?;
    let paths: Vec<String> = [state.staged, state.unstaged, state.untracked].concat();
    (standing.changed, standing.paths) = (paths.len(), paths.into_iter().take(NAMED_MAX).collect());
    if let (Some(rig), Some(hook)) = (town.me.rig(), hook) {
        let store = &town.rig(rig)?.ledger.store;
        let target = store.read_ref(&format!("refs/heads/{}", hook.target))?;
        let ahead = commits::ahead(store, head, target.as_slice())?;
        standing.ahead = ahead.len();
        standing.commits = first_lines(store, &ahead)?;
    }
    Ok(standing)
}

fn first_lines(store: &Store, commits: &[gix::ObjectId]) -> Result<Vec<String>> {
    let line = |id: &gix::ObjectId| Ok(commits::message(store, *id)?.lines().next().unwrap_or_default().to_owned());
    commits.iter().take(NAMED_MAX).map(line).collect()
}

/// The directory that the acting agent works in, whether it is there or not.
fn workspace(town: &Town) -> PathBuf {
    town.root.join(town.me.to_string().trim_end_matches('/'))
}

impl Standing {
    /// As lines for people and agents; none where there is no workspace.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        if self.head.is_empty() {
            return Vec::new();
        }
        let branch = if self.branch.is_empty() { "no branch" } else { &self.branch };
        let mut lines = vec![format!("on {branch} at {}", &self.head[..self.head.len().min(10)])];
        let more = |named: usize, all: usize| if all > named { format!("; {} more", all - named) } else { String::new() };
        if self.ahead > 0 {
            lines.push(format!("commits: {}{}", self.commits.join("; "), more(self.commits.len(), self.ahead)));
        }
        if self.changed > 0 {
            lines.push(format!("not committed: {}{}", self.paths.join(", "), more(self.paths.len(), self.changed)));
        }
        lines
    }
}
