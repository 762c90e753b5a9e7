//! What a partial clone left out, brought over every way when it is about to be read; beside the git program's own clones.

use std::collections::BTreeSet;
use std::path::Path;

use gastown::error::Kind as ErrorKind;
use gastown::git::clone::{Wish, clone_as};
use gastown::git::diff;
use gastown::git::fetch::fetch;
use gastown::git::maintenance::{self, How, Packing};
use gastown::git::merge::Stacker;
use gastown::git::progress::Progress;
use gastown::git::promised::{self, Filter, Promise};
use gastown::git::push::Outcome;
use gastown::git::worktree::{self, Head};
use gastown::model::cone::Cone;
use gastown::store::Store;
use gix::ObjectId;

use super::servers::{KINDS, Kind, Server};
use super::ways::By;
use super::{Place, leftovers, pushed, to};
use crate::trees::world::{Files, World, base, mutate};

fn clone_of(origin: &Path, dir: &Path, filter: &str) -> gastown::error::Result<Store> {
    let filter: Filter = filter.parse().unwrap();
    let wish = Wish { branch: Some("main"), filter: Some(&filter), ..Wish::default() };
    clone_as(origin.to_str().unwrap(), dir, wish, &Progress::silent())?;
    Store::open(dir)
}

/// A partial clone at `name` of an origin that gives such.
fn partial(place: &Place, name: &str, filter: &str) -> Store {
    let origin = place.path("origin.git");
    place.git_in(&origin, &["config", "uploadpack.allowFilter", "true"]);
    clone_of(&origin, &place.path(name), filter).unwrap()
}

/// What refs in the repository at `dir` lead to and is not there.
fn missing(place: &Place, dir: &Path) -> BTreeSet<String> {
    let listed = place.git_in(dir, &["rev-list", "--objects", "--all", "--missing=print"]);
    listed.lines().filter_map(|line| line.strip_prefix('?')).map(str::to_owned).collect()
}

/// How many packs have the mark of a remote that promised the rest; every pack has it, or none of its objects would.
fn marks(dir: &Path) -> usize {
    let all = std::fs::read_dir(dir.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|end| end == "promisor")).count()
}

fn check(place: &Place, store: &Store) {
    place.git_in(store.dir(), &["fsck", "--strict", "--full", "--no-dangling"]);
    assert!(leftovers(store.dir()).is_empty(), "{:?}", leftovers(store.dir()));
}

fn fetched(store: &Store, url: &str, name: &str) -> ObjectId {
    fetch(store, url, &[name.to_owned()], &Progress::silent()).unwrap()[name]
}

fn bring(store: &Store, commit: ObjectId, dirs: &[&str]) -> usize {
    let tree = store.tree_of(commit).unwrap();
    promised::bring_tree(store, tree, &Cone::of(dirs).unwrap(), &Progress::silent()).unwrap()
}

/// What happens in a partial clone whose origin is reached in one of the ways.
fn read_over(kind: Kind, by: By) {
    let place = Place::with_history();
    let Some(server) = Server::start(kind, place.home.path(), &place.path("server")) else { return };
    let (origin, what) = (place.path("origin.git"), format!("{kind:?} by {by:?}"));
    let dir = partial(&place, "rig.git", "blob:none").dir().to_owned();
    let url = server.url("origin.git");
    place.git_in(&dir, &["config", "remote.origin.url", &url]);
    for (key, value) in server.settings() {
        place.git_in(&dir, &["config", key, value]);
    }
    if by == By::Git {
        place.git_in(&dir, &["config", "gt.transport", "git"]);
    }
    let store = Store::open(&dir).unwrap();
    let all = missing(&place, &dir);
    let main = place.id(&origin, "main");
    assert_eq!((all.len(), bring(&store, main, &["dir1"])), (7, 2), "{what}");
    assert_eq!((missing(&place, &dir).len(), marks(&dir), bring(&store, main, &["dir1"])), (5, 2, 0), "{what}");
    // The git program asks for what it needs itself.
    assert_eq!(place.git_in(&dir, &["cat-file", "blob", "main~1:other.txt"]), "main", "{what}");

    let next = place.commit("new.txt", "not asked for yet\n");
    let record = ObjectId::from_hex(place.work(&["hash-object", "-w", "new.txt"]).as_bytes()).unwrap();
    place.work(&["push", "-q", "../origin.git", "main", "main:refs/gt/ledger", "main:refs/gt/mr/wi-mr-abc12"]);
    assert_eq!(fetched(&store, &url, "refs/heads/main"), next, "{what}");
    assert!(!Store::open(&dir).unwrap().repo.has_object(record), "{what}: a later fetch forgot the filter");
    // Of a ledger nothing is left out, though it is the same commit here and comes from the same place.
    place.git_in(&origin, &["update-ref", "-d", "refs/heads/main"]);
    assert_eq!(fetched(&store, &url, "refs/gt/ledger"), next, "{what}");
    assert!(store.repo.has_object(record), "{what}: a file of the ledger was left out");
    check(&place, &store);
}

