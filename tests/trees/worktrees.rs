//! Worktrees beside those that git makes.

use std::path::Path;

use gastown::error::Kind;
use gastown::git::status::status;
use gastown::git::worktree::{self, Head};

use super::world::{World, base, file, mutate, on_disk, os};

fn assert_like_git(world: &World, ours: &Path, commit: gix::ObjectId, name: &str) {
    let theirs = world.path(&format!("theirs-{name}"));
    world.bare(&["worktree", "add", "-q", "--detach", theirs.to_str().unwrap(), &commit.to_string()]);
    assert_eq!(world.git(ours, &["ls-files", "-s"]), world.git(&theirs, &["ls-files", "-s"]));
    let (a, b) = (on_disk(ours), on_disk(&theirs));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (path, entry) in &a {
        assert_eq!(entry, &b[path], "{}", path.display());
    }
    assert_eq!(world.git(ours, &["status", "--porcelain"]), "");
    assert_eq!(world.git(ours, &["rev-parse", "HEAD"]), commit.to_string());
    assert!(status(ours).unwrap().is_clean());
}

#[test]
fn a_new_worktree_is_what_git_would_have_made() {
    let world = World::new();
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut files = base(&mut random);
        mutate(&mut random, &mut files, 3 * usize::try_from(seed).unwrap());
        let commit = world.commit(&format!("c{seed}"), &files, None);
        let dest = world.path(&format!("rig/polecats/p{seed}"));
        let branch = format!("polecat/p{seed}/gt-1@abc");
        worktree::add(&world.store, &dest, Head::Branch { name: &branch, at: commit }).unwrap();
        assert_eq!(worktree::head(&dest).unwrap(), (Some(branch.clone()), commit));
        assert!(world.bare(&["worktree", "list"]).contains(&format!("[{branch}]")));
        assert_eq!(world.git(&dest, &["config", "core.bare"]), "false");
        assert_eq!(world.git(&dest, &["reflog", "show", "HEAD"]).lines().count(), 1);
        assert_like_git(&world, &dest, commit, &seed.to_string());
    }
    let detached = world.path("gate");
    let commit = worktree::head(&world.path("rig/polecats/p0")).unwrap().1;
    worktree::add(&world.store, &detached, Head::Detached(commit)).unwrap();
    assert_eq!(worktree::head(&detached).unwrap(), (None, commit));
    let listed = worktree::list(&world.store).unwrap();
    assert_eq!(listed.len(), 13);
    assert!(listed.iter().any(|tree| tree.dir == detached && tree.branch.is_none() && tree.head == Some(commit)));
    world.fsck();
}

#[test]
fn a_taken_place_or_branch_is_refused_and_left_as_it_is() {
    let world = World::new();
    let one = world.commit("one", &base(&mut fastrand::Rng::with_seed(1)), None);
    let two = world.commit("two", &base(&mut fastrand::Rng::with_seed(2)), None);
    let dest = world.path("full");
    std::fs::create_dir(&dest).unwrap();
    std::fs::write(dest.join("mine"), "mine").unwrap();
    let refused = worktree::add(&world.store, &dest, Head::Branch { name: "x", at: one }).unwrap_err();
    assert_eq!(refused.kind, Kind::Refused);
    assert_eq!(std::fs::read_dir(&dest).unwrap().count(), 1);
    assert_eq!(world.store.read_ref("refs/heads/x").unwrap(), None);
    let conflict = worktree::add(&world.store, &world.path("n"), Head::Branch { name: "two", at: one }).unwrap_err();
    assert_eq!(conflict.kind, Kind::Conflict);
    worktree::add(&world.store, &world.path("a"), Head::Branch { name: "two", at: two }).unwrap();
    let conflict = worktree::add(&world.store, &world.path("b"), Head::Branch { name: "two", at: two }).unwrap_err();
    assert_eq!(conflict.kind, Kind::Conflict, "{}", conflict.line());
    assert!(!world.path("b").exists());
    let usage = worktree::add(&world.store, &world.path("b"), Head::Branch { name: "-f", at: two }).unwrap_err();
    assert_eq!(usage.kind, Kind::Usage);
    assert_eq!(worktree::list(&world.store).unwrap().len(), 1);
}

