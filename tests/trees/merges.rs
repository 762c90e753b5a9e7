//! Merges of generated changes: the same tree as git's, or a conflict in the same paths.

use gastown::git::merge::{self, Merged, Stacker};
use gix::ObjectId;

use super::world::{Files, ParseId as _, World, base, file, mutate};

fn by_git(world: &World, base: ObjectId, ours: ObjectId, theirs: ObjectId) -> Merged {
    asked_git(world, ours, &[&format!("--merge-base={base}"), &ours.to_string(), &theirs.to_string()])
}

/// What `git merge-tree` says of `words`, by the attributes of `ours`.
fn asked_git(world: &World, ours: ObjectId, words: &[&str]) -> Merged {
    let attributes = format!("--attr-source={ours}");
    let before = ["--git-dir=.", &attributes, "merge-tree", "--write-tree", "--no-messages", "--name-only", "-z"];
    let words = [&before, words].concat();
    let (is_clean, stdout, stderr) = world.try_git(&world.git_dir, &words, b"");
    assert_eq!(stderr, "");
    let mut fields = stdout.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    let tree = String::from_utf8(fields.next().unwrap().to_vec()).unwrap().parse_id();
    if is_clean {
        return Merged::Clean(tree);
    }
    let mut paths: Vec<String> = fields.map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    paths.sort();
    paths.dedup();
    Merged::Conflict(paths)
}

#[test]
fn generated_merges_end_as_git_ends_them() {
    let world = World::new();
    let mut stacker = Stacker::new(&world.store).unwrap();
    let (mut clean, mut conflicts) = (0, 0);
    for seed in 0..80_u8 {
        let mut random = fastrand::Rng::with_seed(seed.into());
        let ancestor = base(&mut random);
        let count = 1 + usize::from(seed % 5);
        let sides: Vec<Files> = (0..2)
            .map(|_| {
                let mut files = ancestor.clone();
                mutate(&mut random, &mut files, count);
                files
            })
            .collect();
        let ancestor = world.commit(&format!("base{seed}"), &ancestor, None);
        let ours = world.commit(&format!("ours{seed}"), &sides[0], Some(ancestor));
        let theirs = world.commit(&format!("theirs{seed}"), &sides[1], Some(ancestor));
        assert_eq!(merge::merge_base(&world.store, ours, theirs).unwrap(), Some(ancestor));
        let [ancestor, ours, theirs] = [ancestor, ours, theirs].map(|commit| world.tree(commit));
        let expected = by_git(&world, ancestor, ours, theirs);
        assert_eq!(stacker.merge_trees(ancestor, ours, theirs).unwrap(), expected, "seed {seed}");
        match expected {
            Merged::Clean(_) => clean += 1,
            Merged::Conflict(_) => conflicts += 1,
        }
    }
    assert!(clean >= 25 && conflicts >= 15, "{clean} clean, {conflicts} conflicts");
    stacker.flush().unwrap();
    world.fsck();
}

/// What git and gix call a file that a directory pushed aside ends with the side that it is of, in words of their own.
fn unlabelled(merged: Merged) -> Merged {
    let cut = |path: &String| path.split('~').next().unwrap_or_default().to_owned();
    match merged {
        Merged::Conflict(paths) => Merged::Conflict(paths.iter().map(cut).collect()),
        clean @ Merged::Clean(_) => clean,
    }
}

