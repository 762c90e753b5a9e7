//! Review: what waits for somebody to look at it, whose word counts, and what comes of a rejection.

use gastown::error::Kind;
use gastown::model::bead::Status;
use gastown::model::merge_request::{HeldFor, MergeRequest, MrState};
use gastown::model::protocol::Protocol;
use gastown::model::record::Object;
use gastown::model::review::Approval;
use gastown::name::BeadId;
use gastown::ops::refinery::{self, Reviewed};
use gastown::time::Moment;

use super::world::World;

const OTHER: &str = "widgets/polecats/nux";

fn under_review(approvals: u32) -> World {
    let world = World::with_gate();
    world.set("review.approvals", &approvals.to_string());
    world
}

fn approve(world: &World, who: &str, mr: &BeadId) -> gastown::error::Result<Reviewed> {
    refinery::approve(&world.town_as(who), &world.rig(), mr, "read it")
}

#[test]
fn a_request_is_not_tested_before_it_is_approved_and_then_lands() {
    let mut world = under_review(1);
    let (_, mr) = world.request("a", &[("a", "x\n")]);
    assert_eq!(world.row(&mr).held_for, Some(HeldFor::Review), "told before the refinery has looked");
    let drained = world.run().unwrap();
    assert_eq!((world.runs(), drained.landed.len(), drained.held.len()), (0, 0, 1));
    let row = world.row(&mr);
    assert_eq!((row.state, row.approvals_needed, row.release), (MrState::Held, 1, format!("gt mq approve {mr}")));
    assert_eq!(row.note, "needs the approval of one of overseer, */crew/*");
    assert_eq!(world.mr(&mr).state, MrState::Held);
    let approved = approve(&world, "overseer", &mr).unwrap();
    assert!(matches!(approved, Reviewed::Approved { given: 1, needed: 1, .. }), "{approved:?}");
    assert_eq!((world.row(&mr).state, world.row(&mr).note), (MrState::Queued, String::new()), "told at once");
    assert_eq!(world.run().unwrap().landed, [mr]);
    assert_eq!(approve(&world, "overseer", &world.bead("other")).unwrap_err().kind, Kind::Refused);
}

#[test]
fn two_who_approve_at_once_are_both_heard_and_one_who_approves_twice_is_one() {
    let mut world = under_review(3);
    let (bead, mr) = world.request("a", &[("a", "x\n")]);
    for _ in 0..2 {
        approve(&world, "overseer/ann", &mr).unwrap();
    }
    assert_eq!(world.row(&mr).note, "needs 3 approvals of overseer, */crew/*; has that of overseer/ann");
    let barrier = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        for who in ["overseer/bob", "widgets/crew/joe"] {
            // By the work too: who reviews need not know the request.
            let (barrier, world, bead) = (&barrier, &world, &bead);
            scope.spawn(move || {
                barrier.wait();
                approve(world, who, bead).unwrap();
            });
        }
    });
    assert_eq!(world.mr(&mr).approvals.len(), 3);
    assert_eq!(world.run().unwrap().landed, [mr]);
}

#[test]
fn an_approval_counts_for_exactly_the_head_that_was_approved() {
    let mut world = under_review(1);
    let (bead, old) = world.request("work", &[("work", "first\n")]);
    approve(&world, "overseer", &old).unwrap();
    world.branch("work", "main", &[("work", "better\n")]);
    let new = world.submit(&bead, "work").unwrap();
    assert!(world.run().unwrap().landed.is_empty());
    assert_eq!((world.runs(), world.row(&new).held_for), (0, Some(HeldFor::Review)));
    assert_eq!(approve(&world, "overseer", &old).unwrap_err().kind, Kind::Refused, "nobody waits for that one");
    // Nor does a word about another commit that somehow stands on this request.
    let approval = Approval {
        by: "overseer".into(),
        at: Moment::from_millis(0),
        head: world.mr(&old).head,
        note: String::new(),
        extra: Object::new(),
    };
    world.edit(&new, |bead| {
        let mut mr = MergeRequest::of(bead).unwrap();
        mr.approvals.push(approval.clone());
        mr.put_into(bead);
    });
    world.run().unwrap();
    assert_eq!((world.runs(), world.row(&new).approved_by.len()), (0, 0));
    approve(&world, "overseer", &new).unwrap();
    assert_eq!(world.run().unwrap().landed, [new]);
}

