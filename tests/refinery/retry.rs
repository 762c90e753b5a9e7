//! The same head once more: when it may come back, and who may insist.

use gastown::error::Kind;
use gastown::model::bead::Status;
use gastown::model::merge_request::MrState;
use gastown::ops::refinery;

use super::world::World;

#[test]
fn what_was_withdrawn_comes_back_with_its_head_its_author_and_its_approvals() {
    let mut world = World::with_gate();
    world.set("review.approvals", "1");
    let (bead, old) = world.request("a", &[("a", "x\n")]);
    refinery::approve(&world.town_as("overseer"), &world.rig(), &old, "").unwrap();
    refinery::withdraw(&world.town(), &world.rig(), &old, "").unwrap();
    let filed = refinery::retry(&world.town_as("overseer"), &world.rig(), &bead, None).unwrap();
    assert_eq!((&filed.bead, world.show(&bead).status), (&bead, Status::InReview));
    let (before, after) = (world.mr(&old), world.mr(&filed.mr));
    assert_eq!((&after.head, &after.author, after.approvals.len()), (&before.head, &before.author, 1));
    assert_eq!(world.tip(&format!("refs/gt/mr/{}", filed.mr)), after.head);
    assert_eq!(world.run().unwrap().landed, [filed.mr]);
}

#[test]
fn what_waits_landed_or_is_anothers_needs_no_retry() {
    let mut world = World::with_gate();
    let (bead, mr) = world.request("a", &[("a", "x\n")]);
    let retry = |world: &World, who: &str| refinery::retry(&world.town_as(who), &world.rig(), &mr, None).unwrap_err();
    assert!(retry(&world, "overseer").message.contains("is queued and needs no retry"));
    world.run().unwrap();
    assert!(retry(&world, "overseer").message.contains("has landed"));
    let (_, other) = world.request("b", &[("b", "x\n")]);
    refinery::withdraw(&world.town(), &world.rig(), &other, "").unwrap();
    let theirs = refinery::retry(&world.town_as("widgets/polecats/nux"), &world.rig(), &other, None).unwrap_err();
    assert_eq!((theirs.kind, world.show(&bead).status), (Kind::Refused, Status::Closed));
    let pins = world.rig().ledger.store.refs_below("refs/gt/mr/").unwrap().len();
    assert_eq!(pins, 2, "a retry that was refused leaves no pin");
}

#[test]
fn a_head_that_was_sent_back_returns_once_after_a_change_and_else_only_by_a_persons_word() {
    let mut world = World::with_gate();
    let (bead, mr) = world.request("right", &[("right", "x\n")]);
    world.push_main(&[("left", "x\n")]);
    assert_eq!(world.run().unwrap().evicted, std::slice::from_ref(&mr));
    let retry = |world: &World, who: &str, insist| refinery::retry(&world.town_as(who), &world.rig(), &bead, insist);
    let plain = retry(&world, "overseer", None).unwrap_err();
    assert_eq!(plain.kind, Kind::Refused);
    assert!(plain.hint.unwrap().contains("--force"));
    let worker = "widgets/polecats/toast";
    assert_eq!(retry(&world, worker, Some("I insist")).unwrap_err().kind, Kind::Refused);
    assert_eq!(retry(&world, "overseer", Some(" ")).unwrap_err().kind, Kind::Usage);
    assert_eq!(world.show(&bead).status, Status::Open);

    let again = retry(&world, "overseer", Some("the gate was broken")).unwrap().mr;
    assert!(world.show(&again).comments[0].text.contains("the gate was broken"));
    let log = super::world::git(&world.repo(), &["log", "--format=%an %s", "refs/gt/ledger"]);
    assert!(log.contains(&format!("overseer retry {mr} by force: the gate was broken")), "{log}");
    assert_eq!(world.run().unwrap().evicted, [again]);

    // Its second chance is used up, whatever changes.
    let (_, partner) = world.request("partner", &[("partner", "x\n")]);
    assert_eq!(world.run().unwrap().landed, [partner]);
    assert_eq!(retry(&world, worker, None).unwrap_err().kind, Kind::Refused);
}

#[test]
fn a_worker_retries_after_another_landed() {
    let mut world = World::with_gate();
    let (_, mr) = world.request("right", &[("right", "x\n")]);
    world.push_main(&[("left", "x\n")]);
    world.run().unwrap();
    let (_, partner) = world.request("partner", &[("partner", "x\n"), ("left", "")]);
    assert_eq!(world.run().unwrap().landed, [partner], "{:#?}", world.lines());
    let again = refinery::retry(&world.town(), &world.rig(), &mr, None).unwrap().mr;
    assert_eq!((world.mr(&again).attempts, world.mr(&again).state), (1, MrState::Queued));
    assert_eq!(world.run().unwrap().landed, [again]);
}
