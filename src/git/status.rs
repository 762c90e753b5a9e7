//! What a worktree holds that its commit does not.
//!
//! Asked of the git program, so that it is what an agent's own `git status` says. Submodules are compared by their
//! commit and never entered.

use std::path::Path;

use gix::ObjectId;
use gix::bstr::{BString, ByteSlice};

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::{place, worktree};

/// What differs, by path; what is not UTF-8 is replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// In the index but not in the commit.
    pub staged: Vec<String>,
    /// In the worktree but not in the index, conflicts included.
    pub unstaged: Vec<String>,
    /// Not tracked and not ignored; a directory of only such files is one entry that ends with `/`.
    pub untracked: Vec<String>,
}

impl Status {
    /// Whether the worktree is exactly its commit, ignored files aside.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.staged.is_empty() && self.unstaged.is_empty() && self.untracked.is_empty()
    }
}

/// How git is asked for what [`parse`] reads; nothing is written, not even the index's times.
pub(crate) const QUESTION: &[&str] = &[
    "--no-optional-locks",
    "status",
    "--porcelain=v2",
    "--branch",
    "--no-ahead-behind",
    "-z",
    "--no-renames",
    "--ignore-submodules=dirty",
];

/// The status of the checkout at `worktree`.
///
/// # Errors
/// Not found, when there is no checkout; external, when git cannot tell.
pub fn status(worktree: &Path) -> Result<Status> {
    let git_dir = place::git_dir_of(worktree)?;
    let words = [QUESTION, &["--untracked-files=normal"]].concat();
    let output = place::git(worktree, &git_dir, &words)?;
    if !output.is_success() {
        return Err(Error::new(output.failure(), format!("git status in {} failed: {}", worktree.display(), output.last_line())));
    }
    if saw_no_commit(&output.stdout) {
        match worktree::head(worktree) {
            Ok(_) => return Err(missed_commit(worktree)),
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let mut status = Status::default();
    for entry in parse(&output.stdout)? {
        match entry {
            Entry::Changed { is_staged, is_unstaged, path, .. } => {
                let path = path.to_str_lossy().into_owned();
                status.staged.extend(is_staged.then(|| path.clone()));
                status.unstaged.extend(is_unstaged.then_some(path));
            }
            Entry::Unmerged { path, .. } => status.unstaged.push(path.to_str_lossy().into_owned()),
            Entry::Untracked(path) => status.untracked.push(path.to_str_lossy().into_owned()),
            Entry::Ignored(_) => {}
        }
    }
    Ok(status)
}

/// Whether git, in its answer, knows no commit of the checkout. That is so of a new branch; but also when HEAD or the
/// branch could not be read, and then all that is committed seems to be staged.
pub(crate) fn saw_no_commit(output: &[u8]) -> bool {
    output.split(|byte| *byte == 0).any(|record| record == b"# branch.oid (initial)")
}

/// What to say when there is a commit all the same.
pub(crate) fn missed_commit(worktree: &Path) -> Error {
    Error::external(format!("git status in {} could not read the commit of its branch", worktree.display()))
        .hint("nothing was changed; try again, and see what git fsck says there")
}

/// A mode and id as git prints them; mode 0 means absent.
pub(crate) type Stage = (u32, ObjectId);

/// One line of `git status --porcelain=v2 -z --no-renames`; see git-status(1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A tracked path that differs.
    Changed { is_staged: bool, is_unstaged: bool, index: Stage, worktree_mode: u32, path: BString },
    /// A path in conflict, with its stages base, ours and theirs.
    Unmerged { stages: [Stage; 3], path: BString },
    /// Not tracked.
    Untracked(BString),
    /// Ignored.
    Ignored(BString),
}

pub(crate) fn parse(output: &[u8]) -> Result<Vec<Entry>> {
    let records = output.split(|byte| *byte == 0).filter(|record| !record.is_empty());
    records.filter_map(|record| parse_record(record).transpose()).collect()
}

fn parse_record(record: &[u8]) -> Result<Option<Entry>> {
    let deed = || format!("read what git status says: '{}'", record.escape_ascii());
    let path_after = |fields: usize| record.splitn(fields + 1, |byte| *byte == b' ').nth(fields).map(BString::from);
    let field = |at: usize| record.split(|byte| *byte == b' ').nth(at).unwrap_or_default();
    let mode =
        |at: usize| field(at).to_str().ok().and_then(|text| u32::from_str_radix(text, 8).ok()).or_fail(Kind::External, deed);
    let id = |at: usize| ObjectId::from_hex(field(at)).or_fail(Kind::External, deed);
    Ok(match record[0] {
        b'1' => {
            let xy = field(1);
            Some(Entry::Changed {
                is_staged: xy.first() != Some(&b'.'),
                is_unstaged: xy.get(1) != Some(&b'.'),
                index: (mode(4)?, id(7)?),
                worktree_mode: mode(5)?,
                path: path_after(8).or_fail(Kind::External, deed)?,
            })
        }
        b'u' => Some(Entry::Unmerged {
            stages: [(mode(3)?, id(7)?), (mode(4)?, id(8)?), (mode(5)?, id(9)?)],
            path: path_after(10).or_fail(Kind::External, deed)?,
        }),
        b'?' => path_after(1).map(Entry::Untracked),
        b'!' => path_after(1).map(Entry::Ignored),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_spaces_is_read_whole() {
        let zero = "0".repeat(40);
        let one = "1".repeat(40);
        let text = format!("1 AM N... 000000 100644 100755 {zero} {one} a b  c\0? new dir/\0! ignored\0# branch.head main\0");
        let entries = parse(text.as_bytes()).unwrap();
        assert_eq!(entries.len(), 3);
        assert!(
            matches!(&entries[0], Entry::Changed { is_staged: true, is_unstaged: true, index: (0o100_644, _), worktree_mode: 0o100_755, path } if path == "a b  c")
        );
        assert_eq!(entries[1], Entry::Untracked("new dir/".into()));
    }

    #[test]
    fn a_commit_that_git_did_not_see_is_told_from_one_that_it_saw() {
        let zero = "0".repeat(40);
        let staged = format!("1 A. N... 000000 100644 100644 {zero} {zero} file\0");
        let answer = |oid: &str| format!("# branch.oid {oid}\0# branch.head main\0{staged}").into_bytes();
        assert!(saw_no_commit(&answer("(initial)")));
        assert!(!saw_no_commit(&answer(&"1".repeat(40))));
        assert!(!saw_no_commit(staged.as_bytes()));
        assert_eq!(parse(&answer("(initial)")).unwrap().len(), 1);
    }

    #[test]
    fn a_garbled_answer_is_an_error_not_a_clean_status() {
        assert!(parse(b"1 AM N... x y z\0").is_err());
        assert!(parse(b"u UU N... 100644\0").is_err());
    }
}
