//! Integration branches: children of an epic land there, and the whole lands from there as one.

use gastown::error::Kind;
use gastown::model::bead::{Bead, IssueType, Status};
use gastown::model::hook::Hook;
use gastown::model::merge_request::{Mode, MrState};
use gastown::name::BeadId;
use gastown::ops::refinery::{self, Ending, integration};

use super::crash::run_and_kill;
use super::world::{World, git};
use crate::town::{Town, text_at};

/// Steps inside it.
pub const STEPS: &[&str] = &["integration.branch", "integration.pinned"];

fn epic(world: &World) -> BeadId {
    let mut made = None;
    world.change(|change| {
        let id = change.mint(&"wi".parse()?, "")?;
        made = Some(id.clone());
        change.put_bead(&Bead::new(id, IssueType::Epic, "All of it", "overseer", change.now())?)
    });
    made.unwrap()
}

/// A child of `epic` at work, with a branch from `from` that adds the file `name`.
fn child(world: &World, epic: &BeadId, name: &str, from: &str) -> BeadId {
    let bead = world.bead(name);
    world.change(|change| {
        let mut child = change.bead(&bead)?;
        child.parent = Some(epic.clone());
        change.put_bead(&child)
    });
    world.branch(name, from, &[(name, "x\n")]);
    bead
}

fn begin(world: &World, epic: &BeadId) -> String {
    integration::create(&world.town(), &world.rig(), epic, None, None).unwrap().branch
}

fn land(world: &World, epic: &BeadId, force: bool) -> gastown::error::Result<integration::Integrated> {
    integration::land(&world.town(), &world.rig(), epic, force)
}

#[test]
fn children_land_on_the_branch_and_the_whole_lands_as_one_merge() {
    let mut world = World::with_gate();
    let epic = epic(&world);
    let branch = begin(&world, &epic);
    assert_eq!(branch, format!("integration/{epic}"));
    let again = integration::create(&world.town(), &world.rig(), &epic, None, None).unwrap();
    assert_eq!(again.outcome, Ending::AlreadyThere);
    let before = world.tip("main");
    let children = ["a", "b"].map(|name| child(&world, &epic, name, "main"));
    let mrs = ["a", "b"].map(|name| world.submit(&children[usize::from(name == "b")], name).unwrap());
    let (_, other) = world.request("other", &[("other", "x\n")]);
    assert_eq!([&mrs[0], &mrs[1], &other].map(|mr| world.mr(mr).target), [branch.clone(), branch.clone(), "main".to_owned()]);
    let refused = land(&world, &epic, false).unwrap_err();
    assert_eq!(refused.kind, Kind::Refused);
    assert!(children.iter().all(|child| refused.message.contains(child.as_str())), "{}", refused.message);
    let drained = world.run().unwrap();
    let landed: std::collections::BTreeSet<_> = drained.landed.into_iter().collect();
    assert_eq!(landed, [mrs[0].clone(), mrs[1].clone(), other].into());
    assert_eq!(world.tip("main~1"), before, "only the other one landed there");

    let standing = integration::standing(&world.rig(), &epic).unwrap();
    assert_eq!((standing.ahead, standing.behind, standing.open().count(), standing.word()), (2, 1, 0, "open"));
    let head = world.tip(&branch);
    let whole = land(&world, &epic, false).unwrap();
    let mr = whole.mr.unwrap();
    assert_eq!((whole.outcome, world.mr(&mr).mode, world.show(&epic).status), (Ending::Filed, Mode::Merge, Status::InReview));
    assert!(land(&world, &epic, false).unwrap_err().message.contains(mr.as_str()), "once is enough");
    assert_eq!(world.run().unwrap().landed, std::slice::from_ref(&mr));
    assert_eq!(git(&world.repo(), &["log", "-1", "--format=%P %s", "main"]), format!("{} {head} All of it", world.tip("main~1")));
    assert_eq!(world.show(&epic).status, Status::Closed);
    assert!(world.rig().ledger.store.read_ref(&format!("refs/heads/{branch}")).unwrap().is_none(), "the branch has ended");
    assert!(integration::standing(&world.rig(), &epic).unwrap().is_ended);
    world.is_sound();
}

