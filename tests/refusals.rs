//! Everything a person or an agent does wrong: one clear line, a hint, the right exit code, and nothing changed.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::beads::write;
use crate::town::{Gt, Outcome, Rig, Town};

/// Runs it twice, for people and as JSON: it must be refused with `code` and leave everything as it is.
#[track_caller]
fn refuses(town: &Town, gt: &Gt<'_>, args: &[&str], code: i32) -> Outcome {
    let before = everything(town);
    let said = gt.args(args).ends_with(code);
    assert_eq!(said.stdout, "", "{} prints data", said.line);
    let lines: Vec<&str> = said.stderr.lines().filter(|line| !is_warning(line)).collect();
    assert!(lines.len() == 2 && lines[0].starts_with("gt: ") && lines[1].starts_with("hint: "), "{}: {lines:?}", said.line);
    assert!(lines[0].len() > 12 && !said.stderr.contains("panicked"), "{}: {lines:?}", said.line);
    assert_is_calm(&said);
    let as_json: Vec<&str> = std::iter::once("--json").chain(args.iter().copied()).collect();
    let json = gt.args(&as_json).ends_with(code);
    let value: Value =
        serde_json::from_str(&json.stdout).unwrap_or_else(|_| panic!("{} gives no JSON: {}", json.line, json.stdout));
    for field in ["kind", "message", "hint"] {
        assert!(value["error"][field].as_str().is_some_and(|text| !text.is_empty()), "{}: {value}", json.line);
    }
    assert!(json.stderr.lines().all(is_warning), "{}: {}", json.line, json.stderr);
    let after = everything(town);
    for (path, value) in &before {
        assert_eq!(after.get(path), Some(value), "{} changed {path}", said.line);
    }
    let new: Vec<&String> = after.keys().filter(|path| !before.contains_key(*path)).collect();
    assert!(new.is_empty(), "{} left {new:?}", said.line);
    said
}

/// What is said beside the error itself.
fn is_warning(line: &str) -> bool {
    line.starts_with("warning: ") || line.starts_with(" WARN ")
}

/// All refs of all repositories and all files but objects, lock files, logs and git's caches.
fn everything(town: &Town) -> BTreeMap<String, Vec<u8>> {
    let base = town.base();
    let is_noise = |name: &str| {
        matches!(
            name,
            "objects" | "logs" | "index" | "index-mail" | "index-archive" | "texts" | "tmp" | "bin" | "hand.index" | "hand.blob"
        ) || name.ends_with(".flock")
    };
    // Directories of lock files come and go with them.
    let is_locks = |path: &Path| path.ends_with("gt/beads") || path.ends_with("gt/agents");
    let all = walkdir::WalkDir::new(&base)
        .into_iter()
        .filter_entry(|entry| !is_noise(&entry.file_name().to_string_lossy()) && !is_locks(entry.path()));
    let mut found = BTreeMap::new();
    for entry in all.filter_map(Result::ok) {
        let name = entry.path().strip_prefix(&base).unwrap().display().to_string();
        let value = if entry.file_type().is_file() { std::fs::read(entry.path()).unwrap() } else { Vec::new() };
        found.insert(name, value);
    }
    found
}

/// No control, C1 or bidirectional character, and no invisible mark, reaches the terminal.
#[track_caller]
fn assert_is_calm(outcome: &Outcome) {
    for (name, text) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c));
        assert_eq!(bad, None, "{name} of `{}`:\n{}", outcome.line.escape_debug(), text.escape_debug());
    }
}

fn tip(town: &Town, repo: &Path) -> String {
    town.git(repo, &["rev-parse", "refs/gt/ledger"])
}

fn bead_path(id: &str) -> String {
    gastown::ledger::tree::bead(&id.parse().unwrap())
}

/// Writes a bead as another program might: any text in any field.
fn forge(town: &Town, rig: &Rig, like: &str, edit: impl Fn(&mut Value)) {
    let text = town.git(&rig.dir.join(".repo.git"), &["show", &format!("refs/gt/ledger:{}", bead_path(like))]);
    let mut record: Value = text.parse().unwrap();
    edit(&mut record);
    write(town, &rig.name, &bead_path(like), &format!("{record:#}\n"));
}