#[test]
fn a_submodule_is_an_empty_directory_and_clean() {
    let world = World::new();
    let mut files = base(&mut fastrand::Rng::with_seed(1));
    let inner = world.commit("inner", &files, None);
    files.insert(b".gitmodules".to_vec(), file("[submodule \"sub\"]\n\tpath = deep/sub\n\turl = ../sub\n"));
    let outer = world.commit("outer", &files, None);
    let index = world.path("i");
    world.bare(&["worktree", "add", "-q", index.to_str().unwrap(), "outer"]);
    world.git(&index, &["update-index", "--add", "--cacheinfo", &format!("160000,{inner},deep/sub")]);
    world.git(&index, &["commit", "-qm", "sub"]);
    let commit = world.store.read_ref("refs/heads/outer").unwrap().unwrap();
    assert_ne!(commit, outer);
    let dest = world.path("d");
    worktree::add(&world.store, &dest, Head::Detached(commit)).unwrap();
    assert_like_git(&world, &dest, commit, "sub");
}

#[test]
fn a_switched_worktree_is_what_git_would_have_made_whatever_stood_there() {
    let world = World::new();
    let dest = world.path("polecat");
    let mut random = fastrand::Rng::with_seed(7);
    let mut files = base(&mut random);
    let first = world.commit("c", &files, None);
    worktree::add(&world.store, &dest, Head::Branch { name: "old", at: first }).unwrap();
    for round in 0..6 {
        mutate(&mut random, &mut files, 8);
        let commit = world.commit(&format!("c{round}"), &files, None);
        mess_up(&world, &dest, round);
        let branch = format!("next{round}");
        let head = if round.is_multiple_of(2) { Head::Branch { name: &branch, at: commit } } else { Head::Detached(commit) };
        worktree::switch(&world.store, &dest, head).unwrap();
        assert_eq!(worktree::head(&dest).unwrap().0.is_some(), round.is_multiple_of(2));
        assert_eq!(std::fs::read_to_string(dest.join("kept.log")).unwrap(), "kept", "ignored files stay");
        std::fs::remove_file(dest.join("kept.log")).unwrap();
        assert_like_git(&world, &dest, commit, &format!("s{round}"));
    }
    world.fsck();
}

/// Leaves the worktree as a killed agent might.
fn mess_up(world: &World, dest: &Path, round: u32) {
    std::fs::write(dest.join("kept.log"), "kept").unwrap();
    std::fs::write(dest.join("untracked"), "u").unwrap();
    std::fs::write(dest.join("empty"), "not empty now").unwrap();
    std::fs::create_dir_all(dest.join("nested/deep")).unwrap();
    world.git(&dest.join("nested"), &["init", "-q"]);
    std::fs::write(dest.join("nested/deep/file"), "n").unwrap();
    let _ = std::fs::remove_file(dest.join("run.sh"));
    let tracked = world.git(dest, &["ls-files", "src"]).lines().next().map(str::to_owned);
    if let Some(tracked) = tracked {
        let flag = if round.is_multiple_of(2) { "--assume-unchanged" } else { "--skip-worktree" };
        world.git(dest, &["update-index", flag, &tracked]);
        std::fs::write(dest.join(&tracked), "hidden change").unwrap();
    }
    world.git(dest, &["add", "untracked"]);
    let private = world.git(dest, &["rev-parse", "--absolute-git-dir"]);
    std::fs::write(Path::new(&private).join("index.lock"), "").unwrap();
    std::fs::create_dir_all(Path::new(&private).join("rebase-merge")).unwrap();
    std::fs::write(Path::new(&private).join("MERGE_HEAD"), world.bare(&["rev-parse", "c"]) + "\n").unwrap();
}

