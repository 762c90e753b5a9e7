//! The scripted agent follows its plan, with a stand-in for gt that only knows the hook.

use std::path::Path;

use crate::town::{self, Outcome, Town};

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