#[test]
fn what_is_open_when_the_whole_lands_by_force_waits_for_it_and_goes_to_the_target_then() {
    let mut world = World::with_gate();
    let epic = epic(&world);
    let branch = begin(&world, &epic);
    let first = child(&world, &epic, "a", "main");
    world.submit(&first, "a").unwrap();
    world.run().unwrap();
    // One is queued and one at work.
    let queued = child(&world, &epic, "b", "main");
    let waiting = world.submit(&queued, "b").unwrap();
    let at_work = child(&world, &epic, "c", "main");
    let agent: gastown::model::address::Address = "widgets/polecats/toast".parse().unwrap();
    world.change(|change| {
        let mut hook = Hook::new(agent.clone(), at_work.clone(), "overseer", "m1", change.now());
        hook.target.clone_from(&branch);
        change.put(&gastown::ledger::tree::hook(&agent), &hook)
    });
    let whole = land(&world, &epic, true).unwrap();
    assert_eq!(whole.left_open, {
        let mut open = vec![queued, at_work];
        open.sort();
        open
    });
    let whole = whole.mr.unwrap();
    let drained = world.run().unwrap();
    // The branch comes before main, and waits; with the whole in main its rest lands there.
    assert_eq!(drained.landed, [whole.clone(), waiting.clone()], "{:#?}", world.lines());
    assert!(world.lines().iter().any(|line| line.contains(&format!("lands as {whole}"))), "{:#?}", world.lines());
    assert_eq!((world.mr(&waiting).target, world.mr(&waiting).state), ("main".to_owned(), MrState::Landed));
    let hook = world.rig().ledger.state().unwrap().hook(&agent).unwrap().unwrap();
    assert_eq!(hook.target, "main");
    world.is_sound();
}

#[test]
fn a_whole_that_is_red_is_sent_back_and_the_branch_goes_on() {
    let mut world = World::with_gate();
    let epic = epic(&world);
    let branch = begin(&world, &epic);
    let left = child(&world, &epic, "left", "main");
    world.submit(&left, "left").unwrap();
    world.push_main(&[("right", "x\n")]);
    world.run().unwrap();
    let whole = land(&world, &epic, false).unwrap().mr.unwrap();
    assert_eq!(world.run().unwrap().evicted, std::slice::from_ref(&whole));
    assert_eq!(world.show(&epic).status, Status::Open);
    let mend = child(&world, &epic, "mend", &branch_here(&world, &branch));
    git(&world.work(), &["checkout", "-q", "mend"]);
    world.commit("Mend it", &[("left", "")]);
    git(&world.work(), &["push", "-q", "-f", "rig", "mend"]);
    git(&world.work(), &["checkout", "-q", "main"]);
    let mr = world.submit(&mend, "mend").unwrap();
    assert_eq!(world.run().unwrap().landed, [mr]);
    let whole = land(&world, &epic, false).unwrap().mr.unwrap();
    assert_eq!(world.run().unwrap().landed, [whole]);
    assert_eq!(world.show(&epic).status, Status::Closed);
}

/// Fetches `branch` into the workshop and answers its commit.
fn branch_here(world: &World, branch: &str) -> String {
    git(&world.work(), &["fetch", "-q", "rig", branch]);
    git(&world.work(), &["rev-parse", "FETCH_HEAD"])
}

#[test]
fn what_cannot_be_integrated_is_refused_and_changes_nothing() {
    let world = World::with_gate();
    let (epic, town, rig) = (epic(&world), world.town(), world.rig());
    let task = world.bead("task");
    let create = |bead: &BeadId, branch: Option<&str>, target: Option<&str>| {
        integration::create(&town, &rig, bead, branch, target).unwrap_err().kind
    };
    assert_eq!(create(&task, None, None), Kind::Refused);
    assert_eq!(create(&epic, Some("main"), None), Kind::Usage);
    assert_eq!(create(&epic, Some("a b"), None), Kind::Usage);
    assert_eq!(create(&epic, None, Some("nowhere")), Kind::NotFound);
    assert_eq!(land(&world, &epic, false).unwrap_err().kind, Kind::NotFound);
    begin(&world, &epic);
    assert_eq!(create(&epic, Some("other"), None), Kind::Refused);
    let second = self::epic(&world);
    assert_eq!(create(&second, Some(&format!("integration/{epic}")), None), Kind::Refused);
    assert_eq!(git(&world.repo(), &["for-each-ref", "--format=%(refname)", "refs/heads"]).lines().count(), 2);
}