/// A bead on a hook, not started; answers its id, its agent and that one's sandbox.
fn assigned(town: &Town, rig: &Rig) -> (String, String) {
    let bead = town.bead(rig, "Work");
    let slung = town.gt_args(&["--json", "sling", &bead, &rig.name, "--no-start"]).json();
    (bead, slung["agent"].as_str().unwrap().to_owned())
}

fn commit(town: &Town, sandbox: &Path, name: &str) {
    std::fs::write(sandbox.join(name), "x\n").unwrap();
    town.git(sandbox, &["add", "-A"]);
    town.git(sandbox, &["commit", "-q", "-m", "Add it"]);
}

#[test]
fn a_bead_that_is_not_there_is_not_found_by_any_command() {
    let (town, rig) = Town::with_rig();
    town.bead(&rig, "One");
    for id in ["wi-zzzzz", "zzzzzz", "xx-abcde", "../../x", "$(id)", "wi-\u{1b}[31m"] {
        for words in [&["show", id][..], &["close", id], &["sling", id], &["unsling", id], &["update", id, "-p", "1"]] {
            refuses(&town, &town.here(), words, 3);
        }
    }
    refuses(&town, &town.here(), &["mail", "read", "7"], 3);
    refuses(&town, &town.here(), &["list", "--rig", "gadgets"], 3);
    refuses(&town, &town.here(), &["send", "widgets/nobody", "-s", "a", "-m", "b"], 3);
    refuses(&town, &town.from("/".into()), &["status"], 3);
    refuses(&town, &town.here(), &["-C", "/no/such/directory", "status"], 3);
}

#[test]
fn an_id_that_fits_several_beads_is_refused_with_the_candidates() {
    let (town, rig) = Town::with_rig();
    let (a, b) = (town.bead(&rig, "One"), town.bead(&rig, "Two"));
    for verb in ["show", "close", "sling", "unsling"] {
        let said = refuses(&town, &town.here(), &[verb, "wi-"], 4);
        assert!(said.stderr.contains(&a) && said.stderr.contains(&b), "{}", said.stderr);
    }
}

#[test]
fn wrong_words_are_answered_in_one_line_with_the_nearest_right_ones() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "One");
    let here = town.here();
    assert!(refuses(&town, &here, &["slin", &bead], 2).stderr.contains("'sling'"));
    assert!(refuses(&town, &here, &["sling"], 2).stderr.contains("BEAD"));
    assert!(refuses(&town, &here, &["sling", &bead, "--forse"], 2).stderr.contains("--force"));
    refuses(&town, &here, &["\u{1b}]0;x\u{7}"], 2);
    refuses(&town, &here, &["done", "--status", "perhaps"], 2);
    refuses(&town, &here, &["update", &bead], 2);
    refuses(&town, &here, &["update", &bead, "-p", "11"], 2);
    refuses(&town, &here, &["--actor", "a/../b", "status"], 2);
    refuses(&town, &here, &["sling", &bead, "widgets/refinery"], 2);
    refuses(&town, &here, &["sling", &bead, "widgets/../x"], 2);
    refuses(&town, &here, &["config", "set", "gate.tests.command", "true"], 2);
    refuses(&town, &here, &["config", "set", "gates.require", "maybe"], 2);
}

#[test]
fn what_is_not_free_is_not_slung() {
    let (town, rig) = Town::with_rig();
    let here = town.here();
    let closed = town.bead(&rig, "Closed");
    town.gt_args(&["close", &closed, "--reason", "done"]).succeeds();
    assert!(refuses(&town, &here, &["sling", &closed, "widgets"], 4).stderr.contains("gt bead reopen"));
    let blocked = town.bead(&rig, "Blocked");
    let open = town.bead(&rig, "Open");
    town.gt_args(&["bead", "dep", "add", &blocked, &open]).succeeds();
    assert!(refuses(&town, &here, &["sling", &blocked, "widgets"], 4).stderr.contains(&open));
    let (bead, agent) = assigned(&town, &rig);
    refuses(&town, &here, &["sling", &open, &agent, "--no-start"], 4);
    commit(&town, &town.root.join(&agent), "new.txt");
    town.as_agent(&agent).args(&["done"]).succeeds();
    assert!(refuses(&town, &here, &["sling", &bead, "widgets"], 4).stderr.contains("in_review"));
    refuses(&town, &here, &["close", &bead], 4);
    refuses(&town, &here, &["unsling", &bead], 4);
    refuses(&town, &here, &["sling", &open, "gadgets"], 3);
    let of_the_town = town.gt_args(&["--json", "bead", "create", "Of the town"]).json();
    refuses(&town, &here, &["sling", of_the_town["id"].as_str().unwrap()], 4);
}

