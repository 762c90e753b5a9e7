//! Sparse worktrees beside those that git makes, and what was done in them before they are switched or salvaged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gastown::git::salvage::{Next, Order, salvage};
use gastown::git::status::status;
use gastown::git::worktree::{self, Head};
use gastown::model::cone::Cone;
use gastown::store::Store;
use gastown::time::Moment;
use gix::ObjectId;

use super::world::{ParseId as _, World, base, file, mutate, on_disk};

fn cone(dirs: &[&str]) -> Cone {
    Cone::of(dirs).unwrap()
}

/// What git itself makes of `dirs` at `commit`.
fn by_git(world: &World, name: &str, commit: ObjectId, dirs: &[&str]) -> PathBuf {
    let dest = world.path(&format!("theirs-{name}"));
    world.bare(&["worktree", "add", "-q", "--no-checkout", "--detach", dest.to_str().unwrap(), &commit.to_string()]);
    if !dirs.is_empty() {
        world.git(&dest, &[&["sparse-checkout", "set", "--cone", "--skip-checks"], dirs].concat());
    }
    world.git(&dest, &["reset", "-q", "--hard"]);
    dest
}

/// The files and links of a worktree; a directory that a clean-up left empty is none to git.
fn files_in(dir: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut all = on_disk(dir);
    all.retain(|_, (mode, _)| *mode & 0o170_000 != 0o040_000);
    all
}

fn assert_same(world: &World, ours: &Path, theirs: &Path) {
    assert_eq!(world.git(ours, &["ls-files", "-t", "-s"]), world.git(theirs, &["ls-files", "-t", "-s"]));
    let (a, b) = (files_in(ours), files_in(theirs));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (path, entry) in &a {
        assert_eq!(entry, &b[path], "{}", path.display());
    }
    assert_eq!(world.git(ours, &["status", "--porcelain", "--ignored"]), "");
    assert!(status(ours).unwrap().is_clean());
}

#[test]
fn a_sparse_worktree_is_what_git_would_have_made() {
    let world = World::new();
    let cones: [&[&str]; 5] =
        [&["src"], &["src/mod1", "src/mod3"], &["doc", "src/mod0", "odd"], &["nowhere"], &["src/mod2", "src"]];
    for (seed, dirs) in cones.into_iter().enumerate() {
        let mut random = fastrand::Rng::with_seed(seed as u64);
        let mut files = base(&mut random);
        files.insert(b"src/mod1/.gitattributes".to_vec(), file("*.id ident\n"));
        files.insert(b"src/mod1/x.id".to_vec(), file("$Id$\n"));
        files.insert(b"other/.gitattributes".to_vec(), file("*.id ident\n"));
        let commit = world.commit(&format!("c{seed}"), &files, None);
        let dest = world.path(&format!("ours-{seed}"));
        worktree::add_within(&world.store, &dest, Head::Branch { name: &format!("b{seed}"), at: commit }, &cone(dirs)).unwrap();
        let theirs = by_git(&world, &seed.to_string(), commit, dirs);
        assert_same(&world, &dest, &theirs);
        let listed = |dir: &Path| world.git(dir, &["sparse-checkout", "list"]);
        assert_eq!(listed(&dest), listed(&theirs));
        let patterns =
            |name: &str| std::fs::read(world.git_dir.join("worktrees").join(name).join("info/sparse-checkout")).unwrap();
        assert_eq!(patterns(&format!("ours-{seed}")), patterns(&format!("theirs-{seed}")));
        assert_eq!(world.git(&dest, &["config", "core.bare"]), "false");
    }
    world.fsck();
}

/// A world with a sparse worktree on branch `work`.
struct Sandbox {
    world: World,
    dest: PathBuf,
    start: ObjectId,
}

const SHOWN: [&str; 2] = ["src/mod1", "doc"];

