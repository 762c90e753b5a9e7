//! What the queue cannot mend itself is told once to those who watch the rig; what cannot land though it is green goes.

use gastown::error::Kind;
use gastown::model::merge_request::{MergeRequest, Mode, MrState};
use gastown::model::protocol::Protocol;
use gastown::name::BeadId;
use gastown::ops::refinery::{self, Event};

use super::world::{World, git};

/// The alarms that the witness got, oldest first; the overseer's copies wait for delivery to the town.
#[track_caller]
fn alarms(world: &World) -> Vec<Protocol> {
    let rig = world.rig();
    let state = rig.ledger.state().unwrap();
    let letters = state.letters(&"widgets/witness".parse().unwrap()).unwrap().0;
    let is_alarm = |message: &Protocol| {
        matches!(message, Protocol::TargetRed { .. } | Protocol::TargetContended { .. } | Protocol::QueueStopped { .. })
    };
    let told: Vec<Protocol> = letters.iter().filter_map(|letter| Protocol::of(letter).ok()).filter(is_alarm).collect();
    let parcels = state.parcels().unwrap();
    assert_eq!(parcels.iter().filter(|parcel| parcel.letter["to"] == "overseer").count(), told.len());
    told
}

#[test]
fn a_red_target_is_told_once_of_each_tip_however_often_the_queue_is_run() {
    let mut world = World::with_gate();
    let tip = world.push_main(&[("bad", "x\n")]);
    world.requests(&["a"]);
    for _ in 0..2 {
        assert!(world.run().unwrap().red_targets.contains("main"), "{:#?}", world.lines());
        let told = Protocol::TargetRed { target: "main".into(), tip: tip.clone(), gates: vec!["test".into()] };
        assert_eq!(alarms(&world), [told]);
    }
    world.push_main(&[("bad", "worse\n")]);
    world.run().unwrap();
    assert_eq!(alarms(&world).len(), 2);
}

#[test]
fn a_queue_that_stops_without_a_verdict_is_told_once() {
    let mut world = World::new();
    world.gate("test", "kill -9 $$");
    let mrs = world.requests(&["a"]);
    for _ in 0..2 {
        assert_eq!(world.run().unwrap_err().kind, Kind::External);
        assert!(
            matches!(&alarms(&world)[..], [Protocol::QueueStopped { runs: 3, reason, .. }] if reason.contains("test")),
            "{:#?}",
            alarms(&world)
        );
    }
    assert_eq!(world.mr(&mrs[0]).state, MrState::Queued);
}

#[test]
fn a_target_that_others_move_faster_than_the_queue_is_told_with_what_would_help() {
    let mut world = World::with_gate();
    let origin = world.with_origin();
    for n in 1..=3 {
        let from = if n == 1 { "main".to_owned() } else { format!("hand-{}", n - 1) };
        world.branch(&format!("hand-{n}"), &from, &[(&format!("hand-{n}"), "x\n")]);
        git(&world.work(), &["push", "-q", "origin", &format!("hand-{n}")]);
    }
    // The server itself lets somebody else go first, each time.
    let hook = origin.join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let first = "n=$(($(cat n 2>/dev/null || echo 0) + 1)); echo $n >n; [ $n -gt 3 ] && exit 0";
    let moved = "env -u GIT_QUARANTINE_PATH git update-ref refs/heads/main refs/heads/hand-$n";
    std::fs::write(&hook, format!("#!/bin/sh\n{first}\n{moved}\n")).unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mrs = world.requests(&["a"]);
    let error = world.run().unwrap_err();
    assert_eq!(error.kind, Kind::Conflict, "{:#?}", world.lines());
    let told = alarms(&world);
    assert!(
        matches!(&told[..], [Protocol::TargetContended { races: 3, advice, .. }] if advice.contains("mq.strategy pr")),
        "{told:#?}"
    );
    assert_eq!(world.run().unwrap().landed, mrs);
    assert_eq!(alarms(&world).len(), 1);
    world.is_sound();
}

#[test]
fn what_fails_the_last_look_three_times_for_one_reason_is_sent_back_and_the_others_land() {
    let world = World::with_gate();
    let mrs = world.requests(&["a", "b"]);
    let edit = |id: &BeadId, mode: Mode, state: Option<MrState>| {
        world.edit(id, |bead| {
            let mut mr = MergeRequest::of(bead).unwrap();
            mr.mode = mode;
            mr.state = state.unwrap_or(mr.state);
            mr.put_into(bead);
        });
    };
    // Somebody changes the form of the first each time between stacking and landing, and back again.
    let (mut lost, mut evicted, mut landed) = (0, Vec::new(), Vec::new());
    let mut say = |event: &Event| match event {
        Event::GateEnded { .. } if lost == 0 => edit(&mrs[0], Mode::Squash, Some(MrState::Held)),
        Event::Resumed { mr } if *mr == mrs[0] => edit(&mrs[0], Mode::Ff, None),
        Event::Raced { .. } => {
            lost += 1;
            edit(&mrs[0], Mode::Squash, Some(MrState::Held));
        }
        Event::Evicted { mr, cause, .. } => evicted.push((mr.clone(), cause.clone())),
        Event::Landed { mr, .. } => landed.push(mr.clone()),
        _ => {}
    };
    refinery::run(&world.town(), &world.rig(), &mut say).unwrap();
    assert_eq!((lost, &evicted[..]), (3, &[(mrs[0].clone(), "race".to_owned())][..]));
    assert_eq!(landed, mrs[1..]);
    let blame = world.mr(&mrs[0]).blame.unwrap();
    assert!(blame.note.contains("would not land as the commits that were handed in"), "{blame:?}");
    assert!(world.mail().iter().any(|mail| matches!(mail, Protocol::MergeFailed { gate, .. } if gate == "landing")));
    assert!(alarms(&world).is_empty());
    world.is_sound();
}
