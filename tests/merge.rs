//! Merging ledgers: the same commit from either side, nothing lost without trace, everything whole again.

pub mod world;

use gastown::error::Kind;
use gastown::ledger::merge::{Join, merge};
use gastown::ledger::{Ledger, history};
use gastown::model::bead::IssueType;
use gastown::model::merge::Conflict;
use gastown::model::merge_request::{MergeRequest, MrState};
use proptest::prelude::*;
use tempfile::TempDir;
use world::{Step, World, bare, found, git, late_step, step};

fn check_converges(replicas: usize, steps: &[(usize, Step)], exchanges: &[(usize, usize)]) {
    let mut world = World::new(replicas);
    for (at, step) in steps {
        world.run(at % replicas, step);
    }
    // Pairs meet in any order; then each with the first, there and back, so that all have heard of all.
    let rounds = (1..replicas).map(|n| (0, n)).chain((1..replicas).map(|n| (n, 0)));
    for (a, b) in exchanges.iter().copied().chain(rounds) {
        world.pull(a % replicas, b % replicas);
    }
    assert!(world.tips.iter().all(|tip| *tip == world.tips[0]), "the replicas do not agree");
    assert!(world.archives.iter().all(|tip| *tip == world.archives[0]), "the archives do not agree");
    let text = world.text(0);
    let lost: Vec<&String> = world.acknowledged.iter().filter(|word| !text.contains(word.as_str())).collect();
    assert!(lost.is_empty(), "lost without trace: {lost:?}");
    let tips: Vec<String> = world.tips.iter().map(ToString::to_string).collect();
    git(&world.dir, &["fsck", "--strict", "--no-dangling", tips[0].as_str()]);
}

proptest! {
    #![proptest_config(crate::chance::cases(48, 400))]

    #[test]
    fn replicas_converge_and_nothing_acknowledged_is_lost_without_trace(
        replicas in 2..6usize,
        steps in proptest::collection::vec((0..5usize, step()), 5..60),
        exchanges in proptest::collection::vec((0..5usize, 0..5usize), 0..8),
    ) {
        check_converges(replicas, &steps, &exchanges);
    }

    #[test]
    fn what_replicas_archive_edit_and_reopen_beside_each_other_is_in_the_ledger_or_in_the_archive(
        replicas in 2..4usize,
        late in proptest::collection::vec((0..3usize, late_step()), 5..20),
        exchanges in proptest::collection::vec((0..3usize, 0..3usize), 0..4),
    ) {
        let mut steps = vec![(0, Step::Create), (0, Step::Close(0)), (1, Step::Pull(0)), (replicas - 1, Step::Pull(0))];
        steps.extend(late);
        check_converges(replicas, &steps, &exchanges);
    }
}

#[test]
fn a_title_that_only_an_archived_copy_has_outlives_the_next_archiving() {
    let steps = [
        (0, Step::Create),
        (0, Step::Close(0)),
        (1, Step::Pull(0)),
        (0, Step::Title(0)),
        (0, Step::Archive(0)),
        (1, Step::Comment(0)),
        (0, Step::Pull(1)),
        (0, Step::Archive(0)),
    ];
    check_converges(2, &steps, &[]);
}

#[test]
fn of_two_assignments_the_first_keeps_and_the_other_is_told() {
    let mut world = World::new(2);
    world.run(0, &Step::Create);
    world.pull(1, 0);
    world.run(1, &Step::Title(0));
    world.run(1, &Step::Sling(0, 0));
    world.run(0, &Step::Sling(0, 0));
    world.pull(0, 1);
    let state = world.ledger().state_at(world.tips[0]).unwrap();
    let hooks = state.hooks().unwrap();
    assert_eq!(hooks.len(), 1);
    assert_eq!(hooks[0].machine, "mach0", "its clock was lower");
    let (conflicts, _) = state.all::<Conflict>("conflicts").unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].rule, "assigned-first");
    assert_eq!(conflicts[0].overruled["assignee"], "widgets/polecats/toast1_0");
}

#[test]
fn of_two_live_requests_of_one_bead_that_of_the_kept_assignment_stays() {
    let mut world = World::new(2);
    world.run(0, &Step::Create);
    world.pull(1, 0);
    world.run(1, &Step::Title(0));
    for at in [0, 1] {
        world.run(at, &Step::Sling(0, 0));
        world.run(at, &Step::Done(0));
    }
    world.pull(0, 1);
    let state = world.ledger().state_at(world.tips[0]).unwrap();
    let requests = state.beads_of(&IssueType::MergeRequest).unwrap();
    let told: Vec<(MrState, bool, String)> = requests
        .iter()
        .map(|bead| MergeRequest::of(bead).map(|mr| (mr.state, bead.status.is_closed(), mr.author)).unwrap())
        .collect();
    assert!(told.contains(&(MrState::Queued, false, "widgets/polecats/toast0_0".into())), "{told:?}");
    assert!(told.contains(&(MrState::Superseded, true, "widgets/polecats/toast1_0".into())), "{told:?}");
}