#[test]
fn names_and_urls_that_could_mean_something_else_are_refused_before_anything_is_made() {
    let (town, rig) = Town::with_rig();
    let here = town.here();
    let url = rig.origin.to_str().unwrap();
    let long = "x".repeat(300);
    for name in ["a/b", "..", ".", "", ".git", "/etc", "a b", "A", "con", "mayor", "hq", "über", "a\nb", "\u{1b}[1m", &long] {
        let said = refuses(&town, &here, &["rig", "add", name, url], 2);
        assert!(said.stderr.len() < 600, "{}", said.stderr);
    }
    refuses(&town, &here, &["rig", "add", "other", url, "--prefix", "a/b"], 2);
    refuses(&town, &here, &["rig", "add", "other", url, "--prefix", "wi"], 4);
    refuses(&town, &here, &["rig", "add", "other", url, "--branch=--all"], 2);
    refuses(&town, &here, &["rig", "add", "other", url, "--branch", "nope"], 3);
    let mark = town.base().join("mark");
    let ext = format!("ext::sh -c touch% {}", mark.display());
    let ssh = format!("ssh://-oProxyCommand=touch {}/x", mark.display());
    for url in [ext.as_str(), ssh.as_str(), "-x", "--upload-pack=touch mark", "", "a\nb", "fd::3"] {
        refuses(&town, &here, &["rig", "add", "other", "--", url], 2);
        refuses(&town, &here, &["rig", "add", "other", rig.origin.to_str().unwrap(), &format!("--sync={url}")], 2);
        refuses(&town, &here, &["remote", "add", "--rig", "widgets", "--", "hub", url], 2);
    }
    for url in ["/no/such/place", "../nothing", "http://127.0.0.1:1/x", "README.md"] {
        refuses(&town, &here, &["rig", "add", "other", url], 6);
    }
    refuses(&town, &here, &["remote", "add", "a/../b", url], 2);
    refuses(&town, &here, &["install", town.root.join("widgets/inner").to_str().unwrap()], 4);
    assert!(!mark.exists(), "a URL was run");
}

#[test]
fn done_refuses_what_would_hand_in_nothing_or_lose_something() {
    let (town, rig) = Town::with_rig();
    let (_, agent) = assigned(&town, &rig);
    let sandbox = town.root.join(&agent);
    let me = town.as_agent(&agent);
    assert!(refuses(&town, &me, &["done"], 4).stderr.contains("no commit"));
    std::fs::write(sandbox.join("new.txt"), "x\n").unwrap();
    assert!(refuses(&town, &me, &["done"], 4).stderr.contains("new.txt"));
    town.git(&sandbox, &["add", "-A"]);
    refuses(&town, &me, &["done"], 4);
    town.git(&sandbox, &["commit", "-q", "-m", "Add it"]);
    town.git(&sandbox, &["switch", "-q", "--detach"]);
    assert!(refuses(&town, &me, &["done"], 4).stderr.contains("no branch"));
    town.git(&sandbox, &["switch", "-q", "--ignore-other-worktrees", "main"]);
    assert!(refuses(&town, &me, &["done"], 4).stderr.contains("the target itself"));
    refuses(&town, &me, &["done", "--status", "released"], 2);
    refuses(&town, &town.here(), &["done"], 4);
    refuses(&town, &town.here(), &["polecat", "nuke", &agent], 4);
    refuses(&town, &town.from(sandbox.clone()).var("GT_ACTOR", "widgets/polecats/other"), &["done"], 4);
    town.git(&sandbox, &["switch", "-q", "--ignore-other-worktrees", "-C", "mine"]);
    commit(&town, &sandbox, "more.txt");
    me.args(&["done"]).succeeds();
    assert!(refuses(&town, &me, &["done"], 4).stderr.contains("nothing is on the hook"));
}

