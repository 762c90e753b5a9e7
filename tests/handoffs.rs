//! Hand-offs and checkpoints: what an agent leaves to itself when its context ends, and that its work goes on.

use std::path::PathBuf;

use serde_json::Value;

use crate::town::{Rig, Town, text_at};

pub const STEPS: &[&str] = &["handoff.letter", "handoff.ended"];
const TOAST: &str = "widgets/polecats/toast";

struct Shift {
    town: Town,
    rig: Rig,
    bead: String,
    /// What the second session was told.
    resumed: PathBuf,
}

/// Toast works by `first`, and its next session writes down what it is told.
fn slung(backend: &str, first: &str) -> Shift {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["config", "set", "session.backend", backend, "--rig", "widgets"]).succeeds();
    let bead = town.bead(&rig, "Work");
    let resumed = town.base().join("resumed");
    town.plan(&bead, 1, first);
    town.plan(&bead, 2, &format!("sh gt resume > {0}.new; mv {0}.new {0}\nhang", resumed.display()));
    town.gt_args(&["sling", &bead, TOAST]).succeeds();
    Shift { town, rig, bead, resumed }
}

impl Shift {
    fn told(&self) -> String {
        self.town.until("the next session was told", || self.resumed.exists());
        std::fs::read_to_string(&self.resumed).unwrap()
    }

    fn sessions(&self) -> Vec<Value> {
        self.town.gt("--json session list").json().as_array().unwrap().clone()
    }

    /// The work hangs where it hung, and one session works on it.
    fn goes_on(&self) {
        let hung = self.town.as_agent(TOAST).gt("--json hook").json();
        assert_eq!(text_at(&hung, &["/hook/bead"]), self.bead);
        assert_eq!(self.town.status(&self.bead), "in_progress");
        let sessions = self.sessions();
        assert_eq!((sessions.len(), text_at(&sessions[0], &["/bead"])), (1, self.bead.clone()));
    }
}

fn has_tmux() -> bool {
    let found = std::process::Command::new("tmux").arg("-V").output().is_ok_and(|output| output.status.success());
    assert!(found || std::env::var_os("CI").is_none(), "no tmux: install tmux");
    found
}

#[test]
fn a_fresh_session_takes_over_with_the_hook_kept_and_is_told() {
    for backend in ["process", "tmux"] {
        if backend == "tmux" && !has_tmux() {
            continue;
        }
        let hand_off = "sh echo half > half.txt\ngt handoff -s 'write the test' -m 'the pump leaks' --collect\nhang";
        let shift = slung(backend, hand_off);
        let told = shift.told();
        for words in ["HANDOFF", "write the test", "the pump leaks", "not committed: half.txt", &shift.bead] {
            assert!(told.contains(words), "{backend}: {told}");
        }
        shift.goes_on();
        assert!(shift.rig.dir.join("polecats/toast/half.txt").exists(), "the workspace stays as it is");
        // Told, and read.
        assert!(shift.town.as_agent(TOAST).gt("inbox --json").stdout.contains("\"read_at\""));
    }
}

#[test]
fn outside_of_a_session_only_the_letter_is_written() {
    let shift = slung("process", "hang");
    let before = text_at(&shift.sessions()[0], &["/id"]);
    let said = shift.town.as_agent(TOAST).var("GT_SESSION", "another").gt("handoff -m 'mind the gap'").succeeds().stdout;
    assert!(said.contains("no session was started anew, since this is not within its session"), "{said}");
    assert_eq!(text_at(&shift.sessions()[0], &["/id"]), before);
    let resumed = shift.town.as_agent(TOAST).gt("resume").succeeds();
    assert!(resumed.stdout.contains("mind the gap"), "{}", resumed.stdout);
    shift.town.gt("resume").ends_with(1);
}