#[test]
fn histories_that_crossed_merge_as_gits_recursive_strategy_merges_them() {
    let world = World::new();
    let mut stacker = Stacker::new(&world.store).unwrap();
    let mut clean = 0;
    for seed in 0..24_u8 {
        let mut random = fastrand::Rng::with_seed(u64::from(seed) + 500);
        let ancestor = base(&mut random);
        let mut sides: Vec<Files> = vec![ancestor.clone(); 2];
        for files in &mut sides {
            mutate(&mut random, files, 1);
        }
        let ancestor = world.commit(&format!("base{seed}"), &ancestor, None);
        let [one, two] = [0, 1].map(|at| world.commit(&format!("side{at}-{seed}"), &sides[at], Some(ancestor)));
        let [base, left, right] = [ancestor, one, two].map(|commit| world.tree(commit));
        let Merged::Clean(both) = by_git(&world, base, left, right) else { continue };
        // Each side takes the other in, and goes on.
        let crossed = |first: ObjectId, second: ObjectId| -> ObjectId {
            let (first, second) = (first.to_string(), second.to_string());
            world.bare(&["commit-tree", "-m", "both", "-p", &first, "-p", &second, &both.to_string()]).parse_id()
        };
        let ends = [(0, crossed(one, two)), (1, crossed(two, one))].map(|(at, merged)| {
            let mut files = sides[at].clone();
            mutate(&mut random, &mut files, 1);
            world.commit(&format!("end{merged}"), &files, Some(merged))
        });
        let bases = merge::merge_bases(&world.store, ends[0], ends[1]).unwrap();
        assert_eq!(bases.len(), 2);
        let [ours, theirs] = ends.map(|end| world.tree(end));
        let base = stacker.base_tree(&bases).unwrap();
        let expected = asked_git(&world, ours, &[&ends[0].to_string(), &ends[1].to_string()]);
        assert_eq!(unlabelled(stacker.merge_trees(base, ours, theirs).unwrap()), unlabelled(expected.clone()), "seed {seed}");
        clean += u8::from(matches!(expected, Merged::Clean(_)));
    }
    assert!(clean >= 4, "{clean} clean");
}

#[test]
fn a_stack_stays_in_memory_until_it_is_flushed() {
    let world = World::new();
    let ancestor = base(&mut fastrand::Rng::with_seed(1));
    let first = world.commit("base", &ancestor, None);
    let mut stacker = Stacker::new(&world.store).unwrap();
    let mut tip = world.tree(first);
    for at in 0..10 {
        let mut files = ancestor.clone();
        files.insert(format!("added/{at}").into_bytes(), file("x\n"));
        let at = world.tree(world.commit(&format!("side{at}"), &files, Some(first)));
        let Merged::Clean(merged) = stacker.merge_trees(world.tree(first), tip, at).unwrap() else { panic!("a conflict") };
        tip = merged;
    }
    let words = ["--git-dir=.", "cat-file", "-t", &tip.to_string()];
    assert!(!world.try_git(&world.git_dir, &words, b"").0, "it is on disk already");
    stacker.flush().unwrap();
    assert_eq!(world.bare(&["ls-tree", "--name-only", &format!("{tip}:added")]).lines().count(), 10);
    stacker.flush().unwrap();
    world.fsck();
}

#[test]
fn a_conflict_leaves_nothing_behind_and_the_next_merge_still_stacks() {
    let world = World::new();
    let write = |name: &str, text: &str, parent| {
        let files = Files::from([(b"a".to_vec(), file(text)), (name.as_bytes().to_vec(), file("n\n"))]);
        world.tree(world.commit(name, &files, parent))
    };
    let base = world.tree(world.commit("base", &Files::from([(b"a".to_vec(), file("1\n"))]), None));
    let (one, two, three) = (write("one", "2\n", None), write("two", "3\n", None), write("three", "1\n", None));
    let mut stacker = Stacker::new(&world.store).unwrap();
    let before = world.bare(&["count-objects"]);
    assert_eq!(stacker.merge_trees(base, one, two).unwrap(), Merged::Conflict(vec!["a".into()]));
    assert!(matches!(stacker.merge_trees(base, one, three).unwrap(), Merged::Clean(_)));
    assert_eq!(world.bare(&["count-objects"]), before);
    let left: Vec<_> = std::fs::read_dir(world.store.private_dir()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("tmp")), "{left:?}");
}

#[test]
fn the_attributes_of_the_side_merged_onto_count_also_when_a_merge_changed_them() {
    let world = World::new();
    let plain = Files::from([(b"list".to_vec(), file("1\n"))]);
    let base = world.tree(world.commit("base", &plain, None));
    let side = |name: &str, text: &str| world.tree(world.commit(name, &Files::from([(b"list".to_vec(), file(text))]), None));
    let (one, two) = (side("one", "1\na\n"), side("two", "1\nb\n"));
    let mut with = plain.clone();
    with.insert(b".gitattributes".to_vec(), file("list merge=union\n"));
    let with = world.tree(world.commit("with", &with, None));
    let mut stacker = Stacker::new(&world.store).unwrap();
    assert!(matches!(stacker.merge_trees(base, one, two).unwrap(), Merged::Conflict(_)));
    let Merged::Clean(tip) = stacker.merge_trees(base, one, with).unwrap() else { panic!("a conflict") };
    assert!(matches!(stacker.merge_trees(base, tip, two).unwrap(), Merged::Clean(_)));
}