#[test]
fn an_agent_that_cannot_start_is_found_out_before_work_is_on_its_hook() {
    let town = Town::new();
    let rig = town.rig("widgets");
    let bead = town.bead(&rig, "Work");
    refuses(&town, &town.here(), &["sling", &bead, "widgets"], 4);
    for command in ["no-such-program-anywhere --yes", "/no/such/program"] {
        town.gt_args(&["config", "set", "agent.command", command, "--rig", "widgets"]).succeeds();
        refuses(&town, &town.here(), &["sling", &bead, "widgets"], 6);
    }
    assert_eq!(town.status(&bead), "open");
    // Only the sandbox can tell whether this one is there: the assignment stands, and the next sling starts it.
    town.gt_args(&["config", "set", "agent.command", "./check.sh.missing", "--rig", "widgets"]).succeeds();
    for _ in 0..2 {
        let said = town.gt_args(&["sling", &bead, "widgets"]).ends_with(6);
        assert!(said.stderr.contains("check.sh.missing") && said.stderr.contains("hint: "), "{}", said.stderr);
        assert_eq!(town.status(&bead), "hooked");
    }
    town.gt_args(&["config", "set", "agent.command", "./check.sh", "--rig", "widgets"]).succeeds();
    town.gt_args(&["sling", &bead, "widgets"]).succeeds();
}

#[test]
fn a_command_that_somebody_else_wrote_does_not_run_here() {
    let (town, rig) = Town::with_rig();
    let mark = town.base().join("mark");
    let bead = town.bead(&rig, "Work");
    let record = |key: &str| {
        let values = serde_json::json!({key: format!("touch {}", mark.display())});
        format!("{:#}\n", serde_json::json!({"v": 1, "values": values, "rev": "9@m"}))
    };
    write(&town, "widgets", "config/agent.json", &record("agent.command"));
    let said = refuses(&town, &town.here(), &["sling", &bead, "widgets"], 4);
    assert!(said.stderr.contains("gt trust agent.command --rig widgets"), "{}", said.stderr);
    let (_, agent) = assigned(&town, &rig);
    commit(&town, &town.root.join(&agent), "new.txt");
    town.as_agent(&agent).args(&["done"]).succeeds();
    write(&town, "widgets", "config/gates.json", &record("gates.test.command"));
    let said = refuses(&town, &town.here(), &["mq", "run", "--once", "--rig", "widgets"], 4);
    assert!(said.stderr.contains("gt trust gates.test.command --rig widgets"), "{}", said.stderr);
    assert!(!mark.exists(), "it ran");
    town.gt_args(&["trust", "gates.test.command", "--rig", "widgets"]).succeeds();
    town.gt_args(&["mq", "run", "--once", "--rig", "widgets"]).succeeds();
    assert!(mark.exists(), "trusted, it runs");
}

#[test]
fn without_a_gate_that_can_judge_nothing_lands() {
    let (town, rig) = Town::with_rig();
    let (bead, agent) = assigned(&town, &rig);
    commit(&town, &town.root.join(&agent), "new.txt");
    town.as_agent(&agent).args(&["done"]).succeeds();
    let said = refuses(&town, &town.here(), &["mq", "run", "--once", "--rig", "widgets"], 4);
    assert!(said.stderr.contains("gates.require"), "{}", said.stderr);
    town.gt_args(&["config", "set", "gates.test.command", "no-such-gate-anywhere", "--rig", "widgets"]).succeeds();
    let main = town.git(&rig.origin, &["rev-parse", "main"]);
    let ran = town.gt_args(&["mq", "run", "--once", "--rig", "widgets"]).ends_with(6);
    assert!(ran.stderr.contains("gt: ") && ran.stderr.contains("hint: ") && ran.stderr.contains("test"), "{}", ran.stderr);
    assert_eq!(town.git(&rig.origin, &["rev-parse", "main"]), main);
    assert_eq!(town.status(&bead), "in_review", "a gate that cannot run is evidence against nobody");
}

