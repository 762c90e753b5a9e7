//! The ways.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::town::Town;

/// A sandbox in which work is left.
pub struct Work<'t> {
    town: &'t Town,
    pub dir: PathBuf,
    n: usize,
    pub expected: RefCell<Vec<Vec<u8>>>,
}

impl<'t> Work<'t> {
    pub fn new(town: &'t Town, dir: PathBuf, n: usize) -> Self {
        Self { town, dir, n, expected: RefCell::default() }
    }

    /// A text that is nowhere else, and has to be found again.
    fn text(&self) -> String {
        let mut expected = self.expected.borrow_mut();
        let text = format!("<way {} text {}>", self.n, expected.len());
        expected.push(text.clone().into_bytes());
        text
    }

    /// Writes such a text to a file.
    fn put(&self, path: impl AsRef<OsStr>) {
        let path = self.dir.join(path.as_ref());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, self.text() + "\n").unwrap();
    }

    /// Puts other bytes at the place of a file, not to be found again.
    fn plain(&self, path: &str, text: &str) {
        let path = self.dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn git(&self, args: &[&str]) -> String {
        self.town.git(&self.dir, args)
    }

    /// git that may end as it likes.
    fn try_git(&self, args: &[&str]) {
        self.town.command("git", &self.dir).args(args).output().unwrap();
    }

    fn private(&self, name: &str) -> PathBuf {
        self.dir.join(self.git(&["rev-parse", "--git-path", name]).trim())
    }

    /// Commits all there is.
    fn commit(&self) {
        self.git(&["add", "-A"]);
        let message = self.text();
        self.git(&["commit", "-q", "--no-verify", "-m", &message]);
    }

    /// Two branches that change one line, this one checked out.
    fn apart(&self) -> String {
        let other = format!("other{}", self.n);
        self.git(&["branch", "-q", &other]);
        self.put("src/numbers.txt");
        self.commit();
        self.git(&["switch", "-q", &other]);
        self.put("src/numbers.txt");
        self.commit();
        self.git(&["switch", "-q", "-"]);
        other
    }

    /// The objects of a repository inside, as they lie on the disk.
    fn expect_objects(&self, inside: &str) {
        for entry in walkdir::WalkDir::new(self.dir.join(inside).join(".git/objects")).into_iter().filter_map(Result::ok) {
            if entry.file_type().is_file() {
                self.expected.borrow_mut().push(std::fs::read(entry.path()).unwrap());
            }
        }
    }

    fn nested(&self, at: &str) {
        let inside = self.dir.join(at);
        std::fs::create_dir_all(&inside).unwrap();
        self.town.git(&inside, &["init", "-q"]);
        self.put(format!("{at}/a.txt"));
        self.town.git(&inside, &["add", "-A"]);
        self.town.git(&inside, &["commit", "-q", "-m", "Inside"]);
        self.expect_objects(at);
    }

    fn large(&self, path: &str, bytes: u64) {
        self.put(path);
        std::fs::File::options().write(true).open(self.dir.join(path)).unwrap().set_len(bytes).unwrap();
    }

    fn ignore(&self, patterns: &str) {
        self.plain(".gitignore", patterns);
        self.git(&["add", ".gitignore"]);
        self.git(&["commit", "-q", "-m", "Ignore"]);
    }
}

type Way = (&'static str, fn(&Work<'_>));

