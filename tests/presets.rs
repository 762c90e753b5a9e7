//! Agents of any make: a stand-in of each name writes down how it was started, and what it was told.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::machines::Pair;
use crate::town::{Gt, Outcome, Rig, Town};

const TOAST: &str = "widgets/polecats/toast";
const FIRST: &str = "Run gt prime and do what it says.";

/// Writes its arguments, a line of its input and its environment where it stands, then waits.
const STAND_IN: &str = r#"#!/bin/sh
{ printf '%s\n' "${0##*/}"; for word in "$@"; do printf '%s\n' "$word"; done; } >argv.tmp
env >env.txt
[ -t 0 ] && echo 'ready>'
IFS= read -r line && printf '%s\n' "$line" >input.txt
mv argv.tmp argv.txt
exec sleep 600
"#;

/// How each is called without a terminal and in one; `|` between words, `$` for the first words.
const LINES: &[(&str, &str, &str)] = &[
    ("claude", "claude|--dangerously-skip-permissions|-p|$", "claude|--dangerously-skip-permissions|$"),
    ("codex", "codex|exec|--dangerously-bypass-approvals-and-sandbox|$", "codex|--dangerously-bypass-approvals-and-sandbox|$"),
    ("gemini", "gemini|--approval-mode|yolo|-p|$", "gemini|--approval-mode|yolo|-i|$"),
    ("cursor", "cursor-agent|-f|-p|$", "cursor-agent|-f|$"),
    ("opencode", "opencode|run|$", "opencode|--prompt|$"),
    ("copilot", "copilot|--yolo|-p|$", "copilot|--yolo|-i|$"),
    ("amp", "amp|--dangerously-allow-all|--no-ide|-x|$", "amp|--dangerously-allow-all|--no-ide"),
    ("auggie", "auggie|--allow-indexing|--print|$", "auggie|--allow-indexing|$"),
    ("pi", "pi|-p|$", "pi|$"),
    ("omp", "omp|--auto-approve|-p|$", "omp|--auto-approve|$"),
    ("vibe", "vibe|--agent|auto-approve|--prompt|$", "vibe|--agent|auto-approve|$"),
];

/// A town with a rig, no agent chosen, and stand-ins of these names.
pub struct Place {
    pub town: Town,
    pub rig: Rig,
}

impl Place {
    /// Without runtime hooks, which are given by words of their own.
    fn new(programs: &[&str]) -> Self {
        let place = Self::with_hooks(programs);
        place.gt(&["config", "set", "agent.hooks", "false"]).succeeds();
        place
    }

    pub fn with_hooks(programs: &[&str]) -> Self {
        let town = Town::new();
        let rig = town.rig("widgets");
        for name in programs {
            stand_in(&town, name);
        }
        Self { town, rig }
    }

    /// A command that finds the stand-ins.
    pub fn here(&self) -> Gt<'_> {
        self.town.here().var("PATH", &path_of(&self.town))
    }

    pub fn gt(&self, args: &[&str]) -> Outcome {
        self.here().args(args)
    }

    pub fn file(&self, name: &str) -> String {
        let path = self.rig.dir.join("polecats/toast").join(name);
        std::fs::read_to_string(path).unwrap_or_default().trim_end().to_owned()
    }

    /// How the stand-in was called, when it is done writing.
    pub fn called(&self) -> String {
        self.town.until("the agent has written how it was called", || !self.file("argv.txt").is_empty());
        self.file("argv.txt").replace('\n', "|")
    }

    pub fn stop(&self) {
        self.gt(&["session", "stop", TOAST]).succeeds();
        for name in ["argv.txt", "env.txt", "input.txt"] {
            let _ = std::fs::remove_file(self.rig.dir.join("polecats/toast").join(name));
        }
    }

    fn is_untouched(&self, bead: &str) {
        assert_eq!(self.town.status(bead), "open");
        assert!(std::fs::read_dir(self.rig.dir.join("polecats")).unwrap().next().is_none());
    }
}