#[test]
fn a_branch_whose_target_has_all_of_it_ends_without_a_request() {
    let mut world = World::with_gate();
    let epic = epic(&world);
    let branch = begin(&world, &epic);
    let bead = child(&world, &epic, "a", "main");
    world.submit(&bead, "a").unwrap();
    world.run().unwrap();
    git(&world.repo(), &["update-ref", "refs/heads/main", &branch]);
    assert_eq!(land(&world, &epic, false).unwrap().outcome, Ending::Ended);
    assert_eq!(world.show(&epic).status, Status::Closed);
    assert_eq!(land(&world, &epic, false).unwrap().outcome, Ending::Ended, "twice is no failure");
}

#[test]
fn a_whole_that_is_killed_while_it_lands_is_finished_and_its_branch_ends() {
    for (step, is_remote) in
        [("land.checked", false), ("land.moved", false), ("land.recorded", false), ("land.pushed", true), ("land.moved", true)]
    {
        let mut world = World::with_gate();
        let origin = is_remote.then(|| world.with_origin());
        let epic = epic(&world);
        let branch = begin(&world, &epic);
        let bead = child(&world, &epic, "a", "main");
        world.submit(&bead, "a").unwrap();
        world.run().unwrap();
        let mr = land(&world, &epic, false).unwrap().mr.unwrap();
        assert!(run_and_kill(&world, step, 1), "{step} was never reached");
        world.run().unwrap();
        assert_eq!((world.mr(&mr).state, world.show(&epic).status), (MrState::Landed, Status::Closed), "{step}");
        // Killed just after its record stood, the branch itself is left; the verb takes it away.
        land(&world, &epic, false).unwrap();
        for repo in std::iter::once(world.repo()).chain(origin) {
            assert_eq!(git(&repo, &["for-each-ref", &format!("refs/heads/{branch}")]), "", "{step}");
        }
        world.is_sound();
    }
}

#[test]
fn a_branch_that_only_the_remote_has_is_taken_from_there() {
    let world = World::with_gate();
    let origin = world.with_origin();
    let epic = epic(&world);
    let branch = begin(&world, &epic);
    let tip = git(&origin, &["rev-parse", &branch]);
    git(&world.repo(), &["update-ref", "-d", &format!("refs/heads/{branch}")]);
    assert_eq!(integration::tip_of(&world.rig(), &branch).unwrap().unwrap().to_string(), tip);
    assert_eq!(world.tip(&branch), tip);
}

#[test]
fn work_that_is_slung_below_an_epic_is_based_on_its_branch_and_handed_in_to_it() {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["config", "set", "gates.test.command", "test ! -e bad", "--rig", "widgets"]).succeeds();
    let epic = town.gt("bead q All -t epic --rig widgets").succeeds().stdout.trim().to_owned();
    let made = town.gt(&format!("--json mq integration create {epic}")).json();
    assert_eq!(text_at(&made, &["/branch"]), format!("integration/{epic}"));
    let work = |title: &str, polecat: &str| {
        let bead = town.gt_args(&["bead", "q", title, "--parent", &epic]).succeeds().stdout.trim().to_owned();
        town.gt(&format!("sling {bead} widgets/polecats/{polecat} --no-start")).succeeds();
        let sandbox = town.root.join("widgets/polecats").join(polecat);
        std::fs::write(sandbox.join(title), "x\n").unwrap();
        town.git(&sandbox, &["add", "-A"]);
        town.git(&sandbox, &["commit", "-q", "-m", title]);
        let done = town.as_agent(&format!("widgets/polecats/{polecat}")).gt("--json done").json();
        assert_eq!(text_at(&done, &["/target"]), format!("integration/{epic}"));
        bead
    };
    let first = work("one", "toast");
    town.gt("mq run --once --rig widgets").succeeds();
    // The second stands on the first, which is not in main.
    let second = work("two", "nux");
    assert!(town.root.join("widgets/polecats/nux/one").is_file());
    let refused = town.gt(&format!("mq integration land {epic}")).fails_with(4);
    assert!(refused.stderr.contains(&second), "{}", refused.stderr);
    town.gt("mq run --once --rig widgets").succeeds();
    let status = town.gt(&format!("mq integration status {epic}")).succeeds();
    assert!(status.stdout.contains("2 of 2 beads below it are closed"), "{}", status.stdout);
    town.gt(&format!("--json mq integration status {epic}")).json();
    town.gt(&format!("mq integration land {epic}")).succeeds();
    town.gt("mq run --once --rig widgets").succeeds();
    assert_eq!([&epic, &first, &second].map(|bead| town.status(bead)), ["closed"; 3]);
    let files = town.git(&rig.dir.join(".repo.git"), &["ls-tree", "--name-only", "main"]);
    assert!(files.contains("one") && files.contains("two"), "{files}");
    town.fsck();
}

