//! Agents at work: the scripted agent with a stand-in for gt, then whole sessions on the process backend.

use std::path::Path;

use crate::town::{self, Outcome, Rig, Town, text_at};

/// A place with a repository, and a `gt` that has `wi-1` on its hook and writes down what it is asked.
fn place() -> Town {
    let town = town::place();
    let (bin, sandbox) = (town.base().join("bin"), town.base().join("sandbox"));
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(&sandbox).unwrap();
    town.git(&sandbox, &["init", "-q", "-b", "main"]);
    let gt = r#"#!/bin/sh
printf '[%s]' "$@" >> "$HOME/asked"; echo >> "$HOME/asked"
case $1 in
    prime) echo 'You are toast.' ;;
    hook) [ -e "$HOME/empty" ] && exit 1
          printf '{\n  "agent": "widgets/polecats/toast",\n  "hook": {"v": 1, "bead": "wi-1"},\n  "bead": {"id": "x", "title": "\\"bead\\": \\"no\\""}\n}\n' ;;
    fail) exit 4 ;;
esac
"#;
    std::fs::write(bin.join("gt"), gt).unwrap();
    set_executable(&bin.join("gt"));
    town
}

fn set_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn start(town: &Town) -> Outcome {
    let base = town.base();
    let mut command = town.command("sh", &base.join("sandbox"));
    let path = format!("{}:{}", base.join("bin").display(), std::env::var("PATH").unwrap());
    let output = command.arg(base.join("agent.sh")).env("PATH", path).output().unwrap();
    Outcome::of("agent".into(), output)
}

#[test]
fn the_scripted_agent_does_what_its_plan_says() {
    let town = place();
    town.plan(
        "wi-1",
        1,
        "# a plan\n\nwrite src/a file.txt\nwrite b.txt one\\ntwo 'three' $HOME \"four\"\nappend b.txt last\nwrite run.sh #!/bin/sh\nexec run.sh\n\
         commit Add things; it's \"all\" $here\nsay done & dusted\ngt mail send 'two words' \"and three more\"\nsh echo $((6 * 7)) > c.txt\nremove run.sh",
    );
    let outcome = start(&town).succeeds();
    let sandbox = town.base().join("sandbox");
    assert_eq!(std::fs::read_to_string(sandbox.join("b.txt")).unwrap(), "one\ntwo 'three' $HOME \"four\"\nlast\n");
    assert_eq!(std::fs::read_to_string(sandbox.join("src/a")).unwrap(), "file.txt\n");
    assert_eq!(std::fs::read_to_string(sandbox.join("c.txt")).unwrap(), "42\n");
    assert!(!sandbox.join("run.sh").exists());
    assert_eq!(town.git(&sandbox, &["log", "-1", "--format=%s"]), "Add things; it's \"all\" $here");
    assert!(town.git(&sandbox, &["ls-tree", "HEAD", "run.sh"]).starts_with("100755"));
    let asked = std::fs::read_to_string(town.base().join("home/asked")).unwrap();
    assert_eq!(asked, "[prime]\n[hook][--json]\n[mail][send][two words][and three more]\n");
    assert!(outcome.stdout.starts_with("You are toast.\n") && outcome.stdout.contains("\ndone & dusted\n"), "{}", outcome.stdout);
}

#[test]
fn each_start_follows_the_next_plan_and_then_the_last() {
    let town = place();
    town.plan("wi-1", 1, "die 3");
    town.plan("wi-1", 2, "say second");
    start(&town).ends_with(3);
    for _ in 0..2 {
        assert!(start(&town).succeeds().stdout.contains("\nsecond\n"));
    }
}

#[test]
fn a_step_that_fails_ends_the_agent_with_its_code() {
    let town = place();
    town.plan("wi-1", 1, "gt fail\nwrite a never");
    start(&town).ends_with(4);
    assert!(!town.base().join("sandbox/a").exists());
    town.plan("wi-1", 2, "dance all night");
    assert!(start(&town).fails_with(1).stderr.contains("a plan cannot say 'dance'"));
}

#[test]
fn an_agent_without_work_or_plan_says_so() {
    let town = place();
    assert!(start(&town).fails_with(1).stderr.contains("there is no plan for wi-1"));
    std::fs::write(town.base().join("home/empty"), "").unwrap();
    assert!(start(&town).succeeds().stdout.contains("nothing on the hook"));
}

const TOAST: &str = "widgets/polecats/toast";