pub const WAYS: &[Way] = &[
    ("an untracked file", |w| w.put("new.txt")),
    ("an untracked file deep in new directories", |w| w.put("a/b/c/d/new.txt")),
    ("a staged new file", |w| {
        w.put("new.txt");
        w.git(&["add", "new.txt"]);
    }),
    ("a staged file that was changed again", |w| {
        w.put("new.txt");
        w.git(&["add", "new.txt"]);
        w.put("new.txt");
    }),
    ("a staged file that was removed again", |w| {
        w.put("new.txt");
        w.git(&["add", "new.txt"]);
        std::fs::remove_file(w.dir.join("new.txt")).unwrap();
    }),
    ("a changed tracked file", |w| w.put("README.md")),
    ("a staged change", |w| {
        w.put("README.md");
        w.git(&["add", "README.md"]);
    }),
    ("a file that is tracked no more and changed", |w| {
        w.git(&["rm", "-q", "--cached", "README.md"]);
        w.put("README.md");
    }),
    ("a small ignored file", |w| {
        w.ignore("*.log\n");
        w.put("notes.log");
    }),
    ("an ignored directory", |w| {
        w.ignore("private/\n");
        w.put("private/a/key");
        w.put("private/b");
    }),
    ("a file that only this machine ignores", |w| {
        let exclude = w.private("info/exclude");
        let old = std::fs::read_to_string(&exclude).unwrap_or_default();
        std::fs::create_dir_all(exclude.parent().unwrap()).unwrap();
        std::fs::write(&exclude, old + "*.machine\n").unwrap();
        w.put("notes.machine");
    }),
    ("a file in an ignored directory that is not ignored itself", |w| {
        w.ignore("kept/*\n!kept/this.txt\n");
        w.put("kept/this.txt");
        w.put("kept/that.txt");
    }),
    ("a renamed and changed file", |w| {
        w.git(&["mv", "src/numbers.txt", "src/renamed.txt"]);
        w.put("src/renamed.txt");
    }),
    ("a file renamed without a word to git", |w| {
        std::fs::rename(w.dir.join("src/numbers.txt"), w.dir.join("elsewhere.txt")).unwrap();
        w.put("elsewhere.txt");
    }),
    ("another mode, with a change", |w| {
        w.put("README.md");
        std::fs::set_permissions(w.dir.join("README.md"), PermissionsExt::from_mode(0o755)).unwrap();
    }),
    ("a new link", |w| std::os::unix::fs::symlink(w.text(), w.dir.join("link")).unwrap()),
    ("a tracked link that leads elsewhere", |w| {
        std::fs::remove_file(w.dir.join("READ")).unwrap();
        std::os::unix::fs::symlink(w.text(), w.dir.join("READ")).unwrap();
    }),
    ("a directory in the place of a file", |w| {
        std::fs::remove_file(w.dir.join("README.md")).unwrap();
        w.put("README.md/inside.txt");
    }),
    ("a file in the place of a directory", |w| {
        std::fs::remove_dir_all(w.dir.join("src")).unwrap();
        w.put("src");
    }),
    ("commits on the branch", |w| {
        w.put("new.txt");
        w.commit();
    }),
    ("a commit that was amended", |w| {
        w.put("new.txt");
        w.commit();
        w.put("new.txt");
        w.git(&["add", "-A"]);
        w.git(&["commit", "-q", "--amend", "-m", "Amended"]);
    }),
    ("commits that a reset left to the reflog", |w| {
        w.put("new.txt");
        w.commit();
        w.git(&["reset", "-q", "--hard", "HEAD~1"]);
    }),
    ("commits without a branch", |w| {
        w.git(&["switch", "-q", "--detach"]);
        w.put("new.txt");
        w.commit();
    }),
    ("commits without a branch that were left", |w| {
        w.git(&["switch", "-q", "--detach"]);
        w.put("new.txt");
        w.commit();
        w.git(&["switch", "-q", "-"]);
    }),
    ("a branch that was deleted", |w| {
        w.git(&["switch", "-q", "-c", "short"]);
        w.put("new.txt");
        w.commit();
        w.git(&["switch", "-q", "-"]);
        w.git(&["branch", "-q", "-D", "short"]);
    }),
    ("its own branch deleted under it", |w| {
        w.put("new.txt");
        w.commit();
        let branch = w.git(&["symbolic-ref", "HEAD"]);
        w.put("other.txt");
        w.git(&["update-ref", "-d", branch.trim()]);
    }),
    ("a rebase that stands in a conflict", |w| {
        let other = w.apart();
        w.try_git(&["rebase", &other]);
        w.put("src/numbers.txt");
    }),
    ("a rebase that stopped at a command", |w| {
        w.put("new.txt");
        w.commit();
        w.try_git(&["rebase", "--exec", "false", "HEAD~1"]);
        w.put("more.txt");
    }),
    ("a rebase with what it stashed", |w| {
        let other = w.apart();
        w.put("README.md");
        w.try_git(&["rebase", "--autostash", &other]);
    }),
    ("a merge that stands in a conflict", |w| {
        let other = w.apart();
        w.try_git(&["merge", &other]);
    }),
    ("a merge that is not committed", |w| {
        let other = w.apart();
        w.try_git(&["merge", "--no-commit", "-s", "ours", &other]);
        w.put("new.txt");
    }),
    ("a conflict that is half resolved", |w| {
        let other = w.apart();
        w.try_git(&["merge", &other]);
        w.put("src/numbers.txt");
        w.git(&["add", "src/numbers.txt"]);
        w.put("src/numbers.txt");
    }),
    ("a cherry-pick that stands in a conflict", |w| {
        let other = w.apart();
        w.try_git(&["cherry-pick", &other]);
        w.put("new.txt");
    }),
    ("a revert that stands in a conflict", |w| {
        w.put("src/numbers.txt");
        w.commit();
        w.put("src/numbers.txt");
        w.commit();
        w.try_git(&["revert", "--no-edit", "HEAD~1"]);
        w.put("new.txt");
    }),
    ("a bisect", |w| {
        w.put("new.txt");
        w.commit();
        w.put("new.txt");
        w.commit();
        w.git(&["bisect", "start", "HEAD", "HEAD~2"]);
        w.put("found.txt");
    }),
    ("patches that do not apply", |w| {
        w.put("src/numbers.txt");
        w.commit();
        let patch = w.git(&["format-patch", "--stdout", "HEAD~1"]);
        w.git(&["reset", "-q", "--hard", "HEAD~1"]);
        w.put("src/numbers.txt");
        w.commit();
        let file = w.town.base().join("patch");
        std::fs::write(&file, patch).unwrap();
        w.try_git(&["am", file.to_str().unwrap()]);
    }),
    ("a stash", |w| {
        w.put("README.md");
        w.git(&["stash", "-q"]);
    }),
    ("a file that is only announced", |w| {
        w.put("new.txt");
        w.git(&["add", "--intent-to-add", "new.txt"]);
    }),
    ("a repository inside", |w| w.nested("inside")),
    ("a repository inside with changes", |w| {
        w.nested("deep/inside");
        // What is committed in there is found as an object.
        w.expected.borrow_mut().remove(0);
        w.put("deep/inside/a.txt");
        w.put("deep/inside/new.txt");
    }),
    ("a repository inside, staged like a submodule", |w| {
        w.nested("inside");
        w.try_git(&["add", "inside"]);
    }),
    ("a repository inside an ignored directory", |w| {
        w.ignore("private/\n");
        w.nested("private/inside");
    }),
    ("names that are no UTF-8", |w| {
        w.put(OsStr::from_bytes(b"caf\xe9.txt"));
        w.put(OsStr::from_bytes(b"\xff\xfe/x"));
    }),
    ("names with quotes, blanks, tabs and lines", |w| {
        for name in ["a b", "a\tb", "a\nb", "\"q\"", "-rf", "$(id)", "a\\b", " ", "*", "?x", ":(top)x"] {
            w.put(name);
        }
    }),
    ("names that git itself uses", |w| {
        for name in [".gitx", "GIT~1x/y", "dot.git/config", ".gitmodules", "src/.gitattributes"] {
            w.put(name);
        }
    }),
    ("names that differ in case", |w| {
        w.put("readme.MD");
        w.put("Src/numbers.txt");
    }),
    ("empty directories beside a file, and a pipe", |w| {
        std::fs::create_dir_all(w.dir.join("empty/deep")).unwrap();
        w.put("beside.txt");
        let pipe = w.dir.join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }),
    ("a file that is too large", |w| w.large("huge.dat", (512 << 20) + 1)),
    ("a tracked file that became too large", |w| w.large("README.md", (512 << 20) + 1)),
    ("an ignored file that is too large", |w| {
        w.ignore("*.bin\n");
        w.large("set/huge.bin", 11 << 20);
    }),
    ("a change that git is told not to see", |w| {
        w.git(&["update-index", "--assume-unchanged", "README.md"]);
        w.put("README.md");
    }),
    ("a change of a file that git is told to skip", |w| {
        w.git(&["update-index", "--skip-worktree", "README.md"]);
        w.put("README.md");
    }),
    ("a file outside of what a sparse checkout shows", |w| {
        w.git(&["sparse-checkout", "set", "--cone", "docs"]);
        w.put("src/numbers.txt");
        w.put("src/new.txt");
    }),
    ("a locked index", |w| {
        std::fs::write(w.private("index.lock"), "").unwrap();
        w.put("README.md");
        w.put("new.txt");
    }),
    ("a locked HEAD", |w| {
        std::fs::write(w.private("HEAD.lock"), "").unwrap();
        w.put("new.txt");
    }),
    ("an index that is damaged", |w| {
        w.put("new.txt");
        w.git(&["add", "new.txt"]);
        w.put("README.md");
        std::fs::write(w.private("index"), "no index").unwrap();
    }),
    ("an index that is gone", |w| {
        w.put("README.md");
        std::fs::remove_file(w.private("index")).unwrap();
    }),
    ("a link to the repository that is gone", |w| {
        w.put("README.md");
        w.put("new.txt");
        std::fs::remove_file(w.dir.join(".git")).unwrap();
    }),
    ("a branch without a commit", |w| {
        w.git(&["switch", "-q", "--orphan", "bare-beginning"]);
        w.put("new.txt");
        w.git(&["add", "new.txt"]);
        w.put("other.txt");
    }),
    ("a ref of the worktree's own", |w| {
        w.put("new.txt");
        w.commit();
        w.git(&["update-ref", "refs/worktree/mine", "HEAD"]);
        w.git(&["reset", "-q", "--hard", "HEAD~1"]);
    }),
    ("a directory that cannot be written to", |w| {
        w.put("closed/new.txt");
        std::fs::set_permissions(w.dir.join("closed"), PermissionsExt::from_mode(0o555)).unwrap();
    }),
    ("a file that cannot be read", |w| {
        w.put("closed.txt");
        std::fs::set_permissions(w.dir.join("closed.txt"), PermissionsExt::from_mode(0o000)).unwrap();
    }),
    ("files that a filter would change", |w| {
        w.plain(".gitattributes", "*.txt text eol=crlf\n*.id ident\n");
        w.put("lines.txt");
        w.put("one.id");
    }),
];
