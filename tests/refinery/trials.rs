//! Several trees gated side by side, beside whoever runs gates by hand.

use std::rc::Rc;

use gastown::ledger::Actor;
use gastown::model::gate::{GateRun, Verdict};
use gastown::ops::gates::{Happening, Memo, Outcome, Rules, Subject, TrialId, Trials, Yard};
use gastown::time::Stopwatch;
use gix::ObjectId;

use super::world::World;

fn id(text: &str) -> ObjectId {
    ObjectId::from_hex(text.as_bytes()).unwrap()
}

fn subject(world: &World, branch: &str) -> Subject {
    let commit = id(&world.tip(branch));
    let tree = world.rig().ledger.store.tree_of(commit).unwrap();
    Subject { stack: vec![], commit, tree, base: id(&world.tip("main")) }
}

/// What came of all trials under way.
#[derive(Default)]
struct Ended {
    outcomes: Vec<(TrialId, Outcome)>,
    runs: Vec<(TrialId, GateRun)>,
}

impl Ended {
    fn of(trials: &mut Trials<'_>) -> Self {
        let mut ended = Self::default();
        while trials.under_way().next().is_some() {
            match trials.next(60_000).unwrap().expect("something happens within a minute") {
                Happening::Decided { trial, outcome } => ended.outcomes.push((trial, outcome)),
                Happening::Ended { trial, run } => ended.runs.push((trial, *run)),
                Happening::Started { .. } | Happening::Over { .. } => {}
            }
        }
        ended
    }

    fn outcome(&self, trial: TrialId) -> &Outcome {
        let mut of_it = self.outcomes.iter().filter(|(id, _)| *id == trial);
        let outcome = &of_it.next().unwrap().1;
        assert!(of_it.next().is_none(), "decided once");
        outcome
    }
}

struct Bench {
    rules: Rc<Rules>,
    yard: Yard,
}

impl Bench {
    fn new(world: &World) -> Self {
        let (town, place) = (world.town(), world.rig());
        Self { rules: Rules::read(&town, &place, "m1").unwrap(), yard: Yard::take(&town, &place).unwrap() }
    }

    fn trials(&self, world: &World) -> Trials<'_> {
        let actor = Actor { name: "widgets/refinery".into(), email: "owner@example.org".into(), model: None };
        Trials::new(&world.town(), &world.rig(), &self.rules, &self.yard, actor, None)
    }

    fn start(&self, world: &World, trials: &mut Trials<'_>, branch: &str) -> Option<TrialId> {
        let memo = Memo::of(&world.recorded(), &self.rules, world.town().now);
        let subject = subject(world, branch);
        trials.start(&subject, &memo.tasks(subject.tree)).unwrap()
    }
}

fn with_branches(names: &[&str]) -> World {
    let world = World::new();
    for name in names {
        world.branch(name, "main", &[(name, "x\n")]);
    }
    world
}

#[test]
fn trees_are_gated_side_by_side_in_checkouts_of_their_own_and_each_run_says_how_many() {
    let world = with_branches(&["a", "b", "bad"]);
    let meeting = world.base().join("meeting");
    std::fs::create_dir(&meeting).unwrap();
    // Each ends only when all three have come.
    let meet = format!(
        "touch {0}/$GT_COMMIT; n=0; while [ $(ls {0} | wc -l) -lt 3 ]; do n=$((n+1)); [ $n -lt 600 ] || exit 9; sleep 0.05; done; sleep 0.4",
        meeting.display()
    );
    world.gate("test", &format!("{meet}; test ! -e bad"));
    world.set("gates.worktrees", "3");
    let bench = Bench::new(&world);
    let mut trials = bench.trials(&world);
    let begun: Vec<TrialId> = ["a", "b", "bad"].iter().map(|name| bench.start(&world, &mut trials, name).unwrap()).collect();
    assert_eq!(bench.start(&world, &mut trials, "main"), None, "all checkouts are taken");
    let ended = Ended::of(&mut trials);
    let outcomes: Vec<&Outcome> = begun.iter().map(|trial| ended.outcome(*trial)).collect();
    assert_eq!(outcomes, [&Outcome::Green, &Outcome::Green, &Outcome::Red]);
    assert_eq!(world.recorded().len(), 3);
    assert!(world.recorded().iter().all(|run| run.concurrency == 3), "{:#?}", world.recorded());
    assert!(bench.start(&world, &mut trials, "bad").is_some(), "they are free again");
}