#[test]
fn what_was_left_out_is_brought_over_every_way_and_later_fetches_leave_it_out_too() {
    std::thread::scope(|scope| {
        for kind in KINDS {
            scope.spawn(|| read_over(*kind, By::Gix));
        }
        scope.spawn(|| read_over(Kind::Daemon, By::Git));
    });
}

#[test]
fn a_partial_clone_lacks_what_that_of_git_lacks() {
    let place = Place::with_history();
    place.commit("large.txt", &"x".repeat(2000));
    place.work(&["tag", "-a", "-m", "a file", "note", "HEAD:moved.txt"]);
    place.work(&["tag", "bare-note", "HEAD:large.txt"]);
    place.work(&["push", "-q", "../origin.git", "--all"]);
    place.work(&["push", "-q", "../origin.git", "--tags"]);
    for (n, filter) in ["blob:none", "blob:limit=1k", "blob:limit=0"].into_iter().enumerate() {
        let store = partial(&place, &format!("ours{n}.git"), filter);
        let theirs = place.path(&format!("theirs{n}.git"));
        let url = format!("file://{}", place.url());
        place.git(&["clone", "-q", "--bare", &format!("--filter={filter}"), &url, theirs.to_str().unwrap()]);
        assert_eq!(missing(&place, store.dir()), missing(&place, &theirs), "{filter}");
        for key in ["remote.origin.promisor", "remote.origin.partialclonefilter", "core.repositoryformatversion"] {
            assert_eq!(place.git_in(store.dir(), &["config", key]), place.git_in(&theirs, &["config", key]), "{filter}");
        }
        assert_eq!((marks(store.dir()), marks(&theirs)), (1, 1));
        assert_eq!(
            Promise::of(&store).unwrap().filter.unwrap().spec(),
            place.git_in(&theirs, &["config", "remote.origin.partialclonefilter"])
        );
        check(&place, &store);
        place.git_in(store.dir(), &["fetch", "-q", "--refetch", "--no-filter", "origin"]);
        assert!(missing(&place, store.dir()).is_empty(), "{filter}: git was told in vain to fetch everything");
        check(&place, &store);
    }
}

#[test]
fn a_remote_that_leaves_nothing_out_is_refused_and_nothing_stays() {
    let place = Place::with_history();
    let error = clone_of(&place.path("origin.git"), &place.path("rig.git"), "blob:none").map(drop).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{}", error.message);
    assert!(error.message.ends_with("offers no partial clones") && error.hint.unwrap().contains("uploadpack.allowFilter"));
    assert!(!place.path("rig.git").exists());
    // One that stops to do so later sends what is new as a whole.
    let store = partial(&place, "rig.git", "blob:none");
    place.git_in(&place.path("origin.git"), &["config", "uploadpack.allowFilter", "false"]);
    let next = place.commit("new.txt", "new\n");
    place.work(&["push", "-q", "../origin.git", "main"]);
    assert_eq!(fetched(&store, &place.url(), "refs/heads/main"), next);
    assert!(!missing(&place, store.dir()).contains(&place.work(&["rev-parse", "HEAD:new.txt"])));
    check(&place, &store);
}

#[test]
fn a_partial_clone_lends_nothing() {
    let place = Place::with_history();
    let lender = partial(&place, "lender.git", "blob:none");
    let wish = Wish { local_repo: Some(lender.dir()), ..Wish::default() };
    let error = clone_as(&place.url(), &place.path("rig.git"), wish, &Progress::silent()).unwrap_err();
    assert!(error.kind == ErrorKind::Refused && error.message.contains("is a partial clone"), "{}", error.message);
    // A whole one gives what it has, and only the rest is left out.
    place.git(&["clone", "-q", "--bare", "origin.git", "whole.git"]);
    place.commit("new.txt", "new\n");
    place.work(&["push", "-q", "../origin.git", "main"]);
    let filter: Filter = "blob:none".parse().unwrap();
    let whole = place.path("whole.git");
    let wish = Wish { local_repo: Some(&whole), filter: Some(&filter), ..Wish::default() };
    clone_as(&place.url(), &place.path("rig.git"), wish, &Progress::silent()).unwrap();
    let store = Store::open(&place.path("rig.git")).unwrap();
    assert_eq!(missing(&place, store.dir()), BTreeSet::from([place.work(&["rev-parse", "HEAD:new.txt"])]));
    check(&place, &store);
}

