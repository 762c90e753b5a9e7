//! Commits made, counted and pinned; paths changed and who touched them.

use gastown::error::Kind;
use gastown::git::{commits, diff};
use gastown::store::batch::Batch;
use gastown::time::Moment;

use super::world::{Files, World, base, file, mutate};

#[test]
fn a_commit_of_ours_is_one_that_git_accepts_whatever_the_names() {
    let world = World::new();
    let parent = world.commit("main", &base(&mut fastrand::Rng::with_seed(1)), None);
    let mut batch = Batch::default();
    let author = ("widgets/polecats/<toast>\n", "a@b>");
    let text = "Fix the ∂ thing\n\nBead: gt-1\n\n\n";
    let id = commits::create(&mut batch, world.tree(parent), vec![parent], author, ("", ""), text, Moment::from_millis(-5));
    world.store.write(&batch).unwrap();
    assert_eq!(commits::message(&world.store, id).unwrap(), "Fix the ∂ thing\n\nBead: gt-1\n");
    commits::pin(&world.store, "refs/gt/mr/gt-1", id, &[parent]).unwrap();
    commits::pin(&world.store, "refs/gt/mr/gt-1", id, &[]).unwrap();
    assert_eq!(commits::pin(&world.store, "refs/gt/mr/gt-1", parent, &[]).unwrap_err().kind, Kind::Conflict);
    let none = gix::ObjectId::from_hex(&[b'1'; 40]).unwrap();
    assert_eq!(commits::pin(&world.store, "refs/gt/mr/gt-2", none, &[]).unwrap_err().kind, Kind::NotFound);
    assert_eq!(world.bare(&["log", "-1", "--format=%an %ae %cn", &id.to_string()]), "widgets/polecats/toast a@b unknown");
    world.fsck();
}

#[test]
fn commits_ahead_are_those_of_rev_list() {
    let world = World::new();
    let files = |n: u8| Files::from([(b"f".to_vec(), file(&n.to_string()))]);
    let root = world.commit("main", &files(0), None);
    let left = world.commit("left", &files(1), Some(root));
    let right = world.commit("right", &files(2), Some(root));
    let mut batch = Batch::default();
    let who = ("a", "a@b");
    let now = Moment::from_millis(1_800_000_000_000);
    let merge = commits::create(&mut batch, world.tree(left), vec![left, right], who, who, "merge", now);
    let top = commits::create(&mut batch, world.tree(left), vec![merge], who, who, "top", now);
    world.store.write(&batch).unwrap();
    for hidden in [vec![], vec![root], vec![left], vec![left, right], vec![top]] {
        let mut words = vec!["rev-list".to_owned(), "--topo-order".into(), top.to_string()];
        words.extend(hidden.iter().map(|id| format!("^{id}")));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut expected: Vec<String> = world.bare(&words).lines().map(str::to_owned).collect();
        let ahead = commits::ahead(&world.store, top, &hidden).unwrap();
        let place = |id| ahead.iter().position(|other| *other == id);
        assert!(!hidden.is_empty() || (place(top) < place(merge) && place(merge) < place(left)));
        let mut found: Vec<String> = ahead.iter().map(ToString::to_string).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }
    let none = gix::ObjectId::from_hex(&[b'1'; 40]).unwrap();
    assert_eq!(commits::ahead(&world.store, top, &[none, left, right]).unwrap(), [top, merge]);
}

#[test]
fn changed_paths_are_those_of_diff_tree() {
    let world = World::new();
    for seed in 0..10_u8 {
        let mut random = fastrand::Rng::with_seed(seed.into());
        let mut files = base(&mut random);
        let a = world.commit("a", &files, None);
        mutate(&mut random, &mut files, usize::from(seed));
        let b = world.commit("b", &files, None);
        let (a, b) = (world.tree(a), world.tree(b));
        let words = ["--git-dir=.", "diff-tree", "-r", "-z", "--no-renames", "--name-only", &a.to_string(), &b.to_string()];
        let (_, expected, _) = world.try_git(&world.git_dir, &words, b"");
        let expected = String::from_utf8_lossy(&expected).into_owned();
        let expected: std::collections::BTreeSet<_> = expected.split_terminator('\0').map(str::to_owned).collect();
        assert_eq!(diff::changed_paths(&world.store, a, b).unwrap(), expected, "seed {seed}");
    }
    let empty = gix::ObjectId::empty_tree(gix::hash::Kind::Sha1);
    assert_eq!(diff::changed_paths(&world.store, empty, empty).unwrap().len(), 0);
}

#[test]
fn the_commits_that_touched_a_path_are_named_newest_first() {
    let world = World::new();
    let mut files = Files::from([(b"a/f".to_vec(), file("0")), (b"b".to_vec(), file("0"))]);
    let root = world.commit("main", &files, None);
    files.insert(b"a/f".to_vec(), file("1"));
    let one = world.commit("first", &files, Some(root));
    files.insert(b"b".to_vec(), file("1"));
    let two = world.commit("other", &files, Some(one));
    files.insert(b"a/g".to_vec(), file("1"));
    let three = world.commit("third", &files, Some(two));
    let touching = |paths: &[&str], most| {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        diff::commits_touching(&world.store, root, three, &paths, most).unwrap()
    };
    let line = |id: gix::ObjectId, subject: &str| format!("{} {subject}", &id.to_string()[..8]);
    assert_eq!(touching(&["a"], 9), [line(three, "third"), line(one, "first")]);
    assert_eq!(touching(&["a/f"], 9), [line(one, "first")]);
    assert_eq!(touching(&["a", "b"], 1), [line(three, "third")]);
    assert!(touching(&["none", "b/below"], 9).is_empty());
}