#[test]
fn merges_that_cross_have_several_bases_and_still_agree() {
    let mut world = World::new(2);
    world.run(0, &Step::Create);
    world.pull(1, 0);
    world.run(0, &Step::Line(0));
    world.run(1, &Step::Line(0));
    let before = world.tips.clone();
    world.pull(0, 1);
    let merged = world.tips[0];
    // The other side made a change and merged the old tip, not the merge.
    world.run(0, &Step::Title(0));
    let changed = world.tips[0];
    world.tips = vec![before[0], before[1]];
    world.run(0, &Step::Note(0));
    world.pull(0, 1);
    world.tips[1] = changed;
    let bases = history::compare(&world.ledger().store, &[world.tips[0]], &[changed]).unwrap().bases;
    assert_eq!(bases.len(), 2);
    assert_ne!(merged, world.tips[0]);
    world.pull(0, 1);
    world.pull(1, 0);
    assert_eq!(world.tips[0], world.tips[1]);
}

#[test]
fn ledgers_begun_apart_are_merged_only_on_request_and_only_of_one_scope() {
    let place = TempDir::new().unwrap();
    let mut tips = Vec::new();
    let dir = place.path().join("all.git");
    for (n, prefix) in ["wi", "wi", "xy"].into_iter().enumerate() {
        let one = place.path().join(format!("{n}.git"));
        bare(&one);
        let ledger = Ledger::open(&one, &format!("mach{n}")).unwrap();
        found(&ledger, prefix);
        tips.push(ledger.tip().unwrap().unwrap());
    }
    bare(&dir);
    for n in 0..3 {
        git(
            &dir,
            &["fetch", "-q", place.path().join(format!("{n}.git")).to_str().unwrap(), &format!("refs/gt/ledger:refs/x/{n}")],
        );
    }
    let ledger = Ledger::open(&dir, "m").unwrap();
    let error = merge(&ledger.store, tips[0], tips[1], Join::Related).err().unwrap();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.message.contains("widgets"));
    let one = merge(&ledger.store, tips[0], tips[1], Join::Apart).unwrap();
    assert_eq!(one.commit, merge(&ledger.store, tips[1], tips[0], Join::Apart).unwrap().commit);
    let error = merge(&ledger.store, tips[0], tips[2], Join::Apart).err().unwrap();
    assert!(error.message.contains("wi") && error.message.contains("xy"), "{}", error.message);
}

#[test]
fn a_clock_that_was_set_forward_by_a_stranger_is_refused() {
    let mut world = World::new(2);
    world.run(0, &Step::Create);
    world.run(1, &Step::Create);
    let tree = git(&world.dir, &["rev-parse", &format!("{}^{{tree}}", world.tips[1])]);
    let parent = world.tips[1].to_string();
    let forged = git(
        &world.dir,
        &["-c", "user.name=x", "-c", "user.email=x@y", "commit-tree", tree.trim(), "-p", &parent, "-m", "x\n\nGt-Rev: 999999999"],
    );
    let forged = forged.trim().parse().unwrap();
    let ledger = Ledger::open(&world.dir, "m").unwrap();
    let error = merge(&ledger.store, world.tips[0], forged, Join::Related).err().unwrap();
    assert_eq!(error.kind, Kind::Corrupt);
    assert!(error.message.contains("999999999"));
}

#[test]
fn a_damaged_record_yields_to_a_sound_one_and_spoils_nothing_else() {
    let mut world = World::new(2);
    world.run(0, &Step::Create);
    world.pull(1, 0);
    world.run(0, &Step::Title(0));
    world.run(1, &Step::Create);
    // A stranger's tool wrote rubbish over the first bead.
    let listing = git(&world.dir, &["ls-tree", "-r", &world.tips[1].to_string(), "beads/"]);
    let path = listing.lines().next().unwrap().split('\t').nth(1).unwrap().to_owned();
    std::fs::write(world.dir.join("rubbish"), "not a record").unwrap();
    let blob = git(&world.dir, &["hash-object", "-w", "rubbish"]);
    let tip = world.tips[1].to_string();
    let index = format!("{}/strange-index", world.dir.display());
    let run = |args: &[&str]| {
        let output = std::process::Command::new("git").args(args).current_dir(&world.dir).env("GIT_INDEX_FILE", &index).output();
        String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
    };
    run(&["read-tree", &tip]);
    run(&["update-index", "--cacheinfo", &format!("100644,{},{path}", blob.trim())]);
    let tree = run(&["write-tree"]);
    let rev = 1 + world.ledger().state_at(world.tips[1]).unwrap().rev_number();
    let message = format!("x\n\nGt-Rev: {rev}");
    let commit = run(&["-c", "user.name=x", "-c", "user.email=x@y", "commit-tree", &tree, "-p", &tip, "-m", &message]);
    let ledger = Ledger::open(&world.dir, "m").unwrap();
    let merged = merge(&ledger.store, world.tips[0], commit.parse().unwrap(), Join::Related).unwrap();
    ledger.store.write(&merged.batch).unwrap();
    let (beads, damaged) = ledger.state_at(merged.commit).unwrap().beads().unwrap();
    assert_eq!((beads.len(), damaged.len()), (2, 0));
}
