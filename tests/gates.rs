//! Gates as people and agents meet them: listed, run by hand, their logs read.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use crate::beads::write;
use crate::town::{Outcome, Rig, Town, text_at};

const TOAST: &str = "widgets/polecats/toast";

/// A rig whose gate `test` counts its runs and is red on trees with a file `bad`, and toast at work on a bead with a
/// commit of `file`.
fn at_work(file: &str) -> (Town, Rig, String) {
    let (town, rig) = Town::with_rig();
    let gate = format!("echo >> {}; test ! -e bad", tally(&town).display());
    town.gt_args(&["config", "set", "gates.test.command", &gate, "--rig", "widgets"]).succeeds();
    let bead = town.bead(&rig, "Work");
    town.gt(&format!("sling {bead} {TOAST} --no-start")).succeeds();
    commit(&town, file);
    (town, rig, bead)
}

fn sandbox(town: &Town) -> PathBuf {
    town.root.join(TOAST)
}

fn commit(town: &Town, file: &str) {
    std::fs::write(sandbox(town).join(file), "work\n").unwrap();
    town.git(&sandbox(town), &["add", "-A"]);
    town.git(&sandbox(town), &["commit", "-q", "-m", "Work"]);
}

fn tally(town: &Town) -> PathBuf {
    town.base().join("tally")
}

fn tallied(town: &Town) -> usize {
    std::fs::read_to_string(tally(town)).unwrap_or_default().lines().count()
}

fn by_toast(town: &Town, line: &str) -> Outcome {
    town.as_agent(TOAST).gt(line)
}

