//! Rows of 32 branches stacked onto a project of 3,000 files: by the parts that the queue uses, and by git in three ways.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use gastown::git::commits;
use gastown::git::init::init_bare;
use gastown::git::merge::{Merged, Stacker, merge_bases};
use gastown::store::Store;
use gastown::store::batch::Batch;
use gastown::time::Moment;
use gix::ObjectId;

use crate::report::{Bar, Report, Row};
use crate::times::{millis, output, timed};
use crate::world::Place;

/// Files of the project.
pub const FILES: usize = 3_000;
/// Branches of a stack.
pub const BRANCHES: usize = 32;
/// Lines of the one file that all branches change, each at a place of its own.
const SHARED: &str = "CHANGES";

/// A stream for git-fast-import(1): `count` branches from `main`, each of which changes a line of the file that all
/// change, which is `shared` now, and writes two files. `round` tells one such set from another.
pub fn branches(round: usize, count: usize, shared: &str) -> String {
    let mut stream = String::new();
    for n in 0..count {
        let mut lines: Vec<String> = shared.lines().map(str::to_owned).collect();
        lines[n % BRANCHES * 8 + 4] = format!("what branch {n} of round {round} changed");
        let files = [
            (SHARED.to_owned(), lines.join("\n") + "\n"),
            (format!("src/d{:02}/f{:04}.txt", n % 100, n), format!("written by {n} in round {round}\n")),
            (format!("src/d{:02}/new-{round}-{n}.txt", (n * 7) % 100), format!("new from {n}\n")),
        ];
        stream.push_str(&format!("commit refs/heads/b{round}-{n}\ncommitter A <a@example.org> 1767225600 +0000\ndata 4\nwork\n"));
        stream.push_str("from refs/heads/main^0\n");
        for (path, text) in files {
            stream.push_str(&format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len()));
        }
    }
    stream
}

/// The text of the file that all branches change, as the project begins with it.
pub fn shared() -> (&'static str, String) {
    let lines: Vec<String> = (0..BRANCHES * 8).map(|line| format!("line {line}")).collect();
    (SHARED, lines.join("\n") + "\n")
}

/// Feeds a stream to `git fast-import` in `repo`.
pub fn import(place: &Place, repo: &Path, stream: &str) {
    let file = place.path("stream");
    std::fs::write(&file, stream).unwrap();
    let mut command = place.git(repo, &["fast-import", "--quiet", "--force"]);
    timed(command.stdin(Stdio::from(std::fs::File::open(&file).unwrap())));
}

/// The project with its branches; every way works in a copy of its own, so that each writes all that it makes.
struct Source<'p> {
    place: &'p Place,
    repo: PathBuf,
    heads: Vec<String>,
    tip: String,
}

impl<'p> Source<'p> {
    fn build(place: &'p Place) -> Self {
        let project = place.project("stacks-project", FILES);
        let (path, text) = shared();
        std::fs::write(project.join(path), &text).unwrap();
        timed(&mut place.git(&project, &["add", "-A"]));
        timed(&mut place.git(&project, &["commit", "-q", "-m", "shared"]));
        let repo = project.join(".git");
        import(place, &repo, &branches(0, BRANCHES, &text));
        timed(&mut place.git(&repo, &["repack", "-a", "-d", "-q"]));
        let names = (0..BRANCHES).map(|n| format!("b0-{n}"));
        let id = |name: &str| output(&mut place.git(&repo, &["rev-parse", name])).trim().to_owned();
        let (heads, tip) = (names.map(|name| id(&name)).collect(), id("main"));
        Self { place, repo, heads, tip }
    }

    /// A bare repository with all of it and nothing loose, synced as a rig's is.
    fn bare(&self, name: &str) -> PathBuf {
        let dir = self.place.path(name);
        init_bare(&dir, "main").unwrap();
        crate::syncs::share_packs(&self.repo, &dir);
        timed(&mut self.place.git(&dir, &["update-ref", "refs/heads/main", &self.tip]));
        dir
    }

    /// A worktree of such a repository, at the tip.
    fn worktree(&self, name: &str) -> PathBuf {
        let (dir, repo) = (self.place.path(&format!("{name}-tree")), self.bare(name));
        timed(&mut self.place.git(&repo, &["worktree", "add", "-q", "--detach", dir.to_str().unwrap(), "main"]));
        dir
    }

    fn said(&self, dir: &Path, args: &[&str]) -> String {
        output(&mut self.place.git(dir, args)).trim().to_owned()
    }

