//! Runtime hooks: what agents' programs are given and where it lies, and what they are answered at their turns, also when
//! the town is damaged or gone.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::presets::Place;
use crate::town::{Outcome, Rig, Town};

const TOAST: &str = "widgets/polecats/toast";

/// What each program is told with: its words or a variable (with `=`), and the files; `%` is the directory of its name.
const GIVEN: &[(&str, &str, &[&str])] = &[
    ("claude", "--settings|%/settings.json", &["settings.json"]),
    ("gemini", "GEMINI_CLI_SYSTEM_DEFAULTS_PATH=%/settings.json", &["settings.json"]),
    ("opencode", "OPENCODE_CONFIG_DIR=%", &["plugins/gt.js"]),
    ("copilot", "--plugin-dir|%", &["plugin.json", "hooks.json"]),
    ("pi", "--extension|%/gt.ts", &["gt.ts"]),
    ("omp", "--extension|%/gt.ts", &["gt.ts"]),
];

/// A town with work on the hook of a polecat, and no session.
struct Yard {
    town: Town,
    rig: Rig,
    bead: String,
    sandbox: PathBuf,
}

impl Yard {
    fn new() -> Self {
        let (town, rig) = Town::with_rig();
        let bead = town.bead(&rig, "Work");
        town.gt_args(&["sling", &bead, TOAST, "--no-start"]).succeeds();
        let sandbox = town.root.join(TOAST);
        Self { town, rig, bead, sandbox }
    }

    fn commit(&self) {
        self.town.git(&self.sandbox, &["commit", "-q", "--allow-empty", "-m", "Mend"]);
    }

    /// What gt answers the program of the polecat, which says `heard`.
    fn asked(&self, args: &[&str], heard: &Value) -> Outcome {
        self.asked_in(&self.sandbox, args, heard)
    }

    fn asked_in(&self, dir: &Path, args: &[&str], heard: &Value) -> Outcome {
        let here = self.town.from(dir.to_owned()).var("GT_ACTOR", TOAST).var("GT_ROLE", TOAST);
        let root = self.town.root.display().to_string();
        let mut command = here.var("GT_ROOT", &root).command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(heard.to_string().as_bytes()).unwrap();
        Outcome::of(format!("gt {}", args.join(" ")), child.wait_with_output().unwrap())
    }

    /// The same as JSON, which it always is, with exit code 0.
    fn said(&self, args: &[&str], heard: &Value) -> Value {
        let outcome = self.asked(args, heard).succeeds();
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {}", outcome.stdout))
    }
}

