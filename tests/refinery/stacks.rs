//! Requests that stand on others: parents first, and no child without its parent.

use gastown::error::Kind;
use gastown::model::merge_request::{Mode, MrState};
use gastown::model::protocol::Protocol;
use gastown::name::BeadId;
use gastown::ops::refinery::{self, Event, Submission};

use super::world::{World, git};

/// A child of the branch `parent` that changes `files`, and its request.
fn child(world: &World, name: &str, parent: &str, files: &[(&str, &str)]) -> (BeadId, BeadId) {
    let bead = world.bead(name);
    world.branch(name, parent, files);
    let mr = world.submit(&bead, name).unwrap();
    (bead, mr)
}

fn raise(world: &World, mr: &BeadId, priority: u8) {
    world.change(|change| {
        let mut bead = change.bead(mr)?;
        bead.priority = priority;
        change.put_bead(&bead)
    });
}

#[test]
fn a_child_lands_after_its_parent_though_it_is_more_urgent_and_the_parent_is_squashed() {
    let mut world = World::with_gate();
    let (_, other) = world.request("other", &[("other", "x\n")]);
    // Parent and child change the same line: only the parent's head as ground merges without a conflict.
    let (_, parent) = world.request("parent", &[("shared.txt", "one\nparent\nthree\n")]);
    let (_, first) = child(&world, "child", "parent", &[("shared.txt", "one\nparent and child\nthree\n")]);
    raise(&world, &first, 0);
    assert_eq!(world.mr(&first).depends_on, std::slice::from_ref(&parent));
    assert_eq!(world.mr(&first).base, world.mr(&parent).head);
    let listed: Vec<BeadId> = refinery::list(&world.town(), &world.rig(), false).unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(listed, [parent.clone(), first.clone(), other.clone()]);
    assert_eq!(world.run().unwrap().landed, [parent, first, other]);
    assert_eq!(world.runs(), 1);
    assert_eq!(git(&world.repo(), &["show", "main:shared.txt"]), "one\nparent and child\nthree");
    world.is_sound();
}

#[test]
fn a_child_that_is_handed_in_after_its_parent_landed_squashed_is_stacked_cleanly() {
    let mut world = World::with_gate();
    let (_, parent) = world.request("parent", &[("shared.txt", "one\nparent\nthree\n")]);
    assert_eq!(world.run().unwrap().landed, std::slice::from_ref(&parent));
    // Target and child both go on from the parent's lines: only with the parent's head as ground do these agree.
    world.push_main(&[("shared.txt", "one\nparent\nthree and four\n")]);
    let (_, mr) = child(&world, "child", "parent", &[("shared.txt", "zero and one\nparent\nthree\n")]);
    assert_eq!(world.mr(&mr).depends_on, std::slice::from_ref(&parent));
    assert_eq!(world.run().unwrap().landed, std::slice::from_ref(&mr));
    assert_eq!(git(&world.repo(), &["show", "main:shared.txt"]), "zero and one\nparent\nthree and four");
    world.is_sound();
}

#[test]
fn in_every_mode_a_child_stands_on_its_parent() {
    for (above, below) in [
        (Mode::Squash, Mode::Rebase),
        (Mode::Rebase, Mode::Squash),
        (Mode::Merge, Mode::Squash),
        (Mode::Rebase, Mode::Merge),
        (Mode::Ff, Mode::Ff),
        (Mode::Squash, Mode::Ff),
    ] {
        let mut world = World::with_gate();
        world.branch("parent", "main", &[("shared.txt", "one\nparent\nthree\n")]);
        let (_, parent) = world.request_of("parent", below);
        world.branch("child", "parent", &[("shared.txt", "one\nchild\nthree\n")]);
        let (_, mr) = world.request_of("child", above);
        assert_eq!(world.run().unwrap().landed, [parent, mr], "{above:?} on {below:?}: {:#?}", world.lines());
        assert_eq!(git(&world.repo(), &["show", "main:shared.txt"]), "one\nchild\nthree");
        world.is_sound();
    }
}

#[test]
fn a_child_whose_parent_is_sent_back_is_held_and_told_and_goes_on_with_the_parents_next_head() {
    let mut world = World::with_gate();
    let (work, parent) = world.request("parent", &[("shared.txt", "one\nparent\nthree\n"), ("bad", "x\n")]);
    let (_, mr) = child(&world, "child", "parent", &[("child", "x\n")]);
    let (_, third) = world.request("third", &[("third", "x\n")]);
    let drained = world.run().unwrap();
    assert_eq!((drained.evicted, drained.landed), (vec![parent.clone()], vec![third]));
    assert_eq!(drained.held.into_iter().collect::<Vec<_>>(), std::slice::from_ref(&mr));
    let reason = world.mr(&mr).held_reason.unwrap();
    assert!(reason.starts_with(&format!("parent not landed: it stands on {parent}, which was sent back")), "{reason}");
    let told = |world: &World| world.mail().into_iter().filter(|one| matches!(one, Protocol::MergeHeld { .. })).count();
    assert_eq!(told(&world), 1);
    world.run().unwrap();
    assert_eq!((told(&world), world.mr(&mr).state), (1, MrState::Held), "told once");

    // The parent's work comes again, amended: the child follows it.
    world.branch("parent", "main", &[("shared.txt", "one\nbetter\nthree\n")]);
    let again = world.submit(&work, "parent").unwrap();
    let drained = world.run().unwrap();
    assert_eq!(drained.landed, [again, mr.clone()], "{:#?}", world.lines());
    assert!(world.events.contains(&Event::Resumed { mr }));
    assert!(world.files("main").contains(&"child".to_owned()) && !world.files("main").contains(&"bad".to_owned()));
    world.is_sound();
}