#[test]
fn nobody_approves_their_own_and_workers_only_where_a_pattern_lets_them() {
    let mut world = under_review(1);
    let (_, mr) = world.request("a", &[("a", "x\n")]);
    let author = world.mr(&mr).author;
    for who in [OTHER, &author, "mayor", "widgets/witness"] {
        assert_eq!(approve(&world, who, &mr).unwrap_err().kind, Kind::Refused, "{who}");
    }
    world.set("review.by", "*/polecats/*");
    let own = approve(&world, &author, &mr).unwrap_err();
    assert!(own.message.contains("your own"), "{}", own.message);
    approve(&world, OTHER, &mr).unwrap();
    // A pattern that is taken back takes the word back.
    world.set("review.by", "overseer");
    assert!(world.run().unwrap().landed.is_empty());
    world.set("review.by", "overseer, */polecats/*");
    assert_eq!(world.run().unwrap().landed, [mr]);
}

#[test]
fn only_what_touches_the_paths_or_carries_the_label_waits_for_review() {
    let mut world = under_review(1);
    world.set("review.paths", "lib *.sql");
    world.set("review.labels", "risky");
    let (_, plain) = world.request("plain", &[("plain", "x\n")]);
    let (_, deep) = world.request("deep", &[("lib/b.txt", "x\n")]);
    let (labelled, risky) = world.request("risky", &[("risky", "x\n")]);
    world.edit(&labelled, |bead| bead.labels = ["risky".to_owned()].into());
    let drained = world.run().unwrap();
    assert_eq!(drained.landed, std::slice::from_ref(&plain));
    assert_eq!(drained.held, [deep.clone(), risky.clone()].into());
    approve(&world, "overseer", &deep).unwrap();
    world.edit(&labelled, |bead| bead.labels.clear());
    // What changes files beside some that landed is the safer of the two, and goes first.
    assert_eq!(world.run().unwrap().landed, [risky, deep]);
}

#[test]
fn a_rule_that_comes_while_requests_are_tested_stops_their_landing() {
    let world = World::with_gate();
    let (_, mr) = world.request("a", &[("a", "x\n")]);
    let ended = refinery::run(&world.town(), &world.rig(), &mut |event| {
        if matches!(event, refinery::Event::GateEnded { .. }) {
            refinery::hold(&world.town_as("overseer"), &world.rig(), &mr, "wait").unwrap();
        }
    });
    assert!(ended.unwrap().landed.is_empty());
    assert_eq!((world.mr(&mr).state, world.row(&mr).note), (MrState::Held, "held by overseer: wait".to_owned()));
    world.is_sound();
}

