//! Review: which requests somebody must look at before they are tested, and whose word counts.
//!
//! An approval is for exactly the head that was looked at, never the author's own, and each person's counts once.
//! What a rule says is weighed anew whenever it is asked, so that a changed rule holds for what waits already.

use std::collections::BTreeSet;

use gix::glob::wildmatch::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::address::Address;
use crate::model::record::Object;
use crate::time::Moment;

/// Somebody's word that a head may be merged.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: String,
    /// When.
    pub at: Moment,
    /// The head that was looked at; no other is approved.
    pub head: String,
    /// What was said with it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// What the configuration keys `review.*` say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// How many must approve; 0: nobody needs to.
    pub approvals: usize,
    /// Patterns of addresses whose word counts.
    pub by: Vec<String>,
    /// Globs: requests that change such a path need it. Without these and `labels` all do.
    pub paths: Vec<String>,
    /// Requests for work with one of these labels need it.
    pub labels: BTreeSet<String>,
    /// Globs of files that run by themselves: who changes one and is no person needs one approval at least.
    pub protected: Vec<String>,
}

/// The words of a list in configuration: blanks and commas part them.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether `pattern` covers the address `who`. `*` stands for any part of one word, and who is meant by a role is
/// meant under every name: `overseer` covers `overseer/ann`.
#[must_use]
pub fn covers(pattern: &str, who: &str) -> bool {
    let is_match = |text: &str| gix::glob::wildmatch(pattern.into(), text.into(), Mode::NO_MATCH_SLASH_LITERAL);
    is_match(who) || (who.starts_with("overseer/") && is_match("overseer"))
}

/// Whether `glob` covers `path`, as in a `.gitignore`: without a slash before its end it is a name at any depth, `**`
/// stands for any number of folders, and a folder covers what is in it.
#[must_use]
pub fn is_below(glob: &str, path: &str) -> bool {
    let name = glob.trim_end_matches('/');
    let is_match =
        |text: &str| gix::glob::wildmatch(name.trim_start_matches('/').into(), text.into(), Mode::NO_MATCH_SLASH_LITERAL);
    if !name.contains('/') {
        return path.split('/').any(is_match);
    }
    path.match_indices('/').map(|(at, _)| &path[..at]).chain([path]).any(is_match)
}