fn stand_in(town: &Town, name: &str) {
    let dir = town.base().join("agents");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(name), STAND_IN).unwrap();
    std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn path_of(town: &Town) -> String {
    let gt = Path::new(env!("CARGO_BIN_EXE_gt")).parent().unwrap().display().to_string();
    format!("{}:{gt}:/usr/local/bin:/usr/bin:/bin", town.base().join("agents").display())
}

fn has_tmux() -> bool {
    let found = Command::new("tmux").arg("-V").output().is_ok_and(|output| output.status.success());
    assert!(found || std::env::var_os("CI").is_none(), "no tmux: install tmux");
    found
}

#[test]
fn every_preset_starts_its_program_without_a_terminal() {
    let programs: Vec<&str> = LINES.iter().map(|(_, alone, _)| alone.split('|').next().unwrap()).collect();
    let place = Place::new(&programs);
    let bead = place.town.bead(&place.rig, "Work");
    place.gt(&["config", "set", "polecats.respawns_max", "99"]).succeeds();
    for (name, alone, _) in LINES {
        place.gt(&["config", "set", "agent.preset", name, "--rig", "widgets"]).succeeds();
        place.gt(&["sling", &bead, TOAST]).succeeds();
        assert_eq!(place.called(), alone.replace('$', FIRST), "{name}");
        let env = place.file("env.txt");
        assert!(env.contains(&format!("GT_AGENT={name}\n")) && env.contains(&format!("GT_ACTOR={TOAST}\n")), "{env}");
        assert_eq!(env.contains("OPENCODE_PERMISSION={\"*\":\"allow\"}"), *name == "opencode");
        assert_eq!(place.file("input.txt"), "", "{name}");
        place.stop();
    }
}

#[test]
fn every_preset_starts_its_program_in_a_terminal() {
    if !has_tmux() {
        return;
    }
    let programs: Vec<&str> = LINES.iter().map(|(_, _, shown)| shown.split('|').next().unwrap()).collect();
    let place = Place::new(&programs);
    let bead = place.town.bead(&place.rig, "Work");
    place.gt(&["config", "set", "session.backend", "tmux", "--rig", "widgets"]).succeeds();
    place.gt(&["config", "set", "polecats.respawns_max", "99"]).succeeds();
    for (name, _, shown) in LINES {
        place.gt(&["config", "set", "agent.preset", name, "--rig", "widgets"]).succeeds();
        let slung = place.gt(&["sling", &bead, TOAST]).succeeds();
        assert!(!slung.stdout.contains("not seen"), "{}", slung.stdout);
        if *name != "amp" {
            // Whatever is not told by typing waits for a line of ours.
            place.gt(&["nudge", TOAST, "--mode", "immediate", "go"]).succeeds();
        }
        assert_eq!(place.called(), shown.replace('$', FIRST), "{name}");
        let told = if *name == "amp" { FIRST } else { "[from overseer] go" };
        assert_eq!(place.file("input.txt"), told, "{name}");
        place.stop();
    }
}

#[test]
fn an_agent_of_ones_own_gets_its_words_as_they_are_and_its_first_words_on_standard_input() {
    let place = Place::new(&["mycli"]);
    let bead = place.town.bead(&place.rig, "Work");
    let set = |key: &str, value: &str| place.gt(&["config", "set", key, value, "--rig", "widgets"]).succeeds();
    set("agents.mine.command", "mycli run");
    set("agents.mine.args", "--yes '$(touch pwned) `touch pwned`' '; touch pwned' *");
    set("agents.mine.env", "MODE=agent GREETING='a b'");
    set("agents.mine.model_flag", "-m");
    set("agents.mine.prompt", "stdin");
    set("agent.preset", "mine");
    place.gt(&["sling", &bead, TOAST, "--model", "x'; touch pwned; '$(touch pwned)"]).succeeds();
    let wanted = "mycli|run|--yes|$(touch pwned) `touch pwned`|; touch pwned|*|-m|x'; touch pwned; '$(touch pwned)";
    assert_eq!(place.called(), wanted);
    assert_eq!(place.file("input.txt"), FIRST);
    let env = place.file("env.txt");
    assert!(env.contains("MODE=agent\n") && env.contains("GREETING=a b\n") && env.contains("GT_MODEL=x'; touch"), "{env}");
    assert!(!place.rig.dir.join("polecats/toast/pwned").exists());
    place.stop();
    // What would be taken for a flag is no model.
    place.gt(&["unsling", &bead]).succeeds();
    place.gt(&["sling", &bead, TOAST, "--model", "--evil"]).fails_with(2);
    assert_eq!(place.town.status(&bead), "open");
    // In a terminal there is no standard input to give them on.
    place.gt(&["config", "set", "session.backend", "tmux", "--rig", "widgets"]).succeeds();
    let refused = place.gt(&["sling", &bead, TOAST]).fails_with(4);
    assert!(refused.stderr.contains("session.backend process"), "{}", refused.stderr);
}