#[test]
fn a_rejection_opens_the_work_and_gives_the_worker_the_comment() {
    let mut world = under_review(1);
    let (bead, mr) = world.request("a", &[("a", "x\n")]);
    let empty = refinery::reject(&world.town_as("overseer"), &world.rig(), &mr, " ").unwrap_err();
    assert_eq!(empty.kind, Kind::Usage);
    assert_eq!(refinery::reject(&world.town_as(OTHER), &world.rig(), &mr, "no").unwrap_err().kind, Kind::Refused);
    let own = refinery::reject(&world.town(), &world.rig(), &mr, "no").unwrap_err();
    assert!(own.hint.unwrap().contains("gt mq withdraw"));
    assert_eq!(world.mr(&mr).state, MrState::Queued, "none of this rejected it");

    refinery::reject(&world.town_as("overseer/ann"), &world.rig(), &mr, "the key must not be in it").unwrap();
    let blame = world.mr(&mr).blame.unwrap();
    assert_eq!((world.mr(&mr).state, blame.cause.as_str(), blame.by.as_str()), (MrState::Evicted, "rejected", "overseer/ann"));
    let work = world.show(&bead);
    assert_eq!((work.status, work.extra["last_failure"].as_str()), (Status::Open, Some(mr.as_str())));
    assert!(work.comments[0].text.contains("the key must not be in it"), "{}", work.comments[0].text);
    let told = world.mail().pop().unwrap();
    assert!(matches!(&told, Protocol::MergeFailed { gate, log, .. } if gate == "review" && log == "the key must not be in it"));
    assert_eq!(world.row(&mr).note, "rejected by overseer/ann: the key must not be in it");
    assert_eq!(world.run().unwrap().landed.len(), 0);
    assert_eq!(world.tip("main"), world.tip("main~0"));
    // Not even when another request landed meanwhile: this one was no flake.
    let (_, partner) = world.request("partner", &[("partner", "x\n")]);
    approve(&world, "overseer", &partner).unwrap();
    assert_eq!(world.run().unwrap().landed, [partner]);
    assert_eq!(world.submit(&bead, "a").unwrap_err().kind, Kind::Refused);
    world.branch("a", "main", &[("a", "y\n")]);
    world.submit(&bead, "a").unwrap();
}

#[test]
fn a_comment_stands_on_request_and_work_and_reaches_the_worker() {
    let world = World::with_gate();
    let (bead, mr) = world.request("a", &[("a", "x\n")]);
    refinery::comment(&world.town_as("widgets/crew/joe"), &world.rig(), &mr, "why not a map?").unwrap();
    assert_eq!(world.show(&mr).comments[0].text, "why not a map?");
    assert_eq!(world.show(&bead).comments[0].text, format!("on merge request {mr}: why not a map?"));
    let letter = world.letters().pop().unwrap();
    assert_eq!((letter.body.as_str(), letter.refs.as_slice()), ("why not a map?", [mr.clone(), bead].as_slice()));
    let own = refinery::comment(&world.town(), &world.rig(), &mr, "because").unwrap();
    assert_eq!(own, Reviewed::Commented { mr: mr.clone(), told: vec![] });
    assert_eq!((world.letters().len(), world.mr(&mr).state), (1, MrState::Queued));
    assert_eq!(refinery::comment(&world.town(), &world.rig(), &mr, "").unwrap_err().kind, Kind::Usage);
}

#[test]
fn a_diff_shows_what_would_come_and_of_what_landed_what_came() {
    let mut world = World::with_gate();
    let files = [("shared.txt", "one\n2\nthree\n"), ("new\tname.txt", "x\n")];
    let (_, mr) = world.request("a", &files);
    let theirs = world.push_main(&[("hand", "x\n")]);
    let told = |world: &World| {
        let diff = refinery::diff(&world.rig(), &mr, false).unwrap();
        let files: Vec<(String, Option<u64>, Option<u64>)> =
            diff.files.iter().map(|file| (file.path.clone(), file.added, file.removed)).collect();
        assert!(!diff.is_cut);
        (files, diff.patch.unwrap())
    };
    let (listed, patch) = told(&world);
    assert_eq!(listed, [("new\tname.txt".to_owned(), Some(1), Some(0)), ("shared.txt".to_owned(), Some(1), Some(1))]);
    assert!(patch.contains("-two\n+2\n") && !patch.contains("hand"), "{patch}");
    assert_eq!(refinery::diff(&world.rig(), &mr, true).unwrap().patch, None);
    world.run().unwrap();
    assert_eq!((world.mr(&mr).state, world.tip("main~1")), (MrState::Landed, theirs));
    assert_eq!(told(&world), (listed, patch));
}