/// A town whose polecat toast is slung a bead with `plan` for its first start.
fn slung(plan: &str) -> (Town, Rig, String) {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.plan(&bead, 1, plan);
    town.gt_args(&["sling", &bead, TOAST]).succeeds();
    (town, rig, bead)
}

#[test]
fn a_slung_agent_works_and_hands_in() {
    let (town, rig, bead) = slung("write news.txt news\ncommit Add news\ngt done");
    town.until("the work is handed in", || town.status(&bead) == "in_review");
    town.until("the session has ended", || !town.has_session(TOAST));
    let log = town.logs();
    assert!(log.contains("You are widgets/polecats/toast") && log.contains("> gt done"), "{log}");
    let author = town.git(&rig.dir.join("polecats/toast"), &["log", "-1", "--format=%an <%ae>"]);
    assert_eq!(author, "widgets/polecats/toast <owner@example.org>");
    town.as_agent(TOAST).gt("hook").ends_with(1);
}

#[test]
fn an_agent_that_died_is_started_again_by_a_second_sling_and_one_that_runs_is_left_alone() {
    let (town, _, bead) = slung("die 1");
    town.plan(&bead, 2, "say second start\nhang");
    town.until("the first start has died", || !town.has_session(TOAST));
    assert_eq!(town.status(&bead), "in_progress");
    town.gt_args(&["sling", &bead, TOAST]).succeeds();
    town.until("the second start spoke", || town.logs().contains("\nsecond start\n"));
    let again = town.gt_args(&["sling", &bead, TOAST]).succeeds();
    assert!(again.stdout.contains("already"), "{}", again.stdout);
    assert!(town.has_session(TOAST));
}

#[test]
fn stopping_a_session_ends_its_children_and_keeps_the_hook() {
    let (town, rig, bead) = slung("sh sleep 600 & echo $! > child.pid\nhang");
    let child = || std::fs::read_to_string(rig.dir.join("polecats/toast/child.pid")).ok()?.trim().parse::<u32>().ok();
    town.until("the child runs", || child().is_some());
    town.gt("session stop widgets/toast").succeeds();
    assert!(!town.has_session(TOAST));
    assert_eq!(gastown::store::refs::start_time_of(child().unwrap()), None);
    let hook = town.as_agent(TOAST).gt("--json hook").json();
    assert_eq!(text_at(&hook, &["/hook/bead"]), bead);
}

#[test]
fn an_agent_can_end_its_own_session_and_the_command_that_does_it_lives_to_say_so() {
    let (town, _, _) = slung("gt session stop widgets/toast\nsay still here");
    town.until("the session has ended", || !town.has_session(TOAST));
    town.until("the command has spoken", || town.logs().contains("has ended"));
    assert!(!town.logs().contains("\nstill here\n"));
}

#[test]
fn a_missing_agent_program_is_told_before_anything_is_assigned() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.gt("config set agent.command 'no-such-agent --yes' --rig widgets").succeeds();
    let outcome = town.gt_args(&["sling", &bead, "widgets"]).fails_with(6);
    assert!(
        outcome.stderr.contains("no-such-agent") && outcome.stderr.contains("gt config set agent.command"),
        "{}",
        outcome.stderr
    );
    assert_eq!(town.status(&bead), "open");
    assert!(std::fs::read_dir(rig.dir.join("polecats")).unwrap().next().is_none());
}

#[test]
fn a_session_inherits_nobodys_role() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.plan(&bead, 1, "sh env > env.txt\nhang");
    let sling = town.here().var("GIT_DIR", "/nowhere").var("SECRET", "1").var("GT_CRASH_AT", "never");
    sling.var("GT_MODEL", "the-overseers").args(&["sling", &bead, TOAST]).succeeds();
    let path = rig.dir.join("polecats/toast/env.txt");
    town.until("the environment is written", || std::fs::read_to_string(&path).is_ok_and(|text| text.contains("GT_RUN=")));
    let env = std::fs::read_to_string(&path).unwrap();
    for stranger in ["GIT_DIR=", "SECRET=", "GT_CRASH_AT=", "GT_MODEL="] {
        assert!(!env.lines().any(|line| line.starts_with(stranger)), "{stranger} in\n{env}");
    }
    for own in [format!("GT_ACTOR={TOAST}"), format!("GIT_AUTHOR_NAME={TOAST}"), "GT_RIG=widgets".into()] {
        assert!(env.lines().any(|line| line == own), "{own} not in\n{env}");
    }
}