#[test]
fn a_damaged_bead_is_named_and_everything_else_goes_on() {
    let (town, rig) = Town::with_rig();
    let (good, bad) = (town.bead(&rig, "Good"), town.bead(&rig, "Bad"));
    let deep = "[".repeat(200_000);
    for damage in ["this is no JSON\n", "", "{\"v\":1}", "[]", "null", "{\"v\":1,\"title\":[\n", "{\"v\":1,\"a\":\u{0}}", &deep] {
        write(&town, "widgets", &bead_path(&bad), damage);
        for verb in ["list", "ready", "status"] {
            let said = town.gt_args(&[verb]).succeeds();
            assert!(format!("{}{}", said.stdout, said.stderr).contains(&bad), "{verb} does not name it: {}", said.stderr);
            assert_is_calm(&said);
        }
        let listed = town.gt_args(&["--json", "list", "--rig", "widgets"]).json();
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
        for words in [&["show", bad.as_str()][..], &["close", &bad], &["update", &bad, "-p", "0"], &["sling", &bad, "widgets"]] {
            let said = refuses(&town, &town.here(), words, 70);
            assert!(said.stderr.contains(&bad) && said.stderr.len() < 1_000, "{}", said.stderr);
        }
        town.gt_args(&["show", &good]).succeeds();
    }
    town.gt_args(&["close", &good]).succeeds();
    town.gt_args(&["mq", "list"]).succeeds();
    town.gt_args(&["sync"]).succeeds();
}

#[test]
fn a_damaged_hook_is_never_no_work() {
    let (town, rig) = Town::with_rig();
    let (bead, agent) = assigned(&town, &rig);
    write(&town, "widgets", &format!("hooks/{}.json", agent.replace('/', "%2F")), "{");
    for words in [&["hook"][..], &["prime"], &["done"]] {
        refuses(&town, &town.as_agent(&agent), words, 70);
    }
    for words in [&["hook", agent.as_str()][..], &["unsling", &bead], &["polecat", "nuke", &agent]] {
        refuses(&town, &town.here(), words, 70);
    }
    town.gt_args(&["list"]).succeeds();
    town.gt_args(&["show", &bead]).succeeds();
}

#[test]
fn a_damaged_ledger_ref_is_an_error_everywhere_and_never_a_deletion() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "Work");
    town.gt_args(&["sync"]).succeeds();
    let repo = rig.dir.join(".repo.git");
    let (ours, theirs) = (tip(&town, &repo), tip(&town, &rig.origin));
    let path = repo.join("refs/gt/ledger");
    for damage in ["", "garbage\n", "ref: refs/heads/main\n", "\0\0\0\0", "1111111111111111111111111111111111111111\n"] {
        std::fs::write(&path, damage).unwrap();
        for words in [
            &["show", bead.as_str()][..],
            &["create", "New", "--rig", "widgets"],
            &["close", &bead],
            &["sling", &bead, "widgets"],
            &["hook", "widgets/polecats/furiosa"],
            &["mq", "run", "--once", "--rig", "widgets"],
            &["log", "--rig", "widgets"],
            &["status"],
        ] {
            refuses(&town, &town.here(), words, 70);
        }
        let before = everything(&town);
        let said = town.gt_args(&["sync"]).ends_with(70);
        assert!(said.stdout.contains("rig widgets with origin: failed"), "{}", said.stdout);
        assert_eq!(tip(&town, &rig.origin), theirs, "the hub keeps what it has");
        assert!(everything(&town) == before, "sync changed something");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), damage, "nothing is written over damage");
    }
    std::fs::write(&path, format!("{ours}\n")).unwrap();
    town.gt_args(&["show", &bead]).succeeds();
}

#[test]
fn a_record_of_a_newer_gt_is_shown_and_left_alone() {
    let (town, rig) = Town::with_rig();
    let bead = town.bead(&rig, "From the future");
    forge(&town, &rig, &bead, |bead| {
        bead["v"] = 9.into();
        bead["engine"] = "antimatter".into();
    });
    assert_eq!(town.show(&bead)["engine"], "antimatter");
    for words in [&["close", bead.as_str()][..], &["update", &bead, "-p", "0"], &["sling", &bead, "widgets", "--no-start"]] {
        let said = refuses(&town, &town.here(), words, 4);
        assert!(said.stderr.contains("newer"), "{}", said.stderr);
    }
}

