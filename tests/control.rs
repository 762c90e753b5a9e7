//! The town as a whole: up, down, shut down, stopped in an emergency and thawed; and single agents by short words.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::town::{Rig, Town};

const TOAST: &str = "widgets/polecats/toast";
const NUX: &str = "widgets/polecats/nux";

/// Two polecats at work that count in a file of theirs, and a refinery.
fn at_work() -> (Town, Rig, [String; 2]) {
    let (town, rig) = Town::with_rig();
    town.gt("config set gates.test.command 'test ! -e bad' --rig widgets").succeeds();
    let beads = [TOAST, NUX].map(|agent| {
        let bead = town.bead(&rig, "Work");
        town.plan(&bead, 1, "sh n=0; while :; do n=$((n+1)); echo $n >../$GT_POLECAT.new; mv ../$GT_POLECAT.new ../$GT_POLECAT.count; sleep 0.02; done");
        town.gt_args(&["sling", &bead, agent]).succeeds();
        bead
    });
    town.gt("refinery start --rig widgets").succeeds();
    town.until("both count", || counts(&rig).iter().all(|count| !count.is_empty()));
    (town, rig, beads)
}

fn counts(rig: &Rig) -> [String; 2] {
    ["toast", "nux"].map(|name| std::fs::read_to_string(rig.dir.join(format!("polecats/{name}.count"))).unwrap_or_default())
}

fn outcomes(up: &Value) -> Vec<(String, String)> {
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    up["starts"].as_array().unwrap().iter().map(|one| (text(one, "who"), text(one, "outcome"))).collect()
}

fn state(town: &Town, agent: &str) -> String {
    let roll = town.gt("--json agents").json();
    let found = roll.as_array().unwrap().iter().find(|one| one["agent"] == agent).cloned();
    found.unwrap_or_else(|| panic!("{agent} is not in {roll:#}"))["state"].as_str().unwrap().to_owned()
}

fn refs(rig: &Rig, town: &Town, below: &str) -> String {
    town.git(&rig.dir.join(".repo.git"), &["for-each-ref", below])
}

#[test]
fn a_town_goes_down_and_comes_up_where_it_was() {
    let (town, rig, beads) = at_work();
    let before = town.gt("--json up").json();
    assert!(outcomes(&before).iter().all(|(_, outcome)| outcome == "running"), "{before:#}");
    let told = town.gt("--json down --dry-run").json();
    assert_eq!(told["sessions"].as_array().unwrap().len(), 3);
    assert!(town.has_session(TOAST) && town.has_session("widgets/refinery"));
    let down = town.gt("--json down").json();
    assert!(down["sessions"].as_array().unwrap().iter().all(|one| one["ending"] == "asked"), "{down:#}");
    assert_eq!(town.gt("--json session list").json(), json!([]));
    // Hooks and sandboxes stay.
    assert_eq!((town.status(&beads[0]).as_str(), state(&town, TOAST).as_str()), ("in_progress", "stalled"));
    assert!(rig.dir.join("polecats/toast").is_dir() && town.gt("down").succeeds().stdout.contains("no sessions run"));
    let up = town.gt("--json up").json();
    let wanted = ["widgets/refinery", NUX, TOAST].map(|who| (who.to_owned(), "started".to_owned()));
    let mut got = outcomes(&up);
    got.sort();
    let mut wanted = wanted.to_vec();
    wanted.sort();
    assert_eq!(got, wanted);
    assert!(outcomes(&town.gt("--json up").json()).iter().all(|(_, outcome)| outcome == "running"));
    assert_eq!(state(&town, TOAST), "working");
}

#[test]
fn what_cannot_be_started_is_told_and_keeps_nothing_else_from_it() {
    let (town, rig, beads) = at_work();
    town.gt("down").succeeds();
    town.rig("gadgets");
    std::fs::remove_dir_all(rig.dir.join("polecats/toast")).unwrap();
    let up = town.gt("--json up");
    assert_eq!(up.code, 3, "{}", up.stdout);
    let document: Value = serde_json::from_str(&up.stdout).unwrap();
    let failed: Vec<&Value> = document["starts"].as_array().unwrap().iter().filter(|one| one["outcome"] == "failed").collect();
    assert!(failed.len() == 1 && failed[0]["who"] == TOAST && failed[0]["bead"] == beads[0].as_str(), "{document:#}");
    assert!(town.has_session(NUX) && town.has_session("widgets/refinery") && town.has_session("gadgets/refinery"));
    let refused = town.as_agent(NUX).gt("up").fails_with(4);
    assert!(refused.stderr.contains("may not"), "{}", refused.stderr);
    town.as_agent(NUX).gt("down").fails_with(4);
    assert!(town.has_session(NUX));
}