#[test]
fn who_has_no_session_or_two_identities_hands_nothing_off() {
    let shift = slung("process", "hang");
    shift.town.gt("handoff -m x").fails_with(4);
    let other = shift.town.bead(&shift.rig, "Other");
    shift.town.as_agent(TOAST).args(&["handoff", &other, "-m", "x"]).fails_with(4);
    let stray =
        shift.town.from(shift.rig.dir.join("polecats/toast")).var("GT_ACTOR", "widgets/polecats/bread").gt("handoff -m x");
    assert!(stray.fails_with(4).stderr.contains("belongs to widgets/polecats/toast"));
    shift.town.as_agent(TOAST).gt("resume").ends_with(1);
}

#[test]
fn a_hand_off_that_was_killed_loses_neither_the_work_nor_the_words() {
    // Killed after the letter: the agent is still there and does it again.
    let twice = "sh GT_CRASH_AT=handoff.letter:1 gt handoff -m first; gt handoff -m second\nhang";
    let shift = slung("process", twice);
    assert!(shift.told().contains("second"));
    shift.goes_on();
    // Killed after the old session's end: the work hangs, and whoever starts the next session goes on.
    let shift = slung("process", "sh GT_CRASH_AT=handoff.ended:1 gt handoff -m 'last words'\nhang");
    shift.town.until("the session has ended", || !shift.town.has_session(TOAST));
    assert_eq!(text_at(&shift.town.as_agent(TOAST).gt("--json hook").json(), &["/hook/bead"]), shift.bead);
    shift.town.gt("session start widgets/toast").succeeds();
    assert!(shift.told().contains("last words"));
    shift.goes_on();
}

#[test]
fn an_agent_that_cannot_be_started_again_is_not_ended() {
    let shift = slung("process", "say waiting\nhang");
    let session = text_at(&shift.sessions()[0], &["/id"]);
    shift.town.gt("config set agent.command 'no-such-program --at all' --rig widgets").succeeds();
    let toast = shift.town.as_agent(TOAST).var("GT_SESSION", &session);
    toast.gt("handoff -m x").fails_with(6);
    assert!(shift.town.has_session(TOAST), "it works on");
    shift.town.as_agent(TOAST).gt("resume").ends_with(1);
}

#[test]
fn a_hand_off_about_other_work_is_not_told() {
    let shift = slung("process", "hang");
    shift.town.as_agent(TOAST).gt("handoff -m 'about the first'").succeeds();
    shift.town.gt_args(&["unsling", &shift.bead]).succeeds();
    let next = shift.town.bead(&shift.rig, "Next");
    shift.town.gt_args(&["sling", &next, TOAST, "--no-start"]).succeeds();
    shift.town.as_agent(TOAST).gt("resume").ends_with(1);
}

#[test]
fn a_checkpoint_is_kept_until_the_next_and_damage_is_not_nothing() {
    let shift = slung("process", "hang");
    let toast = || shift.town.as_agent(TOAST);
    toast().gt("checkpoint read").ends_with(1);
    toast().gt("checkpoint write --notes 'parser done'").succeeds();
    toast().gt("checkpoint write --notes 'tests next'").succeeds();
    let read = toast().gt("checkpoint read").succeeds();
    assert!(read.stdout.contains("tests next") && read.stdout.contains(&shift.bead), "{}", read.stdout);
    assert!(!read.stdout.contains("parser done"));
    assert_eq!(text_at(&toast().gt("--json checkpoint read").json(), &["/checkpoint/bead"]), shift.bead);
    let file = shift.town.root.join(".runtime/checkpoints/widgets%2Fpolecats%2Ftoast.json");
    std::fs::write(&file, "{").unwrap();
    toast().gt("checkpoint read").fails_with(70);
    toast().gt("checkpoint clear").succeeds();
    toast().gt("checkpoint clear").ends_with(1);
}

#[test]
fn what_was_learned_has_short_verbs() {
    let (town, _rig) = Town::with_rig();
    town.gt("remember 'The tests want a running pump' --key pump").succeeds();
    assert!(town.gt("memories").succeeds().stdout.contains("running pump"));
    town.gt("forget pump").succeeds();
    town.gt("forget pump").ends_with(1);
}