#[test]
fn a_conflict_of_a_child_is_told_apart_from_one_with_others_ahead() {
    // With another that is ahead: held, though its parent is in the stack above that one.
    let mut world = World::with_gate();
    let (_, ahead) = world.request("ahead", &[("shared.txt", "one\nahead\nthree\n")]);
    let (_, parent) = world.request("parent", &[("parent", "x\n")]);
    let (_, mr) = child(&world, "child", "parent", &[("shared.txt", "one\nchild\nthree\n")]);
    let drained = world.run().unwrap();
    assert_eq!((drained.landed, drained.evicted), (vec![ahead.clone(), parent], vec![mr.clone()]));
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, Event::Held { mr: held, reason } if *held == mr && reason.contains(ahead.as_str())))
    );
    // With the target, its parent's change not counted.
    let mut world = World::with_gate();
    let (_, parent) = world.request("parent", &[("parent", "x\n")]);
    let (_, mr) = child(&world, "child", "parent", &[("shared.txt", "one\nchild\nthree\n")]);
    world.push_main(&[("shared.txt", "one\nhand\nthree\n")]);
    let drained = world.run().unwrap();
    assert_eq!((drained.landed, drained.evicted), (vec![parent.clone()], vec![mr.clone()]));
    let blame = world.mr(&mr).blame.unwrap();
    assert_eq!(blame.files, ["shared.txt"]);
    assert!(blame.reproduce.contains(&format!("--merge-base={}", &world.mr(&parent).head[..8])), "{}", blame.reproduce);
}

#[test]
fn requests_that_are_told_to_wait_for_another_do_so_though_they_are_not_built_upon_it() {
    let mut world = World::with_gate();
    let (_, first) = world.request("bad", &[("bad", "x\n")]);
    let bead = world.bead("after");
    world.branch("after", "main", &[("after", "x\n")]);
    let after = Submission { after: vec![first.clone()], ..World::submission(&bead, "after") };
    let mr = world.file(&after).unwrap();
    let drained = world.run().unwrap();
    assert_eq!((drained.landed.len(), drained.evicted, drained.held.len()), (0, vec![first.clone()], 1));
    // Nothing lands after what was sent back, unless it comes again.
    let other = world.bead("other");
    world.branch("other", "main", &[("other", "x\n")]);
    let refused = world.file(&Submission { after: vec![first], ..World::submission(&other, "other") }).unwrap_err();
    assert_eq!(refused.kind, Kind::Refused);
    let missing = world.file(&Submission { after: vec![other.clone()], ..World::submission(&other, "other") }).unwrap_err();
    assert_eq!(missing.kind, Kind::NotFound);
    assert!(world.rig().ledger.store.refs_below("refs/gt/mr/").unwrap().len() == 2, "no pin of what was refused");
    assert_eq!(world.mr(&mr).state, MrState::Held);
}

#[test]
fn a_chain_of_children_lands_in_order_and_the_upper_ones_wait_when_one_in_the_middle_is_bad() {
    let mut world = World::with_gate();
    let (_, one) = world.request("one", &[("one", "x\n")]);
    let (_, two) = child(&world, "two", "one", &[("two", "x\n"), ("bad", "x\n")]);
    let (_, three) = child(&world, "three", "two", &[("three", "x\n")]);
    let (_, four) = child(&world, "four", "three", &[("four", "x\n")]);
    assert_eq!(world.mr(&four).depends_on, std::slice::from_ref(&three), "only the nearest");
    let drained = world.run().unwrap();
    assert_eq!((drained.landed, drained.evicted), (vec![one], vec![two]));
    assert_eq!(drained.held.into_iter().collect::<Vec<_>>().len(), 2);
    assert_eq!([world.mr(&three).state, world.mr(&four).state], [MrState::Held; 2]);
    assert!(!world.files("main").contains(&"three".to_owned()));
}

#[test]
fn a_conflict_with_one_ahead_is_told_to_the_author_once_for_a_pair_of_heads() {
    let mut world = World::new();
    // The gate cannot say: nothing lands, and the stack is built again and again.
    world.gate("test", "exit 125");
    let (_, first) = world.request("first", &[("shared.txt", "one\nfirst\nthree\n")]);
    let (_, second) = world.request("second", &[("shared.txt", "one\nsecond\nthree\n")]);
    for _ in 0..2 {
        world.run().unwrap();
    }
    let told: Vec<Protocol> = world.mail();
    let [Protocol::MergeHeld { mr, other, files, theirs, .. }] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((mr, other), (&second, &first));
    assert_eq!((files.as_slice(), theirs.as_slice()), (&["shared.txt".to_owned()][..], &[world.mr(&first).head][..]));
}