#[test]
fn the_mayor_comes_up_where_an_agent_is_set_for_the_town_and_not_when_it_shall_not() {
    let (town, _rig) = Town::with_rig();
    let is_there = |up: &Value| outcomes(up).iter().any(|(who, _)| who == "mayor");
    assert!(!is_there(&town.gt("--json up").json()), "none is set");
    town.gt_args(&["config", "set", "agent.command", "exec sleep 600"]).succeeds();
    town.gt("config set up.mayor false").succeeds();
    assert!(!is_there(&town.gt("--json up").json()));
    town.gt("config unset up.mayor").succeeds();
    assert!(is_there(&town.gt("--json up").json()) && town.has_session("mayor"));
    town.gt("stop --rig widgets").succeeds();
    assert!(town.has_session("mayor") && !town.has_session("widgets/refinery"));
    town.gt("stop").fails_with(2);
    town.gt("stop --all").succeeds();
    assert!(!town.has_session("mayor"));
}

#[test]
fn who_does_not_end_when_asked_is_killed_in_the_second_phase() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Stubborn");
    town.plan(&bead, 1, "sh trap '' TERM; touch ../ready; while :; do sleep 0.1; done");
    town.gt_args(&["sling", &bead, TOAST]).succeeds();
    town.until("it is deaf", || rig.dir.join("polecats/ready").exists());
    let down = town.gt("--json down --timeout 300ms").json();
    assert_eq!(down["sessions"][0]["ending"], "killed", "{down:#}");
    assert!(!town.has_session(TOAST));
    assert_eq!(town.status(&bead), "in_progress");
}

#[test]
fn an_emergency_stop_holds_agents_where_they_are_and_nothing_starts_until_the_thaw() {
    let (town, rig, beads) = at_work();
    let other = town.bead(&rig, "Other");
    town.gt("estop").fails_with(2);
    town.as_agent(TOAST).gt("estop -r fire").fails_with(4);
    let stopped = town.gt("--json estop --reason 'a key leaks'").json();
    let fates: Vec<&Value> = stopped["sessions"].as_array().unwrap().iter().map(|one| &one["fate"]).collect();
    assert_eq!(fates.iter().filter(|fate| **fate == "held").count(), 2, "{stopped:#}");
    assert!(town.has_session(TOAST) && !town.has_session("widgets/refinery") && state(&town, TOAST) == "held");
    let still = counts(&rig);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(counts(&rig), still);
    // Nothing starts, and whoever tries is told who stopped it, when and why. Another machine's clock starts no earlier.
    let refinery = "refinery start --rig widgets";
    let lines = ["up", refinery, "mq run --once", "mayor start", &format!("sling {other}"), "session start widgets/toast"];
    for line in lines {
        let refused = town.gt(line).fails_with(4);
        let says = |text: &str| refused.stderr.contains(text);
        assert!(says("by overseer at 2026-01-01T") && says("a key leaks") && says("gt thaw"), "{line}: {}", refused.stderr);
    }
    assert_eq!(town.status(&other), "open");
    town.gt(&format!("sling {other} {} --no-start", "widgets/slit")).succeeds();
    assert!(town.gt("status").succeeds().stdout.contains("a key leaks"));
    // Again it keeps whose it is; workers do not end it, nor does the mayor end the overseer's.
    let again = town.gt("--json estop --reason 'more'").json();
    assert_eq!((&again["was_stopped"], &again["stop"]["reason"]), (&json!(true), &json!("a key leaks")));
    for who in [NUX, "mayor"] {
        town.as_agent(who).gt("thaw").fails_with(4);
    }
    let thawed = town.gt("--json thaw").json();
    assert_eq!(thawed["stop"]["reason"], "a key leaks");
    town.until("both count again", || counts(&rig).iter().zip(&still).all(|(now, then)| now != then));
    assert!(town.has_session("widgets/refinery"), "{thawed:#}");
    let told = town.as_agent(TOAST).gt("mail check --inject");
    assert!(told.stdout.contains("a key leaks") && told.stdout.contains("Go on."), "{} {}", told.stdout, told.stderr);
    assert!(town.gt("thaw").succeeds().stdout.contains("nothing was stopped"));
    assert_eq!(town.status(&beads[0]), "in_progress");
}

