//! Wrappers that agents and gates are run by, and files that run by themselves.

use std::os::unix::fs::PermissionsExt;

use crate::town::{Rig, Town};

/// A stand-in for a sandbox: notes what it was given, and runs what follows `--`.
fn wrapper(town: &Town) -> String {
    let path = town.base().join("box.sh");
    let text = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$PWD $*\" >>{}\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nWRAPPED=yes exec \"$@\"\n",
        noted(town).display()
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn noted(town: &Town) -> std::path::PathBuf {
    town.base().join("noted.txt")
}

fn notes(town: &Town) -> String {
    std::fs::read_to_string(noted(town)).unwrap_or_default()
}

fn commit(town: &Town, name: &str, file: &str) {
    let dir = town.root.join("widgets/polecats").join(name);
    let path = dir.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "work\n").unwrap();
    town.git(&dir, &["add", "-A", "-f"]);
    town.git(&dir, &["commit", "-q", "-m", "Work"]);
}

fn hand_in(town: &Town, rig: &Rig, name: &str, file: &str) -> String {
    let bead = town.bead(rig, &format!("Work of {name}"));
    town.gt(&format!("sling {bead} widgets/{name} --no-start")).succeeds();
    commit(town, name, file);
    town.as_agent(&format!("widgets/polecats/{name}")).gt("done").succeeds();
    bead
}

#[test]
fn an_agent_is_run_by_its_wrapper_in_both_backends() {
    for backend in ["process", "tmux"] {
        let (town, rig) = Town::with_rig();
        if backend == "tmux" && town.command("tmux", &town.root).arg("-V").output().is_err() {
            continue;
        }
        let bead = town.bead(&rig, "Work");
        let said = town.base().join("said.txt");
        town.gt_args(&["config", "set", "session.backend", backend, "--rig", "widgets"]).succeeds();
        let line = format!("echo $WRAPPED >{}; exec sleep 600", said.display());
        town.gt_args(&["config", "set", "agent.command", &line, "--rig", "widgets"]).succeeds();
        town.gt_args(&["config", "set", "agent.wrapper", &format!("{} --bind {{dir}} {{repo}} --", wrapper(&town))]).succeeds();
        town.gt(&format!("sling {bead} widgets/toast")).succeeds();
        town.until("it spoke", || std::fs::read_to_string(&said).is_ok_and(|text| text == "yes\n"));
        let dir = town.root.join("widgets/polecats/toast").display().to_string();
        let repo = rig.dir.join(".repo.git").display().to_string();
        assert!(notes(&town).starts_with(&format!("{dir} --bind {dir} {repo} -- sh -c")), "{backend}: {}", notes(&town));
        assert!(town.has_session("widgets/polecats/toast"));
        town.gt("session stop widgets/toast").succeeds();
        assert!(!town.has_session("widgets/polecats/toast"));
    }
}

#[test]
fn without_its_wrapper_no_agent_starts_and_nothing_is_made() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["config", "set", "agent.wrapper", "no-such-box --", "--rig", "widgets"]).succeeds();
    let refused = town.gt(&format!("sling {bead} widgets")).fails_with(6);
    assert!(refused.stderr.contains("the wrapper 'no-such-box'"), "{}", refused.stderr);
    assert_eq!(town.status(&bead), "open");
    assert!(!town.root.join("widgets/polecats/furiosa").exists());
    town.gt(&format!("sling {bead} widgets --no-start")).succeeds();
    town.gt("session start widgets/furiosa").fails_with(6);
    assert!(!town.has_session("widgets/polecats/furiosa"));
}

#[test]
fn a_wrapper_that_nobody_here_trusts_lets_nothing_start() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    let boxed = wrapper(&town);
    town.gt("config set gates.test.command true --rig widgets").succeeds();
    for key in ["agent.wrapper", "gates.wrapper"] {
        town.gt_args(&["config", "set", key, &format!("{boxed} --"), "--rig", "widgets"]).succeeds();
    }
    std::fs::remove_file(town.root.join(".repo.git/gt/trust.json")).unwrap();
    town.gt("trust agent.command --rig widgets").succeeds();
    town.gt("trust gates.test.command --rig widgets").succeeds();
    let refused = town.gt(&format!("sling {bead} widgets")).fails_with(4);
    assert!(refused.stderr.contains("gt trust agent.wrapper --rig widgets"), "{}", refused.stderr);
    hand_in(&town, &rig, "nux", "new.txt");
    town.gt("mq run --once").fails_with(4);
    assert_eq!(notes(&town), "");
    town.as_agent("widgets/polecats/nux").gt("config unset gates.wrapper --rig widgets").fails_with(4);
    town.as_agent("widgets/polecats/nux").gt("config set agent.wrapper true").fails_with(4);
    town.gt("trust gates.wrapper --rig widgets").succeeds();
    town.gt("mq run --once").succeeds();
    assert!(notes(&town).contains("refinery/gate-"), "{}", notes(&town));
}

