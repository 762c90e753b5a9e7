//! Every way to leave work unsaved, and each byte found again.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gastown::error::Kind;
use gastown::git::salvage::{Next, Order, Salvaged, salvage};
use gastown::git::worktree::{self, Head};
use gastown::time::Moment;
use gix::ObjectId;

use super::world::{Files, ParseId as _, World, base, file, mutate, os};

const AUTHOR: (&str, &str) = ("gt", "gt@localhost");

/// A world with a worktree on branch `work` at a commit that `main` keeps.
struct Sandbox {
    world: World,
    dest: PathBuf,
    start: ObjectId,
}

impl Sandbox {
    fn new() -> Self {
        let world = World::new();
        let start = world.commit("main", &base(&mut fastrand::Rng::with_seed(5)), None);
        let dest = world.path("rig/polecats/toast");
        worktree::add(&world.store, &dest, Head::Branch { name: "work", at: start }).unwrap();
        Self { world, dest, start }
    }

    fn git(&self, args: &[&str]) -> String {
        self.world.git(&self.dest, args)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dest.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn private(&self) -> PathBuf {
        self.world.git_dir.join("worktrees/toast")
    }

    fn try_salvage(&self) -> gastown::error::Result<Option<Salvaged>> {
        self.salvage_before(Next::Nothing)
    }

    fn salvage_before(&self, next: Next) -> gastown::error::Result<Option<Salvaged>> {
        let names = |n: u32| format!("refs/gt/salvage/toast/{n}");
        let now = Moment::from_millis(1_800_000_000_000);
        let order = Order { known: &[], author: AUTHOR, now, next, aside: &self.world.path("aside") };
        salvage(&self.world.store, &self.dest, &names, &order)
    }

    /// Salvages, and checks that the agent's own index and HEAD are as before and the store is sound.
    fn salvage(&self) -> Salvaged {
        let index = self.private().join("index");
        let before = (std::fs::read(&index).ok(), std::fs::metadata(&index).and_then(|meta| meta.modified()).ok());
        let saved = self.try_salvage().unwrap().expect("something is saved");
        let after = (std::fs::read(&index).ok(), std::fs::metadata(&index).and_then(|meta| meta.modified()).ok());
        assert!(before == after, "the index was touched");
        assert_eq!(self.world.store.read_ref(&saved.ref_name).unwrap(), Some(saved.commit));
        assert!(!saved.what.is_empty());
        if before.0.is_none_or(|index| index.len() > 20) {
            self.world.fsck();
        }
        saved
    }

    fn blob(&self, commit: ObjectId, path: impl AsRef<[u8]>) -> Option<(u16, Vec<u8>)> {
        let tree = self.world.store.repo.find_commit(commit).unwrap().tree().unwrap();
        let entry = tree.lookup_entry(path.as_ref().split(|byte| *byte == b'/')).unwrap()?;
        let bytes = if entry.mode().is_commit() { Vec::new() } else { entry.object().unwrap().data.clone() };
        Some((entry.mode().value(), bytes))
    }

    fn text(&self, commit: ObjectId, path: &str) -> String {
        let (_, bytes) = self.blob(commit, path).unwrap_or_else(|| panic!("{path} is not saved"));
        String::from_utf8(bytes).unwrap()
    }

    fn reaches(&self, saved: &Salvaged, commit: ObjectId) -> bool {
        self.world.store.is_ancestor(commit, saved.commit).unwrap()
    }

    fn head(&self) -> ObjectId {
        self.git(&["rev-parse", "HEAD"]).parse_id()
    }
}

#[test]
fn a_clean_worktree_has_nothing_to_save() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.try_salvage().unwrap(), None);
    sandbox.write("target/debug/big", "made by a tool");
    std::fs::rename(sandbox.dest.join("target"), sandbox.dest.join("build")).unwrap();
    assert_eq!(sandbox.try_salvage().unwrap(), None);
    let left: Vec<_> = std::fs::read_dir(sandbox.world.store.private_dir()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("tmp")), "{left:?}");
}

#[test]
fn way_01_a_staged_file_that_was_changed_again() {
    let sandbox = Sandbox::new();
    sandbox.write("new.txt", "staged");
    sandbox.git(&["add", "new.txt"]);
    sandbox.write("new.txt", "later");
    let saved = sandbox.salvage();
    assert_eq!(sandbox.text(saved.commit, "new.txt"), "later");
    let index: ObjectId = sandbox.world.bare(&["rev-parse", &format!("{}^2", saved.commit)]).parse_id();
    assert_eq!(sandbox.text(index, "new.txt"), "staged");
    assert_eq!(saved.what, ["1 staged: new.txt", "1 unstaged: new.txt"]);
}