#[test]
fn a_killed_creation_or_filing_is_done_by_the_next_call() {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["config", "set", "gates.require", "false", "--rig", "widgets"]).succeeds();
    let epic = town.gt("bead q All -t epic --rig widgets").succeeds().stdout.trim().to_owned();
    let killed = |line: &str, step: &str| {
        town.here().var("GT_CRASH_AT", step).gt(&format!("mq integration {line} {epic}")).ends_with(-1);
        town.gt(&format!("mq integration {line} {epic}")).succeeds();
    };
    killed("create", STEPS[0]);
    let bead = town.gt_args(&["bead", "q", "Part", "--parent", &epic]).succeeds().stdout.trim().to_owned();
    let work = town.base().join("widgets-work");
    town.git(&work, &["checkout", "-q", "-b", "part", "main"]);
    town.git(&work, &["commit", "-q", "--allow-empty", "-m", "Part"]);
    town.git(&work, &["push", "-q", rig.dir.join(".repo.git").to_str().unwrap(), "part"]);
    town.gt(&format!("mq submit {bead} part")).succeeds();
    town.gt("mq run --once --rig widgets").succeeds();
    killed("land", STEPS[1]);
    town.gt("mq run --once --rig widgets").succeeds();
    assert_eq!(town.status(&epic), "closed");
    town.fsck();
}

#[test]
fn what_is_tested_for_the_branch_when_the_whole_is_filed_waits_for_it_and_is_not_left_behind() {
    let world = World::new();
    let epic = epic(&world);
    let branch = begin(&world, &epic);
    let first = child(&world, &epic, "a", "main");
    world.gate("test", "test ! -e bad");
    world.submit(&first, "a").unwrap();
    refinery::run(&world.town(), &world.rig(), &mut |_| {}).unwrap();
    let (begun, go) = (world.base().join("begun"), world.base().join("go"));
    world.gate(
        "test",
        &format!("test ! -e late || {{ touch {}; until test -e {}; do sleep 0.02; done; }}", begun.display(), go.display()),
    );
    let late = child(&world, &epic, "late", "main");
    let late = world.submit(&late, "late").unwrap();
    let base = world.base().to_owned();
    let whole = std::thread::scope(|scope| {
        let filed = scope.spawn(|| {
            let mut filed = None;
            super::meanwhile::when_there(&begun, || filed = land(&World::reopen(&base), &epic, true).unwrap().mr);
            std::fs::write(&go, "").unwrap();
            filed.unwrap()
        });
        refinery::run(&world.town(), &world.rig(), &mut |_| {}).unwrap();
        filed.join().unwrap()
    });
    refinery::run(&world.town(), &world.rig(), &mut |_| {}).unwrap();
    assert_eq!([&whole, &late].map(|mr| world.mr(mr).state), [MrState::Landed, MrState::Landed]);
    assert_eq!(world.mr(&late).target, "main", "it went where all of the branch went");
    assert!(world.files("main").contains(&"late".to_owned()));
    assert!(
        world.rig().ledger.store.read_ref(&format!("refs/heads/{branch}")).unwrap().is_none(),
        "nothing was left on the branch"
    );
    world.is_sound();
}

#[test]
fn a_retry_of_what_was_sent_back_from_a_branch_that_has_ended_goes_where_the_branch_went() {
    let mut world = World::with_gate();
    let epic = epic(&world);
    begin(&world, &epic);
    let [good, bad] = ["good", "bad"].map(|name| child(&world, &epic, name, "main"));
    world.submit(&good, "good").unwrap();
    let bad = world.submit(&bad, "bad").unwrap();
    assert_eq!(world.run().unwrap().evicted, std::slice::from_ref(&bad));
    land(&world, &epic, true).unwrap();
    world.run().unwrap();
    let again = refinery::retry(&world.town_as("overseer"), &world.rig(), &bad, Some("once more")).unwrap();
    assert_eq!(world.mr(&again.mr).target, "main");
    assert_eq!(world.run().unwrap().evicted, [again.mr]);
}