#[test]
fn a_remote_that_is_away_is_told_of_in_one_line_and_nothing_is_half_done() {
    let place = Place::with_history();
    let store = partial(&place, "rig.git", "blob:none");
    let (origin, away) = (place.path("origin.git"), place.path("away.git"));
    let main = place.id(&origin, "main");
    std::fs::rename(&origin, &away).unwrap();
    let dest = place.path("tree");
    let branch = Head::Branch { name: "work", at: main };
    for _ in 0..2 {
        let error = worktree::add(&store, &dest, branch).unwrap_err();
        assert_eq!(error.kind, ErrorKind::External, "{}", error.message);
        assert!(error.message.contains("6 files that this partial clone left out could not be had"), "{}", error.message);
        assert!(error.hint.unwrap().contains("fetch --refetch --no-filter origin"));
        assert!(!dest.exists() && worktree::list(&store).unwrap().is_empty());
        assert_eq!(store.read_ref("refs/heads/work").unwrap(), None);
    }
    std::fs::rename(&away, &origin).unwrap();
    worktree::add(&store, &dest, branch).unwrap();
    assert_eq!(place.git_in(&dest, &["status", "--porcelain"]), "");
    // A switch that cannot be done leaves the worktree as it is.
    let old = place.id(&away.with_file_name("origin.git"), "main~2");
    std::fs::rename(&origin, &away).unwrap();
    let error = worktree::switch(&store, &dest, Head::Detached(old)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::External, "{}", error.message);
    assert_eq!(worktree::head(&dest).unwrap(), (Some("work".to_owned()), main));
    assert!(dest.join("moved.txt").is_file());
    check(&place, &store);
}

#[test]
fn a_head_that_another_hub_has_comes_whole_also_where_it_only_moved_a_file() {
    let place = Place::with_history();
    let store = partial(&place, "rig.git", "blob:none");
    place.git(&["clone", "-q", "--bare", "origin.git", "hub.git"]);
    std::fs::create_dir(place.path("work/moved")).unwrap();
    place.work(&["mv", "dir2/sub/file.txt", "moved/file.txt"]);
    let text = std::fs::read_to_string(place.path("work/dir3/sub/file.txt")).unwrap();
    let head = place.commit("dir3/sub/file.txt", &format!("{text}one more line\n"));
    place.work(&["push", "-q", "../hub.git", "HEAD:refs/gt/mr/wi-mr-abc12"]);
    let hub = place.path("hub.git").to_str().unwrap().to_owned();
    assert_eq!(fetched(&store, &hub, "refs/gt/mr/wi-mr-abc12"), head);
    for path in ["moved/file.txt", "dir3/sub/file.txt"] {
        let id = ObjectId::from_hex(place.work(&["rev-parse", &format!("HEAD:{path}")]).as_bytes()).unwrap();
        assert!(store.repo.has_object(id), "{path} is missing");
    }
    place.git_in(store.dir(), &["update-ref", "refs/gt/mr/wi-mr-abc12", &head.to_string()]);
    check(&place, &store);
}

#[test]
fn a_push_needs_no_file_that_the_other_side_has() {
    let place = Place::with_history();
    let store = partial(&place, "rig.git", "blob:none");
    let main = place.id(&place.path("origin.git"), "main");
    place.git(&["clone", "-q", "--bare", "origin.git", "hub.git"]);
    place.git(&["init", "-q", "--bare", "empty.git"]);
    // A commit that moves a file which is not here, and changes another one.
    let scratch = place.path("scratch-index");
    let at = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        command
            .args(args)
            .current_dir(store.dir())
            .env("GIT_DIR", store.dir())
            .env("GIT_WORK_TREE", place.home.path())
            .env("GIT_INDEX_FILE", &scratch)
            .env("GIT_NO_LAZY_FETCH", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "a").env(format!("GIT_{who}_EMAIL"), "a@example.org");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let moved = at(&["rev-parse", "main:dir2/sub/file.txt"]);
    at(&["read-tree", "main"]);
    at(&["update-index", "--force-remove", "dir2/sub/file.txt"]);
    at(&["update-index", "--add", "--cacheinfo", &format!("100644,{moved},elsewhere/file.txt")]);
    std::fs::write(place.path("fresh"), "fresh\n").unwrap();
    let fresh = at(&["hash-object", "-w", place.path("fresh").to_str().unwrap()]);
    at(&["update-index", "--add", "--cacheinfo", &format!("100644,{fresh},dir3/sub/file.txt")]);
    let tree = at(&["write-tree", "--missing-ok"]);
    let commit = at(&["commit-tree", &tree, "-p", "main", "-m", "Move"]);
    at(&["update-ref", "refs/heads/work", &commit]);
    let head = ObjectId::from_hex(commit.as_bytes()).unwrap();
    let before = missing(&place, store.dir());
    for name in ["origin.git", "hub.git"] {
        let url = place.path(name).to_str().unwrap().to_owned();
        assert_eq!(pushed(&store, &url, &[to("refs/heads/work", None, Some(head))]), [Outcome::Accepted], "{name}");
        place.fsck(&place.path(name));
        assert_eq!(missing(&place, store.dir()), before, "{name}: files were fetched that are there");
    }
    // Who has nothing gets everything.
    let url = place.path("empty.git").to_str().unwrap().to_owned();
    assert_eq!(pushed(&store, &url, &[to("refs/heads/work", None, Some(head))]), [Outcome::Accepted]);
    place.fsck(&place.path("empty.git"));
    assert!(missing(&place, store.dir()).len() < before.len());
    assert_eq!(place.id(&place.path("empty.git"), "work"), head);
    assert_eq!(pushed(&store, &place.url(), &[to("refs/heads/main", Some(main), Some(head))]), [Outcome::Accepted]);
    check(&place, &store);
}