#[test]
fn way_02_changed_tracked_files_byte_for_byte() {
    let sandbox = Sandbox::new();
    sandbox.write("doc/win.crlf", "mixed\r\nline\nends\r\n");
    sandbox.write("doc/note.id", "$Id: mine $\n");
    std::fs::set_permissions(sandbox.dest.join("empty"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::remove_file(sandbox.dest.join("b.bin")).unwrap();
    let saved = sandbox.salvage();
    assert_eq!(sandbox.text(saved.commit, "doc/win.crlf"), "mixed\r\nline\nends\r\n");
    assert_eq!(sandbox.text(saved.commit, "doc/note.id"), "$Id: mine $\n");
    assert_eq!(sandbox.blob(saved.commit, "empty"), Some((0o100_755, Vec::new())));
    assert_eq!(sandbox.blob(saved.commit, "b.bin"), None);
}

#[test]
fn way_03_untracked_files_of_any_name() {
    let sandbox = Sandbox::new();
    sandbox.write("deep/er/file", "untracked");
    let odd = os(b"deep/\xff\n\x01 odd");
    std::fs::write(sandbox.dest.join(odd), "odd").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", sandbox.dest.join("out")).unwrap();
    std::os::unix::fs::symlink(sandbox.world.home.path(), sandbox.dest.join("outdir")).unwrap();
    sandbox.write("git~1", "short name");
    let saved = sandbox.salvage();
    assert_eq!(sandbox.text(saved.commit, "deep/er/file"), "untracked");
    assert_eq!(sandbox.blob(saved.commit, b"deep/\xff\n\x01 odd").unwrap().1, b"odd");
    assert_eq!(sandbox.blob(saved.commit, "out"), Some((0o120_000, b"/etc/passwd".to_vec())));
    assert_eq!(sandbox.blob(saved.commit, "outdir").unwrap().0, 0o120_000);
    assert_eq!(sandbox.text(saved.commit, "gt-salvagedgit~1"), "short name");
}

#[test]
fn way_04_small_ignored_files_outside_of_build_directories() {
    let sandbox = Sandbox::new();
    sandbox.write("notes.log", "ignored notes");
    sandbox.write("build/out", "made by a tool");
    sandbox.write(".gitignore", "*.log\n/build/\n/kept/\nfifo\n");
    sandbox.git(&["commit", "-qam", "ignore"]);
    sandbox.world.bare(&["update-ref", "refs/heads/kept", &sandbox.head().to_string()]);
    sandbox.write("kept/deep/secret.env", "secret");
    sandbox.write("kept/node_modules/x", "made by a tool");
    let big = std::fs::File::create(sandbox.dest.join("big.log")).unwrap();
    big.set_len(11 << 20).unwrap();
    sandbox.world.git(&sandbox.dest, &["--version"]);
    let saved = sandbox.salvage();
    assert_eq!(sandbox.text(saved.commit, "notes.log"), "ignored notes");
    assert_eq!(sandbox.text(saved.commit, "kept/deep/secret.env"), "secret");
    for path in ["build", "kept/node_modules", "big.log"] {
        assert_eq!(sandbox.blob(saved.commit, path), None, "{path}");
    }
    assert_eq!(saved.what, ["2 ignored: kept/deep/secret.env, notes.log", "1 left out: big.log (ignored, 11 MiB)"]);
}

#[test]
fn way_05_commits_on_the_branch() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "a");
    sandbox.git(&["add", "a"]);
    sandbox.git(&["commit", "-qm", "work"]);
    let commit = sandbox.head();
    let saved = sandbox.salvage();
    assert!(sandbox.reaches(&saved, commit));
    assert_eq!(saved.what, ["1 commit kept nowhere else"]);
    // Now the salvage keeps it.
    assert_eq!(sandbox.try_salvage().unwrap(), None);
}

#[test]
fn way_06_commits_reset_away_amended_or_left_detached() {
    let sandbox = Sandbox::new();
    let mut lost = Vec::new();
    for name in ["one", "two", "three"] {
        sandbox.write(name, name);
        sandbox.git(&["add", name]);
        sandbox.git(&["commit", "-qm", name]);
        lost.push(sandbox.head());
    }
    sandbox.git(&["commit", "-q", "--amend", "-m", "amended"]);
    lost.push(sandbox.head());
    sandbox.git(&["reset", "-q", "--hard", &sandbox.start.to_string()]);
    sandbox.git(&["checkout", "-q", "--detach"]);
    sandbox.git(&["commit", "-q", "--allow-empty", "-m", "detached"]);
    lost.push(sandbox.head());
    sandbox.git(&["checkout", "-q", "work"]);
    let saved = sandbox.salvage();
    for commit in lost {
        assert!(sandbox.reaches(&saved, commit), "{commit}");
    }
    assert_eq!(saved.what, ["5 commits kept nowhere else"]);
}