#[test]
fn a_stop_outlives_what_ran_and_one_that_cannot_be_read_stands() {
    let (town, rig, beads) = at_work();
    town.gt("estop -r fire").succeeds();
    town.gt("down --timeout 2s").succeeds();
    std::fs::remove_dir_all(town.root.join(".runtime")).unwrap();
    town.gt_args(&["sling", &beads[0], TOAST]).fails_with(4);
    std::fs::write(town.root.join(".repo.git/gt/stops/town.all"), "{ torn").unwrap();
    let refused = town.gt_args(&["sling", &beads[0], TOAST]).fails_with(4);
    assert!(refused.stderr.contains("gt thaw"), "{}", refused.stderr);
    town.gt("thaw").succeeds();
    town.gt_args(&["sling", &beads[0], TOAST]).succeeds();
    assert!(town.has_session(TOAST) && rig.dir.is_dir());
}

#[test]
fn a_rig_is_stopped_for_itself_and_the_stop_of_the_town_lasts_beyond_it() {
    let (town, rig, _) = at_work();
    let gadgets = town.rig("gadgets");
    town.gt_args(&["config", "set", "agent.command", &town.agent_command(), "--rig", "gadgets"]).succeeds();
    town.gt("estop --rig widgets -r fire").succeeds();
    town.gt("estop --rig nowhere -r fire").fails_with(3);
    let bead = town.bead(&gadgets, "Elsewhere");
    town.plan(&bead, 1, "hang");
    town.gt_args(&["sling", &bead, "gadgets/toast"]).succeeds();
    assert_eq!((state(&town, TOAST).as_str(), state(&town, "gadgets/polecats/toast").as_str()), ("held", "working"));
    town.gt("estop -r flood").succeeds();
    // One stop ends; what the other covers stays held.
    town.gt("thaw --rig widgets").succeeds();
    assert_eq!((state(&town, TOAST).as_str(), state(&town, "gadgets/polecats/toast").as_str()), ("held", "held"));
    let still = counts(&rig);
    town.gt("thaw").succeeds();
    town.until("both count again", || counts(&rig).iter().zip(&still).all(|(now, then)| now != then));
}

#[test]
fn agents_in_terminals_are_held_too() {
    if !crate::terminals::has_tmux() {
        return;
    }
    let (town, rig) = Town::with_rig();
    town.gt("config set session.backend tmux --rig widgets").succeeds();
    let bead = town.bead(&rig, "Work");
    town.plan(&bead, 1, "sh n=0; while :; do n=$((n+1)); echo $n >../n.new; mv ../n.new ../toast.count; sleep 0.02; done");
    town.gt_args(&["sling", &bead, TOAST]).succeeds();
    town.until("it counts", || !counts(&rig)[0].is_empty());
    town.gt("estop -r fire").succeeds();
    let still = counts(&rig);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((counts(&rig), state(&town, TOAST).as_str()), (still.clone(), "held"));
    town.gt("thaw").succeeds();
    town.until("it counts again", || counts(&rig) != still);
    town.gt("attach widgets/toast").fails_with(6);
}

