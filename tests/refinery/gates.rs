//! What gates are given, in which order they run, what is known of a tree without a run, and what their ends mean.

use std::path::Path;

use gastown::error::Kind;
use gastown::model::gate::Verdict;
use gastown::model::merge_request::MrState;
use gastown::model::protocol::Protocol;
use gastown::ops::refinery::{self, Event};
use gastown::store::refs::start_time_of;

use super::world::World;

fn verdicts(world: &World) -> Vec<(String, &'static str, u32)> {
    world.recorded().iter().map(|run| (run.gate.clone(), run.verdict.word(), run.attempt)).collect()
}

/// A gate that counts its runs and fails on trees with a file `bad`.
fn counting(world: &World, name: &str) {
    let tally = world.tally().display().to_string();
    world.gate(name, &format!("echo >> {tally}; test ! -e bad"));
}

#[test]
fn phases_run_one_after_the_other_and_gates_of_one_side_by_side() {
    let mut world = World::new();
    let trace = world.base().join("trace");
    let at = trace.display();
    std::fs::create_dir(&trace).unwrap();
    let wait = |file: &str| format!("n=0; while ! test -e {at}/{file}; do n=$((n+1)); test $n -lt 400; sleep 0.05; done");
    world.gate("setup", &format!("! ls {at} | grep . && touch {at}/setup"));
    // Each of these two ends only when the other has begun.
    world.gate("lint", &format!("set -e; test -e {at}/setup; touch {at}/lint; {}", wait("typecheck")));
    world.gate("typecheck", &format!("set -e; touch {at}/typecheck; {}; sleep 0.2; touch {at}/checked", wait("lint")));
    world.gate("test", &format!("test -e {at}/lint -a -e {at}/checked && touch {at}/test"));
    world.gate("last", &format!("test -e {at}/test"));
    world.set("gates.last.phase", "9");
    let mrs = world.requests(&["a"]);
    assert_eq!(world.run().unwrap().landed, mrs, "{:#?}", world.lines());
    let order: Vec<String> = world.recorded().into_iter().map(|run| run.gate).collect();
    assert_eq!((order[0].as_str(), order[3].as_str(), order[4].as_str()), ("setup", "test", "last"));
}

#[test]
fn a_red_phase_spares_the_ones_after_it() {
    let mut world = World::new();
    world.gate("lint", "test ! -e bad");
    counting(&world, "test");
    let mrs = world.requests(&["bad"]);
    assert_eq!(world.run().unwrap().evicted, mrs);
    // Only the target itself was tested.
    assert_eq!(world.tallied(), 1, "{:#?}", world.lines());
}

#[test]
fn a_gate_that_is_only_reported_blocks_nobody_and_keeps_nobody_waiting() {
    let world = World::with_gate();
    let landed = world.base().join("landed");
    let wait = format!("n=0; while ! test -e {}; do n=$((n+1)); test $n -lt 400 || exit 9; sleep 0.05; done", landed.display());
    world.gate("style", &format!("{wait}; echo ugly; exit 1"));
    world.set("gates.style.required", "false");
    world.set("gates.style.retries", "0");
    let mrs = world.requests(&["a"]);
    let mut lines = Vec::new();
    let drained = refinery::run(&world.town(), &world.rig(), &mut |event| {
        lines.push(event.line());
        if matches!(event, Event::Landed { .. }) {
            std::fs::write(&landed, "").unwrap();
        }
    });
    // It waited for the landing, and was waited for at the end.
    assert_eq!(drained.unwrap().landed, mrs, "{lines:#?}");
    let style = world.recorded().into_iter().find(|run| run.gate == "style").unwrap();
    assert_eq!((style.verdict, style.exit, style.required), (Verdict::Red, Some(1), false));
    assert!(lines.last().unwrap().ends_with("(only reported)"), "{lines:#?}");
    world.is_sound();
}

#[test]
fn gates_that_are_all_only_reported_are_as_good_as_none() {
    let mut world = World::with_gate();
    world.set("gates.test.required", "false");
    world.requests(&["a"]);
    let error = world.run().unwrap_err();
    assert_eq!((error.kind, world.recorded().len()), (Kind::Refused, 0));
}