fn conflicting(sandbox: &Sandbox) -> ObjectId {
    let mut files = base(&mut fastrand::Rng::with_seed(5));
    files.insert(b"empty".to_vec(), file("theirs"));
    let theirs = sandbox.world.commit("theirs", &files, Some(sandbox.start));
    sandbox.write("empty", "ours");
    sandbox.git(&["commit", "-qam", "ours"]);
    theirs
}

#[test]
fn way_07_a_merge_under_way() {
    let sandbox = Sandbox::new();
    conflicting(&sandbox);
    let (is_clean, ..) = sandbox.world.try_git(&sandbox.dest, &["merge", "theirs"], b"");
    assert!(!is_clean);
    let saved = sandbox.salvage();
    assert!(sandbox.text(saved.commit, "empty").contains("<<<<<<<"));
    assert_eq!(sandbox.text(saved.commit, ".gt-salvage/stages/base/empty"), "");
    assert_eq!(sandbox.text(saved.commit, ".gt-salvage/stages/ours/empty"), "ours");
    assert_eq!(sandbox.text(saved.commit, ".gt-salvage/stages/theirs/empty"), "theirs");
    assert!(sandbox.text(saved.commit, ".gt-salvage/state/MERGE_MSG").contains("theirs"));
    assert_eq!(saved.what, ["1 commit kept nowhere else", "a merge under way", "1 in conflict: empty"]);
}

#[test]
fn way_08_a_rebase_under_way_with_what_it_stashed() {
    let sandbox = Sandbox::new();
    conflicting(&sandbox);
    let ours = sandbox.head();
    sandbox.write("run.sh", "stashed by the rebase");
    let (is_clean, ..) = sandbox.world.try_git(&sandbox.dest, &["rebase", "--autostash", "theirs"], b"");
    assert!(!is_clean);
    let stash = std::fs::read_to_string(sandbox.private().join("rebase-merge/autostash")).unwrap().parse_id();
    let saved = sandbox.salvage();
    assert!(sandbox.reaches(&saved, ours) && sandbox.reaches(&saved, stash));
    assert_eq!(sandbox.text(stash, "run.sh"), "stashed by the rebase");
    assert!(sandbox.text(saved.commit, ".gt-salvage/state/rebase-merge/head-name").contains("work"));
    assert!(saved.what.contains(&"a rebase under way".to_owned()), "{:?}", saved.what);
}

#[test]
fn way_09_changes_that_the_index_hides() {
    let sandbox = Sandbox::new();
    sandbox.git(&["update-index", "--assume-unchanged", "run.sh"]);
    sandbox.git(&["update-index", "--skip-worktree", "empty"]);
    sandbox.write("run.sh", "hidden one");
    sandbox.write("empty", "hidden two");
    sandbox.write("promised", "promised");
    sandbox.git(&["add", "-N", "promised"]);
    sandbox.git(&["config", "--worktree", "status.showUntrackedFiles", "no"]);
    sandbox.write("not shown", "not shown");
    let saved = sandbox.salvage();
    for (path, text) in [("run.sh", "hidden one"), ("empty", "hidden two"), ("promised", "promised"), ("not shown", "not shown")]
    {
        assert_eq!(sandbox.text(saved.commit, path), text);
    }
}

#[test]
fn way_10_a_repository_inside_with_commits_of_its_own() {
    let sandbox = Sandbox::new();
    let inner = sandbox.dest.join("lib/inner");
    std::fs::create_dir_all(&inner).unwrap();
    sandbox.world.git(&inner, &["init", "-q", "-b", "main"]);
    sandbox.write("lib/inner/code", "code");
    sandbox.world.git(&inner, &["add", "."]);
    sandbox.world.git(&inner, &["commit", "-qm", "inside"]);
    sandbox.write("lib/inner/more", "more");
    let saved = sandbox.salvage();
    assert_eq!(sandbox.text(saved.commit, "lib/inner/code"), "code");
    assert_eq!(sandbox.text(saved.commit, "lib/inner/more"), "more");
    let commit = sandbox.text(saved.commit, "lib/inner/gt-salvaged.git/refs/heads/main").parse_id().to_string();
    let object = format!("lib/inner/gt-salvaged.git/objects/{}/{}", &commit[..2], &commit[2..]);
    assert!(sandbox.blob(saved.commit, object).is_some());
}

