//! Where requests of a queue touch each other: by file, and by the lines of it; groups that have nothing to do with each
//! other; and what makes a request risky to merge. Pure; what a request changes is told to it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::name::BeadId;

/// Lines that stand next to changed ones are within git's context and conflict in practice.
const CONTEXT_LINES: u64 = 3;
/// More changed lines than this are many.
const LINES_MANY: u64 = 1_000;
/// More files than this are many.
const FILES_MANY: usize = 40;
/// A file that so many requests touch is a hot one.
const HOT_REQUESTS: usize = 3;
/// Names of files that pin what a project is built with; two changes to one of them seldom merge to what either meant.
const PINNED: [&str; 8] =
    ["Cargo.lock", "package-lock.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "go.sum", "Gemfile.lock", "composer.lock"];

/// What a request changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The request.
    pub mr: Option<BeadId>,
    /// By path, the ranges of lines of the old file that it replaces, first and last; none of a file that is new or not text.
    pub files: BTreeMap<String, Vec<(u64, u64)>>,
    /// Files that it removes.
    pub removed: BTreeSet<String>,
    /// How many lines it adds and takes away.
    pub lines: u64,
}

/// Two requests that touch one another.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Overlap {
    /// The one ahead.
    pub ahead: BeadId,
    /// The one behind.
    pub behind: BeadId,
    /// Files that both change.
    pub files: Vec<String>,
    /// Those of them in which both change the same lines, or one removes what the other changes.
    pub same_lines: Vec<String>,
}

/// What makes a request risky.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case", tag = "flag")]
pub enum Flag {
    /// It changes many lines or files.
    Large {
        /// How many lines.
        lines: u64,
        /// How many files.
        files: usize,
    },
    /// It touches a file that many others touch.
    HotFile {
        /// The file.
        path: String,
        /// How many requests touch it.
        requests: usize,
    },
    /// It changes what the project is built with.
    PinnedVersions {
        /// The file.
        path: String,
    },
    /// It changes lines that another changes too.
    SameLines {
        /// The other.
        other: BeadId,
    },
}

impl Flag {
    /// In a few words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Large { lines, files } => format!("large: {lines} lines in {files} files"),
            Self::HotFile { path, requests } => format!("{path} is touched by {requests} requests"),
            Self::PinnedVersions { path } => format!("changes {path}"),
            Self::SameLines { other } => format!("changes the same lines as {other}"),
        }
    }
}

/// Requests that have to do with each other, in order of their turn; groups have nothing in common.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Group {
    /// Them.
    pub requests: Vec<BeadId>,
    /// Whether some of them change the same lines, so that one is likely to wait for, or be reworked after, another.
    pub is_contended: bool,
}

/// How a queue's requests stand to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Plan {
    /// Which touch each other.
    pub overlaps: Vec<Overlap>,
    /// Which have nothing to do with each other, by the turn of their first.
    pub groups: Vec<Group>,
    /// What is risky about which.
    pub flags: BTreeMap<BeadId, Vec<Flag>>,
}

/// Plans the merging of requests with `all` these changes, in order of their turn.
#[must_use]
pub fn plan(all: &[Changes]) -> Plan {
    let all: Vec<(&BeadId, &Changes)> = all.iter().filter_map(|one| Some((one.mr.as_ref()?, one))).collect();
    let mut overlaps = Vec::new();
    for (at, (behind, changes)) in all.iter().enumerate() {
        overlaps.extend(all[..at].iter().filter_map(|(ahead, before)| overlap((ahead, before), (behind, changes))));
    }
    let mut flags: BTreeMap<BeadId, Vec<Flag>> = BTreeMap::new();
    let mut touched: BTreeMap<&str, usize> = BTreeMap::new();
    all.iter().flat_map(|(_, one)| one.files.keys()).for_each(|path| *touched.entry(path).or_default() += 1);
    for (mr, changes) in &all {
        let mut found = own_flags(changes, &touched);
        let contended = overlaps.iter().filter(|one| !one.same_lines.is_empty());
        found.extend(contended.filter_map(|one| {
            let other = if one.ahead == **mr { &one.behind } else { &one.ahead };
            (one.ahead == **mr || one.behind == **mr).then(|| Flag::SameLines { other: other.clone() })
        }));
        if !found.is_empty() {
            flags.insert((*mr).clone(), found);
        }
    }
    let ids: Vec<&BeadId> = all.iter().map(|(id, _)| *id).collect();
    Plan { groups: groups(&ids, &overlaps), overlaps, flags }
}

fn own_flags(changes: &Changes, touched: &BTreeMap<&str, usize>) -> Vec<Flag> {
    let mut flags = Vec::new();
    if changes.lines > LINES_MANY || changes.files.len() > FILES_MANY {
        flags.push(Flag::Large { lines: changes.lines, files: changes.files.len() });
    }
    for path in changes.files.keys() {
        let requests = touched.get(path.as_str()).copied().unwrap_or(0);
        if requests >= HOT_REQUESTS {
            flags.push(Flag::HotFile { path: path.clone(), requests });
        }
        if PINNED.contains(&path.rsplit('/').next().unwrap_or(path)) {
            flags.push(Flag::PinnedVersions { path: path.clone() });
        }
    }
    flags
}