#[test]
fn foreign_text_steers_no_terminal_and_stays_what_it_is() {
    let (town, rig) = Town::with_rig();
    let (bead, agent) = assigned(&town, &rig);
    let other = town.bead(&rig, "Other");
    let evil = "a\u{1b}]0;owned\u{7}b\u{1b}[2Jc\u{9b}31md\u{202e}e\rf\u{8}g";
    for id in [&bead, &other] {
        forge(&town, &rig, id, |bead| {
            for field in ["title", "description", "notes", "design", "acceptance_criteria", "created_by", "owner", "close_reason"]
            {
                bead[field] = evil.into();
            }
            bead["labels"] = serde_json::json!([evil]);
            bead["comments"] =
                serde_json::json!([{"id": "c", "author": evil, "text": evil, "created_at": "2026-01-01T00:00:00.000Z"}]);
        });
    }
    town.gt_args(&["send", "mayor", "-s", "plain", "-m", evil]).ends_with(0);
    for words in [
        &["list"][..],
        &["ready"],
        &["show", &bead, &other],
        &["bead", "search", "owned"],
        &["bead", "dep", "list", &bead],
        &["hook", &agent],
        &["polecat", "list"],
        &["status"],
        &["log", "--rig", "widgets"],
        &["inbox", "mayor"],
        &["mail", "read", "1", "--actor", "mayor"],
        &["mail", "check", "--inject", "--actor", "mayor"],
    ] {
        assert_is_calm(&town.gt_args(words));
    }
    assert_is_calm(&town.as_agent(&agent).args(&["prime"]).succeeds());
    assert_eq!(town.show(&bead)["title"], evil, "JSON has it as it is");
    for words in [&["create", evil, "--rig", "widgets"][..], &["create", "two\nlines"], &["send", "mayor", "-s", evil, "-m", "x"]]
    {
        refuses(&town, &town.here(), words, 2);
    }
    town.git(&town.root.join(&agent), &["commit", "-q", "--allow-empty", "-m", evil]);
    commit(&town, &town.root.join(&agent), "new.txt");
    town.as_agent(&agent).args(&["done"]).succeeds();
    let gate = format!("printf '{}'; exit 1", evil.replace('\u{1b}', "\\033"));
    town.gt_args(&["config", "set", "gates.test.command", &gate, "--rig", "widgets"]).succeeds();
    for words in [
        &["mq", "run", "--once"][..],
        &["mq", "list"],
        &["mq", "why", &bead],
        &["config", "list", "--rig", "widgets"],
        &["trust"],
        &["inbox", &agent],
    ] {
        assert_is_calm(&town.gt_args(words));
    }
    assert_is_calm(&town.gt_args(&["sling", &bead, &agent, "--no-start"]));
    assert_is_calm(&town.as_agent(&agent).args(&["prime"]));
}

#[test]
fn a_title_is_text_whatever_it_looks_like() {
    let (town, _) = Town::with_rig();
    let mark = town.base().join("mark");
    let touch = format!("touch {}", mark.display());
    refuses(&town, &town.here(), &["create", "--force", "--rig", "widgets"], 2);
    for title in [
        "--force".to_owned(),
        "-rf".to_owned(),
        format!("$({touch})"),
        format!("`{touch}`"),
        format!("'; {touch}; '"),
        format!("\" | {touch} #"),
        "%s%n ${IFS} \\x1b".to_owned(),
    ] {
        let made = town.gt_args(&["--json", "create", "--rig", "widgets", "--", &title]).json();
        let bead = made["id"].as_str().unwrap();
        assert_eq!(town.show(bead)["title"], title.as_str());
        let slung = town.gt_args(&["--json", "sling", bead, "widgets", "--no-start", &format!("--args={title}")]).json();
        let agent = slung["agent"].as_str().unwrap();
        let me = town.as_agent(agent);
        me.args(&["prime"]).succeeds();
        commit(&town, &town.root.join(agent), "one.txt");
        commit(&town, &town.root.join(agent), "two.txt");
        me.args(&["done", &format!("--message={title}")]).succeeds();
        town.gt_args(&["send", agent, &format!("--subject={title}"), &format!("--message={title}")]).succeeds();
    }
    town.gt_args(&["config", "set", "gates.test.command", "true", "--rig", "widgets"]).succeeds();
    town.gt_args(&["mq", "run", "--rig", "widgets", "--once"]).succeeds();
    assert!(!mark.exists(), "a title was run");
    town.fsck();
}