#[test]
fn way_11_files_and_directories_that_changed_places() {
    let sandbox = Sandbox::new();
    std::fs::remove_file(sandbox.dest.join("run.sh")).unwrap();
    sandbox.write("run.sh/inside", "was a file");
    std::fs::remove_dir_all(sandbox.dest.join("src")).unwrap();
    sandbox.write("src", "was a directory");
    std::fs::remove_dir_all(sandbox.dest.join("doc")).unwrap();
    std::os::unix::fs::symlink("/etc", sandbox.dest.join("doc")).unwrap();
    let saved = sandbox.salvage();
    assert_eq!(sandbox.text(saved.commit, "run.sh/inside"), "was a file");
    assert_eq!(sandbox.text(saved.commit, "src"), "was a directory");
    assert_eq!(sandbox.blob(saved.commit, "doc"), Some((0o120_000, b"/etc".to_vec())));
}

#[test]
fn way_12_a_damaged_or_missing_index() {
    let sandbox = Sandbox::new();
    sandbox.write("run.sh", "changed");
    sandbox.write("untracked", "untracked");
    std::fs::write(sandbox.private().join("index"), b"DIRC torn").unwrap();
    let saved = sandbox.salvage();
    assert_eq!(sandbox.text(saved.commit, "run.sh"), "changed");
    assert_eq!(sandbox.text(saved.commit, "untracked"), "untracked");
    assert_eq!(sandbox.text(saved.commit, ".gt-salvage/index"), "DIRC torn");
    std::fs::remove_file(sandbox.private().join("index")).unwrap();
    sandbox.write("run.sh", "changed again");
    let saved = sandbox.salvage();
    assert_eq!(sandbox.text(saved.commit, "run.sh"), "changed again");
    assert_eq!(saved.ref_name, "refs/gt/salvage/toast/1");
    worktree::switch(&sandbox.world.store, &sandbox.dest, Head::Detached(sandbox.start)).unwrap();
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
}

#[test]
fn way_13_a_link_to_the_repository_that_is_gone_or_became_a_repository() {
    let sandbox = Sandbox::new();
    sandbox.world.git(sandbox.world.home.path(), &["init", "-q"]);
    std::fs::remove_file(sandbox.dest.join(".git")).unwrap();
    sandbox.write("run.sh", "changed");
    let saved = sandbox.salvage();
    assert_eq!(saved.what, ["1 unstaged: run.sh"]);
    assert_eq!(sandbox.text(saved.commit, "run.sh"), "changed");
    sandbox.git(&["init", "-q", "-b", "fresh"]);
    sandbox.git(&["commit", "-q", "--allow-empty", "-m", "own history"]);
    let saved = sandbox.salvage();
    assert!(sandbox.blob(saved.commit, "gt-salvaged.git/refs/heads/fresh").is_some());
}

#[test]
fn way_14_a_branch_without_a_commit() {
    let sandbox = Sandbox::new();
    sandbox.git(&["checkout", "-q", "--orphan", "fresh"]);
    sandbox.git(&["rm", "-rqf", "."]);
    sandbox.write("first", "first");
    sandbox.git(&["add", "first"]);
    sandbox.write("second", "second");
    let saved = sandbox.salvage();
    assert_eq!(sandbox.text(saved.commit, "first"), "first");
    assert_eq!(sandbox.text(saved.commit, "second"), "second");
    assert_eq!(sandbox.blob(saved.commit, "run.sh"), None);
}

#[test]
fn way_15_a_submodule_with_work_in_it() {
    let sandbox = Sandbox::new();
    let upstream = sandbox.world.path("upstream");
    std::fs::create_dir(&upstream).unwrap();
    sandbox.world.git(&upstream, &["init", "-q", "-b", "main"]);
    sandbox.world.git(&upstream, &["commit", "-q", "--allow-empty", "-m", "up"]);
    sandbox.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", upstream.to_str().unwrap(), "sub"]);
    sandbox.git(&["commit", "-qm", "sub"]);
    sandbox.world.bare(&["update-ref", "refs/heads/kept", &sandbox.head().to_string()]);
    assert_eq!(sandbox.try_salvage().unwrap(), None);
    sandbox.write("sub/inside", "inside");
    let saved = sandbox.salvage();
    assert_eq!(sandbox.text(saved.commit, ".gt-salvage/submodules/sub/inside"), "inside");
    sandbox.world.git(&sandbox.dest.join("sub"), &["add", "."]);
    sandbox.world.git(&sandbox.dest.join("sub"), &["commit", "-qm", "inside"]);
    let tip = sandbox.world.git(&sandbox.dest.join("sub"), &["rev-parse", "HEAD"]);
    let saved = sandbox.salvage();
    assert_eq!(sandbox.blob(saved.commit, "sub").unwrap().0, 0o160_000);
    let object = format!(".gt-salvage/submodules/sub.git-dir/objects/{}/{}", &tip[..2], &tip[2..]);
    assert!(sandbox.blob(saved.commit, object).is_some());
}