#[test]
fn a_red_that_may_be_repeated_counts_only_when_it_stays_red() {
    let mut world = World::new();
    let tally = world.tally().display().to_string();
    world.gate("test", &format!("echo >> {tally}; test $(wc -l < {tally}) -ge 3"));
    world.set("gates.test.retries", "2");
    let mrs = world.requests(&["a", "b"]);
    assert_eq!(world.run().unwrap().landed, mrs);
    let expected = [("test", "red", 1), ("test", "red", 2), ("test", "green", 3)];
    assert_eq!(verdicts(&world), expected.map(|(gate, verdict, attempt)| (gate.to_owned(), verdict, attempt)));
    assert!(world.recorded().iter().all(|run| run.stack == mrs), "all of one tree");

    let mut world = World::with_gate();
    world.set("gates.test.retries", "1");
    let mrs = world.requests(&["bad"]);
    assert_eq!(world.run().unwrap().evicted, mrs);
    let on_bad = world.recorded().into_iter().filter(|run| run.stack == mrs).map(|run| run.attempt).collect::<Vec<_>>();
    assert_eq!(on_bad, [1, 2], "the repeats are the evidence; nothing more had to run");
}

#[test]
fn slowness_that_is_to_mean_nothing_holds_and_blames_nobody() {
    let mut world = World::new();
    world.gate("test", "test ! -e slow || sleep 60");
    world.set("gates.test.timeout", "300ms");
    world.set("gates.test.on_timeout", "inconclusive");
    let mrs = world.requests(&["slow", "quick"]);
    let drained = world.run().unwrap();
    assert_eq!((drained.landed, drained.evicted.len()), (mrs[1..].to_vec(), 0), "{:#?}", world.lines());
    assert_eq!(world.mr(&mrs[0]).state, MrState::Held);
    assert!(world.recorded().iter().any(|run| run.verdict == Verdict::Inconclusive && run.log_tail.contains("timed out")));
}

#[test]
fn a_gate_whose_inputs_did_not_change_is_green_without_a_run() {
    let mut world = World::new();
    counting(&world, "test");
    world.set("gates.test.inputs", "lib/** *.toml !lib/gen/");
    let land = |world: &mut World, name: &str, file: &str| {
        let (_, mr) = world.request(name, &[(file, "new\n")]);
        assert_eq!(world.run().unwrap().landed, [mr], "{:#?}", world.lines());
        git_main(world);
        world.tallied()
    };
    assert_eq!(land(&mut world, "one", "docs/a.md"), 1, "nothing was known yet");
    assert_eq!(land(&mut world, "two", "docs/b.md"), 1);
    assert_eq!(land(&mut world, "three", "lib/gen/x"), 1);
    assert_eq!(land(&mut world, "four", "lib/x"), 2);
    assert_eq!(land(&mut world, "five", "sub/Some.toml"), 3);
    world.set("gates.test.inputs", "lib/**");
    assert_eq!(land(&mut world, "six", "docs/c.md"), 4, "another definition is another gate");
}

/// The workshop's `main` follows the rig's.
fn git_main(world: &World) {
    super::world::git(&world.work(), &["fetch", "-q", "rig", "main"]);
    super::world::git(&world.work(), &["reset", "-q", "--hard", "FETCH_HEAD"]);
}

#[test]
fn verdicts_belong_to_what_the_fingerprint_command_says() {
    let mut world = World::new();
    counting(&world, "test");
    let versions = world.base().join("versions");
    std::fs::write(&versions, "cc 1\n").unwrap();
    world.set("gates.fingerprint", &format!("cat {}", versions.display()));
    let (_, first) = world.request("a", &[("a", "x\n")]);
    assert_eq!((world.run().unwrap().landed, world.tallied()), (vec![first], 1));
    // The tip is the tree that was gated: as long as the tools are the same, it is known.
    let is_certified = |world: &World| refinery::status(&world.town(), &world.rig()).unwrap().targets[0].is_certified;
    assert!(is_certified(&world));
    std::fs::write(&versions, "cc 2\n").unwrap();
    assert!(!is_certified(&world));
    std::fs::write(&versions, "cc 1\n").unwrap();
    // With a fingerprint it does not matter which machine it was.
    let mut town = world.town();
    town.machine = "m2".into();
    assert!(refinery::status(&town, &world.rig()).unwrap().targets[0].is_certified);
}

#[test]
fn a_fingerprint_that_fails_or_is_not_trusted_lets_nothing_land() {
    let mut world = World::with_gate();
    world.requests(&["a"]);
    let before = world.tip("main");
    for (command, word) in [("echo no compiler; exit 3", "no compiler"), ("kill -9 $$", "signal 9")] {
        world.set("gates.fingerprint", command);
        let error = world.run().unwrap_err();
        assert_eq!(error.kind, Kind::External);
        assert!(error.message.contains(word), "{}", error.message);
    }
    let mark = world.base().join("mark");
    world.set_untrusted("gates.fingerprint", &format!("touch {}", mark.display()));
    let error = world.run().unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.hint.unwrap().contains("gt trust gates.fingerprint --rig widgets"));
    assert!(!mark.exists() && world.tip("main") == before && world.recorded().is_empty());
}

