//! What the queue of a target remembers from run to run besides its requests. Only the machine that works it writes here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::record::{Object, Rev, SCHEMA_VERSION};

/// How many commits of a pull request's branch are remembered.
const COMMITS_MAX: usize = 32;

/// `queue/notebooks/<branch>.json`: notes of one target's queue.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Notebook {
    /// Schema version.
    pub v: u64,
    /// The branch.
    pub target: String,
    /// The branch of the remote by which it asks for pull requests, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_branch: Option<PullBranch>,
    /// Alarms that were mailed: the kind of each, with the target's tip that it was about.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<String, String>,
    /// Where the target was when gt left it, or last saw that somebody moved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tip: Option<String>,
    /// A tip that somebody else moved it to, and that is yet to be gated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ungated: Option<String>,
    /// Clock.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// A branch of the remote that is the queue's own.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct PullBranch {
    /// Its name, without `refs/heads/`.
    pub name: String,
    /// What the queue put there or was about to, the newest last. Whatever else is there came from somebody else.
    pub commits: Vec<String>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

impl Notebook {
    /// An empty one for `target`.
    #[must_use]
    pub fn new(target: &str) -> Self {
        Self {
            v: SCHEMA_VERSION,
            target: target.to_owned(),
            pull_branch: None,
            told: BTreeMap::new(),
            tip: None,
            ungated: None,
            rev: Rev::default(),
            extra: Object::new(),
        }
    }

    /// Notes that `commit` is about to be put on the branch `name` of the remote; tells whether that is new.
    pub fn note_pushing(&mut self, name: &str, commit: &str) -> bool {
        let fresh = || PullBranch { name: name.to_owned(), commits: Vec::new(), extra: Object::new() };
        let branch = self.pull_branch.get_or_insert_with(fresh);
        if branch.commits.last().is_some_and(|last| last == commit) {
            return false;
        }
        branch.commits.retain(|known| known != commit);
        branch.commits.push(commit.to_owned());
        let surplus = branch.commits.len().saturating_sub(COMMITS_MAX);
        branch.commits.drain(..surplus);
        true
    }

    /// Notes that the branch of the remote holds `commit`, and so nothing older.
    pub fn note_pushed(&mut self, commit: &str) {
        if let Some(branch) = &mut self.pull_branch {
            branch.commits = vec![commit.to_owned()];
        }
    }

    /// Notes that the alarm `kind` is told of `tip`; false when it was told already.
    pub fn note_told(&mut self, kind: &str, tip: &str) -> bool {
        self.told.insert(kind.to_owned(), tip.to_owned()).is_none_or(|before| before != tip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_on_the_branch_is_known_until_a_push_is_certain() {
        let mut notebook = Notebook::new("main");
        assert!(notebook.note_pushing("gt/queue/main", "a") && !notebook.note_pushing("gt/queue/main", "a"));
        assert!(notebook.note_pushing("gt/queue/main", "b") && notebook.note_pushing("gt/queue/main", "a"));
        assert_eq!(notebook.pull_branch.as_ref().unwrap().commits, ["b", "a"]);
        notebook.note_pushed("a");
        assert_eq!(notebook.pull_branch.unwrap().commits, ["a"]);
    }

    #[test]
    fn an_alarm_is_told_once_of_a_tip() {
        let mut notebook = Notebook::new("main");
        assert!(notebook.note_told("red", "a") && !notebook.note_told("red", "a") && notebook.note_told("stuck", "a"));
        assert!(notebook.note_told("red", "b"));
    }

    #[test]
    fn words_of_a_newer_version_stay() {
        let text = r#"{"v":1,"target":"main","pull_branch":{"name":"b","commits":[],"colour":"red"},"shape":"round"}"#;
        let read: Notebook = serde_json::from_str(text).unwrap();
        let written = serde_json::to_value(&read).unwrap();
        assert!(written["shape"] == "round" && written["pull_branch"]["colour"] == "red");
    }
}