    /// As the queue does it: merged in memory, written and synced at once, a commit each. Tells the trees.
    fn ours(&self, dir: &Path) -> Vec<String> {
        let id = |text: &str| ObjectId::from_hex(text.as_bytes()).unwrap();
        let store = Store::open(dir).unwrap();
        let mut stacker = Stacker::new(&store).unwrap();
        let tip = id(&self.tip);
        let mut trees = vec![store.tree_of(tip).unwrap()];
        for head in &self.heads {
            let head = id(head);
            let bases = merge_bases(&store, tip, head).unwrap();
            assert_eq!(commits::ahead(&store, head, &[tip]).unwrap().len(), 1);
            let base = stacker.base_tree(&bases).unwrap();
            let merged = stacker.merge_trees(base, trees[trees.len() - 1], store.tree_of(head).unwrap()).unwrap();
            let Merged::Clean(tree) = merged else { panic!("{merged:?}") };
            trees.push(tree);
        }
        stacker.flush().unwrap();
        let (mut batch, mut parent, who) = (Batch::default(), tip, ("A", "a@example.org"));
        for tree in &trees[1..] {
            parent = commits::create(&mut batch, *tree, vec![parent], who, who, "work\n", Moment::from_millis(1_767_225_600_000));
        }
        store.write(&batch).unwrap();
        trees[1..].iter().map(ToString::to_string).collect()
    }

    fn by_merge_tree(&self, dir: &Path) -> Vec<String> {
        let mut tip = self.tip.clone();
        let mut trees = Vec::new();
        for head in &self.heads {
            let tree = self.said(dir, &["merge-tree", "--write-tree", &tip, head]);
            tip = self.said(dir, &["commit-tree", &tree, "-p", &tip, "-m", "work"]);
            trees.push(tree);
        }
        trees
    }

    fn by_squash(&self, dir: &Path) -> String {
        for head in &self.heads {
            timed(&mut self.place.git(dir, &["merge", "-q", "--squash", head]));
            timed(&mut self.place.git(dir, &["commit", "-q", "-m", "work"]));
        }
        self.said(dir, &["rev-parse", "HEAD^{tree}"])
    }

    fn by_rebase(&self, dir: &Path) -> String {
        let mut tip = self.tip.clone();
        for head in &self.heads {
            timed(&mut self.place.git(dir, &["rebase", "-q", &tip, head]));
            tip = self.said(dir, &["rev-parse", "HEAD"]);
        }
        self.said(dir, &["rev-parse", "HEAD^{tree}"])
    }
}

/// Milliseconds an MR, beside each of git's ways.
pub fn all(place: &Place, report: &mut Report) {
    let source = Source::build(place);
    let rounds = if place.quick { 5 } else { 15 };
    let mut times: [Vec<f64>; 4] = Default::default();
    let mut is_equal = true;
    for round in 0..rounds {
        let bare = ["ours", "tree"].map(|way| source.bare(&format!("stack-{way}-{round}.git")));
        let trees = ["squash", "rebase"].map(|way| source.worktree(&format!("stack-{way}-{round}.git")));
        let mut ours = Vec::new();
        // Whoever goes second finds warmer caches, so they take turns.
        for way in 0..4 {
            let way = (way + round) % 4;
            let (took, made) = match way {
                0 => millis(|| source.ours(&bare[0])),
                1 => millis(|| source.by_merge_tree(&bare[1])),
                2 => millis(|| vec![source.by_squash(&trees[0])]),
                _ => millis(|| vec![source.by_rebase(&trees[1])]),
            };
            times[way].push(took / f64::from(u32::try_from(BRANCHES).unwrap()));
            if ours.is_empty() {
                ours = made;
            } else {
                // Of the ways in a worktree only the last tree is told.
                is_equal &= made.iter().rev().zip(ours.iter().rev()).all(|(one, other)| one == other);
            }
        }
    }
    report.fact(format!("stacks of {BRANCHES}: the same trees as git's, in each way"), is_equal);
    let [ours, by_merge_tree, by_squash, by_rebase] = times;
    let what = |beside: &str| format!("an MR of a stack of {BRANCHES}, {FILES} files, beside {beside}");
    let mut row = |beside: &str, is: &str, times: &Vec<f64>, bar: Bar| {
        report.row(Row::of(&what(beside), 0, &(ours.clone(), times.clone()), is, bar));
    };
    row("merge-tree", "git merge-tree --write-tree + git commit-tree", &by_merge_tree, Bar::Times(1.0));
    row("a squash", "git merge --squash + git commit in a worktree", &by_squash, Bar::None);
    row("a rebase", "git rebase in a worktree", &by_rebase, Bar::Times(0.066));
    report.row(Row { beside: None, ..Row::of(&what("nothing"), 0, &(ours.clone(), ours.clone()), "–", Bar::Most(6.0)) });
}