impl Sandbox {
    fn new() -> Self {
        let world = World::new();
        let start = world.commit("main", &base(&mut fastrand::Rng::with_seed(5)), None);
        let dest = world.path("rig/polecats/toast");
        worktree::add_within(&world.store, &dest, Head::Branch { name: "work", at: start }, &cone(&SHOWN)).unwrap();
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

    /// Salvages; answers what was saved and its commit.
    fn salvage(&self, n: u32) -> Option<(Vec<String>, ObjectId)> {
        let names = |more: u32| format!("refs/gt/salvage/toast/{n}-{more}");
        let now = Moment::from_millis(1_800_000_000_000);
        let order =
            Order { known: &[], author: ("gt", "gt@localhost"), now, next: Next::Reset, aside: &self.world.path("aside") };
        let saved = salvage(&self.world.store, &self.dest, &names, &order).unwrap();
        saved.map(|saved| (saved.what, saved.commit))
    }
}

/// Something done in a sandbox.
type Deed = fn(&Sandbox);

/// What an agent may have done in a sparse worktree.
const DEEDS: &[(&str, Deed)] = &[
    ("nothing", |_| {}),
    ("edited what it sees", |sandbox| sandbox.write("src/mod1/file1.txt", "edited\n")),
    ("edited what is marked as not there", |sandbox| {
        sandbox.git(&["update-index", "--skip-worktree", "doc/win.crlf"]);
        sandbox.write("doc/win.crlf", "edited\n");
    }),
    ("edited what is marked as unchanged", |sandbox| {
        sandbox.git(&["update-index", "--assume-unchanged", "run.sh"]);
        sandbox.write("run.sh", "edited\n");
    }),
    ("made a file that it did not see", |sandbox| sandbox.write("src/mod2/file2.txt", "made anew\n")),
    ("made a file beside those that it did not see", |sandbox| sandbox.write("src/mod2/new.txt", "new\n")),
    ("committed outside of what it sees", |sandbox| {
        sandbox.write("src/mod2/new.txt", "new\n");
        sandbox.write("src/mod3/file3.txt", "other\n");
        sandbox.git(&["add", "-A", "--sparse"]);
        sandbox.git(&["commit", "-q", "-m", "outside"]);
    }),
    ("looked at more", |sandbox| drop(sandbox.git(&["sparse-checkout", "add", "odd", "src/mod2"]))),
    ("looked at everything", |sandbox| drop(sandbox.git(&["sparse-checkout", "disable"]))),
    ("looked at everything and edited it", |sandbox| {
        sandbox.git(&["sparse-checkout", "disable"]);
        sandbox.write("src/mod2/file2.txt", "edited\n");
        sandbox.git(&["rm", "-q", "union.txt"]);
    }),
    ("looked in another way", |sandbox| drop(sandbox.git(&["sparse-checkout", "set", "--no-cone", "*.bin"]))),
    ("lost its index", |sandbox| std::fs::remove_file(sandbox.world.git_dir.join("worktrees/toast/index")).unwrap()),
    ("lost what it may see", |sandbox| {
        std::fs::remove_file(sandbox.world.git_dir.join("worktrees/toast/info/sparse-checkout")).unwrap();
    }),
    ("asked for an index that is sparse too", |sandbox| {
        sandbox.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "src/mod1", "doc"]);
    }),
    ("flipped the shared configuration", |sandbox| {
        sandbox
            .world
            .git(sandbox.world.home.path(), &["config", "-f", "rig/.repo.git/config", "extensions.worktreeConfig", "false"]);
    }),
    ("made all worktrees sparse", |sandbox| {
        sandbox.world.git(sandbox.world.home.path(), &["config", "-f", "rig/.repo.git/config", "core.sparseCheckout", "true"]);
    }),
];

#[test]
fn a_switch_shows_what_was_asked_for_whatever_was_done_before() {
    std::thread::scope(|scope| {
        for deeds in DEEDS.chunks(DEEDS.len().div_ceil(4)) {
            scope.spawn(move || deeds.iter().for_each(|(name, deed)| switch_after(name, *deed)));
        }
    });
}

fn switch_after(name: &str, deed: Deed) {
    for (dirs, is_other) in [(&SHOWN[..], false), (&["odd", "src/mod1"][..], true), (&[][..], true)] {
        let sandbox = Sandbox::new();
        let world = &sandbox.world;
        world.bare(&["config", "gt.durability", "none"]);
        let mut random = fastrand::Rng::with_seed(7);
        let mut files = base(&mut fastrand::Rng::with_seed(5));
        mutate(&mut random, &mut files, 12);
        let next = if is_other { world.commit("next", &files, Some(sandbox.start)) } else { sandbox.start };
        let theirs = by_git(world, "theirs", next, dirs);
        deed(&sandbox);
        let store = Store::open(&world.git_dir).unwrap();
        worktree::switch_within(&store, &sandbox.dest, Head::Branch { name: "fresh", at: next }, &cone(dirs)).unwrap();
        // Undone first: it is not the worktree's own, and the other one would show more for it.
        let shared = ["config", "-f", "rig/.repo.git/config"];
        world.git(world.home.path(), &[&shared[..], &["extensions.worktreeConfig", "true"]].concat());
        let _ = world.try_git(world.home.path(), &[&shared[..], &["--unset", "core.sparseCheckout"]].concat(), b"");
        let told = format!("{name}, then {dirs:?}");
        assert_eq!(world.git(&sandbox.dest, &["status", "--porcelain"]), "", "{told}");
        let names = |dir: &Path| files_in(dir).into_keys().collect::<Vec<_>>();
        assert_eq!(names(&sandbox.dest), names(&theirs), "{told}");
        assert_same(world, &sandbox.dest, &theirs);
    }
}

