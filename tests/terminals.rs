//! Agents in terminals: started, read, typed into, restarted and ended, each town by itself.

use std::process::Command;

use serde_json::Value;

use crate::town::{Rig, Town, text_at};

const TOAST: &str = "widgets/polecats/toast";

/// Whether tmux is here; where everything must be tested its absence is a failure.
pub fn has_tmux() -> bool {
    let found = Command::new("tmux").arg("-V").output().is_ok_and(|output| output.status.success());
    assert!(found || std::env::var_os("CI").is_none(), "no tmux: install tmux");
    found
}

/// A town whose agents run in terminals, with toast slung a bead by `plan`.
fn slung(plan: &str) -> (Town, Rig, String) {
    let (town, rig) = Town::with_rig();
    town.gt("config set session.backend tmux --rig widgets").succeeds();
    let bead = town.bead(&rig, "Work");
    town.plan(&bead, 1, plan);
    town.gt_args(&["sling", &bead, TOAST]).succeeds();
    (town, rig, bead)
}

fn sessions(town: &Town) -> Vec<Value> {
    town.gt("--json session list").json().as_array().unwrap().clone()
}

fn capture(town: &Town) -> String {
    town.gt("session capture widgets/toast").succeeds().stdout
}

#[test]
fn an_agent_in_a_terminal_works_and_hands_in_and_its_terminal_goes_with_it() {
    if !has_tmux() {
        return;
    }
    let (town, rig, bead) = slung("write news.txt news\ncommit Add news\ngt done");
    town.until("the work is handed in", || town.status(&bead) == "in_review");
    town.until("the session has ended", || !town.has_session(TOAST));
    assert!(town.logs().contains("You are widgets/polecats/toast"), "{}", town.logs());
    let author = town.git(&rig.dir.join("polecats/toast"), &["log", "-1", "--format=%an <%ae>"]);
    assert_eq!(author, "widgets/polecats/toast <owner@example.org>");
    assert!(sessions(&town).is_empty());
    // What it said last is still there to be read.
    assert!(capture(&town).contains("> gt done"));
    town.gt("session attach widgets/toast").fails_with(3);
}

#[test]
fn a_terminal_is_read_and_typed_into_and_what_is_typed_is_one_line() {
    if !has_tmux() {
        return;
    }
    let (town, _rig, bead) = slung("say ready\nsh IFS= read -r line; printf 'heard %s\\n' \"$line\"; hang=1\nhang");
    town.until("it is ready", || capture(&town).contains("ready"));
    let one = &sessions(&town)[0];
    assert_eq!((text_at(one, &["/bead"]), text_at(one, &["/pane/name"])), (bead, "gt-widgets-toast".into()));
    let told = town.gt_args(&["nudge", "widgets/toast", "--mode", "immediate", "look\nat $(touch pwned) `this`\u{1b}[201~"]);
    assert!(told.succeeds().stdout.contains("which shows it"));
    town.until("it heard", || capture(&town).contains("heard [from overseer] look at $(touch pwned) `this`[201~"));
    assert!(town.gt("peek widgets/toast").succeeds().stdout.contains("heard [from overseer] look at"));
    assert!(!town.root.join("widgets/polecats/toast/pwned").exists());
    // Without a terminal on this side it cannot be shown, and that is said.
    let refused = town.gt("session attach widgets/toast").fails_with(6);
    assert!(refused.stderr.contains("gt peek"), "{}", refused.stderr);
    town.gt("session stop widgets/toast").succeeds();
    assert!(sessions(&town).is_empty());
}

#[test]
fn a_session_is_started_again_with_the_same_work_and_only_where_there_is_work() {
    if !has_tmux() {
        return;
    }
    let (town, _rig, bead) = slung("say first\nhang");
    town.plan(&bead, 2, "say second\nhang");
    town.until("the first speaks", || capture(&town).contains("first"));
    let pid = sessions(&town)[0]["pid"].clone();
    assert_eq!(town.gt("--json session start widgets/toast").json()["pid"], pid, "it runs");
    let restarted = town.gt("--json session restart widgets/toast").json();
    assert_ne!(restarted["pid"], pid);
    town.until("the second speaks", || capture(&town).contains("second"));
    assert_eq!(sessions(&town).len(), 1);
    town.gt_args(&["unsling", &bead]).succeeds();
    town.gt("session start widgets/toast").fails_with(3);
}

