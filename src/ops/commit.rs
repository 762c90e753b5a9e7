//! A commit of code as the agent who acts.

use std::ffi::OsString;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::git::{program, worktree};
use crate::model::address::Address;
use crate::town::Town;

/// A commit that was made.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Committed {
    /// Its id.
    pub commit: String,
    /// The branch.
    pub branch: Option<String>,
    /// Who is named as its author; nothing, when it is the person whose configuration git has.
    pub author: Option<String>,
}

/// Runs git's commit with `words` in the checkout that the command was started in, as the acting agent with the owner's
/// e-mail; people commit as themselves. Hooks run, and git may open an editor.
///
/// # Errors
/// Refused, when environment and directory name two identities, or this is no checkout; external, when git makes no commit.
pub fn commit(town: &Town, words: &[OsString]) -> Result<Committed> {
    town.check_identity()?;
    let top = town.dir.ancestors().take_while(|dir| **dir != town.root).find(|dir| dir.join(".git").symlink_metadata().is_ok());
    let top = top.ok_or_else(|| {
        Error::refused(format!("{} is in no checkout of the town", town.dir.display()))
            .hint("run it in a sandbox or a crew clone")
    })?;
    let is_agent = !matches!(town.me, Address::Overseer(_));
    let (name, email) = (&town.actor.name, &town.actor.email);
    let variables: Vec<(&str, String)> = ["AUTHOR", "COMMITTER"]
        .iter()
        .filter(|_| is_agent)
        .flat_map(|who| match *who {
            "AUTHOR" => [("GIT_AUTHOR_NAME", name.clone()), ("GIT_AUTHOR_EMAIL", email.clone())],
            _ => [("GIT_COMMITTER_NAME", name.clone()), ("GIT_COMMITTER_EMAIL", email.clone())],
        })
        .collect();
    let before = worktree::head(top).ok();
    let code = program::attended(&town.dir, top, "commit", words, &variables)?;
    let after = worktree::head(top).ok();
    match after.filter(|after| code == Some(0) && before.as_ref() != Some(after)) {
        Some((branch, id)) => Ok(Committed { commit: id.to_string(), branch, author: is_agent.then(|| name.clone()) }),
        None => Err(Error::external("git made no commit").hint("its own words stand above; git status shows what there is")),
    }
}