#[test]
fn what_is_not_shown_is_no_deletion_and_what_was_made_there_is_saved() {
    let sandbox = Sandbox::new();
    assert!(sandbox.salvage(0).is_none(), "what is not shown was taken for removed");
    sandbox.write("src/mod2/file2.txt", "made anew\n");
    sandbox.write("far/away/new.txt", "new\n");
    std::fs::remove_file(sandbox.dest.join("src/mod1/file1.txt")).unwrap();
    let (what, commit) = sandbox.salvage(1).expect("something is saved");
    let changed = sandbox.world.bare(&["diff", "--name-status", &sandbox.start.to_string(), &commit.to_string()]);
    assert_eq!(changed, "A\tfar/away/new.txt\nD\tsrc/mod1/file1.txt\nM\tsrc/mod2/file2.txt", "{what:?}");
    let text = |path: &str| sandbox.world.bare(&["show", &format!("{commit}:{path}")]);
    assert_eq!((text("src/mod2/file2.txt"), text("far/away/new.txt")), ("made anew".to_owned(), "new".to_owned()));
    sandbox.world.fsck();
}

#[test]
fn what_was_made_beside_an_index_that_is_sparse_too_is_saved() {
    let sandbox = Sandbox::new();
    sandbox.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "src/mod1", "doc"]);
    assert!(sandbox.salvage(0).is_none());
    sandbox.write("doc/staged.txt", "staged\n");
    sandbox.git(&["add", "doc/staged.txt"]);
    sandbox.write("doc/staged.txt", "and changed again\n");
    sandbox.write("odd/new.txt", "new\n");
    sandbox.git(&["update-index", "--assume-unchanged", "run.sh"]);
    sandbox.write("run.sh", "edited\n");
    let (what, commit) = sandbox.salvage(1).expect("something is saved");
    assert!(what.iter().all(|line| !line.contains("damaged")), "{what:?}");
    let changed = sandbox.world.bare(&["diff", "--name-status", &sandbox.start.to_string(), &commit.to_string()]);
    assert_eq!(changed, "A\tdoc/staged.txt\nA\todd/new.txt\nM\trun.sh", "{what:?}");
    assert_eq!(sandbox.world.bare(&["show", &format!("{commit}^2:doc/staged.txt")]), "staged");
    sandbox.world.fsck();
}

#[test]
fn a_commit_that_was_taken_back_is_saved_with_what_it_changed_out_of_sight() {
    let sandbox = Sandbox::new();
    let mut files = base(&mut fastrand::Rng::with_seed(5));
    files.insert(b"src/mod2/file2.txt".to_vec(), file("changed out of sight\n"));
    let next = sandbox.world.commit("next", &files, Some(sandbox.start));
    sandbox.git(&["reset", "-q", "--hard", &next.to_string()]);
    sandbox.git(&["reset", "-q", "--soft", &sandbox.start.to_string()]);
    let (what, commit) = sandbox.salvage(0).expect("something is saved");
    assert!(what.iter().any(|line| line.starts_with("1 staged: src/mod2/file2.txt")), "{what:?}");
    let tree = sandbox.world.bare(&["rev-parse", &format!("{commit}:src/mod2/file2.txt")]).parse_id();
    assert_eq!(tree, sandbox.world.bare(&["rev-parse", &format!("{next}:src/mod2/file2.txt")]).parse_id());
}

#[test]
fn a_whole_worktree_writes_nothing_of_sparse_ones() {
    let world = World::new();
    let commit = world.commit("one", &base(&mut fastrand::Rng::with_seed(3)), None);
    let dest = world.path("d");
    worktree::add(&world.store, &dest, Head::Detached(commit)).unwrap();
    worktree::switch(&world.store, &dest, Head::Detached(commit)).unwrap();
    let own = std::fs::read_to_string(world.git_dir.join("worktrees/d/config.worktree")).unwrap();
    assert!(!own.to_lowercase().contains("sparse") && !world.git_dir.join("worktrees/d/info").exists(), "{own}");
}