/// The words below `hooks.…` of an argument vector or a file: every command in it.
fn commands(value: &Value) -> Vec<String> {
    match value {
        Value::Object(keys) => keys
            .iter()
            .flat_map(|(key, value)| match value {
                Value::String(line) if key == "command" || key == "bash" => vec![line.clone()],
                value => commands(value),
            })
            .collect(),
        Value::Array(all) => all.iter().flat_map(commands).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_program_with_hooks_is_given_them_from_outside_of_the_project() {
    let programs: Vec<&str> = GIVEN.iter().map(|(name, ..)| *name).collect();
    let place = Place::with_hooks(&programs);
    let bead = place.town.bead(&place.rig, "Work");
    place.gt(&["config", "set", "polecats.respawns_max", "99"]).succeeds();
    for (name, given, files) in GIVEN {
        place.gt(&["config", "set", "agent.preset", name, "--rig", "widgets"]).succeeds();
        place.gt(&["sling", &bead, TOAST]).succeeds();
        let called = place.called();
        let dir = place.town.root.join(".runtime/hooks/widgets/polecats").join(name);
        let given = given.replace('%', dir.to_str().unwrap());
        let is_told =
            if given.contains('=') { place.file("env.txt").contains(&given) } else { called.contains(&format!("|{given}|")) };
        assert!(is_told, "{name}: {given} is not in {called}\n{}", place.file("env.txt"));
        for file in *files {
            let text = std::fs::read_to_string(dir.join(file)).unwrap();
            let names_gt = text.contains(place.town.root.join(".runtime/bin/gt").to_str().unwrap());
            assert!(names_gt || *file == "plugin.json", "{name}: {text}");
            if file.ends_with(".json") {
                serde_json::from_str::<Value>(&text).unwrap();
            }
        }
        let sandbox = place.town.root.join(TOAST);
        let strange = place.town.git(&sandbox, &["status", "--porcelain", "--ignored"]);
        let strange: Vec<&str> = strange.lines().filter(|line| !line.ends_with(".txt")).collect();
        assert!(strange.is_empty(), "{name} left {strange:?}");
        place.stop();
    }
}

#[test]
fn codex_is_given_its_hooks_as_settings_and_others_nothing() {
    let place = Place::with_hooks(&["codex", "amp", "cursor-agent"]);
    let bead = place.town.bead(&place.rig, "Work");
    place.gt(&["config", "set", "agent.preset", "codex", "--rig", "widgets"]).succeeds();
    place.gt(&["sling", &bead, TOAST]).succeeds();
    let called = place.called();
    for event in ["SessionStart", "PreCompact", "UserPromptSubmit", "Stop", "PreToolUse"] {
        assert!(called.contains(&format!("|-c|hooks.{event}=[{{")), "{event}: {called}");
    }
    assert!(!called.contains("bypass-hook-trust"), "what the project's own hooks are is for people to review: {called}");
    place.stop();
    for (name, line) in [("amp", "amp|--dangerously-allow-all|--no-ide|-x"), ("cursor", "cursor-agent|-f|-p")] {
        place.gt(&["config", "set", "agent.preset", name, "--rig", "widgets"]).succeeds();
        place.gt(&["sling", &bead, TOAST]).succeeds();
        assert!(place.called().starts_with(line), "{name}");
        place.stop();
    }
    assert!(!place.town.root.join(".runtime/hooks").exists());
}

#[test]
fn the_commands_in_the_file_answer_as_the_program_wants_and_fall_back_when_gt_is_gone() {
    let place = Place::with_hooks(&["claude"]);
    let bead = place.town.bead(&place.rig, "Work");
    place.gt(&["config", "set", "agent.preset", "claude"]).succeeds();
    place.gt(&["sling", &bead, TOAST]).succeeds();
    place.called();
    let file = place.town.root.join(".runtime/hooks/widgets/polecats/claude/settings.json");
    let settings: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let sandbox = place.town.root.join(TOAST);
    let run = |event: &str, heard: &Value| {
        let line = settings["hooks"][event][0]["hooks"][0]["command"].as_str().unwrap();
        let mut command = place.town.command("sh", &sandbox);
        command.args(["-c", line]).env("GT_ACTOR", TOAST).env("GT_ROLE", TOAST).env("GT_ROOT", &place.town.root);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(heard.to_string().as_bytes()).unwrap();
        Outcome::of(line.to_owned(), child.wait_with_output().unwrap()).succeeds().stdout
    };
    let start = json!({"session_id": "x", "hook_event_name": "SessionStart", "source": "startup"});
    let primed: Value = serde_json::from_str(&run("SessionStart", &start)).unwrap();
    let context = primed["hookSpecificOutput"]["additionalContext"].as_str().unwrap();
    assert!(context.contains(&format!("# You are {TOAST}")) && context.contains(&bead), "{context}");
    assert_eq!(run("PreCompact", &json!({"hook_event_name": "PreCompact", "trigger": "auto"})).trim(), "{}");
    assert_eq!(run("UserPromptSubmit", &json!({"prompt": "go"})), "");
    place.gt(&["send", TOAST, "-s", "Stop it", "--urgent"]).succeeds();
    assert!(run("UserPromptSubmit", &json!({"prompt": "go"})).contains("Subject: Stop it"));
    let tool = json!({"tool_name": "Bash", "tool_input": {"command": "git stash && make"}});
    let denied: Value = serde_json::from_str(&run("PreToolUse", &tool)).unwrap();
    assert_eq!(denied["hookSpecificOutput"]["permissionDecision"], "deny");
    assert_eq!(run("Stop", &json!({"stop_hook_active": false})).trim(), "{}", "there is no commit yet");
    place.stop();
    // The whole town goes while a session still runs.
    std::fs::remove_file(place.town.root.join(".runtime/bin/gt")).unwrap();
    assert!(run("SessionStart", &start).contains("does not mean that there is no work"));
    assert!(run("UserPromptSubmit", &json!({})).contains("does not mean that there is no work"));
    for event in ["PreCompact", "Stop", "PreToolUse"] {
        assert_eq!(run(event, &tool), "", "{event}");
    }
}

#[test]
fn a_polecat_with_commits_is_told_once_for_each_head_to_finish() {
    let yard = Yard::new();
    let stop = |heard: &Value| yard.said(&["signal", "stop", "--hook=claude"], heard);
    let fresh = json!({"hook_event_name": "Stop", "stop_hook_active": false});
    assert_eq!(stop(&fresh), json!({}), "without a commit it may stop");
    yard.commit();
    assert_eq!(stop(&json!({"stop_hook_active": true})), json!({}), "who goes on because of a hook may stop");
    let told = stop(&fresh);
    assert_eq!(told["decision"], "block");
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains("gt done") && reason.contains(&yard.bead), "{reason}");
    assert_eq!(stop(&fresh), json!({}), "once is enough");
    yard.commit();
    assert_eq!(stop(&fresh)["decision"], "block", "a new head is asked about anew");
    // Who lost its context lost what it was told.
    yard.said(&["prime", "--hook=claude"], &json!({"hook_event_name": "PreCompact", "trigger": "auto"}));
    assert_eq!(stop(&fresh)["decision"], "block");
    yard.said(&["prime", "--hook"], &json!({"hook_event_name": "SessionStart", "source": "startup"}));
    assert_eq!(stop(&fresh), json!({}), "a start loses nothing");
    for (program, key) in [("gemini", "decision"), ("cursor", "followup_message"), ("pi", "finish"), ("copilot", "reason")] {
        yard.commit();
        let form = format!("--hook={program}");
        let said = yard.said(&["signal", "stop", &form], &json!({}));
        assert!(said[key].is_string(), "{program}: {said}");
    }
    yard.commit();
    yard.town.as_agent(TOAST).args(&["done"]).succeeds();
    assert_eq!(stop(&fresh), json!({}), "handed in");
}

#[test]
fn nobody_else_is_kept_from_stopping() {
    let yard = Yard::new();
    yard.commit();
    for actor in ["mayor", "widgets/crew/joe", "widgets/polecats/rust"] {
        let outcome = yard.town.here().var("GT_ACTOR", actor).args(&["signal", "stop"]).succeeds();
        assert_eq!(outcome.stdout.trim(), "{}", "{actor}");
    }
    yard.town.gt_args(&["unsling", &yard.bead]).succeeds();
    assert_eq!(yard.said(&["signal", "stop"], &json!({})), json!({}));
}

#[test]
fn prime_answers_each_program_in_its_own_form() {
    let yard = Yard::new();
    let heard = json!({"hook_event_name": "SessionStart", "source": "startup", "session_id": "s"});
    for (program, pointer) in [
        ("claude", "/hookSpecificOutput/additionalContext"),
        ("codex", "/hookSpecificOutput/additionalContext"),
        ("gemini", "/hookSpecificOutput/additionalContext"),
        ("cursor", "/additional_context"),
        ("opencode", "/context"),
        ("omp", "/context"),
    ] {
        let form = format!("--hook={program}");
        let said = yard.said(&["prime", &form], &heard);
        let text = said.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{program}: {said}"));
        assert!(text.contains(&yard.bead), "{program}: {text}");
    }
    assert_eq!(yard.said(&["prime", "--hook=copilot"], &heard), json!({}), "it would not read it");
    yard.asked(&["prime", "--hook=nobody"], &heard).fails_with(2);
    // Whatever a program says, it is primed.
    for heard in [json!(null), json!([1]), json!({"source": 5})] {
        assert!(yard.said(&["prime", "--hook"], &heard)["hookSpecificOutput"]["additionalContext"].is_string());
    }
}

#[test]
fn mail_and_nudges_are_told_at_a_prompt_in_the_form_of_each_program() {
    let yard = Yard::new();
    assert_eq!(yard.said(&["signal", "prompt", "--hook=gemini"], &json!({"prompt": "x"})), json!({}));
    yard.town.gt_args(&["nudge", TOAST, "main moved"]).succeeds();
    let said = yard.said(&["signal", "prompt", "--hook=gemini"], &json!({"prompt": "x"}));
    assert_eq!(said["hookSpecificOutput"]["hookEventName"], "BeforeAgent");
    assert!(said["hookSpecificOutput"]["additionalContext"].as_str().unwrap().contains("main moved"), "{said}");
    assert_eq!(yard.said(&["signal", "prompt", "--hook=pi"], &json!({})), json!({}), "a nudge is told once");
}

#[test]
fn the_guard_forbids_by_role_and_knows_the_targets_of_the_rig() {
    let yard = Yard::new();
    let heard = |line: &str| json!({"tool_name": "Bash", "tool_input": {"command": line}});
    for (line, is_forbidden) in [
        ("git push origin HEAD:main", true),
        ("git -C . push -f", true),
        ("cd x && sh -c 'git stash'", true),
        ("git init y", true),
        ("git push -u origin HEAD", false),
        ("cargo test", false),
    ] {
        let said = yard.said(&["guard", "--hook=claude"], &heard(line));
        assert_eq!(said != json!({}), is_forbidden, "{line}: {said}");
    }
    let gemini = yard
        .said(&["guard", "--hook=gemini"], &json!({"tool_name": "run_shell_command", "tool_input": {"command": "git stash"}}));
    assert_eq!(gemini["decision"], "deny");
    let copilot = yard.said(&["guard", "--hook=copilot"], &json!({"toolName": "bash", "toolArgs": "{\"command\":\"git init\"}"}));
    assert_eq!(copilot["permissionDecision"], "deny");
    let cursor = yard.said(&["guard", "--hook=cursor"], &json!({"command": "git init", "cwd": "/x"}));
    assert_eq!(cursor["permission"], "deny");
    // People ask by hand, and may do what they like themselves.
    yard.town.gt_args(&["guard", "git push --force"]).succeeds();
    let judged = yard.town.gt_args(&["--actor", TOAST, "guard", "git push --force"]).ends_with(1);
    assert!(judged.stdout.starts_with("forbidden: "), "{}", judged.stdout);
    assert_eq!(yard.town.gt_args(&["--json", "--actor", TOAST, "guard", "git status"]).json()["forbidden"], Value::Null);
    yard.town.gt_args(&["guard"]).fails_with(2);
}

#[test]
fn a_damaged_or_vanished_town_breaks_no_session() {
    let yard = Yard::new();
    yard.commit();
    let heard = json!({"hook_event_name": "SessionStart", "source": "startup"});
    let check = |what: &str, dir: &Path| {
        let said = |args: &[&str], heard: &Value| -> Value {
            let outcome = yard.asked_in(dir, args, heard).succeeds();
            serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{what}: {error}: {}", outcome.stdout))
        };
        let primed = said(&["prime", "--hook=claude"], &heard).to_string();
        assert!(
            primed.contains("cannot read its state") && primed.contains("does not mean that there is no work"),
            "{what}: {primed}"
        );
        let told = said(&["signal", "prompt", "--hook=gemini"], &heard).to_string();
        assert!(told.contains("does not mean that there is no work"), "{what}: {told}");
        assert_eq!(said(&["signal", "stop", "--hook=claude"], &json!({})), json!({}), "{what}");
        let compact = json!({"hook_event_name": "PreCompact", "trigger": "auto"});
        assert_eq!(said(&["prime", "--hook=claude"], &compact), json!({}), "{what}");
        let force = json!({"tool_input": {"command": "git push -f"}});
        assert_ne!(said(&["guard", "--hook=claude"], &force), json!({}), "{what}: that is clear without a town");
        assert_eq!(said(&["guard", "--hook=claude"], &json!({"tool_input": {"command": "make"}})), json!({}), "{what}");
    };
    let tip = yard.rig.dir.join(".repo.git/refs/gt/ledger");
    let good = std::fs::read(&tip).unwrap();
    std::fs::write(&tip, b"garbage").unwrap();
    check("a ledger with a garbage tip", &yard.sandbox);
    std::fs::write(&tip, good).unwrap();
    let away = yard.town.root.with_extension("away");
    std::fs::rename(&yard.town.root, &away).unwrap();
    check("no town at all", yard.town.base().as_path());
    std::fs::rename(&away, &yard.town.root).unwrap();
    assert!(yard.said(&["prime", "--hook=claude"], &heard).to_string().contains(&yard.bead));
}

#[test]
fn a_symbolic_link_in_the_project_or_in_the_way_leads_nowhere() {
    let place = Place::with_hooks(&["claude"]);
    let outside = place.town.base().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let on_main = place.town.base().join("on-main");
    place.town.git(&place.rig.dir.join(".repo.git"), &["worktree", "add", "-q", on_main.to_str().unwrap(), "main"]);
    symlink(&outside, on_main.join(".claude")).unwrap();
    place.town.git(&on_main, &["add", ".claude"]);
    place.town.git(&on_main, &["commit", "-q", "-m", "A hostile link"]);
    let bead = place.town.bead(&place.rig, "Work");
    place.gt(&["config", "set", "agent.preset", "claude"]).succeeds();
    place.gt(&["sling", &bead, TOAST]).succeeds();
    place.called();
    assert!(std::fs::symlink_metadata(place.town.root.join(TOAST).join(".claude")).unwrap().is_symlink());
    assert!(std::fs::read_dir(&outside).unwrap().next().is_none());
    place.stop();
    // A link where gt itself writes.
    let hooks = place.town.root.join(".runtime/hooks");
    std::fs::remove_dir_all(&hooks).unwrap();
    symlink(&outside, &hooks).unwrap();
    let refused = place.gt(&["session", "start", TOAST]).fails_with(4);
    assert!(refused.stderr.contains("is a symbolic link"), "{}", refused.stderr);
    place.gt(&["hooks", "sync"]).fails_with(4);
    assert!(std::fs::read_dir(&outside).unwrap().next().is_none());
    place.gt(&["config", "set", "agent.hooks", "false"]).succeeds();
    place.gt(&["session", "start", TOAST]).succeeds();
    assert!(!place.called().contains("--settings"));
    place.stop();
}

#[test]
fn configuration_lays_over_the_template_by_role_and_rig_and_only_when_it_is_trusted() {
    let place = Place::with_hooks(&["claude"]);
    let bead = place.town.bead(&place.rig, "Work");
    let set = |args: &[&str]| place.gt(&[&["config", "set"], args].concat());
    set(&["agent.preset", "claude"]).succeeds();
    let over = |model: &str| {
        json!({"model": model, "hooks": {"Stop": [{"hooks": []}], "Mine": [{"hooks": [{"type": "command", "command": model}]}]}})
            .to_string()
    };
    set(&["agents.claude.hooks", &over("town")]).succeeds();
    set(&["agents.claude.hooks.polecat", "{\"model\": \"role\"}"]).succeeds();
    set(&["agents.claude.hooks", "{\"env\": {\"A\": \"rig\"}}", "--rig", "widgets"]).succeeds();
    place.gt(&["sling", &bead, TOAST]).succeeds();
    place.called();
    let file = place.town.root.join(".runtime/hooks/widgets/polecats/claude/settings.json");
    let settings = || -> Value { serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap() };
    assert_eq!((&settings()["model"], &settings()["env"]["A"]), (&json!("role"), &json!("rig")));
    assert_eq!(
        (&settings()["hooks"]["Stop"], &settings()["hooks"]["Mine"][0]["hooks"][0]["command"]),
        (&json!([]), &json!("town"))
    );
    assert!(settings()["hooks"]["PreToolUse"][0]["hooks"][0]["command"].as_str().unwrap().contains("guard"));
    place.stop();
    // What came from elsewhere was never trusted here.
    let pins = place.town.root.join(".repo.git/gt/trust.json");
    let mut trust: Value = serde_json::from_slice(&std::fs::read(&pins).unwrap()).unwrap();
    trust["pins"].as_object_mut().unwrap().retain(|key, _| !key.contains("hooks.polecat"));
    std::fs::write(&pins, trust.to_string()).unwrap();
    let refused = place.gt(&["session", "start", TOAST]).fails_with(4);
    assert!(refused.stderr.contains("gt trust agents.claude.hooks.polecat"), "{}", refused.stderr);
    place.gt(&["trust", "agents.claude.hooks.polecat"]).succeeds();
    place.gt(&["session", "start", TOAST]).succeeds();
    place.called();
    place.stop();
    for (key, value, code) in [
        ("agents.claude.hooks", "[1]", 2),
        ("agents.claude.hooks", "{", 2),
        ("agents.pi.hooks", "{}", 4),
        ("agents.claude.hooks.witness", "{}", 2),
    ] {
        set(&[key, value]).fails_with(code);
    }
    place.town.as_agent(TOAST).args(&["config", "set", "agents.claude.hooks", "{}"]).fails_with(4);
}

#[test]
fn files_are_listed_compared_written_and_taken_away() {
    let place = Place::with_hooks(&["claude"]);
    assert_eq!(place.gt(&["--json", "hooks", "sync"]).json(), json!([]));
    place.gt(&["config", "set", "agent.preset", "claude"]).succeeds();
    let missing = place.gt(&["--json", "hooks", "diff"]).ends_with(1);
    let missing: Value = serde_json::from_str(&missing.stdout).unwrap();
    let whose: Vec<&str> = missing.as_array().unwrap().iter().map(|one| one["whose"].as_str().unwrap()).collect();
    assert_eq!(whose, ["mayor", "widgets/polecats"]);
    let synced = place.gt(&["--json", "hooks", "sync"]).json();
    assert!(synced.as_array().unwrap().iter().all(|one| one["outcome"] == "written"), "{synced}");
    place.gt(&["hooks", "diff"]).succeeds();
    let file = place.town.root.join(".runtime/hooks/mayor/claude/settings.json");
    std::fs::write(&file, "{\"mine\": true}\n").unwrap();
    let diff = place.gt(&["hooks", "diff"]).ends_with(1).stdout;
    assert!(diff.contains("- {\"mine\": true}") && diff.contains("signal stop"), "{diff}");
    assert_eq!(place.gt(&["--json", "hooks", "sync"]).json()[0]["outcome"], "written");
    place.gt(&["config", "set", "agent.hooks", "false"]).succeeds();
    assert_eq!(place.gt(&["--json", "hooks", "sync"]).json()[0]["outcome"], "removed");
    assert!(!file.exists());
    let list = place.gt(&["--json", "hooks", "list", "--rig", "widgets"]).json();
    let of = |name: &str| list.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!((&of("amp")["is_known"], &of("cursor")["lacks"]), (&json!(false), &json!(["prompt"])));
    assert_eq!(list.as_array().unwrap().len(), 11);
    assert!(place.gt(&["hooks", "list"]).succeeds().stdout.contains("nothing is known of its hooks"));
}

#[test]
fn a_persons_own_file_keeps_its_keys_and_is_not_written_through_a_link() {
    let place = Place::with_hooks(&[]);
    let home = place.town.base().join("home");
    std::fs::create_dir_all(home.join(".cursor")).unwrap();
    let file = home.join(".cursor/hooks.json");
    let gt = |args: &[&str]| place.here().var("HOME", home.to_str().unwrap()).args(args);
    let theirs = "{\"version\": 1, \"extra\": [1], \"hooks\": {\"stop\": [{\"command\": \"mine\"}]}}";
    std::fs::write(&file, theirs).unwrap();
    assert_eq!(gt(&["--json", "hooks", "install", "cursor"]).json()["outcome"], "installed");
    let read = || -> Value { serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap() };
    assert_eq!((&read()["extra"], read()["hooks"]["stop"].as_array().unwrap().len()), (&json!([1]), 2));
    assert_eq!(gt(&["--json", "hooks", "install", "cursor"]).json()["outcome"], "already");
    let cursor =
        |list: &Value| list.as_array().unwrap().iter().find(|one| one["name"] == "cursor").unwrap()["is_installed"].clone();
    assert_eq!(cursor(&gt(&["--json", "hooks", "list"]).json()), true);
    // Outside of sessions of gt they do nothing.
    for line in commands(&read()["hooks"]).iter().filter(|line| *line != "mine") {
        let output = place.town.command("sh", &home).args(["-c", line]).env_remove("GT_SESSION").output().unwrap();
        assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{line}");
    }
    assert_eq!(gt(&["--json", "hooks", "remove", "cursor"]).json()["outcome"], "removed");
    assert_eq!(read(), serde_json::from_str::<Value>(theirs).unwrap());
    assert_eq!(gt(&["--json", "hooks", "remove", "cursor"]).json()["outcome"], "absent");
    // What cannot be read is left alone.
    for text in ["{ // a remark\n}", "[]", "{\"hooks\": []}"] {
        std::fs::write(&file, text).unwrap();
        gt(&["hooks", "install", "cursor"]).fails_with(4);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
    let outside = place.town.base().join("outside.json");
    std::fs::write(&outside, "{}").unwrap();
    std::fs::remove_file(&file).unwrap();
    symlink(&outside, &file).unwrap();
    let refused = gt(&["hooks", "install", "cursor"]).fails_with(4);
    assert!(refused.stderr.contains("symbolic link"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "{}");
    gt(&["hooks", "install", "claude"]).fails_with(4);
    gt(&["hooks", "install", "amp"]).fails_with(3);
    place.here().var("HOME", home.to_str().unwrap()).var("GT_ACTOR", TOAST).args(&["hooks", "remove", "cursor"]).fails_with(4);
}