fn overlap((ahead, before): (&BeadId, &Changes), (behind, after): (&BeadId, &Changes)) -> Option<Overlap> {
    let files: Vec<String> = before.files.keys().filter(|path| after.files.contains_key(*path)).cloned().collect();
    if files.is_empty() {
        return None;
    }
    let is_contended = |path: &&String| {
        let one_is_gone = before.removed.contains(*path) != after.removed.contains(*path);
        let (ours, theirs) = (&before.files[*path], &after.files[*path]);
        // A file of which no lines are known is new on both sides, or no text: nobody can say that they do not meet.
        let is_unknown = ours.is_empty() || theirs.is_empty();
        one_is_gone || is_unknown || ours.iter().any(|a| theirs.iter().any(|b| is_near(*a, *b)))
    };
    let same_lines = files.iter().filter(is_contended).cloned().collect();
    Some(Overlap { ahead: ahead.clone(), behind: behind.clone(), files, same_lines })
}

fn is_near((a_first, a_last): (u64, u64), (b_first, b_last): (u64, u64)) -> bool {
    a_first <= b_last.saturating_add(CONTEXT_LINES) && b_first <= a_last.saturating_add(CONTEXT_LINES)
}

/// The connected parts of the graph of overlaps.
fn groups(ids: &[&BeadId], overlaps: &[Overlap]) -> Vec<Group> {
    let mut group_of: Vec<usize> = (0..ids.len()).collect();
    let place = |id: &BeadId| ids.iter().position(|other| *other == id);
    for one in overlaps {
        let (Some(a), Some(b)) = (place(&one.ahead), place(&one.behind)) else { continue };
        let (keep, join) = (group_of[a].min(group_of[b]), group_of[a].max(group_of[b]));
        group_of.iter_mut().filter(|group| **group == join).for_each(|group| *group = keep);
    }
    let mut by_group: BTreeMap<usize, Vec<BeadId>> = BTreeMap::new();
    for (at, group) in group_of.iter().enumerate() {
        by_group.entry(*group).or_default().push(ids[at].clone());
    }
    let is_contended =
        |requests: &[BeadId]| overlaps.iter().any(|one| !one.same_lines.is_empty() && requests.contains(&one.ahead));
    by_group.into_values().map(|requests| Group { is_contended: is_contended(&requests), requests }).collect()
}

/// Reads what `git diff -U0 --no-renames` prints: by file the lines replaced, and how many lines came and went.
///
/// `@@ -a,b +c,d @@` (POSIX diff -u, with `,1` left out) replaces `b` lines from `a`; with `b` 0 it adds after `a`.
#[must_use]
pub fn read_diff(text: &str) -> Changes {
    let mut changes = Changes::default();
    let (mut old, mut path): (Option<String>, Option<String>) = (None, None);
    // Lines of a hunk are somebody's text, and may look like anything.
    let mut in_hunk = 0;
    for line in text.lines() {
        if in_hunk > 0 {
            in_hunk -= u64::from(!line.starts_with('\\'));
        } else if let Some(rest) = line.strip_prefix("diff --git ") {
            // Files without lines (modes, binaries) have no other name than this.
            path = rest.split(" b/").nth(1).map(str::to_owned);
            old = None;
            if let Some(path) = &path {
                changes.files.entry(path.clone()).or_default();
            }
        } else if let Some(name) = line.strip_prefix("--- ") {
            old = name.strip_prefix("a/").map(str::to_owned);
        } else if line == "+++ /dev/null" {
            if let Some(gone) = &old {
                changes.removed.insert(gone.clone());
            }
        } else if let (Some(path), Some(hunk)) = (&path, line.strip_prefix("@@ -").and_then(read_hunk)) {
            let (from, taken, added) = hunk;
            changes.lines += taken + added;
            in_hunk = taken + added;
            if old.is_some() {
                let last = if taken == 0 { from } else { from + taken - 1 };
                changes.files.entry(path.clone()).or_default().push((from, last));
            }
        }
    }
    changes
}

/// The words of a text that may be paths of files: with a `/` or a `.` inside, quotes and marks around them left out.
pub fn named_paths(text: &str) -> impl Iterator<Item = &str> {
    let is_mark = |c: char| c.is_whitespace() || "`'\"()[]<>,;:*".contains(c);
    let words = text.split(is_mark).map(|word| word.trim_end_matches(['.', '!', '?']).trim_start_matches("./"));
    words.filter(|word| word.len() > 1 && word.len() <= 400 && word.contains(['/', '.']) && !word.starts_with('/'))
}