#[test]
fn merges_and_renames_are_those_of_a_whole_repository_and_each_costs_one_request() {
    let world = World::new();
    world.bare(&["config", "uploadpack.allowFilter", "true"]);
    let mut merges = Vec::new();
    world.commit("main", &base(&mut fastrand::Rng::with_seed(1)), None);
    for seed in 100..140_u8 {
        let mut random = fastrand::Rng::with_seed(seed.into());
        let ancestor = base(&mut random);
        let side = |random: &mut fastrand::Rng| {
            let mut files: Files = ancestor.clone();
            mutate(random, &mut files, 1 + usize::from(seed % 5));
            files
        };
        let sides = [side(&mut random), side(&mut random)];
        let first = world.commit(&format!("base{seed}"), &ancestor, None);
        let heads = [(0, "ours"), (1, "theirs")].map(|(n, name)| world.commit(&format!("{name}{seed}"), &sides[n], Some(first)));
        merges.push([first, heads[0], heads[1]].map(|commit| world.tree(commit)));
    }
    let mut whole = Stacker::new(&world.store).unwrap();
    let place = Place { home: tempfile::tempdir().unwrap() };
    let mut requests = 0;
    for (n, [first, ours, theirs]) in merges.into_iter().enumerate() {
        let dir = place.path("rig.git");
        let store = clone_of(&world.git_dir, &dir, "blob:none").unwrap();
        place.git_in(&dir, &["config", "gt.durability", "none"]);
        let mut stacker = Stacker::new(&store).unwrap();
        let (expected, merged) =
            (whole.merge_trees(first, ours, theirs).unwrap(), stacker.merge_trees(first, ours, theirs).unwrap());
        assert_eq!(merged, expected, "merge {n}");
        stacker.flush().unwrap();
        // One for what is merged, and one where attributes had to be looked at.
        requests = requests.max(marks(&dir) - 1);
        for side in [ours, theirs] {
            assert_eq!(
                diff::renames(&store, first, side).unwrap(),
                diff::renames(&world.store, first, side).unwrap(),
                "merge {n}"
            );
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
    assert!((1..=2).contains(&requests), "{requests} requests for one merge");
}

#[test]
fn maintenance_gathers_what_came_bit_by_bit_and_keeps_the_marks() {
    let place = Place::with_history();
    for n in 0..30 {
        place.commit(&format!("many/{n}/file.txt"), &format!("{n}\n").repeat(20 + n));
    }
    place.work(&["push", "-q", "../origin.git", "main"]);
    let store = partial(&place, "rig.git", "blob:none");
    let main = place.id(&place.path("origin.git"), "main");
    let own = place.local_commit("own.txt", "own\n");
    let mut gathered = 0;
    for n in 0..30 {
        assert_eq!(bring(&store, main, &[&format!("many/{n}")]), if n == 0 { 2 } else { 1 });
        let before = missing(&place, store.dir());
        gathered += usize::from(maintenance::pack(&store, How::Usual).unwrap() == Packing::Gathered);
        assert_eq!(missing(&place, store.dir()), before);
    }
    assert!((3..=5).contains(&gathered) && marks(store.dir()) < 11, "{gathered} times, {} packs", marks(store.dir()));
    check(&place, &store);
    let before = missing(&place, store.dir());
    assert_eq!(maintenance::pack(&store, How::Whole).unwrap(), Packing::PackedWhole);
    assert_eq!((missing(&place, store.dir()), marks(store.dir())), (before, 1));
    let fresh = Store::open(store.dir()).unwrap();
    assert!(fresh.repo.has_object(own) && bring(&fresh, main, &["many"]) == 0);
    check(&place, &fresh);
}