#[test]
fn gates_get_what_is_set_for_them_and_are_told_what_they_judge() {
    let mut world = World::new();
    world.gate("test", r#"test "$GREETING" = 'a b' && echo "$GT_GATE $GT_TREE $GT_COMMIT $GT_BASE $GT_BUILD_DIR $PWD""#);
    world.set("gates.test.env", "GREETING='a b' MODE=ci");
    let base = world.tip("main");
    let mrs = world.requests(&["a"]);
    assert_eq!(world.run().unwrap().landed, mrs);
    let run = &world.recorded()[0];
    let refinery = world.rig_dir().join("refinery");
    let (build, checkout) = (refinery.join("build-1"), refinery.join("gate-1"));
    let expected = format!("test {} {} {base} {} {}", run.tree, run.commit, build.display(), checkout.display());
    assert_eq!((run.log_tail.trim(), run.base.as_str()), (expected.as_str(), base.as_str()));
    world.set_untrusted("gates.test.env", "LD_PRELOAD=evil.so");
    world.requests(&["b"]);
    let error = world.run().unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.hint.unwrap().contains("gt trust gates.test.env --rig widgets"));
}

#[test]
fn unchanged_files_keep_their_times_so_that_a_build_is_small_and_its_directory_stays() {
    let mut world = World::new();
    world.push_main(&[("a.txt", "1\n"), ("b.txt", "1\n"), ("sub/c.txt", "1\n")]);
    // As make does: what is newer than the product is made again.
    let build = "cd \"$GT_BUILD_DIR\"; for f in a.txt b.txt sub/c.txt; do p=$(echo $f | tr / _); \
                 if test ! -e $p || test -n \"$(find \"$OLDPWD/$f\" -newer $p)\"; then cp \"$OLDPWD/$f\" $p; echo made $f; fi; done";
    world.gate("build", build);
    git_main(&world);
    for (name, file, made) in
        [("one", "x.txt", "made a.txt\nmade b.txt\nmade sub/c.txt"), ("two", "b.txt", "made b.txt"), ("three", "y.txt", "")]
    {
        // Times of files are coarse on some systems.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (_, mr) = world.request(name, &[(file, "2\n")]);
        assert_eq!(world.run().unwrap().landed, [mr]);
        assert_eq!(world.recorded().last().unwrap().log_tail.trim(), made, "{name}");
        git_main(&world);
    }
}

#[test]
fn what_a_gate_leaves_is_cleaned_before_the_next_and_what_git_ignores_stays() {
    let mut world = World::new();
    world.push_main(&[(".gitignore", "cache/\n")]);
    git_main(&world);
    world.gate("test", "ls -A; rm -f README.md; mkdir -p cache left/over; touch cache/kept left/over/x; git init -q inner; touch inner/y; chmod 0 left");
    for (name, has_cache) in [("one", false), ("two", true)] {
        let (_, mr) = world.request(name, &[(name, "x\n")]);
        assert_eq!(world.run().unwrap().landed, [mr]);
        let listed = world.recorded().last().unwrap().log_tail.clone();
        let has = |file: &str| listed.lines().any(|line| line == file);
        assert_eq!(has("cache"), has_cache, "{name}: {listed}");
        assert!(has("README.md") && !has("left") && !has("inner"), "{name}: {listed}");
        git_main(&world);
    }
}

#[test]
fn a_checkout_that_is_broken_is_moved_aside_and_made_anew() {
    type Breakage = fn(&Path, &Path);
    let breakages: [(&str, Breakage); 5] = [
        ("gone", |dir, _| std::fs::remove_dir_all(dir).unwrap()),
        ("a file", |dir, _| {
            std::fs::remove_dir_all(dir).unwrap();
            std::fs::write(dir, "not a directory").unwrap();
        }),
        ("without .git", |dir, _| std::fs::remove_file(dir.join(".git")).unwrap()),
        ("astray", |dir, _| std::fs::write(dir.join(".git"), "gitdir: /nowhere\n").unwrap()),
        ("unregistered", |_, repo| std::fs::remove_dir_all(repo.join("worktrees/gate-1")).unwrap()),
    ];
    let mut world = World::with_gate();
    for (at, (what, breaks)) in breakages.into_iter().enumerate() {
        let name = format!("n{at}");
        let (_, mr) = world.request(&name, &[(&name, "x\n")]);
        if at > 0 {
            breaks(&world.rig_dir().join("refinery/gate-1"), &world.repo());
        }
        assert_eq!(world.run().unwrap().landed, [mr], "{what}: {:#?}", world.lines());
        git_main(&world);
    }
    assert!(!world.rig_dir().join("refinery/aside").exists(), "what could be removed is");
    world.is_sound();
}