#[test]
fn a_shutdown_saves_what_is_unsaved_and_removes_what_holds_nothing() {
    let (town, rig, beads) = at_work();
    std::fs::write(rig.dir.join("polecats/toast/unsaved.txt"), "mine\n").unwrap();
    // Two idle ones: one clean, one with something in it.
    for (name, file) in [("slit", None), ("ace", Some("left.txt"))] {
        let bead = town.bead(&rig, name);
        town.gt_args(&["sling", &bead, &format!("widgets/{name}"), "--no-start"]).succeeds();
        town.gt_args(&["unsling", &bead]).succeeds();
        if let Some(file) = file {
            std::fs::write(rig.dir.join(format!("polecats/{name}/{file}")), "left\n").unwrap();
        }
    }
    let sandboxes = |document: &Value| -> Vec<(String, String)> {
        let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let mut all: Vec<_> =
            document["sandboxes"].as_array().unwrap().iter().map(|one| (text(one, "agent"), text(one, "then"))).collect();
        all.sort();
        all
    };
    let wanted = [("ace", "kept-as-saved"), ("nux", "kept-with-work"), ("slit", "removed"), ("toast", "kept-with-work")]
        .map(|(name, then)| (format!("widgets/polecats/{name}"), then.to_owned()));
    let before = refs(&rig, &town, "refs/");
    assert_eq!(sandboxes(&town.gt("--json shutdown --dry-run").json()), wanted);
    let refused = town.gt("shutdown").fails_with(4);
    assert!(refused.stderr.contains("--yes") && refused.stderr.contains("would go"), "{}", refused.stderr);
    assert!(refs(&rig, &town, "refs/") == before && town.has_session(TOAST));
    town.as_agent(TOAST).gt("shutdown --yes").fails_with(4);
    let done = town.gt("--json shutdown --yes").json();
    assert_eq!(sandboxes(&done), wanted);
    assert_eq!(town.gt("--json session list").json(), json!([]));
    let there = |name: &str| rig.dir.join("polecats").join(name).is_dir();
    assert!(there("toast") && there("nux") && there("ace") && !there("slit"));
    for (name, file) in [("toast", "unsaved.txt"), ("ace", "left.txt")] {
        let kept = refs(&rig, &town, &format!("refs/gt/salvage/widgets/polecats/{name}"));
        let commit = kept.split(' ').next().unwrap();
        let content = town.git(&rig.dir.join(".repo.git"), &["show", &format!("{commit}:{file}")]);
        assert!(content == "mine" || content == "left", "{kept}");
        assert!(rig.dir.join("polecats").join(name).join(file).exists());
    }
    // Nothing is saved twice, and up goes on with it.
    town.gt("shutdown --yes").succeeds();
    town.gt("up").succeeds();
    assert!(town.has_session(TOAST) && town.status(&beads[0]) == "in_progress");
    town.fsck();
}

#[test]
fn a_sleeping_polecat_gets_no_work_and_no_session_until_it_is_woken() {
    let (town, rig, beads) = at_work();
    town.as_agent(NUX).gt("sleep widgets/toast").fails_with(4);
    town.gt("sleep mayor").fails_with(2);
    let slept = town.gt("sleep widgets/toast").succeeds();
    assert!(slept.stdout.contains(&beads[0]), "{}", slept.stdout);
    assert!(town.gt("sleep widgets/toast").succeeds().stdout.contains("already") && !town.has_session(TOAST));
    assert_eq!(state(&town, TOAST), "asleep");
    let up = town.gt("--json up").json();
    assert!(outcomes(&up).contains(&(TOAST.to_owned(), "asleep".to_owned())), "{up:#}");
    for line in [format!("sling {} {TOAST}", beads[0]), "session start widgets/toast".to_owned()] {
        let refused = town.gt(&line).fails_with(4);
        assert!(refused.stderr.contains("overseer put it to sleep") && refused.stderr.contains("gt wake"), "{}", refused.stderr);
    }
    // An idle one that sleeps is passed over.
    town.gt_args(&["unsling", &beads[0]]).succeeds();
    let next = town.bead(&rig, "Next");
    let slung = town.gt_args(&["--json", "sling", &next, "--no-start"]).json();
    assert_ne!(slung["agent"], TOAST);
    town.gt_args(&["sling", &beads[0], TOAST, "--no-start"]).fails_with(4);
    assert!(town.gt("wake widgets/toast").succeeds().stdout.contains("is awake"));
    town.gt_args(&["sling", &beads[0], TOAST]).succeeds();
    town.gt("sleep widgets/toast").succeeds();
    town.gt("wake widgets/toast").succeeds();
    assert!(town.has_session(TOAST) && town.gt("log --rig widgets --op wake").succeeds().stdout.contains(TOAST));
}