#[test]
fn first_words_are_typed_when_the_terminal_is_ready_and_need_one() {
    let place = Place::new(&["mycli"]);
    let bead = place.town.bead(&place.rig, "Work");
    let set = |key: &str, value: &str| place.gt(&["config", "set", key, value, "--rig", "widgets"]).succeeds();
    set("agents.mine.command", "mycli");
    set("agents.mine.prompt", "typed");
    set("agents.mine.ready", "ready>");
    set("agent.polecat.preset", "mine");
    let refused = place.gt(&["sling", &bead, TOAST]).fails_with(4);
    assert!(refused.stderr.contains("gt config set session.backend tmux"), "{}", refused.stderr);
    place.is_untouched(&bead);
    if !has_tmux() {
        return;
    }
    set("session.backend", "tmux");
    let slung = place.gt(&["--json", "sling", &bead, TOAST]).json();
    assert_eq!(slung["is_prompted"], true, "{slung}");
    assert_eq!(place.called(), "mycli");
    assert_eq!(place.file("input.txt"), FIRST);
    place.stop();
    // A terminal that ends before it can be told anything is said.
    set("agents.mine.command", "true");
    let again = place.gt(&["sling", &bead, TOAST]).succeeds();
    assert!(again.stdout.contains("was not seen to take them"), "{}", again.stdout);
}

#[test]
fn the_agent_and_model_of_a_sling_are_kept_over_a_restart() {
    let place = Place::new(&["claude", "codex"]);
    let bead = place.town.bead(&place.rig, "Work");
    place.gt(&["config", "set", "agent.preset", "claude"]).succeeds();
    place.gt(&["config", "set", "agent.model", "usual"]).succeeds();
    place.gt(&["sling", &bead, TOAST, "--agent", "codex", "--model", "o3"]).succeeds();
    let codex = format!("codex|exec|--dangerously-bypass-approvals-and-sandbox|--model|o3|{FIRST}");
    assert_eq!(place.called(), codex);
    assert!(place.gt(&["hook", TOAST]).succeeds().stdout.contains("preset: codex"));
    place.stop();
    let other = place.gt(&["sling", &bead, TOAST, "--agent", "claude"]).fails_with(4);
    assert!(other.stderr.contains("for another agent: codex"), "{}", other.stderr);
    place.gt(&["session", "start", TOAST]).succeeds();
    assert_eq!(place.called(), codex);
    place.stop();
    place.gt(&["sling", &bead, TOAST]).succeeds();
    assert_eq!(place.called(), codex);
    place.stop();
    place.gt(&["unsling", &bead]).succeeds();
    place.gt(&["sling", &bead, TOAST]).succeeds();
    assert_eq!(place.called(), format!("claude|--dangerously-skip-permissions|--model|usual|-p|{FIRST}"));
    place.stop();
}