#[test]
fn a_checkout_that_was_not_prepared_is_prepared_though_the_preparation_is_known_to_be_green() {
    let mut world = World::new();
    world.push_main(&[(".gitignore", "tools/\n"), ("tools.lock", "1\n")]);
    git_main(&world);
    let tally = world.tally().display().to_string();
    world.gate("setup", &format!("echo >> {tally}; mkdir -p tools; cp tools.lock tools/ready"));
    world.set("gates.setup.inputs", "tools.lock");
    world.gate("test", "cmp tools.lock tools/ready");
    let land = |world: &mut World, name: &str, file: &str| {
        let (_, mr) = world.request(name, &[(file, &format!("{name}\n"))]);
        assert_eq!(world.run().unwrap().landed, [mr], "{:#?}", world.lines());
        git_main(world);
        world.tallied()
    };
    assert_eq!(land(&mut world, "one", "a"), 1);
    assert_eq!(land(&mut world, "two", "b"), 1, "it is prepared");
    assert_eq!(land(&mut world, "three", "tools.lock"), 2, "for other inputs");
    std::fs::remove_dir_all(world.rig_dir().join("refinery/gate-1")).unwrap();
    assert_eq!(land(&mut world, "four", "c"), 3, "anew");
    std::fs::write(world.rig_dir().join("refinery/gate-1/litter"), "x").unwrap();
    assert_eq!(land(&mut world, "five", "d"), 4, "what is cleaned away might have been its work");
}

#[test]
fn a_full_disk_blames_nobody_and_stops_the_queue() {
    let mut world = World::with_gate();
    let mrs = world.requests(&["bad"]);
    world.set("gates.free_min", "4294967295");
    let error = world.run().unwrap_err();
    assert_eq!(error.kind, Kind::External);
    assert!(
        error.message.contains("gate test gave no verdict 3 times") && error.message.contains("no room"),
        "{}",
        error.message
    );
    assert_eq!(world.mr(&mrs[0]).state, MrState::Queued);
    assert!(world.recorded().iter().all(|run| run.verdict == Verdict::Infrastructure && run.exit == Some(1)));
    world.set("gates.free_min", "1");
    assert_eq!(world.run().unwrap().evicted, mrs, "what it was blamed for then does not count");
}

#[test]
fn who_is_sent_back_is_told_which_tests_failed() {
    let mut world = World::new();
    let sample = format!("{}/tests/samples/pytest.txt", env!("CARGO_MANIFEST_DIR"));
    world.gate("test", &format!("test ! -e bad || {{ cat {sample}; echo FAILED test_x.py::test_$API_TOKEN; exit 1; }}"));
    world.set("gates.test.env", "API_TOKEN=hunter22secret");
    let (_, mr) = world.request("bad", &[("bad", "x\n")]);
    world.run().unwrap();
    let names =
        ["test_shop.py::test_bad", "test_shop.py::TestTill::test_open", "test_shop.py::test_each[2]", "test_shop.py::test_uses"];
    let blame = world.mr(&mr).blame.unwrap();
    assert_eq!(blame.failing[..4], names);
    assert_eq!(blame.failing[4..], ["test_x.py::test_[redacted]"]);
    let Protocol::MergeFailed { failing, .. } = &world.mail()[0] else { panic!("{:?}", world.mail()) };
    assert_eq!(failing[..4], names);
    let story = refinery::why(&world.town(), &world.rig(), &mr).unwrap();
    assert_eq!(story.runs[0].failing[..4], names);
}

#[test]
fn what_a_gate_leaves_running_does_not_outlive_it() {
    let mut world = World::new();
    let pid = world.base().join("pid");
    let daemon =
        format!("setsid sh -c 'echo $$ > {0}; exec sleep 600' & while ! test -s {0}; do sleep 0.01; done", pid.display());
    world.gate("test", &daemon);
    let mrs = world.requests(&["a"]);
    assert_eq!(world.run().unwrap().landed, mrs);
    let pid = std::fs::read_to_string(&pid).unwrap();
    assert_eq!(start_time_of(pid.trim().parse().unwrap()), None, "{pid} runs on");
}