impl Rule {
    /// Whether anything needs review here.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.approvals > 0
    }

    /// Whether a request for work with `labels`, which changes the paths that `changed` tells, needs review.
    ///
    /// # Errors
    /// Those of `changed`, which is asked only when it matters.
    pub fn concerns<'l>(
        &self,
        labels: impl IntoIterator<Item = &'l str>,
        changed: impl FnOnce() -> Result<BTreeSet<String>>,
    ) -> Result<bool> {
        if !self.is_on() {
            return Ok(false);
        }
        if self.paths.is_empty() && self.labels.is_empty() {
            return Ok(true);
        }
        if labels.into_iter().any(|label| self.labels.contains(label)) {
            return Ok(true);
        }
        if self.paths.is_empty() {
            return Ok(false);
        }
        Ok(changed()?.iter().any(|path| self.paths.iter().any(|glob| is_below(glob, path))))
    }

    /// The first of the paths that `changed` tells which runs by itself, when `author` is no person.
    ///
    /// # Errors
    /// Those of `changed`, which is asked only when it matters.
    pub fn protects(&self, author: &str, changed: impl FnOnce() -> Result<BTreeSet<String>>) -> Result<Option<String>> {
        if self.protected.is_empty() || covers("overseer", author) {
            return Ok(None);
        }
        let is_protected = |path: &String| self.protected.iter().any(|glob| is_below(glob, path));
        Ok(changed()?.into_iter().find(is_protected))
    }

    /// Whether the word of `who` counts on a request of `author`.
    #[must_use]
    pub fn may_approve(&self, who: &Address, author: &str) -> bool {
        self.counts(&who.to_string(), author)
    }

    fn counts(&self, who: &str, author: &str) -> bool {
        who != author && self.by.iter().any(|pattern| covers(pattern, who))
    }

    /// Whose approvals count for `head` of a request of `author`.
    #[must_use]
    pub fn approvers(&self, approvals: &[Approval], head: &str, author: &str) -> BTreeSet<String> {
        let counting = approvals.iter().filter(|approval| approval.head == head && self.counts(&approval.by, author));
        counting.map(|approval| approval.by.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(approvals: usize, by: &str) -> Rule {
        Rule { approvals, by: words(by), ..Rule::default() }
    }

    fn approval(by: &str, head: &str) -> Approval {
        Approval { by: by.into(), at: Moment::from_millis(0), head: head.into(), note: String::new(), extra: Object::new() }
    }

    #[test]
    fn a_pattern_covers_one_word_for_each_star() {
        for (pattern, who, is_covered) in [
            ("overseer", "overseer", true),
            ("overseer", "overseer/ann", true),
            ("overseer/ann", "overseer", false),
            ("overseer/ann", "overseer/bob", false),
            ("*/crew/*", "widgets/crew/joe", true),
            ("*/crew/*", "widgets/polecats/joe", false),
            ("widgets/*", "widgets/polecats/toast", false),
            ("*", "mayor", true),
            ("*", "widgets/polecats/toast", false),
            ("*/polecats/*", "widgets/polecats/toast", true),
        ] {
            assert_eq!(covers(pattern, who), is_covered, "{pattern} {who}");
        }
    }

    #[test]
    fn a_glob_covers_names_at_any_depth_and_folders_with_all_in_them() {
        for (glob, path, is_covered) in [
            ("*.sql", "db/schema/users.sql", true),
            ("*.sql", "users.sql", true),
            ("db", "db/schema/users.sql", true),
            ("db/", "db/users.sql", true),
            ("/db", "src/db/users.sql", false),
            ("/db", "db/users.sql", true),
            ("src/*.rs", "src/main.rs", true),
            ("src/*.rs", "src/a/main.rs", false),
            ("src/**/*.rs", "src/a/b/main.rs", true),
            ("src/auth", "src/auth/key.rs", true),
            ("src/auth", "src/authors.rs", false),
        ] {
            assert_eq!(is_below(glob, path), is_covered, "{glob} {path}");
        }
    }

    #[test]
    fn only_what_touches_the_paths_or_has_the_label_needs_review() {
        let paths = |paths: &[&str]| Ok(paths.iter().map(|path| (*path).to_owned()).collect());
        let mut rule = rule(1, "overseer");
        assert!(rule.concerns([], || paths(&["a"])).unwrap(), "without conditions all do");
        rule.paths = words("db, *.key");
        assert!(rule.concerns([], || paths(&["a", "db/x"])).unwrap());
        assert!(!rule.concerns([], || paths(&["a"])).unwrap());
        rule.labels.insert("risky".into());
        assert!(rule.concerns(["risky"], || panic!("not asked")).unwrap());
        rule.approvals = 0;
        assert!(!rule.concerns(["risky"], || panic!("not asked")).unwrap(), "it is off");
    }

    #[test]
    fn each_approves_once_for_one_head_and_never_their_own() {
        let rule = rule(2, "overseer */crew/*");
        let given = [
            approval("overseer", "old"),
            approval("overseer", "new"),
            approval("overseer", "new"),
            approval("widgets/crew/joe", "new"),
            approval("widgets/polecats/toast", "new"),
        ];
        assert_eq!(rule.approvers(&given, "new", "mayor").len(), 2);
        assert_eq!(rule.approvers(&given, "new", "widgets/crew/joe").len(), 1);
        assert_eq!(rule.approvers(&given, "old", "mayor").len(), 1);
        assert!(!rule.may_approve(&"widgets/polecats/toast".parse().unwrap(), "mayor"));
    }
}