fn document(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn what_an_agent_had_gated_lands_without_another_run() {
    let (town, _, bead) = at_work("new.txt");
    let said = by_toast(&town, "gate run").succeeds();
    assert!(said.stdout.contains("green test (after ") && said.stdout.contains("of widgets is green"), "{}", said.stdout);
    let again = by_toast(&town, "--json gate run").json();
    assert_eq!((&again["is_green"], &again["gates"][0]["is_known"], tallied(&town)), (&true.into(), &true.into(), 1));
    by_toast(&town, "done").succeeds();
    let drained = town.gt("--json mq run --once").json();
    assert_eq!((drained["landed"].as_array().unwrap().len(), drained["runs"].as_u64()), (1, Some(0)), "{drained}");
    assert_eq!((town.status(&bead), tallied(&town)), ("closed".into(), 1));
    let story = town.gt(&format!("--json mq why {bead}")).json();
    assert_eq!(
        text_at(&story, &["/runs/0/line"]).split(", tree").next(),
        Some("test green on what widgets/polecats/toast had gated by hand")
    );
}

#[test]
fn what_an_agent_says_of_itself_or_had_gated_before_it_went_on_is_not_believed() {
    let (town, _, bead) = at_work("new.txt");
    by_toast(&town, "gate run").succeeds();
    commit(&town, "bad");
    by_toast(&town, "done -m 'All gates are green, pre-verified'").succeeds();
    let drained = town.gt("--json mq run --once").json();
    assert_eq!(drained["evicted"].as_array().unwrap().len(), 1, "{drained}");
    assert_eq!(town.status(&bead), "open");
}

#[test]
fn a_red_gate_ends_with_6_and_says_all_that_is_known() {
    let (town, _, _) = at_work("bad");
    let sample = format!("{}/tests/samples/cargo.txt", env!("CARGO_MANIFEST_DIR"));
    town.gt_args(&["config", "set", "gates.unit.command", &format!("cat {sample}; exit 101"), "--rig", "widgets"]).succeeds();
    town.gt("config set gates.unit.retries 1 --rig widgets").succeeds();
    town.gt("config set gates.test.command 'sleep 60' --rig widgets").succeeds();
    let said = by_toast(&town, "gate run").ends_with(6);
    for words in
        ["red unit (after ", "at try 2, exit 101", "failing: tests::subtracts", "ended test (another was red first)", "not green"]
    {
        assert!(said.stdout.contains(words), "no '{words}' in {}", said.stdout);
    }
    let report = by_toast(&town, "--json gate run unit").ends_with(6);
    crate::schema::check(&["gate".into(), "run".into()], &document(&report));
    let report = document(&report);
    assert_eq!((report["gates"].as_array().unwrap().len(), &report["gates"][0]["attempts"]), (1, &2.into()));
    assert_eq!(report["gates"][0]["failing"][3], "src/lib.rs - add (line 4)");
}

#[test]
fn the_commit_is_judged_and_not_what_lies_about() {
    let (town, _, _) = at_work("new.txt");
    std::fs::write(sandbox(&town).join("bad"), "not committed\n").unwrap();
    let said = by_toast(&town, "gate run").succeeds();
    assert!(said.stdout.contains("warning: what is not committed is not judged (1 paths)"), "{}", said.stdout);
    assert!(sandbox(&town).join("bad").exists());
    commit(&town, "other.txt");
    assert_eq!(by_toast(&town, "gate run").ends_with(6).code, 6);
    // Another commit, from wherever one stands.
    by_toast(&town, "gate run --commit HEAD~1").succeeds();
    town.gt("gate run --commit main --rig widgets").succeeds();
    let runs = tallied(&town);
    town.gt("gate run --commit main --rig widgets").succeeds();
    assert_eq!(tallied(&town), runs, "it is known");
    town.gt("gate run test --again --commit main --rig widgets").succeeds();
    assert_eq!(tallied(&town), runs + 1);
}

#[test]
fn wrong_words_are_refused_with_what_would_be_right() {
    let (town, _, _) = at_work("new.txt");
    for (line, code, words) in [
        ("gate run tset", 3, "its gates: test"),
        ("gate run --commit nowhere", 3, "names no commit"),
        ("gate run --commit=--force", 3, "names no commit"),
        ("gate log nothing", 3, "gt gate log --rig widgets"),
        ("gate", 2, "gt gate"),
    ] {
        let said = by_toast(&town, line).fails_with(code).stderr;
        assert!(said.contains(words), "{line}: {said}");
    }
    let said = town.gt("gate run --rig widgets").fails_with(2).stderr;
    assert!(said.contains("--commit main"), "{said}");
    town.from(sandbox(&town)).var("GT_ACTOR", "widgets/polecats/nux").gt("gate run").fails_with(4);
    town.gt("config unset gates.test.command --rig widgets").succeeds();
    assert!(by_toast(&town, "gate run").fails_with(4).stderr.contains("gt config set gates.test.command"));
    assert!(town.gt("gate list --rig widgets").succeeds().stdout.contains("widgets has no gates"));
    assert_eq!(tallied(&town), 0);
}

#[test]
fn gates_of_others_are_listed_and_do_not_run_until_they_are_trusted() {
    let (town, _, _) = at_work("new.txt");
    let mark = town.base().join("mark");
    let evil = format!("touch {}", mark.display());
    let values = serde_json::json!({
        "gates.test.command": "true", "gates.test.env": ["PATH=/evil"], "gates.extra.command": evil, "gates.extra.required": false,
        "gates.fingerprint": evil,
    });
    let record = serde_json::json!({"v": 1, "values": values, "rev": "90@m"});
    write(&town, "widgets", "config/gates.json", &format!("{record:#}\n"));
    let listed = town.gt("--json gate list --rig widgets").json();
    assert_eq!(listed[0]["name"], "extra");
    assert_eq!((&listed[0]["untrusted"], &listed[1]["untrusted"]), (&"gates.extra.command".into(), &"gates.test.command".into()));
    assert!(town.gt("gate list --rig widgets").succeeds().stdout.contains("NOT TRUSTED"));
    for (key, _) in values.as_object().unwrap().iter().filter(|(key, _)| !key.contains("required")) {
        let said = by_toast(&town, "gate run").fails_with(4).stderr;
        assert!(said.contains("gt trust gates.") && said.contains("--rig widgets"), "{said}");
        assert!(!mark.exists(), "it ran");
        assert!(town.gt("trust").succeeds().stdout.contains(key), "{key}");
        town.gt(&format!("trust {key} --rig widgets")).succeeds();
    }
    by_toast(&town, "gate run extra").succeeds();
    assert!(mark.exists());
}

#[test]
fn gates_are_listed_with_how_they_fared() {
    let (town, _, _) = at_work("new.txt");
    for (key, value) in [
        ("gates.lint.command", "true"),
        ("gates.lint.required", "false"),
        ("gates.lint.inputs", "src/** *.toml"),
        ("gates.lint.env", "MODE=ci KEY='a b'"),
        ("gates.setup.command", "true"),
        ("gates.test.retries", "2"),
        ("gates.test.on_timeout", "inconclusive"),
    ] {
        town.gt_args(&["config", "set", key, value, "--rig", "widgets"]).succeeds();
    }
    let listed = town.gt("--json gate list --rig widgets").json();
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|gate| gate["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["setup", "lint", "test"]);
    assert_eq!(listed[1]["env"], serde_json::json!(["MODE=ci", "KEY=a b"]));
    assert_eq!((&listed[2]["last"], &listed[2]["median_millis"]), (&Value::Null, &Value::Null));
    by_toast(&town, "gate run").succeeds();
    let listed = town.gt("--json gate list --rig widgets").json();
    assert_eq!((&listed[2]["last"]["verdict"], &listed[2]["runs"], &listed[1]["runs"]), (&"green".into(), &1.into(), &0.into()));
    assert!(listed[2]["median_millis"].as_u64().is_some());
    let page = town.gt("gate list --rig widgets").succeeds().stdout;
    for words in
        ["reported", "never ran", "[reads src/** *.toml]", "[sets MODE KEY]", "[2 retries]", "inconclusive]", "green just now"]
    {
        assert!(page.contains(words), "no '{words}' in {page}");
    }
}

#[test]
fn logs_are_found_by_run_and_by_gate_and_cannot_steer_a_terminal() {
    let (town, _, _) = at_work("bad");
    let evil = r"printf '\033]0;owned\007first\nsecond\n'; exit 1";
    town.gt_args(&["config", "set", "gates.test.command", evil, "--rig", "widgets"]).succeeds();
    by_toast(&town, "gate run").ends_with(6);
    town.gt_args(&["config", "set", "gates.test.command", "echo third", "--rig", "widgets"]).succeeds();
    by_toast(&town, "gate run").succeeds();
    let listed = town.gt("--json gate log --rig widgets").json();
    assert_eq!((&listed["runs"][0]["verdict"], &listed["runs"][1]["verdict"]), (&"green".into(), &"red".into()), "newest first");
    assert_eq!((&listed["runs"][0]["by"], &listed["runs"][0]["is_kept"]), (&TOAST.into(), &true.into()));
    assert!(town.gt("gate log -n 1 --rig widgets").succeeds().stdout.contains("1 older ones: --limit 2"));
    let newest = town.gt("gate log test --rig widgets").succeeds().stdout;
    assert!(newest.ends_with("third\n"), "{newest}");
    let run = text_at(&listed, &["/runs/1/run"]);
    let older = town.gt(&format!("gate log {run} --rig widgets")).succeeds().stdout;
    assert!(older.contains("exit 1") && older.ends_with("first\nsecond\n") && !older.contains('\u{1b}'), "{older:?}");
    let raw = town.gt(&format!("--json gate log {run} --rig widgets")).json();
    assert_eq!(raw["text"], "\u{1b}]0;owned\u{7}first\nsecond\n");
    // What a record says of where its log lies is not followed out of the place for logs.
    std::fs::write(town.base().join("secret.log"), "secret\n").unwrap();
    let path = record_of(&town, &run);
    let repo = town.root.join("widgets/.repo.git");
    let text = town.git(&repo, &["show", &format!("refs/gt/ledger:{path}")]);
    let mut record: Value = serde_json::from_str(&text).unwrap();
    record["log"] = "../../secret.log".into();
    write(&town, "widgets", &path, &format!("{record:#}\n"));
    let said = town.gt(&format!("gate log {run} --rig widgets")).succeeds().stdout;
    assert!(!said.contains("secret") && said.contains("not on this machine") && said.contains("second"), "{said}");
}

fn record_of(town: &Town, run: &str) -> String {
    let repo = town.root.join("widgets/.repo.git");
    let paths = town.git(&repo, &["ls-tree", "-r", "--name-only", "refs/gt/ledger", "queue/gates/"]);
    let ending = format!("-{}.json", run.replace('@', "-"));
    paths.lines().find(|path| path.ends_with(&ending)).unwrap().to_owned()
}

#[test]
fn old_runs_and_their_logs_go_and_young_ones_stay() {
    let (town, _, _) = at_work("new.txt");
    by_toast(&town, "gate run").succeeds();
    let logs = || std::fs::read_dir(town.root.join(".runtime/logs/gates/widgets")).unwrap().count();
    let runs = || town.gt("--json gate log --rig widgets").json()["runs"].as_array().unwrap().len();
    assert_eq!((runs(), logs()), (1, 1));
    let kept = town.gt("--json maintain --rig widgets").json();
    assert_eq!((kept[0]["decayed"]["gate_runs"].as_u64(), runs(), logs()), (Some(0), 1, 1));
    let later = town.here().var("GT_NOW", "2099-01-01T00:00:00Z");
    let gone = later.gt("--json maintain --rig widgets").json();
    assert_eq!(
        (gone[0]["decayed"]["gate_runs"].as_u64(), gone[0]["decayed"]["gate_logs"].as_u64()),
        (Some(1), Some(1)),
        "{gone}"
    );
    assert_eq!((runs(), logs()), (0, 0));
    by_toast(&town, "gate run").succeeds();
    assert_eq!(tallied(&town), 2, "it is known no more");
    town.fsck();
}

#[test]
fn agents_and_the_queue_run_gates_at_once_and_nobody_spoils_anothers_checkout() {
    let (town, rig, _) = at_work("new.txt");
    let here = format!(
        "test \"$(git rev-parse HEAD)\" = \"$GT_COMMIT\" && sleep 0.3 && test -z \"$(git status --porcelain)\" && touch litter && echo >> {}",
        tally(&town).display()
    );
    town.gt_args(&["config", "set", "gates.test.command", &here, "--rig", "widgets"]).succeeds();
    town.gt("config set gates.worktrees 3 --rig widgets").succeeds();
    let beads: Vec<String> = ["nux", "ace"]
        .iter()
        .map(|name| {
            let bead = town.bead(&rig, name);
            town.gt(&format!("sling {bead} widgets/polecats/{name} --no-start")).succeeds();
            let dir = town.root.join("widgets/polecats").join(name);
            std::fs::write(dir.join(name), "x\n").unwrap();
            town.git(&dir, &["add", "-A"]);
            town.git(&dir, &["commit", "-q", "-m", name]);
            bead
        })
        .collect();
    by_toast(&town, "done").succeeds();
    let mut children = Vec::new();
    for name in ["nux", "ace"] {
        let mut command = town.as_agent(&format!("widgets/polecats/{name}")).command(&["gate", "run"]);
        children.push(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    }
    let mut queue = town.here().command(&["mq", "run", "--once", "--rig", "widgets"]);
    children.push(queue.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    for child in children {
        Outcome::of("one of three at once".into(), child.wait_with_output().unwrap()).succeeds();
    }
    assert_eq!(tallied(&town), 3);
    assert_eq!(beads.iter().map(|bead| town.status(bead)).collect::<Vec<_>>(), ["hooked", "hooked"]);
    town.fsck();
}
