//! Accounts of agents' makers, limits of theirs, and models by tier.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::town::{Rig, Town, text_at};

/// A town whose Claude is a script: it notes its account, and where its file `limited` is, says so and ends.
fn with_claude() -> (Town, Rig) {
    let (town, rig) = Town::with_rig();
    town.gt("config unset agent.command --rig widgets").succeeds();
    let program = town.base().join("claude.sh");
    let text = format!(
        "#!/bin/sh\necho \"$GT_ACCOUNT $CLAUDE_CONFIG_DIR $*\" >>{}\nif [ -e \"${{CLAUDE_CONFIG_DIR:-$HOME}}/limited\" ]; then\n  echo \"You've hit your session limit · resets 5pm (UTC)\"; exit 1\nfi\nexec sleep 600\n",
        noted(&town).display()
    );
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    town.gt("config default-agent claude").succeeds();
    town.gt_args(&["config", "set", "agents.claude.command", program.to_str().unwrap()]).succeeds();
    (town, rig)
}

fn noted(town: &Town) -> PathBuf {
    town.base().join("noted.txt")
}

fn notes(town: &Town) -> String {
    std::fs::read_to_string(noted(town)).unwrap_or_default()
}

fn account(town: &Town, name: &str) -> PathBuf {
    let dir = town.base().join(name);
    std::fs::create_dir_all(&dir).unwrap();
    town.gt_args(&["account", "add", name, dir.to_str().unwrap()]).succeeds();
    dir
}

fn status(town: &Town, code: i32) -> Value {
    serde_json::from_str(&town.gt("--json account status").ends_with(code).stdout).unwrap()
}

#[test]
fn a_login_at_its_limit_is_a_state_with_an_end_and_nothing_starts_before() {
    let (town, rig) = with_claude();
    let (first, second) = (town.bead(&rig, "First"), town.bead(&rig, "Second"));
    std::fs::write(town.base().join("home/limited"), "").unwrap();
    town.gt(&format!("sling {first} widgets/toast")).succeeds();
    town.until("it has ended", || !town.has_session("widgets/polecats/toast"));
    let seen = status(&town, 1);
    assert_eq!(text_at(&seen, &["/accounts/0/limited/resets_at"]), "2026-01-01T17:00:00.000Z", "{seen}");
    let refused = town.gt(&format!("sling {second} widgets")).fails_with(4);
    assert!(refused.stderr.contains("until 2026-01-01T17:00"), "{}", refused.stderr);
    assert_eq!((town.status(&second), town.status(&first)), ("open".into(), "hooked".into()));
    town.gt("session start widgets/toast").fails_with(4);
    std::fs::remove_file(town.base().join("home/limited")).unwrap();
    // After its time the words that were heard before mark nothing again.
    let later = town.here().var("GT_NOW", "2026-01-01T17:00:01Z");
    later.gt(&format!("sling {second} widgets")).succeeds();
    assert_eq!(later.gt("account status").ends_with(0).code, 0);
}

#[test]
fn sessions_get_the_account_that_is_taken_first_and_the_next_when_that_may_rotate() {
    let (town, rig) = with_claude();
    let (work, home) = (account(&town, "work"), account(&town, "private"));
    town.gt("account default work").succeeds();
    let beads: Vec<String> = (0..3).map(|n| town.bead(&rig, &format!("Work {n}"))).collect();
    std::fs::write(work.join("limited"), "").unwrap();
    town.gt(&format!("sling {} widgets/toast", beads[0])).succeeds();
    town.until("it has ended", || !town.has_session("widgets/polecats/toast"));
    assert!(notes(&town).starts_with(&format!("work {} ", work.display())), "{}", notes(&town));
    let refused = town.gt(&format!("sling {} widgets", beads[1])).fails_with(4);
    assert!(refused.stderr.contains("account work") && refused.stderr.contains("account.rotate"), "{}", refused.stderr);
    town.gt("config set account.rotate true --scope machine").succeeds();
    town.gt(&format!("sling {} widgets/nux", beads[1])).succeeds();
    town.until("it spoke", || notes(&town).contains(&format!("private {} ", home.display())));
    let listed = town.gt("account list").succeeds();
    assert!(listed.stdout.contains("until 2026-01-01T17:00"), "{}", listed.stdout);
    town.gt("account remove work").succeeds();
    assert!(work.is_dir());
    town.gt(&format!("sling {} widgets/slit", beads[2])).succeeds();
}

#[test]
fn what_is_no_account_is_refused_and_workers_choose_none() {
    let (town, _rig) = with_claude();
    town.gt("account add work nowhere").fails_with(2);
    town.gt_args(&["account", "add", "own", "."]).fails_with(2);
    town.gt_args(&["account", "add", "work", ".", "--agent", "pi"]).fails_with(2);
    town.gt("account default work").fails_with(3);
    town.gt("account remove work").fails_with(3);
    account(&town, "work");
    let worker = town.as_agent("widgets/polecats/toast");
    for line in ["account default work", "account remove work", "config cost-tier budget"] {
        worker.gt(line).fails_with(4);
    }
}

#[test]
fn a_tier_chooses_the_model_of_every_role() {
    let (town, rig) = with_claude();
    let bead = town.bead(&rig, "Work");
    town.gt("config cost-tier golden").fails_with(2);
    assert_eq!(text_at(&town.gt("--json config cost-tier economy").json(), &["/tier"]), "economy");
    assert_eq!(text_at(&town.gt("--json config get agent.mayor.model").json(), &["/value"]), "opus");
    town.gt(&format!("sling {bead} widgets/toast")).succeeds();
    town.until("it spoke", || notes(&town).contains("--model sonnet"));
    town.gt("config set agent.polecat.model big").succeeds();
    assert!(town.gt("config cost-tier").succeeds().stdout.contains("no tier is set"));
    town.gt("config default-agent codex").succeeds();
    town.gt("config cost-tier budget").fails_with(4);
}