#[test]
fn what_is_set_nearest_is_started_and_a_command_before_a_preset() {
    let place = Place::new(&["claude", "codex", "pi"]);
    let bead = place.town.bead(&place.rig, "Work");
    place.gt(&["config", "set", "agent.preset", "claude"]).succeeds();
    place.gt(&["config", "set", "agent.command", "codex from a shell"]).succeeds();
    place.gt(&["sling", &bead, TOAST]).succeeds();
    assert_eq!(place.called(), "codex|from|a|shell");
    place.stop();
    place.gt(&["config", "set", "agent.preset", "pi", "--rig", "widgets"]).succeeds();
    place.gt(&["session", "start", TOAST]).succeeds();
    assert_eq!(place.called(), format!("pi|-p|{FIRST}"));
    place.stop();
    place.gt(&["config", "set", "agent.mayor.preset", "claude"]).succeeds();
    place.gt(&["mayor", "start"]).succeeds();
    let argv = place.town.root.join("mayor/argv.txt");
    place.town.until("the mayor has written how it was called", || argv.exists());
    assert!(std::fs::read_to_string(&argv).unwrap().starts_with("claude\n--dangerously-skip-permissions\n-p\n"));
    place.gt(&["mayor", "stop"]).succeeds();
}

#[test]
fn a_missing_program_or_agent_is_told_before_anything_is_assigned() {
    let place = Place::new(&[]);
    let bead = place.town.bead(&place.rig, "Work");
    let unknown = place.gt(&["config", "set", "agent.preset", "nobody"]).fails_with(3);
    assert!(unknown.stderr.contains("gt config agent list"), "{}", unknown.stderr);
    place.gt(&["sling", &bead, TOAST, "--agent", "nobody", "--no-start"]).fails_with(3);
    place.gt(&["config", "set", "agent.preset", "auggie"]).succeeds();
    let missing = place.gt(&["sling", &bead, TOAST]).fails_with(6);
    assert!(missing.stderr.contains("'auggie' of agent auggie") && missing.stderr.contains("agent.preset"), "{}", missing.stderr);
    let no_flag = place.gt(&["sling", &bead, TOAST, "--agent", "vibe", "--model", "m"]).fails_with(4);
    assert!(no_flag.stderr.contains("agents.vibe.model_flag"), "{}", no_flag.stderr);
    place.is_untouched(&bead);
}

#[test]
fn what_comes_from_elsewhere_chooses_no_program_here() {
    let pair = Pair::new();
    for name in ["mycli", "pi"] {
        stand_in(&pair.one, name);
    }
    let path = path_of(&pair.one);
    let two = || pair.two.here().var("PATH", &path);
    pair.one.gt("config unset agent.command --rig widgets").succeeds();
    pair.one.gt("config set agents.mine.command mycli").succeeds();
    pair.one.gt("config set agent.preset mine").succeeds();
    let bead = pair.bead("Work");
    // By its configuration: each key is trusted by itself.
    for key in ["agent.preset", "agents.mine.command"] {
        let refused = two().args(&["sling", &bead, "widgets"]).fails_with(4);
        assert!(refused.stderr.contains(&format!("gt trust {key}")), "{}", refused.stderr);
        assert_eq!(pair.two.status(&bead), "open");
        two().args(&["trust", key]).succeeds();
    }
    two().args(&["sling", &bead, "widgets"]).succeeds();
    // By a record: one of gt's own that nobody named here.
    let asked = pair.bead("Asked");
    let name = pair.two.gt("--json machine list").json();
    assert!(name.to_string().contains("two"), "{name}");
    pair.one.gt_args(&["sling", &asked, "two:widgets", "--agent", "pi"]).succeeds();
    pair.one.gt("sync").succeeds();
    two().args(&["sync"]);
    assert_eq!(pair.two.status(&asked), "open");
    let letters = pair.two.gt("--json inbox overseer").json().to_string();
    assert!(letters.contains("was not slung"), "{letters}");
    two().args(&["trust", "--agent", "nobody"]).fails_with(3);
    two().args(&["trust", "--agent", "pi"]).succeeds();
    pair.settle();
    pair.one.gt_args(&["sling", &asked, "two:widgets", "--agent", "pi"]).succeeds();
    pair.one.gt("sync").succeeds();
    two().args(&["sync"]).succeeds();
    pair.two.until("it is slung", || pair.two.status(&asked) == "hooked");
    let session = pair.two.gt("--json session list").json().to_string();
    assert!(session.contains("pi --extension ") && session.contains(" -p 'Run gt prime and do what it says.'"), "{session}");
}