/// First line, count of old lines and count of new ones in `a,b +c,d @@ …`.
fn read_hunk(text: &str) -> Option<(u64, u64, u64)> {
    let (old, rest) = text.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let parts = |side: &str| -> Option<(u64, u64)> {
        let (from, count) = side.split_once(',').unwrap_or((side, "1"));
        Some((from.parse().ok()?, count.parse().ok()?))
    };
    let ((from, taken), (_, added)) = (parts(old)?, parts(new)?);
    Some((from, taken, added))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_in_what_people_write() {
        let text = "Mend `src/a.rs` and (docs/b.md), see ./c.txt. Then: e.g. nothing, https://x.org/y too.";
        let found: Vec<&str> = named_paths(text).collect();
        assert_eq!(found, ["src/a.rs", "docs/b.md", "c.txt", "e.g"]);
    }

    fn id(name: &str) -> BeadId {
        format!("wi-mr-{name}").parse().unwrap()
    }

    fn change(name: &str, files: &[(&str, &[(u64, u64)])]) -> Changes {
        let files = files.iter().map(|(path, lines)| ((*path).to_owned(), lines.to_vec())).collect();
        Changes { mr: Some(id(name)), files, ..Changes::default() }
    }

    #[test]
    fn requests_that_share_no_file_are_groups_of_their_own() {
        let all = [
            change("a", &[("x", &[(1, 5)])]),
            change("b", &[("y", &[(1, 1)])]),
            change("c", &[("x", &[(40, 41)]), ("z", &[(1, 1)])]),
            change("d", &[("z", &[(3, 3)])]),
        ];
        let plan = plan(&all);
        let groups: Vec<(Vec<BeadId>, bool)> =
            plan.groups.into_iter().map(|group| (group.requests, group.is_contended)).collect();
        assert_eq!(groups, [(vec![id("a"), id("c"), id("d")], true), (vec![id("b")], false)]);
        let edges: Vec<(&BeadId, &BeadId, usize, usize)> =
            plan.overlaps.iter().map(|one| (&one.ahead, &one.behind, one.files.len(), one.same_lines.len())).collect();
        assert_eq!(edges, [(&id("a"), &id("c"), 1, 0), (&id("c"), &id("d"), 1, 1)]);
        assert_eq!(plan.flags[&id("d")], [Flag::SameLines { other: id("c") }]);
        assert!(!plan.flags.contains_key(&id("b")));
    }

    #[test]
    fn lines_meet_when_they_are_within_each_others_context_or_nobody_can_tell() {
        for (ours, theirs, meet) in [
            (vec![(10, 12)], vec![(13, 13)], true),
            (vec![(10, 12)], vec![(16, 20)], false),
            (vec![(10, 12)], vec![(15, 20)], true),
            (vec![], vec![(1, 1)], true),
        ] {
            let all = [change("a", &[("x", &ours)]), change("b", &[("x", &theirs)])];
            assert_eq!(plan(&all).groups[0].is_contended, meet, "{ours:?} {theirs:?}");
        }
        let mut all = [change("a", &[("x", &[(1, 9)])]), change("b", &[("x", &[(90, 91)])])];
        all[0].removed.insert("x".into());
        assert!(plan(&all).groups[0].is_contended, "one removes what the other changes");
    }

    #[test]
    fn what_is_large_hot_or_pins_versions_is_flagged() {
        let mut big = change("a", &[("x", &[(1, 1)])]);
        big.lines = 5_000;
        let all = [big, change("b", &[("x", &[(50, 50)])]), change("c", &[("x", &[(99, 99)]), ("sub/Cargo.lock", &[(1, 1)])])];
        let plan = plan(&all);
        assert_eq!(plan.flags[&id("a")][0], Flag::Large { lines: 5_000, files: 1 });
        assert_eq!(plan.flags[&id("b")], [Flag::HotFile { path: "x".into(), requests: 3 }]);
        assert!(plan.flags[&id("c")].contains(&Flag::PinnedVersions { path: "sub/Cargo.lock".into() }));
        assert!(plan.flags[&id("b")][0].words().contains("3 requests"));
    }

    #[test]
    fn a_diff_is_read_by_file_and_line() {
        let text = "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -3,2 +3 @@ fn f\n--- a/trap\n-diff --git\n+c\n\\ No newline at end of file\n@@ -9,0 +9,2 @@\n+d\n++++ /dev/null\n\
                    diff --git a/new b/new\nnew file mode 100644\n--- /dev/null\n+++ b/new\n@@ -0,0 +1,2 @@\n+x\n+y\n\
                    diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-x\n-y\n-z\n\
                    diff --git a/pic b/pic\nBinary files a/pic and b/pic differ\n";
        let changes = read_diff(text);
        let files: Vec<(&str, &[(u64, u64)])> =
            changes.files.iter().map(|(path, lines)| (path.as_str(), lines.as_slice())).collect();
        assert_eq!(files, [("gone", &[(1, 3)][..]), ("new", &[]), ("pic", &[]), ("x", &[(3, 4), (9, 9)])]);
        assert_eq!((changes.removed.len(), changes.lines), (1, 10));
        assert_eq!(read_diff("").files.len(), 0);
    }
}