#[test]
fn a_trial_that_is_called_off_ends_its_gates_and_says_nothing_of_its_tree() {
    let world = with_branches(&["a", "b"]);
    let pid = world.base().join("pid");
    world.gate("test", &format!("test ! -e a || {{ echo $$ > {}; sleep 600; }}", pid.display()));
    world.set("gates.worktrees", "2");
    let bench = Bench::new(&world);
    let mut trials = bench.trials(&world);
    let (slow, quick) = (bench.start(&world, &mut trials, "a").unwrap(), bench.start(&world, &mut trials, "b").unwrap());
    let watch = Stopwatch::start();
    while !pid.exists() {
        assert!(watch.millis() < 60_000, "the gate never began");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    trials.cancel(slow);
    let ended = Ended::of(&mut trials);
    assert_eq!((ended.outcome(slow), ended.outcome(quick)), (&Outcome::Cancelled, &Outcome::Green));
    assert!(watch.millis() < 60_000 && ended.runs.iter().all(|(trial, _)| *trial == quick));
    assert_eq!(world.recorded().len(), 1);
    // And so does dropping all of it.
    std::fs::remove_file(&pid).unwrap();
    bench.start(&world, &mut trials, "a").unwrap();
    while !pid.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    drop(trials);
    assert_eq!(world.recorded().len(), 1);
    assert!(bench.yard.take_nearest(subject(&world, "a").tree).unwrap().is_some());
}

#[test]
fn a_tree_is_gated_in_the_checkout_that_is_nearest_to_it() {
    let world = with_branches(&["one"]);
    world.branch("two", "main", &[("x/1", "x"), ("x/2", "x"), ("x/3", "x")]);
    world.branch("one-more", "one", &[("y", "y\n")]);
    world.branch("two-more", "two", &[("y", "y\n")]);
    world.gate("test", "true");
    world.set("gates.worktrees", "2");
    let bench = Bench::new(&world);
    let stand = |branch: &str| {
        let subject = subject(&world, branch);
        let stall = bench.yard.take_nearest(subject.tree).unwrap().unwrap();
        stall.stand_at(subject.commit, 1).unwrap();
        stall
    };
    let numbers = {
        let (first, second) = (stand("one"), stand("two"));
        (first.number(), second.number())
    };
    assert_ne!(numbers.0, numbers.1);
    assert_eq!((stand("two-more").number(), stand("one-more").number()), (numbers.1, numbers.0));
}

#[test]
fn a_checkout_that_cannot_be_made_is_a_failure_of_nobody() {
    let world = with_branches(&["a"]);
    world.gate("test", "true");
    let bench = Bench::new(&world);
    let mut trials = bench.trials(&world);
    let mut lost = subject(&world, "a");
    let memo = Memo::of(&[], &bench.rules, world.town().now);
    let tasks = memo.tasks(lost.tree);
    lost.commit = id(&"1".repeat(40));
    let trial = trials.start(&lost, &tasks).unwrap().unwrap();
    let ended = Ended::of(&mut trials);
    let Outcome::Failed(failure) = ended.outcome(trial) else { panic!("{:?}", ended.outcome(trial)) };
    assert!(failure.gate.is_none() && failure.why.contains("cannot be a checkout"), "{}", failure.why);
    assert!(world.recorded().is_empty());
    let trial = bench.start(&world, &mut trials, "a").unwrap();
    assert_eq!(Ended::of(&mut trials).outcome(trial), &Outcome::Green);
}

#[test]
fn the_queue_never_waits_for_what_is_run_by_hand() {
    let mut world = World::with_gate();
    world.set("gates.worktrees", "2");
    let (town, place) = (world.town(), world.rig());
    let visitors = Yard::visit(&town, &place).unwrap();
    assert_eq!(visitors.size(), 1);
    let tree = subject(&world, "main").tree;
    let by_hand = visitors.take_nearest(tree).unwrap().unwrap();
    assert_eq!((by_hand.number(), visitors.take_nearest(tree).unwrap().is_none()), (2, true));
    let mrs = world.requests(&["a"]);
    assert_eq!(world.run().unwrap().landed, mrs);
    // Whoever holds one is counted, whichever process it is.
    assert_eq!(world.recorded()[0].concurrency, 2);
    drop(by_hand);
    assert_eq!(world.recorded()[0].verdict, Verdict::Green);
    world.set("gates.worktrees", "1");
    assert_eq!(Yard::visit(&town, &place).unwrap().take_nearest(tree).unwrap().unwrap().number(), 1, "one for all");
}