#[test]
fn what_is_too_large_to_save_is_moved_aside_before_it_would_go_and_not_sooner() {
    let sandbox = Sandbox::new();
    sandbox.write(".gitignore", "*.bin\n");
    sandbox.git(&["add", ".gitignore"]);
    sandbox.git(&["commit", "-q", "-m", "Ignore"]);
    for (name, bytes) in [("dir/huge.dat", (512 << 20) + 1), ("set.bin", 11 << 20)] {
        sandbox.write(name, "");
        std::fs::File::options().write(true).open(sandbox.dest.join(name)).unwrap().set_len(bytes).unwrap();
    }
    let is_there = |name: &str| sandbox.dest.join(name).exists();
    let saved = sandbox.salvage_before(Next::Nothing).unwrap().expect("something is told");
    assert!(saved.what.join("\n").contains("dir/huge.dat (512 MiB)") && is_there("dir/huge.dat"), "{:?}", saved.what);
    let saved = sandbox.salvage_before(Next::Reset).unwrap().expect("something is told");
    assert!(!is_there("dir/huge.dat") && !is_there("set.bin"), "{:?}", saved.what);
    let place = |saved: &Salvaged| {
        let line = saved.what.iter().find_map(|line| line.strip_prefix("set aside in "));
        std::path::PathBuf::from(line.expect("the place is named"))
    };
    assert_eq!(std::fs::metadata(place(&saved).join("dir/huge.dat")).unwrap().len(), (512 << 20) + 1);
    assert!(place(&saved).join("set.bin").exists());
    sandbox.write("set.bin", "");
    std::fs::File::options().write(true).open(sandbox.dest.join("set.bin")).unwrap().set_len(11 << 20).unwrap();
    let saved = sandbox.salvage_before(Next::Removal).unwrap().expect("something is told");
    assert!(!is_there("set.bin") && place(&saved).join("set.bin").exists(), "{:?}", saved.what);
    std::fs::remove_dir_all(&sandbox.dest).unwrap();
    assert_eq!(sandbox.try_salvage().unwrap_err().kind, Kind::NotFound);
}

#[test]
fn whatever_is_done_to_the_files_each_byte_is_found_again() {
    for seed in 0..12 {
        let sandbox = Sandbox::new();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut files = base(&mut fastrand::Rng::with_seed(5));
        let before = files.clone();
        mutate(&mut random, &mut files, 6);
        lay_out(&sandbox.dest, &before, &files);
        sandbox.git(&["add", "--all"]);
        let staged = files.clone();
        mutate(&mut random, &mut files, 6);
        lay_out(&sandbox.dest, &staged, &files);
        let saved = sandbox.salvage();
        for (path, (mode, bytes)) in &files {
            let (saved_mode, saved_bytes) = sandbox.blob(saved.commit, path).unwrap_or_else(|| panic!("{path:?} is not saved"));
            assert_eq!(u32::from(saved_mode), *mode, "seed {seed}: {path:?}");
            // Files that git calls unchanged may be saved as the commit has them.
            let is_same = saved_bytes == *bytes || before.get(path) == staged.get(path) && staged.get(path) == files.get(path);
            assert!(is_same, "seed {seed}: {path:?}");
        }
        let listed = sandbox.world.bare(&["ls-tree", "-r", "--name-only", "-z", &saved.commit.to_string()]);
        assert_eq!(listed.split('\0').filter(|name| !name.is_empty()).count(), files.len(), "seed {seed}");
    }
}

/// Makes the files on disk, which are `old`, be `new`.
fn lay_out(dest: &Path, old: &Files, new: &Files) {
    for path in old.keys().filter(|path| old.get(*path) != new.get(*path)) {
        std::fs::remove_file(dest.join(os(path))).unwrap();
        let mut dir = dest.join(os(path));
        while dir.pop() && dir != dest && std::fs::remove_dir(&dir).is_ok() {}
    }
    for (path, (mode, bytes)) in new.iter().filter(|(path, entry)| old.get(*path) != Some(entry)) {
        let place = dest.join(os(path));
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        if *mode == 0o120_000 {
            std::os::unix::fs::symlink(os(bytes), &place).unwrap();
            continue;
        }
        std::fs::write(&place, bytes).unwrap();
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode & 0o777)).unwrap();
    }
}