#[test]
fn a_switch_leaves_unchanged_files_untouched() {
    let world = World::new();
    let mut files = base(&mut fastrand::Rng::with_seed(3));
    let one = world.commit("one", &files, None);
    files.insert(b"empty".to_vec(), file("full"));
    let two = world.commit("two", &files, Some(one));
    let dest = world.path("d");
    worktree::add(&world.store, &dest, Head::Detached(one)).unwrap();
    let times = || -> Vec<_> {
        files.keys().map(|path| std::fs::symlink_metadata(dest.join(os(path))).unwrap().modified().unwrap()).collect()
    };
    let before = times();
    worktree::switch(&world.store, &dest, Head::Branch { name: "b", at: two }).unwrap();
    let after = times();
    let changed: Vec<_> =
        files.keys().zip(before.iter().zip(&after)).filter(|(_, (a, b))| a != b).map(|(path, _)| path).collect();
    assert_eq!(changed, [b"empty"]);
    // The same branch again is reset, not refused.
    worktree::switch(&world.store, &dest, Head::Branch { name: "b", at: one }).unwrap();
    assert_eq!(worktree::head(&dest).unwrap(), (Some("b".into()), one));
}

#[test]
fn a_switch_never_acts_on_another_repository() {
    let world = World::new();
    let one = world.commit("one", &base(&mut fastrand::Rng::with_seed(3)), None);
    let dest = world.path("d");
    worktree::add(&world.store, &dest, Head::Branch { name: "mine", at: one }).unwrap();
    let elsewhere = worktree::switch(&world.store, &world.path("none"), Head::Detached(one)).unwrap_err();
    assert_eq!(elsewhere.kind, Kind::NotFound);
    let other = world.path("other");
    worktree::add(&world.store, &other, Head::Detached(one)).unwrap();
    let taken = worktree::switch(&world.store, &other, Head::Branch { name: "mine", at: one }).unwrap_err();
    assert_eq!(taken.kind, Kind::Conflict, "{}", taken.line());

    // A repository above, and a worktree whose link is gone.
    world.git(world.home.path(), &["init", "-q"]);
    std::fs::remove_file(dest.join(".git")).unwrap();
    std::fs::write(dest.join("work"), "work").unwrap();
    let refused = worktree::switch(&world.store, &dest, Head::Detached(one)).unwrap_err();
    assert_eq!(refused.kind, Kind::Refused);
    assert_eq!(status(&dest).unwrap_err().kind, Kind::NotFound);
    assert_eq!(worktree::head(&dest).unwrap_err().kind, Kind::NotFound);
    assert!(dest.join("work").exists());
    std::fs::remove_dir_all(&dest).unwrap();
    assert_eq!(worktree::switch(&world.store, &dest, Head::Detached(one)).unwrap_err().kind, Kind::NotFound);
}

#[test]
fn a_removed_worktree_is_gone_from_the_list_and_its_branch_stays() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let one = world.commit("one", &base(&mut fastrand::Rng::with_seed(3)), None);
    let dest = world.path("d");
    worktree::add(&world.store, &dest, Head::Branch { name: "mine", at: one }).unwrap();
    let cache = dest.join("cache");
    std::fs::create_dir(&cache).unwrap();
    std::fs::write(cache.join("f"), "").unwrap();
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o555)).unwrap();
    world.bare(&["worktree", "lock", "--reason", "in use", dest.to_str().unwrap()]);
    let refused = worktree::remove(&world.store, &dest).unwrap_err();
    assert_eq!(refused.kind, Kind::Refused);
    assert!(refused.message.contains("in use"));
    world.bare(&["worktree", "unlock", dest.to_str().unwrap()]);
    worktree::remove(&world.store, &dest).unwrap();
    assert!(!dest.exists());
    assert_eq!(worktree::list(&world.store).unwrap(), []);
    assert_eq!(world.store.read_ref("refs/heads/mine").unwrap(), Some(one));
    assert_eq!(worktree::remove(&world.store, &dest).unwrap_err().kind, Kind::NotFound);
    let precious = world.path("precious");
    std::fs::create_dir(&precious).unwrap();
    assert_eq!(worktree::remove(&world.store, &precious).unwrap_err().kind, Kind::NotFound);
    assert!(precious.exists());
}