#[test]
fn short_words_do_what_their_long_forms_do() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.plan(&bead, 1, "hang");
    let spawned = town.gt_args(&["--json", "spawn", "--issue", &bead]).json();
    let agent = spawned["agent"].as_str().unwrap().to_owned();
    assert!(town.has_session(&agent) && spawned["outcome"] == "assigned");
    town.gt("spawn --issue wi-none9").fails_with(3);
    town.as_agent(&agent).args(&["kill", &agent]).fails_with(4);
    town.gt_args(&["kill", &agent]).succeeds();
    assert!(!town.has_session(&agent) && town.status(&bead) != "open");
    assert!(town.gt_args(&["kill", &agent]).succeeds().stdout.contains("no session"));
    let roll = town.gt("--json agents --rig widgets").json();
    assert_eq!(roll.as_array().unwrap().len(), 3, "{roll:#}");
    assert!(town.gt("agents").succeeds().stdout.contains("mayor"));
}

#[test]
fn a_command_is_run_where_an_agent_works_in_the_name_of_who_asks() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["sling", &bead, TOAST, "--no-start"]).succeeds();
    let branch = town.gt("capture widgets/toast git branch --show-current").succeeds().stdout;
    assert!(branch.starts_with(&format!("polecat/toast/{bead}@")), "{branch}");
    // No shell reads its words, and it is nobody else's deed.
    let said =
        town.gt_args(&["capture", "widgets/toast", "printf", "%s|", "$(touch pwned)", "a b", "`x`", ";"]).succeeds().stdout;
    assert_eq!(said, "$(touch pwned)|a b|`x`|;|\n");
    assert!(!Path::new(&rig.dir.join("polecats/toast/pwned")).exists());
    assert_eq!(town.gt_args(&["capture", "widgets/toast", "sh", "-c", "echo $GT_ACTOR"]).succeeds().stdout, "overseer\n");
    let failed = town.gt_args(&["--json", "capture", "widgets/toast", "sh", "-c", "echo no; exit 3"]).ends_with(6);
    let document: Value = serde_json::from_str(&failed.stdout).unwrap();
    assert_eq!((&document["exit"], &document["output"]), (&json!(3), &json!("no\n")));
    town.gt("capture --timeout 200ms widgets/toast sleep 60").fails_with(6);
    town.as_agent(TOAST).gt("capture widgets/polecats/nux true").fails_with(4);
    town.gt("capture widgets/polecats/ace true").fails_with(3);
}

/// Steps at which the commands here are killed.
pub const STEPS: &[&str] = &["estop.recorded", "thaw.going", "shutdown.salvaged"];

#[test]
fn a_stop_a_thaw_and_a_shutdown_that_were_killed_are_finished_by_the_next() {
    let (town, rig, _) = at_work();
    let killed = |line: &str, step: &str| {
        let outcome = town.here().var("GT_CRASH_AT", step).gt(line);
        assert_eq!(outcome.code, -1, "{line} does not reach {step}: {}{}", outcome.stdout, outcome.stderr);
    };
    killed("estop -r fire", STEPS[0]);
    // It stands from the first moment, and done again it holds who goes on.
    town.gt("up").fails_with(4);
    town.gt("estop -r again").succeeds();
    assert_eq!((state(&town, TOAST).as_str(), town.has_session("widgets/refinery")), ("held", false));
    let still = counts(&rig);
    killed("thaw", STEPS[1]);
    town.gt("up").fails_with(4);
    town.gt("thaw").succeeds();
    town.until("both count again", || counts(&rig).iter().zip(&still).all(|(now, then)| now != then));
    assert!(town.has_session("widgets/refinery"));
    std::fs::write(rig.dir.join("polecats/toast/unsaved.txt"), "mine\n").unwrap();
    killed("shutdown --yes", STEPS[2]);
    town.gt("shutdown --yes").succeeds();
    assert!(!refs(&rig, &town, "refs/gt/salvage/widgets/polecats/toast").is_empty());
    assert!(rig.dir.join("polecats/toast/unsaved.txt").exists());
}