#[test]
fn a_gate_is_run_by_its_wrapper_and_has_no_verdict_without_it() {
    let (town, rig) = Town::with_rig();
    town.gt_args(&["config", "set", "gates.test.command", "test \"$WRAPPED\" = yes", "--rig", "widgets"]).succeeds();
    let bead = hand_in(&town, &rig, "toast", "new.txt");
    town.gt_args(&["config", "set", "gates.wrapper", "no-such-box {dir} --", "--rig", "widgets"]).succeeds();
    let before = town.git(&rig.dir.join(".repo.git"), &["rev-parse", "main"]);
    town.gt("mq run --once");
    assert_eq!(town.status(&bead), "in_review", "a sandbox that is missing is not the work's fault");
    assert_eq!(town.git(&rig.dir.join(".repo.git"), &["rev-parse", "main"]), before);
    town.gt_args(&["config", "set", "gates.wrapper", &format!("{} {{dir}} {{build}} --", wrapper(&town)), "--rig", "widgets"])
        .succeeds();
    town.gt("mq run --once").succeeds();
    assert_eq!(town.status(&bead), "closed");
    assert!(notes(&town).contains("/refinery/build-"), "{}", notes(&town));
}

#[test]
fn what_runs_by_itself_waits_for_a_person_and_other_work_does_not() {
    let (town, rig) = Town::with_rig();
    town.gt("config set gates.test.command true --rig widgets").succeeds();
    let (plain, risky) = (hand_in(&town, &rig, "toast", "new.txt"), hand_in(&town, &rig, "nux", "deep/.claude/settings.json"));
    town.gt("mq run --once").succeeds();
    assert_eq!((town.status(&plain), town.status(&risky)), ("closed".into(), "in_review".into()));
    let listed = town.gt("mq list").succeeds();
    assert!(listed.stdout.contains("held"), "{}", listed.stdout);
    let why = town.gt(&format!("explain {risky}")).succeeds();
    assert!(why.stdout.contains(".claude/settings.json, which runs by itself"), "{}", why.stdout);
    town.as_agent("widgets/polecats/toast").gt(&format!("mq approve {risky}")).fails_with(4);
    town.as_agent("widgets/polecats/toast").gt("config set review.protected_paths none --rig widgets").fails_with(4);
    town.gt(&format!("mq approve {risky}")).succeeds();
    town.gt("mq run --once").succeeds();
    assert_eq!(town.status(&risky), "closed");
}

#[test]
fn a_rig_names_its_own_files_that_run_by_themselves_or_none() {
    let (town, rig) = Town::with_rig();
    town.gt("config set gates.test.command true --rig widgets").succeeds();
    town.gt_args(&["config", "set", "review.protected_paths", "check.sh scripts/", "--rig", "widgets"]).succeeds();
    let (script, settings) = (hand_in(&town, &rig, "toast", "check.sh"), hand_in(&town, &rig, "nux", ".claude/settings.json"));
    town.gt("mq run --once").succeeds();
    assert_eq!((town.status(&script), town.status(&settings)), ("in_review".into(), "closed".into()));
    town.gt("config set review.protected_paths none --rig widgets").succeeds();
    town.gt("mq run --once").succeeds();
    assert_eq!(town.status(&script), "closed");
    // What a person hands in, a person has seen.
    town.gt("config unset review.protected_paths --rig widgets").succeeds();
    let bead = town.bead(&rig, "By the overseer");
    let work = town.base().join("widgets-work");
    std::fs::write(work.join(".envrc"), "export A=b\n").unwrap();
    town.git(&work, &["checkout", "-q", "-b", "mine", "main"]);
    town.git(&work, &["add", "-A"]);
    town.git(&work, &["commit", "-q", "-m", "Set"]);
    town.git(&work, &["push", "-q", rig.dir.join(".repo.git").to_str().unwrap(), "mine"]);
    town.gt(&format!("mq submit {bead} mine")).succeeds();
    town.gt("mq run --once").succeeds();
    assert_eq!(town.status(&bead), "closed");
}