#[test]
fn who_works_here_chooses_no_agent_that_nobody_named() {
    let place = Place::new(&["pi"]);
    let bead = place.town.bead(&place.rig, "Work");
    let agent = || place.here().var("GT_ROLE", "widgets/polecats/nux");
    let refused = agent().args(&["sling", &bead, TOAST, "--agent", "pi"]).fails_with(4);
    assert!(refused.stderr.contains("may not say what runs"), "{}", refused.stderr);
    agent().args(&["config", "set", "agent.model", "dearest"]).fails_with(4);
    place.is_untouched(&bead);
}

#[test]
fn agents_are_listed_shown_added_chosen_and_removed() {
    let place = Place::new(&["claude", "mycli"]);
    let list = || place.gt(&["config", "agent", "list", "--rig", "widgets"]).succeeds().stdout;
    let row = |name: &str| list().lines().find(|line| line.starts_with(name)).map(str::to_owned).unwrap_or_default();
    assert!(row("claude").contains("here") && row("codex").contains("not found"), "{}", list());
    assert!(place.gt(&["config", "default-agent"]).fails_with(3).stderr.contains("no agent is chosen"));
    place.gt(&["config", "default-agent", "claude"]).succeeds();
    assert!(row("claude").contains("chosen"), "{}", list());
    let mine = ["config", "agent", "set", "mine", "mycli run", "--args", "--yes", "--model-flag", "-m", "--prompt", "stdin"];
    place.gt(&[&mine[..], &["--rig", "widgets"]].concat()).succeeds();
    place.gt(&["config", "default-agent", "mine", "--rig", "widgets"]).succeeds();
    assert!(row("mine").contains("chosen") && row("mine").contains("here"), "{}", list());
    let all = place.gt(&["--json", "config", "agent", "list", "--rig", "widgets"]).json();
    assert_eq!(all["agents"].as_array().unwrap().len(), 12);
    let shown = place.gt(&["--json", "config", "agent", "get", "mine", "--rig", "widgets"]).json();
    assert_eq!((&shown["program"], &shown["args"][0]), (&"mycli".into(), &"--yes".into()));
    assert_eq!((&shown["alone"]["first"][0], &shown["terminal"]), (&"run".into(), &serde_json::Value::Null));
    let claude = place.gt(&["config", "agent", "get", "claude"]).succeeds().stdout;
    assert!(claude.contains("--dangerously-skip-permissions") && claude.contains("code.claude.com"), "{claude}");
    place.gt(&["config", "agent", "remove", "mine", "--rig", "widgets"]).succeeds();
    place.gt(&["config", "agent", "remove", "mine", "--rig", "widgets"]).fails_with(3);
    assert!(list().contains("there is no agent 'mine'"), "{}", list());
    // Of this machine alone, where names of keys have other signs.
    let here = ["config", "agent", "set", "local", "mycli", "--model-flag", "-m", "--scope", "machine"];
    place.gt(&here).succeeds();
    assert!(row("local").contains("here"), "{}", list());
    let shown = place.gt(&["--json", "config", "agent", "get", "local"]).json();
    assert_eq!(shown["model_flag"], "-m");
    place.gt(&["config", "agent", "remove", "local", "--scope", "machine"]).succeeds();
    assert!(row("local").is_empty(), "{}", list());
    // One of gt's own is changed key by key.
    place.gt(&["config", "set", "agents.claude.args", "--permission-mode acceptEdits"]).succeeds();
    assert!(place.gt(&["config", "agent", "get", "claude"]).succeeds().stdout.contains("--permission-mode acceptEdits"));
    place.gt(&["config", "agent", "set", "Not A Name", "x"]).fails_with(2);
    place.gt(&["config", "agent", "set", "mine", "mycli", "--prompt", "shouted"]).fails_with(2);
}
