//! Measurements, to be run in a release build: a worktree of 5,000 files beside `git worktree add`, and a stack of merges.

use std::time::Instant;

use gastown::git::merge::{Merged, Stacker};
use gastown::git::worktree::{self, Head};
use gastown::store::Store;

use super::world::{Files, World};

const FILES: usize = 5_000;
const PAIRS: usize = 11;

#[test]
#[ignore = "a measurement; run it alone, in a release build, with --nocapture"]
fn a_worktree_of_5000_files_takes_at_most_a_fifth_longer_than_git_needs() {
    let world = World::new();
    let mut random = fastrand::Rng::with_seed(1);
    let mut files = Files::new();
    for at in 0..FILES {
        let lines = random.usize(10..200);
        let text = source(&mut random, lines);
        files.insert(format!("src/module{}/part{}/file{at}.rs", at % 40, at % 7).into_bytes(), (0o100_644, text));
    }
    let commit = world.commit("main", &files, None);
    let mut ratios = Vec::new();
    let (mut ours_all, mut git_all) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let ours = |dest: &str| {
            let start = Instant::now();
            let store = Store::open(&world.git_dir).unwrap();
            worktree::add(&store, &world.path(dest), Head::Branch { name: dest, at: commit }).unwrap();
            start.elapsed().as_secs_f64() * 1000.0
        };
        let git = |dest: &str| {
            let path = world.path(dest);
            let start = Instant::now();
            world.bare(&["worktree", "add", "-q", "-b", dest, path.to_str().unwrap(), &commit.to_string()]);
            start.elapsed().as_secs_f64() * 1000.0
        };
        // Who goes first alternates; nothing is deleted in between, which would slow the file system down.
        let (a, b) = (format!("ours{pair}"), format!("git{pair}"));
        let (mine, gits) = if pair % 2 == 0 {
            let mine = ours(&a);
            (mine, git(&b))
        } else {
            let gits = git(&b);
            (ours(&a), gits)
        };
        ratios.push(mine / gits);
        ours_all.push(mine);
        git_all.push(gits);
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (ours, git, ratio) = (median(&mut ours_all), median(&mut git_all), median(&mut ratios));
    eprintln!("ours {ours:.0} ms, git {git:.0} ms, median ratio of pairs {ratio:.2}");
    assert!(ratio <= 1.2, "{ratio:.2}");
}

#[test]
#[ignore = "a measurement; run it alone, in a release build, with --nocapture"]
fn a_change_is_stacked_in_at_most_6_ms() {
    const CHANGES: u32 = 32;
    let world = World::new();
    let mut random = fastrand::Rng::with_seed(1);
    let mut files = Files::new();
    for at in 0..3_000 {
        files.insert(format!("src/module{}/file{at}.rs", at % 40).into_bytes(), (0o100_644, source(&mut random, 100)));
    }
    let base = world.commit("main", &files, None);
    let names: Vec<Vec<u8>> = files.keys().cloned().collect();
    let changes: Vec<_> = (0..CHANGES)
        .map(|at| {
            let mut changed = files.clone();
            for _ in 0..5 {
                let bytes = &mut changed.get_mut(random.choice(&names).unwrap()).unwrap().1;
                bytes.splice(0..0, *b"// changed\n");
            }
            changed.insert(format!("new/{at}").into_bytes(), (0o100_644, b"new\n".to_vec()));
            world.tree(world.commit(&format!("c{at}"), &changed, Some(base)))
        })
        .collect();
    let base = world.tree(base);
    let store = Store::open(&world.git_dir).unwrap();
    let start = Instant::now();
    let mut stacker = Stacker::new(&store).unwrap();
    let mut tip = base;
    let mut conflicts = 0;
    for change in changes {
        match stacker.merge_trees(base, tip, change).unwrap() {
            Merged::Clean(tree) => tip = tree,
            Merged::Conflict(_) => conflicts += 1,
        }
    }
    let took = start.elapsed().as_secs_f64() * 1000.0 / f64::from(CHANGES);
    let start = Instant::now();
    stacker.flush().unwrap();
    let flush = start.elapsed().as_secs_f64() * 1000.0;
    eprintln!("{took:.2} ms a change, {conflicts} conflicts, flush {flush:.0} ms");
    assert!(took <= 6.0);
}

/// Text as of a program.
fn source(random: &mut fastrand::Rng, lines: usize) -> Vec<u8> {
    (0..lines).flat_map(|_| format!("let value_{} = {};\n", random.u16(..), random.u32(..)).into_bytes()).collect()
}