#[test]
fn two_towns_keep_their_terminals_apart() {
    if !has_tmux() {
        return;
    }
    let ((one, _, _), (two, _, _)) = (slung("say of one\nhang"), slung("say of two\nhang"));
    one.until("one speaks", || capture(&one).contains("of one"));
    two.until("two speaks", || capture(&two).contains("of two"));
    one.gt("session stop widgets/toast").succeeds();
    assert!(sessions(&one).is_empty() && two.has_session(TOAST) && capture(&two).contains("of two"));
    two.gt("session stop widgets/toast").succeeds();
}

#[test]
fn the_mayor_has_a_session_of_its_own() {
    if !has_tmux() {
        return;
    }
    let (town, _rig) = Town::with_rig();
    let refused = town.gt("mayor start").fails_with(4);
    assert!(refused.stderr.contains("gt config set agent.command"), "{}", refused.stderr);
    town.gt("config set session.backend tmux").succeeds();
    town.gt_args(&["config", "set", "agent.command", "echo \"$GT_ACTOR in $PWD\"; gt hook; exec sleep 600"]).succeeds();
    town.gt("mayor start").succeeds();
    let shown = || town.gt("session capture mayor").succeeds().stdout;
    town.until("the mayor speaks", || shown().contains("mayor in ") && shown().contains("nothing"));
    assert_eq!(text_at(&sessions(&town)[0], &["/pane/name"]), "gt-mayor");
    town.gt("mayor start").succeeds();
    assert_eq!(sessions(&town).len(), 1);
    assert!(town.gt("mayor stop").succeeds().stdout.contains("has ended"));
    assert!(town.gt("mayor stop").succeeds().stdout.contains("has no session"));
}

#[test]
fn a_session_without_a_terminal_says_so_when_it_is_to_be_shown_or_typed_into() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.plan(&bead, 1, "say here\nhang");
    town.gt_args(&["sling", &bead, TOAST]).succeeds();
    let refused = town.gt("session attach widgets/toast").fails_with(4);
    assert!(refused.stderr.contains("gt config set session.backend tmux"), "{}", refused.stderr);
    town.gt_args(&["nudge", "widgets/toast", "--mode", "immediate", "x"]).fails_with(4);
    town.until("it speaks", || capture(&town).contains("here"));
    town.gt("session stop widgets/toast").succeeds();
}

#[test]
fn a_status_line_has_the_colours_of_its_role_or_those_that_are_set() {
    if !has_tmux() {
        return;
    }
    let (town, rig, _bead) = slung("hang");
    let style = || {
        let pane = &sessions(&town)[0]["pane"];
        let (socket, name) = (text_at(pane, &["/socket"]), text_at(pane, &["/name"]));
        let show = |option: &str| {
            let args = ["-S", &socket, "show-options", "-v", "-t", &format!("={name}:"), option];
            String::from_utf8(Command::new("tmux").args(args).output().unwrap().stdout).unwrap().trim_end().to_owned()
        };
        (show("status-style"), show("status-left"))
    };
    let (colours, left) = style();
    assert!(colours.contains("colour24") && left.contains(TOAST), "{colours} {left}");
    for bad in ["bg=#(touch pwned)", "bg=red;x"] {
        town.gt_args(&["config", "set", "session.style.polecat", bad]).fails_with(2);
    }
    town.gt("config set session.style.polecat bg=#203040,bold --rig widgets").succeeds();
    town.gt("session restart widgets/toast").succeeds();
    assert!(style().0.contains("#203040") && rig.dir.is_dir(), "{:?}", style());
    town.gt("session stop widgets/toast").succeeds();
}