#[test]
fn a_worktree_whose_making_was_killed_is_mended_by_a_switch_and_can_be_removed() {
    let world = World::new();
    let one = world.commit("one", &base(&mut fastrand::Rng::with_seed(3)), None);
    for is_switched in [true, false] {
        let dest = world.path("d");
        worktree::add(&world.store, &dest, Head::Detached(one)).unwrap();
        world.bare(&["worktree", "lock", "--reason", "initializing", dest.to_str().unwrap()]);
        if is_switched {
            worktree::switch(&world.store, &dest, Head::Detached(one)).unwrap();
            assert_like_git(&world, &dest, one, "mended");
            assert!(!world.bare(&["worktree", "list", "--porcelain"]).contains("locked"));
        }
        worktree::remove(&world.store, &dest).unwrap();
    }
}

#[test]
fn a_worktree_whose_directory_is_gone_can_be_removed_and_made_again() {
    let world = World::new();
    let one = world.commit("one", &base(&mut fastrand::Rng::with_seed(3)), None);
    let dest = world.path("d");
    worktree::add(&world.store, &dest, Head::Branch { name: "mine", at: one }).unwrap();
    std::fs::remove_dir_all(&dest).unwrap();
    worktree::remove(&world.store, &dest).unwrap();
    worktree::add(&world.store, &dest, Head::Branch { name: "mine", at: one }).unwrap();
    assert_like_git(&world, &dest, one, "again");
}

#[test]
fn on_a_branch_without_a_commit_all_that_is_in_the_index_is_staged() {
    let world = World::new();
    let one = world.commit("one", &base(&mut fastrand::Rng::with_seed(5)), None);
    let store = gastown::store::Store::open(&world.git_dir).unwrap();
    let dest = world.path("fresh");
    worktree::add(&store, &dest, Head::Branch { name: "born", at: one }).unwrap();
    assert!(status(&dest).unwrap().is_clean());
    world.git(&dest, &["checkout", "-q", "--orphan", "unborn"]);
    assert!(!status(&dest).unwrap().staged.is_empty());
}

#[test]
fn flips_of_the_shared_configuration_stop_no_verb() {
    let world = World::new();
    let one = world.commit("one", &base(&mut fastrand::Rng::with_seed(3)), None);
    let two = world.commit("two", &base(&mut fastrand::Rng::with_seed(4)), None);
    let flips = [("core.bare", "true"), ("extensions.worktreeConfig", "false"), ("core.bare", "false")];
    for (at, (key, value)) in flips.into_iter().enumerate() {
        world.git(world.home.path(), &["config", "-f", "rig/.repo.git/config", key, value]);
        let store = gastown::store::Store::open(&world.git_dir).unwrap();
        let dest = world.path(&format!("d{at}"));
        let branch = format!("b{at}");
        worktree::add(&store, &dest, Head::Branch { name: &branch, at: one }).unwrap();
        assert!(status(&dest).unwrap().is_clean(), "{key}={value}");
        assert_eq!(world.git(&dest, &["status", "--porcelain"]), "", "{key}={value}");
        worktree::switch(&store, &dest, Head::Detached(two)).unwrap();
        assert_eq!(worktree::head(&dest).unwrap(), (None, two));
        std::fs::write(dest.join("new"), "").unwrap();
        assert_eq!(status(&dest).unwrap().untracked, ["new"]);
        worktree::remove(&store, &dest).unwrap();
    }
}
